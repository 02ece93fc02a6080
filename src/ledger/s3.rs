//! The ledger in a bucket of Amazon S3 or of any store that speaks its language.
//!
//! Below the prefix stand `marker.json`, `key`, `lease.json`, `blobs/ab/DIGEST`, `removals/`, and the entries: one object for each
//! batch, `ledger/SEQ`, where SEQ is the number of its first entry with 20 digits. Never the writer: two writers that
//! go for the same position have to collide on one name. Everything but blobs is written under a condition
//! (`If-None-Match: *` or `If-Match`), which the store checks and carries out as one act; a store that does not is
//! refused before the first write.
//!
//! * `s3/account.rs`: region, endpoint and credentials, as every AWS tool finds them
//! * `s3/url.rs`, `s3/xml.rs`, `s3/client.rs`: requests and answers
//! * `s3/failed.rs`: what can go wrong with one, and what to do about it
//! * `s3/settle.rs`: what a conditional write came to, whatever became of the answer
//! * `s3/object.rs`: names, and the bytes that stand under them
//! * `s3/chain.rs`: reading; `s3/write.rs`: fence and append; `s3/probe.rs`: whether the store keeps its word
//! * `s3/removal.rs`: removing blobs, and how nothing else is removed by it
//! * `s3/blobs.rs`, `s3/manners.rs` (the lease), `s3/restore.rs`, `s3/verify.rs`: the rest
//!
//! A ledger comes into being in this order, so that a crash leaves either none or a whole one: `key`, the first batch,
//! `marker.json`, more batches. Nothing but a fence, the lease, a damaged blob and `checkpoint.json` (which
//! says where the newest checkpoint stands) is ever written over, and nothing but blobs is ever removed, by `state gc`.

mod account;
mod blobs;
mod chain;
mod client;
mod failed;
mod manners;
mod object;
mod probe;
mod removal;
mod restore;
mod settle;
mod url;
mod verify;
mod write;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use tokio::sync::{Mutex, OnceCell};

use super::backend::{Appended, Backend, Batch, Head, Snapshot, Verification, Whole};
use super::checkpoint::Pointer;
use super::error::{LedgerError, Result};
use super::format::{Digest, Lineage};
use super::lease::LeaseRecord;
use super::local::BlobCache;
use super::seal::Key;

use chain::Reading;
use client::{Client, Patience};
use failed::Failed;
use probe::Found;
use removal::Names;
use write::Pen;

/// Where a ledger is kept, and how it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects start with, without a slash at either end.
    pub prefix: String,
    /// The bucket's region; that of the environment or profile where none is given.
    pub region: Option<String>,
    /// The address of a store that is not Amazon's, `https://HOST` or `http://HOST:PORT`.
    pub endpoint: Option<String>,
    /// The profile whose settings and credentials are used.
    pub profile: Option<String>,
    /// Whether the bucket stands in the path instead of the host's name. Where nothing is said: with an `endpoint` or a
    /// bucket with a dot in its name.
    pub force_path_style: Option<bool>,
}

impl S3Settings {
    /// Why these settings cannot be used: the name of the setting, and a sentence. The store is not asked.
    #[must_use]
    pub fn wrong(&self) -> Option<(&'static str, String)> {
        let bucket = self.bucket.as_str();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) || bucket.starts_with('.') {
            let text = "A bucket's name has 3 to 63 letters, digits, dots and hyphens.";
            return Some(("bucket", text.to_owned()));
        }
        let parts: Vec<&str> = self.prefix.split('/').collect();
        let hollow = !self.prefix.is_empty() && parts.iter().any(|part| part.is_empty() || matches!(*part, "." | ".."));
        if hollow || self.prefix.len() > 800 || self.prefix.chars().any(char::is_control) {
            let text = "A prefix is a path of names with single slashes between them, at most 800 bytes long.";
            return Some(("prefix", text.to_owned()));
        }
        let endpoint = self.endpoint.as_deref().map(url::checked)?;
        endpoint.err().map(|bad| ("endpoint", format!("The endpoint cannot be used: {}.", bad.0)))
    }

    /// Where the ledger is, as a person would name it.
    #[must_use]
    pub fn place(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let at = self.endpoint.as_deref().and_then(|endpoint| url::checked(endpoint).ok());
        let at = at.map(|url| format!(" at {}", url.origin().ascii_serialization())).unwrap_or_default();
        format!("s3://{}{slash}{}{at}", self.bucket, self.prefix)
    }
}

/// A ledger in a bucket.
#[derive(Debug, Clone)]
pub struct S3Backend {
    shared: Arc<Shared>,
    pen: Arc<Mutex<Pen>>,
}

#[derive(Debug)]
struct Shared {
    place: String,
    client: Client,
    /// For the lease, which is renewed all the time: a call that takes longer is not worth waiting for.
    hasty: Client,
    cache: BlobCache,
    /// The size of the parts in which a blob goes up.
    part: usize,
    tried: OnceCell<()>,
    key: std::sync::Mutex<Option<Key>>,
    names: std::sync::Mutex<Names>,
}

impl Shared {
    fn place(&self) -> String {
        self.place.clone()
    }

    /// A failed call as a failure to read.
    fn unreadable(&self) -> impl Fn(Failed) -> LedgerError + '_ {
        |failed| failed.into_error(&self.place, false)
    }

    /// A failed call as a failure to write.
    fn not_written(&self) -> impl Fn(Failed) -> LedgerError + '_ {
        |failed| failed.into_error(&self.place, true)
    }

    fn known_key(&self) -> Option<Key> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know_key(&self, key: Key) -> Key {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        key
    }

    fn forget_key(&self) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tries the store before the first write.
    async fn tried(&self) -> Result<()> {
        let unfit = |reason: String| LedgerError::Unfit {
            place: self.place(),
            reason,
            hint: "keep the ledger in a store with conditional writes: docs/state-s3.md says what is needed".to_owned(),
        };
        let attempt = || async {
            match probe::probe(&self.client).await.map_err(self.unreadable())? {
                Found::Good => Ok(()),
                Found::Ignores(condition) => Err(unfit(format!(
                    "it writes although the condition of the write ({condition}) does not hold, so that two commands \
                     at once would overwrite each other's entries"
                ))),
                Found::Refuses(text) => Err(unfit(format!("it does not take conditional writes ({text})"))),
            }
        };
        self.tried.get_or_try_init(attempt).await.copied()
    }
}

impl S3Backend {
    /// The ledger at a place, with the files of its blobs in `cache`. Nothing is asked of the store yet.
    #[must_use]
    pub fn new(settings: S3Settings, cache: BlobCache) -> Self {
        let tries = crate::ports::env::var("AWS_MAX_ATTEMPTS").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        let usual = Patience::default();
        Self::with(settings, cache, Patience { tries: tries.unwrap_or(usual.tries), ..usual }, blobs::PART, None)
    }

    fn with(
        settings: S3Settings,
        cache: BlobCache,
        patience: Patience,
        part: usize,
        given: Option<Credentials>,
    ) -> Self {
        let place = settings.place();
        Self::over(Client::new(settings, given, patience), place, cache, part)
    }

    fn over(client: Client, place: String, cache: BlobCache, part: usize) -> Self {
        let patience = client.patience;
        let quick = |time: Duration| time.min(Duration::from_secs(5));
        let hasty = Patience { attempt: quick(patience.attempt), total: quick(patience.total), ..patience };
        let hasty = client.with(hasty);
        let (tried, key, names) = (OnceCell::new(), std::sync::Mutex::default(), std::sync::Mutex::default());
        let shared = Shared { place, client, hasty, cache, part, tried, key, names };
        Self { shared: Arc::new(shared), pen: Arc::default() }
    }

    /// What was read, which is remembered for a takeover.
    async fn snapshot(&self, reading: Option<Reading>) -> Option<Snapshot> {
        let Reading { lineage, head, entries, fence, .. } = reading?;
        self.pen.lock().await.seen = Some((lineage.clone(), head, fence));
        Some(Snapshot { lineage, head, entries })
    }

    /// The same ledger as another process sees it, which has just the way there in common.
    #[cfg(test)]
    fn elsewhere(&self, cache: BlobCache) -> Self {
        let Shared { client, place, part, .. } = &*self.shared;
        Self::over(client.with(client.patience), place.clone(), cache, *part)
    }
}

#[async_trait]
impl Backend for S3Backend {
    fn place(&self) -> String {
        self.shared.place()
    }

    async fn read(&self, from_seq: u64) -> Result<Option<Snapshot>> {
        let Some(mut snapshot) = self.snapshot(self.shared.reading().await?).await else { return Ok(None) };
        let skip = snapshot.entries.partition_point(|entry| entry.seq < from_seq);
        if skip > 0 {
            snapshot.entries.drain(..skip);
        }
        Ok(Some(snapshot))
    }

    async fn newest_checkpoint(&self) -> Result<Option<Pointer>> {
        self.shared.pointer().await
    }

    async fn note_checkpoint(&self, head: Head) -> Result<()> {
        let pointer = self.pen.lock().await.pointer(head);
        match pointer {
            Some(pointer) => write::note(&self.shared, pointer).await,
            None => Ok(()),
        }
    }

    async fn read_from(&self, pointer: &Pointer) -> Result<Option<Snapshot>> {
        Ok(self.snapshot(self.shared.reading_from(pointer).await?).await)
    }

    async fn take_over(&self, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        self.pen.lock().await.take_over(&self.shared, lineage, head).await
    }

    async fn append(&self, expected_seq: u64, batch: Arc<Batch>) -> Result<Appended> {
        self.pen.lock().await.append(&self.shared, expected_seq, &batch).await
    }

    async fn finish_restore(&self, lineage: &Lineage) -> Result<()> {
        write::ensure_marker(&self.shared, lineage).await
    }

    async fn restore(&self, whole: Arc<Whole>) -> Result<()> {
        self.shared.restoration(&whole).await
    }

    async fn key(&self, create: bool) -> Result<Option<Key>> {
        write::key(&self.shared, create).await
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest> {
        self.shared.put_bytes(bytes).await
    }

    async fn get_blob(&self, digest: Digest) -> Result<Vec<u8>> {
        self.shared.get_bytes(digest).await
    }

    async fn put_file(&self, path: &Path, _executable: bool) -> Result<(Digest, u64)> {
        self.shared.put_path(path).await
    }

    async fn blob_file(&self, digest: Digest) -> Result<PathBuf> {
        self.shared.get_path(digest).await
    }

    async fn blobs(&self) -> Result<BTreeMap<Digest, u64>> {
        self.shared.blob_sizes().await
    }

    async fn remove_blobs(&self, blobs: &BTreeSet<Digest>) -> Result<()> {
        self.pen.lock().await.remove_blobs(&self.shared, blobs).await?;
        self.shared.cache.discard(blobs).await
    }

    async fn lease_load(&self) -> Result<Option<LeaseRecord>> {
        self.shared.load_lease().await
    }

    async fn lease_swap(&self, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<bool> {
        self.shared.swap_lease(expected, new).await
    }

    async fn verify(&self, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>> {
        self.shared.verification(referenced).await
    }
}

#[cfg(test)]
mod tests;

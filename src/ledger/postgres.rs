//! The ledger in a PostgreSQL database: a row for each ledger in a schema of its own, a row for each batch of entries.
//!
//! Every write is one statement, and so one transaction that the server carries out whole or not at all without hearing from
//! this side again: a writer that is stopped or cut off never holds a lock that others wait for. An append is an UPDATE of
//! the ledger's row *where lineage, epoch and head are the expected ones*, and the INSERT of the batch for the row that the
//! UPDATE gave. PostgreSQL locks the row and looks at the condition again behind another writer, so of two one finds nothing
//! to update: compare-and-append. Taking over raises the row's epoch, after which no earlier writer's condition holds.
//!
//! | an append's answer | what is done |
//! | --- | --- |
//! | one row | `Ok` |
//! | no row | the position is read back: own bytes under the own epoch are `Ok` (an answer was lost before), else `Conflict` |
//! | none, the connection broke | the position is read back: the same, or sent again while it is free, which cannot write twice |
//! | none, and nobody answers for [`PATIENCE`] | `Unknown` if anything was sent, else an error: the run stops |
//!
//! * `postgres/tables.rs`: the tables, made at the first write
//! * `postgres/link.rs`: connections, statements, what is tried again, and what failures are called
//! * `postgres/chain.rs`: reading, verified
//! * `postgres/write.rs`: taking over and appending
//! * `postgres/blobs.rs`, `postgres/lease.rs`, `postgres/restore.rs`, `postgres/verify.rs`: the rest
//!
//! A ledger's row without lineage holds a key and is no ledger yet. One with a lineage and without batches is a lost ledger,
//! and so are batches without their row. Commits wait for the disk (`synchronous_commit`) whatever the role's setting is.

mod blobs;
mod chain;
mod lease;
mod link;
mod restore;
mod tables;
mod verify;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::postgres::{BadUrl, Server};

use super::backend::{Appended, Backend, Batch, Head, Snapshot, Verification, Whole};
use super::checkpoint::Pointer;
use super::error::{LedgerError, Result};
use super::format::{Digest, Lineage};
use super::lease::LeaseRecord;
use super::local::BlobCache;
use super::seal::Key;

use link::Link;
use write::Pen;

/// How long a server that was there and went away is waited for before a call fails: a restart or failover takes it seconds.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The longest name of a schema, in bytes: PostgreSQL would cut a longer one off.
const SCHEMA_MAX: usize = 63;

/// A ledger in a database.
pub struct PostgresBackend {
    link: Link,
    cache: BlobCache,
    pen: Mutex<Pen>,
}

impl fmt::Debug for PostgresBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresBackend({})", self.link.place)
    }
}

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The schema.
    pub schema: String,
    /// The ledger's name in it.
    pub ledger: String,
}

impl PostgresBackend {
    /// The ledger of a name in a schema of the database that a URL names. Files of blobs come to `cache`. Nothing is connected
    /// yet.
    ///
    /// # Errors
    /// When the URL is none of PostgreSQL, or the schema's name cannot be one. The error does not hold the URL.
    pub fn new(url: &str, names: &Names, cache: BlobCache) -> std::result::Result<Self, BadUrl> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            return Err(BadUrl {
                message: "the URL is not that of a PostgreSQL database".to_owned(),
                hint: "Write `postgres://user:password@host:5432/database`.",
            });
        }
        let (schema, ledger) = (&names.schema, &names.ledger);
        if schema.len() > SCHEMA_MAX || schema.contains('\0') || schema.starts_with("pg_") || ledger.contains('\0') {
            return Err(BadUrl {
                message: format!("{schema:?} cannot be the name of a schema"),
                hint: "A schema's name has at most 63 bytes and does not start with pg_.",
            });
        }
        let link = Link::new(Server::parse(url)?, names);
        Ok(Self { link, cache, pen: Mutex::new(Pen::default()) })
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.link.patience = patience;
        self
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    fn place(&self) -> String {
        self.link.place.clone()
    }

    async fn read(&self, from_seq: u64) -> Result<Option<Snapshot>> {
        Ok(chain::read(&self.link, None).await?.map(|reading| reading.from(from_seq)))
    }

    async fn newest_checkpoint(&self) -> Result<Option<Pointer>> {
        chain::pointer(&self.link).await
    }

    async fn note_checkpoint(&self, head: Head) -> Result<()> {
        self.pen.lock().await.note_checkpoint(&self.link, head).await
    }

    async fn read_from(&self, pointer: &Pointer) -> Result<Option<Snapshot>> {
        Ok(chain::read(&self.link, Some(pointer)).await?.map(|reading| reading.from(pointer.seq)))
    }

    async fn take_over(&self, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        self.pen.lock().await.take_over(&self.link, lineage, head).await
    }

    async fn append(&self, expected_seq: u64, batch: Arc<Batch>) -> Result<Appended> {
        self.pen.lock().await.append(&self.link, expected_seq, &batch).await
    }

    async fn restore(&self, whole: Arc<Whole>) -> Result<()> {
        restore::restore(&self.link, &whole).await
    }

    async fn key(&self, create: bool) -> Result<Option<Key>> {
        write::key(&self.link, create).await
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest> {
        blobs::put(&self.link, bytes).await
    }

    async fn get_blob(&self, digest: Digest) -> Result<Vec<u8>> {
        blobs::get(&self.link, digest).await
    }

    async fn put_file(&self, path: &Path, _: bool) -> Result<(Digest, u64)> {
        // The copy does not change while it is sent.
        let (digest, size) = self.cache.put_file(path).await?;
        let copy = self.cache.find(digest).await?;
        let copy = copy.ok_or_else(|| LedgerError::BlobCorrupt { place: self.place(), digest })?;
        blobs::put_file(&self.link, digest, size, &copy).await?;
        Ok((digest, size))
    }

    async fn blob_file(&self, digest: Digest) -> Result<PathBuf> {
        match self.cache.find(digest).await? {
            Some(path) => Ok(path),
            None => blobs::fetch(&self.link, &self.cache, digest).await,
        }
    }

    async fn blobs(&self) -> Result<BTreeMap<Digest, u64>> {
        blobs::sizes(&self.link).await
    }

    async fn remove_blobs(&self, blobs: &BTreeSet<Digest>) -> Result<()> {
        self.pen.lock().await.remove_blobs(&self.link, blobs).await?;
        self.cache.discard(blobs).await
    }

    async fn lease_load(&self) -> Result<Option<LeaseRecord>> {
        lease::load(&self.link).await
    }

    async fn lease_swap(&self, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<bool> {
        lease::swap(&self.link, expected, new).await
    }

    async fn verify(&self, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>> {
        verify::verify(&self.link, referenced).await
    }
}

#[cfg(test)]
mod tests;

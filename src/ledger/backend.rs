//! What a place that keeps ledgers has to offer.
//!
//! Everything rests on one act: append a batch of entries *if the next free position is the expected one*. Two
//! writers that collide there are told apart by the backend, never by a lock; the lease is manners, not safety. What
//! holds for every backend is written as a test in `conformance.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::checkpoint::Pointer;
use super::error::{LedgerError, Result};
use super::format::{Continues, Digest, Lineage, RawEntry, time_text};
use super::lease::LeaseRecord;
use super::seal::Key;

/// The most bytes of one batch. An entry's own bound is 16 MiB; thousands of usual entries fit.
pub const MAX_BATCH_BYTES: usize = 256 * 1024 * 1024;

/// The largest blob in bytes: a service's binary with all its debug information fits.
pub const MAX_BLOB_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// The newest entry of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its position.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
    /// The epoch of its writer.
    pub epoch: u64,
}

/// A ledger as it was read, every entry verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose it is.
    pub lineage: Lineage,
    /// Its newest entry.
    pub head: Head,
    /// The entries from the position that was asked for.
    pub entries: Vec<RawEntry>,
}

/// What an append came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The entries are durable, and no other writer has taken over.
    Ok,
    /// Another writer has the position or has taken over. Nothing may act on these entries.
    Conflict,
    /// Nobody can tell, for this reason. The run has to stop.
    Unknown(String),
}

/// What is to be written, before it has a place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The time of day.
    pub time: jiff::Timestamp,
    /// The run that it belongs to, if any.
    pub run: Option<String>,
    /// Who writes it.
    pub actor: String,
    /// What happened.
    pub event: serde_json::Value,
}

/// Entries with their places in the chain, and the bytes that stand for them.
#[derive(Debug, Clone)]
pub struct Batch {
    entries: Vec<RawEntry>,
    lines: Vec<u8>,
    head: Head,
}

impl Batch {
    /// Gives drafts their places after `head` (`None`: the ledger is new). `fresh` says that the writer of `epoch`
    /// has not written before. `None` for no drafts.
    ///
    /// # Errors
    /// When an event has no canonical form, or the batch is larger than [`MAX_BATCH_BYTES`].
    pub fn chain(
        lineage: &Lineage,
        head: Option<Head>,
        epoch: u64,
        fresh: bool,
        drafts: Vec<Draft>,
    ) -> Result<Option<Self>> {
        let (mut seq, mut prev) = head.map_or((0, lineage.genesis()), |h| (h.seq, h.digest));
        let mut continues = head.filter(|_| fresh).map(|h| Continues { epoch: h.epoch, seq: h.seq });
        let batch = seq + 1;
        let (mut entries, mut lines) = (Vec::with_capacity(drafts.len()), Vec::new());
        for Draft { time, run, actor, event } in drafts {
            seq += 1;
            let continues = continues.take();
            let entry = RawEntry { seq, prev, time: time_text(time), run, actor, epoch, batch, continues, event };
            let sealed = entry.seal();
            let (line, digest) =
                sealed.map_err(|source| LedgerError::NoForm { what: format!("entry {seq}"), source })?;
            prev = digest;
            lines.extend_from_slice(&line);
            if lines.len() > MAX_BATCH_BYTES {
                let (bytes, limit) = (lines.len() as u64, MAX_BATCH_BYTES as u64);
                return Err(LedgerError::TooLarge { what: "a batch of entries".to_owned(), bytes, limit });
            }
            entries.push(entry);
        }
        let head = Head { seq, digest: prev, epoch };
        Ok(if entries.is_empty() { None } else { Some(Self { entries, lines, head }) })
    }

    /// The entries, at least one.
    #[must_use]
    pub fn entries(&self) -> &[RawEntry] {
        &self.entries
    }

    /// The entries themselves.
    #[must_use]
    pub fn into_entries(self) -> Vec<RawEntry> {
        self.entries
    }

    /// Their lines, one after the other.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The position of the first entry.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.entries.first().map_or(self.head.seq, |e| e.seq)
    }

    /// The newest entry once the batch is written.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }
}

/// Something that `verify` found which does not break the chain, or a defect beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Entries of a writer that had been fenced, beyond the point where its successor went on. Harmless.
    Void {
        /// The file, relative to the ledger's place.
        file: String,
        /// The first void line in it, from 1.
        line: usize,
        /// How many whole entries are void.
        entries: u64,
        /// How many bytes are.
        bytes: u64,
    },
    /// The end of a write that a crash cut off. Harmless.
    Torn {
        /// The file, relative to the ledger's place.
        file: String,
        /// The line at which it starts, from 1.
        line: usize,
        /// How many bytes it has.
        bytes: u64,
    },
    /// A file that does not belong there. Harmless.
    Stray {
        /// The file, relative to the ledger's place.
        file: String,
    },
    /// A blob whose content is not what its name says: a defect.
    BlobCorrupt {
        /// The blob.
        digest: Digest,
    },
    /// A blob that is referred to and not there: a defect.
    BlobMissing {
        /// The blob.
        digest: Digest,
    },
    /// Another defect, as a sentence.
    Defect {
        /// The file, relative to the ledger's place.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl Finding {
    /// Whether something is wrong, not just worth knowing.
    #[must_use]
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::BlobCorrupt { .. } | Self::BlobMissing { .. } | Self::Defect { .. })
    }
}

/// What `state verify` saw of a ledger whose chain holds from the first entry to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Whose ledger it is.
    pub lineage: Lineage,
    /// Its newest entry.
    pub head: Head,
    /// How many writers it has had.
    pub writers: u64,
    /// How many blobs were read and match their names.
    pub blobs: u64,
    /// What was found beside.
    pub findings: Vec<Finding>,
}

/// A whole ledger on its way to another place.
#[derive(Debug)]
pub struct Whole {
    /// Whose it is.
    pub lineage: Lineage,
    /// The key of its keyed digests.
    pub key: Key,
    /// All its entries, from the first; they have been verified.
    pub entries: Vec<RawEntry>,
}

/// A place that keeps one environment's ledger.
///
/// A value of it serves any number of readers, and at most one [`super::Writer`] at a time.
#[async_trait]
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Where it is, as a person would name it.
    fn place(&self) -> String;

    /// Reads and verifies the ledger and gives its entries from a position on (1: all). `None` if there is no ledger
    /// yet. Changes nothing and works where nothing may be written.
    ///
    /// # Errors
    /// When the ledger cannot be read, does not verify, is lost, or is of a newer format.
    async fn read(&self, from_seq: u64) -> Result<Option<Snapshot>>;

    /// Where the newest checkpoint stands, as far as it was noted.
    ///
    /// # Errors
    /// When the note cannot be read.
    async fn newest_checkpoint(&self) -> Result<Option<Pointer>> {
        Ok(None)
    }

    /// Notes that the newest entry, which this value has just appended as a batch of its own, is a checkpoint. Without the note
    /// the checkpoint is of no use and no harm.
    ///
    /// # Errors
    /// When it cannot be written.
    async fn note_checkpoint(&self, head: Head) -> Result<()> {
        let _ = head;
        Ok(())
    }

    /// Reads and verifies the entries from a checkpoint's own on, and nothing before it.
    ///
    /// # Errors
    /// As [`Self::read`]; `Corrupt` when that entry is not where the note says, or is another one.
    async fn read_from(&self, pointer: &Pointer) -> Result<Option<Snapshot>> {
        let snapshot = self.read(pointer.seq).await?;
        match &snapshot {
            Some(found) if !pointer.leads_to(found.entries.first()) => Err(pointer.misleads(self.place())),
            _ => Ok(snapshot),
        }
    }

    /// Becomes the writer that goes on after `head` (`None`: that starts the ledger) and gives the new writer's epoch.
    /// Once it is back, no earlier writer's append succeeds any more.
    ///
    /// # Errors
    /// `Moved` when the newest entry is not `head`; otherwise as [`Self::read`], and when it cannot be written.
    async fn take_over(&self, lineage: &Lineage, head: Option<Head>) -> Result<u64>;

    /// Appends a batch, durably, if its first position is free and nobody has taken over since [`Self::take_over`].
    ///
    /// # Errors
    /// When a write fails; this backend's value then writes nothing any more.
    async fn append(&self, expected_seq: u64, batch: Arc<Batch>) -> Result<Appended>;

    /// Takes on a whole ledger that was kept elsewhere, entry by entry as it was, at once or not at all. Its blobs have been put
    /// before.
    ///
    /// # Errors
    /// `NotEmpty` where there is a ledger; when it cannot be written.
    async fn restore(&self, whole: Arc<Whole>) -> Result<()>;

    /// Finishes a [`Backend::restore`] of this ledger that ended after its entries had got here, if anything of it is missing.
    ///
    /// # Errors
    /// When it cannot be written, or another ledger stands here.
    async fn finish_restore(&self, lineage: &Lineage) -> Result<()> {
        let _ = lineage;
        Ok(())
    }

    /// The key of the ledger's keyed digests. `None` where there is no ledger yet, unless `create` asks for one.
    ///
    /// # Errors
    /// `KeyLost` when there is a ledger without its key; when it cannot be read or made.
    async fn key(&self, create: bool) -> Result<Option<Key>>;

    /// Keeps bytes under their digest, durably.
    ///
    /// # Errors
    /// When they cannot be written.
    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest>;

    /// The bytes with a digest, verified.
    ///
    /// # Errors
    /// When they are not there, are others, or cannot be read.
    async fn get_blob(&self, digest: Digest) -> Result<Vec<u8>>;

    /// Keeps the content of a file under its digest, durably, and gives the digest and its size in bytes.
    ///
    /// # Errors
    /// When it cannot be read or written.
    async fn put_file(&self, path: &Path, executable: bool) -> Result<(Digest, u64)>;

    /// A read-only file on this machine with the content of a digest, verified just now.
    ///
    /// # Errors
    /// As [`Self::get_blob`].
    async fn blob_file(&self, digest: Digest) -> Result<PathBuf>;

    /// The blobs that are kept, with their sizes in bytes as far as they are known: whole ones, and what a crash left of one.
    ///
    /// # Errors
    /// When they cannot be listed.
    async fn blobs(&self) -> Result<BTreeMap<Digest, u64>>;

    /// Removes blobs, as the writer that this value became by [`Self::take_over`], and only as long as nobody has taken over
    /// since: a writer puts its blobs after its takeover, and none that it put, or found there, is removed by an earlier one.
    /// Those that are not there are gone already.
    ///
    /// # Errors
    /// `Fenced` when another has taken over, or this value never did; when they cannot be removed. Some may be gone then.
    async fn remove_blobs(&self, blobs: &BTreeSet<Digest>) -> Result<()>;

    /// The lease as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn lease_load(&self) -> Result<Option<LeaseRecord>>;

    /// Puts `new` in the place of `expected`, at once or not at all, and says whether it did.
    ///
    /// # Errors
    /// When it cannot be read or written.
    async fn lease_swap(&self, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<bool>;

    /// Verifies everything: every entry from the first, every blob by its content, and that the blobs referred to are
    /// there. `None` if there is no ledger yet.
    ///
    /// # Errors
    /// As [`Self::read`].
    async fn verify(&self, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>>;
}

//! A ledger in memory: what is durable, and what a crash leaves of what was not.
//!
//! The batches are the product's ([`Batch::chain`]), and what is kept is their bytes, read back by the product's decoder. The
//! fence is an epoch, as in every backend.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::Deserialize as _;

use super::world::{Fault, Site, World};
use crate::ledger::backend::{Appended, Backend, Batch, Head, Snapshot, Verification, Whole};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::event::Event;
use crate::ledger::format::line::{Chain, verify_chain};
use crate::ledger::format::{Digest, Lineage, RawEntry, digest};
use crate::ledger::lease::LeaseRecord;
use crate::ledger::seal::Key;
use crate::ports::fs::FsError;

/// An entry as it stands.
pub(super) struct Entry {
    pub(super) raw: RawEntry,
    pub(super) digest: Digest,
    pub(super) event: Event,
}

/// What is durable of a ledger.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) lineage: Option<Lineage>,
    key: Option<Key>,
    pub(super) entries: Vec<Arc<Entry>>,
    /// The newest writer's epoch.
    epoch: u64,
    pub(super) blobs: BTreeMap<Digest, Arc<Vec<u8>>>,
    /// How many intents there are of each identity.
    pub(super) intents: BTreeMap<String, usize>,
    /// The newest entry of which some writer was told that it is durable.
    pub(super) acknowledged: Option<(u64, Digest)>,
}

impl Disk {
    /// All that can make a difference later: the newest digest stands for every entry.
    pub(super) fn hash(&self, hasher: &mut impl Hasher) {
        self.entries.last().map(|e| (e.raw.seq, e.digest)).hash(hasher);
        self.epoch.hash(hasher);
        self.blobs.keys().for_each(|blob| blob.hash(hasher));
        self.acknowledged.hash(hasher);
        self.lineage.hash(hasher);
    }

    fn head(&self) -> Option<Head> {
        self.entries.last().map(|e| Head { seq: e.raw.seq, digest: e.digest, epoch: e.raw.epoch })
    }

    /// Keeps the first entries of a batch, as their bytes say.
    fn write(&mut self, lineage: &Lineage, batch: &Batch, count: usize) {
        if count == 0 {
            return;
        }
        self.lineage.get_or_insert_with(|| lineage.clone());
        let mut chain = match self.head() {
            Some(head) => Chain::after(head.seq, head.digest, head.epoch),
            None => Chain::new(lineage),
        };
        for line in batch.lines().split_inclusive(|&b| b == b'\n').take(count) {
            let (raw, digest) = RawEntry::unseal(line).expect("what a writer writes can be read");
            chain.admit(&raw, digest).expect("what a writer writes follows");
            let event = Event::deserialize(&raw.event).expect("what a writer writes is an event");
            if let Event::StepIntended(intent) = &event {
                *self.intents.entry(intent.op.clone()).or_default() += 1;
            }
            self.entries.push(Arc::new(Entry { raw, digest, event }));
        }
    }

    /// Verifies the whole chain, and that nothing is missing that somebody was told is durable.
    pub(super) fn verify(&self) -> std::result::Result<(), String> {
        let Some(lineage) = &self.lineage else { return Ok(()) };
        let all: Vec<RawEntry> = self.entries.iter().map(|e| e.raw.clone()).collect();
        verify_chain(lineage, &all).map_err(|e| e.to_string())?;
        self.nothing_lost()
    }

    /// That nothing is missing that somebody was told is durable.
    pub(super) fn nothing_lost(&self) -> std::result::Result<(), String> {
        match self.acknowledged {
            Some((seq, digest)) => {
                let at = usize::try_from(seq).unwrap() - 1;
                let kept = self.entries.get(at).is_some_and(|e| e.digest == digest);
                if kept { Ok(()) } else { Err(format!("entry {seq} was acknowledged and is lost")) }
            }
            None => Ok(()),
        }
    }
}

/// One process's access to the ledger.
pub(super) struct SimBackend {
    world: Arc<World>,
    epoch: Mutex<Option<u64>>,
    lineage: Mutex<Option<Lineage>>,
}

impl std::fmt::Debug for SimBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimBackend")
    }
}

/// Where it is.
const PLACE: &str = "the simulated disk";

impl SimBackend {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), epoch: Mutex::new(None), lineage: Mutex::new(None) }
    }

    fn failed(act: &'static str) -> FsError {
        FsError { act, path: PathBuf::from(PLACE), source: std::io::Error::other("an injected fault") }
    }

    fn not_written() -> LedgerError {
        LedgerError::NotWritten { place: PLACE.into(), source: Self::failed("sync") }
    }
}

#[async_trait]
impl Backend for SimBackend {
    fn place(&self) -> String {
        PLACE.into()
    }

    async fn read(&self, from_seq: u64) -> Result<Option<Snapshot>> {
        if self.world.arrive(Site::Read).await == Some(Fault::Fail) {
            return Err(LedgerError::Unreadable { place: PLACE.into(), source: Self::failed("read") });
        }
        Ok(self.world.with(|inner| {
            let disk = &inner.disk;
            let entries = disk.entries.iter().filter(|e| e.raw.seq >= from_seq).map(|e| e.raw.clone()).collect();
            Some(Snapshot { lineage: disk.lineage.clone()?, head: disk.head()?, entries })
        }))
    }

    async fn take_over(&self, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        *self.lineage.lock().unwrap() = Some(lineage.clone());
        let fault = self.world.arrive(Site::TakeOver).await;
        if fault == Some(Fault::Fail) {
            return Err(Self::not_written());
        }
        let taken = self.world.with(|inner| {
            let disk = &mut inner.disk;
            if head.is_none() && disk.entries.is_empty() {
                return Some(1);
            }
            disk.epoch = disk.epoch.max(disk.head().map_or(0, |h| h.epoch)) + 1;
            (disk.head() == head).then_some(disk.epoch)
        });
        self.world.done(fault).await;
        *self.epoch.lock().unwrap() = taken;
        taken.ok_or(LedgerError::Moved { place: PLACE.into() })
    }

    async fn append(&self, expected_seq: u64, batch: Arc<Batch>) -> Result<Appended> {
        // A sync takes its time: whoever does not wait for it gets ahead of it here.
        tokio::task::yield_now().await;
        let count = batch.entries().len();
        let fault = self.world.arrive(Site::Append(count)).await;
        let mine = *self.epoch.lock().unwrap();
        let Some(lineage) = self.lineage.lock().unwrap().clone() else { return Ok(Appended::Conflict) };
        let written = self.world.with(|inner| {
            let disk = &mut inner.disk;
            if fault == Some(Fault::Fenced) {
                // Of a ledger that is just being made, another process's first entries would be there; that it then has
                // gone again without them is the nearest to a fence.
                if disk.entries.is_empty() {
                    return false;
                }
                disk.epoch = disk.epoch.max(mine.unwrap_or(0)) + 1;
            }
            let next = disk.head().map_or(1, |h| h.seq + 1);
            let fits = expected_seq == next
                && batch.first_seq() == next
                && mine.is_some_and(|epoch| epoch >= disk.epoch)
                && batch.entries()[0].prev == disk.head().map_or_else(|| lineage.genesis(), |h| h.digest);
            if !fits {
                return false;
            }
            // The first batch of a ledger comes into being as a whole, with its file.
            let part = if disk.entries.is_empty() { 0 } else { count / 2 };
            let kept = match fault {
                Some(Fault::Torn | Fault::FailTorn) => part,
                Some(Fault::Fail | Fault::LostRequest) => 0,
                _ => count,
            };
            disk.write(&lineage, &batch, kept);
            disk.epoch = mine.unwrap_or(1);
            true
        });
        self.world.done(fault).await;
        if written && fault.is_none() {
            let head = batch.head();
            self.world.with(|inner| inner.disk.acknowledged = Some((head.seq, head.digest)));
        }
        match fault {
            Some(Fault::Fail | Fault::FailTorn) => Err(Self::not_written()),
            Some(Fault::Lost | Fault::LostRequest) => Ok(Appended::Unknown("the answer was lost".into())),
            _ if written => Ok(Appended::Ok),
            _ => Ok(Appended::Conflict),
        }
    }

    async fn restore(&self, _: Arc<Whole>) -> Result<()> {
        Err(LedgerError::Poisoned { place: PLACE.into(), first: "the simulated disk takes no ledger on".into() })
    }

    async fn key(&self, create: bool) -> Result<Option<Key>> {
        Ok(self.world.with(|inner| {
            if create {
                inner.disk.key.get_or_insert_with(Key::random);
            }
            inner.disk.key.clone()
        }))
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest> {
        let fault = self.world.arrive(Site::Blob).await;
        if fault == Some(Fault::Fail) {
            return Err(Self::not_written());
        }
        let name = digest(&bytes);
        self.world.with(|inner| inner.disk.blobs.entry(name).or_insert_with(|| Arc::new(bytes)).len());
        self.world.done(fault).await;
        Ok(name)
    }

    async fn get_blob(&self, digest: Digest) -> Result<Vec<u8>> {
        let blob = self.world.with(|inner| inner.disk.blobs.get(&digest).map(|b| (**b).clone()));
        blob.ok_or(LedgerError::BlobMissing { place: PLACE.into(), digest })
    }

    async fn put_file(&self, path: &Path, _: bool) -> Result<(Digest, u64)> {
        let bytes = std::fs::read(path).map_err(|source| {
            let source = FsError { act: "read", path: path.to_path_buf(), source };
            LedgerError::NotKept { source }
        })?;
        let size = bytes.len() as u64;
        Ok((self.put_blob(bytes).await?, size))
    }

    async fn blob_file(&self, digest: Digest) -> Result<PathBuf> {
        Err(LedgerError::BlobMissing { place: PLACE.into(), digest })
    }

    async fn blobs(&self) -> Result<BTreeMap<Digest, u64>> {
        Ok(self.world.with(|inner| inner.disk.blobs.iter().map(|(name, bytes)| (*name, bytes.len() as u64)).collect()))
    }

    async fn remove_blobs(&self, blobs: &BTreeSet<Digest>) -> Result<()> {
        let fault = self.world.arrive(Site::Blob).await;
        if fault == Some(Fault::Fail) {
            return Err(Self::not_written());
        }
        let mine = *self.epoch.lock().unwrap();
        let may = self.world.with(|inner| {
            let disk = &mut inner.disk;
            let may = !disk.entries.is_empty() && mine.is_some_and(|epoch| epoch >= disk.epoch);
            if may {
                disk.blobs.retain(|name, _| !blobs.contains(name));
            }
            may
        });
        self.world.done(fault).await;
        if may { Ok(()) } else { Err(LedgerError::Fenced { place: PLACE.into() }) }
    }

    async fn lease_load(&self) -> Result<Option<LeaseRecord>> {
        Ok(None)
    }

    async fn lease_swap(&self, _: Option<&LeaseRecord>, _: Option<&LeaseRecord>) -> Result<bool> {
        Ok(true)
    }

    async fn verify(&self, _: &BTreeSet<Digest>) -> Result<Option<Verification>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::conformance;

    #[tokio::test]
    async fn blobs_are_removed_as_by_every_backend() {
        let world = World::wake(&World::untouched());
        conformance::collecting(&|| Arc::new(SimBackend::new(&world))).await;
    }
}

//! The ledger in a directory of this machine, `state/ENVIRONMENT/`.
//!
//! Each writer has a segment of its own, `ledger/EPOCH.jsonl`, that nobody else ever writes to. Creating the segment
//! of the next epoch, by link(2), fences all writers before it; the new writer reads what they left, and its first
//! entry names the entry that it goes on from. So nothing is ever truncated or locked, and a writer that was stopped
//! and wakes up can append to its own segment as much as it likes: it is told before it acts, and nobody reads it.
//!
//! * `local/layout.rs`: names of files, and the ways in which they come into being
//! * `local/segment.rs`: the bytes of one segment; what is a torn tail and what is damage
//! * `local/chain.rs`: reading back through the segments
//! * `local/write.rs`: fence and append
//! * `local/blobs.rs`, `local/verify.rs`: the rest
//! * `local/cache.rs`: blobs as files for a ledger that is kept elsewhere
//!
//! A ledger comes into being in this order, so that a crash leaves either none or a whole one: `key`; segment 1,
//! linked whole with the first entries; `marker.json`. A marker without entries is therefore always a lost ledger.
//! `checkpoint.json` comes later: it says where the newest checkpoint stands, and is replaced as a whole.
//! A writer that never appends creates nothing; taking over an existing ledger leaves a segment of one line.
//!
//! The work is synchronous and runs on tokio's threads for blocking work; one append is one write, one fdatasync, and
//! two looks at names.

mod blobs;
mod cache;
mod chain;
mod layout;
mod restore;
mod segment;
mod verify;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::ports::{crash, fs, id};

use super::backend::{Appended, Backend, Batch, Head, Snapshot, Verification, Whole};
use super::checkpoint::Pointer;
use super::error::{LedgerError, Result};
use super::format::{Digest, Lineage, from_canonical, to_canonical};
use super::lease::LeaseRecord;
use super::seal::Key;

pub use cache::{BlobCache, Incoming};
use layout::{Layout, MAX_SMALL_BYTES, PRIVATE};
use write::Pen;

/// How often a swap of the lease is tried while another process swaps, which takes it milliseconds; with the pauses
/// between them about five seconds.
const SWAP_TRIES: usize = 800;

/// So many blobs are removed under one look whether another writer has taken over, which waits for that.
const REMOVED_AT_ONCE: usize = 100;

/// How often a writer looks whether blobs are still being removed; with the pauses between that is ten seconds.
const REMOVAL_LOOKS: usize = 1000;

/// The pause between two such looks.
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// A ledger in a directory.
#[derive(Debug, Clone)]
pub struct LocalBackend {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    pen: Mutex<Pen>,
    kept: Mutex<Kept>,
    /// Where the files of blobs are, if not among the blobs themselves.
    files: Option<BlobCache>,
}

/// Where the blobs are that this value kept: entries that name them belong beside them.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// There are none.
    Nothing,
    /// In this directory, whatever its path leads to now.
    In(fs::FileId),
    /// In several: the path led elsewhere in between.
    Apart,
}

impl Shared {
    fn new(layout: Layout, files: Option<BlobCache>) -> Self {
        Self { layout, pen: Mutex::new(Pen::default()), kept: Mutex::new(Kept::Nothing), files }
    }

    /// Keeps a blob, and sees in which directory.
    fn keep<T>(&self, put: impl FnOnce(&Layout) -> Result<T>) -> Result<T> {
        let now = || fs::id(&self.layout.blobs_dir()).map_err(self.layout.unreadable());
        let before = now()?;
        let done = put(&self.layout)?;
        let after = now()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = match (*kept, after) {
            (Kept::Nothing, Some(there)) if before.is_none_or(|before| before == there) => Kept::In(there),
            (Kept::In(other), Some(there)) if before == after && other == there => *kept,
            _ => Kept::Apart,
        };
        Ok(done)
    }

    /// Refuses to write entries if the blobs that this value kept are not beside them: whoever moved the directory away for a
    /// moment, and back, has them elsewhere.
    fn has_its_blobs(&self) -> Result<()> {
        let kept = *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let there = match kept {
            Kept::Nothing => return Ok(()),
            Kept::In(directory) => {
                fs::id(&self.layout.blobs_dir()).map_err(self.layout.unreadable())? == Some(directory)
            }
            Kept::Apart => false,
        };
        match there {
            true => Ok(()),
            false => Err(LedgerError::Unavailable {
                place: self.layout.place(),
                writing: true,
                reason:
                    "its directory was moved or replaced while this command was at work, and files that it kept there \
                         are not in it now"
                        .to_owned(),
                hint: "see that the directory is where it belongs, then run the same command again".to_owned(),
            }),
        }
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        // A panic under the lock leaves a pen whose own rules (expected position, failure kept) still hold.
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalBackend {
    /// The ledger in `directory`, which need not exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        let layout = Layout { root: directory.to_path_buf() };
        Self { shared: Arc::new(Shared::new(layout, None)) }
    }

    /// The same ledger, with the files of [`Backend::blob_file`] in a directory of their own.
    #[must_use]
    pub fn with_files_in(&self, files: BlobCache) -> Self {
        let layout = self.shared.layout.clone();
        Self { shared: Arc::new(Shared::new(layout, Some(files))) }
    }

    /// Runs work on a thread that may block.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Shared) -> Result<T> + Send + 'static) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        blocking(self.place(), move || work(&shared)).await
    }

    /// Does work that waits for who removes blobs just now, which takes milliseconds.
    async fn until<T: Send + 'static>(
        &self,
        work: impl Fn(&Shared) -> Result<Option<T>> + Clone + Send + 'static,
    ) -> Result<T> {
        for _ in 0..REMOVAL_LOOKS {
            let work = work.clone();
            if let Some(done) = self.run(move |shared| work(shared)).await? {
                return Ok(done);
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
        Err(LedgerError::Unavailable {
            place: self.place(),
            writing: true,
            reason: "another process, `gantry state gc`, is removing blobs and does not go on".to_owned(),
            hint: "let that process go on if it was stopped, or kill it".to_owned(),
        })
    }

    /// Makes the next write or sync of the open segment fail.
    #[cfg(test)]
    pub(super) fn fail_next(&self, act: &'static str) {
        self.shared.pen().fail_next(act);
    }
}

/// Runs work on a thread that may block.
async fn blocking<T: Send + 'static>(place: String, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down: nobody is left to act on the answer.
            Err(e) => Err(LedgerError::Unknown { place, reason: e.to_string() }),
        },
    }
}

#[async_trait]
impl Backend for LocalBackend {
    fn place(&self) -> String {
        self.shared.layout.place()
    }

    async fn read(&self, from_seq: u64) -> Result<Option<Snapshot>> {
        self.run(move |shared| {
            let Some(mut reading) = chain::read(&shared.layout)? else { return Ok(None) };
            let skip = reading.entries.partition_point(|entry| entry.seq < from_seq);
            let entries = if skip == 0 { reading.entries } else { reading.entries.split_off(skip) };
            shared.pen().seen = Some((reading.head, reading.sizes));
            Ok(Some(Snapshot { lineage: reading.lineage, head: reading.head, entries }))
        })
        .await
    }

    async fn newest_checkpoint(&self) -> Result<Option<Pointer>> {
        self.run(|shared| chain::pointer(&shared.layout)).await
    }

    async fn note_checkpoint(&self, head: Head) -> Result<()> {
        self.run(move |shared| shared.pen().note_checkpoint(&shared.layout, head)).await
    }

    async fn read_from(&self, pointer: &Pointer) -> Result<Option<Snapshot>> {
        let pointer = *pointer;
        self.run(move |shared| {
            let Some(reading) = chain::read_from(&shared.layout, Some(&pointer))? else { return Ok(None) };
            shared.pen().seen = Some((reading.head, reading.sizes));
            Ok(Some(Snapshot { lineage: reading.lineage, head: reading.head, entries: reading.entries }))
        })
        .await
    }

    async fn take_over(&self, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        let lineage = lineage.clone();
        let epoch = self.run(move |shared| shared.pen().take_over(&shared.layout, &lineage, head)).await?;
        self.until(|shared| Ok(blobs::nobody_removes(&shared.layout)?.then_some(()))).await?;
        Ok(epoch)
    }

    async fn append(&self, expected_seq: u64, batch: Arc<Batch>) -> Result<Appended> {
        self.run(move |shared| {
            shared.has_its_blobs()?;
            shared.pen().append(&shared.layout, expected_seq, &batch)
        })
        .await
    }

    async fn restore(&self, whole: Arc<Whole>) -> Result<()> {
        self.run(move |shared| restore::restore(&shared.layout, &whole)).await
    }

    async fn finish_restore(&self, lineage: &Lineage) -> Result<()> {
        let lineage = lineage.clone();
        self.run(move |shared| restore::finish(&shared.layout, &lineage, None)).await
    }

    async fn key(&self, create: bool) -> Result<Option<Key>> {
        self.run(move |shared| write::key(&shared.layout, create)).await
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<Digest> {
        self.run(move |shared| shared.keep(|layout| blobs::put(layout, &bytes))).await
    }

    async fn get_blob(&self, digest: Digest) -> Result<Vec<u8>> {
        self.run(move |shared| blobs::get(&shared.layout, digest)).await
    }

    async fn put_file(&self, path: &Path, executable: bool) -> Result<(Digest, u64)> {
        let mut path = path.to_path_buf();
        if let Some(files) = &self.shared.files {
            // The copy does not change while it is copied on.
            let (digest, _) = files.put_file(&path).await?;
            path = files.find(digest).await?.unwrap_or(path);
        }
        self.run(move |shared| shared.keep(|layout| blobs::put_file(layout, &path, executable))).await
    }

    async fn blob_file(&self, digest: Digest) -> Result<PathBuf> {
        let path = self.run(move |shared| blobs::file(&shared.layout, digest)).await?;
        let Some(files) = &self.shared.files else { return Ok(path) };
        if let Some(found) = files.find(digest).await? {
            return Ok(found);
        }
        files.put_file(&path).await?;
        files.find(digest).await?.ok_or_else(|| LedgerError::BlobCorrupt { place: self.place(), digest })
    }

    async fn blobs(&self) -> Result<BTreeMap<Digest, u64>> {
        self.run(|shared| blobs::sizes(&shared.layout)).await
    }

    async fn remove_blobs(&self, blobs: &BTreeSet<Digest>) -> Result<()> {
        for some in blobs.iter().collect::<Vec<_>>().chunks(REMOVED_AT_ONCE) {
            let some: Arc<BTreeSet<Digest>> = Arc::new(some.iter().copied().copied().collect());
            self.until(move |shared| {
                let epoch = shared.pen().epoch(&shared.layout)?;
                blobs::remove(&shared.layout, epoch, &some)
            })
            .await?;
        }
        match &self.shared.files {
            Some(files) => files.discard(blobs).await,
            None => Ok(()),
        }
    }

    async fn lease_load(&self) -> Result<Option<LeaseRecord>> {
        self.run(|shared| load_lease(&shared.layout)).await
    }

    async fn lease_swap(&self, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<bool> {
        for _ in 0..SWAP_TRIES {
            let (expected, new) = (expected.cloned(), new.cloned());
            let swapped = self.run(move |shared| swap_lease(&shared.layout, expected.as_ref(), new.as_ref())).await?;
            if let Some(swapped) = swapped {
                return Ok(swapped);
            }
            tokio::time::sleep(Duration::from_millis(2 + u64::from(id::random::<1>()[0] % 8))).await;
        }
        Ok(false)
    }

    async fn verify(&self, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>> {
        let referenced = referenced.clone();
        self.run(move |shared| verify::verify(&shared.layout, &referenced)).await
    }
}

/// The lease file. One that cannot be understood (only a power cut or a person makes one) holds nobody back: safety
/// does not rest on it.
fn load_lease(layout: &Layout) -> Result<Option<LeaseRecord>> {
    let bytes = fs::read_nofollow(&layout.lease(), MAX_SMALL_BYTES).map_err(layout.unreadable())?;
    Ok(bytes.and_then(|bytes| from_canonical(bytes.strip_suffix(b"\n")?).ok()))
}

/// Compare and swap, under a lock that is held for just that. `None` while another process swaps.
fn swap_lease(layout: &Layout, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<Option<bool>> {
    if !layout.has_dir(&layout.root)? {
        layout.make_dir(&layout.root)?;
    }
    let Some(_lock) = fs::FileLock::try_take(&layout.lease_lock()).map_err(layout.not_written())? else {
        return Ok(None);
    };
    if load_lease(layout)?.as_ref() != expected {
        return Ok(Some(false));
    }
    crash::point("ledger.lease.before");
    match new {
        None => fs::remove_file(&layout.lease()).map_err(layout.not_written())?,
        Some(record) => {
            let text = to_canonical(record);
            let mut text = text.map_err(|source| LedgerError::NoForm { what: "the lease".to_owned(), source })?;
            text.push(b'\n');
            fs::write_atomic(&layout.lease(), &text, PRIVATE).map_err(layout.not_written())?;
        }
    }
    crash::point("ledger.lease.after");
    Ok(Some(true))
}

#[cfg(test)]
mod tests;

//! Where the files of a local ledger are, and the few ways in which they come into being.

use std::path::{Path, PathBuf};

use crate::ledger::checkpoint::POINTER;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::Digest;
use crate::ports::{crash, fs};

/// The largest segment that is read or written, in bytes. It is held in memory while it is read.
pub(super) const MAX_SEGMENT_BYTES: u64 = 1024 * 1024 * 1024;

/// How large the small files (marker, key, lease) may be, in bytes; they have a few hundred.
pub(super) const MAX_SMALL_BYTES: u64 = 64 * 1024;

/// The permission bits of everything but blobs.
pub(super) const PRIVATE: u32 = 0o600;

/// The directory of one environment's ledger.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn place(&self) -> String {
        self.root.display().to_string()
    }

    pub(super) fn marker(&self) -> PathBuf {
        self.root.join("marker.json")
    }

    pub(super) fn pointer(&self) -> PathBuf {
        self.root.join(POINTER)
    }

    pub(super) fn key(&self) -> PathBuf {
        self.root.join("key")
    }

    pub(super) fn lease(&self) -> PathBuf {
        self.root.join("lease.json")
    }

    pub(super) fn lease_lock(&self) -> PathBuf {
        self.root.join("lease.lock")
    }

    /// Held by who removes blobs, while it does.
    pub(super) fn blobs_lock(&self) -> PathBuf {
        self.root.join("blobs.lock")
    }

    pub(super) fn segments_dir(&self) -> PathBuf {
        self.root.join("ledger")
    }

    pub(super) fn segment(&self, epoch: u64) -> PathBuf {
        self.root.join(segment_name(epoch))
    }

    pub(super) fn blobs_dir(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.blobs_dir().join(&hex[..2]).join(&hex[2..])
    }

    /// An error of reading.
    pub(super) fn unreadable(&self) -> impl Fn(fs::FsError) -> LedgerError {
        let place = self.place();
        move |source| LedgerError::Unreadable { place: place.clone(), source }
    }

    /// An error of writing.
    pub(super) fn not_written(&self) -> impl Fn(fs::FsError) -> LedgerError {
        let place = self.place();
        move |source| LedgerError::NotWritten { place: place.clone(), source }
    }

    /// A file that is not what it has to be.
    pub(super) fn corrupt(&self, file: &str, reason: impl Into<String>) -> LedgerError {
        let (file, reason) = (file.to_owned(), reason.into());
        LedgerError::Corrupt { place: self.place(), file, line: None, seq: None, reason }
    }

    /// Whether a directory is there. A link or a file in its place is an error.
    pub(super) fn has_dir(&self, path: &Path) -> Result<bool> {
        match fs::kind_nofollow(path).map_err(self.unreadable())? {
            None => Ok(false),
            Some(fs::Kind::Directory) => Ok(true),
            Some(_) => {
                let name = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
                Err(self.corrupt(&name, "it is not a directory"))
            }
        }
    }

    /// Makes the root or a directory below it if need be, and makes its name durable, also if a crash had come
    /// between the two.
    pub(super) fn make_dir(&self, path: &Path) -> Result<()> {
        let below = path.ancestors().take_while(|dir| dir.starts_with(&self.root)).count();
        let missing = path.ancestors().take_while(|dir| matches!(fs::kind_nofollow(dir), Ok(None))).count();
        if !self.has_dir(path)? {
            fs::create_private_dir(path).map_err(self.not_written())?;
            crash::point("ledger.dir.created");
        }
        for dir in path.ancestors().skip(1).take(below.max(missing)) {
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            fs::sync_dir(dir).map_err(self.not_written())?;
        }
        crash::point("ledger.dir.synced");
        Ok(())
    }

    /// Creates a file with all its content in one act, durably: a synced temporary file beside it gets its name by
    /// link(2), which fails if the name is taken. Says whether it was this call that created it.
    pub(super) fn create(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let temporary = fs::temporary_beside(path);
        let created = fs::write_new(&temporary, bytes, PRIVATE).and_then(|()| {
            crash::point("ledger.create.written");
            match fs::hard_link(&temporary, path) {
                Ok(()) => Ok(true),
                Err(e) if e.source.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
                // Another writer tidied the temporary file away: as good as not having come first.
                Err(e) if e.is_not_found() => Ok(false),
                Err(e) => Err(e),
            }
        });
        crash::point("ledger.create.linked");
        let removed = fs::remove_file(&temporary);
        let created = created.map_err(self.not_written())?;
        removed.and_then(|()| fs::sync_parent(path)).map_err(self.not_written())?;
        crash::point("ledger.create.synced");
        Ok(created)
    }

    /// The epochs of the segments that there are, ascending. Files that are none are not looked at.
    pub(super) fn epochs(&self) -> Result<Vec<u64>> {
        let dir = self.segments_dir();
        if !self.has_dir(&dir)? {
            return Ok(Vec::new());
        }
        let mut epochs = Vec::new();
        for (name, kind) in fs::list(&dir).map_err(self.unreadable())? {
            let Some(epoch) = epoch_of(&name) else { continue };
            if kind != fs::Kind::File {
                return Err(self.corrupt(&format!("ledger/{name}"), "it is not a regular file"));
            }
            epochs.push(epoch);
        }
        epochs.sort_unstable();
        // A writer's look for a successor is a look for the next epoch, so a gap would blind it. A listing that others
        // add to meanwhile may hold a name and not the older one before it: what it lacks is looked at by itself.
        for epoch in 1..=epochs.last().copied().unwrap_or(0) {
            if epochs.binary_search(&epoch).is_ok() {
                continue;
            }
            if fs::kind_nofollow(&self.segment(epoch)).map_err(self.unreadable())? != Some(fs::Kind::File) {
                return Err(self.corrupt(&segment_name(epoch), "the segment is missing"));
            }
            epochs.insert(epochs.partition_point(|&other| other < epoch), epoch);
        }
        Ok(epochs)
    }
}

/// The name of a segment, relative to the root.
pub(super) fn segment_name(epoch: u64) -> String {
    format!("ledger/{epoch:020}.jsonl")
}

/// The epoch that a file name in the segments' directory stands for.
pub(super) fn epoch_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    let epoch = (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())??;
    Some(epoch).filter(|&e| e > 0)
}

/// Whether a file name is that of a temporary file of [`Layout::create`] or of a blob that is being written.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

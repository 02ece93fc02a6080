//! Content-addressed files: bundles, artifacts, evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::ledger::backend::MAX_BLOB_BYTES;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, Digester, digest};
use crate::ports::{crash, fs};

use super::layout::{Layout, is_temporary};

/// Nobody writes a blob again, its owner included.
const READ_ONLY: u32 = 0o400;

/// A blob that is run.
const EXECUTABLE: u32 = 0o500;

/// A blob that comes in piece by piece, until it is whole.
pub(super) const INCOMING: u32 = 0o600;

/// Keeps bytes.
pub(super) fn put(layout: &Layout, bytes: &[u8]) -> Result<Digest> {
    let size = bytes.len() as u64;
    if size > MAX_BLOB_BYTES {
        return Err(LedgerError::TooLarge { what: "a blob".to_owned(), bytes: size, limit: MAX_BLOB_BYTES });
    }
    let digest = digest(bytes);
    let path = layout.blob(&digest);
    if settled(layout, &digest)? {
        return Ok(digest);
    }
    let temporary = prepare(layout, &path)?;
    fs::write_new(&temporary, bytes, READ_ONLY).map_err(clean_up(layout, &temporary))?;
    place(layout, &temporary, &path)?;
    Ok(digest)
}

/// Keeps the content of a file.
pub(super) fn put_file(layout: &Layout, from: &Path, executable: bool) -> Result<(Digest, u64)> {
    layout.make_dir(&layout.blobs_dir())?;
    let temporary = fs::temporary_beside(&layout.blobs_dir().join("new"));
    let mode = if executable { EXECUTABLE } else { READ_ONLY };
    let mut digester = Digester::default();
    let size =
        fs::copy_new(from, &temporary, mode, MAX_BLOB_BYTES, &mut |piece| digester.update(piece)).map_err(|error| {
            match clean_up(layout, &temporary)(error) {
                LedgerError::NotWritten { source, .. } if source.path == from => LedgerError::NotKept { source },
                other => other,
            }
        })?;
    let digest = digester.finish();
    let path = layout.blob(&digest);
    let there = settled(layout, &digest)?;
    // A blob that was kept as plain data and now is to be run is replaced by the copy that may be.
    if there && (!executable || fs::mode(&path).map_err(layout.unreadable())? == EXECUTABLE) {
        fs::remove_file(&temporary).map_err(layout.not_written())?;
        return Ok((digest, size));
    }
    layout.make_dir(path.parent().unwrap_or(&layout.root))?;
    place(layout, &temporary, &path)?;
    Ok((digest, size))
}

/// The name of a file that is going to be a blob.
pub(super) fn begin(layout: &Layout) -> Result<PathBuf> {
    let temporary = prepare(layout, &layout.blobs_dir().join("new"))?;
    fs::write_new(&temporary, &[], INCOMING).map_err(clean_up(layout, &temporary))?;
    Ok(temporary)
}

/// Makes a blob that can be run of such a file.
pub(super) fn finish(layout: &Layout, temporary: &Path, digest: &Digest) -> Result<PathBuf> {
    let path = layout.blob(digest);
    layout.make_dir(path.parent().unwrap_or(&layout.root))?;
    fs::set_mode(temporary, EXECUTABLE).map_err(clean_up(layout, temporary))?;
    fs::sync_file(temporary).map_err(clean_up(layout, temporary))?;
    place(layout, temporary, &path)?;
    Ok(path)
}

/// The bytes of a blob, verified.
pub(super) fn get(layout: &Layout, wanted: Digest) -> Result<Vec<u8>> {
    let place = layout.place();
    match fs::read_nofollow(&layout.blob(&wanted), MAX_BLOB_BYTES).map_err(layout.unreadable())? {
        None => Err(LedgerError::BlobMissing { place, digest: wanted }),
        Some(bytes) if digest(&bytes) == wanted => Ok(bytes),
        Some(_) => Err(LedgerError::BlobCorrupt { place, digest: wanted }),
    }
}

/// The file of a blob, verified.
pub(super) fn file(layout: &Layout, wanted: Digest) -> Result<PathBuf> {
    let path = layout.blob(&wanted);
    let mut digester = Digester::default();
    let read = fs::read_pieces(&path, true, MAX_BLOB_BYTES, &mut |piece| {
        digester.update(piece);
        Ok(())
    });
    match read {
        Err(e) if e.is_not_found() => Err(LedgerError::BlobMissing { place: layout.place(), digest: wanted }),
        Err(e) => Err(layout.unreadable()(e)),
        Ok(_) if digester.finish() == wanted => Ok(path),
        Ok(_) => Err(LedgerError::BlobCorrupt { place: layout.place(), digest: wanted }),
    }
}

/// The blobs that there are, and the names that are none, relative to the root.
pub(super) fn list(layout: &Layout) -> Result<(Vec<Digest>, Vec<String>)> {
    let (mut blobs, mut strays) = (Vec::new(), Vec::new());
    let dir = layout.blobs_dir();
    if !layout.has_dir(&dir)? {
        return Ok((blobs, strays));
    }
    for (start, kind) in fs::list(&dir).map_err(layout.unreadable())? {
        if kind != fs::Kind::Directory {
            strays.push(format!("blobs/{start}"));
            continue;
        }
        for (rest, kind) in fs::list(&dir.join(&start)).map_err(layout.unreadable())? {
            match format!("{start}{rest}").parse() {
                Ok(digest) if kind == fs::Kind::File && start.len() == 2 => blobs.push(digest),
                _ => strays.push(format!("blobs/{start}/{rest}")),
            }
        }
    }
    Ok((blobs, strays.into_iter().filter(|name| !name.rsplit('/').next().is_some_and(is_temporary)).collect()))
}

/// The sizes of the blobs that there are.
pub(super) fn sizes(layout: &Layout) -> Result<BTreeMap<Digest, u64>> {
    let (all, _) = list(layout)?;
    let size = |digest: Digest| match fs::size(&layout.blob(&digest)) {
        Ok(size) => Ok(Some((digest, size))),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(layout.unreadable()(e)),
    };
    all.into_iter().map(size).filter_map(Result::transpose).collect()
}

/// Removes blobs as the writer of an epoch; those that are not there are gone already. `None` while another removes some.
///
/// The lock is what a successor waits for after it has taken over ([`nobody_removes`]): either it is seen here, or it finds no
/// blob that goes after it looked. A lock that a killed process held is free.
pub(super) fn remove(layout: &Layout, epoch: u64, blobs: &BTreeSet<Digest>) -> Result<Option<()>> {
    let Some(_lock) = fs::FileLock::try_take(&layout.blobs_lock()).map_err(layout.not_written())? else {
        return Ok(None);
    };
    if super::write::has_successor(layout, epoch)? {
        return Err(LedgerError::Fenced { place: layout.place() });
    }
    discard(layout, blobs)?;
    Ok(Some(()))
}

/// Removes blobs, whoever may need them.
pub(super) fn discard(layout: &Layout, blobs: &BTreeSet<Digest>) -> Result<()> {
    for digest in blobs {
        crash::point("ledger.blob.remove");
        fs::remove_file(&layout.blob(digest)).map_err(layout.not_written())?;
    }
    Ok(())
}

/// Whether no earlier writer is at removing blobs. Who has taken over asks this before it puts any.
pub(super) fn nobody_removes(layout: &Layout) -> Result<bool> {
    let lock = layout.blobs_lock();
    // Where there is none, whoever makes it looks for a successor after that.
    if fs::kind_nofollow(&lock).map_err(layout.unreadable())?.is_none() {
        return Ok(true);
    }
    Ok(fs::FileLock::try_take(&lock).map_err(layout.not_written())?.is_some())
}

/// Whether a blob is there with the content that its name says, durably. A rotten one is not: it is replaced.
fn settled(layout: &Layout, digest: &Digest) -> Result<bool> {
    match file(layout, *digest) {
        Ok(_) => {
            // Its content was synced before it got its name; whether its name was, only its writer knew.
            fs::sync_parent(&layout.blob(digest)).map_err(layout.not_written())?;
            Ok(true)
        }
        Err(LedgerError::BlobMissing { .. } | LedgerError::BlobCorrupt { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

fn prepare(layout: &Layout, path: &Path) -> Result<PathBuf> {
    layout.make_dir(&layout.blobs_dir())?;
    layout.make_dir(path.parent().unwrap_or(&layout.root))?;
    Ok(fs::temporary_beside(path))
}

fn place(layout: &Layout, temporary: &Path, path: &Path) -> Result<()> {
    crash::point("ledger.blob.written");
    fs::rename(temporary, path).map_err(clean_up(layout, temporary))?;
    crash::point("ledger.blob.named");
    fs::sync_parent(path).map_err(layout.not_written())?;
    crash::point("ledger.blob.synced");
    Ok(())
}

fn clean_up<'a>(layout: &'a Layout, temporary: &'a Path) -> impl Fn(fs::FsError) -> LedgerError + 'a {
    move |error| {
        let _ = fs::remove_file(temporary);
        layout.not_written()(error)
    }
}

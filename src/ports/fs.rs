//! The disk. Every error names the act and the path.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A failed act on the disk.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} {}", path.display())]
pub struct FsError {
    /// What was tried, as in "cannot … PATH".
    pub act: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// Whether the file or directory does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// What a call to the disk gives.
pub type Result<T> = std::result::Result<T, FsError>;

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
    let path = path.to_path_buf();
    move |source| FsError { act, path, source }
}

/// Reads a regular file of at most `limit` bytes whole. A pipe, device or directory is an error, never a hang.
///
/// # Errors
/// When it cannot be read, is no regular file or is larger than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed("read", path))?;
    let meta = file.metadata().map_err(failed("read", path))?;
    if !meta.is_file() {
        let kind = if meta.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(failed("read", path)(io::Error::other(kind)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(limit)).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(failed("read", path)(io::Error::other(format!("it is larger than the limit of {limit} bytes"))));
    }
    Ok(bytes)
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, not followed.
    Link,
    /// Anything else.
    Other,
}

/// The names in a directory with their kinds, sorted by name; names that are not UTF-8 are given as far as readable.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(path: &Path) -> Result<Vec<(String, Kind)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed("list", path))? {
        let entry = entry.map_err(failed("list", path))?;
        let kind = entry.file_type().map_err(failed("list", path))?;
        let kind = match () {
            () if kind.is_file() => Kind::File,
            () if kind.is_dir() => Kind::Directory,
            () if kind.is_symlink() => Kind::Link,
            () => Kind::Other,
        };
        names.push((entry.file_name().to_string_lossy().into_owned(), kind));
    }
    names.sort();
    Ok(names)
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}

/// What stands at a path, following links; `None` if nothing does.
#[must_use]
pub fn kind(path: &Path) -> Option<Kind> {
    let meta = std::fs::metadata(path).ok()?;
    Some(match () {
        () if meta.is_file() => Kind::File,
        () if meta.is_dir() => Kind::Directory,
        () => Kind::Other,
    })
}

/// The size of a file in bytes.
///
/// # Errors
/// When it cannot be asked.
pub fn size(path: &Path) -> Result<u64> {
    std::fs::metadata(path).map(|m| m.len()).map_err(failed("look at", path))
}

/// The permission bits of a file.
///
/// # Errors
/// When it cannot be asked.
pub fn mode(path: &Path) -> Result<u32> {
    std::fs::metadata(path).map(|m| m.permissions().mode() & 0o7777).map_err(failed("look at", path))
}

/// Makes a directory and its parents, readable by its owner alone (0700).
///
/// # Errors
/// When it cannot be made.
pub fn create_private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create the directory", path))
}

/// Makes a directory and its parents with the umask's permissions.
///
/// # Errors
/// When it cannot be made.
pub fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(failed("create the directory", path))
}

/// Makes a directory and its parents with these permissions, less the umask's; those that are there stay as they are.
///
/// # Errors
/// When it cannot be made.
pub fn create_dir_with(path: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("create the directory", path))
}

/// Writes a file so that at every instant either the old or the new content stands there, whole and durable: a
/// temporary file beside it, synced, renamed, the directory synced.
///
/// # Errors
/// When any of these acts fails; the old content then still stands.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, mode).and_then(|()| {
        std::fs::rename(&temporary, path).map_err(failed("write", path))?;
        sync_parent(path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Writes a file that must not exist yet, and syncs it (not its directory). Links are not followed.
///
/// # Errors
/// When it exists or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed("create", path))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("sync", path))
}

/// Reads at most the last `limit` bytes of a regular file.
///
/// # Errors
/// When it cannot be read or is no regular file.
pub fn read_tail(path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed("read", path))?;
    let meta = file.metadata().map_err(failed("read", path))?;
    if !meta.is_file() {
        return Err(failed("read", path)(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(meta.len().saturating_sub(limit)))
        .and_then(|_| file.take(limit).read_to_end(&mut bytes))
        .map_err(failed("read", path))?;
    Ok(bytes)
}

/// Adds bytes to the end of a file, which is made if it is not there. Not synced.
///
/// # Errors
/// When it cannot be written.
pub fn append(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(failed("write", path))
}

/// A name for a temporary file beside `path`, unique to this process and call.
#[must_use]
pub fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.tmp", super::id::random_hex::<8>()))
}

/// Gives `path` a second, new name `to`; fails if `to` exists. With a synced file this is an atomic create.
///
/// # Errors
/// When `to` exists or the file system refuses.
pub fn hard_link(path: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(path, to).map_err(failed("create", to))
}

/// Renames a file.
///
/// # Errors
/// When it cannot be renamed.
pub fn rename(path: &Path, to: &Path) -> Result<()> {
    std::fs::rename(path, to).map_err(failed("rename", path))
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

/// Removes a directory with all that is in it; one that is not there is fine.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

/// Makes a directory's entries durable.
///
/// # Errors
/// When the sync fails.
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|d| d.sync_all()).map_err(failed("sync the directory", path))
}

/// Makes the name of a file durable: syncs its directory.
///
/// # Errors
/// When the sync fails.
pub fn sync_parent(path: &Path) -> Result<()> {
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The absolute path with all links resolved.
///
/// # Errors
/// When part of it does not exist.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(failed("resolve", path))
}

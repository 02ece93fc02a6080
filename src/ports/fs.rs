//! The disk. Every error names the act and the path.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
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

/// Whether the disk lets an act happen: tests let it refuse.
fn allowed(act: &'static str, path: &Path) -> Result<()> {
    super::crash::disk(act, path).map_err(failed(act, path))
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

/// Reads at most the first `limit` bytes of a regular file.
///
/// # Errors
/// When it cannot be read or is no regular file.
pub fn read_start(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed("read", path))?;
    if !file.metadata().map_err(failed("read", path))?.is_file() {
        return Err(failed("read", path)(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(failed("read", path))?;
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
    allowed("create the directory", path)?;
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
        allowed("write", path)?;
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
    allowed("create", path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(failed("create", path))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    allowed("sync", path)?;
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
    allowed("create", to)?;
    std::fs::hard_link(path, to).map_err(failed("create", to))
}

/// Renames a file.
///
/// # Errors
/// When it cannot be renamed.
pub fn rename(path: &Path, to: &Path) -> Result<()> {
    allowed("rename", path)?;
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
    allowed("sync the directory", path)?;
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

/// What stands at a path, not following a link; `None` if nothing does. Unlike [`kind`], a path that cannot be looked
/// at is an error: it must not be taken for one where nothing is.
///
/// # Errors
/// When the system does not tell.
pub fn kind_nofollow(path: &Path) -> Result<Option<Kind>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some(Kind::File)),
        Ok(meta) if meta.is_dir() => Ok(Some(Kind::Directory)),
        Ok(meta) if meta.is_symlink() => Ok(Some(Kind::Link)),
        Ok(_) => Ok(Some(Kind::Other)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("look at", path)(e)),
    }
}

/// Reads a regular file as [`read`] does, refusing a symbolic link in its last component; `None` if nothing is there.
///
/// # Errors
/// When it is no regular file, is larger than `limit`, or cannot be read.
pub fn read_nofollow(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match kind_nofollow(path)? {
        None => Ok(None),
        Some(Kind::Link) => Err(failed("read", path)(io::Error::other("it is a symbolic link"))),
        Some(_) => match read(path, limit) {
            // Removed between the two looks.
            Err(e) if e.is_not_found() => Ok(None),
            read => read.map(Some),
        },
    }
}

/// Reads a regular file from a place on, at most `limit` bytes; a symbolic link in the last component is refused. Gives the
/// bytes and the place.
///
/// # Errors
/// When it is no regular file, holds more, or cannot be read.
pub fn read_on(path: &Path, from: u64, limit: u64) -> Result<(Vec<u8>, u64)> {
    let fail = |e: io::Error| failed("read", path)(e);
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = file.map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() || metadata.len().saturating_sub(from) > limit {
        return Err(fail(io::Error::other("it is not a regular file, or too large")));
    }
    file.seek(io::SeekFrom::Start(from)).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(fail)?;
    Ok((bytes, from))
}

/// Makes the content of a file durable, whoever wrote it.
///
/// # Errors
/// When it cannot be opened or the sync fails.
pub fn sync_file(path: &Path) -> Result<()> {
    allowed("sync", path)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

/// Sets the permission bits of a file.
///
/// # Errors
/// When the system refuses.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))
}

/// Reads a regular file of at most `limit` bytes piece by piece, for what is too large to hold; a symbolic link in the
/// last component is refused if `nofollow`. Gives its size in bytes.
///
/// # Errors
/// When it is no regular file, is larger than `limit`, cannot be read, or `see` fails.
pub fn read_pieces(path: &Path, nofollow: bool, limit: u64, see: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let nofollow = if nofollow { rustix::fs::OFlags::NOFOLLOW } else { rustix::fs::OFlags::empty() };
    let flags = rustix::fs::OFlags::NONBLOCK | nofollow;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = file.map_err(failed("read", path))?;
    if !file.metadata().map_err(failed("read", path))?.is_file() {
        return Err(failed("read", path)(io::Error::other("it is not a regular file")));
    }
    let (mut buffer, mut size) = (vec![0_u8; 256 * 1024], 0_u64);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed("read", path)(e)),
        };
        size += count as u64;
        if size > limit {
            let reason = format!("it is larger than the limit of {limit} bytes");
            return Err(failed("read", path)(io::Error::other(reason)));
        }
        see(&buffer[..count])?;
    }
}

/// Copies a regular file of at most `limit` bytes to a path where nothing stands yet, syncs the copy, and shows each
/// piece to `see` on the way. Gives its size in bytes.
///
/// # Errors
/// When the source cannot be read or is larger than `limit`, or the copy exists or cannot be written; what was
/// written of it is left for the caller to remove.
pub fn copy_new(from: &Path, to: &Path, mode: u32, limit: u64, see: &mut dyn FnMut(&[u8])) -> Result<u64> {
    let mut copy =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed("create", to))?;
    let size = read_pieces(from, false, limit, &mut |piece| {
        see(piece);
        copy.write_all(piece).map_err(failed("write", to))
    })?;
    copy.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed("write", to))?;
    allowed("sync", to)?;
    copy.sync_all().map_err(failed("sync", to))?;
    Ok(size)
}

/// Which file or directory a path or handle stands for, so that one that was replaced or removed is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    fn of(meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(meta.dev(), meta.ino())
    }
}

/// Which directory a path leads to. `None` if there is nothing.
///
/// # Errors
/// When it cannot be looked at.
pub fn id(path: &Path) -> Result<Option<FileId>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some(FileId::of(&meta))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("look at", path)(e)),
    }
}

/// A file that is only ever appended to, and that is given up at the first failure: after a failed write or sync
/// nobody knows what of it reached the disk, and a second sync would say yes to what the first one lost.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    id: FileId,
    poisoned: bool,
    #[cfg(test)]
    pub(crate) fail_next: Option<&'static str>,
}

impl AppendFile {
    /// Opens an existing regular file for appending; a symbolic link is refused.
    ///
    /// # Errors
    /// When it is not there, is no regular file, or cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = OpenOptions::new().append(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = file.map_err(failed("open", path))?;
        let meta = file.metadata().map_err(failed("open", path))?;
        if !meta.is_file() {
            return Err(failed("open", path)(io::Error::other("it is not a regular file")));
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            id: FileId::of(&meta),
            poisoned: false,
            #[cfg(test)]
            fail_next: None,
        })
    }

    /// Appends bytes, all of them or an error. They are not durable before [`Self::sync`].
    ///
    /// # Errors
    /// When the write fails (part of it may stand there), or an earlier act on this handle failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.act("write", |file| file.write_all(bytes))
    }

    /// Makes what was appended durable (fdatasync).
    ///
    /// # Errors
    /// When the sync fails, or an earlier act on this handle failed.
    pub fn sync(&mut self) -> Result<()> {
        self.act("sync", |file| file.sync_data())
    }

    /// Whether the path still leads to this very file.
    ///
    /// # Errors
    /// When the path cannot be looked at.
    pub fn is_in_place(&self) -> Result<bool> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) => Ok(FileId::of(&meta) == self.id),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed("look at", &self.path)(e)),
        }
    }

    fn act(&mut self, act: &'static str, run: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        if self.poisoned {
            return Err(failed(act, &self.path)(io::Error::other("an earlier write to it failed")));
        }
        #[cfg(test)]
        if self.fail_next == Some(act) {
            self.poisoned = true;
            return Err(failed(act, &self.path)(io::Error::other("injected")));
        }
        if let Err(refused) = allowed(act, &self.path) {
            self.poisoned = true;
            return Err(refused);
        }
        let done = run(&mut self.file);
        self.poisoned = done.is_err();
        done.map_err(failed(act, &self.path))
    }
}

/// An advisory lock on a file of its own; the system frees it when it is dropped or its process ends.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held for its lock, which goes when it is closed")] File);

impl FileLock {
    /// Tries to take the lock, making the file if need be; `None` while another holds it.
    ///
    /// # Errors
    /// When the file cannot be made or the file system knows no locks.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path);
        let file = file.map_err(failed("lock", path))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(e) if e == rustix::io::Errno::WOULDBLOCK || e == rustix::io::Errno::INTR => Ok(None),
            Err(e) => Err(failed("lock", path)(e.into())),
        }
    }
}

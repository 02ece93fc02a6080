//! Unix sockets in directories whose names may be longer than a socket's address allows.
//!
//! An address has room for about 100 bytes. Where a path is longer, Linux is given the directory as `/proc/self/fd/N`, which
//! names the very same one; elsewhere the socket goes to a directory of our own under `/tmp`, named by a digest of the path.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// What every system takes: macOS has 104 bytes with the closing zero.
const ADDRESS_MAX: usize = 100;

/// A path that fits an address, and the descriptor that has to stay open while it is used.
struct Address {
    path: PathBuf,
    _directory: Option<std::fs::File>,
}

fn address(directory: &Path, name: &str) -> io::Result<Address> {
    let plain = directory.join(name);
    if plain.as_os_str().len() <= ADDRESS_MAX {
        return Ok(Address { path: plain, _directory: None });
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        let open = std::fs::File::open(directory)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", open.as_raw_fd()));
        Ok(Address { path, _directory: Some(open) })
    }
    #[cfg(not(target_os = "linux"))]
    {
        Ok(Address { path: short(&plain)?, _directory: None })
    }
}

/// A short path for a long one: in a directory that belongs to us alone, or it is refused.
#[cfg(not(target_os = "linux"))]
fn short(plain: &Path) -> io::Result<PathBuf> {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    let user = rustix::process::getuid().as_raw();
    let directory = PathBuf::from(format!("/tmp/gantry-{user}"));
    match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let meta = std::fs::symlink_metadata(&directory)?;
    if !meta.is_dir() || meta.uid() != user || meta.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} is not a directory of ours alone", directory.display())));
    }
    let digest = sha2::Sha256::digest(plain.as_os_str().as_bytes());
    let name = digest.iter().take(16).fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    });
    Ok(directory.join(name))
}

/// Listens on a socket `name` in `directory`, for its owner alone, in place of one that a dead process left there.
///
/// # Errors
/// When the system refuses.
pub fn bind_in(directory: &Path, name: &str) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    let address = address(directory, name)?;
    match std::fs::remove_file(&address.path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&address.path)?;
    std::fs::set_permissions(&address.path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to a socket `name` in `directory`.
///
/// # Errors
/// When nobody listens there.
pub async fn connect_in(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let address = address(directory, name)?;
    UnixStream::connect(&address.path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_directory_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a".repeat(120)).join("b".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        for _ in 0..2 {
            let listener = bind_in(&deep, "control.sock").unwrap();
            let (client, server) = tokio::join!(connect_in(&deep, "control.sock"), listener.accept());
            client.unwrap();
            server.unwrap();
        }
        assert!(connect_in(&deep, "control.sock").await.is_err(), "nobody listens any more");
    }
}

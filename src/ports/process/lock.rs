//! A lock that a process holds for as long as it lives.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A held `flock(2)` on a file. The system frees it when the process ends, however it ends; it is not inherited over an exec.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its descriptor")] File);

impl Lock {
    /// Takes the lock if nobody holds it; `None` if somebody does.
    ///
    /// # Errors
    /// When the file cannot be made or locked for another reason.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether somebody holds it. A file that does not exist is held by nobody.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        path.exists() && matches!(Self::try_take(path), Ok(None))
    }
}

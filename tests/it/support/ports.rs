//! Free ports, reserved among all tests that run at once, in whatever process.

use std::fs::{File, TryLockError};
use std::net::TcpStream;
use std::ops::RangeInclusive;

/// Below what the system hands out by itself (32768 and up on Linux), so that no replica of anybody gets one.
const RANGE: RangeInclusive<u16> = 21_000..=28_999;

/// A port that nobody else gets, as long as this lives.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    pub(crate) number: u16,
    /// Its lock ends with the process, also when that is killed: no stale reservation has to be cleaned up.
    _lock: File,
}

impl ReservedPort {
    pub(crate) fn take() -> Self {
        let folder = std::env::temp_dir().join("gantry-test-ports");
        std::fs::create_dir_all(&folder).expect("the temporary directory is writable");
        let width = u32::from(RANGE.end() - RANGE.start()) + 1;
        // Each process begins elsewhere, so that they seldom meet.
        let first = std::process::id().wrapping_mul(37) % width;
        for step in 0..width {
            let offset = u16::try_from((first + step) % width).expect("invariant: the range is one of ports");
            let number = RANGE.start() + offset;
            let lock = File::create(folder.join(number.to_string())).expect("the temporary directory is writable");
            match lock.try_lock() {
                Ok(()) if is_silent(number) => return Self { number, _lock: lock },
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => panic!("cannot lock in {}: {e}", folder.display()),
            }
        }
        panic!("no port from {} to {} is free", RANGE.start(), RANGE.end());
    }
}

/// Whether nobody listens there. Asked by connecting, not by listening for a moment: a child that another thread forks
/// in that moment would hold the listener until it runs its own program, and the port would be in use after all.
fn is_silent(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

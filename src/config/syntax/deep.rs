//! A stack that is deep enough.

use std::sync::{Mutex, PoisonError};

/// The stack of the thread that parses and lowers: 64 levels of nesting need up to 2 MiB in a debug build, and a chain of
/// 128 operators stands on each; the pages are only taken when touched.
const STACK: usize = 64 << 20;

/// Runs `work` on a thread with a stack for the deepest nesting that is accepted. If no thread can be had, it runs here.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let slot = Mutex::new(Some(work));
    let take = || slot.lock().unwrap_or_else(PoisonError::into_inner).take().map(|work| work());
    let done = std::thread::scope(|scope| {
        match std::thread::Builder::new().name("config".into()).stack_size(STACK).spawn_scoped(scope, take) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => take(),
        }
    });
    done.expect("invariant: the work is taken once, here or there")
}

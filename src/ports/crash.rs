//! Counted crash points.
//!
//! Every durable write, every call to a target and every answer stands behind a point. Built with the feature
//! `crash-points`, the process kills itself (SIGKILL, nothing is cleaned up) at the point whose number
//! `GANTRY_CRASH_AT` names (or at the so-many-th passage of a point by its name: `ledger.blob.synced#2`), and appends the name of each point that it passes to the file `GANTRY_CRASH_LOG`, so
//! that a test can enumerate them. Without the feature a point is nothing.

use std::io;
use std::path::Path;

/// Passes a crash point.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(feature = "crash-points")]
    counted::pass(name);
    #[cfg(test)]
    watched::pass(name);
    #[cfg(not(feature = "crash-points"))]
    let _ = name;
}

/// After how many entries a checkpoint is written, where a test says so with `GANTRY_CHECKPOINT_AFTER`: only with the feature.
#[must_use]
pub(crate) fn checkpoint_after() -> Option<u64> {
    #[cfg(feature = "crash-points")]
    return counted::checkpoint_after();
    #[cfg(not(feature = "crash-points"))]
    None
}

/// Passes an act that changes a ledger's directory, and says whether the disk refuses it.
///
/// Built with the feature `crash-points` and with `GANTRY_DISK_FAIL=N`, the N-th such act and all after it fail as on a full disk;
/// with `N:once` that one alone fails, as a sync does whose pages were lost. `GANTRY_DISK_LOG` names a file that gets each act.
/// Without the feature no act fails.
#[inline]
pub(super) fn disk(act: &'static str, path: &Path) -> io::Result<()> {
    #[cfg(feature = "crash-points")]
    counted::disk(act, path)?;
    let _ = (act, path);
    Ok(())
}

#[cfg(feature = "crash-points")]
mod counted {
    use std::io::{self, Write as _};
    use std::path::Path;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Where the process dies.
    enum Target {
        /// At the so-many-th point.
        Number(u64),
        /// At the so-many-th passage of this one.
        Passage(String, u64),
    }

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static PASSAGES: AtomicU64 = AtomicU64::new(0);
    static ACTS: AtomicU64 = AtomicU64::new(0);
    static TARGET: OnceLock<Option<Target>> = OnceLock::new();

    fn target() -> Option<Target> {
        let text = std::env::var("GANTRY_CRASH_AT").ok()?;
        match text.split_once('#') {
            Some((name, count)) => Some(Target::Passage(name.to_owned(), count.parse().ok()?)),
            None => Some(Target::Number(text.parse().ok()?)),
        }
    }

    pub(super) fn checkpoint_after() -> Option<u64> {
        std::env::var("GANTRY_CHECKPOINT_AFTER").ok()?.parse().ok()
    }

    pub(super) fn disk(act: &str, path: &Path) -> io::Result<()> {
        if !path.components().any(|part| part.as_os_str() == "state") {
            return Ok(());
        }
        let number = ACTS.fetch_add(1, Ordering::SeqCst) + 1;
        note("GANTRY_DISK_LOG", number, &format!("{act} {}", path.display()));
        let Ok(asked) = std::env::var("GANTRY_DISK_FAIL") else { return Ok(()) };
        let (at, once) = asked.strip_suffix(":once").map_or((asked.as_str(), false), |at| (at, true));
        match at.parse::<u64>() {
            Ok(at) if once && number == at => Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())),
            Ok(at) if !once && number >= at => {
                Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error()))
            }
            _ => Ok(()),
        }
    }

    fn note(variable: &str, number: u64, what: &str) {
        if let Some(path) = std::env::var_os(variable)
            && let Ok(mut log) = std::fs::OpenOptions::new().create(true).append(true).open(path)
        {
            let _ = writeln!(log, "{number} {what}");
        }
    }

    pub(super) fn pass(name: &str) {
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        note("GANTRY_CRASH_LOG", number, name);
        let dies = match TARGET.get_or_init(target) {
            None => false,
            Some(Target::Number(at)) => number == *at,
            Some(Target::Passage(at, count)) => at == name && PASSAGES.fetch_add(1, Ordering::SeqCst) + 1 == *count,
        };
        if dies {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

/// In tests a thread may watch the points that it passes: there the simulated world lets its process die.
#[cfg(test)]
pub(crate) mod watched {
    use std::cell::RefCell;
    use std::rc::Rc;

    type Watch = Rc<dyn Fn(&'static str)>;

    thread_local! {
        static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
    }

    /// From here on this thread's points are told to `watch`.
    pub(crate) fn set(watch: Option<Watch>) {
        WATCH.with(|w| *w.borrow_mut() = watch);
    }

    pub(super) fn pass(name: &'static str) {
        // Taken out before it is called: what it does may pass points itself.
        let watch = WATCH.with(|w| w.borrow().clone());
        if let Some(watch) = watch {
            watch(name);
        }
    }
}

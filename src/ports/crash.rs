//! Counted crash points.
//!
//! Every durable write, every call to a target and every answer stands behind a point. Built with the feature
//! `crash-points`, the process kills itself (SIGKILL, nothing is cleaned up) at the point whose number
//! `GANTRY_CRASH_AT` names, and appends the name of each point that it passes to the file `GANTRY_CRASH_LOG`, so
//! that a test can enumerate them. Without the feature a point is nothing.

/// Passes a crash point.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(feature = "crash-points")]
    counted::pass(name);
    #[cfg(not(feature = "crash-points"))]
    let _ = name;
}

#[cfg(feature = "crash-points")]
mod counted {
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static TARGET: OnceLock<Option<u64>> = OnceLock::new();

    pub(super) fn pass(name: &str) {
        let target = *TARGET.get_or_init(|| std::env::var("GANTRY_CRASH_AT").ok()?.parse().ok());
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(path) = std::env::var_os("GANTRY_CRASH_LOG")
            && let Ok(mut log) = std::fs::OpenOptions::new().create(true).append(true).open(path)
        {
            let _ = writeln!(log, "{number} {name}");
        }
        if target == Some(number) {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}

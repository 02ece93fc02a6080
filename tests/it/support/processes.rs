//! The processes of a sandbox: found by what they are, never by a pid that was written down.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// How often killing is tried: a supervisor may start a replica between the look and the kill.
const ROUNDS: usize = 20;

/// The processes that belong to a directory: their program, working directory, arguments or environment lies in it. All
/// that a sandbox starts has its HOME there, and passes it on or works there.
pub(crate) fn of(folder: &Path) -> Vec<(Pid, String)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| Pid::from_raw(name.parse().ok()?));
    pids.filter(|pid| *pid != rustix::process::getpid())
        .filter_map(|pid| belongs(pid, folder).map(|command| (pid, command)))
        .collect()
}

/// The command line of a process that belongs to the folder and has not ended.
fn belongs(pid: Pid, folder: &Path) -> Option<String> {
    let proc = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let status = std::fs::read_to_string(proc.join("stat")).ok()?;
    // After the last parenthesis, since a program's name may hold anything.
    if status.rsplit(')').next()?.trim_start().starts_with(['Z', 'X']) {
        return None;
    }
    let points_inside = |name: &str| std::fs::read_link(proc.join(name)).is_ok_and(|to| to.starts_with(folder));
    let needle = folder.as_os_str().as_encoded_bytes();
    let mentions = |name: &str| {
        std::fs::read(proc.join(name)).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    let ours = points_inside("exe") || points_inside("cwd") || mentions("cmdline") || mentions("environ");
    ours.then(|| {
        let arguments = std::fs::read(proc.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).replace('\0', " ").trim_end().to_owned()
    })
}

/// Ends all processes of a directory at once.
pub(crate) fn kill_all(folder: &Path) {
    for _ in 0..ROUNDS {
        let left = of(folder);
        if left.is_empty() {
            return;
        }
        for (pid, _) in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::yield_now();
    }
}

//! The system's table of processes, as far as Linux shows it under `/proc`. Elsewhere it is empty.

use std::time::Duration;

use super::{ProcessId, Signal};

/// One line of `/proc/PID/stat`.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Row {
    pub(super) pid: u32,
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) start: String,
}

#[cfg(target_os = "linux")]
impl Row {
    pub(super) fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let behind_name = text.rsplit_once(')')?.1;
        let mut fields = behind_name.split_whitespace();
        // Fields 3 (state), 4 (parent) and 22 (start time) of proc_pid_stat(5).
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let start = fields.nth(17)?.to_owned();
        Some(Self { pid, state, parent, start })
    }

    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    fn all() -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(Self::of).collect()
    }
}

/// The running processes that have `name=value` in the environment that they were started with, and may be looked at.
#[must_use]
#[cfg(target_os = "linux")]
pub fn with_variable(name: &str, value: &str) -> Vec<ProcessId> {
    let wanted = format!("{name}={value}");
    Row::all()
        .into_iter()
        .filter(|row| !row.is_zombie() && row.pid != std::process::id())
        .filter(|row| {
            std::fs::read(format!("/proc/{}/environ", row.pid))
                .is_ok_and(|all| all.split(|b| *b == 0).any(|one| one == wanted.as_bytes()))
        })
        .filter_map(|row| ProcessId::of(row.pid).filter(|id| id.start == row.start))
        .collect()
}

/// The running processes that have `name=value` in their environment: not to be seen on this system.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn with_variable(_: &str, _: &str) -> Vec<ProcessId> {
    Vec::new()
}

/// How often the table is read again for processes that were born while others were killed. Each round ends all that it sees,
/// so only something that forks faster than `/proc` can be read survives.
const ROUNDS: usize = 20;

/// How long one killed process is waited for. It ends as soon as the system gives it a turn; only one that waits for a broken
/// disk takes longer.
const END_MOST: Duration = Duration::from_secs(1);

/// Kills every process that has `name=value` in its environment, and waits until they have ended.
pub fn kill_with_variable(name: &str, value: &str) {
    for _ in 0..ROUNDS {
        let found = with_variable(name, value);
        if found.is_empty() {
            return;
        }
        for process in &found {
            process.signal(Signal::Kill);
        }
        for process in &found {
            process.await_end(END_MOST);
        }
    }
}

/// Reaps ended children of this process that are not in `known`: the grandchildren that a subreaper inherits.
pub fn reap_orphans(known: &[u32]) {
    #[cfg(target_os = "linux")]
    for row in Row::all() {
        if row.is_zombie()
            && row.parent == std::process::id()
            && !known.contains(&row.pid)
            && let Some(pid) = i32::try_from(row.pid).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = known;
}

/// Who listens on a TCP port of this machine, as "process 123 (nginx)", where the system tells.
#[must_use]
pub fn port_owner(port: u16) -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let socket = listening_inode(port)?;
        let wanted = format!("socket:[{socket}]");
        for row in Row::all() {
            let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fd", row.pid)) else { continue };
            let holds = |e: std::fs::DirEntry| {
                std::fs::read_link(e.path()).is_ok_and(|target| target.to_str() == Some(wanted.as_str()))
            };
            if descriptors.flatten().any(holds) {
                let name = std::fs::read_to_string(format!("/proc/{}/comm", row.pid)).unwrap_or_default();
                return Some(format!("process {} ({})", row.pid, name.trim()));
            }
        }
        None
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = port;
        None
    }
}

/// The inode of the socket that listens on a port: columns 2 (local address), 4 (state, 0A is LISTEN) and 10 of
/// `/proc/net/tcp`.
#[cfg(target_os = "linux")]
fn listening_inode(port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(text) = std::fs::read_to_string(table) else { continue };
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let (Some(local), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
                && local.ends_with(&suffix)
            {
                return Some((*inode).to_owned());
            }
        }
    }
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn finds_descendants_by_their_environment_and_kills_them() {
        let value = crate::ports::id::random_hex::<8>();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "setsid sleep 60 & sleep 60 & wait"])
            .env("GANTRY_TABLE_TEST", &value)
            .spawn()
            .unwrap();
        while with_variable("GANTRY_TABLE_TEST", &value).len() < 3 {
            std::thread::yield_now();
        }
        kill_with_variable("GANTRY_TABLE_TEST", &value);
        child.wait().unwrap();
        assert!(with_variable("GANTRY_TABLE_TEST", &value).is_empty());
    }

    #[test]
    fn names_who_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let owner = port_owner(port).unwrap();
        assert!(owner.starts_with(&format!("process {}", std::process::id())), "{owner}");
    }
}

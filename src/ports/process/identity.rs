//! Who a process is.

use std::time::Duration;

use rustix::process::Pid;

/// A process, told from every other one that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in whatever unit the system counts: only ever compared.
    pub start: String,
    /// The boot that it runs in.
    pub boot: String,
}

/// The signals that are sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Terminate,
    /// End now.
    Kill,
}

impl Signal {
    fn raw(self) -> rustix::process::Signal {
        match self {
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Kill => rustix::process::Signal::KILL,
        }
    }
}

impl ProcessId {
    /// The process that has the number now; `None` if none has or it has ended and only waits to be reaped.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start: system::start_of(pid)?, boot: system::boot()? })
    }

    /// A child of ours that has not been waited for: its number is its own, ended or not.
    #[must_use]
    pub fn of_child(pid: u32) -> Option<Self> {
        Some(Self { pid, start: system::start_of_child(pid)?, boot: system::boot()? })
    }

    /// This process.
    #[must_use]
    pub fn me() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    fn raw(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }

    /// Sends a signal to it, and to nobody else. `false` if it has ended.
    pub fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = self.raw() else { return false };
        #[cfg(target_os = "linux")]
        {
            // The descriptor first, the look after it: from then on it is this process or none.
            let Ok(descriptor) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
                return false;
            };
            self.is_alive() && rustix::process::pidfd_send_signal(&descriptor, signal.raw()).is_ok()
        }
        #[cfg(not(target_os = "linux"))]
        {
            self.is_alive() && rustix::process::kill_process(pid, signal.raw()).is_ok()
        }
    }

    /// Waits until it has ended, at most so long; `false` if it still runs then. A system without pidfds is asked once.
    pub fn await_end(&self, most: Duration) -> bool {
        #[cfg(target_os = "linux")]
        {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let Some(Ok(descriptor)) =
                self.raw().map(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))
            else {
                return true;
            };
            // A pidfd becomes readable when its process has ended (pidfd_open(2)); a stranger with its number is not waited for.
            if self.is_alive() {
                let timeout = Timespec::try_from(most).ok();
                let _ = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], timeout.as_ref());
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = most;
        !self.is_alive()
    }

    /// Sends a signal to the process group that it leads. A group's number is not handed out again while the leader has not
    /// been reaped; so this is for a process that is our own child or that is looked at just before.
    pub fn signal_group(&self, signal: Signal) -> bool {
        let Some(pid) = self.raw() else { return false };
        self.is_alive() && rustix::process::kill_process_group(pid, signal.raw()).is_ok()
    }
}

#[cfg(target_os = "linux")]
mod system {
    /// Start time in clock ticks since boot: field 22 of `/proc/PID/stat`, counted behind the last `)`, for the name in front of
    /// it may hold anything. A zombie counts as ended.
    pub(super) fn start_of(pid: u32) -> Option<String> {
        super::super::table::Row::of(pid).filter(|row| !row.is_zombie()).map(|row| row.start)
    }

    pub(super) fn start_of_child(pid: u32) -> Option<String> {
        super::super::table::Row::of(pid).map(|row| row.start)
    }

    pub(super) fn boot() -> Option<String> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    fn output(program: &str, arguments: &[&str]) -> Option<String> {
        let output = std::process::Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    }

    pub(super) fn start_of(pid: u32) -> Option<String> {
        let text = output("ps", &["-o", "stat=,lstart=", "-p", &pid.to_string()])?;
        (!text.starts_with('Z')).then(|| text.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
    }

    pub(super) fn start_of_child(pid: u32) -> Option<String> {
        start_of(pid).or_else(|| Some("ended".into()))
    }

    pub(super) fn boot() -> Option<String> {
        output("sysctl", &["-n", "kern.bootsessionuuid"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_nobody() {
        let me = ProcessId::me().unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { start: "0".into(), ..me.clone() }.is_alive());
        assert!(!ProcessId { boot: "another boot".into(), ..me.clone() }.is_alive());
        let stranger = ProcessId { start: "0".into(), ..me };
        assert!(!stranger.signal(Signal::Kill), "a signal to a wrong start time reaches nobody");
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        assert!(id.signal(Signal::Kill));
        while id.is_alive() {
            std::thread::yield_now();
        }
        assert!(!id.signal(Signal::Kill));
        child.wait().unwrap();
    }
}

//! Environment variables, working directory, who and where we are.

use std::ffi::OsString;
use std::path::PathBuf;

/// Variables that are for this process alone: what it starts does not get them, unless it is told to hand them on.
pub const OURS: [&str; 1] = ["GANTRY_AGE_IDENTITY"];

/// The value of an environment variable, if it is set and is UTF-8.
#[must_use]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The value of an environment variable as the system has it.
#[must_use]
pub fn var_os(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// All variables that are UTF-8, sorted by name.
#[must_use]
pub fn vars() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
    all.sort();
    all
}

/// The command line, without the program's name; arguments that are not UTF-8 keep their readable part.
#[must_use]
pub fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect()
}

/// The working directory.
///
/// # Errors
/// When it was deleted or may not be read.
pub fn current_dir() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// Makes a directory the working directory of this process, for `-C`.
///
/// # Errors
/// When it does not exist, is no directory, or may not be entered.
pub fn set_current_dir(directory: &std::path::Path) -> std::io::Result<()> {
    std::env::set_current_dir(directory)
}

/// The path of the running program, for starting a helper process of the same build.
///
/// # Errors
/// When the system does not tell.
pub fn current_exe() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// The name of the person or account that runs this, for the ledger's `actor`.
#[must_use]
pub fn user() -> String {
    var("GANTRY_ACTOR")
        .or_else(|| var("USER"))
        .or_else(|| var("LOGNAME"))
        .unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()))
}

/// This machine's host name.
#[must_use]
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The identity of this boot of this machine, where the system has one: after a restart it is another.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The identity of the space in which this process's pid means something (on Linux the pid namespace), where the
/// system has one. The same pid in two containers is two processes.
#[must_use]
pub fn pid_space() -> Option<String> {
    std::fs::read_link("/proc/self/ns/pid").ok().map(|link| link.to_string_lossy().into_owned())
}

/// The pid of this process.
#[must_use]
pub fn pid() -> u32 {
    std::process::id()
}

/// When a process of this machine started, in ticks since boot: with the pid and the boot it names one process for
/// ever. `Ok(None)` if there is no such process any more (a zombie is none).
///
/// # Errors
/// When the system does not tell; then nothing may be concluded.
pub fn process_start(pid: u32) -> std::io::Result<Option<u64>> {
    let text = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        // ESRCH: it went while it was read. A missing file says something only where there is a /proc at all.
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => return Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && std::path::Path::new("/proc/self/stat").exists() => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    // proc_pid_stat(5): the command's name, in parentheses, may hold anything; fields 3 (state) and 22 (start) follow.
    let unreadable = || std::io::Error::other(format!("/proc/{pid}/stat has an unknown form"));
    let rest = text.rsplit_once(')').ok_or_else(unreadable)?.1;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next().ok_or_else(unreadable)?;
    if matches!(state, "Z" | "X" | "x") {
        return Ok(None);
    }
    fields.nth(18).and_then(|start| start.parse().ok()).map(Some).ok_or_else(unreadable)
}

//! Environment variables, working directory, who and where we are.

use std::ffi::OsString;
use std::path::PathBuf;

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

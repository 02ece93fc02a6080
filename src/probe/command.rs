//! Command probes: a program that exits with 0.

use std::time::Duration;

use super::expect;
use super::judge::Seen;
use super::spec::{CommandProbe, Context};
use crate::ports;
use crate::ports::exec::{Command, Ended};

/// How much of each output's end is read, in bytes: more than an attempt keeps, so that a secret is not cut in two
/// before it is looked for.
const TAIL: usize = 64 * 1024;

/// The variable by which a command learns on whose behalf it runs.
const MARK: &str = "GANTRY_CHECK";

/// Runs the command, for at most `limit`.
pub(crate) async fn attempt(probe: &CommandProbe, context: &Context, limit: Duration) -> Seen {
    let subject = subject(probe);
    let base = if context.base.as_os_str().is_empty() { ".".as_ref() } else { context.base.as_path() };
    let directory = probe.working_directory.as_ref().map_or_else(|| base.to_owned(), |d| base.join(d));
    if ports::fs::kind(&directory) != Some(ports::fs::Kind::Directory) {
        return Seen::failed(format!("{subject} cannot be run: there is no directory {}", directory.display()));
    }
    let mut environment = vec![(MARK.to_owned(), context.mark())];
    environment.extend(probe.environment.iter().cloned());
    let command =
        Command { argv: &probe.argv, directory: &directory, environment: &environment, timeout: limit, keep: TAIL };
    let finished = match ports::exec::run(command).await {
        Ok(finished) => finished,
        Err(error) => return Seen::failed(format!("{subject} cannot be run: {}", start_failure(probe, &error))),
    };
    let stdout = String::from_utf8_lossy(&finished.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
    let said = [("stderr", &stderr), ("stdout", &stdout)].into_iter().find_map(|(name, text)| {
        let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(format!(" ({name}: {:?})", expect::shorten(line.trim())))
    });
    let said = said.unwrap_or_default();
    let (ok, sentence, status) = match finished.ended {
        Ended::Exit(0) => (true, format!("{subject} exited with 0"), Some(0)),
        Ended::Exit(code) => (false, format!("{subject} exited with {code} instead of 0{said}"), Some(code)),
        Ended::Signal(signal) => (false, format!("{subject} was ended by signal {signal}{said}"), None),
        Ended::TimedOut => {
            (false, format!("{subject} was still running after {} and was killed{said}", expect::time(limit)), None)
        }
    };
    let timed_out = finished.ended == Ended::TimedOut;
    Seen { ok, sentence, status, headers: Vec::new(), body: Some(stdout), stderr: Some(stderr), timed_out }
}

fn start_failure(probe: &CommandProbe, error: &std::io::Error) -> String {
    let program = probe.argv.first().map_or("", String::as_str);
    match error.kind() {
        std::io::ErrorKind::NotFound if program.contains('/') => {
            format!("there is no file {program}, or no interpreter for it")
        }
        std::io::ErrorKind::NotFound => format!("there is no program {program} on the PATH"),
        std::io::ErrorKind::PermissionDenied => format!("{program} is not executable"),
        _ => error.to_string(),
    }
}

/// What a sentence about this probe starts with.
pub(crate) fn subject(probe: &CommandProbe) -> String {
    format!("the command {}", probe.argv.first().map_or("(none)", String::as_str))
}

/// What is wrong with a command, before it is ever run.
pub(crate) fn check(probe: &CommandProbe) -> Vec<String> {
    let mut wrong = Vec::new();
    if probe.argv.first().is_none_or(String::is_empty) {
        wrong.push("the command names no program".to_owned());
    }
    if probe.argv.iter().any(|a| a.contains('\0')) {
        wrong.push("the command holds a NUL character".to_owned());
    }
    for (name, value) in &probe.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            wrong.push(format!("{name:?} cannot be set in an environment"));
        }
    }
    wrong
}

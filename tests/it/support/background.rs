//! `gantry` at work while a test does something else.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Sandbox, eventually};

/// `gantry` in the background, its outputs in files.
pub(crate) struct Background {
    pub(crate) child: Child,
    err: PathBuf,
}

impl Background {
    /// Starts it with these words (split at spaces).
    pub(crate) fn start(sandbox: &Sandbox, words: &str) -> Self {
        let err = sandbox.project().join(format!("../tmp/{}.err", words.replace(' ', "_")));
        let file = std::fs::File::create(&err).expect("the sandbox is writable");
        let mut command = sandbox.command(&words.split(' ').collect::<Vec<_>>());
        let out = std::fs::File::create(err.with_extension("out")).expect("the sandbox is writable");
        let child = command.stdout(out).stderr(file).spawn().expect("gantry can be started");
        Self { child, err }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, signal).expect("it has not been waited for");
    }

    /// The exit code and what it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut status = None;
        let ended = eventually(Duration::from_secs(60), || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        assert!(ended, "it does not end: {}", self.said());
        (status.and_then(|s| s.code()), self.said())
    }

    /// What it said on stderr so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.err).expect("the file is there")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

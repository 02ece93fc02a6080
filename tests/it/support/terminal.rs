//! A terminal with `gantry` on it, and whoever sits before it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{Sandbox, eventually};

/// Something that is not seen by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal and who sits before it.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not looked for yet.
    shown: String,
    child: Child,
}

impl Terminal {
    /// Starts `gantry` on it.
    pub(crate) fn open(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are pseudo-terminals");
        grantpt(&ours).expect("ours");
        unlockpt(&ours).expect("ours");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let theirs: OwnedFd =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("the other side opens");
        let mut command = sandbox.command(arguments);
        command.env("TERM", "xterm").env("COLUMNS", "100");
        let side = || theirs.try_clone().expect("a file descriptor");
        command.stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().expect("gantry was built");
        drop((command, theirs));
        let keyboard = File::from(ours);
        let mut screen = keyboard.try_clone().expect("a file descriptor");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Linux tells the end of the other side as an error.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { keyboard, screen: receiver, shown: String::new(), child }
    }

    /// Types. Control keys wait for the prompt: before it, the terminal itself takes them, and one that ends the input is lost.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until something is shown, and forgets everything up to there.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(e) => panic!("{text:?} is not shown ({e}), but {:?}", self.shown),
            }
        }
        let at = self.shown.find(text).expect("just seen") + text.len();
        self.shown.drain(..at);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends_with(mut self, code: i32) {
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        // It closed the terminal, or it says nothing more and would not end by being waited for.
        let ended = eventually(PATIENCE, || self.child.try_wait().expect("a child").is_some());
        if !ended {
            drop(self.child.kill());
        }
        let status = self.child.wait().expect("a child");
        assert!(ended && status.code() == Some(code), "{status}, with {:?}", self.shown);
    }
}

//! The console on a terminal: a pseudo-terminal on which this test types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::super::support::{Sandbox, eventually};
use super::small;

/// Something that is not seen by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);

const CONTROL_C: &str = "\u{3}";
const CONTROL_D: &str = "\u{4}";
const UP: &str = "\u{1b}[A";

/// A console and who sits before it.
struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not looked for yet.
    shown: String,
    child: Child,
}

impl Terminal {
    fn open(sandbox: &Sandbox, arguments: &[&str]) -> Self {
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
    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until something is shown, and forgets everything up to there.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(e) => panic!("{text:?} is not shown ({e}), but {:?}", self.shown),
            }
        }
        let at = self.shown.find(text).expect("just seen") + text.len();
        self.shown.drain(..at);
    }

    #[track_caller]
    fn ends_with(mut self, code: i32) {
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

fn history(sandbox: &Sandbox) -> PathBuf {
    sandbox.project().join("../home/.local/state/gantry/console_history")
}

#[test]
fn a_conversation() {
    let sandbox = small();
    let mut terminal = Terminal::open(&sandbox, &["console", "test"]);
    terminal.shows("> ");
    terminal.types("1 + 1\r");
    terminal.shows("\n2\r\n");
    // A mistake does not end it, nor does a line that runs away.
    terminal.types("nope(1)\r");
    terminal.shows("at <console-input>:1:1");
    terminal.shows("> ");
    terminal.types("[for a in range(1000) : [for b in range(1000) : range(1000)]]\r");
    terminal.shows("Evaluation limit reached");
    terminal.shows("> ");
    // Brackets go on, and an empty line or Control-C breaks them off.
    terminal.types("[\r");
    terminal.shows(": ");
    terminal.types("var.size]\r");
    terminal.shows("\n[\r\n  3,\r\n]\r\n");
    terminal.types("[1,\r");
    terminal.shows(": ");
    terminal.types(CONTROL_C);
    terminal.shows("(multi-line entry canceled)");
    terminal.types("<<EOT\r");
    terminal.shows(": ");
    terminal.types("\ra\rEOT\r");
    terminal.shows("\n<<EOT\r\n\r\na\r\n\r\nEOT\r\n");
    // Control-C clears what was typed.
    terminal.types("garbage");
    terminal.shows("garbage");
    terminal.types(CONTROL_C);
    terminal.shows("> ");
    terminal.types("var.word\r");
    terminal.shows("\n(sensitive value)\r\n");
    terminal.types("terraform_data.a.ou\t\r");
    terminal.shows("\n\"one\"\r\n");
    terminal.shows("> ");
    terminal.types(CONTROL_D);
    terminal.ends_with(0);
}

#[test]
fn what_was_typed_comes_back() {
    let sandbox = small();
    let mut terminal = Terminal::open(&sandbox, &["console", "test"]);
    terminal.shows("> ");
    terminal.types("\"first\"\r");
    terminal.shows("\n\"first\"\r\n");
    terminal.types(" \"kept to myself\"\r");
    terminal.shows("\n\"kept to myself\"\r\n");
    terminal.types("[\r");
    terminal.shows(": ");
    terminal.types("1]\r");
    terminal.shows("\n]\r\n");
    terminal.types("exit\r");
    terminal.ends_with(0);
    let path = history(&sandbox);
    assert_eq!(std::fs::read_to_string(&path).expect("it is kept"), "\"first\"\n[\\n1]\nexit\n");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let mut terminal = Terminal::open(&sandbox, &["console", "test"]);
    terminal.shows("> ");
    // Inside of an entry of two lines the key goes one line up first.
    terminal.types(&format!("{UP}{UP}{UP}{UP}\r"));
    terminal.shows("\n\"first\"\r\n");
    terminal.types("quit\r");
    terminal.ends_with(0);
}

#[test]
fn a_home_that_cannot_be_written_is_told_once() {
    let sandbox = Sandbox::new().with("XDG_STATE_HOME", "/proc/nowhere");
    let mut terminal = Terminal::open(&sandbox, &["console"]);
    terminal.shows("> ");
    terminal.types("1\r");
    terminal.shows("Warning: What is typed is not kept");
    terminal.shows("\n1\r\n");
    terminal.types("2\r");
    terminal.shows("\n2\r\n");
    terminal.types("exit\r");
    terminal.ends_with(0);
}

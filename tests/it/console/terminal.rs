//! The console on a terminal: a pseudo-terminal on which this test types.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::super::support::{Sandbox, Terminal};
use super::small;

const CONTROL_C: &str = "\u{3}";
const CONTROL_D: &str = "\u{4}";
const UP: &str = "\u{1b}[A";

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

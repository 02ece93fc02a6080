//! The terminal: what goes where. Plans, tables, `show`, `output` and `--json` go to stdout; prompts, progress and
//! diagnostics to stderr.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use crate::diag::{Diagnostics, SourceMap};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::env;
use crate::view::{self, Now, Style, human};

/// How this command talks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shell {
    /// Whether events and results are JSON.
    pub(super) json: bool,
    out: Style,
    err: Style,
}

impl Shell {
    /// For a command with these flags.
    pub(super) fn new(json: bool, no_color: bool) -> Self {
        let plain = no_color || json || env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = env::var("TERM").is_some_and(|t| t == "dumb");
        let style = |terminal: bool| if plain || dumb || !terminal { Style::Plain } else { Style::Ansi };
        Self { json, out: style(std::io::stdout().is_terminal()), err: style(std::io::stderr().is_terminal()) }
    }

    /// How text on stdout looks.
    pub(super) fn out_style(&self) -> Style {
        self.out
    }

    /// How text on stderr looks.
    pub(super) fn err_style(&self) -> Style {
        self.err
    }

    /// Whether somebody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Whether progress can be shown live.
    pub(super) fn is_live(&self) -> bool {
        !self.json && std::io::stderr().is_terminal() && env::var("CI").is_none()
    }

    /// Writes to stdout. A reader that went away is no error: `gantry plan | head`.
    pub(super) fn out(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes a line of JSON to stdout.
    pub(super) fn out_json(&self, json: &serde_json::Value) {
        self.out(&format!("{json}\n"));
    }

    /// Where events go, if they are JSON.
    pub(super) fn stream(&self) -> Option<view::json::Stream> {
        self.json.then(|| view::json::Stream::new(Box::new(std::io::stdout()), now()))
    }

    /// Writes to stderr.
    pub(super) fn err(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }

    /// Shows diagnostics: on stderr, or in the stream of events.
    pub(super) fn diagnostics(&self, all: &Diagnostics, sources: &SourceMap) {
        if all.is_empty() {
            return;
        }
        match self.stream() {
            Some(stream) => {
                stream.diagnostics(all, sources);
                stream.finish();
            }
            None => self.err(&human::diagnostics(all, sources, self.err)),
        }
    }

    /// Asks for `yes`, and nothing else counts. `None` when `interrupted` says so while nobody has answered: the signal is taken
    /// by this process, so that waiting for a line would not end by itself.
    pub(super) fn ask(&self, question: &str, interrupted: &dyn Fn() -> bool) -> Option<bool> {
        /// How often it is looked whether a signal has come: too short a time to notice.
        const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
        self.err(question);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut answer = String::new();
            let read = std::io::stdin().read_line(&mut answer);
            // Nobody listens any more after an interrupt; the process ends then.
            let _ = tell.send(matches!(read, Ok(n) if n > 0) && answer.trim() == "yes");
        });
        loop {
            match told.recv_timeout(LOOK) {
                Ok(answer) => return Some(answer),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Some(false),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) if interrupted() => return None,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// The time of day, for views.
pub(super) fn now() -> Now {
    Arc::new(|| SystemClock.now())
}

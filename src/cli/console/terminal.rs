//! A conversation on a terminal: line editing, history, completion.

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, Helper};

use super::history::History;
use super::{ENDED, Said, interpret, shown};
use crate::cli::error;
use crate::cli::shell::Shell;
use crate::ops::console::{Session, Unfinished, unfinished};
use crate::ops::{Failure, Result};

/// Before the first line of an expression.
const PROMPT: &str = "> ";

/// Before the lines that follow while a bracket or heredoc is open.
const CONTINUATION: &str = ": ";

pub(super) fn converse(shell: Shell, session: &Session<'_>) -> Result<u8> {
    let mut history = History::of_the_user();
    let mut editor = editor(session).map_err(|e| broken(&e))?;
    for line in history.read() {
        drop(editor.add_history_entry(line));
    }
    let mut typed = String::new();
    loop {
        match editor.readline(if typed.is_empty() { PROMPT } else { CONTINUATION }) {
            Ok(line) => typed.push_str(&line),
            Err(ReadlineError::Interrupted) => {
                if !typed.is_empty() {
                    shell.out("(multi-line entry canceled)\n");
                    typed.clear();
                }
                continue;
            }
            Err(ReadlineError::Eof) => {
                shell.out("\n");
                return Ok(ENDED);
            }
            // The window's size changed, or a signal came: the line is asked for again.
            Err(ReadlineError::Signal(_)) => continue,
            Err(e) => return Err(broken(&e)),
        }
        if goes_on(&typed) {
            typed.push('\n');
            continue;
        }
        let text = std::mem::take(&mut typed);
        if !text.trim().is_empty() && !text.starts_with(' ') {
            drop(editor.add_history_entry(text.trim_end()));
            if let Err(why) = history.add(text.trim_end()) {
                shell.err(&format!("Warning: What is typed is not kept for the next console: {why}.\n"));
            }
        }
        match interpret(session, text.trim()) {
            Ok(Said::End) => return Ok(ENDED),
            Ok(Said::Nothing) => {}
            Ok(Said::Text(text)) => shell.out(&format!("{text}\n")),
            Ok(Said::Answer(answer)) => shell.out(&format!("{}\n", shown(&answer))),
            // The session goes on after a mistake.
            Err(failure) => drop(error::fail(shell, &failure)),
        }
    }
}

/// Whether another line is waited for. An empty one ends the waiting, but for a heredoc, whose text may have some.
fn goes_on(typed: &str) -> bool {
    let last = typed.rsplit('\n').next().unwrap_or_default();
    match unfinished(typed) {
        None => false,
        Some(Unfinished::Heredoc) => true,
        Some(Unfinished::Bracket) => !last.trim().is_empty(),
    }
}

fn broken(e: &ReadlineError) -> Failure {
    Failure::error("Unusable terminal", format!("The terminal cannot be read: {e}."))
        .hint("Give the expressions on standard input: echo 'EXPRESSION' | gantry console")
}

fn editor<'s>(session: &'s Session<'s>) -> rustyline::Result<Editor<Names<'s>, MemHistory>> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(super::history::ENTRIES_MAX)?
        .history_ignore_dups(true)?
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Names(session)));
    Ok(editor)
}

/// What the Tab key finds.
struct Names<'s>(&'s Session<'s>);

impl Completer for Names<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &rustyline::Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let found = self.0.complete(line, at);
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((found.start, found.candidates.into_iter().map(pair).collect()))
    }
}

impl Hinter for Names<'_> {
    type Hint = String;
}

impl Highlighter for Names<'_> {}
impl Validator for Names<'_> {}
impl Helper for Names<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_breaks_off_a_bracket_and_belongs_to_a_heredoc() {
        assert!(goes_on("["));
        assert!(goes_on("[\n1,"));
        assert!(!goes_on("[\n"));
        assert!(!goes_on("[\n1\n]"));
        assert!(goes_on("<<EOT\n"));
        assert!(!goes_on("<<EOT\n\na\nEOT"));
    }
}

//! Expressions from a pipe or a file.
//!
//! As Terraform has it, each is evaluated, the last one's value is printed, and the first error ends it all with exit code 1. Beyond
//! that an expression may go on over several lines while a bracket or heredoc is open. With `--json` every value is
//! printed, a line for each.

use std::io::BufRead as _;

use super::{ENDED, Said, interpret, shown, tell_json};
use crate::cli::shell::Shell;
use crate::ops::console::{Session, unfinished};
use crate::ops::{Failure, Result};

/// The most bytes of one expression: as many as a configuration file may have.
const INPUT_MAX: usize = 16 << 20;

pub(super) fn evaluate(shell: Shell, session: &Session<'_>) -> Result<u8> {
    let mut input = std::io::stdin().lock();
    let mut last = String::new();
    let mut pending = String::new();
    let mut first = true;
    loop {
        let line = next(&mut input, INPUT_MAX - pending.len())?;
        let ended = line.is_none();
        let mut line = line.unwrap_or_default();
        if std::mem::take(&mut first) && line.starts_with('\u{feff}') {
            line.remove(0);
        }
        if ended && pending.is_empty() {
            break;
        }
        pending.push_str(&line);
        if !ended && unfinished(&pending).is_some() {
            continue;
        }
        let text = std::mem::take(&mut pending);
        let said = interpret(session, text.trim())?;
        if shell.json {
            tell_json(shell, &said);
        }
        last = match said {
            Said::End => return Ok(ENDED),
            Said::Nothing => String::new(),
            Said::Text(text) => text,
            Said::Answer(answer) => {
                if shell.json {
                    String::new()
                } else {
                    shown(&answer)
                }
            }
        };
    }
    if !shell.json {
        shell.out(&format!("{last}\n"));
    }
    Ok(ENDED)
}

/// The next line with its end, at most so long; `None` behind the last one.
fn next(input: &mut std::io::StdinLock<'_>, limit: usize) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = std::io::Read::take(&mut *input, limit + 1).read_until(b'\n', &mut bytes);
    if let Err(e) = read {
        return Err(Failure::error("Unreadable input", format!("The standard input cannot be read: {e}.")));
    }
    if bytes.len() as u64 > limit {
        let detail = format!("An expression may have {} MiB, and this one has more.", INPUT_MAX >> 20);
        return Err(Failure::error("Input beyond a limit", detail));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        let detail = "Expressions are UTF-8 text, and the standard input holds other bytes.";
        Failure::error("Invalid character encoding", detail).hint("Let your editor or program write UTF-8.")
    })?;
    Ok(Some(text.replace("\r\n", "\n")))
}

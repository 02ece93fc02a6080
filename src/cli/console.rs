//! `gantry console`

use std::io::IsTerminal as _;

use clap::Args;

use super::changing::Variables;
use super::root::Context;
use super::shell::Shell;
use super::{error, exit_code};
use crate::ops::console::{self, Answer, Session};
use crate::ops::{Failure, Result};
use crate::view::{human, json};

mod history;
mod lines;
mod terminal;

#[derive(Debug, Args)]
#[command(
    after_help = "Expressions are read from the terminal, where help lists what can be typed, or from standard input: the value of \
                        the last one is printed then, and the first mistake ends it with exit code 1."
)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path. Without any project expressions are evaluated by themselves
    environment: Option<String>,
    #[command(flatten)]
    variables: Variables,
    /// Let names have the values of a plan that is made first, instead of those that the ledger recorded
    #[arg(long)]
    plan: bool,
    /// Evaluate in a module instance, as in module.shop["a"]
    #[arg(long, value_name = "MODULE")]
    scope: Option<String>,
}

/// What a text that was typed comes to.
enum Said {
    /// It was empty.
    Nothing,
    /// The console is to end.
    End,
    /// Help.
    Text(String),
    /// What an expression gives.
    Answer(Answer),
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    open(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn open(context: &Context, arguments: &Arguments) -> Result<u8> {
    let shell = context.shell;
    let asked = console::Asked {
        plan: arguments.plan,
        scope: arguments.scope.clone(),
        variables: arguments.variables.given()?,
    };
    let environment = arguments.environment.as_deref();
    let talks = !shell.json && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    console::with(&context.directory, environment, &asked, |session| {
        let diagnostics = session.diagnostics();
        shell.diagnostics(&diagnostics, session.sources());
        if diagnostics.has_errors() && !shell.json {
            shell.err("Warning: Due to the problems above, some expressions may have unexpected values.\n\n");
        }
        if talks { terminal::converse(shell, session) } else { lines::evaluate(shell, session) }
    })
    .await?
}

/// What a text means: a command of the console, or an expression.
fn interpret(session: &Session<'_>, text: &str) -> Result<Said> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [] => Ok(Said::Nothing),
        ["exit" | "quit"] => Ok(Said::End),
        ["help"] => Ok(Said::Text(human::help::CONSOLE.to_owned())),
        ["help", topic @ ..] => help(&topic.join(" ")),
        [word] if is_question(word) => help(word.trim_end_matches('?')),
        _ => session.evaluate(text).map(Said::Answer),
    }
}

/// `NAME?`
fn is_question(word: &str) -> bool {
    let name = word.strip_suffix('?').unwrap_or("");
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn help(topic: &str) -> Result<Said> {
    human::help::help(topic).map(Said::Text).map_err(|hint| {
        let failure = Failure::error("Unknown topic", format!("There is no help on \"{topic}\"."));
        failure.hint(hint.unwrap_or_else(|| "All functions are listed by: help functions".into()))
    })
}

/// An answer as people read it.
fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Value(value) => human::value(value),
        Answer::Type(ty) => human::type_of(ty),
    }
}

/// An answer as programs read it.
fn tell_json(shell: Shell, said: &Said) {
    match said {
        Said::Nothing | Said::End => {}
        Said::Text(text) => shell.out_json(&json::console_text(text)),
        Said::Answer(Answer::Value(value)) => shell.out_json(&json::console_value(value)),
        Said::Answer(Answer::Type(ty)) => shell.out_json(&json::console_type(ty)),
    }
}

/// The end of a session that nothing went wrong in.
const ENDED: u8 = exit_code::SUCCESS;

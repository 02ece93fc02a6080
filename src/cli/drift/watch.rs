//! `gantry drift --watch`: looks again and again, and says what is news.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Tellers;
use crate::cli::changing::interrupts;
use crate::cli::exit_code;
use crate::cli::root::Context;
use crate::cli::shell::now;
use crate::ops::drift::{Drift, Seen};
use crate::ops::{self, Failure, Result, VarArg, Workspace};
use crate::view::{human, json};

/// More often than this, a target would be asked more than it is worth.
const SHORTEST: Duration = Duration::from_secs(1);

/// What was seen of one environment.
#[derive(Default)]
struct Watched {
    seen: Seen,
    /// Whether a look has succeeded.
    begun: bool,
    /// Why the last look failed, if it did.
    failing: Option<String>,
}

/// Looks until it is interrupted, and gives what the last look came to.
pub(super) async fn watch(
    context: &Context,
    interval: &str,
    workspaces: &[Workspace],
    variables: &[VarArg],
    tellers: &Tellers,
) -> Result<u8> {
    let wrong = |why: String| Failure::error("Invalid --watch", format!("--watch takes a duration: {why}."));
    let interval = ops::parse_duration(interval).map_err(wrong)?;
    if interval < SHORTEST {
        return Err(wrong("between two looks there is at least 1s".to_owned()));
    }
    let mut interrupts = interrupts();
    let mut watched: BTreeMap<String, Watched> = BTreeMap::new();
    let mut last = None;
    loop {
        let look = async {
            let mut looks = Vec::new();
            for workspace in workspaces {
                looks.push((workspace, ops::drift::drift(workspace, variables).await));
            }
            looks
        };
        let looks = tokio::select! {
            biased;
            _ = interrupts.changed() => break,
            looks = look => looks,
        };
        let mut told = true;
        for (workspace, look) in &looks {
            let key = workspace.environment.to_string_lossy().into_owned();
            report(context, &workspace.name, look.as_ref(), watched.entry(key).or_default());
            told &= tellers.put(context, workspace, look.as_ref()).await;
        }
        let failed = looks.iter().filter(|(_, look)| look.is_err()).count();
        let found: Vec<Drift> = looks.into_iter().filter_map(|(_, look)| look.ok()).collect();
        let code = super::code(&found, failed);
        last = Some(if told { code } else { exit_code::ERROR });
        tokio::select! {
            biased;
            _ = interrupts.changed() => break,
            delivered = tellers.deliver(context) => last = Some(if told && delivered { code } else { exit_code::ERROR }),
        }
        tokio::select! {
            biased;
            _ = interrupts.changed() => break,
            () = tokio::time::sleep(interval) => {}
        }
    }
    last.ok_or_else(|| Failure::error("Interrupted", "The command was interrupted before the first look had ended."))
}

fn report(context: &Context, name: &str, look: std::result::Result<&Drift, &Failure>, watched: &mut Watched) {
    let shell = context.shell;
    let say = |words: &str, failed: bool| match shell.json {
        true => shell.out(&json::watch::watching_state(now()(), name, words, failed)),
        false => shell.out(&human::watch::watching_state(now()(), name, words)),
    };
    match look {
        Err(failure) => {
            let first = failure.diagnostics.iter().next().map(|d| format!("{}: {}", d.summary, d.detail));
            let why = format!("could not be looked at; this is tried again. {}", first.unwrap_or_default());
            if watched.failing.as_ref() != Some(&why) {
                say(&why, true);
            }
            watched.failing = Some(why);
        }
        Ok(drift) => {
            if watched.failing.take().is_some() {
                say("can be looked at again", false);
            }
            if !watched.begun {
                watched.begun = true;
                match shell.json {
                    true => shell.out(&json::watch::watching(now()(), drift)),
                    false => shell.out(&human::watch::watching(now()(), drift)),
                }
            }
            let (notices, seen) = watched.seen.news(drift);
            watched.seen = seen;
            for notice in &notices {
                shell.out(&match shell.json {
                    true => json::watch::notice(now()(), name, notice),
                    false => human::watch::notice(now()(), name, notice, shell.out_style()),
                });
            }
        }
    }
}

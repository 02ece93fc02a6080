//! The generations of an environment, a line each.

use std::collections::BTreeMap;

use crate::ledger::State;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::record::Generation;
use crate::ledger::story::Changes;
use crate::view::words::{clean, duration, sentence, short, table, time};
use crate::view::{Ink, Style};

/// How a run ended, in a word; `under way` where it has not.
pub(in crate::view) fn outcome(generation: &Generation) -> &'static str {
    outcome_of(generation.outcome)
}

/// The same of a run.
pub(in crate::view) fn outcome_of(outcome: Option<RunOutcome>) -> &'static str {
    match outcome {
        Some(RunOutcome::Verified) => "verified",
        Some(RunOutcome::RolledBack) => "rolled back",
        Some(RunOutcome::Held) => "held",
        Some(RunOutcome::Stuck) => "stuck",
        Some(RunOutcome::Unknown) => "unknown",
        None => "under way",
    }
}

/// What kind of run it was, in a word.
pub(in crate::view) fn kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Apply => "apply",
        RunKind::Destroy => "destroy",
        RunKind::Rollback => "rollback",
        RunKind::Verify => "verify",
        RunKind::Promote => "promote",
        RunKind::Refresh => "refresh",
        RunKind::Unknown => "unknown",
    }
}

/// The outcome's ink.
pub(super) fn ink(word: &str) -> Ink {
    match word {
        "verified" => Ink::Green,
        "stuck" => Ink::Red,
        _ => Ink::Yellow,
    }
}

/// All generations, oldest first: number (`*` marks the current one), outcome, kind of run, release, when, how long, who, what it did to
/// resources, checks that passed of those that ran, effect, sentence. `releases` are named by generation, `changes` are those of each run.
#[must_use]
pub fn history(
    state: &State,
    releases: &BTreeMap<u64, String>,
    changes: &BTreeMap<String, Changes>,
    style: Style,
) -> String {
    if state.generations.is_empty() {
        return "No generation yet: nothing has been applied.\n".into();
    }
    let current = state.current().map(|g| g.number);
    let head =
        ["GENERATION", "OUTCOME", "RUN", "RELEASE", "STARTED", "TOOK", "BY", "CHANGED", "CHECKS", "EFFECT", "WHAT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for generation in &state.generations {
        let star = if current == Some(generation.number) { "*" } else { "" };
        let partial = if generation.partial { " (partial)" } else { "" };
        let collected = if generation.collected.is_some() { " (collected)" } else { "" };
        rows.push(vec![
            format!("{}{star}", generation.number),
            outcome(generation).to_owned(),
            format!("{}{partial}{collected}", kind(generation.kind)),
            release(state, releases.get(&generation.number)),
            time(&generation.started),
            took(generation).unwrap_or_default(),
            clean(&generation.actor),
            changes.get(&generation.run).map(changed).unwrap_or_default(),
            checked(generation).map(|(passed, failed)| format!("{passed}/{}", passed + failed)).unwrap_or_default(),
            short(&generation.effect),
            sentence(&generation.sentence),
        ]);
    }
    let lines = table(&rows);
    let paint = |(i, line): (usize, &str)| {
        if i == 0 {
            return format!("{}\n", style.bold(line));
        }
        let word = &rows[i][1];
        format!("{}\n", line.replacen(word, &style.paint(ink(word), word), 1))
    };
    lines.lines().enumerate().map(paint).collect()
}

/// The release that a generation is or was to be, and whether it is kept out.
fn release(state: &State, id: Option<&String>) -> String {
    let Some(id) = id else { return "-".to_owned() };
    let kept_out = if state.quarantine.contains_key(id) { " (quarantined)" } else { "" };
    format!("{}{kept_out}", short(id))
}

/// `+1 ~0 -2`, and with migrations `+1 ~0 -2 >1`: the plan's symbols.
fn changed(changes: &Changes) -> String {
    let Changes { added, changed, destroyed, migrations } = changes;
    let migrated = if *migrations > 0 { format!(" >{migrations}") } else { String::new() };
    format!("+{added} ~{changed} -{destroyed}{migrated}")
}

/// How many verdicts of a generation's checks were good and how many were not, before it went back if it did.
pub(in crate::view) fn checked(generation: &Generation) -> Option<(usize, usize)> {
    let verdicts = generation.checks.iter().filter(|judged| !judged.unwinding);
    let (passed, failed): (Vec<_>, Vec<_>) = verdicts.partition(|judged| judged.passed);
    (!passed.is_empty() || !failed.is_empty()).then_some((passed.len(), failed.len()))
}

/// How long a generation's run took, where both times can be read.
pub(super) fn took(generation: &Generation) -> Option<String> {
    lasted(generation).map(duration)
}

/// The same as a duration.
pub(in crate::view) fn lasted(generation: &Generation) -> Option<std::time::Duration> {
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let span = parse(generation.finished.as_ref()?)?.duration_since(parse(&generation.started)?);
    Some(std::time::Duration::try_from(span).unwrap_or_default())
}

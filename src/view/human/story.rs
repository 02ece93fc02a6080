//! What happened in a run, line by line, with what was seen.

use super::history::{ink, kind, outcome_of};
use super::page::Page;
use crate::ledger::event::{Event, EvidenceRef, StepResult};
use crate::ledger::story::Story;
use crate::view::words::{clean, duration, excerpt, sentence, short, time};
use crate::view::{Ink, Style};

/// How many lines of one piece of evidence are shown; `show --evidence` has all.
const EVIDENCE_LINES_MAX: usize = 20;

/// The run's entries in their order.
#[must_use]
pub fn show_run(environment: &str, story: &Story, style: Style) -> String {
    let mut page = Page::new(style);
    let name = clean(environment);
    page.heading(&format!("{name}: run {}", clean(&story.run)));
    let mut row = |name: &str, text: String| page.prose(&format!("  {name:<8} {text}"));
    if let Some((meta, started)) = story.started() {
        let makes = started.generation.map(|n| format!(", generation {n}")).unwrap_or_default();
        row("kind", format!("{}{makes}", kind(started.kind)));
        row("started", format!("{} by {}", time(&meta.time), clean(&meta.actor)));
        row("engine", format!("Gantry {}", clean(&started.engine)));
    }
    match story.ended() {
        Some((meta, outcome, why)) => {
            let word = outcome_of(Some(outcome));
            let took = story.after(meta).map(|t| format!(", after {}", duration(t))).unwrap_or_default();
            row("ended", format!("{}{took}", time(&meta.time)));
            row("outcome", format!("{}: {}", style.paint(ink(word), word), sentence(why)));
        }
        None => row("ended", format!("not yet. Next: gantry resume {name}")),
    }
    page.gap();
    for (meta, event) in &story.happened {
        let Some(words) = words(event) else { continue };
        let at = story.after(meta).map_or_else(|| time(&meta.time), |after| format!("+{}", duration(after)));
        let bad = matches!(event, Event::StepFailed(_) | Event::UnwindingStarted { .. })
            || matches!(event, Event::CheckJudged(judged) if !judged.passed);
        page.prose(&format!("  {at:>8}  {}", if bad { style.paint(Ink::Red, &words) } else { words }));
        for one in evidence(event) {
            write_evidence(&mut page, story, one);
        }
    }
    page.finish()
}

fn evidence(event: &Event) -> &[EvidenceRef] {
    match event {
        Event::StepFailed(step) => &step.evidence,
        Event::CheckJudged(check) => &check.evidence,
        _ => &[],
    }
}

fn write_evidence(page: &mut Page, story: &Story, one: &EvidenceRef) {
    let Some(text) = story.evidence.get(&one.blob) else {
        page.prose(&format!("            {} ({}): collected since", clean(&one.name), short(&one.blob)));
        return;
    };
    page.prose(&format!("            {} ({}):", clean(&one.name), short(&one.blob)));
    for line in excerpt(text.trim_end(), EVIDENCE_LINES_MAX) {
        page.prose(&format!("              {line}"));
    }
}

/// What an entry says, on one line; `None` for what says nothing to people.
fn words(event: &Event) -> Option<String> {
    let back = |unwinding: bool| if unwinding { " (way back)" } else { "" };
    Some(match event {
        Event::RunStarted(started) => format!("the run starts, as a plan with the effect {}", short(&started.effect)),
        Event::StepIntended(step) => {
            let again = if step.attempt > 1 { format!(", attempt {}", step.attempt) } else { String::new() };
            format!("{}: starts{again}{}", clean(&step.step), back(step.unwinding))
        }
        Event::StepSucceeded(step) if matches!(step.result, StepResult::Nothing) => return None,
        Event::StepSucceeded(step) => format!("{}: done{}", clean(&step.step), back(step.unwinding)),
        Event::StepFailed(step) => {
            format!("{}: failed{}: {}", clean(&step.step), back(step.unwinding), sentence(&step.sentence))
        }
        Event::CheckJudged(judged) => {
            let verdict = if judged.passed { "passed" } else { "failed" };
            format!("{}: {verdict}{}: {}", clean(&judged.step), back(judged.unwinding), sentence(&judged.sentence))
        }
        Event::ArtifactPinned { address, pin, .. } => {
            format!("{}: pinned to {}", clean(&address.to_string()), short(&pin.digest))
        }
        Event::MigrationApplied { address, migration, .. } => format!(
            "{}: migration {} ({}) applied",
            clean(&address.to_string()),
            migration.version,
            clean(&migration.name)
        ),
        Event::MigrationReverted { address, version, .. } => {
            format!("{}: migration {version} taken back", clean(&address.to_string()))
        }
        Event::Committed => "committed: from here on the run only goes forward".to_owned(),
        Event::UnwindingStarted { sentence: why } => format!("goes back: {}", sentence(why)),
        Event::RunFinished { outcome, sentence: why, .. } => {
            format!("ends {}: {}", outcome_of(Some(*outcome)), sentence(why))
        }
        Event::Reconciled { step, found, .. } => format!("{}: after the crash: {}", clean(step), clean(found)),
        Event::Moved { from, to, .. } => format!("{} moves to {}", clean(&from.to_string()), clean(&to.to_string())),
        Event::Imported { address, id, .. } => {
            format!("{}: imported as {}", clean(&address.to_string()), clean(id))
        }
        Event::Removed { address, .. } => format!("{}: forgotten", clean(&address.to_string())),
        _ => return None,
    })
}

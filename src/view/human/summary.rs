//! How a run ended: what was done, what failed with what was seen, and what to do next.

use std::time::Duration;

use crate::addr::{Address, NodeKind};
use crate::diag::capital;
use crate::event::RunEvent;
use crate::ledger::event::RunKind;
use crate::view::words::{clean, count, duration, excerpt, sentence};
use crate::view::{Ink, Style};

/// How many lines of one piece of evidence are shown: a screen; the blob has all.
const EVIDENCE_LINES_MAX: usize = 40;
/// How many failures are kept with their evidence; where more fail, they fail alike.
const FAILURES_MAX: usize = 20;

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The node.
    pub address: Address,
    /// What was tried.
    pub action: String,
    /// Why it failed.
    pub sentence: String,
    /// What was seen: name and text.
    pub evidence: Vec<(String, String)>,
    /// Whether it was a step of the way back.
    pub unwinding: bool,
}

/// What a run did, counted from its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records written anew as found.
    pub recorded: usize,
    /// Records dropped.
    pub forgotten: usize,
    /// Objects taken on.
    pub imported: usize,
    /// Resources made.
    pub added: usize,
    /// Resources changed.
    pub changed: usize,
    /// Resources that went.
    pub destroyed: usize,
    /// Migrations applied.
    pub migrated: usize,
    /// Checks that passed, once for each phase and workload.
    pub passed: usize,
    /// `check` blocks that do not hold, which fails nothing.
    pub warned: usize,
    /// Steps of the way back that succeeded.
    pub undone: usize,
    /// How many steps failed.
    pub failed: usize,
    /// The first of them, with what was seen.
    pub failures: Vec<Failure>,
    /// The generation that the run makes.
    pub generation: Option<u64>,
    /// Why it went back, if it did.
    pub unwinding: Option<String>,
    /// How it ended and why: `verified`, `rolled back`, `held`, `stuck`; `None` while it has not.
    pub outcome: Option<(String, String)>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Tally {
    /// Takes an event in.
    pub fn count(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { generation, .. } => self.generation = *generation,
            RunEvent::Unwinding { sentence, .. } => self.unwinding = Some(sentence.clone()),
            RunEvent::StepSucceeded { address, action, .. } => self.succeeded(address, action),
            RunEvent::StepFailed { address, action, sentence, evidence, .. } => {
                self.failed += 1;
                if self.failures.len() < FAILURES_MAX {
                    self.failures.push(Failure {
                        address: address.clone(),
                        action: action.clone(),
                        sentence: sentence.clone(),
                        evidence: evidence.clone(),
                        unwinding: self.unwinding.is_some(),
                    });
                }
            }
            RunEvent::Warned { .. } if self.unwinding.is_none() => self.warned += 1,
            RunEvent::Finished { outcome, sentence, elapsed } => {
                self.outcome = Some((outcome.clone(), sentence.clone()));
                self.elapsed = *elapsed;
            }
            RunEvent::Warned { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepProgress { .. }
            | RunEvent::StepRetried { .. }
            | RunEvent::Reconciled { .. }
            | RunEvent::Committed
            | RunEvent::Untold { .. }
            | RunEvent::Interrupted { .. } => {}
        }
    }

    fn succeeded(&mut self, address: &Address, action: &str) {
        if self.unwinding.is_some() {
            self.undone += 1;
            return;
        }
        match (address.kind, action.split(' ').next().unwrap_or_default()) {
            (NodeKind::HealthCheck | NodeKind::SmokeTest | NodeKind::Check, _) => self.passed += 1,
            (NodeKind::Migration, "migrate") => self.migrated += 1,
            (NodeKind::Resource, "record") => self.recorded += 1,
            (NodeKind::Resource, "forget") => self.forgotten += 1,
            (NodeKind::Resource, "import") => self.imported += 1,
            (NodeKind::Resource, "create") => self.added += 1,
            (NodeKind::Resource, "update" | "switch") => self.changed += 1,
            (NodeKind::Resource, "delete") => self.destroyed += 1,
            _ => {}
        }
    }

    /// `Resources: 2 added, 1 changed, 0 destroyed.`
    #[must_use]
    pub fn resources(&self) -> String {
        let imported = if self.imported > 0 { format!("{} imported, ", self.imported) } else { String::new() };
        format!("Resources: {imported}{} added, {} changed, {} destroyed.", self.added, self.changed, self.destroyed)
    }
}

/// How a run ended, as text: evidence of failures first, then the outcome, what was done, and what to do next.
#[must_use]
pub fn summary(kind: RunKind, environment: &str, tally: &Tally, style: Style) -> String {
    let mut out = String::new();
    for failure in &tally.failures {
        write_failure(&mut out, failure, style);
    }
    if tally.failed > tally.failures.len() {
        out.push_str(&format!("{} failed as well.\n\n", count(tally.failed - tally.failures.len(), "more step")));
    }
    let name = clean(environment);
    let verb = match kind {
        RunKind::Apply | RunKind::Unknown => "Apply",
        RunKind::Destroy => "Destroy",
        RunKind::Rollback => "Rollback",
        RunKind::Verify => "Verify",
        RunKind::Promote => "Promotion",
        RunKind::Refresh => "Refresh",
    };
    let (outcome, why) = tally.outcome.as_ref().map_or(("", String::new()), |(o, s)| (o.as_str(), sentence(s)));
    match outcome {
        "verified" => out.push_str(&complete(kind, verb, tally, style)),
        "rolled back" => {
            let line = format!("{verb} failed: {name} was taken back to where it was.");
            out.push_str(&format!("{}\n{why}\n", style.paint(Ink::Red, &line)));
        }
        "held" if kind == RunKind::Verify => {
            let line = format!("Verify failed: {name} serves as before, and not every check passed.");
            out.push_str(&format!("{}\n{why}\n", style.paint(Ink::Red, &line)));
        }
        "held" => {
            let line = format!("{verb} is held: {name} stays as it is now.");
            out.push_str(&format!("{}\n{why}\n", style.paint(Ink::Yellow, &line)));
        }
        "stuck" => {
            let line = format!("{verb} is stuck: it failed, and so did the way back.");
            out.push_str(&format!("{}\n{why}\n", style.paint(Ink::Red, &line)));
        }
        _ => {
            let line = format!("{verb} has not ended.");
            out.push_str(&format!("{}\n{why}\n", style.paint(Ink::Yellow, &line)));
        }
    }
    let advice = if kind == RunKind::Verify { String::new() } else { advice(kind, outcome, &name, tally) };
    if !advice.is_empty() {
        out.push_str(&format!("\n{advice}\n"));
    }
    out
}

fn complete(kind: RunKind, verb: &str, tally: &Tally, style: Style) -> String {
    let resources = match kind {
        RunKind::Verify => String::new(),
        RunKind::Refresh => format!(" Records: {} updated, {} forgotten.", tally.recorded, tally.forgotten),
        RunKind::Destroy => format!(" Resources: {} destroyed.", tally.destroyed),
        _ => format!(" {}", tally.resources()),
    };
    let mut also = Vec::new();
    if tally.migrated > 0 {
        also.push(format!("{} applied", count(tally.migrated, "migration")));
    }
    if tally.passed > 0 {
        also.push(format!("{} passed", count(tally.passed, "check")));
    }
    if tally.warned > 0 {
        also.push(format!("{} did not hold, which is a warning", count(tally.warned, "check block")));
    }
    let generation = tally.generation.map(|n| format!("generation {n} is verified")).unwrap_or_default();
    let parts: Vec<String> = [also.join(", "), generation].into_iter().filter(|part| !part.is_empty()).collect();
    let took = duration(tally.elapsed);
    let rest = if parts.is_empty() { String::new() } else { format!("{} in {took}.\n", capital(&parts.join("; "))) };
    format!("{}\n{rest}", style.paint(Ink::Green, &format!("{verb} complete!{resources}")))
}

fn advice(kind: RunKind, outcome: &str, name: &str, tally: &Tally) -> String {
    let generation = tally.generation.map(|n| format!(" --generation {n}")).unwrap_or_default();
    match outcome {
        "verified" => String::new(),
        "rolled back" if kind == RunKind::Promote => format!(
            "What was seen is kept: gantry show {name}{generation}\nIts release stays out of {name} until a newer one comes, or somebody lifts it: gantry release show {name}"
        ),
        "rolled back" => format!(
            "What was seen is kept: gantry show {name}{generation}\nPut the cause right, then: gantry apply {name}"
        ),
        "held" => format!(
            "What stands now:                         gantry show {name}\nPut the cause right, then go on with:    gantry apply {name}\nOr go back with:                         gantry rollback {name}"
        ),
        "stuck" => format!(
            "A person is needed. What is half done, and what to look at: gantry show {name}\n\
             When that is put right: gantry apply {name}"
        ),
        _ => format!("To go on: gantry resume {name}"),
    }
}

fn write_failure(out: &mut String, failure: &Failure, style: Style) {
    let back = if failure.unwinding { " (way back)" } else { "" };
    let line = format!("Failed: {}: {}{back}", clean(&failure.address.to_string()), clean(&failure.action));
    out.push_str(&format!("{}\n  {}\n", style.paint(Ink::Red, &line), sentence(&failure.sentence)));
    for (name, text) in &failure.evidence {
        out.push_str(&format!("\n  {}\n", style.bold(&format!("{}:", clean(name)))));
        if text.trim().is_empty() {
            out.push_str("    (empty)\n");
        }
        for line in excerpt(text.trim_end(), EVIDENCE_LINES_MAX) {
            out.push_str(format!("    {line}").trim_end());
            out.push('\n');
        }
    }
    out.push('\n');
}

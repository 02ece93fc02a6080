//! What happened in a run: its entries, with what was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Event, RunOutcome, RunStarted};
use super::replay::Meta;

/// The entries of one run.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its identity.
    pub run: String,
    /// What happened, in order.
    pub happened: Vec<(Meta, Event)>,
    /// What was seen, by digest; evidence that was collected since is missing.
    pub evidence: BTreeMap<String, String>,
}

impl Story {
    /// How it began, with who began it and when.
    #[must_use]
    pub fn started(&self) -> Option<(&Meta, &RunStarted)> {
        self.happened.iter().find_map(|(meta, event)| match event {
            Event::RunStarted(started) => Some((meta, &**started)),
            _ => None,
        })
    }

    /// How it ended, in a word and a sentence, and when; `None` while it has not.
    #[must_use]
    pub fn ended(&self) -> Option<(&Meta, RunOutcome, &str)> {
        self.happened.iter().find_map(|(meta, event)| match event {
            Event::RunFinished { outcome, sentence, .. } => Some((meta, *outcome, sentence.as_str())),
            _ => None,
        })
    }

    /// How long after its beginning something happened.
    #[must_use]
    pub fn after(&self, meta: &Meta) -> Option<Duration> {
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let from = time(&self.happened.first()?.0.time)?;
        Duration::try_from(time(&meta.time)?.duration_since(from)).ok()
    }
}

/// What a run did to an environment, but for what it took back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Resources made.
    pub added: usize,
    /// Resources changed.
    pub changed: usize,
    /// Resources that went.
    pub destroyed: usize,
    /// Migrations applied.
    pub migrations: usize,
}

impl Changes {
    /// Takes one entry of the run in.
    pub fn count(&mut self, event: &Event) {
        match event {
            Event::StepSucceeded(step) if !step.unwinding => {
                // A step's name is its node's address and its action.
                let action = step.step.strip_prefix(&step.address.to_string()).unwrap_or_default();
                match action.trim_start() {
                    "create" => self.added += 1,
                    "update" | "switch" => self.changed += 1,
                    "delete" => self.destroyed += 1,
                    _ => {}
                }
            }
            Event::MigrationApplied { .. } => self.migrations += 1,
            _ => {}
        }
    }
}

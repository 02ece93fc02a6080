//! What is recorded and told, in this order: a batch of events becomes durable, the state takes them in, and only then
//! are watchers told.

use std::sync::Arc;

use super::journal::{Journal, JournalError};
use super::scrub::Scrub;
use crate::event::{RunEvent, Watcher};
use crate::ledger::State;
use crate::ledger::event::Event;
use crate::ports::crash;

/// The open run's pen.
pub(crate) struct Recorder {
    journal: Arc<dyn Journal>,
    watcher: Arc<dyn Watcher>,
    state: State,
    events: Vec<Event>,
    told: Vec<RunEvent>,
    scrub: Arc<Scrub>,
}

impl Recorder {
    pub(crate) fn new(journal: Arc<dyn Journal>, watcher: Arc<dyn Watcher>, state: State, scrub: Arc<Scrub>) -> Self {
        Self { journal, watcher, state, events: Vec::new(), told: Vec::new(), scrub }
    }

    /// The state as it is durable.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The state at the end.
    pub(crate) fn into_state(self) -> State {
        self.state
    }

    /// What is in the batch: it will be in the state as soon as that is durable.
    pub(crate) fn batch(&self) -> &[Event] {
        &self.events
    }

    /// Adds an event to the batch.
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push(self.scrub.entry(event));
    }

    /// Tells something as soon as the batch is durable.
    pub(crate) fn tell(&mut self, event: RunEvent) {
        self.told.push(event);
    }

    /// Makes the batch durable with one sync, takes it into the state, then tells.
    pub(crate) async fn flush(&mut self) -> Result<(), JournalError> {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            crash::point("exec.append");
            let metas = self.journal.append(events.clone()).await?;
            crash::point("exec.appended");
            if metas.len() != events.len() {
                return Err(JournalError::Unknown(
                    "the ledger gave another number of places than it got entries".into(),
                ));
            }
            for (meta, event) in metas.iter().zip(&events) {
                // The same code replays it later: what it refuses now it would refuse for ever.
                self.state.apply(meta, event).map_err(|e| JournalError::Unknown(e.to_string()))?;
            }
        }
        for event in self.told.drain(..) {
            self.watcher.event(event);
        }
        Ok(())
    }
}

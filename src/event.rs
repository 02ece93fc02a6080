//! Run events: what a run tells whoever is watching. Plain data; the ledger is never a subscriber.

use std::time::Duration;

use crate::addr::Address;

/// Something that happened in a run, already durable where it has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// The run began, or goes on after a crash.
    Started {
        /// Its identity.
        run: String,
        /// The generation that it makes.
        generation: Option<u64>,
        /// How many steps will do something.
        steps: usize,
        /// Whether it goes on where an earlier process stopped.
        resumed: bool,
    },
    /// A step starts.
    StepStarted {
        /// Its name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// What is done: `create`, `stage`, `migrate 3`, `prove`, ….
        action: String,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step tells how it is getting on.
    StepProgress {
        /// Its name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// One sentence.
        sentence: String,
        /// Time since it started.
        elapsed: Duration,
    },
    /// A step succeeded.
    StepSucceeded {
        /// Its name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// What was done.
        action: String,
        /// One sentence on the result, where there is something to say: "HTTP 200 in 3 ms".
        sentence: Option<String>,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step failed.
    StepFailed {
        /// Its name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// What was tried.
        action: String,
        /// Why it failed.
        sentence: String,
        /// What was seen: name and text.
        evidence: Vec<(String, String)>,
        /// How long it took.
        elapsed: Duration,
    },
    /// An assertion of a `check` block does not hold, which fails nothing.
    Warned {
        /// The block.
        address: Address,
        /// What it says.
        sentence: String,
    },
    /// A step will be tried again.
    StepRetried {
        /// Its name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// Why the attempt failed.
        sentence: String,
        /// When it will be tried again.
        wait: Duration,
    },
    /// Recovery looked for a step without an outcome.
    Reconciled {
        /// Its name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// What it found, in a sentence.
        sentence: String,
    },
    /// From here on the run only goes forward.
    Committed,
    /// The run goes back to its base.
    Unwinding {
        /// Why.
        sentence: String,
        /// How many steps the way back has.
        steps: usize,
    },
    /// The run was asked to stop.
    Interrupted {
        /// Whether this was the second time.
        again: bool,
    },
    /// After a run: somebody could not be told of it yet.
    Untold {
        /// What waits where, and why.
        sentence: String,
    },
    /// The run ended.
    Finished {
        /// `verified`, `rolled back`, `held`, `stuck`
        outcome: String,
        /// One sentence.
        sentence: String,
        /// How long the run took.
        elapsed: Duration,
    },
}

/// Where run events go. A subscriber may lag or drop progress; it must never block.
pub trait Watcher: Send + Sync {
    /// Takes an event.
    fn event(&self, event: RunEvent);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Watcher for Nobody {
    fn event(&self, _: RunEvent) {}
}

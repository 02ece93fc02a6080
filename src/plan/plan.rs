//! The plan as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{Change, ChangeKind};
use super::condition::Conditions;
use super::step::{Step, Work};
use crate::addr::Address;
use crate::diag::Diagnostics;
use crate::ledger::Release;
use crate::ledger::event::RunKind;
use crate::ledger::record::{Gates, Override};
use crate::provider::ResourceSchema;
use crate::value::Value;

/// What happens when a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes back to its base.
    Rollback,
    /// It stops where it is.
    Hold,
}

impl OnFailure {
    /// The word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Hold => "hold",
        }
    }
}

/// What the way back does about one change, announced with the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// The node.
    pub address: Address,
    /// Whether the change can be undone.
    pub possible: bool,
    /// One sentence: how, or why not.
    pub sentence: String,
}

/// An output.
#[derive(Debug, Clone)]
pub struct OutputChange {
    /// Its value in the current generation, encoded; `None` if it had none.
    pub before: Option<serde_json::Value>,
    /// Its value after; `None` if it goes.
    pub after: Option<Value>,
    /// Whether it changes, as far as known.
    pub changes: bool,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// For people.
    pub description: Option<String>,
}

/// A decided plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The environment's name.
    pub environment: String,
    /// What kind of run carries it out.
    pub kind: RunKind,
    /// The number of the generation that an apply makes.
    pub generation: u64,
    /// The verified generation that it starts from.
    pub base: Option<u64>,
    /// Every node's change, sorted by address; also those that are nothing.
    pub changes: Vec<Change>,
    /// The steps, each after those that it comes after.
    pub steps: Vec<Step>,
    /// The outputs, by name.
    pub outputs: BTreeMap<Arc<str>, OutputChange>,
    /// What happens when the run fails.
    pub on_failure: OnFailure,
    /// What the way back does about each change.
    pub way_back: Vec<WayBack>,
    /// Warnings, and what `review/` found.
    pub warnings: Diagnostics,
    /// The digest of what planning read from the ledger.
    pub basis: String,
    /// The digest of the ordered steps.
    pub effect: String,
    /// The digest of configuration and variables.
    pub asked: String,
    /// Whether it is limited by `--target` or `--replace`.
    pub partial: bool,
    /// What has to hold before the environment changes, as this configuration says; what stands says it as well.
    pub gates: Gates,
    /// The release that it promotes.
    pub promoted: Option<Box<Release>>,
    /// The artifacts that a person names in it against what was promoted.
    pub overrides: BTreeMap<Address, Override>,
    /// The schemas of the types in it, for whoever carries it out or shows it.
    pub schemas: BTreeMap<String, Arc<ResourceSchema>>,
    /// What could not be judged yet.
    pub conditions: Conditions,
    /// What could not be read, by node: with these the plan is incomplete.
    pub unreadable: Vec<(Address, String)>,
    /// Secrets that its steps need and that are not at hand: with these it cannot be carried out.
    pub unopened: Vec<super::unopened::Unopened>,
}

impl Plan {
    /// Whether there is something to do: a change, an output that changes, a version left over.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.changes.iter().any(Change::is_cause) || self.outputs.values().any(|o| o.changes)
    }

    /// How many changes there are of a kind.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(ChangeKind) -> bool) -> usize {
        self.changes.iter().filter(|c| wanted(c.kind)).count()
    }

    /// How many steps do something, besides barriers and the commit.
    #[must_use]
    pub fn working_steps(&self) -> usize {
        self.steps.iter().filter(|s| !matches!(s.work, Work::Barrier | Work::Commit)).count()
    }
}

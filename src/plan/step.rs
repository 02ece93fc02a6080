//! Steps: the units that a plan is carried out in.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::change::{MigrateHow, PlannedMigration};
use crate::addr::Address;
use crate::diag::Span;
use crate::ledger::event::Phase;
use crate::provider::{Action, Prior};
use crate::value::Value;

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, unique in the plan and the same whenever the same plan is made: `local_service.shop stage`.
    pub name: String,
    /// The node.
    pub address: Address,
    /// What is done.
    pub work: Work,
    /// The steps, by their position in [`super::Plan::steps`], that must have succeeded before it starts.
    pub after: Vec<usize>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Work {
    /// Nothing: stands for all steps that it comes after, so that edges stay few.
    Barrier,
    /// A provider's act.
    Act(Box<ActStep>),
    /// An object that was made or changed is waited for.
    Await {
        /// The provider.
        provider: String,
        /// The position of the act that made or changed it.
        follows: usize,
        /// How long it may take.
        deadline: Duration,
    },
    /// A data source is read, because its arguments are known only now.
    Read {
        /// The provider.
        provider: String,
        /// Its arguments.
        arguments: Value,
        /// Whether it may go wrong without failing the run: it stands in a `check` block.
        lenient: bool,
    },
    /// An artifact is fixed to its content and, if it is a file, copied into the ledger.
    Pin(PinStep),
    /// A migration is applied.
    Migrate {
        /// The database's URL.
        url: Value,
        /// What is applied.
        migration: PlannedMigration,
        /// How.
        how: Arc<MigrateHow>,
    },
    /// A migration is taken back with the text that was stored when it was applied.
    Revert {
        /// The database's URL.
        url: Value,
        /// What is taken back.
        migration: PlannedMigration,
        /// How.
        how: Arc<MigrateHow>,
    },
    /// A check.
    Check(CheckStep),
    /// The assertions of a `check` block.
    Assert(Vec<super::change::Assertion>),
    /// A record is dropped and its object stays.
    Forget,
    /// A record is written anew: its object as it was found.
    Record(Value),
    /// A record moves to this step's address.
    Move {
        /// The old address.
        from: Address,
    },
    /// An object that stands in its target already gets a record.
    Import(Box<ImportStep>),
    /// From here on the run only goes forward: the entry *committed*.
    Commit,
}

/// A provider's act.
#[derive(Debug, Clone)]
pub struct ActStep {
    /// The provider.
    pub provider: String,
    /// What is done.
    pub action: Action,
    /// Whether an update changes nothing: it takes over what was imported.
    pub takes_over: bool,
    /// What is asked for; parts may still be unknown. Null for delete and retire.
    pub planned: Value,
    /// The configured attributes only, for the record.
    pub inputs: Value,
    /// The object as it was. `None` for create.
    pub prior: Option<Prior>,
    /// For retire: the version that goes. `None` in a retire step means: the version that the switch of this run left.
    pub version: Option<Json>,
    /// For switch and retire: the position of the stage or switch step whose result it needs.
    pub follows: Option<usize>,
    /// The nodes that it depends on, for the record.
    pub dependencies: Vec<Address>,
    /// The version of the type's schema, for the record.
    pub schema: u32,
    /// For the record.
    pub create_before_destroy: bool,
    /// For the record: what the object that stays was imported as.
    pub imported: Option<String>,
    /// How long it may take; `None` while what is asked for is not known.
    pub deadline: Duration,
    /// How long after an unknown outcome a negative answer does not count.
    pub settle: Duration,
    /// Whether it stays in this process, so that `--parallelism` does not bound it.
    pub in_process: bool,
    /// What must hold of the result: condition, message, place. Evaluated when the step has its result.
    pub postconditions: Vec<(Value, Value, Span)>,
}

impl ActStep {
    /// What is done, in a word or two.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.takes_over { "take over" } else { self.action.word() }
    }
}

/// An object that is taken on as it stands.
#[derive(Debug, Clone)]
pub struct ImportStep {
    /// The provider.
    pub provider: String,
    /// What its target calls it.
    pub id: String,
    /// The object as it is.
    pub object: Prior,
    /// The configured attributes only, for the record.
    pub inputs: Value,
    /// The nodes that it depends on, for the record.
    pub dependencies: Vec<Address>,
    /// The version of the type's schema, for the record.
    pub schema: u32,
    /// For the record.
    pub create_before_destroy: bool,
}

/// A pin.
#[derive(Debug, Clone)]
pub struct PinStep {
    /// `file` or `image`.
    pub kind: String,
    /// The file's name, relative to the environment's directory; or the image's reference.
    pub source: Value,
    /// The digest, where it was known when planning: anything else at apply is an error.
    pub digest: Option<String>,
    /// The pin of an earlier generation, which is set again as it was: its content is in the ledger already.
    pub recorded: Option<crate::ledger::record::Pin>,
    /// On which versions of schemas it runs, by migration, as the configuration says.
    pub schema: std::collections::BTreeMap<Address, crate::ledger::record::SchemaRange>,
    /// When the newest commit in it was made, RFC 3339, where the configuration says.
    pub committed: Option<String>,
}

/// A check.
#[derive(Debug, Clone)]
pub struct CheckStep {
    /// On a staged version, or on what serves.
    pub phase: Phase,
    /// In a prove step: the workload.
    pub workload: Option<Address>,
    /// The check's configuration as an object: `http`, `tcp`, `grpc` or `command`, `interval`, `timeout`, ….
    pub configuration: Value,
}

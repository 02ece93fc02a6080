//! Changes: what an apply makes of each node, and why.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::addr::{Address, Key, NodeKind};
use crate::diag::Span;
use crate::provider::Prior;
use crate::value::{Path, Value};

/// What is done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Nothing.
    NoOp,
    /// A data source is read during the apply.
    Read,
    /// It is made.
    Create,
    /// It is changed in place, or by a staged version.
    Update,
    /// It goes, then a new one is made.
    ReplaceDeleteFirst,
    /// A new one is made, then the old one goes.
    ReplaceCreateFirst,
    /// It goes.
    Delete,
    /// Its record is dropped and the object stays.
    Forget,
    /// Its record is written anew as it was found, and the object stays as it is.
    Record,
    /// It is run: a check; a migration that is applied or taken back; an artifact that is pinned.
    Run,
}

impl ChangeKind {
    /// The symbol in front of it, as Terraform's users know it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::NoOp => " ",
            Self::Read => "<=",
            Self::Create => "+",
            Self::Update | Self::Record => "~",
            Self::ReplaceDeleteFirst => "-/+",
            Self::ReplaceCreateFirst => "+/-",
            Self::Delete => "-",
            Self::Forget => ".",
            Self::Run => ">",
        }
    }

    /// Whether it is a replacement.
    #[must_use]
    pub fn is_replace(self) -> bool {
        matches!(self, Self::ReplaceCreateFirst | Self::ReplaceDeleteFirst)
    }
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is as it should be.
    UpToDate,
    /// The ledger does not know it.
    New,
    /// It was recorded, but the target does not have it any more.
    Vanished,
    /// The configuration asks for other values.
    ConfigurationChanged,
    /// The target has other values than were recorded.
    Drifted,
    /// It is as configured, but does not do what it is there for; the sentence says what is missing.
    NotReady(String),
    /// A value of it is known after apply only.
    NotKnownYet,
    /// These attributes can only be changed by making a new object.
    CannotUpdate(Vec<Path>),
    /// The type says that it can only be changed by making a new object.
    MustReplace(String),
    /// `--replace`
    Requested,
    /// `replace_triggered_by`
    Triggered(String),
    /// It is not in the configuration any more.
    NotInConfiguration,
    /// The module that it was in is not called any more.
    NoModule,
    /// Its block is repeated in another way now.
    OtherRepetition,
    /// `count` is smaller than its number.
    CountIndex(u64),
    /// `for_each` does not have its key.
    EachKey(Key),
    /// The environment is destroyed.
    Destroyed,
    /// A version without traffic was left over.
    LeftOver,
    /// It is a check, and something changes.
    Checked,
    /// It is pending.
    Pending,
    /// It is taken back.
    TakenBack,
    /// It is what was promoted.
    Promoted,
    /// `removed { lifecycle { destroy = false } }`
    ToForget,
    /// It depends on something that changes.
    DependsOnChange,
    /// It is as configured, but was only imported so far: it is written once, and is Gantry's from then on.
    TakenOver,
    /// It was imported after the generation that is gone back to.
    ImportedLater,
    /// Its object stays, for this reason, though nothing asks for it any more.
    Kept(String),
}

/// A change of one node.
#[derive(Debug, Clone)]
pub struct Change {
    /// The node.
    pub address: Address,
    /// The address that its record had before, if it moved.
    pub moved_from: Option<Address>,
    /// What its target calls it, if it is taken on in this run.
    pub importing: Option<String>,
    /// What is done.
    pub kind: ChangeKind,
    /// Why.
    pub reason: Reason,
    /// The object before: as observed, or as recorded where nothing was read. `None` if there was none.
    pub before: Option<Value>,
    /// The object after, with what is known after apply unknown. `None` if there will be none.
    pub after: Option<Value>,
    /// Where they differ.
    pub differs: Vec<Path>,
    /// Where a difference forces a replacement.
    pub replaces: Vec<Path>,
    /// The object as it was recorded, if the target has changed since: [`Change::before`] is what is there.
    pub drift: Option<Value>,
    /// What the lowering needs beside this.
    pub detail: Detail,
    /// Where the block stands; `None` if it stands nowhere any more.
    pub span: Option<Span>,
}

/// What each kind of node needs for its steps.
#[derive(Debug, Clone)]
pub enum Detail {
    /// A resource.
    Resource(ResourceDetail),
    /// A data source.
    Data {
        /// The provider.
        provider: String,
        /// Whether it may go wrong without failing the run: it stands in a `check` block.
        lenient: bool,
    },
    /// An artifact.
    Artifact,
    /// A migration.
    Migration(Box<MigrationDetail>),
    /// A check: the probe's configuration is in [`Change::after`].
    Check(CheckDetail),
    /// A `check` block.
    Assertions(Vec<Assertion>),
}

/// What a resource's steps need.
#[derive(Debug, Clone)]
pub struct ResourceDetail {
    /// The provider.
    pub provider: String,
    /// The object as it was, with what finds it.
    pub prior: Option<Prior>,
    /// The configured attributes only, for the record.
    pub inputs: Value,
    /// Versions without traffic that stand beside it, to be retired.
    pub leftovers: Vec<Json>,
    /// `lifecycle { create_before_destroy }`
    pub create_before_destroy: bool,
    /// What its target called it when it was imported, if the object of before was, or is now.
    pub imported: Option<String>,
    /// Its postconditions: condition, message, place.
    pub postconditions: Vec<(Value, Value, Span)>,
    /// What its target said when it was asked about the change, where it can be asked.
    pub preview: Option<Previewed>,
}

/// What a target said of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Previewed {
    /// It would take it; with what it would do of its own accord, a sentence each.
    Yes(Vec<String>),
    /// It could not be asked, for this reason: the plan rests on the configuration alone.
    Not(String),
}

/// One migration of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMigration {
    /// Its number.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// The digest of its up text.
    pub checksum: String,
    /// Its up text.
    pub up: Arc<str>,
    /// Its down text.
    pub down: Option<Arc<str>>,
    /// The file's name.
    pub file: String,
    /// The down file's name.
    pub down_file: Option<String>,
    /// What it locks, rewrites or destroys, one sentence each with the line.
    pub effects: Vec<String>,
}

/// What a migration's steps need.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationDetail {
    /// The database's URL; sensitive, perhaps known after apply.
    pub url: Value,
    /// What is applied, in order.
    pub pending: Vec<PlannedMigration>,
    /// What is taken back, newest first.
    pub reverting: Vec<PlannedMigration>,
    /// What stands applied already.
    pub applied: Vec<u64>,
    /// Whether `on_rollback = "down"`.
    pub down_on_rollback: bool,
    /// How its steps are carried out.
    pub how: Arc<MigrateHow>,
}

/// How a migration's steps are carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrateHow {
    /// Who does it; `None` where this process does.
    pub runner: Option<MigrationRunner>,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a lock is waited for. Whoever waits for a table's lock makes all others behind it wait as well.
    pub lock_timeout: Duration,
}

impl Default for MigrateHow {
    fn default() -> Self {
        Self { runner: None, statement_timeout: Duration::from_secs(3600), lock_timeout: Duration::from_secs(10) }
    }
}

impl MigrateHow {
    /// The values that it has.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.runner.iter().map(|runner| &runner.settings)
    }
}

/// A `runner` block.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationRunner {
    /// Its label.
    pub name: String,
    /// The provider configuration that carries it out.
    pub provider: String,
    /// What it says; perhaps known after apply.
    pub settings: Value,
    /// Whether the image's own tool is run, and no SQL of ours.
    pub is_command: bool,
}

/// An assertion of a `check` block.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// Whether it holds; perhaps known after apply.
    pub holds: Value,
    /// What is said if it does not.
    pub message: Value,
    /// Whether the plan says already that it does not.
    pub told: bool,
}

/// What a check's steps need.
#[derive(Debug, Clone)]
pub struct CheckDetail {
    /// Whether it runs on what serves.
    pub verify: bool,
    /// The staged workloads that it is proven on, each with the probe's configuration in which that workload's attributes are
    /// those of the staged version.
    pub prove: Vec<(Address, Value)>,
}

impl Change {
    /// Whether an apply does nothing for it.
    #[must_use]
    pub fn is_no_op(&self) -> bool {
        self.kind == ChangeKind::NoOp
    }

    /// Whether it is imported, and nothing of it changes.
    #[must_use]
    pub fn only_imports(&self) -> bool {
        self.importing.is_some() && (self.is_no_op() || self.reason == Reason::TakenOver)
    }

    /// Whether it alone is reason enough for an apply: checks and reads come with other changes.
    #[must_use]
    pub fn is_cause(&self) -> bool {
        self.moved_from.is_some()
            || self.importing.is_some()
            || (!matches!(self.kind, ChangeKind::NoOp | ChangeKind::Read) && !self.address.kind.looks_only())
    }

    /// The resource detail, for resources.
    #[must_use]
    pub fn resource(&self) -> Option<&ResourceDetail> {
        if let Detail::Resource(detail) = &self.detail { Some(detail) } else { None }
    }

    /// Whether the node is of this kind.
    #[must_use]
    pub fn is(&self, kind: NodeKind) -> bool {
        self.address.kind == kind
    }
}

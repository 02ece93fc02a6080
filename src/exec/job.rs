//! What a started step does, closed: everything that it needs beside the runner, so that it can run on its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::addr::Address;
use crate::ledger::event::{AppliedMigration, Event, EvidenceRef, FailureKind, Phase, StepIntended};
use crate::ledger::record::Pin;
use crate::migrate::Migration;
use crate::plan::change::{MigrateHow, PlannedMigration};
use crate::plan::step::PinStep;
use crate::probe::{Judge, Probe};
use crate::provider::{Act, AwaitRequest, Provider, ReadRequest};
use crate::value::Value;

use super::journal::JournalError;
use super::reach::There;
use super::request::Asked;

/// A step as it is named wherever it is told of.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    /// Its name in the plan.
    pub(crate) step: String,
    /// The node.
    pub(crate) address: Address,
    /// What is done, in a word.
    pub(crate) action: String,
    /// Whether the run goes back.
    pub(crate) unwinding: bool,
}

/// An object whose evidence counts when a step fails.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Witness {
    pub(crate) address: Address,
    pub(crate) provider: String,
    pub(crate) identity: Json,
}

/// What a step does.
#[derive(Clone)]
pub(crate) enum Job {
    Act(Box<ActJob>),
    Await { provider: Arc<dyn Provider>, request: Box<AwaitRequest> },
    Read { provider: Arc<dyn Provider>, request: ReadRequest },
    Pin(PinJob),
    Migrate(MigrateJob),
    Revert(MigrateJob),
    Check(Box<CheckJob>),
}

/// A provider's act.
#[derive(Clone)]
pub(crate) struct ActJob {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) act: Act,
    pub(crate) asked: Asked,
    pub(crate) settle: std::time::Duration,
    pub(crate) in_process: bool,
}

/// An artifact that is fixed.
#[derive(Debug, Clone)]
pub(crate) struct PinJob {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) digest: Option<String>,
    pub(crate) tag: Option<String>,
}

impl PinJob {
    pub(crate) fn new(pin: &PinStep, source: &str, after: Option<&Value>) -> Self {
        let tag = after.and_then(|a| a.get_str("tag")).map(str::to_owned);
        Self { kind: pin.kind.clone(), source: source.to_owned(), digest: pin.digest.clone(), tag }
    }
}

/// A migration that is applied or taken back.
#[derive(Clone)]
pub(crate) struct MigrateJob {
    /// The database's URL: a secret.
    pub(crate) url: String,
    pub(crate) migration: PlannedMigration,
    pub(crate) how: Arc<MigrateHow>,
    /// The target in which it is carried out; `None` where this process does.
    pub(crate) there: Option<There>,
}

impl Job {
    /// Gives it the identity of the act that it is.
    pub(crate) fn identified(&mut self, op: &str) {
        match self {
            Self::Act(job) => op.clone_into(&mut job.act.op),
            Self::Migrate(MigrateJob { there: Some(there), .. })
            | Self::Revert(MigrateJob { there: Some(there), .. }) => op.clone_into(&mut there.key),
            _ => {}
        }
    }
}

impl MigrateJob {
    /// Whether an image's own tool is run, and no SQL of ours.
    pub(crate) fn is_command(&self) -> bool {
        self.there.as_ref().is_some_and(|there| there.is_command)
    }

    /// The migration as `migrate` knows it.
    pub(crate) fn migration(&self) -> Migration {
        let m = &self.migration;
        Migration {
            version: m.version,
            name: m.name.clone(),
            up: m.up.clone(),
            down: m.down.clone(),
            checksum: m.checksum.clone(),
            no_transaction: opens_with_no_transaction(&m.up),
            up_file: m.file.clone(),
            down_file: m.down_file.clone(),
        }
    }
}

fn opens_with_no_transaction(up: &str) -> bool {
    up.lines().next().is_some_and(|line| line.trim_end() == crate::migrate::source::NO_TRANSACTION)
}

/// A check.
#[derive(Clone)]
pub(crate) struct CheckJob {
    pub(crate) phase: Phase,
    pub(crate) workload: Option<Address>,
    pub(crate) probe: Probe,
    pub(crate) judge: Judge,
    pub(crate) secrets: Vec<String>,
    /// Whose evidence counts when it fails.
    pub(crate) witnesses: Vec<Witness>,
}

/// What a step came to, before the run takes it in.
#[derive(Debug)]
pub(crate) enum Answer {
    Applied {
        attributes: Value,
        identity: Json,
    },
    Read(Value),
    Pinned(Pin),
    Migrated(AppliedMigration),
    Reverted,
    Judged {
        passed: bool,
        sentence: String,
        evidence: Kept,
    },
    Failed(Failure),
    /// What became of it cannot be told now, for this reason.
    NotNow(String),
    /// The ledger cannot be written.
    Broken(JournalError),
}

/// Evidence in the blobs, and as text for who watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) blobs: Vec<EvidenceRef>,
    pub(crate) shown: Vec<(String, String)>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) sentence: String,
    pub(crate) evidence: Kept,
    /// Whether nobody can tell what became of it.
    pub(crate) unclear: bool,
}

impl Failure {
    /// A step that failed before anything was sent.
    pub(crate) fn not_sent(sentence: impl Into<String>) -> Self {
        Self { kind: FailureKind::NotSent, sentence: sentence.into(), evidence: Kept::default(), unclear: false }
    }

    /// A step that is known to have had no effect, or whose effect is recorded.
    pub(crate) fn rejected(sentence: impl Into<String>) -> Self {
        Self { kind: FailureKind::Rejected, ..Self::not_sent(sentence) }
    }

    /// A step of which nobody can tell what became.
    pub(crate) fn unclear(sentence: impl Into<String>) -> Self {
        Self { kind: FailureKind::Unknown, unclear: true, ..Self::not_sent(sentence) }
    }
}

/// What starting a step means.
pub(crate) enum Prepared {
    /// Nothing outside is touched: these events say that it is done.
    Done(Vec<Event>),
    /// Its intent, and what to do once that is durable.
    Job(StepIntended, Job),
}

/// What an answer means.
pub(crate) struct Conclusion {
    /// For the ledger.
    pub(crate) events: Vec<Event>,
    /// A sentence on the result where there is something to say, or why the step failed.
    pub(crate) outcome: Result<Option<String>, Failure>,
}

/// Named things by their position.
pub(crate) type ByStep<T> = BTreeMap<usize, T>;

//! What the ledger records: one variant an event.
//!
//! Every variant of a later Gantry that this one does not know is kept as [`Event::Unknown`] and counts as nothing, except
//! that a ledger whose format is newer is refused before it comes to that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::format::Digest;
use super::record::{Approval, Consent, Gates, Override, Pin, Record};
use super::release::Release;
use crate::addr::Address;

/// What kind of run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// `apply`
    Apply,
    /// `destroy`
    Destroy,
    /// `rollback`
    Rollback,
    /// `verify`: checks only.
    Verify,
    /// `promote`
    Promote,
    /// `apply --refresh-only`: records follow what is there.
    Refresh,
    /// A kind of a later Gantry.
    #[serde(other)]
    Unknown,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Everything asked for is serving, and every check passed.
    Verified,
    /// It failed, and the environment is at its base again.
    RolledBack,
    /// It stopped where it is; it can be gone on with.
    Held,
    /// Neither going on nor going back worked.
    Stuck,
    /// An outcome of a later Gantry.
    #[serde(other)]
    Unknown,
}

/// What an act came to, where it did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It never reached the target.
    NotSent,
    /// It reached the target and had no effect.
    Rejected,
    /// It may or may not have been done.
    Unknown,
}

/// A piece of evidence in the blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRef {
    /// What it is, for people.
    pub name: String,
    /// The blob's digest.
    pub blob: String,
}

/// When a check ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// On a staged version, before it gets traffic.
    Prove,
    /// On what serves.
    Verify,
}

impl Phase {
    /// The phase's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Prove => "prove",
            Self::Verify => "verify",
        }
    }
}

/// How a run began: all that is needed to go on with it or to come back to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// What kind of run.
    pub kind: RunKind,
    /// The generation that it makes; `None` for a run that makes none (`verify`).
    pub generation: Option<u64>,
    /// The verified generation that it started from.
    pub base: Option<u64>,
    /// The plan's effect.
    pub effect: String,
    /// The digest of the plan file, where the run carries out a saved plan, to know it again.
    pub plan: Option<String>,
    /// The blob with the plan's inputs (bundle, variables, facts, options, seed): planning from these gives this plan again.
    pub inputs: String,
    /// The digest of the configuration bundle and the variables, to tell whether a later command asks for the same.
    pub asked: String,
    /// `rollback` or `hold`.
    pub on_failure: String,
    /// Whether it was limited by `--target` or `--replace`.
    pub partial: bool,
    /// The gates of its plan: the next run passes them too.
    #[serde(default, skip_serializing_if = "Gates::is_none")]
    pub gates: Gates,
    /// Who agreed to it, where that was asked for: from here on these approvals are spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// The version of Gantry.
    pub engine: String,
    /// The digest of the configuration bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// The release that it promotes, or whose artifacts it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Box<Release>>,
    /// Whether files come with it that the release does not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// The name of the release that it takes back, where it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_back: Option<String>,
    /// The artifacts that a person named against what was promoted, those of earlier runs that still hold among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<Address, Override>,
}

/// A step's intent, durable before its act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepIntended {
    /// The step's name in the plan: address and action.
    pub step: String,
    /// The node.
    pub address: Address,
    /// What is done, in a word.
    pub action: String,
    /// The act's identity.
    pub op: String,
    /// The digest of what is asked for.
    pub request: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Set while the run unwinds.
    pub unwinding: bool,
}

/// A step's good end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepSucceeded {
    /// The step's name in the plan.
    pub step: String,
    /// The node.
    pub address: Address,
    /// What it means for the records.
    pub result: StepResult,
    /// Set while the run unwinds.
    pub unwinding: bool,
}

/// What a step's success means for the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum StepResult {
    /// The object is this now.
    Recorded {
        /// Its record.
        record: Box<Record>,
    },
    /// A version stands beside the object, without traffic.
    Staged {
        /// What finds it.
        identity: Json,
        /// Its own attributes, encoded.
        attributes: Json,
    },
    /// Traffic moved: the object is this now, and the version of before still stands.
    Switched {
        /// Its record.
        record: Box<Record>,
        /// The version without traffic that waits for its retirement.
        leftover: Option<Json>,
    },
    /// A version without traffic is gone.
    Retired {
        /// Which.
        identity: Json,
    },
    /// The object is gone.
    Removed,
    /// A data source answered.
    Read {
        /// The answer, encoded.
        attributes: Json,
    },
    /// Nothing for the records.
    Nothing,
}

/// A step's bad end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFailed {
    /// The step's name in the plan.
    pub step: String,
    /// The node.
    pub address: Address,
    /// What the act came to.
    pub kind: FailureKind,
    /// Why.
    pub sentence: String,
    /// What was seen.
    pub evidence: Vec<EvidenceRef>,
    /// Set while the run unwinds.
    pub unwinding: bool,
}

/// A check's verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckJudged {
    /// The step's name in the plan.
    pub step: String,
    /// The check.
    pub address: Address,
    /// When.
    pub phase: Phase,
    /// In a prove step: the workload.
    pub workload: Option<Address>,
    /// Whether it passed.
    pub passed: bool,
    /// Why.
    pub sentence: String,
    /// What was seen.
    pub evidence: Vec<EvidenceRef>,
    /// Set while the run unwinds.
    pub unwinding: bool,
}

/// What is current, sealed for other recipients than before: the same values under the same digests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resealed {
    /// Inputs and attributes of records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub records: BTreeMap<Address, [Json; 2]>,
    /// Outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Json>,
    /// The blobs with the inputs of generations, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
}

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedMigration {
    /// Its number.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// The digest of its up text.
    pub checksum: String,
    /// The blob with its up text.
    pub up: String,
    /// The blob with its down text, if it has a way back.
    pub down: Option<String>,
}

/// Drift that somebody knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The object.
    pub address: Address,
    /// The part of it; `None` for all that differed.
    pub path: Option<String>,
    /// The keyed digest of what was seen: anything else alarms.
    pub digest: String,
    /// Why it is no alarm.
    pub reason: String,
    /// Until when, RFC 3339.
    pub expires: String,
}

/// Blobs that were given up, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Collected {
    /// The generations that nobody can go back to any more.
    pub generations: Vec<u64>,
    /// The blobs that entries name.
    pub blobs: Vec<Digest>,
    /// How many more that no entry names: parts of earlier checkpoints, and what crashes left.
    pub others: u64,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Event {
    /// A run begins.
    RunStarted(Box<RunStarted>),
    /// A step is about to act.
    StepIntended(StepIntended),
    /// A step acted.
    StepSucceeded(StepSucceeded),
    /// A step failed.
    StepFailed(StepFailed),
    /// A check was judged.
    CheckJudged(CheckJudged),
    /// An artifact was fixed to its content.
    ArtifactPinned {
        /// The step's name in the plan.
        step: String,
        /// The artifact.
        address: Address,
        /// To what.
        pin: Pin,
    },
    /// A migration was applied.
    MigrationApplied {
        /// The step's name in the plan.
        step: String,
        /// The `migration` node.
        address: Address,
        /// What was applied.
        migration: AppliedMigration,
    },
    /// A migration was taken back.
    MigrationReverted {
        /// The step's name in the plan.
        step: String,
        /// The `migration` node.
        address: Address,
        /// Its number.
        version: u64,
    },
    /// From here on the run only goes forward.
    Committed,
    /// The run goes back to its base.
    UnwindingStarted {
        /// Why.
        sentence: String,
    },
    /// The run ended.
    RunFinished {
        /// How.
        outcome: RunOutcome,
        /// One sentence.
        sentence: String,
        /// The outputs, encoded, where the outcome is verified.
        outputs: BTreeMap<String, Json>,
    },
    /// Recovery looked for a step without an outcome.
    Reconciled {
        /// The step's name in the plan.
        step: String,
        /// The node.
        address: Address,
        /// `done`, `not done`, `failed`, `cannot tell`
        found: String,
    },
    /// A record moved to another address.
    Moved {
        /// The old address.
        from: Address,
        /// The new one.
        to: Address,
        /// Why, where a person did it.
        reason: Option<String>,
    },
    /// An object that stood in its target already was taken on.
    Imported {
        /// The step's name in the plan.
        step: String,
        /// Its address.
        address: Address,
        /// What its target calls it.
        id: String,
        /// Its record.
        record: Box<Record>,
    },
    /// A lease was taken from its holder by a person.
    Unlocked {
        /// Who held it.
        holder: String,
        /// Why.
        reason: String,
    },
    /// The ledger was copied to another place, which counts from here on.
    MovedAway {
        /// Where it is now.
        place: String,
    },
    /// What all entries before this one come to was written down ([`super::checkpoint`]).
    Checkpoint {
        /// The blob that names its parts.
        manifest: Digest,
    },
    /// Blobs that nothing kept refers to were given up: they are gone, or the next collection removes them. An entry that names
    /// one after this one has it kept again.
    Collected(Collected),
    /// A record was dropped; the object stays.
    Removed {
        /// Its address.
        address: Address,
        /// Why, where a person did it.
        reason: Option<String>,
    },
    /// A person lifted the quarantine of a release.
    ReleaseLifted {
        /// Its name.
        release: String,
        /// Why.
        reason: String,
    },
    /// What is current was sealed anew; nothing else changed.
    Resealed(Box<Resealed>),
    /// Drift is known and no alarm, for a time.
    DriftAcknowledged(Box<Acknowledged>),
    /// It alarms again.
    AcknowledgementWithdrawn {
        /// The object.
        address: Address,
        /// The part of it that was acknowledged; `None` for the whole.
        path: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// Somebody agreed that a plan of this effect is carried out.
    ApprovalGiven(Box<Approval>),
    /// An event of a later Gantry.
    #[serde(other)]
    Unknown,
}

//! What is recorded of a resource, an artifact, a generation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::event::{AppliedMigration, CheckJudged, RunKind, RunOutcome};
use super::release::Release;
use crate::addr::Address;

/// A resource as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its type.
    pub ty: String,
    /// The provider of the type.
    pub provider: String,
    /// What finds it in its target.
    pub identity: Json,
    /// What the configuration asked for, encoded; secrets as keyed digests.
    pub inputs: Json,
    /// What the target answered, encoded; secrets as keyed digests.
    pub attributes: Json,
    /// The nodes that it depends on, for the order in which things go.
    pub dependencies: Vec<Address>,
    /// The version of the type's schema.
    pub schema: u32,
    /// The generation that made or last changed it.
    pub generation: u64,
    /// Whether a replacement is made before this one goes.
    pub create_before_destroy: bool,
    /// What its target called it when it was imported; `None` for an object that Gantry made. A way back to before the import
    /// forgets it and leaves it where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
}

/// What an artifact is fixed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// `file` or `image`.
    pub kind: String,
    /// `sha256:` and 64 digits.
    pub digest: String,
    /// For an image: the repository; for a file: its name as configured.
    pub source: String,
    /// For an image: the tag that was resolved.
    pub tag: Option<String>,
    /// For a file: its size in bytes.
    pub size: Option<u64>,
    /// On which versions of schemas it runs, by migration, as far as it says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schema: BTreeMap<Address, SchemaRange>,
    /// When the newest commit in it was made, RFC 3339, as far as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<String>,
}

impl Pin {
    /// Whether it is the same content from the same place, whatever is said of its history.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let bare = |pin: &Self| Self { committed: None, ..pin.clone() };
        bare(self) == bare(other)
    }
}

/// Versions of a schema, both ends included; `None` for no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchemaRange {
    /// The lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

impl SchemaRange {
    /// Whether a version is in it. A database without any migration has version 0.
    #[must_use]
    pub fn holds(&self, version: u64) -> bool {
        self.min.is_none_or(|min| version >= min) && self.max.is_none_or(|max| version <= max)
    }
}

impl std::fmt::Display for SchemaRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "{min} and above"),
            (None, Some(max)) => write!(f, "up to {max}"),
            (None, None) => f.write_str("of any version"),
        }
    }
}

/// A generation as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The run that made it.
    pub run: String,
    /// What kind of run that was.
    pub kind: RunKind,
    /// The generation that it started from.
    pub base: Option<u64>,
    /// How it ended; `None` while it is under way.
    pub outcome: Option<RunOutcome>,
    /// One sentence on how.
    pub sentence: String,
    /// The blob with the plan's inputs.
    pub inputs: String,
    /// The digest of configuration and variables.
    pub asked: String,
    /// The plan's effect.
    pub effect: String,
    /// The digest of the plan file that it carried out.
    pub plan: Option<String>,
    /// Whether it was limited to some targets.
    pub partial: bool,
    /// What whoever changes the environment after it has to pass.
    #[serde(default, skip_serializing_if = "Gates::is_none")]
    pub gates: Gates,
    /// Who agreed to it, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// When it started.
    pub started: String,
    /// When it ended.
    pub finished: Option<String>,
    /// Who started it.
    pub actor: String,
    /// The pins at its end.
    pub pins: BTreeMap<Address, Pin>,
    /// The outputs at its end, encoded.
    pub outputs: BTreeMap<String, Json>,
    /// The verdicts of its checks, in their order.
    pub checks: Vec<CheckJudged>,
    /// The migrations that stood applied at its end, by node.
    pub migrations: BTreeMap<Address, Vec<AppliedMigration>>,
    /// What failed in it, in order: step and sentence.
    pub failures: Vec<(String, String)>,
    /// The digest of the configuration bundle; `None` where an older Gantry made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// The release that was promoted to it, or to an earlier one whose artifacts it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Box<Release>>,
    /// Whether files came with it that the release does not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// The artifacts that a person named for it against what was promoted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<Address, Override>,
    /// Set once its blobs were given up: there is no way back to it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Collection>,
}

/// What has to be passed before an environment is changed. What stands recorded counts beside what is planned, so that whoever loosens a
/// gate passes the old one first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// Who has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalGate>,
    /// From where releases come; `None` where artifacts are the environment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionGate>,
    /// Whether destroying, and losing data, has to be meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
}

impl Gates {
    /// Whether nothing has to be passed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// `approval` of an environment, as it was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalGate {
    /// How many people have to agree.
    pub required: u32,
    /// The allowed-signers file.
    pub signers: String,
    /// The revoked keys: a list, or a KRL in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// How long an approval may last, in seconds.
    pub expires: u64,
}

/// Something that somebody signed, with what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who, as the signers file of then called him.
    pub principal: String,
    /// The effect that it is about.
    pub effect: String,
    /// What makes it count once.
    pub nonce: String,
    /// For an approval: until when it counts, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The line that was signed.
    pub line: String,
    /// The armoured signature.
    pub signature: String,
    /// For an approval: the blob with the steps that it is about, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<String>,
}

/// Who agreed to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The approvals that it spent.
    pub approvals: Vec<Approval>,
    /// Who made the plan; `None` where that is who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Approval>,
    /// Who started it.
    pub starter: Approval,
}

/// An approval that waits for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenApproval {
    /// The approval.
    pub approval: Approval,
    /// When it was recorded, RFC 3339.
    pub time: String,
    /// By whom.
    pub actor: String,
}

/// When and by whom blobs were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// When, RFC 3339.
    pub time: String,
    /// Who.
    pub actor: String,
}

impl std::fmt::Display for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { time, actor } = self;
        // Nobody needs the fractions of a second.
        let whole = time.split_once('.').map_or(time.as_str(), |(whole, _)| whole).trim_end_matches('Z');
        write!(f, "{actor} collected it with gantry state gc at {whole}Z")
    }
}

/// An artifact that a person named against what was promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The image or file that was named.
    pub reference: String,
    /// Why.
    pub reason: String,
}

/// `promotion { … }` of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionGate {
    /// The environment that releases come from.
    pub from: String,
    /// For how long, in seconds, a release has to have stood verified there.
    pub soak: u64,
    /// The checks that have to have passed on it there.
    pub require: std::collections::BTreeSet<Address>,
    /// Whether files may come from the working tree that the release did not prove.
    pub allow_unproven: bool,
}

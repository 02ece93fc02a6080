//! A release: what a generation proved, as one thing that can move to another environment.
//!
//! It is named by its content: artifacts by their digests, migrations by their checksums, the configuration, the verdicts of the
//! checks, and where all of that stood. An environment that got it by promotion passes it on under the same name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Phase, RunKind, RunOutcome};
use super::format::{digest, to_canonical};
use super::record::{Generation, Pin};
use crate::addr::Address;

/// How many digits of a release's name people see.
const SHORT: usize = 12;

/// A migration of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedMigration {
    /// Its number.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// The digest of its up text.
    pub checksum: String,
}

/// What a check said of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When it ran.
    pub phase: Phase,
    /// Whether it passed.
    pub passed: bool,
    /// Why, in a sentence.
    pub sentence: String,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The environment that first verified it.
    pub environment: String,
    /// The identity of that environment's ledger.
    pub lineage: String,
    /// The generation that it was there.
    pub generation: u64,
    /// The digest of the configuration bundle; of configuration and variables where an older Gantry made the generation.
    pub configuration: String,
    /// What artifacts are fixed to.
    pub artifacts: BTreeMap<Address, Pin>,
    /// The migrations that stood applied, by node, in their order.
    pub migrations: BTreeMap<Address, Vec<ReleasedMigration>>,
    /// The last verdict of each check.
    pub evidence: BTreeMap<Address, Evidence>,
}

impl Release {
    /// The release that a generation is: the one that was promoted to it, or its own. `None` for a generation that proved nothing that
    /// could move: it did not end verified, was limited to some targets, or took everything away.
    #[must_use]
    pub fn of(environment: &str, lineage: &str, generation: &Generation) -> Option<Self> {
        let proven = generation.outcome == Some(RunOutcome::Verified)
            && !generation.partial
            && generation.kind != RunKind::Destroy;
        if !proven {
            return None;
        }
        if let Some(release) = generation.release.as_ref().filter(|_| !generation.unproven) {
            return Some((**release).clone());
        }
        let migration = |m: &super::event::AppliedMigration| ReleasedMigration {
            version: m.version,
            name: m.name.clone(),
            checksum: m.checksum.clone(),
        };
        let migrations =
            generation.migrations.iter().map(|(node, all)| (node.clone(), all.iter().map(migration).collect()));
        Some(Self {
            environment: environment.to_owned(),
            lineage: lineage.to_owned(),
            generation: generation.number,
            configuration: generation.configuration.clone().unwrap_or_else(|| generation.asked.clone()),
            artifacts: generation.pins.clone(),
            migrations: migrations.collect(),
            evidence: evidence(generation),
        })
    }

    /// Its name: 64 hexadecimal digits, the SHA-256 of its canonical form.
    #[must_use]
    pub fn id(&self) -> String {
        let bytes = to_canonical(self).expect("invariant: a release is texts, whole numbers and truth values");
        digest(&bytes).to_string().trim_start_matches("sha256:").to_owned()
    }
}

/// What each check said last of what a generation made; what it said while a run went back is of something else.
#[must_use]
pub fn evidence(generation: &Generation) -> BTreeMap<Address, Evidence> {
    let of_it = generation.checks.iter().filter(|judged| !judged.unwinding);
    let said = |phase, passed, sentence: &str| Evidence { phase, passed, sentence: sentence.to_owned() };
    of_it.map(|j| (j.address.clone(), said(j.phase, j.passed, &j.sentence))).collect()
}

/// The part of a release's name that people see and type.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// A release that must not be promoted to an environment: it failed there, or was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The generation that it was, or was to be, there.
    pub generation: u64,
    /// The run that took it back.
    pub run: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

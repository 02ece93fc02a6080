//! The promotion difference: what an environment gets, against what another one proved.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::Detail;
use super::plan::Plan;
use crate::addr::{Address, NodeKind};
use crate::ledger::record::{Generation, Pin};
use crate::ledger::release::evidence;
use crate::ledger::{Release, State};
use crate::value::{Marks, Value};

/// An artifact of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactDifference {
    /// Which.
    pub address: Address,
    /// What it is in the environment now.
    pub before: Option<Pin>,
    /// What the release says. `None`: the environment has no such artifact, and does without.
    pub after: Option<Pin>,
}

/// A migration node that the environment has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationDifference {
    /// Which.
    pub address: Address,
    /// The newest version that is applied.
    pub before: Option<u64>,
    /// The newest version after the promotion.
    pub after: Option<u64>,
    /// The files that are applied, with whether the source has applied the same text.
    pub pending: Vec<(String, bool)>,
}

/// A variable that the two environments have different values for.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableDifference {
    /// Which.
    pub name: Arc<str>,
    /// Its value in the source; `None` if it has no such variable.
    pub source: Option<Value>,
    /// Its value in the target.
    pub target: Option<Value>,
}

/// What a promotion brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The release.
    pub release: Release,
    /// The environment that it comes from: that of the release, or one that got it itself.
    pub from: String,
    /// The generation there.
    pub generation: u64,
    /// When it was verified there, RFC 3339.
    pub verified: Option<String>,
    /// Artifacts.
    pub artifacts: Vec<ArtifactDifference>,
    /// Migrations.
    pub migrations: Vec<MigrationDifference>,
    /// How many files are the bytes that the source proved.
    pub proven: usize,
    /// The environment's own files.
    pub own: Vec<String>,
    /// Files from the working tree that the release does not hold, or holds in another form.
    pub unproven: Vec<String>,
    /// Variables that differ.
    pub variables: Vec<VariableDifference>,
    /// Checks that passed on it in the source, and are asked again.
    pub passed: Vec<Address>,
    /// Checks that the source did not ask, or that did not pass there.
    pub unasked: Vec<Address>,
    /// Artifacts that a person had named and that the promotion takes back.
    pub overridden: Vec<Address>,
}

/// Where a release comes from, for the difference.
pub struct Proof<'a> {
    /// The release.
    pub release: &'a Release,
    /// The environment that offers it.
    pub from: &'a str,
    /// The generation there.
    pub generation: &'a Generation,
    /// The values of its variables, as far as they can be told.
    pub variables: &'a BTreeMap<Arc<str>, Value>,
}

/// What files a plan is made from.
#[derive(Debug, Default)]
pub struct FilesUsed {
    /// How many are the bytes that the source proved.
    pub proven: usize,
    /// The environment's own, as people see them.
    pub own: Vec<String>,
    /// Those that are neither.
    pub unproven: Vec<String>,
}

/// Draws the difference up.
#[must_use]
pub fn difference(
    proof: &Proof<'_>,
    plan: &Plan,
    recorded: &State,
    variables: &BTreeMap<Arc<str>, Value>,
    files: FilesUsed,
) -> Difference {
    let release = proof.release;
    let has = |address: &Address| plan.changes.iter().any(|c| c.address == *address);
    let artifacts = release.artifacts.iter().map(|(address, pin)| ArtifactDifference {
        address: address.clone(),
        before: recorded.pins.get(address).cloned(),
        after: has(address).then(|| pin.clone()),
    });
    let said = evidence(proof.generation);
    let checks = plan.changes.iter().map(|c| &c.address);
    let checks = checks.filter(|a| matches!(a.kind, NodeKind::HealthCheck | NodeKind::SmokeTest));
    let (passed, unasked) = checks.cloned().partition(|a| said.get(a).is_some_and(|verdict| verdict.passed));
    let overridden = recorded.current().map(|g| g.overrides.keys().cloned().collect()).unwrap_or_default();
    Difference {
        release: release.clone(),
        from: proof.from.to_owned(),
        generation: proof.generation.number,
        verified: proof.generation.finished.clone(),
        artifacts: artifacts.collect(),
        migrations: migrations(release, plan),
        proven: files.proven,
        own: files.own,
        unproven: files.unproven,
        variables: self::variables(proof.variables, variables),
        passed,
        unasked,
        overridden,
    }
}

fn migrations(release: &Release, plan: &Plan) -> Vec<MigrationDifference> {
    let of = |change: &super::change::Change| {
        let Detail::Migration(detail) = &change.detail else { return None };
        let proven = release.migrations.get(&change.address).map(Vec::as_slice).unwrap_or_default();
        let pending = detail.pending.iter().map(|m| {
            let same = proven.iter().any(|p| p.version == m.version && p.checksum == m.checksum);
            (m.file.clone(), same)
        });
        let before = detail.applied.iter().max().copied();
        Some(MigrationDifference {
            address: change.address.clone(),
            before,
            after: detail.pending.iter().map(|m| m.version).max().or(before),
            pending: pending.collect(),
        })
    };
    plan.changes.iter().filter_map(of).collect()
}

fn variables(source: &BTreeMap<Arc<str>, Value>, target: &BTreeMap<Arc<str>, Value>) -> Vec<VariableDifference> {
    let names: std::collections::BTreeSet<&Arc<str>> = source.keys().chain(target.keys()).collect();
    let differs = |name: &&Arc<str>| match (source.get(*name), target.get(*name)) {
        // Secrets of two environments cannot be compared, and need not be equal.
        (Some(one), Some(other)) => {
            let secret = one.marks_deep().is_sensitive() || other.marks_deep().is_sensitive();
            secret || one.unmark_deep().0 != other.unmark_deep().0
        }
        _ => true,
    };
    let hidden = |value: &Value| {
        let marks = value.marks_deep();
        if marks.is_sensitive() || marks.has(Marks::EPHEMERAL) { value.clone().sensitive() } else { value.clone() }
    };
    let of = |name: &Arc<str>| VariableDifference {
        name: name.clone(),
        source: source.get(name).map(hidden),
        target: target.get(name).map(hidden),
    };
    names.into_iter().filter(differs).map(of).collect()
}

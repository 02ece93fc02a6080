//! Promotions and releases, for programs.

use serde_json::{Value as Json, json};

use super::values::{known, sensitive};
use crate::ledger::record::Pin;
use crate::plan::difference::Difference;
use crate::value::Value;
use crate::view::human::KnownRelease;

/// What a promotion brings, against what was proven: the parts of its line.
pub(super) fn brings(difference: &Difference, target: &str) -> Vec<(&'static str, Json)> {
    let digest = |pin: &Option<Pin>| pin.as_ref().map(|pin| pin.digest.clone());
    let artifacts = difference.artifacts.iter().map(|one| {
        json!({
            "address": one.address.to_string(), "before": digest(&one.before), "after": digest(&one.after), "proven": true,
        })
    });
    let migrations = difference.migrations.iter().map(|one| {
        let pending = one.pending.iter().map(|(file, same)| json!({ "file": file, "proven": same }));
        json!({
            "address": one.address.to_string(), "before": one.before, "after": one.after,
            "pending": pending.collect::<Vec<_>>(),
        })
    });
    let shown = |value: &Option<Value>| value.as_ref().map(|v| json!({ "value": known(v), "sensitive": sensitive(v) }));
    let variables = difference
        .variables
        .iter()
        .map(|one| json!({ "name": one.name.to_string(), "source": shown(&one.source), "target": shown(&one.target) }));
    let addresses = |all: &[crate::addr::Address]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        ("release", json!(difference.release.id())),
        (
            "proven_in",
            json!({ "environment": difference.release.environment, "generation": difference.release.generation }),
        ),
        (
            "source",
            json!({ "environment": difference.from, "generation": difference.generation, "verified": difference.verified }),
        ),
        ("target", json!(target)),
        ("artifacts", artifacts.collect()),
        ("migrations", migrations.collect()),
        (
            "configuration",
            json!({ "proven": difference.proven, "own": difference.own, "not_proven": difference.unproven }),
        ),
        ("variables", variables.collect()),
        ("checks", json!({ "proven": addresses(&difference.passed), "not_proven": addresses(&difference.unasked) })),
        ("overrides_taken_back", json!(addresses(&difference.overridden))),
    ]
}

/// A release, as an environment knows it.
#[must_use]
pub fn release(known: &KnownRelease<'_>) -> Json {
    let mut out = serde_json::to_value(known.release).expect("invariant: a release is plain data");
    out["release"] = json!(known.release.id());
    out["here"] = json!({
        "environment": known.environment, "generations": known.generations, "current": known.current,
        "quarantined": known.quarantined,
    });
    out
}

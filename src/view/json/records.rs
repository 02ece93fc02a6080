//! What is recorded, for programs: states in Terraform's state representation, outputs as `terraform output -json` gives them.

use std::collections::BTreeMap;

use serde_json::{Map as JsonMap, Value as Json, json};

use super::approval::{consent, given};
use super::plan::run_kind;
use super::values::{entry, known, module_tree, sensitive};
use crate::addr::Address;
use crate::ledger::State;
use crate::ledger::event::{AppliedMigration, CheckJudged};
use crate::ledger::record::{Generation, Pin, Record};
use crate::ledger::story::Changes;
use crate::value::encode_type;
use crate::view::human::{checked, lasted, outcome_word, recorded};

/// The version of Terraform's state representation that this follows.
const FORMAT: &str = "1.0";

/// Recorded outputs as `terraform output -json` gives them: `{name: {sensitive, type, value}}`. Of a sensitive one only a
/// digest is recorded, so its value is null.
#[must_use]
pub fn outputs(all: &BTreeMap<String, Json>) -> Json {
    let one = |json: &Json| match recorded(json) {
        Some(value) if !value.marks_deep().is_sensitive() => {
            json!({ "sensitive": false, "type": encode_type(&value.ty()), "value": known(&value) })
        }
        Some(value) => json!({ "sensitive": true, "type": encode_type(&value.ty()), "value": null }),
        None => json!({ "sensitive": false, "type": "dynamic", "value": null }),
    };
    Json::Object(all.iter().map(|(name, json)| (name.clone(), one(json))).collect())
}

/// One recorded output's bare value, as `terraform output -json NAME` gives it; `None` if it is sensitive or cannot be read.
#[must_use]
pub fn output(json: &Json) -> Option<Json> {
    recorded(json).filter(|value| !value.marks_deep().is_sensitive()).as_ref().map(known)
}

/// An environment as the ledger knows it now, in Terraform's state representation; what only Gantry has under `gantry`.
#[must_use]
pub fn show(environment: &str, now: &State) -> Json {
    let resources = now.records.iter().map(|(address, record)| (address.clone(), resource(address, record)));
    let versions: Vec<Json> = now
        .versions
        .iter()
        .flat_map(|(address, versions)| {
            versions.iter().map(move |v| json!({ "address": address.to_string(), "values": plain(&v.attributes) }))
        })
        .collect();
    let judged = now.checks.values().map(|(j, at)| check(j, Some(at)));
    let open = now.open.as_ref().map(|open| {
        json!({
            "run": open.run, "kind": run_kind(open.started.kind), "generation": open.started.generation, "started": open.time,
            "actor": open.actor, "committed": open.committed, "unwinding": open.unwinding,
        })
    });
    let mut out = json!({
        "format_version": FORMAT,
        "gantry_version": env!("CARGO_PKG_VERSION"),
        "values": { "outputs": outputs(&now.outputs), "root_module": module_tree(resources.collect()) },
        "gantry": {
            "environment": environment,
            "generation": now.current().map(|g| g.number),
            "last": now.generations.last().map(summary),
            "versions": versions,
            "artifacts": pins(&now.pins),
            "migrations": migrations(&now.migrations),
            "checks": judged.collect::<Vec<_>>(),
            "open": open,
        },
    });
    if !now.approvals.is_empty() {
        out["gantry"]["approvals"] = now.approvals.iter().map(given).collect();
    }
    out
}

/// One generation.
#[must_use]
pub fn show_generation(generation: &Generation) -> Json {
    let Json::Object(mut out) = summary(generation) else { return Json::Null };
    out.insert("inputs".into(), json!(generation.inputs));
    out.insert("asked".into(), json!(generation.asked));
    out.insert("artifacts".into(), pins(&generation.pins));
    out.insert("migrations".into(), migrations(&generation.migrations));
    out.insert("checks".into(), generation.checks.iter().map(|j| check(j, None)).collect());
    out.insert("outputs".into(), outputs(&generation.outputs));
    let failures = generation.failures.iter().map(|(step, why)| json!({ "step": step, "sentence": why }));
    out.insert("failures".into(), failures.collect());
    Json::Object(out)
}

/// All generations, oldest first. `changes` are those of each run.
#[must_use]
pub fn history(state: &State, releases: &BTreeMap<u64, String>, changes: &BTreeMap<String, Changes>) -> Json {
    let current = state.current().map(|g| g.number);
    let one = |generation: &Generation| {
        let mut out = summary(generation);
        let release = releases.get(&generation.number);
        out["release"] = json!(release);
        out["quarantined"] = json!(release.is_some_and(|id| state.quarantine.contains_key(id)));
        out["current"] = json!(current == Some(generation.number));
        let (passed, failed) = checked(generation).unwrap_or_default();
        out["checks"] = json!({ "passed": passed, "failed": failed });
        let done = changes.get(&generation.run).copied().unwrap_or_default();
        out["changes"] = json!({
            "added": done.added, "changed": done.changed, "destroyed": done.destroyed, "migrations": done.migrations,
        });
        out
    };
    state.generations.iter().map(one).collect()
}

fn summary(generation: &Generation) -> Json {
    let mut out = json!({
        "generation": generation.number,
        "outcome": outcome_word(generation),
        "kind": run_kind(generation.kind),
        "run": generation.run,
        "base": generation.base,
        "started": generation.started,
        "finished": generation.finished,
        "duration_seconds": lasted(generation).map(|took| took.as_secs_f64()),
        "actor": generation.actor,
        "effect": generation.effect,
        "plan": generation.plan,
        "partial": generation.partial,
        "sentence": generation.sentence,
        "collected": generation.collected,
        "promoted_from": generation.release.as_ref().map(|r| json!({ "environment": r.environment, "generation": r.generation })),
        "overrides": generation.overrides,
    });
    if let Some(given) = &generation.consent {
        out["approval"] = consent(given);
    }
    out
}

/// The addresses of all records.
#[must_use]
pub fn state_list(state: &State) -> Json {
    state.records.keys().map(|address| json!(address.to_string())).collect()
}

/// All that is recorded, for programs.
#[must_use]
pub fn state_pull(state: &State, lineage: Option<&str>) -> Json {
    json!({
        "lineage": lineage,
        "serial": state.seq,
        "generation": state.current().map(|g| g.number),
        "resources": state.records.iter().map(|(address, record)| resource(address, record)).collect::<Json>(),
        "outputs": outputs(&state.outputs),
    })
}

/// One record.
#[must_use]
pub fn state_show(address: &Address, record: &Record) -> Json {
    resource(address, record)
}

fn resource(address: &Address, record: &Record) -> Json {
    let mut out = entry(address, &record.provider);
    out.insert("schema_version".into(), json!(record.schema));
    let value = recorded(&record.attributes);
    out.insert("values".into(), value.as_ref().map_or(Json::Null, known));
    out.insert("sensitive_values".into(), value.as_ref().map_or(json!({}), sensitive));
    if !record.dependencies.is_empty() {
        let needs: Vec<String> = record.dependencies.iter().map(ToString::to_string).collect();
        out.insert("depends_on".into(), json!(needs));
    }
    out.insert("gantry".into(), json!({ "generation": record.generation }));
    Json::Object(out)
}

fn plain(encoded: &Json) -> Json {
    recorded(encoded).as_ref().map_or(Json::Null, known)
}

fn pins(pins: &BTreeMap<Address, Pin>) -> Json {
    let one = |(address, pin): (&Address, &Pin)| {
        json!({
            "address": address.to_string(), "kind": pin.kind, "digest": pin.digest, "source": pin.source, "tag": pin.tag,
            "size": pin.size, "schema": pin.schema,
        })
    };
    pins.iter().map(one).collect()
}

fn migrations(all: &BTreeMap<Address, Vec<AppliedMigration>>) -> Json {
    let mut out = Vec::new();
    for (address, applied) in all {
        for m in applied {
            out.push(json!({
                "address": address.to_string(), "version": m.version, "name": m.name, "checksum": m.checksum,
                "way_back": m.down.is_some(),
            }));
        }
    }
    Json::Array(out)
}

fn check(judged: &CheckJudged, at: Option<&String>) -> Json {
    let mut out = JsonMap::new();
    out.insert("address".into(), json!(judged.address.to_string()));
    out.insert("phase".into(), json!(judged.phase.word()));
    out.insert("workload".into(), json!(judged.workload.as_ref().map(ToString::to_string)));
    out.insert("passed".into(), json!(judged.passed));
    out.insert("sentence".into(), json!(judged.sentence));
    out.insert("unwinding".into(), json!(judged.unwinding));
    if let Some(at) = at {
        out.insert("time".into(), json!(at));
    }
    let evidence = judged.evidence.iter().map(|e| json!({ "name": e.name, "blob": e.blob }));
    out.insert("evidence".into(), evidence.collect());
    Json::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{address, state, state_under_way};

    #[test]
    fn outputs_are_as_terraform_gives_them() {
        let all = BTreeMap::from([
            ("ports".to_owned(), json!([{ "$number": "80" }, { "$number": "1.5" }])),
            ("secret".to_owned(), json!({ "$hmac": "digest" })),
        ]);
        assert_eq!(
            outputs(&all),
            json!({
                "ports": { "sensitive": false, "type": ["tuple", ["number", "number"]], "value": [80, 1.5] },
                "secret": { "sensitive": true, "type": "dynamic", "value": null },
            })
        );
        assert_eq!((output(&all["ports"]), output(&all["secret"])), (Some(json!([80, 1.5])), None));
    }

    #[test]
    fn a_state_is_as_terraform_shows_it() {
        let document = show("local", &state_under_way());
        let resource = &document["values"]["root_module"]["resources"][0];
        assert_eq!(resource["address"], "local_service.shop");
        assert_eq!(
            resource["values"],
            json!({ "command": ["bin/shop-1"], "id": "svc-1", "replicas": 2, "token": "(sensitive value)" })
        );
        assert_eq!(resource["sensitive_values"], json!({ "command": [false], "token": true }));
        assert_eq!(resource["depends_on"], json!(["migration.schema"]));
        let gantry = &document["gantry"];
        assert_eq!((&gantry["generation"], &gantry["open"]["run"]), (&json!(1), &json!("run-3")));
        assert_eq!(gantry["checks"][0]["evidence"][0]["name"], "response body");
        assert_eq!(gantry["artifacts"][0]["size"], 1_234);
        assert_eq!(gantry["migrations"][0]["way_back"], true);
        assert_eq!(gantry["versions"][0]["values"], json!({ "command": ["bin/shop-0"] }));
    }

    #[test]
    fn history_and_single_things() {
        let state = state();
        let all = history(&state, &BTreeMap::new(), &BTreeMap::new());
        assert_eq!((&all[0]["current"], &all[0]["outcome"]), (&json!(true), &json!("verified")));
        assert_eq!((&all[1]["current"], &all[1]["outcome"]), (&json!(false), &json!("rolled back")));
        assert_eq!(show_generation(&state.generations[1])["checks"][0]["passed"], false);
        assert_eq!(state_list(&state), json!(["local_service.shop"]));
        let at = address("local_service.shop");
        assert_eq!(state_show(&at, &state.records[&at])["gantry"]["generation"], 1);
    }
}

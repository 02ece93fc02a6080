//! A plan in Terraform's plan representation.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map as JsonMap, Value as Json, json};

use super::values::{entry, known, module_tree, sensitive, unknown};
use crate::addr::{Address, NodeKind};
use crate::ledger::event::RunKind;
use crate::plan::change::{PlannedMigration, Previewed};
use crate::plan::{Change, ChangeKind, Detail, OutputChange, Plan, Reason, Work};
use crate::value::{Path, PathStep, Value, encode_type};
use crate::view::human::plan::{Counts, output_sides};
use crate::view::human::reason_word;
use crate::view::mask::masked;

/// The version of the representation that this follows.
const FORMAT: &str = "1.2";
/// The version of the representation of states in it.
const STATE_FORMAT: &str = "1.0";

/// A plan in Terraform's plan representation, `format_version` 1.2. `variables` are the root module's; they are not in a plan
/// by themselves. Sensitive values are masked, unlike in Terraform's.
#[must_use]
pub fn plan(plan: &Plan, variables: &BTreeMap<Arc<str>, Value>) -> Json {
    let shown: Vec<&Change> = plan.changes.iter().filter(|c| in_document(c)).collect();
    let drift: Vec<Json> = shown.iter().filter(|c| c.drift.is_some()).map(|c| drift(plan, c)).collect();
    let mut out = JsonMap::new();
    out.insert("format_version".into(), json!(FORMAT));
    out.insert("gantry_version".into(), json!(env!("CARGO_PKG_VERSION")));
    out.insert("variables".into(), variables_json(variables));
    out.insert("planned_values".into(), planned_values(plan));
    if !drift.is_empty() {
        out.insert("resource_drift".into(), Json::Array(drift));
    }
    let changes = shown.iter().filter(|c| !(c.is(NodeKind::Data) && c.is_no_op()));
    out.insert("resource_changes".into(), changes.map(|c| resource_change(plan, c)).collect());
    let outputs = plan.outputs.iter().map(|(name, o)| ((**name).to_owned(), output_change(o)));
    out.insert("output_changes".into(), Json::Object(outputs.collect()));
    out.insert("prior_state".into(), prior_state(plan));
    out.insert("applyable".into(), json!(plan.has_changes()));
    out.insert("complete".into(), json!(!plan.partial && plan.unreadable.is_empty()));
    out.insert("errored".into(), json!(plan.warnings.has_errors()));
    out.insert("gantry".into(), gantry(plan));
    Json::Object(out)
}

/// Whether a node is one that Terraform has as well.
fn in_document(change: &Change) -> bool {
    matches!(change.address.kind, NodeKind::Resource | NodeKind::Data)
}

fn variables_json(variables: &BTreeMap<Arc<str>, Value>) -> Json {
    let one = |value: &Value| {
        if value.marks.is_sensitive() {
            return json!({ "sensitive": true });
        }
        json!({ "value": known(value) })
    };
    Json::Object(variables.iter().map(|(name, value)| ((**name).to_owned(), one(value))).collect())
}

fn provider_of(change: &Change) -> &str {
    match &change.detail {
        Detail::Resource(resource) => &resource.provider,
        Detail::Data { provider, .. } => provider,
        Detail::Artifact | Detail::Migration(_) | Detail::Check(_) | Detail::Assertions(_) => "",
    }
}

fn resource_change(plan: &Plan, change: &Change) -> Json {
    let mut out = entry(&change.address, provider_of(change));
    if !change.address.module.is_root() {
        out.insert("module_address".into(), json!(change.address.module.to_string()));
    }
    if let Some(from) = &change.moved_from {
        out.insert("previous_address".into(), json!(from.to_string()));
    }
    let side = |v: &Option<Value>| v.as_ref().map(|v| masked(plan, &change.address, v));
    let (before, after) = (side(&change.before), side(&change.after));
    let mut inner = sides(actions(change.kind), before.as_ref(), after.as_ref());
    if !change.replaces.is_empty() && change.kind.is_replace() {
        inner.insert("replace_paths".into(), change.replaces.iter().map(path).collect());
    }
    if let Some(id) = &change.importing {
        inner.insert("importing".into(), json!({ "id": id }));
    }
    out.insert("change".into(), Json::Object(inner));
    if let Some(reason) = action_reason(change) {
        out.insert("action_reason".into(), json!(reason));
    }
    match change.resource().and_then(|resource| resource.preview.as_ref()) {
        None => {}
        Some(Previewed::Yes(notes)) => drop(out.insert("preview".into(), json!({ "previewed": true, "notes": notes }))),
        Some(Previewed::Not(why)) => drop(out.insert("preview".into(), json!({ "previewed": false, "reason": why }))),
    }
    Json::Object(out)
}

fn drift(plan: &Plan, change: &Change) -> Json {
    let side = |v: &Option<Value>| v.as_ref().map(|v| masked(plan, &change.address, v));
    let (recorded, observed) = (side(&change.drift), side(&change.before));
    drifted(&change.address, provider_of(change), recorded.as_ref(), observed.as_ref())
}

/// An entry of `resource_drift`: an object as it was recorded, and as it is there now.
pub(super) fn drifted(address: &Address, provider: &str, recorded: Option<&Value>, observed: Option<&Value>) -> Json {
    let mut out = entry(address, provider);
    let action = if observed.is_some() { "update" } else { "delete" };
    out.insert("change".into(), Json::Object(sides(&[action], recorded, observed)));
    Json::Object(out)
}

/// A change's two sides with what is known and what is sensitive of them, as Terraform's `change` has them.
fn sides(actions: &[&str], before: Option<&Value>, after: Option<&Value>) -> JsonMap<String, Json> {
    let mut out = JsonMap::new();
    out.insert("actions".into(), json!(actions));
    out.insert("before".into(), before.map_or(Json::Null, known));
    if !after.is_some_and(|v| v.is_unknown() && !v.marks.is_sensitive()) {
        out.insert("after".into(), after.map_or(Json::Null, known));
    }
    // A side that does not exist has nothing unknown in it and is not sensitive; the two empty answers are Terraform's.
    out.insert("after_unknown".into(), after.map_or_else(|| json!({}), |v| not_known(v, actions)));
    out.insert("before_sensitive".into(), before.map_or(json!(false), sensitive));
    out.insert("after_sensitive".into(), after.map_or(json!(false), sensitive));
    out
}

fn not_known(after: &Value, actions: &[&str]) -> Json {
    if actions == ["no-op"] && after.as_map().is_some() { json!({}) } else { unknown(after) }
}

fn actions(kind: ChangeKind) -> &'static [&'static str] {
    match kind {
        ChangeKind::NoOp | ChangeKind::Record | ChangeKind::Run => &["no-op"],
        ChangeKind::Read => &["read"],
        ChangeKind::Create => &["create"],
        ChangeKind::Update => &["update"],
        ChangeKind::ReplaceDeleteFirst => &["delete", "create"],
        ChangeKind::ReplaceCreateFirst => &["create", "delete"],
        ChangeKind::Delete => &["delete"],
        ChangeKind::Forget => &["forget"],
    }
}

/// Terraform's word for the reason, where it has one.
fn action_reason(change: &Change) -> Option<&'static str> {
    let (read, replace, delete) = (
        change.kind == ChangeKind::Read,
        change.kind.is_replace(),
        matches!(change.kind, ChangeKind::Delete | ChangeKind::Forget),
    );
    match &change.reason {
        Reason::CannotUpdate(_) | Reason::MustReplace(_) if replace => Some("replace_because_cannot_update"),
        Reason::Requested if replace => Some("replace_by_request"),
        Reason::Triggered(_) if replace => Some("replace_by_triggers"),
        Reason::NotInConfiguration | Reason::ToForget if delete => Some("delete_because_no_resource_config"),
        Reason::NoModule if delete => Some("delete_because_no_module"),
        Reason::OtherRepetition if delete => Some("delete_because_wrong_repetition"),
        Reason::CountIndex(_) if delete => Some("delete_because_count_index"),
        Reason::EachKey(_) if delete => Some("delete_because_each_key"),
        Reason::NotKnownYet if read => Some("read_because_config_unknown"),
        Reason::DependsOnChange if read => Some("read_because_dependency_pending"),
        _ => None,
    }
}

pub(super) fn path(path: &Path) -> Json {
    let step = |step: &PathStep| match step {
        PathStep::Attribute(name) | PathStep::Key(name) => json!(&**name),
        PathStep::Index(n) => json!(n),
        PathStep::Element => json!("*"),
    };
    path.0.iter().map(step).collect()
}

fn planned_values(plan: &Plan) -> Json {
    let mut resources = Vec::new();
    for change in plan.changes.iter().filter(|c| in_document(c)) {
        // What a data source answered while planning is in the prior state only, as in Terraform.
        if change.kind == ChangeKind::Forget || (change.is(NodeKind::Data) && change.kind != ChangeKind::Read) {
            continue;
        }
        if let Some(after) = &change.after {
            resources.push((change.address.clone(), resource_values(plan, change, after)));
        }
    }
    let mut outputs = JsonMap::new();
    for (name, output) in &plan.outputs {
        let (_, Some(after)) = output_sides(output) else { continue };
        outputs.insert((**name).to_owned(), output_values(output, &after));
    }
    let mut out = JsonMap::new();
    if !outputs.is_empty() {
        out.insert("outputs".into(), Json::Object(outputs));
    }
    out.insert("root_module".into(), module_tree(resources));
    Json::Object(out)
}

fn output_values(output: &OutputChange, value: &Value) -> Json {
    let hidden = output.sensitive || value.marks_deep().is_sensitive();
    let mut out = JsonMap::new();
    out.insert("sensitive".into(), json!(hidden));
    if value.is_wholly_known() {
        out.insert("type".into(), encode_type(&value.ty()));
        out.insert("value".into(), known(value));
    }
    Json::Object(out)
}

fn resource_values(plan: &Plan, change: &Change, value: &Value) -> Json {
    let value = masked(plan, &change.address, value);
    let mut out = entry(&change.address, provider_of(change));
    let version = plan.schemas.get(&*change.address.ty).map_or(0, |s| s.version);
    out.insert("schema_version".into(), json!(version));
    out.insert("values".into(), known(&value));
    out.insert("sensitive_values".into(), sensitive(&value));
    Json::Object(out)
}

fn output_change(output: &OutputChange) -> Json {
    let (before, after) = output_sides(output);
    let actions: &[&str] = match (&before, &after) {
        _ if !output.changes => &["no-op"],
        (None, _) => &["create"],
        (Some(_), None) => &["delete"],
        (Some(_), Some(_)) => &["update"],
    };
    let mut out = sides(actions, before.as_ref(), after.as_ref());
    // Outputs are told whole, both for what is known and for what is sensitive.
    let whole = |yes: bool| json!(yes);
    out.insert(
        "after_unknown".into(),
        after.as_ref().map_or(json!(false), |v| if v.is_wholly_known() { whole(false) } else { unknown(v) }),
    );
    let hidden = |v: &Option<Value>| output.sensitive || v.as_ref().is_some_and(|v| v.marks_deep().is_sensitive());
    out.insert("before_sensitive".into(), whole(before.is_some() && hidden(&before)));
    out.insert("after_sensitive".into(), whole(after.is_some() && hidden(&after)));
    Json::Object(out)
}

fn prior_state(plan: &Plan) -> Json {
    let mut resources = Vec::new();
    for change in plan.changes.iter().filter(|c| in_document(c)) {
        let read = change.is(NodeKind::Data) && change.is_no_op();
        let prior = if read { change.after.as_ref() } else { change.before.as_ref() };
        if let Some(before) = prior {
            resources.push((change.address.clone(), resource_values(plan, change, before)));
        }
    }
    let mut outputs = JsonMap::new();
    for (name, output) in &plan.outputs {
        if let (Some(before), _) = output_sides(output) {
            outputs.insert((**name).to_owned(), output_values(output, &before));
        }
    }
    let mut values = JsonMap::new();
    if !outputs.is_empty() {
        values.insert("outputs".into(), Json::Object(outputs));
    }
    values.insert("root_module".into(), module_tree(resources));
    json!({ "format_version": STATE_FORMAT, "values": values })
}

/// What only Gantry has.
fn gantry(plan: &Plan) -> Json {
    let counts = Counts::of(plan);
    let reasons = plan.changes.iter().filter(|c| !c.is_no_op());
    json!({
        "environment": plan.environment,
        "kind": run_kind(plan.kind),
        "generation": plan.generation,
        "base": plan.base,
        "basis": plan.basis,
        "effect": plan.effect,
        "partial": plan.partial,
        "protected": plan.gates.protected,
        "on_failure": plan.on_failure.word(),
        "counts": counts_json(&counts),
        "reasons": reasons.map(|c| (c.address.to_string(), json!(reason_word(&c.reason)))).collect::<JsonMap<_, _>>(),
        "artifacts": artifacts(plan),
        "migrations": migrations(plan),
        "checks": checks(plan),
        "steps": plan.steps.iter().map(|s| json!(s.name)).collect::<Vec<_>>(),
        "way_back": plan.way_back.iter().map(|w| json!({
            "address": w.address.to_string(), "possible": w.possible, "sentence": w.sentence,
        })).collect::<Vec<_>>(),
        "unreadable": plan.unreadable.iter().map(|(a, why)| json!({ "address": a.to_string(), "reason": why })).collect::<Vec<_>>(),
    })
}

/// Counts as programs read them.
pub(super) fn counts_json(n: &Counts) -> Json {
    json!({
        "import": n.import, "add": n.add, "change": n.change, "remove": n.destroy, "forget": n.forget, "read": n.read,
        "artifacts": n.artifacts, "migrations": n.migrations, "checks": n.checks,
    })
}

/// A run's kind in a word.
pub(super) fn run_kind(kind: RunKind) -> Json {
    serde_json::to_value(kind).unwrap_or_default()
}

fn artifacts(plan: &Plan) -> Json {
    let pins = plan.steps.iter().filter_map(|s| if let Work::Pin(pin) = &s.work { Some((s, pin)) } else { None });
    pins.map(|(s, pin)| json!({ "address": s.address.to_string(), "kind": pin.kind, "digest": pin.digest })).collect()
}

fn migrations(plan: &Plan) -> Json {
    let one = |action: &str, change: &Change, m: &PlannedMigration| {
        json!({
            "address": change.address.to_string(), "action": action, "version": m.version, "name": m.name,
            "checksum": m.checksum, "file": m.file, "down_file": m.down_file, "effects": m.effects,
            "up": &*m.up, "down": m.down.as_deref(),
        })
    };
    let mut out = Vec::new();
    for change in &plan.changes {
        if let Detail::Migration(detail) = &change.detail {
            out.extend(detail.reverting.iter().map(|m| one("revert", change, m)));
            out.extend(detail.pending.iter().map(|m| one("apply", change, m)));
        }
    }
    Json::Array(out)
}

fn checks(plan: &Plan) -> Json {
    let mut out = Vec::new();
    for change in plan.changes.iter().filter(|c| c.kind == ChangeKind::Run) {
        if let Detail::Assertions(all) = &change.detail {
            out.push(json!({ "address": change.address.to_string(), "verify": true, "assertions": all.len() }));
        }
        if let Detail::Check(detail) = &change.detail {
            let prove: Vec<String> = detail.prove.iter().map(|(w, _)| w.to_string()).collect();
            let configuration = change.after.as_ref().map_or(Json::Null, known);
            out.push(json!({
                "address": change.address.to_string(), "prove": prove, "verify": detail.verify, "configuration": configuration,
            }));
        }
    }
    Json::Array(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{CANARY, full, recorded_by_terraform, terraform};

    /// The places at which two documents differ, among those that both have; `root_module`s and lists have to agree in length.
    fn differences(at: &str, ours: &Json, theirs: &Json, found: &mut Vec<String>) {
        match (ours, theirs) {
            (Json::Object(a), Json::Object(b)) => {
                for (name, value) in a {
                    if let Some(other) = b.get(name) {
                        differences(&format!("{at}.{name}"), value, other, found);
                    }
                }
            }
            (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
                a.iter().zip(b).enumerate().for_each(|(i, (x, y))| differences(&format!("{at}[{i}]"), x, y, found));
            }
            _ if ours == theirs => {}
            _ => found.push(format!("{at}: {ours} where Terraform says {theirs}")),
        }
    }

    /// The keys that only one of two documents has, below what both have.
    fn only_one(at: &str, ours: &Json, theirs: &Json, found: &mut Vec<String>) {
        match (ours, theirs) {
            (Json::Object(a), Json::Object(b)) => {
                found.extend(a.keys().filter(|k| !b.contains_key(*k)).map(|k| format!("+{at}.{k}")));
                found.extend(b.keys().filter(|k| !a.contains_key(*k)).map(|k| format!("-{at}.{k}")));
                for (name, value) in a {
                    if let Some(other) = b.get(name) {
                        only_one(&format!("{at}.{name}"), value, other, found);
                    }
                }
            }
            (Json::Array(a), Json::Array(b)) => {
                a.iter().zip(b).for_each(|(x, y)| only_one(&format!("{at}[]"), x, y, found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_document_is_terraforms_but_for_secrets() {
        let (made, variables) = terraform();
        let (ours, theirs) = (plan(&made, &variables), recorded_by_terraform());
        let mut found = Vec::new();
        differences("", &ours, &theirs, &mut found);
        let secrets = |text: &String| !text.ends_with("\"(sensitive value)\" where Terraform says \"canary-secret\"");
        found.retain(secrets);
        assert_eq!(found, Vec::<String>::new());
        let mut keys = Vec::new();
        only_one("", &ours, &theirs, &mut keys);
        // Terraform's terraform_data loses the mark on its way from input to output; Gantry's keeps it.
        let marked = |key: &String| {
            !key.ends_with("sensitive.output.password") && !key.ends_with("sensitive_values.output.password")
        };
        keys.retain(marked);
        let expected = [
            "+.gantry",
            "+.gantry_version",
            "-.relevant_attributes",
            "-.terraform_version",
            "-.prior_state.terraform_version",
            // Only a digest of it is recorded, so its type is not known.
            "-.prior_state.values.outputs.sec.type",
            "-.prior_state.values.outputs.sec.value",
            "-.prior_state.values.root_module.resources[].depends_on",
            "+.variables.secret.sensitive",
            "-.variables.secret.value",
        ];
        assert_eq!(keys, expected);
        let count = |document: &Json| document["resource_changes"].as_array().map(Vec::len);
        assert_eq!(count(&ours), count(&theirs));
        assert!(!ours.to_string().contains("canary-secret"));
    }

    #[test]
    fn what_only_gantry_has_stands_apart() {
        let document = plan(&full(), &BTreeMap::from([("token".into(), Value::string(CANARY).sensitive())]));
        assert!(!document.to_string().contains(CANARY), "{document:#}");
        let gantry = &document["gantry"];
        assert_eq!(
            gantry["counts"],
            json!({ "import": 0, "add": 1, "change": 1, "remove": 0, "forget": 0, "read": 0, "artifacts": 1, "migrations": 1, "checks": 2 })
        );
        assert_eq!(gantry["migrations"][0]["up"], "ALTER TABLE orders\n  DROP COLUMN notes;\n");
        assert_eq!(gantry["checks"][0]["prove"], json!(["local_service.shop"]));
        assert_eq!(
            gantry["way_back"][1],
            json!({ "address": "migration.schema", "possible": false, "sentence": "0003_drop_notes has no down file." })
        );
        assert_eq!(gantry["artifacts"], json!([{ "address": "artifact.shop", "kind": "file", "digest": null }]));
        assert_eq!(document["resource_drift"][0]["change"]["actions"], json!(["update"]));
        assert_eq!((&document["complete"], &document["applyable"]), (&json!(false), &json!(true)));
        let shop = &document["resource_changes"][1]["change"];
        assert_eq!(
            (&shop["after"]["token"], &shop["after_sensitive"]["token"]),
            (&json!("(sensitive value)"), &json!(true))
        );
        assert_eq!(shop["after_sensitive"]["environment"], json!({ "DATABASE_URL": true }));
    }
}

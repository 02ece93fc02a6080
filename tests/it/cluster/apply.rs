//! Server-side apply: merging, pruning, conflicts and the book of who manages which field.
//!
//! After sigs.k8s.io/structured-merge-diff (`merge/update.go`) and apimachinery's `managedfields`.

use serde_json::{Map, Value, json};

use super::fields::{Fields, UNOWNED, compare, item_edge, set_of};
use super::schema::{Kind, ListKind, Ty};
use super::status::{Answer, Cause, Failure};

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) is_apply: bool,
    pub(crate) subresource: String,
    pub(crate) api_version: String,
    pub(crate) time: String,
    pub(crate) fields: Fields,
}

impl Manager {
    fn is_same(&self, other: &Self) -> bool {
        (&self.name, self.is_apply, &self.subresource) == (&other.name, other.is_apply, &other.subresource)
    }

    /// As a conflict prints it.
    fn print(&self) -> String {
        let mut text = json!(self.name).to_string();
        if !self.subresource.is_empty() {
            text += &format!(" with subresource \"{}\"", self.subresource);
        }
        if !self.is_apply {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

/// The managers of an object.
pub(crate) fn managers(object: &Value) -> Vec<Manager> {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            Manager {
                name: text("manager"),
                is_apply: entry["operation"] == "Apply",
                subresource: text("subresource"),
                api_version: text("apiVersion"),
                time: text("time"),
                fields: {
                    let mut fields = Fields::parse(&entry["fieldsV1"]);
                    fields.member = false;
                    fields
                },
            }
        })
        .collect()
}

/// Writes the managers into an object, in the order of the real one.
pub(crate) fn set_managers(object: &mut Value, mut managers: Vec<Manager>) {
    managers.retain(|one| !one.fields.is_empty());
    managers.sort_by(|a, b| {
        let key = |one: &Manager| (!one.is_apply, one.time.clone(), one.name.clone(), one.subresource.clone());
        key(a).cmp(&key(b))
    });
    let entries: Vec<Value> = managers
        .iter()
        .map(|one| {
            let mut entry = json!({
                "manager": one.name, "operation": if one.is_apply { "Apply" } else { "Update" },
                "apiVersion": one.api_version, "fieldsType": "FieldsV1", "fieldsV1": one.fields.json(),
            });
            if !one.time.is_empty() {
                entry["time"] = json!(one.time);
            }
            if !one.subresource.is_empty() {
                entry["subresource"] = json!(one.subresource);
            }
            entry
        })
        .collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if !entries.is_empty() {
            metadata.insert("managedFields".into(), Value::Array(entries));
        }
    }
}

/// The account that a write brings along, which then counts: `[{}]` is the way to have none. One that says nothing is that of a client
/// who knows nothing of accounts (`decodeLiveOrNew`).
fn sent_book(new: &Value) -> Option<Vec<Manager>> {
    if new["metadata"]["managedFields"] == json!([{}]) {
        return Some(Vec::new());
    }
    Some(managers(new)).filter(|book| !book.is_empty())
}

/// Records a write that is no apply: whoever wrote takes what changed, others lose it.
pub(crate) fn record_update(kind: &Kind, old: Option<&Value>, new: &mut Value, mut me: Manager) {
    let nothing = json!({});
    let before = old.unwrap_or(&nothing);
    let mut change = compare(&kind.ty, Some(&without_book(before)), Some(&without_book(new)));
    change.set.strip();
    change.removed.strip();
    let lost = change.set.union(&change.removed);
    let mut book = sent_book(new).unwrap_or_else(|| managers(before));
    for one in &mut book {
        // What is gone is gone with everything below it; what is only modified loses exactly that.
        one.fields = one.fields.difference(&lost).without_below(&change.removed);
    }
    me.fields = change.set;
    if !me.fields.is_empty() {
        if let Some(mine) = book.iter_mut().find(|one| one.is_same(&me)) {
            mine.fields = mine.fields.union(&me.fields);
            mine.time.clone_from(&me.time);
            mine.api_version.clone_from(&me.api_version);
        } else {
            book.push(me);
        }
    }
    set_managers(new, book);
}

/// `managedFields` is never compared.
fn without_book(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// What is applied, by whom.
pub(crate) struct Applied<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) config: &'a Value,
    pub(crate) me: Manager,
    pub(crate) force: bool,
}

/// Merges what is applied into the live object (or into nothing), and keeps the book.
pub(crate) fn apply(live: Option<&Value>, applied: Applied<'_>) -> Answer<Value> {
    let Applied { kind, config, mut me, force } = applied;
    if let Err(why) = check(&kind.ty, config, "") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&config["metadata"]["namespace"]), text(&config["metadata"]["name"]));
        let gvk = if kind.group.is_empty() { format!("/{}", kind.version) } else { kind.api_version() };
        return Err(Failure::plain(format!(
            "failed to create typed patch object ({namespace}/{name}; {gvk}, Kind={}): {why}",
            kind.kind
        )));
    }
    let base = live.map_or_else(|| json!({}), without_book);
    // What the endpoint does not touch is as though nobody had said it.
    let mut config = config.clone();
    if kind.has_sub("status") {
        config.as_object_mut().unwrap().retain(|name, _| match me.subresource.as_str() {
            "status" => ["apiVersion", "kind", "metadata", "status"].contains(&name.as_str()),
            _ => name != "status",
        });
    }
    let config = &config;
    let mut merged = merge(&kind.ty, Some(&base), config);
    let mut set = set_of(&kind.ty, config);
    set.strip();
    keep_own_half(kind, &mut set, &me.subresource);
    let mut book = live.map(managers).unwrap_or_default();
    if let Some(live) = live.filter(|_| book.is_empty()) {
        let mut fields = set_of(&kind.ty, &without_book(live));
        fields.strip();
        keep_own_half(kind, &mut fields, &me.subresource);
        let name = "before-first-apply".to_owned();
        book.push(Manager { name, is_apply: false, fields, ..me.clone() });
    }
    let change = compare(&kind.ty, Some(&base), Some(&merged));
    let conflicts: Vec<(Manager, Fields)> = book
        .iter()
        .filter(|one| !one.is_same(&me))
        .map(|one| (one.clone(), one.fields.intersection(&change.set)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflict(&conflicts));
    }
    for one in &mut book {
        if let Some((_, fields)) = conflicts.iter().find(|(manager, _)| manager.is_same(one)) {
            one.fields = one.fields.difference(fields);
        }
    }
    let last = book.iter().position(|one| one.is_same(&me)).map(|at| book.remove(at));
    // As in the real one, an apply that changes nothing of the object has no time of its own.
    if live.is_some() && merged == base {
        me.time = last.as_ref().map_or_else(String::new, |last| last.time.clone());
    }
    me.fields = set;
    book.push(me);
    if let Some(last) = &last {
        let identity = merged["metadata"].clone();
        merged = prune(&kind.ty, &merged, &last.fields, &book);
        if merged.get("metadata").is_none() {
            merged["metadata"] = json!({});
        }
        // Nobody owns these, so that nobody can take them away.
        for name in UNOWNED {
            if let Some(value) = identity.get(name) {
                merged["metadata"][name] = value.clone();
            }
        }
    }
    set_managers(&mut merged, book);
    Ok(merged)
}

/// By the main endpoint nobody owns a status, by that of the status nothing else.
pub(crate) fn keep_own_half(kind: &Kind, set: &mut Fields, subresource: &str) {
    if !kind.has_sub("status") {
        return;
    }
    match subresource {
        "status" => set.retain_roots(|edge| edge == "f:status"),
        "" => set.retain_roots(|edge| edge != "f:status"),
        _ => {}
    }
}

fn conflict(conflicts: &[(Manager, Fields)]) -> Box<Failure> {
    let mut causes = Vec::new();
    let mut messages = Vec::new();
    for (manager, fields) in conflicts {
        let printed = manager.print();
        messages.push(format!("conflicts with {printed}:"));
        for path in fields.paths() {
            messages.push(format!("- {path}"));
            let message = format!("conflict with {printed}");
            causes.push(Cause { reason: "FieldManagerConflict", message, field: path });
        }
    }
    let message = match &causes[..] {
        [only] => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        _ => format!("Apply failed with {} conflicts: {}", causes.len(), messages.join("\n")),
    };
    Failure::apply_conflict(message, &causes)
}

/// Whether an applied value fits its type, in the words of the real one.
fn check(ty: &Ty, value: &Value, path: &str) -> Result<(), String> {
    let go = |value: &Value| match value {
        Value::String(text) if matches!(ty.resolved(), Ty::List { .. } | Ty::Struct(_) | Ty::Map { .. }) => {
            format!("&{{{text}}}")
        }
        Value::String(_) => "string".to_owned(),
        other => format!("&value.valueUnstructured{{Value:{other}}}"),
    };
    let expected = |what: &str| Err(format!("{path}: expected {what}, got {}", go(value)));
    match (ty.resolved(), value) {
        (_, Value::Null) | (Ty::Any | Ty::Quantity | Ty::IntOrString, _) => Ok(()),
        (Ty::String | Ty::Time, value) if !value.is_string() => expected("string"),
        (Ty::Int | Ty::Number, Value::Bool(_) | Value::String(_)) => expected("numeric (int or float)"),
        (Ty::Bool, value) if !value.is_boolean() => expected("boolean"),
        (Ty::Atomic(inner), value) => check(inner, value, path),
        (Ty::List { item, kind, .. }, Value::Array(items)) => check_items(item, kind, items, path),
        (Ty::List { .. }, _) => expected("list"),
        (Ty::Struct(_) | Ty::Map { .. }, value) if !value.is_object() => expected("map"),
        (Ty::Struct(shape), Value::Object(members)) => {
            for (name, one) in members {
                let path = format!("{path}.{name}");
                match shape.fields.get(name) {
                    Some(field) => check(field, one, &path)?,
                    None if shape.open => {}
                    None => return Err(format!("{path}: field not declared in schema")),
                }
            }
            Ok(())
        }
        (Ty::Map { item, .. }, Value::Object(members)) => {
            members.iter().try_for_each(|(name, one)| check(item, one, &format!("{path}.{name}")))
        }
        _ => Ok(()),
    }
}

fn check_items(item: &Ty, kind: &ListKind, items: &[Value], path: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    for (index, one) in items.iter().enumerate() {
        let mut here = format!("{path}[{index}]");
        if *kind != ListKind::Atomic {
            let Some(edge) = item_edge(kind, item, one) else {
                let ListKind::Keys(keys) = kind else { continue };
                return Err(format!(
                    "{path}: element {index}: associative list with keys has an element that omits all key fields {} \
                     (and doesn't have default values for any key fields)",
                    json!(keys)
                ));
            };
            let mut single = Fields::default();
            single.below.insert(edge.clone(), Fields { member: true, ..Fields::default() });
            let step = single.paths().remove(0);
            if seen.contains(&edge) {
                return Err(format!("{path}: duplicate entries for key {step}"));
            }
            here = format!("{path}{step}");
            seen.push(edge);
        }
        check(item, one, &here)?;
    }
    Ok(())
}

/// The live value with what is applied laid over it.
fn merge(ty: &Ty, live: Option<&Value>, applied: &Value) -> Value {
    let Some(live) = live.filter(|live| !live.is_null()) else { return applied.clone() };
    if ty.is_leaf(applied) || ty.is_leaf(live) {
        return applied.clone();
    }
    match (ty.resolved(), live, applied) {
        (Ty::List { item, kind, .. }, Value::Array(before), Value::Array(after)) => {
            Value::Array(merge_items(item, kind, before, after))
        }
        (_, Value::Object(before), Value::Object(after)) => {
            let mut merged = before.clone();
            for (name, one) in after {
                let value = merge(&ty.member(name), before.get(name), one);
                if value.is_null() {
                    merged.remove(name);
                } else {
                    merged.insert(name.clone(), value);
                }
            }
            Value::Object(merged)
        }
        _ => applied.clone(),
    }
}

/// What is applied decides the order; what only the live list has stays where it stood among it.
fn merge_items(item: &Ty, kind: &ListKind, before: &[Value], after: &[Value]) -> Vec<Value> {
    let edge = |one: &Value| item_edge(kind, item, one);
    let applied_edges: Vec<_> = after.iter().map(edge).collect();
    let mut merged = Vec::new();
    let mut at = 0;
    for (applied, key) in after.iter().zip(&applied_edges) {
        let mine = before.iter().position(|one| edge(one) == *key);
        if let Some(mine) = mine {
            while at < mine {
                if !applied_edges.contains(&edge(&before[at])) {
                    merged.push(before[at].clone());
                }
                at += 1;
            }
            at = at.max(mine + 1);
        }
        merged.push(merge(item, mine.map(|mine| &before[mine]), applied));
    }
    merged.extend(before[at.min(before.len())..].iter().filter(|one| !applied_edges.contains(&edge(one))).cloned());
    merged
}

/// Takes away what its manager no longer applies, unless somebody owns it: first all that he had applied, with the
/// structs that are named above it, and then whatever of it is owned is put back.
fn prune(ty: &Ty, merged: &Value, last: &Fields, book: &[Manager]) -> Value {
    let named = |fields: &Fields| fields.with_named(ty);
    let fields_of = |value: &Value| named(&set_of(ty, value));
    let all = fields_of(merged);
    let mut pruned = remove(ty, merged, &named(last), true);
    for one in book {
        let kept = fields_of(&pruned).union(&named(&one.fields));
        pruned = remove(ty, merged, &all.difference(&kept), true);
    }
    let gone = all.difference(&fields_of(&pruned)).intersection(&named(last));
    remove(ty, merged, &gone, false)
}

/// With `leaves_null`, what loses all of its content is there still, as in the real one: it counts as a field.
fn remove(ty: &Ty, value: &Value, gone: &Fields, leaves_null: bool) -> Value {
    if ty.is_leaf(value) || gone.below.is_empty() {
        return value.clone();
    }
    match (ty.resolved(), value) {
        (Ty::List { item, kind, .. }, Value::Array(items)) => {
            let survive: Vec<Value> = items
                .iter()
                .filter_map(|one| {
                    let below = item_edge(kind, item, one).and_then(|edge| gone.below.get(&edge));
                    match below {
                        Some(below) if below.member => None,
                        Some(below) => Some(remove(item, one, below, leaves_null)),
                        None => Some(one.clone()),
                    }
                })
                .collect();
            if survive.is_empty() { Value::Null } else { Value::Array(survive) }
        }
        (_, Value::Object(members)) => {
            let survive = members.iter().filter_map(|(name, one)| match gone.below.get(&format!("f:{name}")) {
                Some(below) if below.member => None,
                Some(below) => {
                    let left = remove(&ty.member(name), one, below, leaves_null);
                    (leaves_null || !left.is_null()).then(|| (name.clone(), left))
                }
                None => Some((name.clone(), one.clone())),
            });
            let survive: Map<String, Value> = survive.collect();
            if survive.is_empty() { Value::Null } else { Value::Object(survive) }
        }
        _ => value.clone(),
    }
}

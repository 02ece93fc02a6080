//! `kubernetes_config`: a ConfigMap or Secret that is never changed. New content is a new object with a name of its own, so that what
//! refers to it by that name is rolled out with it, and goes back with it.
//!
//! **Names.** A ConfigMap's ends in a digest of its content, known when planned. A Secret's must not say anything about its content, not
//! even to somebody who guesses: it ends in the act's identity, which is a digest under the ledger's key. A version whose content is
//! asked for again is taken up again under its old name, if it is still there.
//!
//! **Versions.** Earlier versions stay, so that pods of an earlier ReplicaSet can still start and a way back finds them; `keep` says how
//! many. They are recorded with the object and go with it.

use serde_json::{Value as Json, json};

use super::fields::applied_by;
use super::kinds::Kind;
use super::object::{Identity, Name};
use super::target::{Cluster, uid};
use super::versions::{self, digits};
use super::wire::Failure;
use crate::provider::{Act, Found, Outcome, Problem, ProblemClass, ProposedChange};
use crate::value::{Kind as ValueKind, Type, Value, to_json};

pub(super) const TYPE: &str = "kubernetes_config";

/// How many earlier versions stay, where nothing is said.
pub(super) const KEEP: i64 = 10;

fn is_secret(object: &Value) -> bool {
    object.get("secret").and_then(Value::as_bool).unwrap_or(false)
}

fn kind_of(object: &Value) -> &'static str {
    if is_secret(object) { "Secret" } else { "ConfigMap" }
}

/// The content of a Secret is marked.
pub(super) fn secrets(object: &Value) -> Value {
    let Some(all) = object.as_map().filter(|_| is_secret(object)) else { return object.clone() };
    let mut out = all.clone();
    for name in ["data", "binary_data"] {
        if let Some(ValueKind::Map(ty, entries)) = all.get(name).map(|value| &value.kind) {
            let one = |(name, part): (&std::sync::Arc<str>, &Value)| (name.clone(), part.clone().sensitive());
            out.insert(name.into(), Value::map(ty.clone(), entries.iter().map(one).collect()));
        }
    }
    Value::object(out).mark(object.marks)
}

/// The name of a ConfigMap is known as soon as its content is.
pub(super) fn compute(change: &ProposedChange<'_>) -> Vec<(&'static str, Value)> {
    let object = change.proposed;
    let content = ["data", "binary_data"].map(|name| object.get(name));
    let known = content.iter().flatten().all(|value| value.is_wholly_known());
    let name = object.get("name").and_then(Value::as_str);
    match name.filter(|_| known && !is_secret(object)) {
        Some(name) => vec![("object_name", Value::string(format!("{name}-{}", digest(object))))],
        None => Vec::new(),
    }
}

fn digest(object: &Value) -> String {
    let content = ["data", "binary_data"].map(|name| object.get(name).map_or(Json::Null, to_json));
    digits(json!(content).to_string().as_bytes())
}

pub(super) fn validate(object: &Value) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if object.get_str("name").is_some_and(|name| name.is_empty() || name.len() > 240) {
        faults.push(("name", "The name is empty, or so long that no digest fits behind it (240 characters).".into()));
    }
    let both = |name: &str| object.get("data").and_then(|data| data.get(name)).is_some();
    for name in object.get("binary_data").and_then(Value::as_map).into_iter().flat_map(crate::value::Map::keys) {
        if both(name) {
            faults.push(("binary_data", format!("\"{name}\" is in \"data\" already.")));
        }
    }
    if object.get("keep").and_then(Value::as_number).is_some_and(|keep| keep.to_u64().is_none()) {
        faults.push(("keep", "\"keep\" says how many earlier versions stay: a whole number, 0 or more.".into()));
    }
    faults
}

/// A change of the name, the namespace or the kind is another series of versions.
pub(super) fn must_replace(prior: &Value, proposed: &Value) -> Option<String> {
    let text = |object: &Value, name: &str| object.get(name).map_or(Json::Null, to_json);
    ["name", "namespace", "secret"]
        .into_iter()
        .find(|name| text(prior, name) != text(proposed, name))
        .map(|name| format!("Another \"{name}\" is another series of versions"))
}

/// The object of a version, as its manifest.
pub(super) fn manifest(planned: &Value, name: &str) -> Json {
    let all = |attribute: &str| planned.get(attribute).map_or(Json::Null, to_json);
    let secret = is_secret(planned);
    let mut out = json!({
        "apiVersion": "v1",
        "kind": kind_of(planned),
        "metadata": { "name": name },
        "immutable": true,
    });
    for (attribute, part) in [("labels", "labels"), ("annotations", "annotations")] {
        if all(attribute).is_object() {
            out["metadata"][part] = all(attribute);
        }
    }
    if let Some(namespace) = planned.get_str("namespace") {
        out["metadata"]["namespace"] = json!(namespace);
    }
    if let Some(ty) = planned.get_str("type").filter(|_| secret) {
        out["type"] = json!(ty);
    }
    let (text, binary) = if secret { ("stringData", "data") } else { ("data", "binaryData") };
    for (attribute, part) in [("data", text), ("binary_data", binary)] {
        if all(attribute).is_object() {
            out[part] = all(attribute);
        }
    }
    out
}

/// The names under which a version may stand: a ConfigMap's own; of a Secret those of earlier versions, and the act's.
fn candidates(act: &Act, prior: Option<&Identity>) -> Vec<String> {
    if let Some(name) = act.planned.get_str("object_name").filter(|_| !is_secret(&act.planned)) {
        return vec![name.to_owned()];
    }
    let name = act.planned.get_str("name").unwrap_or_default();
    let fresh = format!("{name}-{}", digits(act.op.as_bytes()));
    let standing = prior.into_iter().flat_map(|prior| {
        std::iter::once(prior.name.clone()).chain(prior.versions.iter().map(|version| version.name.clone()))
    });
    standing.chain(std::iter::once(fresh)).collect()
}

fn content(object: &Json) -> Json {
    let part =
        |name: &str| object.get(name).cloned().filter(|part| part.as_object().is_some_and(|all| !all.is_empty()));
    json!([part("data"), part("binaryData"), object.get("type")])
}

/// The version that an act is about: one that stands and has this content, or the name of a new one.
async fn version(
    cluster: Cluster<'_>,
    kind: &Kind,
    act: &Act,
    prior: Option<&Identity>,
) -> Result<(Name, Option<Json>), Failure> {
    let all = candidates(act, prior);
    let mut last = None;
    for (at, candidate) in all.iter().enumerate() {
        let wanted = manifest(&act.planned, candidate);
        let Some(name) = Name::of(&wanted).map(|name| name.placed(kind, cluster.namespace)) else { continue };
        let there = cluster.get(kind, &name).await?;
        let newest = at + 1 == all.len();
        let mut wanted = content(&super::secret::encoded(&wanted));
        if let Some(there) = &there {
            // The server fills in a type that is not said.
            if wanted[2].is_null() {
                wanted[2] = content(there)[2].clone();
            }
            if content(there) == wanted || newest {
                return Ok((name, Some(there.clone())));
            }
        }
        if newest {
            last = Some((name, None));
        }
    }
    last.ok_or_else(|| Failure::NotSent("The configuration has no name.".into()))
}

async fn kind(cluster: Cluster<'_>, planned: &Value) -> Result<Kind, Problem> {
    let name = Name { api_version: "v1".into(), kind: kind_of(planned).into(), namespace: None, name: String::new() };
    Ok(cluster.place(name).await?.0)
}

pub(super) async fn apply(cluster: Cluster<'_>, act: &Act) -> Outcome {
    let prior = Identity::changed_by(act);
    let kind = match kind(cluster, &act.planned).await {
        Ok(kind) => kind,
        Err(problem) => return Outcome::NotSent(problem),
    };
    let (name, there) = match version(cluster, &kind, act, prior.as_ref()).await {
        Ok(found) => found,
        Err(failure) => return Outcome::NotSent(failure.problem(act.planned.get_str("name").unwrap_or_default())),
    };
    if let Some(there) = &there
        && !is_ours(there, cluster.manager)
    {
        let sentence = format!("{} is there already, and not ours. Give the configuration another name.", name.shown());
        return Outcome::Rejected(Problem::new(ProblemClass::Conflict, sentence));
    }
    let manifest = manifest(&act.planned, &name.name);
    match versions::send(cluster, &kind, &name, act, &manifest, there.as_ref().map(uid)).await {
        Ok(answer) => {
            let attributes = versions::named(&act.planned, &answer.body);
            let keep = act.planned.get("keep").and_then(|keep| keep.as_number()?.to_u64());
            let keep = keep.unwrap_or(KEEP.unsigned_abs());
            versions::made(cluster, prior.as_ref(), &answer.body, attributes, keep).await
        }
        Err(failure) => failure.outcome(&name.shown()),
    }
}

fn is_ours(object: &Json, manager: &str) -> bool {
    !applied_by(object, manager).is_null()
}

/// A recorded configuration as its present version is: that cannot be changed, so only what may be is looked at.
pub(super) fn as_is(recorded: &Value, there: &Json) -> Value {
    let mut all = recorded.as_map().cloned().unwrap_or_default();
    for name in ["labels", "annotations"] {
        let Some(given) = recorded.get(name).and_then(Value::as_map) else { continue };
        let live = there.pointer(&format!("/metadata/{name}"));
        let now = |key: &str| live.and_then(|live| live.get(key)).and_then(Json::as_str).map(Value::string);
        let entries = given.keys().filter_map(|key| Some((key.clone(), now(key)?)));
        all.insert(name.into(), Value::map(Type::String, entries.collect()));
    }
    versions::named(&Value::object(all), there)
}

/// What became of a create or an update: one of the versions carries its mark.
pub(super) async fn find(cluster: Cluster<'_>, act: &Act) -> Found {
    let prior = Identity::changed_by(act);
    let kind = match kind(cluster, &act.planned).await {
        Ok(kind) => kind,
        Err(problem) => return Found::NotNow(problem.sentence),
    };
    for candidate in candidates(act, prior.as_ref()) {
        let Some(name) = Name::of(&manifest(&act.planned, &candidate)) else { return Found::NotDone };
        let name = name.placed(&kind, cluster.namespace);
        match cluster.get(&kind, &name).await {
            Ok(Some(there)) if versions::marked(&there, &act.op) => {
                return versions::found(cluster, prior.as_ref(), &there, versions::named(&act.planned, &there));
            }
            Ok(_) => {}
            Err(failure) => return Found::NotNow(failure.problem(&name.shown()).sentence),
        }
    }
    Found::NotDone
}

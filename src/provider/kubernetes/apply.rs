//! Making and changing objects: server-side apply.
//!
//! An apply cannot say "only if it is not there yet". So a create looks first; should somebody make the object between the look and
//! the apply, the server's answer is 200 in place of 201, and what was merged into the stranger's object is taken out again.

use serde_json::{Value as Json, json};

use super::fields::applied_by;
use super::kinds::Kind;
use super::object::{self, Identity, Name, OP};
use super::predecessors;
use super::schemas::forces;
use super::target::{Cluster, uid};
use super::wire::{APPLY, Answer, Failure, Request};
use crate::ports::crash;
use crate::provider::{Act, Found, Outcome, Problem, ProblemClass};
use crate::value::Value;

/// The query of an apply.
pub(super) fn query(manager: &str, force: bool, dry: bool) -> String {
    let dry = if dry { "&dryRun=All" } else { "" };
    format!("?fieldManager={manager}&force={force}&fieldValidation=Strict{dry}")
}

pub(super) async fn apply(cluster: Cluster<'_>, act: &Act) -> Outcome {
    let refuse = |sentence: String| Outcome::NotSent(Problem::new(ProblemClass::Invalid, sentence));
    let Some(manifest) = object::manifest(&act.planned) else {
        return refuse("The manifest is not known, or is no object.".into());
    };
    let Some(name) = Name::of(&manifest) else {
        return refuse("The manifest has no apiVersion, kind or metadata.name.".into());
    };
    let (kind, name) = match cluster.place_soon(name).await {
        Ok(placed) => placed,
        Err(problem) => return Outcome::NotSent(problem),
    };
    let prior = Identity::changed_by(act);
    if prior.is_none() {
        match cluster.get(&kind, &name).await {
            Ok(None) => {}
            Ok(Some(there)) if mark(&there) == Some(&act.op) => return done(cluster, act, &there),
            Ok(Some(there)) => return Outcome::Rejected(taken(&name, &there)),
            Err(failure) => return Outcome::NotSent(failure.problem(&name.shown())),
        }
    }
    if let Some(imported) = prior.as_ref().filter(|prior| prior.fields.is_null())
        && let Err(failure) = predecessors::dismiss(cluster, &kind, &name, &imported.uid).await
    {
        // Nothing of the object itself was changed.
        return Outcome::NotSent(failure.problem(&name.shown()));
    }
    let body = object::body(&manifest, &name, &act.op, prior.as_ref().map(|prior| prior.uid.as_str()));
    let path = kind.object(name.namespace.as_deref(), &name.name);
    crash::point("kubernetes.apply");
    let request = format!("{path}{}", query(cluster.manager, forces(&act.planned), false));
    let sent = cluster.send(Request::with("PATCH", request, APPLY, &body)).await;
    crash::point("kubernetes.applied");
    match sent {
        Ok(Answer { code: 200, body: there }) if prior.is_none() && foreign(&there, &act.op, cluster.manager) => {
            give_back(cluster, &kind, &name, &there).await
        }
        Ok(answer) => done(cluster, act, &answer.body),
        Err(failure) => failed(&failure, &name, prior.is_some()),
    }
}

pub(super) fn mark(object: &Json) -> Option<&String> {
    match object.pointer("/metadata/annotations")?.get(OP)? {
        Json::String(op) => Some(op),
        _ => None,
    }
}

/// Whether an object that an apply should have made was somebody else's before: then others manage fields of it, and it is older than
/// our only entry.
fn foreign(object: &Json, op: &str, manager: &str) -> bool {
    let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
    let others = |entry: &Json| {
        entry.get("manager").and_then(Json::as_str) != Some(manager)
            && entry.get("subresource").and_then(Json::as_str).is_none_or(str::is_empty)
    };
    // A repeated request of our own finds the object that the first one made.
    mark(object).is_some_and(|mark| mark == op) && entries.into_iter().flatten().any(others)
}

/// Takes out what was merged into an object that appeared at the last moment.
async fn give_back(cluster: Cluster<'_>, kind: &Kind, name: &Name, there: &Json) -> Outcome {
    let mut body = json!({ "apiVersion": name.api_version, "kind": name.kind, "metadata": { "name": name.name } });
    if let Some(namespace) = &name.namespace {
        body["metadata"]["namespace"] = json!(namespace);
    }
    let path =
        format!("{}{}", kind.object(name.namespace.as_deref(), &name.name), query(cluster.manager, false, false));
    match cluster.send(Request::with("PATCH", path, APPLY, &body)).await {
        Ok(_) => Outcome::Rejected(taken(name, there)),
        Err(failure) => {
            let problem = failure.problem(&name.shown());
            let sentence = format!(
                "{} What was merged into it could not be taken out: {}",
                taken(name, there).sentence,
                problem.sentence
            );
            Outcome::Unknown(Problem::new(ProblemClass::Conflict, sentence))
        }
    }
}

pub(super) fn taken(name: &Name, there: &Json) -> Problem {
    let entries = there.pointer("/metadata/managedFields").and_then(Json::as_array);
    let mut owners: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("manager")?.as_str().map(|m| format!("\"{m}\"")))
        .collect();
    owners.sort();
    owners.dedup();
    let owners = if owners.is_empty() { "nobody who says so".to_owned() } else { owners.join(", ") };
    Problem::new(
        ProblemClass::Conflict,
        format!(
            "{} is there already, and not ours: it is managed by {owners}. To take it on, write an import block with the id \
             \"{}\"; else delete it or choose another name.",
            name.shown(),
            super::import::id(name)
        ),
    )
}

fn failed(failure: &Failure, name: &Name, standing: bool) -> Outcome {
    if let Failure::Refused(refusal) = failure
        && standing
        && refusal.is_another_object()
    {
        let sentence = format!(
            "{} is not the object that was planned: it was deleted, or deleted and made anew, by somebody else ({}). Plan again.",
            name.shown(),
            refusal.message.trim_end_matches('.')
        );
        return Outcome::Rejected(Problem::new(ProblemClass::Conflict, sentence));
    }
    failure.outcome(&name.shown())
}

/// An object that an act made or changed, as it is recorded.
fn recorded(cluster: Cluster<'_>, planned: &Value, there: &Json) -> Option<(Value, Json)> {
    let name = Name::of(there)?;
    let identity = Identity {
        api_version: name.api_version,
        kind: name.kind,
        namespace: name.namespace,
        name: name.name,
        uid: uid(there).to_owned(),
        fields: applied_by(there, cluster.manager),
        versions: Vec::new(),
    };
    let manifest = planned.get("manifest").cloned().unwrap_or_else(|| Value::null(crate::value::Type::Any));
    Some((object::attributes(planned, manifest, there), identity.json()))
}

fn done(cluster: Cluster<'_>, act: &Act, there: &Json) -> Outcome {
    match recorded(cluster, &act.planned, there) {
        Some((attributes, identity)) => Outcome::Applied { attributes, identity },
        None => {
            let sentence = "The cluster answered with something that is no object.".to_owned();
            Outcome::Unknown(Problem::new(ProblemClass::Transient, sentence))
        }
    }
}

/// What became of a create or an update: the object says which act wrote it last.
pub(super) async fn find(cluster: Cluster<'_>, act: &Act) -> Found {
    let Some(name) = object::manifest(&act.planned).as_ref().and_then(Name::of) else { return Found::NotDone };
    let shown = name.shown();
    let (kind, name) = match cluster.kind(&name).await {
        Ok(Some(kind)) => {
            let name = name.placed(&kind, cluster.namespace);
            (kind, name)
        }
        Ok(None) => return Found::NotDone,
        Err(failure) => return Found::NotNow(failure.problem(&shown).sentence),
    };
    match cluster.get(&kind, &name).await {
        Ok(Some(there)) if mark(&there) == Some(&act.op) => match recorded(cluster, &act.planned, &there) {
            Some((attributes, identity)) => Found::Done { attributes, identity },
            None => Found::NotNow(format!("{shown}: the cluster answered with something that is no object.")),
        },
        Ok(_) => Found::NotDone,
        Err(failure) => Found::NotNow(failure.problem(&shown).sentence),
    }
}

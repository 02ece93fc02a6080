//! Deleting objects, and waiting until they are gone.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::object::{Identity, Name};
use super::target::{Cluster, uid};
use super::wire::{Failure, JSON, Request};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::crash;
use crate::provider::{Act, Found, Outcome, Problem, ProblemClass, Progress};
use crate::value::{Type, Value};

/// How often it is looked whether an object is gone: soon at first, for most go at once.
const FIRST: Duration = Duration::from_millis(20);
const SLOWEST: Duration = Duration::from_secs(1);
/// How long before an act's deadline waiting ends, so that the answer says who holds the object.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a finalizer may take before it is named.
const PATIENCE: Duration = Duration::from_secs(2);

fn gone() -> Outcome {
    Outcome::Applied { attributes: Value::null(Type::Any), identity: Json::Null }
}

pub(super) async fn delete(cluster: Cluster<'_>, act: &Act, progress: &dyn Progress) -> Outcome {
    let Some(identity) = act.prior.as_ref().and_then(|prior| Identity::of(&prior.identity)) else {
        let sentence = "The record does not say which object it is about.".to_owned();
        return Outcome::NotSent(Problem::new(ProblemClass::Invalid, sentence));
    };
    let name = identity.name();
    let kind = match cluster.kind(&name).await {
        Ok(Some(kind)) => kind,
        // Its definition is gone, and with that every object of its kind.
        Ok(None) => return gone(),
        Err(failure) => return Outcome::NotSent(failure.problem(&name.shown())),
    };
    crash::point("kubernetes.delete");
    let sent = one(cluster, &identity).await;
    crash::point("kubernetes.deleted");
    match sent {
        Ok(()) => wait(cluster, &kind, &identity, act.deadline.saturating_sub(MARGIN), progress).await,
        Err(failure) => failure.outcome(&name.shown()),
    }
}

/// Deletes an object without waiting until it is gone.
///
/// # Errors
/// When the cluster refuses, or what became of it is not known.
pub(super) async fn one(cluster: Cluster<'_>, identity: &Identity) -> Result<(), Failure> {
    let name = identity.name();
    let Some(kind) = cluster.kind(&name).await? else { return Ok(()) };
    let body = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": { "uid": identity.uid },
        "propagationPolicy": "Background",
    });
    let path = kind.object(name.namespace.as_deref(), &name.name);
    match cluster.send(Request::with("DELETE", path, JSON, &body)).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.is_absent() => Ok(()),
        // Another object has the name by now; ours is gone.
        Err(Failure::Refused(refusal)) if refusal.code == 409 && refusal.message.contains("UID") => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// What keeps an object from going.
fn culprits(object: &Json) -> Vec<String> {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Json::as_array);
    let mut found: Vec<String> =
        finalizers.into_iter().flatten().filter_map(|f| f.as_str().map(str::to_owned)).collect();
    let conditions = object.pointer("/status/conditions").and_then(Json::as_array);
    for condition in conditions.into_iter().flatten() {
        let text = |name: &str| condition.get(name).and_then(Json::as_str).unwrap_or_default();
        if text("status") == "True"
            && ["NamespaceContentRemaining", "NamespaceFinalizersRemaining"].contains(&text("type"))
        {
            found.push(text("message").to_owned());
        }
    }
    let spec = object.pointer("/spec/finalizers").and_then(Json::as_array);
    if found.is_empty() && spec.is_some_and(|all| !all.is_empty()) {
        found.push("its content".into());
    }
    found
}

async fn wait(
    cluster: Cluster<'_>,
    kind: &Kind,
    identity: &Identity,
    limit: Duration,
    progress: &dyn Progress,
) -> Outcome {
    let name = identity.name();
    let (start, mut pause, mut told) = (SystemClock.elapsed(), FIRST, String::new());
    loop {
        let there = match cluster.get(kind, &name).await {
            Ok(None) => return gone(),
            Ok(Some(there)) if uid(&there) != identity.uid => return gone(),
            Ok(Some(there)) => Some(there),
            Err(Failure::Refused(refusal)) if refusal.class() == ProblemClass::Denied => {
                let sentence = format!("{}: whether it is gone cannot be seen: {}", name.shown(), refusal.sentence());
                return Outcome::Unknown(Problem::new(ProblemClass::Denied, sentence));
            }
            Err(_) => None,
        };
        let spent = SystemClock.elapsed().saturating_sub(start);
        let held = there.as_ref().map(culprits).unwrap_or_default();
        if spent > limit {
            return Outcome::Unknown(Problem::new(ProblemClass::Conflict, held_up(&name, &held, spent)));
        }
        if spent > PATIENCE && !held.is_empty() {
            let sentence = format!("waiting for {} to let go of it", held.join(", "));
            if sentence != told {
                progress.say(&sentence);
                told = sentence;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SLOWEST);
    }
}

fn held_up(name: &Name, held: &[String], spent: Duration) -> String {
    let by = match held {
        [] => "nothing says by what".to_owned(),
        all => format!("held by {}", all.join(", ")),
    };
    format!(
        "{} is being deleted, but is still there after {} s, {by}. Whoever set a finalizer has to take it away when its work is \
         done; the next command looks again.",
        name.shown(),
        spent.as_secs()
    )
}

/// What became of a delete: it is done when the uid is gone.
pub(super) async fn find(cluster: Cluster<'_>, act: &Act) -> Found {
    let Some(identity) = act.prior.as_ref().and_then(|prior| Identity::of(&prior.identity)) else {
        return Found::NotDone;
    };
    let name = identity.name();
    let done = || Found::Done { attributes: Value::null(Type::Any), identity: Json::Null };
    let kind = match cluster.kind(&name).await {
        Ok(Some(kind)) => kind,
        Ok(None) => return done(),
        Err(failure) => return Found::NotNow(failure.problem(&name.shown()).sentence),
    };
    match cluster.get(&kind, &name).await {
        Ok(None) => done(),
        Ok(Some(there)) if uid(&there) != identity.uid => done(),
        Ok(Some(there)) if there.pointer("/metadata/deletionTimestamp").is_some() => {
            match wait(cluster, &kind, &identity, PATIENCE, &crate::provider::Silent).await {
                Outcome::Applied { .. } => done(),
                _ => Found::NotNow(held_up(&name, &culprits(&there), PATIENCE)),
            }
        }
        Ok(Some(_)) => Found::NotDone,
        Err(failure) => Found::NotNow(failure.problem(&name.shown()).sentence),
    }
}

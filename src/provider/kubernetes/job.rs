//! `kubernetes_job`: a command that runs in the cluster, once for each change: a migration with the image's own tool, a seed, a report.
//!
//! **Once.** A Job is named after the act that runs it, which is the same for every attempt at it and never that of another: it is
//! never taken for "already there", and a lost answer does not run it twice. That it was run is in the ledger: a finished Job that
//! the cluster has cleaned up meanwhile is not run again.
//!
//! **Its end decides.** The run waits until the Job is complete, telling what it writes; one that fails fails the run, with its
//! log. A way back runs nothing (as with `local_command`): what a command did is not undone by running an older one.

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::object::{Identity, Name};
use super::target::Cluster;
use super::versions::{self, digits};
use super::wire::{Failure, Request};
use crate::provider::{Act, Found, Outcome, Problem, ProblemClass, Readiness};
use crate::value::{Value, to_json};

pub(super) const TYPE: &str = "kubernetes_job";

/// How many finished Jobs stay, where nothing is said.
pub(super) const KEEP: i64 = 3;

pub(super) fn validate(object: &Value) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if object.get_str("name").is_some_and(|name| name.is_empty() || name.len() > 50) {
        faults.push((
            "name",
            "The name is empty, or longer than the 50 characters that leave room for a Job's pods.".into(),
        ));
    }
    if object.get("command").and_then(Value::as_items).is_some_and(<[Value]>::is_empty) {
        faults.push(("command", "The command is empty. Leave it out to run what the image runs by itself.".into()));
    }
    faults.extend(crate::provider::duration::fault(object.get("timeout")).map(|fault| ("timeout", fault)));
    for name in ["keep", "backoff_limit"] {
        if object.get(name).and_then(Value::as_number).is_some_and(|n| n.to_u64().is_none()) {
            faults.push((if name == "keep" { "keep" } else { "backoff_limit" }, "A whole number, 0 or more.".into()));
        }
    }
    faults
}

fn whole(planned: &Value, name: &str, otherwise: i64) -> u64 {
    let said = planned.get(name).and_then(|value| value.as_number()?.to_u64());
    said.unwrap_or(otherwise.unsigned_abs())
}

fn object_name(act: &Act) -> String {
    format!("{}-{}", act.planned.get_str("name").unwrap_or_default(), digits(act.op.as_bytes()))
}

/// The Job of an object that is asked for.
pub(super) fn manifest(planned: &Value, name: &str) -> Json {
    let given = |attribute: &str| Some(planned.get(attribute).map(to_json)?).filter(|json| !json.is_null());
    let mut container = json!({ "name": "job", "image": given("image") });
    for (attribute, field) in [("command", "command"), ("args", "args"), ("resources", "resources")] {
        if let Some(value) = given(attribute) {
            container[field] = value;
        }
    }
    let variables = planned.get("environment").and_then(Value::as_map);
    let variable = |(name, value): (&std::sync::Arc<str>, &Value)| json!({ "name": &**name, "value": to_json(value) });
    container["env"] = variables.into_iter().flat_map(crate::value::Map::iter).map(variable).collect();
    let from = |attribute: &str, field: &str| {
        let names = planned.get(attribute).and_then(Value::as_items).unwrap_or_default();
        names.iter().filter_map(|name| Some(json!({ field: { "name": name.as_str()? } }))).collect::<Vec<Json>>()
    };
    let mut sources = from("config_maps", "configMapRef");
    sources.extend(from("secrets", "secretRef"));
    container["envFrom"] = sources.into();
    container["securityContext"] = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let mut pod = json!({
        "restartPolicy": "Never",
        "containers": [container],
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
    });
    if let Some(account) = given("service_account_name") {
        pod["serviceAccountName"] = account;
    }
    let pull = planned.get("image_pull_secrets").and_then(Value::as_items).unwrap_or_default();
    if !pull.is_empty() {
        pod["imagePullSecrets"] = pull.iter().map(|name| json!({ "name": name.as_str() })).collect();
    }
    let labels = given("labels").unwrap_or_else(|| json!({}));
    let mut out = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "backoffLimit": whole(planned, "backoff_limit", 0),
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    });
    // A Job that is given up on does not go on behind the back of who gave up.
    if let Some(limit) = planned.get_str("timeout").and_then(crate::provider::duration::parse) {
        out["spec"]["activeDeadlineSeconds"] = json!(limit.as_secs().max(1));
    }
    if let Some(namespace) = planned.get_str("namespace") {
        out["metadata"]["namespace"] = json!(namespace);
    }
    out
}

async fn place(cluster: Cluster<'_>, act: &Act) -> Result<(Kind, Name, Json), Problem> {
    let manifest = manifest(&act.planned, &object_name(act));
    let Some(name) = Name::of(&manifest) else {
        return Err(Problem::new(ProblemClass::Invalid, "The job has no name."));
    };
    let (kind, name) = cluster.place(name).await?;
    Ok((kind, name, manifest))
}

pub(super) async fn apply(cluster: Cluster<'_>, act: &Act) -> Outcome {
    let prior = Identity::changed_by(act);
    let (kind, name, manifest) = match place(cluster, act).await {
        Ok(placed) => placed,
        Err(problem) => return Outcome::NotSent(problem),
    };
    match cluster.get(&kind, &name).await {
        Ok(None) => {}
        Ok(Some(there)) if versions::marked(&there, &act.op) => {
            return made(cluster, act, prior.as_ref(), &there).await;
        }
        Ok(Some(_)) => {
            let sentence = format!("{} is there already, and not ours. Give the job another name.", name.shown());
            return Outcome::Rejected(Problem::new(ProblemClass::Conflict, sentence));
        }
        Err(failure) => return Outcome::NotSent(failure.problem(&name.shown())),
    }
    match versions::send(cluster, &kind, &name, act, &manifest, None).await {
        Ok(answer) => made(cluster, act, prior.as_ref(), &answer.body).await,
        Err(failure) => failure.outcome(&name.shown()),
    }
}

async fn made(cluster: Cluster<'_>, act: &Act, prior: Option<&Identity>, there: &Json) -> Outcome {
    let keep = whole(&act.planned, "keep", KEEP);
    versions::made(cluster, prior, there, started(&act.planned, there), keep).await
}

/// An object whose Job has come to a good end.
pub(super) fn completed(object: &Value) -> Value {
    let mut all = object.as_map().cloned().unwrap_or_default();
    all.insert("completed".into(), Value::bool(true));
    Value::object(all).mark(object.marks)
}

/// How a command stands whose Job is gone: that it was run is what counts.
pub(super) fn gone(recorded: &Value) -> Readiness {
    match recorded.get("completed").and_then(Value::as_bool) {
        Some(true) => Readiness::Ready,
        _ => Readiness::Failed("Its Job is gone, and was not seen to complete.".into()),
    }
}

/// An object whose Job was made.
fn started(given: &Value, there: &Json) -> Value {
    let mut all = given.as_map().cloned().unwrap_or_default();
    all.insert("completed".into(), Value::bool(false));
    versions::named(&Value::object(all), there)
}

/// What became of a run: the Job is there, with its mark, or it was not made.
pub(super) async fn find(cluster: Cluster<'_>, act: &Act) -> Found {
    let prior = Identity::changed_by(act);
    let (kind, name, _) = match place(cluster, act).await {
        Ok(placed) => placed,
        Err(problem) => return Found::NotNow(problem.sentence),
    };
    match cluster.get(&kind, &name).await {
        Ok(Some(there)) if versions::marked(&there, &act.op) => {
            versions::found(cluster, prior.as_ref(), &there, started(&act.planned, &there))
        }
        Ok(_) => Found::NotDone,
        Err(failure) => Found::NotNow(failure.problem(&name.shown()).sentence),
    }
}

/// The last line that a Job's newest pod wrote, for who watches.
pub(super) async fn last_line(cluster: Cluster<'_>, name: &Name) -> Option<String> {
    let namespace = name.namespace.as_deref()?;
    let pods =
        format!("/api/v1/namespaces/{namespace}/pods?labelSelector=batch.kubernetes.io%2Fjob-name%3D{}", name.name);
    let answer: Result<_, Failure> = cluster.send(Request::get(pods)).await;
    let body = answer.ok()?.body;
    let pod = body.get("items")?.as_array()?.iter().max_by_key(|pod| {
        pod.pointer("/metadata/creationTimestamp").and_then(Json::as_str).unwrap_or_default().to_owned()
    })?;
    let pod = pod.pointer("/metadata/name")?.as_str()?;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?container=job&tailLines=1&limitBytes=1024");
    let request = http::Request::get(path).body(Vec::new()).ok()?;
    let text = tokio::time::timeout(std::time::Duration::from_secs(2), cluster.client.request_text(request))
        .await
        .ok()?
        .ok()?;
    let line = text.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

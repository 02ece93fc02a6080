//! How far a rollout is, in one line, and what has to be watched to know it.

use serde_json::Value as Json;

use super::look::{count, flag, group, kind, list, name, number, text};
use super::symptom::{Children, new_pods};

/// How many pods are named, at most: a line is read at a glance.
const NAMED_MAX: usize = 1;

/// What has to be watched beside an object to know how it gets on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Which pods are its own, as a label selector of the API; `None` where there are none.
    pub(crate) label_selector: Option<String>,
    /// Whether ReplicaSets belong to it.
    pub(crate) replica_sets: bool,
    /// Whether pods belong to it.
    pub(crate) pods: bool,
    /// Whether events tell more than the object itself.
    pub(crate) events: bool,
}

/// What has to be watched beside an object. Pods are told apart by their owner in the end: selectors may overlap.
#[must_use]
pub(crate) fn watched(object: &Json) -> Watched {
    let pods = |selector: Option<String>, replica_sets| Watched {
        label_selector: selector,
        replica_sets,
        pods: true,
        events: true,
    };
    match (group(object), kind(object)) {
        ("apps", "Deployment") => pods(selector(object), true),
        ("apps", "StatefulSet" | "DaemonSet" | "ReplicaSet") => pods(selector(object), false),
        ("", "ReplicationController") => pods(equals(object, "/spec/selector"), false),
        ("batch", "Job") => {
            // Made by the API server when the job is: before that, the name is what will be on the pods.
            let by_name = || format!("batch.kubernetes.io/job-name={}", name(object));
            pods(Some(selector(object).unwrap_or_else(by_name)), false)
        }
        ("", "Pod" | "PersistentVolumeClaim") => Watched { events: true, ..Watched::default() },
        ("", "Service") if text(object, "/spec/type") == "LoadBalancer" => {
            Watched { events: true, ..Watched::default() }
        }
        _ => Watched::default(),
    }
}

fn equals(object: &Json, pointer: &str) -> Option<String> {
    let labels = object.pointer(pointer)?.as_object()?;
    let all: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn selector(object: &Json) -> Option<String> {
    let mut all: Vec<String> = equals(object, "/spec/selector/matchLabels").into_iter().collect();
    for one in list(object, "/spec/selector/matchExpressions") {
        let key = text(one, "/key");
        let values: Vec<&str> = list(one, "/values").iter().filter_map(Json::as_str).collect();
        let values = values.join(",");
        all.push(match text(one, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    (!all.is_empty()).then(|| all.join(","))
}

/// How far it is, in one line without a full stop: "2 of 3 new replicas are ready, 1 old is still serving; web-6c9f-x is
/// waiting: ContainerCreating". Empty for kinds that have nothing to count.
#[must_use]
pub(crate) fn progress(object: &Json, children: &Children) -> String {
    let pods = new_pods(object, children);
    let ready = pods.iter().filter(|pod| super::symptom::is_ready(pod)).count();
    let ready = i64::try_from(ready).unwrap_or(i64::MAX);
    let [replicas, updated] = ["/status/replicas", "/status/updatedReplicas"].map(|at| count(object, at));
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let seen = count(object, "/status/observedGeneration") >= count(object, "/metadata/generation");
    let (all, old, noun) = match (group(object), kind(object)) {
        // What is not updated is old: before the controller has seen the change, all of it.
        ("apps", "Deployment") => (wanted, if seen { replicas - updated } else { replicas }, "new replica"),
        ("apps", "StatefulSet") => {
            let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition").clamp(0, wanted);
            let old = if seen { replicas - updated } else { replicas };
            (wanted - partition, old, "new replica")
        }
        ("apps", "DaemonSet") => {
            let [desired, current, fresh] =
                ["/status/desiredNumberScheduled", "/status/currentNumberScheduled", "/status/updatedNumberScheduled"]
                    .map(|at| count(object, at));
            (desired, if seen { current - fresh } else { current }, "new pod")
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") => (wanted, 0, "replica"),
        ("batch", "Job") => return job(object, &pods),
        ("", "Pod") => return waiting(&pods).unwrap_or_default(),
        _ => return String::new(),
    };
    let verb = if ready == 1 || all == 1 { "is" } else { "are" };
    let plural = if all == 1 { "" } else { "s" };
    let mut line = format!("{ready} of {all} {noun}{plural} {verb} ready");
    match old {
        ..=0 => {}
        1 => line.push_str(", 1 old is still serving"),
        old => line.push_str(&format!(", {old} old are still serving")),
    }
    if let Some(waiting) = waiting(&pods) {
        line.push_str("; ");
        line.push_str(&waiting);
    }
    line
}

fn job(object: &Json, pods: &[&Json]) -> String {
    let [active, failed, succeeded] =
        ["/status/active", "/status/failed", "/status/succeeded"].map(|at| count(object, at));
    let all = number(object, "/spec/completions").unwrap_or(1);
    let mut line = format!("{succeeded} of {all} done, {active} active");
    if failed > 0 {
        line.push_str(&format!(", {failed} failed"));
    }
    if let Some(waiting) = waiting(pods) {
        line.push_str("; ");
        line.push_str(&waiting);
    }
    line
}

/// What the first pods that are not ready wait for.
fn waiting(pods: &[&Json]) -> Option<String> {
    let mut unready: Vec<(&str, String)> = pods.iter().filter_map(|pod| Some((name(pod), waits_for(pod)?))).collect();
    unready.sort();
    let more = unready.len().saturating_sub(NAMED_MAX);
    let shown: Vec<String> = unready.iter().take(NAMED_MAX).map(|(pod, what)| format!("{pod} {what}")).collect();
    if shown.is_empty() {
        return None;
    }
    let more = match more {
        0 => String::new(),
        1 => ", and 1 more".into(),
        more => format!(", and {more} more"),
    };
    Some(format!("{}{more}", shown.join(", ")))
}

fn waits_for(pod: &Json) -> Option<String> {
    if super::symptom::is_ready(pod) || matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
        return None;
    }
    let statuses = || {
        let of = |at| list(pod, at).iter();
        of("/status/initContainerStatuses").chain(of("/status/containerStatuses"))
    };
    if let Some(status) = statuses().find(|status| status.pointer("/state/waiting").is_some()) {
        return Some(format!("is waiting: {}", text(status, "/state/waiting/reason")));
    }
    if text(pod, "/spec/nodeName").is_empty() {
        return Some("is waiting for a node".into());
    }
    let running = list(pod, "/status/containerStatuses").iter().find(|status| !flag(status, "/ready"));
    Some(match running {
        Some(status) if status.pointer("/state/running").is_some() => {
            format!("runs, and container {} is not ready", text(status, "/name"))
        }
        Some(_) => "is between two starts".into(),
        None => "is starting".into(),
    })
}

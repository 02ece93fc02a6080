//! The questions that come before every rule, and which rule follows.

use serde_json::Value as Json;

use super::super::look::{condition, group, is_going, kind, number, quote, text};
use super::rules::Rules;
use super::{network, rest, workload};
use crate::provider::Readiness;

/// What is said while the status speaks of an earlier version.
const NOT_SEEN: &str = "The controller has not seen this change yet.";

/// Kinds whose controller always writes `status.observedGeneration`: where it is missing, nobody has looked yet.
/// (A HorizontalPodAutoscaler has the field, and its controller never fills it.)
const ALWAYS_OBSERVED: [(&str, &str); 6] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("", "ReplicationController"),
    ("policy", "PodDisruptionBudget"),
];

/// Whether the object, as the API server answered it, does what it is there for; else what is missing. One's own rules
/// replace the rule of its kind.
#[must_use]
pub(crate) fn readiness(object: &Json, rules: &Rules) -> Readiness {
    if is_going(object) {
        return Readiness::Failed("Somebody is deleting it.".into());
    }
    if !is_seen(object) {
        return Readiness::Pending(NOT_SEEN.into());
    }
    if !rules.is_empty() {
        return rules.judge(object);
    }
    match (group(object), kind(object)) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replicas(object),
        ("", "Pod") => workload::pod(object),
        ("batch", "Job") => workload::job(object),
        ("", "Service") => network::service(object),
        ("gateway.networking.k8s.io", "Gateway") => network::gateway(object),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" | "UDPRoute") => {
            network::route(object)
        }
        ("", "PersistentVolumeClaim") => rest::claim(object),
        ("", "Namespace") => rest::namespace(object),
        ("autoscaling", "HorizontalPodAutoscaler") => rest::autoscaler(object),
        ("policy", "PodDisruptionBudget") => rest::budget(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => rest::definition(object),
        ("apiregistration.k8s.io", "APIService") => rest::api_service(object),
        ("batch", "CronJob") | ("networking.k8s.io", "Ingress") => Readiness::Ready,
        _ => conventions(object),
    }
}

fn is_seen(object: &Json) -> bool {
    let Some(generation) = number(object, "/metadata/generation") else { return true };
    match number(object, "/status/observedGeneration") {
        Some(seen) => seen >= generation,
        None => !ALWAYS_OBSERVED.contains(&(group(object), kind(object))),
    }
}

/// The conventions of kstatus (sigs.k8s.io/cli-utils, `checkGenericProperties`) and of most operators.
fn conventions(object: &Json) -> Readiness {
    let generation = number(object, "/metadata/generation");
    let told = |ty: &str| condition(object, ty).filter(|found| !found.is_stale(generation));
    for ty in ["Stalled", "Failed"] {
        if let Some(found) = told(ty).filter(|found| found.is_true()) {
            return Readiness::Failed(format!("Its condition {ty} is True: {}.", found.says()));
        }
    }
    if let Some(found) = told("Reconciling").filter(|found| found.is_true()) {
        return Readiness::Pending(format!("Its controller is at it: {}.", found.says()));
    }
    for ty in ["Ready", "Available"] {
        let Some(found) = condition(object, ty) else { continue };
        if found.is_stale(generation) {
            return Readiness::Pending(NOT_SEEN.into());
        }
        if found.is_true() {
            return Readiness::Ready;
        }
        return Readiness::Pending(format!("Its condition {ty} is {}: {}.", shown(found.status()), found.says()));
    }
    Readiness::Ready
}

/// A status as it is, or that there is none.
fn shown(status: &str) -> String {
    if status.is_empty() { "empty".into() } else { quote(status) }
}

/// That a condition is missing, stale or not what is wanted; `None` if it is.
pub(super) fn lacks(conditions: &[Json], ty: &str, wanted: &str, generation: Option<i64>) -> Option<String> {
    let Some(found) = super::super::look::condition_in(conditions, ty) else {
        return Some(format!("It has no condition {ty} yet."));
    };
    if found.is_stale(generation) {
        return Some(NOT_SEEN.into());
    }
    if found.status() == wanted {
        return None;
    }
    let reason =
        if text_is_empty(found.message(), found.reason()) { String::new() } else { format!(": {}", found.says()) };
    Some(format!("Its condition {ty} is {}{reason}.", shown(found.status())))
}

fn text_is_empty(message: &str, reason: &str) -> bool {
    message.is_empty() && reason.is_empty()
}

/// When the specification was last changed, as the API server recorded it in `metadata.managedFields`. `None` where it did
/// not, or the caller left the field out.
pub(super) fn spec_changed(object: &Json) -> Option<&str> {
    super::super::look::list(object, "/metadata/managedFields")
        .iter()
        .filter(|entry| text(entry, "/subresource").is_empty() && entry.pointer("/fieldsV1/f:spec").is_some())
        .map(|entry| text(entry, "/time"))
        .max()
}

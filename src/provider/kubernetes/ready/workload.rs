//! The rules of what runs pods: Deployments and their kin, Pods, Jobs.
//!
//! The numbers are compared in the order in which a rollout passes through them, so that the sentence names the first thing
//! that is missing: updated, then the old gone, then available. That is the order of `kubectl rollout status`
//! (`polymorphichelpers/rollout_status.go`) and of kstatus.

use serde_json::Value as Json;

use super::super::look::{Condition, annotation, condition, count, counted, flag, list, number, of, quote, text};
use super::gate::spec_changed;
use crate::provider::Readiness;

/// What a workload asks for where `spec.replicas` is not set.
const DEFAULT_REPLICAS: i64 = 1;

fn pending(sentence: impl Into<String>) -> Readiness {
    Readiness::Pending(sentence.into())
}

fn wanted(object: &Json) -> i64 {
    number(object, "/spec/replicas").unwrap_or(DEFAULT_REPLICAS)
}

fn too_many(surplus: i64) -> String {
    let verb = if surplus == 1 { "is" } else { "are" };
    format!("{} too many {verb} still running.", counted(surplus, "replica"))
}

pub(super) fn deployment(object: &Json) -> Readiness {
    let Some(missing) = deployment_lacks(object) else { return Readiness::Ready };
    // Scaling goes on while it is paused, so a number that is short proves nothing: pods of another template do, and that
    // there never was a revision.
    let is_held = count(object, "/status/replicas") > count(object, "/status/updatedReplicas")
        || annotation(object, "deployment.kubernetes.io/revision").is_empty();
    if flag(object, "/spec/paused") && is_held {
        return Readiness::Failed(format!(
            "It is paused, and nothing is rolled out until somebody resumes it (kubectl rollout resume). {missing}"
        ));
    }
    let stalled = condition(object, "Progressing")
        .filter(|found| found.is_false() && found.reason() == "ProgressDeadlineExceeded")
        .filter(|found| spec_changed(object).is_none_or(|changed| found.updated() >= changed));
    if let Some(found) = stalled {
        return Readiness::Failed(format!("Its progress deadline has passed: {}. {missing}", found.says()));
    }
    if let Some(found) = condition(object, "ReplicaFailure").filter(|found| found.is_true()) {
        return pending(format!("{missing} Pods cannot be made: {}.", found.says()));
    }
    pending(missing)
}

fn deployment_lacks(object: &Json) -> Option<String> {
    let all = wanted(object);
    let [replicas, updated, available] =
        ["/status/replicas", "/status/updatedReplicas", "/status/availableReplicas"].map(|at| count(object, at));
    if updated < all {
        return Some(format!("{} updated.", of(updated, all, "replica")));
    }
    if replicas > updated {
        return Some(format!("The old ReplicaSet still has {}.", counted(replicas - updated, "replica")));
    }
    if available < updated {
        return Some(format!("{} available.", of(available, updated, "replica")));
    }
    (updated > all).then(|| too_many(updated - all))
}

pub(super) fn stateful_set(object: &Json) -> Readiness {
    let all = wanted(object);
    let [replicas, updated, ready] =
        ["/status/replicas", "/status/updatedReplicas", "/status/readyReplicas"].map(|at| count(object, at));
    let on_delete = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition").clamp(0, all);
    let target = all - partition;
    // The update goes from the last pod to the first, each after the one before it is ready: while it is under way, this is
    // what is missing, and that a pod is not ready is a part of it.
    if !on_delete && updated < target {
        let below = if partition > 0 {
            format!(" (pods below number {partition} stay as they are, by partition)")
        } else {
            String::new()
        };
        return pending(format!("{} updated{below}.", of(updated, target, "replica")));
    }
    if replicas > all {
        return pending(too_many(replicas - all));
    }
    if ready < all {
        return pending(format!("{} ready.", of(ready, all, "replica")));
    }
    // Written only since there is something to wait for: without minReadySeconds, ready is available.
    if count(object, "/spec/minReadySeconds") > 0 {
        let available = count(object, "/status/availableReplicas");
        if available < all {
            return pending(format!("{} available.", of(available, all, "replica")));
        }
    }
    let [current, update] = ["/status/currentRevision", "/status/updateRevision"].map(|at| text(object, at));
    if !on_delete && partition == 0 && current != update {
        return pending("The controller has not finished the update to the new revision yet.");
    }
    Readiness::Ready
}

pub(super) fn daemon_set(object: &Json) -> Readiness {
    let all = count(object, "/status/desiredNumberScheduled");
    let updated = count(object, "/status/updatedNumberScheduled");
    let available = count(object, "/status/numberAvailable");
    if text(object, "/spec/updateStrategy/type") != "OnDelete" && updated < all {
        return pending(format!("{} updated.", of(updated, all, "pod")));
    }
    if available < all {
        return pending(format!("{} available.", of(available, all, "pod")));
    }
    Readiness::Ready
}

pub(super) fn replicas(object: &Json) -> Readiness {
    let all = wanted(object);
    let [replicas, available] = ["/status/replicas", "/status/availableReplicas"].map(|at| count(object, at));
    let missing = if replicas > all {
        too_many(replicas - all)
    } else if available < all {
        format!("{} available.", of(available, all, "replica"))
    } else {
        return Readiness::Ready;
    };
    match condition(object, "ReplicaFailure").filter(|found| found.is_true()) {
        Some(found) => pending(format!("{missing} Pods cannot be made: {}.", found.says())),
        None => pending(missing),
    }
}

pub(super) fn pod(object: &Json) -> Readiness {
    match text(object, "/status/phase") {
        "Succeeded" => Readiness::Ready,
        "Failed" => {
            let [reason, message] = ["/status/reason", "/status/message"].map(|at| text(object, at));
            let said = match (reason.is_empty(), message.is_empty()) {
                (true, true) => ended(object).unwrap_or_else(|| "it gives no reason".into()),
                (true, false) => quote(message),
                (false, true) => quote(reason),
                (false, false) => format!("{}: {}", quote(reason), quote(message)),
            };
            Readiness::Failed(format!("The pod has failed: {said}."))
        }
        _ if condition(object, "Ready").is_some_and(Condition::is_true) => Readiness::Ready,
        phase => pending(pod_waits(object, phase)),
    }
}

/// The first container that ended otherwise than well.
fn ended(object: &Json) -> Option<String> {
    list(object, "/status/containerStatuses").iter().find_map(|status| {
        let code = number(status, "/state/terminated/exitCode").filter(|code| *code != 0)?;
        Some(format!("container {} ended with exit code {code}", text(status, "/name")))
    })
}

fn pod_waits(object: &Json, phase: &str) -> String {
    if let Some(found) = condition(object, "PodScheduled").filter(|found| found.is_false()) {
        return format!("The pod is not scheduled: {}.", found.says());
    }
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"].map(|at| list(object, at));
    let waiting = statuses.into_iter().flatten().find_map(|status| {
        let reason = text(status, "/state/waiting/reason");
        (!reason.is_empty()).then(|| format!("Container {} is waiting: {reason}.", text(status, "/name")))
    });
    let unready = || {
        let status = list(object, "/status/containerStatuses").iter().find(|status| !flag(status, "/ready"))?;
        Some(format!("Container {} is running and not ready.", text(status, "/name")))
    };
    waiting.or_else(|| if phase == "Running" { unready() } else { None }).unwrap_or_else(|| match phase {
        "" => "No node has taken the pod yet.".into(),
        phase => format!("The pod is {} and not ready.", phase.to_lowercase()),
    })
}

pub(super) fn job(object: &Json) -> Readiness {
    let holds = |ty: &str| condition(object, ty).filter(|found| found.is_true());
    // Each verdict comes twice: as soon as it is certain (`SuccessCriteriaMet`, `FailureTarget`), and again when the last
    // pod is gone.
    if holds("Complete").or_else(|| holds("SuccessCriteriaMet")).is_some() {
        return Readiness::Ready;
    }
    if let Some(found) = holds("Failed").or_else(|| holds("FailureTarget")) {
        let reason = match found.reason() {
            "" => String::new(),
            reason => format!(" ({})", quote(reason)),
        };
        let message = match found.message() {
            "" => String::new(),
            message => format!(": {}", quote(message)),
        };
        return Readiness::Failed(format!("The job has failed{reason}{message}."));
    }
    if flag(object, "/spec/suspend") {
        return Readiness::Ready;
    }
    let [active, failed, succeeded] =
        ["/status/active", "/status/failed", "/status/succeeded"].map(|at| count(object, at));
    let done = match number(object, "/spec/completions") {
        Some(all) => format!("{} done", of(succeeded, all, "completion")),
        None => format!("{} so far", counted(succeeded, "completion")),
    };
    let failures = if failed == 0 { String::new() } else { format!(", {} failed", counted(failed, "pod")) };
    pending(format!("{done}, {} active{failures}.", counted(active, "pod")))
}

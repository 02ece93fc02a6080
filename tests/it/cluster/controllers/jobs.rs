//! Jobs: as many pods as are asked for, and the two conditions of each verdict.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::workloads::{fresh, new_pod};
use super::world::{
    condition, count, is_going, is_ready, key, list, settle, stamp, status_patch, text, uid, without_zeros,
};
use super::{Core, Op};

pub(super) fn plan(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    for one in core.world.all("Job").iter().filter(|one| !is_going(one)) {
        job(core, one, now, ops);
    }
}

fn holds(object: &Json, ty: &str) -> bool {
    condition(object, ty).is_some_and(|found| text(found, "/status") == "True")
}

/// The verdict, if there is one: the two conditions, their reason and message.
fn verdict(
    core: &mut Core,
    object: &Json,
    failed: i64,
    succeeded: i64,
    now: Instant,
) -> Option<(&'static str, &'static str, &'static str)> {
    let completions = object.pointer("/spec/completions").and_then(Json::as_i64).unwrap_or(1);
    let limit = object.pointer("/spec/backoffLimit").and_then(Json::as_i64).unwrap_or(6);
    if failed > limit {
        return Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    if succeeded >= completions {
        return Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"));
    }
    let seconds = object.pointer("/spec/activeDeadlineSeconds").and_then(Json::as_u64)?;
    let since = core.clocks.entry(format!("active {}", uid(object))).or_insert((String::new(), now)).1;
    if since + Duration::from_secs(seconds) <= now {
        return Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"));
    }
    core.wake(since + Duration::from_secs(seconds));
    None
}

fn job(core: &mut Core, object: &Json, now: Instant, ops: &mut Vec<Op>) {
    if holds(object, "Complete") || holds(object, "Failed") {
        return;
    }
    let pods = core.world.owned("Pod", uid(object));
    let phase = |wanted: &str| pods.iter().filter(|pod| text(pod, "/status/phase") == wanted).count();
    let restarts =
        |pod: &Json| list(pod, "/status/containerStatuses").iter().map(|one| count(one, "/restartCount")).sum::<i64>();
    let in_place: i64 = pods.iter().filter(|pod| text(pod, "/spec/restartPolicy") == "OnFailure").map(restarts).sum();
    let succeeded = i64::try_from(phase("Succeeded")).unwrap_or(0);
    let failed = i64::try_from(phase("Failed")).unwrap_or(0);
    let active: Vec<&Json> = pods
        .iter()
        .filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") && !is_going(pod))
        .collect();
    let suspended = object.pointer("/spec/suspend").and_then(Json::as_bool).unwrap_or(false);
    let started = match text(object, "/status/startTime") {
        "" => stamp(),
        started => started.to_owned(),
    };
    let mut status = json!({
        "startTime": started, "active": active.len(), "ready": active.iter().filter(|pod| is_ready(pod)).count(),
        "terminating": pods.iter().filter(|pod| is_going(pod)).count(), "succeeded": succeeded, "failed": failed,
        "uncountedTerminatedPods": {},
    });
    let mut conditions = Vec::new();
    if let Some((ty, reason, message)) = verdict(core, object, failed + in_place, succeeded, now) {
        let first = if ty == "Failed" { "FailureTarget" } else { "SuccessCriteriaMet" };
        conditions.push(settle(object, first, "True", reason, message, &["lastProbeTime"]));
        for pod in &active {
            ops.push(Op::Delete { key: key(pod), now: false });
        }
        if holds(object, first) && active.is_empty() && !pods.iter().any(is_going) {
            conditions.push(settle(object, ty, "True", reason, message, &["lastProbeTime"]));
            if ty == "Complete" {
                status["completionTime"] = stamp().into();
            }
        }
    } else if suspended {
        status.as_object_mut().into_iter().for_each(|all| drop(all.remove("startTime")));
        conditions.push(settle(object, "Suspended", "True", "JobSuspended", "Job suspended", &["lastProbeTime"]));
        for pod in &active {
            ops.push(Op::Delete { key: key(pod), now: false });
        }
    } else {
        make(core, object, failed, succeeded, active.len(), now, ops);
    }
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    let status = without_zeros(status, &["active", "succeeded", "failed"]);
    if let Some(patch) = status_patch(object, status) {
        ops.push(Op::Patch { key: key(object), sub: Some("status"), patch });
    }
}

/// Makes the pods that are missing; after a failure, not before a pause that doubles.
fn make(core: &mut Core, object: &Json, failed: i64, succeeded: i64, active: usize, now: Instant, ops: &mut Vec<Op>) {
    let completions = object.pointer("/spec/completions").and_then(Json::as_i64).unwrap_or(1);
    let parallelism = object.pointer("/spec/parallelism").and_then(Json::as_i64).unwrap_or(1);
    let missing = parallelism.min(completions - succeeded) - i64::try_from(active).unwrap_or(0);
    if missing <= 0 {
        return;
    }
    if failed > 0 {
        let clock = core.clocks.entry(format!("attempt {}", uid(object))).or_insert((String::new(), now));
        if clock.0 != failed.to_string() {
            *clock = (failed.to_string(), now);
        }
        let pause = core.fates.back_off * 2_u32.saturating_pow(u32::try_from(failed - 1).unwrap_or(0).min(5));
        let at = clock.1 + pause;
        if at > now {
            core.wake(at);
            return;
        }
    }
    let (owner, name) = (uid(object).to_owned(), text(object, "/metadata/name").to_owned());
    let labels = [
        ("batch.kubernetes.io/controller-uid", owner.as_str()),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &owner),
        ("job-name", &name),
    ];
    for _ in 0..missing {
        let name = fresh(core, object);
        ops.push(new_pod(object, name, &object["spec"]["template"], &labels));
    }
}

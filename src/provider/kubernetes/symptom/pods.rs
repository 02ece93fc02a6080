//! From objects to symptoms.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::super::look::{condition, count, counted, flag, kind, list, name, number, quote, text};
use super::cause;
use super::events;
use super::kinds::{Symptom, SymptomKind};
use super::own::{Children, is_ready, is_short, new_pods, new_replica_set};

/// The most symptoms that are answered. A fault of a version is in all its pods alike, and there may be thousands.
const SYMPTOMS_MAX: usize = 32;

/// Events of autoscalers that are bringing a node: the cluster autoscaler's, and Karpenter's.
const BRINGS_NODE: [&str; 2] = ["TriggeredScaleUp", "Nominated"];

/// What a container that does not run says of itself.
struct Container<'a> {
    pod: &'a Json,
    name: &'a str,
    status: &'a Json,
    is_init: bool,
    restarts_always: bool,
    image: &'a str,
}

/// What is wrong with the new version of a workload now, the surest first. Empty if nothing is, or nothing can be said yet.
#[must_use]
pub(crate) fn symptoms(workload: &Json, children: &Children, now: Timestamp) -> Vec<Symptom> {
    let pods = new_pods(workload, children);
    let mut found: Vec<Symptom> = not_made(workload, children, now).into_iter().collect();
    // The pods of a job that end, however they do, are its attempts.
    found.extend(if kind(workload) == "Job" { failed_attempts(workload) } else { gone(&pods) });
    for pod in &pods {
        if is_ready(pod) || matches!(text(pod, "/status/phase"), "Failed" | "Succeeded") {
            continue;
        }
        let peers_ready = pods.iter().any(|other| is_ready(other));
        let mut own = of_pod(pod, children, now, kind(workload) == "Job");
        own.iter_mut().for_each(|symptom| symptom.peers_ready = peers_ready);
        found.extend(own);
    }
    found.sort_by(|a, b| (a.kind, &a.object).cmp(&(b.kind, &b.object)));
    found.dedup_by(|a, b| a.kind == b.kind && a.object == b.object);
    found.truncate(SYMPTOMS_MAX);
    found
}

fn symptom(kind: SymptomKind, object: String, count: u32, since: Option<Timestamp>, sentence: String) -> Symptom {
    Symptom { kind, object, count: count.max(1), since, peers_ready: false, sentence }
}

fn at(object: &Json, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// Pods that are not made at all: told by the new ReplicaSet's condition, else by events of who makes them.
fn not_made(workload: &Json, children: &Children, now: Timestamp) -> Option<Symptom> {
    let maker = match kind(workload) {
        "Deployment" => new_replica_set(workload, children)?,
        "Pod" => return None,
        _ => workload,
    };
    let (message, times, since) =
        if let Some(refused) = condition(maker, "ReplicaFailure").filter(|found| found.is_true()) {
            (refused.message(), 1, refused.updated().parse().ok())
        } else if matches!(kind(maker), "ReplicaSet" | "ReplicationController") || !is_short(maker) {
            return None;
        } else {
            let event = events::latest(children.events, maker, &["FailedCreate"])
                .filter(|event| events::is_fresh(event, now))?;
            (events::message(event), events::times(event), events::first(event))
        };
    let what = cause::of_creation(message);
    let object = format!("{} {}", kind(maker), name(maker));
    let sentence = match what {
        SymptomKind::QuotaExceeded => format!("{object} cannot make pods, a quota is exhausted: {}.", quote(message)),
        SymptomKind::AdmissionDenied => {
            format!("{object} cannot make pods, they are not admitted: {}.", quote(message))
        }
        _ => format!("{object} cannot make pods: {}.", quote(message)),
    };
    Some(symptom(what, object, times, since, sentence))
}

/// Pods that ended as a whole without having been asked to, as one symptom: whoever made them makes others.
fn gone(pods: &[&Json]) -> Option<Symptom> {
    let is_gone = |pod: &&&Json| text(pod, "/status/phase") == "Failed" && !text(pod, "/status/reason").is_empty();
    let gone: Vec<&&Json> = pods.iter().filter(is_gone).collect();
    let first = gone.first()?;
    let number = i64::try_from(gone.len()).unwrap_or(i64::MAX);
    let reason = quote(text(first, "/status/reason"));
    let message = match text(first, "/status/message") {
        "" => String::new(),
        message => format!(": {}", quote(message)),
    };
    let sentence = format!("{} of the new version ended as a whole ({reason}){message}.", counted(number, "pod"));
    let mut found =
        symptom(SymptomKind::Evicted, "pods".into(), u32::try_from(number).unwrap_or(u32::MAX), None, sentence);
    found.peers_ready = pods.iter().any(|pod| is_ready(pod));
    Some(found)
}

fn failed_attempts(job: &Json) -> Option<Symptom> {
    let failed = count(job, "/status/failed");
    if failed == 0 {
        return None;
    }
    let limit = number(job, "/spec/backoffLimit").unwrap_or(6);
    let sentence = format!(
        "{} of job {} failed; it gives up after {}.",
        counted(failed, "attempt"),
        name(job),
        counted(limit.saturating_add(1), "failed attempt")
    );
    let object = format!("job {}", name(job));
    Some(symptom(SymptomKind::JobFailing, object, u32::try_from(failed).unwrap_or(u32::MAX), None, sentence))
}

fn of_pod(pod: &Json, children: &Children, now: Timestamp, in_job: bool) -> Vec<Symptom> {
    if let Some(found) = unscheduled(pod, children) {
        return vec![found];
    }
    let mut found: Vec<Symptom> =
        containers(pod).iter().filter_map(|one| of_container(one, children, in_job)).collect();
    if found.is_empty() {
        found.extend(volume(pod, children));
        found.extend(probes(pod, children, now));
    }
    found
}

fn unscheduled(pod: &Json, children: &Children) -> Option<Symptom> {
    let scheduled =
        condition(pod, "PodScheduled").filter(|found| found.is_false() && found.reason() == "Unschedulable")?;
    let object = format!("pod {}", name(pod));
    let since = scheduled.updated().parse().ok();
    if let Some(event) = events::latest(children.events, pod, &BRINGS_NODE) {
        let sentence =
            format!("Pod {} waits for a node that is being made: {}.", name(pod), quote(events::message(event)));
        return Some(symptom(SymptomKind::ScalingUp, object, 1, since, sentence));
    }
    let what = cause::of_scheduling(scheduled.message());
    let why = match claim_trouble(pod, children).filter(|_| what == SymptomKind::VolumeSlow) {
        Some(trouble) => format!("{}; {trouble}", scheduled.says()),
        None => scheduled.says(),
    };
    let sentence = match what {
        SymptomKind::Unschedulable => format!("No node can take pod {}: {why}.", name(pod)),
        SymptomKind::VolumeSlow => format!("Pod {} waits for its volume: {why}.", name(pod)),
        _ => format!("No node has room for pod {} now: {why}.", name(pod)),
    };
    Some(symptom(what, object, 1, since, sentence))
}

/// What is said of the first of a pod's claims that has no volume.
fn claim_trouble(pod: &Json, children: &Children) -> Option<String> {
    let claims = list(pod, "/spec/volumes").iter().map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    claims.filter(|claim| !claim.is_empty()).find_map(|claim| {
        let pvc = children.pvcs.iter().find(|pvc| name(pvc) == claim && text(pvc, "/status/phase") != "Bound")?;
        let event = events::latest(children.events, pvc, &["ProvisioningFailed", "FailedBinding"])?;
        Some(format!("claim {claim}: {}", quote(events::message(event))))
    })
}

fn containers(pod: &Json) -> Vec<Container<'_>> {
    let of = |statuses: &'static str, specs: &'static str, is_init: bool| {
        list(pod, statuses).iter().map(move |status| {
            let name = text(status, "/name");
            let spec = list(pod, specs).iter().find(|spec| text(spec, "/name") == name).unwrap_or(&Json::Null);
            // An init container that always restarts is a sidecar: it runs beside the others.
            let is_sidecar = is_init && text(spec, "/restartPolicy") == "Always";
            let policy = text(pod, "/spec/restartPolicy");
            Container {
                pod,
                name,
                status,
                is_init: is_init && !is_sidecar,
                restarts_always: is_sidecar || (!is_init && (policy.is_empty() || policy == "Always")),
                image: text(spec, "/image"),
            }
        })
    };
    of("/status/initContainerStatuses", "/spec/initContainers", true)
        .chain(of("/status/containerStatuses", "/spec/containers", false))
        .collect()
}

fn of_container(one: &Container, children: &Children, in_job: bool) -> Option<Symptom> {
    let reason = text(one.status, "/state/waiting/reason");
    let message = text(one.status, "/state/waiting/message");
    let object = format!("pod {} container {}", name(one.pod), one.name);
    let made = |what, times, sentence| Some(symptom(what, object.clone(), times, None, sentence));
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError"
        | "SignatureValidationFailed" => of_image(one, children, &object),
        "CreateContainerConfigError" | "CreateContainerError" if cause::is_lasting_config_error(message) => made(
            SymptomKind::ConfigError,
            1,
            format!("Container {} of pod {} cannot be made: {}.", one.name, name(one.pod), quote(message)),
        ),
        "RunContainerError" => {
            let times = times_ended(one).max(1);
            made(
                SymptomKind::RunContainerError,
                times,
                format!("Container {} of pod {} cannot be started: {}.", one.name, name(one.pod), quote(message)),
            )
        }
        _ => ended(one, &object, in_job),
    }
}

fn of_image(one: &Container, children: &Children, object: &str) -> Option<Symptom> {
    let reason = text(one.status, "/state/waiting/reason");
    let own = text(one.status, "/state/waiting/message");
    // While it backs off, kubelets before 1.31 do not repeat the cause; the event has it.
    let failed = children.events.iter().filter(|event| {
        text(event, "/reason") == "Failed"
            && events::is_about(event, one.pod)
            && events::message(event).starts_with("Failed to pull image")
            && events::container(event).is_none_or(|container| container == one.name)
    });
    let event = failed.max_by_key(|event| events::last(event));
    let tells_cause = !own.starts_with("Back-off pulling image") || own.contains("Err");
    let message = match event {
        Some(event) if !tells_cause => events::message(event),
        _ => own,
    };
    // To back off is to have been refused before: it counts as the second time.
    let at_least = if reason == "ImagePullBackOff" || reason == "InvalidImageName" || reason == "ErrImageNeverPull" {
        2
    } else {
        1
    };
    let times = event.map_or(1, events::times).max(at_least);
    let what = cause::of_image(reason, message, one.image);
    let (image, said) = (one.image, quote(message));
    let sentence = if what == SymptomKind::ImageNotFound {
        format!("Image {image} of container {} (pod {}) cannot be had: {said}.", one.name, name(one.pod))
    } else {
        format!("Image {image} of container {} (pod {}) cannot be pulled now: {said}.", one.name, name(one.pod))
    };
    Some(symptom(what, object.to_owned(), times, event.and_then(events::first), sentence))
}

/// How often a container has ended: it was restarted after every end but the one that it is in now.
fn times_ended(one: &Container) -> u32 {
    let restarts = u32::try_from(count(one.status, "/restartCount")).unwrap_or_default();
    let is_down = one.status.pointer("/state/running").is_none();
    restarts.saturating_add(u32::from(is_down))
}

/// A container that has ended and is down: it waits for its next start, or has not been started again yet. While it runs,
/// nothing is said: whether this start is the good one is seen soon.
fn ended(one: &Container, object: &str, in_job: bool) -> Option<Symptom> {
    let down = one.status.pointer("/state/terminated");
    let is_backing_off = text(one.status, "/state/waiting/reason") == "CrashLoopBackOff";
    let last = down.or_else(|| one.status.pointer("/lastState/terminated").filter(|_| is_backing_off));
    let Some(last) = last else {
        // Backs off, and does not say after what: a version of the kubelet that we do not know.
        return is_backing_off.then(|| {
            let sentence = format!("Container {} of pod {} ends again and again.", one.name, name(one.pod));
            symptom(SymptomKind::CrashLoop, object.to_owned(), times_ended(one), None, sentence)
        });
    };
    if number(last, "/exitCode") == Some(0) && !one.restarts_always {
        return None;
    }
    let times = times_ended(one);
    let (who, how) = (format!("Container {} of pod {}", one.name, name(one.pod)), how_it_ended(last));
    let often = match times {
        0 | 1 => "has ended".to_owned(),
        times => format!("has ended {times} times, the last time"),
    };
    let cannot_start = matches!(text(last, "/reason"), "StartError" | "ContainerCannotRun");
    let what = match () {
        () if in_job => SymptomKind::JobFailing,
        () if cannot_start => SymptomKind::RunContainerError,
        () if one.is_init => SymptomKind::InitContainerFailing,
        () => SymptomKind::CrashLoop,
    };
    let sentence = if cannot_start {
        format!("{who} cannot be started: {how}.")
    } else {
        format!("{}{who} {often} {how}.", if one.is_init { "Init: " } else { "" })
    };
    Some(symptom(what, object.to_owned(), times, at(last, "/finishedAt"), sentence))
}

/// "with exit code 1: panic: no database", "for want of memory (OOMKilled, exit code 137)".
pub(super) fn how_it_ended(terminated: &Json) -> String {
    let code = count(terminated, "/exitCode");
    let message = match text(terminated, "/message") {
        "" => String::new(),
        message => format!(": {}", quote(message)),
    };
    match text(terminated, "/reason") {
        "OOMKilled" => {
            format!("since it used more memory than its limit allows (OOMKilled, exit code {code}){message}")
        }
        "StartError" | "ContainerCannotRun" if !message.is_empty() => quote(text(terminated, "/message")),
        "Error" | "Completed" | "" => format!("with exit code {code}{message}"),
        reason => format!("with exit code {code} ({}){message}", quote(reason)),
    }
}

/// Why a pod's volumes are not there, while its containers wait to be made.
fn volume(pod: &Json, children: &Children) -> Option<Symptom> {
    let is_waiting =
        |status: &Json| matches!(text(status, "/state/waiting/reason"), "ContainerCreating" | "PodInitializing");
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    if !statuses.into_iter().flat_map(|at| list(pod, at)).any(is_waiting) {
        return None;
    }
    let event = events::latest(children.events, pod, &["FailedMount", "FailedAttachVolume", "FailedMapVolume"])?;
    let message = events::message(event);
    let sentence = format!("A volume of pod {} cannot be mounted: {}.", name(pod), quote(message));
    let what = cause::of_volume(message);
    Some(symptom(what, format!("pod {}", name(pod)), events::times(event), events::first(event), sentence))
}

/// The probes that fail in containers that run and are not ready, one symptom for each container.
fn probes(pod: &Json, children: &Children, now: Timestamp) -> Vec<Symptom> {
    let mut latest: BTreeMap<&str, &Json> = BTreeMap::new();
    let unhealthy = children.events.iter().filter(|event| {
        text(event, "/reason") == "Unhealthy" && events::is_about(event, pod) && events::is_fresh(event, now)
    });
    for event in unhealthy {
        let entry = latest.entry(events::container(event).unwrap_or_default()).or_insert(event);
        if events::last(event) >= events::last(entry) {
            *entry = event;
        }
    }
    let is_unready = |container: &str| {
        let own = list(pod, "/status/containerStatuses").iter().find(|status| text(status, "/name") == container);
        own.is_none_or(|status| !flag(status, "/ready"))
    };
    latest
        .into_iter()
        .filter(|(container, _)| is_unready(container))
        .map(|(container, event)| {
            let object = match container {
                "" => format!("pod {}", name(pod)),
                container => format!("pod {} container {container}", name(pod)),
            };
            let sentence = format!("In {object}: {}.", quote(events::message(event)));
            symptom(SymptomKind::ProbeFailing, object, events::times(event), events::first(event), sentence)
        })
        .collect()
}

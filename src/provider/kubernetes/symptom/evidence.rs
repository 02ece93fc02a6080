//! What a person wants to read after a failure.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::super::look::{condition, count, flag, kind, list, name, quote, text};
use super::events;
use super::own::{Children, is_ready, new_pods, new_replica_set};
use super::pods::how_it_ended;

/// Of how many pods logs are fetched: a fault of a version is in all of them alike, and two show what is common.
const PODS_MAX: usize = 2;

/// How many logs are fetched in all.
const LOGS_MAX: usize = 6;

/// Of how many pods the states are described.
const DESCRIBED_MAX: usize = 5;

/// How many events are shown.
const EVENTS_MAX: usize = 8;

/// The longest description, in bytes.
const TEXT_MAX: usize = 4096;

/// A log that is worth fetching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogWanted {
    /// The pod's name.
    pub(crate) pod: String,
    /// The container's name.
    pub(crate) container: String,
    /// Whether that of the run before the present one (`previous=true`).
    pub(crate) previous: bool,
}

/// The new version's pods, the most telling first: those with the most restarts, before those that have not come so far.
fn in_trouble<'a>(workload: &'a Json, children: &Children<'a>) -> Vec<&'a Json> {
    let mut pods = new_pods(workload, children);
    pods.retain(|pod| !is_ready(pod) && text(pod, "/status/phase") != "Succeeded");
    let restarts = |pod: &Json| statuses(pod).map(|(status, _)| count(status, "/restartCount")).sum::<i64>();
    pods.sort_by(|a, b| restarts(b).cmp(&restarts(a)).then_with(|| name(a).cmp(name(b))));
    pods
}

/// A pod's containers, with whether they are to run before the others.
fn statuses(pod: &Json) -> impl Iterator<Item = (&Json, bool)> {
    let init = list(pod, "/status/initContainerStatuses").iter().map(|status| (status, true));
    init.chain(list(pod, "/status/containerStatuses").iter().map(|status| (status, false)))
}

/// Which logs are worth fetching, the most telling first: for a container that is down, that of the run that ended; for one
/// that runs and is not ready, that of now, and that of the run before it if there was one.
#[must_use]
pub(crate) fn evidence_plan(workload: &Json, children: &Children) -> Vec<LogWanted> {
    let mut plan = Vec::new();
    for pod in in_trouble(workload, children).into_iter().take(PODS_MAX) {
        for (status, is_init) in statuses(pod) {
            let mut want = |previous| {
                plan.push(LogWanted {
                    pod: name(pod).to_owned(),
                    container: text(status, "/name").to_owned(),
                    previous,
                });
            };
            let ended_well = text(status, "/state/terminated/reason") == "Completed";
            let is_up = is_init && flag(status, "/ready");
            if ended_well || is_up {
                continue;
            }
            // What has ended and is not started again yet has its log as the present one.
            if status.pointer("/state/terminated").is_some() || status.pointer("/state/running").is_some() {
                want(false);
            }
            if status.pointer("/lastState/terminated").is_some() {
                want(true);
            }
        }
    }
    plan.truncate(LOGS_MAX);
    plan
}

/// Pods, containers and events of the new version as text: states, exit codes, reasons, the probe that failed. At most 4 KiB.
#[must_use]
pub(crate) fn describe(workload: &Json, children: &Children) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} {}", kind(workload), name(workload));
    for condition in list(workload, "/status/conditions") {
        let [ty, status, reason] = ["/type", "/status", "/reason"].map(|at| text(condition, at));
        let said = match text(condition, "/message") {
            "" => String::new(),
            message => format!(": {}", quote(message)),
        };
        let _ = writeln!(out, "  {ty}={status} {reason}{said}");
    }
    let pods = in_trouble(workload, children);
    for pod in pods.iter().take(DESCRIBED_MAX) {
        of_pod(&mut out, pod);
    }
    if pods.len() > DESCRIBED_MAX {
        let _ = writeln!(out, "and {} more pods that are not ready", pods.len() - DESCRIBED_MAX);
    }
    let mut about: Vec<&Json> = pods.into_iter().collect();
    about.push(workload);
    about.extend(new_replica_set(workload, children));
    let mut shown: Vec<&Json> =
        children.events.iter().filter(|event| about.iter().any(|object| events::is_about(event, object))).collect();
    shown.sort_by_key(|event| events::last(event));
    if !shown.is_empty() {
        out.push_str("last events\n");
    }
    for event in shown.iter().rev().take(EVENTS_MAX).rev() {
        let times = match events::times(event) {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        let at = events::last(event).map(|at| format!("{at} ")).unwrap_or_default();
        let _ = writeln!(out, "  {at}{}: {}{times}", text(event, "/reason"), quote(events::message(event)));
    }
    bounded(out)
}

fn of_pod(out: &mut String, pod: &Json) {
    let node = match text(pod, "/spec/nodeName") {
        "" => String::new(),
        node => format!(" on {node}"),
    };
    let reason = match text(pod, "/status/reason") {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let _ = writeln!(out, "pod {}{node}: {}{reason}", name(pod), text(pod, "/status/phase"));
    if let Some(found) = condition(pod, "PodScheduled").filter(|found| found.is_false()) {
        let _ = writeln!(out, "  not scheduled: {}", found.says());
    }
    for (status, is_init) in statuses(pod) {
        let what = if is_init { "init container" } else { "container" };
        let restarts = count(status, "/restartCount");
        let again = if restarts == 0 { String::new() } else { format!(", restarts: {restarts}") };
        let _ = writeln!(out, "  {what} {}: {}{again}", text(status, "/name"), state(status));
        if let Some(last) = status.pointer("/lastState/terminated") {
            let _ = writeln!(out, "    the run before ended {}", how_it_ended(last));
        }
        if !is_init && status.pointer("/state/running").is_some() && !flag(status, "/ready") {
            for line in probes(pod, text(status, "/name")) {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
}

fn state(status: &Json) -> String {
    if let Some(waiting) = status.pointer("/state/waiting") {
        let said = match text(waiting, "/message") {
            "" => String::new(),
            message => format!(": {}", quote(message)),
        };
        return format!("waiting, {}{said}", text(waiting, "/reason"));
    }
    if let Some(ended) = status.pointer("/state/terminated") {
        return format!("ended {}", how_it_ended(ended));
    }
    if flag(status, "/ready") { "running and ready".into() } else { "running, not ready".into() }
}

/// The probes that a container has and that keep it from being ready.
fn probes(pod: &Json, container: &str) -> Vec<String> {
    let Some(spec) = list(pod, "/spec/containers").iter().find(|spec| text(spec, "/name") == container) else {
        return Vec::new();
    };
    let shown = |key: &str| {
        let probe = spec.get(key)?;
        let what = if let Some(http) = probe.get("httpGet") {
            format!("GET {} at port {}", text(http, "/path"), plain(http.get("port")))
        } else if let Some(tcp) = probe.get("tcpSocket") {
            format!("connect to port {}", plain(tcp.get("port")))
        } else if let Some(grpc) = probe.get("grpc") {
            format!("gRPC health at port {}", plain(grpc.get("port")))
        } else {
            let words: Vec<&str> = list(probe, "/exec/command").iter().filter_map(Json::as_str).collect();
            format!("run {}", quote(&words.join(" ")))
        };
        Some(format!("{key}: {what}"))
    };
    ["startupProbe", "readinessProbe", "livenessProbe"].into_iter().filter_map(shown).collect()
}

fn plain(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".into(),
    }
}

/// At most [`TEXT_MAX`] bytes: whole lines, and that some are missing.
fn bounded(mut out: String) -> String {
    const CUT: &str = "…\n";
    if out.len() <= TEXT_MAX {
        return out;
    }
    let end = out.floor_char_boundary(TEXT_MAX - CUT.len());
    let end = out[..end].rfind('\n').map_or(end, |line| line + 1);
    out.truncate(end);
    out.push_str(CUT);
    out
}

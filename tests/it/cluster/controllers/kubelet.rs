//! The scheduler of one node, and its kubelet: pods get the node, and their containers come to what their images are fated to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::workloads::event;
use super::world::{condition, is_going, key, list, settle, stamp, status_patch, text, uid};
use super::{Core, Fate, Op, program};

/// The name of the one node.
pub(crate) const NODE: &str = "node-1";

/// How long a container runs before it ends, if it is to.
const RUNS: Duration = Duration::from_millis(20);

/// How long a pull is a mistake before the kubelet backs off.
const PULL_FAILS: Duration = Duration::from_millis(200);

/// The longest pause between two starts, in first pauses: the kubelet's 300 s to its 10 s.
const BACK_OFF_MAX: u32 = 30;

/// How often a probe is tried.
const PROBE: Duration = Duration::from_secs(1);

/// What a container is doing.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Creating,
    Faulty(&'static str, String),
    Running(String),
    Ended(Json),
}

/// What is known of a container.
#[derive(Clone, Debug)]
struct Run {
    state: State,
    since: Instant,
    restarts: i64,
    last: Option<Json>,
    pulls: i64,
    probes: i64,
    ready: bool,
}

/// What is known of a pod's containers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    runs: BTreeMap<String, Run>,
    mounts_failed: Option<String>,
    started: String,
}

pub(super) fn plan(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    let pods = core.world.all("Pod");
    core.lives.retain(|known, _| pods.iter().any(|pod| uid(pod) == known));
    for pod in &pods {
        if is_going(pod) {
            // Its processes stop at once; then nothing holds it but finalizers.
            if list(pod, "/metadata/finalizers").is_empty()
                || core.clocks.insert(format!("killed {}", uid(pod)), (String::new(), now)).is_none()
            {
                ops.push(Op::Delete { key: key(pod), now: true });
            }
        } else if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
        } else if text(pod, "/spec/nodeName").is_empty() {
            schedule(core, pod, ops);
        } else if text(pod, "/spec/nodeName") == NODE {
            live(core, pod, now, ops);
        }
    }
}

fn schedule(core: &mut Core, pod: &Json, ops: &mut Vec<Op>) {
    let fated =
        list(pod, "/spec/containers").iter().any(|one| core.fates.of(text(one, "/image")) == Fate::Unschedulable);
    let namespace = text(pod, "/metadata/namespace");
    let claim = list(pod, "/spec/volumes")
        .iter()
        .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
        .find(|claim| !claim.is_empty() && core.world.get("PersistentVolumeClaim", namespace, claim).is_none());
    let message = match claim {
        Some(claim) => format!("0/1 nodes are available: persistentvolumeclaim \"{claim}\" not found. not found"),
        None if fated => {
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes \
                          are available: 1 Preemption is not helpful for scheduling."
                .into()
        }
        None => return ops.push(Op::Bind { key: key(pod) }),
    };
    if condition(pod, "PodScheduled").is_some_and(|known| text(known, "/message") == message) {
        return;
    }
    let condition = settle(pod, "PodScheduled", "False", "Unschedulable", &message, &[]);
    let patch = json!({"status": {"conditions": [condition]}});
    ops.push(Op::Patch { key: key(pod), sub: Some("status"), patch });
    ops.push(event(core, pod, "Warning", "FailedScheduling", &message, None, 1));
}

/// What keeps a container from being made: something of its environment is missing.
fn lacks(core: &Core, pod: &Json, spec: &Json) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    let missing = |what: (&'static str, &str), reference: &Json, key: Option<&str>| {
        let name = text(reference, "/name");
        if name.is_empty() || reference["optional"] == true {
            return None;
        }
        let Some(object) = core.world.get(what.0, namespace, name) else {
            return Some(format!("{} \"{name}\" not found", what.1));
        };
        let key = key?;
        let there = ["data", "binaryData", "stringData"].iter().any(|part| object[*part].get(key).is_some());
        (!there).then(|| format!("couldn't find key {key} in {} {namespace}/{name}", what.0))
    };
    let (secret, map) = (("Secret", "secret"), ("ConfigMap", "configmap"));
    for one in list(spec, "/envFrom") {
        let found = missing(secret, &one["secretRef"], None).or_else(|| missing(map, &one["configMapRef"], None));
        if found.is_some() {
            return found;
        }
    }
    list(spec, "/env").iter().find_map(|one| {
        let (secret_ref, map_ref) = (&one["valueFrom"]["secretKeyRef"], &one["valueFrom"]["configMapKeyRef"]);
        missing(secret, secret_ref, Some(text(secret_ref, "/key")))
            .or_else(|| missing(map, map_ref, Some(text(map_ref, "/key"))))
    })
}

/// A volume that cannot be mounted, since what it is made of is missing.
fn lacks_volume(core: &Core, pod: &Json) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    list(pod, "/spec/volumes").iter().find_map(|volume| {
        let of = |kind: &'static str, word: &str, at: &Json, name: &str| {
            let is_missing =
                !name.is_empty() && at["optional"] != true && core.world.get(kind, namespace, name).is_none();
            is_missing.then(|| {
                format!(
                    "MountVolume.SetUp failed for volume \"{}\" : {word} \"{name}\" not found",
                    text(volume, "/name")
                )
            })
        };
        let (secret, map) = (&volume["secret"], &volume["configMap"]);
        of("Secret", "secret", secret, text(secret, "/secretName"))
            .or_else(|| of("ConfigMap", "configmap", map, text(map, "/name")))
    })
}

fn live(core: &mut Core, pod: &Json, now: Instant, ops: &mut Vec<Op>) {
    let mut life = core.lives.remove(uid(pod)).unwrap_or_default();
    if life.started.is_empty() {
        life.started = stamp();
    }
    let policy = match text(pod, "/spec/restartPolicy") {
        "" => "Always",
        policy => policy,
    };
    let mount = lacks_volume(core, pod);
    if let Some(message) = mount.as_ref().filter(|message| life.mounts_failed.as_ref() != Some(message)) {
        ops.push(event(core, pod, "Warning", "FailedMount", message, None, 1));
    }
    life.mounts_failed = mount;
    let mut up = life.mounts_failed.is_none();
    for spec in list(pod, "/spec/initContainers") {
        let is_sidecar = text(spec, "/restartPolicy") == "Always";
        let run = life.runs.entry(text(spec, "/name").to_owned()).or_insert_with(|| Run::new(now));
        if up {
            step(core, pod, spec, run, if is_sidecar { "Always" } else { "Init" }, now, ops);
        }
        up &= if is_sidecar { matches!(run.state, State::Running(_)) } else { run.ended_well() };
    }
    for spec in list(pod, "/spec/containers") {
        let run = life.runs.entry(text(spec, "/name").to_owned()).or_insert_with(|| Run::new(now));
        if up {
            step(core, pod, spec, run, policy, now, ops);
        } else {
            run.since = now;
        }
    }
    if let Some(patch) = status_patch(pod, status(pod, &life, policy)) {
        ops.push(Op::Patch { key: key(pod), sub: Some("status"), patch });
    }
    core.lives.insert(uid(pod).to_owned(), life);
}

impl Run {
    fn new(now: Instant) -> Self {
        Self { state: State::Creating, since: now, restarts: 0, last: None, pulls: 0, probes: 0, ready: false }
    }

    fn ended_well(&self) -> bool {
        matches!(&self.state, State::Ended(how) if how["exitCode"] == 0)
    }

    fn become_(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
        self.ready = false;
    }

    fn end(&mut self, code: i64, reason: &str, started: &str, now: Instant) {
        let id = format!("containerd://{:016x}", self.restarts);
        let how =
            json!({"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": stamp(), "containerID": id});
        self.become_(State::Ended(how), now);
    }
}

/// Lets a container go on as far as it does by now; `policy` is the pod's, or `Init`.
fn step(core: &mut Core, pod: &Json, spec: &Json, run: &mut Run, policy: &str, now: Instant, ops: &mut Vec<Op>) {
    let fate = core.fates.of(text(spec, "/image"));
    let field = format!("spec.containers{{{}}}", text(spec, "/name"));
    // Each turn is a change of state at most; what is due later is asked for and left.
    for _ in 0..4 {
        let after = |wait: Duration, core: &mut Core| {
            let at = run.since + wait;
            if at > now {
                core.wake(at);
            }
            at <= now
        };
        match run.state.clone() {
            State::Creating if matches!(fate, Fate::NotFound | Fate::NotNow) => {
                pull_fails(core, pod, spec, run, &fate, now, ops, &field);
                return;
            }
            State::Creating | State::Faulty("CreateContainerConfigError", _) => match lacks(core, pod, spec) {
                Some(message) => {
                    if run.state != State::Faulty("CreateContainerConfigError", message.clone()) {
                        ops.push(event(core, pod, "Warning", "Failed", &format!("Error: {message}"), Some(&field), 1));
                        run.become_(State::Faulty("CreateContainerConfigError", message), now);
                    }
                    return;
                }
                None if after(core.fates.start.min(RUNS), core) => run.become_(State::Running(stamp()), now),
                None => return,
            },
            State::Faulty("ErrImagePull", _) if after(PULL_FAILS, core) => {
                let message = format!(
                    "Back-off pulling image \"{0}\": ErrImagePull: {1}",
                    text(spec, "/image"),
                    pull_error(spec, &fate)
                );
                run.become_(State::Faulty("ImagePullBackOff", message), now);
            }
            State::Faulty("ImagePullBackOff", _) if after(core.fates.back_off, core) => {
                pull_fails(core, pod, spec, run, &fate, now, ops, &field);
                return;
            }
            State::Faulty("CrashLoopBackOff", _) => {
                let pauses =
                    2_u32.saturating_pow(u32::try_from(run.restarts - 1).unwrap_or(0).min(8)).min(BACK_OFF_MAX);
                if !after(core.fates.back_off * pauses, core) {
                    return;
                }
                run.restarts += 1;
                run.become_(State::Running(stamp()), now);
            }
            State::Faulty(..) => return,
            State::Running(started) => match fate {
                Fate::Crash(_) | Fate::Oom if !after(RUNS, core) => return,
                Fate::Crash(code) => run.end(code, if code == 0 { "Completed" } else { "Error" }, &started, now),
                Fate::Oom => run.end(137, "OOMKilled", &started, now),
                Fate::Ready(wait) if policy != "Always" => {
                    if !after(if policy == "Init" { Duration::ZERO } else { wait }, core) {
                        return;
                    }
                    let (code, reason, message) =
                        program::run(core, pod, spec).unwrap_or((0, "Completed", String::new()));
                    run.end(code, reason, &started, now);
                    if let State::Ended(how) = &mut run.state {
                        how["message"] = message.into();
                    }
                }
                Fate::Ready(wait) => {
                    run.ready = run.ready || after(wait.saturating_sub(core.fates.start.min(RUNS)), core);
                    return;
                }
                _ => {
                    unhealthy(core, pod, run, now, ops, &field);
                    return;
                }
            },
            State::Ended(how) => {
                let again =
                    policy == "Always" || (policy != "Never" && how["exitCode"] != 0 && !never_again(pod, policy));
                if !again {
                    return;
                }
                run.last = Some(how);
                if run.restarts == 0 && after(RUNS, core) {
                    run.restarts = 1;
                    run.become_(State::Running(stamp()), now);
                } else if run.restarts == 0 {
                    return;
                } else {
                    let (name, pause) = (text(spec, "/name"), core.fates.back_off);
                    let pod_name =
                        format!("{}_{}({})", text(pod, "/metadata/name"), text(pod, "/metadata/namespace"), uid(pod));
                    let message = format!("back-off {pause:?} restarting failed container={name} pod={pod_name}");
                    ops.push(event(
                        core,
                        pod,
                        "Warning",
                        "BackOff",
                        &format!("Back-off restarting failed container {name} in pod {pod_name}"),
                        Some(&field),
                        run.restarts,
                    ));
                    run.become_(State::Faulty("CrashLoopBackOff", message), now);
                }
            }
        }
    }
    core.wake(now + Duration::from_millis(1));
}

/// An init container of a pod that is never restarted is not either.
fn never_again(pod: &Json, policy: &str) -> bool {
    policy == "Init" && text(pod, "/spec/restartPolicy") == "Never"
}

fn pull_error(spec: &Json, fate: &Fate) -> String {
    let image = text(spec, "/image");
    if *fate == Fate::NotFound {
        format!(
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve reference \
             \"{image}\": {image}: not found"
        )
    } else {
        format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to do request: Head \
             \"https://registry.example/v2/\": dial tcp 192.0.2.9:443: i/o timeout"
        )
    }
}

#[expect(clippy::too_many_arguments, reason = "a step of a container, taken apart for its length")]
fn pull_fails(
    core: &mut Core,
    pod: &Json,
    spec: &Json,
    run: &mut Run,
    fate: &Fate,
    now: Instant,
    ops: &mut Vec<Op>,
    field: &str,
) {
    let error = pull_error(spec, fate);
    run.pulls += 1;
    let message = format!("Failed to pull image \"{}\": {error}", text(spec, "/image"));
    ops.push(event(core, pod, "Warning", "Failed", &message, Some(field), run.pulls));
    run.become_(State::Faulty("ErrImagePull", error), now);
    core.wake(now + PULL_FAILS);
}

fn unhealthy(core: &mut Core, pod: &Json, run: &mut Run, now: Instant, ops: &mut Vec<Op>, field: &str) {
    let due = run.since + PROBE * u32::try_from(run.probes).unwrap_or(0);
    if due <= now {
        run.probes += 1;
        let message = "Readiness probe failed: HTTP probe failed with statuscode: 500";
        ops.push(event(core, pod, "Warning", "Unhealthy", message, Some(field), run.probes));
    }
    core.wake(run.since + PROBE * u32::try_from(run.probes).unwrap_or(0));
}

/// The pod's status as its containers make it.
fn status(pod: &Json, life: &Life, policy: &str) -> Json {
    let of = |specs: &str| -> Vec<(&Json, &Run)> {
        list(pod, specs).iter().filter_map(|spec| Some((spec, life.runs.get(text(spec, "/name"))?))).collect()
    };
    let (init, main) = (of("/spec/initContainers"), of("/spec/containers"));
    let is_init_done = init.iter().all(|(spec, run)| {
        run.ended_well() || (text(spec, "/restartPolicy") == "Always" && matches!(run.state, State::Running(_)))
    });
    let is_over = |run: &Run| match &run.state {
        State::Ended(how) => policy == "Never" || (policy == "OnFailure" && how["exitCode"] == 0),
        _ => false,
    };
    let init_failed = policy == "Never"
        && init.iter().any(|(_, run)| matches!(&run.state, State::Ended(how) if how["exitCode"] != 0));
    let phase = if init_failed {
        "Failed"
    } else if main.iter().all(|(_, run)| is_over(run)) {
        if main.iter().all(|(_, run)| run.ended_well()) { "Succeeded" } else { "Failed" }
    } else if main.iter().any(|(_, run)| {
        matches!(run.state, State::Creating) || (matches!(run.state, State::Faulty(..)) && run.restarts == 0)
    }) {
        "Pending"
    } else {
        "Running"
    };
    let unready: Vec<&str> = main.iter().filter(|(_, run)| !run.ready).map(|(spec, _)| text(spec, "/name")).collect();
    let (is_ready, reason, message) = match (unready.is_empty(), phase) {
        (true, _) => ("True", "", String::new()),
        (_, "Succeeded") => ("False", "PodCompleted", String::new()),
        (_, "Failed") => ("False", "PodFailed", String::new()),
        _ => ("False", "ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))),
    };
    let (initialized, init_reason) = if is_init_done { ("True", "") } else { ("False", "ContainersNotInitialized") };
    let statuses = |all: &[(&Json, &Run)], reason: &str| -> Vec<Json> {
        all.iter().map(|(spec, run)| container_status(spec, run, reason)).collect()
    };
    let waits = if init.is_empty() || is_init_done { "ContainerCreating" } else { "PodInitializing" };
    let mut status = json!({
        "phase": phase, "startTime": life.started, "hostIP": "192.0.2.10", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}],
        "hostIPs": [{"ip": "192.0.2.10"}],
        "qosClass": pod.pointer("/status/qosClass").cloned().unwrap_or_else(|| "BestEffort".into()),
        "conditions": [
            settle(pod, "PodReadyToStartContainers", "True", "", "", &[]),
            settle(pod, "Initialized", initialized, init_reason, "", &[]),
            settle(pod, "Ready", is_ready, reason, &message, &[]),
            settle(pod, "ContainersReady", is_ready, reason, &message, &[]),
            settle(pod, "PodScheduled", "True", "", "", &[]),
        ],
        "containerStatuses": statuses(&main, waits),
    });
    if !init.is_empty() {
        status["initContainerStatuses"] = statuses(&init, "PodInitializing").into();
    }
    // Written by the API server itself, or by others.
    for kept in
        ["observedGeneration", "resize", "nominatedNodeName", "extendedResourceClaimStatus", "resourceClaimStatuses"]
    {
        if let Some(value) = pod.pointer(&format!("/status/{kept}")) {
            status[kept] = value.clone();
        }
    }
    status
}

fn container_status(spec: &Json, run: &Run, creating: &str) -> Json {
    let state = match &run.state {
        State::Creating => json!({"waiting": {"reason": creating}}),
        State::Faulty(reason, message) => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running(started) => json!({"running": {"startedAt": started}}),
        State::Ended(how) => json!({"terminated": how}),
    };
    let last = match (&run.state, &run.last) {
        (State::Ended(_), _) | (_, None) => json!({}),
        (_, Some(last)) => json!({"terminated": last}),
    };
    let runs = matches!(run.state, State::Running(_));
    let mut status = json!({
        "name": spec["name"], "image": spec["image"], "imageID": "", "restartCount": run.restarts, "ready": run.ready || run.ended_well() && runs,
        "started": runs, "state": state, "lastState": last,
    });
    if runs {
        status["containerID"] = format!("containerd://{:016x}", run.restarts).into();
        status["imageID"] = format!("{}@sha256:0", text(spec, "/image")).into();
    }
    status
}

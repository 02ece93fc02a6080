//! Objects as controllers, kubelets and schedulers leave them, and what is said of each.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::progress::{Watched, progress, watched};
use super::{Children, LogWanted, describe, evidence_plan, new_pods, symptoms};

const NOW: &str = "2026-11-22T09:00:30Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn merge(into: &mut Json, from: Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Json::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn with(mut object: Json, at: Json) -> Json {
    merge(&mut object, at);
    object
}

fn template(image: &str) -> Json {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "api", "image": image}]}})
}

/// A Deployment of 3 whose present template has that image.
fn deployment(image: &str) -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "uid": "d", "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
        "status": {"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3},
    })
}

fn owner(uid: &str) -> Json {
    json!([{"uid": uid, "controller": true}])
}

fn replica_set(name: &str, revision: &str, image: &str) -> Json {
    let labels = json!({"metadata": {"labels": {"pod-template-hash": name}}});
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": format!("web-{name}"), "uid": name, "ownerReferences": owner("d"),
                     "annotations": {"deployment.kubernetes.io/revision": revision}},
        "spec": {"replicas": 3, "template": with(template(image), labels)}, "status": {},
    })
}

/// A pod of the ReplicaSet with that uid; `at` is laid over it.
fn pod(name: &str, of: &str, at: Json) -> Json {
    with(
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "uid": name, "ownerReferences": owner(of)},
            "spec": {"nodeName": "n1", "restartPolicy": "Always", "containers": [{"name": "api", "image": "shop/api:2"}]},
            "status": {"phase": "Pending"},
        }),
        at,
    )
}

fn ready(name: &str, of: &str) -> Json {
    pod(
        name,
        of,
        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "api", "ready": true, "restartCount": 0, "state": {"running": {}}}]}}),
    )
}

/// A pod whose one container is in that state.
fn container(name: &str, of: &str, status: Json) -> Json {
    let status = with(json!({"name": "api", "ready": false, "restartCount": 0}), status);
    pod(name, of, json!({"status": {"containerStatuses": [status]}}))
}

fn waiting(reason: &str, message: &str) -> Json {
    json!({"state": {"waiting": {"reason": reason, "message": message}}})
}

fn event(about: [&str; 2], reason: &str, message: &str, count: u32) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Event", "reason": reason, "message": message, "count": count,
        "involvedObject": {"kind": about[0], "name": about[1], "uid": about[1], "fieldPath": "spec.containers{api}"},
        "firstTimestamp": "2026-11-22T09:00:00Z", "lastTimestamp": "2026-11-22T09:00:20Z",
    })
}

/// "KIND COUNT OBJECT: SENTENCE" of each symptom.
fn said(workload: &Json, children: &Children) -> Vec<String> {
    let all = symptoms(workload, children, now());
    all.iter().map(|s| format!("{} {} {}: {}", s.kind.word(), s.count, s.object, s.sentence)).collect()
}

/// What is said of one pod of the new ReplicaSet, with these events about it.
#[track_caller]
fn of_pod(pod: &Json, events: &[Json], expected: &[&str]) {
    let sets = [replica_set("new", "2", "shop/api:2")];
    let pods = std::slice::from_ref(pod);
    let children = Children { replica_sets: &sets, pods, events, pvcs: &[] };
    assert_eq!(said(&deployment("shop/api:2"), &children), expected);
}

const NOTHING: [&str; 0] = [];

fn names(pods: &[&Json]) -> Vec<String> {
    pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_the_pods_of_the_new_version_count() {
    let sets = [replica_set("old", "1", "shop/api:1"), replica_set("new", "2", "shop/api:2")];
    let pods = [
        container("a", "old", waiting("CrashLoopBackOff", "back-off")),
        container("b", "new", waiting("ContainerCreating", "")),
        with(container("c", "new", waiting("CrashLoopBackOff", "")), json!({"metadata": {"deletionTimestamp": NOW}})),
        container("d", "somebody", waiting("CrashLoopBackOff", "back-off")),
    ];
    let children = Children { replica_sets: &sets, pods: &pods, ..Children::default() };
    let workload = deployment("shop/api:2");
    assert_eq!(names(&new_pods(&workload, &children)), ["b"]);
    assert_eq!(said(&workload, &children), NOTHING);
    // The template decides, before any annotation is written; without it, the revision, if it is of this generation.
    let back = with(deployment("shop/api:1"), json!({"status": {"observedGeneration": 1}}));
    assert_eq!(names(&new_pods(&back, &children)), ["a"]);
    let unknown = deployment("shop/api:3");
    assert_eq!(names(&new_pods(&unknown, &children)), ["b"]);
    let unseen = with(unknown, json!({"status": {"observedGeneration": 1}}));
    assert_eq!(names(&new_pods(&unseen, &children)), NOTHING);
}

#[test]
fn stateful_sets_daemon_sets_jobs_and_bare_pods_have_theirs() {
    let labelled = |name: &str, labels: Json| with(pod(name, "w", json!({})), json!({"metadata": {"labels": labels}}));
    let workload = |kind: &str, at: Json| {
        let api = if kind == "Job" { "batch/v1" } else { "apps/v1" };
        let bare = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "w", "uid": "w", "generation": 3},
                          "status": {"observedGeneration": 3, "updateRevision": "w-2"}});
        with(bare, at)
    };
    let pods = [
        labelled("a", json!({"controller-revision-hash": "w-1", "pod-template-generation": "1"})),
        labelled("b", json!({"controller-revision-hash": "w-2", "pod-template-generation": "2"})),
        labelled("c", json!({"controller-revision-hash": "w-2", "pod-template-generation": "3"})),
    ];
    let children = Children { pods: &pods, ..Children::default() };
    let of = |object: Json| names(&new_pods(&object, &children));
    assert_eq!(of(workload("StatefulSet", json!({}))), ["b", "c"]);
    assert_eq!(of(workload("StatefulSet", json!({"status": {"observedGeneration": 2}}))), NOTHING);
    assert_eq!(of(workload("DaemonSet", json!({}))), ["b", "c"]);
    assert_eq!(of(workload("DaemonSet", json!({"status": {"observedGeneration": 2}}))), NOTHING);
    let counted = |n: &str| json!({"metadata": {"annotations": {"deprecated.daemonset.template.generation": n}}});
    assert_eq!(of(workload("DaemonSet", counted("1"))), ["a"]);
    assert_eq!(of(workload("DaemonSet", counted("4"))), NOTHING);
    assert_eq!(of(workload("Job", json!({}))), ["a", "b", "c"]);
    assert_eq!(of(pods[0].clone()), ["a"]);
}

#[test]
fn a_container_that_ends_again_and_again() {
    let ended =
        |code: i64, reason: &str| json!({"exitCode": code, "reason": reason, "finishedAt": "2026-11-22T09:00:10Z"});
    let first = container("p", "new", json!({"state": {"terminated": ended(1, "Error")}}));
    of_pod(&first, &[], &["crash_loop 1 pod p container api: Container api of pod p has ended with exit code 1."]);
    // It runs for the second time: whether this is the good one is seen soon.
    let second = json!({"state": {"running": {}}, "lastState": {"terminated": ended(1, "Error")}, "restartCount": 1});
    of_pod(&container("p", "new", second), &[], &NOTHING);
    let backing = |code: i64, reason: &str, message: &str| {
        let mut last = ended(code, reason);
        last["message"] = message.into();
        with(waiting("CrashLoopBackOff", "back-off 10s"), json!({"restartCount": 1, "lastState": {"terminated": last}}))
    };
    let often = |how: &str| format!("Container api of pod p has ended 2 times, the last time {how}.");
    for (status, kind, how) in [
        (backing(1, "Error", ""), "crash_loop", often("with exit code 1")),
        (backing(0, "Completed", ""), "crash_loop", often("with exit code 0")),
        (backing(2, "Error", "no\n  database.\n"), "crash_loop", often("with exit code 2: no database")),
        (
            backing(137, "OOMKilled", ""),
            "crash_loop",
            often("since it used more memory than its limit allows (OOMKilled, exit code 137)"),
        ),
        (
            backing(128, "StartError", "exec: \"/srv\": executable file not found in $PATH"),
            "run_container_error",
            "Container api of pod p cannot be started: exec: \"/srv\": executable file not found in $PATH.".into(),
        ),
    ] {
        of_pod(&container("p", "new", status), &[], &[&format!("{kind} 2 pod p container api: {how}")]);
    }
    let mute = with(waiting("CrashLoopBackOff", ""), json!({"restartCount": 3}));
    of_pod(
        &container("p", "new", mute),
        &[],
        &["crash_loop 4 pod p container api: Container api of pod p ends again and again."],
    );
    let since = symptoms(&container("p", "new", backing(1, "Error", "")), &Children::default(), now())[0].since;
    assert_eq!(since, Some("2026-11-22T09:00:10Z".parse().unwrap()));
}

#[test]
fn init_containers_and_sidecars() {
    let init = |policy: &str, code: i64| {
        pod(
            "p",
            "new",
            json!({
                "spec": {"initContainers": [{"name": "prep", "image": "i", "restartPolicy": policy}]},
                "status": {"initContainerStatuses": [{
                    "name": "prep", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": code, "reason": "Error"}},
                }], "containerStatuses": [{"name": "api", "state": {"waiting": {"reason": "PodInitializing"}}}]},
            }),
        )
    };
    let ended = "Container prep of pod p has ended 3 times, the last time with exit code 4.";
    of_pod(&init("", 4), &[], &[&format!("init_container_failing 3 pod p container prep: Init: {ended}")]);
    of_pod(&init("Always", 4), &[], &[&format!("crash_loop 3 pod p container prep: {ended}")]);
    of_pod(&init("", 0), &[], &NOTHING);
}

#[test]
fn images_that_do_not_exist_and_images_that_do_not_come() {
    let cannot_be_had = "Image shop/api:2 of container api (pod p) cannot be had: ";
    let not_now = "Image shop/api:2 of container api (pod p) cannot be pulled now: ";
    let missing = "failed to pull and unpack image \"docker.io/shop/api:2\": failed to resolve reference: not found";
    for (reason, message, kind, count, begin) in [
        ("ErrImagePull", missing, "image_not_found", 1, cannot_be_had),
        ("ErrImagePull", "manifest unknown", "image_not_found", 1, cannot_be_had),
        ("ErrImagePull", "pull access denied, repository does not exist", "image_not_found", 1, cannot_be_had),
        ("InvalidImageName", "couldn't parse image name \"shop/api:2\"", "image_not_found", 2, cannot_be_had),
        ("ErrImageNeverPull", "not present with pull policy of Never", "image_not_found", 2, cannot_be_had),
        (
            "ImagePullBackOff",
            "Back-off pulling image \"shop/api:2\": ErrImagePull: not found",
            "image_not_found",
            2,
            cannot_be_had,
        ),
        ("ErrImagePull", "dial tcp: i/o timeout", "image_unavailable", 1, not_now),
        ("ErrImagePull", "unexpected status code 503: Service Unavailable", "image_unavailable", 1, not_now),
        ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit", "image_unavailable", 1, not_now),
        ("ErrImagePull", "lookup reg.example: no such host", "image_unavailable", 1, not_now),
        ("ErrImagePull", "pull QPS exceeded", "image_unavailable", 1, not_now),
        // A 404 of the token service behind a proxy that times out: the passing cause wins.
        ("ErrImagePull", "not found: 504: context deadline exceeded", "image_unavailable", 1, not_now),
        ("ImagePullBackOff", "Back-off pulling image \"shop/api:2\"", "image_unavailable", 2, not_now),
    ] {
        let expected = format!("{kind} {count} pod p container api: {begin}{message}.");
        of_pod(&container("p", "new", waiting(reason, message)), &[], &[&expected]);
    }
    // Kubelets before 1.31 leave the cause to the event while they back off.
    let failed = event(["Pod", "p"], "Failed", "Failed to pull image \"shop/api:2\": manifest unknown", 3);
    of_pod(
        &container("p", "new", waiting("ImagePullBackOff", "Back-off pulling image \"shop/api:2\"")),
        &[failed],
        &[
            "image_not_found 3 pod p container api: Image shop/api:2 of container api (pod p) cannot be had: Failed to pull \
           image \"shop/api:2\": manifest unknown.",
        ],
    );
}

#[test]
fn names_of_images_do_not_tell_causes() {
    for (image, message, kind) in [
        (
            "reg:5000/timeout:not-found",
            "rpc error: failed to pull \"reg:5000/timeout:not-found\": manifest unknown",
            "image_not_found",
        ),
        ("shop/denied:1", "failed to pull image \"docker.io/shop/denied:1\": unexpected EOF", "image_unavailable"),
        (
            "shop/denied@sha256:1",
            "failed to pull image \"docker.io/shop/denied@sha256:1\": unknown cause",
            "image_unavailable",
        ),
    ] {
        let at = json!({"spec": {"containers": [{"name": "api", "image": image}]}});
        let pod = with(container("p", "new", waiting("ErrImagePull", message)), at);
        assert_eq!(symptoms(&pod, &Children::default(), now())[0].kind.word(), kind, "{image}");
    }
}

#[test]
fn containers_that_cannot_be_made_or_started() {
    let object = "pod p container api: Container api of pod p";
    of_pod(
        &container("p", "new", waiting("CreateContainerConfigError", "secret \"db\" not found")),
        &[],
        &[&format!("config_error 1 {object} cannot be made: secret \"db\" not found.")],
    );
    of_pod(
        &container("p", "new", waiting("CreateContainerError", "no command specified")),
        &[],
        &[&format!("config_error 1 {object} cannot be made: no command specified.")],
    );
    for passing in ["failed to sync secret cache: timed out waiting for the condition", "context deadline exceeded"] {
        of_pod(&container("p", "new", waiting("CreateContainerConfigError", passing)), &[], &NOTHING);
    }
    of_pod(
        &container("p", "new", with(waiting("RunContainerError", "exec format error"), json!({"restartCount": 1}))),
        &[],
        &[&format!("run_container_error 2 {object} cannot be started: exec format error.")],
    );
}

fn unscheduled(message: &str) -> Json {
    pod(
        "p",
        "new",
        json!({"spec": {"nodeName": ""}, "status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        }]}}),
    )
}

#[test]
fn pods_that_no_node_takes() {
    for (message, kind, begin) in [
        (
            "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found",
            "no_room",
            "No node has room for pod p now",
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling",
            "unschedulable",
            "No node can take pod p",
        ),
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 2 node(s) didn't match Pod's node affinity/selector",
            "unschedulable",
            "No node can take pod p",
        ),
        (
            "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {gpu: true}",
            "no_room",
            "No node has room for pod p now",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
            "no_room",
            "No node has room for pod p now",
        ),
        (
            "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules",
            "no_room",
            "No node has room for pod p now",
        ),
        ("0/2 nodes are available: 2 node(s) were unschedulable", "no_room", "No node has room for pod p now"),
        (
            "0/1 nodes are available: persistentvolumeclaim \"data\" not found. not found",
            "unschedulable",
            "No node can take pod p",
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims",
            "volume_slow",
            "Pod p waits for its volume",
        ),
        ("no nodes available to schedule pods", "no_room", "No node has room for pod p now"),
    ] {
        of_pod(&unscheduled(message), &[], &[&format!("{kind} 1 pod p: {begin}: {message}.")]);
    }
    let coming = event(["Pod", "p"], "TriggeredScaleUp", "pod triggered scale-up: [{gpu 0->1 (max: 3)}]", 1);
    of_pod(
        &unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector"),
        &[coming],
        &[
            "scaling_up 1 pod p: Pod p waits for a node that is being made: pod triggered scale-up: [{gpu 0->1 (max: 3)}].",
        ],
    );
}

#[test]
fn claims_say_why_they_have_no_volume() {
    let volumes = json!({"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}});
    let pods =
        [with(unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."), volumes)];
    let pvcs = [
        json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "data", "uid": "data"}, "status": {"phase": "Pending"}}),
    ];
    let events = [event(["PersistentVolumeClaim", "data"], "ProvisioningFailed", "storageclass \"fast\" not found", 4)];
    let sets = [replica_set("new", "2", "shop/api:2")];
    let children = Children { replica_sets: &sets, pods: &pods, events: &events, pvcs: &pvcs };
    assert_eq!(
        said(&deployment("shop/api:2"), &children),
        ["volume_slow 1 pod p: Pod p waits for its volume: 0/1 nodes are available: pod has unbound immediate \
         PersistentVolumeClaims; claim data: storageclass \"fast\" not found."]
    );
}

#[test]
fn pods_that_are_not_made() {
    let quota = "pods \"web-1\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
    let refused = |message: &str| {
        let set = replica_set("new", "2", "shop/api:2");
        [with(
            set,
            json!({"status": {"conditions": [{
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message,
                "lastTransitionTime": "2026-11-22T09:00:00Z",
            }]}}),
        )]
    };
    for (message, kind, says) in [
        (quota, "quota_exceeded", "pods, a quota is exhausted"),
        ("admission webhook \"p.example\" denied the request: no", "admission_denied", "pods, they are not admitted"),
        (
            "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": x",
            "admission_denied",
            "pods, they are not admitted",
        ),
        ("Internal error occurred: failed calling webhook \"p\": connection refused", "create_failing", "pods"),
        (
            "pods \"a\" is forbidden: error looking up service account shop/web: serviceaccount \"web\" not found",
            "config_error",
            "pods",
        ),
    ] {
        let sets = refused(message);
        let children = Children { replica_sets: &sets, ..Children::default() };
        let expected = format!("{kind} 1 ReplicaSet web-new: ReplicaSet web-new cannot make {says}: {message}.");
        assert_eq!(said(&deployment("shop/api:2"), &children), [expected]);
    }
    // StatefulSets, DaemonSets and Jobs have no such condition: the event counts while it is fresh and pods are missing.
    let set = |replicas: i64| {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "db", "generation": 1},
               "spec": {"replicas": 2}, "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas}})
    };
    let expected =
        [format!("quota_exceeded 5 StatefulSet db: StatefulSet db cannot make pods, a quota is exhausted: {quota}.")];
    let fresh = [event(["StatefulSet", "db"], "FailedCreate", quota, 5)];
    let stale = [with(
        fresh[0].clone(),
        json!({"lastTimestamp": "2026-11-22T08:59:20Z", "firstTimestamp": "2026-11-22T08:59:00Z"}),
    )];
    let newer = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "reason": "FailedCreate", "note": quota,
        "regarding": {"kind": "StatefulSet", "name": "db"}, "eventTime": "2026-11-22T09:00:00.000000Z",
        "series": {"count": 5, "lastObservedTime": "2026-11-22T09:00:29.000000Z"}});
    for (replicas, events, expected) in
        [(1, &fresh, &expected[..]), (2, &fresh, &[]), (1, &stale, &[]), (1, &[newer], &expected[..])]
    {
        let children = Children { events, ..Children::default() };
        assert_eq!(said(&set(replicas), &children), expected);
    }
}

#[test]
fn jobs_count_their_attempts() {
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "mig", "uid": "mig"},
        "spec": {"backoffLimit": 3, "parallelism": 1}, "status": {"failed": 2, "active": 1}});
    let status = with(
        waiting("CrashLoopBackOff", ""),
        json!({"restartCount": 1, "lastState": {"terminated": {"exitCode": 7, "reason": "Error"}}}),
    );
    let pods = [
        with(container("m1", "mig", status), json!({"spec": {"restartPolicy": "OnFailure"}})),
        pod("m2", "mig", json!({"status": {"phase": "Failed", "reason": "Evicted"}})),
    ];
    let children = Children { pods: &pods, ..Children::default() };
    assert_eq!(
        said(&job, &children),
        [
            "job_failing 2 job mig: 2 attempts of job mig failed; it gives up after 4 failed attempts.",
            "job_failing 2 pod m1 container api: Container api of pod m1 has ended 2 times, the last time with exit code 7.",
        ]
    );
}

#[test]
fn probes_explain_what_runs_and_is_not_ready() {
    let running = || container("p", "new", json!({"state": {"running": {}}}));
    let probe = event(["Pod", "p"], "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500", 4);
    of_pod(
        &running(),
        std::slice::from_ref(&probe),
        &[
            "probe_failing 4 pod p container api: In pod p container api: Readiness probe failed: HTTP probe failed with \
           statuscode: 500.",
        ],
    );
    let old =
        with(probe.clone(), json!({"lastTimestamp": "2026-11-22T08:50:00Z", "firstTimestamp": "2026-11-22T08:50:00Z"}));
    of_pod(&running(), &[old], &NOTHING);
    of_pod(&ready("p", "new"), &[probe], &NOTHING);
}

#[test]
fn volumes_that_cannot_be_mounted() {
    let creating = || container("p", "new", waiting("ContainerCreating", ""));
    let missing = "MountVolume.SetUp failed for volume \"cfg\" : configmap \"web\" not found";
    let taken = "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) web-old";
    let said = |kind: &str, message: &str| format!("{kind} 3 pod p: A volume of pod p cannot be mounted: {message}.");
    of_pod(&creating(), &[event(["Pod", "p"], "FailedMount", missing, 3)], &[&said("volume_problem", missing)]);
    of_pod(&creating(), &[event(["Pod", "p"], "FailedAttachVolume", taken, 3)], &[&said("volume_slow", taken)]);
    let cache = "MountVolume.SetUp failed for volume \"t\" : failed to sync secret cache: timed out, secret not found";
    of_pod(&creating(), &[event(["Pod", "p"], "FailedMount", cache, 3)], &[&said("volume_slow", cache)]);
    let started = container("p", "new", json!({"state": {"running": {}}}));
    of_pod(&started, &[event(["Pod", "p"], "FailedMount", missing, 3)], &NOTHING);
}

#[test]
fn pods_that_end_as_a_whole_are_counted_together() {
    let evicted = |name: &str| {
        pod(
            name,
            "new",
            json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}}),
        )
    };
    let sets = [replica_set("new", "2", "shop/api:2")];
    let pods = [evicted("a"), evicted("b"), ready("c", "new")];
    let children = Children { replica_sets: &sets, pods: &pods, ..Children::default() };
    assert_eq!(
        said(&deployment("shop/api:2"), &children),
        ["evicted 2 pods: 2 pods of the new version ended as a whole (Evicted): The node was low on resource: memory."]
    );
    assert!(symptoms(&deployment("shop/api:2"), &children, now())[0].peers_ready);
}

#[test]
fn the_surest_comes_first_and_peers_are_known() {
    let sets = [replica_set("new", "2", "shop/api:2")];
    let pods = [
        unscheduled("0/3 nodes are available: 3 Insufficient cpu."),
        container("q", "new", waiting("ErrImagePull", "manifest unknown")),
        ready("r", "new"),
    ];
    let children = |pods: &'static [Json]| pods;
    let pods: &'static [Json] = children(Box::leak(Box::new(pods)));
    let all =
        symptoms(&deployment("shop/api:2"), &Children { replica_sets: &sets, pods, ..Children::default() }, now());
    let shown: Vec<_> = all.iter().map(|s| (s.kind.word(), s.peers_ready)).collect();
    assert_eq!(shown, [("image_not_found", true), ("no_room", true)]);
    let all = symptoms(
        &deployment("shop/api:2"),
        &Children { replica_sets: &sets, pods: &pods[..2], ..Children::default() },
        now(),
    );
    assert!(all.iter().all(|s| !s.peers_ready));
}

#[test]
fn progress_is_one_line() {
    let sets = [replica_set("old", "1", "shop/api:1"), replica_set("new", "2", "shop/api:2")];
    let creating = |name: &str| container(name, "new", waiting("ContainerCreating", ""));
    let line =
        |object: &Json, pods: &[Json]| progress(object, &Children { replica_sets: &sets, pods, ..Children::default() });
    let web = deployment("shop/api:2");
    assert_eq!(
        line(&web, &[ready("a", "new"), ready("b", "new"), creating("c"), ready("o", "old")]),
        "2 of 3 new replicas are ready, 1 old is still serving; c is waiting: ContainerCreating"
    );
    let done = with(web.clone(), json!({"status": {"replicas": 3}}));
    assert_eq!(
        line(&done, &[ready("a", "new"), ready("b", "new"), ready("c", "new")]),
        "3 of 3 new replicas are ready"
    );
    assert_eq!(
        line(&done, &[ready("a", "new"), unscheduled("x"), creating("z")]),
        "1 of 3 new replicas is ready; p is waiting for a node, and 1 more"
    );
    let unseen = with(deployment("shop/api:3"), json!({"status": {"observedGeneration": 1, "updatedReplicas": 4}}));
    assert_eq!(line(&unseen, &[]), "0 of 3 new replicas are ready, 4 old are still serving");
    let running = container("p", "new", json!({"state": {"running": {}}}));
    assert_eq!(line(&done, &[running]), "0 of 3 new replicas are ready; p runs, and container api is not ready");
    let between = container("p", "new", json!({"state": {"terminated": {"exitCode": 1}}}));
    assert_eq!(line(&done, &[between]), "0 of 3 new replicas are ready; p is between two starts");
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"uid": "j"}, "spec": {"completions": 2},
                     "status": {"active": 1, "failed": 1}});
    assert_eq!(line(&job, &[]), "0 of 2 done, 1 active, 1 failed");
    let daemon = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"uid": "x"}, "status": {
        "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 0}});
    assert_eq!(line(&daemon, &[]), "0 of 1 new pod is ready, 1 old is still serving");
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"uid": "x"},
        "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
        "status": {"replicas": 3, "updatedReplicas": 1}});
    assert_eq!(line(&set, &[]), "0 of 2 new replicas are ready, 2 old are still serving");
    assert_eq!(line(&json!({"kind": "ConfigMap"}), &[]), "");
}

#[test]
fn what_is_watched() {
    let with_pods = |selector: &str, replica_sets: bool| Watched {
        label_selector: Some(selector.into()),
        replica_sets,
        pods: true,
        events: true,
    };
    let object = |api: &str, kind: &str, spec: Json| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    let selector = json!({"selector": {"matchLabels": {"app": "web", "tier": "a"}, "matchExpressions": [
        {"key": "k", "operator": "In", "values": ["1", "2"]}, {"key": "l", "operator": "NotIn", "values": ["3"]},
        {"key": "m", "operator": "Exists"}, {"key": "n", "operator": "DoesNotExist"}]}});
    assert_eq!(
        watched(&object("apps/v1", "Deployment", selector)),
        with_pods("app=web,tier=a,k in (1,2),l notin (3),m,!n", true)
    );
    let simple = json!({"selector": {"matchLabels": {"app": "web"}}});
    for kind in ["StatefulSet", "DaemonSet", "ReplicaSet"] {
        assert_eq!(watched(&object("apps/v1", kind, simple.clone())), with_pods("app=web", false));
    }
    assert_eq!(watched(&object("batch/v1", "Job", json!({}))), with_pods("batch.kubernetes.io/job-name=x", false));
    assert_eq!(
        watched(&object("v1", "ReplicationController", json!({"selector": {"a": "b"}}))),
        with_pods("a=b", false)
    );
    let events = Watched { events: true, ..Watched::default() };
    assert_eq!(watched(&object("v1", "Pod", json!({}))), events);
    assert_eq!(watched(&object("v1", "Service", json!({"type": "LoadBalancer"}))), events);
    assert_eq!(watched(&object("v1", "Service", json!({"type": "ClusterIP"}))), Watched::default());
    assert_eq!(watched(&object("v1", "ConfigMap", json!({}))), Watched::default());
}

fn crashing(name: &str, restarts: i64) -> Json {
    let last = json!({"exitCode": 1, "reason": "Error", "message": "panic: no database"});
    let status = with(
        waiting("CrashLoopBackOff", "back-off 10s restarting failed container"),
        json!({"restartCount": restarts, "lastState": {"terminated": last}}),
    );
    container(name, "new", status)
}

#[test]
fn logs_that_are_worth_fetching() {
    let sets = [replica_set("new", "2", "shop/api:2")];
    let plan = |pods: &[Json]| {
        evidence_plan(&deployment("shop/api:2"), &Children { replica_sets: &sets, pods, ..Children::default() })
    };
    let log = |pod: &str, previous| LogWanted { pod: pod.into(), container: "api".into(), previous };
    assert_eq!(plan(&[ready("a", "new"), crashing("b", 1)]), [log("b", true)]);
    assert_eq!(plan(&[container("b", "new", json!({"state": {"terminated": {"exitCode": 1}}}))]), [log("b", false)]);
    let again = json!({"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1});
    assert_eq!(plan(&[container("b", "new", again)]), [log("b", false), log("b", true)]);
    assert_eq!(plan(&[container("b", "new", waiting("ErrImagePull", "x"))]), []);
    // The two that ended most often.
    assert_eq!(plan(&[crashing("a", 1), crashing("b", 3), crashing("c", 2)]), [log("b", true), log("c", true)]);
}

#[test]
fn a_description_says_what_a_person_would_look_up() {
    let sets = [replica_set("new", "2", "shop/api:2")];
    let probed = json!({
        "spec": {"containers": [{"name": "api", "image": "shop/api:2", "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}]},
        "status": {"phase": "Running"},
    });
    let pods =
        [with(container("q", "new", json!({"state": {"running": {}}})), probed), crashing("p", 2), ready("r", "new")];
    let events = [
        event(["Pod", "q"], "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500", 4),
        event(["Pod", "r"], "Pulled", "of no interest", 1),
    ];
    let children = Children { replica_sets: &sets, pods: &pods, events: &events, pvcs: &[] };
    let object = with(
        deployment("shop/api:2"),
        json!({"status": {"conditions": [
        {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "Deployment does not have minimum availability."}]}}),
    );
    assert_eq!(
        describe(&object, &children),
        "\
Deployment web
  Available=False MinimumReplicasUnavailable: Deployment does not have minimum availability
pod p on n1: Pending
  container api: waiting, CrashLoopBackOff: back-off 10s restarting failed container, restarts: 2
    the run before ended with exit code 1: panic: no database
pod q on n1: Running
  container api: running, not ready
    readinessProbe: GET /healthz at port 8080
last events
  2026-11-22T09:00:20Z Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 500 (4 times)
"
    );
}

#[test]
fn a_description_is_bounded() {
    let sets = [replica_set("new", "2", "shop/api:2")];
    let long = "ä".repeat(5000);
    let pods: Vec<Json> = (0..9).map(|n| container(&format!("p{n}"), "new", waiting("ErrImagePull", &long))).collect();
    let events: Vec<Json> = (0..30).map(|n| event(["Pod", "p0"], &format!("R{n}"), &long, 1)).collect();
    let children = Children { replica_sets: &sets, pods: &pods, events: &events, pvcs: &[] };
    let text = describe(&deployment("shop/api:2"), &children);
    assert!(text.len() <= 4096, "{}", text.len());
    assert!(text.contains("and 4 more pods that are not ready\n"), "{text}");
    assert!(text.ends_with("\n…\n"), "{text}");
}

#[test]
fn nothing_that_a_server_answers_panics() {
    for junk in [
        json!(null),
        json!([1]),
        json!({"kind": "Pod", "status": {"containerStatuses": [1, {"state": "x"}]}}),
        json!({"kind": "Deployment", "apiVersion": "apps/v1", "status": {"replicas": -1}}),
    ] {
        let all = std::slice::from_ref(&junk);
        let children = Children { replica_sets: all, pods: all, events: all, pvcs: all };
        let _ = (said(&junk, &children), progress(&junk, &children), describe(&junk, &children), watched(&junk));
        let _ = evidence_plan(&junk, &children);
    }
}

#[test]
fn daemon_sets_and_jobs_that_cannot_make_pods() {
    let events = [event(["X", "w"], "FailedCreate", "exceeded quota: q", 2)];
    let of = |api: &str, kind: &str, spec: Json, status: Json| {
        let object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "w", "uid": "w"}, "spec": spec, "status": status});
        symptoms(&object, &Children { events: &events, ..Children::default() }, now()).len()
    };
    let daemon = |current: i64, updated: i64| json!({"desiredNumberScheduled": 2, "currentNumberScheduled": current, "updatedNumberScheduled": updated});
    assert_eq!(of("apps/v1", "DaemonSet", json!({}), daemon(1, 2)), 1);
    assert_eq!(of("apps/v1", "DaemonSet", json!({}), daemon(2, 1)), 1);
    assert_eq!(of("apps/v1", "DaemonSet", json!({}), daemon(2, 2)), 0);
    let done = json!([{"type": "Complete", "status": "True"}]);
    assert_eq!(of("batch/v1", "Job", json!({"parallelism": 2}), json!({"active": 1})), 1);
    assert_eq!(of("batch/v1", "Job", json!({"parallelism": 2}), json!({"active": 2})), 0);
    assert_eq!(of("batch/v1", "Job", json!({"parallelism": 2}), json!({"active": 1, "conditions": done})), 0);
}

#[test]
fn what_else_a_container_may_say() {
    let last = json!({"exitCode": 127, "reason": "ContainerCannotRun", "message": "no such file"});
    let status = with(waiting("CrashLoopBackOff", ""), json!({"restartCount": 1, "lastState": {"terminated": last}}));
    of_pod(
        &container("p", "new", status),
        &[],
        &["run_container_error 2 pod p container api: Container api of pod p cannot be started: no such file."],
    );
    let missing = "secret \"tls\" not found";
    let waits = pod(
        "p",
        "new",
        json!({"status": {"containerStatuses": [
        {"name": "api", "state": {"waiting": {"reason": "PodInitializing"}}}]}}),
    );
    of_pod(
        &waits,
        &[event(["Pod", "p"], "FailedMount", missing, 2)],
        &["volume_problem 2 pod p: A volume of pod p cannot be mounted: secret \"tls\" not found."],
    );
    // Without a policy in the object, the default: it is started again however it ended.
    let ended = container("p", "new", json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}));
    let bare = with(ended.clone(), json!({"spec": {"restartPolicy": null}}));
    of_pod(&bare, &[], &["crash_loop 1 pod p container api: Container api of pod p has ended with exit code 0."]);
    of_pod(&with(ended, json!({"spec": {"restartPolicy": "OnFailure"}})), &[], &NOTHING);
    // Another container is the one that is not ready.
    let two = pod(
        "p",
        "new",
        json!({"status": {"containerStatuses": [
        {"name": "api", "ready": true, "state": {"running": {}}}, {"name": "log", "ready": false, "state": {"running": {}}}]}}),
    );
    of_pod(&two, &[event(["Pod", "p"], "Unhealthy", "Readiness probe failed: x", 1)], &NOTHING);
}

//! Objects as API servers answer them, and what is said of each.

use serde_json::{Value as Json, json};

use super::{Rules, field_fault, readiness};
use crate::provider::Readiness;

const UNSEEN: &str = "The controller has not seen this change yet.";

/// An object of generation 2; `at` is laid over it, and a status without `observedGeneration` gets that of now.
fn object(api: &str, kind: &str, at: Json) -> Json {
    let mut object = json!({
        "apiVersion": api, "kind": kind,
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "generation": 2,
            "annotations": {"deployment.kubernetes.io/revision": "4"},
        },
        "spec": {}, "status": {"observedGeneration": 2},
    });
    merge(&mut object, at);
    object
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

/// "TYPE=STATUS REASON MESSAGE…".
fn conditions(all: &[&str]) -> Json {
    let one = |text: &&str| {
        let (ty, rest) = text.split_once('=').unwrap();
        let mut words = rest.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_default();
        json!({"type": ty, "status": next(), "reason": next(), "message": next()})
    };
    all.iter().map(one).collect()
}

/// "ready", or "pending: SENTENCE", or "failed: SENTENCE".
fn said(object: &Json, rules: &Rules) -> String {
    match readiness(object, rules) {
        Readiness::Ready => "ready".into(),
        Readiness::Pending(why) => format!("pending: {why}"),
        Readiness::Failed(why) => format!("failed: {why}"),
    }
}

#[track_caller]
fn table(api: &str, kind: &str, rows: &[(Json, &str)]) {
    for (at, expected) in rows {
        assert_eq!(said(&object(api, kind, at.clone()), &Rules::default()), *expected, "{kind} {at}");
    }
}

#[test]
fn a_status_of_an_earlier_generation_counts_for_nothing() {
    let unseen = format!("pending: {UNSEEN}");
    let full = json!({"spec": {"replicas": 1}, "status": {
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        "conditions": conditions(&["Available=True MinimumReplicasAvailable x", "Ready=True"]),
    }});
    for (api, kind) in [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("policy/v1", "PodDisruptionBudget"),
        ("cert-manager.io/v1", "Certificate"),
    ] {
        table(api, kind, &[(full.clone(), &unseen)]);
        let rules = Rules { conditions: vec![("Available".into(), "True".into())], fields: Vec::new() };
        assert_eq!(said(&object(api, kind, full.clone()), &rules), unseen, "{kind} with rules");
    }
    // Nobody has looked at it at all.
    table("apps/v1", "Deployment", &[(json!({"status": null}), &unseen)]);
    table("policy/v1", "PodDisruptionBudget", &[(json!({"status": null}), &unseen)]);
    table("autoscaling/v2", "HorizontalPodAutoscaler", &[(json!({"status": null}), "ready")]);
}

#[test]
fn what_is_being_deleted_has_failed() {
    let at = json!({"metadata": {"deletionTimestamp": "2026-11-22T00:00:00Z"}, "status": {"observedGeneration": 1}});
    for (api, kind) in [("apps/v1", "Deployment"), ("v1", "ConfigMap"), ("v1", "Namespace")] {
        table(api, kind, &[(at.clone(), "failed: Somebody is deleting it.")]);
    }
    table(
        "v1",
        "Namespace",
        &[
            (json!({"status": {"phase": "Active"}}), "ready"),
            (json!({"status": {"phase": "Terminating"}}), "failed: Somebody is deleting it."),
        ],
    );
}

/// A Deployment's numbers: wanted, then replicas, updated, available.
fn numbers(all: i64, [replicas, updated, available]: [i64; 3]) -> Json {
    json!({"spec": {"replicas": all}, "status": {
        "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available, "readyReplicas": available,
    }})
}

fn with(mut object: Json, at: Json) -> Json {
    merge(&mut object, at);
    object
}

#[test]
fn a_deployment_says_what_it_waits_for() {
    let fails = json!({"status": {"conditions": conditions(&[
        "Progressing=True ReplicaSetUpdated x",
        "ReplicaFailure=True FailedCreate pods \"web-1\" is forbidden: exceeded quota: q",
    ])}});
    table(
        "apps/v1",
        "Deployment",
        &[
            (numbers(3, [3, 3, 3]), "ready"),
            (numbers(0, [0, 0, 0]), "ready"),
            (json!({"status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}}), "ready"),
            (numbers(3, [0, 0, 0]), "pending: 0 of 3 replicas are updated."),
            (numbers(3, [4, 2, 3]), "pending: 2 of 3 replicas are updated."),
            (numbers(1, [1, 0, 1]), "pending: 0 of 1 replica is updated."),
            (numbers(3, [4, 3, 3]), "pending: The old ReplicaSet still has 1 replica."),
            (numbers(3, [5, 3, 3]), "pending: The old ReplicaSet still has 2 replicas."),
            (numbers(3, [3, 3, 1]), "pending: 1 of 3 replicas is available."),
            (numbers(2, [3, 3, 3]), "pending: 1 replica too many is still running."),
            (numbers(0, [3, 3, 3]), "pending: 3 replicas too many are still running."),
            (
                with(numbers(3, [3, 0, 3]), fails),
                "pending: 0 of 3 replicas are updated. Pods cannot be made: pods \"web-1\" is forbidden: exceeded quota: q.",
            ),
        ],
    );
}

#[test]
fn a_paused_deployment_has_failed_if_something_is_held_back() {
    let paused = |object: Json| with(object, json!({"spec": {"paused": true}}));
    let held = "failed: It is paused, and nothing is rolled out until somebody resumes it (kubectl rollout resume). \
                0 of 3 replicas are updated.";
    table(
        "apps/v1",
        "Deployment",
        &[
            (paused(numbers(3, [3, 3, 3])), "ready"),
            (paused(numbers(3, [3, 0, 3])), held),
            // It scales while paused, and loses pods and gets them back.
            (paused(numbers(3, [1, 1, 1])), "pending: 1 of 3 replicas is updated."),
            (paused(numbers(3, [3, 3, 2])), "pending: 2 of 3 replicas are available."),
            // Made paused: there is no ReplicaSet, and will be none.
            (with(paused(numbers(3, [0, 0, 0])), json!({"metadata": {"annotations": null}})), held),
        ],
    );
}

#[test]
fn a_passed_progress_deadline_is_a_failure_of_this_change_only() {
    let late = |changed: &str| {
        with(
            numbers(3, [4, 1, 3]),
            json!({
                "metadata": {"managedFields": [
                    {"manager": "gantry", "operation": "Apply", "time": changed, "fieldsV1": {"f:spec": {}}},
                    {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-11-22T09:00:00Z",
                     "fieldsV1": {"f:status": {}}},
                ]},
                "status": {"conditions": [{
                    "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                    "lastUpdateTime": "2026-11-22T08:10:00Z",
                    "message": "ReplicaSet \"web-6c9f\" has timed out progressing.",
                }]},
            }),
        )
    };
    let failed = "failed: Its progress deadline has passed: ReplicaSet \"web-6c9f\" has timed out progressing. \
                  1 of 3 replicas is updated.";
    table(
        "apps/v1",
        "Deployment",
        &[
            (late("2026-11-22T08:00:00Z"), failed),
            (with(late("2026-11-22T08:00:00Z"), json!({"metadata": {"managedFields": null}})), failed),
            (late("2026-11-22T08:30:00Z"), "pending: 1 of 3 replicas is updated."),
            (with(late("2026-11-22T08:00:00Z"), numbers(3, [3, 3, 3])), "ready"),
        ],
    );
}

#[test]
fn a_stateful_set_updates_from_the_last_to_the_partition() {
    let set = |replicas: i64, updated: i64, ready: i64, revisions: [&str; 2], strategy: Json| {
        json!({"spec": {"replicas": 3, "updateStrategy": strategy}, "status": {
            "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
            "currentRevision": revisions[0], "updateRevision": revisions[1],
        }})
    };
    let rolling = || json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
    let part = || json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    let by_hand = || json!({"type": "OnDelete"});
    table(
        "apps/v1",
        "StatefulSet",
        &[
            (set(3, 3, 3, ["b", "b"], rolling()), "ready"),
            (set(3, 1, 2, ["a", "b"], rolling()), "pending: 1 of 3 replicas is updated."),
            (set(3, 3, 2, ["a", "b"], rolling()), "pending: 2 of 3 replicas are ready."),
            (
                set(3, 3, 3, ["a", "b"], rolling()),
                "pending: The controller has not finished the update to the new revision yet.",
            ),
            (set(5, 3, 3, ["b", "b"], rolling()), "pending: 2 replicas too many are still running."),
            (
                set(3, 0, 3, ["a", "b"], part()),
                "pending: 0 of 1 replica is updated (pods below number 2 stay as they are, by partition).",
            ),
            (set(3, 1, 3, ["a", "b"], part()), "ready"),
            (set(3, 0, 3, ["a", "b"], by_hand()), "ready"),
            (set(3, 0, 1, ["a", "b"], by_hand()), "pending: 1 of 3 replicas is ready."),
            (
                with(
                    set(3, 3, 3, ["b", "b"], rolling()),
                    json!({"spec": {"minReadySeconds": 5}, "status": {"availableReplicas": 2}}),
                ),
                "pending: 2 of 3 replicas are available.",
            ),
        ],
    );
}

#[test]
fn daemon_sets_and_bare_replica_sets() {
    let daemon = |[all, updated, available]: [i64; 3], strategy: &str| {
        json!({"spec": {"updateStrategy": {"type": strategy}}, "status": {
            "desiredNumberScheduled": all, "updatedNumberScheduled": updated, "numberAvailable": available,
        }})
    };
    table(
        "apps/v1",
        "DaemonSet",
        &[
            (daemon([2, 2, 2], "RollingUpdate"), "ready"),
            (daemon([0, 0, 0], "RollingUpdate"), "ready"),
            (daemon([2, 1, 2], "RollingUpdate"), "pending: 1 of 2 pods is updated."),
            (daemon([2, 2, 1], "RollingUpdate"), "pending: 1 of 2 pods is available."),
            (daemon([2, 0, 2], "OnDelete"), "ready"),
            (daemon([2, 0, 0], "OnDelete"), "pending: 0 of 2 pods are available."),
        ],
    );
    let refused =
        json!({"status": {"conditions": conditions(&["ReplicaFailure=True FailedCreate exceeded quota: q"])}});
    for (api, kind) in [("apps/v1", "ReplicaSet"), ("v1", "ReplicationController")] {
        table(
            api,
            kind,
            &[
                (numbers(2, [2, 0, 2]), "ready"),
                (numbers(2, [2, 0, 1]), "pending: 1 of 2 replicas is available."),
                (numbers(1, [3, 0, 3]), "pending: 2 replicas too many are still running."),
                (
                    with(numbers(2, [0, 0, 0]), refused.clone()),
                    "pending: 0 of 2 replicas are available. Pods cannot be made: exceeded quota: q.",
                ),
            ],
        );
    }
}

#[test]
fn a_pod_says_which_container_it_waits_for() {
    let unscheduled = "PodScheduled=False Unschedulable 0/1 nodes are available: 1 Insufficient cpu.";
    let app = |state: Json, ready: bool| json!([{"name": "app", "ready": ready, "state": state}]);
    table(
        "v1",
        "Pod",
        &[
            (json!({"status": {"phase": "Succeeded"}}), "ready"),
            (json!({"status": {"phase": "Running", "conditions": conditions(&["Ready=True"])}}), "ready"),
            (json!({"status": null}), "pending: No node has taken the pod yet."),
            (json!({"status": {"phase": "Pending"}}), "pending: The pod is pending and not ready."),
            (
                json!({"status": {"phase": "Pending", "conditions": conditions(&[unscheduled])}}),
                "pending: The pod is not scheduled: 0/1 nodes are available: 1 Insufficient cpu.",
            ),
            (
                json!({"status": {"phase": "Pending", "containerStatuses":
                app(json!({"waiting": {"reason": "ContainerCreating"}}), false)}}),
                "pending: Container app is waiting: ContainerCreating.",
            ),
            (
                json!({"status": {"phase": "Running", "conditions": conditions(&["Ready=False ContainersNotReady"]),
                "containerStatuses": app(json!({"running": {}}), false)}}),
                "pending: Container app is running and not ready.",
            ),
            (
                json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}}),
                "failed: The pod has failed: Evicted: The node was low on resource: memory.",
            ),
            (
                json!({"status": {"phase": "Failed", "containerStatuses": app(json!({"terminated": {"exitCode": 3}}), false)}}),
                "failed: The pod has failed: container app ended with exit code 3.",
            ),
            (json!({"status": {"phase": "Failed"}}), "failed: The pod has failed: it gives no reason."),
        ],
    );
}

#[test]
fn jobs_end_well_or_badly_or_are_suspended() {
    let job = |all: &[&str]| json!({"status": {"conditions": conditions(all)}});
    table(
        "batch/v1",
        "Job",
        &[
            (job(&["SuccessCriteriaMet=True CompletionsReached", "Complete=True"]), "ready"),
            (job(&["SuccessCriteriaMet=True CompletionsReached"]), "ready"),
            (
                job(&["FailureTarget=True BackoffLimitExceeded Job has reached the specified backoff limit"]),
                "failed: The job has failed (BackoffLimitExceeded): Job has reached the specified backoff limit.",
            ),
            (
                job(&["Failed=True DeadlineExceeded Job was active longer than specified deadline"]),
                "failed: The job has failed (DeadlineExceeded): Job was active longer than specified deadline.",
            ),
            (job(&["Failed=True"]), "failed: The job has failed."),
            (with(job(&["Suspended=True JobSuspended"]), json!({"spec": {"suspend": true}})), "ready"),
            (
                with(job(&["Failed=True PodFailurePolicy c failed"]), json!({"spec": {"suspend": true}})),
                "failed: The job has failed (PodFailurePolicy): c failed.",
            ),
            (
                json!({"spec": {"completions": 3}, "status": {"active": 2, "succeeded": 1, "failed": 1}}),
                "pending: 1 of 3 completions is done, 2 pods active, 1 pod failed.",
            ),
            (json!({"spec": {"completions": 1}}), "pending: 0 of 1 completion is done, 0 pods active."),
            (json!({"status": {"active": 1}}), "pending: 0 completions so far, 1 pod active."),
        ],
    );
    table("batch.volcano.sh/v1alpha1", "Job", &[(json!({}), "ready")]);
    table("batch/v1", "CronJob", &[(json!({}), "ready")]);
}

#[test]
fn a_load_balancer_needs_an_address() {
    let lb =
        |entries: Json| json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": entries}}});
    let none = "pending: The load balancer has no address yet.";
    table(
        "v1",
        "Service",
        &[
            (lb(json!([{"ip": "192.0.2.1"}])), "ready"),
            (lb(json!([{"hostname": "a.elb.example"}])), "ready"),
            (lb(json!([{}])), none),
            (json!({"spec": {"type": "LoadBalancer"}}), none),
            (json!({"spec": {"type": "ClusterIP"}}), "ready"),
            (json!({"spec": {"type": "ExternalName"}}), "ready"),
        ],
    );
    table(
        "serving.knative.dev/v1",
        "Service",
        &[(
            json!({"spec": {"type": "LoadBalancer"}, "status": {"conditions": conditions(&["Ready=Unknown RevisionMissing"])}}),
            "pending: Its condition Ready is Unknown: RevisionMissing.",
        )],
    );
    table("networking.k8s.io/v1", "Ingress", &[(json!({}), "ready")]);
}

#[test]
fn gateways_and_routes_are_accepted_in_this_generation() {
    let api = "gateway.networking.k8s.io/v1";
    let at = |ty: &str, status: &str, seen: i64| json!({"type": ty, "status": status, "observedGeneration": seen, "reason": "R", "message": "m."});
    let gateway = |all: Json| json!({"status": {"observedGeneration": null, "conditions": all}});
    table(
        api,
        "Gateway",
        &[
            (gateway(json!([at("Accepted", "True", 2), at("Programmed", "True", 2)])), "ready"),
            (gateway(json!([at("Accepted", "True", 2)])), "pending: It has no condition Programmed yet."),
            (
                gateway(json!([at("Accepted", "True", 1), at("Programmed", "True", 2)])),
                "pending: The controller has not seen this change yet.",
            ),
            (
                gateway(json!([at("Accepted", "False", 2), at("Programmed", "True", 2)])),
                "pending: Its condition Accepted is False: m.",
            ),
        ],
    );
    let route = |parents: Json| {
        json!({"spec": {"parentRefs": [{"name": "edge", "namespace": "infra"}, {"name": "own", "sectionName": "https"}]},
               "status": {"parents": parents}})
    };
    let answer = |reference: Json, refs: &str| {
        json!({"parentRef": reference, "controllerName": "c",
               "conditions": [at("Accepted", "True", 2), at("ResolvedRefs", refs, 2)]})
    };
    let edge = || json!({"name": "edge", "namespace": "infra"});
    let own = || json!({"name": "own", "namespace": "shop", "sectionName": "https"});
    for kind in ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"] {
        table(
            api,
            kind,
            &[
                (route(json!([answer(edge(), "True"), answer(own(), "True")])), "ready"),
                (route(json!([answer(edge(), "True")])), "pending: Gateway own has not answered yet."),
                (
                    route(json!([answer(edge(), "True"), answer(own(), "False")])),
                    "pending: At gateway own: Its condition ResolvedRefs is False: m.",
                ),
                (
                    route(json!([answer(edge(), "True"), answer(json!({"name": "own"}), "True")])),
                    "pending: Gateway own has not answered yet.",
                ),
            ],
        );
    }
}

#[test]
fn claims_autoscalers_and_budgets() {
    let phase = |phase: &str| json!({"spec": {"volumeName": "pv-7"}, "status": {"phase": phase}});
    table(
        "v1",
        "PersistentVolumeClaim",
        &[
            (phase("Bound"), "ready"),
            (phase("Pending"), "ready"),
            (phase("Lost"), "failed: The claim has lost its volume pv-7."),
        ],
    );
    let with = |all: &[&str]| json!({"status": {"conditions": conditions(all)}});
    table(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        &[
            (with(&["AbleToScale=True", "ScalingActive=True"]), "ready"),
            (with(&["AbleToScale=True", "ScalingActive=False FailedGetResourceMetric no metrics returned"]), "ready"),
            (with(&["AbleToScale=True", "ScalingActive=False ScalingDisabled"]), "ready"),
            (
                with(&["AbleToScale=False FailedGetScale deployments.apps \"web\" not found"]),
                "pending: It cannot scale its target: deployments.apps \"web\" not found.",
            ),
            (
                with(&["ScalingActive=False InvalidSelector the HPA target's scale is missing a selector"]),
                "pending: It does not scale: the HPA target's scale is missing a selector.",
            ),
        ],
    );
    table(
        "policy/v1",
        "PodDisruptionBudget",
        &[
            (with(&["DisruptionAllowed=False InsufficientPods"]), "ready"),
            (
                with(&["DisruptionAllowed=False SyncFailed found no controllers for pod \"a\""]),
                "pending: Its pods cannot be counted: found no controllers for pod \"a\".",
            ),
        ],
    );
}

#[test]
fn definitions_and_api_services() {
    let with = |all: &[&str]| json!({"status": {"conditions": conditions(all)}});
    table(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &[
            (with(&["NamesAccepted=True", "Established=True"]), "ready"),
            (
                with(&["NamesAccepted=True", "Established=False Installing"]),
                "pending: The API server does not serve it yet.",
            ),
            (json!({}), "pending: The API server does not serve it yet."),
            (
                with(&["NamesAccepted=False ListKindConflict \"TList\" is already in use", "Established=False"]),
                "failed: Its names are not accepted: \"TList\" is already in use.",
            ),
        ],
    );
    table(
        "apiregistration.k8s.io/v1",
        "APIService",
        &[
            (with(&["Available=True Local"]), "ready"),
            (
                with(&["Available=False ServiceNotFound service/metrics in \"kube-system\" is not present"]),
                "pending: Its API is not available: service/metrics in \"kube-system\" is not present.",
            ),
            (json!({}), "pending: The API server has not asked it yet."),
        ],
    );
}

#[test]
fn other_kinds_follow_the_conventions() {
    let with = |all: &[&str]| json!({"status": {"conditions": conditions(all)}});
    table(
        "example.com/v1",
        "Database",
        &[
            (json!({"status": null}), "ready"),
            (json!({"status": {"observedGeneration": null, "phase": "x"}}), "ready"),
            (with(&["Ready=True"]), "ready"),
            (with(&["Ready=True", "Available=False Rolling"]), "ready"),
            (with(&["Ready=False Pulling image"]), "pending: Its condition Ready is False: image."),
            (with(&["Available=False"]), "pending: Its condition Available is False: it gives no reason."),
            (
                with(&["Ready=False", "Reconciling=True Progressing step 2"]),
                "pending: Its controller is at it: step 2.",
            ),
            (
                with(&["Stalled=True Invalid bad size", "Reconciling=True"]),
                "failed: Its condition Stalled is True: bad size.",
            ),
            (with(&["Failed=True Broken"]), "failed: Its condition Failed is True: Broken."),
            (with(&["Stalled=False", "Failed=False", "Reconciling=False"]), "ready"),
            (
                json!({"status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}}),
                "pending: The controller has not seen this change yet.",
            ),
            (
                json!({"status": {"conditions": [{"type": "Stalled", "status": "True", "observedGeneration": 1}]}}),
                "ready",
            ),
        ],
    );
}

fn rules(conditions: &[(&str, &str)], fields: &[(&str, &str)]) -> Rules {
    let own = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    Rules { conditions: own(conditions), fields: own(fields) }
}

#[test]
fn rules_of_ones_own_replace_the_kind_s() {
    let lb = object(
        "v1",
        "Service",
        json!({
            "metadata": {"annotations": {"example.com/state": "done"}},
            "spec": {"type": "LoadBalancer"},
            "status": {"phase": "Running", "n": 3, "empty": "", "loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]},
                       "conditions": conditions(&["Synced=True", "Broken=False Fine"])},
        }),
    );
    for (own, expected) in [
        (rules(&[("Synced", "True"), ("Broken", "False")], &[("status.phase", "Running")]), "ready"),
        (rules(&[("Synced", "False")], &[]), "pending: Its condition Synced is True."),
        (rules(&[("Broken", "True")], &[]), "pending: Its condition Broken is False: Fine."),
        (rules(&[("Other", "True")], &[]), "pending: It has no condition Other yet."),
        (rules(&[], &[("status.phase", "Running|Succeeded")]), "ready"),
        (rules(&[], &[("status.phase", "Run")]), "pending: Its field status.phase is \"Running\", not \"Run\"."),
        (rules(&[], &[("status.loadBalancer.ingress[0].ip", "*")]), "ready"),
        (rules(&[], &[("{.status.loadBalancer.ingress[0].ip}", "10.0.0.1")]), "ready"),
        (
            rules(&[], &[("status.loadBalancer.ingress[1].ip", "*")]),
            "pending: Its field status.loadBalancer.ingress[1].ip is not there yet.",
        ),
        (rules(&[], &[("status.empty", "*")]), "pending: Its field status.empty is not there yet."),
        (rules(&[], &[("status.n", "3")]), "ready"),
        (rules(&[], &[("$.status.n", "[4-9]")]), "pending: Its field $.status.n is \"3\", not \"[4-9]\"."),
        (rules(&[], &[("metadata.annotations[\"example.com/state\"]", "done")]), "ready"),
        (rules(&[("Synced", "True")], &[("status.gone", "x")]), "pending: Its field status.gone is not there yet."),
    ] {
        assert_eq!(said(&lb, &own), expected, "{own:?}");
    }
    let waiting = object("v1", "Service", json!({"spec": {"type": "LoadBalancer"}, "status": {"a": "b"}}));
    assert_eq!(said(&waiting, &rules(&[], &[("status.a", "b")])), "ready");
}

#[test]
fn paths_of_fields_are_checked() {
    for good in ["status", ".status.phase", "a[0][1].b", "{.a}", "$.a", "a['b.c'].d", "status.conditions[0].type"] {
        assert_eq!(field_fault(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", "it names nothing"),
        ("{}", "it names nothing"),
        ("a..b", "a name is empty"),
        ("a.", "it ends with a dot"),
        ("a[*]", "in brackets stands an index from 0, or a name in quotes"),
        ("a[-1]", "in brackets stands an index from 0, or a name in quotes"),
        ("a[0", "a bracket is not closed"),
        ("a['b]", "a quote is not closed"),
        ("a['']", "a name is empty"),
        ("a[0]b", "after a bracket there is a dot, another bracket or the end"),
        ("a.*", "only plain names are taken, no filters or wildcards"),
        (&"a.".repeat(40), "it has too many steps"),
    ] {
        assert_eq!(
            field_fault(bad),
            Err(format!(
                "\"{bad}\" is no path of a field: {why}. Write names with dots and indices in brackets, as in \
                 \"status.phase\" or \"status.loadBalancer.ingress[0].ip\"."
            ))
        );
    }
}

#[test]
fn nothing_that_a_server_answers_panics() {
    let odd = [json!(null), json!([]), json!("x"), json!({"status": "x", "metadata": 3, "spec": []})];
    for object in &odd {
        assert_eq!(said(object, &Rules::default()), "ready");
        assert!(said(object, &rules(&[("A", "True")], &[("a.b[0]", "*")])).starts_with("pending"));
    }
    let kinds = [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("v1", "Pod"), ("batch/v1", "Job")];
    for (api, kind) in kinds {
        for junk in
            [json!({"status": [1], "spec": "x"}), json!({"spec": {"replicas": "two"}, "status": {"replicas": -3}})]
        {
            let _ = said(&object(api, kind, junk), &Rules::default());
        }
    }
}

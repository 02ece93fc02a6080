//! Everything that is no workload: addresses, volumes, counts, accounts, and what is to go.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Client, Error};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::kubelet::NODE;
use super::workloads::event;
use super::world::{count, is_going, is_ready, key, label, list, settle, status_patch, text, uid};
use super::{Core, Op};

pub(super) fn plan(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    if core.world.get("Node", "", NODE).is_none() {
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}});
        ops.push(Op::Create { kind: "Node", namespace: String::new(), object, maker: "node".into() });
    }
    namespaces(core, ops);
    services(core, now, ops);
    claims(core, ops);
    budgets(core, ops);
    autoscalers(core, ops);
    collect(core, now, ops);
    refusals(core, now, ops);
}

fn namespaces(core: &mut Core, ops: &mut Vec<Op>) {
    for one in core.world.all("Namespace") {
        let name = text(&one, "/metadata/name").to_owned();
        if is_going(&one) {
            ops.push(Op::Finalize { name });
        } else if core.world.get("ServiceAccount", &name, "default").is_none() {
            let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
            ops.push(Op::Create {
                kind: "ServiceAccount",
                namespace: name.clone(),
                object,
                maker: uid(&one).to_owned(),
            });
        }
    }
}

/// Deletes all that is in a namespace; when nothing is left, lets it go. An error means: not yet, ask again.
pub(super) async fn finalize(client: Client, name: &str) -> Result<(), Error> {
    let found = Discovery::new(client.clone()).run().await?;
    let mut left = 0;
    for group in found.groups() {
        for (resource, can) in group.recommended_resources() {
            if can.scope != Scope::Namespaced
                || !can.supports_operation(verbs::LIST)
                || !can.supports_operation(verbs::DELETE)
            {
                continue;
            }
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), name, &resource);
            for object in api.list(&ListParams::default()).await? {
                left += 1;
                let own = object.metadata.name.unwrap_or_default();
                if object.metadata.deletion_timestamp.is_none() {
                    drop(api.delete(&own, &DeleteParams::background()).await);
                }
            }
        }
    }
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client);
    if left > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        return Err(Error::Service(format!("{left} objects are left in {name}").into()));
    }
    let mut namespace = serde_json::to_value(api.get(name).await?).map_err(Error::SerdeError)?;
    namespace["apiVersion"] = "v1".into();
    namespace["kind"] = "Namespace".into();
    namespace["spec"]["finalizers"] = json!([]);
    api.replace_subresource("finalize", name, &PostParams::default(), &namespace).await.map(drop)
}

fn services(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    let Some(wait) = core.fates.load_balancer else { return };
    for one in core.world.all("Service") {
        let wants = text(&one, "/spec/type") == "LoadBalancer" && !is_going(&one);
        if !wants || !list(&one, "/status/loadBalancer/ingress").is_empty() {
            continue;
        }
        let since = core.clocks.entry(format!("balancer {}", uid(&one))).or_insert((String::new(), now)).1;
        if since + wait > now {
            core.wake(since + wait);
            continue;
        }
        let patch = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.80", "ipMode": "VIP"}]}}});
        ops.push(Op::Patch { key: key(&one), sub: Some("status"), patch });
    }
}

fn claims(core: &mut Core, ops: &mut Vec<Op>) {
    if !core.fates.bind_claims {
        return;
    }
    for one in core.world.all("PersistentVolumeClaim").iter().filter(|one| !is_going(one)) {
        if text(one, "/status/phase") == "Bound" {
            continue;
        }
        if text(one, "/spec/volumeName").is_empty() {
            let patch = json!({
                "spec": {"volumeName": format!("pvc-{}", uid(one))},
                "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}},
            });
            ops.push(Op::Patch { key: key(one), sub: None, patch });
        } else {
            let size = &one["spec"]["resources"]["requests"]["storage"];
            let patch = json!({"status": {"phase": "Bound", "accessModes": one["spec"]["accessModes"], "capacity": {"storage": size}}});
            ops.push(Op::Patch { key: key(one), sub: Some("status"), patch });
        }
    }
}

/// Whether a selector of labels takes a pod; the plain half of it is enough here.
fn selects(budget: &Json, pod: &Json) -> bool {
    let wanted = budget.pointer("/spec/selector/matchLabels").and_then(Json::as_object);
    budget["metadata"]["namespace"] == pod["metadata"]["namespace"]
        && wanted
            .is_some_and(|all| all.iter().all(|(name, value)| label(pod, name) == value.as_str().unwrap_or_default()))
}

fn budgets(core: &mut Core, ops: &mut Vec<Op>) {
    for one in core.world.all("PodDisruptionBudget").iter().filter(|one| !is_going(one)) {
        let pods: Vec<&Json> = core.world.of("Pod").filter(|pod| selects(one, pod)).collect();
        let all = i64::try_from(pods.len()).unwrap_or(0);
        let healthy = i64::try_from(pods.iter().filter(|pod| is_ready(pod)).count()).unwrap_or(0);
        let part = |value: &Json| match value.as_str() {
            Some(text) => text.trim_end_matches('%').parse::<i64>().ok().map(|percent| (all * percent + 99) / 100),
            None => value.as_i64(),
        };
        let least = match part(&one["spec"]["maxUnavailable"]) {
            Some(most) => all - most,
            None => part(&one["spec"]["minAvailable"]).unwrap_or(1),
        }
        .max(0);
        let allowed = if all > 0 { (healthy - least).max(0) } else { 0 };
        let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let mut condition = settle(one, "DisruptionAllowed", status, reason, "", &[]);
        condition["message"] = "".into();
        condition["observedGeneration"] = one["metadata"]["generation"].clone();
        let status = json!({
            "observedGeneration": one["metadata"]["generation"], "currentHealthy": healthy, "desiredHealthy": least,
            "disruptionsAllowed": allowed, "expectedPods": all, "conditions": [condition],
        });
        if let Some(patch) = status_patch(one, status) {
            ops.push(Op::Patch { key: key(one), sub: Some("status"), patch });
        }
    }
}

fn autoscalers(core: &mut Core, ops: &mut Vec<Op>) {
    for one in core.world.all("HorizontalPodAutoscaler").iter().filter(|one| !is_going(one)) {
        let (kind, name) = (text(one, "/spec/scaleTargetRef/kind"), text(one, "/spec/scaleTargetRef/name"));
        let namespace = text(one, "/metadata/namespace");
        let target = ["Deployment", "StatefulSet"].into_iter().filter(|known| *known == kind);
        let target = target.filter_map(|kind| core.world.get(kind, namespace, name)).next();
        let status = match target {
            None => {
                let plural = format!("{}s.apps", kind.to_lowercase());
                let message = format!(
                    "the HPA controller was unable to get the target's current scale: {plural} \"{name}\" not found"
                );
                json!({"desiredReplicas": 0, "currentMetrics": null,
                       "conditions": [settle(one, "AbleToScale", "False", "FailedGetScale", &message, &[])]})
            }
            Some(target) => {
                let now = count(target, "/status/replicas");
                let message = "the HPA controller was able to get the target's current scale";
                let metrics = "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API";
                json!({"currentReplicas": now, "desiredReplicas": now, "currentMetrics": null, "conditions": [
                    settle(one, "AbleToScale", "True", "SucceededGetScale", message, &[]),
                    settle(one, "ScalingActive", "False", "FailedGetResourceMetric", metrics, &[]),
                ]})
            }
        };
        let mut before = one.clone();
        if let Some(all) = before.pointer_mut("/status").and_then(Json::as_object_mut) {
            all.entry("currentMetrics").or_insert(Json::Null);
            if target.is_some() {
                all.entry("currentReplicas").or_insert(json!(0));
            }
        }
        if let Some(patch) = status_patch(&before, status) {
            ops.push(Op::Patch { key: key(one), sub: Some("status"), patch });
        }
    }
}

/// Garbage: what its owners have left behind; and the two finalizers of deletion.
fn collect(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    // An owner whose watch is behind is not gone. The real one asks the server before it deletes.
    let there: Vec<String> = core.world.every().map(|(_, object)| format!("seen {}", uid(object))).collect();
    core.clocks.extend(there.into_iter().map(|seen| (seen, (String::new(), now))));
    let uids: BTreeSet<&str> = core.world.every().map(|(_, object)| uid(object)).collect();
    let watched: BTreeSet<&str> = super::KINDS.iter().map(|(kind, ..)| *kind).collect();
    for (key, object) in core.world.every() {
        let owners = list(object, "/metadata/ownerReferences");
        let is_gone = |uid: &str| !uids.contains(uid) && core.clocks.contains_key(&format!("seen {uid}"));
        let orphaned = !owners.is_empty()
            && owners.iter().all(|owner| watched.contains(text(owner, "/kind")) && is_gone(text(owner, "/uid")));
        if orphaned && !is_going(object) {
            ops.push(Op::Delete { key: key.clone(), now: false });
        }
        let holds = |name: &str| is_going(object) && list(object, "/metadata/finalizers").iter().any(|one| one == name);
        let dependents = || core.world.every().filter(|(_, other)| super::world::is_owned_by(other, uid(object)));
        let without = |name: &str| {
            let kept: Vec<&Json> = list(object, "/metadata/finalizers").iter().filter(|one| **one != name).collect();
            Op::Patch { key: key.clone(), sub: None, patch: json!({"metadata": {"finalizers": kept}}) }
        };
        if holds("foregroundDeletion") {
            let before = ops.len();
            let blocking = dependents().filter(|(_, other)| !is_going(other));
            ops.extend(blocking.map(|(key, _)| Op::Delete { key: key.clone(), now: false }));
            if ops.len() == before && dependents().next().is_none() {
                ops.push(without("foregroundDeletion"));
            }
        } else if holds("orphan") {
            let before = ops.len();
            ops.extend(dependents().map(|(key, other)| {
                let kept: Vec<&Json> = list(other, "/metadata/ownerReferences")
                    .iter()
                    .filter(|one| text(one, "/uid") != uid(object))
                    .collect();
                Op::Patch { key: key.clone(), sub: None, patch: json!({"metadata": {"ownerReferences": kept}}) }
            }));
            if ops.len() == before {
                ops.push(without("orphan"));
            }
        }
    }
}

/// An event for each new reason for which something could not be made.
fn refusals(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    for (owner, why) in core.refused.clone() {
        let known = core.clocks.get(&format!("refused {owner}")).is_some_and(|(said, _)| *said == why);
        let object = core.world.every().find(|(_, object)| uid(object) == owner).map(|(_, object)| object.clone());
        if let Some(object) = object.filter(|_| !known) {
            core.clocks.insert(format!("refused {owner}"), (why.clone(), now));
            ops.push(event(core, &object, "Warning", "FailedCreate", &format!("Error creating: {why}"), None, 1));
        }
    }
}

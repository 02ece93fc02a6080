//! Deployments, ReplicaSets, StatefulSets and DaemonSets.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::world::{
    condition, count, hash, is_going, is_ready, key, label, list, owner, settle, stamp, status_patch, text, uid,
    without_zeros,
};
use super::{Core, Op};

const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn plan(core: &mut Core, now: Instant, ops: &mut Vec<Op>) {
    for one in core.world.all("Deployment").iter().filter(|one| !is_going(one)) {
        deployment(core, one, now, ops);
    }
    for one in core.world.all("ReplicaSet").iter().filter(|one| !is_going(one)) {
        replica_set(core, one, now, ops);
    }
    for one in core.world.all("StatefulSet").iter().filter(|one| !is_going(one)) {
        stateful_set(core, one, now, ops);
    }
    for one in core.world.all("DaemonSet").iter().filter(|one| !is_going(one)) {
        daemon_set(core, one, now, ops);
    }
}

fn wanted(object: &Json) -> i64 {
    object.pointer("/spec/replicas").and_then(Json::as_i64).unwrap_or(1)
}

/// A number, or a share of the replicas.
fn share(object: &Json, pointer: &str, all: i64, up: bool) -> i64 {
    match object.pointer(pointer) {
        Some(Json::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            if up { (all * percent + 99) / 100 } else { all * percent / 100 }
        }
        Some(number) => number.as_i64().unwrap_or(0),
        None if up => (all * 25 + 99) / 100,
        None => all * 25 / 100,
    }
}

/// A template without the label that its ReplicaSet added.
fn bare(template: &Json) -> Json {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Json::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

fn revision(object: &Json) -> i64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn deployment(core: &mut Core, object: &Json, now: Instant, ops: &mut Vec<Op>) {
    let mut sets = core.world.owned("ReplicaSet", uid(object));
    sets.retain(|set| !is_going(set));
    sets.sort_by(|a, b| {
        let age = |set: &Json| (text(set, "/metadata/creationTimestamp").to_owned(), revision(set));
        age(a).cmp(&age(b))
    });
    let template = &object["spec"]["template"];
    let new = sets.iter().position(|set| bare(&set["spec"]["template"]) == bare(template));
    let new = new.map(|at| sets.remove(at));
    let paused = object.pointer("/spec/paused").and_then(Json::as_bool).unwrap_or(false);
    let newest = sets.iter().map(revision).max().unwrap_or(0) + 1;
    let number = new.as_ref().map_or(newest, |set| revision(set).max(newest));
    if !paused {
        rollout(core, object, new.as_ref(), &sets, number, ops);
    }
    if new.is_some() && revision(object) != number && !paused {
        let patch = json!({"metadata": {"annotations": {REVISION: number.to_string()}}});
        ops.push(Op::Patch { key: key(object), sub: Some("status"), patch });
    }
    deployment_status(core, object, new.as_ref(), &sets, now, ops);
}

fn rollout(core: &Core, object: &Json, new: Option<&Json>, old: &[Json], number: i64, ops: &mut Vec<Op>) {
    let all = wanted(object);
    let recreate = text(object, "/spec/strategy/type") == "Recreate";
    let mut surge = share(object, "/spec/strategy/rollingUpdate/maxSurge", all, true);
    let mut unavailable = share(object, "/spec/strategy/rollingUpdate/maxUnavailable", all, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    if recreate {
        (surge, unavailable) = (0, all);
    }
    let current = new.map_or(0, wanted);
    let total: i64 = old.iter().map(wanted).sum::<i64>() + current;
    let old_pods = || old.iter().any(|set| !core.world.owned("Pod", uid(set)).is_empty());
    let target = if recreate && (old.iter().any(|set| wanted(set) > 0) || old_pods()) {
        current.min(all)
    } else if current > all {
        all
    } else {
        current + (all + surge - total).clamp(0, all - current)
    };
    let scale = |set: &Json, to: i64, ops: &mut Vec<Op>| {
        if wanted(set) != to {
            ops.push(Op::Patch { key: key(set), sub: None, patch: json!({"spec": {"replicas": to}}) });
        }
    };
    match new {
        None if recreate && (total > 0 || old_pods()) => {}
        None => ops.push(new_set(object, target, number)),
        Some(set) => {
            scale(set, target, ops);
            if revision(set) != number {
                let patch = json!({"metadata": {"annotations": {REVISION: number.to_string()}}});
                ops.push(Op::Patch { key: key(set), sub: None, patch });
                return;
            }
        }
    }
    if recreate {
        old.iter().for_each(|set| scale(set, 0, ops));
        return;
    }
    let available = |set: &Json| count(set, "/status/availableReplicas");
    let new_unavailable = new.map_or(0, |set| wanted(set) - available(set)).max(0);
    let mut left = total - (all - unavailable) - new_unavailable;
    let mut spare = old.iter().chain(new).map(available).sum::<i64>() - (all - unavailable);
    for set in old.iter().filter(|set| wanted(set) > 0) {
        // The sick first, they serve nobody; then as many of the well as others make up for.
        let sick = (wanted(set) - available(set)).clamp(0, left.max(0));
        let well = (wanted(set) - sick).min(spare.max(0)).min((left - sick).max(0));
        scale(set, wanted(set) - sick - well, ops);
        left -= sick + well;
        spare -= well;
    }
    let limit = object.pointer("/spec/revisionHistoryLimit").and_then(Json::as_i64).unwrap_or(10);
    let is_empty = |set: &&Json| wanted(set) == 0 && count(set, "/status/replicas") == 0;
    let mut empty: Vec<&Json> = old.iter().filter(is_empty).collect();
    empty.sort_by_key(|set| revision(set));
    let surplus = usize::try_from(i64::try_from(empty.len()).unwrap_or(0) - limit).unwrap_or(0);
    for set in empty.into_iter().take(if current == all { surplus } else { 0 }) {
        ops.push(Op::Delete { key: key(set), now: false });
    }
}

fn new_set(object: &Json, replicas: i64, number: i64) -> Op {
    let mut template = object["spec"]["template"].clone();
    let hash = hash(template.to_string().as_bytes());
    template["metadata"]["labels"]["pod-template-hash"] = hash.clone().into();
    let mut selector = object["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = hash.clone().into();
    let mut annotations = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    let all = wanted(object);
    let surge = share(object, "/spec/strategy/rollingUpdate/maxSurge", all, true);
    annotations.insert(REVISION.into(), number.to_string().into());
    annotations.insert("deployment.kubernetes.io/desired-replicas".into(), all.to_string().into());
    annotations.insert("deployment.kubernetes.io/max-replicas".into(), (all + surge).to_string().into());
    let mut spec = json!({"replicas": replicas, "selector": selector, "template": template});
    if let Some(seconds) = object.pointer("/spec/minReadySeconds") {
        spec["minReadySeconds"] = seconds.clone();
    }
    Op::Create {
        kind: "ReplicaSet",
        namespace: text(object, "/metadata/namespace").to_owned(),
        object: json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", text(object, "/metadata/name")), "namespace": object["metadata"]["namespace"],
                "labels": template["metadata"]["labels"], "annotations": annotations, "ownerReferences": owner(object),
            },
            "spec": spec,
        }),
        maker: uid(object).to_owned(),
    }
}

fn deployment_status(
    core: &mut Core,
    object: &Json,
    new: Option<&Json>,
    old: &[Json],
    now: Instant,
    ops: &mut Vec<Op>,
) {
    let all = wanted(object);
    let sum = |at: &str| old.iter().chain(new).map(|set| count(set, at)).sum::<i64>();
    let [replicas, ready, available] =
        ["/status/replicas", "/status/readyReplicas", "/status/availableReplicas"].map(sum);
    let updated = new.map_or(0, |set| count(set, "/status/replicas"));
    let unavailable = (old.iter().chain(new).map(wanted).sum::<i64>() - available).max(0);
    let most = share(object, "/spec/strategy/rollingUpdate/maxUnavailable", all, false);
    let (is_up, reason, message) = if available >= all - most {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let mut conditions = vec![settle(object, "Available", is_up, reason, message, &["lastUpdateTime"])];
    let complete = updated == all && replicas == all && available == all;
    let seen = format!("{} {updated} {ready} {available} {replicas}", count(object, "/metadata/generation"));
    let clock = core.clocks.entry(format!("progress {}", uid(object))).or_insert((seen.clone(), now));
    if clock.0 != seen {
        *clock = (seen, now);
    }
    let deadline = object.pointer("/spec/progressDeadlineSeconds").and_then(Json::as_u64).unwrap_or(600);
    let until = clock.1 + Duration::from_secs(deadline);
    if let Some(set) = new {
        let set = text(set, "/metadata/name");
        let was_done = condition(object, "Progressing").is_some_and(|c| {
            text(c, "/reason") == "NewReplicaSetAvailable" && text(c, "/message").contains(&format!("\"{set}\""))
        });
        let (status, reason, message) = if complete || (was_done && updated == all && replicas == all) {
            ("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed."))
        } else if now >= until {
            ("False", "ProgressDeadlineExceeded", format!("ReplicaSet \"{set}\" has timed out progressing."))
        } else {
            core.wake(until);
            if updated == 0 {
                ("True", "NewReplicaSetCreated", format!("Created new replica set \"{set}\""))
            } else {
                ("True", "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."))
            }
        };
        conditions.push(settle(object, "Progressing", status, reason, &message, &["lastUpdateTime"]));
    }
    if let Some(failure) = new.and_then(|set| condition(set, "ReplicaFailure")) {
        let (reason, message) = (text(failure, "/reason"), text(failure, "/message"));
        conditions.push(settle(object, "ReplicaFailure", "True", reason, message, &["lastUpdateTime"]));
    }
    let status = json!({
        "observedGeneration": object["metadata"]["generation"], "replicas": replicas, "updatedReplicas": updated,
        "readyReplicas": ready, "availableReplicas": available, "unavailableReplicas": unavailable,
        "conditions": conditions,
    });
    let numbers = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"];
    if let Some(patch) = status_patch(object, without_zeros(status, &numbers)) {
        // After what makes it true: the generation is counted as seen when its ReplicaSet exists.
        if new.is_some()
            || object.pointer("/spec/paused").is_some()
            || !ops.iter().any(|op| matches!(op, Op::Create { maker, .. } if maker == uid(object)))
        {
            ops.push(Op::Patch { key: key(object), sub: Some("status"), patch });
        }
    }
}

/// A pod from a template.
pub(super) fn new_pod(object: &Json, name: String, template: &Json, labels: &[(&str, &str)]) -> Op {
    let mut metadata = template["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    if let Some(all) = metadata.as_object_mut() {
        all.remove("creationTimestamp");
    }
    for (key, value) in labels {
        metadata["labels"][*key] = (*value).into();
    }
    metadata["name"] = name.into();
    metadata["namespace"] = object["metadata"]["namespace"].clone();
    metadata["ownerReferences"] = owner(object);
    Op::Create {
        kind: "Pod",
        namespace: text(object, "/metadata/namespace").to_owned(),
        object: json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}),
        maker: uid(object).to_owned(),
    }
}

/// A name that is new each time: the owner's and five letters.
pub(super) fn fresh(core: &mut Core, object: &Json) -> String {
    core.counter += 1;
    let seed = format!("{}{}", uid(object), core.counter);
    format!("{}-{:.5}", text(object, "/metadata/name"), format!("{}xxxxx", hash(seed.as_bytes())))
}

/// Whether a pod has been ready for as long as is asked for; asks for another pass when it will have been.
fn is_available(core: &mut Core, pod: &Json, seconds: i64, now: Instant) -> bool {
    if !is_ready(pod) {
        core.clocks.remove(&format!("ready {}", uid(pod)));
        return false;
    }
    let since = core.clocks.entry(format!("ready {}", uid(pod))).or_insert((String::new(), now)).1;
    let at = since + Duration::from_secs(seconds.unsigned_abs());
    if at > now {
        core.wake(at);
    }
    at <= now
}

fn is_active(pod: &Json) -> bool {
    !is_going(pod) && !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
}

fn replica_set(core: &mut Core, object: &Json, now: Instant, ops: &mut Vec<Op>) {
    let mut pods = core.world.owned("Pod", uid(object));
    pods.retain(is_active);
    let have = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let all = wanted(object);
    for _ in have..all {
        let name = fresh(core, object);
        ops.push(new_pod(object, name, &object["spec"]["template"], &[]));
    }
    // Those that are not ready go first, the youngest before the older.
    pods.sort_by_key(|pod| (is_ready(pod), std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned())));
    for pod in pods.iter().take(usize::try_from(have - all).unwrap_or(0)) {
        ops.push(Op::Delete { key: key(pod), now: false });
    }
    let minimum = count(object, "/spec/minReadySeconds");
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let available = pods.iter().filter(|pod| is_available(core, pod, minimum, now)).count();
    let mut status = without_zeros(
        json!({
            "observedGeneration": object["metadata"]["generation"], "replicas": have, "fullyLabeledReplicas": have,
            "readyReplicas": ready, "availableReplicas": available,
        }),
        &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
    );
    if let Some(why) = core.refused.get(uid(object)).filter(|_| have < all) {
        status["conditions"] = json!([settle(object, "ReplicaFailure", "True", "FailedCreate", why, &[])]);
    }
    if let Some(patch) = status_patch(object, status) {
        ops.push(Op::Patch { key: key(object), sub: Some("status"), patch });
    }
}

fn revision_name(object: &Json) -> String {
    let hash = hash(object["spec"]["template"].to_string().as_bytes());
    format!("{}-{hash}", text(object, "/metadata/name"))
}

fn stateful_set(core: &mut Core, object: &Json, now: Instant, ops: &mut Vec<Op>) {
    let update = revision_name(object);
    core.templates.insert(update.clone(), object["spec"]["template"].clone());
    let mut current = match text(object, "/status/currentRevision") {
        "" => update.clone(),
        current => current.to_owned(),
    };
    let all = wanted(object);
    let own = core.world.owned("Pod", uid(object));
    let name_of = |ordinal: i64| format!("{}-{ordinal}", text(object, "/metadata/name"));
    let pod_of = |ordinal: i64| own.iter().find(|pod| text(pod, "/metadata/name") == name_of(ordinal));
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition");
    let by_hand = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let parallel = text(object, "/spec/podManagementPolicy") == "Parallel";
    let mut settled = true;
    for ordinal in 0..all {
        match pod_of(ordinal) {
            Some(pod) if !is_active(pod) && !is_going(pod) => {
                ops.push(Op::Delete { key: key(pod), now: true });
                settled = false;
            }
            Some(pod) => settled &= is_ready(pod),
            None => {
                let wanted = if ordinal < partition { &current } else { &update };
                ordinal_pod(core, object, ordinal, wanted, ops);
                settled = false;
            }
        }
        if !settled && !parallel {
            break;
        }
    }
    let surplus = own.iter().filter(|pod| ordinal_of(pod).is_some_and(|ordinal| ordinal >= all) && !is_going(pod));
    if let Some(last) = surplus.max_by_key(|pod| ordinal_of(pod)) {
        ops.push(Op::Delete { key: key(last), now: false });
        settled = false;
    }
    if !by_hand {
        // From the last down to the partition, each when those above it are ready again.
        for ordinal in (partition..all).rev() {
            let Some(pod) = pod_of(ordinal) else { break };
            if label(pod, "controller-revision-hash") != update {
                if !is_going(pod) {
                    ops.push(Op::Delete { key: key(pod), now: false });
                }
                break;
            }
            if !is_ready(pod) {
                break;
            }
        }
    }
    let live: Vec<&Json> = own.iter().filter(|pod| is_active(pod)).collect();
    let of = |revision: &str| live.iter().filter(|pod| label(pod, "controller-revision-hash") == revision).count();
    let (updated, ready) = (of(&update), live.iter().filter(|pod| is_ready(pod)).count());
    let total = usize::try_from(all).unwrap_or(0);
    if settled && partition == 0 && !by_hand && updated == total && ready == total && live.len() == total {
        current.clone_from(&update);
    }
    let minimum = count(object, "/spec/minReadySeconds");
    let available = live.iter().filter(|pod| is_available(core, pod, minimum, now)).count();
    let status = json!({
        "observedGeneration": object["metadata"]["generation"], "replicas": live.len(), "readyReplicas": ready,
        "availableReplicas": available, "currentReplicas": of(&current), "updatedReplicas": updated,
        "currentRevision": current, "updateRevision": update, "collisionCount": 0,
    });
    let status = without_zeros(status, &["readyReplicas", "currentReplicas", "updatedReplicas"]);
    if let Some(patch) = status_patch(object, status) {
        ops.push(Op::Patch { key: key(object), sub: Some("status"), patch });
    }
}

fn ordinal_of(pod: &Json) -> Option<i64> {
    text(pod, "/metadata/name").rsplit_once('-')?.1.parse().ok()
}

fn ordinal_pod(core: &Core, object: &Json, ordinal: i64, revision: &str, ops: &mut Vec<Op>) {
    let name = format!("{}-{ordinal}", text(object, "/metadata/name"));
    let namespace = text(object, "/metadata/namespace");
    let mut template = core.templates.get(revision).unwrap_or(&object["spec"]["template"]).clone();
    template["spec"]["hostname"] = name.clone().into();
    if !text(object, "/spec/serviceName").is_empty() {
        template["spec"]["subdomain"] = object["spec"]["serviceName"].clone();
    }
    for claim in list(object, "/spec/volumeClaimTemplates") {
        let (volume, full) = (text(claim, "/metadata/name"), format!("{}-{name}", text(claim, "/metadata/name")));
        if core.world.get("PersistentVolumeClaim", namespace, &full).is_none() {
            let object = json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": claim["spec"],
                "metadata": {"name": full, "namespace": namespace, "labels": object["spec"]["selector"]["matchLabels"]},
            });
            ops.push(Op::Create {
                kind: "PersistentVolumeClaim",
                namespace: namespace.into(),
                object,
                maker: name.clone(),
            });
        }
        let mut volumes = list(&template, "/spec/volumes").to_vec();
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": full}}));
        template["spec"]["volumes"] = volumes.into();
    }
    let index = ordinal.to_string();
    let labels = [
        ("statefulset.kubernetes.io/pod-name", name.as_str()),
        ("apps.kubernetes.io/pod-index", &index),
        ("controller-revision-hash", revision),
    ];
    ops.push(new_pod(object, name.clone(), &template, &labels));
}

/// One node there is, so one pod.
fn daemon_set(core: &mut Core, object: &Json, now: Instant, ops: &mut Vec<Op>) {
    let hash = hash(object["spec"]["template"].to_string().as_bytes());
    let generation = match object["metadata"]["annotations"]["deprecated.daemonset.template.generation"].as_str() {
        Some(counted) => counted.to_owned(),
        None => count(object, "/metadata/generation").to_string(),
    };
    let own = core.world.owned("Pod", uid(object));
    let is_new = |pod: &Json| {
        label(pod, "controller-revision-hash") == hash || label(pod, "pod-template-generation") == generation
    };
    if own.is_empty() {
        let name = fresh(core, object);
        let labels = [("controller-revision-hash", hash.as_str()), ("pod-template-generation", generation.as_str())];
        ops.push(new_pod(object, name, &object["spec"]["template"], &labels));
    }
    let by_hand = text(object, "/spec/updateStrategy/type") == "OnDelete";
    for pod in own.iter().filter(|pod| !is_going(pod)) {
        if !is_active(pod) || (!by_hand && !is_new(pod)) {
            ops.push(Op::Delete { key: key(pod), now: false });
        }
    }
    let live: Vec<&Json> = own.iter().filter(|pod| is_active(pod)).collect();
    let minimum = count(object, "/spec/minReadySeconds");
    let available = live.iter().filter(|pod| is_available(core, pod, minimum, now)).count();
    let status = json!({
        "currentNumberScheduled": live.len(), "desiredNumberScheduled": 1, "numberMisscheduled": 0,
        "numberReady": live.iter().filter(|pod| is_ready(pod)).count(), "numberAvailable": available,
        "numberUnavailable": 1_usize.saturating_sub(available),
        "updatedNumberScheduled": live.iter().filter(|pod| is_new(pod)).count(),
        "observedGeneration": object["metadata"]["generation"],
    });
    let status = without_zeros(status, &["numberAvailable", "numberUnavailable", "updatedNumberScheduled"]);
    if let Some(patch) = status_patch(object, status) {
        ops.push(Op::Patch { key: key(object), sub: Some("status"), patch });
    }
}

/// An event, as core v1 has it.
pub(super) fn event(
    core: &mut Core,
    about: &Json,
    ty: &str,
    reason: &str,
    message: &str,
    field: Option<&str>,
    times: i64,
) -> Op {
    core.counter += 1;
    let namespace = match text(about, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    };
    let mut involved = json!({
        "apiVersion": about["apiVersion"], "kind": about["kind"], "name": about["metadata"]["name"], "namespace": namespace,
        "uid": about["metadata"]["uid"], "resourceVersion": about["metadata"]["resourceVersion"],
    });
    if let Some(field) = field {
        involved["fieldPath"] = field.into();
    }
    let source = if text(about, "/kind") == "Pod" { "kubelet" } else { "replicaset-controller" };
    let name = format!(
        "{}.{:016x}",
        text(about, "/metadata/name"),
        jiff::Timestamp::now().as_nanosecond() as u64 ^ core.counter
    );
    Op::Create {
        kind: "Event",
        namespace: namespace.to_owned(),
        object: json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved, "reason": reason, "message": message, "type": ty, "count": times,
            "source": {"component": source}, "firstTimestamp": stamp(), "lastTimestamp": stamp(),
        }),
        maker: "events".to_owned(),
    }
}

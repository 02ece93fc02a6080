//! What the server sets by itself: identity, generation, the half of an object that an endpoint does not touch, and what
//! it allocates. Nobody owns these fields.

use serde_json::{Value, json};

use super::schema::Kind;
use super::status::Answer;
use super::store::State;

/// Kinds of Kubernetes itself whose spec has a generation.
fn has_generation(kind: &Kind) -> bool {
    kind.custom
        || matches!(
            kind.group.as_str(),
            "apps" | "batch" | "networking.k8s.io" | "policy" | "apiextensions.k8s.io" | "admissionregistration.k8s.io"
        )
        || matches!(kind.kind.as_str(), "Pod" | "EndpointSlice" | "PriorityClass")
}

pub(crate) fn creation(kind: &Kind, object: &mut Value) {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for name in ["generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "uid"]
    {
        metadata.remove(name);
    }
    if has_generation(kind) {
        metadata.insert("generation".into(), json!(1));
    }
    if kind.has_sub("status") {
        object.as_object_mut().unwrap().remove("status");
    }
    let status = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            json!({"phase": "Active"})
        }
        ("", "Pod") => json!({"phase": "Pending", "qosClass": quality(&object["spec"])}),
        ("", "Service") | ("networking.k8s.io", "Ingress") => json!({"loadBalancer": {}}),
        ("", "PersistentVolumeClaim") => {
            object["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
            json!({"phase": "Pending"})
        }
        ("apps", "StatefulSet") => json!({"replicas": 0, "availableReplicas": 0}),
        ("apps", "ReplicaSet") => json!({"replicas": 0}),
        ("apps", "DaemonSet") => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
        }),
        ("", "ResourceQuota") | ("apps", "Deployment") | ("batch" | "apiregistration.k8s.io", _) => json!({}),
        ("policy", _) => {
            json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0})
        }
        ("autoscaling", _) => json!({"desiredReplicas": 0, "currentMetrics": null}),
        ("apiextensions.k8s.io", _) => {
            let versions = object["spec"]["versions"].as_array().into_iter().flatten();
            let stored: Vec<&Value> = versions.filter(|one| one["storage"] == true).map(|one| &one["name"]).collect();
            json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored})
        }
        _ => Value::Null,
    };
    if !status.is_null() {
        object["status"] = status;
    }
    if kind.kind == "Pod" && kind.group.is_empty() {
        admit_pod(object);
    }
}

/// What is written whatever it is.
pub(crate) fn always(kind: &Kind, object: &mut Value) {
    if !(kind.group.is_empty() && kind.kind == "Event") {
        return;
    }
    let members = object.as_object_mut().unwrap();
    for name in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        members.entry(name).or_insert(Value::Null);
    }
    for name in ["reportingComponent", "reportingInstance"] {
        members.entry(name).or_insert_with(|| json!(""));
    }
}

/// What the admission plug-ins for priority and tolerations add to every pod.
fn admit_pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    let toleration = |key: &str| {
        let key = format!("node.kubernetes.io/{key}");
        json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    };
    if spec.get("tolerations").is_none() {
        spec["tolerations"] = json!([toleration("not-ready"), toleration("unreachable")]);
    }
    spec["priority"] = json!(0);
    spec["preemptionPolicy"] = json!("PreemptLowerPriority");
}

fn quality(spec: &Value) -> &'static str {
    let containers = spec["containers"].as_array();
    let resources: Vec<&Value> = containers.into_iter().flatten().map(|one| &one["resources"]).collect();
    let is_empty = |one: &&Value| one.get("limits").is_none() && one.get("requests").is_none();
    if resources.iter().all(is_empty) {
        return "BestEffort";
    }
    let is_guaranteed = |one: &&Value| {
        one["limits"]["cpu"].is_string() && one["limits"]["memory"].is_string() && one["limits"] == one["requests"]
    };
    if resources.iter().all(is_guaranteed) { "Guaranteed" } else { "Burstable" }
}

/// What no update changes; a different uid or time of creation is an error.
pub(crate) fn identity(old: &Value, new: &mut Value) -> Vec<super::status::Cause> {
    let mut causes = Vec::new();
    let uid = &new["metadata"]["uid"];
    if !uid.is_null() && *uid != old["metadata"]["uid"] {
        let cause = super::status::Cause::invalid("metadata.uid", uid, "field is immutable");
        causes.extend([cause.clone(), cause]);
    }
    for name in
        ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"]
    {
        match old["metadata"].get(name) {
            Some(value) => new["metadata"][name] = value.clone(),
            None => drop(new["metadata"].as_object_mut().unwrap().remove(name)),
        }
    }
    causes
}

/// By the main endpoint the status stays what it was; by that of the status everything else, but for annotations and finalizers of
/// built-in kinds (their strategies put back the specification and the labels only).
pub(crate) fn keep_other_half(kind: &Kind, old: Option<&Value>, new: &mut Value, subresource: &str) {
    if !kind.has_sub("status") {
        return;
    }
    let nothing = json!({});
    let old = old.unwrap_or(&nothing);
    let keeps = |name: &str| match subresource {
        "status" => !["status", "metadata", "apiVersion", "kind"].contains(&name),
        _ => name == "status",
    };
    let members = new.as_object_mut().unwrap();
    members.retain(|name, _| !keeps(name));
    for (name, value) in old.as_object().unwrap().iter().filter(|(name, _)| keeps(name)) {
        members.insert(name.clone(), value.clone());
    }
    if subresource == "status" && old.get("metadata").is_some() {
        let mut metadata = old["metadata"].clone();
        let stays: &[&str] =
            if kind.custom { &["managedFields"] } else { &["managedFields", "annotations", "finalizers"] };
        for name in stays {
            match new["metadata"].get(*name).cloned() {
                Some(given) => metadata[*name] = given,
                None => drop(metadata.as_object_mut().unwrap().remove(*name)),
            }
        }
        new["metadata"] = metadata;
    }
}

/// A new generation, if what is wanted is new.
pub(crate) fn generation(kind: &Kind, old: &Value, new: &mut Value) {
    if !has_generation(kind) {
        return;
    }
    let wanted = |object: &Value| {
        let mut object = object.clone();
        if kind.custom {
            let members = object.as_object_mut().unwrap();
            members.remove("metadata");
            if kind.has_sub("status") {
                members.remove("status");
            }
            return object;
        }
        object["spec"].take()
    };
    if kind.kind == "DaemonSet" && old["spec"]["template"] != new["spec"]["template"] {
        let annotation = &mut new["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
        let last: u64 = annotation.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        *annotation = json!((last + 1).to_string());
    }
    if wanted(old) != wanted(new) {
        new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
    }
}

/// Addresses and ports of a service, which it keeps.
pub(crate) fn allocate(state: &mut State, kind: &Kind, object: &mut Value, old: Option<&Value>) -> Answer<()> {
    if !(kind.group.is_empty() && kind.kind == "Service") {
        return Ok(());
    }
    let ty = object["spec"]["type"].as_str().unwrap_or_default().to_owned();
    let spec = &mut object["spec"];
    if ty == "ExternalName" {
        return Ok(());
    }
    if let Some(old) = old {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if spec.get(name).is_none_or(|value| *value == "")
                && let Some(value) = old["spec"].get(name)
            {
                spec[name] = value.clone();
            }
        }
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten().filter(|port| port.get("nodePort").is_none()) {
            let before = old["spec"]["ports"].as_array().into_iter().flatten();
            let same = |one: &&Value| one["port"] == port["port"] && one["protocol"] == port["protocol"];
            if let Some(number) = before.filter(same).find_map(|one| one.get("nodePort")) {
                port["nodePort"] = number.clone();
            }
        }
    }
    if spec.get("clusterIP").is_none_or(|value| *value == "") {
        state.next_address += 1;
        spec["clusterIP"] = json!(format!("10.0.{}.{}", state.next_address / 250, state.next_address % 250 + 1));
    }
    let address = spec["clusterIP"].clone();
    if spec.get("clusterIPs").is_none() {
        spec["clusterIPs"] = json!([address]);
    }
    if spec.get("ipFamilies").is_none() {
        spec["ipFamilies"] = json!(["IPv4"]);
        spec["ipFamilyPolicy"] = json!("SingleStack");
    }
    if ty == "ClusterIP" {
        for name in ["externalTrafficPolicy", "allocateLoadBalancerNodePorts", "healthCheckNodePort"] {
            spec.as_object_mut().unwrap().remove(name);
        }
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        if ty == "ClusterIP" {
            port.as_object_mut().unwrap().remove("nodePort");
        } else if port.get("nodePort").is_none() {
            state.next_port += 1;
            port["nodePort"] = json!(state.next_port);
        }
    }
    Ok(())
}

/// A job's pods are known by its uid.
pub(crate) fn job_selector(kind: &Kind, object: &mut Value) {
    if !(kind.group == "batch" && kind.kind == "Job") || object["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (object["metadata"]["uid"].clone(), object["metadata"]["name"].clone());
    object["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    for path in ["/metadata", "/spec/template/metadata"] {
        let metadata = object.pointer_mut(path).unwrap();
        metadata["labels"]["batch.kubernetes.io/controller-uid"] = uid.clone();
        metadata["labels"]["batch.kubernetes.io/job-name"] = name.clone();
        metadata["labels"]["controller-uid"] = uid.clone();
        metadata["labels"]["job-name"] = name.clone();
    }
}

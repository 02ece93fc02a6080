//! The order among objects that nobody has to write down.
//!
//! It follows what an object names, not a table of kinds alone: a namespace before what is in it, a definition before its objects,
//! what a workload mounts or runs as before the workload, a role before what binds it, what an Ingress or an autoscaler points to
//! before that. So a plan is as parallel as the cluster allows, and the reverse holds when things go. What refuses or changes
//! others' objects on their way in (webhook configurations) comes after the Service that answers it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::object::Name;
use super::schemas::MANIFEST;
use super::{config, job};
use crate::value::{Value, to_json};

/// Kinds that bound or shape what comes into a namespace, so that they stand before anything that runs there.
const FIRST: [&str; 3] = ["ResourceQuota", "LimitRange", "NetworkPolicy"];
/// Kinds that run something.
const RUNS: [&str; 8] =
    ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod", "Job", "CronJob"];

struct Object {
    name: Name,
    json: Json,
}

/// The objects by what they are called.
type ByName<'a> = BTreeMap<(&'a str, Option<&'a str>, &'a str), usize>;

/// The pairs of positions of which the first has to be there before the second.
#[must_use]
pub fn implied(objects: &[(&str, &Value)]) -> Vec<(usize, usize)> {
    let read = |(ty, value): &(&str, &Value)| {
        let json = match *ty {
            MANIFEST => to_json(value.get("manifest")?),
            config::TYPE => config::manifest(value, value.get_str("object_name").or_else(|| value.get_str("name"))?),
            job::TYPE => job::manifest(value, value.get_str("name")?),
            _ => return None,
        };
        Some(Object { name: Name::of(&json)?, json })
    };
    let objects: Vec<Option<Object>> = objects.iter().map(read).collect();
    let mut named: ByName<'_> = BTreeMap::new();
    let mut defined: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut first: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (at, object) in objects.iter().enumerate() {
        let Some(object) = object else { continue };
        let name = &object.name;
        named.insert((&name.kind, name.namespace.as_deref(), &name.name), at);
        if let Some(defines) = defines(&object.json) {
            defined.insert(defines, at);
        }
        if FIRST.contains(&name.kind.as_str()) {
            first.entry(name.namespace.as_deref()).or_default().push(at);
        }
    }
    let mut pairs = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        let Some(object) = object else { continue };
        let namespace = object.name.namespace.as_deref();
        let mut after: Vec<usize> = Vec::new();
        after.extend(namespace.and_then(|namespace| named.get(&("Namespace", None, namespace))));
        let group = object.name.api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        after.extend(defined.get(&(group, object.name.kind.clone())));
        if RUNS.contains(&object.name.kind.as_str()) {
            after.extend(first.get(&namespace).into_iter().flatten());
        }
        needs(&object.json, &mut |kind, within: Option<&str>, name| {
            let namespace = within.or(namespace);
            let found = named.get(&(kind, namespace, name)).or_else(|| named.get(&(kind, None, name)));
            after.extend(found);
        });
        after.retain(|before| *before != at);
        after.sort_unstable();
        after.dedup();
        pairs.extend(after.into_iter().map(|before| (before, at)));
    }
    pairs
}

/// The group and kind that a definition makes.
fn defines(json: &Json) -> Option<(String, String)> {
    let text = |pointer: &str| json.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    (text("/kind")? == "CustomResourceDefinition").then_some(())?;
    Some((text("/spec/group")?, text("/spec/names/kind")?))
}

/// Tells what an object names: kind, namespace where another is said, name.
fn needs(json: &Json, tell: &mut dyn FnMut(&str, Option<&str>, &str)) {
    let text = |json: &Json, pointer: &str| json.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    for pod in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"] {
        if let Some(spec) = json.pointer(pod).filter(|spec| spec.get("containers").is_some()) {
            of_pod(spec, tell);
        }
    }
    match json.get("kind").and_then(Json::as_str).unwrap_or_default() {
        "RoleBinding" | "ClusterRoleBinding" => {
            if let (Some(kind), Some(name)) = (text(json, "/roleRef/kind"), text(json, "/roleRef/name")) {
                tell(&kind, None, &name);
            }
            for subject in items(json, "/subjects") {
                if let Some(name) = text(subject, "/name") {
                    tell("ServiceAccount", text(subject, "/namespace").as_deref(), &name);
                }
            }
        }
        "Ingress" => each_key(json, "service", &mut |service| {
            if let Some(name) = service.get("name").and_then(Json::as_str) {
                tell("Service", None, name);
            }
        }),
        "HorizontalPodAutoscaler" => {
            if let (Some(kind), Some(name)) =
                (text(json, "/spec/scaleTargetRef/kind"), text(json, "/spec/scaleTargetRef/name"))
            {
                tell(&kind, None, &name);
            }
        }
        "StatefulSet" => {
            if let Some(name) = text(json, "/spec/serviceName") {
                tell("Service", None, &name);
            }
        }
        "APIService" => {
            if let Some(name) = text(json, "/spec/service/name") {
                tell("Service", text(json, "/spec/service/namespace").as_deref(), &name);
            }
        }
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            for hook in items(json, "/webhooks") {
                if let Some(name) = text(hook, "/clientConfig/service/name") {
                    tell("Service", text(hook, "/clientConfig/service/namespace").as_deref(), &name);
                }
            }
        }
        "PersistentVolumeClaim" => {
            if let Some(name) = text(json, "/spec/storageClassName") {
                tell("StorageClass", None, &name);
            }
        }
        "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" => of_route(json, tell),
        "Gateway" => {
            if let Some(name) = text(json, "/spec/gatewayClassName") {
                tell("GatewayClass", None, &name);
            }
        }
        _ => {}
    }
}

/// The gateways that a route hangs on, and the services that it leads to.
fn of_route(json: &Json, tell: &mut dyn FnMut(&str, Option<&str>, &str)) {
    let text = |json: &Json, pointer: &str| json.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    for parent in items(json, "/spec/parentRefs") {
        if let Some(name) = text(parent, "/name") {
            tell("Gateway", text(parent, "/namespace").as_deref(), &name);
        }
    }
    each_key(json, "backendRefs", &mut |backends| {
        for backend in backends.as_array().into_iter().flatten() {
            if let Some(name) = text(backend, "/name") {
                tell("Service", text(backend, "/namespace").as_deref(), &name);
            }
        }
    });
}

/// What the pods of a workload mount, read and run as.
fn of_pod(spec: &Json, tell: &mut dyn FnMut(&str, Option<&str>, &str)) {
    for name in ["serviceAccountName", "serviceAccount"] {
        if let Some(name) = spec.get(name).and_then(Json::as_str) {
            tell("ServiceAccount", None, name);
        }
    }
    if let Some(name) = spec.get("priorityClassName").and_then(Json::as_str) {
        tell("PriorityClass", None, name);
    }
    for (key, kind, pointer) in [
        ("configMap", "ConfigMap", "/name"),
        ("configMapRef", "ConfigMap", "/name"),
        ("configMapKeyRef", "ConfigMap", "/name"),
        ("secret", "Secret", "/secretName"),
        ("secret", "Secret", "/name"),
        ("secretRef", "Secret", "/name"),
        ("secretKeyRef", "Secret", "/name"),
        ("persistentVolumeClaim", "PersistentVolumeClaim", "/claimName"),
    ] {
        each_key(spec, key, &mut |part| {
            if let Some(name) = part.pointer(pointer).and_then(Json::as_str) {
                tell(kind, None, name);
            }
        });
    }
    for secret in items(spec, "/imagePullSecrets") {
        if let Some(name) = secret.get("name").and_then(Json::as_str) {
            tell("Secret", None, name);
        }
    }
}

fn items<'j>(json: &'j Json, pointer: &str) -> &'j [Json] {
    json.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Gives every part of that name, however deep.
fn each_key(json: &Json, key: &str, give: &mut dyn FnMut(&Json)) {
    match json {
        Json::Object(all) => {
            for (name, part) in all {
                if name == key {
                    give(part);
                }
                each_key(part, key, give);
            }
        }
        Json::Array(all) => all.iter().for_each(|part| each_key(part, key, give)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::from_json;

    fn order(manifests: &[Json]) -> Vec<(usize, usize)> {
        let objects: Vec<Value> = manifests.iter().map(|m| Value::object_of([("manifest", from_json(m))])).collect();
        let objects: Vec<(&str, &Value)> = objects.iter().map(|value| (MANIFEST, value)).collect();
        implied(&objects)
    }

    fn object(api: &str, kind: &str, namespace: Option<&str>, name: &str, spec: &Json) -> Json {
        let mut metadata = json!({ "name": name });
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({ "apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec })
    }

    #[test]
    fn a_workload_comes_after_its_namespace_and_all_that_it_names() {
        let pod = json!({ "template": { "spec": {
            "serviceAccountName": "runner",
            "containers": [{ "name": "a", "envFrom": [{ "secretRef": { "name": "s" } }],
                "env": [{ "name": "X", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "x" } } }] }],
            "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": "p" } }],
        } } });
        let all = [
            object("apps/v1", "Deployment", Some("shop"), "web", &pod),
            object("v1", "Namespace", None, "shop", &json!({})),
            object("v1", "ServiceAccount", Some("shop"), "runner", &json!({})),
            object("v1", "Secret", Some("shop"), "s", &json!({})),
            object("v1", "ConfigMap", Some("shop"), "c", &json!({})),
            object("v1", "ConfigMap", Some("other"), "c", &json!({})),
            object("v1", "PersistentVolumeClaim", Some("shop"), "p", &json!({})),
            object("v1", "ResourceQuota", Some("shop"), "q", &json!({})),
        ];
        let before_web: Vec<usize> = order(&all).into_iter().filter(|(_, then)| *then == 0).map(|(b, _)| b).collect();
        assert_eq!(before_web, [1, 2, 3, 4, 6, 7]);
    }

    #[test]
    fn a_definition_comes_before_its_objects_and_a_role_before_what_binds_it() {
        let definition = json!({ "group": "example.com", "names": { "kind": "Widget" } });
        let mut binding = object("rbac.authorization.k8s.io/v1", "RoleBinding", Some("a"), "b", &json!({}));
        binding["roleRef"] = json!({ "kind": "ClusterRole", "name": "r" });
        let all = [
            object("example.com/v1", "Widget", Some("a"), "w", &json!({})),
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "widgets.example.com", &definition),
            binding,
            object("rbac.authorization.k8s.io/v1", "ClusterRole", None, "r", &json!({})),
        ];
        assert_eq!(order(&all), [(1, 0), (3, 2)]);
    }
}

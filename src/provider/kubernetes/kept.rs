//! Which fields of an object that stands somebody wanted: a manifest as a person would have written it.
//!
//! The server's own account of who wrote what (`managedFields`) is the best witness, in three grades:
//!
//! 1. What was *applied* by the server's side (`operation: Apply`) is exactly what stood in somebody's file, and is kept.
//! 2. What `kubectl apply` applied by the client's side stands in its annotation `last-applied-configuration`, and is kept.
//! 3. What was *written* (`operation: Update`: Helm, `kubectl create`, `kubectl edit`, operators) has the server's defaults among it, which the
//!    account does not tell from what was said. Of it, what is as it would be by default is left out (`DEFAULTS`).
//!
//! Controllers' fields are nobody's wish. Where the server keeps no account, all fields are taken as written.
//!
//! A list is kept in part only where its elements have names, as those are what an import compares one by one; any other is kept whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::look::{list, text};

/// Who writes objects in a cluster's own name.
const CONTROLLERS: [&str; 8] = [
    "kube-controller-manager",
    "cloud-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-apiserver",
    "k3s",
    "cluster-autoscaler",
    "vpa-recommender",
];
/// Who applies by the client's side.
const CLIENT_SIDE: &str = "kubectl-client-side-apply";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Annotations and labels that tools write for themselves, by their beginnings.
const NOTES: [&str; 19] = [
    "kubectl.kubernetes.io/",
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "meta.helm.sh/",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/storage-provisioner",
    "control-plane.alpha.kubernetes.io/",
    "autoscaling.alpha.kubernetes.io/",
    "endpoints.kubernetes.io/",
    "batch.kubernetes.io/job-tracking",
    "batch.kubernetes.io/cronjob-scheduled-timestamp",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
    "pod-template-hash",
    "controller-revision-hash",
    "gantry.dev/",
];

/// Groups that the table of defaults is about.
const BUILT_IN: [&str; 7] =
    ["", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io"];

/// What the API server fills in: the end of a path, in which `#` is any element of a list, and the value.
const DEFAULTS: [(&str, &str); 61] = [
    ("spec/dnsPolicy", "\"ClusterFirst\""),
    ("spec/schedulerName", "\"default-scheduler\""),
    ("spec/restartPolicy", "\"Always\""),
    ("spec/terminationGracePeriodSeconds", "30"),
    ("spec/securityContext", "{}"),
    ("spec/enableServiceLinks", "true"),
    ("spec/preemptionPolicy", "\"PreemptLowerPriority\""),
    ("spec/priority", "0"),
    ("spec/serviceAccountName", "\"default\""),
    ("spec/serviceAccount", "\"default\""),
    ("#/terminationMessagePath", "\"/dev/termination-log\""),
    ("#/terminationMessagePolicy", "\"File\""),
    ("#/resources", "{}"),
    ("#/securityContext", "{}"),
    ("#/protocol", "\"TCP\""),
    ("Probe/timeoutSeconds", "1"),
    ("Probe/periodSeconds", "10"),
    ("Probe/successThreshold", "1"),
    ("Probe/failureThreshold", "3"),
    ("httpGet/scheme", "\"HTTP\""),
    ("grpc/service", "\"\""),
    ("fieldRef/apiVersion", "\"v1\""),
    ("configMap/defaultMode", "420"),
    ("secret/defaultMode", "420"),
    ("projected/defaultMode", "420"),
    ("downwardAPI/defaultMode", "420"),
    ("hostPath/type", "\"\""),
    ("spec/progressDeadlineSeconds", "600"),
    ("spec/revisionHistoryLimit", "10"),
    ("spec/strategy/type", "\"RollingUpdate\""),
    ("strategy/rollingUpdate/maxSurge", "\"25%\""),
    ("strategy/rollingUpdate/maxUnavailable", "\"25%\""),
    ("spec/updateStrategy/type", "\"RollingUpdate\""),
    ("updateStrategy/rollingUpdate/partition", "0"),
    ("updateStrategy/rollingUpdate/maxSurge", "0"),
    ("updateStrategy/rollingUpdate/maxUnavailable", "1"),
    ("spec/podManagementPolicy", "\"OrderedReady\""),
    ("persistentVolumeClaimRetentionPolicy/whenDeleted", "\"Retain\""),
    ("persistentVolumeClaimRetentionPolicy/whenScaled", "\"Retain\""),
    ("spec/type", "\"ClusterIP\""),
    ("spec/sessionAffinity", "\"None\""),
    ("spec/internalTrafficPolicy", "\"Cluster\""),
    ("spec/externalTrafficPolicy", "\"Cluster\""),
    ("spec/ipFamilyPolicy", "\"SingleStack\""),
    ("spec/allocateLoadBalancerNodePorts", "true"),
    ("spec/completionMode", "\"NonIndexed\""),
    ("spec/suspend", "false"),
    ("spec/backoffLimit", "6"),
    ("spec/completions", "1"),
    ("spec/parallelism", "1"),
    ("spec/manualSelector", "false"),
    ("spec/podReplacementPolicy", "\"TerminatingOrFailed\""),
    ("spec/concurrencyPolicy", "\"Allow\""),
    ("spec/failedJobsHistoryLimit", "1"),
    ("spec/successfulJobsHistoryLimit", "3"),
    ("spec/volumeMode", "\"Filesystem\""),
    ("spec/minReadySeconds", "0"),
    ("spec/paused", "false"),
    ("spec/publishNotReadyAddresses", "false"),
    ("spec/hostNetwork", "false"),
    ("spec/minReplicas", "1"),
];

/// Parts that the cluster gives an object of a kind, whatever their value: the kind, and the end of their path.
const GIVEN: [(&str, &str); 11] = [
    ("Service", "spec/clusterIPs"),
    ("Service", "spec/ipFamilies"),
    ("Service", "spec/healthCheckNodePort"),
    ("PersistentVolumeClaim", "spec/volumeName"),
    ("Pod", "spec/nodeName"),
    ("Pod", "spec/tolerations"),
    ("Job", "spec/selector"),
    ("ServiceAccount", "secrets"),
    ("Deployment", "template/metadata/creationTimestamp"),
    ("StatefulSet", "template/metadata/creationTimestamp"),
    ("DaemonSet", "template/metadata/creationTimestamp"),
];

/// Whether an entry of the account is a controller's, or is about the status.
pub(super) fn is_controller(entry: &Json) -> bool {
    let manager = text(entry, "/manager");
    text(entry, "/subresource") == "status"
        || CONTROLLERS.iter().any(|known| manager == *known || manager.starts_with(&format!("{known}@")))
}

/// A part of an object, and which of its parts are kept.
#[derive(Debug, Default)]
struct Keep {
    /// All of it.
    whole: bool,
    /// Of an element of a list: that it is there.
    there: bool,
    parts: BTreeMap<Step, Keep>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Name(String),
    At(usize),
}

/// How fields are taken.
struct Taking<'a> {
    object: &'a Json,
    /// Whether the server's defaults are among them, and are left out.
    defaults: bool,
    /// Whether somebody else sets how many there are.
    scaled: bool,
}

/// The manifest of an object that stands. Where an autoscaler sets the number of its replicas, the number is left to it.
pub(super) fn manifest(object: &Json, scaled: bool) -> Json {
    let mut keep = Keep::default();
    let entries = list(object, "/metadata/managedFields");
    let said = last_applied(object);
    let taking = |defaults: bool| Taking { object, defaults, scaled };
    // What was written in another version of the kind has other fields there.
    let foreign = |part: &Json| !text(part, "/apiVersion").is_empty() && part["apiVersion"] != object["apiVersion"];
    let wishes: Vec<&Json> = entries.iter().filter(|entry| !is_controller(entry)).collect();
    let nobody = entries.is_empty() && said.is_none();
    if nobody || said.iter().any(foreign) || wishes.iter().any(|entry| foreign(entry)) {
        taking(true).everything(object, &mut Vec::new(), &mut keep);
    }
    if let Some(said) = &said {
        taking(false).said(said, object, &mut Vec::new(), &mut keep);
    }
    for entry in wishes {
        if said.is_some() && text(entry, "/manager") == CLIENT_SIDE {
            continue;
        }
        let Some(fields) = entry.get("fieldsV1") else { continue };
        let applied = text(entry, "/operation") == "Apply";
        taking(!applied).owned(fields, object, &mut Vec::new(), &mut keep);
    }
    let mut out = render(object, &keep).unwrap_or_else(|| Json::Object(Map::new()));
    for name in ["apiVersion", "kind"] {
        out[name] = object[name].clone();
    }
    for name in ["name", "namespace"] {
        out["metadata"][name] = object["metadata"][name].clone();
    }
    without_notes(&mut out["metadata"]);
    out
}

/// Takes out what tools write for themselves, however it came to be kept: kubectl's note repeats a Secret's content.
fn without_notes(metadata: &mut Json) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    for name in ["annotations", "labels"] {
        let Some(all) = metadata.get_mut(name).and_then(Json::as_object_mut) else { continue };
        all.retain(|key, _| !is_note(key));
        if all.is_empty() {
            metadata.remove(name);
        }
    }
}

fn is_note(name: &str) -> bool {
    NOTES.iter().any(|note| name.starts_with(note))
}

/// What `kubectl apply` says that it applied.
fn last_applied(object: &Json) -> Option<Json> {
    let annotations = object.pointer("/metadata/annotations")?;
    serde_json::from_str(annotations.get(LAST_APPLIED)?.as_str()?).ok()
}

impl Taking<'_> {
    /// The fields of an account.
    fn owned(&self, fields: &Json, live: &Json, path: &mut Vec<String>, keep: &mut Keep) {
        let all = fields.as_object().into_iter().flatten();
        let steps: Vec<(&String, &Json)> = all.filter(|(step, _)| *step != ".").collect();
        if steps.is_empty() {
            // A point alone says that there is something, and nothing of what is in it.
            let only_there = fields.get(".").is_some() && is_filled(live);
            match only_there {
                true => keep.there = path.last().is_some_and(|step| step == "#"),
                false => self.leaf(live, path, keep),
            }
            return;
        }
        for (step, below) in steps {
            let Some((step, part)) = find(live, step) else { continue };
            self.step(step, path, keep, |this, path, keep| this.owned(below, part, path, keep));
        }
    }

    /// The fields that a file had, as the object has them now.
    fn said(&self, said: &Json, live: &Json, path: &mut Vec<String>, keep: &mut Keep) {
        match (said, live) {
            // The server has filled in what was empty (`annotations: {}`, as kubectl has it, is full of its own notes).
            (Json::Object(said), Json::Object(live)) if said.is_empty() && !live.is_empty() => {}
            (Json::Object(said), Json::Object(live)) if !said.is_empty() => {
                for (name, below) in said {
                    let Some(part) = live.get(name) else { continue };
                    self.step(Step::Name(name.clone()), path, keep, |this, path, keep| {
                        this.said(below, part, path, keep);
                    });
                }
            }
            (Json::Array(said), Json::Array(live)) if named(live) && named(said) => {
                for below in said {
                    let Some(at) = live.iter().position(|one| one["name"] == below["name"]) else { continue };
                    self.step(Step::At(at), path, keep, |this, path, keep| this.said(below, &live[at], path, keep));
                }
            }
            _ => self.leaf(live, path, keep),
        }
    }

    /// All fields.
    fn everything(&self, live: &Json, path: &mut Vec<String>, keep: &mut Keep) {
        match live {
            Json::Object(all) if !all.is_empty() => {
                for (name, part) in all {
                    self.step(Step::Name(name.clone()), path, keep, |this, path, keep| {
                        this.everything(part, path, keep);
                    });
                }
            }
            Json::Array(all) if named(all) => {
                for (at, part) in all.iter().enumerate() {
                    self.step(Step::At(at), path, keep, |this, path, keep| this.everything(part, path, keep));
                }
            }
            _ => self.leaf(live, path, keep),
        }
    }

    fn step(
        &self,
        step: Step,
        path: &mut Vec<String>,
        keep: &mut Keep,
        go: impl FnOnce(&Self, &mut Vec<String>, &mut Keep),
    ) {
        path.push(match &step {
            Step::Name(name) => name.clone(),
            Step::At(_) => "#".to_owned(),
        });
        if !self.is_the_clusters(path) {
            let mut below = keep.parts.remove(&step).unwrap_or_default();
            go(self, path, &mut below);
            if below.whole || below.there || !below.parts.is_empty() {
                keep.parts.insert(step, below);
            }
        }
        path.pop();
    }

    fn leaf(&self, live: &Json, path: &[String], keep: &mut Keep) {
        let left_out = live.is_null() || (self.defaults && self.is_default(path, live));
        keep.whole |= !left_out;
    }

    /// Whether a part is the cluster's to write.
    fn is_the_clusters(&self, path: &[String]) -> bool {
        let kind = text(self.object, "/kind");
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names[..] {
            // `serviceAccount` is an older name of another field.
            ["apiVersion" | "kind" | "status"] | [.., "spec", "serviceAccount"] => true,
            ["metadata", name] => !["labels", "annotations"].contains(&name),
            [.., "metadata", "labels" | "annotations", name] if is_note(name) => true,
            // The address of a Service is given, but that it has none is said.
            ["spec", "clusterIP"] if kind == "Service" => text(self.object, "/spec/clusterIP") != "None",
            ["spec", "ports", "#", "nodePort"] if kind == "Service" => text(self.object, "/spec/type") != "NodePort",
            ["spec", "replicas"] => self.scaled,
            _ => GIVEN.iter().any(|(of, end)| *of == kind && ends(path, end)),
        }
    }

    fn is_default(&self, path: &[String], live: &Json) -> bool {
        let version = text(self.object, "/apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if !BUILT_IN.contains(&group) {
            return false;
        }
        let shown = live.to_string();
        if DEFAULTS.iter().any(|(end, value)| *value == shown && ends(path, end)) {
            return true;
        }
        // Always for images that may change under their tag, else where there is none.
        path.last().is_some_and(|name| name == "imagePullPolicy")
    }
}

/// Whether a path ends so. `Probe` stands for all that end with it.
fn ends(path: &[String], end: &str) -> bool {
    let end: Vec<&str> = end.split('/').collect();
    let Some(start) = path.len().checked_sub(end.len()) else { return false };
    path[start..].iter().zip(end).all(|(step, end)| step == end || (end == "Probe" && step.ends_with("Probe")))
}

fn is_filled(live: &Json) -> bool {
    live.as_object().is_some_and(|all| !all.is_empty()) || live.as_array().is_some_and(|all| !all.is_empty())
}

fn named(items: &[Json]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.get("name").is_some_and(Json::is_string))
}

/// What a step of an account leads to.
fn find<'j>(live: &'j Json, step: &str) -> Option<(Step, &'j Json)> {
    let (how, what) = step.split_at_checked(2)?;
    let at = |at: usize, items: &'j Vec<Json>| items.get(at).map(|item| (Step::At(at), item));
    match how {
        "f:" => live.get(what).map(|part| (Step::Name(what.to_owned()), part)),
        "k:" => {
            let keys: Map<String, Json> = serde_json::from_str(what).ok()?;
            let items = live.as_array()?;
            let is_it = |item: &Json| keys.iter().all(|(name, value)| item.get(name) == Some(value));
            at(items.iter().position(is_it)?, items)
        }
        "v:" => {
            let value: Json = serde_json::from_str(what).ok()?;
            let items = live.as_array()?;
            at(items.iter().position(|item| *item == value)?, items)
        }
        "i:" => at(what.parse().ok()?, live.as_array()?),
        _ => None,
    }
}

/// What is kept.
fn render(live: &Json, keep: &Keep) -> Option<Json> {
    if keep.whole {
        return Some(live.clone());
    }
    match live {
        _ if keep.there && keep.parts.is_empty() => Some(Json::Object(Map::new())),
        _ if keep.parts.is_empty() => None,
        Json::Object(all) => {
            let part = |(name, live): (&String, &Json)| {
                Some((name.clone(), render(live, keep.parts.get(&Step::Name(name.clone()))?)?))
            };
            Some(Json::Object(all.iter().filter_map(part).collect()))
        }
        Json::Array(all) if named(all) => {
            let part = |(at, live): (usize, &Json)| {
                let mut part = render(live, keep.parts.get(&Step::At(at))?)?;
                if let Some(part) = part.as_object_mut() {
                    part.insert("name".into(), live["name"].clone());
                }
                Some(part)
            };
            Some(Json::Array(all.iter().enumerate().filter_map(part).collect()))
        }
        _ => Some(live.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Json {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 3,
                "annotations": { "deployment.kubernetes.io/revision": "3", "team": "shop" },
                "labels": { "app": "web" },
            },
            "spec": {
                "replicas": 2, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
                "selector": { "matchLabels": { "app": "web" } },
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 0 } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": {
                        "containers": [{
                            "name": "api", "image": "a:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                            "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                            "readinessProbe": { "httpGet": { "path": "/", "port": 80, "scheme": "HTTP" }, "periodSeconds": 5, "timeoutSeconds": 1 },
                        }, { "name": "sidecar", "image": "s:1" }],
                        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                        "securityContext": {}, "terminationGracePeriodSeconds": 30,
                    },
                },
            },
            "status": { "replicas": 2 },
        })
    }

    fn wanted() -> Json {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop", "annotations": { "team": "shop" }, "labels": { "app": "web" } },
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": { "app": "web" } },
                "strategy": { "rollingUpdate": { "maxUnavailable": 0 } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{
                        "name": "api", "image": "a:1", "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                        "readinessProbe": { "httpGet": { "path": "/", "port": 80 }, "periodSeconds": 5 },
                    }, { "name": "sidecar", "image": "s:1" }] },
                },
            },
        })
    }

    #[test]
    fn without_an_account_all_is_kept_but_defaults_and_the_clusters_own() {
        assert_eq!(manifest(&deployment(), false), wanted());
    }

    #[test]
    fn the_number_of_replicas_is_left_to_an_autoscaler() {
        assert_eq!(manifest(&deployment(), true).pointer("/spec/replicas"), None);
    }

    #[test]
    fn what_was_applied_is_kept_exactly_and_what_controllers_wrote_is_not() {
        let mut object = deployment();
        object["metadata"]["managedFields"] = json!([
            { "manager": "argocd", "operation": "Apply", "fieldsV1": { "f:spec": {
                "f:progressDeadlineSeconds": {},
                "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"api\"}": { ".": {}, "f:name": {}, "f:image": {} } } } },
            } } },
            { "manager": "kube-controller-manager", "operation": "Update", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
        ]);
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "progressDeadlineSeconds": 600, "template": { "spec": { "containers": [{ "name": "api", "image": "a:1" }] } } },
        });
        assert_eq!(manifest(&object, false), expected);
    }

    #[test]
    fn what_kubectl_applied_is_what_its_file_had() {
        let mut object = deployment();
        object["metadata"]["managedFields"] = json!([
            { "manager": CLIENT_SIDE, "operation": "Update", "fieldsV1": { "f:spec": { "f:revisionHistoryLimit": {}, "f:paused": {} } } },
            { "manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
        ]);
        object["metadata"]["annotations"][LAST_APPLIED] =
            json!(json!({ "metadata": { "annotations": {} }, "spec": { "revisionHistoryLimit": 3, "template": { "spec": { "containers": [{ "name": "api", "image": "a:0" }] } } } }).to_string());
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "replicas": 2, "revisionHistoryLimit": 10, "template": { "spec": { "containers": [{ "name": "api", "image": "a:1" }] } } },
        });
        assert_eq!(manifest(&object, false), expected);
    }

    #[test]
    fn a_point_alone_keeps_nothing_of_what_others_put_there() {
        let mut object = deployment();
        object["metadata"]["annotations"][LAST_APPLIED] = json!("no JSON, but perhaps a secret");
        object["metadata"]["managedFields"] = json!([{ "manager": "helm", "operation": "Update", "fieldsV1": {
            "f:metadata": { "f:annotations": { ".": {} } },
            "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"sidecar\"}": { ".": {} } } } } },
        } }]);
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "template": { "spec": { "containers": [{ "name": "sidecar" }] } } },
        });
        assert_eq!(manifest(&object, false), expected);
    }

    #[test]
    fn what_was_written_in_another_version_is_not_lost() {
        let object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": "web", "namespace": "shop", "managedFields": [
                { "manager": "kubectl", "operation": "Update", "apiVersion": "autoscaling/v1",
                  "fieldsV1": { "f:spec": { "f:maxReplicas": {}, "f:targetCPUUtilizationPercentage": {} } } },
            ] },
            "spec": { "maxReplicas": 4, "minReplicas": 1, "metrics": [{ "type": "Resource" }] },
        });
        let expected = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "maxReplicas": 4, "metrics": [{ "type": "Resource" }] },
        });
        assert_eq!(manifest(&object, false), expected);
    }
}

//! Which of the objects around a workload belong to its new version.

use serde_json::Value as Json;

use super::super::look::{annotation, condition, count, group, is_going, is_owned_by, kind, label, list, number, text};

/// The annotation that counts a Deployment's revisions, on it and on its ReplicaSets.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The label that tells the ReplicaSets of a Deployment apart. It is on the ReplicaSet's template, not on the Deployment's.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The label that tells revisions of StatefulSets and DaemonSets apart.
const REVISION_HASH: &str = "controller-revision-hash";

/// How often a DaemonSet's template was changed: an annotation on it, a label on its pods. Deprecated since 1.8, and still
/// written by every version; the only hint at the newest revision that needs no look at ControllerRevisions.
const DAEMON_GENERATION: (&str, &str) = ("deprecated.daemonset.template.generation", "pod-template-generation");

/// The objects around a workload, as they were last seen. There may be others among them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Children<'a> {
    /// ReplicaSets.
    pub(crate) replica_sets: &'a [Json],
    /// Pods.
    pub(crate) pods: &'a [Json],
    /// Events (core v1 or events.k8s.io/v1).
    pub(crate) events: &'a [Json],
    /// Claims.
    pub(crate) pvcs: &'a [Json],
}

/// The ReplicaSet of a Deployment's present template: the oldest whose template is the same but for the hash, as the
/// controller itself finds it (`FindNewReplicaSet`). Else the one of the Deployment's revision, if that is of this generation.
pub(crate) fn new_replica_set<'a>(deployment: &Json, children: &Children<'a>) -> Option<&'a Json> {
    let uid = text(deployment, "/metadata/uid");
    let own = || children.replica_sets.iter().filter(move |set| is_owned_by(set, uid));
    let template = deployment.pointer("/spec/template");
    own()
        .filter(|set| same_template(template, set.pointer("/spec/template")))
        .min_by_key(|set| (text(set, "/metadata/creationTimestamp"), text(set, "/metadata/name")))
        .or_else(|| {
            let revision = annotation(deployment, REVISION);
            own().find(|set| is_seen(deployment) && !revision.is_empty() && annotation(set, REVISION) == revision)
        })
}

fn same_template(wanted: Option<&Json>, found: Option<&Json>) -> bool {
    let (Some(wanted), Some(found)) = (wanted, found) else { return false };
    let bare = |template: &Json| {
        let mut template = template.clone();
        let metadata = template.get_mut("metadata").and_then(Json::as_object_mut);
        if let Some(labels) = metadata.and_then(|all| all.get_mut("labels")).and_then(Json::as_object_mut) {
            labels.remove(TEMPLATE_HASH);
        }
        template
    };
    bare(wanted) == bare(found)
}

fn is_seen(object: &Json) -> bool {
    count(object, "/status/observedGeneration") >= count(object, "/metadata/generation")
}

/// The pods of a workload's new version that are not on their way out. None while its controller has not seen the change:
/// those that there are then belong to the version before.
#[must_use]
pub(crate) fn new_pods<'a>(workload: &'a Json, children: &Children<'a>) -> Vec<&'a Json> {
    let uid = text(workload, "/metadata/uid");
    let owned = |owner: &'a str| children.pods.iter().filter(move |pod| is_owned_by(pod, owner) && !is_going(pod));
    match (group(workload), kind(workload)) {
        ("", "Pod") if is_going(workload) => Vec::new(),
        ("", "Pod") => vec![workload],
        ("apps", "Deployment") => match new_replica_set(workload, children) {
            Some(set) => owned(text(set, "/metadata/uid")).collect(),
            None => Vec::new(),
        },
        ("apps", "StatefulSet") => {
            let revision = text(workload, "/status/updateRevision");
            owned(uid).filter(|pod| is_seen(workload) && label(pod, REVISION_HASH) == revision).collect()
        }
        ("apps", "DaemonSet") => newest_daemons(workload, owned(uid).collect()),
        _ => owned(uid).collect(),
    }
}

/// Pods that carry the newest template's generation, and those that carry the same hash: a return to an earlier template
/// keeps the pods that were made from it then.
fn newest_daemons<'a>(workload: &Json, owned: Vec<&'a Json>) -> Vec<&'a Json> {
    let generation = |pod: &Json| label(pod, DAEMON_GENERATION.1).parse::<i64>().unwrap_or_default();
    let newest = match annotation(workload, DAEMON_GENERATION.0).parse::<i64>() {
        Ok(newest) => newest,
        Err(_) if !is_seen(workload) => return Vec::new(),
        Err(_) => owned.iter().map(|pod| generation(pod)).max().unwrap_or_default(),
    };
    let hash = owned.iter().find(|pod| generation(pod) == newest).map_or("", |pod| label(pod, REVISION_HASH));
    owned
        .into_iter()
        .filter(|pod| generation(pod) == newest || (!hash.is_empty() && label(pod, REVISION_HASH) == hash))
        .collect()
}

/// Whether a pod is ready.
pub(crate) fn is_ready(pod: &Json) -> bool {
    condition(pod, "Ready").is_some_and(super::super::look::Condition::is_true)
}

/// Whether a workload is short of pods: fewer exist than it wants. Only then do events about pods that could not be made
/// speak of now.
pub(crate) fn is_short(workload: &Json) -> bool {
    match kind(workload) {
        "DaemonSet" => {
            count(workload, "/status/currentNumberScheduled") < count(workload, "/status/desiredNumberScheduled")
                || count(workload, "/status/updatedNumberScheduled") < count(workload, "/status/desiredNumberScheduled")
        }
        "Job" => {
            let done = list(workload, "/status/conditions").iter().any(|c| text(c, "/status") == "True");
            !done && count(workload, "/status/active") < number(workload, "/spec/parallelism").unwrap_or(1)
        }
        _ => {
            let wanted = number(workload, "/spec/replicas").unwrap_or(1);
            let made =
                number(workload, "/status/updatedReplicas").unwrap_or_else(|| count(workload, "/status/replicas"));
            made < wanted || count(workload, "/status/replicas") < wanted
        }
    }
}

//! The objects as they were last seen, and small looks into them.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{ApiResource, GroupVersionKind};
use serde_json::{Value as Json, json};

/// Kind, API version and plural of everything that is watched.
pub(super) const KINDS: [(&str, &str, &str); 16] = [
    ("Namespace", "v1", "namespaces"),
    ("Node", "v1", "nodes"),
    ("ServiceAccount", "v1", "serviceaccounts"),
    ("Secret", "v1", "secrets"),
    ("ConfigMap", "v1", "configmaps"),
    ("Service", "v1", "services"),
    ("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    ("Pod", "v1", "pods"),
    ("Deployment", "apps/v1", "deployments"),
    ("ReplicaSet", "apps/v1", "replicasets"),
    ("StatefulSet", "apps/v1", "statefulsets"),
    ("DaemonSet", "apps/v1", "daemonsets"),
    ("Job", "batch/v1", "jobs"),
    ("CronJob", "batch/v1", "cronjobs"),
    ("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    ("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
];

/// Kind, namespace and name.
pub(crate) type Key = (&'static str, String, String);

/// How the API calls a kind.
pub(super) fn resource(kind: &str) -> ApiResource {
    let (version, plural) = if kind == "Event" {
        ("v1", "events")
    } else {
        let found = KINDS.iter().find(|(own, ..)| *own == kind);
        found.map(|(_, version, plural)| (*version, *plural)).expect("invariant: a kind of the table")
    };
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// An object's key.
pub(super) fn key(object: &Json) -> Key {
    let kind = KINDS.iter().find(|(own, ..)| *own == text(object, "/kind")).map_or("", |(own, ..)| *own);
    (kind, text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// The text at a pointer, or nothing.
pub(super) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// The number at a pointer, or 0.
pub(super) fn count(object: &Json, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Json::as_i64).unwrap_or_default()
}

/// The list at a pointer, or nothing.
pub(super) fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn uid(object: &Json) -> &str {
    text(object, "/metadata/uid")
}

pub(super) fn is_going(object: &Json) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

pub(super) fn label<'a>(object: &'a Json, name: &str) -> &'a str {
    object["metadata"]["labels"][name].as_str().unwrap_or_default()
}

pub(super) fn is_owned_by(object: &Json, owner: &str) -> bool {
    list(object, "/metadata/ownerReferences").iter().any(|one| text(one, "/uid") == owner)
}

pub(super) fn condition<'a>(object: &'a Json, ty: &str) -> Option<&'a Json> {
    list(object, "/status/conditions").iter().find(|one| text(one, "/type") == ty)
}

pub(super) fn is_ready(pod: &Json) -> bool {
    !is_going(pod) && condition(pod, "Ready").is_some_and(|ready| text(ready, "/status") == "True")
}

/// Now, as the API writes times.
pub(super) fn stamp() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// The reference of an owner that controls.
pub(super) fn owner(object: &Json) -> Json {
    json!([{
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }])
}

/// A short hash, in the letters that Kubernetes uses for it (`rand.SafeEncodeString` of an FNV-1a).
pub(super) fn hash(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let fnv = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    fnv.to_string().bytes().map(|digit| LETTERS[usize::from(digit) % LETTERS.len()] as char).collect()
}

/// A condition as it is now: what did not change keeps its times.
pub(super) fn settle(object: &Json, ty: &str, status: &str, reason: &str, message: &str, extra: &[&str]) -> Json {
    let mut now = json!({"type": ty, "status": status, "lastTransitionTime": stamp()});
    for (key, value) in [("reason", reason), ("message", message)] {
        if !value.is_empty() {
            now[key] = value.into();
        }
    }
    for time in extra {
        now[*time] = stamp().into();
    }
    let Some(before) = condition(object, ty) else { return now };
    if text(before, "/status") == status {
        now["lastTransitionTime"] = before["lastTransitionTime"].clone();
        if text(before, "/reason") == reason && text(before, "/message") == message {
            for time in extra {
                now[*time] = before[*time].clone();
            }
        }
    }
    now
}

/// The patch that turns a status into that one, `None` if it is so already. What the new one does not have is taken away.
pub(super) fn status_patch(object: &Json, status: Json) -> Option<Json> {
    let before = object.get("status").cloned().unwrap_or(Json::Null);
    let surplus = |all: &serde_json::Map<String, Json>| {
        all.iter().any(|(key, value)| !value.is_null() && status.get(key).is_none())
    };
    if covers(&before, &status) && !before.as_object().is_some_and(surplus) {
        return None;
    }
    let mut patch = status;
    if let (Some(before), Some(patch)) = (before.as_object(), patch.as_object_mut()) {
        for gone in before.keys() {
            patch.entry(gone.clone()).or_insert(Json::Null);
        }
    }
    Some(json!({"status": patch}))
}

/// Whether something is as it is wanted. Inside, the server adds fields of its own, and nulls.
fn covers(found: &Json, wanted: &Json) -> bool {
    match (found, wanted) {
        (Json::Object(found), Json::Object(wanted)) if wanted.is_empty() => found.is_empty(),
        (Json::Object(found), Json::Object(wanted)) => {
            wanted.iter().all(|(key, value)| covers(found.get(key).unwrap_or(&Json::Null), value))
        }
        (Json::Array(found), Json::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| covers(found, wanted))
        }
        // An empty object or list may have been left out.
        (Json::Null, Json::Object(wanted)) => wanted.is_empty(),
        (Json::Null, Json::Array(wanted)) => wanted.is_empty(),
        (found, wanted) => found == wanted,
    }
}

/// Drops what is zero, as `omitempty` does.
pub(super) fn without_zeros(mut status: Json, names: &[&str]) -> Json {
    if let Some(all) = status.as_object_mut() {
        all.retain(|key, value| !(names.contains(&key.as_str()) && *value == json!(0)));
    }
    status
}

/// All that is watched.
#[derive(Default)]
pub(crate) struct World {
    objects: BTreeMap<Key, Json>,
    /// Objects that are gone: a late answer about one does not bring it back.
    buried: BTreeSet<String>,
}

fn version(object: &Json) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}

impl World {
    /// Takes what was seen, unless something newer was.
    pub(super) fn put(&mut self, object: Json) {
        let key = key(&object);
        if key.0.is_empty() || self.buried.contains(uid(&object)) {
            return;
        }
        match self.objects.get(&key) {
            Some(known) if uid(known) == uid(&object) && version(known) >= version(&object) => {}
            _ => drop(self.objects.insert(key, object)),
        }
    }

    /// It is gone.
    pub(super) fn gone(&mut self, object: &Json) {
        self.buried.insert(uid(object).to_owned());
        let key = key(object);
        if self.objects.get(&key).is_some_and(|known| uid(known) == uid(object)) {
            self.objects.remove(&key);
        }
    }

    /// The server does not know it.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(object) = self.objects.remove(key) {
            self.buried.insert(uid(&object).to_owned());
        }
    }

    pub(super) fn all(&self, kind: &str) -> Vec<Json> {
        self.of(kind).cloned().collect()
    }

    pub(super) fn of<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Json> {
        let kind = kind.to_owned();
        self.objects.iter().filter(move |(key, _)| key.0 == kind).map(|(_, object)| object)
    }

    pub(super) fn every(&self) -> impl Iterator<Item = (&Key, &Json)> {
        self.objects.iter()
    }

    pub(super) fn get(&self, kind: &'static str, namespace: &str, name: &str) -> Option<&Json> {
        self.objects.get(&(kind, namespace.to_owned(), name.to_owned()))
    }

    /// The objects of a kind that are owned by that one.
    pub(super) fn owned(&self, kind: &str, owner: &str) -> Vec<Json> {
        self.of(kind).filter(|object| is_owned_by(object, owner)).cloned().collect()
    }
}

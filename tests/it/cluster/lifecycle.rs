//! How things end: deletion with its options, finalizers, owners and their children, namespaces; and how definitions of
//! custom resources come to be served. `settle` is what the controllers of a real cluster do.

use serde_json::{Value, json};

use super::admit;
use super::route::Asked;
use super::schema::{self, Kind};
use super::status::{Answer, Cause, Failure};
use super::store::{Key, State, now};
use super::write;

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    uid: Option<String>,
    version: Option<String>,
    propagation: Option<String>,
    grace: Option<i64>,
    /// Whether nothing happens. Where there is a body, what the query says does not count.
    pub(crate) is_dry_run: bool,
}

impl Options {
    pub(crate) fn of(asked: &Asked) -> Answer<Self> {
        let body: Value = if asked.body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(&asked.body).map_err(|why| Failure::bad_request(why.to_string()))?
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let param = |name: &str| Some(asked.param(name)).filter(|one| !one.is_empty()).map(str::to_owned);
        let said = body["dryRun"].as_array().is_some_and(|all| all.contains(&json!("All")));
        let options = Self {
            is_dry_run: if asked.body.is_empty() { asked.param("dryRun") == "All" } else { said },
            uid: text(&body["preconditions"]["uid"]),
            version: text(&body["preconditions"]["resourceVersion"]),
            propagation: text(&body["propagationPolicy"]).or_else(|| param("propagationPolicy")),
            grace: body["gracePeriodSeconds"]
                .as_i64()
                .or_else(|| param("gracePeriodSeconds").and_then(|text| text.parse().ok())),
        };
        if let Some(policy) = &options.propagation
            && !["Foreground", "Background", "Orphan"].contains(&policy.as_str())
        {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            let cause = Cause::unsupported("propagationPolicy", policy, &supported);
            return Err(Failure::invalid_as("meta.k8s.io", "DeleteOptions", "", &[cause]));
        }
        Ok(options)
    }

    pub(crate) fn check(&self, kind: &Kind, name: &str, object: &Value) -> Answer<()> {
        let is = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        if let Some(asked) = self.uid.as_ref().filter(|asked| **asked != is("uid")) {
            let why = format!(
                "the UID in the precondition ({asked}) does not match the UID in record ({}). The object might have \
                 been deleted and then recreated",
                is("uid")
            );
            return Err(Failure::precondition(kind, name, &why));
        }
        if let Some(asked) = self.version.as_ref().filter(|asked| **asked != is("resourceVersion")) {
            let why = format!(
                "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record ({}). \
                 The object might have been modified",
                is("resourceVersion")
            );
            return Err(Failure::precondition(kind, name, &why));
        }
        Ok(())
    }
}

fn finalizers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_namespace(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "namespaces"
}

/// Whether an object that is being deleted has nothing left to wait for.
pub(crate) fn is_finished(kind: &Kind, object: &Value) -> bool {
    let has_content =
        is_namespace(kind) && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    let lingers = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    object["metadata"].get("deletionTimestamp").is_some() && finalizers(object).is_empty() && !has_content && !lingers
}

/// Deletes one object, or marks it for what holds it.
pub(crate) fn delete(
    state: &mut State,
    kind: &Kind,
    key: &Key,
    options: &Options,
    is_dry_run: bool,
) -> Answer<(u16, Value)> {
    let Some(old) = state.get(key) else { return Err(Failure::not_found(kind, &key.3)) };
    let mut new = (*old).clone();
    let mut held = finalizers(&old);
    // A Job that nobody says anything about leaves its pods, for the sake of clients from before there were owners.
    let default = if kind.group == "batch" && kind.kind == "Job" { "Orphan" } else { "Background" };
    let policy = options.propagation.as_deref().unwrap_or(default);
    for (name, is_wanted) in [("foregroundDeletion", policy == "Foreground"), ("orphan", policy == "Orphan")] {
        held.retain(|one| one != name);
        if is_wanted && !is_namespace(kind) {
            held.push(name.into());
        }
    }
    let is_pod = kind.group.is_empty() && kind.kind == "Pod";
    let runs = is_pod && old["spec"]["nodeName"].is_string() && state.pods_linger;
    let grace = match options.grace {
        Some(grace) => grace,
        None if runs => old["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30),
        None => 0,
    };
    let grace = if runs { grace } else { 0 };
    if held.is_empty() && grace == 0 && !is_namespace(kind) {
        if !is_dry_run {
            state.remove(key);
        }
        let answer = match kind.kind.as_str() {
            "Pod" if is_pod => marked(kind, &old, &held, 0),
            "Service" if kind.group.is_empty() => (*old).clone(),
            _ => write::success(kind, &old),
        };
        return Ok((200, answer));
    }
    let was_marked = old["metadata"].get("deletionTimestamp").is_some();
    let is_shorter = grace < old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    if !was_marked || is_shorter || held != finalizers(&old) {
        new = marked(kind, &old, &held, grace);
        if !is_dry_run {
            if is_finished(kind, &new) {
                state.remove(key);
            } else {
                new = (*state.put(key.clone(), new)).clone();
            }
        }
    }
    Ok((200, new))
}

fn marked(kind: &Kind, old: &Value, held: &[String], grace: i64) -> Value {
    let mut new = old.clone();
    if new["metadata"].get("deletionTimestamp").is_none() {
        new["metadata"]["deletionTimestamp"] = json!(now());
        if let Some(generation) = new["metadata"]["generation"].as_u64() {
            new["metadata"]["generation"] = json!(generation + 1);
        }
    }
    if !is_namespace(kind) {
        new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    }
    if held.is_empty() {
        new["metadata"].as_object_mut().unwrap().remove("finalizers");
    } else {
        new["metadata"]["finalizers"] = json!(held);
    }
    if is_namespace(kind) {
        new["status"]["phase"] = json!("Terminating");
    }
    new
}

/// Takes one finalizer away; the object goes with its last.
fn release(state: &mut State, key: &Key, name: &str) {
    let Some(object) = state.get(key) else { return };
    let mut object = (*object).clone();
    let left: Vec<String> = finalizers(&object).into_iter().filter(|one| one != name).collect();
    if left.is_empty() {
        object["metadata"].as_object_mut().unwrap().remove("finalizers");
    } else {
        object["metadata"]["finalizers"] = json!(left);
    }
    let kind = state.kind_of(&key.0, &key.1);
    if kind.is_some_and(|kind| is_finished(&kind, &object)) {
        state.put(key.clone(), object);
        state.remove(key);
    } else {
        state.put(key.clone(), object);
    }
}

/// One round of the controllers; true if something was done.
pub(crate) fn settle(state: &mut State) -> bool {
    let before = state.version;
    collect_garbage(state);
    for (key, quota) in admit::quota_status(state) {
        state.put(key, quota);
    }
    protect_claims(state);
    finish_definitions(state);
    state.version != before
}

fn owned_by(state: &State, uid: &str) -> Vec<Key> {
    let is_child = |object: &Value| {
        object["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|one| one["uid"] == uid)
    };
    state.objects.iter().filter(|(_, object)| is_child(object)).map(|(key, _)| key.clone()).collect()
}

fn collect_garbage(state: &mut State) {
    let keys: Vec<Key> = state.objects.keys().cloned().collect();
    for key in keys {
        let Some(object) = state.get(&key) else { continue };
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let held = finalizers(&object);
        if object["metadata"].get("deletionTimestamp").is_some() {
            if held.iter().any(|one| one == "orphan") {
                owned_by(state, &uid).iter().for_each(|child| disown(state, child, &uid));
                release(state, &key, "orphan");
            } else if held.iter().any(|one| one == "foregroundDeletion") {
                let children = owned_by(state, &uid);
                for child in &children {
                    remove_child(state, child, "Foreground");
                }
                let blocks = |child: &Key| {
                    state.get(child).is_some_and(|object| {
                        let owners = object["metadata"]["ownerReferences"].as_array();
                        owners
                            .into_iter()
                            .flatten()
                            .any(|one| one["uid"] == uid.as_str() && one["blockOwnerDeletion"] == true)
                    })
                };
                if !children.iter().any(blocks) {
                    release(state, &key, "foregroundDeletion");
                }
            }
            continue;
        }
        let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let lives = |owner: &Value| state.objects.values().any(|one| one["metadata"]["uid"] == owner["uid"]);
        if !owners.is_empty() && !owners.iter().any(lives) {
            remove_child(state, &key, "Background");
        }
    }
}

fn remove_child(state: &mut State, key: &Key, policy: &str) {
    let Some(kind) = state.kind_of(&key.0, &key.1) else { return };
    let is_marked = state.get(key).is_some_and(|one| one["metadata"].get("deletionTimestamp").is_some());
    if !is_marked {
        let options = Options { propagation: Some(policy.into()), ..Options::default() };
        let _ = delete(state, &kind, key, &options, false);
    }
}

fn disown(state: &mut State, key: &Key, uid: &str) {
    let Some(object) = state.get(key) else { return };
    let mut object = (*object).clone();
    let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let left: Vec<Value> = owners.into_iter().filter(|one| one["uid"] != uid).collect();
    if left.is_empty() {
        object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    } else {
        object["metadata"]["ownerReferences"] = json!(left);
    }
    state.put(key.clone(), object);
}

/// A claim that no pod uses is let go.
fn protect_claims(state: &mut State) {
    for (key, claim) in state.list("", "persistentvolumeclaims", "") {
        let is_marked = claim["metadata"].get("deletionTimestamp").is_some();
        let uses = |pod: &Value| {
            let volumes = pod["spec"]["volumes"].as_array();
            volumes.into_iter().flatten().any(|one| one["persistentVolumeClaim"]["claimName"] == key.3.as_str())
        };
        let is_used = state.list("", "pods", &key.2).iter().any(|(_, pod)| uses(pod));
        if is_marked && !is_used && finalizers(&claim).iter().any(|one| one == "kubernetes.io/pvc-protection") {
            release(state, &key, "kubernetes.io/pvc-protection");
        }
    }
}

/// The namespaces that wait for their content to be deleted.
pub(crate) fn terminating(state: &State) -> Vec<String> {
    let all = state.list("", "namespaces", "");
    let is_marked = |object: &Value| object["metadata"].get("deletionTimestamp").is_some();
    all.into_iter().filter(|(_, object)| is_marked(object)).map(|(key, _)| key.3).collect()
}

/// One round of a namespace's end: all content is deleted, and the namespace with the last of it.
pub(crate) fn empty_namespace(state: &mut State, name: &str) {
    let content = |state: &State| -> Vec<Key> {
        state
            .objects
            .keys()
            .filter(|key| key.2 == name && !(key.0.is_empty() && key.1 == "namespaces"))
            .cloned()
            .collect()
    };
    for key in content(state) {
        remove_child(state, &key, "Background");
    }
    settle(state);
    let left = content(state);
    let key = super::store::key("", "namespaces", "", name);
    let Some(object) = state.get(&key) else { return };
    let mut new = (*object).clone();
    new["status"]["conditions"] = conditions(state, &left, object["status"]["conditions"].as_array());
    if left.is_empty() {
        new["spec"] = json!({});
        if is_finished(&state.kind_of("", "namespaces").unwrap(), &new) {
            state.remove(&key);
            return;
        }
    }
    if new != *object {
        state.put(key, new);
    }
}

fn conditions(state: &State, left: &[Key], before: Option<&Vec<Value>>) -> Value {
    use std::collections::BTreeMap;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    for key in left {
        let Some(kind) = state.kind_of(&key.0, &key.1) else { continue };
        *kinds.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
        for name in state.get(key).map(|object| finalizers(&object)).unwrap_or_default() {
            *held.entry(name).or_default() += 1;
        }
    }
    let list = |of: &BTreeMap<String, usize>, what: &str| {
        of.iter()
            .map(|(name, count)| format!("{name} has {count} resource instances{what}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let in_finalizers =
        held.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect::<Vec<_>>().join(", ");
    let content = format!("Some resources are remaining: {}", list(&kinds, ""));
    let waits = format!("Some content in the namespace has finalizers remaining: {in_finalizers}");
    let all = [
        ("NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        match kinds.is_empty() {
            true => ("NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed"),
            false => ("NamespaceContentRemaining", true, "SomeResourcesRemain", content.as_str()),
        },
        match held.is_empty() {
            true => (
                "NamespaceFinalizersRemaining",
                false,
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
            false => ("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", waits.as_str()),
        },
    ];
    all.iter()
        .map(|(ty, is_on, reason, message)| {
            let status = if *is_on { "True" } else { "False" };
            let old = before.into_iter().flatten().find(|one| one["type"] == *ty && one["status"] == status);
            let since = old.map_or_else(|| json!(now()), |one| one["lastTransitionTime"].clone());
            json!({"type": ty, "status": status, "lastTransitionTime": since, "reason": reason, "message": message})
        })
        .collect()
}

/// Definitions that are not yet served.
pub(crate) fn unserved(state: &State) -> Vec<Key> {
    let all = state.list("apiextensions.k8s.io", "customresourcedefinitions", "");
    let is_new = |object: &Value| object["status"]["conditions"].as_array().is_none_or(Vec::is_empty);
    all.into_iter().filter(|(_, object)| is_new(object)).map(|(key, _)| key).collect()
}

/// A definition is accepted, and its resources are served.
pub(crate) fn establish(state: &mut State, key: &Key) {
    let Some(object) = state.get(key) else { return };
    let mut object = (*object).clone();
    let condition = |ty: &str, reason: &str, message: &str| json!({"type": ty, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message});
    object["status"]["conditions"] = json!([
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]);
    object["status"]["acceptedNames"] = object["spec"]["names"].clone();
    serve(state, &object);
    state.put(key.clone(), object);
}

fn serve(state: &mut State, definition: &Value) {
    let (group, plural) = (definition["spec"]["group"].clone(), definition["spec"]["names"]["plural"].clone());
    state.kinds.retain(|kind| !(kind.custom && group == kind.group.as_str() && plural == kind.plural.as_str()));
    state.kinds.extend(schema::custom_kinds(definition));
}

/// What is served follows the definitions; a definition that goes takes its objects with it.
fn finish_definitions(state: &mut State) {
    const HOLDS: &str = "customresourcecleanup.apiextensions.k8s.io";
    let all = state.list("apiextensions.k8s.io", "customresourcedefinitions", "");
    for (key, definition) in &all {
        let is_marked = definition["metadata"].get("deletionTimestamp").is_some();
        let is_established = definition["status"]["conditions"].as_array().is_some_and(|list| !list.is_empty());
        if is_marked && finalizers(definition).iter().any(|one| one == HOLDS) {
            let (group, plural, _) = names(definition);
            let objects = state.list(&group, &plural, "");
            if objects.is_empty() {
                release(state, key, HOLDS);
            }
            objects.iter().for_each(|(object, _)| remove_child(state, object, "Background"));
        } else if is_established && !is_marked && !finalizers(definition).iter().any(|one| one == HOLDS) {
            let mut definition = (**definition).clone();
            definition["metadata"]["finalizers"] = json!([HOLDS]);
            state.put(key.clone(), definition);
        } else if is_established && !is_marked {
            let (_, _, stored) = names(definition);
            let is_current = state.kinds.iter().any(|kind| {
                kind.custom && kind.kind == stored && {
                    let fresh = schema::custom_kinds(definition);
                    fresh.iter().any(|one| format!("{one:?}") == format!("{kind:?}"))
                }
            });
            if !is_current {
                serve(state, definition);
            }
        }
    }
    let is_defined = |kind: &Kind| {
        all.iter().any(|(_, one)| {
            let (group, plural, _) = names(one);
            group == kind.group && plural == kind.plural
        })
    };
    state.kinds.retain(|kind| !kind.custom || is_defined(kind));
}

fn names(definition: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &definition["spec"];
    (text(&spec["group"]), text(&spec["names"]["plural"]), text(&spec["names"]["kind"]))
}

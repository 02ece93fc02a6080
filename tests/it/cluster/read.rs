//! Reading: one object, lists with selectors and pages, and watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::route::{Asked, Target};
use super::schema::Kind;
use super::status::{Answer, Failure};
use super::store::{Event, State, key};

const BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Which objects are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// Field, whether it shall be equal, value.
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug)]
enum Requirement {
    Is(String, Vec<String>),
    IsNot(String, Vec<String>),
    Has(String),
    HasNot(String),
}

impl Selector {
    pub(crate) fn parse(kind: &Kind, asked: &Asked) -> Answer<Self> {
        let labels = requirements(asked.param("labelSelector"))?;
        let mut fields = Vec::new();
        for part in asked.param("fieldSelector").split(',').filter(|part| !part.is_empty()) {
            let (name, is_equal, value) = match part.split_once("!=") {
                Some((name, value)) => (name, false, value),
                None => {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    (name, true, value.trim_start_matches('='))
                }
            };
            if !selectable(kind).contains(&name) {
                let known = "only \"metadata.name\", \"metadata.namespace\"";
                let message = format!("\"{name}\" is not a known field selector: {known}");
                return Err(Failure::bad_request(message));
            }
            fields.push((name.to_owned(), is_equal, value.to_owned()));
        }
        Ok(Self { labels, fields })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"][name].as_str();
        self.labels.iter().all(|one| match one {
            Requirement::Is(name, values) => label(name).is_some_and(|is| values.iter().any(|one| one == is)),
            Requirement::IsNot(name, values) => !label(name).is_some_and(|is| values.iter().any(|one| one == is)),
            Requirement::Has(name) => label(name).is_some(),
            Requirement::HasNot(name) => label(name).is_none(),
        }) && self.fields.iter().all(|(name, is_equal, value)| {
            let pointer = format!("/{}", name.replace('.', "/"));
            let is = object.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
            (is == value) == *is_equal
        })
    }
}

fn selectable(kind: &Kind) -> Vec<&'static str> {
    let mut all = vec!["metadata.name", "metadata.namespace"];
    match kind.kind.as_str() {
        "Pod" => all.extend(["spec.nodeName", "status.phase", "spec.restartPolicy", "spec.serviceAccountName"]),
        "Event" => all.extend([
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "reason",
            "type",
        ]),
        "Namespace" => all.push("status.phase"),
        "Secret" => all.push("type"),
        "Job" => all.push("status.successful"),
        _ => {}
    }
    all
}

fn requirements(text: &str) -> Answer<Vec<Requirement>> {
    let mut parts = Vec::new();
    let (mut depth, mut part) = (0, String::new());
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(requirement).collect()
}

fn requirement(part: &str) -> Answer<Requirement> {
    let owned = |text: &str| text.trim().to_owned();
    let list = |text: &str| text.trim().trim_matches(['(', ')']).split(',').map(owned).collect::<Vec<_>>();
    if let Some((name, values)) = part.split_once(" notin ") {
        return Ok(Requirement::IsNot(owned(name), list(values)));
    }
    if let Some((name, values)) = part.split_once(" in ") {
        return Ok(Requirement::Is(owned(name), list(values)));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::IsNot(owned(name), vec![owned(value)]));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        if value.contains('=') {
            let message = "unable to parse requirement: found '=', expected: identifier";
            return Err(Failure::bad_request(message));
        }
        return Ok(Requirement::Is(owned(name), vec![owned(value)]));
    }
    Ok(match part.strip_prefix('!') {
        Some(name) => Requirement::HasNot(owned(name)),
        None => Requirement::Has(owned(part)),
    })
}

/// An object as a version of its kind.
pub(crate) fn present(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(kind.api_version());
    object
}

pub(crate) fn get(state: &State, kind: &Kind, target: &Target, version: u64) -> Answer<Value> {
    let found = if version == u64::MAX {
        state.get(&key(&target.group, &target.resource, target.storage_namespace(), &target.name))
    } else {
        let all = state.list_at(&target.group, &target.resource, target.storage_namespace(), version);
        all.into_iter().find(|(key, _)| key.3 == target.name).map(|(_, object)| object)
    };
    let object = found.ok_or_else(|| Failure::not_found(kind, &target.name))?;
    Ok(present(kind, &object))
}

/// A list, or one page of it, as of a version.
pub(crate) fn list(state: &State, kind: &Kind, target: &Target, asked: &Asked, version: u64) -> Answer<Value> {
    let selector = Selector::parse(kind, asked)?;
    let (mut version, mut after) = (version.min(state.version), String::new());
    if !asked.param("continue").is_empty() {
        (version, after) = page(asked.param("continue"))?;
        if version < state.oldest {
            return Err(expired_page(&after));
        }
    }
    let all = state.list_at(&kind.group, &kind.plural, target.storage_namespace(), version);
    let position = |key: &super::store::Key| format!("{}/{}", key.2, key.3);
    let mut rest: Vec<_> = all
        .into_iter()
        .filter(|(key, object)| (after.is_empty() || position(key) > after) && selector.matches(object))
        .collect();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let limit: usize = asked.param("limit").parse().unwrap_or(0);
    if limit > 0 && rest.len() > limit {
        let left = rest.split_off(limit).len();
        let start = position(&rest[limit - 1].0);
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start});
        metadata["continue"] = json!(BASE64.encode(token.to_string()));
        if asked.param("labelSelector").is_empty() && asked.param("fieldSelector").is_empty() {
            metadata["remainingItemCount"] = json!(left);
        }
    } else if kind.custom {
        metadata["continue"] = json!("");
    }
    let items: Vec<Value> = rest
        .iter()
        .map(|(_, object)| {
            let mut object = present(kind, object);
            if !kind.custom {
                object.as_object_mut().unwrap().retain(|name, _| name != "apiVersion" && name != "kind");
            }
            object
        })
        .collect();
    let list_kind = format!("{}List", kind.kind);
    Ok(json!({"kind": list_kind, "apiVersion": kind.api_version(), "metadata": metadata, "items": items}))
}

fn page(token: &str) -> Answer<(u64, String)> {
    let read = || {
        let text = BASE64.decode(token).ok()?;
        let token: Value = serde_json::from_slice(&text).ok()?;
        Some((token["rv"].as_u64()?, token["start"].as_str()?.to_owned()))
    };
    let message =
        "invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value";
    read().ok_or_else(|| Failure::bad_request(message))
}

fn expired_page(_after: &str) -> Box<Failure> {
    Failure::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    )
}

/// A watch, from where it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) kind: Arc<Kind>,
    namespace: String,
    selector: Selector,
    /// What is sent at once.
    pub(crate) first: Vec<Value>,
    /// Up to which version everything was sent.
    pub(crate) version: u64,
    pub(crate) bookmarks: bool,
    pub(crate) timeout: Duration,
}

/// Begins a watch.
pub(crate) fn watch(state: &State, kind: &Arc<Kind>, target: &Target, asked: &Asked) -> Answer<Watch> {
    let selector = Selector::parse(kind, asked)?;
    let seconds: u64 = asked.param("timeoutSeconds").parse().unwrap_or(1800);
    let mut watch = Watch {
        kind: Arc::clone(kind),
        namespace: target.storage_namespace().to_owned(),
        selector,
        first: Vec::new(),
        version: state.version,
        bookmarks: asked.is_set("allowWatchBookmarks"),
        timeout: Duration::from_secs(seconds),
    };
    let version = asked.param("resourceVersion");
    let is_list = asked.is_set("sendInitialEvents");
    let is_fresh = version.is_empty() || version == "0";
    if is_list && asked.param("resourceVersionMatch") != "NotOlderThan" {
        let cause = super::status::Cause::forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
        return Err(Failure::invalid_as("meta.k8s.io", "ListOptions", "", &[cause]));
    }
    if !is_list && !is_fresh {
        let from: u64 = version.parse().map_err(|_| {
            let cause = super::status::Cause::invalid(
                "resourceVersion",
                &json!(version),
                &format!("strconv.ParseUint: parsing \"{version}\": invalid syntax"),
            );
            Failure::invalid_as("meta.k8s.io", "ListOptions", "", &[cause])
        })?;
        if from < state.oldest {
            watch.first.push(too_old(from, state.oldest));
            watch.timeout = Duration::ZERO;
        }
        watch.version = from;
        return Ok(watch);
    }
    for (_, object) in state.list(&kind.group, &kind.plural, &watch.namespace) {
        if watch.selector.matches(&object) {
            watch.first.push(json!({"type": "ADDED", "object": present(kind, &object)}));
        }
    }
    if is_list && watch.bookmarks {
        let mut bookmark = watch.bookmark(state.version);
        bookmark["object"]["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        watch.first.push(bookmark);
    }
    Ok(watch)
}

/// What a watch is told whose version is no longer known.
pub(crate) fn too_old(from: u64, oldest: u64) -> Value {
    let status = Failure::expired(&format!("too old resource version: {from} ({oldest})")).body();
    json!({"type": "ERROR", "object": status})
}

impl Watch {
    pub(crate) fn bookmark(&self, version: u64) -> Value {
        let kind = &self.kind;
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if kind.custom {
            metadata["creationTimestamp"] = Value::Null;
        }
        let object = json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata});
        json!({"type": "BOOKMARK", "object": object})
    }

    /// What happened since the last call.
    pub(crate) fn next(&mut self, state: &State) -> Vec<Value> {
        let from = state.log.partition_point(|event| event.version <= self.version);
        self.version = state.version;
        state.log[from..].iter().filter_map(|event| self.see(event)).collect()
    }

    fn see(&self, event: &Event) -> Option<Value> {
        let (group, resource, namespace, _) = &event.key;
        let is_mine = *group == self.kind.group
            && *resource == self.kind.plural
            && (self.namespace.is_empty() || *namespace == self.namespace);
        if !is_mine {
            return None;
        }
        let matches = |object: &Option<Arc<Value>>| object.as_ref().is_some_and(|one| self.selector.matches(one));
        let (what, object) = match (matches(&event.before), matches(&event.after)) {
            (false, true) => ("ADDED", &event.last),
            (true, true) => ("MODIFIED", &event.last),
            (true, false) if event.after.is_none() => ("DELETED", &event.last),
            // It no longer matches: to this watcher it is gone, in the state that he knew, at the new version.
            (true, false) => {
                let mut gone = present(&self.kind, event.before.as_ref()?);
                gone["metadata"]["resourceVersion"] = json!(event.version.to_string());
                return Some(json!({"type": "DELETED", "object": gone}));
            }
            (false, false) => return None,
        };
        Some(json!({"type": what, "object": present(&self.kind, object)}))
    }
}

/// What is left of a pod's log by the parameters of the request.
pub(crate) fn log(state: &State, target: &Target, asked: &Asked, pod: &Value) -> Answer<String> {
    let names: Vec<&str> = ["initContainers", "containers"]
        .iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .filter_map(|one| one["name"].as_str())
        .collect();
    let mut container = asked.param("container");
    if container.is_empty() {
        let [only] = names[..] else {
            let message = format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                target.name,
                names.join(" ")
            );
            return Err(Failure::bad_request(message));
        };
        container = only;
    }
    if !names.contains(&container) {
        let message = format!("container {container} is not valid for pod {}", target.name);
        return Err(Failure::bad_request(message));
    }
    let is_previous = asked.is_set("previous");
    let key = (target.namespace.clone(), target.name.clone(), container.to_owned(), is_previous);
    let Some(text) = state.logs.get(&key) else {
        if is_previous {
            let message = format!("previous terminated container \"{container}\" in pod \"{}\" not found", target.name);
            return Err(Failure::bad_request(message));
        }
        return Ok(String::new());
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let tail: usize = asked.param("tailLines").parse().unwrap_or(usize::MAX);
    Ok(lines[lines.len().saturating_sub(tail)..].concat())
}

/// The Scale of an object.
pub(crate) fn scale(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {}, "spec": {}, "status": {}});
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(name) {
            scale["metadata"][name] = value.clone();
        }
    }
    if let Some(replicas) = object["spec"].get("replicas").filter(|replicas| **replicas != 0) {
        scale["spec"]["replicas"] = replicas.clone();
    }
    scale["status"]["replicas"] = object["status"].get("replicas").cloned().unwrap_or_else(|| json!(0));
    let labels: BTreeMap<String, String> =
        serde_json::from_value(object["spec"]["selector"]["matchLabels"].clone()).unwrap_or_default();
    let selector: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !selector.is_empty() {
        scale["status"]["selector"] = json!(selector.join(","));
    }
    scale
}

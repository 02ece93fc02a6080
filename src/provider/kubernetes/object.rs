//! An object in a manifest, on the wire and in the records.

use serde_json::{Map, Value as Json, json};

use super::kinds::Kind;
use super::secret;
use crate::provider::{Act, Action};
use crate::value::{Kind as ValueKind, Value, from_json, to_json};

/// The annotation that says which act wrote an object last.
pub(super) const OP: &str = "gantry.dev/op";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What names an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// As written; `None` where the manifest leaves it to the provider or the kind has none.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Name {
    /// What a manifest, or an object, is called.
    pub(super) fn of(object: &Json) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            namespace: text("/metadata/namespace").filter(|text| !text.is_empty()),
            name: text("/metadata/name")?,
        })
    }

    /// For people: `Deployment shop/web`.
    pub(super) fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    /// With the namespace that it has in a cluster.
    pub(super) fn placed(mut self, kind: &Kind, default: &str) -> Self {
        self.namespace = match kind.namespaced {
            true => Some(self.namespace.unwrap_or_else(|| default.to_owned())),
            false => None,
        };
        self
    }
}

/// What finds an object again, as it is recorded.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) uid: String,
    /// The fields that were ours when it was applied, in the server's form (`fieldsV1`).
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) fields: Json,
    /// Earlier versions that still stand, the oldest first: of a configuration that has versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) versions: Vec<Version>,
}

/// An earlier version of an object, beside the present one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) uid: String,
}

impl Identity {
    pub(super) fn of(json: &Json) -> Option<Self> {
        serde_json::from_value(json.clone()).ok()
    }

    /// The identity of the object that an act changes.
    pub(super) fn changed_by(act: &Act) -> Option<Self> {
        let prior = act.prior.as_ref().filter(|_| act.action == Action::Update)?;
        Self::of(&prior.identity)
    }

    pub(super) fn name(&self) -> Name {
        Name {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// The identity of one of the versions.
    pub(super) fn at(&self, version: &Version) -> Self {
        Self {
            name: version.name.clone(),
            uid: version.uid.clone(),
            fields: Json::Null,
            versions: Vec::new(),
            ..self.clone()
        }
    }

    pub(super) fn json(&self) -> Json {
        serde_json::to_value(self).unwrap_or(Json::Null)
    }
}

/// A manifest as it is sent: in its namespace, with the act's mark and, for one that stands already, the uid that it must have.
pub(super) fn body(manifest: &Json, name: &Name, op: &str, uid: Option<&str>) -> Json {
    let mut body = secret::encoded(manifest);
    let metadata = entry(&mut body, "metadata");
    if let Some(namespace) = &name.namespace {
        metadata["namespace"] = json!(namespace);
    }
    if let Some(uid) = uid {
        metadata["uid"] = json!(uid);
    }
    entry(metadata, "annotations")[OP] = json!(op);
    body
}

fn entry<'j>(json: &'j mut Json, name: &str) -> &'j mut Json {
    if !json.get(name).is_some_and(Json::is_object) {
        json[name] = Json::Object(Map::new());
    }
    &mut json[name]
}

/// An object without what changes all the time and says nothing to people.
pub(super) fn stripped(object: &Json) -> Json {
    let mut out = object.clone();
    if let Some(metadata) = out.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Json::as_object_mut) {
            annotations.remove(OP);
            // It repeats the object, secrets and all.
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    out
}

/// The attributes of an object: what the configuration says, and what there is.
pub(super) fn attributes(given: &Value, manifest: Value, live: &Json) -> Value {
    let mut all = given.as_map().cloned().unwrap_or_default();
    let object = secret::marked(from_json(&stripped(live)), live, &manifest);
    all.insert("manifest".into(), manifest);
    all.insert("object".into(), object);
    let id = Name::of(live).map(|name| name.shown());
    all.insert("id".into(), id.map_or_else(|| Value::null(crate::value::Type::String), Value::string));
    Value::object(all)
}

/// The manifest of a planned object, as JSON. `None` while parts of it are unknown.
pub(super) fn manifest(planned: &Value) -> Option<Json> {
    let manifest = planned.get("manifest").filter(|m| m.is_wholly_known())?;
    matches!(manifest.kind, ValueKind::Object(_) | ValueKind::Map(..)).then(|| to_json(manifest))
}

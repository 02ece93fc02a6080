//! Secrets among the objects: what is never shown, and `stringData`, which the server takes and never gives back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use crate::value::{Kind, Value};

fn is_secret(object: &Json) -> bool {
    let text = |name: &str| object.get(name).and_then(Json::as_str);
    text("kind") == Some("Secret") && text("apiVersion") == Some("v1")
}

/// A manifest as the server keeps it: `stringData` is `data`.
pub(super) fn encoded(manifest: &Json) -> Json {
    let mut out = manifest.clone();
    if !is_secret(manifest) {
        return out;
    }
    let Some(Json::Object(texts)) = out.as_object_mut().and_then(|all| all.remove("stringData")) else { return out };
    if !out.get("data").is_some_and(Json::is_object) {
        out["data"] = Json::Object(serde_json::Map::new());
    }
    for (name, text) in texts {
        out["data"][&name] = Json::String(BASE64_STANDARD.encode(text.as_str().unwrap_or_default()));
    }
    out
}

/// The same back: what the configuration gives as text is text.
pub(super) fn decoded(observed: Json, given: &Json) -> Json {
    let (mut observed, texts) = (observed, given.get("stringData").and_then(Json::as_object));
    let Some(texts) = texts.filter(|_| is_secret(given)) else { return observed };
    let mut found = serde_json::Map::new();
    if let Some(data) = observed.get_mut("data").and_then(Json::as_object_mut) {
        for name in texts.keys() {
            let bytes = data.remove(name).and_then(|v| BASE64_STANDARD.decode(v.as_str()?).ok());
            if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                found.insert(name.clone(), Json::String(text));
            }
        }
        if data.is_empty() && given.get("data").is_none() {
            observed.as_object_mut().and_then(|all| all.remove("data"));
        }
    }
    observed["stringData"] = Json::Object(found);
    observed
}

/// An object's value with what is secret marked: what its manifest has marked, and all content of a Secret.
pub(super) fn marked(object: Value, live: &Json, manifest: &Value) -> Value {
    let object = alike(object, manifest);
    if !is_secret(live) {
        return object;
    }
    let Some(all) = object.as_map() else { return object };
    let one = |(name, value): (&std::sync::Arc<str>, &Value)| {
        let secret = matches!(&**name, "data" | "stringData");
        (name.clone(), if secret { each_sensitive(value) } else { value.clone() })
    };
    Value::object(all.iter().map(one).collect()).mark(object.marks)
}

/// What is in an object marked part by part: its names are no secret, and are needed where the rest is only a digest.
fn each_sensitive(value: &Value) -> Value {
    match value.as_map() {
        Some(all) => {
            let one = |(name, part): (&std::sync::Arc<str>, &Value)| (name.clone(), part.clone().sensitive());
            Value::object(all.iter().map(one).collect()).mark(value.marks)
        }
        None => value.clone().sensitive(),
    }
}

/// A value as JSON with something in the place of what is at hand as a digest only, so that its name is not lost.
pub(super) fn with_holes(value: &Value) -> Json {
    let filled = value.map_parts(&mut |part| if part.is_unknown() { Value::string(HOLE) } else { part });
    crate::value::to_json(&filled)
}

/// What stands for a secret that is not at hand. No cluster has it: a control character is in it.
const HOLE: &str = "\u{1}sealed";

/// A manifest's value with the content of a Secret marked, and what an earlier one had marked.
pub(super) fn manifest(value: Value, before: &Value) -> Value {
    let json = crate::value::to_json(&value);
    marked(value, &json, before)
}

/// A value with the marks of another at the same places. In a list that has a marked part everything is marked: which part of one
/// is which of the other cannot be told.
fn alike(value: Value, other: &Value) -> Value {
    let marks = value.marks.union(other.marks);
    match (&value.kind, other.as_map()) {
        (Kind::Object(all), Some(others)) => {
            let one = |(name, part): (&std::sync::Arc<str>, &Value)| {
                let part = part.clone();
                (name.clone(), others.get(name).map_or(part.clone(), |other| alike(part, other)))
            };
            Value::object(all.iter().map(one).collect()).mark(marks)
        }
        _ => {
            let deep = other.marks_deep();
            value.mark(marks.union(deep))
        }
    }
}

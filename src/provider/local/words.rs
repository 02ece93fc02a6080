//! Small words that the local types share: durations, digests, and values with their marks as JSON.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::value::{Kind, Number, Type, Value};

/// The SHA-256 of bytes as hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// The object with some attributes set.
pub(super) fn with<const N: usize>(object: &Value, set: [(&str, Value); N]) -> Value {
    let mut map = object.as_map().cloned().unwrap_or_default();
    for (name, value) in set {
        map.insert(name.into(), value);
    }
    Value::object(map)
}

/// The strings in a list, set or tuple.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_items).unwrap_or_default();
    items.iter().filter_map(|v| Some(v.as_str()?.to_owned())).collect()
}

/// The strings in a map or object, by name.
pub(super) fn string_map(value: Option<&Value>) -> Vec<(String, String)> {
    let Some(map) = value.and_then(Value::as_map) else { return Vec::new() };
    map.iter().filter_map(|(k, v)| Some(((**k).to_owned(), v.as_str()?.to_owned()))).collect()
}

const SENSITIVE: &str = "$sensitive";
const NUMBER: &str = "$number";

/// A known value as JSON that keeps its marks. Only for files of our own on this machine: secrets stand in it in clear.
pub(super) fn keep(value: &Value) -> Json {
    if value.marks.is_sensitive() {
        return json!({ SENSITIVE: keep(&Value::from(value.kind.clone())) });
    }
    match &value.kind {
        Kind::Null(_) | Kind::Unknown(_) => Json::Null,
        Kind::Bool(b) => Json::Bool(*b),
        Kind::Number(n) => json!({ NUMBER: n.to_string() }),
        Kind::String(s) => Json::String((**s).to_owned()),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items.iter().map(keep).collect(),
        Kind::Map(_, m) | Kind::Object(m) => {
            let name = |k: &Arc<str>| if k.starts_with('$') { format!("${k}") } else { (**k).to_owned() };
            Json::Object(m.iter().map(|(k, v)| (name(k), keep(v))).collect())
        }
    }
}

/// The value back from [`keep`], with collections as tuples and objects: to be converted to its type.
pub(super) fn kept(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(Type::Any),
        Json::Bool(b) => Value::bool(*b),
        Json::Number(n) => n.to_string().parse::<Number>().map_or_else(|_| Value::null(Type::Number), Value::number),
        Json::String(s) => Value::string(s.as_str()),
        Json::Array(items) => Value::tuple(items.iter().map(kept).collect::<Vec<_>>()),
        Json::Object(o) => {
            if o.len() == 1 {
                if let Some(inner) = o.get(SENSITIVE) {
                    return kept(inner).sensitive();
                }
                if let Some(Json::String(n)) = o.get(NUMBER) {
                    return n.parse::<Number>().map_or_else(|_| Value::null(Type::Number), Value::number);
                }
            }
            let name = |k: &str| Arc::from(k.strip_prefix('$').unwrap_or(k));
            Value::object(o.iter().map(|(k, v)| (name(k), kept(v))).collect())
        }
    }
}

/// The texts of everything sensitive in a value, longest first.
pub(super) fn secrets(value: &Value) -> Vec<String> {
    fn gather(value: &Value, inside: bool, found: &mut Vec<String>) {
        let inside = inside || value.marks.is_sensitive();
        match &value.kind {
            Kind::String(s) if inside && !s.is_empty() => found.push((**s).to_owned()),
            Kind::Number(n) if inside => found.push(n.to_string()),
            _ => value.children().for_each(|child| gather(child, inside, found)),
        }
    }
    let mut found = Vec::new();
    gather(value, false, &mut found);
    found.sort_by_key(|s| std::cmp::Reverse(s.len()));
    found.dedup();
    found
}

/// Text from outside with every secret in it replaced; a secret of several lines is looked for line by line as well.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut out = text.to_owned();
    for secret in secrets {
        out = out.replace(secret.as_str(), "(sensitive value)");
        for line in secret.lines().filter(|l| secret.contains('\n') && l.len() > 3) {
            out = out.replace(line, "(sensitive value)");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_the_file() {
        let value = Value::object_of([
            ("$sensitive", Value::string("mine")),
            ("secret", Value::string("hunter2").sensitive()),
            ("list", Value::tuple(vec![Value::number(2_i64), Value::bool(true), Value::null(Type::Any)])),
        ]);
        assert_eq!(kept(&keep(&value)), value);
        assert!(kept(&keep(&value)).get("secret").unwrap().marks.is_sensitive());
    }

    #[test]
    fn secrets_are_found_deep_and_taken_out() {
        let value = Value::object_of([
            ("a", Value::tuple(vec![Value::string("s3cret").sensitive()])),
            ("b", Value::object_of([("c", Value::string("s3cret-longer"))]).sensitive()),
            ("d", Value::string("plain")),
        ]);
        let found = secrets(&value);
        assert_eq!(found, ["s3cret-longer", "s3cret"]);
        assert_eq!(redact("x s3cret-longer y s3cret plain", &found), "x (sensitive value) y (sensitive value) plain");
    }

    #[test]
    fn a_program_cannot_pretend_to_a_mark() {
        let value = crate::value::from_json(&json!({ "$sensitive": "x", "$hmac": "y" }));
        assert_eq!(value.get("$hmac"), Some(&Value::string("y")));
        assert!(value.marks_deep().is_empty());
    }
}

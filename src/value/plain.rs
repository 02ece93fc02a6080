//! Values and plain JSON, for targets that speak JSON themselves. Types and marks stay behind.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Kind, Map, Number, Type, Value};

/// A value as plain JSON. Attributes that are null, or not known, are left out; a number that JSON has no exact form for is the
/// nearest that it has.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match &value.kind {
        Kind::Null(_) | Kind::Unknown(_) => Json::Null,
        Kind::Bool(b) => Json::Bool(*b),
        Kind::Number(n) => {
            let exact = serde_json::from_str::<serde_json::Number>(&n.to_string()).ok();
            exact.or_else(|| serde_json::Number::from_f64(n.to_f64())).map_or(Json::Null, Json::Number)
        }
        Kind::String(s) => Json::String((**s).to_owned()),
        Kind::List(_, items) | Kind::Tuple(items) | Kind::Set(_, items) => {
            Json::Array(items.iter().map(to_json).collect())
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            let given = m.iter().filter(|(_, value)| !value.is_null() && !value.is_unknown());
            Json::Object(given.map(|(name, value)| ((**name).to_owned(), to_json(value))).collect())
        }
    }
}

/// Plain JSON as a value: objects and tuples, as a configuration that says the same has them.
#[must_use]
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(Type::Any),
        Json::Bool(b) => Value::bool(*b),
        Json::Number(n) => n.to_string().parse::<Number>().map_or_else(|_| Value::null(Type::Number), Value::number),
        Json::String(s) => Value::string(s.as_str()),
        Json::Array(items) => Value::tuple(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(o) => Value::object(o.iter().map(|(k, v)| (Arc::from(k.as_str()), from_json(v))).collect::<Map>()),
    }
}

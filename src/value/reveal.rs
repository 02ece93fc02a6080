//! Secrets of which only digests are at hand, found again in what somebody tells now.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{HMAC, Kind, Map, Seal, Value, encode};

/// A recorded object with its secrets opened where `source` has a value of the same digest.
#[must_use]
pub fn reveal(recorded: &Value, source: &Value, seal: Seal<'_>) -> Value {
    if let Some(digest) = recorded.sealed_digest() {
        let known = source.is_wholly_known() && !source.is_null();
        let candidate = source.clone().sensitive();
        let same = known && encode(&candidate, seal).get(HMAC).and_then(Json::as_str) == Some(&**digest);
        return if same { candidate } else { recorded.clone() };
    }
    let kind = match (&recorded.kind, &source.kind) {
        (Kind::Object(r), Kind::Object(s) | Kind::Map(_, s)) => Kind::Object(Arc::new(reveal_map(r, s, seal))),
        (Kind::Map(ty, r), Kind::Object(s) | Kind::Map(_, s)) => {
            Kind::Map(ty.clone(), Arc::new(reveal_map(r, s, seal)))
        }
        (Kind::List(ty, r), Kind::List(_, s) | Kind::Tuple(s)) => Kind::List(ty.clone(), reveal_items(r, s, seal)),
        (Kind::Tuple(r), Kind::List(_, s) | Kind::Tuple(s)) => Kind::Tuple(reveal_items(r, s, seal)),
        _ => return recorded.clone(),
    };
    Value { kind, marks: recorded.marks }
}

fn reveal_map(recorded: &Map, source: &Map, seal: Seal<'_>) -> Map {
    let one =
        |name: &Arc<str>, value: &Value| source.get(name).map_or_else(|| value.clone(), |s| reveal(value, s, seal));
    recorded.iter().map(|(name, value)| (name.clone(), one(name, value))).collect()
}

fn reveal_items(recorded: &[Value], source: &[Value], seal: Seal<'_>) -> Arc<[Value]> {
    recorded
        .iter()
        .enumerate()
        .map(|(n, value)| source.get(n).map_or_else(|| value.clone(), |s| reveal(value, s, seal)))
        .collect()
}

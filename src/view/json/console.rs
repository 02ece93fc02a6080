//! What expressions give, for programs: one object for each.

use serde_json::{Value as Json, json};

use super::values::{known, sensitive, unknown};
use crate::value::{Marks, Type, Value};
use crate::view::human;

/// A value with its type, and where it is sensitive or not known (as plans have `after_sensitive` and `after_unknown`).
#[must_use]
pub fn console_value(value: &Value) -> Json {
    json!({
        "type": value.ty().to_string(),
        "value": known(&veiled(value)),
        "sensitive": sensitive(value),
        "unknown": unknown(value),
    })
}

/// What is ephemeral is shown to programs as little as to people.
fn veiled(value: &Value) -> Value {
    value.map_parts(&mut |part| if part.marks.has(Marks::EPHEMERAL) { part.sensitive() } else { part })
}

/// A type that was asked for: as the console prints it.
#[must_use]
pub fn console_type(ty: &Type) -> Json {
    json!({ "type": "type", "value": human::type_of(ty) })
}

/// Help.
#[must_use]
pub fn console_text(text: &str) -> Json {
    json!({ "type": "help", "value": text })
}

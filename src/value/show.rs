//! Values as text for messages, plans and the console, in the language's own syntax. Sensitive ones are never shown.

use std::fmt::Write as _;

use super::{Kind, Value, escape};

/// How deep a value is indented per level.
const INDENT: usize = 2;

/// A value in the language's syntax: one line for what is small, several for collections. `(sensitive value)` and
/// `(known after apply)` stand for what cannot be shown.
#[must_use]
pub fn show(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0);
    out
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    if value.marks.is_sensitive() {
        out.push_str("(sensitive value)");
        return;
    }
    match &value.kind {
        Kind::Null(_) => out.push_str("null"),
        Kind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Kind::Number(n) => {
            let _ = write!(out, "{n}");
        }
        Kind::String(s) => quote(out, s),
        Kind::Unknown(_) => out.push_str("(known after apply)"),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            if items.is_empty() {
                out.push_str("[]");
                return;
            }
            out.push_str("[\n");
            for item in items.iter() {
                pad(out, depth + 1);
                write_value(out, item, depth + 1);
                out.push_str(",\n");
            }
            pad(out, depth);
            out.push(']');
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            if m.is_empty() {
                out.push_str("{}");
                return;
            }
            out.push_str("{\n");
            for (name, item) in m.iter() {
                pad(out, depth + 1);
                quote(out, name);
                out.push_str(" = ");
                write_value(out, item, depth + 1);
                out.push('\n');
            }
            pad(out, depth);
            out.push('}');
        }
    }
}

fn pad(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

/// Appends a string as the language quotes it.
fn quote(out: &mut String, text: &str) {
    let _ = write!(out, "\"{}\"", escape(text));
}

//! The order of a set's elements: Terraform's, since people see it wherever a set becomes a list.
//!
//! Primitives are ordered by value. For what has parts go-cty calls its order undefined, but it is one: that of the texts which
//! it hashes elements by. What is null, then what is not known, comes last.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::{Kind, Value};

/// The order of two elements of a set.
pub(super) fn in_set(a: &Value, b: &Value) -> Ordering {
    let last = |v: &Value| match v.kind {
        Kind::Unknown(_) => 1,
        Kind::Null(_) => 2,
        _ => 0,
    };
    let parts = |v: &Value| !matches!(v.kind, Kind::Bool(_) | Kind::Number(_) | Kind::String(_));
    let by_content = || match parts(a) && parts(b) {
        true => hashed(a).cmp(&hashed(b)).then_with(|| a.cmp(b)),
        false => a.cmp(b),
    };
    last(a).cmp(&last(b)).then_with(by_content)
}

fn hashed(value: &Value) -> String {
    let mut out = String::new();
    write_hashed(&mut out, value);
    out
}

fn write_hashed(out: &mut String, value: &Value) {
    let mut within = |open: char, close: char| {
        out.push(open);
        for child in value.children() {
            write_hashed(out, child);
            out.push(';');
        }
        out.push(close);
    };
    match &value.kind {
        Kind::List(..) | Kind::Set(..) => within('[', ']'),
        Kind::Tuple(_) | Kind::Object(_) => within('<', '>'),
        Kind::Map(_, m) => {
            out.push('{');
            for (name, item) in m.iter() {
                let _ = write!(out, "{name:?}:");
                write_hashed(out, item);
                out.push(';');
            }
            out.push('}');
        }
        Kind::Unknown(_) => out.push('?'),
        Kind::Null(_) => out.push('~'),
        Kind::Bool(b) => out.push(if *b { 'T' } else { 'F' }),
        Kind::Number(n) => {
            let _ = write!(out, "{n}");
        }
        Kind::String(s) => {
            let _ = write!(out, "{s:?}");
        }
    }
}

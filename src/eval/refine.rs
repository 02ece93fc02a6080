//! What is known of a function's result while its arguments are not.

use crate::value::{Kind, Number, Refinement, Type, Value};

/// Functions whose result may be null, or is one of the arguments or of their parts, about which nothing is promised.
const MAY_BE_NULL: [&str; 15] = [
    "element",
    "ephemeralasnull",
    "jsondecode",
    "lookup",
    "nonsensitive",
    "one",
    "provider::terraform::decode_expr",
    "sensitive",
    "tobool",
    "tolist",
    "tomap",
    "tonumber",
    "toset",
    "tostring",
    "yamldecode",
];

/// What a call promises of its result, by the function's name and its arguments as converted to the parameters' types.
pub(super) fn of_call(name: &str, arguments: &[Value]) -> Refinement {
    match (name, arguments) {
        ("abs", _) => Refinement::between(Some(Number::from(0_i64)), None),
        ("length", [value]) => {
            let (shortest, longest) = value.length_bounds();
            Refinement::between(Some(Number::from(shortest)), longest.map(Number::from))
        }
        ("sort", [list]) => {
            let (shortest, longest) = list.length_bounds();
            Refinement::length(shortest, longest)
        }
        ("jsonencode", [value]) => Refinement::prefix(json_prefix(value)),
        ("format", [format, ..]) => {
            let text = format.as_str().unwrap_or_default();
            Refinement::prefix(text.split('%').next().unwrap_or_default())
        }
        (name, _) if MAY_BE_NULL.contains(&name) => Refinement::default(),
        _ => Refinement::not_null(),
    }
}

/// What a call gives although not all of its arguments are known.
pub(super) fn decided(name: &str, arguments: &[Value]) -> Option<Value> {
    match (name, arguments) {
        ("startswith", [text, prefix]) if text.is_unknown() => {
            let prefix = prefix.as_str()?;
            let known = text.range().prefix;
            let end = known.bytes().zip(prefix.bytes()).take_while(|(a, b)| a == b).count();
            (end == prefix.len() || end < known.len()).then(|| Value::bool(end == prefix.len()))
        }
        ("anytrue", [list]) => list.as_items()?.iter().any(|v| v.as_bool() == Some(true)).then(|| Value::bool(true)),
        ("index", [list, value]) if !list.is_wholly_known() || !value.is_wholly_known() => {
            let same = list.as_items()?.iter().map(|v| super::operator::equal(v, value));
            let (position, found) = same.enumerate().find(|(_, same)| *same != Some(false))?;
            (found == Some(true)).then(|| Value::number(position))
        }
        _ => None,
    }
}

/// Functions that only look at a set or hand it on whole.
const TAKE_OPEN_SETS: [&str; 8] =
    ["contains", "ephemeralasnull", "issensitive", "length", "nonsensitive", "sensitive", "tolist", "toset"];

/// An argument as a function gets it. A set with elements that are not known is itself not known to most of them: its
/// elements may turn out equal, so there is nothing to walk over.
pub(super) fn argument(name: &str, value: Value) -> Value {
    if value.is_wholly_known() || TAKE_OPEN_SETS.contains(&name) {
        return value;
    }
    value.map_parts(&mut |part| match &part.kind {
        Kind::Set(t, items) if !items.iter().all(Value::is_wholly_known) => {
            let (shortest, longest) = part.length_bounds();
            let set = Value::opaque(Type::set(t.clone())).refined(&Refinement::length(shortest, longest));
            set.mark(part.marks)
        }
        _ => part,
    })
}

/// How the JSON of a value begins: `{` of what will be an object and is not null.
fn json_prefix(value: &Value) -> &'static str {
    if !value.is_never_null() {
        return "";
    }
    match value.ty() {
        Type::Object(_) | Type::Map(_) => "{",
        Type::Tuple(_) | Type::List(_) | Type::Set(_) => "[",
        // A quotation mark may be followed by a mark that combines with it only in theory; JSON escapes none.
        Type::String => "\"",
        _ => "",
    }
}

//! What is asked of a provider, and what its answer has to be: pure.
//!
//! Planned values hold parts that are known after apply. Those that other steps answer are filled in before the act;
//! those that the act itself will answer (its own computed attributes) go to the provider as null and may come back as
//! anything. Every other part was planned as known, so the answer has to agree with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::results::describe;
use crate::addr::Address;
use crate::provider::{Action, Mode, ResourceSchema};
use crate::value::{
    Kind, Map, Marks, Path, PathStep, Results, Type, Unfinished, Unknown, Value, convert, encode, show,
};

/// How many hexadecimal digits an act's identity has: it fits every target's idempotency token and label.
const OP_DIGITS: usize = 26;

/// How deep a path in an error goes: deeper is never needed to find the place.
const PATH_DEPTH: usize = 16;

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The digest of what is asked for: its encoding, with secrets sealed, and what finds the object that it is asked of.
pub(crate) fn request_digest(planned: &Value, identity: Option<&Json>, seal: &dyn Fn(&[u8]) -> String) -> String {
    let mut text = encode(planned, seal).to_string();
    if let Some(identity) = identity {
        text.push('\n');
        text.push_str(&identity.to_string());
    }
    sha256(text.as_bytes())
}

/// The identity of an act: the same for every attempt at the same act, also after a crash, and never that of another act.
/// An address may hold any character, but what stands around it has fixed forms, so that two texts are equal only for equal
/// parts. An unwinding may have to do once more what the run did and took back; its acts have identities of their own.
pub(crate) fn op(
    lineage: &str,
    address: &Address,
    generation: u64,
    action: &str,
    unwinding: bool,
    request: &str,
) -> String {
    let back = if unwinding { "back " } else { "" };
    let mut digits = sha256(format!("{lineage}|{address}|{generation}|{back}{action}|{request}").as_bytes());
    digits.truncate(OP_DIGITS);
    digits
}

/// What an act asks for and what its answer has to be.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// For the provider: all known, what it will answer itself null.
    pub(crate) request: Value,
    /// For the comparison: the same, with what it will answer itself unknown.
    pub(crate) expected: Value,
}

/// Fills in what other steps answered.
pub(crate) fn fill_in(planned: &Value, own: &Address, results: &dyn Results) -> Result<Asked, Unfinished> {
    if planned.is_wholly_known() {
        return Ok(Asked { request: planned.clone(), expected: planned.clone() });
    }
    let expected = fill(planned, own, results)?;
    let request = expected.map_parts(&mut |part| match &part.kind {
        Kind::Unknown(unknown) => Value::null(unknown.ty.clone()).mark(part.marks),
        _ => part,
    });
    Ok(Asked { request, expected })
}

/// A planned value with everything in it that is not the node's own to answer.
fn fill(planned: &Value, own: &Address, results: &dyn Results) -> Result<Value, Unfinished> {
    let list = |items: &[Value]| items.iter().map(|v| fill(v, own, results)).collect::<Result<Arc<[Value]>, _>>();
    let map = |m: &Map| {
        let all = m.iter().map(|(k, v)| Ok((k.clone(), fill(v, own, results)?)));
        all.collect::<Result<Map, Unfinished>>().map(Arc::new)
    };
    let kind = match &planned.kind {
        Kind::Unknown(unknown) if is_own(unknown, own) => return Ok(planned.clone()),
        Kind::Unknown(unknown) => return finish_part(planned, &unknown.ty, results),
        // A set is filled in as a whole, for it shows only then how many elements it has.
        Kind::Set(t, items) if !planned.is_wholly_known() => match items.iter().any(|item| has_own(item, own)) {
            true => Kind::Set(t.clone(), list(items)?),
            false => return finish_part(planned, &planned.ty(), results),
        },
        Kind::List(t, items) => Kind::List(t.clone(), list(items)?),
        Kind::Tuple(items) => Kind::Tuple(list(items)?),
        Kind::Map(t, m) => Kind::Map(t.clone(), map(m)?),
        Kind::Object(m) => Kind::Object(map(m)?),
        other => other.clone(),
    };
    Ok(Value { kind, marks: planned.marks })
}

fn has_own(value: &Value, own: &Address) -> bool {
    match &value.kind {
        Kind::Unknown(unknown) => is_own(unknown, own),
        _ => value.children().any(|child| has_own(child, own)),
    }
}

/// Whether a part is answered by the node's own act.
fn is_own(unknown: &Unknown, own: &Address) -> bool {
    let Some(residual) = &unknown.residual else { return true };
    let mut needs = BTreeSet::new();
    residual.needs(&mut needs);
    needs.contains(own)
}

fn finish_part(part: &Value, ty: &Type, results: &dyn Results) -> Result<Value, Unfinished> {
    let value = part.finish(results)?;
    let value = convert(&value, ty).map_err(|e| Unfinished {
        summary: "Unsuitable value".into(),
        detail: format!("A value that became known during the apply has another type than was planned: {e}."),
    })?;
    if value.is_wholly_known() {
        return Ok(value);
    }
    let detail = "A value that was to become known during the apply is still not known.";
    Err(Unfinished { summary: "Value not available".into(), detail: detail.into() })
}

/// Fills in all of a value: nothing in it may stay unknown.
pub(crate) fn finish_all(value: &Value, results: &dyn Results) -> Result<Value, Unfinished> {
    let finished = value.finish(results)?;
    if finished.is_wholly_known() {
        return Ok(finished);
    }
    let detail = "A value that was to become known during the apply is still not known.";
    Err(Unfinished { summary: "Value not available".into(), detail: detail.into() })
}

/// A provider's answer as the run goes on with it: of the schema's type, with the marks of what was asked for and of the
/// schema.
///
/// # Errors
/// With a sentence that names the attribute, when the answer contradicts what was planned as known.
pub(crate) fn accept(
    answered: &Value,
    expected: &Value,
    schema: Option<&ResourceSchema>,
    action: Action,
) -> (Value, Result<(), String>) {
    let typed = match schema.map(|s| convert(answered, &s.object_type())) {
        Some(Ok(typed)) => typed,
        Some(Err(e)) => {
            let marked = mark_like(answered, expected, schema);
            let path = if e.path.0.is_empty() { String::new() } else { format!("{}: ", e.path) };
            return (marked, Err(format!("its answer does not have the type's shape ({path}{})", e.message)));
        }
        None => answered.clone(),
    };
    let marked = mark_like(&typed, expected, schema);
    let verdict = match contradiction(expected, &marked, schema, action) {
        Some((path, want, got)) => Err(describe_contradiction(&path, &want, &got)),
        None => Ok(()),
    };
    (marked, verdict)
}

fn describe_contradiction(path: &Path, want: &Value, got: &Value) -> String {
    if want.marks_deep().is_sensitive() || got.marks_deep().is_sensitive() {
        return format!("{path} is not what was planned (both values are sensitive)");
    }
    format!("{path} was planned as {}, and it answered {}", describe(&show(want)), describe(&show(got)))
}

/// The first place in which the answer differs from what was planned as known.
fn contradiction(
    expected: &Value,
    answered: &Value,
    schema: Option<&ResourceSchema>,
    action: Action,
) -> Option<(Path, Value, Value)> {
    let (Some(want), Some(got)) = (expected.as_map(), answered.as_map()) else { return None };
    for (name, want) in want {
        let attribute = schema.and_then(|s| s.attributes.get(&**name));
        let open = attribute.is_some_and(|a| {
            // A computed null says only that nothing was planned; a staged version has its own.
            (want.is_null() && a.mode != Mode::Optional && a.mode != Mode::Required)
                || (a.staged && action == Action::Stage)
                || a.ignored
        });
        if open || schema.is_some_and(|s| s.blocks.get(&**name).is_some_and(|b| b.ignored)) {
            continue;
        }
        let path = Path::attribute(name.clone());
        let Some(got) = got.get(name) else {
            if want.is_null() || want.is_unknown() {
                continue;
            }
            return Some((path, want.clone(), Value::null(want.ty())));
        };
        let normalise = |value: &Value| match attribute.and_then(|a| a.normalise) {
            Some(normalise) if value.is_wholly_known() => normalise(value),
            _ => value.clone(),
        };
        if let Some(found) = differs(&normalise(want), &normalise(got), &path) {
            return Some(found);
        }
    }
    None
}

fn differs(want: &Value, got: &Value, path: &Path) -> Option<(Path, Value, Value)> {
    let here = || Some((path.clone(), want.clone(), got.clone()));
    // Null is null, of whatever type each side takes it for.
    if want.is_unknown() || path.0.len() > PATH_DEPTH || (want.is_null() && got.is_null()) {
        return None;
    }
    if want.is_wholly_known() {
        let (plain_want, _) = want.unmark_deep();
        let (plain_got, _) = got.unmark_deep();
        if plain_want == plain_got {
            return None;
        }
    }
    match (&want.kind, &got.kind) {
        (Kind::Object(w), Kind::Object(g)) | (Kind::Map(_, w), Kind::Map(_, g)) => {
            let missing = Value::null(crate::value::Type::Any);
            for (name, want) in w.iter() {
                let got = g.get(name).unwrap_or(&missing);
                // In nested blocks null says that nothing was planned.
                if want.is_null() {
                    continue;
                }
                if let Some(found) = differs(want, got, &path.then(PathStep::Attribute(name.clone()))) {
                    return Some(found);
                }
            }
            let surplus = matches!(want.kind, Kind::Map(..)) && g.keys().any(|k| !w.contains_key(k));
            if surplus { here() } else { None }
        }
        (Kind::List(_, w) | Kind::Tuple(w), Kind::List(_, g) | Kind::Tuple(g)) if w.len() == g.len() => w
            .iter()
            .zip(g.iter())
            .enumerate()
            .find_map(|(i, (want, got))| differs(want, got, &path.then(PathStep::Index(i)))),
        // A set with parts that are known later only cannot be compared element by element.
        (Kind::Set(..), Kind::Set(..)) if !want.is_wholly_known() => None,
        _ => here(),
    }
}

/// The answer with the marks of what was asked for, part by part, and those that the schema asks for.
fn mark_like(answered: &Value, expected: &Value, schema: Option<&ResourceSchema>) -> Value {
    let marked = if expected.marks_deep().is_empty() { answered.clone() } else { copy_marks(answered, expected) };
    let Some(schema) = schema else { return marked };
    let Kind::Object(attributes) = &marked.kind else { return marked };
    let mut attributes: Map = (**attributes).clone();
    for (name, _) in schema.attributes.iter().filter(|(_, a)| a.sensitive) {
        if let Some(value) = attributes.get_mut(name).filter(|v| !v.is_null()) {
            value.marks = value.marks.union(Marks::SENSITIVE);
        }
    }
    Value::object(attributes).mark(marked.marks)
}

fn copy_marks(to: &Value, from: &Value) -> Value {
    let kind = match (&to.kind, &from.kind) {
        (Kind::Object(t), Kind::Object(f) | Kind::Map(_, f)) => Kind::Object(Arc::new(copy_map(t, f))),
        (Kind::Map(ty, t), Kind::Object(f) | Kind::Map(_, f)) => Kind::Map(ty.clone(), Arc::new(copy_map(t, f))),
        (Kind::List(ty, t), Kind::List(_, f) | Kind::Tuple(f)) => Kind::List(ty.clone(), copy_items(t, f)),
        (Kind::Tuple(t), Kind::List(_, f) | Kind::Tuple(f)) => Kind::Tuple(copy_items(t, f)),
        (other, _) => other.clone(),
    };
    let mut value = Value { kind, marks: to.marks.union(from.marks) };
    // An answer that has no such part as was asked for keeps the secret's mark as a whole.
    if !same_shape(&to.kind, &from.kind) && from.marks_deep().is_sensitive() {
        value = value.mark(Marks::SENSITIVE);
    }
    value
}

fn same_shape(a: &Kind, b: &Kind) -> bool {
    let mapping = |k: &Kind| matches!(k, Kind::Object(_) | Kind::Map(..));
    let row = |k: &Kind| match k {
        Kind::List(_, items) | Kind::Tuple(items) => Some(items.len()),
        _ => None,
    };
    (mapping(a) && mapping(b)) || (row(a).is_some() && row(a) == row(b))
}

fn copy_map(to: &Map, from: &Map) -> Map {
    to.iter().map(|(k, v)| (k.clone(), from.get(k).map_or_else(|| v.clone(), |f| copy_marks(v, f)))).collect()
}

fn copy_items(to: &[Value], from: &[Value]) -> Arc<[Value]> {
    to.iter().enumerate().map(|(i, v)| from.get(i).map_or_else(|| v.clone(), |f| copy_marks(v, f))).collect()
}

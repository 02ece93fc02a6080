//! Going into values: attributes, indexes, steps of a reference.

use super::Step;
use super::evaluate::{Evaluated, shown};
use crate::addr::Key;
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::value::{Kind, Type, Value, convert};

/// What a value gives behind the steps of a reference.
pub(super) fn steps(value: Value, steps: &[Step], span: Span) -> Evaluated {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Attribute(name) => attribute(&value, name, span),
        Step::Index(Key::Index(n)) => index(&value, &number(*n), span),
        Step::Index(Key::Name(name)) => index(&value, &Value::string(name.clone()), span),
    })
}

fn number(n: u64) -> Value {
    let exact = i64::try_from(n).ok().map(crate::value::Number::from);
    let number = exact.or_else(|| n.to_string().parse().ok());
    number.map_or_else(|| Value::opaque(Type::Number), Value::number)
}

/// `value.name`
pub(super) fn attribute(value: &Value, name: &str, span: Span) -> Evaluated {
    let found = match &value.kind {
        Kind::Object(m) | Kind::Map(_, m) => match m.get(name) {
            Some(found) => found.clone(),
            None => {
                let what =
                    if matches!(value.kind, Kind::Map(..)) { "map has no element" } else { "object has no attribute" };
                let detail = format!("This {what} named \"{name}\".");
                return Err(unsupported(detail, span).map_hint(meant(value, name, m)));
            }
        },
        Kind::Unknown(u) => match &u.ty {
            Type::Any => Value::opaque(Type::Any),
            Type::Map(t) => Value::opaque((**t).clone()),
            Type::Object(all) => match all.get(name) {
                Some(a) => Value::opaque(a.ty.clone()),
                None => {
                    let names = all.keys().map(|k| &**k);
                    return Err(unsupported(format!("This object has no attribute named \"{name}\"."), span)
                        .map_hint(did_you_mean(name, names)));
                }
            },
            other => return Err(unsupported(format!("A {} has no attributes.", other.friendly()), span)),
        },
        Kind::Null(_) => {
            let detail = "This value is null, so it has no attributes.";
            return Err(Box::new(Diagnostic::error("Attempt to get attribute from null value", detail).at(span)));
        }
        Kind::Tuple(_) | Kind::List(..) => {
            // `a.0` is the legacy index; with a name, people mostly forgot which element they mean.
            let detail = format!(
                "A {} has no attributes. To take \"{name}\" of one element, name it: [0].{name}; of each: [*].{name}.",
                value.ty().friendly()
            );
            return Err(unsupported(detail, span));
        }
        _ => return Err(unsupported(format!("A {} has no attributes.", value.ty().friendly()), span)),
    };
    Ok(found.mark(value.marks))
}

trait MapHint {
    fn map_hint(self, hint: Option<String>) -> Self;
}

impl MapHint for Box<Diagnostic> {
    fn map_hint(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }
}

fn unsupported(detail: String, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("Unsupported attribute", detail).at(span))
}

/// What may have been meant by a name that an object or map does not have; nothing where its names are not to be shown.
fn meant(value: &Value, name: &str, m: &crate::value::Map) -> Option<String> {
    if !value.marks.is_empty() {
        return None;
    }
    did_you_mean(name, m.keys().map(|k| &**k)).or_else(|| listing(m.keys()))
}

/// "It has: a, b, c." for objects small enough to list.
fn listing<'a>(names: impl ExactSizeIterator<Item = &'a std::sync::Arc<str>>) -> Option<String> {
    const MOST: usize = 12;
    if names.len() == 0 || names.len() > MOST {
        return None;
    }
    Some(format!("It has: {}.", names.map(|n| &**n).collect::<Vec<_>>().join(", ")))
}

/// `value[key]`
pub(super) fn index(value: &Value, key: &Value, span: Span) -> Evaluated {
    let marks = value.marks.union(key.marks);
    let invalid = |detail: String| Box::new(Diagnostic::error("Invalid index", detail).at(span).hint_opt(shown(key)));
    if value.is_null() {
        let detail = "This value is null, so it has no elements.";
        return Err(Box::new(Diagnostic::error("Attempt to index null value", detail).at(span)));
    }
    if key.is_null() {
        return Err(invalid("The key of an index must not be null.".into()));
    }
    if let Some(found) = index_unknown(value, key, &invalid)? {
        return Ok(found.mark(marks));
    }
    let found = match &value.kind {
        Kind::List(_, items) | Kind::Tuple(items) => {
            let position = convert(key, &Type::Number).ok().and_then(|n| n.as_number().cloned());
            let Some(position) = position else {
                return Err(invalid(format!("A {} is indexed by a whole number.", value.ty().friendly())));
            };
            match position.to_u64().and_then(|n| usize::try_from(n).ok()).and_then(|n| items.get(n)) {
                Some(item) => item.clone(),
                None => {
                    let have = match items.len() {
                        0 => "it has no elements".to_owned(),
                        1 => "it has one element, number 0".to_owned(),
                        n => format!("it has {n} elements, numbers 0 to {}", n - 1),
                    };
                    let which = if key.marks.is_empty() { position.to_string() } else { "of this number".to_owned() };
                    return Err(invalid(format!("There is no element {which} in this collection: {have}.")));
                }
            }
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            let name = convert(key, &Type::String).ok().and_then(|v| v.as_str().map(str::to_owned));
            let Some(name) = name else {
                return Err(invalid(format!("A {} is indexed by a string.", value.ty().friendly())));
            };
            match m.get(&name) {
                Some(item) => item.clone(),
                None => {
                    // The key is part of the message, and the hint would give it away, so neither names a sensitive one.
                    let secret = !key.marks.is_empty();
                    let hint = if secret { None } else { meant(value, &name, m) };
                    let which = if secret { "this key".to_owned() } else { format!("the key {name:?}") };
                    let detail = format!("There is no element with {which} in this collection.");
                    return Err(Box::new(Diagnostic::error("Invalid index", detail).at(span).hint_opt(hint)));
                }
            }
        }
        Kind::Set(..) => return Err(invalid(SET_INDEX.into())),
        _ => return Err(invalid(format!("A {} has no elements.", value.ty().friendly()))),
    };
    Ok(found.mark(marks))
}

const SET_INDEX: &str = "The elements of a set have neither keys nor an order. Make it a list with tolist() first.";

/// `value[key]` where one of the two is known after apply; `None` where both are known. Neither is null.
fn index_unknown(
    value: &Value,
    key: &Value,
    invalid: &dyn Fn(String) -> Box<Diagnostic>,
) -> Result<Option<Value>, Box<Diagnostic>> {
    if !value.is_unknown() && !key.is_unknown() {
        return Ok(None);
    }
    let open = |ty: &Type| Ok(Some(Value::opaque(ty.clone())));
    let ty = value.ty();
    if ty == Type::Any || key.ty() == Type::Any {
        return open(&Type::Any);
    }
    let as_key = |wanted: Type| {
        convert(key, &wanted).map_err(|_| {
            let what = if wanted == Type::Number { "a whole number" } else { "a string" };
            invalid(format!("A {} is indexed by {what}.", ty.friendly()))
        })
    };
    match &ty {
        Type::List(t) => as_key(Type::Number).and_then(|_| open(t)),
        Type::Map(t) => as_key(Type::String).and_then(|_| open(t)),
        Type::Tuple(all) => {
            let key = as_key(Type::Number)?;
            let Some(position) = key.as_number() else { return open(&Type::Any) };
            match position.to_u64().and_then(|n| usize::try_from(n).ok()).and_then(|n| all.get(n)) {
                Some(t) => open(t),
                None => Err(invalid(format!("There is no element {position}: this tuple has {}.", all.len()))),
            }
        }
        Type::Object(all) => {
            let key = as_key(Type::String)?;
            let Some(name) = key.as_str() else { return open(&Type::Any) };
            match all.get(name) {
                Some(a) => open(&a.ty),
                None => Err(invalid(format!("There is no element with the key {name:?} in this object."))
                    .map_hint(did_you_mean(name, all.keys().map(|k| &**k)))),
            }
        }
        Type::Set(_) => Err(invalid(SET_INDEX.into())),
        _ => Err(invalid(format!("A {} has no elements.", ty.friendly()))),
    }
}

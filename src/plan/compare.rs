//! Where two objects differ, secrets compared by their digests.

use crate::value::{Kind, Marks, Path, PathStep, Seal, Value, encode};

/// `value` with the marks that `like` has at the same places, and its own.
pub(super) fn align(value: &Value, like: &Value) -> Value {
    let mut out = value.clone().mark(like.marks);
    let kind = match (&value.kind, &like.kind) {
        (Kind::Object(a), Kind::Object(b) | Kind::Map(_, b)) => Kind::Object(std::sync::Arc::new(align_map(a, b))),
        (Kind::Map(t, a), Kind::Object(b) | Kind::Map(_, b)) => {
            Kind::Map(t.clone(), std::sync::Arc::new(align_map(a, b)))
        }
        (Kind::List(t, a), Kind::List(_, b) | Kind::Tuple(b)) => Kind::List(t.clone(), align_items(a, b)),
        (Kind::Tuple(a), Kind::List(_, b) | Kind::Tuple(b)) => Kind::Tuple(align_items(a, b)),
        _ => return out,
    };
    out.kind = kind;
    out
}

fn align_map(a: &crate::value::Map, b: &crate::value::Map) -> crate::value::Map {
    a.iter().map(|(k, v)| (k.clone(), b.get(k).map_or_else(|| v.clone(), |like| align(v, like)))).collect()
}

fn align_items(a: &[Value], b: &[Value]) -> std::sync::Arc<[Value]> {
    let pairs = a.iter().enumerate();
    pairs.map(|(i, v)| b.get(i).map_or_else(|| v.clone(), |like| align(v, like))).collect()
}

/// Whether two values are the same for a target: marks aside, secrets by digest. What is not known is not the same.
pub(super) fn same(a: &Value, b: &Value, seal: Seal<'_>) -> bool {
    match (a.sealed_digest(), b.sealed_digest()) {
        (Some(x), Some(y)) => return x == y,
        (Some(x), None) => return !b.is_unknown() && digest(b, seal) == **x,
        (None, Some(y)) => return !a.is_unknown() && digest(a, seal) == **y,
        (None, None) => {}
    }
    match (&a.kind, &b.kind) {
        (Kind::Unknown(_), _) | (_, Kind::Unknown(_)) => false,
        (Kind::Null(_), Kind::Null(_)) => true,
        (Kind::List(_, x), Kind::List(_, y))
        | (Kind::Tuple(x), Kind::Tuple(y))
        | (Kind::Set(_, x), Kind::Set(_, y)) => {
            x.len() == y.len() && x.iter().zip(y.iter()).all(|(x, y)| same(x, y, seal))
        }
        (Kind::Map(_, x), Kind::Map(_, y)) | (Kind::Object(x), Kind::Object(y)) => {
            x.keys().eq(y.keys()) && x.values().zip(y.values()).all(|(x, y)| same(x, y, seal))
        }
        _ => unmarked(a) == unmarked(b),
    }
}

/// Whether one of two values is sensitive in a part where the other is not, so that a record of the one is wrong for the other.
pub(super) fn marks_differ(a: &Value, b: &Value) -> bool {
    if a.is_null() || b.is_null() {
        return false;
    }
    if a.marks.is_sensitive() || b.marks.is_sensitive() {
        return a.marks.is_sensitive() != b.marks.is_sensitive();
    }
    match (&a.kind, &b.kind) {
        (Kind::List(_, x) | Kind::Tuple(x), Kind::List(_, y) | Kind::Tuple(y)) => {
            x.iter().zip(y.iter()).any(|(x, y)| marks_differ(x, y))
        }
        (Kind::Map(_, x) | Kind::Object(x), Kind::Map(_, y) | Kind::Object(y)) => {
            x.iter().any(|(name, x)| y.get(name).is_some_and(|y| marks_differ(x, y)))
        }
        _ => false,
    }
}

/// The keyed digest that a value would be recorded as if it were sensitive.
fn digest(value: &Value, seal: Seal<'_>) -> String {
    let (plain, _) = value.unmark_deep();
    seal(encode(&plain, seal).to_string().as_bytes())
}

/// Without marks on the value as a whole.
fn unmarked(value: &Value) -> Value {
    Value { kind: value.kind.clone(), marks: Marks::NONE }
}

/// The ways to the parts in which two values differ, outermost differing collections opened where both have the part.
pub(super) fn differences(a: &Value, b: &Value, at: &Path, seal: Seal<'_>, found: &mut Vec<Path>) {
    if same(a, b, seal) {
        return;
    }
    match (&a.kind, &b.kind) {
        (Kind::Object(x), Kind::Object(y)) => {
            for (name, v) in x.iter() {
                let step = at.then(PathStep::Attribute(name.clone()));
                match y.get(name) {
                    Some(w) => differences(v, w, &step, seal, found),
                    None => found.push(step),
                }
            }
            for name in y.keys().filter(|n| !x.contains_key(n)) {
                found.push(at.then(PathStep::Attribute(name.clone())));
            }
        }
        _ => found.push(at.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Type;

    fn seal(bytes: &[u8]) -> String {
        format!("{:?}", bytes.len())
    }

    #[test]
    fn a_secret_equals_its_own_digest() {
        let secret = Value::string("hunter2").sensitive();
        let recorded = crate::value::decode(&encode(&secret, &seal), &Type::String).unwrap();
        assert!(same(&secret, &recorded, &seal));
        assert!(same(&Value::string("hunter3").sensitive(), &recorded, &seal), "the test's digest is the length only");
        assert!(!same(&Value::string("longer than that").sensitive(), &recorded, &seal));
    }

    #[test]
    fn differences_are_named_inside_objects() {
        let a = Value::object_of([("x", Value::number(1_i64)), ("y", Value::string("a"))]);
        let b = Value::object_of([("x", Value::number(1_i64)), ("y", Value::string("b"))]);
        let mut found = Vec::new();
        differences(&a, &b, &Path::default(), &seal, &mut found);
        assert_eq!(found, [Path::attribute("y")]);
    }
}

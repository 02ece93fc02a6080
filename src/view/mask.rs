//! What may not be shown is masked before anything else looks at it.
//!
//! Values carry their own marks. A type's schema may say that an attribute is never shown as well; a value that came from a
//! target carries no mark for that, so the views put it on first.

use std::sync::Arc;

use crate::addr::{Address, NodeKind};
use crate::plan::Plan;
use crate::value::{Kind, Map, Value};

/// What stands for a value that is not shown.
pub const SENSITIVE: &str = "(sensitive value)";
/// What stands for a value that nobody knows yet.
pub const UNKNOWN: &str = "(known after apply)";

/// A node's object with the marks that its type's schema asks for.
#[must_use]
pub fn masked(plan: &Plan, address: &Address, value: &Value) -> Value {
    let schema = match address.kind {
        NodeKind::Resource => plan.schemas.get(&*address.ty),
        NodeKind::Data => plan.schemas.get(&format!("data.{}", address.ty)).or_else(|| plan.schemas.get(&*address.ty)),
        _ => None,
    };
    let Some(schema) = schema else { return value.clone() };
    let mut out = value.clone();
    let mut levels = vec![(Vec::new(), &schema.attributes, &schema.blocks)];
    while let Some((way, attributes, blocks)) = levels.pop() {
        for (name, attribute) in attributes {
            if attribute.sensitive {
                out = mark(&out, &way, name);
            }
        }
        for (name, block) in blocks {
            let deeper: Vec<&str> = way.iter().copied().chain([&**name]).collect();
            levels.push((deeper, &block.attributes, &block.blocks));
        }
    }
    out
}

/// Marks the attribute `name` of every object at the end of `way`; items of collections on the way all count.
fn mark(value: &Value, way: &[&str], name: &str) -> Value {
    let mut out = value.clone();
    match &value.kind {
        Kind::Object(m) => {
            let mut m = Map::clone(m);
            let key = way.first().copied().unwrap_or(name);
            if let Some(part) = m.get_mut(key) {
                *part = if way.is_empty() { part.clone().sensitive() } else { mark(part, &way[1..], name) };
            }
            out.kind = Kind::Object(Arc::new(m));
        }
        Kind::Map(t, m) => {
            let items = m.iter().map(|(k, v)| (k.clone(), mark(v, way, name))).collect();
            out.kind = Kind::Map(t.clone(), Arc::new(items));
        }
        Kind::List(t, items) => out.kind = Kind::List(t.clone(), mark_items(items, way, name)),
        Kind::Tuple(items) => out.kind = Kind::Tuple(mark_items(items, way, name)),
        // Which member of a set is which hangs on its parts, so the marks of members are the set's, as everywhere.
        Kind::Set(_, items) if mark_items(items, way, name) != *items => return out.sensitive(),
        _ => {}
    }
    out
}

fn mark_items(items: &[Value], way: &[&str], name: &str) -> Arc<[Value]> {
    items.iter().map(|v| mark(v, way, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Type;
    use crate::view::samples::{CANARY, object, string};

    #[test]
    fn a_mark_finds_its_way_through_collections() {
        let user = || object([("name", string("u")), ("password", string(CANARY))]);
        let ty = user().ty();
        for users in [
            Value::tuple([user()]),
            Value::list(ty.clone(), [user()]),
            Value::map(ty.clone(), Map::from([("k".into(), user())])),
            Value::set(Type::Any, [user()]),
            user(),
        ] {
            let marked = mark(&object([("users", users), ("x", string("shown"))]), &["users"], "password");
            let text = crate::value::show(&marked);
            assert!(!text.contains(CANARY) && text.contains("shown"), "{text}");
        }
    }
}

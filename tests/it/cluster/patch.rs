//! The patches that are no apply: JSON merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge (the common part:
//! lists by their merge key, `$patch`, `$retainKeys` ignored).

use serde_json::{Map, Value};

use super::schema::Ty;

/// RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, one) in patch {
        let members = target.as_object_mut().unwrap();
        if one.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), one);
        }
    }
}

/// RFC 6902; none if an operation does not fit.
pub(crate) fn json_patch(target: &mut Value, operations: &Value) -> Option<()> {
    for one in operations.as_array()? {
        let path = one["path"].as_str()?;
        match one["op"].as_str()? {
            "add" => add(target, path, one.get("value")?.clone())?,
            "remove" => drop(remove(target, path)?),
            "replace" => *target.pointer_mut(path)? = one.get("value")?.clone(),
            "test" => (target.pointer(path)? == one.get("value")?).then_some(())?,
            "move" => {
                let value = remove(target, one["from"].as_str()?)?;
                add(target, path, value)?;
            }
            "copy" => {
                let value = target.pointer(one["from"].as_str()?)?.clone();
                add(target, path, value)?;
            }
            _ => return None,
        }
    }
    Some(())
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(members) => drop(members.insert(last, value)),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let at: usize = last.parse().ok()?;
            (at <= items.len()).then(|| items.insert(at, value))?;
        }
        _ => return None,
    }
    Some(())
}

fn remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(members) => members.remove(&last),
        Value::Array(items) => {
            let at: usize = last.parse().ok()?;
            (at < items.len()).then(|| items.remove(at))
        }
        _ => None,
    }
}

/// Strategic merge.
pub(crate) fn strategic(ty: &Ty, target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").is_some_and(|directive| directive == "replace") || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, one) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        let member = ty.member(name);
        let members = target.as_object_mut().unwrap();
        if one.is_null() {
            members.remove(name);
            continue;
        }
        let slot = members.entry(name.clone()).or_insert(Value::Null);
        match (member.resolved(), one) {
            (Ty::List { item, merge_key: Some(key), .. }, Value::Array(patches)) => {
                strategic_items(item, key, slot, patches);
            }
            (_, Value::Object(_)) => strategic(&member, slot, one),
            _ => *slot = one.clone(),
        }
    }
}

/// New items come first, as the real one has it.
fn strategic_items(item: &Ty, key: &str, slot: &mut Value, patches: &[Value]) {
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    let items = slot.as_array_mut().unwrap();
    let mut fresh = Vec::new();
    for patch in patches {
        let found = match key {
            "" => items.iter().position(|one| one == patch),
            _ => items.iter().position(|one| one[key] == patch[key]),
        };
        match (found, patch["$patch"] == "delete") {
            (Some(at), true) => drop(items.remove(at)),
            (None, true) => {}
            (Some(at), false) => strategic(item, &mut items[at], patch),
            (None, false) => {
                let mut one = Value::Null;
                strategic(item, &mut one, patch);
                fresh.push(one);
            }
        }
    }
    fresh.append(items);
    *items = fresh;
}

//! Values and addresses in Terraform's JSON representations.

use std::collections::BTreeMap;

use serde_json::{Map as JsonMap, Value as Json, json};

use crate::addr::{Address, Key, ModulePath, NodeKind};
use crate::value::{Kind, Type, Value, encode_shape};
use crate::view::mask::SENSITIVE;

/// A value as plain JSON: what is sensitive masked, attributes that are not known left out, items that are not known null.
pub(super) fn known(value: &Value) -> Json {
    if value.marks.is_sensitive() {
        return if value.is_null() { Json::Null } else { json!(SENSITIVE) };
    }
    match &value.kind {
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items.iter().map(known).collect(),
        Kind::Map(_, m) | Kind::Object(m) => {
            let there = m.iter().filter(|(_, v)| !v.is_unknown() || v.marks.is_sensitive());
            Json::Object(there.map(|(k, v)| ((**k).to_owned(), known(v))).collect())
        }
        _ => encode_shape(value),
    }
}

/// Where a value is not known, in Terraform's shape: `true` there, objects without what is known, lists with every item.
pub(super) fn unknown(value: &Value) -> Json {
    shape(value, &|v| v.is_unknown())
}

/// Where a value is sensitive, in the same shape.
pub(super) fn sensitive(value: &Value) -> Json {
    shape(value, &|v| v.marks.is_sensitive())
}

fn shape(value: &Value, is: &dyn Fn(&Value) -> bool) -> Json {
    if is(value) {
        return json!(true);
    }
    match &value.kind {
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items.iter().map(|v| shape(v, is)).collect(),
        Kind::Map(_, m) | Kind::Object(m) => {
            let parts = m.iter().map(|(k, v)| ((**k).to_owned(), shape(v, is)));
            Json::Object(parts.filter(|(_, part)| *part != json!(false)).collect())
        }
        Kind::Unknown(unknown) => match unknown.ty {
            Type::List(_) | Type::Set(_) | Type::Tuple(_) => json!([]),
            Type::Map(_) | Type::Object(_) => json!({}),
            _ => json!(false),
        },
        _ => json!(false),
    }
}

/// `managed` or `data`.
pub(super) fn mode(address: &Address) -> &'static str {
    if address.kind == NodeKind::Data { "data" } else { "managed" }
}

/// A key as JSON: a number or a string; null without one.
pub(super) fn index(key: Option<&Key>) -> Json {
    match key {
        None => Json::Null,
        Some(Key::Index(n)) => json!(n),
        Some(Key::Name(name)) => json!(&**name),
    }
}

/// A provider's name in documents. Types that Terraform has built in carry its provider's name, so that rules which look at it hold.
pub(super) fn provider(ty: &str, name: &str) -> String {
    if ty == "terraform_data" { "terraform.io/builtin/terraform".into() } else { format!("builtin/{name}") }
}

/// What every resource's entry starts with.
pub(super) fn entry(address: &Address, provider_name: &str) -> JsonMap<String, Json> {
    let mut out = JsonMap::new();
    out.insert("address".into(), json!(address.to_string()));
    out.insert("mode".into(), json!(mode(address)));
    out.insert("type".into(), json!(&*address.ty));
    out.insert("name".into(), json!(&*address.name));
    if address.key.is_some() {
        out.insert("index".into(), index(address.key.as_ref()));
    }
    out.insert("provider_name".into(), json!(provider(&address.ty, provider_name)));
    out
}

/// Resources by module, as `planned_values` and `values` have them.
pub(super) fn module_tree(resources: Vec<(Address, Json)>) -> Json {
    let mut modules: BTreeMap<ModulePath, Vec<Json>> = BTreeMap::new();
    for (address, entry) in resources {
        let mut path = address.module.clone();
        modules.entry(path.clone()).or_default().push(entry);
        // Modules that hold only modules have to be there as well.
        while let Some((parent, _)) = path.parent() {
            modules.entry(parent.clone()).or_default();
            path = parent;
        }
    }
    let mut built: BTreeMap<ModulePath, Vec<Json>> = BTreeMap::new();
    // A module's path sorts before those of the modules in it, so from the back every module is complete when it is built.
    while let Some((path, resources)) = modules.pop_last() {
        let mut module = JsonMap::new();
        if !path.is_root() {
            module.insert("address".into(), json!(path.to_string()));
        }
        if !resources.is_empty() {
            module.insert("resources".into(), Json::Array(resources));
        }
        if let Some(mut children) = built.remove(&path) {
            children.reverse();
            module.insert("child_modules".into(), Json::Array(children));
        }
        match path.parent() {
            Some((parent, _)) => built.entry(parent).or_default().push(Json::Object(module)),
            None => return Json::Object(module),
        }
    }
    json!({})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_nest_also_through_empty_ones() {
        let entry = |text: &str| (text.parse::<Address>().unwrap(), json!(text));
        let tree = module_tree(vec![entry("a.x"), entry("module.m.module.n[\"k\"].a.y"), entry("module.z.a.w")]);
        assert_eq!(
            tree,
            json!({
                "resources": ["a.x"],
                "child_modules": [
                    { "address": "module.m", "child_modules": [
                        { "address": "module.m.module.n[\"k\"]", "resources": ["module.m.module.n[\"k\"].a.y"] },
                    ] },
                    { "address": "module.z", "resources": ["module.z.a.w"] },
                ],
            })
        );
    }
}

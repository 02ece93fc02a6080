//! Sets of fields as `managedFields` writes them, and how they are taken from values.
//!
//! The set is the tree of `fieldsV1` itself: an edge is `f:name`, `k:{"name":"c"}` or `v:"one"`, and a node that is a
//! member of the set with others below it has `.`. The algorithms are those of sigs.k8s.io/structured-merge-diff.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::schema::{ListKind, Struct, Ty};

/// What of the metadata no manager ever owns.
pub(crate) const UNOWNED: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) member: bool,
    pub(crate) below: BTreeMap<String, Fields>,
}

impl Fields {
    pub(crate) fn parse(value: &Value) -> Self {
        let Some(object) = value.as_object() else { return Self::default() };
        let below: BTreeMap<_, _> =
            object.iter().filter(|(key, _)| *key != ".").map(|(key, one)| (key.clone(), Self::parse(one))).collect();
        Self { member: object.contains_key(".") || below.is_empty(), below }
    }

    /// As `fieldsV1` of a whole object.
    pub(crate) fn json(&self) -> Value {
        let mut object = Map::new();
        if self.member && !self.below.is_empty() {
            object.insert(".".into(), json!({}));
        }
        for (edge, one) in &self.below {
            object.insert(edge.clone(), one.json());
        }
        Value::Object(object)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut below = self.below.clone();
        for (edge, one) in &other.below {
            let merged = below.get(edge).map_or_else(|| one.clone(), |mine| mine.union(one));
            below.insert(edge.clone(), merged);
        }
        Self { member: self.member || other.member, below }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine && theirs, false)
    }

    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine && !theirs, true)
    }

    fn combine(&self, other: &Self, member: fn(bool, bool) -> bool, keep_alone: bool) -> Self {
        let mut below = BTreeMap::new();
        for (edge, one) in &self.below {
            let combined = match other.below.get(edge) {
                Some(theirs) => one.combine(theirs, member, keep_alone),
                None if keep_alone => one.clone(),
                None => continue,
            };
            if !combined.is_empty() {
                below.insert(edge.clone(), combined);
            }
        }
        Self { member: member(self.member, other.member), below }
    }

    /// With the named fields of structs that only lead to members, as members.
    pub(crate) fn with_named(&self, ty: &Ty) -> Self {
        let named = ty.as_struct().map(|one| &one.fields);
        let below = self.below.iter().map(|(edge, one)| {
            let name = edge.strip_prefix("f:").unwrap_or_default();
            let mut one = one.with_named(&ty.member(name));
            one.member |= named.is_some_and(|fields| fields.contains_key(name));
            (edge.clone(), one)
        });
        Self { member: self.member, below: below.collect() }
    }

    /// Without whatever lies at or below the members of `other`.
    pub(crate) fn without_below(&self, other: &Self) -> Self {
        if other.member {
            return Self::default();
        }
        let mut out = Self { member: self.member, below: BTreeMap::new() };
        for (edge, one) in &self.below {
            let kept = other.below.get(edge).map_or_else(|| one.clone(), |theirs| one.without_below(theirs));
            if !kept.is_empty() {
                out.below.insert(edge.clone(), kept);
            }
        }
        out
    }

    /// Only what lies at or below one edge of the root.
    pub(crate) fn retain_roots(&mut self, keep: impl Fn(&str) -> bool) {
        self.below.retain(|edge, _| keep(edge));
    }

    /// What no manager ever owns.
    pub(crate) fn strip(&mut self) {
        self.member = false;
        self.below.remove("f:apiVersion");
        self.below.remove("f:kind");
        if let Some(metadata) = self.below.get_mut("f:metadata") {
            metadata.member = false;
            for name in UNOWNED {
                metadata.below.remove(&format!("f:{name}"));
            }
            if metadata.below.is_empty() {
                self.below.remove("f:metadata");
            }
        }
    }

    /// The members as paths, in the order of the real one: first those of a node, then what lies deeper.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut Vec<String>) {
        for (edge, one) in &self.below {
            if one.member {
                paths.push(format!("{prefix}{}", step(edge)));
            }
        }
        for (edge, one) in &self.below {
            one.collect(&format!("{prefix}{}", step(edge)), paths);
        }
    }
}

/// An edge as a conflict prints it.
fn step(edge: &str) -> String {
    match edge.split_at(2) {
        ("f:", name) => format!(".{name}"),
        ("k:", keys) => {
            let keys: Value = serde_json::from_str(keys).unwrap_or_default();
            let pairs: Vec<String> =
                keys.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        ("v:", value) => format!("[={value}]"),
        (_, index) => format!("[{index}]"),
    }
}

/// The edge to an item of a list that is no atomic one; none if its keys are missing and have no default.
pub(crate) fn item_edge(kind: &ListKind, item_ty: &Ty, item: &Value) -> Option<String> {
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => Some(format!("v:{item}")),
        ListKind::Keys(names) => {
            let shape = item_ty.as_struct();
            let mut keys = Map::new();
            for name in names {
                let value = item.get(name).filter(|value| !value.is_null()).cloned();
                if let Some(value) = value.or_else(|| default_key(shape?, name)) {
                    keys.insert(name.clone(), value);
                }
            }
            // Sorted, whichever map serde_json was built with.
            let sorted: BTreeMap<_, _> = keys.iter().collect();
            (!keys.is_empty()).then(|| format!("k:{}", json!(sorted)))
        }
    }
}

fn default_key(shape: &Struct, name: &str) -> Option<Value> {
    if let Some(default) = shape.defaults.get(name) {
        return Some(default.clone());
    }
    // A required key of a Go struct is its zero value where nothing was said; a custom resource has none.
    let required = shape.go && shape.required.iter().any(|one| one == name);
    required.then(|| if matches!(shape.fields.get(name), Some(Ty::Int)) { json!(0) } else { json!("") })
}

/// What a value sets: the set of fields of one that is applied.
pub(crate) fn set_of(ty: &Ty, value: &Value) -> Fields {
    let mut fields = Fields::default();
    if ty.is_leaf(value) {
        fields.member = true;
        return fields;
    }
    match (ty.resolved(), value) {
        (Ty::List { item, kind, .. }, Value::Array(items)) => {
            for one in items {
                if let Some(edge) = item_edge(kind, item, one) {
                    let mut below = set_of(item, one);
                    below.member = true;
                    fields.below.insert(edge, below);
                }
            }
        }
        (ty, Value::Object(members)) => {
            let named = ty.as_struct().map(|one| &one.fields);
            for (name, one) in members {
                let mut below = set_of(&ty.member(name), one);
                let is_named = named.is_some_and(|fields| fields.contains_key(name));
                let is_empty = one.is_null() || one.as_object().is_some_and(Map::is_empty);
                below.member |= !is_named || is_empty;
                if !below.is_empty() {
                    fields.below.insert(format!("f:{name}"), below);
                }
            }
        }
        _ => {}
    }
    fields
}

/// What became different from one value to the next.
#[derive(Default)]
pub(crate) struct Change {
    /// Added or modified.
    pub(crate) set: Fields,
    pub(crate) removed: Fields,
}

/// Compares two values of a type.
pub(crate) fn compare(ty: &Ty, old: Option<&Value>, new: Option<&Value>) -> Change {
    let mut change = Change::default();
    let (any_old, any_new) = (old.filter(|one| !one.is_null()), new.filter(|one| !one.is_null()));
    // A field that is there as null is there.
    let is_null = old.is_none() && new.is_some_and(Value::is_null);
    let Some(shape) = any_new.or(any_old).or(new.filter(|_| is_null)) else { return change };
    let is_leaf = ty.is_leaf(shape) || any_old.is_some_and(|old| ty.is_leaf(old));
    match (old, any_new) {
        (None, Some(_)) => change.set.member = true,
        _ if any_new.is_none() && is_null => change.set.member = true,
        (Some(old), None) if !old.is_null() && *old != json!({}) => change.removed.member = true,
        (Some(old), Some(new)) if is_leaf && old != new => change.set.member = true,
        _ => {}
    }
    if is_leaf {
        return change;
    }
    let (before, after) = (children(ty, any_old, old.is_some()), children(ty, any_new, false));
    for edge in before.keys().chain(after.keys()) {
        let child_ty = match edge.strip_prefix("f:") {
            Some(name) => ty.member(name),
            None => ty.member(""),
        };
        let old = before.get(edge).copied();
        let below = compare(&child_ty, old, after.get(edge).copied());
        if !below.set.is_empty() {
            change.set.below.insert(edge.clone(), below.set);
        }
        if !below.removed.is_empty() {
            change.removed.below.insert(edge.clone(), below.removed);
        }
    }
    change
}

/// The children of a value by their edges. A Go value that is there has its structs and its required lists too, so that
/// to set something below them does not set themselves.
fn children<'a>(ty: &Ty, value: Option<&'a Value>, is_there: bool) -> BTreeMap<String, &'a Value> {
    static NOTHING: Value = Value::Null;
    static EMPTY: OnceLock<Value> = OnceLock::new();
    let empty = EMPTY.get_or_init(|| json!({}));
    let mut children = BTreeMap::new();
    if let (Ty::List { item, kind, .. }, Some(Value::Array(items))) = (ty.resolved(), value) {
        for one in items {
            if let Some(edge) = item_edge(kind, item, one) {
                children.insert(edge, one);
            }
        }
    }
    if let Some(Value::Object(members)) = value {
        children.extend(members.iter().map(|(name, one)| (format!("f:{name}"), one)));
    }
    if is_there && let Some(shape) = ty.as_struct() {
        let lists = shape
            .required
            .iter()
            .filter(|name| matches!(shape.fields.get(*name).map(Ty::resolved), Some(Ty::List { .. } | Ty::Map { .. })));
        // The lists of a custom resource are absent until somebody sets them.
        let lists = lists.filter(|_| shape.go);
        for name in lists {
            children.entry(format!("f:{name}")).or_insert(&NOTHING);
        }
        for name in &shape.zero {
            children.entry(format!("f:{name}")).or_insert(empty);
        }
    }
    children
}

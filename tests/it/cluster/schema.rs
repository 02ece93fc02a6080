//! What a kind looks like: the types of its fields, how its lists merge, and which resources are served.
//!
//! `schema.json` was read off a real API server (1.36) by `schema.py`: the OpenAPI types in a short notation, and the
//! discovery of each kind. A CustomResourceDefinition's schema is turned into the same types.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};

/// The type of a value.
#[derive(Clone, Debug)]
pub(crate) enum Ty {
    String,
    Int,
    Number,
    Bool,
    Quantity,
    IntOrString,
    Time,
    /// Nothing is known: objects merge by their keys, lists are replaced.
    Any,
    Ref(String),
    Struct(Arc<Struct>),
    Map {
        item: Box<Ty>,
        atomic: bool,
    },
    List {
        item: Box<Ty>,
        kind: ListKind,
        merge_key: Option<String>,
    },
    /// Replaced as a whole.
    Atomic(Box<Ty>),
}

/// How two lists of a type become one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListKind {
    Atomic,
    Set,
    Keys(Vec<String>),
}

/// A type with named fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struct {
    pub(crate) fields: BTreeMap<String, Ty>,
    pub(crate) required: Vec<String>,
    /// Fields which a Go value always has, as an empty struct where nothing was said.
    pub(crate) zero: Vec<String>,
    /// What a missing field is, as far as keys of lists need it.
    pub(crate) defaults: Map<String, Value>,
    pub(crate) atomic: bool,
    /// Fields that are not named are kept.
    pub(crate) open: bool,
    /// A Go type of Kubernetes itself, not a part of a custom resource.
    pub(crate) go: bool,
    /// From a CustomResourceDefinition: the schema to validate and default by.
    pub(crate) custom: Option<Value>,
}

/// What stands below a resource: `status`, `scale`, `log` and so on.
#[derive(Clone, Debug)]
pub(crate) struct Sub {
    pub(crate) name: String,
    pub(crate) json: Value,
}

/// A resource that is served.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subs: Vec<Sub>,
    pub(crate) ty: Ty,
    pub(crate) custom: bool,
}

impl Kind {
    /// `apps/v1`
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Deployment.apps`
    pub(crate) fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    pub(crate) fn has_sub(&self, name: &str) -> bool {
        self.subs.iter().any(|sub| sub.name == name)
    }
}

struct BuiltIn {
    kinds: Vec<Arc<Kind>>,
    types: BTreeMap<String, Ty>,
}

fn built_in() -> &'static BuiltIn {
    static BUILT_IN: OnceLock<BuiltIn> = OnceLock::new();
    BUILT_IN.get_or_init(|| {
        let all: Value = serde_json::from_str(include_str!("schema.json")).unwrap();
        let types = all["types"].as_object().unwrap();
        let types = types.iter().map(|(name, one)| (name.clone(), Ty::Struct(Arc::new(struct_of(one))))).collect();
        let kinds = all["kinds"].as_array().unwrap().iter().map(|one| Arc::new(kind_of(one))).collect();
        BuiltIn { kinds, types }
    })
}

/// The kinds that every cluster has.
pub(crate) fn kinds() -> Vec<Arc<Kind>> {
    built_in().kinds.clone()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn kind_of(one: &Value) -> Kind {
    let subs = one["subs"].as_array().unwrap().iter();
    Kind {
        group: text(&one["group"]),
        version: text(&one["version"]),
        plural: text(&one["plural"]),
        singular: text(&one["singular"]),
        kind: text(&one["kind"]),
        namespaced: one["namespaced"] == true,
        verbs: texts(&one["verbs"]),
        short: texts(&one["short"]),
        categories: texts(&one["categories"]),
        subs: subs.map(|sub| Sub { name: text(&sub["name"]), json: sub.clone() }).collect(),
        ty: Ty::Ref(text(&one["type"])),
        custom: false,
    }
}

fn struct_of(one: &Value) -> Struct {
    Struct {
        fields: one["p"].as_object().unwrap().iter().map(|(name, ty)| (name.clone(), ty_of(ty))).collect(),
        required: texts(&one["r"]),
        zero: texts(&one["z"]),
        defaults: one["d"].as_object().cloned().unwrap_or_default(),
        atomic: one["a"] == 1,
        go: true,
        ..Struct::default()
    }
}

fn ty_of(one: &Value) -> Ty {
    if let Some(short) = one.as_str() {
        return match short {
            "s" => Ty::String,
            "i" => Ty::Int,
            "n" => Ty::Number,
            "b" => Ty::Bool,
            "q" => Ty::Quantity,
            "x" => Ty::IntOrString,
            "t" => Ty::Time,
            "*" => Ty::Any,
            _ => Ty::Ref(short[1..].to_owned()),
        };
    }
    let item = Box::new(ty_of(&one["i"]));
    if one["list"] == 1 {
        let kind = match one.get("k") {
            Some(keys) => ListKind::Keys(texts(keys)),
            None if one["set"] == 1 => ListKind::Set,
            None => ListKind::Atomic,
        };
        return Ty::List { item, kind, merge_key: one["m"].as_str().map(str::to_owned) };
    }
    if one["map"] == 1 { Ty::Map { item, atomic: one["a"] == 1 } } else { Ty::Atomic(item) }
}

impl Ty {
    /// References followed.
    pub(crate) fn resolved(&self) -> &Self {
        match self {
            Self::Ref(name) => built_in().types.get(name).unwrap_or_else(|| panic!("no type {name}")),
            other => other,
        }
    }

    /// The type with named fields behind it.
    pub(crate) fn as_struct(&self) -> Option<&Struct> {
        match self.resolved() {
            Self::Struct(one) => Some(one),
            Self::Atomic(inner) => inner.as_struct(),
            _ => None,
        }
    }

    /// Whether values of this type are owned and replaced as a whole.
    pub(crate) fn is_leaf(&self, value: &Value) -> bool {
        match self.resolved() {
            Self::Struct(one) => one.atomic || !value.is_object(),
            Self::Map { atomic, .. } => *atomic || !value.is_object(),
            Self::List { kind, .. } => *kind == ListKind::Atomic || !value.is_array(),
            Self::Any => !value.is_object(),
            _ => true,
        }
    }

    /// The type of the member `name` of a value of this type.
    pub(crate) fn member(&self, name: &str) -> Self {
        match self.resolved() {
            Self::Struct(one) => one.fields.get(name).cloned().unwrap_or(Self::Any),
            Self::Map { item, .. } | Self::List { item, .. } => (**item).clone(),
            Self::Atomic(inner) => inner.member(name),
            _ => Self::Any,
        }
    }
}

/// The kinds that a CustomResourceDefinition brings.
pub(crate) fn custom_kinds(definition: &Value) -> Vec<Arc<Kind>> {
    let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
    let versions = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    versions
        .map(|version| {
            let mut subs = Vec::new();
            for name in ["status", "scale"] {
                if version["subresources"].get(name).is_some() {
                    subs.push(Sub { name: name.into(), json: custom_sub(name, names) });
                }
            }
            let verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
            Arc::new(Kind {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                plural: text(&names["plural"]),
                singular: names["singular"].as_str().map_or_else(|| text(&names["kind"]).to_lowercase(), str::to_owned),
                kind: text(&names["kind"]),
                namespaced: spec["scope"] == "Namespaced",
                verbs: verbs.map(str::to_owned).to_vec(),
                short: texts(&names["shortNames"]),
                categories: texts(&names["categories"]),
                subs,
                ty: custom_root(&version["schema"]["openAPIV3Schema"]),
                custom: true,
            })
        })
        .collect()
}

fn custom_sub(name: &str, names: &Value) -> Value {
    let mut sub = json!({"name": name, "kind": names["kind"], "verbs": ["get", "patch", "update"]});
    if name == "scale" {
        sub["kind"] = json!("Scale");
        sub["group"] = json!("autoscaling");
        sub["version"] = json!("v1");
    }
    sub
}

fn custom_root(schema: &Value) -> Ty {
    let Ty::Struct(root) = custom_ty(schema) else {
        return Ty::Struct(Arc::new(Struct { open: true, ..Struct::default() }));
    };
    let mut root = (*root).clone();
    root.fields.insert("apiVersion".into(), Ty::String);
    root.fields.insert("kind".into(), Ty::String);
    root.fields.insert("metadata".into(), Ty::Ref("meta.v1.ObjectMeta".into()));
    root.zero.push("metadata".into());
    root.custom = Some(schema.clone());
    Ty::Struct(Arc::new(root))
}

fn custom_ty(schema: &Value) -> Ty {
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    match schema["type"].as_str() {
        _ if schema["x-kubernetes-int-or-string"] == true => Ty::IntOrString,
        Some("string") => Ty::String,
        Some("integer") => Ty::Int,
        Some("number") => Ty::Number,
        Some("boolean") => Ty::Bool,
        Some("array") => {
            let kind = match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => ListKind::Keys(texts(&schema["x-kubernetes-list-map-keys"])),
                Some("set") => ListKind::Set,
                _ => ListKind::Atomic,
            };
            Ty::List { item: Box::new(custom_ty(&schema["items"])), kind, merge_key: None }
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(item) if item.is_object() => {
                Ty::Map { item: Box::new(custom_ty(item)), atomic: schema["x-kubernetes-map-type"] == "atomic" }
            }
            _ if open && schema.get("properties").is_none() => Ty::Any,
            _ => Ty::Struct(Arc::new(custom_struct(schema, open))),
        },
        _ => Ty::Any,
    }
}

fn custom_struct(schema: &Value, open: bool) -> Struct {
    let mut one = Struct { open, required: texts(&schema["required"]), ..Struct::default() };
    one.atomic = schema["x-kubernetes-map-type"] == "atomic";
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        one.fields.insert(name.clone(), custom_ty(field));
        if let Some(default) = field.get("default") {
            one.defaults.insert(name.clone(), default.clone());
        }
    }
    one
}

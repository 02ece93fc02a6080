//! Data sources: objects of a cluster that somebody else looks after.

use std::collections::BTreeMap;
use std::time::Duration;

use super::object::{Name, stripped};
use super::observe::{encoded, pages};
use super::secret;
use super::target::Cluster;
use crate::provider::{
    AttributeSchema as A, Lowering, Problem, ProblemClass, ReadRequest, ResourceSchema, Role, Undo, named,
};
use crate::value::{Map, Type, Value, from_json};

const RESOURCES: &str = "kubernetes_resources";

/// `data "kubernetes_resources"`
pub(super) fn schema() -> ResourceSchema {
    let text = |doc| A::optional(Type::String, doc);
    ResourceSchema {
        ty: RESOURCES,
        role: Role::Data,
        version: 0,
        attributes: named([
            ("api_version", A::required(Type::String, "The API's group and version: `v1`, `apps/v1`.")),
            ("kind", A::required(Type::String, "The kind.")),
            ("name", text("One object's name; without it all that the selectors leave.")),
            ("namespace", text("The namespace; without it all of them, or for one object the provider's.")),
            ("label_selector", text("Labels that they have, as kubectl takes them.")),
            ("field_selector", text("Fields that they have, as kubectl takes them.")),
            ("object", A::computed(Type::Any, "The object, where one is named.")),
            ("objects", A::computed(Type::Any, "All of them, by name.")),
        ]),
        blocks: BTreeMap::new(),
        lowering: Lowering::Direct,
        settle: Duration::ZERO,
        deadline: |_| Duration::from_secs(120),
        compute: None,
        validate: None,
        must_replace: None,
        undo: Undo::Acts,
        previews: false,
        waits: false,
        secrets: None,
        kept: None,
        claims: None,
        doc: "Objects of a cluster, whoever made them.",
    }
}

pub(super) async fn read(cluster: Cluster<'_>, request: &ReadRequest) -> Result<Value, Problem> {
    let text = |name: &str| request.arguments.get_str(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let only = text("name");
    let name = Name {
        api_version: text("api_version").unwrap_or_default(),
        kind: text("kind").unwrap_or_default(),
        namespace: text("namespace"),
        name: only.clone().unwrap_or_default(),
    };
    let everywhere = name.namespace.is_none() && only.is_none();
    let (kind, name) = cluster.place(name).await?;
    let what = name.shown();
    let mut select = String::new();
    for (argument, parameter) in [("label_selector", "labelSelector"), ("field_selector", "fieldSelector")] {
        if let Some(text) = text(argument) {
            select.push_str(&format!("&{parameter}={}", encoded(&text)));
        }
    }
    let mut all = request.arguments.as_map().cloned().unwrap_or_default();
    let found = match &only {
        Some(_) => {
            let there = cluster.get(&kind, &name).await.map_err(|failure| failure.problem(&what))?;
            let Some(there) = there else {
                let sentence = format!("There is no {what} in the cluster {}.", cluster.url);
                return Err(Problem::new(ProblemClass::Invalid, sentence));
            };
            vec![there]
        }
        None => {
            let namespace = name.namespace.as_deref().filter(|_| !everywhere);
            let listed = pages(cluster, &kind, namespace, &select).await;
            listed.map_err(|failure| failure.problem(&format!("{} objects", name.kind)))?
        }
    };
    let value = |there: &serde_json::Value| secret::marked(from_json(&stripped(there)), there, &Value::null(Type::Any));
    let object = found.first().filter(|_| only.is_some()).map_or_else(|| Value::null(Type::Any), value);
    let called = |there: &serde_json::Value| {
        let name = Name::of(there)?;
        let key = match name.namespace.filter(|_| everywhere) {
            Some(namespace) => format!("{namespace}/{}", name.name),
            None => name.name,
        };
        Some((std::sync::Arc::from(key), value(there)))
    };
    let objects: Map = found.iter().filter_map(called).collect();
    all.insert("object".into(), object);
    all.insert("objects".into(), Value::object(objects));
    Ok(Value::object(all))
}

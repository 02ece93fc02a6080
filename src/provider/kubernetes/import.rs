//! Taking on objects that stand already.

use serde_json::Value as Json;

use super::object::{self, Identity, Name};
use super::target::{Cluster, uid};
use crate::provider::{ImportRequest, Prior, Problem, ProblemClass};
use crate::value::Value;

/// How an object is named for an import.
const FORM: &str = "apiVersion=apps/v1,kind=Deployment,namespace=shop,name=web";

/// The id of an object.
pub(super) fn id(name: &Name) -> String {
    let namespace = name.namespace.as_ref().map_or(String::new(), |namespace| format!("namespace={namespace},"));
    format!("apiVersion={},kind={},{namespace}name={}", name.api_version, name.kind, name.name)
}

fn parsed(id: &str) -> Option<Name> {
    let mut name = Name { api_version: String::new(), kind: String::new(), namespace: None, name: String::new() };
    for part in id.split(',') {
        let (key, value) = part.trim().split_once('=')?;
        match key {
            "apiVersion" => value.clone_into(&mut name.api_version),
            "kind" => value.clone_into(&mut name.kind),
            "namespace" => name.namespace = Some(value.to_owned()),
            "name" => value.clone_into(&mut name.name),
            _ => return None,
        }
    }
    (!name.api_version.is_empty() && !name.kind.is_empty() && !name.name.is_empty()).then_some(name)
}

pub(super) async fn import(cluster: Cluster<'_>, request: &ImportRequest) -> Result<Option<Prior>, Problem> {
    if request.ty == super::job::TYPE {
        let sentence = "A kubernetes_job cannot be imported: it is a command that was run. Take the import block out.";
        return Err(Problem::new(ProblemClass::Invalid, sentence));
    }
    if request.ty == super::config::TYPE {
        let sentence = "A kubernetes_config cannot be imported: its objects have names of its own making. Import a ConfigMap or Secret as \
                        a kubernetes_manifest, or let the configuration make its first version.";
        return Err(Problem::new(ProblemClass::Invalid, sentence));
    }
    let Some(name) = parsed(&request.id) else {
        let sentence = format!("\"{}\" names no object. Write it as in \"{FORM}\".", request.id);
        return Err(Problem::new(ProblemClass::Invalid, sentence));
    };
    let (kind, name) = cluster.place(name).await?;
    if let Some(wanted) = object::manifest(&request.wanted).as_ref().and_then(Name::of) {
        let wanted = wanted.placed(&kind, cluster.namespace);
        if (&wanted.kind, &wanted.namespace, &wanted.name) != (&name.kind, &name.namespace, &name.name) {
            let sentence = format!("The id names {}, and the manifest is that of {}.", name.shown(), wanted.shown());
            return Err(Problem::new(ProblemClass::Invalid, sentence));
        }
    }
    let there = cluster.get(&kind, &name).await.map_err(|failure| failure.problem(&name.shown()))?;
    Ok(there.map(|there| taken_on(request, name, &there)))
}

fn taken_on(request: &ImportRequest, name: Name, there: &Json) -> Prior {
    let identity = Identity {
        api_version: name.api_version,
        kind: name.kind,
        namespace: name.namespace,
        name: name.name,
        uid: uid(there).to_owned(),
        // Nothing of it is ours until it was applied.
        fields: Json::Null,
        versions: Vec::new(),
    };
    let wanted = request.wanted.as_map().cloned().unwrap_or_default();
    let wanted = Value::object(wanted);
    Prior { attributes: super::observe::as_is(&wanted, &identity, there), identity: identity.json() }
}

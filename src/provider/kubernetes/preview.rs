//! What the server would make of a change: an apply with `dryRun=All`, for every change of a plan at once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value as Json;

use super::apply::{mark, query, taken};
use super::fields::applied_by;
use super::kinds::Kind;
use super::object::{self, Identity, Name, stripped};
use super::schemas::forces;
use super::target::{Cluster, unknown_kind};
use super::wire::{APPLY, Failure, JSON, Refusal, Request};
use super::{access, config, job, predecessors};
use crate::provider::{Preview, PreviewRequest, ProblemClass};
use crate::value::to_json;

/// How many dry runs are under way at once.
const AT_ONCE: usize = 16;
/// The same where the server waits 50 ms in each for a namespace that is not there, in case that its cache is behind (its admission
/// plugin `NamespaceLifecycle`). What is wrong with an object's fields it says before that, so they are asked about all the same.
const AT_ONCE_WAITING: usize = 64;
/// How many of the server's own changes are told one by one.
const NOTES: usize = 8;
/// The mark of an act that is not carried out.
const NO_OP: &str = "preview";

/// What a plan makes that its other objects need: the server cannot preview what goes into a namespace that is not there.
#[derive(Debug, Default)]
pub(super) struct Coming(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    namespaces: BTreeSet<String>,
    kinds: BTreeSet<(String, String)>,
}

impl Coming {
    fn note(&self, manifests: &[Option<Json>]) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for manifest in manifests.iter().flatten() {
            let text = |pointer: &str| manifest.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
            match text("/kind").as_deref() {
                Some("Namespace") => made.namespaces.extend(text("/metadata/name")),
                Some("CustomResourceDefinition") => {
                    made.kinds.extend(text("/spec/group").zip(text("/spec/names/kind")));
                }
                _ => {}
            }
        }
    }

    /// Whether objects go into a namespace that this plan makes, and that is not there yet.
    async fn waits(&self, cluster: Cluster<'_>, manifests: &[Option<Json>]) -> bool {
        let namespace = |manifest: &'_ Json| manifest.pointer("/metadata/namespace")?.as_str().map(str::to_owned);
        let named: BTreeSet<String> = manifests.iter().flatten().filter_map(namespace).collect();
        for namespace in named.into_iter().filter(|namespace| self.has_namespace(namespace)) {
            let name = Name { api_version: "v1".into(), kind: "Namespace".into(), namespace: None, name: namespace };
            let Ok((kind, name)) = cluster.place(name).await else { continue };
            if matches!(cluster.get(&kind, &name).await, Ok(None)) {
                return true;
            }
        }
        false
    }

    pub(super) fn has_namespace(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).namespaces.contains(name)
    }

    fn has_kind(&self, name: &Name) -> bool {
        let group = name.api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kinds.contains(&(group, name.kind.clone()))
    }
}

pub(super) async fn preview(cluster: Cluster<'_>, coming: &Coming, batch: &[PreviewRequest]) -> Vec<Preview> {
    let manifest = |request: &PreviewRequest| match request.ty.as_str() {
        config::TYPE => {
            let named = request.planned.get_str("object_name").or_else(|| request.planned.get_str("name"));
            Some(config::manifest(&request.planned, named?))
        }
        job::TYPE => Some(job::manifest(&request.planned, &format!("{}-preview", request.planned.get_str("name")?))),
        _ => object::manifest(&request.planned),
    };
    let manifests: Vec<Option<Json>> = batch.iter().map(manifest).collect();
    coming.note(&manifests);
    let at_once = if coming.waits(cluster, &manifests).await { AT_ONCE_WAITING } else { AT_ONCE };
    let one = |(request, manifest)| one(cluster, coming, request, manifest).boxed();
    let all: Vec<_> = batch.iter().zip(manifests).map(one).collect();
    futures_util::stream::iter(all).buffered(at_once).collect().await
}

/// Whether a change is one of an object that stands. A new version, and another run, is a new object.
fn stands(request: &PreviewRequest) -> bool {
    ![config::TYPE, job::TYPE].contains(&request.ty.as_str())
}

/// Whether an object may be deleted: a dry run of it.
async fn going(cluster: Cluster<'_>, request: &PreviewRequest) -> Preview {
    let Some(identity) = request.prior.as_ref().and_then(|prior| Identity::of(&prior.identity)) else {
        return Preview::Would(Vec::new());
    };
    let name = identity.name();
    let kind = match cluster.kind(&name).await {
        Ok(Some(kind)) => kind,
        Ok(None) => return Preview::Would(Vec::new()),
        Err(failure) => return untold(&failure, &name),
    };
    let body = serde_json::json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "dryRun": ["All"],
        "preconditions": { "uid": identity.uid },
    });
    let path = kind.object(name.namespace.as_deref(), &name.name);
    match cluster.send(Request::with("DELETE", path, JSON, &body)).await {
        Ok(_) => Preview::Would(Vec::new()),
        Err(Failure::Refused(refusal)) if refusal.code == 403 => {
            Preview::Refused(vec![(None, format!("{}: {}", name.shown(), refusal.sentence()))])
        }
        Err(failure) => untold(&failure, &name),
    }
}

async fn one(cluster: Cluster<'_>, coming: &Coming, request: &PreviewRequest, manifest: Option<Json>) -> Preview {
    if request.planned.is_null() {
        return going(cluster, request).await;
    }
    let Some((manifest, name)) =
        manifest.and_then(|manifest| Some((Name::of(&manifest)?, manifest))).map(|(n, m)| (m, n))
    else {
        return Preview::NotTold("Its manifest is not known yet.".into());
    };
    let kind = match cluster.kind(&name).await {
        Ok(Some(kind)) => kind,
        Ok(None) if coming.has_kind(&name) => {
            return Preview::NotTold(format!("The definition of {} comes with this plan.", name.kind));
        }
        Ok(None) => return Preview::Refused(vec![(Some("kind".into()), unknown_kind(&name, cluster.url))]),
        Err(failure) => return untold(&failure, &name),
    };
    if !kind.namespaced
        && let Some(namespace) = &name.namespace
    {
        let sentence = format!("A {} stands in no namespace, and the manifest names \"{namespace}\".", name.kind);
        return Preview::Refused(vec![(Some("metadata.namespace".into()), sentence)]);
    }
    let name = name.placed(&kind, cluster.namespace);
    // A new version is a new object.
    let standing = request.prior.as_ref().filter(|_| stands(request));
    let prior = standing.and_then(|prior| Identity::of(&prior.identity));
    let body = object::body(&manifest, &name, NO_OP, prior.as_ref().map(|prior| prior.uid.as_str()));
    let imported = prior.as_ref().is_some_and(|prior| prior.fields.is_null());
    let path = kind.object(name.namespace.as_deref(), &name.name);
    let dry = |force| format!("{path}{}", query(cluster.manager, force, true));
    let mut answer = cluster.send(Request::with("PATCH", dry(forces(&request.planned)), APPLY, &body)).await;
    // Those who own its fields now are out of the way by then.
    if imported && matches!(&answer, Err(Failure::Refused(refusal)) if predecessors::own_all(refusal)) {
        answer = cluster.send(Request::with("PATCH", dry(true), APPLY, &body)).await;
    }
    match answer {
        Ok(answer) if prior.is_none() && answer.code == 200 => match stranger(cluster, &kind, &name).await {
            Some(sentence) => Preview::Refused(vec![(Some("metadata.name".into()), sentence)]),
            None => judged(request, &manifest, &stripped(&answer.body)),
        },
        // The object would stay as it is, and yet a field would become ours, or somebody else's alone.
        Ok(answer) if prior.as_ref().is_some_and(|prior| changes_hands(prior, &answer.body, cluster.manager)) => {
            match judged(request, &manifest, &stripped(&answer.body)) {
                Preview::Same => Preview::Would(Vec::new()),
                other => other,
            }
        }
        Ok(answer) => judged(request, &manifest, &stripped(&answer.body)),
        Err(Failure::Refused(refusal)) if prior.is_none() && !refusal.conflicts().is_empty() => {
            match stranger(cluster, &kind, &name).await {
                Some(sentence) => Preview::Refused(vec![(Some("metadata.name".into()), sentence)]),
                None => refused(cluster, coming, (&kind, &name), false, &refusal).await,
            }
        }
        Err(Failure::Refused(refusal)) => refused(cluster, coming, (&kind, &name), prior.is_some(), &refusal).await,
        Err(failure) => untold(&failure, &name),
    }
}

/// Whether other fields would be ours than are.
fn changes_hands(prior: &Identity, would: &Json, manager: &str) -> bool {
    !prior.fields.is_null() && prior.fields != applied_by(would, manager)
}

/// What stands under the name of an object that is to be made, if we never wrote it: the server would merge the two.
async fn stranger(cluster: Cluster<'_>, kind: &Kind, name: &Name) -> Option<String> {
    let there = cluster.get(kind, name).await.ok()??;
    mark(&there).is_none().then(|| taken(name, &there).sentence)
}

/// A cluster that cannot be reached will not be there for the apply either; an answer that was lost says nothing.
fn untold(failure: &Failure, name: &Name) -> Preview {
    let sentence = failure.problem(&name.shown()).sentence;
    match failure {
        Failure::NotSent(_) => Preview::Refused(vec![(None, sentence)]),
        Failure::Refused(refusal) if refusal.code == 401 => Preview::Refused(vec![(None, sentence)]),
        _ => Preview::NotTold(sentence),
    }
}

/// Compares what would be with what is.
fn judged(request: &PreviewRequest, manifest: &Json, would: &Json) -> Preview {
    let Some(prior) = request.prior.as_ref().filter(|_| stands(request)) else {
        return Preview::Would(made_of(manifest, would));
    };
    let is = prior.attributes.get("object").filter(|object| object.is_wholly_known()).map(to_json);
    let Some(is) = is else { return Preview::Would(made_of(manifest, would)) };
    let (is, would) = (settled(is), settled(would.clone()));
    if is == would {
        return Preview::Same;
    }
    let mut notes = Vec::new();
    changes("", &is, &would, manifest, &mut notes);
    Preview::Would(bounded(notes))
}

/// Without what every write changes.
fn settled(mut object: Json) -> Json {
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        for name in ["resourceVersion", "generation"] {
            metadata.remove(name);
        }
    }
    if let Some(all) = object.as_object_mut() {
        all.remove("status");
    }
    object
}

/// What a server makes of the values of a manifest: `spec.x` is written as another.
fn made_of(manifest: &Json, would: &Json) -> Vec<String> {
    let mut notes = Vec::new();
    others("", &super::secret::encoded(manifest), would, &mut notes);
    bounded(notes)
}

fn bounded(mut notes: Vec<String>) -> Vec<String> {
    if notes.len() > NOTES {
        let more = notes.len() - NOTES;
        notes.truncate(NOTES);
        notes.push(format!("and {more} more"));
    }
    notes
}

fn others(path: &str, wanted: &Json, would: &Json, notes: &mut Vec<String>) {
    match (wanted, would) {
        (Json::Object(wanted), Json::Object(would)) => {
            for (name, value) in wanted {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match would.get(name) {
                    Some(there) => others(&below, value, there, notes),
                    None => notes.push(format!("{below} would not be there")),
                }
            }
        }
        (Json::Array(wanted), Json::Array(would)) if wanted.len() == would.len() => {
            for (at, (value, there)) in wanted.iter().zip(would).enumerate() {
                others(&format!("{path}[{at}]"), value, there, notes);
            }
        }
        (wanted, would) if wanted == would => {}
        // A secret of another form is no news worth showing.
        _ if path.starts_with("data.") => notes.push(format!("{path} would be another value")),
        (wanted, would) => notes.push(format!("{path} would be {would} for {wanted}")),
    }
}

/// What would change beside what the manifest says.
fn changes(path: &str, is: &Json, would: &Json, manifest: &Json, notes: &mut Vec<String>) {
    if let (Json::Object(is), Json::Object(would)) = (is, would) {
        let names: BTreeSet<&String> = is.keys().chain(would.keys()).collect();
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let none = Json::Null;
            let (is, would) = (is.get(name).unwrap_or(&none), would.get(name).unwrap_or(&none));
            if is != would {
                changes(&below, is, would, manifest.get(name).unwrap_or(&none), notes);
            }
        }
        return;
    }
    if manifest.is_null() && !path.starts_with("data.") {
        notes.push(match (is.is_null(), would.is_null()) {
            (true, _) => format!("{path} would become {would}"),
            (_, true) => format!("{path} would go"),
            _ => format!("{path} would become {would}, and is {is}"),
        });
    }
}

async fn refused(
    cluster: Cluster<'_>,
    coming: &Coming,
    (kind, name): (&Kind, &Name),
    standing: bool,
    refusal: &Refusal,
) -> Preview {
    let namespace = name.namespace.as_deref();
    match refusal.code {
        _ if standing && refusal.is_another_object() => Preview::NotTold(
            "It is not the object that was looked at: somebody deleted it, or made it anew, in between.".into(),
        ),
        404 if namespace.is_some_and(|namespace| coming.has_namespace(namespace)) => {
            Preview::NotTold(format!("Its namespace {} comes with this plan.", namespace.unwrap_or_default()))
        }
        404 if refusal.message.contains("namespaces") => Preview::Refused(vec![(
            Some("metadata.namespace".into()),
            format!(
                "The namespace \"{}\" is not there. Make it with a kubernetes_manifest of its own, or name another.",
                namespace.unwrap_or_default()
            ),
        )]),
        403 if refusal.class() == ProblemClass::Denied && refusal.message.contains(" cannot ") => {
            let missing = access::missing(cluster, kind, namespace).await;
            let verbs = if missing.is_empty() { "patch".to_owned() } else { missing.join(", ") };
            let within = namespace.map_or("the cluster".to_owned(), |namespace| format!("the namespace {namespace}"));
            Preview::NotTold(format!("The credentials may not {verbs} {} in {within}.", kind.plural))
        }
        422 if standing && is_immutable(refusal) => Preview::Replace(replaced(refusal)),
        429 | 500..=599 if refusal.class() != ProblemClass::Invalid => Preview::NotTold(refusal.sentence()),
        _ => Preview::Refused(refusal.parts()),
    }
}

/// Whether a server refuses only because fields of what stands cannot be changed.
fn is_immutable(refusal: &Refusal) -> bool {
    let fixed = |message: &str| {
        ["immutable", "may not change", "for fields other than", "cannot be changed", "is forbidden: updates"]
            .iter()
            .any(|word| message.contains(word))
    };
    match refusal.causes.is_empty() {
        true => fixed(&refusal.message),
        false => refusal.causes.iter().all(|(_, _, message)| fixed(message)),
    }
}

fn replaced(refusal: &Refusal) -> String {
    let fields: BTreeSet<&str> = refusal.causes.iter().map(|(_, field, _)| field.as_str()).collect();
    let fields: Vec<&str> = fields.into_iter().filter(|field| !field.is_empty()).collect();
    match fields.is_empty() {
        true => "The cluster changes it in no object that stands".into(),
        false => format!("The cluster changes {} in no object that stands", fields.join(", ")),
    }
}

//! What stands in a namespace, as manifests that somebody could have written: for `gantry init --from-cluster`.
//!
//! Every kind that is namespaced and can be listed is read. Left out is what controllers make: what has an owner that controls it, what
//! nobody but controllers has written, what belongs to every namespace, and Helm's own records. Of what is left, `kept` says
//! which fields somebody wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{FutureExt as _, StreamExt as _};
use kube::discovery::{Discovery, Scope, verbs};
use serde_json::{Map, Value as Json};

use super::connect::connect;
use super::import;
use super::kept::{self, is_controller};
use super::kinds::{Kind, Kinds};
use super::look::{flag, list, text};
use super::object::Name;
use super::observe::{encoded, pages};
use super::refusal::unserved;
use super::target::{Cluster, uid};
use crate::provider::{Problem, ProblemClass};
use crate::value::Value;

/// How many kinds are listed at once.
const AT_ONCE: usize = 8;

/// Kinds whose objects come and go by themselves.
const FLEETING: [&str; 5] = ["Event", "Endpoints", "EndpointSlice", "Lease", "ControllerRevision"];
/// Groups that only show what others keep: measurements, and names of an older day.
const SHADOWS: [&str; 4] = ["metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io", "extensions"];
/// What is in every namespace.
const EVERYWHERE: [(&str, &str); 3] =
    [("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt"), ("ConfigMap", "openshift-service-ca.crt")];

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The cluster's address.
    pub url: String,
    /// The objects, by kind and name.
    pub objects: Vec<Standing>,
    /// What was left out and why, with how many there are of it.
    pub left_out: BTreeMap<&'static str, usize>,
    /// What belongs to another environment of Gantry, and is left to it.
    pub elsewhere: Vec<String>,
    /// What could not be read, in sentences.
    pub unread: Vec<String>,
}

/// An object that stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// What an import calls it.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The plural of its kind.
    pub plural: String,
    /// Its API group, empty for the core.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its manifest, without the content of a Secret.
    pub manifest: Json,
    /// The keys of a Secret whose content was left out; whether it is text, or bytes that are written as base64.
    pub secrets: BTreeMap<String, bool>,
}

/// Reads a namespace. Nothing is changed.
///
/// # Errors
/// When the cluster cannot be reached or has no such namespace, or no kind of it may be read; a sentence.
pub async fn survey(
    arguments: &Value,
    directory: &Path,
    namespace: &str,
    selector: Option<&str>,
) -> Result<Survey, Problem> {
    let connection = connect(arguments, directory).await?;
    let kinds = Kinds::default();
    let cluster = Cluster::of(&connection, "gantry-survey", &kinds);
    let mut found = Survey { url: connection.url.clone(), ..Survey::default() };
    let name = Name { api_version: "v1".into(), kind: "Namespace".into(), namespace: None, name: namespace.to_owned() };
    let (kind, name) = cluster.place(name).await?;
    match cluster.get(&kind, &name).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            let sentence = format!("The cluster {} has no namespace \"{namespace}\".", found.url);
            return Err(Problem::new(ProblemClass::Invalid, sentence));
        }
        // Who may look into a namespace need not be allowed to look at it.
        Err(failure) if failure.problem("").class == ProblemClass::Denied => {}
        Err(failure) => return Err(failure.problem(&name.shown())),
    }
    let kinds = listable(&connection.client).await.map_err(|failure| failure.problem(&found.url))?;
    let select = selector.map_or(String::new(), |labels| format!("&labelSelector={}", encoded(labels)));
    let lists = kinds.iter().map(|kind| {
        let select = select.as_str();
        async move { (kind, pages(cluster, kind, Some(namespace), select).await) }.boxed()
    });
    let lists: Vec<_> = futures_util::stream::iter(lists.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
    let mut objects = Vec::new();
    let all = lists.len();
    for (kind, listed) in lists {
        match listed {
            Ok(items) => objects.extend(items.into_iter().map(|item| (kind, item))),
            Err(failure) => found.unread.push(failure.problem(&format!("{} objects", kind.kind)).sentence),
        }
    }
    if found.unread.len() == all {
        let why = found.unread.first().cloned().unwrap_or_else(|| "It serves no kind that can be listed.".into());
        return Err(Problem::new(ProblemClass::Denied, why));
    }
    sort_out(&mut found, objects);
    Ok(found)
}

/// The kinds that are namespaced and can be listed, each in its most stable version.
async fn listable(client: &kube::Client) -> Result<Vec<Kind>, super::wire::Failure> {
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(_) => Discovery::new(client.clone()).run().await.map_err(|e| unserved(&e))?,
    };
    let mut kinds = BTreeMap::new();
    for group in discovery.groups().filter(|group| !SHADOWS.contains(&group.name())) {
        for (resource, capabilities) in group.resources_by_stability() {
            let wanted = capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST);
            if wanted && !FLEETING.contains(&resource.kind.as_str()) {
                let kind = Kind {
                    api_version: resource.api_version,
                    group: resource.group,
                    kind: resource.kind,
                    plural: resource.plural,
                    namespaced: true,
                };
                kinds.insert((kind.kind.clone(), kind.group.clone()), kind);
            }
        }
    }
    Ok(kinds.into_values().collect())
}

/// What autoscalers set the number of: kind and name.
fn autoscaled(objects: &[(&Kind, Json)]) -> BTreeSet<(String, String)> {
    let scalers = objects.iter().filter(|(kind, _)| kind.kind == "HorizontalPodAutoscaler");
    let target = |object: &Json| {
        let at = |name: &str| text(object, &format!("/spec/scaleTargetRef/{name}")).to_owned();
        (at("kind"), at("name"))
    };
    scalers.map(|(_, object)| target(object)).collect()
}

fn sort_out(found: &mut Survey, objects: Vec<(&Kind, Json)>) {
    let scaled = autoscaled(&objects);
    let mut seen = BTreeSet::new();
    for (kind, object) in objects {
        // The same object under two groups.
        if !seen.insert(uid(&object).to_owned()) {
            continue;
        }
        let Some(name) = Name::of(&object) else { continue };
        if let Some(why) = made_by_others(&object) {
            *found.left_out.entry(why).or_default() += 1;
            continue;
        }
        if let Some(manager) = other_gantry(&object) {
            found.elsewhere.push(format!("{} ({manager})", name.shown()));
            continue;
        }
        let is_scaled = scaled.contains(&(name.kind.clone(), name.name.clone()));
        let (manifest, secrets) = without_secrets(kept::manifest(&object, is_scaled), &object);
        found.objects.push(Standing {
            id: import::id(&name),
            kind: name.kind,
            plural: kind.plural.clone(),
            group: kind.group.clone(),
            name: name.name,
            manifest,
            secrets,
        });
    }
    found.objects.sort_by(|a, b| (&a.kind, &a.group, &a.name).cmp(&(&b.kind, &b.group, &b.name)));
}

/// Why an object is nobody's to write down; `None` if somebody wrote it.
fn made_by_others(object: &Json) -> Option<&'static str> {
    let (kind, name, ty) = (text(object, "/kind"), text(object, "/metadata/name"), text(object, "/type"));
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Some("being deleted");
    }
    if list(object, "/metadata/ownerReferences").iter().any(|owner| flag(owner, "/controller")) {
        return Some("made by another object");
    }
    if EVERYWHERE.contains(&(kind, name)) {
        return Some("in every namespace");
    }
    if kind == "Secret" && (ty.starts_with("helm.sh/release") || name.starts_with("sh.helm.release.")) {
        return Some("a record of Helm");
    }
    if kind == "Secret" && ty == "kubernetes.io/service-account-token" {
        return Some("a ServiceAccount's token");
    }
    let entries = list(object, "/metadata/managedFields");
    let all_are_controllers = !entries.is_empty() && entries.iter().all(is_controller);
    all_are_controllers.then_some("made by a controller")
}

/// The ledger of Gantry that an object belongs to already.
fn other_gantry(object: &Json) -> Option<&str> {
    let entries = list(object, "/metadata/managedFields").iter();
    let ours = |entry: &&Json| text(entry, "/operation") == "Apply" && text(entry, "/manager").starts_with("gantry-");
    entries.filter(ours).map(|entry| text(entry, "/manager")).next()
}

/// A manifest without the content of a Secret, and the keys that it has.
fn without_secrets(mut manifest: Json, object: &Json) -> (Json, BTreeMap<String, bool>) {
    let core = text(object, "/kind") == "Secret" && text(object, "/apiVersion") == "v1";
    let data = object.get("data").and_then(Json::as_object).filter(|_| core);
    let is_text = |value: &Json| {
        let bytes = BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
        String::from_utf8(bytes).is_ok()
    };
    let keys = data.into_iter().flatten().map(|(key, value)| (key.clone(), is_text(value))).collect();
    if core && let Some(all) = manifest.as_object_mut() {
        all.remove("data");
        all.remove("stringData");
    }
    (if manifest.is_null() { Json::Object(Map::new()) } else { manifest }, keys)
}

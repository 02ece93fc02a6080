//! Looking at recorded objects: one chain of LISTs for each kind and namespace, never a request for each object.

use std::collections::BTreeMap;

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value as Json;

use super::fields::{overlay, owners};
use super::kinds::Kind;
use super::object::{self, Identity, Name};
use super::ready::readiness;
use super::schemas::{self, MANIFEST};
use super::target::{Cluster, uid};
use super::wire::{Failure, Request};
use super::{config, job, secret};
use crate::provider::{Author, ChangedParts, Observation, ObserveRequest, Readiness};
use crate::value::{Value, from_json};

/// How many objects one LIST answers.
const PAGE: usize = 500;
/// How many chains of LISTs there are at once.
const CHAINS: usize = 8;
/// How often a chain is begun anew because the server forgot where it was.
const AFRESH: usize = 3;

/// What is looked at together: the objects of a kind in a namespace.
type Group = (String, String, Option<String>);

pub(super) async fn observe(cluster: Cluster<'_>, batch: &[ObserveRequest]) -> Vec<Observation> {
    let mut asked = Vec::new();
    let mut answers: Vec<Option<Observation>> = vec![None; batch.len()];
    for (at, request) in batch.iter().enumerate() {
        match Identity::of(&request.prior.identity) {
            Some(identity) if [MANIFEST, config::TYPE, job::TYPE].contains(&request.ty.as_str()) => {
                asked.push((at, identity));
            }
            Some(_) => {
                answers[at] = Some(Observation::Unreadable(format!("The cluster has no type \"{}\".", request.ty)));
            }
            None => {
                answers[at] = Some(Observation::Unreadable("The record does not say which object it is about.".into()));
            }
        }
    }
    let groups = grouped(asked);
    let chains: Vec<_> = groups.values().map(|group| one_group(cluster, group, batch).boxed()).collect();
    let seen: Vec<Vec<(usize, Observation)>> =
        futures_util::stream::iter(chains).buffer_unordered(CHAINS).collect().await;
    for (at, observation) in seen.into_iter().flatten() {
        answers[at] = Some(observation);
    }
    let missing = || Observation::Unreadable("The cluster did not say.".into());
    answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
}

/// What is asked for in one chain of LISTs: the places of the questions, with the objects.
fn grouped(asked: impl IntoIterator<Item = (usize, Identity)>) -> BTreeMap<Group, Vec<(usize, Identity)>> {
    let mut groups: BTreeMap<Group, Vec<(usize, Identity)>> = BTreeMap::new();
    for (at, identity) in asked {
        let group = (identity.api_version.clone(), identity.kind.clone(), identity.namespace.clone());
        groups.entry(group).or_default().push((at, identity));
    }
    groups
}

/// The objects of a group by name; where it is one object alone, only that one is asked for.
async fn listed(
    cluster: Cluster<'_>,
    kind: &Kind,
    group: &[(usize, Identity)],
) -> Result<BTreeMap<String, Json>, Failure> {
    let Some((_, first)) = group.first() else { return Ok(BTreeMap::new()) };
    let only = (group.len() == 1).then_some(first.name.as_str());
    list(cluster, kind, first.namespace.as_deref(), only).await
}

async fn one_group(
    cluster: Cluster<'_>,
    group: &[(usize, Identity)],
    batch: &[ObserveRequest],
) -> Vec<(usize, Observation)> {
    let all = |observation: Observation| group.iter().map(|(at, _)| (*at, observation.clone())).collect();
    let Some((_, first)) = group.first() else { return Vec::new() };
    let name = first.name();
    let kind = match cluster.kind(&name).await {
        Ok(Some(kind)) => kind,
        Ok(None) => return all(unserved(cluster, &name).await),
        Err(failure) => {
            let what = format!("The cluster {}", cluster.url.trim_end_matches('/'));
            return all(Observation::Unreadable(failure.problem(&what).sentence));
        }
    };
    match listed(cluster, &kind, group).await {
        Ok(objects) => group
            .iter()
            .map(|(at, identity)| {
                let there = objects.get(&identity.name).filter(|there| uid(there) == identity.uid);
                (*at, there.map_or_else(|| absent(&batch[*at]), |there| present(&batch[*at], identity, there)))
            })
            .collect(),
        // The namespace is gone, or the definition a moment ago.
        Err(failure) if failure.is_absent() => group.iter().map(|(at, _)| (*at, absent(&batch[*at]))).collect(),
        Err(failure) => {
            let what = format!(
                "{} objects{}",
                name.kind,
                first.namespace.as_ref().map_or(String::new(), |n| format!(" in {n}"))
            );
            all(Observation::Unreadable(failure.problem(&what).sentence))
        }
    }
}

/// A kind that is not served: its objects are gone with its definition, unless somebody's API is only down.
async fn unserved(cluster: Cluster<'_>, name: &Name) -> Observation {
    let (group, version) = name.api_version.split_once('/').unwrap_or(("", &name.api_version));
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}");
    match cluster.send(Request::get(path)).await {
        Err(failure) if failure.is_absent() => Observation::Absent,
        Ok(service) if service.body.pointer("/spec/service").is_none_or(Json::is_null) => Observation::Absent,
        Ok(_) => Observation::Unreadable(format!("The API {} is registered, but does not answer.", name.api_version)),
        Err(failure) => Observation::Unreadable(failure.problem(&format!("The API {}", name.api_version)).sentence),
    }
}

/// The objects of a kind by name.
pub(super) async fn list(
    cluster: Cluster<'_>,
    kind: &Kind,
    namespace: Option<&str>,
    only: Option<&str>,
) -> Result<BTreeMap<String, Json>, Failure> {
    let select = only.map_or(String::new(), |name| format!("&fieldSelector=metadata.name%3D{name}"));
    let items = pages(cluster, kind, namespace, &select).await?;
    let named = |item: Json| Some((item.pointer("/metadata/name")?.as_str()?.to_owned(), item));
    Ok(items.into_iter().filter_map(named).collect())
}

/// All objects of a kind, page by page, each with its kind and version, which lists leave out.
pub(super) async fn pages(
    cluster: Cluster<'_>,
    kind: &Kind,
    namespace: Option<&str>,
    select: &str,
) -> Result<Vec<Json>, Failure> {
    let mut begun = 0;
    'afresh: loop {
        let (mut found, mut next) = (Vec::new(), String::new());
        loop {
            let place = if next.is_empty() { String::new() } else { format!("&continue={}", encoded(&next)) };
            let path = format!("{}?limit={PAGE}{select}{place}", kind.collection(namespace));
            let mut page = match cluster.send(Request::get(path)).await {
                Ok(answer) => answer.body,
                // The place in the list has expired: what was read belongs to no one moment, so it is read anew.
                Err(Failure::Refused(refusal)) if refusal.code == 410 && begun < AFRESH => {
                    begun += 1;
                    continue 'afresh;
                }
                Err(failure) => return Err(failure),
            };
            if let Some(Json::Array(items)) = page.get_mut("items").map(Json::take) {
                found.extend(items.into_iter().map(|mut item| {
                    item["apiVersion"] = Json::String(kind.api_version.clone());
                    item["kind"] = Json::String(kind.kind.clone());
                    item
                }));
            }
            match page.pointer("/metadata/continue").and_then(Json::as_str).filter(|text| !text.is_empty()) {
                Some(token) => token.clone_into(&mut next),
                None => return Ok(found),
            }
        }
    }
}

/// A text as part of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Who has written these parts of objects last, by the account that the server keeps: LISTs, as for looking at them.
pub(super) async fn changed_by(cluster: Cluster<'_>, batch: &[ChangedParts]) -> Vec<Vec<Author>> {
    let identities = batch.iter().map(|changed| Identity::of(&changed.object.prior.identity));
    let groups = grouped(identities.enumerate().filter_map(|(at, identity)| Some((at, identity?))));
    let chains = groups.values().map(|group| {
        async move {
            let Some((_, first)) = group.first() else { return Vec::new() };
            let Ok(Some(kind)) = cluster.kind(&first.name()).await else { return Vec::new() };
            let Ok(objects) = listed(cluster, &kind, group).await else { return Vec::new() };
            let written = |(at, identity): &(usize, Identity)| {
                Some((*at, authors(objects.get(&identity.name)?, cluster.manager, &batch[*at].paths)))
            };
            group.iter().filter_map(written).collect()
        }
        .boxed()
    });
    let told: Vec<Vec<(usize, Vec<Author>)>> =
        futures_util::stream::iter(chains.collect::<Vec<_>>()).buffer_unordered(CHAINS).collect().await;
    let mut answers = vec![Vec::new(); batch.len()];
    for (at, authors) in told.into_iter().flatten() {
        answers[at] = authors;
    }
    answers
}

fn authors(there: &Json, manager: &str, paths: &[String]) -> Vec<Author> {
    let within: Vec<String> =
        paths.iter().filter_map(|path| path.strip_prefix("manifest.").map(str::to_owned)).collect();
    let named = owners(there, manager, &within).into_iter();
    named
        .map(|(who, when, paths)| Author {
            who,
            when,
            paths: paths.iter().map(|path| format!("manifest.{path}")).collect(),
        })
        .collect()
}

/// What is not there is gone, but for a command that was run: that it was is what counts.
fn absent(request: &ObserveRequest) -> Observation {
    match request.ty.as_str() {
        job::TYPE => {
            let attributes = request.prior.attributes.clone();
            Observation::Present { readiness: job::gone(&attributes), attributes }
        }
        _ => Observation::Absent,
    }
}

fn present(request: &ObserveRequest, identity: &Identity, there: &Json) -> Observation {
    if request.ty == job::TYPE {
        let readiness = readiness(there, &super::ready::Rules::default());
        return Observation::Present { attributes: request.prior.attributes.clone(), readiness };
    }
    if request.ty == config::TYPE {
        return Observation::Present {
            attributes: config::as_is(&request.prior.attributes, there),
            readiness: Readiness::Ready,
        };
    }
    let attributes = as_is(&request.prior.attributes, identity, there);
    let readiness = match schemas::rules(&request.prior.attributes) {
        Some(rules) => readiness(there, &rules),
        None => Readiness::Ready,
    };
    Observation::Present { attributes, readiness }
}

/// The attributes of an object as it is: its manifest with those of our fields that changed.
pub(super) fn as_is(recorded: &Value, identity: &Identity, there: &Json) -> Value {
    let null = Value::null(crate::value::Type::Any);
    let before = recorded.get("manifest").unwrap_or(&null);
    let given = secret::with_holes(before);
    let base = recorded.get("object").map_or(Json::Null, secret::with_holes);
    let (sent, live) = (secret::encoded(&given), object::stripped(there));
    let structure;
    let fields = match identity.fields.is_null() {
        true => {
            structure = super::fields::of_manifest(&sent);
            &structure
        }
        false => &identity.fields,
    };
    let now = secret::decoded(overlay(&sent, fields, &base, &live), &given);
    // What is as it was keeps its value, null parts and all.
    let manifest = if now == given { before.clone() } else { secret::manifest(from_json(&now), before) };
    object::attributes(recorded, manifest, there)
}

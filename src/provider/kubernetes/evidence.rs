//! What can be seen of an object that failed, before anything is cleaned up.

use serde_json::Value as Json;

use super::object::Identity;
use super::observe::encoded;
use super::progress::watched;
use super::symptom::{Children, LogWanted, describe, evidence_plan};
use super::target::Cluster;
use super::wire::Request;
use crate::provider::Evidence;

/// How much of a log is taken, in lines and bytes.
const LINES: usize = 50;
const BYTES: usize = 16 * 1024;
/// How many logs are fetched.
const LOGS: usize = 4;

/// What can be seen of a recorded object now.
pub(super) async fn of(cluster: Cluster<'_>, identity: &Json) -> Vec<Evidence> {
    let Some(identity) = Identity::of(identity) else { return Vec::new() };
    let name = identity.name();
    let Ok(Some(kind)) = cluster.kind(&name).await else { return Vec::new() };
    let Ok(Some(there)) = cluster.get(&kind, &name).await else { return Vec::new() };
    let wanted = watched(&there);
    let (Some(namespace), Some(selector)) = (&name.namespace, &wanted.label_selector) else {
        return gathered(cluster, &there, &Children::default()).await;
    };
    let select = format!("?labelSelector={}", encoded(selector));
    let sets = items(cluster, format!("/apis/apps/v1/namespaces/{namespace}/replicasets{select}")).await;
    let pods = items(cluster, format!("/api/v1/namespaces/{namespace}/pods{select}")).await;
    let events = items(cluster, format!("/api/v1/namespaces/{namespace}/events?limit=500")).await;
    let children = Children { replica_sets: &sets, pods: &pods, events: &events, pvcs: &[] };
    gathered(cluster, &there, &children).await
}

async fn items(cluster: Cluster<'_>, path: String) -> Vec<Json> {
    let answer = cluster.send(Request::get(path)).await.ok();
    let items = answer.and_then(|answer| answer.body.get("items")?.as_array().cloned());
    items.unwrap_or_default()
}

/// What an object, its pods and their logs say.
pub(super) async fn gathered(cluster: Cluster<'_>, there: &Json, children: &Children<'_>) -> Vec<Evidence> {
    let text = describe(there, children);
    let mut found = vec![Evidence { name: "what the cluster says".into(), bytes: text.into_bytes() }];
    let namespace = there.pointer("/metadata/namespace").and_then(Json::as_str).unwrap_or_default();
    for wanted in evidence_plan(there, children).into_iter().take(LOGS) {
        found.extend(log(cluster, namespace, &wanted).await);
    }
    found.retain(|piece| !piece.bytes.is_empty());
    found
}

async fn log(cluster: Cluster<'_>, namespace: &str, wanted: &LogWanted) -> Option<Evidence> {
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/{}/log?container={}&previous={}&tailLines={LINES}&limitBytes={BYTES}",
        wanted.pod, wanted.container, wanted.previous
    );
    let request = http::Request::get(path).body(Vec::new()).ok()?;
    let text = tokio::time::timeout(std::time::Duration::from_secs(5), cluster.client.request_text(request))
        .await
        .ok()?
        .ok()?;
    let run = if wanted.previous { "its run before" } else { "its run now" };
    let name = format!("last lines of {}, container {}, {run}", wanted.pod, wanted.container);
    Some(Evidence { name, bytes: text.into_bytes() })
}

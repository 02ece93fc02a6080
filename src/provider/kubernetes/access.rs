//! What we may do: asked of the server where it refused something (`SelfSubjectAccessReview`).

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use serde_json::Value as Json;

use super::kinds::Kind;
use super::target::Cluster;
use super::wire::{JSON, Request};

/// The verbs that an object's life takes.
const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// The verbs that we do not have for a kind in a namespace; none where the server does not tell.
pub(super) async fn missing(cluster: Cluster<'_>, kind: &Kind, namespace: Option<&str>) -> Vec<&'static str> {
    let reviews = VERBS.map(|verb| may(cluster, kind, namespace, verb));
    let answers = futures_util::future::join_all(reviews).await;
    VERBS.into_iter().zip(answers).filter(|(_, allowed)| *allowed == Some(false)).map(|(verb, _)| verb).collect()
}

async fn may(cluster: Cluster<'_>, kind: &Kind, namespace: Option<&str>, verb: &str) -> Option<bool> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(kind.group.clone()),
                resource: Some(kind.plural.clone()),
                namespace: namespace.map(str::to_owned),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let body = serde_json::to_value(&review).ok()?;
    let answer = cluster.send(Request::with("POST", REVIEWS, JSON, &body)).await.ok()?;
    answer.body.pointer("/status/allowed").and_then(Json::as_bool)
}

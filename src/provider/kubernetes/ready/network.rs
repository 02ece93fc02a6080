//! The rules of what leads traffic: Services, and the Gateway API.

use serde_json::Value as Json;

use super::super::look::{list, number, text};
use super::gate::lacks;
use crate::provider::Readiness;

pub(super) fn service(object: &Json) -> Readiness {
    if text(object, "/spec/type") != "LoadBalancer" {
        return Readiness::Ready;
    }
    // An entry without address is one that the cloud has not finished.
    let has_address = list(object, "/status/loadBalancer/ingress")
        .iter()
        .any(|entry| !text(entry, "/ip").is_empty() || !text(entry, "/hostname").is_empty());
    if has_address {
        return Readiness::Ready;
    }
    Readiness::Pending("The load balancer has no address yet.".into())
}

/// `Accepted` and `Programmed`, which replaced `Ready` in the Gateway API 1.0. A refusal is waited for too: many of them
/// mend themselves, as a listener whose certificate is made a moment later.
pub(super) fn gateway(object: &Json) -> Readiness {
    let generation = number(object, "/metadata/generation");
    let conditions = list(object, "/status/conditions");
    match ["Accepted", "Programmed"].into_iter().find_map(|ty| lacks(conditions, ty, "True", generation)) {
        Some(sentence) => Readiness::Pending(sentence),
        None => Readiness::Ready,
    }
}

/// Each parent that the route names has to have answered, and each answer has to be `Accepted` and `ResolvedRefs`.
pub(super) fn route(object: &Json) -> Readiness {
    let generation = number(object, "/metadata/generation");
    let answers = list(object, "/status/parents");
    for parent in list(object, "/spec/parentRefs") {
        let own: Vec<&Json> = answers.iter().filter(|answer| is_of(object, answer, parent)).collect();
        let shown = text(parent, "/name");
        if own.is_empty() {
            return Readiness::Pending(format!("Gateway {shown} has not answered yet."));
        }
        for answer in own {
            let conditions = list(answer, "/conditions");
            let missing =
                ["Accepted", "ResolvedRefs"].into_iter().find_map(|ty| lacks(conditions, ty, "True", generation));
            if let Some(sentence) = missing {
                return Readiness::Pending(format!("At gateway {shown}: {sentence}"));
            }
        }
    }
    Readiness::Ready
}

fn is_of(route: &Json, answer: &Json, parent: &Json) -> bool {
    let said = answer.pointer("/parentRef").unwrap_or(&Json::Null);
    let space = |reference: &Json| match text(reference, "/namespace") {
        "" => text(route, "/metadata/namespace").to_owned(),
        own => own.to_owned(),
    };
    text(said, "/name") == text(parent, "/name")
        && space(said) == space(parent)
        && text(said, "/sectionName") == text(parent, "/sectionName")
        && number(said, "/port") == number(parent, "/port")
}

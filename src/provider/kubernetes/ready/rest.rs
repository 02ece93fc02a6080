//! The rules of the other built-in kinds that have something to wait for.

use serde_json::Value as Json;

use super::super::look::{condition, text};
use crate::provider::Readiness;

/// Reasons for which an autoscaler does not scale, and nothing is wrong with it: metrics come late, after every start of
/// every pod, and a target with 0 replicas is scaled by nobody.
const NO_METRICS_YET: &str = "FailedGet";

pub(super) fn claim(object: &Json) -> Readiness {
    match text(object, "/status/phase") {
        "Lost" => Readiness::Failed(format!(
            "The claim has lost its volume{}.",
            match text(object, "/spec/volumeName") {
                "" => String::new(),
                volume => format!(" {volume}"),
            }
        )),
        _ => Readiness::Ready,
    }
}

pub(super) fn namespace(object: &Json) -> Readiness {
    match text(object, "/status/phase") {
        "Terminating" => Readiness::Failed("Somebody is deleting it.".into()),
        _ => Readiness::Ready,
    }
}

pub(super) fn autoscaler(object: &Json) -> Readiness {
    if let Some(found) = condition(object, "AbleToScale").filter(|found| found.is_false()) {
        return Readiness::Pending(format!("It cannot scale its target: {}.", found.says()));
    }
    let inactive = condition(object, "ScalingActive")
        .filter(|found| found.is_false())
        .filter(|found| found.reason() != "ScalingDisabled" && !found.reason().starts_with(NO_METRICS_YET));
    match inactive {
        Some(found) => Readiness::Pending(format!("It does not scale: {}.", found.says())),
        None => Readiness::Ready,
    }
}

pub(super) fn budget(object: &Json) -> Readiness {
    match condition(object, "DisruptionAllowed").filter(|found| found.reason() == "SyncFailed") {
        Some(found) => Readiness::Pending(format!("Its pods cannot be counted: {}.", found.says())),
        None => Readiness::Ready,
    }
}

pub(super) fn definition(object: &Json) -> Readiness {
    if let Some(found) = condition(object, "NamesAccepted").filter(|found| found.is_false()) {
        return Readiness::Failed(format!("Its names are not accepted: {}.", found.says()));
    }
    match condition(object, "Established") {
        Some(found) if found.is_true() => Readiness::Ready,
        _ => Readiness::Pending("The API server does not serve it yet.".into()),
    }
}

pub(super) fn api_service(object: &Json) -> Readiness {
    match condition(object, "Available") {
        Some(found) if found.is_true() => Readiness::Ready,
        Some(found) => Readiness::Pending(format!("Its API is not available: {}.", found.says())),
        None => Readiness::Pending("The API server has not asked it yet.".into()),
    }
}

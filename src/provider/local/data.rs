//! `terraform_data`: a value kept in the ledger. There is nothing in the world that it stands for.

use super::words::{sha256, with};
use crate::provider::{Act, Action, Found, ImportRequest, Outcome, Prior, Problem, ProblemClass, ProposedChange};
use crate::value::{Type, Value};

pub(super) const TYPE: &str = "terraform_data";

/// `output` is `input`, known or not.
pub(super) fn compute(change: &ProposedChange<'_>) -> Vec<(&'static str, Value)> {
    change.proposed.get("input").map(|input| vec![("output", input.clone())]).unwrap_or_default()
}

pub(super) fn act(act: &Act) -> Outcome {
    match act.action {
        Action::Create => applied(act, &id(&act.op)),
        Action::Update => match act.prior.as_ref().and_then(recorded_id) {
            Some(id) => applied(act, &id),
            None => Outcome::Rejected(Problem::new(
                ProblemClass::Invalid,
                "The record of this object has no id, so it cannot be updated. Replace it with --replace.",
            )),
        },
        Action::Delete => Outcome::Applied { attributes: Value::null(Type::Any), identity: serde_json::Value::Null },
        other => super::unsupported(TYPE, other),
    }
}

/// Any text is an id, as in Terraform: the object is a name for nothing, with no value yet.
pub(super) fn import(request: &ImportRequest) -> Prior {
    let none = || Value::null(Type::Any);
    let attributes = Value::object_of([
        ("id", Value::string(request.id.as_str())),
        ("input", none()),
        ("output", none()),
        ("triggers_replace", none()),
    ]);
    Prior { attributes, identity: serde_json::json!({ "id": request.id }) }
}

/// An act has no effect outside the ledger, so one whose outcome was not recorded was not done.
pub(super) fn find() -> Found {
    Found::NotDone
}

fn recorded_id(prior: &Prior) -> Option<String> {
    prior.identity.get("id")?.as_str().map(str::to_owned)
}

fn applied(act: &Act, id: &str) -> Outcome {
    let input = act.planned.get("input").cloned().unwrap_or_else(|| Value::null(Type::Any));
    let attributes = with(&act.planned, [("output", input), ("id", Value::string(id))]);
    Outcome::Applied { attributes, identity: serde_json::json!({ "id": id }) }
}

/// An id in the form of a UUID, the same for every attempt at an act (version 8 of RFC 9562: our own digest).
fn id(op: &str) -> String {
    let digest = sha256(format!("terraform_data {op}").as_bytes());
    format!("{}-{}-8{}-a{}-{}", &digest[..8], &digest[8..12], &digest[13..16], &digest[17..20], &digest[20..32])
}

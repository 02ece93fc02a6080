//! Approval, for programs.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::ledger::record::{Consent, GivenApproval};
use crate::plan::approval::Agreement;

/// What a plan needs by way of approval, and what it has.
#[must_use]
pub fn agreement(agreement: &Agreement) -> Json {
    let gates = agreement.gates.iter().map(|gate| {
        json!({
            "recorded": gate.recorded,
            "required": gate.required,
            "signers": gate.names,
            "approved": gate.approved.iter().map(|agreed| json!({
                "principal": agreed.principal,
                "earlier": agreed.earlier,
                "expires": agreed.expires,
            })).collect::<Vec<_>>(),
            "left_out": gate.left_out.iter().map(|left| json!({
                "who": left.who, "why": left.why, "differs": left.differs,
            })).collect::<Vec<_>>(),
        })
    });
    json!({
        "enough": agreement.is_enough(),
        "author": agreement.author,
        "starter": agreement.starter,
        "gates": gates.collect::<Vec<_>>(),
    })
}

/// Who agreed to a run.
pub(super) fn consent(consent: &Consent) -> Json {
    json!({
        "approved": consent.approvals.iter().map(|a| json!({
            "principal": a.principal, "line": a.line, "signature": a.signature,
        })).collect::<Vec<_>>(),
        "author": consent.author.as_ref().map(|a| &a.principal),
        "starter": consent.starter.principal,
    })
}

/// An approval that no run has spent.
pub(super) fn given(given: &GivenApproval) -> Json {
    let GivenApproval { approval, time, actor } = given;
    json!({
        "principal": approval.principal,
        "effect": approval.effect,
        "expires": approval.expires,
        "given": time,
        "actor": actor,
        "line": approval.line,
        "signature": approval.signature,
    })
}

/// That somebody has approved.
#[must_use]
pub fn approved(
    environment: &str,
    who: &str,
    expires: Timestamp,
    counts: &[(usize, usize)],
    file: Option<&str>,
) -> Json {
    json!({
        "environment": environment,
        "who": who,
        "expires": expires.to_string(),
        "gates": counts.iter().map(|(has, needs)| json!({ "has": has, "required": needs })).collect::<Vec<_>>(),
        "file": file,
    })
}

//! What a look at an environment found, for programs.

use serde_json::{Value as Json, json};

use super::plan::{drifted, path};
use crate::plan::drift::{Author, Drift, Finding, Known, Standing};

/// The version of Terraform's plan representation whose `resource_drift` this follows.
const FORMAT: &str = "1.2";

/// One environment: drift in Terraform's `resource_drift`, what only Gantry has under `gantry`.
#[must_use]
pub fn drift(drift: &Drift) -> Json {
    let one = |finding: &Finding| match &finding.standing {
        Standing::Changed { observed, .. } => {
            Some(drifted(&finding.address, &finding.provider, Some(&finding.recorded), Some(observed)))
        }
        Standing::Gone => Some(drifted(&finding.address, &finding.provider, Some(&finding.recorded), None)),
        _ => None,
    };
    let sentences = |pick: fn(&Standing) -> Option<&String>| -> Vec<Json> {
        let found = drift.findings.iter().filter_map(|f| Some((f, pick(&f.standing)?)));
        found.map(|(f, why)| json!({ "address": f.address.to_string(), "sentence": why })).collect()
    };
    let fields = drift.findings.iter().filter_map(|f| match &f.standing {
        Standing::Changed { differs, .. } => {
            Some((f.address.to_string(), Json::from(differs.iter().map(path).collect::<Vec<_>>())))
        }
        _ => None,
    });
    json!({
        "format_version": FORMAT,
        "gantry_version": env!("CARGO_PKG_VERSION"),
        "resource_drift": drift.findings.iter().filter_map(one).collect::<Vec<_>>(),
        "complete": drift.unreadable().next().is_none(),
        "gantry": {
            "environment": drift.environment,
            "generation": drift.generation,
            "open_run": drift.open,
            "objects": drift.findings.len(),
            "drifted": drift.drifted().count(),
            "acknowledged": acknowledged(drift),
            "changed_by": changed_by(drift),
            "fields": Json::Object(fields.collect()),
            "not_ready": sentences(|s| if let Standing::NotReady(why) = s { Some(why) } else { None }),
            "unreadable": sentences(|s| if let Standing::Unreadable(why) = s { Some(why) } else { None }),
        },
    })
}

/// Who changed what, where targets tell: `address`, `who`, `when`, `paths` (none for all).
fn changed_by(drift: &Drift) -> Vec<Json> {
    let of = |finding: &Finding| {
        let address = finding.address.to_string();
        let one = move |author: &Author| json!({ "address": address, "who": author.who, "when": author.when, "paths": author.paths });
        finding.changed_by.iter().map(one).collect::<Vec<_>>()
    };
    drift.findings.iter().flat_map(of).collect()
}

/// What is known: `address`, `path` (null for all that differs), `reason`, `expires`, `actor`, and whether that is all of the object's
/// drift (`whole`).
fn acknowledged(drift: &Drift) -> Vec<Json> {
    let of = |finding: &Finding| {
        let whole = finding.is_acknowledged();
        let address = finding.address.to_string();
        let one = move |known: &Known| {
            json!({
                "address": address,
                "path": (!known.path.is_empty()).then_some(&known.path),
                "reason": known.reason,
                "expires": known.expires,
                "actor": known.actor,
                "whole": whole,
            })
        };
        finding.known.iter().map(one).collect::<Vec<_>>()
    };
    drift.findings.iter().flat_map(of).collect()
}

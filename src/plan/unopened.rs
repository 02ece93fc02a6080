//! Secrets that a plan needs and that are not at hand: only their digests are recorded, or nobody here opens what is sealed.
//!
//! A step would find that out in the middle of a run. So it is told with the plan, and a run does not begin.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::input::Inputs;
use super::plan::Plan;
use super::step::{Step, Work};
use crate::diag::{Diagnostic, Severity};
use crate::provider::Action;
use crate::value::{AGE, HMAC, Sealed, Value};

/// A node whose steps need secrets that are not at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// The node.
    pub needed_by: String,
    /// What it needs, as it is called: `local_command.token.stdout`.
    pub what: Vec<String>,
    /// Whether all of it is sealed, so that the right identity opens it.
    pub sealed: bool,
}

impl Unopened {
    /// What is wrong and what to do.
    #[must_use]
    pub fn diagnostic(&self, severity: Severity) -> Diagnostic {
        let what = self.what.join(" and ");
        let (why, hint) = match self.sealed {
            true => (
                "which is sealed, and no identity that is at hand opens it",
                "Name a file with your identity in encryption { identities }, or in GANTRY_AGE_IDENTITY_FILE."
                    .to_owned(),
            ),
            false => (
                "of which the ledger holds a digest only, and which its target does not tell again",
                format!(
                    "Have it made anew: gantry apply --replace={}. With encryption {{ recipients }} in the environment block it is \
                     kept from then on.",
                    self.what.first().map_or("ADDRESS", |first| first.rsplit_once('.').map_or(first, |(node, _)| node))
                ),
            ),
        };
        let detail = format!("{} needs {what}, {why}. It cannot be carried out like this.", self.needed_by);
        Diagnostic { severity, ..Diagnostic::error("Secret not readable", detail).hint(hint) }
    }
}

/// Has a plan say what is missing for its steps.
pub(super) fn tell(plan: &mut Plan, inputs: &Inputs<'_>) {
    plan.unopened = find(&plan.steps, inputs);
    plan.warnings.extend(plan.unopened.iter().map(|u| u.diagnostic(Severity::Warning)));
}

fn find(steps: &[Step], inputs: &Inputs<'_>) -> Vec<Unopened> {
    let mut missing: BTreeMap<String, Vec<Sealed>> = BTreeMap::new();
    for step in steps {
        let mut found = Vec::new();
        in_step(step, &mut found);
        if !found.is_empty() {
            missing.entry(step.address.to_string()).or_default().extend(found);
        }
    }
    if missing.is_empty() {
        return Vec::new();
    }
    let names = names(inputs);
    let named = |sealed: &Sealed| names.get(&*sealed.digest).cloned().unwrap_or_else(|| "a secret".to_owned());
    let unopened = missing.into_iter().map(|(needed_by, all)| Unopened {
        needed_by,
        what: all.iter().map(named).collect::<BTreeSet<_>>().into_iter().collect(),
        sealed: all.iter().all(|s| s.text.is_some()),
    });
    unopened.collect()
}

fn in_step(step: &Step, found: &mut Vec<Sealed>) {
    match &step.work {
        Work::Act(act) if matches!(act.action, Action::Delete | Action::Retire) => {}
        Work::Act(act) => {
            act.planned.sealed_parts(found);
            act.inputs.sealed_parts(found);
            for (holds, _, _) in &act.postconditions {
                holds.sealed_parts(found);
            }
        }
        Work::Read { arguments, .. } => arguments.sealed_parts(found),
        Work::Pin(pin) if pin.recorded.is_none() => pin.source.sealed_parts(found),
        Work::Migrate { url, how, .. } | Work::Revert { url, how, .. } => {
            url.sealed_parts(found);
            how.values().for_each(|value| value.sealed_parts(found));
        }
        Work::Check(check) => check.configuration.sealed_parts(found),
        Work::Await { .. }
        | Work::Pin(_)
        | Work::Assert(_)
        | Work::Barrier
        | Work::Forget
        | Work::Record(_)
        | Work::Move { .. }
        | Work::Import(_)
        | Work::Commit => {}
    }
}

/// What secrets are called, by digest.
fn names(inputs: &Inputs<'_>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (address, record) in &inputs.recorded.records {
        for (attribute, json) in record.attributes.as_object().into_iter().flatten() {
            digests(json, &mut |digest| {
                names.entry(digest.to_owned()).or_insert_with(|| format!("{address}.{attribute}"));
            });
        }
    }
    for (key, fact) in &inputs.facts.0 {
        let Some(address) = key.split(' ').nth(1) else { continue };
        for (attribute, value) in fact.answered().and_then(Value::as_map).into_iter().flatten() {
            let mut found = Vec::new();
            value.sealed_parts(&mut found);
            for sealed in found {
                names.entry(sealed.digest.to_string()).or_insert_with(|| format!("{address}.{attribute}"));
            }
        }
    }
    names
}

fn digests(json: &Json, each: &mut dyn FnMut(&str)) {
    match json {
        Json::Object(o) => match o.get(HMAC).and_then(Json::as_str) {
            Some(digest) if o.len() == 1 || o.contains_key(AGE) => each(digest),
            _ => o.values().for_each(|v| digests(v, each)),
        },
        Json::Array(items) => items.iter().for_each(|v| digests(v, each)),
        _ => {}
    }
}

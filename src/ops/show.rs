//! `show`: what a plan file would do; a piece of evidence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::apply::{Made, replan};
use super::consent::{Case, Saved};
use super::error::{Failure, Result};
use super::records::Records;
use super::restore::Fresh;
use super::secrets::Secrets;
use super::verify_ledger::referenced;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::diag::Diagnostics;
use crate::ledger::event::Event;
use crate::ledger::{Key, LedgerError, State};
use crate::plan::PlanFile;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::value::Value;

/// The plan of a file, made again, and its variables.
///
/// # Errors
/// When the file is refused, or the ledger has moved on so that it cannot be planned again.
pub async fn plan_file(
    workspace: &Workspace,
    (path, file): (&Path, &PlanFile),
    given: &[VarArg],
) -> Result<(Made, BTreeMap<Arc<str>, Value>)> {
    let records = Records::read(workspace, given).await?;
    let key = match &file.key {
        Some(hex) => {
            let key = Key::from_hex(hex);
            Arc::new(key.ok_or_else(|| Failure::refused("Plan file refused", "Its key is not readable."))?)
        }
        None => Arc::clone(&records.key),
    };
    let bundle: crate::config::Bundle = serde_json::from_value(file.inputs.bundle.clone())
        .map_err(|e| Failure::refused("Plan file refused", format!("Its configuration cannot be read: {e}.")))?;
    let desired = crate::config::load(&bundle)?;
    let fresh = crate::config::gather(&desired, &workspace.environment, &workspace.project, given);
    let fresh = fresh.map(|g| g.values.into_iter().map(|(n, v)| (n, v.value)).collect()).unwrap_or_default();
    let recorded = then(&records, file).await?;
    let secrets = Secrets::of_machine(key)?;
    let fresh = Fresh { variables: &fresh };
    let (draft, plan, _) = replan(workspace, file, &fresh, &recorded, &secrets, None).await?;
    let variables = draft.variables.clone();
    let saved = Saved::of(path, file);
    let agreement = match Case::of(&plan, "", &records.state, Some(&saved), &[])? {
        Some(case) => Some(case.agreement(SystemClock.now(), &file.steps, records.backend.as_ref()).await),
        None => None,
    };
    Ok((
        Made { plan, draft, state: recorded, warnings: Diagnostics::default(), agreement, difference: None },
        variables,
    ))
}

/// The state that the plan was made on: the present one, or, where the ledger has moved on, the one of then.
async fn then(records: &Records, file: &PlanFile) -> Result<State> {
    if crate::plan::basis(&records.state) == file.basis {
        return Ok(records.state.clone());
    }
    let mut state = State::default();
    if crate::plan::basis(&state) == file.basis {
        return Ok(state);
    }
    for entry in &records.entries().await? {
        let event = super::records::event(entry)?;
        state
            .apply(&super::records::meta(entry), &event)
            .map_err(|e| Failure::error("Unreadable ledger", format!("{e}.")))?;
        if crate::plan::basis(&state) == file.basis {
            return Ok(state);
        }
    }
    Err(Failure::refused("Plan file refused", "The plan was made on a ledger that this environment does not have."))
}

/// A piece of evidence, found by the first digits of its digest among all that the ledger refers to.
///
/// # Errors
/// When there is none, or several begin with these digits.
pub async fn evidence(records: &Records, digits: &str) -> Result<Vec<u8>> {
    let mut found: Vec<String> = Vec::new();
    for entry in &records.entries().await? {
        let evidence = match super::records::event(entry)? {
            Event::StepFailed(step) => step.evidence,
            Event::CheckJudged(check) => check.evidence,
            _ => continue,
        };
        found.extend(evidence.into_iter().map(|e| e.blob));
    }
    found.retain(|blob| blob.starts_with(digits));
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [only] => {
            let digest =
                only.parse().map_err(|_| Failure::error("Unreadable ledger", format!("{only:?} is no digest.")))?;
            match records.backend.get_blob(digest).await {
                Err(LedgerError::BlobMissing { place, digest }) => {
                    // Read anew: it may have gone since.
                    let collected = match records.backend.read(1).await? {
                        Some(snapshot) => referenced(&records.backend, &snapshot).await?.collected,
                        None => std::collections::BTreeMap::new(),
                    };
                    let Some(collected) = collected.get(&digest) else {
                        return Err(LedgerError::BlobMissing { place, digest }.into());
                    };
                    let detail = format!("The evidence {only} is gone: {collected}.");
                    Err(Failure::refused("Evidence was collected", detail))
                }
                found => Ok(found?),
            }
        }
        [] => {
            Err(Failure::error("Unknown evidence", format!("No evidence has a digest that begins with \"{digits}\".")))
        }
        several => Err(Failure::error(
            "Which evidence?",
            format!("{} digests begin with \"{digits}\"; give more digits.", several.len()),
        )),
    }
}

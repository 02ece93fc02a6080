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
pub use crate::ledger::story::{Changes, Story};
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
    Ok((Made { agreement, ..Made::new(plan, draft, &recorded, Diagnostics::default()) }, variables))
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

/// What each run did, by its identity.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn changes(records: &Records) -> Result<BTreeMap<String, Changes>> {
    let mut all: BTreeMap<String, Changes> = BTreeMap::new();
    for entry in &records.entries().await? {
        let Some(run) = &entry.run else { continue };
        all.entry(run.clone()).or_default().count(&super::records::event(entry)?);
    }
    Ok(all)
}

/// What happened in a run, found by its identity or the first digits of it, with or without `run-` in front.
///
/// # Errors
/// When there is no such run, several begin with these digits, or the ledger cannot be read.
pub async fn run(records: &Records, wanted: &str) -> Result<Story> {
    let digits = wanted.strip_prefix("run-").unwrap_or(wanted);
    let entries = records.entries().await?;
    let mut found: Vec<&str> = entries.iter().filter_map(|entry| entry.run.as_deref()).collect();
    found.dedup();
    let is_meant = |run: &&str| run.strip_prefix("run-").unwrap_or(run).starts_with(digits);
    found.retain(|run| !digits.is_empty() && is_meant(run));
    found.sort_unstable();
    found.dedup();
    let run = match found.as_slice() {
        [only] => (*only).to_owned(),
        [] => {
            let detail = format!("No run has an identity that begins with \"{wanted}\".");
            let hint = "gantry show ENVIRONMENT --generation NUMBER names the run that made a generation.";
            return Err(Failure::error("Unknown run", detail).hint(hint));
        }
        several => {
            let detail = format!("{} runs begin with \"{wanted}\": {}.", several.len(), several.join(", "));
            return Err(Failure::error("Which run?", detail).hint("Give more digits."));
        }
    };
    let mut story = Story { run, happened: Vec::new(), evidence: BTreeMap::new() };
    for entry in entries.iter().filter(|entry| entry.run.as_deref() == Some(&story.run)) {
        story.happened.push((super::records::meta(entry), super::records::event(entry)?));
    }
    let named = story.happened.iter().flat_map(|(_, event)| match event {
        Event::StepFailed(step) => step.evidence.as_slice(),
        Event::CheckJudged(check) => check.evidence.as_slice(),
        _ => &[],
    });
    for blob in named.map(|evidence| evidence.blob.clone()).collect::<std::collections::BTreeSet<_>>() {
        let Ok(digest) = blob.parse() else { continue };
        // What was collected since is told as not there.
        match records.backend.get_blob(digest).await {
            Ok(bytes) => drop(story.evidence.insert(blob, String::from_utf8_lossy(&bytes).into_owned())),
            Err(LedgerError::BlobMissing { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(story)
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

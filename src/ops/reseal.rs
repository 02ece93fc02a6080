//! `state reseal`: what is current is sealed anew, for the recipients that the environment names today.
//!
//! The chain never changes, so an old entry stays sealed for those it was sealed for: a recipient that is taken out can still open
//! what stood there. What is current is said again by an entry of its own, sealed for those of today: the records, the outputs, and
//! the inputs of the generations that can be gone back to. That is what a recipient who was added needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::error::{Failure, Result};
use super::planning;
use super::records;
use super::run::{Changing, Opened};
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::ledger::event::{Event, Resealed, RunOutcome};
use crate::ledger::lease::LeaseRecord;
use crate::value::{AGE, HMAC, Opener as _};

/// How many records one entry says again: an entry has a largest size.
const RECORDS_AT_ONCE: usize = 200;

/// What it came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Secrets that are sealed for the recipients of today now.
    pub sealed: usize,
    /// Secrets that are sealed, and that nobody here opens.
    pub closed: usize,
}

/// Seals what is current anew.
///
/// # Errors
/// When the environment has no recipients, the ledger cannot be read or written, or a run is open.
pub async fn reseal(
    workspace: Workspace,
    variables: &[VarArg],
    how: &Changing,
    waiting: &mut (dyn FnMut(&LeaseRecord) + Send),
) -> Result<Report> {
    let mut opened = Opened::open(workspace, variables, how, waiting).await?;
    let report = reseal_opened(&mut opened, variables).await;
    opened.close().await;
    report
}

async fn reseal_opened(opened: &mut Opened, variables: &[VarArg]) -> Result<Report> {
    if opened.state.open.is_some() {
        let detail =
            "A run of this environment was interrupted, and going on with it needs what it wrote as it stands.";
        return Err(Failure::refused("Interrupted run", detail)
            .hint(format!("Go on with it first: gantry resume {}", opened.workspace.name)));
    }
    let (draft, _) = planning::open_to_look(&opened.workspace, variables)?;
    opened.secrets = opened.secrets.configured_alone(&draft, &opened.workspace)?;
    let Some(sealer) = opened.secrets.sealer() else {
        let detail = "The environment block names no recipients, so there is nobody to seal for.";
        return Err(Failure::error("Nothing to seal for", detail)
            .hint("Name them: environment { encryption { recipients = [\"age1…\"] } }"));
    };
    let opener = opened.secrets.opener();
    let mut work = Work { sealer, opener, report: Report::default() };
    let mut batches = vec![Resealed::default()];
    for (address, record) in &opened.state.records {
        let (inputs, attributes) = (work.anew(&record.inputs), work.anew(&record.attributes));
        if inputs == record.inputs && attributes == record.attributes {
            continue;
        }
        if batches.last().is_none_or(|batch| batch.records.len() >= RECORDS_AT_ONCE) {
            batches.push(Resealed::default());
        }
        if let Some(batch) = batches.last_mut() {
            batch.records.insert(address.clone(), [inputs, attributes]);
        }
    }
    let mut last = Resealed::default();
    for (name, output) in &opened.state.outputs {
        let anew = work.anew(output);
        if anew != *output {
            last.outputs.insert(name.clone(), anew);
        }
    }
    last.inputs = inputs_anew(opened, &mut work).await?;
    batches.push(last);
    for batch in batches.into_iter().filter(|batch| *batch != Resealed::default()) {
        opened.note(Event::Resealed(Box::new(batch))).await?;
    }
    Ok(work.report)
}

/// What the generations that one can go back to were made from, sealed anew: by number, where that is something else.
async fn inputs_anew(opened: &mut Opened, work: &mut Work) -> Result<BTreeMap<String, String>> {
    let reachable: Vec<(u64, String)> = opened
        .state
        .generations
        .iter()
        .filter(|g| g.outcome == Some(RunOutcome::Verified) && g.collected.is_none())
        .map(|g| (g.number, g.inputs.clone()))
        .collect();
    // Before the first blob: from here on no earlier writer removes any.
    opened.fence().await?;
    let mut all = BTreeMap::new();
    let mut done: BTreeMap<String, String> = BTreeMap::new();
    for (number, blob) in reachable {
        let anew = match done.get(&blob) {
            Some(anew) => anew.clone(),
            None => {
                let before = records::blob_json(opened.backend(), &blob).await?;
                let after = work.anew(&before);
                let anew = match after == before {
                    true => blob.clone(),
                    false => {
                        let bytes = serde_json::to_vec(&after).expect("invariant: JSON can be written");
                        opened.backend().put_blob(bytes).await?.to_string()
                    }
                };
                done.insert(blob.clone(), anew.clone());
                anew
            }
        };
        if anew != blob {
            all.insert(number.to_string(), anew);
        }
    }
    Ok(all)
}

struct Work {
    sealer: Arc<dyn crate::value::Sealer>,
    opener: Arc<crate::ledger::encryption::Opener>,
    report: Report,
}

impl Work {
    /// Recorded JSON with everything that is sealed in it sealed anew, where it can be opened.
    fn anew(&mut self, json: &Json) -> Json {
        match json {
            Json::Object(o) if o.len() == 2 => {
                for (digest, sealed) in [(HMAC, AGE), ("sealed", "age")] {
                    if let (Some(Json::String(digest_text)), Some(Json::String(text))) = (o.get(digest), o.get(sealed))
                        && digest_text.starts_with("hmac-sha256:")
                    {
                        let mut out = o.clone();
                        match self.opener.open(text) {
                            Some(open) => {
                                self.report.sealed += 1;
                                let anew = self.sealer.seal(digest_text, &open);
                                out.insert(sealed.to_owned(), Json::String((*anew).to_owned()));
                            }
                            None => self.report.closed += 1,
                        }
                        return Json::Object(out);
                    }
                }
                self.each(o)
            }
            Json::Object(o) => self.each(o),
            Json::Array(items) => items.iter().map(|item| self.anew(item)).collect(),
            other => other.clone(),
        }
    }

    fn each(&mut self, o: &serde_json::Map<String, Json>) -> Json {
        Json::Object(o.iter().map(|(name, json)| (name.clone(), self.anew(json))).collect())
    }
}

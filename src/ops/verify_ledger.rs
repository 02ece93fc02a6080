//! `state verify`: every entry from the first, every blob by its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::error::{Failure, Result};
use super::records::{self, Records};
use super::workspace::Workspace;
use crate::ledger::event::{Event, EvidenceRef};
use crate::ledger::record::Collection;
use crate::ledger::{Backend, Digest, Finding, Lineage, RawEntry, State, Verification, checkpoint};

/// How often it is looked again where something was missing. Each time means that entries were written in between.
const TRIES: usize = 5;

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For people.
    pub text: String,
    /// Whether nothing is wrong.
    pub sound: bool,
}

/// Verifies a ledger as a whole.
///
/// # Errors
/// When it cannot be read or does not verify.
pub async fn verify(workspace: &Workspace) -> Result<Report> {
    let mut records = Records::read(workspace, &[]).await?;
    let mut looked = look(&records).await?;
    for _ in 1..TRIES {
        let missing = |finding: &Finding| matches!(finding, Finding::BlobMissing { .. });
        if !looked.found.as_ref().is_some_and(|found| found.findings.iter().any(missing)) {
            break;
        }
        // What was collected between the look at the entries and that at the blobs is not missing.
        records = Records::read(workspace, &[]).await?;
        if records.state.seq == looked.read {
            break;
        }
        looked = look(&records).await?;
    }
    let Looked { found, agrees, collected, .. } = looked;
    let Some(found) = found else {
        let text = format!("The environment \"{}\" has no ledger yet: nothing was ever applied.\n", workspace.name);
        return Ok(Report { text, sound: true });
    };
    let mut text = format!(
        "Ledger of \"{}\": {} entries, {} writers, {} blobs, lineage {}.\n",
        workspace.name,
        found.head.seq,
        found.writers,
        found.blobs,
        found.lineage.as_str()
    );
    for finding in &found.findings {
        let _ = writeln!(text, "  {}: {}", if finding.is_defect() { "DEFECT" } else { "note" }, sentence(finding));
    }
    if collected > 0 {
        let blobs = if collected == 1 { "blob that entries name was" } else { "blobs that entries name were" };
        let _ = writeln!(text, "  note: {collected} {blobs} collected with gantry state gc");
    }
    if !agrees {
        text.push_str("  DEFECT: the newest checkpoint does not say what the entries before it come to\n");
    }
    let sound = agrees && !found.findings.iter().any(Finding::is_defect);
    text.push_str(if sound {
        "The chain holds, and every blob is what its name says.\n"
    } else {
        "The ledger is damaged.\n"
    });
    Ok(Report { text, sound })
}

/// What one look came to.
struct Looked {
    /// What the backend found; `None` if there is no ledger yet.
    found: Option<Verification>,
    /// Whether the newest checkpoint says what the entries before it come to.
    agrees: bool,
    /// How many blobs that entries name were collected.
    collected: usize,
    /// The newest entry.
    read: u64,
}

async fn look(records: &Records) -> Result<Looked> {
    let entries = records.entries().await?;
    let lineage = records.lineage.as_deref().map(str::parse).transpose();
    let lineage = lineage.map_err(|e| Failure::error("Unreadable ledger", format!("{e}.")))?;
    let (blobs, collected, agrees) = match &lineage {
        Some(lineage) => {
            let agrees = newest_checkpoint(lineage, &entries)?;
            let Referenced { blobs, collected, .. } = referenced(&records.backend, &entries).await?;
            (blobs, collected.len(), agrees)
        }
        None => (BTreeSet::new(), 0, true),
    };
    let found = records.backend.verify(&blobs).await?;
    Ok(Looked { found, agrees, collected, read: entries.last().map_or(0, |entry| entry.seq) })
}

/// What the entries of a ledger need beside them.
pub(super) struct Referenced {
    /// The blobs that they name and that were not collected since, and those of the newest checkpoint.
    pub(super) blobs: BTreeSet<Digest>,
    /// The blobs that were collected and that no entry names since.
    pub(super) collected: BTreeMap<Digest, Collection>,
    /// What they come to.
    pub(super) state: State,
}

/// What a whole ledger refers to.
pub(super) async fn referenced(backend: &Arc<dyn Backend>, entries: &[RawEntry]) -> Result<Referenced> {
    let (mut found, mut collected) = (BTreeSet::new(), BTreeMap::new());
    for entry in entries {
        let event = records::event(entry)?;
        if let Event::Collected(given_up) = &event {
            let when = Collection { time: entry.time.clone(), actor: entry.actor.clone() };
            for blob in &given_up.blobs {
                found.remove(blob);
                collected.insert(*blob, when.clone());
            }
        }
        for blob in blobs(&event).iter().filter_map(|b| b.parse::<Digest>().ok()) {
            collected.remove(&blob);
            found.insert(blob);
        }
    }
    let state = records::replay(State::default(), entries)?;
    if let Some(manifest) = state.checkpoint {
        // What is missing in it is found by who looks for the blobs.
        found.insert(manifest);
        found.extend(checkpoint::blobs(backend.as_ref(), manifest).await.unwrap_or_default());
    }
    Ok(Referenced { blobs: found, collected, state })
}

/// Whether the newest checkpoint is what the entries before it come to.
fn newest_checkpoint(lineage: &Lineage, entries: &[RawEntry]) -> Result<bool> {
    let manifest = |entry: &RawEntry| match records::event(entry) {
        Ok(Event::Checkpoint { manifest }) => Some(manifest),
        _ => None,
    };
    let newest = entries.iter().enumerate().rev().find_map(|(at, entry)| Some((at, manifest(entry)?)));
    let Some((at, manifest)) = newest else { return Ok(true) };
    Ok(checkpoint::is_of(manifest, lineage, &records::replay(State::default(), &entries[..at])?))
}

/// The blobs that an event refers to.
fn blobs(event: &Event) -> Vec<String> {
    let of = |all: &[EvidenceRef]| all.iter().map(|e| e.blob.clone()).collect();
    match event {
        Event::RunStarted(started) => vec![started.inputs.clone()],
        Event::Resealed(resealed) => resealed.inputs.values().cloned().collect(),
        Event::StepFailed(failed) => of(&failed.evidence),
        Event::CheckJudged(judged) => of(&judged.evidence),
        Event::ArtifactPinned { pin, .. } if pin.kind == "file" => {
            vec![pin.digest.trim_start_matches("sha256:").to_owned()]
        }
        Event::MigrationApplied { migration, .. } => {
            std::iter::once(migration.up.clone()).chain(migration.down.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// A finding as a sentence.
pub(super) fn sentence(finding: &Finding) -> String {
    match finding {
        Finding::Void { file, line, entries, bytes } => format!(
            "{file}, from line {line}: {entries} entries ({bytes} bytes) of a writer that another had taken over from; they count for nothing"
        ),
        Finding::Torn { file, line, bytes } => {
            format!(
                "{file}, line {line}: the end of a write that a crash cut off ({bytes} bytes); it counts for nothing"
            )
        }
        Finding::Stray { file } => format!("{file} does not belong here"),
        Finding::BlobCorrupt { digest } => format!("the blob {digest} is not what its name says"),
        Finding::BlobMissing { digest } => format!("the blob {digest} is referred to and is not there"),
        Finding::Defect { file, reason } => format!("{file}: {reason}"),
    }
}

//! `state verify`: every entry from the first, every blob by its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::error::Result;
use super::records;
use super::store::Store;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::diag::count;
use crate::ledger::event::{Event, EvidenceRef};
use crate::ledger::record::Collection;
use crate::ledger::{Backend, Digest, Finding, LedgerError, Snapshot, State, Verification, checkpoint};

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

/// Verifies a ledger as a whole. The variables are those that the place of the ledger may depend on.
///
/// # Errors
/// When it cannot be read or does not verify.
pub async fn verify(workspace: &Workspace, variables: &[VarArg]) -> Result<Report> {
    let store = Store::open(workspace, variables).await?;
    let mut looked = look(&store).await?;
    for _ in 1..TRIES {
        let missing = |finding: &Finding| matches!(finding, Finding::BlobMissing { .. });
        let Some(before) = looked.as_ref().filter(|l| l.found.findings.iter().any(missing)).map(|l| l.read) else {
            break;
        };
        // What was collected between the look at the entries and that at the blobs is not missing.
        let again = look(&store).await?;
        let moved = again.as_ref().is_none_or(|again| again.read != before);
        looked = again;
        if !moved {
            break;
        }
    }
    let Some(Looked { found, collected, .. }) = looked else {
        let text = format!("The environment \"{}\" has no ledger yet: nothing was ever applied.\n", workspace.name);
        return Ok(Report { text, sound: true });
    };
    let mut text = format!(
        "Ledger of \"{}\": {}, {}, {}, lineage {}.\n",
        workspace.name,
        count(found.head.seq, "entry"),
        count(found.writers, "writer"),
        count(found.blobs, "blob"),
        found.lineage.as_str()
    );
    for finding in &found.findings {
        let _ = writeln!(text, "  {}: {}", if finding.is_defect() { "DEFECT" } else { "note" }, sentence(finding));
    }
    if collected > 0 {
        let blobs = if collected == 1 { "blob that entries name was" } else { "blobs that entries name were" };
        let _ = writeln!(text, "  note: {collected} {blobs} collected with gantry state gc");
    }
    let sound = !found.findings.iter().any(Finding::is_defect);
    text.push_str(if sound {
        "The chain holds, and every blob is what its name says.\n"
    } else {
        "The ledger is damaged. Restore what is named from a backup, then run the same command again.\n"
    });
    Ok(Report { text, sound })
}

/// What one look came to.
struct Looked {
    /// What was found.
    found: Verification,
    /// How many blobs that entries name were collected.
    collected: usize,
    /// The newest entry.
    read: u64,
}

/// Looks at everything once; `None` if there is no ledger yet.
async fn look(store: &Store) -> Result<Option<Looked>> {
    let backend = &store.backend;
    let noted = note(backend).await?;
    let snapshot = backend.read(1).await?;
    let found = snapshot.as_ref().map(|s| (&s.lineage, s.head));
    store.check(found, snapshot.as_ref().map_or(&[], |s| &s.entries))?;
    let Some(snapshot) = snapshot else { return Ok(None) };
    let Referenced { blobs, collected, state, agrees } = referenced(backend, &snapshot).await?;
    store.still_here(&state)?;
    let Some(mut found) = backend.verify(&blobs).await? else { return Ok(None) };
    found.findings.extend(noted);
    found.findings.extend((!agrees).then(disagrees));
    Ok(Some(Looked { found, collected: collected.len(), read: snapshot.head.seq }))
}

/// What is wrong with the note on the newest checkpoint, with which every other command begins to read.
async fn note(backend: &Arc<dyn Backend>) -> Result<Option<Finding>> {
    let read = async {
        match backend.newest_checkpoint().await? {
            Some(pointer) => backend.read_from(&pointer).await.map(drop),
            None => Ok(()),
        }
    };
    match read.await {
        Err(e @ LedgerError::Corrupt { .. }) => {
            let hint = e.hint();
            let LedgerError::Corrupt { file, reason, .. } = e else { return Ok(None) };
            // What is wrong with an entry is said by who reads them all.
            let note = file == checkpoint::POINTER;
            Ok(note.then(|| Finding::Defect { file, reason: format!("{reason}; {hint}") }))
        }
        other => Ok(other.map(|()| None)?),
    }
}

/// What a whole ledger comes to.
pub(super) struct Referenced {
    /// The blobs that its entries name and that were not collected since, and those of the newest checkpoint.
    pub(super) blobs: BTreeSet<Digest>,
    /// The blobs that were collected and that no entry names since.
    pub(super) collected: BTreeMap<Digest, Collection>,
    /// What its entries come to.
    pub(super) state: State,
    /// Whether the newest checkpoint is what the entries before it come to.
    pub(super) agrees: bool,
}

/// Goes through a whole ledger, once.
pub(super) async fn referenced(backend: &Arc<dyn Backend>, snapshot: &Snapshot) -> Result<Referenced> {
    let newest = checkpoint::newest(&snapshot.entries).map(|(entry, manifest)| (entry.seq, manifest));
    let (mut found, mut collected) = (BTreeSet::new(), BTreeMap::new());
    let (mut state, mut agrees) = (State::default(), true);
    for entry in &snapshot.entries {
        let event = records::event(entry)?;
        if let Some((_, manifest)) = newest.filter(|(seq, _)| *seq == entry.seq) {
            agrees = checkpoint::is_of(manifest, &snapshot.lineage, &state);
        }
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
        records::apply(&mut state, entry, &event)?;
    }
    if let Some(manifest) = state.checkpoint {
        // What is missing in it is found by who looks for the blobs.
        found.insert(manifest);
        found.extend(checkpoint::blobs(backend.as_ref(), manifest).await.unwrap_or_default());
    }
    Ok(Referenced { blobs: found, collected, state, agrees })
}

/// That the newest checkpoint is wrong.
pub(super) fn disagrees() -> Finding {
    let reason = "the newest one does not say what the entries before it come to".to_owned();
    Finding::Defect { file: "checkpoint".to_owned(), reason }
}

/// The blobs that an event refers to.
fn blobs(event: &Event) -> Vec<String> {
    let of = |all: &[EvidenceRef]| all.iter().map(|e| e.blob.clone()).collect();
    match event {
        Event::RunStarted(started) => vec![started.inputs.clone()],
        Event::Resealed(resealed) => resealed.inputs.values().cloned().collect(),
        Event::ApprovalGiven(approval) => approval.steps.iter().cloned().collect(),
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

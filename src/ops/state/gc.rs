//! `state gc`: blobs that nothing kept refers to. The chain itself is never touched.
//!
//! Why nothing is removed that is needed, whoever else is at work:
//!
//! * What is kept is found by looking for digests in all that is kept, in whatever field they stand (also as the path of a blob's
//!   file in a command), so an attribute that nobody thought of keeps its blob.
//! * The ledger is taken over before anything goes, at the very entry that was read. A command that read before that is fenced, so
//!   what it has put will never be named; a command that reads after it takes over before it puts its first blob, and a backend
//!   removes for nobody who was taken over from. No age of a blob has to be judged for that, and no clock.
//! * The entry that says what goes is durable before the first blob does. What a crash leaves is removed by the next `gc`, and
//!   missing to nobody: `state verify` takes for gone what was collected and is named by no entry since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::edit::no_open_run;
use crate::config::VarArg;
use crate::ledger::event::{Collected, Event, RunOutcome};
use crate::ledger::record::Generation;
use crate::ledger::{Backend, Digest, LedgerError, RawEntry, State, checkpoint};
use crate::ops::Options;
use crate::ops::error::{Failure, FailureKind, Result};
use crate::ops::planning::{self, Draft};
use crate::ops::records::{self, Records};
use crate::ops::run::{Changing, Opened};
use crate::ops::verify_ledger::{self, Referenced};
use crate::ops::workspace::Workspace;
use crate::plan::{Keep, history_keep};

/// How many verified generations are kept where nothing is said.
pub const KEEP: u64 = 20;

/// So many digests are in one entry: an entry may have 16 MiB, and one of this size is read in no time.
const AN_ENTRY: usize = 10_000;

/// So many such entries are one batch, which may have 16 MiB as well.
const ENTRIES_AT_ONCE: usize = 10;

/// So many blobs are removed before it is looked whether somebody wants to stop.
const AT_ONCE: usize = 500;

/// What is to be collected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Garbage {
    /// The generations that nobody can go back to any more.
    pub generations: Vec<u64>,
    /// The generations that are kept.
    pub kept: Vec<u64>,
    /// The blobs that nothing kept refers to, with their sizes in bytes.
    pub blobs: BTreeMap<Digest, u64>,
    /// Those among them that entries name and no earlier collection gave up.
    named: Vec<Digest>,
    /// How many among them were given up by an earlier collection that did not come to its end.
    pub left_over: u64,
    /// The run that is open, which has to end before anything is removed.
    pub open: Option<String>,
}

/// What became of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collecting {
    /// There is no ledger yet.
    NoLedger,
    /// It was not wanted.
    Declined,
    /// Removed, or with a dry run only looked at; it may be nothing.
    Done(Garbage),
}

impl Garbage {
    /// Their sizes, together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.values().sum()
    }

    /// What the ledger is told before anything goes.
    fn events(&self) -> Vec<Event> {
        let others = (self.blobs.len() - self.named.len()) as u64 - self.left_over;
        if self.generations.is_empty() && self.named.is_empty() && others == 0 {
            return Vec::new();
        }
        let mut parts: Vec<Collected> = self.named.chunks(AN_ENTRY).map(of_blobs).collect();
        if parts.is_empty() {
            parts.push(Collected::default());
        }
        parts[0].generations.clone_from(&self.generations);
        parts[0].others = others;
        parts.into_iter().map(Event::Collected).collect()
    }
}

fn of_blobs(blobs: &[Digest]) -> Collected {
    Collected { blobs: blobs.to_vec(), ..Collected::default() }
}

/// How many generations the configuration says are kept. No other variable needs a value than one that it depends on.
///
/// # Errors
/// When the configuration cannot be read, or does not tell.
fn keep(workspace: &Workspace, variables: &[VarArg]) -> Result<u64> {
    let said = |draft: &Draft| {
        let Some(block) = &draft.desired.environment else { return Ok(Keep::Unsaid) };
        let directory = workspace.environment.to_string_lossy();
        history_keep(block, &draft.variables, &draft.bundle.project, &directory)
            .map_err(|wrong| Failure::from_diagnostics(wrong.into(), Arc::clone(&draft.desired.sources)))
    };
    let (look, _) = planning::open_to_look(workspace, variables)?;
    match said(&look)? {
        Keep::Unsaid => Ok(KEEP),
        Keep::Said(keep) => Ok(keep),
        // Who needs the variables says which of them has no value.
        Keep::Unknown => match said(&planning::open(workspace, variables, Options::default())?.0)? {
            Keep::Said(keep) => Ok(keep),
            Keep::Unsaid => Ok(KEEP),
            Keep::Unknown => {
                let detail = "What \"keep\" of the block \"history\" is cannot be known without planning.";
                Err(Failure::error("Unknown number of generations", detail).hint("Say it: gantry state gc --keep N"))
            }
        },
    }
}

/// Whether there is a ledger.
///
/// # Errors
/// When that cannot be found out.
pub async fn is_begun(workspace: &Workspace, variables: &[VarArg]) -> Result<bool> {
    Ok(Records::read(workspace, variables).await?.lineage.is_some())
}

/// What [`gc`] would remove. Nothing is written, and no lease is taken.
///
/// # Errors
/// When the ledger cannot be read or does not verify.
pub async fn look(workspace: &Workspace, variables: &[VarArg], keep: Option<u64>) -> Result<Collecting> {
    let records = Records::read(workspace, variables).await?;
    if records.lineage.is_none() {
        return Ok(Collecting::NoLedger);
    }
    let keep = wanted(workspace, variables, keep)?;
    Ok(Collecting::Done(garbage(&records.backend, &records.state, keep).await?))
}

/// Removes what no kept generation, and nothing that stands now, refers to, if `confirm` says yes to it.
///
/// # Errors
/// When a run is open, the ledger does not verify, or it cannot be written. Once something was recorded or removed, the failure
/// is an unfinished one, and the next collection goes on.
pub async fn gc(
    opened: &mut Opened,
    variables: &[VarArg],
    keep: Option<u64>,
    how: &Changing,
    confirm: &mut (dyn FnMut(&Garbage) -> Result<bool> + Send),
) -> Result<Collecting> {
    no_open_run(opened)?;
    let keep = wanted(&opened.workspace, variables, keep)?;
    let garbage = garbage(opened.shared_backend(), &opened.state, keep).await?;
    if garbage.blobs.is_empty() {
        return Ok(Collecting::Done(garbage));
    }
    if !confirm(&garbage)? {
        return Ok(Collecting::Declined);
    }
    for some in garbage.events().chunks(ENTRIES_AT_ONCE) {
        opened.note_all(some.to_vec()).await?;
    }
    let again = format!("What is left goes with the next one: gantry state gc {}", opened.workspace.name);
    let all: Vec<Digest> = garbage.blobs.keys().copied().collect();
    for some in all.chunks(AT_ONCE) {
        if *how.interrupts.borrow() > 0 {
            let detail = "The removal was interrupted. The ledger is whole, and takes up more room than it has to.";
            return Err(Failure { kind: FailureKind::Unfinished, ..Failure::error("Interrupted", detail).hint(again) });
        }
        let removed = opened.remove_blobs(&some.iter().copied().collect()).await;
        removed.map_err(|failed| Failure { kind: FailureKind::Unfinished, ..failed.hint(&again) })?;
    }
    Ok(Collecting::Done(garbage))
}

fn wanted(workspace: &Workspace, variables: &[VarArg], given: Option<u64>) -> Result<u64> {
    given.map_or_else(|| keep(workspace, variables), Ok)
}

async fn garbage(backend: &Arc<dyn Backend>, state: &State, keep: u64) -> Result<Garbage> {
    let Some(snapshot) = backend.read(1).await? else { return Ok(Garbage::default()) };
    if snapshot.head.seq != state.seq {
        return Err(LedgerError::Moved { place: backend.place() }.into());
    }
    let Referenced { blobs: named, collected, .. } = verify_ledger::referenced(backend, &snapshot).await?;
    let generations = kept_generations(state, keep);
    let mut kept = mentioned_by_kept(state, &generations, &snapshot.entries);
    kept.extend(checkpoints(backend, state, &snapshot.entries).await?);
    let mut blobs = backend.blobs().await?;
    blobs.retain(|blob, _| !kept.contains(blob));
    let gone = |g: &&Generation| g.collected.is_none() && !generations.contains(&g.number);
    Ok(Garbage {
        generations: state.generations.iter().filter(gone).map(|g| g.number).collect(),
        named: blobs.keys().filter(|blob| named.contains(blob)).copied().collect(),
        left_over: blobs.keys().filter(|blob| collected.contains_key(blob)).count() as u64,
        kept: generations.into_iter().collect(),
        open: state.open.as_ref().map(|open| open.run.clone()),
        blobs,
    })
}

/// The newest verified generations that one can go back to, so many; all that came after the oldest of them, however they ended;
/// and what the one that stands now, the newest, and an open run started from.
fn kept_generations(state: &State, keep: u64) -> BTreeSet<u64> {
    let back = |g: &&Generation| g.outcome == Some(RunOutcome::Verified) && !g.partial && g.collected.is_none();
    let nth = usize::try_from(keep.max(1) - 1).unwrap_or(usize::MAX);
    let oldest = state.generations.iter().rev().filter(back).nth(nth).map_or(0, |g| g.number);
    let mut kept: BTreeSet<u64> = state.generations.iter().map(|g| g.number).filter(|n| *n >= oldest).collect();
    for generation in state.current().into_iter().chain(state.generations.last()) {
        kept.extend(std::iter::once(generation.number).chain(generation.base));
    }
    kept.extend(state.open.iter().flat_map(|open| open.started.base));
    kept.retain(|number| state.find_generation(*number).is_some_and(|g| g.collected.is_none()));
    kept
}

/// The digests in all that stands now, in the kept generations, and in the entries of their runs and of an open one.
fn mentioned_by_kept(state: &State, generations: &BTreeSet<u64>, entries: &[RawEntry]) -> BTreeSet<Digest> {
    let mut kept = BTreeSet::new();
    state.records.values().for_each(|record| mentioned(record, &mut kept));
    mentioned(&state.versions, &mut kept);
    mentioned(&state.pins, &mut kept);
    mentioned(&state.migrations, &mut kept);
    mentioned(&state.checks, &mut kept);
    mentioned(&state.outputs, &mut kept);
    mentioned(&state.approvals, &mut kept);
    let generations: Vec<&Generation> = state.generations.iter().filter(|g| generations.contains(&g.number)).collect();
    mentioned(&generations, &mut kept);
    let mut runs: BTreeSet<&str> = generations.iter().map(|g| g.run.as_str()).collect();
    if let Some(open) = &state.open {
        mentioned(&open.started, &mut kept);
        runs.insert(&open.run);
    }
    // What a generation was made from it says itself: after `state reseal` that is something else than its run began with.
    let of_kept = |entry: &&RawEntry| {
        entry.run.as_deref().is_some_and(|run| runs.contains(run)) && entry.event["type"] != "run_started"
    };
    entries.iter().filter(of_kept).for_each(|entry| mentioned(&entry.event, &mut kept));
    kept
}

/// The blobs of the newest checkpoint, and of the one that an opening finds, which is an older one where a crash kept the newest
/// from being noted.
async fn checkpoints(backend: &Arc<dyn Backend>, state: &State, entries: &[RawEntry]) -> Result<BTreeSet<Digest>> {
    let mut manifests: BTreeSet<Digest> = BTreeSet::new();
    let noted = backend.newest_checkpoint().await?.map(|pointer| pointer.seq);
    for entry in entries.iter().filter(|entry| Some(entry.seq) == noted) {
        if let Event::Checkpoint { manifest } = records::event(entry)? {
            manifests.insert(manifest);
        }
    }
    manifests.extend(state.checkpoint);
    let mut kept = BTreeSet::new();
    for manifest in manifests {
        kept.extend(checkpoint::blobs(backend.as_ref(), manifest).await?);
    }
    Ok(kept)
}

/// All that looks like a digest in a value: 64 hexadecimal digits, slashes between them or not, as in the name of a blob's file.
fn mentioned(value: &impl Serialize, found: &mut BTreeSet<Digest>) {
    const DIGITS: usize = 64;
    let text = serde_json::to_string(value).expect("invariant: a state is plain data with text keys");
    let of_name = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'/');
    for piece in text.as_bytes().split(|byte| !of_name(*byte)).filter(|piece| piece.len() >= DIGITS) {
        let digits: String = piece.iter().filter(|byte| **byte != b'/').copied().map(char::from).collect();
        found.extend((DIGITS..=digits.len()).filter_map(|end| digits[end - DIGITS..end].parse::<Digest>().ok()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::format::digest;

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (one, two, three) = (digest(b"1"), digest(b"2"), digest(b"3"));
        let hex = two.to_string();
        let value = serde_json::json!({
            "digest": format!("sha256:{one}"),
            "command": [format!("../../state/test/blobs/{}/{}", &hex[..2], &hex[2..]), "--verbose"],
            "text": format!("({three}, {})", &hex[..63]),
        });
        let mut found = BTreeSet::new();
        mentioned(&value, &mut found);
        assert_eq!(found, BTreeSet::from([one, two, three]));
    }
}

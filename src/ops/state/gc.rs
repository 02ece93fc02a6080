//! `state gc`: blobs that nothing kept refers to. The chain itself is never touched.
//!
//! Why nothing is removed that is needed, whoever else is at work:
//!
//! * What is kept is found by looking for digests in all that is kept, in whatever field they stand (also as the path of a blob's
//!   file in a command), so an attribute that nobody thought of keeps its blob.
//! * The ledger is taken over before anything goes, at the very entry that was read. A command that read before that is fenced, so what it has put
//!   will never be named; a command that reads after it takes over before it puts its first blob, and a backend removes
//!   for nobody who was taken over from. No age of a blob has to be judged for that, and no clock.
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
use crate::ops::error::{Failure, Result};
use crate::ops::run::{Changing, Opened};
use crate::ops::verify_ledger::{self, Referenced};
use crate::ops::{Options, planning, records};
use crate::plan::Settings;

/// How many verified generations are kept where nothing is said.
pub const KEEP: u64 = 20;

/// So many digests are in one entry: an entry may have 16 MiB, and one of this size is read in no time.
const AN_ENTRY: usize = 10_000;

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

/// How many generations the configuration says are kept.
///
/// # Errors
/// When the configuration cannot be read.
pub fn keep(opened: &Opened, variables: &[VarArg]) -> Result<u64> {
    let (draft, _) = planning::open(&opened.workspace, variables, Options::default())?;
    let settings = opened.planning().with_inputs(&draft, &opened.state, |inputs| Settings::read(&inputs));
    let settings = settings.map_err(|e| Failure::from_diagnostics(e.into(), Arc::clone(&draft.desired.sources)))?;
    Ok(settings.history_keep.unwrap_or(KEEP))
}

/// Removes what no kept generation, and nothing that stands now, refers to, and gives what that is; nothing is removed with `dry`, or where
/// `confirm` says no, which gives `None`.
///
/// # Errors
/// When a run is open, the ledger does not verify, or it cannot be written.
pub async fn gc(
    opened: &mut Opened,
    keep: u64,
    dry: bool,
    how: &Changing,
    confirm: &mut (dyn FnMut(&Garbage) -> Result<bool> + Send),
) -> Result<Option<Garbage>> {
    no_open_run(&opened.state)?;
    let garbage = garbage(opened, keep).await?;
    if dry || garbage.blobs.is_empty() {
        return Ok(Some(garbage));
    }
    if !confirm(&garbage)? {
        return Ok(None);
    }
    let events = garbage.events();
    if !events.is_empty() {
        opened.note_all(events).await?;
    }
    let all: Vec<Digest> = garbage.blobs.keys().copied().collect();
    for some in all.chunks(AT_ONCE) {
        if *how.interrupts.borrow() > 0 {
            let detail = "The removal was interrupted; the ledger is whole, and takes up more space than it has to.";
            return Err(Failure::error("Interrupted", detail).hint("The next gantry state gc removes the rest."));
        }
        opened.remove_blobs(&some.iter().copied().collect()).await?;
    }
    Ok(Some(garbage))
}

async fn garbage(opened: &Opened, keep: u64) -> Result<Garbage> {
    let (backend, state) = (opened.shared_backend(), &opened.state);
    let Some(snapshot) = backend.read(1).await? else { return Ok(Garbage::default()) };
    if snapshot.head.seq != state.seq {
        return Err(LedgerError::Moved { place: backend.place() }.into());
    }
    let Referenced { blobs: named, collected, .. } = verify_ledger::referenced(backend, &snapshot.entries).await?;
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
        blobs,
    })
}

/// The newest verified generations that one can go back to, so many; all that came after the oldest of them, however they ended;
/// and what each of these started from.
fn kept_generations(state: &State, keep: u64) -> BTreeSet<u64> {
    let back = |g: &&Generation| g.outcome == Some(RunOutcome::Verified) && !g.partial && g.collected.is_none();
    let nth = usize::try_from(keep.max(1) - 1).unwrap_or(usize::MAX);
    let oldest = state.generations.iter().rev().filter(back).nth(nth).map_or(0, |g| g.number);
    let mut kept: BTreeSet<u64> = BTreeSet::new();
    for generation in state.generations.iter().filter(|g| g.number >= oldest) {
        kept.extend(std::iter::once(generation.number).chain(generation.base));
    }
    kept.extend(state.current().map(|g| g.number));
    kept.retain(|number| state.find_generation(*number).is_some_and(|g| g.collected.is_none()));
    kept
}

/// The digests in all that stands now, in the kept generations, and in the entries of their runs.
fn mentioned_by_kept(state: &State, generations: &BTreeSet<u64>, entries: &[RawEntry]) -> BTreeSet<Digest> {
    let mut kept = BTreeSet::new();
    state.records.values().for_each(|record| mentioned(record, &mut kept));
    mentioned(&state.versions, &mut kept);
    mentioned(&state.pins, &mut kept);
    mentioned(&state.migrations, &mut kept);
    mentioned(&state.checks, &mut kept);
    mentioned(&state.outputs, &mut kept);
    let generations: Vec<&Generation> = state.generations.iter().filter(|g| generations.contains(&g.number)).collect();
    mentioned(&generations, &mut kept);
    let runs: BTreeSet<&str> = generations.iter().map(|g| g.run.as_str()).collect();
    let of_kept = |entry: &&RawEntry| entry.run.as_deref().is_some_and(|run| runs.contains(run));
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

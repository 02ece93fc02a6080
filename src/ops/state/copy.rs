//! `state pull`, `push` and `migrate`: a whole ledger from one place to another, every entry as it was, verified on both sides.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::VarArg;
use crate::ledger::event::Event;
use crate::ledger::lease::{self, Lease, LeaseRecord, Terms};
use crate::ledger::{Backend, Digest, Draft, Head, LedgerError, LocalBackend, Whole, Writer, reading};
use crate::ops::error::{Failure, Result};
use crate::ops::records;
use crate::ops::run::not_begun;
use crate::ops::store::Store;
use crate::ops::verify_ledger::{self, Referenced};
use crate::ops::workspace::Workspace;
use crate::ports::clock::{Clock, SystemClock};
use crate::ports::env;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// How many entries.
    pub entries: u64,
    /// How many blobs.
    pub blobs: usize,
    /// Whether all of it stood there already.
    pub already: bool,
}

/// How a copying command goes about it.
pub struct Carefully<'a> {
    /// The command line, for whoever waits for the lease.
    pub command: String,
    /// How long to wait for another command.
    pub lock_timeout: Duration,
    /// Told of each holder that is waited for.
    pub waiting: &'a mut (dyn FnMut(&LeaseRecord) + Send),
}

impl Carefully<'_> {
    async fn lease(&mut self, backend: &Arc<dyn Backend>) -> Result<Lease> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let backend = Arc::clone(backend);
        let terms = Terms::default();
        Ok(lease::acquire(backend, clock, &self.command, terms, self.lock_timeout, self.waiting).await?)
    }
}

/// Copies an environment's ledger into a directory, where it is whole: its entries, its blobs, its key.
///
/// # Errors
/// When there is none, it does not verify, or the directory holds another one.
pub async fn pull(workspace: &Workspace, variables: &[VarArg], directory: &Path) -> Result<Copied> {
    let store = Store::open(workspace, variables).await?;
    let to: Arc<dyn Backend> = Arc::new(LocalBackend::new(directory));
    let copied = copy(&store.backend, &to).await.map_err(not_begun)?;
    Ok(copied.0)
}

/// Puts a ledger that [`pull`] copied where the environment keeps its own, which has to be empty.
///
/// # Errors
/// When there is no ledger in the directory, it does not verify, or the place is not empty.
pub async fn push(
    workspace: &Workspace,
    variables: &[VarArg],
    directory: &Path,
    how: &mut Carefully<'_>,
) -> Result<Copied> {
    let mut store = Store::open(workspace, variables).await?;
    let lease = how.lease(&store.backend).await?;
    let from: Arc<dyn Backend> = Arc::new(LocalBackend::new(directory));
    let copied = copy(&from, &store.backend).await;
    drop(lease.release().await);
    let (copied, whole, head) = copied.map_err(not_begun)?;
    store.remember(&whole.lineage, head)?;
    Ok(copied)
}

/// Moves an environment's ledger to where its configuration says that it is kept. What stays behind says where it went, and
/// takes no entry any more.
///
/// # Errors
/// When there is nothing to move, it does not verify, or another ledger stands there.
pub async fn migrate(
    workspace: &Workspace,
    variables: &[VarArg],
    from: Option<&Path>,
    how: &mut Carefully<'_>,
) -> Result<Copied> {
    let mut target = Store::wanted(workspace, variables)?;
    if from.is_none() && target.was_used_last() {
        return Err(nothing_to_move(&target));
    }
    let source = match from {
        Some(path) => Store::former(workspace, path, variables)?,
        None => target.before(workspace)?,
    };
    if source.place() == target.place() {
        return Err(nothing_to_move(&target));
    }
    let held = (how.lease(&source.backend).await?, how.lease(&target.backend).await?);
    let moved = move_over(&source, &mut target).await;
    drop(held.0.release().await);
    drop(held.1.release().await);
    moved
}

fn nothing_to_move(target: &Store) -> Failure {
    let detail = format!("The configuration says that the ledger is kept in {}, and there it is.", target.place());
    Failure::error("Nothing to move", detail).hint("Write the new place into the state block of the environment first.")
}

/// Ends a move that was cut off after its last write to the old place: the new one has everything, and nothing is left to do but to
/// remember that.
async fn moved_before(source: &Store, target: &mut Store) -> Result<Option<Copied>> {
    // Most places were never moved away from: their newest entries say so without the rest.
    let newest = reading::read(&source.backend).await?;
    let state = newest.map(|r| records::replay(r.base, &r.entries)).transpose()?;
    if state.is_none_or(|state| state.moved_away.as_deref() != Some(target.place())) {
        return Ok(None);
    }
    let Some(there) = source.backend.read(1).await? else { return Ok(None) };
    let Referenced { blobs, .. } = verify_ledger::referenced(&source.backend, &there).await?;
    let Some(found) = target.backend.read(1).await? else { return Ok(None) };
    // The newest entry of the old place says where the ledger went; the one before it is the newest that was copied.
    let newest = there.entries.last().map(|entry| (entry.seq - 1, entry.prev));
    let has = |(seq, digest)| found.entries.iter().any(|e| e.seq == seq && e.digest().is_ok_and(|own| own == digest));
    if found.lineage != there.lineage || !newest.is_some_and(has) {
        return Ok(None);
    }
    target.remember(&found.lineage, found.head)?;
    Ok(Some(Copied {
        from: source.backend.place(),
        to: target.backend.place(),
        entries: found.entries.len() as u64,
        blobs: blobs.len(),
        already: true,
    }))
}

async fn move_over(source: &Store, target: &mut Store) -> Result<Copied> {
    if let Some(copied) = moved_before(source, target).await.map_err(not_begun)? {
        return Ok(copied);
    }
    let (copied, whole, head) = copy(&source.backend, &target.backend).await.map_err(not_begun)?;
    // From here on the old place is history. Whoever still has it configured is told where to go.
    let (mut writer, reading) = Writer::open_reading_fenced(Arc::clone(&source.backend)).await?;
    let last = whole.entries.last().map(|entry| entry.seq);
    if reading.map(|r| r.head.seq) != last {
        let detail = "An entry was written to the old place while it was copied.";
        return Err(Failure::refused("Another process wrote to the ledger", detail)
            .hint("Run the same command again once nothing else is at work."));
    }
    let event = Event::MovedAway { place: target.place().to_owned() };
    let event = serde_json::to_value(&event).expect("invariant: an event is plain data with text keys");
    writer.append(vec![Draft { time: SystemClock.now(), run: None, actor: env::user(), event }]).await?;
    target.remember(&whole.lineage, head)?;
    Ok(copied)
}

/// Copies a ledger, and gives what was copied, with its newest entry.
async fn copy(from: &Arc<dyn Backend>, to: &Arc<dyn Backend>) -> Result<(Copied, Whole, Head)> {
    let Some(snapshot) = from.read(1).await? else {
        return Err(Failure::error("No ledger", format!("There is no ledger in {}.", from.place())));
    };
    let Referenced { blobs, state, agrees, .. } = verify_ledger::referenced(from, &snapshot).await?;
    if let Some(place) = state.moved_away {
        let detail =
            format!("The ledger in {} was moved to {place}. What stands there still is its past.", from.place());
        return Err(Failure::refused("The ledger was moved", detail));
    }
    sound(from, &blobs, agrees).await?;
    let key = from.key(false).await?.ok_or(LedgerError::KeyLost { place: from.place() })?;
    let whole = Whole { lineage: snapshot.lineage, key, entries: snapshot.entries };
    let already = stands_there(to, &whole, snapshot.head).await?;
    if already {
        to.finish_restore(&whole.lineage).await?;
    } else {
        for blob in &blobs {
            let path = from.blob_file(*blob).await?;
            to.put_file(&path, true).await?;
        }
        let again = Whole { lineage: whole.lineage.clone(), key: whole.key.clone(), entries: whole.entries.clone() };
        to.restore(Arc::new(again)).await?;
    }
    sound(to, &blobs, agrees).await?;
    if to.read(snapshot.head.seq).await?.map(|s| s.head) != Some(snapshot.head) {
        let detail = format!("What stands in {} now is not what was copied.", to.place());
        return Err(Failure::error("The copy is not the ledger", detail));
    }
    let copied =
        Copied { from: from.place(), to: to.place(), entries: whole.entries.len() as u64, blobs: blobs.len(), already };
    Ok((copied, whole, snapshot.head))
}

/// Whether just this ledger is there already: a copy that was interrupted before its end was told.
async fn stands_there(to: &Arc<dyn Backend>, whole: &Whole, head: Head) -> Result<bool> {
    let there = match to.read(1).await {
        Ok(Some(there)) => there,
        // Of a copy that was cut off there is something, and not all: it is done again, over nothing but the same copy's own.
        Ok(None) | Err(LedgerError::Lost { .. }) => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    if there.lineage == whole.lineage && there.head == head {
        return Ok(true);
    }
    let what = if there.lineage == whole.lineage { "another state of this ledger" } else { "another ledger" };
    let detail =
        format!("In {} stands {what} ({} entries), and no ledger is ever overwritten.", to.place(), there.head.seq);
    Err(Failure::refused("The place is not empty", detail).hint(
        "Choose an empty place, or move away by hand what stands there: of a directory its ledger, key, marker.json and \
         checkpoint.json.",
    ))
}

/// That nothing is wrong with a ledger.
async fn sound(backend: &Arc<dyn Backend>, blobs: &BTreeSet<Digest>, agrees: bool) -> Result<()> {
    let mut found = backend.verify(blobs).await?.map(|v| v.findings).unwrap_or_default();
    found.extend((!agrees).then(verify_ledger::disagrees));
    match found.iter().find(|finding| finding.is_defect()) {
        None => Ok(()),
        Some(finding) => Err(Failure::error(
            "The ledger does not verify",
            format!("In {}: {}.", backend.place(), verify_ledger::sentence(finding)),
        )
        .hint("Look at all that is wrong with: gantry state verify")),
    }
}

//! The write protocol: one name for each position, and nothing is ever written but under a condition.
//!
//! Taking over puts a fence at the position behind the newest entry: over nothing, or over an older writer's fence.
//! The writer's first batch takes the place of its own fence, and each later one a name at which nothing stands. So
//! whoever took over later, or wrote in between, holds the name that an older writer goes for next, and the older one
//! collides there, however long it was stopped and however late its request arrives. Nothing below `ledger/` is ever
//! removed, so a name that is taken stays taken.

use std::collections::BTreeSet;

use super::Shared;
use super::chain::Fence;
use super::client::Condition;
use super::object::{self, KEY, MARKER, MAX_OBJECT, Object};
use super::removal::Turn;
use super::settle::{self, Settled, points};
use crate::ledger::backend::{Appended, Batch, Head};
use crate::ledger::checkpoint::{POINTER, Pointer};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, Lineage, from_canonical};
use crate::ledger::marker::Marker;
use crate::ledger::seal::Key;

/// How often a fence is put over another's. Each failure means that another writer put one.
const FENCE_TRIES: usize = 1000;

/// The writing side.
#[derive(Debug, Default)]
pub(super) struct Pen {
    open: Option<Open>,
    first_failure: Option<String>,
    /// The newest entry, if this value has just appended it as a batch of its own.
    alone: Option<Head>,
    /// What this value saw last: a takeover need not read again what cannot have changed.
    pub(super) seen: Option<(Lineage, Head, Option<Fence>)>,
}

/// What this writer has taken over.
#[derive(Debug, Clone)]
enum Open {
    /// A ledger that does not exist yet.
    New(Lineage),
    /// A ledger whose next position is this writer's under the condition.
    Ledger { lineage: Lineage, epoch: u64, head: Head, next: Condition },
}

impl Pen {
    /// Becomes the writer that goes on after `head`.
    pub(super) async fn take_over(&mut self, shared: &Shared, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        self.refuse_after_failure(shared)?;
        (self.open, self.alone) = (None, None);
        shared.tried().await?;
        let Some(head) = head else {
            if shared.reading().await?.is_some() {
                return Err(LedgerError::Moved { place: shared.place() });
            }
            self.open = Some(Open::New(lineage.clone()));
            return Ok(1);
        };
        let fence = match &self.seen {
            Some((whose, seen, fence)) if *seen == head && whose == lineage => fence.clone(),
            _ => match shared.reading().await? {
                Some(reading) if reading.head == head && reading.lineage == *lineage => reading.fence,
                _ => return Err(LedgerError::Moved { place: shared.place() }),
            },
        };
        let Fence { epoch, tag } = fence_off(shared, lineage, head, fence).await?;
        shared.took_over(epoch);
        ensure_marker(shared, lineage).await?;
        self.open = Some(Open::Ledger { lineage: lineage.clone(), epoch, head, next: Condition::Tag(tag) });
        Ok(epoch)
    }

    /// Appends a batch after the newest entry.
    pub(super) async fn append(&mut self, shared: &Shared, expected_seq: u64, batch: &Batch) -> Result<Appended> {
        self.refuse_after_failure(shared)?;
        // Gone until it is known how this ends, which a caller who drops this future never learns.
        self.alone = None;
        let Some(open) = self.open.take() else { return Ok(Appended::Conflict) };
        let (lineage, epoch, prev, seq, next) = match &open {
            Open::New(lineage) => (lineage, 1, lineage.genesis(), 1, Condition::Absent),
            Open::Ledger { lineage, epoch, head, next } => (lineage, *epoch, head.digest, head.seq + 1, next.clone()),
        };
        let fits = batch.entries().first().is_some_and(|e| e.prev == prev && e.epoch == epoch);
        if !fits || expected_seq != seq || batch.first_seq() != seq {
            return Ok(Appended::Conflict);
        }
        let appended = write_batch(shared, &open, lineage, batch, &next).await;
        match &appended {
            Ok(Appended::Ok) => {
                let (lineage, head) = (lineage.clone(), batch.head());
                self.seen = Some((lineage.clone(), head, None));
                self.alone = Some(head).filter(|_| batch.entries().len() == 1);
                self.open = Some(Open::Ledger { lineage, epoch, head, next: Condition::Absent });
            }
            Ok(Appended::Conflict) => {}
            Ok(Appended::Unknown(reason)) => self.first_failure = Some(reason.clone()),
            Err(e) => self.first_failure = Some(e.to_string()),
        }
        appended
    }

    /// Removes blobs as long as nobody has taken over from this writer.
    pub(super) async fn remove_blobs(&self, shared: &Shared, blobs: &BTreeSet<Digest>) -> Result<()> {
        self.refuse_after_failure(shared)?;
        let Some(Open::Ledger { lineage, epoch, head, next }) = &self.open else {
            return Err(LedgerError::Fenced { place: shared.place() });
        };
        let turn = Turn { lineage, epoch: *epoch, position: object::position(head.seq + 1), next };
        shared.remove(blobs, &turn).await
    }

    /// Where the note of a checkpoint leads if it is about `head`. `None` unless this value has just appended it.
    pub(super) fn pointer(&self, head: Head) -> Option<Pointer> {
        let Head { seq, digest, epoch } = self.alone.filter(|own| *own == head)?;
        Some(Pointer { seq, digest, epoch, batch: seq, offset: 0 })
    }

    fn refuse_after_failure(&self, shared: &Shared) -> Result<()> {
        match &self.first_failure {
            Some(first) => Err(LedgerError::Poisoned { place: shared.place(), first: first.clone() }),
            None => Ok(()),
        }
    }
}

/// Notes where the newest checkpoint stands, unless a newer one is noted. That another writer notes one at the same
/// moment, or that nobody can tell, does no harm.
pub(super) async fn note(shared: &Shared, pointer: Pointer) -> Result<()> {
    let found = shared.client.get(POINTER, MAX_OBJECT).await.map_err(shared.unreadable())?;
    let there = found.as_ref().and_then(|found| from_canonical::<Pointer>(found.bytes.strip_suffix(b"\n")?).ok());
    if there.is_some_and(|there| there.seq >= pointer.seq) {
        return Ok(());
    }
    let condition = found.map_or(Condition::Absent, |found| Condition::Tag(found.tag));
    let text = format!("{}\n", pointer.text()?);
    let settled = settle::put(&shared.client, POINTER, text.into_bytes(), &condition, points!("checkpoint")).await;
    settled.map(drop).map_err(shared.not_written())
}

async fn write_batch(
    shared: &Shared,
    open: &Open,
    lineage: &Lineage,
    batch: &Batch,
    condition: &Condition,
) -> Result<Appended> {
    let is_new = matches!(open, Open::New(_));
    if is_new {
        key(shared, true).await?;
    }
    let name = object::position(batch.first_seq());
    let bytes = object::batch(lineage, batch);
    let settled = settle::put(&shared.client, &name, bytes, condition, points!("append")).await;
    match settled.map_err(shared.not_written())? {
        Settled::Mine(_) if is_new => ensure_marker(shared, lineage).await.map(|()| Appended::Ok),
        Settled::Mine(_) => Ok(Appended::Ok),
        Settled::Other(Some(_)) => Ok(Appended::Conflict),
        Settled::Other(None) => Ok(Appended::Unknown(format!("{name} was removed from the store by somebody"))),
        Settled::Unknown(reason) => Ok(Appended::Unknown(reason)),
    }
}

/// Puts a fence behind `head`, over what was seen there, and gives it.
async fn fence_off(shared: &Shared, lineage: &Lineage, head: Head, mut seen: Option<Fence>) -> Result<Fence> {
    let moved = || LedgerError::Moved { place: shared.place() };
    let name = object::position(head.seq + 1);
    for _ in 0..FENCE_TRIES {
        let epoch = seen.as_ref().map_or(head.epoch, |fence| fence.epoch) + 1;
        let condition = seen.as_ref().map_or(Condition::Absent, |fence| Condition::Tag(fence.tag.clone()));
        let bytes = object::fence(lineage, epoch, head);
        let settled = settle::put(&shared.client, &name, bytes, &condition, points!("fence")).await;
        match settled.map_err(shared.not_written())? {
            Settled::Mine(tag) => return Ok(Fence { epoch, tag }),
            Settled::Unknown(reason) => return Err(LedgerError::Unknown { place: shared.place(), reason }),
            Settled::Other(None) => seen = None,
            Settled::Other(Some(there)) => {
                match object::parse(&there.bytes, lineage, head.seq + 1).map_err(|bad| shared.bad(&name, bad))? {
                    Object::Fence { epoch, after } if after == head => seen = Some(Fence { epoch, tag: there.tag }),
                    _ => return Err(moved()),
                }
            }
        }
    }
    Err(moved())
}

/// Writes the marker unless it is there.
pub(super) async fn ensure_marker(shared: &Shared, lineage: &Lineage) -> Result<()> {
    let mine = Marker { lineage: lineage.clone() };
    if let Some(there) = shared.marker().await? {
        return same_marker(shared, &there, &mine);
    }
    let text = mine.encode().map_err(|source| LedgerError::NoForm { what: "the marker".to_owned(), source })?;
    let settled = settle::put(&shared.client, MARKER, text, &Condition::Absent, points!("marker")).await;
    match settled.map_err(shared.not_written())? {
        Settled::Mine(_) => Ok(()),
        Settled::Unknown(reason) => Err(LedgerError::Unknown { place: shared.place(), reason }),
        Settled::Other(_) => match shared.marker().await? {
            Some(there) => same_marker(shared, &there, &mine),
            None => Err(shared.corrupt(MARKER, "it comes and goes".to_owned())),
        },
    }
}

fn same_marker(shared: &Shared, there: &Marker, mine: &Marker) -> Result<()> {
    if there == mine {
        return Ok(());
    }
    Err(shared.corrupt(MARKER, "it names another ledger than the one whose entries stand beside it".to_owned()))
}

/// The key as it stands in the store.
pub(super) async fn stored_key(shared: &Shared) -> Result<Option<Key>> {
    let found = shared.client.get(KEY, MAX_OBJECT).await.map_err(shared.unreadable())?;
    found.map(|found| object::parse_key(&found.bytes).map_err(|reason| shared.corrupt(KEY, reason))).transpose()
}

/// The key, made if it is asked for and there is no ledger that would already need it.
pub(super) async fn key(shared: &Shared, create: bool) -> Result<Option<Key>> {
    if let Some(known) = shared.known_key() {
        return Ok(Some(known));
    }
    if let Some(key) = stored_key(shared).await? {
        return Ok(Some(shared.know_key(key)));
    }
    if shared.marker().await?.is_some() || !shared.positions().await?.0.is_empty() {
        // The ledger may have come into being between the two looks, and its key first.
        let key = stored_key(shared).await?.ok_or_else(|| LedgerError::KeyLost { place: shared.place() })?;
        return Ok(Some(shared.know_key(key)));
    }
    if !create {
        return Ok(None);
    }
    shared.tried().await?;
    let key = Key::random();
    let settled = settle::put(&shared.client, KEY, object::key(&key), &Condition::Absent, points!("key")).await;
    match settled.map_err(shared.not_written())? {
        Settled::Mine(_) => Ok(Some(shared.know_key(key))),
        Settled::Unknown(reason) => Err(LedgerError::Unknown { place: shared.place(), reason }),
        Settled::Other(_) => match stored_key(shared).await? {
            Some(key) => Ok(Some(shared.know_key(key))),
            None => Err(LedgerError::KeyLost { place: shared.place() }),
        },
    }
}

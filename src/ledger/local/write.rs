//! The write protocol of the local ledger: fence, read, go on; append, sync, look.
//!
//! `research/ledger_fence_model.py` enumerates its interleavings: no order of crashes and stops of several writers
//! makes an entry on which somebody acted void. What carries the proof, and must stay: the fence comes before the
//! reading; the look for a successor comes after the sync; nothing is ever truncated or overwritten.

use std::collections::BTreeMap;

use crate::ledger::backend::{Appended, Batch, Head};
use crate::ledger::checkpoint::Pointer;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::Lineage;
use crate::ledger::marker::Marker;
use crate::ledger::seal::Key;
use crate::ports::{crash, fs};

use super::chain;
use super::layout::{Layout, MAX_SEGMENT_BYTES, MAX_SMALL_BYTES, PRIVATE, is_temporary};
use super::segment;

/// How often a new segment's name is tried. Every failure means that another writer got one, so that each try ends
/// some writer's wait.
const FENCE_TRIES: usize = 1000;

/// The writing side of a local ledger.
#[derive(Debug, Default)]
pub(super) struct Pen {
    open: Option<Open>,
    first_failure: Option<String>,
    /// What an earlier reading of this value saw, so that a takeover need not read again what did not change.
    pub(super) seen: Option<(Head, BTreeMap<u64, u64>)>,
}

/// What this writer has taken over.
#[derive(Debug)]
enum Open {
    /// A ledger that does not exist yet: its first segment is linked together with the first batch.
    New(Lineage),
    /// A segment that fences, as long as it is not known that nothing came between.
    Fenced { epoch: u64, size: u64 },
    /// A segment that can be appended to.
    Segment(OpenSegment),
}

#[derive(Debug)]
pub(super) struct OpenSegment {
    epoch: u64,
    pub(super) file: fs::AppendFile,
    size: u64,
    /// Where the last batch begins; `None` before the first.
    last: Option<u64>,
    head: Head,
}

impl Pen {
    /// Becomes the writer that goes on after `head`.
    pub(super) fn take_over(&mut self, layout: &Layout, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        self.refuse_after_failure(layout)?;
        let moved = || LedgerError::Moved { place: layout.place() };
        let Some(head) = head else {
            if !layout.epochs()?.is_empty() {
                return Err(moved());
            }
            // Not only a look: a marker without segments is a lost ledger.
            chain::read_below(layout, u64::MAX)?;
            self.open = Some(Open::New(lineage.clone()));
            return Ok(1);
        };
        let (epoch, size) = match self.open.take() {
            // Fenced by an earlier call and nothing written since: the same fence still stands.
            Some(Open::Fenced { epoch, size }) if !has_successor(layout, epoch)? => (epoch, size),
            Some(Open::Segment(OpenSegment { epoch, size, head, .. }))
                if head.epoch < epoch && !has_successor(layout, epoch)? =>
            {
                (epoch, size)
            }
            _ => fence(layout, lineage)?,
        };
        self.open = Some(Open::Fenced { epoch, size });
        if !self.still_newest(layout, lineage, head, epoch)? {
            return Err(moved());
        }
        // A writer that was killed may have left its last entries unsynced. What goes on from them must not be
        // durable before they are.
        fs::sync_file(&layout.segment(head.epoch)).map_err(layout.not_written())?;
        crash::point("ledger.predecessor.synced");
        ensure_marker(layout, lineage)?;
        let file = fs::AppendFile::open(&layout.segment(epoch)).map_err(layout.not_written())?;
        self.open = Some(Open::Segment(OpenSegment { epoch, file, size, last: None, head }));
        Ok(epoch)
    }

    /// Whether `head` is the newest entry below an epoch that is already fenced off.
    fn still_newest(&self, layout: &Layout, lineage: &Lineage, head: Head, epoch: u64) -> Result<bool> {
        if let Some((seen, sizes)) = &self.seen
            && *seen == head
            && chain::sizes_from(layout, head.epoch, epoch)? == *sizes
        {
            return Ok(true);
        }
        let reading = chain::read_below(layout, epoch)?;
        Ok(reading.is_some_and(|r| r.head == head && r.lineage == *lineage))
    }

    /// Appends a batch after the newest entry.
    pub(super) fn append(&mut self, layout: &Layout, expected_seq: u64, batch: &Batch) -> Result<Appended> {
        self.refuse_after_failure(layout)?;
        let appended = match &mut self.open {
            None | Some(Open::Fenced { .. }) => Ok(Appended::Conflict),
            Some(Open::New(lineage)) => {
                let lineage = lineage.clone();
                start(layout, &lineage, expected_seq, batch).map(|(appended, open)| {
                    self.open = open.map(Open::Segment);
                    appended
                })
            }
            Some(Open::Segment(open)) => open.append(layout, expected_seq, batch),
        };
        match &appended {
            Ok(Appended::Ok) => {}
            Ok(Appended::Conflict) => self.open = None,
            Ok(Appended::Unknown(reason)) => self.first_failure = Some(reason.clone()),
            Err(e) => {
                let cause = std::error::Error::source(e).map(|s| format!(": {s}")).unwrap_or_default();
                self.first_failure = Some(format!("{e}{cause}"));
            }
        }
        appended
    }

    /// Notes that the newest entry, alone in its batch, is a checkpoint.
    pub(super) fn note_checkpoint(&self, layout: &Layout, head: Head) -> Result<()> {
        let Some(Open::Segment(OpenSegment { epoch, last: Some(offset), head: newest, .. })) = &self.open else {
            return Ok(());
        };
        if *newest != head {
            return Ok(());
        }
        let Head { seq, digest, .. } = head;
        note(layout, &Pointer { seq, digest, epoch: *epoch, batch: seq, offset: *offset })
    }

    /// The epoch in which this writer may still write, as far as it knows.
    pub(super) fn epoch(&self, layout: &Layout) -> Result<u64> {
        self.refuse_after_failure(layout)?;
        match &self.open {
            Some(Open::Segment(open)) => Ok(open.epoch),
            _ => Err(LedgerError::Fenced { place: layout.place() }),
        }
    }

    fn refuse_after_failure(&self, layout: &Layout) -> Result<()> {
        match &self.first_failure {
            Some(first) => Err(LedgerError::Poisoned { place: layout.place(), first: first.clone() }),
            None => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn fail_next(&mut self, act: &'static str) {
        if let Some(Open::Segment(open)) = &mut self.open {
            open.file.fail_next = Some(act);
        }
    }
}

impl OpenSegment {
    fn append(&mut self, layout: &Layout, expected_seq: u64, batch: &Batch) -> Result<Appended> {
        let fits = batch.entries().first().is_some_and(|e| e.prev == self.head.digest && e.epoch == self.epoch);
        if !fits || expected_seq != self.head.seq + 1 || batch.first_seq() != expected_seq {
            return Ok(Appended::Conflict);
        }
        within_segment(self.size + batch.lines().len() as u64)?;
        crash::point("ledger.append.before");
        self.file.write(batch.lines()).map_err(layout.not_written())?;
        crash::point("ledger.append.written");
        self.file.sync().map_err(layout.not_written())?;
        crash::point("ledger.append.synced");
        // Only now: a successor that fenced before the sync may have read the segment without these entries.
        let looked = self.file.is_in_place().and_then(|here| Ok((here, exists(layout, self.epoch + 1)?)));
        match looked {
            Ok((true, false)) => {
                self.last = Some(self.size);
                self.size += batch.lines().len() as u64;
                self.head = batch.head();
                Ok(Appended::Ok)
            }
            Ok((true, true)) => Ok(Appended::Conflict),
            Ok((false, _)) => Ok(Appended::Unknown("its file was moved or removed while it was written".to_owned())),
            Err(e) => Ok(Appended::Unknown(match std::error::Error::source(&e) {
                Some(source) => format!("{e}: {source}"),
                None => e.to_string(),
            })),
        }
    }
}

/// Writes the note on the newest checkpoint.
pub(super) fn note(layout: &Layout, pointer: &Pointer) -> Result<()> {
    let text = format!("{}\n", pointer.text()?);
    crash::point("ledger.checkpoint.before");
    fs::write_atomic(&layout.pointer(), text.as_bytes(), PRIVATE).map_err(layout.not_written())?;
    crash::point("ledger.checkpoint.noted");
    Ok(())
}

/// Creates the segment of the next epoch, which fences every writer before; gives the epoch and the segment's size.
fn fence(layout: &Layout, lineage: &Lineage) -> Result<(u64, u64)> {
    for _ in 0..FENCE_TRIES {
        let epoch = layout.epochs()?.last().copied().unwrap_or(0) + 1;
        let head_line = segment::head_line(lineage, epoch);
        if layout.create(&layout.segment(epoch), &head_line)? {
            tidy(layout);
            return Ok((epoch, head_line.len() as u64));
        }
    }
    Err(LedgerError::Moved { place: layout.place() })
}

/// Creates the ledger with its first entries. Of several that try, one does.
fn start(
    layout: &Layout,
    lineage: &Lineage,
    expected_seq: u64,
    batch: &Batch,
) -> Result<(Appended, Option<OpenSegment>)> {
    let fits = batch.entries().first().is_some_and(|e| e.prev == lineage.genesis() && e.epoch == 1);
    if !fits || expected_seq != 1 || batch.first_seq() != 1 {
        return Ok((Appended::Conflict, None));
    }
    let mut bytes = segment::head_line(lineage, 1);
    bytes.extend_from_slice(batch.lines());
    let (first, size) = ((bytes.len() - batch.lines().len()) as u64, bytes.len() as u64);
    within_segment(size)?;
    key(layout, true)?;
    layout.make_dir(&layout.segments_dir())?;
    let path = layout.segment(1);
    if !layout.create(&path, &bytes)? {
        return Ok((Appended::Conflict, None));
    }
    ensure_marker(layout, lineage)?;
    let file = fs::AppendFile::open(&path).map_err(layout.not_written())?;
    let open = OpenSegment { epoch: 1, file, size, last: Some(first), head: batch.head() };
    match exists(layout, 2) {
        Ok(false) => Ok((Appended::Ok, Some(open))),
        Ok(true) => Ok((Appended::Conflict, None)),
        Err(e) => Ok((Appended::Unknown(e.to_string()), None)),
    }
}

/// Writes the marker unless it is there.
pub(super) fn ensure_marker(layout: &Layout, lineage: &Lineage) -> Result<()> {
    if chain::marker(layout)?.is_none() {
        let text = Marker { lineage: lineage.clone() }.encode();
        let text = text.map_err(|source| LedgerError::NoForm { what: "the marker".to_owned(), source })?;
        layout.create(&layout.marker(), &text)?;
    }
    match chain::marker(layout)? {
        Some(marker) if marker.lineage == *lineage => Ok(()),
        _ => Err(layout.corrupt("marker.json", "it names another ledger than the one whose segments stand beside it")),
    }
}

/// The key, made if it is asked for and there is no ledger that would already need it.
pub(super) fn key(layout: &Layout, create: bool) -> Result<Option<Key>> {
    for attempt in 0..2 {
        if let Some(bytes) = fs::read_nofollow(&layout.key(), MAX_SMALL_BYTES).map_err(layout.unreadable())? {
            return Key::from_kept(&bytes).map(Some).map_err(|why| layout.corrupt("key", why));
        }
        let has_ledger = chain::marker(layout)?.is_some() || !layout.epochs()?.is_empty();
        if has_ledger {
            return Err(LedgerError::KeyLost { place: layout.place() });
        }
        if !create || attempt > 0 {
            break;
        }
        layout.make_dir(&layout.root)?;
        layout.create(&layout.key(), &Key::random().kept())?;
    }
    Ok(None)
}

pub(super) fn within_segment(bytes: u64) -> Result<()> {
    if bytes > MAX_SEGMENT_BYTES {
        let what = "a writer's segment of the ledger".to_owned();
        return Err(LedgerError::TooLarge { what, bytes, limit: MAX_SEGMENT_BYTES });
    }
    Ok(())
}

fn exists(layout: &Layout, epoch: u64) -> fs::Result<bool> {
    Ok(fs::kind_nofollow(&layout.segment(epoch))?.is_some())
}

pub(super) fn has_successor(layout: &Layout, epoch: u64) -> Result<bool> {
    exists(layout, epoch + 1).map_err(layout.unreadable())
}

/// Removes temporary files that crashes left. One that another writer is just about to link is no loss: it finds
/// out and tries again.
fn tidy(layout: &Layout) {
    let dir = layout.segments_dir();
    for (name, _) in fs::list(&dir).unwrap_or_default() {
        if is_temporary(&name) {
            let _ = fs::remove_file(&dir.join(name));
        }
    }
}

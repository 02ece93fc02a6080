//! Reading a ledger back through its segments.
//!
//! The newest entry is the last of the highest segment that has a first entry. That entry names the epoch and the
//! position that its writer went on from, and so on down to the first segment. What stands beyond such a point was
//! appended by a writer that had been fenced: it was told so before it could act on it, and it is void.

use std::collections::BTreeMap;

use crate::ledger::backend::Head;
use crate::ledger::checkpoint::{POINTER, Pointer};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::line::Chain;
use crate::ledger::format::{FORMAT, Lineage, RawEntry, from_canonical};
use crate::ledger::marker::{BadMarker, Marker};
use crate::ports::fs;

use super::layout::{Layout, MAX_SEGMENT_BYTES, MAX_SMALL_BYTES, segment_name};
use super::segment::{self, Segment, Tail};

/// How often a reading is begun again because a writer took over meanwhile.
const READ_TRIES: usize = 10;

/// A ledger as it was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) lineage: Lineage,
    pub(super) head: Head,
    pub(super) entries: Vec<RawEntry>,
    /// The sizes of the newest segment that counts and of all above it: as segments only grow, a reading with the
    /// same sizes would come to the same end.
    pub(super) sizes: BTreeMap<u64, u64>,
    /// The segments that count, with what stands behind their last entry, ascending.
    pub(super) parts: BTreeMap<u64, (usize, Tail)>,
}

/// Reads the marker. `None` if it was never written.
pub(super) fn marker(layout: &Layout) -> Result<Option<Marker>> {
    let Some(bytes) = fs::read_nofollow(&layout.marker(), MAX_SMALL_BYTES).map_err(layout.unreadable())? else {
        return Ok(None);
    };
    match Marker::decode(&bytes) {
        Ok(marker) if marker.encode().is_ok_and(|own| own == bytes) => Ok(Some(marker)),
        Ok(_) => Err(layout.corrupt("marker.json", "it names another version of Gantry than its format does")),
        Err(BadMarker::Newer(format, needs)) => Err(LedgerError::Newer { place: layout.place(), format, needs }),
        Err(BadMarker::Malformed(reason)) => Err(layout.corrupt("marker.json", reason)),
    }
}

/// Where the newest checkpoint stands.
pub(super) fn pointer(layout: &Layout) -> Result<Option<Pointer>> {
    let Some(bytes) = fs::read_nofollow(&layout.pointer(), MAX_SMALL_BYTES).map_err(layout.unreadable())? else {
        return Ok(None);
    };
    let text = bytes.strip_suffix(b"\n").ok_or_else(|| layout.corrupt(POINTER, "it does not end with a newline"))?;
    from_canonical(text).map(Some).map_err(|e| layout.corrupt(POINTER, e.to_string()))
}

/// Reads and verifies the ledger. `None` if there is none yet.
pub(super) fn read(layout: &Layout) -> Result<Option<Reading>> {
    read_from(layout, None)
}

/// Reads and verifies the ledger from a checkpoint's entry on. `None` if there is none yet.
pub(super) fn read_from(layout: &Layout, from: Option<&Pointer>) -> Result<Option<Reading>> {
    for _ in 1..READ_TRIES {
        let Some(reading) = read_part(layout, u64::MAX, from)? else { return Ok(None) };
        // A writer that took over meanwhile may have made the end of what was read void.
        let newest = reading.head.epoch;
        let same = |(epoch, size): (&u64, &u64)| reading.sizes.get(epoch) == Some(size) || *epoch == newest;
        if sizes_from(layout, newest, u64::MAX)?.iter().all(same) {
            return Ok(Some(reading));
        }
    }
    read_part(layout, u64::MAX, from)
}

/// The sizes of the segments from one epoch up to below another.
pub(super) fn sizes_from(layout: &Layout, from: u64, below: u64) -> Result<BTreeMap<u64, u64>> {
    let epochs = layout.epochs()?;
    let sizes = epochs.into_iter().filter(|e| (from..below).contains(e)).map(|epoch| {
        let size = fs::size(&layout.segment(epoch)).map_err(layout.unreadable())?;
        Ok((epoch, size))
    });
    sizes.collect()
}

/// Reads and verifies the segments below an epoch. `None` if there is no ledger yet.
pub(super) fn read_below(layout: &Layout, below: u64) -> Result<Option<Reading>> {
    read_part(layout, below, None)
}

fn read_part(layout: &Layout, below: u64, from: Option<&Pointer>) -> Result<Option<Reading>> {
    let marker = marker(layout)?;
    let epochs: Vec<u64> = layout.epochs()?.into_iter().filter(|&e| e < below).collect();
    let lost = |lineage: Option<&Lineage>, what: &str| {
        Err(LedgerError::Lost { place: layout.place(), lineage: lineage.cloned(), what: what.to_owned() })
    };
    if epochs.is_empty() {
        return match &marker {
            None => Ok(None),
            Some(m) => lost(Some(&m.lineage), "marker.json says that there was one, and it has no segments"),
        };
    }
    let mut loader = Loader::new(layout, marker.as_ref().map(|m| &m.lineage), from)?;
    let mut sizes = BTreeMap::new();
    let mut newest = None;
    for &epoch in epochs.iter().rev() {
        let (segment, size) = loader.load(epoch, None)?;
        sizes.insert(epoch, size);
        if !segment.entries.is_empty() {
            newest = Some((epoch, segment));
            break;
        }
    }
    let Some(newest) = newest.filter(|(epoch, _)| from.is_none_or(|p| p.epoch <= *epoch)) else {
        if let Some(pointer) = from {
            return Err(pointer.misleads(layout.place()));
        }
        return lost(Some(&loader.lineage), "none of its segments holds an entry");
    };
    follow(&mut loader, newest, sizes).map(Some)
}

/// Follows the segments from the newest down to the first, and joins their entries.
fn follow(loader: &mut Loader<'_>, newest: (u64, Segment), sizes: BTreeMap<u64, u64>) -> Result<Reading> {
    let (mut epoch, mut segment) = newest;
    let mut stack = Vec::new();
    loop {
        let continues = segment.entries.first().and_then(|(entry, _)| entry.continues);
        stack.push((epoch, segment));
        if loader.from.is_some_and(|pointer| pointer.epoch == epoch) {
            break;
        }
        let Some(before) = continues else { break };
        if let Some(pointer) = loader.from.filter(|p| p.epoch > before.epoch || p.seq > before.seq) {
            return Err(pointer.misleads(loader.layout.place()));
        }
        // The segment's reader has checked that it goes down.
        (epoch, segment) = (before.epoch, loader.load(before.epoch, Some(before.seq))?.0);
    }
    let first = stack.last().map(|(epoch, _)| *epoch);
    if let Some(pointer) = loader.from.filter(|pointer| Some(pointer.epoch) != first) {
        return Err(pointer.misleads(loader.layout.place()));
    }
    let mut chain = match (loader.from, stack.last().and_then(|(_, s)| s.entries.first())) {
        (Some(_), Some((first, _))) => Chain::before(first),
        _ => Chain::new(&loader.lineage),
    };
    let mut parts = BTreeMap::new();
    let mut entries = Vec::with_capacity(stack.iter().map(|(_, s)| s.entries.len()).sum());
    let mut head = None;
    for (epoch, segment) in stack.into_iter().rev() {
        parts.insert(epoch, (segment.end, segment.tail));
        for (at, (entry, digest)) in segment.entries.into_iter().enumerate() {
            chain.admit(&entry, digest).map_err(|reason| LedgerError::Corrupt {
                place: loader.layout.place(),
                file: segment_name(epoch),
                line: loader.from.is_none().then_some(at + 2),
                seq: Some(entry.seq),
                reason,
            })?;
            head = Some(Head { seq: entry.seq, digest, epoch });
            entries.push(entry);
        }
    }
    let head = head.expect("invariant: the newest segment was chosen because it has an entry");
    Ok(Reading { lineage: loader.lineage.clone(), head, entries, sizes, parts })
}

/// Reads segments of one ledger.
pub(super) struct Loader<'a> {
    layout: &'a Layout,
    pub(super) lineage: Lineage,
    /// The checkpoint to begin at.
    from: Option<&'a Pointer>,
}

impl<'a> Loader<'a> {
    /// Without a marker (the crash came between the first entry and it, or somebody removed it) the first segment
    /// says whose ledger it is.
    fn new(layout: &'a Layout, lineage: Option<&Lineage>, from: Option<&'a Pointer>) -> Result<Self> {
        if let Some(lineage) = lineage {
            return Ok(Self { layout, lineage: lineage.clone(), from });
        }
        let bytes = Self::bytes(layout, 1)?;
        match segment::identity(&bytes) {
            Some((format, _)) if format > FORMAT => {
                let needs = "(marker.json, which would name the version, is missing)".to_owned();
                Err(LedgerError::Newer { place: layout.place(), format, needs })
            }
            Some((_, lineage)) => Ok(Self { layout, lineage, from }),
            None if bytes.is_empty() => {
                let what = "its first segment is empty and marker.json is missing".to_owned();
                Err(LedgerError::Lost { place: layout.place(), lineage: None, what })
            }
            None => Err(LedgerError::Corrupt {
                place: layout.place(),
                file: segment_name(1),
                line: Some(1),
                seq: None,
                reason: "it has no head line, and marker.json is missing".to_owned(),
            }),
        }
    }

    /// Reads the segment of a checkpoint from the checkpoint's line on.
    fn load_from(&self, pointer: &Pointer, limit: Option<u64>) -> Result<(Segment, u64)> {
        let path = self.layout.segment(pointer.epoch);
        let misleads = || pointer.misleads(self.layout.place());
        let head = segment::head_line(&self.lineage, pointer.epoch);
        let start = fs::read_start(&path, head.len() as u64).map_err(self.layout.unreadable())?;
        if start != head || pointer.offset < head.len() as u64 {
            return Err(misleads());
        }
        let (bytes, before) =
            fs::read_on(&path, segment::sector(pointer.offset), MAX_SEGMENT_BYTES).map_err(self.layout.unreadable())?;
        let at = usize::try_from(pointer.offset - before).map_err(|_| misleads())?;
        let part = segment::parse_from(&bytes, at, pointer, limit).map_err(|bad| LedgerError::Corrupt {
            place: self.layout.place(),
            file: segment_name(pointer.epoch),
            line: None,
            seq: bad.seq,
            reason: bad.reason,
        })?;
        let size = before + bytes.len() as u64;
        part.map(|segment| (segment, size)).ok_or_else(misleads)
    }

    fn bytes(layout: &Layout, epoch: u64) -> Result<Vec<u8>> {
        let path = layout.segment(epoch);
        match fs::read_nofollow(&path, MAX_SEGMENT_BYTES).map_err(layout.unreadable())? {
            Some(bytes) => Ok(bytes),
            None => Err(layout.corrupt(&segment_name(epoch), "the segment is missing")),
        }
    }

    /// Reads a segment, and gives its size as well.
    fn load(&mut self, epoch: u64, limit: Option<u64>) -> Result<(Segment, u64)> {
        if let Some(pointer) = self.from.filter(|pointer| pointer.epoch == epoch) {
            return self.load_from(pointer, limit);
        }
        let bytes = Self::bytes(self.layout, epoch)?;
        if bytes.is_empty() && epoch == 1 {
            let (place, lineage) = (self.layout.place(), Some(self.lineage.clone()));
            let what = format!("its first segment, {}, is empty", segment_name(1));
            return Err(LedgerError::Lost { place, lineage, what });
        }
        let size = bytes.len() as u64;
        segment::parse(&bytes, &self.lineage, epoch, limit).map(|segment| (segment, size)).map_err(|bad| {
            LedgerError::Corrupt {
                place: self.layout.place(),
                file: segment_name(epoch),
                line: Some(bad.line),
                seq: bad.seq,
                reason: bad.reason,
            }
        })
    }
}

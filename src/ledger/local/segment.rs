//! The bytes of one segment, and what their end means.
//!
//! A segment is a head line that names lineage, epoch and format, and after it the lines of its one writer. Its head
//! (and in the first segment the first batch too) was linked into place whole, so it is never torn. What follows grew
//! by plain appends, and its end may be a write that a crash cut off. Such a torn tail is told from damage by what a
//! cut can and cannot leave behind:
//!
//! * killed in the write: the beginning of the written bytes. The last line has no newline, and what stands there is
//!   not a whole line whose newline was changed;
//! * power cut before the sync was through: pages of the write are missing, that is, zero bytes from a sector's border
//!   (or the write's beginning) to a sector's border (or the file's end), which canonical JSON never holds. Whole lines
//!   may stand behind the hole, but only of the same batch, which each entry names: what had been synced before is
//!   never behind it.
//!
//! All else is damage, and refused.

use crate::ledger::checkpoint::Pointer;
use crate::ledger::format::line::Chain;
use crate::ledger::format::{Digest, FORMAT, Lineage, RawEntry, from_canonical};

/// The smallest unit that a disk writes, in bytes. Larger units are multiples.
const SECTOR: usize = 512;

/// What stands behind the last entry that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Clean,
    /// So many bytes of a write that a crash cut off.
    Torn(usize),
    /// So many bytes beyond the point where a later writer went on.
    Beyond(usize),
}

/// A segment's entries that count, with the digests of their lines.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) entries: Vec<(RawEntry, Digest)>,
    pub(super) tail: Tail,
    /// The bytes before the tail.
    pub(super) end: usize,
}

/// The first bad line of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// From 1.
    pub(super) line: usize,
    pub(super) seq: Option<u64>,
    pub(super) reason: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    epoch: u64,
    format: u64,
    lineage: Lineage,
}

/// The head line of a segment.
pub(super) fn head_line(lineage: &Lineage, epoch: u64) -> Vec<u8> {
    format!("{{\"epoch\":{epoch},\"format\":{FORMAT},\"lineage\":\"{lineage}\"}}\n").into_bytes()
}

/// The format and lineage that a segment's head line names, for a ledger whose marker is not there.
pub(super) fn identity(bytes: &[u8]) -> Option<(u64, Lineage)> {
    let end = bytes.iter().take(SECTOR).position(|&b| b == b'\n')?;
    let head: HeadLine = from_canonical(&bytes[..end]).ok()?;
    Some((head.format, head.lineage))
}

/// Reads a segment up to its end, or up to the entry `limit` after which a later writer went on.
pub(super) fn parse(bytes: &[u8], lineage: &Lineage, epoch: u64, limit: Option<u64>) -> Result<Segment, Bad> {
    let head = head_line(lineage, epoch);
    if !bytes.starts_with(&head) {
        let reason = if bytes.is_empty() { "it is empty" } else { "its head line does not name this ledger and epoch" };
        return Err(Bad { line: 1, seq: None, reason: reason.to_owned() });
    }
    read_lines(bytes, head.len(), epoch, None, limit)
}

/// The border of a sector at or before a place in a file.
pub(super) fn sector(offset: u64) -> u64 {
    offset - offset % SECTOR as u64
}

/// Reads a segment from a checkpoint's line on, which begins at `at` in `bytes`; these begin at a sector's border of the file.
/// `None` if the checkpoint's entry is not there.
pub(super) fn parse_from(
    bytes: &[u8],
    at: usize,
    pointer: &Pointer,
    limit: Option<u64>,
) -> Result<Option<Segment>, Bad> {
    let rest = bytes.get(at..).unwrap_or_default();
    let line = rest.iter().position(|&b| b == b'\n').map_or(rest, |end| &rest[..=end]);
    let before = match RawEntry::unseal(line) {
        Ok((entry, _)) if pointer.leads_to(Some(&entry)) => Chain::before(&entry),
        _ => return Ok(None),
    };
    read_lines(bytes, at, pointer.epoch, Some(before), limit).map(Some)
}

/// Reads the lines of a segment from `start` on.
fn read_lines(
    bytes: &[u8],
    start: usize,
    epoch: u64,
    mut chain: Option<Chain>,
    limit: Option<u64>,
) -> Result<Segment, Bad> {
    let mut segment = Segment { entries: Vec::new(), tail: Tail::Clean, end: start };
    while segment.end < bytes.len() {
        let last = segment.entries.last().map(|(e, _)| e.seq);
        if limit.is_some() && last == limit {
            segment.tail = Tail::Beyond(bytes.len() - segment.end);
            return Ok(segment);
        }
        let rest = &bytes[segment.end..];
        let line = rest.iter().position(|&b| b == b'\n').map_or(rest, |at| &rest[..=at]);
        match admit(line, epoch, &mut chain) {
            Ok(entry) => {
                segment.entries.push(entry);
                segment.end += line.len();
            }
            Err(reason) => {
                let whole_first_batch = epoch == 1 && last.is_none();
                if limit.is_none() && !whole_first_batch && is_torn(bytes, segment.end, last, epoch) {
                    segment.tail = Tail::Torn(bytes.len() - segment.end);
                    return Ok(segment);
                }
                let seq = last.map(|s| s + 1);
                return Err(Bad { line: segment.entries.len() + 2, seq, reason });
            }
        }
    }
    match (limit, segment.entries.last().map(|(e, _)| e.seq)) {
        (Some(limit), last) if last != Some(limit) => Err(Bad {
            line: segment.entries.len() + 2,
            seq: Some(last.map_or(limit, |s| s + 1)),
            reason: format!("it ends before entry {limit}, from which a later writer went on"),
        }),
        _ => Ok(segment),
    }
}

/// Reads a line as the segment's next entry.
fn admit(line: &[u8], epoch: u64, chain: &mut Option<Chain>) -> Result<(RawEntry, Digest), String> {
    let (entry, digest) = RawEntry::unseal(line).map_err(|e| e.to_string())?;
    if entry.epoch != epoch {
        return Err(format!("its epoch is {}, the segment's {epoch}", entry.epoch));
    }
    match chain {
        Some(chain) => chain.admit(&entry, digest)?,
        None => {
            let fits = match entry.continues {
                None => entry.seq == 1 && epoch == 1,
                Some(c) => c.epoch < epoch && c.epoch > 0 && c.seq > 0 && c.seq.checked_add(1) == Some(entry.seq),
            };
            if !fits {
                return Err("it is not what a segment's first entry can be".to_owned());
            }
            *chain = Some(Chain::after(entry.seq, digest, epoch));
        }
    }
    Ok((entry, digest))
}

/// Whether what stands from `start`, after entry `last`, is what a cut-off write leaves.
fn is_torn(bytes: &[u8], start: usize, last: Option<u64>, epoch: u64) -> bool {
    let rest = &bytes[start..];
    let Some(newline) = rest.iter().position(|&b| b == b'\n') else {
        // One line without its end. If only its last byte is not what it should be, it was whole once.
        let mut whole = rest.to_vec();
        whole.pop();
        whole.push(b'\n');
        return !rest.contains(&0) && RawEntry::unseal(&whole).is_err() || has_holes(bytes, start);
    };
    if !rest[..newline].contains(&0) || !has_holes(bytes, start) {
        return false;
    }
    // Whole lines behind the hole have to be of the batch that the hole is in.
    let mut batch = last.map(|s| s + 1);
    rest[newline + 1..].split_inclusive(|&b| b == b'\n').all(|line| match RawEntry::unseal(line) {
        Ok((entry, _)) if entry.epoch == epoch => *batch.get_or_insert(entry.batch) == entry.batch,
        Ok(_) => false,
        // A line that begins or ends in a hole, or the unfinished last one. Without either it is damage.
        Err(_) => line.contains(&0) || !line.ends_with(b"\n"),
    })
}

/// Whether there are runs of zero bytes from `start` on, and each is what a sector that was never written leaves.
fn has_holes(bytes: &[u8], start: usize) -> bool {
    let (mut at, mut any) = (start, false);
    while at < bytes.len() {
        if bytes[at] != 0 {
            at += 1;
            continue;
        }
        let end = bytes[at..].iter().position(|&b| b != 0).map_or(bytes.len(), |n| at + n);
        let begins = at == start || at % SECTOR == 0;
        let ends = end == bytes.len() || end % SECTOR == 0;
        if !begins || !ends {
            return false;
        }
        (at, any) = (end, true);
    }
    any
}

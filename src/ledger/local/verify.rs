//! `state verify`: everything, from the first byte.

use std::collections::BTreeSet;

use crate::ledger::backend::{Finding, Verification};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, RawEntry};
use crate::ports::fs;

use super::chain::{self, Reading};
use super::layout::{Layout, MAX_SEGMENT_BYTES, epoch_of, is_temporary, segment_name};
use super::segment::{self, Tail};
use super::{blobs, write};

/// Verifies a ledger. `None` if there is none yet.
pub(super) fn verify(layout: &Layout, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>> {
    let Some(reading) = chain::read(layout)? else { return Ok(None) };
    let mut findings = Vec::new();
    let epochs = layout.epochs()?;
    for &epoch in &epochs {
        segment_findings(layout, &reading, epoch, &mut findings)?;
    }
    for (name, _) in fs::list(&layout.segments_dir()).map_err(layout.unreadable())? {
        if epoch_of(&name).is_none() && !is_temporary(&name) {
            findings.push(Finding::Stray { file: format!("ledger/{name}") });
        }
    }
    if chain::marker(layout)?.is_none() {
        let reason = "it is missing; the next command that writes makes it anew".to_owned();
        findings.push(Finding::Defect { file: "marker.json".to_owned(), reason });
    }
    match write::key(layout, false) {
        Ok(_) => {}
        Err(LedgerError::KeyLost { .. }) => {
            findings.push(Finding::Defect { file: "key".to_owned(), reason: "it is missing".to_owned() });
        }
        Err(e) => return Err(e),
    }
    let checked = blob_findings(layout, referenced, &mut findings)?;
    let (lineage, head) = (reading.lineage, reading.head);
    Ok(Some(Verification { lineage, head, writers: epochs.len() as u64, blobs: checked, findings }))
}

/// What stands in a segment beside the entries that count.
fn segment_findings(layout: &Layout, reading: &Reading, epoch: u64, findings: &mut Vec<Finding>) -> Result<()> {
    let file = segment_name(epoch);
    let bytes = fs::read_nofollow(&layout.segment(epoch), MAX_SEGMENT_BYTES).map_err(layout.unreadable())?;
    let bytes = bytes.unwrap_or_default();
    let head_line = segment::head_line(&reading.lineage, epoch);
    let (end, tail) = match reading.parts.get(&epoch) {
        Some(&part) => part,
        None if epoch > reading.head.epoch => match segment::parse(&bytes, &reading.lineage, epoch, None) {
            Ok(segment) => (segment.end, segment.tail),
            Err(bad) => {
                findings.push(Finding::Defect { file, reason: format!("line {}: {}", bad.line, bad.reason) });
                return Ok(());
            }
        },
        None if bytes.starts_with(&head_line) => (head_line.len(), Tail::Beyond(bytes.len() - head_line.len())),
        None => {
            findings.push(Finding::Defect { file, reason: "it has no head line".to_owned() });
            return Ok(());
        }
    };
    let line = bytes[..end.min(bytes.len())].iter().filter(|&&b| b == b'\n').count() + 1;
    match tail {
        Tail::Torn(size) => findings.push(Finding::Torn { file, line, bytes: size as u64 }),
        Tail::Beyond(size) if size > 0 => {
            let void = bytes.get(end..).unwrap_or_default();
            let whole = void.split_inclusive(|&b| b == b'\n').filter(|l| RawEntry::unseal(l).is_ok()).count();
            findings.push(match whole {
                0 => Finding::Torn { file, line, bytes: size as u64 },
                _ => Finding::Void { file, line, entries: whole as u64, bytes: size as u64 },
            });
        }
        Tail::Clean | Tail::Beyond(_) => {}
    }
    Ok(())
}

/// Reads every blob and gives the number of good ones.
fn blob_findings(layout: &Layout, referenced: &BTreeSet<Digest>, findings: &mut Vec<Finding>) -> Result<u64> {
    let (all, strays) = blobs::list(layout)?;
    let mut good = 0;
    for &digest in &all {
        match blobs::file(layout, digest) {
            Ok(_) => good += 1,
            Err(LedgerError::BlobCorrupt { .. }) => findings.push(Finding::BlobCorrupt { digest }),
            Err(LedgerError::BlobMissing { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    findings.extend(strays.into_iter().map(|file| Finding::Stray { file }));
    let all: BTreeSet<Digest> = all.into_iter().collect();
    findings.extend(referenced.difference(&all).map(|&digest| Finding::BlobMissing { digest }));
    Ok(good)
}

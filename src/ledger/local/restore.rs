//! Taking on a whole ledger that was kept elsewhere.
//!
//! Its segments are written beside the place where they belong and get there with one rename, so that a crash leaves either
//! no ledger or a whole one.

use std::collections::BTreeMap;

use crate::ledger::backend::Whole;
use crate::ledger::checkpoint::{self, Pointer};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::Lineage;
use crate::ports::{crash, fs};

use super::layout::{Layout, MAX_SMALL_BYTES, PRIVATE, segment_name};
use super::{chain, segment, write};

/// The directory in which the segments are gathered.
const GATHERED: &str = "ledger.new";

/// Makes a ledger of all its entries.
pub(super) fn restore(layout: &Layout, whole: &Whole) -> Result<()> {
    if chain::marker(layout)?.is_some() || !layout.epochs()?.is_empty() {
        return Err(LedgerError::NotEmpty { place: layout.place() });
    }
    layout.make_dir(&layout.root)?;
    let gathered = Layout { root: layout.root.join(GATHERED) };
    if layout.has_dir(&gathered.root)? {
        fs::remove_dir_all(&gathered.root).map_err(layout.not_written())?;
    }
    gathered.make_dir(&gathered.segments_dir())?;
    let (segments, pointer) = segments(whole)?;
    for (epoch, bytes) in segments {
        fs::write_new(&gathered.segment(epoch), &bytes, PRIVATE).map_err(layout.not_written())?;
    }
    fs::sync_dir(&gathered.segments_dir()).map_err(layout.not_written())?;
    crash::point("ledger.restore.gathered");
    // A key of a ledger that never got its first entry may lie here.
    let key = whole.key.kept();
    let known = fs::read_nofollow(&layout.key(), MAX_SMALL_BYTES).map_err(layout.unreadable())?;
    if known.as_deref() != Some(key.as_slice()) {
        fs::write_atomic(&layout.key(), &key, PRIVATE).map_err(layout.not_written())?;
    }
    crash::point("ledger.restore.key");
    fs::rename(&gathered.segments_dir(), &layout.segments_dir()).map_err(layout.not_written())?;
    fs::sync_dir(&layout.root).map_err(layout.not_written())?;
    crash::point("ledger.restore.named");
    finish(layout, &whole.lineage, pointer.as_ref())
}

/// What is left to do once the segments are where they belong. The note on the newest checkpoint is a shortcut: a copy that was cut off
/// before it is finished without.
pub(super) fn finish(layout: &Layout, lineage: &Lineage, pointer: Option<&Pointer>) -> Result<()> {
    write::ensure_marker(layout, lineage)?;
    if let Some(pointer) = pointer {
        write::note(layout, pointer)?;
    }
    fs::remove_dir_all(&layout.root.join(GATHERED)).map_err(layout.not_written())
}

/// Bytes, by epoch.
type Segments = BTreeMap<u64, Vec<u8>>;

/// The bytes of the segments, and where the newest checkpoint stands in them.
fn segments(whole: &Whole) -> Result<(Segments, Option<Pointer>)> {
    let mut pointer = checkpoint::pointer(&whole.entries);
    let mut all = Segments::new();
    for entry in &whole.entries {
        let (line, _) =
            entry.seal().map_err(|source| LedgerError::NoForm { what: format!("entry {}", entry.seq), source })?;
        let bytes = all.entry(entry.epoch).or_insert_with(|| segment::head_line(&whole.lineage, entry.epoch));
        if let Some(pointer) = pointer.as_mut().filter(|pointer| pointer.seq == entry.seq) {
            pointer.offset = bytes.len() as u64;
        }
        bytes.extend_from_slice(&line);
        write::within_segment(bytes.len() as u64).map_err(|e| match e {
            LedgerError::TooLarge { bytes, limit, .. } => {
                LedgerError::TooLarge { what: segment_name(entry.epoch), bytes, limit }
            }
            e => e,
        })?;
    }
    Ok((all, pointer))
}

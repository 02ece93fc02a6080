//! Checkpoints: what the entries of a ledger come to, written down, so that opening it reads the newest one and the entries
//! after it, not the whole history.
//!
//! A checkpoint is an entry of the chain ([`super::event::Event::Checkpoint`]) that names a *manifest* blob; the manifest names blobs with
//! parts of the state. Records are cut into chunks by ranges of their addresses, and the cuts depend on the addresses alone
//! (content-defined chunking, as LBFS cuts files: Muthitacharoen et al., SOSP 2001), so that a change in one place leaves
//! all other chunks as they are, and, being named by their content, they are there already. Entries before a checkpoint stay
//! and still verify.
//!
//! Where the newest one stands is noted beside the chain ([`Pointer`]). The note is nothing but a shortcut: everything in it
//! is checked against the entry that it leads to, and a ledger without it is read from its first entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::backend::Backend;
use super::error::{LedgerError, Result};
use super::event::{AppliedMigration, CheckJudged, Event};
use super::format::{Digest, Lineage, RawEntry, digest, to_canonical};
use super::record::{Generation, GivenApproval, Pin, Record};
use super::release::Quarantined;
use super::replay::{Move, State, Version};
use crate::addr::Address;

/// After so many entries a new checkpoint is worth its writing: replaying as many takes milliseconds.
pub const ENTRIES: u64 = 1000;

/// Whether so many entries since the newest checkpoint are enough for another.
#[must_use]
pub fn is_due(entries: u64) -> bool {
    entries >= crate::ports::crash::checkpoint_after().unwrap_or(ENTRIES)
}

/// So many generations are in one chunk. All chunks but the last stay as they are.
const GENERATIONS: usize = 64;

/// An address whose digest begins with this byte ends a chunk: one in 256.
const LAST: u8 = 0;

/// The most records of one chunk.
const LONGEST: usize = 2048;

/// So many chunks are read at once.
const AT_ONCE: usize = 8;

/// The number of the manifest's format.
const FORMAT: u64 = 1;

/// Where a checkpoint's entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// The number of the checkpoint's entry.
    pub seq: u64,
    /// The entry's digest.
    pub digest: Digest,
    /// The epoch of its writer.
    pub epoch: u64,
    /// The number of the first entry of the batch that it was written in.
    pub batch: u64,
    /// Where its line begins, in bytes, for a backend that keeps lines in files; else 0.
    pub offset: u64,
}

impl Pointer {
    /// Whether this is the entry that is meant.
    #[must_use]
    pub fn leads_to(&self, entry: Option<&RawEntry>) -> bool {
        entry.is_some_and(|entry| {
            (entry.seq, entry.epoch, entry.batch) == (self.seq, self.epoch, self.batch)
                && entry.digest().is_ok_and(|digest| digest == self.digest)
        })
    }

    /// What is written of it.
    ///
    /// # Errors
    /// `NoForm` when it has no canonical form.
    pub fn text(&self) -> Result<String> {
        let bytes = to_canonical(self);
        let bytes = bytes.map_err(|source| LedgerError::NoForm { what: "a checkpoint's note".to_owned(), source })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// That something else stands where it leads.
    #[must_use]
    pub fn misleads(&self, place: String) -> LedgerError {
        let reason = "it names an entry that is not there, or not at that place".to_owned();
        LedgerError::Corrupt { place, file: POINTER.to_owned(), line: None, seq: Some(self.seq), reason }
    }
}

/// The name of the note.
pub const POINTER: &str = "checkpoint.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u64,
    lineage: String,
    /// The last entry that is in it.
    seq: u64,
    records: Vec<Range>,
    generations: Vec<Digest>,
    rest: Digest,
}

/// The records from one address up to the next range's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: Address,
    blob: Digest,
}

/// All of a state that is small.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    versions: BTreeMap<Address, Vec<Version>>,
    moves: Vec<Move>,
    pins: BTreeMap<Address, Pin>,
    migrations: BTreeMap<Address, Vec<AppliedMigration>>,
    checks: BTreeMap<Address, (CheckJudged, String)>,
    outputs: BTreeMap<String, Json>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    quarantine: BTreeMap<String, Quarantined>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    acknowledged: BTreeMap<Address, super::acknowledged::OfObject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<GivenApproval>,
}

/// Writes a state down and gives the manifest's blob. Chunks that the last checkpoint has are not written again.
///
/// # Errors
/// When a blob cannot be written.
pub async fn write(backend: &dyn Backend, lineage: &Lineage, state: &State) -> Result<Digest> {
    let known = match &state.checkpoint {
        Some(last) => blobs(backend, *last).await?,
        None => BTreeSet::new(),
    };
    let (manifest, chunks) = parts(lineage, state);
    for chunk in chunks.into_iter().filter(|chunk| !known.contains(&digest(chunk))) {
        backend.put_blob(chunk).await?;
    }
    backend.put_blob(bytes(&manifest)).await
}

/// The blobs that a checkpoint consists of, its manifest among them.
///
/// # Errors
/// When the manifest cannot be read.
pub async fn blobs(backend: &dyn Backend, manifest: Digest) -> Result<BTreeSet<Digest>> {
    let Manifest { records, generations, rest, .. } = read_manifest(backend, manifest).await?;
    let of_records = records.into_iter().map(|range| range.blob);
    Ok(of_records.chain(generations).chain([rest, manifest]).collect())
}

/// The state that a checkpoint holds: that after entry `seq`.
///
/// # Errors
/// When a part of it is missing or is not what it should be.
pub async fn load(backend: &Arc<dyn Backend>, lineage: &Lineage, manifest: Digest, seq: u64) -> Result<State> {
    let found = read_manifest(backend.as_ref(), manifest).await?;
    if found.lineage != lineage.as_str() || found.seq != seq {
        return Err(corrupt(backend.as_ref(), manifest, "it belongs to another place of another ledger"));
    }
    let records = futures_util::stream::iter(found.records.into_iter().map(|range| range.blob))
        .map(|blob| part::<BTreeMap<Address, Arc<Record>>>(Arc::clone(backend), blob))
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>();
    let generations = futures_util::stream::iter(found.generations)
        .map(|blob| part::<Vec<Generation>>(Arc::clone(backend), blob))
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>();
    let (records, generations, rest) =
        tokio::try_join!(records, generations, part::<Rest>(Arc::clone(backend), found.rest))?;
    let Rest { versions, moves, pins, migrations, checks, outputs, quarantine, acknowledged, approvals } = rest;
    Ok(State {
        seq,
        // Chunks are in the order of their addresses, which is how a map is filled fastest.
        records: records.into_iter().flatten().collect(),
        versions,
        moves,
        pins,
        migrations,
        checks,
        generations: generations.into_iter().flatten().collect(),
        outputs,
        quarantine,
        acknowledged,
        approvals,
        open: None,
        // After that nothing is written.
        moved_away: None,
        checkpoint: None,
        since_checkpoint: 0,
    })
}

/// The newest checkpoint among entries, with its manifest.
#[must_use]
pub fn newest(entries: &[RawEntry]) -> Option<(&RawEntry, Digest)> {
    // Looked at before they are taken apart: most are something else, and there may be a million.
    let all = entries.iter().rev().filter(|entry| entry.event.get("type").is_some_and(|ty| ty == "checkpoint"));
    let read = |entry: &RawEntry| match serde_json::from_value(entry.event.clone()) {
        Ok(Event::Checkpoint { manifest }) => Some(manifest),
        _ => None,
    };
    all.filter_map(|entry| Some((entry, read(entry)?))).next()
}

/// Where the newest checkpoint among entries stands, without the offset of its line: for who takes on a whole ledger.
#[must_use]
pub fn pointer(entries: &[RawEntry]) -> Option<Pointer> {
    let (entry, _) = newest(entries)?;
    let digest = entry.digest().ok()?;
    let pointer = Pointer { seq: entry.seq, digest, epoch: entry.epoch, batch: entry.batch, offset: 0 };
    // It is read from the beginning of its batch on.
    (entry.batch == entry.seq).then_some(pointer)
}

/// Whether a state that stands at its end was written down in a checkpoint whose manifest has this digest.
#[must_use]
pub fn is_of(manifest: Digest, lineage: &Lineage, state: &State) -> bool {
    digest(&bytes(&parts(lineage, state).0)) == manifest
}

async fn read_manifest(backend: &dyn Backend, manifest: Digest) -> Result<Manifest> {
    let text = backend.get_blob(manifest).await?;
    let format = serde_json::from_slice::<Json>(&text).ok().and_then(|j| j.get("format")?.as_u64());
    if let Some(format) = format.filter(|f| *f > FORMAT) {
        let needs = "(its checkpoint does not say which)".to_owned();
        return Err(LedgerError::Newer { place: backend.place(), format, needs });
    }
    serde_json::from_slice(&text).map_err(|e| corrupt(backend, manifest, &e.to_string()))
}

async fn part<T: DeserializeOwned + Send + 'static>(backend: Arc<dyn Backend>, blob: Digest) -> Result<T> {
    let text = backend.get_blob(blob).await?;
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&text)).await;
    match read {
        Ok(read) => read.map_err(|e| corrupt(backend.as_ref(), blob, &e.to_string())),
        Err(e) => Err(LedgerError::Unknown { place: backend.place(), reason: e.to_string() }),
    }
}

fn corrupt(backend: &dyn Backend, blob: Digest, reason: &str) -> LedgerError {
    let reason = format!("it is a part of a checkpoint and cannot be read: {reason}");
    LedgerError::Corrupt { place: backend.place(), file: format!("blob {blob}"), line: None, seq: None, reason }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("invariant: a state is plain data with text keys")
}

/// A state's manifest and the chunks that it names.
fn parts(lineage: &Lineage, state: &State) -> (Manifest, Vec<Vec<u8>>) {
    let mut chunks = Vec::new();
    let mut keep = |chunk: Vec<u8>| {
        let name = digest(&chunk);
        chunks.push(chunk);
        name
    };
    let mut records = Vec::new();
    let mut range: BTreeMap<&Address, &Arc<Record>> = BTreeMap::new();
    let mut end = |range: &mut BTreeMap<&Address, &Arc<Record>>| {
        if let Some(from) = range.keys().next().map(|a| (*a).clone()) {
            records.push(Range { from, blob: keep(bytes(range)) });
            range.clear();
        }
    };
    for (address, record) in &state.records {
        range.insert(address, record);
        if range.len() == LONGEST || digest(address.to_string().as_bytes()).0[0] == LAST {
            end(&mut range);
        }
    }
    end(&mut range);
    let generations = state.generations.chunks(GENERATIONS).map(|some| keep(bytes(&some))).collect();
    let rest = keep(bytes(&Rest {
        versions: state.versions.clone(),
        moves: state.moves.clone(),
        pins: state.pins.clone(),
        migrations: state.migrations.clone(),
        checks: state.checks.clone(),
        outputs: state.outputs.clone(),
        quarantine: state.quarantine.clone(),
        acknowledged: state.acknowledged.clone(),
        approvals: state.approvals.clone(),
    }));
    let manifest =
        Manifest { format: FORMAT, lineage: lineage.as_str().to_owned(), seq: state.seq, records, generations, rest };
    (manifest, chunks)
}

#[cfg(test)]
mod tests;

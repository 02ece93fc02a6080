//! Reading a ledger from its objects.
//!
//! The names below `ledger/` say where each batch starts, so that a missing one shows as a gap, and the objects can be
//! fetched side by side and in any order. The last one may be a fence, which counts for nothing.

use futures_util::{StreamExt as _, stream};

use super::Shared;
use super::client::Found;
use super::object::{self, Bad, LEDGER, MARKER, MAX_OBJECT, Object};
use super::xml::Listed;
use crate::ledger::backend::Head;
use crate::ledger::checkpoint::{POINTER, Pointer};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::line::Chain;
use crate::ledger::format::{Lineage, RawEntry, from_canonical};
use crate::ledger::marker::{BadMarker, Marker};

/// How many objects are fetched side by side.
pub(super) const SIDE_BY_SIDE: usize = 16;

/// A ledger as it was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) lineage: Lineage,
    pub(super) head: Head,
    pub(super) entries: Vec<RawEntry>,
    /// The fence behind the head, if one stands there.
    pub(super) fence: Option<Fence>,
    /// How many batches there are.
    pub(super) batches: usize,
    /// Whether the marker is there.
    pub(super) marked: bool,
}

/// A fence that stands behind the newest entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) epoch: u64,
    pub(super) tag: String,
}

impl Shared {
    /// Reads the marker. `None` if it is not there.
    pub(super) async fn marker(&self) -> Result<Option<Marker>> {
        let Some(found) = self.client.get(MARKER, MAX_OBJECT).await.map_err(self.unreadable())? else {
            return Ok(None);
        };
        match Marker::decode(&found.bytes) {
            Ok(marker) if marker.encode().is_ok_and(|own| own == found.bytes) => Ok(Some(marker)),
            Ok(_) => Err(self.corrupt(MARKER, "it names another version of Gantry than its format does".to_owned())),
            Err(BadMarker::Newer(format, needs)) => Err(LedgerError::Newer { place: self.place(), format, needs }),
            Err(BadMarker::Malformed(reason)) => Err(self.corrupt(MARKER, reason)),
        }
    }

    /// The positions at which something stands, with the names of what is none, in order.
    pub(super) async fn positions(&self) -> Result<(Vec<u64>, Vec<String>)> {
        self.listed(None).await
    }

    async fn listed(&self, after: Option<&str>) -> Result<(Vec<u64>, Vec<String>)> {
        let listed = self.client.list(LEDGER, after).await.map_err(self.unreadable())?;
        let (mut positions, mut strays) = (Vec::with_capacity(listed.len()), Vec::new());
        for Listed { key, .. } in listed {
            match object::position_of(&key) {
                Some(seq) => positions.push(seq),
                None => strays.push(key),
            }
        }
        Ok((positions, strays))
    }

    pub(super) fn lost(&self, lineage: Option<&Lineage>, what: &str) -> LedgerError {
        LedgerError::Lost { place: self.place(), lineage: lineage.cloned(), what: what.to_owned() }
    }

    /// Reads and verifies the ledger. `None` if there is none yet.
    pub(super) async fn reading(&self) -> Result<Option<Reading>> {
        let (marker, positions) = tokio::join!(self.marker(), self.positions());
        let (mut marker, mut positions) = (marker?, positions?.0);
        // What comes first is written first: the first entries, then the marker, then more entries. Two looks that
        // disagree may just have been on both sides of that.
        if marker.is_some() && positions.is_empty() {
            positions = self.positions().await?.0;
        } else if marker.is_none() && !positions.is_empty() {
            marker = self.marker().await?;
        }
        if positions.is_empty() {
            return match &marker {
                None => Ok(None),
                Some(m) => {
                    Err(self.lost(Some(&m.lineage), "marker.json says that there was one, and it has no entries"))
                }
            };
        }
        let reading = self.follow(marker.as_ref().map(|m| &m.lineage), &positions, None).await?;
        if marker.is_none() && reading.batches > 1 {
            let what = "marker.json is missing, and there are more entries than a crash between the two can leave";
            return Err(self.lost(Some(&reading.lineage), what));
        }
        Ok(Some(Reading { marked: marker.is_some(), ..reading }))
    }

    /// Where the newest checkpoint stands.
    pub(super) async fn pointer(&self) -> Result<Option<Pointer>> {
        let Some(found) = self.client.get(POINTER, MAX_OBJECT).await.map_err(self.unreadable())? else {
            return Ok(None);
        };
        let text = found.bytes.strip_suffix(b"\n");
        let text = text.ok_or_else(|| self.corrupt(POINTER, "it does not end with a newline".to_owned()))?;
        from_canonical(text).map(Some).map_err(|e| self.corrupt(POINTER, e.to_string()))
    }

    /// Reads and verifies the ledger from a checkpoint's batch on. `None` if there is none yet.
    pub(super) async fn reading_from(&self, pointer: &Pointer) -> Result<Option<Reading>> {
        let before = object::position(pointer.batch.saturating_sub(1));
        let (marker, listed) = tokio::join!(self.marker(), self.listed(Some(&before)));
        // A ledger that has a checkpoint has had a marker for long.
        let Some(marker) = marker? else { return self.reading().await };
        let (positions, _) = listed?;
        let reading = self.follow(Some(&marker.lineage), &positions, Some(pointer)).await?;
        Ok(Some(Reading { marked: true, ..reading }))
    }

    /// Fetches the objects at the given positions, side by side, and joins their entries.
    async fn follow(&self, lineage: Option<&Lineage>, positions: &[u64], from: Option<&Pointer>) -> Result<Reading> {
        let mut fetched = stream::iter(positions.iter().copied().map(|seq| async move {
            let found = self.client.get(&object::position(seq), MAX_OBJECT).await.map_err(self.unreadable())?;
            Ok::<_, LedgerError>((seq, found))
        }))
        .buffered(SIDE_BY_SIDE);
        let mut joined = Joined::new(lineage.cloned(), from);
        while let Some(next) = fetched.next().await {
            let (seq, found) = next?;
            joined.add(self, seq, found)?;
        }
        let Joined { lineage, head, entries, fence, batches, .. } = joined;
        let fence = fence.map(|(fence, _)| fence);
        match (lineage, head) {
            (_, None) if from.is_some() => Err(from.map_or_else(|| self.lost(None, ""), |p| p.misleads(self.place()))),
            (Some(lineage), Some(head)) => Ok(Reading { lineage, head, entries, fence, batches, marked: false }),
            (lineage, _) => Err(self.lost(lineage.as_ref(), "it has no entry")),
        }
    }
}

/// The objects read so far.
#[derive(Debug)]
struct Joined<'a> {
    lineage: Option<Lineage>,
    chain: Option<Chain>,
    /// The checkpoint to begin at.
    from: Option<&'a Pointer>,
    head: Option<Head>,
    entries: Vec<RawEntry>,
    fence: Option<(Fence, u64)>,
    batches: usize,
}

impl<'a> Joined<'a> {
    fn new(lineage: Option<Lineage>, from: Option<&'a Pointer>) -> Self {
        let chain = lineage.as_ref().map(Chain::new);
        Self { lineage, chain, from, head: None, entries: Vec::new(), fence: None, batches: 0 }
    }

    fn add(&mut self, shared: &Shared, seq: u64, found: Option<Found>) -> Result<()> {
        let name = object::position(seq);
        // What begins with a checkpoint is checked against the checkpoint's note.
        let start = self.from.filter(|_| self.head.is_none());
        let expected = self.head.map_or(start.map_or(1, |pointer| pointer.batch), |head| head.seq + 1);
        if let Some(pointer) = start.filter(|pointer| pointer.batch != seq) {
            return Err(pointer.misleads(shared.place()));
        }
        if let Some((_, at)) = &self.fence {
            // It had been one of nobody's business when it was listed, and somebody wrote behind it since: cannot be.
            return Err(shared.corrupt(&object::position(*at), format!("it is a fence, and {name} stands behind it")));
        }
        let Some(found) = found else { return Err(shared.missing(seq)) };
        if seq > expected {
            return Err(shared.missing(expected));
        }
        if seq < expected {
            return Err(shared.corrupt(&name, format!("entry {seq} stands in the object before it already")));
        }
        let bad = |bad: Bad| shared.bad(&name, bad);
        if self.lineage.is_none() {
            // Without a marker, the first object says whose ledger it is.
            let lineage = object::identity(&found.bytes).map_err(bad)?;
            self.chain = Some(Chain::new(&lineage));
            self.lineage = Some(lineage);
        }
        let (Some(lineage), Some(chain)) = (&self.lineage, &mut self.chain) else { return Ok(()) };
        match object::parse(&found.bytes, lineage, seq).map_err(bad)? {
            Object::Batch(entries) => {
                if let (Some(pointer), Some((first, _))) = (start, entries.first()) {
                    if !entries.iter().any(|(entry, _)| pointer.leads_to(Some(entry))) {
                        return Err(pointer.misleads(shared.place()));
                    }
                    *chain = Chain::before(first);
                }
                self.head = object::admit(chain, &entries).map_err(bad)?;
                let wanted = start.map_or(0, |pointer| pointer.seq);
                self.entries.extend(entries.into_iter().map(|(entry, _)| entry).filter(|entry| entry.seq >= wanted));
                self.batches += 1;
            }
            Object::Fence { .. } if start.is_some() => {
                return Err(start.map_or_else(|| shared.lost(None, ""), |pointer| pointer.misleads(shared.place())));
            }
            Object::Fence { .. } if seq == 1 => {
                let what = "it was to be copied here and the copy has not come to its end; run the same `gantry state \
                            migrate` or `gantry state push` again";
                return Err(shared.lost(self.lineage.as_ref(), what));
            }
            Object::Fence { after, .. } if self.head != Some(after) => {
                return Err(
                    shared.corrupt(&name, "it is a fence behind another entry than the one before it".to_owned())
                );
            }
            Object::Fence { epoch, .. } => self.fence = Some((Fence { epoch, tag: found.tag }, seq)),
        }
        Ok(())
    }
}

impl Shared {
    fn missing(&self, seq: u64) -> LedgerError {
        LedgerError::Corrupt {
            place: self.place(),
            file: object::position(seq),
            line: None,
            seq: Some(seq),
            reason: "the object is missing".to_owned(),
        }
    }

    pub(super) fn bad(&self, name: &str, bad: Bad) -> LedgerError {
        match bad {
            Bad::Newer(format, needs) => LedgerError::Newer { place: self.place(), format, needs },
            Bad::Damaged(line, seq, reason) => {
                LedgerError::Corrupt { place: self.place(), file: name.to_owned(), line: Some(line), seq, reason }
            }
        }
    }

    pub(super) fn corrupt(&self, name: &str, reason: String) -> LedgerError {
        LedgerError::Corrupt { place: self.place(), file: name.to_owned(), line: None, seq: None, reason }
    }
}

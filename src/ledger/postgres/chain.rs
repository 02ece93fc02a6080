//! Reading a ledger back, every entry verified.
//!
//! The row is read first. Batches up to its head do not change any more, so they may be read in pieces while others append.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::ledger::backend::{Head, Snapshot};
use crate::ledger::checkpoint::{POINTER, Pointer};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::line::Chain;
use crate::ledger::format::{Digest, FORMAT, FormatError, Lineage, RawEntry, from_canonical};
use crate::ledger::seal::Key;

use super::link::{Arg, Link, int};

/// How many batches are read at once.
const PAGE: i64 = 4096;

/// The ledger's row.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// Whose it is, and its newest entry; none if there is a key alone.
    pub(super) begun: Option<(Lineage, Head)>,
    /// The epoch of the writer who took over last.
    pub(super) epoch: u64,
    /// The key.
    pub(super) key: Option<Key>,
}

/// A ledger as it was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) lineage: Lineage,
    pub(super) head: Head,
    pub(super) epoch: u64,
    pub(super) entries: Vec<RawEntry>,
}

impl Reading {
    /// Its entries from a position on.
    pub(super) fn from(mut self, seq: u64) -> Snapshot {
        let skip = self.entries.partition_point(|entry| entry.seq < seq);
        let entries = if skip == 0 { self.entries } else { self.entries.split_off(skip) };
        Snapshot { lineage: self.lineage, head: self.head, entries }
    }
}

/// The ledger's row; `None` without one.
pub(super) async fn header(link: &Link) -> Result<Option<Header>> {
    if !link.has_tables().await? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT lineage, format, needs, epoch, head_seq, head_digest, head_epoch, key, \
         EXISTS (SELECT 1 FROM {batch} WHERE name = $1) FROM (SELECT $1::text AS name) AS wanted \
         LEFT JOIN {ledger} AS l USING (name)",
        batch = link.tables.batch,
        ledger = link.tables.ledger,
    );
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger)]).await.map_err(link.unreadable())?;
    let row = rows.first().ok_or_else(|| bad(link, "it cannot be read"))?;
    let odd = |e: sqlx::Error| bad(link, &e.to_string());
    let lineage: Option<String> = row.try_get(0).map_err(odd)?;
    let Some(lineage) = lineage else {
        if row.try_get::<bool, _>(8).map_err(odd)? {
            let what = format!("its row in {} is gone or emptied, and there are entries of it", link.tables.ledger);
            return Err(LedgerError::Lost { place: link.place.clone(), lineage: None, what });
        }
        let epoch: Option<i64> = row.try_get(3).map_err(odd)?;
        return match epoch {
            None => Ok(None),
            Some(_) => Ok(Some(Header { begun: None, epoch: 0, key: key(link, row)? })),
        };
    };
    let format: Option<i64> = row.try_get(1).map_err(odd)?;
    let format = format.and_then(|f| u64::try_from(f).ok()).ok_or_else(|| bad(link, "it names no format"))?;
    if format > FORMAT {
        let needs: Option<String> = row.try_get(2).map_err(odd)?;
        let needs = needs.unwrap_or_else(|| "(it does not say which)".to_owned());
        return Err(LedgerError::Newer { place: link.place.clone(), format, needs });
    }
    if format != FORMAT {
        return Err(bad(link, "it names a format that there never was"));
    }
    let number = |at: usize| {
        let number: Option<i64> = row.try_get(at).map_err(odd)?;
        number.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| bad(link, "a number in it is missing or negative"))
    };
    let digest: Option<Vec<u8>> = row.try_get(5).map_err(odd)?;
    let digest = digest.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| bad(link, "its head is no digest"))?;
    let head = Head { seq: number(4)?, digest: Digest(digest), epoch: number(6)? };
    let epoch = number(3)?;
    if head.seq == 0 || head.epoch == 0 || epoch < head.epoch {
        return Err(bad(link, "its epoch is older than that of its newest entry"));
    }
    let lineage = lineage.parse().map_err(|e: FormatError| bad(link, &e.to_string()))?;
    Ok(Some(Header { begun: Some((lineage, head)), epoch, key: key(link, row)? }))
}

fn key(link: &Link, row: &PgRow) -> Result<Option<Key>> {
    let bytes: Option<Vec<u8>> = row.try_get(7).map_err(|e| bad(link, &e.to_string()))?;
    bytes.map(|bytes| Key::from_kept(&bytes).map_err(|why| bad(link, &format!("its key: {why}")))).transpose()
}

fn bad(link: &Link, reason: &str) -> LedgerError {
    link.corrupt("the ledger's row", reason)
}

/// The note on the newest checkpoint.
pub(super) async fn pointer(link: &Link) -> Result<Option<Pointer>> {
    if !link.has_tables().await? {
        return Ok(None);
    }
    let sql = format!("SELECT checkpoint FROM {} WHERE name = $1", link.tables.ledger);
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger)]).await.map_err(link.unreadable())?;
    let text: Option<String> = rows.first().and_then(|row| row.try_get(0).ok()).flatten();
    let bad = |e: FormatError| link.corrupt(POINTER, e.to_string());
    text.map(|text| from_canonical(text.as_bytes()).map_err(bad)).transpose()
}

/// Reads and verifies the ledger, from a checkpoint's entry on if one is given. `None` if there is none yet.
pub(super) async fn read(link: &Link, from: Option<&Pointer>) -> Result<Option<Reading>> {
    let Some(Header { begun: Some((lineage, head)), epoch, .. }) = header(link).await? else { return Ok(None) };
    let mut part = Part { link, from, chain: from.is_none().then(|| Chain::new(&lineage)), entries: Vec::new() };
    let mut end = None;
    let sql = format!(
        "SELECT seq, last, epoch, lines FROM {} WHERE name = $1 AND lineage = $2 AND seq >= $3 AND seq <= $4 ORDER BY seq \
         LIMIT {PAGE}",
        link.tables.batch
    );
    loop {
        let next = end.map_or(from.map_or(1, |pointer| pointer.batch), |head: Head| head.seq + 1);
        let args = [Arg::Text(&link.ledger), Arg::Text(lineage.as_str()), int(next), int(head.seq)];
        let rows = link.rows(&sql, &args).await.map_err(link.unreadable())?;
        for row in &rows {
            end = Some(part.batch(row)?);
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            break;
        }
    }
    let entries = part.entries;
    if let (None, Some(pointer)) = (end, from) {
        return Err(pointer.misleads(link.place.clone()));
    }
    match end {
        Some(end) if end == head => Ok(Some(Reading { lineage, head, epoch, entries })),
        None => {
            let what = format!("its row says that there are {} entries, and there is none", head.seq);
            Err(LedgerError::Lost { place: link.place.clone(), lineage: Some(lineage), what })
        }
        Some(end) if end.seq < head.seq => {
            let what = format!("its row says that there are {} entries, and they end at {}", head.seq, end.seq);
            Err(LedgerError::Lost { place: link.place.clone(), lineage: Some(lineage), what })
        }
        Some(_) => Err(bad(link, "the newest entry that it names is not the one that is there")),
    }
}

/// The part of a ledger that is read.
struct Part<'a> {
    link: &'a Link,
    from: Option<&'a Pointer>,
    /// The chain so far; none before the entry that a checkpoint's note leads to.
    chain: Option<Chain>,
    entries: Vec<RawEntry>,
}

impl Part<'_> {
    /// Takes in a batch and gives its last entry.
    fn batch(&mut self, row: &PgRow) -> Result<Head> {
        let number = |at: usize| row.try_get::<i64, _>(at).ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let (seq, last, epoch) = (number(0), number(1), number(2));
        let place = &self.link.place;
        let corrupt = |line: Option<usize>, entry: u64, reason: String| LedgerError::Corrupt {
            place: place.clone(),
            file: format!("batch {seq} of table batch"),
            line,
            seq: Some(entry),
            reason,
        };
        let lines: Vec<u8> = row.try_get(3).map_err(|e| corrupt(None, seq, e.to_string()))?;
        let mut head = None;
        for (at, line) in lines.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let wrong = |reason: String| corrupt(Some(at + 1), seq + at as u64, reason);
            let (entry, digest) = RawEntry::unseal(line).map_err(|e| wrong(e.to_string()))?;
            if entry.batch != seq || entry.epoch != epoch {
                return Err(wrong("it belongs to another batch".to_owned()));
            }
            match (&mut self.chain, self.from) {
                (Some(chain), _) => chain.admit(&entry, digest).map_err(wrong)?,
                (None, Some(pointer)) if !pointer.leads_to(Some(&entry)) => {
                    return Err(pointer.misleads(place.clone()));
                }
                (none, _) => *none = Some(Chain::after(entry.seq, digest, entry.epoch)),
            }
            head = Some(Head { seq: entry.seq, digest, epoch });
            self.entries.push(entry);
        }
        head.filter(|head| head.seq == last)
            .ok_or_else(|| corrupt(None, seq, format!("it does not end with entry {last}, as its row says")))
    }
}

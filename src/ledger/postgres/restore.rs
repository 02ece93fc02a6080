//! Taking on a whole ledger that was kept elsewhere, in one statement.

use std::collections::BTreeMap;

use crate::ledger::backend::{Head, Whole};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{FORMAT, NEEDS};
use crate::ports::crash;

use super::chain;
use super::link::{Arg, DURABLE, Link, int};

/// The rows of a ledger's batches, column by column.
#[derive(Default)]
struct Rows {
    seq: Vec<i64>,
    last: Vec<i64>,
    epoch: Vec<i64>,
    lines: Vec<Vec<u8>>,
}

/// Makes a ledger of all its entries.
pub(super) async fn restore(link: &Link, whole: &Whole) -> Result<()> {
    let not_empty = || LedgerError::NotEmpty { place: link.place.clone() };
    if chain::header(link).await?.is_some_and(|header| header.begun.is_some()) {
        return Err(not_empty());
    }
    let Some((rows, head)) = rows(whole)? else { return Ok(()) };
    link.make_tables().await?;
    let (ledger, batch) = (&link.tables.ledger, &link.tables.batch);
    let sql = format!(
        "WITH {DURABLE}, pen AS (\
           INSERT INTO {ledger} AS l (name, lineage, format, needs, epoch, head_seq, head_digest, head_epoch, key) \
           SELECT $1, $2, $3, $4, $5, $6, $7, $5, $8 FROM durable WHERE said IS NOT NULL \
           AND NOT EXISTS (SELECT 1 FROM {batch} AS b WHERE b.name = $1) \
           ON CONFLICT (name) DO UPDATE SET lineage = excluded.lineage, format = excluded.format, needs = excluded.needs, \
           epoch = excluded.epoch, head_seq = excluded.head_seq, head_digest = excluded.head_digest, \
           head_epoch = excluded.head_epoch, key = excluded.key WHERE l.lineage IS NULL RETURNING name) \
         INSERT INTO {batch} (lineage, seq, last, epoch, name, lines) \
         SELECT $2, r.seq, r.last, r.epoch, pen.name, r.lines \
         FROM pen, unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[]) AS r (seq, last, epoch, lines)"
    );
    let args = [
        Arg::Text(&link.ledger),
        Arg::Text(whole.lineage.as_str()),
        int(FORMAT),
        Arg::Text(NEEDS),
        int(head.epoch),
        int(head.seq),
        Arg::Bytes(&head.digest.0),
        Arg::Bytes(whole.key.bytes()),
        Arg::Ints(&rows.seq),
        Arg::Ints(&rows.last),
        Arg::Ints(&rows.epoch),
        Arg::Rows(&rows.lines),
    ];
    crash::point("postgres.restore.before");
    link.rows(&sql, &args).await.map_err(link.not_written())?;
    crash::point("postgres.restore.after");
    // Sent again after a lost answer, the statement does nothing; who stands there then says whether it was this ledger.
    match chain::header(link).await?.and_then(|header| header.begun) {
        Some((lineage, there)) if lineage == whole.lineage && there == head => Ok(()),
        _ => Err(not_empty()),
    }
}

/// The batches of a ledger, and its newest entry; `None` without entries.
fn rows(whole: &Whole) -> Result<Option<(Rows, Head)>> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut batches: BTreeMap<u64, (u64, u64, Vec<u8>)> = BTreeMap::new();
    let mut head = None;
    for entry in &whole.entries {
        let (line, digest) =
            entry.seal().map_err(|source| LedgerError::NoForm { what: format!("entry {}", entry.seq), source })?;
        let batch = batches.entry(entry.batch).or_default();
        (batch.0, batch.1) = (entry.seq, entry.epoch);
        batch.2.extend_from_slice(&line);
        head = Some(Head { seq: entry.seq, digest, epoch: entry.epoch });
    }
    let mut rows = Rows::default();
    for (seq, (last, epoch, lines)) in batches {
        rows.seq.push(number(seq));
        rows.last.push(number(last));
        rows.epoch.push(number(epoch));
        rows.lines.push(lines);
    }
    Ok(head.map(|head| (rows, head)))
}

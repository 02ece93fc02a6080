//! Taking a ledger over and appending to it.

use std::collections::BTreeSet;

use sqlx::Row as _;

use crate::ledger::backend::{Appended, Batch, Head};
use crate::ledger::checkpoint::Pointer;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, FORMAT, Lineage, NEEDS};
use crate::ledger::seal::Key;
use crate::ports::crash;

use super::chain;
use super::link::{Arg, DURABLE, Fault, Link, int};

/// So many blobs are removed with one statement: of 4 GiB each that is a long one, but they are not.
const REMOVED_AT_ONCE: usize = 100;

/// The writing side.
#[derive(Debug, Default)]
pub(super) struct Pen {
    taken: Option<Taken>,
    first_failure: Option<String>,
}

/// What this writer has taken over.
#[derive(Debug, Clone)]
struct Taken {
    lineage: Lineage,
    epoch: u64,
    /// Whether there is a ledger.
    begun: bool,
}

/// What became of a batch that was sent.
enum Sent {
    Ok,
    Conflict,
    /// It is not there, and its position is free.
    Absent,
}

impl Pen {
    /// Becomes the writer that goes on after `head`.
    pub(super) async fn take_over(&mut self, link: &Link, lineage: &Lineage, head: Option<Head>) -> Result<u64> {
        self.refuse_after_failure(link)?;
        self.taken = None;
        let moved = || LedgerError::Moved { place: link.place.clone() };
        let lineage = lineage.clone();
        let Some(head) = head else {
            if chain::header(link).await?.is_some_and(|header| header.begun.is_some()) {
                return Err(moved());
            }
            // Nobody else's bytes can be this writer's: they start from the lineage, which is random.
            self.taken = Some(Taken { lineage, epoch: 1, begun: false });
            return Ok(1);
        };
        let sql = format!(
            "WITH {DURABLE} UPDATE {} SET epoch = epoch + 1 FROM durable WHERE said IS NOT NULL AND name = $1 AND lineage = $2 \
             AND head_seq = $3 AND head_digest = $4 RETURNING epoch",
            link.tables.ledger
        );
        let args = [Arg::Text(&link.ledger), Arg::Text(lineage.as_str()), int(head.seq), Arg::Bytes(&head.digest.0)];
        crash::point("postgres.take_over.before");
        // Taken twice because an answer was lost, it skips an epoch.
        let rows = link.rows(&sql, &args).await.map_err(link.not_written())?;
        crash::point("postgres.take_over.after");
        let epoch = rows.first().map(|row| row.try_get::<i64, _>(0));
        let epoch = epoch.and_then(|epoch| u64::try_from(epoch.ok()?).ok()).ok_or_else(moved)?;
        self.taken = Some(Taken { lineage, epoch, begun: true });
        Ok(epoch)
    }

    /// Appends a batch after the newest entry.
    pub(super) async fn append(&mut self, link: &Link, expected_seq: u64, batch: &Batch) -> Result<Appended> {
        self.refuse_after_failure(link)?;
        let Some(taken) = self.taken.clone() else { return Ok(Appended::Conflict) };
        // Set before the wait: a caller that drops this future leaves a statement behind of which nobody saw the end.
        self.first_failure = Some("an append was abandoned before its end".to_owned());
        let appended = append(link, &taken, expected_seq, batch).await;
        self.first_failure = None;
        match &appended {
            Ok(Appended::Ok) => self.taken = Some(Taken { begun: true, ..taken }),
            Ok(Appended::Conflict) => self.taken = None,
            Ok(Appended::Unknown(reason)) => self.first_failure = Some(reason.clone()),
            Err(e) => self.first_failure = Some(e.to_string()),
        }
        appended
    }

    /// Notes that the newest entry is a checkpoint, if it is this writer's own and alone in its batch.
    pub(super) async fn note_checkpoint(&self, link: &Link, head: Head) -> Result<()> {
        let Some(Taken { lineage, epoch, begun: true }) = &self.taken else { return Ok(()) };
        let Head { seq, digest, .. } = head;
        let pointer = Pointer { seq, digest, epoch: *epoch, batch: seq, offset: 0 };
        let text = pointer.text()?;
        let sql = format!(
            "UPDATE {} AS l SET checkpoint = $1 WHERE name = $2 AND lineage = $3 AND epoch = $4 AND head_epoch = $4 \
             AND head_seq = $5 AND head_digest = $6 AND EXISTS (SELECT 1 FROM {} AS b WHERE b.name = l.name \
             AND b.lineage = l.lineage AND b.seq = l.head_seq)",
            link.tables.ledger, link.tables.batch
        );
        let args = [
            Arg::Text(&text),
            Arg::Text(&link.ledger),
            Arg::Text(lineage.as_str()),
            int(*epoch),
            int(seq),
            Arg::Bytes(&digest.0),
        ];
        crash::point("postgres.checkpoint.before");
        link.rows(&sql, &args).await.map_err(link.not_written())?;
        crash::point("postgres.checkpoint.noted");
        Ok(())
    }

    /// Removes blobs. Statement by statement the ledger's row is locked and looked at, so that whoever takes over either comes
    /// before it, and nothing is removed, or waits for its end.
    pub(super) async fn remove_blobs(&self, link: &Link, blobs: &BTreeSet<Digest>) -> Result<()> {
        self.refuse_after_failure(link)?;
        let fenced = || LedgerError::Fenced { place: link.place.clone() };
        let taken = self.taken.as_ref().filter(|taken| taken.begun).ok_or_else(fenced)?;
        let (ledger, blob, part) = (&link.tables.ledger, &link.tables.blob, &link.tables.blob_part);
        let sql = format!(
            "WITH pen AS (SELECT name FROM {ledger} WHERE name = $1 AND lineage = $2 AND epoch = $3 FOR UPDATE), \
             parts AS (DELETE FROM {part} AS p USING pen WHERE p.name = pen.name AND p.digest = ANY($4)), \
             whole AS (DELETE FROM {blob} AS b USING pen WHERE b.name = pen.name AND b.digest = ANY($4)) \
             SELECT name FROM pen"
        );
        let all: Vec<Vec<u8>> = blobs.iter().map(|digest| digest.0.to_vec()).collect();
        for some in all.chunks(REMOVED_AT_ONCE) {
            crash::point("postgres.blob.remove.before");
            let args =
                [Arg::Text(&link.ledger), Arg::Text(taken.lineage.as_str()), int(taken.epoch), Arg::Pieces(some)];
            // Sent twice because an answer was lost, it removes what is gone.
            let rows = link.rows(&sql, &args).await.map_err(link.not_written())?;
            crash::point("postgres.blob.remove.after");
            if rows.is_empty() {
                return Err(fenced());
            }
        }
        Ok(())
    }

    fn refuse_after_failure(&self, link: &Link) -> Result<()> {
        match &self.first_failure {
            Some(first) => Err(LedgerError::Poisoned { place: link.place.clone(), first: first.clone() }),
            None => Ok(()),
        }
    }
}

async fn append(link: &Link, taken: &Taken, expected_seq: u64, batch: &Batch) -> Result<Appended> {
    let Some(first) = batch.entries().first() else { return Ok(Appended::Conflict) };
    if expected_seq != first.seq || first.epoch != taken.epoch {
        return Ok(Appended::Conflict);
    }
    if !taken.begun {
        if first.prev != taken.lineage.genesis() || first.seq != 1 {
            return Ok(Appended::Conflict);
        }
        link.make_tables().await?;
    }
    let (mut patience, mut sent) = (link.patience(), false);
    loop {
        crash::point("postgres.append.before");
        let fault = match send(link, taken, batch).await {
            Ok(true) => {
                crash::point("postgres.append.after");
                return Ok(Appended::Ok);
            }
            Ok(false) => None,
            Err(fault) => Some(fault),
        };
        sent |= fault.as_ref().is_some_and(|fault| fault.sent);
        // No row and nothing lost on the way: it was refused. Everything else is looked up.
        let looked = match &fault {
            None if !sent => return Ok(Appended::Conflict),
            Some(fault) if !sent && fault.code.as_deref() != Some("23505") => None,
            _ => look(link, taken, batch).await.ok(),
        };
        match (looked, fault) {
            (Some(Sent::Ok), _) => return Ok(Appended::Ok),
            (Some(Sent::Conflict), _) | (_, None) => return Ok(Appended::Conflict),
            (_, Some(fault)) if patience.again(&fault).await => {}
            (Some(Sent::Absent), Some(fault)) if !sent => return Err(link.not_written()(fault)),
            (_, Some(fault)) if sent => return Ok(Appended::Unknown(fault.reason)),
            (_, Some(fault)) => return Err(link.not_written()(fault)),
        }
    }
}

/// Sends a batch; says whether it was taken.
async fn send(link: &Link, taken: &Taken, batch: &Batch) -> std::result::Result<bool, Fault> {
    let (head, first) = (batch.head(), batch.first_seq());
    let prev = batch.entries().first().map_or(taken.lineage.genesis(), |entry| entry.prev);
    let key = Key::random();
    let mut args = vec![
        Arg::Text(&link.ledger),
        Arg::Text(taken.lineage.as_str()),
        int(taken.epoch),
        int(first),
        int(head.seq),
        Arg::Bytes(&head.digest.0),
        Arg::Bytes(batch.lines()),
    ];
    let kept = key.kept();
    let (ledger, table) = (&link.tables.ledger, &link.tables.batch);
    let pen = if taken.begun {
        args.push(Arg::Bytes(&prev.0));
        format!(
            "UPDATE {ledger} SET head_seq = $5, head_digest = $6, head_epoch = $3 FROM durable WHERE said IS NOT NULL \
             AND name = $1 AND lineage = $2 AND epoch = $3 AND head_seq = $4 - 1 AND head_digest = $8 RETURNING name"
        )
    } else {
        let format = i64::try_from(FORMAT).unwrap_or(i64::MAX);
        args.extend([Arg::Bytes(&kept), Arg::Int(format), Arg::Text(NEEDS)]);
        format!(
            "INSERT INTO {ledger} AS l (name, lineage, format, needs, epoch, head_seq, head_digest, head_epoch, key) \
             SELECT $1, $2, $9, $10, $3, $5, $6, $3, $8 FROM durable WHERE said IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {table} AS b WHERE b.name = $1) \
             ON CONFLICT (name) DO UPDATE SET lineage = excluded.lineage, format = excluded.format, needs = excluded.needs, \
             epoch = excluded.epoch, head_seq = excluded.head_seq, head_digest = excluded.head_digest, \
             head_epoch = excluded.head_epoch, key = coalesce(l.key, excluded.key) WHERE l.lineage IS NULL RETURNING name"
        )
    };
    let sql = format!(
        "WITH {DURABLE}, pen AS ({pen}) INSERT INTO {table} (lineage, seq, last, epoch, name, lines) \
         SELECT $2, $4, $5, $3, name, $7 FROM pen RETURNING seq"
    );
    Ok(!link.once(&sql, &args).await?.is_empty())
}

/// What stands at a batch's position.
async fn look(link: &Link, taken: &Taken, batch: &Batch) -> std::result::Result<Sent, Fault> {
    let sql = format!(
        "SELECT l.lineage, l.epoch, b.lines FROM {} AS l LEFT JOIN {} AS b ON b.name = l.name AND b.lineage = l.lineage AND b.seq = $2 \
         WHERE l.name = $1 AND l.lineage IS NOT NULL",
        link.tables.ledger, link.tables.batch
    );
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger), int(batch.first_seq())]).await?;
    let Some(row) = rows.first() else {
        return Ok(if taken.begun { Sent::Conflict } else { Sent::Absent });
    };
    let lineage: Option<String> = row.try_get(0).unwrap_or_default();
    let epoch = row.try_get::<i64, _>(1).ok().and_then(|epoch| u64::try_from(epoch).ok());
    let lines: Option<Vec<u8>> = row.try_get(2).unwrap_or_default();
    let mine = lineage.as_deref() == Some(taken.lineage.as_str()) && epoch == Some(taken.epoch);
    Ok(match lines {
        Some(lines) if mine && lines == batch.lines() => Sent::Ok,
        None if mine => Sent::Absent,
        _ => Sent::Conflict,
    })
}

/// The ledger's key, made if it is asked for and there is no ledger that would already need it.
pub(super) async fn key(link: &Link, create: bool) -> Result<Option<Key>> {
    let found = chain::header(link).await?;
    match found {
        Some(chain::Header { key: Some(key), .. }) => return Ok(Some(key)),
        Some(chain::Header { begun: Some(_), .. }) => return Err(LedgerError::KeyLost { place: link.place.clone() }),
        _ if !create => return Ok(None),
        _ => link.make_tables().await?,
    }
    let sql = format!(
        "WITH {DURABLE} INSERT INTO {} AS l (name, key) SELECT $1, $2 FROM durable WHERE said IS NOT NULL \
         ON CONFLICT (name) DO UPDATE SET key = excluded.key WHERE l.key IS NULL AND l.lineage IS NULL",
        link.tables.ledger
    );
    let key = Key::random();
    crash::point("postgres.key.before");
    link.rows(&sql, &[Arg::Text(&link.ledger), Arg::Bytes(&key.kept())]).await.map_err(link.not_written())?;
    crash::point("postgres.key.after");
    match chain::header(link).await? {
        Some(chain::Header { key: Some(key), .. }) => Ok(Some(key)),
        _ => Err(LedgerError::KeyLost { place: link.place.clone() }),
    }
}

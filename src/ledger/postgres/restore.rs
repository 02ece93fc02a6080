//! Taking on a whole ledger that was kept elsewhere, in one transaction: there is all of it or nothing.

use crate::ledger::backend::{Head, Whole};
use crate::ledger::checkpoint;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{FORMAT, NEEDS};
use crate::ports::crash;

use super::chain;
use super::link::{Arg, DURABLE, Fault, Link, int};

/// So many batches are sent at once, or so many bytes of them.
const PAGE: (usize, usize) = (1000, 16 * 1024 * 1024);

/// Batches as columns.
#[derive(Default)]
struct Batches {
    seq: Vec<i64>,
    last: Vec<i64>,
    epoch: Vec<i64>,
    lines: Vec<Vec<u8>>,
}

impl Batches {
    fn is_full(&self) -> bool {
        self.seq.len() >= PAGE.0 || self.lines.iter().map(Vec::len).sum::<usize>() >= PAGE.1
    }
}

/// Makes a ledger of all its entries.
pub(super) async fn restore(link: &Link, whole: &Whole) -> Result<()> {
    let taken = || LedgerError::NotEmpty { place: link.place.clone() };
    if chain::header(link).await?.is_some_and(|header| header.begun.is_some()) {
        return Err(taken());
    }
    link.make_tables().await?;
    let (pages, head) = cut(whole)?;
    let Some(head) = head else { return Ok(()) };
    let note = checkpoint::pointer(&whole.entries).map(|pointer| pointer.text()).transpose()?;
    crash::point("postgres.restore.before");
    match send(link, whole, &pages, head, note.as_deref()).await {
        Ok(true) => {
            crash::point("postgres.restore.after");
            Ok(())
        }
        Ok(false) => Err(taken()),
        // The answer to the commit may be what was lost.
        Err(fault) if fault.sent => match chain::header(link).await? {
            Some(header) if header.begun == Some((whole.lineage.clone(), head)) => Ok(()),
            _ => Err(link.not_written()(fault)),
        },
        Err(fault) => Err(link.not_written()(fault)),
    }
}

/// The batches as they were written, in pages, and the newest entry.
fn cut(whole: &Whole) -> Result<(Vec<Batches>, Option<Head>)> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (mut pages, mut head) = (vec![Batches::default()], None);
    let mut newest = None;
    for entry in &whole.entries {
        let sealed = entry.seal();
        let (line, digest) =
            sealed.map_err(|source| LedgerError::NoForm { what: format!("entry {}", entry.seq), source })?;
        if newest != Some(entry.batch) {
            newest = Some(entry.batch);
            if pages.last().is_some_and(Batches::is_full) {
                pages.push(Batches::default());
            }
            let page = pages.last_mut().expect("invariant: there is a page from the start");
            page.seq.push(signed(entry.batch));
            page.last.push(0);
            page.epoch.push(signed(entry.epoch));
            page.lines.push(Vec::new());
        }
        let page = pages.last_mut().expect("invariant: there is a page from the start");
        if let (Some(last), Some(lines)) = (page.last.last_mut(), page.lines.last_mut()) {
            *last = signed(entry.seq);
            lines.extend_from_slice(&line);
        }
        head = Some(Head { seq: entry.seq, digest, epoch: entry.epoch });
    }
    Ok((pages, head))
}

/// Sends all of it, with the note on its newest checkpoint; says whether the place was free.
async fn send(
    link: &Link,
    whole: &Whole,
    pages: &[Batches],
    head: Head,
    note: Option<&str>,
) -> std::result::Result<bool, Fault> {
    let mut transaction = link.begin().await?;
    let format = i64::try_from(FORMAT).unwrap_or(i64::MAX);
    let sql = format!(
        "WITH {DURABLE} INSERT INTO {} AS l (name, lineage, format, needs, epoch, head_seq, head_digest, head_epoch, key) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $5, $8 FROM durable WHERE said IS NOT NULL ON CONFLICT (name) DO UPDATE SET \
         lineage = excluded.lineage, format = excluded.format, needs = excluded.needs, epoch = excluded.epoch, \
         head_seq = excluded.head_seq, head_digest = excluded.head_digest, head_epoch = excluded.head_epoch, \
         key = excluded.key WHERE l.lineage IS NULL RETURNING name",
        link.tables.ledger
    );
    let kept = whole.key.kept();
    let args = [
        Arg::Text(&link.ledger),
        Arg::Text(whole.lineage.as_str()),
        Arg::Int(format),
        Arg::Text(NEEDS),
        int(head.epoch),
        int(head.seq),
        Arg::Bytes(&head.digest.0),
        Arg::Bytes(&kept),
    ];
    if transaction.rows(&sql, &args).await?.is_empty() {
        return Ok(false);
    }
    let sql = format!(
        "INSERT INTO {} (name, lineage, seq, last, epoch, lines) SELECT $1, $2, b.* FROM \
         unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) AS b (seq, last, epoch, lines)",
        link.tables.batch
    );
    for page in pages {
        let Batches { seq, last, epoch, lines } = page;
        let args = [
            Arg::Text(&link.ledger),
            Arg::Text(whole.lineage.as_str()),
            Arg::Ints(seq),
            Arg::Ints(last),
            Arg::Ints(epoch),
            Arg::Pieces(lines),
        ];
        transaction.rows(&sql, &args).await?;
    }
    if let Some(note) = note {
        let sql = format!("UPDATE {} SET checkpoint = $1 WHERE name = $2 RETURNING name", link.tables.ledger);
        transaction.rows(&sql, &[Arg::Text(note), Arg::Text(&link.ledger)]).await?;
    }
    crash::point("postgres.restore.sent");
    transaction.commit().await?;
    Ok(true)
}

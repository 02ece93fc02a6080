//! The lease: a row that is replaced only if it is still the expected one.

use sqlx::Row as _;

use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{from_canonical, to_canonical};
use crate::ledger::lease::LeaseRecord;
use crate::ports::crash;

use super::link::{Arg, Link};

/// How often a swap that lost its answer, or met another, looks again.
const SWAP_TRIES: usize = 20;

/// The row's text as it stands, and what it says. One that cannot be understood holds nobody back: safety does not rest on
/// it.
async fn row(link: &Link) -> Result<Option<(String, Option<LeaseRecord>)>> {
    if !link.has_tables().await? {
        return Ok(None);
    }
    let sql = format!("SELECT record FROM {} WHERE name = $1", link.tables.lease);
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger)]).await.map_err(link.unreadable())?;
    let text: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
    Ok(text.map(|text| {
        let record = from_canonical(text.as_bytes()).ok();
        (text, record)
    }))
}

pub(super) async fn load(link: &Link) -> Result<Option<LeaseRecord>> {
    Ok(row(link).await?.and_then(|(_, record)| record))
}

/// Compare and swap.
pub(super) async fn swap(link: &Link, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<bool> {
    let text = |record: &LeaseRecord| {
        let bytes = to_canonical(record);
        let bytes = bytes.map_err(|source| LedgerError::NoForm { what: "the lease".to_owned(), source })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let new_text = new.map(text).transpose()?;
    let (name, lease) = (Arg::Text(&link.ledger), &link.tables.lease);
    let (mut lost, mut patience) = (false, link.patience());
    for _ in 0..SWAP_TRIES {
        let found = row(link).await?;
        let stands = found.as_ref().and_then(|(_, record)| record.as_ref());
        // The answer to an earlier try was lost, and it was carried out: no two records are alike.
        if lost && stands == new {
            return Ok(true);
        }
        if stands != expected {
            return Ok(false);
        }
        let (sql, args) = match (&found, &new_text) {
            (None, None) => return Ok(true),
            (None, Some(new)) => {
                link.make_tables().await?;
                (
                    format!("INSERT INTO {lease} (name, record) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING name"),
                    vec![name, Arg::Text(new)],
                )
            }
            (Some((old, _)), Some(new)) => (
                format!("UPDATE {lease} SET record = $2 WHERE name = $1 AND record = $3 RETURNING name"),
                vec![name, Arg::Text(new), Arg::Text(old)],
            ),
            (Some((old, _)), None) => (
                format!("DELETE FROM {lease} WHERE name = $1 AND record = $2 RETURNING name"),
                vec![name, Arg::Text(old)],
            ),
        };
        crash::point("postgres.lease.before");
        match link.once(&sql, &args).await {
            Ok(rows) if !rows.is_empty() => {
                crash::point("postgres.lease.after");
                return Ok(true);
            }
            // Somebody was faster: who?
            Ok(_) => {}
            Err(fault) => {
                lost |= fault.sent;
                if !patience.again(&fault).await {
                    return Err(link.not_written()(fault));
                }
            }
        }
    }
    Ok(false)
}

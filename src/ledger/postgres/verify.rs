//! `state verify`: everything, from the first byte.

use std::collections::BTreeSet;

use sqlx::Row as _;

use crate::ledger::backend::{Finding, Verification};
use crate::ledger::error::Result;
use crate::ledger::format::Digest;

use super::link::{Arg, Link};
use super::{blobs, chain};

/// Verifies a ledger. `None` if there is none yet.
pub(super) async fn verify(link: &Link, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>> {
    let Some(reading) = chain::read(link, None).await? else { return Ok(None) };
    let mut findings = Vec::new();
    if chain::header(link).await?.is_some_and(|header| header.key.is_none()) {
        findings.push(Finding::Defect { file: "key".to_owned(), reason: "it is missing".to_owned() });
    }
    let sql = format!("SELECT digest FROM {} WHERE name = $1 ORDER BY digest", link.tables.blob);
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger)]).await.map_err(link.unreadable())?;
    let (mut all, mut good) = (BTreeSet::new(), 0);
    for row in rows {
        let name: Vec<u8> = row.try_get(0).unwrap_or_default();
        let Ok(digest) = <[u8; 32]>::try_from(name).map(Digest) else {
            findings.push(Finding::Stray { file: "a row of table blob".to_owned() });
            continue;
        };
        all.insert(digest);
        match blobs::is_sound(link, digest).await? {
            Some(true) => good += 1,
            Some(false) => findings.push(Finding::BlobCorrupt { digest }),
            None => {}
        }
    }
    findings.extend(referenced.difference(&all).map(|&digest| Finding::BlobMissing { digest }));
    let (lineage, head, writers) = (reading.lineage, reading.head, reading.epoch);
    Ok(Some(Verification { lineage, head, writers, blobs: good, findings }))
}

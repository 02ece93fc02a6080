//! Blobs in parts: a file of 4 GiB goes through in pieces that fit into memory, each a statement of its own.
//!
//! A blob is there once its row is, which is written after its last part. Parts without a row are what a crash left of one;
//! the next who keeps the same blob writes over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::Row as _;
use tokio::sync::mpsc;

use crate::ledger::backend::MAX_BLOB_BYTES;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, Digester, digest};
use crate::ledger::local::BlobCache;
use crate::ports::{crash, fs};

use super::link::{Arg, DURABLE, Link, int};

/// The size of a part, in bytes.
const PART: usize = 4 * 1024 * 1024;

/// How many parts are read ahead of the one that is being sent.
const AHEAD: usize = 2;

/// Keeps bytes.
pub(super) async fn put(link: &Link, bytes: Vec<u8>) -> Result<Digest> {
    let size = bytes.len() as u64;
    within_limit(size)?;
    let wanted = digest(&bytes);
    if settled(link, wanted).await? {
        return Ok(wanted);
    }
    let mut parts = 0;
    for part in bytes.chunks(PART) {
        put_part(link, wanted, parts, part).await?;
        parts += 1;
    }
    put_row(link, wanted, size, parts).await?;
    Ok(wanted)
}

/// Keeps the content of a file that does not change.
pub(super) async fn put_file(link: &Link, wanted: Digest, size: u64, path: &Path) -> Result<()> {
    within_limit(size)?;
    if settled(link, wanted).await? {
        return Ok(());
    }
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(AHEAD);
    let path = path.to_path_buf();
    let reading = tokio::task::spawn_blocking(move || {
        let mut part = Vec::with_capacity(PART);
        let read = fs::read_pieces(&path, true, MAX_BLOB_BYTES, &mut |piece| {
            let mut piece = piece;
            while !piece.is_empty() {
                let (now, later) = piece.split_at(piece.len().min(PART - part.len()));
                part.extend_from_slice(now);
                piece = later;
                if part.len() == PART {
                    // Where nobody takes it any more the sending has failed, and says so.
                    let _ = sender.blocking_send(std::mem::replace(&mut part, Vec::with_capacity(PART)));
                }
            }
            Ok(())
        });
        if !part.is_empty() {
            let _ = sender.blocking_send(part);
        }
        read
    });
    let (mut parts, mut digester) = (0, Digester::default());
    while let Some(part) = pieces.recv().await {
        digester.update(&part);
        put_part(link, wanted, parts, &part).await?;
        parts += 1;
    }
    let read = reading.await.map_err(|e| LedgerError::Unknown { place: link.place.clone(), reason: e.to_string() })?;
    read.map_err(|source| LedgerError::NotKept { source })?;
    if digester.finish() != wanted {
        return Err(LedgerError::BlobCorrupt { place: link.place.clone(), digest: wanted });
    }
    put_row(link, wanted, size, parts).await
}

fn within_limit(bytes: u64) -> Result<()> {
    match bytes > MAX_BLOB_BYTES {
        true => Err(LedgerError::TooLarge { what: "a blob".to_owned(), bytes, limit: MAX_BLOB_BYTES }),
        false => Ok(()),
    }
}

async fn put_part(link: &Link, wanted: Digest, part: u64, bytes: &[u8]) -> Result<()> {
    let sql = format!(
        "INSERT INTO {} (name, digest, part, bytes) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name, digest, part) DO UPDATE SET bytes = excluded.bytes",
        link.tables.blob_part
    );
    crash::point("postgres.blob.part");
    let args = [Arg::Text(&link.ledger), Arg::Bytes(&wanted.0), int(part), Arg::Bytes(bytes)];
    link.rows(&sql, &args).await.map(drop).map_err(link.not_written())
}

/// The commit of the row is the one that has to wait for the disk; those of the parts came before it in the same log.
async fn put_row(link: &Link, wanted: Digest, size: u64, parts: u64) -> Result<()> {
    let sql = format!(
        "WITH {DURABLE} INSERT INTO {} (name, digest, size, parts) SELECT $1, $2, $3, $4 FROM durable WHERE said IS NOT NULL \
         ON CONFLICT (name, digest) DO UPDATE SET size = excluded.size, parts = excluded.parts",
        link.tables.blob
    );
    crash::point("postgres.blob.before");
    let args = [Arg::Text(&link.ledger), Arg::Bytes(&wanted.0), int(size), int(parts)];
    link.rows(&sql, &args).await.map_err(link.not_written())?;
    crash::point("postgres.blob.after");
    Ok(())
}

/// How many parts a blob has, and the first of them; `None` without such a blob.
async fn begin(link: &Link, wanted: Digest) -> Result<Option<(u64, Vec<u8>)>> {
    if !link.has_tables().await? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT b.parts, p.bytes FROM {} AS b LEFT JOIN {} AS p ON p.name = b.name AND p.digest = b.digest AND p.part = 0 \
         WHERE b.name = $1 AND b.digest = $2",
        link.tables.blob, link.tables.blob_part
    );
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger), Arg::Bytes(&wanted.0)]).await.map_err(link.unreadable())?;
    let Some(row) = rows.first() else { return Ok(None) };
    let parts = row.try_get::<i64, _>(0).ok().and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
    let first: Option<Vec<u8>> = row.try_get(1).unwrap_or_default();
    Ok(Some((parts, first.unwrap_or_default())))
}

async fn part(link: &Link, wanted: Digest, part: u64) -> Result<Vec<u8>> {
    let sql = format!("SELECT bytes FROM {} WHERE name = $1 AND digest = $2 AND part = $3", link.tables.blob_part);
    let args = [Arg::Text(&link.ledger), Arg::Bytes(&wanted.0), int(part)];
    let rows = link.rows(&sql, &args).await.map_err(link.unreadable())?;
    let bytes = rows.first().and_then(|row| row.try_get(0).ok());
    bytes.ok_or_else(|| LedgerError::BlobCorrupt { place: link.place.clone(), digest: wanted })
}

fn missing(link: &Link, digest: Digest) -> LedgerError {
    LedgerError::BlobMissing { place: link.place.clone(), digest }
}

/// The sizes of all blobs; of one that a crash cut off, none.
pub(super) async fn sizes(link: &Link) -> Result<BTreeMap<Digest, u64>> {
    if !link.has_tables().await? {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "SELECT digest, max(size)::bigint FROM (SELECT digest, size FROM {} WHERE name = $1 \
         UNION ALL SELECT digest, 0 FROM {} WHERE name = $1 AND part = 0) AS found GROUP BY digest",
        link.tables.blob, link.tables.blob_part
    );
    let rows = link.rows(&sql, &[Arg::Text(&link.ledger)]).await.map_err(link.unreadable())?;
    let size = |row: &sqlx::postgres::PgRow| {
        let name: Vec<u8> = row.try_get(0).ok()?;
        let size: i64 = row.try_get(1).ok()?;
        Some((Digest(name.try_into().ok()?), u64::try_from(size).unwrap_or_default()))
    };
    // A row that is no blob is a finding of `state verify`.
    Ok(rows.iter().filter_map(size).collect())
}

/// The bytes of a blob, verified.
pub(super) async fn get(link: &Link, wanted: Digest) -> Result<Vec<u8>> {
    let (parts, mut bytes) = begin(link, wanted).await?.ok_or_else(|| missing(link, wanted))?;
    for number in 1..parts {
        bytes.extend(part(link, wanted, number).await?);
        within_limit(bytes.len() as u64)?;
    }
    if digest(&bytes) == wanted {
        return Ok(bytes);
    }
    Err(LedgerError::BlobCorrupt { place: link.place.clone(), digest: wanted })
}

/// Brings a blob into the cache and gives its file.
pub(super) async fn fetch(link: &Link, cache: &BlobCache, wanted: Digest) -> Result<PathBuf> {
    let (parts, first) = begin(link, wanted).await?.ok_or_else(|| missing(link, wanted))?;
    let mut incoming = cache.begin().await?;
    incoming.add(first).await?;
    for number in 1..parts {
        incoming.add(part(link, wanted, number).await?).await?;
    }
    incoming.finish(wanted, link.place.clone()).await
}

/// Whether a blob's content is what its name says, read part by part. `None` without such a blob.
pub(super) async fn is_sound(link: &Link, wanted: Digest) -> Result<Option<bool>> {
    let Some((parts, first)) = begin(link, wanted).await? else { return Ok(None) };
    let mut digester = Digester::default();
    digester.update(&first);
    for number in 1..parts {
        match part(link, wanted, number).await {
            Ok(bytes) => digester.update(&bytes),
            Err(LedgerError::BlobCorrupt { .. }) => return Ok(Some(false)),
            Err(e) => return Err(e),
        }
    }
    Ok(Some(digester.finish() == wanted))
}

/// Whether a blob is there with the content that its name says. A rotten one is not: it is replaced.
async fn settled(link: &Link, wanted: Digest) -> Result<bool> {
    link.make_tables().await?;
    Ok(is_sound(link, wanted).await? == Some(true))
}

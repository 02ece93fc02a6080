//! The ledger in a real database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::ledger::Writer;
use crate::ledger::conformance::{self, draft, numbers};
use crate::ledger::contention;

mod damage;
#[cfg(feature = "crash-points")]
mod kill;
mod line;
#[path = "../../../tests/it/support/postgres.rs"]
mod server;

use server::Postgres;

/// A ledger of its own in a database of the server that the tests of this process share.
#[derive(Clone)]
struct Place {
    url: String,
    database: String,
    name: String,
    cache: Arc<tempfile::TempDir>,
}

impl Place {
    async fn new() -> Self {
        let url = Postgres::shared().database().await;
        let database = url.rsplit('/').next().unwrap().to_owned();
        Self { url, database, name: "test".to_owned(), cache: Arc::new(tempfile::tempdir().unwrap()) }
    }

    /// Another ledger in the same database.
    fn another(&self) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ledger \"{}\"", COUNT.fetch_add(1, Ordering::SeqCst));
        Self { name, cache: Arc::new(tempfile::tempdir().unwrap()), ..self.clone() }
    }

    fn open(&self) -> Arc<PostgresBackend> {
        self.open_at(&self.url)
    }

    fn open_at(&self, url: &str) -> Arc<PostgresBackend> {
        let names = Names { schema: "it's \"mine\"".to_owned(), ledger: self.name.clone() };
        let backend = PostgresBackend::new(url, &names, BlobCache::new(self.cache.path())).unwrap();
        Arc::new(backend.with_patience(Duration::from_secs(2)))
    }

    async fn sql(&self, sql: &str) -> Vec<String> {
        let tables = sql.replace('@', "\"it's \"\"mine\"\"\".");
        Postgres::shared().psql(&self.database, &tables).await
    }

    /// Writes entries with these numbers, each in a batch of its own.
    async fn write(&self, all: std::ops::RangeInclusive<u64>) {
        let (mut writer, _) = Writer::open_fenced(self.open()).await.unwrap();
        for n in all {
            writer.append(vec![draft(n)]).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_what_every_backend_keeps() {
    let place = Place::new().await;
    conformance::all(move || {
        let place = place.another();
        move || place.open() as Arc<dyn Backend>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_on_the_line_is_looked_up() {
    let place = Place::new().await;
    conformance::over_a_line(|| line::Cuttable::new(place.another())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_come_first_one_makes_the_tables() {
    let place = Place::new().await;
    let first = |n: u64| {
        let place = place.clone();
        async move {
            let (mut writer, _) = Writer::open(place.open()).await.unwrap();
            writer.append(vec![draft(n)]).await.map(|_| n)
        }
    };
    let all: Vec<_> = (1..=12).map(|n| tokio::spawn(first(n))).collect();
    let mut won = Vec::new();
    for one in all {
        match one.await.unwrap() {
            Ok(n) => won.push(n),
            Err(e) => assert!(matches!(e, LedgerError::Moved { .. } | LedgerError::Fenced { .. }), "{e}"),
        }
    }
    // One that opened late goes on behind the first.
    let mut all = numbers(&place.open().read(1).await.unwrap().unwrap().entries);
    all.sort_unstable();
    assert!(all == won && !won.is_empty(), "{all:?} {won:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_costs_nothing() {
    let place = Place::new().await;
    let (mut writer, _) = Writer::open(place.open()).await.unwrap();
    for n in 1..=5 {
        writer.append(vec![draft(n)]).await.unwrap();
        place.sql("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'gantry' AND pid <> pg_backend_pid()").await;
    }
    let backend = place.open();
    let blob = backend.put_blob(b"kept".to_vec()).await.unwrap();
    place.sql("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'gantry' AND pid <> pg_backend_pid()").await;
    assert_eq!(backend.get_blob(blob).await.unwrap(), b"kept");
    assert_eq!(numbers(&backend.read(1).await.unwrap().unwrap().entries), [1, 2, 3, 4, 5]);
}

/// A role whose commits do not wait for the disk: those of the ledger do.
#[tokio::test(flavor = "multi_thread")]
async fn commits_are_durable_whatever_the_setting_is() {
    let place = Place::new().await;
    place.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", place.database)).await;
    let (mut writer, _) = Writer::open(place.open()).await.unwrap();
    writer.append(vec![draft(0)]).await.unwrap();
    let lag = "SELECT (pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn())::text";
    let mut seen = Vec::new();
    for n in 1..=10 {
        let said = place.sql("INSERT INTO @about VALUES (-1, '') ON CONFLICT (layout) DO UPDATE SET needs = '' RETURNING current_setting('synchronous_commit')").await;
        assert_eq!(said, ["off"], "the setting is what it is");
        writer.append(vec![draft(n)]).await.unwrap();
        seen.extend(place.sql(lag).await);
    }
    // What others write meanwhile may be behind; a commit of the writer is not.
    assert!(seen.iter().filter(|lag| *lag == "0").count() >= 8, "{seen:?}");
}

/// Parts in the right order, to the byte, and executable.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_several_parts_comes_back() {
    let place = Place::new().await;
    let bytes: Vec<u8> =
        (0..9_000_000_u32).flat_map(|n| if n % 3 == 0 { vec![n.to_le_bytes()[1]] } else { vec![] }).collect();
    let bytes = [bytes.clone(), bytes.clone(), bytes].concat();
    let file = place.cache.path().join("source");
    std::fs::write(&file, &bytes).unwrap();
    let (digest, size) = place.open().put_file(&file, true).await.unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert_eq!(place.sql("SELECT count(*)::text FROM @blob_part").await, ["3"]);
    let elsewhere = Place { cache: Arc::new(tempfile::tempdir().unwrap()), ..place.clone() };
    let path = elsewhere.open().blob_file(digest).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes && path.starts_with(elsewhere.cache.path()));
    assert!(elsewhere.open().get_blob(digest).await.unwrap() == bytes);
    // Twice is once, and what rotted is replaced.
    place.open().put_file(&file, true).await.unwrap();
    place.sql("UPDATE @blob_part SET bytes = set_bit(bytes, 4000, 1 - get_bit(bytes, 4000)) WHERE part = 2").await;
    assert!(matches!(place.open().get_blob(digest).await, Err(LedgerError::BlobCorrupt { .. })));
    place.open().put_file(&file, true).await.unwrap();
    assert!(place.open().get_blob(digest).await.unwrap() == bytes);
    place.sql("DELETE FROM @blob_part WHERE part = 1").await;
    let fresh = Place { cache: Arc::new(tempfile::tempdir().unwrap()), ..place.clone() };
    assert!(matches!(fresh.open().blob_file(digest).await, Err(LedgerError::BlobCorrupt { .. })));
}

/// 10,000 rounds by hand: `GANTRY_CONTENTION_ROUNDS=10000 cargo nextest run rounds_of_contention --no-capture`.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_of_contention_lose_nothing() {
    const WRITERS: u64 = 8;
    let rounds = contention::wanted_rounds() as u64;
    let place = Place::new().await;
    let began = tokio::time::Instant::now();
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let tasks = (0..WRITERS).map(|writer| {
        let (place, next) = (place.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let (mut acknowledged, mut collisions) = (Vec::new(), 0_u64);
            let backend = place.open();
            while next.fetch_add(1, Ordering::SeqCst) < rounds {
                let head = chain::header(&backend.link).await.unwrap().and_then(|h| h.begun);
                let (lineage, head) = head.map_or((Lineage::random(), None), |(l, h)| (l, Some(h)));
                let epoch = match backend.take_over(&lineage, head).await {
                    Ok(epoch) => epoch,
                    Err(LedgerError::Moved { .. }) => {
                        collisions += 1;
                        continue;
                    }
                    Err(e) => panic!("{e}"),
                };
                let n = writer * 1_000_000 + acknowledged.len() as u64;
                let batch = Batch::chain(&lineage, head, epoch, true, vec![draft(n)]).unwrap().unwrap();
                match backend.append(batch.first_seq(), Arc::new(batch)).await.unwrap() {
                    Appended::Ok => acknowledged.push(n),
                    Appended::Conflict => collisions += 1,
                    Appended::Unknown(why) => panic!("{why}"),
                }
            }
            (acknowledged, collisions)
        })
    });
    let (mut acknowledged, mut collisions) = (Vec::new(), 0);
    for task in tasks.collect::<Vec<_>>() {
        let (mine, met) = task.await.unwrap();
        acknowledged.extend(mine);
        collisions += met;
    }
    let mut all = numbers(&place.open().read(1).await.unwrap().unwrap().entries);
    all.sort_unstable();
    acknowledged.sort_unstable();
    assert_eq!(all, acknowledged, "each acknowledged entry stands there once, and no other");
    assert_eq!(all.len() as u64 + collisions, rounds);
    println!(
        "{rounds} rounds of {WRITERS} writers in {:?}: {} appended, {collisions} collisions, 0 lost",
        began.elapsed(),
        all.len()
    );
}

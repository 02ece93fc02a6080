//! What somebody did to the tables is refused and named, and nothing is started anew.

use super::*;
use crate::ledger::backend::Finding;
use crate::ledger::format::digest;

/// What reading says.
async fn said(place: &Place) -> LedgerError {
    match place.open().read(1).await {
        Err(e) => e,
        Ok(read) => panic!("it was read: {:?}", read.map(|r| r.head)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanished_is_no_fresh_start() {
    let place = Place::new().await;
    for (damage, words) in [
        ("DELETE FROM @batch", "is lost: its row says that there are 3 entries, and there is none"),
        ("DELETE FROM @batch WHERE seq = 3", "is lost: its row says that there are 3 entries, and they end at 2"),
        ("DELETE FROM @batch WHERE seq = 1", "(entry 2): it has number 2 where 1 was expected"),
        ("DELETE FROM @ledger", "is gone or emptied, and there are entries of it"),
        ("UPDATE @ledger SET lineage = NULL", "is gone or emptied, and there are entries of it"),
        ("UPDATE @ledger SET lineage = repeat('0', 32)", "there are 3 entries, and there is none"),
        ("UPDATE @ledger SET head_seq = 2", "the newest entry that it names is not the one that is there"),
        ("UPDATE @ledger SET head_seq = NULL", "a number in it is missing"),
        ("UPDATE @ledger SET epoch = 0", "its epoch is older than that of its newest entry"),
        ("UPDATE @ledger SET head_digest = '\\x00'", "its head is no digest"),
        ("UPDATE @ledger SET key = '\\x00'", "its key: it is too short"),
        ("UPDATE @ledger SET format = 0", "it names a format that there never was"),
        ("UPDATE @batch SET last = 9 WHERE seq = 3", "it does not end with entry 9"),
        ("UPDATE @batch SET epoch = 9 WHERE seq = 3", "it belongs to another batch"),
        ("DROP TABLE @batch", "is lost: of its tables these are missing: batch"),
    ] {
        place.sql("DROP SCHEMA IF EXISTS \"it's \"\"mine\"\"\" CASCADE").await;
        place.write(1..=3).await;
        assert!(place.open().key(false).await.unwrap().is_some());
        place.sql(damage).await;
        let told = said(&place).await;
        assert!(told.to_string().contains(words), "{damage}: {told}");
        assert_eq!(told.consequence(), crate::ledger::Consequence::Error, "{damage}");
        let before = place.sql("SELECT count(*)::text FROM @ledger").await;
        assert!(Writer::open(place.open()).await.is_err(), "{damage}");
        assert_eq!(place.sql("SELECT count(*)::text FROM @ledger").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_one_names_the_version_that_it_needs() {
    let place = Place::new().await;
    place.write(1..=1).await;
    place.sql("UPDATE @ledger SET format = 7, needs = '3.2.0'").await;
    assert!(said(&place).await.to_string().ends_with("has format 7; it needs Gantry 3.2.0 or newer"));
    place.sql("INSERT INTO @about VALUES (2, '4.0.0')").await;
    assert!(said(&place).await.to_string().ends_with("has format 2; it needs Gantry 4.0.0 or newer"));
}

/// Every bit of the lines, in the database; of the rest some.
#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_are_refused_and_named() {
    let place = Place::new().await;
    place.write(1..=2).await;
    let bits: usize = place.sql("SELECT (8 * length(lines))::text FROM @batch WHERE seq = 2").await[0].parse().unwrap();
    let backend = place.open();
    let flip = |column: &str, bit: usize, rest: &str| {
        format!("{} SET {column} = set_bit({column}, {bit}, 1 - get_bit({column}, {bit})) {rest}", "UPDATE @batch")
    };
    // A prime step, so that each place in a byte comes up.
    for bit in (0..bits).step_by(13) {
        let sql = flip("lines", bit, "WHERE seq = 2");
        place.sql(&sql).await;
        match backend.read(1).await {
            Err(LedgerError::Corrupt { file, seq, .. }) => {
                assert_eq!(file, "batch 2 of table batch");
                assert!(matches!(seq, Some(2 | 3)), "bit {bit}");
            }
            other => panic!("bit {bit}: {other:?}"),
        }
        place.sql(&sql).await;
    }
    for bit in (0..256).step_by(37) {
        let sql = flip("head_digest", bit, "").replace("@batch", "@ledger");
        place.sql(&sql).await;
        assert!(matches!(backend.read(1).await, Err(LedgerError::Corrupt { .. })), "bit {bit} of the head");
        place.sql(&sql).await;
    }
    let blob = backend.put_blob(b"content".to_vec()).await.unwrap();
    for bit in 0..56 {
        let sql = flip("bytes", bit, "").replace("@batch", "@blob_part");
        place.sql(&sql).await;
        assert!(matches!(backend.get_blob(blob).await, Err(LedgerError::BlobCorrupt { .. })), "bit {bit} of a blob");
        let verified = backend.verify(&BTreeSet::new()).await.unwrap().unwrap();
        assert_eq!(verified.findings, [Finding::BlobCorrupt { digest: blob }]);
        place.sql(&sql).await;
    }
    place.sql("UPDATE @ledger SET key = NULL").await;
    assert!(matches!(backend.key(true).await, Err(LedgerError::KeyLost { .. })));
    let missing = digest(b"missing");
    let findings = backend.verify(&BTreeSet::from([missing])).await.unwrap().unwrap().findings;
    assert_eq!(findings.iter().filter(|f| f.is_defect()).count(), 2, "{findings:?}");
}

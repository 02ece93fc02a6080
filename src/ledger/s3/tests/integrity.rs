//! Objects that are gone, damaged, or another's: each is refused and named.

use super::server::{Fault, Server};
use super::*;
use crate::ledger::backend::{Finding, Whole};
use crate::ledger::format::Lineage;

const FIRST: &str = "team/prod/ledger/00000000000000000001";
const SECOND: &str = "team/prod/ledger/00000000000000000002";
const MARKER: &str = "team/prod/marker.json";

/// A ledger with the batches 1, 2-3 and 4, and a fence behind them.
async fn ledger(place: &Place) {
    let mut writer = place.begun().await;
    writer.append(vec![draft(2), draft(3)]).await.unwrap();
    writer.append(vec![draft(4)]).await.unwrap();
    Writer::open_fenced(place.open()).await.unwrap();
}

fn remove(server: &Server, key: &str) {
    assert!(server.state().objects.remove(key).is_some(), "there is no {key}");
}

async fn refused(place: &Place) -> String {
    let error = place.open().read(1).await.expect_err("it cannot be read");
    let opened = Writer::open_fenced(place.open()).await;
    assert_eq!(opened.err().map(|e| e.to_string()), Some(error.to_string()), "writing is refused as reading is");
    assert!(place.open().verify(&BTreeSet::new()).await.is_err());
    error.to_string()
}

#[tokio::test]
async fn a_missing_object_is_named_and_a_vanished_ledger_is_lost() {
    for (gone, says) in [
        (vec![SECOND], "ledger/00000000000000000002 (entry 2): the object is missing"),
        (vec![FIRST], "ledger/00000000000000000001 (entry 1): the object is missing"),
        (vec![MARKER], "is lost: marker.json is missing"),
        (vec!["team/prod/ledger/00000000000000000004"], "ledger/00000000000000000004 (entry 4): the object is missing"),
    ] {
        let server = Server::start().await;
        let place = Place::new(&server);
        ledger(&place).await;
        gone.iter().for_each(|key| remove(&server, key));
        let error = refused(&place).await;
        assert!(error.contains(says), "{error}");
    }
    let server = Server::start().await;
    let place = Place::new(&server);
    ledger(&place).await;
    server.state().objects.retain(|key, _| !key.contains("ledger/"));
    let error = refused(&place).await;
    assert!(error.contains("is lost: marker.json says that there was one, and it has no entries"), "{error}");
    // Nothing but a fence.
    let server = Server::start().await;
    let place = Place::new(&server);
    ledger(&place).await;
    server.state().objects.retain(|key, _| key.ends_with("0005"));
    assert!(place.open().read(1).await.is_err());
    assert!(place.open().key(true).await.unwrap_err().to_string().contains("key"));
}

#[tokio::test]
async fn a_crash_between_the_first_batch_and_the_marker_is_no_loss() {
    let server = Server::start().await;
    let place = Place::new(&server);
    place.begun().await;
    remove(&server, MARKER);
    assert_eq!(place.numbers().await, [1]);
    let verified = place.open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(matches!(&verified.findings[..], [Finding::Defect { file, .. }] if file == "marker.json"));
    let (mut writer, _) = Writer::open(place.open()).await.unwrap();
    writer.append(vec![draft(2)]).await.unwrap();
    assert!(server.keys().contains(&MARKER.to_owned()), "the next writer makes it");
    assert_eq!(place.numbers().await, [1, 2]);
}

#[tokio::test]
async fn any_flipped_bit_of_the_ledger_is_refused_and_named() {
    let server = Server::start().await;
    let place = Place::new(&server);
    ledger(&place).await;
    let keys: Vec<String> = server.keys().into_iter().filter(|key| !key.ends_with("/key")).collect();
    assert_eq!(keys.len(), 5);
    for key in keys {
        let size = server.state().objects[&key].bytes.len();
        // Each byte once, each bit of a byte in its turn; `object.rs` flips them all.
        for at in (0..size).step_by(7) {
            let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (at % 8);
            server.tamper(&key, flip);
            let error = place.open().read(1).await.err().unwrap_or_else(|| panic!("{key}, byte {at}"));
            let named = key.strip_prefix("team/prod/").unwrap();
            let about_another = key == MARKER && error.to_string().contains("belongs to the ledger");
            let newer = matches!(error, LedgerError::Newer { .. });
            assert!(error.to_string().contains(named) || about_another || newer, "{key}, byte {at}: {error}");
            server.tamper(&key, flip);
        }
    }
    assert_eq!(place.numbers().await, [1, 2, 3, 4]);
    // The key is not read with the entries.
    server.tamper("team/prod/key", |bytes| bytes[40] ^= 1);
    let error = place.open().key(false).await.unwrap_err();
    assert!(error.to_string().contains("does not verify: key"), "{error}");
    let verified = place.open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(matches!(&verified.findings[..], [Finding::Defect { file, .. }] if file == "key"));
    remove(&server, "team/prod/key");
    assert!(matches!(place.open().key(true).await, Err(LedgerError::KeyLost { .. })));
}

#[tokio::test]
async fn what_another_or_a_newer_gantry_wrote_is_told_apart() {
    let server = Server::start().await;
    let place = Place::new(&server);
    ledger(&place).await;
    // Another ledger's batch under a name of this one, the same length and all.
    let other = Lineage::random();
    let head = place.open().read(1).await.unwrap().unwrap();
    server.tamper("team/prod/ledger/00000000000000000005", |bytes| {
        *bytes = object::fence(&other, 9, head.head);
    });
    let error = refused(&place).await;
    assert!(error.contains("ledger/00000000000000000005, line 1: it belongs to the ledger"), "{error}");
    remove(&server, "team/prod/ledger/00000000000000000005");
    // Objects that are none of ours.
    for key in ["team/prod/notes.txt", "team/prod/ledger/5", "team/prod/blobs/zz", "team/prod/probe-1"] {
        let object = server.state().objects[FIRST].clone();
        server.state().objects.insert(key.to_owned(), object);
    }
    let verified = place.open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    let strays: Vec<_> = verified.findings.iter().map(|finding| format!("{finding:?}")).collect();
    assert_eq!(strays.len(), 4, "{strays:?}");
    assert!(verified.findings.iter().all(|finding| !finding.is_defect()));
    // A neighbour whose name starts with this one's is no part of it.
    let object = server.state().objects[FIRST].clone();
    server.state().objects.insert("team/production/x".to_owned(), object);
    assert_eq!(place.open().verify(&BTreeSet::new()).await.unwrap().unwrap().findings.len(), 4);
    server.tamper(FIRST, |bytes| *bytes = b"{\"format\":7,\"needs\":\"3.2.0\"}\n".to_vec());
    let error = place.open().read(1).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Newer { format: 7, needs, .. } if needs == "3.2.0"), "{error}");
    server.tamper(MARKER, |bytes| *bytes = b"{\"format\":8,\"needs\":\"4.0.0\"}\n".to_vec());
    let error = refused(&place).await;
    assert!(error.contains("has format 8; it needs Gantry 4.0.0"), "{error}");
}

#[tokio::test]
async fn a_position_that_somebody_emptied_is_no_conflict() {
    let server = Server::start().await;
    let place = Place::new(&server);
    place.begun().await;
    let (mut writer, _) = Writer::open_fenced(place.open()).await.unwrap();
    remove(&server, SECOND);
    let failed = writer.append(vec![draft(2)]).await.unwrap_err();
    assert!(matches!(&failed, LedgerError::Unknown { reason, .. } if reason.contains("removed")), "{failed}");
    assert_eq!(place.numbers().await, [1]);
}

#[tokio::test]
async fn a_copy_that_was_cut_off_is_no_ledger_and_is_done_again() {
    let source = Server::start().await;
    let from = Place::new(&source);
    ledger(&from).await;
    let found = from.open().read(1).await.unwrap().unwrap();
    let key = from.open().key(false).await.unwrap().unwrap();
    let whole = || Arc::new(Whole { lineage: found.lineage.clone(), key: key.clone(), entries: found.entries.clone() });
    // The writes of a copy, beside the probe's: the claim, two batches, the key, the first batch, the marker.
    for at in 0..6 {
        for fault in [Fault::Down, Fault::LostAndDown] {
            let server = Server::start().await;
            let place = Place::new(&server);
            let _ = place.open().put_blob(b"the probe is made".to_vec()).await.unwrap();
            let machine = place.open();
            server.rule("PUT", "team/prod/", 3 + at, 1, fault);
            let failed = machine.restore(whole()).await;
            assert!(failed.is_err() && server.state().down, "{at} {fault:?} {failed:?}");
            server.mend();
            let begun = server.keys().iter().any(|key| key.contains("ledger/"));
            let complete = at == 5 && fault == Fault::LostAndDown;
            match place.open().read(1).await {
                Ok(None) => assert!(!begun, "{at} {fault:?}: a new ledger could be started over it"),
                Ok(Some(read)) => assert!(complete && read == found, "{at} {fault:?}"),
                Err(e) => assert!(begun && matches!(e, LedgerError::Lost { .. }), "{at} {fault:?} {e}"),
            }
            let again = place.open().restore(whole()).await;
            let kept = matches!(again, Err(LedgerError::NotEmpty { .. }));
            assert!(again.is_ok() || (kept && complete), "{at} {fault:?} {again:?}");
            assert_eq!(place.open().read(1).await.unwrap().unwrap(), found, "{at} {fault:?}");
            assert_eq!(place.open().verify(&BTreeSet::new()).await.unwrap().unwrap().findings, []);
        }
    }
}

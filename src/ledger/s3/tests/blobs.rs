//! Blobs: whole, in parts, broken off, rotten, and from the cache.

use super::server::{Fault, Server};
use super::*;
use crate::ledger::format::digest;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 7 + n / 251) as u8).collect()
}

#[tokio::test]
async fn a_large_blob_goes_up_in_parts_and_comes_down_in_pieces_through_faults() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let large = bytes(5 * PART + 17);
    for fault in [Fault::Reset, Fault::Lost, Fault::Answer(503, "SlowDown"), Fault::Hang] {
        for (method, skip) in [("PUT", 1), ("POST", 1), ("HEAD", 0)] {
            server.state().objects.clear();
            server.rule(method, "blobs/", skip, 1, fault);
            let digest = place.open().put_blob(large.clone()).await.unwrap();
            assert!(server.spent(), "{method} {fault:?}");
            assert_eq!(place.open().get_blob(digest).await.unwrap(), large, "{method} {fault:?}");
        }
    }
    assert_eq!(server.state().open_uploads(), 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    std::fs::write(&path, &large).unwrap();
    server.state().objects.clear();
    let (name, size) = place.open().put_file(&path, true).await.unwrap();
    assert_eq!((name, size), (digest(&large), large.len() as u64));
    assert_eq!(server.state().seen.iter().filter(|seen| seen.query.contains("partNumber=6")).count(), 13 - 4 + 4);
    // Twice is once.
    server.state().seen.clear();
    place.open().put_file(&path, true).await.unwrap();
    assert!(server.state().seen.iter().all(|seen| !seen.query.contains("partNumber")));
    // Down: broken off twice, gone on where it broke.
    server.rule("GET", "blobs/", 0, 2, Fault::Cut);
    let copy = place.open().blob_file(name).await.unwrap();
    assert_eq!(std::fs::read(copy).unwrap(), large);
    assert!(server.spent());
}

#[tokio::test]
async fn an_upload_that_fails_leaves_no_parts_behind() {
    let server = Server::start().await;
    let place = Place::new(&server);
    server.rule("PUT", "blobs/", 2, 1000, Fault::Answer(403, "AccessDenied"));
    let failed = place.open().put_blob(bytes(4 * PART)).await.unwrap_err();
    assert!(failed.to_string().contains("s3:PutObject"), "{failed}");
    assert_eq!(server.state().open_uploads(), 0);
    assert!(server.keys().is_empty());
}

#[tokio::test]
async fn a_rotten_blob_is_refused_named_and_written_anew() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let (small, large) = (bytes(1000), bytes(3 * PART));
    for content in [&small, &large] {
        let name = place.open().put_blob(content.clone()).await.unwrap();
        let key = format!("team/prod/{}", object::blob(&name));
        server.tamper(&key, |bytes| bytes[500] ^= 4);
        let refused = place.open().get_blob(name).await.unwrap_err();
        assert!(matches!(refused, LedgerError::BlobCorrupt { digest, .. } if digest == name), "{refused}");
        assert!(matches!(place.open().blob_file(name).await, Err(LedgerError::BlobCorrupt { .. })));
    }
    place.begun().await;
    let verified = place.open().verify(&BTreeSet::from([digest(&small)])).await.unwrap().unwrap();
    assert_eq!((verified.blobs, verified.findings.len()), (0, 2), "{:?}", verified.findings);
    place.open().put_blob(small.clone()).await.unwrap();
    assert_eq!(place.open().get_blob(digest(&small)).await.unwrap(), small);
}

#[tokio::test]
async fn a_file_comes_once_and_a_rotten_copy_is_fetched_again() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let name = place.open().put_blob(b"#!/bin/sh\n".to_vec()).await.unwrap();
    let machine = place.open();
    let path = machine.blob_file(name).await.unwrap();
    server.state().seen.clear();
    assert_eq!(machine.blob_file(name).await.unwrap(), path);
    assert!(server.state().seen.is_empty(), "it is here already");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "#!/bin/sH\n").unwrap();
    assert_eq!(machine.blob_file(name).await.unwrap(), path);
    assert_eq!(std::fs::read(&path).unwrap(), b"#!/bin/sh\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_takes_parts_too() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket(BUCKET);
    let open = places(&moto.endpoint, 5 * 1024 * 1024)();
    let large = bytes(12 * 1024 * 1024 + 5);
    let name = open().put_blob(large.clone()).await.unwrap();
    assert_eq!(open().put_blob(large.clone()).await.unwrap(), name);
    assert_eq!(std::fs::read(open().blob_file(name).await.unwrap()).unwrap(), large);
}

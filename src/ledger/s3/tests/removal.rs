//! Removals that arrive whenever they like hit nothing that anybody needs.

use super::super::client::Condition;
use super::server::Server;
use super::*;
use crate::ledger::backend::Finding;

#[tokio::test]
async fn a_removal_that_arrives_late_does_no_harm() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let mut old = place.begun().await;
    let (small, large) = (b"small".to_vec(), vec![3; 3 * PART]);
    for content in [&small, &large] {
        let blob = old.backend().put_blob(content.clone()).await.unwrap();
        let plain = object::blob(&blob);
        let key = format!("team/prod/{plain}");
        // What the removal of a stopped process will hit: its list is written down, and it has looked.
        let (list, bytes) = object::removal(old.lineage(), 1, std::slice::from_ref(&plain));
        place.first.shared.client.put_if(&list, &bytes.into(), &Condition::Absent).await.unwrap();
        // Whoever takes over keeps it again, though it is still there, and so does the one after.
        for _ in 0..2 {
            let (next, _) = Writer::open_fenced(place.open()).await.unwrap();
            assert_eq!(next.backend().put_blob(content.clone()).await.unwrap(), blob);
        }
        let objects = |server: &Server| server.keys().iter().filter(|name| name.contains(&blob.to_string())).count();
        assert_eq!(objects(&server), 2, "the second finds what the first has kept: {:?}", server.keys());
        assert!(server.state().objects.remove(&key).is_some());
        assert_eq!(place.open().get_blob(blob).await.unwrap(), *content);
        assert_eq!(std::fs::read(place.open().blob_file(blob).await.unwrap()).unwrap(), *content);
        let verified = place.open().verify(&BTreeSet::from([blob])).await.unwrap().unwrap();
        assert_eq!(verified.findings, []);
        // It goes under each of its names, and comes back under another.
        let (mut last, _) = Writer::open_fenced(place.open()).await.unwrap();
        last.remove_blobs(&BTreeSet::from([blob])).await.unwrap();
        assert_eq!(objects(&server), 0);
        assert!(matches!(place.open().get_blob(blob).await, Err(LedgerError::BlobMissing { .. })));
        let (again, _) = Writer::open_fenced(place.open()).await.unwrap();
        again.backend().put_blob(content.clone()).await.unwrap();
        assert_eq!(place.open().get_blob(blob).await.unwrap(), *content);
        let (mut old_again, _) = Writer::open_fenced(place.open()).await.unwrap();
        old_again.remove_blobs(&BTreeSet::from([blob])).await.unwrap();
        old = old_again;
    }
}

#[tokio::test]
async fn a_damaged_list_of_removals_is_named() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let mut writer = place.begun().await;
    let blob = writer.backend().put_blob(b"one".to_vec()).await.unwrap();
    writer.remove_blobs(&BTreeSet::from([blob])).await.unwrap();
    assert_eq!(place.open().verify(&BTreeSet::new()).await.unwrap().unwrap().findings, []);
    let list = server.keys().into_iter().find(|name| name.contains("/removals/")).unwrap();
    server.tamper(&list, |bytes| bytes[60] ^= 1);
    let verified = place.open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(matches!(&verified.findings[..], [Finding::Defect { file, .. }] if list.ends_with(file.as_str())));
    let (next, _) = Writer::open_fenced(place.open()).await.unwrap();
    let refused = next.backend().put_blob(b"two".to_vec()).await.unwrap_err();
    assert!(refused.to_string().contains("removals/"), "{refused}");
}

//! A state that is written down comes back as it was, and what did not change is not written again.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::addr::{ModulePath, NodeKind};
use crate::ledger::LocalBackend;
use crate::ledger::record::Approval;

fn record(n: usize) -> Arc<Record> {
    Arc::new(Record {
        ty: "terraform_data".to_owned(),
        provider: "terraform".to_owned(),
        identity: json!({"id": n}),
        inputs: json!({"input": {"name": format!("r{n}"), "port": {"$number": n.to_string()}}}),
        attributes: json!({"id": format!("id-{n}")}),
        dependencies: n.checked_sub(1).map(address).into_iter().collect(),
        schema: 1,
        generation: 1,
        create_before_destroy: false,
        imported: None,
    })
}

fn address(n: usize) -> Address {
    Address::new(ModulePath::root(), NodeKind::Resource, "terraform_data", format!("r{n}"))
}

fn state(records: usize) -> State {
    let known = crate::ledger::acknowledged::Acknowledgement {
        digest: "d".to_owned(),
        reason: "known".to_owned(),
        expires: "2026-11-28T00:00:00Z".to_owned(),
        actor: "me".to_owned(),
        time: "2026-11-21T00:00:00Z".to_owned(),
    };
    let failed = crate::ledger::release::Quarantined {
        generation: 3,
        run: "run-3".to_owned(),
        time: "2026-11-21T00:00:00Z".to_owned(),
        actor: "me".to_owned(),
        reason: "it failed".to_owned(),
    };
    State {
        seq: 7,
        records: (0..records).map(|n| (address(n), record(n))).collect(),
        acknowledged: [(address(0), [(String::new(), known)].into())].into(),
        quarantine: [("abc".to_owned(), failed)].into(),
        approvals: vec![waiting()],
        ..State::default()
    }
}

/// An approval that no run has spent.
fn waiting() -> GivenApproval {
    let text = || "text".to_owned();
    let (expires, steps) = (Some("2026-11-22T00:00:00Z".to_owned()), Some(text()));
    let (principal, effect, nonce, line, signature) = (text(), text(), text(), text(), text());
    let approval = Approval { principal, effect, nonce, expires, line, signature, steps };
    GivenApproval { approval, time: text(), actor: text() }
}

async fn kept(backend: &Arc<dyn Backend>, lineage: &Lineage, state: &State) -> (Digest, BTreeSet<Digest>) {
    let manifest = write(backend.as_ref(), lineage, state).await.unwrap();
    (manifest, blobs(backend.as_ref(), manifest).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_back_and_unchanged_chunks_are_shared() {
    let place = tempfile::tempdir().unwrap();
    let backend: Arc<dyn Backend> = Arc::new(LocalBackend::new(place.path()));
    let lineage = Lineage::random();
    let before = state(5000);
    let (manifest, first) = kept(&backend, &lineage, &before).await;
    assert!(first.len() > 8, "5,000 records are several chunks, not {}", first.len());
    let read = load(&backend, &lineage, manifest, 7).await.unwrap();
    assert_eq!(read, before);
    assert!(is_of(manifest, &lineage, &before));
    assert!(!is_of(manifest, &lineage, &state(4999)) && !is_of(manifest, &Lineage::random(), &before));

    let mut after = State { checkpoint: Some(manifest), seq: 9, ..before.clone() };
    after.records.insert(address(2500), record(1));
    after.records.remove(&address(77));
    after.records.insert(address(100_000), record(2));
    let (manifest, second) = kept(&backend, &lineage, &after).await;
    let new = second.difference(&first).count();
    assert!(new <= 4, "three changed chunks and a manifest, not {new}");
    let read = load(&backend, &lineage, manifest, 9).await.unwrap();
    assert_eq!(read.records, after.records);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_right_checkpoint_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let backend: Arc<dyn Backend> = Arc::new(LocalBackend::new(place.path()));
    let lineage = Lineage::random();
    let (manifest, all) = kept(&backend, &lineage, &state(300)).await;
    let refused = |seq, of: Lineage| {
        let backend = Arc::clone(&backend);
        async move { load(&backend, &of, manifest, seq).await.unwrap_err() }
    };
    assert!(matches!(refused(8, lineage.clone()).await, LedgerError::Corrupt { .. }));
    assert!(matches!(refused(7, Lineage::random()).await, LedgerError::Corrupt { .. }));
    let newer = backend.put_blob(b"{\"format\":2}".to_vec()).await.unwrap();
    assert!(matches!(load(&backend, &lineage, newer, 7).await, Err(LedgerError::Newer { format: 2, .. })));
    for blob in all {
        let hex = blob.to_string();
        let path = place.path().join("blobs").join(&hex[..2]).join(&hex[2..]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(refused(7, lineage.clone()).await, LedgerError::BlobMissing { digest, .. } if digest == blob));
        std::fs::write(&path, bytes).unwrap();
    }
}

//! What a store and the way to it can do to a write: no answer, a wrong one, a late one, and stores that do not keep
//! their word.

use super::server::{Fault, Rule, Server};
use super::*;
use crate::ledger::conformance::take;
use crate::ledger::{Consequence, RawEntry};

/// Everything that may befall one request and passes.
const PASSING: [Fault; 11] = [
    Fault::Answer(500, "InternalError"),
    Fault::Answer(503, "SlowDown"),
    Fault::Answer(503, ""),
    Fault::Answer(409, "ConditionalRequestConflict"),
    Fault::DoneAnd(500, "InternalError"),
    Fault::DoneAnd(409, "ConditionalRequestConflict"),
    Fault::Reset,
    Fault::Lost,
    Fault::Late(1),
    Fault::Late(2),
    Fault::Hang,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_gets_over_whatever_befalls_one_write_and_is_never_fenced_by_itself() {
    let mut rounds = Vec::new();
    for fault in PASSING {
        rounds.push(tokio::spawn(async move {
            let server = Server::start().await;
            let place = Place::new(&server);
            // The first batch, which starts the ledger; one behind it; one that takes the place of a fence; the fence.
            server.next("PUT", "ledger/", fault);
            let mut writer = place.begun().await;
            server.next("PUT", "ledger/", fault);
            writer.append(vec![draft(2)]).await.unwrap();
            server.next("PUT", "ledger/", fault);
            let (mut writer, _) = Writer::open_fenced(place.open()).await.unwrap();
            server.next("PUT", "ledger/", fault);
            writer.append(vec![draft(3), draft(4)]).await.unwrap();
            writer.append(vec![draft(5)]).await.unwrap();
            assert!(server.spent(), "{fault:?}");
            assert_eq!(place.numbers().await, [1, 2, 3, 4, 5], "{fault:?}");
            let verified = place.open().verify(&BTreeSet::new()).await.unwrap().unwrap();
            assert_eq!(verified.findings, [], "{fault:?}");
        }));
    }
    for round in rounds {
        round.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_marker_probe_and_lease_get_over_whatever_befalls_one_request() {
    let mut rounds = Vec::new();
    for fault in PASSING {
        rounds.push(tokio::spawn(async move {
            let server = Server::start().await;
            let place = Place::new(&server);
            for name in ["key", "marker.json", "probe-", "lease.json"] {
                server.next("PUT", name, fault);
                server.next("GET", name, if matches!(fault, Fault::Late(_)) { Fault::Reset } else { fault });
            }
            server.next("DELETE", "probe-", Fault::Answer(500, ""));
            let lease = take(place.open(), Duration::ZERO).await.unwrap();
            place.begun().await;
            lease.release().await.unwrap();
            assert!(place.open().lease_load().await.unwrap().is_none(), "{fault:?}");
            assert_eq!(place.numbers().await, [1], "{fault:?}");
            assert!(server.keys().iter().all(|key| !key.contains("probe")), "{fault:?} {:?}", server.keys());
        }));
    }
    for round in rounds {
        round.await.unwrap();
    }
}

#[tokio::test]
async fn a_writer_that_hangs_while_another_takes_over_is_fenced_and_its_late_write_is_void() {
    for late in [Fault::Hang, Fault::Late(6)] {
        let server = Server::start().await;
        let place = Place::new(&server);
        let mut old = place.begun().await;
        server.next("PUT", "ledger/", late);
        // Nothing comes back to the old writer for as long as the new one needs.
        server.rule("GET", "ledger/00000000000000000002", 0, 1, Fault::Hang);
        let (zombie, new) = tokio::join!(old.append(vec![draft(66)]), Writer::open_fenced(place.open()));
        let (mut new, seen) = new.unwrap();
        match zombie {
            Err(LedgerError::Fenced { .. }) => assert_eq!(numbers(&seen), [1]),
            // It came through before the other looked.
            Ok(_) => assert_eq!(numbers(&seen), [1, 66]),
            Err(e) => panic!("{e}"),
        }
        new.append(vec![draft(2)]).await.unwrap();
        new.append(vec![draft(3)]).await.unwrap();
        let mut expected = numbers(&seen);
        expected.extend([2, 3]);
        assert_eq!(place.numbers().await, expected);
    }
}

#[tokio::test]
async fn where_nothing_can_be_found_out_the_writer_says_so_and_stops() {
    for (fault, is_written) in [(Fault::Lost, true), (Fault::Reset, false), (Fault::DoneAnd(500, ""), true)] {
        let server = Server::start().await;
        let place = Place::new(&server);
        let mut writer = place.begun().await;
        server.next("PUT", "ledger/", fault);
        server.rule("", "ledger/", 0, 1000, Fault::Answer(503, "SlowDown"));
        let failed = writer.append(vec![draft(2)]).await.unwrap_err();
        let LedgerError::Unknown { reason, .. } = &failed else { panic!("{failed}") };
        assert!(reason.contains("503 SlowDown"), "{reason}");
        assert_eq!(failed.consequence(), Consequence::Interrupted);
        server.state().rules.clear();
        let refused = writer.append(vec![draft(3)]).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Poisoned { .. }), "{refused}");
        // Whoever opens it next finds out by reading.
        let (mut next, seen) = Writer::open_fenced(place.open()).await.unwrap();
        assert_eq!(numbers(&seen), if is_written { vec![1, 2] } else { vec![1] });
        next.append(vec![draft(4)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_says_no_has_done_nothing_and_one_that_is_gone_neither() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let mut writer = place.begun().await;
    server.state().denied = vec!["PUT"];
    let failed = writer.append(vec![draft(2)]).await.unwrap_err();
    assert_eq!(
        failed.to_string(),
        format!(
            "the ledger in s3://ledgers/team/prod at {} cannot be written: the AWS credentials do not allow s3:PutObject on \
             ledgers/team/prod/ledger/00000000000000000002 (403 AccessDenied said by the test's store)",
            server.endpoint
        )
    );
    assert_eq!(failed.consequence(), Consequence::Interrupted);
    server.state().denied.clear();
    assert_eq!(place.numbers().await, [1]);
    let (mut writer, _) = Writer::open_fenced(place.open()).await.unwrap();
    let backend = place.open();
    server.stop();
    let failed = writer.append(vec![draft(3)]).await.unwrap_err();
    assert!(
        matches!(&failed, LedgerError::Unavailable { writing: true, .. } | LedgerError::Unknown { .. }),
        "{failed}"
    );
    let failed = backend.read(1).await.unwrap_err();
    assert!(failed.to_string().contains("cannot be reached"), "{failed}");
    assert_eq!(failed.consequence(), Consequence::Error);
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused_before_the_first_write_and_nothing_is_left_in_it() {
    for (honours, condition) in
        [((false, true), "If-None-Match: *"), ((true, false), "If-Match"), ((false, false), "If-None-Match")]
    {
        let server = Server::start().await;
        let place = Place::new(&server);
        server.state().honours = honours;
        let refused = Writer::open(place.open()).await.unwrap().0.append(vec![draft(1)]).await.unwrap_err();
        assert!(matches!(&refused, LedgerError::Unfit { reason, .. } if reason.contains(condition)), "{refused}");
        assert_eq!(refused.consequence(), Consequence::Error);
        assert!(matches!(place.open().put_blob(b"x".to_vec()).await, Err(LedgerError::Unfit { .. })));
        assert!(matches!(place.open().key(true).await, Err(LedgerError::Unfit { .. })));
        assert!(matches!(take(place.open(), Duration::ZERO).await, Err(LedgerError::Unfit { .. })));
        assert_eq!(server.keys(), Vec::<String>::new());
        // A store that got worse, with a ledger in it: it can be read, and nothing of it changes.
        server.state().honours = (true, true);
        place.begun().await;
        let before: Vec<_> = server.state().objects.iter().map(|(k, o)| (k.clone(), o.bytes.clone())).collect();
        server.state().honours = honours;
        let (mut writer, seen) = Writer::open(place.open()).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert!(matches!(writer.append(vec![draft(2)]).await, Err(LedgerError::Unfit { .. })));
        let after: Vec<_> = server.state().objects.iter().map(|(k, o)| (k.clone(), o.bytes.clone())).collect();
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn a_store_without_conditional_writes_is_refused() {
    let server = Server::start().await;
    let place = Place::new(&server);
    server.rule("PUT", "", 0, 1000, Fault::Answer(501, "NotImplemented"));
    let refused = place.open().key(true).await.unwrap_err();
    assert!(refused.to_string().contains("does not take conditional writes (501 NotImplemented"), "{refused}");
    assert_eq!(server.keys(), Vec::<String>::new());
}

/// Writers that take over from each other while the store misbehaves at every few requests: nothing that anybody was
/// told is written is gone, and nothing stands there twice.
#[tokio::test(flavor = "multi_thread")]
async fn contention_with_faults_loses_nothing() {
    let server = Server::start().await;
    let place = Place::new(&server);
    drop(place.begun().await);
    let faults = PASSING.iter().filter(|fault| **fault != Fault::Hang).cycle();
    let rules = faults.take(60).enumerate().map(|(n, &fault)| {
        let (method, key) = if n % 3 == 2 { ("GET", "ledger/") } else { ("PUT", "ledger/") };
        let fault = if method == "GET" && !matches!(fault, Fault::Answer(..)) { Fault::Cut } else { fault };
        Rule { method, key: key.to_owned(), skip: 2 + n % 5, times: 1, fault }
    });
    server.state().rules.extend(rules);
    let mut tasks = Vec::new();
    for writer in 0..4_u64 {
        let machines: Vec<Arc<dyn Backend>> = (0..12).map(|_| place.open()).collect();
        tasks.push(tokio::spawn(compete(writer, machines)));
    }
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    server.state().rules.clear();
    let read: Vec<RawEntry> = place.open().read(1).await.unwrap().unwrap().entries;
    let all = numbers(&read);
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "something stands there twice");
    let lost: Vec<_> = acknowledged.iter().filter(|n| !all.contains(n)).collect();
    assert!(lost.is_empty() && !acknowledged.is_empty(), "{lost:?} of {}", acknowledged.len());
}

async fn compete(writer: u64, machines: Vec<Arc<dyn Backend>>) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for (round, machine) in machines.into_iter().enumerate() {
        let Ok((mut pen, _)) = Writer::open(machine).await else { continue };
        for k in 0..4 {
            let n = writer * 1_000_000 + round as u64 * 1000 + k + 10;
            match pen.append(vec![draft(n)]).await {
                Ok(_) => acknowledged.push(n),
                Err(
                    LedgerError::Fenced { .. }
                    | LedgerError::Moved { .. }
                    | LedgerError::Unknown { .. }
                    | LedgerError::Unavailable { .. },
                ) => break,
                Err(e) => panic!("{e}"),
            }
        }
    }
    acknowledged
}

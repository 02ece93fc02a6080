//! What holds for every backend, as functions over one (test support).
//!
//! A backend's tests call [`all`] with a way to make places; each place starts empty, and each call of its function
//! opens it as another process would.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::backend::{Backend, Draft, Finding, Whole};
use super::checkpoint::Pointer;
use super::error::{Consequence, LedgerError};
use super::event::Event;
use super::format::{RawEntry, digest, verify_chain};
use super::lease::{self, LeaseRecord, Terms};
use super::writer::Writer;
use crate::ports::clock::SystemClock;

/// Opens one place anew.
pub(crate) type Open<'a> = &'a (dyn Fn() -> Arc<dyn Backend> + Sync);

/// A draft with a number to know it by.
pub(crate) fn draft(n: u64) -> Draft {
    let event = json!({"type": "test", "n": n, "text": "grün \"quoted\"\n", "nested": [{"a": null, "b": true}, -1]});
    Draft {
        time: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
        run: Some("r".to_owned()),
        actor: "ann".to_owned(),
        event,
    }
}

/// The numbers of entries.
pub(crate) fn numbers(entries: &[RawEntry]) -> Vec<u64> {
    entries.iter().map(|e| e.event["n"].as_u64().unwrap()).collect()
}

/// All of it. `make` makes a new empty place.
pub(crate) async fn all<F: Fn() -> Arc<dyn Backend> + Sync + Send + 'static>(make: impl Fn() -> F) {
    empty(&make()).await;
    round_trip(&make()).await;
    wrong_position(&make()).await;
    zombie(&make()).await;
    first_entries_collide(&make()).await;
    moved_between_reading_and_fencing(&make()).await;
    idle_writers_leave_no_entry(&make()).await;
    refused_values_do_no_harm(&make()).await;
    keys(&make()).await;
    blobs(&make()).await;
    collecting(&make()).await;
    checkpoints(&make()).await;
    restoring(&make(), &make()).await;
    leases(&make()).await;
    contention(Arc::new(make())).await;
}

async fn empty(open: Open<'_>) {
    let backend = open();
    assert!(backend.read(1).await.unwrap().is_none());
    assert!(backend.verify(&BTreeSet::new()).await.unwrap().is_none());
    assert!(backend.key(false).await.unwrap().is_none());
    let (writer, entries) = Writer::open(backend).await.unwrap();
    assert!(entries.is_empty() && writer.head().is_none());
    assert!(open().read(1).await.unwrap().is_none(), "opening for writing starts nothing");
}

async fn round_trip(open: Open<'_>) {
    let (mut writer, _) = Writer::open(open()).await.unwrap();
    let mut written = writer.append(vec![draft(1), draft(2)]).await.unwrap();
    assert!(writer.append(Vec::new()).await.unwrap().is_empty());
    written.extend(writer.append(vec![draft(3)]).await.unwrap());
    let seqs: Vec<_> = written.iter().map(|e| (e.seq, e.batch)).collect();
    assert_eq!(seqs, [(1, 1), (2, 1), (3, 3)]);
    let read = open().read(1).await.unwrap().unwrap();
    assert_eq!(read.entries, written);
    assert_eq!(&read.lineage, writer.lineage());
    assert_eq!(Some(read.head), writer.head());
    assert_eq!(verify_chain(&read.lineage, &read.entries).unwrap(), read.head.digest);
    // The next writer goes on, and reading from a position gives the same entries.
    let (mut next, entries) = Writer::open(open()).await.unwrap();
    assert_eq!(entries, written);
    next.append(vec![draft(4)]).await.unwrap();
    let tail = open().read(3).await.unwrap().unwrap();
    assert_eq!(numbers(&tail.entries), [3, 4]);
    assert!(tail.entries[1].epoch > tail.entries[0].epoch);
    assert!(open().read(99).await.unwrap().unwrap().entries.is_empty());
    let verified = open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!((verified.head.seq, verified.findings), (4, vec![]));
}

async fn wrong_position(open: Open<'_>) {
    use super::backend::{Appended, Batch};
    let backend = open();
    let (mut writer, _) = Writer::open(Arc::clone(&backend)).await.unwrap();
    writer.append(vec![draft(1)]).await.unwrap();
    let head = writer.head().unwrap();
    let chain =
        |after, drafts| Arc::new(Batch::chain(writer.lineage(), after, head.epoch, false, drafts).unwrap().unwrap());
    let other = Some(super::backend::Head { digest: digest(b"another"), ..head });
    let far = Some(super::backend::Head { seq: 7, ..head });
    for (expected, batch) in
        [(1, chain(None, vec![draft(9)])), (2, chain(other, vec![draft(9)])), (8, chain(far, vec![draft(9)]))]
    {
        let backend = open();
        backend.take_over(writer.lineage(), Some(head)).await.unwrap();
        assert_eq!(backend.append(expected, batch).await.unwrap(), Appended::Conflict);
    }
    assert_eq!(numbers(&open().read(1).await.unwrap().unwrap().entries), [1]);
}

async fn zombie(open: Open<'_>) {
    let (mut old, _) = Writer::open(open()).await.unwrap();
    old.append(vec![draft(1)]).await.unwrap();
    let (mut new, entries) = Writer::open_fenced(open()).await.unwrap();
    assert_eq!(numbers(&entries), [1]);
    // Fenced although the new one has not written yet.
    assert!(matches!(old.append(vec![draft(66)]).await, Err(LedgerError::Fenced { .. })));
    assert!(matches!(old.append(vec![draft(67)]).await, Err(LedgerError::Poisoned { .. })), "once is for good");
    new.append(vec![draft(2)]).await.unwrap();
    assert!(matches!(old.append(vec![draft(68)]).await, Err(LedgerError::Poisoned { .. })));
    new.append(vec![draft(3)]).await.unwrap();
    assert_eq!(numbers(&open().read(1).await.unwrap().unwrap().entries), [1, 2, 3]);
    let verified = open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!(verified.head.seq, 3);
    assert!(verified.findings.iter().all(|f| matches!(f, Finding::Void { .. })), "{:?}", verified.findings);
}

async fn first_entries_collide(open: Open<'_>) {
    let (mut one, _) = Writer::open(open()).await.unwrap();
    let (mut two, _) = Writer::open(open()).await.unwrap();
    assert_ne!(one.lineage(), two.lineage());
    two.append(vec![draft(2)]).await.unwrap();
    let refused = one.append(vec![draft(1)]).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Moved { .. }), "{refused}");
    assert_eq!(refused.consequence(), Consequence::Refused);
    let read = open().read(1).await.unwrap().unwrap();
    assert_eq!((numbers(&read.entries), &read.lineage), (vec![2], two.lineage()));
}

async fn moved_between_reading_and_fencing(open: Open<'_>) {
    let (mut first, _) = Writer::open(open()).await.unwrap();
    first.append(vec![draft(1)]).await.unwrap();
    let (mut late, _) = Writer::open(open()).await.unwrap();
    first.append(vec![draft(2)]).await.unwrap();
    assert!(matches!(late.append(vec![draft(66)]).await, Err(LedgerError::Moved { .. })));
    assert!(matches!(late.fence().await, Err(LedgerError::Moved { .. })), "it does not see by itself");
    let (mut again, entries) = Writer::open(Arc::clone(late.backend())).await.unwrap();
    assert_eq!(numbers(&entries), [1, 2]);
    again.append(vec![draft(3)]).await.unwrap();
    assert_eq!(numbers(&open().read(1).await.unwrap().unwrap().entries), [1, 2, 3]);
}

async fn idle_writers_leave_no_entry(open: Open<'_>) {
    let (mut first, _) = Writer::open(open()).await.unwrap();
    first.append(vec![draft(1)]).await.unwrap();
    for _ in 0..3 {
        drop(Writer::open(open()).await.unwrap());
        drop(Writer::open_fenced(open()).await.unwrap());
    }
    let (mut last, entries) = Writer::open(open()).await.unwrap();
    assert_eq!(numbers(&entries), [1]);
    last.append(vec![draft(2)]).await.unwrap();
    assert_eq!(numbers(&open().read(1).await.unwrap().unwrap().entries), [1, 2]);
}

async fn refused_values_do_no_harm(open: Open<'_>) {
    let (mut writer, _) = Writer::open(open()).await.unwrap();
    writer.append(vec![draft(1)]).await.unwrap();
    let float = Draft { event: json!({"n": 0.5}), ..draft(0) };
    assert!(matches!(writer.append(vec![draft(66), float]).await, Err(LedgerError::NoForm { .. })));
    writer.append(vec![draft(2)]).await.unwrap();
    assert_eq!(numbers(&open().read(1).await.unwrap().unwrap().entries), [1, 2]);
}

async fn keys(open: Open<'_>) {
    let (mut writer, _) = Writer::open(open()).await.unwrap();
    let key = writer.key().await.unwrap();
    assert!(open().read(1).await.unwrap().is_none(), "a key alone is no ledger");
    writer.append(vec![draft(1)]).await.unwrap();
    assert_eq!(open().key(false).await.unwrap(), Some(key.clone()));
    assert_eq!(Writer::open(open()).await.unwrap().0.key().await.unwrap(), key);
}

async fn blobs(open: Open<'_>) {
    let backend = open();
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let name = backend.put_blob(bytes.clone()).await.unwrap();
    assert_eq!(name, digest(&bytes));
    assert_eq!(backend.put_blob(bytes.clone()).await.unwrap(), name, "twice is once");
    assert_eq!(open().get_blob(name).await.unwrap(), bytes);
    let none = backend.put_blob(Vec::new()).await.unwrap();
    assert_eq!(open().get_blob(none).await.unwrap(), b"");
    assert!(open().read(1).await.unwrap().is_none(), "blobs alone are no ledger");
    let missing = digest(b"never put");
    assert!(
        matches!(open().get_blob(missing).await, Err(LedgerError::BlobMissing { digest, .. }) if digest == missing)
    );
    assert!(matches!(open().blob_file(missing).await, Err(LedgerError::BlobMissing { .. })));

    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    std::fs::write(&program, "#!/bin/sh\necho it runs\n").unwrap();
    let (name, size) = backend.put_file(&program, true).await.unwrap();
    assert_eq!(size, 23);
    std::fs::write(&program, "changed since").unwrap();
    let copy = open().blob_file(name).await.unwrap();
    let ran = std::process::Command::new(copy).output().unwrap();
    assert_eq!(ran.stdout, b"it runs\n");
    assert!(matches!(backend.put_file(directory.path(), false).await, Err(LedgerError::NotKept { .. })));
    assert!(matches!(backend.put_file(&directory.path().join("no"), false).await, Err(LedgerError::NotKept { .. })));

    let (mut writer, _) = Writer::open(open()).await.unwrap();
    writer.append(vec![draft(1)]).await.unwrap();
    let verified = open().verify(&BTreeSet::from([name, missing])).await.unwrap().unwrap();
    assert_eq!((verified.blobs, verified.findings), (3, vec![Finding::BlobMissing { digest: missing }]));
}

/// Blobs are listed and removed by the writer of now; one that was taken over from removes nothing, and what is put again
/// after that stays.
pub(crate) async fn collecting(open: Open<'_>) {
    let backend = open();
    assert!(backend.blobs().await.unwrap().is_empty());
    let mut names = Vec::new();
    for n in 0..120_u8 {
        names.push(backend.put_blob(vec![n; usize::from(n)]).await.unwrap());
    }
    assert_eq!(backend.blobs().await.unwrap(), names.iter().copied().zip(0..).collect());
    let all: BTreeSet<_> = names.iter().copied().collect();
    let never = open().remove_blobs(&all).await.unwrap_err();
    assert!(matches!(never, LedgerError::Fenced { .. }), "only a writer removes: {never}");
    let (mut old, _) = Writer::open(open()).await.unwrap();
    old.append(vec![draft(1)]).await.unwrap();
    let some: BTreeSet<_> = names[..110].iter().copied().chain([digest(b"never put")]).collect();
    old.remove_blobs(&some).await.unwrap();
    assert_eq!(open().blobs().await.unwrap(), names[110..].iter().copied().zip(110..).collect());
    let gone = open().get_blob(names[7]).await.unwrap_err();
    assert!(matches!(gone, LedgerError::BlobMissing { digest, .. } if digest == names[7]), "{gone}");
    assert!(open().blob_file(names[7]).await.is_err());
    // A writer that has fenced, and written nothing yet, puts one of them again.
    let (mut new, _) = Writer::open_fenced(open()).await.unwrap();
    assert_eq!(new.backend().put_blob(vec![7; 7]).await.unwrap(), names[7]);
    let fenced = old.remove_blobs(&all).await.unwrap_err();
    assert!(matches!(fenced, LedgerError::Fenced { .. }), "{fenced}");
    assert_eq!(open().get_blob(names[7]).await.unwrap(), [7; 7]);
    assert_eq!(open().blobs().await.unwrap().len(), 11);
    new.remove_blobs(&BTreeSet::from([names[119]])).await.unwrap();
    new.append(vec![draft(2)]).await.unwrap();
    new.remove_blobs(&all).await.unwrap();
    assert!(open().blobs().await.unwrap().is_empty());
    // Gone is not missing; what is referred to and gone is.
    if let Some(verified) = open().verify(&BTreeSet::new()).await.unwrap() {
        assert_eq!((verified.blobs, verified.findings), (0, vec![]));
        let verified = open().verify(&BTreeSet::from([names[7]])).await.unwrap().unwrap();
        assert_eq!(verified.findings, [Finding::BlobMissing { digest: names[7] }]);
    }
    // What was gone is kept again, by the next writer as well, and listed once.
    for n in 3..5 {
        let (mut next, _) = Writer::open_fenced(open()).await.unwrap();
        assert_eq!(next.backend().put_blob(vec![7; 7]).await.unwrap(), names[7]);
        next.append(vec![draft(n)]).await.unwrap();
    }
    assert_eq!(open().blobs().await.unwrap(), [(names[7], 7)].into());
    assert_eq!(open().get_blob(names[7]).await.unwrap(), [7; 7]);
}

/// A ledger is the same in another place, and goes on there; where one is, none is put.
async fn restoring(from: Open<'_>, to: Open<'_>) {
    let (mut writer, _) = Writer::open(from()).await.unwrap();
    let key = writer.key().await.unwrap();
    writer.append((1..=3).map(draft).collect()).await.unwrap();
    writer.append(vec![draft(4)]).await.unwrap();
    let (mut second, _) = Writer::open(from()).await.unwrap();
    let checkpoint = serde_json::to_value(Event::Checkpoint { manifest: digest(b"manifest") }).unwrap();
    for drafts in [vec![draft(5)], vec![Draft { event: checkpoint, ..draft(6) }], vec![draft(7), draft(8)]] {
        second.append(drafts).await.unwrap();
    }
    let before = from().read(1).await.unwrap().unwrap();
    let whole =
        || Arc::new(Whole { lineage: before.lineage.clone(), key: key.clone(), entries: before.entries.clone() });
    // A key may lie there of a ledger that never got an entry.
    to().key(true).await.unwrap();
    to().restore(whole()).await.unwrap();
    assert_eq!(to().read(1).await.unwrap().unwrap(), before);
    assert_eq!(to().key(false).await.unwrap(), Some(key.clone()));
    assert!(matches!(to().restore(whole()).await, Err(LedgerError::NotEmpty { .. })));
    assert!(matches!(from().restore(whole()).await, Err(LedgerError::NotEmpty { .. })));
    // The note on the newest checkpoint comes along, so that what is before it need not be read there either.
    let pointer = to().newest_checkpoint().await.unwrap().expect("there is a checkpoint");
    let since = to().read_from(&pointer).await.unwrap().unwrap();
    assert_eq!((since.head, &since.entries[..]), (before.head, &before.entries[5..]));
    let (mut third, _) = Writer::open_reading_from(to(), &pointer).await.unwrap();
    third.append(vec![draft(9)]).await.unwrap();
    let after = to().read(1).await.unwrap().unwrap().entries;
    assert_eq!((after.len(), numbers(&after[6..])), (9, vec![7, 8, 9]));
    let verified = to().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
}

/// What stands from a checkpoint on is read from there, whoever wrote since, and the whole is still read from the first.
async fn checkpoints(open: Open<'_>) {
    assert_eq!(open().newest_checkpoint().await.unwrap(), None);
    let (mut writer, _) = Writer::open(open()).await.unwrap();
    writer.append((1..=3).map(draft).collect()).await.unwrap();
    writer.append(vec![draft(4)]).await.unwrap();
    let head = writer.head().unwrap();
    writer.backend().note_checkpoint(head).await.unwrap();
    let pointer = open().newest_checkpoint().await.unwrap().expect("it was noted");
    assert_eq!((pointer.seq, pointer.digest, pointer.epoch, pointer.batch), (4, head.digest, head.epoch, 4));
    for (next, count) in [(5, 1), (6, 2), (8, 3)] {
        let read = open().read_from(&pointer).await.unwrap().unwrap();
        assert_eq!(numbers(&read.entries), (4..next).collect::<Vec<_>>());
        assert_eq!(open().read(1).await.unwrap().unwrap().head, read.head);
        // The same writer goes on, then others do, who have read no more than that.
        if next == 5 {
            writer.append(vec![draft(5)]).await.unwrap();
            continue;
        }
        let (mut other, _) = Writer::open_reading_from(open(), &pointer).await.unwrap();
        other.append((next..next + count).map(draft).collect()).await.unwrap();
    }
    let whole = open().read(1).await.unwrap().unwrap();
    assert_eq!(numbers(&whole.entries), (1..=10).collect::<Vec<_>>());
    // What is noted by a writer that has not written last is nothing.
    let (writer, _) = Writer::open(open()).await.unwrap();
    writer.backend().note_checkpoint(writer.head().unwrap()).await.unwrap();
    assert_eq!(open().newest_checkpoint().await.unwrap(), Some(pointer));
    for wrong in [
        Pointer { seq: 3, ..pointer },
        Pointer { seq: 11, batch: 11, ..pointer },
        Pointer { epoch: pointer.epoch + 1, ..pointer },
        Pointer { digest: whole.head.digest, ..pointer },
        Pointer { batch: 3, ..pointer },
    ] {
        let refused = open().read_from(&wrong).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Corrupt { .. }), "{refused}");
    }
    let verified = open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(verified.findings.iter().all(|f| !f.is_defect()), "{:?}", verified.findings);
}

/// Terms that let a test see a lease run out.
pub(crate) const QUICK: Terms =
    Terms { ttl: Duration::from_millis(1000), renew: Duration::from_millis(100), poll: Duration::from_millis(10) };

/// Takes the lease as a command of this process.
pub(crate) async fn take(backend: Arc<dyn Backend>, timeout: Duration) -> Result<lease::Lease, LedgerError> {
    lease::acquire(backend, Arc::new(SystemClock), "apply test", QUICK, timeout, &mut |_| {}).await
}

async fn leases(open: Open<'_>) {
    let held = take(open(), Duration::ZERO).await.unwrap();
    held.set_step("module.shop.local_service.shop");
    // Held, and named.
    let refused = take(open(), Duration::ZERO).await.unwrap_err();
    let LedgerError::LeaseHeld { holder, .. } = &refused else { panic!("{refused}") };
    assert_eq!((holder.pid, holder.command.as_str()), (std::process::id(), "apply test"));
    assert_eq!(refused.consequence(), Consequence::Refused);
    // Renewed beyond its time: still held, and it says where it is.
    let mut told = Vec::new();
    let mut tell = |holder: &LeaseRecord| told.push(holder.id.clone());
    let wait = QUICK.ttl * 2;
    let refused = lease::acquire(open(), Arc::new(SystemClock), "x", QUICK, wait, &mut tell).await.unwrap_err();
    let LedgerError::LeaseHeld { holder, waited, .. } = refused else { panic!("{refused}") };
    assert!(waited >= wait && holder.renewals > 0);
    assert_eq!(holder.step.as_deref(), Some("module.shop.local_service.shop"));
    assert_eq!(told, [holder.id], "told once");
    assert!(!held.is_lost());
    // Released: the one who waits gets it.
    let waiter = tokio::spawn(take_boxed(open()));
    held.release().await.unwrap();
    let next = waiter.await.unwrap().unwrap();
    // Not renewed and not released: it runs out for one who watches.
    drop(next);
    let third = take(open(), QUICK.ttl * 20).await.unwrap();
    // A late swap of one who lost it changes nothing.
    let ghost = LeaseRecord { id: "ghost".to_owned(), ..third.record() };
    assert!(!open().lease_swap(Some(&ghost), None).await.unwrap());
    assert!(!open().lease_swap(None, Some(&ghost)).await.unwrap());
    let now = open().lease_load().await.unwrap().unwrap();
    assert_eq!(now.id, third.record().id);
    // One whose lease was taken is told, and gives nothing back that is not its own.
    let thief = open();
    let mut now = now;
    // It is renewed meanwhile, more often than a slow store answers.
    while !thief.lease_swap(Some(&now), Some(&ghost)).await.unwrap() {
        now = thief.lease_load().await.unwrap().unwrap();
        assert_eq!(now.id, third.record().id);
    }
    while !third.is_lost() {
        tokio::time::sleep(QUICK.poll).await;
    }
    third.release().await.unwrap();
    assert_eq!(open().lease_load().await.unwrap(), Some(ghost.clone()));
    assert!(open().lease_swap(Some(&ghost), None).await.unwrap());
}

fn take_boxed(
    backend: Arc<dyn Backend>,
) -> std::pin::Pin<Box<dyn Future<Output = Result<lease::Lease, LedgerError>> + Send>> {
    Box::pin(take(backend, QUICK.ttl * 20))
}

/// Writers that take over from each other all the time: what anybody was told is written stands in the ledger, once,
/// and in the order of each writer.
async fn contention<F: Fn() -> Arc<dyn Backend> + Sync + Send + 'static>(open: Arc<F>) {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 25;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let open = Arc::clone(&open);
        tasks.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for round in 0..ROUNDS {
                let n = |k: u64| writer * 1_000_000 + round * 1000 + k;
                let Ok((mut pen, before)) = Writer::open(open()).await else { panic!("reading failed") };
                let seen = numbers(&before);
                assert!(acknowledged.iter().all(|n| seen.contains(n)), "an acknowledged entry is gone");
                for k in 0..4 {
                    match pen.append(vec![draft(n(10 * k)), draft(n(10 * k + 1))]).await {
                        Ok(_) => acknowledged.extend([n(10 * k), n(10 * k + 1)]),
                        Err(LedgerError::Fenced { .. } | LedgerError::Moved { .. }) => break,
                        Err(e) => panic!("{e}"),
                    }
                }
            }
            acknowledged
        }));
    }
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.push(task.await.unwrap());
    }
    let read = open().read(1).await.unwrap().unwrap();
    let all = numbers(&read.entries);
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "nothing stands there twice");
    for mine in &acknowledged {
        let places: Vec<_> = mine.iter().map(|n| all.iter().position(|m| m == n).expect("acknowledged")).collect();
        assert!(places.is_sorted());
    }
    assert!(acknowledged.iter().map(Vec::len).sum::<usize>() > 0, "nobody ever got through");
    let verified = open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(verified.findings.iter().all(|f| !f.is_defect()), "{:?}", verified.findings);
}

/// What a test can do to the line between a backend and a store elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The next append does not arrive; its connection is reset. The one after it passes.
    Request,
    /// The next append arrives and is carried out; its connection is reset instead of the answer. What comes after passes.
    Answer,
    /// As [`Cut::Answer`], and nothing passes any more until [`Line::mend`].
    AnswerAndAll,
    /// Nothing passes any more until [`Line::mend`].
    All,
}

/// A place that is reached over a line which a test can cut.
pub(crate) trait Line: Send + Sync {
    /// Opens the place over the line.
    fn open(&self) -> Arc<dyn Backend>;

    /// Opens the place beside the line: as another machine would.
    fn beside(&self) -> Arc<dyn Backend>;

    /// Cuts the line at the next append.
    fn cut(&self, cut: Cut);

    /// Lets everything pass again.
    fn mend(&self);
}

/// What holds for every store that is reached over a line. `make` makes a new empty place with a line of its own.
pub(crate) async fn over_a_line<L: Line>(make: impl Fn() -> L) {
    for cut in [Cut::Request, Cut::Answer] {
        for begun in [false, true] {
            lost_in_between(&make(), cut, begun).await;
        }
    }
    fenced_while_the_answer_is_lost(&make()).await;
    for cut in [Cut::AnswerAndAll, Cut::All] {
        for begun in [false, true] {
            gone_for_good(&make(), cut, begun).await;
        }
    }
}

/// A writer over the line; `begun` says whether the ledger has an entry, number 1, already.
async fn over(line: &impl Line, begun: bool) -> Writer {
    let (mut writer, _) = Writer::open(line.open()).await.unwrap();
    if begun {
        writer.append(vec![draft(1)]).await.unwrap();
    }
    writer
}

/// Whatever is lost once on the way: the entries stand there once, and their writer goes on.
async fn lost_in_between(line: &impl Line, cut: Cut, begun: bool) {
    let mut writer = over(line, begun).await;
    line.cut(cut);
    writer.append(vec![draft(2), draft(3)]).await.unwrap_or_else(|e| panic!("{cut:?} {begun}: {e}"));
    writer.append(vec![draft(4)]).await.unwrap();
    let expected = if begun { vec![1, 2, 3, 4] } else { vec![2, 3, 4] };
    assert_eq!(numbers(&line.beside().read(1).await.unwrap().unwrap().entries), expected, "{cut:?}");
}

/// Another takes over while an answer is lost: the old one may learn that its entries stand there or that it is fenced, and
/// writes nothing more.
async fn fenced_while_the_answer_is_lost(line: &impl Line) {
    let mut old = over(line, true).await;
    line.cut(Cut::AnswerAndAll);
    let appending = tokio::spawn(async move {
        let said = old.append(vec![draft(2)]).await.map(drop);
        (old, said)
    });
    // Before it or behind it: either way it is fenced from here on.
    let (mut new, entries) = Writer::open_fenced(line.beside()).await.unwrap();
    assert!(matches!(numbers(&entries)[..], [1] | [1, 2]));
    line.mend();
    let (mut old, said) = appending.await.unwrap();
    assert!(matches!(said, Ok(()) | Err(LedgerError::Fenced { .. })), "{said:?}");
    assert!(old.append(vec![draft(66)]).await.is_err());
    new.append(vec![draft(3)]).await.unwrap();
    let all = numbers(&line.beside().read(1).await.unwrap().unwrap().entries);
    assert!(all == [1, 2, 3] || (all == [1, 3] && said.is_err()), "{all:?} {said:?}");
}

/// Nobody answers any more: the writer says whether its entries may stand there, and is given up; the next goes on from what
/// does.
async fn gone_for_good(line: &impl Line, cut: Cut, begun: bool) {
    let mut writer = over(line, begun).await;
    line.cut(cut);
    let refused = writer.append(vec![draft(2)]).await.unwrap_err();
    // A writer that has not taken over yet has written nothing, and may try again.
    let poisoned = begun || cut == Cut::AnswerAndAll;
    if poisoned {
        assert_eq!(refused.consequence(), Consequence::Interrupted, "{refused}");
        assert!(matches!(writer.append(vec![draft(66)]).await, Err(LedgerError::Poisoned { .. })));
    }
    if cut == Cut::AnswerAndAll {
        assert!(matches!(refused, LedgerError::Unknown { .. }), "{cut:?} {refused}");
    }
    line.mend();
    if poisoned {
        assert!(matches!(writer.append(vec![draft(67)]).await, Err(LedgerError::Poisoned { .. })), "once is for good");
    }
    let (mut next, entries) = Writer::open_fenced(line.open()).await.unwrap();
    let mut expected: Vec<u64> = if begun { vec![1] } else { vec![] };
    if cut == Cut::AnswerAndAll {
        expected.push(2);
    }
    assert_eq!(numbers(&entries), expected, "{cut:?}");
    next.append(vec![draft(9)]).await.unwrap();
    expected.push(9);
    assert_eq!(numbers(&line.beside().read(1).await.unwrap().unwrap().entries), expected);
    let verified = line.beside().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert!(verified.findings.iter().all(|f| !f.is_defect()), "{:?}", verified.findings);
}

/// A command's whole use of a ledger, for a child that is killed in the middle of it: prints what was acknowledged, and at its
/// end that it is done.
#[cfg(feature = "crash-points")]
pub(crate) async fn use_as_a_command_does(backend: Arc<dyn Backend>) {
    let lease = take(Arc::clone(&backend), QUICK.ttl * 20).await.unwrap();
    let (mut writer, before) = Writer::open(Arc::clone(&backend)).await.unwrap();
    let from = numbers(&before).into_iter().max().unwrap_or(0) + 1;
    let blob = backend.put_blob(from.to_le_bytes().to_vec()).await.unwrap();
    println!("acknowledged blob {blob}");
    for n in [from, from + 2] {
        writer.append(vec![draft(n), draft(n + 1)]).await.unwrap();
        println!("acknowledged {n}\nacknowledged {}", n + 1);
    }
    lease.release().await.unwrap();
    println!("done");
}

/// What a child said is acknowledged stands in its ledger, whole and once.
#[cfg(feature = "crash-points")]
pub(crate) async fn has_all(backend: Arc<dyn Backend>, acknowledged: &[String], what: &str) {
    let read = backend.read(1).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    let all = read.map(|read| numbers(&read.entries)).unwrap_or_default();
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>(), "{what}");
    for one in acknowledged {
        match one.strip_prefix("blob ") {
            Some(blob) => drop(backend.get_blob(blob.parse().unwrap()).await.unwrap()),
            None => assert!(all.contains(&one.parse().unwrap()), "{what}: {one} of {all:?}"),
        }
    }
    if let Some(verified) = backend.verify(&BTreeSet::new()).await.unwrap() {
        // A marker is written behind the first entry; the next command that writes makes it anew.
        let marker = |f: &Finding| matches!(f, Finding::Defect { file, .. } if file == "marker.json");
        assert!(verified.findings.iter().all(|f| !f.is_defect() || marker(f)), "{what}: {:?}", verified.findings);
    }
}

/// Runs a child with the number of the point that it is to be killed at, adds what it said is acknowledged, and says
/// whether it was killed.
#[cfg(feature = "crash-points")]
pub(crate) fn run_child(mut command: std::process::Command, crash_at: usize, acknowledged: &mut Vec<String>) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    let output = command.env("GANTRY_CRASH_AT", crash_at.to_string()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    acknowledged.extend(text.lines().filter_map(|l| Some(l.rsplit_once("acknowledged ")?.1.to_owned())));
    let killed = output.status.signal() == Some(9);
    assert!(killed || text.contains("done"), "{text} {}", String::from_utf8_lossy(&output.stderr));
    killed
}

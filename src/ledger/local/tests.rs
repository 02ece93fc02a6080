//! The local backend: the conformance suite, and what only a directory can suffer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::ledger::backend::{Draft, Finding};
use crate::ledger::conformance::{self, QUICK, draft, numbers, take};
use crate::ledger::contention::{self, Refused};
use crate::ledger::format::RawEntry;
use crate::ledger::writer::Writer;

mod processes;

/// A place for a ledger, and the way to open it.
struct Place {
    _temporary: TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("state/test");
        Self { _temporary: temporary, root }
    }

    fn open(&self) -> Arc<LocalBackend> {
        Arc::new(LocalBackend::new(&self.root))
    }

    fn segment(&self, epoch: u64) -> PathBuf {
        self.root.join(layout::segment_name(epoch))
    }

    async fn writer(&self) -> Writer {
        Writer::open(self.open()).await.unwrap().0
    }

    async fn write(&self, range: std::ops::RangeInclusive<u64>) {
        self.writer().await.append(range.map(draft).collect()).await.unwrap();
    }

    async fn read(&self) -> Result<Option<Vec<u64>>> {
        Ok(self.open().read(1).await?.map(|snapshot| numbers(&snapshot.entries)))
    }

    async fn findings(&self) -> Vec<Finding> {
        self.open().verify(&BTreeSet::new()).await.unwrap().unwrap().findings
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_a_local_disk() {
    let make = || -> Box<dyn Fn() -> Arc<dyn Backend> + Send + Sync> {
        let place = Place::new();
        Box::new(move || place.open())
    };
    contention::report("local disk", make, Refused::MayStand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_backend_conforms() {
    conformance::all(|| {
        let place = Place::new();
        move || place.open() as Arc<dyn Backend>
    })
    .await;
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn files_are_private_and_nothing_is_left_lying_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.write(1..=1).await;
    place.write(2..=2).await;
    place.open().put_blob(b"blob".to_vec()).await.unwrap();
    take(place.open(), QUICK.ttl).await.unwrap().release().await.unwrap();
    let (mut stack, mut names) = (vec![place.root.clone()], Vec::new());
    while let Some(path) = stack.pop() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{path:?}");
            stack.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else {
            let blob = path.starts_with(place.root.join("blobs"));
            assert_eq!(mode, if blob { 0o400 } else { 0o600 }, "{path:?}");
            names.push(path.strip_prefix(&place.root).unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names.retain(|name| !name.starts_with("blobs/"));
    let segments = ["ledger/00000000000000000001.jsonl", "ledger/00000000000000000002.jsonl"];
    assert_eq!(names, [&["key"], &["lease.lock"], &segments[..], &["marker.json"]].concat());
    assert_eq!(fs::read(place.root.join("key")).unwrap().len(), 64);
}

#[tokio::test]
async fn a_torn_tail_is_tolerated_at_every_byte_of_the_last_line() {
    let place = Place::new();
    place.write(1..=2).await;
    place.writer().await.append(vec![draft(3)]).await.unwrap();
    let path = place.segment(2);
    let whole = fs::read(&path).unwrap();
    let start = whole[..whole.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
    for cut in start..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(place.read().await.unwrap().unwrap(), [1, 2], "cut at {cut}");
        let torn: Vec<_> = place.findings().await;
        assert_eq!(torn.len(), usize::from(cut > start), "{torn:?}");
        assert!(torn.iter().all(|f| matches!(f, Finding::Torn { line: 2, .. })));
    }
    // The next writer goes on from what is whole, and leaves the torn tail where it is.
    fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    place.write(4..=4).await;
    assert_eq!(place.read().await.unwrap().unwrap(), [1, 2, 4]);
    assert_eq!(fs::read(&path).unwrap().len(), whole.len() - 7);
    assert!(matches!(place.findings().await[..], [Finding::Torn { line: 2, .. }]));
}

#[tokio::test]
async fn a_first_segment_is_never_torn_within_its_first_batch() {
    let place = Place::new();
    place.write(1..=1).await;
    let path = place.segment(1);
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = place.read().await.unwrap_err();
        assert!(matches!(error, LedgerError::Lost { .. } | LedgerError::Corrupt { .. }), "cut at {cut}: {error}");
        assert!(Writer::open(place.open()).await.is_err());
    }
}

#[tokio::test]
async fn every_flipped_bit_is_refused_and_named() {
    let place = Place::new();
    place.write(1..=2).await;
    let mut writer = place.writer().await;
    writer.append(vec![draft(3), draft(4)]).await.unwrap();
    writer.append(vec![draft(5)]).await.unwrap();
    for path in [place.segment(1), place.segment(2), place.root.join("marker.json")] {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                fs::write(&path, &changed).unwrap();
                let line = whole[..at].iter().filter(|&&b| b == b'\n').count() + 1;
                let what = format!("{path:?} byte {at} bit {bit}");
                match place.read().await {
                    Err(LedgerError::Corrupt { file, line: named, .. }) if path.ends_with(&file) => {
                        // A lost newline joins two lines; the first of them is the bad one.
                        assert!(named == Some(line) || path.ends_with("marker.json"), "{what}: line {named:?}");
                    }
                    // Another lineage or a higher format in the marker: the segments contradict, or it is refused.
                    Err(LedgerError::Corrupt { line: Some(1), .. } | LedgerError::Newer { .. })
                        if path.ends_with("marker.json") => {}
                    // The version needed, which is only for people.
                    Ok(Some(all)) if path.ends_with("marker.json") && all.len() == 5 => {
                        assert!(whole[..at].windows(7).any(|w| w == b"\"needs\""), "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(place.read().await.unwrap().unwrap(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_hole_that_a_power_cut_left_in_the_last_batch_is_torn_and_elsewhere_is_damage() {
    let place = Place::new();
    place.write(1..=1).await;
    let mut writer = place.writer().await;
    writer.append(vec![draft(2)]).await.unwrap();
    let synced = fs::metadata(place.segment(2)).unwrap().len() as usize;
    writer.append((3..=40).map(draft).collect()).await.unwrap();
    let path = place.segment(2);
    let whole = fs::read(&path).unwrap();
    let hole = |from: usize, to: usize| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0);
        fs::write(&path, bytes).unwrap();
    };
    let border = synced.div_ceil(512) * 512;
    for (from, to) in [
        (synced, border),
        (synced, whole.len()),
        (border, border + 512),
        (border, border + 4096),
        (border + 1024, whole.len()),
    ] {
        hole(from, to);
        let read = place.read().await.unwrap().unwrap();
        assert!(
            read.len() >= 2 && read.len() < 40 && read == (1..=read.len() as u64).collect::<Vec<_>>(),
            "{from}-{to}"
        );
    }
    for (from, to) in [(border + 1, border + 512), (border, border + 511), (synced - 20, synced), (synced - 20, border)]
    {
        hole(from, to);
        assert!(matches!(place.read().await, Err(LedgerError::Corrupt { .. })), "{from}-{to}");
    }
    // Behind the hole stands an entry that had a sync before it: that one was acknowledged after the hole was whole.
    fs::write(&path, &whole).unwrap();
    writer.append(vec![draft(41)]).await.unwrap();
    let longer = fs::read(&path).unwrap();
    let mut bytes = longer.clone();
    bytes[border..border + 512].fill(0);
    fs::write(&path, bytes).unwrap();
    let error = place.read().await.unwrap_err();
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_bad_entry_before_a_good_one_is_damage() {
    let place = Place::new();
    place.write(1..=1).await;
    let mut writer = place.writer().await;
    for n in 2..=4 {
        writer.append(vec![draft(n)]).await.unwrap();
    }
    let path = place.segment(2);
    let whole = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    for (text, line, seq) in [
        ([lines[0], lines[1], &lines[2][..30], lines[3]].concat(), 3, Some(3)),
        ([lines[0], lines[1], lines[3]].concat(), 3, Some(3)),
        ([lines[0], lines[2], lines[3]].concat(), 2, None),
        ([lines[0], lines[1], lines[1], lines[2], lines[3]].concat(), 3, Some(3)),
        ([lines[0], lines[1], lines[2], "\n", lines[3]].concat(), 4, Some(4)),
        ([lines[0], lines[1], lines[2], lines[3], "{}\n"].concat(), 5, Some(5)),
    ] {
        fs::write(&path, &text).unwrap();
        match place.read().await.unwrap_err() {
            LedgerError::Corrupt { line: named, seq: entry, .. } => assert_eq!((named, entry), (Some(line), seq)),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_ledger_that_vanished_or_was_emptied_is_lost_and_never_new() {
    type Harm = fn(&Place);
    let harms: [Harm; 5] = [
        |p| fs::remove_dir_all(p.root.join("ledger")).unwrap(),
        |p| fs::remove_file(p.segment(1)).unwrap(),
        |p| fs::write(p.segment(1), "").unwrap(),
        |p| {
            fs::write(p.segment(1), "").unwrap();
            fs::remove_file(p.root.join("marker.json")).unwrap();
        },
        |p| {
            let text = fs::read_to_string(p.segment(1)).unwrap();
            fs::write(p.segment(1), text.split_inclusive('\n').next().unwrap()).unwrap();
        },
    ];
    for (at, harm) in harms.into_iter().enumerate() {
        let place = Place::new();
        place.write(1..=1).await;
        harm(&place);
        let error = place.read().await.unwrap_err();
        assert!(matches!(error, LedgerError::Lost { .. }), "{at}: {error}");
        assert!(Writer::open(place.open()).await.is_err(), "{at}");
        assert!(matches!(place.open().verify(&BTreeSet::new()).await, Err(LedgerError::Lost { .. })));
    }
    // Nor between an opening that saw nothing and its first entry.
    let place = Place::new();
    let mut early = place.writer().await;
    place.write(1..=1).await;
    fs::remove_dir_all(place.root.join("ledger")).unwrap();
    assert!(matches!(early.append(vec![draft(2)]).await, Err(LedgerError::Lost { .. })));
}

#[tokio::test]
async fn a_missing_middle_segment_key_or_marker_is_noticed() {
    let place = Place::new();
    for n in 1..=3 {
        place.write(n..=n).await;
    }
    let middle = fs::read(place.segment(2)).unwrap();
    fs::remove_file(place.segment(2)).unwrap();
    assert!(matches!(place.read().await, Err(LedgerError::Corrupt { file, .. }) if file.contains("00002")));
    fs::write(place.segment(2), middle).unwrap();

    fs::remove_file(place.root.join("marker.json")).unwrap();
    assert_eq!(place.read().await.unwrap().unwrap(), [1, 2, 3], "the segments know whose they are");
    assert!(matches!(&place.findings().await[..], [Finding::Defect { file, .. }] if file == "marker.json"));
    place.write(4..=4).await;
    assert!(place.findings().await.is_empty(), "the next writer made it anew");

    fs::remove_file(place.root.join("key")).unwrap();
    assert!(matches!(place.open().key(true).await, Err(LedgerError::KeyLost { .. })));
    assert!(!place.root.join("key").exists(), "another key would fit nothing");
}

#[tokio::test]
async fn segments_of_another_ledger_do_not_fit() {
    let (one, two) = (Place::new(), Place::new());
    one.write(1..=2).await;
    two.write(1..=2).await;
    fs::copy(two.segment(1), one.segment(1)).unwrap();
    assert!(matches!(one.read().await, Err(LedgerError::Corrupt { line: Some(1), .. })));
}

#[tokio::test]
async fn a_newer_format_is_refused_with_the_version_it_needs() {
    let place = Place::new();
    place.write(1..=1).await;
    fs::write(place.root.join("marker.json"), "{\"format\":2,\"needs\":\"9.1.0\"}\n").unwrap();
    for error in [place.read().await.unwrap_err(), Writer::open(place.open()).await.unwrap_err()] {
        assert!(matches!(&error, LedgerError::Newer { format: 2, needs, .. } if needs == "9.1.0"), "{error}");
        assert!(error.to_string().contains("Gantry 9.1.0"));
    }
}

#[tokio::test]
async fn links_are_not_followed() {
    let place = Place::new();
    place.write(1..=1).await;
    for name in ["marker.json", "key", "ledger", "ledger/00000000000000000001.jsonl"] {
        let (path, aside) = (place.root.join(name), place.root.join("aside"));
        fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        let read = match name {
            "key" => place.open().key(false).await.map(|_| ()),
            _ => place.read().await.map(|_| ()),
        };
        assert!(read.is_err(), "{name}");
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    let blob = place.open().put_blob(b"x".to_vec()).await.unwrap();
    let path = place.open().blob_file(blob).await.unwrap();
    fs::rename(&path, place.root.join("aside")).unwrap();
    std::os::unix::fs::symlink(place.root.join("aside"), &path).unwrap();
    assert!(place.open().get_blob(blob).await.is_err() && place.open().blob_file(blob).await.is_err());
}

#[tokio::test]
async fn a_failed_write_or_sync_ends_the_writer() {
    for act in ["write", "sync"] {
        let place = Place::new();
        place.write(1..=1).await;
        let backend = place.open();
        let (mut writer, _) = Writer::open(Arc::clone(&backend) as Arc<dyn Backend>).await.unwrap();
        writer.append(vec![draft(2)]).await.unwrap();
        backend.fail_next(act);
        let error = writer.append(vec![draft(3)]).await.unwrap_err();
        assert!(matches!(error, LedgerError::NotWritten { .. }), "{error}");
        assert_eq!(error.consequence(), crate::ledger::Consequence::Interrupted);
        for _ in 0..2 {
            let again = writer.append(vec![draft(4)]).await.unwrap_err();
            assert!(matches!(&again, LedgerError::Poisoned { first, .. } if !first.is_empty()), "{again}");
        }
        // Nor by another writer over the same value: the process is poisoned, not the handle.
        let (mut other, _) = Writer::open(Arc::clone(&backend) as Arc<dyn Backend>).await.unwrap();
        assert!(matches!(other.append(vec![draft(5)]).await, Err(LedgerError::Poisoned { .. })));
        // A new process goes on from what is there.
        place.write(6..=6).await;
        let read = place.read().await.unwrap().unwrap();
        assert!(read == [1, 2, 6] || read == [1, 2, 3, 6], "{read:?}");
    }
}

#[tokio::test]
async fn a_moved_state_directory_is_noticed_by_the_append() {
    let place = Place::new();
    place.write(1..=1).await;
    let mut writer = place.writer().await;
    writer.append(vec![draft(2)]).await.unwrap();
    let aside = place.root.with_file_name("aside");
    fs::rename(&place.root, &aside).unwrap();
    assert!(matches!(writer.append(vec![draft(3)]).await, Err(LedgerError::Unknown { .. })));
    assert!(!place.root.exists());
}

/// A blob that went into a directory that only stood in for the ledger's own for a while.
#[tokio::test]
async fn no_entry_goes_where_its_blob_is_not() {
    let place = Place::new();
    place.write(1..=1).await;
    let aside = place.root.with_file_name("aside");
    for again in [false, true] {
        let backend = place.open();
        let (mut writer, _) = Writer::open(Arc::clone(&backend) as Arc<dyn Backend>).await.unwrap();
        if again {
            backend.put_blob(b"before".to_vec()).await.unwrap();
        }
        fs::rename(&place.root, &aside).unwrap();
        let blob = backend.put_blob(b"lost".to_vec()).await.unwrap();
        fs::remove_dir_all(&place.root).unwrap();
        fs::rename(&aside, &place.root).unwrap();
        let refused = writer.append(vec![draft(2)]).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Unavailable { writing: true, .. }), "{refused}");
        assert_eq!(place.read().await.unwrap().unwrap(), [1]);
        assert!(matches!(place.open().get_blob(blob).await, Err(LedgerError::BlobMissing { .. })));
    }
    let backend = place.open();
    let (mut writer, _) = Writer::open(Arc::clone(&backend) as Arc<dyn Backend>).await.unwrap();
    backend.put_blob(b"kept".to_vec()).await.unwrap();
    writer.append(vec![draft(2)]).await.unwrap();
    backend.put_blob(b"kept as well".to_vec()).await.unwrap();
    writer.append(vec![draft(3)]).await.unwrap();
}

#[tokio::test]
async fn an_abandoned_append_ends_the_writer() {
    let place = Place::new();
    place.write(1..=1).await;
    let mut writer = place.writer().await;
    writer.fence().await.unwrap();
    let abandoned = tokio::time::timeout(Duration::ZERO, writer.append(vec![draft(2)])).await;
    if abandoned.is_err() {
        assert!(matches!(writer.append(vec![draft(3)]).await, Err(LedgerError::Poisoned { .. })));
    }
    drop(writer);
    place.write(4..=4).await;
    let read = place.read().await.unwrap().unwrap();
    assert!(read == [1, 4] || read == [1, 2, 4], "{read:?}");
}

#[tokio::test]
async fn void_entries_of_a_fenced_writer_are_named() {
    let place = Place::new();
    place.write(1..=1).await;
    let mut zombie = place.writer().await;
    zombie.append(vec![draft(2)]).await.unwrap();
    place.write(3..=3).await;
    assert!(matches!(zombie.append(vec![draft(66), draft(67)]).await, Err(LedgerError::Fenced { .. })));
    append_bytes(&place.segment(2), b"{\"actor\":\"half");
    assert_eq!(place.read().await.unwrap().unwrap(), [1, 2, 3]);
    match &place.findings().await[..] {
        [Finding::Void { file, line: 3, entries: 2, .. }] => assert_eq!(file, &layout::segment_name(2)),
        other => panic!("{other:?}"),
    }
    // Damage in what is void is not damage of the ledger.
    append_bytes(&place.segment(2), b"\nrubbish\n");
    assert_eq!(place.read().await.unwrap().unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_rotten_blob_is_refused_named_and_replaced_by_a_good_one() {
    let place = Place::new();
    place.write(1..=1).await;
    let backend = place.open();
    let name = backend.put_blob(b"content".to_vec()).await.unwrap();
    let path = backend.blob_file(name).await.unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "rotten!").unwrap();
    assert!(matches!(backend.get_blob(name).await, Err(LedgerError::BlobCorrupt { .. })));
    assert!(matches!(backend.blob_file(name).await, Err(LedgerError::BlobCorrupt { .. })));
    assert_eq!(place.findings().await, [Finding::BlobCorrupt { digest: name }]);
    backend.put_blob(b"content".to_vec()).await.unwrap();
    assert_eq!(backend.get_blob(name).await.unwrap(), b"content");
}

#[tokio::test]
async fn plain_data_becomes_executable_when_it_is_kept_again_to_be_run() {
    let place = Place::new();
    let script = place.root.with_file_name("script");
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    fs::write(&script, "#!/bin/sh\nexit 7\n").unwrap();
    let (name, _) = place.open().put_file(&script, false).await.unwrap();
    assert_eq!(place.open().put_file(&script, true).await.unwrap().0, name);
    let copy = place.open().blob_file(name).await.unwrap();
    assert_eq!(std::process::Command::new(copy).status().unwrap().code(), Some(7));
}

#[tokio::test]
async fn an_unreadable_place_is_neither_empty_nor_lost() {
    let place = Place::new();
    fs::create_dir_all(&place.root).unwrap();
    fs::write(place.root.join("ledger"), "a file").unwrap();
    assert!(matches!(place.read().await, Err(LedgerError::Corrupt { .. })));
    // A file where a directory above should be: ENOTDIR is no "nothing there".
    let below = Arc::new(LocalBackend::new(&place.root.join("ledger/deeper")));
    assert!(matches!(below.read(1).await, Err(LedgerError::Unreadable { .. })));
}

#[tokio::test]
async fn large_batches_are_one_write() {
    let place = Place::new();
    let text = "x".repeat(2000);
    let drafts = |from: u64| {
        let text = text.clone();
        (from..from + 3000)
            .map(move |n| Draft { event: serde_json::json!({"n": n, "text": text}), ..draft(0) })
            .collect()
    };
    let mut writer = place.writer().await;
    writer.append(drafts(1)).await.unwrap();
    let entries: Vec<RawEntry> = writer.append(drafts(3001)).await.unwrap();
    assert!(entries.iter().all(|e| e.batch == 3001));
    assert_eq!(place.read().await.unwrap().unwrap(), (1..=6000).collect::<Vec<_>>());
}

/// A place with a checkpoint as its third entry and two entries after it, by two writers.
async fn with_checkpoint() -> (Place, crate::ledger::checkpoint::Pointer) {
    let place = Place::new();
    let mut writer = place.writer().await;
    writer.append(vec![draft(1), draft(2)]).await.unwrap();
    writer.append(vec![draft(3)]).await.unwrap();
    writer.backend().note_checkpoint(writer.head().unwrap()).await.unwrap();
    writer.append(vec![draft(4)]).await.unwrap();
    place.write(5..=5).await;
    let pointer = place.open().newest_checkpoint().await.unwrap().unwrap();
    (place, pointer)
}

async fn from_checkpoint(place: &Place) -> Result<Option<Vec<u64>>> {
    let backend = place.open();
    let Some(pointer) = backend.newest_checkpoint().await? else { return Ok(None) };
    Ok(backend.read_from(&pointer).await?.map(|snapshot| numbers(&snapshot.entries)))
}

#[tokio::test]
async fn no_bit_of_the_note_or_of_what_is_read_from_a_checkpoint_changes_unseen() {
    let (place, pointer) = with_checkpoint().await;
    assert_eq!(from_checkpoint(&place).await.unwrap().unwrap(), [3, 4, 5]);
    let newest = place.root.join("checkpoint.json");
    for path in [newest, place.segment(1), place.segment(2)] {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                fs::write(&path, &bytes).unwrap();
                let unread = path == place.segment(1) && at < pointer.offset as usize;
                match from_checkpoint(&place).await {
                    Ok(read) if read == Some(vec![3, 4, 5]) => assert!(unread, "{path:?}, byte {at}, bit {bit}"),
                    // The last entry without its newline is what a cut-off write leaves.
                    Ok(read) => assert!(
                        read == Some(vec![3, 4]) && path == place.segment(2) || path == place.segment(1) && unread,
                        "{path:?}, byte {at}, bit {bit}: {read:?}"
                    ),
                    Err(LedgerError::Corrupt { .. } | LedgerError::Newer { .. } | LedgerError::Lost { .. }) => {}
                    Err(e) => panic!("{path:?}, byte {at}, bit {bit}: {e}"),
                }
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(from_checkpoint(&place).await.unwrap().unwrap(), [3, 4, 5]);
}

#[tokio::test]
async fn a_checkpoint_outlives_its_segments_tail_and_not_its_segment() {
    let (place, _) = with_checkpoint().await;
    append_bytes(&place.segment(2), b"{\"actor\":\"an");
    assert_eq!(from_checkpoint(&place).await.unwrap().unwrap(), [3, 4, 5]);
    assert!(place.findings().await.iter().all(|f| !f.is_defect()), "the note belongs there");
    fs::remove_file(place.segment(1)).unwrap();
    assert!(from_checkpoint(&place).await.is_err());
    fs::remove_file(place.segment(2)).unwrap();
    assert!(matches!(from_checkpoint(&place).await, Err(LedgerError::Lost { .. })));
}

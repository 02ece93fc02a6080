//! The names of a ledger's objects, and the bytes of those that are not just lines of entries.
//!
//! Every object below `ledger/` starts with a head line that names what it is, whose, and where it belongs, so that an
//! object of another ledger, of another position or of a newer format is told from damage. A *batch* has the lines of
//! its entries behind the head line. A *fence* is a head line alone: it holds the position behind the newest entry for
//! the writer that put it there, and is nothing to a reader.

use serde_json::{Value, json};

use crate::ledger::backend::{Batch, Head, MAX_BATCH_BYTES};
use crate::ledger::format::line::Chain;
use crate::ledger::format::{Digest, FORMAT, FormatError, Lineage, NEEDS, RawEntry, decode, digest, to_canonical};
use crate::ledger::seal::Key;
use crate::ports::id;

/// The object that says that there is a ledger, and whose.
pub(super) const MARKER: &str = "marker.json";
/// The object that holds the key of the keyed digests.
pub(super) const KEY: &str = "key";
/// The object that holds the lease.
pub(super) const LEASE: &str = "lease.json";
/// What the names of batches and fences start with.
pub(super) const LEDGER: &str = "ledger/";
/// What the names of blobs start with.
pub(super) const BLOBS: &str = "blobs/";
/// What the names of the lists of removed objects start with.
pub(super) const REMOVALS: &str = "removals/";
/// What the names of the objects start with by which a store is tried.
pub(super) const PROBE: &str = "probe-";
/// The longest head line.
const MAX_HEAD_LINE: usize = 4096;
/// The largest object that is read as a whole.
pub(super) const MAX_OBJECT: u64 = (MAX_BATCH_BYTES + MAX_HEAD_LINE) as u64;

/// The name of the object at a position.
pub(super) fn position(seq: u64) -> String {
    format!("{LEDGER}{seq:020}")
}

/// The position that an object's name stands for; `None` for a name that is none.
pub(super) fn position_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(LEDGER)?;
    let all = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|&seq| all && seq > 0)
}

/// The name of a blob.
pub(super) fn blob(digest: &Digest) -> String {
    let digits = digest.to_string();
    format!("{BLOBS}{}/{digits}", &digits[..2])
}

/// The name of a blob that is kept by the writer of an epoch while an earlier one may still remove that of its digest alone.
pub(super) fn blob_anew(digest: &Digest, epoch: u64) -> String {
    format!("{}.{epoch}", blob(digest))
}

/// The blob that an object's name stands for; `None` for a name that is none.
pub(super) fn blob_of(name: &str) -> Option<Digest> {
    let (_, rest) = name.strip_prefix(BLOBS)?.split_once('/')?;
    let (digits, epoch) = rest.split_once('.').map_or((rest, None), |(digits, epoch)| (digits, Some(epoch)));
    let digest = digits.parse().ok()?;
    let whole = match epoch {
        None => blob(&digest),
        Some(epoch) => blob_anew(&digest, epoch.parse().ok()?),
    };
    (whole == name).then_some(digest)
}

/// A list of objects that the writer of an epoch is going to remove: its name and its bytes.
pub(super) fn removal(lineage: &Lineage, epoch: u64, names: &[String]) -> (String, Vec<u8>) {
    let bytes = sealed_line(json!({
        "epoch": epoch, "format": FORMAT, "kind": "removal", "lineage": lineage, "names": names, "needs": NEEDS,
    }));
    let sum = digest(&bytes).to_string();
    (format!("{REMOVALS}{epoch:020}-{}", &sum[..16]), bytes)
}

/// The names in such a list.
pub(super) fn parse_removal(bytes: &[u8]) -> Result<Vec<String>, String> {
    let fields = open_line(bytes)?;
    let names = fields.get("names").and_then(Value::as_array).ok_or("it is no list of removed objects")?;
    Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// What stands at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    /// Entries, with their digests.
    Batch(Vec<(RawEntry, Digest)>),
    /// A writer that has taken over and not written yet.
    Fence {
        /// Its epoch.
        epoch: u64,
        /// What it goes on after.
        after: Head,
    },
}

/// Why the bytes at a position are not what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    /// A newer Gantry wrote them: the format, and the version that reads it.
    Newer(u64, String),
    /// They are damaged or belong elsewhere: the line from 1, the entry, and what is wrong.
    Damaged(usize, Option<u64>, String),
}

impl Bad {
    fn head(reason: impl Into<String>) -> Self {
        Self::Damaged(1, None, reason.into())
    }
}

/// A canonical line of an object that carries the digest of the rest of it.
fn sealed_line(mut fields: Value) -> Vec<u8> {
    let sum = digest(&to_canonical(&fields).unwrap_or_default()).to_string();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("digest".to_owned(), sum.into());
    }
    let mut line = to_canonical(&fields).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The object of a sealed line, without its digest.
fn open_line(line: &[u8]) -> Result<Value, String> {
    let text = line.strip_suffix(b"\n").ok_or("it does not end with a newline")?;
    let mut fields = decode(text).map_err(|e| e.to_string())?;
    let own = fields.as_object_mut().and_then(|fields| fields.remove("digest"));
    let sum = to_canonical(&fields).map(|bytes| digest(&bytes).to_string()).map_err(|e| e.to_string())?;
    if own.as_ref().and_then(Value::as_str) == Some(&sum) {
        Ok(fields)
    } else {
        Err("its `digest` is not that of its content".to_owned())
    }
}

/// The bytes of a batch.
pub(super) fn batch(lineage: &Lineage, batch: &Batch) -> Vec<u8> {
    let mut bytes = batch_head(lineage, batch.first_seq(), batch.entries().len(), &batch.head().digest);
    bytes.extend_from_slice(batch.lines());
    bytes
}

/// The bytes of the batches that entries were written in, by their positions.
pub(super) fn batches(lineage: &Lineage, entries: &[RawEntry]) -> Result<Vec<(u64, Vec<u8>)>, FormatError> {
    let mut all = Vec::new();
    for one in entries.chunk_by(|a, b| a.batch == b.batch) {
        let (mut lines, mut last) = (Vec::new(), None);
        for entry in one {
            let (line, digest) = entry.seal()?;
            lines.extend_from_slice(&line);
            last = Some(digest);
        }
        if let (Some(first), Some(last)) = (one.first(), last) {
            let mut bytes = batch_head(lineage, first.seq, one.len(), &last);
            bytes.extend_from_slice(&lines);
            all.push((first.seq, bytes));
        }
    }
    Ok(all)
}

/// It names how many entries follow and the last of them, so that a batch cannot lose its end unseen.
fn batch_head(lineage: &Lineage, seq: u64, entries: usize, last: &Digest) -> Vec<u8> {
    sealed_line(json!({
        "entries": entries, "format": FORMAT, "kind": "batch", "last": last, "lineage": lineage, "needs": NEEDS,
        "seq": seq,
    }))
}

/// The bytes of a fence behind `after`, different each time.
pub(super) fn fence(lineage: &Lineage, epoch: u64, after: Head) -> Vec<u8> {
    let Head { seq, digest, epoch: before } = after;
    sealed_line(json!({
        "after": {"digest": digest, "epoch": before, "seq": seq}, "epoch": epoch, "format": FORMAT, "kind": "fence",
        "lineage": lineage, "needs": NEEDS, "seq": seq + 1, "writer": id::random_hex::<16>(),
    }))
}

/// The format, version and lineage that the head line of an object names, for a ledger whose marker is not there.
pub(super) fn identity(bytes: &[u8]) -> Result<Lineage, Bad> {
    let fields = head_line(bytes)?.0;
    let lineage = fields.get("lineage").and_then(Value::as_str).and_then(|text| text.parse().ok());
    lineage.ok_or_else(|| Bad::head("its head line names no lineage"))
}

/// The head line, its format checked before anything else, and what stands behind it.
fn head_line(bytes: &[u8]) -> Result<(Value, &[u8]), Bad> {
    let end = bytes.iter().take(MAX_HEAD_LINE).position(|&b| b == b'\n');
    let Some(end) = end else { return Err(Bad::head("it has no head line")) };
    let (line, rest) = bytes.split_at(end + 1);
    let newer = serde_json::from_slice::<Value>(line).ok().and_then(|fields| {
        let format = fields.get("format").and_then(Value::as_u64).filter(|&f| f > FORMAT)?;
        let needs = fields.get("needs").and_then(Value::as_str).unwrap_or("(it does not say which)");
        Some(Bad::Newer(format, needs.to_owned()))
    });
    match open_line(line) {
        Ok(fields) => newer.map_or(Ok((fields, rest)), Err),
        // A later format may seal its lines in another way; a flipped bit may look like a later format.
        Err(_) if newer.is_some() && line.is_ascii() => Err(newer.unwrap_or_else(|| Bad::head("it is newer"))),
        Err(reason) => Err(Bad::head(format!("its head line is not whole: {reason}"))),
    }
}

/// Reads what stands at a position.
pub(super) fn parse(bytes: &[u8], lineage: &Lineage, seq: u64) -> Result<Object, Bad> {
    let (fields, rest) = head_line(bytes)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let whose = text("lineage");
    if whose != lineage.as_str() {
        return Err(Bad::head(format!("it belongs to the ledger {whose}, not to {}", lineage.as_str())));
    }
    if fields.get("seq").and_then(Value::as_u64) != Some(seq) {
        return Err(Bad::head("it belongs to another position than its name says"));
    }
    match text("kind") {
        "batch" => {
            let entries = entries(rest, seq)?;
            let head = entries.last().map(|(_, last)| batch_head(lineage, seq, entries.len(), last));
            match head {
                Some(head) if bytes.starts_with(&head) => Ok(Object::Batch(entries)),
                _ => Err(Bad::head("it ends before or after the entry that its head line names as the last")),
            }
        }
        "fence" if rest.is_empty() => parse_fence(&fields, seq),
        "fence" => Err(Bad::Damaged(2, None, "a fence has one line, and there is more".to_owned())),
        _ => Err(Bad::head("its head line is neither that of a batch nor that of a fence")),
    }
}

fn parse_fence(fields: &Value, seq: u64) -> Result<Object, Bad> {
    let bad = || Bad::head("it is no whole fence");
    let after = fields.get("after").ok_or_else(bad)?;
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64).ok_or_else(bad);
    let head = Head {
        seq: number(after, "seq")?,
        epoch: number(after, "epoch")?,
        digest: after.get("digest").and_then(Value::as_str).and_then(|d| d.parse().ok()).ok_or_else(bad)?,
    };
    let epoch = number(fields, "epoch")?;
    if head.seq.checked_add(1) != Some(seq) || epoch <= head.epoch {
        return Err(bad());
    }
    Ok(Object::Fence { epoch, after: head })
}

fn entries(lines: &[u8], seq: u64) -> Result<Vec<(RawEntry, Digest)>, Bad> {
    let mut entries: Vec<(RawEntry, Digest)> = Vec::new();
    for line in lines.split_inclusive(|&b| b == b'\n') {
        let at = seq + entries.len() as u64;
        let bad = |reason: String| Bad::Damaged(2 + (at - seq) as usize, Some(at), reason);
        let (entry, digest) = RawEntry::unseal(line).map_err(|e| bad(e.to_string()))?;
        if entry.seq != at || entry.batch != seq {
            return Err(bad(format!(
                "it is entry {} of the batch {}, and stands in another place",
                entry.seq, entry.batch
            )));
        }
        if entries.first().is_some_and(|(first, _)| first.epoch != entry.epoch) {
            return Err(bad("it is of another writer than the entries before it in its batch".to_owned()));
        }
        entries.push((entry, digest));
    }
    if entries.is_empty() {
        return Err(Bad::Damaged(2, Some(seq), "it has no entry".to_owned()));
    }
    Ok(entries)
}

/// Takes a batch's entries into the chain and gives the newest one.
pub(super) fn admit(chain: &mut Chain, entries: &[(RawEntry, Digest)]) -> Result<Option<Head>, Bad> {
    let mut head = None;
    for (at, (entry, digest)) in entries.iter().enumerate() {
        chain.admit(entry, *digest).map_err(|reason| Bad::Damaged(at + 2, Some(entry.seq), reason))?;
        head = Some(Head { seq: entry.seq, digest: *digest, epoch: entry.epoch });
    }
    Ok(head)
}

/// The bytes of the object of a key. The digest tells a rotten key from a good one before it is used.
pub(super) fn key(key: &Key) -> Vec<u8> {
    sealed_line(json!({"format": FORMAT, "key": key.to_hex()}))
}

/// The key of such an object.
pub(super) fn parse_key(bytes: &[u8]) -> Result<Key, String> {
    let fields = open_line(bytes)?;
    fields.get("key").and_then(Value::as_str).and_then(Key::from_hex).ok_or_else(|| "it holds no key".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::conformance::draft;

    fn one() -> (Lineage, Vec<u8>, Vec<u8>) {
        let lineage = Lineage::random();
        let entries = crate::ledger::backend::Batch::chain(&lineage, None, 1, true, vec![draft(1), draft(2)]);
        let entries = entries.unwrap().unwrap();
        let fence = fence(&lineage, 2, entries.head());
        (lineage.clone(), batch(&lineage, &entries), fence)
    }

    #[test]
    fn names_say_their_position_and_nothing_else_is_a_position() {
        assert_eq!(position(42), "ledger/00000000000000000042");
        assert_eq!(position_of(&position(u64::MAX)), Some(u64::MAX));
        for none in ["ledger/42", "ledger/00000000000000000000", "ledger/+0000000000000000042", "blobs/x", "ledger/"] {
            assert_eq!(position_of(none), None, "{none}");
        }
        let digest = digest(b"x");
        assert_eq!(blob_of(&blob(&digest)), Some(digest));
        assert_eq!(blob_of(&blob(&digest).replace("blobs/2d", "blobs/2e")), None);
        assert_eq!(blob_of(&blob_anew(&digest, 12)), Some(digest));
        for none in [".", ".012", ".+1", ".1.2", ".x"] {
            assert_eq!(blob_of(&format!("{}{none}", blob(&digest))), None, "{none}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_batch_a_fence_and_a_key_is_refused() {
        let (lineage, batch, fence) = one();
        assert!(matches!(parse(&batch, &lineage, 1), Ok(Object::Batch(all)) if all.len() == 2));
        assert!(matches!(parse(&fence, &lineage, 3), Ok(Object::Fence { epoch: 2, after }) if after.seq == 2));
        let key_bytes = key(&Key::random());
        assert!(parse_key(&key_bytes).is_ok());
        let names = [blob(&digest(b"x"))];
        let (_, removal) = removal(&lineage, 2, &names);
        assert_eq!(parse_removal(&removal).unwrap(), names);
        for bit in 0..removal.len() * 8 {
            let mut changed = removal.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_removal(&changed).is_err(), "bit {bit}");
        }
        for (bytes, seq) in [(&batch, 1), (&fence, 3), (&key_bytes, 0)] {
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let refused =
                    if seq == 0 { parse_key(&changed).is_err() } else { parse(&changed, &lineage, seq).is_err() };
                assert!(refused, "bit {bit}");
            }
            for cut in 0..bytes.len() {
                let short = &bytes[..cut];
                let refused = if seq == 0 { parse_key(short).is_err() } else { parse(short, &lineage, seq).is_err() };
                assert!(refused, "cut at {cut}");
            }
        }
    }

    #[test]
    fn another_ledger_s_object_and_a_newer_one_are_named() {
        let (lineage, batch, _) = one();
        let other = Lineage::random();
        let Err(Bad::Damaged(1, None, reason)) = parse(&batch, &other, 1) else { panic!() };
        assert!(reason.contains(lineage.as_str()) && reason.contains(other.as_str()), "{reason}");
        assert!(parse(&batch, &lineage, 2).is_err());
        let newer = b"{\"format\":7,\"needs\":\"3.2.0\",\"shape\":1.5}\n";
        assert_eq!(parse(newer, &lineage, 1), Err(Bad::Newer(7, "3.2.0".to_owned())));
    }
}

//! One entry, one line, and the chain that they form.

use serde_json::{Map, Value};

use super::FormatError;
use super::canonical::{MAX_BYTES, Sink as _, decode, within, write_string, write_value};
use super::digest::{Digest, Digester, Lineage};

/// The longest line, with its newline, in bytes.
pub const MAX_LINE: usize = MAX_BYTES;

/// An entry as the ledger's storage knows it: everything but the meaning of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry {
    /// Its position, from 1, without gaps.
    pub seq: u64,
    /// The digest of the entry before; for the first entry the lineage's genesis.
    pub prev: Digest,
    /// When it was written, RFC 3339, UTC, nanoseconds. For people: order is `seq`.
    pub time: String,
    /// The run that it belongs to, if it belongs to one.
    pub run: Option<String>,
    /// Who wrote it.
    pub actor: String,
    /// Which writer wrote it: each writer has a higher one than every writer before.
    pub epoch: u64,
    /// The `seq` of the first entry of the batch that it was written in. Readers of a log that grows by plain writes
    /// need it to tell a batch that a power cut tore from an entry that rotted.
    pub batch: u64,
    /// In the first entry of each writer but the first: what it goes on from.
    pub continues: Option<Continues>,
    /// What happened.
    pub event: Value,
}

/// The entry after which a new writer goes on. What the older writer appended beyond it is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continues {
    /// The epoch that the entry was written in.
    pub epoch: u64,
    /// Its position.
    pub seq: u64,
}

/// A time as entries carry it.
#[must_use]
pub fn time_text(time: jiff::Timestamp) -> String {
    format!("{time:.9}")
}

impl RawEntry {
    /// Its line, canonical JSON and a newline, and its digest: the SHA-256 of that JSON without the field `digest`,
    /// which is what the line holds there and what the next entry names as `prev`. So the last entry, which no other
    /// vouches for yet, cannot change unseen either, and a changed one is named itself, not the one after it.
    ///
    /// # Errors
    /// When the event has no canonical form or the line would be too long.
    pub fn seal(&self) -> Result<(Vec<u8>, Digest), FormatError> {
        let mut line = Vec::with_capacity(512);
        line.put(b"{\"actor\":");
        write_string(&mut line, &self.actor);
        if self.batch != self.seq {
            line.put(format!(",\"batch\":{}", self.batch).as_bytes());
        }
        if let Some(Continues { epoch, seq }) = self.continues {
            line.put(format!(",\"continues\":{{\"epoch\":{epoch},\"seq\":{seq}}}").as_bytes());
        }
        let mut rest = Vec::with_capacity(512);
        rest.put(format!(",\"epoch\":{},\"event\":", self.epoch).as_bytes());
        write_value(&mut rest, &self.event, 1)?;
        rest.put(b",\"prev\":");
        write_string(&mut rest, &self.prev.to_string());
        if let Some(run) = &self.run {
            rest.put(b",\"run\":");
            write_string(&mut rest, run);
        }
        rest.put(format!(",\"seq\":{},\"time\":", self.seq).as_bytes());
        write_string(&mut rest, &self.time);
        rest.put(b"}");
        let digest = digest_of_pieces(&line, &rest);
        line.put(format!(",\"digest\":\"{digest}\"").as_bytes());
        line.put(&rest);
        line.put(b"\n");
        within(line.len(), MAX_LINE)?;
        Ok((line, digest))
    }

    /// The entry whose line these bytes are, and its digest.
    ///
    /// # Errors
    /// When they are not exactly one line of one entry, or the digest in it is not its own.
    pub fn unseal(line: &[u8]) -> Result<(Self, Digest), FormatError> {
        within(line.len(), MAX_LINE)?;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(FormatError::Shape("a line ends with a newline".to_owned()));
        };
        let Value::Object(mut fields) = decode(text)? else {
            return Err(FormatError::Shape("an entry is an object".to_owned()));
        };
        let digest = text_field(&mut fields, "digest")?.parse().map_err(|e| wrong("digest", &e))?;
        let seq = number(&mut fields, "seq")?;
        let batch = fields.contains_key("batch").then(|| number(&mut fields, "batch")).transpose()?;
        // A batch starts at or before its entries; where it starts with this one, that is said by leaving it out.
        if seq == 0 || batch.is_some_and(|first| first == 0 || first >= seq) {
            return Err(wrong("seq", &"positions count from 1, and a batch starts before the entries that name it"));
        }
        let entry = Self {
            seq,
            prev: text_field(&mut fields, "prev")?.parse().map_err(|e| wrong("prev", &e))?,
            time: text_field(&mut fields, "time")?,
            run: fields.contains_key("run").then(|| text_field(&mut fields, "run")).transpose()?,
            actor: text_field(&mut fields, "actor")?,
            epoch: number(&mut fields, "epoch")?,
            batch: batch.unwrap_or(seq),
            continues: fields.remove("continues").map(continues).transpose()?,
            event: fields.remove("event").ok_or_else(|| wrong("event", &"it is missing"))?,
        };
        if let Some(name) = fields.keys().next() {
            return Err(wrong(name, &"an entry has no such field"));
        }
        check_time(&entry.time)?;
        if digest_beside_field(text) != Some(digest) {
            return Err(wrong("digest", &"it is not the digest of this entry"));
        }
        Ok((entry, digest))
    }

    /// Its digest, as in [`RawEntry::seal`].
    ///
    /// # Errors
    /// When it has no line.
    pub fn digest(&self) -> Result<Digest, FormatError> {
        self.seal().map(|(_, digest)| digest)
    }
}

/// The digest of an entry's canonical text with the field `digest` left out.
fn digest_beside_field(text: &[u8]) -> Option<Digest> {
    // The first such bytes are the field itself: only `actor`, `batch` and `continues` sort before it, and within a
    // string a quote never stands without its backslash.
    const FIELD: &[u8] = b",\"digest\":\"";
    let at = text.windows(FIELD.len()).position(|window| window == FIELD)?;
    let rest = at + FIELD.len() + 2 * size_of::<Digest>() + 1;
    Some(digest_of_pieces(&text[..at], text.get(rest..)?))
}

fn digest_of_pieces(start: &[u8], rest: &[u8]) -> Digest {
    let mut digester = Digester::default();
    digester.update(start);
    digester.update(rest);
    digester.finish()
}

fn wrong(name: &str, reason: &dyn std::fmt::Display) -> FormatError {
    FormatError::Field { name: name.to_owned(), reason: reason.to_string() }
}

fn number(fields: &mut Map<String, Value>, name: &str) -> Result<u64, FormatError> {
    let value = fields.remove(name).ok_or_else(|| wrong(name, &"it is missing"))?;
    value.as_u64().ok_or_else(|| wrong(name, &"it is not a whole number"))
}

fn text_field(fields: &mut Map<String, Value>, name: &str) -> Result<String, FormatError> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(wrong(name, &"it is not a string")),
        None => Err(wrong(name, &"it is missing")),
    }
}

fn continues(value: Value) -> Result<Continues, FormatError> {
    let Value::Object(mut fields) = value else {
        return Err(wrong("continues", &"it is not an object"));
    };
    let continues = Continues { epoch: number(&mut fields, "epoch")?, seq: number(&mut fields, "seq")? };
    match fields.keys().next() {
        Some(name) => Err(wrong(name, &"`continues` has no such field")),
        None => Ok(continues),
    }
}

fn check_time(time: &str) -> Result<(), FormatError> {
    match time.parse::<jiff::Timestamp>() {
        Ok(parsed) if time_text(parsed) == time => Ok(()),
        _ => Err(wrong("time", &"it is not RFC 3339 in UTC with nanoseconds")),
    }
}

/// Checks entries one after the other: positions without gaps, each naming the digest of the one before, epochs that
/// never fall.
#[derive(Debug, Clone)]
pub struct Chain {
    seq: u64,
    digest: Digest,
    epoch: u64,
}

impl Chain {
    /// A chain before its first entry.
    #[must_use]
    pub fn new(lineage: &Lineage) -> Self {
        Self { seq: 0, digest: lineage.genesis(), epoch: 0 }
    }

    /// A chain that goes on after an entry which was verified.
    #[must_use]
    pub fn after(seq: u64, digest: Digest, epoch: u64) -> Self {
        Self { seq, digest, epoch }
    }

    /// A chain just before an entry whose digest is known from elsewhere.
    #[must_use]
    pub fn before(entry: &RawEntry) -> Self {
        let epoch = entry.continues.map_or(entry.epoch, |continues| continues.epoch);
        Self { seq: entry.seq - 1, digest: entry.prev, epoch }
    }

    /// Takes in the next entry, which has the given digest.
    ///
    /// # Errors
    /// Why it does not follow, as a sentence about the entry.
    pub fn admit(&mut self, entry: &RawEntry, digest: Digest) -> Result<(), String> {
        if Some(entry.seq) != self.seq.checked_add(1) {
            return Err(format!("it has number {} where {} was expected", entry.seq, self.seq.saturating_add(1)));
        }
        if entry.prev != self.digest {
            return Err("it does not follow the entry before it (its `prev` is another digest)".to_owned());
        }
        if entry.epoch < self.epoch || entry.epoch == 0 {
            return Err(format!("its epoch {} is lower than the one before ({})", entry.epoch, self.epoch));
        }
        // A new writer says what it goes on from; an old one has nothing to say.
        let new_writer = self.seq > 0 && entry.epoch > self.epoch;
        let before = Continues { epoch: self.epoch, seq: self.seq };
        if entry.continues != new_writer.then_some(before) {
            return Err("it does not continue the entry before it as a first entry of its writer must".to_owned());
        }
        (self.seq, self.digest, self.epoch) = (entry.seq, digest, entry.epoch);
        Ok(())
    }
}

/// The first entry at which a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {reason}")]
pub struct BrokenChain {
    /// The position at which it breaks.
    pub seq: u64,
    /// Why.
    pub reason: String,
}

/// Verifies a whole ledger from its first entry, and gives the digest of the last.
///
/// # Errors
/// The first entry that does not follow the one before.
pub fn verify_chain(lineage: &Lineage, entries: &[RawEntry]) -> Result<Digest, BrokenChain> {
    let mut chain = Chain::new(lineage);
    for (at, entry) in entries.iter().enumerate() {
        let broken = |reason| BrokenChain { seq: at as u64 + 1, reason };
        let digest = entry.digest().map_err(|e| broken(e.to_string()))?;
        chain.admit(entry, digest).map_err(broken)?;
    }
    Ok(chain.digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canonical::encode;
    use super::*;
    use crate::ledger::format::digest;

    fn entry() -> RawEntry {
        RawEntry {
            seq: 7,
            prev: digest(b"before"),
            time: "2026-11-20T23:25:00.000000001Z".to_owned(),
            run: Some("r1".to_owned()),
            actor: "ann \"the\nadmin\"".to_owned(),
            epoch: 3,
            batch: 5,
            continues: Some(Continues { epoch: 2, seq: 6 }),
            event: json!({"type": "run_started", "batch": 1, "list": [1, {"a": null, "batch": 7}]}),
        }
    }

    #[test]
    fn a_line_round_trips_and_is_canonical() {
        for (run, batch, continues) in [
            (None, 7, None),
            (Some("r"), 7, None),
            (None, 5, None),
            (Some("r"), 1, Some(Continues { epoch: 2, seq: 6 })),
        ] {
            let entry = RawEntry { run: run.map(str::to_owned), batch, continues, ..entry() };
            let (line, sum) = entry.seal().unwrap();
            let mut value = decode(line.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(RawEntry::unseal(&line).unwrap(), (entry, sum));
            // Anybody can check it: the field taken out, the rest in canonical form, SHA-256.
            assert_eq!(value.as_object_mut().unwrap().remove("digest").unwrap(), sum.to_string());
            assert_eq!(digest(&encode(&value).unwrap()), sum);
        }
    }

    #[test]
    fn what_is_not_exactly_one_entry_is_refused() {
        let line = String::from_utf8(entry().seal().unwrap().0).unwrap();
        for (from, to) in [
            ("}\n", "}"),
            ("}\n", "}\r\n"),
            ("}\n", "}\n\n"),
            ("\"batch\":5", "\"batch\":7"),
            ("\"batch\":5", "\"batch\":8"),
            ("\"batch\":5", "\"batch\":0"),
            ("\"seq\":7", "\"seq\":-7"),
            ("\"seq\":7", "\"seq\":\"7\""),
            ("\"seq\":7,", ""),
            ("\"run\":\"r1\"", "\"run\":null"),
            ("\"run\":\"r1\"", "\"run\":\"r1\",\"sea\":1"),
            ("\"epoch\":2,\"seq\":6", "\"epoch\":2,\"more\":1,\"seq\":6"),
            ("\"epoch\":2,\"seq\":6", "\"epoch\":2"),
            (".000000001Z", "Z"),
            (".000000001Z", ".000000001+00:00"),
            ("2026-11-20", "2026-11-31"),
        ] {
            let bad = line.replacen(from, to, 1);
            assert_ne!(bad, line);
            // With the digest that it would need: what refuses it is its form.
            let value: Option<Value> = bad.strip_suffix('\n').and_then(|text| serde_json::from_str(text).ok());
            let repaired = value.map_or(bad.clone(), |mut value| {
                let old = value.as_object_mut().unwrap().remove("digest").unwrap();
                let sum = encode(&value).map(|bytes| digest(&bytes).to_string()).unwrap();
                bad.replace(old.as_str().unwrap(), &sum)
            });
            for bad in [bad, repaired] {
                assert!(RawEntry::unseal(bad.as_bytes()).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_a_line_is_refused() {
        let (line, _) = entry().seal().unwrap();
        for bit in 0..line.len() * 8 {
            let mut changed = line.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(RawEntry::unseal(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_chain_names_the_first_entry_that_was_tampered_with() {
        let lineage = Lineage::random();
        let mut entries: Vec<RawEntry> = Vec::new();
        for seq in 1..=5 {
            let prev = entries.last().map_or(lineage.genesis(), |e: &RawEntry| e.digest().unwrap());
            let continues = (seq == 3).then_some(Continues { epoch: 1, seq: 2 });
            entries.push(RawEntry { seq, prev, batch: seq, continues, epoch: 1 + seq / 3, ..entry() });
        }
        assert_eq!(verify_chain(&lineage, &entries).unwrap(), entries[4].digest().unwrap());
        assert_eq!(verify_chain(&Lineage::random(), &entries).unwrap_err().seq, 1);
        type Tamper = fn(&mut Vec<RawEntry>);
        let tampers: [(u64, Tamper); 7] = [
            (3, |all| all[2].continues = None),
            (3, |all| all[1].event = json!(1)),
            (3, |all| drop(all.remove(2))),
            (2, |all| all.swap(1, 2)),
            (3, |all| all[2].epoch = 0),
            (5, |all| all[4].continues = Some(Continues { epoch: 1, seq: 4 })),
            (4, |all| all[3].event = json!(0.5)),
        ];
        for (first_bad, tamper) in tampers {
            let mut changed = entries.clone();
            tamper(&mut changed);
            assert_eq!(verify_chain(&lineage, &changed).unwrap_err().seq, first_bad);
        }
    }

    #[test]
    fn times_have_nine_digits() {
        let time = jiff::Timestamp::from_second(1_795_217_100).unwrap();
        assert_eq!(time_text(time), "2026-11-20T23:25:00.000000000Z");
    }
}

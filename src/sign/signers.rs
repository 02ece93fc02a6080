//! The allowed-signers file (ssh-keygen(1), ALLOWED SIGNERS): whose key is whose.
//!
//! An approval counts for a *person*. Two entries are the same person where they share the key, or where their principals have a
//! name in common: `ssh-keygen -Y verify -I NAME` would take either for it.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};

use super::key::Key;
use super::pattern::{list_matches, overlap};
use super::sshsig::NAMESPACE;

/// The most entries of a file: each pair of them may be compared.
pub const ENTRIES_MAX: usize = 500;

/// An allowed-signers file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    principals: String,
    key: Key,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    /// Whether its namespaces hold ours.
    ours: bool,
    /// The number of the person.
    person: usize,
}

/// Somebody who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The name, as the file has it.
    pub principal: String,
    /// The number of the person in the file.
    pub person: usize,
}

/// Why a key is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It is not in the file.
    Unknown,
    /// It is there for other namespaces.
    Namespace,
    /// It counts from then on.
    NotYet(Timestamp),
    /// It counted until then.
    NoLonger(Timestamp),
}

/// What is wrong with a line of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct SignersError {
    /// The line's number, from 1.
    pub line: usize,
    /// Why; the end of a sentence.
    pub why: String,
}

impl Signers {
    /// Reads a file.
    ///
    /// # Errors
    /// When a line of it is none.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let mut entries = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_of = |why: String| SignersError { line: at + 1, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                return Err(line_of(format!("a file has at most {ENTRIES_MAX} entries")));
            }
            entries.push(entry(line).map_err(line_of)?);
        }
        let mut signers = Self { entries };
        signers.find_people();
        Ok(signers)
    }

    /// How many people there are that may sign at one time or another.
    #[must_use]
    pub fn people(&self) -> usize {
        let all: std::collections::BTreeSet<usize> = self.entries.iter().filter(|e| e.ours).map(|e| e.person).collect();
        all.len()
    }

    /// The names of those that may sign, in the file's order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for entry in self.entries.iter().filter(|e| e.ours) {
            if !names.contains(&&*entry.principals) {
                names.push(&entry.principals);
            }
        }
        names
    }

    /// Whose key it is at a moment.
    ///
    /// # Errors
    /// When it is nobody's then.
    pub fn signer(&self, key: &Key, now: Timestamp) -> Result<Signer, Unfit> {
        let mut unfit = Unfit::Unknown;
        for entry in self.entries.iter().filter(|e| e.key == *key) {
            unfit = match entry {
                Entry { ours: false, .. } => Unfit::Namespace,
                Entry { after: Some(after), .. } if now < *after => Unfit::NotYet(*after),
                Entry { before: Some(before), .. } if now > *before => Unfit::NoLonger(*before),
                _ => return Ok(Signer { principal: entry.principals.clone(), person: entry.person }),
            };
        }
        Err(unfit)
    }

    /// The name beside a key, whether it may sign or not.
    #[must_use]
    pub fn name_of(&self, key: &Key) -> Option<&str> {
        self.entries.iter().find(|e| e.key == *key).map(|e| &*e.principals)
    }

    /// Numbers the people: what shares a key or a name gets one number.
    fn find_people(&mut self) {
        let n = self.entries.len();
        let mut leads: Vec<usize> = (0..n).collect();
        let mut by_key: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for i in 0..n {
            let first = *by_key.entry(self.entries[i].key.wire().to_vec()).or_insert(i);
            join(&mut leads, first, i);
            for j in 0..i {
                if share_a_name(&self.entries[i].principals, &self.entries[j].principals) {
                    join(&mut leads, i, j);
                }
            }
        }
        for i in 0..n {
            self.entries[i].person = find(&mut leads, i);
        }
    }
}

fn find(leads: &mut [usize], mut at: usize) -> usize {
    while leads[at] != at {
        leads[at] = leads[leads[at]];
        at = leads[at];
    }
    at
}

fn join(leads: &mut [usize], one: usize, other: usize) {
    let (one, other) = (find(leads, one), find(leads, other));
    leads[one.max(other)] = one.min(other);
}

fn share_a_name(one: &str, other: &str) -> bool {
    let names = |list: &'_ str| list.split(',').filter(|p| !p.starts_with('!')).map(str::to_owned).collect::<Vec<_>>();
    let others = names(other);
    names(one).iter().any(|a| others.iter().any(|b| overlap(a, b)))
}

fn entry(line: &str) -> Result<Entry, String> {
    let (principals, rest) = word(line)?;
    if principals.is_empty() {
        return Err("it names nobody in front of the key".into());
    }
    if principals.len() > 255 || principals.chars().any(char::is_control) {
        return Err("its principals are longer than 255 bytes or hold control characters".into());
    }
    let mut entry = match Key::parse(rest) {
        Ok(key) => return Ok(Entry { principals, key, after: None, before: None, ours: true, person: 0 }),
        Err(why) => {
            let (options, rest) = past_options(rest);
            if rest.is_empty() || ["ssh-", "ecdsa-", "sk-"].iter().any(|start| options.starts_with(start)) {
                return Err(format!("what stands behind the principals is no key: {why}"));
            }
            if options_of(options)?.iter().any(|(name, _)| name == "cert-authority") {
                let why = "\"cert-authority\" trusts certificates, and Gantry takes plain keys only: list the key of each person";
                return Err(why.into());
            }
            let key = Key::parse(rest).map_err(|why| format!("what stands behind the options is no key: {why}"))?;
            (Entry { principals, key, after: None, before: None, ours: true, person: 0 }, options)
        }
    };
    for (name, value) in options_of(entry.1)? {
        let value = value.ok_or_else(|| format!("the option \"{name}\" needs a value"))?;
        match &*name {
            "namespaces" => entry.0.ours = list_matches(&value, NAMESPACE),
            "valid-after" => entry.0.after = Some(moment(&value)?),
            "valid-before" => entry.0.before = Some(moment(&value)?),
            _ => return Err(format!("the option \"{name}\" is unknown")),
        }
    }
    if let (Some(after), Some(before)) = (entry.0.after, entry.0.before)
        && before <= after
    {
        return Err("\"valid-before\" is not later than \"valid-after\"".into());
    }
    Ok(entry.0)
}

/// The first word, which may stand in quotes, and the rest.
fn word(line: &str) -> Result<(String, &str), String> {
    if let Some(quoted) = line.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"').ok_or("its quotation mark does not end")?;
        return Ok((word.to_owned(), rest.trim_start()));
    }
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    Ok((line[..end].to_owned(), line[end..].trim_start()))
}

/// The options and what comes behind them: a space inside of quotes ends nothing.
fn past_options(text: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return (&text[..at], text[at..].trim_start()),
            _ => {}
        }
    }
    (text, "")
}

/// Options by name, each once.
fn options_of(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find([',', '=']).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut value = None;
        if let Some(text) = rest.strip_prefix('=') {
            let quoted =
                text.strip_prefix('"').ok_or_else(|| format!("the value of \"{name}\" needs quotation marks"))?;
            let (content, after) = unquote(quoted).ok_or("its quotation mark does not end")?;
            (value, rest) = (Some(content), after);
        }
        if !["cert-authority", "namespaces", "valid-after", "valid-before"].contains(&&*name) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(format!("the option \"{shown}\" is unknown"));
        }
        if found.iter().any(|(n, _)| *n == name) {
            return Err(format!("the option \"{name}\" stands twice"));
        }
        found.push((name, value));
        rest = match rest.strip_prefix(',') {
            Some(more) => more,
            None if rest.is_empty() => rest,
            None => return Err("its options are not separated by commas".into()),
        };
    }
    Ok(found)
}

/// The text up to the closing quotation mark, and what is behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' if text[at + 1..].starts_with('"') => {
                out.push('"');
                chars.next();
            }
            c => out.push(c),
        }
    }
    None
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with or without a `Z`. OpenSSH takes those without for local time; an
/// environment is judged on many machines, so all are UTC here.
fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        format!("\"{shown}\" is not a time; write it as YYYYMMDD or YYYYMMDDHHMM[SS], in UTC")
    };
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let number = |from: usize, to: usize| digits[from..to].parse::<i16>().map_err(|_| wrong());
    if !digits.bytes().all(|b| b.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return Err(wrong());
    }
    let small = |from: usize| match digits.len() > from {
        true => number(from, from + 2).map(|n| i8::try_from(n).unwrap_or(i8::MAX)),
        false => Ok(0),
    };
    let year = number(0, 4)?;
    let time = DateTime::new(year, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).map_err(|_| wrong())?;
    time.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong())
}

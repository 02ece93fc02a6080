//! A random secret, and the search for it in everything that a command leaves behind or shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The characters of base64 that are looked for at least: fewer stand anywhere by chance.
const SHORTEST: usize = 12;

/// A secret with characters that each encoding treats in its own way, around two words that are looked for by themselves.
#[derive(Clone)]
pub(crate) struct Canary {
    pub(crate) text: String,
    needles: Arc<Vec<(String, Vec<u8>)>>,
}

impl Canary {
    pub(crate) fn new() -> Self {
        let [one, two] = [word(), word()];
        Self::of(&format!("{one}\"/+ é?{two}"), &[&one, &two])
    }

    /// One that may stand in a URL, a name or an option as it is.
    pub(crate) fn plain() -> Self {
        let one = word();
        Self::of(&one, &[&one])
    }

    fn of(text: &str, words: &[&str]) -> Self {
        let mut needles: Vec<(String, Vec<u8>)> = Vec::new();
        for (word, text) in words.iter().copied().chain([text]).enumerate() {
            needles.extend(forms(text).into_iter().map(|(name, bytes)| (format!("{name} of part {word}"), bytes)));
        }
        Self { text: text.to_owned(), needles: Arc::new(needles) }
    }

    /// Every form in which it is looked for, by name.
    pub(crate) fn forms(&self) -> Vec<(String, Vec<u8>)> {
        forms(&self.text)
    }

    /// In which form it stands in some bytes, if it does.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        self.needles.iter().find(|(_, needle)| contains(bytes, needle)).map(|(name, _)| name.as_str())
    }

    /// The files below a directory that hold it, with the form.
    pub(crate) fn files(&self, folder: &Path) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
                if meta.is_dir() {
                    folders.push(path);
                } else if meta.is_file()
                    && let Some(form) = self.found_in(&std::fs::read(&path).unwrap_or_default())
                {
                    found.push((path, form.to_owned()));
                } else if let Some(form) = self.found_in(path.as_os_str().as_encoded_bytes()) {
                    found.push((path, format!("{form}, in its name")));
                }
            }
        }
        found
    }

    /// The arguments of processes that hold it, looked at all the time until it is asked for.
    pub(crate) fn watch_arguments(&self) -> ArgumentWatch {
        let stop = Arc::new(AtomicBool::new(false));
        let (canary, end) = (self.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut found = std::collections::BTreeSet::new();
            loop {
                let last = end.load(Ordering::SeqCst);
                for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    if let Some(form) = canary.found_in(&line) {
                        let line = String::from_utf8_lossy(&line).replace('\0', " ");
                        found.insert(format!("{form}: {line}"));
                    }
                }
                if last {
                    return found.into_iter().collect();
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        ArgumentWatch { stop, thread }
    }
}

/// A look at the arguments of all processes.
pub(crate) struct ArgumentWatch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl ArgumentWatch {
    /// What was seen, after a last look.
    pub(crate) fn seen(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("looking does not panic")
    }
}

/// Twenty random letters and digits.
fn word() -> String {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
        .iter()
        .map(|b| char::from(b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"[usize::from(b % 56)]))
        .collect()
}

fn forms(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![("raw".into(), text.into())];
    let mut add = |name: &str, form: String| all.push((name.to_owned(), form.into_bytes()));
    add("hexadecimal", text.bytes().map(|b| format!("{b:02x}")).collect());
    add("HEXADECIMAL", text.bytes().map(|b| format!("{b:02X}")).collect());
    add("Debug", format!("{text:?}").trim_matches('"').to_owned());
    add("JSON", serde_json::Value::from(text).to_string().trim_matches('"').to_owned());
    let percent = |upper: bool| {
        text.bytes().fold(String::new(), |out, b| match b {
            _ if b.is_ascii_alphanumeric() => out + &char::from(b).to_string(),
            _ if upper => out + &format!("%{b:02X}"),
            _ => out + &format!("%{b:02x}"),
        })
    };
    add("percent", percent(true));
    add("percent in small letters", percent(false));
    for before in 0..3_usize {
        let bytes = [vec![0; before], text.as_bytes().to_vec()].concat();
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for (name, encoded) in
            [("base64", STANDARD_NO_PAD.encode(&bytes)), ("base64url", URL_SAFE_NO_PAD.encode(&bytes))]
        {
            let inner = &encoded[from..to];
            assert!(inner.len() >= SHORTEST, "long enough to mean something");
            add(&format!("{name} at offset {before}"), inner.to_owned());
        }
    }
    all.push(("UTF-16LE".into(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    all.push(("UTF-16BE".into(), text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
    all
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| b == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

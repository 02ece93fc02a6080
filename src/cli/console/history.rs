//! What was typed into consoles before: a file of the user, a line for each entry, newest last.
//!
//! It is written anew after each entry, from what is there by then, so that consoles that run beside each other keep each
//! other's entries. It may hold secrets that somebody typed, so nobody else may read it (0600).

use std::path::{Path, PathBuf};

use crate::ports::{env, fs};

/// The most entries that are kept.
pub(super) const ENTRIES_MAX: usize = 1000;

/// The most bytes of one entry; a longer one is not kept.
const ENTRY_MAX: usize = 8 << 10;

/// The most bytes that are read of the file.
const FILE_MAX: u64 = 16 << 20;

/// The history of the user who runs this.
pub(super) struct History {
    /// Where it is; `None` where the user has no directory for it, or it could not be written.
    path: Option<PathBuf>,
}

impl History {
    /// In the user's state directory (XDG Base Directory Specification).
    pub(super) fn of_the_user() -> Self {
        // A relative path is to be ignored, says the specification.
        let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        Self { path: state.map(|s| s.join("gantry/console_history")) }
    }

    /// The entries. What cannot be read is no reason to refuse a console.
    pub(super) fn read(&self) -> Vec<String> {
        self.path.as_deref().map_or_else(Vec::new, entries)
    }

    /// Keeps an entry.
    ///
    /// # Errors
    /// When the file cannot be written, once; from then on nothing is kept.
    pub(super) fn add(&mut self, entry: &str) -> Result<(), String> {
        let Some(path) = self.path.clone().filter(|_| entry.len() <= ENTRY_MAX) else { return Ok(()) };
        let mut all = entries(&path);
        if all.last().is_some_and(|last| last == entry) {
            return Ok(());
        }
        all.push(entry.to_owned());
        let kept = &all[all.len().saturating_sub(ENTRIES_MAX)..];
        let text: String = kept.iter().map(|e| format!("{}\n", escape(e))).collect();
        write(&path, &text).map_err(|e| {
            self.path = None;
            format!("{}: {}", path.display(), e.source)
        })
    }
}

fn entries(path: &Path) -> Vec<String> {
    let bytes = fs::read(path, FILE_MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().filter(|l| !l.is_empty()).map(unescape).collect()
}

fn write(path: &Path, text: &str) -> fs::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_with(directory, 0o700)?;
    }
    fs::write_atomic(path, text.as_bytes(), 0o600)
}

/// An entry on one line.
fn escape(entry: &str) -> String {
    entry.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_several_lines_come_back() {
        for entry in ["1 + 1", "[\n1\n]", "\"a\\nb\"", "\\", "a\r\nb", ""] {
            assert_eq!(unescape(&escape(entry)), entry);
            assert!(!escape(entry).contains('\n'));
        }
    }

    #[test]
    fn so_many_entries_are_kept_and_nobody_else_reads_them() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("state/gantry/console_history");
        let mut history = History { path: Some(path.clone()) };
        let mut other = History { path: Some(path.clone()) };
        write(&path, &(0..ENTRIES_MAX).map(|n| format!("{n}\n")).collect::<String>()).unwrap();
        history.add("mine").unwrap();
        other.add("the other's").unwrap();
        other.add("the other's").unwrap();
        let kept = history.read();
        assert_eq!((kept.len(), kept[0].as_str()), (ENTRIES_MAX, "2"));
        assert_eq!(kept[kept.len() - 2..], ["mine", "the other's"]);
        assert_eq!(fs::mode(&path).unwrap() & 0o777, 0o600);
        history.add(&"x".repeat(ENTRY_MAX + 1)).unwrap();
        assert_eq!(history.read().len(), ENTRIES_MAX);
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let room = tempfile::tempdir().unwrap();
        fs::write_new(&room.path().join("file"), b"", 0o600).unwrap();
        let mut history = History { path: Some(room.path().join("file/console_history")) };
        assert!(history.add("1").is_err());
        assert!(history.add("1").is_ok());
    }
}

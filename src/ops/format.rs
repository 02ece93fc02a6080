//! `fmt`: finds files, formats them, and replaces what is not in the canonical format.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Failure, FailureKind, Result};
use crate::config;
use crate::config::source::FILE_MAX;
use crate::diag::{Diagnostic, Diagnostics, SourceMap};
use crate::ports::fs;

/// How the names of files that are formatted end.
const ENDINGS: [&str; 3] = [".hcl", ".tf", ".tfvars"];
/// Terraform writes this one itself, and says in it that nobody else should.
const LOCK_FILE: &str = ".terraform.lock.hcl";
/// The longest text that is formatted, in bytes.
pub const TEXT_MAX: u64 = FILE_MAX;
/// How deep directories are walked.
const DEPTH_MAX: usize = 64;

/// A file that could be formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path as people are told of it.
    pub path: String,
    /// What was read.
    pub before: String,
    /// What it is in the canonical format.
    pub after: String,
}

impl File {
    /// Whether it was not in the canonical format.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.before != self.after
    }
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those that could be formatted, in the order in which they were found.
    pub files: Vec<File>,
    /// What is wrong with the others. They are as they were.
    pub failure: Option<Failure>,
}

/// A file that was found.
struct Found {
    shown: String,
    path: PathBuf,
}

/// Formats files: those named, and those in the directories named; with `recursive` in the directories below as well. With
/// `write`, what changes is replaced, each file at once and with its mode. Files that cannot be read, parsed or replaced are left
/// as they are, and hinder no other.
///
/// # Errors
/// When what is named is not there or is not for this; then nothing was formatted.
pub fn format(directory: &Path, paths: &[String], recursive: bool, write: bool) -> Result<Outcome> {
    let mut finder = Finder { recursive, found: Vec::new(), seen: BTreeSet::new(), errors: Diagnostics::default() };
    for path in paths {
        finder.named(directory, path);
    }
    if finder.errors.has_errors() {
        return Err(Failure::from_diagnostics(finder.errors, Arc::default()));
    }
    let mut outcome = Outcome::default();
    let (mut errors, mut sources, mut written) = (Diagnostics::default(), SourceMap::default(), false);
    for found in &finder.found {
        match one(found, write, &mut sources) {
            Ok(file) => {
                written |= write && file.is_changed();
                outcome.files.push(file);
            }
            Err(all) => errors.extend(all),
        }
    }
    if errors.has_errors() {
        let failure = Failure::from_diagnostics(errors, Arc::new(sources));
        outcome.failure = Some(if written {
            let failure = Failure { kind: FailureKind::Unfinished, ..failure };
            failure.hint("The other files are formatted. Correct what is named here and run gantry fmt again.")
        } else {
            failure
        });
    }
    Ok(outcome)
}

/// Formats a text that stands in no file.
///
/// # Errors
/// When it is too long, is not UTF-8, or does not parse.
pub fn text(name: &str, bytes: Vec<u8>) -> Result<File> {
    let mut sources = SourceMap::default();
    if bytes.len() as u64 > FILE_MAX {
        return Err(Failure::error("File too large", format!("{name} is larger than the limit of {FILE_MAX} bytes.")));
    }
    formatted(name, bytes, &mut sources).map_err(|all| Failure::from_diagnostics(all, Arc::new(sources)))
}

fn one(found: &Found, write: bool, sources: &mut SourceMap) -> std::result::Result<File, Diagnostics> {
    let bytes = fs::read(&found.path, FILE_MAX).map_err(|e| unreadable(&e, &found.shown))?;
    let file = formatted(&found.shown, bytes, sources)?;
    if write && file.is_changed() {
        replace(&found.path, &file.after).map_err(|e| {
            let detail = format!("{} cannot be written: {}. It is as it was.", found.shown, e.source);
            Diagnostics::from(Diagnostic::error("Cannot write the file", detail))
        })?;
    }
    Ok(file)
}

fn formatted(name: &str, bytes: Vec<u8>, sources: &mut SourceMap) -> std::result::Result<File, Diagnostics> {
    let before = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        let detail = format!("{name} is not UTF-8: line {line} has bytes that are no character. Save it as UTF-8.");
        Diagnostics::from(Diagnostic::error("Invalid character encoding", detail))
    })?;
    let id = sources.add(name, before.strip_prefix('\u{feff}').unwrap_or(&before));
    let after = config::format(&before, id)?;
    Ok(File { path: name.to_owned(), before, after })
}

/// Puts a text in the place of a file's. A link stays one: what it leads to is replaced.
fn replace(path: &Path, text: &str) -> fs::Result<()> {
    let path = fs::canonical(path)?;
    // A rename asks the directory, not the file, whether it may be changed.
    drop(fs::AppendFile::open(&path)?);
    fs::write_atomic(&path, text.as_bytes(), fs::mode(&path)?)
}

fn unreadable(e: &fs::FsError, shown: &str) -> Diagnostics {
    Diagnostic::error("Unreadable file", format!("{shown} cannot be read: {}.", e.source)).into()
}

struct Finder {
    recursive: bool,
    found: Vec<Found>,
    seen: BTreeSet<PathBuf>,
    errors: Diagnostics,
}

impl Finder {
    /// What stands at a path that was given.
    fn named(&mut self, directory: &Path, given: &str) {
        let path = directory.join(given);
        // People see it as Terraform shows it: in its shortest form, from where the command was started.
        let below = Path::new(given).strip_prefix(directory).ok().and_then(Path::to_str);
        let shown = config::normalise(below.unwrap_or(given));
        match fs::kind(&path) {
            Some(fs::Kind::Directory) => self.directory(&path, &shown, 0),
            Some(fs::Kind::File) if is_named_for_it(&shown) => self.file(path, shown),
            Some(_) => {
                let detail = format!(
                    "{given} is no file that is formatted: their names end in .hcl, .tf or .tfvars, and {LOCK_FILE} is \
                     Terraform's own."
                );
                self.errors.push(Diagnostic::error("Not a configuration file", detail));
            }
            None => {
                let error = Diagnostic::error("No such file or directory", format!("There is nothing at {given}."));
                let environment = directory.join("environments").join(given);
                let hint = (fs::kind(&environment) == Some(fs::Kind::Directory))
                    .then(|| format!("Format the environment with: gantry fmt environments/{given}"));
                self.errors.push(error.hint_opt(hint));
            }
        }
    }

    fn file(&mut self, path: PathBuf, shown: String) {
        if self.seen.insert(path.clone()) {
            self.found.push(Found { shown, path });
        }
    }

    /// The files of a directory, in the order of their names; what is hidden, or an editor's copy, is passed over. A link to a
    /// file counts as the file, a link to a directory is not followed: it may lead back here.
    fn directory(&mut self, path: &Path, shown: &str, depth: usize) {
        let entries = match fs::list(path) {
            Ok(entries) => entries,
            Err(e) => return self.errors.extend(unreadable(&e, shown)),
        };
        let is_project = entries.iter().any(|(name, kind)| name == "environments" && *kind == fs::Kind::Directory);
        for (name, kind) in entries {
            if name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) {
                continue;
            }
            let (below, shown) = (path.join(&name), config::normalise(&format!("{shown}/{name}")));
            let file =
                kind == fs::Kind::File || (kind == fs::Kind::Link && fs::kind(&below) != Some(fs::Kind::Directory));
            if file && is_named_for_it(&name) {
                self.file(below, shown);
            } else if kind == fs::Kind::Directory && self.recursive && !is_state(&name, &below, is_project) {
                if depth < DEPTH_MAX {
                    self.directory(&below, &shown, depth + 1);
                } else {
                    let detail = format!("{shown} lies more than {DEPTH_MAX} directories deep.");
                    self.errors.push(Diagnostic::error("Directories too deep", detail));
                }
            }
        }
    }
}

/// Whether a directory is where ledgers are kept: beside `environments/`, or one that holds a ledger.
fn is_state(name: &str, path: &Path, in_project: bool) -> bool {
    let holds_ledger = || {
        let entries = fs::list(path).unwrap_or_default();
        entries.iter().any(|(name, _)| fs::kind(&path.join(name).join("marker.json")).is_some())
    };
    name == "state" && (in_project || holds_ledger())
}

fn is_named_for_it(path: &str) -> bool {
    ENDINGS.iter().any(|end| path.ends_with(end)) && path.rsplit('/').next() != Some(LOCK_FILE)
}

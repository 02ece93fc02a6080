//! What was read: the one place of this module that sees a disk.
//!
//! A [`Bundle`] holds every file of an environment, content and all, under its name as seen from the environment's
//! directory, and with it every answer that planning got about files: listings, kinds, and what is not there. From a
//! bundle alone the same configuration loads and the same plan is made, wherever the checkout stands; so it is what a
//! saved plan, a release and a generation of the ledger keep. A [`Reader`] adds to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Desired;
use super::error::ConfigError;
use super::load::{self, Sources};
use super::path::{is_configuration, is_own, join, normalise, relative};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::ports::fs;

/// The largest file that is read: a configuration or template beyond it is a mistake, and every byte goes to the ledger.
pub const FILE_MAX: u64 = 16 << 20;
/// The most files of one bundle, those in listings included.
pub const FILES_MAX: usize = 10_000;
/// The most bytes of all files of one bundle together: they are held in memory and go to the ledger.
pub const BUNDLE_MAX: usize = 256 << 20;
/// How deep a directory is walked for a listing.
const TREE_DEPTH_MAX: usize = 64;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing.
    Absent,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A device, a pipe, a socket.
    Other,
}

impl Kind {
    /// As functions see it: `"file"`, `"directory"`, `""` for nothing.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "",
            Self::Directory => "directory",
            Self::File => "file",
            Self::Other => "other",
        }
    }
}

/// Everything that was read for an environment. Paths are normalised and relative to its directory, or absolute.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The path from the project's directory to the environment's, as in `"environments/local"`; `"."` if they are the same.
    pub directory: String,
    /// What was read of each file.
    #[serde(with = "contents")]
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// What stands at a path, where that was asked.
    pub kinds: BTreeMap<String, Kind>,
    /// What could not be read, with the reason as a sentence without its full stop.
    pub missing: BTreeMap<String, String>,
    /// The configuration files of each module's directory.
    pub modules: BTreeMap<String, Vec<String>>,
    /// The name of the environment: that of its directory. The value of `terraform.workspace`.
    pub name: String,
    /// The value of `path.project`: from the environment's directory to the one that holds `environments/`.
    pub project: String,
    /// The regular files below a directory, relative to it, sorted.
    pub trees: BTreeMap<String, Arc<[String]>>,
}

/// Contents are base64 in JSON.
mod contents {
    use super::{Arc, BTreeMap, Deserialize};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;

    pub(super) fn serialize<S: serde::Serializer>(
        files: &BTreeMap<String, Arc<[u8]>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(files.iter().map(|(path, bytes)| (path, STANDARD.encode(bytes))))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Arc<[u8]>>, D::Error> {
        let encoded = BTreeMap::<String, String>::deserialize(deserializer)?;
        let decode = |(path, text): (String, String)| match STANDARD.decode(text) {
            Ok(bytes) => Ok((path, bytes.into())),
            Err(e) => Err(D::Error::custom(format!("the content of {path} is not base64: {e}"))),
        };
        encoded.into_iter().map(decode).collect()
    }
}

impl Bundle {
    /// The paths of the configuration files themselves, among everything that was read.
    #[must_use]
    pub fn configuration(&self) -> std::collections::BTreeSet<String> {
        let of_module = |(directory, names): (&String, &Vec<String>)| -> Vec<String> {
            names.iter().map(|name| join(directory, name)).collect()
        };
        self.modules.iter().flat_map(of_module).collect()
    }

    /// As JSON: keys sorted, no white space, contents in base64. Equal bundles give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: maps of strings always serialise")
    }

    /// Back from [`Bundle::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are not a bundle's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// SHA-256 over [`Bundle::to_bytes`], in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.to_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The content of a file, the reason why there is none, or `None` if nobody asked for it yet.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Result<&Arc<[u8]>, &str>> {
        let path = normalise(path);
        let read = self.files.get(&path).map(Ok);
        read.or_else(|| self.missing.get(&path).map(|why| Err(why.as_str())))
    }

    /// What stands at a path, or `None` if nobody asked yet.
    #[must_use]
    pub fn kind(&self, path: &str) -> Option<Kind> {
        self.kinds.get(&normalise(path)).copied()
    }

    /// The files below a directory, the reason why it cannot be listed, or `None` if nobody asked yet.
    #[must_use]
    pub fn tree(&self, directory: &str) -> Option<Result<&Arc<[String]>, &str>> {
        let directory = normalise(directory);
        let listed = self.trees.get(&directory).map(Ok);
        listed.or_else(|| self.missing.get(&directory).map(|why| Err(why.as_str())))
    }

    /// A file's name as people see it: from the project's directory.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        let shown = join(&self.directory, path);
        if shown.starts_with("../") { path.to_owned() } else { shown }
    }

    /// The same as seen from another environment of the project.
    #[must_use]
    pub fn seen_from(&self, directory: &str) -> Self {
        let seen = |path: &String| relative(directory, &join(&self.directory, path));
        fn keys<T: Clone>(all: &BTreeMap<String, T>, seen: impl Fn(&String) -> String) -> BTreeMap<String, T> {
            all.iter().map(|(path, what)| (seen(path), what.clone())).collect()
        }
        Self {
            directory: directory.to_owned(),
            files: keys(&self.files, seen),
            kinds: keys(&self.kinds, seen),
            missing: keys(&self.missing, seen),
            modules: keys(&self.modules, seen),
            name: self.name.clone(),
            project: self.project.clone(),
            trees: keys(&self.trees, seen),
        }
    }

    /// The files outside the environment's own directory that were asked for and that the release does not hold, as people see them.
    /// What was not there either when the release was made is nothing that it lacks.
    #[must_use]
    pub fn unreleased(&self, released: Option<&Self>) -> Vec<String> {
        let was_absent = |path: &str| released.is_some_and(|released| released.kinds.get(path) == Some(&Kind::Absent));
        let missing = self.missing.iter().filter(|(_, why)| *why == NOT_RELEASED).map(|(path, _)| path);
        let absent = self
            .kinds
            .iter()
            .filter(|(path, kind)| **kind == Kind::Absent && !is_own(path) && !was_absent(path))
            .map(|(path, _)| path);
        let all: std::collections::BTreeSet<&String> = missing.chain(absent).collect();
        all.into_iter().map(|path| self.shown(path)).collect()
    }

    /// Why there is nothing at a path.
    fn why_not(&self, path: &str) -> String {
        self.missing.get(path).cloned().unwrap_or_else(|| NOT_RELEASED.to_owned())
    }

    /// What stands at a path of which nobody asked that, as far as the rest tells.
    fn kind_of(&self, path: &str) -> Kind {
        let below = format!("{path}/");
        match self.files.contains_key(path) {
            true => Kind::File,
            false if self.files.keys().any(|file| file.starts_with(&below)) => Kind::Directory,
            false => Kind::Absent,
        }
    }

    fn bytes(&self) -> usize {
        self.files.values().map(|content| content.len()).sum()
    }
}

/// Reads files into a bundle.
#[derive(Debug, Clone)]
pub struct Reader {
    directory: PathBuf,
    /// Where all comes from that is not in the environment's own directory; `None` for the working tree.
    shared: Option<Arc<Bundle>>,
}

/// Why a file is not there that a release would have to hold.
pub const NOT_RELEASED: &str = "the release does not hold it";

impl Reader {
    /// A reader for the environment in this directory.
    #[must_use]
    pub fn new(environment_dir: &Path) -> Self {
        Self { directory: environment_dir.to_path_buf(), shared: None }
    }

    /// A reader that takes nothing from the working tree but the environment's own directory: all else is what a release holds, as
    /// seen from there ([`Bundle::seen_from`]).
    #[must_use]
    pub fn of_release(environment_dir: &Path, shared: Arc<Bundle>) -> Self {
        Self { directory: environment_dir.to_path_buf(), shared: Some(shared) }
    }

    /// The release that holds what stands at a normalised path.
    fn released(&self, path: &str) -> Option<&Bundle> {
        self.shared.as_deref().filter(|_| !is_own(path))
    }

    /// Where a bundle's path stands on this machine.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(normalise(path))
    }

    /// Adds a file, or why it cannot be read. What is in the bundle already stays: one plan sees one content.
    pub fn add_file(&self, bundle: &mut Bundle, path: &str) {
        let path = normalise(path);
        if bundle.files.contains_key(&path) || bundle.missing.contains_key(&path) {
            return;
        }
        if let Some(released) = self.released(&path) {
            match released.files.get(&path) {
                Some(bytes) => drop(bundle.files.insert(path, Arc::clone(bytes))),
                None => drop(bundle.missing.insert(path.clone(), released.why_not(&path))),
            }
            return;
        }
        let read = fs::read(&self.resolve(&path), FILE_MAX);
        match read {
            Ok(_) if bundle.files.len() >= FILES_MAX => {
                bundle.missing.insert(path, format!("more than {FILES_MAX} files are read for this environment"));
            }
            Ok(bytes) if bundle.bytes() + bytes.len() > BUNDLE_MAX => {
                let limit = BUNDLE_MAX >> 20;
                bundle.missing.insert(path, format!("all files of this environment together exceed {limit} MiB"));
            }
            Ok(bytes) => {
                bundle.files.insert(path, bytes.into());
            }
            Err(e) => {
                bundle.missing.insert(path, reason(&e));
            }
        }
    }

    /// Adds the listing of all regular files below a directory, or why there is none. Links are not followed.
    pub fn add_tree(&self, bundle: &mut Bundle, directory: &str) {
        let directory = normalise(directory);
        if bundle.trees.contains_key(&directory) {
            return;
        }
        if let Some(released) = self.released(&directory) {
            match released.trees.get(&directory) {
                Some(names) => drop(bundle.trees.insert(directory, Arc::clone(names))),
                None => drop(bundle.missing.insert(directory.clone(), released.why_not(&directory))),
            }
            return;
        }
        let mut found = Vec::new();
        match self.walk(&directory, "", 0, &mut found) {
            Ok(()) => {
                found.sort();
                bundle.trees.insert(directory, found.into());
            }
            Err(why) => {
                bundle.missing.insert(directory, why);
            }
        }
    }

    fn walk(&self, directory: &str, prefix: &str, depth: usize, found: &mut Vec<String>) -> Result<(), String> {
        if depth > TREE_DEPTH_MAX {
            return Err(format!("its directories are nested more than {TREE_DEPTH_MAX} levels deep"));
        }
        let here = self.resolve(directory).join(prefix);
        for (name, kind) in fs::list(&here).map_err(|e| reason(&e))? {
            match kind {
                fs::Kind::File if found.len() >= FILES_MAX => {
                    return Err(format!("more than {FILES_MAX} files are below it"));
                }
                fs::Kind::File => found.push(format!("{prefix}{name}")),
                fs::Kind::Directory => self.walk(directory, &format!("{prefix}{name}/"), depth + 1, found)?,
                fs::Kind::Link | fs::Kind::Other => {}
            }
        }
        Ok(())
    }

    /// Adds what stands at a path.
    pub fn add_kind(&self, bundle: &mut Bundle, path: &str) {
        let path = normalise(path);
        if let Some(released) = self.released(&path) {
            let kind = released.kinds.get(&path).copied().unwrap_or_else(|| released.kind_of(&path));
            bundle.kinds.entry(path).or_insert(kind);
            return;
        }
        let kind = match fs::kind(&self.resolve(&path)) {
            None => Kind::Absent,
            Some(fs::Kind::File) => Kind::File,
            Some(fs::Kind::Directory) => Kind::Directory,
            Some(fs::Kind::Link | fs::Kind::Other) => Kind::Other,
        };
        bundle.kinds.entry(path).or_insert(kind);
    }

    /// Adds the configuration files of a module's directory, or why it cannot be read.
    fn add_module(&self, bundle: &mut Bundle, directory: &str) {
        if bundle.modules.contains_key(directory) || bundle.missing.contains_key(directory) {
            return;
        }
        if let Some(released) = self.released(directory) {
            let Some(names) = released.modules.get(directory) else {
                bundle.missing.insert(directory.to_owned(), released.why_not(directory));
                return;
            };
            for name in names {
                self.add_file(bundle, &join(directory, name));
            }
            bundle.modules.insert(directory.to_owned(), names.clone());
            return;
        }
        match fs::list(&self.resolve(directory)) {
            Ok(names) => {
                let is_file = |name: &str, kind| match kind {
                    fs::Kind::Link => fs::kind(&self.resolve(&join(directory, name))) == Some(fs::Kind::File),
                    kind => kind == fs::Kind::File,
                };
                let names: Vec<String> = names
                    .into_iter()
                    .filter(|(name, kind)| is_configuration(name) && is_file(name, *kind))
                    .map(|(name, _)| name)
                    .collect();
                for name in &names {
                    self.add_file(bundle, &join(directory, name));
                }
                bundle.modules.insert(directory.to_owned(), names);
            }
            Err(e) => {
                bundle.missing.insert(directory.to_owned(), reason(&e));
            }
        }
    }
}

/// What the system said, without the path, which the message around names.
fn reason(e: &fs::FsError) -> String {
    if e.is_not_found() { "it does not exist".into() } else { e.source.to_string() }
}

/// Loads from a bundle while reading what is not in it yet.
struct Opening<'a> {
    bundle: Bundle,
    reader: &'a Reader,
}

impl Sources for Opening<'_> {
    fn module(&mut self, directory: &str) -> &Bundle {
        self.reader.add_module(&mut self.bundle, directory);
        &self.bundle
    }

    fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}

/// Reads and loads the environment in a directory.
///
/// # Errors
/// Everything that is wrong with it, together.
pub fn open(environment_dir: &Path) -> Result<(Bundle, Desired), ConfigError> {
    open_with(&Reader::new(environment_dir))
}

/// [`open`] with a reader of the environment's directory.
///
/// # Errors
/// Everything that is wrong with it, together.
pub fn open_with(reader: &Reader) -> Result<(Bundle, Desired), ConfigError> {
    let (name, directory, project) = locate(&reader.directory)?;
    let mut opening = Opening { bundle: Bundle { name, directory, project, ..Bundle::default() }, reader };
    let desired = load::run(&mut opening)?;
    Ok((opening.bundle, desired))
}

/// Reads and loads as much of the environment in a directory as can be, for looking at it: with what is wrong.
///
/// # Errors
/// When so much is wrong that nothing of it can be looked at further.
pub fn open_for_validation(environment_dir: &Path) -> Result<(Bundle, Desired, Diagnostics), ConfigError> {
    let (name, directory, project) = locate(environment_dir)?;
    let reader = Reader::new(environment_dir);
    let mut opening = Opening { bundle: Bundle { name, directory, project, ..Bundle::default() }, reader: &reader };
    let load::Attempt { desired, errors, sources } = load::attempt(&mut opening);
    match desired {
        Some(desired) => Ok((opening.bundle, Desired { sources, ..desired }, errors)),
        None => Err(ConfigError { diagnostics: errors, sources }),
    }
}

/// The environment's name, its path from the project, and the project's path from it.
fn locate(environment_dir: &Path) -> Result<(String, String, String), ConfigError> {
    let shown = environment_dir.display();
    let not = |detail: String, hint: Option<String>| {
        ConfigError::of(Diagnostic::error("Not an environment", detail).hint_opt(hint))
    };
    match fs::kind(environment_dir) {
        Some(fs::Kind::Directory) => {}
        Some(_) => {
            let detail = format!("\"{shown}\" is a file. An environment is a directory of .hcl files.");
            return Err(not(detail, Some("Give the directory in which the file stands.".into())));
        }
        None => return Err(not(format!("The directory \"{shown}\" does not exist."), neighbour(environment_dir))),
    }
    let real = fs::canonical(environment_dir)
        .map_err(|e| not(format!("The directory \"{shown}\" cannot be read: {}.", reason(&e)), None))?;
    let name = real.file_name().map_or_else(|| "default".to_owned(), |n| n.to_string_lossy().into_owned());
    let holder = real
        .ancestors()
        .skip(1)
        .find(|a| a.join("environments").as_path() != real && real.starts_with(a.join("environments")));
    let Some(holder) = holder else { return Ok((name, ".".into(), ".".into())) };
    let below = real.strip_prefix(holder).map(|p| p.to_string_lossy().into_owned()).unwrap_or_else(|_| ".".into());
    let up = vec![".."; below.split('/').count()].join("/");
    Ok((name, below, up))
}

/// Which environment beside a missing one may have been meant.
fn neighbour(missing: &Path) -> Option<String> {
    let wanted = missing.file_name()?.to_string_lossy().into_owned();
    let parent = missing.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside: Vec<String> = fs::list(parent)
        .ok()?
        .into_iter()
        .filter(|(_, kind)| *kind == fs::Kind::Directory)
        .map(|(name, _)| name)
        .collect();
    did_you_mean(&wanted, beside.iter().map(String::as_str))
}

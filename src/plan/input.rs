//! What planning is a function of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{MigrationDetail, PlannedMigration};
use super::fact::Facts;
use crate::addr::Address;
use crate::config::Desired;
use crate::ledger::Release;
use crate::ledger::State;
use crate::ledger::event::RunKind;
use crate::ledger::record::{Override, Pin};
use crate::provider::catalog::Catalog;
use crate::value::{Opener, Value};

/// The contents of files that have been read; what has not been read yet becomes a question.
pub trait Files {
    /// A file's bytes; `Err` with a sentence if it cannot be read; `None` if nobody has tried yet.
    fn file(&self, path: &str) -> Option<Result<Arc<[u8]>, String>>;

    /// `"file"`, `"directory"` or `""`; `None` if nobody has looked yet.
    fn kind(&self, path: &str) -> Option<&'static str>;

    /// All regular files below a directory, relative to it, sorted; `Err` with a sentence if it cannot be read; `None` if
    /// nobody has tried yet.
    fn tree(&self, path: &str) -> Option<Result<Arc<[String]>, String>>;

    /// The digest of everything that has been read.
    fn digest(&self) -> String;
}

/// What is asked for beside the configuration.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// What kind of run the plan is for.
    pub kind: RunKind,
    /// `--target`
    pub targets: Vec<Address>,
    /// `--replace`
    pub replace: Vec<Address>,
    /// Objects to take on, by the addresses that they get: `gantry import`.
    #[serde(default)]
    pub imports: Vec<(Address, String)>,
    /// Whether recorded objects are looked at; `--refresh=false` trusts the records.
    pub refresh: bool,
    /// Whether a change that its target could not be asked about fails the plan.
    #[serde(skip)]
    pub require_preview: bool,
    /// `--refresh-only`: records follow what is there, and nothing is changed.
    pub refresh_only: bool,
    /// Whether everything goes: a plan of nothing.
    pub destroy: bool,
    /// For the way back inside a run: what it touched; everything else is left alone.
    pub limit: Option<BTreeSet<Address>>,
    /// Pins that hold whatever files and tags say now: those of the generation that is gone back to.
    pub pins: BTreeMap<Address, Pin>,
    /// The release that is promoted: artifacts are what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Box<Release>>,
    /// The files of a promotion that the release does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<String>,
    /// `--artifact`: what a person names against what was promoted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<Address, Override>,
    /// Migrations to take back, newest first, by node: version numbers.
    pub revert: BTreeMap<Address, Vec<u64>>,
    /// The migrations of the run that is taken back, as it planned them: those whose node the configuration does not have are taken
    /// back by this.
    #[serde(skip)]
    pub migrated: BTreeMap<Address, Box<MigrationDetail>>,
    /// Whether applied migrations that the configuration does not have are fine: it is an older one.
    pub older: bool,
    /// Whether a way back is being planned: commands are not run again for it.
    pub going_back: bool,
    /// For the way back of a first deployment: the configuration is that of the failed run, so that its migrations can be taken
    /// back, and every resource goes.
    pub to_nothing: bool,
    /// Whether the configuration is only looked at though something is missing in it, the value of a variable or what could not be read: what that
    /// decides cannot be told then, and there are no steps.
    #[serde(skip)]
    pub hollow: bool,
    /// Whether the configuration is only validated: how things are, which `check` blocks look at, is not told.
    #[serde(skip)]
    pub validating: bool,
    /// Whether a rollback leaves the schema where it is, whatever the older configuration says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_schema: bool,
    /// The verified generation that is gone back to, for the plan's words.
    pub to_generation: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: RunKind::Apply,
            targets: Vec::new(),
            replace: Vec::new(),
            imports: Vec::new(),
            refresh: true,
            require_preview: false,
            refresh_only: false,
            destroy: false,
            limit: None,
            pins: BTreeMap::new(),
            promoted: None,
            unproven: Vec::new(),
            artifacts: BTreeMap::new(),
            revert: BTreeMap::new(),
            migrated: BTreeMap::new(),
            older: false,
            going_back: false,
            to_nothing: false,
            hollow: false,
            validating: false,
            keep_schema: false,
            to_generation: None,
        }
    }
}

/// The pure reading of migration files, which `migrate` has.
pub type ParseMigrations = fn(&[(String, Arc<[u8]>)], &str) -> Result<Vec<PlannedMigration>, Vec<(String, String)>>;

/// Everything that a plan is made from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The environment's name: `terraform.workspace`.
    pub environment: &'a str,
    /// The configuration.
    pub desired: &'a Desired,
    /// The relative path to the directory that holds `environments/`: `path.project`.
    pub project: &'a str,
    /// The environment's directory, absolute, for `path.cwd` and `abspath`.
    pub directory: &'a str,
    /// The files that have been read.
    pub files: &'a dyn Files,
    /// The values of the root module's variables, converted and marked.
    pub variables: &'a BTreeMap<Arc<str>, Value>,
    /// What the ledger says.
    pub recorded: &'a State,
    /// What the outside has answered.
    pub facts: &'a Facts,
    /// What else is asked for.
    pub options: &'a Options,
    /// The types.
    pub catalog: &'a Catalog,
    /// Digests secrets under the ledger's key.
    pub seal: &'a dyn Fn(&[u8]) -> String,
    /// Opens secrets that are sealed, where it can.
    pub opener: &'a dyn Opener,
    /// Reads a directory of migrations: files by name, and the database's URL or an empty text for its dialect. A sentence for
    /// each file that is wrong.
    pub migrations: ParseMigrations,
    /// The directory that blobs of files are in, relative to the environment's: what `path` of a pinned file artifact starts with.
    pub blobs: &'a str,
    /// Numbers that planning needs and that must be the same when it plans again.
    pub seed: u64,
}

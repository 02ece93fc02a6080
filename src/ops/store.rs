//! Where an environment's ledger is kept: one place opens it, and everybody asks here.
//!
//! The `state` block says where. Two things keep people from an accident there:
//!
//! * A change of the block does not start a second ledger beside the first. Where a ledger is kept elsewhere than in
//!   `state/NAME/`, that directory holds `place.json`, which names the place used last from this working tree and the lineage
//!   found there. Another place is taken only if the same ledger (the same lineage) stands in it, which is what
//!   `gantry state migrate` brings about; so a URL may change its host or user, and a second working tree follows by itself.
//! * A ledger that vanished (a database dropped and made anew), or was set back (an old backup, a standby that had not
//!   heard of the last entries and took over), is an error for whoever has used it, never a fresh start.
//!
//! `place.json` is written after a ledger's first entry is durable, as the marker of a local ledger is, so that no crash
//! leaves a memory of a ledger that never was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::console::Live;
use super::error::{Failure, FailureKind, Result};
use super::planning::Draft;
use super::workspace::Workspace;
use crate::config::{Bundle, Desired, VarArg};
use crate::diag::{Diagnostic, Diagnostics};
use crate::ledger::{
    Backend, BlobCache, Digest, Head, LedgerError, Lineage, LocalBackend, PostgresBackend, RawEntry, S3Backend,
    S3Settings, State, postgres,
};
use crate::plan::{PostgresState, S3State, StateSettings};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::{crash, fs};

/// The file that names the place used last.
const PLACE: &str = "place.json";

/// The largest such file, in bytes; it has a few hundred.
const PLACE_MAX: u64 = 64 * 1024;

/// An environment's ledger: the way to it, and what is remembered of it here.
#[derive(Debug, Clone)]
pub struct Store {
    /// The way to it.
    pub backend: Arc<dyn Backend>,
    /// Where it is, without secrets: the same text for the same place.
    place: String,
    /// The environment's directory below `state/`.
    here: PathBuf,
    /// What was used last.
    last: Option<Last>,
}

/// The place that was used last from this working tree.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    /// Where the ledger was.
    place: String,
    /// Whose it is.
    lineage: String,
    /// Its newest entry then: a ledger that does not have it any more was set back.
    seq: u64,
    /// The digest of that entry.
    head: Digest,
}

impl Store {
    /// The ledger's place as the environment's configuration says. Nothing is read from there yet, unless it is another than
    /// last time.
    ///
    /// # Errors
    /// When the configuration does not tell, or tells another place than that in which the ledger stands.
    pub async fn open(workspace: &Workspace, variables: &[VarArg]) -> Result<Self> {
        let settings = settings(workspace, variables)?;
        let store = Self::of(workspace, &settings)?;
        store.is_the_one(workspace).await?;
        Ok(store)
    }

    /// The place that the configuration names, whatever was used last: for who moves a ledger there.
    ///
    /// # Errors
    /// When the configuration does not tell.
    pub fn wanted(workspace: &Workspace, variables: &[VarArg]) -> Result<Self> {
        Self::of(workspace, &settings(workspace, variables)?)
    }

    /// A place that is configured no more: a directory, or what the `state` block in a file says.
    ///
    /// # Errors
    /// When there is no such directory or file, or the file has no such block.
    pub fn former(workspace: &Workspace, path: &Path, variables: &[VarArg]) -> Result<Self> {
        match fs::kind(path) {
            Some(fs::Kind::Directory) => {
                let path = fs::canonical(path).map_err(|e| Failure::error("Unreadable place", format!("{e}.")))?;
                Self::of(workspace, &StateSettings::Directory(path.to_string_lossy().into_owned()))
            }
            Some(fs::Kind::File) => {
                let text = fs::read(path, crate::config::source::FILE_MAX)
                    .map_err(|e| Failure::error("Unreadable file", format!("{e}: {}.", e.source)))?;
                let name = crate::config::normalise(&path.to_string_lossy());
                let mut bundle = Bundle::default();
                bundle.files.insert(name.clone(), text.into());
                bundle.modules.insert(".".to_owned(), vec![name.clone()]);
                let desired = crate::config::load(&bundle)?;
                match said(workspace, &bundle, &desired, variables)? {
                    Some(settings) => Self::of(workspace, &settings),
                    None => Err(Failure::error(
                        "No state settings",
                        format!("There is no environment block in {name}, so it does not say where the ledger was."),
                    )),
                }
            }
            _ => Err(Failure::error(
                "No such place",
                format!("{} is neither a directory with a ledger nor a file with a state block.", path.display()),
            )),
        }
    }

    /// Where the ledger was last, as far as this machine can tell without its settings.
    ///
    /// # Errors
    /// When it cannot tell.
    pub fn before(&self, workspace: &Workspace) -> Result<Self> {
        let place = self.last.as_ref().map_or_else(|| self.here.display().to_string(), |last| last.place.clone());
        if Path::new(&place).is_absolute() {
            let settings = match *place == *self.here.to_string_lossy() {
                true => StateSettings::Here,
                false => StateSettings::Directory(place),
            };
            return Self::of(workspace, &settings);
        }
        let detail = format!("The ledger was used last in {place}, and how to get in there is not written down here.");
        Err(Failure::error("Where from?", detail)
            .hint("Give a file with the environment block as it was: gantry state migrate ENVIRONMENT --from FILE"))
    }

    /// Refuses a ledger that was moved to another place.
    ///
    /// # Errors
    /// When it was.
    pub fn still_here(&self, state: &State) -> Result<()> {
        let Some(place) = &state.moved_away else { return Ok(()) };
        let detail = format!("The ledger in {} was moved to {place}. What stands here still is its past.", self.place);
        Err(Failure::refused("The ledger was moved", detail)
            .hint("Write the new place into the state block of the environment."))
    }

    /// A ledger of the simulated world, which stands where it always has.
    #[cfg(test)]
    pub(crate) fn simulated(workspace: &Workspace, backend: Arc<dyn Backend>) -> Self {
        let here = workspace.state.clone();
        Self { backend, place: here.display().to_string(), here, last: None }
    }

    /// The place that settings name, whatever was used last.
    ///
    /// # Errors
    /// When the settings name none.
    pub fn of(workspace: &Workspace, settings: &StateSettings) -> Result<Self> {
        let here = workspace.state.clone();
        let (backend, place): (Arc<dyn Backend>, String) = match settings {
            StateSettings::Here => (Arc::new(LocalBackend::new(&here)), here.display().to_string()),
            StateSettings::Directory(path) => directory(workspace, path),
            StateSettings::Postgres(postgres) => postgres_backend(workspace, postgres)?,
            StateSettings::S3(s3) => s3_backend(workspace, s3)?,
        };
        let last = last(&here)?;
        Ok(Self { backend, place, here, last })
    }

    /// Where it is, without secrets.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether it is known on this machine that the ledger was used here last.
    #[must_use]
    pub fn was_used_last(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.place == self.place)
    }

    fn is_here(&self) -> bool {
        self.here.display().to_string() == self.place
    }

    /// Whether this is the place that the ledger was used in last, or one that holds the same ledger.
    async fn is_the_one(&self, workspace: &Workspace) -> Result<()> {
        let last = match &self.last {
            Some(last) => last.clone(),
            None if self.is_here() => return Ok(()),
            // The first use of another place: a ledger may stand here.
            None => match LocalBackend::new(&self.here).read(1).await? {
                None => return Ok(()),
                Some(found) => Last {
                    place: self.here.display().to_string(),
                    lineage: found.lineage.as_str().to_owned(),
                    seq: found.head.seq,
                    head: found.head.digest,
                },
            },
        };
        if last.place == self.place {
            return Ok(());
        }
        let name = &workspace.name;
        let what = match self.backend.read(1).await? {
            None => "has no ledger",
            Some(found) if found.lineage.as_str() != last.lineage => "has another ledger",
            // What was read from here just now may have got an entry that says where the ledger went.
            Some(found) if self.last.is_some() && !reaches(&last, found.head, &found.entries) => {
                "has an older state of it"
            }
            Some(_) => return Ok(()),
        };
        let detail = format!(
            "The configuration says that the ledger of \"{name}\" is kept in {}, which {what}. The ledger that was used last from \
             here stands in {}. Going on would forget everything that it knows, so nothing was read or changed.",
            self.place, last.place
        );
        let memory = if self.last.is_some() { self.here.join(PLACE) } else { self.here.clone() };
        let from = match Path::new(&last.place).is_absolute() {
            true => ".",
            false => " --from FILE, where FILE has the environment block as it was.",
        };
        Err(Failure::refused("The ledger is kept elsewhere", detail).hint(format!(
            "Take it along with: gantry state migrate {name}{from} If it is really to be left behind, move {} away by hand.",
            memory.display()
        )))
    }

    /// Compares what was read (`None`: no ledger) with the ledger that was used last in this place.
    ///
    /// # Errors
    /// When it is gone, another one stands in its place, or it was set back.
    pub fn check(&self, found: Option<(&Lineage, Head)>, entries: &[RawEntry]) -> Result<()> {
        let Some(last) = self.last.as_ref().filter(|_| self.was_used_last()) else { return Ok(()) };
        let (summary, what) = match found {
            None => ("The ledger is lost", "it is not there any more".to_owned()),
            Some((lineage, _)) if lineage.as_str() != last.lineage => {
                ("The ledger is lost", "another one stands in its place".to_owned())
            }
            Some((_, head)) if head.seq < last.seq => {
                ("The ledger was set back", format!("it had {} entries then and has {} now", last.seq, head.seq))
            }
            Some((_, head)) if !reaches(last, head, entries) => {
                ("The ledger was set back", format!("entry {} of it is another one now", last.seq))
            }
            Some(_) => return Ok(()),
        };
        let detail = format!(
            "The ledger in {} was used from here before (its lineage is {}), and {what}. Going on would forget what it knew.",
            self.place, last.lineage
        );
        Err(Failure::error(summary, detail).hint(format!(
            "Restore it from a backup. If what it knew is really to be forgotten, remove {}.",
            self.here.join(PLACE).display()
        )))
    }

    /// Remembers that this ledger was used here, once something stands in it, and how far it went.
    ///
    /// # Errors
    /// `NotWritten` when that cannot be written.
    pub fn remember(&mut self, lineage: &Lineage, head: Head) -> std::result::Result<(), LedgerError> {
        self.write_down(lineage, head)
            .map_err(|source| LedgerError::NotWritten { place: self.here.display().to_string(), source })
    }

    fn write_down(&mut self, lineage: &Lineage, head: Head) -> fs::Result<()> {
        let path = self.here.join(PLACE);
        if self.is_here() {
            return match self.last.take() {
                Some(_) => fs::remove_file(&path),
                None => Ok(()),
            };
        }
        let lineage = lineage.as_str().to_owned();
        let now = Last { place: self.place.clone(), lineage, seq: head.seq, head: head.digest };
        if self.last.as_ref() == Some(&now) {
            return Ok(());
        }
        crash::point("store.place.before");
        let mut text = serde_json::to_vec_pretty(&now).expect("invariant: plain data");
        text.push(b'\n');
        fs::create_private_dir(&self.here)?;
        fs::write_atomic(&path, &text, 0o600)?;
        self.last = Some(now);
        Ok(())
    }
}

/// Whether a ledger has the newest entry that was seen of it, as far as can be told.
fn reaches(last: &Last, head: Head, entries: &[RawEntry]) -> bool {
    head.seq >= last.seq && digest_at(last.seq, head, entries).is_none_or(|digest| digest == last.head)
}

/// The digest of an entry, where it can be told: the next one names it, if it was read.
fn digest_at(seq: u64, head: Head, entries: &[RawEntry]) -> Option<Digest> {
    if head.seq == seq {
        return Some(head.digest);
    }
    let next = entries.partition_point(|entry| entry.seq <= seq);
    entries.get(next).filter(|entry| entry.seq == seq + 1).map(|entry| entry.prev)
}

/// What is remembered.
fn last(here: &Path) -> Result<Option<Last>> {
    let path = here.join(PLACE);
    let bad = |why: String| {
        Failure::error("Unreadable place of the ledger", format!("The file {} cannot be read: {why}.", path.display()))
            .hint(
                "It names where the ledger was used last; remove it only if you know that the configuration is right.",
            )
    };
    let place = here.display().to_string();
    let bytes = fs::read_nofollow(&path, PLACE_MAX).map_err(|source| LedgerError::Unreadable { place, source })?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))).transpose()
}

fn directory(workspace: &Workspace, path: &str) -> (Arc<dyn Backend>, String) {
    let directory = crate::config::normalise(&workspace.environment.join(path).to_string_lossy());
    if Path::new(&directory) == workspace.state {
        return (Arc::new(LocalBackend::new(&workspace.state)), directory);
    }
    let cache = BlobCache::new(&workspace.state);
    (Arc::new(LocalBackend::new(Path::new(&directory)).with_files_in(cache)), directory)
}

fn postgres_backend(workspace: &Workspace, settings: &PostgresState) -> Result<(Arc<dyn Backend>, String)> {
    let ledger = settings.name.clone().unwrap_or_else(|| workspace.name.clone());
    let names = postgres::Names { schema: settings.schema.clone(), ledger };
    let backend = PostgresBackend::new(&settings.url, &names, BlobCache::new(&workspace.state)).map_err(|e| {
        let detail = format!("The place of the ledger is not usable: {e}.");
        Failure::new(FailureKind::Error, Diagnostic::error("Invalid place of the ledger", detail).hint(e.hint))
    })?;
    let place = backend.place();
    Ok((Arc::new(backend), place))
}

fn s3_backend(workspace: &Workspace, s3: &S3State) -> Result<(Arc<dyn Backend>, String)> {
    if let Some(wrong) = s3_wrong(workspace, s3) {
        return Err(Failure::new(FailureKind::Error, wrong));
    }
    let settings = s3_settings(workspace, s3);
    let place = settings.place();
    Ok((Arc::new(S3Backend::new(settings, BlobCache::new(&workspace.state))), place))
}

/// Several environments of one project share a block that differs in nothing, so each gets a prefix of its own.
fn s3_settings(workspace: &Workspace, s3: &S3State) -> S3Settings {
    let name = &workspace.name;
    S3Settings {
        bucket: s3.bucket.clone(),
        prefix: s3
            .prefix
            .as_ref()
            .map_or_else(|| name.clone(), |prefix| format!("{}/{name}", prefix.trim_matches('/'))),
        region: s3.region.clone(),
        endpoint: s3.endpoint.clone(),
        profile: s3.profile.clone(),
        force_path_style: s3.force_path_style,
    }
}

/// What is wrong with the settings of a bucket, before it is asked.
fn s3_wrong(workspace: &Workspace, s3: &S3State) -> Option<Diagnostic> {
    let (argument, detail) = s3_settings(workspace, s3).wrong()?;
    Some(Diagnostic::error("Incorrect state settings", format!("\"{argument}\": {detail}")).at(s3.span))
}

/// What the configuration says. A configuration that cannot be read does not hide a ledger that stands here: those who
/// only look at it can, and those who need the configuration say what is wrong with it.
fn settings(workspace: &Workspace, variables: &[VarArg]) -> Result<StateSettings> {
    if !may_say(workspace) {
        return Ok(StateSettings::Here);
    }
    let stands_here = || {
        let names = ["marker.json", "ledger"];
        fs::kind(&workspace.state.join(PLACE)).is_none()
            && names.iter().any(|name| fs::kind(&workspace.state.join(name)).is_some())
    };
    let (bundle, desired, wrong) = match crate::config::open_for_validation(&workspace.environment) {
        Ok(opened) => opened,
        Err(_) if stands_here() => return Ok(StateSettings::Here),
        Err(e) => return Err(e.into()),
    };
    match said(workspace, &bundle, &desired, variables)? {
        Some(settings) => Ok(settings),
        None if !wrong.has_errors() || stands_here() => Ok(StateSettings::Here),
        None => Err(Failure::from_diagnostics(wrong, desired.sources)),
    }
}

/// Whether any file of the environment may hold a `state` block: most hold none, and are not read a second time for it.
fn may_say(workspace: &Workspace) -> bool {
    let names = fs::list(&workspace.environment).unwrap_or_default();
    names.iter().filter(|(name, _)| name.ends_with(".hcl") || name.ends_with(".tf")).any(|(name, _)| {
        let bytes = fs::read(&workspace.environment.join(name), crate::config::source::FILE_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.contains("environment") && text.contains("state")
    })
}

/// What the `environment` block says; `None` without one.
fn said(
    workspace: &Workspace,
    bundle: &Bundle,
    desired: &Desired,
    variables: &[VarArg],
) -> Result<Option<StateSettings>> {
    let Some(block) = &desired.environment else { return Ok(None) };
    let directories = (&workspace.environment, &workspace.project);
    // What is wrong with other variables is told by who needs them.
    let (gathered, _) = crate::config::gather_for_validation(desired, directories.0, directories.1, variables);
    let values: BTreeMap<_, _> = gathered.values.into_iter().map(|(name, given)| (name, given.value)).collect();
    let failed = |diagnostic: Diagnostic| {
        Failure::from_diagnostics(Diagnostics::from(diagnostic), Arc::clone(&gathered.sources))
    };
    let host = live(workspace);
    let directory = workspace.environment.to_string_lossy();
    match StateSettings::evaluate(block, &values, &bundle.project, &directory, &host).map_err(failed)? {
        Some(StateSettings::S3(s3)) => match s3_wrong(workspace, &s3) {
            // Told here, where the place in the file can be shown.
            Some(wrong) => Err(failed(wrong)),
            None => Ok(Some(StateSettings::S3(s3))),
        },
        Some(settings) => Ok(Some(settings)),
        None => {
            let state = block.body.blocks.iter().find(|b| &*b.ty == "state");
            let detail = "Where the ledger is kept has to be known before anything else, and the block uses a variable that has \
                          no value here.";
            let diagnostic = Diagnostic::error("State settings not known", detail).at_opt(state.map(|b| b.span));
            Err(failed(
                diagnostic.hint("Give the variable a value: --var NAME=…, GANTRY_VAR_NAME, or a file of variables."),
            ))
        }
    }
}

/// What is wrong with the `state` block of a configuration that is only validated: what depends on this machine's environment
/// is not judged.
pub(super) fn judged(workspace: &Workspace, draft: &Draft) -> Diagnostics {
    let Some(block) = &draft.desired.environment else { return Diagnostics::default() };
    let host = live(workspace).unasked();
    let directory = workspace.environment.to_string_lossy();
    match StateSettings::evaluate(block, &draft.variables, &draft.bundle.project, &directory, &host) {
        Ok(Some(settings)) => Store::of(workspace, &settings).err().map(|f| f.diagnostics).unwrap_or_default(),
        Ok(None) => Diagnostics::default(),
        Err(diagnostic) => diagnostic.into(),
    }
}

fn live(workspace: &Workspace) -> Live {
    Live::new(workspace, false, SystemClock.now())
}

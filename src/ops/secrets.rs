//! How the secrets of an environment are kept and opened: its key, for whom they are sealed, and the identities at hand.
//!
//! Identities come from the files that `encryption { identities }` names, from the file that `GANTRY_AGE_IDENTITY_FILE` names,
//! and from `GANTRY_AGE_IDENTITY` itself. A file that does not exist is another machine's; one that anybody may read, or that
//! holds no identity, is an error, for whoever named it relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Failure, Result};
use super::planning::Draft;
use super::workspace::Workspace;
use crate::config::{Desired, VarArg};
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::ledger::Key;
use crate::ledger::encryption::{Identities, KeyError, Opener, Sealer};
use crate::plan::{Encryption, Settings};
use crate::ports::{env, fs};
use crate::value::{self, Keep, Seal, Type, Value, decode, encode_typed, open_sealed};
use serde_json::Value as Json;

/// The largest file of identities.
const IDENTITIES_MAX: u64 = 1 << 20;

/// The variable that holds identities.
const IDENTITY: &str = "GANTRY_AGE_IDENTITY";
/// The variable that names a file of identities.
const IDENTITY_FILE: &str = "GANTRY_AGE_IDENTITY_FILE";

/// What secrets are kept and opened with.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The key of keyed digests.
    pub key: Arc<Key>,
    sealer: Option<Arc<Sealer>>,
    opener: Arc<Opener>,
    identities: Identities,
    /// Where identities were looked for: what was found there.
    looked: BTreeMap<PathBuf, bool>,
}

impl Secrets {
    /// Digests alone, and nobody who opens anything.
    #[must_use]
    pub fn digests(key: Arc<Key>) -> Self {
        let (opener, identities) = (Arc::default(), Identities::default());
        Self { key, sealer: None, opener, identities, looked: BTreeMap::new() }
    }

    /// What this machine's environment variables give, before any configuration is known.
    ///
    /// # Errors
    /// When they hold something that is no identity.
    pub fn of_machine(key: Arc<Key>) -> Result<Self> {
        let mut secrets = Self::digests(key);
        if let Some(text) = env::var(IDENTITY).filter(|t| !t.trim().is_empty()) {
            let found = Identities::parse(&text).map_err(|(_, why)| {
                let detail = format!("The environment variable {IDENTITY} is not taken: {why}.");
                Failure::error("Invalid identity", detail).hint(KEYGEN)
            })?;
            secrets.identities.add(found);
        }
        if let Some(name) = env::var(IDENTITY_FILE).filter(|t| !t.is_empty()) {
            let path = PathBuf::from(&name);
            let wrong = |d: Diagnostic| Failure::new(super::FailureKind::Error, d);
            if !secrets.take(&path, &name, None).map_err(wrong)? {
                let detail =
                    format!("The environment variable {IDENTITY_FILE} names {name}, and there is no such file.");
                return Err(
                    Failure::error("Unreadable identity", detail).hint("Name your file of identities, or unset it.")
                );
            }
        }
        secrets.opener = Arc::new(Opener::new(secrets.identities.clone()));
        Ok(secrets)
    }

    /// As a configuration says it: sealing for its recipients, and opening with its identities as well. What is wrong with its block
    /// itself is told by whoever plans it, together with everything else.
    ///
    /// # Errors
    /// When it names identities that cannot be taken, or its recipients are not known.
    pub fn configured(&self, draft: &Draft, workspace: &Workspace) -> Result<Self> {
        let sources = draft.desired.sources.clone();
        let encryption = match encryption(&draft.desired, &draft.variables, &draft.bundle.project, workspace) {
            Ok(encryption) => encryption,
            Err(Wrong::Block(_)) => None,
            Err(Wrong::Recipients(wrong)) => return Err(Failure::from_diagnostics((*wrong).into(), sources)),
        };
        let sealer = encryption.as_ref().and_then(|e| Sealer::new(e.recipients.clone()));
        let mut secrets = Self { sealer: sealer.map(Arc::new), ..self.clone() };
        secrets.learn(&encryption.unwrap_or_default(), workspace, &sources)?;
        Ok(secrets)
    }

    /// [`Secrets::configured`] for those who do not plan.
    ///
    /// # Errors
    /// As there, and when the block is wrong.
    pub fn configured_alone(&self, draft: &Draft, workspace: &Workspace) -> Result<Self> {
        let sources = draft.desired.sources.clone();
        match encryption(&draft.desired, &draft.variables, &draft.bundle.project, workspace) {
            Err(Wrong::Block(wrong) | Wrong::Recipients(wrong)) => {
                Err(Failure::from_diagnostics((*wrong).into(), sources))
            }
            Ok(_) => self.configured(draft, workspace),
        }
    }

    /// With the identities that a saved configuration names as well. What is wrong with its block is told by whoever plans it.
    ///
    /// # Errors
    /// When identities that it names cannot be taken.
    pub fn with_identities_of(
        &self,
        desired: &Desired,
        variables: &BTreeMap<Arc<str>, Value>,
        project: &str,
        workspace: &Workspace,
    ) -> Result<Self> {
        let mut secrets = self.clone();
        if let Ok(Some(encryption)) = encryption(desired, variables, project, workspace) {
            secrets.learn(&encryption, workspace, &desired.sources)?;
        }
        Ok(secrets)
    }

    /// The same with another key: that of a plan file which is older than the ledger.
    #[must_use]
    pub fn with_key(&self, key: Arc<Key>) -> Self {
        Self { key, ..self.clone() }
    }

    /// How what is sensitive is written down; `digest` is this key's.
    #[must_use]
    pub fn keep<'a>(&'a self, digest: Seal<'a>) -> Keep<'a> {
        Keep::new(digest, self.sealer.as_deref().map(|sealer| sealer as &dyn value::Sealer))
    }

    /// Who seals, if anybody.
    #[must_use]
    pub fn sealer(&self) -> Option<Arc<dyn value::Sealer>> {
        self.sealer.clone().map(|sealer| sealer as Arc<dyn value::Sealer>)
    }

    /// Who opens.
    #[must_use]
    pub fn opener(&self) -> Arc<Opener> {
        Arc::clone(&self.opener)
    }

    /// Recorded JSON with its secrets in clear, for whoever asks for just that; `None` where they cannot be opened.
    #[must_use]
    pub fn reveal(&self, recorded: &Json) -> Option<Json> {
        let seal = |bytes: &[u8]| self.key.hmac(bytes);
        let value = decode(recorded, &Type::Any).ok()?;
        let (open, _) = open_sealed(&value, &seal, &*self.opener).unmark_deep();
        open.is_wholly_known().then(|| encode_typed(&open, &seal))
    }

    /// What to do so that a sealed secret opens, with where identities were looked for.
    #[must_use]
    pub fn advice(&self) -> String {
        let named: BTreeSet<String> = self
            .looked
            .iter()
            .map(|(path, found)| match found {
                true => format!("{} holds another", path.display()),
                false => format!("{} does not exist here", path.display()),
            })
            .collect();
        let looked = if named.is_empty() {
            String::new()
        } else {
            format!(" ({})", named.into_iter().collect::<Vec<_>>().join(", "))
        };
        format!(
            "To open what is sealed, name your identity in {IDENTITY_FILE} or in encryption {{ identities }}{looked}."
        )
    }

    fn learn(&mut self, encryption: &Encryption, workspace: &Workspace, sources: &Arc<SourceMap>) -> Result<()> {
        let before = self.looked.len();
        for (name, span) in &encryption.identities {
            let path = workspace.environment.join(at_home(name));
            self.take(&path, name, Some(*span))
                .map_err(|wrong| Failure::from_diagnostics(wrong.into(), sources.clone()))?;
        }
        if self.looked.len() > before {
            self.opener = Arc::new(Opener::new(self.identities.clone()));
        }
        Ok(())
    }

    /// Takes the identities of a file; whether there is one.
    fn take(&mut self, path: &Path, name: &str, span: Option<Span>) -> std::result::Result<bool, Diagnostic> {
        if let Some(found) = self.looked.get(path) {
            return Ok(*found);
        }
        let unreadable = |why: String, hint: String| {
            let detail = format!("The file of identities {name} is not taken: {why}.");
            Diagnostic::error("Unreadable identity", detail).at_opt(span).hint(hint)
        };
        let bytes = match fs::read(path, IDENTITIES_MAX) {
            Ok(bytes) => bytes,
            Err(e) if e.is_not_found() => {
                self.looked.insert(path.to_path_buf(), false);
                return Ok(false);
            }
            Err(e) => {
                let hint = "Make it readable for you alone, or take it out of the list; a file that does not exist is passed over.";
                return Err(unreadable(e.source.to_string(), hint.into()));
            }
        };
        let mode = fs::mode(path).unwrap_or_default();
        if mode & 0o007 != 0 {
            let why = format!("its mode is {mode:04o}, so everybody on this machine can open what is sealed for it");
            return Err(unreadable(why, format!("chmod 600 {}", path.display())));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is no text".into(), KEYGEN.into()))?;
        let found = Identities::parse(&text).map_err(|(line, why)| {
            let at = if why == KeyError::Empty { String::new() } else { format!(" (line {line})") };
            unreadable(format!("{why}{at}"), KEYGEN.into())
        })?;
        self.identities.add(found);
        self.looked.insert(path.to_path_buf(), true);
        Ok(true)
    }
}

const KEYGEN: &str = "Make an identity with: age-keygen -o key.txt";

/// A path with a leading `~/` in the home directory.
fn at_home(name: &str) -> PathBuf {
    match (name.strip_prefix("~/"), env::var("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(name),
    }
}

/// An environment's secrets as they are to be opened by somebody who only looks.
///
/// # Errors
/// When identities that are named cannot be taken.
pub fn of_environment(workspace: &Workspace, given: &[VarArg], key: &Arc<Key>) -> Result<Secrets> {
    let secrets = Secrets::of_machine(Arc::clone(key))?;
    match super::planning::open_to_look(workspace, given) {
        Ok((draft, _)) => secrets.configured_alone(&draft, workspace),
        Err(_) => Ok(secrets),
    }
}

/// Why a configuration's word about encryption is none.
enum Wrong {
    /// Its block is wrong.
    Block(Box<Diagnostic>),
    /// Whom it names is not known.
    Recipients(Box<Diagnostic>),
}

/// What a configuration says about encryption.
fn encryption(
    desired: &Desired,
    variables: &BTreeMap<Arc<str>, Value>,
    project: &str,
    workspace: &Workspace,
) -> std::result::Result<Option<Encryption>, Wrong> {
    let Some(block) = &desired.environment else { return Ok(None) };
    let directory = workspace.environment.to_string_lossy();
    let settings = Settings::evaluate(block, variables, project, &directory).map_err(|e| Wrong::Block(Box::new(e)))?;
    let Some(encryption) = settings.encryption else { return Ok(None) };
    if encryption.recipients.is_empty() {
        let detail =
            "The recipients that secrets are sealed for are not known: a variable that they come from has no value.";
        let wrong = Diagnostic::error("Unknown recipients", detail).at(block.span);
        return Err(Wrong::Recipients(Box::new(wrong.hint("Give the variable a value: --var NAME=…"))));
    }
    Ok(Some(encryption))
}

//! The ledger of an environment, opened and replayed.

use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value as Json;

use super::error::{Failure, Result};
use super::store::Store;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::ledger::event::Event;
use crate::ledger::{Backend, Key, Meta, RawEntry, State, reading};

/// A ledger that was read.
#[derive(Debug)]
pub struct Records {
    /// Where it is.
    pub backend: Arc<dyn Backend>,
    /// What it says.
    pub state: State,
    /// Its identity; `None` if there is none yet.
    pub lineage: Option<String>,
    /// Its key; a passing one if there is none yet.
    pub key: Arc<Key>,
}

/// What an entry says beside its event.
#[must_use]
pub fn meta(entry: &RawEntry) -> Meta {
    Meta {
        seq: entry.seq,
        time: entry.time.clone(),
        run: entry.run.clone().unwrap_or_default(),
        actor: entry.actor.clone(),
    }
}

/// The event of an entry.
///
/// # Errors
/// When it is none that this Gantry can read.
pub fn event(entry: &RawEntry) -> Result<Event> {
    Event::deserialize(&entry.event).map_err(|e| {
        Failure::error(
            "Unreadable ledger",
            format!("Entry {} of the ledger holds an event of another form: {e}.", entry.seq),
        )
    })
}

/// The state that entries give after a base.
///
/// # Errors
/// When one does not follow from those before it.
pub fn replay<'e>(base: State, entries: impl IntoIterator<Item = &'e RawEntry>) -> Result<State> {
    let mut state = base;
    for entry in entries {
        apply(&mut state, entry, &event(entry)?)?;
    }
    Ok(state)
}

/// The state after one more entry, whose event this is.
///
/// # Errors
/// When it does not follow from those before it.
pub fn apply(state: &mut State, entry: &RawEntry, event: &Event) -> Result<()> {
    state.apply(&meta(entry), event).map_err(|e| {
        Failure::error("Unreadable ledger", format!("{e}.")).hint("Look at the whole ledger with: gantry state verify")
    })
}

impl Records {
    /// Reads the ledger of an environment and changes nothing. The variables are those that the place of the ledger may
    /// depend on.
    ///
    /// # Errors
    /// When it cannot be found or read, does not verify, or is lost.
    pub async fn read(workspace: &Workspace, variables: &[VarArg]) -> Result<Self> {
        let store = Store::open(workspace, variables).await?;
        let backend = Arc::clone(&store.backend);
        let reading = reading::read(&backend).await?;
        let found = reading.as_ref().map(|r| (&r.lineage, r.head));
        store.check(found, reading.as_ref().map_or(&[], |r| &r.entries))?;
        let key = match backend.key(false).await? {
            Some(key) => key,
            None => Key::random(),
        };
        let (lineage, state) = match reading {
            Some(reading) => (Some(reading.lineage.as_str().to_owned()), replay(reading.base, &reading.entries)?),
            None => (None, State::default()),
        };
        store.still_here(&state)?;
        Ok(Self { backend, state, lineage, key: Arc::new(key) })
    }

    /// All entries from the first, checkpoints or not.
    ///
    /// # Errors
    /// When they cannot be read, or one does not verify.
    pub async fn entries(&self) -> Result<Vec<RawEntry>> {
        Ok(self.backend.read(1).await?.map_or_else(Vec::new, |snapshot| snapshot.entries))
    }

    /// A JSON blob.
    ///
    /// # Errors
    /// When it is not there or no JSON.
    pub async fn json(&self, digest: &str) -> Result<Json> {
        blob_json(self.backend.as_ref(), digest).await
    }
}

/// A JSON blob of a ledger.
///
/// # Errors
/// When it is not there or no JSON.
pub async fn blob_json(backend: &dyn Backend, digest: &str) -> Result<Json> {
    let bad = |e: String| Failure::error("Unreadable ledger", format!("The blob {digest} cannot be read: {e}."));
    let parsed = digest.parse().map_err(|e| bad(format!("{e}")))?;
    let bytes = backend.get_blob(parsed).await?;
    serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))
}

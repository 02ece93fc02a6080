//! Reading a ledger from its newest checkpoint on.

use std::sync::Arc;

use super::backend::{Backend, Head, Snapshot};
use super::checkpoint::{self, Pointer};
use super::error::{LedgerError, Result};
use super::event::Event;
use super::format::{Lineage, RawEntry};
use super::replay::State;

/// A ledger as it was read: the state at its newest checkpoint, and the entries after that.
#[derive(Debug)]
pub struct Reading {
    /// Whose it is.
    pub lineage: Lineage,
    /// Its newest entry.
    pub head: Head,
    /// What the entries before [`Self::entries`] come to; nothing where there is no checkpoint.
    pub base: State,
    /// The entries from the checkpoint's own on, or all of them.
    pub entries: Vec<RawEntry>,
}

/// How often another checkpoint is taken where that which was found is gone. Each time means that one was written in between.
const TRIES: usize = 10;

/// Reads a ledger. `None` if there is none yet.
///
/// # Errors
/// As [`Backend::read`]; when the checkpoint cannot be read.
pub async fn read(backend: &Arc<dyn Backend>) -> Result<Option<Reading>> {
    let mut noted = backend.newest_checkpoint().await?;
    for _ in 1..TRIES {
        let read = read_noted(backend, noted).await;
        if !matches!(read, Err(LedgerError::Corrupt { .. })) {
            return read;
        }
        // A checkpoint that another has followed may be collected while it is read: `state gc` waits for no reader.
        let now = backend.newest_checkpoint().await?;
        if now == noted {
            return read;
        }
        noted = now;
    }
    read_noted(backend, noted).await
}

async fn read_noted(backend: &Arc<dyn Backend>, noted: Option<Pointer>) -> Result<Option<Reading>> {
    let Some(pointer) = noted else {
        let whole = backend.read(1).await?;
        return Ok(whole.map(|snapshot| since(snapshot, State::default())));
    };
    let Some(snapshot) = backend.read_from(&pointer).await? else { return Ok(None) };
    let event = snapshot.entries.first().map(|entry| serde_json::from_value(entry.event.clone()));
    let Some(Ok(Event::Checkpoint { manifest })) = event else {
        return Err(pointer.misleads(backend.place()));
    };
    let before = pointer.seq.checked_sub(1).ok_or_else(|| pointer.misleads(backend.place()))?;
    match checkpoint::load(backend, &snapshot.lineage, manifest, before).await {
        Ok(base) => Ok(Some(since(snapshot, base))),
        // Its parts are only a shortcut too, but who goes on without them would hide that blobs get lost.
        Err(LedgerError::BlobMissing { place, digest }) => Err(LedgerError::Corrupt {
            place,
            file: format!("blob {digest}"),
            line: None,
            seq: Some(pointer.seq),
            reason: "it is a part of the newest checkpoint, and it is missing".to_owned(),
        }),
        Err(e) => Err(e),
    }
}

fn since(snapshot: Snapshot, base: State) -> Reading {
    let Snapshot { lineage, head, entries } = snapshot;
    Reading { lineage, head, base, entries }
}

//! Evidence: what was seen when something failed, kept in the blobs before anything is cleaned up.

use std::time::Duration;

use serde_json::Value as Json;

use super::attempt::Hands;
use super::job::{Kept, Witness};
use super::journal::JournalError;
use crate::addr::Address;
use crate::ledger::event::EvidenceRef;
use crate::ports::clock::within;
use crate::provider::{Evidence, Provider};

/// The largest piece in bytes: the end of it is kept, where logs tell what happened.
const MAX_PIECE: usize = 64 * 1024;

/// How many pieces one failure keeps.
const MAX_PIECES: usize = 24;

/// How much of a piece who watches is shown, in bytes.
const SHOWN: usize = 4 * 1024;

/// How long a target may take to tell what it saw: the way back waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A piece of evidence that is not kept yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    name: String,
    bytes: Vec<u8>,
}

impl Piece {
    pub(crate) fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

impl From<Evidence> for Piece {
    fn from(evidence: Evidence) -> Self {
        Self { name: evidence.name, bytes: evidence.bytes }
    }
}

/// What a target can tell of an object now. That it does not answer is evidence as well.
pub(crate) async fn of_object(hands: &Hands, witness: &Witness) -> Vec<Piece> {
    match hands.providers.get(&witness.provider) {
        Some(provider) => of_object_in(hands, &*provider, &witness.address, &witness.identity).await,
        None => Vec::new(),
    }
}

/// The same of a target that is at hand.
pub(crate) async fn of_object_in(
    hands: &Hands,
    provider: &dyn Provider,
    address: &Address,
    identity: &Json,
) -> Vec<Piece> {
    let asked = provider.evidence(&address.ty, identity);
    let Some(pieces) = within(&*hands.clock, PATIENCE, asked).await else {
        let sentence = format!("nothing was told within {} s", PATIENCE.as_secs());
        return vec![Piece::new(address.to_string(), sentence.into_bytes())];
    };
    let named = |e: Evidence| Piece::new(format!("{}: {}", address, e.name), e.bytes);
    pieces.into_iter().map(named).collect()
}

/// Keeps pieces in the blobs.
///
/// # Errors
/// When the ledger cannot be written.
pub(crate) async fn keep(hands: &Hands, pieces: Vec<Piece>) -> Result<Kept, JournalError> {
    let mut kept = Kept::default();
    for Piece { name, bytes } in pieces.into_iter().take(MAX_PIECES) {
        // Before it is cut: half of a secret is not found any more.
        let mut bytes = hands.scrub.hide_bytes(&bytes);
        let surplus = bytes.len().saturating_sub(MAX_PIECE);
        bytes.drain(..surplus);
        let blob = hands.journal.put_blob(&bytes).await?;
        let text = String::from_utf8_lossy(&bytes);
        let start = text.ceil_char_boundary(text.len().saturating_sub(SHOWN));
        // A line that is cut reads like another one.
        let start = if start == 0 { 0 } else { text[start..].find('\n').map_or(start, |n| start + n + 1) };
        kept.shown.push((name.clone(), text[start..].to_owned()));
        kept.blobs.push(EvidenceRef { name, blob });
    }
    Ok(kept)
}

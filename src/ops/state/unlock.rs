//! `state unlock`: for the impossible case, a lease whose holder neither lives nor can be seen to be dead.

use std::sync::Arc;

use crate::config::VarArg;
use crate::ledger::event::Event;
use crate::ledger::{Draft, LeaseRecord, Writer};
use crate::ops::error::{Failure, Result};
use crate::ops::store::Store;
use crate::ops::workspace::Workspace;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::env;

/// How often a lease is taken that its holder renews meanwhile.
const TRIES: usize = 20;

/// What became of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlocked {
    /// Nobody holds it.
    Free,
    /// It was left as it is.
    Declined,
    /// It was taken from this holder, who can write nothing any more.
    Taken(Box<LeaseRecord>),
}

/// Takes the lease from whoever holds it. The holder is fenced, so that it stops before its next step if it lives; that, with the
/// reason, is an entry of the ledger.
///
/// # Errors
/// When nobody can be asked, or the ledger cannot be read or written.
pub async fn unlock(
    workspace: &Workspace,
    variables: &[VarArg],
    reason: &str,
    confirm: &mut (dyn FnMut(&LeaseRecord) -> Result<bool> + Send),
) -> Result<Unlocked> {
    let backend = Store::open(workspace, variables).await?.backend;
    let Some(holder) = backend.lease_load().await? else { return Ok(Unlocked::Free) };
    if !confirm(&holder)? {
        return Ok(Unlocked::Declined);
    }
    for _ in 0..TRIES {
        match backend.lease_load().await? {
            // A renewal is the same lease.
            Some(now) if now.id == holder.id && !backend.lease_swap(Some(&now), None).await? => continue,
            Some(now) if now.id == holder.id => {}
            Some(_) => {
                let detail = "The lease was released and taken by another command in the meantime.";
                return Err(Failure::refused("Another command is at work", detail));
            }
            None => {}
        }
        let (mut writer, reading) = Writer::open_reading_fenced(Arc::clone(&backend)).await?;
        if reading.is_some() {
            let event = Event::Unlocked { holder: holder.to_string(), reason: reason.to_owned() };
            let event = serde_json::to_value(&event).expect("invariant: an event is plain data with text keys");
            writer.append(vec![Draft { time: SystemClock.now(), run: None, actor: env::user(), event }]).await?;
        }
        return Ok(Unlocked::Taken(Box::new(holder)));
    }
    Err(Failure::error("The lease could not be taken", "Its holder renews it all the time: it lives. Stop it first."))
}

//! The lease: one object, written under conditions. Given back, it says so; it is never removed, which not every store
//! can do under a condition.

use super::Shared;
use super::client::{Condition, Found};
use super::object::{LEASE, MAX_OBJECT};
use super::settle::{self, Settled, points};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{from_canonical, to_canonical};
use crate::ledger::lease::LeaseRecord;
use crate::ports::id;

/// The lease of an object, unless it was given back. One that cannot be understood holds nobody back: safety does not
/// rest on it.
fn record(found: &Found) -> Option<LeaseRecord> {
    from_canonical(found.bytes.strip_suffix(b"\n")?).ok()
}

impl Shared {
    pub(super) async fn load_lease(&self) -> Result<Option<LeaseRecord>> {
        let found = self.hasty.get(LEASE, MAX_OBJECT).await.map_err(self.unreadable())?;
        Ok(found.as_ref().and_then(record))
    }

    /// Compare and swap.
    pub(super) async fn swap_lease(&self, expected: Option<&LeaseRecord>, new: Option<&LeaseRecord>) -> Result<bool> {
        self.tried().await?;
        let found = self.hasty.get(LEASE, MAX_OBJECT).await.map_err(self.unreadable())?;
        if found.as_ref().and_then(record).as_ref() != expected {
            return Ok(false);
        }
        let condition = found.map_or(Condition::Absent, |found| Condition::Tag(found.tag));
        let text = match new {
            Some(record) => to_canonical(record),
            // Different each time, so that nobody takes one for another.
            None => to_canonical(&serde_json::json!({"released": id::random_hex::<16>()})),
        };
        let mut text = text.map_err(|source| LedgerError::NoForm { what: "the lease".to_owned(), source })?;
        text.push(b'\n');
        let settled = settle::put(&self.hasty, LEASE, text, &condition, points!("lease")).await;
        match settled.map_err(self.not_written())? {
            Settled::Mine(_) => Ok(true),
            Settled::Other(_) => Ok(false),
            Settled::Unknown(reason) => Err(LedgerError::Unknown { place: self.place(), reason }),
        }
    }
}

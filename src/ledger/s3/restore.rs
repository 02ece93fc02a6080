//! Taking on a whole ledger that was kept elsewhere.
//!
//! A fence at the first position claims the place: nobody can start a ledger there, and a reader is told that a copy has
//! not come to its end. Then come all batches but the first, the key, the first batch in the place of the claim, and the
//! marker, and the note on the newest checkpoint. A copy that was cut off is done again from the start; what it had written is the same, byte by byte.

use futures_util::{StreamExt as _, stream};

use super::Shared;
use super::chain::SIDE_BY_SIDE;
use super::client::Condition;
use super::object::{self, KEY, MAX_OBJECT, Object};
use super::settle::{self, Settled, points};
use super::write;
use crate::ledger::backend::{Head, Whole};
use crate::ledger::checkpoint;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::Lineage;

impl Shared {
    /// Makes a ledger of all its entries.
    pub(super) async fn restoration(&self, whole: &Whole) -> Result<()> {
        self.tried().await?;
        let no_form = |source| LedgerError::NoForm { what: "the ledger".to_owned(), source };
        let mut batches = object::batches(&whole.lineage, &whole.entries).map_err(no_form)?;
        if batches.is_empty() || self.marker().await?.is_some() {
            return Err(LedgerError::NotEmpty { place: self.place() });
        }
        let (first, bytes) = batches.remove(0);
        let claim = self.claim(&whole.lineage, &bytes).await?;
        let mut puts =
            stream::iter(batches.into_iter().map(|(seq, bytes)| self.put_batch(seq, bytes, Condition::Absent)))
                .buffer_unordered(SIDE_BY_SIDE);
        while let Some(put) = puts.next().await {
            put?;
        }
        drop(puts);
        self.put_key(whole).await?;
        self.put_batch(first, bytes, claim).await?;
        write::ensure_marker(self, &whole.lineage).await?;
        match checkpoint::pointer(&whole.entries) {
            Some(pointer) => write::note(self, pointer).await,
            None => Ok(()),
        }
    }

    /// Claims the first position, over nothing or over the claim of a copy of the same ledger that was cut off, and gives
    /// the condition under which it is still ours. A copy that lacks nothing but its marker has its first batch there.
    async fn claim(&self, lineage: &Lineage, first: &[u8]) -> Result<Condition> {
        let name = object::position(1);
        let not_empty = || LedgerError::NotEmpty { place: self.place() };
        let there = self.client.get(&name, MAX_OBJECT).await.map_err(self.unreadable())?;
        let condition = match there {
            Some(there) if there.bytes == first => return Ok(Condition::Tag(there.tag)),
            None if self.positions().await?.0.is_empty() => Condition::Absent,
            Some(there) if matches!(object::parse(&there.bytes, lineage, 1), Ok(Object::Fence { .. })) => {
                Condition::Tag(there.tag)
            }
            _ => return Err(not_empty()),
        };
        let nothing = Head { seq: 0, digest: lineage.genesis(), epoch: 0 };
        let fence = object::fence(lineage, 1, nothing);
        match settle::put(&self.client, &name, fence, &condition, points!("claim")).await.map_err(self.not_written())? {
            Settled::Mine(tag) => Ok(Condition::Tag(tag)),
            Settled::Other(_) => Err(not_empty()),
            Settled::Unknown(reason) => Err(LedgerError::Unknown { place: self.place(), reason }),
        }
    }

    async fn put_batch(&self, seq: u64, bytes: Vec<u8>, condition: Condition) -> Result<()> {
        let name = object::position(seq);
        let put = settle::put(&self.client, &name, bytes, &condition, points!("restore")).await;
        match put.map_err(self.not_written())? {
            Settled::Mine(_) => Ok(()),
            Settled::Other(_) => Err(LedgerError::NotEmpty { place: self.place() }),
            Settled::Unknown(reason) => Err(LedgerError::Unknown { place: self.place(), reason }),
        }
    }

    /// Puts the key, over that of a ledger which never got its first entry.
    async fn put_key(&self, whole: &Whole) -> Result<()> {
        let there = self.client.get(KEY, MAX_OBJECT).await.map_err(self.unreadable())?;
        let condition = there.map_or(Condition::Absent, |there| Condition::Tag(there.tag));
        let put = settle::put(&self.client, KEY, object::key(&whole.key), &condition, points!("key")).await;
        match put.map_err(self.not_written())? {
            Settled::Mine(_) => {
                self.forget_key();
                Ok(())
            }
            Settled::Other(_) => Err(LedgerError::NotEmpty { place: self.place() }),
            Settled::Unknown(reason) => Err(LedgerError::Unknown { place: self.place(), reason }),
        }
    }
}

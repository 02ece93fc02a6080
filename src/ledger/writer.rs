//! The one who writes: gives entries their places and stops at the first doubt.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::backend::{Appended, Backend, Batch, Draft, Head};
use super::error::{LedgerError, Result};
use super::format::{Digest, Lineage, RawEntry};
use super::reading::{self, Reading};
use super::seal::Key;

/// How often a takeover is tried when others keep writing. Each try means that another process really wrote.
const TAKE_OVER_TRIES: usize = 20;

/// A ledger opened for writing.
///
/// Opening reads and nothing else. The first append, or [`Writer::fence`], takes the ledger over: from then on every
/// earlier writer's appends fail, and if one had written since this one read, it is told so ([`LedgerError::Moved`])
/// and nothing of it is written. So a command that finds nothing to do leaves no trace, and one that has to look at
/// targets before it writes (recovery) fences first.
///
/// After any failed or abandoned append the writer is given up: what stands in the ledger then is for the next one to
/// find out by reading.
#[derive(Debug)]
pub struct Writer {
    backend: Arc<dyn Backend>,
    lineage: Lineage,
    head: Option<Head>,
    epoch: Option<u64>,
    wrote: bool,
    given_up: Option<String>,
}

impl Writer {
    fn at(backend: Arc<dyn Backend>, lineage: Lineage, head: Option<Head>) -> Self {
        Self { backend, lineage, head, epoch: None, wrote: false, given_up: None }
    }

    /// Opens a ledger and gives what was read; a ledger that does not exist yet has nothing to read and gets a lineage.
    ///
    /// # Errors
    /// As [`reading::read`].
    pub async fn open_reading(backend: Arc<dyn Backend>) -> Result<(Self, Option<Reading>)> {
        let reading = reading::read(&backend).await?;
        let (lineage, head) = match &reading {
            Some(reading) => (reading.lineage.clone(), Some(reading.head)),
            None => (Lineage::random(), None),
        };
        Ok((Self::at(backend, lineage, head), reading))
    }

    /// As [`Self::open_reading`], and takes the ledger over at once, reading again as long as others still write.
    ///
    /// # Errors
    /// As [`reading::read`] and [`Backend::take_over`].
    pub async fn open_reading_fenced(backend: Arc<dyn Backend>) -> Result<(Self, Option<Reading>)> {
        for _ in 1..TAKE_OVER_TRIES {
            let (mut writer, reading) = Self::open_reading(Arc::clone(&backend)).await?;
            match writer.fence().await {
                Ok(()) => return Ok((writer, reading)),
                Err(LedgerError::Moved { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        let (mut writer, reading) = Self::open_reading(backend).await?;
        writer.fence().await?;
        Ok((writer, reading))
    }

    /// The ledger's identity. Of a ledger that does not exist yet: the one that it gets if this writer starts it.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The newest entry that this writer knows.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Where the ledger is kept.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// The ledger's key, made if there is no ledger yet.
    ///
    /// # Errors
    /// As [`Backend::key`].
    pub async fn key(&self) -> Result<Key> {
        match self.backend.key(true).await? {
            Some(key) => Ok(key),
            None => Err(LedgerError::KeyLost { place: self.backend.place() }),
        }
    }

    /// Takes the ledger over: every earlier writer is fenced from here on. Once is enough; again does nothing.
    ///
    /// # Errors
    /// `Moved` when somebody wrote since this writer read: open again. Otherwise as [`Backend::take_over`].
    pub async fn fence(&mut self) -> Result<()> {
        self.take_over().await.map(|_| ())
    }

    async fn take_over(&mut self) -> Result<u64> {
        if let Some(first) = &self.given_up {
            return Err(LedgerError::Poisoned { place: self.backend.place(), first: first.clone() });
        }
        if let Some(epoch) = self.epoch {
            return Ok(epoch);
        }
        let epoch = self.backend.take_over(&self.lineage, self.head).await?;
        self.epoch = Some(epoch);
        Ok(epoch)
    }

    /// Removes blobs, unless another writer has taken over. That nothing needs them, and that this is durable, is for the caller
    /// to see to.
    ///
    /// # Errors
    /// As [`Self::fence`] and [`Backend::remove_blobs`].
    pub async fn remove_blobs(&mut self, blobs: &BTreeSet<Digest>) -> Result<()> {
        self.take_over().await?;
        self.backend.remove_blobs(blobs).await
    }

    /// Appends entries as one batch with one sync, and gives them with their places. When it is back, they are
    /// durable and may be acted upon.
    ///
    /// # Errors
    /// `Moved` on the first append when somebody wrote since this writer read; `Fenced` when another process took
    /// over; `NotWritten` when the disk failed; `Unknown` when nobody can tell. After each of them but `NoForm` and
    /// `TooLarge` every further append fails.
    pub async fn append(&mut self, drafts: Vec<Draft>) -> Result<Vec<RawEntry>> {
        let epoch = self.take_over().await?;
        let Some(batch) = Batch::chain(&self.lineage, self.head, epoch, !self.wrote, drafts)? else {
            return Ok(Vec::new());
        };
        let batch = Arc::new(batch);
        // Set before the wait: a caller that drops this future leaves a write behind of which nobody saw the end.
        self.given_up = Some("an append was abandoned before its end".to_owned());
        let appended = self.backend.append(batch.first_seq(), Arc::clone(&batch)).await;
        let place = self.backend.place();
        let failure = match appended {
            Ok(Appended::Ok) => {
                self.given_up = None;
                self.head = Some(batch.head());
                self.wrote = true;
                return Ok(Arc::unwrap_or_clone(batch).into_entries());
            }
            Ok(Appended::Conflict) if self.head.is_none() => LedgerError::Moved { place },
            Ok(Appended::Conflict) => LedgerError::Fenced { place },
            Ok(Appended::Unknown(reason)) => LedgerError::Unknown { place, reason },
            Err(error) => error,
        };
        self.given_up = Some(failure.to_string());
        Err(failure)
    }
}

/// For tests, which ask for entries.
#[cfg(test)]
impl Writer {
    /// Opens a ledger and gives all its entries, checkpoints or not.
    pub(super) async fn open(backend: Arc<dyn Backend>) -> Result<(Self, Vec<RawEntry>)> {
        match backend.read(1).await? {
            Some(whole) => Ok((Self::at(backend, whole.lineage, Some(whole.head)), whole.entries)),
            None => Ok((Self::at(backend, Lineage::random(), None), Vec::new())),
        }
    }

    /// As [`Self::open`], and takes the ledger over at once.
    pub(super) async fn open_fenced(backend: Arc<dyn Backend>) -> Result<(Self, Vec<RawEntry>)> {
        loop {
            let (mut writer, entries) = Self::open(Arc::clone(&backend)).await?;
            match writer.fence().await {
                Err(LedgerError::Moved { .. }) => {}
                fenced => return fenced.map(|()| (writer, entries)),
            }
        }
    }

    /// Opens a ledger as it stands from an entry on.
    pub(super) async fn open_reading_from(
        backend: Arc<dyn Backend>,
        pointer: &super::checkpoint::Pointer,
    ) -> Result<(Self, Vec<RawEntry>)> {
        let Some(super::Snapshot { lineage, head, entries }) = backend.read_from(pointer).await? else {
            return Err(pointer.misleads(backend.place()));
        };
        Ok((Self::at(backend, lineage, Some(head)), entries))
    }
}

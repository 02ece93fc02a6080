//! The ledger as a run writes it.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::store::Store;
use crate::exec::{Journal, JournalError};
use crate::ledger::event::Event;
use crate::ledger::{Backend, Draft, LedgerError, Meta, Writer};
use crate::ports::clock::Clock;

/// A writer with what every entry of a run carries.
pub(super) struct RunJournal {
    writer: Mutex<Writer>,
    /// Where the ledger's place is to be remembered, until it is.
    store: Mutex<Option<Store>>,
    backend: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    run: String,
    actor: String,
}

impl RunJournal {
    /// For a run.
    #[must_use]
    pub(super) fn new(writer: Writer, store: Store, clock: Arc<dyn Clock>, run: String, actor: String) -> Self {
        let backend = Arc::clone(writer.backend());
        Self { writer: Mutex::new(writer), store: Mutex::new(Some(store)), backend, clock, run, actor }
    }

    /// The writer back, for what comes after the run.
    #[must_use]
    pub(super) fn into_writer(self) -> Writer {
        self.writer.into_inner()
    }
}

fn told(e: &LedgerError) -> JournalError {
    let mut text = e.to_string();
    let mut source = std::error::Error::source(e);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    match e {
        LedgerError::Fenced { .. } | LedgerError::Moved { .. } => JournalError::Fenced(text),
        LedgerError::Unknown { .. } => JournalError::Unknown(text),
        _ => JournalError::Disk(text),
    }
}

#[async_trait::async_trait]
impl Journal for RunJournal {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Meta>, JournalError> {
        let drafts = events
            .into_iter()
            .map(|event| Draft {
                time: self.clock.now(),
                run: Some(self.run.clone()),
                actor: self.actor.clone(),
                event: serde_json::to_value(event).expect("invariant: an event is plain data with text keys"),
            })
            .collect();
        let mut writer = self.writer.lock().await;
        let entries = writer.append(drafts).await.map_err(|e| told(&e))?;
        if let (Some(mut store), Some(head)) = (self.store.lock().await.take(), writer.head()) {
            store.remember(writer.lineage(), head).map_err(|e| told(&e))?;
        }
        Ok(entries.iter().map(super::records::meta).collect())
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, JournalError> {
        self.backend.put_blob(bytes.to_vec()).await.map(|d| d.to_string()).map_err(|e| told(&e))
    }

    async fn get_blob(&self, digest: &str) -> Result<Vec<u8>, JournalError> {
        let parsed = digest.parse().map_err(|_| JournalError::Disk(format!("{digest:?} is no digest")))?;
        self.backend.get_blob(parsed).await.map_err(|e| told(&e))
    }

    async fn put_file(&self, path: &Path) -> Result<(String, u64), JournalError> {
        match self.backend.put_file(path, true).await {
            Ok((digest, size)) => Ok((digest.to_string(), size)),
            Err(e) => Err(match crate::ports::fs::kind(path) {
                Some(crate::ports::fs::Kind::File) => told(&e),
                _ => JournalError::Source(format!("there is no file {}", path.display())),
            }),
        }
    }

    async fn fetch(&self, digest: &str) -> Result<(), JournalError> {
        let parsed = digest.parse().map_err(|_| JournalError::Disk(format!("{digest:?} is no digest")))?;
        self.backend.blob_file(parsed).await.map(drop).map_err(|e| told(&e))
    }
}

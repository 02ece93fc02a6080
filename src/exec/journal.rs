//! Where a run writes: the ledger as far as execution needs it.

use std::path::Path;

use async_trait::async_trait;

use crate::ledger::Meta;
use crate::ledger::event::Event;

/// Why nothing more can be written, each as a whole sentence but for its capital and its full stop. After any of these but
/// [`JournalError::Source`] the run stops and nothing further is started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another process took the ledger over. It goes on with the run.
    #[error("{0}")]
    Fenced(String),
    /// Nobody can tell whether the last write took effect.
    #[error("{0}")]
    Unknown(String),
    /// The disk or the service refused a write or a sync.
    #[error("{0}")]
    Disk(String),
    /// A file that was to be kept cannot be read; the ledger itself is fine.
    #[error("{0}")]
    Source(String),
}

/// The ledger of the open run.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends events as one batch with one sync; when it is back they are durable, and these are their places.
    ///
    /// # Errors
    /// When they are not known to be durable, or somebody else writes now.
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Meta>, JournalError>;

    /// Keeps bytes and gives their digest: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When they cannot be written.
    async fn put_blob(&self, bytes: &[u8]) -> Result<String, JournalError>;

    /// The bytes with a digest, verified.
    ///
    /// # Errors
    /// When they are not there, are others, or cannot be read.
    async fn get_blob(&self, digest: &str) -> Result<Vec<u8>, JournalError>;

    /// Keeps a file's content as something that can be run, and gives its digest (64 hexadecimal digits) and size in bytes.
    ///
    /// # Errors
    /// [`JournalError::Source`] when the file cannot be read; otherwise when it cannot be written.
    async fn put_file(&self, path: &Path) -> Result<(String, u64), JournalError>;

    /// Has the content of a digest as a file on this machine, verified just now, where the paths of artifacts lead.
    ///
    /// # Errors
    /// When it is not there, is another, or cannot be read or written.
    async fn fetch(&self, digest: &str) -> Result<(), JournalError>;
}

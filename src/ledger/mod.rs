//! The ledger: an append-only, hash-chained log in which an environment's truth is recorded.
//!
//! The state of an environment is not a file that gets overwritten: it is a log that only grows, and the current
//! state is what replaying it gives.
//!
//! * [`mod@format`]: canonical JSON, digests, entries as lines, the chain
//! * [`seal`]: keyed digests of what must not be written down
//! * [`encryption`]: sealing with age what has to come back
//! * [`marker`]: what tells an empty ledger from a lost one
//! * [`error`]: what can go wrong, each with the next step
//! * [`backend`]: what a place that keeps ledgers has to offer
//! * [`lease`]: how people wait for each other politely; safety never rests on it
//! * [`writer`]: gives entries their places, stops at the first doubt
//! * [`local`]: the ledger in a directory; [`mod@postgres`]: in a database; [`s3`]: in a bucket
//! * [`event`], [`record`]: what is recorded
//! * [`replay`]: from entries to the [`State`]
//! * [`checkpoint`]: a state written down; [`reading`]: from there to the end
//!
//! To read: [`Backend::read`]. To write: [`lease::acquire`], [`Writer::open_reading`], [`Writer::fence`] before targets are
//! looked at, [`Writer::append`].

pub mod format;
pub mod seal;
pub mod encryption;
pub mod marker;
pub mod error;
pub mod backend;
pub mod lease;
pub mod writer;
pub mod local;
pub mod postgres;
pub mod s3;
pub mod event;
pub mod record;
pub mod release;
pub mod acknowledged;
pub mod replay;
pub mod story;
pub mod checkpoint;
pub mod reading;
#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod contention;

pub use backend::{Appended, Backend, Batch, Draft, Finding, Head, Snapshot, Verification, Whole};
pub use error::{Consequence, LedgerError};
pub use format::{Digest, Lineage, RawEntry};
pub use lease::{Lease, LeaseRecord};
pub use local::{BlobCache, LocalBackend};
pub use postgres::PostgresBackend;
pub use release::Release;
pub use replay::{Meta, State};
pub use s3::{S3Backend, S3Settings};
pub use seal::Key;
pub use writer::Writer;

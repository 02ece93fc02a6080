//! What can go wrong with a ledger, for people.

use crate::ports::fs::FsError;

use super::checkpoint::POINTER;
use super::format::{Digest, FormatError, Lineage};
use super::lease::LeaseRecord;

/// What a call to the ledger gives.
pub type Result<T> = std::result::Result<T, LedgerError>;

/// A failure of the ledger. `place` is always where the ledger is, as a person would name it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It could not be read or looked at; nothing is known to be wrong with it.
    #[error("the ledger in {place} cannot be read")]
    Unreadable {
        /// Where.
        place: String,
        /// What the system said.
        #[source]
        source: FsError,
    },
    /// A write or sync failed. Whether it took effect is not known; this writer writes nothing any more.
    #[error("the ledger in {place} cannot be written")]
    NotWritten {
        /// Where.
        place: String,
        /// What the system said.
        #[source]
        source: FsError,
    },
    /// The service that keeps it does not answer, or refuses. A write that this is said of is known to have had no effect.
    #[error("the ledger in {place} cannot be {}: {reason}", if *writing { "written" } else { "read" })]
    Unavailable {
        /// Where.
        place: String,
        /// Whether it was to be written.
        writing: bool,
        /// What the service said, without secrets.
        reason: String,
        /// What to do about it, in a sentence.
        hint: String,
    },
    /// A write was asked of a writer whose earlier write had failed.
    #[error("the ledger in {place} is not written any more after an earlier failure: {first}")]
    Poisoned {
        /// Where.
        place: String,
        /// The failure that came first.
        first: String,
    },
    /// It is known that there was a ledger, and it is gone or empty.
    #[error("the ledger in {place} is lost: {what}")]
    Lost {
        /// Where.
        place: String,
        /// Its identity, as far as the marker tells.
        lineage: Option<Lineage>,
        /// What is missing.
        what: String,
    },
    /// It was written by a newer Gantry.
    #[error("the ledger in {place} has format {format}; it needs Gantry {needs} or newer")]
    Newer {
        /// Where.
        place: String,
        /// Its format.
        format: u64,
        /// The version that can read it.
        needs: String,
    },
    /// It does not verify. The first bad place is named.
    #[error("the ledger in {place} does not verify: {file}{}{}: {reason}", at_line(*line), at_entry(*seq))]
    Corrupt {
        /// Where.
        place: String,
        /// The file, relative to the place.
        file: String,
        /// The line in it, from 1.
        line: Option<usize>,
        /// The number of the entry.
        seq: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// The ledger is there and the key of its keyed digests is not.
    #[error("the key of the ledger in {place} is missing")]
    KeyLost {
        /// Where.
        place: String,
    },
    /// Something was written between reading the ledger and taking it over for writing.
    #[error("the ledger in {place} was written to by another process in the meantime")]
    Moved {
        /// Where.
        place: String,
    },
    /// Another writer has taken the ledger over from this one; nothing may act on what was appended last.
    #[error("the ledger in {place} was taken over by another process")]
    Fenced {
        /// Where.
        place: String,
    },
    /// Whether the last append took effect cannot be found out.
    #[error("it is not known whether the ledger in {place} took the last entries: {reason}")]
    Unknown {
        /// Where.
        place: String,
        /// Why not.
        reason: String,
    },
    /// A ledger was to be put where one is.
    #[error("there is a ledger in {place} already")]
    NotEmpty {
        /// Where.
        place: String,
    },
    /// Somebody else is at work.
    #[error("the lease of {place} is held by {holder}")]
    LeaseHeld {
        /// Where.
        place: String,
        /// Who, and with what.
        holder: Box<LeaseRecord>,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// A file that was to be kept as a blob cannot be read.
    #[error("{} cannot be kept in the ledger", source.path.display())]
    NotKept {
        /// What the system said.
        #[source]
        source: FsError,
    },
    /// A blob that the ledger names is not there.
    #[error("the ledger in {place} has no blob {digest}")]
    BlobMissing {
        /// Where.
        place: String,
        /// Which.
        digest: Digest,
    },
    /// A blob's content is not what its name says.
    #[error("the blob {digest} of the ledger in {place} has other content than its name says")]
    BlobCorrupt {
        /// Where.
        place: String,
        /// Which.
        digest: Digest,
    },
    /// A place that cannot keep a ledger.
    #[error("{place} cannot keep a ledger: {reason}")]
    Unfit {
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// What was to be written has no canonical form.
    #[error("{what} cannot be written to the ledger")]
    NoForm {
        /// What it was.
        what: String,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// More than a limit allows.
    #[error("{what} has {bytes} bytes, more than the ledger's limit of {limit}")]
    TooLarge {
        /// What it was.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
}

fn at_line(line: Option<usize>) -> String {
    line.map(|n| format!(", line {n}")).unwrap_or_default()
}

fn at_entry(seq: Option<u64>) -> String {
    seq.map(|n| format!(" (entry {n})")).unwrap_or_default()
}

/// What a failure means for the command that met it; the face maps it to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing was changed; the ledger or what was asked of it has to be put right first (exit 1).
    Error,
    /// Somebody else is at work or was; nothing of this was written (exit 5).
    Refused,
    /// A run that had begun to change things has to stop here (exit 7); the ledger says how far it came.
    Interrupted,
}

impl LedgerError {
    /// What the failure means for the command that met it.
    #[must_use]
    pub fn consequence(&self) -> Consequence {
        match self {
            Self::LeaseHeld { .. } | Self::Moved { .. } | Self::NotEmpty { .. } => Consequence::Refused,
            Self::NotWritten { .. }
            | Self::Unavailable { writing: true, .. }
            | Self::Poisoned { .. }
            | Self::Fenced { .. }
            | Self::Unknown { .. } => Consequence::Interrupted,
            Self::Unreadable { .. }
            | Self::Unavailable { writing: false, .. }
            | Self::Unfit { .. }
            | Self::Lost { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::KeyLost { .. }
            | Self::NotKept { .. }
            | Self::BlobMissing { .. }
            | Self::BlobCorrupt { .. }
            | Self::NoForm { .. }
            | Self::TooLarge { .. } => Consequence::Error,
        }
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unavailable { hint, .. } | Self::Unfit { hint, .. } => hint,
            Self::Unreadable { .. } => "make it readable for the user who runs Gantry; nothing was changed",
            Self::NotWritten { .. } | Self::Poisoned { .. } => {
                "free space on the disk or repair it, then run the same command again: it goes on from what was recorded"
            }
            Self::Lost { .. } => {
                "restore it from a backup; if the environment is really to start anew, move what is left of it away by hand"
            }
            Self::Newer { .. } => "run that version; an older one would not understand what was recorded",
            Self::Corrupt { file, .. } if file == POINTER => {
                "nothing was changed; the note is only a shortcut to the newest checkpoint: remove it (in PostgreSQL, empty the column \
                 `checkpoint` of the table `ledger`), and the ledger is read from its first entry"
            }
            Self::Corrupt { .. } => {
                "nothing was changed; restore what is named from a backup, then run `gantry state verify`"
            }
            Self::KeyLost { .. } => "restore it from a backup; no other key fits what was recorded",
            Self::Moved { .. } => "run the command again: it will see what was written",
            Self::Fenced { .. } => "see what the other process does with `gantry show`, then run the command again",
            Self::Unknown { .. } => "run the same command again: it reads what was recorded and goes on from there",
            Self::LeaseHeld { .. } => "wait for it, or let this command wait with `--lock-timeout 10m`",
            Self::BlobMissing { .. } | Self::BlobCorrupt { .. } => {
                "restore the blobs from a backup, then run `gantry state verify`"
            }
            Self::NotEmpty { .. } => "choose an empty place, or move away by hand what stands there",
            Self::NotKept { .. } => "see that the file exists, is a regular file and may be read",
            Self::NoForm { .. } | Self::TooLarge { .. } => "this is a defect or a value beyond a limit; please report it",
        }
        .to_owned()
    }
}

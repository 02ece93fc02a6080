//! How a use case fails: diagnostics, and what kind of failure it is. Exit codes follow from the kind, in `cli`.

use std::sync::Arc;

use crate::config::ConfigError;
pub(super) use crate::diag::capital as sentence;
use crate::diag::{Diagnostic, Diagnostics, SourceMap};
use crate::ledger::LedgerError;
use crate::ledger::error::Consequence;

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// An error, and nothing was changed.
    Error,
    /// Refused before anything was touched.
    Refused,
    /// Part of what was to be read could not be read.
    Incomplete,
    /// Something was changed, and the run is not finished.
    Unfinished,
}

/// A failed use case.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// What is wrong.
    pub diagnostics: Diagnostics,
    /// The files that the diagnostics point into.
    pub sources: Arc<SourceMap>,
}

/// What a use case gives.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// One diagnostic that points into no file.
    #[must_use]
    pub fn new(kind: FailureKind, diagnostic: Diagnostic) -> Self {
        Self { kind, diagnostics: diagnostic.into(), sources: Arc::default() }
    }

    /// An error, and nothing was changed.
    #[must_use]
    pub fn error(summary: &str, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Error, Diagnostic::error(summary, detail))
    }

    /// Refused before anything was touched.
    #[must_use]
    pub fn refused(summary: &str, detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, Diagnostic::error(summary, detail))
    }

    /// Whether it is called so.
    #[must_use]
    pub fn is_of(&self, summary: &str) -> bool {
        self.diagnostics.iter().any(|d| d.summary == summary)
    }

    /// With a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let mut all: Vec<Diagnostic> = self.diagnostics.into_iter().collect();
        if let Some(first) = all.first_mut() {
            first.hints.push(hint);
        }
        self.diagnostics = all.into_iter().collect();
        self
    }

    /// Several diagnostics with the files that they point into.
    #[must_use]
    pub fn from_diagnostics(diagnostics: Diagnostics, sources: Arc<SourceMap>) -> Self {
        Self { kind: FailureKind::Error, diagnostics, sources }
    }
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        Self::from_diagnostics(e.diagnostics, e.sources)
    }
}

/// What a failure of the ledger is called.
fn summary(e: &LedgerError) -> &'static str {
    match e {
        LedgerError::Unreadable { .. } | LedgerError::Unavailable { writing: false, .. } => "Unreadable ledger",
        LedgerError::Unfit { .. } => "Unfit place for a ledger",
        LedgerError::NotWritten { .. }
        | LedgerError::Unavailable { .. }
        | LedgerError::Poisoned { .. }
        | LedgerError::Unknown { .. } => "The ledger could not be written",
        LedgerError::Lost { .. } => "The ledger is lost",
        LedgerError::Newer { .. } => "The ledger is newer than this Gantry",
        LedgerError::Corrupt { .. } => "The ledger does not verify",
        LedgerError::KeyLost { .. } => "The ledger's key is missing",
        LedgerError::Moved { .. } | LedgerError::Fenced { .. } => "Another process wrote to the ledger",
        LedgerError::LeaseHeld { .. } => "Another command is at work",
        LedgerError::NotEmpty { .. } => "The place is not empty",
        LedgerError::NotKept { .. } => "Unreadable file",
        LedgerError::BlobMissing { .. } | LedgerError::BlobCorrupt { .. } => "The ledger's blobs are damaged",
        LedgerError::NoForm { .. } | LedgerError::TooLarge { .. } => "Value beyond a limit",
    }
}

impl From<LedgerError> for Failure {
    fn from(e: LedgerError) -> Self {
        let kind = match e.consequence() {
            Consequence::Error => FailureKind::Error,
            Consequence::Refused => FailureKind::Refused,
            Consequence::Interrupted => FailureKind::Unfinished,
        };
        let mut detail = e.to_string();
        let mut source = std::error::Error::source(&e);
        while let Some(cause) = source {
            detail.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        detail.push('.');
        Self::new(kind, Diagnostic::error(summary(&e), sentence(&detail)).hint(sentence(&format!("{}.", e.hint()))))
    }
}

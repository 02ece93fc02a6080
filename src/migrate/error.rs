//! What can go wrong with a database, in words for people and in a class for the executor.

use std::fmt;

/// What is known about a failed migration's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// No statement of it was sent.
    NotSent,
    /// It is known to have had no effect beyond what `progress` says.
    Rejected,
    /// The answer is missing: ask [`find`](super::run::find) before anything else.
    Unknown,
}

/// The statement that failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FailedStatement {
    /// The file's name.
    pub file: String,
    /// The line in the file, as near to the error as the database tells; the first line is 1.
    pub line: usize,
    /// The statement, or its beginning.
    pub excerpt: String,
}

/// How far a migration without a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Statements that are known to have taken effect.
    pub committed: usize,
    /// All statements of the file.
    pub total: usize,
}

/// A migration that was not applied, or not taken back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MigrateError {
    /// What is known about its effect.
    pub class: FailureClass,
    /// Whether the same call may succeed later without anybody changing anything: a lock, a lost connection.
    pub transient: bool,
    /// The statement that failed, where one did.
    pub statement: Option<FailedStatement>,
    /// For a migration without a transaction: what of it stands.
    pub progress: Option<Progress>,
    /// What happened, in the database's words where it has any.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(statement) = &self.statement {
            write!(f, "{}:{}: ", statement.file, statement.line)?;
        }
        f.write_str(&self.message)?;
        if let Some(progress) = self.progress {
            write!(f, " ({} of {} statements took effect)", progress.committed, progress.total)?;
        }
        Ok(())
    }
}

impl std::error::Error for MigrateError {}

impl MigrateError {
    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Rejected,
            transient: false,
            statement: None,
            progress: None,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl From<DatabaseError> for MigrateError {
    fn from(error: DatabaseError) -> Self {
        Self {
            class: FailureClass::NotSent,
            transient: error.kind == DatabaseErrorKind::Unreachable,
            statement: None,
            progress: None,
            message: error.message,
            hint: error.hint,
        }
    }
}

/// Why a database cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseErrorKind {
    /// The URL names no database that Gantry can migrate.
    Url,
    /// It does not answer.
    Unreachable,
    /// It answers that the database or the directory of its file does not exist.
    Missing,
    /// It refuses this user.
    Denied,
    /// It answers with an error.
    Failed,
}

/// A database that cannot be asked. Neither its text nor its `Debug` form holds the URL or the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{message}")]
pub struct DatabaseError {
    /// Why.
    pub kind: DatabaseErrorKind,
    /// What happened; names the database without its password.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl DatabaseError {
    pub(crate) fn new(kind: DatabaseErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into() }
    }
}

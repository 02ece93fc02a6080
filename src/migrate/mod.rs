//! Migrations: a directory of versioned SQL, applied to a database and taken back.
//!
//! [`source`] reads the directory, [`mod@effects`] says what a migration will do to others and refuses what cannot work,
//! [`history`] compares the directory with the database's own [`journal`], and [`run`] carries out: all statements of
//! a migration and its row in the journal in one transaction, so that a crash at any instant leaves all or nothing.
//! Files that open with `-- gantry:no-transaction` are carried out statement by statement (`stepwise`), noted before
//! and after. Every way back runs the text that was stored when the migration was applied.
//!
//! A failure carries what is known of its effect ([`error::FailureClass`]). Where that is *unknown* (a `COMMIT` without
//! an answer) the caller asks [`find`] and does not send again before.
//!
//! [`remote`] carries a migration out where only a cluster reaches the database.
//!
//! The first five modules are pure. The database's URL is a secret; it goes into [`Database`] and comes out nowhere.

pub mod sql;
pub mod source;
mod class;
pub mod effects;
pub mod error;

pub mod database;
mod connection;
pub mod journal;
pub mod history;
pub mod run;
mod stepwise;
pub mod remote;

pub use database::Database;
pub use effects::{Effect, EffectKind, StatementError, check, effects};
pub use error::{DatabaseError, DatabaseErrorKind, FailedStatement, FailureClass, MigrateError, Progress};
pub use history::{HistoryError, Missing, Pending, pending};
pub use journal::{Applied, Journal, State, read};
pub use run::{AppliedInfo, Found, Reverted, RunContext, apply, find, revert};
pub use source::{Migration, SourceError, parse};
pub use sql::Dialect;

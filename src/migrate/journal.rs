//! The journal: the table `gantry_migrations` in the migrated database itself, written in the same transaction as what
//! it tells of, and so never wrong about it.
//!
//! | column | meaning |
//! | --- | --- |
//! | `version`, `name`, `checksum` | as in [`Migration`] |
//! | `up_file`, `up_sql`, `down_file`, `down_sql` | the texts as they were applied; every way back runs the stored one |
//! | `statements` | JSON list of a SHA-256 per statement of `up_sql` |
//! | `state` | `applied`, or `in_progress` for a file without a transaction that is half applied |
//! | `started`, `committed` | of a file without a transaction: how many statements were begun, how many took effect |
//! | `run`, `applied_at` | which run, and when (RFC 3339, UTC) |

use super::connection::{Arg, Connection};
use super::database::{Access, Database};
use super::error::{DatabaseError, DatabaseErrorKind};
use super::source::Migration;
use super::sql::Dialect;
use std::time::Duration;

/// The name of the journal's table.
pub const TABLE: &str = "gantry_migrations";

/// How long reading waits for a lock that a writer holds for a moment.
const READ_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How far a recorded migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As a whole.
    Applied,
    /// Statement by statement, and not at its end.
    InProgress {
        /// Statements that were begun.
        started: usize,
        /// Statements that are known to have taken effect; at most one fewer than `started`.
        committed: usize,
    },
}

/// A migration as the database recorded it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// Its number.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// SHA-256 of the up text that was applied, in hexadecimal digits.
    pub checksum: String,
    /// The file that was applied.
    pub up_file: String,
    /// The text that was applied.
    pub up: String,
    /// The file of the way back.
    pub down_file: Option<String>,
    /// The way back, if there is one.
    pub down: Option<String>,
    /// A hash per statement of `up`.
    pub statements: Vec<String>,
    /// How far it is.
    pub state: State,
    /// The run that applied it.
    pub run: String,
    /// When, in RFC 3339, UTC.
    pub applied_at: String,
}

/// What a database says was applied to it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Journal {
    /// Whose SQL it speaks.
    pub dialect: Dialect,
    /// What is recorded, sorted by version; at most the last is in progress.
    pub applied: Vec<Applied>,
}

impl Journal {
    /// A journal of which nothing is known, as of a database that does not exist yet.
    #[must_use]
    pub fn empty(dialect: Dialect) -> Self {
        Self { dialect, applied: Vec::new() }
    }

    /// The record of a version.
    #[must_use]
    pub fn get(&self, version: u64) -> Option<&Applied> {
        self.applied.iter().find(|a| a.version == version)
    }

    /// The version of the newest that is applied as a whole.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.applied.iter().filter(|a| a.state == State::Applied).map(|a| a.version).max()
    }
}

/// Reads the journal of a database. Nothing is created or changed: a SQLite file that does not exist, and a database
/// without a journal, have an empty one.
///
/// # Errors
/// When the database cannot be asked, or what stands in its journal is not what Gantry writes.
pub async fn read(database: &Database) -> Result<Journal, DatabaseError> {
    if database.is_absent() {
        return Ok(Journal::empty(database.dialect()));
    }
    let mut connection = database.connect(Access::Read, READ_LOCK_TIMEOUT).await?;
    let applied = read_on(database, &mut connection).await;
    connection.close().await;
    Ok(Journal { dialect: database.dialect(), applied: applied? })
}

async fn read_on(database: &Database, connection: &mut Connection) -> Result<Vec<Applied>, DatabaseError> {
    let failed = |error: sqlx::Error| database.error("cannot read the journal of", &error);
    if database.dialect() == Dialect::Postgres {
        connection.bound(READ_LOCK_TIMEOUT, READ_LOCK_TIMEOUT).await.map_err(failed)?;
    }
    let Some(table) = existing_table(database.dialect(), connection).await.map_err(failed)? else {
        return Ok(Vec::new());
    };
    Table(table).all(connection).await.map_err(|e| e.told(database))
}

/// The journal's qualified name, quoted, if there is one.
async fn existing_table(dialect: Dialect, connection: &mut Connection) -> Result<Option<String>, sqlx::Error> {
    let sql = match dialect {
        Dialect::Sqlite => {
            "SELECT 'main.gantry_migrations' FROM main.sqlite_master WHERE type = 'table' AND name = 'gantry_migrations'"
        }
        Dialect::Postgres => {
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('gantry_migrations')"
        }
    };
    connection.value(sql).await
}

/// A journal that cannot be used.
pub(crate) enum TableError {
    Sql(sqlx::Error),
    Content(String),
}

impl From<sqlx::Error> for TableError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl TableError {
    pub(crate) fn told(&self, database: &Database) -> DatabaseError {
        match self {
            Self::Sql(error) => database.error("cannot use the journal of", error),
            Self::Content(what) => DatabaseError::new(
                DatabaseErrorKind::Failed,
                format!("the journal {TABLE} of {database} cannot be understood: {what}"),
                "Another version of Gantry or another program wrote it; use that, or repair the row by hand.",
            ),
        }
    }
}

/// The journal's table by its qualified name: a migration may change the search path.
pub(crate) struct Table(String);

impl Table {
    /// The journal, made if it is missing.
    pub(crate) async fn ensure(dialect: Dialect, connection: &mut Connection) -> Result<Self, TableError> {
        if let Some(table) = existing_table(dialect, connection).await? {
            return Ok(Self(table));
        }
        let table = match dialect {
            Dialect::Sqlite => format!("main.{TABLE}"),
            Dialect::Postgres => match connection.value("SELECT quote_ident(current_schema())").await? {
                Some(schema) => format!("{schema}.{TABLE}"),
                None => {
                    return Err(TableError::Content("the search path names no schema in which to create it".into()));
                }
            },
        };
        let columns = "version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, up_file TEXT NOT NULL, \
             up_sql TEXT NOT NULL, down_file TEXT, down_sql TEXT, statements TEXT NOT NULL, state TEXT NOT NULL, \
             started BIGINT NOT NULL, committed BIGINT NOT NULL, run TEXT NOT NULL, applied_at TEXT NOT NULL";
        connection.send(&format!("CREATE TABLE {table} ({columns})")).await?;
        Ok(Self(table))
    }

    /// All that is recorded, sorted by version.
    pub(crate) async fn all(&self, connection: &mut Connection) -> Result<Vec<Applied>, TableError> {
        let sql = format!(
            "SELECT CAST(version AS TEXT), name, checksum, up_file, up_sql, down_file, down_sql, statements, state, \
             CAST(started AS TEXT), CAST(committed AS TEXT), run, applied_at FROM {} ORDER BY version",
            self.0
        );
        let rows = connection.rows(&sql).await?;
        rows.into_iter().map(|row| record(row).map_err(TableError::Content)).collect()
    }

    /// Writes the record of a migration, in place of what stands there.
    pub(crate) async fn put(&self, connection: &mut Connection, record: &Applied) -> Result<(), sqlx::Error> {
        self.remove(connection, record.version).await?;
        let (state, started, committed) = match record.state {
            State::Applied => ("applied", record.statements.len(), record.statements.len()),
            State::InProgress { started, committed } => ("in_progress", started, committed),
        };
        let statements = serde_json::Value::from(record.statements.clone()).to_string();
        let sql = format!(
            "INSERT INTO {} (version, name, checksum, up_file, up_sql, down_file, down_sql, statements, state, started, \
             committed, run, applied_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            self.0
        );
        let args: [Arg; 13] = [
            record.version.into(),
            record.name.as_str().into(),
            record.checksum.as_str().into(),
            record.up_file.as_str().into(),
            record.up.as_str().into(),
            record.down_file.as_deref().into(),
            record.down.as_deref().into(),
            statements.as_str().into(),
            state.into(),
            started.into(),
            committed.into(),
            record.run.as_str().into(),
            record.applied_at.as_str().into(),
        ];
        connection.execute(&sql, &args).await.map(drop)
    }

    /// Notes how far a migration without a transaction is, which was at `from` so far: `RowNotFound` if another moved
    /// it on.
    pub(crate) async fn progress(
        &self,
        connection: &mut Connection,
        version: u64,
        from: usize,
        (started, committed): (usize, usize),
    ) -> Result<(), sqlx::Error> {
        let sql = format!(
            "UPDATE {} SET started = $2, committed = $3 WHERE version = $1 AND committed = $4 AND state = 'in_progress'",
            self.0
        );
        let args: [Arg; 4] = [version.into(), started.into(), committed.into(), from.into()];
        let changed = connection.execute(&sql, &args).await?;
        if changed == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
    }

    /// Removes the record of a version.
    pub(crate) async fn remove(&self, connection: &mut Connection, version: u64) -> Result<(), sqlx::Error> {
        let sql = format!("DELETE FROM {} WHERE version = $1", self.0);
        connection.execute(&sql, &[version.into()]).await.map(drop)
    }
}

/// The record of `migration` in a state.
pub(crate) fn record_of(
    migration: &Migration,
    dialect: Dialect,
    state: State,
    run: &str,
    now: jiff::Timestamp,
) -> Applied {
    Applied {
        version: migration.version,
        name: migration.name.clone(),
        checksum: migration.checksum.clone(),
        up_file: migration.up_file.clone(),
        up: migration.up.to_string(),
        down_file: migration.down_file.clone(),
        down: migration.down.as_deref().map(str::to_owned),
        statements: migration.statement_hashes(dialect),
        state,
        run: run.to_owned(),
        applied_at: now.to_string(),
    }
}

/// A row of [`Table::all`] as a record.
fn record(row: Vec<Option<String>>) -> Result<Applied, String> {
    let version_text = row.first().cloned().flatten().unwrap_or_default();
    let bad = |column: &str| format!("column {column} of version {version_text}");
    let mut cells = row.into_iter();
    let mut next = || cells.next().flatten();
    let version = next().and_then(|v| v.parse().ok()).ok_or_else(|| bad("version"))?;
    let name = next().ok_or_else(|| bad("name"))?;
    let checksum = next().ok_or_else(|| bad("checksum"))?;
    let up_file = next().ok_or_else(|| bad("up_file"))?;
    let up = next().ok_or_else(|| bad("up_sql"))?;
    let down_file = next();
    let down = next();
    let statements = next().and_then(|s| serde_json::from_str(&s).ok()).ok_or_else(|| bad("statements"))?;
    let state = next();
    let started = next().and_then(|n| n.parse().ok()).ok_or_else(|| bad("started"))?;
    let committed = next().and_then(|n| n.parse().ok()).ok_or_else(|| bad("committed"))?;
    let state = match state.as_deref() {
        Some("applied") => State::Applied,
        Some("in_progress") => State::InProgress { started, committed },
        _ => return Err(bad("state")),
    };
    let run = next().ok_or_else(|| bad("run"))?;
    let applied_at = next().ok_or_else(|| bad("applied_at"))?;
    Ok(Applied { version, name, checksum, up_file, up, down_file, down, statements, state, run, applied_at })
}

//! Applying a migration, taking one back, and finding out what became of one.
//!
//! A migration runs in one transaction together with its row in the journal, so that the journal is exact whatever
//! happens: a process or a server that dies leaves all of it or nothing. Files that open with
//! [`NO_TRANSACTION`](super::source::NO_TRANSACTION) are `stepwise`'s.
//!
//! Two that migrate one database at once: on PostgreSQL an advisory lock that ends with the transaction, on SQLite
//! `BEGIN IMMEDIATE`. The advisory lock is *tried* again and again instead of waited for: a waiting query holds a
//! snapshot, for which another's `CREATE INDEX CONCURRENTLY` would wait in turn, for ever.
//!
//! [`find`] takes the same lock before it looks. So it never answers "not applied" while the server is still busy with
//! a transaction whose client died.

use std::time::Duration;

use super::connection::{self, Connection};
use super::database::{Access, Database};
use super::effects;
use super::error::{DatabaseErrorKind, FailedStatement, FailureClass, MigrateError};
use super::history;
use super::journal::{self, Applied, Journal, State, Table, TableError};
use super::source::Migration;
use super::sql::{self, Dialect, Statement};
use super::stepwise;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::crash;

/// The key of the advisory lock: the first eight bytes of SHA-256 of `gantry_migrations`. Locks are per database.
pub(crate) const LOCK_KEY: i64 = 0x7ddf_92f7_6699_ea71;

/// How often a lock that another holds is tried.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// How much of a statement an error shows, in characters.
const EXCERPT: usize = 200;

/// How many references without their row an error names.
const BROKEN_SHOWN: usize = 5;

/// Under whose name and within which bounds a migration runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunContext {
    /// The run's identity, for the journal.
    pub run: String,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long to wait for a lock, Gantry's own or one on a table.
    pub lock_timeout: Duration,
}

/// What became of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is applied as a whole.
    Applied(Box<Applied>),
    /// Nothing of it is.
    NotApplied,
    /// It has no transaction, and is half applied.
    Partial(Box<Applied>),
    /// Its version is taken by another text; the record is that one's.
    Differs(Box<Applied>),
}

/// What an apply did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedInfo {
    /// The migration as it is recorded now.
    pub record: Applied,
    /// Whether it was there already, by another run or by a call whose answer got lost.
    pub already: bool,
}

/// What taking back did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// The stored way back was run and the record is gone; this is what it was.
    Done(Box<Applied>),
    /// There was no record.
    NotApplied,
}

/// Applies a migration. One that is applied already, with the same text, is left alone.
///
/// # Errors
/// With what is known of its effect; see [`FailureClass`].
pub async fn apply(database: &Database, migration: &Migration, ctx: &RunContext) -> Result<AppliedInfo, MigrateError> {
    if let Some(bad) = effects::check(migration, database.dialect()).into_iter().next() {
        let mut error = MigrateError::refused(bad.message, bad.hint);
        error.class = FailureClass::NotSent;
        error.statement = Some(FailedStatement { file: bad.file, line: bad.line, excerpt: String::new() });
        return Err(error);
    }
    let mut session = Session::open(database, ctx).await?;
    let applied = if migration.no_transaction {
        stepwise::apply(&mut session, migration).await
    } else {
        session.apply(migration).await
    };
    session.close().await;
    applied
}

/// Takes the newest migration back by the text that was stored when it was applied, in one transaction with the removal of
/// its record.
///
/// # Errors
/// With what is known of the effect; among others when there is no way back, or a newer one is applied.
pub async fn revert(database: &Database, version: u64, ctx: &RunContext) -> Result<Reverted, MigrateError> {
    if database.is_absent() {
        return Ok(Reverted::NotApplied);
    }
    let mut session = Session::open(database, ctx).await?;
    let reverted = session.revert(version).await;
    session.close().await;
    reverted
}

/// Finds out what became of a migration whose outcome is not known, once nothing is at work on it any more.
///
/// # Errors
/// When the database cannot be asked, or is still at work on it after the lock timeout.
pub async fn find(database: &Database, version: u64, checksum: &str, ctx: &RunContext) -> Result<Found, MigrateError> {
    if database.is_absent() {
        return Ok(Found::NotApplied);
    }
    let mut session = Session::open(database, ctx).await?;
    let found = session.find(version).await;
    session.close().await;
    Ok(match found? {
        None => Found::NotApplied,
        Some(record) if record.checksum != checksum => Found::Differs(Box::new(record)),
        Some(record) if record.state == State::Applied => Found::Applied(Box::new(record)),
        Some(record) => Found::Partial(Box::new(record)),
    })
}

/// A connection at work for one call.
pub(crate) struct Session<'a> {
    pub(crate) database: &'a Database,
    pub(crate) ctx: &'a RunContext,
    pub(crate) connection: Connection,
}

impl<'a> Session<'a> {
    async fn open(database: &'a Database, ctx: &'a RunContext) -> Result<Self, MigrateError> {
        let connection = database.connect(Access::Write, ctx.lock_timeout).await?;
        let mut session = Self { database, ctx, connection };
        match session.connection.bound(ctx.statement_timeout, ctx.lock_timeout).await {
            Ok(()) => Ok(session),
            Err(error) => {
                let error = database.error("cannot prepare the connection to", &error);
                session.close().await;
                Err(error.into())
            }
        }
    }

    async fn close(self) {
        self.connection.close().await;
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    async fn apply(&mut self, migration: &Migration) -> Result<AppliedInfo, MigrateError> {
        crash::point("migrate.begin");
        self.begin_locked().await?;
        let done = self.apply_inside(migration).await;
        self.end(done, "migrate.commit", "migrate.committed").await
    }

    async fn apply_inside(&mut self, migration: &Migration) -> Result<AppliedInfo, MigrateError> {
        let (table, journal) = self.journal().await?;
        if let Some(record) = journal.get(migration.version) {
            history::compare(migration, record, &journal).map_err(|e| MigrateError::refused(e.message, e.hint))?;
            return Ok(AppliedInfo { record: record.clone(), already: true });
        }
        if let Some(e) = history::newer(migration, &journal) {
            return Err(MigrateError::refused(e.message, e.hint));
        }
        self.statements(&migration.up_file, &migration.up).await?;
        let now = SystemClock.now();
        let record = journal::record_of(migration, self.dialect(), State::Applied, &self.ctx.run, now);
        table.put(&mut self.connection, &record).await.map_err(|e| self.rejected(&e, "cannot record the migration"))?;
        Ok(AppliedInfo { record, already: false })
    }

    async fn revert(&mut self, version: u64) -> Result<Reverted, MigrateError> {
        crash::point("migrate.revert_begin");
        self.begin_locked().await?;
        let done = self.revert_inside(version).await;
        self.end(done, "migrate.revert_commit", "migrate.reverted").await
    }

    async fn revert_inside(&mut self, version: u64) -> Result<Reverted, MigrateError> {
        let (table, journal) = self.journal().await?;
        let Some(record) = journal.get(version) else { return Ok(Reverted::NotApplied) };
        if let Some(newest) = journal.applied.last().filter(|a| a.version > version) {
            return Err(MigrateError::refused(
                format!("{} cannot be taken back before {}, which came after it", record.up_file, newest.up_file),
                format!("Take {} back first.", newest.up_file),
            ));
        }
        let Some(down) = &record.down else {
            return Err(MigrateError::refused(
                format!("{} was applied without a way back", record.up_file),
                "Write a new migration that undoes it.",
            ));
        };
        let file = record.down_file.as_deref().unwrap_or("the stored way back");
        self.statements(file, down).await?;
        table.remove(&mut self.connection, version).await.map_err(|e| self.rejected(&e, "cannot remove the record"))?;
        Ok(Reverted::Done(Box::new(record.clone())))
    }

    async fn find(&mut self, version: u64) -> Result<Option<Applied>, MigrateError> {
        self.begin_locked().await?;
        let journal = self.journal().await;
        // Nothing is to be changed, not even by making the journal.
        let _ = self.connection.send("ROLLBACK").await;
        Ok(journal?.1.get(version).cloned())
    }

    /// Opens a transaction that keeps other migrators out.
    pub(crate) async fn begin_locked(&mut self) -> Result<(), MigrateError> {
        let what = "cannot begin a transaction on";
        if self.dialect() == Dialect::Sqlite {
            return match self.connection.send("BEGIN IMMEDIATE").await {
                Ok(()) => Ok(()),
                Err(e) if matches!(connection::code(&e).as_deref(), Some("5" | "261" | "517")) => Err(self.busy()),
                Err(e) => Err(self.database.error(what, &e).into()),
            };
        }
        let deadline = SystemClock.elapsed().saturating_add(self.ctx.lock_timeout);
        loop {
            let locked = async {
                self.connection.send("BEGIN").await?;
                self.connection.value(&format!("SELECT CAST(pg_try_advisory_xact_lock({LOCK_KEY}) AS TEXT)")).await
            };
            if locked.await.map_err(|e| self.database.error(what, &e))?.as_deref() == Some("true") {
                return Ok(());
            }
            self.connection.send("ROLLBACK").await.map_err(|e| self.database.error(what, &e))?;
            self.wait_for_lock(deadline).await?;
        }
    }

    /// Waits a moment before a lock is tried again, or gives up.
    pub(crate) async fn wait_for_lock(&self, deadline: Duration) -> Result<(), MigrateError> {
        if SystemClock.elapsed() >= deadline {
            return Err(self.busy());
        }
        tokio::time::sleep(LOCK_RETRY).await;
        Ok(())
    }

    fn busy(&self) -> MigrateError {
        let message = format!(
            "{} is being migrated or written by another process, and still was after {} s",
            self.database,
            self.ctx.lock_timeout.as_secs_f32()
        );
        let hint = match self.dialect() {
            Dialect::Sqlite => "Wait for it to end, or stop the process that has the file open for writing.",
            Dialect::Postgres => {
                "Wait for it to end; `SELECT * FROM pg_stat_activity WHERE application_name = 'gantry'` shows it."
            }
        };
        MigrateError { class: FailureClass::NotSent, transient: true, ..MigrateError::refused(message, hint) }
    }

    /// The journal, made if it is missing, and what is in it.
    pub(crate) async fn journal(&mut self) -> Result<(Table, Journal), MigrateError> {
        let dialect = self.dialect();
        let told = |e: TableError, database: &Database| {
            let told = e.told(database);
            let transient = told.kind == DatabaseErrorKind::Unreachable;
            MigrateError { transient, ..MigrateError::refused(told.message, told.hint) }
        };
        let table = Table::ensure(dialect, &mut self.connection).await.map_err(|e| told(e, self.database))?;
        let applied = table.all(&mut self.connection).await.map_err(|e| told(e, self.database))?;
        Ok((table, Journal { dialect, applied }))
    }

    /// Sends the statements of a file inside of the open transaction.
    async fn statements(&mut self, file: &str, text: &str) -> Result<(), MigrateError> {
        let before = self.broken_references().await?.len();
        for statement in sql::split(text, self.dialect()) {
            self.statement(file, &statement).await?;
        }
        let broken = self.broken_references().await?;
        if broken.len() > before {
            let shown: Vec<&str> = broken.iter().rev().take(BROKEN_SHOWN).map(String::as_str).collect();
            return Err(MigrateError::refused(
                format!("{file} leaves {} references without their row: {}", broken.len() - before, shown.join("; ")),
                "Foreign keys are not enforced while a migration runs and are checked at its end: delete or keep both sides.",
            ));
        }
        Ok(())
    }

    /// Sends one statement, bounded.
    pub(crate) async fn statement(&mut self, file: &str, statement: &Statement<'_>) -> Result<(), MigrateError> {
        if self.dialect() == Dialect::Sqlite {
            let bounded = self.connection.bound(self.ctx.statement_timeout, self.ctx.lock_timeout).await;
            bounded.map_err(|e| self.rejected(&e, "cannot bound the statement"))?;
        }
        let sent = self.connection.send(statement.text).await;
        crash::point("migrate.statement");
        sent.map_err(|error| self.statement_failed(file, statement, &error))
    }

    fn statement_failed(&self, file: &str, statement: &Statement<'_>, error: &sqlx::Error) -> MigrateError {
        let mut excerpt: String = statement.text.chars().take(EXCERPT).collect();
        if excerpt.len() < statement.text.len() {
            excerpt.push('…');
        }
        let mut failed = self.rejected(error, "");
        failed.message = self.database.redact(&connection::full_reason(error));
        failed.statement = Some(FailedStatement {
            file: file.to_owned(),
            line: statement.line + connection::line_offset(error, statement.text),
            excerpt: self.database.redact(&excerpt),
        });
        match connection::code(error).as_deref() {
            Some("57014" | "9") => {
                let time = self.ctx.statement_timeout.as_secs_f32();
                failed.message = format!("the statement was stopped after {time} s ({})", failed.message);
                failed.hint = "Split the work into smaller statements, or allow more time.".into();
            }
            Some("55P03") => {
                failed.hint = "Another connection holds a lock on the table; try again when it is done.".into();
            }
            _ if error.as_database_error().is_some() => {
                failed.hint = "Correct the statement and apply again: nothing of this file was kept.".into();
            }
            _ => {}
        }
        failed
    }

    /// A failure inside of a transaction that was not committed: it had no effect.
    pub(crate) fn rejected(&self, error: &sqlx::Error, act: &str) -> MigrateError {
        let told = self.database.error(act, error);
        let code = connection::code(error);
        // Lost connections, deadlocks, serialization failures and locks go away by themselves.
        let transient =
            told.kind == DatabaseErrorKind::Unreachable || matches!(code.as_deref(), Some("40001" | "40P01" | "55P03"));
        MigrateError { transient, ..MigrateError::refused(told.message, told.hint) }
    }

    /// SQLite's references to rows that are not there. PostgreSQL enforces them by itself.
    async fn broken_references(&mut self) -> Result<Vec<String>, MigrateError> {
        if self.dialect() == Dialect::Postgres {
            return Ok(Vec::new());
        }
        let sql = "SELECT 'row ' || coalesce(rowid, '?') || ' of ' || \"table\" || ' refers to ' || parent FROM \
                   pragma_foreign_key_check";
        let rows = self.connection.rows(sql).await;
        let rows = match rows {
            // A reference to a table that does not exist makes the whole check fail, before as well as after.
            Err(e) if e.as_database_error().is_some() => return Ok(Vec::new()),
            other => other.map_err(|e| self.rejected(&e, "cannot check the references of"))?,
        };
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Commits what went well and takes back what did not.
    async fn end<T>(
        &mut self,
        done: Result<T, MigrateError>,
        before: &'static str,
        after: &'static str,
    ) -> Result<T, MigrateError> {
        match done {
            Ok(done) => {
                crash::point(before);
                self.commit().await?;
                crash::point(after);
                Ok(done)
            }
            Err(error) => {
                // Where this fails the connection is gone, and the transaction with it.
                let _ = self.connection.send("ROLLBACK").await;
                Err(error)
            }
        }
    }

    /// Commits. No answer, or one from a server that is going down, leaves open whether it did.
    pub(crate) async fn commit(&mut self) -> Result<(), MigrateError> {
        let Err(error) = self.connection.send("COMMIT").await else { return Ok(()) };
        let mut failed = self.rejected(&error, "cannot commit on");
        let answered = connection::code(&error).is_some_and(|code| {
            self.dialect() == Dialect::Sqlite || !["57P", "58", "XX", "08", "40003"].iter().any(|c| code.starts_with(c))
        });
        if answered {
            failed.hint =
                "A constraint that is checked at the end of the transaction refuses what the migration leaves.".into();
            let _ = self.connection.send("ROLLBACK").await;
        } else {
            failed.class = FailureClass::Unknown;
            failed.message = format!("{}; whether it was committed is not known", failed.message);
            failed.hint = "Apply again: it is looked up first.".into();
        }
        Err(failed)
    }
}

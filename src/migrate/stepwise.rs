//! Migrations without a transaction: statement by statement, each noted before and after.
//!
//! A statement that can run in a transaction runs in one of its own, together with the note that it took effect; what
//! stands between `BEGIN` and `COMMIT` in the file likewise. For these the journal is exact. A statement that cannot
//! (`CREATE INDEX CONCURRENTLY`, `VACUUM`) is noted as begun, sent, and noted as done. If the second note is missing,
//! the database is *asked* whether it took effect before it is sent again; where it cannot tell, a person has to.
//!
//! An index whose concurrent build was cut off stays behind invalid: it is dropped before it is built again.

use std::ops::Range;

use super::class::{self, Class, Words};
use super::error::{FailedStatement, FailureClass, MigrateError, Progress};
use super::history;
use super::journal::{self, Applied, State, Table};
use super::run::{AppliedInfo, LOCK_KEY, Session};
use super::source::Migration;
use super::sql::{self, Dialect, Statement};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::crash;

/// What is carried out, and noted, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    /// Positions of its statements in the file, `BEGIN` and `COMMIT` included.
    statements: Range<usize>,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// In one transaction with its note.
    Transaction,
    /// Outside of any.
    Alone,
    /// Sets something of the connection: outside of any, and again on every new connection.
    Session,
}

/// Groups statements into units. The file was checked: transactions in it are opened and committed properly.
fn units(statements: &[Statement<'_>], dialect: Dialect) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut open = None;
    for (at, statement) in statements.iter().enumerate() {
        let (start, how) = match class::class(statement, dialect) {
            Class::Begin => {
                open = Some(at);
                continue;
            }
            Class::Commit => (open.take().unwrap_or(at), How::Transaction),
            _ if open.is_some() => continue,
            Class::Alone(_) => (at, How::Alone),
            Class::Session => (at, How::Session),
            _ => (at, How::Transaction),
        };
        units.push(Unit { statements: start..at + 1, how });
    }
    units
}

/// What is known of a statement that was begun and never noted as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Done,
    NotDone,
    CannotTell,
}

/// Applies a migration statement by statement, going on behind what took effect already.
pub(crate) async fn apply(session: &mut Session<'_>, migration: &Migration) -> Result<AppliedInfo, MigrateError> {
    lock(session).await?;
    let statements = sql::split(&migration.up, session.dialect());
    let (table, mut record, open) = match begin(session, migration).await? {
        Begun::Already(record) => return Ok(AppliedInfo { record, already: true }),
        Begun::Open { table, record, interrupted } => (table, record, interrupted),
    };
    let mut steps = Steps { session, table, migration, statements: &statements };
    let State::InProgress { mut committed, .. } = record.state else {
        return Ok(AppliedInfo { record, already: true });
    };
    let told = |mut error: MigrateError, committed: usize| {
        error.progress = Some(Progress { committed, total: statements.len() });
        error
    };
    steps.settings(committed).await.map_err(|e| told(e, committed))?;
    for unit in units(&statements, steps.session.dialect()) {
        if unit.statements.end <= committed {
            continue;
        }
        let interrupted = open && unit.statements.start == committed;
        steps.unit(&unit, committed, interrupted).await.map_err(|e| told(e, committed))?;
        committed = unit.statements.end;
    }
    record.state = State::Applied;
    record.applied_at = SystemClock.now().to_string();
    steps.finish(&record).await.map_err(|e| told(e, committed))?;
    Ok(AppliedInfo { record, already: false })
}

/// Keeps other migrators out for as long as the connection stands. SQLite has no such lock: there each unit takes the
/// database's own, and the note of progress fails if another moved on.
async fn lock(session: &mut Session<'_>) -> Result<(), MigrateError> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let deadline = SystemClock.elapsed().saturating_add(session.ctx.lock_timeout);
    loop {
        let got = session.connection.value(&format!("SELECT CAST(pg_try_advisory_lock({LOCK_KEY}) AS TEXT)")).await;
        if got.map_err(|e| session.database.error("cannot lock", &e))?.as_deref() == Some("true") {
            return Ok(());
        }
        session.wait_for_lock(deadline).await?;
    }
}

enum Begun {
    Already(Applied),
    Open { table: Table, record: Applied, interrupted: bool },
}

/// Writes the intent: the record of the migration, in progress.
async fn begin(session: &mut Session<'_>, migration: &Migration) -> Result<Begun, MigrateError> {
    session.begin_locked().await?;
    match begin_inside(session, migration).await {
        Ok(begun) => {
            session.commit().await?;
            crash::point("migrate.begun");
            Ok(begun)
        }
        Err(error) => {
            let _ = session.connection.send("ROLLBACK").await;
            Err(error)
        }
    }
}

async fn begin_inside(session: &mut Session<'_>, migration: &Migration) -> Result<Begun, MigrateError> {
    let refused = |e: history::HistoryError| MigrateError::refused(e.message, e.hint);
    let (table, journal) = session.journal().await?;
    let old = journal.get(migration.version);
    let (committed, begun) = match old {
        Some(old) => match (history::compare(migration, old, &journal).map_err(refused)?, old.state) {
            (Some(committed), State::InProgress { started, .. }) => (committed, started),
            _ => return Ok(Begun::Already(old.clone())),
        },
        None => match history::newer(migration, &journal) {
            Some(error) => return Err(refused(error)),
            None => (0, 0),
        },
    };
    let now = SystemClock.now();
    let state = State::InProgress { started: begun, committed };
    let mut record = journal::record_of(migration, session.dialect(), state, &session.ctx.run, now);
    // A statement that was begun is in doubt only as long as it is the same: an edited one is another.
    let same = old.is_some_and(|o| o.statements.get(committed) == record.statements.get(committed));
    let interrupted = begun > committed && same;
    if !interrupted {
        record.state = State::InProgress { started: committed, committed };
    }
    table
        .put(&mut session.connection, &record)
        .await
        .map_err(|e| session.rejected(&e, "cannot record the intent on"))?;
    Ok(Begun::Open { table, record, interrupted })
}

struct Steps<'s, 'a, 't> {
    session: &'s mut Session<'a>,
    table: Table,
    migration: &'t Migration,
    statements: &'t [Statement<'t>],
}

impl Steps<'_, '_, '_> {
    /// Repeats the settings among the statements that an earlier connection carried out.
    async fn settings(&mut self, committed: usize) -> Result<(), MigrateError> {
        for unit in units(self.statements, self.session.dialect()) {
            if unit.how == How::Session && unit.statements.end <= committed {
                self.send(&unit).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, unit: &Unit) -> Result<(), MigrateError> {
        for at in unit.statements.clone() {
            let statement = self.statements[at];
            let inner = !matches!(class::class(&statement, self.session.dialect()), Class::Begin | Class::Commit);
            if inner {
                self.session.statement(&self.migration.up_file, &statement).await?;
            }
        }
        Ok(())
    }

    /// Notes that `started` statements were begun and `committed` took effect, where `from` had.
    async fn note(&mut self, from: usize, started: usize, committed: usize) -> Result<(), MigrateError> {
        let version = self.migration.version;
        let noted = self.table.progress(&mut self.session.connection, version, from, (started, committed)).await;
        noted.map_err(|error| match error {
            sqlx::Error::RowNotFound => MigrateError {
                transient: true,
                ..MigrateError::refused(
                    format!("{} is being applied by another process at the same time", self.migration.up_file),
                    "Wait for that to end, then apply again.",
                )
            },
            error => self.session.rejected(&error, "cannot note the progress on"),
        })
    }

    async fn unit(&mut self, unit: &Unit, committed: usize, interrupted: bool) -> Result<(), MigrateError> {
        let end = unit.statements.end;
        match unit.how {
            How::Transaction => {
                let begin = if self.session.dialect() == Dialect::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
                let begun = self.session.connection.send(begin).await;
                begun.map_err(|e| self.session.rejected(&e, "cannot begin a transaction on"))?;
                let done = match self.send(unit).await {
                    Ok(()) => self.note(committed, end, end).await,
                    failed => failed,
                };
                if let Err(error) = done {
                    let _ = self.session.connection.send("ROLLBACK").await;
                    return Err(error);
                }
                crash::point("migrate.step_commit");
                self.session.commit().await?;
                crash::point("migrate.step_committed");
                Ok(())
            }
            How::Session => {
                self.send(unit).await?;
                self.note(committed, end, end).await
            }
            How::Alone => self.alone(unit, committed, interrupted).await,
        }
    }

    async fn alone(&mut self, unit: &Unit, committed: usize, interrupted: bool) -> Result<(), MigrateError> {
        let end = unit.statements.end;
        let statement = self.statements[unit.statements.start];
        if interrupted {
            match self.look(&statement).await? {
                Seen::Done => return self.note(committed, end, end).await,
                Seen::NotDone => {}
                Seen::CannotTell => return Err(self.in_doubt(&statement)),
            }
        }
        self.note(committed, end, committed).await?;
        crash::point("migrate.alone_started");
        self.send(unit).await.map_err(|mut error| {
            // An answer of the database is an answer; anything else leaves open what happened.
            if error.transient {
                error.class = FailureClass::Unknown;
            }
            error.hint = "Apply again: what this statement left behind is looked at first.".into();
            error
        })?;
        crash::point("migrate.alone_done");
        self.note(committed, end, end).await
    }

    fn in_doubt(&self, statement: &Statement<'_>) -> MigrateError {
        let mut error = MigrateError::refused(
            "this statement was begun by a run that was cut off, and nothing tells whether it took effect",
            "Look in the database. If it took effect, remove the statement from the file; if not, change its text \
             (a comment inside of it is enough). Then apply again.",
        );
        error.class = FailureClass::Unknown;
        error.statement = Some(FailedStatement {
            file: self.migration.up_file.clone(),
            line: statement.line,
            excerpt: self.session.database.redact(statement.text.lines().next().unwrap_or_default()),
        });
        error
    }

    /// Asks the database what became of a statement that was begun.
    async fn look(&mut self, statement: &Statement<'_>) -> Result<Seen, MigrateError> {
        let words = Words::new(statement.text, self.session.dialect());
        let failed =
            |e: sqlx::Error, session: &Session<'_>| session.rejected(&e, "cannot look what became of a statement on");
        if words.is_any(0, &["VACUUM", "REINDEX", "CLUSTER"]) || words.are(0, &["ALTER", "SYSTEM"]) {
            return Ok(Seen::NotDone);
        }
        if words.are(0, &["DROP", "INDEX"]) {
            let at = if words.is(2, "CONCURRENTLY") { 3 } else { 2 };
            let name = words.name(at + if words.are(at, &["IF", "EXISTS"]) { 2 } else { 0 });
            let Some((name, _)) = name else { return Ok(Seen::CannotTell) };
            let gone = self.session.connection.value_of(REGCLASS, &name).await.map_err(|e| failed(e, self.session))?;
            return Ok(if gone.is_some() { Seen::NotDone } else { Seen::Done });
        }
        let Some(index) = words.find(0, 3, &["INDEX"]).filter(|_| words.is(0, "CREATE")) else {
            let repeatable = words.has(&["IF", "EXISTS"]) || words.has(&["IF", "NOT", "EXISTS"]);
            return Ok(if repeatable { Seen::NotDone } else { Seen::CannotTell });
        };
        let at = index + 1 + usize::from(words.is(index + 1, "CONCURRENTLY"));
        let at = at + if words.are(at, &["IF", "NOT", "EXISTS"]) { 3 } else { 0 };
        // An index without a name of its own gets one from the server, which nobody knows.
        let Some((name, _)) = words.name(at).filter(|_| !words.is(at, "ON")) else { return Ok(Seen::CannotTell) };
        let table = words.find(at, words.len(), &["ON"]);
        let table = table.and_then(|on| words.name(on + 1 + usize::from(words.is(on + 1, "ONLY")))).map(|t| t.0);
        // The index stands in its table's schema, whatever the search path.
        let qualified = match table.as_deref().and_then(|t| t.rsplit_once('.')) {
            Some((schema, _)) => format!("{schema}.{name}"),
            None => name,
        };
        let valid = self.session.connection.value_of(VALID_INDEX, &qualified).await;
        match valid.map_err(|e| failed(e, self.session))?.as_deref() {
            None => Ok(Seen::NotDone),
            Some("true") => Ok(Seen::Done),
            Some(_) => {
                let dropped = self.session.connection.send(&format!("DROP INDEX CONCURRENTLY {qualified}")).await;
                dropped.map_err(|e| self.session.rejected(&e, "cannot drop the half-built index on"))?;
                Ok(Seen::NotDone)
            }
        }
    }

    async fn finish(&mut self, record: &Applied) -> Result<(), MigrateError> {
        // One statement after the other, and each of them may be lost: the record is put in one transaction.
        let begun = self.session.connection.send("BEGIN").await;
        begun.map_err(|e| self.session.rejected(&e, "cannot begin a transaction on"))?;
        let put = self.table.put(&mut self.session.connection, record).await;
        put.map_err(|e| self.session.rejected(&e, "cannot record the migration on"))?;
        crash::point("migrate.commit");
        self.session.commit().await?;
        crash::point("migrate.committed");
        Ok(())
    }
}

/// The name of a relation, if it exists.
const REGCLASS: &str = "SELECT CAST(to_regclass($1) AS TEXT)";

/// Whether an index is whole; no row if there is none.
const VALID_INDEX: &str = "SELECT CAST(indisvalid AS TEXT) FROM pg_catalog.pg_index WHERE indexrelid = to_regclass($1)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_begin_and_commit_is_one_unit() {
        let text = "PRAGMA foreign_keys = off; BEGIN; SELECT 1; SELECT 2; COMMIT; VACUUM; SELECT 3";
        let found = units(&sql::split(text, Dialect::Sqlite), Dialect::Sqlite);
        let expected = [(0..1, How::Session), (1..5, How::Transaction), (5..6, How::Alone), (6..7, How::Transaction)];
        assert_eq!(found, expected.map(|(statements, how)| Unit { statements, how }));
    }
}

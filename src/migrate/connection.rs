//! One connection to either kind of database, with the few calls that migrations need.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgDatabaseError, PgErrorPosition, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::ports::clock::{Clock as _, SystemClock};

/// How long a connection may take to say goodbye before it is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many of SQLite's virtual instructions run between two looks at the clock: about a millisecond.
const INSTRUCTIONS_PER_LOOK: i32 = 10_000;

/// A value bound to a statement.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Text(Option<String>),
    Int(i64),
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<usize> for Arg {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A connection that belongs to one call and is closed at its end, whatever the end: a lock that a failed migration
/// left behind ends with it.
pub(crate) enum Connection {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

type Outcome<T> = Result<T, sqlx::Error>;

impl Connection {
    /// Sends one statement as it is, without preparing it, and drops the rows that it answers.
    pub(crate) async fn send(&mut self, sql: &str) -> Outcome<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(c) => sql.execute(&mut **c).await.map(drop),
            Self::Postgres(c) => sql.execute(&mut **c).await.map(drop),
        }
    }

    /// Executes one of Gantry's own statements; `$1`, `$2` stand for the arguments. Answers the rows changed.
    pub(crate) async fn execute(&mut self, sql: &str, args: &[Arg]) -> Outcome<u64> {
        macro_rules! execute {
            ($connection:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
                for arg in args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text.clone()),
                        Arg::Int(number) => query.bind(*number),
                    };
                }
                query.execute(&mut **$connection).await.map(|done| done.rows_affected())
            }};
        }
        match self {
            Self::Sqlite(c) => execute!(c),
            Self::Postgres(c) => execute!(c),
        }
    }

    /// Asks one of Gantry's own queries, whose columns are all text.
    pub(crate) async fn rows(&mut self, sql: &str) -> Outcome<Vec<Vec<Option<String>>>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(c) => {
                let rows = sqlx::query(sql).persistent(false).fetch_all(&mut **c).await?;
                rows.iter().map(|row: &SqliteRow| (0..row.len()).map(|n| row.try_get(n)).collect()).collect()
            }
            Self::Postgres(c) => {
                let rows = sqlx::query(sql).persistent(false).fetch_all(&mut **c).await?;
                rows.iter().map(|row: &PgRow| (0..row.len()).map(|n| row.try_get(n)).collect()).collect()
            }
        }
    }

    /// The first column of the first row.
    pub(crate) async fn value(&mut self, sql: &str) -> Outcome<Option<String>> {
        Ok(self.rows(sql).await?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// The first column of the first row of a query about `$1`.
    pub(crate) async fn value_of(&mut self, sql: &'static str, arg: &str) -> Outcome<Option<String>> {
        let row: Option<(Option<String>,)> = match self {
            Self::Sqlite(c) => sqlx::query_as(sql).bind(arg).persistent(false).fetch_optional(&mut **c).await?,
            Self::Postgres(c) => sqlx::query_as(sql).bind(arg).persistent(false).fetch_optional(&mut **c).await?,
        };
        Ok(row.and_then(|r| r.0))
    }

    /// Bounds each statement from now on. PostgreSQL bounds each by itself; SQLite, which has no such setting, all
    /// of them until this is called again.
    pub(crate) async fn bound(&mut self, statement: Duration, lock: Duration) -> Outcome<()> {
        match self {
            Self::Postgres(_) => {
                let sql = format!("SET statement_timeout = {}; SET lock_timeout = {}", millis(statement), millis(lock));
                self.send(&sql).await
            }
            Self::Sqlite(c) => {
                let deadline = SystemClock.elapsed().saturating_add(statement);
                let mut handle = c.lock_handle().await?;
                handle.set_progress_handler(INSTRUCTIONS_PER_LOOK, move || SystemClock.elapsed() < deadline);
                Ok(())
            }
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Sqlite(c) => tokio::time::timeout(CLOSE_TIMEOUT, c.close()).await,
            Self::Postgres(c) => tokio::time::timeout(CLOSE_TIMEOUT, c.close()).await,
        };
        // The call that used it has its outcome; a goodbye that fails takes nothing from it.
        drop(closed);
    }
}

/// PostgreSQL takes timeouts in whole milliseconds, as a signed 32-bit number, and 0 for none.
fn millis(time: Duration) -> u128 {
    time.as_millis().clamp(1, 2_147_483_647)
}

/// How often a line further down is named for an error inside of a statement: by how many line ends stand before it.
pub(crate) fn line_offset(error: &sqlx::Error, statement: &str) -> usize {
    let Some(error) = error.as_database_error() else { return 0 };
    let at = match error.try_downcast_ref::<PgDatabaseError>() {
        Some(error) => match error.position() {
            Some(PgErrorPosition::Original(position)) => {
                statement.char_indices().nth(position.saturating_sub(1)).map(|(at, _)| at)
            }
            _ => None,
        },
        // SQLite names only the word (`near "FORM": syntax error`, `no such column: x`). It tells the line if it
        // stands there once.
        None => {
            let message = error.message();
            let near = message.strip_prefix("near \"").and_then(|rest| rest.split('"').next());
            let word = near.or_else(|| message.rsplit_once(": ").map(|(_, word)| word)).filter(|w| !w.is_empty());
            word.and_then(|word| statement.find(word).filter(|at| statement.rfind(word) == Some(*at)))
        }
    };
    at.map_or(0, |at| super::sql::newlines(&statement[..at]))
}

/// Everything that the database said about an error.
pub(crate) fn full_reason(error: &sqlx::Error) -> String {
    let mut text = crate::postgres::reason(error);
    if let Some(postgres) = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>()) {
        for (label, part) in [("detail", postgres.detail()), ("hint", postgres.hint())] {
            if let Some(part) = part {
                text.push_str(&format!("; {label}: {part}"));
            }
        }
    }
    text
}

/// The SQLSTATE, or SQLite's extended result code.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
}

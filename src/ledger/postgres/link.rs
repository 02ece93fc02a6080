//! Connections to the server, the statements that go over them, and what their failures are called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::time::Instant;

use crate::ledger::error::LedgerError;
use crate::ports::id;
use crate::postgres::{Server, reason};

use super::tables::Tables;
use super::{Names, PATIENCE};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one statement may take, as the server measures it: 4 MiB over a slow line, and a wait behind another writer.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(50);

/// The same as this side measures it, so that the server's answer comes first where there is one.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The first pause before a call is tried again; each later one is twice as long, to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How many connections are kept open between calls: an append, the lease's renewal, blobs.
const IDLE_MAX: usize = 4;

/// Makes the commit of a statement wait for the disk, whatever the role's or database's setting: a part of the statement that
/// the rest of it refers to (`FROM durable WHERE said IS NOT NULL`), because it has to be carried out before.
pub(super) const DURABLE: &str = "durable AS (SELECT set_config('synchronous_commit', 'on', true) AS said)";

/// A value of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg<'a> {
    Text(&'a str),
    Int(i64),
    Bytes(&'a [u8]),
    Ints(&'a [i64]),
    Pieces(&'a [Vec<u8>]),
}

/// A position or number as the database has it.
pub(super) fn int(number: u64) -> Arg<'static> {
    Arg::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// What the driver says of a call, if anything in time.
type Answered<T> = Result<sqlx::Result<T>, tokio::time::error::Elapsed>;

/// Why a call came to nothing.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// What happened, without secrets.
    pub(super) reason: String,
    /// What to do.
    hint: String,
    /// Whether the server may have carried it out all the same.
    pub(super) sent: bool,
    /// Whether another try may go better.
    passes: bool,
    /// The server's code.
    pub(super) code: Option<String>,
}

/// The way to the server.
pub(super) struct Link {
    server: Server,
    /// The ledger's name.
    pub(super) ledger: String,
    /// The names of the tables.
    pub(super) tables: Tables,
    /// Where it is, for people.
    pub(super) place: String,
    /// How long a server that went away is waited for.
    pub(super) patience: Duration,
    idle: Mutex<Vec<PgConnection>>,
    /// Whether the server was ever reached: one that never was is not waited for.
    reached: AtomicBool,
}

impl Link {
    pub(super) fn new(server: Server, names: &Names) -> Self {
        let Names { schema, ledger } = names;
        Self {
            place: format!("postgres://{} (schema {schema}, ledger {ledger})", server.address()),
            server,
            ledger: ledger.clone(),
            tables: Tables::new(schema),
            patience: PATIENCE,
            idle: Mutex::default(),
            reached: AtomicBool::new(false),
        }
    }

    /// The rows that a statement gives. It may be sent several times, so it has to come to the same then.
    pub(super) async fn rows(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<PgRow>, Fault> {
        let mut patience = self.patience();
        loop {
            match self.once(sql, args).await {
                Ok(rows) => return Ok(rows),
                Err(fault) if patience.again(&fault).await => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The rows of a statement that is sent once.
    pub(super) async fn once(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<PgRow>, Fault> {
        let mut connection = self.connection().await?;
        let answered = self.ask(&mut connection, sql, args).await;
        self.judge(connection, answered)
    }

    async fn ask(&self, connection: &mut PgConnection, sql: &str, args: &[Arg<'_>]) -> Answered<Vec<PgRow>> {
        let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        for arg in args {
            query = match *arg {
                Arg::Text(text) => query.bind(text),
                Arg::Int(number) => query.bind(number),
                Arg::Bytes(bytes) => query.bind(bytes),
                Arg::Ints(all) => query.bind(all),
                Arg::Pieces(all) => query.bind(all),
            };
        }
        tracing::trace!(place = self.place, sql, "sent");
        tokio::time::timeout(CALL_TIMEOUT, query.fetch_all(connection)).await
    }

    /// Begins a transaction of several statements, for what one cannot do. Given up, it is as if it had never been.
    pub(super) async fn begin(&self) -> Result<Transaction<'_>, Fault> {
        let mut transaction = Transaction { link: self, connection: self.connection().await? };
        transaction.rows("BEGIN", &[]).await?;
        Ok(transaction)
    }

    /// Several statements without values, in one transaction of their own.
    pub(super) async fn script(&self, sql: &str) -> Result<(), Fault> {
        let mut connection = self.connection().await?;
        tracing::debug!(place = self.place, sql, "sent");
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let answered = tokio::time::timeout(CALL_TIMEOUT, query.execute(&mut connection)).await;
        self.judge(connection, answered).map(drop)
    }

    /// Keeps a connection that is whole, and says what a call came to.
    fn judge<T>(&self, connection: PgConnection, answered: Answered<T>) -> Result<T, Fault> {
        // One whose call failed goes with whatever state it is in.
        let done = self.told(answered)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(done)
    }

    /// What a call came to.
    fn told<T>(&self, answered: Answered<T>) -> Result<T, Fault> {
        match answered {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.fault(&error, true)),
            Err(_) => Err(Fault {
                reason: format!("the server did not answer within {} seconds", CALL_TIMEOUT.as_secs()),
                hint: "look whether the server is well and the line to it is up".to_owned(),
                sent: true,
                passes: true,
                code: None,
            }),
        }
    }

    async fn connection(&self) -> Result<PgConnection, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        tracing::debug!(place = self.place, "connecting");
        // Through a pooler settings may not reach every session; then they only bound less.
        let settings = format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}",
            STATEMENT_TIMEOUT.as_millis(),
            STATEMENT_TIMEOUT.as_millis()
        );
        let connecting = async {
            let mut connection = self.server.options().connect().await?;
            sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => {
                self.reached.store(true, Ordering::Relaxed);
                Ok(connection)
            }
            Ok(Err(error)) => Err(self.fault(&error, false)),
            Err(_) => Err(Fault {
                reason: format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()),
                hint: "look whether the server is up and whether a firewall stands between".to_owned(),
                sent: false,
                passes: true,
                code: None,
            }),
        }
    }

    /// Gives up all connections that wait for work: they lead to a server that may be gone.
    pub(super) fn forget_connections(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn patience(&self) -> Patience<'_> {
        Patience { link: self, until: Instant::now() + self.patience, pause: FIRST_PAUSE }
    }

    /// A failure of reading, for people.
    pub(super) fn unreadable(&self) -> impl Fn(Fault) -> LedgerError {
        self.unavailable(false)
    }

    /// A failure of writing, for people.
    pub(super) fn not_written(&self) -> impl Fn(Fault) -> LedgerError {
        self.unavailable(true)
    }

    fn unavailable(&self, writing: bool) -> impl Fn(Fault) -> LedgerError {
        let place = self.place.clone();
        move |Fault { reason, hint, .. }| LedgerError::Unavailable { place: place.clone(), writing, reason, hint }
    }

    /// A row that is not what it has to be.
    pub(super) fn corrupt(&self, row: impl Into<String>, reason: impl Into<String>) -> LedgerError {
        let (file, reason) = (row.into(), reason.into());
        LedgerError::Corrupt { place: self.place.clone(), file, line: None, seq: None, reason }
    }

    /// What the driver said.
    fn fault(&self, error: &sqlx::Error, in_call: bool) -> Fault {
        let database = error.as_database_error();
        let code = database.and_then(sqlx::error::DatabaseError::code).map(|code| code.into_owned());
        // An error that the server answers undoes the statement, unless the server is going away.
        let going = code.as_deref().is_some_and(|c| c.starts_with("57P") || c.starts_with("08"));
        let broken = matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) || going;
        let full = matches!(code.as_deref(), Some("53300" | "55P03" | "40001" | "40P01"));
        Fault {
            reason: self.server.redact(&reason(error)),
            hint: self.advice(error, code.as_deref()),
            sent: in_call && (broken || database.is_none()),
            passes: broken || full,
            code,
        }
    }

    fn advice(&self, error: &sqlx::Error, code: Option<&str>) -> String {
        let (user, database, schema) = (self.server.user(), self.server.database(), &self.tables.quoted);
        match (error, code) {
            (sqlx::Error::Tls(_), _) => "look at `sslmode` and `sslrootcert` of the URL".to_owned(),
            (_, Some("28000" | "28P01")) => {
                format!("look at the user (\"{user}\") and the password in the URL of the `state` block")
            }
            (_, Some("3D000")) => format!("create the database first: createdb {database}"),
            (_, Some("42501")) => format!(
                "let the schema's owner run: GRANT USAGE, CREATE ON SCHEMA {schema} TO {user}; GRANT SELECT, INSERT, UPDATE, \
                 DELETE ON ALL TABLES IN SCHEMA {schema} TO {user} (or, where there is no such schema yet: GRANT CREATE ON \
                 DATABASE {database} TO {user})"
            ),
            (_, Some("25006")) => "the server is a standby, or the role or database is set to read only: name the primary in \
                                   the URL of the `state` block"
                .to_owned(),
            (_, Some("53100")) => {
                "free space on the server's disk, then run the same command again: it goes on from what was recorded".to_owned()
            }
            (_, Some("53300" | "57P03")) => "the server takes no connection right now; try again".to_owned(),
            (sqlx::Error::Io(_) | sqlx::Error::Protocol(_), _) | (_, Some("57P01" | "57P02")) => {
                "look whether the server is up and whether host and port are right, then run the same command again: it goes \
                 on from what was recorded"
                    .to_owned()
            }
            _ => "look at the server's log".to_owned(),
        }
    }
}

/// Several statements that take effect together or not at all.
pub(super) struct Transaction<'a> {
    link: &'a Link,
    connection: PgConnection,
}

impl Transaction<'_> {
    /// The rows that a statement gives.
    pub(super) async fn rows(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<PgRow>, Fault> {
        let answered = self.link.ask(&mut self.connection, sql, args).await;
        self.link.told(answered)
    }

    /// Has all of it take effect.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.rows("COMMIT", &[]).await.map(drop)
    }
}

/// How long calls are tried again.
pub(super) struct Patience<'a> {
    link: &'a Link,
    until: Instant,
    pause: Duration,
}

impl Patience<'_> {
    /// Waits, if another try may go better and there is time for it. What waits for its first connection does not: a wrong
    /// address is told at once.
    pub(super) async fn again(&mut self, fault: &Fault) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if !fault.passes || left.is_zero() || !self.link.reached.load(Ordering::Relaxed) {
            return false;
        }
        tracing::debug!(place = self.link.place, reason = fault.reason, "tried again");
        self.link.forget_connections();
        let jittered = self.pause.mul_f64(0.5 + f64::from(id::random::<1>()[0]) / 512.0);
        tokio::time::sleep(jittered.min(left)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

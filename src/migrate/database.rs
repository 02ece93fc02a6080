//! A database to migrate, from its URL. The URL is a secret: it goes in here and does not come out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::connection::Connection;
use super::error::{DatabaseError, DatabaseErrorKind};
use super::sql::Dialect;
use crate::ports;
use crate::postgres::{Server, reason};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database that can be migrated. Shown, it is its URL without password and parameters.
#[derive(Clone)]
pub struct Database {
    target: Target,
    shown: String,
}

#[derive(Clone)]
enum Target {
    Sqlite(PathBuf),
    Postgres(Box<Server>),
}

/// How a connection will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Changes nothing and creates nothing.
    Read,
    /// Changes; a SQLite file that is missing is created.
    Write,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.shown)
    }
}

impl Database {
    /// Reads a database URL.
    ///
    /// `postgres://user:password@host:port/database?parameters` (or `postgresql://`), `sqlite:///absolute/file.db` and
    /// `sqlite://relative/file.db` (or `sqlite:file.db`); a relative file starts at `base`.
    ///
    /// # Errors
    /// When it is no URL of a database that Gantry can migrate. The error does not hold the URL.
    pub fn parse(url: &str, base: &Path) -> Result<Self, DatabaseError> {
        let bad = |message: String, hint: &str| DatabaseError::new(DatabaseErrorKind::Url, message, hint);
        let known = "Write `postgres://user:password@host/database` or `sqlite://file.db`.";
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(bad("the database is given by something that is not a URL".into(), known));
        };
        match scheme {
            "postgres" | "postgresql" => Self::postgres(url),
            "sqlite" => Self::sqlite(rest.strip_prefix("//").unwrap_or(rest), base),
            "mysql" | "mariadb" => Err(bad(
                "MySQL databases are not supported: they commit each change of the schema at once, so that a migration \
                 that fails half-way could not be taken back"
                    .into(),
                known,
            )),
            // Before a colon that is no scheme may stand anything, a password too.
            _ if scheme.len() > 20 || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) => {
                Err(bad("the database is given by something that is not a URL".into(), known))
            }
            _ => Err(bad(format!("databases of the kind `{scheme}:` are not supported"), known)),
        }
    }

    fn sqlite(rest: &str, base: &Path) -> Result<Self, DatabaseError> {
        let bad = |message: &str, hint: &str| DatabaseError::new(DatabaseErrorKind::Url, message, hint);
        let (name, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(bad(
                "the SQLite URL names no file",
                "Write `sqlite://file.db` or `sqlite:///absolute/file.db`.",
            ));
        }
        if name == ":memory:" || parameters.split('&').any(|p| p == "mode=memory") {
            let message = "a SQLite database in memory is gone as soon as it is migrated";
            return Err(bad(message, "Name a file: `sqlite://file.db`."));
        }
        // The driver decodes %XX and knows the parameters; only what it made of the file's name is used here.
        let options = SqliteConnectOptions::from_str(&format!("sqlite://{rest}")).map_err(|e| {
            bad(
                &format!("the SQLite URL cannot be read: {e}"),
                "Parameters are `mode`, `cache`, `immutable` and `vfs`.",
            )
        })?;
        let file = base.join(options.get_filename());
        Ok(Self { shown: format!("sqlite://{}", file.display()), target: Target::Sqlite(file) })
    }

    fn postgres(url: &str) -> Result<Self, DatabaseError> {
        let server = Server::parse(url).map_err(|e| DatabaseError::new(DatabaseErrorKind::Url, e.message, e.hint))?;
        Ok(Self { shown: server.to_string(), target: Target::Postgres(Box::new(server)) })
    }

    /// Whose SQL it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.target {
            Target::Sqlite(_) => Dialect::Sqlite,
            Target::Postgres(_) => Dialect::Postgres,
        }
    }

    /// `text` without the URL and the password.
    pub(crate) fn redact(&self, text: &str) -> String {
        match &self.target {
            Target::Sqlite(_) => text.to_owned(),
            Target::Postgres(server) => server.redact(text),
        }
    }

    /// Whether there is nothing yet: a SQLite file that does not exist.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(&self.target, Target::Sqlite(file) if ports::fs::kind(file).is_none())
    }

    /// Opens a connection of its own.
    pub(crate) async fn connect(&self, access: Access, lock_timeout: Duration) -> Result<Connection, DatabaseError> {
        match &self.target {
            Target::Sqlite(file) => self.connect_sqlite(file, access, lock_timeout).await,
            Target::Postgres(server) => match tokio::time::timeout(CONNECT_TIMEOUT, server.options().connect()).await {
                Ok(Ok(connection)) => Ok(Connection::Postgres(Box::new(connection))),
                Ok(Err(error)) => Err(self.error("cannot connect to", &error)),
                Err(_) => Err(DatabaseError::new(
                    DatabaseErrorKind::Unreachable,
                    format!("cannot connect to {self}: no answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
                    "Look whether the server is up and whether a firewall stands between.",
                )),
            },
        }
    }

    async fn connect_sqlite(&self, file: &Path, access: Access, busy: Duration) -> Result<Connection, DatabaseError> {
        let parent = file.parent().unwrap_or(Path::new("."));
        if ports::fs::kind(parent) != Some(ports::fs::Kind::Directory) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::Missing,
                format!("cannot open {self}: the directory {} does not exist", parent.display()),
                format!("Create it: mkdir -p {}", parent.display()),
            ));
        }
        let mut options = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(busy)
            // The manual's way to rebuild a table drops the old one, which with enforcement on deletes the rows that
            // refer to it. All references are checked before the commit instead (run.rs).
            .foreign_keys(false)
            .disable_statement_logging();
        if access == Access::Read {
            // A database in WAL mode that nobody has open cannot be read without creating its side files, unless
            // it is promised not to change.
            // One whose writer was killed in a transaction cannot be read before SQLite has taken that back, which is a write.
            options = options.read_only(!has_journal(file)).immutable(is_closed_wal(file));
        } else {
            options = options.create_if_missing(true);
        }
        options.connect().await.map(|c| Connection::Sqlite(Box::new(c))).map_err(|e| self.error("cannot open", &e))
    }

    /// What the driver said, in words, as in "cannot read DATABASE: reason".
    pub(crate) fn error(&self, act: &str, error: &sqlx::Error) -> DatabaseError {
        let (kind, hint) = advice(error);
        DatabaseError::new(kind, self.redact(&format!("{act} {self}: {}", reason(error))), hint)
    }
}

fn advice(error: &sqlx::Error) -> (DatabaseErrorKind, &'static str) {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match (error, code.as_deref()) {
        (sqlx::Error::Io(_), _) => {
            (DatabaseErrorKind::Unreachable, "Look whether the server is up and whether host and port are right.")
        }
        (sqlx::Error::Tls(_), _) => (DatabaseErrorKind::Unreachable, "Look at `sslmode` and `sslrootcert` of the URL."),
        (_, Some("3D000")) => (DatabaseErrorKind::Missing, "Create the database first: createdb NAME."),
        (_, Some("28000" | "28P01" | "42501")) => {
            (DatabaseErrorKind::Denied, "Look at the user, the password and what the user may do.")
        }
        (_, Some("53300" | "57P01" | "57P02" | "57P03")) => {
            (DatabaseErrorKind::Unreachable, "The server takes no connection right now; try again.")
        }
        (_, Some("14")) => (DatabaseErrorKind::Denied, "Look whether the file is readable and is a regular file."),
        (_, Some("26")) => {
            (DatabaseErrorKind::Failed, "The file is no SQLite database: look whether the URL names the right one.")
        }
        (_, Some("5" | "261" | "517")) => {
            (DatabaseErrorKind::Unreachable, "Another process holds the database; try again.")
        }
        _ => (DatabaseErrorKind::Failed, "Look at the database's log."),
    }
}

/// Whether a rollback journal stands beside a SQLite file: of a transaction under way, or of one whose process is gone.
fn has_journal(file: &Path) -> bool {
    let mut journal = file.as_os_str().to_owned();
    journal.push("-journal");
    ports::fs::size(Path::new(&journal)).is_ok_and(|size| size > 0)
}

/// Whether the file is a SQLite database in WAL mode that no process has open. (File format, 1.3: bytes 18 and 19 of
/// the header are 2 in WAL mode; the last to close removes the `-wal` file.)
fn is_closed_wal(file: &Path) -> bool {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    ports::fs::kind(Path::new(&wal)).is_none()
        && ports::fs::read_start(file, 20).is_ok_and(|header| header.get(18..20) == Some(&[2, 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Database, DatabaseError> {
        Database::parse(url, Path::new("/base"))
    }

    #[test]
    fn sqlite_files_start_at_the_base() {
        for (url, shown) in [
            ("sqlite://a.db", "sqlite:///base/a.db"),
            ("sqlite://dir/a.db?mode=rwc", "sqlite:///base/dir/a.db"),
            ("sqlite:a.db", "sqlite:///base/a.db"),
            ("sqlite:///abs/a%20b.db", "sqlite:///abs/a b.db"),
        ] {
            assert_eq!(parse(url).unwrap().to_string(), shown);
        }
        for url in ["sqlite::memory:", "sqlite://", "sqlite://a.db?mode=memory", "sqlite://a.db?mode=odd"] {
            assert_eq!(parse(url).unwrap_err().kind, DatabaseErrorKind::Url, "{url}");
        }
    }

    #[test]
    fn other_databases_are_refused_with_a_sentence() {
        assert!(parse("mysql://root@h/db").unwrap_err().message.starts_with("MySQL databases are not supported"));
        assert_eq!(parse("mongodb://h/db").unwrap_err().message, "databases of the kind `mongodb:` are not supported");
        for odd in ["", "file.db", "hunter2 secret:x"] {
            let message = parse(odd).unwrap_err().message;
            assert_eq!(message, "the database is given by something that is not a URL");
        }
    }

    #[test]
    fn a_password_is_in_no_text() {
        let database = parse("postgres://me:s3cr%40t%21@db.example:6543/shop?sslmode=disable").unwrap();
        assert_eq!(database.to_string(), "postgres://me@db.example:6543/shop");
        assert_eq!(format!("{database:?}"), "Database(postgres://me@db.example:6543/shop)");
        let text = "auth s3cr@t! or s3cr%40t%21 of postgres://me:s3cr%40t%21@db.example:6543/shop?sslmode=disable";
        assert_eq!(database.redact(text), "auth (sensitive) or (sensitive) of (sensitive)");
        // What a URL that cannot be read says of itself is the server's own (`crate::postgres`).
        assert!(!format!("{:?}", parse("postgres://me:p#ss@h/db")).contains("p#ss"));
    }
}

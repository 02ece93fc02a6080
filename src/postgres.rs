//! A PostgreSQL server, from its URL. The URL is a secret: it goes in here and does not come out.

use std::fmt;
use std::str::FromStr as _;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

/// The name under which Gantry's connections show up in `pg_stat_activity`.
const APPLICATION: &str = "gantry";

/// What is known of the parameters of a URL. Others are refused, because the driver would write their values into its
/// log.
const PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "connect_timeout",
];

/// What stands for a secret in a text.
const HIDDEN: &str = "(sensitive)";

/// A database on a server. Shown, it is its URL without password and parameters.
#[derive(Clone)]
pub struct Server {
    options: PgConnectOptions,
    host: String,
    secrets: Vec<String>,
}

/// Why a URL cannot be used. It does not hold the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadUrl {
    /// What is wrong, as the end of a sentence.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@{}", self.options.get_username(), self.address())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl Server {
    /// Reads a URL: `postgres://user:password@host:port/database?parameters`, or `postgresql://`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let mut secrets = vec![url.to_owned()];
        let (before, parameters) = url.split_once('?').unwrap_or((url, ""));
        secrets.extend(passwords(url));
        for parameter in parameters.split('&').filter(|p| !p.is_empty()) {
            let (key, _) = parameter.split_once('=').unwrap_or((parameter, ""));
            let known = PARAMETERS.contains(&key) || (key.starts_with("options[") && key.ends_with(']'));
            if !known {
                return Err(BadUrl {
                    message: "the PostgreSQL URL has a parameter that is not known".to_owned(),
                    hint: "Known are sslmode, sslrootcert, sslcert, sslkey, host, port, dbname, user, password, options and \
                           application_name.",
                });
            }
        }
        // `connect_timeout` is libpq's; the driver does not know it, and the time is bounded here anyway.
        let kept: Vec<&str> =
            parameters.split('&').filter(|p| !p.is_empty() && !p.starts_with("connect_timeout=")).collect();
        let options = PgConnectOptions::from_str(&format!("{before}?{}", kept.join("&"))).map_err(|e| BadUrl {
            message: redact(&format!("the PostgreSQL URL cannot be read: {}", reason(&e)), &secrets),
            hint: "Write `postgres://user:password@host:5432/database`, with `%XX` for the characters @ : / ? # % in names and \
                   passwords.",
        })?;
        let options = options.application_name(APPLICATION).disable_statement_logging();
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |s| s.display().to_string());
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        secrets.dedup();
        Ok(Self { options, host, secrets })
    }

    /// How to connect.
    #[must_use]
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Host, port and database: what is the same whoever connects.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.options.get_port(), self.database())
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or(self.options.get_username())
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        self.options.get_username()
    }

    /// `text` without the URL and the password.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.secrets)
    }
}

/// A driver's error without its preamble.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(e) => e.message().to_owned(),
        // The driver says how many bytes it had hoped for.
        sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the server closed the connection".to_owned()
        }
        sqlx::Error::Io(e) => e.to_string(),
        sqlx::Error::Configuration(e) | sqlx::Error::Tls(e) => e.to_string(),
        other => other.to_string(),
    }
}

fn redact(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
}

/// The passwords in a database's URL, as they stand there and as servers and drivers name them.
pub(crate) fn passwords(url: &str) -> Vec<String> {
    let (before, parameters) = url.split_once('?').unwrap_or((url, ""));
    let authority = before.split_once("://").map_or("", |(_, rest)| rest);
    let of_user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    let of_parameters = parameters.split('&').filter_map(|pair| pair.strip_prefix("password="));
    let found = of_user.into_iter().chain(of_parameters).filter(|password| !password.is_empty());
    found.flat_map(|p| [p.to_owned(), percent_decode_str(p).decode_utf8_lossy().into_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_text() {
        let server = Server::parse("postgres://me:s3cr%40t%21@db.example:6543/shop?sslmode=disable").unwrap();
        assert_eq!(server.to_string(), "postgres://me@db.example:6543/shop");
        assert_eq!(format!("{server:?}"), "Server(postgres://me@db.example:6543/shop)");
        assert_eq!(server.address(), "db.example:6543/shop");
        let text = "auth s3cr@t! or s3cr%40t%21 of postgres://me:s3cr%40t%21@db.example:6543/shop?sslmode=disable";
        assert_eq!(server.redact(text), "auth (sensitive) or (sensitive) of (sensitive)");
        for url in [
            "postgres://me:p#ss@h/db",
            "postgres://me:p/ss@h/db",
            "postgres://h:port/db?password=p/ss",
            "postgres://h/db?passwd=p/ss",
            "postgres://me:p ss@[::1/db",
        ] {
            let text = format!("{:?}", Server::parse(url));
            for secret in ["p#ss", "p/ss", "p ss", url] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

//! What a check asks and how it is judged: plain data.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::secrets::Secrets;

/// One question to something that serves.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An HTTP request and what its answer has to be.
    Http(HttpProbe),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// `host:port`, `http://host:port` or `https://host:port`.
        address: String,
        /// The service asked about; empty for the server as a whole.
        service: String,
    },
    /// A command that exits with 0.
    Command(CommandProbe),
}

/// An HTTP request and what its answer has to be. `Debug` shows no value that could be a secret.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HttpProbe {
    /// The method, as in `GET`.
    pub method: String,
    /// Where to; `http://` or `https://`.
    pub url: String,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// The body, if one is sent.
    pub body: Option<String>,
    /// What the answer has to be.
    pub expect: Expect,
}

impl HttpProbe {
    /// A `GET` that has to be answered with success.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: "GET".into(), url: url.into(), headers: Vec::new(), body: None, expect: Expect::default() }
    }
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|h| h.0.as_str()).collect();
        f.debug_struct("HttpProbe")
            .field("method", &self.method)
            .field("url", &super::http::origin(&self.url))
            .field("headers", &headers)
            .field("body_bytes", &self.body.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

/// What an answer has to be. What is empty or `None` is not looked at, except the status.
#[derive(Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Expect {
    /// The statuses that pass; empty for any from 200 to 299.
    pub status: BTreeSet<u16>,
    /// Headers that have to be there with this value.
    pub headers: Vec<(String, String)>,
    /// What the body has to be, exactly.
    pub body_equals: Option<String>,
    /// What has to be somewhere in the body.
    pub body_contains: Option<String>,
    /// A regular expression that has to match somewhere in the body.
    pub body_matches: Option<String>,
    /// JSONPath queries (RFC 9535) into the body and what they have to find.
    pub json: Vec<(String, serde_json::Value)>,
    /// How long the answer may take, from the request to the end of the body.
    pub latency: Option<Duration>,
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expect").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A command that exits with 0. `Debug` shows the program alone.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommandProbe {
    /// The program and its arguments; no shell is involved.
    pub argv: Vec<String>,
    /// Where it starts, relative to [`Context::base`].
    pub working_directory: Option<String>,
    /// Variables set on top of Gantry's own.
    pub environment: Vec<(String, String)>,
    /// How long it may take; `None` for the judge's `attempt_timeout`.
    pub timeout: Option<Duration>,
}

impl fmt::Debug for CommandProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandProbe").field("program", &self.argv.first()).finish_non_exhaustive()
    }
}

/// How often to ask, and what counts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Judge {
    /// The time from the start of one attempt to the start of the next; `None`: a failed attempt is the verdict.
    pub interval: Option<Duration>,
    /// How long the whole may take, `initial_delay` not counted. What has not passed then has failed.
    pub timeout: Duration,
    /// How many attempts in a row have to succeed; 0 counts as 1.
    pub success_threshold: u32,
    /// How many attempts in a row may fail before it is called; `None`: as many as fit into `timeout`.
    pub failure_threshold: Option<u32>,
    /// How long to wait before the first attempt.
    pub initial_delay: Duration,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

impl Judge {
    /// The defaults of a health check: every second for a minute, five seconds each.
    #[must_use]
    pub fn health_check() -> Self {
        Self {
            interval: Some(Duration::from_secs(1)),
            timeout: Duration::from_secs(60),
            success_threshold: 1,
            failure_threshold: None,
            initial_delay: Duration::ZERO,
            attempt_timeout: Duration::from_secs(5),
        }
    }

    /// The defaults of a smoke test: once, within half a minute.
    #[must_use]
    pub fn smoke_test() -> Self {
        let timeout = Duration::from_secs(30);
        Self { interval: None, timeout, attempt_timeout: timeout, ..Self::health_check() }
    }
}

/// On whose behalf a check runs.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The check's address.
    pub address: String,
    /// `prove`, `verify`, ….
    pub phase: String,
    /// The run's identity.
    pub run: String,
    /// Where relative directories start.
    pub base: PathBuf,
    /// What must not show in anything that is said.
    pub secrets: Secrets,
}

impl Context {
    /// What a check tells those it asks about itself: `ADDRESS PHASE RUN`.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{} {} {}", self.address, self.phase, self.run)
    }
}

/// What one attempt saw. Bounded, and free of the secrets in [`Context`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attempt {
    /// When it started, from the start of the check.
    pub at_offset: Duration,
    /// How long it took.
    pub latency: Duration,
    /// Whether it succeeded.
    pub ok: bool,
    /// What happened, in one sentence without a full stop.
    pub sentence: String,
    /// The HTTP status, or the command's exit code.
    pub status: Option<i32>,
    /// The answer's headers.
    pub headers: Vec<(String, String)>,
    /// The beginning of the answer's body, or the end of the command's standard output.
    pub body: Option<String>,
    /// The end of the command's standard error.
    pub stderr: Option<String>,
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// Whether it passed.
    pub passed: bool,
    /// Why, in one sentence without a full stop.
    pub sentence: String,
    /// How many attempts were made.
    pub count: u64,
    /// How long it took, `initial_delay` included.
    pub elapsed: Duration,
    /// The first attempts and the last ones.
    pub attempts: Vec<Attempt>,
}

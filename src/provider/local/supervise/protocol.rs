//! What a command and a supervisor say to each other: one line of JSON each way, then the connection ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use crate::provider::{Evidence, Problem, ProblemClass};

/// The version of this protocol. A supervisor may be older than the command: it answers what it knows and refuses the rest.
pub(in super::super) const VERSION: u32 = 1;
/// The longest line either way: a specification with its environment, twice what Linux lets a program be started with.
pub(in super::super) const LINE_MAX: usize = 4 * 1024 * 1024;
/// The name of the socket in the service's directory.
pub(in super::super) const SOCKET: &str = "control.sock";

/// A version of a service: all that is needed to run it.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Spec {
    /// The act that made it, for its processes' environment.
    pub(in super::super) op: String,
    pub(in super::super) address: String,
    pub(in super::super) argv: Vec<String>,
    /// Where a program name with a `/` starts.
    pub(in super::super) base: PathBuf,
    pub(in super::super) directory: PathBuf,
    /// All variables but those that differ between replicas.
    pub(in super::super) environment: Vec<(String, String)>,
    pub(in super::super) replicas: usize,
    /// What is asked for to see whether a replica is ready; a port that is open is enough if there is none.
    pub(in super::super) http_path: Option<String>,
    pub(in super::super) interval: Duration,
    pub(in super::super) ready_timeout: Duration,
    pub(in super::super) drain: Duration,
    pub(in super::super) log_max: u64,
    pub(in super::super) log_keep: u32,
    /// Texts that must not be shown.
    pub(in super::super) hidden: Vec<String>,
    /// The object's attributes, with their marks.
    pub(in super::super) object: Json,
}

/// What is asked.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub(in super::super) enum Request {
    /// Have this version running and ready. With `serve` it gets the traffic, else a front port of its own.
    Ensure { op: String, deployment: String, spec: Box<Spec>, serve: bool },
    /// Send the traffic to this version.
    Switch { op: String, deployment: String },
    /// Drain and end this version.
    Retire { op: String, deployment: String },
    /// Drain and end everything.
    Stop { op: String },
    /// How does it go?
    Status,
    /// Answer when this operation has ended.
    Await { op: String },
}

impl Request {
    /// The operation's identity, for those that change something.
    pub(in super::super) fn op(&self) -> Option<&str> {
        match self {
            Self::Ensure { op, .. } | Self::Switch { op, .. } | Self::Retire { op, .. } | Self::Stop { op } => Some(op),
            Self::Status | Self::Await { .. } => None,
        }
    }
}

/// A line to the supervisor.
#[derive(serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Question {
    pub(in super::super) v: u32,
    #[serde(flatten)]
    pub(in super::super) request: Request,
}

/// What is answered.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(in super::super) enum Answer {
    /// Done. After `ensure` without `serve`: the port of the version's own front.
    Done { staged_port: Option<u16> },
    /// Not done, or taken back.
    Failed(Failure),
    /// Done or not, but not recorded.
    Unsaved { sentence: String },
    /// There never was such an operation.
    NoSuchOperation,
    /// How it goes.
    Status(Status),
}

/// Why something failed.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Failure {
    pub(in super::super) class: ProblemClass,
    pub(in super::super) sentence: String,
    /// Names and texts.
    pub(in super::super) evidence: Vec<(String, String)>,
}

impl Failure {
    pub(in super::super) fn new(class: ProblemClass, sentence: impl Into<String>) -> Self {
        Self { class, sentence: sentence.into(), evidence: Vec::new() }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let piece = |(name, text): (String, String)| Evidence { name, bytes: text.into_bytes() };
        Self {
            class: failure.class,
            sentence: failure.sentence,
            evidence: failure.evidence.into_iter().map(piece).collect(),
        }
    }
}

/// How a service does.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Status {
    /// The version that has the traffic.
    pub(in super::super) active: Option<String>,
    /// Why the front port is not open, where it should be.
    pub(in super::super) front_fault: Option<String>,
    /// All versions.
    pub(in super::super) deployments: BTreeMap<String, Vec<ReplicaStatus>>,
}

/// How a replica does.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct ReplicaStatus {
    pub(in super::super) ready: bool,
    /// Whether a process runs.
    pub(in super::super) running: bool,
    /// Its last misfortune: "exited with code 3".
    pub(in super::super) trouble: Option<String>,
}

//! Why an image could not be resolved: each error says where, why, and what to do next.

use std::time::Duration;

/// Why a reference has no digest. None of these holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The reference cannot be read.
    #[error("`{reference}` is not an image reference: {reason}")]
    Reference {
        /// As it was written, with control characters escaped, cut where it is very long.
        reference: String,
        /// What is wrong, and how to write it.
        reason: String,
    },
    /// The registry knows no such repository, tag or digest.
    #[error("{registry} has no image `{repository}` with the {wanted}{}: push it first, or correct the reference", if *unknown_repository { " (it knows no such repository)" } else { "" })]
    NotFound {
        /// The registry.
        registry: String,
        /// The repository inside it.
        repository: String,
        /// ``tag `1.2` `` or ``digest `sha256:…` ``.
        wanted: String,
        /// Whether it said that even the repository is unknown.
        unknown_repository: bool,
    },
    /// The registry does not let us read the repository.
    #[error(
        "{registry} does not show `{repository}`: {reason}. Log in with `{login}`, and check that the repository exists and that the account may pull from it"
    )]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The repository inside it.
        repository: String,
        /// Which credentials were used, or why there were none.
        reason: String,
        /// The command that logs in.
        login: String,
    },
    /// Nobody answered.
    #[error("cannot reach {registry}: {reason}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// What happened, and what to do about it.
        reason: String,
        /// What the network said.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// All of it took too long.
    #[error("{registry} did not get `{repository}` resolved within {} seconds: try again, and look at the registry if it stays", after.as_secs_f64())]
    Deadline {
        /// The registry.
        registry: String,
        /// The repository inside it.
        repository: String,
        /// The time that it had.
        after: Duration,
    },
    /// The registry is overloaded, broken, or limits us.
    #[error("{registry} answered {status} {}: {}", times(*attempts), busy(*status, *retry_after))]
    Busy {
        /// Host and port.
        registry: String,
        /// The last status.
        status: u16,
        /// How often it was asked.
        attempts: u32,
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
    },
    /// What was announced and what was sent are two things.
    #[error(
        "{registry} has {expected} for `{repository}`, but the manifest that it sent is {actual}: a proxy, a cache or the registry's storage is damaged. Nothing is deployed from it; try again, and repair the registry if it stays"
    )]
    Mismatch {
        /// The registry.
        registry: String,
        /// The repository inside it.
        repository: String,
        /// The digest that was asked for or announced.
        expected: String,
        /// The digest of what came.
        actual: String,
    },
    /// The answer is none that a registry gives.
    #[error(
        "{registry} does not answer as an image registry does: {reason}. Check the registry's name and port in the reference"
    )]
    Answer {
        /// Host and port.
        registry: String,
        /// What was odd.
        reason: String,
    },
    /// The registry sends us where we do not go.
    #[error("{registry} redirects to {to}, which is not followed: {reason}")]
    Redirect {
        /// Host and port.
        registry: String,
        /// The origin that it sends us to.
        to: String,
        /// Why not.
        reason: &'static str,
    },
    /// The network client cannot be set up.
    #[error(
        "cannot set up TLS: no certificate authorities can be read. Install the system's CA certificates (Debian: `apt-get install ca-certificates`)"
    )]
    Tls {
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
}

fn times(attempts: u32) -> String {
    if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") }
}

fn busy(status: u16, retry_after: Option<Duration>) -> String {
    let wait = match retry_after {
        Some(wait) => format!("try again in {} seconds, as it asks", wait.as_secs().max(1)),
        None => "try again later".to_owned(),
    };
    if status == 429 {
        format!("it limits how often it may be asked. Log in, which often raises the limit, or {wait}")
    } else {
        format!("it is overloaded or broken. Look at it, or {wait}")
    }
}

/// A text of a server for a message: short, on one line, with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    /// Enough to recognise something, too little to flood a terminal.
    const MOST: usize = 100;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

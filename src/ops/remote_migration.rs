//! A migration where its database is: what a `runner` starts in an image.

use std::path::Path;

use crate::migrate::remote;
use crate::ports::{env, fs};
use crate::provider::INPUT;

/// The longest request: a migration's text is a file of a repository, and a Secret of a cluster has 1 MiB.
const REQUEST_MAX: u64 = 8 * 1024 * 1024;

/// Where a container leaves a word on its end: Kubernetes' `terminationMessagePath`.
const LAST_WORD: &str = "/dev/termination-log";

/// What became of it.
pub struct Served {
    /// The reply, for the log.
    pub line: String,
    /// Whether it went well.
    pub good: bool,
}

/// Does what the request asks for that the environment names, and leaves the reply where the platform keeps it.
///
/// # Errors
/// With a sentence when there is no request.
pub async fn serve() -> Result<Served, String> {
    let Some(file) = env::var(INPUT) else {
        return Err(format!(
            "This is started by Gantry itself, in an image that a runner names; {INPUT} names its request."
        ));
    };
    let request = fs::read(Path::new(&file), REQUEST_MAX)
        .map_err(|e| format!("The request {file} cannot be read: {}.", e.source))?;
    let reply = remote::serve(&request).await;
    let line = reply.line();
    // Where there is no such file, the log has to do.
    let place = env::var("GANTRY_LAST_WORD").unwrap_or_else(|| LAST_WORD.to_owned());
    if fs::kind(Path::new(&place)).is_some() {
        drop(fs::append(Path::new(&place), line.as_bytes(), 0o600));
    }
    Ok(Served { line, good: reply.is_good() })
}

//! The hidden subcommands, and the one among them that a `runner` starts in an image: a migration where its database is.

use std::path::Path;

use crate::migrate::remote;
use crate::ports::{env, fs};
use crate::provider::{INPUT, local};

/// The longest request: a migration's text is a file of a repository, and a Secret of a cluster has 1 MiB.
const REQUEST_MAX: u64 = 8 * 1024 * 1024;

/// Where a container leaves a word on its end: Kubernetes' `terminationMessagePath`.
const LAST_WORD: &str = "/dev/termination-log";

/// Runs a helper process if the command line asks for one, and gives its exit code. To be called before anything else looks at the
/// command line.
#[must_use]
pub fn helper_process(words: &[String]) -> Option<u8> {
    match words.first().map(String::as_str) {
        Some("__migrate") => Some(migrate()),
        _ => local::helper(words),
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this process has no face but its log")]
fn migrate() -> u8 {
    let Some(file) = env::var(INPUT) else {
        eprintln!("This is started by Gantry itself, in an image that a runner names; {INPUT} names its request.");
        return 1;
    };
    let request = match fs::read(Path::new(&file), REQUEST_MAX) {
        Ok(bytes) => bytes,
        Err(e) => {
            eprintln!("The request {file} cannot be read: {}.", e.source);
            return 1;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("The runtime cannot be started: {e}.");
            return 1;
        }
    };
    let reply = runtime.block_on(remote::serve(&request));
    println!("{}", reply.line());
    // Where there is no such file, the log has to do.
    let place = env::var("GANTRY_LAST_WORD").unwrap_or_else(|| LAST_WORD.to_owned());
    if fs::kind(Path::new(&place)).is_some() {
        drop(fs::append(Path::new(&place), reply.line().as_bytes(), 0o600));
    }
    u8::from(!reply.is_good())
}

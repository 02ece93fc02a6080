//! moto's S3: a server that others wrote, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running server. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Moto {
    pub(crate) endpoint: String,
    process: Child,
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What `tests/run.sh` says where moto cannot be had: the tests that need it are then no tests.
#[expect(clippy::disallowed_methods, reason = "tests are told by their environment")]
fn is_left_out() -> bool {
    std::env::var("GANTRY_WITHOUT_MOTO").is_ok_and(|why| !why.is_empty())
}

/// The program: what `tests/run.sh` installed, or what is on the PATH.
fn program() -> PathBuf {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/moto/bin/moto_server"));
    if own.exists() { own } else { "moto_server".into() }
}

impl Moto {
    /// A server on a port of its own. `None` where the tests were told to do without.
    ///
    /// # Panics
    /// When it cannot be started, so that nobody believes that a test has passed.
    pub(crate) fn start() -> Option<Self> {
        if is_left_out() {
            return None;
        }
        let mut process = Command::new(program())
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("moto_server cannot be started ({e}); `make test` installs it"));
        let log = process.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let said = lines.by_ref().find_map(|line| {
            let at = line.find("http://127.0.0.1:")?;
            Some(line[at..].split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        // It logs each request, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let endpoint = said.expect("moto_server says where it listens");
        Some(Self { endpoint, process })
    }

    /// Makes a bucket.
    pub(crate) fn bucket(&self, name: &str) {
        let port = self.endpoint.rsplit(':').next().and_then(|p| p.parse().ok()).expect("the address has a port");
        let answer = super::http::request("PUT", port, &format!("/{name}"), "").expect("it listens");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

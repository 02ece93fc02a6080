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

/// The Python that has moto: what `tests/run.sh` installed, or what is on the PATH.
fn python() -> PathBuf {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/moto/bin/python3"));
    if own.exists() { own } else { "python3".into() }
}

/// moto's server as `moto_server` starts it, but one request after the other. It looks at a condition and writes after
/// that, with no lock around the two, so that under load two writers pass the same condition: then the *store* loses an
/// update, which no client can help. Amazon's promise is that the two are one act.
const SERVER: &str = r#"
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
app, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return app(environ, start_response)
server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
print(f"http://127.0.0.1:{server.port}", file=sys.stderr, flush=True)
server.serve_forever()
"#;

impl Moto {
    /// A server on a port of its own. `None` where the tests were told to do without.
    ///
    /// # Panics
    /// When it cannot be started, so that nobody believes that a test has passed.
    pub(crate) fn start() -> Option<Self> {
        if is_left_out() {
            return None;
        }
        let mut process = Command::new(python())
            .args(["-c", SERVER])
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("moto cannot be started ({e}); `make test` installs it"));
        let log = process.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let said = lines.by_ref().find_map(|line| {
            let at = line.find("http://127.0.0.1:")?;
            Some(line[at..].split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        // It logs each request, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let endpoint = said.expect("moto says where it listens; `make test` installs it");
        Some(Self { endpoint, process })
    }

    /// Makes a bucket.
    pub(crate) fn bucket(&self, name: &str) {
        let port = self.endpoint.rsplit(':').next().and_then(|p| p.parse().ok()).expect("the address has a port");
        let answer = super::http::request("PUT", port, &format!("/{name}"), "").expect("it listens");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

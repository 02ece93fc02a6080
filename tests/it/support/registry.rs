//! Image registries for tests: a scripted one inside this process, and Debian's `docker-registry`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use sha2::{Digest as _, Sha256};

/// The digest of bytes as registries write it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Seen {
    /// How many came before it.
    pub(crate) number: usize,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) accept: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A server that answers as it is told and remembers what it was asked.
pub(crate) struct Fake {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        let answer = move |request: Request<Body>| {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            async move {
                let mut one = seen_of(request).await;
                {
                    let mut log = log.lock().unwrap();
                    one.number = log.len();
                    log.push(one.clone());
                }
                let reply = script(&one);
                let mut response = Response::builder().status(reply.status);
                for (name, value) in reply.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(reply.body)).unwrap()
            }
        };
        let router = axum::Router::new().fallback(answer);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, seen, server }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn seen_of(request: Request<Body>) -> Seen {
    let header = |headers: &HeaderMap, name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Seen {
        number: 0,
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        host: header(&parts.headers, "host").unwrap(),
        accept: header(&parts.headers, "accept").unwrap(),
        authorization: header(&parts.headers, "authorization"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// The registry of the Debian package, with its storage in a temporary directory; stopped when dropped, and by the
/// kernel if the test's process dies.
pub(crate) struct DebianRegistry {
    pub(crate) host: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl DebianRegistry {
    /// Starts one, with a login if a line of an htpasswd file is given. `None`, said aloud, where it is not installed
    /// and cannot be.
    pub(crate) fn start(login: Option<&str>) -> Option<Self> {
        if !is_installed() {
            // Past the test harness, which keeps what a passing test prints to itself.
            let _ = std::io::stderr().write_all(
                b"SKIPPED: the tests against a real image registry need `docker-registry`, and may not install it \
                  here (Debian, Ubuntu: sudo apt-get install docker-registry)\n",
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            path("data")
        );
        if let Some(line) = login {
            std::fs::write(path("htpasswd"), format!("{line}\n")).unwrap();
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", path("htpasswd"));
        }
        std::fs::write(path("config.yml"), config).unwrap();
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "docker-registry", "serve", &path("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut before = String::new();
        let host = loop {
            let Some(Ok(line)) = log.next() else { panic!("docker-registry did not start:\n{before}") };
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).next().unwrap().to_owned();
            }
            before += &format!("{line}\n");
        };
        // A full pipe would stop it.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self { host, process, _folder: folder })
    }

    /// Pushes an image without layers, by the API, and gives the digest of its manifest.
    pub(crate) async fn push(&self, repository: &str, tag: &str, authorization: Option<&str>) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let send = async |method: &str, url: &str, kind: &str, body: &[u8]| {
            let mut request = client.request(method.parse().unwrap(), url).header("content-type", kind);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let response = request.body(body.to_vec()).send().await.unwrap();
            assert!(response.status().is_success(), "{method} {url}: {}", response.status());
            response.headers().get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let base = format!("http://{}/v2/{repository}", self.host);
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let place = send("POST", &format!("{base}/blobs/uploads/"), "application/octet-stream", b"").await;
        let digest = sha256(config);
        send("PUT", &format!("{place}&digest={digest}"), "application/octet-stream", config).await;
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{},"digest":"{digest}"}},"layers":[]}}"#,
            config.len()
        );
        send("PUT", &format!("{base}/manifests/{tag}"), kind, manifest.as_bytes()).await;
        sha256(manifest.as_bytes())
    }
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the program is there, after an attempt to install it where that is allowed.
fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let is_there = || Command::new("docker-registry").arg("--version").output().is_ok_and(|o| o.status.success());
    *INSTALLED.get_or_init(|| {
        if !is_there() && rustix::process::getuid().is_root() {
            let _ = Command::new("apt-get")
                .args(["install", "-y", "-qq", "--no-install-recommends", "docker-registry"])
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::null())
                .output();
        }
        is_there()
    })
}

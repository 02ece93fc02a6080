//! What the tests of the local target share: a place to work in, acts, a small web server.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests stop where something is not as it has to be"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gantry::provider::local::Local;
use gantry::provider::{
    Act, Action, Context, Found, Observation, ObserveRequest, Outcome, Prior, Problem, Provider as _, Readiness,
    ResourceSchema, Silent,
};
use gantry::value::{Map, Value, convert};
use serde_json::Value as Json;

/// An environment in a directory that goes with the test.
pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
    pub(crate) context: Context,
    pub(crate) local: Local,
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl Place {
    pub(crate) fn new() -> Self {
        Self::below("")
    }

    /// With the environment and its state further down, for long names.
    pub(crate) fn below(path: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join(path);
        let environment = project.join("environments/test");
        std::fs::create_dir_all(&environment).unwrap();
        let context = Context {
            project: project.clone(),
            environment,
            state: project.join("state/test"),
            lineage: "0123456789abcdef".into(),
            name: "test".into(),
            program: PathBuf::from(env!("CARGO_BIN_EXE_gantry")),
        };
        std::fs::create_dir_all(&context.state).unwrap();
        Self { root, local: Local::new(context.clone()), context }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.context.environment.join(name)
    }

    pub(crate) fn schema(&self, ty: &str) -> &ResourceSchema {
        self.local.schemas().iter().find(|s| s.ty == ty).unwrap()
    }

    /// The object as a planner would ask for it: defaults set, types converted, the rest null.
    pub(crate) fn planned<const N: usize>(&self, ty: &str, given: [(&str, Value); N]) -> Value {
        let schema = self.schema(ty);
        let mut map: Map = given.into_iter().map(|(n, v)| (n.into(), v)).collect();
        for (name, attribute) in &schema.attributes {
            if let Some(default) = attribute.default.as_ref().filter(|_| !map.contains_key(name)) {
                map.insert(name.clone(), default.clone());
            }
        }
        convert(&Value::object(map), &schema.object_type()).unwrap()
    }

    pub(crate) fn act(&self, action: Action, ty: &str, planned: Value, prior: Option<Prior>) -> Act {
        let number = COUNTER.fetch_add(1, Ordering::SeqCst);
        Act {
            action,
            ty: ty.into(),
            address: format!("{ty}.subject").parse().unwrap(),
            op: format!("op-{}-{number}", std::process::id()),
            generation: 1,
            planned,
            prior,
            staged: None,
            deadline: Duration::from_secs(60),
        }
    }

    pub(crate) async fn run(&self, act: &Act) -> Outcome {
        self.local.act(act, &Silent).await
    }

    /// Runs an act that has to work.
    pub(crate) async fn apply(&self, act: &Act) -> Prior {
        applied(self.run(act).await)
    }

    pub(crate) async fn create(&self, ty: &str, planned: &Value) -> Prior {
        self.apply(&self.act(Action::Create, ty, planned.clone(), None)).await
    }

    pub(crate) async fn delete(&self, ty: &str, prior: Prior) {
        let act = self.act(Action::Delete, ty, Value::null(gantry::value::Type::Any), Some(prior));
        match self.run(&act).await {
            Outcome::Applied { .. } => {}
            other => panic!("delete: {other:?}"),
        }
    }

    pub(crate) async fn observe(&self, ty: &str, prior: &Prior) -> Observation {
        let address = format!("{ty}.subject").parse().unwrap();
        let request = ObserveRequest { provider: "local".into(), address, ty: ty.into(), prior: prior.clone() };
        self.local.observe(&[request]).await.remove(0)
    }

    /// How an object does.
    pub(crate) async fn readiness(&self, ty: &str, prior: &Prior) -> Readiness {
        match self.observe(ty, prior).await {
            Observation::Present { readiness, .. } => readiness,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn wait_ready(&self, ty: &str, prior: &Prior) {
        eventually("the service is ready", async || self.readiness(ty, prior).await == Readiness::Ready).await;
    }
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, is: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < Duration::from_secs(30), "in 30 s it did not come true that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn applied(outcome: Outcome) -> Prior {
    match outcome {
        Outcome::Applied { attributes, identity } => Prior { attributes, identity },
        other => panic!("{}", told(&other)),
    }
}

pub(crate) fn rejected(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Rejected(problem) => problem,
        other => panic!("{}", told(&other)),
    }
}

pub(crate) fn found(found: Found) -> Prior {
    match found {
        Found::Done { attributes, identity } => Prior { attributes, identity },
        other => panic!("{other:?}"),
    }
}

/// An outcome with its evidence as text.
pub(crate) fn told(outcome: &Outcome) -> String {
    let mut text = format!("{outcome:?}");
    if let Outcome::Rejected(p) | Outcome::Unknown(p) | Outcome::NotSent(p) = outcome {
        for piece in &p.evidence {
            text.push_str(&format!("\n== {}\n{}", piece.name, String::from_utf8_lossy(&piece.bytes)));
        }
    }
    text
}

pub(crate) fn text(value: &str) -> Value {
    Value::string(value)
}

pub(crate) fn argv<const N: usize>(items: [&str; N]) -> Value {
    Value::strings(items.map(str::to_owned))
}

pub(crate) fn shell(script: &str) -> Value {
    argv(["/bin/sh", "-c", script])
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The running processes whose environment has this text in it.
pub(crate) fn processes_with(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if pid == std::process::id() {
            continue;
        }
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let all = [environment, line.clone()].concat();
        if String::from_utf8_lossy(&all).contains(text) {
            found.push((pid, String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    found
}

/// Fails if a process of this place is left.
pub(crate) async fn nothing_left(place: &Place) {
    let root = place.root.path().to_string_lossy().into_owned();
    let start = Instant::now();
    loop {
        let left = processes_with(&root);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "processes are left: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix_pid(pid);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn rustix_pid(pid: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

pub(crate) fn json(identity: &Json, name: &str) -> String {
    identity.get(name).and_then(Json::as_str).unwrap().to_owned()
}

/// A web server in Python (which has to be here): `/` answers the version and the process, `/slow` after half a second.
pub(crate) const SERVER: &str = r#"
import http.server, os, sys, time
version = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self, status, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/health": return self.answer(200 if version != "bad" else 503, "health of " + version)
        if self.path == "/slow": time.sleep(0.5)
        if self.path == "/headers": return self.answer(200, str(self.headers))
        self.answer(200, "%s %d" % (version, os.getpid()))
    def do_POST(self):
        if self.path == "/die": os._exit(7)
        n = int(self.headers.get("Content-Length") or 0)
        self.answer(200, "%s %d" % (version, len(self.rfile.read(n))))
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
print("serving", version, flush=True)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

pub(crate) fn server(place: &Place, version: &str) -> Value {
    let script = place.path("server.py");
    if !Path::new(&script).exists() {
        std::fs::write(&script, SERVER).unwrap();
    }
    argv(["python3", script.to_str().unwrap(), version])
}

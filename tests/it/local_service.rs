//! `local_service`: real processes, real HTTP, real kills.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests stop where something is not as it has to be"
)]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gantry::provider::{
    Act, Action, Found, Observation, Outcome, Prior, ProblemClass, Provider as _, Readiness, Silent,
};
use gantry::value::{Type, Value};

use crate::local_support::{
    Place, argv, eventually, found, free_port, json, kill, nothing_left, processes_with, rejected, server, shell, text,
    told,
};

const TY: &str = "local_service";

fn service(place: &Place, port: u16, replicas: i64, version: &str) -> Value {
    place.planned(
        TY,
        [
            ("command", server(place, version)),
            ("port", Value::number(i64::from(port))),
            ("replicas", Value::number(replicas)),
            ("drain_timeout", text("3s")),
            ("readiness", readiness("20s")),
        ],
    )
}

fn readiness(timeout: &str) -> Value {
    Value::object_of([("http_path", text("/health")), ("interval", text("50ms")), ("timeout", text(timeout))])
}

fn stage(place: &Place, planned: Value, prior: &Prior) -> Act {
    place.act(Action::Stage, TY, planned, Some(prior.clone()))
}

fn switch(place: &Place, staged: &Prior, prior: &Prior) -> Act {
    Act {
        staged: Some(staged.identity.clone()),
        ..place.act(Action::Switch, TY, staged.attributes.clone(), Some(prior.clone()))
    }
}

fn retire(place: &Place, old: &Prior) -> Act {
    place.act(Action::Retire, TY, Value::null(Type::Any), Some(old.clone()))
}

/// One request on a connection of its own.
fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    Client::connect(port)?.get(path)
}

/// A client that keeps its connection.
struct Client(std::net::TcpStream);

impl Client {
    fn connect(port: u16) -> std::io::Result<Self> {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    fn get(&mut self, path: &str) -> std::io::Result<(u16, String)> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    fn post(&mut self, body: &str) -> std::io::Result<(u16, String)> {
        self.send(&format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    fn send(&mut self, request: &str) -> std::io::Result<(u16, String)> {
        self.0.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        let mut buffer = [0_u8; 4096];
        loop {
            let n = self.0.read(&mut buffer)?;
            if n == 0 {
                return Err(std::io::Error::other(format!("closed after {:?}", String::from_utf8_lossy(&bytes))));
            }
            bytes.extend_from_slice(&buffer[..n]);
            let all = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok((head[9..12].parse().unwrap(), body.to_owned()));
            }
        }
    }
}

fn body(port: u16, path: &str) -> String {
    let (status, body) = get(port, path).unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

fn port_of(prior: &Prior) -> u16 {
    prior.attributes.get_str("url").unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
}

fn supervisor(place: &Place) -> u32 {
    let all = processes_with(place.root.path().to_str().unwrap());
    all.into_iter().find(|(_, line)| line.contains("__supervise")).expect("the supervisor runs").0
}

#[tokio::test]
async fn lives_and_goes() {
    let place = Place::new();
    let port = free_port();
    let act = place.act(Action::Create, TY, service(&place, port, 2, "v1"), None);
    assert_eq!(place.local.find(&act).await, Found::NotDone);
    let made = place.apply(&act).await;
    assert_eq!(made.attributes.get_str("url"), Some(format!("http://127.0.0.1:{port}").as_str()));
    assert!(body(port, "/").starts_with("v1 "));
    assert_eq!(place.readiness(TY, &made).await, Readiness::Ready);
    assert_eq!(place.apply(&act).await, made, "the same act twice is one");
    assert_eq!(found(place.local.find(&act).await), made);
    let Observation::Present { attributes, .. } = place.observe(TY, &made).await else { panic!("it is there") };
    assert_eq!(attributes, made.attributes);
    let pids: std::collections::BTreeSet<String> = (0..20).map(|_| body(port, "/")).collect();
    assert_eq!(pids.len(), 2, "both replicas serve");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", supervisor(&place))).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, supervisor(&place).to_string(), "a terminal that closes is none of its business");
    let headers = body(port, "/headers");
    assert!(headers.contains("x-forwarded-for: 127.0.0.1"), "{headers}");
    place.delete(TY, made.clone()).await;
    assert!(get(port, "/").is_err());
    assert_eq!(place.observe(TY, &made).await, Observation::Absent);
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn a_new_version_is_proven_beside_the_old() {
    let place = Place::new();
    let port = free_port();
    let old = place.create(TY, &service(&place, port, 1, "v1")).await;
    let staging = stage(&place, service(&place, port, 1, "v2"), &old);
    let new = place.apply(&staging).await;
    assert_eq!(found(place.local.find(&staging).await), new);
    assert_ne!(port_of(&new), port);
    assert!(body(port_of(&new), "/").starts_with("v2 "), "the staged version answers at its own address");
    assert!(body(port, "/").starts_with("v1 "), "the traffic is where it was");
    let switching = switch(&place, &new, &old);
    assert_eq!(place.local.find(&switching).await, Found::NotDone);
    let served = place.apply(&switching).await;
    assert_eq!(port_of(&served), port);
    assert_eq!(found(place.local.find(&switching).await), served);
    assert!(body(port, "/").starts_with("v2 "));
    // Back again: the old version still runs.
    let before = body(port_of(&new), "/");
    let back = place.apply(&switch(&place, &old, &new)).await;
    assert!(body(port, "/").starts_with("v1 "));
    assert_eq!(json(&back.identity, "deployment"), json(&old.identity, "deployment"));
    // And forward, and the old one goes.
    place.apply(&switch(&place, &new, &old)).await;
    assert_eq!(body(port, "/"), before, "the very same process");
    let retiring = retire(&place, &old);
    assert_eq!(place.local.find(&retiring).await, Found::NotDone);
    assert!(matches!(place.run(&retiring).await, Outcome::Applied { .. }));
    assert!(matches!(place.run(&retiring).await, Outcome::Applied { .. }));
    assert!(matches!(place.local.find(&retiring).await, Found::Done { .. }));
    // What is not there any more cannot get the traffic.
    assert_eq!(rejected(place.run(&switch(&place, &old, &new)).await).class, ProblemClass::Conflict);
    place.delete(TY, served).await;
    nothing_left(&place).await;
}

/// Clients that send all the time, some on fresh connections, some on one that they keep, and count what fails.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let clients = (0..6).map(|n| {
            let (stop, sent) = (stop.clone(), sent.clone());
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                let mut kept = None;
                while !stop.load(Ordering::SeqCst) {
                    let asked = (|| {
                        let mut client = match kept.take() {
                            Some(client) => client,
                            None => Client::connect(port)?,
                        };
                        let answer = match n {
                            0 => client.get("/slow")?,
                            1 | 2 => client.post(&"x".repeat(10_000))?,
                            _ => client.get("/")?,
                        };
                        if n % 2 == 0 {
                            kept = Some(client);
                        }
                        Ok::<_, std::io::Error>(answer)
                    })();
                    sent.fetch_add(1, Ordering::SeqCst);
                    match asked {
                        Ok((200, _)) => {}
                        other => failures.push(format!("client {n}: {other:?}")),
                    }
                }
                failures
            })
        });
        let clients = clients.collect();
        Self { stop, sent, clients }
    }

    async fn until(&self, more: u64) {
        let goal = self.sent.load(Ordering::SeqCst) + more;
        eventually("the clients go on", async || self.sent.load(Ordering::SeqCst) >= goal).await;
    }

    fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let failures = self.clients.into_iter().flat_map(|c| c.join().unwrap()).collect();
        (self.sent.load(Ordering::SeqCst), failures)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_versions_change() {
    let place = Place::new();
    let port = free_port();
    let mut now = place.create(TY, &service(&place, port, 2, "v0")).await;
    let load = Load::start(port);
    for n in 1..=3 {
        load.until(50).await;
        let staged = place.apply(&stage(&place, service(&place, port, 2, &format!("v{n}")), &now)).await;
        load.until(50).await;
        let served = place.apply(&switch(&place, &staged, &now)).await;
        assert!(matches!(place.run(&retire(&place, &now)).await, Outcome::Applied { .. }));
        assert!(body(port, "/").starts_with(&format!("v{n} ")));
        now = served;
    }
    load.until(50).await;
    let (sent, failures) = load.end();
    assert!(failures.is_empty(), "{} of {sent} requests failed: {failures:?}", failures.len());
    assert!(sent > 300);
    place.delete(TY, now).await;
    nothing_left(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_wait_for_the_only_replica_to_come_back() {
    let place = Place::new();
    let port = free_port();
    let made = place.create(TY, &service(&place, port, 1, "v1")).await;
    let first = body(port, "/");
    kill(first.split_once(' ').unwrap().1.parse().unwrap());
    let second = tokio::task::spawn_blocking(move || body(port, "/")).await.unwrap();
    assert_ne!(first, second, "another process answered");
    // A request that may not be repeated by itself says so when its replica dies under it.
    let dying = tokio::task::spawn_blocking(move || {
        Client::connect(port)?.send("POST /die HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
    });
    assert_eq!(dying.await.unwrap().unwrap().0, 502);
    place.wait_ready(TY, &made).await;
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn an_upgraded_connection_goes_through() {
    let place = Place::new();
    let port = free_port();
    let upgrader = r#"
import os, socketserver
class U(socketserver.StreamRequestHandler):
  def handle(self):
    while self.rfile.readline().strip(): pass
    self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
    for line in self.rfile: self.wfile.write(line.upper())
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), U).serve_forever()
"#;
    let planned =
        place.planned(TY, [("command", argv(["python3", "-c", upgrader])), ("port", Value::number(i64::from(port)))]);
    let made = place.create(TY, &planned).await;
    let talk = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")?;
        let mut seen = Vec::new();
        let mut byte = [0_u8];
        while !seen.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            seen.push(byte[0]);
        }
        stream.write_all(b"hello\n")?;
        let mut answer = [0_u8; 6];
        stream.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>((String::from_utf8_lossy(&seen).to_lowercase(), answer))
    });
    let (head, answer) = talk.await.unwrap().unwrap();
    assert!(head.starts_with("http/1.1 101") && head.contains("upgrade: shout"), "{head}");
    assert_eq!(&answer, b"HELLO\n");
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_is_replaced_and_its_reads_go_elsewhere() {
    let place = Place::new();
    let port = free_port();
    let made = place.create(TY, &service(&place, port, 2, "v1")).await;
    let victim: u32 = body(port, "/").split_once(' ').unwrap().1.parse().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    match get(port, "/") {
                        Ok((200, _)) => {}
                        other => failures.push(format!("{other:?}")),
                    }
                }
                failures
            })
        })
        .collect();
    kill(victim);
    eventually("somebody notices", async || place.readiness(TY, &made).await != Readiness::Ready).await;
    match place.readiness(TY, &made).await {
        Readiness::Failed(why) => {
            assert!(why.contains("1 of 2 replicas is ready") && why.contains("signal 9"), "{why}");
        }
        Readiness::Ready => {} // it was quick
        Readiness::Pending(why) => panic!("{why}"),
    }
    place.wait_ready(TY, &made).await;
    stop.store(true, Ordering::SeqCst);
    let failures: Vec<String> = readers.into_iter().flat_map(|r| r.join().unwrap()).collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert!(
        processes_with(&format!("GANTRY_SERVICE={}", json(&made.identity, "service")))
            .iter()
            .all(|(pid, _)| *pid != victim)
    );
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing_and_the_next_act_repairs() {
    let place = Place::new();
    let port = free_port();
    let planned = service(&place, port, 2, "v1");
    let made = place.create(TY, &planned).await;
    let mark = format!("GANTRY_SERVICE={}", json(&made.identity, "service"));
    kill(supervisor(&place));
    eventually("the replicas ended with it", async || processes_with(&mark).is_empty()).await;
    assert_eq!(place.readiness(TY, &made).await, Readiness::Failed("The supervisor is not running.".into()));
    // What the plan makes of that: the same version once more.
    let staged = place.apply(&stage(&place, planned, &made)).await;
    assert_eq!(json(&staged.identity, "deployment"), json(&made.identity, "deployment"));
    let served = place.apply(&switch(&place, &staged, &made)).await;
    assert!(matches!(place.run(&retire(&place, &made)).await, Outcome::Applied { .. }));
    assert!(body(port, "/").starts_with("v1 "), "retiring the version that serves is nothing");
    assert_eq!(place.readiness(TY, &served).await, Readiness::Ready);
    assert_eq!(processes_with(&mark).len(), 2);
    kill(supervisor(&place));
    place.delete(TY, served).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn a_version_that_dies_at_once_fails_fast_with_its_last_words() {
    let place = Place::new();
    let port = free_port();
    let mut planned = service(&place, port, 2, "v1").as_map().unwrap().clone();
    planned.insert("command".into(), shell("echo the reason is $PASSWORD; exit 3"));
    planned.insert("environment".into(), Value::object_of([("PASSWORD", text("swordfish-4711").sensitive())]));
    planned.insert("readiness".into(), readiness("60s"));
    let act = place.act(Action::Create, TY, Value::object(planned.clone()), None);
    let start = Instant::now();
    let outcome = place.run(&act).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    let told = told(&outcome);
    assert!(
        told.contains("exited with code 3 twice within") && told.contains("the reason is (sensitive value)"),
        "{told}"
    );
    assert!(!told.contains("swordfish"), "{told}");
    nothing_left(&place).await;
    // The same beside a version that serves: that one is not touched.
    let good = place.create(TY, &service(&place, port, 1, "v1")).await;
    let staging = stage(&place, Value::object(planned), &good);
    let problem = rejected(place.run(&staging).await);
    assert_eq!(place.local.find(&staging).await, Found::Failed(problem));
    assert!(body(port, "/").starts_with("v1 "));
    assert_eq!(place.readiness(TY, &good).await, Readiness::Ready);
    place.delete(TY, good).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn a_version_that_never_gets_ready_fails_in_its_time() {
    let place = Place::new();
    let port = free_port();
    let mut planned = service(&place, port, 1, "bad").as_map().unwrap().clone();
    planned.insert("readiness".into(), readiness("1s"));
    let problem = rejected(place.run(&place.act(Action::Create, TY, Value::object(planned), None)).await);
    assert!(problem.sentence.contains("is not ready after 1 s"), "{}", problem.sentence);
    assert!(problem.sentence.contains("GET /health answered 503"), "{}", problem.sentence);
    nothing_left(&place).await;
}

#[tokio::test]
async fn what_cannot_work_is_said() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let problem = rejected(place.run(&place.act(Action::Create, TY, service(&place, port, 1, "v1"), None)).await);
    assert_eq!(problem.class, ProblemClass::Conflict);
    let owner = format!("Port {port} of 127.0.0.1 is in use by process {}", std::process::id());
    assert!(problem.sentence.starts_with(&owner), "{}", problem.sentence);
    let mut planned = service(&place, free_port(), 1, "v1").as_map().unwrap().clone();
    planned.insert("command".into(), argv(["no-such-program"]));
    let problem = rejected(place.run(&place.act(Action::Create, TY, Value::object(planned), None)).await);
    assert!(problem.sentence.contains("there is no program \"no-such-program\""), "{}", problem.sentence);
    nothing_left(&place).await;
}

/// What `kill -9` of Gantry is to a service: nobody waits any more.
#[tokio::test]
async fn an_act_goes_on_without_whoever_asked() {
    let place = Place::new();
    let port = free_port();
    let mut planned = service(&place, port, 1, "v1").as_map().unwrap().clone();
    let script = planned.get("command").unwrap().as_items().unwrap()[1].as_str().unwrap().to_owned();
    planned
        .insert("command".into(), shell(&format!("while ! test -e go; do sleep 0.05; done; exec python3 {script} v1")));
    let act = place.act(Action::Create, TY, Value::object(planned), None);
    {
        let running = place.local.act(&act, &Silent);
        tokio::pin!(running);
        tokio::select! {
            outcome = &mut running => panic!("{}", told(&outcome)),
            () = eventually("a replica runs", async || processes_with("GANTRY_REPLICA=0").iter().any(|(_, l)| l.contains(&script))) => {}
        }
    }
    std::fs::write(place.path("go"), "").unwrap();
    let made = found(place.local.find(&act).await);
    assert!(body(port, "/").starts_with("v1 "));
    assert_eq!(place.apply(&act).await, made);
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn descendants_that_ran_away_go_with_it() {
    let place = Place::new();
    let port = free_port();
    let mut planned = service(&place, port, 1, "v1").as_map().unwrap().clone();
    let script = planned.get("command").unwrap().as_items().unwrap()[1].as_str().unwrap().to_owned();
    let command = format!("trap '' TERM; setsid sleep 300 & (sleep 300 &) ; exec python3 {script} v1");
    planned.insert("command".into(), shell(&command));
    let made = place.create(TY, &Value::object(planned)).await;
    let mark = format!("GANTRY_SERVICE={}", json(&made.identity, "service"));
    assert_eq!(processes_with(&mark).len(), 3);
    place.delete(TY, made).await;
    assert!(processes_with(&mark).is_empty());
    nothing_left(&place).await;
}

#[tokio::test]
async fn a_long_state_directory_is_no_obstacle() {
    let place = Place::below(&format!("{}/{}", "long".repeat(30), "longer".repeat(20)));
    let port = free_port();
    let made = place.create(TY, &service(&place, port, 1, "v1")).await;
    assert!(body(port, "/").starts_with("v1 "));
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn tcp_goes_through() {
    let place = Place::new();
    let port = free_port();
    let echo = "import os, socketserver\nclass E(socketserver.StreamRequestHandler):\n  def handle(self):\n    for line in self.rfile: self.wfile.write(line.upper())\nsocketserver.ThreadingTCPServer((\"127.0.0.1\", int(os.environ[\"PORT\"])), E).serve_forever()";
    let planned = place.planned(
        TY,
        [
            ("command", argv(["python3", "-c", echo])),
            ("port", Value::number(i64::from(port))),
            ("protocol", text("tcp")),
        ],
    );
    let made = place.create(TY, &planned).await;
    assert_eq!(made.attributes.get_str("url"), Some(format!("tcp://127.0.0.1:{port}").as_str()));
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"hello\n").unwrap();
    let mut answer = [0_u8; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO\n");
    drop(stream);
    place.delete(TY, made).await;
    nothing_left(&place).await;
}

#[tokio::test]
async fn secrets_stay_out_of_sight() {
    let place = Place::new();
    let port = free_port();
    let secret = "swordfish-4711";
    let mut planned = service(&place, port, 1, "v1").as_map().unwrap().clone();
    planned.insert("environment".into(), Value::object_of([("PASSWORD", text(secret).sensitive())]));
    let made = place.create(TY, &Value::object(planned)).await;
    assert!(!made.identity.to_string().contains(secret) && !format!("{made:?}").contains(secret));
    for (_, line) in processes_with(place.root.path().to_str().unwrap()) {
        assert!(!line.contains(secret), "in arguments: {line}");
    }
    for piece in place.local.evidence(TY, &made.identity).await {
        assert!(!String::from_utf8_lossy(&piece.bytes).contains(secret));
    }
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = place.context.state.join("run/services").join(json(&made.identity, "service")).join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("state.json"), mode("control.sock"), mode("")), (0o600, 0o600, 0o700));
    // As it comes back from the ledger.
    let mut sealed = made.attributes.as_map().unwrap().clone();
    sealed.insert("environment".into(), Value::object_of([("PASSWORD", Value::opaque(Type::String).sensitive())]));
    let sealed = Prior { attributes: Value::object(sealed), identity: made.identity };
    let Observation::Present { attributes, .. } = place.observe(TY, &sealed).await else { panic!("it is there") };
    assert_eq!(attributes, sealed.attributes, "no false difference");
    place.delete(TY, sealed).await;
    nothing_left(&place).await;
}

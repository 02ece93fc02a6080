//! The kill loop of the backends: `gantry` is killed (SIGKILL) at the crash points inside of PostgreSQL's and S3's ledger, of
//! checkpoints, and of moving and collecting a ledger, each in a world of its own; then the same command is given again. What
//! comes out has to be what comes out where nothing happens.
//!
//! In every run of the tests each listed point is passed, and killed at where that takes no server, else a sample of them; with
//! `GANTRY_KILL_ALL=1` every passage of every point is.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::postgres::Postgres;
use super::support::s3::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Server};
use super::support::{Ran, Sandbox};

const MAIN: &str = "environments/local/main.hcl";

/// How many worlds are killed at once.
const WORKERS: usize = 2;

/// Every so-many-th point of a shared store is killed at unless all are.
const SAMPLE: usize = 5;

/// More than one part of an upload to S3, and several rows of PostgreSQL.
const LARGE: usize = 17 * 1024 * 1024;

/// Where a ledger is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Postgres,
    S3,
}

impl Kind {
    /// How the names of its own crash points begin.
    fn points(self) -> &'static [&'static str] {
        match self {
            Self::Local => &["ledger.checkpoint.", "ledger.restore."],
            Self::Postgres => &["postgres.", "store."],
            Self::S3 => &["ledger.s3.", "store."],
        }
    }

    fn state(self) -> &'static str {
        match self {
            Self::Local => r#"state "local" { path = "../../kept" }"#,
            Self::Postgres => r#"state "postgres" { url = env("STATE_URL") }"#,
            Self::S3 => {
                r#"state "s3" {
    bucket   = "BUCKET"
    prefix   = env("STATE_PREFIX")
    region   = "REGION"
    endpoint = env("STATE_STORE")
  }"#
            }
        }
    }
}

/// What is done, killed, and done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// The first deployment, with something large.
    First,
    /// Another one, on a ledger that has a checkpoint.
    Second,
    /// The ledger is moved there from the project's directory.
    Move,
    /// What the generations before the last two had beside them is collected.
    Collect,
}

const STORIES: [Story; 4] = [Story::First, Story::Second, Story::Move, Story::Collect];

impl Story {
    fn command(self) -> &'static str {
        match self {
            Self::First | Self::Second => "apply local --auto-approve",
            Self::Move => "state migrate local",
            Self::Collect => "state gc local --keep 1 --auto-approve",
        }
    }
}

/// The servers, and the threads that serve.
struct Servers {
    runtime: tokio::runtime::Runtime,
    store: Option<Server>,
    worlds: AtomicUsize,
}

impl Servers {
    fn start(kind: Kind) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let store = (kind == Kind::S3).then(|| runtime.block_on(Server::start()));
        Self { runtime, store, worlds: AtomicUsize::new(0) }
    }

    /// A project in a world of its own, with nothing done yet.
    fn project(&self, kind: Kind) -> Sandbox {
        let number = self.worlds.fetch_add(1, Ordering::SeqCst);
        let mut sandbox = Sandbox::new().with_crash_points().with("GANTRY_CHECKPOINT_AFTER", "1");
        if kind == Kind::Postgres {
            sandbox = sandbox.with("STATE_URL", self.runtime.block_on(Postgres::shared().database()));
        }
        if let Some(store) = &self.store {
            sandbox = sandbox
                .with("STATE_STORE", &store.endpoint)
                .with("STATE_PREFIX", format!("world-{number}"))
                .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
                .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
                .with("AWS_EC2_METADATA_DISABLED", "true");
        }
        sandbox
    }

    /// A world in which all is ready for a story's command.
    fn prepare(&self, kind: Kind, story: Story) -> Sandbox {
        let sandbox = self.project(kind);
        let before = if story == Story::Move { "" } else { kind.state() };
        configure(&sandbox, before, "one", if story == Story::First { LARGE } else { 100 });
        match story {
            Story::First => {}
            Story::Second => {
                drop(sandbox.run("apply local --auto-approve").succeeds());
                configure(&sandbox, kind.state(), "two", 200);
            }
            Story::Collect => {
                for (content, size) in [("one", 100), ("two", 200), ("three", 300)] {
                    configure(&sandbox, kind.state(), content, size);
                    drop(sandbox.run("apply local --auto-approve").succeeds());
                }
            }
            Story::Move => {
                configure(&sandbox, before, "one", LARGE);
                drop(sandbox.run("apply local --auto-approve").succeeds());
                configure(&sandbox, kind.state(), "one", LARGE);
            }
        }
        sandbox
    }
}

fn configure(sandbox: &Sandbox, state: &str, content: &str, size: usize) {
    let text = r#"
environment {
  STATE
}

artifact "tool" {
  file = "${path.project}/tool"
}

resource "local_file" "first" {
  filename = "${path.project}/out/first"
  content  = "CONTENT"
}

resource "local_file" "second" {
  filename = "${path.project}/out/second"
  content  = "${local_file.first.content} ${artifact.tool.digest}"
}
"#;
    let state = state.replace("BUCKET", BUCKET).replace("REGION", REGION);
    sandbox.write(MAIN, &text.replace("STATE", &state).replace("CONTENT", content));
    sandbox.write("tool", &"x".repeat(size));
}

/// What has to be the same in the end.
fn end(sandbox: &Sandbox) -> String {
    let plan = sandbox.run("plan local --detailed-exitcode");
    let files = ["first", "second"].map(|name| sandbox.read(&format!("out/{name}")));
    let list = sandbox.run("state list local").stdout;
    let verified = sandbox.run("state verify local");
    let said = if verified.code() == Some(0) { "" } else { verified.stderr.as_str() };
    format!("plan {:?}\nverify {:?} {said}\nfiles {files:?}\nlist {list}", plan.code(), verified.code())
}

/// The crash points of a kind that a story passes, and how often.
fn passed(servers: &Servers, kind: Kind, story: Story) -> (BTreeMap<String, usize>, String) {
    let sandbox = servers.prepare(kind, story);
    let log = sandbox.expand("{sandbox}/tmp/points");
    let words: Vec<&str> = story.command().split(' ').collect();
    drop(sandbox.run_in(&[("GANTRY_CRASH_LOG", &log)], &words).succeeds());
    let text = std::fs::read_to_string(&log).expect("tests/build-crash.sh builds a gantry that logs its crash points");
    let mut points = BTreeMap::new();
    for name in text.lines().filter_map(|line| Some(line.split_once(' ')?.1)) {
        if kind.points().iter().any(|prefix| name.starts_with(prefix)) {
            *points.entry(name.to_owned()).or_default() += 1;
        }
    }
    (points, end(&sandbox))
}

/// Kills at the so-many-th passage of a point, gives the command again, and says what is not as it should be.
fn kill_and_go_on(servers: &Servers, kind: Kind, story: Story, at: &str, expected: &str) -> Result<(), String> {
    let sandbox = servers.prepare(kind, story);
    let words: Vec<&str> = story.command().split(' ').collect();
    let ran = sandbox.run_in(&[("GANTRY_CRASH_AT", at)], &words);
    let said = |ran: &Ran| format!("exit {:?}, signal {:?}\n{}{}", ran.code(), ran.signal(), ran.stdout, ran.stderr);
    if ran.signal() != Some(9) {
        return Err(format!("{kind:?}, {story:?}: it never died at {at}: {}", said(&ran)));
    }
    let again = sandbox.run(story.command());
    // The move was over, and is not known to whoever waited for its end.
    let over = story == Story::Move && again.stderr.contains("Nothing to move");
    if again.code() != Some(0) && !over {
        return Err(format!("{kind:?}, {story:?}, killed at {at}: the next {}", said(&again)));
    }
    let end = end(&sandbox);
    if end != expected {
        return Err(format!("{kind:?}, {story:?}, killed at {at}: it came to\n{end}\ninstead of\n{expected}"));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
fn all_points() -> bool {
    std::env::var_os("GANTRY_KILL_ALL").is_some()
}

/// The points that `src/sim/points.rs` leaves to this test.
fn listed(kind: Kind) -> BTreeSet<String> {
    let name = regex::Regex::new(r#"\("([^"]+)", Killer::Backend\)"#).expect("a pattern");
    let all = name.captures_iter(include_str!("../../src/sim/points.rs")).map(|c| c[1].to_owned());
    all.filter(|name| kind.points().iter().any(|prefix| name.starts_with(prefix))).collect()
}

#[expect(clippy::print_stderr, reason = "the table is what the run is looked at for")]
fn kill_loop(kind: Kind) {
    let servers = Servers::start(kind);
    let (mut kills, mut table) = (Vec::new(), BTreeMap::<String, [usize; STORIES.len()]>::new());
    for (column, story) in STORIES.into_iter().enumerate() {
        let (points, expected) = passed(&servers, kind, story);
        assert!(expected.starts_with("plan Some(0)\nverify Some(0)"), "{kind:?}, {story:?}: {expected}");
        for (name, times) in points {
            table.entry(name.clone()).or_default()[column] = times;
            let passages = if all_points() { times } else { 1 };
            kills.extend((1..=passages).map(|n| (story, format!("{name}#{n}"), expected.clone())));
        }
    }
    let missing: Vec<String> = listed(kind).into_iter().filter(|name| !table.contains_key(name)).collect();
    assert!(missing.is_empty(), "no story passes these points: {missing:?}");
    if !all_points() && kind != Kind::Local {
        kills = kills.into_iter().step_by(SAMPLE).collect();
    }
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((story, at, expected)) = kills.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let one = || kill_and_go_on(&servers, kind, *story, at, expected);
                    let judged = std::panic::catch_unwind(AssertUnwindSafe(one));
                    let fault = match judged {
                        Ok(Ok(())) => continue,
                        Ok(Err(fault)) => fault,
                        Err(_) => format!("{story:?} at {at}: the test panicked, see above"),
                    };
                    faults.lock().expect("no holder panics").push(fault);
                }
            });
        }
    });
    eprintln!("{kind:?}: {} kills; passages by point in {STORIES:?}:", kills.len());
    for (name, times) in &table {
        let killed = kills.iter().filter(|(_, at, _)| at.split_once('#').is_some_and(|(n, _)| n == name)).count();
        eprintln!("  {name:<32} {times:?} killed at {killed}");
    }
    let faults = faults.into_inner().expect("no holder panics");
    let (bad, all) = (faults.len(), kills.len());
    assert!(faults.is_empty(), "{bad} of {all} kills ended otherwise:\n{}", faults.join("\n----\n"));
}

#[test]
fn a_local_ledger_survives_kills_at_checkpoints_and_when_it_is_moved() {
    kill_loop(Kind::Local);
}

#[test]
fn a_ledger_in_postgresql_survives_kills_at_its_points() {
    kill_loop(Kind::Postgres);
}

#[test]
fn a_ledger_in_a_bucket_survives_kills_at_its_points() {
    kill_loop(Kind::S3);
}

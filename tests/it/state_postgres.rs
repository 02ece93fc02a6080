//! A ledger in PostgreSQL, through the command line: two working trees that take turns, a command that is killed, one that is
//! stopped past its lease and woken, two at once, and a server that goes away in the middle.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::support::postgres::Postgres;
use super::support::{Background, Sandbox, eventually};

const MAIN: &str = "environments/local/main.hcl";

const APPLY: &str = "apply local --auto-approve";

/// Longer than a lease that nobody renews is respected.
const BEYOND_THE_LEASE: Duration = Duration::from_secs(50);

/// What several working trees act upon.
struct World {
    shared: tempfile::TempDir,
    url: String,
}

impl World {
    async fn new(server: &Postgres) -> Self {
        Self { shared: tempfile::tempdir().expect("a temporary directory can be made"), url: server.database().await }
    }

    /// A working tree: one project, cloned.
    fn clone_of_it(&self) -> Sandbox {
        let sandbox = Sandbox::new().with("STATE_URL", self.url.clone());
        sandbox.write("tool.sh", "#!/bin/sh\necho installed by the tool\n");
        self.release(&sandbox, 1);
        sandbox
    }

    /// Checks out a release. Its check passes once the file `go` is there.
    fn release(&self, sandbox: &Sandbox, number: u32) {
        let text = r#"
environment {
  state "postgres" { url = env("STATE_URL") }
  on_failure = "hold"
}

artifact "tool" {
  file = "${path.project}/tool.sh"
}

resource "local_file" "out" {
  filename = "SHARED/out"
  content  = "release NUMBER"
}

resource "local_command" "install" {
  create   = ["sh", "-c", "cp ${artifact.tool.path} SHARED/tool && chmod u+w SHARED/tool && SHARED/tool >> SHARED/log"]
  destroy  = ["rm", "SHARED/tool"]
  triggers = NUMBER
}

health_check "go" {
  command { argv = ["sh", "-c", "touch SHARED/asked; test -e SHARED/go"] }
  interval   = "100ms"
  timeout    = "300s"
  depends_on = [local_file.out, local_command.install]
}
"#;
        let shared = self.shared.path().display().to_string();
        sandbox.write(MAIN, &text.replace("SHARED", &shared).replace("NUMBER", &number.to_string()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shared.path().join(name)
    }

    fn out(&self) -> Option<String> {
        std::fs::read_to_string(self.path("out")).ok()
    }

    /// Whether checks pass.
    fn go(&self, passes: bool) {
        if passes {
            std::fs::write(self.path("go"), "").expect("the directory is writable");
        } else {
            std::fs::remove_file(self.path("go")).expect("it was there");
        }
    }
}

/// Nothing of the ledger is on this machine but the memory of its place and the files of its blobs, and no password is.
fn keeps_no_ledger(sandbox: &Sandbox) {
    let state = sandbox.project().join("state/local");
    assert!(!state.join("ledger").exists() && !state.join("key").exists());
    let place = std::fs::read_to_string(state.join("place.json")).expect("the place is remembered");
    assert!(place.contains("schema gantry, ledger local") && !place.contains("s3cret-word"), "{place}");
}

fn blobs(sandbox: &Sandbox) -> usize {
    let Ok(entries) = std::fs::read_dir(sandbox.project().join("state/local/blobs")) else { return 0 };
    entries.flatten().map(|folder| std::fs::read_dir(folder.path()).map_or(0, Iterator::count)).sum()
}

/// Starts an apply and waits until it asks its check.
fn at_its_check(sandbox: &Sandbox, world: &World) -> Background {
    let _ = std::fs::remove_file(world.path("asked"));
    let apply = Background::start(sandbox, APPLY);
    assert!(eventually(Duration::from_secs(60), || world.path("asked").exists()), "{}", apply.said());
    apply
}

#[tokio::test(flavor = "multi_thread")]
async fn two_working_trees_take_turns() {
    let world = World::new(Postgres::shared()).await;
    let (one, two) = (world.clone_of_it(), world.clone_of_it());
    world.go(true);
    drop(one.run(APPLY).succeeds());
    assert_eq!(world.out().as_deref(), Some("release 1"));
    keeps_no_ledger(&one);

    // The second sees what the first did, and its plan says the same paths.
    drop(two.run("plan local --detailed-exitcode").succeeds());
    assert!(two.run("state list local").succeeds().stdout.contains("local_command.install"));
    assert_eq!(blobs(&two), 0, "looking fetches nothing");
    world.release(&two, 2);
    drop(two.run(APPLY).succeeds());
    assert_eq!(world.out().as_deref(), Some("release 2"));
    assert_eq!(blobs(&two), 1, "the artifact that the command ran was fetched");
    keeps_no_ledger(&two);
    let log = std::fs::read_to_string(world.path("log")).expect("the tool ran");
    assert_eq!(log, "installed by the tool\n".repeat(2));

    // Back, from the first, whose files say release 1 all along.
    drop(one.run("rollback local --to 1 --auto-approve").succeeds());
    assert_eq!(world.out().as_deref(), Some("release 1"));
    drop(one.run("state verify local").succeeds());
    let history = two.run("history local --json").succeeds().stdout;
    let all: Vec<serde_json::Value> = serde_json::from_str(&history).expect("it is a list");
    assert_eq!(all.len(), 3, "{history}");

    // Killed in the middle in the second, gone on with in the first.
    world.go(false);
    world.release(&two, 3);
    let apply = at_its_check(&two, &world);
    apply.signal(Signal::KILL);
    assert_eq!(apply.end().0, None);
    world.go(true);
    drop(one.run("resume local").succeeds());
    assert_eq!(world.out().as_deref(), Some("release 3"));
    drop(two.run("plan local --detailed-exitcode").succeeds());

    drop(one.run("destroy local --auto-approve").succeeds());
    assert!(world.out().is_none() && !world.path("tool").exists());
    drop(two.run("plan local --detailed-exitcode").exits(2));
    drop(two.run("state verify local").succeeds());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_waits_and_is_told_for_whom() {
    let world = World::new(Postgres::shared()).await;
    let (one, two) = (world.clone_of_it(), world.clone_of_it());
    let apply = at_its_check(&one, &world);
    let pid = apply.child.id().to_string();
    let refused = two.run(APPLY).exits(5);
    assert!(refused.stderr.contains(&pid) && refused.stderr.contains("apply local"), "{}", refused.stderr);
    let waits = Background::start(&two, &format!("{APPLY} --lock-timeout 60s"));
    let told = || waits.said().contains("Waiting for") && waits.said().contains(&pid);
    assert!(eventually(Duration::from_secs(20), told), "{}", waits.said());
    world.go(true);
    assert_eq!(apply.end().0, Some(0));
    let (code, said) = waits.end();
    assert_eq!(code, Some(0), "{said}");
    let history = two.run("history local --json").succeeds().stdout;
    assert_eq!(history.matches("\"generation\"").count(), 1, "the second had nothing to do: {history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stopped_past_its_lease_changes_nothing_when_it_wakes() {
    let world = World::new(Postgres::shared()).await;
    let (one, two) = (world.clone_of_it(), world.clone_of_it());
    let zombie = at_its_check(&one, &world);
    zombie.signal(Signal::STOP);
    world.go(true);
    let began = tokio::time::Instant::now();
    let words = format!("{APPLY} --lock-timeout {}s", BEYOND_THE_LEASE.as_secs());
    let taken = two.run(&words).succeeds();
    assert!(taken.stderr.contains("interrupted"), "{}", taken.stderr);
    assert!(began.elapsed() > Duration::from_secs(25), "it waited for the lease to run out: {:?}", began.elapsed());
    let entries = || two.run("state verify local").succeeds().stdout;
    let before = entries();
    zombie.signal(Signal::CONT);
    let (code, said) = zombie.end();
    assert_eq!(code, Some(7), "{said}");
    assert_eq!(entries(), before, "not one entry is its own");
    drop(two.run("plan local --detailed-exitcode").succeeds());
    drop(one.run("plan local --detailed-exitcode").succeeds());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_in_the_middle_stops_the_run_and_loses_nothing() {
    let server = Postgres::start();
    let world = World::new(&server).await;
    let one = world.clone_of_it();
    let apply = at_its_check(&one, &world);
    server.kill();
    world.go(true);
    let (code, said) = apply.end();
    assert_eq!(code, Some(7), "{said}");
    let out =
        std::fs::read_to_string(one.project().join("../tmp/apply_local_--auto-approve.out")).expect("it is there");
    let told = format!("{said}{out}");
    assert!(told.contains("gantry resume") || told.contains("gantry apply"), "the next command is named: {told}");
    assert!(!told.contains("s3cret-word"), "{told}");
    // Nothing can be read, and so nothing is begun.
    let refused = one.run(APPLY).exits(1);
    assert!(refused.stderr.contains("Unreadable ledger"), "{}", refused.stderr);
    server.start_again();
    let again = one.run(APPLY).succeeds();
    assert!(again.stderr.contains("interrupted"), "{}", again.stderr);
    drop(one.run("plan local --detailed-exitcode").succeeds());
    drop(one.run("state verify local").succeeds());
    let log = std::fs::read_to_string(world.path("log")).expect("the tool ran");
    assert_eq!(log, "installed by the tool\n", "the command ran once");
}

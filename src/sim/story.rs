//! Stories: what is done to an environment, from HCL to a plan, by the code that the commands run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::disk::SimBackend;
use super::outside::SimOutside;
use super::target::{SimProvider, schemas};
use super::world::{Ear, Ended, Hit, Passed, Rest, World, process};
use crate::exec::{Ending, Finished};
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::lease::LeaseRecord;
use crate::ledger::{Backend, State, Writer};
use crate::ops::apply::{self, Applied, Judge, Made, Wanted};
use crate::ops::error::Failure;
use crate::ops::planning::Draft;
use crate::ops::run::{Changing, Opened};
use crate::ops::store::Store;
use crate::ops::{Targets, Workspace, rollback};
use crate::plan::{Options, Plan};
use crate::provider::catalog::Catalog;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Apply,
    Destroy,
    Rollback(u64),
}

/// A command on a configuration, with so many migrations.
pub(super) struct Doing {
    pub(super) command: Command,
    pub(super) config: &'static str,
    pub(super) migrations: usize,
}

/// What is done before, and then the command under test.
pub(super) struct Story {
    pub(super) name: &'static str,
    pub(super) before: &'static [Doing],
    pub(super) last: Doing,
    pub(super) ends: RunOutcome,
}

const fn apply(config: &'static str, migrations: usize) -> Doing {
    Doing { command: Command::Apply, config, migrations }
}

/// One of each type, two of which go, one of which is replaced by each order.
const FIRST: &str = r#"
resource "sim_named" "a" {
  name  = "a"
  value = "1"
}
resource "sim_token" "b" {
  name   = "b"
  value  = sim_named.a.id
  secret = "s3cret"
}
resource "sim_loose" "c" {
  name  = "c"
  shape = "round"
  value = sim_token.b.host
  lifecycle { create_before_destroy = true }
}
resource "sim_named" "d" {
  name  = "d"
  shape = "round"
  value = sim_named.a.id
}
resource "sim_inner" "e" {
  name  = "e"
  value = sim_token.b.secret
}
resource "sim_named" "gone" {
  name  = "gone"
  value = sim_loose.c.id
}
artifact "program" {
  file = "../../program"
}
resource "sim_named" "runs" {
  name  = "runs"
  value = artifact.program.digest
}
migration "schema" {
  database = "sqlite://sim.db"
  source   = "${path.project}/migrations"
}
resource "sim_service" "web" {
  name  = "web"
  value = "v1"
  depends_on = [migration.schema]
}
health_check "web" {
  tcp { address = "${sim_service.web.host}:80" }
}
output "host" { value = sim_service.web.host }
"#;

/// The same, changed in every way.
const SECOND: &str = r#"
data "sim_echo" "asked" {
  name  = "asked"
  value = sim_named.new.id
}
resource "sim_named" "a" {
  name  = "a"
  value = "2"
}
resource "sim_named" "new" {
  name  = "new"
  value = "n"
}
resource "sim_token" "b" {
  name   = "b"
  value  = sim_named.a.id
  secret = "s3cret"
}
resource "sim_loose" "c" {
  name  = "c"
  shape = "square"
  value = sim_token.b.host
  lifecycle { create_before_destroy = true }
}
resource "sim_named" "d" {
  name  = "d"
  shape = "square"
  value = sim_named.a.id
}
resource "sim_inner" "e" {
  name  = "e"
  value = data.sim_echo.asked.host
}
migration "schema" {
  database = "sqlite://sim.db"
  source   = "${path.project}/migrations"
}
resource "sim_service" "web" {
  name  = "web"
  value = "v2"
  depends_on = [migration.schema, sim_inner.e]
}
health_check "web" {
  tcp { address = "${sim_service.web.host}:80" }
}
smoke_test "end" {
  tcp { address = "good.end:80" }
  depends_on = [health_check.web, sim_loose.c]
  phases     = ["verify"]
}
output "host" { value = sim_service.web.host }
"#;

/// The same, and the new version never works.
const FAILS_BEFORE: &str = r#"
resource "sim_named" "a" {
  name  = "a"
  value = "2"
}
resource "sim_loose" "new" {
  name  = "new"
  value = sim_named.a.id
}
resource "sim_token" "b" {
  name   = "b"
  value  = sim_named.a.id
  secret = "s3cret"
}
resource "sim_loose" "c" {
  name  = "c"
  shape = "square"
  value = sim_token.b.host
  lifecycle { create_before_destroy = true }
}
resource "sim_named" "d" {
  name  = "d"
  shape = "round"
  value = sim_named.a.id
}
migration "schema" {
  database = "sqlite://sim.db"
  source   = "${path.project}/migrations"
}
resource "sim_service" "web" {
  name  = "web"
  value = "bad"
  depends_on = [migration.schema, sim_loose.c]
}
health_check "web" {
  tcp { address = "${sim_service.web.host}:80" }
}
"#;

/// The same, and that is found out when it serves.
const FAILS_AFTER: &str = r#"
resource "sim_named" "a" {
  name  = "a"
  value = "2"
}
resource "sim_token" "b" {
  name   = "b"
  value  = sim_named.a.id
  secret = "s3cret"
}
resource "sim_named" "d" {
  name  = "d"
  shape = "square"
  value = sim_named.a.id
}
migration "schema" {
  database = "sqlite://sim.db"
  source   = "${path.project}/migrations"
}
resource "sim_service" "web" {
  name  = "web"
  value = "v2"
  depends_on = [migration.schema]
}
smoke_test "end" {
  tcp { address = "bad.end:80" }
  depends_on = [sim_service.web, sim_named.d]
  phases     = ["verify"]
}
"#;

const SMALL_FIRST: &str = r#"
resource "sim_service" "web" {
  name  = "web"
  value = "v1"
}
resource "sim_loose" "old" {
  name  = "old"
  value = "1"
}
"#;

const SMALL_SECOND: &str = r#"
resource "sim_loose" "new" {
  name  = "new"
  value = "1"
}
resource "sim_service" "web" {
  name  = "web"
  value = sim_loose.new.value
}
"#;

const SMALL_FAILS: &str = r#"
resource "sim_loose" "new" {
  name  = "new"
  value = "bad"
}
resource "sim_service" "web" {
  name  = "web"
  value = sim_loose.new.value
}
health_check "web" {
  tcp { address = "${sim_service.web.host}:80" }
}
"#;

const TINY: &str = r#"
resource "sim_loose" "one" {
  name  = "one"
  value = "1"
}
resource "sim_named" "two" {
  name  = "two"
  value = sim_loose.one.id
}
"#;

const MOVED: &str = r#"
resource "sim_loose" "uno" {
  name  = "one"
  value = "2"
}
moved {
  from = sim_loose.one
  to   = sim_loose.uno
}
removed {
  from = sim_named.two
  lifecycle { destroy = false }
}
"#;

const FAILS_AT_FIRST: &str = r#"
resource "sim_loose" "one" {
  name  = "one"
  value = "1"
}
migration "schema" {
  database = "sqlite://sim.db"
  source   = "${path.project}/migrations"
}
resource "sim_service" "web" {
  name  = "web"
  value = "bad"
  depends_on = [migration.schema, sim_loose.one]
}
health_check "web" {
  tcp { address = "${sim_service.web.host}:80" }
}
"#;

/// All of them, the large ones first.
pub(super) static STORIES: [Story; 11] = [
    Story { name: "create", before: &[], last: apply(FIRST, 1), ends: RunOutcome::Verified },
    Story { name: "update", before: &[apply(FIRST, 1)], last: apply(SECOND, 2), ends: RunOutcome::Verified },
    Story {
        name: "unwind-early",
        before: &[apply(FIRST, 1)],
        last: apply(FAILS_BEFORE, 3),
        ends: RunOutcome::RolledBack,
    },
    Story {
        name: "unwind-late",
        before: &[apply(FIRST, 1)],
        last: apply(FAILS_AFTER, 1),
        ends: RunOutcome::RolledBack,
    },
    Story {
        name: "rollback",
        before: &[apply(FIRST, 1), apply(SECOND, 2)],
        last: Doing { command: Command::Rollback(1), config: SECOND, migrations: 2 },
        ends: RunOutcome::Verified,
    },
    Story {
        name: "destroy",
        before: &[apply(FIRST, 1)],
        last: Doing { command: Command::Destroy, config: FIRST, migrations: 1 },
        ends: RunOutcome::Verified,
    },
    Story { name: "unwind-first", before: &[], last: apply(FAILS_AT_FIRST, 2), ends: RunOutcome::RolledBack },
    Story { name: "moved", before: &[apply(TINY, 0)], last: apply(MOVED, 0), ends: RunOutcome::Verified },
    Story { name: "tiny", before: &[], last: apply(TINY, 0), ends: RunOutcome::Verified },
    Story { name: "small", before: &[apply(SMALL_FIRST, 0)], last: apply(SMALL_SECOND, 0), ends: RunOutcome::Verified },
    Story {
        name: "small-unwind",
        before: &[apply(SMALL_FIRST, 0)],
        last: apply(SMALL_FAILS, 0),
        ends: RunOutcome::RolledBack,
    },
];

/// How a process decides what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As the command does: the configuration is read and planned, an interrupted run is planned again from what it recorded,
    /// and gone on with or ended as held.
    Full,
    /// The plan is that of the first process, which is what planning again would give; everything from there on is the same.
    Fast,
}

/// What a process said at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// A run was carried out.
    Ran(Ending, String),
    /// There was nothing to do.
    Nothing,
    /// It could not be done.
    Failed(String),
}

impl Told {
    pub(super) fn outcome(&self) -> Option<RunOutcome> {
        if let Self::Ran(Ending::Ended(outcome), _) = self { Some(*outcome) } else { None }
    }
}

/// What must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Essence {
    pub(super) outcome: Option<RunOutcome>,
    pub(super) exists: Vec<String>,
    pub(super) migrations: Vec<String>,
    pub(super) outputs: String,
}

impl Essence {
    pub(super) fn of(rest: &Rest, state: &State) -> Self {
        Self {
            outcome: state.generations.last().and_then(|g| g.outcome),
            exists: rest.target().listed(),
            migrations: rest.databases().listed(),
            outputs: format!("{:?}", state.outputs),
        }
    }
}

/// A story that has come to the command under test.
pub(super) struct Prepared {
    pub(super) story: &'static Story,
    pub(super) rest: Rest,
    plan: Plan,
    draft: Draft,
    workspace: Workspace,
    catalog: Catalog,
    /// What comes out where nothing happens.
    pub(super) wanted: Essence,
    _directory: tempfile::TempDir,
}

/// Approves everything, and keeps the plan.
#[derive(Default)]
struct Yes(Option<(Plan, Draft)>);

impl Judge for Yes {
    fn approve(&mut self, made: &Made) -> Result<bool, Failure> {
        self.0 = Some((made.plan.clone(), made.draft.clone()));
        Ok(true)
    }

    fn waiting(&mut self, _: &LeaseRecord) {}

    fn found_interrupted(&mut self, _: &State, _: bool) {}

    fn ended_interrupted(&mut self, _: &Finished) {}
}

fn told(failure: &Failure) -> Told {
    let all: Vec<String> =
        failure.diagnostics.sorted().iter().map(|d| format!("{}: {}", d.summary, d.detail)).collect();
    Told::Failed(format!("{:?}: {}", failure.kind, all.join("; ")))
}

fn how(world: &Arc<World>) -> Changing {
    Changing {
        command: "the simulated command".into(),
        lock_timeout: Duration::ZERO,
        parallelism: 10,
        watcher: Arc::new(Ear(Arc::clone(world))),
        interrupts: world.interrupt.subscribe(),
        project: None,
    }
}

async fn open(world: &Arc<World>, workspace: &Workspace, catalog: &Catalog) -> Result<Opened, Failure> {
    let backend: Arc<dyn Backend> = Arc::new(SimBackend::new(world));
    let (writer, reading) = Writer::open_reading(Arc::clone(&backend)).await?;
    let provider: Arc<dyn crate::provider::Provider> = Arc::new(SimProvider::new(world, Vec::new()));
    let providers = [("sim".to_owned(), provider)].into();
    let clock: Arc<dyn crate::ports::clock::Clock> = world.clock.clone();
    let outside = Arc::new(SimOutside(Arc::clone(world)));
    let targets = Targets::made_of(providers, clock, outside, catalog.clone());
    let store = Store::simulated(workspace, backend);
    Opened::on(workspace.clone(), store, writer, reading, targets).await
}

fn wanted(command: Command) -> Wanted {
    let options = match command {
        Command::Destroy => Options { kind: RunKind::Destroy, destroy: true, ..Options::default() },
        _ => Options::default(),
    };
    Wanted { options, allow_destroy: true, ..Wanted::default() }
}

/// What a command does, from opening the ledger.
async fn command(
    world: Arc<World>,
    workspace: &Workspace,
    catalog: &Catalog,
    command: Command,
    judge: &mut Yes,
) -> Told {
    let how = how(&world);
    let result = async {
        let mut opened = open(&world, workspace, catalog).await?;
        let wanted = wanted(command);
        match command {
            Command::Rollback(to) => rollback::rollback_opened(&mut opened, Some(to), &wanted, &how, judge).await,
            _ => apply::apply_opened(&mut opened, &wanted, &how, judge).await,
        }
    };
    match result.await {
        Ok(Applied::Ran(ran)) => Told::Ran(ran.finished.ending, ran.finished.sentence),
        Ok(_) => Told::Nothing,
        Err(failure) => told(&failure),
    }
}

fn write(directory: &Path, doing: &Doing) {
    let environment = directory.join("environments/sim");
    std::fs::create_dir_all(&environment).unwrap();
    std::fs::write(environment.join("main.hcl"), doing.config).unwrap();
    std::fs::write(directory.join("program"), "what runs").unwrap();
    let migrations = directory.join("migrations");
    let _ = std::fs::remove_dir_all(&migrations);
    std::fs::create_dir_all(&migrations).unwrap();
    for n in 1..=doing.migrations {
        std::fs::write(migrations.join(format!("000{n}_m{n}.up.sql")), format!("CREATE TABLE t{n} (n INTEGER);\n"))
            .unwrap();
        std::fs::write(migrations.join(format!("000{n}_m{n}.down.sql")), format!("DROP TABLE t{n};\n")).unwrap();
    }
}

impl Prepared {
    /// Brings a story to its command, and tries the command where nothing happens.
    pub(super) fn new(story: &'static Story, seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut catalog = Catalog::default();
        catalog.add("sim", schemas());
        let mut rest = World::untouched();
        let mut judge = Yes::default();
        let run = |doing: &Doing, rest: &Rest, judge: &mut Yes| {
            write(directory.path(), doing);
            let workspace = Workspace::locate(directory.path(), Some("sim")).expect("it was just written");
            let (ended, passed) = process(rest, seed, &[], false, async |world| {
                command(world, &workspace, &catalog, doing.command, judge).await
            });
            let Ended::Done(told) = ended else { panic!("{}: nothing happens, and it does not end", story.name) };
            assert_eq!(passed.violations, [""; 0], "{}", story.name);
            (told, passed.rest)
        };
        for doing in story.before {
            let (told, after) = run(doing, &rest, &mut judge);
            assert_eq!(told.outcome(), Some(RunOutcome::Verified), "{}: {told:?}", story.name);
            rest = after;
        }
        let (told, after) = run(&story.last, &rest, &mut judge);
        assert_eq!(told.outcome(), Some(story.ends), "{}: {told:?}", story.name);
        let (plan, draft) = judge.0.take().expect("it was asked");
        let workspace = Workspace::locate(directory.path(), Some("sim")).expect("it was just written");
        let wanted = Essence::of(&after, &after.state());
        Self { story, rest, plan, draft, workspace, catalog, wanted, _directory: directory }
    }

    /// Runs one process.
    pub(super) fn process(
        &self,
        rest: &Rest,
        seed: u64,
        hits: &[Hit],
        traced: bool,
        mode: Mode,
    ) -> (Ended<Told>, Passed) {
        process(rest, seed, hits, traced, async |world: Arc<World>| match mode {
            Mode::Full => {
                let mut judge = Yes::default();
                command(world, &self.workspace, &self.catalog, self.story.last.command, &mut judge).await
            }
            Mode::Fast => self.fast(world).await,
        })
    }

    async fn fast(&self, world: Arc<World>) -> Told {
        let how = how(&world);
        let result = async {
            let mut opened = open(&world, &self.workspace, &self.catalog).await?;
            if opened.state.open.is_some() {
                return opened.resume(&how, &self.draft, self.plan.clone()).await.map(Some);
            }
            if opened.state.generation() >= self.plan.generation {
                return Ok(None);
            }
            opened.run(&how, self.plan.clone(), &self.draft, None).await.map(Some)
        };
        match result.await {
            Ok(Some(ran)) => Told::Ran(ran.finished.ending, ran.finished.sentence),
            Ok(None) => Told::Nothing,
            Err(failure) => told(&failure),
        }
    }
}

//! The work that is no plain act: artifacts, migrations, data, checks' configurations, moves, replacements.

use super::super::check;
use super::*;
use crate::addr::NodeKind;
use crate::ledger::record::Pin;
use crate::migrate::{self, Database};
use crate::plan::change::PlannedMigration;
use crate::plan::step::PinStep;
use crate::probe::Probe;
use crate::value::Kind;

fn in_directory() -> (tempfile::TempDir, Case) {
    let directory = tempfile::tempdir().unwrap();
    let mut case = Case::new();
    case.directory = directory.path().to_path_buf();
    (directory, case)
}

fn pin_step(source: Value, digest: Option<&str>) -> Work {
    Work::Pin(PinStep {
        kind: "file".into(),
        source,
        digest: digest.map(str::to_owned),
        recorded: None,
        schema: Default::default(),
        committed: None,
    })
}

#[tokio::test]
async fn an_artifact_is_what_the_file_is_when_its_step_comes() {
    let (directory, mut case) = in_directory();
    std::fs::write(directory.path().join("app"), "the program").unwrap();
    let mut build = Build::new(&State::default());
    let pin = build.step("artifact.app", "pin", pin_step(Value::string("app"), None), &[]);
    let path = object("user", result_of("artifact.app", "path"));
    build.act("fake_thing.user", Action::Create, &path, &[pin]);
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    let digest = sha256(b"the program");
    let state = case.state();
    let pinned = &state.pins[&"artifact.app".parse().unwrap()];
    assert_eq!((pinned.digest.as_str(), pinned.size), (format!("sha256:{digest}").as_str(), Some(11)));
    let wanted = format!("user=blobs/{}/{}", &digest[..2], &digest[2..]);
    assert_eq!(case.fake.objects(), [wanted], "its path is what the planner will say next time");
    assert_eq!(case.disk.lock().unwrap().blobs[&digest], b"the program");
}

#[tokio::test]
async fn a_file_that_is_not_what_was_planned_or_no_file_is_refused() {
    let (directory, mut case) = in_directory();
    std::fs::write(directory.path().join("app"), "another program").unwrap();
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    for (source, digest, why) in [
        ("app", Some("sha256:00"), "is not what was planned"),
        ("missing", None, "There is no file missing"),
        ("folder", None, "is not a regular file"),
    ] {
        let mut build = Build::new(&case.state());
        build.step("artifact.app", "pin", pin_step(Value::string(source), digest), &[]);
        let finished = case.run(&build.plan).await;
        assert_eq!(outcome(&finished), RunOutcome::RolledBack);
        assert!(finished.sentence.contains(why), "{}", finished.sentence);
    }
}

#[tokio::test]
async fn a_pin_of_an_earlier_generation_is_set_again_without_looking_at_files() {
    let (_directory, mut case) = in_directory();
    let pin = Pin {
        kind: "file".into(),
        digest: "sha256:abcd".into(),
        source: "app".into(),
        tag: None,
        size: None,
        schema: Default::default(),
        committed: None,
    };
    let mut build = Build::new(&State::default());
    let work = Work::Pin(PinStep {
        kind: "file".into(),
        source: Value::string("app"),
        digest: None,
        recorded: Some(pin.clone()),
        schema: Default::default(),
        committed: None,
    });
    build.step("artifact.app", "pin", work, &[]);
    assert_eq!(outcome(&case.run(&build.plan).await), RunOutcome::Verified);
    assert_eq!(case.state().pins.values().collect::<Vec<_>>(), [&pin]);
}

fn migration(version: u64, up: &str, down: Option<&str>) -> PlannedMigration {
    PlannedMigration {
        version,
        name: format!("m{version}"),
        checksum: sha256(up.as_bytes()),
        up: up.into(),
        down: down.map(Into::into),
        file: format!("{version:04}_m{version}.up.sql"),
        down_file: down.map(|_| format!("{version:04}_m{version}.down.sql")),
        effects: Vec::new(),
    }
}

fn url() -> Value {
    Value::string("sqlite://app.db").sensitive()
}

fn migrations(state: &State) -> Plan {
    let mut build = Build::new(state);
    let first = migration(1, "CREATE TABLE orders (id INTEGER);", Some("DROP TABLE orders;"));
    let work = Work::Migrate { url: url(), migration: first, how: Arc::default() };
    let first = build.step("migration.schema", "migrate 1", work, &[]);
    let second = migration(2, "CREATE TABLE items (id INTEGER);", Some("DROP TABLE items;"));
    let work = Work::Migrate { url: url(), migration: second, how: Arc::default() };
    let second = build.step("migration.schema", "migrate 2", work, &[first]);
    build.act("fake_thing.user", Action::Create, &thing("user", "1"), &[second]);
    build.plan
}

async fn applied(case: &Case) -> Vec<u64> {
    let database = Database::parse("sqlite://app.db", &case.directory).unwrap();
    let journal = migrate::read(&database).await.unwrap();
    journal.applied.iter().map(|a| a.version).collect()
}

#[tokio::test]
async fn migrations_are_applied_with_their_texts_kept() {
    let (_directory, mut case) = in_directory();
    let finished = case.run(&migrations(&State::default())).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    assert_eq!(applied(&case).await, [1, 2]);
    let state = case.state();
    let recorded = &state.migrations[&"migration.schema".parse().unwrap()];
    assert_eq!(recorded.iter().map(|m| m.version).collect::<Vec<_>>(), [1, 2]);
    let disk = case.disk.lock().unwrap();
    assert_eq!(disk.blobs[recorded[0].down.as_ref().unwrap()], b"DROP TABLE orders;");
    assert!(!format!("{:?}", disk.entries).contains("sqlite://"), "the database's URL is a secret");
}

#[tokio::test]
async fn a_migration_that_fails_names_its_statement_and_one_is_taken_back() {
    let (_directory, mut case) = in_directory();
    case.run(&migrations(&State::default())).await;
    let mut build = Build::new(&case.state());
    let work = Work::Migrate {
        url: url(),
        migration: migration(3, "SELECT 1;\nCREATE TABLE orders (id INTEGER);", None),
        how: Arc::default(),
    };
    build.step("migration.schema", "migrate 3", work, &[]);
    build.plan.on_failure = OnFailure::Hold;
    let finished = case.run(&build.plan).await;
    assert!(finished.sentence.contains("0003_m3.up.sql:2: "), "{}", finished.sentence);

    let mut build = Build::new(&case.state());
    let work = Work::Revert {
        url: url(),
        migration: migration(2, "CREATE TABLE items (id INTEGER);", None),
        how: Arc::default(),
    };
    build.step("migration.schema", "revert 2", work, &[]);
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    assert_eq!(applied(&case).await, [1]);
    assert_eq!(case.state().migrations.values().next().unwrap().len(), 1);
}

#[tokio::test]
async fn a_death_anywhere_around_migrations_applies_each_once() {
    for variant in 0..VARIANTS {
        for point in 1.. {
            let (_directory, mut case) = in_directory();
            case.die_at(Some(Death { point, variant }));
            let plan = migrations(&State::default());
            let finished = case.run(&plan).await;
            let died = case.died();
            case.die_at(None);
            let finished = if case.state().open.is_some() || case.state().generations.is_empty() {
                case.run(&plan).await
            } else {
                finished
            };
            let state = case.state();
            let what = format!("{point} {variant}: {}", finished.sentence);
            assert_eq!(state.generations.last().unwrap().outcome, Some(RunOutcome::Verified), "{what}");
            assert_eq!(applied(&case).await, [1, 2], "{what}");
            assert_eq!(state.migrations.values().next().unwrap().len(), 2, "{what}");
            case.check(&what);
            if !died {
                assert!(point > 5);
                break;
            }
        }
    }
}

/// Takes back what the database's own journal still has of the run's migrations, as `ops` does it.
struct TakesBack(PathBuf);

#[async_trait]
impl WayBackPlanner for TakesBack {
    async fn plan(&self, state: &State, _: bool) -> Result<Plan, String> {
        let database = Database::parse("sqlite://app.db", &self.0).unwrap();
        let there = migrate::read(&database).await.unwrap();
        let mut build = Build::new(state);
        let mut after = Vec::new();
        for (_, applied) in state.open.as_ref().unwrap().migrated.iter().rev() {
            if there.get(applied.version).is_some() {
                let migration = migration(applied.version, "", None);
                let migration = PlannedMigration { checksum: applied.checksum.clone(), ..migration };
                let work = Work::Revert { url: url(), migration, how: Arc::default() };
                after = vec![build.step("migration.schema", &format!("revert {}", applied.version), work, &after)];
            }
        }
        Ok(build.plan)
    }
}

#[tokio::test]
async fn a_death_anywhere_while_migrations_are_taken_back_takes_each_back_once() {
    for variant in 0..VARIANTS {
        for point in 1.. {
            let (_directory, case) = in_directory();
            let mut build = Build::new(&State::default());
            build.plan = migrations(&State::default());
            build.plan.steps.pop();
            build.check(Phase::Verify, None, &Value::string("127.0.0.1:1"), &[1]);
            let plan = build.plan;
            let mut died = true;
            for death in [Some(Death { point, variant }), None] {
                case.die_at(death);
                let state = case.state();
                let begin = if state.open.is_some() { Begin::Continue } else { Begin::New(Box::new(started(&plan))) };
                let way_back = Arc::new(TakesBack(case.directory.clone()));
                if state.open.is_some() || state.generations.is_empty() {
                    let runner = Runner { way_back, ..case.runner("run-1") };
                    runner.run(&plan, state, begin).await;
                }
                died = case.died() || (death.is_none() && died);
            }
            let state = case.state();
            let what = format!("{point} {variant}");
            assert_eq!(state.generations.last().unwrap().outcome, Some(RunOutcome::RolledBack), "{what}");
            assert_eq!(applied(&case).await, [0; 0], "{what}");
            assert!(state.migrations.values().all(Vec::is_empty), "{what}: {:?}", state.migrations);
            if !died {
                assert!(point > 7, "{point}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn data_is_read_when_its_arguments_are_known_and_again_where_it_holds_secrets() {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    let a = build.act("fake_thing.a", Action::Create, &thing("a", "1"), &[]);
    let arguments = with(&object("echo", result_of("fake_thing.a", "id")), "token", crash::secret("s3cret"));
    let arguments = with(&with(&arguments, "id", Value::null(Type::String)), "url", Value::null(Type::String));
    let read =
        build.step("data.fake_echo.e", "read", Work::Read { provider: "fake".into(), arguments, lenient: false }, &[a]);
    let b = build.act("fake_thing.b", Action::Create, &object("b", result_of("data.fake_echo.e", "value")), &[read]);
    build.act("fake_thing.c", Action::Create, &object("c", result_of("data.fake_echo.e", "token")), &[read, b]);
    for point in 1..=12 {
        let (mut fresh, plan) = (Case::new(), &build.plan);
        fresh.die_at(Some(Death { point, variant: 1 }));
        fresh.run(plan).await;
        fresh.die_at(None);
        if fresh.state().open.is_some() {
            fresh.run(plan).await;
        }
        let objects = fresh.fake.objects();
        assert_eq!(objects, ["a=1", "b=id-a", "c=s3cret"], "{point}");
        fresh.check("read");
    }
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    assert!(!format!("{:?}", case.disk.lock().unwrap().entries).contains("s3cret"));
}

#[tokio::test]
async fn a_replacement_keeps_the_old_object_until_the_commit() {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    build.act("fake_thing.a", Action::Create, &thing("first", "1"), &[]);
    case.run(&build.plan).await;
    let state = case.state();
    let mut build = Build::new(&state);
    let record = &state.records[&"fake_thing.a".parse().unwrap()];
    let prior = Prior { attributes: Value::null(Type::Any), identity: record.identity.clone() };
    let second = build.act("fake_thing.a", Action::Create, &thing("second", "2"), &[]);
    build.edit(second, |act| act.prior = Some(prior.clone()));
    let commit = build.commit(&[second]);
    let gone = build.act("fake_thing.a", Action::Delete, &Value::null(Type::Any), &[commit]);
    build.plan.steps[gone].name = "fake_thing.a retire".into();
    build.edit(gone, |act| {
        act.version = Some(prior.identity.clone());
        act.follows = Some(second);
    });
    // Whatever dies in between, the record ends as the new object and the old one is gone.
    for point in 1..=9 {
        let mut case = Case::new();
        let mut first = Build::new(&State::default());
        first.act("fake_thing.a", Action::Create, &thing("first", "1"), &[]);
        case.run(&first.plan).await;
        case.die_at(Some(Death { point, variant: 1 }));
        case.run(&build.plan).await;
        case.die_at(None);
        if case.state().open.is_some() {
            let finished = case.run(&build.plan).await;
            assert_eq!(outcome(&finished), RunOutcome::Verified, "{point}: {}", finished.sentence);
        }
        assert_eq!(case.fake.objects(), ["second=2"], "{point}");
        case.check("replaced");
    }
}

#[tokio::test]
async fn a_switch_back_to_what_stands_retires_nothing_that_serves() {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    build.act("fake_service.web", Action::Create, &thing("web", "1"), &[]);
    case.run(&build.plan).await;
    let state = case.state();
    let serving = state.records.values().next().unwrap().identity.clone();
    let mut build = Build::new(&state);
    let retire = build.act("fake_service.web", Action::Retire, &Value::null(Type::Any), &[]);
    build.edit(retire, |act| act.version = Some(serving));
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified);
    assert_eq!(case.fake.objects(), ["web=1"]);
    assert_eq!(case.fake.calls().len(), 1, "nothing was asked of the target");
}

#[tokio::test]
async fn records_move_and_are_forgotten_without_a_target() {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    for name in ["a", "b", "c"] {
        build.act(&format!("fake_thing.{name}"), Action::Create, &thing(name, "1"), &[]);
    }
    case.run(&build.plan).await;
    let calls = case.fake.calls().len();
    let mut build = Build::new(&case.state());
    build.step("fake_thing.z", "move", Work::Move { from: "fake_thing.a".parse().unwrap() }, &[]);
    build.step("fake_thing.b", "forget", Work::Forget, &[]);
    assert_eq!(outcome(&case.run(&build.plan).await), RunOutcome::Verified);
    assert_eq!(case.fake.calls().len(), calls);
    let state = case.state();
    let names: Vec<String> = state.records.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["fake_thing.c", "fake_thing.z"]);
}

#[tokio::test]
async fn drawn_values_are_the_same_after_a_crash_and_the_run_s_own() {
    #[derive(Debug)]
    struct Drawn(&'static str);
    impl crate::value::Deferred for Drawn {
        fn finish(&self, results: &dyn crate::value::Results) -> Result<Value, crate::value::Unfinished> {
            Ok(results.draw(self.0).unwrap())
        }
        fn needs(&self, _: &mut std::collections::BTreeSet<Address>) {}
        fn text(&self) -> String {
            format!("{}()", self.0)
        }
    }
    let drawn = |what| Value::unknown(Type::String, Residual::Deferred(Arc::new(Drawn(what))));
    let mut build = Build::new(&State::default());
    build.act("fake_thing.a", Action::Create, &object("a", drawn("timestamp")), &[]);
    build.act("fake_thing.b", Action::Create, &object("b", drawn("uuid:here")), &[]);
    let mut seen = std::collections::BTreeSet::new();
    for point in 2..=6 {
        let mut case = Case::new();
        case.die_at(Some(Death { point, variant: 1 }));
        case.run(&build.plan).await;
        case.die_at(None);
        if case.state().open.is_some() {
            case.run(&build.plan).await;
        }
        case.check("drawn");
        seen.insert(case.fake.objects());
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    let objects = seen.first().unwrap();
    assert_eq!(objects[0], "a=2026-01-01T00:00:01Z", "the run's own time");
    let uuid = objects[1].strip_prefix("b=").unwrap();
    assert!(
        uuid.len() == 36 && uuid.as_bytes()[14] == b'8' && "89ab".contains(uuid.chars().nth(19).unwrap()),
        "{uuid}"
    );
}

#[test]
fn a_check_s_configuration_becomes_its_probe() {
    let headers = Value::map(
        Type::String,
        [("authorization".into(), Value::string("Bearer s3cret").sensitive())].into_iter().collect(),
    );
    let expect = Value::object_of([
        ("status", Value::tuple(vec![Value::number(200_i64), Value::number(201_i64)])),
        ("json", Value::object_of([("$.status", Value::string("accepted"))])),
        ("latency", Value::string("500ms")),
        ("body_contains", Value::null(Type::String)),
    ]);
    let http = Value::object_of([
        ("method", Value::string("POST")),
        ("url", Value::string("http://127.0.0.1:1/orders")),
        ("headers", headers),
        ("body", Value::string("{}")),
        ("timeout", Value::null(Type::String)),
        ("expect", expect),
    ]);
    let configuration = Value::object_of([
        ("http", http),
        ("tcp", Value::null(Type::Any)),
        ("interval", Value::string("200ms")),
        ("timeout", Value::string("20s")),
        ("success_threshold", Value::number(2_i64)),
    ]);
    let (probe, judge, secrets) = check::read(&configuration, NodeKind::HealthCheck).unwrap();
    let Probe::Http(probe) = probe else { panic!("{probe:?}") };
    assert_eq!((probe.method.as_str(), probe.body.as_deref()), ("POST", Some("{}")));
    assert_eq!(probe.expect.status.into_iter().collect::<Vec<_>>(), [200, 201]);
    assert_eq!(probe.expect.json, [("$.status".to_owned(), serde_json::json!("accepted"))]);
    assert_eq!(probe.expect.latency, Some(Duration::from_millis(500)));
    assert_eq!((judge.interval, judge.timeout), (Some(Duration::from_millis(200)), Duration::from_secs(20)));
    assert_eq!((judge.success_threshold, judge.attempt_timeout), (2, Duration::from_secs(5)));
    assert_eq!(secrets, ["Bearer s3cret"]);

    let command = Value::object_of([
        ("argv", Value::strings(["true"])),
        ("environment", Value::map(Type::String, [("A".into(), Value::string("b"))].into_iter().collect())),
    ]);
    let configuration = Value::object_of([("command", command)]);
    let (probe, judge, _) = check::read(&configuration, NodeKind::SmokeTest).unwrap();
    assert!(matches!(&probe, Probe::Command(c) if c.argv == ["true"] && c.environment.len() == 1));
    assert_eq!(judge.interval, None, "a smoke test is asked once");

    for wrong in [
        Value::object_of([("interval", Value::string("1s"))]),
        Value::object_of([("tcp", Value::object_of([("address", Value::null(Type::String))]))]),
        Value::object_of([("command", Value::object_of([("argv", Value::from(Kind::Bool(true)))]))]),
        Value::object_of([
            ("tcp", Value::object_of([("address", Value::string("a:1"))])),
            ("timeout", Value::string("soon")),
        ]),
    ] {
        assert!(check::read(&wrong, NodeKind::SmokeTest).is_err(), "{wrong:?}");
    }
}

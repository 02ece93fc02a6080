//! The kill loop: `gantry` is killed (SIGKILL) at its counted crash points, each in a world of its own, and the same command
//! is run again. What comes out has to be what comes out where nothing happens.
//!
//! By default a sample of the points, spread evenly; `GANTRY_KILL_ALL=1` takes every one.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::support::{Sandbox, eventually, http};

/// How many worlds are killed at once.
const WORKERS: usize = 3;

/// How many points before the wanted one are tried where a run is over before it gets there: what waits asks as often as it
/// has to, so no two runs pass exactly as many.
const BEFORE: usize = 8;

/// What is done, killed, and done again.
#[derive(Clone, Copy)]
struct Story {
    /// A world in which all is ready for the command.
    prepare: fn() -> Sandbox,
    command: &'static str,
    /// How the command ends.
    code: i32,
    /// How many points are tried unless all are.
    sample: usize,
}

const MAIN: &str = "environments/local/main.hcl";

const APPLY: &str = "apply local --auto-approve";

const ROLLBACK: &str = "rollback local --to 1 --auto-approve";

const DESTROY: &str = "destroy local --auto-approve";

const REFRESH: &str = "apply local --refresh-only --auto-approve";

const PROMOTE: &str = "promote origin local --auto-approve";

const COLLECT: &str = "state gc local --keep 1 --auto-approve";

/// Gives the small project another content, another migration, and a check that fails if it is to.
fn change(sandbox: &Sandbox, fails: bool) {
    let check = if fails { "false" } else { "true" };
    let smoke = r#"
smoke_test "end" {
  command { argv = ["CHECK"] }
  depends_on = [local_file.second, local_command.once, migration.schema]
}
"#;
    let text = sandbox.read(MAIN).replace("\"one\"", "\"two\"");
    sandbox.write(MAIN, &format!("{text}{}", smoke.replace("CHECK", check)));
}

fn small_migrations(sandbox: &Sandbox, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let mut up = format!("CREATE TABLE t{number} (n INTEGER);\nINSERT INTO t{number} VALUES ({number});\n");
        if number == 2 {
            // Statement by statement, the last of them outside of any transaction.
            up = format!("-- gantry:no-transaction\n{up}VACUUM;\n");
        }
        sandbox.write(&format!("migrations/000{number}_t{number}.up.sql"), &up);
        sandbox.write(&format!("migrations/000{number}_t{number}.down.sql"), &format!("DROP TABLE t{number};\n"));
    }
}

fn small() -> Sandbox {
    let sandbox = Sandbox::new().with_crash_points();
    sandbox.copy_project("small");
    small_migrations(&sandbox, 1..=2);
    sandbox
}

fn small_deployed() -> Sandbox {
    let sandbox = small();
    drop(sandbox.run(APPLY).succeeds());
    sandbox
}

fn small_update() -> Sandbox {
    let sandbox = small_deployed();
    change(&sandbox, false);
    small_migrations(&sandbox, 3..=3);
    sandbox
}

/// Somebody changed a file, and took another away.
fn small_drifted() -> Sandbox {
    let sandbox = small_deployed();
    sandbox.write("out/first", "somebody else\n");
    std::fs::remove_file(sandbox.project().join("out/second")).expect("it was made");
    sandbox
}

fn small_failing() -> Sandbox {
    let sandbox = small_deployed();
    change(&sandbox, true);
    small_migrations(&sandbox, 3..=3);
    sandbox
}

fn small_failing_first() -> Sandbox {
    let sandbox = small();
    change(&sandbox, true);
    sandbox
}

/// The shop with a word in place of its program's digest as the build's trigger: sixteen megabytes that are hashed by every
/// command tell nothing here and take most of the time.
fn shop() -> Sandbox {
    let sandbox = Sandbox::shop().with_crash_points();
    sandbox.write(MAIN, &sandbox.read(MAIN).replace("filesha256(\"${path.project}/shop\")", "\"v1\""));
    sandbox
}

fn shop_deployed() -> Sandbox {
    let sandbox = shop();
    drop(sandbox.run(APPLY).succeeds());
    sandbox
}

/// Another release with the migration that it needs.
fn release(sandbox: &Sandbox, variant: &str) {
    sandbox.ship(variant);
    sandbox.migrations(&["0003"]);
    sandbox.write(MAIN, &sandbox.read(MAIN).replace("\"v1\"", &format!("\"{variant}\"")));
}

fn shop_update() -> Sandbox {
    let sandbox = shop_deployed();
    release(&sandbox, "v2");
    sandbox
}

fn shop_never_healthy() -> Sandbox {
    let sandbox = shop_deployed();
    release(&sandbox, "v2-health");
    sandbox.write(MAIN, &sandbox.read(MAIN).replace("\"3s\"", "\"400ms\""));
    sandbox
}

fn shop_fails_after_the_switch() -> Sandbox {
    let sandbox = shop_deployed();
    release(&sandbox, "v2-orders");
    sandbox
}

fn shop_two_releases() -> Sandbox {
    let sandbox = shop_update();
    drop(sandbox.run(APPLY).succeeds());
    sandbox
}

fn small_with_a_past() -> Sandbox {
    let sandbox = small_deployed();
    for content in ["two", "three"] {
        let text = sandbox.read(MAIN);
        sandbox.write(
            MAIN,
            &text.replace("\"one\"", &format!("\"{content}\"")).replace("\"two\"", &format!("\"{content}\"")),
        );
        drop(sandbox.run(APPLY).succeeds());
    }
    sandbox
}

/// An environment that proved a release, and one that is to get it after an earlier one.
fn promotion() -> Sandbox {
    let sandbox = Sandbox::new().with_crash_points();
    small_migrations(&sandbox, 1..=1);
    let environment = |name: &str, gate: &str| {
        let text = format!(
            r#"{gate}
artifact "tool" {{ file = "${{path.project}}/tool" }}
migration "schema" {{
  database = "sqlite://${{path.project}}/{name}.db"
  source   = "${{path.project}}/migrations"
}}
resource "local_file" "tool" {{
  filename   = "${{path.project}}/build/{name}"
  content    = artifact.tool.digest
  depends_on = [migration.schema]
}}
smoke_test "there" {{
  command {{ argv = ["test", "-s", local_file.tool.filename] }}
}}
"#
        );
        let directory = if name == "small" { "local" } else { name };
        sandbox.write(&format!("environments/{directory}/main.hcl"), &text);
    };
    environment("origin", "");
    environment("small", "environment {\n  promotion {\n    from = \"origin\"\n  }\n}\n");
    for content in ["one\n", "two\n"] {
        if content == "two\n" {
            drop(sandbox.run(PROMOTE).succeeds());
            small_migrations(&sandbox, 2..=2);
        }
        sandbox.write("tool", content);
        drop(sandbox.run("apply origin --auto-approve").succeeds());
    }
    // What is promoted is what was proven, wherever the tree is by now.
    sandbox.write("tool", "three\n");
    sandbox
}

/// What is compared: everything that a user could tell apart, without what differs from run to run.
fn state(sandbox: &Sandbox) -> Json {
    let shown: Json =
        serde_json::from_str(&sandbox.run("show local --json").succeeds().stdout).expect("show speaks JSON");
    let own = &shown["gantry"];
    let checks: Vec<Json> =
        own["checks"].as_array().into_iter().flatten().map(|c| json!([c["address"], c["passed"]])).collect();
    let mut kept = json!({
        "values": shown["values"], "generation": own["generation"], "versions": own["versions"], "open": own["open"],
        "migrations": own["migrations"], "artifacts": own["artifacts"], "checks": checks,
        "plan": sandbox.run("plan local --detailed-exitcode").code(),
        "list": sandbox.run("state list local").succeeds().stdout,
        "files": files(sandbox),
        "tables": tables(sandbox),
    });
    equalise(sandbox, &mut kept);
    kept
}

/// Replaces what is drawn at random and shorter than what is normalised everywhere, and in which generation a record was
/// made: a run that ended just before it was killed is followed by another.
fn equalise(sandbox: &Sandbox, json: &mut Json) {
    match json {
        Json::String(text) => *text = equal(&sandbox.normalise(text)),
        Json::Number(number) => *json = Json::String(sandbox.normalise(&number.to_string())),
        Json::Array(all) => all.iter_mut().for_each(|one| equalise(sandbox, one)),
        Json::Object(all) => {
            if let Some(made) = all.get_mut("gantry").and_then(|own| own.get_mut("generation")) {
                *made = Json::Null;
            }
            all.values_mut().for_each(|one| equalise(sandbox, one));
        }
        _ => {}
    }
}

fn equal(text: &str) -> String {
    let uuid = regex::Regex::new(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-(\{id\}|[0-9]{12})").expect("a pattern");
    let short = regex::Regex::new(r"\b([a-z]+)-[0-9a-f]{10}\b").expect("a pattern");
    short.replace_all(&uuid.replace_all(text, "{uuid}"), "$1-{id}").into_owned()
}

/// The files outside of the ledger with their contents (of programs and databases only their names).
fn files(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![sandbox.project()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the project is readable") {
            let path = entry.expect("the project is readable").path();
            let name = path.strip_prefix(sandbox.project()).expect("the walk stays inside").display().to_string();
            if path.is_dir() {
                if name != "state" {
                    folders.push(path);
                }
            } else if !name.ends_with("-wal") && !name.ends_with("-shm") {
                let bytes = std::fs::read(&path).expect("the project is readable");
                all.insert(name, String::from_utf8(bytes).unwrap_or_default());
            }
        }
    }
    all
}

/// The tables of the databases with how they are made, and what the small project put into its own.
fn tables(sandbox: &Sandbox) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let mut all = Vec::new();
    for name in ["small.db", "build/shop.db"] {
        let path = sandbox.project().join(name);
        if !path.exists() {
            continue;
        }
        runtime.block_on(async {
            let mut database =
                SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a database");
            let found = sqlx::query("SELECT name, coalesce(sql, '') FROM sqlite_master ORDER BY name");
            for row in found.fetch_all(&mut database).await.expect("every database has this table") {
                let table: String = row.get(0);
                let own = table.strip_prefix('t').is_some_and(|n| n.parse::<u32>().is_ok());
                let count: i64 = if own {
                    let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                    sqlx::query(query).fetch_one(&mut database).await.expect("the table is there").get(0)
                } else {
                    0
                };
                all.push(format!("{name} {table} {count} {}", row.get::<String, _>(1)));
            }
        });
    }
    all
}

/// What runs, by its command line.
fn running(sandbox: &Sandbox) -> Vec<String> {
    let mut all: Vec<String> = sandbox.processes().iter().map(|line| sandbox.normalise(line)).collect();
    for line in &mut all {
        *line = equal(line);
    }
    all.sort();
    all
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// How a story goes when nothing happens.
struct Undisturbed {
    state: Json,
    running: Vec<String>,
    /// The names of the crash points that were passed, in order.
    points: Vec<String>,
}

fn undisturbed(story: Story) -> Undisturbed {
    let sandbox = (story.prepare)();
    let log = sandbox.expand("{sandbox}/tmp/points");
    drop(sandbox.run_in(&[("GANTRY_CRASH_LOG", &log)], &words(story.command)).exits(story.code));
    let text = std::fs::read_to_string(&log).expect("tests/build-crash.sh builds a gantry that logs its crash points");
    let points = text.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
    Undisturbed { state: state(&sandbox), running: running(&sandbox), points }
}

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
fn all_points() -> bool {
    std::env::var_os("GANTRY_KILL_ALL").is_some()
}

/// The numbers of the points to be killed at: all, or so many, evenly spread, the first and the last among them.
fn chosen(points: usize, sample: usize) -> Vec<usize> {
    if all_points() || points <= sample {
        return (1..=points).collect();
    }
    (0..sample).map(|i| 1 + i * (points - 1) / (sample - 1)).collect()
}

/// Kills a run at a point. Gives the world and the number of the point at which it really died.
fn killed_at(story: Story, point: usize) -> (Sandbox, usize) {
    for number in (point.saturating_sub(BEFORE).max(1)..=point).rev() {
        let sandbox = (story.prepare)();
        let ran = sandbox.run_in(&[("GANTRY_CRASH_AT", &number.to_string())], &words(story.command));
        if ran.signal() == Some(9) {
            return (sandbox, number);
        }
        drop(ran.exits(story.code));
    }
    panic!("`gantry {}` never died at point {point} nor at the {BEFORE} before it", story.command);
}

/// Kills at one point, runs the command again, and says what is not as it should be.
fn kill_and_go_on(story: Story, expected: &Undisturbed, point: usize) -> Result<(), String> {
    let (sandbox, number) = killed_at(story, point);
    let name = expected.points.get(number - 1).map_or("", String::as_str);
    let was_open = sandbox.run("show local --json").stdout.contains("\"open\": {");
    let again = sandbox.run(story.command);
    let fault = |what: &str| {
        let place = sandbox.expand("{sandbox}");
        format!("killed at {number} ({name}) in {place}: {what}\n{}\n{}", again.stdout, again.stderr)
    };
    let result = (|| {
        if again.code() != Some(story.code) {
            return Err(fault(&format!("exit {:?} instead of {}", again.code(), story.code)));
        }
        if was_open && !again.stderr.contains("was interrupted") {
            return Err(fault("an interrupted run was not gone on with"));
        }
        let verified = sandbox.run("state verify local");
        if verified.code() != Some(0) {
            return Err(fault(&format!("the ledger is not sound: {}{}", verified.stdout, verified.stderr)));
        }
        let (mut is, mut wanted) = (state(&sandbox), expected.state.clone());
        if story.code != 0 && !was_open {
            // It had ended, or not begun, when it was killed: what it tries is tried once more.
            is["files"]["journal"] = Json::Null;
            wanted["files"]["journal"] = Json::Null;
        }
        if is != wanted {
            return Err(fault(&format!("another end:\n{}", difference(&wanted, &is))));
        }
        if !eventually(Duration::from_secs(5), || running(&sandbox) == expected.running) {
            return Err(fault(&format!("what runs is {:#?} instead of {:#?}", running(&sandbox), expected.running)));
        }
        Ok(())
    })();
    if result.is_err() {
        sandbox.keep();
    }
    result
}

fn difference(expected: &Json, seen: &Json) -> String {
    let text = |json| serde_json::to_string_pretty(json).expect("JSON is text");
    let (expected, seen) = (text(expected), text(seen));
    similar::TextDiff::from_lines(&expected, &seen).unified_diff().header("undisturbed", "after the kill").to_string()
}

fn kill_loop(story: Story) {
    let expected = undisturbed(story);
    let points = chosen(expected.points.len(), story.sample);
    assert!(points.len() >= story.sample, "there are only {} points", points.len());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let judged =
                        std::panic::catch_unwind(AssertUnwindSafe(|| kill_and_go_on(story, &expected, *point)));
                    let fault = match judged {
                        Ok(Ok(())) => continue,
                        Ok(Err(fault)) => fault,
                        Err(_) => format!("point {point}: the test panicked, see above"),
                    };
                    faults.lock().expect("no holder panics").push(fault);
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no holder panics");
    let (bad, all) = (faults.len(), points.len());
    assert!(faults.is_empty(), "{bad} of {all} kills ended otherwise:\n{}", faults.join("\n----\n"));
}

macro_rules! stories {
    ($($name:ident: $prepare:ident, $command:ident, exit $code:literal, sample $sample:literal;)*) => {
        $(
            #[test]
            fn $name() {
                kill_loop(Story { prepare: $prepare, command: $command, code: $code, sample: $sample });
            }
        )*

        /// All of them.
        const STORIES: &[Story] =
            &[$(Story { prepare: $prepare, command: $command, code: $code, sample: $sample }),*];
    };
}

stories! {
    first_deployment_of_the_small: small, APPLY, exit 0, sample 14;
    update_of_the_small: small_update, APPLY, exit 0, sample 8;
    unwind_of_the_small: small_failing, APPLY, exit 3, sample 8;
    unwind_of_the_first_deployment: small_failing_first, APPLY, exit 3, sample 6;
    destroy_of_the_small: small_deployed, DESTROY, exit 0, sample 5;
    first_deployment_of_the_shop: shop, APPLY, exit 0, sample 5;
    update_of_the_shop: shop_update, APPLY, exit 0, sample 6;
    unwind_before_the_switch: shop_never_healthy, APPLY, exit 3, sample 4;
    unwind_after_the_switch: shop_fails_after_the_switch, APPLY, exit 3, sample 4;
    rollback_of_the_shop: shop_two_releases, ROLLBACK, exit 0, sample 4;
    destroy_of_the_shop: shop_deployed, DESTROY, exit 0, sample 3;
    collection_of_the_small: small_with_a_past, COLLECT, exit 0, sample 4;
    promotion_of_a_release: promotion, PROMOTE, exit 0, sample 6;
    refresh_of_the_small: small_drifted, REFRESH, exit 0, sample 4;
}

/// Every crash point that `src/sim/points.rs` leaves to real processes is passed by a story, so that no point is one at which
/// nobody ever dies.
#[test]
fn every_listed_point_is_passed() {
    let listed = include_str!("../../src/sim/points.rs");
    let name = regex::Regex::new(r#"\("([^"]+)", Killer::Process\)"#).expect("a pattern");
    let mut missing: std::collections::BTreeSet<&str> =
        name.captures_iter(listed).map(|c| c.get(1).expect("it has a group").as_str()).collect();
    assert!(missing.len() > 20, "the list is read: {missing:?}");
    for story in STORIES {
        for point in undisturbed(*story).points {
            missing.remove(point.as_str());
        }
    }
    assert!(missing.is_empty(), "no story passes these points: {missing:?}");
}

/// How often the shop is killed from outside.
const ROUNDS: usize = 10;

#[test]
fn kills_from_outside_at_any_time() {
    let sandbox = Sandbox::shop();
    sandbox.migrations(&["0003"]);
    let mut killed = 0;
    for round in 0..ROUNDS {
        let (variant, version) = if round % 2 == 0 { ("v1", "1") } else { ("v2", "2") };
        sandbox.ship(variant);
        let mut apply = sandbox.command(&words(APPLY));
        let null = || std::process::Stdio::null();
        let mut child = apply.stdout(null()).stderr(null()).spawn().expect("gantry can be started");
        let until = Duration::from_millis(rand(2500));
        let over = eventually(until, || child.try_wait().expect("it is our child").is_some());
        let _ = child.kill();
        killed += usize::from(!over && child.wait().expect("it is our child").code().is_none());
        let again = sandbox.run(APPLY);
        assert_eq!(again.code(), Some(0), "round {round} after {until:?}: {}{}", again.stdout, again.stderr);
        drop(sandbox.run("plan local --detailed-exitcode").succeeds());
        drop(sandbox.run("state verify local").succeeds());
        let answer = http::get(sandbox.port("port"), "/products").expect("it serves");
        assert_eq!(answer.header("shop-version"), Some(version), "round {round} after {until:?}");
        let three = || sandbox.processes().len() == 3;
        let what = "one supervisor and two replicas run";
        assert!(eventually(Duration::from_secs(10), three), "{what}: {:#?}", sandbox.processes());
    }
    assert!(killed > ROUNDS / 3, "only {killed} of {ROUNDS} were killed");
    drop(sandbox.run(DESTROY).succeeds());
    assert!(eventually(Duration::from_secs(5), || sandbox.processes().is_empty()), "{:#?}", sandbox.processes());
}

/// A random number below a bound.
fn rand(bound: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(bound) % bound
}

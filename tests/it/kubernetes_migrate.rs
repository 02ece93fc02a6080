//! Migrations in the cluster: `runner "kubernetes_job"`, with SQL that Gantry's own program runs there (here: a process of this
//! machine, against a real database), and with an image's own tool.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value as Json;

use crate::cluster::{AnyCluster, Fault, On};
use crate::kubernetes::{Stage, both};
use crate::support::holds;
use crate::support::postgres::Postgres;

both!(
    sql_runs_where_the_database_is,
    sql_that_fails_says_where_and_leaves_nothing,
    sql_is_taken_back_when_the_run_fails,
    what_is_applied_already_is_left_alone,
    an_image_without_gantry_is_called_so,
    a_command_runs_once_for_each_image,
    a_command_that_fails_fails_the_run_with_its_log,
    a_command_is_taken_back_by_the_one_that_was_stored,
);

const ENVIRONMENT: &str = r#"
variable "database_url" { sensitive = true }
variable "image" { default = "shop/gantry:1" }

migration "schema" {
  source   = "../../migrations"
  database = var.database_url

  runner "kubernetes_job" {
    image     = var.image
    namespace = "SPACE"
  }
}
"#;

const SMOKE: &str = r#"
variable "exit" { default = "0" }
smoke_test "works" {
  depends_on = [migration.schema]
  command { argv = ["sh", "-c", "exit ${var.exit}"] }
}
"#;

const COMMAND: &str = r#"
variable "image" { default = "shop/rails:1" }
migration "schema" {
  runner "kubernetes_job" {
    image     = var.image
    namespace = "SPACE"
    command   = ["rails", "db:migrate"]
    DOWN
  }
}
"#;

async fn stage<'c>(cluster: &'c AnyCluster, space: &str, main: &str) -> (Stage<'c>, String) {
    let url = Postgres::shared().database().await;
    let stage = Stage::new(cluster, space).await.namespace().await;
    let stage = stage.sandboxed(|sandbox| sandbox.with("GANTRY_VAR_database_url", &url));
    stage.main(main);
    stage.write("migrations/0001_create_orders.up.sql", "CREATE TABLE orders (id BIGINT PRIMARY KEY);\n");
    stage.write("migrations/0001_create_orders.down.sql", "DROP TABLE orders;\n");
    (stage, url)
}

async fn tables(url: &str) -> Vec<String> {
    let database = url.rsplit('/').next().unwrap();
    Postgres::shared().psql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").await
}

/// What of migrations is in a namespace: Jobs and Secrets by name.
async fn left(stage: &Stage<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (api, plural) in [("apis/batch/v1", "jobs"), ("api/v1", "secrets")] {
        let list = stage.get(api, plural).await;
        let items: Vec<Json> = list["items"].as_array().cloned().unwrap_or_default();
        names.extend(items.iter().map(|one| format!("{plural}/{}", one["metadata"]["name"].as_str().unwrap())));
    }
    names
}

async fn sql_runs_where_the_database_is(cluster: &AnyCluster) {
    let (stage, url) = stage(cluster, "sql", ENVIRONMENT).await;
    let plan = stage.run("plan test").succeeds();
    holds(&plan.stdout, &["+ 0001 create_orders", "CREATE TABLE orders", "1 migration"]);
    let ran = stage.apply().succeeds();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("s3cret-word"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(tables(&url).await, ["gantry_migrations", "orders"]);
    assert_eq!(left(&stage).await, Vec::<String>::new(), "the request holds the URL, and goes with its end");
    let again = stage.run("plan test --detailed-exitcode").succeeds();
    assert!(again.stdout.contains("No changes."), "{}", again.stdout);
    stage.write("migrations/0002_add_note.up.sql", "ALTER TABLE orders ADD COLUMN note TEXT;\n");
    let plan = stage.run("plan test").succeeds();
    holds(&plan.stdout, &["+ 0002 add_note", "way back: none"]);
    let _ = stage.apply().succeeds();
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY 1";
    assert_eq!(Postgres::shared().psql(url.rsplit('/').next().unwrap(), columns).await, ["id", "note"]);
}

async fn sql_that_fails_says_where_and_leaves_nothing(cluster: &AnyCluster) {
    let (stage, url) = stage(cluster, "sql-bad", ENVIRONMENT).await;
    stage.write("migrations/0002_typo.up.sql", "SELECT 1;\nALTER TABLE odrers ADD COLUMN note TEXT;\n");
    let ran = stage.apply();
    assert_eq!(ran.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    holds(&ran.stderr, &["0002_typo.up.sql:2: ", "relation \"odrers\" does not exist"]);
    // A first deployment that fails leaves nothing: the first one was taken back by its down text.
    assert_eq!(tables(&url).await, ["gantry_migrations"]);
    assert_eq!(left(&stage).await, Vec::<String>::new());
}

async fn sql_is_taken_back_when_the_run_fails(cluster: &AnyCluster) {
    let (stage, url) = stage(cluster, "sql-back", &format!("{ENVIRONMENT}{SMOKE}")).await;
    let ran = stage.run("apply test --auto-approve --var exit=1");
    assert_eq!(ran.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(tables(&url).await, ["gantry_migrations"], "{}{}", ran.stdout, ran.stderr);
    let _ = stage.apply().succeeds();
    assert_eq!(tables(&url).await, ["gantry_migrations", "orders"]);
}

async fn what_is_applied_already_is_left_alone(cluster: &AnyCluster) {
    let (stage, url) = stage(cluster, "sql-already", ENVIRONMENT).await;
    let _ = stage.apply().succeeds();
    // Another ledger, which knows nothing of it: the database's own journal does.
    std::fs::remove_dir_all(stage.sandbox.project().join("state")).unwrap();
    let plan = stage.run("plan test").succeeds();
    holds(&plan.stdout, &["+ 0001 create_orders"]);
    let _ = stage.apply().succeeds();
    assert_eq!(tables(&url).await, ["gantry_migrations", "orders"]);
}

async fn an_image_without_gantry_is_called_so(cluster: &AnyCluster) {
    let (stage, url) = stage(cluster, "sql-image", ENVIRONMENT).await;
    let ran = stage.run("apply test --auto-approve --var image=shop/nogantry:1");
    assert_eq!(ran.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    holds(&ran.stderr, &["exec: \"gantry\": executable file not found in $PATH"]);
    assert_eq!(tables(&url).await, Vec::<String>::new());
    let ran = stage.run("apply test --auto-approve --var image=shop/notfound:1");
    assert_eq!(ran.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    holds(&ran.stderr, &["shop/notfound:1", "not found"]);
    assert_eq!(left(&stage).await, Vec::<String>::new());
}

async fn a_command_runs_once_for_each_image(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "tool").await.namespace().await;
    stage.main(&COMMAND.replace("DOWN", ""));
    let plan = stage.run("plan test").succeeds();
    holds(
        &plan.stdout,
        &[
            "# rails db:migrate",
            "{\"command\":[\"rails\",\"db:migrate\"],\"image\":\"shop/rails:1\"}",
            "way back: none",
            "what the command did stays: its runner has no \"down\"",
        ],
    );
    let _ = stage.apply().succeeds();
    let first = left(&stage).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let again = stage.run("plan test --detailed-exitcode").succeeds();
    assert!(again.stdout.contains("No changes."), "{}", again.stdout);
    let _ = stage.run("apply test --auto-approve --var image=shop/rails:2").succeeds();
    let second = left(&stage).await;
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    // What was run for an earlier image is not run again, going back or not.
    let back = stage.apply();
    assert_eq!(back.code(), Some(0), "{}{}", back.stdout, back.stderr);
    assert_eq!(left(&stage).await, second);
}

async fn a_command_that_fails_fails_the_run_with_its_log(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "tool-bad").await.namespace().await;
    stage.main(&COMMAND.replace("DOWN", ""));
    let ran = stage.run("apply test --auto-approve --var image=shop/crash:1");
    assert_eq!(ran.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    holds(&ran.stderr, &["migration.schema migrate 1", "Job tool-bad/schema-"]);
    let again = stage.run("apply test --auto-approve --var image=shop/crash:1");
    assert_eq!(again.code(), Some(3), "it is tried again: {}{}", again.stdout, again.stderr);
    let _ = stage.apply().succeeds();
}

async fn a_command_is_taken_back_by_the_one_that_was_stored(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "tool-back").await.namespace().await;
    stage.main(&format!("{}{SMOKE}", COMMAND.replace("DOWN", "down = [\"rails\", \"db:rollback\"]")));
    let ran = stage.run("apply test --auto-approve --var exit=1");
    assert_eq!(ran.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    let jobs = stage.get("apis/batch/v1", "jobs").await;
    let commands: Vec<&Json> = jobs["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["spec"]["template"]["spec"]["containers"][0]["command"])
        .collect();
    assert_eq!(commands, [&serde_json::json!(["rails", "db:rollback"])], "{}{}", ran.stdout, ran.stderr);
    let _ = stage.apply().succeeds();
}

/// What is wrong with a runner is said with its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_runner_is_an_error_at_its_place() {
    let cluster = AnyCluster::in_process().await;
    let (stage, _) = stage(&cluster, "wrong", ENVIRONMENT).await;
    for (from, to, wanted) in [
        ("kubernetes_job", "kubernetes_jop", "Did you mean \"kubernetes_job\"?"),
        ("image     = var.image", "", "The argument \"image\" is required in a \"runner\" block, but it is not there."),
        ("image     = var.image", "image = var.image\n    command = [\"x\"]", "there is no \"source\" of SQL"),
        (
            "  source   = \"../../migrations\"\n",
            "",
            "The argument \"source\" is required, but it is not set in this block.",
        ),
        (
            "  database = var.database_url\n",
            "",
            "The argument \"database\" is required, but it is not set in this block.",
        ),
        (
            "  database = var",
            "  lock_timeout = \"soon\"\n  database = var",
            "\"lock_timeout\" is a duration: \"soon\" is not one;",
        ),
        ("\"SPACE\"", "\"nowhere\"", "Error: Target refuses the migration's task"),
        ("\"SPACE\"", "\"nowhere\"", "Job nowhere/schema-"),
    ] {
        assert!(ENVIRONMENT.contains(from), "{from}");
        stage.main(&ENVIRONMENT.replace(from, to));
        let refused = stage.run("plan test");
        assert_eq!(refused.code(), Some(1), "{to}: {}", refused.stdout);
        holds(&refused.stderr, &[wanted, "environments/test/main.hcl:"]);
    }
}

/// Who may only read sees the plan all the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_plans_all_the_same() {
    let cluster = AnyCluster::in_process().await;
    let (stage, _) = stage(&cluster, "reads", ENVIRONMENT).await;
    stage.control().user("reader-token", "reader", Vec::new());
    stage.sandbox.write("kubeconfig", &cluster.kubeconfig("test", "reader-token"));
    let plan = stage.run("plan test").succeeds();
    holds(&plan.stdout, &["+ 0001 create_orders"]);
    let refused = stage.apply();
    assert_eq!(refused.code(), Some(3), "{}{}", refused.stdout, refused.stderr);
    holds(&refused.stderr, &["User \"reader\" cannot get resource \"jobs\""]);
    stage.write("kubeconfig", "nothing: here");
    let refused = stage.run("plan test").exits(1);
    assert!(!refused.stderr.is_empty());
}

/// What a command may end with when something goes wrong on its way: well, refused, taken back, or not finished.
const ENDS: [Option<i32>; 5] = [Some(0), Some(1), Some(3), Some(5), Some(7)];

/// After whatever happened: the same command brings it to its end, the migration is applied once, and nothing is left in the
/// cluster.
async fn comes_to_its_end(stage: &Stage<'_>, url: &str, what: &str) -> Result<(), String> {
    let again = stage.apply();
    let said = format!("{what}:\n{}{}", again.stdout, again.stderr);
    if again.code() != Some(0) {
        return Err(format!("the same command ends with {:?}; {said}", again.code()));
    }
    let database = url.rsplit('/').next().unwrap();
    let rows = Postgres::shared().psql(database, "SELECT count(*)::text FROM orders").await;
    if rows != ["1"] {
        return Err(format!("{rows:?} rows; {said}"));
    }
    for command in ["plan test --detailed-exitcode", "state verify test"] {
        let ran = stage.run(command);
        if ran.code() != Some(0) {
            return Err(format!("{command}: {:?} {}{}; {said}", ran.code(), ran.stdout, ran.stderr));
        }
    }
    match left(stage).await {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?} are left; {said}")),
    }
}

async fn counted<'c>(cluster: &'c AnyCluster, space: &str) -> (Stage<'c>, String) {
    let (stage, url) = stage(cluster, space, ENVIRONMENT).await;
    let stage = stage.sandboxed(crate::support::Sandbox::with_crash_points);
    stage.write(
        "migrations/0001_create_orders.up.sql",
        "CREATE TABLE orders (id BIGINT PRIMARY KEY);\nINSERT INTO orders SELECT count(*) + 1 FROM orders;\n",
    );
    (stage, url)
}

/// Killed before and after each request that makes something, and before the answer is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_in_the_cluster_is_killed() {
    let mut wrong = Vec::new();
    let cluster = AnyCluster::in_process().await;
    for (n, at) in ["exec.migrate#1", "kubernetes.apply#1", "kubernetes.applied#1", "exec.append#2"].iter().enumerate()
    {
        let (stage, url) = counted(&cluster, &format!("sql-kill-{n}")).await;
        let ran = stage.sandbox.run_in(&[("GANTRY_CRASH_AT", at)], &["apply", "test", "--auto-approve"]);
        if ran.signal() != Some(9) {
            wrong.push(format!("it did not die at {at}: {ran:?}"));
            continue;
        }
        wrong.extend(comes_to_its_end(&stage, &url, at).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

/// A command is killed: its Job goes on, and is neither run twice nor taken for not run.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_the_cluster_is_killed() {
    let cluster = AnyCluster::in_process().await;
    for (n, at) in ["exec.migrate#1", "kubernetes.apply#1", "kubernetes.applied#1", "exec.find#1"].iter().enumerate() {
        let stage = Stage::new(&cluster, &format!("tool-kill-{n}")).await.namespace().await;
        let stage = stage.sandboxed(crate::support::Sandbox::with_crash_points);
        stage.main(&COMMAND.replace("DOWN", ""));
        let first = if *at == "exec.find#1" { "kubernetes.applied#1" } else { at };
        for at in [first, at] {
            let ran = stage.sandbox.run_in(&[("GANTRY_CRASH_AT", at)], &["apply", "test", "--auto-approve"]);
            assert_eq!(ran.signal(), Some(9), "{at}: {}{}", ran.stdout, ran.stderr);
            if first == at {
                break;
            }
        }
        let again = stage.apply();
        assert_eq!(again.code(), Some(0), "{at}: {}{}", again.stdout, again.stderr);
        let pods = stage.get("api/v1", "pods").await;
        assert_eq!(pods["items"].as_array().map(Vec::len), Some(1), "{at}: {}{}", again.stdout, again.stderr);
        let _ = stage.run("state verify test").succeeds();
    }
}

/// Every request of a migration, and what can go wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_a_request_the_migration_is_applied_once() {
    let cluster = AnyCluster::in_process().await;
    let requests = [
        ("get", "jobs", 1),
        ("list", "jobs", 1),
        ("list", "pods", 1),
        // The first is the plan's dry run.
        ("apply", "jobs", 1),
        ("apply", "jobs", 2),
        ("apply", "secrets", 1),
        ("apply", "jobs", 3),
        ("get", "jobs", 2),
        ("delete", "jobs", 1),
    ];
    let faults = [Fault::Status(500), Fault::CloseBefore, Fault::CloseAfter, Fault::Truncate, Fault::Status(403)];
    let mut wrong = Vec::new();
    for (n, (verb, resource, nth)) in requests.into_iter().enumerate() {
        for (m, fault) in faults.iter().enumerate() {
            let space = format!("sql-fault-{n}-{m}");
            let (stage, url) = counted(&cluster, &space).await;
            let control = stage.control();
            control.fault(On::verb(verb).resource(resource).namespace(&space).nth(nth), fault.clone());
            let ran = stage.apply();
            control.clear_faults();
            let what =
                format!("{verb} {resource} {nth} with {fault:?}: {:?}\n{}{}", ran.code(), ran.stdout, ran.stderr);
            if !ENDS.contains(&ran.code()) {
                wrong.push(format!("it ended otherwise; {what}"));
            }
            wrong.extend(comes_to_its_end(&stage, &url, &what).await.err());
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n----\n"));
}

//! The schema gate: an artifact meets only a schema that it runs on.

use super::support::{Sandbox, holds};

/// An environment whose artifact runs on this range of versions.
fn main(range: &str, on_rollback: &str) -> String {
    format!(
        r#"
artifact "app" {{
  file = "${{path.project}}/app.bin"
  schema "schema" {{
    {range}
  }}
}}

migration "schema" {{
  database    = "sqlite://${{path.project}}/test.db"
  source      = "${{path.project}}/migrations"
  on_rollback = "{on_rollback}"
}}

resource "terraform_data" "app" {{
  input      = artifact.app.digest
  depends_on = [migration.schema]
}}
"#
    )
}

fn migration(sandbox: &Sandbox, n: u32, way_back: bool) {
    sandbox.write(&format!("migrations/000{n}_t{n}.up.sql"), &format!("CREATE TABLE t{n} (a INTEGER);\n"));
    if way_back {
        sandbox.write(&format!("migrations/000{n}_t{n}.down.sql"), &format!("DROP TABLE t{n};\n"));
    }
}

fn config(sandbox: &Sandbox, app: &str, range: &str, on_rollback: &str) {
    sandbox.write("app.bin", app);
    sandbox.write("environments/test/main.hcl", &main(range, on_rollback));
}

const APPLY: &str = "apply test --auto-approve";

#[test]
fn an_artifact_that_does_not_run_on_the_schema_is_refused_before_anything_is_touched() {
    let sandbox = Sandbox::new();
    migration(&sandbox, 1, true);
    config(&sandbox, "one", "min = 1\n    max = 2", "keep");
    let _ = sandbox.run(APPLY).succeeds();
    migration(&sandbox, 2, true);
    migration(&sandbox, 3, true);
    let refused = sandbox.run(APPLY).exits(5);
    holds(
        &refused.stderr,
        &[
            "Error: Artifact does not run on this schema\n",
            "artifact.app runs on migration.schema 1 to 2, and the database has version 3 after this (1 now). Nothing was touched.",
            "Leave the migrations above 2 out until there is a release that runs on 3; or take another release.",
        ],
    );
    assert_eq!(sandbox.run("plan test").exits(5).stdout, "");
    config(&sandbox, "two", "min = 5", "keep");
    let refused = sandbox.run(APPLY).exits(5);
    holds(&refused.stderr, &["runs on migration.schema 5 and above", "bring the migrations up to 5 along"]);
    config(&sandbox, "two", "min = 2\n    max = 4", "keep");
    let applied = sandbox.run(APPLY).succeeds();
    holds(
        &applied.stderr,
        &[
            "Warning: What serves does not run on the new schema",
            "artifact.app that serves now runs on migration.schema 1 to 2, and meets version 3",
        ],
    );
    // The newest that fits is named.
    config(&sandbox, "three", "max = 1", "keep");
    holds(&sandbox.run(APPLY).exits(5).stderr, &["The newest release here that runs on 3 is generation 2."]);
}

#[test]
fn a_rollback_is_refused_where_the_older_release_does_not_run_on_what_stays() {
    let sandbox = Sandbox::new();
    migration(&sandbox, 1, true);
    config(&sandbox, "one", "max = 1", "keep");
    let _ = sandbox.run(APPLY).succeeds();
    migration(&sandbox, 2, true);
    config(&sandbox, "two", "max = 2", "keep");
    let _ = sandbox.run(APPLY).succeeds();
    let refused = sandbox.run("rollback test --auto-approve").exits(5);
    holds(
        &refused.stderr,
        &[
            "artifact.app runs on migration.schema up to 1, and the database has version 2.",
            "go back to another generation",
        ],
    );
}

#[test]
fn a_rollback_that_needs_a_way_down_which_is_missing_is_refused_unless_the_schema_may_stay() {
    for (range, code) in [("max = 2", 0), ("max = 1", 5)] {
        let sandbox = Sandbox::new();
        migration(&sandbox, 1, true);
        config(&sandbox, "one", range, "down");
        let _ = sandbox.run(APPLY).succeeds();
        migration(&sandbox, 2, false);
        config(&sandbox, "two", "max = 2", "down");
        let _ = sandbox.run(APPLY).succeeds();
        let refused = sandbox.run("rollback test --auto-approve").exits(5);
        holds(
            &refused.stderr,
            &[
                "Error: Migration without a way back\n",
                "migration 2 (t2) has no way back. Nothing was touched.",
                "--keep-schema",
            ],
        );
        let _ = sandbox.run("rollback test --auto-approve --keep-schema").exits(code);
    }
}

#[test]
fn a_schema_range_is_checked() {
    let sandbox = Sandbox::new();
    migration(&sandbox, 1, true);
    for (range, words) in [
        ("min = 3\n    max = 1", "The range from 3 to 1 holds no version."),
        ("", "A range has \"min\", \"max\" or both."),
        ("min = -1", "\"min\" is a schema version: a whole number"),
        ("min = \"x\"", "\"min\" is a schema version: a whole number"),
    ] {
        config(&sandbox, "one", range, "keep");
        holds(&sandbox.run("plan test").exits(1).stderr, &["Error: Invalid schema range\n", words]);
    }
    sandbox
        .write("environments/test/main.hcl", &main("min = 1", "keep").replace("schema \"schema\"", "schema \"shema\""));
    holds(
        &sandbox.run("plan test").exits(1).stderr,
        &["Error: Unknown migration\n", "there is no migration.shema.", "Did you mean \"migration.schema\"?"],
    );
}

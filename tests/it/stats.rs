//! `gantry stats` and `gantry show --run`.

use super::support::{Sandbox, holds};

const MAIN: &str = r#"
variable "ok" { default = true }

resource "local_file" "a" {
  filename = "${path.project}/out/a.txt"
  content  = "${var.ok}\n"
}

smoke_test "fine" {
  depends_on = [local_file.a]
  command { argv = ["sh", "-c", "echo seen-by-the-check; grep -q true ../../out/a.txt"] }
  timeout           = "2s"
  failure_threshold = 1
}
"#;

/// An environment with a verified generation and one that went back.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.hcl", MAIN);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let _ = sandbox.run("apply test --auto-approve --var ok=false").exits(3);
    sandbox
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text:?} is no JSON: {e}"))
}

#[test]
fn figures_come_from_the_ledger() {
    let sandbox = project();
    sandbox.write("environments/fresh/main.hcl", "resource \"terraform_data\" \"x\" {}\n");
    let figures = json(&sandbox.run("stats test fresh --since 10d --json").succeeds().stdout);
    let test = &figures["environments"][0];
    assert_eq!((&test["environment"], &figures["since_seconds"]), (&"test".into(), &864_000.into()));
    assert_eq!(test["deployments"], serde_json::json!({ "ended": 2, "verified": 1, "verified_per_day": 0.1 }));
    assert_eq!(test["change_failure"], serde_json::json!({ "failed": 1, "rate": 0.5 }));
    assert_eq!((&test["time_to_restore"]["restored"], &test["time_to_restore"]["unrestored"]), (&1.into(), &0.into()));
    assert!(test["time_to_restore"]["median_seconds"].is_number() && test.get("lead_time").is_none());
    let fresh = &figures["environments"][1];
    assert_eq!((&fresh["deployments"]["ended"], &fresh["change_failure"]["rate"]), (&0.into(), &().into()));

    let table = sandbox.run("stats --all").succeeds().stdout;
    holds(
        &table,
        &["ENVIRONMENT", "fresh 0 0 0.00 - 0 - - 0", "test 2 1 0.01 - 1 50% ", "(median) 0", "Of the last 90 days"],
    );
    holds(&sandbox.run("stats test --since soon").exits(1).stderr, &["Invalid --since"]);
    holds(&sandbox.run("stats test --since 0s").exits(1).stderr, &["Invalid --since"]);
    holds(&sandbox.run("stats none").exits(1).stderr, &["There is no environment \"none\""]);
}

#[test]
fn a_run_is_replayed_with_its_evidence() {
    let sandbox = project();
    let history = json(&sandbox.run("history test --json").succeeds().stdout);
    let failed = history[1]["run"].as_str().unwrap().to_owned();
    let text = sandbox.run(&format!("show test --run {failed}")).succeeds().stdout;
    holds(
        &text,
        &[
            &format!("test: run {failed}\n"),
            "  kind     apply, generation 2\n",
            "by tester",
            "  outcome  rolled back: ",
            "local_file.a update: starts",
            "local_file.a update: done",
            "smoke_test.fine verify: failed: ",
            "seen-by-the-check",
            "goes back: ",
            "(way back)",
            "ends rolled back: ",
        ],
    );
    let short = sandbox.run(&format!("show test --run {}", &failed[4..10])).succeeds().stdout;
    assert_eq!(short, text, "a prefix is enough");

    let story = json(&sandbox.run(&format!("show test --run {failed} --json")).succeeds().stdout);
    assert_eq!(
        (&story["run"], &story["outcome"], &story["generation"]),
        (&failed.clone().into(), &"rolled back".into(), &2.into())
    );
    assert!(story["duration_seconds"].is_number() && story["actor"] == "tester", "{story}");
    let events = story["events"].as_array().unwrap();
    assert_eq!((&events[0]["type"], &events.last().unwrap()["type"]), (&"run_started".into(), &"run_finished".into()));
    let judged = events.iter().find(|e| e["type"] == "check_judged" && e["passed"] == false).unwrap();
    let seen = judged["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .any(|e| e["text"].as_str().is_some_and(|text| text.contains("seen-by-the-check")));
    assert!(seen, "{judged}");

    holds(
        &sandbox.run("show test --run run-zz").exits(1).stderr,
        &["No run has an identity that begins with \"run-zz\""],
    );
    holds(&sandbox.run("show test --run run-").exits(1).stderr, &["Unknown run"]);
}

#[test]
fn history_says_what_changed_and_what_was_checked() {
    let sandbox = project();
    let all = json(&sandbox.run("history test --json").succeeds().stdout);
    assert_eq!(all[0]["changes"], serde_json::json!({ "added": 1, "changed": 0, "destroyed": 0, "migrations": 0 }));
    assert_eq!(all[0]["checks"], serde_json::json!({ "passed": 1, "failed": 0 }));
    assert_eq!((&all[1]["changes"]["changed"], &all[1]["checks"]["failed"]), (&1.into(), &1.into()));
    assert!(all[0]["duration_seconds"].is_number() && all[0]["actor"] == "tester", "{all}");
    let table = sandbox.run("history test").succeeds().stdout;
    holds(&table, &["BY CHANGED CHECKS", "tester +1 ~0 -0 1/1 ", "tester +0 ~1 -0 "]);
}

#[test]
fn lead_times_are_those_of_artifacts_that_say_when_they_were_committed() {
    let sandbox = Sandbox::new();
    let main = |committed: &str| {
        format!("artifact \"app\" {{\n  file      = \"../../app\"\n  committed = \"{committed}\"\n}}\n")
    };
    sandbox.write("app", "one");
    sandbox.write("environments/test/main.hcl", &main("yesterday"));
    let wrong = sandbox.run("plan test").exits(1);
    holds(&wrong.stderr, &["\"committed\" is the time of the newest commit", "git log -1 --format=%cI prints it."]);
    sandbox.write("environments/test/main.hcl", &main("2026-01-01T00:00:00+01:00"));
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    // Another history of the same content is no deployment.
    sandbox.write("environments/test/main.hcl", &main("2026-01-02T00:00:00Z"));
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes."]);
    let figures = json(&sandbox.run("stats test --json").succeeds().stdout);
    let lead = &figures["environments"][0]["lead_time"];
    assert_eq!(lead["artifacts"], 1);
    assert!(lead["median_seconds"].as_f64().is_some_and(|s| s > 86_400.0), "{lead}");
    holds(&sandbox.run("stats test").succeeds().stdout, &["LEAD TIME", "h"]);
}

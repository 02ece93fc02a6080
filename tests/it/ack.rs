//! `gantry ack`: known drift is no alarm, until it changes, expires or is withdrawn.

use super::support::{Sandbox, holds};

const MAIN: &str = r#"
variable "text" { default = "one" }

resource "local_file" "a" {
  filename        = "${path.project}/out/a.txt"
  content         = "${var.text}\n"
  file_permission = "0644"
}

resource "local_file" "b" {
  filename = "${path.project}/out/b.txt"
  content  = sensitive("top-secret-words\n")
}
"#;

fn drifted() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.hcl", MAIN);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    sandbox.write("out/a.txt", "changed\n");
    sandbox
}

fn ack(sandbox: &Sandbox, target: &str, more: &[&str]) -> super::support::Ran {
    let mut all = vec!["ack", "test", target, "--reason", "known, see #12"];
    all.extend(more);
    sandbox.run_all(&all)
}

#[test]
fn known_drift_is_no_alarm_and_is_shown() {
    let sandbox = drifted();
    let said = ack(&sandbox, "local_file.a", &["--expires", "2d"]).succeeds();
    holds(&said.stdout, &["Acknowledged until ", ": local_file.a\n"]);
    let look = sandbox.run("drift test --junit report.xml").succeeds();
    holds(
        &look.stdout,
        &[
            "Known differences of \"test\", which were acknowledged:\n  local_file.a: known, see #12 (until 20",
            ", by tester)",
            "No other drift in 2 objects; 1 acknowledged.\n",
        ],
    );
    holds(&sandbox.read("report.xml"), &["failures=\"0\"", "<skipped message=\"acknowledged until ", "known, see #12"]);
    let json: serde_json::Value = serde_json::from_str(&sandbox.run("drift test --json").succeeds().stdout).unwrap();
    let known = &json["gantry"]["acknowledged"][0];
    assert_eq!((&known["address"], &known["reason"]), (&"local_file.a".into(), &"known, see #12".into()));
    assert_eq!((&known["actor"], &known["path"], &known["whole"]), (&"tester".into(), &().into(), &true.into()));
    assert_eq!(json["gantry"]["drifted"], 0);
    assert_eq!(json["resource_drift"][0]["address"], "local_file.a", "it differs all the same");
    let _ = sandbox.run("state verify test").succeeds();
}

#[test]
fn any_further_change_alarms() {
    let sandbox = drifted();
    let _ = ack(&sandbox, "local_file.a", &[]).succeeds();
    let _ = sandbox.run("drift test").succeeds();
    sandbox.write("out/a.txt", "changed further\n");
    let look = sandbox.run("drift test").exits(2);
    holds(&look.stdout, &["local_file.a has changed"]);
    sandbox.write("out/a.txt", "changed\n");
    let _ = sandbox.run("drift test").succeeds();
    std::fs::remove_file(sandbox.project().join("out/a.txt")).unwrap();
    holds(&sandbox.run("drift test").exits(2).stdout, &["local_file.a is gone"]);
    let _ = ack(&sandbox, "local_file.a", &[]).succeeds();
    let _ = sandbox.run("drift test").succeeds();
    sandbox.write("out/b.txt", "other-secret-words\n");
    let look = sandbox.run("drift test").exits(2);
    holds(
        &look.stdout,
        &["local_file.b has changed", "Drift: 1 changed, 0 gone, 0 not ready, of 2 objects; 1 acknowledged."],
    );
    assert!(!look.stdout.contains("secret-words"), "{}", look.stdout);
    let _ = ack(&sandbox, "local_file.b", &[]).succeeds();
    sandbox.write("out/b.txt", "third-secret-words\n");
    let _ = sandbox.run("drift test").exits(2);
}

#[test]
fn a_part_can_be_known_while_another_alarms() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = drifted();
    let path = sandbox.project().join("out/a.txt");
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    sandbox.write("out/a.txt", "one\n");
    mode(0o600);
    let _ = ack(&sandbox, "local_file.a.file_permission", &[]).succeeds();
    let _ = sandbox.run("drift test").succeeds();
    sandbox.write("out/a.txt", "changed\n");
    let look = sandbox.run("drift test").exits(2);
    holds(&look.stdout, &["local_file.a has changed", "local_file.a (file_permission): known, see #12"]);
    mode(0o640);
    sandbox.write("out/a.txt", "one\n");
    let _ = sandbox.run("drift test").exits(2);
    let refused = ack(&sandbox, "local_file.a.content", &[]).exits(5);
    holds(
        &refused.stderr,
        &["local_file.a.content is as it was recorded", "What differs of local_file.a: file_permission"],
    );
}

#[test]
fn an_acknowledgement_ends() {
    let sandbox = drifted();
    let _ = ack(&sandbox, "local_file.a", &["--expires", "1ms"]).succeeds();
    let _ = sandbox.run("drift test").exits(2);

    let _ = ack(&sandbox, "local_file.a", &[]).succeeds();
    let _ = sandbox.run("drift test").succeeds();
    let gone = sandbox.run("ack test local_file.a --withdraw").succeeds();
    assert_eq!(gone.stdout, "Not acknowledged any more: local_file.a\n");
    let _ = sandbox.run("drift test").exits(2);
    holds(&sandbox.run("ack test local_file.a --withdraw").exits(5).stderr, &["Nothing is acknowledged"]);

    // An apply makes it moot: the same drift afterwards is another one.
    let _ = ack(&sandbox, "local_file.a", &[]).succeeds();
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let _ = sandbox.run("drift test").succeeds();
    sandbox.write("out/a.txt", "changed\n");
    let _ = sandbox.run("drift test").exits(2);
    holds(&sandbox.run("ack test local_file.a --withdraw").exits(5).stderr, &["Nothing to withdraw"]);
}

#[test]
fn a_saved_plan_is_not_made_stale() {
    let sandbox = drifted();
    let _ = sandbox.run("plan test --out p").succeeds();
    let _ = ack(&sandbox, "local_file.a", &[]).succeeds();
    let _ = sandbox.run("apply test p").succeeds();
    assert_eq!(sandbox.read("out/a.txt"), "one\n");
}

#[test]
fn what_cannot_be_acknowledged_is_refused() {
    let sandbox = drifted();
    let refused = ack(&sandbox, "local_file.b", &[]).exits(5);
    holds(&refused.stderr, &["Nothing to acknowledge", "What is not: local_file.a."]);
    holds(&ack(&sandbox, "local_file.aa", &[]).exits(1).stderr, &["Did you mean \"local_file.a\"?"]);
    holds(&ack(&sandbox, "local_file.a", &["--expires", "2y"]).exits(1).stderr, &["Invalid --expires"]);
    holds(&ack(&sandbox, "local_file.a", &["--expires", "400d"]).exits(1).stderr, &["longer than a year"]);
    holds(&sandbox.run("ack test local_file.a").exits(1).stderr, &["--reason"]);
    holds(&sandbox.run_all(&["ack", "test", "local_file.a", "--reason", " "]).exits(1).stderr, &["Missing reason"]);
    std::fs::remove_dir_all(sandbox.project().join("out")).unwrap();
    sandbox.write("out", "a file where a directory was\n");
    let _ = ack(&sandbox, "local_file.a", &[]).exits(5);
    assert!(!sandbox.run("drift test").stdout.contains("Known differences"));
}

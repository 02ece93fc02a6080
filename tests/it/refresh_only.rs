//! `--refresh-only`: records follow what is there, and nothing else happens.

use super::support::{Sandbox, files, holds};

const MAIN: &str = r#"
resource "local_file" "a" {
  filename = "${path.project}/out/a.txt"
  content  = "one\n"
}

resource "local_file" "b" {
  filename = "${path.project}/out/b.txt"
  content  = "two\n"
}

resource "local_file" "secret" {
  filename = "${path.project}/out/secret.txt"
  content  = sensitive("top-secret-words\n")
}

resource "local_command" "count" {
  create   = ["sh", "-c", "echo ran >> ../../out/ran.txt"]
  triggers = { a = local_file.a.content }
}

smoke_test "ran" {
  depends_on = [local_command.count]
  command { argv = ["sh", "-c", "echo checked >> ../../out/ran.txt"] }
}

output "text" { value = local_file.a.content }
"#;

fn drifted() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.hcl", MAIN);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    sandbox.write("out/a.txt", "changed\n");
    sandbox.write("out/secret.txt", "other-secret-words\n");
    std::fs::remove_file(sandbox.project().join("out/b.txt")).expect("it was applied");
    sandbox
}

#[test]
fn what_was_found_is_recorded_and_nothing_is_changed() {
    let sandbox = drifted();
    // What is asked for is not looked at: a pending change stays pending.
    sandbox.write("environments/test/more.hcl", "resource \"terraform_data\" \"pending\" {}\n");
    let before = files(&sandbox.project().join("out"));
    let state = files(&sandbox.project().join("state"));
    let plan = sandbox.run("plan test --refresh-only --detailed-exitcode").exits(2);
    holds(
        &plan.stdout,
        &[
            "Note: Objects have changed outside of Gantry",
            "# local_file.a has changed",
            "~ content        = \"one\\n\" -> \"changed\\n\"",
            "# local_file.b is gone",
            "This is a refresh-only plan, so Gantry will not take any actions to undo these.",
            "update the recorded state of test",
            "Plan: 0 to add, 0 to change, 0 to destroy; 2 records to update, 1 object to forget.",
        ],
    );
    assert!(!plan.stdout.contains("pending") && !plan.stdout.contains("secret-words"), "{}", plan.stdout);
    assert_eq!(files(&sandbox.project().join("state")), state, "a plan writes nothing");

    let asked = sandbox.run("apply test --refresh-only").exits(5);
    holds(&asked.stderr, &["Not approved"]);
    let ran = sandbox.run("apply test --refresh-only --auto-approve").succeeds();
    holds(&ran.stdout, &["Refresh complete! Records: 2 updated, 1 forgotten."]);
    assert_eq!(files(&sandbox.project().join("out")), before, "no object, command or check was touched");
    assert_eq!(sandbox.run("drift test").succeeds().stdout, "No drift in 3 objects.\n");
    holds(
        &sandbox.run("apply test --refresh-only --auto-approve").succeeds().stdout,
        &["No changes.", "still matches"],
    );
    holds(&sandbox.run("output test").succeeds().stdout, &["one"]);
    let _ = sandbox.run("state verify test").succeeds();
    let leaked = files(&sandbox.project().join("state"))
        .iter()
        .any(|(_, b)| String::from_utf8_lossy(b).contains("other-secret-words"));
    assert!(!leaked, "what was found is sealed as what was recorded");

    // From here on the configuration is what is asked for, as ever.
    let plan = sandbox.run("plan test").succeeds();
    holds(
        &plan.stdout,
        &["local_file.a will be updated", "local_file.b will be created", "terraform_data.pending will be"],
    );
    assert!(!plan.stdout.contains("Objects have changed outside"), "{}", plan.stdout);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    assert_eq!(sandbox.read("out/a.txt"), "one\n");
    let history = sandbox.run("history test").succeeds().stdout;
    assert_eq!(history.lines().count(), 3, "a refresh makes no generation: {history}");
}

#[test]
fn programs_and_plan_files_know_it() {
    let sandbox = drifted();
    let json = sandbox.run("plan test --refresh-only --json").succeeds();
    let events: Vec<serde_json::Value> = json.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |ty: &str| events.iter().filter(|e| e["type"] == ty).count();
    assert_eq!(of("resource_drift"), 2, "{}", json.stdout);
    let changes = &events.iter().find(|e| e["type"] == "change_summary").unwrap()["changes"];
    assert_eq!((&changes["add"], &changes["change"], &changes["remove"]), (&0.into(), &0.into(), &0.into()));

    let saved = sandbox.run("plan test --refresh-only --out p").succeeds();
    holds(&saved.stdout, &["gantry apply test p"]);
    holds(&sandbox.run("show p").succeeds().stdout, &["This is a refresh-only plan"]);
    let shown: serde_json::Value = serde_json::from_str(&sandbox.run("show p --json").succeeds().stdout).unwrap();
    assert_eq!(shown["resource_drift"][0]["address"], "local_file.a");
    holds(&sandbox.run("apply test p").succeeds().stdout, &["Refresh complete!"]);
    let _ = sandbox.run("drift test").succeeds();
    let _ = sandbox.run("apply test p").exits(5);
}

#[test]
fn a_way_back_goes_to_what_was_carried_out_last() {
    let sandbox = drifted();
    // The configuration of today was never applied, so a refresh must not make it what is gone back to.
    sandbox.write("environments/test/main.hcl", &MAIN.replace("\"two\\n\"", "\"three\\n\""));
    let _ = sandbox.run("apply test --refresh-only --auto-approve").succeeds();
    let failing = "resource \"local_command\" \"x\" {\n  create = [\"sh\", \"-c\", \"exit 3\"]\n  depends_on = [local_file.b]\n}\n";
    sandbox.write("environments/test/more.hcl", failing);
    let _ = sandbox.run("apply test --auto-approve").exits(3);
    let path = sandbox.project().join("out/b.txt");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(!text.contains("three"), "{text}");
}

#[test]
fn limits_and_what_does_not_go_together() {
    let sandbox = drifted();
    let _ = sandbox.run("apply test --refresh-only --target local_file.a --auto-approve").succeeds();
    let look = sandbox.run("drift test").exits(2);
    holds(&look.stdout, &["local_file.b is gone", "Drift: 1 changed, 1 gone"]);
    for (words, told) in [
        ("plan test --refresh-only --destroy", "cannot be used with"),
        ("plan test --refresh-only --replace local_file.a", "cannot be used with"),
        ("plan test --refresh-only --refresh=false", "Incompatible options"),
    ] {
        holds(&sandbox.run(words).exits(1).stderr, &[told]);
    }
    std::fs::remove_dir_all(sandbox.project().join("out")).unwrap();
    sandbox.write("out", "a file where a directory was\n");
    let _ = sandbox.run("plan test --refresh-only").exits(6);
    let _ = sandbox.run("apply test --refresh-only --auto-approve").exits(6);
}

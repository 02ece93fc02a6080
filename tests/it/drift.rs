//! `gantry drift`: what is there against what is recorded.

use super::support::{Sandbox, files, holds};

const MAIN: &str = r#"
variable "greeting" { default = "hello" }

resource "local_file" "a" {
  filename = "${path.project}/out/a.txt"
  content  = "${var.greeting}\n"
}

resource "local_file" "b" {
  filename = "${path.project}/out/b.txt"
  content  = "two\n"
}

resource "local_file" "secret" {
  filename = "${path.project}/out/secret.txt"
  content  = sensitive("top-secret-words\n")
}

resource "terraform_data" "c" { input = local_file.a.id }
"#;

fn applied() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.hcl", MAIN);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    sandbox
}

#[test]
fn what_was_applied_has_not_drifted() {
    let sandbox = applied();
    assert_eq!(sandbox.run("drift test").succeeds().stdout, "No drift in 4 objects.\n");
}

#[test]
fn what_was_changed_behind_gantry_s_back_is_told_by_field_and_nothing_is_written() {
    let sandbox = applied();
    let before = files(&sandbox.project().join("state"));
    sandbox.write("out/a.txt", "changed\n");
    std::fs::remove_file(sandbox.project().join("out/b.txt")).unwrap();
    sandbox.write("out/secret.txt", "other-secret-words\n");
    let found = sandbox.run("drift test").exits(2);
    let expected = [
        "Objects of \"test\" are not as they were recorded:\n",
        "  # local_file.a has changed\n  ~ resource \"local_file\" \"a\" {\n",
        "~ content        = \"hello\\n\" -> \"changed\\n\"\n",
        "  # local_file.b is gone\n  - resource \"local_file\" \"b\" {\n",
        "  # local_file.secret has changed\n",
        "Drift: 2 changed, 1 gone, 0 not ready, of 4 objects.\n",
        "To bring them back to what was recorded: gantry apply test\n",
    ];
    holds(&found.stdout, &expected);
    assert!(!found.stdout.contains("secret-words"), "{}", found.stdout);
    assert_eq!(files(&sandbox.project().join("state")), before, "a look writes nothing");

    let json = sandbox.run("drift test --json").exits(2);
    assert!(!json.stdout.contains("secret-words"), "{}", json.stdout);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let drifted: Vec<(&str, &str)> = document["resource_drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["address"].as_str().unwrap(), d["change"]["actions"][0].as_str().unwrap()))
        .collect();
    let all = [("local_file.a", "update"), ("local_file.b", "delete"), ("local_file.secret", "update")];
    assert_eq!(drifted, all);
    assert_eq!(document["resource_drift"][0]["change"]["before"]["content"], "hello\n");
    assert_eq!(document["resource_drift"][0]["change"]["after"]["content"], "changed\n");
    assert_eq!((&document["gantry"]["generation"], &document["complete"]), (&1.into(), &true.into()));
    assert!(document["gantry"]["fields"]["local_file.a"].as_array().unwrap().contains(&serde_json::json!(["content"])));

    let _ = sandbox.run("drift test --junit report.xml").exits(2);
    let report = sandbox.read("report.xml");
    holds(
        &report,
        &[
            "<testsuite name=\"test\" tests=\"4\" failures=\"3\" errors=\"0\">",
            "<testcase classname=\"test\" name=\"terraform_data.c\"/>",
            "<failure message=\"is gone\">",
        ],
    );
    assert!(!report.contains("secret-words"), "{report}");
}

#[test]
fn a_pending_change_is_no_drift_and_neither_values_nor_a_sound_configuration_are_needed() {
    let sandbox = applied();
    sandbox.write("environments/test/main.hcl", &MAIN.replace("{ default = \"hello\" }", "{}"));
    assert_eq!(sandbox.run("drift test").succeeds().stdout, "No drift in 4 objects.\n");
    sandbox.write("environments/test/more.hcl", "resource \"terraform_data\" \"pending\" {}\n");
    assert_eq!(sandbox.run("drift test").succeeds().stdout, "No drift in 4 objects.\n");
    sandbox.write("environments/test/more.hcl", "resource {{{\n");
    assert_eq!(sandbox.run("drift test").succeeds().stdout, "No drift in 4 objects.\n");
}

#[test]
fn what_cannot_be_looked_at_is_told_apart() {
    let sandbox = applied();
    std::fs::remove_dir_all(sandbox.project().join("out")).unwrap();
    sandbox.write("out", "a file where a directory was\n");
    let found = sandbox.run("drift test --junit report.xml").exits(6);
    holds(&found.stdout, &["local_file.a"]);
}

#[test]
fn several_environments_are_told_one_by_one_though_one_cannot_be() {
    let sandbox = applied();
    sandbox.write("environments/fresh/main.hcl", "resource \"terraform_data\" \"x\" {}\n");
    let both = sandbox.run("drift test fresh test").succeeds();
    assert_eq!(
        both.stdout,
        "No drift in 4 objects.\n\nThe ledger of \"fresh\" knows of no objects, so none can have drifted.\n"
    );
    sandbox.write("environments/broken/main.hcl", "resource \"terraform_data\" \"x\" {}\n");
    let _ = sandbox.run("apply broken --auto-approve").succeeds();
    std::fs::remove_dir_all(sandbox.project().join("state/broken/ledger")).unwrap();
    let all = sandbox.run("drift --all --junit report.xml").exits(1);
    holds(&all.stdout, &["No drift in 4 objects.", "knows of no objects"]);
    holds(&all.stderr, &["The environment \"broken\" could not be looked at."]);
    holds(&sandbox.read("report.xml"), &["<testsuite name=\"broken\" tests=\"1\" failures=\"0\" errors=\"1\">"]);
    holds(&sandbox.run("drift none").exits(1).stderr, &["There is no environment \"none\""]);
    holds(&sandbox.run("drift test --all").exits(1).stderr, &["cannot be used with"]);
}

/// Everything that can be changed behind the back of a local resource, each seen by its attribute.
#[test]
fn drift_is_seen_for_every_attribute_that_a_target_can_change() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.write(
        "environments/test/main.hcl",
        r#"
resource "local_file" "text" {
  filename = "${path.project}/out/text"
  content  = "one\n"
}

resource "local_file" "bytes" {
  filename       = "${path.project}/out/bytes"
  content_base64 = "AP8="
}

resource "local_file" "secret" {
  filename          = "${path.project}/out/secret"
  sensitive_content = "top-secret-words\n"
}

resource "local_command" "read" {
  create = ["sh", "-c", "echo '{\"a\":1}' > ../../out/read"]
  read   = ["sh", "-c", "cat ../../out/read || exit 3"]
}

resource "local_command" "blind" { create = ["true"] }

resource "terraform_data" "kept" { input = 1 }
"#,
    );
    std::fs::create_dir_all(sandbox.project().join("out")).unwrap();
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let path = |name: &str| sandbox.project().join("out").join(name);
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    type Change<'a> = Box<dyn Fn() + 'a>;
    let write = |name: &'static str, bytes: &'static [u8]| -> Change<'_> {
        Box::new(move || std::fs::write(path(name), bytes).unwrap())
    };
    let gone = |name: &'static str| -> Change<'_> { Box::new(move || std::fs::remove_file(path(name)).unwrap()) };
    let changes: Vec<(Change<'_>, &str, Option<&str>)> = vec![
        (write("text", b"two\n"), "local_file.text", Some("content")),
        (write("text", b""), "local_file.text", Some("content")),
        (Box::new(|| mode("text", 0o600)), "local_file.text", Some("file_permission")),
        (gone("text"), "local_file.text", None),
        (write("bytes", b"x"), "local_file.bytes", Some("content_base64")),
        (Box::new(|| mode("bytes", 0o755)), "local_file.bytes", Some("file_permission")),
        (gone("bytes"), "local_file.bytes", None),
        (write("secret", b"other-secret-words\n"), "local_file.secret", Some("sensitive_content")),
        (Box::new(|| mode("secret", 0o666)), "local_file.secret", Some("file_permission")),
        (gone("secret"), "local_file.secret", None),
        (write("read", b"{\"a\":2}\n"), "local_command.read", Some("stdout")),
        (write("read", b"{\"a\":3}\n"), "local_command.read", Some("json")),
        (gone("read"), "local_command.read", None),
    ];
    for (n, (change, address, attribute)) in changes.iter().enumerate() {
        change();
        let json = sandbox.run("drift test --json").exits(2);
        assert!(!json.stdout.contains("secret-words"), "{}", json.stdout);
        let found: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let drifted: Vec<&str> =
            found["resource_drift"].as_array().unwrap().iter().map(|d| d["address"].as_str().unwrap()).collect();
        assert_eq!(drifted, [*address], "change {n}");
        if let Some(attribute) = attribute {
            let fields = found["gantry"]["fields"][address].as_array().unwrap();
            assert!(fields.iter().any(|field| field[0] == *attribute), "change {n}: {fields:?}");
        }
        // What a command says of itself is no value that the configuration asks for, so that an apply does not change it.
        let settle = match attribute {
            Some("stdout" | "json") => "apply test --refresh-only --auto-approve",
            _ => "apply test --auto-approve",
        };
        let _ = sandbox.run(settle).succeeds();
        let _ = sandbox.run("drift test").succeeds();
    }
}

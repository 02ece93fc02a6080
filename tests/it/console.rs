//! `gantry console`: against what `terraform console` printed (`tests/language/console*.txt`), through pipes, and on a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::functions::{lines, on_one_line};
use super::support::{Ran, Sandbox};

mod completion;
mod terminal;

const DIFFERENCES: &str = include_str!("../language/console-differences.txt");

/// The configuration that the corpora are recorded against, applied; and what was added afterwards.
fn recorded_project() -> Sandbox {
    let sandbox = Sandbox::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language/console-project");
    let copy = |name: &str| {
        let text = std::fs::read_to_string(from.join(name)).expect("the recorded configuration is there");
        sandbox.write(&format!("environments/default/{name}"), &text);
    };
    copy("applied.tf");
    copy("m/main.tf");
    let given = ["--var", "unset=1", "--var", "typed={a=\"z\"}"];
    let _ = sandbox.run_all(&[&["apply", "default", "--auto-approve"][..], &given].concat()).succeeds();
    copy("later.tf");
    sandbox
}

/// What is printed for an expression, on one line; `error` where it ends with 1 and prints nothing but a diagnostic.
fn answer(ran: &Ran) -> String {
    match ran.code() {
        Some(0) => on_one_line(ran.stdout.strip_suffix('\n').unwrap_or(&ran.stdout)),
        Some(1) if ran.stdout.is_empty() && ran.stderr.starts_with("Error: ") => "error".into(),
        _ => format!("neither a value nor an error: {ran:?}"),
    }
}

/// Compares a corpus with what `gantry console` prints; `used` gets the differences that were met.
fn check(sandbox: &Sandbox, corpus: &str, arguments: &[&str], used: &mut BTreeMap<String, String>) -> usize {
    let differences: BTreeMap<&str, &str> = lines(DIFFERENCES).map(|l| (l[0], l[1])).collect();
    let (mut wrong, mut count) = (String::new(), 0);
    for line in lines(corpus) {
        let [expression, recorded] = line[..] else { panic!("two columns: {line:?}") };
        count += 1;
        let recorded = if recorded.starts_with("error: ") { "error" } else { recorded };
        let input = format!("{}\n", expression.replace('⏎', "\n"));
        let got = answer(&sandbox.run_fed(&input, &[&["console"], arguments].concat()));
        match differences.get(expression) {
            Some(ours) if got == *ours => {
                assert_ne!(got, recorded, "{expression} is no difference");
                used.insert(expression.to_owned(), got);
            }
            _ if got == recorded => {}
            _ => drop(writeln!(wrong, "{expression}\n  got    {got}\n  wanted {recorded}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    count
}

#[test]
fn the_console_prints_what_terraform_s_prints() {
    let mut used = BTreeMap::new();
    let alone = Sandbox::new();
    let mut count = check(&alone, include_str!("../language/console.txt"), &[], &mut used);
    let project = recorded_project();
    count += check(&project, include_str!("../language/console-state.txt"), &["default"], &mut used);
    let plan = ["default", "--plan", "--var", "unset=1", "--var", "typed={a=\"z\"}"];
    count += check(&project, include_str!("../language/console-plan.txt"), &plan, &mut used);
    assert!(count > 200, "the recorded expressions are there: {count}");
    for line in lines(DIFFERENCES) {
        let [expression, ours, reason] = line[..] else { panic!("three columns: {line:?}") };
        assert!(reason.len() > 10, "{expression} has a reason");
        assert_eq!(used.get(expression).map(String::as_str), Some(ours), "{expression} was met");
    }
}

/// A project whose outputs, artifacts and migrations are recorded.
fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "environments/test/main.hcl",
        r#"
        variable "size" { default = 3 }
        variable "word" {
          default   = "hush"
          sensitive = true
        }
        locals { list = ["${var.size}", terraform_data.a.output] }
        resource "terraform_data" "a" { input = "one" }
        resource "local_file" "f" {
          filename = "f.txt"
          content  = var.word
        }
        artifact "file" { file = "artifact.txt" }
        migration "schema" {
          database = "sqlite://${path.module}/db.sqlite"
          source   = "migrations"
        }
        "#,
    );
    sandbox.write("environments/test/artifact.txt", "content\n");
    sandbox.write("environments/test/migrations/0001_a.up.sql", "CREATE TABLE a (id INTEGER);\n");
    sandbox.write("environments/test/migrations/0001_a.down.sql", "DROP TABLE a;\n");
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    sandbox
}

/// What one expression gives.
#[track_caller]
fn value(sandbox: &Sandbox, expression: &str, arguments: &[&str]) -> String {
    let ran = sandbox.run_fed(expression, &[&["console", "test"], arguments].concat()).succeeds();
    assert_eq!(ran.stderr, "", "{expression}");
    ran.stdout.strip_suffix('\n').expect("a line").to_owned()
}

#[test]
fn the_ledger_and_the_plan_are_told_apart() {
    let sandbox = small();
    let main = sandbox.read("environments/test/main.hcl");
    sandbox.write("environments/test/main.hcl", &main.replace("input = \"one\"", "input = \"two\""));
    sandbox.write("environments/test/artifact.txt", "another content\n");
    sandbox.write("environments/test/migrations/0002_b.up.sql", "CREATE TABLE b (id INTEGER);\n");
    for (expression, recorded, planned) in [
        ("terraform_data.a.input", "\"one\"", "\"two\""),
        ("local.list[1]", "\"one\"", "\"two\""),
        ("artifact.file.size", "8", "16"),
        ("migration.schema.version", "1", "2"),
        ("migration.schema.url", "(sensitive value)", "(sensitive value)"),
        ("local_file.f.content", "(sensitive value)", "(sensitive value)"),
        ("terraform.workspace", "\"test\"", "\"test\""),
        ("path.project", "\"../..\"", "\"../..\""),
    ] {
        assert_eq!(value(&sandbox, expression, &[]), recorded, "{expression}");
        assert_eq!(value(&sandbox, expression, &["--plan"]), planned, "{expression}");
    }
    assert_eq!(value(&sandbox, "var.size", &["--var", "size=4"]), "\"4\"");
    assert!(value(&sandbox, "plantimestamp()", &["--plan"]).starts_with("\"20"));
}

#[test]
fn looking_changes_nothing() {
    let sandbox = small();
    let all = || {
        let mut found = Vec::new();
        let mut open = vec![sandbox.project()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(&directory).expect("the project is readable") {
                let entry = entry.expect("an entry").path();
                if entry.is_dir() {
                    open.push(entry);
                } else {
                    let content = std::fs::read(&entry).expect("a file");
                    found.push((entry, content));
                }
            }
        }
        found.sort();
        found
    };
    let before = all();
    assert_eq!(value(&sandbox, "terraform_data.a.output", &[]), "\"one\"");
    assert_eq!(value(&sandbox, "terraform_data.a.output", &["--plan"]), "\"one\"");
    let _ = sandbox.run_fed("nope(1)", &["console", "test", "--plan"]).exits(1);
    assert!(before == all(), "the console wrote something");
}

#[test]
fn a_module_instance_can_be_entered() {
    let sandbox = recorded_project();
    let inside = |module: &str, input: &str| sandbox.run_fed(input, &["console", "default", "--scope", module]);
    let ran = inside("module.each[\"p\"]", "[var.x, terraform_data.in.output, path.module]").succeeds();
    assert_eq!(ran.stdout, "[\n  \"p\",\n  \"p\",\n  \"m\",\n]\n");
    let _ = inside("module.each[\"p\"]", "local.next").exits(1);
    let ran = inside("module.eahc[\"p\"]", "1").exits(1);
    assert!(ran.stderr.contains("Did you mean \"module.each[\"p\"]\"?"), "{}", ran.stderr);
}

#[test]
fn mistakes_in_the_configuration_are_told_and_end_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "environments/test/main.hcl",
        "variable \"v\" {\n  default = 1\n  validation {\n    condition     = var.v > 2\n    error_message = \"too small\"\n  }\n}\n\
         locals {\n  bad  = tonumber(\"x\")\n  good = 2\n}\n",
    );
    let ran = sandbox.run_fed("[local.good, local.bad, var.v]", &["console", "test"]).succeeds();
    assert_eq!(ran.stdout, "[\n  2,\n  (known after apply),\n  1,\n]\n");
    assert!(ran.stderr.contains("too small") && ran.stderr.contains("main.hcl:9:"), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("some expressions may have unexpected values.\n\n"), "{}", ran.stderr);
    sandbox.write("environments/test/more.hcl", "locals {");
    let ran = sandbox.run_fed("1", &["console", "test"]).exits(1);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_mistake_is_shown_in_what_was_typed() {
    let ran = Sandbox::new().run_fed("1\n[\n  upper(nope),\n]\n", &["console"]).exits(1);
    let wanted =
        "Error: Invalid reference\n  at <console-input>:2:9\n    |\n  2 |   upper(nope),\n    |         ^^^^\n";
    assert!(ran.stderr.starts_with(wanted), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn programs_get_a_line_for_each_expression() {
    let sandbox = small();
    let input = "1\n[sensitive(\"x\"), local.list]\ntype({a = 1})\n";
    let ran = sandbox.run_fed(input, &["console", "test", "--json"]).succeeds();
    let all: Vec<serde_json::Value> =
        ran.stdout.lines().map(|l| serde_json::from_str(l).expect("a line is JSON")).collect();
    assert_eq!(
        all,
        [
            serde_json::json!({"type": "number", "value": 1, "sensitive": false, "unknown": false}),
            serde_json::json!({
                "type": "tuple([string, tuple([number, string])])",
                "value": ["(sensitive value)", [3, "one"]],
                "sensitive": [true, [false, false]],
                "unknown": [false, [false, false]],
            }),
            serde_json::json!({"type": "type", "value": "object({\n    a: number,\n})"}),
        ]
    );
    let ran = sandbox.run_fed("nope(1)", &["console", "test", "--json"]).exits(1);
    assert!(ran.stdout.contains("\"filename\":\"<console-input>\""), "{}", ran.stdout);
}

#[test]
fn nothing_that_is_typed_runs_away() {
    let sandbox = Sandbox::new();
    for (input, wanted) in [
        ("[for a in range(1000) : [for b in range(1000) : range(1000)]]".to_owned(), "the limit of 10000000 steps"),
        (format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "Error: "),
        ("(".repeat(200_000), "Error: "),
        (format!("\"{}", "x".repeat(17 << 20)), "Input beyond a limit"),
    ] {
        let ran = sandbox.run_fed(&input, &["console"]).exits(1);
        assert!(ran.stderr.contains(wanted), "{wanted}: {}", ran.stderr.chars().take(300).collect::<String>());
    }
    let ran = sandbox.run_bytes(b"\"\xff\"\n", &["console"]).exits(1);
    assert!(ran.stderr.starts_with("Error: Invalid character encoding"), "{}", ran.stderr);
    let ran = sandbox.run_fed("\u{feff}1 + 1\r\n", &["console"]).succeeds();
    assert_eq!(ran.stdout, "2\n");
}

#[test]
fn help_is_given() {
    let sandbox = Sandbox::new();
    let said = |input: &str| sandbox.run_fed(input, &["console"]).succeeds().stdout;
    assert!(said("help").contains("help functions"));
    assert!(said("help functions").contains("\nstring\n"));
    assert!(said("help string").starts_with("Functions: string\n"));
    assert_eq!(said("help upper"), said("upper?"));
    assert!(said("upper?").starts_with("upper(str) string\n"), "{}", said("upper?"));
    let ran = sandbox.run_fed("help uper", &["console"]).exits(1);
    assert!(ran.stderr.contains("Did you mean \"upper\"?"), "{}", ran.stderr);
}

//! The blocks that touch the ledger, through the command line: `import`, `moved`, `removed`.

use serde_json::Value as Json;

use super::support::Sandbox;

const MAIN: &str = "environments/test/main.hcl";

fn with(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    write(&sandbox, files);
    sandbox
}

fn write(sandbox: &Sandbox, files: &[(&str, &str)]) {
    files.iter().for_each(|(path, text)| sandbox.write(path, text));
}

#[track_caller]
fn applies(sandbox: &Sandbox) -> String {
    sandbox.run("apply test --auto-approve").succeeds().stdout
}

fn list(sandbox: &Sandbox) -> Vec<String> {
    sandbox.run("state list test").succeeds().stdout.lines().map(str::to_owned).collect()
}

/// The plan's blocks and its summary, without what stands around them.
#[track_caller]
fn planned(sandbox: &Sandbox) -> String {
    let plan = sandbox.run("plan test").succeeds().stdout;
    let from = plan.find("  # ").unwrap_or(0);
    plan[from..].to_owned()
}

#[track_caller]
fn nothing_to_do(sandbox: &Sandbox) {
    let plan = sandbox.run("plan test").succeeds().stdout;
    assert!(plan.starts_with("No changes."), "{plan}");
}

const IMPORTS: &str = r#"
resource "terraform_data" "a" { input = "hi" }
resource "terraform_data" "b" { for_each = toset(["x", "y"]) }
resource "local_file" "f" {
  filename = "f.txt"
  content  = "as it was"
}
locals { prefix = "id" }
import {
  to = terraform_data.a
  id = "foo"
}
import {
  for_each = toset(["x", "y"])
  to       = terraform_data.b[each.key]
  id       = "${local.prefix}-${each.value}"
}
import {
  to = local_file.f
  id = "./f.txt"
}
"#;

#[test]
fn objects_are_imported_as_terraform_shows_it() {
    let sandbox = with(&[(MAIN, IMPORTS), ("environments/test/f.txt", "as it was")]);
    let plan = planned(&sandbox);
    let expected = "\
  # local_file.f will be imported
    resource \"local_file\" \"f\" {
        content              = \"as it was\"
";
    assert!(plan.starts_with(expected), "{plan}");
    for part in [
        "  # terraform_data.a will be updated in-place\n  # (imported from \"foo\")\n",
        "  # terraform_data.b[\"x\"] will be imported\n    resource \"terraform_data\" \"b\" {\n        id = \"id-x\"\n    }\n",
        "Plan: 4 to import, 0 to add, 1 to change, 0 to destroy.\n",
        "! terraform_data.a: going back forgets it again",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    assert!(ran.stdout.contains("Resources: 4 imported, 0 added, 1 changed, 0 destroyed."), "{}", ran.stdout);
    assert!(ran.stderr.contains("local_file.f: Import complete"), "{}", ran.stderr);
    // The blocks have done their work, and may stay.
    nothing_to_do(&sandbox);
    sandbox.run("state verify test").succeeds();
    // It is Gantry's now: it is changed and destroyed like any other.
    let changed = IMPORTS.replace("as it was", "changed");
    write(&sandbox, &[(MAIN, &changed)]);
    applies(&sandbox);
    assert_eq!(sandbox.read("environments/test/f.txt"), "changed");
    sandbox.run("destroy test --auto-approve").succeeds();
    assert!(!sandbox.project().join("environments/test/f.txt").exists());
}

#[test]
fn programs_see_what_is_imported() {
    let sandbox = with(&[(MAIN, IMPORTS), ("environments/test/f.txt", "as it was")]);
    let lines = sandbox.run("plan test --json --out saved").succeeds().stdout;
    let line = |wanted: &str| -> Json {
        let line = lines.lines().find(|l| l.contains(wanted)).unwrap_or_else(|| panic!("{wanted}: {lines}"));
        serde_json::from_str(line).unwrap()
    };
    assert_eq!(line("terraform_data.a: Plan to update")["change"]["importing"]["id"], "foo");
    assert_eq!(line("local_file.f: Plan to import")["change"]["action"], "import");
    assert_eq!(line("change_summary")["changes"]["import"], 4);
    let document: Json = serde_json::from_str(&sandbox.run("show saved --json").succeeds().stdout).unwrap();
    let changes = document["resource_changes"].as_array().unwrap();
    let of = |address: &str| &changes.iter().find(|c| c["address"] == address).unwrap()["change"];
    assert_eq!(of("terraform_data.a")["importing"], serde_json::json!({ "id": "foo" }));
    assert_eq!(of("local_file.f")["actions"], serde_json::json!(["no-op"]));
    // The saved plan imports what it showed.
    sandbox.run("apply test saved").succeeds();
    nothing_to_do(&sandbox);
}

#[test]
fn a_way_back_forgets_what_was_imported_and_leaves_it() {
    let before = "resource \"terraform_data\" \"a\" {}\n";
    let sandbox = with(&[(MAIN, before), ("environments/test/f.txt", "mine")]);
    applies(&sandbox);
    let file = "resource \"local_file\" \"f\" {\n  filename = \"f.txt\"\n  content = \"mine\"\n}\nimport {\n  to = local_file.f\n  id = \"f.txt\"\n}\n";
    let failing = "resource \"local_command\" \"no\" {\n  create = [\"false\"]\n  depends_on = [local_file.f]\n}\n";
    write(&sandbox, &[(MAIN, &format!("{before}{file}{failing}"))]);
    drop(sandbox.run("apply test --auto-approve").exits(3));
    assert_eq!(list(&sandbox), ["terraform_data.a"]);
    assert_eq!(sandbox.read("environments/test/f.txt"), "mine");
    // The same as a rollback of its own.
    write(&sandbox, &[(MAIN, &format!("{before}{file}"))]);
    applies(&sandbox);
    assert_eq!(list(&sandbox), ["local_file.f", "terraform_data.a"]);
    let ran = sandbox.run("rollback test --auto-approve").succeeds();
    let told = "local_file.f will no longer be managed by Gantry, but will not be destroyed\n  # (because it was there before it was imported)";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    assert_eq!(list(&sandbox), ["terraform_data.a"]);
    assert_eq!(sandbox.read("environments/test/f.txt"), "mine");
    // And forward again.
    sandbox.run("rollback test --to 3 --auto-approve").succeeds();
    assert_eq!(list(&sandbox), ["local_file.f", "terraform_data.a"]);
}

#[test]
fn a_secret_file_is_imported_without_showing_it() {
    let main = "variable \"s\" {\n  sensitive = true\n  default = \"hunter2\"\n}\nresource \"local_file\" \"f\" {\n  filename = \"f.txt\"\n  sensitive_content = var.s\n}\nimport {\n  to = local_file.f\n  id = \"f.txt\"\n}\n";
    let sandbox = with(&[(MAIN, main), ("environments/test/f.txt", "hunter1")]);
    let plan = sandbox.run("plan test").succeeds();
    assert!(plan.stdout.contains("~ sensitive_content = (sensitive value)"), "{}", plan.stdout);
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    for text in [&plan.stdout, &ran.stdout, &ran.stderr] {
        assert!(!text.contains("hunter"), "{text}");
    }
    let ledger = std::fs::read_dir(sandbox.project().join("state/test/ledger")).unwrap();
    for entry in ledger {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("hunter"), "{text}");
    }
    assert_eq!(sandbox.read("environments/test/f.txt"), "hunter2");
    nothing_to_do(&sandbox);
    sandbox.run("destroy test --auto-approve").succeeds();
    assert!(!sandbox.project().join("environments/test/f.txt").exists());
}

#[test]
fn what_is_managed_already_is_not_imported_twice() {
    let file =
        |name: &str| format!("resource \"local_file\" \"{name}\" {{\n  filename = \"f.txt\"\n  content = \"x\"\n}}\n");
    let sandbox = with(&[(MAIN, &file("f"))]);
    applies(&sandbox);
    let import = "import {\n  to = local_file.g\n  id = \"f.txt\"\n}\n";
    write(&sandbox, &[(MAIN, &format!("{}{import}", file("g")))]);
    let refused = sandbox.run("plan test").exits(1);
    assert!(refused.stderr.contains("Resource already managed by Gantry"), "{}", refused.stderr);
    assert!(refused.stderr.contains("from = local_file.f"), "{}", refused.stderr);
}

const TWO: &[(&str, &str)] = &[
    (
        MAIN,
        r#"
resource "terraform_data" "s" {}
resource "terraform_data" "t" { count = 1 }
module "x" { source = "../../modules/m" }
resource "terraform_data" "dep" { input = module.x.id }
"#,
    ),
    (
        "modules/m/main.hcl",
        r#"
resource "terraform_data" "r" {}
resource "terraform_data" "q" {}
output "id" { value = terraform_data.r.id }
"#,
    ),
];

const MOVED: &[(&str, &str)] = &[
    (
        MAIN,
        r#"
resource "terraform_data" "s" { count = 1 }
resource "terraform_data" "t" {}
module "y" {
  source = "../../modules/m"
  count  = 1
}
moved {
  from = module.x
  to   = module.y[0]
}
resource "terraform_data" "dep" { input = module.y[0].id }
"#,
    ),
    (
        "modules/m/main.hcl",
        r#"
resource "terraform_data" "r2" { for_each = toset(["k"]) }
moved {
  from = terraform_data.r
  to   = terraform_data.r2["k"]
}
removed {
  from = terraform_data.q
  lifecycle { destroy = false }
}
output "id" { value = terraform_data.r2["k"].id }
"#,
    ),
];

#[test]
fn records_move_with_their_modules_and_back() {
    let sandbox = with(TWO);
    applies(&sandbox);
    let first = list(&sandbox);
    write(&sandbox, MOVED);
    let plan = planned(&sandbox);
    for part in [
        "  # terraform_data.s has moved to terraform_data.s[0]\n",
        "  # terraform_data.t[0] has moved to terraform_data.t\n",
        "  # module.x.terraform_data.r has moved to module.y[0].terraform_data.r2[\"k\"]\n",
        "  # module.y[0].terraform_data.q will no longer be managed by Gantry, but will not be destroyed\n",
        "  # (moved from module.x.terraform_data.q)\n",
        "Plan: 0 to add, 0 to change, 0 to destroy; 1 object to forget.\n",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    applies(&sandbox);
    let moved =
        ["terraform_data.dep", "terraform_data.s[0]", "terraform_data.t", "module.y[0].terraform_data.r2[\"k\"]"];
    assert_eq!(list(&sandbox), moved);
    nothing_to_do(&sandbox);
    // Back: what moved moves back, and nothing is made anew but what was forgotten.
    let back = sandbox.run("rollback test --auto-approve").succeeds().stdout;
    assert!(back.contains("Plan: 1 to add, 0 to change, 0 to destroy."), "{back}");
    assert_eq!(list(&sandbox), first);
}

#[test]
fn a_failed_run_takes_moves_back() {
    let sandbox = with(TWO);
    applies(&sandbox);
    let (first, state) = (list(&sandbox), sandbox.run("show test --json").succeeds().stdout);
    write(&sandbox, MOVED);
    let failing = format!("{}resource \"local_command\" \"no\" {{\n  create = [\"false\"]\n}}\n", MOVED[0].1);
    write(&sandbox, &[(MAIN, &failing)]);
    drop(sandbox.run("apply test --auto-approve").exits(3));
    assert_eq!(list(&sandbox), first);
    let ids = |text: &str| {
        let mut all: Vec<String> =
            text.split("\"id\":").skip(1).filter_map(|t| t.split('"').nth(1).map(str::to_owned)).collect();
        all.sort();
        all
    };
    assert_eq!(ids(&sandbox.run("show test --json").succeeds().stdout), ids(&state), "no object is another one");
}

#[test]
fn chains_lead_to_the_last_address_and_order_survives_a_move() {
    let one = "resource \"local_file\" \"a\" {\n  filename = \"a\"\n}\nresource \"local_file\" \"z\" {\n  filename = \"z\"\n  depends_on = [local_file.a]\n}\n";
    let sandbox = with(&[(MAIN, one)]);
    applies(&sandbox);
    let renamed = one.replace("\"local_file\" \"a\"", "\"local_file\" \"c\"").replace("local_file.a]", "local_file.c]");
    let blocks = "moved {\n  from = local_file.a\n  to = local_file.b\n}\nmoved {\n  from = local_file.b\n  to = local_file.c\n}\n";
    write(&sandbox, &[(MAIN, &format!("{renamed}{blocks}"))]);
    assert!(planned(&sandbox).starts_with("  # local_file.a has moved to local_file.c\n"));
    applies(&sandbox);
    assert_eq!(list(&sandbox), ["local_file.c", "local_file.z"]);
    // What depended on the old address goes before the new one.
    let ran = sandbox.run("destroy test --auto-approve").succeeds();
    let at = |text: &str| ran.stderr.find(text).unwrap_or_else(|| panic!("{text}: {}", ran.stderr));
    assert!(at("local_file.z: Destruction complete") < at("local_file.c: Destroying"), "{}", ran.stderr);
}

#[test]
fn whole_modules_are_removed_and_their_objects_stay() {
    let sandbox = with(&[
        (MAIN, "module \"m\" { source = \"../../modules/m\" }\n"),
        ("modules/m/main.hcl", "resource \"local_file\" \"f\" {\n  filename = \"kept\"\n}\n"),
    ]);
    applies(&sandbox);
    write(&sandbox, &[(MAIN, "removed {\n  from = module.m\n  lifecycle { destroy = false }\n}\nlocals { a = 1 }\n")]);
    let plan = planned(&sandbox);
    assert!(plan.contains("module.m.local_file.f will no longer be managed by Gantry"), "{plan}");
    applies(&sandbox);
    assert!(list(&sandbox).is_empty());
    assert!(sandbox.project().join("environments/test/kept").exists());
}

#[test]
fn an_address_that_is_taken_keeps_its_object() {
    let two = "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {}\n";
    let sandbox = with(&[(MAIN, two)]);
    applies(&sandbox);
    let moved =
        "resource \"terraform_data\" \"b\" {}\nmoved {\n  from = terraform_data.a\n  to = terraform_data.b\n}\n";
    write(&sandbox, &[(MAIN, moved)]);
    let ran = sandbox.run("plan test").succeeds();
    assert!(ran.stdout.contains("# terraform_data.a will be destroyed"), "{}", ran.stdout);
    assert!(ran.stderr.contains("- terraform_data.a could not move to terraform_data.b"), "{}", ran.stderr);
}

//! Blocks whose meaning shows in plans: `lifecycle`, `check`, `data`, provider configurations, ephemeral values.

use super::support::{Sandbox, holds};

const MAIN: &str = "environments/test/main.hcl";

fn with(main: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, main);
    sandbox
}

#[track_caller]
fn plan(sandbox: &Sandbox, main: &str) -> String {
    sandbox.write(MAIN, main);
    sandbox.run("plan test").succeeds().stdout
}

#[track_caller]
fn applied(main: &str) -> Sandbox {
    let sandbox = with(main);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    sandbox
}

#[test]
fn a_trigger_names_the_instance_of_the_same_key() {
    let main = |x: &str, count: usize| {
        format!(
            r#"
resource "terraform_data" "a" {{
  for_each = {{ x = {x}, y = 1 }}
  input    = each.value
}}
resource "terraform_data" "by_key" {{
  for_each = toset(["x", "y"])
  lifecycle {{ replace_triggered_by = [terraform_data.a[each.key].input] }}
}}
resource "terraform_data" "by_id" {{
  lifecycle {{ replace_triggered_by = [terraform_data.a["x"].id] }}
}}
resource "terraform_data" "by_all" {{
  lifecycle {{ replace_triggered_by = [terraform_data.a] }}
}}
resource "terraform_data" "counted" {{ count = {count} }}
resource "terraform_data" "by_counted" {{
  lifecycle {{ replace_triggered_by = [terraform_data.counted] }}
}}
"#
        )
    };
    let sandbox = applied(&main("1", 1));
    // What is made is no trigger, as in Terraform; what is updated is.
    let text = plan(&sandbox, &main("2", 2));
    holds(
        &text,
        &[
            "# terraform_data.by_key[\"x\"] will be replaced due to changes in replace_triggered_by\n  # (because terraform_data.a[\"x\"].input changes)",
            "# terraform_data.by_all will be replaced due to changes in replace_triggered_by",
            "Plan: 3 to add, 1 to change, 2 to destroy.",
        ],
    );
    for stays in ["by_key[\"y\"]", "by_id", "by_counted"] {
        assert!(!text.contains(&format!("# terraform_data.{stays}")), "{stays}: {text}");
    }
}

#[test]
fn ignored_changes_reach_into_values() {
    let main = |input: &str, ignore: &str| {
        format!(
            "resource \"terraform_data\" \"a\" {{\n  input = {input}\n  lifecycle {{ ignore_changes = {ignore} }}\n}}\n"
        )
    };
    for (before, after, ignore, changes) in [
        ("{ a = 1, b = 1 }", "{ a = 2, b = 1 }", "[input[\"a\"]]", false),
        ("{ a = 1, b = 1 }", "{ a = 2, b = 1 }", "[input.a]", false),
        ("{ a = 1, b = 1 }", "{ a = 2, b = 2 }", "[input[\"a\"]]", true),
        ("[1, { x = 1 }]", "[1, { x = 2 }]", "[input[1].x]", false),
        ("[1, { x = 1 }]", "[2, { x = 2 }]", "[input[1].x]", true),
        ("1", "2", "all", false),
        ("1", "2", "[input]", false),
        ("1", "2", "[triggers_replace]", true),
    ] {
        let sandbox = applied(&main(before, ignore));
        let text = plan(&sandbox, &main(after, ignore));
        assert_eq!(!text.starts_with("No changes."), changes, "{before} {after} {ignore}: {text}");
    }
}

#[test]
fn what_is_needed_by_what_is_created_first_is_created_first_too() {
    let main = |n: usize| {
        format!(
            r#"
resource "terraform_data" "base" {{ triggers_replace = {n} }}
resource "terraform_data" "other" {{ triggers_replace = {n} }}
resource "terraform_data" "top" {{
  triggers_replace = [{n}, terraform_data.base.id]
  lifecycle {{ create_before_destroy = true }}
}}
"#
        )
    };
    let sandbox = applied(&main(1));
    let text = plan(&sandbox, &main(2));
    holds(
        &text,
        &[
            "+/- resource \"terraform_data\" \"base\"",
            "+/- resource \"terraform_data\" \"top\"",
            "-/+ resource \"terraform_data\" \"other\"",
        ],
    );
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    let at = |text: &str| ran.stderr.find(text).unwrap_or_else(|| panic!("{text}: {}", ran.stderr));
    assert!(at("base: Creation complete") < at("top: Creating"), "{}", ran.stderr);
    assert!(at("top: Destruction complete") < at("base: Destroying"), "{}", ran.stderr);
}

#[test]
fn check_blocks_are_looked_at_in_the_run_and_counted() {
    let main = r#"
resource "terraform_data" "a" { input = 1 }
module "m" {
  source = "./m"
  count  = 2
  id     = terraform_data.a.id
  index  = count.index
}
check "files" {
  data "local_file" "there" { filename = "there.txt" }
  assert {
    condition     = data.local_file.there.content == "yes"
    error_message = "It says ${data.local_file.there.content}."
  }
}
check "gone" {
  data "local_file" "gone" { filename = "gone.txt" }
  assert {
    condition     = data.local_file.gone.content == "yes"
    error_message = "It is not there."
  }
}
"#;
    let sandbox = with(main);
    sandbox.write("environments/test/there.txt", "yes");
    sandbox.write(
        "environments/test/m/main.hcl",
        r#"
variable "id" {}
variable "index" {}
check "inner" {
  assert {
    condition     = var.id != ""
    error_message = "There is no id."
  }
  assert {
    condition     = var.index == 0 || var.id == "no"
    error_message = "Instance ${var.index} has ${var.id != "" ? "an id" : "none"}."
  }
}
"#,
    );
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    holds(
        &ran.stdout,
        &["  > check.files", "1 assertion", "2 checks passed, 2 check blocks did not hold, which is a warning"],
    );
    holds(
        &ran.stderr,
        &[
            "module.m[1].check.inner: Warning, assertion failed: Instance 1 has an id.",
            "check.gone: Warning, assertion failed: the condition cannot be evaluated",
            "Warning: Cannot read data source",
            "module.m[0].check.inner: Verified",
        ],
    );
    assert_eq!(ran.stderr.matches("Instance 1 has an id.").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("Cannot read data source").count(), 1, "{}", ran.stderr);
    // Nothing changes: the last verdicts are shown, and nothing is a reason for a run.
    let again = sandbox.run("plan test").succeeds();
    assert!(again.stdout.starts_with("No changes."), "{}", again.stdout);
    holds(&again.stdout, &["failed  module.m[1].check.inner", "passed  check.files"]);
    assert_eq!(again.stderr.matches("Check block assertion failed").count(), 1, "{}", again.stderr);
    let verified = sandbox.run("verify test").succeeds();
    holds(&verified.stdout, &["2 checks passed, 2 check blocks did not hold"]);
    let history = sandbox.run("history test").succeeds();
    holds(&history.stdout, &["generation 1 is serving, and every probe passed, but 2 check blocks do not hold"]);
}

#[test]
fn files_are_data() {
    let main = r#"
data "local_file" "one" {
  for_each = toset(["a", "b"])
  filename = "${each.key}.txt"
}
resource "local_file" "made" {
  filename = "made.txt"
  content  = "made"
}
data "local_file" "later" {
  filename   = "made.txt"
  depends_on = [local_file.made]
}
output "all" { value = { for k, f in data.local_file.one : k => f.content_md5 } }
output "later" { value = data.local_file.later.content }
"#;
    let sandbox = with(main);
    sandbox.write("environments/test/a.txt", "hello");
    sandbox.write("environments/test/b.txt", "");
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    holds(&ran.stdout, &["5d41402abc4b2a76b9719d911017c592", "d41d8cd98f00b204e9800998ecf8427e", "later = \"made\""]);
    let text = sandbox.run("plan test").succeeds().stdout;
    assert!(text.starts_with("No changes."), "{text}");
}

#[test]
fn provider_configurations_are_handed_to_modules() {
    let sandbox = with(
        r#"
provider "local" {
  alias = "west"
}
module "m" {
  source    = "./m"
  providers = { local.main = local.west, local = local }
}
"#,
    );
    sandbox.write(
        "environments/test/m/main.hcl",
        r#"
terraform {
  required_version = ">= 1.5, < 2.0"
  required_providers {
    local = {
      source                = "hashicorp/local"
      configuration_aliases = [local.main]
    }
  }
}
resource "local_file" "a" {
  provider = local.main
  filename = "made"
}
"#,
    );
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    assert_eq!(sandbox.read("environments/test/made"), "");
}

#[test]
fn an_ephemeral_value_is_recorded_nowhere() {
    let main = r#"
variable "token" {
  type      = string
  ephemeral = true
}
locals { header = "Bearer ${var.token}" }
resource "terraform_data" "a" { input = ephemeralasnull(local.header) }
output "o" { value = ephemeralasnull(var.token) }
"#;
    let sandbox = with(main);
    let ran = sandbox.run("apply test --auto-approve --var token=hunter2").succeeds();
    assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"), "{}{}", ran.stdout, ran.stderr);
    let mut folders = vec![sandbox.project().join("state")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                assert!(!text.contains("hunter2"), "{} has it", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 2, "the ledger is there");
    // A saved plan needs it again.
    let _ = sandbox.run("plan test --replace terraform_data.a --var token=hunter2 --out saved").succeeds();
    let refused = sandbox.run("apply test saved").exits(5);
    holds(&refused.stderr, &["sensitive or ephemeral"]);
    let _ = sandbox.run("apply test saved --var token=hunter2").succeeds();
}

#[test]
fn conditions_of_outputs_and_order_of_modules() {
    let main = |n: usize| {
        format!(
            r#"
resource "local_file" "first" {{ filename = "first" }}
module "m" {{
  source     = "./m"
  depends_on = [local_file.first]
}}
resource "terraform_data" "a" {{
  input = {n}
  lifecycle {{
    precondition {{
      condition     = length(module.m.name) > 0
      error_message = "No name."
    }}
    postcondition {{
      condition     = self.output == 1
      error_message = "It is ${{self.output}}."
    }}
  }}
}}
output "o" {{
  value      = terraform_data.a.output
  depends_on = [module.m]
  precondition {{
    condition     = terraform_data.a.output < 2
    error_message = "The output is ${{terraform_data.a.output}}."
  }}
}}
"#
        )
    };
    let sandbox = with(&main(1));
    sandbox.write(
        "environments/test/m/main.hcl",
        "resource \"local_file\" \"second\" {\n  filename = \"second\"\n}\noutput \"name\" {\n  value = \"x\"\n}\n",
    );
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    let at = |text: &str| ran.stderr.find(text).unwrap_or_else(|| panic!("{text}: {}", ran.stderr));
    assert!(at("local_file.first: Creation complete") < at("module.m.local_file.second: Creating"), "{}", ran.stderr);
    sandbox.write(MAIN, &main(2));
    let refused = sandbox.run("plan test").exits(1);
    holds(
        &refused.stderr,
        &["Resource postcondition failed", "It is 2.", "Module output value precondition failed", "The output is 2."],
    );
}

/// What a run migrates goes back with it, also where the configuration that it goes back to knows nothing of the migration.
#[test]
fn a_migration_that_came_with_a_failed_run_is_taken_back() {
    let file = "resource \"local_file\" \"a\" {\n  filename = \"${path.root}/a.txt\"\n  content  = \"x\"\n}\n";
    let sandbox = applied(file);
    sandbox.write("migrations/0001_t.up.sql", "CREATE TABLE t (id INTEGER);\n");
    sandbox.write("migrations/0001_t.down.sql", "DROP TABLE t;\n");
    let more = r#"
migration "m" {
  source   = "${path.project}/migrations"
  database = "sqlite://${path.project}/t.db"
}

smoke_test "s" {
  depends_on = [migration.m]
  command { argv = ["WORD"] }
}
"#;
    sandbox.write("environments/test/main.hcl", &format!("{file}{}", more.replace("WORD", "false")));
    let failed = sandbox.run("apply test --auto-approve").exits(3);
    holds(&failed.stderr, &["migration.m: Migration 1 taken back"]);
    let plan = sandbox.run("plan test").succeeds();
    holds(&plan.stdout, &["# migration.m: 1 migration to apply (nothing applied yet)"]);
    sandbox.write("environments/test/main.hcl", &format!("{file}{}", more.replace("WORD", "true")));
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let _ = sandbox.run("plan test --detailed-exitcode").succeeds();
}

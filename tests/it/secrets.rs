//! Secrets that come back: sealed with age for the environment's recipients, and opened on another machine by whoever has an
//! identity. Where nobody has, the source is asked, and what is missing or different is said before anything is touched.

use std::path::Path;

use age::x25519::Identity;

use super::support::keys::{Keys, encryption, give_identity, keys};
use super::support::{Ran, Sandbox};

const MAIN: &str = "environments/local/main.hcl";

/// Two files with secrets in them, one from a variable and one from the environment.
const CONFIGURATION: &str = r#"
variable "password" {
  sensitive = true
}

resource "local_file" "password" {
  filename          = "../../password"
  sensitive_content = "<${var.password}>"
}

resource "local_file" "token" {
  filename          = "../../token"
  sensitive_content = env("TOKEN")
}

output "password" {
  value     = "is ${var.password}"
  sensitive = true
}
"#;

/// And one made of what a command said, which nobody tells a second time.
const MADE: &str = r#"
variable "suffix" {
  default = "1"
}

resource "local_command" "made" {
  create      = ["sh", "-c", "printf made-from-$P"]
  environment = { P = var.password }
}

resource "local_file" "made" {
  filename          = "../../made"
  sensitive_content = "${local_command.made.stdout}/${var.suffix}"
}
"#;

/// A project whose secrets are sealed for these, or kept by their digests.
fn project(recipients: &[&Keys]) -> Sandbox {
    let sandbox = Sandbox::new();
    let head = if recipients.is_empty() { String::new() } else { encryption(recipients) };
    sandbox.write(MAIN, &format!("{head}{CONFIGURATION}"));
    sandbox
}

/// The project on another machine: the same files, nothing of the environment, and a home of its own.
fn elsewhere(sandbox: &Sandbox) -> Sandbox {
    let other = Sandbox::new();
    std::fs::remove_dir(other.project()).expect("the sandbox is writable");
    copy(&sandbox.project(), &other.project());
    other
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("the sandbox is writable");
    std::fs::set_permissions(to, from.metadata().expect("the sandbox is writable").permissions())
        .expect("the sandbox is writable");
    for entry in std::fs::read_dir(from).expect("the sandbox is writable") {
        let path = entry.expect("the sandbox is writable").path();
        let there = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy(&path, &there),
            false => drop(std::fs::copy(&path, &there).expect("the sandbox is writable")),
        }
    }
}

fn apply(sandbox: &Sandbox, password: &str, token: &str) {
    let given = [("GANTRY_VAR_password", password), ("TOKEN", token)];
    drop(sandbox.run_in(&given, &["apply", "local", "--auto-approve"]).succeeds());
}

fn all(ran: &Ran) -> String {
    // Lines are wrapped where they are full.
    format!("{}{}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn says(ran: &Ran, parts: &[&str]) {
    let text = all(ran);
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said in:\n{text}");
    }
}

fn contents(sandbox: &Sandbox) -> [String; 2] {
    ["password", "token"].map(|name| sandbox.read(name))
}

#[test]
fn a_rollback_elsewhere_needs_an_identity_and_nothing_else() {
    let (anna, berta) = (keys(), keys());
    let sandbox = project(&[&anna, &berta]);
    apply(&sandbox, "first", "one");
    let first = contents(&sandbox);
    apply(&sandbox, "second", "two");
    assert_ne!(contents(&sandbox), first);

    let other = elsewhere(&sandbox);
    give_identity(&other, &berta);
    let ran = other.run("rollback local --auto-approve").succeeds();
    assert!(!all(&ran).contains("Today's value"), "{ran:?}");
    assert_eq!(other.read("password"), "<first>");
    assert_eq!(other.read("token"), "one");
    drop(other.run("state verify local").succeeds());

    // Also where today's values are others, and with the key in the environment instead of a file.
    let third = elsewhere(&sandbox);
    let given = [("GANTRY_VAR_password", "third"), ("TOKEN", "three"), ("GANTRY_AGE_IDENTITY", anna.identity.as_str())];
    let ran = third.run_in(&given, &["rollback", "local", "--auto-approve"]).succeeds();
    assert!(!all(&ran).contains("Today's value"), "{ran:?}");
    assert_eq!(third.read("password"), "<first>");
    assert_eq!(third.read("token"), "one");
}

#[test]
fn a_rollback_without_an_identity_asks_the_sources() {
    let anna = keys();
    for recipients in [vec![&anna], Vec::new()] {
        let sandbox = project(&recipients);
        apply(&sandbox, "first", "one");
        apply(&sandbox, "second", "two");
        let other = elsewhere(&sandbox);
        give_identity(&other, &keys());
        let before = contents(&other);
        let ran = other.run("rollback local --auto-approve").exits(5);
        says(&ran, &["Secret missing", "--var password=", "GANTRY_VAR_password", "TOKEN"]);
        assert_eq!(all(&ran).contains("no identity that is at hand opens it"), !recipients.is_empty(), "{ran:?}");
        assert_eq!(contents(&other), before, "nothing was touched");

        // Another value than then is taken, and the plan says so; the one of then is taken in silence.
        let given = [("GANTRY_VAR_password", "third"), ("TOKEN", "one")];
        let ran = other.run_in(&given, &["rollback", "local", "--auto-approve"]).succeeds();
        says(&ran, &["Today's value of a secret", "\"password\"", "goes on with today's value"]);
        assert!(!all(&ran).contains("environment variable TOKEN is not"), "{ran:?}");
        assert_eq!(other.read("password"), "<third>");
        assert_eq!(other.read("token"), "one");
    }
}

#[test]
fn a_saved_plan_opens_its_secrets_or_asks_for_them() {
    let anna = keys();
    for recipients in [vec![&anna], Vec::new()] {
        let sandbox = project(&recipients);
        sandbox.write("environments/local/made.hcl", MADE);
        apply(&sandbox, "first", "one");
        let given = [("GANTRY_VAR_password", "second"), ("TOKEN", "two")];
        drop(sandbox.run_in(&given, &["plan", "local", "--out", "p.plan"]).succeeds());
        let apply = |sandbox: &Sandbox, given: &[(&str, &str)]| sandbox.run_in(given, &["apply", "local", "p.plan"]);

        let other = elsewhere(&sandbox);
        let ran = apply(&other, &[("TOKEN", "two")]).exits(5);
        says(&ran, &["Secret missing", "--var password="]);
        let ran = apply(&other, &[("GANTRY_VAR_password", "second")]).exits(5);
        says(&ran, &["Secret missing", "TOKEN"]);
        let ran = apply(&other, &[("GANTRY_VAR_password", "third"), ("TOKEN", "two")]).exits(5);
        says(&ran, &["Secret differs", "\"password\"", "Plan again"]);
        assert_eq!(contents(&other), contents(&sandbox), "nothing was touched");
        drop(apply(&other, &given).succeeds());
        assert_eq!(other.read("password"), "<second>");

        if !recipients.is_empty() {
            let third = elsewhere(&sandbox);
            give_identity(&third, &anna);
            drop(apply(&third, &[]).succeeds());
            assert_eq!(contents(&third), contents(&other));
            drop(third.run("show p.plan").succeeds());
        }
    }
}

#[test]
fn what_only_a_target_knew_comes_back_from_its_seal() {
    let anna = keys();
    for recipients in [vec![&anna], Vec::new()] {
        let sandbox = project(&recipients);
        sandbox.write("environments/local/made.hcl", MADE);
        apply(&sandbox, "first", "one");
        let other = elsewhere(&sandbox);
        let given = [("GANTRY_VAR_password", "first"), ("TOKEN", "one"), ("GANTRY_VAR_suffix", "2")];
        let plan = other.run_in(&given, &["plan", "local"]).succeeds();
        says(&plan, &["Secret not readable", "local_file.made needs local_command.made.stdout"]);
        let ran = other.run_in(&given, &["apply", "local", "--auto-approve"]).exits(5);
        says(&ran, &["Secret not readable", "local_file.made needs local_command.made.stdout"]);
        assert_eq!(other.read("made"), "made-from-first/1", "nothing was touched");
        if recipients.is_empty() {
            says(&ran, &["--replace=local_command.made"]);
            let replaced = ["apply", "local", "--auto-approve", "--replace=local_command.made"];
            drop(other.run_in(&given, &replaced).succeeds());
        } else {
            says(&ran, &["GANTRY_AGE_IDENTITY_FILE"]);
            give_identity(&other, &anna);
            drop(other.run_in(&given, &["apply", "local", "--auto-approve"]).succeeds());
        }
        assert_eq!(other.read("made"), "made-from-first/2");
    }
}

#[test]
fn what_is_current_is_sealed_anew() {
    let (anna, berta) = (keys(), keys());
    let sandbox = project(&[&anna]);
    apply(&sandbox, "first", "one");
    apply(&sandbox, "second", "two");
    let first = segment(&sandbox);
    let before = sandbox.read(&first);

    // Berta comes. What is sealed is not for her yet, and she cannot make it so.
    sandbox.write(MAIN, &format!("{}{CONFIGURATION}", encryption(&[&anna, &berta])));
    let bertas = elsewhere(&sandbox);
    give_identity(&bertas, &berta);
    says(&bertas.run("rollback local --auto-approve").exits(5), &["Secret missing", "key.txt holds another"]);
    says(&bertas.run("state reseal local").exits(1), &["Secrets not readable", "stay sealed"]);

    // Anna can, and then Berta goes back to what was before she came.
    give_identity(&sandbox, &anna);
    says(&sandbox.run("state reseal local").succeeds(), &["Sealed anew:"]);
    assert_eq!(sandbox.read(&first), before, "the chain only grows");
    drop(sandbox.run("state verify local").succeeds());
    // What both generations were made from, as it was sealed before, nobody needs any more.
    says(&sandbox.run("state gc local --auto-approve").succeeds(), &[" 2 blobs, ", "Kept: generations 1, 2"]);
    drop(sandbox.run("state verify local").succeeds());
    let given = [("GANTRY_VAR_password", "second"), ("TOKEN", "two")];
    drop(sandbox.run_in(&given, &["plan", "local", "--detailed-exitcode"]).succeeds());
    let bertas = elsewhere(&sandbox);
    give_identity(&bertas, &berta);
    drop(bertas.run("rollback local --auto-approve").succeeds());
    assert_eq!(bertas.read("password"), "<first>");

    // Anna leaves: what is sealed from then on is not for her, and a rollback does not seal for those of then.
    sandbox.write(MAIN, &format!("{}{CONFIGURATION}", encryption(&[&berta])));
    give_identity(&sandbox, &berta);
    drop(sandbox.run("state reseal local").succeeds());
    drop(sandbox.run("rollback local --auto-approve").succeeds());
    let annas = elsewhere(&sandbox);
    give_identity(&annas, &anna);
    says(&annas.run("rollback local --auto-approve").exits(5), &["Secret missing"]);

    let nobody = project(&[]);
    apply(&nobody, "first", "one");
    says(&nobody.run("state reseal local").exits(1), &["Nothing to seal for"]);
}

/// The newest segment of the ledger.
fn segment(sandbox: &Sandbox) -> String {
    let folder = sandbox.project().join("state/local/ledger");
    let entries = std::fs::read_dir(folder).expect("there is a ledger").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    format!("state/local/ledger/{}", names.max().expect("it has a segment"))
}

#[test]
fn an_output_is_told_to_who_has_an_identity() {
    let anna = keys();
    let sandbox = project(&[&anna]);
    apply(&sandbox, "first", "one");
    says(
        &sandbox.run("output local password --raw").exits(5),
        &["Secret missing", "no identity", "GANTRY_AGE_IDENTITY_FILE"],
    );
    give_identity(&sandbox, &anna);
    assert_eq!(sandbox.run("output local password --raw").succeeds().stdout, "is first");
    assert_eq!(sandbox.run("output local password --json").succeeds().stdout.trim(), "\"is first\"");
    for shown in ["output local", "output local password", "output local --json", "show local --json"] {
        assert!(!all(&sandbox.run(shown).succeeds()).contains("first"), "{shown}");
    }
}

#[test]
fn a_run_says_before_it_begins_what_its_way_back_lacks() {
    let anna = keys();
    for recipients in [vec![&anna], Vec::new()] {
        let sandbox = project(&recipients);
        apply(&sandbox, "first", "one");
        let given = [("GANTRY_VAR_password", "second"), ("TOKEN", "one")];
        let plan = sandbox.run_in(&given, &["plan", "local"]).succeeds();
        says(&plan, &["The way back takes today's secret", "\"password\""]);
        if !recipients.is_empty() {
            give_identity(&sandbox, &anna);
            let plan = sandbox.run_in(&given, &["plan", "local"]).succeeds();
            assert!(!all(&plan).contains("way back takes"), "{plan:?}");
        }
        // The run fails, and the way back does what was said.
        sandbox.write(
            "environments/local/fail.hcl",
            "resource \"local_command\" \"f\" {\n  create     = [\"false\"]\n  depends_on = [local_file.password, local_file.token]\n}\n",
        );
        let ran = sandbox.run_in(&given, &["apply", "local", "--auto-approve"]).exits(3);
        let back = if recipients.is_empty() { "<second>" } else { "<first>" };
        assert_eq!(sandbox.read("password"), back, "{ran:?}");
    }
}

#[test]
fn commands_do_not_get_the_identity() {
    let anna = keys();
    let sandbox = Sandbox::new();
    let command = "[\"sh\", \"-c\", \"env | grep -c AGE_IDENTITY= | tee -a ../../seen\"]";
    sandbox.write(
        MAIN,
        &format!(
            "{}resource \"local_command\" \"c\" {{\n  create = {command}\n  read   = {command}\n}}\n\nsmoke_test \"s\" {{\n  \
             depends_on = [local_command.c]\n  command {{\n    argv = {command}\n  }}\n}}\n",
            encryption(&[&anna])
        ),
    );
    let given = [("GANTRY_AGE_IDENTITY", anna.identity.as_str())];
    drop(sandbox.run_in(&given, &["apply", "local", "--auto-approve"]).succeeds());
    drop(sandbox.run_in(&given, &["plan", "local"]).succeeds());
    let seen = sandbox.read("seen");
    assert!(seen.lines().count() >= 3 && seen.lines().all(|line| line == "0"), "{seen}");
}

#[test]
fn only_people_with_an_identity_read_what_is_sealed() {
    let anna = keys();
    let sandbox = project(&[&anna]);
    apply(&sandbox, "first", "one");
    let entries = sandbox.read(&segment(&sandbox));
    assert!(entries.contains("\"$age\"") && !entries.contains("first"), "{entries}");
    // Opened without Gantry, part by part.
    let identity: Identity = anna.identity.parse().unwrap();
    let open: Vec<String> = entries
        .split("\"$age\":\"")
        .skip(1)
        .map(|rest| {
            let sealed = rest.split('"').next().unwrap();
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, sealed).unwrap();
            String::from_utf8(age::decrypt(&identity, &bytes).unwrap()).unwrap()
        })
        .collect();
    for text in ["\"<first>\"", "\"one\"", "\"is first\""] {
        assert!(open.iter().any(|o| o == text), "{text} in {open:?}");
    }
}

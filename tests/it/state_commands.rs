//! `gantry state …` and `gantry import`: the ledger in people's hands.

use std::sync::Arc;

use gantry::ledger::event::Event;
use gantry::ledger::{Backend, Draft, LocalBackend, State, Writer, checkpoint};

use super::support::{Sandbox, holds};

const MAIN: &str = "environments/test/main.hcl";

fn applied(main: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, main);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    sandbox
}

const TWO: &str = r#"
resource "terraform_data" "a" { input = 1 }
resource "terraform_data" "b" { input = terraform_data.a.id }
"#;

#[test]
fn a_moved_record_is_planned_under_its_new_address() {
    let sandbox = applied(TWO);
    let dry = sandbox.run("state mv --dry-run test terraform_data.a module.m[0].terraform_data.x").succeeds();
    assert_eq!(dry.stdout, "Would move terraform_data.a to module.m[0].terraform_data.x\n");
    let moved = sandbox.run("state mv test terraform_data.a terraform_data.c --reason renamed").succeeds();
    holds(&moved.stdout, &["Moved terraform_data.a to terraform_data.c\n", "gantry plan test"]);
    sandbox.write(MAIN, &TWO.replace("\"a\"", "\"c\"").replace("data.a", "data.c"));
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    assert_eq!(sandbox.run("state list test").succeeds().stdout, "terraform_data.b\nterraform_data.c\n");
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds"]);

    for (arguments, says) in [
        ("test terraform_data.none terraform_data.d", "The ledger has no record of terraform_data.none."),
        ("test terraform_data.b terraform_data.c", "the ledger has a record of that"),
        ("test terraform_data.b local_file.b", "a record keeps its type"),
        ("test terraform_data.b module.m", "a module moves to a module"),
        ("test terraform_data.b terraform_data.b", "has this address already"),
        ("test nonsense terraform_data.b", "is not an address"),
    ] {
        let refused = sandbox.run(&format!("state mv {arguments}")).exits(1);
        holds(&refused.stderr.replace("\n  ", " "), &[says]);
    }
}

#[test]
fn a_forgotten_record_leaves_its_object_and_can_be_taken_on_again() {
    let main = r#"resource "local_file" "a" {
  filename = "${path.project}/a.txt"
  content  = "one"
}
resource "terraform_data" "b" { count = 2 }
"#;
    let sandbox = applied(main);
    let unasked = sandbox.run("state rm test local_file.a").exits(5);
    holds(&unasked.stderr, &["--auto-approve was not given"]);
    let gone = sandbox.run("state rm test local_file.a terraform_data.b --auto-approve --reason moved-out").succeeds();
    assert_eq!(gone.stdout, "Forgot local_file.a\nForgot terraform_data.b[0]\nForgot terraform_data.b[1]\n");
    assert_eq!(sandbox.read("a.txt"), "one");
    holds(
        &sandbox.run("state rm test local_file.a --auto-approve").exits(1).stderr,
        &["has no record of local_file.a"],
    );

    let path = sandbox.project().join("a.txt");
    let import = format!("import test local_file.a {}", path.display());
    holds(&sandbox.run(&import).exits(5).stderr, &["--auto-approve"]);
    let taken = sandbox.run(&format!("{import} --auto-approve")).succeeds();
    holds(&taken.stdout, &["1 to import"]);
    holds(&sandbox.run("state list test").succeeds().stdout, &["local_file.a\n"]);
    let again = sandbox.run(&format!("{import} --auto-approve")).exits(1);
    holds(&again.stderr, &["Resource already managed by Gantry", "gantry state rm"]);
    let nowhere = sandbox.run("import test terraform_data.none x --auto-approve").exits(1);
    holds(&nowhere.stderr, &["terraform_data.none"]);
}

#[test]
fn a_terraform_state_is_taken_on() {
    let sandbox = Sandbox::new();
    sandbox.write(
        MAIN,
        "resource \"terraform_data\" \"a\" { input = \"x\" }\nresource \"terraform_data\" \"b\" { count = 2 }\n",
    );
    let instance =
        |key: &str, id: &str| format!(r#"{{{key}"schema_version":0,"attributes":{{"id":"{id}","input":null}}}}"#);
    let resource = |ty: &str, name: &str, instances: &str| {
        format!(
            r#"{{"mode":"managed","type":"{ty}","name":"{name}","provider":"provider[\"x\"]","instances":[{instances}]}}"#
        )
    };
    let all = [
        resource("terraform_data", "a", &instance("", "1c1e3e9a-9b6c-7a80-3c0c-2d1c6f6f0a01")),
        resource(
            "terraform_data",
            "b",
            &[instance("\"index_key\":0,", "b0"), instance("\"index_key\":1,", "b1")].join(","),
        ),
        resource("google_thing", "c", &instance("", "c")),
    ];
    let text = format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":3,"lineage":"l","resources":[{}]}}"#,
        all.join(",")
    );
    sandbox.write("old.tfstate", &text);
    let done = sandbox.run("state import-terraform test old.tfstate --auto-approve").succeeds();
    holds(&done.stderr, &["Left behind: google_thing.c: this Gantry has no resource type google_thing"]);
    assert_eq!(
        sandbox.run("state list test").succeeds().stdout,
        "terraform_data.a\nterraform_data.b[0]\nterraform_data.b[1]\n"
    );
    holds(
        &sandbox.run("state show test terraform_data.a").succeeds().stdout,
        &["1c1e3e9a-9b6c-7a80-3c0c-2d1c6f6f0a01"],
    );
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    let again = sandbox.run("state import-terraform test old.tfstate --auto-approve").succeeds();
    holds(&again.stderr, &["it is in Gantry's ledger already", "There is nothing to take on."]);
    sandbox.write("empty.tfstate", "");
    holds(
        &sandbox.run("state import-terraform test empty.tfstate").exits(1).stderr.replace("\n  ", " "),
        &["it is empty"],
    );
}

#[test]
fn a_ledger_is_copied_out_and_in_and_moved() {
    let sandbox = applied(TWO);
    let json = sandbox.run("state pull test").succeeds().stdout;
    let pulled: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(pulled["resources"].as_array().map(Vec::len), Some(2), "{json}");
    holds(
        &sandbox.run("state pull test --out backup").succeeds().stdout,
        &["Copied the ledger", "all of them verified"],
    );
    holds(&sandbox.run("state pull test --out backup").succeeds().stdout, &["where all of it stood already"]);
    holds(&sandbox.run("state push test backup").succeeds().stdout, &["where all of it stood already"]);
    let _ = sandbox.run("apply test --auto-approve --replace terraform_data.b").succeeds();
    holds(&sandbox.run("state push test backup").exits(5).stderr, &["another state of this ledger"]);

    // The disk is lost, the copy is not.
    std::fs::remove_dir_all(sandbox.project().join("state/test")).expect("it was there");
    let _ = sandbox.run("state push test backup").succeeds();
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);

    let elsewhere = format!("environment {{\n  state \"local\" {{ path = \"../../kept\" }}\n}}\n{TWO}");
    sandbox.write(MAIN, &elsewhere);
    holds(&sandbox.run("plan test").exits(5).stderr, &["gantry state migrate test"]);
    holds(&sandbox.run("state migrate test").succeeds().stdout, &["Moved the ledger"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    holds(&sandbox.run("state migrate test").exits(1).stderr, &["Nothing to move"]);
    // Who still has the old place configured is told.
    sandbox.write(MAIN, TWO);
    let told = sandbox.run("apply test --auto-approve").exits(5).stderr;
    holds(&told.replace("\n  ", " "), &["The ledger was moved", "was moved to"]);
    sandbox.write(MAIN, &elsewhere);
    let _ = sandbox.run("destroy test --auto-approve").succeeds();
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds"]);
}

#[test]
fn a_lease_is_taken_away_with_a_reason() {
    let sandbox = applied(TWO);
    holds(&sandbox.run("state unlock test --reason r").succeeds().stdout, &["Nobody holds the lease"]);
    let lease = r#"{"boot":null,"command":"apply test","host":"elsewhere","id":"ab","pid":1,"renewals":3,"since":"2026-11-21T10:00:00.000000000Z","space":null,"started":null,"step":"local_file.x","user":"bob"}"#;
    sandbox.write("state/test/lease.json", &format!("{lease}\n"));
    sandbox.write(MAIN, &TWO.replace('1', "2"));
    let held = sandbox.run("apply test --auto-approve").exits(5).stderr;
    holds(&held.replace("\n  ", " "), &["bob on elsewhere", "pid 1", "local_file.x"]);
    holds(&sandbox.run("state unlock test --reason r").exits(5).stderr, &["--auto-approve was not given"]);
    let taken = sandbox.run("state unlock test --auto-approve --reason host-burnt").succeeds().stdout;
    holds(&taken, &["was taken from bob on elsewhere"]);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let segments = std::fs::read_dir(sandbox.project().join("state/test/ledger")).expect("it has segments");
    let entries: String =
        segments.map(|s| std::fs::read_to_string(s.expect("it lists").path()).expect("it is text")).collect();
    assert!(entries.contains("\"reason\":\"host-burnt\"") && entries.contains("\"type\":\"unlocked\""), "{entries}");
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds"]);
}

/// 400 resources are three entries each.
#[test]
fn a_long_ledger_gets_a_checkpoint_that_is_read_and_proven() {
    let many = |value: usize, count: usize| {
        format!("resource \"terraform_data\" \"r\" {{\n  count = {count}\n  input = \"{value}-${{count.index}}\"\n}}\n")
    };
    let sandbox = applied(&many(1, 600));
    let note = sandbox.project().join("state/test/checkpoint.json");
    let first = std::fs::read_to_string(&note).expect("600 creations are more than 1,000 entries");
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds"]);
    // The next run begins at the checkpoint, fails to reach the next one, and is seen by all.
    sandbox.write(MAIN, &many(1, 599));
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    assert_eq!(std::fs::read_to_string(&note).expect("it is still there"), first);
    assert_eq!(sandbox.run("state list test").succeeds().stdout.lines().count(), 599);
    sandbox.write(MAIN, &many(2, 599));
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    assert_ne!(std::fs::read_to_string(&note).expect("it is still there"), first);
    // Without the note the whole is read, and comes to the same.
    let with = sandbox.run("state pull test").succeeds().stdout;
    std::fs::remove_file(&note).expect("it is there");
    assert_eq!(sandbox.run("state pull test").succeeds().stdout, with);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    // The way back reaches over a checkpoint.
    let _ = sandbox.run("rollback test --auto-approve").succeeds();
    holds(&sandbox.run("state show test terraform_data.r[5]").succeeds().stdout, &["1-5"]);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_named() {
    let sandbox = applied("resource \"terraform_data\" \"r\" { count = 600 }\n");
    let note = sandbox.project().join("state/test/checkpoint.json");
    let whole = std::fs::read_to_string(&note).expect("it is there");
    std::fs::write(&note, whole.replace("\"seq\":", "\"seq\":1")).expect("it is writable");
    let refused = sandbox.run("plan test").exits(1).stderr;
    let said = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    holds(
        &said,
        &["The ledger does not verify", "checkpoint.json", "only a shortcut to the newest checkpoint: remove it"],
    );
    let verified = sandbox.run("state verify test").exits(1).stdout;
    holds(&verified, &["DEFECT: checkpoint.json: it names an entry that is not there", "The ledger is damaged."]);
    std::fs::remove_file(&note).expect("it may be removed");
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds"]);
    std::fs::write(&note, whole).expect("it is writable");
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
}

/// A checkpoint that says something else than the entries before it, as a defect of Gantry would write it.
#[tokio::test]
async fn a_checkpoint_that_does_not_agree_is_told_and_not_copied() {
    let sandbox = applied(TWO);
    let backend: Arc<dyn Backend> = Arc::new(LocalBackend::new(&sandbox.project().join("state/test")));
    let (mut writer, _) = Writer::open_reading(Arc::clone(&backend)).await.expect("the ledger opens");
    let nothing = State { seq: writer.head().expect("it has entries").seq, ..State::default() };
    let manifest = checkpoint::write(backend.as_ref(), writer.lineage(), &nothing).await.expect("blobs can be put");
    let event = serde_json::to_value(Event::Checkpoint { manifest }).expect("it is plain data");
    let time = jiff::Timestamp::from_second(1_800_000_000).expect("it is a time");
    writer.append(vec![Draft { time, run: None, actor: "tester".into(), event }]).await.expect("it is appended");
    let verified = sandbox.run("state verify test").exits(1).stdout;
    holds(&verified, &["DEFECT: checkpoint: the newest one does not say what the entries before it come to"]);
    let refused = sandbox.run("state pull test --out copy").exits(1).stderr;
    let said = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    holds(&said, &["The ledger does not verify", "does not say what the entries before it come to"]);
    assert!(!sandbox.project().join("copy").exists());
}

/// Whoever needs a variable to find the ledger can give it, whatever is asked of the ledger.
#[test]
fn every_command_that_reads_the_ledger_takes_the_variables_of_its_place() {
    let sandbox = Sandbox::new();
    let place = "environment {\n  state \"local\" { path = var.place }\n}\nvariable \"place\" {}\noutput \"o\" { value = \"it\" }\n";
    sandbox.write(MAIN, &format!("{place}{TWO}"));
    let given = "--var place=../../elsewhere";
    let _ = sandbox.run(&format!("apply test --auto-approve {given}")).succeeds();
    for (command, says) in [
        ("history test", "verified"),
        ("output test", "o = \"it\""),
        ("output test o --raw", "it"),
        ("state list test", "terraform_data.a"),
        ("state show test terraform_data.a", "input"),
        ("state pull test", "terraform_data.a"),
        ("state verify test", "The chain holds"),
        ("show test", "terraform_data.a"),
    ] {
        holds(&sandbox.run(&format!("{command} {given}")).succeeds().stdout, &[says]);
        let refused = sandbox.run(command).exits(1).stderr;
        holds(&refused, &["State settings not known", "--var NAME=…"]);
    }
}

#[test]
fn a_ledger_that_moved_is_not_moved_again_and_its_former_place_is_found_by_any_path() {
    let sandbox = applied(TWO);
    let kept = |path: &str| format!("environment {{\n  state \"local\" {{ path = \"../../{path}\" }}\n}}\n");
    let keep = |path: &str| sandbox.write(MAIN, &format!("{}{TWO}", kept(path)));
    keep("one");
    let moved = sandbox.run("state migrate test").succeeds().stdout;
    holds(&moved, &["Moved the ledger from", " entries and ", " blob, all of them verified."]);
    holds(&sandbox.run("state migrate test").exits(1).stderr, &["Nothing to move", "and there it is"]);
    sandbox.write("old.hcl", &kept("one"));
    keep("two");
    let _ = sandbox.run("state migrate test --from environments/../old.hcl").succeeds();
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    // What stayed behind is its past.
    keep("one");
    let refused = sandbox.run("state migrate test").exits(5).stderr;
    holds(&refused.replace("\n  ", " "), &["The place is not empty", "another state of this ledger", "marker.json"]);
}

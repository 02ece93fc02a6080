//! `gantry state gc`: what nothing kept refers to is removed, and nobody misses it.

use std::collections::BTreeSet;

use super::support::Sandbox;

const MAIN: &str = "environments/test/main.hcl";

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    let unwrapped = text.replace("\n  ", " ");
    for part in parts {
        assert!(text.contains(part) || unwrapped.contains(part), "{part:?} is not in\n{text}");
    }
}

/// An environment with an artifact, a resource that names its file, and a check; `n` tells generations apart.
fn main(n: u32) -> String {
    format!(
        r#"artifact "tool" {{
  file = "${{path.project}}/tool.sh"
}}
resource "terraform_data" "r" {{ input = "{n} ${{artifact.tool.path}}" }}
check "c" {{
  assert {{
    condition     = terraform_data.r.output != ""
    error_message = "empty"
  }}
}}
"#
    )
}

/// Applies generations 1 to `count`, each with a file of its own.
fn applied(sandbox: &Sandbox, count: u32) {
    for n in 1..=count {
        sandbox.write("tool.sh", &format!("#!/bin/sh\necho {n}\n"));
        sandbox.write(MAIN, &main(n));
        let _ = sandbox.run("apply test --auto-approve").succeeds();
    }
}

fn blobs(sandbox: &Sandbox) -> BTreeSet<String> {
    let directory = sandbox.project().join("state/test/blobs");
    let mut all = BTreeSet::new();
    for start in std::fs::read_dir(directory).expect("it has blobs") {
        let start = start.expect("it lists");
        for rest in std::fs::read_dir(start.path()).expect("it is a directory") {
            let rest = rest.expect("it lists").file_name();
            all.insert(format!("{}{}", start.file_name().to_string_lossy(), rest.to_string_lossy()));
        }
    }
    all
}

fn entries(sandbox: &Sandbox) -> String {
    let segments = std::fs::read_dir(sandbox.project().join("state/test/ledger")).expect("it has segments");
    let mut paths: Vec<_> = segments.map(|s| s.expect("it lists").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("it is text")).collect()
}

#[test]
fn what_nothing_kept_refers_to_is_removed_and_the_rest_still_works() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 5);
    let before = (blobs(&sandbox), entries(&sandbox));
    let dry = sandbox.run("state gc test --keep 2 --dry-run").succeeds().stdout;
    holds(&dry, &["Would remove from the ledger of \"test\":\n", "the way back to generations 1, 2\n", "blobs, "]);
    holds(&dry, &["Kept: generations 3 to 5, and every entry.\n"]);
    let asked = sandbox.run("state gc test --keep 2").exits(5).stderr;
    holds(&asked, &["--auto-approve was not given"]);
    assert_eq!((blobs(&sandbox), entries(&sandbox)), before, "nothing was removed or written");

    let json = sandbox.run("state gc test --keep 2 --dry-run --json").succeeds().stdout;
    let said = json.lines().next_back().expect("it says something");
    let said: serde_json::Value = serde_json::from_str(said).expect("it is JSON");
    assert_eq!((&said["generations"], &said["kept"]), (&serde_json::json!([1, 2]), &serde_json::json!([3, 4, 5])));
    let named: BTreeSet<String> =
        said["blobs"].as_array().expect("a list").iter().filter_map(|b| b.as_str().map(str::to_owned)).collect();
    // Inputs and file of two generations.
    assert_eq!(named.len(), 4, "{json}");

    let done = sandbox.run("state gc test --keep 2 --auto-approve").succeeds().stdout;
    assert_eq!(done, dry.replace("Would remove", "Removed"));
    assert_eq!(blobs(&sandbox), before.0.difference(&named).cloned().collect());
    let after = entries(&sandbox);
    assert!(after.starts_with(&before.1), "the chain only grows");
    assert_eq!(after.matches("\"type\":\"collected\"").count(), 1);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);

    // A second one finds nothing, and writes nothing; nor does one that would keep more than is left.
    for keep in ["--keep 2", "--keep 9", ""] {
        let again = sandbox.run(&format!("state gc test {keep} --auto-approve")).succeeds().stdout;
        assert_eq!(again, "Everything in the ledger of \"test\" is referred to: nothing to remove.\n");
    }
    assert_eq!(entries(&sandbox), after);

    // The way back to what is gone is refused in a sentence, that to what is kept is open.
    let refused = sandbox.run("rollback test --to 1 --auto-approve").exits(5).stderr;
    holds(&refused, &["Generation was collected", "What generation 1 was made from is gone: tester collected it with"]);
    holds(&refused, &["gantry state gc at ", "Verified are: 3, 4, 5."]);
    holds(
        &sandbox.run("show test --generation 2").succeeds().stdout,
        &["no: tester collected it with gantry state gc"],
    );
    let _ = sandbox.run("rollback test --to 3 --auto-approve").succeeds();
    holds(&sandbox.run("state show test terraform_data.r").succeeds().stdout, &["3 "]);
    // What was collected and is needed again is kept again.
    sandbox.write("tool.sh", "#!/bin/sh\necho 1\n");
    sandbox.write(MAIN, &main(1));
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    let last = sandbox.run("state gc test --keep 1 --auto-approve").succeeds().stdout;
    holds(&last, &["the way back to generations 3 to 5\n", "Kept: generations 6, 7"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
}

#[test]
fn the_configuration_says_how_many_are_kept() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 4);
    holds(&sandbox.run("state gc test").succeeds().stdout, &["nothing to remove"]);
    let with = |keep: &str| format!("environment {{\n  history {{ keep = {keep} }}\n}}\n{}", main(4));
    for wrong in ["0", "-1", "1.5", "\"many\""] {
        sandbox.write(MAIN, &with(wrong));
        let refused = sandbox.run("state gc test --dry-run").exits(1).stderr;
        holds(&refused, &["Invalid argument value", "a whole number, at least 1", "main.hcl"]);
    }
    sandbox.write(MAIN, &with("2"));
    holds(&sandbox.run("state gc test --dry-run").succeeds().stdout, &["the way back to generation 1\n"]);
    holds(&sandbox.run("state gc test --keep 0").exits(1).stderr, &["Invalid --keep", "at least 1"]);
    // --keep goes without the configuration.
    sandbox.write(MAIN, "nonsense {");
    holds(&sandbox.run("state gc test --dry-run --keep 1").succeeds().stdout, &["generations 1, 2\n"]);
}

#[test]
fn only_the_evidence_of_the_latest_verdicts_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write(
        MAIN,
        "resource \"terraform_data\" \"r\" {}\nsmoke_test \"c\" {\n  command {\n    argv = [\"sh\", \"-c\", \"cat ${path.project}/said; test ! -e ${path.project}/broken\"]\n  }\n}\n",
    );
    sandbox.write("said", "first");
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let mut before = blobs(&sandbox);
    let mut ran = Vec::new();
    // Evidence is what a bad verdict has.
    sandbox.write("broken", "");
    for said in ["second", "third"] {
        sandbox.write("said", said);
        assert_ne!(sandbox.run("verify test").code(), Some(0));
        let now = blobs(&sandbox);
        ran.push(now.difference(&before).cloned().collect::<BTreeSet<_>>());
        before = now;
    }
    let done = sandbox.run("state gc test --auto-approve").succeeds().stdout;
    holds(&done, &["Kept: generation 1, and every entry."]);
    assert!(!done.contains("the way back"), "{done}");
    let left = blobs(&sandbox);
    assert!(ran[0].is_disjoint(&left), "all of the first verification is gone");
    let kept = ran[1].intersection(&left).count();
    assert!(0 < kept && kept < ran[1].len(), "of the latest there is its evidence: {ran:?} {left:?}");
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    let gone = ran[0].iter().map(|digest| sandbox.run(&format!("show test --evidence {digest}")));
    let told: Vec<String> = gone.filter(|ran| ran.code() == Some(5)).map(|ran| ran.stderr).collect();
    assert!(!told.is_empty() && told.len() < ran[0].len(), "not all of it is evidence: {told:?}");
    holds(&told[0], &["Evidence was collected", "is gone: tester collected it with gantry state gc at "]);
}

#[test]
fn an_interrupted_run_is_gone_on_with_first() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 3);
    // As a kill before the last entry leaves it.
    let directory = sandbox.project().join("state/test/ledger");
    let segments = std::fs::read_dir(&directory).expect("it has segments").map(|s| s.expect("it lists").path());
    let newest = segments.max().expect("it has one");
    let text = std::fs::read_to_string(&newest).expect("it is text");
    let last = text.lines().next_back().expect("it has lines");
    assert!(last.contains("\"type\":\"run_finished\""), "{last}");
    std::fs::write(&newest, &text[..text.len() - last.len() - 1]).expect("it is writable");
    let before = (blobs(&sandbox), entries(&sandbox));
    let refused = sandbox.run("state gc test --keep 1 --auto-approve").exits(5).stderr;
    holds(&refused, &["Interrupted run", "gantry resume"]);
    assert_eq!((blobs(&sandbox), entries(&sandbox)), before);
    let _ = sandbox.run("resume test").succeeds();
    holds(&sandbox.run("state gc test --keep 1 --auto-approve").succeeds().stdout, &["generation 1\n"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
}

#[test]
fn a_removal_that_was_cut_off_is_ended_by_the_next() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 4);
    let copy = |from: &str, to: &str| {
        let (from, to) = (sandbox.project().join(from), sandbox.project().join(to));
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.expect("cp is there").success());
    };
    copy("state/test/blobs", "whole");
    let _ = sandbox.run("state gc test --keep 1 --auto-approve").succeeds();
    let (left, after) = (blobs(&sandbox), entries(&sandbox));
    // As a kill between the entry and the first removal leaves it.
    copy("whole/.", "state/test/blobs");
    assert!(blobs(&sandbox).len() > left.len());
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("rollback test --to 1 --auto-approve").exits(5).stderr, &["Generation was collected"]);
    let done = sandbox.run("state gc test --auto-approve").succeeds().stdout;
    holds(&done, &["  4 blobs, ", ", 4 of them left over from a removal that was cut off\n", "Kept: generations 3, 4"]);
    assert_eq!((blobs(&sandbox), entries(&sandbox)), (left, after), "what goes was told by the first");
    holds(&sandbox.run("state gc test").succeeds().stdout, &["nothing to remove"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
}

/// What was put and never named, and parts of earlier checkpoints.
#[test]
fn what_no_entry_names_goes_as_well() {
    let many = |value: u32| {
        format!("resource \"terraform_data\" \"r\" {{\n  count = 600\n  input = \"{value}-${{count.index}}\"\n}}\n")
    };
    let sandbox = Sandbox::new();
    for value in 1..=3 {
        sandbox.write(MAIN, &many(value));
        let _ = sandbox.run("apply test --auto-approve").succeeds();
    }
    // SHA-256 of "stray".
    let stray = "blobs/e2/24ddc6b55af8b2a88404a0b6cb2617db0dfc25b3584a4dd7c4358d911e91f5";
    sandbox.write(&format!("state/test/{stray}"), "stray");
    let before = blobs(&sandbox).len();
    let done = sandbox.run("state gc test --auto-approve").succeeds().stdout;
    assert!(!done.contains("the way back"), "{done}");
    assert!(!sandbox.project().join("state/test").join(stray).exists());
    assert!(blobs(&sandbox).len() < before - 1, "parts of the first checkpoint are gone: {done}");
    holds(&entries(&sandbox), &["\"blobs\":[]", "\"generations\":[]"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    let _ = sandbox.run("rollback test --to 1 --auto-approve").succeeds();
    holds(&sandbox.run("state show test terraform_data.r[5]").succeeds().stdout, &["1-5"]);
}

//! `gantry state gc`: what nothing kept refers to is removed, and nobody misses it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::support::postgres::Postgres;
use super::support::s3::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Server};
use super::support::{Background, Ran, Sandbox, eventually};

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

/// The entries, without the lines that begin a writer's part.
fn entries(sandbox: &Sandbox) -> String {
    let segments = std::fs::read_dir(sandbox.project().join("state/test/ledger")).expect("it has segments");
    let mut paths: Vec<_> = segments.map(|s| s.expect("it lists").path()).collect();
    paths.sort();
    let text: String = paths.iter().map(|path| std::fs::read_to_string(path).expect("it is text")).collect();
    text.lines().filter(|line| line.contains("\"seq\"")).fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn what_nothing_kept_refers_to_is_removed_and_the_rest_still_works() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 5);
    let before = (blobs(&sandbox), entries(&sandbox));
    let dry = sandbox.run("state gc test --keep 3 --dry-run").succeeds().stdout;
    holds(&dry, &["Would remove from the ledger of \"test\":\n", "what generations 1, 2 were made from\n", "blobs, "]);
    holds(&dry, &["Kept: generations 3 to 5, and every entry.\n"]);
    let asked = sandbox.run("state gc test --keep 3").exits(5).stderr;
    holds(&asked, &["--auto-approve was not given"]);
    assert_eq!((blobs(&sandbox), entries(&sandbox)), before, "nothing was removed or written");

    let json = sandbox.run("state gc test --keep 3 --dry-run --json").succeeds().stdout;
    let said = json.lines().next_back().expect("it says something");
    let said: serde_json::Value = serde_json::from_str(said).expect("it is JSON");
    assert_eq!((&said["generations"], &said["kept"]), (&serde_json::json!([1, 2]), &serde_json::json!([3, 4, 5])));
    let named: BTreeSet<String> =
        said["blobs"].as_array().expect("a list").iter().filter_map(|b| b.as_str().map(str::to_owned)).collect();
    // Inputs and file of two generations.
    assert_eq!(named.len(), 4, "{json}");

    let done = sandbox.run("state gc test --keep 3 --auto-approve").succeeds().stdout;
    assert_eq!(done, dry.replace("Would remove", "Removed"));
    assert_eq!(blobs(&sandbox), before.0.difference(&named).cloned().collect());
    let after = entries(&sandbox);
    assert!(after.starts_with(&before.1), "the chain only grows");
    assert_eq!(after.matches("\"type\":\"collected\"").count(), 1);
    let verified = sandbox.run("state verify test").succeeds().stdout;
    holds(&verified, &["  note: 4 blobs that entries name were collected with gantry state gc\n"]);
    holds(&verified, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);

    // A second one finds nothing, and writes nothing; nor does one that would keep more than is left.
    for keep in ["--keep 3", "--keep 9", ""] {
        let again = sandbox.run(&format!("state gc test {keep} --auto-approve")).succeeds().stdout;
        assert_eq!(again, "Nothing to remove: all that the ledger of \"test\" keeps is referred to.\n");
    }
    assert_eq!(entries(&sandbox), after);

    // The way back to what is gone is refused in a sentence, that to what is kept is open.
    let refused = sandbox.run("rollback test --to 1 --auto-approve").exits(5).stderr;
    holds(&refused, &["Generation was collected", "What generation 1 was made from is gone: tester collected it with"]);
    holds(&refused, &["gantry state gc at ", "Verified are: 3, 4, 5.", "history { keep = N }"]);
    let history = sandbox.run("history test").succeeds().stdout;
    assert_eq!(history.matches("apply (collected)").count(), 2, "{history}");
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
    holds(&last, &["what generations 3 to 5 were made from\n", "Kept: generations 6, 7, and every entry.\n"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
}

#[test]
fn without_a_ledger_nothing_is_begun_and_of_a_newer_one_nothing_is_removed() {
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, &main(1));
    for more in ["--dry-run", "--auto-approve", ""] {
        let said = sandbox.run(&format!("state gc test {more}")).succeeds().stdout;
        assert_eq!(said, "The environment \"test\" has no ledger yet: nothing was ever applied.\n");
    }
    let said = sandbox.run("state gc test --json").succeeds().stdout;
    holds(&said, &["\"generations\":[]", "\"bytes\":0"]);
    assert!(!sandbox.project().join("state").exists(), "not even a directory");
    applied(&sandbox, 3);
    let marker = sandbox.read("state/test/marker.json");
    assert!(marker.contains("\"format\":1"), "{marker}");
    sandbox.write("state/test/marker.json", &marker.replace("\"format\":1", "\"format\":9"));
    let before = blobs(&sandbox);
    for more in ["--dry-run", "--auto-approve"] {
        let refused = sandbox.run(&format!("state gc test --keep 1 {more}")).exits(1).stderr;
        holds(&refused, &["The ledger is newer than this Gantry"]);
    }
    assert_eq!(blobs(&sandbox), before);
}

#[test]
fn a_plan_that_was_saved_before_is_applied_after() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 3);
    sandbox.write("tool.sh", "#!/bin/sh\necho 4\n");
    sandbox.write(MAIN, &main(4));
    let _ = sandbox.run("plan test --out saved").succeeds();
    let shown = sandbox.run("show --json saved").succeeds().stdout;
    let _ = sandbox.run("state gc test --keep 1 --auto-approve").succeeds();
    assert_eq!(sandbox.run("show --json saved").succeeds().stdout, shown);
    let _ = sandbox.run("apply test saved").succeeds();
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
}

/// Corruption is not mistaken for collection, nor the other way round.
#[test]
fn what_is_gone_without_having_been_collected_is_missed() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 3);
    let before = blobs(&sandbox);
    let _ = sandbox.run("state gc test --keep 1 --auto-approve").succeeds();
    let left = blobs(&sandbox);
    assert_eq!(before.len() - left.len(), 2);
    for digest in &left {
        let path = sandbox.project().join(format!("state/test/blobs/{}/{}", &digest[..2], &digest[2..]));
        let kept = std::fs::read(&path).expect("it is there");
        std::fs::remove_file(&path).expect("the directory is writable");
        let said = sandbox.run("state verify test").exits(1).stdout;
        holds(&said, &[&format!("DEFECT: the blob {digest} is referred to and is not there")]);
        assert_eq!(said.matches("DEFECT").count(), 1, "what was collected is not missed: {said}");
        // Nor does a collection make it a collected one.
        let _ = sandbox.run("state gc test --keep 1 --auto-approve").succeeds();
        assert_eq!(sandbox.run("state verify test").exits(1).stdout.matches("DEFECT").count(), 1);
        std::fs::write(&path, kept).expect("the directory is writable");
    }
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
}

/// The lease: who waits is told for whom, who does not is refused.
#[test]
fn a_collection_waits_for_other_commands() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 2);
    let slow = r#"resource "local_command" "slow" {
  create = ["sh", "-c", "touch {project}/asked; while test ! -e {project}/go; do sleep 0.05; done"]
}
"#;
    sandbox.write(MAIN, &format!("{}{slow}", main(3)));
    let apply = Background::start(&sandbox, "apply test --auto-approve");
    let asked = sandbox.project().join("asked");
    assert!(eventually(Duration::from_secs(60), || asked.exists()), "{}", apply.said());
    let before = blobs(&sandbox);
    let refused = sandbox.run("state gc test --keep 1 --auto-approve").exits(5).stderr;
    holds(&refused, &["Another command is at work", "apply test", "--lock-timeout"]);
    holds(&sandbox.run("state gc test --keep 1 --dry-run").succeeds().stdout, &["has not ended"]);
    assert_eq!(blobs(&sandbox), before);
    let waits = Background::start(&sandbox, "state gc test --keep 1 --auto-approve --lock-timeout 60s");
    assert!(eventually(Duration::from_secs(20), || waits.said().contains("Waiting for")), "{}", waits.said());
    sandbox.write("go", "");
    assert_eq!(apply.end().0, Some(0));
    let (code, said) = waits.end();
    assert_eq!(code, Some(0), "{said}");
    holds(&sandbox.run("show test --generation 1").succeeds().stdout, &["no: tester collected it with"]);
    holds(&sandbox.run("history test").succeeds().stdout, &["apply (collected)"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
}

/// A world with a past, made once and copied for each thing that happens to it.
struct Past {
    sandbox: Sandbox,
    collected: BTreeSet<String>,
}

const COLLECT: &str = "state gc test --keep 1 --auto-approve";

impl Past {
    fn new() -> Self {
        let sandbox = Sandbox::new().with_crash_points();
        applied(&sandbox, 3);
        copy(&sandbox, "state", "past");
        let _ = sandbox.run(COLLECT).succeeds();
        let collected = blobs(&sandbox);
        Self { sandbox, collected }
    }

    /// Collects in the world as it was, with something in the way.
    fn collect(&self, variable: &str, value: &str) -> Ran {
        std::fs::remove_dir_all(self.sandbox.project().join("state")).expect("it is writable");
        copy(&self.sandbox, "past", "state");
        self.sandbox.run_in(&[(variable, value)], &COLLECT.split(' ').collect::<Vec<_>>())
    }

    /// The lines of a log that a collection leaves.
    fn logged(&self, variable: &str) -> usize {
        let log = self.sandbox.expand("{sandbox}/tmp/log");
        drop(self.collect(variable, &log).succeeds());
        std::fs::read_to_string(log).expect("tests/build-crash.sh builds a gantry that logs").lines().count()
    }

    /// Whatever happened, the ledger is sound, and the same command comes to the same end.
    fn ends_well(&self, after: &Ran) {
        let sandbox = &self.sandbox;
        for command in ["state verify test", "plan test --detailed-exitcode", COLLECT] {
            let ran = sandbox.run(command);
            assert_eq!(ran.code(), Some(0), "{command}: {ran:?}\nafter {after:?}");
        }
        assert_eq!(blobs(sandbox), self.collected, "after {after:?}");
        assert_eq!(entries(sandbox).matches("\"type\":\"collected\"").count(), 1, "after {after:?}");
        holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
        holds(&sandbox.run(COLLECT).succeeds().stdout, &["Nothing to remove"]);
    }
}

fn copy(sandbox: &Sandbox, from: &str, to: &str) {
    let (from, to) = (sandbox.project().join(from), sandbox.project().join(to));
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.expect("cp is there").success());
}

#[test]
fn killed_anywhere_it_is_ended_by_the_next() {
    let past = Past::new();
    let points = past.logged("GANTRY_CRASH_LOG");
    assert!(points > 8, "only {points} points");
    for at in 1..=points {
        let ran = past.collect("GANTRY_CRASH_AT", &at.to_string());
        assert!(ran.signal() == Some(9) || at == points, "point {at}: {ran:?}");
        past.ends_well(&ran);
    }
}

#[test]
fn a_disk_that_refuses_is_told_and_the_next_one_ends_it() {
    let past = Past::new();
    let acts = past.logged("GANTRY_DISK_LOG");
    assert!(acts > 8, "only {acts} acts");
    let mut codes = BTreeSet::new();
    for at in 1..=acts {
        let ran = past.collect("GANTRY_DISK_FAIL", &at.to_string());
        let code = ran.code().expect("it was not killed");
        assert!(matches!(code, 0 | 1 | 7), "act {at}: {ran:?}");
        let removed = blobs(&past.sandbox).len() < past.collected.len() + 2;
        assert!(code != 1 || !removed, "exit 1 says that nothing was changed: {ran:?}");
        if code == 7 && ran.stderr.contains("What is left") {
            holds(&ran.stderr, &["What is left goes with the next one: gantry state gc test"]);
        }
        codes.insert(code);
        past.ends_well(&ran);
    }
    assert!(codes.contains(&1) && codes.contains(&7), "{codes:?}");
}

/// Two working trees: what one collects, the other does not miss, wherever the ledger is kept.
fn shared(one: &Sandbox, two: &Sandbox, state: &str) {
    let give = |sandbox: &Sandbox, n: u32| {
        sandbox.write("tool.sh", &format!("#!/bin/sh\necho {n}\n"));
        sandbox.write(MAIN, &format!("environment {{\n  {state}\n  history {{ keep = 2 }}\n}}\n{}", main(n)));
    };
    for n in 1..=4 {
        give(one, n);
        let _ = one.run("apply test --auto-approve").succeeds();
    }
    give(two, 4);
    holds(&two.run("plan test").succeeds().stdout, &["No changes"]);
    let dry = two.run("state gc test --dry-run").succeeds().stdout;
    holds(
        &dry,
        &["what generations 1, 2 were made from\n", "  4 blobs, ", "Kept: generations 3, 4, and every entry.\n"],
    );
    let done = two.run("state gc test --auto-approve").succeeds().stdout;
    assert_eq!(done, dry.replace("Would remove", "Removed"));
    for sandbox in [one, two] {
        holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
        holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
        holds(&sandbox.run("state gc test --auto-approve").succeeds().stdout, &["Nothing to remove"]);
        holds(&sandbox.run("rollback test --to 2 --auto-approve").exits(5).stderr, &["Generation was collected"]);
    }
    // The first still has the files of what is gone, and keeps them anew.
    let _ = one.run("rollback test --to 3 --auto-approve").succeeds();
    give(one, 1);
    let _ = one.run("apply test --auto-approve").succeeds();
    give(two, 1);
    for sandbox in [one, two] {
        holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
        holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    }
    let _ = two.run("state gc test --auto-approve --keep 1").succeeds();
    let _ = two.run("rollback test --auto-approve").succeeds();
    holds(&one.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgresql() {
    let url = Postgres::shared().database().await;
    let tree = || Sandbox::new().with("STATE_URL", url.clone());
    shared(&tree(), &tree(), "state \"postgres\" { url = env(\"STATE_URL\") }");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket() {
    let server = Server::start().await;
    let tree = || {
        Sandbox::new()
            .with("STORE", server.endpoint.clone())
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .with("AWS_EC2_METADATA_DISABLED", "true")
    };
    let state = format!(
        "state \"s3\" {{\n    bucket = \"{BUCKET}\"\n    prefix = \"team\"\n    region = \"{REGION}\"\n    endpoint = env(\"STORE\")\n  }}"
    );
    shared(&tree(), &tree(), &state);
}

#[test]
fn the_configuration_says_how_many_are_kept() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 4);
    holds(&sandbox.run("state gc test").succeeds().stdout, &["Nothing to remove"]);
    let with = |keep: &str| format!("environment {{\n  history {{ keep = {keep} }}\n}}\n{}", main(4));
    for wrong in ["0", "-1", "1.5", "\"many\""] {
        sandbox.write(MAIN, &with(wrong));
        let refused = sandbox.run("state gc test --dry-run").exits(1).stderr;
        holds(&refused, &["Invalid argument value", "a whole number, at least 1", "main.hcl"]);
    }
    sandbox.write(MAIN, &with("2"));
    holds(&sandbox.run("state gc test --dry-run").succeeds().stdout, &["what generations 1, 2 were made from\n"]);
    holds(&sandbox.run("state gc test --keep 0").exits(1).stderr, &["Invalid --keep", "at least 1"]);
    // No variable needs a value but that on which it depends.
    let variables = "variable \"other\" { type = string }\nvariable \"keep\" { type = number }\n";
    sandbox.write(MAIN, &format!("{variables}{}", with("2")));
    holds(&sandbox.run("state gc test --dry-run").succeeds().stdout, &["generations 1, 2"]);
    sandbox.write(MAIN, &format!("{variables}{}", with("var.keep")));
    holds(&sandbox.run("state gc test --dry-run").exits(1).stderr, &["keep"]);
    holds(&sandbox.run("state gc test --dry-run --var keep=3 --var other=x").succeeds().stdout, &["generation 1 was"]);
    // --keep goes without the configuration.
    sandbox.write(MAIN, "nonsense {");
    holds(&sandbox.run("state gc test --dry-run --keep 1").succeeds().stdout, &["generations 1, 2 were"]);
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
    assert!(!done.contains("made from"), "{done}");
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
    applied(&sandbox, 4);
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
    let looked = sandbox.run("state gc test --keep 1 --dry-run").succeeds().stdout;
    holds(&looked, &["what generation 1 was made from\n", " has not ended; nothing is removed before it has.\n"]);
    assert_eq!((blobs(&sandbox), entries(&sandbox)), before);
    let _ = sandbox.run("resume test").succeeds();
    holds(
        &sandbox.run("state gc test --keep 1 --auto-approve").succeeds().stdout,
        &["what generations 1, 2 were made from\n"],
    );
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
}

#[test]
fn a_removal_that_was_cut_off_is_ended_by_the_next() {
    let sandbox = Sandbox::new();
    applied(&sandbox, 4);
    copy(&sandbox, "state/test/blobs", "whole");
    let _ = sandbox.run("state gc test --keep 1 --auto-approve").succeeds();
    let (left, after) = (blobs(&sandbox), entries(&sandbox));
    // As a kill between the entry and the first removal leaves it.
    copy(&sandbox, "whole/.", "state/test/blobs");
    assert!(blobs(&sandbox).len() > left.len());
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("rollback test --to 1 --auto-approve").exits(5).stderr, &["Generation was collected"]);
    let done = sandbox.run("state gc test --auto-approve").succeeds().stdout;
    holds(&done, &["  4 blobs, ", ", 4 of them left over from a removal that was cut off\n", "Kept: generations 3, 4"]);
    assert_eq!(blobs(&sandbox), left);
    assert!(entries(&sandbox) == after, "what goes was told by the first: {}", entries(&sandbox));
    holds(&sandbox.run("state gc test").succeeds().stdout, &["Nothing to remove"]);
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
    assert!(!done.contains("made from"), "{done}");
    assert!(!sandbox.project().join("state/test").join(stray).exists());
    assert!(blobs(&sandbox).len() < before - 1, "parts of the first checkpoint are gone: {done}");
    holds(&entries(&sandbox), &["\"blobs\":[]", "\"generations\":[]"]);
    holds(&sandbox.run("state verify test").succeeds().stdout, &["The chain holds, and every blob"]);
    holds(&sandbox.run("plan test").succeeds().stdout, &["No changes"]);
    let _ = sandbox.run("rollback test --to 1 --auto-approve").succeeds();
    holds(&sandbox.run("state show test terraform_data.r[5]").succeeds().stdout, &["1-5"]);
}

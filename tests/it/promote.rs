//! `gantry promote` and `gantry release`: what one environment proved moves on as one thing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use serde_json::Value as Json;

use super::support::{Background, Sandbox, eventually, files, holds};

const MODULE: &str = r#"
variable "greeting" {}

artifact "app" { file = "${path.project}/app.bin" }

resource "local_file" "conf" {
  filename = "${path.project}/out/${terraform.workspace}.txt"
  content  = "${var.greeting} ${file("${artifact.app.path}")}${file("${path.project}/shared.txt")}"
}

output "file" { value = local_file.conf.filename }
"#;

/// An environment that greets so, with more in it.
fn environment(greeting: &str, more: &str) -> String {
    format!(
        r#"
variable "greeting" {{ default = "{greeting}" }}

variable "fails" {{
  type    = bool
  default = false
}}

module "app" {{
  source   = "../../modules/app"
  greeting = var.greeting
}}

smoke_test "there" {{
  command {{ argv = [var.fails ? "false" : "true", module.app.file] }}
}}
{more}"#
    )
}

const FROM_STAGING: &str =
    "environment {\n  promotion {\n    from    = \"staging\"\n    require = [\"smoke_test.there\"]\n  }\n}\n";

/// Staging and production, nothing applied.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    // What an artifact holds is read where it lies in a ledger, which is known once it is there.
    sandbox
        .write("modules/app/main.hcl", &MODULE.replace("${file(\"${artifact.app.path}\")}", "${artifact.app.digest} "));
    sandbox.write("environments/staging/main.hcl", &environment("hello", ""));
    sandbox.write("environments/production/main.hcl", &environment("good day", FROM_STAGING));
    sandbox.write("shared.txt", "shared one\n");
    sandbox.write("app.bin", "app one\n");
    sandbox
}

fn staged() -> Sandbox {
    let sandbox = project();
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    sandbox
}

const PROMOTE: &str = "promote staging production --auto-approve";

/// The name of what an environment is now.
fn release(sandbox: &Sandbox, environment: &str) -> String {
    let shown = sandbox.run(&format!("release show {environment} --json")).succeeds();
    let json: Json = serde_json::from_str(&shown.stdout).unwrap();
    json["release"].as_str().unwrap().to_owned()
}

fn short(id: &str) -> &str {
    &id[..12]
}

fn ledger(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let state = sandbox.project().join("state/production/ledger");
    if state.exists() { files(&state) } else { Vec::new() }
}

/// The digest of `app one` is what production gets, whatever the tree says.
fn one() -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(b"app one\n").iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn production_gets_the_bytes_that_staging_proved_whatever_the_tree_says_now() {
    let sandbox = staged();
    sandbox.write("app.bin", "app two\n");
    sandbox.write("shared.txt", "shared two\n");
    sandbox.write("modules/app/main.hcl", "this is no configuration");
    let shown = sandbox.run("promote staging production --dry-run").succeeds();
    let id = release(&sandbox, "staging");
    holds(
        &shown.stdout,
        &[
            &format!("Release {} goes from \"staging\" to \"production\":\n", short(&id)),
            "  It is generation 1 of \"staging\", verified ",
            "module.app.artifact.app",
            "proven in \"staging\"",
            "configuration            2 files outside environments/production/",
            "environments/production/main.hcl          \"production\" alone has it",
            "var.greeting             \"good day\"                                \"hello\" in \"staging\"",
            "smoke_test.there         passed                                    proven in \"staging\"",
            "Gantry will promote to production, making generation 1 from nothing yet.",
            "module.app.artifact.app will be pinned to its content",
        ],
    );
    assert!(!sandbox.project().join("state/production").exists(), "a dry run writes nothing");

    let _ = sandbox.run(PROMOTE).succeeds();
    assert_eq!(sandbox.read("out/production.txt"), format!("good day {} shared one\n", one()));
    let history = sandbox.run("history production").succeeds();
    holds(&history.stdout, &["1*          verified  promote  ", short(&id)]);
    assert_eq!(release(&sandbox, "production"), id, "it is the same release in both");
    let _ = sandbox.run("state verify production").succeeds();
    // The file is in production's own ledger: staging's may go.
    std::fs::remove_dir_all(sandbox.project().join("state/staging")).unwrap();
    assert_eq!(sandbox.run("drift production").succeeds().stdout, "No drift in 1 object.\n");
}

#[test]
fn a_plan_goes_on_with_what_was_promoted_and_says_what_was_not_proven() {
    let sandbox = staged();
    let _ = sandbox.run(PROMOTE).succeeds();
    let promoted = release(&sandbox, "production");
    sandbox.write("app.bin", "app two\n");
    let unchanged = sandbox.run("plan production").succeeds();
    holds(&unchanged.stdout, &["No changes. production matches its configuration."]);
    assert_eq!(unchanged.stderr, "");

    // Its own directory is its own; a shared file that differs is worth a word, and makes another release.
    sandbox.write("environments/production/main.hcl", &environment("good evening", FROM_STAGING));
    let _ = sandbox.run("apply production --auto-approve").succeeds();
    assert_eq!(release(&sandbox, "production"), promoted);
    sandbox.write("shared.txt", "shared two\n");
    let applied = sandbox.run("apply production --auto-approve").succeeds();
    holds(
        &applied.stderr,
        &[
            "Warning: Files that were not proven\n",
            "not what the release holds that was promoted: shared.txt.",
            "gantry promote staging production",
        ],
    );
    assert_ne!(release(&sandbox, "production"), promoted);
}

#[test]
fn without_a_promotion_there_is_no_artifact() {
    let sandbox = project();
    for command in ["plan production", "apply production --auto-approve"] {
        let refused = sandbox.run(command).exits(5);
        holds(
            &refused.stderr,
            &[
                "Error: Artifact was not promoted\n",
                "Artifacts of \"production\" come from \"staging\" by promotion only, and none has come for module.app.artifact.app.",
                "gantry promote staging production",
                "--artifact module.app.artifact.app=REFERENCE --reason",
            ],
        );
    }
    assert!(sandbox.run("validate production").succeeds().stderr.is_empty());
}

#[test]
fn a_gate_that_is_loosened_is_passed_first() {
    let sandbox = staged();
    let _ = sandbox.run(PROMOTE).succeeds();
    sandbox.write("app.bin", "app two\n");
    // Without the block the tree's file would be taken; but what stands says that it comes by promotion.
    sandbox.write("environments/production/main.hcl", &environment("good night", ""));
    let _ = sandbox.run("apply production --auto-approve").succeeds();
    assert_eq!(sandbox.read("out/production.txt"), format!("good night {} shared one\n", one()));
    let _ = sandbox.run("apply production --auto-approve").succeeds();
    assert!(!sandbox.read("out/production.txt").contains(&one()), "from then on artifacts are its own");
}

#[track_caller]
fn refused(sandbox: &Sandbox, command: &str, code: i32, words: &[&str]) {
    let before = ledger(sandbox);
    let ran = sandbox.run(command).exits(code);
    holds(&ran.stderr, words);
    assert_eq!(ledger(sandbox), before, "{command}: nothing was touched");
}

/// Production with another `promotion` block.
fn gated(sandbox: &Sandbox, block: &str) {
    let block = format!("environment {{\n  promotion {{\n{block}\n  }}\n}}\n");
    sandbox.write("environments/production/main.hcl", &environment("good day", &block));
}

#[test]
fn every_gate_refuses_and_says_why() {
    let sandbox = staged();
    gated(&sandbox, "from = \"canary\"");
    refused(
        &sandbox,
        PROMOTE,
        5,
        &["Error: Promotion refused\n", "Releases come from \"canary\", and from nowhere else."],
    );
    gated(&sandbox, "from = \"staging\"\nsoak = \"1h30m\"");
    refused(
        &sandbox,
        PROMOTE,
        5,
        &["stays out of \"production\" for now. It has to have stood verified for 1h 30m; 1h "],
    );
    gated(&sandbox, "from = \"staging\"\nrequire = [\"smoke_test.there\", \"health_check.other\"]");
    refused(&sandbox, PROMOTE, 5, &["health_check.other has to have passed on it, and did not run."]);
    gated(&sandbox, "from = \"staging\"");
    sandbox.write("out/staging.txt", "somebody else\n");
    refused(
        &sandbox,
        PROMOTE,
        5,
        &[
            "What runs there is not what was proven. Not as they were recorded: module.app.local_file.conf.",
            "gantry drift staging",
        ],
    );
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    // Of an earlier release it is not what runs there that counts, but that it stood for long enough.
    gated(&sandbox, "from = \"staging\"\nsoak = \"1h\"");
    refused(
        &sandbox,
        "promote staging production --generation 1 --auto-approve",
        5,
        &["It has to have stood verified for 1h, and was followed by another release before that."],
    );
}

#[test]
fn a_release_is_found_by_its_generation_and_by_its_name() {
    let sandbox = staged();
    let first = release(&sandbox, "staging");
    sandbox.write("app.bin", "app two\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    let _ = sandbox.run(&format!("promote staging production --release {} --auto-approve", &first[..8])).succeeds();
    assert_eq!(release(&sandbox, "production"), first);
    let _ = sandbox.run("promote staging production --generation 2 --auto-approve").succeeds();
    assert_eq!(release(&sandbox, "production"), release(&sandbox, "staging"));
    refused(
        &sandbox,
        "promote staging production --generation 9",
        1,
        &["Error: Unknown generation\n", "There is no generation 9 of \"staging\". There is: "],
    );
    refused(
        &sandbox,
        "promote staging production --release ffff",
        1,
        &["Error: Unknown release\n", "\"staging\" has no release ffff."],
    );
    let shown = sandbox.run(&format!("release show production {}", &first[..6])).succeeds();
    holds(
        &shown.stdout,
        &[&first, "generation 1 of \"staging\"", "generation 1 of \"production\"\n", &one(), "smoke_test.there"],
    );
    let here = sandbox.run("show production --release").succeeds();
    holds(&here.stdout, &["generation 2 of \"production\", which is what runs now"]);
}

#[test]
fn what_proved_nothing_is_no_release() {
    let sandbox = project();
    refused(
        &sandbox,
        PROMOTE,
        5,
        &["Error: Nothing to promote\n", "\"staging\" was never applied", "gantry apply staging"],
    );
    let _ = sandbox.run("apply staging --auto-approve --var fails=true").exits(3);
    refused(&sandbox, PROMOTE, 5, &["No generation of \"staging\" ended verified and whole", "gantry history staging"]);
    refused(&sandbox, "promote staging production --generation 1", 5, &["Generation 1 did not end verified."]);
    let _ = sandbox.run("apply staging --auto-approve --target module.app.local_file.conf").succeeds();
    refused(&sandbox, "promote staging production --generation 2", 5, &["was limited with --target or --replace"]);
}

#[test]
fn what_fails_is_quarantined_until_it_is_lifted_or_a_newer_one_comes() {
    let sandbox = staged();
    let id = release(&sandbox, "staging");
    let failed = sandbox.run(&format!("{PROMOTE} --var fails=true")).exits(3);
    holds(
        &failed.stdout,
        &[
            "Its release stays out of production until a newer one comes, or somebody lifts it: gantry release show production",
        ],
    );
    refused(
        &sandbox,
        PROMOTE,
        5,
        &[
            "It is quarantined in \"production\" since generation 1",
            &format!("gantry release lift production {}", short(&id)),
        ],
    );
    // What was taken back is not what an apply goes on with.
    refused(&sandbox, "apply production --auto-approve", 5, &["Error: Artifact was not promoted\n"]);
    let waits = sandbox.run("promote --auto staging production").succeeds();
    holds(&waits.stdout, &["staging -> production: nothing done: Release", "is quarantined in \"production\""]);
    assert_eq!(waits.stdout.lines().count(), 1);
    let history = sandbox.run("history production").succeeds();
    holds(&history.stdout, &[&format!("{} (quarantined)", short(&id))]);

    refused(
        &sandbox,
        "release lift production abcdef --reason x",
        5,
        &["Release abcdef: it is not quarantined here. Quarantined are: ", short(&id)],
    );
    let reason = ["release", "lift", "production", short(&id), "--reason"];
    let _ = sandbox.run_all(&[&reason[..], &[" "]].concat()).exits(1);
    let _ = sandbox.run_all(&[&reason[..], &["the check was wrong"]].concat()).succeeds();
    holds(&sandbox.run("state verify production").succeeds().stdout, &["The chain holds"]);
    let _ = sandbox.run(PROMOTE).succeeds();
    assert_eq!(release(&sandbox, "production"), id);
}

#[test]
fn what_is_taken_back_is_quarantined_and_automation_obeys() {
    let sandbox = staged();
    let first = release(&sandbox, "staging");
    let _ = sandbox.run(PROMOTE).succeeds();
    sandbox.write("app.bin", "app two\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    let second = release(&sandbox, "staging");
    let _ = sandbox.run(PROMOTE).succeeds();
    let _ = sandbox.run("rollback production --auto-approve").succeeds();
    assert_eq!(release(&sandbox, "production"), first, "a rollback is the release that it goes back to");
    refused(&sandbox, PROMOTE, 5, &["took it back."]);
    holds(
        &sandbox.run("promote --auto staging production").succeeds().stdout,
        &["nothing done: there is nothing newer than"],
    );
    let shown = sandbox.run(&format!("release show production {}", short(&second))).succeeds();
    holds(&shown.stdout, &["quarantined", "yes, since generation 2"]);
    // A newer one comes by itself.
    sandbox.write("app.bin", "app three\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    let _ = sandbox.run("promote --auto staging production").succeeds();
    assert_eq!(release(&sandbox, "production"), release(&sandbox, "staging"));
}

/// The lines of the event stream.
fn events(sandbox: &Sandbox, command: &str) -> Vec<Json> {
    let lines = sandbox.run(command).succeeds().stdout;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(events: &[Json]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn programs_read_what_a_promotion_brings_before_the_plan() {
    let sandbox = staged();
    let id = release(&sandbox, "staging");
    for command in ["--dry-run", "--out saved.plan", "--auto-approve"] {
        let all = events(&sandbox, &format!("promote staging production --json {command}"));
        assert_eq!(types(&all)[..3], ["version", "promotion", "planned_change"], "{command}");
        assert_eq!((&all[1]["release"], &all[1]["@level"]), (&id.as_str().into(), &"info".into()));
        assert_eq!((&all[1]["proven_in"]["environment"], &all[1]["target"]), (&"staging".into(), &"production".into()));
    }
}

#[test]
fn automation_is_safe_to_repeat() {
    let sandbox = staged();
    let _ = sandbox.run("promote --auto staging production").succeeds();
    let again = sandbox.run("promote --auto staging production").succeeds();
    let id = release(&sandbox, "staging");
    assert_eq!(
        again.stdout,
        format!(
            "staging -> production: nothing done: there is nothing newer than {} (generation 1 of \"staging\")\n",
            short(&id)
        )
    );
    let waits = events(&sandbox, "promote --auto staging production --json");
    assert_eq!(types(&waits), ["version", "promotion_waits"]);
    assert_eq!(waits[1]["target"], "production");
    gated(&sandbox, "from = \"staging\"\nsoak = \"1h\"");
    sandbox.write("app.bin", "app two\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    let waits = sandbox.run("promote --auto staging production").succeeds();
    holds(&waits.stdout, &["nothing done", "It has to have stood verified for 1h; "]);
    // What is wrong, and not only early, is told as ever.
    gated(&sandbox, "from = \"staging\"\nrequire = [\"health_check.other\"]");
    refused(&sandbox, "promote --auto staging production", 5, &["health_check.other has to have passed on it"]);
}

#[test]
fn two_at_once_do_not_collide() {
    let sandbox = staged();
    let slow = environment("good day", FROM_STAGING).replace(
        "command { argv = [var.fails ? \"false\" : \"true\", module.app.file] }",
        "command { argv = [\"sh\", \"-c\", \"until test -e {project}/go; do sleep 0.02; done\", module.app.file] }",
    );
    sandbox.write("environments/production/main.hcl", &slow);
    let first = Background::start(&sandbox, "promote --auto staging production");
    assert!(eventually(std::time::Duration::from_secs(30), || sandbox.project().join("out/production.txt").exists()));
    let second = sandbox.run("promote --auto staging production").succeeds();
    assert_eq!(second.stdout, "staging -> production: nothing done: another command is at work on \"production\"\n");
    let third = Background::start(&sandbox, "promote --auto staging production --lock-timeout 60s");
    assert!(eventually(std::time::Duration::from_secs(30), || third.said().contains("Waiting for")));
    sandbox.write("go", "");
    assert_eq!(first.end().0, Some(0));
    assert_eq!(third.end().0, Some(0));
    let history = sandbox.run("history production --json").succeeds();
    let all: Json = serde_json::from_str(&history.stdout).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
}

#[test]
fn a_chain_is_walked_with_one_command() {
    let sandbox = staged();
    sandbox.write("environments/canary/main.hcl", &environment("hi", FROM_STAGING));
    gated(&sandbox, "from = \"canary\"");
    refused(
        &sandbox,
        "promote --auto",
        1,
        &["Error: No chain of environments\n", "environments = [\"staging\", \"production\"]"],
    );
    sandbox.write("gantry.hcl", "environments = [\"staging\", \"canary\", \"production\"]\n");
    let _ = sandbox.run("promote --auto").succeeds();
    let id = release(&sandbox, "staging");
    assert_eq!((release(&sandbox, "canary"), release(&sandbox, "production")), (id.clone(), id));
    let again = sandbox.run("promote --auto").succeeds();
    assert_eq!(again.stdout.lines().filter(|line| line.contains("nothing done")).count(), 2);
    // What passes a release on has all of it: the first may be gone by then.
    sandbox.write("app.bin", "app one and a half\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    let _ = sandbox.run("promote --auto staging canary").succeeds();
    std::fs::rename(sandbox.project().join("state/staging"), sandbox.project().join("state/away")).unwrap();
    let _ = sandbox.run("promote --auto canary production").succeeds();
    std::fs::rename(sandbox.project().join("state/away"), sandbox.project().join("state/staging")).unwrap();
    assert_eq!(release(&sandbox, "production"), release(&sandbox, "staging"));
    // What fails in the middle goes no further.
    sandbox.write("app.bin", "app two\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    sandbox.write(
        "environments/canary/main.hcl",
        &environment("hi", FROM_STAGING).replace("default = false", "default = true"),
    );
    let _ = sandbox.run("promote --auto").exits(3);
    assert_ne!(release(&sandbox, "production"), release(&sandbox, "staging"));
}

#[test]
fn a_hotfix_needs_a_reason_and_is_shown_until_the_next_promotion() {
    let sandbox = staged();
    let _ = sandbox.run(PROMOTE).succeeds();
    sandbox.write("hotfix.bin", "hotfix\n");
    let named = "module.app.artifact.app=../../hotfix.bin";
    let apply = ["apply", "production", "--auto-approve", "--artifact", named];
    refused(&sandbox, &format!("plan production --artifact {named}"), 5, &["Error: Reason missing\n"]);
    let _ = sandbox.run_all(&[&apply[..], &["--reason", "ticket 17"]].concat()).succeeds();
    let plan = sandbox.run("plan production").succeeds();
    holds(
        &plan.stderr,
        &["Warning: An artifact was named by hand", "It is ../../hotfix.bin, not what was promoted: ticket 17"],
    );
    holds(
        &sandbox.run("show production --generation 2").succeeds().stdout,
        &["by hand", "module.app.artifact.app is ../../hotfix.bin: ticket 17"],
    );
    // Automation has nothing newer, and leaves it.
    let _ = sandbox.run("promote --auto staging production").succeeds();
    assert!(!sandbox.read("out/production.txt").contains(&one()));
    let back = sandbox.run(PROMOTE).succeeds();
    holds(&back.stdout, &["module.app.artifact.app was named by hand; that ends with this promotion."]);
    assert!(sandbox.read("out/production.txt").contains(&one()));
    assert_eq!(sandbox.run("plan production").succeeds().stderr, "");

    refused(
        &sandbox,
        "plan production --artifact nothing=x --reason y",
        1,
        &["Error: Unknown artifact\n", "There is: module.app.artifact.app."],
    );
    refused(&sandbox, "plan staging --artifact nothing=x --reason y", 1, &["Error: No artifact was promoted here\n"]);
    refused(&sandbox, "plan production --artifact nothing --reason y", 1, &["Error: Invalid --artifact\n"]);
}

#[test]
fn a_saved_promotion_is_carried_out_as_it_was_shown_or_not_at_all() {
    let sandbox = staged();
    let _ = sandbox.run("promote staging production --out p.gantry").succeeds();
    sandbox.write("shared.txt", "shared two\n");
    let _ = sandbox.run("apply p.gantry").succeeds();
    assert_eq!(sandbox.read("out/production.txt"), format!("good day {} shared one\n", one()));
    assert_eq!(release(&sandbox, "production"), release(&sandbox, "staging"));
    holds(&sandbox.run("apply p.gantry").succeeds().stdout, &["This plan was applied already, as generation 1."]);

    // Quarantined since it was saved: the plan is worth nothing any more.
    sandbox.write("app.bin", "app two\n");
    let _ = sandbox.run("apply staging --auto-approve").succeeds();
    let _ = sandbox.run("promote staging production --out q.gantry").succeeds();
    let _ = sandbox.run(&format!("{PROMOTE} --var fails=true")).exits(3);
    refused(&sandbox, "apply q.gantry", 5, &["Error: Promotion refused\n", "It is quarantined in \"production\""]);
}

#[test]
fn what_only_one_of_them_has_cannot_be_promoted() {
    let sandbox = staged();
    let more = format!("{FROM_STAGING}artifact \"other\" {{ file = \"${{path.project}}/app.bin\" }}\n");
    sandbox.write("environments/production/main.hcl", &environment("good day", &more));
    refused(
        &sandbox,
        PROMOTE,
        1,
        &["Error: Artifact is not in the release\n", "has module.app.artifact.app, and nothing for artifact.other."],
    );
    // Nor a file that the release does not hold.
    let more = format!(
        "{FROM_STAGING}locals {{ x = file(\"${{path.project}}/new.txt\") }}\noutput \"x\" {{ value = local.x }}\n"
    );
    sandbox.write("environments/production/main.hcl", &environment("good day", &more));
    sandbox.write("new.txt", "new\n");
    refused(
        &sandbox,
        PROMOTE,
        1,
        &[
            "The release does not hold new.txt.",
            "Everything outside environments/production/ comes from the release.",
            "--worktree",
        ],
    );
}

#[test]
fn files_from_the_working_tree_have_to_be_allowed() {
    let sandbox = staged();
    sandbox.write("shared.txt", "shared two\n");
    let command = "promote staging production --worktree --auto-approve";
    refused(
        &sandbox,
        command,
        5,
        &[
            "Error: Files that were not proven\n",
            "These files are not what \"staging\" proved:\n    shared.txt\n",
            "allow_unproven = true",
        ],
    );
    gated(&sandbox, "from = \"staging\"\nallow_unproven = true");
    let shown = sandbox.run(command).succeeds();
    holds(&shown.stdout, &["shared.txt", "not proven"]);
    assert!(sandbox.read("out/production.txt").ends_with("shared two\n"));
}

#[test]
fn a_promotion_needs_two_environments_that_go_together() {
    let sandbox = staged();
    for (command, code, words) in [
        ("promote staging staging", 1, "Error: Source and target are the same\n"),
        ("promote staging prod", 1, "Error: Unknown environment\n"),
        ("promote staging", 1, "Error: From where, and where to?\n"),
        ("promote production staging", 1, "Releases would go round in a circle: staging -> production -> staging."),
    ] {
        refused(&sandbox, command, code, &[words]);
    }
    sandbox.write("environments/other/main.hcl", &environment("x", ""));
    refused(
        &sandbox,
        "promote staging other",
        5,
        &["Error: Environment takes no promotions\n", "promotion { from = \"staging\" } }"],
    );
}

#[test]
fn a_promotion_block_is_checked() {
    let sandbox = project();
    for (block, words) in [
        ("from = 5 + []", "Error: "),
        ("from = \"\"", "\"from\" is the name of the environment that releases come from"),
        ("from = \"staging\"\nsoak = \"soon\"", "\"soak\" is a duration: \"soon\" is not one"),
        (
            "from = \"staging\"\nrequire = [\"local_file.x\"]",
            "\"require\" names checks of the source environment, and \"local_file.x\" names none.",
        ),
        ("from = \"staging\"\nrequire = \"x\"", "\"require\" is a list of texts"),
        ("from = sensitive(\"staging\")", "\"from\" is sensitive, but it is shown"),
        ("soak = \"1m\"", "Error: Missing required argument"),
        ("from = \"staging\"\nwhat = 1", "Error: Unsupported argument"),
    ] {
        gated(&sandbox, block);
        let wrong = sandbox.run("validate production").exits(1);
        holds(&wrong.stderr, &[words]);
    }
    assert!(!Path::new(&sandbox.project().join("state")).exists());
}

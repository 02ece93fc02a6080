//! Approval: who signs a plan, what counts, and what is refused, with `ssh-keygen` and `ssh-agent` at the other end.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::support::{Background, Ran, Sandbox, Terminal, eventually, holds};

mod refusals;

const MAIN: &str = "environments/production/main.hcl";

/// Whether OpenSSH's programs are here. Without them these tests prove nothing, and say so.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn openssh() -> bool {
    let there = Command::new("ssh-keygen").arg("-?").stderr(Stdio::null()).stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: ssh-keygen is not installed, so nothing about approval was tested");
    }
    there
}

/// A key of a person of the tests, in the project's directory.
fn key(sandbox: &Sandbox, name: &str, ty: &[&str], passphrase: &str) {
    let path = sandbox.project().join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", name, "-N", passphrase, "-f"]).arg(path).args(ty);
    assert!(command.status().expect("ssh-keygen runs").success());
}

/// Signs a file of the project as `ssh-keygen -Y sign` does, and gives the signature's name.
fn ssh_sign(sandbox: &Sandbox, key: &str, namespace: &str, file: &str) -> String {
    let mut command = Command::new("ssh-keygen");
    let _ = std::fs::remove_file(sandbox.project().join(format!("{file}.sig")));
    command.args(["-q", "-Y", "sign", "-n", namespace, "-f", key, file]).current_dir(sandbox.project());
    assert!(command.stderr(Stdio::null()).status().expect("ssh-keygen runs").success());
    format!("{file}.sig")
}

fn main_hcl(approval: &str, text: &str) -> String {
    format!(
        "environment {{\n  approval {{\n{approval}\n  }}\n}}\nresource \"local_file\" \"a\" {{\n  filename = \
         \"${{path.project}}/out/a.txt\"\n  content  = \"{text}\"\n}}\n"
    )
}

const ONE: &str = "    required = 1\n    signers  = file(\"signers.pub\")";
const TWO: &str = "    required = 2\n    signers  = file(\"signers.pub\")";

/// Four people with keys, three of them in the signers file, and an environment in which `required` of them agree.
fn team(approval: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["alice", "bob", "carol", "mallory"] {
        key(&sandbox, name, &["-t", "ed25519"], "");
    }
    signers(&sandbox, &["alice", "bob", "carol"]);
    sandbox.write(MAIN, &main_hcl(approval, "one"));
    sandbox
}

fn signers(sandbox: &Sandbox, names: &[&str]) {
    let lines: String =
        names.iter().map(|n| format!("{n}@example.com {}", sandbox.read(&format!("{n}.pub")))).collect();
    sandbox.write("environments/production/signers.pub", &lines);
}

/// A team whose first generation was planned by alice and approved by bob, and by carol where two are needed.
fn begun(approval: &str) -> Sandbox {
    let sandbox = team(approval);
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let mut apply = "apply p --key alice".to_owned();
    for name in ["bob", "carol"].iter().take(if approval == TWO { 2 } else { 1 }) {
        drop(sandbox.run(&format!("approve p --key {name} --out {name}.approval")).succeeds());
        apply.push_str(&format!(" --approval {name}.approval"));
    }
    drop(sandbox.run(&apply).succeeds());
    assert_eq!(sandbox.read("out/a.txt"), "one");
    sandbox
}

/// The environment asks for another content now.
fn edit(sandbox: &Sandbox, approval: &str, text: &str) {
    sandbox.write(MAIN, &main_hcl(approval, text));
}

/// What a command said, with everything replaced that differs from run to run, on one line.
fn said(sandbox: &Sandbox, ran: &Ran) -> String {
    let text = sandbox.normalise(&ran.stderr);
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| "().,:".contains(c));
        let shown = if bare.starts_with("SHA256:") { "KEY" } else { bare };
        out.push(word.replace(bare, shown));
    }
    out.join(" ")
}

#[test]
fn the_first_generation_is_approved_by_a_file_that_is_handed_over() {
    if !openssh() {
        return;
    }
    let sandbox = team(ONE);
    let plan = sandbox.run("plan production --out p --key alice").succeeds();
    holds(&plan.stdout, &["Approval: needs 1 of alice@example.com, bob@example.com, carol@example.com, none yet."]);
    holds(&plan.stdout, &["gantry approve p", "gantry apply production p"]);
    let without = sandbox.run("apply p --key alice").exits(5);
    holds(&without.stderr, &["Approval missing", "it has none", "gantry approve p --key KEY"]);
    let nowhere = sandbox.run("approve p --key bob").exits(5);
    holds(&nowhere.stderr, &["No ledger yet", "gantry approve p --out FILE"]);
    let given = sandbox.run("approve p --key bob --out bob.approval").succeeds();
    holds(&given.stdout, &["+ create", "bob@example.com", "It has 1 of 1 approval that it needs."]);
    let applied = sandbox.run("apply p --approval bob.approval --key alice").succeeds();
    holds(
        &applied.stderr,
        &["Approved by bob@example.com; planned by alice@example.com; started by alice@example.com."],
    );
    assert_eq!(sandbox.read("out/a.txt"), "one");
    let again = sandbox.run("apply p --approval bob.approval --key alice").succeeds();
    holds(&again.stdout, &["This plan was applied already, as generation 1."]);
    let shown = sandbox.run("show production --generation 1").succeeds();
    holds(&shown.stdout, &["approved by bob@example.com; planned by alice@example.com; started by alice@example.com"]);
    let history: serde_json::Value =
        serde_json::from_str(&sandbox.run("history production --json").succeeds().stdout).expect("JSON");
    assert_eq!(history[0]["approval"]["approved"][0]["principal"], "bob@example.com");
    drop(sandbox.run("state verify production").succeeds());
}

#[test]
fn an_approval_in_the_ledger_is_kept_by_an_equal_plan_and_voided_by_any_other() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    drop(sandbox.run("approve p --key bob").succeeds());
    // Nothing about the plan file is stale, and it is not needed either.
    let plan = sandbox.run("plan production").succeeds();
    holds(&plan.stdout, &["1 given.", "bob@example.com has approved, at", "for a plan of the same effect"]);
    holds(&sandbox.run("show p").succeeds().stdout, &["bob@example.com has approved (until"]);
    holds(&sandbox.run("show production").succeeds().stdout, &["Approved and not applied:", "bob@example.com, at"]);
    edit(&sandbox, ONE, "other");
    let voided = sandbox.run("apply production --auto-approve --key alice").exits(5);
    holds(&voided.stderr, &["it is for another plan (effect", "What differs: local_file.a update."]);
    assert_eq!(sandbox.read("out/a.txt"), "one");
    edit(&sandbox, ONE, "two");
    let kept = sandbox.run("apply production --auto-approve --key carol").succeeds();
    holds(&kept.stdout, &["bob@example.com has approved, at", "for a plan of the same effect"]);
    assert_eq!(sandbox.read("out/a.txt"), "two");
    assert!(!sandbox.run("show production").succeeds().stdout.contains("Approved and not applied"));
}

#[test]
fn two_approvals_are_of_two_people_and_neither_started_it() {
    if !openssh() {
        return;
    }
    let sandbox = begun(TWO);
    edit(&sandbox, TWO, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    holds(&sandbox.run("approve p --key bob").succeeds().stdout, &["It has 1 of 2 approvals", "gantry approve p"]);
    holds(&sandbox.run("apply p --key alice").exits(5).stderr, &["it has bob@example.com"]);
    drop(sandbox.run("approve p --key carol --out carol.approval").succeeds());
    holds(&sandbox.run("approve p --from carol.approval").succeeds().stdout, &["It has 2 of 2 approvals"]);
    let starter = sandbox.run("apply p --key carol").exits(5);
    holds(&starter.stderr, &["carol@example.com starts the run, and whoever starts it does not approve"]);
    drop(sandbox.run("apply p --key alice").succeeds());
    assert_eq!(sandbox.read("out/a.txt"), "two");
}

#[test]
fn a_gate_is_loosened_through_the_old_one() {
    if !openssh() {
        return;
    }
    let sandbox = begun(TWO);
    // Whoever may write the configuration puts himself alone in charge.
    signers(&sandbox, &["mallory", "alice"]);
    edit(&sandbox, ONE, "mine");
    drop(sandbox.run("plan production --out p --key mallory").exits(5));
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let own = sandbox.run("approve p --key mallory").exits(5);
    holds(&own.stderr, &["does not count: its key is not in the signers file"]);
    // Nor with no gate at all.
    sandbox.write(
        MAIN,
        "resource \"local_file\" \"a\" {\n  filename = \"${path.project}/out/a.txt\"\n  content  = \"x\"\n}\n",
    );
    let none = sandbox.run("apply production --auto-approve --key alice").exits(5);
    holds(&none.stderr, &["What is recorded of the present generation asks for 2 approvals", "it has none"]);
    drop(sandbox.run("destroy production --auto-approve --key alice").exits(5));
    // An approval of other steps under the same gate does not carry a loosened one along.
    signers(&sandbox, &["alice", "bob", "carol"]);
    edit(&sandbox, TWO, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    for name in ["bob", "carol"] {
        drop(sandbox.run(&format!("approve p --key {name}")).succeeds());
    }
    edit(&sandbox, ONE, "two");
    let smuggled = sandbox.run("apply production --auto-approve --key alice").exits(5);
    holds(&smuggled.stderr, &["What differs: the gates of the environment."]);
    assert_eq!(sandbox.read("out/a.txt"), "one");
    // Agreed to by the old ones, it goes.
    drop(sandbox.run("plan production --out p2 --key alice").succeeds());
    for name in ["bob", "carol"] {
        drop(sandbox.run(&format!("approve p2 --key {name}")).succeeds());
    }
    drop(sandbox.run("apply p2 --key alice").succeeds());
    edit(&sandbox, ONE, "three");
    drop(sandbox.run("plan production --out p3 --key alice").succeeds());
    drop(sandbox.run("approve p3 --key bob").succeeds());
    drop(sandbox.run("apply p3 --key alice").succeeds());
    assert_eq!(sandbox.read("out/a.txt"), "three");
}

#[test]
fn a_rollback_and_a_destruction_are_approved_like_any_plan() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    drop(sandbox.run("approve p --key bob").succeeds());
    drop(sandbox.run("apply p --key alice").succeeds());
    let back = sandbox.run("rollback production --auto-approve --key alice").exits(5);
    holds(&back.stderr, &["gantry rollback production --out FILE --key KEY"]);
    drop(sandbox.run("rollback production --out back --key alice").succeeds());
    drop(sandbox.run("approve back --key carol").succeeds());
    drop(sandbox.run("apply back --key alice").succeeds());
    assert_eq!(sandbox.read("out/a.txt"), "one");
    let destroy = sandbox.run("destroy production --auto-approve --key alice").exits(5);
    holds(&destroy.stderr, &["gantry plan production --destroy --out FILE --key KEY"]);
    drop(sandbox.run("plan production --destroy --out d --key alice").succeeds());
    drop(sandbox.run("approve d --key bob").succeeds());
    drop(sandbox.run("destroy production --auto-approve --key carol").succeeds());
    assert!(!sandbox.project().join("out/a.txt").exists());
}

#[test]
fn an_interrupted_run_goes_on_without_a_new_approval() {
    if !openssh() {
        return;
    }
    let sandbox = team(ONE);
    let slow = "resource \"local_command\" \"slow\" {\n  create = [\"sh\", \"-c\", \"echo begun >> journal; until [ -e go ]; do sleep \
                0.05; done; echo done >> journal\"]\n  working_directory = path.project\n}\n";
    sandbox.write(MAIN, &format!("{}{slow}", main_hcl(ONE, "one")));
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    drop(sandbox.run("approve p --key bob --out bob.approval").succeeds());
    let apply = Background::start(&sandbox, "apply p --approval bob.approval --key alice");
    assert!(eventually(Duration::from_secs(30), || sandbox.project().join("journal").exists()), "{}", apply.said());
    drop(apply);
    sandbox.write("go", "");
    drop(sandbox.run("resume production").succeeds());
    holds(
        &sandbox.run("show production --generation 1").succeeds().stdout,
        &["verified", "approved by bob@example.com"],
    );
}

#[test]
fn ssh_keygen_makes_approvals_and_verifies_ours() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    key(&sandbox, "rsa", &["-t", "rsa", "-b", "2048"], "");
    key(&sandbox, "p256", &["-t", "ecdsa", "-b", "256"], "");
    key(&sandbox, "p521", &["-t", "ecdsa", "-b", "521"], "");
    signers(&sandbox, &["alice", "bob", "carol", "rsa", "p256", "p521"]);
    // They are in the file from the next generation on.
    edit(&sandbox, ONE, "more");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    drop(sandbox.run("approve p --key bob").succeeds());
    drop(sandbox.run("apply p --key alice").succeeds());
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    for name in ["bob", "rsa", "p256", "p521"] {
        // Ours, verified by theirs.
        drop(sandbox.run(&format!("approve p --key {name} --out {name}.approval")).succeeds());
        let file: serde_json::Value =
            serde_json::from_str(&sandbox.read(&format!("{name}.approval"))).expect("an approval is JSON");
        sandbox.write("ours.sig", file["signature"].as_str().expect("a signature"));
        std::fs::write(sandbox.project().join("ours"), format!("{}\n", file["line"].as_str().expect("a line")))
            .unwrap();
        let mut verify = Command::new("ssh-keygen");
        verify.args([
            "-q",
            "-Y",
            "verify",
            "-n",
            "gantry",
            "-f",
            "environments/production/signers.pub",
            "-s",
            "ours.sig",
        ]);
        verify.args(["-I", &format!("{name}@example.com")]).current_dir(sandbox.project());
        verify.stdin(std::fs::File::open(sandbox.project().join("ours")).expect("just written"));
        assert!(verify.status().expect("ssh-keygen runs").success(), "{name}");
        // Theirs, taken by us.
        let line = sandbox.run("approve p --print").succeeds().stdout;
        assert!(line.starts_with("{\"approval\":1,\"effect\":\"") && line.ends_with("}\n"), "{line}");
        std::fs::write(sandbox.project().join("line"), &line).unwrap();
        let signature = ssh_sign(&sandbox, name, "gantry", "line");
        drop(sandbox.run(&format!("approve p --line line --signature {signature} --out theirs")).succeeds());
        drop(sandbox.run("approve p --from theirs").succeeds());
    }
    drop(sandbox.run("apply p --key alice").succeeds());
}

/// An agent of the test's own.
struct Agent(Child, String);

impl Agent {
    fn start(sandbox: &Sandbox) -> Self {
        let socket = sandbox.project().join("../tmp/agent").display().to_string();
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a", &socket]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ssh-agent runs");
        assert!(eventually(Duration::from_secs(10), || std::path::Path::new(&socket).exists()));
        Self(child, socket)
    }

    fn add(&self, sandbox: &Sandbox, key: &str) {
        let mut command = Command::new("ssh-add");
        command.args(["-q", key]).env("SSH_AUTH_SOCK", &self.1).current_dir(sandbox.project());
        assert!(command.stderr(Stdio::null()).status().expect("ssh-add runs").success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_signs_with_the_key_that_the_signers_file_has() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let agent = Agent::start(&sandbox);
    let with = |words: &str| sandbox.run_in(&[("SSH_AUTH_SOCK", &agent.1)], &words.split(' ').collect::<Vec<_>>());
    let empty = with("approve p").exits(5);
    holds(&empty.stderr, &["No key to sign with", "the ssh-agent has no key"]);
    agent.add(&sandbox, "mallory");
    let stranger = with("approve p").exits(5);
    holds(&stranger.stderr, &["none of the ssh-agent's keys is in the signers file (SHA256:"]);
    agent.add(&sandbox, "bob");
    holds(&with("approve p").succeeds().stdout, &["bob@example.com", "has approved"]);
    let other = with("approve p --key carol.pub").exits(5);
    holds(&other.stderr, &["The ssh-agent did not sign", "it refused", "ssh-add -l"]);
    agent.add(&sandbox, "carol");
    // A public key names the one of several.
    let started = with("apply p --key carol.pub").succeeds();
    holds(&started.stderr, &["started by carol@example.com"]);
}

#[test]
fn a_passphrase_is_asked_for_at_the_terminal() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    key(&sandbox, "dave", &["-t", "ed25519"], "open sesame");
    signers(&sandbox, &["alice", "bob", "carol", "dave"]);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    drop(sandbox.run("approve p --key bob").succeeds());
    drop(sandbox.run("apply p --key alice").succeeds());
    edit(&sandbox, ONE, "three");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let mut wrong = Terminal::open(&sandbox, &["approve", "p", "--key", "dave"]);
    wrong.shows("Passphrase for ");
    wrong.types("close sesame\r");
    wrong.shows("Wrong passphrase");
    wrong.ends_with(5);
    let mut right = Terminal::open(&sandbox, &["approve", "p", "--key", "dave"]);
    right.shows("Passphrase for ");
    // A mistake is taken back with the keys that are meant for it.
    right.types("opem\u{7f}n sesame\r");
    right.shows("dave@example.com");
    right.ends_with(0);
    let agent = Agent::start(&sandbox);
    let key = sandbox.project().join("dave").display().to_string();
    // Where the agent has it open, its file needs no passphrase.
    let askpass = sandbox.project().join("askpass");
    std::fs::write(&askpass, "#!/bin/sh\necho open sesame\n").unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut add = Command::new("ssh-add");
    add.args(["-q", &key])
        .env("SSH_AUTH_SOCK", &agent.1)
        .env("SSH_ASKPASS", &askpass)
        .env("SSH_ASKPASS_REQUIRE", "force");
    assert!(add.stdin(Stdio::null()).stderr(Stdio::null()).status().expect("ssh-add runs").success());
    let started = sandbox.run_in(&[("SSH_AUTH_SOCK", &agent.1)], &["apply", "p", "--key", "dave"]).exits(5);
    holds(&started.stderr, &["dave@example.com starts the run, and whoever starts it does not approve"]);
}

#[test]
fn revoked_keys_count_no_more_by_list_and_by_krl() {
    if !openssh() {
        return;
    }
    let list = "    required = 1\n    signers  = file(\"signers.pub\")\n    revoked  = file(\"revoked\")";
    let krl = "    required = 1\n    signers  = file(\"signers.pub\")\n    revoked  = filebase64(\"krl\")";
    let sandbox = begun(ONE);
    let public = sandbox.project().join("bob.pub");
    std::fs::copy(&public, sandbox.project().join("environments/production/revoked")).unwrap();
    let make = |specification: Option<&str>| {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-k", "-f", "environments/production/krl"]).current_dir(sandbox.project());
        command.arg(specification.unwrap_or("bob.pub")).stdout(Stdio::null());
        assert!(command.status().expect("ssh-keygen runs").success());
    };
    let fingerprint = {
        let mut command = Command::new("ssh-keygen");
        let output = command.args(["-l", "-f", "bob.pub"]).current_dir(sandbox.project()).output().expect("it runs");
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).expect("a fingerprint").to_owned()
    };
    sandbox.write("by-key", &format!("key: {}", sandbox.read("bob.pub")));
    sandbox.write("by-sha1", &format!("sha1: {}", sandbox.read("bob.pub")));
    sandbox.write("by-sha256", &format!("hash: {fingerprint}\n"));
    for (round, how) in [None, Some("bob.pub"), Some("by-key"), Some("by-sha1"), Some("by-sha256")].iter().enumerate() {
        let approval = if let Some(specification) = how {
            make(Some(specification));
            krl
        } else {
            list
        };
        edit(&sandbox, approval, &format!("round {round}"));
        drop(sandbox.run("plan production --out p --key alice").succeeds());
        let refused = sandbox.run("approve p --key bob").exits(5);
        holds(&refused.stderr, &["bob@example.com", "does not count: its key is revoked"]);
    }
}

#[test]
fn whoever_has_nothing_but_the_plan_file_and_a_key_can_approve() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let elsewhere = Sandbox::new();
    for name in ["p", "bob"] {
        std::fs::copy(sandbox.project().join(name), elsewhere.project().join(name)).unwrap();
    }
    // On another machine the directory that the plan names does not exist.
    let (here, away) = (sandbox.project().join("environments"), sandbox.project().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let nowhere = elsewhere.run("approve p --key bob").exits(5);
    holds(&nowhere.stderr, &["No ledger here", "there is no environment \"production\" here", "approve p --out FILE"]);
    let given = elsewhere.run("approve p --key bob --out bob.approval").succeeds();
    holds(&given.stdout, &["The steps of the plan for \"production\"", "0 local_file.a update: update", "two"]);
    drop(elsewhere.run("approve p --print").succeeds());
    std::fs::rename(&away, &here).unwrap();
    sandbox.write("bob.approval", &elsewhere.read("bob.approval"));
    let json = sandbox.run("approve p --from bob.approval --json").succeeds();
    let told: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((&told["gates"][0]["has"], &told["environment"]), (&1.into(), &"production".into()), "{told}");
    let applied = sandbox.run("apply p --key alice --json").succeeds();
    holds(&applied.stdout, &["\"type\":\"approval\"", "\"starter\":\"alice@example.com\""]);
    assert_eq!(sandbox.read("out/a.txt"), "two");
}

#[test]
fn an_approval_ends_at_its_time() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let long = sandbox.run("approve p --key bob --expires 48h").exits(1);
    holds(&long.stderr, &["Invalid --expires", "24h at most"]);
    drop(sandbox.run("approve p --key bob --expires 1s").succeeds());
    let over = || sandbox.run("show p").succeeds().stdout.contains("does not count, it expired at");
    assert!(eventually(Duration::from_secs(20), over));
    holds(&sandbox.run("apply p --key alice").exits(5).stderr, &["it expired at"]);
    // The same person may approve again, for what is over is no approval.
    drop(sandbox.run("approve p --key bob").succeeds());
    drop(sandbox.run("apply p --key alice").succeeds());
}

#[test]
fn a_promotion_is_approved_like_any_plan_and_what_was_approved_is_what_comes() {
    if !openssh() {
        return;
    }
    let sandbox = team(ONE);
    let artifact = "artifact \"app\" { file = \"${path.project}/app.bin\" }\n";
    let content = "content  = artifact.app.digest";
    let production = main_hcl(&format!("{ONE}\n  }}\n  promotion {{\n    from = \"staging\""), "one");
    sandbox.write(MAIN, &format!("{artifact}{}", production.replace("content  = \"one\"", content)));
    let staging = main_hcl("", "one").replace("approval {\n\n  }", "").replace("content  = \"one\"", content);
    sandbox.write("environments/staging/main.hcl", &format!("{artifact}{}", staging.replace("a.txt", "staging.txt")));
    sandbox.write("app.bin", "one\n");
    drop(sandbox.run("apply staging --auto-approve").succeeds());

    let without = sandbox.run("promote staging production --auto --key alice").exits(5);
    holds(&without.stderr, &["Approval missing"]);
    let plan = sandbox.run("promote staging production --out p --key alice").succeeds();
    holds(&plan.stdout, &["Release ", "Approval: needs 1 of ", "gantry approve p"]);
    drop(sandbox.run("approve p --key bob --out bob.approval").succeeds());
    // The next release of staging is not what bob agreed to.
    sandbox.write("app.bin", "two\n");
    drop(sandbox.run("apply staging --auto-approve").succeeds());
    let other = sandbox.run("promote staging production --auto --key alice --approval bob.approval").exits(5);
    holds(&other.stderr, &["Approval"]);
    assert!(!sandbox.project().join("out/a.txt").exists(), "nothing was touched");
    drop(sandbox.run("apply p --key alice --approval bob.approval").succeeds());
    let shown = sandbox.run("show production --generation 1").succeeds();
    holds(&shown.stdout, &["release", "proven as generation 1 of \"staging\"", "approved by bob@example.com"]);

    // With the approval of the same effect in the ledger, automation goes on by itself.
    drop(sandbox.run("promote staging production --out q --key alice").succeeds());
    drop(sandbox.run("approve q --key bob").succeeds());
    drop(sandbox.run("promote staging production --auto --key alice").succeeds());
    assert_eq!(sandbox.read("out/a.txt"), sandbox.read("out/staging.txt"));
}

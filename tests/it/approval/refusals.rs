//! Everything that does not count, with the text that says so.

use super::*;

/// A plan by alice that waits for approval.
fn waiting() -> Sandbox {
    let sandbox = begun(ONE);
    edit(&sandbox, ONE, "two");
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    sandbox
}

/// Hands in the line that `--print` writes, changed, and signed by somebody in a namespace.
fn hand_in(sandbox: &Sandbox, key: &str, namespace: &str, change: impl Fn(&str) -> String) -> String {
    let line = sandbox.run("approve p --print").succeeds().stdout;
    let changed = change(&line);
    std::fs::write(sandbox.project().join("line"), &changed).expect("the project is writable");
    let signature = ssh_sign(sandbox, key, namespace, "line");
    let ran = sandbox.run(&format!("approve p --line line --signature {signature}")).exits(5);
    said(sandbox, &ran)
}

fn field(line: &str, name: &str, value: &str) -> String {
    let mut json: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    json[name] = value.into();
    format!("{json}\n")
}

const SIGN_JUST_THAT: &str = "hint: Print the line, sign just that, and hand both in: gantry approve p --print > line; ssh-keygen -Y \
                              sign -n gantry -f KEY line; gantry approve p --line line --signature line.sig";
const ITSELF: &str = "hint: Approve this plan itself: gantry approve p --key KEY";
const SIGNERS: &str = "hint: Sign with a key that the signers file has: --key FILE";

#[test]
fn what_is_handed_in_and_does_not_count_says_why() {
    if !openssh() {
        return;
    }
    let sandbox = waiting();
    let bob = "Error: Approval refused The approval of bob@example.com (KEY) does not count:";
    let same = |line: &str| line.to_owned();
    let not_taken = "Error: Approval refused The approval is not taken:";
    for (key, namespace, change, expected) in [
        (
            "mallory",
            "gantry",
            Box::new(same) as Box<dyn Fn(&str) -> String>,
            format!("Error: Approval refused The approval of KEY does not count: its key is not in the signers file. {SIGNERS}"),
        ),
        (
            "bob",
            "file",
            Box::new(same),
            format!("{not_taken} it was made for the namespace \"file\", and Gantry takes \"gantry\" alone. {SIGN_JUST_THAT}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| field(line, "effect", &"0".repeat(64))),
            format!("{bob} it is for another plan (effect {{id}}). {ITSELF}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| field(line, "environment", "staging")),
            format!("{bob} it is for the environment \"staging\". {ITSELF}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| field(line, "lineage", "elsewhere")),
            format!("{bob} it is for another ledger (lineage elsewhere). {ITSELF}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| field(line, "expires", "2020-01-01T00:00:00Z")),
            format!("{bob} it expired at {{time}}. {ITSELF}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| field(line, "expires", "2099-01-01T00:00:00Z")),
            format!("{bob} it lasts until {{time}}, longer than the gate allows. {ITSELF}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| line.replace(":1,", ": 1,")),
            format!(
                "{not_taken} its line is not taken: it is not spelt as Gantry spells it, so what was signed is not what it says. \
                 {SIGN_JUST_THAT}"
            ),
        ),
        (
            "bob",
            "gantry",
            Box::new(|line| field(line, "approval", "2").replace("\"2\"", "2")),
            format!("{not_taken} its line is not taken: its form is 2, and this Gantry knows 1. {SIGN_JUST_THAT}"),
        ),
        (
            "bob",
            "gantry",
            Box::new(|_| "yes\n".to_owned()),
            format!(
                "{not_taken} its line is not taken: it is not one line of JSON with approval, effect, environment, expires, lineage and \
                 nonce. {SIGN_JUST_THAT}"
            ),
        ),
        (
            "alice",
            "gantry",
            Box::new(same),
            "Error: Approval refused The approval of alice@example.com (KEY) does not count: alice@example.com is the author of the plan, \
             and an author does not approve. hint: Have it approved by somebody else."
                .to_owned(),
        ),
    ] {
        assert_eq!(hand_in(&sandbox, key, namespace, change), expected, "{key} {namespace}");
    }
    // A signature of another line, and one that is none.
    let line = sandbox.run("approve p --print").succeeds().stdout;
    std::fs::write(sandbox.project().join("line"), field(&line, "nonce", "another")).unwrap();
    let signature = ssh_sign(&sandbox, "bob", "gantry", "line");
    std::fs::write(sandbox.project().join("line"), &line).unwrap();
    let ran = sandbox.run(&format!("approve p --line line --signature {signature}")).exits(5);
    let unfit = "the signature does not fit the line: one of them was changed, or it is over something else.";
    assert_eq!(said(&sandbox, &ran), format!("{not_taken} {unfit} {SIGN_JUST_THAT}"));
    for garbage in ["", "garbage\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"] {
        std::fs::write(sandbox.project().join("garbage"), garbage).unwrap();
        let ran = sandbox.run("approve p --line line --signature garbage").exits(5);
        let malformed = "it is not an SSH signature (-----BEGIN SSH SIGNATURE-----).";
        assert_eq!(said(&sandbox, &ran), format!("{not_taken} {malformed} {SIGN_JUST_THAT}"));
    }
    // Nothing of all that was recorded.
    assert!(!sandbox.run("show production").succeeds().stdout.contains("Approved and not applied"));
}

#[test]
fn an_approval_counts_once_and_each_person_once() {
    if !openssh() {
        return;
    }
    let sandbox = waiting();
    drop(sandbox.run("approve p --key bob --out bob.approval").succeeds());
    drop(sandbox.run("approve p --key bob").succeeds());
    let twice = sandbox.run("approve p --key bob").exits(5);
    assert_eq!(
        said(&sandbox, &twice),
        "Error: Approval refused The approval of bob@example.com (KEY) does not count: bob@example.com has approved already, and each \
         person counts once. hint: See what it needs and has: gantry show p"
    );
    let starter = sandbox.run("apply p --key bob").exits(5);
    assert_eq!(
        said(&sandbox, &starter),
        "Error: Approval missing The plan needs 1 approval of alice@example.com, bob@example.com, carol@example.com, and it has none. The \
         approval of bob@example.com (KEY) does not count: bob@example.com starts the run, and whoever starts it does not approve. hint: \
         Have it approved: gantry approve p --key KEY, then: gantry apply production p"
    );
    // The other approval of the same is spent with it.
    drop(sandbox.run("apply p --approval bob.approval --key alice").succeeds());
    assert!(!sandbox.run("show production").succeeds().stdout.contains("Approved and not applied"));
}

#[test]
fn an_approval_of_the_same_is_not_taken_a_second_time() {
    if !openssh() {
        return;
    }
    let sandbox = begun(ONE);
    let destroy = || {
        drop(sandbox.run("plan production --destroy --out d --key alice").succeeds());
        drop(sandbox.run("approve d --key carol").succeeds());
        drop(sandbox.run("apply d --key alice").succeeds());
    };
    destroy();
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    drop(sandbox.run("approve p --key bob --out bob.approval").succeeds());
    drop(sandbox.run("apply p --approval bob.approval --key alice").succeeds());
    destroy();
    // The very same is to be done once more.
    drop(sandbox.run("plan production --out p --key alice").succeeds());
    let replayed = sandbox.run("apply p --approval bob.approval --key alice").exits(5);
    assert_eq!(
        said(&sandbox, &replayed),
        "Error: Approval missing The plan needs 1 approval of alice@example.com, bob@example.com, carol@example.com, and it has none. The \
         approval of bob@example.com (KEY) does not count: it was spent on an earlier run, and an approval counts once. hint: Have it \
         approved: gantry approve p --key KEY, then: gantry apply production p"
    );
    let recorded = sandbox.run("approve p --from bob.approval").exits(5);
    assert_eq!(
        said(&sandbox, &recorded),
        format!(
            "Error: Approval refused The approval of bob@example.com (KEY) does not count: it was spent on an earlier run, and an approval \
             counts once. {ITSELF}"
        )
    );
}

#[test]
fn keys_that_do_not_sign_say_why() {
    if !openssh() {
        return;
    }
    let sandbox = waiting();
    key(&sandbox, "locked", &["-t", "ed25519"], "open sesame");
    let no_key = |who: &str, why: &str| {
        format!(
            "Error: No key to sign with {who}, no --key was given, and {why}. hint: Name a private key (--key ~/.ssh/id_ed25519), or add \
             one to the ssh-agent (ssh-add)."
        )
    };
    let no_agent = "no ssh-agent runs here (SSH_AUTH_SOCK is not set)";
    let said_by = |words: &str| said(&sandbox, &sandbox.run(words).exits(5));
    assert_eq!(said_by("approve p"), no_key("An approval is signed", no_agent));
    assert_eq!(
        said_by("plan production --out q"),
        no_key("The author of a plan that needs approval signs it", no_agent)
    );
    assert!(!sandbox.project().join("q").exists(), "a plan that nobody signed was written");
    let dead = sandbox.run_in(&[("SSH_AUTH_SOCK", "/nonexistent/agent")], &["approve", "p"]).exits(5);
    let why = "the ssh-agent at /nonexistent/agent does not answer: No such file or directory (os error 2)";
    assert_eq!(said(&sandbox, &dead), no_key("An approval is signed", why));
    assert_eq!(
        said_by("approve p --key locked"),
        "Error: Passphrase needed The key file {project}/locked does not sign: it is protected by a passphrase, and there is no terminal \
         to ask for it at. hint: Have the ssh-agent open it once (ssh-add {project}/locked), then run this again: what the agent has needs \
         no passphrase."
    );
    sandbox.write("text", "this is no key\n");
    std::fs::set_permissions(sandbox.project().join("text"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        said_by("approve p --key text"),
        "Error: Unusable key The key file {project}/text does not sign: it is not a private key. hint: Name a private key of OpenSSH: \
         --key ~/.ssh/id_ed25519"
    );
    std::fs::set_permissions(sandbox.project().join("bob"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        said_by("approve p --key bob"),
        "Error: Unreadable key The key file {project}/bob cannot be read: its mode is 0644, so others on this machine can sign with it. \
         hint: chmod 600 {project}/bob"
    );
    assert_eq!(
        said_by("plan production --out q --key mallory"),
        "Error: Not allowed to make this plan The plan needs approval, and KEY cannot be its author: its key is not in the signers file. \
         No plan file was written. hint: Sign with a key that the signers file has: --key FILE"
    );
    drop(sandbox.run("approve p --key carol").succeeds());
    assert_eq!(
        said_by("apply p --key mallory"),
        "Error: Not allowed to start The signature of whoever starts the run does not count: its key is not in the signers file. hint: \
         Sign with a key that the signers file has: --key FILE"
    );
    assert_eq!(sandbox.read("out/a.txt"), "one", "something was touched");
}

#[test]
fn a_plan_file_that_was_changed_is_not_approved() {
    if !openssh() {
        return;
    }
    let sandbox = waiting();
    let text = sandbox.read("p");
    std::fs::write(sandbox.project().join("p"), text.replace("two", "six")).unwrap();
    holds(
        &sandbox.run("approve p --key bob").exits(5).stderr,
        &["Plan file refused", "it was changed after it was written"],
    );
    // One whose author was taken out, with a digest that fits.
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("a plan file is JSON");
    json.as_object_mut().expect("an object").remove("author");
    std::fs::write(sandbox.project().join("p"), json.to_string()).unwrap();
    holds(&sandbox.run("approve p --key bob").exits(5).stderr, &["Plan file refused"]);
    std::fs::write(sandbox.project().join("p"), &text).unwrap();
    drop(sandbox.run("approve p --key bob --out a").succeeds());
    let approval = sandbox.read("a");
    for (from, to, why) in [
        ("\"gantry_approval\": 1", "\"gantry_approval\": 2", "its form is 2, and this Gantry knows 1"),
        ("local_file.a", "local_file.b", "the steps in it are not those that were signed"),
        ("{\n", "[\n", "is not taken as an approval"),
    ] {
        std::fs::write(sandbox.project().join("a"), approval.replacen(from, to, 1)).unwrap();
        holds(&sandbox.run("apply p --approval a --key alice").exits(5).stderr, &["Approval refused", why]);
    }
    // And one that is stale.
    std::fs::write(sandbox.project().join("a"), &approval).unwrap();
    drop(sandbox.run("apply p --approval a --key alice").succeeds());
    holds(&sandbox.run("approve p --key carol").exits(5).stderr, &["Saved plan is stale"]);
    sandbox.write(MAIN, "resource \"local_file\" \"a\" {\n  filename = \"${path.project}/b\"\n  content  = \"x\"\n}\n");
    let other = Sandbox::new();
    other.write(MAIN, "resource \"local_file\" \"a\" {\n  filename = \"${path.project}/b\"\n  content  = \"x\"\n}\n");
    drop(other.run("plan production --out p").succeeds());
    holds(&other.run("approve p").exits(1).stderr, &["No approval needed"]);
}

#[test]
fn mistakes_in_the_block_are_shown_where_they_are() {
    if !openssh() {
        return;
    }
    let sandbox = team(ONE);
    sandbox.write("environments/production/bad", "alice@example.com nothing\n");
    sandbox.write("environments/production/ca", &format!("*@x cert-authority {}", sandbox.read("alice.pub")));
    sandbox.write("environments/production/other", &format!("a namespaces=\"git\" {}", sandbox.read("alice.pub")));
    sandbox.write(
        "environments/production/same",
        &format!("a {}*,!z {}", sandbox.read("alice.pub"), sandbox.read("bob.pub")),
    );
    let good = "signers = file(\"signers.pub\")";
    for (body, summary, detail, place) in [
        (
            format!("required = 0\n{good}"),
            "Invalid argument value",
            "\"required\" says how many people have to agree: a whole number, at least 1.",
            "3:12",
        ),
        (format!("required = 1.5\n{good}"), "Invalid argument value", "\"required\" says how many people", "3:12"),
        (
            format!("required = 3\n{good}"),
            "More approvals than people",
            "\"required\" is 3, and \"signers\" has 3 people",
            "3:12",
        ),
        (format!("required = \"x\"\n{good}"), "Incorrect argument value type", "\"required\":", "3:12"),
        ("required = 1\nsigners = \"\"".into(), "No signers", "names nobody who may sign for Gantry", "4:11"),
        (
            "required = 1\nsigners = file(\"other\")".into(),
            "No signers",
            "names nobody who may sign for Gantry",
            "4:11",
        ),
        (
            "required = 1\nsigners = file(\"bad\")".into(),
            "Invalid signers",
            "line 1: what stands behind the principals is no key",
            "4:11",
        ),
        ("required = 1\nsigners = file(\"ca\")".into(), "Invalid signers", "Gantry takes plain keys only", "4:11"),
        (
            "required = 1\nsigners = file(\"same\")".into(),
            "More approvals than people",
            "\"signers\" has 1 person",
            "3:12",
        ),
        ("required = 1\nsigners = file(\"nowhere\")".into(), "Invalid function argument", "nowhere", "4:16"),
        (
            "required = 1\nsigners = sensitive(\"x\")".into(),
            "Invalid argument value",
            "\"signers\" is sensitive",
            "4:11",
        ),
        (
            format!("required = 1\n{good}\nrevoked = \"x\""),
            "Invalid revoked keys",
            "line 1: it is not a public key",
            "5:11",
        ),
        (
            format!("required = 1\n{good}\nexpires = \"soon\""),
            "Invalid argument value",
            "\"expires\" says how long an approval lasts: \"soon\" is not one",
            "5:11",
        ),
        (
            format!("required = 1\n{good}\nexpires = \"0s\""),
            "Invalid argument value",
            "it is at least a second",
            "5:11",
        ),
        (
            format!("required = 1\n{good}\nexpires = \"9999h\""),
            "Invalid argument value",
            "is longer than a week",
            "5:11",
        ),
        ("required = 1".into(), "Missing required argument", "\"signers\" is required", "2:3"),
        (format!("required = null\n{good}"), "Missing required argument", "\"required\" is required", "2:3"),
    ] {
        sandbox.write(MAIN, &format!("environment {{\n  approval {{\n{body}\n  }}\n}}\n"));
        let plan = sandbox.run("plan production").exits(1);
        holds(&plan.stderr, &[&format!("Error: {summary}"), detail, &format!("main.hcl:{place}")]);
    }
}

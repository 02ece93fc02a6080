//! A ledger in a bucket, through the command line: two working trees that share it, crashes, a zombie, a store that goes
//! away in the middle, and every way in which it cannot be reached.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::support::moto::Moto;
use super::support::s3::{BUCKET, Fault, REGION, SECRET_KEY, Server};
use super::support::{Ran, Sandbox, eventually};

const MAIN: &str = "environments/live/main.hcl";

/// Where both working trees put what they make: outside of either.
fn configuration(out: &str, content: &str, more: &str) -> String {
    format!(
        r#"
environment {{
  state "s3" {{
    bucket   = "{BUCKET}"
    prefix   = "team"
    region   = "{REGION}"
    endpoint = env("STORE")
  }}
}}

resource "local_file" "first" {{
  filename = "{out}/first"
  content  = "{content}"
}}

resource "local_file" "second" {{
  filename = "{out}/second"
  content  = "after ${{local_file.first.content}}"
}}

resource "local_file" "third" {{
  filename = "{out}/third"
  content  = "after ${{local_file.second.content}}"
}}
{more}"#
    )
}

/// A working tree whose commands know the way to a store.
fn clone_of(endpoint: &str) -> Sandbox {
    Sandbox::new().with_store(endpoint)
}

/// A store inside this process, for tests that are not asynchronous.
struct Store {
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Store {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        Self { server: runtime.block_on(Server::start()), _runtime: runtime }
    }

    /// The entries of the ledger, as they stand in the store.
    fn entries(&self) -> Vec<serde_json::Value> {
        let state = self.server.state();
        let batches = state.objects.iter().filter(|(key, _)| key.starts_with("team/live/ledger/"));
        let lines = batches.flat_map(|(_, object)| {
            let text = String::from_utf8(object.bytes.to_vec()).expect("entries are text");
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        });
        lines.map(|line| serde_json::from_str(&line).expect("entries are JSON")).collect()
    }

    /// The addresses whose steps were intended.
    fn intended(&self) -> BTreeSet<String> {
        let entries = self.entries();
        let events = entries.iter().map(|entry| &entry["event"]).filter(|event| event["type"] == "step_intended");
        events.map(|event| event["address"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn names(out: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(out).map(|all| all.flatten().collect()).unwrap_or_else(|_| Vec::new());
    files.iter().map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// Neither output holds a secret.
fn discreet(ran: Ran) -> Ran {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(SECRET_KEY) && !text.contains("canary"), "{text}");
    }
    ran
}

#[test]
fn two_working_trees_share_a_ledger_through_crashes() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket(BUCKET);
    let (one, two) = (clone_of(&moto.endpoint), clone_of(&moto.endpoint).with_crash_points());
    let out = one.expand("{sandbox}/out");
    let give = |sandbox: &Sandbox, content: &str| sandbox.write(MAIN, &configuration(&out, content, ""));
    let read = |name: &str| std::fs::read_to_string(format!("{out}/{name}")).unwrap_or_default();
    give(&one, "one");
    give(&two, "one");
    std::fs::create_dir(&out).expect("the sandbox is writable");
    drop(one.run("apply live --auto-approve").succeeds());
    assert_eq!(read("third"), "after after one");
    assert!(!one.project().join("state/live/ledger").exists(), "nothing of the ledger stands here");
    drop(two.run("plan live --detailed-exitcode").succeeds());
    // The other tree goes on, and is killed at its writes, before and after each; this one resumes.
    give(&two, "two");
    let log = two.expand("{sandbox}/tmp/points");
    let apply = ["apply", "live", "--auto-approve"];
    drop(two.run_in(&[("GANTRY_CRASH_LOG", &log)], &apply).succeeds());
    assert_eq!(read("third"), "after after two");
    let text = std::fs::read_to_string(&log).expect("tests/build-crash.sh builds a gantry that logs its crash points");
    let points: Vec<&str> =
        text.lines().filter(|l| l.contains(".s3.append.")).filter_map(|l| l.split(' ').next()).collect();
    assert!(points.len() >= 8, "{text}");
    for (round, point) in points.iter().skip(2).step_by(3).enumerate() {
        let content = format!("round {round}");
        give(&one, &content);
        give(&two, &content);
        let ran = two.run_in(&[("GANTRY_CRASH_AT", point)], &apply);
        assert_eq!(ran.signal(), Some(9), "{} {}", ran.stdout, ran.stderr);
        let resumed = one.run(if round % 2 == 0 { "resume live --auto-approve" } else { "apply live --auto-approve" });
        drop(resumed.succeeds());
        assert_eq!(read("third"), format!("after after {content}"), "killed at {point}");
        drop(two.run("plan live --detailed-exitcode").succeeds());
    }
    drop(two.run("rollback live --to 1 --auto-approve").succeeds());
    assert_eq!(read("third"), "after after one");
    drop(one.run("state verify live").succeeds());
    drop(one.run("destroy live --auto-approve").succeeds());
    assert_eq!(names(&out), BTreeSet::new());
    drop(two.run("state verify live").succeeds());
}

#[test]
fn no_step_starts_whose_intent_the_store_does_not_have() {
    for fault in [Fault::LostAndDown, Fault::Down] {
        for at in 0..7 {
            let store = Store::start();
            let sandbox = clone_of(&store.server.endpoint);
            let out = sandbox.expand("{sandbox}/out");
            std::fs::create_dir(&out).expect("the sandbox is writable");
            sandbox.write(MAIN, &configuration(&out, "one", ""));
            store.server.rule("PUT", "/ledger/", at, 1, fault);
            let ran = discreet(sandbox.run("apply live --auto-approve"));
            if store.server.state().down {
                let ran = ran.exits(7);
                assert!(
                    ran.stdout.contains("It is not known whether the ledger in s3://"),
                    "{at} {fault:?} {}",
                    ran.stdout
                );
                let made: BTreeSet<String> = names(&out).into_iter().map(|n| format!("local_file.{n}")).collect();
                assert!(made.is_subset(&store.intended()), "{at} {fault:?} {made:?} {:?}", store.intended());
            } else {
                assert_eq!(ran.code(), Some(0), "{at} {fault:?}");
            }
            store.server.mend();
            drop(discreet(sandbox.run("apply live --auto-approve").succeeds()));
            assert_eq!(names(&out).len(), 3);
            drop(sandbox.run("state verify live").succeeds());
        }
    }
}

#[test]
fn what_is_said_when_the_store_goes_away_in_the_middle() {
    let store = Store::start();
    let sandbox = clone_of(&store.server.endpoint);
    let out = sandbox.expand("{sandbox}/out");
    std::fs::create_dir(&out).expect("the sandbox is writable");
    sandbox.write(MAIN, &configuration(&out, "one", ""));
    store.server.rule("PUT", "/ledger/", 2, 1, Fault::Down);
    let ran = discreet(sandbox.run("apply live --auto-approve").exits(7));
    let at = &store.server.endpoint;
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = format!(
        "Apply has not ended. It is not known whether the ledger in s3://{BUCKET}/team/live at {at} took the last entries: the store \
         did not answer (connection closed before message completed). Nothing further was started; the next command finds out what \
         was done. To go on: gantry resume live"
    );
    assert!(text.ends_with(&end), "{}", ran.stdout);
    store.server.mend();
    drop(discreet(sandbox.run("resume live --auto-approve").succeeds()));
    assert_eq!(names(&out).len(), 3);
}

#[test]
fn a_writer_that_was_stopped_past_its_lease_changes_nothing_when_it_wakes() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket(BUCKET);
    let (one, two) = (clone_of(&moto.endpoint), clone_of(&moto.endpoint));
    let out = one.expand("{sandbox}/out");
    std::fs::create_dir(&out).expect("the sandbox is writable");
    let more = format!(
        r#"
resource "local_command" "slow" {{
  create     = ["sh", "-c", "touch {out}/started; while [ ! -e {out}/go ]; do sleep 0.05; done"]
  depends_on = [local_file.first]
}}

resource "local_file" "last" {{
  filename   = "{out}/last"
  content    = "last"
  depends_on = [local_command.slow]
}}
"#
    );
    one.write(MAIN, &configuration(&out, "one", &more));
    two.write(MAIN, &configuration(&out, "two", ""));
    let log = |name: &str| std::fs::File::create(one.project().join(name)).expect("the project is writable");
    let mut zombie = one.command(&["apply", "live", "--auto-approve"]);
    let mut zombie = zombie.stdout(log("out.log")).stderr(log("err.log")).spawn().expect("gantry starts");
    let pid = i32::try_from(zombie.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
    assert!(eventually(Duration::from_secs(60), || names(&out).contains("started")));
    kill_process(pid, Signal::STOP).expect("it is ours");
    // Somebody else waits until the lease has run out, and goes on.
    let held = two.run("apply live --auto-approve --lock-timeout 1s").exits(5);
    assert!(held.stderr.contains("is held by tester on"), "{}", held.stderr);
    drop(two.run("apply live --auto-approve --lock-timeout 90s"));
    drop(two.run("apply live --auto-approve").succeeds());
    let verified = two.run("state verify live").succeeds().stdout;
    std::fs::write(format!("{out}/go"), "").expect("the sandbox is writable");
    kill_process(pid, Signal::CONT).expect("it is ours");
    let status = zombie.wait().expect("it is ours");
    let said = one.read("out.log");
    assert_eq!(status.code(), Some(7), "{said}");
    assert!(said.contains("was taken over by another process"), "{said}");
    assert!(!names(&out).contains("last"), "it started a step whose intent nobody has");
    assert_eq!(two.run("state verify live").succeeds().stdout, verified, "it changed the ledger");
    drop(two.run("plan live --detailed-exitcode").succeeds());
}

fn refused(sandbox: &Sandbox, code: i32) -> String {
    let ran = discreet(sandbox.run("plan live").exits(code));
    sandbox.normalise(&ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_way_in_which_a_store_cannot_be_used_says_what_to_do() {
    let store = Store::start();
    let good = || {
        let sandbox = clone_of(&store.server.endpoint);
        sandbox.write(MAIN, &configuration("out", "one", ""));
        sandbox
    };
    let sandbox = good().with("AWS_ACCESS_KEY_ID", "").with("AWS_SECRET_ACCESS_KEY", "");
    let text = refused(&sandbox, 1);
    assert!(text.contains("Error: Unreadable ledger") && text.contains("there are no AWS credentials"), "{text}");
    assert!(text.contains("hint: Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `profile`"), "{text}");
    let text = refused(&good().with("AWS_SECRET_ACCESS_KEY", "canary"), 1);
    assert!(text.contains("does not accept the AWS credentials (403 SignatureDoesNotMatch"), "{text}");
    let change = |from: &str, to: &str| {
        let sandbox = good();
        sandbox.write(MAIN, &configuration("out", "one", "").replace(from, to));
        refused(&sandbox, 1)
    };
    let text = change(&format!("\"{REGION}\""), "\"us-east-2\"");
    assert!(text.contains(&format!("the bucket is in the region {REGION}")), "{text}");
    let text = change(&format!("\"{BUCKET}\""), "\"nobodys\"");
    assert!(text.contains("there is no such bucket. hint: Create the bucket"), "{text}");
    let text = change(&format!("\"{BUCKET}\""), "\"No Bucket\"");
    assert!(text.contains("Error: Incorrect state settings at environments/live/main.hcl:3:3"), "{text}");
    let text = change("env(\"STORE\")", "\"http://user:canary@localhost:1\"");
    assert!(text.contains("\"endpoint\": The endpoint cannot be used: it holds a user name or a password"), "{text}");
    let text = change("env(\"STORE\")", "\"http://127.0.0.1:1\"");
    assert!(text.contains("the store cannot be reached"), "{text}");
    store.server.state().denied = vec!["PUT"];
    let ran = discreet(good().run("apply live --auto-approve").exits(1));
    let text = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("do not allow s3:PutObject on {BUCKET}/team/live/probe-")), "{text}");
    store.server.state().denied.clear();
    store.server.state().honours = (false, true);
    let ran = good().run("apply live --auto-approve").exits(1);
    assert!(ran.stderr.contains("Error: Unfit place for a ledger"), "{}", ran.stderr);
    assert_eq!(store.server.keys(), Vec::<String>::new());
}

#[test]
fn credentials_are_found_as_every_aws_tool_finds_them() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket(BUCKET);
    let bare = |profile: &str| {
        let sandbox = Sandbox::new().with("STORE", &moto.endpoint).with("AWS_EC2_METADATA_DISABLED", "true");
        let sandbox = sandbox.with("AWS_ENDPOINT_URL_STS", &moto.endpoint).with("AWS_MAX_ATTEMPTS", "2");
        sandbox.write("../home/token", "a token");
        let process =
            r#"sh -c 'echo "{\"Version\":1,\"AccessKeyId\":\"AKIAPROCESS\",\"SecretAccessKey\":\"canary\"}"'"#;
        let config = format!(
            "[profile team]\nregion = {REGION}\naws_access_key_id = AKIATEAM\naws_secret_access_key = canary\n\
             [profile role]\nregion = {REGION}\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = team\n\
             [profile web]\nregion = {REGION}\nrole_arn = arn:aws:iam::123456789012:role/w\n\
             web_identity_token_file = {{sandbox}}/home/token\n\
             [profile process]\nregion = {REGION}\ncredential_process = {process}\n\
             [profile broken]\nregion = {REGION}\ncredential_process = echo canary not json\n\
             [profile sso]\nregion = {REGION}\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n\
             [sso-session s]\nsso_region = {REGION}\nsso_start_url = https://example.invalid/start\n"
        );
        sandbox.write("../home/.aws/config", &config);
        let text = configuration("out", "one", "").replace("bucket ", &format!("profile = \"{profile}\"\n    bucket "));
        sandbox.write(MAIN, &text);
        sandbox
    };
    for profile in ["team", "role", "web", "process"] {
        drop(discreet(bare(profile).run("plan live").succeeds()));
    }
    for (profile, says, hint) in [
        ("broken", "the AWS credentials cannot be got", "aws sso login"),
        ("sso", "the AWS credentials cannot be got", "aws sso login"),
        ("nobody", "AWS credentials", "profile"),
    ] {
        let text = refused(&bare(profile), 1);
        assert!(text.contains(says) && text.contains(hint), "{profile}: {text}");
    }
}

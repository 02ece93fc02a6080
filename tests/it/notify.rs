//! Webhooks: drift with `--notify` and `--watch`, ends of runs, the outbox.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::support::{Background, Got, Receiver, Sandbox, eventually, files, holds};

const MAIN: &str = r#"
resource "local_file" "a" {
  filename = "${path.project}/out/a.txt"
  content  = "one\n"
}

resource "local_file" "secret" {
  filename = "${path.project}/out/secret.txt"
  content  = sensitive("top-secret-words\n")
}
"#;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// An applied project with a signed webhook and one in Slack's form; both come to the receiver.
fn project(receiver: &Receiver, events: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.hcl", MAIN);
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    let hook = format!(
        "webhook \"ops\" {{\n  url    = \"http://127.0.0.1:{0}/c4n4ry-ops\"\n  secret = env(\"OPS_SECRET\")\n  events = [{events}]\n}}\n\
         webhook \"chat\" {{\n  url    = env(\"CHAT_URL\")\n  format = \"slack\"\n  events = [{events}]\n}}\n",
        receiver.port
    );
    sandbox.write("gantry.hcl", &hook);
    let chat = format!("http://127.0.0.1:{}/c4n4ry-chat", receiver.port);
    sandbox.with("OPS_SECRET", KEY).with("CHAT_URL", chat)
}

/// The outbox that commands use where none is named.
fn outbox(sandbox: &Sandbox) -> PathBuf {
    sandbox.project().join("../home/.local/state/gantry/outbox")
}

fn waiting(outbox: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(outbox.join("messages")) else { return Vec::new() };
    entries.flatten().map(|e| std::fs::read_to_string(e.path()).expect("it is readable")).collect()
}

#[test]
fn drift_is_posted_once_signed_and_in_both_forms() {
    let receiver = Receiver::new(&[]);
    let sandbox = project(&receiver, "\"drift\"");
    assert_eq!(sandbox.run("drift test --notify").succeeds().stdout, "No drift in 2 objects.\n");
    assert!(receiver.got().is_empty(), "no drift is no news");

    sandbox.write("out/a.txt", "changed\n");
    sandbox.write("out/secret.txt", "other-secret-words\n");
    let before = files(&sandbox.project().join("state"));
    let _ = sandbox.run("drift test --notify").exits(2);
    let _ = sandbox.run("drift test --notify").exits(2);
    assert_eq!(files(&sandbox.project().join("state")), before, "telling writes nothing to the ledger");
    let got = receiver.got();
    assert_eq!(got.len(), 2, "one for each webhook, and nothing at the second look: {got:?}");
    let ops = got.iter().find(|g| g.path() == "/c4n4ry-ops").unwrap();
    assert!(ops.is_signed_with(KEY.as_bytes()), "{ops:?}");
    let told = ops.json();
    assert_eq!(told["type"], "gantry.drift");
    let data = &told["data"];
    assert_eq!((&data["environment"], &data["drifted"], &data["objects"]), (&"test".into(), &2.into(), &2.into()));
    let news = |n: usize, field: &str| data["news"][n][field].clone();
    assert_eq!((news(0, "address"), news(0, "news")), ("local_file.a".into(), "drifted".into()));
    assert!(news(0, "fields").as_array().unwrap().contains(&"content".into()));
    let chat = got.iter().find(|g| g.path() == "/c4n4ry-chat").unwrap();
    let text = chat.json()["text"].as_str().unwrap().to_owned();
    holds(&text, &["Drift of *test*: 2 of 2 objects", "• `local_file.a` has changed: content"]);
    assert!(chat.header("webhook-signature").is_none() && chat.header("webhook-id").is_some());
    for one in &got {
        assert!(!one.body.contains("secret-words"), "{}", one.body);
    }

    sandbox.write("out/a.txt", "changed again\n");
    let _ = sandbox.run("drift test --notify").exits(2);
    std::fs::write(sandbox.project().join("out/a.txt"), "one\n").unwrap();
    std::fs::write(sandbox.project().join("out/secret.txt"), "top-secret-words\n").unwrap();
    let _ = sandbox.run("drift test --notify").succeeds();
    let all = receiver.got();
    let words: Vec<String> = all[2..]
        .iter()
        .filter(|g| g.path() == "/c4n4ry-ops")
        .map(|g| g.json()["data"]["news"].as_array().unwrap().iter().map(|n| n["news"].as_str().unwrap()).collect())
        .collect();
    assert_eq!(words, ["changed", "settledsettled"]);
    assert!(waiting(&outbox(&sandbox)).is_empty());
    assert!(!waits_with(&outbox(&sandbox), "c4n4ry"), "the outbox holds no address");
}

/// Whether any file below holds a text.
fn waits_with(directory: &std::path::Path, text: &str) -> bool {
    files(directory).iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(text))
}

#[test]
fn what_cannot_be_delivered_waits_under_its_identity() {
    let receiver = Receiver::new(&[500; 40]);
    let sandbox = project(&receiver, "\"drift\"");
    sandbox.write("out/a.txt", "changed\n");
    let failed = sandbox.run("drift test --notify --outbox box").exits(1);
    holds(&failed.stdout, &["Drift: 1 changed"]);
    holds(&failed.stderr, &["Not delivered", "1 message for the webhook \"ops\" waits in", "it answered 500"]);
    assert!(!failed.stderr.contains("c4n4ry"), "{}", failed.stderr);
    let box_ = sandbox.project().join("box");
    let kept = waiting(&box_);
    assert_eq!(kept.len(), 2);
    assert!(!waits_with(&box_, "c4n4ry") && !waits_with(&box_, KEY), "the outbox holds no credential");
    let first: Vec<String> = receiver.got().iter().map(|g| g.header("webhook-id").unwrap().to_owned()).collect();
    assert!(first.len() > 2, "it was tried again: {first:?}");

    // The same drift is no news, but what waits is delivered.
    receiver.answers(&[]);
    let before = receiver.got().len();
    let _ = sandbox.run("drift test --notify --outbox box").exits(2);
    let second: Vec<String> =
        receiver.got()[before..].iter().map(|g| g.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|id| first.contains(id)), "{first:?} {second:?}");
    assert!(waiting(&box_).is_empty());
}

#[test]
fn two_processes_with_one_outbox_tell_it_once() {
    let receiver = Receiver::new(&[]);
    let sandbox = project(&receiver, "\"drift\"");
    sandbox.write("out/a.txt", "changed\n");
    let all: Vec<_> = (0..4)
        .map(|_| {
            let mut command = sandbox.command(&["drift", "test", "--notify"]);
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in all {
        assert_eq!(child.wait().unwrap().code(), Some(2));
    }
    let mut ids: Vec<String> = receiver.got().iter().map(|g| g.header("webhook-id").unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((receiver.got().len(), ids.len()), (2, 2));
}

#[test]
fn nobody_to_notify_is_an_error_before_anything_is_looked_at() {
    let receiver = Receiver::new(&[]);
    let sandbox = project(&receiver, "\"run\"");
    holds(&sandbox.run("drift test --notify").exits(1).stderr, &["Nobody to notify", "add \"drift\" to its events"]);
    std::fs::remove_file(sandbox.project().join("gantry.hcl")).unwrap();
    holds(&sandbox.run("drift test --notify").exits(1).stderr, &["Nobody to notify"]);
    holds(&sandbox.run("drift test --outbox x").exits(1).stderr, &["--notify"]);
    sandbox.write("gantry.hcl", "webhook \"x\" {\n  url = env(\"NOT_SET\")\n  format = \"slack\"\n}\n");
    sandbox.write("out/a.txt", "changed\n");
    let failed = sandbox.run("drift test --notify").exits(1);
    holds(&failed.stderr, &["\"x\"", "environment variable NOT_SET, which is not set here"]);
}

#[test]
fn the_end_of_a_run_is_told_and_a_receiver_that_is_down_changes_nothing() {
    let receiver = Receiver::new(&[503; 40]);
    let sandbox = project(&receiver, "\"run\"");
    sandbox.write("environments/test/more.hcl", "resource \"terraform_data\" \"x\" { input = 1 }\n");
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    holds(&ran.stderr, &["Not told yet: 1 message for the webhook \"ops\" waits in", "it answered 503"]);
    assert!(!ran.stderr.contains("c4n4ry"), "{}", ran.stderr);
    assert_eq!(waiting(&outbox(&sandbox)).len(), 2);

    receiver.answers(&[]);
    let before = receiver.got().len();
    sandbox.write("environments/test/more.hcl", "resource \"terraform_data\" \"x\" { input = 2 }\n");
    let ran = sandbox.run("apply test --auto-approve").succeeds();
    assert!(!ran.stderr.contains("Not told"), "{}", ran.stderr);
    let got = receiver.got();
    let ops: Vec<serde_json::Value> =
        got[before..].iter().filter(|g| g.path() == "/c4n4ry-ops").map(Got::json).collect();
    let numbers: Vec<&serde_json::Value> = ops.iter().map(|told| &told["data"]["generation"]).collect();
    assert_eq!(numbers, [&serde_json::json!(2), &serde_json::json!(3)], "what waited comes first");
    let data = &ops[1]["data"];
    assert_eq!(
        (&ops[1]["type"], &data["outcome"], &data["kind"]),
        (&"gantry.run".into(), &"verified".into(), &"apply".into())
    );
    assert!(data["milliseconds"].is_i64() && data["actor"].is_string() && data["run"].is_string(), "{data}");
    let chat = got.iter().rfind(|g| g.path() == "/c4n4ry-chat").unwrap().json();
    holds(chat["text"].as_str().unwrap(), &["*test*: apply of", "ended verified as generation 3"]);

    // Nothing changed: nothing to tell. A rollback and a destroy are told.
    let count = receiver.got().len();
    let _ = sandbox.run("apply test --auto-approve").succeeds();
    assert_eq!(receiver.got().len(), count);
    let _ = sandbox.run("rollback test --auto-approve").succeeds();
    let _ = sandbox.run("destroy test --auto-approve").succeeds();
    let kinds: Vec<String> = receiver.got()[count..]
        .iter()
        .filter(|g| g.path() == "/c4n4ry-ops")
        .map(|g| g.json()["data"]["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["rollback", "destroy"]);
}

#[test]
fn a_failed_run_is_told_as_what_it_came_to() {
    let receiver = Receiver::new(&[]);
    let sandbox = project(&receiver, "\"run\"");
    let failing = "resource \"local_command\" \"x\" {\n  create = [\"sh\", \"-c\", \"echo no; exit 3\"]\n}\n";
    sandbox.write("environments/test/more.hcl", failing);
    let _ = sandbox.run("apply test --auto-approve").exits(3);
    let told = receiver.waits_for(2).iter().find(|g| g.path() == "/c4n4ry-ops").unwrap().json();
    assert_eq!(told["data"]["outcome"], "rolled_back", "{told}");
}

#[test]
fn a_watch_tells_news_only_and_ends_with_what_its_last_look_came_to() {
    let receiver = Receiver::new(&[]);
    let sandbox = project(&receiver, "\"drift\"");
    let watch = Background::start(&sandbox, "drift test --watch 1s --notify");
    let out = sandbox.project().join("../tmp/drift_test_--watch_1s_--notify.out");
    let says = |text: &str| {
        let said = || std::fs::read_to_string(&out).unwrap_or_default();
        assert!(eventually(Duration::from_secs(20), || said().contains(text)), "{text:?} is missing in {}", said());
    };
    says("test: No drift in 2 objects.\n");
    sandbox.write("out/a.txt", "changed\n");
    says("test: local_file.a has changed: content");
    sandbox.write("out/a.txt", "one\n");
    says("test: local_file.a is as it was recorded again\n");
    let marker = sandbox.project().join("state/test/marker.json");
    let ledger = std::fs::read(&marker).unwrap();
    std::fs::write(&marker, "{").unwrap();
    says("test: could not be looked at; this is tried again.");
    std::fs::write(&marker, ledger).unwrap();
    says("test: can be looked at again\n");
    std::fs::remove_file(sandbox.project().join("out/a.txt")).unwrap();
    says("test: local_file.a is gone\n");
    receiver.waits_for(10);
    watch.signal(Signal::TERM);
    assert_eq!(watch.end().0, Some(2));
    let lines = std::fs::read_to_string(&out).unwrap().lines().count();
    assert_eq!(lines, 6, "news only: {}", std::fs::read_to_string(&out).unwrap());
}

#[test]
fn a_watch_for_programs_is_lines_of_json() {
    let receiver = Receiver::new(&[]);
    let sandbox = project(&receiver, "\"drift\"");
    sandbox.write("out/a.txt", "changed\n");
    let watch = Background::start(&sandbox, "drift test --watch 1s --json");
    let out = sandbox.project().join("../tmp/drift_test_--watch_1s_--json.out");
    let lines = || std::fs::read_to_string(&out).unwrap_or_default();
    assert!(eventually(Duration::from_secs(20), || lines().lines().count() >= 2), "{}", lines());
    watch.signal(Signal::INT);
    assert_eq!(watch.end().0, Some(2));
    let all: Vec<serde_json::Value> = lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&all[0]["type"], &all[0]["drifted"]), (&"drift_watch".into(), &1.into()));
    assert_eq!(
        (&all[1]["type"], &all[1]["news"], &all[1]["address"]),
        (&"drift_news".into(), &"drifted".into(), &"local_file.a".into())
    );
    holds(&sandbox.run("drift test --watch 1ms").exits(1).stderr, &["Invalid --watch", "at least 1s"]);
    holds(&sandbox.run("drift test --watch soon").exits(1).stderr, &["Invalid --watch"]);
}

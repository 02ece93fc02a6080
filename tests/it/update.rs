//! Updates while customers never stop asking; interrupts; two commands at once.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::support::{Background, Load, Sandbox, eventually, http};

/// Customers with fresh connections, and customers who keep theirs.
const CUSTOMERS: (usize, usize) = (3, 3);

/// How many requests are awaited before and after, so that every customer is seen on both sides.
const AROUND: u64 = 120;

fn deployed() -> Sandbox {
    let sandbox = Sandbox::shop();
    drop(sandbox.run("apply local --auto-approve").succeeds());
    sandbox
}

fn customers(sandbox: &Sandbox) -> Load {
    let load = Load::start_both(sandbox.port("port"), CUSTOMERS.0, CUSTOMERS.1);
    load.wait_for(AROUND);
    load
}

#[test]
fn an_update_and_its_rollback_fail_nobody() {
    let sandbox = deployed();
    sandbox.ship("v2");
    sandbox.migrations(&["0003"]);
    let load = customers(&sandbox);
    drop(sandbox.run("apply local --auto-approve").succeeds());
    load.wait_for(AROUND);
    load.stop().saw(&["1", "2"]);
    let load = customers(&sandbox);
    drop(sandbox.run("rollback local --to 1 --auto-approve").succeeds());
    load.wait_for(AROUND);
    load.stop().saw(&["2", "1"]);
}

#[test]
fn an_unwind_after_the_switch_fails_nobody_but_who_meets_the_fault() {
    let sandbox = deployed();
    sandbox.ship("v2-orders");
    sandbox.migrations(&["0003"]);
    let load = customers(&sandbox);
    drop(sandbox.run("apply local --auto-approve").exits(3));
    load.wait_for(AROUND);
    let mut report = load.stop();
    // The bad release answers orders with 500: that is what the smoke test is for. Nothing else may fail.
    report.failures.retain(|failure| !failure.contains("POST /orders") || !failure.contains(": 500 "));
    report.saw(&["1", "2", "1"]);
}

#[test]
fn a_release_that_is_never_healthy_is_seen_by_nobody() {
    let sandbox = deployed();
    sandbox.ship("v2-health");
    let load = customers(&sandbox);
    drop(sandbox.run("apply local --auto-approve").exits(3));
    load.wait_for(AROUND);
    load.stop().saw(&["1"]);
}

/// A project whose one step takes as long as the file `go` is missing, and whose other one comes after it.
fn slow() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "environments/local/main.hcl",
        r#"
resource "local_command" "slow" {
  create            = ["sh", "-c", "echo begun >> journal; while [ ! -e go ]; do sleep 0.05; done; echo done >> journal"]
  working_directory = "../.."
}

resource "local_file" "after" {
  filename = "../../after"
  content  = local_command.slow.stdout
}
"#,
    );
    sandbox
}

fn journal(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.project().join("journal")).unwrap_or_default()
}

/// Starts an apply and waits until its slow step runs.
fn begun(sandbox: &Sandbox) -> Background {
    let apply = Background::start(sandbox, "apply local --auto-approve");
    assert!(eventually(Duration::from_secs(30), || journal(sandbox) == "begun\n"), "{}", apply.said());
    apply
}

fn apply_out(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.expand("{sandbox}/tmp/apply_local_--auto-approve.out")).expect("the file is there")
}

fn ends_as_if_nothing_had_happened(sandbox: &Sandbox) {
    assert_eq!(journal(sandbox), "begun\ndone\n", "the command ran once");
    assert!(sandbox.project().join("after").exists());
    drop(sandbox.run("plan local --detailed-exitcode").succeeds());
    drop(sandbox.run("state verify local").succeeds());
    assert_eq!(sandbox.processes(), Vec::<String>::new());
}

#[test]
fn one_interrupt_lets_finish_what_runs() {
    let sandbox = slow();
    let apply = begun(&sandbox);
    apply.signal(Signal::INT);
    assert!(
        eventually(Duration::from_secs(10), || apply.said().to_lowercase().contains("interrupt")),
        "{}",
        apply.said()
    );
    sandbox.write("go", "");
    let (code, said) = apply.end();
    assert_eq!(code, Some(7), "{said}");
    let out = apply_out(&sandbox);
    assert!(out.contains("gantry resume") || out.contains("gantry apply"), "the next command is named: {out}");
    assert_eq!(said.matches("Interrupted:").count(), 1, "{said}");
    assert_eq!(journal(&sandbox), "begun\ndone\n");
    assert!(!sandbox.project().join("after").exists(), "nothing new was started");
    drop(sandbox.run("apply local --auto-approve").succeeds());
    ends_as_if_nothing_had_happened(&sandbox);
}

#[test]
fn two_interrupts_leave_at_once() {
    let sandbox = slow();
    let apply = begun(&sandbox);
    apply.signal(Signal::INT);
    assert!(
        eventually(Duration::from_secs(10), || apply.said().to_lowercase().contains("interrupt")),
        "{}",
        apply.said()
    );
    apply.signal(Signal::INT);
    let (code, said) = apply.end();
    assert_eq!(code, Some(7), "{said}");
    assert_eq!(journal(&sandbox), "begun\n", "it did not wait");
    sandbox.write("go", "");
    let again = sandbox.run("apply local --auto-approve").succeeds();
    assert!(again.stderr.contains("was interrupted"), "{}", again.stderr);
    ends_as_if_nothing_had_happened(&sandbox);
}

#[test]
fn a_second_command_is_refused_or_waits() {
    let sandbox = slow();
    let apply = begun(&sandbox);
    let refused = sandbox.run("apply local --auto-approve").exits(5);
    let pid = apply.child.id().to_string();
    assert!(refused.stderr.contains("apply local") && refused.stderr.contains(&pid), "{}", refused.stderr);
    drop(sandbox.run("plan local"));
    let waits = Background::start(&sandbox, "apply local --auto-approve --lock-timeout 60s");
    assert!(eventually(Duration::from_secs(10), || waits.said().contains("Waiting for")), "{}", waits.said());
    sandbox.write("go", "");
    assert_eq!(apply.end().0, Some(0));
    let (code, said) = waits.end();
    assert_eq!(code, Some(0), "{said}");
    ends_as_if_nothing_had_happened(&sandbox);
    let history = sandbox.run("history local --json").succeeds().stdout;
    assert_eq!(history.matches("\"generation\"").count(), 1, "the second had nothing to do: {history}");
}

#[test]
fn a_killed_holder_is_taken_over_at_once() {
    let sandbox = slow();
    let apply = begun(&sandbox);
    apply.signal(Signal::KILL);
    assert_eq!(apply.end().0, None);
    sandbox.write("go", "");
    let again = sandbox.run("apply local --auto-approve").succeeds();
    assert!(again.stderr.contains("was interrupted"), "{}", again.stderr);
    ends_as_if_nothing_had_happened(&sandbox);
}

#[test]
fn a_replica_of_the_old_release_comes_back_as_the_old_release() {
    let sandbox = deployed();
    // What is built now is release 2; what runs is release 1, and stays so when it crashes.
    std::fs::remove_file(sandbox.project().join("build/program")).expect("it was built");
    sandbox.ship("v2");
    std::fs::copy(sandbox.project().join("shop"), sandbox.project().join("build/program"))
        .expect("the sandbox is writable");
    let blobs = sandbox.project().join("state/local/blobs").display().to_string();
    let replicas = || {
        sandbox
            .pids()
            .into_iter()
            .filter(|(_, line)| line.contains(&blobs) || line.contains("blobs/"))
            .collect::<Vec<_>>()
    };
    let before = replicas();
    assert_eq!(before.len(), 2, "{before:?}");
    for (pid, _) in &before {
        kill_process(*pid, Signal::KILL).expect("it runs");
    }
    let fresh = || replicas().iter().filter(|(pid, _)| before.iter().all(|(old, _)| old != pid)).count() == 2;
    assert!(eventually(Duration::from_secs(20), fresh), "{:?}", replicas());
    let serves = || http::get(sandbox.port("port"), "/products").is_ok_and(|answer| answer.status == 200);
    assert!(eventually(Duration::from_secs(20), serves));
    for _ in 0..6 {
        let answer = http::get(sandbox.port("port"), "/products").expect("it serves");
        assert_eq!(answer.header("shop-version"), Some("1"));
    }
}

#[test]
fn who_waits_for_the_lease_can_be_interrupted() {
    let sandbox = slow();
    let apply = begun(&sandbox);
    let waits = Background::start(&sandbox, "apply local --auto-approve --lock-timeout 60s");
    assert!(eventually(Duration::from_secs(10), || waits.said().contains("Waiting for")), "{}", waits.said());
    waits.signal(Signal::INT);
    let (code, said) = waits.end();
    assert_eq!(code, Some(1), "nothing was changed: {said}");
    assert!(said.contains("Interrupted"), "{said}");
    sandbox.write("go", "");
    assert_eq!(apply.end().0, Some(0));
    ends_as_if_nothing_had_happened(&sandbox);
}

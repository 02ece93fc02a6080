//! Bad days: what is missing, in the way, full, or changed behind Gantry's back. Each is said with its place and the next
//! step, nothing is lost, and afterwards the same command goes through.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::support::{Ran, Sandbox, http};

const MAIN: &str = "environments/local/main.hcl";

fn project(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, text);
    sandbox
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said in:\n{text}");
    }
}

/// Requires that an apply goes through now, and that then nothing is left to do.
fn goes_through(sandbox: &Sandbox) {
    drop(sandbox.run("apply local --auto-approve").succeeds());
    drop(sandbox.run("plan local --detailed-exitcode").succeeds());
    drop(sandbox.run("state verify local").succeeds());
}

fn nothing_is_left(sandbox: &Sandbox) {
    assert_eq!(sandbox.run("state list local").succeeds().stdout, "");
    assert_eq!(sandbox.processes(), Vec::<String>::new());
    drop(sandbox.run("state verify local").succeeds());
}

#[test]
fn a_port_in_use() {
    let sandbox = Sandbox::shop();
    let port = sandbox.port("port");
    let other = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is reserved");
    let ran = sandbox.run("apply local --auto-approve").exits(3);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    says(&all, &["local_service.shop", &format!("Port {port}"), "in use by process", "another \"port\""]);
    nothing_is_left(&sandbox);
    drop(other);
    goes_through(&sandbox);
    assert_eq!(http::get(port, "/products").expect("it serves").status, 200);
}

#[test]
fn a_command_that_does_not_exist() {
    let sandbox = project("resource \"local_command\" \"c\" {\n  create = [\"no-such-program-4711\", \"x\"]\n}\n");
    let ran = sandbox.run("apply local --auto-approve");
    assert!(matches!(ran.code(), Some(1 | 3)), "{ran:?}");
    says(&format!("{}{}", ran.stdout, ran.stderr), &["local_command.c", "no-such-program-4711"]);
    nothing_is_left(&sandbox);
}

#[test]
fn sql_with_a_syntax_error() {
    let sandbox =
        project("migration \"m\" {\n  database = \"sqlite://../../a.db\"\n  source   = \"../../migrations\"\n}\n");
    sandbox.write("migrations/0001_first.up.sql", "CREATE TABLE a (n INTEGER);\n");
    sandbox.write("migrations/0001_first.down.sql", "DROP TABLE a;\n");
    sandbox.write("migrations/0002_second.up.sql", "CREATE TABLE b (n INTEGER);\n\nCREATE TABEL c (n INTEGER);\n");
    sandbox.write("migrations/0002_second.down.sql", "DROP TABLE b;\n");
    let ran = sandbox.run("apply local --auto-approve").exits(3);
    says(&format!("{}{}", ran.stdout, ran.stderr), &["migration.m", "0002_second.up.sql:3", "TABEL"]);
    nothing_is_left(&sandbox);
    sandbox.write("migrations/0002_second.up.sql", "CREATE TABLE b (n INTEGER);\n\nCREATE TABLE c (n INTEGER);\n");
    goes_through(&sandbox);
}

#[test]
fn a_database_that_is_down() {
    let sandbox = project(
        "variable \"url\" {\n  sensitive = true\n}\n\nmigration \"m\" {\n  database = var.url\n  source   = \"../../migrations\"\n}\n",
    );
    sandbox.write("migrations/0001_first.up.sql", "CREATE TABLE a (n INTEGER);\n");
    let ran = sandbox.run("apply local --auto-approve --var url=postgres://u:hidden4711@127.0.0.1:{port}/d");
    assert!(matches!(ran.code(), Some(1 | 3 | 6)), "{ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    says(&all, &["migration.m", &sandbox.port("port").to_string()]);
    assert!(!all.contains("hidden4711"), "the password is shown: {all}");
    nothing_is_left(&sandbox);
}

const FILE: &str = "resource \"local_file\" \"f\" {\n  filename = \"../../out\"\n  content  = \"ours\"\n}\n";

#[test]
fn a_file_that_was_edited_and_one_that_was_deleted() {
    let sandbox = project(FILE);
    goes_through(&sandbox);
    sandbox.write("out", "edited by hand");
    let plan = sandbox.run("plan local --detailed-exitcode").exits(2);
    says(&plan.stdout, &["local_file.f", "edited by hand", "ours"]);
    goes_through(&sandbox);
    assert_eq!(sandbox.read("out"), "ours");
    std::fs::remove_file(sandbox.project().join("out")).expect("it is there");
    let plan = sandbox.run("plan local --detailed-exitcode").exits(2);
    says(&plan.stdout, &["local_file.f", "1 to add"]);
    goes_through(&sandbox);
    assert_eq!(sandbox.read("out"), "ours");
}

/// The newest segment of the ledger.
fn segment(sandbox: &Sandbox) -> std::path::PathBuf {
    let folder = sandbox.project().join("state/local/ledger");
    let entries = std::fs::read_dir(folder).expect("there is a ledger");
    let paths = entries.map(|entry| entry.expect("the ledger is readable").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).max().expect("it has a segment")
}

#[test]
fn a_bit_that_flipped_in_the_ledger() {
    let sandbox = project(FILE);
    goes_through(&sandbox);
    let path = segment(&sandbox);
    let whole = std::fs::read(&path).expect("the segment is readable");
    let at = String::from_utf8_lossy(&whole).find("ours").expect("the content is recorded");
    let mut bytes = whole.clone();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).expect("the segment is writable");
    sandbox.write(MAIN, &FILE.replace("ours", "theirs"));
    for command in ["plan local", "apply local --auto-approve", "destroy local --auto-approve", "show local"] {
        let ran = sandbox.run(command);
        assert!(matches!(ran.code(), Some(1 | 5)), "{command}: {ran:?}");
        says(&ran.stderr, &[&path.file_name().expect("a file has a name").to_string_lossy(), "line"]);
    }
    let verified = sandbox.run("state verify local").exits(1);
    says(&format!("{}{}", verified.stdout, verified.stderr), &["line"]);
    assert_eq!(sandbox.read("out"), "ours", "nothing was touched");
    assert_eq!(std::fs::read(&path).expect("the segment is readable"), bytes, "and nothing put right");
    std::fs::write(&path, &whole).expect("the segment is writable");
    goes_through(&sandbox);
}

#[test]
fn a_ledger_that_is_gone_is_not_a_new_one() {
    let sandbox = project(FILE);
    goes_through(&sandbox);
    std::fs::rename(sandbox.project().join("state/local/ledger"), sandbox.project().join("elsewhere"))
        .expect("it is there");
    for command in ["plan local", "apply local --auto-approve", "destroy local --auto-approve"] {
        let ran = sandbox.run(command);
        assert!(matches!(ran.code(), Some(1 | 5)), "{command}: {ran:?}");
    }
    assert_eq!(sandbox.read("out"), "ours");
    let ledger = sandbox.project().join("state/local/ledger");
    if ledger.exists() {
        std::fs::remove_dir_all(&ledger).expect("it is ours");
    }
    std::fs::rename(sandbox.project().join("elsewhere"), ledger).expect("it is there");
    goes_through(&sandbox);
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A file system of so many bytes, gone when dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    fn of(path: std::path::PathBuf, bytes: u32) -> Self {
        std::fs::create_dir_all(&path).expect("the sandbox is writable");
        let options = format!("size={bytes},mode=700");
        let ran = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&path).output();
        let ran = ran.expect("there is a mount program");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Self(path)
    }

    fn again(&self, options: &str) {
        let ran = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).output();
        let ran = ran.expect("there is a mount program");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Many files, so that the ledger grows while they are made.
fn many(count: usize) -> String {
    format!(
        "resource \"local_file\" \"f\" {{\n  for_each = toset([for i in range({count}) : tostring(i)])\n  filename = \
         \"../../out/${{each.key}}\"\n  content  = \"number ${{each.key}}\"\n}}\n"
    )
}

fn made(sandbox: &Sandbox) -> usize {
    std::fs::read_dir(sandbox.project().join("out")).map_or(0, Iterator::count)
}

/// After a write that failed: a clear end, and what was made is recorded once there is room again.
fn full_disk(sandbox: &Sandbox, ran: &Ran) {
    assert!(matches!(ran.code(), Some(1 | 7)), "{ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    let lower = all.to_lowercase();
    assert!(lower.contains("no space left") || lower.contains("file too large"), "the cause is said: {all}");
    assert!(!lower.contains("panicked"), "{all}");
    if ran.code() == Some(1) {
        assert_eq!(made(sandbox), 0, "exit code 1 says that nothing was changed: {all}");
    }
}

#[test]
fn a_full_disk() {
    let count = 300;
    let sandbox = project(&many(count));
    if root() {
        let mount = Mount::of(sandbox.project().join("state/local"), 420 * 1024);
        let ran = sandbox.run("apply local --auto-approve");
        full_disk(&sandbox, &ran);
        assert_eq!(ran.code(), Some(7), "the disk filled while the run was on");
        mount.again("size=64m");
        goes_through(&sandbox);
        assert_eq!(made(&sandbox), count);
        drop(sandbox.run("destroy local --auto-approve").succeeds());
        assert_eq!(made(&sandbox), 0, "nothing was made that is not recorded");
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 128; trap '' XFSZ; exec \"$0\" apply local --auto-approve"]);
        let gantry = sandbox.command(&[]);
        command
            .arg(gantry.get_program())
            .current_dir(sandbox.project())
            .envs(gantry.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let ended = command.output().expect("there is a shell");
        assert!(matches!(ended.status.code(), Some(1 | 7)), "{ended:?}");
        goes_through(&sandbox);
        assert_eq!(made(&sandbox), count);
    }
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    let sandbox = project(FILE);
    goes_through(&sandbox);
    sandbox.write(MAIN, &FILE.replace("ours", "theirs"));
    let state = sandbox.project().join("state/local");
    let mount = root().then(|| {
        let moved = sandbox.project().join("kept");
        std::fs::rename(&state, &moved).expect("it is there");
        let mount = Mount::of(state.clone(), 1 << 20);
        let copied = Command::new("cp").arg("-a").arg(moved.join(".")).arg(&state).status().expect("there is cp");
        assert!(copied.success());
        mount.again("ro");
        mount
    });
    let mode = |mode| std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode));
    if mount.is_none() {
        mode(0o500).expect("it is ours");
        std::fs::set_permissions(state.join("ledger"), std::fs::Permissions::from_mode(0o500)).expect("it is ours");
    }
    let plan = sandbox.run("plan local --detailed-exitcode");
    assert_eq!(plan.code(), Some(2), "looking needs no writing: {plan:?}");
    let ran = sandbox.run("apply local --auto-approve").exits(1);
    says(&ran.stderr, &["state/local"]);
    assert_eq!(sandbox.read("out"), "ours", "nothing was touched");
    match &mount {
        Some(mount) => mount.again("rw"),
        None => {
            mode(0o700).expect("it is ours");
            std::fs::set_permissions(state.join("ledger"), std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        }
    }
    goes_through(&sandbox);
    assert_eq!(sandbox.read("out"), "theirs");
}

/// Order rests on numbers; times are for people. A clock that was set back a day between two runs changes nothing about what
/// the ledger says, and a run that ends before it began still has a history.
#[tokio::test]
async fn a_clock_that_goes_back() {
    use gantry::ledger::{Draft, LocalBackend, Writer};
    let directory = tempfile::tempdir().expect("a temporary directory");
    let backend = || std::sync::Arc::new(LocalBackend::new(directory.path()));
    let noon: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
    let day_before = noon - jiff::SignedDuration::from_hours(24);
    let generation = |number: u64| {
        serde_json::json!({
            "type": "run_started", "kind": "apply", "generation": number, "base": null, "effect": "e", "plan": null, "inputs": "i",
            "asked": "a", "on_failure": "rollback", "partial": false, "engine": "0",
        })
    };
    let end = serde_json::json!({ "type": "run_finished", "outcome": "verified", "sentence": "done", "outputs": {} });
    for (number, began, ended) in [(1_u64, noon, day_before), (2, day_before, day_before)] {
        let (mut writer, _) = Writer::open_reading(backend()).await.expect("the ledger opens");
        let draft = |time, event| Draft { time, run: Some(format!("run-{number}")), actor: "tester".into(), event };
        writer.append(vec![draft(began, generation(number))]).await.expect("the run begins");
        writer.append(vec![draft(ended, end.clone())]).await.expect("the run ends");
    }
    let (_, reading) = Writer::open_reading(backend()).await.expect("the ledger opens");
    let entries = reading.expect("there are entries").entries;
    let state = gantry::ops::records::replay(gantry::ledger::State::default(), &entries)
        .expect("the entries follow from each other");
    assert_eq!(state.current().map(|g| g.number), Some(2), "the newest by number, not by time");
    let (none, plain) = (Default::default(), gantry::view::Style::Plain);
    let shown = gantry::view::human::history(&state, &none, &Default::default(), plain);
    assert!(shown.contains("run") || shown.contains("verified"), "{shown}");
}

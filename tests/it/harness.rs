//! The harness proven: what it says of `gantry` rests on it.

use std::io::{Read as _, Write as _};

use super::support::scenario::{self, Scenario};
use super::support::{Load, Sandbox};

/// A sandbox whose `gantry` is a shell script.
fn with_script(script: &str) -> Sandbox {
    Sandbox::new().with_script(script)
}

#[test]
fn gantry_sees_nothing_of_this_machine() {
    let ran = with_script("env; pwd").with("GANTRY_CRASH_AT", "7").run("").succeeds();
    let mut names: Vec<&str> = ran.stdout.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    names.sort_unstable();
    names.retain(|name| !matches!(*name, "_" | "OLDPWD" | "SHLVL"));
    assert_eq!(names, ["GANTRY_ACTOR", "GANTRY_CRASH_AT", "HOME", "LANG", "PATH", "PWD", "TMPDIR", "TZ", "USER"]);
}

#[test]
fn outputs_and_exit_codes_are_told_apart() {
    let sandbox = with_script("echo out $*; echo err >&2; exit 3");
    let ran = sandbox.run("plan local").exits(3);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out plan local\n", "err\n"));
    assert_eq!(sandbox.run_as_seen(&["x"]).exits(3).stdout, "out x\nerr\n");
    assert_eq!(with_script("kill -9 $$").run("").code(), None);
}

/// What a panic of `work` says. Its sandbox stays outside, so that it is removed as after a test that passes.
fn panics<T>(work: impl FnOnce() -> T) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(work())));
    *result.expect_err("it should have failed").downcast::<String>().expect("a panic with a message")
}

#[test]
fn another_exit_code_is_a_failure() {
    let sandbox = with_script("echo said; exit 4");
    let message = panics(|| sandbox.run("plan").exits(3));
    assert!(message.contains("`gantry plan` ended with exit status: 4") && message.contains("said"), "{message}");
}

#[test]
fn a_service_that_holds_the_output_is_a_failure() {
    let sandbox = with_script("sleep 60 &");
    assert!(panics(|| sandbox.run("")).contains("still holds its output"));
}

#[test]
fn nothing_outlives_its_sandbox() {
    let sandbox = with_script("setsid sleep 4711 >/dev/null 2>&1 & sleep 4712 >/dev/null 2>&1 & cd /; env -i sleep 1");
    drop(sandbox.run("").succeeds());
    let root = sandbox.project();
    let count = |needle: &str| sandbox.processes().iter().filter(|command| command.ends_with(needle)).count();
    assert_eq!((count("sleep 4711"), count("sleep 4712")), (1, 1));
    drop(sandbox);
    let left = std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| {
        let command = std::fs::read(entry.ok()?.path().join("environ")).ok()?;
        String::from_utf8_lossy(&command).contains(root.to_str()?).then_some(())
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn ports_are_free_and_distinct() {
    let (one, two) = (Sandbox::new(), Sandbox::new());
    let ports = [one.port("port"), one.port("port_b"), two.port("port")];
    assert_eq!(one.port("port"), ports[0]);
    assert!(ports[0] != ports[1] && ports[0] != ports[2] && ports[1] != ports[2], "{ports:?}");
}

#[test]
fn a_scenario_shows_what_is_seen() {
    let sandbox = with_script("echo \"$2 at $PWD\"; echo problem >&2; cat $1; [ $1 = a.txt ]");
    let text = "# A remark.\n# write a.txt <<EOF\nport {port}\nEOF\n$ gantry a.txt 'two words'\nwrong\n\n# More.\n$ gantry b.txt x\n";
    let expected = "# A remark.\n# write a.txt <<EOF\nport {port}\nEOF\n$ gantry a.txt 'two words'\n\
                    two words at {project}\nproblem\nport {port}\n\n# More.\n$ gantry b.txt x\n\
                    x at {project}\nproblem\ncat: b.txt: No such file or directory\n[exit 1]\n";
    let seen = scenario::play(&sandbox, text);
    assert_eq!(seen, expected);
    assert_eq!(scenario::play(&sandbox, &seen), seen, "what was blessed passes");
}

#[test]
fn a_scenario_is_checked_or_blessed() {
    let sandbox = with_script("echo hello");
    let path = sandbox.project().join("s.txt");
    sandbox.write("s.txt", "$ gantry\nbye\n");
    let message = panics(|| Scenario::at(path.clone()).check(&sandbox, false));
    assert!(message.contains("-bye\n+hello\n"), "{message}");
    assert_eq!(sandbox.read("s.txt"), "$ gantry\nbye\n");
    Scenario::at(path.clone()).check(&sandbox, true);
    assert_eq!(sandbox.read("s.txt"), "$ gantry\nhello\n");
    Scenario::at(path).check(&sandbox, false);
}

#[test]
fn a_scenario_asks_over_http() {
    let sandbox = Sandbox::new();
    let seen = scenario::play(&sandbox, "$ GET {port}/health\n");
    assert_eq!(seen, "$ GET {port}/health\nno answer: ConnectionRefused\n");
}

#[test]
fn the_shop_project_is_set_up() {
    let sandbox = Sandbox::shop();
    assert!(sandbox.read("environments/local/main.hcl").contains(&format!("port        = {}", sandbox.port("port"))));
    assert!(sandbox.read("migrations/0002_create_orders.up.sql").contains("CREATE TABLE orders"));
    assert!(!sandbox.project().join("migrations/0003_add_order_note.up.sql").exists());
    assert!(sandbox.project().join("build").is_dir());
}

#[test]
fn load_counts_what_failed() {
    let sandbox = Sandbox::new();
    let port = sandbox.port("port");
    let server = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is reserved");
    std::thread::spawn(move || {
        for (number, stream) in server.incoming().enumerate() {
            let status = if number == 20 { "500 No" } else { "200 OK" };
            let mut stream = stream.expect("a connection");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nShop-Version: 7\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let report = Load::start(port, 2).stop_after(50);
    assert!(report.sent >= 50, "{report:?}");
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert!(report.failures[0].contains("500"), "{report:?}");
    assert!(report.versions.contains("7"), "{report:?}");
}

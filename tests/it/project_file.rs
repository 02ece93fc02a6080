//! `gantry.hcl`, seen from the command line.

use super::support::{Sandbox, holds};

fn project(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.hcl", "resource \"terraform_data\" \"x\" {}\n");
    sandbox.write("gantry.hcl", file);
    sandbox
}

#[test]
fn what_is_wrong_with_it_is_told_by_every_command_that_reads_it() {
    let sandbox = project("environments = [\"tset\"]\n\nwebhok \"ops\" {}\n");
    for command in ["validate test", "plan test", "apply test --auto-approve"] {
        let told = sandbox.run(command).exits(1);
        let expected = ["gantry.hcl:1:17", "Did you mean \"test\"?", "gantry.hcl:3:1", "Did you mean \"webhook\"?"];
        holds(&told.stderr, &expected);
    }
}

#[test]
fn a_webhook_whose_variable_is_not_set_stops_nobody_who_sends_nothing() {
    let sandbox = project("webhook \"ops\" {\n  url    = env(\"OPS_URL\")\n  secret = env(\"OPS_SECRET\")\n}\n");
    let _ = sandbox.run("validate test").succeeds();
    let _ = sandbox.run("plan test").succeeds();
}

#[test]
fn a_file_without_syntax_is_told_and_its_credentials_are_not() {
    let sandbox = project("webhook \"ops\" {\n  url    = \"https://example.com/c4n4ry\n  secret = c4n4ry==\n}\n");
    let told = sandbox.run("plan test").exits(1);
    holds(&told.stderr, &["gantry.hcl:2", "What stands there is not shown"]);
    assert!(!told.stderr.contains("c4n4ry") && !told.stdout.contains("c4n4ry"), "{}", told.stderr);
}

//! The jobs of `docs/ci`: each is parsed, and the commands in it are run, in their order, on a project with staging and production.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use serde_json::Value as Json;

use super::support::Sandbox;

const ENVIRONMENT: &str = r#"
artifact "app" { file = "${path.project}/app.bin" }

resource "local_file" "conf" {
  filename = "${path.project}/out/${terraform.workspace}.txt"
  content  = artifact.app.digest
}
"#;

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let gate = "environment {\n  promotion {\n    from = \"staging\"\n  }\n}\n";
    sandbox.write("environments/staging/main.hcl", ENVIRONMENT);
    sandbox.write("environments/production/main.hcl", &format!("{ENVIRONMENT}{gate}"));
    sandbox.write("gantry.hcl", "environments = [\"staging\", \"production\"]\n");
    sandbox.write("app.bin", "app\n");
    sandbox
}

/// A job's file, parsed by the language's own `yamldecode`.
fn parsed(sandbox: &Sandbox, name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    // Written as it is: braces in it are no places of the sandbox.
    std::fs::write(sandbox.project().join("job.yaml"), text).unwrap();
    let asked = "jsonencode(yamldecode(file(\"../../job.yaml\")))\n";
    let ran = sandbox.run_fed(asked, &["console", "staging"]).succeeds();
    let text: String = serde_json::from_str(ran.stdout.trim()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// All texts under a key, wherever it stands, one command each.
fn commands(of: &Json, key: &str) -> Vec<String> {
    match of {
        Json::Object(all) => all
            .iter()
            .flat_map(|(name, inner)| match inner {
                Json::String(text) if name == key => vec![text.clone()],
                Json::Array(lines) if name == key => lines.iter().map(|l| l.as_str().unwrap().to_owned()).collect(),
                inner => commands(inner, key),
            })
            .collect(),
        Json::Array(all) => all.iter().flat_map(|inner| commands(inner, key)).collect(),
        _ => Vec::new(),
    }
}

#[track_caller]
fn run(sandbox: &Sandbox, command: &str) {
    let words = command.strip_prefix("gantry ").unwrap_or_else(|| panic!("{command:?} runs no gantry"));
    let _ = sandbox.run(words).succeeds();
}

/// The commands of a job do what it is there for, and may be run again.
fn deliver(sandbox: &Sandbox, mut all: Vec<String>) {
    // Where staging has to be there first, whatever order the file's keys are in.
    all.sort_by_key(|command| !command.contains("apply staging"));
    for _ in 0..2 {
        all.iter().for_each(|command| run(sandbox, command));
    }
    assert_eq!(sandbox.read("out/staging.txt"), sandbox.read("out/production.txt"));
}

#[test]
fn github_actions() {
    let sandbox = project();
    let job = parsed(&sandbox, "github-actions.yml");
    let all = commands(&job["jobs"], "run");
    assert_eq!(all.len(), 3, "{all:?}");
    deliver(&sandbox, all);
    assert!(sandbox.read("drift.xml").contains("<testsuite name=\"production\""));
}

#[test]
fn gitlab_ci() {
    let sandbox = project();
    let all = commands(&parsed(&sandbox, "gitlab-ci.yml"), "script");
    assert_eq!(all.len(), 3, "{all:?}");
    deliver(&sandbox, all);
    assert!(sandbox.read("drift.xml").contains("<testsuite name=\"production\""));
}

#[test]
fn a_kubernetes_cron_job() {
    let sandbox = project();
    let job = parsed(&sandbox, "kubernetes-cronjob.yaml");
    let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let words: Vec<String> = ["command", "args"].iter().flat_map(|key| commands(container, key)).collect();
    assert_eq!(words[0], "gantry");
    run(&sandbox, "gantry apply staging --auto-approve");
    for _ in 0..2 {
        run(&sandbox, &words.join(" "));
    }
    assert_eq!(sandbox.read("out/staging.txt"), sandbox.read("out/production.txt"));
}

//! The project file: what it says, what is wrong with it, and that no message shows a credential.

use super::mistakes::rendered;
use crate::config::{Format, Project, Topic, Undeliverable, read_project};

/// A project with two environments and this file.
fn read(text: &str) -> Result<Project, String> {
    let project = tempfile::tempdir().unwrap();
    for name in ["staging", "production"] {
        std::fs::create_dir_all(project.path().join("environments").join(name)).unwrap();
    }
    std::fs::write(project.path().join("gantry.hcl"), text).unwrap();
    read_project(project.path()).map_err(|e| rendered(&e))
}

fn told(text: &str, expected: &[&str]) {
    let said = read(text).unwrap_err();
    for part in expected {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn without_a_file_a_project_says_nothing() {
    let empty = tempfile::tempdir().unwrap();
    let project = read_project(empty.path()).unwrap();
    assert!(project.environments.is_none() && project.webhooks.is_empty());
}

#[test]
fn the_order_of_environments_and_webhooks_are_read() {
    let project = read(&format!(
        r#"
environments = ["staging", "production"]
variables {{
  anything = [1]
}}
webhook "ops" {{
  url    = "https://example.com/hook"
  secret = "whsec_${{env("KEY")}}"
  events = ["run", "drift", "run"]
}}
webhook "chat" {{
  url    = "https://${{env("HOST")}}/services/T/B"
  format = "slack"
  events = ["run"]
}}
webhook "plain" {{
  url    = env("HOOK")
  secret = "{KEY}"
}}
"#
    ))
    .unwrap();
    assert_eq!(project.environments.as_deref(), Some(&["staging".to_owned(), "production".to_owned()][..]));
    let shown: Vec<_> = project.webhooks.iter().map(|w| (w.name.as_str(), w.format, w.topics.as_slice())).collect();
    let all = [Topic::Drift, Topic::Run];
    let expected =
        [("ops", Format::Plain, &all[..]), ("chat", Format::Slack, &all[1..]), ("plain", Format::Plain, &all[..])];
    assert_eq!(shown, expected);

    let variable = |name: &str| match name {
        "KEY" => Some("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        "HOST" => Some("hooks.example.com".to_owned()),
        _ => None,
    };
    let [ops, chat, plain] = &project.webhooks[..] else { panic!("three were read") };
    let destination = ops.destination(&variable).unwrap();
    assert_eq!(destination.url.reveal(), b"https://example.com/hook");
    assert_eq!(destination.key.unwrap().reveal().len(), 24, "base64 behind whsec_ is the key");
    let destination = chat.destination(&variable).unwrap();
    assert_eq!((destination.url.reveal(), destination.key), (&b"https://hooks.example.com/services/T/B"[..], None));
    let Err(Undeliverable::Unset(missing)) = plain.destination(&variable) else { panic!("HOOK is not set") };
    assert!(missing.detail.contains("\"plain\" comes from the environment variable HOOK, which is not set"));
    let raw = plain.destination(&|_| Some("http://localhost:1".into())).unwrap();
    assert_eq!(raw.key.unwrap().reveal(), KEY.as_bytes(), "a key without whsec_ is its own text");
}

#[test]
fn a_wrong_order_is_told_with_its_place() {
    told(
        "environments = [\"staging\", \"prodution\"]\n",
        &[
            "Unknown environment\n  at gantry.hcl:1:28",
            "There is no environment \"prodution\"",
            "Did you mean \"production\"?",
        ],
    );
    told("environments = [\"staging\", \"staging\"]\n", &["Duplicate environment\n  at gantry.hcl:1:28"]);
    told("environments = [\"staging\", 3]\n", &["gantry.hcl:1:28", "one of them is no text"]);
    told("environments = [\"staging\", null]\n", &["gantry.hcl:1:28", "one of them is no text"]);
    told("environments = \"staging\"\n", &["is a list of texts, but this is none"]);
    told("environments = { a = \"staging\" }\n", &["is a list of texts, but this is none"]);
    told("environments = [env(\"X\")]\n", &["gantry.hcl:1:17"]);
    told("environments = []\n", &["\"environments\" is empty"]);
    told("enviroments = []\n", &["Unsupported argument", "Did you mean \"environments\"?"]);
    told("webhok \"a\" {}\n", &["Unsupported block type", "Did you mean \"webhook\"?"]);
    told("variables {\n  a {}\n}\n", &["Unexpected block", "gantry.hcl:2"]);
    told("dynamic \"webhook\" {\n  for_each = []\n  content {}\n}\n", &["Unsupported block type"]);
}

#[test]
fn a_wrong_webhook_is_told_with_its_place() {
    let webhook = |inner: &str| format!("webhook \"a\" {{\n  url = env(\"U\")\n  {inner}\n}}\n");
    told(
        &webhook(""),
        &["Missing required argument\n  at gantry.hcl:1:1", "\"secret\" is what messages are signed with"],
    );
    told("webhook \"a\" {\n  format = \"slack\"\n}\n", &["The argument \"url\" is required"]);
    told("webhook {\n  url = \"https://x\"\n  format = \"slack\"\n}\n", &["Missing label"]);
    told(&webhook("format = \"slak\""), &["gantry.hcl:3:12", "Did you mean \"slack\"?"]);
    told(&webhook("format = \"slack\"\n  events = [\"drifts\"]"), &["gantry.hcl:4:13", "Did you mean \"drift\"?"]);
    told(&webhook("format = \"slack\"\n  events = []"), &["\"events\" is empty"]);
    told(&webhook("secrt = env(\"K\")"), &["Unsupported argument", "Did you mean \"secret\"?"]);
    told(&webhook("secret = env(\"K\")").repeat(2), &["Duplicate webhook", "gantry.hcl:5:1"]);
    let many: String = (0..17).map(|n| webhook("secret = env(\"K\")").replace("\"a\"", &format!("\"a{n}\""))).collect();
    told(&many, &["There are 17 webhooks, and the limit is 16"]);
}

#[test]
fn no_message_shows_a_credential() {
    let secret = "c4n4ry";
    let mistakes = [
        "webhook \"a\" {\n  url = \"ftp://c4n4ry\"\n  secret = \"c4n4ry\"\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret = \"whsec_c4n4ry!\"\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  sceret = \"c4n4ry\"\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret = c4n4ry\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret = file(\"c4n4ry\")\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret = jsondecode(\"c4n4ry\")\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret = [\"c4n4ry\"]\n}\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret {\n    value = \"c4n4ry\"\n  }\n}\n",
        "webhook = { url = \"https://x/c4n4ry\" }\n",
        "webhok \"a\" { url = \"https://x/c4n4ry\" }\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\n  secret = \"c4n4ry\"\n}\n",
        "webhook \"a\" {\n  url = https://x/c4n4ry\n  secret = c4n4ry c4n4ry\n}\n",
        "webhook \"a\" {\n  url = \"x\"\n  secret = c4n4ry/c4n4ry==\n}\n",
        "webhook \"a\" {\n  secret = <<E\nc4n4ry\n  E\n c4n4ry\n}\n",
        "webhook \"a\" {\n  url = join(\"\", [\n    \"c4n4ry\"\n    \"c4n4ry\"\n  ])\n}\n",
        "webhook \"a\" {\n  url\n  c4n4ry\n}\n",
        "webhook \"a\" {\n  url: \"c4n4ry\"\n}\n",
        "webhook \"a\" { url = \"https://x/c4n4ry\", secret = \"c4n4ry\" }\n",
        "webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  secret = \"${c4n4ry\"\n}\n",
    ];
    for text in mistakes {
        let said = read(text).unwrap_err();
        assert!(!said.contains(secret), "{text}\n{said}");
    }
    let project = read("webhook \"a\" {\n  url = \"https://x/c4n4ry\"\n  format = \"slack\"\n}\n").unwrap();
    let debug = format!("{:?} {:?}", project.webhooks, project.webhooks[0].destination(&|_| None).unwrap());
    assert!(!debug.contains(secret) && !format!("{:?}", project.sources).contains(secret), "{debug}");
}

//! A random secret is put through every way in and searched for in every sink, in every common encoding: the ledger, its blobs,
//! plan files, what commands show and log at trace level, JSON events, evidence, errors, and the arguments of processes; with
//! `encryption` and without. First it is proven that the search would find it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use super::support::canary::Canary;
use super::support::keys::{Keys, environment, keys};
use super::support::postgres::{Postgres, query};
use super::support::s3::{BUCKET, REGION, Server};
use super::support::{Ran, Sandbox};

const MAIN: &str = "environments/local/main.hcl";

/// Where a secret may stand in clear: what a local command or service was handed, on the machine that it runs on, in files of
/// their owner alone; and what the program itself wrote.
const DESTINATIONS: [&str; 3] = ["state/local/run/", "state/local/logs/", "state/local/commands/"];

struct Trial {
    sandbox: Sandbox,
    canary: Canary,
    variables: Vec<(String, String)>,
    /// Files in which the test itself put it.
    own: Vec<PathBuf>,
    leaks: Vec<String>,
}

impl Trial {
    fn new(configuration: &str, canary: Canary, encrypted: bool) -> Self {
        Self::kept("", Sandbox::new(), configuration, canary, encrypted)
    }

    /// One whose ledger is kept where this `state` block says.
    fn kept(state: &str, sandbox: Sandbox, configuration: &str, canary: Canary, encrypted: bool) -> Self {
        // Sealed for somebody whose identity nobody has.
        let nobody = keys();
        let recipients: &[&Keys] = if encrypted { &[&nobody] } else { &[] };
        let head = environment(recipients, state);
        sandbox.write(MAIN, &format!("{head}{configuration}"));
        Self { sandbox, canary, variables: Vec::new(), own: Vec::new(), leaks: Vec::new() }
    }

    fn given(mut self, name: &str) -> Self {
        self.variables.push((name.to_owned(), self.canary.text.clone()));
        self
    }

    /// A file of the project that holds it because people put it there, and files that Gantry is asked to make of it.
    fn own(mut self, path: &str, text: Option<&str>) -> Self {
        if let Some(text) = text {
            std::fs::write(self.sandbox.project().join(path), text).expect("the project is writable");
        }
        self.own.push(self.sandbox.project().join(path));
        self
    }

    /// Runs a command with everything logged, and looks at what it shows and at the arguments of all processes meanwhile.
    fn run(&mut self, arguments: &[&str]) -> Ran {
        let mut variables = vec![("GANTRY_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")];
        variables.extend(self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let watch = self.canary.watch_arguments();
        let ran = self.sandbox.run_in(&variables, arguments);
        let own = arguments.iter().any(|a| self.canary.found_in(a.as_bytes()).is_some());
        let by_people = |line: &String| own && line.contains("--var");
        self.leaks.extend(watch.seen().into_iter().filter(|line| !by_people(line)).map(|l| format!("arguments: {l}")));
        for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            if let Some(form) = self.canary.found_in(text.as_bytes()) {
                self.leaks.push(format!("{name} of {arguments:?}: {form}\n{text}"));
            }
        }
        ran
    }

    /// Everything that shows something of an environment.
    fn look(&mut self) {
        for words in [
            "show local",
            "show local --json",
            "output local",
            "output local --json",
            "history local",
            "history local --json",
            "state list local",
            "state pull local",
            "state verify local",
            "graph local",
            "validate local",
            "plan local",
            "plan local --json",
            "plan local --refresh=false",
        ] {
            drop(self.run(&words.split(' ').collect::<Vec<_>>()));
        }
        let listed = self.run(&["state", "list", "local"]);
        for address in listed.stdout.lines() {
            drop(self.run(&["state", "show", "local", address]));
            drop(self.run(&["state", "show", "local", address, "--json"]));
        }
    }

    /// Looks at everything on the disk, and requires that there was nothing.
    #[track_caller]
    fn ends_clean(self) {
        self.ends_clean_with(&[]);
    }

    /// The same, with what stands in other places, by their names.
    #[track_caller]
    fn ends_clean_with(mut self, elsewhere: &[(String, Vec<u8>)]) {
        for (name, bytes) in elsewhere {
            let found = self.canary.found_in(bytes).or_else(|| self.canary.found_in(name.as_bytes()));
            self.leaks.extend(found.map(|form| format!("{form} in {name}")));
        }
        let project = self.sandbox.project();
        let allowed = |path: &PathBuf| {
            let inside = path.strip_prefix(&project).expect("the search stays inside").to_string_lossy().into_owned();
            self.own.contains(path) || DESTINATIONS.iter().any(|d| inside.starts_with(d))
        };
        let found = self.canary.files(&project);
        self.leaks.extend(
            found
                .into_iter()
                .filter(|(path, _)| !allowed(path))
                .map(|(path, form)| format!("{form} in {}", path.display())),
        );
        assert!(self.leaks.is_empty(), "the secret {:?} leaked:\n{}", self.canary.text, self.leaks.join("\n"));
    }
}

#[test]
fn the_search_finds_what_leaks() {
    let canary = Canary::new();
    assert_eq!(canary.found_in(b"nothing of it"), None);
    for (name, form) in canary.forms() {
        let text = [b"around ".as_slice(), &form, b" it"].concat();
        assert!(canary.found_in(&text).is_some(), "{name} in a text");
        // In each kind of file: the ledger, a blob, a plan file, the lease.
        let project = || Trial::new("", canary.clone(), false);
        for path in ["state/local/ledger/1.jsonl", "state/local/blobs/ab/cd", "p.plan", "state/local/lease"] {
            let trial = project();
            let path = trial.sandbox.project().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
            assert_eq!(canary.files(&trial.sandbox.project()).len(), 1, "{name} in {}", path.display());
            let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trial.ends_clean()));
            assert!(clean.is_err(), "{name} in {} is told", path.display());
        }
    }
    // In what a command says, and in the arguments of a process.
    for script in
        ["printf %s \"$S\"", "printf %s \"$S\" >&2", "printf %s \"$S\" | base64 -w0", "sh -c : \"$S\"", "exec true"]
    {
        let script = format!("{script}\n: > started\nuntil [ -e go ]; do sleep 0.01; done\n");
        let leaks = |script: &str| {
            let mut trial = Trial::new("", canary.clone(), false).given("S");
            trial.sandbox = trial.sandbox.with_script(script);
            std::fs::write(trial.sandbox.project().join("go"), "").unwrap();
            drop(trial.run(&["plan"]));
            !trial.leaks.is_empty()
        };
        match script.as_str() {
            s if s.starts_with("exec") => assert!(!leaks(s), "nothing is said where nothing leaks"),
            s if s.starts_with("sh") => {
                // A short life may be missed; one that lasts for a look is not.
                let lasting = script.replace("sh -c :", "sh -c 'sleep 1; :'");
                assert!(leaks(&lasting), "{lasting}");
            }
            s => assert!(leaks(s), "{s}"),
        }
    }
}

/// A variable that goes into files, records, outputs and a command, by every way in which people give variables.
const VARIABLE: &str = r#"
variable "secret" {
  sensitive = true
}

variable "rest" {
  default = "1"
}

resource "terraform_data" "kept" {
  input            = { a = [var.secret], b = "x${var.secret}y", c = var.rest }
  triggers_replace = base64encode(var.secret)
}

resource "local_file" "file" {
  filename          = "../../out"
  sensitive_content = var.secret
}

resource "local_file" "plain" {
  filename = "../../out2"
  content  = "${var.rest}${var.secret}"
}

resource "local_command" "command" {
  create      = ["sh", "-c", "printf %s \"$S\"; printf %s \"$S\" >&2; printf %s \"$S\" | base64"]
  environment = { S = var.secret }
}

data "local_sensitive_file" "read" {
  filename   = "../../out"
  depends_on = [local_file.file]
}

output "whole" {
  value     = { secret = var.secret, said = local_command.command.stdout, read = data.local_sensitive_file.read.content_base64 }
  sensitive = true
}

output "digest" {
  value     = sha256(var.secret)
  sensitive = true
}

check "holds" {
  assert {
    condition     = var.secret == "no"
    error_message = "It is ${var.rest}."
  }
}
"#;

fn through_a_life(trial: Trial, extra: &[&str]) {
    live(trial, extra).ends_clean();
}

fn live(mut trial: Trial, extra: &[&str]) -> Trial {
    fn with<'a>(words: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
        words.split(' ').chain(extra.iter().copied()).collect()
    }
    drop(trial.run(&with("plan local --out p.plan", extra)).succeeds());
    drop(trial.run(&with("show p.plan", extra)).succeeds());
    drop(trial.run(&with("show p.plan --json", extra)).succeeds());
    drop(trial.run(&with("apply local p.plan", extra)).succeeds());
    let out = trial.sandbox.read("out");
    assert!(out.contains(&trial.canary.text), "the secret came through: {out}");
    trial.look();
    drop(trial.run(&with("apply local --auto-approve --json --var rest=2", extra)).succeeds());
    drop(trial.run(&with("rollback local --auto-approve", extra)).succeeds());
    drop(trial.run(&with("verify local", extra)));
    trial.look();
    drop(trial.run(&with("destroy local --auto-approve --json", extra)).succeeds());
    trial.look();
    trial
}

#[test]
fn a_variable_from_the_environment() {
    for encrypted in [false, true] {
        for name in ["GANTRY_VAR_secret", "TF_VAR_secret"] {
            let trial = Trial::new(VARIABLE, Canary::new(), encrypted).own("out", None).own("out2", None);
            through_a_life(trial.given(name), &[]);
        }
    }
}

#[test]
fn a_variable_from_files_and_the_command_line() {
    let quoted = |canary: &Canary| format!("secret = {}\n", serde_json::Value::from(canary.text.as_str()));
    for encrypted in [false, true] {
        let canary = Canary::new();
        let trial = Trial::new(VARIABLE, canary.clone(), encrypted).own("out", None).own("out2", None);
        through_a_life(trial.own("environments/local/s.auto.gantryvars.hcl", Some(&quoted(&canary))), &[]);

        let canary = Canary::new();
        let trial = Trial::new(VARIABLE, canary.clone(), encrypted).own("out", None).own("out2", None);
        through_a_life(trial.own("s.tfvars", Some(&quoted(&canary))), &["--var-file", "s.tfvars"]);

        let canary = Canary::new();
        let trial = Trial::new(VARIABLE, canary.clone(), encrypted).own("out", None).own("out2", None);
        through_a_life(trial, &["--var", &format!("secret={}", canary.text)]);
    }
}

#[test]
fn the_environment_and_files() {
    let configuration = r#"
variable "rest" {
  default = "1"
}

resource "local_file" "a" {
  filename = "../../out"
  content  = "${env("S")}${var.rest}"
}

resource "local_file" "b" {
  filename          = "../../out2"
  sensitive_content = file("../../secret.txt")
}

resource "terraform_data" "c" {
  input = sensitive(jsondecode(file("../../secret.json")).password)
}

resource "terraform_data" "d" {
  input = sensitive(filebase64("../../secret.txt"))
}
"#;
    for encrypted in [false, true] {
        let canary = Canary::new();
        let json = serde_json::json!({ "user": "u", "password": canary.text }).to_string();
        let trial = Trial::new(configuration, canary.clone(), encrypted).own("out", None).own("out2", None);
        let trial = trial.own("secret.txt", Some(&canary.text)).own("secret.json", Some(&json));
        through_a_life(trial.given("S"), &[]);
    }
}

#[test]
fn an_ephemeral_variable() {
    let configuration = "variable \"once\" {\n  ephemeral = true\n}\n\nvariable \"rest\" {\n  default = \"1\"\n}\n\n\
                         locals {\n  long = \"${var.once}-${var.rest}\"\n}\n\n\
                         resource \"local_file\" \"f\" {\n  filename = \"../../out\"\n  content  = var.rest\n}\n\n\
                         check \"c\" {\n  assert {\n    condition     = length(local.long) > 1\n    error_message = \"No.\"\n  }\n}\n";
    for encrypted in [false, true] {
        let mut trial = Trial::new(configuration, Canary::new(), encrypted).given("GANTRY_VAR_once");
        drop(trial.run(&["plan", "local", "--out", "p.plan"]).succeeds());
        drop(trial.run(&["apply", "local", "p.plan"]).succeeds());
        drop(trial.run(&["apply", "local", "--auto-approve", "--var", "rest=2"]).succeeds());
        trial.look();
        // Nowhere, so not sealed either: of what stands in the ledger nothing is in age's form.
        let sealed = trial.sandbox.read(&segment(&trial.sandbox)).contains("\"age\"");
        assert!(!sealed, "an ephemeral value is sealed");
        trial.ends_clean();
    }
}

fn segment(sandbox: &Sandbox) -> String {
    let folder = sandbox.project().join("state/local/ledger");
    let entries = std::fs::read_dir(folder).expect("there is a ledger").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    format!("state/local/ledger/{}", names.max().expect("it has a segment"))
}

/// A command that fails and says everything that it was handed, in all encodings.
#[test]
fn a_command_that_fails() {
    let configuration = r#"
variable "secret" {
  sensitive = true
}

resource "local_command" "c" {
  create      = ["python3", "../../say.py"]
  environment = { S = var.secret }
}
"#;
    for encrypted in [false, true] {
        let mut trial = Trial::new(configuration, Canary::new(), encrypted).given("GANTRY_VAR_secret");
        trial.sandbox.write("say.py", SAY);
        for json in [&["apply", "local", "--auto-approve"][..], &["apply", "local", "--auto-approve", "--json"]] {
            let ran = trial.run(json);
            assert!(!matches!(ran.code(), Some(0)), "it fails: {ran:?}");
        }
        trial.look();
        trial.ends_clean();
    }
}

/// Says the secret in all encodings on both streams, and fails.
const SAY: &str = r#"
import base64, json, os, sys, urllib.parse
s = os.environ["S"]
b = s.encode()
forms = [b, b.hex().encode(), b.hex().upper().encode(), json.dumps(s).encode(), json.dumps(s, ensure_ascii=False).encode(),
         urllib.parse.quote(s, safe="").encode(), s.encode("utf-16-le"), s.encode("utf-16-be"), repr(s).encode()]
for n in range(3):
    forms += [base64.b64encode(b"u" * n + b + b"v"), base64.urlsafe_b64encode(b"u" * n + b + b"v")]
for out in [sys.stdout.buffer, sys.stderr.buffer]:
    for form in forms:
        out.write(b"said: " + form + b"\n")
    out.flush()
sys.exit(3)
"#;

/// A server that answers every request with an error and the whole request, twice encoded.
fn echo() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 16384];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let hex: String = buffer[..read].iter().map(|b| format!("{b:02x}")).collect();
            let body = [&buffer[..read], hex.as_bytes()].concat();
            let head = format!("HTTP/1.1 500 Oh\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    port
}

#[test]
fn a_check_that_fails() {
    let configuration = r#"
variable "secret" {
  sensitive = true
}

resource "terraform_data" "d" {
  input = "x"
}

smoke_test "http" {
  depends_on = [terraform_data.d]
  http {
    url     = "http://127.0.0.1:PORT/"
    headers = { Authorization = "Bearer ${var.secret}" }
  }
  timeout = "2s"
}

smoke_test "body" {
  depends_on = [terraform_data.d]
  http {
    method = "POST"
    url    = "http://127.0.0.1:PORT/p"
    body   = jsonencode({ token = var.secret })
    expect {
      json = { "$.status" = var.secret }
    }
  }
  timeout = "2s"
}

smoke_test "command" {
  depends_on = [terraform_data.d]
  command {
    argv        = ["python3", "../../say.py"]
    environment = { S = var.secret }
  }
  timeout = "5s"
}
"#;
    let configuration = configuration.replace("PORT", &echo().to_string());
    for encrypted in [false, true] {
        // A header takes no more than letters.
        let mut trial = Trial::new(&configuration, Canary::plain(), encrypted).given("GANTRY_VAR_secret");
        trial.sandbox.write("say.py", SAY);
        for json in [&["apply", "local", "--auto-approve"][..], &["apply", "local", "--auto-approve", "--json"]] {
            let ran = trial.run(json).exits(3);
            assert!(
                format!("{}{}", ran.stdout, ran.stderr).contains("sensitive"),
                "it is said that something is hidden"
            );
        }
        trial.look();
        trial.ends_clean();
    }
}

const DATABASE: &str = r#"
variable "url" {
  sensitive = true
}

migration "m" {
  database = var.url
  source   = "../../migrations"
}
"#;

#[tokio::test]
async fn the_url_of_a_database() {
    let server = Postgres::shared();
    for encrypted in [false, true] {
        let canary = Canary::plain();
        let url = server.database().await.replace("s3cret-word", &canary.text);
        let mut trial = Trial::new(DATABASE, canary.clone(), encrypted);
        trial.variables.push(("GANTRY_VAR_url".into(), url.clone()));
        trial.sandbox.write("migrations/0001_a.up.sql", "CREATE TABLE a (n INTEGER);\n");
        trial.sandbox.write("migrations/0001_a.down.sql", "DROP TABLE a;\n");
        drop(trial.run(&["plan", "local", "--out", "p.plan"]).succeeds());
        drop(trial.run(&["apply", "local", "p.plan"]).succeeds());
        trial.look();
        trial.sandbox.write("migrations/0002_b.up.sql", "CREATE TABLE b (n INTEGER);\nSELECT nope FROM nowhere;\n");
        trial.sandbox.write("migrations/0002_b.down.sql", "DROP TABLE b;\n");
        drop(trial.run(&["apply", "local", "--auto-approve"]).exits(3));
        trial.sandbox.write("migrations/0002_b.up.sql", "CREATE TABEL b;\n");
        drop(trial.run(&["apply", "local", "--auto-approve", "--json"]).exits(3));
        trial.look();
        let database = url.rsplit_once('/').unwrap().0;
        for wrong in [
            format!("{database}/no_such_database"),
            format!("postgres://u@127.0.0.1:1/d?password={}", canary.text),
            format!("postgres://u:{}@127.0.0.1:1/d", canary.text),
            format!("postgres://u:{}@%2Fnowhere/d", canary.text),
            format!("postgres://u:{}@[::bad/d", canary.text),
            format!("mysql://u:{}@h/d", canary.text),
            canary.text.clone(),
        ] {
            trial.variables = vec![("GANTRY_VAR_url".into(), wrong)];
            for command in [["plan", "local"], ["validate", "local"]] {
                drop(trial.run(&command));
            }
            drop(trial.run(&["apply", "local", "--auto-approve"]));
        }
        trial.ends_clean();
    }
}

/// A service that says its secret and ends at once, again and again: its log becomes evidence.
#[test]
fn a_service_that_never_gets_up() {
    let configuration = r#"
variable "secret" {
  sensitive = true
}

resource "local_service" "s" {
  command     = ["python3", "../../say.py"]
  port        = {port}
  environment = { S = var.secret }
  readiness {
    http_path = "/"
    timeout   = "3s"
  }
}
"#;
    for encrypted in [false, true] {
        let mut trial = Trial::new(configuration, Canary::new(), encrypted).given("GANTRY_VAR_secret");
        trial.sandbox.write("say.py", SAY);
        let ran = trial.run(&["apply", "local", "--auto-approve"]);
        assert!(!matches!(ran.code(), Some(0)), "it fails: {ran:?}");
        trial.look();
        trial.ends_clean();
    }
}

/// All rows of all tables of a ledger in PostgreSQL, as text, in which bytes are hexadecimal.
async fn rows(url: &str) -> Vec<(String, Vec<u8>)> {
    let tables =
        query(url, "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'gantry'").await;
    let mut all = Vec::new();
    for table in tables {
        let rows = query(url, &format!("SELECT t::text FROM gantry.{table} AS t")).await;
        all.extend(rows.into_iter().map(|row| (format!("a row of {table}"), row.into_bytes())));
    }
    all
}

/// That what was looked into is really the ledger: what has to stand in it is found there.
#[track_caller]
fn is_a_ledger(places: &[(String, Vec<u8>)]) {
    let found = |word: &str| {
        let hex: String = word.bytes().map(|b| format!("{b:02x}")).collect();
        places.iter().any(|(_, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            text.contains(word) || text.contains(&hex)
        })
    };
    assert!(found("run_started") && !found("no such word"), "these are not a ledger's places");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_a_database() {
    let server = Postgres::shared();
    for encrypted in [false, true] {
        let canary = Canary::new();
        let url = server.database().await;
        let sandbox = Sandbox::new().with("STATE_URL", url.clone());
        let state = "  state \"postgres\" {\n    url = env(\"STATE_URL\")\n  }\n";
        let trial = Trial::kept(state, sandbox, VARIABLE, canary.clone(), encrypted).own("out", None).own("out2", None);
        let trial = live(trial.given("GANTRY_VAR_secret"), &[]);
        let found = rows(&url).await;
        is_a_ledger(&found);
        trial.ends_clean_with(&found);
        // The search would have found it there.
        let put = format!(
            "INSERT INTO gantry.blob_part (name, digest, part, bytes) VALUES ('local', '', 0, convert_to($$a {} b$$, 'UTF8'))",
            canary.text
        );
        drop(query(&url, &put).await);
        assert!(rows(&url).await.iter().any(|(_, row)| canary.found_in(row).is_some()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_a_bucket() {
    for encrypted in [false, true] {
        let server = Server::start().await;
        let sandbox = Sandbox::new().with_store(&server.endpoint);
        let state = format!(
            "  state \"s3\" {{\n    bucket   = \"{BUCKET}\"\n    region   = \"{REGION}\"\n    endpoint = env(\"STORE\")\n  }}\n"
        );
        let trial = Trial::kept(&state, sandbox, VARIABLE, Canary::new(), encrypted);
        let trial = live(trial.own("out", None).own("out2", None).given("GANTRY_VAR_secret"), &[]);
        let objects: Vec<_> = server.state().objects.iter().map(|(key, o)| (key.clone(), o.bytes.to_vec())).collect();
        is_a_ledger(&objects);
        trial.ends_clean_with(&objects);
    }
}

//! What people are told, through the command line: every mistake of `tests/errors/*.txt` with what `gantry` says to it, places
//! and carets included, and its exit code.
//!
//! A case is
//! ```text
//! === name
//! % shell command in the project, before
//! @ SQL in the case's own database
//! $ gantry's arguments; of several, all but the last have to succeed
//! the text of environments/test/main.hcl
//! >>> path/of/another/file
//! its text
//! --- EXIT CODE
//! what the last command said on stderr
//! ```
//! `%`, `@` and `$` lines come first, and run in their order once the files are written. Without a `$` line it is `validate test`.
//! A case that names `STATE_URL` or another of [`Databases`] gets a database of its own.
//!
//! `GANTRY_BLESS=1` writes what was said anew; the difference is then read by a person.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::Sandbox;
use super::support::postgres::Postgres;

/// A mistake and what is said to it.
struct Case<'a> {
    name: &'a str,
    /// Everything between the name and the messages, as it stands in the file.
    source: &'a str,
    expected: &'a str,
}

/// One line of what is done.
enum Act<'a> {
    Shell(&'a str),
    Sql(&'a str),
    Gantry(&'a str),
}

impl<'a> Case<'a> {
    fn all(text: &'a str) -> Vec<Self> {
        let parse = |case: &'a str| {
            let (name, rest) = case.split_once('\n').expect("a case has a name and a body");
            let (source, expected) = rest.split_once("\n--- ").unwrap_or((rest.trim_end(), ""));
            Self { name, source, expected }
        };
        text.split("=== ").skip(1).map(parse).collect()
    }

    fn acts(&self) -> Vec<Act<'a>> {
        let act = |line: &'a str| {
            let shell = line.strip_prefix("% ").map(Act::Shell);
            let sql = || line.strip_prefix("@ ").map(Act::Sql);
            shell.or_else(sql).or_else(|| line.strip_prefix("$ ").map(Act::Gantry))
        };
        let mut acts: Vec<Act<'a>> = self.source.lines().map_while(act).collect();
        if !acts.iter().any(|a| matches!(a, Act::Gantry(_))) {
            acts.push(Act::Gantry("validate test"));
        }
        acts
    }

    fn files(&self) -> Vec<(&'a str, String)> {
        let mut files = vec![("environments/test/main.hcl", String::new())];
        let is_act = |line: &&str| ["% ", "@ ", "$ "].iter().any(|start| line.starts_with(start));
        for line in self.source.lines().skip_while(is_act) {
            match line.strip_prefix(">>> ") {
                Some(path) => files.push((path, String::new())),
                None => {
                    let (_, text) = files.last_mut().expect("text follows a file's name");
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        files
    }

    /// The exit code and what was said.
    fn play(&self) -> String {
        let databases = self.source.contains("STATE_").then(|| Databases::new(self.source));
        let sandbox = Sandbox::new().with("SECRET", "hunter2");
        let sandbox = databases.iter().flat_map(Databases::variables).fold(sandbox, |s, (name, url)| s.with(name, url));
        for (path, text) in self.files() {
            // No `{port}` is expanded here: a mistake is written as it stands.
            let path = sandbox.project().join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the sandbox is writable");
            std::fs::write(path, text).expect("the sandbox is writable");
        }
        let acts = self.acts();
        let last = acts.iter().rposition(|a| matches!(a, Act::Gantry(_))).expect("a case runs gantry");
        for (i, act) in acts.iter().enumerate() {
            match act {
                Act::Shell(line) => shell(&sandbox, line),
                Act::Sql(sql) => databases.as_ref().expect("the case names STATE_URL").carry_out(sql),
                Act::Gantry(words) if i < last => drop(sandbox.run_all(&split(words)).succeeds()),
                Act::Gantry(words) => {
                    let ran = sandbox.run_all(&split(words));
                    let code = ran.code().map_or("signal".to_owned(), |c| c.to_string());
                    let said = databases.iter().fold(ran.stderr, |said, d| d.normalise(&said));
                    return format!("{code}\n{}\n", sandbox.normalise(&said));
                }
            }
        }
        unreachable!("there is a command in every case")
    }
}

/// A database of a case's own, and other ways to it.
struct Databases {
    server: &'static Postgres,
    name: String,
    /// The URL of a standby, where the case names one.
    standby: Option<String>,
}

impl Databases {
    fn new(source: &str) -> Self {
        let server = Postgres::shared();
        static ROLES: std::sync::Once = std::sync::Once::new();
        ROLES.call_once(|| {
            wait_for(server.psql("postgres", "CREATE ROLE stranger LOGIN PASSWORD 'right'; CREATE ROLE reader LOGIN"));
        });
        let url = wait_for(server.database());
        static STANDBY: std::sync::OnceLock<Postgres> = std::sync::OnceLock::new();
        let standby = || STANDBY.get_or_init(|| server.standby()).url("postgres");
        let standby = source.contains("STATE_STANDBY").then(standby);
        Self { server, name: url.rsplit('/').next().expect("a URL names a database").to_owned(), standby }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.server.url(&self.name);
        vec![
            ("STATE_STRANGER", url.replace("tester:s3cret-word", "stranger:hunter2")),
            ("STATE_READER", url.replace("tester:s3cret-word", "reader")),
            ("STATE_NO_DATABASE", self.server.url("nobodys")),
            ("STATE_NOWHERE", format!("{url}?host=/tmp/gantry-nowhere")),
            ("STATE_STANDBY", self.standby.clone().unwrap_or_default()),
            ("STATE_URL", url),
        ]
    }

    fn carry_out(&self, sql: &str) {
        wait_for(self.server.psql(&self.name, sql));
    }

    fn normalise(&self, said: &str) -> String {
        let directory = self.server.directory().display().to_string();
        // A standby's differs by its number.
        let (start, _) = directory.rsplit_once('-').expect("it ends with its number");
        let servers = regex::Regex::new(&format!("{}-[0-9]{{2}}", regex::escape(start))).expect("it is escaped");
        servers.replace_all(said, "{server}").replace(&self.name, "{database}")
    }
}

fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(work)
}

/// Words at spaces; single quotes keep them together.
fn split(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').expect("a quote is closed"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn shell(sandbox: &Sandbox, line: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", line]).current_dir(sandbox.project()).stdin(Stdio::null());
    let status = command.status().expect("terraform starts");
    assert!(status.success(), "{line}: {status}");
}

/// What is said to each of the cases, some of them at a time: most of it is waiting for processes.
fn at_once(cases: &[Case<'_>]) -> Vec<String> {
    let share = cases.len().div_ceil(8).max(1);
    std::thread::scope(|scope| {
        let play = |part| scope.spawn(move || <[Case<'_>]>::iter(part).map(Case::play).collect::<Vec<_>>());
        let running: Vec<_> = cases.chunks(share).map(play).collect();
        running.into_iter().flat_map(|part| part.join().expect("no case panics")).collect()
    })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors")
}

/// A message is no use without its parts: what it is about, why, and, where the reason does not say it already, what to do.
fn is_whole(name: &str, said: &str) {
    assert!(!said.contains("panicked"), "{name}: {said}");
    let mut lines = said.lines();
    let code = lines.next().unwrap_or_default();
    assert!(["1", "5", "6"].contains(&code), "{name}: exit code {code}");
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with("Error: ") || first.starts_with("error: "), "{name} begins with what it is: {first:?}");
    assert!(lines.any(|l| l.len() > 20), "{name} says why: {said}");
    assert!(!said.contains("hunter2"), "{name} tells a secret");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch that rewrites")]
fn every_mistake_is_told_as_pinned() {
    let bless = std::env::var_os("GANTRY_BLESS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut count, mut wrong) = (0, String::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut blessed = String::new();
        let cases = Case::all(&text);
        let played = at_once(&cases);
        for (case, said) in cases.iter().zip(played) {
            count += 1;
            let _ = write!(blessed, "=== {}\n{}\n--- {said}\n", case.name, case.source);
            if bless {
                continue;
            }
            is_whole(case.name, &said);
            if said.trim_end() != case.expected.trim_end() {
                let _ = write!(wrong, "{}: {}\n{said}\ninstead of\n{}\n", file.display(), case.name, case.expected);
            }
        }
        if bless {
            std::fs::write(&file, blessed.trim_end().to_owned() + "\n").unwrap();
        }
    }
    assert!(count >= 60, "{count}");
    assert!(wrong.is_empty(), "{wrong}");
}

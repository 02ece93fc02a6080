//! Golden transcripts: what a user types, and what he sees.
//!
//! A scenario is a text file. Its lines are:
//!
//! ```text
//! # a remark                           nothing
//! # project NAME                       copies tests/projects/NAME
//! # ship VARIANT                       makes a variant of the shop the program that the next build takes
//! # migrations NUMBER…                 adds migrations of the sample
//! # write FILE <<EOF                   writes the lines up to EOF
//! # remove FILE                        removes a file
//! $ gantry plan local                  runs it; quotes as in a shell, but no shell
//! $ echo 'TEXT' | gantry console local  the same with a line on its standard input
//! $ GET {port}/health                  asks, and shows the status and the body
//! $ POST {port}/orders {"sku": "A1"}   the same with a body, which goes to the end of the line
//! ```
//!
//! What follows a `$` line is what is seen, both outputs in their order, up to the next line that begins with `$ ` or
//! `# `; output that begins like that is marked with a `\\`. Of what `apply`, `plan --out` and their like show, the plan is left out.
//! `[exit 3]` stands at its end where the exit code is not 0. `{port}`, `{port_NAME}`, `{project}` and `{sandbox}` stand for
//! what they name, `{time}`, `{digest}`, `{id}`, `{pid}` and `{duration}` for what differs. `GANTRY_BLESS=1` rewrites the
//! file with what was seen.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::http;
use super::sandbox::Sandbox;

/// A golden transcript.
pub(crate) struct Scenario {
    path: PathBuf,
    text: String,
}

impl Scenario {
    /// A file of `tests/scenarios`.
    pub(crate) fn at(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("no scenario {}: {e}", path.display()));
        Self { path, text }
    }

    /// Runs it in a sandbox, and requires that what is seen is what is written; with `bless`, writes what is seen.
    pub(crate) fn check(&self, sandbox: &Sandbox, bless: bool) {
        self.check_played(bless, |text| play(sandbox, text));
    }

    /// The same for one that is played in another way.
    pub(crate) fn check_played(&self, bless: bool, play: impl FnOnce(&str) -> String) {
        let seen = play(&self.text);
        if seen == self.text {
            return;
        }
        if bless {
            std::fs::write(&self.path, seen).expect("the scenarios are writable");
        } else {
            let difference = difference(&self.text, &seen);
            panic!("{} differs (GANTRY_BLESS=1 rewrites it):\n{difference}", self.path.display());
        }
    }
}

/// Whether whoever runs the tests wants the transcripts rewritten.
#[expect(clippy::disallowed_methods, reason = "that is how he says so")]
pub(crate) fn bless() -> bool {
    std::env::var_os("GANTRY_BLESS").is_some()
}

/// The names of all scenarios.
pub(crate) fn all() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("there is a folder of scenarios");
    let names = entries.map(|entry| entry.expect("the folder is readable").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".txt")?.to_owned())).collect();
    names.sort();
    names
}

/// Where the scenarios are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Carries a scenario out, and returns it with what was seen in place of what was expected.
pub(crate) fn play(sandbox: &Sandbox, text: &str) -> String {
    let mut seen = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(seen, "{line}");
        if let Some(typed) = line.strip_prefix("$ ") {
            while lines.peek().is_some_and(|line| !line.starts_with("$ ") && !line.starts_with("# ")) {
                lines.next();
            }
            seen.push_str(&run(sandbox, typed));
            if lines.peek().is_some() {
                seen.push('\n');
            }
        } else if let Some(words) = line.strip_prefix("# write ").and_then(|rest| rest.strip_suffix(" <<EOF")) {
            let mut content = String::new();
            for line in lines.by_ref() {
                let _ = writeln!(seen, "{line}");
                if line == "EOF" {
                    break;
                }
                let _ = writeln!(content, "{line}");
            }
            sandbox.write(words, &content);
        } else if let Some(words) = line.strip_prefix("# ") {
            prepare(sandbox, &words.split_whitespace().collect::<Vec<_>>());
        }
    }
    seen
}

/// Carries out a `# ` line; what is no directive is a remark.
fn prepare(sandbox: &Sandbox, words: &[&str]) {
    match words {
        ["project", name] => sandbox.copy_project(name),
        ["ship", variant] => sandbox.ship(variant),
        ["migrations", numbers @ ..] if numbers.iter().all(|n| n.parse::<u32>().is_ok()) => sandbox.migrations(numbers),
        ["remove", path] => std::fs::remove_file(sandbox.project().join(path)).expect("the file is there"),
        _ => {}
    }
}

/// What is seen after a `$ ` line, with its newline at the end unless it is nothing.
fn run(sandbox: &Sandbox, typed: &str) -> String {
    let words = split(typed);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (input, words) = match words.as_slice() {
        ["echo", text, "|", words @ ..] => (format!("{text}\n"), words),
        words => (String::new(), words),
    };
    let mut seen = match words {
        ["gantry", arguments @ ..] => {
            let ran = sandbox.run_fed_as_seen(&input, arguments);
            let mut seen = sandbox.normalise(&ran.stdout);
            let command = arguments.iter().find(|a| !a.starts_with('-'));
            if !matches!(command, Some(&"plan" | &"show")) || arguments.contains(&"--out") {
                seen = without_plan(&seen);
            }
            if ran.code() != Some(0) {
                let end = ran.code().map_or("[killed]".to_owned(), |code| format!("[exit {code}]"));
                seen = if seen.is_empty() { end } else { format!("{seen}\n{end}") };
            }
            seen
        }
        [method @ ("GET" | "POST"), place, ..] => {
            let body = typed.splitn(3, ' ').nth(2).unwrap_or("");
            ask(sandbox, method, &sandbox.expand(place), body)
        }
        _ => panic!("a scenario runs gantry, GET and POST, not {typed:?}"),
    };
    if !seen.is_empty() {
        seen.push('\n');
    }
    // A line of output that reads like a line of the scenario is marked as output.
    let marked = |line: &str| {
        if line.starts_with("# ") || line.starts_with("$ ") { format!("\\{line}\n") } else { format!("{line}\n") }
    };
    seen.lines().map(marked).collect()
}

/// What a changing command shows, without the plan: scenarios that are about plans run `gantry plan`.
fn without_plan(seen: &str) -> String {
    let Some(start) = seen.find("Gantry will ") else { return seen.to_owned() };
    let Some(end) = seen[start..].find("\nPlan: ") else { return seen.to_owned() };
    format!("{}(the plan)\n{}", &seen[..start], &seen[start + end + 1..])
}

fn ask(sandbox: &Sandbox, method: &str, place: &str, body: &str) -> String {
    let (port, path) = place.split_once('/').unwrap_or_else(|| panic!("{place:?} is not PORT/PATH"));
    let port = port.parse().unwrap_or_else(|e| panic!("{place:?} does not begin with a port: {e}"));
    match http::request(method, port, &format!("/{path}"), body) {
        Ok(answer) => sandbox.normalise(&format!("{} {}", answer.status, answer.body)),
        Err(e) => format!("no answer: {:?}", e.kind()),
    }
}

/// Splits into words at spaces; single and double quotes keep them together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ') if begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            (None, ' ') => {}
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// The lines that differ, with what surrounds them.
fn difference(expected: &str, seen: &str) -> String {
    let diff = similar::TextDiff::from_lines(expected, seen);
    diff.unified_diff().context_radius(3).header("expected", "seen").to_string()
}

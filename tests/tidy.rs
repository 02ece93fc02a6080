//! The rules of the house as a test: who may use whom, what is banned where, how long things may get.
//!
//! `STYLE.md` gives the reason for each rule; this file only finds who breaks one. All findings are reported at once,
//! each as `file:line: rule: what to do`. What was too long when it came stands in `tests/tidy-ratchet.txt`, which may
//! only shrink. Every rule is a function over sources in memory, proven on small strings in `tidy/proofs.rs`.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/proofs.rs"]
mod proofs;
#[path = "tidy/scan.rs"]
mod scan;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use scan::Source;

/// Longer files hold more than one thought.
const MAX_FILE_LINES: usize = 600;
/// Longer functions do not fit on a screen.
const MAX_FUNCTION_LINES: usize = 70;
/// A longer golden transcript is blessed without being read.
const MAX_TRANSCRIPT_LINES: usize = 200;

const RATCHET: &str = "tests/tidy-ratchet.txt";

/// A broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.message)
    }
}

impl Source {
    fn finding(&self, line: usize, rule: &'static str, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, rule, message: message.into() }
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        read_sources(root, &root.join(folder), &mut sources);
    }
    assert!(sources.len() > 20, "only {} sources were found: the walk over the tree is broken", sources.len());
    mark_tests(&mut sources);
    let mut findings: Vec<Finding> = sources.iter().flat_map(per_source).collect();
    findings.extend(layers::cycles(&sources));
    findings.extend(undeclared_tests(&sources));
    findings.extend(lengths(&sources, &std::fs::read_to_string(root.join(RATCHET)).expect("the ratchet is readable")));
    for (path, text) in texts(root, "tests/scenarios", "txt") {
        findings.extend(transcript(&path, &text));
    }
    for (path, text) in texts(root, "docs/decisions", "md") {
        findings.extend(decision(&path, &text));
    }
    findings.sort();
    let report: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        report.is_empty(),
        "{} rules are broken (STYLE.md says why each is one):\n{}",
        report.len(),
        report.join("\n")
    );
}

/// A file that another one declares under `#[cfg(test)]` is a test as a whole.
fn mark_tests(sources: &mut [Source]) {
    let tests: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        if tests.iter().any(|test| source.is_in(&[test])) {
            source.make_test();
        }
    }
}

/// The rules that need nothing but one source.
fn per_source(source: &Source) -> Vec<Finding> {
    let mut findings = essay(source);
    findings.extend(words_banned_everywhere(source));
    if source.is_in(&["src/", "examples/"]) {
        findings.extend(words_banned_in_production(source));
    }
    if source.is_in(&["src/"]) {
        findings.extend(banned_paths(source));
        findings.extend(unordered_collections(source));
        findings.extend(invariants(source));
        findings.extend(logic_in_mod_rs(source));
        findings.extend(layers::who_may_use_whom(source));
        findings.extend(layers::outside_crates(source));
    }
    findings
}

fn essay(source: &Source) -> Vec<Finding> {
    let opens = source.text.starts_with("//! ");
    let advice = "open the file with `//!` and say what it is for";
    if opens { Vec::new() } else { vec![source.finding(1, "essay", advice)] }
}

fn words_banned_everywhere(source: &Source) -> Vec<Finding> {
    let bans = [
        ("unsafe ", "no unsafe code"),
        ("#[allow(", "use #[expect(…, reason = \"…\")], which complains when it is no longer needed"),
        ("#![allow(", "use #![expect(…, reason = \"…\")], which complains when it is no longer needed"),
        ("todo!", "nothing unfinished is committed"),
        ("unimplemented!", "nothing unfinished is committed"),
        ("dbg!", "nothing is printed by the way"),
    ];
    occurrences(source, &source.code, &bans)
}

fn words_banned_in_production(source: &Source) -> Vec<Finding> {
    let mut bans = vec![(".unwrap()", "return the error, or `expect(\"invariant: …\")` if it cannot happen")];
    if source.is_in(&["src/"]) && !source.is_in(&["src/view/", "src/cli/", "src/main.rs"]) {
        for word in ["println!", "eprintln!", "print!", "eprint!"] {
            bans.push((word, "only view and cli print: emit an event or return a diagnostic"));
        }
    }
    if source.is_in(&["src/"]) && !source.is_in(&["src/ports/"]) {
        for word in [".exists()", ".try_exists()", ".canonicalize()", ".read_dir()", ".symlink_metadata()"] {
            bans.push((word, "the disk is asked through ports::fs"));
        }
    }
    occurrences(source, &source.production, &bans)
}

/// Where words stand that do not go on a longer name.
fn occurrences(source: &Source, code: &str, bans: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (word, advice) in bans {
        for (at, _) in code.match_indices(word) {
            let before = code[..at].chars().next_back();
            let goes_on =
                word.starts_with(char::is_alphabetic) && before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            if !goes_on {
                findings.push(source.finding(source.line_of(at), "banned", format!("`{}`: {advice}", word.trim())));
            }
        }
    }
    findings
}

/// Paths that only `ports` may take: the machine is asked in one place.
fn banned_paths(source: &Source) -> Vec<Finding> {
    const PORTS_ONLY: &[(&[&str], &str)] = &[
        (&["std", "fs"], "the disk is ports::fs"),
        (&["tokio", "fs"], "the disk is ports::fs"),
        (&["std", "os", "unix", "fs"], "the disk is ports::fs"),
        (&["std", "process"], "processes are ports::process"),
        (&["tokio", "process"], "processes are ports::process"),
        (&["std", "env"], "the environment is ports::env"),
    ];
    const CLOCKS: [&str; 4] = ["Instant", "SystemTime", "Timestamp", "Zoned"];
    if source.is_in(&["src/ports/"]) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for path in source.paths() {
        let names: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let is_exit_code =
            names.starts_with(&["std", "process", "ExitCode"]) && source.is_in(&["src/cli/", "src/main.rs"]);
        for (banned, advice) in PORTS_ONLY {
            if names.starts_with(banned) && !is_exit_code {
                findings.push(source.finding(path.line, "ports", format!("`{}`: {advice}", names.join("::"))));
            }
        }
        if let [.., clock, "now"] = names[..]
            && CLOCKS.contains(&clock)
        {
            findings.push(source.finding(
                path.line,
                "ports",
                format!("`{clock}::now`: time is read through ports::clock"),
            ));
        }
    }
    findings
}

fn unordered_collections(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/ledger/", "src/plan/", "src/review/", "src/view/", "src/event.rs"]) {
        return Vec::new();
    }
    let advice = "its order would reach output or the ledger: use BTreeMap or BTreeSet";
    occurrences(source, &source.production, &[("HashMap", advice), ("HashSet", advice)])
}

fn invariants(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, call) in source.production.match_indices(".expect(") {
        let argument = source.text[at + call.len()..].trim_start();
        if !argument.starts_with("\"invariant: ") {
            let advice = "the message of `expect` opens with \"invariant: \" and says why this cannot happen";
            findings.push(source.finding(source.line_of(at), "invariant", advice));
        }
    }
    findings
}

fn logic_in_mod_rs(source: &Source) -> Vec<Finding> {
    if !source.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let advice = |name: &str| format!("`fn {name}`: mod.rs holds the essay, declarations and re-exports, never logic");
    source.functions().iter().map(|f| source.finding(f.line, "mod.rs", advice(&f.name))).collect()
}

/// Files and functions that are too long, measured against the ratchet: its entries may neither grow nor be out of date.
fn lengths(sources: &[Source], ratchet: &str) -> Vec<Finding> {
    let mut long: BTreeMap<String, (usize, Finding)> = BTreeMap::new();
    for source in sources.iter().filter(|s| s.is_in(&["src/", "examples/"])) {
        let lines = source.production_lines();
        if lines > MAX_FILE_LINES {
            let finding =
                source.finding(1, "length", format!("{lines} lines; at most {MAX_FILE_LINES}, tests apart: split it"));
            long.insert(format!("file {}", source.path), (lines, finding));
        }
        for function in source.functions().iter().filter(|f| f.lines > MAX_FUNCTION_LINES) {
            let message =
                format!("`fn {}` has {} lines; at most {MAX_FUNCTION_LINES}: split it", function.name, function.lines);
            let key = format!("function {} {}", source.path, function.name);
            let finding = source.finding(function.line, "length", message);
            // Of two functions with one name the longer counts.
            if long.get(&key).is_none_or(|(lines, _)| *lines < function.lines) {
                long.insert(key, (function.lines, finding));
            }
        }
    }
    let mut findings = Vec::new();
    for (index, entry) in ratchet.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
        let (key, allowed) = entry.rsplit_once(' ').unwrap_or((entry, ""));
        let message = match (long.remove(key), allowed.parse::<usize>()) {
            (_, Err(_)) => format!("{entry:?} is no entry: `file PATH LINES` or `function PATH NAME LINES`"),
            (None, _) => format!("`{key}` is no longer too long: remove its entry"),
            (Some((lines, _)), Ok(allowed)) if lines < allowed => {
                format!("`{key}` has shrunk: lower its entry to {lines}")
            }
            (Some((lines, _)), Ok(allowed)) if lines > allowed => {
                format!("`{key}` grew to {lines}: the list may only shrink")
            }
            (Some(_), Ok(_)) => continue,
        };
        findings.push(Finding { path: RATCHET.to_owned(), line: index + 1, rule: "ratchet", message });
    }
    findings.extend(long.into_values().map(|(_, finding)| finding));
    findings
}

/// A file below `tests/it/` that its `main.rs` does not declare is a test that never runs.
fn undeclared_tests(sources: &[Source]) -> Vec<Finding> {
    let declared = sources.iter().find(|s| s.path == "tests/it/main.rs").map_or("", |s| s.code.as_str());
    let mut findings = Vec::new();
    for source in sources {
        let Some(inside) = source.path.strip_prefix("tests/it/") else { continue };
        let name = match inside.split_once('/') {
            None => inside.strip_suffix(".rs").unwrap_or(inside),
            Some((folder, "mod.rs")) => folder,
            Some(_) => continue,
        };
        if name != "main" && !declared.lines().any(|l| l.trim() == format!("mod {name};")) {
            findings.push(source.finding(
                1,
                "undeclared",
                format!("add `mod {name};` to tests/it/main.rs, or it never runs"),
            ));
        }
    }
    findings
}

fn transcript(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    if lines <= MAX_TRANSCRIPT_LINES {
        return Vec::new();
    }
    let message = format!("{lines} lines; at most {MAX_TRANSCRIPT_LINES}: a longer one is blessed without being read");
    vec![Finding { path: path.to_owned(), line: 1, rule: "transcript", message }]
}

/// A decision record names its date, also in its file's name, and its status.
fn decision(path: &str, text: &str) -> Vec<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "README.md" {
        return Vec::new();
    }
    let field = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).map(str::trim);
    let finding = |message: String| Finding { path: path.to_owned(), line: 1, rule: "decision", message };
    let mut findings = Vec::new();
    match field("Date:") {
        Some(date) if !is_date(date) => findings.push(finding(format!("`Date: {date}` is not YYYY-MM-DD"))),
        Some(date) if !name.starts_with(&format!("{date}-")) => {
            findings.push(finding(format!("the name has to begin with its date: {date}-…")));
        }
        Some(_) => {}
        None => findings.push(finding("a line `Date: YYYY-MM-DD` is missing".to_owned())),
    }
    match field("Status:") {
        Some("proposed" | "accepted" | "rejected") => {}
        Some(status) if status.starts_with("superseded by ") => {}
        _ => findings
            .push(finding("a line `Status: proposed|accepted|rejected|superseded by FILE` is missing".to_owned())),
    }
    findings
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
}

fn read_sources(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            read_sources(root, &path, sources);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is readable text");
            let inside = path.strip_prefix(root).expect("the walk stays below the root");
            sources.push(Source::new(&inside.to_string_lossy(), &text));
        }
    }
}

fn texts(root: &Path, folder: &str, extension: &str) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return Vec::new() };
    let paths = entries.map(|e| e.expect("the folder is readable").path());
    paths
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .map(|p| {
            let name = p.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            (format!("{folder}/{name}"), std::fs::read_to_string(&p).expect("the file is readable text"))
        })
        .collect()
}

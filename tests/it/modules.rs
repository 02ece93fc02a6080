//! Whole projects against what Terraform 1.11 made of them: every case of `tests/language/modules/` (recorded by
//! `record-modules.py`, which says how a case is written) through `plan`, `show`, `apply` and `plan` again, step by step.
//!
//! Compared are: whether it is refused and at which lines; planned actions with their reasons and moves; outputs with their
//! types; resources with their values; that the next plan is empty; the places of warnings. Of what is known after apply it is
//! compared that Gantry leaves nothing unknown that Terraform knows. The words of errors are ours, `tests/errors` pins them.
//! What is meant to differ stands in `tests/language/modules-differences.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value as Json, json};

use super::support::Sandbox;

/// `case TAB discrepancy TAB reason`
const DIFFERENCES: &str = include_str!("../language/modules-differences.txt");

/// One plan and apply of a case.
#[derive(Debug, Default)]
struct Step {
    /// Files that are written; `None` for one that is removed.
    files: Vec<(String, Option<String>)>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    expected: Json,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language/modules")
}

/// The sections of a case, gathered into its steps.
fn parse(text: &str) -> Vec<Step> {
    let mut steps = vec![Step::default()];
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("-- ").and_then(|l| l.strip_suffix(" --")) {
            Some(name) => sections.push((name.to_owned(), String::new())),
            None => {
                if let Some((_, text)) = sections.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    for (name, text) in sections {
        let step = steps.last_mut().expect("there is one from the start");
        match name.as_str() {
            "next" => steps.push(Step::default()),
            "expect" => step.expected = serde_json::from_str(&text).expect("a recorded result is JSON"),
            "options" => options(step, &text),
            file => match file.strip_suffix(" (gone)") {
                Some(file) => step.files.push((file.to_owned(), None)),
                None => step.files.push((file.to_owned(), Some(text.trim_end_matches('\n').to_owned() + "\n"))),
            },
        }
    }
    steps
}

fn options(step: &mut Step, text: &str) {
    for line in text.lines().filter(|l| !l.is_empty()) {
        match line.split_once(' ') {
            Some(("args", rest)) => step.arguments.extend(words(rest)),
            Some(("env", rest)) => {
                let (name, value) = rest.split_once('=').expect("a variable has a value");
                step.variables.push((name.to_owned(), value.to_owned()));
            }
            _ => panic!("an option is `args` or `env`: {line}"),
        }
    }
}

/// Words at spaces; single quotes keep them together.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => all.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    all.push(word);
    all.retain(|w| !w.is_empty());
    all
}

/// A project and how `gantry` is run in it.
struct Project {
    sandbox: Sandbox,
}

/// What a command said: its exit code, and the JSON lines of its output.
struct Said {
    code: i32,
    lines: Vec<Json>,
    raw: String,
}

impl Project {
    fn directory(&self) -> PathBuf {
        self.sandbox.project().join("environments/default")
    }

    fn write(&self, step: &Step) {
        for (name, text) in &step.files {
            let path = self.directory().join(name);
            std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the sandbox is writable");
            match text {
                Some(text) => std::fs::write(path, text).expect("the sandbox is writable"),
                None => std::fs::remove_file(path).expect("only files that are there go"),
            }
        }
    }

    fn run(&self, step: &Step, arguments: &[&str]) -> Said {
        let mut command: Command = self.sandbox.command(&[]);
        command.args(arguments).current_dir(self.directory());
        command.envs(step.variables.iter().map(|(n, v)| (n, v)));
        let done = command.output().expect("gantry starts");
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let lines = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let raw = format!("{text}{}", String::from_utf8_lossy(&done.stderr));
        assert!(!raw.contains("panicked"), "{raw}");
        Said { code: done.status.code().unwrap_or(-1), lines, raw }
    }

    /// What Gantry makes of a step, in the form in which Terraform's result is recorded.
    fn play(&self, step: &Step) -> Json {
        self.write(step);
        let mut plan = vec!["plan", "default", "--json", "--out", "p.gantry"];
        plan.extend(step.arguments.iter().map(String::as_str));
        let planned = self.run(step, &plan);
        if planned.code != 0 {
            return failed(&planned, "plan");
        }
        let shown = self.run(step, &["show", "p.gantry", "--json"]);
        let Some(document) = shown.lines.first() else { return json!({ "broken": shown.raw }) };
        let (plan, unknown) = planned_changes(document);
        let applied = self.run(step, &["apply", "p.gantry", "--json", "--auto-approve"]);
        if applied.code != 0 {
            return failed(&applied, "apply");
        }
        let state = self.run(step, &["show", "default", "--json"]);
        let Some(state) = state.lines.first() else { return json!({ "broken": state.raw }) };
        let mut again = vec!["plan", "default", "--json", "--detailed-exitcode"];
        again.extend(step.arguments.iter().map(String::as_str).filter(|a| !a.starts_with("-replace")));
        let again = match self.run(step, &again).code {
            0 => "nothing",
            2 => "changes",
            _ => "error",
        };
        let (outputs, resources) = recorded(&state["values"]);
        let warnings = told(&planned, "warning");
        json!({
            "plan": plan, "unknown": unknown, "outputs": outputs, "resources": resources, "again": again,
            "warnings": warnings,
        })
    }
}

fn failed(said: &Said, during: &str) -> Json {
    let mut errors = told(said, "error");
    // What fails on the way is told as the run's end, without a place of its own.
    let ends = said.lines.iter().filter(|l| l["type"] == "run_finished");
    errors.extend(ends.map(|l| json!({ "at": "", "summary": l["run"]["sentence"] })));
    if errors.is_empty() {
        return json!({ "broken": said.raw });
    }
    json!({ "errors": errors, "during": during })
}

/// The diagnostics of a severity, each with its file and line.
fn told(said: &Said, severity: &str) -> Vec<Json> {
    let place = |diagnostic: &Json| {
        let range = &diagnostic["range"];
        match range["filename"].as_str() {
            Some(file) => {
                let file = file.strip_prefix("environments/default/").unwrap_or(file);
                format!("{file}:{}", range["start"]["line"])
            }
            None => String::new(),
        }
    };
    let diagnostics = said.lines.iter().map(|l| &l["diagnostic"]).filter(|d| d["severity"] == severity);
    diagnostics.map(|d| json!({ "at": place(d), "summary": d["summary"] })).collect()
}

fn planned_changes(document: &Json) -> (Map<String, Json>, Vec<String>) {
    let (mut plan, mut unknown) = (Map::new(), Vec::new());
    for change in document["resource_changes"].as_array().into_iter().flatten().filter(|c| c["mode"] == "managed") {
        let address = change["address"].as_str().unwrap_or_default();
        let mut one = Map::new();
        one.insert("actions".into(), change["change"]["actions"].clone());
        for (name, from) in [("reason", "action_reason"), ("from", "previous_address")] {
            if let Some(word) = change.get(from).filter(|w| **w != json!(address)) {
                one.insert(name.into(), word.clone());
            }
        }
        if change["change"]["importing"].is_object() {
            one.insert("importing".into(), json!(true));
        }
        plan.insert(address.to_owned(), Json::Object(one));
        for name in ["input", "triggers_replace"] {
            unknown_paths(&change["change"]["after_unknown"][name], &format!("{address}.{name}"), &mut unknown);
        }
    }
    for (name, change) in document["output_changes"].as_object().into_iter().flatten() {
        unknown_paths(&change["after_unknown"], &format!("output.{name}"), &mut unknown);
    }
    (plan, unknown)
}

fn unknown_paths(shape: &Json, at: &str, found: &mut Vec<String>) {
    match shape {
        Json::Bool(true) => found.push(at.to_owned()),
        Json::Object(all) => all.iter().for_each(|(k, v)| unknown_paths(v, &format!("{at}.{k}"), found)),
        Json::Array(all) => all.iter().enumerate().for_each(|(n, v)| unknown_paths(v, &format!("{at}[{n}]"), found)),
        _ => {}
    }
}

/// Outputs and resources of a state.
fn recorded(values: &Json) -> (Map<String, Json>, Map<String, Json>) {
    let (mut outputs, mut resources) = (Map::new(), Map::new());
    for (name, output) in values["outputs"].as_object().into_iter().flatten() {
        // Terraform forgets outputs that are null.
        if output["value"].is_null() && output["sensitive"] != true {
            continue;
        }
        let one = match output["sensitive"] == true {
            true => json!({ "sensitive": true }),
            false => json!({ "type": output["type"], "value": without_ids(&output["value"]) }),
        };
        outputs.insert(name.clone(), one);
    }
    resources_of(&values["root_module"], &mut resources);
    (outputs, resources)
}

fn resources_of(module: &Json, found: &mut Map<String, Json>) {
    for resource in module["resources"].as_array().into_iter().flatten().filter(|r| r["mode"] == "managed") {
        let (values, marks) = (&resource["values"], &resource["sensitive_values"]);
        let mut one = Map::new();
        for name in ["input", "triggers_replace"] {
            one.insert(name.into(), masked(&values[name], &marks[name]));
        }
        let output = masked(&values["output"], &marks["output"]);
        if output != one["input"] {
            one.insert("output".into(), output);
        }
        one.retain(|_, v| !v.is_null());
        let one = without_ids(&Json::Object(one));
        found.insert(resource["address"].as_str().unwrap_or_default().to_owned(), one);
    }
    for child in module["child_modules"].as_array().into_iter().flatten() {
        resources_of(child, found);
    }
}

fn masked(value: &Json, marks: &Json) -> Json {
    match (value, marks) {
        (_, Json::Bool(true)) => json!("(sensitive)"),
        (Json::Object(all), marks) => all.iter().map(|(k, v)| (k.clone(), masked(v, &marks[k]))).collect(),
        (Json::Array(all), Json::Array(marks)) if all.len() == marks.len() => {
            all.iter().zip(marks).map(|(v, m)| masked(v, m)).collect()
        }
        _ => value.clone(),
    }
}

/// Every id is written `(id)`, in keys as well.
fn without_ids(value: &Json) -> Json {
    match value {
        Json::String(text) => json!(cleaned(text)),
        Json::Array(all) => all.iter().map(without_ids).collect(),
        Json::Object(all) => all.iter().map(|(k, v)| (cleaned(k), without_ids(v))).collect(),
        other => other.clone(),
    }
}

fn cleaned(text: &str) -> String {
    let is_id = |at: usize| {
        let Some(part) = text.get(at..at + 36) else { return false };
        part.char_indices().all(|(n, c)| match n {
            8 | 13 | 18 | 23 => c == '-',
            _ => matches!(c, '0'..='9' | 'a'..='f'),
        })
    };
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if is_id(at) {
            out.push_str("(id)");
            at += 36;
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// In what our result differs from the recorded one, a line each.
fn compare(ours: &Json, theirs: &Json) -> Vec<String> {
    if let Some(raw) = ours.get("broken") {
        return vec![format!("no result: {raw}")];
    }
    let mut found = Vec::new();
    match (ours.get("errors"), theirs.get("errors")) {
        (Some(ours), Some(theirs)) => places("error", ours, theirs, &mut found),
        (Some(ours), None) => found.push(format!("refused: {}", summaries(ours))),
        (None, Some(theirs)) => found.push(format!("accepted, where Terraform says {}", summaries(theirs))),
        (None, None) => {
            places("warning", &ours["warnings"], &theirs["warnings"], &mut found);
            for part in ["plan", "outputs", "resources"] {
                entries(part, &ours[part], &theirs[part], &mut found);
            }
            if ours["again"] != theirs["again"] {
                found.push(format!("again: {} instead of {}", ours["again"], theirs["again"]));
            }
            not_known("unknown", &ours["unknown"], &theirs["unknown"], &mut found);
        }
    }
    let during = |result: &Json| result["during"].as_str().map(str::to_owned);
    if let (Some(ours), Some(theirs)) = (during(ours), during(theirs))
        && ours != theirs
    {
        found.push(format!("refused during {ours} instead of {theirs}"));
    }
    found
}

fn summaries(errors: &Json) -> String {
    let one = |e: &Json| {
        let text = |name: &str| e[name].as_str().unwrap_or_default().to_owned();
        format!("{} ({})", text("summary"), text("at"))
    };
    errors.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
}

/// Where errors or warnings are. One that has no place on either side may be anywhere on the other.
fn places(what: &str, ours: &Json, theirs: &Json, found: &mut Vec<String>) {
    let all = |list: &Json| -> BTreeMap<String, String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|e| (e["at"].as_str().unwrap_or_default().to_owned(), e["summary"].to_string())).collect()
    };
    let (mut ours, mut theirs) = (all(ours), all(theirs));
    if theirs.remove("").is_some() && !ours.is_empty() {
        ours.retain(|at, _| theirs.contains_key(at));
    }
    if ours.remove("").is_some() && !theirs.is_empty() {
        theirs.retain(|at, _| ours.contains_key(at));
    }
    for (at, summary) in theirs.iter().filter(|(at, _)| !ours.contains_key(*at)) {
        found.push(format!("no {what} at {at:?}: {summary}"));
    }
    for (at, summary) in ours.iter().filter(|(at, _)| !theirs.contains_key(*at)) {
        found.push(format!("one more {what} at {at:?}: {summary}"));
    }
}

fn entries(what: &str, ours: &Json, theirs: &Json, found: &mut Vec<String>) {
    let empty = Map::new();
    let all = |json: &'_ Json| json.as_object().cloned().unwrap_or_else(|| empty.clone());
    let (ours, theirs) = (all(ours), all(theirs));
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let (a, b) = (ours.get(name), theirs.get(name));
        let same = a.zip(b).is_some_and(|(a, b)| equal(a, b));
        if !same {
            let text = |side: Option<&Json>| side.map_or_else(|| "nothing".to_owned(), Json::to_string);
            found.push(format!("{what} {name}: {} instead of {}", text(a), text(b)));
        }
    }
}

/// Numbers are equal as doubles: what is beyond that, outputs say as text.
fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

/// What we do not know and Terraform does.
fn not_known(what: &str, ours: &Json, theirs: &Json, found: &mut Vec<String>) {
    let texts = |json: &Json| -> Vec<String> {
        json.as_array().into_iter().flatten().filter_map(|t| t.as_str().map(str::to_owned)).collect()
    };
    let theirs = texts(theirs);
    for path in texts(ours) {
        let within =
            |t: &String| path.strip_prefix(t.as_str()).is_some_and(|r| r.is_empty() || r.starts_with(['.', '[']));
        if !theirs.iter().any(within) {
            found.push(format!("{what}: {path}"));
        }
    }
}

/// In what a case differs, over all of its steps.
fn differs(text: &str) -> Vec<String> {
    let project = Project { sandbox: Sandbox::new() };
    std::fs::create_dir_all(project.directory()).expect("the sandbox is writable");
    let steps = parse(text);
    let many = steps.len() > 1;
    let mut found = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let wrong = compare(&project.play(step), &step.expected);
        let place = |line: String| if many { format!("{}: {line}", number + 1) } else { line };
        found.extend(wrong.into_iter().map(place));
    }
    found
}

/// Plays all cases, several at a time: most of it is waiting for processes.
fn play_all(cases: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((name, text)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((name.clone(), differs(text)));
        }
        done
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|r| r.join().expect("no case panics")).collect()
    })
}

#[expect(clippy::disallowed_methods, reason = "which cases to play, while working on one")]
fn cases() -> Vec<(String, String)> {
    let only = std::env::var("GANTRY_CASE").unwrap_or_default();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the recorded cases are there") {
        let path = entry.expect("the folder is readable").path();
        let name = path.file_stem().expect("a case has a name").to_string_lossy().into_owned();
        if name.contains(&only) {
            found.push((name, std::fs::read_to_string(&path).expect("a case is text")));
        }
    }
    found.sort();
    found
}

#[test]
fn modules_give_what_terraform_gives() {
    let mut meant: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in super::functions::lines(DIFFERENCES) {
        let [case, difference, reason] = line[..] else { panic!("three columns: {line:?}") };
        assert!(reason.len() > 20, "{case} has a reason");
        meant.entry(case).or_default().push(difference);
    }
    let cases = cases();
    let mut wrong = Vec::new();
    for (name, found) in play_all(&cases) {
        let meant = meant.remove(name.as_str()).unwrap_or_default();
        for line in found.iter().filter(|l| !meant.contains(&l.as_str())) {
            wrong.push(format!("{name}\t{line}"));
        }
        for line in meant.iter().filter(|m| !found.iter().any(|l| l == *m)) {
            wrong.push(format!("{name}\tis no difference any more: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn enough_is_recorded() {
    let (mut valid, mut refused, mut steps) = (0, 0, 0);
    for (name, text) in cases() {
        let all = parse(&text);
        let results = || all.iter().map(|s| &s.expected);
        assert!(results().all(Json::is_object), "{name}: record it with tests/language/record-modules.py");
        valid += usize::from(results().any(|r| r.get("errors").is_none()));
        refused += usize::from(results().any(|r| r.get("errors").is_some()));
        steps += usize::from(all.len() > 1);
    }
    assert!(
        valid >= 60 && refused >= 60 && steps >= 30,
        "{valid} valid, {refused} refused, {steps} with several steps"
    );
}

#[test]
fn a_difference_is_seen() {
    let theirs = json!({
        "plan": { "a.b": { "actions": ["create"] } }, "unknown": ["output.x"],
        "outputs": { "x": { "type": "number", "value": 1.0 } }, "resources": {}, "again": "nothing",
    });
    assert_eq!(compare(&theirs, &theirs), Vec::<String>::new());
    let mut ours = theirs.clone();
    ours["plan"]["a.b"]["actions"] = json!(["update"]);
    ours["outputs"]["x"]["value"] = json!(2);
    ours["again"] = json!("changes");
    ours["unknown"] = json!(["output.x.y", "output.z"]);
    ours["warnings"] = json!([{ "at": "main.tf:1", "summary": "W" }]);
    let found = compare(&ours, &theirs);
    let starts = ["one more warning", "plan a.b: ", "outputs x: ", "again: ", "unknown: output.z"];
    assert!(found.len() == 5 && found.iter().zip(starts).all(|(f, s)| f.starts_with(s)), "{found:#?}");
    let refused = |at: &str| json!({ "errors": [{ "at": at, "summary": "E" }], "during": "plan" });
    assert_eq!(compare(&refused("a:1"), &refused("a:1")), Vec::<String>::new());
    assert_eq!(compare(&refused("a:1"), &refused("a:2")).len(), 2);
    assert_eq!(compare(&refused("a:1"), &theirs), ["refused: E (a:1)"]);
    assert_eq!(compare(&theirs, &refused("a:1")), ["accepted, where Terraform says E (a:1)"]);
}

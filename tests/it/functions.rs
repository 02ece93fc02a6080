//! Every built-in function against what Terraform 1.11 printed (`tests/language/functions.txt`), and the differences that
//! are meant (`tests/language/differences.txt`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry::config::parse_expression;
use gantry::diag::{Diagnostic, FileId};
use gantry::eval::{Answer, Budget, Evaluator, Host, Reference, Scope};
use gantry::value::{Kind, Type, Value, show};

const RECORDED: &str = include_str!("../language/functions.txt");
const DIFFERENCES: &str = include_str!("../language/differences.txt");

/// The files that the expressions were recorded with.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        Self(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/language/files"))
    }

    fn walk(&self, directory: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }
}

impl Host for Files {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Answer::Known(bytes.into()),
            Err(e) => Answer::Missing(e.to_string()),
        }
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        let path = self.0.join(path);
        Answer::Known(match () {
            () if path.is_dir() => "directory",
            () if path.is_file() => "file",
            () => "",
        })
    }

    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>> {
        let mut found = Vec::new();
        self.walk(&self.0.join(directory), "", &mut found);
        found.sort();
        Answer::Known(found.into())
    }

    fn variable(&self, name: &str) -> Answer<String> {
        match name {
            "HOME" => Answer::Known("/home/someone".into()),
            _ => Answer::Missing("it is not set".into()),
        }
    }

    fn plan_time(&self) -> Answer<String> {
        Answer::Known("2026-01-02T03:04:05Z".into())
    }

    fn draw(&self, _: &str) -> Option<Value> {
        None
    }

    fn directory(&self) -> String {
        "/work/here".into()
    }
}

/// `unknown.NAME` is known after apply: a string, or what the name says.
struct Unknowns;

impl Scope for Unknowns {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let ty = match reference.attribute(0).map(|name| &**name) {
            Some("any") => Type::Any,
            Some("list") => Type::list(Type::String),
            Some("map") => Type::map(Type::String),
            Some("set") => Type::set(Type::String),
            Some("number") => Type::Number,
            Some("tuple") => Type::Tuple([Type::String, Type::Number].into()),
            Some("object") => Type::object([("a", Type::String), ("b", Type::Number)]),
            _ => Type::String,
        };
        Ok((Value::opaque(ty), 1))
    }
}

fn evaluate(expression: &str) -> Result<Value, Box<Diagnostic>> {
    let term = parse_expression(expression, FileId(0)).unwrap_or_else(|e| panic!("{expression}: {e:?}"));
    let host = Files::new();
    let budget = Budget::new(1_000_000);
    Evaluator { scope: &Unknowns, host: &host, budget: &budget, site: "here" }.evaluate(&Arc::new(term))
}

/// A value as `terraform console` prints it, in one line with escapes.
fn printed(value: &Value) -> String {
    let mut out = String::new();
    print(&mut out, value, 0);
    out.replace('\\', "\\\\").replace('\t', "\\t").replace('\r', "\\r").replace('\n', "\\n")
}

fn print(out: &mut String, value: &Value, depth: usize) {
    let pad = "  ".repeat(depth);
    match &value.kind {
        _ if value.marks.is_sensitive() => out.push_str("(sensitive value)"),
        Kind::Null(Type::String) => out.push_str("tostring(null)"),
        Kind::Null(Type::Number) => out.push_str("tonumber(null)"),
        Kind::Null(Type::Bool) => out.push_str("tobool(null)"),
        Kind::Null(Type::List(_)) => out.push_str("tolist(null) /* of dynamic */"),
        Kind::Null(Type::Set(_)) => out.push_str("toset(null) /* of dynamic */"),
        Kind::Null(Type::Map(_)) => out.push_str("tomap(null) /* of dynamic */"),
        Kind::String(s) if s.contains('\n') => {
            let strip = if depth > 0 { "-" } else { "" };
            out.push_str(&format!("<<{strip}EOT\n"));
            for line in s.split('\n') {
                out.push_str(&format!("{pad}{line}\n"));
            }
            out.push_str(&format!("{pad}EOT"));
        }
        Kind::String(_) => {
            // As Go quotes it.
            let mut text = show(value);
            for (c, escaped) in [('\u{200d}', "\\u200d"), ('\u{200b}', "\\u200b"), ('\u{7f}', "\\x7f")] {
                text = text.replace(c, escaped);
            }
            out.push_str(&text.replace("\\u007f", "\\x7f"));
        }
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            let (open, close) = match &value.kind {
                Kind::List(..) => ("tolist(", ")"),
                Kind::Set(..) => ("toset(", ")"),
                _ => ("", ""),
            };
            out.push_str(open);
            out.push('[');
            for item in items.iter() {
                out.push_str(&format!("\n{pad}  "));
                print(out, item, depth + 1);
                out.push(',');
            }
            if !items.is_empty() {
                out.push_str(&format!("\n{pad}"));
            }
            out.push(']');
            out.push_str(close);
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            let (open, close) = if matches!(value.kind, Kind::Map(..)) { ("tomap(", ")") } else { ("", "") };
            out.push_str(open);
            out.push('{');
            for (name, item) in m.iter() {
                out.push_str(&format!("\n{pad}  {} = ", show(&Value::string(name.clone()))));
                print(out, item, depth + 1);
            }
            if !m.is_empty() {
                out.push_str(&format!("\n{pad}"));
            }
            out.push('}');
            out.push_str(close);
        }
        _ => out.push_str(&show(value)),
    }
}

/// What an error says, without what frames it: which function or parameter.
fn sentence(detail: &str) -> String {
    let framed = ["\" failed: ", "\" parameter: "].iter().find_map(|frame| detail.split_once(frame));
    let plain = framed.map_or(detail, |(_, s)| s).trim_end_matches('.');
    // Conversion errors come from the evaluator, which says them a little more politely.
    let plain = plain.replace(" is required", " required").replace("a set or a list", "set or list");
    let plain = plain.strip_prefix("a ").or_else(|| plain.strip_prefix("an ")).unwrap_or(&plain).to_owned();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(data: &str) -> impl Iterator<Item = Vec<&str>> {
    data.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.split('\t').collect())
}

/// The printed result, or `error: ` and the sentence.
fn answer(expression: &str) -> String {
    match evaluate(expression) {
        Ok(value) => printed(&value),
        Err(e) => format!("error: {}", sentence(&e.detail)),
    }
}

#[test]
fn functions_give_what_terraform_gives() {
    let differences: BTreeMap<&str, &str> = lines(DIFFERENCES).map(|l| (l[0], l[1])).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines(RECORDED) {
        let (expression, recorded) = (line[0], line[1]);
        if differences.contains_key(expression) {
            continue;
        }
        count += 1;
        let wanted = match recorded.strip_prefix("error: ") {
            Some(error) => format!("error: {}", sentence(error.split_once(": ").map_or(error, |(_, detail)| detail))),
            None => recorded.to_owned(),
        };
        let got = answer(expression);
        let counts = wanted.contains("expects at least");
        if got != wanted && !(counts && got.starts_with("error: ")) {
            wrong.push(format!("{expression}\n  got    {got}\n  wanted {wanted}"));
        }
    }
    assert!(count > 900, "the recorded expressions are there: {count}");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn differences_are_as_listed_and_still_are_ones() {
    let recorded: BTreeMap<&str, &str> = lines(RECORDED).map(|l| (l[0], l[1])).collect();
    for line in lines(DIFFERENCES) {
        let [expression, ours, reason] = line[..] else { panic!("three columns: {line:?}") };
        assert!(reason.len() > 10, "{expression} has a reason");
        let terraform = recorded.get(expression).unwrap_or_else(|| panic!("{expression} is recorded"));
        assert_ne!(*terraform, ours, "{expression} is no difference any more");
        assert_eq!(answer(expression), ours, "{expression}");
    }
}

//! The functions' arguments: what Terraform's metadata say of them, and what each function makes of arguments that are known
//! after apply or sensitive, against what Terraform printed (`tests/language/unknown-arguments.txt`,
//! `sensitive-arguments.txt`, `signatures.json`). Differences that are meant stand in `argument-differences.txt`.

use std::collections::BTreeMap;

use gantry::eval::functions::{Parameter, find, plain};
use gantry::value::Type;
use serde_json::Value as Json;

use super::functions::{answer, evaluate, lines, sentence};

const UNKNOWN: &str = include_str!("../language/unknown-arguments.txt");
const SENSITIVE: &str = include_str!("../language/sensitive-arguments.txt");
const DIFFERENCES: &str = include_str!("../language/argument-differences.txt");
const SIGNATURES: &str = include_str!("../language/signatures.json");

/// The functions that the evaluator knows itself, for they take expressions.
const EVALUATED: [&str; 2] = ["can", "try"];

/// What our answer has to be to equal what was recorded.
fn wanted(recorded: &str) -> String {
    match recorded.strip_prefix("error: ") {
        Some(error) => format!("error: {}", sentence(error.split_once(": ").map_or(error, |(_, detail)| detail))),
        None => recorded.to_owned(),
    }
}

/// A type in one way of writing.
fn plain_type(text: &str) -> String {
    let text = text.replace("\\n", "").replace(' ', "").replace(":", "=").replace("dynamic", "any");
    text.replace(",]", "]").replace(",}", "}").replace(",)", ")")
}

/// What an expression gives: its type where `type()` is asked for, which is the console's own.
fn given(expression: &str) -> String {
    match expression.strip_prefix("type(").and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => match evaluate(inner) {
            Ok(value) => value.ty().to_string(),
            Err(e) => format!("error: {}", sentence(&e.detail)),
        },
        None => answer(expression),
    }
}

/// Whether an answer equals the recorded one. Of a type more may be known: whatever stands where Terraform has `dynamic`.
fn same(expression: &str, got: &str, wanted: &str) -> bool {
    if !expression.starts_with("type(") {
        return got == wanted;
    }
    let (got, wanted) = (plain_type(got), plain_type(wanted));
    match wanted.split_once("any") {
        Some((before, after)) => {
            got.len() >= before.len() + after.len() && got.starts_with(before) && got.ends_with(after)
        }
        None => got == wanted,
    }
}

fn check(data: &str, least: usize) {
    let differences: BTreeMap<&str, &str> = lines(DIFFERENCES).map(|l| (l[0], l[1])).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines(data).filter(|l| !differences.contains_key(l[0])) {
        count += 1;
        let (got, wanted) = (given(line[0]), wanted(line[1]));
        if !same(line[0], &got, &wanted) {
            wrong.push(format!("{}\n  got    {got}\n  wanted {wanted}", line[0]));
        }
    }
    assert!(count > least, "the recorded expressions are there: {count}");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn unknown_arguments_give_what_terraform_gives() {
    check(UNKNOWN, 700);
}

#[test]
fn sensitive_arguments_give_what_terraform_gives() {
    check(SENSITIVE, 300);
}

#[test]
fn differences_of_arguments_are_as_listed_and_still_are_ones() {
    let recorded: BTreeMap<&str, &str> = lines(UNKNOWN).chain(lines(SENSITIVE)).map(|l| (l[0], l[1])).collect();
    for line in lines(DIFFERENCES) {
        let [expression, ours, reason] = line[..] else { panic!("three columns: {line:?}") };
        assert!(reason.len() > 10, "{expression} has a reason");
        let terraform = recorded.get(expression).unwrap_or_else(|| panic!("{expression} is recorded"));
        assert!(!same(expression, ours, &wanted(terraform)), "{expression} is no difference any more");
        assert_eq!(given(expression), ours, "{expression}");
    }
}

/// A type as the metadata write it.
fn metadata_type(ty: &Type) -> Json {
    match ty {
        Type::Any => "dynamic".into(),
        Type::List(t) => Json::Array(vec!["list".into(), metadata_type(t)]),
        Type::Set(t) => Json::Array(vec!["set".into(), metadata_type(t)]),
        Type::Map(t) => Json::Array(vec!["map".into(), metadata_type(t)]),
        other => other.to_string().into(),
    }
}

/// Where a parameter of ours is wider than Terraform's: what it cannot say in types, it says in a sentence of its own.
const WIDER: [(&str, &str); 1] = [("templatestring", "template")];

fn compare(function: &str, ours: &Parameter, theirs: &Json, wrong: &mut Vec<String>) {
    if ours.name != theirs["name"] {
        wrong.push(format!("{function}: the parameter {} is called {}", ours.name, theirs["name"]));
    }
    if metadata_type(&ours.ty) != theirs["type"] && !WIDER.contains(&(function, ours.name)) {
        wrong.push(format!("{function}: {} is a {}, not a {}", ours.name, theirs["type"], ours.ty));
    }
    let null = theirs["is_nullable"].as_bool().unwrap_or(false);
    if ours.null != null && !WIDER.contains(&(function, ours.name)) {
        wrong.push(format!("{function}: {} may be null: {null}", ours.name));
    }
}

#[test]
fn every_function_has_terraform_s_signature() {
    let metadata: Json = serde_json::from_str(SIGNATURES).unwrap();
    let signatures = metadata["function_signatures"].as_object().unwrap();
    assert!(signatures.len() > 200, "the signatures are there: {}", signatures.len());
    let mut wrong = Vec::new();
    for (name, theirs) in signatures {
        let name = &*plain(name);
        if EVALUATED.contains(&name) {
            continue;
        }
        let Some(ours) = find(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let parameters = theirs["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        if ours.parameters.len() != parameters.len() {
            wrong.push(format!("{name}: {} parameters, not {}", parameters.len(), ours.parameters.len()));
        }
        for (ours, theirs) in ours.parameters.iter().zip(parameters) {
            compare(name, ours, theirs, &mut wrong);
        }
        match (&ours.variadic, theirs.get("variadic_parameter")) {
            (Some(ours), Some(theirs)) => compare(name, ours, theirs, &mut wrong),
            (None, None) => {}
            (ours, _) => wrong.push(format!("{name}: takes any number of arguments: {}", ours.is_none())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! The language itself, operators, templates, splats, `for`, conditionals, conversions, null, against what Terraform 1.11
//! printed (`tests/language/expressions.txt`, recorded by `record.sh`). Of an error it is compared that there is one: its
//! words are ours, and `tests/errors` pins them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry::config::parse_expression;
use gantry::diag::{Diagnostic, FileId};
use gantry::eval::{Budget, Evaluator, Reference, Scope};
use gantry::value::Value;

use super::functions::{Files, lines, on_one_line, printed};

const RECORDED: &str = include_str!("../language/expressions.txt");

/// What is meant to differ, with the reason.
const DIFFERENCES: &str = include_str!("../language/expressions-differences.txt");

/// Where nothing is declared.
struct Nothing;

impl Scope for Nothing {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        match (&*reference.root, reference.attribute(0).map(|name| &**name)) {
            ("path", Some("root" | "module")) => Ok((Value::string("."), 1)),
            ("terraform", Some("workspace")) => Ok((Value::string("default"), 1)),
            _ => Err(Box::new(Diagnostic::error("Reference to something undeclared", "").at(reference.span))),
        }
    }
}

/// The printed result, or `error: ` with the summary.
fn answer(expression: &str) -> String {
    // `type` is a function of the console alone.
    let inner = expression.strip_prefix("type(").and_then(|rest| rest.strip_suffix(')'));
    match evaluate(inner.unwrap_or(expression)) {
        Ok(value) if inner.is_some() => on_one_line(&gantry::view::human::type_of(&value.ty())),
        Ok(value) => printed(&value),
        Err(summary) => format!("error: {summary}"),
    }
}

fn evaluate(expression: &str) -> Result<Value, String> {
    let term = match parse_expression(expression, FileId(0)) {
        Ok(term) => term,
        Err(e) => return Err(e.iter().map(|d| d.summary.clone()).collect::<Vec<_>>().join("; ")),
    };
    let host = Files::new();
    let budget = Budget::new(1_000_000);
    let evaluator = Evaluator { scope: &Nothing, host: &host, budget: &budget, site: &"here" };
    evaluator.evaluate(&Arc::new(term)).map_err(|e| e.summary)
}

fn is_error(text: &str) -> bool {
    text.starts_with("error: ")
}

/// Every recorded expression has the recorded result, or the one that a listed difference says. Of an error it is compared that
/// there is one.
pub(super) fn same_as_recorded(recorded: &str, differences: &str, least: usize, answer: impl Fn(&str) -> String) {
    let differences: BTreeMap<&str, &str> = lines(differences).map(|l| (l[0], l[1])).collect();
    let (mut count, mut wrong) = (0, Vec::new());
    for line in lines(recorded) {
        let (expression, wanted) = (line[0], line[1]);
        count += 1;
        let got = answer(expression);
        if let Some(ours) = differences.get(expression) {
            assert_ne!(*ours, wanted, "{expression} is no difference");
            assert_eq!(got, *ours, "{expression}");
        } else if got != wanted && !(is_error(&got) && is_error(wanted)) {
            wrong.push(format!("{expression}\n  got    {got}\n  wanted {wanted}"));
        }
    }
    assert!(count > least, "the recorded expressions are there: {count}");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every listed difference is one of something that was recorded, and has a reason.
pub(super) fn reasons_are_given(recorded: &str, differences: &str) {
    let recorded: Vec<&str> = lines(recorded).map(|l| l[0]).collect();
    for line in lines(differences) {
        let [expression, _, reason] = line[..] else { panic!("three columns: {line:?}") };
        assert!(reason.len() > 10, "{expression} has a reason");
        assert!(recorded.contains(&expression), "{expression} is recorded");
    }
}

#[test]
fn expressions_give_what_terraform_gives() {
    same_as_recorded(RECORDED, DIFFERENCES, 600, answer);
}

#[test]
fn differences_have_a_reason() {
    reasons_are_given(RECORDED, DIFFERENCES);
}

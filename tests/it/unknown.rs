//! Values known after apply, and marks, through the whole language, against what `terraform console -plan` of Terraform 1.11
//! printed (`tests/language/unknown.txt`, recorded by `record.sh` in the configuration `tests/language/unknown/main.tf`). Of
//! an error it is compared that there is one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry::config::parse_expression;
use gantry::diag::{Diagnostic, FileId};
use gantry::eval::{Budget, Evaluator, Reference, Scope};
use gantry::value::{Marks, Refinement, Type, Value};

use super::functions::{Files, on_one_line, printed};
use super::language::{reasons_are_given, same_as_recorded};

const RECORDED: &str = include_str!("../language/unknown.txt");
const CONFIGURATION: &str = include_str!("../language/unknown/main.tf");

/// What is meant to differ, with the reason.
const DIFFERENCES: &str = include_str!("../language/unknown-differences.txt");

/// The names of the configuration: `var.NAME`, `local.NAME`, `terraform_data.NAME`.
struct Declared {
    locals: BTreeMap<&'static str, &'static str>,
    inputs: BTreeMap<&'static str, &'static str>,
    variables: BTreeMap<&'static str, Value>,
    known: RefCell<BTreeMap<String, Value>>,
}

impl Declared {
    /// Reads the configuration, which has a resource or local on each line.
    fn read() -> Self {
        let mut this = Self {
            locals: BTreeMap::new(),
            inputs: BTreeMap::new(),
            variables: BTreeMap::new(),
            known: RefCell::default(),
        };
        let mut block = "";
        for line in CONFIGURATION.lines() {
            if let Some(rest) = line.strip_prefix("resource \"terraform_data\" \"") {
                let (name, rest) = rest.split_once("\" { input = ").expect("a resource has an input");
                this.inputs.insert(name, rest.strip_suffix(" }").expect("a resource ends on its line"));
            } else if let Some(rest) = line.strip_prefix("variable \"") {
                block = rest.split('"').next().unwrap_or_default();
            } else if line.starts_with("locals {") {
                block = "locals";
            } else if let Some((name, value)) = line.strip_prefix("  ").and_then(|l| l.split_once('=')) {
                let (name, value) = (name.trim(), value.trim());
                match (block, name) {
                    ("locals", _) => {
                        this.locals.insert(name, value);
                    }
                    (_, "default") => {
                        let value = this.evaluate(value).expect("a default has a value");
                        this.variables.insert(block, value);
                    }
                    (_, mark) => {
                        let marks = if mark == "sensitive" { Marks::SENSITIVE } else { Marks::EPHEMERAL };
                        let value = this.variables.remove(block).expect("the default comes first");
                        this.variables.insert(block, value.mark(marks));
                    }
                }
            }
        }
        this
    }

    fn evaluate(&self, expression: &str) -> Result<Value, Box<Diagnostic>> {
        let term = parse_expression(expression, FileId(0))
            .map_err(|all| Box::new(all.iter().next().expect("a failure says why").clone()))?;
        let host = Files::new();
        let budget = Budget::new(1_000_000);
        Evaluator { scope: self, host: &host, budget: &budget, site: &"here" }.evaluate(&Arc::new(term))
    }

    /// The printed result, or `error: ` with the summary.
    fn answer(&self, expression: &str) -> String {
        // `type` is a function of the console alone.
        let inner = expression.strip_prefix("type(").and_then(|rest| rest.strip_suffix(')'));
        match self.evaluate(inner.unwrap_or(expression)) {
            Ok(value) if inner.is_some() => on_one_line(&gantry::view::human::type_of(&value.ty())),
            Ok(value) => printed(&value),
            Err(e) => format!("error: {}", e.summary),
        }
    }
}

impl Scope for Declared {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let name = reference.attribute(0).map_or("", |name| &**name);
        let undeclared = || Box::new(Diagnostic::error("Reference to something undeclared", "").at(reference.span));
        match &*reference.root {
            "local" => {
                if let Some(value) = self.known.borrow().get(name) {
                    return Ok((value.clone(), 1));
                }
                let value = self.evaluate(self.locals.get(name).ok_or_else(undeclared)?)?;
                self.known.borrow_mut().insert(name.to_owned(), value.clone());
                Ok((value, 1))
            }
            "var" => Ok((self.variables.get(name).ok_or_else(undeclared)?.clone(), 1)),
            "terraform_data" => {
                let output = self.evaluate(self.inputs.get(name).ok_or_else(undeclared)?)?.ty();
                let id = Value::opaque(Type::String).refined(&Refinement::not_null());
                Ok((Value::object_of([("output", Value::opaque(output)), ("id", id)]), 1))
            }
            _ => Err(undeclared()),
        }
    }
}

#[test]
fn unknown_and_marked_values_go_where_terraform_has_them_go() {
    let declared = Declared::read();
    same_as_recorded(RECORDED, DIFFERENCES, 1_000, |expression| declared.answer(expression));
}

#[test]
fn differences_have_a_reason() {
    reasons_are_given(RECORDED, DIFFERENCES);
}

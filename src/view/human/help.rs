//! The console's help: what can be typed, and what the functions take and give, from the one table of functions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::diag::did_you_mean;
use crate::eval::functions::{self, Function, Parameter};

/// What can be typed.
pub const CONSOLE: &str = "\
Type an expression of the language, and its value is printed. Names mean what they mean in the
configuration: var.NAME, local.NAME, module.NAME.OUTPUT, TYPE.NAME.ATTRIBUTE and so on. What was
applied has the values that the ledger recorded; what never was is (known after apply). With
--plan names have the values that an apply would give them now. Nothing is ever changed.

  type(EXPRESSION)     the type of a value
  help functions       all functions by their groups
  help GROUP           the functions of a group, as in: help string
  help NAME or NAME?   what a function takes and gives
  exit, quit           ends the console, and so does Control-D

An open bracket or heredoc goes on in the next line; an empty line or Control-C breaks it off.
A line that begins with a space is not kept in the history.";

/// A function that is in no table.
struct Own {
    name: &'static str,
    call: &'static str,
    doc: &'static str,
}

/// Those that the evaluator or the console has itself.
const OWN: [Own; 3] = [
    Own { name: "can", call: "can(expression) bool", doc: "Whether an expression has a value without an error." },
    Own {
        name: "try",
        call: "try(expressions...) any",
        doc: "The first of its arguments that has a value without an error.",
    },
    Own { name: "type", call: "type(value)", doc: "The type of a value. Only in the console, and only by itself." },
];

/// Help on a topic: `functions`, a group of functions, a function.
///
/// # Errors
/// When there is no such topic; a hint at the one that is meant, if there is one.
pub fn help(topic: &str) -> Result<String, Option<String>> {
    if topic == "functions" {
        return Ok(all());
    }
    if let Some(own) = OWN.iter().find(|o| o.name == topic) {
        return Ok(format!("{}\n\n  {}", own.call, own.doc));
    }
    if let Some(function) = functions::find(topic) {
        return Ok(one(function));
    }
    let of_group: Vec<&Function> = functions::all().filter(|f| f.group == topic).collect();
    if of_group.is_empty() {
        let known = functions::names().chain(OWN.map(|o| o.name)).chain(functions::all().map(|f| f.group));
        return Err(did_you_mean(topic, known.chain(["functions"])));
    }
    let width = of_group.iter().map(|f| signature(f).len()).filter(|w| *w <= WIDE).max().unwrap_or(0);
    let mut out = format!("Functions: {topic}\n");
    for function in of_group {
        let call = signature(function);
        match call.len() > WIDE {
            true => drop(write!(out, "\n  {call}\n  {:width$}  {}", "", function.doc)),
            false => drop(write!(out, "\n  {call:width$}  {}", function.doc)),
        }
    }
    Ok(out)
}

/// Signatures that are longer than this have their sentence on the next line.
const WIDE: usize = 44;

/// How wide the lists of names are.
const WIDTH: usize = 96;

fn all() -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for function in functions::all() {
        groups.entry(function.group).or_default().push(function.name);
    }
    groups.insert("the language's and the console's own", OWN.iter().map(|o| o.name).collect());
    let mut out = String::new();
    for (group, names) in groups {
        let _ = write!(out, "{group}\n ");
        let mut width = 0;
        for name in names {
            if width + name.len() + 1 > WIDTH {
                out.push_str("\n ");
                width = 0;
            }
            let _ = write!(out, " {name}");
            width += name.len() + 1;
        }
        out.push_str("\n\n");
    }
    out.push_str("More on one of them: help NAME, or NAME?");
    out
}

fn signature(function: &Function) -> String {
    let mut names: Vec<String> = function.parameters.iter().map(|p| p.name.to_owned()).collect();
    names.extend(function.variadic.as_ref().map(|p| format!("{}...", p.name)));
    format!("{}({})", function.name, names.join(", "))
}

fn one(function: &Function) -> String {
    let mut out = format!("{} {}\n\n  {}", signature(function), result(function), function.doc);
    let rows: Vec<(String, String)> = function
        .parameters
        .iter()
        .map(|p| (p.name.to_owned(), taken(p)))
        .chain(function.variadic.as_ref().map(|p| (format!("{}...", p.name), taken(p))))
        .collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (i, (name, taken)) in rows.iter().enumerate() {
        let _ = write!(out, "{}\n  {name:width$}  {taken}", if i == 0 { "\n" } else { "" });
    }
    let _ = write!(out, "\n\n  group: {}", function.group);
    out
}

fn taken(parameter: &Parameter) -> String {
    format!("{}{}", parameter.ty, if parameter.null { ", or null" } else { "" })
}

/// The type of the result as far as the arguments' constraints tell it.
fn result(function: &Function) -> String {
    let types: Vec<_> = function.parameters.iter().chain(&function.variadic).map(|p| p.ty.clone()).collect();
    (function.result)(&types).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_shown_with_what_it_takes_and_gives() {
        let shown = help("substr").unwrap();
        assert!(shown.starts_with("substr(str, offset, length) string\n\n  "), "{shown}");
        assert!(shown.contains("\n  offset  number\n"), "{shown}");
        assert!(shown.ends_with("group: string"), "{shown}");
    }

    #[test]
    fn every_name_that_help_lists_has_help() {
        let list = help("functions").unwrap();
        let names: Vec<&str> = list.lines().filter(|l| l.starts_with("  ")).flat_map(str::split_whitespace).collect();
        assert_eq!(names.len(), functions::all().count() + OWN.len());
        for name in names {
            let shown = help(name).unwrap();
            assert!(shown.starts_with(&format!("{name}(")), "{shown}");
        }
        for group in functions::all().map(|f| f.group) {
            assert!(help(group).unwrap().lines().count() > 2, "{group}");
        }
    }

    #[test]
    fn what_is_misspelt_is_found() {
        assert_eq!(help("substrr"), Err(Some("Did you mean \"substr\"?".into())));
        assert_eq!(help("zzzzzzzz"), Err(None));
    }
}

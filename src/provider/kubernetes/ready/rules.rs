//! One's own rules of readiness: conditions and fields that must hold.
//!
//! A field's path is the part of JSONPath that names one place: names after dots, indices in brackets, and names in brackets
//! and quotes where they have dots of their own (`metadata.annotations["example.com/state"]`). Where `kubectl` writes them,
//! a leading `$`, a leading dot and the braces around are taken too. Filters, slices, wildcards and `..` are not: they
//! name many places, and then it is open which of them has to hold.
//!
//! What a field is held to is `*` (anything but null and the empty text), the very text, or a regular expression over the
//! whole of it, tried in this order. So `Running` and `10.0.0.1` mean themselves, and `Running|Succeeded` works too. Numbers
//! and truth values are compared as JSON writes them.

use regex::Regex;
use serde_json::Value as Json;

use super::super::look::{list, number, quote};
use super::gate::lacks;
use crate::provider::Readiness;

/// The value that every field has that is there.
const PRESENT: &str = "*";

/// The longest path, in steps: deeper than any object's schema.
const STEPS_MAX: usize = 32;

/// What one's own `wait` block asks for. All of it must hold; it replaces the rule of the kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Type and wanted status (`True` where the configuration names none) of conditions in `status.conditions`.
    pub(crate) conditions: Vec<(String, String)>,
    /// Path of a field, and what it must be: an exact text, a regular expression over the whole text, or `*` for anything.
    pub(crate) fields: Vec<(String, String)>,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Rules {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.fields.is_empty()
    }

    /// Whether the object satisfies them; else the first that does not hold.
    pub(super) fn judge(&self, object: &Json) -> Readiness {
        let generation = number(object, "/metadata/generation");
        let conditions = list(object, "/status/conditions");
        for (ty, status) in &self.conditions {
            if let Some(sentence) = lacks(conditions, ty, status, generation) {
                return Readiness::Pending(sentence);
            }
        }
        for (path, wanted) in &self.fields {
            match field_lacks(object, path, wanted) {
                Ok(None) => {}
                Ok(Some(sentence)) => return Readiness::Pending(sentence),
                // Checked when the configuration was read; a plan of another build may still bring one.
                Err(sentence) => return Readiness::Failed(sentence),
            }
        }
        Readiness::Ready
    }
}

fn field_lacks(object: &Json, path: &str, wanted: &str) -> Result<Option<String>, String> {
    let steps = parse(path)?;
    let found = steps.iter().try_fold(object, |at, step| match step {
        Step::Name(name) => at.get(name),
        Step::Index(index) => at.get(index),
    });
    let text = match found {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text.is_empty() {
        // A rule may ask for the empty text, and no present field is empty.
        return Ok((!wanted.is_empty()).then(|| format!("Its field {path} is not there yet.")));
    }
    if wanted == PRESENT || wanted == text {
        return Ok(None);
    }
    let pattern = Regex::new(&format!("^(?:{wanted})$"));
    if pattern.is_ok_and(|pattern| pattern.is_match(&text)) {
        return Ok(None);
    }
    Ok(Some(format!("Its field {path} is \"{}\", not \"{wanted}\".", quote(&text))))
}

/// What is wrong with a field's path.
///
/// # Errors
/// A sentence for the person who wrote it.
pub(crate) fn field_fault(path: &str) -> Result<(), String> {
    parse(path).map(|_| ())
}

fn parse(path: &str) -> Result<Vec<Step>, String> {
    let fault = |why: &str| {
        format!(
            "\"{path}\" is no path of a field: {why}. Write names with dots and indices in brackets, as in \"status.phase\" or \
             \"status.loadBalancer.ingress[0].ip\"."
        )
    };
    let trimmed = path.trim();
    let inner = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(trimmed);
    let mut rest = inner.strip_prefix('$').unwrap_or(inner);
    rest = rest.strip_prefix('.').unwrap_or(rest);
    if rest.is_empty() {
        return Err(fault("it names nothing"));
    }
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == STEPS_MAX {
            return Err(fault("it has too many steps"));
        }
        let (step, after) = if let Some(bracket) = rest.strip_prefix('[') {
            in_brackets(bracket).map_err(fault)?
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            (name(&rest[..end]).map_err(fault)?, &rest[end..])
        };
        steps.push(step);
        rest = match after.strip_prefix('.') {
            Some("") => return Err(fault("it ends with a dot")),
            Some(next) => next,
            None if after.is_empty() || after.starts_with('[') => after,
            None => return Err(fault("after a bracket there is a dot, another bracket or the end")),
        };
    }
    Ok(steps)
}

fn name(text: &str) -> Result<Step, &'static str> {
    if text.is_empty() {
        return Err("a name is empty");
    }
    if text == "*" || text.contains(['?', '@', '(', ')', '{', '}', '"', '\'', ']', '$', ' ', '*']) {
        return Err("only plain names are taken, no filters or wildcards");
    }
    Ok(Step::Name(text.to_owned()))
}

/// What follows an opening bracket: an index, or a name in quotes.
fn in_brackets(rest: &str) -> Result<(Step, &str), &'static str> {
    if let Some(mark) = rest.chars().next().filter(|c| *c == '"' || *c == '\'') {
        let (inner, after) = rest[1..].split_once(mark).ok_or("a quote is not closed")?;
        let after = after.strip_prefix(']').ok_or("a bracket is not closed")?;
        if inner.is_empty() {
            return Err("a name is empty");
        }
        return Ok((Step::Name(inner.to_owned()), after));
    }
    let (inner, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
    let index = inner.parse().map_err(|_| "in brackets stands an index from 0, or a name in quotes")?;
    Ok((Step::Index(index), after))
}

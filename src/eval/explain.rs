//! What is told of the values in an expression that failed.
//!
//! A message that an operand is no number helps only with the operand: under the caret stand the references of the innermost
//! expression that failed and what each of them is. It is asked for on the way out of a failed evaluation, where the scope and
//! the `for` variables of that expression still exist; an evaluation that succeeds, and what `try` and `can` attempt, never
//! come here. The statements are Terraform's (`internal/command/views/json/diagnostic.go`): simple values in full, of
//! collections the size alone, and nothing of what is sensitive or ephemeral.

use std::collections::BTreeMap;

use super::evaluate::{Evaluator, Locals, THE_VALUE};
use super::{Reference, Term, TermKind, references};
use crate::diag::{Diagnostic, Span, ValueNote};
use crate::value::{Kind, Marks, Type, Value, show};

/// How many references are told about: more are no help in finding the one that matters.
const NOTES_MAX: usize = 12;

/// How long a value or a reference may be, in characters.
const TEXT_MAX: usize = 160;

/// Whether a property of a value is what made the expression fail. Otherwise it is not mentioned, for whoever reads that a value
/// is sensitive takes that for the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cause {
    /// It failed because of something sensitive or ephemeral, or the failure is derived from it.
    pub marked: bool,
    /// It failed because of something that is known after apply only.
    pub unknown: bool,
}

impl Evaluator<'_> {
    /// The diagnostic with the values of the references in the part of `term` that it is about; unchanged if an expression
    /// further in was asked already.
    pub(super) fn explained(
        &self,
        mut diagnostic: Box<Diagnostic>,
        term: &Term,
        locals: Option<&Locals<'_>>,
    ) -> Box<Diagnostic> {
        if diagnostic.is_explained() || !self.budget.explains() {
            return diagnostic;
        }
        let part = diagnostic.span.and_then(|span| part_at(term, span)).unwrap_or(term);
        let plain = matches!(part.kind, TermKind::Reference(_) | TermKind::Literal(_));
        let values = self.values(part, locals, Cause { marked: plain, unknown: plain });
        diagnostic.hints.retain(|hint| {
            let value = hint.strip_prefix(THE_VALUE).and_then(|rest| rest.strip_suffix('.'));
            value.is_none_or(|value| !plain && values.iter().all(|n| n.statement.strip_prefix("is ") != Some(value)))
        });
        Box::new(diagnostic.with_values(values))
    }

    /// The diagnostic with the values of the references in a term: for what is found wrong with a value after it was evaluated.
    #[must_use]
    pub fn explain(&self, diagnostic: Diagnostic, term: &Term, cause: Cause) -> Diagnostic {
        let values = self.values(term, None, cause);
        diagnostic.with_values(values)
    }

    fn values(&self, term: &Term, locals: Option<&Locals<'_>>, cause: Cause) -> Vec<ValueNote> {
        let mut found = Vec::new();
        references(term, &mut found);
        let mut notes = BTreeMap::new();
        for reference in found {
            if notes.len() == NOTES_MAX {
                break;
            }
            if let Some((traversal, value)) = self.longest(reference, locals)
                && let Some(statement) = statement(&value, cause)
            {
                notes.insert(short(&traversal), statement);
            }
        }
        notes.into_iter().map(|(traversal, statement)| ValueNote { traversal, statement }).collect()
    }

    /// As much of a reference as has a value, and that.
    fn longest(&self, reference: &Reference, locals: Option<&Locals<'_>>) -> Option<(String, Value)> {
        let (value, consumed) = match locals.and_then(|l| l.find(&reference.root)) {
            Some(value) => (value.clone(), 0),
            None => self.scope.resolve(reference).ok()?,
        };
        (consumed..=reference.steps.len()).rev().find_map(|length| {
            let steps = reference.steps.get(consumed..length)?;
            let found = super::traverse::steps(value.clone(), steps, reference.span).ok()?;
            let part = Reference { steps: reference.steps[..length].to_vec(), ..reference.clone() };
            Some((part.to_string(), found))
        })
    }
}

/// The part of a term that stands at a place. What `for` expressions repeat is not looked into: their variables have no value
/// outside, and what fails in there was explained there.
fn part_at(term: &Term, span: Span) -> Option<&Term> {
    if term.span == span {
        return Some(term);
    }
    let within =
        |inner: &Term| inner.span.file == span.file && inner.span.start <= span.start && span.end <= inner.span.end;
    let mut found = None;
    term.children(false, &mut |inner| {
        if found.is_none() && within(inner) {
            found = part_at(inner, span);
        }
    });
    found
}

/// What is said of a value, behind its name; `None` if that would only mislead.
fn statement(value: &Value, cause: Cause) -> Option<String> {
    let (sensitive, ephemeral) = (value.marks.is_sensitive(), value.marks.has(Marks::EPHEMERAL));
    if sensitive || ephemeral {
        let what = match (sensitive, ephemeral) {
            (true, true) => "an ephemeral, sensitive",
            (true, false) => "a sensitive",
            _ => "an ephemeral",
        };
        return cause.marked.then(|| format!("has {what} value"));
    }
    match &value.kind {
        Kind::Unknown(unknown) => match &unknown.ty {
            Type::Any => cause.unknown.then(|| "will be known only after apply".to_owned()),
            ty if cause.unknown => Some(format!("is a {}, known only after apply", ty.friendly())),
            ty => Some(format!("is a {}", ty.friendly())),
        },
        _ => Some(format!("is {}", compact(value))),
    }
}

/// A value on one line: of a collection how large it is, for its parts may be sensitive.
fn compact(value: &Value) -> String {
    match &value.kind {
        // Of a long text only the start is shown, so no more of it is written out.
        Kind::String(text) if text.len() > 4096 => {
            let start = text.floor_char_boundary(4096);
            short(&show(&Value::string(&text[..start])))
        }
        Kind::Null(_) | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => short(&show(value)),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => sized(value, items.len()),
        Kind::Map(_, m) => sized(value, m.len()),
        Kind::Object(m) => match (m.len(), m.keys().next()) {
            (1, Some(name)) => format!("object with 1 attribute {:?}", short(name)),
            (0, _) | (_, None) => "object with no attributes".to_owned(),
            (n, _) => format!("object with {n} attributes"),
        },
        Kind::Unknown(_) => "(not yet known)".to_owned(),
    }
}

fn sized(value: &Value, length: usize) -> String {
    let ty = value.ty().friendly();
    match length {
        0 => format!("empty {ty}"),
        1 => format!("{ty} with 1 element"),
        n => format!("{ty} with {n} elements"),
    }
}

/// A text cut to a length at which it still fits the screen.
fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

//! Evaluating what is typed.

use std::sync::Arc;

use super::complete::{Completion, complete};
use super::host::Live;
use crate::config::parse_expression;
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};
use crate::eval::{Budget, Term, TermKind};
use crate::ops::error::{Failure, Result};
use crate::ops::workspace::Workspace;
use crate::plan::Look;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::value::{Type, Value};

/// The work that one text may cost: enough for every element of a large configuration many times over, and few enough that
/// what it makes fits into memory.
const BUDGET: u64 = 10_000_000;

/// What typed text is called in messages, as Terraform calls it.
const INPUT: &str = "<console-input>";

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Its value.
    Value(Value),
    /// The type that `type(…)` was asked for.
    Type(Type),
}

/// A place in a configuration where expressions are evaluated.
pub struct Session<'a> {
    look: Look<'a>,
    workspace: &'a Workspace,
    sources: Arc<SourceMap>,
    warnings: &'a Diagnostics,
    planned: bool,
    begun: jiff::Timestamp,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        look: Look<'a>,
        workspace: &'a Workspace,
        sources: Arc<SourceMap>,
        warnings: &'a Diagnostics,
        (planned, begun): (bool, jiff::Timestamp),
    ) -> Self {
        Self { look, workspace, sources, warnings, planned, begun }
    }

    /// What is worth knowing before anything is typed: what is wrong with the configuration, and warnings.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        let mut all = self.warnings.clone();
        all.extend(self.look.diagnostics());
        all
    }

    /// The files that [`Self::diagnostics`] point into.
    #[must_use]
    pub fn sources(&self) -> &SourceMap {
        &self.sources
    }

    /// The value of an expression, or the type that it asks for.
    ///
    /// # Errors
    /// When the text is no expression or has no value; with places in the text.
    pub fn evaluate(&self, text: &str) -> Result<Answer> {
        let mut sources = (*self.sources).clone();
        let text: Arc<str> = text.into();
        let file = sources.add(INPUT, text.clone());
        let fail = |diagnostics| Failure::from_diagnostics(diagnostics, Arc::new(sources.clone()));
        let term = Arc::new(parse(&text, file).map_err(fail)?);
        match asked_type(&term).map_err(|e| fail((*e).into()))? {
            Some((of, expand)) => self.value(of, &text).and_then(|v| asked_of(&v, expand, of.span)).map(Answer::Type),
            None => self.value(&term, &text).map(Answer::Value),
        }
        .map_err(|e| fail((*e).into()))
    }

    fn value(&self, term: &Arc<Term>, text: &str) -> std::result::Result<Value, Box<Diagnostic>> {
        // Each text has a budget of its own, so that one that runs away ends and the next is evaluated.
        let budget = Budget::new(BUDGET);
        let now = if self.planned { self.begun } else { SystemClock.now() };
        let host = Live::new(self.workspace, self.planned, now);
        self.look.evaluate(term, &host, &budget).map_err(|e| match budget.spend(1) {
            true => nested_type(e, text),
            false => runaway(e.span),
        })
    }

    /// What the name that ends at byte `at` of a line can go on with.
    #[must_use]
    pub fn complete(&self, line: &str, at: usize) -> Completion {
        let value = |text: &str| {
            let term = Arc::new(parse(text, FileId(0)).ok()?);
            self.value(&term, text).ok()
        };
        complete(line.get(..at).unwrap_or(line), &self.look, &value)
    }
}

fn parse(text: &str, file: FileId) -> std::result::Result<Term, Diagnostics> {
    if text.trim().is_empty() {
        let detail = "The start of an expression is expected, but there is none.";
        return Err(Diagnostic::error("Missing expression", detail).at(Span::new(file, 0..0)).into());
    }
    parse_expression(text.trim_end(), file)
}

/// What `type(…)` is asked about, where a text is such a call: the function is the console's alone.
/// The second part says whether the argument is expanded.
fn asked_type(term: &Arc<Term>) -> std::result::Result<Option<(&Arc<Term>, bool)>, Box<Diagnostic>> {
    let TermKind::Call { name, arguments, expand, .. } = &term.kind else { return Ok(None) };
    if !is_type(name) {
        return Ok(None);
    }
    match arguments.as_slice() {
        [of] => Ok(Some((of, *expand))),
        others => Err(wrong_number(others.len(), term.span)),
    }
}

fn wrong_number(given: usize, span: Span) -> Box<Diagnostic> {
    let summary = if given == 0 { "Not enough function arguments" } else { "Too many function arguments" };
    let detail = format!("Function \"type\" expects exactly 1 argument, but {given} were given.");
    Box::new(Diagnostic::error(summary, detail).at(span))
}

/// The type of a value, or of the only item of one that is expanded.
fn asked_of(value: &Value, expand: bool, span: Span) -> std::result::Result<Type, Box<Diagnostic>> {
    match value.as_items() {
        _ if !expand => Ok(value.ty()),
        Some([only]) => Ok(only.ty()),
        Some(items) => Err(wrong_number(items.len(), span)),
        None => {
            let detail = "The value in front of \"...\" must be a list, set or tuple.";
            Err(Box::new(Diagnostic::error("Invalid expanding argument value", detail).at(span)))
        }
    }
}

fn is_type(name: &str) -> bool {
    name.strip_prefix("core::").unwrap_or(name) == "type"
}

fn runaway(span: Option<Span>) -> Box<Diagnostic> {
    let detail = format!("Evaluating this takes more work than the limit of {BUDGET} steps for what is typed at once.");
    Box::new(Diagnostic::error("Evaluation limit reached", detail).at_opt(span))
}

/// Inside of an expression the evaluator does not know `type`; here it is told why.
fn nested_type(error: Box<Diagnostic>, text: &str) -> Box<Diagnostic> {
    let Some(span) = error.span else { return error };
    let named = text.get(span.start as usize..span.end as usize);
    if error.summary != "Call to unknown function" || !named.is_some_and(is_type) {
        return error;
    }
    let detail = "\"type\" gives no value that an expression could go on with: the console prints the type of what stands in its \
                  parentheses, and nothing may stand around it.";
    Box::new(Diagnostic::error("Invalid use of type function", detail).at(span))
}

//! References: what a term asks of its scope.

use std::fmt;
use std::sync::Arc;

use super::{Part, Term, TermKind};
use crate::addr::Key;
use crate::diag::{Diagnostic, Span};
use crate::value::Value;

/// A name and the constant steps behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The first name: `var`, `local`, `module`, `each`, a resource type, a `for` variable, ….
    pub root: Arc<str>,
    /// The attributes and constant indexes behind it.
    pub steps: Vec<Step>,
    /// Where it stands, from the first name to the last step.
    pub span: Span,
}

/// One constant step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `.name`
    Attribute(Arc<str>),
    /// `["name"]`, `[0]`
    Index(Key),
}

impl Reference {
    /// The name of the attribute step at a position.
    #[must_use]
    pub fn attribute(&self, position: usize) -> Option<&Arc<str>> {
        match self.steps.get(position)? {
            Step::Attribute(name) => Some(name),
            Step::Index(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        for step in &self.steps {
            match step {
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Index(key) => write!(f, "{key}")?,
            }
        }
        Ok(())
    }
}

/// Where references are answered.
pub trait Scope {
    /// The value that a reference starts with, and how many of its steps that value has consumed: `var.a.b` is answered by
    /// the value of `var.a` and 1.
    ///
    /// # Errors
    /// When there is nothing of that name; with suggestions.
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>>;
}

/// Adds every reference of a term that its scope has to answer: not those to its own `for` variables.
pub fn references<'t>(term: &'t Term, found: &mut Vec<&'t Reference>) {
    walk(term, &mut Vec::new(), found);
}

fn walk<'t>(term: &'t Term, bound: &mut Vec<&'t str>, found: &mut Vec<&'t Reference>) {
    match &term.kind {
        TermKind::Literal(_) | TermKind::SplatItem => {}
        TermKind::Reference(reference) => {
            if !bound.contains(&&*reference.root) {
                found.push(reference);
            }
        }
        TermKind::Template(parts) => walk_parts(parts, bound, found),
        TermKind::Attribute(of, _) | TermKind::Unary(_, of) => walk(of, bound, found),
        TermKind::Index(a, b) | TermKind::Binary(_, a, b) | TermKind::Splat { source: a, each: b, .. } => {
            walk(a, bound, found);
            walk(b, bound, found);
        }
        TermKind::Conditional(a, b, c) => [a, b, c].into_iter().for_each(|t| walk(t, bound, found)),
        TermKind::Call { arguments: terms, .. } | TermKind::Tuple(terms) => {
            terms.iter().for_each(|t| walk(t, bound, found));
        }
        TermKind::Object(items) => {
            for item in items {
                walk(&item.key, bound, found);
                walk(&item.value, bound, found);
            }
        }
        TermKind::For(f) => {
            walk(&f.collection, bound, found);
            let depth = bound.len();
            bound.extend(f.key_name.as_deref());
            bound.push(&f.value_name);
            for inner in [f.key.as_ref(), Some(&f.value), f.condition.as_ref()].into_iter().flatten() {
                walk(inner, bound, found);
            }
            bound.truncate(depth);
        }
    }
}

fn walk_parts<'t>(parts: &'t [Part], bound: &mut Vec<&'t str>, found: &mut Vec<&'t Reference>) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Interpolation(term) => walk(term, bound, found),
            Part::If { condition, then, otherwise } => {
                walk(condition, bound, found);
                walk_parts(then, bound, found);
                walk_parts(otherwise, bound, found);
            }
            Part::For { key_name, value_name, collection, body } => {
                walk(collection, bound, found);
                let depth = bound.len();
                bound.extend(key_name.as_deref());
                bound.push(value_name);
                walk_parts(body, bound, found);
                bound.truncate(depth);
            }
        }
    }
}

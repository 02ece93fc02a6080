//! Terms: expressions as the evaluator has them, each with its place.

use std::sync::Arc;

use super::Reference;
use crate::diag::Span;
use crate::value::Value;

/// An expression.
#[derive(Debug, Clone)]
pub struct Term {
    /// What it is.
    pub kind: TermKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub enum TermKind {
    /// A constant.
    Literal(Value),
    /// A string with parts to fill in. A template that is one interpolation only is not a `Template` but its inner term, for it
    /// keeps that one's type.
    Template(Vec<Part>),
    /// A name and the attributes and constant indexes behind it: `var.size`, `local_file.a["x"].id`, a `for` variable.
    Reference(Reference),
    /// An attribute of some other expression's value.
    Attribute(Arc<Term>, Arc<str>),
    /// An element: `a[expression]`; also the legacy `a.0` as a constant.
    Index(Arc<Term>, Arc<Term>),
    /// `source[*].rest` and `source.*.rest`. In `each`, [`TermKind::SplatItem`] stands for the element.
    Splat {
        /// What is walked over.
        source: Arc<Term>,
        /// What is taken of each element.
        each: Arc<Term>,
        /// Which of the two forms.
        kind: SplatKind,
    },
    /// The element in the innermost splat around.
    SplatItem,
    /// `!a`, `-a`
    Unary(Unary, Arc<Term>),
    /// `a + b`
    Binary(Binary, Arc<Term>, Arc<Term>),
    /// `a ? b : c`
    Conditional(Arc<Term>, Arc<Term>, Arc<Term>),
    /// `name(arguments)`; a namespaced name stands with its colons: `provider::terraform::encode_expr`.
    Call {
        /// The function's name.
        name: Arc<str>,
        /// Where the name stands.
        name_span: Span,
        /// The arguments.
        arguments: Vec<Arc<Term>>,
        /// Whether the last argument is expanded: `max(list...)`.
        expand: bool,
    },
    /// `[a, b]`
    Tuple(Vec<Arc<Term>>),
    /// `{ a = b }`
    Object(Vec<ObjectItem>),
    /// `[for …]` and `{for …}`
    For(Box<ForTerm>),
}

/// One item of an object expression. A bare name as key is lowered to a literal, `(expression)` to that expression.
#[derive(Debug, Clone)]
pub struct ObjectItem {
    /// The key.
    pub key: Arc<Term>,
    /// The value.
    pub value: Arc<Term>,
}

/// Which splat it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplatKind {
    /// `[*]`: indexes behind it belong to each element.
    Full,
    /// `.*`: an index behind it belongs to the result.
    Attribute,
}

/// A `for` expression.
#[derive(Debug, Clone)]
pub struct ForTerm {
    /// The name of the key or index, if one is given.
    pub key_name: Option<Arc<str>>,
    /// The name of the value.
    pub value_name: Arc<str>,
    /// What is walked over.
    pub collection: Arc<Term>,
    /// For an object: the key of each result. `None` makes a tuple.
    pub key: Option<Arc<Term>>,
    /// Each result.
    pub value: Arc<Term>,
    /// Which elements are taken.
    pub condition: Option<Arc<Term>>,
    /// For an object: whether values of the same key are grouped (`...`).
    pub group: bool,
}

/// A part of a template. Strip markers (`~`) and the indentation of `<<-` have been applied to the literals.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Literal(Arc<str>),
    /// `${a}`
    Interpolation(Arc<Term>),
    /// `%{ if a }…%{ else }…%{ endif }`
    If {
        /// The condition.
        condition: Arc<Term>,
        /// The parts if it holds.
        then: Vec<Part>,
        /// The parts if not.
        otherwise: Vec<Part>,
    },
    /// `%{ for k, v in a }…%{ endfor }`
    For {
        /// The name of the key or index, if one is given.
        key_name: Option<Arc<str>>,
        /// The name of the value.
        value_name: Arc<str>,
        /// What is walked over.
        collection: Arc<Term>,
        /// The parts for each element.
        body: Vec<Part>,
    },
}

/// An operator with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `!`
    Not,
    /// `-`
    Negate,
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Binary {
    /// The operator as written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Term {
    /// Shows the terms that it is made of; those that are evaluated for each element of a collection only where `repeated` says so.
    pub fn children<'t>(&'t self, repeated: bool, see: &mut dyn FnMut(&'t Self)) {
        match &self.kind {
            TermKind::Literal(_) | TermKind::SplatItem | TermKind::Reference(_) => {}
            TermKind::Template(parts) => parts_children(parts, repeated, see),
            TermKind::Attribute(of, _) | TermKind::Unary(_, of) => see(of),
            TermKind::Splat { source, each, .. } => {
                see(source);
                if repeated {
                    see(each);
                }
            }
            TermKind::Index(a, b) | TermKind::Binary(_, a, b) => [a, b].into_iter().for_each(|t| see(t)),
            TermKind::Conditional(a, b, c) => [a, b, c].into_iter().for_each(|t| see(t)),
            TermKind::Call { arguments: terms, .. } | TermKind::Tuple(terms) => terms.iter().for_each(|t| see(t)),
            TermKind::Object(items) => items.iter().flat_map(|i| [&i.key, &i.value]).for_each(|t| see(t)),
            TermKind::For(f) => {
                see(&f.collection);
                if repeated {
                    [f.key.as_ref(), Some(&f.value), f.condition.as_ref()].into_iter().flatten().for_each(|t| see(t));
                }
            }
        }
    }

    /// A constant.
    #[must_use]
    pub fn literal(value: Value, span: Span) -> Self {
        Self { kind: TermKind::Literal(value), span }
    }

    /// The constant text that the expression is, if it is one.
    #[must_use]
    pub fn as_literal_str(&self) -> Option<&str> {
        if let TermKind::Literal(value) = &self.kind { value.as_str() } else { None }
    }
}

fn parts_children<'t>(parts: &'t [Part], repeated: bool, see: &mut dyn FnMut(&'t Term)) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Interpolation(term) => see(term),
            Part::If { condition, then, otherwise } => {
                see(condition);
                parts_children(then, repeated, see);
                parts_children(otherwise, repeated, see);
            }
            Part::For { collection, body, .. } => {
                see(collection);
                if repeated {
                    parts_children(body, repeated, see);
                }
            }
        }
    }
}

//! Expressions.

use std::sync::Arc;

use hcl_edit::expr::{
    BinaryOperator, Expression, ForExpr, FuncCall, Object, ObjectKey, TraversalOperator, UnaryOperator,
};

use super::deep::deep;
use super::error::syntax_error;
use super::literal::unquote;
use crate::addr::Key;
use crate::diag::{Diagnostic, Diagnostics, FileId, Span};
use crate::eval::{Binary, ForTerm, ObjectItem, Reference, SplatKind, Step, Term, TermKind, Unary};
use crate::value::{Number, Type, Value};

/// Parses one expression: a `--var` value, a line of the console.
///
/// # Errors
/// When it is not one.
pub fn parse_expression(text: &str, file: FileId) -> Result<Term, Diagnostics> {
    deep(|| {
        let tree = hcl_edit::parser::parse_expr(text).map_err(|e| syntax_error(&e, text, file))?;
        let mut lower = Lower::new(text, file);
        let term = lower.expression(&tree, Span::new(file, 0..text.len()));
        lower.finish(term)
    })
}

/// Parses a template without quotes around it: a file of `templatefile`, the text of `templatestring`.
///
/// # Errors
/// When it is not one.
pub fn parse_template(text: &str, file: FileId) -> Result<Term, Diagnostics> {
    deep(|| {
        let tree = hcl_edit::parser::parse_template(text).map_err(|e| syntax_error(&e, text, file))?;
        let mut lower = Lower::new(text, file);
        let term = lower.bare(&tree, Span::new(file, 0..text.len()));
        lower.finish(term)
    })
}

/// Lowers one file's tree.
pub(super) struct Lower<'a> {
    pub(super) text: &'a str,
    pub(super) file: FileId,
    pub(super) errors: Diagnostics,
    /// Whether a bare `a.b` may be an object's key: in a module's `providers` only.
    pub(super) provider_keys: bool,
}

impl<'a> Lower<'a> {
    pub(super) fn new(text: &'a str, file: FileId) -> Self {
        Self { text, file, errors: Diagnostics::default(), provider_keys: false }
    }

    pub(super) fn finish<T>(self, lowered: T) -> Result<T, Diagnostics> {
        if self.errors.is_empty() { Ok(lowered) } else { Err(self.errors) }
    }

    pub(super) fn span_of(&self, node: &impl hcl_edit::Span, around: Span) -> Span {
        node.span().map_or(around, |range| Span::new(self.file, range))
    }

    pub(super) fn source(&self, span: Span) -> &'a str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// The text of a quoted string without templates, by its span with the quotes.
    pub(super) fn quoted_text(&mut self, span: Span) -> String {
        let inner = Span { start: span.start + 1, end: span.end.saturating_sub(1).max(span.start + 1), ..span };
        self.unquoted(inner)
    }

    /// The text of a literal within quotes, by its span.
    pub(super) fn unquoted(&mut self, span: Span) -> String {
        unquote(self.source(span)).unwrap_or_else(|bad| {
            let start = span.start as usize;
            let place = Span::new(self.file, start + bad.at.start..start + bad.at.end);
            self.errors.push(Diagnostic::error(bad.summary, bad.detail).at(place));
            String::new()
        })
    }

    pub(super) fn expression(&mut self, tree: &Expression, around: Span) -> Term {
        let span = self.span_of(tree, around);
        let kind = match tree {
            Expression::Null(_) => TermKind::Literal(Value::null(Type::Any)),
            Expression::Bool(b) => TermKind::Literal(Value::bool(*b.value())),
            Expression::Number(_) => self.number(span),
            Expression::String(_) => TermKind::Literal(Value::string(self.quoted_text(span))),
            Expression::StringTemplate(template) => return self.quoted(template, span),
            Expression::HeredocTemplate(heredoc) => return self.heredoc(heredoc, span),
            Expression::Array(items) => TermKind::Tuple(items.iter().map(|item| self.shared(item, span)).collect()),
            Expression::Object(object) => self.object(object, span),
            Expression::Parenthesis(inner) => {
                let provider_keys = std::mem::take(&mut self.provider_keys);
                let inner = self.expression(inner.inner(), span);
                self.provider_keys = provider_keys;
                inner.kind
            }
            Expression::Variable(name) => {
                TermKind::Reference(Reference { root: name.as_str().into(), steps: Vec::new(), span })
            }
            Expression::Conditional(c) => TermKind::Conditional(
                self.shared(&c.cond_expr, span),
                self.shared(&c.true_expr, span),
                self.shared(&c.false_expr, span),
            ),
            Expression::FuncCall(call) => self.call(call, span),
            Expression::Traversal(traversal) => {
                return self.traversal(&traversal.expr, &traversal.operators, span);
            }
            Expression::UnaryOp(op) => {
                let operator = match op.operator.value() {
                    UnaryOperator::Neg => Unary::Negate,
                    UnaryOperator::Not => Unary::Not,
                };
                TermKind::Unary(operator, self.shared(&op.expr, span))
            }
            Expression::BinaryOp(op) => TermKind::Binary(
                binary(*op.operator.value()),
                self.shared(&op.lhs_expr, span),
                self.shared(&op.rhs_expr, span),
            ),
            Expression::ForExpr(f) => self.for_term(f, span),
        };
        Term { kind, span }
    }

    fn shared(&mut self, tree: &Expression, around: Span) -> Arc<Term> {
        Arc::new(self.expression(tree, around))
    }

    /// A number, exactly as the source has it. `- 5` is one number to hcl-edit.
    fn number(&mut self, span: Span) -> TermKind {
        let source = self.source(span);
        let unsigned = source.strip_prefix('-').unwrap_or(source);
        let start = unsigned.rfind(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')));
        let digits = unsigned.get(start.map_or(0, |n| n + 1)..).unwrap_or("");
        match digits.parse::<Number>() {
            Ok(n) if unsigned.len() < source.len() => TermKind::Literal(Value::number(n.neg())),
            Ok(n) => TermKind::Literal(Value::number(n)),
            Err(_) => self.refuse(span, "Invalid number", "This number has too many digits or too large an exponent."),
        }
    }

    /// Notes an error and stands in for the term.
    fn refuse(&mut self, span: Span, summary: &str, detail: impl Into<String>) -> TermKind {
        self.errors.push(Diagnostic::error(summary, detail).at(span));
        TermKind::Literal(Value::null(Type::Any))
    }

    fn object(&mut self, object: &Object, span: Span) -> TermKind {
        let provider_keys = std::mem::take(&mut self.provider_keys);
        let mut items = Vec::with_capacity(object.len());
        for (key, value) in object {
            let key = match key {
                ObjectKey::Ident(name) => Term::literal(Value::string(name.as_str()), self.span_of(name, span)),
                // A bare word is a name there, even one that is a value elsewhere.
                ObjectKey::Expression(tree @ (Expression::Null(_) | Expression::Bool(_))) => {
                    let place = self.span_of(tree, span);
                    Term::literal(Value::string(self.source(place)), place)
                }
                ObjectKey::Expression(tree) => {
                    let key = self.expression(tree, span);
                    if matches!(tree, Expression::Traversal(_)) && !provider_keys {
                        let detail = "If this is meant to be a reference, write it in parentheses; if it is meant to be the \
                                      key's name, write it in quotes.";
                        self.refuse(key.span, "Ambiguous attribute key", detail);
                    }
                    key
                }
            };
            let value = self.shared(value.expr(), span);
            items.push(ObjectItem { key: Arc::new(key), value });
        }
        TermKind::Object(items)
    }

    fn call(&mut self, call: &FuncCall, span: Span) -> TermKind {
        let mut name = String::new();
        for part in &call.name.namespace {
            name.push_str(part.as_str());
            name.push_str("::");
        }
        name.push_str(call.name.name.as_str());
        let name_span = self.span_of(&call.name.name, span);
        let first = call.name.namespace.first().map_or(name_span, |part| self.span_of(part, span));
        TermKind::Call {
            name: name.into(),
            name_span: first.to(name_span),
            arguments: call.args.iter().map(|argument| self.shared(argument, span)).collect(),
            expand: call.args.expand_final(),
        }
    }

    fn for_term(&mut self, tree: &ForExpr, span: Span) -> TermKind {
        TermKind::For(Box::new(ForTerm {
            key_name: tree.intro.key_var.as_ref().map(|name| name.as_str().into()),
            value_name: tree.intro.value_var.as_str().into(),
            collection: self.shared(&tree.intro.collection_expr, span),
            key: tree.key_expr.as_ref().map(|key| self.shared(key, span)),
            value: self.shared(&tree.value_expr, span),
            condition: tree.cond.as_ref().map(|condition| self.shared(&condition.expr, span)),
            group: tree.grouping,
        }))
    }

    fn traversal(&mut self, base: &Expression, operators: &[Operator], around: Span) -> Term {
        if let Some([first, second]) = operators.array_windows().find(|pair| both_legacy(pair)) {
            let span = self.span_of(first.value(), around).to(self.span_of(second.value(), around));
            let detail = "Two indexes written as numbers behind dots cannot follow each other. Write [0][1].";
            self.refuse(span, "Invalid legacy index syntax", detail);
        }
        let base = self.expression(base, around);
        self.steps(base, operators, around)
    }

    /// Applies traversal operators to a term. A splat takes in what belongs to each of its elements.
    fn steps(&mut self, base: Term, operators: &[Operator], around: Span) -> Term {
        let mut term = base;
        let mut rest = operators;
        while let Some((operator, behind)) = rest.split_first() {
            rest = behind;
            let place = self.span_of(operator.value(), around);
            let end = self.end_of(operator, behind, around);
            let span = Span { end, ..term.span.to(place) };
            let kind = match operator.value() {
                TraversalOperator::GetAttr(name) => attribute(term, name.as_str(), span),
                TraversalOperator::LegacyIndex(n) => {
                    // An index beyond an i64 is out of every list's range, as its largest number is.
                    let n = i64::try_from(*n.value()).unwrap_or(i64::MAX);
                    let index = Term::literal(Value::number(n), place);
                    index_of(term, index, span)
                }
                TraversalOperator::Index(tree) => {
                    let index = self.expression(tree, place);
                    index_of(term, index, span)
                }
                TraversalOperator::FullSplat(_) => {
                    let item = Term { kind: TermKind::SplatItem, span };
                    let each = self.steps(item, behind, around);
                    rest = &[];
                    TermKind::Splat { source: Arc::new(term), each: Arc::new(each), kind: SplatKind::Full }
                }
                TraversalOperator::AttrSplat(_) => {
                    let dots = behind.iter().take_while(|o| is_dot(o)).count();
                    let (inner, outer) = behind.split_at(dots);
                    if let Some(TraversalOperator::AttrSplat(_)) = outer.first().map(hcl_edit::Decorated::value) {
                        let detail = "A \".*\" cannot stand inside another \".*\". Write [*] instead.";
                        self.refuse(span, "Nested splat expression not allowed", detail);
                    }
                    let item = Term { kind: TermKind::SplatItem, span };
                    let each = self.steps(item, inner, around);
                    rest = outer;
                    TermKind::Splat { source: Arc::new(term), each: Arc::new(each), kind: SplatKind::Attribute }
                }
            };
            let end = match &kind {
                TermKind::Splat { each, .. } => each.span.end.max(end),
                _ => end,
            };
            let span = Span { end, ..span };
            term = Term { kind: respan(kind, span), span };
        }
        term
    }

    /// Where an operator ends, its closing bracket included.
    fn end_of(&self, operator: &Operator, behind: &[Operator], around: Span) -> u32 {
        let end = self.span_of(operator.value(), around).end;
        if !matches!(operator.value(), TraversalOperator::Index(_) | TraversalOperator::FullSplat(_)) {
            return end;
        }
        let limit = behind.first().map_or(around.end, |next| self.span_of(next.value(), around).start);
        let between = self.text.get(end as usize..limit as usize).unwrap_or("");
        between.find(']').and_then(|at| u32::try_from(at + 1).ok()).map_or(end, |at| end + at)
    }
}

type Operator = hcl_edit::Decorated<TraversalOperator>;

fn is_dot(operator: &Operator) -> bool {
    matches!(operator.value(), TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_))
}

fn both_legacy(pair: &[Operator; 2]) -> bool {
    pair.iter().all(|o| matches!(o.value(), TraversalOperator::LegacyIndex(_)))
}

fn attribute(of: Term, name: &str, span: Span) -> TermKind {
    match of.kind {
        TermKind::Reference(mut reference) => {
            reference.steps.push(Step::Attribute(name.into()));
            TermKind::Reference(Reference { span, ..reference })
        }
        _ => TermKind::Attribute(Arc::new(of), name.into()),
    }
}

fn index_of(of: Term, index: Term, span: Span) -> TermKind {
    match (of.kind, constant_key(&index)) {
        (TermKind::Reference(mut reference), Some(key)) => {
            reference.steps.push(Step::Index(key));
            TermKind::Reference(Reference { span, ..reference })
        }
        (kind, _) => TermKind::Index(Arc::new(Term { kind, span: of.span }), Arc::new(index)),
    }
}

fn constant_key(index: &Term) -> Option<Key> {
    let TermKind::Literal(value) = &index.kind else { return None };
    match (value.as_str(), value.as_number()) {
        (Some(name), _) => Some(Key::Name(name.into())),
        (_, Some(n)) => n.to_u64().map(Key::Index),
        _ => None,
    }
}

/// A reference knows its own place.
fn respan(kind: TermKind, span: Span) -> TermKind {
    match kind {
        TermKind::Reference(reference) => TermKind::Reference(Reference { span, ..reference }),
        other => other,
    }
}

fn binary(operator: BinaryOperator) -> Binary {
    match operator {
        BinaryOperator::Or => Binary::Or,
        BinaryOperator::And => Binary::And,
        BinaryOperator::Eq => Binary::Equal,
        BinaryOperator::NotEq => Binary::NotEqual,
        BinaryOperator::Less => Binary::Less,
        BinaryOperator::LessEq => Binary::LessOrEqual,
        BinaryOperator::Greater => Binary::Greater,
        BinaryOperator::GreaterEq => Binary::GreaterOrEqual,
        BinaryOperator::Plus => Binary::Add,
        BinaryOperator::Minus => Binary::Subtract,
        BinaryOperator::Mul => Binary::Multiply,
        BinaryOperator::Div => Binary::Divide,
        BinaryOperator::Mod => Binary::Remainder,
    }
}

//! Steps behind a term: attributes, indexes, splats.

use std::sync::Arc;

use super::parser::{Parsed, Parser};
use crate::addr::Key;
use crate::config::token::{Kind, Token};
use crate::diag::Span;
use crate::eval::{Reference, SplatKind, Step, Term, TermKind};
use crate::value::Value;

impl Parser<'_> {
    /// A term and the steps behind it.
    pub(super) fn stepped(&mut self) -> Parsed<Term> {
        let term = self.primary()?;
        self.steps(term)
    }

    fn steps(&mut self, mut term: Term) -> Parsed<Term> {
        loop {
            let token = self.peek();
            term = match token.kind {
                Kind::Dot => {
                    self.take();
                    if self.next_kind() == Kind::Star { self.attribute_splat(term)? } else { self.dotted(term)? }
                }
                Kind::OpenBracket => {
                    self.take();
                    if self.next_kind() == Kind::Star {
                        self.full_splat(term, token)?
                    } else {
                        self.index(term, token)?
                    }
                }
                _ => return Ok(term),
            };
        }
    }

    /// What stands behind a dot: a name, or a number as the old way to write an index.
    fn dotted(&mut self, of: Term) -> Parsed<Term> {
        let token = self.peek();
        let span = of.span.to(self.span(token));
        match token.kind {
            Kind::Identifier => {
                self.take();
                let name = self.names.get(self.source(token));
                if let TermKind::Reference(mut reference) = of.kind {
                    reference.steps.push(Step::Attribute(name));
                    return Ok(Term { kind: TermKind::Reference(Reference { span, ..reference }), span });
                }
                self.put_together(self.height, token)?;
                Ok(Term { kind: TermKind::Attribute(Arc::new(of), name), span })
            }
            Kind::Number => {
                self.take();
                let value = self.legacy_index(token);
                self.element(of, Term::literal(value, self.span(token)), span, token)
            }
            _ => {
                let why = "A dot is followed by the name of an attribute.";
                self.reject(token, "Invalid attribute name", why)
            }
        }
    }

    /// `0` in `a.0`. `0.1` is one number to the scanner, so `a.0.1` would be read as another thing than was meant.
    fn legacy_index(&mut self, token: Token) -> Value {
        if let Some((first, second)) = self.source(token).split_once('.') {
            self.bad_legacy_index(token, first, second);
            return Value::number(0_i64);
        }
        self.number(token)
    }

    fn element(&mut self, of: Term, index: Term, span: Span, token: Token) -> Parsed<Term> {
        let kind = match (of.kind, constant_key(&index)) {
            (TermKind::Reference(mut reference), Some(key)) => {
                reference.steps.push(Step::Index(key));
                TermKind::Reference(Reference { span, ..reference })
            }
            (kind, _) => {
                self.put_together(self.height, token)?;
                TermKind::Index(Arc::new(Term { kind, span: of.span }), Arc::new(index))
            }
        };
        Ok(Term { kind, span })
    }

    fn index(&mut self, of: Term, open: Token) -> Parsed<Term> {
        let below = self.height;
        let (index, close) = self.inside(open, false, |p| {
            let index = p.expression()?;
            let why = "Expected a \"]\" behind the index.";
            Ok((index, p.close(Kind::CloseBracket, "Missing close bracket on index", why)?))
        })?;
        self.height = self.height.max(below);
        let span = of.span.to(self.span(close));
        self.element(of, index, span, open)
    }

    /// `a[*].b[0]`: all steps behind it belong to each element.
    fn full_splat(&mut self, source: Term, open: Token) -> Parsed<Term> {
        let below = self.height;
        self.take();
        let token = self.peek();
        if token.kind != Kind::CloseBracket {
            let why = "The star of a splat [*] stands alone between its brackets.";
            return self.reject(token, "Missing close bracket on splat index", why);
        }
        let close = self.take();
        let span = source.span.to(self.span(close));
        self.height = 1;
        let newlines = self.newlines;
        let each = self.inside(open, newlines, |p| p.steps(Term { kind: TermKind::SplatItem, span }))?;
        self.splat(source, each, SplatKind::Full, below, open)
    }

    /// `a.*.b[0]`: only names and numbers behind dots belong to each element.
    fn attribute_splat(&mut self, source: Term) -> Parsed<Term> {
        let below = self.height;
        let star = self.take();
        let span = source.span.to(self.span(star));
        let mut each = Term { kind: TermKind::SplatItem, span };
        self.height = 1;
        while self.take_if(Kind::Dot).is_some() {
            let token = self.peek();
            if token.kind == Kind::Star {
                let why = "A \".*\" cannot stand inside another \".*\". Write [*] instead.";
                return self.reject(token, "Nested splat expression not allowed", why);
            }
            each = self.dotted(each)?;
        }
        self.splat(source, each, SplatKind::Attribute, below, star)
    }

    fn splat(&mut self, source: Term, each: Term, kind: SplatKind, below: u32, token: Token) -> Parsed<Term> {
        self.put_together(self.height.max(below), token)?;
        let span = source.span.to(each.span);
        Ok(Term { kind: TermKind::Splat { source: Arc::new(source), each: Arc::new(each), kind }, span })
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

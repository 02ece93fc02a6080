//! Expressions: conditions, operators, and what they are applied to.

use std::sync::Arc;

use super::parser::{Parsed, Parser};
use crate::config::token::{Kind, Token};
use crate::diag::Span;
use crate::eval::{Binary, Reference, Term, TermKind, Unary};
use crate::value::{Number, Type, Value};

impl Parser<'_> {
    /// An expression. The false sides of conditions are read in a loop, for people write long chains of them.
    pub(super) fn expression(&mut self) -> Parsed<Term> {
        let condition = self.binary(0)?;
        if self.next_kind() != Kind::Question {
            return Ok(condition);
        }
        let mut decided: Vec<(Term, Term, Token)> = Vec::new();
        let mut last = condition;
        let mut highest = self.height;
        while let Some(question) = self.take_if(Kind::Question) {
            let then = self.inside(question, self.newlines, |p| {
                let then = p.expression()?;
                p.expect_colon()?;
                Ok(then)
            })?;
            highest = highest.max(self.height);
            decided.push((last, then, question));
            last = self.binary(0)?;
            highest = highest.max(self.height);
        }
        self.height = highest;
        while let Some((condition, then, question)) = decided.pop() {
            self.put_together(self.height, question)?;
            let span = condition.span.to(last.span);
            let kind = TermKind::Conditional(Arc::new(condition), Arc::new(then), Arc::new(last));
            last = Term { kind, span };
        }
        Ok(last)
    }

    fn expect_colon(&mut self) -> Parsed<()> {
        let token = self.peek();
        if token.kind == Kind::Colon {
            self.take();
            return Ok(());
        }
        let why = "The conditional operator has two results: CONDITION ? IF_TRUE : IF_FALSE. The colon and the second one \
                   are missing.";
        self.reject(token, "Missing false expression in conditional", why)
    }

    /// Operators that bind at least so tightly, and their operands; of one rank from the left.
    fn binary(&mut self, least: u8) -> Parsed<Term> {
        let mut left = self.operand()?;
        let mut highest = self.height;
        loop {
            let token = self.peek();
            let Some((rank, operator)) = binary(token.kind).filter(|(rank, _)| *rank >= least) else { break };
            self.take();
            let right = self.binary(rank + 1)?;
            self.put_together(highest.max(self.height), token)?;
            highest = self.height;
            let span = left.span.to(right.span);
            left = Term { kind: TermKind::Binary(operator, Arc::new(left), Arc::new(right)), span };
        }
        self.height = highest;
        Ok(left)
    }

    /// A term with the signs in front of it and the steps behind it.
    fn operand(&mut self) -> Parsed<Term> {
        if !matches!(self.next_kind(), Kind::Minus | Kind::Not) {
            return self.stepped();
        }
        let mut signs = Vec::new();
        while matches!(self.next_kind(), Kind::Minus | Kind::Not) {
            signs.push(self.take());
        }
        let mut term = self.stepped()?;
        while let Some(sign) = signs.pop() {
            let span = self.span(sign).to(term.span);
            let number = if let TermKind::Literal(value) = &term.kind { value.as_number() } else { None };
            let kind = match (sign.kind, number) {
                (Kind::Minus, Some(number)) => TermKind::Literal(Value::number(number.neg())),
                (kind, _) => {
                    self.put_together(self.height, sign)?;
                    TermKind::Unary(if kind == Kind::Minus { Unary::Negate } else { Unary::Not }, Arc::new(term))
                }
            };
            term = Term { kind, span };
        }
        Ok(term)
    }

    /// A term without signs and steps.
    pub(super) fn primary(&mut self) -> Parsed<Term> {
        let token = self.peek();
        self.height = 1;
        match token.kind {
            Kind::Identifier => {
                self.take();
                self.word(token)
            }
            Kind::Number => {
                self.take();
                Ok(Term::literal(self.number(token), self.span(token)))
            }
            Kind::OpenQuote => self.quoted(),
            Kind::OpenHeredoc => self.heredoc(),
            Kind::OpenBracket => self.tuple(),
            Kind::OpenBrace => self.object(),
            Kind::OpenParen => {
                self.take();
                let provider_keys = std::mem::take(&mut self.provider_keys);
                let (inner, close) = self.inside(token, false, |p| {
                    let inner = p.expression()?;
                    let close =
                        p.close(Kind::CloseParen, "Unbalanced parentheses", "Expected a \")\" behind the expression.")?;
                    Ok((inner, close))
                })?;
                self.provider_keys = provider_keys;
                Ok(Term { kind: inner.kind, span: self.span(token).to(self.span(close)) })
            }
            _ => self.no_expression(token),
        }
    }

    /// A name, a word that is a value, or the name of a function that is called.
    fn word(&mut self, token: Token) -> Parsed<Term> {
        if matches!(self.next_kind(), Kind::OpenParen | Kind::DoubleColon) {
            return self.call(token);
        }
        let span = self.span(token);
        let value = match self.source(token) {
            "true" => Value::bool(true),
            "false" => Value::bool(false),
            "null" => Value::null(Type::Any),
            name => {
                let root = self.names.get(name);
                return Ok(Term { kind: TermKind::Reference(Reference { root, steps: Vec::new(), span }), span });
            }
        };
        Ok(Term::literal(value, span))
    }

    /// The value of a number; of one that is none after noting it.
    pub(super) fn number(&mut self, token: Token) -> Value {
        if let Ok(number) = self.source(token).parse::<Number>() {
            return Value::number(number);
        }
        self.bad_number(token);
        Value::null(Type::Number)
    }

    /// The end of an expression that stands alone.
    pub(super) fn end(&mut self) -> Parsed<()> {
        let token = self.peek();
        if token.kind == Kind::End {
            return Ok(());
        }
        let why = "An expression was complete before it; only one can stand here.";
        self.reject(token, "Extra characters after expression", why)
    }

    /// A function's call, from its name on.
    fn call(&mut self, first: Token) -> Parsed<Term> {
        let mut name = self.names.get(self.source(first));
        let mut last = first;
        while self.take_if(Kind::DoubleColon).is_some() {
            let part = self.peek();
            if part.kind != Kind::Identifier {
                let why = "A \"::\" is followed by the name of a function, as in provider::terraform::encode_expr.";
                return self.reject(part, "Missing function name", why);
            }
            last = self.take();
            let longer = format!("{name}::{}", self.source(part));
            name = self.names.get(&longer);
        }
        let open = self.peek();
        if open.kind != Kind::OpenParen {
            let why = "The name of a function is followed by its arguments in parentheses.";
            return self.reject(open, "Missing open parenthesis", why);
        }
        self.take();
        let name_span = self.span(first).to(self.span(last));
        let mut highest = 0;
        let (arguments, expand, close) = self.inside(open, false, |p| p.arguments(&mut highest))?;
        self.put_together(highest, first)?;
        let span = name_span.to(self.span(close));
        Ok(Term { kind: TermKind::Call { name, name_span, arguments, expand }, span })
    }

    fn arguments(&mut self, highest: &mut u32) -> Parsed<(Vec<Arc<Term>>, bool, Token)> {
        let mut arguments = Vec::new();
        loop {
            if let Some(close) = self.take_if(Kind::CloseParen) {
                return Ok((arguments, false, close));
            }
            arguments.push(Arc::new(self.expression()?));
            *highest = (*highest).max(self.height);
            if self.take_if(Kind::Ellipsis).is_some() {
                let why = "An argument that is expanded with \"...\" is the last one: a \")\" has to follow.";
                let close = self.close(Kind::CloseParen, "Missing closing parenthesis", why)?;
                return Ok((arguments, true, close));
            }
            if self.next_kind() != Kind::CloseParen && self.take_if(Kind::Comma).is_none() {
                let token = self.peek();
                let why = "Expected a comma or \")\": arguments are separated by commas.";
                return self.reject(token, "Missing argument separator", why);
            }
        }
    }

    /// A span from one token to another.
    pub(super) fn span_to(&self, from: Token, to: Token) -> Span {
        self.span(from).to(self.span(to))
    }
}

/// An operator with two operands and how tightly it binds.
fn binary(kind: Kind) -> Option<(u8, Binary)> {
    Some(match kind {
        Kind::Or => (0, Binary::Or),
        Kind::And => (1, Binary::And),
        Kind::Equal => (2, Binary::Equal),
        Kind::NotEqual => (2, Binary::NotEqual),
        Kind::Less => (3, Binary::Less),
        Kind::LessOrEqual => (3, Binary::LessOrEqual),
        Kind::Greater => (3, Binary::Greater),
        Kind::GreaterOrEqual => (3, Binary::GreaterOrEqual),
        Kind::Plus => (4, Binary::Add),
        Kind::Minus => (4, Binary::Subtract),
        Kind::Star => (5, Binary::Multiply),
        Kind::Slash => (5, Binary::Divide),
        Kind::Percent => (5, Binary::Remainder),
        _ => return None,
    })
}

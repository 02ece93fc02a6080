//! Templates: flattened into tokens, trimmed at their strip markers, de-indented, and put together again.
//!
//! The order is that of Go's parser (hcl's `parser_template.go`): a literal of a heredoc is cut into lines; `~` trims the
//! one token next to it, so at most to the end of a line; then `<<-` takes the smallest indentation of the tokens that
//! start a line from each of those. hcl-edit de-indents its literals otherwise, so they are read from the source again.

use std::sync::Arc;

use hcl_edit::expr::Expression;
use hcl_edit::template::{Directive, Element, HeredocTemplate, StringTemplate, Strip, Template};

use super::literal::unmark;
use super::term::Lower;
use crate::diag::Span;
use crate::eval::{Part, Term, TermKind};
use crate::value::Value;

/// Whether the template stands in quotes, so that escapes count and lines may not break.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Quoted,
    Lines,
}

enum Token<'t> {
    Text(String),
    Interpolation(&'t Expression, Span),
    If(&'t Expression, Span),
    Else,
    EndIf,
    For { key: Option<&'t str>, value: &'t str, collection: &'t Expression, span: Span },
    EndFor,
}

/// A token and whether it trims what stands before and behind it.
struct Piece<'t> {
    token: Token<'t>,
    strip: Strip,
}

impl Lower<'_> {
    /// `"…"`
    pub(super) fn quoted(&mut self, template: &StringTemplate, span: Span) -> Term {
        let mut pieces = Vec::new();
        self.flatten(template, Form::Quoted, span, &mut pieces);
        trim(&mut pieces);
        if let [Piece { token: Token::Interpolation(tree, around), .. }] = pieces[..] {
            let inner = self.expression(tree, around);
            return Term { kind: inner.kind, span };
        }
        self.assembled(&pieces, span)
    }

    /// `<<EOT` and `<<-EOT`
    pub(super) fn heredoc(&mut self, heredoc: &HeredocTemplate, span: Span) -> Term {
        let mut pieces = Vec::new();
        self.flatten(&heredoc.template, Form::Lines, span, &mut pieces);
        trim(&mut pieces);
        if self.source(span).starts_with("<<-") {
            flush(&mut pieces);
        }
        self.assembled(&pieces, span)
    }

    /// A template that is a whole text.
    pub(super) fn bare(&mut self, template: &Template, span: Span) -> Term {
        let mut pieces = Vec::new();
        self.flatten(template, Form::Lines, span, &mut pieces);
        trim(&mut pieces);
        self.assembled(&pieces, span)
    }

    fn flatten<'t>(&mut self, template: &'t Template, form: Form, around: Span, out: &mut Vec<Piece<'t>>) {
        for element in template {
            let span = self.span_of(element, around);
            match element {
                Element::Literal(_) => self.literal(form, span, out),
                Element::Interpolation(i) => {
                    out.push(Piece { token: Token::Interpolation(&i.expr, span), strip: i.strip });
                }
                Element::Directive(directive) => match &**directive {
                    Directive::If(d) => {
                        out.push(Piece { token: Token::If(&d.if_expr.cond_expr, span), strip: d.if_expr.strip });
                        self.flatten(&d.if_expr.template, form, span, out);
                        if let Some(otherwise) = &d.else_expr {
                            out.push(Piece { token: Token::Else, strip: otherwise.strip });
                            self.flatten(&otherwise.template, form, span, out);
                        }
                        out.push(Piece { token: Token::EndIf, strip: d.endif_expr.strip });
                    }
                    Directive::For(d) => {
                        let token = Token::For {
                            key: d.for_expr.key_var.as_ref().map(|name| name.as_str()),
                            value: d.for_expr.value_var.as_str(),
                            collection: &d.for_expr.collection_expr,
                            span,
                        };
                        out.push(Piece { token, strip: d.for_expr.strip });
                        self.flatten(&d.for_expr.template, form, span, out);
                        out.push(Piece { token: Token::EndFor, strip: d.endfor_expr.strip });
                    }
                },
            }
        }
    }

    fn literal<'t>(&mut self, form: Form, span: Span, out: &mut Vec<Piece<'t>>) {
        let mut push = |text| out.push(Piece { token: Token::Text(text), strip: Strip::None });
        match form {
            Form::Quoted => push(self.unquoted(span)),
            Form::Lines => self.source(span).split_inclusive('\n').for_each(|line| push(unmark(line))),
        }
    }

    fn assembled(&mut self, pieces: &[Piece<'_>], span: Span) -> Term {
        let mut rest = pieces;
        let parts = self.parts(&mut rest);
        let kind = match &parts[..] {
            [] => TermKind::Literal(Value::string("")),
            [Part::Literal(text)] => TermKind::Literal(Value::string(text.clone())),
            _ => TermKind::Template(parts),
        };
        Term { kind, span }
    }

    /// The parts up to the end, or to the `else` or end of the directive around, which stays in `rest`.
    fn parts(&mut self, rest: &mut &[Piece<'_>]) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some((piece, behind)) = rest.split_first() {
            if matches!(piece.token, Token::Else | Token::EndIf | Token::EndFor) {
                break;
            }
            *rest = behind;
            if let Token::Text(more) = &piece.token {
                text.push_str(more);
                continue;
            }
            flush_text(&mut text, &mut parts);
            let part = self.part(&piece.token, rest);
            parts.extend(part);
        }
        flush_text(&mut text, &mut parts);
        parts
    }

    fn part(&mut self, token: &Token<'_>, rest: &mut &[Piece<'_>]) -> Option<Part> {
        match *token {
            Token::Interpolation(tree, around) => Some(Part::Interpolation(Arc::new(self.expression(tree, around)))),
            Token::If(tree, around) => {
                let condition = Arc::new(self.expression(tree, around));
                let then = self.parts(rest);
                let mut otherwise = Vec::new();
                if matches!(rest.first(), Some(Piece { token: Token::Else, .. })) {
                    *rest = &rest[1..];
                    otherwise = self.parts(rest);
                }
                *rest = rest.get(1..).unwrap_or_default();
                Some(Part::If { condition, then, otherwise })
            }
            Token::For { key, value, collection, span } => {
                let collection = Arc::new(self.expression(collection, span));
                let body = self.parts(rest);
                *rest = rest.get(1..).unwrap_or_default();
                Some(Part::For { key_name: key.map(Into::into), value_name: value.into(), collection, body })
            }
            Token::Text(_) | Token::Else | Token::EndIf | Token::EndFor => None,
        }
    }
}

fn flush_text(text: &mut String, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Literal(std::mem::take(text).into()));
    }
}

/// Applies strip markers: each trims the token next to it, if that one is text.
fn trim(pieces: &mut [Piece<'_>]) {
    for at in 0..pieces.len() {
        let strip = pieces[at].strip;
        if strip.strip_start()
            && at > 0
            && let Token::Text(text) = &mut pieces[at - 1].token
        {
            text.truncate(text.trim_end().len());
        }
        if strip.strip_end()
            && let Some(Piece { token: Token::Text(text), .. }) = pieces.get_mut(at + 1)
        {
            text.drain(..text.len() - text.trim_start().len());
        }
    }
}

/// Takes the smallest indentation of the tokens that start a line from each of these. A blank line has none and keeps what
/// it has; a line that starts with an interpolation or directive has an indentation of nothing.
fn flush(pieces: &mut [Piece<'_>]) {
    let mut smallest = usize::MAX;
    let mut starts = Vec::new();
    let mut new_line = true;
    for (at, piece) in pieces.iter().enumerate() {
        let Token::Text(text) = &piece.token else {
            if std::mem::take(&mut new_line) {
                smallest = 0;
            }
            continue;
        };
        if std::mem::take(&mut new_line) {
            let blank = text.trim_start().is_empty() && text.ends_with('\n');
            if !blank {
                smallest = smallest.min(text.chars().take_while(|c| c.is_whitespace()).count());
                starts.push(at);
            }
        }
        new_line = text.ends_with('\n');
    }
    for at in starts {
        if let Token::Text(text) = &mut pieces[at].token {
            let cut = text.char_indices().nth(smallest).map_or(text.len(), |(i, _)| i);
            text.drain(..cut);
        }
    }
}

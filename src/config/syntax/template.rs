//! Templates: read into a flat list of pieces, trimmed at their strip markers, de-indented, and put together.
//!
//! The order is that of Terraform's parser: a literal of a heredoc is cut into lines; `~` trims the one piece next to it, so
//! at most to the end of a line; then `<<-` takes the smallest indentation of the pieces that start a line from each of
//! those.

use std::sync::Arc;

use super::literal::unmark;
use super::parser::{NESTING_MAX, Parsed, Parser};
use crate::config::token::{Kind, Token};
use crate::diag::Span;
use crate::eval::{Part, Term, TermKind};
use crate::value::{Value, normal};

enum Piece {
    Text(String),
    Interpolation(Term),
    If(Term),
    Else,
    EndIf,
    For { key_name: Option<Arc<str>>, value_name: Arc<str>, collection: Term },
    EndFor,
}

impl Piece {
    /// The word of its directive.
    fn word(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Interpolation(_) => "",
            Self::If(_) => "if",
            Self::Else => "else",
            Self::EndIf => "endif",
            Self::For { .. } => "for",
            Self::EndFor => "endfor",
        }
    }
}

/// A piece, whether it trims what stands before and behind it, and where it stands.
struct Placed {
    piece: Piece,
    trims_before: bool,
    trims_behind: bool,
    span: Span,
}

/// The pieces of one template and what they come to.
#[derive(Default)]
struct Pieces {
    all: Vec<Placed>,
    /// The height of the highest term in them.
    highest: u32,
}

type Rest = std::iter::Peekable<std::vec::IntoIter<Placed>>;

impl Parser<'_> {
    /// `"…"`
    pub(super) fn quoted(&mut self) -> Parsed<Term> {
        let open = self.take();
        // Most strings are plain: one literal, or none.
        match (self.kind_behind(0), self.kind_behind(1)) {
            (Kind::CloseQuote, _) => {
                let close = self.take();
                return Ok(Term::literal(Value::string(""), self.span_to(open, close)));
            }
            (Kind::QuotedText, Kind::CloseQuote) => {
                let text = self.take();
                let value = Value::string(self.unquoted(text));
                let close = self.take();
                return Ok(Term::literal(value, self.span_to(open, close)));
            }
            _ => {}
        }
        let mut pieces = Pieces::default();
        let close = self.inside(open, true, |p| p.quoted_pieces(open, &mut pieces))?;
        let span = self.span_to(open, close);
        self.whole_template(pieces, span, true)
    }

    /// `<<EOT` and `<<-EOT`
    pub(super) fn heredoc(&mut self) -> Parsed<Term> {
        let open = self.take();
        let mut pieces = Pieces::default();
        let close = self.inside(open, true, |p| p.line_pieces(open, &mut pieces))?;
        if self.whole == super::error::Whole::File && self.kind_behind(0) == Kind::End {
            self.heredoc_without_line_end(close);
        }
        trim(&mut pieces.all);
        if self.source(open).starts_with("<<-") {
            flush(&mut pieces.all);
        }
        let span = self.span_to(open, close);
        self.assembled(pieces, span)
    }

    /// A template that is a whole text.
    pub(super) fn bare(&mut self) -> Parsed<Term> {
        let mut pieces = Pieces::default();
        let open = Token { kind: Kind::Text, start: 0, end: 0 };
        let end = self.line_pieces(open, &mut pieces)?;
        let span = self.span_to(open, end);
        self.whole_template(pieces, span, true)
    }

    /// The pieces of a quoted template, up to its end.
    fn quoted_pieces(&mut self, open: Token, pieces: &mut Pieces) -> Parsed<Token> {
        let mut broken = false;
        loop {
            let token = self.peek();
            match token.kind {
                Kind::CloseQuote => return Ok(self.take()),
                Kind::QuotedText => {
                    self.take();
                    let text = self.unquoted(token).into_owned();
                    pieces.text(text, self.span(token));
                }
                Kind::QuotedNewline => {
                    self.take();
                    if !std::mem::replace(&mut broken, true) {
                        self.string_over_lines(open);
                    }
                }
                Kind::OpenInterpolation | Kind::OpenDirective => self.sequence(open, pieces)?,
                _ => return self.unclosed_string(open),
            }
        }
    }

    /// The pieces of a heredoc or of a bare template, line by line.
    fn line_pieces(&mut self, open: Token, pieces: &mut Pieces) -> Parsed<Token> {
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Text => {
                    self.take();
                    let mut start = token.start;
                    for line in self.source(token).split_inclusive('\n') {
                        let end = start + u32::try_from(line.len()).unwrap_or(0);
                        pieces.text(normal(unmark(line)).into_owned(), Span { file: self.file, start, end });
                        start = end;
                    }
                }
                Kind::OpenInterpolation | Kind::OpenDirective => self.sequence(open, pieces)?,
                Kind::CloseHeredoc => return Ok(self.take()),
                Kind::End if open.kind == Kind::Text => return Ok(token),
                _ => return self.unclosed_heredoc(open),
            }
        }
    }

    /// `${ … }` or `%{ … }`
    fn sequence(&mut self, around: Token, pieces: &mut Pieces) -> Parsed<()> {
        let open = self.take();
        let (piece, close) = self.inside(open, false, |p| {
            let piece = if open.kind == Kind::OpenInterpolation {
                Piece::Interpolation(p.expression()?)
            } else {
                p.directive()?
            };
            if p.next_kind() != Kind::CloseTemplate {
                return p.unclosed_sequence(open, around, piece.word());
            }
            Ok((piece, p.take()))
        })?;
        if !matches!(piece, Piece::Else | Piece::EndIf | Piece::EndFor) {
            pieces.highest = pieces.highest.max(self.height);
        }
        pieces.all.push(Placed {
            piece,
            trims_before: open.end - open.start == 3,
            trims_behind: close.end - close.start == 2,
            span: self.span_to(open, close),
        });
        Ok(())
    }

    /// The inside of `%{ … }`
    fn directive(&mut self) -> Parsed<Piece> {
        let word = self.peek();
        if word.kind != Kind::Identifier {
            let why = "A template directive starts with one of the words if, else, endif, for and endfor.";
            return self.reject(word, "Invalid template directive", why);
        }
        self.take();
        match self.source(word) {
            "if" => Ok(Piece::If(self.expression()?)),
            "else" => Ok(Piece::Else),
            "endif" => Ok(Piece::EndIf),
            "for" => {
                let (key_name, value_name) = self.for_names(word, "Invalid 'for' directive")?;
                Ok(Piece::For { key_name, value_name, collection: self.expression()? })
            }
            "endfor" => Ok(Piece::EndFor),
            _ => self.unknown_directive(word),
        }
    }

    /// A template that may be one interpolation alone, which then keeps its value's type.
    fn whole_template(&mut self, mut pieces: Pieces, span: Span, alone: bool) -> Parsed<Term> {
        trim(&mut pieces.all);
        if alone
            && pieces.all.len() == 1
            && let Some(Placed { piece: Piece::Interpolation(_), .. }) = pieces.all.first()
            && let Some(Placed { piece: Piece::Interpolation(inner), .. }) = pieces.all.pop()
        {
            self.height = pieces.highest;
            return Ok(Term { kind: inner.kind, span });
        }
        self.assembled(pieces, span)
    }

    fn assembled(&mut self, pieces: Pieces, span: Span) -> Parsed<Term> {
        let mut rest = pieces.all.into_iter().peekable();
        let mut deepest = 0;
        let mut parts = self.parts(&mut rest, 0, &mut deepest)?;
        if let Some(stray) = rest.next() {
            return self.stray_directive(stray.span, stray.piece.word());
        }
        self.put_together(pieces.highest + deepest, Token { kind: Kind::Text, start: span.start, end: span.end })?;
        let kind = match &mut parts[..] {
            [] => TermKind::Literal(Value::string("")),
            [Part::Literal(text)] => TermKind::Literal(Value::string(Arc::clone(text))),
            _ => TermKind::Template(parts),
        };
        Ok(Term { kind, span })
    }

    /// The parts up to the end, or to the `else` or end of the directive around, which stays in `rest`.
    fn parts(&mut self, rest: &mut Rest, depth: u32, deepest: &mut u32) -> Parsed<Vec<Part>> {
        *deepest = depth.max(*deepest);
        let mut parts = Vec::new();
        let mut text = String::new();
        let inner = |placed: &Placed| !matches!(placed.piece, Piece::Else | Piece::EndIf | Piece::EndFor);
        while let Some(Placed { piece, span, .. }) = rest.next_if(inner) {
            if let Piece::Text(more) = piece {
                if text.is_empty() {
                    text = more;
                } else {
                    text.push_str(&more);
                }
                continue;
            }
            flush_text(&mut text, &mut parts);
            if self.level + depth >= NESTING_MAX {
                return self.too_deep(Token { kind: Kind::OpenDirective, start: span.start, end: span.end });
            }
            let part = match piece {
                Piece::Interpolation(term) => Part::Interpolation(Arc::new(term)),
                Piece::If(condition) => self.if_part(condition, span, rest, depth, deepest)?,
                Piece::For { key_name, value_name, collection } => {
                    let body = self.parts(rest, depth + 1, deepest)?;
                    self.directive_end(rest, "for", "endfor", span)?;
                    Part::For { key_name, value_name, collection: Arc::new(collection), body }
                }
                Piece::Text(_) | Piece::Else | Piece::EndIf | Piece::EndFor => continue,
            };
            parts.push(part);
        }
        flush_text(&mut text, &mut parts);
        Ok(parts)
    }

    fn if_part(&mut self, condition: Term, span: Span, rest: &mut Rest, depth: u32, deepest: &mut u32) -> Parsed<Part> {
        let then = self.parts(rest, depth + 1, deepest)?;
        let mut otherwise = Vec::new();
        if rest.next_if(|placed| matches!(placed.piece, Piece::Else)).is_some() {
            otherwise = self.parts(rest, depth + 1, deepest)?;
        }
        self.directive_end(rest, "if", "endif", span)?;
        Ok(Part::If { condition: Arc::new(condition), then, otherwise })
    }

    fn directive_end(&mut self, rest: &mut Rest, opened: &str, wanted: &str, span: Span) -> Parsed<()> {
        match rest.next() {
            Some(placed) if placed.piece.word() == wanted => Ok(()),
            Some(placed) => self.wrong_directive(placed.span, placed.piece.word(), opened, span),
            None => self.unended_directive(span, opened),
        }
    }
}

impl Pieces {
    fn text(&mut self, text: String, span: Span) {
        self.all.push(Placed { piece: Piece::Text(text), trims_before: false, trims_behind: false, span });
    }
}

fn flush_text(text: &mut String, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Literal(normal(std::mem::take(text)).into()));
    }
}

/// Applies strip markers: each trims the piece next to it, if that one is text.
fn trim(pieces: &mut [Placed]) {
    for at in 0..pieces.len() {
        if pieces[at].trims_before
            && at > 0
            && let Piece::Text(text) = &mut pieces[at - 1].piece
        {
            text.truncate(text.trim_end().len());
        }
        if pieces[at].trims_behind
            && let Some(Placed { piece: Piece::Text(text), .. }) = pieces.get_mut(at + 1)
        {
            text.drain(..text.len() - text.trim_start().len());
        }
    }
}

/// Takes the smallest indentation of the pieces that start a line from each of these. A blank line has none and keeps what
/// it has; a line that starts with an interpolation or directive has an indentation of nothing.
fn flush(pieces: &mut [Placed]) {
    let mut smallest = usize::MAX;
    let mut starts = Vec::new();
    let mut new_line = true;
    for (at, placed) in pieces.iter().enumerate() {
        let Piece::Text(text) = &placed.piece else {
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
        if let Piece::Text(text) = &mut pieces[at].piece {
            let cut = text.char_indices().nth(smallest).map_or(text.len(), |(i, _)| i);
            text.drain(..cut);
        }
    }
}

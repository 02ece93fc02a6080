//! The few tokens that have a better form, and where they stand: blocks and their arguments are found here.
//!
//! The text is known to parse, so what is looked for is only as much as tells arguments from blocks. On any other text this
//! ends as well, and what it gives means nothing.

use super::label;
use super::piece::{Piece, bracket};
use crate::config::token::{Kind, Token};

/// All tokens of a file as pieces, in their better form. The last one is the end, with the spaces that stand before it.
pub(super) fn rewritten<'t>(text: &'t str, tokens: &[Token]) -> Vec<Piece<'t>> {
    Rewriter { text, tokens, at: 0, pieces: Vec::with_capacity(tokens.len() + 16), blocks: Vec::new() }.run()
}

struct Rewriter<'s, 't> {
    text: &'t str,
    tokens: &'s [Token],
    at: usize,
    pieces: Vec<Piece<'t>>,
    /// Of each open block, whether it is of type `variable`.
    blocks: Vec<bool>,
}

impl<'t> Rewriter<'_, 't> {
    fn run(mut self) -> Vec<Piece<'t>> {
        while self.at < self.tokens.len() {
            match self.kind(self.at) {
                Kind::Identifier => self.item(),
                kind => {
                    if kind == Kind::CloseBrace {
                        self.blocks.pop();
                    }
                    self.take(self.at + 1);
                }
            }
        }
        let gap = self.tokens.len().checked_sub(2).map_or(0, |last| self.tokens[last].end as usize);
        if let Some(end) = self.pieces.last_mut() {
            end.spaces = self.text.len().saturating_sub(gap);
        }
        self.pieces
    }

    fn kind(&self, at: usize) -> Kind {
        self.tokens.get(at).map_or(Kind::End, |token| token.kind)
    }

    fn piece(&self, at: usize) -> Piece<'t> {
        let token = self.tokens[at];
        Piece::new(token.kind, token.text(self.text))
    }

    /// Takes the tokens before one as they are.
    fn take(&mut self, end: usize) {
        while self.at < end.min(self.tokens.len()) {
            self.pieces.push(self.piece(self.at));
            self.at += 1;
        }
    }

    /// The first place from one on that holds no comment.
    fn behind_comments(&self, from: usize) -> usize {
        (from..self.tokens.len()).find(|at| self.kind(*at) != Kind::Comment).unwrap_or(self.tokens.len())
    }

    /// An argument or the header of a block; a name stands here.
    fn item(&mut self) {
        let behind = self.behind_comments(self.at + 1);
        if self.kind(behind) == Kind::Assign {
            self.argument(behind);
        } else {
            self.header();
        }
    }

    fn argument(&mut self, equals: usize) {
        let name = self.tokens[self.at].text(self.text);
        let is_type = name == "type" && self.blocks == [true];
        let start = self.behind_comments(equals + 1);
        self.take(start);
        let line_end = self.line_end(start);
        let end = (start..line_end).rev().find(|at| self.kind(*at) != Kind::Comment).map_or(start, |last| last + 1);
        let better = if is_type { self.constraint(start, end) } else { self.unwrapped(start, end) };
        match better {
            Some(pieces) => {
                self.pieces.extend(pieces);
                self.at = end;
            }
            None => self.take(end),
        }
    }

    /// Where the line of an expression ends: at a line end, a comment with one, or the brace of a block around, outside of all
    /// brackets and templates.
    fn line_end(&self, start: usize) -> usize {
        let mut depth = 0_usize;
        for at in start..self.tokens.len() {
            let kind = self.kind(at);
            if depth == 0 && (self.breaks(at) || matches!(kind, Kind::CloseBrace | Kind::End)) {
                return at;
            }
            if opens(kind) {
                depth += 1;
            } else if closes(kind) {
                depth = depth.saturating_sub(1);
            }
        }
        self.tokens.len()
    }

    /// Whether a line ends with a token.
    fn breaks(&self, at: usize) -> bool {
        match self.kind(at) {
            Kind::Newline => true,
            Kind::Comment => self.tokens[at].text(self.text).ends_with('\n'),
            _ => false,
        }
    }

    /// The header of a block. Labels get quotation marks; comments before and between them would stand in the middle of a name and
    /// are left out, as Terraform does.
    fn header(&mut self) {
        let variable = self.tokens[self.at].text(self.text) == "variable";
        self.take(self.at + 1);
        let mut at = self.at;
        let mut labels = Vec::new();
        loop {
            at = self.behind_comments(at);
            let end = match self.kind(at) {
                Kind::Identifier => at + 1,
                Kind::OpenQuote => match (at..self.tokens.len()).find(|at| self.kind(*at) == Kind::CloseQuote) {
                    Some(close) => close + 1,
                    None => break,
                },
                _ => break,
            };
            labels.push(at..end);
            at = end;
            self.at = end;
        }
        for label in labels {
            let (first, last) = (self.tokens[label.start], self.tokens[label.end - 1]);
            let written = &self.text[first.start as usize..last.end as usize];
            let inside = if first.kind == Kind::OpenQuote { &written[1..written.len() - 1] } else { written };
            self.pieces.push(Piece::new(Kind::OpenQuote, "\""));
            self.pieces.push(Piece::new(Kind::QuotedText, label::canonical(inside)));
            self.pieces.push(Piece::new(Kind::CloseQuote, "\""));
        }
        if self.kind(at) == Kind::OpenBrace {
            self.take(at + 1);
            self.blocks.push(variable);
        }
    }

    /// A variable's type in today's form: `"string"`, `"list"` and `"map"` are quoted as Terraform 0.11 had them, and its lists and
    /// maps were of strings; a collection without an element type is one of anything.
    fn constraint(&self, start: usize, end: usize) -> Option<Vec<Piece<'t>>> {
        let all = &self.tokens[start..end];
        let (name, element) = match all {
            [one] if one.kind == Kind::Identifier => match one.text(self.text) {
                name @ ("list" | "map" | "set") => (name, Some("any")),
                _ => return None,
            },
            [open, text, _] if open.kind == Kind::OpenQuote && text.kind == Kind::QuotedText => {
                match text.text(self.text) {
                    "string" => ("string", None),
                    name @ ("list" | "map") => (name, Some("string")),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let mut pieces = vec![Piece::new(Kind::Identifier, name)];
        if let Some(element) = element {
            pieces.push(Piece::new(Kind::OpenParen, "("));
            pieces.push(Piece::new(Kind::Identifier, element));
            pieces.push(Piece::new(Kind::CloseParen, ")"));
        }
        Some(pieces)
    }

    /// The expression of a template that is nothing but one interpolation: `x` for `"${x}"`. In parentheses if it has several
    /// lines, since outside of a template a line end ends the expression.
    fn unwrapped(&self, start: usize, end: usize) -> Option<Vec<Piece<'t>>> {
        let inside = match &self.tokens[start..end] {
            [open, sequence, .., close, last]
                if open.kind == Kind::OpenQuote
                    && sequence.kind == Kind::OpenInterpolation
                    && close.kind == Kind::CloseTemplate
                    && last.kind == Kind::CloseQuote =>
            {
                start + 2..end - 2
            }
            _ => return None,
        };
        self.is_one_sequence(inside.clone()).then_some(())?;
        let first = inside.clone().find(|at| self.kind(*at) != Kind::Newline)?;
        let last = inside.rev().find(|at| self.kind(*at) != Kind::Newline)?;
        let wrap = self.needs_parentheses(first, last);
        // What ends with the end of its line, a heredoc or a comment, cannot be followed by anything on that line.
        let breaks_off = match self.kind(last) {
            Kind::CloseHeredoc => wrap || !matches!(self.kind(end), Kind::Newline | Kind::End),
            _ => self.breaks(last) && !wrap && self.kind(self.line_end(end)) == Kind::CloseBrace,
        };
        if breaks_off {
            return None;
        }
        let mut pieces: Vec<Piece<'t>> = (first..=last).map(|at| self.piece(at)).collect();
        if wrap {
            pieces.insert(0, Piece::new(Kind::OpenParen, "("));
            pieces.push(Piece::new(Kind::CloseParen, ")"));
        }
        Some(pieces)
    }

    /// Whether no second sequence and no text stands beside the first one. What is inside of quotation marks again is its own affair.
    fn is_one_sequence(&self, inside: std::ops::Range<usize>) -> bool {
        let mut quotes = 0_usize;
        for at in inside {
            match self.kind(at) {
                Kind::OpenQuote => quotes += 1,
                Kind::CloseQuote => quotes = quotes.saturating_sub(1),
                Kind::OpenInterpolation | Kind::CloseTemplate | Kind::QuotedText if quotes == 0 => return false,
                _ => {}
            }
        }
        true
    }

    /// Whether an expression, from its first to its last token, needs parentheses where a line end would end it. Terraform sets them
    /// by the line ends alone, also where all of them stand inside of brackets; but it takes `(a) + (b)` for an expression in
    /// parentheses and a comment for no line end, and what it writes then does not parse. Those get them here.
    fn needs_parentheses(&self, first: usize, last: usize) -> bool {
        let enclosed = self.kind(first) == Kind::OpenParen && self.kind(last) == Kind::CloseParen;
        let several_lines = (first..=last).any(|at| self.kind(at) == Kind::Newline);
        if several_lines && !enclosed {
            return true;
        }
        let (mut depth, mut broken) = (0_usize, false);
        for at in first..=last {
            let kind = self.kind(at);
            let is_break = depth == 0 && self.breaks(at);
            if broken && !matches!(kind, Kind::Comment | Kind::Newline) {
                return true;
            }
            broken |= is_break;
            if opens(kind) {
                depth += 1;
            } else if closes(kind) {
                depth = depth.saturating_sub(1);
            }
        }
        false
    }
}

/// Whether a token opens a bracket or a template.
fn opens(kind: Kind) -> bool {
    bracket(kind) > 0 || matches!(kind, Kind::OpenQuote | Kind::OpenHeredoc)
}

/// Whether a token closes a bracket or a template.
fn closes(kind: Kind) -> bool {
    bracket(kind) < 0 || matches!(kind, Kind::CloseQuote | Kind::CloseHeredoc)
}

//! Where reading goes on behind something that could not be read.
//!
//! First the brackets are followed from the start of the broken item: where they come out even at the end of a line, the
//! next item starts. Where they do not, the layout decides, for people indent what they write: the next line that is not
//! indented deeper than the broken item and looks like an argument, a block or a closing brace. The text is cut into tokens
//! again from there, since the scanner may have taken it for the inside of a string.

use super::parser::Parser;
use crate::config::token::{Kind, Token, scan};

impl Parser<'_> {
    /// Goes to where the next item may start. `start` is where the broken one did, `inside` whether a brace ends the body.
    pub(super) fn recover(&mut self, start: u32, inside: bool) {
        if self.given_up {
            return;
        }
        match self.balanced(start, inside) {
            Some(at) => self.at = at,
            None => self.by_layout(start as usize, inside),
        }
    }

    /// The token behind the end of the item, if the brackets in it come out even.
    fn balanced(&self, start: u32, inside: bool) -> Option<usize> {
        let mut open: Vec<Kind> = Vec::new();
        let first = self.tokens.partition_point(|token| token.start < start);
        for (at, token) in self.tokens.iter().enumerate().skip(first) {
            match token.kind {
                Kind::End => return open.is_empty().then_some(at),
                Kind::Newline if open.is_empty() && at >= self.at => return Some(at + 1),
                Kind::UnclosedQuote => {
                    while matches!(open.last(), Some(Kind::CloseQuote | Kind::CloseTemplate)) {
                        open.pop();
                    }
                }
                kind => match (closer(kind), open.last()) {
                    (Some(closer), _) => open.push(closer),
                    (None, Some(wanted)) if *wanted == kind => {
                        open.pop();
                    }
                    (None, None)
                        if kind == Kind::CloseBrace && inside && at >= self.at && self.closes_block(*token) =>
                    {
                        return Some(at);
                    }
                    (None, Some(_)) if closes(kind) => return None,
                    (None, _) => {}
                },
            }
        }
        None
    }

    /// Whether a closing brace ends the block around, and not one on a line further down that is indented as the block is.
    fn closes_block(&self, brace: Token) -> bool {
        let Some(open) = self.open.last() else { return true };
        let own = &self.text[line_start(self.text, brace.start as usize)..];
        if own.trim_start().starts_with('}') {
            return true;
        }
        let behind = &self.text[next_line(self.text, brace.start as usize)..];
        let next = behind.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        let header = &self.text[line_start(self.text, open.start as usize)..];
        !(next.trim_start().starts_with('}') && indentation(next) == indentation(header))
    }

    fn by_layout(&mut self, start: usize, inside: bool) {
        let indent = indentation(&self.text[line_start(self.text, start)..]);
        let broken: Token = self.tokens[self.at];
        let mut at = line_start(self.text, broken.start as usize);
        // The line of the error itself may be where the next item starts: that is why it was an error.
        if at <= start || !self.text[at..broken.start as usize].trim().is_empty() {
            at = next_line(self.text, broken.start as usize);
        }
        while at < self.text.len() {
            let line = self.text[at..].lines().next().unwrap_or("");
            let closes = inside && line.trim_start().starts_with('}');
            if !line.trim().is_empty() && indentation(line) <= indent && (closes || looks_like_item(line)) {
                return self.cut_again(at);
            }
            at = next_line(self.text, at);
        }
        self.give_up();
    }

    /// Cuts the text into tokens anew from a place on.
    fn cut_again(&mut self, from: usize) {
        let shift = u32::try_from(from).unwrap_or(u32::MAX);
        let moved = |token: Token| Token { start: token.start + shift, end: token.end + shift, ..token };
        self.tokens = scan(&self.text[from..]).into_iter().map(moved).collect();
        self.at = 0;
        self.drop_comments();
    }
}

/// What closes what a token opens.
fn closer(kind: Kind) -> Option<Kind> {
    Some(match kind {
        Kind::OpenBrace => Kind::CloseBrace,
        Kind::OpenBracket => Kind::CloseBracket,
        Kind::OpenParen => Kind::CloseParen,
        Kind::OpenQuote => Kind::CloseQuote,
        Kind::OpenHeredoc => Kind::CloseHeredoc,
        Kind::OpenInterpolation | Kind::OpenDirective => Kind::CloseTemplate,
        _ => return None,
    })
}

fn closes(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CloseBrace
            | Kind::CloseBracket
            | Kind::CloseParen
            | Kind::CloseQuote
            | Kind::CloseHeredoc
            | Kind::CloseTemplate
            | Kind::UnclosedComment
    )
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |n| n + 1)
}

fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n + 1)
}

/// How far a line is indented, a tab counting as one as in most editors' idea of structure.
fn indentation(line: &str) -> usize {
    line.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Whether a line starts as `NAME =`, `TYPE {` or `TYPE "LABEL" … {` do.
fn looks_like_item(line: &str) -> bool {
    let line = line.trim_start();
    let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let rest = line.trim_start_matches(name);
    if rest.len() == line.len() || line.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return false;
    }
    let rest = rest.trim_start();
    match rest.strip_prefix('=') {
        Some(value) => !value.starts_with(['=', '>']),
        None => {
            let labels = rest.trim_start_matches(|c: char| name(c) || matches!(c, '"' | ' ' | '\t'));
            labels.starts_with('{') && rest.starts_with(|c: char| c == '{' || c == '"' || name(c))
        }
    }
}

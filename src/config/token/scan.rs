//! The scanner: a stack of what the text is inside of, and a loop.

use std::ops::Range;

use super::{Kind, Token};

/// Cuts the text of a file, without its byte order mark, or an expression into tokens. The last one is [`Kind::End`].
/// Texts of 4 GiB and more are not for it; reading limits files to far less.
pub(in crate::config) fn scan(text: &str) -> Vec<Token> {
    Scanner::over(text, Frame::Code { depth: 0, in_template: false }).run()
}

/// Cuts a bare template (the text of a template file, say) into tokens.
pub(in crate::config) fn scan_template(text: &str) -> Vec<Token> {
    Scanner::over(text, Frame::Bare).run()
}

/// What the scanner is inside of.
enum Frame {
    /// Blocks and expressions. `depth` counts open braces, so that the one that ends an interpolation is known.
    Code { depth: u32, in_template: bool },
    /// A quoted template, and whether it is known to go on over line breaks.
    Quoted { goes_on: bool },
    /// A heredoc: its marker, and whether only whole lines were read since the last line end.
    Heredoc { marker: Range<usize>, line_start: bool },
    /// A bare template.
    Bare,
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    frames: Vec<Frame>,
    tokens: Vec<Token>,
}

impl<'t> Scanner<'t> {
    fn over(text: &'t str, frame: Frame) -> Self {
        // A token is about five bytes long in configuration that people write.
        let tokens = Vec::with_capacity(text.len() / 5 + 1);
        Self { text, bytes: text.as_bytes(), at: 0, frames: vec![frame], tokens }
    }

    fn run(mut self) -> Vec<Token> {
        while self.at < self.bytes.len() {
            match self.frames.last() {
                Some(Frame::Quoted { .. }) => self.quoted(),
                Some(Frame::Heredoc { .. }) => self.heredoc(),
                Some(Frame::Bare) => self.bare(),
                Some(Frame::Code { .. }) | None => self.code(),
            }
        }
        self.token(Kind::End, 0);
        self.tokens
    }

    /// Emits a token of so many bytes and goes behind it.
    fn token(&mut self, kind: Kind, length: usize) {
        let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let end = self.at + length;
        self.tokens.push(Token { kind, start: place(self.at), end: place(end) });
        self.at = end;
    }

    fn peek(&self, offset: usize) -> u8 {
        self.bytes.get(self.at + offset).copied().unwrap_or(0)
    }

    fn code(&mut self) {
        let byte = self.bytes[self.at];
        match byte {
            b' ' | b'\t' => self.at += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.identifier(),
            b'0'..=b'9' => self.number(),
            b'\n' => self.token(Kind::Newline, 1),
            b'\r' if self.peek(1) == b'\n' => self.token(Kind::Newline, 2),
            b'"' => {
                self.token(Kind::OpenQuote, 1);
                self.frames.push(Frame::Quoted { goes_on: false });
            }
            b'#' => self.line_comment(),
            b'/' if self.peek(1) == b'/' => self.line_comment(),
            b'/' if self.peek(1) == b'*' => self.long_comment(),
            b'{' | b'}' => self.brace(byte),
            b'~' if self.peek(1) == b'}' => self.close_brace(2, Kind::CloseTemplate),
            b'<' if self.peek(1) == b'<' => self.open_heredoc(),
            0x80.. => {
                let c = self.text[self.at..].chars().next().unwrap_or('\u{fffd}');
                if unicode_ident::is_xid_start(c) { self.identifier() } else { self.token(Kind::Stray, c.len_utf8()) }
            }
            _ => {
                let (kind, length) = symbol(byte, self.peek(1), self.peek(2));
                self.token(kind, length);
            }
        }
    }

    fn identifier(&mut self) {
        let mut end = self.at;
        loop {
            match self.bytes.get(end) {
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-') => end += 1,
                Some(0x80..) => {
                    let c = self.text[end..].chars().next().unwrap_or(' ');
                    if !unicode_ident::is_xid_continue(c) {
                        break;
                    }
                    end += c.len_utf8();
                }
                _ => break,
            }
        }
        self.token(Kind::Identifier, end - self.at);
    }

    /// A digit, then digits, dots and exponents, but no dot at the end: `1..2` is one token and no number, `1...` is two.
    fn number(&mut self) {
        let mut length = 1;
        loop {
            length += match (self.peek(length), self.peek(length + 1), self.peek(length + 2)) {
                (b'0'..=b'9' | b'.', ..) => 1,
                (b'e' | b'E', b'0'..=b'9', _) => 2,
                (b'e' | b'E', b'+' | b'-', b'0'..=b'9') => 3,
                _ => break,
            };
        }
        while self.peek(length - 1) == b'.' {
            length -= 1;
        }
        self.token(Kind::Number, length);
    }

    fn line_comment(&mut self) {
        let length = self.text[self.at..].find('\n').map_or(self.bytes.len() - self.at, |n| n + 1);
        self.token(Kind::Comment, length);
    }

    fn long_comment(&mut self) {
        match self.text[self.at + 2..].find("*/") {
            Some(n) => self.token(Kind::Comment, n + 4),
            None => self.token(Kind::UnclosedComment, self.bytes.len() - self.at),
        }
    }

    fn brace(&mut self, byte: u8) {
        if byte == b'{' {
            if let Some(Frame::Code { depth, .. }) = self.frames.last_mut() {
                *depth += 1;
            }
            self.token(Kind::OpenBrace, 1);
        } else {
            self.close_brace(1, Kind::CloseBrace);
        }
    }

    /// A closing brace: of the template sequence around if none was opened in it, else what it looks like.
    fn close_brace(&mut self, length: usize, otherwise: Kind) {
        let Some(Frame::Code { depth, in_template }) = self.frames.last_mut() else { return };
        if *in_template && *depth == 0 {
            self.token(Kind::CloseTemplate, length);
            self.frames.pop();
        } else {
            *depth = depth.saturating_sub(1);
            self.token(otherwise, length);
        }
    }

    /// `<<MARKER`, `<<-MARKER`, and nothing else on the line; otherwise it is a `<`.
    fn open_heredoc(&mut self) {
        let from = self.at + if self.peek(2) == b'-' { 3 } else { 2 };
        let rest = &self.text[from..];
        let starts = rest.chars().next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c));
        let length = rest.find(|c| c != '-' && !unicode_ident::is_xid_continue(c)).unwrap_or(rest.len());
        let behind = &rest.as_bytes()[length..];
        let line_end = match behind {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        if !starts || line_end == 0 {
            self.token(Kind::Less, 1);
            return;
        }
        let marker = from..from + length;
        self.token(Kind::OpenHeredoc, marker.end + line_end - self.at);
        self.frames.push(Frame::Heredoc { marker, line_start: true });
    }

    /// Emits `${` or `%{` and goes into it.
    fn open_template(&mut self) {
        let kind = if self.bytes[self.at] == b'$' { Kind::OpenInterpolation } else { Kind::OpenDirective };
        self.token(kind, if self.peek(2) == b'~' { 3 } else { 2 });
        self.frames.push(Frame::Code { depth: 0, in_template: true });
    }

    /// Whether a sequence starts at a place: `${` or `%{` without the same sign in front, which would make it text.
    fn opens(&self, at: usize, from: usize) -> bool {
        matches!(self.bytes[at], b'$' | b'%')
            && self.bytes.get(at + 1) == Some(&b'{')
            && !(at > from && self.bytes[at - 1] == self.bytes[at])
    }

    fn quoted(&mut self) {
        let from = self.at;
        let mut end = from;
        while let Some(byte) = self.bytes.get(end) {
            match byte {
                b'"' | b'\n' | b'\r' => break,
                b'$' | b'%' if self.opens(end, from) => break,
                // What follows a backslash is text, whatever it is, but a line ends the string.
                b'\\' if !matches!(self.bytes.get(end + 1), None | Some(b'\n' | b'\r')) => end += 2,
                _ => end += 1,
            }
        }
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        if end > from {
            self.token(Kind::QuotedText, end - from);
            return;
        }
        match self.bytes[from] {
            b'"' => {
                self.token(Kind::CloseQuote, 1);
                self.frames.pop();
            }
            b'$' | b'%' => self.open_template(),
            _ => self.quoted_newline(),
        }
    }

    /// A line break in a quoted template. Either the text was meant to go on, or the closing mark was forgotten; then what
    /// follows is read as if it stood there, or every quotation mark to come would mean its opposite.
    fn quoted_newline(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let text = self.text;
        let behind = &text[self.at + length..];
        if let Some(Frame::Quoted { goes_on }) = self.frames.last_mut()
            && (*goes_on || closes_later(behind))
        {
            *goes_on = true;
            self.token(Kind::QuotedNewline, length);
            return;
        }
        self.token(Kind::UnclosedQuote, 0);
        while let Some(Frame::Quoted { .. } | Frame::Code { in_template: true, .. }) = self.frames.last() {
            self.frames.pop();
        }
    }

    /// A line of a heredoc, or its part before a sequence.
    fn heredoc(&mut self) {
        let from = self.at;
        let mut end = from;
        while end < self.bytes.len() && self.bytes[end] != b'\n' && !self.opens(end, from) {
            end += 1;
        }
        let whole = end == self.bytes.len() || self.bytes[end] == b'\n';
        let Some(Frame::Heredoc { marker, line_start }) = self.frames.last_mut() else { return };
        if whole && *line_start && self.text[from..end].trim() == &self.text[marker.clone()] {
            let carriage_return = end > from && self.bytes[end - 1] == b'\r' && end < self.bytes.len();
            self.token(Kind::CloseHeredoc, end - from - usize::from(carriage_return));
            self.frames.pop();
            return;
        }
        *line_start = whole;
        let end = if whole && end < self.bytes.len() { end + 1 } else { end };
        if end > from {
            self.token(Kind::Text, end - from);
        }
        if !whole {
            self.open_template();
        }
    }

    fn bare(&mut self) {
        let from = self.at;
        let end = (from..self.bytes.len()).find(|at| self.opens(*at, from)).unwrap_or(self.bytes.len());
        if end > from {
            self.token(Kind::Text, end - from);
        }
        if end < self.bytes.len() {
            self.open_template();
        }
    }
}

/// Whether a quoted template that a line break interrupts is closed further on: the next line that has quotation marks has
/// an odd number of them. Where the mark was forgotten, that line has its own pairs.
fn closes_later(text: &str) -> bool {
    let marks = |line: &str| {
        let mut escaped = false;
        let counts = |b: u8| {
            let mark = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            mark
        };
        line.bytes().map(counts).filter(|mark| *mark).count()
    };
    text.lines().map(marks).find(|n| *n > 0).is_some_and(|n| n % 2 == 1)
}

/// The symbol that starts with these bytes, and its length.
fn symbol(a: u8, b: u8, c: u8) -> (Kind, usize) {
    match (a, b, c) {
        (b'.', b'.', b'.') => (Kind::Ellipsis, 3),
        (b'=', b'=', _) => (Kind::Equal, 2),
        (b'=', b'>', _) => (Kind::FatArrow, 2),
        (b'!', b'=', _) => (Kind::NotEqual, 2),
        (b'<', b'=', _) => (Kind::LessOrEqual, 2),
        (b'>', b'=', _) => (Kind::GreaterOrEqual, 2),
        (b'&', b'&', _) => (Kind::And, 2),
        (b'|', b'|', _) => (Kind::Or, 2),
        (b':', b':', _) => (Kind::DoubleColon, 2),
        (b'=', ..) => (Kind::Assign, 1),
        (b'!', ..) => (Kind::Not, 1),
        (b'<', ..) => (Kind::Less, 1),
        (b'>', ..) => (Kind::Greater, 1),
        (b':', ..) => (Kind::Colon, 1),
        (b'[', ..) => (Kind::OpenBracket, 1),
        (b']', ..) => (Kind::CloseBracket, 1),
        (b'(', ..) => (Kind::OpenParen, 1),
        (b')', ..) => (Kind::CloseParen, 1),
        (b'+', ..) => (Kind::Plus, 1),
        (b'-', ..) => (Kind::Minus, 1),
        (b'*', ..) => (Kind::Star, 1),
        (b'/', ..) => (Kind::Slash, 1),
        (b'%', ..) => (Kind::Percent, 1),
        (b'.', ..) => (Kind::Dot, 1),
        (b',', ..) => (Kind::Comma, 1),
        (b'?', ..) => (Kind::Question, 1),
        _ => (Kind::Stray, 1),
    }
}

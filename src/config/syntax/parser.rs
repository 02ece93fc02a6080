//! The parser's hands: where it is in the tokens, what it has met, how deep it is.

use super::error::Whole;
use super::names::Names;
use crate::config::token::{Kind, Token};
use crate::diag::{Diagnostic, Diagnostics, FileId, Span};

/// How deep brackets, blocks, templates and calls may stand in each other. People write perhaps ten levels; the parser's
/// stack (`deep`) and everything that later walks over terms is measured for this many.
pub(super) const NESTING_MAX: u32 = 200;

/// How high the tree of one expression may be: its nesting and its chains of operators together, which lean to the left.
pub(super) const HEIGHT_MAX: u32 = 2_000;

/// How many syntax errors of one file are told. Nobody reads more, and what follows so many is often only their consequence.
pub(super) const ERRORS_MAX: usize = 50;

/// That something could not be read, after it was said why.
#[derive(Debug)]
pub(super) struct Failed;

/// What was read, or nothing.
pub(super) type Parsed<T> = Result<T, Failed>;

/// The state of parsing one text.
pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    pub(super) file: FileId,
    /// Without comments: a line comment is the newline that ends it.
    pub(super) tokens: Vec<Token>,
    /// The token that comes next. Always within the tokens, for nothing goes behind the last one, the end.
    pub(super) at: usize,
    /// Whether a line break is a token here; inside brackets other than braces it is only space.
    pub(super) newlines: bool,
    /// How many levels of nesting are around.
    pub(super) level: u32,
    /// How high the term is that was read last.
    pub(super) height: u32,
    /// What was opened and is not closed yet, outermost first.
    pub(super) open: Vec<Token>,
    pub(super) names: Names,
    pub(super) errors: Diagnostics,
    /// What the text is, for messages.
    pub(super) whole: Whole,
    /// Whether the rest of the text was given up, so that its end means nothing.
    pub(super) given_up: bool,
    /// Whether a bare `a.b` may be an object's key: in a module's `providers` only.
    pub(super) provider_keys: bool,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, file: FileId, tokens: Vec<Token>, whole: Whole) -> Self {
        let mut parser = Self {
            text,
            file,
            tokens,
            at: 0,
            newlines: whole == Whole::File,
            level: 0,
            height: 0,
            open: Vec::new(),
            names: Names::new(),
            errors: Diagnostics::default(),
            whole,
            given_up: false,
            provider_keys: false,
        };
        parser.drop_comments();
        parser
    }

    /// Drops comments. One that ends its line takes the line end in, which still ends an argument.
    pub(super) fn drop_comments(&mut self) {
        let text = self.text.as_bytes();
        self.tokens.retain_mut(|token| {
            if token.kind != Kind::Comment {
                return true;
            }
            let ends_line = text.get(token.end as usize - 1) == Some(&b'\n');
            token.kind = Kind::Newline;
            ends_line
        });
    }

    pub(super) fn finish<T>(self, read: Parsed<T>) -> Result<T, Diagnostics> {
        match read {
            Ok(read) if self.errors.is_empty() => Ok(read),
            _ => Err(self.errors),
        }
    }

    /// The next token, which stays the next.
    pub(super) fn peek(&mut self) -> Token {
        if !self.newlines {
            while self.tokens[self.at].kind == Kind::Newline {
                self.at += 1;
            }
        }
        self.tokens[self.at]
    }

    /// The kind of the next token.
    pub(super) fn next_kind(&mut self) -> Kind {
        self.peek().kind
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Takes the next token if it is of a kind.
    pub(super) fn take_if(&mut self, kind: Kind) -> Option<Token> {
        (self.next_kind() == kind).then(|| self.take())
    }

    /// The kind of the token so many behind the next, line breaks counted.
    pub(super) fn kind_behind(&self, offset: usize) -> Kind {
        self.tokens.get(self.at + offset).map_or(Kind::End, |token| token.kind)
    }

    pub(super) fn source(&self, token: Token) -> &'t str {
        token.text(self.text)
    }

    pub(super) fn span(&self, token: Token) -> Span {
        Span { file: self.file, start: token.start, end: token.end }
    }

    /// Whether the next token is this word.
    pub(super) fn at_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Identifier && self.source(token) == word
    }

    /// Reads what stands between an opening token, which was taken, and its end, one level deeper. With `newlines` a line
    /// break is a token in there.
    pub(super) fn inside<T>(
        &mut self,
        open: Token,
        newlines: bool,
        read: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        if self.level >= NESTING_MAX {
            return self.too_deep(open);
        }
        let around = std::mem::replace(&mut self.newlines, newlines);
        self.level += 1;
        self.open.push(open);
        let read = read(self)?;
        self.open.pop();
        self.level -= 1;
        self.newlines = around;
        Ok(read)
    }

    /// Notes how high the term is that was just put together from others, the highest of which is so high.
    pub(super) fn put_together(&mut self, highest: u32, token: Token) -> Parsed<()> {
        self.height = highest + 1;
        if self.height > HEIGHT_MAX { self.too_high(token) } else { Ok(()) }
    }

    /// Notes an error and goes on.
    pub(super) fn error(&mut self, diagnostic: Diagnostic) {
        if self.errors.errors() < ERRORS_MAX {
            self.errors.push(diagnostic);
        } else if !self.given_up {
            self.give_up();
            self.errors.push(super::error::too_many(diagnostic.span));
        }
    }

    /// Notes an error that makes what is being read unreadable.
    pub(super) fn fail<T>(&mut self, diagnostic: Diagnostic) -> Parsed<T> {
        self.error(diagnostic);
        Err(Failed)
    }

    /// Leaves the rest of the text unread.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.at = self.tokens.len() - 1;
    }
}

//! What is said about syntax errors: a summary (Terraform's, where it has one), what was found, what was expected, and why.

use std::borrow::Cow;

use super::literal::unquote;
use super::parser::{ERRORS_MAX, HEIGHT_MAX, NESTING_MAX, Parsed, Parser};
use crate::config::token::{Kind, Token};
use crate::diag::{Diagnostic, Span};
use crate::value::normal;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    File,
    Expression,
    Template,
}

impl Whole {
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Expression => "expression",
            Self::Template => "template",
        }
    }
}

/// Said once the limit of errors is reached.
pub(super) fn too_many(at: Option<Span>) -> Diagnostic {
    let detail = format!(
        "This file has more than {ERRORS_MAX} syntax errors. The rest of it, from here on, was not read; correct those \
         above first."
    );
    Diagnostic::error("Too many syntax errors", detail).at_opt(at)
}

impl<'t> Parser<'t> {
    /// Refuses a token that cannot stand where it stands. What it is may say more than what was expected; else `summary` and
    /// `why` do.
    pub(super) fn reject<T>(&mut self, token: Token, summary: &str, why: &str) -> Parsed<T> {
        let diagnostic = match token.kind {
            Kind::Stray => self.stray(token),
            Kind::UnclosedComment => self.unclosed_comment(token),
            Kind::UnclosedQuote | Kind::QuotedNewline => return self.unclosed_string(token),
            Kind::End => match self.innermost() {
                Some(open) => self.unclosed(open),
                None => self.ended(summary, why),
            },
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate => {
                self.wrong_bracket(token, summary, why)
            }
            Kind::OpenQuote if self.opens_nothing(token) => return self.unclosed_string(token),
            _ => {
                let detail = format!("Found {}. {why}", self.found(token));
                Diagnostic::error(summary, detail).at(self.shown(token)).hint_opt(self.left_open(token))
            }
        };
        self.fail(diagnostic)
    }

    /// What a token is called.
    pub(super) fn found(&self, token: Token) -> String {
        match token.kind {
            Kind::Newline => "the end of the line".into(),
            Kind::End => format!("the end of the {}", self.whole.word()),
            Kind::OpenQuote => "a string".into(),
            Kind::CloseQuote => "a closing quotation mark".into(),
            Kind::OpenHeredoc => "a heredoc".into(),
            _ => {
                let text: String = self.source(token).chars().take(40).collect();
                let more = if text.len() < self.source(token).len() { "…" } else { "" };
                format!("\"{text}{more}\"")
            }
        }
    }

    /// The place of a token under which carets can stand. A line end is shown at the end of what stands before it.
    pub(super) fn shown(&self, token: Token) -> Span {
        match token.kind {
            Kind::Newline | Kind::End => {
                let before = self.text[..token.start as usize].trim_end();
                let last = before.char_indices().next_back().map_or(0, |(at, _)| at);
                Span::new(self.file, last..before.len())
            }
            Kind::OpenHeredoc => {
                let text = self.source(token).trim_end();
                Span::new(self.file, token.start as usize..token.start as usize + text.len())
            }
            Kind::OpenQuote => self.span(self.string_from(token)),
            _ => self.span(token),
        }
    }

    /// A quoted template as one token, as far as it stands on its line.
    fn string_from(&self, open: Token) -> Token {
        let rest = &self.text[open.start as usize..];
        let line = rest.lines().next().unwrap_or("").trim_end();
        let mut escaped = false;
        let end = line.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let length = end.map_or(line.len(), |(at, _)| at + 1).max(1);
        Token { end: open.start + u32::try_from(length).unwrap_or(1), ..open }
    }

    /// Whether a quoted template that starts here is not closed on its line.
    fn opens_nothing(&self, open: Token) -> bool {
        let at = self.tokens.partition_point(|token| token.start < open.start);
        let line = self.tokens.iter().skip(at).take_while(|token| token.kind != Kind::Newline);
        let mut depth = 0_u32;
        for token in line {
            match token.kind {
                Kind::OpenQuote => depth += 1,
                Kind::CloseQuote if depth == 1 => return false,
                Kind::CloseQuote => depth -= 1,
                Kind::UnclosedQuote => return true,
                _ => {}
            }
        }
        false
    }

    /// The innermost bracket that is open.
    fn innermost(&self) -> Option<Token> {
        self.open.iter().rev().copied().find(|token| token.kind != Kind::Question)
    }

    fn ended(&self, summary: &str, why: &str) -> Diagnostic {
        let detail = format!("The {} ends here. {why}", self.whole.word());
        let end = self.tokens.last().copied().unwrap_or(Token { kind: Kind::End, start: 0, end: 0 });
        Diagnostic::error(summary, detail).at(self.shown(end))
    }

    /// What was opened and never closed.
    fn unclosed(&self, open: Token) -> Diagnostic {
        let end = self.whole.word();
        let (summary, detail): (&str, String) = match open.kind {
            Kind::OpenParen => (
                "Unclosed parenthesis",
                format!("This \"(\" is not closed before the end of the {end}. A \")\" is missing."),
            ),
            Kind::OpenBracket => (
                "Unclosed bracket",
                format!("This \"[\" is not closed before the end of the {end}. A \"]\" is missing."),
            ),
            Kind::OpenBrace => (
                "Unclosed brace",
                format!("This \"{{\" is not closed before the end of the {end}. A \"}}\" is missing."),
            ),
            _ => (
                "Unclosed template interpolation sequence",
                format!("This template sequence is not closed before the end of the {end}. A \"}}\" is missing."),
            ),
        };
        Diagnostic::error(summary, detail).at(self.span(open))
    }

    /// A closing bracket that is not the one that is open, or closes nothing.
    fn wrong_bracket(&self, token: Token, summary: &str, why: &str) -> Diagnostic {
        let detail = format!("Found {}. {why}", self.found(token));
        let diagnostic = Diagnostic::error(summary, detail).at(self.span(token));
        let place = self.innermost().filter(|open| match open.kind {
            Kind::OpenParen => token.kind != Kind::CloseParen,
            Kind::OpenBracket => token.kind != Kind::CloseBracket,
            Kind::OpenBrace => token.kind != Kind::CloseBrace,
            _ => false,
        });
        let hint = |open: Token| {
            format!("The \"{}\" that is open here stands on line {}.", self.source(open), self.line(open.start))
        };
        diagnostic.hint_opt(place.map(hint))
    }

    /// Where the bracket stands that was perhaps not closed, if this token looks like the next argument.
    fn left_open(&self, token: Token) -> Option<String> {
        let open = self.innermost().filter(|open| matches!(open.kind, Kind::OpenParen | Kind::OpenBracket))?;
        let line = self.line(open.start);
        let next =
            self.kind_behind(1) == Kind::Assign && token.kind == Kind::Identifier && self.line(token.start) > line;
        next.then(|| format!("The \"{}\" that is open here stands on line {line}.", self.source(open)))
    }

    pub(super) fn line(&self, at: u32) -> usize {
        self.text[..at as usize].bytes().filter(|b| *b == b'\n').count() + 1
    }

    /// A character that is not used in the language, and what was probably meant.
    fn stray(&self, token: Token) -> Diagnostic {
        let text = self.source(token);
        let error = |summary: &str, detail: &str| Diagnostic::error(summary, detail).at(self.span(token));
        match text {
            "'" => error("Invalid character", "Single quotes are not valid. Strings stand in double quotes (\")."),
            "\u{201c}" | "\u{201d}" | "\u{201e}" | "\u{ab}" | "\u{bb}" => error(
                "Invalid character",
                "Curly quotation marks are not valid; programs for writing documents put them in the place of straight ones. \
                 Strings stand in straight double quotes (\").",
            ),
            "\u{2018}" | "\u{2019}" => {
                error("Invalid character", "Curly quotes are not valid. Strings stand in straight double quotes (\").")
            }
            "`" => error(
                "Invalid character",
                "Backticks are not valid. Strings stand in double quotes (\"), texts of several lines in a heredoc (<<EOT … EOT).",
            ),
            ";" => error(
                "Invalid character",
                "Semicolons are not valid. Arguments and blocks are separated by new lines, the items of lists and objects by \
                 commas.",
            ),
            "&" => error("Unsupported operator", "There is no operator \"&\".")
                .hint("Did you mean \"&&\", the logical and?"),
            "|" => error("Unsupported operator", "There is no operator \"|\".")
                .hint("Did you mean \"||\", the logical or?"),
            "~" => error("Unsupported operator", "There is no operator \"~\".")
                .hint("Did you mean \"!\", the logical not?"),
            "^" => error("Unsupported operator", "There is no operator \"^\".")
                .hint("For powers there is pow(BASE, EXPONENT)."),
            "\u{a0}" | "\u{2007}" | "\u{202f}" | "\u{3000}" => error(
                "Invalid character",
                "This is a space of another kind (a no-break space, for example), which often comes with copied text. Only \
                 ordinary spaces and tabs may stand between words.",
            ),
            "\u{feff}" | "\u{200b}" | "\u{200c}" | "\u{200d}" | "\u{2060}" => error(
                "Invalid character",
                "An invisible character stands here, which often comes with copied text. Remove it.",
            ),
            "\r" => error(
                "Invalid character",
                "A carriage return stands here without a line feed. Lines end with a line feed, or with both.",
            ),
            _ => {
                let code = text.chars().next().map_or(0, u32::from);
                error("Invalid character", &format!("The character U+{code:04X} is not used in the language."))
            }
        }
    }

    /// A comment without an end swallows the rest of the text.
    fn unclosed_comment(&self, token: Token) -> Diagnostic {
        let detail =
            format!("This comment has no end before the end of the {}. It ends with \"*/\".", self.whole.word());
        let start = token.start as usize;
        Diagnostic::error("Unclosed comment", detail).at(Span::new(self.file, start..start + 2))
    }

    /// A string that its line does not close. `near` is its opening mark, or something in it.
    pub(super) fn unclosed_string<T>(&mut self, near: Token) -> Parsed<T> {
        let at = self.tokens.partition_point(|token| token.start <= near.start);
        let before = self.tokens[..at].iter().rev();
        let open = before.copied().find(|token| token.kind == Kind::OpenQuote).unwrap_or(near);
        let line = self.text[open.start as usize..].lines().next().unwrap_or("").trim_end();
        let range = open.start as usize..open.start as usize + line.len().max(1);
        if let Some(sequence) = self.sequence_around(open) {
            let detail = "There is no closing brace for this template sequence before the end of the string: what looks like \
                          the string's end starts another one inside of it.";
            let diagnostic = Diagnostic::error("Unclosed template interpolation sequence", detail);
            return self.fail(diagnostic.at(self.span(sequence)));
        }
        let detail = "This string has no closing quotation mark on its line. A string ends on the line on which it starts; for \
                      a text of several lines use a heredoc (<<EOT … EOT).";
        self.fail(Diagnostic::error("Unclosed string", detail).at(Span::new(self.file, range)))
    }

    /// The template sequence of a string around a string, where both stand on one line.
    fn sequence_around(&self, inner: Token) -> Option<Token> {
        let mut around = self.open.iter().rev().copied().filter(|open| open.start < inner.start);
        let sequence = around.find(|open| matches!(open.kind, Kind::OpenInterpolation | Kind::OpenDirective))?;
        let string = around.next().filter(|open| open.kind == Kind::OpenQuote)?;
        (self.line(string.start) == self.line(inner.start)).then_some(sequence)
    }

    /// A string that goes on over the end of its line.
    pub(super) fn string_over_lines(&mut self, open: Token) {
        let line = self.text[open.start as usize..].lines().next().unwrap_or("").trim_end();
        let range = open.start as usize..open.start as usize + line.len().max(1);
        let detail = "A quoted string ends on the line on which it starts. Write \"\\n\" for a line break in it, or use a \
                      heredoc (<<EOT … EOT) for a text of several lines.";
        self.error(Diagnostic::error("Invalid multi-line string", detail).at(Span::new(self.file, range)));
    }

    pub(super) fn unclosed_heredoc<T>(&mut self, open: Token) -> Parsed<T> {
        if open.kind != Kind::OpenHeredoc {
            let token = self.peek();
            return self.reject(token, "Invalid template", "It cannot stand here in a template.");
        }
        let marker = self.source(open).trim_end().trim_start_matches(['<', '-']);
        let detail = format!(
            "No line that holds only the closing marker \"{marker}\" was found before the end of the {}. A heredoc ends at a \
             line with its marker alone.",
            self.whole.word()
        );
        let near = self.similar_marker(open, marker);
        let diagnostic = Diagnostic::error("Unterminated template string", detail).at(self.shown(open)).hint_opt(near);
        let failed = self.fail(diagnostic);
        self.give_up();
        failed
    }

    /// A line that was perhaps meant to be the end of a heredoc.
    fn similar_marker(&self, open: Token, marker: &str) -> Option<String> {
        let lines = self.text[open.end as usize..].lines();
        let mut numbered = (self.line(open.end)..).zip(lines);
        let (line, text) = numbered.find(|(_, line)| {
            let line = line.trim();
            line.starts_with(marker) && line.len() < marker.len() + 4 || line.eq_ignore_ascii_case(marker)
        })?;
        Some(format!("Line {line} is \"{}\": the marker has to be alone on it, and written the same.", text.trim()))
    }

    pub(super) fn heredoc_without_line_end(&mut self, close: Token) {
        let detail = "The closing marker of a heredoc is a line of its own, and this line has no end: the file ends right \
                      behind the marker. Terraform does not accept that either.";
        let diagnostic = Diagnostic::error("Unterminated template string", detail).at(self.span(close));
        self.error(diagnostic.hint("Add a line break at the end of the file."));
    }

    /// The text of a literal within quotes, or an empty one after noting what is wrong with it.
    pub(super) fn unquoted(&mut self, token: Token) -> Cow<'t, str> {
        unquote(self.source(token)).map(normal).unwrap_or_else(|bad| {
            let start = token.start as usize;
            let place = Span::new(self.file, start + bad.at.start..start + bad.at.end);
            self.error(Diagnostic::error("Invalid escape sequence", bad.detail).at(place));
            "".into()
        })
    }

    /// Takes a closing bracket.
    pub(super) fn close(&mut self, kind: Kind, summary: &str, why: &str) -> Parsed<Token> {
        let token = self.peek();
        if token.kind == kind { Ok(self.take()) } else { self.reject(token, summary, why) }
    }

    pub(super) fn too_deep<T>(&mut self, open: Token) -> Parsed<T> {
        let detail = format!(
            "Expressions, templates and blocks may be nested up to {NESTING_MAX} levels deep. Name parts of it in a locals \
             block."
        );
        let failed = self.fail(Diagnostic::error("Nesting too deep", detail).at(self.shown(open)));
        self.give_up();
        failed
    }

    pub(super) fn too_high<T>(&mut self, token: Token) -> Parsed<T> {
        let detail = format!(
            "An expression may have up to {HEIGHT_MAX} operators or steps in a chain. Name parts of it in a locals block."
        );
        self.fail(Diagnostic::error("Expression too long", detail).at(self.shown(token)))
    }
}

/// Expressions.
impl Parser<'_> {
    /// Where a value was expected.
    pub(super) fn no_expression<T>(&mut self, token: Token) -> Parsed<T> {
        let why = "A value was expected here: a string, number, list, object, reference or call.";
        match token.kind {
            Kind::Newline | Kind::End => self.reject(token, "Missing expression", why),
            Kind::Less if self.source_from(token).starts_with("<<") => self.bad_heredoc(token),
            Kind::Assign => {
                self.reject(token, "Invalid expression", "A value was expected here. For comparison there is \"==\".")
            }
            _ => self.reject(token, "Invalid expression", why),
        }
    }

    fn source_from(&self, token: Token) -> &str {
        self.text.get(token.start as usize..).unwrap_or("")
    }

    fn bad_heredoc<T>(&mut self, token: Token) -> Parsed<T> {
        let line = self.source_from(token).lines().next().unwrap_or("").trim_end();
        let range = token.start as usize..token.start as usize + line.len();
        let detail = "A heredoc starts with << or <<- and its marker, a word without quotation marks, which is the last thing \
                      on its line, not even followed by a space or a comment: <<EOT.";
        self.fail(Diagnostic::error("Invalid heredoc", detail).at(Span::new(self.file, range)))
    }

    pub(super) fn bad_number(&mut self, token: Token) {
        let text = self.source(token);
        let detail = if text.matches('.').count() > 1 {
            "A number has one decimal point at most."
        } else {
            "Numbers have up to 1000 digits, and exponents up to 1000."
        };
        self.error(Diagnostic::error("Invalid number literal", detail).at(self.span(token)));
    }

    pub(super) fn bad_legacy_index(&mut self, token: Token, first: &str, second: &str) {
        let detail = format!(
            "Two indexes written as numbers behind dots cannot follow each other, for {first}.{second} is one number. Write \
             [{first}][{second}]."
        );
        self.error(Diagnostic::error("Invalid legacy index syntax", detail).at(self.span(token)));
    }

    pub(super) fn ambiguous_key(&mut self, at: Span) {
        let detail = "If this is meant to be a reference, write it in parentheses; if it is meant to be the key's name, write \
                      it in quotes.";
        self.error(Diagnostic::error("Ambiguous attribute key", detail).at(at));
    }

    pub(super) fn for_as_key<T>(&mut self, word: Token) -> Parsed<T> {
        let detail = "The word \"for\" at the start of an object or list begins a \"for\" expression. A key of this name is \
                      written in quotation marks: \"for\" = …";
        self.fail(Diagnostic::error("Invalid 'for' expression", detail).at(self.span(word)))
    }

    pub(super) fn for_key_in_tuple(&mut self, arrow: Token) {
        let detail = "A \"for\" expression in [ ] makes a list, whose elements have no keys. Use { } for an object, or leave out \
                      the key and \"=>\".";
        self.error(Diagnostic::error("Invalid 'for' expression", detail).at(self.span(arrow)));
    }

    pub(super) fn for_group_in_tuple(&mut self, ellipsis: Token) {
        let detail = "Grouping with \"...\" is for objects: it gathers the values of one key. A \"for\" expression in [ ] makes \
                      a list.";
        self.error(Diagnostic::error("Invalid 'for' expression", detail).at(self.span(ellipsis)));
    }

    pub(super) fn for_without_key(&mut self, value: Span) {
        let detail = "A \"for\" expression in { } makes an object and needs a key: {for NAME in COLLECTION : KEY => VALUE}. For a \
                      list use [ ].";
        self.error(Diagnostic::error("Invalid 'for' expression", detail).at(value));
    }
}

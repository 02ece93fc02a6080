//! What is said about syntax errors of templates and of bodies; `error` has what is common.

use super::parser::{Parsed, Parser};
use crate::config::token::{Kind, Token};
use crate::diag::{Diagnostic, Span, did_you_mean};

/// The words that directives start with.
const DIRECTIVES: [&str; 5] = ["if", "else", "endif", "for", "endfor"];

/// Templates.
impl Parser<'_> {
    /// `${ … }` or `%{ … }` that does not end where it should.
    pub(super) fn unclosed_sequence<T>(&mut self, open: Token, around: Token, word: &str) -> Parsed<T> {
        let token = self.peek();
        let sign = if open.kind == Kind::OpenDirective { "%" } else { "$" };
        let literal = format!("If it is to be plain text, for another language perhaps, write {sign}{sign}{{.");
        if matches!(token.kind, Kind::OpenQuote | Kind::CloseQuote) && around.kind == Kind::OpenQuote {
            let detail = "There is no closing brace for this template sequence before the end of the string.";
            let diagnostic = Diagnostic::error("Unclosed template interpolation sequence", detail);
            return self.fail(diagnostic.at(self.span(open)).hint(literal));
        }
        if matches!(token.kind, Kind::Stray | Kind::End | Kind::UnclosedComment) {
            return self.reject(token, "Unclosed template interpolation sequence", "A \"}\" is missing.");
        }
        let summary = if word.is_empty() {
            "Extra characters after interpolation expression".to_owned()
        } else {
            format!("Extra characters in {word} marker")
        };
        let detail =
            format!("Found {}. A closing brace was expected, which ends the template sequence.", self.found(token));
        self.fail(Diagnostic::error(summary, detail).at(self.shown(token)).hint(literal))
    }

    pub(super) fn unknown_directive<T>(&mut self, word: Token) -> Parsed<T> {
        let name = self.source(word);
        let detail = format!(
            "\"{name}\" is not a template directive. There are %{{ if … }}, %{{ else }}, %{{ endif }}, %{{ for … in … }} and \
             %{{ endfor }}."
        );
        let diagnostic = Diagnostic::error("Invalid template control keyword", detail).at(self.span(word));
        self.fail(diagnostic.hint_opt(did_you_mean(name, DIRECTIVES)))
    }

    pub(super) fn stray_directive<T>(&mut self, at: Span, word: &str) -> Parsed<T> {
        let opener = if word == "endfor" { "for" } else { "if" };
        let detail = format!("There is no %{{ {opener} … }} before it that is still open.");
        self.fail(Diagnostic::error(format!("Unexpected {word} directive"), detail).at(at))
    }

    pub(super) fn wrong_directive<T>(&mut self, at: Span, word: &str, opened: &str, from: Span) -> Parsed<T> {
        let detail = match (opened, word) {
            ("for", "else") => "A %{ for … } has no %{ else }.".to_owned(),
            ("if", "else") => format!("The %{{ if … }} on line {} has an %{{ else }} already.", self.line(from.start)),
            _ => format!(
                "The %{{ {opened} … }} on line {} is still open; %{{ end{opened} }} ends it.",
                self.line(from.start)
            ),
        };
        self.fail(Diagnostic::error(format!("Unexpected {word} directive"), detail).at(at))
    }

    pub(super) fn unended_directive<T>(&mut self, at: Span, opened: &str) -> Parsed<T> {
        let detail = format!("This %{{ {opened} … }} has no %{{ end{opened} }} before the end of the template.");
        self.fail(Diagnostic::error("Unexpected end of template", detail).at(at))
    }
}

/// Bodies.
impl Parser<'_> {
    /// Where an argument or a block was expected.
    pub(super) fn no_item<T>(&mut self, token: Token) -> Parsed<T> {
        const SUMMARY: &str = "Argument or block definition required";
        match token.kind {
            Kind::OpenQuote => {
                let detail = "The name of an argument and the type of a block stand without quotation marks.";
                self.fail(Diagnostic::error("Invalid argument name", detail).at(self.shown(token)))
            }
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen => {
                let detail =
                    format!("{} closes nothing here: there is no bracket that it belongs to.", self.found(token));
                let detail = detail + " One too many was written, or an opening one is missing above.";
                self.fail(Diagnostic::error(SUMMARY, detail).at(self.span(token)))
            }
            _ => self.reject(token, SUMMARY, "An argument is NAME = VALUE, a block is TYPE \"LABEL\" { … }."),
        }
    }

    /// A name that neither an equals sign nor a label or brace follows.
    pub(super) fn neither<T>(&mut self, name: Token) -> Parsed<T> {
        const SUMMARY: &str = "Argument or block definition required";
        let token = self.peek();
        match token.kind {
            Kind::Colon | Kind::DoubleColon => {
                let why = "The name of an argument is followed by an equals sign: NAME = VALUE.";
                self.reject(token, SUMMARY, why)
            }
            Kind::Dot | Kind::OpenBracket => {
                let why = "The name of an argument is one word: dots and indexes cannot stand in it.";
                self.reject(token, SUMMARY, why)
            }
            Kind::Newline | Kind::End => {
                let detail = format!(
                    "Nothing follows {} on its line. An argument is NAME = VALUE, a block is TYPE \"LABEL\" {{ … }}.",
                    self.found(name)
                );
                self.fail(Diagnostic::error(SUMMARY, detail).at(self.span(name)))
            }
            _ => {
                let why =
                    "Expected \"=\", a label or \"{\": an argument is NAME = VALUE, a block is TYPE \"LABEL\" { … }.";
                self.reject(token, SUMMARY, why)
            }
        }
    }

    pub(super) fn redefined(&mut self, at: Span, before: Span) {
        let line = self.line(before.start);
        let detail = format!("This argument was set on line {line} already. Each argument of a block is set once.");
        self.error(Diagnostic::error("Attribute redefined", detail).at(at));
    }

    /// Something behind a complete argument or block.
    pub(super) fn no_line_end<T>(&mut self, first: Token, what: &str) -> Parsed<T> {
        let token = self.peek();
        match token.kind {
            Kind::Comma => {
                let why = "Arguments and blocks are separated by new lines, not by commas.";
                self.reject(token, &format!("Unexpected comma after {what}"), why)
            }
            Kind::CloseBrace if self.line(first.start) == self.line(token.start) && !self.open.is_empty() => {
                let why = "A block of several lines ends with a brace on a line of its own.";
                self.reject(token, &format!("Missing newline after {what}"), why)
            }
            Kind::CloseParen | Kind::CloseBracket => {
                let detail = format!(
                    "Found {}, which closes nothing: the {what} before it is complete. One too many was written, or an opening \
                     one is missing.",
                    self.found(token)
                );
                self.fail(Diagnostic::error(format!("Missing newline after {what}"), detail).at(self.span(token)))
            }
            Kind::Assign => {
                let why = format!("The {what} before it is complete. A comparison is written \"==\".");
                self.reject(token, &format!("Missing newline after {what}"), &why)
            }
            _ => {
                let why = format!("The {what} before it is complete. The next one starts on a new line.");
                self.reject(token, &format!("Missing newline after {what}"), &why)
            }
        }
    }

    /// Something other than a label or a brace in a block's header.
    pub(super) fn no_block<T>(&mut self, ty: Token, token: Token) -> Parsed<T> {
        const SUMMARY: &str = "Invalid block definition";
        match token.kind {
            Kind::Assign => {
                let why = "An equals sign sets an argument, which has no labels; a block has none between its header and its brace.";
                self.reject(token, SUMMARY, why)
            }
            Kind::Newline | Kind::End => {
                let detail = "The opening brace \"{\" of a block stands on the line of its header.";
                let header = self.span(ty).to(self.shown(token));
                self.fail(Diagnostic::error(SUMMARY, detail).at(header))
            }
            _ => self.reject(token, SUMMARY, "Expected a label in quotation marks or \"{\"."),
        }
    }

    pub(super) fn template_in_label<T>(&mut self, token: Token) -> Parsed<T> {
        let detail = "A block's label is a plain string or word, without templates.";
        let sign = if token.kind == Kind::OpenDirective { "%" } else { "$" };
        let hint = format!("To have the two characters {sign}{{ in it, write {sign}{sign}{{.");
        self.fail(Diagnostic::error("Invalid block definition", detail).at(self.span(token)).hint(hint))
    }

    pub(super) fn unclosed_block<T>(&mut self, ty: Token, open: Token) -> Parsed<T> {
        let detail = "There is no closing brace \"}\" for this block before the end of the file. It may also be missing for a \
                      block or object further down.";
        let failed = self.fail(Diagnostic::error("Unclosed configuration block", detail).at(self.span_to(ty, open)));
        self.give_up();
        failed
    }

    pub(super) fn block_on_one_line<T>(&mut self, name: Token) -> Parsed<T> {
        let detail =
            "A block on one line holds a single argument, NAME = VALUE, and no other block. Give each its own line.";
        self.fail(Diagnostic::error("Argument definition required", detail).at(self.span(name)))
    }

    /// A block on one line that does not end behind its argument.
    pub(super) fn unended_one_line<T>(&mut self, open: Token) -> Parsed<T> {
        const SUMMARY: &str = "Invalid single-argument block definition";
        let token = self.peek();
        match token.kind {
            Kind::Comma | Kind::Identifier => {
                let why =
                    "A block on one line holds a single argument. Write each on a line of its own, the braces too.";
                self.reject(token, SUMMARY, why)
            }
            Kind::Newline => {
                let detail = "A block whose first argument stands on the line of its brace ends on that line. Put the argument \
                              on the next line, or the closing brace on this one.";
                self.fail(Diagnostic::error(SUMMARY, detail).at(self.span_to(open, token)))
            }
            _ => self.reject(token, SUMMARY, "Expected \"}\": a block on one line ends behind its only argument."),
        }
    }
}

//! The ways in: a file, an expression, a template.

use super::deep::deep;
use super::error::Whole;
use super::parser::Parser;
use crate::config::desired::Body;
use crate::config::token::{scan, scan_template};
use crate::diag::{Diagnostics, FileId};
use crate::eval::Term;

/// Parses a file into its body. `text` has no byte order mark. The stack is the caller's: see [`deep`].
///
/// # Errors
/// Every syntax error that could be found.
pub(crate) fn parse(text: &str, file: FileId) -> Result<Body, Diagnostics> {
    let mut parser = Parser::new(text, file, scan(text), Whole::File);
    let body = parser.file();
    parser.finish(Ok(body))
}

/// Parses one expression: a `--var` value, a line of the console.
///
/// # Errors
/// When it is not one.
pub fn parse_expression(text: &str, file: FileId) -> Result<Term, Diagnostics> {
    deep(|| {
        let mut parser = Parser::new(text, file, scan(text), Whole::Expression);
        let term = parser.expression().and_then(|term| parser.end().map(|()| term));
        parser.finish(term)
    })
}

/// Parses a template without quotes around it: a file of `templatefile`, the text of `templatestring`.
///
/// # Errors
/// When it is not one.
pub fn parse_template(text: &str, file: FileId) -> Result<Term, Diagnostics> {
    deep(|| {
        let mut parser = Parser::new(text, file, scan_template(text), Whole::Template);
        let term = parser.bare();
        parser.finish(term)
    })
}

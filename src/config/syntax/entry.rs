//! The ways in: a file, an expression, a template.

use super::deep::deep;
use super::error::Whole;
use super::parser::Parser;
use crate::config::desired::Body;
use crate::config::token::{scan, scan_template};
use crate::diag::{Diagnostic, Diagnostics, FileId};
use crate::eval::{Arguments, Syntax, Term};

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

/// How texts that only evaluation comes upon are read: templates, variable files.
pub const SYNTAX: Syntax = Syntax { template: parse_template, arguments: parse_arguments };

/// Parses a text of arguments only.
fn parse_arguments(text: &str, file: FileId) -> Result<Arguments, Diagnostics> {
    let body = deep(|| parse(text, file))?;
    let refused = body.blocks.iter().map(|block| {
        let summary = format!("Unexpected \"{}\" block", block.ty);
        Diagnostic::error(summary, "Blocks are not allowed here.").at(block.span)
    });
    let errors: Diagnostics = refused.collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(body.attributes.into_iter().map(|(name, attribute)| (name, attribute.term)).collect())
}

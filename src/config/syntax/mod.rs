//! From text to terms: hcl-edit parses, this module lowers its tree into the evaluator's terms and drops it.
//!
//! hcl-edit differs from Terraform's parser in places that users meet (`shared/research/dependencies.md`, section 1);
//! they are evened out here: a byte order mark is stripped by the caller, numbers are read from the source text, `<<-`
//! heredocs are re-done line by line, literals of quoted templates are unescaped from the source, line breaks in quoted
//! strings and `a.0.1` are refused. Spans are byte offsets into the text.
//!
//! Nesting is bounded by hcl-edit at 64 levels; parsing that deep needs more stack than a test's or tokio's thread has,
//! so [`deep`] runs it on a thread of its own.

mod body;
mod error;
mod deep;
mod literal;
mod template;
mod term;

pub(super) use body::parse;
pub(super) use deep::deep;
pub(super) use literal::unquote;
pub use term::{parse_expression, parse_template};

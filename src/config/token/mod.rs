//! Tokens: the text of a file cut into the pieces that HCL is written in, losing nothing.
//!
//! [`scan`] never fails and never recurses: what cannot be part of HCL becomes a token of its own kind, and the parser
//! (`syntax`) or the formatter (`format`) says what it means. Between two tokens stand only spaces and tabs, so the tokens
//! and their places give the text back, comments and line breaks included.
//!
//! The cutting rules are those of HCL's native syntax specification, with the reference implementation's decisions where
//! the specification is silent (which `$` of `$$${` escapes, where a heredoc ends, what a number token takes in).

mod kind;
mod scan;

pub(super) use kind::{Kind, Token};
pub(super) use scan::{scan, scan_template};

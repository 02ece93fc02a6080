//! From text to terms: a recursive-descent parser over the scanner's tokens (`token`).
//!
//! It makes [`crate::eval::Term`]s and bodies at once, with no tree in between. The measure is Terraform: what its parser
//! accepts is accepted and means the same, what it refuses is refused. The rules that are easy to miss: a line break counts
//! except inside `( )`, `[ ]`, `${ }` and a `for`; a template that is one `${ }` alone keeps its value's type; `~` trims
//! one token, `<<-` takes the smallest indentation from lines that start with text; names and texts are NFC.
//!
//! All errors of a file are found where that is possible. What is being read (an argument, the header of a block) ends at
//! its first error; `recover` then finds where the next one starts. An error that leaves the structure clear (a bad escape,
//! an argument set twice) is noted in passing.
//!
//! Everything is bounded: nesting, the height of a term, the number of errors (`parser`). Recursion follows nesting alone;
//! chains of operators, of steps and of conditions are loops. Parsing the deepest nesting needs more stack than a test's or
//! tokio's thread has, so [`deep`] runs it on a thread of its own.

mod parser;
mod names;
mod error;
mod mistake;
mod recover;
mod body;
mod expression;
mod traversal;
mod collection;
mod literal;
mod template;
mod deep;
mod entry;

pub(super) use deep::deep;
pub(super) use entry::parse;
pub use entry::{SYNTAX, parse_expression, parse_template};
pub(super) use literal::unquote;

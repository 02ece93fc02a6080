//! Diagnostics: what is wrong, where, why it matters and what to do.
//!
//! A [`Diagnostic`] has a severity, a short summary that is recognisable and free of user names, a detail in full
//! sentences, a place in a source file, the address of the node concerned, and hints kept apart from the message. A
//! phase collects all of its diagnostics in a [`Diagnostics`] before anything is shown; sorting is by place.
//! The house style was learnt from OpenTofu's `docs/diagnostics.md` and typst's `diag.rs`.

mod diagnostic;
mod render;
mod span;
mod suggest;

pub use diagnostic::{Caller, Circumstances, Diagnostic, Diagnostics, Severity, ValueNote};
pub use render::{capital, count, escape_controls, render};
pub use span::{Extent, FileId, Position, SourceMap, Span};
pub use suggest::{did_you_mean, nearest};

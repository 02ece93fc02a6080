//! The evaluator: Terraform's expression language over closed terms.
//!
//! `config` lowers a file's syntax tree into [`Term`]s and drops the tree; the evaluator knows no file and no syntax. A term
//! is evaluated by an [`Evaluator`] in a [`Scope`], which answers references, with a [`Host`], which answers questions about
//! the outside (files, environment variables) from facts that planning has gathered, and within a [`Budget`].
//!
//! Where a term needs something that is known after apply, its value has *unknown* parts. When a whole expression has been
//! evaluated, each such part gets a residual: a closure over the term and the values of everything it refers to
//! (`closure`). That is what a plan's steps carry; apply evaluates the same term again with results in place of
//! unknowns, and looks nothing up.

mod call;
mod closure;
pub mod constraint;
mod evaluate;
mod explain;
pub mod functions;
mod host;
mod memory;
mod operator;
mod reference;
mod refine;
mod template;
mod term;
mod text;
mod traverse;

pub use call::check_call;
pub use evaluate::{Budget, Evaluator, Locals};
pub use explain::Cause;
pub use host::{Answer, Arguments, Calls, Host, NoHost, Syntax};
pub use reference::{Reference, Scope, Step, references};
pub use term::{Binary, ForTerm, ObjectItem, Part, SplatKind, Term, TermKind, Unary};

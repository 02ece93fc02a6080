//! Configuration: the files of an environment and its modules, loaded into [`Desired`].
//!
//! [`source`] is the only part that sees files: it gathers what is read into a [`Bundle`], content and
//! all, so that a plan, a saved plan and a later rollback work from the same bytes. `token` cuts text into tokens,
//! `syntax` makes terms of them, `load` turns a bundle into modules, `variables` finds the values that people
//! give, `project` reads what all environments of a project share, and `format` makes the canonical form of a file from its tokens.

mod error;
mod path;
mod schema;
mod token;
mod syntax;
mod format;
mod load;
mod project;
mod init;
mod write;
mod typed;

pub mod desired;
pub mod source;
pub mod variables;

pub use crate::eval::constraint::constant;
pub use desired::Desired;
pub use error::ConfigError;
pub use format::format;
pub use init::init_files;
pub use load::{check_calls, load};
pub use path::{is_own, normalise};
pub use project::{
    Credential, Destination, Format, PROJECT_FILE, Project, Topic, Undeliverable, Webhook, read_project,
};
pub use source::{Bundle, NOT_RELEASED, Reader, open, open_for_validation, open_with};
pub use syntax::{SYNTAX, parse_expression, parse_template};
pub use typed::{Unfinished, name_at_end, unfinished};
pub use variables::{Gathered, Given, VarArg, assign, gather, gather_for_validation, gather_leaving_open};
pub use write::{Written, written};

#[cfg(test)]
mod tests;

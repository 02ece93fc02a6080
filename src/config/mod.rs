//! Configuration: the files of an environment and its modules, loaded into [`Desired`].
//!
//! [`source`] is the only part that sees files: it gathers what is read into a [`Bundle`], content and
//! all, so that a plan, a saved plan and a later rollback work from the same bytes. `syntax` lowers hcl-edit's tree into
//! terms, `load` turns a bundle into modules, `variables` finds the values that people give.

mod error;
mod path;
mod schema;
mod token;
mod syntax;
mod load;
mod init;

pub mod desired;
pub mod source;
pub mod variables;

pub use crate::eval::constraint::constant;
pub use desired::Desired;
pub use error::ConfigError;
pub use init::init_files;
pub use load::{check_calls, load};
pub use path::normalise;
pub use source::{Bundle, Reader, open};
pub use syntax::{SYNTAX, parse_expression, parse_template};
pub use variables::{Gathered, Given, VarArg, assign, gather};

#[cfg(test)]
mod tests;

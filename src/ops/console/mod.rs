//! `console`: expressions that a person types, with their values.
//!
//! [`with`] reads the configuration and the ledger, changes neither, and hands over a [`Session`]. That evaluates one text after
//! the other in a module of the configuration; what is wrong with one text ends that text only. `host` answers what
//! expressions ask of the machine, as it is at that moment: a file that was edited meanwhile is read anew. `complete` finds what a
//! name can go on with.

mod complete;
mod host;
mod open;
mod session;

pub use crate::config::{Unfinished, unfinished};
pub use complete::Completion;
pub(super) use host::{Live, draw};
pub use open::{Asked, with};
pub use session::{Answer, Session};

//! From a bundle to modules.
//!
//! [`load`] is a pure function of a bundle: the same bytes give the same [`Desired`](super::Desired), today and in a
//! rollback years later. It collects everything that is wrong before it gives up: syntax in every file, then blocks
//! against the table in `schema`, then names in every term. Providers' schemas are the planner's.

mod loader;
mod files;
pub(super) mod check;
mod read;
mod blocks;
mod call;
mod callers;
mod node;
mod lifecycle;
mod providers;
mod settings;
mod target;
mod names;
mod provided;

pub use loader::load;
pub(super) use loader::{Attempt, Sources, attempt, run};
pub use provided::check_calls;

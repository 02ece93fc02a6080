//! The ledger: the append-only, hash-chained log in which an environment's truth is recorded.
//!
//! State is not a file that gets overwritten. [`replay`] takes the entries to the [`State`]; [`event`] says what can
//! happen, [`record`] what is known of a resource and of a generation.

pub mod event;
pub mod record;
pub mod replay;

pub use replay::{Meta, State};

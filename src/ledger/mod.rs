//! The ledger: an append-only, hash-chained log in which an environment's truth is recorded.

pub mod format;
pub mod seal;

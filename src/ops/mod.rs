//! Use cases: what each command does, without the terminal.

pub mod error;
pub mod workspace;
pub mod records;
pub mod targets;
pub mod planning;
mod journal;
mod way_back;
pub mod run;
pub mod apply;
pub mod init;
pub mod show;
pub mod validate;
pub mod verify_ledger;

pub use error::{Failure, FailureKind, Result};
pub use records::Records;
pub use targets::Targets;
pub use workspace::Workspace;

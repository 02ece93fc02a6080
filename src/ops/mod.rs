//! Use cases: what each command does, without the terminal.

pub mod error;
pub mod planning;
pub mod records;
pub mod targets;
pub mod workspace;

pub use error::{Failure, FailureKind, Result};
pub use records::Records;
pub use targets::Targets;
pub use workspace::Workspace;

//! Use cases: what each command does, without the terminal.

pub mod error;
pub mod workspace;
pub mod store;
pub mod records;
pub mod targets;
pub mod secrets;
pub mod planning;
mod configure;
pub mod restore;
pub mod signing;
pub mod approval_file;
pub mod consent;
mod journal;
mod way_back;
pub mod run;
pub mod apply;
pub mod project;
pub mod promote;
pub mod release;
mod origin;
pub mod released;
pub mod approve;
pub mod rollback;
pub mod console;
pub mod drift;
pub mod ack;
pub mod tell;
pub mod graph;
pub mod init;
pub mod from_cluster;
pub mod format;
pub mod reseal;
pub mod show;
pub mod stats;
pub mod state;
pub mod validate;
pub mod verify_ledger;
pub mod remote_migration;

pub use error::{Failure, FailureKind, Result};
pub use records::Records;
pub use store::Store;
pub use targets::Targets;
pub use workspace::Workspace;

// What the faces need of the layers below, so that they know no layer but this one.
pub use crate::config::VarArg;
pub use crate::exec::{Ending, Finished};
pub use crate::ledger::State;
pub use crate::ledger::event::{RunKind, RunOutcome};
pub use crate::ledger::lease::LeaseRecord;
pub use crate::ledger::record::Override;
pub use crate::plan::Options;
pub use crate::plan::approval::Agreement;
pub use crate::plan::duration::{parse as parse_duration, parse_up_to as parse_duration_up_to};
pub use crate::provider::local::helper as helper_process;
pub use crate::value::without_seals;

//! The command line: arguments in, one use case, a view of its outcome, an exit code.
//!
//! One file a command. [`exit_code`] is the one place where exit codes are decided, `error` where a failure is shown.
//! Long options are also taken with one dash, as Terraform's users type them (`arguments`).

pub mod exit_code;
mod arguments;
mod error;
mod shell;
mod changing;
mod agreeing;

mod ack;
mod apply;
mod approve;
mod completions;
mod console;
mod destroy;
mod drift;
mod fmt;
mod graph;
mod history;
mod import;
mod init;
mod migrate_task;
mod output;
mod plan;
mod promote;
mod release;
mod resume;
mod rollback;
mod show;
mod state;
mod stats;
mod validate;
mod verify;
mod version;

mod root;

pub use root::run;

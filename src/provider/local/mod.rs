//! The local target: files, commands and services on this machine.
//!
//! | type | what carries its identity | what finds it after a crash |
//! | --- | --- | --- |
//! | `terraform_data` | the ledger alone | nothing has to be found |
//! | `local_file` | its content's digest | the file itself |
//! | `local_command` | a directory named by the act, `GANTRY_OP` in its processes | the shim's exit record (`shim`) |
//! | `local_service` | a directory named by the act, `GANTRY_SERVICE` in its processes | the supervisor's record (`supervise`) |
//!
//! Gantry is its own helper: shim, supervisor and the wrapper around a replica are hidden subcommands of the same program
//! ([`helper()`]), so there is nothing else to install. They take what they need from files of their owner alone, never
//! from arguments, which everybody can read.

mod words;

mod data;
mod file;
mod file_data;
mod shim;
mod command;
mod supervise;
mod version;
mod client;
mod service;

mod schemas;
mod provider;
mod helper;

use provider::{EVIDENCE_MAX, environment_faults, tail, unsupported};

pub use helper::helper;
pub use provider::Local;
pub use schemas::schemas;

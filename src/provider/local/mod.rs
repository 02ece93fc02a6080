//! The local target: files, commands and services on this machine.

mod words;

mod data;
mod file;
mod shim;
mod command;
mod supervise;
mod client;
mod service;

mod schemas;
mod provider;
mod helper;

use provider::{EVIDENCE_MAX, environment_faults, tail, unsupported};

pub use helper::helper;
pub use provider::Local;
pub use schemas::schemas;

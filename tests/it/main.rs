//! The integration tests: one binary, one module per subject, real parts.

mod local_command;
mod local_file;
mod local_service;
mod local_support;
mod migrate;
mod probe;

//! The integration tests: one binary, real parts.

mod local_support;
mod local_file;
mod local_command;
mod local_service;
mod local_conformance;

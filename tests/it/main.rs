//! The integration tests: one binary, so that it is linked once, and one module per subject. What they share is in
//! `support`.

mod support;

mod bad_days;
mod blocks;
mod console;
mod docs;
mod errors;
mod fmt;
mod function_arguments;
mod function_limits;
mod functions;
mod fuzz;
mod harness;
mod kill;
mod language;
mod templates;
mod unknown;
mod local_command;
mod local_conformance;
mod local_file;
mod local_service;
mod local_support;
mod migrate;
mod modules;
mod oci;
mod probe;
mod properties;
mod sample;
mod scenarios;
mod shop;
mod update;

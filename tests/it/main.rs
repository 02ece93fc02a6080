//! The integration tests: one binary, one module per subject.

mod functions;
mod migrate;
mod probe;

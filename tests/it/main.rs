//! The integration tests: one binary, one module per subject.

mod migrate;
mod oci;
mod probe;

//! The only real time, randomness, environment, disk and processes.
//!
//! Everything else in Gantry is a function of what it is handed; what comes from the machine comes through here, so
//! that `tests/tidy.rs` can ban the direct calls everywhere else and the fault tests can stand in their way.

#![expect(clippy::disallowed_methods, reason = "this is where the machine is asked")]

pub mod clock;
pub mod crash;
pub mod env;
pub mod exec;
pub mod fs;
pub mod id;
pub mod process;
pub mod terminal;

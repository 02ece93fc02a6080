//! The `gantry` command: parses, runs, and turns the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = gantry::ports::env::arguments();
    if let Some(code) = gantry::provider::local::helper(&arguments) {
        return ExitCode::from(code);
    }
    ExitCode::SUCCESS
}

//! The `gantry` command: parses, runs, and turns the outcome into an exit code.

fn main() -> std::process::ExitCode {
    gantry::cli::run()
}

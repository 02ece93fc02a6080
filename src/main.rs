//! The `gantry` command: parses, runs, and turns the outcome into an exit code.

/// Planning makes and drops very many small objects (docs/decisions, speed of the language).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gantry::cli::run()
}

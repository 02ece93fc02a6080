//! The `gantry` command: parses, runs, and turns the outcome into an exit code.

/// Values and terms are many small allocations; docs/decisions has what this one saves over the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gantry::cli::run()
}

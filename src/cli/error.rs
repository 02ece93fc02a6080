//! How a failure is shown.

use super::exit_code;
use super::shell::Shell;
use crate::ops::Failure;

/// Shows a failure and gives its exit code.
pub(super) fn fail(shell: Shell, failure: &Failure) -> u8 {
    shell.diagnostics(&failure.diagnostics, &failure.sources);
    exit_code::of_failure(failure)
}

//! The hidden command that a migration's `runner` starts in an image. Its face is a log.

use super::exit_code;
use super::shell::Shell;
use crate::ops::remote_migration;

/// Its name.
pub(super) const NAME: &str = "__migrate";

/// Carries out what the environment names a request for.
pub(super) fn run() -> u8 {
    let shell = Shell::new(false, true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(remote_migration::serve()),
        Err(e) => Err(format!("The runtime cannot be started: {e}.")),
    };
    match served {
        Ok(served) => {
            shell.out(&format!("{}\n", served.line));
            if served.good { exit_code::SUCCESS } else { exit_code::ERROR }
        }
        Err(sentence) => {
            shell.err(&format!("{sentence}\n"));
            exit_code::ERROR
        }
    }
}

//! The hidden subcommands: what Gantry is when it is started by itself.

use super::{shim, supervise};
use crate::ports::process;

/// Runs a helper process if the command line asks for one, and gives its exit code. To be called before anything else looks at
/// the command line.
#[must_use]
pub fn helper(arguments: &[String]) -> Option<u8> {
    let (name, rest) = arguments.split_first()?;
    match name.as_str() {
        "__replica" => Some(process::become_program(rest)),
        "__command" => Some(shim::main(rest)),
        "__supervise" => Some(supervise::main(rest)),
        _ => None,
    }
}

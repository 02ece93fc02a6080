//! `gantry completions`

use clap::Args;
use clap_complete::Shell;

use super::exit_code;
use super::root::Context;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(context: &Context, arguments: &Arguments, command: &mut clap::Command) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "gantry", &mut script);
    context.shell.out(&String::from_utf8_lossy(&script));
    exit_code::SUCCESS
}

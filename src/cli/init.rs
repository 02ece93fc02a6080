//! `gantry init`

use clap::Args;

use super::root::Context;
use super::{error, exit_code};
use crate::ops::{self, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The name of the environment that is written
    #[arg(default_value = "dev")]
    environment: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> u8 {
    init(context, arguments).unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

fn init(context: &Context, arguments: &Arguments) -> Result<u8> {
    let written = ops::init::init(&context.directory, &arguments.environment)?;
    if written.is_empty() {
        context.shell.out(&format!(
            "The environment \"{0}\" is there already; nothing was written.\n\nNext: gantry plan {0}\n",
            arguments.environment
        ));
        return Ok(exit_code::SUCCESS);
    }
    let list: String = written.iter().map(|path| format!("  {path}\n")).collect();
    context
        .shell
        .out(&format!("Written:\n{list}\nNext: gantry plan {0}\n      gantry apply {0}\n", arguments.environment));
    Ok(exit_code::SUCCESS)
}

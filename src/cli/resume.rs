//! `gantry resume`

use clap::Args;

use super::changing::{Asking, Carrying, RunView, Variables, run_ended, wanted};
use super::root::Context;
use super::{error, exit_code};
use crate::ops::Options;
use crate::ops::{self, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    carrying: Carrying,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    resume(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn resume(context: &Context, arguments: &Arguments) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = arguments.carrying.changing(context, &view)?;
    let wanted = wanted(&arguments.variables, Options::default(), arguments.carrying.allow_destroy)?;
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let name = workspace.name.clone();
    let mut asking = Asking::new(context.shell, true, "", &view, &how);
    match ops::apply::resume(workspace, &wanted, &how, &mut asking).await? {
        Some(ran) => Ok(run_ended(context, &name, &view, &ran)),
        None => {
            context.shell.out(&format!("No run of \"{name}\" was interrupted. Nothing to do.\n"));
            Ok(exit_code::SUCCESS)
        }
    }
}

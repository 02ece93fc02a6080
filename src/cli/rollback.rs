//! `gantry rollback`: a plan of an older generation's configuration against today.

use std::path::PathBuf;

use clap::Args;

use super::changing::{Asking, Carrying, Limits, RunView, Variables, ended, planned, wanted, warned};
use super::root::Context;
use super::{error, exit_code};
use crate::ops::RunKind;
use crate::ops::apply::Wanted;
use crate::ops::{self, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// The generation to go back to; the verified one before the present one by default
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    /// Leave the schema where it is, where the older release runs on it
    #[arg(long)]
    keep_schema: bool,
    /// Write the plan to a file instead of carrying it out, for gantry approve and gantry apply
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    carrying: Carrying,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    rollback(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn rollback(context: &Context, arguments: &Arguments) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = arguments.carrying.changing(context, &view)?;
    let mut options = arguments.limits.options(RunKind::Rollback)?;
    options.keep_schema = arguments.keep_schema;
    let wanted = wanted(&arguments.variables, options, arguments.carrying.allow_destroy)?;
    let wanted = Wanted { agreeing: arguments.carrying.agrees.agreeing(context), ..wanted };
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let name = workspace.name.clone();
    let question = format!("Take \"{name}\" back as shown above?");
    let mut asking = Asking::new(context.shell, arguments.carrying.auto_approve, &question, &view, &how);
    if let Some(path) = &arguments.out {
        let at = context.directory.join(path);
        let made = ops::rollback::rollback_to_file(workspace, arguments.to, &wanted, &how, &mut asking, &at).await?;
        warned(context.shell, &made);
        planned(context.shell, view.stream(), &made, Some(path));
        return Ok(exit_code::SUCCESS);
    }
    let applied = ops::rollback::rollback(workspace, arguments.to, &wanted, &how, &mut asking).await?;
    Ok(ended(context, &name, &view, applied))
}

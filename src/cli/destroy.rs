//! `gantry destroy`: a plan of nothing.

use clap::Args;

use super::changing::{Asking, Carrying, Limits, RunView, Variables, ended, wanted};
use super::error;
use super::root::Context;
use crate::ops::RunKind;
use crate::ops::apply::Wanted;
use crate::ops::{self, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    carrying: Carrying,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    destroy(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn destroy(context: &Context, arguments: &Arguments) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = arguments.carrying.changing(context, &view)?;
    let mut options = arguments.limits.options(RunKind::Destroy)?;
    options.destroy = true;
    let wanted = wanted(&arguments.variables, options, arguments.carrying.allow_destroy)?;
    let wanted = Wanted { agreeing: arguments.carrying.agrees.agreeing(context), ..wanted };
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let name = workspace.name.clone();
    let question = format!("Really destroy everything that is shown above in \"{name}\"?");
    let mut asking = Asking::new(context.shell, arguments.carrying.auto_approve, &question, &view, &how);
    let applied = ops::apply::apply(workspace, &wanted, &how, &mut asking).await?;
    Ok(ended(context, &name, &view, applied))
}

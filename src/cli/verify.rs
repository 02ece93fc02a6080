//! `gantry verify`

use clap::Args;

use super::changing::{Asking, Carrying, RunView, Variables, ended, wanted};
use super::error;
use super::root::Context;
use crate::ops::Options;
use crate::ops::RunKind;
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
    verify(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn verify(context: &Context, arguments: &Arguments) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = arguments.carrying.changing(context, &view)?;
    let options = Options { kind: RunKind::Verify, ..Options::default() };
    let wanted = wanted(&arguments.variables, options, true)?;
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let name = workspace.name.clone();
    let mut asking = Asking::new(context.shell, true, "", &view, &how);
    let applied = ops::apply::verify(workspace, &wanted, &how, &mut asking).await?;
    Ok(ended(context, &name, &view, applied))
}

//! `gantry plan`

use std::path::PathBuf;

use clap::Args;

use super::agreeing::Signs;
use super::changing::{Artifacts, Limits, RefreshOnly, Variables, planned, wanted, warned};
use super::root::Context;
use super::{error, exit_code};
use crate::ops::RunKind;
use crate::ops::apply::Wanted;
use crate::ops::consent::Agreeing;
use crate::ops::{self, Result};
use crate::view::time;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    artifacts: Artifacts,
    #[command(flatten)]
    refresh_only: RefreshOnly,
    /// Plan to take everything away
    #[arg(long, conflicts_with = "refresh_only")]
    destroy: bool,
    /// Write the plan to a file, for gantry apply
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signs: Signs,
    /// Exit with 2 where there are changes
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    plan(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn plan(context: &Context, arguments: &Arguments) -> Result<u8> {
    let shell = context.shell;
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let kind = if arguments.destroy { RunKind::Destroy } else { RunKind::Apply };
    let mut options = arguments.refresh_only.of(arguments.limits.options(kind)?)?;
    options.destroy = arguments.destroy;
    options.artifacts = arguments.artifacts.named()?;
    let agreeing = Agreeing { signing: arguments.signs.signing(context), ..Agreeing::default() };
    let wanted = Wanted { agreeing, ..wanted(&arguments.variables, options, true)? };
    let (made, records, secrets) = ops::apply::plan(&workspace, &wanted).await?;
    if let Some(open) = &records.state.open {
        shell.err(&format!(
            "Note: {} (begun {}) was interrupted. The next apply looks what became of its steps and goes on with it, or ends it if this \
             plan is another one.\n\n",
            open.run,
            time(&open.time)
        ));
    }
    warned(shell, &made);
    if let Some(path) = &arguments.out {
        ops::apply::save(
            &workspace,
            &made,
            (&records, &secrets),
            &wanted.agreeing.signing,
            &context.directory.join(path),
        )
        .await?;
    }
    planned(shell, shell.stream().as_ref(), &made, arguments.out.as_deref());
    if !made.plan.unreadable.is_empty() {
        return Ok(exit_code::INCOMPLETE);
    }
    let different = arguments.detailed_exitcode && made.plan.has_changes();
    Ok(if different { exit_code::DIFFERENT } else { exit_code::SUCCESS })
}

//! `gantry history`

use clap::Args;

use super::changing::Variables;
use super::root::Context;
use super::{error, exit_code};
use crate::ops::{self, Records, Result};
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    #[command(flatten)]
    variables: Variables,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    history(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn history(context: &Context, arguments: &Arguments) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let records = Records::read(&workspace, &arguments.variables.given()?).await?;
    let releases = ops::release::names(&records, &workspace.name);
    let changes = ops::show::changes(&records).await?;
    if context.shell.json {
        context.shell.out_json(&json::history(&records.state, &releases, &changes));
    } else {
        let style = context.shell.out_style();
        context.shell.out(&human::history(&records.state, &releases, &changes, style));
    }
    Ok(exit_code::SUCCESS)
}

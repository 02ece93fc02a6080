//! `gantry import`

use clap::Args;

use super::changing::{Carrying, Variables};
use super::error;
use super::root::Context;
use super::state::copy;
use crate::addr::Address;
use crate::ops::{Failure, Options, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment, where there are several; the address of a block in its configuration; what the target calls the object
    #[arg(num_args = 2..=3, required = true, value_name = "[ENVIRONMENT] ADDRESS ID")]
    words: Vec<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    carrying: Carrying,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    import(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn import(context: &Context, arguments: &Arguments) -> Result<u8> {
    let (environment, address, id) = match arguments.words.as_slice() {
        [environment, address, id] => (Some(environment.as_str()), address, id),
        [address, id] => (None, address, id),
        _ => return Err(Failure::error("Invalid import", "An import takes an address and an id.")),
    };
    let workspace = context.workspace(environment)?;
    let address: Address = address.parse().map_err(|e| Failure::error("Invalid address", format!("{e}.")))?;
    let question = format!("Take {address} on in \"{}\"?", workspace.name);
    let options =
        Options { imports: vec![(address.clone(), id.clone())], targets: vec![address], ..Options::default() };
    copy::import(context, workspace, options, &arguments.variables, &arguments.carrying, &question).await
}

//! `gantry graph`

use clap::{Args, ValueEnum};

use super::root::Context;
use super::{error, exit_code};
use crate::ops::{self, Result};
use crate::view::human;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value_t = Form::Dot)]
    format: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> u8 {
    graph(context, arguments).unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

fn graph(context: &Context, arguments: &Arguments) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let nodes = ops::graph::graph(&workspace)?;
    let text = match arguments.format {
        Form::Dot => human::dot(&nodes),
        Form::Mermaid => human::mermaid(&nodes),
    };
    context.shell.out(&text);
    Ok(exit_code::SUCCESS)
}

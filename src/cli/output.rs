//! `gantry output`

use clap::Args;

use super::changing::Variables;
use super::root::Context;
use super::{error, exit_code};
use crate::diag::did_you_mean;
use crate::ops::{self, Failure, Records, Result, VarArg, Workspace, without_seals};
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// One output
    name: Option<String>,
    /// The text of one output, without quotes
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    variables: Variables,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    output(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn output(context: &Context, arguments: &Arguments) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let given = arguments.variables.given()?;
    let records = Records::read(&workspace, &given).await?;
    let all = &records.state.outputs;
    let shell = context.shell;
    let Some(name) = &arguments.name else {
        if arguments.raw {
            return Err(Failure::error("Which output?", "--raw takes the name of one output."));
        }
        match (shell.json, all.is_empty()) {
            (true, _) => shell.out_json(&json::outputs(all)),
            (false, true) => shell.err("No outputs: none is declared, or nothing was applied yet.\n"),
            (false, false) => shell.out(&human::outputs(all)),
        }
        return Ok(exit_code::SUCCESS);
    };
    let Some(value) = all.get(name) else {
        let failure = Failure::error(
            "Unknown output",
            format!("The environment \"{}\" has no output \"{name}\".", workspace.name),
        );
        return Err(match did_you_mean(name, all.keys().map(String::as_str)) {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    };
    // Who names one output and a form for programs asks for its value, as with Terraform; an identity opens it.
    let value = match arguments.raw || shell.json {
        true => revealed(&workspace, &given, &records, value)?,
        false => value.clone(),
    };
    if arguments.raw {
        let text = human::output_raw(&value).map_err(|e| Failure::error("No raw form", format!("{e}.")))?;
        shell.out(&text);
    } else if shell.json {
        let one = std::collections::BTreeMap::from([(name.clone(), value.clone())]);
        let form = json::outputs(&one);
        shell.out_json(&form[name]["value"]);
    } else {
        shell.out(&human::output(&value));
    }
    Ok(exit_code::SUCCESS)
}

/// An output with what is sealed in it in clear, where it can be opened; as it is recorded where it cannot.
fn revealed(
    workspace: &Workspace,
    given: &[VarArg],
    records: &Records,
    value: &serde_json::Value,
) -> Result<serde_json::Value> {
    if *value == without_seals(value) {
        return Ok(value.clone());
    }
    let secrets = ops::secrets::of_environment(workspace, given, &records.key)?;
    secrets.reveal(value).ok_or_else(|| {
        Failure::refused("Secret missing", "The output is sealed, and no identity that is at hand opens it.")
            .hint(secrets.advice())
    })
}

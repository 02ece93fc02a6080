//! `gantry state`: looking into the ledger, and putting it right by hand.

use clap::{Args, Subcommand};

pub(super) mod copy;
mod edit;
mod gc;

pub(super) use edit::Waiting;

use super::changing::{Asking, Carrying, RunView, Variables, wanted};
use super::root::Context;
use super::{error, exit_code};
use crate::addr::Address;
use crate::diag::did_you_mean;
use crate::ops::apply::Judge as _;
use crate::ops::{self, Failure, Records, Result};
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the addresses of all records
    List {
        /// The environment: a name under environments/, or a path
        environment: Option<String>,
        #[command(flatten)]
        variables: Variables,
    },
    /// Show one record
    Show {
        /// The environment, or, where there is only one, the address
        environment: String,
        /// The record's address
        address: Option<String>,
        #[command(flatten)]
        variables: Variables,
    },
    /// Seal what is current anew, for the recipients that the environment names today
    Reseal {
        /// The environment: a name under environments/, or a path
        environment: Option<String>,
        #[command(flatten)]
        variables: Variables,
        /// How long to wait for another command, as in 30s
        #[arg(long, value_name = "DURATION", default_value = "0s")]
        lock_timeout: String,
    },
    /// Give records other addresses
    Mv(edit::Mv),
    /// Forget records; their objects stay
    Rm(edit::Rm),
    /// Print what is recorded, or copy the whole ledger
    Pull(copy::Pull),
    /// Put a copied ledger where the environment keeps its own
    Push(copy::Push),
    /// Move the ledger to where the configuration says that it is kept
    Migrate(copy::Migrate),
    /// Take the lease away from a holder that cannot be reached
    Unlock(edit::Unlock),
    /// Remove configurations, files and evidence that no kept generation refers to
    Gc(gc::Gc),
    /// Take on the objects of a Terraform state
    ImportTerraform(copy::ImportTerraform),
    /// Prove that nothing was changed or cut out of the middle
    Verify {
        /// The environment: a name under environments/, or a path
        environment: Option<String>,
        #[command(flatten)]
        variables: Variables,
    },
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    state(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn state(context: &Context, arguments: &Arguments) -> Result<u8> {
    match &arguments.command {
        Command::List { environment, variables } => {
            let workspace = context.workspace(environment.as_deref())?;
            let records = Records::read(&workspace, &variables.given()?).await?;
            if context.shell.json {
                context.shell.out_json(&json::state_list(&records.state));
            } else {
                context.shell.out(&human::state_list(&records.state));
            }
            Ok(exit_code::SUCCESS)
        }
        Command::Show { environment, address, variables } => {
            show(context, environment, address.as_deref(), variables).await
        }
        Command::Reseal { environment, variables, lock_timeout } => {
            reseal(context, environment.as_deref(), variables, lock_timeout).await
        }
        Command::Mv(arguments) => edit::mv(context, arguments).await,
        Command::Rm(arguments) => edit::rm(context, arguments).await,
        Command::Pull(arguments) => copy::pull(context, arguments).await,
        Command::Push(arguments) => copy::push(context, arguments).await,
        Command::Migrate(arguments) => copy::migrate(context, arguments).await,
        Command::Unlock(arguments) => edit::unlock(context, arguments).await,
        Command::Gc(arguments) => gc::gc(context, arguments).await,
        Command::ImportTerraform(arguments) => copy::import_terraform(context, arguments).await,
        Command::Verify { environment, variables } => verify(context, environment.as_deref(), variables).await,
    }
}

async fn show(context: &Context, first: &str, second: Option<&str>, variables: &Variables) -> Result<u8> {
    let (environment, text) = match second {
        Some(address) => (Some(first), address),
        None => (None, first),
    };
    let workspace = context.workspace(environment)?;
    let address: Address = text.parse().map_err(|e| Failure::error("Invalid address", format!("{e}.")))?;
    let records = Records::read(&workspace, &variables.given()?).await?;
    let Some(record) = records.state.records.get(&address) else {
        let known: Vec<String> = records.state.records.keys().map(ToString::to_string).collect();
        let failure = Failure::error(
            "No such record",
            format!("The ledger of \"{}\" has no record of {address}.", workspace.name),
        );
        return Err(match did_you_mean(text, known.iter().map(String::as_str)) {
            Some(hint) => failure.hint(hint),
            None => failure.hint(format!("List all: gantry state list {}", workspace.name)),
        });
    };
    if context.shell.json {
        context.shell.out_json(&json::state_show(&address, record));
    } else {
        context.shell.out(&human::state_show(&address, record, context.shell.out_style()));
    }
    Ok(exit_code::SUCCESS)
}

async fn reseal(context: &Context, environment: Option<&str>, variables: &Variables, lock_timeout: &str) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = Carrying::only_waiting(lock_timeout).changing(context, &view)?;
    let wanted = wanted(variables, ops::Options::default(), false)?;
    let workspace = context.workspace(environment)?;
    let name = workspace.name.clone();
    let mut asking = Asking::new(context.shell, true, "", &view, &how);
    let waiting = &mut |holder: &ops::LeaseRecord| asking.waiting(holder);
    let report = ops::reseal::reseal(workspace, &wanted.variables, &how, waiting).await?;
    let ops::reseal::Report { sealed, closed } = report;
    context.shell.out(&format!("Sealed anew: {sealed} secrets of \"{name}\".\n"));
    if closed > 0 {
        return Err(Failure::error(
            "Secrets not readable",
            format!("No identity that is at hand opens {closed} more, so they stay sealed for whom they were."),
        )
        .hint("Do the same with the identity of somebody for whom they are sealed; or the next apply that changes them seals them."));
    }
    Ok(exit_code::SUCCESS)
}

async fn verify(context: &Context, environment: Option<&str>, variables: &Variables) -> Result<u8> {
    let workspace = context.workspace(environment)?;
    let report = ops::verify_ledger::verify(&workspace, &variables.given()?).await?;
    context.shell.out(&report.text);
    Ok(if report.sound { exit_code::SUCCESS } else { exit_code::ERROR })
}

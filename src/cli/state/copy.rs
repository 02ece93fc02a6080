//! `gantry state pull`, `push`, `migrate` and `import-terraform`.

use std::path::PathBuf;

use clap::Args;

use super::edit::{Waiting, waits};
use crate::cli::changing::{Asking, Carrying, RunView, Variables, ended, wanted};
use crate::cli::exit_code;
use crate::cli::root::Context;
use crate::diag::count;
use crate::ops::apply::Wanted;
use crate::ops::state::{Carefully, Copied};
use crate::ops::{self, Failure, LeaseRecord, Options, Records, Result};
use crate::view::json;

#[derive(Debug, Args)]
pub(super) struct Pull {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// Copy the whole ledger with its blobs and its key into this directory instead of printing the state
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    variables: Variables,
}

#[derive(Debug, Args)]
pub(super) struct Push {
    /// The environment, or, where there is only one, the directory that gantry state pull --out wrote
    #[arg(num_args = 1..=2, required = true, value_name = "[ENVIRONMENT] DIR")]
    words: Vec<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// Where the ledger was: a directory, or a file with the environment block as it was
    #[arg(long, value_name = "DIR|FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct ImportTerraform {
    /// The environment, or, where there is only one, a Terraform state: what terraform state pull prints
    #[arg(num_args = 1..=2, required = true, value_name = "[ENVIRONMENT] FILE")]
    words: Vec<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    carrying: Carrying,
}

/// The last word, and the environment before it.
fn apart(words: &[String]) -> (Option<&str>, &str) {
    match words {
        [environment, last] => (Some(environment), last),
        [last] => (None, last),
        _ => (None, ""),
    }
}

pub(super) async fn pull(context: &Context, arguments: &Pull) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let variables = arguments.variables.given()?;
    match &arguments.out {
        Some(out) => {
            let copied = ops::state::pull(&workspace, &variables, &context.directory.join(out)).await?;
            told(context, "Copied", &copied);
        }
        None => {
            let records = Records::read(&workspace, &variables).await?;
            context.shell.out_json(&json::state_pull(&records.state, records.lineage.as_deref()));
        }
    }
    Ok(exit_code::SUCCESS)
}

pub(super) async fn push(context: &Context, arguments: &Push) -> Result<u8> {
    let (environment, from) = apart(&arguments.words);
    let workspace = context.workspace(environment)?;
    let from = context.directory.join(from);
    let mut waiting = |holder: &LeaseRecord| context.shell.err(&waits(holder));
    let mut how = carefully(context, &arguments.waiting, &mut waiting)?;
    let copied = ops::state::push(&workspace, &arguments.variables.given()?, &from, &mut how).await?;
    told(context, "Copied", &copied);
    Ok(exit_code::SUCCESS)
}

pub(super) async fn migrate(context: &Context, arguments: &Migrate) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let from = arguments.from.as_ref().map(|path| context.directory.join(path));
    let mut waiting = |holder: &LeaseRecord| context.shell.err(&waits(holder));
    let mut how = carefully(context, &arguments.waiting, &mut waiting)?;
    let copied = ops::state::migrate(&workspace, &arguments.variables.given()?, from.as_deref(), &mut how).await?;
    told(context, "Moved", &copied);
    Ok(exit_code::SUCCESS)
}

pub(super) async fn import_terraform(context: &Context, arguments: &ImportTerraform) -> Result<u8> {
    let (environment, file) = apart(&arguments.words);
    let workspace = context.workspace(environment)?;
    let name = workspace.name.clone();
    let records = Records::read(&workspace, &arguments.variables.given()?).await?;
    let known = |address: &_| records.state.records.contains_key(address);
    let adoption = ops::state::terraform(&context.directory.join(file), &known)?;
    for (address, why) in &adoption.rest {
        context.shell.err(&format!("Left behind: {address}: {why}\n"));
    }
    if adoption.imports.is_empty() {
        context.shell.err("There is nothing to take on.\n");
        return Ok(exit_code::SUCCESS);
    }
    let targets = adoption.imports.iter().map(|(address, _)| address.clone()).collect();
    let options = Options { imports: adoption.imports, targets, ..Options::default() };
    let question = format!("Take these on in \"{name}\"?");
    import(context, workspace, options, &arguments.variables, &arguments.carrying, &question).await
}

/// Imports what options ask for.
pub(in crate::cli) async fn import(
    context: &Context,
    workspace: ops::Workspace,
    options: Options,
    variables: &Variables,
    carrying: &Carrying,
    question: &str,
) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = carrying.changing(context, &view)?;
    let wanted = wanted(variables, options, carrying.allow_destroy)?;
    let wanted = Wanted { agreeing: carrying.agrees.agreeing(context), ..wanted };
    let name = workspace.name.clone();
    let mut asking = Asking::new(context.shell, carrying.auto_approve, question, &view, &how);
    let applied = ops::apply::apply(workspace, &wanted, &how, &mut asking).await?;
    Ok(ended(context, &name, &view, applied))
}

fn carefully<'a>(
    context: &Context,
    waiting: &Waiting,
    told: &'a mut (dyn FnMut(&LeaseRecord) + Send),
) -> Result<Carefully<'a>> {
    let lock_timeout = ops::parse_duration(&waiting.lock_timeout)
        .map_err(|why| Failure::error("Invalid --lock-timeout", format!("--lock-timeout takes a duration: {why}.")))?;
    Ok(Carefully { command: context.line.clone(), lock_timeout, waiting: told })
}

fn told(context: &Context, what: &str, copied: &Copied) {
    let Copied { from, to, entries, blobs, already } = copied;
    if context.shell.json {
        let json = serde_json::json!({
            "from": from, "to": to, "entries": entries, "blobs": blobs, "already": already
        });
        context.shell.out_json(&json);
        return;
    }
    let (entries, blobs) = (count(*entries, "entry"), count(*blobs, "blob"));
    let there = if *already { ", where all of it stood already" } else { "" };
    context
        .shell
        .out(&format!("{what} the ledger from {from} to {to}{there}: {entries} and {blobs}, all of them verified.\n"));
}

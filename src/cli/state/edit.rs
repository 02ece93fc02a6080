//! `gantry state mv`, `rm` and `unlock`.

use clap::Args;

use crate::addr::{Address, Selection};
use crate::cli::changing::{Carrying, RunView, Variables};
use crate::cli::exit_code;
use crate::cli::root::Context;
use crate::ops::run::{Changing, Opened};
use crate::ops::state::Unlocked;
use crate::ops::{self, Failure, LeaseRecord, Result, VarArg};

#[derive(Debug, Args)]
pub(super) struct Mv {
    /// The environment, or, where there is only one, the address that a record has
    #[arg(num_args = 2..=3, required = true, value_name = "[ENVIRONMENT] FROM TO")]
    words: Vec<String>,
    /// Show what would move, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    editing: Editing,
}

#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The environment, or, where there is only one, the first address
    #[arg(num_args = 1.., required = true, value_name = "[ENVIRONMENT] ADDRESS")]
    words: Vec<String>,
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    editing: Editing,
}

/// What every change of records by hand takes.
#[derive(Debug, Args)]
struct Editing {
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    waiting: Waiting,
}

impl Editing {
    async fn open(&self, context: &Context, environment: Option<&str>) -> Result<Opened> {
        self.waiting.open(context, environment, &self.variables).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Unlock {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    variables: Variables,
}

/// How long another command is waited for.
#[derive(Debug, Args)]
pub(in crate::cli) struct Waiting {
    /// How long to wait for another command, as in 30s
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(super) lock_timeout: String,
}

impl Waiting {
    pub(in crate::cli) async fn open(
        &self,
        context: &Context,
        environment: Option<&str>,
        variables: &Variables,
    ) -> Result<Opened> {
        self.open_for(context, environment, &variables.given()?, &self.how(context)?).await
    }

    /// How a command goes about it that only may have to wait.
    pub(in crate::cli) fn how(&self, context: &Context) -> Result<Changing> {
        Carrying::only_waiting(&self.lock_timeout).changing(context, &RunView::of(context.shell))
    }

    pub(in crate::cli) async fn open_for(
        &self,
        context: &Context,
        environment: Option<&str>,
        variables: &[VarArg],
        how: &Changing,
    ) -> Result<Opened> {
        let workspace = context.workspace(environment)?;
        let mut waiting = |holder: &LeaseRecord| context.shell.err(&waits(holder));
        Opened::open(workspace, variables, how, &mut waiting).await
    }
}

/// That another command is waited for.
pub(super) fn waits(holder: &LeaseRecord) -> String {
    format!("Waiting for {}\n", crate::diag::escape_controls(&holder.to_string()))
}

/// The environment in front of addresses: given where there is one word more than `least`, or where the first word is none.
fn apart(words: &[String], most: Option<usize>) -> (Option<&str>, &[String]) {
    let named = match most {
        Some(most) => words.len() > most,
        None => words.len() > 1 && words[0].parse::<Selection>().is_err(),
    };
    if named { (words.first().map(String::as_str), &words[1..]) } else { (None, words) }
}

fn selection(text: &str) -> Result<Selection> {
    text.parse().map_err(|e| {
        Failure::error("Invalid address", format!("{e}."))
            .hint("Addresses look like local_service.shop, local_file.config[\"a\"] or module.shop.")
    })
}

pub(super) fn question(context: &Context, auto_approve: bool, text: &str) -> Result<bool> {
    if auto_approve {
        return Ok(true);
    }
    if !context.shell.can_ask() {
        let detail = "There is no terminal to ask at, and --auto-approve was not given.";
        return Err(Failure::refused("Not approved", detail));
    }
    let question = format!("{text}\n  Only \"yes\" is taken for a yes.\n\n  Enter a value: ");
    Ok(context.shell.ask(&question, &|| false) == Some(true))
}

pub(super) async fn mv(context: &Context, arguments: &Mv) -> Result<u8> {
    let (environment, addresses) = apart(&arguments.words, Some(2));
    let (from, to) = (selection(&addresses[0])?, selection(&addresses[1])?);
    let mut opened = arguments.editing.open(context, environment).await?;
    let name = opened.workspace.name.clone();
    let moved = ops::state::mv(&mut opened, &from, &to, arguments.editing.reason.as_deref(), arguments.dry_run).await;
    opened.close().await;
    let moved = moved?;
    if context.shell.json {
        let pairs: Vec<_> = moved.iter().map(|(from, to)| serde_json::json!({"from": from, "to": to})).collect();
        context.shell.out_json(&serde_json::json!({ "moved": pairs, "dry_run": arguments.dry_run }));
        return Ok(exit_code::SUCCESS);
    }
    let would = if arguments.dry_run { "Would move" } else { "Moved" };
    for (from, to) in &moved {
        context.shell.out(&format!("{would} {from} to {to}\n"));
    }
    if !arguments.dry_run {
        context.shell.out(&format!("Write it into the configuration as well, then look: gantry plan {name}\n"));
    }
    Ok(exit_code::SUCCESS)
}

pub(super) async fn rm(context: &Context, arguments: &Rm) -> Result<u8> {
    let (environment, addresses) = apart(&arguments.words, None);
    let selections = addresses.iter().map(|text| selection(text)).collect::<Result<Vec<_>>>()?;
    let mut opened = arguments.editing.open(context, environment).await?;
    let name = opened.workspace.name.clone();
    let mut confirm = |found: &[Address]| {
        let list: String = found.iter().map(|address| format!("  {address}\n")).collect();
        let text = format!(
            "Gantry will forget these; the objects stay as they are, and nobody manages them any more:\n{list}\nForget them \
             in \"{name}\"?"
        );
        question(context, arguments.auto_approve, &text)
    };
    let removed = ops::state::rm(&mut opened, &selections, arguments.editing.reason.as_deref(), &mut confirm).await;
    opened.close().await;
    let Some(removed) = removed? else {
        context.shell.err("Nothing was changed.\n");
        return Ok(exit_code::REFUSED);
    };
    if context.shell.json {
        context.shell.out_json(&serde_json::json!({ "removed": removed }));
    } else {
        for address in &removed {
            context.shell.out(&format!("Forgot {address}\n"));
        }
    }
    Ok(exit_code::SUCCESS)
}

pub(super) async fn unlock(context: &Context, arguments: &Unlock) -> Result<u8> {
    let workspace = context.workspace(arguments.environment.as_deref())?;
    if arguments.reason.trim().is_empty() {
        return Err(Failure::error("Missing reason", "--reason says why the lease is taken away; it is recorded."));
    }
    let mut confirm = |holder: &LeaseRecord| {
        let shown = crate::diag::escape_controls(&holder.to_string()).into_owned();
        let note = match holder.is_dead() {
            true => "Its process is gone, so the next command takes the lease over by itself.",
            false => "If it lives, it stops before its next step, and its run stays interrupted.",
        };
        let text = format!("The lease of \"{}\" is held by {shown}.\n{note}\n\nTake it away?", workspace.name);
        question(context, arguments.auto_approve, &text)
    };
    let variables = arguments.variables.given()?;
    match ops::state::unlock(&workspace, &variables, &arguments.reason, &mut confirm).await? {
        Unlocked::Free => context.shell.out(&format!("Nobody holds the lease of \"{}\".\n", workspace.name)),
        Unlocked::Declined => {
            context.shell.err("Nothing was changed.\n");
            return Ok(exit_code::REFUSED);
        }
        Unlocked::Taken(holder) => {
            let holder = crate::diag::escape_controls(&holder.to_string()).into_owned();
            context.shell.out(&format!("The lease of \"{}\" was taken from {holder}.\n", workspace.name));
        }
    }
    Ok(exit_code::SUCCESS)
}

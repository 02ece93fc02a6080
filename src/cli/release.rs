//! `gantry release`: what an environment proved, and what it must not get again.

use clap::{Args, Subcommand};

use super::changing::Variables;
use super::root::Context;
use super::state::Waiting;
use super::{error, exit_code};
use crate::ops::{self, Result};
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a release of an environment
    Show(Show),
    /// Let a release come again that failed in an environment, or was taken back
    Lift(Lift),
}

#[derive(Debug, Args)]
struct Show {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// The release's name, or its first digits; what the environment is now by default
    release: Option<String>,
    #[command(flatten)]
    variables: Variables,
}

#[derive(Debug, Args)]
struct Lift {
    /// The environment: a name under environments/, or a path
    environment: String,
    /// The release's name, or its first digits
    release: String,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    let done = match &arguments.command {
        Command::Show(a) => show(context, a.environment.as_deref(), a.release.as_deref(), &a.variables).await,
        Command::Lift(a) => lift(context, a).await,
    };
    done.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

/// Shows one.
pub(super) async fn show(
    context: &Context,
    environment: Option<&str>,
    release: Option<&str>,
    variables: &Variables,
) -> Result<u8> {
    let workspace = context.workspace(environment)?;
    let known = ops::release::show(&workspace, &variables.given()?, release).await?;
    let shown = human::KnownRelease {
        environment: &workspace.name,
        release: &known.release,
        generations: &known.generations,
        current: known.current,
        quarantined: known.quarantined.as_ref(),
    };
    match context.shell.json {
        true => context.shell.out_json(&json::release(&shown)),
        false => context.shell.out(&human::release(&shown, context.shell.out_style())),
    }
    Ok(exit_code::SUCCESS)
}

async fn lift(context: &Context, arguments: &Lift) -> Result<u8> {
    let mut opened = arguments.waiting.open(context, Some(&arguments.environment), &arguments.variables).await?;
    let name = opened.workspace.name.clone();
    let lifted = ops::release::lift(&mut opened, &arguments.release, &arguments.reason).await;
    opened.close().await;
    let lifted = lifted?;
    match context.shell.json {
        true => context.shell.out_json(&serde_json::json!({ "lifted": lifted, "environment": name })),
        false => context.shell.out(&format!("Release {lifted} may come to \"{name}\" again.\n")),
    }
    Ok(exit_code::SUCCESS)
}

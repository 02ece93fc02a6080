//! `gantry stats`: how deployments go.

use clap::Args;

use super::changing::Variables;
use super::drift::workspaces;
use super::root::Context;
use super::shell::now;
use super::{error, exit_code};
use crate::ops::{self, Failure, Result, stats};
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environments: names under environments/, or paths
    environments: Vec<String>,
    /// All environments of the project
    #[arg(long, conflicts_with = "environments")]
    all: bool,
    /// How far to look back, as in 90d
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    since: String,
    #[command(flatten)]
    variables: Variables,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    figures(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn figures(context: &Context, arguments: &Arguments) -> Result<u8> {
    let since = ops::parse_duration_up_to(&arguments.since, stats::LONGEST, "ten years");
    let since = since
        .and_then(|since| if since.is_zero() { Err("nothing happens in no time".to_owned()) } else { Ok(since) })
        .map_err(|why| Failure::error("Invalid --since", format!("--since takes a duration: {why}.")))?;
    let variables = arguments.variables.given()?;
    let now = now()();
    let mut all = Vec::new();
    for workspace in workspaces(context, &arguments.environments, arguments.all)? {
        all.push(stats::stats(&workspace, &variables, now, since).await?);
    }
    let figures: Vec<_> = all.iter().map(row).collect();
    match context.shell.json {
        true => context.shell.out_json(&json::stats(&figures, now, since)),
        false => context.shell.out(&human::stats(&figures, since)),
    }
    Ok(exit_code::SUCCESS)
}

fn row(stats: &stats::Stats) -> crate::view::Figures {
    crate::view::Figures {
        environment: stats.environment.clone(),
        deployments: stats.deployments,
        verified: stats.verified,
        per_day: stats.per_day,
        failed: stats.failed,
        failure_rate: stats.failure_rate,
        restored: stats.restores.len(),
        unrestored: stats.unrestored,
        restore_median: stats::median(&stats.restores),
        restore_mean: stats::mean(&stats.restores),
        led: stats.lead_times.len(),
        lead_median: stats::median(&stats.lead_times),
        lead_mean: stats::mean(&stats.lead_times),
    }
}

//! `gantry drift`

use std::path::PathBuf;

use clap::Args;

use super::changing::Variables;
use super::root::Context;
use super::{error, exit_code};
use crate::ops::{self, Failure, Result, Workspace, workspace};
use crate::ports::fs;
use crate::view::{human, json, junit};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environments: names under environments/, or paths
    environments: Vec<String>,
    /// Look at all environments of the project
    #[arg(long, conflicts_with = "environments")]
    all: bool,
    #[command(flatten)]
    variables: Variables,
    /// Write a JUnit report as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    drift(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn drift(context: &Context, arguments: &Arguments) -> Result<u8> {
    let variables = arguments.variables.given()?;
    let workspaces = workspaces(context, arguments)?;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let several = workspaces.len() > 1;
    for (n, workspace) in workspaces.iter().enumerate() {
        // One that cannot be looked at keeps nobody from hearing of the others.
        match ops::drift::drift(workspace, &variables).await {
            Ok(drift) => {
                if context.shell.json {
                    context.shell.out_json(&json::drift(&drift));
                } else {
                    let gap = if n > 0 { "\n" } else { "" };
                    context.shell.out(&format!("{gap}{}", human::drift(&drift, context.shell.out_style())));
                }
                found.push(drift);
            }
            Err(failure) => {
                if several && !context.shell.json {
                    context.shell.err(&format!("The environment \"{}\" could not be looked at.\n", workspace.name));
                }
                let words = failure.diagnostics.iter().map(|d| format!("{}: {}", d.summary, d.detail));
                failed.push((workspace.name.clone(), words.collect::<Vec<_>>().join("\n")));
                error::fail(context.shell, &failure);
            }
        }
    }
    if let Some(file) = &arguments.junit {
        let report = junit::drift(&found, &failed);
        fs::write_atomic(&context.directory.join(file), report.as_bytes(), 0o644).map_err(|e| {
            Failure::error("Cannot write the report", format!("{} cannot be written: {}.", file.display(), e.source))
        })?;
    }
    Ok(match () {
        () if !failed.is_empty() => exit_code::ERROR,
        () if found.iter().any(|drift| drift.unreadable().next().is_some()) => exit_code::INCOMPLETE,
        () if found.iter().any(|drift| drift.drifted().next().is_some()) => exit_code::DIFFERENT,
        () => exit_code::SUCCESS,
    })
}

/// The environments that are meant, each once.
fn workspaces(context: &Context, arguments: &Arguments) -> Result<Vec<Workspace>> {
    if arguments.environments.is_empty() && !arguments.all {
        return Ok(vec![context.workspace(None)?]);
    }
    let names = match arguments.all {
        true => all(context)?,
        false => arguments.environments.clone(),
    };
    let mut workspaces: Vec<Workspace> = Vec::new();
    for name in &names {
        let workspace = context.workspace(Some(name))?;
        if !workspaces.contains(&workspace) {
            workspaces.push(workspace);
        }
    }
    Ok(workspaces)
}

fn all(context: &Context) -> Result<Vec<String>> {
    let project = workspace::project_of(&context.directory).ok_or_else(|| {
        Failure::error("No environment", "No directory from here upwards holds environments/, so --all means none.")
            .hint("Write a small project here with: gantry init")
    })?;
    let names = workspace::environments(&project);
    match names.is_empty() {
        true => Err(Failure::error("No environment", "The directory environments/ is empty.")
            .hint("Write a small environment with: gantry init")),
        false => Ok(names),
    }
}

//! `gantry drift`: what is there against what is recorded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::changing::Variables;
use super::root::Context;
use super::{error, exit_code};
use crate::ops::drift::Drift;
use crate::ops::tell::Teller;
use crate::ops::{self, Failure, Result, VarArg, Workspace, workspace};
use crate::ports::fs;
use crate::view::{human, json, junit};

mod watch;

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
    /// Go on looking, with so much time between two looks, as in 5m, and tell what is news; ends when it is interrupted
    #[arg(long, value_name = "DURATION", conflicts_with = "junit")]
    watch: Option<String>,
    /// Post what is news since the last time to the webhooks of the project file
    #[arg(long)]
    notify: bool,
    /// Where messages are kept until they are delivered [default: $XDG_STATE_HOME/gantry/outbox]
    #[arg(long, value_name = "DIR", requires = "notify")]
    outbox: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> u8 {
    drift(context, arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn drift(context: &Context, arguments: &Arguments) -> Result<u8> {
    let variables = arguments.variables.given()?;
    let workspaces = workspaces(context, &arguments.environments, arguments.all)?;
    let tellers = tellers(context, arguments, &workspaces)?;
    match &arguments.watch {
        Some(interval) => watch::watch(context, interval, &workspaces, &variables, &tellers).await,
        None => once(context, arguments, &workspaces, &variables, &tellers).await,
    }
}

async fn once(
    context: &Context,
    arguments: &Arguments,
    workspaces: &[Workspace],
    variables: &[VarArg],
    tellers: &Tellers,
) -> Result<u8> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let mut told = true;
    let several = workspaces.len() > 1;
    for (n, workspace) in workspaces.iter().enumerate() {
        let look = ops::drift::drift(workspace, variables).await;
        told &= tellers.put(context, workspace, look.as_ref()).await;
        // One that cannot be looked at keeps nobody from hearing of the others.
        match look {
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
    told &= tellers.deliver(context).await;
    Ok(if told { code(&found, failed.len()) } else { exit_code::ERROR })
}

/// What looks come to.
fn code(found: &[Drift], failed: usize) -> u8 {
    match () {
        () if failed > 0 => exit_code::ERROR,
        () if found.iter().any(|drift| drift.unreadable().next().is_some()) => exit_code::INCOMPLETE,
        () if found.iter().any(|drift| drift.drifted().next().is_some()) => exit_code::DIFFERENT,
        () => exit_code::SUCCESS,
    }
}

/// Who tells the webhooks of each project; nobody where that is not asked for.
struct Tellers(BTreeMap<PathBuf, Teller>);

fn tellers(context: &Context, arguments: &Arguments, workspaces: &[Workspace]) -> Result<Tellers> {
    let mut all = BTreeMap::new();
    let outbox = arguments.outbox.as_ref().map(|directory| context.directory.join(directory));
    for workspace in workspaces.iter().filter(|_| arguments.notify) {
        if !all.contains_key(&workspace.project) {
            let teller = Teller::of_drift(&workspace.project, outbox.as_deref())?;
            all.insert(workspace.project.clone(), teller);
        }
    }
    Ok(Tellers(all))
}

impl Tellers {
    /// Puts what is news into the outbox; whether that went well, or nobody asked for it.
    async fn put(&self, context: &Context, workspace: &Workspace, look: std::result::Result<&Drift, &Failure>) -> bool {
        let Some(teller) = self.0.get(&workspace.project) else { return true };
        match teller.drift(workspace, look).await {
            Ok(()) => true,
            Err(failure) => {
                error::fail(context.shell, &failure);
                false
            }
        }
    }

    /// Delivers what waits; whether nothing is left.
    async fn deliver(&self, context: &Context) -> bool {
        let mut all = true;
        for teller in self.0.values() {
            let left = match teller.deliver().await {
                Ok(left) => left,
                Err(failure) => {
                    error::fail(context.shell, &failure);
                    all = false;
                    continue;
                }
            };
            for sentence in left {
                let untold = Failure::error("Not delivered", sentence);
                let next = "The next gantry drift --notify, or the next run, tries again under the same identity.";
                error::fail(context.shell, &untold.hint(next));
                all = false;
            }
        }
        all
    }
}

/// The environments that are meant, each once.
pub(super) fn workspaces(context: &Context, named: &[String], every: bool) -> Result<Vec<Workspace>> {
    if named.is_empty() && !every {
        return Ok(vec![context.workspace(None)?]);
    }
    let names = match every {
        true => all(context)?,
        false => named.to_vec(),
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

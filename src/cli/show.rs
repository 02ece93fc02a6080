//! `gantry show`: an environment, one of its generations, or a plan file.

use clap::Args;

use super::changing::Variables;
use super::root::Context;
use super::{error, exit_code};
use crate::ops::{self, Failure, Records, Result, Workspace};
use crate::ports::fs;
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment, or a plan file
    what: Option<String>,
    /// A generation instead of the present state
    #[arg(long, value_name = "NUMBER")]
    generation: Option<u64>,
    /// The release that the environment is, or the one of this name
    #[arg(long, value_name = "RELEASE", num_args = 0..=1, default_missing_value = "", conflicts_with = "generation")]
    release: Option<String>,
    /// Replay what happened in a run, by its identity; its first digits are enough
    #[arg(long, value_name = "ID", conflicts_with_all = ["generation", "evidence"])]
    run: Option<String>,
    /// Show a piece of evidence by the digest that stands behind its name; its first digits are enough
    #[arg(long, value_name = "DIGEST")]
    evidence: Option<String>,
    #[command(flatten)]
    variables: Variables,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    show(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn show(context: &Context, arguments: &Arguments) -> Result<u8> {
    if let Some(name) = &arguments.what {
        let path = context.directory.join(name);
        if fs::kind(&path) == Some(fs::Kind::File) {
            return plan_file(context, arguments, &path).await;
        }
        if name.ends_with(".gantry") && fs::kind(&path).is_none() {
            let detail = format!("There is no file {name}.");
            return Err(Failure::error("Plan file not found", detail)
                .hint("Write one with: gantry plan ENVIRONMENT --out FILE"));
        }
    }
    let shell = context.shell;
    if let Some(release) = &arguments.release {
        let release = Some(release.as_str()).filter(|name| !name.is_empty());
        return super::release::show(context, arguments.what.as_deref(), release, &arguments.variables).await;
    }
    let workspace = context.workspace(arguments.what.as_deref())?;
    let records = Records::read(&workspace, &arguments.variables.given()?).await?;
    if let Some(digest) = &arguments.evidence {
        let bytes = ops::show::evidence(&records, digest).await?;
        shell.out(&String::from_utf8_lossy(&bytes));
        return Ok(exit_code::SUCCESS);
    }
    if let Some(run) = &arguments.run {
        let story = ops::show::run(&records, run).await?;
        match shell.json {
            true => shell.out_json(&json::show_run(&story)),
            false => shell.out(&human::show_run(&workspace.name, &story, shell.out_style())),
        }
        return Ok(exit_code::SUCCESS);
    }
    match arguments.generation {
        Some(number) => {
            let generation = records.state.find_generation(number).ok_or_else(|| {
                let detail = match records.state.generation() {
                    0 => format!("There is no generation {number}: nothing was applied yet."),
                    newest => format!("There is no generation {number}; the newest is {newest}."),
                };
                Failure::error("Unknown generation", detail)
                    .hint(format!("List them: gantry history {}", workspace.name))
            })?;
            if shell.json {
                shell.out_json(&json::show_generation(generation));
            } else {
                shell.out(&human::show_generation(&workspace.name, generation, shell.out_style()));
            }
        }
        None if shell.json => shell.out_json(&json::show(&workspace.name, &records.state)),
        None => shell.out(&human::show(&workspace.name, &records.state, shell.out_style())),
    }
    Ok(exit_code::SUCCESS)
}

async fn plan_file(context: &Context, arguments: &Arguments, path: &std::path::Path) -> Result<u8> {
    let file = ops::apply::read_plan_file(path)?;
    let workspace = Workspace::locate(&context.directory, Some(&file.inputs.environment))
        .or_else(|_| Workspace::locate(std::path::Path::new(&file.directory), None))?;
    let (made, variables) = ops::show::plan_file(&workspace, (path, &file), &arguments.variables.given()?).await?;
    let shell = context.shell;
    if shell.json {
        let mut document = json::plan(&made.plan, &variables);
        if let Some(agreement) = &made.agreement {
            document["gantry"]["approval"] = json::agreement(agreement);
        }
        shell.out_json(&document);
    } else {
        shell.out(&human::plan(&made.plan, &made.state.checks, shell.out_style()));
        if let Some(agreement) = &made.agreement {
            shell.out(&human::agreement(agreement, shell.out_style()));
        }
    }
    Ok(exit_code::SUCCESS)
}

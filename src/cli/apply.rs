//! `gantry apply`

use std::path::PathBuf;

use clap::Args;

use super::changing::{Artifacts, Asking, Carrying, Limits, RefreshOnly, RunView, Variables, ended, wanted};
use super::error;
use super::root::Context;
use crate::ops::RunKind;
use crate::ops::apply::Wanted;
use crate::ops::{self, Failure, Result, Workspace};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// A plan file that gantry plan --out wrote
    plan: Option<PathBuf>,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    artifacts: Artifacts,
    #[command(flatten)]
    refresh_only: RefreshOnly,
    #[command(flatten)]
    carrying: Carrying,
}

pub(super) async fn run(context: &Context, mut arguments: Arguments) -> u8 {
    // `gantry apply FILE`, as with Terraform.
    if arguments.plan.is_none()
        && let Some(only) = &arguments.environment
        && crate::ports::fs::kind(&context.directory.join(only)) == Some(crate::ports::fs::Kind::File)
    {
        arguments.plan = arguments.environment.take().map(PathBuf::from);
    }
    apply(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn apply(context: &Context, arguments: &Arguments) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = arguments.carrying.changing(context, &view)?;
    let carrying = &arguments.carrying;
    let mut options = arguments.refresh_only.of(arguments.limits.options(RunKind::Apply)?)?;
    options.artifacts = arguments.artifacts.named()?;
    let wanted = wanted(&arguments.variables, options, carrying.allow_destroy)?;
    let wanted = Wanted { agreeing: carrying.agrees.agreeing(context), ..wanted };
    let file = arguments.plan.clone().map(|p| context.directory.join(p));
    let workspace = match &file {
        Some(path) => of_plan_file(context, arguments, path)?,
        None => context.workspace(arguments.environment.as_deref())?,
    };
    let name = workspace.name.clone();
    let question = match arguments.refresh_only.is_asked() {
        true => format!("Update the recorded state of \"{name}\" to reflect these detected changes?"),
        false => format!("Apply this to \"{name}\"?"),
    };
    let mut asking = Asking::new(context.shell, arguments.carrying.auto_approve, &question, &view, &how);
    let applied = match &file {
        Some(path) => ops::apply::apply_file(workspace, path, &wanted, &how, &mut asking).await,
        None => ops::apply::apply(workspace, &wanted, &how, &mut asking).await,
    };
    Ok(ended(context, &name, &view, applied?))
}

/// The environment of a plan file: the named one, or, from another directory, the one that it was made in.
fn of_plan_file(context: &Context, arguments: &Arguments, path: &std::path::Path) -> Result<Workspace> {
    let file = ops::apply::read_plan_file(path)?;
    let named = arguments.environment.as_deref();
    if let Some(project) = &arguments.carrying.project {
        return Workspace::locate(&context.directory.join(project), named);
    }
    match context.workspace(named) {
        Ok(workspace) if workspace.name == file.inputs.environment => Ok(workspace),
        Ok(workspace) => Err(Failure::refused(
            "Plan file refused",
            format!(
                "The plan file is for the environment \"{}\", not \"{}\".",
                file.inputs.environment, workspace.name
            ),
        )),
        Err(failure) => {
            let recorded = std::path::Path::new(&file.directory);
            if crate::ports::fs::kind(recorded) == Some(crate::ports::fs::Kind::Directory)
                && named.is_none_or(|n| n == file.inputs.environment)
            {
                return Workspace::locate(recorded, None);
            }
            Err(failure)
        }
    }
}

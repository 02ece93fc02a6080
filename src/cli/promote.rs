//! `gantry promote`

use std::path::PathBuf;

use clap::Args;

use super::changing::{Asking, Carrying, RunView, Variables, ended, planned, run_ended, wanted, warned};
use super::root::Context;
use super::{error, exit_code};
use crate::ops::apply::Wanted;
use crate::ops::promote::{Promoted, Promotion};
use crate::ops::released::Pick;
use crate::ops::{self, Failure, Options, Result, RunKind, Workspace, project};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The environment whose release moves on, and the one that takes it; with --auto neither: then the chain that gantry.hcl names
    #[arg(value_names = ["SOURCE", "TARGET"], num_args = 0..=2)]
    environments: Vec<String>,
    /// The release of this generation of the source; the newest verified one by default
    #[arg(long, value_name = "GENERATION", conflicts_with = "release")]
    generation: Option<u64>,
    /// The release of this name; its first digits are enough
    #[arg(long, value_name = "RELEASE")]
    release: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the plan to a file, for gantry apply, and do nothing else
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// For automation: do not ask, and do nothing where nothing is newer, or has to wait
    #[arg(long, conflicts_with_all = ["dry_run", "out"])]
    auto: bool,
    /// Take all files from the working tree; those that differ from the release's have to be allowed
    #[arg(long)]
    worktree: bool,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    carrying: Carrying,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    promote(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn promote(context: &Context, arguments: &Arguments) -> Result<u8> {
    for (source, target) in pairs(context, arguments)? {
        let promotion = Promotion {
            source,
            target,
            pick: Pick { generation: arguments.generation, release: arguments.release.clone() },
            worktree: arguments.worktree,
            auto: arguments.auto,
        };
        let code = match arguments.dry_run || arguments.out.is_some() {
            true => plan(context, arguments, &promotion).await?,
            false => carry_out(context, arguments, &promotion).await?,
        };
        // What follows would pass on what did not arrive.
        if code != exit_code::SUCCESS {
            return Ok(code);
        }
    }
    Ok(exit_code::SUCCESS)
}

/// Which environments promote to which.
fn pairs(context: &Context, arguments: &Arguments) -> Result<Vec<(Workspace, Workspace)>> {
    let named = |name: &String| context.workspace(Some(name));
    let names: Vec<String> = match arguments.environments.as_slice() {
        [_, _] => arguments.environments.clone(),
        [] if arguments.auto
            && arguments.generation.is_none()
            && arguments.release.is_none()
            && arguments.out.is_none() =>
        {
            project::chain(&context.directory)?
        }
        _ => {
            let detail = "A promotion has a source and a target, as in: gantry promote staging production";
            return Err(Failure::error("From where, and where to?", detail)
                .hint("With --auto alone it walks the chain that environments = […] in gantry.hcl names."));
        }
    };
    let all: Vec<Workspace> = names.iter().map(named).collect::<Result<_>>()?;
    Ok(all.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

fn asked(context: &Context, arguments: &Arguments, allow_destroy: bool) -> Result<Wanted> {
    let options = Options { kind: RunKind::Promote, ..Options::default() };
    let wanted = wanted(&arguments.variables, options, allow_destroy)?;
    Ok(Wanted { agreeing: arguments.carrying.agrees.agreeing(context), ..wanted })
}

async fn plan(context: &Context, arguments: &Arguments, promotion: &Promotion) -> Result<u8> {
    let shell = context.shell;
    let wanted = asked(context, arguments, true)?;
    let (made, records, secrets) = promotion.plan(&wanted).await?;
    warned(shell, &made);
    if let Some(path) = &arguments.out {
        let to = context.directory.join(path);
        ops::apply::save(&promotion.target, &made, (&records, &secrets), &wanted.agreeing.signing, &to).await?;
    }
    planned(shell, shell.stream().as_ref(), &made, arguments.out.as_deref());
    Ok(if made.plan.unreadable.is_empty() { exit_code::SUCCESS } else { exit_code::INCOMPLETE })
}

async fn carry_out(context: &Context, arguments: &Arguments, promotion: &Promotion) -> Result<u8> {
    let view = RunView::of(context.shell);
    let how = arguments.carrying.changing(context, &view)?;
    let wanted = asked(context, arguments, arguments.carrying.allow_destroy)?;
    let (from, to) = (&promotion.source.name, &promotion.target.name);
    let question = format!("Promote this from \"{from}\" to \"{to}\"?");
    let unasked = arguments.carrying.auto_approve || arguments.auto;
    let mut asking = Asking::new(context.shell, unasked, &question, &view, &how);
    Ok(match promotion.carry_out(&wanted, &how, &mut asking).await? {
        Promoted::Done(applied) => ended(context, to, &view, applied),
        Promoted::WentOn(ran) => run_ended(context, to, &view, &ran),
        Promoted::Waits(why) => {
            match &*view {
                RunView::Json(stream) => {
                    stream.promotion_waits(from, to, &why);
                    stream.finish();
                }
                RunView::Human(_) => context.shell.out(&format!("{from} -> {to}: nothing done: {why}\n")),
            }
            exit_code::SUCCESS
        }
    })
}

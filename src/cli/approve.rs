//! `gantry approve`

use std::path::PathBuf;

use clap::Args;

use super::agreeing::Signs;
use super::changing::{Carrying, RunView, Variables};
use super::root::Context;
use super::{error, exit_code};
use crate::ops::approve::{By, Waiting, Wish};
use crate::ops::{Failure, LeaseRecord, Result};
use crate::view::{human, json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The plan file that gantry plan --out wrote
    plan: PathBuf,
    #[command(flatten)]
    signs: Signs,
    /// Write the approval into a file instead of the ledger, for gantry apply --approval or gantry approve --from
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the line that is to be signed, for ssh-keygen -Y sign -n gantry, and sign nothing
    #[arg(long, conflicts_with_all = ["key", "out", "line", "signature", "from"])]
    print: bool,
    /// Take a signature of ssh-keygen: the line that --print wrote
    #[arg(long, value_name = "FILE", requires = "signature", conflicts_with_all = ["key", "from", "expires"])]
    line: Option<PathBuf>,
    /// Take a signature of ssh-keygen: the signature
    #[arg(long, value_name = "FILE", requires = "line")]
    signature: Option<PathBuf>,
    /// Record an approval that gantry approve --out wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "out", "expires"])]
    from: Option<PathBuf>,
    /// How long the approval counts, as in 30m; as long as the environment allows by default
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    #[command(flatten)]
    variables: Variables,
    /// How long to wait for another command, as in 30s
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    lock_timeout: String,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> u8 {
    approve(context, &arguments).await.unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

async fn approve(context: &Context, arguments: &Arguments) -> Result<u8> {
    let shell = context.shell;
    let at = |path: &PathBuf| context.directory.join(path);
    let parse = |text: &String| {
        crate::ops::parse_duration(text)
            .map_err(|why| Failure::error("Invalid --expires", format!("--expires takes a duration: {why}.")))
    };
    let wish = Wish {
        plan: at(&arguments.plan),
        variables: arguments.variables.given()?,
        expires: arguments.expires.as_ref().map(parse).transpose()?,
    };
    let waiting = Waiting::open(&context.directory, &wish).await?;
    if arguments.print {
        shell.out(&format!("{}\n", waiting.statement(&wish)?.line()));
        return Ok(exit_code::SUCCESS);
    }
    if arguments.out.is_none() {
        // Before anybody is asked for a passphrase.
        waiting.recordable()?;
    }
    let by = match (&arguments.line, &arguments.signature, &arguments.from) {
        (Some(line), Some(signature), _) => By::Made { line: at(line), signature: at(signature) },
        (_, _, Some(file)) => By::File(at(file)),
        _ => By::Signing(arguments.signs.signing(context)),
    };
    if !shell.json {
        // What is signed is what is shown.
        match &waiting.made {
            Some(made) => shell.out(&human::plan(&made.plan, &made.state.checks, shell.out_style())),
            None => {
                let (steps, why) = waiting.steps();
                shell.out(&human::bare_steps(waiting.environment(), steps, why, shell.out_style()));
            }
        }
    }
    let signed = waiting.signed(&wish, &by).await?;
    let given = match &arguments.out {
        Some(path) => waiting.write(&signed, &at(path))?,
        None => {
            // There is no run to be watched, so the document is all that programs get.
            let mut quiet = shell;
            quiet.json = false;
            let view = RunView::of(quiet);
            let how = Carrying::only_waiting(&arguments.lock_timeout).changing(context, &view)?;
            let mut held = |holder: &LeaseRecord| {
                shell.err(&format!("Waiting for {}\n", crate::diag::escape_controls(&holder.to_string())));
            };
            waiting.record(&signed, &wish, &how, &mut held).await?
        }
    };
    let plan = arguments.plan.display().to_string();
    let (counts, file) = (given.counts.as_slice(), arguments.out.as_ref().map(|path| path.display().to_string()));
    if shell.json {
        shell.out_json(&json::approved(&given.environment, &given.who, given.expires, counts, file.as_deref()));
    } else {
        let told = human::approved(&given.environment, &given.who, given.expires, counts);
        shell.out(&format!("\n{told}{}\n", next(&given.environment, &plan, counts, file.as_deref())));
    }
    Ok(exit_code::SUCCESS)
}

/// What to do now.
fn next(environment: &str, plan: &str, counts: &[(usize, usize)], file: Option<&str>) -> String {
    match file {
        Some(file) => format!(
            "The approval is in {file}. Whoever starts the run hands it in:\n    gantry apply {environment} {plan} --approval {file}\nor \
             records it, where the ledger can be written:\n    gantry approve {plan} --from {file}"
        ),
        None if counts.iter().all(|(has, needs)| has >= needs) => {
            format!("Somebody else than those who approved starts it:\n    gantry apply {environment} {plan}")
        }
        None => format!("Somebody else approves it as well:\n    gantry approve {plan}"),
    }
}

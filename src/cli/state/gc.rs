//! `gantry state gc`.

use clap::Args;

use super::edit::{Waiting, question};
use crate::cli::changing::Variables;
use crate::cli::exit_code;
use crate::cli::root::Context;
use crate::ops::state::{Collecting, Garbage};
use crate::ops::{self, Failure, Result, VarArg};

#[derive(Debug, Args)]
pub(super) struct Gc {
    /// The environment: a name under environments/, or a path
    environment: Option<String>,
    /// How many verified generations are kept, that one can go back to; by default what history { keep } of the environment
    /// says, else 20
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn gc(context: &Context, arguments: &Gc) -> Result<u8> {
    if arguments.keep == Some(0) {
        let detail = "--keep is at least 1: where the environment is now is always kept.";
        return Err(Failure::error("Invalid --keep", detail));
    }
    let variables = arguments.variables.given()?;
    let workspace = context.workspace(arguments.environment.as_deref())?;
    let name = workspace.name.clone();
    let collecting = if arguments.dry_run {
        ops::state::look(&workspace, &variables, arguments.keep).await?
    } else {
        collect(context, arguments, &name, &variables).await?
    };
    match collecting {
        Collecting::NoLedger if context.shell.json => told_json(context, arguments.dry_run, &Garbage::default()),
        Collecting::NoLedger => {
            context.shell.out(&format!("The environment \"{name}\" has no ledger yet: nothing was ever applied.\n"));
        }
        Collecting::Declined => {
            context.shell.err("Nothing was changed.\n");
            return Ok(exit_code::REFUSED);
        }
        Collecting::Done(garbage) if context.shell.json => told_json(context, arguments.dry_run, &garbage),
        Collecting::Done(garbage) => told(context, &name, arguments.dry_run, &garbage),
    }
    Ok(exit_code::SUCCESS)
}

async fn collect(context: &Context, arguments: &Gc, name: &str, variables: &[VarArg]) -> Result<Collecting> {
    // Opening one for writing would begin a ledger where there is none.
    if !ops::state::is_begun(&context.workspace(arguments.environment.as_deref())?, variables).await? {
        return Ok(Collecting::NoLedger);
    }
    let how = arguments.waiting.how(context)?;
    let mut opened = arguments.waiting.open_for(context, arguments.environment.as_deref(), variables, &how).await?;
    let mut confirm = |garbage: &Garbage| {
        let text = format!("Gantry will remove from the ledger of \"{name}\":\n{}\nRemove it?", list(garbage));
        question(context, arguments.auto_approve, &text)
    };
    let collected = ops::state::gc(&mut opened, variables, arguments.keep, &how, &mut confirm).await;
    opened.close().await;
    collected
}

fn told_json(context: &Context, dry: bool, garbage: &Garbage) {
    context.shell.out_json(&serde_json::json!({
        "generations": garbage.generations,
        "kept": garbage.kept,
        "blobs": garbage.blobs.keys().collect::<Vec<_>>(),
        "bytes": garbage.bytes(),
        "left_over": garbage.left_over,
        "open": garbage.open,
        "dry_run": dry,
    }));
}

fn told(context: &Context, name: &str, dry: bool, garbage: &Garbage) {
    if garbage.blobs.is_empty() {
        context.shell.out(&format!("Nothing to remove: all that the ledger of \"{name}\" keeps is referred to.\n"));
    } else {
        let would = if dry { "Would remove" } else { "Removed" };
        context.shell.out(&format!("{would} from the ledger of \"{name}\":\n{}", list(garbage)));
    }
    if let Some(run) = &garbage.open {
        context.shell.out(&format!("{run} has not ended; nothing is removed before it has.\n"));
    }
}

/// What goes, and what stays.
fn list(garbage: &Garbage) -> String {
    let mut text = String::new();
    if !garbage.generations.is_empty() {
        text.push_str(&format!(
            "  what {} {} made from\n",
            generations(&garbage.generations),
            were(&garbage.generations)
        ));
    }
    let (blobs, bytes) = (garbage.blobs.len(), size(garbage.bytes()));
    let left_over = match garbage.left_over {
        0 => String::new(),
        n => format!(", {n} of them left over from a removal that was cut off"),
    };
    text.push_str(&format!("  {blobs} {}, {bytes}{left_over}\n", if blobs == 1 { "blob" } else { "blobs" }));
    let kept = if garbage.kept.is_empty() { "no generation".to_owned() } else { generations(&garbage.kept) };
    text + &format!("Kept: {kept}, and every entry.\n")
}

fn were(numbers: &[u64]) -> &'static str {
    if numbers.len() == 1 { "was" } else { "were" }
}

/// Numbers in ascending order, runs of them as from and to.
fn generations(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let run = |(from, to): &(u64, u64)| match to - from {
        0 => from.to_string(),
        1 => format!("{from}, {to}"),
        _ => format!("{from} to {to}"),
    };
    let word = if numbers.len() == 1 { "generation" } else { "generations" };
    format!("{word} {}", runs.iter().map(run).collect::<Vec<_>>().join(", "))
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let exponent = (bytes.ilog2() / 10).min(4);
    let tenths = (u128::from(bytes) * 10) >> (10 * exponent);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[exponent as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_read_well() {
        assert_eq!(generations(&[4]), "generation 4");
        assert_eq!(generations(&[1, 2, 4, 6, 7, 8]), "generations 1, 2, 4, 6 to 8");
        let sizes = [0, 1023, 1024, 1536, 1 << 20, (1 << 30) - 1, 5 << 40, u64::MAX];
        let said =
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1023.9 MiB", "5.0 TiB", "16777215.9 TiB"];
        assert_eq!(sizes.map(size), said);
    }
}

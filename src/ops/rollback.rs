//! `rollback`: an older generation's configuration, planned against today.

use std::path::Path;

use super::apply::{Applied, Judge, Made, Values, Wanted, carry_out, open, save_opened as save, settle};
use super::error::{Failure, Result};
use super::planning::{self, Draft};
use super::records;
use super::restore::{Fresh, Other};
use super::run::{Changing, Opened, Ran, unless_interrupted};
use super::workspace::Workspace;
use crate::ledger::State;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::plan::{Options, SavedInputs};

/// Plans an older generation's configuration against today, asks, and carries it out.
///
/// # Errors
/// When there is no such generation, or it cannot be planned.
pub async fn rollback(
    workspace: Workspace,
    to: Option<u64>,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Applied> {
    let mut opened = open(workspace, wanted, how, judge).await?;
    let applied = rollback_opened(&mut opened, to, wanted, how, judge).await;
    opened.close().await;
    applied
}

/// Plans the same and writes it into a file, for those who have to agree. Nothing is carried out: neither the plan nor what is left
/// of an interrupted run.
///
/// # Errors
/// When there is no such generation, it cannot be planned, or the file not be written.
pub async fn rollback_to_file(
    workspace: Workspace,
    to: Option<u64>,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
    path: &Path,
) -> Result<Made> {
    let mut opened = open(workspace, wanted, how, judge).await?;
    let saved = async {
        if opened.state.open.is_some() {
            let detail = "A run of this environment was interrupted, and what it leaves behind is not known yet.";
            return Err(Failure::refused("Interrupted run", detail)
                .hint(format!("Go on with it first: gantry resume {}", opened.workspace.name)));
        }
        let made = planned(&mut opened, to, wanted, how).await?;
        save(&opened, made, wanted, path).await
    }
    .await;
    opened.close().await;
    saved
}

pub(crate) async fn rollback_opened(
    opened: &mut Opened,
    to: Option<u64>,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Applied> {
    if opened.state.open.is_some() {
        let now = of_today(opened, wanted)?.unwrap_or_default();
        if let Some(ran) = go_on_back(opened, &Fresh { variables: &now }, to, how, judge).await? {
            return Ok(Applied::Ran(Box::new(ran)));
        }
    }
    let made = planned(opened, to, wanted, how).await?;
    carry_out(opened, made, wanted, how, judge, None).await
}

/// An older generation's configuration, planned against today.
async fn planned(opened: &mut Opened, to: Option<u64>, wanted: &Wanted, how: &Changing) -> Result<Made> {
    let today = of_today(opened, wanted)?;
    let configured = today.is_some();
    let now = today.unwrap_or_default();
    let fresh = Fresh { variables: &now };
    let target = pick_generation(&opened.state, to)?;
    let json = records::blob_json(opened.backend(), &target.inputs).await?;
    let saved: SavedInputs = serde_json::from_value(json).map_err(|e| {
        Failure::error("Unreadable ledger", format!("The inputs of generation {} cannot be read: {e}.", target.number))
    })?;
    let restored = Draft::restore(&saved, &fresh, &opened.secrets, &opened.workspace, Other::Taken)?.for_today();
    let (mut draft, warnings) = (restored.draft, restored.warnings);
    opened.secrets = restored.secrets;
    if !configured {
        opened.configure(&draft)?;
    }
    draft.options = Options {
        kind: RunKind::Rollback,
        pins: target.pins.clone(),
        revert: if wanted.options.keep_schema { Default::default() } else { reverts(&opened.state, &target) },
        older: true,
        going_back: true,
        to_generation: Some(target.number),
        ..wanted.options.clone()
    };
    let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await?;
    Ok(Made::new(plan, draft, &opened.state, warnings))
}

/// The values that people give today, as far as they do: a secret that comes back from its seal need not be given. What today's
/// configuration says about encryption holds, for who may open what is written now is not for an older one to say; only where there
/// is none that can be read, the older one's word stands (`None`).
pub(super) fn of_today(opened: &mut Opened, wanted: &Wanted) -> Result<Option<Values>> {
    let Ok((today, _)) = planning::open_to_look(&opened.workspace, &wanted.variables) else { return Ok(None) };
    opened.secrets = opened.secrets.configured_alone(&today, &opened.workspace)?;
    Ok(Some(today.variables))
}

/// Goes on with an interrupted run if it is the rollback that is asked for, or only goes forward or back any more; else ends
/// it as held.
async fn go_on_back(
    opened: &mut Opened,
    fresh: &Fresh<'_>,
    to: Option<u64>,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Option<Ran>> {
    let Some(open) = opened.state.open.clone() else { return Ok(None) };
    let Some((old, plan)) = opened.interrupted(fresh).await? else { return Ok(None) };
    let same = open.started.kind == RunKind::Rollback && (to.is_none() || to == old.options.to_generation);
    settle(opened, &old, plan, same, how, judge).await
}

/// The migrations that stand applied and did not at the end of a generation, newest first, where the way down is open.
fn reverts(
    state: &State,
    target: &crate::ledger::record::Generation,
) -> std::collections::BTreeMap<crate::addr::Address, Vec<u64>> {
    let mut all = std::collections::BTreeMap::new();
    for (address, applied) in &state.migrations {
        let then = target.migrations.get(address).map(Vec::as_slice).unwrap_or_default();
        let newer: Vec<u64> =
            applied.iter().rev().filter(|m| !then.iter().any(|t| t.version == m.version)).map(|m| m.version).collect();
        if !newer.is_empty() {
            all.insert(address.clone(), newer);
        }
    }
    all
}

fn pick_generation(state: &State, to: Option<u64>) -> Result<crate::ledger::record::Generation> {
    let verified = |g: &&crate::ledger::record::Generation| g.outcome == Some(RunOutcome::Verified) && !g.partial;
    let kept = |g: &&crate::ledger::record::Generation| g.collected.is_none();
    let listed = || {
        let all = state.generations.iter().filter(verified).filter(kept);
        let all: Vec<String> = all.map(|g| g.number.to_string()).collect();
        if all.is_empty() {
            "There is no verified generation.".to_owned()
        } else {
            format!("Verified are: {}.", all.join(", "))
        }
    };
    let found = match to {
        Some(number) => state.find_generation(number),
        None => state
            .generations
            .iter()
            .rev()
            .filter(verified)
            .nth(usize::from(state.generations.last().is_some_and(|g| verified(&g)))),
    };
    match found {
        Some(g) if verified(&g) && !kept(&g) => {
            let by = g.collected.as_ref().map(ToString::to_string).unwrap_or_default();
            let detail = format!("What generation {} was made from is gone: {by}. {}", g.number, listed());
            let hint = "Go back to one that is kept, or check its configuration out of version control and apply that. How many are kept: history { keep = N } in the environment block.";
            Err(Failure::refused("Generation was collected", detail).hint(hint))
        }
        Some(g) if verified(&g) => Ok(g.clone()),
        Some(g) => Err(Failure::error(
            "Not a generation to go back to",
            format!("Generation {} did not end verified, so nobody knows that it works. {}", g.number, listed()),
        )),
        None => Err(Failure::error(
            "Unknown generation",
            match to {
                Some(n) => format!("There is no generation {n}. {}", listed()),
                None => format!("There is no earlier generation to go back to. {}", listed()),
            },
        )),
    }
}

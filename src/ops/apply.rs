//! `plan`, `apply`, `destroy`, `rollback`, `verify`, `resume`.

use std::path::Path;

use super::error::{Failure, FailureKind, Result, sentence};
use super::planning::{self, Draft, Fresh, Planning};
use super::records::{self, Records};
use super::run::{Changing, Opened, Ran, unless_interrupted};
use super::targets::Targets;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::Finished;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::lease::LeaseRecord;
use crate::ledger::record::Collection;
use crate::ledger::{Key, State};
use crate::plan::{Facts, Options, Plan, PlanFile, PlanFileError, SavedInputs, effect, file};
use crate::ports::fs;
use crate::provider::catalog::Catalog;

/// What a plan is asked for with.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--var` and `--var-file`.
    pub variables: Vec<VarArg>,
    /// What else.
    pub options: Options,
    /// Whether a protected environment may be destroyed or lose data.
    pub allow_destroy: bool,
}

/// A plan that was made, with what it was made from.
pub struct Made {
    /// The plan.
    pub plan: Plan,
    /// What it was made from.
    pub draft: Draft,
    /// What the ledger says.
    pub state: State,
    /// What is worth saying though the command goes on.
    pub warnings: Diagnostics,
}

/// Whoever decides about a plan that would change something.
pub trait Judge: Send {
    /// Shows the plan and says whether it is to be carried out.
    ///
    /// # Errors
    /// When nobody can be asked.
    fn approve(&mut self, made: &Made) -> Result<bool>;

    /// Another command holds the lease; this one waits.
    fn waiting(&mut self, holder: &LeaseRecord);

    /// An interrupted run was found. `goes_on` says whether it is gone on with, or ended as held because the configuration asks
    /// for something else now.
    fn found_interrupted(&mut self, state: &State, goes_on: bool);

    /// An interrupted run was ended, and planning starts anew.
    fn ended_interrupted(&mut self, finished: &Finished);
}

/// What an apply came to.
pub enum Applied {
    /// There was nothing to do.
    Nothing(Box<Made>),
    /// The saved plan was carried out before, as this generation.
    Already(u64),
    /// The judge said no.
    Declined,
    /// A run was carried out, or gone on with.
    Ran(Box<Ran>),
}

/// Plans and changes nothing.
///
/// # Errors
/// When the environment cannot be planned.
pub async fn plan(workspace: &Workspace, wanted: &Wanted) -> Result<(Made, Records)> {
    let records = Records::read(workspace, &wanted.variables).await?;
    let (mut draft, warnings) = planning::open(workspace, &wanted.variables, wanted.options.clone())?;
    let catalog = Catalog::built_in();
    let targets = Targets::open(workspace, records.lineage.as_deref().unwrap_or_default(), None)?;
    let planning = Planning { workspace, catalog: &catalog, targets: Some(&targets), key: &records.key, earlier: None };
    let plan = planning.plan(&mut draft, &records.state).await?;
    Ok((Made { plan, draft, state: records.state.clone(), warnings }, records))
}

/// Writes a plan file.
///
/// # Errors
/// When it cannot be written.
pub fn save(workspace: &Workspace, made: &Made, records: &Records, path: &Path) -> Result<()> {
    let seal = |bytes: &[u8]| records.key.hmac(bytes);
    let key = records.lineage.is_none().then(|| records.key.to_hex());
    let file = PlanFile {
        gantry_plan: file::FORMAT,
        inputs: made.draft.save(&workspace.name, &records.key),
        lineage: records.lineage.clone(),
        basis: made.plan.basis.clone(),
        effect: made.plan.effect.clone(),
        steps: effect::text(&made.plan.steps, &seal),
        project: workspace.project.to_string_lossy().into_owned(),
        directory: workspace.environment.to_string_lossy().into_owned(),
        key,
        digest: String::new(),
    }
    .sealed();
    fs::write_atomic(path, &file.to_bytes(), 0o600)
        .map_err(|e| Failure::error("Cannot write plan file", sentence(&format!("{e}: {}.", e.source))))
}

/// The largest plan file that is read: bundles are bounded, so more is not one.
const PLAN_FILE_MAX: u64 = 1 << 30;

/// Reads a plan file.
///
/// # Errors
/// When it cannot be read, is none, was edited, or belongs to another version.
pub fn read_plan_file(path: &Path) -> Result<PlanFile> {
    let bytes = fs::read(path, PLAN_FILE_MAX)
        .map_err(|e| Failure::error("Cannot read plan file", format!("{e}: {}.", e.source)))?;
    PlanFile::from_bytes(&bytes).map_err(|e| {
        let kind = if matches!(e, PlanFileError::NotAPlan(_)) { FailureKind::Error } else { FailureKind::Refused };
        let detail = format!("The plan file {} is not taken: {e}.", path.display());
        Failure::new(
            kind,
            Diagnostic::error("Plan file refused", detail).hint("Plan again: gantry plan ENVIRONMENT --out FILE"),
        )
    })
}

/// The plan of a file, made again from what the file holds; nobody is asked anything.
///
/// # Errors
/// When the steps that come out are not those that the file names.
pub async fn replan(
    workspace: &Workspace,
    file: &PlanFile,
    fresh: &Fresh<'_>,
    recorded: &State,
    key: &Key,
) -> Result<(Draft, Plan)> {
    let mut draft = Draft::restore(&file.inputs, fresh, key, true)?;
    let catalog = Catalog::built_in();
    let planning = Planning { workspace, catalog: &catalog, targets: None, key, earlier: None };
    let plan = planning.plan(&mut draft, recorded).await.map_err(|mut failure| {
        failure.kind = FailureKind::Refused;
        failure
    })?;
    let seal = |bytes: &[u8]| key.hmac(bytes);
    if plan.effect != file.effect || effect::text(&plan.steps, &seal) != file.steps {
        let detail = "Planning again from what the plan file holds gives other steps than the ones that it names. It was edited, and what \
                      it shows is not what it would do.";
        return Err(
            Failure::refused("Plan file refused", detail).hint("Plan again: gantry plan ENVIRONMENT --out FILE")
        );
    }
    Ok((draft, plan))
}

/// Plans, asks, and carries the plan out. An interrupted run is gone on with first.
///
/// # Errors
/// When the environment cannot be planned, or the ledger not be written.
pub async fn apply(workspace: Workspace, wanted: &Wanted, how: &Changing, judge: &mut dyn Judge) -> Result<Applied> {
    let mut opened = open(workspace, wanted, how, judge).await?;
    let applied = apply_opened(&mut opened, wanted, how, judge).await;
    opened.close().await;
    applied
}

async fn open(workspace: Workspace, wanted: &Wanted, how: &Changing, judge: &mut dyn Judge) -> Result<Opened> {
    Opened::open(workspace, &wanted.variables, how, &mut |holder| judge.waiting(holder)).await
}

async fn apply_opened(opened: &mut Opened, wanted: &Wanted, how: &Changing, judge: &mut dyn Judge) -> Result<Applied> {
    let (mut draft, warnings) = planning::open(&opened.workspace, &wanted.variables, wanted.options.clone())?;
    if let Some(ran) = go_on(opened, &draft, how, judge, wanted.options.kind).await? {
        return Ok(Applied::Ran(Box::new(ran)));
    }
    let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await?;
    let made = Made { plan, draft, state: opened.state.clone(), warnings };
    carry_out(opened, made, wanted, how, judge, None).await
}

/// Goes on with an interrupted run if it is still what is asked for; else ends it as held.
async fn go_on(
    opened: &mut Opened,
    draft: &Draft,
    how: &Changing,
    judge: &mut dyn Judge,
    kind: RunKind,
) -> Result<Option<Ran>> {
    let Some(open) = opened.state.open.clone() else { return Ok(None) };
    let fresh = Fresh { variables: &draft.variables };
    let Some((old, plan)) = opened.interrupted(&fresh).await? else { return Ok(None) };
    let same_variables = {
        let seal = |bytes: &[u8]| opened.key.hmac(bytes);
        let encoded = |d: &Draft| {
            d.variables.iter().map(|(n, v)| (n.clone(), crate::value::encode(v, &seal))).collect::<Vec<_>>()
        };
        encoded(&old) == encoded(draft)
    };
    let same = open.started.kind == kind && same_variables && planning::unchanged(&old.bundle, &opened.workspace);
    settle(opened, &old, plan, same, how, judge).await
}

/// Goes on with an interrupted run that is what is asked for (`same`), or that may only go one way; ends any other as held.
/// Gives the run where it is the answer to the command, and nothing where the command goes on after it.
async fn settle(
    opened: &mut Opened,
    old: &Draft,
    plan: Plan,
    same: bool,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Option<Ran>> {
    let one_way = opened.state.open.as_ref().is_some_and(|open| open.unwinding.is_some() || open.committed);
    judge.found_interrupted(&opened.state, same || one_way);
    if !same && !one_way {
        let finished = opened.abandon(how, old, &plan).await?;
        judge.ended_interrupted(&finished);
        return Ok(None);
    }
    let ran = opened.resume(how, old, plan).await?;
    if same || !ran.is_settled() {
        return Ok(Some(ran));
    }
    judge.ended_interrupted(&ran.finished);
    Ok(None)
}

async fn carry_out(
    opened: &mut Opened,
    made: Made,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
    plan_file: Option<String>,
) -> Result<Applied> {
    if !made.plan.unreadable.is_empty() {
        let all: Vec<String> = made.plan.unreadable.iter().map(|(a, why)| format!("{a}: {why}")).collect();
        let detail = format!(
            "Part of what is recorded could not be read, so it is not known what an apply would do:\n  {}",
            all.join("\n  ")
        );
        return Err(Failure::new(FailureKind::Incomplete, Diagnostic::error("Incomplete plan", detail)));
    }
    if !made.plan.has_changes() {
        return Ok(Applied::Nothing(Box::new(made)));
    }
    guard(&made.plan, wanted)?;
    let approved = plan_file.is_some() || judge.approve(&made)?;
    if !approved {
        return Ok(Applied::Declined);
    }
    let ran = opened.run(how, made.plan, &made.draft, plan_file).await?;
    Ok(Applied::Ran(Box::new(ran)))
}

/// What a protected environment does not let happen by accident.
fn guard(plan: &Plan, wanted: &Wanted) -> Result<()> {
    if !plan.protected || wanted.allow_destroy {
        return Ok(());
    }
    let losing: Vec<String> = plan
        .changes
        .iter()
        .filter(|c| c.kind == crate::plan::ChangeKind::Delete || c.kind.is_replace())
        .map(|c| c.address.to_string())
        .collect();
    if losing.is_empty() {
        return Ok(());
    }
    let detail = format!("This environment is protected, and the plan deletes or replaces: {}.", losing.join(", "));
    Err(Failure::refused("Protected environment", detail).hint("If that is meant, say --allow-destroy."))
}

/// Carries out a saved plan.
///
/// # Errors
/// When the file is refused, stale, or belongs to another ledger.
pub async fn apply_file(
    workspace: Workspace,
    path: &Path,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Applied> {
    let file = read_plan_file(path)?;
    if file.inputs.environment != workspace.name {
        let detail = format!(
            "The plan file is for the environment \"{}\", not \"{}\".",
            file.inputs.environment, workspace.name
        );
        return Err(Failure::refused("Plan file refused", detail));
    }
    let mut opened = open(workspace, wanted, how, judge).await?;
    let applied = apply_file_opened(&mut opened, &file, wanted, how, judge).await;
    opened.close().await;
    applied
}

async fn apply_file_opened(
    opened: &mut Opened,
    file: &PlanFile,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Applied> {
    if let Some(lineage) = &file.lineage
        && *lineage != opened.lineage()
    {
        let detail = "The plan was made on another ledger than the one that this environment has now.";
        return Err(Failure::refused("Plan file refused", detail));
    }
    // A plan of before the first apply has a key of its own, for there was no ledger to have one.
    let key = match &file.key {
        Some(hex) => {
            Key::from_hex(hex).ok_or_else(|| Failure::refused("Plan file refused", "Its key is not readable."))?
        }
        None => (*opened.key).clone(),
    };
    if let Some(done) = opened.state.generations.iter().find(|g| g.plan.as_deref() == Some(&file.digest)) {
        let newest = opened.state.generations.last().is_some_and(|g| g.number == done.number);
        if newest && done.outcome == Some(RunOutcome::Verified) {
            return Ok(Applied::Already(done.number));
        }
        if opened.state.open.is_none() {
            return Err(stale(&opened.state));
        }
    }
    let basis = crate::plan::basis(&opened.state);
    let fresh = fresh_variables(opened, &file.inputs, wanted)?;
    let fresh = Fresh { variables: &fresh };
    if opened.state.open.is_some() {
        let draft = Draft::restore(&file.inputs, &fresh, &key, true)?;
        if let Some(ran) = go_on(opened, &draft, how, judge, draft.options.kind).await? {
            return Ok(Applied::Ran(Box::new(ran)));
        }
        return Err(stale(&opened.state));
    }
    if basis != file.basis {
        return Err(stale(&opened.state));
    }
    let (mut draft, mut plan) = replan(&opened.workspace, file, &fresh, &opened.state, &key).await?;
    if file.key.is_some() {
        // From here on the ledger's own key counts.
        let told = std::mem::take(&mut draft.facts);
        let planning = Planning { targets: None, earlier: Some((&told, &key)), ..opened.planning() };
        plan = planning.plan(&mut draft, &opened.state).await?;
    }
    let made = Made { plan, draft, state: opened.state.clone(), warnings: Diagnostics::default() };
    let digest = file.digest.clone();
    carry_out(opened, made, wanted, how, judge, Some(digest)).await
}

/// The values that people give now for a saved plan's variables; the working tree is not needed for them.
fn fresh_variables(
    opened: &Opened,
    saved: &SavedInputs,
    wanted: &Wanted,
) -> Result<std::collections::BTreeMap<std::sync::Arc<str>, crate::value::Value>> {
    let bundle: crate::config::Bundle = serde_json::from_value(saved.bundle.clone())
        .map_err(|e| Failure::refused("Plan file refused", format!("Its configuration cannot be read: {e}.")))?;
    let desired = crate::config::load(&bundle)?;
    match crate::config::gather(&desired, &opened.workspace.environment, &opened.workspace.project, &wanted.variables) {
        Ok(gathered) => Ok(gathered.values.into_iter().map(|(n, g)| (n, g.value)).collect()),
        // What is missing is named when a secret turns out to need it.
        Err(_) => Ok(std::collections::BTreeMap::new()),
    }
}

fn stale(state: &State) -> Failure {
    let who = state.generations.last().map_or_else(
        || "the ledger has changed since".to_owned(),
        |g| format!("generation {} ({}, {}) came after it", g.number, g.run, g.started),
    );
    Failure::refused("Saved plan is stale", format!("The plan was made on another state of the environment: {who}."))
        .hint("Plan again: gantry plan ENVIRONMENT --out FILE")
}

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

async fn rollback_opened(
    opened: &mut Opened,
    to: Option<u64>,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Applied> {
    let current = super::planning::open(&opened.workspace, &wanted.variables, Options::default());
    let now = current.map(|(d, _)| d.variables).unwrap_or_default();
    let fresh = Fresh { variables: &now };
    if let Some(ran) = go_on_back(opened, &fresh, to, how, judge).await? {
        return Ok(Applied::Ran(Box::new(ran)));
    }
    let target = pick_generation(&opened.state, to)?;
    let json = records::blob_json(opened.backend().as_ref(), &target.inputs).await?;
    let saved: SavedInputs = serde_json::from_value(json).map_err(|e| {
        Failure::error("Unreadable ledger", format!("The inputs of generation {} cannot be read: {e}.", target.number))
    })?;
    let mut draft = Draft::restore(&saved, &Fresh { variables: &now }, &opened.key, false)?;
    draft.facts = Facts::default();
    draft.options = Options {
        kind: RunKind::Rollback,
        pins: target.pins.clone(),
        revert: reverts(&opened.state, &target),
        older: true,
        going_back: true,
        to_generation: Some(target.number),
        ..wanted.options.clone()
    };
    let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await?;
    let made = Made { plan, draft, state: opened.state.clone(), warnings: Diagnostics::default() };
    carry_out(opened, made, wanted, how, judge, None).await
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

/// By whom something was collected, and when.
pub(super) fn collected_by(Collection { time, actor }: &Collection) -> String {
    format!("{actor} collected it with gantry state gc at {time}")
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
            let by = g.collected.as_ref().map(collected_by).unwrap_or_default();
            let detail = format!("What generation {} was made from is gone: {by}. {}", g.number, listed());
            Err(Failure::refused("Generation was collected", detail))
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

/// Goes on with an interrupted run, whatever the configuration says now.
///
/// # Errors
/// When there is none, or it cannot be gone on with.
pub async fn resume(
    workspace: Workspace,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Option<Ran>> {
    let mut opened = open(workspace, wanted, how, judge).await?;
    let now = planning::open(&opened.workspace, &wanted.variables, Options::default());
    let now = now.map(|(d, _)| d.variables).unwrap_or_default();
    let result = async {
        let Some((draft, plan)) = opened.interrupted(&Fresh { variables: &now }).await? else { return Ok(None) };
        judge.found_interrupted(&opened.state, true);
        opened.resume(how, &draft, plan).await.map(Some)
    }
    .await;
    opened.close().await;
    result
}

/// Runs all checks now and records their verdicts. Changes nothing else.
///
/// # Errors
/// When the environment cannot be planned.
pub async fn verify(workspace: Workspace, wanted: &Wanted, how: &Changing, judge: &mut dyn Judge) -> Result<Applied> {
    let mut opened = open(workspace, wanted, how, judge).await?;
    let result = async {
        if opened.state.open.is_some() {
            let detail = "A run of this environment was interrupted, so what a check would say now belongs to nothing.";
            return Err(Failure::refused("Interrupted run", detail).hint("Go on with it first: gantry resume"));
        }
        let (mut draft, warnings) = planning::open(&opened.workspace, &wanted.variables, wanted.options.clone())?;
        let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await?;
        let made = Made { plan, draft, state: opened.state.clone(), warnings };
        if made.plan.steps.is_empty() {
            return Ok(Applied::Nothing(Box::new(made)));
        }
        let ran = opened.run(how, made.plan, &made.draft, None).await?;
        Ok(Applied::Ran(Box::new(ran)))
    }
    .await;
    opened.close().await;
    result
}

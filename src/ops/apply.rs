//! `plan`, `apply`, `destroy`, `rollback`, `verify`, `resume`.

use std::path::Path;
use std::sync::Arc;

use super::consent::{self, Agreeing, Case, Saved};
use super::error::{Failure, FailureKind, Result, sentence};
use super::origin;
use super::planning::{self, Again, Draft, Planning};
use super::records::Records;
use super::restore::{self, Fresh, Other};
use super::run::{Changing, Opened, Ran, unless_interrupted};
use super::secrets::Secrets;
use super::signing::Signing;
use super::targets::Targets;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::Finished;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::lease::LeaseRecord;
use crate::ledger::{Key, State};
use crate::plan::approval::Agreement;
use crate::plan::difference::Difference;
use crate::plan::{Options, Plan, PlanFile, PlanFileError, SavedInputs, effect, file};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::fs;
use crate::provider::catalog::Catalog;

/// Values of variables by name.
pub(super) type Values = std::collections::BTreeMap<Arc<str>, crate::value::Value>;

/// What a plan is asked for with.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--var` and `--var-file`.
    pub variables: Vec<VarArg>,
    /// What else.
    pub options: Options,
    /// Whether a protected environment may be destroyed or lose data.
    pub allow_destroy: bool,
    /// With what whoever asks signs, and the approvals that were handed over to him.
    pub agreeing: Agreeing,
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
    /// For a promotion: what it brings against what was proven.
    pub difference: Option<Box<Difference>>,
    /// How things stand with its approval, where it needs one.
    pub agreement: Option<Agreement>,
}

impl Made {
    /// A plan with what it was made from; `warnings` are what is worth saying beside the plan's own.
    pub(super) fn new(plan: Plan, draft: Draft, state: &State, warnings: Diagnostics) -> Self {
        Self { plan, draft, state: state.clone(), warnings, difference: None, agreement: None }
    }
}

/// Whoever decides about a plan that would change something.
pub trait Judge: Send {
    /// Shows the plan and says whether it is to be carried out.
    ///
    /// # Errors
    /// When nobody can be asked.
    fn approve(&mut self, made: &Made) -> Result<bool>;

    /// Enough people have agreed to a saved plan, which nobody is asked about any more.
    fn agreed(&mut self, _agreement: &Agreement) {}

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
pub async fn plan(workspace: &Workspace, wanted: &Wanted) -> Result<(Made, Records, Secrets)> {
    let records = Records::read(workspace, &wanted.variables).await?;
    let (mut draft, warnings) = planning::open(workspace, &wanted.variables, wanted.options.clone())?;
    let targets = Targets::open(workspace, records.lineage.as_deref().unwrap_or_default(), None)?;
    let secrets = Secrets::of_machine(Arc::clone(&records.key))?.configured(&draft, workspace)?;
    let planning = Planning::new(workspace, targets.catalog(), Some(&targets), &secrets);
    let plan = planning.plan(&mut draft, &records.state).await?;
    let (state, made) = (&records.state, (&plan, &draft));
    let back = restore::for_a_way_back(records.backend.as_ref(), state, made, &secrets, workspace).await?;
    let unproven = origin::warning(state, &draft, records.backend.as_ref()).await?;
    let warnings = warnings.into_iter().chain(back).chain(unproven).collect();
    let agreement = agreement(&plan, &records, wanted).await?;
    let made = Made { agreement, ..Made::new(plan, draft, state, warnings) };
    Ok((made, records, secrets))
}

/// How things stand with a plan's approval, where it needs one.
///
/// # Errors
/// When a gate that is recorded cannot be read any more.
pub(super) async fn agreement(plan: &Plan, records: &Records, wanted: &Wanted) -> Result<Option<Agreement>> {
    let lineage = records.lineage.as_deref().unwrap_or_default();
    let case = Case::of(plan, lineage, &records.state, None, &wanted.agreeing.approvals)?;
    let Some(case) = case.filter(|_| plan.has_changes()) else { return Ok(None) };
    let seal = |bytes: &[u8]| records.key.hmac(bytes);
    let steps = effect::text(&plan.steps, &plan.gates, &seal);
    Ok(Some(case.agreement(SystemClock.now(), &steps, records.backend.as_ref()).await))
}

/// Writes a plan file. Where the plan needs approval, its author signs it.
///
/// # Errors
/// When it cannot be written or signed.
pub async fn save(
    workspace: &Workspace,
    made: &Made,
    (records, secrets): (&Records, &Secrets),
    signing: &Signing,
    path: &Path,
) -> Result<()> {
    let key = records.lineage.is_none().then(|| records.key.to_hex());
    let file = plan_file(workspace, made, secrets, (records.lineage.clone(), key));
    write_plan_file(file, &records.state, signing, made.plan.has_changes(), path).await
}

/// The same for a plan that was made on an environment that is open for changing.
pub(super) async fn save_opened(opened: &Opened, mut made: Made, wanted: &Wanted, path: &Path) -> Result<Made> {
    let agreeing = &wanted.agreeing;
    let file = plan_file(&opened.workspace, &made, &opened.secrets, (Some(opened.lineage().to_owned()), None));
    let case = Case::of(&made.plan, opened.lineage(), &opened.state, None, &agreeing.approvals)?;
    if let Some(case) = case.filter(|_| made.plan.has_changes()) {
        made.agreement = Some(case.agreement(opened.targets.now(), &file.steps, opened.backend()).await);
    }
    write_plan_file(file, &opened.state, &agreeing.signing, made.plan.has_changes(), path).await?;
    Ok(made)
}

fn plan_file(
    workspace: &Workspace,
    made: &Made,
    secrets: &Secrets,
    (lineage, key): (Option<String>, Option<String>),
) -> PlanFile {
    let seal = |bytes: &[u8]| secrets.key.hmac(bytes);
    PlanFile {
        gantry_plan: file::FORMAT,
        inputs: made.draft.save(&workspace.name, secrets, &made.plan),
        lineage,
        basis: made.plan.basis.clone(),
        effect: made.plan.effect.clone(),
        steps: effect::text(&made.plan.steps, &made.plan.gates, &seal),
        project: workspace.project.to_string_lossy().into_owned(),
        directory: workspace.environment.to_string_lossy().into_owned(),
        key,
        gates: made.plan.gates.clone(),
        author: None,
        digest: String::new(),
    }
}

async fn write_plan_file(
    file: PlanFile,
    state: &State,
    signing: &Signing,
    has_changes: bool,
    path: &Path,
) -> Result<()> {
    let author = consent::author(&file, state, signing, has_changes).await?;
    let file = PlanFile { author, ..file }.sealed();
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

/// The plan of a file, made again from what the file holds. Nobody is asked anything, but for the secrets that targets had
/// answered and of which the file has digests only: for these the targets are asked again, where they are given.
///
/// # Errors
/// When the steps that come out are not those that the file names.
pub async fn replan(
    workspace: &Workspace,
    file: &PlanFile,
    fresh: &Fresh<'_>,
    recorded: &State,
    secrets: &Secrets,
    targets: Option<&Targets>,
) -> Result<(Draft, Plan, Secrets)> {
    let mut restored = Draft::restore(&file.inputs, fresh, secrets, workspace, Other::Refused)?;
    if targets.is_some() {
        restored = restored.asking_again();
    }
    let catalog = Catalog::built_in();
    let again = targets.map(|targets| Again { targets, answers: &restored.unopened });
    let (mut draft, secrets) = (restored.draft, restored.secrets);
    let planning = Planning { again, ..Planning::new(workspace, &catalog, None, &secrets) };
    let plan = planning.plan_as_was(&mut draft, recorded, &file.effect).await.map_err(|mut failure| {
        failure.kind = FailureKind::Refused;
        failure
    })?;
    let seal = |bytes: &[u8]| secrets.key.hmac(bytes);
    if plan.effect != file.effect
        || effect::text(&plan.steps, &plan.gates, &seal) != file.steps
        || plan.gates != file.gates
    {
        if !restored.unopened.is_empty() {
            return Err(super::restore::not_told_again(&restored.unopened, &secrets));
        }
        let detail = "Planning again from what the plan file holds gives other steps than the ones that it names. It was edited, and what \
                      it shows is not what it would do.";
        return Err(
            Failure::refused("Plan file refused", detail).hint("Plan again: gantry plan ENVIRONMENT --out FILE")
        );
    }
    Ok((draft, plan, secrets))
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

pub(super) async fn open(
    workspace: Workspace,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Opened> {
    Opened::open(workspace, &wanted.variables, how, &mut |holder| judge.waiting(holder)).await
}

pub(crate) async fn apply_opened(
    opened: &mut Opened,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
) -> Result<Applied> {
    let (mut draft, warnings) = planning::open(&opened.workspace, &wanted.variables, wanted.options.clone())?;
    opened.configure(&draft)?;
    if let Some(ran) = go_on(opened, &draft, how, judge, wanted.options.kind).await? {
        return Ok(Applied::Ran(Box::new(ran)));
    }
    // Once more: looking at an interrupted run takes the secrets of the configuration that it was begun with.
    opened.configure(&draft)?;
    let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await?;
    let (state, made) = (&opened.state, (&plan, &draft));
    let back = restore::for_a_way_back(opened.backend(), state, made, &opened.secrets, &opened.workspace).await?;
    let unproven = origin::warning(state, &draft, opened.backend()).await?;
    let warnings = warnings.into_iter().chain(back).chain(unproven).collect();
    let made = Made::new(plan, draft, state, warnings);
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
        let seal = |bytes: &[u8]| opened.secrets.key.hmac(bytes);
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
pub(super) async fn settle(
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
        if !matches!(finished.ending, crate::exec::Ending::Ended(_)) {
            // It cannot be ended before it is known what became of its steps.
            return Ok(Some(Ran { plan: Box::new(plan), finished, resumed: true }));
        }
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

pub(super) async fn carry_out(
    opened: &mut Opened,
    made: Made,
    wanted: &Wanted,
    how: &Changing,
    judge: &mut dyn Judge,
    saved: Option<Saved>,
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
    guard(&made.plan, &made.state, wanted)?;
    let mut made = made;
    let agreed = consent::agree(opened, &mut made, wanted, saved.as_ref()).await?;
    match (&saved, &made.agreement) {
        (None, _) if !judge.approve(&made)? => return Ok(Applied::Declined),
        (Some(_), Some(agreement)) => judge.agreed(agreement),
        _ => {}
    }
    let consent = match agreed {
        Some(agreed) => Some(agreed.consent(opened, &made.plan).await?),
        None => None,
    };
    super::promote::bring_artifacts(opened, &made.plan).await?;
    let ran = opened.run_agreed(how, made.plan, &made.draft, saved.map(|saved| saved.digest), consent).await?;
    Ok(Applied::Ran(Box::new(ran)))
}

/// What a protected environment does not let happen by accident.
fn guard(plan: &Plan, state: &State, wanted: &Wanted) -> Result<()> {
    let protected = plan.gates.protected || state.gates().iter().any(|gates| gates.protected);
    if !protected || wanted.allow_destroy {
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
    let applied = apply_file_opened(&mut opened, (path, &file), wanted, how, judge).await;
    opened.close().await;
    applied
}

async fn apply_file_opened(
    opened: &mut Opened,
    (path, file): (&Path, &PlanFile),
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
            let key = Key::from_hex(hex);
            Arc::new(key.ok_or_else(|| Failure::refused("Plan file refused", "Its key is not readable."))?)
        }
        None => Arc::clone(&opened.secrets.key),
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
    if let Some(release) = &file.inputs.options.promoted {
        super::promote::not_quarantined(&opened.state, release, &opened.workspace.name)?;
    }
    let basis = crate::plan::basis(&opened.state);
    let fresh = fresh_variables(opened, &file.inputs, wanted)?;
    let fresh = Fresh { variables: &fresh };
    if opened.state.open.is_some() {
        let secrets = opened.secrets.with_key(Arc::clone(&key));
        let draft = Draft::restore(&file.inputs, &fresh, &secrets, &opened.workspace, Other::Refused)?.draft;
        if let Some(ran) = go_on(opened, &draft, how, judge, draft.options.kind).await? {
            return Ok(Applied::Ran(Box::new(ran)));
        }
        return Err(stale(&opened.state));
    }
    if basis != file.basis {
        return Err(stale(&opened.state));
    }
    let secrets = opened.secrets.with_key(Arc::clone(&key));
    let targets = Some(&opened.targets);
    let (mut draft, mut plan, secrets) =
        replan(&opened.workspace, file, &fresh, &opened.state, &secrets, targets).await?;
    opened.secrets = secrets.with_key(Arc::clone(&opened.secrets.key));
    opened.configure(&draft)?;
    if file.key.is_some() {
        // From here on the ledger's own key counts.
        let told = std::mem::take(&mut draft.facts);
        let planning = Planning { targets: None, earlier: Some((&told, &key)), ..opened.planning() };
        plan = planning.plan(&mut draft, &opened.state).await?;
    }
    let made = Made::new(plan, draft, &opened.state, Diagnostics::default());
    carry_out(opened, made, wanted, how, judge, Some(Saved::of(path, file))).await
}

/// The values that people give now for a saved plan's variables; the working tree is not needed for them.
fn fresh_variables(opened: &Opened, saved: &SavedInputs, wanted: &Wanted) -> Result<Values> {
    let bundle: crate::config::Bundle = serde_json::from_value(saved.bundle.clone())
        .map_err(|e| Failure::refused("Plan file refused", format!("Its configuration cannot be read: {e}.")))?;
    let desired = crate::config::load(&bundle)?;
    match crate::config::gather(&desired, &opened.workspace.environment, &opened.workspace.project, &wanted.variables) {
        Ok(gathered) => Ok(gathered.values.into_iter().map(|(n, g)| (n, g.value)).collect()),
        // What is missing is named when a secret turns out to need it.
        Err(_) => Ok(Values::new()),
    }
}

pub(super) fn stale(state: &State) -> Failure {
    let who = state.generations.last().map_or_else(
        || "the ledger has changed since".to_owned(),
        |g| format!("generation {} ({}, {}) came after it", g.number, g.run, g.started),
    );
    Failure::refused("Saved plan is stale", format!("The plan was made on another state of the environment: {who}."))
        .hint("Plan again: gantry plan ENVIRONMENT --out FILE")
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
    let result = async {
        let today = super::rollback::of_today(&mut opened, wanted)?;
        let configured = today.is_some();
        let now = today.unwrap_or_default();
        let Some((draft, plan)) = opened.interrupted(&Fresh { variables: &now }).await? else { return Ok(None) };
        if !configured {
            opened.configure(&draft)?;
        }
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
            return Err(Failure::refused("Interrupted run", detail)
                .hint(format!("Go on with it first: gantry resume {}", opened.workspace.name)));
        }
        let (mut draft, warnings) = planning::open(&opened.workspace, &wanted.variables, wanted.options.clone())?;
        opened.configure(&draft)?;
        let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await?;
        let made = Made::new(plan, draft, &opened.state, warnings);
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

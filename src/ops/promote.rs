//! `promote`: the release that one environment proved, planned for another from the release's own bytes.
//!
//! Everything but the target environment's own directory comes from what the source generation was made from, so that modules, migrations
//! and shared files are the bytes that were proven. The gates are those of the target's configuration and those of what stands there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::apply::{Applied, Judge, Made, Wanted, carry_out, open, settle};
use super::error::{Failure, Result};
use super::planning::{self, Draft, Planning};
use super::records::{self, Records};
use super::released::{self, Offered, Pick};
use super::restore::{self, Fresh};
use super::run::{Changing, Opened, Ran, unless_interrupted};
use super::secrets::Secrets;
use super::targets::Targets;
use super::workspace::Workspace;
use crate::config::{Bundle, is_own};
use crate::diag::Diagnostics;
use crate::ledger::event::RunKind;
use crate::ledger::record::PromotionGate;
use crate::ledger::release::short;
use crate::ledger::{Backend, Digest, Release, State};
use crate::plan::difference::{FilesUsed, Proof, difference};
use crate::plan::gate::{self, Offer, Refusal, Source};
use crate::plan::{Options, Plan, SavedInputs, Settings};

/// From where, where to, and how.
#[derive(Debug, Clone)]
pub struct Promotion {
    /// The environment that offers.
    pub source: Workspace,
    /// The environment that takes.
    pub target: Workspace,
    /// Which of its releases.
    pub pick: Pick,
    /// Whether all files come from the working tree.
    pub worktree: bool,
    /// Whether nobody looks on: what has to wait, waits, and that is no failure.
    pub auto: bool,
}

/// What a promotion came to.
pub enum Promoted {
    /// A plan was made and, where there was something to do, carried out.
    Done(Applied),
    /// Automation has nothing to do now: one sentence why.
    Waits(String),
    /// An interrupted run was gone on with.
    WentOn(Box<Ran>),
}

impl Promotion {
    /// Plans the promotion and changes nothing.
    ///
    /// # Errors
    /// When there is nothing to promote, a gate refuses it, or it cannot be planned.
    pub async fn plan(&self, wanted: &Wanted) -> Result<(Made, Records, Secrets)> {
        self.sound()?;
        let records = Records::read(&self.target, &wanted.variables).await?;
        let targets = Targets::open(&self.target, records.lineage.as_deref().unwrap_or_default(), None)?;
        let offered = released::offered(&self.source, &self.pick).await?;
        let secrets = Secrets::of_machine(Arc::clone(&records.key))?;
        let (mut draft, warnings, secrets) = self.draft(&offered, &secrets, wanted)?;
        let gates = gates(&draft, (&self.source, &self.target), &records.state)?;
        if let Some(failure) = self.pass(&offered, &gates, &records.state, targets.now()).await? {
            return Err(failure);
        }
        let planning = Planning::new(&self.target, targets.catalog(), Some(&targets), &secrets);
        let plan = planning.plan(&mut draft, &records.state).await.map_err(|f| self.explained(f, Some(&draft)))?;
        let (state, made) = (&records.state, (&plan, &draft));
        let back = restore::for_a_way_back(records.backend.as_ref(), state, made, &secrets, &self.target).await?;
        let warnings = warnings.into_iter().chain(back).collect();
        let agreement = super::apply::agreement(&plan, &records, wanted).await?;
        let made = Made { agreement, ..Made::new(plan, draft, state, warnings) };
        Ok((self.compared(&offered, made, &gates)?, records, secrets))
    }

    /// Plans the promotion, asks, and carries it out.
    ///
    /// # Errors
    /// When there is nothing to promote, a gate refuses it, it cannot be planned, or the ledger not be written.
    pub async fn carry_out(&self, wanted: &Wanted, how: &Changing, judge: &mut dyn Judge) -> Result<Promoted> {
        self.sound()?;
        let opened = open(self.target.clone(), wanted, how, judge).await;
        let mut opened = match opened {
            Err(failure) if self.auto && failure.is_of("Another command is at work") => {
                return Ok(Promoted::Waits(format!("another command is at work on \"{}\"", self.target.name)));
            }
            opened => opened?,
        };
        let promoted = self.carry_out_opened(&mut opened, wanted, how, judge).await;
        opened.close().await;
        promoted
    }

    async fn carry_out_opened(
        &self,
        opened: &mut Opened,
        wanted: &Wanted,
        how: &Changing,
        judge: &mut dyn Judge,
    ) -> Result<Promoted> {
        let offered = released::offered(&self.source, &self.pick).await?;
        if let Some(ran) = self.go_on(opened, &offered, wanted, how, judge).await? {
            return Ok(Promoted::WentOn(Box::new(ran)));
        }
        if self.auto && gate::had(&opened.state, &offered.id) {
            let why = format!("there is nothing newer than {}", gate::named(&offered.release));
            return Ok(Promoted::Waits(why));
        }
        let (mut draft, warnings, secrets) = self.draft(&offered, &opened.secrets, wanted)?;
        opened.secrets = secrets;
        let gates = gates(&draft, (&self.source, &self.target), &opened.state)?;
        let passed = self.pass(&offered, &gates, &opened.state, opened.targets.now());
        if let Some(failure) = unless_interrupted(how, passed).await? {
            let words: Vec<&str> = failure.diagnostics.iter().map(|d| d.detail.as_str()).collect();
            return if self.auto { Ok(Promoted::Waits(words.join(" "))) } else { Err(failure) };
        }
        let plan = unless_interrupted(how, opened.planning().plan(&mut draft, &opened.state)).await;
        let plan = plan.map_err(|f| self.explained(f, Some(&draft)))?;
        let (state, made) = (&opened.state, (&plan, &draft));
        let back = restore::for_a_way_back(opened.backend(), state, made, &opened.secrets, &opened.workspace).await?;
        let warnings = warnings.into_iter().chain(back).collect();
        let made = self.compared(&offered, Made::new(plan, draft, state, warnings), &gates)?;
        Ok(Promoted::Done(carry_out(opened, made, wanted, how, judge, None).await?))
    }

    /// What can be told to be wrong before anything is read.
    fn sound(&self) -> Result<()> {
        let (source, target) = (&self.source, &self.target);
        if source.environment == target.environment {
            let detail = format!("\"{}\" cannot be promoted to itself.", source.name);
            return Err(Failure::error("Source and target are the same", detail));
        }
        if source.project != target.project {
            let detail =
                "Both environments have to stand in one project: their files are compared by their places in it.";
            return Err(Failure::error("Environments of two projects", detail));
        }
        released::no_loop(source, target)
    }

    /// The target's configuration from the release's files, with the options of the promotion.
    fn draft(&self, offered: &Offered, secrets: &Secrets, wanted: &Wanted) -> Result<(Draft, Diagnostics, Secrets)> {
        let options = Options {
            kind: RunKind::Promote,
            promoted: Some(Box::new(offered.release.clone())),
            pins: offered.release.artifacts.clone(),
            ..wanted.options.clone()
        };
        let opened = match self.worktree {
            true => planning::open(&self.target, &wanted.variables, options),
            false => {
                let directory = format!("environments/{}", self.target.name);
                let shared = Arc::new(offered.bundle.seen_from(&directory));
                planning::open_released(&self.target, &wanted.variables, options, shared)
            }
        };
        let (draft, warnings) = opened.map_err(|failure| self.explained(failure, None))?;
        let secrets = secrets.configured(&draft, &self.target)?;
        Ok((draft, warnings, secrets))
    }

    /// Says what to do about files that the release does not hold.
    fn explained(&self, failure: Failure, draft: Option<&Draft>) -> Failure {
        let lacking = draft.map(|draft| draft.bundle.unreleased(draft.released.as_deref())).unwrap_or_default();
        let told = failure.diagnostics.iter().any(|d| d.detail.contains(crate::config::NOT_RELEASED));
        if self.worktree || (lacking.is_empty() && !told) {
            return failure;
        }
        let (source, target) = (&self.source.name, &self.target.name);
        let which = match lacking.is_empty() {
            true => String::new(),
            false => format!("The release does not hold {}. ", lacking.join(", ")),
        };
        failure.hint(format!(
            "{which}Everything outside environments/{target}/ comes from the release. Let \"{source}\" prove it first: gantry apply {source}; \
             or take all files from the working tree, with promotion {{ allow_unproven = true }}: --worktree"
        ))
    }

    /// Whether the gates let the release pass: nothing, or why it has to wait.
    async fn pass(
        &self,
        offered: &Offered,
        gates: &[PromotionGate],
        state: &State,
        now: jiff::Timestamp,
    ) -> Result<Option<Failure>> {
        let source = released::standing(&self.source, offered).await?;
        let offer = Offer {
            from: &self.source.name,
            state: &offered.records.state,
            generation: &offered.generation,
            release: &offered.release,
        };
        let gates: Vec<&PromotionGate> = gates.iter().collect();
        let all = gate::refusals(&gates, &offer, (&self.target.name, state), &source, now);
        match all.is_empty() {
            true => Ok(None),
            false if all.iter().all(Refusal::waits) => Ok(Some(self.waits(offered, &all))),
            false => Err(self.refused(offered, &all, &source)),
        }
    }

    fn waits(&self, offered: &Offered, all: &[Refusal]) -> Failure {
        let (from, to) = (&self.source.name, &self.target.name);
        let sentences: Vec<String> = all.iter().map(ToString::to_string).collect();
        let named = gate::named(&offered.release);
        let detail = format!("Release {named} stays out of \"{to}\" for now. {}", sentences.join(" "));
        let failure = Failure::refused("Promotion refused", detail);
        let quarantined = all.iter().find_map(|r| match r {
            Refusal::Quarantined { environment, .. } => Some(environment),
            _ => None,
        });
        match quarantined {
            Some(environment) => failure.hint(lifting(environment, &offered.id)),
            None => failure.hint(format!("Promote it later: gantry promote {from} {to}")),
        }
    }

    fn refused(&self, offered: &Offered, all: &[Refusal], source: &Source) -> Failure {
        let (from, to) = (&self.source.name, &self.target.name);
        let sentences: Vec<String> = all.iter().map(ToString::to_string).collect();
        let named = gate::named(&offered.release);
        let detail = format!("Release {named} may not go to \"{to}\":\n  {}", sentences.join("\n  "));
        let failure = Failure::refused("Promotion refused", detail);
        match source {
            Source::Drifted(_) => {
                failure.hint(format!("See what differs: gantry drift {from}; put it right: gantry apply {from}"))
            }
            Source::Unreadable(..) => failure.hint(format!("See what cannot be read: gantry drift {from}")),
            Source::Sound => failure,
        }
    }

    /// Compares with what was proven, and refuses what was not and may not be.
    fn compared(&self, offered: &Offered, mut made: Made, gates: &[PromotionGate]) -> Result<Made> {
        let shared = offered.bundle.seen_from(&made.draft.bundle.directory);
        let files = files_used(&made.draft.bundle, &shared);
        if !files.unproven.is_empty() && !gates.iter().all(|gate| gate.allow_unproven) {
            let detail = format!(
                "These files are not what \"{}\" proved:\n  {}\nThey would reach \"{}\" without ever having been tried.",
                self.source.name,
                files.unproven.join("\n  "),
                self.target.name
            );
            return Err(Failure::refused("Files that were not proven", detail)
                .hint("Leave --worktree out, or say promotion { allow_unproven = true } in the environment block."));
        }
        made.draft.options.unproven.clone_from(&files.unproven);
        let proof = Proof {
            release: &offered.release,
            from: &self.source.name,
            generation: &offered.generation,
            variables: &offered.variables,
        };
        let difference = difference(&proof, &made.plan, &made.state, &made.draft.variables, files);
        Ok(Made { difference: Some(Box::new(difference)), ..made })
    }

    /// Goes on with an interrupted promotion of the same release, or any that only goes one way; ends another run as held.
    async fn go_on(
        &self,
        opened: &mut Opened,
        offered: &Offered,
        wanted: &Wanted,
        how: &Changing,
        judge: &mut dyn Judge,
    ) -> Result<Option<Ran>> {
        let Some(open) = opened.state.open.clone() else { return Ok(None) };
        let now = super::rollback::of_today(opened, wanted)?.unwrap_or_default();
        let Some((old, plan)) = opened.interrupted(&Fresh { variables: &now }).await? else { return Ok(None) };
        let same = open.started.kind == RunKind::Promote
            && open.started.release.as_ref().is_some_and(|release| release.id() == offered.id);
        settle(opened, &old, plan, same, how, judge).await
    }
}

/// What has to hold in the target: as its configuration says, and as what stands there says.
fn gates(draft: &Draft, (source, workspace): (&Workspace, &Workspace), state: &State) -> Result<Vec<PromotionGate>> {
    let settings = match &draft.desired.environment {
        Some(block) => {
            let directory = workspace.environment.to_string_lossy();
            Settings::evaluate(block, &draft.variables, &draft.bundle.project, &directory)
                .map_err(|wrong| Failure::from_diagnostics(Diagnostics::from(wrong), draft.desired.sources.clone()))?
        }
        None => Settings::default(),
    };
    let Some(now) = settings.promotion else {
        let detail = format!(
            "The environment \"{}\" has no promotion block, so its artifacts are its own and nothing is promoted to it.",
            workspace.name
        );
        return Err(Failure::refused("Environment takes no promotions", detail).hint(format!(
            "To let it take releases, write: environment {{ promotion {{ from = \"{}\" }} }}",
            source.name
        )));
    };
    let before: Vec<PromotionGate> = state.gates().into_iter().filter_map(|gates| gates.promotion.clone()).collect();
    let before = before.into_iter().filter(|before| *before != now).collect::<Vec<_>>();
    Ok(std::iter::once(now).chain(before).collect())
}

/// Which files a plan uses, and which of them were proven.
fn files_used(used: &Bundle, shared: &Bundle) -> FilesUsed {
    let mut files = FilesUsed::default();
    for (path, bytes) in &used.files {
        match (is_own(path), shared.files.get(path)) {
            (true, _) => files.own.push(used.shown(path)),
            (false, Some(proven)) if proven == bytes => files.proven += 1,
            (false, _) => files.unproven.push(used.shown(path)),
        }
    }
    files
}

/// Brings the files that a plan pins into the ledger that it is carried out on: what runs is what the source proved, byte by byte.
///
/// # Errors
/// When the source's ledger does not have them, or they cannot be written.
pub(super) async fn bring_artifacts(opened: &mut Opened, plan: &Plan) -> Result<()> {
    let Some(release) = &plan.promoted else { return Ok(()) };
    let pinned = plan.steps.iter().filter_map(|step| match &step.work {
        crate::plan::Work::Pin(pin) => pin.recorded.as_ref().filter(|pin| pin.kind == "file"),
        _ => None,
    });
    let digests: std::collections::BTreeSet<String> = pinned.map(|pin| pin.digest.clone()).collect();
    if digests.is_empty() {
        return Ok(());
    }
    opened.fence().await?;
    // Whoever passes a release on has its files; the one that first proved it may have collected them since.
    let from = plan.gates.promotion.as_ref().map(|gate| gate.from.clone());
    let mut sources = Vec::new();
    for name in from.iter().chain([&release.environment]) {
        // One of them is enough, so one that cannot be read is no error yet.
        let found = match Workspace::locate(&opened.workspace.project, Some(name)) {
            Ok(source) => Records::read(&source, &[]).await,
            Err(unknown) => Err(unknown),
        };
        sources.push(found.map(|records| records.backend));
    }
    for text in digests {
        let digest = text
            .trim_start_matches("sha256:")
            .parse()
            .map_err(|e| Failure::error("Unreadable release", format!("{text}: {e}.")))?;
        if opened.backend().blob_file(digest).await.is_ok() {
            continue;
        }
        let file = held(&sources, digest).await?;
        let (kept, _) = opened.backend().put_file(&file, true).await?;
        if kept != digest {
            let detail = format!("{text} was to be copied to this environment's ledger and became {kept}.");
            return Err(Failure::error("The copy is not the artifact", detail));
        }
    }
    Ok(())
}

/// A file by its content, from the first ledger that has it.
async fn held(sources: &[Result<Arc<dyn Backend>>], digest: Digest) -> Result<PathBuf> {
    let mut why = None;
    for source in sources {
        match source {
            Ok(backend) => match backend.blob_file(digest).await {
                Ok(file) => return Ok(file),
                Err(e) => why = why.or(Some(e.into())),
            },
            Err(e) => why = why.or_else(|| Some(e.clone())),
        }
    }
    Err(why.unwrap_or_else(|| Failure::error("Artifact not found", "No ledger has it.")))
}

/// Refuses a saved promotion whose release was quarantined since.
pub(super) fn not_quarantined(state: &State, release: &Release, environment: &str) -> Result<()> {
    let Some(entry) = state.quarantine.get(&release.id()) else { return Ok(()) };
    let refusal = Refusal::Quarantined { environment: environment.to_owned(), entry: entry.clone() };
    let detail = format!("Release {} stays out of \"{environment}\". {refusal}", gate::named(release));
    Err(Failure::refused("Promotion refused", detail).hint(lifting(environment, &release.id())))
}

fn lifting(environment: &str, id: &str) -> String {
    let id = short(id);
    format!("Promote a newer release, or lift this one: gantry release lift {environment} {id} --reason \"…\"")
}

/// The values of a generation's variables as they were saved, for showing: secrets as what their marks say.
pub(super) fn saved_variables(
    saved: &SavedInputs,
    desired: &crate::config::Desired,
) -> BTreeMap<Arc<str>, crate::value::Value> {
    let mut all = BTreeMap::new();
    for (name, json) in &saved.variables {
        let Some(declared) = desired.root.variables.get(name.as_str()) else { continue };
        let Ok(value) = crate::value::decode(json, &declared.ty) else { continue };
        let value = if declared.sensitive { value.sensitive() } else { value };
        all.insert(Arc::from(name.as_str()), value);
    }
    all
}

/// What a generation was made from.
pub(super) async fn saved_inputs(records: &Records, inputs: &str, number: u64) -> Result<SavedInputs> {
    let json = records::blob_json(records.backend.as_ref(), inputs).await?;
    serde_json::from_value(json).map_err(|e| {
        Failure::error("Unreadable ledger", format!("The inputs of generation {number} cannot be read: {e}."))
    })
}

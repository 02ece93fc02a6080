//! Recovery: replay, then looking.
//!
//! The results of steps that had succeeded are rebuilt from the records. For every step that was intended and has no
//! outcome its target is asked, by the identity that is in the intent, all of them at once, each with its settle window; what
//! it says is recorded. Nothing is repeated here but the question, so a crash of a recovery is recovered the same way. Checks,
//! reads and artifacts are harmless to do again and are simply left to the run.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::attempt::look;
use super::driver::{ByName, Done};
use super::job::{ActJob, Answer, Failure, Job, MigrateJob, Prepared};
use super::journal::JournalError;
use super::prepare::{Scene, takes_a_version};
use super::reach::Reach;
use super::recorder::Recorder;
use super::request::fill_in;
use super::results::RunResults;
use super::runner::Runner;
use super::work::{self, Unread, read_once};
use crate::addr::Address;
use crate::event::RunEvent;
use crate::ledger::State;
use crate::ledger::event::{AppliedMigration, Event, FailureKind, StepIntended};
use crate::ledger::replay::{OpenRun, StepStatus};
use crate::plan::Plan;
use crate::plan::step::{ActStep, Step, Work};
use crate::ports::clock::{Clock, within};
use crate::ports::crash;
use crate::provider::{Action, Found, Observation, ObserveRequest, Prior, Provider, ReadRequest, Silent};
use crate::value::{Value, decode, reveal};

/// How many targets are asked at once.
const AT_ONCE: usize = 32;

/// How long a target may take to tell what it knows of its objects.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(120);

/// Behind the name of a step of a way back that is planned again after a step of that name succeeded.
const AGAIN: &str = " again";

/// What is told of a step that was found done.
const RECORDED: &str = "It had been done; its outcome is recorded now.";

/// What looking for an intended step found.
enum Looked {
    /// It was done; this is as if it had answered.
    Done(Box<Job>, Answer),
    /// The database does not have this migration any more.
    Reverted(u64),
    /// It was not done, or is harmless to do again.
    NotDone,
    /// It failed, or nobody can tell.
    Failed(Failure),
    /// It cannot be told now.
    NotNow(String),
}

/// What recovery could not find out.
#[derive(Debug, Default)]
pub(crate) struct InDoubt {
    /// The sentence of the first step of which nobody can tell what became.
    pub(crate) unclear: Option<String>,
    /// The same of the first of which it cannot be told now: the run must not go on before.
    pub(crate) not_now: Option<String>,
}

/// Recovers a run that was going forward: afterwards every step has succeeded, failed, or may be started, but those of which it
/// cannot be told now. What an abandoned run had read is not needed any more.
///
/// # Errors
/// When the ledger cannot be written.
pub(crate) async fn forward(
    scene: Scene<'_>,
    recorder: &mut Recorder,
    results: &mut RunResults,
    abandoned: bool,
) -> Result<InDoubt, JournalError> {
    crash::point("exec.recover");
    let Some(open) = recorder.state().open.clone() else { return Ok(InDoubt::default()) };
    for (at, step) in scene.plan.steps.iter().enumerate() {
        if matches!(open.steps.get(&step.name), Some(StepStatus::Succeeded))
            && let Err(why) = restore(scene, at, step, recorder.state(), results).await
            && !abandoned
        {
            return Ok(InDoubt { not_now: Some(format!("{}: {why}", step.name)), unclear: None });
        }
    }
    reconcile(scene, recorder, results, &open.steps).await
}

/// Whether a step of a way back was intended and has no outcome.
pub(crate) fn has_intended(open: &OpenRun) -> bool {
    open.unwinding_steps.values().any(|status| matches!(status, StepStatus::Intended(_)))
}

/// Recovers a run that was going back, by a way that was planned again from the records.
///
/// # Errors
/// When the ledger cannot be written.
pub(crate) async fn back(
    scene: Scene<'_>,
    recorder: &mut Recorder,
    results: &mut RunResults,
) -> Result<InDoubt, JournalError> {
    crash::point("exec.recover_back");
    let Some(open) = recorder.state().open.clone() else { return Ok(InDoubt::default()) };
    standing(scene, &open, recorder.state(), results).await;
    reconcile(scene, recorder, results, &open.unwinding_steps).await
}

/// A plan with its secrets open. Planned again from what is recorded, it knows of what only a target knew (a password that it
/// made) a digest; the target is asked again, so that an act asks for the same as before, and has the same identity. What it
/// does not tell stays as it is. `None` where nothing is sealed.
pub(crate) async fn open_secrets(runner: &Runner, plan: &Plan) -> Option<Plan> {
    let sealed =
        |act: &ActStep| is_sealed(&act.planned) || act.prior.as_ref().is_some_and(|prior| is_sealed(&prior.attributes));
    let mut questions: BTreeMap<&str, Vec<(usize, ObserveRequest)>> = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let Work::Act(act) = &step.work else { continue };
        let Some(prior) = act.prior.clone().filter(|_| sealed(act)) else { continue };
        let (provider, ty) = (act.provider.clone(), step.address.ty.to_string());
        let request = ObserveRequest { provider, address: step.address.clone(), ty, prior };
        questions.entry(&act.provider).or_default().push((at, request));
    }
    if questions.is_empty() {
        return None;
    }
    let mut plan_of = plan.clone();
    for (provider, questions) in questions {
        let Some(provider) = runner.providers.get(provider) else { continue };
        let (at, requests): (Vec<usize>, Vec<ObserveRequest>) = questions.into_iter().unzip();
        crash::point("exec.open");
        let asked = within(&*runner.clock, OBSERVE_TIMEOUT, provider.observe(&requests)).await.unwrap_or_default();
        for (at, observed) in at.into_iter().zip(asked) {
            let (Observation::Present { attributes, .. }, Work::Act(act)) = (observed, &mut plan_of.steps[at].work)
            else {
                continue;
            };
            act.planned = reveal(&act.planned, &attributes, &*runner.seal);
            if let Some(prior) = &mut act.prior {
                prior.attributes = reveal(&prior.attributes, &attributes, &*runner.seal);
            }
        }
    }
    Some(plan_of)
}

/// Whether a step may simply be done again.
fn is_harmless(work: &Work) -> bool {
    matches!(work, Work::Await { .. } | Work::Read { .. } | Work::Pin(_) | Work::Check(_))
}

/// Whether a part of a value is at hand as a digest only.
fn is_sealed(value: &Value) -> bool {
    value.sealed_digest().is_some() || value.children().any(is_sealed)
}

/// The steps of a way back that was planned again that need not be done again: versions that were staged and still stand.
pub(crate) async fn standing(scene: Scene<'_>, open: &OpenRun, state: &State, results: &mut RunResults) -> Done {
    let mut done = Done::default();
    for (at, step) in scene.plan.steps.iter().enumerate() {
        let succeeded = matches!(open.unwinding_steps.get(&step.name), Some(StepStatus::Succeeded));
        done.succeeded.push(succeeded && restore_version(scene, at, state, results).await);
    }
    done
}

/// Gives steps of a way back that was planned again names of their own, where the ledger has a step of that name that
/// succeeded, except those that are done.
pub(crate) fn rename_done(plan: &mut Plan, done: &Done, open: &OpenRun) {
    for (at, step) in plan.steps.iter_mut().enumerate() {
        if done.succeeded.get(at) == Some(&true) {
            continue;
        }
        while matches!(open.unwinding_steps.get(&step.name), Some(StepStatus::Succeeded)) {
            step.name.push_str(AGAIN);
        }
    }
}

/// Whether a version that was staged on the way back still stands and is what is asked for: then it is not staged again.
async fn restore_version(scene: Scene<'_>, at: usize, state: &State, results: &mut RunResults) -> bool {
    let step = scene.step(at);
    let (Work::Act(act), Some(schema)) = (&step.work, scene.schema(step)) else { return false };
    if act.action != Action::Stage {
        return false;
    }
    let Ok(asked) = fill_in(&act.planned, &step.address, &*results) else { return false };
    restore_act(scene, at, step, act, state, results).await;
    results.staged(&step.address).is_some_and(|(_, object)| {
        super::request::accept(object, &asked.expected, Some(schema), Action::Stage).1.is_ok()
    })
}

async fn reconcile(
    scene: Scene<'_>,
    recorder: &mut Recorder,
    results: &mut RunResults,
    statuses: &BTreeMap<String, StepStatus>,
) -> Result<InDoubt, JournalError> {
    let positions = Positions::new(scene, recorder.state(), results);
    let intended: Vec<&StepIntended> = statuses
        .values()
        .filter_map(|status| if let StepStatus::Intended(intent) = status { Some(intent) } else { None })
        .collect();
    let mut doubt = InDoubt::default();
    for batch in intended.chunks(AT_ONCE) {
        let mut questions = Vec::new();
        for intent in batch {
            let at = positions.of(scene, intent);
            // What is harmless to do again is not looked for, so nothing that it would need has to be at hand.
            let asked = at.filter(|at| !is_harmless(&scene.step(*at).work));
            let prepared = asked.map(|at| scene.prepare(at, intent.attempt, results, recorder.state()));
            questions.push(question(scene, intent, at.is_some(), prepared));
        }
        let answers = join_all(questions).await;
        for (intent, looked) in batch.iter().zip(answers) {
            let at = positions.of(scene, intent);
            take_in(scene, recorder, results, intent, at, looked?, &mut doubt);
        }
    }
    recorder.flush().await?;
    Ok(doubt)
}

/// Where the intended steps are in the plan that is gone on with.
struct Positions<'a> {
    by_name: ByName<'a>,
    /// On a way back only: it is planned again, and its names may have shifted.
    by_op: BTreeMap<String, usize>,
}

impl<'a> Positions<'a> {
    fn new(scene: Scene<'a>, state: &State, results: &RunResults) -> Self {
        let by_name = scene.plan.steps.iter().enumerate().map(|(at, s)| (s.name.as_str(), at)).collect();
        let mut by_op = BTreeMap::new();
        let mut results = results.clone();
        let acts = (0..scene.plan.steps.len()).filter(|at| matches!(scene.step(*at).work, Work::Act(_)));
        for at in acts.filter(|_| scene.unwinding) {
            // What cannot be prepared yet waits for a step that is not done, so it was not intended either.
            if let Ok(Prepared::Job(intent, _)) = scene.prepare(at, 1, &mut results, state) {
                by_op.insert(intent.op, at);
            }
        }
        Self { by_name, by_op }
    }

    fn of(&self, scene: Scene<'_>, intent: &StepIntended) -> Option<usize> {
        if let Some(at) = self.by_op.get(&intent.op) {
            return Some(*at);
        }
        let at = *self.by_name.get(intent.step.trim_end_matches(AGAIN))?;
        // The versions that go are counted, so their names may mean others now.
        let counted = matches!(&scene.step(at).work, Work::Act(act) if takes_a_version(act));
        (!(scene.unwinding && counted)).then_some(at)
    }
}

/// Looks for one intended step.
async fn question(
    scene: Scene<'_>,
    intent: &StepIntended,
    is_planned: bool,
    prepared: Option<Result<Prepared, Failure>>,
) -> Result<Looked, JournalError> {
    let mut job = match prepared {
        None if is_planned => return Ok(Looked::NotDone),
        // The way back that was planned again does not have the step any more. A migration is left out where the database
        // itself does not have it; everything else where the records have nothing left to do.
        None if scene.unwinding => {
            let reverted = intent.action.strip_prefix("revert ").and_then(|n| n.parse().ok());
            return Ok(reverted.map_or(Looked::NotDone, Looked::Reverted));
        }
        None => {
            let sentence = format!("The plan that is gone on with has no step \"{}\".", intent.step);
            return Ok(Looked::Failed(Failure::unclear(sentence)));
        }
        Some(Err(failure)) => return Ok(Looked::Failed(Failure { unclear: true, ..failure })),
        Some(Ok(Prepared::Done(_))) => return Ok(Looked::NotDone),
        Some(Ok(Prepared::Job(_, job))) => job,
    };
    job.identified(&intent.op);
    match &job {
        Job::Act(act) => Ok(look_for_act(act, &*scene.runner.clock).await),
        Job::Migrate(migrate) => {
            let kept = keep(scene, migrate).await?;
            Ok(look_for_migration(scene, migrate, Some(kept), &job).await)
        }
        Job::Revert(revert) => Ok(look_for_migration(scene, revert, None, &job).await),
        Job::Await { .. } | Job::Read { .. } | Job::Pin(_) | Job::Check(_) => Ok(Looked::NotDone),
    }
}

async fn look_for_act(job: &ActJob, clock: &dyn Clock) -> Looked {
    match look(job, clock).await {
        Found::Done { attributes, identity } => {
            Looked::Done(Box::new(Job::Act(Box::new(job.clone()))), Answer::Applied { attributes, identity })
        }
        Found::NotDone | Found::Repeat(_) => Looked::NotDone,
        Found::Failed(problem) => Looked::Failed(Failure::rejected(problem.sentence)),
        Found::CannotTell(sentence) => Looked::Failed(Failure::unclear(sentence)),
        Found::NotNow(sentence) => Looked::NotNow(sentence),
    }
}

async fn keep(scene: Scene<'_>, job: &MigrateJob) -> Result<AppliedMigration, JournalError> {
    work::keep(job, &*scene.runner.journal).await
}

async fn look_for_migration(
    scene: Scene<'_>,
    migrate: &MigrateJob,
    kept: Option<AppliedMigration>,
    job: &Job,
) -> Looked {
    let reach = match Reach::of(migrate, &*scene.runner.outside, &scene.runner.environment_dir) {
        Ok(reach) => reach,
        Err(failure) => return Looked::Failed(Failure { unclear: true, kind: FailureKind::Unknown, ..failure }),
    };
    let context = work::context(&scene.runner.run, &migrate.how);
    let known = work::found(&reach, migrate, kept.is_none(), &context, &Silent).await;
    let done = |answer| Looked::Done(Box::new(job.clone()), answer);
    match (known, kept) {
        (work::Known::Applied, Some(kept)) => done(Answer::Migrated(kept)),
        (work::Known::NotApplied, None) => done(Answer::Reverted),
        (work::Known::Failed(sentence), _) => Looked::Failed(Failure::rejected(sentence)),
        (work::Known::Nothing(sentence), _) => Looked::Failed(Failure::unclear(sentence)),
        _ => Looked::NotDone,
    }
}

/// Records what was found.
fn take_in(
    scene: Scene<'_>,
    recorder: &mut Recorder,
    results: &mut RunResults,
    intent: &StepIntended,
    at: Option<usize>,
    looked: Looked,
    doubt: &mut InDoubt,
) {
    let (found, sentence, events) = match looked {
        Looked::Done(job, answer) => {
            let at = at.expect("invariant: what was found done was looked for by its step");
            let mut events = scene.conclude(at, &job, answer, results).events;
            rename(&mut events, &intent.step);
            ("done", RECORDED.to_owned(), events)
        }
        Looked::Reverted(version) => {
            let (step, address) = (intent.step.clone(), intent.address.clone());
            ("done", RECORDED.to_owned(), vec![Event::MigrationReverted { step, address, version }])
        }
        Looked::NotDone => ("not done", "It had not been done.".to_owned(), Vec::new()),
        Looked::Failed(failure) => {
            let word = if failure.unclear { "cannot tell" } else { "failed" };
            let sentence = failure.sentence.clone();
            if failure.unclear {
                doubt.unclear.get_or_insert_with(|| format!("{}: {sentence}", intent.step));
            }
            let event = Event::StepFailed(crate::ledger::event::StepFailed {
                step: intent.step.clone(),
                address: intent.address.clone(),
                kind: failure.kind,
                sentence: failure.sentence,
                evidence: Vec::new(),
                unwinding: intent.unwinding,
            });
            (word, sentence, vec![event])
        }
        Looked::NotNow(sentence) => {
            doubt.not_now.get_or_insert_with(|| format!("{}: {sentence}", intent.step));
            ("cannot tell", sentence, Vec::new())
        }
    };
    let (step, address) = (intent.step.clone(), intent.address.clone());
    recorder.push(Event::Reconciled { step: step.clone(), address: address.clone(), found: found.into() });
    recorder.tell(RunEvent::Reconciled { step, address, sentence });
    events.into_iter().for_each(|e| recorder.push(e));
}

/// The outcome belongs to the step that was intended, whatever the plan calls it now.
fn rename(events: &mut [Event], name: &str) {
    for event in events {
        match event {
            Event::StepSucceeded(e) => name.clone_into(&mut e.step),
            Event::StepFailed(e) => name.clone_into(&mut e.step),
            Event::MigrationApplied { step, .. } | Event::MigrationReverted { step, .. } => name.clone_into(step),
            _ => {}
        }
    }
}

/// Rebuilds the result of a step that had succeeded.
///
/// # Errors
/// Why it cannot be had now: the run must not go on without it.
async fn restore(
    scene: Scene<'_>,
    at: usize,
    step: &Step,
    state: &State,
    results: &mut RunResults,
) -> Result<(), String> {
    match &step.work {
        Work::Act(act) => restore_act(scene, at, step, act, state, results).await,
        Work::Read { provider: name, arguments, .. } => {
            let recorded = state.open.as_ref().and_then(|o| o.read.get(&step.address));
            let object = recorded.zip(scene.schema(step)).and_then(|(j, s)| decode(j, &s.object_type()).ok());
            let object = object.map(|recorded| scene.runner.open(&recorded));
            if let Some(object) = object.filter(Value::is_wholly_known) {
                results.set(&step.address, object);
                return Ok(());
            }
            // Secrets that it answered are recorded as digests only, so it is asked again; reading changes nothing.
            let Some(provider) = scene.runner.providers.get(name) else { return Ok(()) };
            let Ok(asked) = fill_in(arguments, &step.address, &*results) else { return Ok(()) };
            let request = ReadRequest {
                provider: name.clone(),
                address: step.address.clone(),
                ty: step.address.ty.to_string(),
                arguments: asked.request,
            };
            if let Some(value) = read_again(scene, provider.as_ref(), &request).await? {
                let schema = scene.schema(step);
                let none = Value::null(crate::value::Type::Any);
                results.set(&step.address, super::request::accept(&value, &none, schema, Action::Create).0);
            }
        }
        Work::Pin(_) => {
            if let Some(pin) = state.pins.get(&step.address) {
                results.set(&step.address, crate::plan::pinned(pin, &scene.runner.blobs));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Reads a data source once more, as patiently as a run does. Nothing if it is refused for good: then whoever needs the answer fails.
async fn read_again(scene: Scene<'_>, provider: &dyn Provider, request: &ReadRequest) -> Result<Option<Value>, String> {
    let (clock, patience) = (&*scene.runner.clock, scene.runner.patience);
    let (started, mut wait) = (clock.elapsed(), patience.first);
    let mut attempt = 0;
    loop {
        attempt += 1;
        match read_once(clock, provider, request).await {
            Ok(value) => return Ok(Some(value)),
            Err(Unread { passes: false, .. }) => return Ok(None),
            Err(Unread { sentence, .. })
                if attempt >= patience.attempts || clock.elapsed().saturating_sub(started) > patience.budget =>
            {
                return Err(sentence);
            }
            Err(_) => clock.sleep(wait).await,
        }
        wait = wait.saturating_mul(2).min(patience.longest);
    }
}

async fn restore_act(scene: Scene<'_>, at: usize, step: &Step, act: &ActStep, state: &State, results: &mut RunResults) {
    let Some(schema) = scene.schema(step) else { return };
    let planned =
        fill_in(&act.planned, &step.address, &*results).map_or(Value::null(crate::value::Type::Any), |a| a.expected);
    let seal = &*scene.runner.seal;
    if act.action == Action::Stage {
        // The newest version is the one that was staged last; after the switch nobody asks for it.
        if let Some(version) = state.versions.get(&step.address).and_then(|all| all.last())
            && let Ok(object) = decode(&version.attributes, &schema.object_type())
        {
            let object = reveal(&scene.runner.open(&object), &planned, seal);
            let object = opened(scene, &step.address, act, object, &version.identity).await;
            results.set_staged(&step.address, version.identity.clone(), object);
        }
        return;
    }
    let Some(record) = state.records.get(&step.address) else { return };
    if super::prepare::is_going(act.action) {
        return;
    }
    if let Some(leftover) = super::conclude::leftover(act, &record.identity) {
        results.set_leftover(at, leftover);
    }
    results.set_identity(&step.address, record.identity.clone());
    if let Ok(object) = decode(&record.attributes, &schema.object_type()) {
        let object = reveal(&scene.runner.open(&object), &planned, seal);
        let object = opened(scene, &step.address, act, object, &record.identity).await;
        results.set(&step.address, object);
    }
}

/// An object whose secrets are all open: what only the target knew is asked of it again, and taken where it is still the
/// same.
async fn opened(
    scene: Scene<'_>,
    address: &Address,
    act: &ActStep,
    object: Value,
    identity: &serde_json::Value,
) -> Value {
    if object.is_wholly_known() {
        return object;
    }
    let Some(provider) = scene.runner.providers.get(&act.provider) else { return object };
    let prior = Prior { attributes: object.clone(), identity: identity.clone() };
    let (configuration, ty) = (act.provider.clone(), address.ty.to_string());
    let request = ObserveRequest { provider: configuration, address: address.clone(), ty, prior };
    let observed =
        within(&*scene.runner.clock, OBSERVE_TIMEOUT, provider.observe(std::slice::from_ref(&request))).await;
    match observed.unwrap_or_default().into_iter().next() {
        Some(Observation::Present { attributes, .. }) => reveal(&object, &attributes, &*scene.runner.seal),
        _ => object,
    }
}

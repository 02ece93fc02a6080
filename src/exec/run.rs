//! A whole run: forward, and if it has to be, back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::driver::{Done, Driver, End};
use super::journal::JournalError;
use super::machine::Policy;
use super::prepare::Scene;
use super::recorder::Recorder;
use super::recover;
use super::request::finish_all;
use super::results::{Draws, RunResults};
use super::runner::{Begin, Ending, Finished, Runner, StepFailure};
use crate::addr::{Address, NodeKind};
use crate::diag::capital;
use crate::event::RunEvent;
use crate::ledger::State;
use crate::ledger::event::{Event, FailureKind, RunOutcome};
use crate::ledger::replay::{OpenRun, StepStatus};
use crate::plan::step::{Step, Work};
use crate::plan::{OnFailure, Plan};
use crate::value::{Kind, Value, encode_typed_kept};

/// How a run ends, before that is recorded.
struct Verdict {
    ending: Ending,
    sentence: String,
    outputs: BTreeMap<Arc<str>, Value>,
}

impl Verdict {
    fn ended(outcome: RunOutcome, sentence: impl Into<String>) -> Self {
        Self { ending: Ending::Ended(outcome), sentence: sentence.into(), outputs: BTreeMap::new() }
    }

    /// Left open, because it cannot be told now what became of a step.
    fn not_now(why: &str) -> Self {
        let why = why.strip_suffix('.').unwrap_or(why);
        Self::left(format!("{why}. The run is left open; the next command asks again"))
    }

    fn left(sentence: impl Into<String>) -> Self {
        Self { ending: Ending::Left, ..Self::ended(RunOutcome::Held, sentence) }
    }
}

impl Runner {
    /// Carries a plan out, from its first step or from where a process that is gone left it, and records how it ended.
    pub async fn run(&self, plan: &Plan, state: State, begin: Begin) -> Finished {
        let started = self.clock.elapsed();
        let opened = match &begin {
            Begin::New(_) => None,
            Begin::Continue | Begin::Abandon => recover::open_secrets(self, plan).await,
        };
        let plan = opened.as_ref().unwrap_or(plan);
        let runner = self.scrubbed(plan);
        let scrub = runner.scrub.clone();
        let mut recorder = Recorder::new(runner.journal.clone(), runner.watcher.clone(), state, scrub.clone());
        let mut run = Run { runner: &runner, plan, recorder: &mut recorder, failures: Vec::new(), interrupted: false };
        let verdict = match run.carry_out(begin).await {
            Ok(verdict) => run.record_end(verdict, started).await,
            Err(e) => Err(e),
        };
        let (failures, interrupted) = (run.failures, run.interrupted);
        let failures = failures.into_iter().map(|failure| scrub.failure(failure)).collect();
        let (ending, sentence, outputs) = match verdict {
            Ok(verdict) => (verdict.ending, verdict.sentence, verdict.outputs),
            Err(e) => {
                let why = capital(&e.to_string());
                let sentence = format!("{why}. Nothing further was started; the next command finds out what was done.");
                (Ending::Broken(e), sentence, BTreeMap::new())
            }
        };
        Finished {
            state: recorder.into_state(),
            ending,
            interrupted,
            sentence: scrub.hide(&sentence),
            failures,
            outputs,
        }
    }
}

/// A run under way.
struct Run<'a> {
    runner: &'a Runner,
    plan: &'a Plan,
    recorder: &'a mut Recorder,
    failures: Vec<StepFailure>,
    interrupted: bool,
}

impl Run<'_> {
    async fn carry_out(&mut self, begin: Begin) -> Result<Verdict, JournalError> {
        let resumed = !matches!(begin, Begin::New(_));
        let abandoned = begin == Begin::Abandon;
        let generation = match &begin {
            Begin::New(started) => started.generation,
            Begin::Continue | Begin::Abandon => self.open().and_then(|o| o.started.generation),
        };
        self.recorder.tell(RunEvent::Started {
            run: self.runner.run.clone(),
            generation,
            steps: self.plan.working_steps(),
            resumed,
        });
        if let Begin::New(started) = begin {
            self.recorder.push(Event::RunStarted(started));
            if draws_time(self.plan) {
                // The time that is drawn is the one that is recorded, so that it is the same after a crash.
                self.recorder.flush().await?;
            }
            let results = RunResults::new(self.draws());
            return self.forward(results, &Done::default()).await;
        }
        let Some(open) = self.open() else {
            return Ok(Verdict::left("there is no open run to go on with"));
        };
        if let Some(cause) = open.unwinding.clone() {
            return self.back(&cause, true).await;
        }
        let scene = self.scene(self.plan, false);
        let mut results = RunResults::new(self.draws());
        if let Some(why) = recover::forward(scene, self.recorder, &mut results, abandoned).await?.not_now {
            return Ok(Verdict::not_now(&why));
        }
        if abandoned {
            let sentence = "it was interrupted, and something else is asked for now";
            return Ok(Verdict::ended(RunOutcome::Held, sentence));
        }
        let done = self.done();
        self.failures_before();
        self.forward(results, &done).await
    }

    fn open(&self) -> Option<&OpenRun> {
        self.recorder.state().open.as_ref()
    }

    fn scene<'p>(&self, plan: &'p Plan, unwinding: bool) -> Scene<'p>
    where
        Self: 'p,
    {
        let generation = self.open().and_then(|o| o.started.generation).unwrap_or(self.plan.generation);
        Scene { runner: self.runner, plan, generation, unwinding }
    }

    fn draws(&self) -> Draws {
        let recorded = self.open().map(|o| o.time.clone());
        let time = recorded.unwrap_or_else(|| self.runner.clock.now().to_string());
        Draws { time, run: self.runner.run.clone(), seal: self.runner.seal.clone() }
    }

    /// How far the open run's steps are, as recorded.
    fn done(&self) -> Done {
        let Some(open) = self.open() else { return Done::default() };
        let mut done = Done::default();
        for (at, step) in self.plan.steps.iter().enumerate() {
            let status = open.steps.get(&step.name);
            let committed = matches!(step.work, Work::Commit) && open.committed;
            done.succeeded.push(committed || matches!(status, Some(StepStatus::Succeeded)));
            if let Some(StepStatus::Failed(failed)) = status {
                let sentence = format!("{} failed: {}", failed.step, failed.sentence);
                done.failed.push((at, sentence, failed.kind == FailureKind::Unknown));
            }
        }
        done
    }

    /// What had failed before the run was left.
    fn failures_before(&mut self) {
        let Some(open) = &self.recorder.state().open else { return };
        for (step, status) in &open.steps {
            if let StepStatus::Failed(failed) = status {
                self.failures.push(StepFailure {
                    step: step.clone(),
                    sentence: failed.sentence.clone(),
                    evidence: Vec::new(),
                    unwinding: false,
                });
            }
        }
    }

    async fn forward(&mut self, results: RunResults, done: &Done) -> Result<Verdict, JournalError> {
        let policy = match self.plan.on_failure {
            OnFailure::Rollback => Policy::Rollback,
            OnFailure::Hold => Policy::Hold,
        };
        let committed = self.open().is_some_and(|o| o.committed);
        let scene = self.scene(self.plan, false);
        let mut driver = Driver::new(scene, results, done, policy, committed);
        let end = driver.drive(self.recorder).await;
        self.failures.append(&mut driver.failures);
        self.interrupted |= driver.interrupted();
        let end = end?;
        if let Some(why) = driver.not_now.take() {
            return Ok(Verdict::not_now(&why));
        }
        match end {
            End::Finished => match finished(self.plan, driver.results()) {
                Err(why) if policy == Policy::Rollback && !driver.committed() => {
                    drop(driver);
                    self.back(&why, false).await
                }
                Ok(outputs) => Ok(Verdict { outputs, ..Verdict::ended(RunOutcome::Verified, self.verified()) }),
                Err(why) => Ok(Verdict::ended(RunOutcome::Held, why)),
            },
            End::Held(why) => Ok(Verdict::ended(RunOutcome::Held, why)),
            End::Left => Ok(Verdict::left("the run was interrupted twice and left as it is")),
            End::Unwind(cause) => {
                drop(driver);
                self.back(&cause, false).await
            }
        }
    }

    fn verified(&self) -> String {
        match self.open().and_then(|o| o.started.generation) {
            Some(_) if self.plan.kind == crate::ledger::event::RunKind::Destroy => {
                "everything that was recorded is gone".into()
            }
            Some(generation) => format!("generation {generation} is serving, and {}", self.checked()),
            None if self.open().is_some() => self.checked(),
            None => format!("generation {} is serving, and {}", self.plan.generation, self.checked()),
        }
    }

    /// What the checks said. Probes have all passed where a run ends well; a check block that does not hold is a warning.
    fn checked(&self) -> String {
        let state = self.recorder.state();
        let asked = self.plan.steps.iter().filter_map(|step| state.checks.get(&step.address));
        let mut holds: BTreeMap<&Address, bool> = asked.map(|(judged, _)| (&judged.address, judged.passed)).collect();
        for event in self.recorder.batch() {
            if let Event::CheckJudged(judged) = event {
                holds.insert(&judged.address, judged.passed);
            }
        }
        match holds.iter().filter(|(address, holds)| address.kind == NodeKind::Check && !**holds).count() {
            0 => "every check passed".into(),
            1 => "every probe passed, but 1 check block does not hold".into(),
            n => format!("every probe passed, but {n} check blocks do not hold"),
        }
    }

    /// Goes back to the base. The decision is durable before the way is planned, so that no crash changes it.
    async fn back(&mut self, cause: &str, resumed: bool) -> Result<Verdict, JournalError> {
        // What a sentence went on with is no sentence of its own.
        let so_far = cause.strip_suffix('.').unwrap_or(cause);
        let stuck = |why: &str| Ok(Verdict::ended(RunOutcome::Stuck, format!("{so_far}; the way back failed: {why}")));
        if !resumed {
            self.recorder.push(Event::UnwindingStarted { sentence: cause.to_owned() });
        }
        self.recorder.flush().await?;
        let mut unclear = None;
        if resumed && self.open().is_some_and(recover::has_intended) {
            let plan = match self.way_back(cause, true).await {
                Ok(plan) => plan,
                Err(why) => return stuck(&why),
            };
            let mut results = RunResults::new(self.draws());
            let doubt = recover::back(self.scene(&plan, true), self.recorder, &mut results).await?;
            if let Some(why) = doubt.not_now {
                return Ok(Verdict::not_now(&why));
            }
            unclear = doubt.unclear;
        }
        let mut plan = match self.way_back(cause, false).await {
            Ok(plan) => plan,
            Err(why) => return stuck(&why),
        };
        let mut results = RunResults::new(self.draws());
        let mut done = Done::default();
        if let Some(open) = self.open().filter(|_| resumed).cloned() {
            done = recover::standing(self.scene(&plan, true), &open, self.recorder.state(), &mut results).await;
            recover::rename_done(&mut plan, &done, &open);
        }
        let scene = self.scene(&plan, true);
        let mut driver = Driver::new(scene, results, &done, Policy::GoOn, false);
        let end = driver.drive(self.recorder).await;
        self.failures.append(&mut driver.failures);
        let (stopped, not_now) = (driver.interrupted(), driver.not_now.take());
        drop(driver);
        self.interrupted |= stopped;
        let end = end?;
        if let Some(why) = not_now {
            return Ok(Verdict::not_now(&why));
        }
        match end {
            End::Finished if unclear.is_some() => stuck(&unclear.unwrap_or_default()),
            End::Finished => Ok(Verdict::ended(RunOutcome::RolledBack, format!("{so_far}; {}", self.at_base()))),
            // A way back is gone to its end by the next command; it is not given up because somebody is in a hurry.
            _ if stopped => Ok(Verdict::left("the way back was interrupted; the next command goes on with it")),
            End::Held(why) | End::Unwind(why) => stuck(&why),
            End::Left => Ok(Verdict::left("the run was interrupted twice and left as it is")),
        }
    }

    async fn way_back(&mut self, cause: &str, trust_records: bool) -> Result<Plan, String> {
        let mut plan = self.runner.way_back.plan(self.recorder.state(), trust_records).await?;
        if trust_records && let Some(opened) = recover::open_secrets(self.runner, &plan).await {
            plan = opened;
        }
        // It goes back to secrets of then, which come back from their seals.
        self.runner.scrub.learn_plan(&plan);
        if !trust_records {
            let sentence = cause.to_owned();
            self.runner.watcher.event(RunEvent::Unwinding { sentence, steps: plan.working_steps() });
        }
        Ok(plan)
    }

    fn at_base(&self) -> String {
        match self.open().and_then(|o| o.started.base) {
            Some(base) => format!("the environment is back at generation {base}"),
            None => "what the run had made is gone again".into(),
        }
    }

    async fn record_end(&mut self, verdict: Verdict, started: Duration) -> Result<Verdict, JournalError> {
        if let Ending::Ended(outcome) = verdict.ending {
            let outputs = verdict.outputs.iter();
            let outputs =
                outputs.map(|(name, value)| ((**name).to_owned(), encode_typed_kept(value, self.runner.keep())));
            self.recorder.push(Event::RunFinished {
                outcome,
                sentence: verdict.sentence.clone(),
                outputs: outputs.collect(),
            });
            self.recorder.tell(RunEvent::Finished {
                outcome: word(outcome).into(),
                sentence: verdict.sentence.clone(),
                elapsed: self.runner.clock.elapsed().saturating_sub(started),
            });
        }
        self.recorder.flush().await?;
        Ok(verdict)
    }
}

fn word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Verified => "verified",
        RunOutcome::RolledBack => "rolled back",
        RunOutcome::Held => "held",
        RunOutcome::Stuck => "stuck",
        RunOutcome::Unknown => "unknown",
    }
}

/// The outputs, where every condition that was left open holds.
fn finished(plan: &Plan, results: &RunResults) -> Result<BTreeMap<Arc<str>, Value>, String> {
    match super::condition::broken(&plan.conditions, results, true) {
        Some(why) => Err(why),
        None => outputs(plan, results),
    }
}

/// The outputs with everything known; sensitive ones marked.
fn outputs(plan: &Plan, results: &RunResults) -> Result<BTreeMap<Arc<str>, Value>, String> {
    let mut all = BTreeMap::new();
    for (name, output) in &plan.outputs {
        let Some(after) = &output.after else { continue };
        let mut closed = Vec::new();
        after.sealed_parts(&mut closed);
        let value = match finish_all(after, results) {
            Ok(value) => value,
            // A secret that nobody can read here keeps nothing from being done; the output says as much of it as is known.
            Err(_) if !closed.is_empty() => after.clone(),
            Err(e) => {
                return Err(format!(
                    "every step succeeded, but the output \"{name}\" cannot be computed: {}",
                    e.detail
                ));
            }
        };
        all.insert(name.clone(), if output.sensitive { value.sensitive() } else { value });
    }
    Ok(all)
}

/// Whether any value of a plan draws the time.
fn draws_time(plan: &Plan) -> bool {
    let of_step = |step: &Step| match &step.work {
        Work::Act(act) => value_draws_time(&act.planned) || value_draws_time(&act.inputs),
        Work::Read { arguments, .. } => value_draws_time(arguments),
        Work::Pin(pin) => value_draws_time(&pin.source),
        Work::Migrate { url, how, .. } | Work::Revert { url, how, .. } => {
            value_draws_time(url) || how.values().any(value_draws_time)
        }
        Work::Check(check) => value_draws_time(&check.configuration),
        Work::Assert(all) => all.iter().any(|a| value_draws_time(&a.holds) || value_draws_time(&a.message)),
        Work::Await { .. }
        | Work::Barrier
        | Work::Forget
        | Work::Record(_)
        | Work::Move { .. }
        | Work::Import(_)
        | Work::Commit => false,
    };
    plan.steps.iter().any(of_step) || plan.outputs.values().filter_map(|o| o.after.as_ref()).any(value_draws_time)
}

fn value_draws_time(value: &Value) -> bool {
    match &value.kind {
        // What a template calls is not in its call's text.
        Kind::Unknown(unknown) => unknown.residual.as_ref().is_some_and(|r| {
            let text = r.text();
            ["timestamp(", "templatefile(", "templatestring("].iter().any(|call| text.contains(call))
        }),
        _ => value.children().any(value_draws_time),
    }
}

//! The loop around the machine: start what is unblocked, wait for any, record, unblock.
//!
//! Everything that has arrived, and the intents of all that it unblocks, go into one batch with one sync. An act is sent
//! only when the batch with its intent is durable, and told of only then; so a chain of n steps costs n + 1 syncs.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::attempt::{Hands, Tell, carry_out};
use super::job::{Answer, ByStep, Failure, Job, Name, Prepared};
use super::journal::JournalError;
use super::lanes::Lanes;
use super::machine::{Command, Event as Happened, Kind, Machine, Node, Policy};
use super::prepare::Scene;
use super::recorder::Recorder;
use super::results::RunResults;
use super::runner::StepFailure;
use crate::event::RunEvent;
use crate::ledger::event::{Event, StepIntended};
use crate::plan::step::Work;

/// How the steps of a plan ended. Nothing runs any more, except after [`End::Left`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// All succeeded.
    Finished,
    /// Something failed, and the run goes back.
    Unwind(String),
    /// Something failed or a person asked to stop, and the run ends where it is.
    Held(String),
    /// A person asked twice.
    Left,
}

/// How far a plan's steps are when a driver takes them over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// By position: those that succeeded.
    pub(crate) succeeded: Vec<bool>,
    /// Those that failed: position, sentence, and whether it is unclear what became of them.
    pub(crate) failed: Vec<(usize, String, bool)>,
}

/// Positions of steps by their names.
pub(crate) type ByName<'a> = BTreeMap<&'a str, usize>;

type Arrival = (usize, Answer);
type Inline = Pin<Box<dyn Future<Output = Arrival> + Send>>;

/// A step under way.
struct UnderWay {
    job: Job,
    intent: StepIntended,
    started: Duration,
}

/// The driver of one plan's steps.
pub(crate) struct Driver<'a> {
    scene: Scene<'a>,
    machine: Machine,
    failed_before: Vec<(usize, String, bool)>,
    results: RunResults,
    lanes: Lanes,
    hands: Hands,
    told: mpsc::UnboundedReceiver<Tell>,
    under_way: ByStep<UnderWay>,
    /// To be sent when the batch is durable.
    to_send: Vec<usize>,
    /// To be answered when the batch is durable.
    to_answer: Vec<oneshot::Sender<bool>>,
    remote: JoinSet<Arrival>,
    inline: FuturesUnordered<Inline>,
    end: Option<End>,
    broken: Option<JournalError>,
    /// Why it cannot be told now what became of a step: its intent stays open.
    pub(crate) not_now: Option<String>,
    pub(crate) failures: Vec<StepFailure>,
}

impl<'a> Driver<'a> {
    /// A driver of a plan's steps, some of which may be done.
    pub(crate) fn new(scene: Scene<'a>, results: RunResults, done: &Done, policy: Policy, committed: bool) -> Self {
        let lanes = Lanes::new(&scene.plan.steps, scene.runner.parallelism);
        let nodes: Vec<Node> = scene
            .plan
            .steps
            .iter()
            .map(|step| {
                let kind = match &step.work {
                    Work::Barrier => Kind::Barrier,
                    // On a way back there is nothing to commit to.
                    Work::Commit if scene.unwinding => Kind::Barrier,
                    Work::Commit => Kind::Commit,
                    _ => lanes.of(step).map_or(Kind::Free, Kind::Lane),
                };
                Node { after: step.after.clone(), kind }
            })
            .collect();
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            scene,
            machine: Machine::new(&nodes, &done.succeeded, policy, committed),
            failed_before: done.failed.clone(),
            results,
            lanes,
            hands: Hands::new(scene.runner, tell),
            told,
            under_way: BTreeMap::new(),
            to_send: Vec::new(),
            to_answer: Vec::new(),
            remote: JoinSet::new(),
            inline: FuturesUnordered::new(),
            end: None,
            broken: None,
            not_now: None,
            failures: Vec::new(),
        }
    }

    /// Carries the steps out. The last batch is left with the recorder, so that the run's end goes with it.
    ///
    /// # Errors
    /// When the ledger cannot be written: nothing further is started, and what runs is let go.
    pub(crate) async fn drive(&mut self, recorder: &mut Recorder) -> Result<End, JournalError> {
        let mut interrupts = self.scene.runner.interrupts.clone();
        let mut heard = *interrupts.borrow_and_update();
        let mut deaf = false;
        let mut happened = vec![Happened::Begin { failed: std::mem::take(&mut self.failed_before) }];
        if heard > 0 {
            happened.insert(0, Happened::Interrupted(heard));
        }
        for event in happened {
            self.happened(event, recorder);
        }
        loop {
            self.fill_lanes(recorder);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if let Some(end) = self.end.take() {
                return Ok(end);
            }
            if self.under_way.is_empty() {
                return Ok(End::Held("the steps of the plan wait for each other; this is a bug in Gantry".into()));
            }
            recorder.flush().await?;
            self.send();
            tokio::select! {
                biased;
                changed = interrupts.changed(), if !deaf => match changed {
                    Ok(()) => {
                        let times = *interrupts.borrow_and_update();
                        if times > heard {
                            heard = times;
                            let again = times > 1;
                            self.hands.watcher.event(RunEvent::Interrupted { again });
                            self.happened(Happened::Interrupted(times), recorder);
                        }
                    }
                    Err(_) => deaf = true,
                },
                Some((step, answer)) = self.inline.next(), if !self.inline.is_empty() => {
                    self.arrived(step, answer, recorder);
                }
                Some(joined) = self.remote.join_next(), if !self.remote.is_empty() => self.joined(joined, recorder),
                Some(tell) = self.told.recv() => self.heard(tell, recorder),
            }
            self.drain(recorder);
        }
    }

    /// Takes in everything else that has arrived, so that one sync is enough for it.
    fn drain(&mut self, recorder: &mut Recorder) {
        loop {
            if let Ok(tell) = self.told.try_recv() {
                self.heard(tell, recorder);
            } else if let Some(joined) = self.remote.try_join_next() {
                self.joined(joined, recorder);
            } else if let Some(Some((step, answer))) = self.inline.next().now_or_never() {
                self.arrived(step, answer, recorder);
            } else {
                return;
            }
        }
    }

    /// Something happened: the machine says what to do, and that may make more happen.
    fn happened(&mut self, event: Happened, recorder: &mut Recorder) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for command in self.machine.on(event) {
                match command {
                    Command::Start(step) => events.extend(self.start(step, recorder)),
                    Command::Commit(step) => {
                        recorder.push(Event::Committed);
                        recorder.tell(RunEvent::Committed);
                        events.push_back(Happened::Succeeded(step));
                    }
                    Command::Finish => self.end = Some(End::Finished),
                    Command::Unwind(why) => self.end = Some(End::Unwind(why)),
                    Command::Hold(why) => self.end = Some(End::Held(why)),
                    Command::Leave => self.end = Some(End::Left),
                }
            }
        }
    }

    /// Intends a step. One that needs nothing from outside is done with that.
    fn start(&mut self, at: usize, recorder: &mut Recorder) -> Option<Happened> {
        let name = self.scene.name(at);
        let attempt = self.next_attempt(&name, recorder);
        match self.scene.prepare(at, attempt, &mut self.results, recorder.state()) {
            Ok(Prepared::Done(events)) => {
                let judged =
                    events.iter().find_map(|e| if let Event::CheckJudged(j) = e { Some(j.clone()) } else { None });
                events.into_iter().for_each(|e| recorder.push(e));
                match judged {
                    Some(judged) if !judged.passed => {
                        let new = matches!(&self.scene.step(at).work, Work::Assert(all) if all.iter().any(|a| a.holds.is_unknown()));
                        let sentence = if new { judged.sentence } else { "as shown with the plan".to_owned() };
                        recorder.tell(RunEvent::Warned { address: judged.address, sentence });
                    }
                    judged => self.tell_success(&name, judged.map(|j| j.sentence), Duration::ZERO, recorder),
                }
                Some(Happened::Succeeded(at))
            }
            Ok(Prepared::Job(intent, job)) => {
                recorder.push(Event::StepIntended(intent.clone()));
                recorder.tell(RunEvent::StepStarted {
                    step: name.step,
                    address: name.address,
                    action: name.action,
                    attempt,
                });
                let started = self.hands.clock.elapsed();
                self.under_way.insert(at, UnderWay { job, intent, started });
                self.to_send.push(at);
                if let Some(lane) = self.lanes.of(self.scene.step(at)) {
                    self.lanes.started(lane);
                }
                None
            }
            Err(failure) => {
                recorder.push(self.scene.failed(self.scene.step(at), &failure));
                Some(self.fail(at, &name, failure, Duration::ZERO, recorder))
            }
        }
    }

    /// Attempts go on counting where a process that is gone stopped.
    fn next_attempt(&self, name: &Name, recorder: &Recorder) -> u32 {
        let Some(open) = &recorder.state().open else { return 1 };
        let steps = if name.unwinding { &open.unwinding_steps } else { &open.steps };
        match steps.get(&name.step) {
            Some(crate::ledger::replay::StepStatus::Intended(intent)) => intent.attempt.saturating_add(1),
            _ => 1,
        }
    }

    /// Sends what has become durable.
    fn send(&mut self) {
        for reply in self.to_answer.drain(..) {
            // A step that does not wait for the answer any more has ended.
            let _ = reply.send(true);
        }
        for at in std::mem::take(&mut self.to_send) {
            let Some(under_way) = self.under_way.get(&at) else { continue };
            let _ = self.machine.on(Happened::Durable(at));
            let in_process = matches!(&under_way.job, Job::Act(act) if act.in_process);
            let (job, attempt) = (under_way.job.clone(), under_way.intent.attempt);
            let work = carry_out(at, job, self.scene.name(at), attempt, self.hands.clone());
            if in_process {
                self.inline.push(Box::pin(work));
            } else {
                self.remote.spawn(work);
            }
        }
    }

    fn joined(&mut self, joined: Result<Arrival, tokio::task::JoinError>, recorder: &mut Recorder) {
        match joined {
            Ok((step, answer)) => self.arrived(step, answer, recorder),
            // Which step it was went with it. As after a crash, the next command looks for it.
            Err(e) => {
                self.broken = Some(JournalError::Unknown(format!(
                    "a step broke off inside of Gantry ({e}), and what it recorded is not known"
                )));
            }
        }
    }

    fn heard(&mut self, tell: Tell, recorder: &mut Recorder) {
        match tell {
            Tell::Throttled(step) => {
                if let Some(lane) = self.lanes.of(self.scene.step(step)) {
                    self.lanes.throttled(lane);
                }
            }
            Tell::Again { step, attempt, reply } => {
                if self.machine.stopping() {
                    let _ = reply.send(false);
                    return;
                }
                let name = self.scene.name(step);
                let Some(under_way) = self.under_way.get_mut(&step) else { return };
                under_way.intent.attempt = attempt;
                recorder.push(Event::StepIntended(under_way.intent.clone()));
                recorder.tell(RunEvent::StepStarted {
                    step: name.step,
                    address: name.address,
                    action: name.action,
                    attempt,
                });
                self.to_answer.push(reply);
            }
        }
    }

    /// A step has its answer.
    fn arrived(&mut self, at: usize, answer: Answer, recorder: &mut Recorder) {
        let Some(under_way) = self.under_way.remove(&at) else { return };
        if let Answer::Broken(e) = answer {
            self.broken = Some(e);
            return;
        }
        let name = self.scene.name(at);
        let elapsed = self.hands.clock.elapsed().saturating_sub(under_way.started);
        let well = !matches!(answer, Answer::Failed(_) | Answer::NotNow(_));
        if let Some(lane) = self.lanes.of(self.scene.step(at)) {
            self.lanes.ended(lane, well);
        }
        if let Answer::NotNow(sentence) = answer {
            self.not_now.get_or_insert_with(|| format!("{}: {sentence}", name.step));
            let failure = Failure::unclear(sentence);
            let event = self.fail(at, &name, failure, elapsed, recorder);
            self.happened(event, recorder);
            return;
        }
        let conclusion = self.scene.conclude(at, &under_way.job, answer, &mut self.results);
        conclusion.events.into_iter().for_each(|e| recorder.push(e));
        let event = match conclusion.outcome {
            Ok(sentence) => {
                self.tell_success(&name, sentence, elapsed, recorder);
                Happened::Succeeded(at)
            }
            Err(failure) => self.fail(at, &name, failure, elapsed, recorder),
        };
        self.happened(event, recorder);
    }

    fn tell_success(&self, name: &Name, sentence: Option<String>, elapsed: Duration, recorder: &mut Recorder) {
        recorder.tell(RunEvent::StepSucceeded {
            step: name.step.clone(),
            address: name.address.clone(),
            action: name.action.clone(),
            sentence,
            elapsed,
        });
    }

    fn fail(
        &mut self,
        at: usize,
        name: &Name,
        failure: Failure,
        elapsed: Duration,
        recorder: &mut Recorder,
    ) -> Happened {
        recorder.tell(RunEvent::StepFailed {
            step: name.step.clone(),
            address: name.address.clone(),
            action: name.action.clone(),
            sentence: failure.sentence.clone(),
            evidence: failure.evidence.shown.clone(),
            elapsed,
        });
        self.failures.push(StepFailure {
            step: name.step.clone(),
            sentence: failure.sentence.clone(),
            evidence: failure.evidence.shown,
            unwinding: name.unwinding,
        });
        let sentence = format!("{} failed: {}", name.step, failure.sentence);
        Happened::Failed { step: at, sentence, unclear: failure.unclear }
    }

    fn fill_lanes(&mut self, recorder: &mut Recorder) {
        // A step that is done with being started makes others ready that wait for room as well.
        loop {
            let machine = &self.machine;
            let rooms = self.lanes.room(|lane| machine.waiting(lane));
            if rooms.is_empty() || self.end.is_some() {
                return;
            }
            for (lane, room) in rooms {
                self.happened(Happened::Room { lane, room }, recorder);
            }
        }
    }

    /// Whether the run only goes forward by now.
    pub(crate) fn committed(&self) -> bool {
        self.machine.committed()
    }

    /// Whether a person asked to stop.
    pub(crate) fn interrupted(&self) -> bool {
        self.machine.interrupted()
    }

    /// What the steps answered.
    pub(crate) fn results(&self) -> &RunResults {
        &self.results
    }
}

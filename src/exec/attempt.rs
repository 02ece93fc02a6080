//! One step from its durable intent to its answer.
//!
//! | what a call came to | then |
//! | --- | --- |
//! | applied | that is it |
//! | not sent, or rejected, by something that passes | a wait, a fresh intent, again |
//! | the same, by something that stays | failed |
//! | unknown | the target is asked; a "no" counts only after the settle window |
//! | found done | as if it had answered |
//! | found not done, or harmless to repeat | a wait, a fresh intent, again |
//! | found failed | failed |
//! | it cannot be told now | asked a few times more; then the run is left open, and the next command asks again |
//! | nobody can tell | failed, and the run is held: going back could leave something behind |
//!
//! Waits double and are jittered, so that many runs that were throttled together do not come back together (M. Brooker,
//! *Exponential Backoff And Jitter*, 2015: here "equal jitter", which never comes back at once). Every further attempt is an
//! intent of its own, durable before it is sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::evidence::{self, Piece};
use super::job::{ActJob, Answer, Failure, Job, Kept, Name};
use super::journal::Journal;
use super::outside::Outside;
use super::runner::{Patience, Runner};
use super::{check, fetch, work};
use crate::event::{RunEvent, Watcher};
use crate::ledger::event::FailureKind;
use crate::ports::clock::{Clock, within};
use crate::ports::{crash, id};
use crate::provider::{
    Action, AwaitRequest, Found, Outcome, Prior, Problem, ProblemClass, Progress, Provider, Providers,
};

/// How long is waited each time where a target cannot tell now what became of an act: what passes within seconds needs no other
/// command.
const ASKED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How long the answer of [`Provider::find`] is waited for beyond the act's own deadline, for which it may wait itself.
const FIND_MARGIN: Duration = Duration::from_secs(60);

/// What a step at work tells the driver.
pub(crate) enum Tell {
    /// It wants to act again: an intent with this number has to be durable first. The answer says whether it may.
    Again {
        /// Its position.
        step: usize,
        /// The attempt's number.
        attempt: u32,
        /// Where the answer goes.
        reply: oneshot::Sender<bool>,
    },
    /// Its target asked to go slower.
    Throttled(usize),
}

/// What a step at work has of the runner, and its line to the driver.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) run: String,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) providers: Providers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watcher: Arc<dyn Watcher>,
    pub(crate) images: Arc<dyn super::runner::Images>,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) environment_dir: Arc<std::path::Path>,
    pub(crate) blobs: Arc<str>,
    pub(crate) patience: Patience,
    pub(crate) tell: mpsc::UnboundedSender<Tell>,
    pub(crate) scrub: Arc<super::scrub::Scrub>,
}

impl Hands {
    pub(crate) fn new(runner: &Runner, tell: mpsc::UnboundedSender<Tell>) -> Self {
        Self {
            run: runner.run.clone(),
            scrub: runner.scrub.clone(),
            journal: runner.journal.clone(),
            providers: runner.providers.clone(),
            clock: runner.clock.clone(),
            watcher: runner.watcher.clone(),
            images: runner.images.clone(),
            outside: runner.outside.clone(),
            environment_dir: runner.environment_dir.as_path().into(),
            blobs: runner.blobs.as_str().into(),
            patience: runner.patience,
            tell,
        }
    }
}

/// Carries out a step whose intent is durable.
pub(crate) async fn carry_out(at: usize, job: Job, name: Name, attempt: u32, hands: Hands) -> (usize, Answer) {
    let mut tries = Tries::new(at, attempt, &name, &hands);
    if let Err(failure) = fetch::before(&job, &hands).await {
        return (at, Answer::Failed(failure));
    }
    let answer = match &job {
        Job::Act(act) => act_until_clear(act, &name, &hands, &mut tries).await,
        Job::Await { provider, request } => settled(&**provider, request, &name, &hands, &mut tries).await,
        Job::Read { provider, request } => work::read(provider, request, &mut tries).await,
        Job::Pin(pin) => work::pin(pin, &hands).await,
        Job::Migrate(migrate) => work::migrate(migrate, &name, &hands, &mut tries).await,
        Job::Revert(migrate) => work::revert(migrate, &name, &hands, &mut tries).await,
        Job::Check(check) => check::run(check, &name, &hands, &hands.environment_dir).await,
    };
    (at, answer)
}

/// How often a step was tried, and whether it may be tried again.
pub(crate) struct Tries<'a> {
    at: usize,
    attempt: u32,
    /// Attempts of this process: those of one that is gone do not count.
    made: u32,
    started: Duration,
    name: &'a Name,
    hands: &'a Hands,
}

impl<'a> Tries<'a> {
    fn new(at: usize, attempt: u32, name: &'a Name, hands: &'a Hands) -> Self {
        Self { at, attempt, made: 1, started: hands.clock.elapsed(), name, hands }
    }

    /// Waits and gets leave for another attempt; `false` when there is none to have.
    pub(crate) async fn again(&mut self, sentence: &str) -> bool {
        let patience = self.hands.patience;
        if self.made >= patience.attempts {
            return false;
        }
        let doubled = patience.first.saturating_mul(1 << (self.made - 1).min(16)).min(patience.longest);
        let wait = jittered(doubled);
        let spent = self.hands.clock.elapsed().saturating_sub(self.started);
        if spent.saturating_add(wait) > patience.budget {
            return false;
        }
        self.hands.watcher.event(RunEvent::StepRetried {
            step: self.name.step.clone(),
            address: self.name.address.clone(),
            sentence: sentence.to_owned(),
            wait,
        });
        self.hands.clock.sleep(wait).await;
        let (reply, answer) = oneshot::channel();
        let ask = Tell::Again { step: self.at, attempt: self.attempt + 1, reply };
        if self.hands.tell.send(ask).is_err() || !answer.await.unwrap_or(false) {
            return false;
        }
        self.made += 1;
        self.attempt += 1;
        true
    }

    /// Time.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.hands.clock
    }

    /// The target asked to go slower.
    fn throttled(&self) {
        // Without a driver nobody starts anything anyway.
        let _ = self.hands.tell.send(Tell::Throttled(self.at));
    }
}

/// Between half of it and all of it.
fn jittered(wait: Duration) -> Duration {
    let random = f64::from(u32::from_le_bytes(id::random::<4>())) / f64::from(u32::MAX);
    wait.mul_f64(0.5 + random / 2.0)
}

/// Whether the same call may succeed later.
fn passes(class: ProblemClass) -> bool {
    matches!(class, ProblemClass::Throttled | ProblemClass::Transient)
}

async fn act_until_clear(job: &ActJob, name: &Name, hands: &Hands, tries: &mut Tries<'_>) -> Answer {
    loop {
        crash::point("exec.act");
        let outcome = send(job, name, hands).await;
        crash::point("exec.answer");
        let (kind, problem, may_pass) = match outcome {
            Outcome::Applied { attributes, identity } => return Answer::Applied { attributes, identity },
            Outcome::NotSent(problem) => (FailureKind::NotSent, problem.clone(), passes(problem.class)),
            Outcome::Rejected(problem) => (FailureKind::Rejected, problem.clone(), passes(problem.class)),
            Outcome::Unknown(problem) => match look(job, &*hands.clock).await {
                Found::Done { attributes, identity } => return Answer::Applied { attributes, identity },
                Found::Failed(found) => (FailureKind::Rejected, found, false),
                Found::NotDone => (FailureKind::Rejected, problem, true),
                Found::Repeat(_) => (FailureKind::Unknown, problem, true),
                Found::NotNow(sentence) => return Answer::NotNow(sentence),
                Found::CannotTell(sentence) => {
                    return failed(job, FailureKind::Unknown, Problem { sentence, ..problem }, true, hands).await;
                }
            },
        };
        if problem.class == ProblemClass::Throttled {
            tries.throttled();
        }
        if !may_pass || !tries.again(&problem.sentence).await {
            return failed(job, kind, problem, false, hands).await;
        }
    }
}

/// Waits until what was made does what it is there for.
async fn settled(
    provider: &dyn Provider,
    request: &AwaitRequest,
    name: &Name,
    hands: &Hands,
    tries: &mut Tries<'_>,
) -> Answer {
    loop {
        crash::point("exec.await");
        let progress = Saying::new(name, hands);
        // It ends by itself, with what it saw; this is for one that hangs.
        let limit = request.deadline.saturating_add(FIND_MARGIN);
        let problem = match within(&*hands.clock, limit, provider.settled(request, &progress)).await {
            Some(Ok(Prior { attributes, identity })) => return Answer::Applied { attributes, identity },
            Some(Err(problem)) => problem,
            None => {
                let sentence = format!("{} gave no answer within {} s.", request.address, limit.as_secs());
                Problem::new(ProblemClass::Invalid, sentence)
            }
        };
        if !passes(problem.class) || !tries.again(&problem.sentence).await {
            let pieces = problem.evidence.into_iter().map(Piece::from).collect();
            return match evidence::keep(hands, pieces).await {
                Ok(evidence) => Answer::Failed(Failure { evidence, ..Failure::rejected(problem.sentence) }),
                Err(e) => Answer::Broken(e),
            };
        }
    }
}

/// Calls the provider under the act's deadline.
async fn send(job: &ActJob, name: &Name, hands: &Hands) -> Outcome {
    let progress = Saying::new(name, hands);
    let acted = within(&*hands.clock, job.act.deadline, job.provider.act(&job.act, &progress)).await;
    acted.unwrap_or_else(|| {
        let sentence =
            format!("{} {} gave no answer within {} s.", name.address, name.action, job.act.deadline.as_secs_f32());
        Outcome::Unknown(Problem::new(ProblemClass::Transient, sentence))
    })
}

/// Asks what became of an act. A negative answer counts only when the settle window is over.
pub(crate) async fn look(job: &ActJob, clock: &dyn Clock) -> Found {
    let first = ask_patiently(job, clock).await;
    if job.settle.is_zero() || !matches!(first, Found::NotDone | Found::Repeat(_)) {
        return first;
    }
    clock.sleep(job.settle).await;
    ask_patiently(job, clock).await
}

/// Asks until there is an answer, as often as [`ASKED`] says.
async fn ask_patiently(job: &ActJob, clock: &dyn Clock) -> Found {
    for wait in ASKED {
        match ask(job, clock).await {
            Found::NotNow(_) => clock.sleep(wait).await,
            answer => return answer,
        }
    }
    ask(job, clock).await
}

async fn ask(job: &ActJob, clock: &dyn Clock) -> Found {
    crash::point("exec.find");
    let limit = job.act.deadline.saturating_add(FIND_MARGIN);
    let found = within(clock, limit, job.provider.find(&job.act)).await;
    found.unwrap_or_else(|| {
        Found::NotNow(format!(
            "Nobody could tell within {} s whether {} of {} was done. Look at it in its target.",
            limit.as_secs(),
            job.act.action.word(),
            job.act.address
        ))
    })
}

async fn failed(job: &ActJob, kind: FailureKind, problem: Problem, unclear: bool, hands: &Hands) -> Answer {
    let mut pieces: Vec<Piece> = problem.evidence.into_iter().map(Piece::from).collect();
    // A create has nothing to look at; everything else acts on what this finds.
    if let Some(prior) = job.act.prior.as_ref().filter(|_| job.act.action != Action::Create) {
        let identity = job.act.staged.as_ref().unwrap_or(&prior.identity);
        pieces.extend(evidence::of_object_in(hands, &*job.provider, &job.act.address, identity).await);
    }
    match evidence::keep(hands, pieces).await {
        Ok(evidence) => Answer::Failed(Failure { kind, sentence: problem.sentence, evidence, unclear }),
        Err(e) => Answer::Broken(e),
    }
}

/// A failure of work that has no evidence of its own.
pub(crate) fn plain_failure(kind: FailureKind, sentence: impl Into<String>, unclear: bool) -> Answer {
    Answer::Failed(Failure { kind, sentence: sentence.into(), evidence: Kept::default(), unclear })
}

/// A long act's sentences, as run events.
pub(crate) struct Saying<'a> {
    name: &'a Name,
    hands: &'a Hands,
    started: Duration,
}

impl<'a> Saying<'a> {
    pub(crate) fn new(name: &'a Name, hands: &'a Hands) -> Self {
        Self { name, hands, started: hands.clock.elapsed() }
    }
}

impl Progress for Saying<'_> {
    fn say(&self, sentence: &str) {
        self.hands.watcher.event(RunEvent::StepProgress {
            step: self.name.step.clone(),
            address: self.name.address.clone(),
            sentence: sentence.to_owned(),
            elapsed: self.hands.clock.elapsed().saturating_sub(self.started),
        });
    }
}

//! What outlives a process, the places at which something can happen to it, and a process in it.

use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::clock::{self, SimClock};
use super::disk::Disk;
use super::outside::Databases;
use super::target::Target;
use crate::event::{RunEvent, Watcher};
use crate::ledger::event::Event;
use crate::ledger::{Meta, State};
use crate::ports::clock::Clock as _;
use crate::ports::{crash, id};
use crate::provider::Action;

/// A place that a process passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    /// A crash point of the source.
    Point(&'static str),
    /// The ledger is read.
    Read,
    /// The ledger is taken over.
    TakeOver,
    /// So many entries are appended.
    Append(usize),
    /// A blob is kept.
    Blob,
    /// A provider acts.
    Act(Action),
    /// A provider looks for what became of an act.
    Find(Action),
    /// A provider looks at objects.
    Observe,
    /// A data source is read.
    Data,
    /// A provider tells what it saw.
    Evidence,
    /// A check asks.
    Probe,
    /// A migration is applied.
    Migrate,
    /// A migration is taken back.
    Revert,
    /// A database is asked for a migration.
    FindMigration,
    /// A database is asked for its journal.
    Journal,
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The process dies before it has an effect.
    Die,
    /// The process dies after it had its effect.
    DieAfter,
    /// The process dies, and half of the batch is there.
    Torn,
    /// The process dies, and the effect comes later.
    DieLate,
    /// It has its effect, and the answer is lost.
    Lost,
    /// It has no effect, and nobody says so.
    LostRequest,
    /// The answer is lost, and the effect comes later.
    Late,
    /// It has its effect, and never answers.
    Hang,
    /// It has no effect, and never answers.
    HangBefore,
    /// It never reached the target.
    NotSent,
    /// The target asks to go slower.
    Throttled,
    /// The target answers with a passing error, and did nothing.
    Passing,
    /// The target answers from a moment ago.
    Stale,
    /// The disk refuses, and nothing is there.
    Fail,
    /// The disk refuses, and half of it is there.
    FailTorn,
    /// Another process has taken the ledger over.
    Fenced,
    /// The target refuses these credentials.
    Denied,
    /// The target answers nonsense.
    Malformed,
    /// The target cannot tell.
    CannotTell,
    /// A person asks to stop.
    Interrupt,
    /// A person asks twice.
    InterruptTwice,
}

impl Site {
    /// What can happen here.
    pub(super) fn faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Self::Point(_) | Self::FindMigration | Self::Journal | Self::Observe => &[Die],
            Self::Read => &[Die, Fail],
            Self::TakeOver | Self::Blob => &[Die, DieAfter, Fail],
            Self::Append(0 | 1) => &[Die, DieAfter, Lost, LostRequest, Fail, Fenced],
            Self::Append(_) => &[Die, DieAfter, Torn, Lost, LostRequest, Fail, FailTorn, Fenced],
            Self::Act(_) => {
                &[Die, DieAfter, DieLate, Lost, LostRequest, Late, Hang, HangBefore, NotSent, Throttled, Passing]
            }
            Self::Find(_) => &[Die, Stale],
            Self::Data => &[Die, DieAfter, Passing, HangBefore],
            Self::Evidence => &[Die, HangBefore],
            Self::Probe => &[Die, DieAfter],
            Self::Migrate | Self::Revert => &[Die, DieAfter, Lost, LostRequest, NotSent],
        }
    }

    /// What can happen here after which the run may end otherwise: what is refused for good, and what nobody can tell.
    pub(super) fn hard_faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Self::Act(_) | Self::Data => &[Denied, Malformed],
            Self::Find(_) | Self::Observe => &[CannotTell, HangBefore],
            _ => &[],
        }
    }

    /// Its name, without what differs from plan to plan.
    pub(super) fn name(self) -> String {
        match self {
            Self::Point(name) => format!("point {name}"),
            Self::Append(0 | 1) => "append of one".into(),
            Self::Append(_) => "append of several".into(),
            Self::Act(action) => format!("act: {}", action.word()),
            Self::Find(action) => format!("find: {}", action.word()),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

/// What is to happen to one process: at its so-many-th place, this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) at: usize,
    pub(super) what: What,
}

/// Which fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// This one.
    Fault(Fault),
    /// The so-many-th of those that can happen there, going round.
    Any(usize),
}

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Struck {
    pub(super) at: usize,
    pub(super) site: Site,
    pub(super) fault: Fault,
    /// How many entries were durable before.
    pub(super) entries: usize,
    /// For an act: its identity.
    pub(super) op: Option<String>,
}

/// A part of the world that worlds share until one of them changes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared<T>(Arc<T>);

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> std::ops::DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// The world at a place that a process passed: what a process that dies there leaves behind.
pub(super) struct Shot {
    /// As it was when the process came there: what is left if it dies before it has an effect.
    pub(super) before: Rest,
    /// With the effect, before anybody is told of it; nothing where there is none.
    pub(super) after: Option<Rest>,
    /// For an act: its identity.
    op: Option<String>,
}

impl Shot {
    /// What is left of a process that dies of this at this place, if the shot shows that.
    pub(super) fn dead(&self, at: usize, site: Site, fault: Fault) -> Option<Passed> {
        let rest = match fault {
            Fault::Die => &self.before,
            Fault::DieAfter => self.after.as_ref()?,
            _ => return None,
        };
        let entries = self.before.disk.entries.len();
        Some(Passed {
            rest: rest.clone(),
            trace: Vec::new(),
            shots: Vec::new(),
            struck: vec![Struck { at, site, fault, entries, op: self.op.clone() }],
            violations: Vec::new(),
        })
    }
}

/// What outlives a process, and what there is of the one that runs.
pub(super) struct Inner {
    pub(super) disk: Shared<Disk>,
    pub(super) target: Shared<Target>,
    pub(super) databases: Shared<Databases>,
    passed: usize,
    /// The act that is about to be sent.
    pub(super) op: Option<String>,
    hits: Vec<Hit>,
    trace: Option<Vec<Site>>,
    shots: Vec<Shot>,
    dead: bool,
    waker: Option<Waker>,
    pub(super) struck: Vec<Struck>,
    /// What was told too early, and the like.
    pub(super) violations: Vec<String>,
}

/// A world at rest: no process runs.
#[derive(Clone)]
pub(super) struct Rest {
    disk: Shared<Disk>,
    target: Shared<Target>,
    databases: Shared<Databases>,
    now: Duration,
}

/// The world.
pub(super) struct World {
    pub(super) clock: Arc<SimClock>,
    inner: Mutex<Inner>,
    pub(super) interrupt: tokio::sync::watch::Sender<u8>,
}

impl World {
    /// A world in which nothing has happened.
    pub(super) fn untouched() -> Rest {
        Rest { disk: Shared::default(), target: Shared::default(), databases: Shared::default(), now: Duration::ZERO }
    }

    /// A world that goes on from one at rest.
    pub(super) fn wake(rest: &Rest) -> Arc<Self> {
        let clock = Arc::new(SimClock::default());
        clock.set(rest.now);
        let inner = Inner {
            disk: rest.disk.clone(),
            target: rest.target.clone(),
            databases: rest.databases.clone(),
            passed: 0,
            op: None,
            hits: Vec::new(),
            trace: None,
            shots: Vec::new(),
            dead: false,
            waker: None,
            struck: Vec::new(),
            violations: Vec::new(),
        };
        Arc::new(Self { clock, inner: Mutex::new(inner), interrupt: tokio::sync::watch::Sender::new(0) })
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap())
    }

    /// Passes a place: says what happens there. Where the process is dead, or dies, this never comes back.
    pub(super) async fn arrive(&self, site: Site) -> Option<Fault> {
        let fault = self.pass(site);
        match fault {
            Some(Fault::Interrupt) => self.interrupt.send_modify(|times| *times = 1),
            Some(Fault::InterruptTwice) => self.interrupt.send_modify(|times| *times = 2),
            _ => {}
        }
        self.die_if(fault == Some(Fault::Die)).await;
        self.stay_dead().await;
        fault.filter(|f| !matches!(f, Fault::Interrupt | Fault::InterruptTwice))
    }

    fn pass(&self, site: Site) -> Option<Fault> {
        let now = self.clock.elapsed();
        self.with(|inner| {
            if inner.dead {
                return None;
            }
            inner.passed += 1;
            let (passed, op) = (inner.passed, inner.op.take());
            let before = inner.rest(now);
            if let Some(trace) = &mut inner.trace {
                trace.push(site);
                inner.shots.push(Shot { before, after: None, op: op.clone() });
            }
            let fault = match inner.hits.iter().find(|hit| hit.at == passed)?.what {
                What::Fault(fault) => fault,
                What::Any(n) => site.faults()[n % site.faults().len()],
            };
            inner.struck.push(Struck { at: passed, site, fault, entries: inner.disk.entries.len(), op });
            Some(fault)
        })
    }

    /// A crash point of the source.
    fn point(&self, name: &'static str) {
        match self.pass(Site::Point(name)) {
            Some(Fault::Interrupt) => self.interrupt.send_modify(|times| *times = 1),
            Some(Fault::InterruptTwice) => self.interrupt.send_modify(|times| *times = 2),
            Some(_) => self.kill(),
            None => {}
        }
    }

    fn kill(&self) {
        let waker = self.with(|inner| {
            inner.dead = true;
            inner.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What was to be done at the newest place is done, and nobody has been told yet: dies, if that is what was to happen.
    pub(super) async fn done(&self, fault: Option<Fault>) {
        if fault.is_none() {
            let now = self.clock.elapsed();
            self.with(|inner| {
                let rest = inner.rest(now);
                if let Some(shot) = inner.shots.last_mut() {
                    shot.after = Some(rest);
                }
            });
        }
        self.die_if(matches!(fault, Some(Fault::DieAfter | Fault::DieLate | Fault::Torn))).await;
    }

    /// Dies here, if it is to.
    async fn die_if(&self, dies: bool) {
        if dies {
            self.kill();
        }
        self.stay_dead().await;
    }

    async fn stay_dead(&self) {
        if self.with(|inner| inner.dead) {
            std::future::pending::<()>().await;
        }
    }
}

/// The state that a ledger gives.
pub(super) fn replay(disk: &Disk) -> State {
    let mut state = State::default();
    for entry in &disk.entries {
        let raw = &entry.raw;
        let run = raw.run.clone().unwrap_or_default();
        let meta = Meta { seq: raw.seq, time: raw.time.clone(), run, actor: raw.actor.clone() };
        state.apply(&meta, &entry.event).expect("what was written can be replayed");
    }
    state
}

impl Inner {
    /// The world as it is at this moment.
    fn rest(&self, now: Duration) -> Rest {
        let (disk, target) = (self.disk.clone(), self.target.clone());
        Rest { disk, target, databases: self.databases.clone(), now }
    }
}

impl Rest {
    /// The state that the ledger gives.
    pub(super) fn state(&self) -> State {
        replay(&self.disk)
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn databases(&self) -> &Databases {
        &self.databases
    }

    /// All that can make a difference to what follows, as a number: two worlds with the same one go on in the same way.
    pub(super) fn fingerprint(&self) -> u64 {
        use std::hash::{Hash as _, Hasher as _};
        let mut hasher = std::hash::DefaultHasher::new();
        self.now.hash(&mut hasher);
        self.disk.hash(&mut hasher);
        self.target.hash(&mut hasher);
        self.databases.listed().hash(&mut hasher);
        hasher.finish()
    }

    /// The same world, so much later.
    pub(super) fn later(mut self, by: Duration) -> Self {
        self.now += by;
        self
    }
}

/// How a process ended.
pub(super) enum Ended<T> {
    /// By itself.
    Done(T),
    /// It was killed.
    Died,
    /// It waits for something that never comes.
    Hung,
}

/// What a process did, beside its end.
pub(super) struct Passed {
    pub(super) rest: Rest,
    /// The places that it passed, and the world at each, where that was asked for.
    pub(super) trace: Vec<Site>,
    pub(super) shots: Vec<Shot>,
    pub(super) struck: Vec<Struck>,
    pub(super) violations: Vec<String>,
}

/// Runs a process in a world.
pub(super) fn process<T, W: AsyncFnOnce(Arc<World>) -> T>(
    rest: &Rest,
    seed: u64,
    hits: &[Hit],
    traced: bool,
    work: W,
) -> (Ended<T>, Passed) {
    let world = World::wake(rest);
    world.with(|inner| {
        inner.hits = hits.to_vec();
        inner.trace = traced.then(Vec::new);
    });
    let watched = Rc::new(Arc::clone(&world));
    crash::watched::set(Some(Rc::new(move |name| watched.point(name))));
    id::seeded::set(seed);
    let ended = clock::run(&world.clock, async {
        let mut work = pin!(work(Arc::clone(&world)));
        std::future::poll_fn(|context| {
            world.with(|inner| inner.waker = Some(context.waker().clone()));
            world.clock.tell_stall(context.waker().clone());
            let dead = || world.with(|inner| inner.dead);
            if dead() {
                return Poll::Ready(Ended::Died);
            }
            let polled = work.as_mut().poll(context);
            match polled {
                _ if dead() => Poll::Ready(Ended::Died),
                Poll::Ready(done) => Poll::Ready(Ended::Done(done)),
                Poll::Pending if world.clock.has_stalled() => Poll::Ready(Ended::Hung),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    });
    crash::watched::set(None);
    id::seeded::clear();
    let now = world.clock.elapsed();
    let passed = world.with(|inner| {
        let mut violations = std::mem::take(&mut inner.violations);
        if inner.target.is_violated() {
            violations.append(&mut inner.target.take_violations());
        }
        Passed {
            rest: inner.rest(now),
            trace: inner.trace.take().unwrap_or_default(),
            shots: std::mem::take(&mut inner.shots),
            struck: std::mem::take(&mut inner.struck),
            violations,
        }
    });
    (ended, passed)
}

/// Who is told, and finds out whether it is durable.
pub(super) struct Ear(pub(super) Arc<World>);

impl Watcher for Ear {
    fn event(&self, event: RunEvent) {
        self.0.with(|inner| {
            if inner.dead {
                return;
            }
            let entries = &inner.disk.entries;
            let early = match &event {
                RunEvent::Finished { .. } => {
                    !matches!(entries.last().map(|e| &e.event), Some(Event::RunFinished { .. }))
                }
                RunEvent::Committed => !entries.iter().any(|e| matches!(e.event, Event::Committed)),
                RunEvent::StepStarted { step, attempt, .. } => !entries
                    .iter()
                    .rev()
                    .any(|e| matches!(&e.event, Event::StepIntended(i) if i.step == *step && i.attempt == *attempt)),
                _ => false,
            };
            if early {
                inner.violations.push(format!("told before it was durable: {event:?}"));
            }
        });
    }
}

//! What holds of runs, whatever happens: a ledger in memory that can die at any write, a strict provider that can fail at
//! any call, and small plans built by hand.

mod crash;
mod faults;
mod flow;
mod parts;
mod scale;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::request::sha256;
use super::*;
use crate::addr::Address;
use crate::diag::Diagnostics;
use crate::event::{RunEvent, Watcher};
use crate::ledger::event::{Event, Phase, RunKind, RunOutcome, RunStarted};
use crate::ledger::{Meta, State};
use crate::plan::step::{ActStep, CheckStep, Step, Work};
use crate::plan::{OnFailure, Plan};
use crate::ports::clock::SystemClock;
use crate::provider::fake::{self, ECHO, Fake, Hand, INNER, SERVICE, THING};
use crate::provider::{Action, Prior, Provider};
use crate::value::{Residual, Type, Value, decode};

/// Where the process dies: the number of the point that it passes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Death {
    pub(super) point: usize,
    pub(super) variant: usize,
}

/// The ways in which it can die at a write: nothing, all, half of it is there; at a call: before, after, long before its effect.
pub(super) const VARIANTS: usize = 3;

/// How often others have their turn before a sync is done.
const SYNC_TAKES: usize = 3;

/// What outlives a process.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) entries: Vec<(Meta, Event)>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    pub(super) appends: usize,
    passed: usize,
    death: Option<Death>,
    dead: bool,
}

impl Disk {
    fn pass(&mut self) -> Option<usize> {
        self.passed += 1;
        let death = self.death.filter(|d| d.point == self.passed)?;
        self.dead = true;
        Some(death.variant)
    }

    fn write(&mut self, run: &str, events: &[Event]) -> Vec<Meta> {
        let mut metas = Vec::new();
        for event in events {
            let seq = self.entries.len() as u64 + 1;
            let meta =
                Meta { seq, time: format!("2026-01-01T00:00:{:02}Z", seq % 60), run: run.into(), actor: "me".into() };
            self.entries.push((meta.clone(), event.clone()));
            metas.push(meta);
        }
        metas
    }
}

pub(super) struct MemoryJournal {
    disk: Arc<Mutex<Disk>>,
    run: String,
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Meta>, JournalError> {
        // A sync takes its time; whoever does not wait for it gets ahead of it here.
        for _ in 0..SYNC_TAKES {
            tokio::task::yield_now().await;
        }
        let mut disk = self.disk.lock().unwrap();
        let dead = || JournalError::Unknown("the process is dead".into());
        if disk.dead {
            return Err(dead());
        }
        disk.appends += 1;
        match disk.pass() {
            None => Ok(disk.write(&self.run, &events)),
            Some(variant) => {
                let kept = [0, events.len(), events.len() / 2][variant];
                disk.write(&self.run, &events[..kept]);
                Err(dead())
            }
        }
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<String, JournalError> {
        let digest = sha256(bytes);
        self.disk.lock().unwrap().blobs.insert(digest.clone(), bytes.to_vec());
        Ok(digest)
    }

    async fn get_blob(&self, digest: &str) -> Result<Vec<u8>, JournalError> {
        let disk = self.disk.lock().unwrap();
        disk.blobs.get(digest).cloned().ok_or_else(|| JournalError::Disk(format!("there is no blob {digest}")))
    }

    async fn put_file(&self, path: &Path) -> Result<(String, u64), JournalError> {
        let bytes = std::fs::read(path).map_err(|e| JournalError::Source(e.to_string()))?;
        Ok((self.put_blob(&bytes).await?, bytes.len() as u64))
    }

    async fn fetch(&self, digest: &str) -> Result<(), JournalError> {
        self.get_blob(digest).await.map(drop)
    }
}

/// Keeps all run events, with how many entries were durable when each was told.
#[derive(Default)]
pub(super) struct Ear(Mutex<Vec<RunEvent>>);

impl Watcher for Ear {
    fn event(&self, event: RunEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Ear {
    pub(super) fn heard(&self) -> Vec<RunEvent> {
        self.0.lock().unwrap().clone()
    }
}

/// An environment under test.
pub(super) struct Case {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) fake: Fake,
    pub(super) ear: Arc<Ear>,
    pub(super) base: Arc<Base>,
    pub(super) interrupt: tokio::sync::watch::Sender<u8>,
    pub(super) parallelism: usize,
    pub(super) directory: PathBuf,
    runs: usize,
}

impl Case {
    pub(super) fn new() -> Self {
        let disk: Arc<Mutex<Disk>> = Arc::default();
        let (intents, hands) = (disk.clone(), disk.clone());
        let intents = move |op: &str| {
            let disk = intents.lock().unwrap();
            disk.entries.iter().filter(|(_, e)| matches!(e, Event::StepIntended(i) if i.op == op)).count()
        };
        let hands = move |_: &str| {
            let mut disk = hands.lock().unwrap();
            if disk.dead {
                return Hand::DeadBefore;
            }
            match disk.pass() {
                None => Hand::Off,
                Some(0) => Hand::DeadBefore,
                Some(1) => Hand::DeadAfter,
                Some(_) => Hand::DeadLate,
            }
        };
        let fake = Fake::new(Arc::new(intents), Arc::new(hands));
        Self {
            disk,
            base: Arc::new(Base { fake: fake.clone(), wanted: Mutex::default(), fails: Mutex::default() }),
            fake,
            ear: Arc::default(),
            interrupt: tokio::sync::watch::Sender::new(0),
            parallelism: 10,
            directory: std::env::temp_dir(),
            runs: 0,
        }
    }

    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        for (meta, event) in &self.disk.lock().unwrap().entries {
            state.apply(meta, event).expect("what was written can be replayed");
        }
        state
    }

    pub(super) fn runner(&self, run: &str) -> Runner {
        let fake: Arc<dyn Provider> = Arc::new(self.fake.clone());
        Runner {
            run: run.into(),
            journal: Arc::new(MemoryJournal { disk: self.disk.clone(), run: run.into() }),
            providers: [("fake".to_owned(), fake)].into(),
            clock: Arc::new(SystemClock),
            seal: Arc::new(|bytes| sha256(&[b"key", bytes].concat())),
            sealer: None,
            opener: Arc::new(crate::ledger::encryption::Opener::default()),
            scrub: Arc::default(),
            lineage: "lineage".into(),
            environment_dir: self.directory.clone(),
            blobs: "blobs".into(),
            watcher: self.ear.clone(),
            interrupts: self.interrupt.subscribe(),
            parallelism: self.parallelism,
            way_back: self.base.clone(),
            images: Arc::new(NoImages),
            outside: Arc::new(Real),
            patience: Patience {
                first: Duration::from_millis(1),
                longest: Duration::from_millis(2),
                attempts: 4,
                budget: Duration::from_secs(5),
            },
        }
    }

    /// Runs a plan, or goes on with it where a run is open.
    pub(super) async fn run(&mut self, plan: &Plan) -> Finished {
        let state = self.state();
        let begin = match &state.open {
            Some(_) => Begin::Continue,
            None => {
                self.runs += 1;
                Begin::New(Box::new(started(plan)))
            }
        };
        let run = state.open.as_ref().map_or_else(|| format!("run-{}", self.runs), |o| o.run.clone());
        let finished = self.runner(&run).run(plan, state, begin).await;
        if !self.died() {
            assert_eq!(finished.state, self.state(), "the state that a run gives is what replay gives");
        }
        finished
    }

    /// Lets the next process die there.
    pub(super) fn die_at(&self, death: Option<Death>) {
        let mut disk = self.disk.lock().unwrap();
        (disk.passed, disk.death, disk.dead) = (0, death, false);
    }

    /// Whether the last process died.
    pub(super) fn died(&self) -> bool {
        self.disk.lock().unwrap().dead
    }

    /// From here on, this is where a way back leads.
    pub(super) fn set_base(&self, wanted: &[(&str, Value)]) {
        *self.base.wanted.lock().unwrap() = wanted.iter().map(|(a, v)| (a.parse().unwrap(), v.clone())).collect();
    }

    /// What must hold after every run that ended: the provider's caller kept to the protocol, and every object is recorded.
    #[track_caller]
    pub(super) fn check(&self, what: &str) {
        let violations = self.fake.violations();
        assert!(violations.is_empty(), "{what}: {violations:#?}");
        let state = self.state();
        let records: Vec<String> = state
            .records
            .iter()
            .map(|(address, r)| {
                let idle = state.versions.get(address).into_iter().flatten();
                let value = |j: &Json| j["value"].as_str().unwrap_or("").to_owned();
                let idle: Vec<String> = idle.map(|v| value(&v.attributes)).collect();
                let idle = if idle.is_empty() { String::new() } else { format!(" +{}", idle.join("+")) };
                format!("{}={}{idle}", r.attributes["name"].as_str().unwrap_or(""), value(&r.attributes))
            })
            .collect();
        let mut records = records;
        records.sort();
        // Secrets are recorded as digests only.
        let mut objects: Vec<String> = self.fake.objects().iter().map(|o| o.replace("s3cret", "")).collect();
        objects.sort();
        assert_eq!(objects, records, "{what}: what there is and what is recorded differ");
    }
}

fn started(plan: &Plan) -> RunStarted {
    RunStarted {
        kind: plan.kind,
        generation: Some(plan.generation),
        base: plan.base,
        effect: plan.effect.clone(),
        plan: None,
        inputs: String::new(),
        asked: String::new(),
        on_failure: plan.on_failure.word().into(),
        partial: false,
        consent: None,
        engine: "test".into(),
        configuration: None,
        release: None,
        unproven: false,
        takes_back: None,
        overrides: Default::default(),
        gates: Default::default(),
    }
}

/// Plans the way back to what is wanted, from records and reality, as `ops` does it.
pub(super) struct Base {
    fake: Fake,
    wanted: Mutex<BTreeMap<Address, Value>>,
    pub(super) fails: Mutex<Option<String>>,
}

#[async_trait]
impl WayBackPlanner for Base {
    async fn plan(&self, state: &State, trust_records: bool) -> Result<Plan, String> {
        if let Some(why) = self.fails.lock().unwrap().clone() {
            return Err(why);
        }
        let wanted = self.wanted.lock().unwrap().clone();
        let mut build = Build::new(state);
        for (address, value) in &wanted {
            let text = address.to_string();
            match self.now(state, address, trust_records) {
                None => {
                    build.act(&text, Action::Create, value, &[]);
                }
                Some(now) if Some(now.as_str()) != value.get_str("value") => {
                    if &*address.ty == SERVICE {
                        let stage = build.act(&text, Action::Stage, value, &[]);
                        let switch = build.follow(&text, Action::Switch, value, stage, &[stage]);
                        build.follow(&text, Action::Retire, value, switch, &[switch]);
                        build.retire_leftovers(address, &[switch]);
                    } else {
                        build.act(&text, Action::Update, value, &[]);
                    }
                }
                Some(_) => build.retire_leftovers(address, &[]),
            }
        }
        for address in state.records.keys().filter(|a| !wanted.contains_key(*a)) {
            match self.now(state, address, trust_records) {
                Some(_) => build.act(&address.to_string(), Action::Delete, &Value::null(Type::Any), &[]),
                None => build.step(&address.to_string(), "forget", Work::Forget, &[]),
            };
        }
        Ok(build.plan)
    }
}

impl Base {
    /// The value that a recorded object has.
    fn now(&self, state: &State, address: &Address, trust_records: bool) -> Option<String> {
        let record = state.records.get(address)?;
        let name = record.attributes["name"].as_str().unwrap();
        let recorded = record.attributes["value"].as_str().unwrap_or("").to_owned();
        if trust_records { Some(recorded) } else { self.fake.value(name) }
    }
}

/// What a thing is asked to be.
pub(super) fn thing(name: &str, value: &str) -> Value {
    object(name, Value::string(value))
}

/// The same, with a value of any kind.
pub(super) fn object(name: &str, value: Value) -> Value {
    Value::object_of([
        ("name", Value::string(name)),
        ("value", value),
        ("secret", Value::null(Type::String)),
        ("id", Value::opaque(Type::String)),
        ("url", Value::opaque(Type::String)),
        ("token", Value::opaque(Type::String)),
    ])
}

/// The value with another attribute.
pub(super) fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut map = object.as_map().cloned().unwrap();
    map.insert(name.into(), value);
    Value::object(map)
}

/// An attribute that a node's step answers.
pub(super) fn result_of(node: &str, attribute: &'static str) -> Value {
    Value::unknown(Type::String, Residual::Deferred(Arc::new(parts::Part { node: node.parse().unwrap(), attribute })))
}

/// A plan in the making.
pub(super) struct Build {
    state: State,
    pub(super) plan: Plan,
}

impl Build {
    pub(super) fn new(state: &State) -> Self {
        let schemas = [THING, INNER, SERVICE, ECHO].map(|ty| (ty.to_owned(), Arc::new(fake::schema(ty)))).into();
        let plan = Plan {
            environment: "test".into(),
            kind: RunKind::Apply,
            generation: state.generation() + 1,
            base: state.current().map(|g| g.number),
            changes: Vec::new(),
            steps: Vec::new(),
            outputs: BTreeMap::new(),
            on_failure: OnFailure::Rollback,
            way_back: Vec::new(),
            warnings: Diagnostics::default(),
            basis: String::new(),
            effect: String::new(),
            asked: String::new(),
            partial: false,
            gates: Default::default(),
            promoted: None,
            overrides: Default::default(),
            schemas,
            conditions: Default::default(),
            unreadable: Vec::new(),
            unopened: Vec::new(),
        };
        Self { state: state.clone(), plan }
    }

    pub(super) fn step(&mut self, address: &str, word: &str, work: Work, after: &[usize]) -> usize {
        let name = format!("{address} {word}");
        self.plan.steps.push(Step { name, address: address.parse().unwrap(), work, after: after.to_vec() });
        self.plan.steps.len() - 1
    }

    pub(super) fn act(&mut self, address: &str, action: Action, planned: &Value, after: &[usize]) -> usize {
        let node: Address = address.parse().unwrap();
        let schema = fake::schema([THING, INNER, SERVICE].into_iter().find(|t| *t == &*node.ty).unwrap());
        let prior = self.state.records.get(&node).map(|r| Prior {
            attributes: decode(&r.attributes, &schema.object_type()).unwrap(),
            identity: r.identity.clone(),
        });
        let going = matches!(action, Action::Delete | Action::Retire);
        let settable = ["name", "value", "secret"];
        let inputs = planned.as_map().cloned().unwrap_or_default();
        let act = ActStep {
            provider: "fake".into(),
            action,
            takes_over: false,
            planned: if going { Value::null(Type::Any) } else { planned.clone() },
            inputs: Value::object(inputs.into_iter().filter(|(n, _)| settable.contains(&&**n)).collect()),
            prior: prior.filter(|_| action != Action::Create),
            version: None,
            follows: None,
            dependencies: Vec::new(),
            schema: 1,
            create_before_destroy: false,
            imported: None,
            deadline: (schema.deadline)(planned),
            settle: schema.settle,
            in_process: &*node.ty == INNER,
            postconditions: Vec::new(),
        };
        self.step(address, action.word(), Work::Act(Box::new(act)), after)
    }

    pub(super) fn edit(&mut self, step: usize, change: impl FnOnce(&mut ActStep)) {
        let Work::Act(act) = &mut self.plan.steps[step].work else { panic!("that is no act") };
        change(act);
    }

    pub(super) fn follow(
        &mut self,
        address: &str,
        action: Action,
        planned: &Value,
        follows: usize,
        after: &[usize],
    ) -> usize {
        let step = self.act(address, action, planned, after);
        self.edit(step, |act| act.follows = Some(follows));
        step
    }

    /// Versions without traffic go.
    fn retire_leftovers(&mut self, address: &Address, after: &[usize]) {
        let versions = self.state.versions.get(address).cloned().unwrap_or_default();
        for (n, version) in versions.into_iter().enumerate() {
            let text = address.to_string();
            let step = self.act(&text, Action::Retire, &Value::null(Type::Any), after);
            self.plan.steps[step].name = format!("{text} retire {}", n + 2);
            self.edit(step, |act| act.version = Some(version.identity));
        }
    }

    pub(super) fn commit(&mut self, after: &[usize]) -> usize {
        let step = self.step("fake_thing.commit", "", Work::Commit, after);
        self.plan.steps[step].name = "commit".into();
        step
    }

    /// A check that asks whether something listens at an address.
    pub(super) fn check(&mut self, phase: Phase, workload: Option<&str>, tcp: &Value, after: &[usize]) -> usize {
        let configuration =
            Value::object_of([("tcp", Value::object_of([("address", tcp.clone())])), ("timeout", Value::string("1s"))]);
        let workload = workload.map(|w| w.parse().unwrap());
        self.step("smoke_test.c", phase.word(), Work::Check(CheckStep { phase, workload, configuration }), after)
    }
}

/// The address of something that listens until it is dropped, and of nothing.
pub(super) async fn listener() -> (tokio::net::TcpListener, Value) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Value::string(listener.local_addr().unwrap().to_string());
    (listener, address)
}

/// How a run ended.
#[track_caller]
pub(super) fn outcome(finished: &Finished) -> RunOutcome {
    match &finished.ending {
        Ending::Ended(outcome) => *outcome,
        other => panic!("the run did not end: {other:?}: {}", finished.sentence),
    }
}

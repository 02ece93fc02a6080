//! A strict provider in memory, for tests of whoever calls providers: it injects faults, and it holds its caller to the
//! protocol. What a caller must never do is noted as a violation, which every test looks at.
//!
//! An object's name is its place: a second one of a name is refused, as real targets do. Where it was made by an act, the
//! object carries the act's identity, and [`Provider::find`] answers from there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    Act, Action, AttributeSchema, Evidence, Found, ImportRequest, Lowering, Observation, ObserveRequest, Outcome,
    Prior, Problem, ProblemClass, Progress, Provider, ReadRequest, Readiness, ResourceSchema, Role, Undo, named,
};
use crate::value::{Map, Type, Value};

/// A type whose acts leave the process.
pub(crate) const THING: &str = "fake_thing";
/// The same, without leaving the process.
pub(crate) const INNER: &str = "fake_inner";
/// A workload.
pub(crate) const SERVICE: &str = "fake_service";
/// A data source: answers what it is asked.
pub(crate) const ECHO: &str = "fake_echo";

/// The settle window of all types: real time, so that tests can outwait it.
pub(crate) const SETTLE: Duration = Duration::from_millis(2);
/// When a delayed effect lands.
const DELAY: Duration = Duration::from_millis(1);

/// What goes wrong with an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and the answer is lost.
    LostAnswer,
    /// It is not done, and nobody says so.
    LostRequest,
    /// The answer is lost, and it is done a little later.
    Late,
    /// It never answers, and is done.
    Hangs,
    /// It is refused for good.
    Refused,
    /// It fails, for now.
    Passing,
    /// It is throttled.
    Throttled,
    /// It was never sent, for now.
    NotSent,
    /// It is done, but not as it was asked.
    Wrong,
    /// The answer is lost, and nobody can tell what became of it.
    CannotTell,
}

/// What an outside hand does at a call: the same points at which a process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// Nothing.
    Off,
    /// The caller is dead before the call has an effect.
    DeadBefore,
    /// The caller is dead after the call had its effect.
    DeadAfter,
    /// The caller is dead, and the effect comes later.
    DeadLate,
}

#[derive(Debug, Clone, PartialEq)]
struct Object {
    ty: String,
    op: String,
    attributes: Value,
    /// Versions of a service by their op; the one with traffic is `serving`.
    versions: BTreeMap<String, Value>,
    serving: String,
}

#[derive(Default)]
struct World {
    objects: BTreeMap<String, Object>,
    /// What acts did, by identity: the object's name, its attributes then, and its identity.
    done: BTreeMap<String, (Value, Json)>,
    late: Vec<(tokio::time::Instant, Act)>,
    sent: BTreeMap<String, usize>,
    unclear: BTreeSet<String>,
    lost: BTreeSet<String>,
    violations: Vec<String>,
    calls: Vec<String>,
    running: usize,
    most: usize,
}

/// Tells how many intents with an identity are durable.
pub(crate) type Intents = Arc<dyn Fn(&str) -> usize + Send + Sync>;
/// Says what the outside hand does at a call of this name.
pub(crate) type Hands = Arc<dyn Fn(&str) -> Hand + Send + Sync>;

/// The provider. Clones share the world.
#[derive(Clone)]
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    faults: Arc<Mutex<Vec<(String, Fault)>>>,
    schemas: Arc<[ResourceSchema]>,
    intents: Intents,
    hands: Hands,
    /// How long an act takes.
    pub(crate) takes: Duration,
}

fn attributes() -> BTreeMap<Arc<str>, AttributeSchema> {
    named([
        ("name", AttributeSchema::required(Type::String, "")),
        ("value", AttributeSchema::optional(Type::String, "")),
        ("secret", AttributeSchema::optional(Type::String, "").sensitive()),
        ("id", AttributeSchema::computed(Type::String, "")),
        ("url", AttributeSchema::computed(Type::String, "").staged()),
        ("token", AttributeSchema::computed(Type::String, "").sensitive()),
    ])
}

/// A schema of a type.
pub(crate) fn schema(ty: &'static str) -> ResourceSchema {
    let lowering = match ty {
        INNER => Lowering::InProcess,
        SERVICE => Lowering::Workload,
        _ => Lowering::Direct,
    };
    ResourceSchema {
        ty,
        role: if ty == ECHO { Role::Data } else { Role::Managed },
        version: 1,
        attributes: attributes(),
        blocks: BTreeMap::new(),
        lowering,
        settle: SETTLE,
        deadline: |_| Duration::from_millis(60),
        compute: None,
        validate: None,
        must_replace: None,
        previews: false,
        waits: false,
        secrets: None,
        kept: None,
        claims: None,
        undo: Undo::Acts,
        doc: "",
    }
}

fn problem(class: ProblemClass, sentence: &str) -> Problem {
    let evidence = vec![Evidence { name: "what the target said".into(), bytes: sentence.as_bytes().to_vec() }];
    Problem { class, sentence: sentence.into(), evidence }
}

impl Fake {
    pub(crate) fn new(intents: Intents, hands: Hands) -> Self {
        Self {
            world: Arc::default(),
            faults: Arc::default(),
            schemas: [THING, INNER, SERVICE, ECHO].map(schema).into(),
            intents,
            hands,
            takes: Duration::ZERO,
        }
    }

    /// The next call like `stage fake_service.a` has this fault. For `find …`, *refused* is "it failed", *passing* is "do it
    /// again".
    pub(crate) fn inject(&self, call: &str, fault: Fault) {
        self.faults.lock().unwrap().push((call.to_owned(), fault));
    }

    /// What the caller did against the protocol.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.world().violations.clone()
    }

    /// The names of what there is, with values; versions of services that do not serve are listed behind.
    pub(crate) fn objects(&self) -> Vec<String> {
        let world = self.world();
        let value = |v: &Value| v.get_str("value").unwrap_or("").to_owned();
        world
            .objects
            .iter()
            .map(|(name, o)| {
                let idle: Vec<String> =
                    o.versions.iter().filter(|(op, _)| **op != o.serving).map(|(_, v)| value(v)).collect();
                let idle = if idle.is_empty() { String::new() } else { format!(" +{}", idle.join("+")) };
                format!("{name}={}{idle}", value(&o.attributes))
            })
            .collect()
    }

    /// The value of the object of a name, if there is one.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.world().objects.get(name).map(|o| o.attributes.get_str("value").unwrap_or("").to_owned())
    }

    /// All calls, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// How many acts ran at once, at most.
    pub(crate) fn most(&self) -> usize {
        self.world().most
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn fault(&self, call: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(name, _)| name == call)?;
        Some(faults.remove(at).1)
    }

    /// Late effects land.
    fn land(&self) {
        let now = tokio::time::Instant::now();
        let mut world = self.world();
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut world.late).into_iter().partition(|(at, _)| *at <= now);
        world.late = rest;
        for (_, act) in due {
            if world.done.contains_key(&act.op) {
                let text = format!("{} {}: sent again before the first could land", act.action.word(), act.address);
                world.violations.push(text);
            }
            let _ = world.apply(&act);
        }
    }

    /// What every act has to keep to.
    fn admit(&self, act: &Act, call: &str) {
        let intents = (self.intents)(&act.op);
        let mut world = self.world();
        world.calls.push(call.to_owned());
        let sent = world.sent.entry(act.op.clone()).or_default();
        *sent += 1;
        if *sent > intents {
            let sent = *sent;
            world.violations.push(format!("{call}: sent {sent} times with {intents} durable intents"));
        }
        if world.unclear.contains(&act.op) {
            world.violations.push(format!("{call}: sent again although its outcome was unknown and not looked for"));
        }
        if world.done.contains_key(&act.op) {
            world.violations.push(format!("{call}: sent again although it was done"));
        }
        if !act.planned.is_wholly_known() {
            world.violations.push(format!("{call}: asked for something that is not known"));
        }
        world.running += 1;
        world.most = world.most.max(world.running);
    }
}

impl World {
    fn apply(&mut self, act: &Act) -> Result<(Value, Json), String> {
        if let Some(done) = self.done.get(&act.op) {
            return Ok(done.clone());
        }
        let done = self.change(act)?;
        self.done.insert(act.op.clone(), done.clone());
        Ok(done)
    }

    fn change(&mut self, act: &Act) -> Result<(Value, Json), String> {
        let identity_name = |identity: &Json| identity["name"].as_str().unwrap_or_default().to_owned();
        match act.action {
            Action::Create => {
                let name = act.planned.get_str("name").unwrap_or_default().to_owned();
                if self.objects.contains_key(&name) {
                    return Err(format!("there is something named {name} already"));
                }
                let attributes = made(act, &act.op, false);
                let versions = BTreeMap::from([(act.op.clone(), attributes.clone())]);
                let object = Object {
                    ty: act.ty.clone(),
                    op: act.op.clone(),
                    attributes: attributes.clone(),
                    versions,
                    serving: act.op.clone(),
                };
                self.objects.insert(name.clone(), object);
                Ok((attributes, identity(&name, &act.op, &act.ty)))
            }
            Action::Update => {
                let name = identity_name(&act.prior.as_ref().ok_or("an update without a prior")?.identity);
                let object = self.objects.get_mut(&name).ok_or(format!("there is no {name}"))?;
                let attributes = made(act, &object.op, false);
                object.attributes = attributes.clone();
                Ok((attributes, identity(&name, &object.op, &act.ty)))
            }
            Action::Delete => {
                let name = identity_name(&act.prior.as_ref().ok_or("a delete without a prior")?.identity);
                self.objects.remove(&name);
                Ok((Value::null(Type::Any), Json::Null))
            }
            Action::Stage => {
                let name = act.planned.get_str("name").unwrap_or_default().to_owned();
                let object = self.objects.get_mut(&name).ok_or(format!("there is no {name}"))?;
                let attributes = made(act, &act.op, true);
                object.versions.insert(act.op.clone(), attributes.clone());
                Ok((attributes, identity(&name, &act.op, &act.ty)))
            }
            Action::Switch => {
                let staged = act.staged.as_ref().ok_or("a switch without a stage")?;
                let (name, version) =
                    (identity_name(staged), staged["version"].as_str().unwrap_or_default().to_owned());
                let object = self.objects.get_mut(&name).ok_or(format!("there is no {name}"))?;
                if !object.versions.contains_key(&version) {
                    return Err(format!("{name} has no version {version}"));
                }
                object.serving.clone_from(&version);
                object.attributes = made(act, &version, false);
                Ok((object.attributes.clone(), staged.clone()))
            }
            Action::Retire => {
                let gone = &act.prior.as_ref().ok_or("a retire without a version")?.identity;
                let (name, version) = (identity_name(gone), gone["version"].as_str().unwrap_or_default().to_owned());
                if let Some(object) = self.objects.get_mut(&name) {
                    if object.serving == version {
                        return Err(format!("version {version} of {name} serves"));
                    }
                    object.versions.remove(&version);
                }
                Ok((Value::null(Type::Any), Json::Null))
            }
        }
    }
}

fn identity(name: &str, op: &str, ty: &str) -> Json {
    if ty == SERVICE { json!({ "name": name, "version": op }) } else { json!({ "name": name, "made": op }) }
}

/// The object that was asked for, with what the target answers.
fn made(act: &Act, op: &str, staged: bool) -> Value {
    let mut object: Map = act.planned.as_map().cloned().unwrap_or_default();
    let name = act.planned.get_str("name").unwrap_or_default();
    object.insert("id".into(), Value::string(format!("id-{name}")));
    object.insert("token".into(), Value::string(format!("token-{op}")));
    let port = if staged { "staged" } else { "stable" };
    object.insert("url".into(), Value::string(format!("http://{name}.{port}")));
    Value::object(object).unmark_deep().0
}

#[async_trait::async_trait]
impl Provider for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn schemas(&self) -> &[ResourceSchema] {
        &self.schemas
    }

    async fn observe(&self, batch: &[ObserveRequest]) -> Vec<Observation> {
        let world = self.world();
        let one = |request: &ObserveRequest| {
            let name = request.prior.identity["name"].as_str().unwrap_or_default();
            match world.objects.get(name) {
                Some(object) => {
                    let version = request.prior.identity["version"].as_str();
                    let attributes =
                        version.and_then(|v| object.versions.get(v)).filter(|_| version != Some(&object.serving));
                    let attributes = attributes.unwrap_or(&object.attributes).clone();
                    Observation::Present { attributes, readiness: Readiness::Ready }
                }
                None => Observation::Absent,
            }
        };
        batch.iter().map(one).collect()
    }

    async fn read(&self, request: &ReadRequest) -> Result<Value, Problem> {
        let call = format!("read {}", request.address);
        self.world().calls.push(call.clone());
        match self.fault(&call) {
            None => Ok(request.arguments.clone()),
            Some(Fault::Refused) => Err(problem(ProblemClass::Invalid, "the target does not know it")),
            Some(_) => Err(problem(ProblemClass::Transient, "the target is busy")),
        }
    }

    async fn import(&self, request: &ImportRequest) -> Result<Option<Prior>, Problem> {
        let call = format!("import {}", request.id);
        self.world().calls.push(call.clone());
        if self.fault(&call).is_some() {
            return Err(problem(ProblemClass::Transient, "the target is busy"));
        }
        let world = self.world();
        let made = world.objects.get(&request.id).filter(|object| object.ty == request.ty);
        Ok(made.map(|object| {
            let attributes = object.attributes.clone();
            Prior { attributes, identity: identity(&request.id, &object.serving, &object.ty) }
        }))
    }

    async fn find(&self, act: &Act) -> Found {
        let call = format!("find {} {}", act.action.word(), act.address);
        if (self.hands)(&call) != Hand::Off {
            return Found::CannotTell("the caller is dead".into());
        }
        self.land();
        let fault = self.fault(&call);
        let mut world = self.world();
        world.calls.push(call);
        world.unclear.remove(&act.op);
        match fault {
            Some(Fault::Refused) => return Found::Failed(problem(ProblemClass::Invalid, "the target had refused it")),
            Some(Fault::Passing) => return Found::Repeat("doing it again is harmless".into()),
            Some(Fault::CannotTell) => return Found::CannotTell("look at it in the target's console".into()),
            _ => {}
        }
        if world.lost.contains(&act.op) {
            return Found::CannotTell(format!("look at {} in the target's console", act.address));
        }
        match world.done.get(&act.op) {
            Some((attributes, identity)) => Found::Done { attributes: attributes.clone(), identity: identity.clone() },
            None => Found::NotDone,
        }
    }

    async fn act(&self, act: &Act, progress: &dyn Progress) -> Outcome {
        let call = format!("{} {}", act.action.word(), act.address);
        let unknown = |sentence: &str| Outcome::Unknown(problem(ProblemClass::Transient, sentence));
        let hand = (self.hands)(&call);
        self.land();
        match hand {
            Hand::Off => {}
            Hand::DeadBefore => return unknown("the caller is dead"),
            Hand::DeadAfter => {
                self.admit(act, &call);
                let _ = self.world().apply(act);
                return unknown("the caller is dead");
            }
            Hand::DeadLate => {
                self.admit(act, &call);
                self.world().late.push((tokio::time::Instant::now() + DELAY, act.clone()));
                return unknown("the caller is dead");
            }
        }
        self.admit(act, &call);
        progress.say("it is being done");
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let fault = self.fault(&call);
        let outcome = self.faulty(act, fault);
        self.world().running -= 1;
        if fault == Some(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        outcome
    }

    async fn evidence(&self, _: &str, identity: &Json) -> Vec<Evidence> {
        vec![Evidence { name: "log".into(), bytes: format!("the log of {identity}").into_bytes() }]
    }
}

impl Fake {
    fn faulty(&self, act: &Act, fault: Option<Fault>) -> Outcome {
        let mut world = self.world();
        let unclear = |world: &mut World| {
            world.unclear.insert(act.op.clone());
            Outcome::Unknown(problem(ProblemClass::Transient, "the connection was reset"))
        };
        match fault {
            Some(Fault::LostAnswer | Fault::Hangs) => {
                let _ = world.apply(act);
                unclear(&mut world)
            }
            Some(Fault::LostRequest) => unclear(&mut world),
            Some(Fault::Late) => {
                world.late.push((tokio::time::Instant::now() + DELAY, act.clone()));
                unclear(&mut world)
            }
            Some(Fault::CannotTell) => {
                world.lost.insert(act.op.clone());
                unclear(&mut world)
            }
            Some(Fault::Refused) => Outcome::Rejected(problem(ProblemClass::Invalid, "the target refuses it")),
            Some(Fault::Passing) => Outcome::Rejected(problem(ProblemClass::Transient, "the target is busy")),
            Some(Fault::Throttled) => {
                Outcome::Rejected(problem(ProblemClass::Throttled, "the target asks to go slower"))
            }
            Some(Fault::NotSent) => Outcome::NotSent(problem(ProblemClass::Transient, "the target was not reached")),
            None | Some(Fault::Wrong) => match world.apply(act) {
                Ok((mut attributes, identity)) => {
                    if fault.is_some() {
                        let mut object = attributes.as_map().cloned().unwrap_or_default();
                        object.insert("value".into(), Value::string("something else"));
                        attributes = Value::object(object);
                    }
                    Outcome::Applied { attributes, identity }
                }
                Err(why) => Outcome::Rejected(problem(ProblemClass::Conflict, &why)),
            },
        }
    }
}

//! A target: what really exists, and a provider that holds its caller to the protocol.
//!
//! | type | what the real one would be | twice the same create |
//! | --- | --- | --- |
//! | `sim_named` | a Kubernetes object, a file | the second is refused, if another act made the first |
//! | `sim_token` | an ECS service with a client token | gives the first again |
//! | `sim_loose` | a task definition: nothing tells two apart but a tag | makes a second |
//! | `sim_service` | a workload with versions | as `sim_named` |
//! | `sim_inner` | what stays in the process | as `sim_named` |
//!
//! Each object carries the identity of the act that made it, and of the one that changed it last: that is all that
//! [`Provider::find`] answers from.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::world::{Fault, Shared, Site, World};
use crate::ports::clock::Clock as _;
use crate::provider::{
    Act, Action, AttributeSchema, Evidence, Found, ImportRequest, Lowering, Observation, ObserveRequest, Outcome,
    Prior, Problem, ProblemClass, Progress, Provider, ReadRequest, Readiness, ResourceSchema, Role, Undo, named,
};
use crate::value::{Map, Type, Value};

/// The types.
const TYPES: [(&str, Lowering, Role); 6] = [
    ("sim_named", Lowering::Direct, Role::Managed),
    ("sim_token", Lowering::Direct, Role::Managed),
    ("sim_loose", Lowering::Direct, Role::Managed),
    ("sim_service", Lowering::Workload, Role::Managed),
    ("sim_inner", Lowering::InProcess, Role::Managed),
    ("sim_echo", Lowering::Direct, Role::Data),
];

/// How long a "there is nothing" must not be believed.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// When a late effect lands: after recovery's first look and before its second.
pub(super) const LATE: Duration = Duration::from_secs(3);

/// How old a stale answer is at most: with what is late it stays within the settle window, as a target has to promise.
const STALE: Duration = Duration::from_secs(1);

/// How long an act may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// An object that exists.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) ty: String,
    made: String,
    changed: String,
    pub(super) attributes: Value,
    /// Versions of a service by the act that staged them.
    pub(super) versions: BTreeMap<String, Value>,
    pub(super) serving: String,
}

/// What is known of the sending of an act.
#[derive(Debug, Clone, Default)]
struct Sent {
    times: usize,
    last: Duration,
    looked: Option<Duration>,
    /// Whether the last one may have had an effect of which the caller does not know.
    open: bool,
    done: bool,
    /// When it was done.
    at: Duration,
}

/// What exists.
#[derive(Clone, Default)]
pub(super) struct Target {
    pub(super) objects: BTreeMap<String, Object>,
    count: u64,
    late: Vec<(Duration, Act)>,
    sent: BTreeMap<String, Sent>,
    violations: Vec<String>,
}

pub(super) fn schemas() -> Vec<ResourceSchema> {
    let attributes = named([
        ("name", AttributeSchema::required(Type::String, "").replaces()),
        ("shape", AttributeSchema::optional(Type::String, "").replaces()),
        ("value", AttributeSchema::optional(Type::String, "")),
        ("secret", AttributeSchema::optional(Type::String, "").sensitive()),
        ("id", AttributeSchema::computed(Type::String, "")),
        ("host", AttributeSchema::computed(Type::String, "").volatile().staged()),
        ("token", AttributeSchema::computed(Type::String, "").sensitive()),
    ]);
    let schema = |(ty, lowering, role): (&'static str, Lowering, Role)| ResourceSchema {
        ty,
        role,
        version: 1,
        attributes: attributes.clone(),
        blocks: BTreeMap::new(),
        lowering,
        settle: SETTLE,
        deadline: |_| DEADLINE,
        compute: None,
        validate: None,
        must_replace: None,
        undo: Undo::Acts,
        previews: false,
        waits: false,
        secrets: None,
        kept: None,
        claims: None,
        doc: "",
    };
    TYPES.into_iter().map(schema).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get_str(name).unwrap_or_default()
}

fn id_of(identity: &Json) -> String {
    identity["id"].as_str().unwrap_or_default().to_owned()
}

fn version_of(identity: &Json) -> String {
    identity["version"].as_str().unwrap_or_default().to_owned()
}

impl Target {
    /// Everything that exists, one line each: type, name, shape, value, and the values of versions without traffic.
    pub(super) fn listed(&self) -> Vec<String> {
        let mut all: Vec<String> = self.objects.values().map(Object::line).collect();
        all.sort();
        all
    }

    pub(super) fn is_violated(&self) -> bool {
        !self.violations.is_empty()
    }

    pub(super) fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// All that can make a difference later.
    pub(super) fn hash(&self, hasher: &mut impl Hasher) {
        for (id, o) in &self.objects {
            (id, &o.ty, &o.made, &o.changed, &o.serving).hash(hasher);
            o.versions.keys().for_each(|version| version.hash(hasher));
            text(&o.attributes, "value").hash(hasher);
        }
        for (at, act) in &self.late {
            (at, &act.op).hash(hasher);
        }
        for (op, sent) in &self.sent {
            (op, sent.times, sent.last, sent.looked, sent.open, sent.done, sent.at).hash(hasher);
        }
        self.count.hash(hasher);
    }

    /// What came of an act so far.
    pub(super) fn effect(&self, op: &str) -> String {
        let sent = self.sent.get(op).cloned().unwrap_or_default();
        let late = self.late.iter().any(|(_, act)| act.op == op);
        let times = match sent.times {
            0 => "never sent",
            1 => "sent once",
            2 => "sent twice",
            _ => "sent often",
        };
        let effect = match (sent.done, late) {
            (true, _) => "done",
            (false, true) => "to come",
            (false, false) => "not done",
        };
        format!("{times}, {effect}")
    }

    /// How often an act was sent.
    pub(super) fn most_sent(&self) -> usize {
        self.sent.values().map(|s| s.times).max().unwrap_or(0)
    }

    /// Late effects that have not come yet.
    pub(super) fn pending(&self) -> usize {
        self.late.len()
    }

    /// Late effects land.
    fn land(&mut self, now: Duration) {
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = rest;
        for (at, act) in due {
            if self.sent.get(&act.op).is_some_and(|s| s.done) {
                let what = format!("{} {}: sent again before the first could land", act.action.word(), act.address);
                self.violations.push(what);
            }
            let done = self.change(&act).is_ok();
            let sent = self.sent.entry(act.op).or_default();
            (sent.done, sent.at) = (sent.done | done, at);
        }
    }

    /// What every act has to keep to.
    fn admit(&mut self, act: &Act, intents: usize, now: Duration) {
        let what = format!("{} {}", act.action.word(), act.address);
        let sent = self.sent.entry(act.op.clone()).or_default();
        sent.times += 1;
        let mut wrong = Vec::new();
        if sent.times > intents {
            wrong.push(format!("{what}: sent {} times with {intents} durable intents", sent.times));
        }
        let looked = sent.looked.is_some_and(|at| at >= sent.last + SETTLE);
        if sent.open && !looked {
            wrong.push(format!("{what}: sent again although nobody had looked after the settle window"));
        }
        if sent.done {
            wrong.push(format!("{what}: sent again although it was done"));
        }
        if !act.planned.is_wholly_known() {
            wrong.push(format!("{what}: asked for something that is not known"));
        }
        (sent.last, sent.open, sent.looked) = (now, true, None);
        self.violations.extend(wrong);
    }

    /// Does what is asked for, if it can be done.
    fn change(&mut self, act: &Act) -> Result<(Value, Json), String> {
        let prior = || act.prior.as_ref().map(|p| p.identity.clone()).ok_or("there is no object before".to_owned());
        match act.action {
            Action::Create => return self.create(act),
            Action::Delete => {
                let identity = prior()?;
                let id = id_of(&identity);
                if self.objects.get(&id).is_some_and(|o| o.made == identity["made"]) {
                    self.objects.remove(&id);
                }
                return Ok((Value::null(Type::Any), Json::Null));
            }
            _ => {}
        }
        let identity =
            if act.action == Action::Switch { act.staged.clone().ok_or("nothing is staged")? } else { prior()? };
        let id = id_of(&identity);
        let Some(object) = self.objects.get_mut(&id).filter(|o| o.made == identity["made"]) else {
            // Taking a version from what is gone is done.
            let gone = act.action == Action::Retire;
            return if gone { Ok((Value::null(Type::Any), Json::Null)) } else { Err(format!("there is no {id}")) };
        };
        let version = version_of(&identity);
        match act.action {
            Action::Update => {
                object.attributes = made(&act.planned, &id, &object.made, "stable");
                object.changed.clone_from(&act.op);
                Ok((object.attributes.clone(), object.identity(&id, &object.serving)))
            }
            Action::Stage => {
                let staged = made(&act.planned, &id, &object.made, "staged");
                object.versions.insert(act.op.clone(), staged.clone());
                Ok((staged, object.identity(&id, &act.op)))
            }
            Action::Switch => {
                if !object.versions.contains_key(&version) {
                    return Err(format!("{id} has no version {version}"));
                }
                object.serving.clone_from(&version);
                object.attributes = made(&act.planned, &id, &object.made, "stable");
                Ok((object.attributes.clone(), object.identity(&id, &version)))
            }
            _ if object.serving == version => Err(format!("version {version} of {id} serves")),
            _ => {
                object.versions.remove(&version);
                Ok((Value::null(Type::Any), Json::Null))
            }
        }
    }

    fn create(&mut self, act: &Act) -> Result<(Value, Json), String> {
        let name = text(&act.planned, "name").to_owned();
        let same = |(id, o): (&String, &Object)| {
            (o.made == act.op).then(|| (o.attributes.clone(), o.identity(id, &o.serving)))
        };
        let id = match act.ty.as_str() {
            "sim_token" | "sim_loose" => {
                if act.ty == "sim_token"
                    && let Some(first) = self.objects.iter().find_map(same)
                {
                    return Ok(first);
                }
                self.count += 1;
                format!("{name}#{}", self.count)
            }
            _ => {
                if let Some(there) = self.objects.get_key_value(&name) {
                    return same(there).ok_or(format!("there is something named {name} already"));
                }
                name
            }
        };
        let attributes = made(&act.planned, &id, &act.op, "stable");
        let object = Object {
            ty: act.ty.clone(),
            made: act.op.clone(),
            changed: act.op.clone(),
            attributes: attributes.clone(),
            versions: BTreeMap::from([(act.op.clone(), attributes.clone())]),
            serving: act.op.clone(),
        };
        let identity = object.identity(&id, &act.op);
        self.objects.insert(id, object);
        Ok((attributes, identity))
    }

    /// What became of an act, as far as what exists tells.
    fn find(&self, act: &Act) -> Found {
        let done = |attributes: &Value, identity: Json| Found::Done { attributes: attributes.clone(), identity };
        let nothing = || Found::Done { attributes: Value::null(Type::Any), identity: Json::Null };
        let identity =
            act.staged.clone().or_else(|| act.prior.as_ref().map(|p| p.identity.clone())).unwrap_or_default();
        let id = id_of(&identity);
        let object = self.objects.get(&id).filter(|o| o.made == identity["made"]);
        let version = version_of(&identity);
        match (act.action, object) {
            (Action::Create, _) => match self.objects.iter().find(|(_, o)| o.made == act.op) {
                Some((id, o)) => done(&o.attributes, o.identity(id, &o.serving)),
                None => Found::NotDone,
            },
            (Action::Delete, None) => nothing(),
            (Action::Retire, o) if o.is_none_or(|o| !o.versions.contains_key(&version)) => nothing(),
            (Action::Update, Some(o)) if o.changed == act.op => done(&o.attributes, o.identity(&id, &o.serving)),
            (Action::Stage, Some(o)) => match o.versions.get(&act.op) {
                Some(staged) => done(staged, o.identity(&id, &act.op)),
                None => Found::NotDone,
            },
            (Action::Switch, Some(o)) if o.serving == version => done(&o.attributes, o.identity(&id, &version)),
            _ => Found::NotDone,
        }
    }
}

impl Object {
    pub(super) fn made(&self) -> &str {
        &self.made
    }

    pub(super) fn is_service(&self) -> bool {
        self.ty == "sim_service"
    }

    pub(super) fn line_name(&self) -> &str {
        text(&self.attributes, "name")
    }

    fn identity(&self, id: &str, version: &str) -> Json {
        if self.ty == "sim_service" {
            json!({ "id": id, "made": self.made, "version": version })
        } else {
            json!({ "id": id, "made": self.made })
        }
    }

    fn line(&self) -> String {
        let of = |value: &Value| text(value, "value").to_owned();
        let idle: Vec<String> =
            self.versions.iter().filter(|(op, _)| **op != self.serving).map(|(_, v)| format!("+{}", of(v))).collect();
        let (name, shape) = (text(&self.attributes, "name"), text(&self.attributes, "shape"));
        format!("{} {name} {shape} {} {}", self.ty, of(&self.attributes), idle.join(" ")).trim_end().to_owned()
    }
}

/// The object that was asked for, with what the target answers.
fn made(planned: &Value, id: &str, op: &str, port: &str) -> Value {
    let mut object: Map = planned.as_map().cloned().unwrap_or_default();
    let value = text(planned, "value").to_owned();
    object.insert("id".into(), Value::string(id));
    object.insert("token".into(), Value::string(format!("token-{op}")));
    object.insert("host".into(), Value::string(format!("{value}.{port}")));
    Value::object(object).unmark_deep().0
}

/// The provider.
pub(super) struct SimProvider {
    world: Arc<World>,
    schemas: Vec<ResourceSchema>,
}

impl SimProvider {
    pub(super) fn new(world: &Arc<World>, schemas: Vec<ResourceSchema>) -> Self {
        Self { world: Arc::clone(world), schemas }
    }

    fn target<T>(&self, work: impl FnOnce(&mut Shared<Target>) -> T) -> T {
        let now = self.world.clock.elapsed();
        self.world.with(|inner| {
            if inner.target.late.iter().any(|(at, _)| *at <= now) {
                inner.target.land(now);
            }
            work(&mut inner.target)
        })
    }

    /// Nobody comes back.
    async fn never(&self) {
        self.world.clock.sleep(Duration::from_secs(1_000_000)).await;
    }
}

fn problem(class: ProblemClass, sentence: &str) -> Problem {
    Problem::new(class, sentence)
}

#[async_trait::async_trait]
impl Provider for SimProvider {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn schemas(&self) -> &[ResourceSchema] {
        &self.schemas
    }

    async fn observe(&self, batch: &[ObserveRequest]) -> Vec<Observation> {
        let fault = self.world.arrive(Site::Observe).await;
        if fault == Some(Fault::HangBefore) {
            self.never().await;
        }
        if fault.is_some() {
            return batch.iter().map(|_| Observation::Unreadable("the target is busy".into())).collect();
        }
        self.target(|target| {
            let one = |request: &ObserveRequest| {
                let identity = &request.prior.identity;
                match target.objects.get(&id_of(identity)).filter(|o| o.made == identity["made"]) {
                    Some(o) => {
                        let version = version_of(identity);
                        let idle = o.versions.get(&version).filter(|_| version != o.serving);
                        let attributes = idle.unwrap_or(&o.attributes).clone();
                        Observation::Present { attributes, readiness: Readiness::Ready }
                    }
                    None => Observation::Absent,
                }
            };
            batch.iter().map(one).collect()
        })
    }

    async fn read(&self, request: &ReadRequest) -> Result<Value, Problem> {
        let fault = self.world.arrive(Site::Data).await;
        self.world.done(fault).await;
        match fault {
            None => {
                let mut object: Map = request.arguments.as_map().cloned().unwrap_or_default();
                let host = format!("{}.echo", text(&request.arguments, "value"));
                object.insert("host".into(), Value::string(host));
                object.insert("id".into(), Value::string("echo"));
                object.insert("token".into(), Value::string("echoed"));
                Ok(Value::object(object).unmark_deep().0)
            }
            Some(Fault::HangBefore) => {
                self.never().await;
                Err(problem(ProblemClass::Transient, "nobody answers"))
            }
            Some(Fault::Denied) => Err(problem(ProblemClass::Denied, "the credentials do not allow it")),
            Some(Fault::Malformed) => Ok(Value::string("nonsense")),
            Some(_) => Err(problem(ProblemClass::Transient, "the target is busy")),
        }
    }

    async fn import(&self, request: &ImportRequest) -> Result<Option<Prior>, Problem> {
        Ok(self.target(|target| {
            let object = target.objects.get(&request.id).filter(|o| o.ty == request.ty)?;
            let identity = object.identity(&request.id, &object.serving);
            Some(Prior { attributes: object.attributes.clone(), identity })
        }))
    }

    async fn find(&self, act: &Act) -> Found {
        let fault = self.world.arrive(Site::Find(act.action)).await;
        if fault == Some(Fault::HangBefore) {
            self.never().await;
        }
        let now = self.world.clock.elapsed();
        self.target(|target| {
            target.sent.entry(act.op.clone()).or_default().looked = Some(now);
            match fault {
                Some(Fault::Stale) => {
                    let sent = target.sent.get(&act.op);
                    if sent.is_none_or(|sent| !sent.done || now < sent.at + STALE) {
                        return Found::NotDone;
                    }
                }
                Some(Fault::CannotTell) => {
                    return Found::CannotTell(format!("look at {} in the target's console", act.address));
                }
                _ => {}
            }
            let found = target.find(act);
            if matches!(found, Found::Done { .. }) {
                let sent = target.sent.entry(act.op.clone()).or_default();
                (sent.open, sent.done) = (false, true);
            }
            found
        })
    }

    async fn act(&self, act: &Act, progress: &dyn Progress) -> Outcome {
        // Somebody else has his turn while it is on its way.
        tokio::task::yield_now().await;
        self.world.with(|inner| inner.op = Some(act.op.clone()));
        let fault = self.world.arrive(Site::Act(act.action)).await;
        let now = self.world.clock.elapsed();
        let unknown = |sentence: &str| Outcome::Unknown(problem(ProblemClass::Transient, sentence));
        let intents = self.world.with(|inner| inner.disk.intents.get(&act.op).copied().unwrap_or(0));
        progress.say("it is being done");
        let refused = match fault {
            Some(Fault::NotSent) => {
                Some(Outcome::NotSent(problem(ProblemClass::Transient, "the target was not reached")))
            }
            Some(Fault::Throttled) => Some(Outcome::Rejected(problem(ProblemClass::Throttled, "slower, please"))),
            Some(Fault::Passing) => Some(Outcome::Rejected(problem(ProblemClass::Transient, "the target is busy"))),
            Some(Fault::Denied) => {
                Some(Outcome::Rejected(problem(ProblemClass::Denied, "the credentials do not allow it")))
            }
            _ => None,
        };
        let done = self.target(|target| {
            target.admit(act, intents, now);
            match fault {
                Some(Fault::LostRequest | Fault::HangBefore) => None,
                Some(Fault::Late | Fault::DieLate) => {
                    target.late.push((now + LATE, act.clone()));
                    None
                }
                _ => {
                    let done = if refused.is_none() { Some(target.change(act)) } else { None };
                    let sent = target.sent.entry(act.op.clone()).or_default();
                    if matches!(done, Some(Ok(_))) {
                        (sent.done, sent.at) = (true, now);
                    }
                    // What the answer tells, the caller knows.
                    sent.open = matches!(fault, None | Some(Fault::Lost | Fault::Hang | Fault::DieAfter));
                    done
                }
            }
        });
        self.world.done(fault).await;
        if fault.is_none() {
            self.target(|target| target.sent.entry(act.op.clone()).or_default().open = false);
        }
        match (fault, refused, done) {
            (Some(Fault::Hang | Fault::HangBefore), ..) => {
                self.never().await;
                unknown("nobody answers")
            }
            (Some(Fault::Lost | Fault::LostRequest | Fault::Late), ..) => unknown("the connection was reset"),
            (_, Some(refused), _) => refused,
            (Some(Fault::Malformed), _, Some(Ok((_, identity)))) => {
                Outcome::Applied { attributes: Value::string("nonsense"), identity }
            }
            (_, _, Some(Ok((attributes, identity)))) => Outcome::Applied { attributes, identity },
            (_, _, Some(Err(why))) => Outcome::Rejected(problem(ProblemClass::Conflict, &why)),
            _ => unknown("nobody knows"),
        }
    }

    async fn evidence(&self, _: &str, identity: &Json) -> Vec<Evidence> {
        if self.world.arrive(Site::Evidence).await.is_some() {
            self.never().await;
        }
        vec![Evidence { name: "log".into(), bytes: format!("the log of {identity}").into_bytes() }]
    }
}

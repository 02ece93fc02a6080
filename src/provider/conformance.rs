//! The suite that every provider passes, against its real target or a faithful double.
//!
//! A provider brings one [`Fixture`] for each type; [`check`] takes it through a whole life and gives what is wrong, one sentence
//! each. What it asks is what recovery rests on (DESIGN.md sections 5 and 7): what was created is read back the same; the
//! same act twice is one effect with one answer; an act whose answer was lost, or whose caller died half-way, is found or can be
//! done again; what is gone can be deleted; nothing that is not understood counts as absent; no secret stands in a problem.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    Act, Action, Found, Lowering, Mode, Observation, ObserveRequest, Outcome, Prior, ProposedChange, Provider,
    Readiness, ResourceSchema, Silent,
};
use crate::addr::{Address, ModulePath, NodeKind};
use crate::value::{Map, Type, Value, convert};

/// How long an act of the suite may take.
const DEADLINE: Duration = Duration::from_mins(2);
/// How long an object has to become ready, and a caller's death to be noticed.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how long callers die, in milliseconds: at once, and while something is under way.
const DEATHS: [u64; 4] = [0, 3, 20, 120];

/// An object of a type, for the suite.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// The type.
    pub ty: &'static str,
    /// What the configuration gives: only attributes and blocks that it sets.
    pub create: Value,
    /// The same object changed in place.
    pub update: Value,
    /// An object that cannot be created, with `secret` in a sensitive attribute where the type has one.
    pub failing: Option<Value>,
    /// The text that must stand nowhere.
    pub secret: &'static str,
    /// Whether the target shows that an object is gone.
    pub seen_gone: bool,
}

/// Something that a provider does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The type.
    pub ty: String,
    /// The rule that is broken.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

struct Suite<'a> {
    provider: &'a dyn Provider,
    schema: &'a ResourceSchema,
    fixture: &'a Fixture,
    acts: u64,
    found: Vec<Violation>,
}

/// Takes every fixture through the suite and gives all that is wrong.
pub async fn check(provider: &dyn Provider, fixtures: &[Fixture]) -> Vec<Violation> {
    let mut all = Vec::new();
    for fixture in fixtures {
        let Some(schema) = provider.schemas().iter().find(|s| s.ty == fixture.ty) else {
            let seen = "there is no schema for it".to_owned();
            all.push(Violation { ty: fixture.ty.to_owned(), rule: "every type has a schema", seen });
            continue;
        };
        let mut suite = Suite { provider, schema, fixture, acts: 0, found: Vec::new() };
        suite.schema();
        suite.nonsense().await;
        suite.life().await;
        suite.failure().await;
        for after in DEATHS {
            suite.death(Duration::from_millis(after)).await;
        }
        all.extend(suite.found);
    }
    all
}

impl Suite<'_> {
    fn wrong(&mut self, rule: &'static str, seen: impl Into<String>) {
        self.found.push(Violation { ty: self.fixture.ty.to_owned(), rule, seen: seen.into() });
    }

    fn hold(&mut self, rule: &'static str, holds: bool, seen: impl FnOnce() -> String) {
        if !holds {
            self.wrong(rule, seen());
        }
    }

    /// The object as the planner would ask for it.
    fn planned(&self, given: &Value, prior: Option<&Value>) -> Value {
        let mut map = given.as_map().cloned().unwrap_or_default();
        for (name, attribute) in &self.schema.attributes {
            let absent = map.get(name).is_none_or(Value::is_null);
            if let Some(default) = attribute.default.as_ref().filter(|_| absent) {
                map.insert(name.clone(), default.clone());
            }
            if let Some(normalise) = attribute.normalise
                && let Some(value) = map.get_mut(name)
            {
                *value = normalise(value);
            }
        }
        let proposed = self.typed(map);
        let Some(compute) = self.schema.compute else { return proposed };
        let mut map = proposed.as_map().cloned().unwrap_or_default();
        for (name, value) in compute(&ProposedChange { proposed: &proposed, prior, changed: true }) {
            if value.is_wholly_known() {
                map.insert(name.into(), value);
            }
        }
        self.typed(map)
    }

    fn typed(&self, map: Map) -> Value {
        let value = Value::object(map);
        convert(&value, &self.schema.object_type()).unwrap_or(value)
    }

    fn address(&self) -> Address {
        Address::new(ModulePath::root(), NodeKind::Resource, self.fixture.ty, "subject")
    }

    fn act(&mut self, action: Action, planned: Value, prior: Option<&Prior>) -> Act {
        self.acts += 1;
        Act {
            action,
            ty: self.fixture.ty.to_owned(),
            address: self.address(),
            op: format!("conformance-{}-{}", crate::ports::id::random_hex::<8>(), self.acts),
            generation: 1,
            planned,
            prior: prior.cloned(),
            staged: None,
            deadline: DEADLINE,
        }
    }

    /// Does an act, with everything that has to hold for every act. What it answered, if it worked.
    async fn done(&mut self, act: &Act) -> Option<Prior> {
        let before = self.provider.find(act).await;
        let fresh = matches!(before, Found::NotDone | Found::Repeat(_));
        self.hold("an act that was never sent is found not done", fresh, || {
            format!("{}: {before:?}", act.action.word())
        });
        let first = match self.provider.act(act, &Silent).await {
            Outcome::Applied { attributes, identity } => Prior { attributes, identity },
            other => {
                self.wrong("an act on a good object is applied", format!("{}: {other:?}", act.action.word()));
                return None;
            }
        };
        // Its answer is lost: nobody but the provider knows of it.
        match self.provider.find(act).await {
            Found::Done { attributes, identity } => {
                let found = Prior { attributes, identity };
                self.hold("what is found is what was answered", self.alike(&found, &first), || {
                    format!("{found:?} for {first:?}")
                });
            }
            Found::NotDone | Found::Repeat(_) => {}
            other => self.wrong("an act whose answer was lost is found, or can be done again", format!("{other:?}")),
        }
        match self.provider.act(act, &Silent).await {
            Outcome::Applied { attributes, identity } => {
                let again = Prior { attributes, identity };
                self.hold("the same act twice gives one answer", self.alike(&again, &first), || {
                    format!("{again:?} for {first:?}")
                });
            }
            other => self.wrong("the same act twice is applied once", format!("{}: {other:?}", act.action.word())),
        }
        self.hold("no identity holds a secret", !first.identity.to_string().contains(self.fixture.secret), || {
            "the identity has it in clear".to_owned()
        });
        if !act.planned.is_null() {
            self.answered(act, &first);
        }
        Some(first)
    }

    /// An answer keeps what was planned, and is complete.
    fn answered(&mut self, act: &Act, answer: &Prior) {
        let known = answer.attributes.is_wholly_known();
        self.hold("an answer is wholly known", known, || format!("{:?}", answer.attributes));
        let fits = convert(&answer.attributes, &self.schema.object_type()).is_ok_and(|v| v == answer.attributes);
        self.hold("an answer has the schema's types", fits, || format!("{:?}", answer.attributes));
        let planned = act.planned.as_map().cloned().unwrap_or_default();
        for (name, value) in planned {
            let staged = act.action == Action::Stage && self.schema.attributes.get(&*name).is_some_and(|a| a.staged);
            let is = answer.attributes.get(&name);
            if !value.is_null() && !staged && is != Some(&value) {
                self.wrong("a planned value is answered as planned", format!("{name}: {is:?} for {value:?}"));
            }
        }
    }

    async fn observe(&self, prior: &Prior) -> Observation {
        let request = ObserveRequest {
            provider: String::new(),
            address: self.address(),
            ty: self.fixture.ty.to_owned(),
            prior: prior.clone(),
        };
        let mut answers = self.provider.observe(std::slice::from_ref(&request)).await;
        if answers.len() == 1 {
            answers.remove(0)
        } else {
            Observation::Unreadable("not one answer for one question".into())
        }
    }

    /// The attributes without those that take no part in comparisons: they may change by themselves.
    fn lasting(&self, attributes: &Value) -> Value {
        let Some(all) = attributes.as_map() else { return attributes.clone() };
        let lasts = |name: &str| !self.schema.attributes.get(name).is_some_and(|attribute| attribute.ignored);
        Value::object(all.iter().filter(|(name, _)| lasts(name)).map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    fn alike(&self, one: &Prior, other: &Prior) -> bool {
        one.identity == other.identity && self.lasting(&one.attributes) == self.lasting(&other.attributes)
    }

    /// What is there is what was answered, and gets ready.
    async fn reads_back(&mut self, prior: &Prior) {
        let ready = async {
            loop {
                match self.observe(prior).await {
                    Observation::Present { readiness: Readiness::Pending(_), .. } => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    other => return other,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, ready).await {
            Ok(Observation::Present { attributes, readiness: Readiness::Ready }) => {
                let same = self.lasting(&attributes) == self.lasting(&prior.attributes);
                self.hold("what was made reads back the same", same, || {
                    format!("{attributes:?} for {:?}", prior.attributes)
                });
            }
            Ok(other) => self.wrong("what was made is there and ready", format!("{other:?}")),
            Err(_) => self.wrong("what was made is there and ready", "it stays pending"),
        }
    }

    /// create, read, change, delete.
    async fn life(&mut self) {
        let planned = self.planned(&self.fixture.create, None);
        let act = self.act(Action::Create, planned, None);
        let Some(made) = self.done(&act).await else { return };
        self.reads_back(&made).await;
        let planned = self.planned(&self.fixture.update, Some(&made.attributes));
        let changed = match self.schema.lowering {
            Lowering::Workload => self.roll(&made, planned).await,
            Lowering::Direct | Lowering::InProcess => {
                let act = self.act(Action::Update, planned, Some(&made));
                self.done(&act).await
            }
        };
        let last = changed.unwrap_or(made);
        self.reads_back(&last).await;
        self.delete(&last).await;
    }

    async fn delete(&mut self, prior: &Prior) {
        for _ in 0..2 {
            // The second is another act on what is gone already.
            let act = self.act(Action::Delete, Value::null(Type::Any), Some(prior));
            for _ in 0..2 {
                match self.provider.act(&act, &Silent).await {
                    Outcome::Applied { attributes, .. } => {
                        self.hold("a deleted object is null", attributes.is_null(), || format!("{attributes:?}"));
                    }
                    other => self.wrong("what is there or gone is deleted", format!("{other:?}")),
                }
            }
        }
        if self.fixture.seen_gone {
            let seen = self.observe(prior).await;
            self.hold("what was deleted is absent", seen == Observation::Absent, || format!("{seen:?}"));
        }
    }

    /// stage, switch, back, forward, retire.
    async fn roll(&mut self, old: &Prior, planned: Value) -> Option<Prior> {
        let act = self.act(Action::Stage, planned.clone(), Some(old));
        let staged = self.done(&act).await?;
        self.reads_back(old).await;
        let mut served = None;
        for (to, from) in [(&staged, old), (old, &staged), (&staged, old)] {
            let asked = if to.identity == staged.identity { planned.clone() } else { old.attributes.clone() };
            let mut act = self.act(Action::Switch, asked, Some(from));
            act.staged = Some(to.identity.clone());
            served = self.done(&act).await;
        }
        let act = self.act(Action::Retire, Value::null(Type::Any), Some(old));
        self.done(&act).await;
        served
    }

    /// An object that cannot be made: a problem, no secret in it, and nothing left.
    async fn failure(&mut self) {
        let Some(failing) = self.fixture.failing.clone() else { return };
        let planned = self.planned(&failing, None);
        let act = self.act(Action::Create, planned, None);
        let outcome = self.provider.act(&act, &Silent).await;
        let (Outcome::Rejected(problem) | Outcome::NotSent(problem)) = &outcome else {
            self.wrong("a bad object is rejected", format!("{outcome:?}"));
            return;
        };
        let mut text = format!("{outcome:?}");
        for piece in &problem.evidence {
            text.push_str(&String::from_utf8_lossy(&piece.bytes));
        }
        self.hold("no problem holds a secret", !text.contains(self.fixture.secret), || {
            "one has it in clear".to_owned()
        });
        let sentence = problem.sentence.trim();
        self.hold("a problem is a sentence", sentence.len() > 10 && sentence.ends_with('.'), || sentence.to_owned());
        let found = self.provider.find(&act).await;
        let settled = matches!(found, Found::Failed(_) | Found::NotDone | Found::Repeat(_));
        self.hold("a failed act is found failed or not done", settled, || format!("{found:?}"));
    }

    /// The caller dies while its act is under way; the next one looks, and ends where nobody had died.
    async fn death(&mut self, after: Duration) {
        let planned = self.planned(&self.fixture.create, None);
        let act = self.act(Action::Create, planned, None);
        let _ = tokio::time::timeout(after, self.provider.act(&act, &Silent)).await;
        let found = self.provider.find(&act).await;
        let prior = match found {
            Found::Done { attributes, identity } => Prior { attributes, identity },
            Found::NotDone | Found::Repeat(_) => match self.provider.act(&act, &Silent).await {
                Outcome::Applied { attributes, identity } => Prior { attributes, identity },
                other => return self.wrong("an interrupted act can be done again", format!("{other:?}")),
            },
            other => return self.wrong("an interrupted act is found or not done", format!("{other:?}")),
        };
        self.reads_back(&prior).await;
        self.delete(&prior).await;
    }

    /// What makes no sense is refused, never a panic and never an absence.
    async fn nonsense(&mut self) {
        let nothing = Prior { attributes: Value::null(Type::Any), identity: Json::Null };
        let seen = self.observe(&nothing).await;
        self.hold("a record that is not understood is not absent", seen != Observation::Absent, || format!("{seen:?}"));
        for action in [Action::Create, Action::Update, Action::Switch, Action::Retire] {
            let prior = (action != Action::Create).then_some(&nothing);
            let act = self.act(action, Value::object(Map::new()), prior);
            let outcome = self.provider.act(&act, &Silent).await;
            let refused = matches!(outcome, Outcome::Rejected(_) | Outcome::NotSent(_));
            let lenient = self.schema.attributes.values().all(|a| a.mode != Mode::Required) && action == Action::Create;
            self.hold("an act that makes no sense is refused", refused || lenient, || {
                format!("{}: {outcome:?}", action.word())
            });
        }
    }

    fn schema(&mut self) {
        let schema = self.schema;
        for (name, attribute) in &schema.attributes {
            let contradiction = match attribute.mode {
                Mode::Required | Mode::Computed => attribute.default.is_some(),
                Mode::Optional | Mode::OptionalComputed => {
                    attribute.default.as_ref().is_some_and(|d| convert(d, &attribute.ty).is_err())
                }
            };
            self.hold("a default is for what may be left out, and of its type", !contradiction, || name.to_string());
            self.hold("every attribute is documented", attribute.doc.ends_with('.'), || name.to_string());
        }
        let twice: Vec<_> = schema.blocks.keys().filter(|name| schema.attributes.contains_key(*name)).collect();
        self.hold("no name is both an attribute and a block", twice.is_empty(), || format!("{twice:?}"));
        let deadline = (schema.deadline)(&self.planned(&self.fixture.create, None));
        self.hold("an act may take some time", deadline > Duration::ZERO, || format!("{deadline:?}"));
        let faults =
            schema.validate.map(|validate| validate(&self.planned(&self.fixture.create, None))).unwrap_or_default();
        self.hold("a good object is valid", faults.is_empty(), || format!("{faults:?}"));
    }
}

//! From a planned step to what it does: the planned values are finished with the results of the steps before it, and the act
//! gets its identity. Pure.

use std::sync::Arc;

use super::check;
use super::condition;
use super::job::{ActJob, CheckJob, Failure, Job, MigrateJob, Name, PinJob, Prepared, Witness};
use super::reach::There;
use super::request::{self, Asked, fill_in, finish_all};
use super::results::{RunResults, With};
use super::runner::Runner;
use crate::ledger::State;
use crate::ledger::event::{CheckJudged, Event, Phase, StepIntended, StepResult, StepSucceeded};
use crate::ledger::record::Record;
use crate::plan::change::{Assertion, MigrateHow, PlannedMigration};
use crate::plan::step::{ActStep, CheckStep, ImportStep, Step, Work};
use crate::plan::{Plan, assertions};
use crate::provider::{Act, Action, AwaitRequest, Lowering, Mode, Prior, ReadRequest, ResourceSchema, not_configured};
use crate::value::{Kind, Results as _, Type, Unfinished, Value, encode_kept};

/// How many workloads' evidence is looked at when a check fails: each may have many logs.
const MAX_WITNESSES: usize = 5;

/// How long a migration in a target may take, where its runner says nothing.
const TASK: std::time::Duration = std::time::Duration::from_secs(3600);

/// A plan in the hands of a runner.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) runner: &'a Runner,
    pub(crate) plan: &'a Plan,
    /// The generation that objects are made in.
    pub(crate) generation: u64,
    /// Whether the run goes back.
    pub(crate) unwinding: bool,
}

impl<'a> Scene<'a> {
    pub(crate) fn step(&self, at: usize) -> &'a Step {
        &self.plan.steps[at]
    }

    pub(crate) fn schema(&self, step: &Step) -> Option<&'a ResourceSchema> {
        self.plan.schemas.get(&*step.address.ty).map(|s| &**s)
    }

    pub(crate) fn name(&self, at: usize) -> Name {
        let step = self.step(at);
        Name {
            step: step.name.clone(),
            address: step.address.clone(),
            action: action(&step.work),
            unwinding: self.unwinding,
        }
    }

    /// What starting a step means.
    pub(crate) fn prepare(
        &self,
        at: usize,
        attempt: u32,
        results: &mut RunResults,
        state: &State,
    ) -> Result<Prepared, Failure> {
        let step = self.step(at);
        if let Some(why) = self.broken_condition(step, results) {
            return Err(Failure::not_sent(why));
        }
        let (job, request) = match &step.work {
            Work::Barrier | Work::Commit => return Ok(self.nothing(step)),
            Work::Forget => return Ok(self.forget(step, state)),
            Work::Record(observed) => return Ok(self.recorded(step, observed, state)),
            Work::Move { from } => return Ok(self.moved(step, from, state)),
            Work::Assert(all) => return Ok(self.assertions(step, all, results)),
            Work::Import(import) => return Ok(self.imported(step, import, state)),
            Work::Act(act) => match self.act(step, act, results, state)? {
                Ok(job) => {
                    let identity = job.act.prior.as_ref().map(|p| &p.identity);
                    let identity = identity.filter(|_| is_going(act.action));
                    let request = request::request_digest(&job.asked.request, identity, &*self.runner.seal);
                    (Job::Act(Box::new(job)), request)
                }
                Err(done) => return Ok(done),
            },
            Work::Await { provider, deadline, .. } => {
                let ask = awaited(step, *deadline, results, state)?;
                let request = request::sha256(ask.made.identity.to_string().as_bytes());
                (Job::Await { provider: self.provider(provider)?, request: Box::new(ask) }, request)
            }
            Work::Read { provider, arguments, .. } => {
                let arguments = finish_all(arguments, results).map_err(|e| not_available(&e))?;
                let request = request::request_digest(&arguments, None, &*self.runner.seal);
                let (address, ty) = (step.address.clone(), step.address.ty.to_string());
                let ask = ReadRequest { provider: provider.clone(), address, ty, arguments };
                (Job::Read { provider: self.provider(provider)?, request: ask }, request)
            }
            Work::Pin(pin) => {
                if let Some(pin) = &pin.recorded {
                    let event = Event::ArtifactPinned {
                        step: step.name.clone(),
                        address: step.address.clone(),
                        pin: pin.clone(),
                    };
                    results.set(&step.address, crate::plan::pinned(pin, &self.runner.blobs));
                    return Ok(Prepared::Done(vec![event]));
                }
                let source = finish_all(&pin.source, results).map_err(|e| not_available(&e))?;
                let text = source.as_str().ok_or_else(|| Failure::not_sent("The artifact names no file or image."))?;
                let change = self.plan.changes.binary_search_by(|c| c.address.cmp(&step.address));
                let after = change.ok().and_then(|n| self.plan.changes[n].after.as_ref());
                (Job::Pin(PinJob::new(pin, text, after)), request::sha256(text.as_bytes()))
            }
            Work::Migrate { url, migration, how } | Work::Revert { url, migration, how } => {
                let there = self.there(&step.address, how, migration.version, (results, state))?;
                let job = self.migration(url, migration, (how, there), results)?;
                let request = request::sha256(migration.checksum.as_bytes());
                (if matches!(step.work, Work::Migrate { .. }) { Job::Migrate(job) } else { Job::Revert(job) }, request)
            }
            Work::Check(check) => {
                let job = self.check(at, check, results, state)?;
                let request = request::request_digest(&check.configuration, None, &*self.runner.seal);
                (Job::Check(Box::new(job)), request)
            }
        };
        Ok(Prepared::Job(self.intent(step, attempt, request), job).with_op())
    }

    /// Why a step must not start: a condition that is known by now and does not hold. On the way back there are none.
    fn broken_condition(&self, step: &Step, results: &RunResults) -> Option<String> {
        match step.work {
            _ if self.unwinding => None,
            Work::Barrier => None,
            Work::Commit => condition::broken(&self.plan.conditions, results, false),
            _ => condition::broken_before(&self.plan.conditions, &step.address, results),
        }
    }

    fn intent(&self, step: &Step, attempt: u32, request: String) -> StepIntended {
        let action = action(&step.work);
        let op = request::op(&self.runner.lineage, &step.address, self.generation, &action, self.unwinding, &request);
        StepIntended {
            step: step.name.clone(),
            address: step.address.clone(),
            action,
            op,
            request,
            attempt,
            unwinding: self.unwinding,
        }
    }

    fn succeeded(&self, step: &Step, result: StepResult) -> Event {
        Event::StepSucceeded(StepSucceeded {
            step: step.name.clone(),
            address: step.address.clone(),
            result,
            unwinding: self.unwinding,
        })
    }

    fn nothing(&self, step: &Step) -> Prepared {
        Prepared::Done(vec![self.succeeded(step, StepResult::Nothing)])
    }

    /// A batch may have been cut between the two entries, so a record that is gone already is fine.
    fn forget(&self, step: &Step, state: &State) -> Prepared {
        let mut events = Vec::new();
        // A move of this run may stand in the same batch, so that the state does not have it yet.
        let change = self.plan.changes.binary_search_by(|c| c.address.cmp(&step.address)).ok();
        let moved_from = change.and_then(|n| self.plan.changes[n].moved_from.as_ref());
        let moving = moved_from.is_some_and(|from| state.records.contains_key(from));
        if moving || state.records.contains_key(&step.address) {
            events.push(Event::Removed { address: step.address.clone(), reason: None });
        }
        events.push(self.succeeded(step, StepResult::Nothing));
        Prepared::Done(events)
    }

    /// The object as it was found, everything else as it was recorded. The entry alone is the act.
    fn recorded(&self, step: &Step, observed: &Value, state: &State) -> Prepared {
        let result = match state.records.get(&step.address) {
            Some(before) => {
                let attributes = encode_kept(observed, self.runner.keep());
                StepResult::Recorded { record: Box::new(Record { attributes, ..(**before).clone() }) }
            }
            None => StepResult::Nothing,
        };
        Prepared::Done(vec![self.succeeded(step, result)])
    }

    fn moved(&self, step: &Step, from: &crate::addr::Address, state: &State) -> Prepared {
        let mut events = Vec::new();
        if state.records.contains_key(from) && !state.records.contains_key(&step.address) {
            events.push(Event::Moved { from: from.clone(), to: step.address.clone(), reason: None });
        }
        events.push(self.succeeded(step, StepResult::Nothing));
        Prepared::Done(events)
    }

    /// The entry alone is the act: nothing outside is touched, so a crash leaves it done or not done. Where a batch was cut
    /// between the entries, the record is there already.
    fn imported(&self, step: &Step, import: &ImportStep, state: &State) -> Prepared {
        let mut events = Vec::new();
        if !state.records.contains_key(&step.address) {
            let record = Box::new(Record {
                ty: step.address.ty.to_string(),
                provider: import.provider.clone(),
                identity: import.object.identity.clone(),
                inputs: encode_kept(&import.inputs, self.runner.keep()),
                attributes: encode_kept(&import.object.attributes, self.runner.keep()),
                dependencies: import.dependencies.clone(),
                schema: import.schema,
                generation: self.generation,
                create_before_destroy: import.create_before_destroy,
                imported: Some(import.id.clone()),
            });
            let (address, id) = (step.address.clone(), import.id.clone());
            events.push(Event::Imported { step: step.name.clone(), address, id, record });
        }
        events.push(self.succeeded(step, StepResult::Nothing));
        Prepared::Done(events)
    }

    /// What a `check` block came to. It fails nothing, so the step is done either way.
    fn assertions(&self, step: &Step, all: &[Assertion], results: &RunResults) -> Prepared {
        let broken: Vec<String> = all.iter().filter_map(|assertion| broken(assertion, results)).collect();
        let sentence = match broken.as_slice() {
            [] if all.len() == 1 => "the assertion holds".to_owned(),
            [] => format!("all {} assertions hold", all.len()),
            some => some.join("; "),
        };
        Prepared::Done(vec![Event::CheckJudged(CheckJudged {
            step: step.name.clone(),
            address: step.address.clone(),
            phase: Phase::Verify,
            workload: None,
            passed: broken.is_empty(),
            sentence,
            evidence: Vec::new(),
            unwinding: self.unwinding,
        })])
    }

    fn migration(
        &self,
        url: &Value,
        migration: &PlannedMigration,
        (how, there): (&Arc<MigrateHow>, Option<There>),
        results: &RunResults,
    ) -> Result<MigrateJob, Failure> {
        let url = finish_all(url, results).map_err(|e| not_available(&e))?;
        self.runner.scrub.learn(&url.clone().sensitive());
        let none = there.as_ref().filter(|there| there.is_command).map(|_| "");
        let url =
            url.as_str().or(none).ok_or_else(|| Failure::not_sent("The migration's database is no URL."))?.to_owned();
        Ok(MigrateJob { url, migration: migration.clone(), how: Arc::clone(how), there })
    }

    /// The target in which a migration is carried out, if one is named.
    fn there(
        &self,
        address: &crate::addr::Address,
        how: &MigrateHow,
        version: u64,
        (results, state): (&RunResults, &State),
    ) -> Result<Option<There>, Failure> {
        let Some(runner) = &how.runner else { return Ok(None) };
        let stored = state.migrations.get(address).into_iter().flatten();
        let stored = stored.rev().find(|applied| applied.version == version);
        let settings = finish_all(&runner.settings, results).map_err(|e| not_available(&e))?;
        self.runner.scrub.learn(&settings);
        let said = settings.get_str("timeout").and_then(|text| crate::plan::duration::parse(text).ok());
        Ok(Some(There {
            provider: self.provider(&runner.provider)?,
            address: address.clone(),
            is_command: runner.is_command,
            series: format!("{}|{address}", self.runner.lineage),
            key: String::new(),
            deadline: said.unwrap_or(TASK),
            settings,
            stored_down: stored.and_then(|applied| applied.down.clone()),
        }))
    }

    fn provider(&self, name: &str) -> Result<std::sync::Arc<dyn crate::provider::Provider>, Failure> {
        let found = self.runner.providers.get(name);
        found.ok_or_else(|| Failure::not_sent(not_configured(name)))
    }

    /// A provider's act, or what stands for it where nothing has to be done outside.
    fn act(
        &self,
        step: &Step,
        act: &ActStep,
        results: &mut RunResults,
        state: &State,
    ) -> Result<Result<ActJob, Prepared>, Failure> {
        let schema = self.schema(step);
        let going = is_going(act.action);
        let prior = match going_version(act, results) {
            Going::Nothing => return Ok(Err(self.nothing(step))),
            Going::Version(prior) => {
                // What serves is never retired, whatever the plan took for a leftover.
                if identity_of(&step.address, results, state) == Some(&prior.identity) {
                    return Ok(Err(self.nothing(step)));
                }
                Some(prior)
            }
            Going::Object if act.action == Action::Create => None,
            Going::Object => act.prior.clone(),
        };
        let staged = match act.action {
            Action::Switch => {
                let staged = results.staged(&step.address);
                Some(staged.ok_or_else(|| Failure::not_sent("There is no staged version to switch to."))?.0.clone())
            }
            _ => None,
        };
        // The record is made of these when the act is done; what is wrong with them has to show before it. What goes leaves no
        // record, and what takes its place may wait for steps that come later.
        if !going {
            fill_in(&act.inputs, &step.address, results).map_err(|e| not_available(&e))?;
        }
        let asked = if going {
            let planned = Value::null(schema.map_or(Type::Any, ResourceSchema::object_type));
            Asked { request: planned.clone(), expected: planned }
        } else {
            fill_in(&left_to_the_target(act, schema), &step.address, results).map_err(|e| not_available(&e))?
        };
        self.runner.scrub.learn(&asked.request);
        let deadline = match schema {
            Some(schema) if !going => (schema.deadline)(&asked.request),
            _ => act.deadline,
        };
        let call = Act {
            action: act.action,
            ty: step.address.ty.to_string(),
            address: step.address.clone(),
            op: String::new(),
            generation: self.generation,
            planned: asked.request.clone(),
            prior,
            staged,
            deadline,
        };
        let provider = self.provider(&act.provider)?;
        Ok(Ok(ActJob { provider, act: call, asked, settle: act.settle, in_process: act.in_process }))
    }

    /// The record of an object.
    pub(crate) fn record(
        &self,
        step: &Step,
        act: &ActStep,
        attributes: &Value,
        identity: serde_json::Value,
        results: &RunResults,
    ) -> Result<Record, Failure> {
        let inputs = fill_in(&act.inputs, &step.address, results).map_err(|e| not_available(&e))?;
        let encoded = |object: &Value| match self.schema(step) {
            Some(schema) => schema.encode(object, self.runner.keep()),
            None => encode_kept(object, self.runner.keep()),
        };
        Ok(Record {
            ty: step.address.ty.to_string(),
            provider: act.provider.clone(),
            identity,
            inputs: encoded(&inputs.request),
            attributes: encoded(attributes),
            dependencies: act.dependencies.clone(),
            schema: act.schema,
            generation: self.generation,
            create_before_destroy: act.create_before_destroy,
            imported: act.imported.clone(),
        })
    }

    fn check(&self, at: usize, check: &CheckStep, results: &RunResults, state: &State) -> Result<CheckJob, Failure> {
        let step = self.step(at);
        let staged = check.workload.as_ref().and_then(|w| Some((w, results.staged(w)?)));
        let configuration = match staged {
            Some((node, (_, object))) => finish_all(&check.configuration, &With { results, node, object }),
            None => finish_all(&check.configuration, results),
        };
        let configuration = configuration.map_err(|e| not_available(&e))?;
        self.runner.scrub.learn(&configuration);
        let (probe, judge, secrets) = check::read(&configuration, step.address.kind).map_err(Failure::not_sent)?;
        let witnesses = match staged {
            Some((node, (identity, _))) => self.witness(node, identity.clone()).into_iter().collect(),
            None => self.witnesses(at, results, state),
        };
        Ok(CheckJob { phase: check.phase, workload: check.workload.clone(), probe, judge, secrets, witnesses })
    }

    fn witness(&self, address: &crate::addr::Address, identity: serde_json::Value) -> Option<Witness> {
        let provider = self.plan.steps.iter().find_map(|s| match &s.work {
            Work::Act(act) if s.address == *address => Some(act.provider.clone()),
            _ => None,
        })?;
        Some(Witness { address: address.clone(), provider, identity })
    }

    /// The workloads that a step comes after; in a plan that changes none, those that are recorded.
    fn witnesses(&self, at: usize, results: &RunResults, state: &State) -> Vec<Witness> {
        let is_workload = |ty: &str| self.plan.schemas.get(ty).is_some_and(|s| s.lowering == Lowering::Workload);
        let mut found = std::collections::BTreeSet::new();
        let (mut open, mut seen) = (vec![at], std::collections::BTreeSet::new());
        while let Some(step) = open.pop() {
            if !seen.insert(step) {
                continue;
            }
            let step = self.step(step);
            if matches!(step.work, Work::Act(_)) && is_workload(&step.address.ty) {
                found.insert(step.address.clone());
            }
            open.extend(&step.after);
        }
        if found.is_empty() {
            found.extend(state.records.iter().filter(|(_, r)| is_workload(&r.ty)).map(|(a, _)| a.clone()));
        }
        let witness = |address: crate::addr::Address| {
            let identity = identity_of(&address, results, state)?.clone();
            match state.records.get(&address) {
                Some(record) => Some(Witness { provider: record.provider.clone(), identity, address }),
                None => self.witness(&address, identity),
            }
        };
        found.into_iter().filter_map(witness).take(MAX_WITNESSES).collect()
    }
}

impl Prepared {
    /// The act carries the identity that its intent has.
    fn with_op(mut self) -> Self {
        if let Self::Job(intent, job) = &mut self {
            let op = intent.op.clone();
            job.identified(&op);
        }
        self
    }
}

/// What finds an object now: as this run left it, which may not be durable yet, or as recorded.
fn identity_of<'s>(
    address: &crate::addr::Address,
    results: &'s RunResults,
    state: &'s State,
) -> Option<&'s serde_json::Value> {
    results.identity(address).or_else(|| state.records.get(address).map(|r| &r.identity))
}

/// What is planned, where a secret that the target made itself is at hand as a digest only: that is left to it to answer.
fn left_to_the_target(act: &ActStep, schema: Option<&ResourceSchema>) -> Value {
    let (Some(schema), Kind::Object(planned)) = (schema, &act.planned.kind) else { return act.planned.clone() };
    let sealed = |name: &str, value: &Value| {
        let computed =
            schema.attributes.get(name).is_some_and(|a| a.mode != Mode::Required && a.mode != Mode::Optional);
        let asked = act.inputs.get(name).is_some_and(|v| !v.is_null());
        computed && !asked && value.sealed_digest().is_some()
    };
    if !planned.iter().any(|(name, value)| sealed(name, value)) {
        return act.planned.clone();
    }
    let open = |(name, value): (&std::sync::Arc<str>, &Value)| {
        let open = if sealed(name, value) { Value::opaque(value.ty()).mark(value.marks) } else { value.clone() };
        (name.clone(), open)
    };
    Value::object(planned.iter().map(open).collect()).mark(act.planned.marks)
}

/// What a step that takes something away takes.
enum Going {
    /// The version is gone, or there never was one.
    Nothing,
    /// A version beside the object.
    Version(Prior),
    /// The object itself.
    Object,
}

fn going_version(act: &ActStep, results: &RunResults) -> Going {
    if !is_going(act.action) {
        return Going::Object;
    }
    let attributes = || act.prior.as_ref().map_or_else(|| Value::null(Type::Any), |p| p.attributes.clone());
    match (act.follows, &act.version) {
        // What the switch left decides, for it may have gone back to the very version that stood before.
        (Some(follows), _) => match results.leftover(follows) {
            Some(identity) => Going::Version(Prior { attributes: attributes(), identity: identity.clone() }),
            None => Going::Nothing,
        },
        (None, Some(identity)) => Going::Version(Prior { attributes: attributes(), identity: identity.clone() }),
        (None, None) if act.action == Action::Retire => Going::Nothing,
        (None, None) => Going::Object,
    }
}

/// Whether a step takes a version away, not the object itself.
pub(crate) fn takes_a_version(act: &ActStep) -> bool {
    is_going(act.action) && (act.follows.is_some() || act.version.is_some() || act.action == Action::Retire)
}

pub(crate) fn is_going(action: Action) -> bool {
    matches!(action, Action::Delete | Action::Retire)
}

/// The object that a step waits for, as the act before it left it.
fn awaited(
    step: &Step,
    deadline: std::time::Duration,
    results: &RunResults,
    state: &State,
) -> Result<AwaitRequest, Failure> {
    let identity = identity_of(&step.address, results, state).cloned();
    let (Some(attributes), Some(identity)) = (results.result(&step.address), identity) else {
        return Err(Failure::not_sent("There is nothing to wait for: the object is not recorded."));
    };
    let made = Prior { attributes, identity };
    Ok(AwaitRequest { address: step.address.clone(), ty: step.address.ty.to_string(), made, deadline })
}

/// What a step does, in a word or two.
pub(crate) fn action(work: &Work) -> String {
    match work {
        Work::Barrier => "wait".into(),
        Work::Act(act) => act.word().into(),
        Work::Await { .. } => "await".into(),
        Work::Read { .. } => "read".into(),
        Work::Pin(_) => "pin".into(),
        Work::Migrate { migration, .. } => format!("migrate {}", migration.version),
        Work::Revert { migration, .. } => format!("revert {}", migration.version),
        Work::Check(check) => check.phase.word().into(),
        Work::Forget => "forget".into(),
        Work::Record(_) => "record".into(),
        Work::Move { .. } => "move".into(),
        Work::Import(_) => "import".into(),
        Work::Assert(_) => "verify".into(),
        Work::Commit => "commit".into(),
    }
}

/// Why an assertion does not hold, if it does not.
fn broken(assertion: &Assertion, results: &RunResults) -> Option<String> {
    let holds = match finish_all(&assertion.holds, results) {
        Ok(holds) => holds,
        // What was not read has no value, now or later.
        Err(_) if matches!(&assertion.holds.kind, Kind::Unknown(unknown) if unknown.residual.is_none()) => {
            return Some("the condition cannot be evaluated, because what it looks at could not be read".to_owned());
        }
        Err(e) => return Some(format!("the condition cannot be evaluated: {}", e.detail)),
    };
    if holds.as_bool() == Some(true) {
        return None;
    }
    let message = finish_all(&assertion.message, results).unwrap_or_else(|_| Value::opaque(Type::String));
    Some(assertions::shown(&message))
}

fn not_available(e: &Unfinished) -> Failure {
    Failure::not_sent(format!("{}: {}", e.summary, e.detail))
}

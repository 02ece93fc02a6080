//! What a step's answer means for the ledger and for the steps after it.

use serde_json::Value as Json;

use super::job::{Answer, Conclusion, Failure, Job, Kept};
use super::prepare::{Scene, takes_a_version};
use super::request::{Asked, accept, finish_all};
use super::results::{RunResults, With};
use crate::diag::Span;
use crate::ledger::event::{CheckJudged, Event, StepFailed, StepResult, StepSucceeded};
use crate::ledger::record::Pin;
use crate::plan::step::{ActStep, Step, Work};
use crate::provider::Action;
use crate::value::{Results as _, Value, encode_kept};

impl Scene<'_> {
    /// Takes a step's answer in: what is recorded, and what the steps after it get.
    pub(crate) fn conclude(&self, at: usize, job: &Job, answer: Answer, results: &mut RunResults) -> Conclusion {
        let step = self.step(at);
        match (answer, job, &step.work) {
            (Answer::Applied { attributes, identity }, Job::Act(act), Work::Act(planned)) => self.applied(
                at,
                step,
                planned,
                &act.asked,
                act.act.prior.as_ref().map(|p| &p.identity),
                (attributes, identity),
                results,
            ),
            (Answer::Applied { attributes, identity }, Job::Await { .. }, Work::Await { follows, .. }) => {
                self.settled(*follows, step, &attributes, identity, results)
            }
            (Answer::Read(value), _, _) => self.read(step, &value, results),
            (Answer::Pinned(pin), _, Work::Pin(planned)) => {
                let pin = Pin { schema: planned.schema.clone(), committed: planned.committed.clone(), ..pin };
                results.set(&step.address, crate::plan::pinned(&pin, &self.runner.blobs));
                let sentence = pin.digest.clone();
                let event = Event::ArtifactPinned { step: step.name.clone(), address: step.address.clone(), pin };
                Conclusion { events: vec![event], outcome: Ok(Some(sentence)) }
            }
            (Answer::Migrated(migration), _, _) => {
                let event =
                    Event::MigrationApplied { step: step.name.clone(), address: step.address.clone(), migration };
                Conclusion { events: vec![event], outcome: Ok(None) }
            }
            (Answer::Reverted, Job::Revert(job), _) => {
                let version = job.migration.version;
                let event =
                    Event::MigrationReverted { step: step.name.clone(), address: step.address.clone(), version };
                Conclusion { events: vec![event], outcome: Ok(None) }
            }
            (Answer::Judged { passed, sentence, evidence }, Job::Check(check), _) => {
                let event = Event::CheckJudged(CheckJudged {
                    step: step.name.clone(),
                    address: step.address.clone(),
                    phase: check.phase,
                    workload: check.workload.clone(),
                    passed,
                    sentence: sentence.clone(),
                    evidence: evidence.blobs.clone(),
                    unwinding: self.unwinding,
                });
                let failure = || Failure { evidence, ..Failure::rejected(sentence.clone()) };
                let outcome = if passed { Ok(Some(sentence)) } else { Err(failure()) };
                Conclusion { events: vec![event], outcome }
            }
            // The assertions that look at it cannot be evaluated then, and say so.
            (Answer::Failed(failure), _, Work::Read { lenient: true, .. }) => Conclusion {
                events: vec![self.success(step, StepResult::Nothing)],
                outcome: Ok(Some(failure.sentence)),
            },
            (Answer::Failed(failure), _, _) => {
                Conclusion { events: vec![self.failed(step, &failure)], outcome: Err(failure) }
            }
            _ => {
                let failure =
                    Failure::unclear("The step gave an answer that is none of its own; this is a bug in Gantry.");
                Conclusion { events: vec![self.failed(step, &failure)], outcome: Err(failure) }
            }
        }
    }

    /// The entry of a step that failed.
    pub(crate) fn failed(&self, step: &Step, failure: &Failure) -> Event {
        Event::StepFailed(StepFailed {
            step: step.name.clone(),
            address: step.address.clone(),
            kind: failure.kind,
            sentence: failure.sentence.clone(),
            evidence: failure.evidence.blobs.clone(),
            unwinding: self.unwinding,
        })
    }

    fn success(&self, step: &Step, result: StepResult) -> Event {
        Event::StepSucceeded(StepSucceeded {
            step: step.name.clone(),
            address: step.address.clone(),
            result,
            unwinding: self.unwinding,
        })
    }

    fn read(&self, step: &Step, value: &Value, results: &mut RunResults) -> Conclusion {
        let (value, verdict) = accept(value, &Value::null(crate::value::Type::Any), self.schema(step), Action::Create);
        if let Err(why) = verdict {
            let failure = Failure::rejected(format!("The provider gave an unusable answer: {why}."));
            return Conclusion { events: vec![self.failed(step, &failure)], outcome: Err(failure) };
        }
        self.runner.scrub.learn(&value);
        results.set(&step.address, value.clone());
        let attributes = encode_kept(&value, self.runner.keep());
        Conclusion { events: vec![self.success(step, StepResult::Read { attributes })], outcome: Ok(None) }
    }

    #[expect(clippy::too_many_arguments, reason = "an act's answer is told by all of these, and only here")]
    fn applied(
        &self,
        at: usize,
        step: &Step,
        act: &ActStep,
        asked: &Asked,
        gone: Option<&Json>,
        (attributes, identity): (Value, Json),
        results: &mut RunResults,
    ) -> Conclusion {
        if takes_a_version(act) {
            let identity = gone.cloned().unwrap_or(Json::Null);
            return Conclusion {
                events: vec![self.success(step, StepResult::Retired { identity })],
                outcome: Ok(None),
            };
        }
        if act.action == Action::Delete {
            return Conclusion { events: vec![self.success(step, StepResult::Removed)], outcome: Ok(None) };
        }
        let (object, verdict) = accept(&attributes, &asked.expected, self.schema(step), act.action);
        self.runner.scrub.learn(&object);
        let result = match self.result(at, step, act, &object, identity, results) {
            Ok(result) => result,
            Err(failure) => return Conclusion { events: vec![self.failed(step, &failure)], outcome: Err(failure) },
        };
        let mut events = vec![self.success(step, result)];
        let verdict = verdict.map_err(|why| {
            format!(
                "Provider produced an inconsistent result: {why}. What it made is recorded. This is a bug in the provider \"{}\".",
                act.provider
            )
        });
        let verdict = verdict.and_then(|()| {
            if act.action == Action::Stage { Ok(()) } else { postconditions(step, act, &object, results) }
        });
        // The object is there whatever is wrong with it: it is recorded first, so that it is never lost.
        match verdict {
            Ok(()) => Conclusion { events, outcome: Ok(None) },
            Err(why) => {
                let failure = Failure { evidence: Kept::default(), ..Failure::rejected(why) };
                events.push(self.failed(step, &failure));
                Conclusion { events, outcome: Err(failure) }
            }
        }
    }

    /// What was made does what it is there for: it is recorded as it is now.
    fn settled(
        &self,
        follows: usize,
        step: &Step,
        attributes: &Value,
        identity: Json,
        results: &mut RunResults,
    ) -> Conclusion {
        let made = self.step(follows);
        let Work::Act(act) = &made.work else {
            return Conclusion { events: vec![self.success(step, StepResult::Nothing)], outcome: Ok(None) };
        };
        let expected = results.result(&step.address).unwrap_or_else(|| Value::null(crate::value::Type::Any));
        let (object, _) = accept(attributes, &expected, self.schema(step), Action::Update);
        self.runner.scrub.learn(&object);
        let record = self.record(made, act, &object, identity.clone(), results);
        let recorded = record.map(|record| StepResult::Recorded { record: Box::new(record) });
        match recorded.map_err(|failure| (self.failed(step, &failure), failure)) {
            Ok(result) => {
                results.set(&step.address, object);
                results.set_identity(&step.address, identity);
                Conclusion { events: vec![self.success(step, result)], outcome: Ok(None) }
            }
            Err((event, failure)) => Conclusion { events: vec![event], outcome: Err(failure) },
        }
    }

    /// What an object that stands now means for the records, and for the steps after it.
    fn result(
        &self,
        at: usize,
        step: &Step,
        act: &ActStep,
        object: &Value,
        identity: Json,
        results: &mut RunResults,
    ) -> Result<StepResult, Failure> {
        if act.action == Action::Stage {
            let attributes = encode_kept(object, self.runner.keep());
            results.set_staged(&step.address, identity.clone(), object.clone());
            return Ok(StepResult::Staged { identity, attributes });
        }
        let record = Box::new(self.record(step, act, object, identity.clone(), results)?);
        results.set(&step.address, object.clone());
        results.set_identity(&step.address, identity);
        Ok(match leftover(act, &record.identity) {
            Some(leftover) => {
                results.set_leftover(at, leftover.clone());
                StepResult::Switched { record, leftover }
            }
            None => StepResult::Recorded { record },
        })
    }
}

/// For a step that puts a new version in the place of an old one: the old one, if it is another. `None` for other steps.
pub(crate) fn leftover(act: &ActStep, now: &Json) -> Option<Option<Json>> {
    let before = act.prior.as_ref().map(|p| p.identity.clone());
    match act.action {
        Action::Switch => Some(before.filter(|before| before != now)),
        // A replacement that is made before the old object goes.
        Action::Create => before.map(|before| (before != *now).then_some(before)),
        _ => None,
    }
}

fn postconditions(step: &Step, act: &ActStep, object: &Value, results: &RunResults) -> Result<(), String> {
    let with = With { results, node: &step.address, object };
    for (condition, message, _) in &act.postconditions as &[(Value, Value, Span)] {
        let holds = finish_all(condition, &with).map_err(|e| format!("Resource postcondition failed: {}", e.detail))?;
        if holds.as_bool() == Some(true) {
            continue;
        }
        let message = finish_all(message, &with).ok().filter(|m| !m.marks_deep().is_sensitive());
        let message = message.as_ref().and_then(Value::as_str).unwrap_or("its message cannot be shown");
        return Err(format!("Resource postcondition failed: {message}"));
    }
    Ok(())
}

//! What happened in a run, for programs.

use serde_json::{Value as Json, json};

use super::plan::run_kind;
use crate::ledger::event::{Event, EvidenceRef};
use crate::ledger::story::Story;
use crate::view::human::outcome_of;

/// The run's entries in their order, as the ledger has them, but for what was asked for and answered: records, identities and outputs
/// are shown by `show`, in their own form. Evidence comes with its text; one that was collected since has null.
#[must_use]
pub fn show_run(story: &Story) -> Json {
    let started = story.started();
    let ended = story.ended();
    json!({
        "run": story.run,
        "kind": started.map(|(_, started)| run_kind(started.kind)),
        "generation": started.and_then(|(_, started)| started.generation),
        "base": started.and_then(|(_, started)| started.base),
        "effect": started.map(|(_, started)| &started.effect),
        "engine": started.map(|(_, started)| &started.engine),
        "actor": started.map(|(meta, _)| &meta.actor),
        "started": started.map(|(meta, _)| &meta.time),
        "finished": ended.map(|(meta, ..)| &meta.time),
        "duration_seconds": ended.and_then(|(meta, ..)| story.after(meta)).map(|took| took.as_secs_f64()),
        "outcome": ended.map(|(_, outcome, _)| outcome_of(Some(outcome))),
        "sentence": ended.map(|(_, _, sentence)| sentence),
        "events": story.happened.iter().map(|(meta, event)| one(story, &meta.time, meta.seq, event)).collect::<Vec<_>>(),
    })
}

fn one(story: &Story, time: &str, seq: u64, event: &Event) -> Json {
    let seen = |all: &[EvidenceRef]| -> Json {
        let one = |e: &EvidenceRef| json!({ "name": e.name, "blob": e.blob, "text": story.evidence.get(&e.blob) });
        all.iter().map(one).collect()
    };
    let mut out = match event {
        Event::StepIntended(step) => json!({
            "step": step.step, "address": step.address.to_string(), "action": step.action, "attempt": step.attempt,
            "unwinding": step.unwinding,
        }),
        Event::StepSucceeded(step) => {
            json!({ "step": step.step, "address": step.address.to_string(), "unwinding": step.unwinding })
        }
        Event::StepFailed(step) => json!({
            "step": step.step, "address": step.address.to_string(), "class": step.kind, "sentence": step.sentence,
            "evidence": seen(&step.evidence), "unwinding": step.unwinding,
        }),
        Event::CheckJudged(judged) => json!({
            "step": judged.step, "address": judged.address.to_string(), "phase": judged.phase.word(),
            "workload": judged.workload.as_ref().map(ToString::to_string), "passed": judged.passed,
            "sentence": judged.sentence, "evidence": seen(&judged.evidence), "unwinding": judged.unwinding,
        }),
        Event::ArtifactPinned { address, pin, .. } => {
            json!({ "address": address.to_string(), "digest": pin.digest, "kind": pin.kind })
        }
        Event::MigrationApplied { address, migration, .. } => {
            json!({ "address": address.to_string(), "version": migration.version, "name": migration.name })
        }
        Event::MigrationReverted { address, version, .. } => {
            json!({ "address": address.to_string(), "version": version })
        }
        Event::UnwindingStarted { sentence } => json!({ "sentence": sentence }),
        Event::RunFinished { outcome, sentence, .. } => {
            json!({ "outcome": outcome_of(Some(*outcome)), "sentence": sentence })
        }
        Event::Reconciled { step, address, found } => {
            json!({ "step": step, "address": address.to_string(), "found": found })
        }
        Event::Moved { from, to, .. } => json!({ "from": from.to_string(), "to": to.to_string() }),
        Event::Imported { address, id, .. } => json!({ "address": address.to_string(), "id": id }),
        Event::Removed { address, .. } => json!({ "address": address.to_string() }),
        _ => json!({}),
    };
    let ty = serde_json::to_value(event).ok().and_then(|event| event.get("type").cloned());
    out["type"] = ty.unwrap_or(Json::Null);
    out["time"] = json!(time);
    out["seq"] = json!(seq);
    out
}

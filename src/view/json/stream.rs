//! The stream of events, one JSON object a line.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map as JsonMap, Value as Json, json};

use super::line::{diagnostic, line, resource};
use super::plan::{counts_json, run_kind};
use super::promotion;
use crate::addr::{Address, NodeKind};
use crate::diag::{Diagnostic, Diagnostics, Severity, SourceMap};
use crate::event::{RunEvent, Watcher};
use crate::ledger::event::RunKind;
use crate::ledger::release::short;
use crate::plan::approval::Agreement;
use crate::plan::difference::Difference;
use crate::plan::{Change, ChangeKind, Plan};
use crate::view::Now;
use crate::view::feed::{Feed, Weight};
use crate::view::human::plan::{Counts, output_sides};
use crate::view::human::run::{doing, done, weight};
use crate::view::human::{Tally, reason_word};
use crate::view::words::{duration, excerpt, sentence};

/// The version of Terraform's machine-readable UI whose names this uses.
const UI: &str = "1.2";
/// How many lines of one piece of evidence are in an event; the blob has all.
const EVIDENCE_LINES_MAX: usize = 40;

/// Writes events as lines of JSON, all through one thread, so that they stand in the order in which they came.
pub struct Stream {
    feed: Feed<String>,
    tally: Mutex<Tally>,
    now: Now,
}

impl Stream {
    /// A stream that opens with the `version` event.
    #[must_use]
    pub fn new(mut out: Box<dyn Write + Send>, now: Now) -> Self {
        let mut broken = false;
        let clock = now.clone();
        let feed = Feed::new(move |batch: VecDeque<String>, dropped| {
            let mut text = String::new();
            if dropped > 0 {
                let message = "Events were dropped, because the output is read too slowly";
                text.push_str(&line(clock(), "warn", message, "events_dropped", vec![("count", json!(dropped))]));
                text.push('\n');
            }
            for one in batch {
                text.push_str(&one);
                text.push('\n');
            }
            // A reader that has gone must not stop the run: it is recorded, whether anybody reads along or not.
            broken = broken || out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
        });
        let stream = Self { feed, tally: Mutex::default(), now };
        let version = env!("CARGO_PKG_VERSION");
        stream.say(
            "info",
            &format!("Gantry {version}"),
            "version",
            vec![("gantry", json!(version)), ("ui", json!(UI))],
        );
        stream
    }

    fn say(&self, level: &str, message: &str, ty: &str, rest: Vec<(&str, Json)>) {
        self.weigh(Weight::Must, level, message, ty, rest);
    }

    fn weigh(&self, weight: Weight, level: &str, message: &str, ty: &str, rest: Vec<(&str, Json)>) {
        self.feed.push(weight, line((self.now)(), level, message, ty, rest));
    }

    /// A plan: `resource_drift`, `planned_change`, `change_summary`, `outputs`; migrations and checks as planned changes too.
    pub fn plan(&self, plan: &Plan) {
        for change in plan.changes.iter().filter(|c| c.drift.is_some()) {
            let action = if change.before.is_some() { "update" } else { "delete" };
            let message = format!("{}: Drift detected ({action})", change.address);
            self.say(
                "info",
                &message,
                "resource_drift",
                vec![("change", json!({ "resource": resource(&change.address), "action": action }))],
            );
        }
        for change in plan.changes.iter().filter(|c| !c.is_no_op() || c.moved_from.is_some() || c.importing.is_some()) {
            self.planned_change(change);
        }
        for (address, why) in &plan.unreadable {
            let message = format!("{address}: could not be read: {}", sentence(why));
            self.say("warn", &message, "unreadable", vec![("resource", resource(address)), ("reason", json!(why))]);
        }
        let counts = Counts::of(plan);
        let mut changes = counts_json(&counts);
        changes["operation"] = json!("plan");
        self.say("info", &counts.sentence(), "change_summary", vec![("changes", changes)]);
        self.planned_outputs(plan);
    }

    /// What a plan needs by way of approval, and what it has.
    pub fn agreement(&self, agreement: &Agreement) {
        let message = if agreement.is_enough() { "Approved" } else { "Approval needed" };
        self.say("info", message, "approval", vec![("approval", super::approval::agreement(agreement))]);
    }

    /// What a promotion brings to a target, against what was proven.
    pub fn promotion(&self, difference: &Difference, target: &str) {
        let message = format!("Promotion of release {} to {target}", short(&difference.release.id()));
        self.say("info", &message, "promotion", promotion::brings(difference, target));
    }

    /// That automation has nothing to promote now, and why.
    pub fn promotion_waits(&self, source: &str, target: &str, why: &str) {
        let message = format!("{source} -> {target}: nothing done: {why}");
        let rest = vec![("source", json!(source)), ("target", json!(target)), ("reason", json!(why))];
        self.say("info", &message, "promotion_waits", rest);
    }

    fn planned_change(&self, change: &Change) {
        let action = match change.kind {
            ChangeKind::NoOp if change.moved_from.is_some() => "move",
            _ if change.only_imports() => "import",
            ChangeKind::NoOp => "noop",
            ChangeKind::Read => "read",
            ChangeKind::Create => "create",
            ChangeKind::Update => "update",
            ChangeKind::Record => "record",
            ChangeKind::ReplaceCreateFirst | ChangeKind::ReplaceDeleteFirst => "replace",
            ChangeKind::Delete => "delete",
            ChangeKind::Forget => "remove",
            ChangeKind::Run => "run",
        };
        let mut body = JsonMap::new();
        body.insert("resource".into(), resource(&change.address));
        if let Some(from) = &change.moved_from {
            body.insert("previous_resource".into(), resource(from));
        }
        if let Some(id) = &change.importing {
            body.insert("importing".into(), json!({ "id": id }));
        }
        body.insert("action".into(), json!(action));
        body.insert("reason".into(), json!(reason_word(&change.reason)));
        let message = format!("{}: Plan to {action}", change.address);
        self.say("info", &message, "planned_change", vec![("change", Json::Object(body))]);
    }

    fn planned_outputs(&self, plan: &Plan) {
        if plan.outputs.is_empty() {
            return;
        }
        let mut all = JsonMap::new();
        for (name, output) in &plan.outputs {
            let (before, after) = output_sides(output);
            let action = match (before, after) {
                _ if !output.changes => "noop",
                (None, _) => "create",
                (Some(_), None) => "delete",
                (Some(_), Some(_)) => "update",
            };
            all.insert((**name).to_owned(), json!({ "sensitive": output.sensitive, "action": action }));
        }
        self.say("info", &format!("Outputs: {}", all.len()), "outputs", vec![("outputs", Json::Object(all))]);
    }

    /// A diagnostic.
    pub fn diagnostic(&self, one: &Diagnostic, sources: &SourceMap) {
        let (level, label) = match one.severity {
            Severity::Error => ("error", "Error"),
            Severity::Warning => ("warn", "Warning"),
        };
        let message = format!("{label}: {}", one.summary);
        self.say(level, &message, "diagnostic", vec![("diagnostic", diagnostic(one, sources))]);
    }

    /// All diagnostics of a phase, sorted by place.
    pub fn diagnostics(&self, all: &Diagnostics, sources: &SourceMap) {
        for one in all.sorted() {
            self.diagnostic(one, sources);
        }
    }

    /// Recorded outputs, after a run.
    pub fn outputs(&self, all: &std::collections::BTreeMap<String, Json>) {
        let body = super::records::outputs(all);
        self.say("info", &format!("Outputs: {}", all.len()), "outputs", vec![("outputs", body)]);
    }

    /// What a run did: `change_summary`.
    pub fn summary(&self, kind: RunKind) {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = tally.outcome.as_ref().map(|(outcome, _)| outcome.clone());
        let verb = if kind == RunKind::Destroy { "Destroy" } else { "Apply" };
        let message = match outcome.as_deref() {
            Some("verified") => format!("{verb} complete! {}", tally.resources()),
            Some(other) => format!("{verb} ended {other}. {}", tally.resources()),
            None => format!("{verb} has not ended. {}", tally.resources()),
        };
        let changes = json!({
            "add": tally.added, "change": tally.changed, "import": tally.imported, "remove": tally.destroyed, "operation": run_kind(kind),
            "migrations": tally.migrated, "checks": tally.passed, "undone": tally.undone, "failed": tally.failed,
        });
        self.say("info", &message, "change_summary", vec![("changes", changes)]);
    }

    /// That a saved plan was carried out before, as this generation.
    pub fn already(&self, generation: u64) {
        let message = format!("This plan was applied already, as generation {generation}");
        self.say("info", &message, "already_applied", vec![("generation", json!(generation))]);
    }

    /// Waits until everything is written, and gives what the run did.
    pub fn finish(&self) -> Tally {
        self.feed.finish();
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a step's lines carry under `hook`.
fn hook(step: &str, address: &Address, action: &str, rest: Vec<(&str, Json)>) -> Json {
    let mut out = JsonMap::new();
    out.insert("resource".into(), resource(address));
    out.insert("action".into(), json!(action));
    out.insert("step".into(), json!(step));
    for (name, value) in rest {
        out.insert(name.into(), value);
    }
    Json::Object(out)
}

/// A check's verdict; null for steps that are no checks.
fn passed(address: &Address, yes: bool) -> Json {
    if address.kind.is_probe() { json!(yes) } else { Json::Null }
}

/// The type names of a step's start and ends: Terraform's for resources, data and artifacts, Gantry's for the rest.
fn types(address: &Address) -> (&'static str, &'static str, &'static str) {
    match address.kind {
        NodeKind::Migration => ("migration", "migration", "migration"),
        NodeKind::HealthCheck | NodeKind::SmokeTest | NodeKind::Check => {
            ("check_start", "check_judged", "check_judged")
        }
        NodeKind::Data | NodeKind::Resource | NodeKind::Artifact => ("apply_start", "apply_complete", "apply_errored"),
    }
}

impl Watcher for Stream {
    fn event(&self, event: RunEvent) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).count(&event);
        let weight = weight(&event);
        let say = |level: &str, message: &str, ty: &str, rest| self.weigh(weight, level, message, ty, rest);
        match event {
            RunEvent::StepStarted { .. }
            | RunEvent::StepProgress { .. }
            | RunEvent::StepSucceeded { .. }
            | RunEvent::StepFailed { .. } => self.step(weight, event),
            RunEvent::StepRetried { step, address, sentence: text, wait } => {
                let message = format!("{address}: will try again in {}: {}", duration(wait), sentence(&text));
                let rest = vec![("reason", json!(text)), ("wait_seconds", json!(wait.as_secs_f64()))];
                say("warn", &message, "step_retried", vec![("hook", hook(&step, &address, "retry", rest))]);
            }
            RunEvent::Reconciled { step, address, sentence: text } => {
                let message = format!("{address}: after the crash: {}", sentence(&text));
                let hook = hook(&step, &address, "reconcile", vec![("found", json!(text))]);
                say("info", &message, "reconciled", vec![("hook", hook)]);
            }
            RunEvent::Warned { address, sentence: text } => {
                let message = format!("{address}: assertion failed: {}", sentence(&text));
                let rest = vec![("passed", json!(false)), ("sentence", json!(text))];
                say("warn", &message, "check_judged", vec![("hook", hook("", &address, "verify", rest))]);
            }
            RunEvent::Started { run, generation, steps, resumed } => {
                let message = format!("Run {run} {}", if resumed { "goes on" } else { "starts" });
                let body = json!({ "run": run, "generation": generation, "steps": steps, "resumed": resumed });
                say("info", &message, "run_started", vec![("run", body)]);
            }
            RunEvent::Committed => {
                say("info", "Committed: from here on the run only goes forward", "committed", vec![]);
            }
            RunEvent::Unwinding { sentence: text, steps } => {
                let message = format!("Going back: {}", sentence(&text));
                say("error", &message, "unwinding", vec![("unwinding", json!({ "reason": text, "steps": steps }))]);
            }
            RunEvent::Interrupted { again } => {
                say("warn", "Interrupted", "interrupted", vec![("again", json!(again))]);
            }
            RunEvent::Untold { sentence: text } => {
                say("warn", &format!("Not told yet: {}", sentence(&text)), "untold", vec![("sentence", json!(text))]);
            }
            RunEvent::Finished { outcome, sentence: text, elapsed } => {
                let level = if outcome == "verified" { "info" } else { "error" };
                let message = format!("Run ended {outcome}: {}", sentence(&text));
                let body = json!({ "outcome": outcome, "sentence": text, "elapsed_seconds": elapsed.as_secs_f64() });
                say(level, &message, "run_finished", vec![("run", body)]);
            }
        }
    }
}

impl Stream {
    fn step(&self, weight: Weight, event: RunEvent) {
        let say =
            |level: &str, message: &str, ty: &str, hook| self.weigh(weight, level, message, ty, vec![("hook", hook)]);
        match event {
            RunEvent::StepStarted { step, address, action, attempt } => {
                let status = vec![("status", json!("start")), ("attempt", json!(attempt))];
                let message = format!("{address}: {}...", doing(&action));
                say("info", &message, types(&address).0, hook(&step, &address, &action, status));
            }
            RunEvent::StepProgress { step, address, sentence: text, elapsed } => {
                let rest = vec![("elapsed_seconds", json!(elapsed.as_secs())), ("sentence", json!(text))];
                let message = format!("{address}: {} [{} elapsed]", sentence(&text), duration(elapsed));
                say("info", &message, "apply_progress", hook(&step, &address, "progress", rest));
            }
            RunEvent::StepSucceeded { step, address, action, sentence: text, elapsed } => {
                let rest = vec![
                    ("status", json!("complete")),
                    ("passed", passed(&address, true)),
                    ("elapsed_seconds", json!(elapsed.as_secs())),
                    ("sentence", json!(text)),
                ];
                let message = format!("{address}: {} after {}", done(&action), duration(elapsed));
                say("info", &message, types(&address).1, hook(&step, &address, &action, rest));
            }
            RunEvent::StepFailed { step, address, action, sentence: text, evidence, elapsed } => {
                let seen: Vec<Json> = evidence
                    .iter()
                    .map(|(name, text)| json!({ "name": name, "text": excerpt(text, EVIDENCE_LINES_MAX).join("\n") }))
                    .collect();
                let rest = vec![
                    ("status", json!("errored")),
                    ("passed", passed(&address, false)),
                    ("elapsed_seconds", json!(elapsed.as_secs())),
                    ("sentence", json!(text)),
                    ("evidence", Json::Array(seen)),
                ];
                let message = format!("{address}: {action} failed after {}: {}", duration(elapsed), sentence(&text));
                say("error", &message, types(&address).2, hook(&step, &address, &action, rest));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;
    use crate::view::samples::{Buffer, CANARY, a_failed_run, a_good_run, clock, full, generation};

    fn written(say: impl FnOnce(&Stream)) -> Vec<Json> {
        let buffer = Buffer::default();
        let stream = Stream::new(Box::new(buffer.clone()), clock());
        say(&stream);
        let _ = stream.finish();
        let text = buffer.text();
        assert!(!text.contains(CANARY) && !text.contains('\u{1b}'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn types(lines: &[Json]) -> Vec<&str> {
        lines.iter().map(|l| l["type"].as_str().unwrap()).collect()
    }

    /// Lines as Terraform 1.11.4 writes them; ours of the same type have all of their keys.
    const TERRAFORM: [&str; 6] = [
        r#"{"@level":"info","@message":"Terraform 1.11.4","@module":"terraform.ui","@timestamp":"2026-11-21T00:16:30.514673Z","type":"version","ui":"1.2"}"#,
        r#"{"@level":"info","@message":"m: Plan to create","@module":"terraform.ui","@timestamp":"2026-11-21T00:16:30.542535Z","change":{"resource":{"addr":"terraform_data.m","module":"","resource":"terraform_data.m","implied_provider":"terraform","resource_type":"terraform_data","resource_name":"m","resource_key":null},"action":"create"},"type":"planned_change"}"#,
        r#"{"@level":"info","@message":"Plan: 11 to add","@module":"terraform.ui","@timestamp":"2026-11-21T00:16:30.542738Z","changes":{"add":11,"change":0,"import":0,"remove":0,"operation":"plan"},"type":"change_summary"}"#,
        r#"{"@level":"info","@message":"Outputs: 3","@module":"terraform.ui","@timestamp":"2026-11-21T00:16:30.542767Z","outputs":{"password":{"sensitive":false,"action":"create"}},"type":"outputs"}"#,
        r#"{"@level":"info","@message":"Creating...","@module":"terraform.ui","@timestamp":"2026-11-21T00:16:30.552162Z","hook":{"resource":{"addr":"terraform_data.j","module":"","resource":"terraform_data.j","implied_provider":"terraform","resource_type":"terraform_data","resource_name":"j","resource_key":null},"action":"create"},"type":"apply_start"}"#,
        r#"{"@level":"info","@message":"complete","@module":"terraform.ui","@timestamp":"2026-11-21T00:16:30.552564Z","hook":{"resource":{"addr":"terraform_data.j","module":"","resource":"terraform_data.j","implied_provider":"terraform","resource_type":"terraform_data","resource_name":"j","resource_key":null},"action":"create","elapsed_seconds":0},"type":"apply_complete"}"#,
    ];

    fn has_keys_of(ours: &Json, theirs: &Json, at: &str) {
        let (Some(ours), Some(theirs)) = (ours.as_object(), theirs.as_object()) else { return };
        for (name, value) in theirs {
            let mine = ours.get(name).unwrap_or_else(|| panic!("{at} lacks {name}"));
            has_keys_of(mine, value, &format!("{at}.{name}"));
        }
    }

    #[test]
    fn lines_have_terraforms_keys() {
        let lines = written(|stream| {
            stream.plan(&full());
            a_good_run().into_iter().for_each(|event| stream.event(event));
        });
        for recorded in TERRAFORM {
            let theirs: Json = serde_json::from_str(recorded).unwrap();
            let ours =
                lines.iter().find(|l| l["type"] == theirs["type"]).unwrap_or_else(|| panic!("no {}", theirs["type"]));
            has_keys_of(ours, &theirs, theirs["type"].as_str().unwrap());
        }
        assert_eq!(lines[0]["@timestamp"], "2026-11-21T00:16:30.500000Z");
        assert!(lines.iter().all(|l| l["@module"] == "gantry.ui"));
    }

    #[test]
    fn a_plan_is_a_line_for_each_change() {
        let lines = written(|stream| stream.plan(&full()));
        let expected = ["version", "resource_drift"].into_iter().chain(["planned_change"; 6]);
        let expected: Vec<&str> = expected.chain(["unreadable", "change_summary", "outputs"]).collect();
        assert_eq!(types(&lines), expected);
        let change = &lines[3]["change"];
        assert_eq!((&change["action"], &change["reason"]), (&json!("update"), &json!("configuration_changed")));
        assert_eq!(change["resource"]["resource_type"], "local_service");
        assert_eq!(lines[10]["outputs"]["password"], json!({ "sensitive": true, "action": "update" }));
    }

    #[test]
    fn a_run_ends_with_what_it_did() {
        let lines = written(|stream| {
            a_failed_run().into_iter().for_each(|event| stream.event(event));
            stream.summary(RunKind::Apply);
            stream.outputs(&generation(1, crate::ledger::event::RunOutcome::Verified).outputs);
        });
        let expected = [
            "version",
            "run_started",
            "apply_complete",
            "check_judged",
            "unwinding",
            "apply_complete",
            "run_finished",
            "change_summary",
            "outputs",
        ];
        assert_eq!(types(&lines), expected);
        let judged = &lines[3];
        assert_eq!((&judged["@level"], &judged["hook"]["passed"]), (&json!("error"), &json!(false)));
        assert_eq!(judged["hook"]["evidence"][0]["name"], "response body");
        assert_eq!(lines[6]["run"]["outcome"], "rolled back");
        assert_eq!((&lines[7]["changes"]["add"], &lines[7]["changes"]["undone"]), (&json!(1), &json!(1)));
        assert_eq!(lines[8]["outputs"]["url"], json!({ "sensitive": false, "type": "string", "value": "http://here" }));
        assert_eq!(lines[8]["outputs"]["password"]["sensitive"], true);
    }

    #[test]
    fn a_diagnostic_has_its_place() {
        let mut sources = SourceMap::default();
        let file = sources.add("main.tf", "resource \"terraform_data\" \"x\" {\n  input = nope.y\n}\n");
        let one = Diagnostic::error("Unknown reference", "There is no \"nope\".")
            .at(Span::new(file, 42..48))
            .hint("Look again.");
        let lines = written(|stream| stream.diagnostics(&Diagnostics::from(one), &sources));
        assert_eq!(
            lines[1]["diagnostic"],
            json!({
                "severity": "error", "summary": "Unknown reference", "detail": "There is no \"nope\".", "hints": ["Look again."],
                "range": {
                    "filename": "main.tf",
                    "start": { "line": 2, "column": 11, "byte": 42 },
                    "end": { "line": 2, "column": 17, "byte": 48 },
                },
                "snippet": {
                    "context": "resource \"terraform_data\" \"x\"", "code": "  input = nope.y", "start_line": 2,
                    "highlight_start_offset": 10, "highlight_end_offset": 16, "values": [],
                },
            })
        );
        assert_eq!((&lines[1]["@level"], &lines[1]["@message"]), (&json!("error"), &json!("Error: Unknown reference")));
    }
}

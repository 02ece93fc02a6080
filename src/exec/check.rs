//! Checks: the probe out of a finished configuration, and its verdict with evidence.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::attempt::Hands;
use super::evidence::{self, Piece};
use super::job::{Answer, CheckJob, Name};
use crate::addr::NodeKind;
use crate::event::RunEvent;
use crate::plan::duration;
use crate::probe::{Attempt, CommandProbe, Context, Expect, HttpProbe, Judge, Probe, Secrets, Verdict};
use crate::value::{Kind, Value, encode_shape};

/// How many secrets are looked for in what a check saw: each is looked for in every text.
const MAX_SECRETS: usize = 256;

/// How often a check that is asked again and again says how it goes.
const SAY: Duration = Duration::from_secs(1);

/// A check's probe, how it is judged, and what must not show.
pub(crate) type Read = (Probe, Judge, Vec<String>);

/// Reads a check's configuration, all known.
///
/// # Errors
/// With a sentence, when it has no probe that can be asked.
pub(crate) fn read(configuration: &Value, kind: NodeKind) -> Result<Read, String> {
    let mut judge = if kind == NodeKind::SmokeTest { Judge::smoke_test() } else { Judge::health_check() };
    let defaults = judge.attempt_timeout;
    if let Some(timeout) = time(configuration, "timeout")? {
        judge.timeout = timeout;
    }
    judge.interval = time(configuration, "interval")?.or(judge.interval);
    judge.initial_delay = time(configuration, "initial_delay")?.unwrap_or_default();
    judge.success_threshold = count(configuration, "success_threshold").unwrap_or(1);
    judge.failure_threshold = count(configuration, "failure_threshold");
    let attempt = time(configuration, "attempt_timeout")?;
    judge.attempt_timeout = if judge.interval.is_none() { judge.timeout } else { defaults.min(judge.timeout) };
    judge.attempt_timeout = attempt.unwrap_or(judge.attempt_timeout);
    let block = |name: &str| configuration.get(name).filter(|v| !v.is_null());
    let probe = if let Some(http) = block("http") {
        Probe::Http(http_probe(http)?)
    } else if let Some(tcp) = block("tcp") {
        Probe::Tcp { address: text(tcp, "address")?.ok_or("the tcp block names no address")? }
    } else if let Some(grpc) = block("grpc") {
        let address = text(grpc, "address")?.ok_or("the grpc block names no address")?;
        Probe::Grpc { address, service: text(grpc, "service")?.unwrap_or_default() }
    } else if let Some(command) = block("command") {
        let argv = strings(command.get("argv"))?;
        let working_directory = text(command, "working_directory")?;
        let environment = pairs(command.get("environment"))?;
        Probe::Command(CommandProbe { argv, working_directory, environment, timeout: time(command, "timeout")? })
    } else {
        return Err("The check has no http, tcp, grpc or command block.".into());
    };
    if let Some(wrong) = probe.check().into_iter().next() {
        return Err(wrong);
    }
    let mut secrets = Vec::new();
    collect_secrets(configuration, false, &mut secrets);
    Ok((probe, judge, secrets))
}

fn http_probe(http: &Value) -> Result<HttpProbe, String> {
    let mut probe = HttpProbe::get(text(http, "url")?.ok_or("the http block names no url")?);
    if let Some(method) = text(http, "method")? {
        probe.method = method;
    }
    probe.headers = pairs(http.get("headers"))?;
    probe.body = text(http, "body")?;
    if let Some(expect) = http.get("expect").filter(|v| !v.is_null()) {
        probe.expect = Expect {
            status: statuses(expect.get("status"))?,
            headers: pairs(expect.get("headers"))?,
            body_equals: text(expect, "body_equals")?,
            body_contains: text(expect, "body_contains")?,
            body_matches: text(expect, "body_matches")?,
            json: json(expect.get("json")),
            latency: time(expect, "latency")?,
        };
    }
    Ok(probe)
}

fn text(object: &Value, name: &str) -> Result<Option<String>, String> {
    match object.get(name) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => primitive(value).map(Some).ok_or_else(|| format!("\"{name}\" must be a string.")),
    }
}

fn primitive(value: &Value) -> Option<String> {
    match &value.kind {
        Kind::String(s) => Some((**s).to_owned()),
        Kind::Number(n) => Some(n.to_string()),
        Kind::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

fn time(object: &Value, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = text(object, name)? else { return Ok(None) };
    duration::parse(&text).map(Some).map_err(|why| format!("\"{name}\" must be a duration: {why}."))
}

fn count(object: &Value, name: &str) -> Option<u32> {
    object.get(name)?.as_number()?.to_u64().and_then(|n| u32::try_from(n).ok())
}

fn strings(value: Option<&Value>) -> Result<Vec<String>, String> {
    let items = value.and_then(Value::as_items).ok_or("\"argv\" must be a list of strings.")?;
    items.iter().map(|v| primitive(v).ok_or_else(|| "\"argv\" must be a list of strings.".to_owned())).collect()
}

fn pairs(value: Option<&Value>) -> Result<Vec<(String, String)>, String> {
    let Some(map) = value.and_then(Value::as_map) else { return Ok(Vec::new()) };
    let pair = |(name, value): (&std::sync::Arc<str>, &Value)| match primitive(value) {
        Some(text) => Ok(((**name).to_owned(), text)),
        None => Err(format!("\"{name}\" must be a string.")),
    };
    map.iter().filter(|(_, v)| !v.is_null()).map(pair).collect()
}

fn statuses(value: Option<&Value>) -> Result<BTreeSet<u16>, String> {
    let wrong = || "\"status\" must be an HTTP status or a list of them.".to_owned();
    let one = |v: &Value| primitive(v).and_then(|t| t.parse::<u16>().ok()).ok_or_else(wrong);
    match value {
        None => Ok(BTreeSet::new()),
        Some(v) if v.is_null() => Ok(BTreeSet::new()),
        Some(v) => match v.as_items() {
            Some(items) => items.iter().map(one).collect(),
            None => one(v).map(|status| BTreeSet::from([status])),
        },
    }
}

fn json(value: Option<&Value>) -> Vec<(String, serde_json::Value)> {
    let Some(map) = value.and_then(Value::as_map) else { return Vec::new() };
    map.iter().map(|(query, value)| ((**query).to_owned(), encode_shape(value))).collect()
}

/// Every text in a sensitive part.
pub(super) fn collect_secrets(value: &Value, inside: bool, found: &mut Vec<String>) {
    let inside = inside || value.marks.is_sensitive();
    if inside
        && found.len() < MAX_SECRETS
        && let Kind::String(s) = &value.kind
    {
        found.push((**s).to_owned());
    }
    value.children().for_each(|child| collect_secrets(child, inside, found));
}

/// Asks until the verdict is clear. A failed check's evidence is captured here, before anything is cleaned up.
pub(crate) async fn run(job: &CheckJob, name: &Name, hands: &Hands, base: &Path) -> Answer {
    let context = Context {
        address: name.address.to_string(),
        phase: job.phase.word().into(),
        run: hands.run.clone(),
        base: base.to_path_buf(),
        secrets: Secrets::new(job.secrets.iter().map(String::as_str)),
    };
    let started = hands.clock.elapsed();
    let mut said = started;
    let mut on_attempt = |attempt: &Attempt| {
        let now = hands.clock.elapsed();
        if !attempt.ok && now.saturating_sub(said) >= SAY {
            said = now;
            hands.watcher.event(RunEvent::StepProgress {
                step: name.step.clone(),
                address: name.address.clone(),
                sentence: attempt.sentence.clone(),
                elapsed: now.saturating_sub(started),
            });
        }
    };
    let verdict = hands.outside.judge(&job.probe, &job.judge, &context, &*hands.clock, &mut on_attempt).await;
    if verdict.passed {
        return Answer::Judged { passed: true, sentence: verdict.sentence, evidence: super::job::Kept::default() };
    }
    let mut pieces = vec![Piece::new("what the check saw", told(&verdict).into_bytes())];
    for witness in &job.witnesses {
        pieces.extend(evidence::of_object(hands, witness).await);
    }
    match evidence::keep(hands, pieces).await {
        Ok(evidence) => Answer::Judged { passed: false, sentence: verdict.sentence, evidence },
        Err(e) => Answer::Broken(e),
    }
}

/// A verdict's attempts for people; the same answer over and over is one line.
fn told(verdict: &Verdict) -> String {
    let mut out = String::new();
    for same in verdict.attempts.chunk_by(|a, b| a.ok == b.ok && a.sentence == b.sentence) {
        let (Some(first), Some(last)) = (same.first(), same.last()) else { continue };
        let word = if first.ok { "passed" } else { "failed" };
        let from = first.at_offset.as_secs_f64();
        let _ = match same.len() {
            1 => writeln!(out, "after {from:.1} s {word}: {}", first.sentence),
            n => writeln!(
                out,
                "after {from:.1} s to {:.1} s, {n} times shown here, {word}: {}",
                last.at_offset.as_secs_f64(),
                first.sentence
            ),
        };
    }
    if let Some(last) = verdict.attempts.iter().rev().find(|a| !a.ok) {
        for (name, value) in &last.headers {
            let _ = writeln!(out, "{name}: {value}");
        }
        for part in [&last.body, &last.stderr].into_iter().flatten().filter(|part| !part.is_empty()) {
            let _ = writeln!(out, "\n{}", part.trim_end());
        }
    }
    out
}

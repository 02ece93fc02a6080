//! `local_command`: commands that make, change, look at and take away something that no provider knows.
//!
//! **What a change does.** Only `triggers` stand for what there is: a change of them runs `update`, or replaces the object where
//! there is no `update`. A change of anything else (another `create`, `timeout`, `environment`, `working_directory`, …) says how
//! to act from now on. It is an update of the record in which no command runs; it must be one, for `destroy` is run from
//! the record when the block is gone. The plan decides which of the two it is, and apply can see it in what was planned: if
//! `exit_code` is planned as known, no command runs.
//!
//! **How a command runs**: [`super::shim`]. Its directory is named by the act, so the same act finds what became of an earlier
//! attempt, whoever made it.
//!
//! **Secrets.** The ledger keeps sensitive variables as digests, and `destroy` and `read` need them in clear. They stay on this
//! machine, in a file of their owner alone beside the command's output. What a command says is marked sensitive if
//! anything that was handed to it is, and known secrets are taken out of what is shown of it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::shim::{self, Exit, Request, Standing};
use super::words::{keep, kept, redact, secrets, string_map, strings, with};
use crate::diag::did_you_mean;
use crate::ports::process::{Captured, Ended, Launch, capture};
use crate::ports::{crash, fs};
use crate::provider::duration;
use crate::provider::{
    Act, Action, Context, Evidence, Found, Observation, Outcome, Prior, Problem, ProblemClass, Progress,
    ProposedChange, Readiness,
};
use crate::value::{Kind, Type, Value};

pub(super) const TYPE: &str = "local_command";

/// What `timeout` is by default.
const TIMEOUT: Duration = Duration::from_mins(10);
/// What an act may take beyond its command's own time: starting, ending politely, `read`.
const MARGIN: Duration = Duration::from_secs(45);
/// The exit code with which `read` says that the object is gone: "program is not running" of the LSB's init script actions.
/// Not 1: that is what an interpreter says that failed.
const GONE: i32 = 3;
/// What the last command answered; known in a plan if none will run.
const ANSWERS: [&str; 3] = ["stdout", "json", "exit_code"];

fn timeout(object: &Value) -> Duration {
    object.get_str("timeout").and_then(duration::parse).unwrap_or(TIMEOUT)
}

pub(super) fn deadline(object: &Value) -> Duration {
    timeout(object).min(duration::LONGEST) + MARGIN
}

/// Whether two triggers are the same as far as is known. A secret that is recorded as a digest counts as the same: whoever
/// calls this puts in its value where it is known to be still that.
fn same(a: &Value, b: &Value) -> bool {
    if a.is_unknown() && a.marks.is_sensitive() {
        return true;
    }
    match (&a.kind, &b.kind) {
        (Kind::Null(_), Kind::Null(_)) => true,
        (Kind::Unknown(_), _) | (_, Kind::Unknown(_)) => false,
        _ => match (a.as_map(), b.as_map()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && same(a, b)),
            (None, None) => match (a.as_items(), b.as_items()) {
                (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
                _ => a.unmark_deep().0 == b.unmark_deep().0,
            },
            _ => false,
        },
    }
}

fn same_triggers(prior: &Value, proposed: &Value) -> bool {
    let null = Value::null(Type::Any);
    same(prior.get("triggers").unwrap_or(&null), proposed.get("triggers").unwrap_or(&null))
}

/// As long as the triggers stay, no command runs and its answers stay.
pub(super) fn compute(change: &ProposedChange<'_>) -> Vec<(&'static str, Value)> {
    let Some(prior) = change.prior.filter(|prior| same_triggers(prior, change.proposed)) else { return Vec::new() };
    let answered = |name| Some((name, prior.get(name).filter(|v| v.is_wholly_known())?.clone()));
    ANSWERS.into_iter().filter_map(answered).collect()
}

pub(super) fn must_replace(prior: &Value, proposed: &Value) -> Option<String> {
    let without = proposed.get("update").is_none_or(Value::is_null);
    (without && !same_triggers(prior, proposed))
        .then(|| "triggers changed, and there is no \"update\" command".to_owned())
}

pub(super) fn validate(object: &Value) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    for name in ["create", "update", "destroy", "read"] {
        if let Some(argv) = object.get(name).and_then(Value::as_items)
            && (argv.is_empty() || argv.first().and_then(Value::as_str) == Some(""))
        {
            faults.push((name, "The command is empty: its first item is the program.".to_owned()));
        }
    }
    faults.extend(duration::fault(object.get("timeout")).map(|fault| ("timeout", fault)));
    if let Some(text) = object.get_str("on_unknown")
        && !["rerun", "ask"].contains(&text)
    {
        let meant = did_you_mean(text, ["rerun", "ask"]).map(|hint| format!(" {hint}")).unwrap_or_default();
        faults.push(("on_unknown", format!("\"{text}\" is neither \"rerun\" nor \"ask\".{meant}")));
    }
    faults.extend(super::environment_faults(object));
    faults
}

/// One command of an object, ready to run.
fn request(context: &Context, act: &Act, argv: Vec<String>, object: &Value) -> Request {
    Request {
        op: act.op.clone(),
        address: act.address.to_string(),
        action: act.action.word().to_owned(),
        launch_from: context.environment.clone(),
        argv,
        directory: directory(context, object),
        environment: string_map(object.get("environment")),
        timeout: timeout(object).min(act.deadline),
        object: keep(object),
    }
}

fn directory(context: &Context, object: &Value) -> PathBuf {
    context.environment.join(object.get_str("working_directory").unwrap_or("."))
}

fn invalid(sentence: impl Into<String>) -> Problem {
    Problem::new(ProblemClass::Invalid, sentence)
}

/// The object with what is sensitive in clear: the ledger's record, or what this machine kept of it.
fn in_clear(context: &Context, prior: &Prior) -> Result<Value, Problem> {
    let needed = ["create", "update", "destroy", "read", "environment", "working_directory", "timeout"];
    if needed.iter().all(|name| prior.attributes.get(name).is_none_or(Value::is_wholly_known)) {
        return Ok(prior.attributes.clone());
    }
    let op = prior.identity.get("op").and_then(Json::as_str).unwrap_or_default();
    shim::object(context, op).map(|json| kept(&json)).ok_or_else(|| {
        invalid(
            "Part of what this command needs is sensitive: the ledger has it as a digest only, and the machine on which the command \
             last ran kept its value. Run this there, or take the object out of the ledger with `gantry state rm`.",
        )
    })
}

enum Work {
    /// A command of an object.
    Run(Vec<String>, Value),
    /// Nothing to run: the answer is a change of the record.
    Record,
}

fn work(context: &Context, act: &Act) -> Result<Work, Problem> {
    let argv = |object: &Value, name: &str| strings(object.get(name));
    match act.action {
        Action::Create => Ok(Work::Run(argv(&act.planned, "create"), act.planned.clone())),
        Action::Update if act.planned.get("exit_code").is_some_and(|code| !code.is_null()) => Ok(Work::Record),
        Action::Update => match argv(&act.planned, "update") {
            none if none.is_empty() => {
                Err(invalid("The triggers changed and there is no \"update\" command; plan again."))
            }
            update => Ok(Work::Run(update, act.planned.clone())),
        },
        Action::Delete => {
            let prior = act.prior.as_ref().ok_or_else(|| invalid("There is no record of what is to be destroyed."))?;
            if prior.attributes.get("destroy").is_none_or(Value::is_null) {
                return Ok(Work::Record);
            }
            let object = in_clear(context, prior)?;
            Ok(Work::Run(argv(&object, "destroy"), object))
        }
        other => Err(invalid(format!("A {TYPE} has no action \"{}\".", other.word()))),
    }
}

pub(super) async fn act(context: &Context, act: &Act, progress: &dyn Progress) -> Outcome {
    let (argv, object) = match work(context, act) {
        Err(problem) => return Outcome::Rejected(problem),
        Ok(Work::Record) => return record(context, act),
        Ok(Work::Run(argv, object)) => (argv, object),
    };
    crash::point("local_command start");
    let hidden = secrets(&object);
    let say = |line: &str| progress.say(&redact(line, &hidden));
    match shim::run(context, &request(context, act, argv, &object), act.deadline, &say).await {
        Ok(exit) => match answer(context, act, &object, &exit).await {
            Ok((attributes, identity)) => Outcome::Applied { attributes, identity },
            Err(problem) => Outcome::Rejected(problem),
        },
        Err(shim::NoAnswer::NotStarted(why)) => Outcome::NotSent(invalid(why)),
        Err(shim::NoAnswer::StillRunning) => Outcome::Unknown(Problem::new(
            ProblemClass::Transient,
            "The command still runs although its time is over. Look again in a while.",
        )),
        Err(shim::NoAnswer::Lost(why)) => Outcome::Unknown(Problem::new(ProblemClass::Transient, why)),
    }
}

/// A change of the record alone.
fn record(context: &Context, act: &Act) -> Outcome {
    let gone = Outcome::Applied { attributes: Value::null(Type::Any), identity: Json::Null };
    let Some(prior) = act.prior.as_ref().filter(|_| act.action == Action::Update) else {
        if let Some(op) = act.prior.as_ref().and_then(|p| p.identity.get("op")?.as_str()) {
            shim::forget(context, op);
        }
        return gone;
    };
    let op = prior.identity.get("op").and_then(Json::as_str).unwrap_or_default();
    let mut attributes = act.planned.clone();
    if attributes.get("stdout").is_none_or(Value::is_null)
        && prior.attributes.get("stdout").is_some_and(|v| v.marks.is_sensitive())
        && let Some(bytes) = shim::stdout(context, op)
    {
        attributes = with(&attributes, said(&bytes, 0, true));
    }
    // What is run from now on is read from here when the ledger has digests only.
    match shim::keep_object(context, op, &keep(&act.planned)) {
        Ok(()) => Outcome::Applied { attributes, identity: prior.identity.clone() },
        Err(e) => Outcome::Rejected(invalid(format!("Gantry {e}: {}.", e.source))),
    }
}

/// `stdout` and `json` of what a command wrote. One newline at the end is dropped, as a shell does it.
fn said(bytes: &[u8], dropped: u64, sensitive: bool) -> [(&'static str, Value); 2] {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if text.ends_with('\n') {
        text.pop();
    }
    let json = serde_json::from_str::<Json>(&text)
        .map_or_else(|_| Value::null(Type::Any), |json| crate::value::from_json(&json));
    if dropped > 0 {
        text = format!("{text}\n[gantry: {dropped} bytes more were dropped]");
    }
    let mark = |value: Value| if sensitive { value.sensitive() } else { value };
    [("stdout", mark(Value::string(text))), ("json", mark(json))]
}

/// What an ended command comes to.
async fn answer(context: &Context, act: &Act, object: &Value, exit: &Exit) -> Result<(Value, Json), Problem> {
    let hidden = secrets(object);
    failure(act, object, exit, &hidden).map_or(Ok(()), Err)?;
    let previous = act.prior.as_ref().and_then(|p| p.identity.get("op")?.as_str()).filter(|op| *op != act.op);
    if let Some(op) = previous {
        shim::forget(context, op);
    }
    if act.action == Action::Delete {
        return Ok((Value::null(Type::Any), Json::Null));
    }
    let sensitive = !hidden.is_empty();
    let mut answers = said(&exit.stdout, exit.dropped, sensitive);
    if object.get("read").is_some_and(|v| !v.is_null()) {
        let seen = look(context, object).await.map_err(|why| invalid(redact(&why, &hidden)))?;
        let Some(seen) = seen else {
            return Err(invalid(format!(
                "The command \"{}\" succeeded, but then \"read\" said (with exit code {GONE}) that there is nothing.",
                act.action.word()
            )));
        };
        answers = said(&seen.stdout, seen.dropped, sensitive);
    }
    let attributes = with(&with(&act.planned, answers), [("exit_code", Value::number(0_i64))]);
    Ok((attributes, json!({ "op": act.op })))
}

/// The problem that an exit is, if it is one.
fn failure(act: &Act, object: &Value, exit: &Exit, hidden: &[String]) -> Option<Problem> {
    let word = act.action.word();
    let how = match (&exit.fault, &exit.ended) {
        (Some(fault), _) => format!("could not be started: {}", redact(fault, hidden)),
        (None, Ended::Exited(0)) => return None,
        (None, Ended::TimedOut) => format!(
            "did not end within its timeout of {} and was ended; what it had done by then was not taken back",
            object.get_str("timeout").unwrap_or("10m")
        ),
        (None, other) => other.to_string(),
    };
    let tail = redact(&String::from_utf8_lossy(&exit.tail), hidden);
    let evidence = (!tail.trim().is_empty())
        .then(|| Evidence { name: format!("last lines of the \"{word}\" command"), bytes: tail.into_bytes() });
    Some(Problem {
        class: ProblemClass::Invalid,
        sentence: format!("The \"{word}\" command of {} {how}.", act.address),
        evidence: evidence.into_iter().collect(),
    })
}

/// Runs `read`. `None` if it says that there is nothing.
async fn look(context: &Context, object: &Value) -> Result<Option<Captured>, String> {
    let launch = Launch {
        argv: strings(object.get("read")),
        base: context.environment.clone(),
        directory: directory(context, object),
        environment: string_map(object.get("environment")),
        only: false,
        program: context.program.clone(),
    };
    let seen = capture(&launch, timeout(object), shim::OUTPUT_MAX, None)
        .await
        .map_err(|e| format!("The \"read\" command could not be started: {e}."))?;
    match seen.ended {
        Ended::Exited(0) => Ok(Some(seen)),
        Ended::Exited(GONE) => Ok(None),
        ref other => {
            let tail = String::from_utf8_lossy(&seen.tail);
            let last = tail.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it wrote nothing");
            Err(format!("The \"read\" command {other} (0 is there, {GONE} is gone): {last}"))
        }
    }
}

pub(super) async fn observe(context: &Context, prior: &Prior) -> Observation {
    if prior.attributes.get("read").is_none_or(Value::is_null) {
        return Observation::Present { attributes: prior.attributes.clone(), readiness: Readiness::Ready };
    }
    let object = match in_clear(context, prior) {
        Ok(object) => object,
        Err(problem) => return Observation::Unreadable(problem.sentence),
    };
    let hidden = secrets(&object);
    match look(context, &object).await {
        Err(why) => Observation::Unreadable(redact(&why, &hidden)),
        Ok(None) => Observation::Absent,
        Ok(Some(seen)) => {
            let stdout = shim::stdout(context, prior.identity.get("op").and_then(Json::as_str).unwrap_or_default());
            let [stdout_now, json] = said(&seen.stdout, seen.dropped, !hidden.is_empty());
            let unchanged = prior.attributes.get("stdout").is_some_and(Value::is_unknown)
                && stdout.is_some_and(|before| said(&before, 0, true)[0].1 == stdout_now.1);
            let attributes =
                if unchanged { prior.attributes.clone() } else { with(&prior.attributes, [stdout_now, json]) };
            Observation::Present { attributes, readiness: Readiness::Ready }
        }
    }
}

/// What became of an act.
pub(super) async fn find(context: &Context, act: &Act) -> Found {
    let object = match work(context, act) {
        Ok(Work::Run(_, object)) => object,
        // A change of the record has no effect in the world; what is refused has none either.
        Ok(Work::Record) | Err(_) => return Found::NotDone,
    };
    match shim::look(context, &act.op, act.deadline).await {
        Standing::Ended(exit) => match answer(context, act, &object, &exit).await {
            Ok((attributes, identity)) => Found::Done { attributes, identity },
            Err(problem) => Found::Failed(problem),
        },
        Standing::Never => Found::NotDone,
        Standing::Running => Found::NotNow(format!(
            "The \"{}\" command of {} still runs. Wait until it has ended, then run this again.",
            act.action.word(),
            act.address
        )),
        Standing::Lost => {
            let word = act.action.word();
            let address = &act.address;
            if object.get_str("on_unknown") == Some("ask") {
                Found::CannotTell(format!(
                    "The \"{word}\" command of {address} was started, and this machine stopped before it ended: nobody knows how far it \
                     came. Look at what it makes and put that right by hand; its output up to then is in {}.",
                    shim::directory(context, &act.op).display()
                ))
            } else {
                Found::Repeat(format!(
                    "The \"{word}\" command of {address} was interrupted; it is declared safe to run again."
                ))
            }
        }
        Standing::Unreadable(why) => Found::NotNow(why),
    }
}

/// The last lines of what the command said.
pub(super) fn evidence(context: &Context, identity: &Json) -> Vec<Evidence> {
    let op = identity.get("op").and_then(Json::as_str).unwrap_or_default();
    let hidden = shim::object(context, op).map(|o| secrets(&kept(&o))).unwrap_or_default();
    let directory = shim::directory(context, op);
    ["stdout", "stderr"]
        .into_iter()
        .filter_map(|name| Some((name, fs::read(&directory.join(name), shim::FILE_MAX).ok()?)))
        .filter(|(_, bytes)| !bytes.is_empty())
        .map(|(name, bytes)| {
            let text = redact(&String::from_utf8_lossy(&bytes), &hidden);
            Evidence { name: format!("the command's {name}"), bytes: super::tail(&text, super::EVIDENCE_MAX).into() }
        })
        .collect()
}

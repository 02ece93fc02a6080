//! `local_service`: what the acts on a service ask of its supervisor ([`super::supervise`]).
//!
//! | act | asked |
//! | --- | --- |
//! | create | a supervisor is started, the version brought up, the front opened when it is ready |
//! | stage | the new version beside the old, behind a port of its own |
//! | switch | the front sends to the other version, new or old |
//! | retire | a version without traffic is drained and ended |
//! | update | stage, switch and retire in one |
//! | delete | everything is drained and ended, the directory removed; logs stay |
//!
//! A version is named by what it is (a keyed digest of its specification), so going back to a version that still runs is a switch,
//! and asking for one that is there only renews what is wrong with it. A supervisor that is gone is started again by the
//! next act, from its record; `observe` calls such a service failed, which makes the plan change it.
//!
//! The environment of a service is PATH, HOME and the like of the command that made the version, and what the configuration
//! says; not all that Gantry happens to have, for that differs from one run to the next.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::client::{self, NoAnswer};
use super::supervise::protocol::{Answer, Failure, Request, Status};
use super::supervise::state::{Directory, Service};
use super::supervise::{last_lines, summary};
use super::version::{REPLICAS_MAX, named, port, service_name, spec, url};
use super::words::{kept, with};
use crate::ports::{fs, id};
use crate::provider::{
    Act, Action, Context, Evidence, Found, Observation, Outcome, Prior, Problem, ProblemClass, Progress, Readiness,
};
use crate::value::{Type, Value, convert};

pub(super) const TYPE: &str = "local_service";

/// How often a command that waits says how it goes.
const SAY: Duration = Duration::from_secs(1);

fn invalid(sentence: impl Into<String>) -> Problem {
    Problem::new(ProblemClass::Invalid, sentence)
}

fn directory(context: &Context, service: &str) -> Directory {
    Directory(context.state.join("run").join("services").join(service))
}

/// Where a version is: the service and its deployment.
struct Identity {
    service: String,
    deployment: String,
}

impl Identity {
    /// What is recorded, if it is that. A name is never a way out of our directory.
    fn of(json: &Json) -> Result<Self, Problem> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        match (text("service"), text("deployment")) {
            (Some(service), Some(deployment)) if is_name(&service) && is_name(&deployment) => {
                Ok(Self { service, deployment })
            }
            _ => Err(invalid("The record of this service does not name it.")),
        }
    }

    fn json(&self) -> Json {
        json!({ "service": self.service, "deployment": self.deployment })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// A service that was opened for an act: its directory and what it is.
struct Opened {
    directory: Directory,
    service: Service,
}

/// The service that an act is about; made for a create.
fn open(context: &Context, act: &Act) -> Result<Opened, Problem> {
    let disk = |e: &dyn std::fmt::Display| invalid(e.to_string());
    if act.action != Action::Create {
        let prior = act.prior.as_ref().ok_or_else(|| invalid("There is no record of the service."))?;
        let directory = directory(context, &Identity::of(&prior.identity)?.service);
        let service = directory.service().map_err(|e| disk(&e))?.ok_or_else(|| {
            Problem::new(
                ProblemClass::Conflict,
                format!("The service's directory {} is gone. Plan again.", directory.0.display()),
            )
        })?;
        return Ok(Opened { directory, service });
    }
    let id = service_name(act);
    let directory = directory(context, &id);
    if let Some(service) = directory.service().map_err(|e| disk(&e))? {
        return Ok(Opened { directory, service });
    }
    let port = port(&act.planned).ok_or_else(|| invalid("The attribute \"port\" is missing."))?;
    let service = Service {
        port,
        http: act.planned.get_str("protocol") != Some("tcp"),
        address: act.address.to_string(),
        salt: id::random_hex::<16>(),
        logs: context.state.join("logs").join(&id),
        id,
    };
    fs::create_private_dir(&directory.0).map_err(|e| invalid(format!("Gantry {e}: {}.", e.source)))?;
    directory.set_service(&service).map_err(|e| disk(&e))?;
    Ok(Opened { directory, service })
}

/// What an exchange with a supervisor came to, where it is not an answer.
enum Trouble {
    NotSent(Problem),
    Rejected(Problem),
    Unknown(Problem),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Rejected(problem)
    }
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotSent(problem) => Self::NotSent(problem),
            Trouble::Rejected(problem) => Self::Rejected(problem),
            Trouble::Unknown(problem) => Self::Unknown(problem),
        }
    }
}

impl Opened {
    /// Asks the supervisor, which is started if it does not run.
    async fn ask(
        &self,
        context: &Context,
        act: &Act,
        request: Request,
        progress: &dyn Progress,
    ) -> Result<Option<u16>, Trouble> {
        client::ensure(context, &self.directory, &self.service).await.map_err(|why| Trouble::NotSent(invalid(why)))?;
        let wait = client::ask(&self.directory, request, act.deadline);
        tokio::pin!(wait);
        let answer = loop {
            tokio::select! {
                answer = &mut wait => break answer,
                () = tokio::time::sleep(SAY) => self.say(progress).await,
            }
        };
        let unknown = |why: String| Trouble::Unknown(Problem::new(ProblemClass::Transient, why));
        match answer {
            Ok(Answer::Done { staged_port }) => Ok(staged_port),
            Ok(Answer::Failed(failure)) => Err(Trouble::Rejected(failure.into())),
            Ok(Answer::Unsaved { sentence }) => Err(unknown(sentence)),
            Ok(_) => Err(unknown("The supervisor gave an answer to another question.".into())),
            Err(NoAnswer::NotRunning) => Err(Trouble::NotSent(Problem::new(
                ProblemClass::Transient,
                "The supervisor ended before it was asked.",
            ))),
            Err(e @ (NoAnswer::Broken(_) | NoAnswer::Late)) => Err(unknown(format!("With {}, {e}.", act.address))),
        }
    }

    async fn say(&self, progress: &dyn Progress) {
        if let Ok(status) = client::status(&self.directory).await {
            let waiting = status.deployments.values().find(|replicas| replicas.iter().any(|r| !r.ready));
            if let Some(replicas) = waiting {
                progress.say(&summary(replicas));
            }
        }
    }

    fn answered(&self, act: &Act, deployment: &str, port: u16) -> (Value, Json) {
        let attributes = with(
            &act.planned,
            [("id", Value::string(self.service.id.as_str())), ("url", Value::string(url(&act.planned, port)))],
        );
        (attributes, Identity { service: self.service.id.clone(), deployment: deployment.to_owned() }.json())
    }

    /// What is applied when a version is up: with its own address if it was staged.
    fn up(&self, act: &Act, deployment: &str, staged_port: Option<u16>) -> Outcome {
        let (attributes, identity) = self.answered(act, deployment, staged_port.unwrap_or(self.service.port));
        Outcome::Applied { attributes, identity }
    }
}

pub(super) async fn act(context: &Context, act: &Act, progress: &dyn Progress) -> Outcome {
    let done = match act.action {
        Action::Create => create(context, act, progress).await,
        Action::Stage => stage(context, act, progress).await,
        Action::Update => update(context, act, progress).await,
        Action::Switch => switch(context, act, progress).await,
        Action::Retire => retire(context, act, progress).await,
        Action::Delete => delete(context, act, progress).await,
    };
    done.unwrap_or_else(Outcome::from)
}

async fn create(context: &Context, act: &Act, progress: &dyn Progress) -> Result<Outcome, Trouble> {
    let opened = open(context, act)?;
    let (deployment, spec) = named(spec(context, act, &opened.service.id), &opened.service);
    let request = Request::Ensure { op: act.op.clone(), deployment: deployment.clone(), spec, serve: true };
    match opened.ask(context, act, request, progress).await {
        Ok(_) => Ok(opened.up(act, &deployment, None)),
        Err(Trouble::Rejected(problem)) => {
            // The supervisor took back what it did and ends; what is left is files.
            remove_if_ended(&opened.directory).await;
            Err(Trouble::Rejected(problem))
        }
        Err(other) => Err(other),
    }
}

async fn remove_if_ended(directory: &Directory) {
    if let Some(supervisor) = directory.supervisor() {
        client::wait_gone(&supervisor, client::STATUS).await;
    }
    if client::fence(directory).await {
        let _ = directory.remove();
    }
}

async fn stage(context: &Context, act: &Act, progress: &dyn Progress) -> Result<Outcome, Trouble> {
    let opened = open(context, act)?;
    let (deployment, spec) = named(spec(context, act, &opened.service.id), &opened.service);
    let request = Request::Ensure { op: act.op.clone(), deployment: deployment.clone(), spec, serve: false };
    let port = opened.ask(context, act, request, progress).await?;
    Ok(opened.up(act, &deployment, port))
}

async fn update(context: &Context, act: &Act, progress: &dyn Progress) -> Result<Outcome, Trouble> {
    let opened = open(context, act)?;
    let (deployment, spec) = named(spec(context, act, &opened.service.id), &opened.service);
    let part = |name: &str| format!("{}/{name}", act.op);
    let request = Request::Ensure { op: part("stage"), deployment: deployment.clone(), spec, serve: false };
    opened.ask(context, act, request, progress).await?;
    let request = Request::Switch { op: part("switch"), deployment: deployment.clone() };
    opened.ask(context, act, request, progress).await?;
    if let Some(prior) = &act.prior {
        let old = Identity::of(&prior.identity)?.deployment;
        opened.ask(context, act, Request::Retire { op: part("retire"), deployment: old }, progress).await?;
    }
    Ok(opened.up(act, &deployment, None))
}

/// The version that a switch moves to.
fn switched(act: &Act) -> Result<Identity, Problem> {
    Identity::of(act.staged.as_ref().ok_or_else(|| invalid("There is nothing staged to switch to."))?)
}

async fn switch(context: &Context, act: &Act, progress: &dyn Progress) -> Result<Outcome, Trouble> {
    let opened = open(context, act)?;
    let deployment = switched(act)?.deployment;
    let request = Request::Switch { op: act.op.clone(), deployment: deployment.clone() };
    opened.ask(context, act, request, progress).await?;
    Ok(opened.up(act, &deployment, None))
}

fn gone() -> Outcome {
    Outcome::Applied { attributes: Value::null(Type::Any), identity: Json::Null }
}

/// The version that goes.
fn going(act: &Act) -> Result<Identity, Problem> {
    Identity::of(&act.prior.as_ref().ok_or_else(|| invalid("There is no record of the service."))?.identity)
}

async fn retire(context: &Context, act: &Act, progress: &dyn Progress) -> Result<Outcome, Trouble> {
    let Identity { service, deployment } = going(act)?;
    if !directory(context, &service).is_there() {
        return Ok(gone());
    }
    let opened = open(context, act)?;
    opened.ask(context, act, Request::Retire { op: act.op.clone(), deployment }, progress).await?;
    Ok(gone())
}

async fn delete(context: &Context, act: &Act, _: &dyn Progress) -> Result<Outcome, Trouble> {
    let service = going(act)?.service;
    let directory = directory(context, &service);
    if directory.supervisor().is_some() {
        match client::ask(&directory, Request::Stop { op: act.op.clone() }, act.deadline).await {
            Ok(Answer::Done { .. }) | Err(NoAnswer::NotRunning) => {}
            Ok(Answer::Failed(failure)) => return Err(Trouble::Rejected(failure.into())),
            Ok(_) | Err(_) => client::end_by_force(&directory, &service).await,
        }
    }
    if let Some(supervisor) = directory.supervisor() {
        client::wait_gone(&supervisor, client::STATUS).await;
    }
    // Whatever became of the supervisor: nothing of this service runs after this.
    client::end_by_force(&directory, &service).await;
    if fs::kind(&directory.0).is_some() {
        client::fence(&directory).await;
        directory.remove().map_err(|e| Trouble::Unknown(invalid(format!("The service is stopped, but: {e}"))))?;
    }
    Ok(gone())
}

/// Whether a record's version is the one with the traffic.
pub(super) async fn observe(context: &Context, prior: &Prior) -> Observation {
    let identity = match Identity::of(&prior.identity) {
        Ok(identity) => identity,
        Err(problem) => return Observation::Unreadable(problem.sentence),
    };
    let directory = directory(context, &identity.service);
    if !directory.is_there() {
        return Observation::Absent;
    }
    let state = match directory.state() {
        Ok(state) if state.stopped => return Observation::Absent,
        Ok(state) => state,
        Err(e) => return Observation::Unreadable(e.to_string()),
    };
    let Some(active) = state.active.clone() else { return Observation::Absent };
    let attributes = if active == identity.deployment {
        prior.attributes.clone()
    } else {
        let object =
            state.deployments.get(&active).map(|d| kept(&d.spec.object)).unwrap_or_else(|| prior.attributes.clone());
        as_recorded(&object, &prior.attributes)
    };
    let readiness = match client::status(&directory).await {
        Ok(status) => readiness(&status, &active),
        Err(NoAnswer::NotRunning) => Readiness::Failed("The supervisor is not running.".into()),
        Err(e) => Readiness::Failed(format!("The service cannot be asked: {e}.")),
    };
    Observation::Present { attributes, readiness }
}

/// A version's object in the form of a record: of the schema's types, with what is computed.
fn as_recorded(object: &Value, prior: &Value) -> Value {
    let schema = super::schemas().into_iter().find(|s| s.ty == TYPE);
    let typed = schema.and_then(|s| convert(object, &s.object_type()).ok()).unwrap_or_else(|| object.clone());
    let same = |name: &str| prior.get(name).cloned().unwrap_or_else(|| Value::null(Type::String));
    with(&typed, [("id", same("id")), ("url", same("url"))])
}

fn readiness(status: &Status, active: &str) -> Readiness {
    if let Some(fault) = &status.front_fault {
        return Readiness::Failed(fault.clone());
    }
    let Some(replicas) = status.deployments.get(active) else {
        return Readiness::Failed("The version that should serve is not running.".into());
    };
    let sentence = || format!("{}.", summary(replicas));
    if replicas.iter().all(|r| r.ready) {
        Readiness::Ready
    } else if replicas.iter().any(|r| !r.ready && r.trouble.is_some()) {
        Readiness::Failed(sentence())
    } else {
        Readiness::Pending(sentence())
    }
}

/// What became of an act.
pub(super) async fn find(context: &Context, act: &Act) -> Found {
    match look(context, act).await {
        Ok(found) => found,
        Err(problem) => Found::NotNow(problem.sentence),
    }
}

async fn look(context: &Context, act: &Act) -> Result<Found, Problem> {
    let gone = || Found::Done { attributes: Value::null(Type::Any), identity: Json::Null };
    let service = match act.action {
        Action::Create => service_name(act),
        _ => going(act)?.service,
    };
    let directory = directory(context, &service);
    if !directory.is_there() {
        return Ok(if matches!(act.action, Action::Delete | Action::Retire) { gone() } else { Found::NotDone });
    }
    let opened = open(context, act)?;
    let op = if act.action == Action::Update { format!("{}/retire", act.op) } else { act.op.clone() };
    let answer = match client::outcome(&directory, &op, act.deadline).await {
        Ok(Answer::Unsaved { sentence }) => return Ok(Found::CannotTell(sentence)),
        Ok(answer) => answer,
        Err(NoAnswer::NotRunning) => {
            let state = directory.state().map_err(|e| invalid(e.to_string()))?;
            state.answer(&op).cloned().unwrap_or(Answer::NoSuchOperation)
        }
        Err(e) => return Ok(Found::NotNow(format!("With {}, {e}. Run this again.", act.address))),
    };
    Ok(match answer {
        Answer::Failed(Failure { class, sentence, evidence }) => {
            Found::Failed(Failure { class, sentence, evidence }.into())
        }
        Answer::Done { staged_port } => match act.action {
            Action::Retire => gone(),
            // Its processes are gone; the files are still to be removed.
            Action::Delete => Found::NotDone,
            Action::Switch => done(&opened, act, &switched(act)?.deployment, None),
            _ => {
                let (deployment, _) = named(spec(context, act, &opened.service.id), &opened.service);
                done(&opened, act, &deployment, staged_port)
            }
        },
        _ => Found::NotDone,
    })
}

fn done(opened: &Opened, act: &Act, deployment: &str, staged_port: Option<u16>) -> Found {
    let (attributes, identity) = opened.answered(act, deployment, staged_port.unwrap_or(opened.service.port));
    Found::Done { attributes, identity }
}

/// How a version does and what its processes wrote last.
pub(super) async fn evidence(context: &Context, identity: &Json) -> Vec<Evidence> {
    let Ok(Identity { service, deployment }) = Identity::of(identity) else { return Vec::new() };
    let directory = directory(context, &service);
    let mut found = Vec::new();
    if let Ok(status) = client::status(&directory).await
        && let Some(replicas) = status.deployments.get(&deployment)
    {
        let bytes = summary(replicas).into_bytes();
        found.push(Evidence { name: "replicas".into(), bytes });
    }
    // Without its record nobody knows what must not be shown.
    let recorded = directory.state().ok().and_then(|state| state.deployments.get(&deployment).cloned());
    let Some(hidden) = recorded.map(|d| d.spec.hidden) else { return found };
    let logs: PathBuf = context.state.join("logs").join(&service);
    for index in 0..usize::try_from(REPLICAS_MAX).unwrap_or_default() {
        let Some(text) = last_lines(&logs.join(format!("{deployment}.{index}.log")), &hidden) else { break };
        found.push(Evidence { name: format!("last lines of replica {index}'s log"), bytes: text.into_bytes() });
    }
    found
}

//! Tasks as Jobs: a program that runs in the cluster once, to its end.
//!
//! **Once.** A Job is named after its task's key, so a lost answer begins nothing twice. Of a series (a migration node) at most one runs
//! at a time: before one begins, earlier ones go, and it is waited until their pods are gone; nothing that was given up on begins
//! later behind anybody's back.
//!
//! **Its input** is a Secret of its own. The Job is made suspended, then the Secret that it owns, then it is let go: whatever happens in
//! between, the Secret goes with its Job.
//!
//! **Its end** is that of its container: the exit code, and what it left in its termination message. A Job whose input holds a secret
//! is taken away with its end; another stays for who wants to look at it, and goes after a week.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};

use super::apply::query;
use super::kinds::Kind;
use super::look::{label, list, quote, text};
use super::object::{Identity, Name};
use super::observe::encoded;
use super::preview::Coming;
use super::target::{Cluster, uid};
use super::versions::digits;
use super::wire::{APPLY, Failure, Request};
use super::{delete, job, settle};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::crash;
use crate::provider::{AwaitRequest, INPUT, Prior, Problem, ProblemClass, Progress, Task, TaskEnd};
use crate::value::{Type, Value};

/// The label of all that belongs to a series.
const SERIES: &str = "gantry.dev/series";
/// Where a task finds its input.
const MOUNT: &str = "/var/run/gantry";
/// The most input, in bytes: a Secret has 1 MiB, its other fields aside.
const INPUT_MAX: usize = 1_000_000;
/// How long the end of what was deleted is waited for. A pod has 30 s to end.
const GOING: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(250);
/// How often it is tried to take away what is over.
const TRIES: usize = 3;
/// How long a Job stays that nobody took away.
const STAYS: (u64, u64) = (3600, 7 * 24 * 3600);

/// A task in its cluster.
struct Run<'a> {
    cluster: Cluster<'a>,
    task: &'a Task,
    kind: Kind,
    name: Name,
    series: String,
}

pub(super) async fn run(cluster: Cluster<'_>, task: &Task, progress: &dyn Progress) -> TaskEnd {
    let run = match Run::of(cluster, task).await {
        Ok(run) => run,
        Err(problem) => return TaskEnd::NotBegun(problem),
    };
    let there = match run.begun().await {
        Ok(there) => there,
        Err(end) => return end,
    };
    run.end(&there, progress).await
}

/// Whether the cluster would take a task's Job: a dry run of it. Who may only look is told nothing, and that is no reason against it.
///
/// # Errors
/// Why it would not.
pub(super) async fn would_run(cluster: Cluster<'_>, coming: &Coming, task: &Task) -> Result<(), Problem> {
    let run = Run::of(cluster, task).await?;
    let Err(failure) = run.apply(true, true).await else { return Ok(()) };
    match &failure {
        Failure::Lost(_) => Ok(()),
        Failure::Refused(refusal) if refusal.code == 403 && refusal.message.contains(" cannot ") => Ok(()),
        Failure::Refused(refusal) if refusal.code == 404 && coming.has_namespace(run.namespace()) => Ok(()),
        Failure::Refused(refusal) if refusal.code == 429 || refusal.code >= 500 => Ok(()),
        _ => Err(failure.problem(&run.name.shown())),
    }
}

/// The beginning of a Job's name: a node's name as Kubernetes takes it.
fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(plain).take(40).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { "task".to_owned() } else { text.to_owned() }
}

fn ended(failure: &Failure, what: &str) -> TaskEnd {
    let problem = failure.problem(what);
    match failure {
        Failure::Lost(_) => TaskEnd::Unknown(problem),
        Failure::Refused(refusal) if refusal.code >= 500 => TaskEnd::Unknown(problem),
        _ => TaskEnd::NotBegun(problem),
    }
}

impl<'a> Run<'a> {
    async fn of(cluster: Cluster<'a>, task: &'a Task) -> Result<Self, Problem> {
        let name = Name {
            api_version: "batch/v1".into(),
            kind: "Job".into(),
            namespace: task.settings.get_str("namespace").map(str::to_owned),
            name: format!("{}-{}", slug(&task.address.name), digits(task.key.as_bytes())),
        };
        let (kind, name) = cluster.place(name).await?;
        Ok(Self { cluster, task, kind, name, series: digits(task.series.as_bytes()) })
    }

    fn namespace(&self) -> &str {
        self.name.namespace.as_deref().unwrap_or_default()
    }

    /// The Job at work, or ended: the one that is there, or a new one.
    async fn begun(&self) -> Result<Json, TaskEnd> {
        let shown = self.name.shown();
        let fail = |failure: Failure| ended(&failure, &shown);
        let there = self.cluster.get(&self.kind, &self.name).await.map_err(fail)?;
        if there.as_ref().is_some_and(|there| label(there, SERIES) != self.series) {
            let sentence = format!("{shown} is there already, and not ours.");
            return Err(TaskEnd::NotBegun(Problem::new(ProblemClass::Conflict, sentence)));
        }
        let waits = there.as_ref().is_some_and(|there| there.pointer("/spec/suspend") == Some(&json!(true)));
        match there {
            Some(there) if !waits => return Ok(there),
            Some(there) if self.task.only_look => {
                self.remove(&there).await.map_err(fail)?;
                return Err(TaskEnd::Absent);
            }
            None if self.task.only_look => return Err(TaskEnd::Absent),
            _ => {}
        }
        let size = self.task.input.as_ref().map_or(0, Vec::len);
        if size > INPUT_MAX {
            let sentence =
                format!("The migration and its database have {size} bytes; a Secret holds {INPUT_MAX} at most.");
            return Err(TaskEnd::NotBegun(Problem::new(ProblemClass::Invalid, sentence)));
        }
        self.alone().await?;
        crash::point("kubernetes.apply");
        let made = self.apply(self.task.input.is_some(), false).await.map_err(fail)?;
        crash::point("kubernetes.applied");
        let Some(input) = &self.task.input else { return Ok(made) };
        self.give(input, uid(&made)).await.map_err(fail)?;
        self.apply(false, false).await.map_err(fail)
    }

    /// Takes away what ran before, and waits until it does not run any more.
    async fn alone(&self) -> Result<(), TaskEnd> {
        let shown = self.name.shown();
        let fail = |failure: Failure| ended(&failure, &shown);
        let select = encoded(&format!("{SERIES}={}", self.series));
        let jobs = format!("{}?labelSelector={select}", self.kind.collection(self.name.namespace.as_deref()));
        let found = self.cluster.send(Request::get(jobs)).await.map_err(fail)?.body;
        for other in list(&found, "/items").iter().filter(|other| text(other, "/metadata/name") != self.name.name) {
            self.remove(other).await.map_err(fail)?;
        }
        let (start, pods) = (SystemClock.elapsed(), format!("{}?labelSelector={select}", self.pods()));
        loop {
            let found = self.cluster.send(Request::get(pods.as_str())).await.map_err(fail)?.body;
            let runs = |pod: &&Json| {
                label(pod, "batch.kubernetes.io/job-name") != self.name.name
                    && !["Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
            };
            let Some(pod) = list(&found, "/items").iter().find(runs) else { return Ok(()) };
            if SystemClock.elapsed().saturating_sub(start) > GOING {
                let sentence = format!(
                    "The pod {} of an earlier run was told to end, and still runs after {} s.",
                    text(pod, "/metadata/name"),
                    GOING.as_secs()
                );
                return Err(TaskEnd::NotBegun(Problem::new(ProblemClass::Transient, sentence)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace())
    }

    async fn remove(&self, object: &Json) -> Result<(), Failure> {
        let identity = Identity {
            api_version: self.name.api_version.clone(),
            kind: self.name.kind.clone(),
            namespace: self.name.namespace.clone(),
            name: text(object, "/metadata/name").to_owned(),
            uid: uid(object).to_owned(),
            fields: Json::Null,
            versions: Vec::new(),
        };
        delete::one(self.cluster, &identity).await
    }

    /// Makes the Job, or lets the one go that is there; with `dry`, only as a question.
    async fn apply(&self, suspended: bool, dry: bool) -> Result<Json, Failure> {
        let path = self.kind.object(self.name.namespace.as_deref(), &self.name.name);
        let path = format!("{path}{}", query(self.cluster.manager, false, dry));
        let body = manifest(self.task, &self.name, &self.series, suspended);
        Ok(self.cluster.send(Request::with("PATCH", path, APPLY, &body)).await?.body)
    }

    /// Makes the Secret that the Job reads, and owns.
    async fn give(&self, input: &[u8], owner: &str) -> Result<(), Failure> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name.name,
                "namespace": self.name.namespace,
                "labels": { SERIES: self.series },
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": self.name.name, "uid": owner, "controller": true,
                }],
            },
            "immutable": true,
            "data": { "task": BASE64_STANDARD.encode(input) },
        });
        let path = format!("/api/v1/namespaces/{}/secrets/{}", self.namespace(), self.name.name);
        let path = format!("{path}{}", query(self.cluster.manager, false, false));
        self.cluster.send(Request::with("PATCH", path, APPLY, &body)).await.map(drop)
    }

    /// Waits for the end.
    async fn end(&self, there: &Json, progress: &dyn Progress) -> TaskEnd {
        let identity = Identity {
            api_version: self.name.api_version.clone(),
            kind: self.name.kind.clone(),
            namespace: self.name.namespace.clone(),
            name: self.name.name.clone(),
            uid: uid(there).to_owned(),
            fields: Json::Null,
            versions: Vec::new(),
        };
        let request = AwaitRequest {
            address: self.task.address.clone(),
            ty: job::TYPE.into(),
            made: Prior { attributes: Value::object(Default::default()), identity: identity.json() },
            // The Job has a deadline of its own, which says more.
            deadline: self.task.deadline.saturating_add(GOING),
        };
        let settled = settle::settled(self.cluster, &request, progress).await;
        let last = self.last_word().await;
        let end = match (settled, last) {
            (Ok(_), last) => TaskEnd::Ended {
                well: true,
                message: last.map(|word| word.message).unwrap_or_default(),
                sentence: String::new(),
                evidence: Vec::new(),
            },
            (Err(problem), Some(word)) if !word.never_ran => TaskEnd::Ended {
                well: false,
                message: word.message,
                sentence: problem.sentence,
                evidence: problem.evidence,
            },
            (Err(problem), _) if problem.class == ProblemClass::Transient => return TaskEnd::Unknown(problem),
            // It may be at work still, or begin as soon as its image is there: it does not, once it is gone.
            (Err(problem), word) => match self.remove(there).await.map(|()| word) {
                Ok(Some(word)) => TaskEnd::NotBegun(Problem {
                    sentence: format!(
                        "{}: its program could not be started: {}.",
                        self.name.shown(),
                        quote(&word.message)
                    ),
                    ..problem
                }),
                Ok(None) if !self.runs().await => TaskEnd::NotBegun(problem),
                _ => TaskEnd::Unknown(problem),
            },
        };
        if self.task.input.is_some() {
            self.clear_away(there).await;
        }
        end
    }

    /// Takes a Job away that is over. What stays all the same goes by itself, or before the next one.
    async fn clear_away(&self, there: &Json) {
        for _ in 0..TRIES {
            if self.remove(there).await.is_ok() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether a container of it runs.
    async fn runs(&self) -> bool {
        let pods = format!("{}?labelSelector={}", self.pods(), encoded(&format!("job-name={}", self.name.name)));
        let Ok(found) = self.cluster.send(Request::get(pods)).await else { return true };
        let statuses = list(&found.body, "/items").iter().flat_map(|pod| list(pod, "/status/containerStatuses"));
        statuses.into_iter().any(|status| status.pointer("/state/running").is_some())
    }

    /// What its container left, where it ended.
    async fn last_word(&self) -> Option<LastWord> {
        let pods = format!("{}?labelSelector={}", self.pods(), encoded(&format!("job-name={}", self.name.name)));
        let found = self.cluster.send(Request::get(pods)).await.ok()?.body;
        let statuses = list(&found, "/items").iter().flat_map(|pod| list(pod, "/status/containerStatuses"));
        let ended = statuses.filter_map(|status| status.pointer("/state/terminated")).next_back()?;
        Some(LastWord {
            message: text(ended, "/message").to_owned(),
            never_ran: ["StartError", "ContainerCannotRun"].contains(&text(ended, "/reason")),
        })
    }
}

/// What a container left.
struct LastWord {
    message: String,
    /// Whether its program could not be started.
    never_ran: bool,
}

/// The Job of a task.
fn manifest(task: &Task, name: &Name, series: &str, suspended: bool) -> Json {
    let mut settings = task.settings.as_map().cloned().unwrap_or_default();
    let words = task.command.iter().map(|word| Value::string(word.as_str())).collect::<Vec<_>>();
    settings.insert("image".into(), Value::string(task.image.as_str()));
    settings.insert("command".into(), Value::list(Type::String, words));
    let mut job = job::manifest(&Value::object(settings), &name.name);
    job["metadata"]["namespace"] = json!(name.namespace);
    for labels in ["/metadata", "/spec/template/metadata"] {
        if let Some(metadata) = job.pointer_mut(labels) {
            metadata["labels"][SERIES] = json!(series);
        }
    }
    let spec = &mut job["spec"];
    spec["suspend"] = json!(suspended);
    spec["activeDeadlineSeconds"] = json!(task.deadline.as_secs().max(1));
    spec["ttlSecondsAfterFinished"] = json!(if task.input.is_some() { STAYS.0 } else { STAYS.1 });
    let pod = &mut spec["template"]["spec"];
    if task.input.is_some() {
        // Of a Secret nobody but the pod's own account needs to read the file; images run as anybody.
        pod["volumes"] = json!([{ "name": "task", "secret": { "secretName": name.name, "defaultMode": 0o444 } }]);
        let container = &mut pod["containers"][0];
        container["volumeMounts"] = json!([{ "name": "task", "mountPath": MOUNT, "readOnly": true }]);
        if let Some(variables) = container["env"].as_array_mut() {
            variables.push(json!({ "name": INPUT, "value": format!("{MOUNT}/task") }));
        }
    } else {
        pod["containers"][0]["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_that_kubernetes_takes_them() {
        for (name, slug_) in [("schema", "schema"), ("Shop_DB", "shop-db"), ("_", "task"), ("-a-", "a")] {
            assert_eq!(slug(name), slug_);
        }
        assert_eq!(slug(&"x".repeat(100)).len(), 40);
    }
}

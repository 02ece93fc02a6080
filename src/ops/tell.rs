//! Telling the project's webhooks: of drift when that is asked for, of a run's end always.
//!
//! What is told is put into the outbox first and delivered from there, so that a receiver that is down loses nothing. A run's end
//! is told when its lease is given back; where a process was killed in between, the next command that changes the environment tells
//! it, for the outbox remembers up to which generation was told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{Failure, Result};
use super::workspace::Workspace;
use crate::config::{Format, Project, Topic, read_project};
use crate::ledger::event::RunOutcome;
use crate::ledger::format::time_text;
use crate::ledger::record::Generation;
use crate::notify::{
    Delivered, DriftNews, Item, Message, Outbox, OutboxError, Patience, Receiver, RunNews, Text, Told, deliver,
};
use crate::plan::drift::Drift;
use crate::plan::watch::{Notice, Seen};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::{env, fs};

/// How long another process that tells of the same environment is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked.
const LOCK_LOOK: Duration = Duration::from_millis(20);
/// The most runs that are told of at once, the newest: more have ended only where nobody was told for long.
const RUNS_MAX: usize = 20;

/// Who tells the webhooks of one project.
pub struct Teller {
    project: Project,
    /// The project's directory: whose webhooks they are.
    of: String,
    outbox: Outbox,
}

/// What was told of an environment's runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ToldRuns {
    generation: u64,
}

/// Where the outbox is if nobody says: `$XDG_STATE_HOME/gantry/outbox`, or `~/.local/state/gantry/outbox`.
#[must_use]
pub fn default_outbox() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("gantry/outbox"))
}

fn place(outbox: Option<&Path>) -> Result<PathBuf> {
    outbox.map(Path::to_path_buf).or_else(default_outbox).ok_or_else(|| {
        Failure::error(
            "No outbox",
            "Messages are kept in a directory until they are delivered, and neither XDG_STATE_HOME nor HOME says where that may be.",
        )
        .hint("Name one: --outbox DIR")
    })
}

fn unusable(e: &OutboxError) -> Failure {
    Failure::error("The outbox cannot be used", format!("{}.", super::error::sentence(&e.to_string())))
}

impl Teller {
    /// For the drift of a project's environments.
    ///
    /// # Errors
    /// When the project file is wrong or has nobody to tell, or the outbox cannot be used.
    pub fn of_drift(project_dir: &Path, outbox: Option<&Path>) -> Result<Self> {
        let project = read_project(project_dir)?;
        if !project.webhooks.iter().any(|webhook| webhook.topics.contains(&Topic::Drift)) {
            let detail =
                "--notify tells the webhooks of the project file gantry.hcl, and none of them is told of drift.";
            return Err(Failure::error("Nobody to notify", detail).hint(
                "Declare one beside environments/, in gantry.hcl: webhook \"NAME\" { url = env(\"…\") secret = env(\"…\") }, or add \"drift\" to \
                 its events.",
            ));
        }
        Self::open(project, project_dir, &place(outbox)?)
    }

    fn open(project: Project, project_dir: &Path, outbox: &Path) -> Result<Self> {
        let outbox = Outbox::open(outbox).map_err(|e| unusable(&e))?;
        Ok(Self { project, of: project_dir.to_string_lossy().into_owned(), outbox })
    }

    /// Puts what is news in a look at an environment into the outbox, compared with what was told last. The look may have failed:
    /// then that is the news, once.
    ///
    /// # Errors
    /// When the outbox cannot be used.
    pub async fn drift(&self, workspace: &Workspace, look: std::result::Result<&Drift, &Failure>) -> Result<()> {
        let key = ["drift", self.of.as_str(), workspace.name.as_str()];
        let _held = self.lock(&key).await?;
        let told: Told<Seen> = self.outbox.told(&key).map_err(|e| unusable(&e))?;
        let (notices, seen) = match look {
            Ok(drift) => told.seen.news(drift),
            Err(_) => (Vec::new(), told.seen.clone()),
        };
        let now = Told { count: told.count + 1, seen, failing: look.is_err() };
        if notices.is_empty() && now.failing == told.failing {
            return Ok(());
        }
        let news = news(workspace, look, &notices, told.failing);
        let count = now.count.to_string();
        self.put(Topic::Drift, &["drift", &self.of, &workspace.name, &count], |time| news.text(time))?;
        self.outbox.remember(&key, &now).map_err(|e| unusable(&e))
    }

    /// Puts the ends of runs into the outbox that were not told yet: of generations beyond `ended_before` where nothing was ever
    /// told.
    async fn runs(&self, workspace: &Workspace, lineage: &str, all: &[Generation], ended_before: u64) -> Result<()> {
        let key = ["runs", lineage];
        let _held = self.lock(&key).await?;
        let told: Told<ToldRuns> = self.outbox.told(&key).map_err(|e| unusable(&e))?;
        let from = if told.count == 0 { ended_before } else { told.seen.generation };
        let news: Vec<&Generation> = all.iter().filter(|g| g.number > from && g.outcome.is_some()).collect();
        let Some(last) = news.last() else { return Ok(()) };
        for generation in &news[news.len().saturating_sub(RUNS_MAX)..] {
            let run = run_news(workspace, generation);
            let number = generation.number.to_string();
            self.put(Topic::Run, &["run", lineage, &number], |time| run.text(time))?;
        }
        let now = Told { count: told.count + 1, seen: ToldRuns { generation: last.number }, failing: false };
        self.outbox.remember(&key, &now).map_err(|e| unusable(&e))
    }

    async fn lock(&self, key: &[&str]) -> Result<crate::ports::process::Lock> {
        let clock = SystemClock;
        let until = clock.elapsed() + LOCK_TIMEOUT;
        loop {
            if let Some(lock) = self.outbox.lock(key).map_err(|e| unusable(&e))? {
                return Ok(lock);
            }
            if clock.elapsed() >= until {
                let detail = "Another process tells of this environment at the moment, and has not ended.";
                return Err(Failure::error("The outbox cannot be used", detail));
            }
            clock.sleep(LOCK_LOOK).await;
        }
    }

    /// A message for each webhook that is told of this.
    fn put(&self, topic: Topic, identity: &[&str], text: impl Fn(&str) -> Text) -> Result<()> {
        let created = time_text(SystemClock.now());
        let text = text(&created);
        for webhook in self.project.webhooks.iter().filter(|webhook| webhook.topics.contains(&topic)) {
            let parts: Vec<&str> = identity.iter().copied().chain([webhook.name.as_str()]).collect();
            let message = Message {
                id: Message::identity(&parts),
                project: self.of.clone(),
                webhook: webhook.name.clone(),
                created: created.clone(),
                body: match webhook.format {
                    Format::Plain => text.plain.clone(),
                    Format::Slack => text.slack.clone(),
                },
                attempts: 0,
                last: None,
            };
            self.outbox.put(&message).map_err(|e| unusable(&e))?;
        }
        Ok(())
    }

    /// Delivers what waits for this project, and gives a sentence for each webhook for which something still waits then.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn deliver(&self) -> Result<Vec<String>> {
        self.delivered(Patience::DRIFT).await
    }

    async fn delivered(&self, patience: Patience) -> Result<Vec<String>> {
        let mut receivers = BTreeMap::new();
        for webhook in &self.project.webhooks {
            let destination = webhook.destination(&|name| env::var(name));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let receiver = match destination {
                Ok(to) => Ok(Receiver { url: text(to.url.reveal()), key: to.key.map(|key| key.reveal().to_vec()) }),
                Err(e) => Err(e.diagnostic().detail.trim_end_matches('.').to_owned()),
            };
            receivers.insert(webhook.name.clone(), receiver);
        }
        let done = deliver(&self.outbox, &self.of, &receivers, patience).await.map_err(|e| unusable(&e))?;
        Ok(self.said(&done))
    }

    fn said(&self, delivered: &Delivered) -> Vec<String> {
        let place = self.outbox.directory().display();
        let one = |left: &crate::notify::Left| {
            let messages = crate::diag::count(left.messages, "message");
            let waits = if left.messages == 1 { "waits" } else { "wait" };
            let whose = left.webhook.as_ref().map(|name| format!(" for the webhook \"{name}\"")).unwrap_or_default();
            format!("{messages}{whose} {waits} in {place}: {}.", left.why)
        };
        delivered.left.iter().map(one).collect()
    }
}

fn news(
    workspace: &Workspace,
    look: std::result::Result<&Drift, &Failure>,
    notices: &[Notice],
    was_failing: bool,
) -> DriftNews {
    let item = |notice: &Notice| Item {
        news: notice.news.word(),
        address: notice.address.clone(),
        standing: notice.standing,
        fields: notice.fields.clone(),
        sentence: notice.sentence.clone(),
        words: notice.words(),
    };
    let empty = DriftNews { environment: workspace.name.clone(), ..DriftNews::default() };
    match look {
        Ok(drift) => DriftNews {
            generation: drift.generation,
            objects: drift.findings.len(),
            drifted: drift.drifted().count(),
            unreadable: drift.unreadable().count(),
            items: notices.iter().map(item).collect(),
            recovered: was_failing,
            ..empty
        },
        // The detail may name paths and accounts; whoever wants it looks.
        Err(failure) => {
            let summary = failure.diagnostics.iter().next().map_or("it is not known why", |d| &d.summary);
            DriftNews { failed: Some(summary.to_owned()), ..empty }
        }
    }
}

/// A value of the ledger's vocabulary as it is written there.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn run_news(workspace: &Workspace, generation: &Generation) -> RunNews {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let ended = generation.finished.as_deref().and_then(time);
    let milliseconds =
        time(&generation.started).zip(ended).map(|(from, to)| to.as_millisecond() - from.as_millisecond());
    RunNews {
        environment: workspace.name.clone(),
        run: generation.run.clone(),
        kind: word(&generation.kind),
        outcome: word(&generation.outcome.unwrap_or(RunOutcome::Unknown)),
        generation: generation.number,
        actor: generation.actor.clone(),
        milliseconds,
        sentence: generation.sentence.clone(),
    }
}

/// Tells how runs of an environment ended, and delivers what still waits. Gives what is to be said: nothing here changes what a
/// command came to.
pub(super) async fn runs(
    workspace: &Workspace,
    lineage: &str,
    generations: &[Generation],
    ended_before: u64,
) -> Vec<String> {
    let untold = |failure: &Failure| {
        let first = failure.diagnostics.iter().next().map(|d| format!("{}: {}", d.summary, d.detail));
        vec![format!("Webhooks were not told: {}", first.unwrap_or_default())]
    };
    let project = match read_project(&workspace.project) {
        Ok(project) if project.webhooks.is_empty() => return Vec::new(),
        Ok(project) => project,
        Err(e) => return untold(&e.into()),
    };
    let told_of_runs = project.webhooks.iter().any(|webhook| webhook.topics.contains(&Topic::Run));
    let place = match place(None) {
        // Nothing to tell, and nothing waits.
        Ok(place) if !told_of_runs && fs::kind(&place).is_none() => return Vec::new(),
        Ok(place) => place,
        Err(failure) => return untold(&failure),
    };
    let work = async {
        let teller = Teller::open(project, &workspace.project, &place)?;
        if told_of_runs {
            teller.runs(workspace, lineage, generations, ended_before).await?;
        }
        teller.delivered(Patience::RUN).await
    };
    work.await.unwrap_or_else(|failure| untold(&failure))
}

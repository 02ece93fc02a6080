//! Carrying a plan out: lease, ledger, recovery of what an earlier process left, the run itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Failure, FailureKind, Result};
use super::journal::RunJournal;
use super::planning::{Draft, Fresh, Planning};
use super::records;
use super::targets::Targets;
use super::way_back::WayBackFrom;
use super::workspace::Workspace;
use crate::event::Watcher;
use crate::exec::{Begin, Ending, Finished, Patience, Runner};
use crate::ledger::event::{Event, RunOutcome, RunStarted};
use crate::ledger::lease::{self, Lease, LeaseRecord, Terms};
use crate::ledger::{Backend, Key, LocalBackend, RawEntry, State, Writer};
use crate::plan::{Plan, SavedInputs, file};
use crate::ports::{env, id};
use crate::provider::catalog::Catalog;

/// What every command that changes something is told.
#[derive(Clone)]
pub struct Changing {
    /// The command line, for whoever waits for the lease.
    pub command: String,
    /// How long to wait for another command.
    pub lock_timeout: Duration,
    /// How many remote calls at once.
    pub parallelism: usize,
    /// Who watches.
    pub watcher: Arc<dyn Watcher>,
    /// How often the run was asked to stop.
    pub interrupts: tokio::sync::watch::Receiver<u8>,
    /// Where commands and files act, if not in the project of the working tree.
    pub project: Option<PathBuf>,
}

/// An environment opened for changing: the lease is held.
pub struct Opened {
    /// Where it is.
    pub workspace: Workspace,
    /// What the ledger says.
    pub state: State,
    /// Its entries.
    pub entries: Vec<RawEntry>,
    /// The ledger's key.
    pub key: Arc<Key>,
    /// The targets.
    pub targets: Targets,
    /// The types.
    pub catalog: Catalog,
    writer: Option<Writer>,
    lease: Option<Lease>,
    lineage: String,
    backend: Arc<dyn Backend>,
}

/// How a run ended, with what it was about.
#[derive(Debug)]
pub struct Ran {
    /// The plan that was carried out.
    pub plan: Box<Plan>,
    /// How it ended.
    pub finished: Finished,
    /// Whether it had begun in an earlier process.
    pub resumed: bool,
}

impl Opened {
    /// Takes the lease and reads the ledger.
    ///
    /// # Errors
    /// When another command holds the lease for too long, or the ledger cannot be read.
    pub async fn open(
        workspace: Workspace,
        how: &Changing,
        waiting: &mut (dyn FnMut(&LeaseRecord) + Send),
    ) -> Result<Self> {
        let backend: Arc<dyn Backend> = Arc::new(LocalBackend::new(&workspace.state));
        let clock: Arc<dyn crate::ports::clock::Clock> = Arc::new(crate::ports::clock::SystemClock);
        let terms = Terms::default();
        let lease = lease::acquire(Arc::clone(&backend), clock, &how.command, terms, how.lock_timeout, waiting);
        let lease = unless_interrupted(how, async { Ok(lease.await?) }).await.map_err(not_begun)?;
        let opened = Self::with_lease(workspace, how, backend).await.map_err(not_begun);
        match opened {
            Ok(opened) => Ok(Self { lease: Some(lease), ..opened }),
            Err(e) => {
                drop(lease.release().await);
                Err(e)
            }
        }
    }

    async fn with_lease(workspace: Workspace, how: &Changing, backend: Arc<dyn Backend>) -> Result<Self> {
        let (writer, entries) = Writer::open(Arc::clone(&backend)).await?;
        let lineage = writer.lineage().as_str().to_owned();
        let targets = Targets::open(&workspace, &lineage, how.project.as_deref())?;
        Self::on(workspace, backend, writer, entries, targets).await
    }

    /// An environment whose ledger was opened, with the targets to act on.
    pub(crate) async fn on(
        workspace: Workspace,
        backend: Arc<dyn Backend>,
        writer: Writer,
        entries: Vec<RawEntry>,
        targets: Targets,
    ) -> Result<Self> {
        let lineage = writer.lineage().as_str().to_owned();
        let key = Arc::new(writer.key().await?);
        let state = records::replay(&entries)?;
        Ok(Self {
            workspace,
            state,
            entries,
            key,
            catalog: targets.catalog().clone(),
            targets,
            writer: Some(writer),
            lease: None,
            lineage,
            backend,
        })
    }

    /// Gives the lease back.
    pub async fn close(mut self) {
        if let Some(lease) = self.lease.take() {
            // A lease that cannot be given back runs out; whoever waits sees that this process is gone.
            drop(lease.release().await);
        }
    }

    /// The ledger's identity.
    #[must_use]
    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// Where the ledger is.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// Who plans here.
    #[must_use]
    pub fn planning(&self) -> Planning<'_> {
        Planning {
            workspace: &self.workspace,
            catalog: &self.catalog,
            targets: Some(&self.targets),
            key: &self.key,
            earlier: None,
        }
    }

    /// Carries out a plan that was made on this ledger just now, or whose basis is this ledger's.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn run(&mut self, how: &Changing, plan: Plan, draft: &Draft, plan_file: Option<String>) -> Result<Ran> {
        let saved = draft.save(&self.workspace.name, &self.key);
        let bytes = serde_json::to_vec(&saved).expect("invariant: saved inputs are plain data");
        let inputs = self.backend.put_blob(bytes).await.map_err(|e| not_begun(e.into()))?;
        let makes_generation = plan.kind != crate::ledger::event::RunKind::Verify;
        let started = RunStarted {
            kind: plan.kind,
            generation: makes_generation.then_some(plan.generation),
            base: plan.base,
            effect: plan.effect.clone(),
            plan: plan_file,
            inputs: inputs.to_string(),
            asked: plan.asked.clone(),
            on_failure: plan.on_failure.word().to_owned(),
            partial: plan.partial,
            engine: file::ENGINE.to_owned(),
        };
        let run = format!("run-{}", id::random_hex::<8>());
        let finished = self.carry_out(how, &plan, run, Begin::New(Box::new(started)), draft).await?;
        Ok(Ran { plan: Box::new(plan), finished, resumed: false })
    }

    async fn carry_out(
        &mut self,
        how: &Changing,
        plan: &Plan,
        run: String,
        begin: Begin,
        draft: &Draft,
    ) -> Result<Finished> {
        let Some(writer) = self.writer.take() else {
            return Err(Failure::error("Internal error", "The ledger's writer was used up. This is a bug in Gantry."));
        };
        let journal = Arc::new(RunJournal::new(writer, Arc::clone(&self.targets.clock), run.clone(), env::user()));
        let key = Arc::clone(&self.key);
        let way_back = WayBackFrom {
            workspace: self.workspace.clone(),
            backend: Arc::clone(&self.backend),
            key: Arc::clone(&self.key),
            targets: self.targets.clone(),
            failed: draft.clone(),
            down_anyway: down_anyway(plan),
        };
        let runner = Runner {
            run,
            journal: Arc::clone(&journal) as Arc<dyn crate::exec::Journal>,
            providers: self.targets.providers.clone(),
            clock: Arc::clone(&self.targets.clock),
            seal: Arc::new(move |bytes: &[u8]| key.hmac(bytes)),
            lineage: self.lineage.clone(),
            environment_dir: self.workspace.environment.clone(),
            blobs: self.workspace.blobs(&draft.bundle.project),
            watcher: Arc::clone(&how.watcher),
            interrupts: how.interrupts.clone(),
            parallelism: how.parallelism,
            way_back: Arc::new(way_back),
            images: Arc::new(super::targets::Registry),
            outside: Arc::clone(&self.targets.outside),
            patience: Patience::default(),
        };
        let state = std::mem::take(&mut self.state);
        let finished = runner.run(plan, state, begin).await;
        self.state.clone_from(&finished.state);
        drop(runner);
        if let Ok(journal) = Arc::try_unwrap(journal) {
            self.writer = Some(journal.into_writer());
        }
        Ok(finished)
    }

    /// What the interrupted run was made from, with the secrets of now.
    ///
    /// # Errors
    /// When it cannot be read, or a secret is missing or different.
    pub async fn interrupted(&self, fresh: &Fresh<'_>) -> Result<Option<(Draft, Plan)>> {
        let Some(open) = &self.state.open else { return Ok(None) };
        let json = records::blob_json(self.backend.as_ref(), &open.started.inputs).await?;
        let saved: SavedInputs = serde_json::from_value(json).map_err(|e| {
            Failure::error("Unreadable ledger", format!("The inputs of the interrupted run cannot be read: {e}."))
        })?;
        let mut draft = Draft::restore(&saved, fresh, &self.key, true)?;
        let before = self.entries.iter().take_while(|e| e.run.as_deref() != Some(&open.run));
        let base = records::replay(before)?;
        let planning = Planning { targets: None, ..self.planning() };
        let plan = planning.plan(&mut draft, &base).await?;
        if plan.effect != open.started.effect {
            return Err(Failure::new(
                FailureKind::Refused,
                crate::diag::Diagnostic::error(
                    "The interrupted run cannot be planned again",
                    format!("Planning from its recorded inputs gives other steps than it began with; it was begun by Gantry {}.", open.started.engine),
                )
                .hint("Go on with that version of Gantry."),
            ));
        }
        Ok(Some((draft, plan)))
    }

    /// Goes on with the interrupted run to its end.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn resume(&mut self, how: &Changing, draft: &Draft, plan: Plan) -> Result<Ran> {
        self.take_over().await?;
        let run = self.state.open.as_ref().map(|o| o.run.clone()).unwrap_or_default();
        let finished = self.carry_out(how, &plan, run, Begin::Continue, draft).await?;
        Ok(Ran { plan: Box::new(plan), finished, resumed: true })
    }

    /// Looks for what became of the interrupted run's steps and ends it as held: the configuration asks for something else now.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn abandon(&mut self, how: &Changing, draft: &Draft, plan: &Plan) -> Result<Finished> {
        self.take_over().await?;
        let run = self.state.open.as_ref().map(|o| o.run.clone()).unwrap_or_default();
        self.carry_out(how, plan, run, Begin::Abandon, draft).await
    }

    /// Fences whoever wrote before, and reads what they had written by then.
    async fn take_over(&mut self) -> Result<()> {
        let (writer, entries) = Writer::open_fenced(Arc::clone(&self.backend)).await?;
        self.state = records::replay(&entries)?;
        self.entries = entries;
        self.writer = Some(writer);
        Ok(())
    }

    /// Appends an event that belongs to no run.
    ///
    /// # Errors
    /// When the ledger cannot be written, or the event cannot follow.
    pub async fn note(&mut self, event: Event) -> Result<()> {
        if self.writer.is_none() {
            self.take_over().await?;
        }
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        let draft = crate::ledger::Draft {
            time: self.targets.now(),
            run: None,
            actor: env::user(),
            event: serde_json::to_value(&event).expect("invariant: an event is plain data with text keys"),
        };
        for entry in writer.append(vec![draft]).await? {
            self.state.apply(&records::meta(&entry), &event).map_err(|e| Failure::error("Ledger", format!("{e}.")))?;
        }
        Ok(())
    }
}

impl Ran {
    /// Whether everything asked for is serving.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.finished.ending == Ending::Ended(RunOutcome::Verified)
    }
}

impl Ran {
    /// Why the run has no end yet, if it has none.
    #[must_use]
    pub fn left(&self) -> Option<&str> {
        (!matches!(self.finished.ending, Ending::Ended(_))).then_some(&*self.finished.sentence)
    }

    /// Whether it ended with everything serving or back at its base: what is asked for now can be planned.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.finished.ending, Ending::Ended(RunOutcome::Verified | RunOutcome::RolledBack))
    }
}

/// A ledger that cannot be written stops a run that is on; where none has begun, nothing was changed.
fn not_begun(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Unfinished => Failure { kind: FailureKind::Error, ..failure },
        _ => failure,
    }
}

/// Waits for something that changes nothing, unless the user asks to stop: the signals are taken, so nobody else ends the
/// process.
///
/// # Errors
/// What the work fails with; when it was interrupted.
pub(super) async fn unless_interrupted<T>(how: &Changing, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let mut interrupts = how.interrupts.clone();
    let interrupted = async {
        if interrupts.wait_for(|times| *times > 0).await.is_err() {
            // Nobody counts them any more.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        () = interrupted => Err(Failure::error("Interrupted", "The command was interrupted before it changed anything.")),
    }
}

/// The migrations that go down on a way back even after traffic has moved.
fn down_anyway(plan: &Plan) -> Vec<crate::addr::Address> {
    let down = |c: &&crate::plan::Change| matches!(&c.detail, crate::plan::Detail::Migration(m) if m.down_on_rollback);
    plan.changes.iter().filter(down).map(|c| c.address.clone()).collect()
}

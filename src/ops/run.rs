//! Carrying a plan out: lease, ledger, recovery of what an earlier process left, the run itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Failure, FailureKind, Result};
use super::journal::RunJournal;
use super::origin::Origin;
use super::planning::{Again, Draft, Planning};
use super::records;
use super::restore::{Fresh, Other};
use super::secrets::Secrets;
use super::store::Store;
use super::targets::Targets;
use super::way_back::WayBackFrom;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::event::Watcher;
use crate::exec::{Begin, Ending, Finished, Patience, Runner};
use crate::ledger::event::{Event, RunKind, RunOutcome, RunStarted};
use crate::ledger::format::time_text;
use crate::ledger::lease::{self, Lease, LeaseRecord, Terms};
use crate::ledger::reading::Reading;
use crate::ledger::record::Consent;
use crate::ledger::replay::IllegalEvent;
use crate::ledger::{Backend, Digest, Meta, RawEntry, State, Writer, checkpoint};
use crate::plan::{Plan, SavedInputs, file};
use crate::ports::{env, id};

/// How long the lease may take to be given back: where the ledger does not answer, people wait for a command that is over.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// What it said before the entries that were read.
    base: State,
    /// The entries since its newest checkpoint, or all.
    entries: Vec<RawEntry>,
    /// What secrets are kept and opened with: this machine's identities, and from [`Opened::configure`] on what the configuration
    /// says.
    pub secrets: Secrets,
    /// The targets.
    pub targets: Targets,
    writer: Option<Writer>,
    lease: Option<Lease>,
    lineage: String,
    backend: Arc<dyn Backend>,
    store: Store,
    /// The newest generation that had ended when the ledger was opened.
    ended_before: u64,
    /// Who hears of what could not be told to others.
    watcher: Option<Arc<dyn Watcher>>,
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
    /// Takes the lease and reads the ledger. The variables are those that the place of the ledger may depend on.
    ///
    /// # Errors
    /// When the ledger cannot be found or read, or another command holds the lease for too long.
    pub async fn open(
        workspace: Workspace,
        variables: &[VarArg],
        how: &Changing,
        waiting: &mut (dyn FnMut(&LeaseRecord) + Send),
    ) -> Result<Self> {
        let store = unless_interrupted(how, Store::open(&workspace, variables)).await.map_err(not_begun)?;
        let backend = Arc::clone(&store.backend);
        let clock: Arc<dyn crate::ports::clock::Clock> = Arc::new(crate::ports::clock::SystemClock);
        let terms = Terms::default();
        let lease = lease::acquire(Arc::clone(&backend), clock, &how.command, terms, how.lock_timeout, waiting);
        let lease = unless_interrupted(how, async { Ok(lease.await?) }).await.map_err(not_begun)?;
        let opened = Self::with_lease(workspace, how, store).await.map_err(not_begun);
        match opened {
            Ok(opened) => Ok(Self { lease: Some(lease), watcher: Some(Arc::clone(&how.watcher)), ..opened }),
            Err(e) => {
                drop(lease.release().await);
                Err(e)
            }
        }
    }

    async fn with_lease(workspace: Workspace, how: &Changing, store: Store) -> Result<Self> {
        let (writer, reading) = Writer::open_reading(Arc::clone(&store.backend)).await?;
        let found = writer.head().map(|head| (writer.lineage(), head));
        store.check(found, reading.as_ref().map_or(&[], |r| &r.entries))?;
        let lineage = writer.lineage().as_str().to_owned();
        let targets = Targets::open(&workspace, &lineage, how.project.as_deref())?;
        Self::on(workspace, store, writer, reading, targets).await
    }

    /// An environment whose ledger was opened, with the targets to act on.
    pub(crate) async fn on(
        workspace: Workspace,
        store: Store,
        writer: Writer,
        reading: Option<Reading>,
        targets: Targets,
    ) -> Result<Self> {
        let lineage = writer.lineage().as_str().to_owned();
        let secrets = Secrets::of_machine(Arc::new(writer.key().await?))?;
        let (base, entries) = reading.map(|r| (r.base, r.entries)).unwrap_or_default();
        let state = records::replay(base.clone(), &entries)?;
        store.still_here(&state)?;
        let ended_before = state.generations.iter().rev().find(|g| g.outcome.is_some()).map_or(0, |g| g.number);
        Ok(Self {
            workspace,
            state,
            base,
            entries,
            secrets,
            targets,
            writer: Some(writer),
            lease: None,
            lineage,
            backend: Arc::clone(&store.backend),
            store,
            ended_before,
            watcher: None,
        })
    }

    /// Takes what a configuration says about encryption.
    ///
    /// # Errors
    /// When its block is wrong, or names identities that cannot be taken.
    pub fn configure(&mut self, draft: &Draft) -> Result<()> {
        self.secrets = self.secrets.configured(draft, &self.workspace)?;
        Ok(())
    }

    /// Gives the lease back, then tells the project's webhooks how runs ended.
    pub async fn close(mut self) {
        if let Some(lease) = self.lease.take() {
            // A lease that cannot be given back runs out; whoever waits sees that this process is gone.
            drop(tokio::time::timeout(RELEASE_TIMEOUT, lease.release()).await);
        }
        // Without a watcher nobody commands: the simulated world has no webhooks.
        let Some(watcher) = self.watcher.take() else { return };
        let (generations, before) = (&self.state.generations, self.ended_before);
        for sentence in super::tell::runs(&self.workspace, &self.lineage, generations, before).await {
            watcher.event(crate::event::RunEvent::Untold { sentence });
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

    /// The same, to be shared.
    #[must_use]
    pub fn shared_backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Takes the ledger over as it was read: what is put from here on no earlier writer removes.
    ///
    /// # Errors
    /// When another process wrote in between, or it cannot be written.
    pub async fn fence(&mut self) -> Result<()> {
        match self.writer.as_mut().filter(|writer| writer.head().is_some()) {
            Some(writer) => Ok(writer.fence().await?),
            None => Ok(()),
        }
    }

    /// Who plans here.
    #[must_use]
    pub fn planning(&self) -> Planning<'_> {
        Planning::new(&self.workspace, self.targets.catalog(), Some(&self.targets), &self.secrets)
    }

    /// Carries out a plan that was made on this ledger just now, or whose basis is this ledger's, and that nobody has to agree to.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn run(&mut self, how: &Changing, plan: Plan, draft: &Draft, plan_file: Option<String>) -> Result<Ran> {
        self.run_agreed(how, plan, draft, plan_file, None).await
    }

    /// The same for one that people have agreed to.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn run_agreed(
        &mut self,
        how: &Changing,
        plan: Plan,
        draft: &Draft,
        plan_file: Option<String>,
        consent: Option<Consent>,
    ) -> Result<Ran> {
        let makes_generation = plan.kind != crate::ledger::event::RunKind::Verify;
        // No way leads around the gate, whoever calls.
        if makes_generation && consent.is_none() && !super::consent::gates(&plan.gates, &self.state)?.is_empty() {
            let detail = "The plan needs approval, and the run would begin without. This is a bug in Gantry.";
            return Err(Failure::refused("Approval missing", detail));
        }
        if !plan.unopened.is_empty() {
            let all = plan.unopened.iter().map(|u| u.diagnostic(crate::diag::Severity::Error));
            let refused = Failure::from_diagnostics(all.collect(), draft.desired.sources.clone());
            return Err(Failure { kind: FailureKind::Refused, ..refused });
        }
        let saved = draft.save(&self.workspace.name, &self.secrets, &plan);
        let bytes = serde_json::to_vec(&saved).expect("invariant: saved inputs are plain data");
        // Before the first blob: from here on no earlier writer removes any, `state gc` among them.
        self.fence().await.map_err(not_begun)?;
        let inputs = self.backend.put_blob(bytes).await.map_err(|e| not_begun(e.into()))?;
        let origin = Origin::of(&self.state, &plan, draft, (&self.workspace.name, &self.lineage));
        let origin = origin.checked(&self.state, &plan, draft, self.backend.as_ref()).await.map_err(not_begun)?;
        // A generation is a configuration that was carried out; what only looks and records is none.
        let makes_generation = !matches!(plan.kind, RunKind::Verify | RunKind::Refresh);
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
            gates: plan.gates.clone(),
            consent,
            engine: file::ENGINE.to_owned(),
            configuration: Some(format!("sha256:{}", draft.bundle.digest())),
            release: origin.release,
            unproven: origin.unproven,
            takes_back: origin.takes_back,
            overrides: origin.overrides,
        };
        let run = format!("run-{}", id::random_hex::<8>());
        let finished = self.carry_out(how, &plan, run, Begin::New(Box::new(started)), draft).await?;
        Ok(Ran { plan: Box::new(plan), finished, resumed: false })
    }

    /// Who plans the way back of a run.
    fn way_back(&self, plan: &Plan, draft: &Draft) -> WayBackFrom {
        WayBackFrom {
            workspace: self.workspace.clone(),
            backend: Arc::clone(&self.backend),
            secrets: self.secrets.clone(),
            targets: self.targets.clone(),
            failed: draft.clone(),
            down_anyway: down_anyway(plan),
            migrated: migrated(plan),
        }
    }

    async fn carry_out(
        &mut self,
        how: &Changing,
        plan: &Plan,
        run: String,
        begin: Begin,
        draft: &Draft,
    ) -> Result<Finished> {
        // Before the writer is taken: an error from here leaves it where it is.
        self.planning().configure(draft, &self.state).await?;
        let Some(writer) = self.writer.take() else {
            return Err(Failure::error("Internal error", "The ledger's writer was used up. This is a bug in Gantry."));
        };
        let journal = Arc::new(RunJournal::new(
            writer,
            self.store.clone(),
            Arc::clone(&self.targets.clock),
            run.clone(),
            env::user(),
        ));
        let key = Arc::clone(&self.secrets.key);
        let way_back = self.way_back(plan, draft);
        let runner = Runner {
            run,
            journal: Arc::clone(&journal) as Arc<dyn crate::exec::Journal>,
            providers: self.targets.providers.clone(),
            clock: Arc::clone(&self.targets.clock),
            seal: Arc::new(move |bytes: &[u8]| key.hmac(bytes)),
            sealer: self.secrets.sealer(),
            opener: self.secrets.opener(),
            scrub: Arc::new(draft.secrets()),
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
            let writer = journal.into_writer();
            if let Some(head) = writer.head() {
                // The run has ended either way; how far it went is remembered for the sake of the next one.
                drop(self.store.remember(writer.lineage(), head));
            }
            self.writer = Some(writer);
        }
        if self.state.open.is_none()
            && checkpoint::is_due(self.state.since_checkpoint)
            && let Err(e) = self.checkpoint().await
        {
            // The run is recorded as a whole; the next one writes a checkpoint.
            tracing::warn!(error = ?e.diagnostics, "no checkpoint was written");
        }
        Ok(finished)
    }

    /// Writes down what the ledger comes to, so that the next opening need not read it all.
    ///
    /// # Errors
    /// When it cannot be written.
    async fn checkpoint(&mut self) -> Result<()> {
        let Some(lineage) = self.writer.as_ref().map(|writer| writer.lineage().clone()) else { return Ok(()) };
        let manifest = checkpoint::write(self.backend.as_ref(), &lineage, &self.state).await?;
        self.note(Event::Checkpoint { manifest }).await?;
        match self.writer.as_ref().and_then(Writer::head) {
            Some(head) => Ok(self.backend.note_checkpoint(head).await?),
            None => Ok(()),
        }
    }

    /// What the interrupted run was made from, with the secrets of now.
    ///
    /// # Errors
    /// When it cannot be read, or a secret is missing or different.
    pub async fn interrupted(&mut self, fresh: &Fresh<'_>) -> Result<Option<(Draft, Plan)>> {
        let Some(open) = &self.state.open else { return Ok(None) };
        let json = records::blob_json(self.backend.as_ref(), &open.started.inputs).await?;
        let saved: SavedInputs = serde_json::from_value(json).map_err(|e| {
            Failure::error("Unreadable ledger", format!("The inputs of the interrupted run cannot be read: {e}."))
        })?;
        let restored = Draft::restore(&saved, fresh, &self.secrets, &self.workspace, Other::Refused)?.asking_again();
        let mut draft = restored.draft;
        let before = self.entries.iter().take_while(|e| e.run.as_deref() != Some(&open.run));
        let base = records::replay(self.base.clone(), before)?;
        let again = Again { targets: &self.targets, answers: &restored.unopened };
        let secrets = &restored.secrets;
        let planning = Planning { targets: None, again: Some(again), secrets, ..self.planning() };
        let plan = planning.plan_as_was(&mut draft, &base, &open.started.effect).await?;
        if plan.effect != open.started.effect && restored.unopened.is_empty() {
            return Err(Failure::new(
                FailureKind::Refused,
                crate::diag::Diagnostic::error(
                    "The interrupted run cannot be planned again",
                    format!("Planning from its recorded inputs gives other steps than it began with; it was begun by Gantry {}.", open.started.engine),
                )
                .hint("Go on with that version of Gantry."),
            ));
        }
        if plan.effect != open.started.effect {
            return Err(super::restore::not_told_again(&restored.unopened, secrets));
        }
        self.secrets = restored.secrets;
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
        let (writer, reading) = Writer::open_reading_fenced(Arc::clone(&self.backend)).await?;
        (self.base, self.entries) = reading.map(|r| (r.base, r.entries)).unwrap_or_default();
        self.state = records::replay(self.base.clone(), &self.entries)?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Removes blobs of which it is durable that nothing needs them.
    ///
    /// # Errors
    /// When another process has taken the ledger over, or they cannot be removed.
    pub async fn remove_blobs(&mut self, blobs: &BTreeSet<Digest>) -> Result<()> {
        if self.writer.is_none() {
            self.take_over().await?;
        }
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        Ok(writer.remove_blobs(blobs).await?)
    }

    /// Appends an event that belongs to no run.
    ///
    /// # Errors
    /// When the ledger cannot be written, or the event cannot follow.
    pub async fn note(&mut self, event: Event) -> Result<()> {
        self.note_all(vec![event]).await
    }

    /// Appends events that belong to no run, all or none.
    ///
    /// # Errors
    /// When the ledger cannot be written, or one of them cannot follow; then nothing is written.
    pub async fn note_all(&mut self, events: Vec<Event>) -> Result<()> {
        if self.writer.is_none() {
            self.take_over().await?;
        }
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        let illegal = |e: IllegalEvent| Failure::error("Impossible change of the ledger", format!("{e}."));
        let (time, actor) = (self.targets.now(), env::user());
        let mut after = self.state.clone();
        let mut drafts = Vec::with_capacity(events.len());
        for event in &events {
            let meta = Meta { seq: after.seq + 1, time: time_text(time), run: String::new(), actor: actor.clone() };
            after.apply(&meta, event).map_err(illegal)?;
            let event = serde_json::to_value(event).expect("invariant: an event is plain data with text keys");
            drafts.push(crate::ledger::Draft { time, run: None, actor: actor.clone(), event });
        }
        writer.append(drafts).await?;
        self.state = after;
        if let Some(head) = writer.head() {
            self.store.remember(writer.lineage(), head)?;
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
pub(super) fn not_begun(failure: Failure) -> Failure {
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

/// What a plan migrates, by node.
fn migrated(plan: &Plan) -> BTreeMap<crate::addr::Address, Box<crate::plan::change::MigrationDetail>> {
    let of = |change: &crate::plan::Change| match &change.detail {
        crate::plan::Detail::Migration(detail) => Some((change.address.clone(), detail.clone())),
        _ => None,
    };
    plan.changes.iter().filter_map(of).collect()
}

/// The migrations that go down on a way back even after traffic has moved.
fn down_anyway(plan: &Plan) -> Vec<crate::addr::Address> {
    let down = |c: &&crate::plan::Change| matches!(&c.detail, crate::plan::Detail::Migration(m) if m.down_on_rollback);
    plan.changes.iter().filter(down).map(|c| c.address.clone()).collect()
}

//! How fast a ledger is written and opened: `make bench`, or `cargo bench --bench ledger`. It prints a table, and judges nothing.
//!
//! Each figure is given twice: the time that the processors worked, on all threads together, which says something on a machine that
//! does other things beside it; and the clock on the wall, which has the disk's syncs in it.
//!
//! * **run**: 10,000 resources that live in the process, in a graph 100 deep, carried out by the code of `gantry apply` from the
//!   moment of the approval on: each step's intent and outcome are durable in the local ledger before anything rests on them.
//! * **open**: what every command does first, on a ledger of 100,000 resources, and on one of 1,000,000 entries.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry::addr::Address;
use gantry::event::Nobody;
use gantry::ledger::event::{Event, RunKind, RunOutcome, RunStarted, StepIntended, StepResult, StepSucceeded};
use gantry::ledger::record::Record;
use gantry::ledger::{Backend, Draft, LeaseRecord, LocalBackend, State, Writer, checkpoint};
use gantry::ops::apply::{Applied, Judge, Made, Wanted, apply};
use gantry::ops::records::{Records, meta};
use gantry::ops::run::Changing;
use gantry::ops::{Failure, Finished, Workspace};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often each is measured; the best of them is what the machine can do.
const TIMES: usize = 5;

/// How many entries are one batch.
const BATCH: usize = 1000;

const LAYERS: usize = 100;

const WIDTH: usize = 100;

/// A moment, by the processors and by the clock on the wall.
#[derive(Clone, Copy)]
struct Moment {
    worked: Duration,
    wall: Instant,
}

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let worked = Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0));
        Self { worked, wall: Instant::now() }
    }

    fn took(self) -> (Duration, Duration) {
        let now = Self::now();
        (now.worked.saturating_sub(self.worked), now.wall.saturating_duration_since(self.wall))
    }
}

fn told(what: &str, all: &[(Duration, Duration)]) -> Result<()> {
    let worked = all.iter().map(|(worked, _)| *worked).min().unwrap_or_default();
    let wall = all.iter().map(|(_, wall)| *wall).min().unwrap_or_default();
    writeln!(std::io::stdout(), "{what:<56} processors {worked:>9.1?}   wall {wall:>9.1?}   (best of {})", all.len())?;
    Ok(())
}

fn failed(failure: &Failure) -> Box<dyn Error> {
    let all: Vec<String> =
        failure.diagnostics.sorted().iter().map(|d| format!("{}: {}", d.summary, d.detail)).collect();
    all.join("; ").into()
}

fn workspace(directory: &Path, text: &str) -> Result<Workspace> {
    let environment = directory.join("environments/bench");
    std::fs::create_dir_all(&environment)?;
    std::fs::write(environment.join("main.hcl"), text)?;
    Workspace::locate(directory, Some("bench")).map_err(|e| failed(&e))
}

/// Says yes, and remembers when.
struct Yes(Moment);

impl Judge for Yes {
    fn approve(&mut self, _: &Made) -> std::result::Result<bool, Failure> {
        self.0 = Moment::now();
        Ok(true)
    }

    fn waiting(&mut self, _: &LeaseRecord) {}

    fn found_interrupted(&mut self, _: &State, _: bool) {}

    fn ended_interrupted(&mut self, _: &Finished) {}
}

/// Ten thousand steps, a hundred deep.
async fn run() -> Result<(Duration, Duration)> {
    let mut text =
        format!("resource \"terraform_data\" \"l0\" {{\n  count = {WIDTH}\n  input = \"${{count.index}}\"\n}}\n");
    for layer in 1..LAYERS {
        let before = layer - 1;
        text.push_str(&format!(
            "resource \"terraform_data\" \"l{layer}\" {{\n  count = {WIDTH}\n  \
             input = terraform_data.l{before}[count.index].id\n}}\n"
        ));
    }
    let directory = tempfile::tempdir()?;
    let workspace = workspace(directory.path(), &text)?;
    let (_keep, interrupts) = tokio::sync::watch::channel(0);
    let how = Changing {
        command: "bench".into(),
        lock_timeout: Duration::ZERO,
        parallelism: 10,
        watcher: Arc::new(Nobody),
        interrupts,
        project: None,
    };
    let mut judge = Yes(Moment::now());
    let applied = apply(workspace, &Wanted::default(), &how, &mut judge).await.map_err(|e| failed(&e))?;
    let took = judge.0.took();
    match applied {
        Applied::Ran(ran) if ran.verified() && ran.finished.state.records.len() == LAYERS * WIDTH => Ok(took),
        _ => Err("the run did not come to its end".into()),
    }
}

/// A ledger that is being written.
struct Pen {
    backend: Arc<dyn Backend>,
    writer: Writer,
    state: State,
    drafts: Vec<Draft>,
}

impl Pen {
    async fn new(workspace: &Workspace) -> Result<Self> {
        let backend: Arc<dyn Backend> = Arc::new(LocalBackend::new(&workspace.state));
        let (writer, _) = Writer::open_reading(Arc::clone(&backend)).await?;
        writer.key().await?;
        Ok(Self { backend, writer, state: State::default(), drafts: Vec::new() })
    }

    fn seq(&self) -> u64 {
        self.writer.head().map_or(0, |head| head.seq)
    }

    async fn push(&mut self, run: &str, event: &Event) -> Result<()> {
        let (time, event) = (jiff::Timestamp::from_second(1_795_217_100)?, serde_json::to_value(event)?);
        self.drafts.push(Draft { time, run: Some(run.to_owned()), actor: "bench".into(), event });
        if self.drafts.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        for entry in self.writer.append(std::mem::take(&mut self.drafts)).await? {
            let event = gantry::ops::records::event(&entry).map_err(|e| failed(&e))?;
            self.state.apply(&meta(&entry), &event)?;
        }
        Ok(())
    }

    /// A run that made or changed so many resources, as a run writes it.
    async fn run(&mut self, resources: usize) -> Result<()> {
        let generation = self.state.generation() + 1;
        let run = format!("run-{generation}");
        let started = RunStarted {
            kind: RunKind::Apply,
            generation: Some(generation),
            base: (generation > 1).then(|| generation - 1),
            effect: "0".repeat(64),
            plan: None,
            inputs: "0".repeat(64),
            asked: String::new(),
            on_failure: "rollback".into(),
            partial: false,
            consent: None,
            engine: "bench".into(),
            configuration: None,
            release: None,
            unproven: false,
            takes_back: None,
            overrides: Default::default(),
            gates: Default::default(),
        };
        self.push(&run, &Event::RunStarted(Box::new(started))).await?;
        for n in 0..resources {
            let address: Address = format!("terraform_data.r[{n}]").parse()?;
            let (step, unwinding) = (format!("{address} apply"), false);
            let intent = StepIntended {
                step: step.clone(),
                address: address.clone(),
                action: if generation == 1 { "create" } else { "update" }.into(),
                op: format!("{generation:016x}{n:016x}"),
                request: "0".repeat(64),
                attempt: 1,
                unwinding,
            };
            self.push(&run, &Event::StepIntended(intent)).await?;
            let json = serde_json::json!({"input": {"name": format!("resource-{n}"), "tier": n % 7}});
            let record = Record {
                ty: "terraform_data".into(),
                provider: "terraform".into(),
                identity: serde_json::json!({"id": format!("id-{n}")}),
                inputs: json.clone(),
                attributes: json,
                dependencies: Vec::new(),
                schema: 0,
                generation,
                create_before_destroy: false,
                imported: None,
            };
            let result = StepResult::Recorded { record: Box::new(record) };
            let succeeded = StepSucceeded { step, address, result, unwinding };
            self.push(&run, &Event::StepSucceeded(succeeded)).await?;
        }
        self.push(&run, &Event::Committed).await?;
        let outcome = RunOutcome::Verified;
        let end = Event::RunFinished { outcome, sentence: String::new(), outputs: Default::default() };
        self.push(&run, &end).await?;
        self.flush().await
    }

    /// A checkpoint, as a run writes it at its end.
    async fn checkpoint(&mut self) -> Result<()> {
        let manifest = checkpoint::write(self.backend.as_ref(), self.writer.lineage(), &self.state).await?;
        self.push("", &Event::Checkpoint { manifest }).await?;
        self.flush().await?;
        let head = self.writer.head().ok_or("it has entries")?;
        Ok(self.backend.note_checkpoint(head).await?)
    }
}

async fn open(workspace: &Workspace, resources: usize) -> Result<(Duration, Duration)> {
    let before = Moment::now();
    let records = Records::read(workspace, &[]).await.map_err(|e| failed(&e))?;
    let took = before.took();
    if records.state.records.len() == resources { Ok(took) } else { Err("it is not what was written".into()) }
}

/// Opens a ledger of so many resources, after at least so many entries, with as many after its newest checkpoint as there can be.
async fn opened(resources: usize, entries: u64) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let workspace = workspace(directory.path(), "resource \"terraform_data\" \"r\" {\n  count = 1\n}\n")?;
    let mut pen = Pen::new(&workspace).await?;
    pen.run(resources).await?;
    while pen.seq() < entries {
        pen.run(resources).await?;
    }
    pen.checkpoint().await?;
    pen.run(usize::min(490, resources)).await?;
    let mut all = Vec::new();
    for _ in 0..TIMES {
        all.push(open(&workspace, resources).await?);
    }
    told(&format!("open: {resources} resources, {} entries", pen.seq()), &all)
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut all = Vec::new();
        for _ in 0..TIMES {
            all.push(run().await?);
        }
        told(&format!("run: {} steps, {LAYERS} deep", LAYERS * WIDTH), &all)?;
        opened(1_000, 2_000).await?;
        opened(100_000, 200_000).await?;
        opened(1_000, 1_000_000).await?;
        opened(100_000, 1_000_000).await
    })
}

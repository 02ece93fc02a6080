//! What a run is carried out with, and what it comes to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::journal::{Journal, JournalError};
use super::outside::Outside;
use super::scrub::Scrub;
use crate::event::Watcher;
use crate::ledger::State;
use crate::ledger::event::{RunOutcome, RunStarted};
use crate::ledger::record::Pin;
use crate::plan::Plan;
use crate::ports::clock::Clock;
use crate::provider::Providers;
use crate::value::{Keep, Opener, Sealer, Value};

/// Who plans the way back when it is needed.
#[async_trait]
pub trait WayBackPlanner: Send + Sync {
    /// Plans the base's configuration, limited to what the open run touched, against what is there now; with `trust_records`
    /// against what is recorded, so that a step that was done without a recorded outcome is in the plan again and can be
    /// looked for.
    ///
    /// # Errors
    /// With a sentence when it cannot be planned; the run is then stuck.
    async fn plan(&self, state: &State, trust_records: bool) -> Result<Plan, String>;
}

/// Who resolves image references that are known only at apply.
#[async_trait]
pub trait Images: Send + Sync {
    /// The pin of what a reference (`registry/repository:tag`) stands for now.
    ///
    /// # Errors
    /// With a sentence when nobody can tell.
    async fn resolve(&self, reference: &str) -> Result<Pin, String>;
}

/// Nobody resolves image references.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoImages;

#[async_trait]
impl Images for NoImages {
    async fn resolve(&self, reference: &str) -> Result<Pin, String> {
        Err(format!("the image {reference} became known during the apply, and no registry can be asked here"))
    }
}

/// How long a step is tried, beyond the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The wait before the second attempt; each later one waits twice as long.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// How many attempts there are in all.
    pub attempts: u32,
    /// The longest that waits and attempts of one step may take together before the last attempt starts.
    pub budget: Duration,
}

impl Default for Patience {
    /// Half a second doubled nine times and cut at half a minute is two minutes of waiting: longer than the throttling windows
    /// and restarts that pass by themselves, short enough that a person still watches. Within a quarter of an hour slow attempts
    /// end as well.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            attempts: 10,
            budget: Duration::from_secs(900),
        }
    }
}

/// Digests secrets under a ledger's key.
pub type Seal = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// Everything that a run is carried out with.
#[derive(Clone)]
pub struct Runner {
    /// The run's identity: the one that the journal writes with each entry.
    pub run: String,
    /// The ledger.
    pub journal: Arc<dyn Journal>,
    /// The providers by name.
    pub providers: Providers,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Digests secrets under the ledger's key.
    pub seal: Seal,
    /// Seals secrets that are to come back; `None` where their digests alone are kept.
    pub sealer: Option<Arc<dyn Sealer>>,
    /// Opens what was sealed, where it can.
    pub opener: Arc<dyn Opener>,
    /// The secrets that must not show in anything that comes back from outside.
    pub scrub: Arc<Scrub>,
    /// The ledger's identity.
    pub lineage: String,
    /// The environment's directory, absolute: relative names start here.
    pub environment_dir: PathBuf,
    /// The directory of blobs as the planner names it (`Inputs::blobs`): what the `path` of a file artifact starts with.
    pub blobs: String,
    /// Where run events go.
    pub watcher: Arc<dyn Watcher>,
    /// How often a person asked to stop.
    pub interrupts: tokio::sync::watch::Receiver<u8>,
    /// How many remote calls there are at once, at most.
    pub parallelism: usize,
    /// Who plans the way back.
    pub way_back: Arc<dyn WayBackPlanner>,
    /// Who resolves images.
    pub images: Arc<dyn Images>,
    /// Who probes and migrates.
    pub outside: Arc<dyn Outside>,
    /// How long a step is tried.
    pub patience: Patience,
}

impl Runner {
    /// How what is sensitive is written down.
    pub(crate) fn keep(&self) -> Keep<'_> {
        Keep::new(&*self.seal, self.sealer.as_deref().map(|sealer| sealer as &dyn Sealer))
    }

    /// A recorded value with everything open that is sealed and can be opened.
    pub(crate) fn open(&self, recorded: &Value) -> Value {
        crate::value::open_sealed(recorded, &*self.seal, &*self.opener)
    }
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Begin {
    /// It is new; this is its first entry.
    New(Box<RunStarted>),
    /// It is the state's open run, left by a process that is gone.
    Continue,
    /// The same, but it is not gone on with: what became of its steps is looked for and recorded, and it ends as held.
    Abandon,
}

/// How carrying a run out ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The run ended, and its end is recorded.
    Ended(RunOutcome),
    /// It was left as it is, still open: a second interrupt, or one on the way back. The next command goes on with it.
    Left,
    /// The ledger could not be written or somebody else writes it. The run is open; what was done since is found again by the
    /// next command.
    Broken(JournalError),
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// Its name in the plan.
    pub step: String,
    /// Why.
    pub sentence: String,
    /// What was seen: name and text.
    pub evidence: Vec<(String, String)>,
    /// Whether it failed on the way back.
    pub unwinding: bool,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The state after it.
    pub state: State,
    /// How it ended.
    pub ending: Ending,
    /// Whether a person asked to stop.
    pub interrupted: bool,
    /// One sentence on it.
    pub sentence: String,
    /// What failed, in order.
    pub failures: Vec<StepFailure>,
    /// The outputs, where it ended verified; sensitive ones marked.
    pub outputs: BTreeMap<Arc<str>, Value>,
}

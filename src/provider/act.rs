//! The calls that look at a target and change it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::ResourceSchema;
use crate::addr::Address;
use crate::value::Value;

/// Where a provider works: handed to it once, when it is made.
#[derive(Debug, Clone)]
pub struct Context {
    /// The directory that holds `environments/`, absolute.
    pub project: PathBuf,
    /// The environment's directory, absolute: relative names in attributes start here.
    pub environment: PathBuf,
    /// The environment's state directory, absolute (`state/NAME`): `run/` and `logs/` in it are the local provider's.
    pub state: PathBuf,
    /// The ledger's lineage.
    pub lineage: String,
    /// The environment's name, for logs.
    pub name: String,
    /// The program to start helper processes from: this very build of Gantry.
    pub program: PathBuf,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Take it away.
    Delete,
    /// Bring up the new version beside the old, without traffic.
    Stage,
    /// Move the traffic to the version that was staged.
    Switch,
    /// Take away a version that has no traffic.
    Retire,
}

impl Action {
    /// The action's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Stage => "stage",
            Self::Switch => "switch",
            Self::Retire => "retire",
        }
    }
}

/// An object as it was last known.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// All attributes. Sensitive parts that are recorded as a digest only are unknown.
    pub attributes: Value,
    /// What the provider needs to find it again; whatever it answered in [`Outcome::Applied`].
    pub identity: Json,
}

/// One call that changes something.
#[derive(Debug, Clone)]
pub struct Act {
    /// What is done.
    pub action: Action,
    /// The type.
    pub ty: String,
    /// The node.
    pub address: Address,
    /// The act's identity: the same for every attempt at the same act, also after a crash; never used for another.
    pub op: String,
    /// The generation in which the object is made or changed.
    pub generation: u64,
    /// What is asked for, all known, computed attributes null where nothing was planned: for create, update and stage. For
    /// switch what was staged; null for delete and retire.
    pub planned: Value,
    /// The object that is changed, switched away from or deleted; for retire the version that goes. `None` for create.
    pub prior: Option<Prior>,
    /// For switch: the identity that stage answered.
    pub staged: Option<Json>,
    /// How long the act may take. A provider may give up earlier, never later.
    pub deadline: Duration,
}

/// A piece of what was seen when something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// A name for people: "last lines of replica 0's log".
    pub name: String,
    /// The bytes, bounded by whoever collects them (64 KiB each).
    pub bytes: Vec<u8>,
}

/// Why an act failed, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemClass {
    /// The target asks to go slower: try again, fewer at a time.
    Throttled,
    /// A passing fault: try again.
    Transient,
    /// Somebody else changed or owns the object.
    Conflict,
    /// The credentials do not allow it.
    Denied,
    /// The request is wrong, or cannot succeed however often it is tried.
    Invalid,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What can be done about it.
    pub class: ProblemClass,
    /// One sentence for people, without secrets: what, why, and what to do if that is known.
    pub sentence: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

impl Problem {
    /// A problem without evidence.
    #[must_use]
    pub fn new(class: ProblemClass, sentence: impl Into<String>) -> Self {
        Self { class, sentence: sentence.into(), evidence: Vec::new() }
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It never reached the target.
    NotSent(Problem),
    /// It reached the target and is known to have had no effect, or its effect was taken back.
    Rejected(Problem),
    /// It was done.
    Applied {
        /// The object as it is now; null after delete and retire.
        attributes: Value,
        /// What the provider needs to find it again.
        identity: Json,
    },
    /// It may or may not have been done.
    Unknown(Problem),
}

/// What became of an act whose outcome was not recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It was done.
    Done {
        /// The object as it is now.
        attributes: Value,
        /// What the provider needs to find it again.
        identity: Json,
    },
    /// It was not done, and cannot take effect any more.
    NotDone,
    /// It failed, and the target knows how.
    Failed(Problem),
    /// It cannot be told now: the target does not answer, or is still at it. The run is left open, and the next command asks again.
    NotNow(String),
    /// The target cannot tell, now or later. The sentence says exactly what a person should look at.
    CannotTell(String),
    /// It cannot tell, but doing it again is declared harmless (`on_unknown = "rerun"`).
    Repeat(String),
}

/// A question about a recorded object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObserveRequest {
    /// The provider configuration that is asked.
    pub provider: String,
    /// The node.
    pub address: Address,
    /// The type.
    pub ty: String,
    /// The object as recorded.
    pub prior: Prior,
}

/// Whether an object does what it is there for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Not yet. The sentence says what is missing.
    Pending(String),
    /// Not, and it will not by waiting. The sentence says why.
    Failed(String),
}

/// What the target answered when it was asked for an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// It is there.
    Present {
        /// All attributes as they are.
        attributes: Value,
        /// Whether it does what it is there for.
        readiness: Readiness,
    },
    /// It is not there.
    Absent,
    /// The target did not say. Never to be taken for absent.
    Unreadable(String),
}

/// Parts of an object that are not as they were recorded: the question who changed them.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedParts {
    /// The object.
    pub object: ObserveRequest,
    /// Paths into its attributes.
    pub paths: Vec<String>,
}

/// Who changed an object behind Gantry's back, as its target tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// As the target calls him: a user, a role, a field manager.
    pub who: String,
    /// When, RFC 3339, where it is told.
    pub when: Option<String>,
    /// What of it, as paths; empty for all.
    pub paths: Vec<String>,
}

/// A data source's question.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRequest {
    /// The provider configuration that is asked.
    pub provider: String,
    /// The node.
    pub address: Address,
    /// The type.
    pub ty: String,
    /// The arguments, all known.
    pub arguments: Value,
}

/// A question about an object that no record knows.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportRequest {
    /// The provider configuration that is asked.
    pub provider: String,
    /// The node that takes it on.
    pub address: Address,
    /// The type.
    pub ty: String,
    /// What the target calls it.
    pub id: String,
    /// What the configuration asks for: where one thing can be said by several attributes, the answer uses those that are set
    /// here, so that equal things compare as equal and what is sensitive stays so.
    pub wanted: Value,
}

/// A question about an act that is being planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewRequest {
    /// The provider configuration that is asked.
    pub provider: String,
    /// The node.
    pub address: Address,
    /// The type.
    pub ty: String,
    /// What is asked for; computed attributes may be unknown.
    pub planned: Value,
    /// The object as it is; `None` for a create.
    pub prior: Option<Prior>,
}

/// What a target would make of an act.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "says")]
pub enum Preview {
    /// The object would stay as it is.
    Same,
    /// It would be done; with what the target would do of its own accord, a sentence each.
    Would(Vec<String>),
    /// Only a new object can be that; a sentence says why.
    Replace(String),
    /// It would be refused: sentences, each with the place in the object that it is about, where there is one.
    Refused(Vec<(Option<String>, String)>),
    /// It cannot be told now; a sentence says why.
    NotTold(String),
}

/// A question about an object that was made or changed just now: does it do what it is there for?
#[derive(Debug, Clone)]
pub struct AwaitRequest {
    /// The node.
    pub address: Address,
    /// The type.
    pub ty: String,
    /// The object as the act left it.
    pub made: Prior,
    /// How long it may take.
    pub deadline: Duration,
}

/// Where a long act tells how it is getting on.
pub trait Progress: Send + Sync {
    /// One sentence; may be dropped.
    fn say(&self, sentence: &str);
}

/// Progress that nobody hears.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn say(&self, _: &str) {}
}

/// A target.
#[async_trait::async_trait]
pub trait Provider: Send + Sync {
    /// Its name in `provider` blocks.
    fn name(&self) -> &'static str;

    /// Its types.
    fn schemas(&self) -> &[ResourceSchema];

    /// Whether its configuration can be used at all, as far as that can be told without the target.
    ///
    /// # Errors
    /// Why not.
    async fn usable(&self) -> Result<(), Problem> {
        Ok(())
    }

    /// Looks at recorded objects; one answer for each question, in their order. Changes nothing.
    async fn observe(&self, batch: &[ObserveRequest]) -> Vec<Observation>;

    /// Who changed these parts of objects, where the target can tell; one answer for each, in their order. Changes nothing.
    async fn changed_by(&self, batch: &[ChangedParts]) -> Vec<Vec<Author>> {
        vec![Vec::new(); batch.len()]
    }

    /// Reads a data source. Changes nothing.
    ///
    /// # Errors
    /// When there is no answer.
    async fn read(&self, request: &ReadRequest) -> Result<Value, Problem>;

    /// Looks for an object that no record knows, to take it on. Changes nothing; `None` if there is none.
    ///
    /// # Errors
    /// When its type cannot be imported, or the target does not say.
    async fn import(&self, request: &ImportRequest) -> Result<Option<Prior>, Problem>;

    /// Asks what would become of acts; one answer for each question, in their order. Changes nothing. Asked only for types whose
    /// schema says [`super::ResourceSchema::previews`].
    async fn preview(&self, batch: &[PreviewRequest]) -> Vec<Preview> {
        batch.iter().map(|_| Preview::NotTold("This target has no preview.".into())).collect()
    }

    /// Waits until an object does what it is there for, and answers how it is then. Changes nothing. Asked only for types whose
    /// schema says [`super::ResourceSchema::waits`].
    ///
    /// # Errors
    /// When it will not, or did not within the deadline; with what was seen.
    async fn settled(&self, request: &AwaitRequest, progress: &dyn Progress) -> Result<Prior, Problem> {
        let _ = progress;
        Ok(request.made.clone())
    }

    /// Says what became of an act whose intent is recorded and whose outcome is not. Changes nothing, except that it may wait
    /// for something that is still under way.
    async fn find(&self, act: &Act) -> Found;

    /// Changes something.
    async fn act(&self, act: &Act, progress: &dyn Progress) -> Outcome;

    /// Runs a program to its end, or waits for the one that runs already under its key. Asked only of providers that have a runner in
    /// the catalog.
    async fn run(&self, task: &super::Task, progress: &dyn Progress) -> super::TaskEnd {
        let _ = (task, progress);
        super::TaskEnd::NotBegun(Problem::new(ProblemClass::Invalid, "This target runs no tasks."))
    }

    /// Asks whether a task would be begun, as far as the target tells without beginning it. Changes nothing.
    ///
    /// # Errors
    /// Why it would not be.
    async fn would_run(&self, task: &super::Task) -> Result<(), Problem> {
        let _ = task;
        Ok(())
    }

    /// What can be seen of an object now, for a failed run: logs, stop reasons.
    async fn evidence(&self, ty: &str, identity: &Json) -> Vec<Evidence>;
}

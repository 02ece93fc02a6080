//! Who carries a migration out: this process, or a task in a target that alone reaches the database.
//!
//! `migrate` and `provider` know nothing of each other; here they meet. With SQL the task is Gantry's own program, which is told what to
//! do in a secret file and answers in a line ([`crate::migrate::remote`]); the journal in the database is the authority, so each call is
//! a task of its own. With a command it is the image's own tool, of which only its end is known: the task has the act's identity, and
//! what became of it is asked of the task itself.

use std::path::Path;
use std::sync::Arc;

use super::job::{Failure, MigrateJob};
use super::outside::Outside;
use crate::addr::Address;
use crate::migrate::remote::{Deed, Reply, Request, Standing};
use crate::migrate::{Database, FailureClass, MigrateError, RunContext};
use crate::ports::id;
use crate::provider::{Evidence, Problem, ProblemClass, Progress, Provider, Task, TaskEnd};
use crate::value::Value;

/// The program that SQL is sent to, in its image.
const PROGRAM: [&str; 2] = ["gantry", "__migrate"];

/// A target that a migration is carried out in.
#[derive(Clone)]
pub(crate) struct There {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) address: Address,
    /// The runner block, all known.
    pub(crate) settings: Value,
    pub(crate) is_command: bool,
    /// The migration node, in this ledger.
    pub(crate) series: String,
    /// The act's identity.
    pub(crate) key: String,
    /// How long it may take.
    pub(crate) deadline: std::time::Duration,
    /// The blob with the way back that was stored when a command was run.
    pub(crate) stored_down: Option<String>,
}

/// Who carries a migration out.
pub(crate) enum Reach<'a> {
    Here { outside: &'a dyn Outside, database: Database },
    There(&'a There),
}

/// Why something was not done, with what was seen.
pub(crate) struct Refusal {
    pub(crate) error: MigrateError,
    pub(crate) evidence: Vec<Evidence>,
}

impl From<MigrateError> for Refusal {
    fn from(error: MigrateError) -> Self {
        Self { error, evidence: Vec::new() }
    }
}

impl<'a> Reach<'a> {
    /// Who carries this migration out.
    ///
    /// # Errors
    /// When its URL is none.
    pub(crate) fn of(job: &'a MigrateJob, outside: &'a dyn Outside, environment: &Path) -> Result<Self, Failure> {
        if let Some(there) = &job.there {
            return Ok(Self::There(there));
        }
        let database = Database::parse(&job.url, environment)
            .map_err(|e| Failure::not_sent(format!("{}. {}", e.message, e.hint)))?;
        Ok(Self::Here { outside, database })
    }

    /// Applies it.
    ///
    /// # Errors
    /// With what is known of its effect.
    pub(crate) async fn migrate(
        &self,
        job: &MigrateJob,
        context: &RunContext,
        progress: &dyn Progress,
    ) -> Result<(), Refusal> {
        match self {
            Self::Here { outside, database } => {
                Ok(outside.migrate(database, &job.migration(), context).await.map(drop)?)
            }
            Self::There(there) if there.is_command => there.command(&job.migration.up, progress).await,
            Self::There(there) => there.sql(Deed::Apply, job, context, progress).await.map(drop),
        }
    }

    /// Takes it back; `down` is the stored way back of a command.
    ///
    /// # Errors
    /// With what is known of the effect.
    pub(crate) async fn revert(
        &self,
        job: &MigrateJob,
        down: Option<&str>,
        context: &RunContext,
        progress: &dyn Progress,
    ) -> Result<(), Refusal> {
        match self {
            Self::Here { outside, database } => {
                Ok(outside.revert(database, job.migration.version, context).await.map(drop)?)
            }
            Self::There(there) if there.is_command => match down {
                Some(down) => there.command(down, progress).await,
                None => Err(MigrateError::refused("the command was run without a way back", "").into()),
            },
            Self::There(there) => there.sql(Deed::Revert, job, context, progress).await.map(drop),
        }
    }

    /// Finds out how it stands, once nothing is at work on it any more; `reverting` says what was being done with it.
    ///
    /// # Errors
    /// When nobody can tell.
    pub(crate) async fn find(
        &self,
        job: &MigrateJob,
        reverting: bool,
        context: &RunContext,
        progress: &dyn Progress,
    ) -> Result<Standing, Refusal> {
        match self {
            Self::Here { outside, database } => {
                let m = &job.migration;
                Ok(Standing::from(&outside.find(database, m.version, &m.checksum, context).await?))
            }
            Self::There(there) if there.is_command => {
                let begun = there.look(progress).await?;
                Ok(if begun == reverting { Standing::NotApplied } else { Standing::Applied })
            }
            Self::There(there) => there.sql(Deed::Find, job, context, progress).await,
        }
    }
}

impl There {
    fn task(&self, key: String, image: &str, command: Vec<String>) -> Task {
        Task {
            address: self.address.clone(),
            series: self.series.clone(),
            key,
            settings: self.settings.clone(),
            image: image.to_owned(),
            command,
            input: None,
            only_look: false,
            deadline: self.deadline,
        }
    }

    /// Has Gantry's own program do something in the target.
    async fn sql(
        &self,
        deed: Deed,
        job: &MigrateJob,
        context: &RunContext,
        progress: &dyn Progress,
    ) -> Result<Standing, Refusal> {
        let image = self.settings.get_str("image").unwrap_or_default();
        let key = format!("{}-{}", self.key, id::random_hex::<8>());
        let task = self.task(key, image, PROGRAM.map(str::to_owned).to_vec());
        let input = Some(Request::new(deed, &job.url, &job.migration(), context).bytes());
        let (message, sentence, evidence) = match self.provider.run(&Task { input, ..task }, progress).await {
            TaskEnd::Ended { message, sentence, evidence, .. } => (message, sentence, evidence),
            TaskEnd::NotBegun(problem) => return Err(refusal(FailureClass::NotSent, problem)),
            TaskEnd::Unknown(problem) => return Err(refusal(FailureClass::Unknown, problem)),
            TaskEnd::Absent => (String::new(), "it is gone".into(), Vec::new()),
        };
        match Reply::read(&message) {
            Some(reply) => Ok(reply.standing().map_err(|error| *error)?),
            None => {
                let sentence = sentence.trim_end_matches('.');
                let why = if sentence.is_empty() { "it ended without a word" } else { sentence };
                let mut error = MigrateError::refused(
                    format!("Gantry in the image {image} did not say what became of the migration: {why}"),
                    "The image has to have this version of Gantry in its PATH.",
                );
                error.class = FailureClass::Unknown;
                Err(Refusal { error, evidence })
            }
        }
    }

    /// Runs an image's own tool: `{"image": …, "command": […]}`.
    async fn command(&self, text: &str, progress: &dyn Progress) -> Result<(), Refusal> {
        #[derive(serde::Deserialize)]
        struct Tool {
            image: String,
            command: Vec<String>,
        }
        let tool: Tool = serde_json::from_str(text)
            .map_err(|_| MigrateError::refused("what was stored of the command cannot be read", ""))?;
        let task = self.task(self.key.clone(), &tool.image, tool.command);
        match self.provider.run(&task, progress).await {
            TaskEnd::Ended { well: true, .. } => Ok(()),
            TaskEnd::Ended { sentence, evidence, .. } => {
                Err(Refusal { error: MigrateError::refused(sentence.trim_end_matches('.'), ""), evidence })
            }
            TaskEnd::NotBegun(problem) => Err(refusal(FailureClass::NotSent, problem)),
            TaskEnd::Unknown(problem) => Err(refusal(FailureClass::Unknown, problem)),
            TaskEnd::Absent => Err(MigrateError::refused("it was deleted by somebody else", "").into()),
        }
    }

    /// Whether the act's task was begun, and ended well; one that runs is waited for.
    async fn look(&self, progress: &dyn Progress) -> Result<bool, Refusal> {
        let task = Task { only_look: true, ..self.task(self.key.clone(), "", Vec::new()) };
        match self.provider.run(&task, progress).await {
            TaskEnd::Ended { well: true, .. } => Ok(true),
            TaskEnd::Absent => Ok(false),
            TaskEnd::Ended { sentence, evidence, .. } => {
                Err(Refusal { error: MigrateError::refused(sentence.trim_end_matches('.'), ""), evidence })
            }
            TaskEnd::NotBegun(problem) | TaskEnd::Unknown(problem) => Err(refusal(FailureClass::Unknown, problem)),
        }
    }
}

fn refusal(class: FailureClass, problem: Problem) -> Refusal {
    let mut error = MigrateError::refused(problem.sentence.trim_end_matches('.'), "");
    error.class = class;
    error.transient = matches!(problem.class, ProblemClass::Throttled | ProblemClass::Transient);
    Refusal { error, evidence: problem.evidence }
}

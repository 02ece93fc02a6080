//! The work that is no provider's act: data that is read, artifacts that are fixed, migrations.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Hands, Tries, plain_failure};
use super::job::{Answer, MigrateJob, PinJob};
use super::journal::{Journal, JournalError};
use super::outside::Outside;
use crate::ledger::event::{AppliedMigration, FailureKind};
use crate::ledger::record::Pin;
use crate::migrate::{self, Database, FailureClass, MigrateError, RunContext};
use crate::ports::clock::{Clock, within};
use crate::ports::{crash, fs};
use crate::provider::{ProblemClass, Provider, ReadRequest};
use crate::value::Value;

/// The largest file artifact: 2 GiB. A service's binary with all its debug information fits; a disk image is no artifact.
const MAX_ARTIFACT: u64 = 2 * 1024 * 1024 * 1024;

/// How long one statement of a migration may take. Rewriting a large table takes its time; a day is a mistake.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long a migration waits for a lock before it lets go and tries again: whoever waits for a table's lock makes all others
/// behind it wait as well.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one read of a data source may take.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Reads a data source.
pub(crate) async fn read(provider: &Arc<dyn Provider>, request: &ReadRequest, tries: &mut Tries<'_>) -> Answer {
    loop {
        match read_once(tries.clock(), &**provider, request).await {
            Ok(value) => return Answer::Read(value),
            Err(Unread { sentence, passes }) if !passes || !tries.again(&sentence).await => {
                return plain_failure(FailureKind::Rejected, sentence, false);
            }
            Err(_) => {}
        }
    }
}

/// Why a data source was not read, and whether that may pass.
pub(crate) struct Unread {
    pub(crate) sentence: String,
    pub(crate) passes: bool,
}

/// Reads a data source once.
pub(crate) async fn read_once(
    clock: &dyn Clock,
    provider: &dyn Provider,
    request: &ReadRequest,
) -> Result<Value, Unread> {
    crash::point("exec.read");
    match within(clock, READ_TIMEOUT, provider.read(request)).await {
        Some(Ok(value)) => Ok(value),
        Some(Err(problem)) => {
            let passes = matches!(problem.class, ProblemClass::Throttled | ProblemClass::Transient);
            Err(Unread { sentence: problem.sentence, passes })
        }
        None => {
            Err(Unread { sentence: format!("There was no answer within {} s.", READ_TIMEOUT.as_secs()), passes: true })
        }
    }
}

/// Fixes an artifact to its content.
pub(crate) async fn pin(job: &PinJob, hands: &Hands) -> Answer {
    crash::point("exec.pin");
    if job.kind == "image" {
        return image(job, hands).await;
    }
    let path = hands.environment_dir.join(&job.source);
    let refuse = |sentence: String| plain_failure(FailureKind::NotSent, sentence, false);
    match (fs::kind(&path), fs::size(&path)) {
        (Some(fs::Kind::File), Ok(size)) if size <= MAX_ARTIFACT => {}
        (Some(fs::Kind::File), Ok(size)) => {
            return refuse(format!(
                "The file {} has {size} bytes; an artifact has {MAX_ARTIFACT} at most.",
                job.source
            ));
        }
        (None, _) => return refuse(format!("There is no file {}.", job.source)),
        _ => return refuse(format!("{} is not a regular file.", job.source)),
    }
    let (digest, size) = match hands.journal.put_file(&path).await {
        Ok(kept) => kept,
        Err(JournalError::Source(why)) => return refuse(format!("The file {} cannot be read: {why}.", job.source)),
        Err(e) => return Answer::Broken(e),
    };
    let digest = if digest.starts_with("sha256:") { digest } else { format!("sha256:{digest}") };
    if let Some(planned) = job.digest.as_ref().filter(|planned| **planned != digest) {
        return refuse(format!(
            "The file {} is not what was planned: its digest is {digest}, and the plan was made for {planned}. Plan again.",
            job.source
        ));
    }
    Answer::Pinned(Pin {
        kind: "file".into(),
        digest,
        source: job.source.clone(),
        tag: None,
        size: Some(size),
        schema: Default::default(),
        committed: None,
    })
}

async fn image(job: &PinJob, hands: &Hands) -> Answer {
    let Some(digest) = &job.digest else {
        return match hands.images.resolve(&job.source).await {
            Ok(pin) => Answer::Pinned(pin),
            Err(why) => plain_failure(FailureKind::Rejected, why, false),
        };
    };
    let repository = job.source.split('@').next().unwrap_or(&job.source).to_owned();
    Answer::Pinned(Pin {
        kind: "image".into(),
        digest: digest.clone(),
        source: repository,
        tag: job.tag.clone(),
        size: None,
        schema: Default::default(),
        committed: None,
    })
}

pub(crate) fn context(run: &str) -> RunContext {
    RunContext { run: run.to_owned(), statement_timeout: STATEMENT_TIMEOUT, lock_timeout: LOCK_TIMEOUT }
}

/// Applies a migration. Its texts are in the ledger before its statements run: the way back never needs a file.
pub(crate) async fn migrate(job: &MigrateJob, hands: &Hands, tries: &mut Tries<'_>) -> Answer {
    let kept = match keep(job, &*hands.journal).await {
        Ok(kept) => kept,
        Err(e) => return Answer::Broken(e),
    };
    let database = match Database::parse(&job.url, &hands.environment_dir) {
        Ok(database) => database,
        Err(e) => return plain_failure(FailureKind::NotSent, format!("{}. {}", e.message, e.hint), false),
    };
    let (context, migration) = (context(&hands.run), job.migration());
    loop {
        crash::point("exec.migrate");
        let Err(error) = hands.outside.migrate(&database, &migration, &context).await else {
            return Answer::Migrated(kept);
        };
        let (kind, may_pass) = match error.class {
            FailureClass::NotSent => (FailureKind::NotSent, error.transient),
            FailureClass::Rejected => (FailureKind::Rejected, error.transient),
            FailureClass::Unknown => match found(&*hands.outside, &database, job, &context).await {
                Known::Applied => return Answer::Migrated(kept),
                Known::NotApplied | Known::Half => (FailureKind::Rejected, true),
                Known::Nothing(sentence) => return plain_failure(FailureKind::Unknown, sentence, true),
            },
        };
        if !may_pass || !tries.again(&error.to_string()).await {
            return plain_failure(kind, told(&error), false);
        }
    }
}

/// Takes a migration back.
pub(crate) async fn revert(job: &MigrateJob, hands: &Hands, tries: &mut Tries<'_>) -> Answer {
    let database = match Database::parse(&job.url, &hands.environment_dir) {
        Ok(database) => database,
        Err(e) => return plain_failure(FailureKind::NotSent, format!("{}. {}", e.message, e.hint), false),
    };
    let context = context(&hands.run);
    loop {
        crash::point("exec.revert");
        let reverted = hands.outside.revert(&database, job.migration.version, &context).await;
        let Err(error) = reverted else { return Answer::Reverted };
        let (kind, may_pass) = match error.class {
            FailureClass::NotSent => (FailureKind::NotSent, error.transient),
            FailureClass::Rejected => (FailureKind::Rejected, error.transient),
            FailureClass::Unknown => match found(&*hands.outside, &database, job, &context).await {
                Known::NotApplied => return Answer::Reverted,
                Known::Applied | Known::Half => (FailureKind::Rejected, true),
                Known::Nothing(sentence) => return plain_failure(FailureKind::Unknown, sentence, true),
            },
        };
        if !may_pass || !tries.again(&error.to_string()).await {
            return plain_failure(kind, told(&error), false);
        }
    }
}

/// What a database says of a migration.
pub(crate) enum Known {
    Applied,
    NotApplied,
    /// Some of its statements: applying again goes on with the rest.
    Half,
    /// It does not say, or another text stands there.
    Nothing(String),
}

/// Asks a database for a migration, when nothing is at work on it any more.
pub(crate) async fn found(outside: &dyn Outside, database: &Database, job: &MigrateJob, context: &RunContext) -> Known {
    use migrate::Found;
    crash::point("exec.find");
    let m = &job.migration;
    match outside.find(database, m.version, &m.checksum, context).await {
        Ok(Found::Applied(_)) => Known::Applied,
        Ok(Found::NotApplied) => Known::NotApplied,
        Ok(Found::Partial(_)) => Known::Half,
        Ok(Found::Differs(_)) => Known::Nothing(format!(
            "The database has another text applied as migration {} than {}. Compare its table gantry_migrations with the file.",
            m.version, m.file
        )),
        Err(e) => Known::Nothing(format!(
            "Whether migration {} was applied cannot be told: {} Look at the table gantry_migrations.",
            m.version,
            told(&e)
        )),
    }
}

/// Keeps a migration's texts.
pub(crate) async fn keep(job: &MigrateJob, journal: &dyn Journal) -> Result<AppliedMigration, JournalError> {
    let m = &job.migration;
    let up = journal.put_blob(m.up.as_bytes()).await?;
    let down = match &m.down {
        Some(down) => Some(journal.put_blob(down.as_bytes()).await?),
        None => None,
    };
    Ok(AppliedMigration { version: m.version, name: m.name.clone(), checksum: m.checksum.clone(), up, down })
}

fn told(error: &MigrateError) -> String {
    if error.hint.is_empty() { format!("{error}.") } else { format!("{error}. {}", error.hint) }
}

//! The work that is no provider's act: data that is read, artifacts that are fixed, migrations.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Hands, Saying, Tries, plain_failure};
use super::evidence::{self, Piece};
use super::job::{Answer, Failure, MigrateJob, Name, PinJob};
use super::journal::{Journal, JournalError};
use super::reach::{Reach, Refusal};
use crate::ledger::event::{AppliedMigration, FailureKind};
use crate::ledger::record::Pin;
use crate::migrate::remote::Standing;
use crate::migrate::{FailureClass, MigrateError, RunContext};
use crate::plan::change::MigrateHow;
use crate::ports::clock::{Clock, within};
use crate::ports::{crash, fs};
use crate::provider::{ProblemClass, Progress, Provider, ReadRequest};
use crate::value::Value;

/// The largest file artifact: 2 GiB. A service's binary with all its debug information fits; a disk image is no artifact.
const MAX_ARTIFACT: u64 = 2 * 1024 * 1024 * 1024;

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

pub(crate) fn context(run: &str, how: &MigrateHow) -> RunContext {
    RunContext { run: run.to_owned(), statement_timeout: how.statement_timeout, lock_timeout: how.lock_timeout }
}

/// Applies a migration. Its texts are in the ledger before its statements run: the way back never needs a file.
pub(crate) async fn migrate(job: &MigrateJob, name: &Name, hands: &Hands, tries: &mut Tries<'_>) -> Answer {
    let kept = match keep(job, &*hands.journal).await {
        Ok(kept) => kept,
        Err(e) => return Answer::Broken(e),
    };
    let reach = match Reach::of(job, &*hands.outside, &hands.environment_dir) {
        Ok(reach) => reach,
        Err(failure) => return Answer::Failed(failure),
    };
    let (context, progress) = (context(&hands.run, &job.how), Saying::new(name, hands));
    loop {
        crash::point("exec.migrate");
        let Err(refusal) = reach.migrate(job, &context, &progress).await else { return Answer::Migrated(kept) };
        let (kind, may_pass) = match refusal.error.class {
            FailureClass::NotSent => (FailureKind::NotSent, refusal.error.transient),
            FailureClass::Rejected => (FailureKind::Rejected, refusal.error.transient),
            FailureClass::Unknown => match found(&reach, job, false, &context, &progress).await {
                Known::Applied => return Answer::Migrated(kept),
                Known::NotApplied | Known::Half => (FailureKind::Rejected, true),
                Known::Failed(sentence) => return failed(FailureKind::Rejected, sentence, refusal, hands).await,
                Known::Nothing(sentence) => return failed(FailureKind::Unknown, sentence, refusal, hands).await,
            },
        };
        if !may_pass || !tries.again(&refusal.error.to_string()).await {
            return failed(kind, told(&refusal.error), refusal, hands).await;
        }
    }
}

/// Takes a migration back.
pub(crate) async fn revert(job: &MigrateJob, name: &Name, hands: &Hands, tries: &mut Tries<'_>) -> Answer {
    let reach = match Reach::of(job, &*hands.outside, &hands.environment_dir) {
        Ok(reach) => reach,
        Err(failure) => return Answer::Failed(failure),
    };
    let down = match stored_down(job, hands).await {
        Ok(down) => down,
        Err(e) => return Answer::Broken(e),
    };
    let (context, progress) = (context(&hands.run, &job.how), Saying::new(name, hands));
    loop {
        crash::point("exec.revert");
        let reverted = reach.revert(job, down.as_deref(), &context, &progress).await;
        let Err(refusal) = reverted else { return Answer::Reverted };
        let (kind, may_pass) = match refusal.error.class {
            FailureClass::NotSent => (FailureKind::NotSent, refusal.error.transient),
            FailureClass::Rejected => (FailureKind::Rejected, refusal.error.transient),
            FailureClass::Unknown => match found(&reach, job, true, &context, &progress).await {
                Known::NotApplied => return Answer::Reverted,
                Known::Applied | Known::Half => (FailureKind::Rejected, true),
                Known::Failed(sentence) => return failed(FailureKind::Rejected, sentence, refusal, hands).await,
                Known::Nothing(sentence) => return failed(FailureKind::Unknown, sentence, refusal, hands).await,
            },
        };
        if !may_pass || !tries.again(&refusal.error.to_string()).await {
            return failed(kind, told(&refusal.error), refusal, hands).await;
        }
    }
}

/// The way back of a command, as it was stored when the command was run.
async fn stored_down(job: &MigrateJob, hands: &Hands) -> Result<Option<String>, JournalError> {
    let Some(digest) = job.there.as_ref().filter(|there| there.is_command).and_then(|t| t.stored_down.as_ref()) else {
        return Ok(None);
    };
    let bytes = hands.journal.get_blob(digest).await?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

async fn failed(kind: FailureKind, sentence: String, refusal: Refusal, hands: &Hands) -> Answer {
    let pieces = refusal.evidence.into_iter().map(Piece::from).collect();
    match evidence::keep(hands, pieces).await {
        Ok(evidence) => {
            let unclear = kind == FailureKind::Unknown;
            Answer::Failed(Failure { kind, sentence, evidence, unclear })
        }
        Err(e) => Answer::Broken(e),
    }
}

/// What a database says of a migration.
pub(crate) enum Known {
    Applied,
    NotApplied,
    /// Some of its statements: applying again goes on with the rest.
    Half,
    /// It was tried, and failed.
    Failed(String),
    /// It does not say, or another text stands there.
    Nothing(String),
}

/// Asks for a migration, when nothing is at work on it any more; `reverting` says what was being done.
pub(crate) async fn found(
    reach: &Reach<'_>,
    job: &MigrateJob,
    reverting: bool,
    context: &RunContext,
    progress: &dyn Progress,
) -> Known {
    crash::point("exec.find");
    let m = &job.migration;
    match reach.find(job, reverting, context, progress).await {
        Ok(Standing::Applied) => Known::Applied,
        Ok(Standing::NotApplied) => Known::NotApplied,
        Ok(Standing::Partial) => Known::Half,
        Ok(Standing::Differs) => Known::Nothing(format!(
            "The database has another text applied as migration {} than {}. Compare its table gantry_migrations with the file.",
            m.version, m.file
        )),
        Err(refusal) if refusal.error.class == FailureClass::Rejected && job.is_command() => {
            Known::Failed(told(&refusal.error))
        }
        Err(refusal) => Known::Nothing(format!(
            "Whether migration {} was applied cannot be told: {} {}",
            m.version,
            told(&refusal.error),
            if job.is_command() { "Look at its Job." } else { "Look at the table gantry_migrations." }
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

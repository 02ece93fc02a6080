//! A migration that is carried out elsewhere: where only a cluster reaches the database, Gantry's own program runs there.
//!
//! What is to be done goes along as a [`Request`], in a secret file; what came of it comes back as a [`Reply`], a line of JSON that
//! fits what platforms keep of a container's end (4,096 bytes). The journal in the database stays the authority: the program does
//! just what [`apply`], [`revert`] and [`find`] do from here.

use serde::{Deserialize, Serialize};

use super::database::Database;
use super::error::{FailureClass, MigrateError};
use super::run::{Found, RunContext, apply, find, revert};
use super::source::Migration;

/// The form of requests and replies. One that does not know it says so.
const FORM: u32 = 1;

/// The longest message of an error in a reply, in bytes; with the rest around it, it fits into 4,096.
const MESSAGE_MAX: usize = 2500;
/// The longest excerpt and hint.
const ASIDE_MAX: usize = 400;

/// What is to be done with a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It is applied.
    Apply,
    /// It is taken back.
    Revert,
    /// It is found out what became of it.
    Find,
}

/// What is asked of the program. It holds the database's URL, a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    form: u32,
    deed: Deed,
    url: String,
    migration: Migration,
    context: RunContext,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    form: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
enum Outcome {
    Stands(Standing),
    Failed(MigrateError),
}

/// How a migration stands in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is applied as a whole.
    Applied,
    /// Nothing of it is.
    NotApplied,
    /// It has no transaction, and is half applied.
    Partial,
    /// Its version is taken by another text.
    Differs,
}

impl From<&Found> for Standing {
    fn from(found: &Found) -> Self {
        match found {
            Found::Applied(_) => Self::Applied,
            Found::NotApplied => Self::NotApplied,
            Found::Partial(_) => Self::Partial,
            Found::Differs(_) => Self::Differs,
        }
    }
}

impl Request {
    /// Asks for something to be done with a migration.
    #[must_use]
    pub fn new(deed: Deed, url: &str, migration: &Migration, context: &RunContext) -> Self {
        Self { form: FORM, deed, url: url.to_owned(), migration: migration.clone(), context: context.clone() }
    }

    /// As it goes along: a secret.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Reply {
    /// Reads what the program left; `None` if that is no reply.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        text.lines().rev().find_map(|line| serde_json::from_str(line.trim()).ok())
    }

    /// What it says.
    ///
    /// # Errors
    /// What failed there.
    pub fn standing(self) -> Result<Standing, Box<MigrateError>> {
        match self.outcome {
            Outcome::Stands(standing) => Ok(standing),
            Outcome::Failed(error) => Err(Box::new(error)),
        }
    }

    /// The line that is left.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the program ends well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Stands(_))
    }
}

/// Does what a request asks for.
pub async fn serve(request: &[u8]) -> Reply {
    let done = match serde_json::from_slice::<Request>(request) {
        Ok(request) if request.form == FORM => carry_out(&request).await,
        Ok(_) | Err(_) => Err(not_sent(
            "this Gantry does not understand what it was asked for",
            "The image has another version of Gantry than the one that applies: use an image of the same version.",
        )),
    };
    let outcome = match done {
        Ok(standing) => Outcome::Stands(standing),
        Err(error) => Outcome::Failed(bounded(error)),
    };
    Reply { form: FORM, outcome }
}

async fn carry_out(request: &Request) -> Result<Standing, MigrateError> {
    let here = std::path::Path::new("/");
    let database = Database::parse(&request.url, here)?;
    let (migration, context) = (&request.migration, &request.context);
    match request.deed {
        Deed::Apply => apply(&database, migration, context).await.map(|_| Standing::Applied),
        Deed::Revert => revert(&database, migration.version, context).await.map(|_| Standing::NotApplied),
        Deed::Find => {
            find(&database, migration.version, &migration.checksum, context).await.map(|found| Standing::from(&found))
        }
    }
}

fn not_sent(message: &str, hint: &str) -> MigrateError {
    let mut error = MigrateError::refused(message, hint);
    error.class = FailureClass::NotSent;
    error
}

fn bounded(mut error: MigrateError) -> MigrateError {
    cut(&mut error.message, MESSAGE_MAX);
    cut(&mut error.hint, ASIDE_MAX);
    if let Some(statement) = &mut error.statement {
        cut(&mut statement.excerpt, ASIDE_MAX);
    }
    error
}

/// Cuts a text so that it is not longer than `most` as JSON either.
fn cut(text: &mut String, most: usize) {
    let mut spent = 0;
    let end = text.char_indices().find(|(_, c)| {
        spent += match c {
            '"' | '\\' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        };
        spent > most
    });
    if let Some((at, _)) = end {
        text.truncate(at);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::error::FailedStatement;
    use std::time::Duration;

    fn request(deed: Deed, url: &str) -> Request {
        let files = [("0001_a.up.sql", "CREATE TABLE a (id INTEGER);"), ("0001_a.down.sql", "DROP TABLE a;")];
        let files: Vec<(String, Vec<u8>)> =
            files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        let migration = crate::migrate::parse(&files).unwrap().remove(0);
        let context = RunContext {
            run: "run-1".into(),
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(5),
        };
        Request::new(deed, url, &migration, &context)
    }

    #[tokio::test]
    async fn it_does_what_is_asked_for_and_says_how_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", directory.path().display());
        for (deed, standing) in [
            (Deed::Find, Standing::NotApplied),
            (Deed::Apply, Standing::Applied),
            (Deed::Apply, Standing::Applied),
            (Deed::Find, Standing::Applied),
            (Deed::Revert, Standing::NotApplied),
            (Deed::Revert, Standing::NotApplied),
        ] {
            let reply = serve(&request(deed, &url).bytes()).await;
            assert!(reply.is_good());
            let text = format!("a line of a log\n{}\n", reply.line());
            assert_eq!(Reply::read(&text).unwrap().standing(), Ok(standing), "{deed:?}");
        }
    }

    #[tokio::test]
    async fn what_fails_there_is_told_here() {
        let reply = serve(&request(Deed::Apply, "mysql://root:hunter2@h/db").bytes()).await;
        assert!(!reply.is_good() && !reply.line().contains("hunter2"));
        let error = Reply::read(&reply.line()).unwrap().standing().unwrap_err();
        assert_eq!(error.class, FailureClass::NotSent);
        assert!(error.message.starts_with("MySQL databases are not supported"));
        let odd = serve(br#"{"form": 2}"#).await.standing().unwrap_err();
        assert_eq!(odd.message, "this Gantry does not understand what it was asked for");
        assert_eq!(Reply::read("Segmentation fault\n"), None);
    }

    #[test]
    fn the_longest_reply_fits() {
        let mut error = MigrateError::refused("\"\\\n".repeat(9000), "hint ".repeat(1000));
        error.statement =
            Some(FailedStatement { file: "0001_a.up.sql".into(), line: 7, excerpt: "\u{1}".repeat(5000) });
        let reply = Reply { form: FORM, outcome: Outcome::Failed(bounded(error)) };
        assert!(reply.line().len() < 4096, "{}", reply.line().len());
    }
}

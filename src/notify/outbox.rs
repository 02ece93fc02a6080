//! The outbox: a directory in which messages are durable before they are sent.
//!
//! ```text
//! OUTBOX/messages/ID.json   a message for one webhook; removed once it was delivered
//!        told/KEY.json      what an environment's receivers were told last
//!        locks/KEY          held (flock) by who looks and writes for an environment, or delivers for a project
//! ```
//! Files are written whole and synced (`fs::write_atomic`), 0600 in directories of 0700. They hold no address and no secret of a
//! webhook.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ports::fs::{self, FsError};
use crate::ports::process::Lock;

/// The most messages that wait in an outbox. Beyond that nobody has looked after its receivers for long.
const MESSAGES_MAX: usize = 1000;

/// The largest message, in bytes.
const BODY_MAX: usize = 64 << 10;

/// The largest file that is read here: what was told of an environment has an entry for each object that drifted.
const FILE_MAX: u64 = 64 << 20;

/// A message for one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its identity: `msg_` and 32 hexadecimal digits.
    pub id: String,
    /// The directory of the project whose webhook it is for.
    pub project: String,
    /// The webhook's name.
    pub webhook: String,
    /// When it was written, RFC 3339.
    pub created: String,
    /// What is sent.
    pub body: String,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u64,
    /// Why the last attempt failed.
    #[serde(default)]
    pub last: Option<String>,
}

impl Message {
    /// An identity that is the same whenever a message is made of the same parts.
    #[must_use]
    pub fn identity(parts: &[&str]) -> String {
        format!("msg_{}", digest(parts))
    }
}

/// 32 hexadecimal digits for some texts.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What the receivers of an environment were told last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told<T> {
    /// Counts what was told, so that the same news at another time is another message.
    pub count: u64,
    /// What was seen by then.
    pub seen: T,
    /// Set while the environment as a whole could not be looked at.
    #[serde(default)]
    pub failing: bool,
}

/// Why an outbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The disk refused.
    #[error("{what}")]
    Disk {
        /// What could not be done, with the reason.
        what: String,
    },
    /// A file holds something else.
    #[error("{path} does not hold what Gantry writes there: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Too many wait already.
    #[error("{MESSAGES_MAX} messages wait in the outbox {path} already, which is its limit")]
    Full {
        /// The outbox.
        path: String,
    },
    /// A message is too long.
    #[error("a message of {size} bytes is longer than the limit of {BODY_MAX}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
}

impl From<FsError> for OutboxError {
    fn from(e: FsError) -> Self {
        Self::Disk { what: format!("{e}: {}", e.source) }
    }
}

/// A directory of messages.
#[derive(Debug, Clone)]
pub struct Outbox {
    directory: PathBuf,
}

impl Outbox {
    /// Opens an outbox; it is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, OutboxError> {
        for name in ["messages", "told", "locks"] {
            fs::create_private_dir(&directory.join(name))?;
        }
        Ok(Self { directory: directory.to_path_buf() })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join("messages").join(format!("{id}.json"))
    }

    /// Puts a message in: durable when this returns. One that waits there already stays as it is.
    ///
    /// # Errors
    /// When it is too long, too many wait, or the disk refuses.
    pub fn put(&self, message: &Message) -> Result<(), OutboxError> {
        if message.body.len() > BODY_MAX {
            return Err(OutboxError::TooLarge { size: message.body.len() });
        }
        let path = self.path(&message.id);
        if fs::kind(&path).is_some() {
            return Ok(());
        }
        if fs::list(&self.directory.join("messages"))?.len() >= MESSAGES_MAX {
            return Err(OutboxError::Full { path: self.directory.display().to_string() });
        }
        Ok(write(&path, message)?)
    }

    /// Whether a message still waits.
    #[must_use]
    pub fn waits(&self, id: &str) -> bool {
        fs::kind(&self.path(id)).is_some()
    }

    /// What waits for the webhooks of a project, oldest first, and what in the outbox cannot be read.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn waiting(&self, project: &str) -> Result<(Vec<Message>, Vec<OutboxError>), OutboxError> {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for (name, kind) in fs::list(&self.directory.join("messages"))? {
            // A temporary file of who writes just now has another name.
            let Some(id) = name.strip_suffix(".json").filter(|id| kind == fs::Kind::File && id.starts_with("msg_"))
            else {
                continue;
            };
            match read::<Message>(&self.path(id)) {
                Ok(Some(message)) if message.id == id && message.project == project => found.push(message),
                Ok(_) => {}
                Err(e) => damaged.push(e),
            }
        }
        found.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        Ok((found, damaged))
    }

    /// Takes a delivered message out.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, id: &str) -> Result<(), OutboxError> {
        Ok(fs::remove_file(&self.path(id))?)
    }

    /// Notes that a message could not be delivered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tried(&self, message: &Message) -> Result<(), OutboxError> {
        Ok(write(&self.path(&message.id), message)?)
    }

    /// Takes a lock of the outbox if nobody holds it.
    ///
    /// # Errors
    /// When it cannot be locked for another reason.
    pub fn lock(&self, key: &[&str]) -> Result<Option<Lock>, OutboxError> {
        let path = self.directory.join("locks").join(digest(key));
        Lock::try_take(&path).map_err(|e| OutboxError::Disk { what: format!("cannot lock {}: {e}", path.display()) })
    }

    fn told_path(&self, key: &[&str]) -> PathBuf {
        self.directory.join("told").join(format!("{}.json", digest(key)))
    }

    /// What was told under a key; nothing where nothing was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn told<T: DeserializeOwned + Default>(&self, key: &[&str]) -> Result<Told<T>, OutboxError> {
        Ok(read(&self.told_path(key))?.unwrap_or_default())
    }

    /// Remembers what was told.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember<T: Serialize>(&self, key: &[&str], told: &Told<T>) -> Result<(), OutboxError> {
        Ok(write(&self.told_path(key), told)?)
    }
}

fn write(path: &Path, content: &impl Serialize) -> Result<(), FsError> {
    let bytes = serde_json::to_vec(content).expect("invariant: plain data with text keys");
    fs::write_atomic(path, &bytes, 0o600)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, OutboxError> {
    let bytes = match fs::read(path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let damaged = |e: serde_json::Error| OutboxError::Damaged { path: path.display().to_string(), why: e.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, project: &str) -> Message {
        Message {
            id: id.into(),
            project: project.into(),
            webhook: "ops".into(),
            created: "2026-11-21T00:00:00Z".into(),
            body: "{}".into(),
            attempts: 0,
            last: None,
        }
    }

    #[test]
    fn a_message_waits_for_its_project_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&directory.path().join("a/b")).unwrap();
        outbox.put(&message("msg_1", "/p")).unwrap();
        outbox.put(&Message { body: "other".into(), ..message("msg_1", "/p") }).unwrap();
        outbox.put(&message("msg_2", "/q")).unwrap();
        std::fs::write(outbox.path("msg_3"), "{").unwrap();
        let (found, damaged) = outbox.waiting("/p").unwrap();
        assert_eq!((found, damaged.len()), (vec![message("msg_1", "/p")], 1));
        outbox.remove("msg_1").unwrap();
        assert!(!outbox.waits("msg_1") && outbox.waits("msg_2"));
        let large = Message { body: "x".repeat(BODY_MAX + 1), ..message("msg_4", "/p") };
        assert!(matches!(outbox.put(&large), Err(OutboxError::TooLarge { .. })));
    }

    #[test]
    fn an_outbox_has_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(directory.path()).unwrap();
        for n in 0..MESSAGES_MAX {
            std::fs::write(outbox.path(&format!("msg_{n}")), "").unwrap();
        }
        assert!(matches!(outbox.put(&message("msg_x", "/p")), Err(OutboxError::Full { .. })));
    }

    #[test]
    fn what_was_told_is_remembered_by_key() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(directory.path()).unwrap();
        let told = Told { count: 2, seen: vec![1, 2], failing: true };
        outbox.remember(&["a", "bc"], &told).unwrap();
        assert_eq!(outbox.told::<Vec<i32>>(&["a", "bc"]).unwrap(), told);
        assert_eq!(outbox.told::<Vec<i32>>(&["ab", "c"]).unwrap(), Told::default());
        let held = outbox.lock(&["a"]).unwrap();
        assert!(held.is_some() && outbox.lock(&["a"]).unwrap().is_none() && outbox.lock(&["b"]).unwrap().is_some());
    }
}

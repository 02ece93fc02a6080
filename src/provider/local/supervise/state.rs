//! What a service has on disk.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use super::protocol::{Answer, Spec};
use crate::ports::process::ProcessId;
use crate::ports::{fs, id};

/// What the name of a directory starts with that is being removed.
const GOING: &str = ".going-";
/// The largest of these files.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// How many operations are remembered: those of several runs, so that the last one's answers are always there.
pub(super) const OPERATIONS_MAX: usize = 64;

/// Why a file of ours cannot be used, as a sentence.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum StateError {
    /// The disk.
    #[error("Gantry {0}: {source}.", source = .0.source)]
    Disk(#[from] fs::FsError),
    /// The content.
    #[error("{} is damaged: {why}. Move it away to start anew.", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: serde_json::Error,
    },
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    match fs::read(path, FILE_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|why| StateError::Damaged { path: path.to_path_buf(), why }),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn store<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let bytes = serde_json::to_vec(value).expect("invariant: these types have string keys only");
    Ok(fs::write_atomic(path, &bytes, 0o600)?)
}

/// `service.json`: what a service is for all its life.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Service {
    pub(in super::super) id: String,
    pub(in super::super) address: String,
    pub(in super::super) port: u16,
    /// Whether the front speaks HTTP; else it passes bytes on.
    pub(in super::super) http: bool,
    /// Goes into the names of deployments, which are digests of content with secrets in it.
    pub(in super::super) salt: String,
    /// Where the logs go.
    pub(in super::super) logs: PathBuf,
}

/// A recorded operation.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Operation {
    pub(in super::super) op: String,
    pub(in super::super) answer: Answer,
}

/// A recorded deployment.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct Deployment {
    pub(in super::super) spec: Spec,
    /// The port of its own front.
    pub(in super::super) staged_port: Option<u16>,
}

/// `state.json`.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct State {
    /// The version with the traffic.
    pub(in super::super) active: Option<String>,
    /// Versions that were ready once and have not been retired.
    pub(in super::super) deployments: BTreeMap<String, Deployment>,
    /// What was answered to the last operations.
    pub(in super::super) operations: VecDeque<Operation>,
    /// Whether the service was stopped for good.
    pub(in super::super) stopped: bool,
}

impl State {
    /// What was answered to an operation.
    pub(in super::super) fn answer(&self, op: &str) -> Option<&Answer> {
        self.operations.iter().find(|o| o.op == op).map(|o| &o.answer)
    }
}

/// A service's directory.
#[derive(Clone, Debug)]
pub(in super::super) struct Directory(pub(in super::super) PathBuf);

impl Directory {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(in super::super) fn is_there(&self) -> bool {
        fs::kind(&self.file("service.json")).is_some()
    }

    /// Removes it with all that is in it. It gets another name first, so that a supervisor that was fenced and is late finds nothing
    /// to write to; what an earlier removal left under such a name goes too.
    pub(in super::super) fn remove(&self) -> Result<(), StateError> {
        let Some(root) = self.0.parent() else { return Ok(()) };
        match fs::rename(&self.0, &root.join(format!("{GOING}{}", id::random_hex::<8>()))) {
            Err(e) if !e.is_not_found() => return Err(e.into()),
            _ => {}
        }
        for (name, _) in fs::list(root)? {
            if name.starts_with(GOING) {
                fs::remove_dir_all(&root.join(name))?;
            }
        }
        Ok(())
    }

    pub(in super::super) fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    pub(in super::super) fn service(&self) -> Result<Option<Service>, StateError> {
        load(&self.file("service.json"))
    }

    pub(in super::super) fn set_service(&self, service: &Service) -> Result<(), StateError> {
        store(&self.file("service.json"), service)
    }

    pub(in super::super) fn state(&self) -> Result<State, StateError> {
        Ok(load(&self.file("state.json"))?.unwrap_or_default())
    }

    pub(super) fn set_state(&self, state: &State) -> Result<(), StateError> {
        store(&self.file("state.json"), state)
    }

    pub(super) fn token(&self) -> Result<Option<String>, StateError> {
        load(&self.file("token"))
    }

    pub(in super::super) fn set_token(&self, token: &str) -> Result<(), StateError> {
        store(&self.file("token"), &token)
    }

    /// The supervisor that runs, if one does.
    pub(in super::super) fn supervisor(&self) -> Option<ProcessId> {
        load::<ProcessId>(&self.file("supervisor.json")).ok().flatten().filter(ProcessId::is_alive)
    }

    pub(super) fn set_supervisor(&self, id: &ProcessId) -> Result<(), StateError> {
        store(&self.file("supervisor.json"), id)
    }

    /// The processes that a supervisor recorded, of all versions.
    pub(in super::super) fn replicas(&self) -> Vec<ProcessId> {
        let names = fs::list(&self.0).unwrap_or_default();
        let of = |(name, _): (String, fs::Kind)| {
            (name.starts_with("replicas-") && name.ends_with(".json"))
                .then(|| load::<Vec<ProcessId>>(&self.file(&name)).ok().flatten())?
        };
        names.into_iter().filter_map(of).flatten().collect()
    }

    /// Records the processes of a version.
    pub(super) fn set_replicas(&self, deployment: &str, replicas: &[ProcessId]) -> Result<(), StateError> {
        let file = self.file(&format!("replicas-{deployment}.json"));
        if replicas.is_empty() { Ok(fs::remove_file(&file)?) } else { store(&file, &replicas) }
    }
}

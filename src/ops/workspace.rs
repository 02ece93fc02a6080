//! Where an environment stands on this machine.

use std::path::{Path, PathBuf};

use super::error::{Failure, Result};
use crate::diag::did_you_mean;
use crate::ports::fs;

/// The directories of one environment, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The environment's name: that of its directory.
    pub name: String,
    /// The environment's directory.
    pub environment: PathBuf,
    /// The directory that holds `environments/`; the environment's own where nothing holds it.
    pub project: PathBuf,
    /// The environment's state directory.
    pub state: PathBuf,
}

/// The names of a project's environments, sorted.
#[must_use]
pub fn environments(project: &Path) -> Vec<String> {
    let entries = fs::list(&project.join("environments")).unwrap_or_default();
    entries.into_iter().filter(|(_, kind)| *kind == fs::Kind::Directory).map(|(name, _)| name).collect()
}

/// The nearest directory from `start` upwards that holds `environments/`.
#[must_use]
pub fn project_of(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|d| fs::kind(&d.join("environments")) == Some(fs::Kind::Directory)).map(Path::to_path_buf)
}

/// Whether a directory may be an environment outside of a project.
fn holds_configuration(directory: &Path) -> bool {
    let own = fs::list(directory).unwrap_or_default();
    own.iter().any(|(name, _)| name.ends_with(".hcl") || name.ends_with(".tf"))
}

impl Workspace {
    /// Finds an environment: by its name under `environments/`, by a path, or, where neither is given, the one that the
    /// working directory is in, or the only one that there is.
    ///
    /// # Errors
    /// When there is none of that name or path, or several and none is named.
    pub fn locate(directory: &Path, named: Option<&str>) -> Result<Self> {
        match named {
            Some(name) => Self::named(directory, name),
            None => Self::implied(directory),
        }
    }

    /// [`Self::locate`] for what can do without: `None` where no environment is named and none can be meant.
    ///
    /// # Errors
    /// As [`Self::locate`], but for where there is no project.
    pub fn locate_if_any(directory: &Path, named: Option<&str>) -> Result<Option<Self>> {
        if named.is_none() && project_of(directory).is_none() && !holds_configuration(directory) {
            return Ok(None);
        }
        Self::locate(directory, named).map(Some)
    }

    /// A place without an environment.
    #[must_use]
    pub fn nowhere(directory: &Path) -> Self {
        let directory = directory.to_path_buf();
        let state = directory.join("state");
        // As Terraform calls the workspace that nobody chose.
        Self { name: "default".into(), environment: directory.clone(), project: directory, state }
    }

    fn named(directory: &Path, name: &str) -> Result<Self> {
        let project = project_of(directory);
        if !name.contains('/')
            && let Some(project) = &project
        {
            let candidate = project.join("environments").join(name);
            if fs::kind(&candidate) == Some(fs::Kind::Directory) {
                return Self::at(&candidate);
            }
        }
        let path = directory.join(name);
        match fs::kind(&path) {
            Some(fs::Kind::Directory) if name.contains('/') || name.starts_with('.') || project.is_none() => {
                Self::at(&path)
            }
            Some(fs::Kind::File) if name.contains('/') => Err(Failure::error(
                "Not an environment",
                format!("{name} is a file. An environment is a directory with .hcl files in it."),
            )),
            _ => Err(Self::unknown(project.as_deref(), name)),
        }
    }

    fn unknown(project: Option<&Path>, name: &str) -> Failure {
        let known = project.map(environments).unwrap_or_default();
        let detail = match (project, known.is_empty()) {
            (None, _) => {
                format!("There is no environment \"{name}\": no directory from here upwards holds environments/.")
            }
            (Some(p), true) => {
                format!("There is no environment \"{name}\": {} is empty.", p.join("environments").display())
            }
            (Some(_), false) => format!("There is no environment \"{name}\". There is: {}.", known.join(", ")),
        };
        let failure = Failure::error("Unknown environment", detail);
        match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(hint) => failure.hint(hint),
            None if known.is_empty() => failure.hint("Write a small project here with: gantry init"),
            None => failure,
        }
    }

    fn implied(directory: &Path) -> Result<Self> {
        let Some(project) = project_of(directory) else {
            if holds_configuration(directory) {
                return Self::at(directory);
            }
            return Err(Failure::error(
                "No environment",
                "No environment is named, and no directory from here upwards holds environments/.",
            )
            .hint("Write a small project here with: gantry init"));
        };
        let inside = directory.strip_prefix(project.join("environments")).ok();
        if let Some(first) = inside.and_then(|p| p.components().next()) {
            return Self::at(&project.join("environments").join(first));
        }
        let all = environments(&project);
        match all.as_slice() {
            [only] => Self::at(&project.join("environments").join(only)),
            [] => Err(Failure::error("No environment", "The directory environments/ is empty.")
                .hint("Write a small environment with: gantry init")),
            _ => Err(Failure::error(
                "Which environment?",
                format!("There are several environments: {}. Name one behind the command.", all.join(", ")),
            )),
        }
    }

    fn at(environment: &Path) -> Result<Self> {
        let environment = fs::canonical(environment)
            .map_err(|e| Failure::error("Unreadable environment", format!("{e}: {}.", e.source)))?;
        let name = environment.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| "root".into());
        let parent = environment.parent().filter(|p| p.file_name().is_some_and(|n| n == "environments"));
        let project = parent.and_then(Path::parent).map_or_else(|| environment.clone(), Path::to_path_buf);
        let state = project.join("state").join(&name);
        Ok(Self { name, environment, project, state })
    }

    /// The directory of the ledger's blobs as seen from the environment's directory.
    #[must_use]
    pub fn blobs(&self, project: &str) -> String {
        format!("{project}/state/{}/blobs", self.name)
    }
}

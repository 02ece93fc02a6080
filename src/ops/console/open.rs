//! From a directory to a session.

use std::path::Path;
use std::sync::Arc;

use super::session::Session;
use crate::config::desired::Module;
use crate::config::{Bundle, Desired, VarArg};
use crate::diag::Diagnostics;
use crate::ledger::{Key, State};
use crate::ops::error::{Failure, Result};
use crate::ops::planning::{self, Draft, Planning};
use crate::ops::records::Records;
use crate::ops::secrets::Secrets;
use crate::ops::targets::Targets;
use crate::ops::workspace::Workspace;
use crate::plan::{Facts, Options, Sight};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Whether names have the values of a plan that is made now, instead of those that the ledger has.
    pub plan: bool,
    /// The module instance that expressions stand in: `module.shop["a"]`; the root where none is named.
    pub scope: Option<String>,
    /// `--var` and `--var-file`
    pub variables: Vec<VarArg>,
}

/// Reads the environment that is meant, or none where there is no project, and lets `work` evaluate in it. Nothing is changed: no
/// lease is taken, and nothing is written.
///
/// # Errors
/// When the environment, its configuration, its variables or its ledger cannot be read. What is wrong with the configuration's
/// values is no error here: the session tells it.
pub async fn with<T>(
    directory: &Path,
    named: Option<&str>,
    asked: &Asked,
    work: impl FnOnce(&Session<'_>) -> T,
) -> Result<T> {
    let Some(workspace) = Workspace::locate_if_any(directory, named)? else {
        let workspace = Workspace::nowhere(directory);
        let draft = nothing();
        let secrets = Secrets::digests(Arc::new(Key::random()));
        return walk(&workspace, draft, &State::default(), &secrets, "", asked, Diagnostics::default(), work).await;
    };
    let (draft, warnings) = planning::open_to_look(&workspace, &asked.variables)?;
    let records = Records::read(&workspace, &asked.variables).await?;
    let lineage = records.lineage.as_deref().unwrap_or("");
    let secrets = Secrets::of_machine(Arc::clone(&records.key))?;
    // A block that is wrong is told by the session, and opens nothing until then.
    let secrets = secrets.configured(&draft, &workspace).unwrap_or(secrets);
    walk(&workspace, draft, &records.state, &secrets, lineage, asked, warnings, work).await
}

/// A configuration in which nothing is declared.
fn nothing() -> Draft {
    let root = Module { directory: ".".into(), ..Module::default() };
    let bundle = Bundle { directory: ".".into(), name: "default".into(), project: ".".into(), ..Bundle::default() };
    Draft {
        bundle,
        desired: Arc::new(Desired { root: Arc::new(root), environment: None, sources: Arc::default() }),
        variables: Default::default(),
        options: Options::default(),
        facts: Facts::default(),
        seed: 0,
        released: None,
    }
}

#[expect(clippy::too_many_arguments, reason = "what was read, named at the two calls")]
async fn walk<T>(
    workspace: &Workspace,
    mut draft: Draft,
    recorded: &State,
    secrets: &Secrets,
    lineage: &str,
    asked: &Asked,
    warnings: Diagnostics,
    work: impl FnOnce(&Session<'_>) -> T,
) -> Result<T> {
    let targets = Targets::open(workspace, lineage, None)?;
    let planning = Planning::new(workspace, targets.catalog(), Some(&targets), secrets);
    planning.configure(&draft, recorded).await?;
    let sight = if asked.plan { Sight::Planned } else { Sight::Recorded };
    let (sources, now) = (draft.desired.sources.clone(), targets.now());
    planning
        .look_around(&targets, &mut draft, recorded, sight, |look| {
            let look = match &asked.scope {
                Some(module) => {
                    look.within(module).map_err(|e| Failure::from_diagnostics(e.into(), sources.clone()))?
                }
                None => *look,
            };
            let session = Session::new(look, workspace, sources.clone(), &warnings, (asked.plan, now));
            Ok(work(&session))
        })
        .await
}

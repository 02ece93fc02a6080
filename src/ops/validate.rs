//! `validate`: everything that is wrong with a configuration, without asking any target.

use std::sync::Arc;

use super::error::Result;
use super::planning::{self, Planning};
use super::targets::Targets;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::diag::{Diagnostics, SourceMap};
use crate::ledger::{Key, State};
use crate::plan::Options;
use crate::provider::catalog::Catalog;

/// A configuration that is valid.
#[derive(Debug)]
pub struct Checked {
    /// What is worth saying all the same.
    pub warnings: Diagnostics,
    /// The files that the warnings point into.
    pub sources: Arc<SourceMap>,
}

/// Validates: the configuration is planned as if nothing had ever been applied. Files are read; no target is asked, no database and
/// no ledger.
///
/// # Errors
/// Everything that is wrong.
pub async fn validate(workspace: &Workspace, variables: &[VarArg]) -> Result<Checked> {
    let options = Options { refresh: false, ..Options::default() };
    let (mut draft, mut warnings) = planning::open(workspace, variables, options)?;
    let catalog = Catalog::built_in();
    let targets = Targets::open(workspace, "", None)?.unasked();
    let key = Key::random();
    let planning = Planning { workspace, catalog: &catalog, targets: Some(&targets), key: &key, earlier: None };
    let plan = planning.plan(&mut draft, &State::default()).await?;
    warnings.extend(plan.warnings);
    Ok(Checked { warnings, sources: draft.desired.sources.clone() })
}

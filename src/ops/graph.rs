//! `graph`: what depends on what.

use super::error::{Failure, Result};
use super::workspace::Workspace;

/// The blocks of an environment and which of them each needs directly.
///
/// # Errors
/// When the configuration cannot be loaded, or something needs itself.
pub fn graph(workspace: &Workspace) -> Result<Vec<(String, Vec<String>)>> {
    let (_, desired) = crate::config::open(&workspace.environment)?;
    crate::plan::graph(&desired).map_err(|e| Failure::from_diagnostics((*e).into(), desired.sources.clone()))
}

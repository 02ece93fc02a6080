//! What the project file says of all environments.

use std::path::Path;

use super::error::{Failure, Result};
use super::workspace::project_of;
use crate::config::read_project;

/// The environments through which releases move, in their order.
///
/// # Errors
/// When there is no project, its file is wrong, or names no chain.
pub fn chain(directory: &Path) -> Result<Vec<String>> {
    let project = project_of(directory).ok_or_else(|| {
        Failure::error(
            "No project",
            "No directory from here upwards holds environments/, so there is no chain to walk.",
        )
    })?;
    let names = read_project(&project)?.environments.unwrap_or_default();
    if names.len() < 2 {
        let detail = "The project file gantry.hcl names no chain of environments to walk.";
        return Err(Failure::error("No chain of environments", detail)
            .hint("Write environments = [\"staging\", \"production\"] into gantry.hcl, or name the two: gantry promote --auto staging production"));
    }
    Ok(names)
}

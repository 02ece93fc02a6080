//! `init`: a small project that applies.

use std::path::Path;

use super::error::{Failure, Result};
use crate::addr::is_identifier;
use crate::ports::fs;

/// Writes a small environment below a directory and gives the names of the files written, relative to it; none if the
/// environment is there already. What exists is never overwritten.
///
/// # Errors
/// When the name is none for an environment, or a file cannot be written.
pub fn init(directory: &Path, name: &str) -> Result<Vec<String>> {
    if !is_identifier(name) {
        let detail = format!(
            "\"{name}\" cannot be the name of an environment: use letters, digits, - and _, and begin with a letter."
        );
        return Err(Failure::error("Invalid environment name", detail));
    }
    let environment = directory.join("environments").join(name);
    let there = fs::list(&environment).unwrap_or_default();
    if there.iter().any(|(n, _)| n.ends_with(".hcl") || n.ends_with(".tf")) {
        return Ok(Vec::new());
    }
    let failed = |e: fs::FsError| Failure::error("Cannot write the project", format!("{e}: {}.", e.source));
    let mut written = Vec::new();
    for (path, text) in crate::config::init_files(name) {
        let target = directory.join(&path);
        if fs::kind(&target).is_some() {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir(parent).map_err(failed)?;
        }
        fs::write_atomic(&target, text.as_bytes(), 0o644).map_err(failed)?;
        written.push(path);
    }
    Ok(written)
}

//! The error of this module: diagnostics with the files that they point into.

use std::fmt;
use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics, SourceMap};

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone)]
pub struct ConfigError {
    /// What is wrong; at least one of them is an error.
    pub diagnostics: Diagnostics,
    /// The files that they point into.
    pub sources: Arc<SourceMap>,
}

impl ConfigError {
    /// A single error that points into no file.
    #[must_use]
    pub fn of(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: diagnostic.into(), sources: Arc::default() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.diagnostics.sorted().first().map_or("the configuration is not valid", |d| d.summary.as_str());
        match self.diagnostics.errors() {
            0 | 1 => f.write_str(first),
            n => write!(f, "{first} (and {} more)", n - 1),
        }
    }
}

impl std::error::Error for ConfigError {}

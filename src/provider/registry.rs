//! The live providers of an environment, by configuration: `local`, `kubernetes`, `kubernetes.blue`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Provider;

/// Providers by the name of their configuration: the provider's, or that and an alias. Clones share what is in it, so that a run
/// finds what the planning of its way back needed first.
#[derive(Clone, Default)]
pub struct Providers(Arc<Mutex<BTreeMap<String, Arc<dyn Provider>>>>);

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.locked().keys()).finish()
    }
}

impl<const N: usize> From<[(String, Arc<dyn Provider>); N]> for Providers {
    fn from(all: [(String, Arc<dyn Provider>); N]) -> Self {
        Self(Arc::new(Mutex::new(all.into())))
    }
}

impl Providers {
    /// The provider behind a configuration.
    #[must_use]
    pub fn get(&self, configuration: &str) -> Option<Arc<dyn Provider>> {
        self.locked().get(configuration).cloned()
    }

    /// Adds a configuration. One that is there stays: a run acts on what it was planned against.
    pub fn add(&self, configuration: &str, make: impl FnOnce() -> Arc<dyn Provider>) {
        self.locked().entry(configuration.to_owned()).or_insert_with(make);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<dyn Provider>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nobody can be asked or told for a configuration that is not there.
#[must_use]
pub fn not_configured(configuration: &str) -> String {
    format!(
        "There is no provider configuration \"{configuration}\" any more. Put its provider block back until what it made is \
         gone, or take that out of the ledger with: gantry state rm."
    )
}

//! Provider configurations: evaluated before anything is planned, and made into live providers.

use super::console;
use super::error::{Failure, Result};
use super::planning::{Draft, Planning, ROUNDS_MAX};
use super::targets::Targets;
use crate::diag::Diagnostic;
use crate::ledger::State;
use crate::plan::{Configured, Looked, Sight, configures, look};

impl Planning<'_> {
    /// Makes the providers that a configuration configures, where there are live ones. A second call does nothing.
    ///
    /// # Errors
    /// When a provider block is wrong or depends on what is not known yet.
    pub async fn configure(&self, draft: &Draft, recorded: &State) -> Result<()> {
        let Some(targets) = self.targets else { return Ok(()) };
        let configured = match configures(&draft.desired, self.catalog) {
            true => self.configured(&mut draft.clone(), recorded, targets).await?,
            false => Vec::new(),
        };
        if targets.is_unasked() {
            return Ok(());
        }
        targets.configure(&configured);
        for one in &configured {
            let Some(provider) = targets.providers.get(&one.name) else { continue };
            if let Err(problem) = provider.usable().await {
                let diagnostic = Diagnostic::error("Provider cannot be used", problem.sentence).at(one.span);
                return Err(Failure::from_diagnostics(diagnostic.into(), draft.desired.sources.clone()));
            }
        }
        Ok(())
    }

    async fn configured(&self, draft: &mut Draft, recorded: &State, targets: &Targets) -> Result<Vec<Configured>> {
        let draw = console::draw(targets.now());
        for _ in 0..ROUNDS_MAX {
            let sources = draft.desired.sources.clone();
            let fail = |diagnostics| Failure::from_diagnostics(diagnostics, sources.clone());
            let looked = self.with_inputs(draft, recorded, |inputs| {
                look(inputs, Sight::Recorded, &draw, |look| look.configured(self.catalog).map_err(fail))
            });
            match looked.map_err(fail)? {
                Looked::Ready(configured) => return configured,
                Looked::Need(questions) => self.answer(draft, questions).await?,
            }
        }
        let detail = format!("The provider blocks still had questions after {ROUNDS_MAX} rounds.");
        Err(Failure::error("Planning limit reached", detail))
    }
}

//! Looking around in a configuration, and what is looked at before anything is planned: the provider configurations, which are
//! made into live providers.

use super::console;
use super::error::{Failure, Result};
use super::planning::{Draft, Planning, ROUNDS_MAX};
use super::targets::Targets;
use crate::diag::Diagnostic;
use crate::ledger::State;
use crate::plan::{Look, Looked, Sight, configurations, look};

impl Planning<'_> {
    /// Makes the providers that a configuration configures, where there are live ones. Those that are there stay as they are.
    ///
    /// # Errors
    /// When a provider block is wrong or depends on what is not known yet.
    pub async fn configure(&self, draft: &Draft, recorded: &State) -> Result<()> {
        let Some(targets) = self.targets else { return Ok(()) };
        let named = configurations(&draft.desired, self.catalog);
        let configured = match named.iter().all(|name| targets.providers.get(name).is_some()) {
            true => Vec::new(),
            false => {
                let sources = draft.desired.sources.clone();
                self.look_around(targets, &mut draft.clone(), recorded, Sight::Recorded, |look| {
                    look.configured(self.catalog).map_err(|e| Failure::from_diagnostics(e, sources))
                })
                .await?
            }
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

    /// Lets `work` look around in a configuration, once all is answered that this needs.
    ///
    /// # Errors
    /// Those of `work`; and when the configuration cannot be walked or never stops asking.
    pub(super) async fn look_around<T>(
        &self,
        targets: &Targets,
        draft: &mut Draft,
        recorded: &State,
        sight: Sight,
        work: impl FnOnce(&Look<'_>) -> Result<T>,
    ) -> Result<T> {
        let draw = console::draw(targets.now());
        let mut work = Some(work);
        for _ in 0..ROUNDS_MAX {
            let sources = draft.desired.sources.clone();
            let looked = self.with_inputs(draft, recorded, |inputs| {
                look(inputs, sight, &draw, |look| {
                    let work = work.take().expect("invariant: a look that is ready is the last");
                    work(look)
                })
            });
            match looked.map_err(|diagnostics| Failure::from_diagnostics(diagnostics, sources))? {
                Looked::Ready(done) => return done,
                Looked::Need(questions) => self.answer(draft, questions).await?,
            }
        }
        let detail = format!("The configuration still had questions after {ROUNDS_MAX} rounds.");
        Err(Failure::error("Planning limit reached", detail))
    }
}

//! Whether the targets would take the tasks of a plan's migrations: asked while planning, so that what is missing is told before
//! anything is done.

use super::error::{Failure, Result};
use super::planning::Draft;
use super::targets::Targets;
use crate::diag::{Diagnostic, Diagnostics};
use crate::plan::change::{Detail, MigrationRunner};
use crate::plan::{Change, Plan};
use crate::provider::{Task, not_configured};

/// Asks for each migration that is to be applied in a target.
///
/// # Errors
/// What a target would refuse, at the place of the migration.
pub(super) async fn rehearse(plan: &Plan, draft: &Draft, targets: &Targets) -> Result<()> {
    let mut wrong = Diagnostics::default();
    for change in &plan.changes {
        let Detail::Migration(detail) = &change.detail else { continue };
        let Some(runner) = detail.how.runner.as_ref().filter(|_| !detail.pending.is_empty()) else { continue };
        let Some(task) = task(change, runner) else { continue };
        let why = match targets.providers.get(&runner.provider) {
            Some(provider) => provider.would_run(&task).await.err().map(|problem| problem.sentence),
            None => Some(not_configured(&runner.provider)),
        };
        if let Some(why) = why {
            let diagnostic = Diagnostic::error("Target refuses the migration's task", why);
            wrong.push(diagnostic.at_opt(change.span).on(&change.address).hint("Nothing was changed."));
        }
    }
    if wrong.has_errors() {
        return Err(Failure::from_diagnostics(wrong, draft.desired.sources.clone()));
    }
    Ok(())
}

/// What would be asked for, where that is known by now.
fn task(change: &Change, runner: &MigrationRunner) -> Option<Task> {
    let settings = Some(&runner.settings).filter(|settings| settings.is_wholly_known())?;
    Some(Task {
        address: change.address.clone(),
        series: String::new(),
        key: "plan".into(),
        image: settings.get_str("image")?.to_owned(),
        settings: settings.clone(),
        command: vec!["gantry".into()],
        input: None,
        only_look: false,
        deadline: std::time::Duration::from_secs(1),
    })
}

//! `validate`: everything that is wrong with a configuration, without asking any target.

use std::sync::Arc;

use super::error::{Failure, FailureKind, Result};
use super::planning::{self, Planning};
use super::secrets::Secrets;
use super::targets::Targets;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::config::desired::{Module, Repetition};
use crate::diag::{Diagnostic, Diagnostics, Severity, SourceMap};
use crate::ledger::{Key, State};

/// A configuration that is valid.
#[derive(Debug)]
pub struct Checked {
    /// What is worth saying all the same.
    pub warnings: Diagnostics,
    /// The files that the warnings point into.
    pub sources: Arc<SourceMap>,
}

/// Validates: the configuration is planned as if nothing had ever been applied. Variables that nobody gives a value are not known. Files are read; no target is asked, no database and
/// no ledger.
///
/// # Errors
/// Everything that is wrong.
pub async fn validate(workspace: &Workspace, variables: &[VarArg]) -> Result<Checked> {
    let (mut draft, mut found) = planning::open_for_validation(workspace, variables)?;
    if !found.has_errors() {
        found.extend(super::store::judged(workspace, &draft));
    }
    let targets = Targets::open(workspace, "", None)?.unasked();
    let secrets = Secrets::digests(Arc::new(Key::random()));
    let planning = Planning::new(workspace, targets.catalog(), Some(&targets), &secrets);
    let sound = !draft.options.hollow;
    // First every block is looked into, also those that have no instances now; then, where nothing is missing, the plan is made in
    // which they have none.
    for hollow in [true, false] {
        let needless = if hollow { sound && !repeats(&draft.desired.root) } else { !sound };
        if needless {
            continue;
        }
        draft.options.hollow = hollow;
        match planning.plan(&mut draft, &State::default()).await {
            Ok(plan) => found.extend(plan.warnings),
            Err(failure) if failure.kind == FailureKind::Error => {
                let news: Vec<Diagnostic> =
                    failure.diagnostics.into_iter().filter(|one| sound || !follows(one, &found)).collect();
                found.extend(news);
            }
            Err(failure) => return Err(failure),
        }
    }
    let sources = draft.desired.sources.clone();
    if found.has_errors() {
        return Err(Failure::from_diagnostics(found, sources));
    }
    Ok(Checked { warnings: found, sources })
}

/// Whether anything in a module or in those that it calls is repeated, so that there may be none of it.
fn repeats(module: &Module) -> bool {
    let several = |repetition: &Repetition| !matches!(repetition, Repetition::Single);
    module.nodes.iter().any(|node| several(&node.repetition))
        || module.calls.values().any(|call| several(&call.repetition) || repeats(&call.module))
}

/// Whether what evaluation finds was said of the same place already when the files were read, or follows from that: a name that
/// nothing has is missing to the evaluator too.
fn follows(one: &Diagnostic, said: &Diagnostics) -> bool {
    let built_in = |address: &str| {
        let kinds = ["artifact.", "migration.", "health_check.", "smoke_test.", "check."];
        kinds.iter().any(|kind| address.starts_with(kind) || address.contains(&format!(".{kind}")))
    };
    let errors = || said.iter().filter(|d| d.severity == Severity::Error);
    errors().next().is_some()
        && (one.summary.starts_with("Reference to undeclared")
            || errors().any(|d| d.span == one.span)
            // Blocks of the language itself were checked against its table; the planner would say the same in its words.
            || (one.address.as_deref().is_some_and(built_in)
                && errors().any(|d| d.span.map(|s| s.file) == one.span.map(|s| s.file))))
}

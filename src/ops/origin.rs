//! Where the artifacts of a run come from: which release it promotes, goes on with or takes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Result;
use super::planning::Draft;
use super::records;
use crate::addr::Address;
use crate::config::{Bundle, is_own};
use crate::diag::Diagnostic;
use crate::ledger::event::RunKind;
use crate::ledger::record::{Generation, Override};
use crate::ledger::{Backend, Release, State};
use crate::plan::{Plan, SavedInputs};

/// Where artifacts come from.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The release, where it is not the run's own.
    pub(super) release: Option<Box<Release>>,
    /// Whether files come that the release does not hold.
    pub(super) unproven: bool,
    /// The name of the release that is taken back.
    pub(super) takes_back: Option<String>,
    /// What people named against what was promoted.
    pub(super) overrides: BTreeMap<Address, Override>,
}

impl Origin {
    /// That of a run that is about to begin. `of` is the environment's name and its ledger's identity.
    pub(super) fn of(state: &State, plan: &Plan, draft: &Draft, of: (&str, &str)) -> Self {
        let release = |generation: &Generation| Release::of(of.0, of.1, generation);
        match plan.kind {
            RunKind::Promote => Self { release: plan.promoted.clone(), ..Self::default() },
            RunKind::Rollback => {
                let target = draft.options.to_generation.and_then(|number| state.find_generation(number));
                let to = target.and_then(release);
                let from = state.current().and_then(release).map(|r| r.id());
                let takes_back = from.filter(|from| to.as_ref().is_none_or(|to| to.id() != *from));
                let overrides = target.map(|g| g.overrides.clone()).unwrap_or_default();
                Self { release: to.map(Box::new), unproven: false, takes_back, overrides }
            }
            RunKind::Apply => Self::going_on(state, plan),
            RunKind::Destroy | RunKind::Verify | RunKind::Refresh | RunKind::Unknown => Self::default(),
        }
    }

    /// An apply goes on with what was promoted; with an artifact that a person names it is that release no more.
    fn going_on(state: &State, plan: &Plan) -> Self {
        let Some(current) = state.current() else {
            return Self { overrides: plan.overrides.clone(), ..Self::default() };
        };
        let promoted = plan.gates.promotion.is_some() || current.gates.promotion.is_some();
        if !promoted {
            return Self::default();
        }
        let mut overrides = current.overrides.clone();
        overrides.extend(plan.overrides.clone());
        let release = if plan.overrides.is_empty() { current.release.clone() } else { None };
        Self { release, overrides, ..Self::default() }
    }

    /// With what the files say: an apply whose shared files are others is that release no more.
    ///
    /// # Errors
    /// When what stands now cannot be read.
    pub(super) async fn checked(
        mut self,
        state: &State,
        plan: &Plan,
        draft: &Draft,
        backend: &dyn Backend,
    ) -> Result<Self> {
        match plan.kind {
            RunKind::Promote => self.unproven = !draft.options.unproven.is_empty(),
            RunKind::Apply if self.release.is_some() && !unproven(state, draft, backend).await?.is_empty() => {
                self.release = None;
            }
            _ => {}
        }
        Ok(self)
    }
}

/// The files outside the environment's own directory that are not what the newest verified generation was made from, as people see them.
///
/// # Errors
/// When what it was made from cannot be read.
pub(super) async fn unproven(state: &State, draft: &Draft, backend: &dyn Backend) -> Result<Vec<String>> {
    let Some(current) = state.current().filter(|g| g.release.is_some() && g.collected.is_none()) else {
        return Ok(Vec::new());
    };
    let json = records::blob_json(backend, &current.inputs).await?;
    // What cannot be read any more is told where it is needed: on a way back.
    let Ok(saved) = serde_json::from_value::<SavedInputs>(json) else { return Ok(Vec::new()) };
    let Ok(before) = serde_json::from_value::<Bundle>(saved.bundle) else { return Ok(Vec::new()) };
    let other = |(path, bytes): &(&String, &Arc<[u8]>)| {
        !is_own(path) && !saved.secret_files.contains_key(*path) && before.files.get(*path) != Some(*bytes)
    };
    Ok(draft.bundle.files.iter().filter(other).map(|(path, _)| draft.bundle.shown(path)).collect())
}

/// What is worth saying about them before an apply.
///
/// # Errors
/// As [`unproven`].
pub(super) async fn warning(state: &State, draft: &Draft, backend: &dyn Backend) -> Result<Option<Diagnostic>> {
    let files = unproven(state, draft, backend).await?;
    if files.is_empty() {
        return Ok(None);
    }
    let detail = format!(
        "They come from the working tree and are not what the release holds that was promoted: {}. No other environment has tried them.",
        files.join(", ")
    );
    let from = state.gates().into_iter().find_map(|gates| Some(gates.promotion.as_ref()?.from.clone()));
    let from = from.unwrap_or_else(|| "SOURCE".to_owned());
    let hint = format!("Let \"{from}\" prove them, and promote that: gantry promote {from} {}", draft.bundle.name);
    Ok(Some(Diagnostic::warning("Files that were not proven", detail).hint(hint)))
}

//! Where the artifacts of a run come from: which release it promotes, goes on with or takes back.

use std::collections::BTreeMap;

use super::planning::Draft;
use crate::addr::Address;
use crate::ledger::event::RunKind;
use crate::ledger::record::{Generation, Override};
use crate::ledger::{Release, State};
use crate::plan::Plan;

/// Where artifacts come from.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The release, where it is not the run's own.
    pub(super) release: Option<Box<Release>>,
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
                Self { release: to.map(Box::new), takes_back, overrides }
            }
            RunKind::Apply => Self::going_on(state, plan),
            RunKind::Destroy | RunKind::Verify | RunKind::Unknown => Self::default(),
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
        Self { release, takes_back: None, overrides }
    }
}

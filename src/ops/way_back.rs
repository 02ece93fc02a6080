//! The way back inside a run: a plan to its base, limited to what the run touched, made from what is there when it is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Failure, Result};
use super::planning::{Draft, Planning};
use super::records;
use super::restore::{Fresh, Other};
use super::secrets::Secrets;
use super::targets::Targets;
use super::workspace::Workspace;
use crate::addr::Address;
use crate::exec::WayBackPlanner;
use crate::ledger::{Backend, State};
use crate::plan::change::MigrationDetail;
use crate::plan::{Facts, Options, Plan, SavedInputs};

/// Who plans the way back of a run.
pub(super) struct WayBackFrom {
    pub(super) workspace: Workspace,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) secrets: Secrets,
    pub(super) targets: Targets,
    /// What the failed run was made from: the secrets of now, and, on a first deployment, its migrations.
    pub(super) failed: Draft,
    /// The migrations with `on_rollback = "down"`.
    pub(super) down_anyway: Vec<Address>,
    /// What the run migrates, by node.
    pub(super) migrated: BTreeMap<Address, Box<MigrationDetail>>,
}

#[async_trait::async_trait]
impl WayBackPlanner for WayBackFrom {
    async fn plan(&self, state: &State, trust_records: bool) -> std::result::Result<Plan, String> {
        self.make(state, trust_records).await.map_err(|failure| {
            let all: Vec<String> =
                failure.diagnostics.sorted().iter().map(|d| format!("{}: {}", d.summary, d.detail)).collect();
            all.join("; ")
        })
    }
}

impl WayBackFrom {
    async fn make(&self, state: &State, trust_records: bool) -> Result<Plan> {
        let Some(open) = &state.open else {
            return Err(Failure::error("Internal error", "A way back without a run. This is a bug in Gantry."));
        };
        let base = open.started.base.and_then(|number| state.find_generation(number));
        let (mut draft, secrets) = match base {
            Some(base) => {
                let json = records::blob_json(self.backend.as_ref(), &base.inputs).await?;
                let saved: SavedInputs = serde_json::from_value(json).map_err(|e| {
                    Failure::error(
                        "Unreadable ledger",
                        format!("The inputs of generation {} cannot be read: {e}.", base.number),
                    )
                })?;
                let fresh = Fresh { variables: &self.failed.variables };
                let restored =
                    Draft::restore(&saved, &fresh, &self.secrets, &self.workspace, Other::Taken)?.for_today();
                (restored.draft, restored.secrets)
            }
            None => (Draft { facts: Facts::default(), ..self.failed.clone() }, self.secrets.clone()),
        };
        let pins = base.map(|b| b.pins.clone()).unwrap_or_default();
        draft.options = Options {
            kind: open.started.kind,
            refresh: !trust_records,
            limit: Some(open.touched.clone()),
            pins: pins.into_iter().filter(|(a, _)| open.touched.contains(a)).collect(),
            revert: self.reverts(state),
            migrated: self.migrated.clone(),
            older: true,
            going_back: true,
            to_nothing: base.is_none(),
            to_generation: base.map(|b| b.number),
            ..Options::default()
        };
        let planning = Planning::new(&self.workspace, self.targets.catalog(), Some(&self.targets), &secrets);
        planning.plan(&mut draft, state).await
    }

    /// The migrations of the run that are taken back: those with a way back, newest first, as long as no traffic has reached
    /// what needs them, or where the configuration says that they go down in any case. One without a way back keeps all
    /// that came before it.
    fn reverts(&self, state: &State) -> BTreeMap<Address, Vec<u64>> {
        let Some(open) = &state.open else { return BTreeMap::new() };
        let mut all: BTreeMap<Address, Vec<u64>> = BTreeMap::new();
        let mut stopped = Vec::new();
        for (address, migration) in open.migrated.iter().rev() {
            let may = !open.switched || self.down_anyway.contains(address) || open.started.base.is_none();
            if migration.down.is_none() || !may {
                stopped.push(address.clone());
            }
            if !stopped.contains(address) {
                all.entry(address.clone()).or_default().push(migration.version);
            }
        }
        all
    }
}

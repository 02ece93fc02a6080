//! What the way back does about each change, told before the apply.

use super::change::{Change, ChangeKind, Detail, Reason};
use super::plan::WayBack;
use crate::provider::catalog::Catalog;
use crate::provider::{Lowering, Role, Undo};

/// The way back of every change that an apply makes.
pub(super) fn way_back(changes: &[Change], catalog: &Catalog, checked: bool) -> Vec<WayBack> {
    changes.iter().filter_map(|change| one(change, catalog, checked)).collect()
}

fn one(change: &Change, catalog: &Catalog, checked: bool) -> Option<WayBack> {
    let told = |possible: bool, sentence: String| Some(WayBack { address: change.address.clone(), possible, sentence });
    match &change.detail {
        Detail::Resource(_) => {
            let schema = catalog.get(Role::Managed, &change.address.ty)?;
            match change.kind {
                ChangeKind::NoOp | ChangeKind::Update if change.only_imports() => {
                    told(true, "it is forgotten again, and the object stays as it is".into())
                }
                ChangeKind::Update if change.reason == Reason::TakenOver => None,
                ChangeKind::Update if change.importing.is_some() => told(
                    false,
                    "going back forgets it again and leaves the object where it is, with its new values".into(),
                ),
                ChangeKind::Create => told(true, "it is deleted again".into()),
                ChangeKind::Update if change.reason == Reason::LeftOver => {
                    told(false, "the version without traffic that was left over goes for good".into())
                }
                ChangeKind::Update if schema.undo == Undo::Stays => {
                    told(false, "what the command did stays".into())
                }
                ChangeKind::Update if schema.lowering == Lowering::Workload => {
                    told(true, "traffic goes back to the version that serves now, which is kept until all checks have passed".into())
                }
                ChangeKind::Update => told(true, "it gets its present values again".into()),
                ChangeKind::ReplaceCreateFirst => {
                    told(true, "the present object is kept until all checks have passed".into())
                }
                ChangeKind::ReplaceDeleteFirst => told(
                    false,
                    "the present object goes before its successor is made; going back makes another new one, without its content".into(),
                ),
                ChangeKind::Delete if checked => told(false, "it goes for good, after all checks have passed".into()),
                ChangeKind::Delete => told(false, "it goes for good".into()),
                _ => None,
            }
        }
        Detail::Migration(detail) => {
            let command = detail.how.runner.as_ref().is_some_and(|runner| runner.is_command);
            if command && detail.pending.iter().any(|m| m.down.is_none()) {
                return told(false, "what the command did stays: its runner has no \"down\"".into());
            }
            if let Some(first) = detail.pending.iter().find(|m| m.down.is_none()) {
                return told(
                    false,
                    format!(
                        "migration {} ({}) has no way back: there is no {:04}_{}.down.sql",
                        first.version, first.name, first.version, first.name
                    ),
                );
            }
            if detail.pending.is_empty() {
                return None;
            }
            let after = if detail.down_on_rollback {
                "after that as well (on_rollback = \"down\")"
            } else {
                "after that the schema stays (on_rollback = \"keep\")"
            };
            told(true, format!("its down text runs if the run fails before traffic moves; {after}"))
        }
        Detail::Artifact if change.kind == ChangeKind::Run => {
            told(true, "it is fixed to its present content again".into())
        }
        _ => None,
    }
}

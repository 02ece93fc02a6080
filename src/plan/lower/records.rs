//! Steps that only touch records: what moves, and what is imported.

use std::collections::BTreeMap;

use super::super::change::{ChangeKind, Detail};
use super::super::step::{ImportStep, Work};
use super::Lowerer;
use crate::addr::Address;
use crate::provider::{ResourceSchema, Role};
use crate::value::Value;

impl Lowerer<'_> {
    /// Records that move do so before anything else looks at them.
    pub(super) fn moves(&mut self) {
        for change in self.changes {
            if let Some(from) = &change.moved_from {
                self.add(&change.address, "move", Work::Move { from: from.clone() }, Vec::new());
            }
        }
    }

    /// Objects that are taken on are so before anything is done to them.
    pub(super) fn imports(&mut self) {
        for (position, change) in self.changes.iter().enumerate() {
            let (Some(id), Detail::Resource(detail)) = (&change.importing, &change.detail) else { continue };
            let Some(object) = detail.prior.clone() else { continue };
            let Some(schema) = self.context.catalog.get(Role::Managed, &change.address.ty) else { continue };
            // Where something is done to it next, that act records what was asked for.
            let as_asked = change.kind == ChangeKind::NoOp && detail.inputs.is_wholly_known();
            let inputs = if as_asked { detail.inputs.clone() } else { settable(schema, &object.attributes) };
            let work = Work::Import(Box::new(ImportStep {
                provider: detail.provider.clone(),
                id: id.clone(),
                object,
                inputs,
                dependencies: self.dependencies(position),
                schema: schema.version,
                create_before_destroy: detail.create_before_destroy,
            }));
            self.add(&change.address, "import", work, Vec::new());
        }
    }

    /// What is done to a node that moved or is imported is recorded under its address, which by then has to have the record.
    pub(super) fn moves_first(&mut self) {
        let moves: BTreeMap<Address, usize> = (0..self.steps.len())
            .filter(|n| matches!(self.steps[*n].work, Work::Move { .. } | Work::Import(_)))
            .map(|n| (self.steps[n].address.clone(), n))
            .collect();
        for step in &mut self.steps {
            let aside = matches!(step.work, Work::Move { .. } | Work::Import(_) | Work::Barrier | Work::Commit);
            if let Some(moved) = moves.get(&step.address).filter(|_| !aside) {
                step.after.push(*moved);
            }
        }
    }
}

/// The attributes and blocks of an object that a configuration may set.
fn settable(schema: &ResourceSchema, object: &Value) -> Value {
    let is_settable = |name: &str| {
        schema.attributes.get(name).is_some_and(crate::provider::AttributeSchema::settable)
            || schema.blocks.contains_key(name)
    };
    let all = object.as_map().into_iter().flatten().filter(|(name, _)| is_settable(name));
    Value::object(all.map(|(n, v)| (n.clone(), v.clone())).collect())
}

//! What a provider adds to the steps of its objects: an order that nobody had to write down, and waiting for what was made.

use std::collections::BTreeMap;

use super::{Change, Detail, Lowerer, Reason, ResourceSchema, Work};
use crate::provider::catalog::Catalog;
use crate::value::{Type, Value};

/// The order that the objects of each provider configuration imply, by the one that comes after.
pub(in crate::plan) fn implied(changes: &[Change], catalog: &Catalog) -> BTreeMap<usize, Vec<usize>> {
    let mut of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, change) in changes.iter().enumerate() {
        if let Detail::Resource(detail) = &change.detail {
            of.entry(&detail.provider).or_default().push(position);
        }
    }
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (configuration, positions) in of {
        let provider = configuration.split('.').next().unwrap_or(configuration);
        let Some(implied) = catalog.implied(provider) else { continue };
        let null = Value::null(Type::Any);
        let object = |position: &usize| {
            let change = &changes[*position];
            (&*change.address.ty, change.after.as_ref().or(change.before.as_ref()).unwrap_or(&null))
        };
        let objects: Vec<(&str, &Value)> = positions.iter().map(object).collect();
        for (before, then) in implied(&objects) {
            found.entry(positions[then]).or_default().push(positions[before]);
        }
    }
    found
}

impl Lowerer<'_> {
    /// Ends a change with its act, or with waiting for what that made.
    pub(super) fn until_ready(&mut self, position: usize, act: usize, schema: &ResourceSchema) {
        let done = match &self.steps[act].work {
            // What is taken over as it is was made ready, or not, by others.
            Work::Act(step) if schema.waits && self.changes[position].reason != Reason::TakenOver => {
                let work = Work::Await { provider: step.provider.clone(), follows: act, deadline: step.deadline };
                let address = self.changes[position].address.clone();
                self.add(&address, "await", work, vec![act])
            }
            _ => act,
        };
        self.finished(position, act, done);
    }

    /// Puts in the order that nobody had to write down. What the configuration says is stronger: an order that would close a circle
    /// is left out.
    pub(super) fn order_implied(&mut self) {
        for (then, all) in self.implied.clone() {
            for before in all {
                let (Some(done), Some(first)) = (self.done.get(&before).copied(), self.first.get(&then).copied())
                else {
                    continue;
                };
                if !self.reaches(first, done) {
                    self.steps[first].after.push(done);
                }
            }
        }
    }
}

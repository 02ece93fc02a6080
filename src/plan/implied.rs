//! What follows from the configuration without being said: moves between an object without a key and instance zero, and
//! `create_before_destroy` of what such an object depends on.


use super::walk::Planner;
use crate::addr::{Address, Key};
use crate::config::desired::{NodeBlock, Repetition};

impl Planner<'_> {
    /// A resource that got `count` keeps its object as instance zero, and one that lost it keeps that of instance zero.
    pub(super) fn implied_moves(&mut self) {
        let records = &self.world.inputs.recorded.records;
        let mut pairs = Vec::new();
        for recorded in records.keys() {
            let wanted = match (&recorded.key, self.block_of(recorded).map(|b| &b.repetition)) {
                (None, Some(Repetition::Count(_))) => recorded.with_key(Some(Key::Index(0))),
                (Some(Key::Index(0)), Some(Repetition::Single)) => recorded.block(),
                _ => continue,
            };
            let said = self.moved.contains_key(&wanted) || self.moved.values().any(|from| from == recorded);
            if !records.contains_key(&wanted) && !said {
                pairs.push((wanted, recorded.clone()));
            }
        }
        self.moved.extend(pairs);
    }

    /// The block that an address belongs to, whatever its keys and those of its modules.
    fn block_of(&self, address: &Address) -> Option<&NodeBlock> {
        let outline = self.world.outline;
        let mut module = 0;
        for step in address.module.0.iter() {
            module = *outline.modules[module].children.get(&step.name)?;
        }
        let key = (address.kind, address.ty.clone(), address.name.clone());
        let position = outline.modules[module].blocks.get(&key)?;
        Some(&**outline.block((module, *position)))
    }
}

//! Conditions that cannot be judged while planning, because they look at what is known after apply: preconditions of resources
//! and outputs, validations of variables, postconditions of what does not change. The plan carries them, and the run judges
//! each as soon as it can: before the node, before anything in the module, and at the latest when all steps are done.

use std::collections::BTreeMap;

use crate::addr::{Address, ModulePath};
use crate::value::Value;

/// A condition of which it is not known yet whether it holds.
#[derive(Debug, Clone)]
pub struct OpenCondition {
    /// What is said first if it does not hold.
    pub summary: &'static str,
    /// What must hold.
    pub condition: Value,
    /// What is said if it does not.
    pub message: Value,
    /// Where it stands: `main.hcl:3`.
    pub place: String,
}

/// All of a plan.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// What must hold before anything is done to a node.
    pub nodes: BTreeMap<Address, Vec<OpenCondition>>,
    /// What must hold before anything is done in a module.
    pub modules: BTreeMap<ModulePath, Vec<OpenCondition>>,
    /// What must hold in the end.
    pub last: Vec<OpenCondition>,
}

impl Conditions {
    /// What must hold before a step on this node.
    pub fn before(&self, address: &Address) -> impl Iterator<Item = &OpenCondition> {
        let module = self.modules.get(&address.module);
        self.nodes.get(address).into_iter().chain(module).flatten()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &OpenCondition> {
        self.modules.values().chain(self.nodes.values()).flatten().chain(&self.last)
    }
}

/// When a condition is judged at the latest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before<'a> {
    /// Before a node changes.
    Node(&'a Address),
    /// Before anything in a module changes.
    Module(&'a ModulePath),
    /// In the end.
    End,
}

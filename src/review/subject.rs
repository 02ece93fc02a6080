//! What is reviewed: a plan with what it was made from, indexed.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::order::Order;
use crate::addr::{Address, ModulePath};
use crate::config::Desired;
use crate::ledger::State;
use crate::ledger::event::Phase;
use crate::plan::change::MigrationDetail;
use crate::plan::{self, Action, Change, Detail, Plan, Step, Work};

/// A plan under review.
pub(super) struct Subject<'a> {
    /// The plan.
    pub(super) plan: &'a Plan,
    /// The configuration that it was made from.
    pub(super) desired: &'a Desired,
    /// What the ledger said.
    pub(super) recorded: &'a State,
    /// The order of its steps.
    pub(super) order: Order<'a>,
    /// Its changes by address.
    pub(super) changes: BTreeMap<&'a Address, &'a Change>,
    /// The steps of each node that do something, in their order.
    steps: BTreeMap<&'a Address, Vec<usize>>,
    needs: OnceCell<BTreeMap<String, Vec<String>>>,
}

/// The action of a provider's act.
pub(super) fn action(step: &Step) -> Option<Action> {
    if let Work::Act(act) = &step.work { Some(act.action) } else { None }
}

/// Whether a step does something, rather than hold others back.
pub(super) fn works(step: &Step) -> bool {
    !matches!(step.work, Work::Barrier | Work::Commit)
}

/// Whether a step takes away what cannot be had back.
pub(super) fn destroys(step: &Step) -> bool {
    matches!(step.work, Work::Revert { .. } | Work::Forget)
        || matches!(action(step), Some(Action::Delete | Action::Retire))
}

/// Whether a step belongs to how its node gets its new value: not what takes the old one away, proves, or only moves records.
pub(super) fn makes(step: &Step) -> bool {
    let aside = match &step.work {
        Work::Check(check) => check.phase == Phase::Prove,
        Work::Forget | Work::Record(_) | Work::Move { .. } | Work::Import(_) => true,
        _ => false,
    };
    works(step) && !destroys(step) && !aside
}

impl<'a> Subject<'a> {
    /// A plan and its indexes.
    pub(super) fn new(plan: &'a Plan, desired: &'a Desired, recorded: &'a State) -> Self {
        let mut steps: BTreeMap<&Address, Vec<usize>> = BTreeMap::new();
        for (n, step) in plan.steps.iter().enumerate().filter(|(_, s)| works(s)) {
            steps.entry(&step.address).or_default().push(n);
        }
        let changes = plan.changes.iter().map(|c| (&c.address, c)).collect();
        Self { plan, desired, recorded, order: Order::new(&plan.steps), changes, steps, needs: OnceCell::new() }
    }

    /// One step.
    pub(super) fn step(&self, at: usize) -> &'a Step {
        &self.plan.steps[at]
    }

    /// The steps of a node that do something, in their order.
    pub(super) fn steps_of(&self, node: &Address) -> &[usize] {
        self.steps.get(node).map_or(&[], Vec::as_slice)
    }

    /// The steps of a node with an action.
    pub(super) fn acting(&self, node: &Address, wanted: Action) -> impl Iterator<Item = usize> + '_ {
        self.steps_of(node).iter().copied().filter(move |n| action(self.step(*n)) == Some(wanted))
    }

    /// The first step that works towards a node's new value.
    pub(super) fn first(&self, node: &Address) -> Option<usize> {
        self.steps_of(node).iter().copied().find(|n| makes(self.step(*n)))
    }

    /// The step after which a node has its new value and, if it is a workload, its traffic.
    pub(super) fn done(&self, node: &Address) -> Option<usize> {
        self.steps_of(node).iter().copied().rev().find(|n| makes(self.step(*n)))
    }

    /// Whether the plan may be the way back inside a run: in such a one nothing is committed, for what it takes away was made
    /// by the same run. A plan for a run of its own is made when no other one is open.
    pub(super) fn may_be_inside_a_run(&self) -> bool {
        self.recorded.open.is_some()
    }

    /// Which block needs which, by configuration; empty where the configuration has none of this plan's nodes.
    pub(super) fn needs(&self) -> &BTreeMap<String, Vec<String>> {
        self.needs.get_or_init(|| plan::graph(self.desired).unwrap_or_default().into_iter().collect())
    }

    /// The nodes of each block that are in the plan, by the names that [`Subject::needs`] has.
    pub(super) fn nodes_of_blocks(&self) -> BTreeMap<String, Vec<&'a Address>> {
        let mut all: BTreeMap<String, Vec<&Address>> = BTreeMap::new();
        for change in &self.plan.changes {
            all.entry(block_name(&change.address)).or_default().push(&change.address);
        }
        all
    }

    /// The migrations of the plan, whether or not any is pending.
    pub(super) fn migrations(&self) -> impl Iterator<Item = (&'a Change, &'a MigrationDetail)> + '_ {
        self.plan.changes.iter().filter_map(|change| match &change.detail {
            Detail::Migration(detail) => Some((change, &**detail)),
            _ => None,
        })
    }
}

/// A node's block as `plan::graph` names it: without any keys.
pub(super) fn block_name(node: &Address) -> String {
    let mut name = String::new();
    for step in node.module.0.iter() {
        name.push_str(&format!("module.{}.", step.name));
    }
    let bare = Address { module: ModulePath::root(), ..node.block() };
    name.push_str(&bare.to_string());
    name
}

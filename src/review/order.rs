//! Which step comes before which.
//!
//! A closure of the whole graph would take memory in the square of its size, and nearly all questions are about direct edges.
//! So a question is first put to the edges of the step itself and of the barriers in front of it; only then is the graph
//! searched backwards, level by level and never below the level of what is looked for.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use crate::plan::Step;

/// The order of a plan's steps.
pub(super) struct Order<'a> {
    steps: &'a [Step],
    /// The longest way from a step that waits for nothing.
    level: Vec<usize>,
    /// Whether all edges are sorted, as a planner's are, so that one is found without looking at all.
    sorted: bool,
    /// In which search a step was last seen, and that search's number: no search clears what another left.
    seen: RefCell<(u32, Vec<u32>)>,
}

impl<'a> Order<'a> {
    /// The order of these steps. Edges that do not lead backwards are left out; the rule on them has its own eyes.
    pub(super) fn new(steps: &'a [Step]) -> Self {
        let mut level = Vec::with_capacity(steps.len());
        for (n, step) in steps.iter().enumerate() {
            let deepest = step.after.iter().filter(|b| **b < n).map(|b| level[*b] + 1).max();
            level.push(deepest.unwrap_or(0));
        }
        let sorted = steps.iter().all(|s| s.after.is_sorted());
        Self { steps, level, sorted, seen: RefCell::new((0, vec![0; steps.len()])) }
    }

    /// The steps directly before one.
    fn direct(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        self.steps[step].after.iter().copied().filter(move |b| *b < step)
    }

    fn is_direct(&self, first: usize, then: usize) -> bool {
        let after = &self.steps[then].after;
        if self.sorted { after.binary_search(&first).is_ok() } else { after.contains(&first) }
    }

    /// Whether `first` comes before `then`.
    pub(super) fn before(&self, first: usize, then: usize) -> bool {
        if self.is_direct(first, then) || self.direct(then).any(|b| self.is_direct(first, b)) {
            return true;
        }
        self.not_before(&BTreeSet::from([first]), then).is_empty()
    }

    /// Those of `all` that do not come before `then`.
    pub(super) fn not_before(&self, all: &BTreeSet<usize>, then: usize) -> BTreeSet<usize> {
        let mut open = all.clone();
        let Some(floor) = all.iter().map(|s| self.level[*s]).min() else { return open };
        let mut seen = self.seen.borrow_mut();
        seen.0 += 1;
        let search = seen.0;
        let mut queue = VecDeque::from([then]);
        while let Some(at) = queue.pop_front() {
            for before in self.direct(at) {
                if std::mem::replace(&mut seen.1[before], search) == search {
                    continue;
                }
                if open.remove(&before) && open.is_empty() {
                    return open;
                }
                if self.level[before] > floor {
                    queue.push_back(before);
                }
            }
        }
        open
    }

    /// For every step whether one of `targets` waits for it, directly or not; those themselves only if another one does.
    pub(super) fn awaited_by(&self, targets: impl Iterator<Item = usize>) -> Vec<bool> {
        let mut awaited = vec![false; self.steps.len()];
        let mut wanting = vec![false; self.steps.len()];
        targets.for_each(|t| wanting[t] = true);
        for at in (0..self.steps.len()).rev() {
            if wanting[at] || awaited[at] {
                self.direct(at).for_each(|b| awaited[b] = true);
            }
        }
        awaited
    }

    /// For every step whether it waits for `source`, directly or not.
    pub(super) fn waiting_for(&self, source: usize) -> Vec<bool> {
        let mut waiting = vec![false; self.steps.len()];
        for at in source + 1..self.steps.len() {
            waiting[at] = self.direct(at).any(|b| b == source || waiting[b]);
        }
        waiting
    }
}

//! How many calls a target gets at once.
//!
//! Additive increase, multiplicative decrease, as TCP does it (V. Jacobson, *Congestion Avoidance and Control*, 1988): a
//! target that throttles gets half as many calls at once; each limit's worth of calls that succeed allows one more.

use std::collections::BTreeMap;

use crate::plan::step::{Step, Work};

/// The lane of what asks no provider: migrations, checks, artifacts.
const OWN: &str = "";

struct Lane {
    limit: f64,
    running: usize,
}

/// One lane a target.
pub(crate) struct Lanes {
    names: BTreeMap<String, usize>,
    lanes: Vec<Lane>,
    parallelism: usize,
    first: usize,
}

impl Lanes {
    pub(crate) fn new(steps: &[Step], parallelism: usize) -> Self {
        let parallelism = parallelism.max(1);
        let mut lanes = Self { names: BTreeMap::new(), lanes: Vec::new(), parallelism, first: 0 };
        for step in steps {
            if let Some(name) = name_of(step)
                && !lanes.names.contains_key(name)
            {
                lanes.names.insert(name.to_owned(), lanes.lanes.len());
                // A person chose the bound; only the target's own answers lower it.
                #[expect(clippy::cast_precision_loss, reason = "numbers of calls at once are small")]
                lanes.lanes.push(Lane { limit: parallelism as f64, running: 0 });
            }
        }
        lanes
    }

    /// A step's lane; `None` if nothing bounds it.
    pub(crate) fn of(&self, step: &Step) -> Option<usize> {
        name_of(step).and_then(|name| self.names.get(name)).copied()
    }

    /// How many more calls may start in each lane that `waits`, all of them together within the parallelism.
    pub(crate) fn room(&mut self, waits: impl Fn(usize) -> usize) -> Vec<(usize, usize)> {
        let running: usize = self.lanes.iter().map(|l| l.running).sum();
        let mut left = self.parallelism.saturating_sub(running);
        let mut rooms = Vec::new();
        // Each time another lane is served first, so that none starves.
        for n in 0..self.lanes.len() {
            let lane = (self.first + n) % self.lanes.len();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "limits are from 1 to parallelism"
            )]
            let limit = self.lanes[lane].limit as usize;
            let room = limit.saturating_sub(self.lanes[lane].running).min(left).min(waits(lane));
            if room > 0 {
                left -= room;
                rooms.push((lane, room));
            }
        }
        self.first = (self.first + 1) % self.lanes.len().max(1);
        rooms
    }

    pub(crate) fn started(&mut self, lane: usize) {
        self.lanes[lane].running += 1;
    }

    pub(crate) fn ended(&mut self, lane: usize, well: bool) {
        let most = self.parallelism;
        let lane = &mut self.lanes[lane];
        lane.running -= 1;
        if well {
            #[expect(clippy::cast_precision_loss, reason = "numbers of calls at once are small")]
            let most = most as f64;
            lane.limit = (lane.limit + 1.0 / lane.limit).min(most);
        }
    }

    pub(crate) fn throttled(&mut self, lane: usize) {
        self.lanes[lane].limit = (self.lanes[lane].limit / 2.0).max(1.0);
    }
}

fn name_of(step: &Step) -> Option<&str> {
    match &step.work {
        // Waiting only watches, so it must not keep what changes from its turn.
        Work::Await { .. }
        | Work::Barrier
        | Work::Commit
        | Work::Forget
        | Work::Record(_)
        | Work::Move { .. }
        | Work::Import(_)
        | Work::Assert(_) => None,
        Work::Act(act) if act.in_process => None,
        Work::Act(act) => Some(&act.provider),
        Work::Read { provider, .. } => Some(provider),
        Work::Pin(_) | Work::Migrate { .. } | Work::Revert { .. } | Work::Check(_) => Some(OWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(limit: usize) -> Lanes {
        let lane = || Lane { limit: 8.0, running: 0 };
        Lanes { names: BTreeMap::new(), lanes: vec![lane(), lane()], parallelism: limit, first: 0 }
    }

    #[test]
    fn all_lanes_together_stay_within_the_parallelism_and_none_starves() {
        let mut lanes = lanes(8);
        assert_eq!(lanes.room(|_| 100), [(0, 8)]);
        assert_eq!(lanes.room(|_| 100), [(1, 8)]);
        assert_eq!(lanes.room(|lane| if lane == 0 { 3 } else { 100 }), [(0, 3), (1, 5)]);
    }

    #[test]
    fn throttling_halves_and_success_grows_back_to_the_bound() {
        let mut lanes = lanes(8);
        lanes.throttled(0);
        assert_eq!(lanes.room(|lane| if lane == 0 { 100 } else { 0 }), [(0, 4)]);
        for _ in 0..10 {
            lanes.throttled(0);
        }
        assert_eq!(lanes.room(|lane| if lane == 0 { 100 } else { 0 }), [(0, 1)], "one call is always allowed");
        for _ in 0..100 {
            lanes.started(0);
            lanes.ended(0, true);
        }
        assert_eq!(lanes.room(|lane| if lane == 0 { 100 } else { 0 }), [(0, 8)]);
    }
}

//! The run as a pure machine: what has happened goes in, what to do next comes out.
//!
//! It knows positions and what comes after what; no name, no clock, no I/O. Work is linear in steps and edges: every
//! step counts the predecessors that are missing and is looked at again only when one of them ends.
//!
//! ```text
//! Waiting ─all before it succeeded─► Ready ─there is room─► Intending ─intent durable─► Running ─► Succeeded
//!    │                                 │                        └──────────────────────────┴──────► Failed
//!    └──── the run stops, or one before it failed ──► Skipped ◄┘
//! ```
//! Barriers and the commit have no work of their own: they go from Waiting to Succeeded when their time comes.
//!
//! | before | event | after |
//! | --- | --- | --- |
//! | going | a step fails before the commit | stopping: nothing new starts |
//! | going | a step fails after the commit, or on a way back | going: what depends on it is skipped, the rest goes on |
//! | going, stopping | first interrupt | stopping |
//! | any | second interrupt | `Leave`, at once |
//! | stopping, the last running step ends | interrupted | `Hold` |
//! | | a failure, to be rolled back | `Unwind` |
//! | | a failure, to be held, or nobody can tell what happened | `Hold` |
//! | going, nothing is left | a failure | `Hold` |
//! | | no failure | `Finish` |

use std::collections::VecDeque;

/// What a step needs from whoever carries it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: it stands for what it comes after.
    Barrier,
    /// From here on the run only goes forward.
    Commit,
    /// It may start at any time.
    Free,
    /// It needs room in the lane with this number.
    Lane(usize),
}

/// A step as the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The positions of the steps that must have succeeded before it starts.
    pub after: Vec<usize>,
    /// What it needs.
    pub kind: Kind,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A step before it has not succeeded.
    Waiting,
    /// It could start, if there were room.
    Ready,
    /// It was told to start; its intent is not durable yet.
    Intending,
    /// It acts.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It will not start in this run.
    Skipped,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Before the commit: go back.
    Rollback,
    /// Stay where it is.
    Hold,
    /// Do all that does not depend on it: on a way back, where nearer to the base is better.
    GoOn,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The run begins, or goes on.
    Begin {
        /// Steps that had failed before it was left: which, why, and whether it is unclear what became of them.
        failed: Vec<(usize, String, bool)>,
    },
    /// So many more steps of a lane may start now.
    Room {
        /// The lane.
        lane: usize,
        /// How many.
        room: usize,
    },
    /// A step's intent is durable.
    Durable(usize),
    /// A step succeeded.
    Succeeded(usize),
    /// A step failed.
    Failed {
        /// Which.
        step: usize,
        /// Why.
        sentence: String,
        /// Whether nobody can tell what became of it, so that going back is not safe.
        unclear: bool,
    },
    /// A person asked to stop, for the first or second time.
    Interrupted(u8),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Intend and carry out a step.
    Start(usize),
    /// Record that the run only goes forward, then report success.
    Commit(usize),
    /// Go back, for this reason. Nothing runs any more.
    Unwind(String),
    /// End here, for this reason. Nothing runs any more.
    Hold(String),
    /// Everything succeeded.
    Finish,
    /// Go, without waiting for what runs.
    Leave,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Machine {
    kinds: Vec<Kind>,
    dependents: Vec<Vec<usize>>,
    missing: Vec<usize>,
    statuses: Vec<Status>,
    ready: Vec<VecDeque<usize>>,
    policy: Policy,
    committed: bool,
    stopping: bool,
    interrupted: bool,
    failure: Option<String>,
    unclear: bool,
    running: usize,
    open: usize,
    ended: bool,
}

impl Machine {
    /// A machine over steps of which each comes after those that it names. `done` says which have succeeded already.
    #[must_use]
    pub fn new(nodes: &[Node], done: &[bool], policy: Policy, committed: bool) -> Self {
        let mut dependents = vec![Vec::new(); nodes.len()];
        let mut missing = vec![0; nodes.len()];
        let mut lanes = 0;
        for (step, node) in nodes.iter().enumerate() {
            missing[step] = node.after.len();
            for before in &node.after {
                dependents[*before].push(step);
            }
            if let Kind::Lane(lane) = node.kind {
                lanes = lanes.max(lane + 1);
            }
        }
        let succeeded = |n: usize| done.get(n).copied().unwrap_or(false);
        let statuses =
            (0..nodes.len()).map(|n| if succeeded(n) { Status::Succeeded } else { Status::Waiting }).collect();
        Self {
            kinds: nodes.iter().map(|n| n.kind).collect(),
            dependents,
            missing,
            statuses,
            ready: vec![VecDeque::new(); lanes],
            policy,
            committed,
            stopping: false,
            interrupted: false,
            failure: None,
            unclear: false,
            running: 0,
            open: nodes.len(),
            ended: false,
        }
    }

    /// Takes an event in and says what to do, in this order.
    pub fn on(&mut self, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.ended {
            return commands;
        }
        match event {
            Event::Begin { failed } => self.begin(failed, &mut commands),
            Event::Room { lane, room } => self.room(lane, room, &mut commands),
            Event::Durable(step) => {
                if self.statuses[step] == Status::Intending {
                    self.statuses[step] = Status::Running;
                }
            }
            Event::Succeeded(step) => {
                if self.leave_running(step) {
                    self.succeed(step, &mut commands);
                }
            }
            Event::Failed { step, sentence, unclear } => {
                if self.leave_running(step) {
                    self.unclear |= unclear;
                    self.fail(step, sentence);
                }
            }
            Event::Interrupted(times) => {
                self.stopping |= times > 0;
                self.interrupted |= times > 0;
                if times > 1 {
                    self.ended = true;
                    commands.push(Command::Leave);
                }
            }
        }
        self.end(&mut commands);
        commands
    }

    /// How far a step is.
    #[must_use]
    pub fn status(&self, step: usize) -> Status {
        self.statuses[step]
    }

    /// Whether the run only goes forward.
    #[must_use]
    pub fn committed(&self) -> bool {
        self.committed
    }

    /// Whether a person asked to stop.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether nothing new may start, not even another attempt at what runs.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// How many steps wait for room in a lane.
    #[must_use]
    pub fn waiting(&self, lane: usize) -> usize {
        if self.stopping { 0 } else { self.ready.get(lane).map_or(0, VecDeque::len) }
    }

    fn begin(&mut self, failed: Vec<(usize, String, bool)>, commands: &mut Vec<Command>) {
        for step in 0..self.statuses.len() {
            if self.statuses[step] == Status::Succeeded {
                self.open -= 1;
                self.release(step);
            }
        }
        for (step, sentence, unclear) in failed {
            if self.statuses[step] == Status::Waiting {
                self.unclear |= unclear;
                self.fail(step, sentence);
            }
        }
        let unblocked: Vec<usize> = (0..self.statuses.len()).filter(|s| self.missing[*s] == 0).collect();
        self.unblock(unblocked, commands);
    }

    fn room(&mut self, lane: usize, room: usize, commands: &mut Vec<Command>) {
        if self.stopping {
            return;
        }
        let Some(queue) = self.ready.get_mut(lane) else { return };
        // What is ready stays so until it starts: all that it comes after has succeeded, so no failure can skip it.
        for step in queue.drain(..room.min(queue.len())) {
            self.statuses[step] = Status::Intending;
            self.running += 1;
            commands.push(Command::Start(step));
        }
    }

    /// Whether the step was under way; it is not any more.
    fn leave_running(&mut self, step: usize) -> bool {
        let under_way = matches!(self.statuses[step], Status::Intending | Status::Running);
        if under_way {
            self.running -= 1;
        }
        under_way
    }

    fn succeed(&mut self, step: usize, commands: &mut Vec<Command>) {
        self.statuses[step] = Status::Succeeded;
        self.open -= 1;
        if self.kinds[step] == Kind::Commit {
            self.committed = true;
        }
        let unblocked = self.release(step);
        self.unblock(unblocked, commands);
    }

    /// Those of a step's dependents that nothing keeps waiting now.
    fn release(&mut self, step: usize) -> Vec<usize> {
        let mut unblocked = Vec::new();
        for next in &self.dependents[step] {
            self.missing[*next] -= 1;
            if self.missing[*next] == 0 {
                unblocked.push(*next);
            }
        }
        unblocked
    }

    /// Steps whose time has come. Barriers pass it on at once, without recursion: a plan may be one long chain.
    fn unblock(&mut self, steps: Vec<usize>, commands: &mut Vec<Command>) {
        let mut open: VecDeque<usize> = steps.into();
        while let Some(step) = open.pop_front() {
            if self.statuses[step] != Status::Waiting {
                continue;
            }
            match self.kinds[step] {
                Kind::Barrier => {
                    self.statuses[step] = Status::Succeeded;
                    self.open -= 1;
                    open.extend(self.release(step));
                }
                _ if self.stopping => {}
                Kind::Lane(lane) => {
                    self.statuses[step] = Status::Ready;
                    self.ready[lane].push_back(step);
                }
                kind => {
                    self.statuses[step] = Status::Intending;
                    self.running += 1;
                    let commit = kind == Kind::Commit;
                    commands.push(if commit { Command::Commit(step) } else { Command::Start(step) });
                }
            }
        }
    }

    fn fail(&mut self, step: usize, sentence: String) {
        self.statuses[step] = Status::Failed;
        self.open -= 1;
        self.failure.get_or_insert(sentence);
        if self.committed || self.policy == Policy::GoOn {
            self.skip_after(step);
        } else {
            self.stopping = true;
        }
    }

    fn skip_after(&mut self, step: usize) {
        let mut open = self.dependents[step].clone();
        while let Some(next) = open.pop() {
            if matches!(self.statuses[next], Status::Waiting | Status::Ready) {
                self.statuses[next] = Status::Skipped;
                self.open -= 1;
                open.extend_from_slice(&self.dependents[next]);
            }
        }
    }

    /// Ends the run if nothing is left to wait for.
    fn end(&mut self, commands: &mut Vec<Command>) {
        if self.ended || self.running > 0 || !(self.stopping || self.open == 0) {
            return;
        }
        self.ended = true;
        if self.open > 0 {
            for status in self.statuses.iter_mut().filter(|s| matches!(s, Status::Waiting | Status::Ready)) {
                *status = Status::Skipped;
            }
        }
        commands.push(match self.failure.take() {
            Some(why) if self.interrupted || self.unclear || self.committed => Command::Hold(why),
            Some(why) if self.policy == Policy::Rollback => Command::Unwind(why),
            Some(why) => Command::Hold(why),
            None if self.open > 0 => Command::Hold("the run was interrupted".into()),
            None => Command::Finish,
        });
    }
}

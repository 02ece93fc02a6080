//! Replay: the entries of a ledger give the state of its environment.
//!
//! One total function takes an event to the next state; an event that is illegal where it stands is an error that names it,
//! never ignored. Nothing else in Gantry knows what is true of an environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::event::{
    AppliedMigration, CheckJudged, Collected, Event, Resealed, RunKind, RunOutcome, RunStarted, StepFailed,
    StepIntended, StepResult, StepSucceeded,
};
use super::format::Digest;
use super::record::{Approval, Collection, Gates, Generation, GivenApproval, Pin, Record};
use super::release::Quarantined;
use crate::addr::Address;
use crate::value::without_seals;

/// What stands around an event in its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The entry's number.
    pub seq: u64,
    /// When it was written, RFC 3339.
    pub time: String,
    /// The run that it belongs to.
    pub run: String,
    /// Who.
    pub actor: String,
}

/// How far a step of the open run is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepStatus {
    /// Its intent is recorded and no outcome is.
    Intended(StepIntended),
    /// It was looked for after a crash and had not been done: it may be intended again.
    NotDone,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed(StepFailed),
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    /// Its identity.
    pub run: String,
    /// How it began.
    pub started: RunStarted,
    /// When it began.
    pub time: String,
    /// Who began it.
    pub actor: String,
    /// Its steps' statuses.
    pub steps: BTreeMap<String, StepStatus>,
    /// The same for the steps of its unwinding.
    pub unwinding_steps: BTreeMap<String, StepStatus>,
    /// Whether it only goes forward.
    pub committed: bool,
    /// Set when it goes back, with the reason.
    pub unwinding: Option<String>,
    /// Migrations that it applied, by node, in their order: what an unwinding may take back.
    pub migrated: Vec<(Address, AppliedMigration)>,
    /// Results of steps that are no records: data that was read, by node, encoded.
    pub read: BTreeMap<Address, Json>,
    /// The nodes that it touched.
    pub touched: std::collections::BTreeSet<Address>,
    /// Whether traffic has moved to a new version of anything.
    pub switched: bool,
}

/// A version of a workload that stands without traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// What finds it.
    pub identity: Json,
    /// Its own attributes, encoded.
    pub attributes: Json,
}

/// A record that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The generation in which it did.
    pub generation: u64,
    /// The old address.
    pub from: Address,
    /// The new one.
    pub to: Address,
}

/// The state of an environment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// The number of the last entry; 0 for an empty ledger.
    pub seq: u64,
    /// The records, by address.
    pub records: BTreeMap<Address, Arc<Record>>,
    /// Versions without traffic beside them, by workload: staged, or left over from a switch.
    pub versions: BTreeMap<Address, Vec<Version>>,
    /// All moves, in their order: a way back to before one is a move back.
    pub moves: Vec<Move>,
    /// What artifacts are fixed to.
    pub pins: BTreeMap<Address, Pin>,
    /// Migrations that stand applied, by node, in their order.
    pub migrations: BTreeMap<Address, Vec<AppliedMigration>>,
    /// The last verdict of each check.
    pub checks: BTreeMap<Address, (CheckJudged, String)>,
    /// All generations.
    pub generations: Vec<Generation>,
    /// The outputs of the newest verified generation, encoded.
    pub outputs: BTreeMap<String, Json>,
    /// Releases that must not come here, by name.
    pub quarantine: BTreeMap<String, Quarantined>,
    /// Drift that is known, by object.
    pub acknowledged: BTreeMap<Address, super::acknowledged::OfObject>,
    /// Approvals that no run has spent.
    pub approvals: Vec<GivenApproval>,
    /// The run that has not ended, if there is one.
    pub open: Option<OpenRun>,
    /// Where the ledger was moved to.
    pub moved_away: Option<String>,
    /// The manifest of the newest checkpoint.
    pub checkpoint: Option<Digest>,
    /// How many entries came after it.
    pub since_checkpoint: u64,
}

/// An event that is illegal where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the ledger does not follow from the ones before it: {why}")]
pub struct IllegalEvent {
    /// The entry's number.
    pub seq: u64,
    /// What is wrong.
    pub why: String,
}

impl State {
    /// The highest number that a generation has.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generations.last().map_or(0, |g| g.number)
    }

    /// The newest generation that is what the environment is: the last that ended verified, unless one was held after it.
    #[must_use]
    pub fn current(&self) -> Option<&Generation> {
        self.generations.iter().rev().find(|g| g.outcome == Some(RunOutcome::Verified))
    }

    /// A generation by its number.
    #[must_use]
    pub fn find_generation(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|g| g.number == number)
    }

    /// The gates that the next run has to pass beside its own: those of the current generation, and of what was changed since and
    /// not taken back.
    #[must_use]
    pub fn gates(&self) -> Vec<&Gates> {
        let current = self.current().map_or(0, |g| g.number);
        let stands = |g: &&Generation| g.number >= current && g.outcome != Some(RunOutcome::RolledBack);
        let mut all: Vec<&Gates> = Vec::new();
        for gates in self.generations.iter().filter(stands).map(|g| &g.gates).filter(|gates| !gates.is_none()) {
            if !all.contains(&gates) {
                all.push(gates);
            }
        }
        all
    }

    /// The nonces of all approvals that runs have spent.
    #[must_use]
    pub fn spent(&self) -> std::collections::BTreeSet<String> {
        let all = self.generations.iter().filter_map(|g| g.consent.as_ref());
        all.flat_map(|consent| consent.approvals.iter().map(|a| a.nonce.clone())).collect()
    }

    /// Whether nothing is recorded: no object, no migration.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.records.is_empty() && self.migrations.values().all(Vec::is_empty)
    }

    /// Takes one more entry in.
    ///
    /// # Errors
    /// When the event cannot follow here.
    pub fn apply(&mut self, meta: &Meta, event: &Event) -> Result<(), IllegalEvent> {
        let illegal = |why: &str| IllegalEvent { seq: meta.seq, why: why.to_owned() };
        self.seq = meta.seq;
        self.since_checkpoint += 1;
        match event {
            Event::RunStarted(started) => return self.run_started(meta, started),
            Event::Unknown | Event::Unlocked { .. } => return Ok(()),
            Event::MovedAway { place } => {
                self.moved_away = Some(place.clone());
                return Ok(());
            }
            Event::Checkpoint { .. } if self.open.is_some() => return Err(illegal("a checkpoint in an open run")),
            Event::Checkpoint { manifest } => {
                (self.checkpoint, self.since_checkpoint) = (Some(*manifest), 0);
                return Ok(());
            }
            Event::Collected(_) if self.open.is_some() => return Err(illegal("a collection in an open run")),
            Event::Collected(collected) => {
                self.collected(meta, collected);
                return Ok(());
            }
            Event::ReleaseLifted { release, .. } => {
                let lifted = self.quarantine.remove(release);
                return lifted.map(drop).ok_or_else(|| illegal("a release is lifted that is not quarantined"));
            }
            Event::Moved { from, to, .. } => return self.moved(from, to).map_err(illegal),
            Event::Resealed(resealed) => return self.resealed(resealed).map_err(illegal),
            Event::DriftAcknowledged(event) => return self.acknowledge(meta, event).map_err(illegal),
            Event::AcknowledgementWithdrawn { address, path, .. } => {
                return self.withdraw(address, path.as_deref()).map_err(illegal);
            }
            Event::ApprovalGiven(approval) => return self.approval_given(meta, approval).map_err(illegal),
            Event::Removed { address, .. } => {
                self.versions.remove(address);
                self.acknowledged.remove(address);
                return self
                    .records
                    .remove(address)
                    .map(drop)
                    .ok_or_else(|| illegal("a record is dropped that is not there"));
            }
            _ => {}
        }
        let open = self.open.as_mut().ok_or_else(|| illegal("a run's event without a run"))?;
        if open.run != meta.run {
            return Err(illegal("an event of a run that is not the open one"));
        }
        self.of_run(meta, event).map_err(illegal)
    }

    fn collected(&mut self, meta: &Meta, collected: &Collected) {
        for generation in self.generations.iter_mut().filter(|g| collected.generations.contains(&g.number)) {
            generation.collected = Some(Collection { time: meta.time.clone(), actor: meta.actor.clone() });
        }
    }

    fn moved(&mut self, from: &Address, to: &Address) -> Result<(), &'static str> {
        if self.records.contains_key(to) {
            return Err("a record is moved to an address that has one");
        }
        let record = self.records.remove(from).ok_or("a record is moved that is not there")?;
        self.records.insert(to.clone(), record);
        for other in self.records.values_mut().filter(|r| r.dependencies.contains(from)) {
            let named = Arc::make_mut(other).dependencies.iter_mut().filter(|d| *d == from);
            named.for_each(|dependency| dependency.clone_from(to));
        }
        self.moves.push(Move { generation: self.generation(), from: from.clone(), to: to.clone() });
        if let Some(open) = &mut self.open {
            open.touched.extend([from.clone(), to.clone()]);
        }
        if let Some(versions) = self.versions.remove(from) {
            self.versions.insert(to.clone(), versions);
        }
        if let Some(known) = self.acknowledged.remove(from) {
            self.acknowledged.insert(to.clone(), known);
        }
        Ok(())
    }

    /// An event of the open run.
    fn of_run(&mut self, meta: &Meta, event: &Event) -> Result<(), &'static str> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        match event {
            Event::StepIntended(intent) => {
                let steps = if intent.unwinding { &mut open.unwinding_steps } else { &mut open.steps };
                if matches!(steps.get(&intent.step), Some(StepStatus::Succeeded)) {
                    return Err("a step that succeeded is intended again");
                }
                steps.insert(intent.step.clone(), StepStatus::Intended(intent.clone()));
                open.touched.insert(intent.address.clone());
            }
            Event::StepFailed(failed) => {
                let steps = if failed.unwinding { &mut open.unwinding_steps } else { &mut open.steps };
                steps.insert(failed.step.clone(), StepStatus::Failed(failed.clone()));
                let pair = (failed.step.clone(), failed.sentence.clone());
                self.generations.last_mut().map(|g| g.failures.push(pair)).unwrap_or_default();
            }
            Event::StepSucceeded(succeeded) => self.step_succeeded(succeeded),
            Event::CheckJudged(judged) => self.check_judged(meta, judged),
            Event::ArtifactPinned { step, address, pin } => {
                open.finish(step);
                self.pins.insert(address.clone(), pin.clone());
            }
            Event::MigrationApplied { step, address, migration } => {
                open.finish(step);
                open.migrated.push((address.clone(), migration.clone()));
                self.migrations.entry(address.clone()).or_default().push(migration.clone());
            }
            Event::MigrationReverted { step, address, version } => {
                open.finish(step);
                open.migrated.retain(|(a, m)| !(a == address && m.version == *version));
                if let Some(applied) = self.migrations.get_mut(address) {
                    applied.retain(|m| m.version != *version);
                }
            }
            Event::Committed => {
                if open.unwinding.is_some() {
                    return Err("a run commits that goes back");
                }
                open.committed = true;
            }
            Event::UnwindingStarted { sentence } => {
                if open.committed {
                    return Err("a run goes back that was committed");
                }
                open.unwinding = Some(sentence.clone());
            }
            Event::Reconciled { step, found, .. } if found == "not done" => open.set(step, StepStatus::NotDone),
            Event::Imported { step, address, record, .. } => return self.imported(step, address, record),
            Event::RunFinished { outcome, sentence, outputs } => self.run_finished(meta, *outcome, sentence, outputs),
            Event::Reconciled { .. }
            | Event::RunStarted(_)
            | Event::Moved { .. }
            | Event::Removed { .. }
            | Event::Resealed(_)
            | Event::DriftAcknowledged(_)
            | Event::AcknowledgementWithdrawn { .. }
            | Event::ApprovalGiven(_)
            | Event::Checkpoint { .. }
            | Event::MovedAway { .. }
            | Event::Collected(_)
            | Event::ReleaseLifted { .. }
            | Event::Unlocked { .. }
            | Event::Unknown => {}
        }
        Ok(())
    }

    fn imported(&mut self, step: &str, address: &Address, record: &Record) -> Result<(), &'static str> {
        if self.records.contains_key(address) {
            return Err("an object is imported to an address that has one");
        }
        if let Some(open) = &mut self.open {
            open.touched.insert(address.clone());
            open.finish(step);
        }
        self.records.insert(address.clone(), Arc::new(record.clone()));
        Ok(())
    }

    fn approval_given(&mut self, meta: &Meta, approval: &Approval) -> Result<(), &'static str> {
        if self.approvals.iter().any(|given| given.approval.nonce == approval.nonce) {
            return Err("an approval is given twice");
        }
        if self.spent().contains(&approval.nonce) {
            return Err("an approval is given that was spent");
        }
        let (approval, time, actor) = (approval.clone(), meta.time.clone(), meta.actor.clone());
        self.approvals.push(GivenApproval { approval, time, actor });
        Ok(())
    }

    /// An approval counts once: those of this run are gone, and with them those whose time is over.
    fn spend(&mut self, meta: &Meta, started: &RunStarted) -> Result<(), &'static str> {
        let spent = if started.consent.is_some() { self.spent() } else { std::collections::BTreeSet::default() };
        let mut now: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
        for approval in started.consent.iter().flat_map(|consent| &consent.approvals) {
            if spent.contains(&approval.nonce) || !now.insert(&approval.nonce) {
                return Err("an approval is spent twice");
            }
        }
        let time = meta.time.parse::<jiff::Timestamp>().ok();
        let over = |text: &Option<String>| {
            let expires = text.as_ref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            expires.zip(time).is_some_and(|(expires, time)| expires <= time)
        };
        self.approvals.retain(|g| !now.contains(&*g.approval.nonce) && !over(&g.approval.expires));
        Ok(())
    }

    /// The same secrets, sealed anew: whatever else it says is refused.
    fn resealed(&mut self, resealed: &Resealed) -> Result<(), &'static str> {
        let same = |before: &Json, now: &Json| without_seals(before) == without_seals(now);
        for (address, [inputs, attributes]) in &resealed.records {
            let record = self.records.get_mut(address).ok_or("a record is sealed anew that is not there")?;
            if !same(&record.inputs, inputs) || !same(&record.attributes, attributes) {
                return Err("sealing a record anew would change it");
            }
            let record = Arc::make_mut(record);
            record.inputs.clone_from(inputs);
            record.attributes.clone_from(attributes);
        }
        for (name, json) in &resealed.outputs {
            let output = self.outputs.get_mut(name).filter(|before| same(before, json));
            *output.ok_or("sealing an output anew would change it")? = json.clone();
        }
        for (number, blob) in &resealed.inputs {
            let found = self.generations.iter_mut().find(|g| g.number.to_string() == *number);
            found.ok_or("the inputs of a generation are sealed anew that is not there")?.inputs.clone_from(blob);
        }
        Ok(())
    }

    fn run_started(&mut self, meta: &Meta, started: &RunStarted) -> Result<(), IllegalEvent> {
        let illegal = |why: String| Err(IllegalEvent { seq: meta.seq, why });
        if let Some(open) = &self.open {
            return illegal(format!("run {} starts while run {} has not ended", meta.run, open.run));
        }
        self.spend(meta, started).map_err(|why| IllegalEvent { seq: meta.seq, why: why.to_owned() })?;
        if let Some(number) = started.generation {
            if number <= self.generation() {
                return illegal(format!("generation {number} was used before"));
            }
            self.generations.push(Generation {
                number,
                run: meta.run.clone(),
                kind: started.kind,
                base: started.base,
                outcome: None,
                sentence: String::new(),
                inputs: started.inputs.clone(),
                asked: started.asked.clone(),
                effect: started.effect.clone(),
                plan: started.plan.clone(),
                partial: started.partial,
                gates: started.gates.clone(),
                consent: started.consent.clone(),
                started: meta.time.clone(),
                finished: None,
                actor: meta.actor.clone(),
                pins: BTreeMap::new(),
                outputs: BTreeMap::new(),
                checks: Vec::new(),
                migrations: BTreeMap::new(),
                failures: Vec::new(),
                configuration: started.configuration.clone(),
                release: started.release.clone(),
                unproven: started.unproven,
                overrides: started.overrides.clone(),
                collected: None,
            });
        }
        self.open = Some(OpenRun {
            run: meta.run.clone(),
            started: started.clone(),
            time: meta.time.clone(),
            actor: meta.actor.clone(),
            steps: BTreeMap::new(),
            unwinding_steps: BTreeMap::new(),
            committed: false,
            unwinding: None,
            migrated: Vec::new(),
            read: BTreeMap::new(),
            touched: std::collections::BTreeSet::new(),
            switched: false,
        });
        Ok(())
    }

    fn step_succeeded(&mut self, succeeded: &StepSucceeded) {
        let Some(open) = self.open.as_mut() else { return };
        open.touched.insert(succeeded.address.clone());
        let steps = if succeeded.unwinding { &mut open.unwinding_steps } else { &mut open.steps };
        steps.insert(succeeded.step.clone(), StepStatus::Succeeded);
        let address = &succeeded.address;
        if matches!(succeeded.result, StepResult::Recorded { .. } | StepResult::Switched { .. } | StepResult::Removed) {
            // It was about a difference from the record of before.
            self.acknowledged.remove(address);
        }
        match &succeeded.result {
            StepResult::Recorded { record } => {
                self.records.insert(address.clone(), Arc::new((**record).clone()));
            }
            StepResult::Staged { identity, attributes } => {
                let versions = self.versions.entry(address.clone()).or_default();
                versions.retain(|v| v.identity != *identity);
                versions.push(Version { identity: identity.clone(), attributes: attributes.clone() });
            }
            StepResult::Switched { record, leftover } => {
                open.switched = true;
                let versions = self.versions.entry(address.clone()).or_default();
                versions.retain(|v| v.identity != record.identity);
                if let Some(identity) = leftover {
                    let attributes = self.records.get(address).map_or(Json::Null, |r| r.attributes.clone());
                    versions.push(Version { identity: identity.clone(), attributes });
                }
                self.records.insert(address.clone(), Arc::new((**record).clone()));
            }
            StepResult::Retired { identity } => {
                if let Some(versions) = self.versions.get_mut(address) {
                    versions.retain(|v| v.identity != *identity);
                    if versions.is_empty() {
                        self.versions.remove(address);
                    }
                }
            }
            StepResult::Removed => {
                self.records.remove(address);
                self.versions.remove(address);
            }
            StepResult::Read { attributes } => {
                open.read.insert(address.clone(), attributes.clone());
            }
            StepResult::Nothing => {}
        }
    }

    fn check_judged(&mut self, meta: &Meta, judged: &CheckJudged) {
        if let Some(open) = self.open.as_mut() {
            let steps = if judged.unwinding { &mut open.unwinding_steps } else { &mut open.steps };
            // A check may be judged again (after a crash, in an unwinding), so a bad verdict is no bar to a later good one.
            let status = if judged.passed { StepStatus::Succeeded } else { StepStatus::NotDone };
            steps.insert(judged.step.clone(), status);
            if open.started.generation.is_some()
                && let Some(generation) = self.generations.last_mut()
            {
                generation.checks.push(judged.clone());
            }
        }
        self.checks.insert(judged.address.clone(), (judged.clone(), meta.time.clone()));
    }

    /// A release that failed where it was promoted to, and one that was taken back, is not to come again by itself.
    fn quarantine_after(&mut self, meta: &Meta, open: &OpenRun, outcome: RunOutcome, sentence: &str) {
        let started = &open.started;
        // A run that a person held, or that was interrupted, says nothing about its release.
        let failed = || {
            let this = self.generations.last().filter(|g| Some(g.number) == started.generation);
            this.is_some_and(|g| !g.failures.is_empty() || g.checks.last().is_some_and(|judged| !judged.passed))
        };
        let bad = match outcome {
            RunOutcome::RolledBack | RunOutcome::Stuck => true,
            RunOutcome::Held => failed(),
            RunOutcome::Verified | RunOutcome::Unknown => false,
        };
        let (release, reason) = match (started.kind, outcome) {
            (RunKind::Promote, _) if bad => (started.release.as_ref().map(|release| release.id()), sentence.to_owned()),
            (RunKind::Rollback, RunOutcome::Verified) => {
                (started.takes_back.clone(), format!("{} took it back.", open.actor))
            }
            _ => return,
        };
        let Some(release) = release else { return };
        let generation = match started.kind {
            RunKind::Rollback => started.base.unwrap_or_default(),
            _ => started.generation.unwrap_or_default(),
        };
        let (run, time, actor) = (open.run.clone(), meta.time.clone(), open.actor.clone());
        self.quarantine.insert(release, Quarantined { generation, run, time, actor, reason });
    }

    fn run_finished(&mut self, meta: &Meta, outcome: RunOutcome, sentence: &str, outputs: &BTreeMap<String, Json>) {
        let Some(open) = self.open.take() else { return };
        self.quarantine_after(meta, &open, outcome, sentence);
        if outcome == RunOutcome::Verified && open.started.generation.is_some() {
            self.outputs.clone_from(outputs);
        }
        let (pins, migrations) = (self.pins.clone(), self.migrations.clone());
        if open.started.generation.is_some()
            && let Some(generation) = self.generations.last_mut()
        {
            generation.outcome = Some(outcome);
            sentence.clone_into(&mut generation.sentence);
            generation.finished = Some(meta.time.clone());
            generation.pins = pins;
            generation.migrations = migrations;
            generation.outputs.clone_from(outputs);
        }
    }
}

impl OpenRun {
    fn finish(&mut self, step: &str) {
        self.set(step, StepStatus::Succeeded);
    }

    fn set(&mut self, step: &str, status: StepStatus) {
        let steps = if self.unwinding.is_some() { &mut self.unwinding_steps } else { &mut self.steps };
        steps.insert(step.to_owned(), status);
    }
}

#[cfg(test)]
mod tests;

//! Random sequences of deploying, promoting, failing, going back, lifting and waiting, against a small model of what has to come out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::ledger::event::{CheckJudged, Event, Phase, RunKind, RunOutcome, RunStarted};
use crate::ledger::replay::Meta;

/// How many sequences are gone through.
const SEQUENCES: u64 = 100_000;

/// How many things happen in one.
const LENGTH: u64 = 9;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn often(&mut self) -> bool {
        self.below(4) > 0
    }
}

/// An environment: its ledger's state, and how many entries it has.
#[derive(Default)]
struct Environment {
    name: &'static str,
    state: State,
    seq: u64,
}

impl Environment {
    fn append(&mut self, run: &str, now: Timestamp, event: &Event) {
        self.seq += 1;
        let meta = Meta { seq: self.seq, time: now.to_string(), run: run.into(), actor: "ann".into() };
        self.state.apply(&meta, event).expect("it follows");
    }

    /// A run from its beginning to its end.
    fn run(&mut self, now: Timestamp, started: RunStarted, outcome: RunOutcome, checked: bool) {
        let run = format!("run-{}", self.seq);
        self.append(&run, now, &Event::RunStarted(Box::new(started)));
        if checked {
            let passed = outcome == RunOutcome::Verified;
            self.append(&run, now, &Event::CheckJudged(judged(passed)));
        }
        let finished = Event::RunFinished { outcome, sentence: "so it ended".into(), outputs: BTreeMap::new() };
        self.append(&run, now, &finished);
    }

    fn release(&self, number: u64) -> Option<Release> {
        Release::of(self.name, self.name, self.state.find_generation(number)?)
    }
}

fn check() -> Address {
    "smoke_test.there".parse().unwrap()
}

fn judged(passed: bool) -> CheckJudged {
    CheckJudged {
        step: "smoke_test.there verify".into(),
        address: check(),
        phase: Phase::Verify,
        workload: None,
        passed,
        sentence: "it answered".into(),
        evidence: Vec::new(),
        unwinding: false,
    }
}

fn started(kind: RunKind, state: &State) -> RunStarted {
    RunStarted {
        kind,
        generation: Some(state.generation() + 1),
        base: state.current().map(|g| g.number),
        effect: "effect".into(),
        plan: None,
        inputs: "inputs".into(),
        asked: format!("asked {}", state.generation()),
        on_failure: "rollback".into(),
        partial: false,
        engine: "test".into(),
        configuration: None,
        release: None,
        unproven: false,
        takes_back: None,
        overrides: BTreeMap::new(),
        gates: Default::default(),
        consent: None,
    }
}

/// What is known of a generation of the source without looking into a ledger.
#[derive(Clone)]
struct Proven {
    number: u64,
    id: String,
    since: Timestamp,
    /// When another one took its place.
    until: Option<Timestamp>,
    checked: bool,
}

/// The model: what was proven, and what is kept out.
#[derive(Default)]
struct Model {
    proven: Vec<Proven>,
    kept_out: BTreeSet<String>,
    had: BTreeSet<String>,
    /// What runs in the target, oldest first: the generation's number and its release.
    target: Vec<(u64, String)>,
}

impl Model {
    fn superseded(&mut self, now: Timestamp) {
        if let Some(last) = self.proven.last_mut() {
            last.until.get_or_insert(now);
        }
    }

    /// Whether a release may pass a gate.
    fn lets(&self, one: &Proven, gate: &PromotionGate, now: Timestamp) -> bool {
        let stood = one.until.unwrap_or(now).duration_since(one.since).as_secs();
        let asked = gate.require.is_empty() || one.checked;
        !self.kept_out.contains(&one.id) && stood >= i64::try_from(gate.soak).unwrap() && asked
    }
}

struct World {
    random: Random,
    now: Timestamp,
    source: Environment,
    target: Environment,
    gate: PromotionGate,
    model: Model,
    /// What was tried, how often by its outcome.
    seen: BTreeMap<&'static str, u64>,
}

impl World {
    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// The source is deployed to.
    fn deploy(&mut self) {
        let (ok, checked) = (self.random.often(), self.random.often());
        let started = started(RunKind::Apply, &self.source.state);
        let number = started.generation.unwrap();
        let outcome = if ok { RunOutcome::Verified } else { RunOutcome::RolledBack };
        self.source.run(self.now, started, outcome, checked);
        let release = self.source.release(number);
        assert_eq!(release.is_some(), ok, "only what ended verified is a release");
        if let Some(release) = release {
            self.model.superseded(self.now);
            let (id, since) = (release.id(), self.now);
            self.model.proven.push(Proven { number, id, since, until: None, checked });
        }
    }

    fn promote(&mut self) {
        let Some(count) = Some(self.model.proven.len() as u64).filter(|n| *n > 0) else { return };
        let pick = if self.random.often() { count - 1 } else { self.random.below(count) };
        let one = self.model.proven[usize::try_from(pick).unwrap()].clone();
        let release = self.source.release(one.number).expect("it is one");
        let generation = self.source.state.find_generation(one.number).expect("it is there");
        let offer = Offer { from: "staging", state: &self.source.state, generation, release: &release };
        let gates = [&self.gate];
        let refusals = refusals(&gates, &offer, ("production", &self.target.state), &Source::Sound, self.now);
        assert_eq!(refusals.is_empty(), self.model.lets(&one, &self.gate, self.now), "{refusals:?}");
        assert_eq!(had(&self.target.state, &one.id), self.model.had.contains(&one.id));
        if !refusals.is_empty() {
            return self.count("refused");
        }
        let outcome = match self.random.below(6) {
            0 => RunOutcome::RolledBack,
            1 => RunOutcome::Held,
            _ => RunOutcome::Verified,
        };
        let mut started = started(RunKind::Promote, &self.target.state);
        started.release = Some(Box::new(release));
        let number = started.generation.unwrap();
        self.target.run(self.now, started, outcome, true);
        if outcome == RunOutcome::Verified {
            self.model.had.insert(one.id.clone());
            self.model.target.push((number, one.id));
            self.count("promoted");
        } else {
            self.model.kept_out.insert(one.id);
            self.count("failed");
        }
    }

    fn go_back(&mut self) {
        let count = self.model.target.len();
        if count < 2 {
            return;
        }
        let (to, id) = self.model.target[count - 2].clone();
        let (_, from) = self.model.target[count - 1].clone();
        let mut started = started(RunKind::Rollback, &self.target.state);
        started.release = self.target.release(to).map(Box::new);
        started.takes_back = Some(from.clone()).filter(|from| *from != id);
        let number = started.generation.unwrap();
        self.target.run(self.now, started, RunOutcome::Verified, true);
        if from != id {
            self.model.kept_out.insert(from);
            self.count("taken back");
        }
        self.model.target.push((number, id));
    }

    fn lift(&mut self) {
        let Some(id) = self.model.kept_out.pop_first() else { return };
        let event = Event::ReleaseLifted { release: id, reason: "it was the network".into() };
        self.target.append("", self.now, &event);
        // Lifted again it is nothing that can follow.
        let again = self.target.state.clone().apply(
            &Meta { seq: self.target.seq + 1, time: self.now.to_string(), run: String::new(), actor: "ann".into() },
            &event,
        );
        assert!(again.is_err(), "what is not kept out cannot be lifted");
        self.count("lifted");
    }

    fn step(&mut self) {
        self.now += SignedDuration::from_secs(i64::try_from(self.random.below(40)).unwrap());
        match self.random.below(10) {
            0..=2 => self.deploy(),
            3..=6 => self.promote(),
            7 => self.go_back(),
            8 => self.lift(),
            _ => {
                self.gate.soak = self.random.below(3) * 30;
                self.gate.require = if self.random.often() { BTreeSet::new() } else { [check()].into() };
            }
        }
        let kept_out: BTreeSet<String> = self.target.state.quarantine.keys().cloned().collect();
        assert_eq!(kept_out, self.model.kept_out);
    }
}

#[test]
fn a_hundred_thousand_sequences_never_talk_a_gate_around() {
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=SEQUENCES {
        let gate = PromotionGate { from: "staging".into(), soak: 0, require: BTreeSet::new(), allow_unproven: false };
        let mut world = World {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            now: Timestamp::UNIX_EPOCH,
            source: Environment { name: "staging", ..Environment::default() },
            target: Environment { name: "production", ..Environment::default() },
            gate,
            model: Model::default(),
            seen: BTreeMap::new(),
        };
        world.deploy();
        for _ in 0..LENGTH {
            world.step();
        }
        for (what, count) in world.seen {
            *seen.entry(what).or_default() += count;
        }
    }
    for what in ["refused", "promoted", "failed", "taken back", "lifted"] {
        assert!(seen.get(what).is_some_and(|count| *count > 1000), "{what} came too seldom: {seen:?}");
    }
}

#[test]
fn a_clock_that_goes_wrong_opens_no_gate() {
    let mut source = Environment { name: "staging", ..Environment::default() };
    let then = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(10);
    let run = started(RunKind::Apply, &source.state);
    source.run(then, run, RunOutcome::Verified, true);
    let release = source.release(1).unwrap();
    let offer =
        Offer { from: "staging", state: &source.state, generation: &source.state.generations[0], release: &release };
    let gate = PromotionGate { from: "staging".into(), soak: 60, require: BTreeSet::new(), allow_unproven: false };
    let at = |now| refusals(&[&gate], &offer, ("production", &State::default()), &Source::Sound, now);
    assert_eq!(at(then + SignedDuration::from_secs(60)), []);
    for early in [then + SignedDuration::from_secs(59), then - SignedDuration::from_hours(1)] {
        assert!(matches!(at(early)[..], [Refusal::Soaking { left: Some(_), soak: 60 }]), "{early}");
    }
}

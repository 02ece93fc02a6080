//! Schedules: what happens to one process after the other; the oracle; and what was covered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::story::{Essence, Mode, Prepared, Told};
use super::target::Object;
use super::world::{Ended, Fault, Hit, Passed, Rest, Site, Struck, What};
use crate::exec::Ending;
use crate::ledger::State;
use crate::ledger::event::Event;
use crate::ports::clock::{Clock as _, SystemClock};

/// How many processes one schedule may take to come to its end. Every fault ends one at most.
const MOST_PROCESSES: usize = 12;

/// What happens to one process after the other; those after the last meet nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) processes: Vec<Vec<Hit>>,
    /// How long nobody is there before each process.
    pub(super) pauses: Vec<u64>,
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = |(n, hits): (usize, &Vec<Hit>)| {
            let pause = self.pauses.get(n).filter(|p| **p > 0).map(|p| format!("{p}s+")).unwrap_or_default();
            let hits: Vec<String> = hits
                .iter()
                .map(|hit| match hit.what {
                    What::Fault(fault) => format!("{}:{fault:?}", hit.at),
                    What::Any(n) => format!("{}:any{n}", hit.at),
                })
                .collect();
            format!("{pause}{}", hits.join(","))
        };
        let all: Vec<String> = self.processes.iter().enumerate().map(one).collect();
        write!(f, "{}", all.join("/"))
    }
}

impl Schedule {
    /// Back from its text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut schedule = Self::default();
        for process in text.split('/') {
            let (pause, hits) = match process.split_once("s+") {
                Some((pause, hits)) => (pause.parse().ok()?, hits),
                None => (0, process),
            };
            let hit = |text: &str| {
                let (at, what) = text.split_once(':')?;
                let what = match what.strip_prefix("any") {
                    Some(n) => What::Any(n.parse().ok()?),
                    None => What::Fault(*ALL.iter().find(|f| format!("{f:?}") == what)?),
                };
                Some(Hit { at: at.parse().ok()?, what })
            };
            let hits: Option<Vec<Hit>> = hits.split(',').filter(|h| !h.is_empty()).map(hit).collect();
            schedule.processes.push(hits?);
            schedule.pauses.push(pause);
        }
        Some(schedule)
    }
}

const ALL: [Fault; 21] = [
    Fault::Denied,
    Fault::Malformed,
    Fault::CannotTell,
    Fault::Die,
    Fault::DieAfter,
    Fault::Torn,
    Fault::DieLate,
    Fault::Lost,
    Fault::LostRequest,
    Fault::Late,
    Fault::Hang,
    Fault::HangBefore,
    Fault::NotSent,
    Fault::Throttled,
    Fault::Passing,
    Fault::Stale,
    Fault::Fail,
    Fault::FailTorn,
    Fault::Fenced,
    Fault::Interrupt,
    Fault::InterruptTwice,
];

/// What was covered: place and fault, and how often what followed.
#[derive(Default)]
pub(super) struct Coverage(pub(super) BTreeMap<(String, Fault), BTreeMap<String, u64>>);

impl Coverage {
    pub(super) fn add(&mut self, struck: &Struck, followed: String) {
        let key = (struck.site.name(), struck.fault);
        *self.0.entry(key).or_default().entry(followed).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (key, all) in other.0 {
            let mine = self.0.entry(key).or_default();
            for (followed, count) in all {
                *mine.entry(followed).or_default() += count;
            }
        }
    }

    /// The crash points of the source at which a process died.
    pub(super) fn points(&self) -> BTreeSet<String> {
        let died = |((site, fault), _): (&(String, Fault), _)| {
            (*fault == Fault::Die).then(|| site.strip_prefix("point ").map(str::to_owned)).flatten()
        };
        self.0.iter().filter_map(died).collect()
    }

    /// As a table.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for ((site, fault), all) in &self.0 {
            let followed: Vec<String> = all.iter().map(|(what, count)| format!("{what} ({count})")).collect();
            text.push_str(&format!("{site:<28} {:<14} {}\n", format!("{fault:?}"), followed.join("; ")));
        }
        text
    }
}

/// One schedule that came to another end than it has to.
pub(super) struct Failure {
    pub(super) command: String,
    pub(super) why: String,
}

/// Worlds from which everything that can follow was tried, with how many schedules that were: by the world, the number of the
/// next process, and how many faults may still come. Two worlds that are the same go on in the same way, so that one is enough.
pub(super) type Tried = Mutex<BTreeMap<(u64, usize, usize), u64>>;

/// How many schedules there are to be, counted together by all who go through some.
pub(super) struct Quota {
    pub(super) enough: u64,
    /// When it is over in any case.
    pub(super) until: Option<Duration>,
    pub(super) count: AtomicU64,
}

impl Quota {
    pub(super) fn is_reached(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.enough || self.is_late()
    }

    pub(super) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| SystemClock.elapsed() > until)
    }
}

/// Goes through schedules of one story.
pub(super) struct Explorer<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) mode: Mode,
    pub(super) seed: u64,
    pub(super) coverage: Coverage,
    pub(super) schedules: u64,
    /// Those among them whose end is that of another one, because they led to the very same world.
    pub(super) same: u64,
    tried: &'a Tried,
    pub(super) processes: u64,
    /// How many processes were not run because what they leave behind when they die was seen in passing: the world at that place in the
    /// process that they are the same as up to there.
    pub(super) seen: u64,
    pub(super) failures: Vec<Failure>,
    /// How many schedules are enough; nothing if there are to be all.
    pub(super) quota: Option<&'a Quota>,
    /// Whether such processes are run nevertheless, and have to leave behind the same.
    pub(super) compare: bool,
    /// Every so-many-th schedule is planned again at its end, and its whole chain verified.
    pub(super) thorough: u64,
    /// Whether every process is told of.
    pub(super) aloud: bool,
    /// The newest entry of the last schedule, to compare two of them.
    pub(super) last: Option<crate::ledger::Digest>,
}

impl<'a> Explorer<'a> {
    pub(super) fn new(prepared: &'a Prepared, mode: Mode, seed: u64, tried: &'a Tried) -> Self {
        Self {
            prepared,
            mode,
            seed,
            coverage: Coverage::default(),
            schedules: 0,
            same: 0,
            tried,
            processes: 0,
            seen: 0,
            failures: Vec::new(),
            quota: None,
            compare: false,
            thorough: 64,
            aloud: false,
            last: None,
        }
    }

    fn run(&mut self, rest: &Rest, number: usize, hits: &[Hit], traced: bool) -> (Ended<Told>, Passed) {
        self.processes += 1;
        let seed = self.seed.wrapping_mul(1000).wrapping_add(number as u64);
        let (ended, passed) = self.prepared.process(rest, seed, hits, traced || self.aloud, self.mode);
        if self.aloud {
            aloud(rest, number, &ended, &passed);
        }
        for (n, struck) in passed.struck.iter().enumerate() {
            // Of two faults in one process only the last one's end is its own.
            if n + 1 == passed.struck.len() {
                self.coverage.add(struck, followed(struck, &ended, &passed.rest));
            }
        }
        (ended, passed)
    }

    /// Where what follows is as the command leaves it: the places that the command passes when nothing happens.
    pub(super) fn places(&mut self) -> Vec<Site> {
        let rest = self.prepared.rest.clone();
        self.run(&rest, 0, &[], true).1.trace
    }

    /// All schedules that begin with these hits on the first process, with at most so many more.
    pub(super) fn from(&mut self, hits: &[Hit], depth: usize) {
        let rest = self.prepared.rest.clone();
        self.explore(&rest, &mut vec![hits.to_vec()], depth);
    }

    fn explore(&mut self, rest: &Rest, processes: &mut Vec<Vec<Hit>>, depth: usize) {
        if self.quota.is_some_and(Quota::is_reached) || self.failures.len() > 20 {
            return;
        }
        let number = processes.len();
        let hits = processes.last().cloned().unwrap_or_default();
        let key = (rest.fingerprint(), number, depth);
        if hits.is_empty()
            && let Some(count) = self.tried.lock().unwrap().get(&key).copied()
        {
            self.count(count);
            self.same += count;
            return;
        }
        let (schedules, failures) = (self.schedules, self.failures.len());
        self.explore_here(rest, processes, depth, &hits);
        if hits.is_empty() && failures == self.failures.len() && !self.quota.is_some_and(Quota::is_reached) {
            self.tried.lock().unwrap().insert(key, self.schedules - schedules);
        }
    }

    fn explore_here(&mut self, rest: &Rest, processes: &mut Vec<Vec<Hit>>, depth: usize, hits: &[Hit]) {
        let number = processes.len();
        let (ended, passed) = self.run(rest, number, hits, depth > 0);
        self.go_on(&ended, &passed, processes, depth);
        if depth == 0 {
            return;
        }
        let after = hits.last().map_or(0, |hit| hit.at);
        for (n, (site, shot)) in passed.trace.iter().zip(&passed.shots).enumerate().skip(after) {
            for fault in site.faults() {
                let mut more = hits.to_vec();
                more.push(Hit { at: n + 1, what: What::Fault(*fault) });
                *processes.last_mut().unwrap() = more;
                match shot.dead(n + 1, *site, *fault) {
                    Some(dead) => self.died(rest, &dead, processes, depth - 1),
                    None => self.explore(rest, processes, depth - 1),
                }
            }
        }
        *processes.last_mut().unwrap() = hits.to_vec();
    }

    /// What follows a process.
    fn go_on(&mut self, ended: &Ended<Told>, passed: &Passed, processes: &mut Vec<Vec<Hit>>, depth: usize) {
        match self.verdict(ended, passed, processes.len()) {
            Ok(true) => {
                self.count(1);
                if let Err(why) = self.end(&passed.rest) {
                    self.fail(processes, why);
                }
            }
            Ok(false) => {
                processes.push(Vec::new());
                self.explore(&passed.rest, processes, depth);
                processes.pop();
            }
            Err(why) => self.fail(processes, why),
        }
    }

    /// What follows a process that died where another one, the same up to there, was seen to pass.
    fn died(&mut self, before: &Rest, dead: &Passed, processes: &mut Vec<Vec<Hit>>, depth: usize) {
        if self.quota.is_some_and(Quota::is_reached) || self.failures.len() > 20 {
            return;
        }
        if self.compare {
            let (number, hits) = (processes.len(), processes.last().cloned().unwrap_or_default());
            let (ended, passed) = self.run(before, number, &hits, false);
            let same = matches!(ended, Ended::Died)
                && passed.rest.fingerprint() == dead.rest.fingerprint()
                && passed.rest.target().listed() == dead.rest.target().listed()
                && passed.struck.last() == dead.struck.last();
            if !same {
                self.fail(
                    processes,
                    format!("it leaves another world than was seen there, or did not die: {:?}", passed.struck),
                );
                return;
            }
        } else {
            self.seen += 1;
            dead.struck.iter().for_each(|s| self.coverage.add(s, followed(s, &Ended::Died, &dead.rest)));
        }
        self.go_on(&Ended::Died, dead, processes, depth);
    }

    fn count(&mut self, schedules: u64) {
        self.schedules += schedules;
        if let Some(quota) = self.quota {
            quota.count.fetch_add(schedules, Ordering::Relaxed);
        }
    }

    /// One schedule.
    pub(super) fn follow(&mut self, schedule: &Schedule) {
        let mut rest = self.prepared.rest.clone();
        let mut processes: Vec<Vec<Hit>> = Vec::new();
        for number in 0..MOST_PROCESSES {
            let hits = schedule.processes.get(number).cloned().unwrap_or_default();
            let pause = schedule.pauses.get(number).copied().unwrap_or(0);
            let (ended, passed) = self.run(&rest.later(Duration::from_secs(pause)), number + 1, &hits, false);
            let struck = passed.struck.iter().map(|s| Hit { at: s.at, what: What::Fault(s.fault) }).collect();
            processes.push(struck);
            let more = number + 1 < schedule.processes.len();
            match self.verdict(&ended, &passed, processes.len()) {
                Ok(true) if !more || matches!(ended, Ended::Done(Told::Nothing)) => {
                    self.count(1);
                    if let Err(why) = self.end(&passed.rest) {
                        self.fail_as(schedule, why);
                    }
                    return;
                }
                Ok(_) => rest = passed.rest,
                Err(why) => return self.fail_as(schedule, why),
            }
            let key = (rest.fingerprint(), number + 2, 0);
            if !more && let Some(count) = self.tried.lock().unwrap().get(&key).copied() {
                self.count(count);
                self.same += count;
                return;
            }
        }
        self.fail_as(schedule, "it never comes to an end".into());
    }

    /// Whether a process came to the command's end; what is wrong with how it ended.
    fn verdict(&self, ended: &Ended<Told>, passed: &Passed, processes: usize) -> Result<bool, String> {
        if !passed.violations.is_empty() {
            return Err(passed.violations.join("; "));
        }
        if passed.rest.target().pending() == 0 && passed.rest.target().most_sent() > 40 {
            return Err("an act was sent more than forty times".into());
        }
        let told = match ended {
            Ended::Hung => return Err("the process waits for what never comes".into()),
            Ended::Died => None,
            Ended::Done(told) => Some(told),
        };
        if processes >= MOST_PROCESSES {
            return Err(format!("{processes} processes did not bring it to an end; the last: {told:?}"));
        }
        let Some(told) = told else { return Ok(false) };
        match told {
            Told::Nothing => Ok(true),
            Told::Ran(Ending::Ended(outcome), sentence) => {
                let last = passed.rest.disk().entries.last().map(|e| &e.event);
                if !matches!(last, Some(Event::RunFinished { outcome: o, .. }) if o == outcome) {
                    return Err(format!("it said \"{outcome:?}\", and that is not durable"));
                }
                if *outcome == self.prepared.story.ends {
                    return Ok(true);
                }
                let asked = passed.struck.iter().any(|s| matches!(s.fault, Fault::Interrupt | Fault::InterruptTwice));
                if asked || self.mode == Mode::Full {
                    Ok(false)
                } else {
                    Err(format!("it ended {outcome:?}: {sentence}"))
                }
            }
            Told::Ran(..) | Told::Failed(_) => Ok(false),
        }
    }

    /// What must hold at the end of every schedule.
    fn end(&mut self, rest: &Rest) -> Result<(), String> {
        let state = rest.state();
        rest.disk().nothing_lost()?;
        self.last = rest.disk().entries.last().map(|e| e.digest);
        if state.open.is_some() {
            return Err("a run is left open".into());
        }
        let essence = Essence::of(rest, &state);
        if essence != self.prepared.wanted {
            return Err(format!("it came to\n  {essence:?}\ninstead of\n  {:?}", self.prepared.wanted));
        }
        everything_is_recorded(rest, &state)?;
        if rest.target().pending() > 0 {
            return Err("an effect comes after the end".into());
        }
        if self.schedules % self.thorough == 1 {
            rest.disk().verify()?;
            if self.prepared.story.ends == crate::ledger::event::RunOutcome::Verified {
                self.processes += 1;
                let (ended, passed) = self.prepared.process(rest, self.seed, &[], false, Mode::Full);
                match ended {
                    Ended::Done(Told::Nothing) if passed.rest.disk().entries.len() == rest.disk().entries.len() => {}
                    Ended::Done(told) => return Err(format!("the next plan is not empty: {told:?}")),
                    _ => return Err("the next plan does not end".into()),
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, processes: &[Vec<Hit>], why: String) {
        let schedule = Schedule { processes: processes.to_vec(), pauses: Vec::new() };
        self.fail_as(&schedule, why);
    }

    fn fail_as(&mut self, schedule: &Schedule, why: String) {
        let (story, mode, seed) = (self.prepared.story.name, self.mode, self.seed);
        let command = format!(
            "GANTRY_WORLD='{story} {mode:?} {seed} {schedule}' cargo test --lib sim::campaign::one_schedule -- --nocapture"
        );
        eprintln!("another end: {why}\n  reproduce: {command}");
        self.failures.push(Failure { command, why });
    }
}

/// Tells what a process did.
fn aloud(before: &Rest, number: usize, ended: &Ended<Told>, passed: &Passed) {
    let told = match ended {
        Ended::Died => "died".to_owned(),
        Ended::Hung => "hung".to_owned(),
        Ended::Done(told) => format!("{told:?}"),
    };
    eprintln!("-- process {number}: {told}");
    for (n, site) in passed.trace.iter().enumerate() {
        let struck = passed.struck.iter().find(|s| s.at == n + 1).map(|s| format!("  <== {:?}", s.fault));
        eprintln!("   {:>3} {site:?}{}", n + 1, struck.unwrap_or_default());
    }
    for entry in passed.rest.disk().entries.iter().skip(before.disk().entries.len()) {
        eprintln!("   entry {} {}", entry.raw.seq, entry.raw.event);
    }
    eprintln!("   exists: {:?}", passed.rest.target().listed());
    eprintln!("   wrong: {:?}", passed.violations);
}

/// What there is and what is recorded are the same.
pub(super) fn everything_is_recorded(rest: &Rest, state: &State) -> Result<(), String> {
    let mut recorded = BTreeMap::new();
    for (address, record) in &state.records {
        let id = record.identity["id"].as_str().unwrap_or_default().to_owned();
        let idle: BTreeSet<String> =
            state.versions.get(address).into_iter().flatten().map(|v| version(&v.identity)).collect();
        recorded.insert(id, (record.identity["made"].clone(), version(&record.identity), idle));
    }
    // What a replacement left over is an object of its own.
    for left in state.versions.values().flatten().filter(|v| v.identity["version"].is_null()) {
        let id = left.identity["id"].as_str().unwrap_or_default().to_owned();
        recorded.insert(id, (left.identity["made"].clone(), String::new(), BTreeSet::new()));
    }
    let forgotten = |object: &Object| {
        object.line_name() == "two" && state.moves.iter().any(|m| m.to.to_string() == "sim_loose.uno")
    };
    for (id, object) in &rest.target().objects {
        let Some((made, serving, idle)) = recorded.remove(id) else {
            if forgotten(object) {
                continue;
            }
            return Err(format!("an orphan: {id} exists and is not recorded"));
        };
        if made != object.made() {
            return Err(format!("{id} is recorded as another object"));
        }
        let stand: BTreeSet<String> =
            object.versions.keys().filter(|v| object.is_service() && **v != object.serving).cloned().collect();
        if object.is_service() && (serving != object.serving || stand != idle) {
            return Err(format!(
                "{id}: {serving} is recorded as serving and {idle:?} beside; {} serves and {stand:?} stand beside",
                object.serving
            ));
        }
    }
    match recorded.first_key_value() {
        Some((id, _)) => Err(format!("{id} is recorded and does not exist")),
        None => Ok(()),
    }
}

fn version(identity: &serde_json::Value) -> String {
    identity["version"].as_str().unwrap_or_default().to_owned()
}

/// What followed a fault, as far as it proves that this fault happened: measured, not taken from who injected it.
fn followed(struck: &Struck, ended: &Ended<Told>, rest: &Rest) -> String {
    let word = match ended {
        Ended::Died => "died",
        Ended::Hung => "hung",
        Ended::Done(Told::Nothing) => "nothing to do",
        Ended::Done(Told::Failed(_)) => "refused",
        Ended::Done(Told::Ran(Ending::Ended(_), _)) => "went on",
        Ended::Done(Told::Ran(Ending::Broken(_), _)) => "stopped",
        Ended::Done(Told::Ran(Ending::Left, _)) => "left",
    };
    let effect = match struck.site {
        Site::Act(_) => struck.op.as_ref().map(|op| rest.target().effect(op)),
        Site::Append(count) if word != "went on" => {
            let written = rest.disk().entries.len() - struck.entries;
            Some(match written {
                0 => "nothing is there".into(),
                n if n < count => "half is there".into(),
                n if n == count => "all is there".into(),
                _ => "more is there".into(),
            })
        }
        _ => None,
    };
    effect.map_or_else(|| word.to_owned(), |effect| format!("{word}, {effect}"))
}

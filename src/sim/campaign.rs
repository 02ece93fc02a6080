//! The campaigns: every story with one fault anywhere, small ones with two and three, and random schedules.
//!
//! `make crash SCHEDULES=… SEED=…` runs a long one and prints its figures; the test suite runs a bounded one. A schedule that
//! comes to another end than it must prints the command that reproduces it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::explore::{Coverage, Explorer, Failure, Quota, Schedule, Tried};
use super::points::{Killer, POINTS};
use super::story::{Mode, Prepared, STORIES, Story};
use super::world::{Fault, Hit, Site, What};
use crate::ports::clock::{Clock as _, SystemClock, processors};

/// How many failures are shown.
const SHOWN: usize = 10;

fn story(name: &str) -> Option<&'static Story> {
    STORIES.iter().find(|s| s.name == name)
}

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the campaign says so")]
fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// What a campaign came to.
#[derive(Default)]
struct Report {
    schedules: u64,
    same: u64,
    processes: u64,
    seen: u64,
    coverage: Coverage,
    failures: Vec<Failure>,
}

impl Report {
    fn take(&mut self, explorer: Explorer<'_>) {
        let Explorer { schedules, same, processes, seen, coverage, failures, .. } = explorer;
        self.add(Self { schedules, same, processes, seen, coverage, failures });
    }

    fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.same += other.same;
        self.processes += other.processes;
        self.seen += other.seen;
        self.coverage.merge(other.coverage);
        self.failures.extend(other.failures);
    }

    /// Its figures: every schedule is counted once, where it came to its end or where the rest of it was known.
    fn figures(&self, since: (Duration, Duration)) -> String {
        let (took, worked) = (SystemClock.elapsed() - since.0, processors() - since.1);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let per = |time: Duration| self.schedules as f64 / time.as_secs_f64();
        format!(
            "{:>9} schedules: {:>9} gone through to their end, {:>9} that led to a world from which all was tried; {:>9} \
             processes run, {:>9} that died where another was seen to pass; {:.1} s ({:.0} schedules/s), of the processors \
             {:.1} s ({:.0}/s), {} failures",
            self.schedules,
            self.schedules - self.same,
            self.same,
            self.processes,
            self.seen,
            took.as_secs_f64(),
            per(took),
            worked.as_secs_f64(),
            per(worked),
            self.failures.len()
        )
    }
}

/// Some work of a campaign.
#[derive(Clone, Copy)]
enum Job {
    /// All schedules of a story that begin with this, and have so many faults.
    All { story: usize, mode: Mode, first: Option<Hit>, depth: usize },
    /// Random ones, from this seed on.
    Random { seed: u64, count: u64 },
}

/// How many random schedules are one job.
const RANDOM_JOB: u64 = 50;

/// Every schedule of a story with at most `depth` faults, as jobs.
fn every(prepared: &[Prepared], names: &[&str], mode: Mode, depth: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    let tried = Tried::default();
    for (story, one) in prepared.iter().enumerate().filter(|(_, p)| names.contains(&p.story.name)) {
        let mut explorer = Explorer::new(one, mode, 1, &tried);
        jobs.push(Job::All { story, mode, first: None, depth: 0 });
        for (n, site) in explorer.places().iter().enumerate() {
            for fault in site.faults() {
                let first = Some(Hit { at: n + 1, what: What::Fault(*fault) });
                jobs.push(Job::All { story, mode, first, depth: depth - 1 });
            }
        }
    }
    jobs
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }
}

/// A schedule of a seed: up to five processes with up to two faults each, anywhere, and pauses between them.
fn random_schedule(random: &mut Random, places: usize) -> Schedule {
    let mut schedule = Schedule::default();
    for _ in 0..=random.below(5) {
        let mut hits: Vec<Hit> = (0..=random.below(2))
            .map(|_| Hit { at: 1 + random.index(places + 8), what: What::Any(random.index(1000)) })
            .collect();
        hits.sort_unstable();
        schedule.processes.push(hits);
        schedule.pauses.push(random.below(12));
    }
    schedule
}

fn work<'p>(
    prepared: &'p [Prepared],
    places: &[usize],
    tried: &'p [[Tried; 2]],
    quota: &'p Quota,
    job: Job,
) -> Vec<Explorer<'p>> {
    static NONE: Tried = Tried::new(std::collections::BTreeMap::new());
    let none: &'static Tried = &NONE;
    match job {
        Job::All { story, mode, first, depth } => {
            let mut explorer = Explorer::new(&prepared[story], mode, 1, &tried[story][usize::from(mode == Mode::Full)]);
            explorer.quota = Some(quota);
            explorer.from(&first.into_iter().collect::<Vec<_>>(), depth);
            vec![explorer]
        }
        Job::Random { seed, count } => {
            let one = |seed: u64| {
                let mut random = Random(seed);
                let story = random.index(prepared.len());
                let mode = if random.below(32) == 0 { Mode::Full } else { Mode::Fast };
                let mut explorer = Explorer::new(&prepared[story], mode, seed, none);
                explorer.quota = Some(quota);
                explorer.follow(&random_schedule(&mut random, places[story]));
                explorer
            };
            (seed..seed + count).map(one).collect()
        }
    }
}

/// Does jobs on all cores until enough schedules were tried, or it is too late.
fn carry_out(prepared: &[Prepared], jobs: &[Job], enough: u64, until: Option<Duration>) -> Report {
    let places: Vec<usize> = {
        let tried = Tried::default();
        prepared.iter().map(|p| Explorer::new(p, Mode::Fast, 1, &tried).places().len()).collect()
    };
    let tried: Vec<[Tried; 2]> = prepared.iter().map(|_| Default::default()).collect();
    let quota = Quota { enough, until, count: AtomicU64::new(0) };
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !quota.is_reached()
                    && let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    for explorer in work(prepared, &places, &tried, &quota, *job) {
                        report.lock().unwrap().take(explorer);
                    }
                }
            });
        }
    });
    report.into_inner().unwrap()
}

fn prepare() -> Vec<Prepared> {
    STORIES.iter().map(|story| Prepared::new(story, 1)).collect()
}

/// How many schedules every test run carries out.
const BOUNDED: u64 = 100_000;

/// From how many on a campaign takes the large stories for what is many: planned by the command, and with two faults.
const LARGE: u64 = 1_000_000;

const SMALL: [&str; 4] = ["tiny", "moved", "small", "small-unwind"];

/// Jobs in any order that is the same every time, so that a campaign that is over before all were done has done some of each.
fn shuffled(mut jobs: Vec<Job>, seed: u64) -> Vec<Job> {
    let mut random = Random(seed);
    for n in (1..jobs.len()).rev() {
        jobs.swap(n, random.index(n + 1));
    }
    jobs
}

/// A campaign of so many schedules: first every one with one fault, by both modes; then those with two; then random ones; and with
/// three faults, of the small stories first, until there are enough.
fn campaign(schedules: u64, seed: u64, until: Option<Duration>) -> Report {
    let now = || (SystemClock.elapsed(), processors());
    let started = now();
    let prepared = prepare();
    let names: Vec<&str> = STORIES.iter().map(|s| s.name).collect();
    let large = schedules >= LARGE;
    let mut report = Report::default();
    let phase = |report: &mut Report, what: &str, jobs: &[Job], enough: u64| {
        let began = now();
        let done = carry_out(&prepared, jobs, enough, until);
        let late = until.is_some_and(|until| SystemClock.elapsed() > until);
        let all = if done.schedules < enough && !late { ", all" } else { "" };
        eprintln!("{:<40}{}", format!("{what}{all}"), done.figures(began));
        report.add(done);
    };
    phase(&mut report, "one fault, every story", &every(&prepared, &names, Mode::Fast, 1), u64::MAX);
    let full: &[&str] = if large { &names } else { &["create", "unwind-first", "moved", "small", "small-unwind"] };
    phase(&mut report, "one fault, as the command plans", &every(&prepared, full, Mode::Full, 1), u64::MAX);
    let twice: &[&str] = if large { &names } else { &SMALL };
    let twice = shuffled(every(&prepared, twice, Mode::Fast, 2), seed);
    phase(&mut report, "two faults", &twice, schedules / 2);
    let count = if large { schedules / 50 } else { 500 } / RANDOM_JOB + 1;
    let random: Vec<Job> = (0..count).map(|n| Job::Random { seed: seed + n * RANDOM_JOB, count: RANDOM_JOB }).collect();
    phase(&mut report, &format!("random, from seed {seed}"), &random, u64::MAX);
    let thrice = shuffled(every(&prepared, &SMALL, Mode::Fast, 3), seed);
    let missing = schedules.saturating_sub(report.schedules);
    phase(&mut report, "three faults, small stories", &thrice, missing);
    let missing = schedules.saturating_sub(report.schedules);
    if missing > 0 {
        let others: Vec<&str> = names.iter().copied().filter(|name| !SMALL.contains(name)).collect();
        let thrice = shuffled(every(&prepared, &others, Mode::Fast, 3), seed);
        phase(&mut report, "three faults, the other stories", &thrice, missing);
    }
    eprintln!("{:<40}{}", "in all", report.figures(started));
    report
}

/// Requires that nothing came to another end, and that everything was really tried.
fn judge(report: &Report) {
    let shown: Vec<String> =
        report.failures.iter().take(SHOWN).map(|f| format!("{}\n  reproduce: {}", f.why, f.command)).collect();
    let count = report.failures.len();
    assert!(report.failures.is_empty(), "{count} schedules came to another end:\n{}", shown.join("\n"));
    let listed: BTreeSet<String> =
        POINTS.iter().filter(|(_, killer)| *killer == Killer::World).map(|(name, _)| (*name).to_owned()).collect();
    let died = report.coverage.points();
    let never: Vec<&String> = listed.difference(&died).collect();
    assert!(never.is_empty(), "no process died at these listed points: {never:?}");
    let unlisted: Vec<&String> = died.difference(&listed).collect();
    assert!(unlisted.is_empty(), "processes died at points that no list has: {unlisted:?}");
    proven(&report.coverage);
}

/// What has to have followed, and what must never, where a fault was the one that was meant.
fn proof(site: Site, fault: Fault) -> (&'static str, &'static str) {
    match (site, fault) {
        (Site::Act(_), Fault::Die) => ("died, never sent, not done", "went on"),
        (Site::Act(_), Fault::DieAfter) => ("died, sent once, done", "not done"),
        (Site::Act(_), Fault::DieLate) => ("died, sent once, to come", "not done"),
        (Site::Act(_), Fault::Lost | Fault::Late | Fault::Hang) => ("went on, sent once, done", "died"),
        (Site::Act(_), _) => ("went on, sent twice, done", "died"),
        (Site::Append(_), Fault::Die) => ("died, nothing is there", "is there: all"),
        (Site::Append(_), Fault::DieAfter) => ("died, all is there", "nothing"),
        (Site::Append(_), Fault::Torn) => ("died, half is there", "all"),
        (Site::Append(_), Fault::Lost) => ("stopped, all is there", "went on"),
        (Site::Append(_), Fault::FailTorn) => ("stopped, half is there", "went on"),
        (Site::Append(_), _) => ("stopped, nothing is there", "went on"),
        (Site::Read, Fault::Fail) => ("refused", "went on"),
        (Site::TakeOver | Site::Blob, Fault::Fail) => ("stopped", "went on"),
        (_, Fault::Die | Fault::DieAfter) => ("died", "went on"),
        _ => ("went on", "died"),
    }
}

/// Every fault happened at every kind of place, and was the one that was meant.
fn proven(coverage: &Coverage) {
    use crate::provider::Action::{Create, Delete, Retire, Stage, Switch, Update};
    let actions = [Create, Update, Delete, Stage, Switch, Retire];
    let mut sites: Vec<Site> = actions.into_iter().flat_map(|a| [Site::Act(a), Site::Find(a)]).collect();
    sites.extend([
        Site::Append(1),
        Site::Append(2),
        Site::TakeOver,
        Site::Read,
        Site::Blob,
        Site::Data,
        Site::Evidence,
    ]);
    sites.extend([Site::Probe, Site::Migrate, Site::Revert, Site::FindMigration, Site::Observe, Site::Journal]);
    for site in sites {
        for fault in site.faults() {
            let (must, never) = proof(site, *fault);
            let followed = coverage.0.get(&(site.name(), *fault)).cloned().unwrap_or_default();
            let seen = followed.keys().any(|f| f == must);
            assert!(seen, "{fault:?} at {}: \"{must}\" never followed: {followed:?}", site.name());
            let wrong = followed.keys().find(|f| f.contains(never));
            assert_eq!(wrong, None, "{fault:?} at {}: {followed:?}", site.name());
        }
    }
}

/// In every test run as many schedules as an unoptimised build carries out in a few minutes; `make crash` asks for more of an
/// optimised one. With `MINUTES` it ends then at the latest, with as many as were carried out.
#[test]
fn a_bounded_campaign() {
    let number = |name: &str, otherwise: u64| asked(name).map_or(otherwise, |v| v.parse().expect("a number"));
    let schedules = number("SCHEDULES", BOUNDED);
    let minutes = asked("MINUTES").map(|_| Duration::from_secs(60 * number("MINUTES", 0)));
    let report = campaign(schedules, number("SEED", 1), minutes.map(|minutes| SystemClock.elapsed() + minutes));
    eprintln!("{}", report.coverage.table());
    judge(&report);
    assert!(report.schedules >= schedules || minutes.is_some(), "only {} schedules", report.schedules);
}

/// What a process leaves behind that dies where another was seen to pass is what one leaves that really runs until there and dies.
#[test]
fn what_was_seen_in_passing_is_what_a_death_leaves() {
    for name in ["update", "unwind-late", "rollback", "moved", "small-unwind"] {
        let prepared = Prepared::new(story(name).unwrap(), 1);
        let tried = Tried::default();
        let mut explorer = Explorer::new(&prepared, Mode::Fast, 1, &tried);
        explorer.compare = true;
        explorer.from(&[], 1);
        let wrong: Vec<&String> = explorer.failures.iter().map(|f| &f.why).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        assert!(explorer.schedules > 30, "{name}: {}", explorer.schedules);
    }
}

/// One schedule as a campaign printed it, place by place.
#[test]
fn one_schedule() {
    let Some(text) = asked("GANTRY_WORLD") else { return };
    let mut words = text.splitn(4, ' ');
    let mut word = || words.next().expect("STORY MODE SEED SCHEDULE");
    let (name, mode, seed) = (word(), word(), word());
    let schedule = Schedule::parse(words.next().unwrap_or_default()).expect("a schedule");
    let prepared = Prepared::new(story(name).expect("a story"), 1);
    let mode = if mode == "Full" { Mode::Full } else { Mode::Fast };
    let tried = Tried::default();
    let mut explorer = Explorer::new(&prepared, mode, seed.parse().expect("a seed"), &tried);
    explorer.aloud = true;
    explorer.follow(&schedule);
    let all: Vec<&str> = explorer.failures.iter().map(|f| f.why.as_str()).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_schedule_is_the_same_every_time() {
    let prepared = Prepared::new(story("small").unwrap(), 1);
    let tried = Tried::default();
    let mut places = Explorer::new(&prepared, Mode::Fast, 1, &tried);
    let count = places.places().len();
    for seed in 0..20 {
        let ends: Vec<_> = (0..2)
            .map(|_| {
                let mut explorer = Explorer::new(&prepared, Mode::Fast, seed, &tried);
                explorer.follow(&random_schedule(&mut Random(seed), count));
                (explorer.processes, explorer.coverage.table(), explorer.last)
            })
            .collect();
        assert_eq!(ends[0], ends[1], "seed {seed}");
    }
}

/// What holds secrets is recorded as a digest of them, so a process that goes on with a run asks a data source again. Random schedules
/// found that a source which did not answer just then cost the run, which went back.
#[test]
fn a_source_that_is_silent_when_a_run_is_gone_on_with_is_asked_again() {
    let prepared = Prepared::new(story("update").unwrap(), 1);
    let tried = Tried::default();
    let mut explorer = Explorer::new(&prepared, Mode::Fast, 1, &tried);
    let places = explorer.places();
    let read = places.iter().position(|site| *site == Site::Data).unwrap();
    let mut asked_again = 0;
    for at in (read + 1..places.len()).take(20) {
        let dies = Hit { at, what: What::Fault(Fault::Die) };
        let (_, dead) = prepared.process(&prepared.rest, 1001, &[dies], false, Mode::Fast);
        let (_, next) = prepared.process(&dead.rest, 1002, &[], true, Mode::Fast);
        let again = next.trace.iter().position(|site| *site == Site::Data);
        for fault in again.iter().flat_map(|_| [Fault::HangBefore, Fault::Passing]) {
            let silent = Hit { at: again.unwrap() + 1, what: What::Fault(fault) };
            explorer.follow(&Schedule { processes: vec![vec![dies], vec![silent]], pauses: Vec::new() });
            asked_again += 1;
        }
    }
    let wrong: Vec<&String> = explorer.failures.iter().map(|f| &f.why).collect();
    assert!(wrong.is_empty() && asked_again > 10, "{asked_again}: {wrong:?}");
}

#[test]
fn a_schedule_reads_back_from_its_text() {
    let text = "3:DieLate,9:Torn/7s+/4:any17";
    assert_eq!(Schedule::parse(text).unwrap().to_string(), text);
}

#[test]
fn the_list_of_crash_points_is_that_of_the_source() {
    let mut found = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let direct = regex::Regex::new(r#"crash::point\(\s*"([^"]+)""#).unwrap();
    let named = regex::Regex::new(r#"\.end\(done, "([^"]+)", "([^"]+)"\)"#).unwrap();
    let around = regex::Regex::new(r#"points!\("([^"]+)"\)"#).unwrap();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("sim/campaign.rs") {
                let text = std::fs::read_to_string(path).unwrap();
                found.extend(direct.captures_iter(&text).map(|c| c[1].to_owned()));
                let both = |name: &str| ["before", "after"].map(|when| format!("ledger.s3.{name}.{when}"));
                found.extend(around.captures_iter(&text).flat_map(|c| both(&c[1])));
                found.extend(named.captures_iter(&text).flat_map(|c| [c[1].to_owned(), c[2].to_owned()]));
            }
        }
    }
    let listed: BTreeSet<String> = POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), POINTS.len(), "a point is listed twice");
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "src/sim/points.rs does not list {missing:?}: say who lets a process die there");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "src/sim/points.rs lists what the source does not have: {gone:?}");
}

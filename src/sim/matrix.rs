//! The fault matrix: everything that a target can answer wrongly, at every call of a run, one at a time.
//!
//! Whatever it is, the run ends, the target's caller keeps to the protocol, everything that exists is recorded, and the same
//! command, given again when the fault is over, comes to the end that it must come to. What the campaign's faults do is proven
//! there; here are those after which a run may end otherwise: refused for good, nonsense, nobody can tell.

use std::collections::BTreeMap;

use super::explore::{Explorer, Tried, everything_is_recorded};
use super::story::{Mode, Prepared, STORIES, Told};
use super::world::{Ended, Fault, Hit, Site, What};
use crate::exec::Ending;
use crate::ledger::event::RunOutcome;

/// How often the command may have to be given again.
const AGAIN: u64 = 6;

/// What is tried: the same faults in a run that goes forward, one that goes back, and in what recovers either.
fn every_fault(name: &str, before: &[Hit]) -> BTreeMap<(String, Fault), BTreeMap<String, u64>> {
    let story = STORIES.iter().find(|s| s.name == name).unwrap();
    let prepared = Prepared::new(story, 1);
    let mut seen: BTreeMap<(String, Fault), BTreeMap<String, u64>> = BTreeMap::new();
    let start = if before.is_empty() {
        prepared.rest.clone()
    } else {
        let (ended, passed) = prepared.process(&prepared.rest, 1, before, false, Mode::Full);
        assert!(matches!(ended, Ended::Died), "it dies first");
        passed.rest
    };
    let (_, undisturbed) = prepared.process(&start, 2, &[], true, Mode::Full);
    for (n, site) in undisturbed.trace.iter().enumerate() {
        for fault in site.hard_faults() {
            let what = format!("{name} after {before:?}: {fault:?} at {} ({})", n + 1, site.name());
            let hit = Hit { at: n + 1, what: What::Fault(*fault) };
            let (ended, passed) = prepared.process(&start, 2, &[hit], false, Mode::Full);
            assert_eq!(passed.struck.len(), 1, "{what}: it happened");
            let Ended::Done(told) = ended else { panic!("{what}: the run does not end") };
            assert_eq!(passed.violations, [""; 0], "{what}: {told:?}");
            let mut rest = passed.rest;
            let word = word(&told);
            let state = rest.state();
            if state.open.is_none() && !(*fault == Fault::CannotTell && matches!(site, Site::Find(_))) {
                everything_is_recorded(&rest, &state).unwrap_or_else(|why| panic!("{what}: {told:?}: {why}"));
            }
            if *fault == Fault::CannotTell && matches!(site, Site::Find(_)) {
                let names = matches!(&told, Told::Ran(_, sentence) if sentence.contains("in the target's console"));
                assert!(names, "{what}: it does not say what to look at: {told:?}");
            }
            *seen.entry((site.name(), *fault)).or_default().entry(word).or_default() += 1;
            // Where nobody can tell, a person has to look: that is all that Gantry can do.
            let doubtful = *fault == Fault::CannotTell && matches!(site, Site::Find(_));
            for again in 0..if doubtful { 0 } else { AGAIN + 1 } {
                let (ended, passed) = prepared.process(&rest, 10 + again, &[], false, Mode::Full);
                let Ended::Done(told) = ended else { panic!("{what}: the next does not end") };
                assert_eq!(passed.violations, [""; 0], "{what}: {told:?}");
                rest = passed.rest;
                if told.outcome() == Some(story.ends) || told == Told::Nothing {
                    break;
                }
                assert!(again < AGAIN, "{what}: given again and again, it ends {told:?}");
            }
            let state = rest.state();
            if !doubtful {
                everything_is_recorded(&rest, &state).unwrap_or_else(|why| panic!("{what}, given again: {why}"));
            }
            rest.disk().verify().unwrap();
        }
    }
    seen
}

fn word(told: &Told) -> String {
    match told {
        Told::Ran(Ending::Ended(outcome), _) => format!("{outcome:?}"),
        Told::Ran(Ending::Left, _) => "left".into(),
        Told::Ran(Ending::Broken(_), _) => "stopped".into(),
        Told::Nothing => "nothing to do".into(),
        Told::Failed(_) => "refused".into(),
    }
}

#[test]
fn whatever_a_target_answers_the_next_command_comes_to_the_end() {
    let mut all: BTreeMap<(String, Fault), BTreeMap<String, u64>> = BTreeMap::new();
    let mut take = |seen: BTreeMap<(String, Fault), BTreeMap<String, u64>>| {
        for (key, words) in seen {
            for (word, count) in words {
                *all.entry(key.clone()).or_default().entry(word).or_default() += count;
            }
        }
    };
    for name in ["create", "update", "destroy", "rollback"] {
        take(every_fault(name, &[]));
    }
    // In recovery: the process before died at an act whose effect is there, and at one whose effect is not.
    for name in ["update", "small"] {
        let prepared = Prepared::new(STORIES.iter().find(|s| s.name == name).unwrap(), 1);
        let tried = Tried::default();
        let trace = Explorer::new(&prepared, Mode::Full, 1, &tried).places();
        let acts = trace.iter().enumerate().filter(|(_, site)| matches!(site, Site::Act(_)));
        for (n, _) in acts {
            for fault in [Fault::Die, Fault::DieAfter] {
                take(every_fault(name, &[Hit { at: n + 1, what: What::Fault(fault) }]));
            }
        }
    }
    let mut table = String::new();
    for ((site, fault), words) in &all {
        table.push_str(&format!("{site:<16} {:<12} {words:?}\n", format!("{fault:?}")));
    }
    eprintln!("{table}");
    for action in ["create", "update", "delete", "stage", "switch", "retire"] {
        for (call, fault) in [("act", Fault::Denied), ("act", Fault::Malformed), ("find", Fault::CannotTell)] {
            let seen = all.get(&(format!("{call}: {action}"), fault)).cloned().unwrap_or_default();
            let otherwise = seen.keys().any(|w| w != &format!("{:?}", RunOutcome::Verified));
            // What goes answers nothing that could be nonsense.
            let harmless = fault == Fault::Malformed && matches!(action, "delete" | "retire");
            assert!(!seen.is_empty() && (otherwise || harmless), "{fault:?} at {call}: {action} did nothing:\n{table}");
        }
    }
    assert!(all.contains_key(&("observe".to_owned(), Fault::CannotTell)), "{table}");
}

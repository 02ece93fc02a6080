//! Approvals in the ledger: given once, spent once, gone when their time is over; and the gates that the next run passes.

use std::collections::BTreeMap;

use super::*;
use crate::ledger::event::RunKind;
use crate::ledger::record::{ApprovalGate, Consent};

fn approval(nonce: &str, expires: Option<&str>) -> Approval {
    Approval {
        principal: "bob".into(),
        effect: "e".into(),
        nonce: nonce.into(),
        expires: expires.map(str::to_owned),
        line: "{}".into(),
        signature: "-----".into(),
        steps: Some("5".repeat(64)),
    }
}

fn gates(required: u32) -> Gates {
    let signers = "alice ssh-ed25519 AAAA".to_owned();
    let approval = Some(ApprovalGate { required, signers, revoked: None, expires: 60 });
    Gates { approval, ..Gates::default() }
}

fn started(generation: u64, required: u32, spent: &[&str]) -> Event {
    let approvals = spent.iter().map(|nonce| approval(nonce, None)).collect();
    Event::RunStarted(Box::new(RunStarted {
        kind: RunKind::Apply,
        generation: Some(generation),
        base: None,
        effect: "e".into(),
        plan: None,
        inputs: "0".repeat(64),
        asked: String::new(),
        on_failure: "hold".into(),
        partial: false,
        gates: gates(required),
        consent: Some(Consent { approvals, author: Some(approval("author", None)), starter: approval("start", None) }),
        engine: "0".into(),
        configuration: None,
        release: None,
        unproven: false,
        takes_back: None,
        overrides: Default::default(),
    }))
}

fn finished(outcome: RunOutcome) -> Event {
    Event::RunFinished { outcome, sentence: String::new(), outputs: BTreeMap::new() }
}

/// The state after these events, an hour apart, or why one cannot follow.
fn after(events: &[Event]) -> Result<State, IllegalEvent> {
    let mut state = State::default();
    for (at, event) in events.iter().enumerate() {
        let time = format!("2026-11-21T{at:02}:00:00Z");
        let meta = Meta { seq: at as u64 + 1, time, run: "run".into(), actor: "me".into() };
        state.apply(&meta, event)?;
    }
    Ok(state)
}

fn given(nonce: &str) -> Event {
    Event::ApprovalGiven(Box::new(approval(nonce, Some("2026-11-21T03:30:00Z"))))
}

#[test]
fn an_approval_is_spent_once_and_never_given_again() {
    let waiting = |state: &State| state.approvals.iter().map(|g| g.approval.nonce.clone()).collect::<Vec<_>>();
    let state = after(&[given("a"), given("b"), started(1, 1, &["a"])]).unwrap();
    assert_eq!((waiting(&state), state.spent()), (vec!["b".to_owned()], ["a".to_owned()].into()));
    let why = |events: &[Event]| after(events).unwrap_err().why;
    assert_eq!(why(&[given("a"), given("a")]), "an approval is given twice");
    assert_eq!(why(&[given("a"), started(1, 1, &["a"]), given("a")]), "an approval is given that was spent");
    let again = [started(1, 1, &["a"]), finished(RunOutcome::Held), started(2, 1, &["a"])];
    assert_eq!(why(&again), "an approval is spent twice");
    assert_eq!(why(&[started(1, 1, &["a", "a"])]), "an approval is spent twice");
    // A run that comes after its time takes it away.
    let late = [given("a"), started(1, 1, &[]), finished(RunOutcome::Verified), given("b"), started(2, 1, &[])];
    assert_eq!(waiting(&after(&late).unwrap()), Vec::<String>::new());
}

#[test]
fn the_gates_are_those_that_stand() {
    let required = |events: &[Event]| -> Vec<u32> {
        let state = after(events).unwrap();
        state.gates().iter().filter_map(|g| g.approval.as_ref()).map(|g| g.required).collect()
    };
    assert_eq!(required(&[]), Vec::<u32>::new());
    let run = |generation, gate, outcome| [started(generation, gate, &[]), finished(outcome)];
    let events = |runs: &[[Event; 2]]| runs.concat();
    let verified = RunOutcome::Verified;
    assert_eq!(required(&events(&[run(1, 2, verified), run(2, 1, verified)])), [1]);
    // What was taken back leaves nothing; what was held has neither got rid of the old gate nor of its own.
    assert_eq!(required(&events(&[run(1, 2, verified), run(2, 1, RunOutcome::RolledBack)])), [2]);
    assert_eq!(required(&events(&[run(1, 2, verified), run(2, 1, RunOutcome::Held)])), [2, 1]);
    assert_eq!(required(&events(&[run(1, 2, verified), run(2, 2, RunOutcome::Stuck)])), [2]);
    assert_eq!(required(&[started(1, 2, &[])]), [2]);
}

#[test]
fn what_is_recorded_comes_back() {
    for event in [given("a"), started(1, 2, &["a", "b"])] {
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
    // A run of before there were gates.
    let mut json = serde_json::to_value(started(1, 1, &[])).unwrap();
    let object = json.as_object_mut().unwrap();
    object.remove("gates");
    object.remove("consent");
    let Event::RunStarted(read) = serde_json::from_value(json).unwrap() else { panic!("another event") };
    assert!(read.gates.is_none() && read.consent.is_none());
}

//! Every fault of a provider at every kind of act.

use super::*;
use crate::provider::fake::Fault;

async fn serving() -> Case {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    for (address, name) in [("fake_service.web", "web"), ("fake_thing.kept", "kept"), ("fake_thing.old", "old")] {
        build.act(address, Action::Create, &thing(name, "1"), &[]);
    }
    assert_eq!(outcome(&case.run(&build.plan).await), RunOutcome::Verified);
    let base = [("fake_service.web", "web"), ("fake_thing.kept", "kept"), ("fake_thing.old", "old")];
    case.set_base(&base.map(|(address, name)| (address, thing(name, "1"))));
    case
}

fn plan(state: &State) -> Plan {
    let mut build = Build::new(state);
    let new = build.act("fake_thing.new", Action::Create, &thing("new", "1"), &[]);
    let inner = build.act("fake_inner.of", Action::Create, &thing("of", "1"), &[new]);
    let kept = build.act("fake_thing.kept", Action::Update, &thing("kept", "2"), &[inner]);
    let web = thing("web", "2");
    let stage = build.act("fake_service.web", Action::Stage, &web, &[kept]);
    let switch = build.follow("fake_service.web", Action::Switch, &web, stage, &[stage]);
    let commit = build.commit(&[switch]);
    build.follow("fake_service.web", Action::Retire, &web, switch, &[commit]);
    build.act("fake_thing.old", Action::Delete, &Value::null(Type::Any), &[commit]);
    build.plan
}

const BEFORE: [&str; 5] = [
    "create fake_thing.new",
    "create fake_inner.of",
    "update fake_thing.kept",
    "stage fake_service.web",
    "switch fake_service.web",
];
const AFTER: [&str; 2] = ["retire fake_service.web", "delete fake_thing.old"];

#[tokio::test]
async fn what_passes_or_can_be_found_out_does_no_harm_at_any_act() {
    let faults = [
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Late,
        Fault::Hangs,
        Fault::Passing,
        Fault::Throttled,
        Fault::NotSent,
    ];
    for call in BEFORE.iter().chain(&AFTER) {
        for fault in faults {
            let mut case = serving().await;
            case.fake.inject(call, fault);
            let plan = plan(&case.state());
            let finished = case.run(&plan).await;
            let what = format!("{fault:?} at {call}: {}", finished.sentence);
            assert_eq!(finished.ending, Ending::Ended(RunOutcome::Verified), "{what}");
            assert_eq!(case.fake.objects(), ["kept=2", "new=1", "of=1", "web=2"], "{what}");
            case.check(&what);
            let again = matches!(fault, Fault::LostRequest | Fault::Passing | Fault::Throttled | Fault::NotSent);
            let disk = case.disk.lock().unwrap();
            let second = |e: &Event| matches!(e, Event::StepIntended(i) if i.attempt == 2);
            let intents = disk.entries.iter().filter(|(_, e)| second(e)).count();
            assert_eq!(intents, usize::from(again), "{what}: every re-send has an intent of its own");
        }
    }
}

#[tokio::test]
async fn what_fails_for_good_goes_back_before_the_commit_and_holds_after_it() {
    for call in BEFORE.iter().chain(&AFTER) {
        for fault in [Fault::Refused, Fault::Wrong] {
            // After a delete there is nothing that could be wrong.
            if fault == Fault::Wrong && AFTER.contains(call) {
                continue;
            }
            let mut case = serving().await;
            case.fake.inject(call, fault);
            let plan = plan(&case.state());
            let finished = case.run(&plan).await;
            let what = format!("{fault:?} at {call}: {}", finished.sentence);
            let (outcome, objects): (_, &[&str]) = match (BEFORE.contains(call), *call) {
                (true, _) => (RunOutcome::RolledBack, &["kept=1", "old=1", "web=1"]),
                (_, "retire fake_service.web") => (RunOutcome::Held, &["kept=2", "new=1", "of=1", "web=2 +1"]),
                _ => (RunOutcome::Held, &["kept=2", "new=1", "of=1", "old=1", "web=2"]),
            };
            assert_eq!(finished.ending, Ending::Ended(outcome), "{what}");
            assert_eq!(case.fake.objects(), objects, "{what}");
            assert_eq!(case.fake.violations(), [""; 0], "{what}");
            let failure = &finished.failures[0];
            assert!(call.split(' ').all(|word| failure.step.contains(word)), "{what}: it failed where it was made to");
            if fault == Fault::Wrong {
                let told = "inconsistent result: value was planned as";
                assert!(failure.sentence.contains(told), "{what}");
            } else {
                assert!(failure.sentence.contains("the target refuses it"), "{what}");
                assert!(failure.evidence.iter().any(|(name, _)| name == "what the target said"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn where_the_target_cannot_tell_the_run_is_held_with_its_sentence() {
    let mut case = serving().await;
    case.fake.inject("create fake_thing.new", Fault::CannotTell);
    let plan = plan(&case.state());
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Held);
    assert!(finished.sentence.contains("look at fake_thing.new in the target's console"), "{}", finished.sentence);
    assert_eq!(case.fake.calls().iter().filter(|c| *c == "create fake_thing.new").count(), 1);
}

#[tokio::test]
async fn a_target_that_throttles_for_ever_ends_the_run() {
    let mut case = serving().await;
    for _ in 0..10 {
        case.fake.inject("create fake_thing.new", Fault::Throttled);
    }
    let plan = plan(&case.state());
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::RolledBack);
    let sent = case.fake.calls().iter().filter(|c| *c == "create fake_thing.new").count();
    assert_eq!(sent, 4, "as often as patience allows");
    case.check("throttled for ever");
}

#[tokio::test]
async fn nothing_is_sent_again_once_the_run_stops() {
    let mut case = serving().await;
    let state = case.state();
    let mut build = Build::new(&state);
    build.act("fake_thing.a", Action::Create, &thing("a", "1"), &[]);
    build.act("fake_thing.b", Action::Create, &thing("b", "1"), &[]);
    case.fake.inject("create fake_thing.a", Fault::Refused);
    case.fake.inject("create fake_thing.b", Fault::Passing);
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::RolledBack);
    assert_eq!(case.fake.calls().iter().filter(|c| *c == "create fake_thing.b").count(), 1);
}

#[tokio::test]
async fn a_postcondition_that_does_not_hold_fails_the_step_and_the_object_is_not_lost() {
    let mut case = serving().await;
    let state = case.state();
    let mut build = Build::new(&state);
    let new = build.act("fake_thing.new", Action::Create, &thing("new", "1"), &[]);
    let condition = Value::unknown(Type::Bool, Residual::Deferred(Arc::new(IsEmpty)));
    let span = crate::diag::Span { file: crate::diag::FileId(0), start: 0, end: 0 };
    build.edit(new, |act| act.postconditions = vec![(condition, Value::string("it has an id"), span)]);
    build.plan.on_failure = OnFailure::Hold;
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Held);
    assert!(finished.sentence.contains("Resource postcondition failed: it has an id"), "{}", finished.sentence);
    case.check("the object is recorded");
}

#[tokio::test]
async fn what_recovery_is_told_decides_how_the_run_goes_on() {
    let call = "find create fake_thing.new";
    for (told, wanted, objects) in [
        (Fault::Refused, RunOutcome::RolledBack, ["kept=1", "old=1", "web=1"].as_slice()),
        (Fault::Passing, RunOutcome::Verified, &["kept=2", "new=1", "of=1", "web=2"]),
        (Fault::CannotTell, RunOutcome::Held, &["kept=1", "old=1", "web=1"]),
    ] {
        let mut case = serving().await;
        let plan = plan(&case.state());
        // The second point is the first call.
        case.die_at(Some(Death { point: 2, variant: 0 }));
        case.run(&plan).await;
        case.die_at(None);
        // Twice, for an answer that it may be done again counts after the settle window only.
        case.fake.inject(call, told);
        if told == Fault::Passing {
            case.fake.inject(call, told);
        }
        let finished = case.run(&plan).await;
        assert_eq!(outcome(&finished), wanted, "{told:?}: {}", finished.sentence);
        assert_eq!(case.fake.objects(), objects, "{told:?}");
        case.check("recovered");
        let reconciled = case.ear.heard().iter().filter(|e| matches!(e, RunEvent::Reconciled { .. })).count();
        assert_eq!(reconciled, 1);
    }
}

#[tokio::test]
async fn a_run_that_is_given_up_is_looked_through_and_ends_held() {
    let mut case = serving().await;
    let plan = plan(&case.state());
    case.die_at(Some(Death { point: 2, variant: 1 }));
    case.run(&plan).await;
    case.die_at(None);
    let state = case.state();
    let run = state.open.as_ref().unwrap().run.clone();
    let finished = case.runner(&run).run(&plan, state, Begin::Abandon).await;
    assert_eq!(outcome(&finished), RunOutcome::Held);
    assert_eq!(case.fake.objects(), ["kept=1", "new=1", "old=1", "web=1"]);
    case.check("what had been made is recorded");
}

/// Whether the id of the new thing is empty.
#[derive(Debug)]
struct IsEmpty;

impl crate::value::Deferred for IsEmpty {
    fn finish(&self, results: &dyn crate::value::Results) -> Result<Value, crate::value::Unfinished> {
        let id = result_of("fake_thing.new", "id").finish(results)?;
        Ok(Value::bool(id.as_str() == Some("")))
    }

    fn needs(&self, nodes: &mut std::collections::BTreeSet<Address>) {
        nodes.insert("fake_thing.new".parse().unwrap());
    }

    fn text(&self) -> String {
        "fake_thing.new.id == \"\"".into()
    }
}

//! How runs go: what comes before what, how often the ledger is synced, who may go at once, and how runs end.

use super::*;
use crate::ledger::replay::StepStatus;

fn values(events: &[(Meta, Event)]) -> Vec<String> {
    events
        .iter()
        .map(|(_, event)| match event {
            Event::RunStarted(_) => "started".into(),
            Event::StepIntended(e) => format!("intend {}", e.step),
            Event::StepSucceeded(e) => format!("done {}", e.step),
            Event::StepFailed(e) => format!("failed {}", e.step),
            Event::CheckJudged(e) => format!("judged {} {}", e.step, e.passed),
            Event::Committed => "committed".into(),
            Event::UnwindingStarted { .. } => "back".into(),
            Event::RunFinished { outcome, .. } => format!("finished {outcome:?}"),
            other => format!("{other:?}"),
        })
        .collect()
}

fn log(case: &Case) -> Vec<String> {
    values(&case.disk.lock().unwrap().entries)
}

fn chain(state: &State, ty: &str, n: usize) -> Plan {
    let mut build = Build::new(state);
    for i in 0..n {
        let after: Vec<usize> = if i == 0 { Vec::new() } else { vec![i - 1] };
        build.act(&format!("{ty}.n{i}"), Action::Create, &thing(&format!("n{i}"), "1"), &after);
    }
    build.plan
}

#[tokio::test]
async fn a_chain_of_n_steps_costs_n_plus_one_syncs() {
    for ty in [THING, INNER] {
        let mut case = Case::new();
        let finished = case.run(&chain(&State::default(), ty, 5)).await;
        assert_eq!(outcome(&finished), RunOutcome::Verified);
        assert_eq!(case.disk.lock().unwrap().appends, 6, "{ty}");
        assert_eq!(
            log(&case)[..4],
            [
                "started",
                &format!("intend {ty}.n0 create"),
                &format!("done {ty}.n0 create"),
                &format!("intend {ty}.n1 create")
            ]
        );
        assert_eq!(log(&case).last().unwrap(), "finished Verified");
        case.check(ty);
    }
}

#[tokio::test]
async fn steps_in_process_share_one_sync_however_many_there_are() {
    let mut case = Case::new();
    case.parallelism = 1;
    let mut build = Build::new(&State::default());
    let all: Vec<usize> = (0..50)
        .map(|i| build.act(&format!("fake_inner.a{i}"), Action::Create, &thing(&format!("a{i}"), "1"), &[]))
        .collect();
    let barrier = build.step("fake_inner.all", "", Work::Barrier, &all);
    for i in 0..50 {
        build.act(&format!("fake_inner.b{i}"), Action::Create, &thing(&format!("b{i}"), "1"), &[barrier]);
    }
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified);
    let appends = case.disk.lock().unwrap().appends;
    assert!(appends <= 6, "{appends} syncs for two waves");
}

#[tokio::test]
async fn remote_calls_stay_within_the_parallelism_and_throttling_slows_them_down() {
    let mut case = Case::new();
    case.parallelism = 4;
    case.fake.takes = Duration::from_millis(2);
    let mut build = Build::new(&State::default());
    for i in 0..40 {
        build.act(&format!("fake_thing.a{i}"), Action::Create, &thing(&format!("a{i}"), "1"), &[]);
    }
    for i in 0..3 {
        case.fake.inject(&format!("create fake_thing.a{i}"), fake::Fault::Throttled);
    }
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified);
    assert_eq!(case.fake.most(), 4);
    let retried = case.ear.heard().iter().filter(|e| matches!(e, RunEvent::StepRetried { .. })).count();
    assert_eq!(retried, 3);
    case.check("throttled");
}

#[tokio::test]
async fn watchers_hear_only_of_what_is_durable() {
    struct Strict(Arc<Mutex<Disk>>, Mutex<Vec<String>>);
    impl Watcher for Strict {
        fn event(&self, event: RunEvent) {
            let entries = values(&self.0.lock().unwrap().entries);
            let wanted = match &event {
                RunEvent::StepStarted { step, .. } => format!("intend {step}"),
                RunEvent::StepSucceeded { step, .. } => format!("done {step}"),
                RunEvent::Committed => "committed".into(),
                RunEvent::Finished { .. } => "finished Verified".into(),
                _ => return,
            };
            let durable = entries.contains(&wanted);
            self.1.lock().unwrap().push(if durable { "good".into() } else { wanted });
        }
    }
    let case = Case::new();
    let strict = Arc::new(Strict(case.disk.clone(), Mutex::default()));
    let mut build = Build::new(&State::default());
    let a = build.act("fake_thing.a", Action::Create, &thing("a", "1"), &[]);
    let b = build.act("fake_inner.b", Action::Create, &thing("b", "1"), &[a]);
    build.commit(&[b]);
    let runner = Runner { watcher: strict.clone(), ..case.runner("run-1") };
    let begin = Begin::New(Box::new(started(&build.plan)));
    let finished = runner.run(&build.plan, State::default(), begin).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified);
    assert_eq!(*strict.1.lock().unwrap(), ["good"; 6]);
}

/// A service that runs as version 1.
async fn serving() -> Case {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    build.act("fake_service.web", Action::Create, &thing("web", "1"), &[]);
    build.act("fake_thing.old", Action::Create, &thing("old", "1"), &[]);
    assert_eq!(outcome(&case.run(&build.plan).await), RunOutcome::Verified);
    case.set_base(&[("fake_service.web", thing("web", "1")), ("fake_thing.old", thing("old", "1"))]);
    case
}

fn rollout(state: &State, prove: &Value, verify: &Value) -> Plan {
    let mut build = Build::new(state);
    let web = thing("web", "2");
    let stage = build.act("fake_service.web", Action::Stage, &web, &[]);
    let prove = build.check(Phase::Prove, Some("fake_service.web"), prove, &[stage]);
    let switch = build.follow("fake_service.web", Action::Switch, &web, stage, &[stage, prove]);
    let verify = build.check(Phase::Verify, None, verify, &[switch]);
    let commit = build.commit(&[verify]);
    build.follow("fake_service.web", Action::Retire, &web, switch, &[commit]);
    build.act("fake_thing.old", Action::Delete, &Value::null(Type::Any), &[commit]);
    build.plan
}

#[tokio::test]
async fn nothing_goes_before_the_commit_and_nothing_comes_back_after_it() {
    let (_listener, up) = listener().await;
    let mut case = serving().await;
    let before = log(&case).len();
    let plan = rollout(&case.state(), &up, &up);
    assert_eq!(outcome(&case.run(&plan).await), RunOutcome::Verified);
    let entries = log(&case).split_off(before);
    let at = |what: &str| entries.iter().position(|e| e == what).unwrap_or_else(|| panic!("{what}: {entries:#?}"));
    assert!(at("judged smoke_test.c prove true") < at("intend fake_service.web switch"));
    assert!(at("judged smoke_test.c verify true") < at("committed"));
    assert!(at("committed") < at("intend fake_service.web retire"));
    assert!(at("committed") < at("intend fake_thing.old delete"));
    assert_eq!(case.fake.objects(), ["web=2"]);
    case.check("a rollout");
}

#[tokio::test]
async fn a_delete_that_fails_after_the_commit_holds_and_the_rest_goes_on() {
    let (_listener, up) = listener().await;
    let mut case = serving().await;
    case.fake.inject("retire fake_service.web", fake::Fault::Refused);
    let plan = rollout(&case.state(), &up, &up);
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Held);
    assert!(finished.sentence.contains("fake_service.web retire failed"), "{}", finished.sentence);
    assert_eq!(case.fake.objects(), ["web=2 +1"], "what is new serves, and the other delete was done");
    case.check("held");
}

#[tokio::test]
async fn a_failed_check_goes_back_with_its_evidence_kept_before_anything_is_cleaned_up() {
    let (_listener, up) = listener().await;
    let down = Value::string("127.0.0.1:1");
    for (prove, verify, step) in [(&down, &up, "prove"), (&up, &down, "verify")] {
        let mut case = serving().await;
        let plan = rollout(&case.state(), prove, verify);
        let finished = case.run(&plan).await;
        assert_eq!(outcome(&finished), RunOutcome::RolledBack, "{}", finished.sentence);
        assert_eq!(case.fake.objects(), ["old=1", "web=1"]);
        assert_eq!(finished.failures.len(), 1);
        assert_eq!(finished.failures[0].step, format!("smoke_test.c {step}"));
        let evidence = &finished.failures[0].evidence;
        assert!(
            evidence.iter().any(|(name, text)| name == "what the check saw" && text.contains("failed")),
            "{evidence:?}"
        );
        // The version that was judged is the one that answers for it.
        let staged = case.disk.lock().unwrap().entries.iter().find_map(|(_, e)| match e {
            Event::StepSucceeded(s) if s.step == "fake_service.web stage" && !s.unwinding => Some(s.result.clone()),
            _ => None,
        });
        let Some(crate::ledger::event::StepResult::Staged { identity, .. }) = staged else {
            panic!("nothing was staged")
        };
        let log = format!("the log of {identity}");
        assert!(evidence.iter().any(|(name, text)| name == "fake_service.web: log" && *text == log), "{evidence:?}");
        let state = case.state();
        let judged = &state.generations.last().unwrap().checks[usize::from(step == "verify")];
        for piece in &judged.evidence {
            assert!(case.disk.lock().unwrap().blobs.contains_key(&piece.blob));
        }
        assert!(!judged.evidence.is_empty() && !judged.passed);
        case.check(step);
    }
}

#[tokio::test]
async fn a_failed_run_holds_where_it_was_told_to() {
    let mut case = serving().await;
    let mut plan = rollout(&case.state(), &Value::string("127.0.0.1:1"), &Value::string("127.0.0.1:1"));
    plan.on_failure = OnFailure::Hold;
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Held);
    assert_eq!(case.fake.objects(), ["old=1", "web=1 +2"]);
    case.check("held");
}

#[tokio::test]
async fn a_way_back_that_fails_or_cannot_be_planned_is_stuck() {
    let down = Value::string("127.0.0.1:1");
    let mut case = serving().await;
    *case.base.fails.lock().unwrap() = Some("the base's configuration is gone".into());
    let plan = rollout(&case.state(), &down, &down);
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Stuck);
    assert!(finished.sentence.contains("the base's configuration is gone"), "{}", finished.sentence);
    case.check("cannot be planned");

    let mut case = serving().await;
    case.fake.inject("retire fake_service.web", fake::Fault::Refused);
    let plan = rollout(&case.state(), &down, &down);
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Stuck);
    assert!(
        finished.failures.iter().any(|f| f.unwinding && f.step == "fake_service.web retire 2"),
        "{:?}",
        finished.failures
    );
    case.check("fails");
}

#[tokio::test]
async fn outputs_are_computed_from_results_and_secrets_sealed() {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    build.act("fake_thing.a", Action::Create, &with(&thing("a", "1"), "secret", crash::secret("s3cret")), &[]);
    let output = |after: Value, sensitive| crate::plan::OutputChange {
        before: None,
        after: Some(after),
        changes: true,
        sensitive,
        description: None,
    };
    build.plan.outputs.insert("id".into(), output(result_of("fake_thing.a", "id"), false));
    build.plan.outputs.insert("secret".into(), output(result_of("fake_thing.a", "secret"), true));
    let finished = case.run(&build.plan).await;
    assert_eq!(finished.outputs["id"].as_str(), Some("id-a"));
    assert_eq!(finished.outputs["secret"].as_str(), Some("s3cret"));
    assert_eq!(case.state().outputs["id"], "id-a");
    let all = format!("{:?}", case.disk.lock().unwrap().entries);
    assert!(!all.contains("s3cret") && case.state().outputs["secret"].get("$hmac").is_some());
}

/// Runs a plan and asks it to stop as soon as its first step has started: once, or again as soon as that was heard.
async fn interrupted(case: &Case, plan: &Plan, times: u8) -> Finished {
    struct Stop(tokio::sync::watch::Sender<u8>, u8);
    impl Watcher for Stop {
        fn event(&self, event: RunEvent) {
            match event {
                RunEvent::StepStarted { .. } => self.0.send_modify(|n| *n = (*n).max(1)),
                RunEvent::Interrupted { again: false } if self.1 > 1 => {
                    self.0.send_replace(2);
                }
                _ => {}
            }
        }
    }
    let watcher = Arc::new(Stop(case.interrupt.clone(), times));
    let runner = Runner { watcher, ..case.runner("run-1") };
    runner.run(plan, State::default(), Begin::New(Box::new(started(plan)))).await
}

#[tokio::test]
async fn the_first_interrupt_lets_what_runs_finish_and_holds() {
    let mut case = Case::new();
    case.fake.takes = Duration::from_millis(20);
    let plan = chain(&State::default(), THING, 3);
    let finished = interrupted(&case, &plan, 1).await;
    assert_eq!(outcome(&finished), RunOutcome::Held);
    assert!(finished.interrupted && finished.sentence.contains("interrupted"));
    assert_eq!(case.fake.objects(), ["n0=1"]);
    case.check("interrupted");
}

#[tokio::test]
async fn the_second_interrupt_leaves_at_once_and_the_next_command_goes_on() {
    let mut case = Case::new();
    case.fake.takes = Duration::from_millis(40);
    let plan = chain(&State::default(), THING, 2);
    let finished = interrupted(&case, &plan, 2).await;
    assert_eq!(finished.ending, Ending::Left);
    let open = case.state().open.expect("the run is open");
    assert!(matches!(open.steps["fake_thing.n0 create"], StepStatus::Intended(_)));
    case.fake.takes = Duration::ZERO;
    case.interrupt.send_replace(0);
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified);
    case.check("gone on with");
}

#[tokio::test]
async fn an_interrupted_way_back_is_left_open_and_gone_to_its_end() {
    let down = Value::string("127.0.0.1:1");
    let mut case = serving().await;
    let plan = rollout(&case.state(), &down, &down);
    case.interrupt.send_replace(0);
    // The person stops when they hear that it goes back.
    struct Impatient(tokio::sync::watch::Sender<u8>);
    impl Watcher for Impatient {
        fn event(&self, event: RunEvent) {
            if matches!(event, RunEvent::Unwinding { .. }) {
                self.0.send_replace(1);
            }
        }
    }
    let state = case.state();
    let runner = Runner { watcher: Arc::new(Impatient(case.interrupt.clone())), ..case.runner("run-2") };
    let finished = runner.run(&plan, state, Begin::New(Box::new(started(&plan)))).await;
    assert_eq!(finished.ending, Ending::Left, "{}", finished.sentence);
    assert!(case.state().open.unwrap().unwinding.is_some());
    case.interrupt.send_replace(0);
    let finished = case.run(&plan).await;
    assert_eq!(outcome(&finished), RunOutcome::RolledBack);
    assert_eq!(case.fake.objects(), ["old=1", "web=1"]);
    case.check("gone back");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_stops_everything() {
    let mut case = Case::new();
    case.die_at(Some(Death { point: 1, variant: 0 }));
    let finished = case.run(&chain(&State::default(), THING, 3)).await;
    assert!(matches!(finished.ending, Ending::Broken(JournalError::Unknown(_))));
    assert_eq!(case.fake.calls(), [""; 0], "nothing is sent whose intent is not durable");
    assert!(finished.sentence.contains("the next command finds out"), "{}", finished.sentence);
}

#[tokio::test]
async fn a_plan_whose_steps_wait_for_each_other_ends() {
    let mut case = Case::new();
    let mut plan = chain(&State::default(), THING, 2);
    plan.steps[0].after = vec![1];
    assert_eq!(outcome(&case.run(&plan).await), RunOutcome::Held);
}

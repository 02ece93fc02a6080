//! A process that dies at any write, call or answer, once and twice: the next one brings the run to the same end.

use super::*;
use crate::plan::step::ImportStep;
use crate::provider::ImportRequest;

/// The environment before the run under test: a service, a thing that stays, one that goes.
async fn prepared() -> Case {
    let mut case = Case::new();
    let state = case.state();
    let mut build = Build::new(&state);
    build.act("fake_service.web", Action::Create, &thing("web", "1"), &[]);
    build.act("fake_thing.kept", Action::Create, &thing("kept", "1"), &[]);
    build.act("fake_thing.old", Action::Create, &thing("old", "1"), &[]);
    let finished = case.run(&build.plan).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified);
    case.set_base(&[
        ("fake_service.web", thing("web", "1")),
        ("fake_thing.kept", thing("kept", "1")),
        ("fake_thing.old", thing("old", "1")),
    ]);
    case
}

/// Everything that a plan can hold in one: a create, what refers to it, an update, a secret, a service that is staged, proven,
/// switched and retired, a verification, the commit, a delete.
fn plan(state: &State, prove: &Value, verify: &Value) -> Plan {
    let mut build = Build::new(state);
    let new = build.act("fake_thing.new", Action::Create, &with(&thing("new", "1"), "secret", secret("s3cret")), &[]);
    let inner =
        build.act("fake_inner.of", Action::Create, &object("of", result_of("fake_thing.new", "secret")), &[new]);
    let kept = build.act("fake_thing.kept", Action::Update, &object("kept", result_of("fake_thing.new", "id")), &[new]);
    let web = object("web", Value::string("2"));
    let stage = build.act("fake_service.web", Action::Stage, &web, &[inner]);
    let prove = build.check(Phase::Prove, Some("fake_service.web"), prove, &[stage]);
    let switch = build.follow("fake_service.web", Action::Switch, &web, stage, &[stage, prove]);
    let verify = build.check(Phase::Verify, None, verify, &[switch]);
    let commit = build.commit(&[kept, verify]);
    build.follow("fake_service.web", Action::Retire, &web, switch, &[commit]);
    build.act("fake_thing.old", Action::Delete, &Value::null(Type::Any), &[commit]);
    build.plan
}

pub(super) fn secret(text: &str) -> Value {
    Value::string(text).sensitive()
}

/// Runs a plan in processes that die where they are told to, the last one not.
async fn through(case: &mut Case, plan: impl Fn(&State) -> Plan, deaths: &[Death]) -> (Finished, usize) {
    let plan = &plan(&case.state());
    for (died, death) in deaths.iter().copied().map(Some).chain([None]).enumerate() {
        case.die_at(death);
        let before = case.state();
        // A run whose last entry had become durable has ended; nothing is left to go on with.
        if before.open.is_none() && before.generation() == plan.generation {
            let generation = before.generations.last().cloned().unwrap();
            let ending = Ending::Ended(generation.outcome.unwrap());
            let (sentence, outputs) = (generation.sentence, BTreeMap::new());
            let ended = Finished { state: before, ending, interrupted: false, sentence, failures: Vec::new(), outputs };
            return (ended, died);
        }
        let finished = case.run(plan).await;
        if !case.died() {
            return (finished, died);
        }
        assert!(matches!(finished.ending, Ending::Broken(_)), "a dead process tells nothing else");
    }
    unreachable!("the last process does not die");
}

/// The state as far as it must not depend on what happened on the way: a run's start may be lost with its first write.
fn essence(state: &State) -> String {
    format!("{:?}\n{:?}\n{:?}", state.records, state.versions, state.generations.last().map(|g| g.outcome))
}

#[tokio::test]
async fn a_death_anywhere_changes_nothing_about_the_end() {
    let (_listener, up) = listener().await;
    let mut case = prepared().await;
    let (finished, _) = through(&mut case, |s| plan(s, &up, &up), &[]).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    case.check("without a death");
    assert_eq!(case.fake.objects(), ["kept=id-new", "new=1", "of=s3cret", "web=2"]);
    let wanted = essence(&finished.state);
    for variant in 0..VARIANTS {
        for point in 1.. {
            let death = Death { point, variant };
            let mut case = prepared().await;
            let (finished, died) = through(&mut case, |s| plan(s, &up, &up), &[death]).await;
            let what = format!("{death:?}: {}", finished.sentence);
            assert_eq!(finished.ending, Ending::Ended(RunOutcome::Verified), "{what}");
            case.check(&what);
            assert_eq!(essence(&finished.state), wanted, "{what}");
            if died == 0 {
                assert!(point > 15, "the run passes {point} points");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_death_on_the_way_back_is_gone_on_with_to_the_base() {
    let (_listener, up) = listener().await;
    let down = Value::string("127.0.0.1:1");
    // It fails before traffic moves, and after.
    for (prove, verify) in [(&down, &up), (&up, &down)] {
        let mut reference = prepared().await;
        let objects = reference.fake.objects();
        let plan_of = |state: &State| plan(state, prove, verify);
        let (finished, _) = through(&mut reference, plan_of, &[]).await;
        assert_eq!(outcome(&finished), RunOutcome::RolledBack, "{}", finished.sentence);
        assert_eq!(reference.fake.objects(), objects);
        for variant in 0..VARIANTS {
            for point in 1.. {
                let death = Death { point, variant };
                let mut case = prepared().await;
                let (finished, died) = through(&mut case, plan_of, &[death]).await;
                let what = format!("{death:?}: {}", finished.sentence);
                assert_eq!(finished.ending, Ending::Ended(RunOutcome::RolledBack), "{what}");
                case.check(&what);
                assert_eq!(case.fake.objects(), objects, "{what}");
                if died == 0 {
                    assert!(point > 15, "the run passes {point} points");
                    break;
                }
            }
        }
    }
}

/// A smaller plan: an act that others wait for, a service, the commit, a delete.
fn small(state: &State, verify: Option<&Value>) -> Plan {
    let mut build = Build::new(state);
    let new = build.act("fake_thing.new", Action::Create, &thing("new", "1"), &[]);
    let web = object("web", result_of("fake_thing.new", "id"));
    let stage = build.act("fake_service.web", Action::Stage, &web, &[new]);
    let switch = build.follow("fake_service.web", Action::Switch, &web, stage, &[stage]);
    let last = verify.map_or(switch, |verify| build.check(Phase::Verify, None, verify, &[switch]));
    let commit = build.commit(&[last]);
    build.follow("fake_service.web", Action::Retire, &web, switch, &[commit]);
    build.act("fake_thing.old", Action::Delete, &Value::null(Type::Any), &[commit]);
    build.plan
}

#[tokio::test]
async fn two_deaths_anywhere_change_nothing_about_the_end() {
    let down = Value::string("127.0.0.1:1");
    for verify in [None, Some(&down)] {
        let mut reference = prepared().await;
        let (finished, _) = through(&mut reference, |s| small(s, verify), &[]).await;
        let (ending, objects) = (finished.ending.clone(), reference.fake.objects());
        let mut schedules = 0;
        'first: for point in 1.. {
            for variant in 0..VARIANTS {
                let first = Death { point, variant };
                for second in 1.. {
                    // At calls all variants, at depth two by turns: what dies first is enumerated in full above.
                    let second = Death { point: second, variant: (second + point) % VARIANTS };
                    let mut case = prepared().await;
                    let (finished, died) = through(&mut case, |s| small(s, verify), &[first, second]).await;
                    let what = format!("{first:?}, {second:?}: {}", finished.sentence);
                    assert_eq!(finished.ending, ending, "{what}");
                    case.check(&what);
                    assert_eq!(case.fake.objects(), objects, "{what}");
                    schedules += 1;
                    if died == 0 {
                        break 'first;
                    }
                    if died == 1 {
                        break;
                    }
                }
            }
        }
        assert!(schedules > 150, "only {schedules} schedules were tried");
    }
}

/// An object that no record knows: somebody made it, and Gantry let go of it.
async fn with_a_stray() -> Case {
    let mut case = prepared().await;
    let mut build = Build::new(&case.state());
    build.step("fake_thing.old", "forget", Work::Forget, &[]);
    assert_eq!(outcome(&case.run(&build.plan).await), RunOutcome::Verified);
    case
}

/// It is taken on, changed, and something is made beside it.
fn importing(state: &State, stray: &Prior) -> Plan {
    let mut build = Build::new(state);
    let import = ImportStep {
        provider: "fake".into(),
        id: "old".into(),
        object: stray.clone(),
        inputs: thing("old", "1"),
        dependencies: Vec::new(),
        schema: 1,
        create_before_destroy: false,
    };
    let taken = build.step("fake_thing.taken", "import", Work::Import(Box::new(import)), &[]);
    let changed = build.act("fake_thing.taken", Action::Update, &thing("old", "2"), &[taken]);
    build.edit(changed, |act| {
        act.prior = Some(stray.clone());
        act.imported = Some("old".into());
    });
    build.act("fake_thing.new", Action::Create, &thing("new", "1"), &[changed]);
    build.plan
}

#[tokio::test]
async fn a_death_around_an_import_changes_nothing_about_the_end() {
    let stray = |case: &Case| {
        let address: Address = "fake_thing.taken".parse().unwrap();
        let request = ImportRequest {
            provider: "fake".into(),
            address,
            ty: THING.into(),
            id: "old".into(),
            wanted: thing("old", "2"),
        };
        let fake = case.fake.clone();
        async move { fake.import(&request).await.unwrap().expect("it is there") }
    };
    let mut case = with_a_stray().await;
    let object = stray(&case).await;
    let (finished, _) = through(&mut case, |s| importing(s, &object), &[]).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    case.check("without a death");
    let record = &finished.state.records[&"fake_thing.taken".parse().unwrap()];
    assert_eq!((record.imported.as_deref(), &record.attributes["value"]), (Some("old"), &serde_json::json!("2")));
    let wanted = essence(&finished.state);
    for variant in 0..VARIANTS {
        for point in 1.. {
            let death = Death { point, variant };
            let mut case = with_a_stray().await;
            let object = stray(&case).await;
            let (finished, died) = through(&mut case, |s| importing(s, &object), &[death]).await;
            let what = format!("{death:?}: {}", finished.sentence);
            assert_eq!(finished.ending, Ending::Ended(RunOutcome::Verified), "{what}");
            case.check(&what);
            assert_eq!(essence(&finished.state), wanted, "{what}");
            if died == 0 {
                assert!(point > 4, "the run passes {point} points");
                break;
            }
        }
    }
}

//! `local_command`: real commands under a real shim.

#![expect(clippy::disallowed_methods, reason = "tests stop where something is not as it has to be")]

use std::time::{Duration, Instant};

use gantry::provider::local::Local;
use gantry::provider::{Action, Context, Found, Observation, Outcome, Prior, ProblemClass, Provider as _, Silent};
use gantry::value::{Type, Value};

use crate::local_support::{
    Place, applied, argv, eventually, found, kill, nothing_left, processes_with, rejected, shell, text, told,
};

const TY: &str = "local_command";

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path(name)).unwrap_or_default()
}

#[tokio::test]
async fn runs_and_answers() {
    let place = Place::new();
    let planned = place.planned(
        TY,
        [
            ("create", shell("echo \"{\\\"n\\\": [1, 2.5]}\"; echo $GREETING $GANTRY_ADDRESS > made; pwd >> made")),
            ("destroy", shell("rm made")),
            ("environment", Value::object_of([("GREETING", text("hello"))])),
        ],
    );
    let made = place.create(TY, &planned).await;
    assert_eq!(made.attributes.get_str("stdout"), Some("{\"n\": [1, 2.5]}"));
    assert_eq!(made.attributes.get("exit_code"), Some(&Value::number(0_i64)));
    let n = made.attributes.get("json").and_then(|j| j.get("n")).and_then(Value::as_items).unwrap();
    assert_eq!(n[1].as_number().map(ToString::to_string).as_deref(), Some("2.5"));
    assert_eq!(read(&place, "made"), format!("hello local_command.subject\n{}\n", place.context.environment.display()));
    place.delete(TY, made).await;
    assert!(!place.path("made").exists());
    nothing_left(&place).await;
}

#[tokio::test]
async fn the_same_act_runs_once() {
    let place = Place::new();
    let planned = place.planned(TY, [("create", shell("echo run >> runs"))]);
    let act = place.act(Action::Create, TY, planned, None);
    assert_eq!(place.local.find(&act).await, Found::NotDone);
    let first = place.apply(&act).await;
    assert_eq!(place.apply(&act).await, first);
    assert_eq!(found(place.local.find(&act).await), first);
    assert_eq!(read(&place, "runs"), "run\n");
}

#[tokio::test]
async fn a_failure_has_code_and_last_lines() {
    let place = Place::new();
    let planned = place.planned(TY, [("create", shell("echo to stdout; echo the reason >&2; exit 42"))]);
    let act = place.act(Action::Create, TY, planned, None);
    let problem = rejected(place.run(&act).await);
    assert_eq!(problem.class, ProblemClass::Invalid);
    assert_eq!(problem.sentence, "The \"create\" command of local_command.subject exited with code 42.");
    assert!(String::from_utf8_lossy(&problem.evidence[0].bytes).contains("the reason"));
    assert_eq!(place.local.find(&act).await, Found::Failed(problem));
}

#[tokio::test]
async fn what_cannot_be_started_is_said() {
    let place = Place::new();
    for (argv, words) in [
        (
            argv(["no-such-program-anywhere"]),
            "there is no program \"no-such-program-anywhere\" in the directories of PATH",
        ),
        (argv(["./missing"]), "there is no program \"./missing\""),
    ] {
        let planned = place.planned(TY, [("create", argv)]);
        let problem = rejected(place.run(&place.act(Action::Create, TY, planned, None)).await);
        assert!(problem.sentence.contains(words), "{}", problem.sentence);
    }
    let planned = place.planned(TY, [("create", argv(["true"])), ("working_directory", text("nowhere"))]);
    let problem = rejected(place.run(&place.act(Action::Create, TY, planned, None)).await);
    assert!(problem.sentence.contains("there is no directory"), "{}", problem.sentence);
}

#[tokio::test]
async fn programs_start_at_the_environments_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    std::fs::write(place.path("tool"), "#!/bin/sh\necho \"$0 in $(basename \"$PWD\")\"\n").unwrap();
    std::fs::set_permissions(place.path("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let planned = place.planned(TY, [("create", argv(["./tool"])), ("working_directory", text("elsewhere"))]);
    let made = place.create(TY, &planned).await;
    assert!(made.attributes.get_str("stdout").unwrap().ends_with("in elsewhere"));
}

#[tokio::test]
async fn a_timeout_ends_everything_it_started() {
    let place = Place::new();
    let planned = place.planned(
        TY,
        [("create", shell("setsid sleep 300 & sleep 300 & echo started; wait")), ("timeout", text("300ms"))],
    );
    let start = Instant::now();
    let problem = rejected(place.run(&place.act(Action::Create, TY, planned, None)).await);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(problem.sentence.contains("within its timeout of 300ms"), "{}", problem.sentence);
    assert!(String::from_utf8_lossy(&problem.evidence[0].bytes).contains("started"));
    nothing_left(&place).await;
}

#[tokio::test]
async fn what_stays_in_the_background_holds_nothing_up() {
    let place = Place::new();
    let planned = place.planned(TY, [("create", shell("sleep 20 & echo $! > pid; echo done"))]);
    let start = Instant::now();
    let made = place.create(TY, &planned).await;
    assert!(start.elapsed() < Duration::from_secs(10), "the open pipe is not waited for");
    assert_eq!(made.attributes.get_str("stdout"), Some("done"));
    kill(read(&place, "pid").trim().parse().unwrap());
}

#[tokio::test]
async fn output_is_bounded() {
    let place = Place::new();
    let planned = place.planned(TY, [("create", shell("head -c 3000000 /dev/zero | tr '\\0' x"))]);
    let made = place.create(TY, &planned).await;
    let stdout = made.attributes.get_str("stdout").unwrap();
    assert!(stdout.len() < 1_100_000 && stdout.ends_with("bytes more were dropped]"), "{}", stdout.len());
}

#[tokio::test]
async fn triggers_decide_what_runs() {
    let place = Place::new();
    let with = |trigger: &str, create: &str| {
        place.planned(
            TY,
            [
                ("create", shell(create)),
                ("update", shell("echo updated >> runs; echo new")),
                ("destroy", shell("echo \"$WORD\" > destroyed")),
                ("environment", Value::object_of([("WORD", text(create))])),
                ("triggers", Value::object_of([("source", text(trigger))])),
            ],
        )
    };
    let schema = place.schema(TY);
    let compute = schema.compute.unwrap();
    let change = |prior: &Value, proposed: &Value| {
        let change = gantry::provider::ProposedChange { proposed, prior: Some(prior), changed: true };
        compute(&change).into_iter().map(|(n, v)| (n.into(), v)).collect::<gantry::value::Map>()
    };
    let made = place.create(TY, &with("1", "echo created >> runs; echo old")).await;
    // Another "create" is a change of the record alone, and the plan knows it.
    let other = with("1", "echo other >> runs");
    let known = change(&made.attributes, &other);
    assert_eq!(known.get("stdout").and_then(Value::as_str), Some("old"));
    let mut planned = other.as_map().unwrap().clone();
    planned.extend(known);
    let recorded = place.apply(&place.act(Action::Update, TY, Value::object(planned), Some(made))).await;
    assert_eq!(read(&place, "runs"), "created\n");
    // Another trigger runs "update".
    let triggered = with("2", "echo other >> runs");
    assert!(change(&recorded.attributes, &triggered).is_empty(), "its answers are not known before");
    assert!(schema.must_replace.unwrap()(&recorded.attributes, &triggered).is_none());
    let updated = place.apply(&place.act(Action::Update, TY, triggered, Some(recorded))).await;
    assert_eq!(read(&place, "runs"), "created\nupdated\n");
    assert_eq!(updated.attributes.get_str("stdout"), Some("new"));
    // Destroy runs from the record.
    place.delete(TY, updated).await;
    assert_eq!(read(&place, "destroyed"), "echo other >> runs\n");
}

#[tokio::test]
async fn without_update_another_trigger_replaces() {
    let place = Place::new();
    let with = |trigger: &str| place.planned(TY, [("create", argv(["true"])), ("triggers", text(trigger))]);
    let must = place.schema(TY).must_replace.unwrap();
    assert!(must(&with("1"), &with("1")).is_none());
    assert!(must(&with("1"), &with("2")).unwrap().contains("update"));
}

#[tokio::test]
async fn read_looks_at_what_is_there() {
    let place = Place::new();
    let planned = place.planned(
        TY,
        [
            ("create", shell("echo 1 > thing")),
            ("read", shell("test -e thing || exit 3; cat thing")),
            ("destroy", shell("rm thing")),
        ],
    );
    let made = place.create(TY, &planned).await;
    assert_eq!(made.attributes.get_str("stdout"), Some("1"));
    std::fs::write(place.path("thing"), "2\n").unwrap();
    let Observation::Present { attributes, .. } = place.observe(TY, &made).await else { panic!("it is there") };
    assert_eq!(attributes.get_str("stdout"), Some("2"));
    std::fs::remove_file(place.path("thing")).unwrap();
    assert_eq!(place.observe(TY, &made).await, Observation::Absent);
    std::fs::create_dir(place.path("thing")).unwrap();
    assert!(
        matches!(place.observe(TY, &made).await, Observation::Unreadable(why) if why.contains("exited with code 1"))
    );
}

/// A helper process that acts and is killed; the command goes on.
#[tokio::test]
async fn a_command_survives_whoever_started_it() {
    let place = Place::new();
    let planned = place.planned(
        TY,
        [("create", shell("echo begun > begun; while ! test -e go; do sleep 0.05; done; echo end; echo x >> runs"))],
    );
    let act = place.act(Action::Create, TY, planned, None);
    {
        // Dropping the future is what a killed Gantry does: nobody waits any more.
        let running = place.local.act(&act, &Silent);
        tokio::pin!(running);
        tokio::select! {
            outcome = &mut running => panic!("{}", told(&outcome)),
            () = eventually("it has begun", async || place.path("begun").exists()) => {}
        }
    }
    let shim =
        processes_with(place.root.path().to_str().unwrap()).into_iter().find(|(_, line)| line.contains("__command"));
    let (shim, _) = shim.expect("the shim runs");
    let session = std::fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
    assert_eq!(
        session.rsplit_once(')').unwrap().1.split_whitespace().nth(3),
        Some(shim.to_string().as_str()),
        "its own session"
    );
    let (found, ()) = tokio::join!(place.local.find(&act), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(place.path("go"), "").unwrap();
    });
    match found {
        Found::Done { attributes, .. } => assert_eq!(attributes.get_str("stdout"), Some("end")),
        other => panic!("{other:?}"),
    }
    applied(place.run(&act).await);
    assert_eq!(read(&place, "runs"), "x\n", "once");
    nothing_left(&place).await;
}

#[tokio::test]
async fn a_killed_shim_takes_its_command_along_and_is_told() {
    for (on_unknown, again) in [("rerun", true), ("ask", false)] {
        let place = Place::new();
        let planned = place.planned(
            TY,
            [("create", shell("echo x >> runs; test -e go || exec sleep 300")), ("on_unknown", text(on_unknown))],
        );
        let act = place.act(Action::Create, TY, planned, None);
        {
            let running = place.local.act(&act, &Silent);
            tokio::pin!(running);
            tokio::select! {
                outcome = &mut running => panic!("{}", told(&outcome)),
                () = eventually("it runs", async || place.path("runs").exists()) => {}
            }
        }
        let root = place.root.path().to_str().unwrap();
        let (shim, _) = processes_with(root).into_iter().find(|(_, line)| line.contains("__command")).unwrap();
        kill(shim);
        nothing_left(&place).await;
        match place.local.find(&act).await {
            Found::Repeat(_) if again => {}
            Found::CannotTell(sentence) if !again => assert!(sentence.contains("Look at what it makes"), "{sentence}"),
            other => panic!("{other:?}"),
        }
        if again {
            std::fs::write(place.path("go"), "").unwrap();
            applied(place.run(&act).await);
            assert_eq!(read(&place, "runs"), "x\nx\n");
        }
    }
}

#[tokio::test]
async fn one_that_was_looked_for_does_not_start_late() {
    let place = Place::new();
    let planned = place.planned(TY, [("create", shell("echo x >> runs"))]);
    // A Gantry that wrote its request and whose helper has not come up yet.
    let dead = Local::new(Context { program: "/bin/true".into(), ..place.context.clone() });
    for looked_for in [false, true] {
        let act = place.act(Action::Create, TY, planned.clone(), None);
        assert!(matches!(dead.act(&act, &Silent).await, Outcome::Unknown(_)));
        if looked_for {
            assert_eq!(place.local.find(&act).await, Found::NotDone);
        }
        let root = place.context.state.join("run/commands");
        let waiting = |e: &std::fs::DirEntry| !e.path().join("exit.json").exists();
        let directory = std::fs::read_dir(root).unwrap().flatten().find(waiting).unwrap().path();
        let late =
            std::process::Command::new(&place.context.program).arg("__command").arg(&directory).status().unwrap();
        assert!(late.success());
    }
    assert_eq!(read(&place, "runs"), "x\n", "only the one that nobody had looked for came late and ran");
}

#[tokio::test]
async fn secrets_are_not_told() {
    let place = Place::new();
    let secret = "swordfish-4711";
    let planned = place.planned(
        TY,
        [
            ("create", shell("echo $PASSWORD; exit $CODE")),
            ("destroy", shell("echo $PASSWORD > destroyed")),
            ("environment", Value::object_of([("PASSWORD", text(secret).sensitive()), ("CODE", text("1"))])),
        ],
    );
    let outcome = place.run(&place.act(Action::Create, TY, planned.clone(), None)).await;
    assert!(!told(&outcome).contains(secret), "{}", told(&outcome));
    assert!(told(&outcome).contains("(sensitive value)"), "{}", told(&outcome));
    let mut good = planned.as_map().unwrap().clone();
    good.insert("create".into(), shell("echo $PASSWORD"));
    let made = place.create(TY, &Value::object(good)).await;
    assert!(made.attributes.get("stdout").unwrap().marks.is_sensitive());
    // As it comes back from the ledger; destroy needs the value all the same.
    let mut sealed = made.attributes.as_map().unwrap().clone();
    let environment = Value::object_of([("PASSWORD", Value::opaque(Type::String).sensitive()), ("CODE", text("1"))]);
    sealed.insert("environment".into(), environment);
    place.delete(TY, Prior { attributes: Value::object(sealed), identity: made.identity }).await;
    assert_eq!(read(&place, "destroyed").trim(), secret);
}

//! `local_file`: whose a file is, and what becomes of it.

use gantry::provider::{Action, Found, Observation, ProblemClass, Provider as _, Readiness};
use gantry::value::{Type, Value};

use crate::local_support::{Place, found, rejected, text};

const TY: &str = "local_file";

fn file(place: &Place, content: &str) -> Value {
    place.planned(TY, [("filename", text("a/b.txt")), ("content", text(content))])
}

#[tokio::test]
async fn lives_and_goes() {
    let place = Place::new();
    let made = place.create(TY, &file(&place, "one")).await;
    assert_eq!(std::fs::read_to_string(place.path("a/b.txt")).unwrap(), "one");
    assert_eq!(made.attributes.get_str("id"), Some("a/b.txt"), "the relative name stays");
    match place.observe(TY, &made).await {
        Observation::Present { attributes, readiness: Readiness::Ready } => assert_eq!(attributes, made.attributes),
        other => panic!("{other:?}"),
    }
    let changed = place.apply(&place.act(Action::Update, TY, file(&place, "two"), Some(made))).await;
    assert_eq!(std::fs::read_to_string(place.path("a/b.txt")).unwrap(), "two");
    place.delete(TY, changed.clone()).await;
    assert!(!place.path("a/b.txt").exists());
    place.delete(TY, changed.clone()).await;
    assert_eq!(place.observe(TY, &changed).await, Observation::Absent);
}

#[tokio::test]
async fn a_file_that_is_not_ours_stays() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("a")).unwrap();
    std::fs::write(place.path("a/b.txt"), "theirs").unwrap();
    let problem = rejected(place.run(&place.act(Action::Create, TY, file(&place, "ours"), None)).await);
    assert_eq!(problem.class, ProblemClass::Conflict);
    assert!(problem.sentence.contains("a/b.txt") && problem.sentence.contains("Move it away"), "{}", problem.sentence);
    assert_eq!(std::fs::read_to_string(place.path("a/b.txt")).unwrap(), "theirs");
    // Exactly what is asked for already: nothing is lost by calling it ours.
    place.create(TY, &file(&place, "theirs")).await;
}

#[tokio::test]
async fn what_somebody_changed_is_neither_changed_nor_deleted() {
    let place = Place::new();
    let made = place.create(TY, &file(&place, "one")).await;
    std::fs::write(place.path("a/b.txt"), "edited by hand").unwrap();
    for action in [Action::Update, Action::Delete] {
        let planned = if action == Action::Update { file(&place, "two") } else { Value::null(Type::Any) };
        let problem = rejected(place.run(&place.act(action, TY, planned, Some(made.clone()))).await);
        assert_eq!(problem.class, ProblemClass::Conflict);
        assert_eq!(problem.sentence.matches("sha256:").count(), 2, "it names both digests: {}", problem.sentence);
    }
    assert_eq!(std::fs::read_to_string(place.path("a/b.txt")).unwrap(), "edited by hand");
    // A plan that saw the edit may undo it.
    let Observation::Present { attributes, .. } = place.observe(TY, &made).await else { panic!("it is there") };
    assert_eq!(attributes.get_str("content"), Some("edited by hand"));
    assert_ne!(attributes.get("content_sha256"), made.attributes.get("content_sha256"));
    let seen = gantry::provider::Prior { attributes, identity: made.identity };
    place.apply(&place.act(Action::Update, TY, file(&place, "two"), Some(seen))).await;
    assert_eq!(std::fs::read_to_string(place.path("a/b.txt")).unwrap(), "two");
}

#[tokio::test]
async fn modes_are_seen_and_put_right() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let planned =
        place.planned(TY, [("filename", text("m")), ("content", text("x")), ("file_permission", text("0600"))]);
    let made = place.create(TY, &planned).await;
    let mode = |p: &Place| std::fs::metadata(p.path("m")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o600);
    std::fs::set_permissions(place.path("m"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let Observation::Present { attributes, .. } = place.observe(TY, &made).await else { panic!("it is there") };
    assert_eq!(attributes.get_str("file_permission"), Some("0644"));
    place.apply(&place.act(Action::Update, TY, planned, Some(made))).await;
    assert_eq!(mode(&place), 0o600);
}

#[tokio::test]
async fn sensitive_content_leaves_no_digest_that_anybody_could_guess() {
    let place = Place::new();
    let planned = place.planned(TY, [("filename", text("s")), ("sensitive_content", text("hunter2").sensitive())]);
    let made = place.create(TY, &planned).await;
    assert!(made.attributes.get("content_sha256").unwrap().marks.is_sensitive());
    assert!(json_text(&made).contains("hmac-sha256:") && !json_text(&made).contains("hunter2"));
    // As it comes back from a ledger: digests only.
    let sealed = gantry::provider::Prior {
        attributes: {
            let mut map = made.attributes.as_map().unwrap().clone();
            map.insert("sensitive_content".into(), Value::opaque(Type::String).sensitive());
            map.insert("content_sha256".into(), Value::opaque(Type::String).sensitive());
            Value::object(map)
        },
        identity: made.identity,
    };
    match place.observe(TY, &sealed).await {
        Observation::Present { attributes, .. } => assert_eq!(attributes, sealed.attributes, "no false difference"),
        other => panic!("{other:?}"),
    }
    place.delete(TY, sealed).await;
    assert!(!place.path("s").exists());
}

fn json_text(prior: &gantry::provider::Prior) -> String {
    prior.identity.to_string()
}

#[tokio::test]
async fn a_lost_answer_is_found() {
    let place = Place::new();
    let act = place.act(Action::Create, TY, file(&place, "one"), None);
    assert_eq!(place.local.find(&act).await, Found::NotDone);
    let made = place.apply(&act).await;
    assert_eq!(found(place.local.find(&act).await), made);
    assert_eq!(place.apply(&act).await, made, "the same act twice is one");
    let delete = place.act(Action::Delete, TY, Value::null(Type::Any), Some(made.clone()));
    assert_eq!(place.local.find(&delete).await, Found::NotDone);
    place.run(&delete).await;
    assert!(matches!(place.local.find(&delete).await, Found::Done { .. }));
}

#[tokio::test]
async fn what_cannot_be_read_is_not_absent() {
    let place = Place::new();
    let made = place.create(TY, &file(&place, "one")).await;
    std::fs::remove_file(place.path("a/b.txt")).unwrap();
    std::fs::create_dir(place.path("a/b.txt")).unwrap();
    assert!(matches!(place.observe(TY, &made).await, Observation::Unreadable(why) if why.contains("directory")));
}

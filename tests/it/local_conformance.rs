//! The local target passes the suite that every provider passes.

#![expect(clippy::unwrap_used, reason = "tests stop where something is not as it has to be")]

use gantry::provider::conformance::{Fixture, check};
use gantry::value::Value;

use crate::local_support::{Place, argv, free_port, nothing_left, server, shell, text};

const SECRET: &str = "swordfish-4711";

fn secret() -> Value {
    text(SECRET).sensitive()
}

fn data() -> Fixture {
    Fixture {
        ty: "terraform_data",
        create: Value::object_of([("input", Value::object_of([("a", Value::number(1_i64)), ("b", secret())]))]),
        update: Value::object_of([("input", text("another"))]),
        failing: None,
        secret: SECRET,
        seen_gone: false,
    }
}

fn file(place: &Place) -> Fixture {
    std::fs::create_dir_all(place.path("directory")).unwrap();
    Fixture {
        ty: "local_file",
        create: Value::object_of([("filename", text("deep/file")), ("sensitive_content", secret())]),
        update: Value::object_of([
            ("filename", text("deep/file")),
            ("content", text("plain")),
            ("file_permission", text("600")),
        ]),
        failing: Some(Value::object_of([("filename", text("directory")), ("sensitive_content", secret())])),
        secret: SECRET,
        seen_gone: true,
    }
}

fn command() -> Fixture {
    let with = |trigger: &str| {
        Value::object_of([
            ("create", shell("sleep 0.05; echo thing > thing")),
            ("update", shell("echo changed > thing")),
            ("read", shell("test -e thing || exit 3; cat thing")),
            ("destroy", shell("rm -f thing")),
            ("triggers", text(trigger)),
        ])
    };
    Fixture {
        ty: "local_command",
        create: with("1"),
        update: with("2"),
        failing: Some(Value::object_of([
            ("create", shell("echo the password is $PASSWORD; exit 9")),
            ("environment", Value::object_of([("PASSWORD", secret())])),
        ])),
        secret: SECRET,
        seen_gone: true,
    }
}

fn service(place: &Place) -> Fixture {
    let port = Value::number(i64::from(free_port()));
    let with = |command: Value| {
        Value::object_of([
            ("command", command),
            ("port", port.clone()),
            ("environment", Value::object_of([("PASSWORD", secret())])),
            ("drain_timeout", text("1s")),
            (
                "readiness",
                Value::object_of([
                    ("http_path", text("/health")),
                    ("interval", text("50ms")),
                    ("timeout", text("20s")),
                ]),
            ),
        ])
    };
    Fixture {
        ty: "local_service",
        create: with(server(place, "v1")),
        update: with(server(place, "v2")),
        failing: Some(with(argv(["/bin/sh", "-c", "echo the password is $PASSWORD; exit 9"]))),
        secret: SECRET,
        seen_gone: true,
    }
}

async fn conforms(place: &Place, fixture: Fixture) {
    let wrong = check(&place.local, &[fixture]).await;
    let lines: Vec<String> = wrong.iter().map(|v| format!("{}: {}: {}", v.ty, v.rule, v.seen)).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    nothing_left(place).await;
}

#[tokio::test]
async fn terraform_data_conforms() {
    conforms(&Place::new(), data()).await;
}

#[tokio::test]
async fn local_file_conforms() {
    let place = Place::new();
    conforms(&place, file(&place)).await;
    let names: Vec<_> = std::fs::read_dir(place.path("deep")).unwrap().collect();
    assert!(names.is_empty(), "no temporary file is left: {names:?}");
}

#[tokio::test]
async fn local_command_conforms() {
    conforms(&Place::new(), command()).await;
}

#[tokio::test]
async fn local_service_conforms() {
    let place = Place::new();
    conforms(&place, service(&place)).await;
}

#[tokio::test]
async fn the_suite_sees_what_is_wrong() {
    // A fixture whose "update" is refused, and one that nobody knows.
    let place = Place::new();
    let bad = Fixture { update: Value::object_of([("content", text("no name"))]), ..file(&place) };
    let unknown = Fixture { ty: "no_such_type", ..data() };
    let wrong = check(&place.local, &[bad, unknown]).await;
    assert!(wrong.iter().any(|v| v.rule == "an act on a good object is applied"), "{wrong:?}");
    assert!(wrong.iter().any(|v| v.rule == "every type has a schema"), "{wrong:?}");
}

//! The shapes of the blocks that are Gantry's own: artifact, migration, checks, the environment's settings.

use std::sync::Arc;

use super::body::{Attributes, Blocks};
use crate::provider::{AttributeSchema, BlockSchema, Nesting, named};
use crate::value::{Type, Value};

fn optional(ty: Type) -> AttributeSchema {
    AttributeSchema::optional(ty, "")
}

fn required(ty: Type) -> AttributeSchema {
    AttributeSchema::required(ty, "")
}

fn single(attributes: Attributes, blocks: Blocks) -> BlockSchema {
    BlockSchema {
        nesting: Nesting::Single,
        required: false,
        replaces: false,
        ignored: false,
        attributes,
        blocks,
        doc: "",
    }
}

/// `artifact`
pub(super) fn artifact() -> (Attributes, Blocks) {
    let attributes = ["image", "file", "committed"].map(|name| (name, optional(Type::String)));
    (named(attributes), Blocks::new())
}

/// `migration`; `database` says whether it needs one, and `runner` what may be in its runner block.
pub(super) fn migration(database: bool, source: bool, runner: Option<&BlockSchema>) -> (Attributes, Blocks) {
    let text = |needed| if needed { required(Type::String) } else { optional(Type::String) };
    let attributes = [
        ("database", text(database).sensitive()),
        ("source", text(source)),
        ("on_rollback", optional(Type::String).default(Value::string("keep"))),
        ("statement_timeout", optional(Type::String).default(Value::string("1h"))),
        ("lock_timeout", optional(Type::String).default(Value::string("10s"))),
    ];
    let blocks = runner.map(|schema| (Arc::from("runner"), schema.clone()));
    (named(attributes), blocks.into_iter().collect())
}

/// `health_check` and `smoke_test`, which differ in their defaults: a health check is asked again until its timeout, a smoke
/// test is asked once.
pub(super) fn check(repeats: bool) -> (Attributes, Blocks) {
    let text = |default: &str| optional(Type::String).default(Value::string(default));
    let interval = if repeats { text("1s") } else { optional(Type::String) };
    let attributes = [
        ("interval", interval),
        ("timeout", text(if repeats { "60s" } else { "30s" })),
        ("initial_delay", text("0s")),
        ("attempt_timeout", optional(Type::String)),
        ("success_threshold", optional(Type::Number).default(Value::number(1_i64))),
        ("failure_threshold", optional(Type::Number)),
        ("phases", optional(Type::list(Type::String))),
    ];
    let expect = single(
        named([
            ("status", optional(Type::Any)),
            ("headers", optional(Type::map(Type::String))),
            ("body_equals", optional(Type::String)),
            ("body_contains", optional(Type::String)),
            ("body_matches", optional(Type::String)),
            ("json", optional(Type::Any)),
            ("latency", optional(Type::String)),
        ]),
        Blocks::new(),
    );
    let http = single(
        named([
            ("method", optional(Type::String).default(Value::string("GET"))),
            ("url", required(Type::String)),
            ("headers", optional(Type::map(Type::String))),
            ("body", optional(Type::String)),
        ]),
        named([("expect", expect)]),
    );
    let tcp = single(named([("address", required(Type::String))]), Blocks::new());
    let grpc = single(
        named([("address", required(Type::String)), ("service", optional(Type::String).default(Value::string("")))]),
        Blocks::new(),
    );
    let command = single(
        named([
            ("argv", required(Type::list(Type::String))),
            ("working_directory", optional(Type::String)),
            ("environment", optional(Type::map(Type::String))),
            ("timeout", optional(Type::String)),
        ]),
        Blocks::new(),
    );
    (named(attributes), named([("http", http), ("tcp", tcp), ("grpc", grpc), ("command", command)]))
}

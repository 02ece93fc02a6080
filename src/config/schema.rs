//! What may stand in the blocks of the language: one table.
//!
//! Bodies of resources and data sources, provider blocks and a module's arguments are *open*: providers' schemas and the
//! module's variables say what belongs there.

/// What an attribute's value has to be as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Any expression.
    Any,
    /// A constant string.
    Text,
    /// `true` or `false`.
    Flag,
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// What it has to be.
    pub form: Form,
}

/// A block.
#[derive(Debug)]
pub(super) struct Block {
    /// Its type.
    pub name: &'static str,
    /// What its labels are, in messages.
    pub labels: &'static [&'static str],
    /// What is in it.
    pub shape: &'static Shape,
    /// Whether there has to be one.
    pub required: bool,
    /// Whether there may be several.
    pub many: bool,
}

/// What may stand in a body.
#[derive(Debug)]
pub(super) struct Shape {
    /// Its attributes.
    pub attributes: &'static [Attribute],
    /// Its blocks.
    pub blocks: &'static [Block],
    /// Whether anything else may stand there too.
    pub open: bool,
}

const fn may(name: &'static str) -> Attribute {
    Attribute { name, required: false, form: Form::Any }
}

const fn must(name: &'static str) -> Attribute {
    Attribute { name, required: true, form: Form::Any }
}

const fn text(name: &'static str) -> Attribute {
    Attribute { name, required: false, form: Form::Text }
}

const fn flag(name: &'static str) -> Attribute {
    Attribute { name, required: false, form: Form::Flag }
}

const fn one(name: &'static str, labels: &'static [&'static str], shape: &'static Shape) -> Block {
    Block { name, labels, shape, required: false, many: false }
}

const fn any_number(name: &'static str, labels: &'static [&'static str], shape: &'static Shape) -> Block {
    Block { name, labels, shape, required: false, many: true }
}

const fn closed(attributes: &'static [Attribute], blocks: &'static [Block]) -> Shape {
    Shape { attributes, blocks, open: false }
}

const OPEN: Shape = Shape { attributes: &[], blocks: &[], open: true };
const CONDITION: Shape = closed(&[must("condition"), must("error_message")], &[]);

/// `lifecycle` of a resource.
pub(super) const LIFECYCLE: Shape = closed(
    &[flag("create_before_destroy"), flag("prevent_destroy"), may("ignore_changes"), may("replace_triggered_by")],
    &[any_number("precondition", &[], &CONDITION), any_number("postcondition", &[], &CONDITION)],
);

/// `lifecycle` of everything else that has one: conditions only.
pub(super) const CONDITIONS: Shape =
    closed(&[], &[any_number("precondition", &[], &CONDITION), any_number("postcondition", &[], &CONDITION)]);

/// What any node may have besides its own: taken out of its body before that is looked at.
pub(super) const META: [&str; 4] = ["count", "for_each", "depends_on", "lifecycle"];

const EXPECT: Shape = closed(
    &[
        may("status"),
        may("headers"),
        may("body_equals"),
        may("body_contains"),
        may("body_matches"),
        may("json"),
        may("latency"),
    ],
    &[],
);
const HTTP: Shape = closed(&[must("url"), may("method"), may("headers"), may("body")], &[one("expect", &[], &EXPECT)]);
const TCP: Shape = closed(&[must("address")], &[]);
const GRPC: Shape = closed(&[must("address"), may("service")], &[]);
const COMMAND: Shape = closed(&[must("argv"), may("working_directory"), may("environment"), may("timeout")], &[]);

/// The blocks of a check of which one is its probe.
pub(super) const PROBES: [&str; 4] = ["http", "tcp", "grpc", "command"];

const CHECK_ATTRIBUTES: [Attribute; 7] = [
    may("interval"),
    may("timeout"),
    may("success_threshold"),
    may("failure_threshold"),
    may("initial_delay"),
    may("attempt_timeout"),
    may("phases"),
];

/// `health_check`, `smoke_test`
pub(super) const PROBE_CHECK: Shape = closed(
    &CHECK_ATTRIBUTES,
    &[one("http", &[], &HTTP), one("tcp", &[], &TCP), one("grpc", &[], &GRPC), one("command", &[], &COMMAND)],
);

/// `artifact`
pub(super) const ARTIFACT: Shape = closed(
    &[may("image"), may("file"), may("committed")],
    &[any_number("schema", &["migration"], &closed(&[may("min"), may("max")], &[]))],
);
const RUNNERS: [Block; 1] = [one("runner", &["type"], &OPEN)];
/// `migration`. What stands in its `runner` depends on that one's label: the planner looks.
pub(super) const MIGRATION: Shape = closed(
    &[must("database"), must("source"), may("on_rollback"), may("statement_timeout"), may("lock_timeout")],
    &RUNNERS,
);
/// The same where an image's own tool migrates.
pub(super) const MIGRATION_BY_TOOL: Shape = closed(
    &[may("database"), may("source"), may("on_rollback"), may("statement_timeout"), may("lock_timeout")],
    &RUNNERS,
);
/// `check`
pub(super) const CHECK: Shape = closed(&[], &[Block { required: true, ..any_number("assert", &[], &CONDITION) }]);

const ENCRYPTION: Shape = closed(&[may("recipients"), may("identities"), may("key")], &[]);
const HISTORY: Shape = closed(&[may("keep")], &[]);
const PROMOTION: Shape = closed(&[must("from"), may("soak"), may("require"), may("allow_unproven")], &[]);
const APPROVAL: Shape = closed(&[must("required"), must("signers"), may("revoked"), may("expires")], &[]);

/// The labels that `state` may have, with what may stand in each block.
pub(super) const BACKENDS: [(&str, Shape); 3] = [
    ("local", closed(&[may("path")], &[])),
    ("postgres", closed(&[must("url"), may("schema"), may("name")], &[])),
    (
        "s3",
        closed(
            &[must("bucket"), may("prefix"), may("region"), may("endpoint"), may("profile"), may("force_path_style")],
            &[],
        ),
    ),
];

const ENVIRONMENT: Shape = closed(
    &[may("description"), may("on_failure"), may("protected")],
    &[
        // What stands in it depends on its label: `BACKENDS`.
        one("state", &["type"], &OPEN),
        one("encryption", &[], &ENCRYPTION),
        one("history", &[], &HISTORY),
        one("promotion", &[], &PROMOTION),
        one("approval", &[], &APPROVAL),
    ],
);

/// `variable`
pub(super) const VARIABLE: Shape = closed(
    &[may("type"), may("default"), text("description"), flag("sensitive"), flag("ephemeral"), flag("nullable")],
    &[any_number("validation", &[], &CONDITION)],
);

/// `output`
pub(super) const OUTPUT: Shape = closed(
    &[must("value"), text("description"), flag("sensitive"), flag("ephemeral"), may("depends_on")],
    &[any_number("precondition", &[], &CONDITION)],
);

const FORGET: Shape = closed(&[flag("destroy")], &[]);

/// The arguments of a `module` block that are not the module's own.
pub(super) const MODULE_META: [&str; 6] = ["source", "version", "count", "for_each", "depends_on", "providers"];

const TERRAFORM: Shape = closed(
    &[text("required_version"), may("experiments")],
    &[any_number("required_providers", &[], &OPEN), any_number("provider_meta", &["provider"], &OPEN)],
);

const WEBHOOK: Shape = closed(&[must("url"), may("secret"), may("format"), may("events")], &[]);

/// What may stand in the project file.
pub(super) const PROJECT: Shape =
    closed(&[may("environments")], &[any_number("variables", &[], &OPEN), any_number("webhook", &["name"], &WEBHOOK)]);

/// The blocks at the top of a file.
pub(super) const TOP: [Block; 17] = [
    one("environment", &[], &ENVIRONMENT),
    any_number("variable", &["name"], &VARIABLE),
    any_number("locals", &[], &OPEN),
    any_number("output", &["name"], &OUTPUT),
    any_number("resource", &["type", "name"], &OPEN),
    any_number("data", &["type", "name"], &OPEN),
    any_number("module", &["name"], &OPEN),
    any_number("provider", &["name"], &OPEN),
    any_number("artifact", &["name"], &ARTIFACT),
    any_number("migration", &["name"], &MIGRATION),
    any_number("health_check", &["name"], &PROBE_CHECK),
    any_number("smoke_test", &["name"], &PROBE_CHECK),
    any_number("moved", &[], &closed(&[must("from"), must("to")], &[])),
    any_number("removed", &[], &closed(&[must("from")], &[one("lifecycle", &[], &FORGET)])),
    any_number("import", &[], &closed(&[must("to"), must("id"), may("for_each"), may("provider")], &[])),
    any_number("check", &["name"], &CHECK),
    any_number("terraform", &[], &TERRAFORM),
];

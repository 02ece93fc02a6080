//! The schemas of the local types.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{command, data, file, file_data, service, version};
use crate::provider::{
    AttributeSchema as A, BlockSchema, Compute, Lowering, Nesting, ResourceSchema, Role, Undo, named,
};
use crate::value::{Type, Value};

/// The types of the local target.
#[must_use]
pub fn schemas() -> Vec<ResourceSchema> {
    vec![
        terraform_data(),
        local_file(),
        local_command(),
        local_service(),
        local_file_data(),
        local_sensitive_file_data(),
    ]
}

fn managed<const N: usize>(
    ty: &'static str,
    lowering: Lowering,
    compute: Option<Compute>,
    attributes: [(&'static str, A); N],
    doc: &'static str,
) -> ResourceSchema {
    ResourceSchema {
        ty,
        role: Role::Managed,
        version: 0,
        attributes: named(attributes),
        blocks: BTreeMap::new(),
        lowering,
        // This machine knows what became of an act as soon as it is asked: `find` keeps a late start from taking effect.
        settle: Duration::ZERO,
        deadline: |_| Duration::from_secs(30),
        compute,
        validate: None,
        must_replace: None,
        undo: Undo::Acts,
        previews: false,
        waits: false,
        secrets: None,
        kept: None,
        claims: None,
        doc,
    }
}

fn terraform_data() -> ResourceSchema {
    managed(
        data::TYPE,
        Lowering::InProcess,
        Some(data::compute),
        [
            ("input", A::optional(Type::Any, "Any value; `output` gives it back.")),
            ("triggers_replace", A::optional(Type::Any, "A change of this value makes a new object.").replaces()),
            ("output", A::computed(Type::Any, "The value of `input`.")),
            ("id", A::computed(Type::String, "A name of its own for each object.")),
        ],
        "Keeps a value in the ledger and replaces itself when another value changes, as in Terraform.",
    )
}

fn local_file() -> ResourceSchema {
    let mut schema = managed(
        file::TYPE,
        Lowering::InProcess,
        Some(file::compute),
        [
            (
                "filename",
                A::required(Type::String, "Where it stands; relative to the environment's directory.").replaces(),
            ),
            ("content", A::optional(Type::String, "Its content.")),
            ("sensitive_content", A::optional(Type::String, "Its content, never shown.").sensitive()),
            ("content_base64", A::optional(Type::String, "Its content, as base64, for bytes that are no text.")),
            ("file_permission", A::optional(Type::String, "Its permissions, octal.").default(Value::string("0644"))),
            (
                "directory_permission",
                A::optional(Type::String, "Permissions of directories that are made for it, octal.")
                    .default(Value::string("0755"))
                    .ignored(),
            ),
            ("id", A::computed(Type::String, "Its name.")),
            ("content_sha256", A::computed(Type::String, "The SHA-256 of its content, hexadecimal.").volatile()),
        ],
        "A file on this machine.",
    );
    for name in ["file_permission", "directory_permission"] {
        if let Some(attribute) = schema.attributes.get_mut(name) {
            attribute.normalise = Some(file::normalise_mode);
        }
    }
    schema.validate = Some(file::validate);
    schema
}

/// The same for a file that holds a secret. Its digests are secrets as well: they have no key, so guesses can be tested on them.
fn local_sensitive_file_data() -> ResourceSchema {
    let mut schema = local_file_data();
    for attribute in schema.attributes.values_mut().filter(|a| !a.settable()) {
        attribute.sensitive = true;
    }
    ResourceSchema { ty: file_data::SENSITIVE, doc: "The content of a file on this machine, never shown.", ..schema }
}

fn local_file_data() -> ResourceSchema {
    let schema = managed(
        file::TYPE,
        Lowering::InProcess,
        None,
        [
            ("filename", A::required(Type::String, "The file; relative to the environment's directory.")),
            ("content", A::computed(Type::String, "Its content, as text.")),
            ("content_base64", A::computed(Type::String, "Its content, as base64.")),
            ("content_base64sha256", A::computed(Type::String, "The SHA-256 of its content, base64.")),
            ("content_base64sha512", A::computed(Type::String, "The SHA-512 of its content, base64.")),
            ("content_md5", A::computed(Type::String, "The MD5 of its content, hexadecimal.")),
            ("content_sha1", A::computed(Type::String, "The SHA-1 of its content, hexadecimal.")),
            ("content_sha256", A::computed(Type::String, "The SHA-256 of its content, hexadecimal.")),
            ("content_sha512", A::computed(Type::String, "The SHA-512 of its content, hexadecimal.")),
            ("id", A::computed(Type::String, "The SHA-1 of its content, hexadecimal.")),
        ],
        "The content of a file on this machine.",
    );
    ResourceSchema { role: Role::Data, ..schema }
}

fn local_command() -> ResourceSchema {
    let argv = || Type::list(Type::String);
    let mut schema = managed(
        command::TYPE,
        Lowering::Direct,
        Some(command::compute),
        [
            ("create", A::required(argv(), "The program and its arguments that make it.")),
            ("update", A::optional(argv(), "What runs when `triggers` change. Without it a change replaces.")),
            ("destroy", A::optional(argv(), "What takes it away.")),
            (
                "read",
                A::optional(argv(), "What looks at it: exit code 0 is there, 3 is gone; its output becomes `stdout`."),
            ),
            ("triggers", A::optional(Type::Any, "A change of this value runs `update`, or replaces.")),
            (
                "working_directory",
                A::optional(Type::String, "Where the commands run; the environment's directory by default."),
            ),
            ("environment", A::optional(Type::map(Type::String), "Variables beside those that Gantry itself has.")),
            ("timeout", A::optional(Type::String, "How long one command may take.").default(Value::string("10m"))),
            (
                "on_unknown",
                A::optional(Type::String, "After a crash that nothing can tell about: \"rerun\" or \"ask\".")
                    .default(Value::string("rerun")),
            ),
            ("stdout", A::computed(Type::String, "What the last command wrote to standard output.").volatile()),
            ("json", A::computed(Type::Any, "`stdout` decoded, where it is JSON; else null.").volatile()),
            ("exit_code", A::computed(Type::Number, "The last command's exit code.").volatile()),
        ],
        "Commands that make, change, look at and take away something that no provider knows.",
    );
    schema.deadline = command::deadline;
    schema.validate = Some(command::validate);
    schema.must_replace = Some(command::must_replace);
    // Running a command again takes back nothing that it did, and with a broken working tree it would only fail again.
    schema.undo = Undo::Stays;
    schema
}

fn block<const N: usize>(attributes: [(&'static str, A); N], doc: &'static str) -> BlockSchema {
    BlockSchema {
        nesting: Nesting::Single,
        required: false,
        replaces: false,
        ignored: false,
        attributes: named(attributes),
        blocks: BTreeMap::new(),
        doc,
    }
}

fn local_service() -> ResourceSchema {
    let number = |n: i64| Value::number(n);
    let mut schema = managed(
        service::TYPE,
        Lowering::Workload,
        Some(version::compute),
        [
            ("command", A::required(Type::list(Type::String), "The program and its arguments.")),
            ("working_directory", A::optional(Type::String, "Where it runs; the environment's directory by default.")),
            (
                "environment",
                A::optional(Type::map(Type::String), "Its environment, beside PATH, HOME, USER, LANG and the like."),
            ),
            ("replicas", A::optional(Type::Number, "How many processes.").default(number(1))),
            ("port", A::required(Type::Number, "The port of 127.0.0.1 that it is served on.").replaces()),
            ("protocol", A::optional(Type::String, "\"http\" or \"tcp\".").default(Value::string("http")).replaces()),
            (
                "drain_timeout",
                A::optional(Type::String, "How long requests may take to end when a version goes.")
                    .default(Value::string("5s")),
            ),
            ("id", A::computed(Type::String, "The service's name on this machine.")),
            ("url", A::computed(Type::String, "Where it is served.").staged()),
        ],
        "Processes of one program behind one port, restarted when they crash; they outlive the command that started them.",
    );
    schema.blocks = named([
        (
            "readiness",
            block(
                [
                    (
                        "http_path",
                        A::optional(
                            Type::String,
                            "Ready when a GET of this answers 2xx or 3xx; without it, when the port is open.",
                        ),
                    ),
                    ("interval", A::optional(Type::String, "How often it is asked.").default(Value::string("200ms"))),
                    (
                        "timeout",
                        A::optional(Type::String, "How long a new version has to become ready.")
                            .default(Value::string("30s")),
                    ),
                ],
                "When a process is taken for ready.",
            ),
        ),
        (
            "log",
            block(
                [
                    (
                        "max_bytes",
                        A::optional(Type::Number, "How large a log file may grow.").default(number(10 * 1024 * 1024)),
                    ),
                    ("keep", A::optional(Type::Number, "How many full ones are kept.").default(number(3))),
                ],
                "Limits of the log files.",
            ),
        ),
    ]);
    schema.deadline = version::deadline;
    schema.validate = Some(version::validate);
    schema
}

//! Plans and records made by hand, for the tests of the views.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::addr::Address;
use crate::diag::Diagnostics;
use crate::event::RunEvent;
use crate::ledger::event::{CheckJudged, EvidenceRef, Phase, RunKind, RunOutcome};
use crate::ledger::record::{Generation, Pin, Record};
use crate::ledger::replay::Version;
use crate::ledger::{Meta, State};
use crate::plan::change::{CheckDetail, MigrationDetail, PlannedMigration, ResourceDetail};
use crate::plan::{
    ActStep, Change, ChangeKind, Detail, OnFailure, OutputChange, PinStep, Plan, Reason, Step, WayBack, Work,
};
use crate::provider::{Action, AttributeSchema, Lowering, ResourceSchema, Role, Undo};
use crate::value::{Path, Type, Value};

/// A secret that no rendering may show.
pub(super) const CANARY: &str = "c4n4ry-in-a-coal-mine";

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(super) fn string(text: &str) -> Value {
    Value::string(text)
}

pub(super) fn number(n: i64) -> Value {
    Value::number(n)
}

pub(super) fn object<const N: usize>(parts: [(&str, Value); N]) -> Value {
    Value::object_of(parts)
}

/// A change of a resource; it differs in every root attribute that is not the same on both sides.
pub(super) fn resource(
    at: &str,
    kind: ChangeKind,
    reason: Reason,
    before: Option<Value>,
    after: Option<Value>,
) -> Change {
    let mut differs = Vec::new();
    if let (Some(a), Some(b)) = (before.as_ref().and_then(Value::as_map), after.as_ref().and_then(Value::as_map)) {
        let names = a.keys().chain(b.keys()).collect::<std::collections::BTreeSet<_>>();
        differs.extend(names.into_iter().filter(|n| a.get(n) != b.get(n)).map(|n| Path::attribute(n.clone())));
    }
    let detail = ResourceDetail {
        provider: "local".into(),
        prior: None,
        inputs: Value::null(Type::Any),
        leftovers: Vec::new(),
        create_before_destroy: false,
        imported: None,
        postconditions: Vec::new(),
        preview: None,
    };
    Change {
        address: address(at),
        moved_from: None,
        importing: None,
        kind,
        reason,
        before,
        after,
        differs,
        replaces: Vec::new(),
        drift: None,
        detail: Detail::Resource(detail),
        span: None,
    }
}

pub(super) fn plan(changes: Vec<Change>) -> Plan {
    Plan {
        environment: "local".into(),
        kind: RunKind::Apply,
        generation: 3,
        base: Some(2),
        changes,
        steps: Vec::new(),
        outputs: BTreeMap::new(),
        on_failure: OnFailure::Rollback,
        way_back: Vec::new(),
        warnings: Diagnostics::default(),
        basis: "sha256:basis".into(),
        effect: "sha256:effect".into(),
        asked: "sha256:asked".into(),
        partial: false,
        gates: Default::default(),
        promoted: None,
        overrides: Default::default(),
        schemas: BTreeMap::new(),
        conditions: Default::default(),
        unreadable: Vec::new(),
        unopened: Vec::new(),
    }
}

fn step(name: &str, at: &str, work: Work) -> Step {
    Step { name: name.into(), address: address(at), work, after: Vec::new() }
}

fn act(action: Action) -> Work {
    Work::Act(Box::new(ActStep {
        provider: "local".into(),
        action,
        takes_over: false,
        planned: Value::null(Type::Any),
        inputs: Value::null(Type::Any),
        prior: None,
        version: None,
        follows: None,
        dependencies: Vec::new(),
        schema: 0,
        create_before_destroy: false,
        imported: None,
        deadline: Duration::from_secs(60),
        settle: Duration::ZERO,
        in_process: false,
        postconditions: Vec::new(),
    }))
}

/// A type with an attribute that the schema alone says is never shown.
pub(super) fn service_schema() -> ResourceSchema {
    ResourceSchema {
        ty: "local_service",
        role: Role::Managed,
        version: 1,
        attributes: crate::provider::named([
            ("command", AttributeSchema::required(Type::list(Type::String), "")),
            ("token", AttributeSchema::optional(Type::String, "").sensitive()),
        ]),
        blocks: BTreeMap::new(),
        lowering: Lowering::Workload,
        settle: Duration::ZERO,
        deadline: |_| Duration::from_secs(60),
        compute: None,
        validate: None,
        must_replace: None,
        undo: Undo::Acts,
        previews: false,
        waits: false,
        secrets: None,
        kept: None,
        claims: None,
        doc: "",
    }
}

fn service(command: &str, token: &str, url: Value) -> Value {
    object([
        ("command", Value::strings([command])),
        ("environment", object([("DATABASE_URL", string(CANARY).sensitive()), ("MODE", string("fast"))])),
        ("id", string("svc-1")),
        ("replicas", number(2)),
        ("token", string(token)),
        ("url", url),
    ])
}

fn migration() -> Change {
    let planned = PlannedMigration {
        version: 3,
        name: "drop_notes".into(),
        checksum: "sha256:aa".into(),
        up: "ALTER TABLE orders\n  DROP COLUMN notes;\n".into(),
        down: None,
        file: "0003_drop_notes.up.sql".into(),
        down_file: None,
        effects: vec!["Destroys the data in orders.notes (line 2).".into()],
    };
    let detail = MigrationDetail {
        url: string(CANARY).sensitive(),
        pending: vec![planned],
        reverting: Vec::new(),
        applied: vec![1, 2],
        down_on_rollback: false,
        how: Arc::default(),
    };
    let mut change = resource("migration.schema", ChangeKind::Run, Reason::Pending, None, None);
    change.after = Some(object([("url", string(CANARY).sensitive()), ("version", number(2))]));
    change.detail = Detail::Migration(Box::new(detail));
    change
}

fn check(at: &str, prove: bool, configuration: Value) -> Change {
    let mut change = resource(at, ChangeKind::Run, Reason::Checked, None, Some(configuration.clone()));
    let prove = if prove { vec![(address("local_service.shop"), configuration)] } else { Vec::new() };
    change.detail = Detail::Check(CheckDetail { verify: true, prove });
    change
}

/// A plan with something of everything, full of secrets.
pub(super) fn full() -> Plan {
    let unknown = Value::opaque(Type::String);
    let before = service("bin/shop-1", &format!("{CANARY}-old"), string("http://127.0.0.1:8080"));
    let after = service("bin/shop-2", &format!("{CANARY}-new"), string("http://127.0.0.1:8080"));
    let mut shop =
        resource("local_service.shop", ChangeKind::Update, Reason::ConfigurationChanged, Some(before), Some(after));
    shop.drift = Some(service("bin/shop-0", &format!("{CANARY}-rec"), string("http://127.0.0.1:8080")));
    let file = object([("content", string(CANARY).sensitive()), ("id", unknown.clone()), ("filename", string("x"))]);
    let health = object([
        (
            "http",
            object([
                ("url", string("http://127.0.0.1:8080/health")),
                ("headers", object([("Authorization", string(CANARY).sensitive())])),
            ]),
        ),
        ("interval", string("1s")),
        ("timeout", string("60s")),
        ("success_threshold", number(2)),
    ]);
    let smoke = object([("command", object([("argv", Value::tuple([string("curl"), string(CANARY).sensitive()]))]))]);
    let mut artifact = resource("artifact.shop", ChangeKind::Run, Reason::NotKnownYet, None, None);
    artifact.detail = Detail::Artifact;
    let mut plan = plan(vec![
        resource("local_file.conf", ChangeKind::Create, Reason::New, None, Some(file)),
        shop,
        artifact,
        migration(),
        check("health_check.shop", true, health),
        check("smoke_test.checkout", false, smoke),
    ]);
    let pin = PinStep {
        kind: "file".into(),
        source: string("target/release/shop"),
        digest: None,
        recorded: None,
        schema: Default::default(),
        committed: None,
    };
    plan.steps = vec![
        step("artifact.shop pin", "artifact.shop", Work::Pin(pin)),
        step("local_service.shop stage", "local_service.shop", act(Action::Stage)),
        step("local_service.shop switch", "local_service.shop", act(Action::Switch)),
    ];
    let output = |before, after, sensitive| OutputChange {
        before,
        after: Some(after),
        changes: true,
        sensitive,
        description: None,
    };
    plan.outputs = BTreeMap::from([
        ("password".into(), output(Some(json!({ "$hmac": "old" })), string(CANARY), true)),
        ("url".into(), output(Some(json!("http://old")), unknown, false)),
    ]);
    plan.way_back = vec![
        WayBack {
            address: address("local_service.shop"),
            possible: true,
            sentence: "Traffic goes back to the old version.".into(),
        },
        WayBack {
            address: address("migration.schema"),
            possible: false,
            sentence: "0003_drop_notes has no down file.".into(),
        },
    ];
    plan.schemas = BTreeMap::from([("local_service".into(), Arc::new(service_schema()))]);
    plan.unreadable = vec![(address("data.local_file.gone"), "permission denied".into())];
    plan
}

pub(super) fn judged(at: &str, passed: bool) -> CheckJudged {
    CheckJudged {
        step: format!("{at} verify"),
        address: address(at),
        phase: Phase::Verify,
        workload: None,
        passed,
        sentence: if passed { "HTTP 200 in 3 ms".into() } else { "HTTP 500 where 200 was expected".into() },
        evidence: vec![EvidenceRef { name: "response body".into(), blob: "sha256:0123456789abcdef".into() }],
        unwinding: false,
    }
}

pub(super) fn generation(number: u64, outcome: RunOutcome) -> Generation {
    Generation {
        number,
        run: format!("run-{number}"),
        kind: RunKind::Apply,
        base: number.checked_sub(1).filter(|n| *n > 0),
        outcome: Some(outcome),
        sentence: "All checks passed.".into(),
        inputs: "sha256:inputs".into(),
        asked: "sha256:asked".into(),
        effect: "sha256:fedcba9876543210".into(),
        plan: None,
        partial: false,
        consent: None,
        started: "2026-11-21T00:16:30.5Z".into(),
        finished: Some("2026-11-21T00:16:42.9Z".into()),
        actor: "ann@host".into(),
        pins: BTreeMap::new(),
        outputs: BTreeMap::from([
            ("password".into(), json!({ "$hmac": "digest" })),
            ("url".into(), json!("http://here")),
        ]),
        checks: vec![judged("health_check.shop", outcome == RunOutcome::Verified)],
        migrations: BTreeMap::new(),
        failures: Vec::new(),
        configuration: None,
        unproven: false,
        release: None,
        overrides: BTreeMap::new(),
        gates: Default::default(),
        collected: None,
    }
}

/// A state with something of everything.
pub(super) fn state() -> State {
    let record = Record {
        ty: "local_service".into(),
        provider: "local".into(),
        identity: json!({ "id": "svc-1" }),
        inputs: json!({}),
        attributes: json!({ "command": ["bin/shop-1"], "replicas": { "$number": "2" }, "token": { "$hmac": "digest" }, "id": "svc-1" }),
        dependencies: vec![address("migration.schema")],
        schema: 1,
        generation: 1,
        create_before_destroy: false,
        imported: None,
    };
    let pin = Pin {
        kind: "file".into(),
        digest: "sha256:0123456789abcdef".into(),
        source: "target/release/shop".into(),
        tag: None,
        size: Some(1_234),
        schema: Default::default(),
        committed: None,
    };
    let applied = crate::ledger::event::AppliedMigration {
        version: 1,
        name: "create_orders".into(),
        checksum: "sha256:aa".into(),
        up: "sha256:up".into(),
        down: Some("sha256:down".into()),
    };
    State {
        acknowledged: BTreeMap::new(),
        seq: 40,
        records: BTreeMap::from([(address("local_service.shop"), Arc::new(record))]),
        versions: BTreeMap::from([(
            address("local_service.shop"),
            vec![Version { identity: json!("v0"), attributes: json!({ "command": ["bin/shop-0"] }) }],
        )]),
        pins: BTreeMap::from([(address("artifact.shop"), pin)]),
        migrations: BTreeMap::from([(address("migration.schema"), vec![applied])]),
        checks: BTreeMap::from([(
            address("health_check.shop"),
            (judged("health_check.shop", true), "2026-11-21T00:16:41.1Z".into()),
        )]),
        generations: vec![generation(1, RunOutcome::Verified), generation(2, RunOutcome::RolledBack)],
        outputs: generation(1, RunOutcome::Verified).outputs,
        moved_away: None,
        checkpoint: None,
        since_checkpoint: 40,
        moves: Vec::new(),
        quarantine: BTreeMap::new(),
        approvals: Vec::new(),
        open: None,
    }
}

/// The same in the middle of a run.
pub(super) fn state_under_way() -> State {
    let mut state = state();
    let started = crate::ledger::event::RunStarted {
        kind: RunKind::Apply,
        generation: Some(3),
        base: Some(1),
        effect: "sha256:e".into(),
        plan: None,
        inputs: "sha256:i".into(),
        asked: "sha256:a".into(),
        on_failure: "rollback".into(),
        partial: false,
        consent: None,
        engine: "0.1.0".into(),
        configuration: None,
        release: None,
        unproven: false,
        takes_back: None,
        overrides: Default::default(),
        gates: Default::default(),
    };
    let meta = Meta { seq: 41, time: "2026-11-21T00:20:00Z".into(), run: "run-3".into(), actor: "ann@host".into() };
    state.apply(&meta, &crate::ledger::event::Event::RunStarted(Box::new(started))).unwrap();
    let intended = crate::ledger::event::StepIntended {
        step: "local_service.shop stage".into(),
        address: address("local_service.shop"),
        action: "stage".into(),
        op: "op".into(),
        request: "sha256:r".into(),
        attempt: 1,
        unwinding: false,
    };
    state.apply(&meta, &crate::ledger::event::Event::StepIntended(intended)).unwrap();
    state
}

/// What the real Terraform said of the plan that [`terraform`] makes by hand.
pub(super) fn recorded_by_terraform() -> serde_json::Value {
    serde_json::from_str(include_str!("../../tests/data/terraform-plan/plan.json")).unwrap()
}

/// The plan of `tests/data/terraform-plan/main.tf`, made by hand; only the random identities are taken from the recording.
pub(super) fn terraform() -> (Plan, BTreeMap<Arc<str>, Value>) {
    let recorded = recorded_by_terraform();
    let secret = || string("canary-secret").sensitive();
    let mut plan = plan(terraform_changes(&Identities(&recorded)));
    let encoded = |v: &Value| crate::value::encode(v, &|_| "digest".into());
    let b = recorded["output_changes"]["ident"]["before"].as_str().unwrap();
    let output = |before: Value, after: Value, changes, sensitive| OutputChange {
        before: Some(encoded(&before)),
        after: Some(after),
        changes,
        sensitive,
        description: None,
    };
    plan.outputs = BTreeMap::from([
        ("ident".into(), output(string(b), string(b), false, false)),
        ("plain".into(), output(terraform_a("1"), Value::opaque(terraform_a("2").ty()), true, false)),
        ("sec".into(), output(secret(), secret(), false, true)),
    ]);
    (plan, BTreeMap::from([("secret".into(), secret()), ("v".into(), string("2"))]))
}

/// The identities that Terraform drew.
struct Identities<'a>(&'a serde_json::Value);

impl Identities<'_> {
    fn of(&self, at: &str) -> Value {
        let all = self.0["resource_changes"].as_array().unwrap();
        let one = all.iter().find(|r| r["address"] == at).unwrap();
        string(one["change"]["before"]["id"].as_str().unwrap())
    }

    /// The same object in place: another input, and an output that follows from it.
    fn update(&self, at: &str, old: &Value, new: &Value) -> Change {
        let before = data(self.of(at), old.clone(), old.clone(), null());
        let after = data(self.of(at), new.clone(), Value::opaque(new.ty()), null());
        resource(at, ChangeKind::Update, Reason::ConfigurationChanged, Some(before), Some(after))
    }

    fn same(&self, at: &str, value: Value) -> Change {
        let object = data(self.of(at), value.clone(), value, null());
        resource(at, ChangeKind::NoOp, Reason::UpToDate, Some(object.clone()), Some(object))
    }

    fn replace(&self, at: &str, kind: ChangeKind, input: &Value, (old, new): (Value, Value)) -> Change {
        let way = Path::attribute("triggers_replace");
        let before = data(self.of(at), input.clone(), input.clone(), old);
        let after = data(Value::opaque(Type::String), input.clone(), Value::opaque(input.ty()), new);
        let mut change = resource(at, kind, Reason::CannotUpdate(vec![way.clone()]), Some(before), Some(after));
        change.replaces = vec![way];
        change
    }

    fn delete(&self, at: &str, reason: Reason, input: Value, triggers: Value) -> Change {
        let before = data(self.of(at), input.clone(), input, triggers);
        resource(at, ChangeKind::Delete, reason, Some(before), None)
    }
}

fn null() -> Value {
    Value::null(Type::Any)
}

fn data(id: Value, input: Value, output: Value, triggers: Value) -> Value {
    object([("id", id), ("input", input), ("output", output), ("triggers_replace", triggers)])
}

fn terraform_a(v: &str) -> Value {
    let tags = Value::tuple([string("x"), string("y"), string(v)]);
    object([("keep", string("same")), ("n", number(3)), ("name", string("one")), ("tags", tags)])
}

fn terraform_changes(ids: &Identities<'_>) -> Vec<Change> {
    let secret = || string("canary-secret").sensitive();
    let json = |v: &str| string(&json!({ "a": 1, "b": { "c": v }, "l": [1, 2] }).to_string());
    let sub = |v: &str| {
        let list = Value::tuple([object([("a", number(1))]), object([("a", string(v))])]);
        object([("list", list), ("v", string(v))])
    };
    let each = |key: &str| object([("each", string(key))]);
    let one = |v: &str| Value::tuple([string(v)]);
    let suffixed = string(&format!("{}-suffix", ids.of("terraform_data.a").as_str().unwrap()));
    let p_q = data(Value::opaque(Type::String), each("p q"), Value::opaque(each("p q").ty()), null());
    let gone = Reason::EachKey(crate::addr::Key::Name("gone".into()));
    let triggers = (string("1"), string("2"));
    vec![
        ids.update("terraform_data.a", &terraform_a("1"), &terraform_a("2")),
        ids.same("terraform_data.b", suffixed),
        ids.replace("terraform_data.c[0]", ChangeKind::ReplaceCreateFirst, &number(0), triggers),
        ids.delete("terraform_data.c[1]", Reason::CountIndex(1), number(1), string("1")),
        ids.update("terraform_data.j", &json("1"), &json("2")),
        ids.update("terraform_data.m", &string("line1\nline 1\nline3\n"), &string("line1\nline 2\nline3\n")),
        ids.delete("terraform_data.n[\"gone\"]", gone, each("gone"), null()),
        resource("terraform_data.n[\"p q\"]", ChangeKind::Create, Reason::New, None, Some(p_q)),
        ids.same("terraform_data.n[\"z\"]", each("z")),
        ids.replace("terraform_data.r", ChangeKind::ReplaceDeleteFirst, &string("r"), (one("1"), one("2"))),
        ids.same("terraform_data.s", object([("password", secret()), ("user", string("u"))])),
        ids.update("module.sub.terraform_data.in", &sub("1"), &sub("2")),
    ]
}

/// Somewhere to write to that can be read.
#[derive(Debug, Default, Clone)]
pub(super) struct Buffer(Arc<std::sync::Mutex<Vec<u8>>>);

impl Buffer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A clock that stands still.
pub(super) fn clock() -> super::Now {
    Arc::new(|| "2026-11-21T00:16:30.5Z".parse().unwrap())
}

fn started(at: &str, action: &str, attempt: u32) -> RunEvent {
    RunEvent::StepStarted { step: format!("{at} {action}"), address: address(at), action: action.into(), attempt }
}

fn succeeded(at: &str, action: &str, sentence: Option<&str>, ms: u64) -> RunEvent {
    RunEvent::StepSucceeded {
        step: format!("{at} {action}"),
        address: address(at),
        action: action.into(),
        sentence: sentence.map(Into::into),
        elapsed: Duration::from_millis(ms),
    }
}

/// A run in which all goes well.
pub(super) fn a_good_run() -> Vec<RunEvent> {
    vec![
        RunEvent::Started { run: "run-3".into(), generation: Some(3), steps: 5, resumed: false },
        started("local_file.a", "create", 1),
        succeeded("local_file.a", "create", None, 3),
        started("migration.schema", "migrate 3", 1),
        succeeded("migration.schema", "migrate 3", None, 40),
        started("local_service.shop", "stage", 1),
        RunEvent::StepProgress {
            step: "local_service.shop stage".into(),
            address: address("local_service.shop"),
            sentence: "waiting for \u{1b}[31mreadiness".into(),
            elapsed: Duration::from_secs(1),
        },
        succeeded("local_service.shop", "stage", None, 2_500),
        started("health_check.shop", "prove", 2),
        succeeded("health_check.shop", "prove", Some("HTTP 200 in 3 ms."), 4),
        succeeded("local_service.shop", "switch", None, 10),
        RunEvent::Committed,
        RunEvent::Finished {
            outcome: "verified".into(),
            sentence: "All checks passed.".into(),
            elapsed: Duration::from_secs(12),
        },
    ]
}

/// A run that fails and goes back.
pub(super) fn a_failed_run() -> Vec<RunEvent> {
    let log: String = (1..=100).map(|n| format!("line {n}\n")).collect();
    vec![
        RunEvent::Started { run: "run-3".into(), generation: Some(3), steps: 2, resumed: true },
        succeeded("local_file.a", "create", None, 3),
        RunEvent::StepFailed {
            step: "health_check.shop prove".into(),
            address: address("health_check.shop"),
            action: "prove".into(),
            sentence: "HTTP 500 where 200\nwas expected.".into(),
            evidence: vec![
                ("response body".into(), "no such table: notes\u{1b}[2J\n".into()),
                ("last lines of the log".into(), log),
            ],
            elapsed: Duration::from_secs(5),
        },
        RunEvent::Unwinding { sentence: "health_check.shop failed.".into(), steps: 2 },
        succeeded("local_file.a", "delete", None, 3),
        RunEvent::Finished {
            outcome: "rolled back".into(),
            sentence: "health_check.shop failed in prove.".into(),
            elapsed: Duration::from_secs(9),
        },
    ]
}

//! Plans and records made by hand, for the tests of the views.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::addr::Address;
use crate::diag::Diagnostics;
use crate::ledger::event::{CheckJudged, EvidenceRef, Phase, RunKind, RunOutcome};
use crate::ledger::record::{Generation, Pin, Record};
use crate::ledger::replay::Version;
use crate::ledger::{Meta, State};
use crate::plan::change::{CheckDetail, MigrationDetail, PlannedMigration, ResourceDetail};
use crate::plan::{ActStep, Change, ChangeKind, Detail, OnFailure, OutputChange, PinStep, Plan, Reason, Step, WayBack, Work};
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
pub(super) fn resource(at: &str, kind: ChangeKind, reason: Reason, before: Option<Value>, after: Option<Value>) -> Change {
    let mut differs = Vec::new();
    if let (Some(a), Some(b)) = (before.as_ref().and_then(Value::as_map), after.as_ref().and_then(Value::as_map)) {
        let names = a.keys().chain(b.keys()).collect::<std::collections::BTreeSet<_>>();
        differs.extend(names.into_iter().filter(|n| a.get(*n) != b.get(*n)).map(|n| Path::attribute(n.clone())));
    }
    let detail = ResourceDetail {
        provider: "local".into(),
        prior: None,
        inputs: Value::null(Type::Any),
        leftovers: Vec::new(),
        create_before_destroy: false,
        postconditions: Vec::new(),
    };
    Change {
        address: address(at),
        moved_from: None,
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
        protected: false,
        schemas: BTreeMap::new(),
        unreadable: Vec::new(),
    }
}

fn step(name: &str, at: &str, work: Work) -> Step {
    Step { name: name.into(), address: address(at), work, after: Vec::new() }
}

fn act(action: Action) -> Work {
    Work::Act(Box::new(ActStep {
        provider: "local".into(),
        action,
        planned: Value::null(Type::Any),
        inputs: Value::null(Type::Any),
        prior: None,
        version: None,
        follows: None,
        dependencies: Vec::new(),
        schema: 0,
        create_before_destroy: false,
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
        attributes: BTreeMap::from([
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
    let mut shop = resource("local_service.shop", ChangeKind::Update, Reason::ConfigurationChanged, Some(before), Some(after));
    shop.drift = Some(service("bin/shop-0", &format!("{CANARY}-rec"), string("http://127.0.0.1:8080")));
    let file = object([("content", string(CANARY).sensitive()), ("id", unknown.clone()), ("filename", string("x"))]);
    let health = object([
        ("http", object([("url", string("http://127.0.0.1:8080/health")), ("headers", object([("Authorization", string(CANARY).sensitive())]))])),
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
    let pin = PinStep { kind: "file".into(), source: string("target/release/shop"), digest: None };
    plan.steps = vec![
        step("artifact.shop pin", "artifact.shop", Work::Pin(pin)),
        step("local_service.shop stage", "local_service.shop", act(Action::Stage)),
        step("local_service.shop switch", "local_service.shop", act(Action::Switch)),
    ];
    let output = |before, after, sensitive| OutputChange { before, after: Some(after), changes: true, sensitive, description: None };
    plan.outputs = BTreeMap::from([
        ("password".into(), output(Some(json!({ "$hmac": "old" })), string(CANARY), true)),
        ("url".into(), output(Some(json!("http://old")), unknown, false)),
    ]);
    plan.way_back = vec![
        WayBack { address: address("local_service.shop"), possible: true, sentence: "Traffic goes back to the old version.".into() },
        WayBack { address: address("migration.schema"), possible: false, sentence: "0003_drop_notes has no down file.".into() },
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
        started: "2026-11-21T00:16:30.5Z".into(),
        finished: Some("2026-11-21T00:16:42.9Z".into()),
        actor: "ann@host".into(),
        pins: BTreeMap::new(),
        outputs: BTreeMap::from([("password".into(), json!({ "$hmac": "digest" })), ("url".into(), json!("http://here"))]),
        checks: vec![judged("health_check.shop", outcome == RunOutcome::Verified)],
        migrations: BTreeMap::new(),
        failures: Vec::new(),
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
    };
    let pin = Pin {
        kind: "file".into(),
        digest: "sha256:0123456789abcdef".into(),
        source: "target/release/shop".into(),
        tag: None,
        size: Some(1_234),
    };
    let applied = crate::ledger::event::AppliedMigration {
        version: 1,
        name: "create_orders".into(),
        checksum: "sha256:aa".into(),
        up: "sha256:up".into(),
        down: Some("sha256:down".into()),
    };
    State {
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
        engine: "0.1.0".into(),
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

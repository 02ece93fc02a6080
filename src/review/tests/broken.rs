//! One plan made by hand that is sound, and what each rule says when it is broken in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::world::World;
use crate::addr::Address;
use crate::config::Desired;
use crate::diag::Diagnostics;
use crate::ledger::State;
use crate::ledger::event::{Phase, RunKind};
use crate::ledger::record::Record;
use crate::plan::change::{CheckDetail, MigrationDetail, PlannedMigration, ResourceDetail};
use crate::plan::{
    ActStep, Action, Change, ChangeKind, CheckStep, Detail, OnFailure, OutputChange, Plan, Reason, Step, Work,
};
use crate::provider::Prior;
use crate::provider::Role;
use crate::provider::catalog::Catalog;
use crate::review::{Blame, RULES, findings, review};
use crate::value::{Residual, Type, Value};

/// The configuration of the sound plan; what stands in no block here is not in the configuration any more.
const CONFIGURATION: &str = r#"
resource "terraform_data" "late" {}
resource "local_file" "config" { filename = "c" }
migration "schema" {
  database = "sqlite://x.db"
  source   = "../../migrations"
}
resource "local_service" "shop" {
  command     = [local_file.config.id]
  port        = 8080
  environment = { URL = migration.schema.url }
}
health_check "shop" {
  http { url = local_service.shop.url }
}
"#;

const CONFIG: usize = 0;
const LATE: usize = 1;
const MIGRATE_2: usize = 2;
const MIGRATE_3: usize = 3;
const STAGE: usize = 4;
const PROVE: usize = 5;
const SWITCH: usize = 6;
const VERIFY: usize = 7;
const COMMIT: usize = 8;
const RETIRE: usize = 9;
const DELETE: usize = 10;

/// A plan with what it was made from.
struct Case {
    plan: Plan,
    desired: Desired,
    state: State,
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn url() -> Value {
    Value::string("sqlite://x.db").sensitive()
}

fn later(node: &str) -> Value {
    Value::unknown(Type::String, Residual::from(at(node)))
}

fn prior(id: &str) -> Prior {
    Prior { attributes: Value::object_of([("id", Value::string(id))]), identity: json!({ "id": id }) }
}

fn change(node: &str, kind: ChangeKind, after: Option<Value>, detail: Detail) -> Change {
    Change {
        address: at(node),
        moved_from: None,
        importing: None,
        kind,
        reason: Reason::ConfigurationChanged,
        before: None,
        after,
        differs: Vec::new(),
        replaces: Vec::new(),
        drift: None,
        detail,
        span: None,
    }
}

fn resource(prior: Option<Prior>) -> Detail {
    Detail::Resource(ResourceDetail {
        provider: "local".into(),
        prior,
        inputs: Value::object_of([("filename", Value::string("c"))]),
        leftovers: Vec::new(),
        create_before_destroy: false,
        imported: None,
        postconditions: Vec::new(),
        preview: None,
    })
}

fn planned(version: u64) -> PlannedMigration {
    PlannedMigration {
        version,
        name: "m".into(),
        checksum: String::new(),
        up: "".into(),
        down: None,
        file: String::new(),
        down_file: None,
        effects: Vec::new(),
    }
}

fn changes() -> Vec<Change> {
    let object = Value::object_of([("filename", Value::string("c"))]);
    let service = Value::object_of([("environment", Value::object_of([("URL", url())]))]);
    let migration = MigrationDetail {
        url: url(),
        pending: vec![planned(2), planned(3)],
        reverting: Vec::new(),
        applied: vec![1],
        down_on_rollback: false,
        how: Arc::default(),
    };
    let check = CheckDetail { verify: true, prove: vec![(at("local_service.shop"), Value::null(Type::Any))] };
    vec![
        change("local_file.config", ChangeKind::Create, Some(object), resource(None)),
        change("terraform_data.late", ChangeKind::Create, Some(Value::null(Type::Any)), resource(None)),
        change(
            "migration.schema",
            ChangeKind::Run,
            Some(Value::object_of([("url", url())])),
            Detail::Migration(Box::new(migration)),
        ),
        change("local_service.shop", ChangeKind::Update, Some(service), resource(Some(prior("shop")))),
        change("health_check.shop", ChangeKind::Run, None, Detail::Check(check)),
        change("local_file.old", ChangeKind::Delete, None, resource(Some(prior("old")))),
    ]
}

fn step(node: &str, word: &str, work: Work, after: &[usize]) -> Step {
    Step { name: format!("{node} {word}"), address: at(node), work, after: after.to_vec() }
}

fn act(node: &str, action: Action, follows: Option<usize>, after: &[usize]) -> Step {
    let act = ActStep {
        provider: "local".into(),
        action,
        takes_over: false,
        planned: Value::object_of([("filename", Value::string("c"))]),
        inputs: Value::null(Type::Any),
        prior: None,
        version: follows.filter(|_| action == Action::Retire).map(|_| json!({ "id": "shop" })),
        follows,
        dependencies: Vec::new(),
        schema: 0,
        create_before_destroy: false,
        imported: None,
        deadline: Duration::from_secs(1),
        settle: Duration::ZERO,
        in_process: false,
        postconditions: Vec::new(),
    };
    step(node, action.word(), Work::Act(Box::new(act)), after)
}

fn migrate(version: u64, after: &[usize]) -> Step {
    let work = Work::Migrate { url: url(), migration: planned(version), how: Arc::default() };
    step("migration.schema", &format!("migrate {version}"), work, after)
}

fn health(phase: Phase, after: &[usize]) -> Step {
    let workload = (phase == Phase::Prove).then(|| at("local_service.shop"));
    let word = workload.as_ref().map_or_else(|| "verify".to_owned(), |w| format!("prove {w}"));
    let work = Work::Check(CheckStep { phase, workload, configuration: later("local_service.shop") });
    step("health_check.shop", &word, work, after)
}

fn steps() -> Vec<Step> {
    let shop = "local_service.shop";
    vec![
        act("local_file.config", Action::Create, None, &[]),
        act("terraform_data.late", Action::Create, None, &[]),
        migrate(2, &[]),
        migrate(3, &[MIGRATE_2]),
        act(shop, Action::Stage, None, &[CONFIG, MIGRATE_3]),
        health(Phase::Prove, &[STAGE]),
        act(shop, Action::Switch, Some(STAGE), &[STAGE, PROVE]),
        health(Phase::Verify, &[SWITCH]),
        step(shop, "commit", Work::Commit, &[LATE, VERIFY]),
        act(shop, Action::Retire, Some(SWITCH), &[SWITCH, COMMIT]),
        act("local_file.old", Action::Delete, None, &[COMMIT, RETIRE]),
    ]
}

fn plan(changes: Vec<Change>, steps: Vec<Step>) -> Plan {
    let catalog = Catalog::built_in();
    let schemas = catalog.all(Role::Managed).map(|s| (s.ty.to_owned(), Arc::new(s.clone()))).collect();
    Plan {
        environment: "e".into(),
        kind: RunKind::Apply,
        generation: 2,
        base: Some(1),
        changes,
        steps,
        outputs: BTreeMap::new(),
        on_failure: OnFailure::Rollback,
        way_back: Vec::new(),
        warnings: Diagnostics::default(),
        basis: String::new(),
        effect: String::new(),
        asked: String::new(),
        partial: false,
        gates: Default::default(),
        promoted: None,
        overrides: Default::default(),
        schemas,
        conditions: Default::default(),
        unreadable: Vec::new(),
        unopened: Vec::new(),
    }
}

fn record(node: &str, dependencies: &[&str]) -> Arc<Record> {
    Arc::new(Record {
        ty: at(node).ty.to_string(),
        provider: "local".into(),
        identity: json!({ "id": node }),
        inputs: json!({}),
        attributes: json!({}),
        dependencies: dependencies.iter().map(|d| at(d)).collect(),
        schema: 0,
        generation: 1,
        create_before_destroy: false,
        imported: None,
    })
}

fn sound() -> Case {
    let mut state = State::default();
    for (node, needs) in [("local_service.shop", &["local_file.old"][..]), ("local_file.old", &[])] {
        state.records.insert(at(node), record(node, needs));
    }
    Case { plan: plan(changes(), steps()), desired: World::of(CONFIGURATION).desired(), state }
}

impl Case {
    fn rules(&self) -> BTreeSet<&'static str> {
        findings(&self.plan, &self.desired, &self.state).iter().map(|f| f.rule).collect()
    }

    fn act(&mut self, step: usize) -> &mut ActStep {
        match &mut self.plan.steps[step].work {
            Work::Act(act) => act,
            _ => panic!("step {step} is no act"),
        }
    }
}

/// What the rules say about the sound plan with one thing changed.
fn broken(change: impl FnOnce(&mut Case)) -> Vec<&'static str> {
    let mut case = sound();
    change(&mut case);
    case.rules().into_iter().collect()
}

#[test]
fn the_sound_plan_is_clean() {
    assert_eq!(broken(|_| {}), [""; 0]);
}

#[test]
fn order() {
    assert_eq!(broken(|c| c.plan.steps[VERIFY].after.push(99)), ["order"]);
    assert_eq!(broken(|c| c.plan.steps[CONFIG].after.push(STAGE)), ["order"]);
    assert_eq!(broken(|c| c.plan.steps[STAGE].after.push(STAGE)), ["order"]);
    assert_eq!(broken(|c| c.act(RETIRE).follows = Some(99)), ["order"]);
}

#[test]
fn names() {
    assert_eq!(broken(|c| c.plan.steps[LATE].name = c.plan.steps[CONFIG].name.clone()), ["names"]);
    let twice = |c: &mut Case| {
        let unchanged = change("terraform_data.same", ChangeKind::NoOp, None, resource(None));
        c.plan.changes.extend([unchanged.clone(), unchanged]);
    };
    assert_eq!(broken(twice), ["names"]);
}

#[test]
fn changes_have_steps() {
    let rule = ["changes-have-steps"];
    assert_eq!(broken(|c| c.plan.steps[RETIRE].work = Work::Barrier), rule);
    assert_eq!(broken(|c| c.plan.steps[PROVE].work = Work::Barrier), rule);
    assert_eq!(broken(|c| c.plan.changes[LATE].kind = ChangeKind::NoOp), rule);
    assert_eq!(broken(|c| c.plan.steps[LATE].address = at("terraform_data.nobody")), rule);
    assert_eq!(
        broken(|c| c.plan.changes.push(change("local_file.new", ChangeKind::Create, None, resource(None)))),
        rule
    );
    assert_eq!(broken(|c| c.plan.changes[LATE].moved_from = Some(at("terraform_data.before"))), rule);
}

#[test]
fn results() {
    let rule = ["results"];
    let asks = |step: usize, node: &'static str| {
        move |c: &mut Case| match &mut c.plan.steps[step].work {
            Work::Check(check) => check.configuration = later(node),
            Work::Act(act) => act.planned = later(node),
            _ => panic!("step {step} has no values"),
        }
    };
    assert_eq!(broken(asks(VERIFY, "terraform_data.late")), rule);
    assert_eq!(broken(asks(STAGE, "terraform_data.nobody")), rule);
    // What refers to a workload starts after its switch; only its own proof is content with the staged version.
    assert_eq!(broken(asks(PROVE, "terraform_data.late")), rule);
    assert_eq!(broken(asks(RETIRE, "terraform_data.late")), [""; 0], "nothing is asked for of what goes");
    assert_eq!(broken(asks(VERIFY, "migration.schema")), [""; 0]);
    let early = |c: &mut Case| {
        c.plan.steps[LATE] = act("terraform_data.late", Action::Create, None, &[]);
        c.act(LATE).planned = later("local_file.config");
    };
    assert_eq!(broken(early), rule);
    // A verification makes nothing: its check cannot be asked yet, which is nobody's bug.
    let mut case = sound();
    case.plan.kind = RunKind::Verify;
    case.plan.changes.truncate(4);
    case.plan.changes.iter_mut().for_each(|c| c.kind = ChangeKind::NoOp);
    let check = CheckDetail { verify: true, prove: Vec::new() };
    case.plan.changes.push(change("health_check.shop", ChangeKind::Run, None, Detail::Check(check)));
    case.plan.steps = vec![health(Phase::Verify, &[])];
    let found = findings(&case.plan, &case.desired, &case.state);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].diagnostic.summary, "Check needs an apply first");
}

#[test]
fn needs() {
    let rule = ["needs"];
    assert_eq!(broken(|c| c.plan.steps[STAGE].after = vec![MIGRATE_3]), ["commit", "needs"]);
    let held = |c: &mut Case| {
        c.plan.steps[STAGE].after = vec![MIGRATE_3];
        c.plan.steps[COMMIT].after.push(CONFIG);
    };
    assert_eq!(broken(held), rule);
    // A check between that does nothing in this plan passes the need on.
    let text = CONFIGURATION.replace("local_file.config.id]", "\"x\"]\n  depends_on = [terraform_data.between]")
        + "resource \"terraform_data\" \"between\" { input = local_file.config.id }\n";
    let through = |c: &mut Case| {
        c.desired = World::of(&text).desired();
        held(c);
    };
    assert_eq!(broken(through), rule);
}

#[test]
fn node_order() {
    let rule = ["node-order"];
    assert_eq!(broken(|c| c.act(SWITCH).follows = None), rule);
    assert_eq!(broken(|c| c.act(SWITCH).follows = Some(CONFIG)), rule);
    let unproven = |c: &mut Case| {
        c.plan.steps[SWITCH].after = vec![STAGE];
        c.plan.steps[COMMIT].after.push(PROVE);
    };
    assert_eq!(broken(unproven), rule);
    assert_eq!(broken(|c| c.act(RETIRE).follows = Some(CONFIG)), rule);
    let replaced = |delete_first: bool| {
        move |c: &mut Case| {
            c.plan.changes = vec![change("local_file.a", ChangeKind::ReplaceDeleteFirst, None, resource(None))];
            let wait: &[usize] = if delete_first { &[0] } else { &[] };
            c.plan.steps = vec![
                act("local_file.a", Action::Delete, None, &[]),
                act("local_file.a", Action::Create, None, wait),
                step("local_file.a", "commit", Work::Commit, &[1]),
            ];
            if delete_first {
                c.plan.steps.pop();
            } else {
                c.plan.steps[0].after = vec![];
                c.plan.steps.swap(0, 1);
                c.plan.steps.swap(1, 2);
                c.plan.steps[1].after = vec![0];
                c.plan.steps[2].after = vec![1];
            }
        }
    };
    assert_eq!(broken(replaced(true)), [""; 0]);
    assert_eq!(broken(replaced(false)), rule);
}

#[test]
fn commit() {
    let rule = ["commit"];
    assert_eq!(broken(|c| c.plan.steps[RETIRE].after = vec![SWITCH]), rule);
    assert_eq!(broken(|c| c.plan.steps[COMMIT].after = vec![LATE, SWITCH]), rule);
    assert_eq!(broken(|c| c.plan.steps[COMMIT].after = vec![VERIFY]), rule);
    assert_eq!(broken(|c| c.plan.steps[COMMIT].work = Work::Barrier), rule);
    assert_eq!(
        broken(|c| {
            let second = Step { name: "commit 2".into(), ..c.plan.steps[COMMIT].clone() };
            c.plan.steps.push(second);
        }),
        rule
    );
    let needless = |c: &mut Case| {
        c.plan.changes = vec![change("local_file.config", ChangeKind::Create, None, resource(None))];
        c.plan.steps.truncate(1);
        c.plan.steps.push(step("local_file.config", "commit", Work::Commit, &[CONFIG]));
    };
    assert_eq!(broken(needless), rule);
}

#[test]
fn deletes() {
    let rule = ["deletes"];
    assert_eq!(broken(|c| c.plan.steps[DELETE].after = vec![COMMIT]), rule);
    let both_go = |after: &'static [usize]| {
        move |c: &mut Case| {
            let goes = |node: &str| change(node, ChangeKind::Delete, None, resource(Some(prior(node))));
            c.plan.changes = vec![goes("local_file.old"), goes("local_service.shop")];
            c.plan.steps = vec![
                step("local_file.old", "commit", Work::Commit, &[]),
                act("local_service.shop", Action::Delete, None, &[0]),
                act("local_file.old", Action::Delete, None, after),
            ];
        }
    };
    assert_eq!(broken(both_go(&[0, 1])), [""; 0]);
    assert_eq!(broken(both_go(&[0])), rule);
}

#[test]
fn migrations() {
    let rule = ["migrations"];
    let unordered = |c: &mut Case| {
        c.plan.steps[MIGRATE_3].after.clear();
        c.plan.steps[STAGE].after.push(MIGRATE_2);
    };
    assert_eq!(broken(unordered), rule);
    let applied = |c: &mut Case| {
        if let Detail::Migration(detail) = &mut c.plan.changes[2].detail {
            detail.applied.push(4);
        }
    };
    assert_eq!(broken(applied), rule);
    let back = |first: u64, then: u64| {
        move |c: &mut Case| {
            let detail = MigrationDetail {
                url: url(),
                pending: Vec::new(),
                reverting: vec![planned(3), planned(2)],
                applied: vec![1, 2, 3],
                down_on_rollback: true,
                how: Arc::default(),
            };
            let revert = |version: u64, after: &[usize]| {
                let work = Work::Revert { url: url(), migration: planned(version), how: Arc::default() };
                step("migration.schema", &format!("revert {version}"), work, after)
            };
            let schema = Detail::Migration(Box::new(detail));
            c.plan.changes = vec![change("migration.schema", ChangeKind::Run, None, schema)];
            let commit = step("migration.schema", "commit", Work::Commit, &[]);
            c.plan.steps = vec![commit, revert(first, &[0]), revert(then, &[1])];
        }
    };
    assert_eq!(broken(back(3, 2)), [""; 0]);
    assert_eq!(broken(back(2, 3)), rule);
}

#[test]
fn secrets() {
    let rule = ["secrets"];
    let open = || Value::object_of([("sensitive_content", Value::string("hunter2"))]);
    let closed = || Value::object_of([("sensitive_content", Value::string("hunter2").sensitive())]);
    assert_eq!(broken(|c| c.act(CONFIG).planned = open()), rule);
    assert_eq!(broken(|c| c.plan.changes[0].before = Some(open())), rule);
    assert_eq!(broken(|c| c.act(CONFIG).planned = closed()), [""; 0]);
    let bare = |c: &mut Case| {
        if let Detail::Migration(detail) = &mut c.plan.changes[2].detail {
            detail.url = Value::string("sqlite://x.db");
        }
    };
    assert_eq!(broken(bare), rule);
    let shown = |c: &mut Case| {
        let output =
            OutputChange { before: None, after: Some(url()), changes: true, sensitive: false, description: None };
        c.plan.outputs.insert("url".into(), output);
    };
    assert_eq!(broken(shown), rule);
    let mut case = sound();
    case.act(CONFIG).planned = open();
    let told = format!("{:?}", review(&case.plan, &case.desired, &case.state));
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn prevent_destroy() {
    let kept = |c: &mut Case| {
        let block = "resource \"local_file\" \"old\" {\n  count = 0\n  filename = \"o\"\n  lifecycle { prevent_destroy = true }\n}\n";
        c.desired = World::of(&(CONFIGURATION.to_owned() + block)).desired();
    };
    assert_eq!(broken(kept), ["prevent-destroy"]);
}

#[test]
fn claims() {
    let same_prior = |c: &mut Case| {
        c.plan.changes.push(change("local_file.again", ChangeKind::NoOp, None, resource(Some(prior("old")))));
    };
    assert_eq!(broken(same_prior), ["claims"]);
}

#[test]
fn schema_first() {
    let text = CONFIGURATION.replace("migration.schema.url", "\"sqlite://x.db\"");
    let apart = |c: &mut Case| c.desired = World::of(&text).desired();
    assert_eq!(broken(apart), ["schema-first"]);
}

#[test]
fn own_mistakes_say_so_and_others_do_not() {
    let mut seen = BTreeSet::new();
    let own = findings_of(|c| c.plan.steps[DELETE].after = vec![COMMIT]);
    let text = CONFIGURATION.replace("migration.schema.url", "\"sqlite://x.db\"");
    let theirs = findings_of(|c| c.desired = World::of(&text).desired());
    for finding in own.iter().chain(&theirs) {
        let rule = RULES.iter().find(|r| r.id == finding.rule).unwrap();
        let diagnostic = &finding.diagnostic;
        let is_bug = diagnostic.summary == "Internal error" && diagnostic.detail.ends_with("This is a bug in Gantry.");
        assert_eq!(is_bug, rule.blame == Blame::Gantry, "{diagnostic:?}");
        assert_eq!(diagnostic.severity, rule.severity);
        assert!(!diagnostic.hints.is_empty() && diagnostic.address.is_some(), "{diagnostic:?}");
        seen.insert(is_bug);
    }
    assert_eq!(seen.len(), 2);
}

fn findings_of(change: impl FnOnce(&mut Case)) -> Vec<crate::review::Finding> {
    let mut case = sound();
    change(&mut case);
    findings(&case.plan, &case.desired, &case.state)
}

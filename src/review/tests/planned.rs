//! Plans of the real planner.

use std::collections::BTreeMap;

use super::world::World;
use crate::addr::Address;
use crate::diag::render;
use crate::ledger::Release;
use crate::ledger::event::{Phase, RunKind};
use crate::ledger::record::Pin;
use crate::plan::{Action, Change, ChangeKind, CheckStep, Options, Work};

fn rules(world: &World, options: &Options) -> Vec<&'static str> {
    let made = world.plan(options, &[]).unwrap_or_else(|d| panic!("no plan: {:#?}", d.sorted()));
    world.findings(&made).iter().map(|f| f.rule).collect()
}

/// What a user sees of the first finding.
fn shown(world: &World) -> String {
    let made = world.plan(&Options::default(), &[]).unwrap_or_else(|d| panic!("no plan: {:#?}", d.sorted()));
    let found = world.findings(&made);
    found.first().map(|f| render(&f.diagnostic, &made.desired.sources)).unwrap_or_default()
}

#[test]
fn plans_of_the_sample_are_clean() {
    for name in ["local", "staging"] {
        let mut world = World::sample(name);
        let first = world.clean(&Options::default(), &[]);
        assert!(first.plan.working_steps() >= 6, "{name} makes, pins, migrates, starts and checks");
        world.carry_out(&first.plan);
        let again = world.clean(&Options::default(), &[]);
        assert!(!again.plan.changes.iter().any(Change::is_cause), "{name}: {:#?}", again.plan.changes);
        let second = world.clean(&Options::default(), &[("shop_release", "2")]);
        for wanted in [Action::Stage, Action::Switch, Action::Retire] {
            let acts = |w: &Work| matches!(w, Work::Act(act) if act.action == wanted);
            assert!(second.plan.steps.iter().any(|s| acts(&s.work)), "{name} has a {} step", wanted.word());
        }
        let proves = |w: &Work| matches!(w, Work::Check(CheckStep { phase: Phase::Prove, .. }));
        assert!(second.plan.steps.iter().any(|s| proves(&s.work)), "{name} proves");
        let destroy = world.clean(&Options { destroy: true, ..Options::default() }, &[]);
        assert!(destroy.plan.count(|k| k == ChangeKind::Delete) >= 2);
    }
}

/// Production takes what staging has, and builds nothing.
#[test]
fn promotions_of_the_sample_are_clean() {
    let mut staging = World::sample("staging");
    let deployed = staging.clean(&Options::default(), &[]);
    staging.carry_out(&deployed.plan);
    let mut production = World::sample("production");
    let promotion = |artifacts: &BTreeMap<Address, Pin>| {
        let release = Release {
            environment: "staging".into(),
            lineage: "a lineage".into(),
            generation: 1,
            configuration: "a digest".into(),
            artifacts: artifacts.clone(),
            migrations: BTreeMap::new(),
            evidence: BTreeMap::new(),
        };
        let (kind, pins) = (RunKind::Promote, release.artifacts.clone());
        Options { kind, pins, promoted: Some(Box::new(release)), ..Options::default() }
    };
    let mut artifacts = staging.state.pins.clone();
    let first = production.clean(&promotion(&artifacts), &[]);
    assert!(first.plan.changes.iter().all(|c| &*c.address.ty != "local_command"), "it builds nothing");
    production.carry_out(&first.plan);
    let again = production.clean(&Options::default(), &[]);
    assert!(!again.plan.changes.iter().any(Change::is_cause), "{:#?}", again.plan.changes);
    artifacts.values_mut().for_each(|pin| pin.digest = format!("sha256:{}", "ab".repeat(32)));
    let second = production.clean(&promotion(&artifacts), &[]);
    let proves = |w: &Work| matches!(w, Work::Check(CheckStep { phase: Phase::Prove, .. }));
    assert!(second.plan.steps.iter().any(|s| proves(&s.work)), "what comes by promotion is proven here too");
}

#[test]
fn the_way_back_of_a_first_deployment_is_clean() {
    let mut world = World::sample("local");
    let first = world.clean(&Options::default(), &[]);
    world.begin(&first.plan);
    world.carry_out(&first.plan);
    let touched = world.state.open.as_ref().unwrap().touched.clone();
    let schema: Address = "migration.schema".parse().unwrap();
    let options = Options {
        limit: Some(touched),
        older: true,
        going_back: true,
        to_nothing: true,
        revert: [(schema, vec![3, 2, 1])].into(),
        ..Options::default()
    };
    let back = world.clean(&options, &[]);
    assert_eq!(back.plan.steps.iter().filter(|s| matches!(s.work, Work::Revert { .. })).count(), 3);
}

const CHAIN: &str = r#"
resource "terraform_data" "config" { input = "1" }
resource "terraform_data" "other" { input = terraform_data.config.id }
resource "local_service" "shop" {
  command     = ["serve"]
  port        = 8080
  environment = { CONFIG = terraform_data.config.id }
}
"#;

#[test]
fn what_an_old_version_depends_on_goes_after_it() {
    let mut world = World::of(CHAIN);
    let first = world.clean(&Options::default(), &[]);
    world.carry_out(&first.plan);
    world.write(
        r#"
resource "terraform_data" "other" {
  triggers_replace = "new"
  lifecycle { create_before_destroy = true }
}
resource "local_service" "shop" {
  command = ["serve"]
  port    = 8080
}
"#,
    );
    let second = world.clean(&Options::default(), &[]);
    assert_eq!(second.plan.count(|k| k == ChangeKind::Delete), 1);
    assert_eq!(second.plan.count(|k| k == ChangeKind::ReplaceCreateFirst), 1);
}

#[test]
fn replacements_either_way_are_clean() {
    for lifecycle in ["", "lifecycle { create_before_destroy = true }"] {
        let text = |n: u8| {
            format!(
                "resource \"terraform_data\" \"a\" {{\n  triggers_replace = {n}\n  {lifecycle}\n}}\n\
                 resource \"terraform_data\" \"b\" {{\n  count = 3\n  triggers_replace = terraform_data.a.id\n  {lifecycle}\n}}\n"
            )
        };
        let mut world = World::of(&text(1));
        let first = world.clean(&Options::default(), &[]);
        world.carry_out(&first.plan);
        world.write(&text(2));
        let second = world.clean(&Options::default(), &[]);
        assert_eq!(second.plan.count(ChangeKind::is_replace), 4);
    }
}

#[test]
fn who_waits_for_a_check_begins_after_its_verdict() {
    let world = World::of(
        r#"
resource "local_service" "shop" {
  command = ["serve"]
  port    = 8080
}
smoke_test "shop" {
  http { url = local_service.shop.url }
}
resource "local_command" "announce" {
  create     = ["announce"]
  depends_on = [smoke_test.shop]
}
"#,
    );
    world.clean(&Options::default(), &[]);
}

#[test]
fn a_move_comes_before_what_else_happens_to_its_node() {
    let mut world = World::of("resource \"terraform_data\" \"a\" { input = 1 }\n");
    let first = world.clean(&Options::default(), &[]);
    world.carry_out(&first.plan);
    world.write(
        "moved {\n  from = terraform_data.a\n  to   = terraform_data.b\n}\nresource \"terraform_data\" \"b\" { input = 2 }\n",
    );
    let second = world.clean(&Options::default(), &[]);
    assert_eq!(second.plan.working_steps(), 2);
}

#[test]
fn a_workload_that_does_not_wait_for_its_schema_is_refused() {
    let text = |url: &str| {
        format!(
            "migration \"schema\" {{\n  database = \"sqlite://shop.db\"\n  source   = \"../../migrations\"\n}}\n\
             resource \"local_service\" \"shop\" {{\n  command     = [\"serve\"]\n  port        = 8080\n  environment = {{ URL = \
             {url} }}\n}}\n"
        )
    };
    let world = World::of(&text("\"sqlite://shop.db\""));
    assert_eq!(rules(&world, &Options::default()), ["schema-first"]);
    let shown = shown(&world);
    for part in [
        "Workload does not wait for its schema",
        "main.hcl:5",
        "local_service.shop uses the database that migration.schema migrates",
        "Take the URL from migration.schema.url",
    ] {
        assert!(shown.contains(part), "{part:?} in\n{shown}");
    }
    assert!(!shown.contains("shop.db"), "{shown}");
    assert_eq!(rules(&World::of(&text("migration.schema.url")), &Options::default()), [""; 0]);
    assert_eq!(rules(&World::of(&text("\"sqlite://another.db\"")), &Options::default()), [""; 0]);
}

#[test]
fn what_may_not_be_destroyed_is_not() {
    let kept = "resource \"terraform_data\" \"a\" {\n  count = 1\n  lifecycle { prevent_destroy = true }\n}\n";
    let mut world = World::of(kept);
    let first = world.clean(&Options::default(), &[]);
    world.carry_out(&first.plan);
    assert_eq!(rules(&world, &Options { destroy: true, ..Options::default() }), ["prevent-destroy"]);
    world.write(&kept.replace("count = 1", "count = 0"));
    assert_eq!(rules(&world, &Options::default()), ["prevent-destroy"]);
    assert!(shown(&world).contains("main.hcl:1"), "{}", shown(&world));
    // Without the block nothing says so any more, as in Terraform.
    world.write("");
    assert_eq!(rules(&world, &Options::default()), [""; 0]);
}

#[test]
fn one_object_has_one_block() {
    let world = World::of(
        "resource \"local_file\" \"a\" {\n  filename = \"x\"\n}\nresource \"local_file\" \"b\" {\n  filename = \"x\"\n}\n",
    );
    assert_eq!(rules(&world, &Options::default()), ["claims"]);
    assert!(shown(&world).contains("local_file.a and local_file.b are one and the same object"), "{}", shown(&world));
    let migration = |name: &str| {
        format!("migration \"{name}\" {{\n  database = \"sqlite://x.db\"\n  source = \"../../migrations\"\n}}\n")
    };
    let world = World::of(&(migration("a") + &migration("b")));
    assert_eq!(rules(&world, &Options::default()), ["claims"]);
}

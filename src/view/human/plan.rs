//! A plan as Terraform's users know it, with what only Gantry has: migrations, checks, staged workloads, and what cannot be
//! undone.

use std::collections::BTreeMap;

use super::diff::{self, Ways};
use super::page::{Mark, Page};
use super::{block, checks, delivery};
use crate::addr::{Address, NodeKind};
use crate::ledger::event::{CheckJudged, RunKind};
use crate::plan::{Change, ChangeKind, Detail, OnFailure, OutputChange, Plan};
use crate::value::{Path, Type, Value, decode};
use crate::view::words::{clean, sentence};
use crate::view::{Ink, Style};

/// How many of the plan's objects there are of each fate, as the summary counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Objects that are taken on.
    pub import: usize,
    /// Resources that are made; also those that replace one.
    pub add: usize,
    /// Resources that are changed.
    pub change: usize,
    /// Resources that go; also those that are replaced.
    pub destroy: usize,
    /// Records that are dropped.
    pub forget: usize,
    /// Records that are written anew.
    pub record: usize,
    /// Data sources that are read during the apply.
    pub read: usize,
    /// Migrations that are applied or taken back.
    pub migrations: usize,
    /// Checks that run.
    pub checks: usize,
    /// Artifacts that are fixed.
    pub artifacts: usize,
}

impl Counts {
    /// Counts a plan's changes.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut n = Self::default();
        for change in &plan.changes {
            n.import += usize::from(change.importing.is_some());
            match (&change.detail, change.kind) {
                (Detail::Migration(d), _) => n.migrations += d.pending.len() + d.reverting.len(),
                (_, ChangeKind::NoOp) => {}
                _ if change.only_imports() => {}
                (Detail::Check(_) | Detail::Assertions(_), _) => n.checks += usize::from(delivery::runs(change)),
                (Detail::Artifact, _) => n.artifacts += 1,
                (_, ChangeKind::Create) => n.add += 1,
                (_, ChangeKind::Update) => n.change += 1,
                (_, ChangeKind::Delete) => n.destroy += 1,
                (_, ChangeKind::ReplaceCreateFirst | ChangeKind::ReplaceDeleteFirst) => {
                    n.add += 1;
                    n.destroy += 1;
                }
                (_, ChangeKind::Forget) => n.forget += 1,
                (_, ChangeKind::Record) => n.record += 1,
                (_, ChangeKind::Read) => n.read += 1,
                (_, ChangeKind::Run) => {}
            }
        }
        n
    }

    /// `Plan: 2 to add, 1 to change, 0 to destroy; 1 migration, 3 checks.`
    #[must_use]
    pub fn sentence(&self) -> String {
        let import = if self.import > 0 { format!("{} to import, ", self.import) } else { String::new() };
        let mut out =
            format!("Plan: {import}{} to add, {} to change, {} to destroy", self.add, self.change, self.destroy);
        let others: Vec<String> = [
            (self.record, "record to update", "records to update"),
            (self.forget, "object to forget", "objects to forget"),
            (self.read, "read", "reads"),
            (self.artifacts, "artifact", "artifacts"),
            (self.migrations, "migration", "migrations"),
            (self.checks, "check", "checks"),
        ]
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
        .collect();
        if !others.is_empty() {
            out.push_str("; ");
            out.push_str(&others.join(", "));
        }
        out.push('.');
        out
    }
}

/// A plan as text. `last` are the last verdicts of the environment's checks ([`crate::ledger::State::checks`]), which are shown
/// when there is nothing to do. The plan's warnings are not in it: they are diagnostics and go where those go.
#[must_use]
pub fn plan(plan: &Plan, last: &BTreeMap<Address, (CheckJudged, String)>, style: Style) -> String {
    let mut page = Page::new(style);
    block::write_drift(&mut page, plan);
    // A record that moves is no cause for a run by itself, but nobody should learn of it afterwards only.
    if plan.has_changes() || plan.changes.iter().any(|c| c.moved_from.is_some()) {
        header(&mut page, plan);
        let stagings = block::stagings(plan);
        for change in plan.changes.iter().filter(|c| shown_as_block(c)) {
            block::write(&mut page, plan, change, stagings.get(&change.address).map(String::as_str));
        }
        delivery::write_artifacts(&mut page, plan);
        delivery::write_migrations(&mut page, plan);
        delivery::write_checks(&mut page, plan);
        outputs(&mut page, plan);
        cannot_be_undone(&mut page, plan);
        page.gap();
        if plan.kind != RunKind::Refresh {
            page.prose(&on_failure(plan));
        }
        unreadable(&mut page, plan);
        page.gap();
        page.heading(&Counts::of(plan).sentence());
        if plan.partial {
            page.prose(
                "This plan is limited by --target or --replace: its generation is partial and cannot be promoted.",
            );
        }
        return page.finish();
    }
    if plan.unreadable.is_empty() {
        page.prose(&format!("{} {}", style.paint(Ink::Green, &style.bold("No changes.")), nothing(plan)));
    } else {
        page.heading("No changes found, but the plan is incomplete.");
    }
    unreadable(&mut page, plan);
    let verdicts = checks::verdicts(last, style);
    if !verdicts.is_empty() {
        page.gap();
        page.prose("The checks, when they last ran:");
        for line in verdicts.lines() {
            page.prose(line);
        }
    }
    page.finish()
}

fn nothing(plan: &Plan) -> String {
    let name = clean(&plan.environment);
    match plan.kind {
        RunKind::Destroy => format!("There is nothing in {name} to destroy."),
        RunKind::Rollback => format!("{name} is as that generation left it."),
        RunKind::Refresh => format!("{name} still matches what was recorded."),
        _ => format!("{name} matches its configuration."),
    }
}

fn shown_as_block(change: &Change) -> bool {
    // What a refresh records is shown as what changed outside already.
    change.kind != ChangeKind::Record
        && matches!(change.address.kind, NodeKind::Resource | NodeKind::Data)
        && (!change.is_no_op() || change.moved_from.is_some() || change.importing.is_some())
}

fn header(page: &mut Page, plan: &Plan) {
    let name = clean(&plan.environment);
    if plan.kind == RunKind::Refresh {
        page.prose("This is a refresh-only plan, so Gantry will not take any actions to undo these. If you were expecting these");
        page.prose(&format!("changes, apply it to update the recorded state of {name} without changing any object."));
        return;
    }
    let base = plan.base.map_or_else(|| "nothing yet".to_owned(), |n| format!("generation {n}"));
    let verb = match plan.kind {
        RunKind::Destroy => "destroy",
        RunKind::Rollback => "roll back",
        RunKind::Promote => "promote to",
        _ => "change",
    };
    page.prose(&format!("Gantry will {verb} {name}, making generation {} from {base}.", plan.generation));
    let words: Vec<(Mark, &str)> = [
        (ChangeKind::Create, Mark::Add, "create"),
        (ChangeKind::Update, Mark::Change, "update in-place"),
        (ChangeKind::Delete, Mark::Remove, "destroy"),
        (ChangeKind::ReplaceDeleteFirst, Mark::DeleteFirst, "destroy and then create replacement"),
        (ChangeKind::ReplaceCreateFirst, Mark::CreateFirst, "create replacement and then destroy"),
        (ChangeKind::Read, Mark::Read, "read (data sources)"),
        (ChangeKind::Run, Mark::Run, "run (migrations, artifacts, checks)"),
        (ChangeKind::Forget, Mark::Forget, "forget (the object stays)"),
    ]
    .into_iter()
    .filter(|(kind, ..)| plan.changes.iter().any(|change| change.kind == *kind && !change.only_imports()))
    .map(|(_, mark, words)| (mark, words))
    .collect();
    if words.is_empty() {
        return;
    }
    page.prose("Actions are indicated with the following symbols:");
    for (mark, words) in words {
        page.line(0, mark, words);
    }
}

fn outputs(page: &mut Page, plan: &Plan) {
    let changed: Vec<_> = plan.outputs.iter().filter(|(_, o)| o.changes).collect();
    if changed.is_empty() {
        return;
    }
    page.gap();
    page.heading("Changes to Outputs:");
    let sides: Vec<(crate::value::Map, crate::value::Map)> = changed
        .iter()
        .map(|(name, output)| {
            let one = |v: Option<Value>| v.map(|v| ((*name).clone(), v)).into_iter().collect();
            let (before, after) = output_sides(output);
            (one(before), one(after))
        })
        .collect();
    let mut before = crate::value::Map::new();
    let mut after = crate::value::Map::new();
    for (old, new) in sides {
        before.extend(old);
        after.extend(new);
    }
    let differs: Vec<Path> = changed.iter().map(|(name, _)| Path::attribute((*name).clone())).collect();
    let ways = Ways { differs: &differs, replaces: &[] };
    diff::entries(page, 0, &Path::default(), (&before, &after), false, ways);
}

/// Both sides of an output, marked where it is sensitive.
pub(in crate::view) fn output_sides(output: &OutputChange) -> (Option<Value>, Option<Value>) {
    let mark = |v: Value| if output.sensitive { v.sensitive() } else { v };
    let before = output.before.as_ref().and_then(|json| decode(json, &Type::Any).ok());
    (before.map(mark), output.after.clone().map(mark))
}

fn cannot_be_undone(page: &mut Page, plan: &Plan) {
    let impossible: Vec<_> = plan.way_back.iter().filter(|w| !w.possible).collect();
    if impossible.is_empty() {
        return;
    }
    page.gap();
    page.heading("What cannot be undone:");
    for way in impossible {
        let line = format!("{}: {}", clean(&way.address.to_string()), sentence(&way.sentence));
        let bullet = page.style().paint(Ink::Red, "!");
        page.prose(&format!("  {bullet} {line}"));
    }
}

fn on_failure(plan: &Plan) -> String {
    let name = clean(&plan.environment);
    if plan.kind == RunKind::Destroy {
        return "A step that fails leaves the run held: what is gone by then is gone.".to_owned();
    }
    match (plan.on_failure, plan.base) {
        (OnFailure::Rollback, Some(base)) => {
            format!("If a step or a check fails, the run takes {name} back to generation {base}.")
        }
        (OnFailure::Rollback, None) => "If a step or a check fails, the run removes what it created.".to_owned(),
        (OnFailure::Hold, _) => format!(
            "If a step or a check fails, the run is held: everything stays as it is then, and `gantry apply {name}` goes on \
             or `gantry rollback {name}` goes back."
        ),
    }
}

fn unreadable(page: &mut Page, plan: &Plan) {
    if plan.unreadable.is_empty() {
        return;
    }
    page.gap();
    page.heading("This plan is incomplete. Could not be read:");
    for (address, why) in &plan.unreadable {
        let bullet = page.style().paint(Ink::Yellow, "?");
        page.prose(&format!("  {bullet} {}: {}", clean(&address.to_string()), sentence(why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Reason;
    use crate::view::samples::{CANARY, address, full, judged, object, plan as made, resource, string, terraform};

    fn text(of: &Plan) -> String {
        plan(of, &BTreeMap::new(), Style::Plain)
    }

    /// The blocks of a plan's text by their first comment line, and the lines outside of them.
    fn blocks(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
        let (mut inside, mut outside): (BTreeMap<String, String>, Vec<String>) = Default::default();
        let mut current: Option<String> = None;
        for line in text.lines().filter(|l| !l.is_empty()) {
            if current.is_none() && line.starts_with("  # ") {
                current = Some(line.to_owned());
            }
            match &current {
                Some(name) => inside.entry(name.clone()).or_default().push_str(&format!("{line}\n")),
                None => outside.push(line.to_owned()),
            }
            if line == "    }" {
                current = None;
            }
        }
        (inside, outside)
    }

    #[test]
    fn a_plan_reads_as_terraform_writes_it() {
        let recorded = include_str!("../../../tests/data/terraform-plan/plan.txt");
        let (theirs, around) = blocks(recorded);
        // Terraform says so as well, but not for attributes without a type.
        let (ours, outside) = blocks(&text(&terraform().0).replace(" # forces replacement", ""));
        assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
        for (name, block) in &theirs {
            // JSON in a string is compared line by line here, by its parts there.
            if name != "  # terraform_data.j will be updated in-place" {
                assert_eq!(ours[name], *block);
            }
        }
        let from = around.iter().position(|l| l == "Changes to Outputs:").unwrap();
        let to = around.iter().position(|l| l.starts_with('─')).unwrap();
        assert!(around[from..to].iter().all(|l| outside.contains(l)), "{outside:#?}");
        assert!(outside.contains(&"Plan: 3 to add, 4 to change, 4 to destroy.".to_owned()), "{outside:#?}");
    }

    #[test]
    fn json_in_strings_is_compared_by_line() {
        let (plan, _) = terraform();
        let (ours, _) = blocks(&text(&plan));
        let block = &ours["  # terraform_data.j will be updated in-place"];
        let expected = r#"      ~ input  = jsonencode(
            {
              "a": 1,
              "b": {
          -     "c": "1"
          +     "c": "2"
              },
"#;
        assert!(block.contains(expected), "{block}");
    }

    #[test]
    fn a_whole_plan() {
        let expected = r#"Note: Objects have changed outside of Gantry

Gantry found the following differences between what it recorded and what is there now:

  # local_service.shop has changed
  ~ resource "local_service" "shop" {
      ~ command = [
          ~ "bin/shop-0" -> "bin/shop-1",
        ]
        id      = "svc-1"
      ~ token   = (sensitive value)
        # (3 unchanged attributes hidden)
    }

─────────────────────────────────────────────────────────────────────────────

Gantry will change local, making generation 3 from generation 2.
Actions are indicated with the following symbols:
  + create
  ~ update in-place
  > run (migrations, artifacts, checks)

  # local_file.conf will be created
  + resource "local_file" "conf" {
      + content  = (sensitive value)
      + filename = "x"
      + id       = (known after apply)
    }

  # local_service.shop will be updated: staged beside the old version, proven by health_check.shop, then switched
  ~ resource "local_service" "shop" {
      ~ command = [
          ~ "bin/shop-1" -> "bin/shop-2",
        ]
        id      = "svc-1"
      ~ token   = (sensitive value)
        # (3 unchanged attributes hidden)
    }

  # artifact.shop will be pinned to its content
  > artifact "shop" {
        file   = target/release/shop
      + digest = (known after apply)
    }

  # migration.schema: 1 migration to apply (at version 2)
  > migration "schema" {
      + 0003 drop_notes  # 0003_drop_notes.up.sql
            ALTER TABLE orders
              DROP COLUMN notes;
            # effect: Destroys the data in orders.notes (line 2).
            # way back: none
        # 0003_drop_notes has no down file.
    }

Checks that will run:
  > health_check.shop    prove the new local_service.shop, then verify  GET http://127.0.0.1:8080/health, every 1s, for up to 60s, until 2 pass in a row
  > smoke_test.checkout  verify                                         command curl (sensitive value)

Changes to Outputs:
  ~ password = (sensitive value)
  ~ url      = "http://old" -> (known after apply)

What cannot be undone:
  ! migration.schema: 0003_drop_notes has no down file.

If a step or a check fails, the run takes local back to generation 2.

This plan is incomplete. Could not be read:
  ? data.local_file.gone: permission denied

Plan: 1 to add, 1 to change, 0 to destroy; 1 artifact, 1 migration, 2 checks.
"#;
        assert_eq!(text(&full()), expected);
    }

    #[test]
    fn colour_changes_no_word_and_shows_no_secret() {
        let coloured = plan(&full(), &BTreeMap::new(), Style::Ansi);
        let mut bare = String::new();
        for (i, part) in coloured.split("\u{1b}[").enumerate() {
            bare.push_str(if i == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(bare, text(&full()));
        assert!(coloured.contains("\u{1b}[32m+\u{1b}[0m") && !coloured.contains(CANARY));
    }

    #[test]
    fn nothing_to_do_says_when_the_checks_last_passed() {
        let last = BTreeMap::from([(
            address("health_check.shop"),
            (judged("health_check.shop", true), "2026-11-21T00:16:41.123Z".to_owned()),
        )]);
        let mut none = made(vec![]);
        assert_eq!(
            plan(&none, &last, Style::Plain),
            "No changes. local matches its configuration.\n\nThe checks, when they last ran:\n  \
             passed  health_check.shop  2026-11-21 00:16:41Z  HTTP 200 in 3 ms\n"
        );
        none.unreadable = vec![(address("local_file.x"), "permission denied".into())];
        assert_eq!(
            text(&none),
            "No changes found, but the plan is incomplete.\n\nThis plan is incomplete. Could not be read:\n  \
             ? local_file.x: permission denied\n"
        );
    }

    #[test]
    fn on_failure_is_announced() {
        let side = || Some(object([("a", string("x"))]));
        let mut first = made(vec![resource("local_file.a", ChangeKind::Create, Reason::New, None, side())]);
        first.base = None;
        assert!(text(&first).contains("making generation 3 from nothing yet.\n"));
        assert!(text(&first).contains("\nIf a step or a check fails, the run removes what it created.\n"));
        first.on_failure = OnFailure::Hold;
        first.partial = true;
        let held = text(&first);
        assert!(held.contains("`gantry apply local` goes on"), "{held}");
        assert!(held.ends_with("is partial and cannot be promoted.\n"), "{held}");
    }

    #[test]
    fn drift_is_told_also_of_what_is_gone_and_of_secrets() {
        let side = |secret: Value| Some(object([("content", secret), ("id", string("x"))]));
        let sealed = || Value::sealed(Type::String, "digest");
        let now = || side(string(CANARY).sensitive());
        let mut other = resource("local_file.a", ChangeKind::Update, Reason::Drifted, now(), side(sealed()));
        other.drift = side(sealed());
        let gone = resource("local_file.b", ChangeKind::Create, Reason::Vanished, None, side(sealed()));
        let text = text(&made(vec![other, gone]));
        let (drift, changes) = text.split_once('─').unwrap();
        assert!(drift.contains("  # local_file.a has changed\n"), "{drift}");
        assert!(drift.contains("        # (sensitive values of it have changed)\n"), "{drift}");
        assert!(drift.contains("  # local_file.b is gone\n"), "{drift}");
        assert!(changes.contains("      ~ content = (sensitive value)\n"), "{changes}");
        assert!(
            changes.contains("# (because it was recorded, but its target does not have it any more)\n"),
            "{changes}"
        );
        assert!(!text.contains(CANARY), "{text}");
    }

    #[test]
    fn a_hostile_plan_stays_on_its_lines() {
        let evil = "a\u{1b}[2J\u{202e}\nb";
        let object = Some(object([("content", string(evil)), (evil, string("x"))]));
        let mut hostile = made(vec![resource("local_file.a", ChangeKind::Create, Reason::New, None, object)]);
        hostile.environment = evil.into();
        hostile.unreadable = vec![(address("local_file.b"), evil.into())];
        let text = text(&hostile);
        assert!(!text.chars().any(|c| c == '\u{1b}' || c == '\u{202e}'), "{text:?}");
        assert!(text.contains("            a\\u{1b}[2J\\u{202e}\n            b\n"), "{text}");
    }
}

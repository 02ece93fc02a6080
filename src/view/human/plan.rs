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
    /// Resources that are made; also those that replace one.
    pub add: usize,
    /// Resources that are changed.
    pub change: usize,
    /// Resources that go; also those that are replaced.
    pub destroy: usize,
    /// Records that are dropped.
    pub forget: usize,
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
            match (&change.detail, change.kind) {
                (Detail::Migration(d), _) => n.migrations += d.pending.len() + d.reverting.len(),
                (_, ChangeKind::NoOp) => {}
                (Detail::Check(_), _) => n.checks += usize::from(delivery::runs(change)),
                (Detail::Artifact, _) => n.artifacts += 1,
                (_, ChangeKind::Create) => n.add += 1,
                (_, ChangeKind::Update) => n.change += 1,
                (_, ChangeKind::Delete) => n.destroy += 1,
                (_, ChangeKind::ReplaceCreateFirst | ChangeKind::ReplaceDeleteFirst) => {
                    n.add += 1;
                    n.destroy += 1;
                }
                (_, ChangeKind::Forget) => n.forget += 1,
                (_, ChangeKind::Read) => n.read += 1,
                (_, ChangeKind::Run) => {}
            }
        }
        n
    }

    /// `Plan: 2 to add, 1 to change, 0 to destroy; 1 migration, 3 checks.`
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut out = format!("Plan: {} to add, {} to change, {} to destroy", self.add, self.change, self.destroy);
        let others: Vec<String> = [
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
    if plan.has_changes() {
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
        page.prose(&on_failure(plan));
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
        _ => format!("{name} matches its configuration."),
    }
}

fn shown_as_block(change: &Change) -> bool {
    matches!(change.address.kind, NodeKind::Resource | NodeKind::Data)
        && (!change.is_no_op() || change.moved_from.is_some())
}

fn header(page: &mut Page, plan: &Plan) {
    let name = clean(&plan.environment);
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
    .filter(|(kind, ..)| plan.count(|k| k == *kind) > 0)
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
    page.heading("Changes to outputs:");
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
    match (plan.on_failure, plan.base) {
        (OnFailure::Rollback, Some(base)) => {
            format!("If a step or a check fails, the run takes {name} back to generation {base}.")
        }
        (OnFailure::Rollback, None) => "If a step or a check fails, the run removes what it created.".to_owned(),
        (OnFailure::Hold, _) => format!(
            "If a step or a check fails, the run is held: everything stays as it is then, and `gantry resume {name}` goes on \
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
    use crate::view::samples::full;

    #[test]
    fn show_me() {
        println!("{}", plan(&full(), &BTreeMap::new(), Style::Plain));
        println!("{}", crate::view::human::show("local", &crate::view::samples::state_under_way(), Style::Plain));
        println!("{}", crate::view::human::history(&crate::view::samples::state_under_way(), Style::Plain));
        println!("{}", crate::view::human::show_generation("local", &crate::view::samples::state().generations[1], Style::Plain));
    }
}

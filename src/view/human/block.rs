//! One resource or data source of a plan: comment lines, header, attributes.

use std::collections::BTreeMap;

use super::diff::{self, Ways};
use super::page::{Mark, Page};
use super::reason;
use crate::addr::{Address, NodeKind};
use crate::plan::{Change, ChangeKind, Detail, Plan, Reason, Work};
use crate::value::{Map, Path, Value};
use crate::view::mask::masked;
use crate::view::words::clean;

/// The symbol of a change.
fn mark(change: &Change) -> Mark {
    match change.kind {
        _ if change.only_imports() => Mark::Keep,
        ChangeKind::NoOp => Mark::Keep,
        ChangeKind::Read => Mark::Read,
        ChangeKind::Create => Mark::Add,
        ChangeKind::Update | ChangeKind::Record => Mark::Change,
        ChangeKind::ReplaceDeleteFirst => Mark::DeleteFirst,
        ChangeKind::ReplaceCreateFirst => Mark::CreateFirst,
        ChangeKind::Delete => Mark::Remove,
        ChangeKind::Forget => Mark::Forget,
        ChangeKind::Run => Mark::Run,
    }
}

/// Writes one change; `staging` says how it is staged, if it is.
pub(super) fn write(page: &mut Page, plan: &Plan, change: &Change, staging: Option<&str>) {
    page.gap();
    let mut lines = reason::headlines(change);
    if let Some(staging) = staging {
        lines[0] = format!("{} {staging}", clean(&change.address.to_string()));
    }
    for (i, line) in lines.iter().enumerate() {
        let text = if i == 0 { page.style().bold(&format!("# {line}")) } else { format!("# {line}") };
        page.prose(&format!("  {text}"));
    }
    let word = if change.is(NodeKind::Data) { "data" } else { "resource" };
    let header = format!("{word} {} {{", header(&change.address));
    page.line(0, mark(change), &header);
    attributes(page, plan, change);
    page.line(0, Mark::Keep, "}");
}

fn header(address: &Address) -> String {
    format!("\"{}\" \"{}\"", clean(&address.ty), clean(&address.name))
}

/// How each workload that the plan stages is updated: what proves the new version, and that traffic moves only then.
pub(super) fn stagings(plan: &Plan) -> BTreeMap<Address, String> {
    let stages = |work: &Work| matches!(work, Work::Act(act) if act.action.word() == "stage");
    let mut proofs: BTreeMap<Address, Vec<String>> =
        plan.steps.iter().filter(|s| stages(&s.work)).map(|s| (s.address.clone(), Vec::new())).collect();
    for change in &plan.changes {
        let Detail::Check(check) = &change.detail else { continue };
        for (workload, _) in &check.prove {
            if let Some(by) = proofs.get_mut(workload) {
                by.push(clean(&change.address.to_string()));
            }
        }
    }
    let words = |by: Vec<String>| {
        let proven = if by.is_empty() { String::new() } else { format!("proven by {}, ", by.join(" and ")) };
        format!("will be updated: staged beside the old version, {proven}then switched")
    };
    proofs.into_iter().map(|(workload, by)| (workload, words(by))).collect()
}

fn attributes(page: &mut Page, plan: &Plan, change: &Change) {
    let side = |value: &Option<Value>| value.as_ref().map(|v| masked(plan, &change.address, v));
    let (before, after) = (side(&change.before), side(&change.after));
    let ways = Ways { differs: &change.differs, replaces: &change.replaces };
    let told = |side: &Option<Value>| side.as_ref().and_then(Value::as_map).map(|all| told(plan, change, all));
    match (told(&before).as_ref(), told(&after).as_ref()) {
        // Nobody has seen it before, so all of it is shown.
        (Some(_), Some(new)) if change.only_imports() => {
            diff::whole_attributes(page, 1, Mark::Keep, new, "");
        }
        (Some(old), Some(new)) => {
            let (old, new) = normalised(plan, change, old, new);
            diff::entries(page, 1, &Path::default(), (&old, &new), false, ways);
        }
        (None, Some(new)) => {
            diff::whole_attributes(
                page,
                1,
                if change.kind == ChangeKind::NoOp { Mark::Keep } else { Mark::Add },
                new,
                "",
            );
        }
        (Some(old), None) if change.kind == ChangeKind::Forget => {
            diff::whole_attributes(page, 1, Mark::Keep, old, "");
        }
        (Some(old), None) => diff::whole_attributes(page, 1, Mark::Remove, old, " -> null"),
        (None, None) => {
            if let Some(value) = after.as_ref().or(before.as_ref()) {
                diff::whole(page, 1, (Mark::Keep, Mark::Keep), "", value, "");
            }
        }
    }
}

/// The attributes that say something about a change. What a target answers and no comparison looks at is the object once more.
fn told(plan: &Plan, change: &Change, all: &Map) -> Map {
    let schema = plan.schemas.get(&*change.address.ty);
    let quiet =
        |name: &str| schema.and_then(|schema| schema.attributes.get(name)).is_some_and(|a| a.ignored && !a.settable());
    all.iter().filter(|(name, _)| !quiet(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Both sides with those attributes taken as before that are the same once the type has normalised them: the plan did not
/// count them as a difference, so nobody should see one.
fn normalised(plan: &Plan, change: &Change, old: &Map, new: &Map) -> (Map, Map) {
    let (old, mut new) = (old.clone(), new.clone());
    let Some(schema) = plan.schemas.get(&*change.address.ty) else { return (old, new) };
    for (name, attribute) in &schema.attributes {
        let (Some(normalise), Some(a), Some(b)) = (attribute.normalise, old.get(name), new.get(name)) else {
            continue;
        };
        let known = a.is_wholly_known() && b.is_wholly_known();
        if known && diff::alike(&normalise(a), &normalise(b)) {
            let same = a.clone();
            new.insert(name.clone(), same);
        }
    }
    (old, new)
}

/// What changed in the targets since it was recorded.
pub(super) fn write_drift(page: &mut Page, plan: &Plan) {
    let drifted: Vec<&Change> =
        plan.changes.iter().filter(|c| c.drift.is_some() || c.reason == Reason::Vanished).collect();
    if drifted.is_empty() {
        return;
    }
    page.heading("Note: Objects have changed outside of Gantry");
    page.gap();
    page.prose("Gantry found the following differences between what it recorded and what is there now:");
    for change in drifted {
        let fate = if change.before.is_none() || change.reason == Reason::Vanished { "is gone" } else { "has changed" };
        title(page, &change.address, fate);
        let Some(recorded) = change.drift.as_ref().map(|v| masked(plan, &change.address, v)) else { continue };
        let observed = change.before.as_ref().map(|v| masked(plan, &change.address, v));
        drifted_object(page, &change.address, &recorded, observed.as_ref());
    }
    page.gap();
    page.prose(&"─".repeat(RULE));
    page.gap();
}

/// The line above an object that says what became of it.
pub(super) fn title(page: &mut Page, address: &Address, fate: &str) {
    page.gap();
    page.prose(&format!("  {}", page.style().bold(&format!("# {} {fate}", clean(&address.to_string())))));
}

/// An object as it was recorded against what is there now.
pub(super) fn drifted_object(page: &mut Page, address: &Address, recorded: &Value, observed: Option<&Value>) {
    let sign = if observed.is_none() { Mark::Remove } else { Mark::Change };
    page.line(0, sign, &format!("resource {} {{", header(address)));
    match (recorded.as_map(), observed.and_then(Value::as_map)) {
        (Some(old), Some(new)) => {
            diff::entries(page, 1, &Path::default(), (old, new), false, Ways::NONE);
            if observed.is_some_and(|now| diff::alike(recorded, now)) {
                page.comment(1, "(sensitive values of it have changed)");
            }
        }
        (Some(old), None) => diff::whole_attributes(page, 1, Mark::Remove, old, " -> null"),
        _ => {}
    }
    page.line(0, Mark::Keep, "}");
}

/// How wide a rule between sections is: an old terminal's width less a margin.
const RULE: usize = 77;

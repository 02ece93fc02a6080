//! What others depended on goes after those others are gone, or have let go of it.

use std::collections::BTreeSet;

use crate::addr::Address;
use crate::plan::{Action, ChangeKind, Work};
use crate::review::finding::Findings;
use crate::review::subject::{Subject, destroys, works};

/// The records say who depends on what: the objects that stand now, whatever the configuration says by now.
pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let steps = &subject.plan.steps;
    let forward = (0..steps.len()).filter(|n| works(&steps[*n]) && !destroys(&steps[*n]));
    let early = subject.order.awaited_by(forward);
    for change in &subject.plan.changes {
        let recorded_at = change.moved_from.as_ref().unwrap_or(&change.address);
        let Some(record) = subject.recorded.records.get(recorded_at) else { continue };
        let (deleted, replaced) =
            (letting_go(subject, &change.address, false), letting_go(subject, &change.address, true));
        for dependency in &record.dependencies {
            let Some(target) = subject.changes.get(dependency) else { continue };
            let first = match target.kind {
                ChangeKind::Delete => &deleted,
                ChangeKind::ReplaceDeleteFirst => &replaced,
                _ => continue,
            };
            for delete in subject.acting(dependency, Action::Delete) {
                for own in first.iter().copied() {
                    if subject.order.before(own, delete) {
                        continue;
                    }
                    // Wishes may go in a circle, and then one order is as good as the other: a replacement that cannot stand
                    // beside its successor takes away what stands on it now, before the rest has let go; a record still names
                    // what its node let go of without being changed.
                    let circle = early[delete] || depends(subject, dependency, recorded_at);
                    if circle && subject.order.before(delete, own) {
                        continue;
                    }
                    let (own, step) = (&subject.step(own).name, subject.step(delete));
                    let sentence = format!(
                        "{} depends on {dependency}, but the step \"{}\" does not wait for the step \"{own}\"",
                        change.address, step.name
                    );
                    found.bug(&step.address, &sentence);
                }
            }
        }
    }
}

/// Whether the record of a node depends on another node, at any distance.
fn depends(subject: &Subject<'_>, node: &Address, on: &Address) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![node];
    while let Some(at) = open.pop() {
        if at == on {
            return true;
        }
        if seen.insert(at) {
            open.extend(subject.recorded.records.get(at).into_iter().flat_map(|r| &r.dependencies));
        }
    }
    false
}

/// The steps after which a node's old object does not need its dependency any more: those that take the old object away, or
/// else the one that changes it. A node whose dependency is only replaced changes after that, so it is asked only whether
/// its own delete comes first.
fn letting_go(subject: &Subject<'_>, node: &Address, replaced: bool) -> Vec<usize> {
    let old = |n: &usize| {
        let step = subject.step(*n);
        let leftover = matches!(&step.work, Work::Act(act) if act.version.is_some() && act.follows.is_none());
        destroys(step) && !leftover
    };
    let going: Vec<usize> = subject.steps_of(node).iter().copied().filter(old).collect();
    let late = subject
        .changes
        .get(node)
        .is_some_and(|c| !matches!(c.kind, ChangeKind::Delete | ChangeKind::ReplaceDeleteFirst));
    match (going.is_empty(), replaced) {
        // The old version is kept until the commit, and the dependency has to be replaced before that.
        (false, true) if late => Vec::new(),
        (false, _) => going,
        (true, true) => Vec::new(),
        (true, false) => subject.done(node).into_iter().collect(),
    }
}

//! The steps of one node come in their order: move, stage, prove, switch, retire; and the halves of a replacement.

use crate::ledger::event::Phase;
use crate::plan::{Action, Change, ChangeKind, CheckStep, Work};
use crate::review::finding::Findings;
use crate::review::subject::{Subject, destroys};

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    for change in &subject.plan.changes {
        moves_first(subject, change, found);
        switch_follows_stage(subject, change, found);
        old_goes_last(subject, change, found);
        if change.kind == ChangeKind::ReplaceDeleteFirst {
            let pairs = subject
                .acting(&change.address, Action::Delete)
                .flat_map(|d| subject.acting(&change.address, Action::Create).map(move |c| (d, c)));
            pairs.for_each(|(delete, create)| before(subject, delete, create, found));
        }
    }
    for (n, step) in subject.plan.steps.iter().enumerate() {
        if let Work::Check(CheckStep { phase: Phase::Prove, workload: Some(workload), .. }) = &step.work {
            for stage in subject.acting(workload, Action::Stage) {
                before(subject, stage, n, found);
            }
            for switch in subject.acting(workload, Action::Switch) {
                before(subject, n, switch, found);
            }
        }
    }
}

fn before(subject: &Subject<'_>, first: usize, then: usize, found: &mut Findings<'_>) {
    if !subject.order.before(first, then) {
        let (first, step) = (&subject.step(first).name, subject.step(then));
        found.bug(&step.address, &format!("the step \"{}\" does not wait for the step \"{first}\"", step.name));
    }
}

fn moves_first(subject: &Subject<'_>, change: &Change, found: &mut Findings<'_>) {
    let all = subject.steps_of(&change.address);
    let is_move = |n: &&usize| matches!(subject.step(**n).work, Work::Move { .. } | Work::Import(_));
    for moved in all.iter().filter(is_move) {
        for other in all.iter().filter(|n| !is_move(n)) {
            before(subject, *moved, *other, found);
        }
    }
}

fn switch_follows_stage(subject: &Subject<'_>, change: &Change, found: &mut Findings<'_>) {
    let address = &change.address;
    for switch in subject.acting(address, Action::Switch) {
        let Work::Act(act) = &subject.step(switch).work else { continue };
        let stage = act.follows.filter(|s| subject.acting(address, Action::Stage).any(|stage| stage == *s));
        match stage {
            Some(stage) => before(subject, stage, switch, found),
            None => {
                let name = &subject.step(switch).name;
                found.bug(
                    address,
                    &format!("the step \"{name}\" names no stage step of {address} whose version it switches to"),
                );
            }
        }
    }
}

/// What a switch or a create leaves behind goes after it; so does every other version of a workload, for the one that is
/// staged may be one that was left over.
fn old_goes_last(subject: &Subject<'_>, change: &Change, found: &mut Findings<'_>) {
    let address = &change.address;
    let all = subject.steps_of(address);
    for gone in all.iter().copied().filter(|n| destroys(subject.step(*n))) {
        let Work::Act(act) = &subject.step(gone).work else { continue };
        for switch in subject.acting(address, Action::Switch) {
            before(subject, switch, gone, found);
        }
        if change.kind == ChangeKind::ReplaceCreateFirst {
            subject.acting(address, Action::Create).for_each(|create| before(subject, create, gone, found));
        }
        if let Some(follows) = act.follows
            && !all.contains(&follows)
        {
            let (name, other) = (&subject.step(gone).name, &subject.step(follows).name);
            found.bug(
                address,
                &format!("the step \"{name}\" takes away what \"{other}\" left, which is another node's"),
            );
        }
    }
}

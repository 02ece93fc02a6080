//! Every change has the steps of its kind, and every step a change.

use std::collections::{BTreeMap, BTreeSet};

use crate::addr::Address;
use crate::ledger::event::Phase;
use crate::plan::change::{CheckDetail, MigrationDetail, ResourceDetail};
use crate::plan::{Change, ChangeKind, Detail, Lowering, Reason, Step, Work};
use crate::review::finding::Findings;
use crate::review::subject::{Subject, works};

/// What a step does, as a word that a change can be asked for.
type Deed = String;

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    for change in &subject.plan.changes {
        let mut open: BTreeMap<Deed, usize> = BTreeMap::new();
        for deed in wanted(subject, change) {
            *open.entry(deed).or_default() += 1;
        }
        let mut surplus: BTreeSet<&str> = BTreeSet::new();
        for step in subject.steps_of(&change.address).iter().map(|n| subject.step(*n)) {
            match open.get_mut(&deed(step)) {
                Some(left) if *left > 0 => *left -= 1,
                _ => {
                    surplus.insert(&step.name);
                }
            }
        }
        let address = &change.address;
        for (deed, left) in open.iter().filter(|(_, left)| **left > 0) {
            let kind = change.kind;
            found
                .bug(address, &format!("{address} is to be changed ({kind:?}), but {left} step \"{deed}\" is missing"));
        }
        for name in surplus {
            let kind = change.kind;
            found
                .bug(address, &format!("the step \"{name}\" is none that the change of {address} ({kind:?}) asks for"));
        }
    }
    let mut strangers: BTreeSet<&Address> = BTreeSet::new();
    for step in subject.plan.steps.iter().filter(|s| works(s) && !subject.changes.contains_key(&s.address)) {
        if strangers.insert(&step.address) {
            found.bug(&step.address, &format!("the step \"{}\" belongs to no change", step.name));
        }
    }
}

fn deed(step: &Step) -> Deed {
    match &step.work {
        Work::Barrier | Work::Commit => String::new(),
        Work::Act(act) => act.word().to_owned(),
        Work::Await { .. } => "await".into(),
        Work::Read { .. } => "read".into(),
        Work::Pin(_) => "pin".into(),
        Work::Migrate { migration, .. } => format!("migrate {}", migration.version),
        Work::Revert { migration, .. } => format!("revert {}", migration.version),
        Work::Check(check) => match &check.workload {
            Some(workload) => format!("{} {workload}", check.phase.word()),
            None => check.phase.word().to_owned(),
        },
        Work::Assert(_) => Phase::Verify.word().to_owned(),
        Work::Forget => "forget".into(),
        Work::Record(_) => "record".into(),
        Work::Move { from } => format!("move from {from}"),
        Work::Import(import) => format!("import {}", import.id),
    }
}

/// What has to be done for a change, each as often as it stands here.
fn wanted(subject: &Subject<'_>, change: &Change) -> Vec<Deed> {
    let mut all: Vec<Deed> = change.moved_from.iter().map(|from| format!("move from {from}")).collect();
    all.extend(change.importing.iter().map(|id| format!("import {id}")));
    if change.is_no_op() {
        return all;
    }
    match &change.detail {
        Detail::Resource(detail) => all.extend(of_resource(subject, change, detail)),
        Detail::Data { .. } => all.push("read".into()),
        Detail::Artifact => all.push("pin".into()),
        Detail::Migration(detail) => all.extend(of_migration(detail)),
        Detail::Assertions(_) => all.push(Phase::Verify.word().to_owned()),
        Detail::Check(detail) => all.extend(of_check(subject, detail)),
    }
    all
}

fn of_resource(subject: &Subject<'_>, change: &Change, detail: &ResourceDetail) -> Vec<Deed> {
    let workload = subject.is_workload(&change.address);
    let gone = if workload { "retire" } else { "delete" };
    let leftovers = || std::iter::repeat_n(gone, detail.leftovers.len());
    let waits = matches!(
        change.kind,
        ChangeKind::Create | ChangeKind::Update | ChangeKind::ReplaceCreateFirst | ChangeKind::ReplaceDeleteFirst
    ) && !matches!(change.reason, Reason::LeftOver | Reason::TakenOver)
        && subject.waits(&change.address);
    let words: Vec<&str> = match change.kind {
        ChangeKind::Create => std::iter::once("create").chain(leftovers()).collect(),
        ChangeKind::Update if change.reason == Reason::LeftOver => leftovers().collect(),
        ChangeKind::Update if change.reason == Reason::TakenOver => vec!["take over"],
        ChangeKind::Update if workload => ["stage", "switch", gone].into_iter().chain(leftovers()).collect(),
        ChangeKind::Update => std::iter::once("update").chain(leftovers()).collect(),
        ChangeKind::ReplaceCreateFirst => ["create", gone].into_iter().chain(leftovers()).collect(),
        ChangeKind::ReplaceDeleteFirst => vec!["delete", "create"],
        ChangeKind::Delete => vec!["delete"],
        ChangeKind::Forget => std::iter::once("forget").chain(leftovers()).collect(),
        ChangeKind::Record => vec!["record"],
        ChangeKind::NoOp | ChangeKind::Read | ChangeKind::Run => Vec::new(),
    };
    words.into_iter().chain(waits.then_some("await")).map(str::to_owned).collect()
}

fn of_migration(detail: &MigrationDetail) -> Vec<Deed> {
    let up = detail.pending.iter().map(|m| format!("migrate {}", m.version));
    up.chain(detail.reverting.iter().map(|m| format!("revert {}", m.version))).collect()
}

fn of_check(subject: &Subject<'_>, detail: &CheckDetail) -> Vec<Deed> {
    let verify = detail.verify.then(|| Phase::Verify.word().to_owned());
    // A workload that is left alone after all (`gantry verify`) has no staged version to be proven.
    let staged = detail.prove.iter().filter(|(w, _)| subject.changes.get(w).is_some_and(|c| !c.is_no_op()));
    verify.into_iter().chain(staged.map(|(w, _)| format!("{} {w}", Phase::Prove.word()))).collect()
}

impl Subject<'_> {
    /// Whether an update of a node is staged beside what serves.
    pub(in crate::review) fn is_workload(&self, node: &Address) -> bool {
        self.plan.schemas.get(&*node.ty).is_some_and(|s| s.lowering == Lowering::Workload)
    }

    /// Whether a node that was made or changed is waited for.
    fn waits(&self, node: &Address) -> bool {
        self.plan.schemas.get(&*node.ty).is_some_and(|s| s.waits)
    }
}

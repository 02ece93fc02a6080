//! Names of steps and addresses of changes are unique.

use std::collections::BTreeSet;

use crate::review::finding::Findings;
use crate::review::subject::Subject;

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let mut names = BTreeSet::new();
    for step in &subject.plan.steps {
        if !names.insert(&step.name) {
            found.bug(&step.address, &format!("two steps have the name \"{}\"", step.name));
        }
    }
    let mut addresses = BTreeSet::new();
    for change in &subject.plan.changes {
        if !addresses.insert(&change.address) {
            found.bug(&change.address, &format!("{} has two changes", change.address));
        }
    }
}

//! Steps wait for steps that exist and come earlier.

use crate::plan::Work;
use crate::review::finding::Findings;
use crate::review::subject::Subject;

/// A plan's steps are listed so that each comes after those that it waits for; so an edge that leads forward is a circle, or a
/// list that was never sorted.
pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let count = subject.plan.steps.len();
    for (n, step) in subject.plan.steps.iter().enumerate() {
        let follows = if let Work::Act(act) = &step.work { act.follows } else { None };
        for before in step.after.iter().copied().chain(follows) {
            if before >= count {
                let sentence = format!(
                    "the step \"{}\" waits for step number {before}, but there are only {count}, counted from 0",
                    step.name
                );
                found.bug(&step.address, &sentence);
            } else if before >= n {
                let other = &subject.plan.steps[before].name;
                let sentence =
                    format!("the step \"{}\" waits for \"{other}\", which does not come before it", step.name);
                found.bug(&step.address, &sentence);
            }
        }
    }
}

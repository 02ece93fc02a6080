//! What cannot be had back goes after the commit, and everything else before it.

use crate::plan::Work;
use crate::review::finding::Findings;
use crate::review::subject::{Subject, destroys, works};

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let steps = &subject.plan.steps;
    // Inside a run that goes back nothing is committed; a barrier of that name holds the last steps back in its place.
    let commits: Vec<usize> = (0..steps.len())
        .filter(|n| match steps[*n].work {
            Work::Commit => true,
            Work::Barrier => steps[*n].name == "commit" && subject.may_be_inside_a_run(),
            _ => false,
        })
        .collect();
    let forward = (0..steps.len()).filter(|n| works(&steps[*n]) && !destroys(&steps[*n]));
    let awaited = subject.order.awaited_by(forward);
    let late = |n: usize| destroys(&steps[n]) && !awaited[n];
    let last = (0..steps.len()).find(|n| late(*n));
    match (commits.as_slice(), last) {
        ([], None) => {}
        ([], Some(last)) => {
            let sentence = format!(
                "\"{}\" takes away what cannot be had back, and the run does not commit before it",
                steps[last].name
            );
            found.bug(&steps[last].address, &sentence);
        }
        ([commit], None) => {
            found.bug(
                &steps[*commit].address,
                "the run commits, though nothing comes after that could not be taken back",
            );
        }
        ([commit], Some(_)) => {
            let after = subject.order.waiting_for(*commit);
            let before = subject.order.awaited_by(std::iter::once(*commit));
            for (n, step) in steps.iter().enumerate().filter(|(_, s)| works(s)) {
                if late(n) && !after[n] {
                    let sentence = format!(
                        "\"{}\" takes away what cannot be had back and does not wait for the commit",
                        step.name
                    );
                    found.bug(&step.address, &sentence);
                } else if !late(n) && !before[n] {
                    found.bug(&step.address, &format!("the commit does not wait for the step \"{}\"", step.name));
                }
            }
        }
        ([_, second, ..], _) => found.bug(&steps[*second].address, "the run commits more than once"),
    }
}

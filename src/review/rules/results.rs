//! What a step needs of another node's answer is there when it starts.

use std::collections::BTreeSet;

use crate::addr::Address;
use crate::diag::Diagnostic;
use crate::ledger::event::{Phase, RunKind};
use crate::plan::{Action, CheckStep, Step, Work};
use crate::review::finding::Findings;
use crate::review::subject::{Subject, destroys};
use crate::value::Value;

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    for (n, step) in subject.plan.steps.iter().enumerate() {
        let mut nodes = BTreeSet::new();
        values(step, &mut |value| value.needs(&mut nodes));
        // Its own answer is what it waits for nobody to give: computed attributes, postconditions.
        nodes.remove(&step.address);
        for node in nodes {
            answered(subject, n, step, &node, found);
        }
    }
}

fn answered(subject: &Subject<'_>, n: usize, step: &Step, node: &Address, found: &mut Findings<'_>) {
    let proven =
        matches!(&step.work, Work::Check(CheckStep { phase: Phase::Prove, workload: Some(w), .. }) if w == node);
    let giver = if proven { subject.acting(node, Action::Stage).next() } else { subject.done(node) };
    match giver {
        Some(giver) if subject.order.before(giver, n) => {}
        Some(giver) => {
            let giver = &subject.step(giver).name;
            found.bug(
                &step.address,
                &format!("the step \"{}\" needs what \"{giver}\" answers, but does not wait for it", step.name),
            );
        }
        None if subject.plan.kind == RunKind::Verify => {
            let detail = format!(
                "{} asks for something that {node} answers, and {node} has not been applied as it is configured now. A \
                 verification changes nothing, so there is nothing yet that the check could ask.",
                step.address
            );
            let hint = format!("Apply first: gantry apply {}", subject.plan.environment);
            let span = subject.changes.get(&step.address).and_then(|c| c.span);
            found
                .say(Diagnostic::error("Check needs an apply first", detail).at_opt(span).on(&step.address).hint(hint));
        }
        None => found.bug(
            &step.address,
            &format!("the step \"{}\" needs what {node} answers, but no step of the plan makes it", step.name),
        ),
    }
}

/// The values of a step that are finished before it acts.
fn values(step: &Step, see: &mut dyn FnMut(&Value)) {
    match &step.work {
        // Nothing is asked for of what goes: only the record tells what it was.
        Work::Act(_) if destroys(step) => {}
        Work::Act(act) => {
            see(&act.planned);
            see(&act.inputs);
            for (condition, message, _) in &act.postconditions {
                see(condition);
                see(message);
            }
        }
        Work::Read { arguments, .. } => see(arguments),
        Work::Pin(pin) => see(&pin.source),
        Work::Migrate { url, how, .. } | Work::Revert { url, how, .. } => {
            see(url);
            how.values().for_each(see);
        }
        Work::Check(check) => see(&check.configuration),
        Work::Assert(all) => all.iter().for_each(|assertion| {
            see(&assertion.holds);
            see(&assertion.message);
        }),
        Work::Record(observed) => see(observed),
        Work::Import(import) => see(&import.inputs),
        Work::Await { .. } | Work::Barrier | Work::Forget | Work::Move { .. } | Work::Commit => {}
    }
}

//! What may not be destroyed is not.

use std::collections::BTreeMap;

use crate::config::desired::{Module, NodeBlock};
use crate::diag::Diagnostic;
use crate::plan::ChangeKind;
use crate::review::finding::Findings;
use crate::review::subject::{Subject, block_name};

pub(in crate::review) fn check(subject: &Subject<'_>, found: &mut Findings<'_>) {
    let mut kept = BTreeMap::new();
    gather(&subject.desired.root, "", &mut kept);
    if kept.is_empty() {
        return;
    }
    for change in &subject.plan.changes {
        if !(change.kind == ChangeKind::Delete || change.kind.is_replace()) {
            continue;
        }
        let Some(block) = kept.get(&block_name(&change.address)) else { continue };
        // What a failed run made is taken away again on its way back, as was announced: nothing is lost that was there before.
        if subject.recorded.open.as_ref().is_some_and(|open| open.touched.contains(&change.address)) {
            continue;
        }
        let address = &change.address;
        let verb = if change.kind == ChangeKind::Delete { "delete" } else { "replace" };
        let detail = format!("{address} has lifecycle {{ prevent_destroy = true }}, but the plan would {verb} it.");
        let span = change.span.unwrap_or(block.span);
        found.say(Diagnostic::error("Instance cannot be destroyed", detail).at(span).on(address).hint(
            "Leave it out of the plan, or take prevent_destroy out of its lifecycle block if it is really to go.",
        ));
    }
}

/// The blocks with `prevent_destroy`, by name, in a module and those that it calls; modules do not call themselves.
fn gather<'a>(module: &'a Module, prefix: &str, kept: &mut BTreeMap<String, &'a NodeBlock>) {
    for block in module.nodes.iter().filter(|b| b.lifecycle.prevent_destroy) {
        let bare = crate::addr::Address::new(
            crate::addr::ModulePath::root(),
            block.kind,
            block.ty.clone(),
            block.name.clone(),
        );
        kept.insert(format!("{prefix}{bare}"), block);
    }
    for (name, call) in &module.calls {
        gather(&call.module, &format!("{prefix}module.{name}."), kept);
    }
}

//! `lifecycle` blocks.

use super::{check, read, target};
use crate::config::desired::{BlockBody, Ignored, Lifecycle, Step};
use crate::config::schema::{CONDITIONS, LIFECYCLE};
use crate::diag::{Diagnostic, Diagnostics};
use crate::eval::{Term, TermKind};

/// Reads a `lifecycle` block. Only resources have more than conditions in it.
pub(super) fn lifecycle(block: &BlockBody, managed: bool, errors: &mut Diagnostics) -> Lifecycle {
    let body = &block.body;
    check::body(body, if managed { &LIFECYCLE } else { &CONDITIONS }, &[], errors);
    let mut lifecycle = Lifecycle {
        create_before_destroy: read::checked_flag(body, "create_before_destroy").unwrap_or(false),
        prevent_destroy: read::checked_flag(body, "prevent_destroy").unwrap_or(false),
        preconditions: read::conditions(body, "precondition"),
        postconditions: read::conditions(body, "postcondition"),
        ..Lifecycle::default()
    };
    if managed {
        if let Some(triggers) = body.attributes.get("replace_triggered_by") {
            lifecycle.replace_triggered_by = target::triggers(&triggers.term, errors);
        }
        if let Some(ignore) = body.attributes.get("ignore_changes") {
            ignore_changes(&ignore.term, &mut lifecycle, errors);
        }
    }
    lifecycle
}

fn ignore_changes(term: &Term, lifecycle: &mut Lifecycle, errors: &mut Diagnostics) {
    if let TermKind::Reference(word) = &term.kind
        && word.steps.is_empty()
        && &*word.root == "all"
    {
        lifecycle.ignore_all_changes = true;
        return;
    }
    let TermKind::Tuple(items) = &term.kind else {
        let detail = "ignore_changes takes the word all, or a list of attributes as in [tags, settings[\"size\"]].";
        errors.push(Diagnostic::error("Invalid expression", detail).at(term.span));
        return;
    };
    for item in items {
        if let Some(reference) = read::reference(item, errors) {
            let mut path = vec![Step::Attribute(reference.root)];
            path.extend(reference.steps);
            lifecycle.ignore_changes.push(Ignored { path, span: item.span });
        }
    }
}

//! Ephemeral values: there for a run, and recorded nowhere. So they may not flow into what is recorded.

use super::walk::{BlockInstance, Planner};
use crate::diag::Diagnostic;
use crate::value::{Marks, Value};

/// Whether any part of a value is ephemeral.
pub(super) fn is_ephemeral(value: &Value) -> bool {
    value.marks_deep().has(Marks::EPHEMERAL)
}

impl Planner<'_> {
    /// Refuses ephemeral values in an object that is recorded.
    pub(super) fn nothing_ephemeral(&self, one: &BlockInstance<'_>, object: &Value) {
        for (name, _) in object.as_map().into_iter().flatten().filter(|(_, value)| is_ephemeral(value)) {
            let body = &one.block.body;
            let blocks = body.blocks.iter().find(|b| b.ty == *name).map(|b| b.span);
            let span = body.attributes.get(name).map(|a| a.term.span).or(blocks).unwrap_or(one.block.span);
            let detail = format!(
                "The value of \"{name}\" is ephemeral, so it may not be recorded, but the attributes of {} are.",
                one.address
            );
            let diagnostic = Diagnostic::error("Invalid use of ephemeral value", detail).at(span).on(&one.address);
            self.world.report(diagnostic.hint("Mark the variable sensitive instead of ephemeral: then only a digest is recorded."));
        }
    }
}

//! `check` blocks: assertions about how things are. One that does not hold is a warning and never fails a run, as in Terraform.
//!
//! What is known while planning is told with the plan. In a run each block is a step behind what it needs, so that what is
//! known after apply only is looked at as well, and the ledger keeps the verdict beside those of the other checks.

use super::change::{Assertion, Change, ChangeKind, Detail, Reason};
use super::data::bare;
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use crate::diag::Diagnostic;
use crate::eval::Cause;
use crate::value::{Map, Type, Value, convert};

/// What is said of an assertion whose message cannot be shown.
pub(crate) const NO_MESSAGE: &str = "The condition does not hold, and its message is sensitive or not known.";

impl Planner<'_> {
    /// A `check` block.
    pub(super) fn assertions(&mut self, one: &BlockInstance<'_>) -> Value {
        let nothing = Value::object(Map::new());
        if self.world.inputs.options.to_nothing {
            return nothing;
        }
        let mut all = Vec::new();
        for block in one.block.body.blocks.iter().filter(|b| &*b.ty == "assert") {
            let (Some(condition), Some(message)) =
                (block.body.attributes.get("condition"), block.body.attributes.get("error_message"))
            else {
                continue;
            };
            let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
            let site = &one.address;
            let span = condition.term.span;
            let value = scope.evaluate(&condition.term, site);
            let holds = convert(&value, &Type::Bool).ok().filter(|truth| !truth.is_null()).unwrap_or_else(|| {
                let what = if value.is_null() { "null".to_owned() } else { value.ty().friendly() };
                let detail = format!("A condition must be true or false, but this is {what}.");
                let diagnostic = Diagnostic::error("Invalid condition", detail);
                scope.report_on(diagnostic, &condition.term, Cause::default());
                Value::opaque(Type::Bool)
            });
            let message = scope.evaluate(&message.term, site);
            let told = holds.as_bool() == Some(false);
            if told && !self.world.inputs.options.validating {
                let cause = Cause { marked: !holds.marks.is_empty(), unknown: false };
                let diagnostic = Diagnostic::warning("Check block assertion failed", shown(&message)).at(span);
                scope.report(scope.explain(diagnostic, &condition.term, cause).on(&one.address));
            }
            all.push(Assertion { holds, message, told });
        }
        let change = Change { detail: Detail::Assertions(all), ..bare(one, ChangeKind::Run, Reason::Checked) };
        self.decide(one.id, change);
        nothing
    }
}

/// The message of an assertion, if it may be shown.
pub(crate) fn shown(message: &Value) -> String {
    match (message.as_str(), message.marks_deep().is_sensitive()) {
        (Some(text), false) => text.to_owned(),
        _ => NO_MESSAGE.to_owned(),
    }
}

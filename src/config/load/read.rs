//! Reading what has to be written out: constants and static references.

use std::sync::Arc;

use crate::config::desired::{AttributeTerm, Body, Condition};
use crate::diag::{Diagnostic, Diagnostics};
use crate::eval::constraint::constant;
use crate::eval::{Reference, Term, TermKind};
use crate::value::{Type, convert};

/// A constant string; `None` for null and after noting what is wrong.
pub(super) fn text(term: &Term, errors: &mut Diagnostics) -> Option<String> {
    let value = constant(term).map_err(|e| errors.push(*e)).ok()?;
    match convert(&value, &Type::String) {
        Ok(value) => value.as_str().map(str::to_owned),
        Err(e) => {
            errors.push(Diagnostic::error("Unsuitable value type", format!("Unsuitable value: {e}.")).at(term.span));
            None
        }
    }
}

/// A constant `true` or `false`; `None` for null and after noting what is wrong.
pub(super) fn flag(term: &Term, errors: &mut Diagnostics) -> Option<bool> {
    let value = constant(term).map_err(|e| errors.push(*e)).ok()?;
    match convert(&value, &Type::Bool) {
        Ok(value) => value.as_bool(),
        Err(e) => {
            errors.push(Diagnostic::error("Unsuitable value type", format!("Unsuitable value: {e}.")).at(term.span));
            None
        }
    }
}

/// The text of an attribute whose form the table has checked.
pub(super) fn checked_text(body: &Body, name: &str) -> Option<String> {
    text(&body.attributes.get(name)?.term, &mut Diagnostics::default())
}

/// The flag of an attribute whose form the table has checked.
pub(super) fn checked_flag(body: &Body, name: &str) -> Option<bool> {
    flag(&body.attributes.get(name)?.term, &mut Diagnostics::default())
}

/// One static reference.
pub(super) fn reference(term: &Term, errors: &mut Diagnostics) -> Option<Reference> {
    if let TermKind::Reference(reference) = &term.kind {
        return Some(reference.clone());
    }
    let diagnostic = match term.as_literal_str() {
        Some(quoted) => Diagnostic::error(
            "Invalid expression",
            "A reference is required here, and references are written without quotation marks.",
        )
        .hint(format!("Write {quoted} without the quotation marks.")),
        None => Diagnostic::error(
            "Invalid expression",
            "A single static reference is required: only names and constant indexes, no calculation.",
        ),
    };
    errors.push(diagnostic.at(term.span));
    None
}

/// A list of static references.
pub(super) fn references(attribute: Option<&AttributeTerm>, errors: &mut Diagnostics) -> Vec<Reference> {
    let Some(attribute) = attribute else { return Vec::new() };
    let TermKind::Tuple(items) = &attribute.term.kind else {
        let detail = "A list of references is required here, as in [local_file.a, module.b].";
        errors.push(Diagnostic::error("Invalid expression", detail).at(attribute.term.span));
        return Vec::new();
    };
    items.iter().filter_map(|item| reference(item, errors)).collect()
}

/// All `condition` and `error_message` pairs of the blocks of one type; incomplete ones the table has noted.
pub(super) fn conditions(body: &Body, ty: &str) -> Vec<Condition> {
    let complete = |block: &crate::config::desired::BlockBody| {
        Some(Condition {
            condition: Arc::clone(&block.body.attributes.get("condition")?.term),
            message: Arc::clone(&block.body.attributes.get("error_message")?.term),
            span: block.span,
        })
    };
    body.blocks.iter().filter(|block| &*block.ty == ty).filter_map(complete).collect()
}

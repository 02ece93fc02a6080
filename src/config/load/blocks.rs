//! The smaller blocks: variables, outputs, providers, refactorings, settings.

use std::sync::Arc;

use super::{check, read, target};
use crate::config::desired::{
    AttributeTerm, BlockBody, Body, Import, Local, Moved, Output, ProviderBlock, Removed, Variable,
};
use crate::config::schema::{BACKENDS, MODULE_META};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::eval::constraint::{constant, constraint};
use crate::eval::{Term, TermKind};
use crate::value::{Type, Value, convert};

/// Refuses nested blocks where there are arguments only.
pub(super) fn no_blocks(body: &Body, ty: &str, errors: &mut Diagnostics) {
    for block in &body.blocks {
        let detail = format!("Blocks of type \"{}\" are not expected here: a {ty} block has arguments only.", block.ty);
        let hint = format!("Did you mean an argument? Write {} = {{ … }}, with an equals sign.", block.ty);
        errors.push(Diagnostic::error("Unsupported block type", detail).at(block.span).hint(hint));
    }
}

/// A `variable` block, as far as it can be read.
pub(super) fn variable(block: &BlockBody, errors: &mut Diagnostics) -> Variable {
    let body = &block.body;
    let name = block.labels.last().cloned().unwrap_or_default();
    if MODULE_META.contains(&&*name) || matches!(&*name, "lifecycle" | "locals") {
        let detail =
            format!("\"{name}\" has a meaning of its own in a module block, so no variable can have this name.");
        errors.push(Diagnostic::error("Invalid variable name", detail).at(block.span));
    }
    let ty = body.attributes.get("type").map(|attribute| {
        // Old modules name these two without their elements' type.
        match &attribute.term.kind {
            TermKind::Reference(word) if word.steps.is_empty() && &*word.root == "list" => Ok(Type::list(Type::Any)),
            TermKind::Reference(word) if word.steps.is_empty() && &*word.root == "map" => Ok(Type::map(Type::Any)),
            _ => constraint(&attribute.term),
        }
    });
    let ty = ty.transpose().unwrap_or_else(|e| {
        errors.push(*e);
        None
    });
    let untyped = !body.attributes.contains_key("type");
    let ty = ty.unwrap_or(Type::Any);
    let nullable = read::checked_flag(body, "nullable").unwrap_or(true);
    let default = body.attributes.get("default").and_then(|a| default(&a.term, &ty, nullable, errors));
    Variable {
        ty,
        untyped,
        default,
        description: read::checked_text(body, "description"),
        sensitive: read::checked_flag(body, "sensitive").unwrap_or(false),
        ephemeral: read::checked_flag(body, "ephemeral").unwrap_or(false),
        nullable,
        validations: read::conditions(body, "validation"),
        span: block.span,
    }
}

fn default(term: &Term, ty: &Type, nullable: bool, errors: &mut Diagnostics) -> Option<Value> {
    let value = constant(term).map_err(|e| errors.push(*e)).ok()?;
    if value.is_null() && !nullable {
        let detail = "The default is null, but the variable is not nullable.";
        errors.push(Diagnostic::error("Invalid default value for variable", detail).at(term.span));
        return None;
    }
    match convert(&value, ty) {
        Ok(value) => Some(value),
        Err(e) => {
            let detail = format!("This default value is not compatible with the variable's type {ty}: {e}.");
            errors.push(Diagnostic::error("Invalid default value for variable", detail).at(term.span));
            None
        }
    }
}

/// One name of a `locals` block.
pub(super) fn local(attribute: &AttributeTerm) -> Local {
    Local { term: Arc::clone(&attribute.term), span: attribute.name_span }
}

/// An `output` block. Without a value, which the table has noted, it is null, so that its name is not missing as well.
pub(super) fn output(block: &BlockBody, errors: &mut Diagnostics) -> Output {
    let body = &block.body;
    let depends_on = read::references(body.attributes.get("depends_on"), errors);
    let value = body.attributes.get("value").map(|a| Arc::clone(&a.term));
    Output {
        term: value.unwrap_or_else(|| Arc::new(Term::literal(Value::null(Type::Any), block.span))),
        description: read::checked_text(body, "description"),
        sensitive: read::checked_flag(body, "sensitive").unwrap_or(false),
        ephemeral: read::checked_flag(body, "ephemeral").unwrap_or(false),
        preconditions: read::conditions(body, "precondition"),
        depends_on,
        span: block.span,
    }
}

/// A `provider` block.
pub(super) fn provider(block: &BlockBody, errors: &mut Diagnostics) -> ProviderBlock {
    let mut body = block.body.clone();
    let alias = body.attributes.remove("alias").and_then(|a| read::text(&a.term, errors));
    if let Some(version) = body.attributes.remove("version") {
        let detail = "Gantry's providers are built in and have its version.";
        let diagnostic = Diagnostic::error("Unsupported argument", detail).at(version.name_span);
        errors.push(diagnostic.hint("Remove the argument \"version\"."));
    }
    ProviderBlock {
        name: block.labels.last().cloned().unwrap_or_default(),
        alias: alias.map(Into::into),
        body,
        span: block.span,
    }
}

/// A `moved` block.
pub(super) fn moved(block: &BlockBody, errors: &mut Diagnostics) -> Option<Moved> {
    let from = read::reference(&block.body.attributes.get("from")?.term, errors);
    let to = read::reference(&block.body.attributes.get("to")?.term, errors);
    Some(Moved { from: from?, to: to?, span: block.span })
}

/// A `removed` block.
pub(super) fn removed(block: &BlockBody, errors: &mut Diagnostics) -> Option<Removed> {
    let from = read::reference(&block.body.attributes.get("from")?.term, errors)?;
    let lifecycle = block.body.blocks.iter().find(|b| &*b.ty == "lifecycle");
    let destroy = lifecycle.and_then(|b| read::checked_flag(&b.body, "destroy")).unwrap_or(true);
    Some(Removed { from, destroy, span: block.span })
}

/// An `import` block.
pub(super) fn import(block: &BlockBody, errors: &mut Diagnostics) -> Option<Import> {
    let attributes = &block.body.attributes;
    let provider = attributes.get("provider").and_then(|a| read::reference(&a.term, errors));
    Some(Import {
        to: target::target(&attributes.get("to")?.term, errors)?,
        id: Arc::clone(&attributes.get("id")?.term),
        for_each: attributes.get("for_each").map(|a| Arc::clone(&a.term)),
        provider,
        span: block.span,
    })
}

/// What the table cannot say of an `environment` block.
pub(super) fn environment(block: &BlockBody, errors: &mut Diagnostics) {
    for state in block.body.blocks.iter().filter(|b| &*b.ty == "state") {
        let Some(backend) = state.labels.first() else { continue };
        if let Some((_, shape)) = BACKENDS.iter().find(|(name, _)| *name == &**backend) {
            check::body(&state.body, shape, &[], errors);
            continue;
        }
        let known = BACKENDS.map(|(name, _)| name);
        let detail = format!("There is no ledger backend \"{backend}\". There are {}.", known.join(", "));
        let diagnostic = Diagnostic::error("Unknown ledger backend", detail).at(state.span);
        errors.push(diagnostic.hint_opt(did_you_mean(backend, known)));
    }
    if let Some(on_failure) = block.body.attributes.get("on_failure")
        && let Some(word) = on_failure.term.as_literal_str()
        && !matches!(word, "rollback" | "hold")
    {
        let detail = format!("on_failure is \"rollback\" or \"hold\", not {word:?}.");
        let diagnostic = Diagnostic::error("Invalid value for an argument", detail).at(on_failure.term.span);
        errors.push(diagnostic.hint_opt(did_you_mean(word, ["rollback", "hold"])));
    }
}

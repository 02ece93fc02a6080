//! Blocks against the table of what may stand in them.

use std::collections::BTreeMap;

use super::read;
use crate::addr::is_identifier;
use crate::config::desired::{BlockBody, Body};
use crate::config::schema::{Attribute, Block, Form, Shape};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Checks a body. `also` are names of attributes and blocks that were taken out of it before, for suggestions.
pub(in crate::config) fn body(body: &Body, shape: &Shape, also: &[&str], errors: &mut Diagnostics) {
    for (name, attribute) in &body.attributes {
        match shape.attributes.iter().find(|a| a.name == &**name) {
            Some(known) => form(known, attribute, errors),
            None if shape.open => {}
            None => errors.push(unknown_attribute(name, shape, also).at(attribute.name_span)),
        }
    }
    for required in shape.attributes.iter().filter(|a| a.required && !body.attributes.contains_key(a.name)) {
        let detail = format!("The argument \"{}\" is required, but it is not set in this block.", required.name);
        errors.push(Diagnostic::error("Missing required argument", detail).at(body.span));
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for block in &body.blocks {
        let Some(known) = shape.blocks.iter().find(|b| b.name == &*block.ty) else {
            if !shape.open {
                errors.push(unknown_block(&block.ty, shape, also).at(block.span));
            }
            continue;
        };
        let count = seen.entry(known.name).or_default();
        *count += 1;
        if *count == 2 && !known.many && block.dynamic.is_none() {
            let detail = format!("Only one block of type \"{}\" may stand here.", known.name);
            errors.push(Diagnostic::error("Duplicate block", detail).at(block.span));
        }
        if block.dynamic.is_none() {
            labels(block, known, errors);
        }
        self::body(&block.body, known.shape, &[], errors);
    }
    for required in shape.blocks.iter().filter(|b| b.required && !seen.contains_key(b.name)) {
        let detail = format!("At least one block of type \"{}\" is required here.", required.name);
        errors.push(Diagnostic::error("Missing required block", detail).at(body.span));
    }
}

fn form(known: &Attribute, attribute: &crate::config::desired::AttributeTerm, errors: &mut Diagnostics) {
    match known.form {
        Form::Any => {}
        Form::Text => {
            read::text(&attribute.term, errors);
        }
        Form::Flag => {
            read::flag(&attribute.term, errors);
        }
    }
}

fn names<'a>(shape: &'a Shape, also: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    shape.attributes.iter().map(|a| a.name).chain(shape.blocks.iter().map(|b| b.name)).chain(also.iter().copied())
}

fn unknown_attribute(name: &str, shape: &Shape, also: &[&str]) -> Diagnostic {
    let detail = format!("An argument named \"{name}\" is not expected here.");
    let hint = if shape.blocks.iter().any(|b| b.name == name) {
        Some(format!("Did you mean a block? Write {name} {{ … }} without the equals sign."))
    } else {
        did_you_mean(name, names(shape, also))
    };
    Diagnostic::error("Unsupported argument", detail).hint_opt(hint)
}

fn unknown_block(name: &str, shape: &Shape, also: &[&str]) -> Diagnostic {
    let detail = format!("Blocks of type \"{name}\" are not expected here.");
    let hint = if shape.attributes.iter().any(|a| a.name == name) {
        Some(format!("Did you mean an argument? Write {name} = …, with an equals sign."))
    } else {
        did_you_mean(name, names(shape, also))
    };
    Diagnostic::error("Unsupported block type", detail).hint_opt(hint)
}

/// Whether a block has the labels that its type needs, and each is a name.
pub(super) fn labels(block: &BlockBody, known: &Block, errors: &mut Diagnostics) -> bool {
    let (given, wanted) = (block.labels.len(), known.labels.len());
    if given > wanted {
        let detail = match known.labels {
            [] => format!("A \"{}\" block has no labels.", known.name),
            all => format!("A \"{}\" block has {wanted} label(s): {}.", known.name, all.join(", ")),
        };
        errors.push(Diagnostic::error("Extraneous label", detail).at(block.span));
        return false;
    }
    if let Some(missing) = known.labels.get(given) {
        let example: String = known.labels.iter().map(|l| format!(" \"{}\"", l.to_uppercase())).collect();
        let detail = format!("A \"{}\" block needs a {missing}: {}{example} {{ … }}.", known.name, known.name);
        errors.push(Diagnostic::error("Missing label", detail).at(block.span));
        return false;
    }
    match block.labels.iter().find(|label| !is_identifier(label)) {
        None => true,
        Some(bad) => {
            let detail = format!(
                "\"{bad}\" is not a name. A name starts with a letter or underscore and has only letters, digits, \
                 underscores and hyphens."
            );
            errors.push(Diagnostic::error("Invalid name", detail).at(block.span));
            false
        }
    }
}

/// The table's entry of a top-level block; an unknown type is noted.
pub(super) fn top<'t>(block: &BlockBody, table: &'t [Block], errors: &mut Diagnostics) -> Option<&'t Block> {
    let known = table.iter().find(|b| b.name == &*block.ty);
    if known.is_none() {
        let names = table.iter().map(|b| b.name);
        let detail = format!("Blocks of type \"{}\" are not expected here.", block.ty);
        let hint = did_you_mean(&block.ty, names);
        errors.push(Diagnostic::error("Unsupported block type", detail).at(block.span).hint_opt(hint));
    }
    known
}

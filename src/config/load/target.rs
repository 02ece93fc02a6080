//! The `to` of an `import` block: an address whose instance keys may be calculated.

use std::sync::Arc;

use crate::config::desired::TargetAddress;
use crate::diag::{Diagnostic, Diagnostics};
use crate::eval::{Step, Term, TermKind};
use crate::value::Value;

/// One step of the address.
enum Part {
    Name(Arc<str>),
    Key(Arc<Term>),
}

/// Reads an address; `None` after noting what is wrong.
pub(super) fn target(term: &Arc<Term>, errors: &mut Diagnostics) -> Option<TargetAddress> {
    let refuse = |errors: &mut Diagnostics, detail: &str| {
        let diagnostic = Diagnostic::error("Invalid import address", detail).at(term.span);
        errors.push(diagnostic.hint("Write it as in local_file.a, local_file.b[each.key] or module.m.local_file.a."));
    };
    let mut parts = Vec::new();
    if !flatten(term, &mut parts) {
        refuse(errors, "\"to\" is the address of a resource: names, with an instance key in brackets where there is one.");
        return None;
    }
    let mut parts = parts.into_iter().peekable();
    let key = |parts: &mut std::iter::Peekable<std::vec::IntoIter<Part>>| {
        let next = parts.next_if(|part| matches!(part, Part::Key(_)));
        next.and_then(|part| if let Part::Key(key) = part { Some(key) } else { None })
    };
    let mut modules = Vec::new();
    let ty = loop {
        match parts.next() {
            Some(Part::Name(word)) if &*word == "module" => {
                let Some(Part::Name(name)) = parts.next() else {
                    refuse(errors, "A module's name follows the word \"module\".");
                    return None;
                };
                modules.push((name, key(&mut parts)));
            }
            Some(Part::Name(word)) => break word,
            _ => {
                refuse(errors, "\"to\" names a module; what is imported is a resource in it.");
                return None;
            }
        }
    };
    if crate::addr::NodeKind::of_keyword(&ty).is_some() || &*ty == "data" {
        refuse(errors, "Only managed resources can be imported.");
        return None;
    }
    let Some(Part::Name(name)) = parts.next() else {
        refuse(errors, "The resource's type is followed by its name.");
        return None;
    };
    let key = key(&mut parts);
    if parts.next().is_some() {
        refuse(errors, "\"to\" names a whole resource, not an attribute of one.");
        return None;
    }
    Some(TargetAddress { modules, ty, name, key, span: term.span })
}

/// The steps of an address, outermost first; false for what is none.
fn flatten(term: &Arc<Term>, parts: &mut Vec<Part>) -> bool {
    match &term.kind {
        TermKind::Reference(reference) => {
            parts.push(Part::Name(reference.root.clone()));
            parts.extend(reference.steps.iter().map(|step| match step {
                Step::Attribute(name) => Part::Name(name.clone()),
                Step::Index(key) => {
                    let value = match key {
                        crate::addr::Key::Name(name) => Value::string(name.clone()),
                        crate::addr::Key::Index(n) => Value::number(usize::try_from(*n).unwrap_or(usize::MAX)),
                    };
                    Part::Key(Arc::new(Term::literal(value, reference.span)))
                }
            }));
            true
        }
        TermKind::Attribute(of, name) => {
            let sound = flatten(of, parts);
            parts.push(Part::Name(name.clone()));
            sound
        }
        TermKind::Index(of, key) => {
            let sound = flatten(of, parts);
            parts.push(Part::Key(key.clone()));
            sound
        }
        _ => false,
    }
}

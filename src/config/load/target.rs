//! Addresses whose instance keys may be calculated: the `to` of an `import` block, the items of `replace_triggered_by`.

use std::sync::Arc;

use crate::addr::Key;
use crate::config::desired::{TargetAddress, Trigger};
use crate::diag::{Diagnostic, Diagnostics};
use crate::eval::{Reference, Step, Term, TermKind};
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
        refuse(
            errors,
            "\"to\" is the address of a resource: names, with an instance key in brackets where there is one.",
        );
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

/// The items of `replace_triggered_by`.
pub(super) fn triggers(term: &Term, errors: &mut Diagnostics) -> Vec<Trigger> {
    let TermKind::Tuple(items) = &term.kind else {
        let detail = "A list of references is required here, as in [local_file.a, terraform_data.b[each.key].input].";
        errors.push(Diagnostic::error("Invalid expression", detail).at(term.span));
        return Vec::new();
    };
    items.iter().filter_map(|item| trigger(item, errors)).collect()
}

fn trigger(term: &Arc<Term>, errors: &mut Diagnostics) -> Option<Trigger> {
    let mut parts = Vec::new();
    let sound = flatten(term, &mut parts);
    let mut parts = parts.into_iter().peekable();
    let names = match (sound, parts.next(), parts.next()) {
        (true, Some(Part::Name(ty)), Some(Part::Name(name))) if !super::names::ROOTS.contains(&&*ty) => Some((ty, name)),
        _ => None,
    };
    let Some((ty, name)) = names else {
        let detail = "What triggers a replacement is a resource, one of its instances or one of their attributes. A value of \
                      another kind can be given to a terraform_data as its input, and that can be named here.";
        let summary = "Invalid reference in replace_triggered_by expression";
        errors.push(Diagnostic::error(summary, detail).at(term.span));
        return None;
    };
    let resource = Reference { root: ty, steps: vec![Step::Attribute(name)], span: term.span };
    let key = match parts.next_if(|part| matches!(part, Part::Key(_))) {
        Some(Part::Key(key)) => Some(key),
        _ => None,
    };
    let plain = |key: &Term| match &key.kind {
        TermKind::Literal(_) => true,
        TermKind::Reference(r) => matches!((&*r.root, r.attribute(0).map(|n| &**n)), ("each", Some("key")) | ("count", Some("index"))),
        _ => false,
    };
    let mut path = Vec::new();
    let mut static_path = key.as_ref().is_none_or(|key| plain(key));
    for part in parts {
        match part {
            Part::Name(name) => path.push(Step::Attribute(name)),
            Part::Key(key) => match constant_key(&key) {
                Some(key) => path.push(Step::Index(key)),
                None => static_path = false,
            },
        }
    }
    if !static_path {
        let detail = "Only constants, each.key and count.index may stand in brackets here.";
        let summary = "Invalid reference in replace_triggered_by expression";
        errors.push(Diagnostic::error(summary, detail).at(term.span));
        return None;
    }
    Some(Trigger { resource, key, path })
}

fn constant_key(term: &Term) -> Option<Key> {
    let TermKind::Literal(value) = &term.kind else { return None };
    match (value.as_str(), value.as_number()) {
        (Some(name), _) => Some(Key::Name(name.into())),
        (None, Some(n)) => n.to_u64().map(Key::Index),
        (None, None) => None,
    }
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
                        Key::Name(name) => Value::string(name.clone()),
                        Key::Index(n) => Value::number(usize::try_from(*n).unwrap_or(usize::MAX)),
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

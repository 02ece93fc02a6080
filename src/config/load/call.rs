//! `module` blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::loader::Loader;
use super::{blocks, node, read};
use crate::config::desired::{AttributeTerm, BlockBody, Module, ModuleCall};
use crate::config::path::join;
use crate::config::schema::MODULE_META;
use crate::diag::{Diagnostic, Diagnostics, Span, did_you_mean};
use crate::eval::{Reference, TermKind};
use crate::value::Map;

/// Reads a `module` block in `directory` and loads what it calls; `None` if that cannot be loaded, after it was said why.
pub(super) fn call(loader: &mut Loader<'_>, block: BlockBody, directory: &str) -> Option<ModuleCall> {
    let BlockBody { labels, mut body, span, .. } = block;
    blocks::no_blocks(&body, "module", &mut loader.errors);
    let errors = &mut loader.errors;
    let repetition = node::repetition(&mut body, errors);
    let depends_on = read::references(body.attributes.remove("depends_on").as_ref(), errors);
    let providers = body.attributes.remove("providers").map(|a| providers(&a, errors)).unwrap_or_default();
    if let Some(version) = body.attributes.remove("version") {
        let detail = "Only modules of a registry have versions; a local module is what its directory holds.";
        let diagnostic = Diagnostic::error("Unsupported argument", detail).at(version.name_span);
        errors.push(diagnostic.hint("Remove the argument \"version\"."));
    }
    let Some(source) = body.attributes.remove("source") else {
        let detail = "The argument \"source\" is required, but it is not set in this block.";
        errors.push(Diagnostic::error("Missing required argument", detail).at(span));
        return None;
    };
    let place = source.term.span;
    let source = read::text(&source.term, errors)?;
    if !(source.starts_with("./") || source.starts_with("../") || source == "." || source == "..") {
        errors.push(not_local(&source).at(place));
        return None;
    }
    let name = labels.last().cloned().unwrap_or_default();
    let called = join(directory, &source);
    loader.callers.note(&called, directory, &name, span);
    let module = loader.module(&called, Some(place))?;
    let arguments = body.attributes;
    check_arguments(loader, &arguments, &module, span);
    Some(ModuleCall { name, module, arguments, repetition, depends_on, providers, span })
}

fn not_local(source: &str) -> Diagnostic {
    let detail = format!(
        "\"{source}\" is not a local module. In this version only modules in the same checkout can be called, by a path \
         that starts with ./ or ../."
    );
    let diagnostic = Diagnostic::error("Unsupported module source", detail);
    let bare = !source.contains("://") && !source.contains("::") && source.matches('/').count() < 2;
    if bare { diagnostic.hint(format!("For a directory beside this one write \"./{source}\".")) } else { diagnostic }
}

fn check_arguments(loader: &mut Loader<'_>, arguments: &Map<AttributeTerm>, module: &Module, span: Span) {
    let names = || module.variables.keys().map(|name| &**name);
    for (name, argument) in arguments {
        if !module.variables.contains_key(name) {
            let shown = loader.shown(&module.directory);
            let detail = format!("The module in \"{shown}\" has no variable \"{name}\".");
            let hint = did_you_mean(name, names().chain(MODULE_META));
            let diagnostic = Diagnostic::error("Unsupported argument", detail);
            loader.errors.push(diagnostic.at(argument.name_span).hint_opt(hint));
        }
    }
    for (name, variable) in &module.variables {
        if variable.default.is_none() && !arguments.contains_key(name) {
            let declared = loader.map.place(variable.span);
            let at = declared.map(|p| format!(" (declared at {}:{})", p.name, p.line)).unwrap_or_default();
            let detail = format!("The module's variable \"{name}\"{at} has no default, so the argument is required.");
            loader.errors.push(Diagnostic::error("Missing required argument", detail).at(span));
        }
    }
}

fn providers(attribute: &AttributeTerm, errors: &mut Diagnostics) -> BTreeMap<Arc<str>, Reference> {
    let TermKind::Object(items) = &attribute.term.kind else {
        let detail = "providers maps the module's names to ours, as in { aws = aws.west }.";
        errors.push(Diagnostic::error("Invalid expression", detail).at(attribute.term.span));
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for item in items {
        let key = match (&item.key.kind, item.key.as_literal_str()) {
            (_, Some(name)) => Some(name.to_owned()),
            (TermKind::Reference(reference), None) => Some(reference.to_string()),
            _ => None,
        };
        if let (Some(key), Some(ours)) = (key, read::reference(&item.value, errors)) {
            all.insert(key.into(), ours);
        }
    }
    all
}

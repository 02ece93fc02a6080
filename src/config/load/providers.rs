//! Provider configurations: which a module has, which it is handed by its caller, and whether what is referred to is one.

use std::sync::Arc;

use super::settings::PROVIDERS;
use crate::config::desired::{Module, ModuleCall, NodeBlock, Repetition};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::eval::Reference;

/// Checks a module's provider blocks and references to provider configurations.
pub(super) fn check(module: &Module, errors: &mut Diagnostics) {
    for block in &module.providers {
        let provider = module.provider_of(&block.name);
        if !PROVIDERS.contains(&&*provider) {
            let detail = format!("The provider \"{provider}\" is not built in. There are {}.", PROVIDERS.join(", "));
            let diagnostic = Diagnostic::error("Unknown provider", detail).at(block.span);
            errors.push(diagnostic.hint_opt(did_you_mean(&provider, PROVIDERS)));
        } else if !configurable(&provider) {
            for (name, attribute) in &block.body.attributes {
                let detail = format!(
                    "The provider \"{provider}\" has nothing to configure, so \"{name}\" is not expected here."
                );
                errors.push(Diagnostic::error("Unsupported argument", detail).at(attribute.name_span));
            }
        }
    }
    for node in &module.nodes {
        if let Some(provider) = &node.provider {
            resource(module, node, provider, errors);
        }
    }
    for call in module.calls.values() {
        self::call(module, call, errors);
    }
}

impl Module {
    /// The provider that a local name stands for.
    #[must_use]
    pub fn provider_of(&self, name: &Arc<str>) -> Arc<str> {
        self.required_providers.get(name).cloned().unwrap_or_else(|| name.clone())
    }

    /// Whether a provider configuration is there. Without an alias there always is one, if only an empty one.
    fn has_configuration(&self, name: &str, alias: Option<&Arc<str>>) -> bool {
        let Some(alias) = alias else { return true };
        let own = self.providers.iter().any(|p| &*p.name == name && p.alias.as_ref() == Some(alias));
        own || self.configuration_aliases.contains(format!("{name}.{alias}").as_str())
    }

    /// Notes a reference to a provider configuration that is not there; whether it is.
    fn resolves(&self, reference: &Reference, errors: &mut Diagnostics) -> bool {
        let name = &reference.root;
        let provider = self.provider_of(name);
        if !PROVIDERS.contains(&&*provider) {
            let detail = format!("\"{name}\" names no provider that is built in. There are {}.", PROVIDERS.join(", "));
            let diagnostic = Diagnostic::error("Unknown provider", detail).at(reference.span);
            errors.push(diagnostic.hint_opt(did_you_mean(name, PROVIDERS)));
            return false;
        }
        if self.has_configuration(name, reference.attribute(0)) && reference.steps.len() <= 1 {
            return true;
        }
        let aliases = self.providers.iter().filter(|p| p.name == *name).filter_map(|p| p.alias.as_deref());
        let hint = reference.attribute(0).and_then(|alias| did_you_mean(alias, aliases));
        let detail = format!("There is no provider configuration \"{reference}\" in this module.");
        let how = "It is declared by a provider block with that alias or, in a module, by configuration_aliases in \
                   required_providers.";
        let diagnostic = Diagnostic::error("Provider configuration not present", detail).at(reference.span);
        errors.push(diagnostic.hint(hint.unwrap_or_else(|| how.to_owned())));
        false
    }
}

/// Whether a provider has anything to configure.
fn configurable(provider: &str) -> bool {
    !matches!(provider, "local" | "terraform")
}

fn resource(module: &Module, node: &NodeBlock, reference: &Reference, errors: &mut Diagnostics) {
    if !module.resolves(reference, errors) {
        return;
    }
    let provider = module.provider_of(&reference.root);
    let wanted = node.ty.split('_').next().unwrap_or_default();
    if &*provider != wanted {
        let detail = format!(
            "\"{reference}\" is a configuration of the provider \"{provider}\", but \"{}\" is a type of the provider \"{wanted}\".",
            node.ty
        );
        errors.push(Diagnostic::error("Provider type mismatch", detail).at(reference.span));
    }
}

fn call(module: &Module, call: &ModuleCall, errors: &mut Diagnostics) {
    for (inner, ours) in &call.providers {
        if !module.resolves(ours, errors) {
            continue;
        }
        let name: Arc<str> = inner.split('.').next().unwrap_or_default().into();
        if inner.contains('.') && !call.module.configuration_aliases.contains(inner) {
            let detail = format!(
                "The module \"{}\" does not ask for a provider configuration \"{inner}\": it is not among its \
                 configuration_aliases.",
                call.name
            );
            let names = call.module.configuration_aliases.iter().map(|a| &**a);
            let diagnostic = Diagnostic::error("Reference to undefined provider", detail).at(ours.span);
            errors.push(diagnostic.hint_opt(did_you_mean(inner, names)));
            continue;
        }
        let (theirs, given) = (call.module.provider_of(&name), module.provider_of(&ours.root));
        if theirs != given {
            let detail = format!(
                "\"{inner}\" is the provider \"{theirs}\" in the module \"{}\", but \"{ours}\" is the provider \"{given}\" here.",
                call.name
            );
            errors.push(Diagnostic::error("Provider type mismatch", detail).at(ours.span));
        }
    }
    for alias in &call.module.configuration_aliases {
        if !call.providers.contains_key(alias) {
            let detail = format!(
                "The module \"{}\" needs the provider configuration \"{alias}\", which its caller has to hand to it.",
                call.name
            );
            let diagnostic = Diagnostic::error("Missing required provider configuration", detail).at(call.span);
            errors.push(diagnostic.hint(format!("Write providers = {{ {alias} = … }} into the module block.")));
        }
    }
    let configured = call.module.providers.iter().find(|p| !p.body.attributes.is_empty() || !p.body.blocks.is_empty());
    if let Some(block) = configured.filter(|block| configurable(&call.module.provider_of(&block.name))) {
        let detail = format!(
            "The module \"{}\" configures the provider \"{}\" itself. Only an environment does: its objects could not be deleted \
             any more when the module's block is gone.",
            call.name, block.name
        );
        let diagnostic = Diagnostic::error("Provider configured in a module", detail).at(block.span);
        errors.push(
            diagnostic.hint("Move the provider block to the environment and hand it to the module with providers."),
        );
        return;
    }
    let repeated = !matches!(call.repetition, Repetition::Single) || !call.depends_on.is_empty();
    if configured.is_some() && repeated {
        let detail = format!(
            "The module \"{}\" configures a provider itself, and such a module cannot have count, for_each or depends_on: its \
             objects could not be deleted when the module's block is gone.",
            call.name
        );
        let summary = "Module is incompatible with count, for_each and depends_on";
        let diagnostic = Diagnostic::error(summary, detail).at(call.span);
        errors.push(
            diagnostic.hint("Move the provider block to the environment and hand it to the module with providers."),
        );
    }
}

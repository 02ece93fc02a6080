//! `provider` blocks: what each configures, and which of them a node uses.
//!
//! A configuration is evaluated before anything is planned, by looking around as `gantry console` does: variables, locals, files and
//! what the ledger has recorded are known then; a data source, or an object that is only being planned, is not.

use super::body::{self, Shape};
use super::look::Look;
use super::scope::ModuleScope;
use super::walk::Planner;
use super::world::{Instance, Repeated};
use crate::config::Desired;
use crate::config::desired::{Module, ProviderBlock};
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::eval::Reference;
use crate::provider::Role;
use crate::provider::catalog::Catalog;
use crate::value::Value;

/// A provider's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// Its name: the provider's, or that and the alias.
    pub name: String,
    /// The provider.
    pub provider: String,
    /// Its arguments; null where nothing is given.
    pub arguments: Value,
    /// Where its block stands.
    pub span: Span,
}

/// The names of the provider configurations of a configuration, for the providers that can be configured.
#[must_use]
pub fn configurations(desired: &Desired, catalog: &Catalog) -> Vec<String> {
    let root = &desired.root;
    let configurable = |block: &&ProviderBlock| catalog.configuration(&root.provider_of(&block.name)).is_some();
    root.providers.iter().filter(configurable).map(|block| configuration_name(root, block)).collect()
}

fn configuration_name(root: &Module, block: &ProviderBlock) -> String {
    let provider = root.provider_of(&block.name);
    block.alias.as_ref().map_or_else(|| provider.to_string(), |alias| format!("{provider}.{alias}"))
}

impl Look<'_> {
    /// What the provider blocks configure.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn configured(&self, catalog: &Catalog) -> Result<Vec<Configured>, Diagnostics> {
        let world = self.world();
        let root = &world.outline.modules[0].module;
        world.diagnostics.take();
        let mut all = Vec::new();
        for block in &root.providers {
            let provider = root.provider_of(&block.name);
            let Some(schema) = catalog.configuration(&provider) else { continue };
            let name = configuration_name(root, block);
            let here = Repeated::default();
            let scope = ModuleScope::new(world, 0, &here);
            let shape = Shape { attributes: &schema.attributes, blocks: &schema.blocks };
            let what = format!("the provider \"{provider}\"");
            let arguments = body::evaluate(&block.body, shape, &scope, &what, &name);
            if !world.diagnostics.borrow().has_errors() && !arguments.is_wholly_known() && !world.inputs.options.hollow
            {
                let detail = format!(
                    "The configuration of the provider \"{name}\" is needed before anything is planned, so it can be made of \
                     variables, locals, functions and what is recorded already. Something in it is not known yet."
                );
                let wrong = Diagnostic::error("Provider configuration not known", detail).at(block.span);
                world.report(wrong.hint("Give it through a variable: --var, a .tfvars file or GANTRY_VAR_NAME."));
            }
            all.push(Configured { name, provider: provider.to_string(), arguments, span: block.span });
        }
        let wrong = world.diagnostics.take();
        if wrong.has_errors() { Err(wrong) } else { Ok(all) }
    }
}

impl Planner<'_> {
    /// The name of the provider configuration that a node of a type uses: what it names, handed down by the calls of its modules.
    pub(super) fn configuration_of(
        &self,
        instance: Instance,
        role: Role,
        ty: &str,
        named: Option<&Reference>,
    ) -> String {
        let provider = self.world.inputs.catalog.provider(role, ty).unwrap_or_default();
        self.configuration_for(instance, provider, named)
    }

    /// The same for what a provider does without any type.
    pub(super) fn configuration_for(&self, instance: Instance, provider: &str, named: Option<&Reference>) -> String {
        if self.world.inputs.catalog.configuration(provider).is_none() {
            return provider.to_owned();
        }
        let mut at = instance;
        let mut name = named.map_or_else(|| provider.to_owned(), |reference| reference.root.to_string());
        let mut alias = named.and_then(|reference| reference.attribute(0)).map(ToString::to_string);
        while let Some(parent) = self.world.instances[at].parent {
            let caller = &self.world.outline.modules[self.world.instances[parent].index].module;
            let call = self.world.instances[at].path.parent().and_then(|(_, step)| caller.calls.get(&step.name));
            let theirs = alias.as_ref().map_or_else(|| name.clone(), |alias| format!("{name}.{alias}"));
            if let Some(ours) = call.and_then(|call| call.providers.get(theirs.as_str())) {
                name = ours.root.to_string();
                alias = ours.attribute(0).map(ToString::to_string);
            }
            at = parent;
        }
        match alias {
            Some(alias) => format!("{provider}.{alias}"),
            None => provider.to_owned(),
        }
    }
}

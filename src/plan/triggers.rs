//! `replace_triggered_by`: what makes a resource be replaced when it changes.

use super::change::{Change, ChangeKind};
use super::outline::Item;
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use crate::addr::Key;
use crate::config::desired::{Step, Trigger};
use crate::diag::{Diagnostic, did_you_mean};
use crate::provider::{ResourceSchema, Role};
use crate::value::{Kind, Path, PathStep, Seal};

impl Planner<'_> {
    /// What of `replace_triggered_by` changes in this plan: updates and replacements, as in Terraform, not what is made or goes.
    pub(super) fn triggered(&self, one: &BlockInstance<'_>) -> Option<String> {
        one.block.lifecycle.replace_triggered_by.iter().find_map(|trigger| self.trigger(one, trigger))
    }

    fn trigger(&self, one: &BlockInstance<'_>, trigger: &Trigger) -> Option<String> {
        let key = match &trigger.key {
            None => None,
            Some(term) => {
                let value = ModuleScope::new(&self.world, one.instance, &one.repeated).evaluate(term, &"lifecycle");
                Some(match &value.kind {
                    Kind::String(name) => Key::Name(name.clone()),
                    Kind::Number(n) => Key::Index(n.to_u64()?),
                    _ => return None,
                })
            }
        };
        let path: Vec<PathStep> = trigger.path.iter().map(step).collect();
        let module = self.world.instances[one.instance].index;
        for (target, item) in self.world.outline.targets(module, &trigger.resource) {
            let Item::Node(position) = item else { continue };
            let positions = self.of_block.get(&(*target, *position)).into_iter().flatten();
            let concerned = positions.map(|n| &self.changes[*n]).find(|change| {
                change.address.module == one.address.module
                    && (key.is_none() || change.address.key == key)
                    && (change.kind == ChangeKind::Update || change.kind.is_replace())
                    && changes_at(change, &path, self.world.inputs.seal)
            });
            if let Some(change) = concerned {
                let rest = if path.is_empty() { String::new() } else { format!(".{}", Path(path)) };
                return Some(format!("{}{rest}", change.address));
            }
        }
        None
    }

    /// `replace_triggered_by` names attributes and instances that there may be.
    pub(super) fn triggers_exist(&self, one: &BlockInstance<'_>) {
        let catalog = self.world.inputs.catalog;
        for trigger in &one.block.lifecycle.replace_triggered_by {
            let Some(schema) = catalog.get(Role::Managed, &trigger.resource.root) else { continue };
            let Some(Step::Attribute(name)) = trigger.path.first() else { continue };
            let known = || names(schema);
            if known().all(|k| k != &**name) {
                let detail = format!(
                    "\"replace_triggered_by\" names \"{name}\", but a resource of type \"{}\" has no such attribute.",
                    schema.ty
                );
                let diagnostic =
                    Diagnostic::error("Unsupported attribute", detail).hint_opt(did_you_mean(name, known()));
                self.world.report(diagnostic.at(trigger.resource.span).on(&one.address));
            }
        }
    }
}

fn names(schema: &ResourceSchema) -> impl Iterator<Item = &str> {
    schema.attributes.keys().chain(schema.blocks.keys()).map(|name| &**name)
}

fn step(step: &Step) -> PathStep {
    match step {
        Step::Attribute(name) => PathStep::Attribute(name.clone()),
        Step::Index(Key::Name(name)) => PathStep::Key(name.clone()),
        Step::Index(Key::Index(n)) => PathStep::Index(usize::try_from(*n).unwrap_or(usize::MAX)),
    }
}

/// Whether a change makes another value at a place, or may make one.
fn changes_at(change: &Change, path: &[PathStep], seal: Seal<'_>) -> bool {
    let at = |object: Option<&crate::value::Value>| {
        let mut value = object?.clone();
        for step in path {
            if value.is_unknown() {
                return Some(value);
            }
            let next = match step {
                PathStep::Attribute(name) | PathStep::Key(name) => value.get(name).cloned(),
                PathStep::Index(n) => value.as_items().and_then(|items| items.get(*n)).cloned(),
                PathStep::Element => None,
            };
            value = next?;
        }
        Some(value)
    };
    if path.is_empty() {
        return true;
    }
    match (at(change.before.as_ref()), at(change.after.as_ref())) {
        (Some(before), Some(after)) => !super::compare::same(&before, &after, seal),
        (before, after) => before.is_some() != after.is_some(),
    }
}

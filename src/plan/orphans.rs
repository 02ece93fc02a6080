//! What the ledger has and the configuration does not ask for: moves, removals, deletions.

use super::change::{Change, ChangeKind, Detail, Reason, ResourceDetail};
use super::resource::known;
use super::walk::Planner;
use crate::config::desired::Repetition;
use crate::addr::{Address, Key, ModulePath, NodeKind};
use crate::diag::Diagnostic;
use crate::eval::{Reference, Step};
use crate::ledger::record::Record;
use crate::provider::Role;
use crate::value::{Map, Value};

impl Planner<'_> {
    /// Which records `moved` blocks give another address.
    pub(super) fn moves(&mut self) {
        self.not_yet();
        let prefix = ModulePath::root();
        for moved in self.world.outline.modules[0].module.moved.clone() {
            let (Some(from), Some(to)) = (address(&prefix, &moved.from), address(&prefix, &moved.to)) else {
                let detail = "\"from\" and \"to\" of a moved block must be addresses of resources.";
                self.world.report(Diagnostic::error("Invalid moved block", detail).at(moved.span));
                continue;
            };
            let records = &self.world.inputs.recorded.records;
            let mut pairs = Vec::new();
            for recorded in records.keys() {
                let target = if *recorded == from {
                    Some(to.clone())
                } else if from.key.is_none() && to.key.is_none() && recorded.block() == from {
                    Some(to.with_key(recorded.key.clone()))
                } else {
                    None
                };
                if let Some(target) = target.filter(|t| !records.contains_key(t)) {
                    pairs.push((target, recorded.clone()));
                }
            }
            self.moved.extend(pairs);
        }
    }

    /// What the configuration says and this version does not carry out. Going on without it would do something else than asked.
    fn not_yet(&self) {
        let refuse = |what: &str, span| {
            let detail = format!("This version of Gantry does not carry out {what}, so nothing is planned.");
            self.world.report(Diagnostic::error("Not available yet", detail).at(span).hint("Take the block out."));
        };
        for (index, module) in self.world.outline.modules.iter().enumerate() {
            module.module.imports.iter().for_each(|import| refuse("import blocks", import.span));
            if index > 0 {
                module.module.moved.iter().for_each(|moved| refuse("moved blocks inside of modules", moved.span));
                module
                    .module
                    .removed
                    .iter()
                    .for_each(|removed| refuse("removed blocks inside of modules", removed.span));
            }
        }
    }

    /// Decides about every record that nothing in the configuration claims.
    pub(super) fn orphans(&mut self) {
        let recorded = self.world.inputs.recorded;
        let moved: Vec<Address> = self.moved.values().cloned().collect();
        for (address, record) in &recorded.records {
            let limited = self.world.inputs.options.limit.as_ref().is_some_and(|l| !l.contains(address));
            let targets = &self.world.inputs.options.targets;
            let untargeted = !targets.is_empty() && !targets.iter().any(|t| t.covers(address));
            if self.claimed.contains(address) || moved.contains(address) || limited || untargeted {
                continue;
            }
            self.orphan(address, record);
        }
    }

    fn orphan(&mut self, address: &Address, record: &Record) {
        let Some(schema) = self.world.inputs.catalog.get(Role::Managed, &record.ty).cloned() else {
            let detail = format!(
                "The ledger has a resource of type \"{}\" that this Gantry does not know, so it can neither be looked at nor deleted.",
                record.ty
            );
            self.world.report(Diagnostic::error("Unknown resource type", detail).on(address));
            return;
        };
        let Some(known) = known(self, address, record, &schema) else { return };
        let forget = self.removed(address).is_some_and(|destroy| !destroy) || known.vanished;
        let kind = match (known.readable, forget || self.world.inputs.options.refresh_only) {
            (false, _) => ChangeKind::NoOp,
            (true, true) if self.world.inputs.options.refresh_only && !known.vanished => ChangeKind::NoOp,
            (true, true) => ChangeKind::Forget,
            (true, false) => ChangeKind::Delete,
        };
        let reason = match () {
            () if known.vanished => Reason::Vanished,
            () if kind == ChangeKind::Forget => Reason::ToForget,
            () if self.world.inputs.options.destroy => Reason::Destroyed,
            () => self.why_gone(address),
        };
        let versions = self.world.inputs.recorded.versions.get(address);
        self.changes.push(Change {
            address: address.clone(),
            moved_from: None,
            kind,
            reason,
            before: known.prior.as_ref().map(|p| p.attributes.clone()),
            after: (kind == ChangeKind::NoOp)
                .then(|| known.prior.as_ref().map_or(Value::object(Map::new()), |p| p.attributes.clone())),
            differs: Vec::new(),
            replaces: Vec::new(),
            drift: known.drift,
            detail: Detail::Resource(ResourceDetail {
                provider: record.provider.clone(),
                prior: known.prior,
                inputs: Value::object(Map::new()),
                leftovers: versions.into_iter().flatten().map(|v| v.identity.clone()).collect(),
                create_before_destroy: record.create_before_destroy,
                postconditions: Vec::new(),
            }),
            span: None,
        });
    }

    /// Whether a `removed` block names it, and if so whether the object goes too.
    fn removed(&self, at: &Address) -> Option<bool> {
        let root = &self.world.outline.modules[0].module;
        let covers = |r: &Reference| address(&ModulePath::root(), r).is_some_and(|a| a.covers(at));
        root.removed.iter().find(|r| covers(&r.from)).map(|r| r.destroy)
    }

    fn why_gone(&self, address: &Address) -> Reason {
        let instances = self.world.instances.iter();
        let Some(module) = instances.clone().find(|i| i.path == address.module).map(|i| i.index) else {
            return Reason::NoModule;
        };
        let module = &self.world.outline.modules[module];
        let block = module.blocks.get(&(address.kind, address.ty.clone(), address.name.clone()));
        let Some(block) = block.map(|position| &module.module.nodes[*position]) else { return Reason::NotInConfiguration };
        match (&block.repetition, &address.key) {
            (Repetition::Count(_), Some(Key::Index(n))) => Reason::CountIndex(*n),
            (Repetition::ForEach(_), Some(key @ Key::Name(_))) => Reason::EachKey(key.clone()),
            _ => Reason::OtherRepetition,
        }
    }
}

/// The address that a reference in a `moved` or `removed` block means.
fn address(prefix: &ModulePath, reference: &Reference) -> Option<Address> {
    let mut module = prefix.clone();
    let mut root = reference.root.clone();
    let mut steps = reference.steps.as_slice();
    while &*root == "module" {
        let [Step::Attribute(name), rest @ ..] = steps else { return None };
        let (key, rest) = match rest {
            [Step::Index(key), rest @ ..] => (Some(key.clone()), rest),
            rest => (None, rest),
        };
        module = module.child(name.clone(), key);
        let [Step::Attribute(next), rest @ ..] = rest else { return None };
        root = next.clone();
        steps = rest;
    }
    let [Step::Attribute(name), rest @ ..] = steps else { return None };
    let key = match rest {
        [] => None,
        [Step::Index(key)] => Some(key.clone()),
        _ => return None,
    };
    Some(Address::new(module, NodeKind::Resource, root, name.clone()).with_key(key))
}

//! Deciding about checks: what they ask, when they run, and what a prove step asks instead.

use std::collections::{BTreeMap, BTreeSet};

use super::body::{self, Shape};
use super::builtin;
use super::change::{Change, ChangeKind, CheckDetail, Detail, Reason};
use super::data::bare;
use super::outline::{BlockId, Item, ItemId};
use super::result;
use super::scope::{ModuleScope, Overlay};
use super::walk::{BlockInstance, Planner, argument, marked};
use super::world::At;
use crate::addr::{Address, NodeKind};
use crate::diag::{Diagnostic, did_you_mean};
use crate::provider::{Lowering, Role};
use crate::value::Value;

impl Planner<'_> {
    /// A health check or smoke test.
    pub(super) fn check(&mut self, one: &BlockInstance<'_>) -> Value {
        if self.world.inputs.options.to_nothing {
            return Value::opaque(crate::value::Type::Any);
        }
        let (attributes, blocks) = builtin::check(one.block.kind == NodeKind::HealthCheck);
        let shape = Shape { attributes: &attributes, blocks: &blocks };
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        let site = &one.address;
        let configuration = body::evaluate(&one.block.body, shape, &scope, &"a check", site);
        let probes =
            ["http", "tcp", "grpc", "command"].iter().filter(|p| configuration.get(p).is_some_and(|v| !v.is_null()));
        if probes.count() != 1 {
            let detail = "A check has exactly one probe: an http, tcp, grpc or command block.";
            self.world.report(Diagnostic::error("Invalid check", detail).at(one.block.span).on(&one.address));
        }
        self.durations(one, &configuration);
        let (prove, verify) = self.phases(one, &configuration);
        let mut proven = Vec::new();
        if prove {
            for (id, workload) in self.staged_before(one) {
                let overlay = self.overlay(one, id, &workload);
                let scope = ModuleScope {
                    overlay: Some(&overlay),
                    ..ModuleScope::new(&self.world, one.instance, &one.repeated)
                };
                proven.push((workload, body::evaluate(&one.block.body, shape, &scope, &"a check", site)));
            }
        }
        let detail = CheckDetail { verify, prove: proven };
        let change = Change {
            after: Some(configuration.clone()),
            detail: Detail::Check(detail),
            ..bare(one, ChangeKind::Run, Reason::Checked)
        };
        self.decide(one.id, change);
        configuration
    }

    fn durations(&self, one: &BlockInstance<'_>, configuration: &Value) {
        for name in ["interval", "timeout", "initial_delay", "attempt_timeout"] {
            let Some(text) = configuration.get_str(name) else { continue };
            if let Err(why) = super::duration::parse(text) {
                let span = one.block.body.attributes.get(name).map_or(one.block.span, |a| a.term.span);
                let detail = format!("\"{name}\" must be a duration: {why}.");
                self.world.report(Diagnostic::error("Invalid duration", detail).at(span).on(&one.address));
            }
        }
    }

    fn phases(&self, one: &BlockInstance<'_>, configuration: &Value) -> (bool, bool) {
        let Some(items) = configuration.get("phases").and_then(Value::as_items) else { return (true, true) };
        let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        if words.is_empty() || words.iter().any(|w| !matches!(*w, "prove" | "verify")) {
            let span = one.block.body.attributes.get("phases").map_or(one.block.span, |a| a.term.span);
            let detail = "\"phases\" is a list of \"prove\" (on the staged version, before traffic moves) and \"verify\" (on what serves).";
            let hint = words.iter().find_map(|word| did_you_mean(word, ["prove", "verify"]));
            self.world.report(Diagnostic::error("Invalid phases", detail).at(span).on(&one.address).hint_opt(hint));
        }
        (words.contains(&"prove"), words.contains(&"verify"))
    }

    /// The workloads that a check can be proven on: staged in this run, and nothing else that the check needs changes after
    /// that.
    fn staged_before(&self, one: &BlockInstance<'_>) -> Vec<(BlockId, Address)> {
        let all = self.needs_deep(one.id);
        let mut found = Vec::new();
        for id in &all {
            for position in self.of_block.get(id).into_iter().flatten() {
                let change = &self.changes[*position];
                let staged = change.kind == ChangeKind::Update
                    && change.reason != Reason::LeftOver
                    && change.is(NodeKind::Resource)
                    && self.lowering(change) == Some(Lowering::Workload);
                let before = self.needs_deep(*id);
                let mut needs = self.world.outline.needs(one.id);
                let others_come_first = needs.all(|n| n == *id || !self.block_changes(n) || before.contains(&n));
                if staged && others_come_first {
                    found.push((*id, change.address.clone()));
                }
            }
        }
        found
    }

    /// All blocks that a block depends on, at any distance.
    fn needs_deep(&self, id: BlockId) -> BTreeSet<BlockId> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(at) = open.pop() {
            open.extend(self.world.outline.needs(at).filter(|next| found.insert(*next)));
        }
        found
    }

    pub(super) fn lowering(&self, change: &Change) -> Option<Lowering> {
        self.world.inputs.catalog.get(Role::Managed, &change.address.ty).map(|s| s.lowering)
    }

    /// The world in which a workload is its staged version: everything between the workload and the check, evaluated anew.
    fn overlay(&self, one: &BlockInstance<'_>, workload: BlockId, address: &Address) -> Overlay {
        let mut overlay = Overlay::default();
        // What is wrong out there is wrong whether the check looks or not: it is said without the check's address, once.
        let own = self.world.at.replace(At { instance: one.instance, ..At::default() });
        self.stage_block(&mut overlay, workload, address);
        let cone = self.cone(one.id, workload);
        let order: Vec<&ItemId> = self.world.outline.order.iter().filter(|id| cone.contains(*id)).collect();
        for (module, item) in order {
            for instance in self.world.instances_of(*module) {
                let here = super::world::Repeated::default();
                let declared = &self.world.outline.modules[*module].module;
                match item {
                    Item::Local(name) => {
                        let scope =
                            ModuleScope { overlay: Some(&overlay), ..ModuleScope::new(&self.world, instance, &here) };
                        let value = scope.evaluate(&declared.locals[name].term, name);
                        overlay.locals.insert((instance, name.clone()), value);
                    }
                    Item::Output(name) => {
                        let scope =
                            ModuleScope { overlay: Some(&overlay), ..ModuleScope::new(&self.world, instance, &here) };
                        let output = &declared.outputs[name];
                        let value = scope.evaluate(&output.term, name);
                        let value = if output.sensitive { value.sensitive() } else { value };
                        overlay.outputs.insert((instance, name.clone()), value);
                    }
                    Item::Variable(name) => {
                        let Some(parent) = self.world.instances[instance].parent else { continue };
                        let variable = &declared.variables[name];
                        let value = argument(&self.world, parent, instance, name, variable, Some(&overlay));
                        let value = value.or_else(|| variable.default.clone());
                        if let Some(value) = value {
                            overlay.variables.insert((instance, name.clone()), marked(value, variable));
                        }
                    }
                    Item::Node(_) | Item::Call(_) => {}
                }
            }
        }
        self.world.at.replace(own);
        overlay
    }

    /// Puts the staged version in the workload's place.
    fn stage_block(&self, overlay: &mut Overlay, workload: BlockId, address: &Address) {
        let block = self.world.outline.block(workload);
        let Some(schema) = self.world.inputs.catalog.get(Role::Managed, &block.ty) else { return };
        let Some(instance) = self.world.instances.iter().position(|m| m.path == address.module) else { return };
        let Some(value) = &self.world.instances[instance].blocks[workload.1] else { return };
        let staged = |object: &Value| {
            let mut out = object.as_map().cloned().unwrap_or_default();
            for (name, attribute) in schema.attributes.iter().filter(|(_, a)| a.staged) {
                out.insert(name.clone(), result::attribute(address, name, attribute.ty.clone()));
            }
            Value::object(out)
        };
        let value = match (&address.key, &value.kind) {
            (None, _) => staged(value),
            (Some(crate::addr::Key::Name(name)), crate::value::Kind::Object(m)) => {
                let mut out = (**m).clone();
                if let Some(object) = m.get(name) {
                    out.insert(name.clone(), staged(object));
                }
                Value::object(out)
            }
            (Some(crate::addr::Key::Index(n)), crate::value::Kind::Tuple(items)) => {
                let mut out = items.to_vec();
                if let Some(object) = usize::try_from(*n).ok().and_then(|n| out.get_mut(n)) {
                    *object = staged(object);
                }
                Value::tuple(out)
            }
            _ => value.clone(),
        };
        overlay.blocks.insert((instance, workload.1), value);
    }

    /// The things between a check and a workload that are no blocks.
    fn cone(&self, check: BlockId, workload: BlockId) -> BTreeSet<ItemId> {
        let target: ItemId = (workload.0, Item::Node(workload.1));
        let mut reaches: BTreeMap<ItemId, bool> = BTreeMap::new();
        // Walked backwards from the check through pure things; what has the workload below it is in the cone.
        let mut stack: Vec<(ItemId, bool)> = vec![((check.0, Item::Node(check.1)), false)];
        while let Some((id, finished)) = stack.pop() {
            let below: Vec<ItemId> = self.world.outline.before(&id).into_iter().cloned().collect();
            if finished {
                let hit = below.iter().any(|b| *b == target || reaches.get(b) == Some(&true));
                reaches.insert(id, hit);
                continue;
            }
            if reaches.contains_key(&id) {
                continue;
            }
            reaches.insert(id.clone(), false);
            stack.push((id, true));
            stack.extend(below.into_iter().filter(|b| !matches!(b.1, Item::Node(_))).map(|b| (b, false)));
        }
        reaches.into_iter().filter(|(id, hit)| *hit && !matches!(id.1, Item::Node(_))).map(|(id, _)| id).collect()
    }
}

//! Addresses that change: `moved` blocks, what follows from `count` coming or going, and, on a way back, the same backwards.
//!
//! A block's addresses are relative to its module, and it holds for every instance of that. Where neither address has a key
//! it moves all instances, otherwise one. Records go along chains of blocks to the last address; one whose last address is
//! taken stays where it is, and a warning says so. All as in Terraform (`internal/refactoring`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::outline::ModuleIndex;
use super::walk::Planner;
use crate::addr::{Address, Key, ModulePath, ModuleStep, NodeKind};
use crate::config::desired::Repetition;
use crate::diag::{Diagnostic, Span};
use crate::eval::{Reference, Step};

/// What one side of a `moved` block, or a `removed` block, names within its module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    /// The modules on the way; for a module the last is the module itself.
    pub(super) modules: Vec<ModuleStep>,
    /// The resource's type, name and key; `None` for a module.
    pub(super) resource: Option<(Arc<str>, Arc<str>, Option<Key>)>,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence on why it is none.
    pub(super) fn read(reference: &Reference) -> Result<Self, &'static str> {
        let mut modules = Vec::new();
        let mut root = reference.root.clone();
        let mut steps = reference.steps.as_slice();
        let key = |rest: &mut &[Step]| match rest {
            [Step::Index(key), after @ ..] => {
                let key = key.clone();
                *rest = after;
                Some(key)
            }
            _ => None,
        };
        while &*root == "module" {
            let [Step::Attribute(name), rest @ ..] = steps else {
                return Err("A module's name follows the word \"module\".");
            };
            steps = rest;
            let key = key(&mut steps);
            modules.push(ModuleStep { name: name.clone(), key });
            match steps {
                [] => return Ok(Self { modules, resource: None }),
                [Step::Attribute(next), rest @ ..] => {
                    root = next.clone();
                    steps = rest;
                }
                _ => return Err("A module has one instance key at most."),
            }
        }
        if &*root == "data" {
            return Err(
                "Data sources are read anew in every run and keep nothing, so they neither move nor are removed.",
            );
        }
        if NodeKind::of_keyword(&root).is_some() {
            return Err("Only resources and modules have records that move or are removed.");
        }
        let [Step::Attribute(name), rest @ ..] = steps else {
            return Err("The resource's type is followed by its name.");
        };
        steps = rest;
        let key = key(&mut steps);
        match steps {
            [] => Ok(Self { modules, resource: Some((root, name.clone(), key)) }),
            _ => Err("An address ends with the resource's name or, in square brackets, its instance key."),
        }
    }

    /// The key of what is named itself.
    fn key(&self) -> Option<&Key> {
        match &self.resource {
            Some((_, _, key)) => key.as_ref(),
            None => self.modules.last().and_then(|m| m.key.as_ref()),
        }
    }

    /// Whether any part has a key.
    pub(super) fn has_keys(&self) -> bool {
        self.key().is_some() || self.modules.iter().any(|m| m.key.is_some())
    }

    /// Whether what is named, in any instance, has this address in it. `path` are the names of the module that says so.
    pub(super) fn covers_any(&self, path: &[Arc<str>], address: &Address) -> bool {
        let names = path.iter().chain(self.modules.iter().map(|m| &m.name));
        let wanted: Vec<&Arc<str>> = names.collect();
        let own: Vec<&Arc<str>> = address.module.0.iter().map(|m| &m.name).collect();
        match &self.resource {
            None => own.starts_with(&wanted),
            Some((ty, name, _)) => own == wanted && address.ty == *ty && address.name == *name,
        }
    }

    /// In a module instance, as people write it.
    fn shown(&self, within: &ModulePath) -> String {
        let mut text = if within.is_root() { String::new() } else { format!("{within}.") };
        text.push_str(&self.to_string());
        text
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, module) in self.modules.iter().enumerate() {
            let dot = if n == 0 { "" } else { "." };
            write!(f, "{dot}module.{}", module.name)?;
            module.key.iter().try_for_each(|key| write!(f, "{key}"))?;
        }
        let Some((ty, name, key)) = &self.resource else { return Ok(()) };
        let dot = if self.modules.is_empty() { "" } else { "." };
        write!(f, "{dot}{ty}.{name}")?;
        key.iter().try_for_each(|key| write!(f, "{key}"))
    }
}

/// A `moved` block, read.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// The names of the module that it stands in.
    path: Vec<Arc<str>>,
    index: ModuleIndex,
    from: Endpoint,
    to: Endpoint,
    span: Span,
}

impl Statement {
    /// Whether one instance moves, rather than all of them.
    fn is_single(&self) -> bool {
        self.from.key().is_some() || self.to.key().is_some()
    }

    /// Where a record goes, if it is one that moves.
    fn apply(&self, address: &Address) -> Option<Address> {
        let own = &address.module.0;
        let depth = self.path.len();
        if own.len() < depth || !own.iter().zip(&self.path).all(|(step, name)| step.name == *name) {
            return None;
        }
        let (within, rest) = own.split_at(depth);
        let wanted = &self.from.modules;
        let mut modules: Vec<ModuleStep> = within.to_vec();
        modules.extend(self.to.modules.iter().cloned());
        match (&self.from.resource, &self.to.resource) {
            (Some((ty, name, key)), Some((new_type, new_name, new_key))) => {
                let here = rest == wanted.as_slice() && address.ty == *ty && address.name == *name;
                let meant = here && address.kind == NodeKind::Resource && (!self.is_single() || address.key == *key);
                let key = if self.is_single() { new_key.clone() } else { address.key.clone() };
                let moved =
                    Address::new(ModulePath(modules.into()), NodeKind::Resource, new_type.clone(), new_name.clone());
                meant.then(|| moved.with_key(key))
            }
            (None, None) => {
                let (last, before) = wanted.split_last()?;
                let (instance, after) = rest.get(before.len()).zip(rest.get(before.len() + 1..))?;
                let here = rest.starts_with(before) && instance.name == last.name;
                if !here || (self.is_single() && instance.key != last.key) {
                    return None;
                }
                if !self.is_single()
                    && let Some(step) = modules.last_mut()
                {
                    step.key.clone_from(&instance.key);
                }
                modules.extend(after.iter().cloned());
                Some(Address { module: ModulePath(modules.into()), ..address.clone() })
            }
            _ => None,
        }
    }

    /// Whether what this one moves to is, or is in, what the other moves away.
    fn leads_to(&self, other: &Self) -> bool {
        let names = |path: &[Arc<str>], end: &Endpoint| -> Vec<Arc<str>> {
            path.iter().cloned().chain(end.modules.iter().map(|m| m.name.clone())).collect()
        };
        let (to, from) = (names(&self.path, &self.to), names(&other.path, &other.from));
        let keys = |a: Option<&Key>, b: Option<&Key>| !(self.is_single() && other.is_single()) || a == b;
        match (&self.to.resource, &other.from.resource) {
            (Some((a, b, key)), Some((c, d, other))) => {
                to == from && a == c && b == d && keys(key.as_ref(), other.as_ref())
            }
            (None, None) => to == from && keys(self.to.key(), other.from.key()),
            _ => false,
        }
    }
}

impl Planner<'_> {
    /// Which records have another address in this plan.
    pub(super) fn moves(&mut self) {
        let options = self.world.inputs.options;
        if options.to_nothing {
            return;
        }
        if options.going_back {
            let back = self.moves_back(options.to_generation);
            return self.settle(back, false);
        }
        self.statements = self.statements();
        let mut all: Vec<(usize, Address, Address)> = Vec::new();
        let records = self.world.inputs.recorded.records.keys();
        for recorded in records.filter(|_| !self.statements.is_empty()) {
            let (mut at, mut hops) = (recorded.clone(), 0);
            while let Some(next) = self.statements.iter().find_map(|s| s.apply(&at)) {
                hops += 1;
                at = next;
                // Blocks that lead in a circle are refused below.
                if hops > self.statements.len() {
                    break;
                }
            }
            if at != *recorded {
                all.push((hops, at, recorded.clone()));
            }
        }
        all.extend(self.implied());
        self.settle(all, true);
    }

    /// Gives every record its last address, unless that is taken: nearest first, where several come together.
    fn settle(&mut self, mut all: Vec<(usize, Address, Address)>, warn: bool) {
        all.sort();
        let leaving: BTreeSet<Address> = all.iter().map(|(_, _, from)| from.clone()).collect();
        let records = &self.world.inputs.recorded.records;
        let mut blocked = Vec::new();
        for (_, to, from) in all {
            let taken = (records.contains_key(&to) && !leaving.contains(&to)) || self.moved.contains_key(&to);
            if taken {
                blocked.push(format!("\n  - {from} could not move to {to}"));
            } else {
                self.moved.insert(to, from);
            }
        }
        if warn && !blocked.is_empty() {
            let detail = format!(
                "There are objects at the addresses that these were to move to, so they stay where they are, and what the \
                 configuration does not ask for goes:{}",
                blocked.concat()
            );
            let diagnostic = Diagnostic::warning("Unresolved resource instance address changes", detail);
            self.world
                .report(diagnostic.hint("Decide which object is kept, and give the other one an address of its own."));
        }
    }

    /// What the ledger says has moved since a generation, backwards.
    fn moves_back(&self, generation: Option<u64>) -> Vec<(usize, Address, Address)> {
        let recorded = self.world.inputs.recorded;
        let since: Vec<_> = recorded.moves.iter().filter(|m| generation.is_none_or(|n| m.generation > n)).collect();
        let mut all = Vec::new();
        for address in recorded.records.keys() {
            let mut at = address;
            let mut hops = 0;
            for moved in since.iter().rev().filter(|m| m.from != m.to) {
                if moved.to == *at {
                    at = &moved.from;
                    hops += 1;
                }
            }
            if at != address {
                all.push((hops, at.clone(), address.clone()));
            }
        }
        all
    }

    /// Where `count` came or went: the one instance that there was, or the first of those that there were, is the other.
    fn implied(&self) -> Vec<(usize, Address, Address)> {
        let mut all = Vec::new();
        let modules = self.world.outline.modules.iter();
        let counted =
            modules.flat_map(|m| &m.module.nodes).any(|block| matches!(block.repetition, Repetition::Count(_)));
        for recorded in self.world.inputs.recorded.records.keys() {
            let key = match &recorded.key {
                None if !counted => continue,
                None => Some(Key::Index(0)),
                Some(Key::Index(0)) => None,
                Some(_) => continue,
            };
            let Some(block) = self.block_at(recorded) else { continue };
            let changed = match (&block.repetition, &key) {
                (Repetition::Count(_), Some(_)) | (Repetition::Single, None) => true,
                (Repetition::Count(_) | Repetition::Single | Repetition::ForEach(_), _) => false,
            };
            let said = |end: &Endpoint, path: &[Arc<str>]| end.resource.is_some() && end.covers_any(path, recorded);
            let explicit = self.statements.iter().any(|s| said(&s.from, &s.path) || said(&s.to, &s.path));
            let to = recorded.with_key(key);
            if changed && !explicit && !self.world.inputs.recorded.records.contains_key(&to) {
                all.push((1, to, recorded.clone()));
            }
        }
        all
    }

    /// The block of a record's address, whatever its keys.
    fn block_at(&self, address: &Address) -> Option<&crate::config::desired::NodeBlock> {
        let outline = self.world.outline;
        let mut module = 0;
        for step in address.module.0.iter() {
            module = *outline.modules[module].children.get(&step.name)?;
        }
        let position = outline.modules[module].block(address.kind, &address.ty, &address.name)?;
        outline.modules[module].module.nodes.get(position).map(|block| &**block)
    }

    /// All `moved` blocks; what is wrong with one by itself is noted.
    fn statements(&self) -> Vec<Statement> {
        let outline = self.world.outline;
        let mut all = Vec::new();
        for (index, module) in outline.modules.iter().enumerate() {
            let path = outline.names(index);
            for moved in &module.module.moved {
                let read = |reference: &Reference| {
                    Endpoint::read(reference).map_err(|why| {
                        self.world.report(Diagnostic::error("Invalid address", why).at(reference.span));
                    })
                };
                let (Ok(from), Ok(to)) = (read(&moved.from), read(&moved.to)) else { continue };
                let refuse = |summary: &str, detail: String| {
                    self.world.report(Diagnostic::error(summary, detail).at(moved.span));
                };
                match (&from.resource, &to.resource) {
                    (Some((old, ..)), Some((new, ..))) if old != new => refuse(
                        "Unsupported moved across resource types",
                        format!("A {old} is not a {new}: a record keeps its type when it moves."),
                    ),
                    (Some(_), None) | (None, Some(_)) => refuse(
                        "Invalid moved addresses",
                        "\"from\" and \"to\" must either both be resources or both be modules.".into(),
                    ),
                    _ if from == to => refuse(
                        "Redundant move statement",
                        format!("This moves {from} to the same address, which is no move at all. Take the block out."),
                    ),
                    _ => all.push(Statement { path: path.clone(), index, from, to, span: moved.span }),
                }
            }
        }
        all
    }

    /// What is wrong with the `moved` blocks, seen together and against what the configuration declares.
    pub(super) fn moves_hold(&self) {
        let mut from_seen: BTreeMap<String, &Statement> = BTreeMap::new();
        let mut to_seen: BTreeMap<String, &Statement> = BTreeMap::new();
        let mut sound = true;
        for statement in &self.statements {
            for instance in self.world.instances_of(statement.index) {
                sound &= self.not_declared_any_more(statement, instance);
            }
            let within = format!("{:?}", statement.path);
            let (from, to) = (format!("{within}{}", statement.from), format!("{within}{}", statement.to));
            let place = |s: &Statement| {
                let place = self.world.inputs.desired.sources.place(s.span);
                place.map(|p| format!(" at {}:{}", p.name, p.line)).unwrap_or_default()
            };
            let mut ambiguous = |detail: String| {
                sound = false;
                self.world.report(Diagnostic::error("Ambiguous move statements", detail).at(statement.span));
            };
            let Statement { from: away, to: there, .. } = statement;
            if let Some(other) = from_seen.insert(from, statement).filter(|o| o.to != *there) {
                ambiguous(format!(
                    "The block{} says that {away} moved to {}, and this one that it moved to {there}. It can have moved to one \
                     address only.",
                    place(other),
                    other.to
                ));
            }
            if let Some(other) = to_seen.insert(to, statement).filter(|o| o.from != *away) {
                ambiguous(format!(
                    "The block{} says that {} moved to {there}, and this one that {away} moved there. Only one object can have \
                     moved to an address.",
                    place(other),
                    other.from
                ));
            }
        }
        if sound {
            self.no_circle();
        }
    }

    fn not_declared_any_more(&self, statement: &Statement, instance: super::world::Instance) -> bool {
        let within = &self.world.instances[instance].path;
        let mut path = within.clone();
        let from = &statement.from;
        let parents = if from.resource.is_some() { from.modules.len() } else { from.modules.len() - 1 };
        for step in &from.modules[..parents] {
            path = path.child(step.name.clone(), step.key.clone());
        }
        let there = self.world.instances.iter().find(|i| i.path == path);
        let declared = match (&from.resource, from.modules.last()) {
            (Some((ty, name, key)), _) => {
                let block = Address::new(path.clone(), NodeKind::Resource, ty.clone(), name.clone());
                match statement.is_single() {
                    true => self.claimed.contains(&block.with_key(key.clone())),
                    false => there.is_some_and(|i| {
                        self.world.outline.modules[i.index].block(NodeKind::Resource, ty, name).is_some()
                    }),
                }
            }
            (None, Some(last)) => match statement.is_single() {
                true => {
                    let path = path.child(last.name.clone(), last.key.clone());
                    self.world.instances.iter().any(|i| i.path == path)
                }
                false => there.is_some_and(|i| i.calls.contains_key(&last.name)),
            },
            (None, None) => false,
        };
        if declared {
            let (old, new) = (from.shown(within), statement.to.shown(within));
            let detail = format!(
                "This says that {old} has moved to {new}, but {old} is still declared. What has moved is declared under its new \
                 address only."
            );
            self.world.report(Diagnostic::error("Moved object still exists", detail).at(statement.span));
        }
        !declared
    }

    fn no_circle(&self) {
        for start in 0..self.statements.len() {
            let mut chain = vec![start];
            let mut at = start;
            while let Some(next) =
                (0..self.statements.len()).find(|n| self.statements[at].leads_to(&self.statements[*n]))
            {
                if next == start {
                    let lines: String = chain
                        .iter()
                        .map(|n| &self.statements[*n])
                        .map(|s| format!("\n  - {} to {}", s.from, s.to))
                        .collect();
                    let detail = format!(
                        "These moved blocks lead in a circle, so there is no last address for what they move:{lines}"
                    );
                    let diagnostic = Diagnostic::error("Cyclic dependency in move statements", detail);
                    self.world.report(diagnostic.at(self.statements[start].span));
                    return;
                }
                if chain.contains(&next) {
                    break;
                }
                chain.push(next);
                at = next;
            }
        }
    }
}

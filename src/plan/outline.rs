//! The outline: which named thing of which module needs which, before anything is evaluated or repeated.
//!
//! Planning walks it in order, so that whatever an expression refers to has its value by then; nothing recurses. It also
//! says which blocks depend on which through locals, variables and outputs, which is what orders the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::addr::NodeKind;
use crate::config::desired::{Body, Condition, Module, NodeBlock, Repetition};
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::eval::{Reference, Term, references};
use crate::graph::Dag;

/// The number of a module in the outline; 0 is the root.
pub(super) type ModuleIndex = usize;

/// A block: its module and its position there.
pub(super) type BlockId = (ModuleIndex, usize);

/// A named thing of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A `module` block: how often it is called.
    Call(Arc<str>),
    /// A variable.
    Variable(Arc<str>),
    /// A local.
    Local(Arc<str>),
    /// A resource, data source, artifact, migration or check, by its position.
    Node(usize),
    /// An output.
    Output(Arc<str>),
}

/// A thing of some module.
pub(super) type ItemId = (ModuleIndex, Item);

/// A module where it is called, however often.
#[derive(Debug)]
pub(super) struct StaticModule {
    /// What it says.
    pub(super) module: Arc<Module>,
    /// Who calls it, under which name.
    pub(super) parent: Option<(ModuleIndex, Arc<str>)>,
    /// The modules that it calls.
    pub(super) children: BTreeMap<Arc<str>, ModuleIndex>,
    /// The positions of its blocks.
    pub(super) blocks: BTreeMap<(NodeKind, Arc<str>, Arc<str>), usize>,
}

/// The outline.
#[derive(Debug)]
pub(super) struct Outline {
    /// The modules, callers before called.
    pub(super) modules: Vec<StaticModule>,
    /// Everything, so that each comes after what it needs.
    pub(super) order: Vec<ItemId>,
    /// The blocks that a block depends on, directly or through things that are no blocks.
    pub(super) needs: BTreeMap<BlockId, BTreeSet<BlockId>>,
    /// What needs what.
    pub(super) dag: Dag<ItemId, ()>,
}

/// Modules nest at most so deep; a cycle of modules is found when loading.
const DEPTH_MAX: usize = 64;

impl Outline {
    /// Draws the outline of a configuration.
    ///
    /// # Errors
    /// When something needs itself; the cycle is named link by link.
    pub(super) fn draw(root: &Arc<Module>, sources: &SourceMap) -> Result<Self, Box<Diagnostic>> {
        let mut modules = Vec::new();
        gather(&mut modules, root.clone(), None, 0);
        let mut dag = Dag::default();
        for (index, module) in modules.iter().enumerate() {
            for item in items(&module.module) {
                dag.add((index, item), ());
            }
        }
        let mut outline = Self { modules, order: Vec::new(), needs: BTreeMap::new(), dag };
        for index in 0..outline.modules.len() {
            outline.connect(index);
        }
        outline.order = outline.dag.sorted().map_err(|cycle| Box::new(outline.cycle(&cycle, sources)))?;
        outline.gather_needs();
        Ok(outline)
    }

    /// The block of a position.
    pub(super) fn block(&self, (module, position): BlockId) -> &Arc<NodeBlock> {
        &self.modules[module].module.nodes[position]
    }

    /// The blocks with `create_before_destroy`, and all that they need.
    pub(super) fn create_first(&self) -> BTreeSet<BlockId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<BlockId> = Vec::new();
        for (module, all) in self.modules.iter().enumerate() {
            let blocks = all.module.nodes.iter().enumerate();
            open.extend(blocks.filter(|(_, b)| b.lifecycle.create_before_destroy).map(|(n, _)| (module, n)));
        }
        while let Some(at) = open.pop() {
            if found.insert(at) {
                open.extend(self.needs.get(&at).into_iter().flatten());
            }
        }
        found
    }

    /// The names of the calls that lead to a module.
    pub(super) fn names(&self, module: ModuleIndex) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        let mut at = module;
        while let Some((parent, name)) = &self.modules[at].parent {
            names.push(name.clone());
            at = *parent;
        }
        names.reverse();
        names
    }

    /// The things that a reference in a module means, and everything in them for a whole module.
    pub(super) fn targets(&self, module: ModuleIndex, reference: &Reference) -> Vec<ItemId> {
        let here = &self.modules[module];
        let attribute = |n: usize| reference.attribute(n).cloned();
        let Some(name) = attribute(0) else { return Vec::new() };
        let node = |kind, ty: Arc<str>, name: Arc<str>| {
            here.blocks.get(&(kind, ty, name)).map(|n| (module, Item::Node(*n))).into_iter().collect()
        };
        match &*reference.root {
            "var" => vec![(module, Item::Variable(name))],
            "local" => vec![(module, Item::Local(name))],
            "module" => {
                let Some(child) = here.children.get(&name) else { return Vec::new() };
                let mut found = vec![(module, Item::Call(name))];
                let output = (1..=2).find_map(attribute);
                let outputs = &self.modules[*child].module.outputs;
                match output.filter(|o| outputs.contains_key(o)) {
                    Some(output) => found.push((*child, Item::Output(output))),
                    None => found.extend(outputs.keys().map(|o| (*child, Item::Output(o.clone())))),
                }
                found
            }
            "data" => attribute(1).map_or_else(Vec::new, |n| node(NodeKind::Data, name, n)),
            "path" | "each" | "count" | "self" | "terraform" => Vec::new(),
            word => match NodeKind::of_keyword(word) {
                Some(kind) => node(kind, "".into(), name),
                None => node(NodeKind::Resource, word.into(), name),
            },
        }
    }

    /// All blocks in a module and the modules that it calls.
    fn blocks_within(&self, module: ModuleIndex) -> Vec<ItemId> {
        let mut found: Vec<ItemId> =
            (0..self.modules[module].module.nodes.len()).map(|n| (module, Item::Node(n))).collect();
        for child in self.modules[module].children.values() {
            found.extend(self.blocks_within(*child));
        }
        found
    }

    fn connect(&mut self, index: ModuleIndex) {
        let module = self.modules[index].module.clone();
        let parent = self.modules[index].parent.clone();
        let mut wants: Vec<(ItemId, ItemId)> = Vec::new();
        let mut refer = |outline: &Self, from: ItemId, scope: ModuleIndex, terms: &[&Term]| {
            for term in terms {
                let mut found = Vec::new();
                references(term, &mut found);
                for reference in found {
                    wants.extend(outline.targets(scope, reference).into_iter().map(|to| (from.clone(), to)));
                }
            }
        };
        for (name, call) in &module.calls {
            let id = (index, Item::Call(name.clone()));
            refer(self, id.clone(), index, &repetition(&call.repetition));
        }
        for (name, variable) in &module.variables {
            let id = (index, Item::Variable(name.clone()));
            if let Some((caller, call)) = &parent
                && let Some(argument) = self.modules[*caller].module.calls.get(call).and_then(|c| c.arguments.get(name))
            {
                refer(self, id.clone(), *caller, &[&argument.term]);
            }
            for validation in &variable.validations {
                refer(self, id.clone(), index, &condition(validation));
            }
        }
        for (name, local) in &module.locals {
            refer(self, (index, Item::Local(name.clone())), index, &[&local.term]);
        }
        for (name, output) in &module.outputs {
            let id = (index, Item::Output(name.clone()));
            refer(self, id.clone(), index, &[&output.term]);
            for one in &output.preconditions {
                refer(self, id.clone(), index, &condition(one));
            }
        }
        for (position, block) in module.nodes.iter().enumerate() {
            let id = (index, Item::Node(position));
            let mut terms = repetition(&block.repetition);
            body_terms(&block.body, &mut terms);
            for one in block.lifecycle.preconditions.iter().chain(&block.lifecycle.postconditions) {
                terms.extend(condition(one));
            }
            terms.extend(block.lifecycle.replace_triggered_by.iter().filter_map(|t| t.key.as_deref()));
            refer(self, id.clone(), index, &terms);
        }
        if index == 0 {
            for import in &module.imports {
                let Some((of, position)) = self.import_target(&import.to) else { continue };
                let terms: Vec<&Term> = std::iter::once(&import.id)
                    .chain(&import.for_each)
                    .chain(import.to.keys())
                    .map(|term| &**term)
                    .collect();
                refer(self, (of, Item::Node(position)), 0, &terms);
            }
        }
        // A variable's validation names the variable itself; that is no need.
        wants.retain(|(from, to)| from != to || !matches!(from.1, Item::Variable(_)));
        self.connect_explicit(index, &module, &mut wants);
        if let Some((caller, call)) = &parent {
            let call = (*caller, Item::Call(call.clone()));
            wants.extend(items(&module).map(|item| ((index, item), call.clone())));
        }
        wants.sort();
        wants.dedup();
        for (from, to) in wants {
            self.dag.order_new(&to, &from);
        }
    }

    fn connect_explicit(&self, index: ModuleIndex, module: &Module, wants: &mut Vec<(ItemId, ItemId)>) {
        let mut explicit = |from: ItemId, reference: &Reference| {
            let whole_module = &*reference.root == "module";
            for to in self.targets(index, reference) {
                wants.push((from.clone(), to));
            }
            if whole_module
                && let Some(child) = reference.attribute(0).and_then(|n| self.modules[index].children.get(n))
            {
                wants.extend(self.blocks_within(*child).into_iter().map(|to| (from.clone(), to)));
            }
        };
        for (position, block) in module.nodes.iter().enumerate() {
            let triggers = block.lifecycle.replace_triggered_by.iter().map(|t| &t.resource);
            for reference in block.depends_on.iter().chain(triggers) {
                explicit((index, Item::Node(position)), reference);
            }
        }
        for (name, output) in &module.outputs {
            for reference in &output.depends_on {
                explicit((index, Item::Output(name.clone())), reference);
            }
        }
        for (name, call) in &module.calls {
            let Some(child) = self.modules[index].children.get(name) else { continue };
            for reference in &call.depends_on {
                for from in self.blocks_within(*child) {
                    explicit(from, reference);
                }
            }
        }
    }

    fn gather_needs(&mut self) {
        let mut reach: BTreeMap<&ItemId, Rc<BTreeSet<BlockId>>> = BTreeMap::new();
        let empty: Rc<BTreeSet<BlockId>> = Rc::default();
        for id in &self.order {
            let before = self.dag.before(id);
            let mut sets: Vec<Rc<BTreeSet<BlockId>>> = Vec::new();
            let mut own: BTreeSet<BlockId> = BTreeSet::new();
            for to in before {
                match &to.1 {
                    Item::Node(position) => {
                        own.insert((to.0, *position));
                    }
                    _ => sets.extend(reach.get(to).filter(|s| !s.is_empty()).cloned()),
                }
            }
            let set = match (sets.len(), own.is_empty()) {
                (0, true) => empty.clone(),
                (1, true) => sets.remove(0),
                _ => {
                    sets.iter().for_each(|s| own.extend(s.iter().copied()));
                    Rc::new(own)
                }
            };
            if let Item::Node(position) = &id.1 {
                self.needs.insert((id.0, *position), (*set).clone());
            }
            reach.insert(id, set);
        }
    }

    fn cycle(&self, cycle: &[ItemId], sources: &SourceMap) -> Diagnostic {
        let place = |id: &ItemId| {
            let place = self.span(id).and_then(|s| sources.place(s));
            place.map(|p| format!(" ({}:{})", p.name, p.line)).unwrap_or_default()
        };
        let mut lines = String::new();
        for (i, id) in cycle.iter().enumerate() {
            // The graph says "comes before": each is needed by the next one.
            let next = &cycle[(i + 1) % cycle.len()];
            lines.push_str(&format!("\n  {}{} is needed by {}", self.describe(id), place(id), self.describe(next)));
        }
        let first = cycle.first();
        Diagnostic::error("Cycle", format!("These need each other, so none of them can be first:{lines}"))
            .at_opt(first.and_then(|id| self.span(id)))
            .hint("Break the circle: let one of them take its value from somewhere else.")
    }

    /// A thing as users name it.
    pub(super) fn describe(&self, (module, item): &ItemId) -> String {
        let mut prefix = String::new();
        let mut at = *module;
        while let Some((parent, name)) = &self.modules[at].parent {
            prefix = format!("module.{name}.{prefix}");
            at = *parent;
        }
        let own = match item {
            Item::Call(name) => format!("module.{name}"),
            Item::Variable(name) => format!("var.{name}"),
            Item::Local(name) => format!("local.{name}"),
            Item::Output(name) => format!("output.{name}"),
            Item::Node(position) => {
                let block = &self.modules[*module].module.nodes[*position];
                match (block.kind.keyword(), block.kind) {
                    (Some(word), _) => format!("{word}.{}", block.name),
                    (None, NodeKind::Data) => format!("data.{}.{}", block.ty, block.name),
                    (None, _) => format!("{}.{}", block.ty, block.name),
                }
            }
        };
        prefix + &own
    }

    fn span(&self, (module, item): &ItemId) -> Option<Span> {
        let module = &self.modules[*module].module;
        match item {
            Item::Call(name) => module.calls.get(name).map(|c| c.span),
            Item::Variable(name) => module.variables.get(name).map(|v| v.span),
            Item::Local(name) => module.locals.get(name).map(|l| l.span),
            Item::Output(name) => module.outputs.get(name).map(|o| o.span),
            Item::Node(position) => module.nodes.get(*position).map(|b| b.span),
        }
    }
}

fn gather(
    modules: &mut Vec<StaticModule>,
    module: Arc<Module>,
    parent: Option<(ModuleIndex, Arc<str>)>,
    depth: usize,
) -> ModuleIndex {
    let index = modules.len();
    let blocks = module
        .nodes
        .iter()
        .enumerate()
        .map(|(position, block)| ((block.kind, block.ty.clone(), block.name.clone()), position))
        .collect();
    let calls: Vec<(Arc<str>, Arc<Module>)> =
        module.calls.iter().map(|(name, call)| (name.clone(), call.module.clone())).collect();
    modules.push(StaticModule { module, parent, children: BTreeMap::new(), blocks });
    if depth < DEPTH_MAX {
        for (name, called) in calls {
            let child = gather(modules, called, Some((index, name.clone())), depth + 1);
            modules[index].children.insert(name, child);
        }
    }
    index
}

fn items(module: &Module) -> impl Iterator<Item = Item> + '_ {
    let calls = module.calls.keys().cloned().map(Item::Call);
    let variables = module.variables.keys().cloned().map(Item::Variable);
    let locals = module.locals.keys().cloned().map(Item::Local);
    let nodes = (0..module.nodes.len()).map(Item::Node);
    let outputs = module.outputs.keys().cloned().map(Item::Output);
    calls.chain(variables).chain(locals).chain(nodes).chain(outputs)
}

fn repetition(repetition: &Repetition) -> Vec<&Term> {
    match repetition {
        Repetition::Single => Vec::new(),
        Repetition::Count(term) | Repetition::ForEach(term) => vec![term],
    }
}

fn condition(condition: &Condition) -> Vec<&Term> {
    vec![&condition.condition, &condition.message]
}

fn body_terms<'b>(body: &'b Body, terms: &mut Vec<&'b Term>) {
    terms.extend(body.attributes.values().map(|a| &*a.term));
    for block in &body.blocks {
        if let Some(dynamic) = &block.dynamic {
            terms.push(&dynamic.for_each);
            terms.extend(dynamic.labels.as_deref());
        }
        body_terms(&block.body, terms);
    }
}

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
    names: Names,
}

/// The number of a named thing in the whole outline. Numbers ascend as [`ItemId`]s do.
type Number = usize;

/// The kind and type of blocks, and their positions by name.
type OfType = ((NodeKind, Arc<str>), BTreeMap<Arc<str>, usize>);

/// The blocks of a type, by name as they stand.
type Unsorted = Vec<(Arc<str>, usize)>;

/// Where the named things of a module are.
#[derive(Debug, Default)]
struct Names {
    all: std::ops::Range<Number>,
    calls: BTreeMap<Arc<str>, Number>,
    variables: BTreeMap<Arc<str>, Number>,
    locals: BTreeMap<Arc<str>, Number>,
    outputs: BTreeMap<Arc<str>, Number>,
    /// The number of the block at position 0.
    first_block: Number,
    /// The positions of blocks, by their type first: there are many blocks, but few types.
    blocks: Vec<OfType>,
}

impl Names {
    /// The names of a module whose things are numbered from `first` on.
    fn of(module: &Module, first: Number) -> Self {
        let mut next = first;
        let calls = numbered(module.calls.keys(), &mut next);
        let variables = numbered(module.variables.keys(), &mut next);
        let locals = numbered(module.locals.keys(), &mut next);
        let first_block = next;
        next += module.nodes.len();
        let outputs = numbered(module.outputs.keys(), &mut next);
        let mut by_type: BTreeMap<(NodeKind, Arc<str>), Unsorted> = BTreeMap::new();
        for (position, block) in module.nodes.iter().enumerate() {
            by_type.entry((block.kind, block.ty.clone())).or_default().push((block.name.clone(), position));
        }
        // A tree of what is there already is built at once; growing it name by name compares all of them again and again.
        let blocks = by_type.into_iter().map(|(ty, all)| (ty, all.into_iter().collect())).collect();
        Self { all: first..next, calls, variables, locals, first_block, outputs, blocks }
    }

    fn blocks(&self, kind: NodeKind, ty: &str) -> Option<&BTreeMap<Arc<str>, usize>> {
        let at = self.blocks.binary_search_by(|((k, t), _)| k.cmp(&kind).then_with(|| (**t).cmp(ty)));
        at.ok().map(|at| &self.blocks[at].1)
    }
}

fn numbered<'n>(names: impl Iterator<Item = &'n Arc<str>>, next: &mut Number) -> BTreeMap<Arc<str>, Number> {
    let first = *next;
    let all: BTreeMap<_, _> = names.cloned().zip(first..).collect();
    *next += all.len();
    all
}

impl StaticModule {
    /// The position of a block.
    pub(super) fn block(&self, kind: NodeKind, ty: &str, name: &str) -> Option<usize> {
        self.names.blocks(kind, ty)?.get(name).copied()
    }

    /// The names of the blocks of a type.
    pub(super) fn block_names(&self, kind: NodeKind, ty: &str) -> impl Iterator<Item = &str> {
        self.names.blocks(kind, ty).into_iter().flat_map(BTreeMap::keys).map(|name| &**name)
    }

    /// Kind, type and name of all blocks, sorted.
    pub(super) fn all_blocks(&self) -> impl Iterator<Item = (NodeKind, &str, &str)> {
        self.names.blocks.iter().flat_map(|((kind, ty), all)| all.keys().map(|name| (*kind, &**ty, &**name)))
    }
}

/// The outline.
#[derive(Debug)]
pub(super) struct Outline {
    /// The modules, callers before called.
    pub(super) modules: Vec<StaticModule>,
    /// Everything, so that each comes after what it needs.
    pub(super) order: Vec<ItemId>,
    needs: BTreeMap<BlockId, Rc<BTreeSet<BlockId>>>,
    items: Vec<ItemId>,
    dag: Dag<Number, ()>,
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
        let (mut items, mut dag) = (Vec::new(), Dag::default());
        for (index, module) in modules.iter_mut().enumerate() {
            module.names = Names::of(&module.module, items.len());
            items.extend(named(&module.module).map(|item| (index, item)));
        }
        (0..items.len()).for_each(|number| dag.add(number, ()));
        let mut outline = Self { modules, order: Vec::new(), needs: BTreeMap::new(), items, dag };
        for index in 0..outline.modules.len() {
            outline.connect(index);
        }
        let order = outline.dag.sorted().map_err(|cycle| Box::new(outline.cycle(&cycle, sources)))?;
        outline.gather_needs(&order);
        outline.order = order.into_iter().map(|number| outline.items[number].clone()).collect();
        Ok(outline)
    }

    fn number(&self, (module, item): &ItemId) -> Option<Number> {
        let names = &self.modules.get(*module)?.names;
        match item {
            Item::Call(name) => names.calls.get(name).copied(),
            Item::Variable(name) => names.variables.get(name).copied(),
            Item::Local(name) => names.locals.get(name).copied(),
            Item::Node(position) => Some(names.first_block + position),
            Item::Output(name) => names.outputs.get(name).copied(),
        }
    }

    /// What has to come directly before a thing, sorted.
    pub(super) fn before(&self, id: &ItemId) -> Vec<&ItemId> {
        let before = self.number(id).map(|number| self.dag.before(&number)).unwrap_or_default();
        before.into_iter().map(|number| &self.items[*number]).collect()
    }

    /// The block of a position.
    pub(super) fn block(&self, (module, position): BlockId) -> &Arc<NodeBlock> {
        &self.modules[module].module.nodes[position]
    }

    /// The blocks that a block depends on, directly or through things that are no blocks.
    pub(super) fn needs(&self, id: BlockId) -> impl Iterator<Item = BlockId> {
        self.needs.get(&id).into_iter().flat_map(|all| all.iter().copied())
    }

    /// Whether a block depends on another, directly or through things that are no blocks.
    pub(super) fn needs_block(&self, id: BlockId, other: BlockId) -> bool {
        self.needs.get(&id).is_some_and(|all| all.contains(&other))
    }

    /// All blocks.
    pub(super) fn all(&self) -> impl Iterator<Item = BlockId> {
        self.needs.keys().copied()
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
                open.extend(self.needs(at));
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
    pub(super) fn targets(&self, module: ModuleIndex, reference: &Reference) -> Vec<&ItemId> {
        let mut found = Vec::new();
        self.meant(module, reference, &mut |number| found.push(&self.items[number]));
        found
    }

    /// Gives the numbers of what a reference in a module means.
    fn meant(&self, module: ModuleIndex, reference: &Reference, give: &mut dyn FnMut(Number)) {
        let names = &self.modules[module].names;
        let Some(name) = reference.attribute(0) else { return };
        let mut one = |number: Option<&Number>| number.into_iter().for_each(|n| give(*n));
        let node = |kind, ty: &str, name: &str| {
            self.modules[module].block(kind, ty, name).map(|position| names.first_block + position)
        };
        match &*reference.root {
            "var" => one(names.variables.get(name)),
            "local" => one(names.locals.get(name)),
            "module" => {
                let Some(child) = self.modules[module].children.get(name) else { return };
                one(names.calls.get(name));
                let outputs = &self.modules[*child].names.outputs;
                match (1..=2).find_map(|n| outputs.get(reference.attribute(n)?)) {
                    Some(output) => one(Some(output)),
                    None => outputs.values().for_each(|output| one(Some(output))),
                }
            }
            "data" => one(reference.attribute(1).and_then(|n| node(NodeKind::Data, name, n)).as_ref()),
            "path" | "each" | "count" | "self" | "terraform" => {}
            word => one(match NodeKind::of_keyword(word) {
                Some(kind) => node(kind, "", name).as_ref().copied(),
                None => node(NodeKind::Resource, word, name),
            }
            .as_ref()),
        }
    }

    /// All blocks in a module and the modules that it calls.
    fn blocks_within(&self, module: ModuleIndex) -> Vec<Number> {
        let first = self.modules[module].names.first_block;
        let mut found: Vec<Number> = (first..first + self.modules[module].module.nodes.len()).collect();
        for child in self.modules[module].children.values() {
            found.extend(self.blocks_within(*child));
        }
        found
    }

    fn connect(&mut self, index: ModuleIndex) {
        let module = self.modules[index].module.clone();
        let mut wants: Vec<(Number, Number)> = Vec::new();
        self.connect_terms(index, &module, &mut wants);
        // A variable's validation names the variable itself; that is no need.
        wants.retain(|(from, to)| from != to || !matches!(self.items[*from].1, Item::Variable(_)));
        self.connect_explicit(index, &module, &mut wants);
        if let Some((caller, call)) = &self.modules[index].parent {
            let call = self.modules[*caller].names.calls[call];
            wants.extend(self.modules[index].names.all.clone().map(|item| (item, call)));
        }
        wants.sort_unstable();
        wants.dedup();
        for (from, to) in wants {
            self.dag.order_new(&to, &from);
        }
    }

    /// What the expressions of a module refer to.
    fn connect_terms(&self, index: ModuleIndex, module: &Module, wants: &mut Vec<(Number, Number)>) {
        let here = &self.modules[index];
        let mut refer = |from: Number, scope: ModuleIndex, terms: &[&Term]| {
            for term in terms {
                let mut found = Vec::new();
                references(term, &mut found);
                for reference in found {
                    self.meant(scope, reference, &mut |to| wants.push((from, to)));
                }
            }
        };
        for (name, call) in &module.calls {
            refer(here.names.calls[name], index, &repetition(&call.repetition));
        }
        for (name, variable) in &module.variables {
            let number = here.names.variables[name];
            if let Some((caller, call)) = &here.parent
                && let Some(argument) = self.modules[*caller].module.calls.get(call).and_then(|c| c.arguments.get(name))
            {
                refer(number, *caller, &[&argument.term]);
            }
            for validation in &variable.validations {
                refer(number, index, &condition(validation));
            }
        }
        for (name, local) in &module.locals {
            refer(here.names.locals[name], index, &[&local.term]);
        }
        for (name, output) in &module.outputs {
            let number = here.names.outputs[name];
            refer(number, index, &[&output.term]);
            for one in &output.preconditions {
                refer(number, index, &condition(one));
            }
        }
        for (position, block) in module.nodes.iter().enumerate() {
            let mut terms = repetition(&block.repetition);
            body_terms(&block.body, &mut terms);
            for one in block.lifecycle.preconditions.iter().chain(&block.lifecycle.postconditions) {
                terms.extend(condition(one));
            }
            terms.extend(block.lifecycle.replace_triggered_by.iter().filter_map(|t| t.key.as_deref()));
            refer(here.names.first_block + position, index, &terms);
        }
        for ((of, position), term) in self.import_terms(index, module) {
            refer(self.modules[of].names.first_block + position, 0, &[term]);
        }
    }

    /// What `import` blocks are calculated from, and the blocks that they are for.
    fn import_terms<'m>(&self, index: ModuleIndex, module: &'m Module) -> Vec<(BlockId, &'m Term)> {
        let mut all = Vec::new();
        for import in module.imports.iter().filter(|_| index == 0) {
            let Some(target) = self.import_target(&import.to) else { continue };
            let terms = std::iter::once(&import.id).chain(&import.for_each).chain(import.to.keys());
            all.extend(terms.map(|term| (target, &**term)));
        }
        all
    }

    fn connect_explicit(&self, index: ModuleIndex, module: &Module, wants: &mut Vec<(Number, Number)>) {
        let here = &self.modules[index];
        let mut explicit = |from: Number, reference: &Reference| {
            self.meant(index, reference, &mut |to| wants.push((from, to)));
            if &*reference.root == "module"
                && let Some(child) = reference.attribute(0).and_then(|n| here.children.get(n))
            {
                wants.extend(self.blocks_within(*child).into_iter().map(|to| (from, to)));
            }
        };
        for (position, block) in module.nodes.iter().enumerate() {
            let triggers = block.lifecycle.replace_triggered_by.iter().map(|t| &t.resource);
            for reference in block.depends_on.iter().chain(triggers) {
                explicit(here.names.first_block + position, reference);
            }
        }
        for (name, output) in &module.outputs {
            for reference in &output.depends_on {
                explicit(here.names.outputs[name], reference);
            }
        }
        for (name, call) in &module.calls {
            let Some(child) = here.children.get(name) else { continue };
            for reference in &call.depends_on {
                for from in self.blocks_within(*child) {
                    explicit(from, reference);
                }
            }
        }
    }

    fn gather_needs(&mut self, order: &[Number]) {
        let empty: Rc<BTreeSet<BlockId>> = Rc::default();
        let mut reach: Vec<Rc<BTreeSet<BlockId>>> = vec![empty.clone(); self.items.len()];
        let mut sets: Vec<Rc<BTreeSet<BlockId>>> = Vec::new();
        for number in order {
            sets.clear();
            let mut own: BTreeSet<BlockId> = BTreeSet::new();
            for to in self.dag.before(number) {
                match &self.items[*to] {
                    (module, Item::Node(position)) => {
                        own.insert((*module, *position));
                    }
                    _ if reach[*to].is_empty() => {}
                    _ => sets.push(reach[*to].clone()),
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
            if let (module, Item::Node(position)) = &self.items[*number] {
                self.needs.insert((*module, *position), set.clone());
            }
            reach[*number] = set;
        }
    }

    fn cycle(&self, cycle: &[Number], sources: &SourceMap) -> Diagnostic {
        let place = |id: &ItemId| {
            let place = self.span(id).and_then(|s| sources.place(s));
            place.map(|p| format!(" ({}:{})", p.name, p.line)).unwrap_or_default()
        };
        let mut lines = String::new();
        let cycle: Vec<&ItemId> = cycle.iter().map(|number| &self.items[*number]).collect();
        for (i, id) in cycle.iter().enumerate() {
            // The graph says "comes before": each is needed by the next one.
            let next = cycle[(i + 1) % cycle.len()];
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
    let calls: Vec<(Arc<str>, Arc<Module>)> =
        module.calls.iter().map(|(name, call)| (name.clone(), call.module.clone())).collect();
    modules.push(StaticModule { module, parent, children: BTreeMap::new(), names: Names::default() });
    if depth < DEPTH_MAX {
        for (name, called) in calls {
            let child = gather(modules, called, Some((index, name.clone())), depth + 1);
            modules[index].children.insert(name, child);
        }
    }
    index
}

/// The named things of a module, sorted.
fn named(module: &Module) -> impl Iterator<Item = Item> + '_ {
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

//! The walk: everything named is evaluated, in the outline's order, in every instance of its module.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::body::pairs;
use super::change::Change;
use super::condition::{Before, OpenCondition};
use super::look::Recorded;
use super::outline::{BlockId, Item, ModuleIndex};
use super::scope::ModuleScope;
use super::world::{At, Called, Instance, ModuleInstance, Repeated, World};
use crate::addr::{Address, Key, NodeKind};
use crate::config::desired::{Condition, NodeBlock, Repetition, Variable};
use crate::diag::{Diagnostic, Span};
use crate::eval::{Cause, Term};
use crate::value::{Kind, Map, Marks, Type, Value, convert};

/// The most instances that one block may have.
const INSTANCES_MAX: usize = 1_000_000;

/// A plan in the making.
pub(super) struct Planner<'a> {
    /// What is evaluated.
    pub(super) world: World<'a>,
    /// What has been decided, in the order of the walk.
    pub(super) changes: Vec<Change>,
    /// The changes of each block, by their position.
    pub(super) of_block: BTreeMap<BlockId, Vec<usize>>,
    /// The addresses that the configuration asks for.
    pub(super) claimed: BTreeSet<Address>,
    /// The blocks that are planned when `--target` limits the plan.
    pub(super) targeted: Option<BTreeSet<BlockId>>,
    /// What could not be read.
    pub(super) unreadable: Vec<(Address, String)>,
    /// Records that moved: the new address and the old.
    pub(super) moved: BTreeMap<Address, Address>,
    /// The blocks whose replacements come before the old objects go: those that say so, and what they need, for that has to be
    /// there as long as they are.
    pub(super) create_first: BTreeSet<BlockId>,
    /// The environment that artifacts come from, where they come by promotion only.
    pub(super) by_promotion: Option<String>,
    /// When the newest commits in artifacts were made.
    pub(super) committed: BTreeMap<Address, String>,
    /// What artifacts ask of schemas.
    pub(super) schemas: Vec<super::schema_gate::Asked>,
    /// Set where the ledger is looked at and nothing is decided about resources.
    pub(super) seen: Option<Recorded>,
    /// The `moved` blocks.
    pub(super) statements: Vec<super::moves::Statement>,
    /// What `import` blocks name, as far as the walk has come.
    pub(super) wishes: BTreeMap<Address, super::imports::Wish>,
    /// The blocks that `import` blocks name.
    pub(super) wished: BTreeSet<BlockId>,
}

/// One instance of a block.
pub(super) struct BlockInstance<'b> {
    /// The block.
    pub(super) block: &'b Arc<NodeBlock>,
    /// Which.
    pub(super) id: BlockId,
    /// The module instance.
    pub(super) instance: Instance,
    /// Its address.
    pub(super) address: Address,
    /// `each` and `count`.
    pub(super) repeated: Repeated,
}

impl<'a> Planner<'a> {
    /// A plan in which nothing is decided yet.
    pub(super) fn new(world: World<'a>) -> Self {
        Self {
            changes: Vec::with_capacity(world.outline.order.len()),
            of_block: BTreeMap::new(),
            claimed: BTreeSet::new(),
            targeted: None,
            unreadable: Vec::new(),
            moved: BTreeMap::new(),
            world,
            by_promotion: None,
            committed: BTreeMap::new(),
            schemas: Vec::new(),
            seen: None,
            create_first: BTreeSet::new(),
            statements: Vec::new(),
            wishes: BTreeMap::new(),
            wished: BTreeSet::new(),
        }
    }
}

impl Planner<'_> {
    /// Evaluates everything.
    pub(super) fn walk(&mut self) {
        for (module, item) in &self.world.outline.order {
            for instance in self.world.instances_of(*module) {
                self.world.at.replace(At { instance, ..At::default() });
                match item {
                    Item::Call(name) => self.call(instance, name),
                    Item::Variable(name) => self.variable(*module, instance, name),
                    Item::Local(name) => self.local(instance, name),
                    Item::Output(name) => self.output(instance, name),
                    Item::Node(position) => self.block((*module, *position), instance),
                }
            }
        }
        self.world.at.take();
    }

    fn module(&self, instance: Instance) -> Arc<crate::config::desired::Module> {
        self.world.outline.modules[self.world.instances[instance].index].module.clone()
    }

    fn call(&mut self, instance: Instance, name: &Arc<str>) {
        let module = self.module(instance);
        let Some(call) = module.calls.get(name) else { return };
        let child = self.world.outline.modules[self.world.instances[instance].index].children[name];
        let here = Repeated::default();
        let keys = {
            let scope = ModuleScope::new(&self.world, instance, &here);
            keys(&scope, &call.repetition, call.span)
        };
        let hollow = self.world.inputs.options.hollow;
        let mut make = |key: Option<Key>, value: Option<Value>| {
            let path = self.world.instances[instance].path.child(name.clone(), key.clone());
            let repeated = Repeated::of(key.as_ref(), value);
            self.world.add(ModuleInstance::new(path, child, Some(instance), repeated))
        };
        let called = match (keys, &call.repetition) {
            (None, _) => {
                if self.looks_on() {
                    self.suppose_call(instance, name, &call.repetition, child);
                }
                Called::NotKnown
            }
            (Some(keys), _) if keys.is_empty() && hollow => {
                self.suppose_call(instance, name, &call.repetition, child);
                match &call.repetition {
                    Repetition::ForEach(_) => Called::Each(BTreeMap::new()),
                    _ => Called::Count(Vec::new()),
                }
            }
            (Some(_), Repetition::Single) => Called::Single(make(None, None)),
            (Some(keys), Repetition::Count(_)) => {
                Called::Count(keys.into_iter().map(|(key, value)| make(key, value)).collect())
            }
            (Some(keys), Repetition::ForEach(_)) => {
                let mut all = BTreeMap::new();
                for (key, value) in keys {
                    if let Some(Key::Name(text)) = &key {
                        all.insert(text.clone(), make(key.clone(), value));
                    }
                }
                Called::Each(all)
            }
        };
        self.world.instances[instance].calls.insert(name.clone(), called);
    }

    fn variable(&mut self, module: ModuleIndex, instance: Instance, name: &Arc<str>) {
        let declared = self.world.outline.modules[module].module.variables[name].clone();
        let value = match self.world.instances[instance].parent {
            None => self.world.inputs.variables.get(name).cloned(),
            Some(parent) => argument(&self.world, parent, instance, name, &declared, None),
        };
        let value = value.or_else(|| declared.default.clone()).unwrap_or_else(|| Value::null(declared.ty.clone()));
        let value = marked(value, &declared);
        self.world.instances[instance].variables.insert(name.clone(), value);
        let here = Repeated::default();
        let scope = ModuleScope::new(&self.world, instance, &here);
        for validation in &declared.validations {
            let path = &self.world.instances[instance].path;
            let summary = "Invalid value for variable";
            if let Some(mut failed) = broken_now(&scope, validation, "validation", summary, Before::Module(path)) {
                // In a module the value is to be mended where it is given, not where it is judged.
                let given = self.given(instance, name);
                let rule = self.world.inputs.desired.sources.place(validation.condition.span);
                let place = match rule.filter(|_| given.is_some()) {
                    Some(rule) => format!("at {}:{}", rule.name, rule.line),
                    None => "at the place above".to_owned(),
                };
                failed.detail.push_str(&format!("\n\nThis was checked by the validation rule {place}."));
                self.world.report(failed.at_opt(given));
            }
        }
    }

    /// Where the call of a module gives a variable its value.
    fn given(&self, instance: Instance, name: &Arc<str>) -> Option<Span> {
        let here = &self.world.instances[instance];
        let caller = &self.world.outline.modules[self.world.instances[here.parent?].index].module;
        let call = caller.calls.get(&here.path.parent()?.1.name)?;
        Some(call.arguments.get(name)?.name_span)
    }

    fn local(&mut self, instance: Instance, name: &Arc<str>) {
        let module = self.module(instance);
        let here = Repeated::default();
        let value = ModuleScope::new(&self.world, instance, &here).evaluate(&module.locals[name].term, name);
        self.world.instances[instance].locals.insert(name.clone(), value);
    }

    fn output(&mut self, instance: Instance, name: &Arc<str>) {
        let module = self.module(instance);
        let output = &module.outputs[name];
        let here = Repeated::default();
        let scope = ModuleScope::new(&self.world, instance, &here);
        for precondition in &output.preconditions {
            let summary = "Module output value precondition failed";
            if let Some(failed) = broken_now(&scope, precondition, "precondition", summary, Before::End) {
                self.world.report(failed);
            }
        }
        let mut value = scope.evaluate(&output.term, name);
        let root = self.world.instances[instance].path.is_root();
        if output.ephemeral {
            if root {
                let detail =
                    "An output of the environment itself is recorded, so it cannot be ephemeral; one of a module can.";
                self.world.report(Diagnostic::error("Ephemeral output not allowed", detail).at(output.span));
            }
            value = value.mark(Marks::EPHEMERAL);
        } else if super::ephemeral::is_ephemeral(&value) {
            let detail = format!(
                "The value of the output \"{name}\" is derived from an ephemeral value, but the output is not declared as \
                 ephemeral."
            );
            let diagnostic = Diagnostic::error("Ephemeral value not allowed", detail).at(output.term.span);
            let hint = if root {
                "ephemeralasnull() leaves the value out."
            } else {
                "Write ephemeral = true into the output block, or take the value out with ephemeralasnull()."
            };
            self.world.report(diagnostic.hint(hint));
        }
        if output.sensitive {
            value = value.sensitive();
        } else if self.world.instances[instance].path.is_root() && value.marks_deep().is_sensitive() {
            let detail = format!(
                "The value of the output \"{name}\" is derived from a sensitive value. Say that this is meant: sensitive = true; \
                 or take the mark off with nonsensitive() if nothing in it is secret."
            );
            self.world.report(Diagnostic::error("Output refers to sensitive values", detail).at(output.term.span));
        }
        self.world.instances[instance].outputs.insert(name.clone(), value);
    }

    fn block(&mut self, id: BlockId, instance: Instance) {
        let block = self.world.outline.block(id).clone();
        let path = self.world.instances[instance].path.clone();
        let whole = Address::new(path, block.kind, block.ty.clone(), block.name.clone());
        self.stand(instance, &whole, false);
        if let Some(recorded) = self.seen.as_ref().filter(|_| block.kind == NodeKind::Resource) {
            let value = self.recorded_resource(recorded, &block, &whole);
            self.world.instances[instance].know(id.1, value);
            return;
        }
        let here = Repeated::default();
        let keys = keys(&ModuleScope::new(&self.world, instance, &here), &block.repetition, block.span);
        let value = match keys {
            None => {
                if self.looks_on() {
                    self.suppose(&block, id, instance, whole);
                }
                Value::opaque(Type::Any)
            }
            Some(keys) if keys.is_empty() && self.world.inputs.options.hollow => {
                self.suppose(&block, id, instance, whole);
                collect(&block.repetition, Vec::new())
            }
            Some(keys) => {
                if self.wished.remove(&id) {
                    self.wishes(id);
                }
                let mut values: Vec<(Option<Key>, Value)> = Vec::with_capacity(keys.len());
                for (key, value) in keys {
                    let one = BlockInstance {
                        block: &block,
                        id,
                        instance,
                        address: whole.with_key(key.clone()),
                        repeated: Repeated::of(key.as_ref(), value),
                    };
                    self.claimed.insert(one.address.clone());
                    if key.is_some() {
                        self.stand(instance, &one.address, false);
                    }
                    values.push((key, self.node(&one)));
                }
                collect(&block.repetition, values)
            }
        };
        self.world.instances[instance].know(id.1, value);
    }

    fn stand(&self, instance: Instance, address: &Address, supposed: bool) {
        self.world.at.replace(At { instance, address: Some(address.clone()), supposed });
    }

    /// Looks into a block that has no instances, as if it had one.
    fn suppose(&mut self, block: &Arc<NodeBlock>, id: BlockId, instance: Instance, address: Address) {
        self.stand(instance, &address, true);
        let repeated = Repeated::some(&block.repetition);
        self.node(&BlockInstance { block, id, instance, address, repeated });
    }

    fn suppose_call(&mut self, instance: Instance, name: &Arc<str>, repetition: &Repetition, child: ModuleIndex) {
        let path = self.world.instances[instance].path.child(name.clone(), None);
        let some = ModuleInstance::new(path, child, Some(instance), Repeated::some(repetition));
        self.world.add(ModuleInstance { supposed: true, ..some });
    }

    /// Whether a block whose instances are not known is looked into all the same, for what else is wrong in it. What it would ask
    /// of the outside is asked by nobody: there will be no plan.
    fn looks_on(&self) -> bool {
        self.world.needs.borrow().is_empty()
            && (self.world.inputs.options.hollow || self.world.diagnostics.borrow().has_errors())
    }

    fn node(&mut self, one: &BlockInstance<'_>) -> Value {
        if self.seen.is_some() {
            return self.recorded_node(one);
        }
        match one.block.kind {
            NodeKind::Resource => self.resource(one),
            NodeKind::Data => self.data(one),
            NodeKind::Artifact => self.artifact(one),
            NodeKind::Migration => self.migration(one),
            NodeKind::HealthCheck | NodeKind::SmokeTest => self.check(one),
            NodeKind::Check => self.assertions(one),
        }
    }

    /// Adds a decided change.
    pub(super) fn decide(&mut self, id: BlockId, change: Change) {
        self.of_block.entry(id).or_default().push(self.changes.len());
        self.changes.push(change);
    }

    /// Whether anything that a block depends on changes in this run.
    pub(super) fn needs_changes(&self, id: BlockId) -> bool {
        self.world.outline.needs(id).any(|need| self.block_changes(need))
    }

    /// Whether a block's instances change in this run. Checks look and change nothing.
    pub(super) fn block_changes(&self, id: BlockId) -> bool {
        !self.world.outline.block(id).kind.looks_only()
            && self.of_block.get(&id).into_iter().flatten().any(|n| !self.changes[*n].is_no_op())
    }

    /// Whether a node is left alone because the plan is limited.
    pub(super) fn left_alone(&self, one: &BlockInstance<'_>) -> bool {
        let options = self.world.inputs.options;
        self.targeted.as_ref().is_some_and(|t| !t.contains(&one.id))
            || options
                .limit
                .as_ref()
                .is_some_and(|l| !l.contains(&one.address) && !l.contains(self.recorded_address(&one.address)))
    }

    /// The conditions of a lifecycle that do not hold are noted; what of them is not known yet is given back.
    pub(super) fn preconditions(&self, one: &BlockInstance<'_>) {
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        for condition in &one.block.lifecycle.preconditions {
            let (summary, before) = ("Resource precondition failed", Before::Node(&one.address));
            if let Some(failed) = broken_now(&scope, condition, "precondition", summary, before) {
                self.world.report(failed.on(&one.address));
            }
        }
    }
}

/// The value that a call gives to a variable of the module it calls, converted; `None` if it gives none.
pub(super) fn argument(
    world: &World<'_>,
    parent: Instance,
    instance: Instance,
    name: &Arc<str>,
    declared: &Variable,
    overlay: Option<&super::scope::Overlay>,
) -> Option<Value> {
    let called = world.instances[instance].path.parent()?.1.name.clone();
    let module = &world.outline.modules[world.instances[parent].index].module;
    let given = module.calls.get(&called)?.arguments.get(name)?;
    let scope = ModuleScope { overlay, ..ModuleScope::new(world, parent, &world.instances[instance].repeated) };
    let value = scope.evaluate(&given.term, name);
    if super::ephemeral::is_ephemeral(&value) && !declared.ephemeral {
        let detail = format!(
            "The value for the variable \"{name}\" of module.{called} is derived from an ephemeral value, but the variable is not \
             declared as ephemeral."
        );
        let diagnostic = Diagnostic::error("Ephemeral value not allowed", detail).at(given.term.span);
        world.report(diagnostic.hint("Write ephemeral = true into the module's variable block."));
    }
    if value.is_null() && !declared.nullable {
        if declared.default.is_none() {
            let detail = format!(
                "The variable \"{name}\" of module.{called} is required and does not take null, but that is what it is given."
            );
            world.report(Diagnostic::error("Required variable not set", detail).at(given.term.span));
        }
        return None;
    }
    match convert(&value, &declared.ty) {
        Ok(value) => Some(value),
        Err(e) => {
            let detail =
                format!("The given value is not suitable for the variable \"{name}\" of module.{called}: {e}.");
            scope.report_on(
                Diagnostic::error("Invalid value for input variable", detail),
                &given.term,
                Cause::default(),
            );
            Some(Value::opaque(declared.ty.clone()))
        }
    }
}

/// A variable's value with the marks of its declaration.
pub(super) fn marked(value: Value, declared: &Variable) -> Value {
    let mut marks = Marks::NONE;
    if declared.sensitive {
        marks = marks.union(Marks::SENSITIVE);
    }
    if declared.ephemeral {
        marks = marks.union(Marks::EPHEMERAL);
    }
    value.mark(marks)
}

/// [`broken`], where a condition that is not known yet is left to the run.
pub(super) fn broken_now(
    scope: &ModuleScope<'_>,
    condition: &Condition,
    site: &str,
    summary: &'static str,
    before: Before<'_>,
) -> Option<Diagnostic> {
    let Ok(value) = scope.try_evaluate(&condition.condition, &site) else {
        return broken(scope, condition, site, summary);
    };
    let options = scope.world.inputs.options;
    if !value.is_unknown() || options.going_back || options.limit.is_some() {
        return broken(scope, condition, site, summary);
    }
    let place = scope.world.inputs.desired.sources.place(condition.condition.span);
    let open = OpenCondition {
        summary,
        condition: value,
        message: scope.evaluate(&condition.message, &summary),
        place: place.map(|p| format!("{}:{}", p.name, p.line)).unwrap_or_default(),
    };
    let mut conditions = scope.world.conditions.borrow_mut();
    match before {
        Before::Node(address) => conditions.nodes.entry(address.clone()).or_default().push(open),
        Before::Module(path) => conditions.modules.entry(path.clone()).or_default().push(open),
        Before::End => conditions.last.push(open),
    }
    None
}

/// What is to be said of a condition that does not hold: its message, with the values that made it fail. `None` if it does hold
/// or is not known yet.
pub(super) fn broken(scope: &ModuleScope<'_>, condition: &Condition, site: &str, summary: &str) -> Option<Diagnostic> {
    let term = &condition.condition;
    let value = scope.evaluate(term, &site);
    let truth = convert(&value, &Type::Bool).ok().filter(|truth| !truth.is_null());
    let Some(truth) = truth else {
        let what = if value.is_null() { "null".to_owned() } else { value.ty().friendly() };
        let detail = format!("A condition must be true or false, but this is {what}.");
        scope.report_on(Diagnostic::error("Invalid condition", detail), term, Cause::default());
        return None;
    };
    if truth.as_bool() != Some(false) {
        return None;
    }
    let message = scope.evaluate(&condition.message, &site);
    let text = match (message.as_str(), message.marks.is_empty()) {
        (Some(text), true) => text.to_owned(),
        _ => "The condition does not hold, and its message is sensitive or not known.".to_owned(),
    };
    let cause = Cause { marked: !value.marks.is_empty(), unknown: false };
    Some(scope.explain(Diagnostic::error(summary, text).at(term.span), term, cause))
}

/// The keys of a repetition with their values, in order; `None` after noting that they are not known or invalid.
fn keys(scope: &ModuleScope<'_>, repetition: &Repetition, span: Span) -> Option<Vec<(Option<Key>, Option<Value>)>> {
    let _ = span;
    match repetition {
        Repetition::Single => Some(vec![(None, None)]),
        Repetition::Count(term) => {
            let value = repeatable(scope, term, "count")?;
            let number = convert(&value, &Type::Number).ok().and_then(|n| n.as_number()?.to_u64());
            let Some(number) = number.filter(|n| *n <= INSTANCES_MAX as u64) else {
                let detail =
                    format!("\"count\" must be a whole number from 0 to {INSTANCES_MAX}, but it is {value:?}.");
                scope.report_on(Diagnostic::error("Invalid count argument", detail), term, Cause::default());
                return None;
            };
            Some((0..number).map(|n| (Some(Key::Index(n)), None)).collect())
        }
        Repetition::ForEach(term) => {
            let value = repeatable(scope, term, "for_each")?;
            let invalid = |detail: String| {
                scope.report_on(Diagnostic::error("Invalid for_each argument", detail), term, Cause::default());
            };
            if !matches!(value.kind, Kind::Set(..) | Kind::Map(..) | Kind::Object(_)) {
                invalid(format!(
                    "\"for_each\" must be a map, or a set of strings, but this is {}. A list becomes a set with toset().",
                    value.ty().friendly()
                ));
                return None;
            }
            let mut all = Vec::new();
            for (key, value) in pairs(&value)? {
                let Some(name) = key.as_str() else {
                    invalid("The keys of \"for_each\" must be strings that are known and not null.".into());
                    return None;
                };
                all.push((Some(Key::Name(name.into())), Some(value)));
            }
            Some(all)
        }
    }
}

/// The value of `count` or `for_each`, if it may be one.
fn repeatable(scope: &ModuleScope<'_>, term: &Arc<Term>, what: &str) -> Option<Value> {
    let value = scope.try_evaluate(term, &what).map_err(|e| scope.report(*e)).ok()?;
    let summary = format!("Invalid {what} argument");
    let mut cause = Cause::default();
    // How many there are is seen in every plan; Terraform takes it from a sensitive value all the same, keys it does not.
    let detail = if super::ephemeral::is_ephemeral(&value) {
        cause.marked = true;
        format!(
            "\"{what}\" is derived from an ephemeral value, but which instances there are is recorded, and has to be the same \
             when the plan is applied."
        )
    } else if value.marks.is_sensitive() && what != "count" {
        cause.marked = true;
        format!("\"{what}\" is derived from a sensitive value, and the keys of instances are shown everywhere.")
    } else if value.is_unknown()
        || matches!(&value.kind, Kind::Set(_, items) if !items.iter().all(Value::is_wholly_known))
    {
        if scope.world.inputs.options.hollow {
            return None;
        }
        cause.unknown = true;
        format!(
            "\"{what}\" depends on values that are known after apply only, so it cannot be told now how many instances there \
             are. Let it depend on what the configuration says, or apply first what it depends on: --target=ADDRESS."
        )
    } else if value.is_null() {
        format!("\"{what}\" is null. Leave it out, or give it a value.")
    } else {
        return Some(value);
    };
    scope.report_on(Diagnostic::error(summary, detail), term, cause);
    None
}

/// What a reference to a repeated block gives.
fn collect(repetition: &Repetition, mut values: Vec<(Option<Key>, Value)>) -> Value {
    match repetition {
        Repetition::Single => values.pop().map_or_else(|| Value::opaque(Type::Any), |(_, v)| v),
        Repetition::Count(_) => Value::tuple(values.into_iter().map(|(_, v)| v).collect::<Vec<_>>()),
        Repetition::ForEach(_) => {
            let named = values.into_iter().filter_map(|(key, v)| match key {
                Some(Key::Name(name)) => Some((name, v)),
                _ => None,
            });
            Value::object(named.collect::<Map>())
        }
    }
}

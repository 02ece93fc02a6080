//! The walk: everything named is evaluated, in the outline's order, in every instance of its module.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::body::pairs;
use super::change::Change;
use super::condition::{Before, OpenCondition};
use super::look::Recorded;
use super::outline::{BlockId, Item, ModuleIndex};
use super::scope::ModuleScope;
use super::world::{Called, Instance, ModuleInstance, Repeated, World};
use crate::addr::{Address, Key, NodeKind};
use crate::config::desired::{Condition, NodeBlock, Repetition, Variable};
use crate::diag::{Diagnostic, Span};
use crate::eval::Term;
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
    /// The blocks whose replacements are made before what they replace goes.
    pub(super) made_first: BTreeSet<BlockId>,
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
            changes: Vec::new(),
            of_block: BTreeMap::new(),
            claimed: BTreeSet::new(),
            targeted: None,
            unreadable: Vec::new(),
            moved: BTreeMap::new(),
            made_first: super::implied::made_first(world.outline),
            world,
            seen: None,
            statements: Vec::new(),
            wishes: BTreeMap::new(),
            wished: BTreeSet::new(),
        }
    }
}

impl Planner<'_> {
    /// Evaluates everything.
    pub(super) fn walk(&mut self) {
        let order = self.world.outline.order.clone();
        for (module, item) in &order {
            for instance in self.world.instances_of(*module) {
                match item {
                    Item::Call(name) => self.call(instance, name),
                    Item::Variable(name) => self.variable(*module, instance, name),
                    Item::Local(name) => self.local(instance, name),
                    Item::Output(name) => self.output(instance, name),
                    Item::Node(position) => self.block((*module, *position), instance),
                }
            }
        }
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
        let mut make = |key: Option<Key>, value: Option<Value>| {
            let path = self.world.instances[instance].path.child(name.clone(), key.clone());
            let repeated = Repeated::of(key.as_ref(), value);
            self.world.add(ModuleInstance::new(path, child, Some(instance), repeated))
        };
        let called = match (keys, &call.repetition) {
            (None, _) => Called::NotKnown,
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
            if let Some(message) = broken_now(&scope, validation, "Invalid value for variable", Before::Module(&self.world.instances[instance].path)) {
                let value = &self.world.instances[instance].variables[name];
                let shown =
                    (!value.marks_deep().is_sensitive()).then(|| format!("The value of var.{name} is {value:?}."));
                // In a module the value is to be mended where it is given, not where it is judged.
                let given = self.given(instance, name);
                let rule = self.world.inputs.desired.sources.place(validation.condition.span);
                let detail = match rule.filter(|_| given.is_some()) {
                    Some(rule) => format!("{message}\n\nThis was checked by the validation rule at {}:{}.", rule.name, rule.line),
                    None => format!("{message}\n\nThis was checked by the validation rule at the place above."),
                };
                self.world.report(
                    Diagnostic::error("Invalid value for variable", detail)
                        .at(given.unwrap_or(validation.condition.span))
                        .hint_opt(shown),
                );
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
            if let Some(message) = broken_now(&scope, precondition, "Module output value precondition failed", Before::End) {
                self.world.report(
                    Diagnostic::error("Module output value precondition failed", message)
                        .at(precondition.condition.span),
                );
            }
        }
        let mut value = scope.evaluate(&output.term, name);
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
        let key = (block.kind, block.ty.clone(), block.name.clone());
        if let Some(recorded) = self.seen.as_ref().filter(|_| block.kind == NodeKind::Resource) {
            let value = self.recorded_resource(recorded, &block, &whole);
            self.world.instances[instance].blocks.insert(key, value);
            return;
        }
        let here = Repeated::default();
        let keys = keys(&ModuleScope::new(&self.world, instance, &here), &block.repetition, block.span);
        let value = match keys {
            None => Value::opaque(Type::Any),
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
                    values.push((key, self.node(&one)));
                }
                collect(&block.repetition, values)
            }
        };
        self.world.instances[instance].blocks.insert(key, value);
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
        let needs = self.world.outline.needs.get(&id);
        needs.into_iter().flatten().any(|n| self.block_changes(*n))
    }

    /// Whether a block's instances change in this run. Checks look and change nothing.
    pub(super) fn block_changes(&self, id: BlockId) -> bool {
        !self.world.outline.block(id).kind.is_probe()
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
            if let Some(message) = broken_now(&scope, condition, "Resource precondition failed", Before::Node(&one.address)) {
                let diagnostic = Diagnostic::error("Resource precondition failed", message);
                self.world.report(diagnostic.at(condition.condition.span).on(&one.address));
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
            world.report(Diagnostic::error("Invalid value for input variable", detail).at(given.term.span));
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

/// The message of a condition that does not hold; `None` if it does or is not known yet.
pub(super) fn broken(scope: &ModuleScope<'_>, condition: &Condition, site: &str) -> Option<String> {
    let value = judged(scope, condition, site);
    (value.as_bool() == Some(false)).then(|| match scope.evaluate(&condition.message, site) {
        message if message.marks_deep().is_sensitive() => UNSHOWN.to_owned(),
        message => message.as_str().unwrap_or(UNSHOWN).to_owned(),
    })
}

/// [`broken`], where a condition that is not known yet is left to the run.
pub(super) fn broken_now(
    scope: &ModuleScope<'_>,
    condition: &Condition,
    summary: &'static str,
    before: Before<'_>,
) -> Option<String> {
    let value = judged(scope, condition, summary);
    let options = scope.world.inputs.options;
    if !value.is_unknown() {
        return broken(scope, condition, summary);
    }
    if options.going_back || options.limit.is_some() {
        return None;
    }
    let place = scope.world.inputs.desired.sources.place(condition.condition.span);
    let open = OpenCondition {
        summary,
        condition: value,
        message: scope.evaluate(&condition.message, summary),
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

const UNSHOWN: &str = "The condition does not hold, and its message is sensitive or not known.";

/// The value of a condition: true, false or not known; anything else is noted, and not known.
fn judged(scope: &ModuleScope<'_>, condition: &Condition, site: &str) -> Value {
    let value = scope.evaluate(&condition.condition, site);
    let wrong = |detail: &str| {
        scope.world.report(Diagnostic::error("Invalid condition", detail).at(condition.condition.span));
        Value::opaque(Type::Bool)
    };
    match convert(&value, &Type::Bool) {
        Ok(value) if value.is_null() => wrong("A condition must be true or false, but this one is null."),
        Ok(value) => value,
        Err(_) => wrong("A condition must be true or false."),
    }
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
                scope.world.report(Diagnostic::error("Invalid count argument", detail).at(term.span));
                return None;
            };
            Some((0..number).map(|n| (Some(Key::Index(n)), None)).collect())
        }
        Repetition::ForEach(term) => {
            let value = repeatable(scope, term, "for_each")?;
            let invalid = |detail: String| {
                scope.world.report(Diagnostic::error("Invalid for_each argument", detail).at(term.span));
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
    let value = scope.try_evaluate(term, what).map_err(|e| scope.world.report(*e)).ok()?;
    let summary = format!("Invalid {what} argument");
    let detail = if value.marks.is_sensitive() && what == "for_each" {
        "\"for_each\" is derived from a sensitive value, and the keys of instances are shown everywhere.".to_owned()
    } else if value.is_unknown()
        || matches!(&value.kind, Kind::Set(_, items) if !items.iter().all(Value::is_wholly_known))
    {
        format!(
            "\"{what}\" depends on values that are known after apply only, so it cannot be told now how many instances there \
             are. Let it depend on what the configuration says, or apply first what it depends on: --target=ADDRESS."
        )
    } else if value.is_null() {
        format!("\"{what}\" is null. Leave it out, or give it a value.")
    } else {
        return Some(value);
    };
    scope.world.report(Diagnostic::error(summary, detail).at(term.span));
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

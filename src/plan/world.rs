//! The world while it is being evaluated: module instances and the values of their names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::Conditions;
use super::fact::{Fact, Question};
use super::input::Inputs;
use super::look::Draw;
use super::outline::{ModuleIndex, Outline};
use crate::addr::{Address, Key, ModulePath};
use crate::config::desired::Repetition;
use crate::diag::{Caller, Diagnostic, Diagnostics};
use crate::eval::{Answer, Budget, Host, Syntax};
use crate::value::{Map, Type, Value};

/// The number of a module instance; 0 is the root.
pub(super) type Instance = usize;

/// What `each` or `count` is in an instance of a repeated block or module.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeated {
    /// `each.key` and `each.value`.
    pub(super) each: Option<(Value, Value)>,
    /// `count.index`
    pub(super) count: Option<Value>,
}

/// How a module call is repeated, with its instances.
#[derive(Debug, Clone)]
pub(super) enum Called {
    /// Once.
    Single(Instance),
    /// `count`
    Count(Vec<Instance>),
    /// `for_each`
    Each(BTreeMap<Arc<str>, Instance>),
    /// It is not known how often.
    NotKnown,
}

/// One instance of a module.
#[derive(Debug)]
pub(super) struct ModuleInstance {
    /// Its path.
    pub(super) path: ModulePath,
    /// Its module in the outline.
    pub(super) index: ModuleIndex,
    /// The instance that calls it.
    pub(super) parent: Option<Instance>,
    /// What `each` and `count` are in the arguments of its call.
    pub(super) repeated: Repeated,
    /// Values by name.
    pub(super) variables: BTreeMap<Arc<str>, Value>,
    /// Values by name.
    pub(super) locals: BTreeMap<Arc<str>, Value>,
    /// Values by name.
    pub(super) outputs: BTreeMap<Arc<str>, Value>,
    /// What a reference to a block gives, by the block's position, as far as the walk has come.
    pub(super) blocks: Vec<Option<Value>>,
    /// The modules that it calls.
    pub(super) calls: BTreeMap<Arc<str>, Called>,
    /// Whether it stands for instances of which there are none, or of which the number is not known.
    pub(super) supposed: bool,
}

/// The world.
pub(super) struct World<'a> {
    /// What planning is a function of.
    pub(super) inputs: Inputs<'a>,
    /// The outline.
    pub(super) outline: &'a Outline,
    /// The instances, callers before called.
    pub(super) instances: Vec<ModuleInstance>,
    by_module: Vec<Vec<Instance>>,
    /// Questions that came up.
    pub(super) needs: RefCell<BTreeMap<String, Question>>,
    /// What is wrong.
    pub(super) diagnostics: RefCell<Diagnostics>,
    /// What could not be judged yet.
    pub(super) conditions: RefCell<Conditions>,
    /// What evaluation may spend.
    pub(super) budget: Budget,
    /// Set where what is drawn at apply is drawn now: in a console, which applies nothing.
    pub(super) draw: Option<Draw<'a>>,
    /// What is being evaluated: the module instance, and the node in it if it is one.
    pub(super) at: RefCell<At>,
}

/// What is being evaluated.
#[derive(Debug, Clone, Default)]
pub(super) struct At {
    /// The module instance.
    pub(super) instance: Instance,
    /// The node in it, if it is one.
    pub(super) address: Option<Address>,
    /// Whether nobody asked for it: it stands for instances of which there are none, or of which the number is not known.
    pub(super) supposed: bool,
}

/// What is wrong with a block whatever the values in it are. In an instance that is only supposed nothing else is told: its
/// values may be such that it is never made.
const STATIC: [&str; 9] = [
    "Duplicate block",
    "Incorrect argument value type",
    "Missing required argument",
    "Missing required block",
    "Unknown data source",
    "Unknown resource type",
    "Unsupported argument",
    "Unsupported block type",
    "Value for computed attribute",
];

impl<'a> World<'a> {
    pub(super) fn new(inputs: Inputs<'a>, outline: &'a Outline) -> Self {
        Self {
            inputs,
            outline,
            instances: vec![ModuleInstance::new(ModulePath::root(), 0, None, Repeated::default())],
            by_module: {
                let mut by_module = vec![Vec::new(); outline.modules.len()];
                by_module[0].push(0);
                by_module
            },
            needs: RefCell::default(),
            diagnostics: RefCell::default(),
            conditions: RefCell::default(),
            budget: Budget::for_configuration(inputs.desired.sources.bytes()),
            draw: None,
            at: RefCell::default(),
        }
    }

    /// The answer to a question, or `None` after noting the question.
    pub(super) fn ask(&self, question: Question) -> Option<&'a Fact> {
        let key = question.key(self.inputs.seal);
        let fact = self.inputs.facts.0.get(&key);
        if fact.is_none() {
            self.needs.borrow_mut().insert(key, question);
        }
        fact
    }

    /// Notes what is wrong with what is being evaluated: with its address and the calls of its module.
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        let instance = self.at.borrow().instance;
        self.report_in(instance, diagnostic);
    }

    /// Notes what is wrong in a module instance.
    pub(super) fn report_in(&self, instance: Instance, diagnostic: Diagnostic) {
        let at = self.at.borrow();
        let here = at.instance == instance;
        let supposed = self.instances[instance].supposed || (here && at.supposed);
        for mut one in diagnostic.apart() {
            if supposed && (one.is_explained() || !STATIC.contains(&&*one.summary)) {
                continue;
            }
            if one.address.is_none()
                && here
                && let Some(address) = &at.address
            {
                one = one.on(address);
            }
            self.diagnostics.borrow_mut().push(one.called_by(self.callers(instance)));
        }
    }

    /// The calls that lead to a module instance, innermost first.
    fn callers(&self, instance: Instance) -> Vec<Caller> {
        let mut chain = Vec::new();
        let mut at = instance;
        while let Some(parent) = self.instances[at].parent {
            let path = &self.instances[at].path;
            let calls = &self.outline.modules[self.instances[parent].index].module.calls;
            let call = path.parent().and_then(|(_, step)| calls.get(&step.name));
            chain.push(Caller { module: path.to_string(), at: call.map(|c| c.span) });
            at = parent;
        }
        chain
    }

    /// The instances of a module of the outline, in order.
    pub(super) fn instances_of(&self, index: ModuleIndex) -> Vec<Instance> {
        self.by_module[index].clone()
    }

    /// Adds a module instance.
    pub(super) fn add(&mut self, mut instance: ModuleInstance) -> Instance {
        instance.supposed |= instance.parent.is_some_and(|parent| self.instances[parent].supposed);
        let number = self.instances.len();
        self.by_module[instance.index].push(number);
        self.instances.push(instance);
        number
    }

    /// The object of a module instance's outputs.
    pub(super) fn outputs(&self, instance: Instance) -> Value {
        let outputs = &self.instances[instance].outputs;
        Value::object(outputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// What `module.NAME` gives.
    pub(super) fn call_value(&self, called: &Called) -> Value {
        match called {
            Called::Single(instance) => self.outputs(*instance),
            Called::Count(all) => Value::tuple(all.iter().map(|i| self.outputs(*i)).collect::<Vec<_>>()),
            Called::Each(all) => Value::object(all.iter().map(|(k, i)| (k.clone(), self.outputs(*i))).collect::<Map>()),
            Called::NotKnown => Value::opaque(Type::Any),
        }
    }
}

impl ModuleInstance {
    pub(super) fn new(path: ModulePath, index: ModuleIndex, parent: Option<Instance>, repeated: Repeated) -> Self {
        Self {
            path,
            index,
            parent,
            repeated,
            variables: BTreeMap::new(),
            locals: BTreeMap::new(),
            outputs: BTreeMap::new(),
            blocks: Vec::new(),
            calls: BTreeMap::new(),
            supposed: false,
        }
    }
}

impl ModuleInstance {
    /// From now on a reference to the block at `position` gives `value`.
    pub(super) fn know(&mut self, position: usize, value: Value) {
        if self.blocks.len() <= position {
            self.blocks.resize(position + 1, None);
        }
        self.blocks[position] = Some(value);
    }
}

impl Repeated {
    /// For an instance with a key, in a collection.
    pub(super) fn of(key: Option<&Key>, value: Option<Value>) -> Self {
        match key {
            None => Self::default(),
            Some(Key::Index(n)) => {
                let index = Value::number(usize::try_from(*n).unwrap_or(usize::MAX));
                Self { each: None, count: Some(index) }
            }
            Some(Key::Name(name)) => {
                let key = Value::string(name.clone());
                Self { each: Some((key.clone(), value.unwrap_or(key))), count: None }
            }
        }
    }
}

impl Repeated {
    /// For the one instance that stands for all of those whose number is not known.
    pub(super) fn some(repetition: &Repetition) -> Self {
        match repetition {
            Repetition::Single => Self::default(),
            Repetition::Count(_) => Self { each: None, count: Some(Value::opaque(Type::Number)) },
            Repetition::ForEach(_) => {
                Self { each: Some((Value::opaque(Type::String), Value::opaque(Type::Any))), count: None }
            }
        }
    }
}

impl Host for World<'_> {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        match self.inputs.files.file(path) {
            Some(Ok(bytes)) => Answer::Known(bytes),
            Some(Err(why)) => Answer::Missing(why),
            None => self.pending(Question::File(path.to_owned())),
        }
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        self.inputs.files.kind(path).map_or_else(|| self.pending(Question::Kind(path.to_owned())), Answer::Known)
    }

    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>> {
        match self.inputs.files.tree(directory) {
            Some(Ok(names)) => Answer::Known(names),
            Some(Err(why)) => Answer::Missing(why),
            None => self.pending(Question::Tree(directory.to_owned())),
        }
    }

    fn variable(&self, name: &str) -> Answer<String> {
        match self.ask(Question::Variable(name.to_owned())) {
            Some(Fact::Text(Some(text))) => Answer::Known(text.clone()),
            Some(Fact::Text(None)) => Answer::Missing(format!("the environment variable {name} is not set")),
            Some(_) => Answer::Missing(format!(
                "the environment variable {name} has to be set again: only its digest is recorded"
            )),
            None => Answer::Pending,
        }
    }

    fn plan_time(&self) -> Answer<String> {
        match self.ask(Question::PlanTime) {
            Some(Fact::Text(Some(text))) => Answer::Known(text.clone()),
            _ => Answer::Pending,
        }
    }

    fn draw(&self, what: &str) -> Option<Value> {
        self.draw.and_then(|draw| draw(what))
    }

    fn directory(&self) -> String {
        self.inputs.directory.to_owned()
    }

    fn syntax(&self) -> Option<Syntax> {
        Some(crate::config::SYNTAX)
    }
}

impl World<'_> {
    fn pending<T>(&self, question: Question) -> Answer<T> {
        self.needs.borrow_mut().insert(question.key(self.inputs.seal), question);
        Answer::Pending
    }
}

//! Looking around in a configuration: its names with their values, as `gantry console` has them.
//!
//! [`look`] walks the configuration as planning does. In [`Sight::Planned`] it sees what a plan sees. In [`Sight::Recorded`] what
//! was applied has the values that the ledger has, what never was is known after apply, and nobody outside is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fact::Question;
use super::input::Inputs;
use super::outline::Outline;
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use super::world::{Called, Instance, Repeated, World};
use crate::addr::{Address, Key, NodeKind};
use crate::config::desired::{NodeBlock, Repetition};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::eval::{Budget, Evaluator, Host, Reference, Scope as _, Step, Term, references};
use crate::ledger::event::AppliedMigration;
use crate::ledger::record::Record;
use crate::provider::Role;
use crate::value::{Map, Type, Value, decode};

/// Against what expressions are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// What the ledger has.
    Recorded,
    /// What a plan that is made now would have.
    Planned,
}

/// What looking gives.
#[derive(Debug)]
pub enum Looked<T> {
    /// What the work gave.
    Ready(T),
    /// Questions; look again with their answers.
    Need(Vec<Question>),
}

/// How a function that is drawn at apply gets its value here: `timestamp`, `uuid`, `bcrypt`.
pub type Draw<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// Walks a configuration and lets `work` look around in it. What is wrong with the configuration ends nothing: it is among
/// [`Look::diagnostics`], and what cannot be evaluated is not known.
///
/// # Errors
/// When things need each other, so that nothing can be evaluated.
pub fn look<T>(
    inputs: Inputs<'_>,
    sight: Sight,
    draw: Draw<'_>,
    work: impl FnOnce(&Look<'_>) -> T,
) -> Result<Looked<T>, Diagnostics> {
    let outline = Outline::draw(&inputs.desired.root, &inputs.desired.sources).map_err(|e| Diagnostics::from(*e))?;
    let mut world = World::new(inputs, &outline);
    let mut planner = match sight {
        Sight::Recorded => {
            world.draw = Some(draw);
            Planner { seen: Some(Recorded::of(&inputs)), ..Planner::new(world) }
        }
        Sight::Planned => Planner::new(world),
    };
    if sight == Sight::Planned {
        planner.moves();
    }
    planner.walk();
    let asks = |question: &Question| {
        let own = matches!(
            question,
            Question::File(_) | Question::Kind(_) | Question::Tree(_) | Question::Variable(_) | Question::PlanTime
        );
        own || sight == Sight::Planned
    };
    let needs: Vec<Question> = planner.world.needs.take().into_values().filter(asks).collect();
    if !needs.is_empty() {
        return Ok(Looked::Need(needs));
    }
    Ok(Looked::Ready(work(&Look { world: &planner.world, here: 0 })))
}

/// A module instance whose names are looked at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    world: &'a World<'a>,
    here: Instance,
}

/// The names of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Its variables.
    pub variables: Vec<Arc<str>>,
    /// Its locals.
    pub locals: Vec<Arc<str>>,
    /// The modules that it calls.
    pub modules: Vec<Arc<str>>,
    /// Its blocks, as references name them: `terraform_data.a`, `data.http.b`, `artifact.c`.
    pub blocks: Vec<String>,
}

impl<'a> Look<'a> {
    pub(super) fn world(&self) -> &'a World<'a> {
        self.world
    }

    /// What is wrong with the configuration, or worth a warning.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        self.world.diagnostics.borrow().clone()
    }

    /// The same in a module instance.
    ///
    /// # Errors
    /// When there is none of that address.
    pub fn within(&self, module: &str) -> Result<Self, Diagnostic> {
        let all = &self.world.instances;
        match all.iter().position(|i| !i.path.is_root() && i.path.to_string() == module) {
            Some(here) => Ok(Self { here, ..*self }),
            None => {
                let known: Vec<String> = all.iter().skip(1).map(|i| i.path.to_string()).collect();
                let detail = match known.is_empty() {
                    true => "The configuration calls no module.".to_owned(),
                    false => format!("There is no module instance {module}. There is: {}.", known.join(", ")),
                };
                let hint = did_you_mean(module, known.iter().map(String::as_str));
                Err(Diagnostic::error("Unknown module instance", detail).hint_opt(hint))
            }
        }
    }

    /// The value of a term here.
    ///
    /// # Errors
    /// When it has none.
    pub fn evaluate(&self, term: &Arc<Term>, host: &dyn Host, budget: &Budget) -> Result<Value, Box<Diagnostic>> {
        let mut named = Vec::new();
        references(term, &mut named);
        let module = &self.world.outline.modules[self.world.instances[self.here].index].module;
        if let Some(refused) = crate::config::check_calls(module, term).into_iter().next() {
            return Err(Box::new(refused));
        }
        let repeated = Repeated::default();
        let scope = ModuleScope::new(self.world, self.here, &repeated);
        // A name that does not exist is a mistake wherever it stands, in `try` and on the side that is not taken too; in files
        // loading finds it.
        for reference in named {
            scope.resolve(reference)?;
            self.attribute_exists(reference)?;
        }
        Evaluator { scope: &scope, host, budget, site: &"console" }.evaluate(term)
    }

    /// What a resource has is known from its type, before it is applied and whatever its value is.
    fn attribute_exists(&self, r: &Reference) -> Result<(), Box<Diagnostic>> {
        let (role, ty, consumed) = match (&*r.root, r.attribute(0)) {
            ("data", Some(ty)) => (Role::Data, &**ty, 2),
            (ty, Some(_)) => (Role::Managed, ty, 1),
            _ => return Ok(()),
        };
        let Some(schema) = self.world.inputs.catalog.get(role, ty) else { return Ok(()) };
        let behind = r.steps.get(consumed..).unwrap_or_default();
        let ([Step::Index(_), Step::Attribute(attribute), ..] | [Step::Attribute(attribute), ..]) = behind else {
            return Ok(());
        };
        let known = || schema.attributes.keys().chain(schema.blocks.keys()).map(|name| &**name);
        if known().any(|k| *k == **attribute) {
            return Ok(());
        }
        let detail = format!("A resource of type \"{ty}\" has no attribute \"{attribute}\".");
        let hint = did_you_mean(attribute, known());
        Err(Box::new(Diagnostic::error("Unsupported attribute", detail).at(r.span).hint_opt(hint)))
    }

    /// The names that expressions can start from here.
    #[must_use]
    pub fn names(&self) -> Names {
        let here = &self.world.instances[self.here];
        let block = |(kind, ty, name): (NodeKind, &str, &str)| match (kind.keyword(), kind) {
            (Some(word), _) => format!("{word}.{name}"),
            (None, NodeKind::Data) => format!("data.{ty}.{name}"),
            (None, _) => format!("{ty}.{name}"),
        };
        Names {
            variables: here.variables.keys().cloned().collect(),
            locals: here.locals.keys().cloned().collect(),
            modules: here.calls.keys().cloned().collect(),
            blocks: self.world.outline.modules[here.index].all_blocks().map(block).collect(),
        }
    }

    /// The outputs of a module that is called here, whether its instances are known or not.
    #[must_use]
    pub fn outputs(&self, module: &str) -> Vec<Arc<str>> {
        let children = &self.world.outline.modules[self.world.instances[self.here].index].children;
        let outputs = children.get(module).map(|child| &self.world.outline.modules[*child].module.outputs);
        outputs.map_or_else(Vec::new, |all| all.keys().cloned().collect())
    }

    /// Whether a module that is called here is called once.
    #[must_use]
    pub fn is_single(&self, module: &str) -> bool {
        matches!(self.world.instances[self.here].calls.get(module), Some(Called::Single(_)))
    }

    /// The attributes of a type of resource or data source.
    #[must_use]
    pub fn attributes(&self, data: bool, ty: &str) -> Vec<&str> {
        let role = if data { Role::Data } else { Role::Managed };
        let schema = self.world.inputs.catalog.get(role, ty);
        schema.map_or_else(Vec::new, |s| s.attributes.keys().chain(s.blocks.keys()).map(|name| &**name).collect())
    }
}

/// The instances of a block that are recorded.
type Instances = Vec<(Option<Key>, Arc<Record>)>;

/// The records by block.
pub(super) struct Recorded(BTreeMap<Address, Instances>);

impl Recorded {
    fn of(inputs: &Inputs<'_>) -> Self {
        let mut all: BTreeMap<Address, Instances> = BTreeMap::new();
        for (address, record) in &inputs.recorded.records {
            all.entry(address.block()).or_default().push((address.key.clone(), record.clone()));
        }
        Self(all)
    }
}

impl Planner<'_> {
    /// What a reference to a resource gives where the ledger alone is looked at: the instances that it has, in the shape that
    /// the configuration asks for; not known where it has none.
    pub(super) fn recorded_resource(&self, recorded: &Recorded, block: &NodeBlock, whole: &Address) -> Value {
        let none = || Value::opaque(Type::Any);
        let Some(all) = recorded.0.get(whole) else { return none() };
        let object = |record: &Record| self.recorded_object(whole, record);
        match block.repetition {
            Repetition::Single => all.iter().find(|(key, _)| key.is_none()).map_or_else(none, |(_, r)| object(r)),
            Repetition::Count(_) => {
                let mut items: BTreeMap<u64, Value> = BTreeMap::new();
                for (key, record) in all {
                    if let Some(Key::Index(n)) = key {
                        items.insert(*n, object(record));
                    }
                }
                match items.last_key_value() {
                    // An instance that is missing in between is one that is still to be made.
                    Some((last, _)) => {
                        Value::tuple((0..=*last).map(|n| items.remove(&n).unwrap_or_else(none)).collect::<Vec<_>>())
                    }
                    None => none(),
                }
            }
            Repetition::ForEach(_) => {
                let named: Map = all
                    .iter()
                    .filter_map(|(key, record)| match key {
                        Some(Key::Name(name)) => Some((name.clone(), object(record))),
                        _ => None,
                    })
                    .collect();
                if named.is_empty() { none() } else { Value::object(named) }
            }
        }
    }

    fn recorded_object(&self, whole: &Address, record: &Record) -> Value {
        let Some(schema) = self.world.inputs.catalog.get(Role::Managed, &whole.ty) else {
            return Value::opaque(Type::Any);
        };
        decode(&record.attributes, &schema.object_type()).unwrap_or_else(|e| {
            let detail = format!("The record of {whole} cannot be read: {e}.");
            self.world.report(Diagnostic::error("Unreadable record", detail).on(whole));
            Value::opaque(Type::Any)
        })
    }

    /// What a reference to another node gives where the ledger alone is looked at. Data sources have what the last run was told
    /// (it is among the facts), checks what the configuration says.
    pub(super) fn recorded_node(&mut self, one: &BlockInstance<'_>) -> Value {
        let recorded = self.world.inputs.recorded;
        match one.block.kind {
            NodeKind::Artifact => {
                let pin = recorded.pins.get(&one.address);
                pin.map_or_else(|| Value::opaque(super::data::artifact_type()), |pin| self.pinned(pin))
            }
            NodeKind::Migration => {
                let applied = recorded.migrations.get(&one.address).map_or(&[][..], Vec::as_slice);
                self.applied_migration(one, applied)
            }
            NodeKind::Data => self.data(one),
            NodeKind::HealthCheck | NodeKind::SmokeTest => self.check(one),
            NodeKind::Check => self.assertions(one),
            NodeKind::Resource => Value::opaque(Type::Any),
        }
    }

    fn applied_migration(&self, one: &BlockInstance<'_>, applied: &[AppliedMigration]) -> Value {
        let Some(newest) = applied.iter().map(|m| m.version).max() else { return Value::opaque(Type::Any) };
        let newest = i64::try_from(newest).map_or_else(|_| Value::null(Type::Number), Value::number);
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        let database = one.block.body.attributes.get("database");
        let url = database.map_or_else(|| Value::opaque(Type::String), |a| scope.evaluate(&a.term, &"database"));
        let sums: Vec<&str> = applied.iter().map(|m| &*m.checksum).collect();
        Value::object_of([
            ("url", url.sensitive()),
            ("version", newest.clone()),
            ("target_version", newest),
            ("checksum", Value::string(super::effect::digest(sums.join(" ").as_bytes()))),
        ])
    }
}

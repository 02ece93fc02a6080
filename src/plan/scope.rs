//! Where an expression stands, and what names mean there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::world::{Called, Instance, Repeated, World};
use crate::addr::{Key, NodeKind};
use crate::config::desired::Repetition;
use crate::diag::{Diagnostic, did_you_mean};
use crate::eval::{Cause, Evaluator, Reference, Scope, Step, Term};
use crate::value::{Type, Value};

/// Values that stand in for others: the staged version's attributes in a prove step, and what follows from them.
#[derive(Debug, Default, Clone)]
pub(super) struct Overlay {
    /// Locals by instance and name.
    pub(super) locals: BTreeMap<(Instance, Arc<str>), Value>,
    /// Variables by instance and name.
    pub(super) variables: BTreeMap<(Instance, Arc<str>), Value>,
    /// Outputs by instance and name.
    pub(super) outputs: BTreeMap<(Instance, Arc<str>), Value>,
    /// Blocks by instance and position.
    pub(super) blocks: BTreeMap<(Instance, usize), Value>,
}

/// A place in a module instance.
#[derive(Clone, Copy)]
pub(super) struct ModuleScope<'a> {
    /// The world.
    pub(super) world: &'a World<'a>,
    /// The module instance.
    pub(super) instance: Instance,
    /// `each` and `count` here.
    pub(super) repeated: &'a Repeated,
    /// `self` here.
    pub(super) own: Option<&'a Value>,
    /// The iterators of dynamic blocks around, innermost last.
    pub(super) iterators: &'a [(Arc<str>, Value)],
    /// What stands in for other values.
    pub(super) overlay: Option<&'a Overlay>,
}

impl<'a> ModuleScope<'a> {
    pub(super) fn new(world: &'a World<'a>, instance: Instance, repeated: &'a Repeated) -> Self {
        Self { world, instance, repeated, own: None, iterators: &[], overlay: None }
    }

    /// Evaluates a term here; what is wrong is noted, and the value is then not known.
    pub(super) fn evaluate(&self, term: &Arc<Term>, site: &dyn fmt::Display) -> Value {
        self.try_evaluate(term, site).unwrap_or_else(|e| {
            self.report(*e);
            Value::opaque(Type::Any)
        })
    }

    /// Notes what is wrong here.
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        self.world.report_in(self.instance, diagnostic);
    }

    /// Notes what is wrong with the value of a term here, with the values of its references.
    pub(super) fn report_on(&self, diagnostic: Diagnostic, term: &Term, cause: Cause) {
        self.report(self.explain(diagnostic.at(term.span), term, cause));
    }

    /// The diagnostic with the values of a term's references.
    pub(super) fn explain(&self, diagnostic: Diagnostic, term: &Term, cause: Cause) -> Diagnostic {
        let evaluator = Evaluator { scope: self, host: self.world, budget: &self.world.budget, site: &"" };
        evaluator.explain(diagnostic, term, cause)
    }

    /// Evaluates a term here.
    pub(super) fn try_evaluate(&self, term: &Arc<Term>, site: &dyn fmt::Display) -> Result<Value, Box<Diagnostic>> {
        let evaluator = Evaluator { scope: self, host: self.world, budget: &self.world.budget, site };
        evaluator.evaluate(term)
    }

    fn undeclared(
        &self,
        what: &str,
        name: &str,
        known: &mut dyn Iterator<Item = &str>,
        r: &Reference,
    ) -> Box<Diagnostic> {
        let detail = format!("There is no {what} named \"{name}\" in this module.");
        let hint = did_you_mean(name, known);
        Box::new(Diagnostic::error(format!("Reference to undeclared {what}"), detail).at(r.span).hint_opt(hint))
    }

    fn variable(&self, name: &Arc<str>, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        if let Some(value) = self.overlay.and_then(|o| o.variables.get(&(self.instance, name.clone()))) {
            return Ok((value.clone(), 1));
        }
        let here = &self.world.instances[self.instance];
        match here.variables.get(name) {
            Some(value) => Ok((value.clone(), 1)),
            None => Err(self.undeclared("input variable", name, &mut here.variables.keys().map(|k| &**k), r)),
        }
    }

    fn local(&self, name: &Arc<str>, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        if let Some(value) = self.overlay.and_then(|o| o.locals.get(&(self.instance, name.clone()))) {
            return Ok((value.clone(), 1));
        }
        let here = &self.world.instances[self.instance];
        match here.locals.get(name) {
            Some(value) => Ok((value.clone(), 1)),
            None => Err(self.undeclared("local value", name, &mut here.locals.keys().map(|k| &**k), r)),
        }
    }

    fn output(&self, instance: Instance, name: &Arc<str>) -> Option<Value> {
        self.overlay
            .and_then(|o| o.outputs.get(&(instance, name.clone())))
            .or_else(|| self.world.instances[instance].outputs.get(name))
            .cloned()
    }

    fn module(&self, name: &Arc<str>, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let here = &self.world.instances[self.instance];
        let Some(called) = here.calls.get(name) else {
            return Err(self.undeclared("module", name, &mut here.calls.keys().map(|k| &**k), r));
        };
        // The usual forms go straight to one output; only odd ones need the whole object.
        let direct = match (called, r.steps.get(1), r.steps.get(2)) {
            (Called::Single(i), Some(Step::Attribute(o)), _) => self.output(*i, o).map(|v| (v, 2)),
            (Called::Count(all), Some(Step::Index(Key::Index(n))), Some(Step::Attribute(o))) => {
                usize::try_from(*n).ok().and_then(|n| all.get(n)).and_then(|i| self.output(*i, o)).map(|v| (v, 3))
            }
            (Called::Each(all), Some(Step::Index(Key::Name(k))), Some(Step::Attribute(o))) => {
                all.get(k).and_then(|i| self.output(*i, o)).map(|v| (v, 3))
            }
            _ => None,
        };
        Ok(direct.unwrap_or_else(|| (self.whole_call(called), 1)))
    }

    fn whole_call(&self, called: &Called) -> Value {
        if self.overlay.is_none() {
            return self.world.call_value(called);
        }
        let outputs = |i: &Instance| {
            let names = self.world.instances[*i].outputs.keys();
            Value::object(names.filter_map(|n| Some((n.clone(), self.output(*i, n)?))).collect())
        };
        match called {
            Called::Single(i) => outputs(i),
            Called::Count(all) => Value::tuple(all.iter().map(outputs).collect::<Vec<_>>()),
            Called::Each(all) => Value::object(all.iter().map(|(k, i)| (k.clone(), outputs(i))).collect()),
            Called::NotKnown => Value::opaque(Type::Any),
        }
    }

    fn block(
        &self,
        kind: NodeKind,
        ty: &str,
        name: &str,
        consumed: usize,
        r: &Reference,
    ) -> Result<(Value, usize), Box<Diagnostic>> {
        let here = &self.world.instances[self.instance];
        let module = &self.world.outline.modules[here.index];
        let Some(position) = module.block(kind, ty, name) else {
            let what = match (kind.keyword(), kind) {
                (Some(word), _) => word.replace('_', " "),
                (None, NodeKind::Data) => format!("data source of type \"{ty}\""),
                (None, _) => format!("resource of type \"{ty}\""),
            };
            return Err(self.undeclared(&what, name, &mut module.block_names(kind, ty), r));
        };
        if let Some(value) = self.overlay.and_then(|overlay| overlay.blocks.get(&(self.instance, position))) {
            return Ok((value.clone(), consumed));
        }
        let repeated = !matches!(module.module.nodes[position].repetition, Repetition::Single);
        if repeated && matches!(r.steps.get(consumed), Some(Step::Attribute(_))) {
            return Err(keyless(r, consumed));
        }
        // Of what the walk has not come to, or leaves out, nothing is known.
        let value = here.blocks.get(position).cloned().flatten();
        Ok((value.unwrap_or_else(|| Value::opaque(Type::Any)), consumed))
    }

    fn path(&self, name: &str, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let here = &self.world.instances[self.instance];
        let text = match name {
            "module" => self.world.outline.modules[here.index].module.directory.clone(),
            "root" => ".".to_owned(),
            "cwd" => self.world.inputs.directory.to_owned(),
            "project" => self.world.inputs.project.to_owned(),
            _ => return Err(self.undeclared("path", name, &mut ["module", "root", "cwd", "project"].into_iter(), r)),
        };
        Ok((Value::string(text), 1))
    }

    fn each(&self, name: &str, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        match (&self.repeated.each, name) {
            (Some((key, _)), "key") => Ok((key.clone(), 1)),
            (Some((_, value)), "value") => Ok((value.clone(), 1)),
            (Some(_), _) => Err(Box::new(
                Diagnostic::error("Invalid \"each\" attribute", format!("\"each\" has key and value, but no {name}."))
                    .at(r.span),
            )),
            (None, _) => Err(Box::new(
                Diagnostic::error(
                    "Reference to \"each\" in context without for_each",
                    "\"each\" means something only in a block that has \"for_each\".",
                )
                .at(r.span),
            )),
        }
    }
}

/// An attribute is asked of all instances at once.
fn keyless(r: &Reference, consumed: usize) -> Box<Diagnostic> {
    let block = Reference { steps: r.steps[..consumed].to_vec(), ..r.clone() };
    let detail = format!("{block} has \"count\" or \"for_each\", so an attribute is that of one of its instances.");
    let hint = format!("Name the instance, as in {block}[0] or {block}[each.key], or take it of each: {block}[*].");
    Box::new(Diagnostic::error("Missing resource instance key", detail).at(r.span).hint(hint))
}

impl Scope for ModuleScope<'_> {
    fn resolve(&self, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        if let Some((_, value)) = self.iterators.iter().rev().find(|(name, _)| *name == r.root) {
            return Ok((value.clone(), 0));
        }
        let name = r.attribute(0);
        let need = |what: &str| {
            let detail = format!("\"{}\" needs the name of {what} behind it.", r.root);
            Box::new(Diagnostic::error("Invalid reference", detail).at(r.span))
        };
        match (&*r.root, name) {
            ("var", Some(name)) => self.variable(name, r),
            ("local", Some(name)) => self.local(name, r),
            ("module", Some(name)) => self.module(name, r),
            ("path", Some(name)) => self.path(name, r),
            ("each", Some(name)) => self.each(name, r),
            ("count", Some(name)) if &**name == "index" => match &self.repeated.count {
                Some(n) => Ok((n.clone(), 1)),
                None => Err(Box::new(
                    Diagnostic::error(
                        "Reference to \"count\" in context without count",
                        "\"count.index\" means something only in a block that has \"count\".",
                    )
                    .at(r.span),
                )),
            },
            ("self", _) => match self.own {
                Some(value) => Ok((value.clone(), 0)),
                None => Err(Box::new(
                    Diagnostic::error(
                        "Invalid \"self\" reference",
                        "\"self\" means something only in a postcondition.",
                    )
                    .at(r.span),
                )),
            },
            ("terraform", Some(name)) if &**name == "workspace" => {
                Ok((Value::string(self.world.inputs.environment), 1))
            }
            ("data", Some(ty)) => match r.attribute(1) {
                Some(name) => self.block(NodeKind::Data, ty, name, 2, r),
                None => Err(need("a type and a data source")),
            },
            (word, Some(name)) => match NodeKind::of_keyword(word) {
                Some(kind) => self.block(kind, "", name, 1, r),
                None => self.block(NodeKind::Resource, word, name, 1, r),
            },
            (_, None) => Err(need("something")),
        }
    }
}

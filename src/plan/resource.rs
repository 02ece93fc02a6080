//! Deciding about a resource: what the configuration asks for against what there is.

use std::sync::Arc;

use serde_json::Value as Json;

use super::body::{self, Shape};
use super::change::{Change, ChangeKind, Detail, Reason, ResourceDetail};
use super::compare::{align, differences, marks_differ};
use super::condition::Before;
use super::drift::{self, is_ignored};
use super::fact::{Fact, Question};
use super::imports::Taken;
use super::result;
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner, broken, broken_now};
use crate::addr::Address;
use crate::config::desired::Step;
use crate::diag::{Diagnostic, did_you_mean};
use crate::ledger::record::Record;
use crate::provider::{
    Lowering, Mode, Observation, ObserveRequest, Prior, ProposedChange, Readiness, ResourceSchema, Role,
};
use crate::value::{Keep, Map, Path, Value, decode, without_seals};

/// What is known of a recorded object.
pub(super) struct Known {
    /// The object: as observed, or as recorded where nothing was read.
    pub(super) prior: Option<Prior>,
    /// Whether it does what it is there for.
    pub(super) readiness: Readiness,
    /// Set when it was recorded and is gone.
    pub(super) vanished: bool,
    /// The object as it was recorded, where what is there is not that.
    pub(super) drift: Option<Value>,
    /// Whether it could be looked at, or need not be.
    pub(super) readable: bool,
}

impl Known {
    /// Of what is not there.
    fn nothing() -> Self {
        Self { prior: None, readiness: Readiness::Ready, vanished: false, drift: None, readable: true }
    }
}

/// Looks a recorded object up among the facts; `None` while the answer is awaited.
pub(super) fn known(
    planner: &mut Planner<'_>,
    address: &Address,
    (record, provider): (&Record, String),
    schema: &ResourceSchema,
) -> Option<Known> {
    let recorded = drift::recorded(record, schema, planner.world.inputs.seal, planner.world.inputs.opener);
    let recorded = recorded.unwrap_or_else(|e| {
        let detail = format!("The record of {address} cannot be read: {e}.");
        planner.world.report(Diagnostic::error("Unreadable record", detail).on(address));
        Value::null(schema.object_type())
    });
    let prior = drift::prior(record, &recorded);
    let as_recorded =
        Known { prior: Some(prior.clone()), readiness: Readiness::Ready, vanished: false, drift: None, readable: true };
    if !planner.world.inputs.options.refresh {
        return Some(as_recorded);
    }
    let request = ObserveRequest { provider, address: address.clone(), ty: record.ty.clone(), prior };
    match planner.world.ask(Question::Observe(Box::new(request)))? {
        Fact::Observed(Observation::Absent) => Some(Known { prior: None, vanished: true, ..as_recorded }),
        Fact::Observed(Observation::Unreadable(why)) => {
            planner.unreadable.push((address.clone(), why.clone()));
            Some(Known { readable: false, ..as_recorded })
        }
        Fact::Observed(Observation::Present { attributes, readiness }) => {
            let (attributes, found) = drift::against(schema, &recorded, attributes, planner.world.inputs.seal);
            let drift = (!found.is_empty()).then(|| drift::alike_where_ignored(schema, &recorded, &attributes));
            let prior = Prior { attributes, identity: record.identity.clone() };
            Some(Known { prior: Some(prior), readiness: readiness.clone(), vanished: false, drift, readable: true })
        }
        _ => Some(as_recorded),
    }
}

fn forces_replacement(schema: &ResourceSchema, path: &Path) -> bool {
    let Some(name) = path.root() else { return false };
    schema.attributes.get(name).is_some_and(|a| a.replaces) || schema.blocks.get(name).is_some_and(|b| b.replaces)
}

impl Planner<'_> {
    /// Decides about one instance and gives the value that references to it have.
    pub(super) fn resource(&mut self, one: &BlockInstance<'_>) -> Value {
        let catalog = self.world.inputs.catalog;
        let Some(schema) = catalog.get(Role::Managed, &one.block.ty) else {
            let detail = format!("No provider that this Gantry has knows the resource type \"{}\".", one.block.ty);
            let hint = did_you_mean(&one.block.ty, catalog.names(Role::Managed));
            self.world.report(Diagnostic::error("Unknown resource type", detail).at(one.block.span).hint_opt(hint));
            return Value::opaque(crate::value::Type::Any);
        };
        let record = self.world.inputs.recorded.records.get(self.recorded_address(&one.address)).cloned();
        if self.world.inputs.options.to_nothing {
            self.claimed.remove(&one.address);
            let ty = schema.object_type();
            return record.and_then(|r| decode(&r.attributes, &ty).ok()).unwrap_or_else(|| Value::opaque(ty));
        }
        let known = match &record {
            Some(record) => match known(self, &one.address, (record, self.configuration(one, schema)), schema) {
                Some(known) => Some(known),
                None => return Value::opaque(schema.object_type()),
            },
            None => None,
        };
        let unreadable = known.as_ref().is_some_and(|k| !k.readable);
        if self.left_alone(one) || unreadable {
            return self.leave_alone(one, schema, known, record.as_deref());
        }
        self.preconditions(one);
        self.ignored_exist(one, schema);
        self.triggers_exist(one);
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        let shape = Shape { attributes: &schema.attributes, blocks: &schema.blocks };
        let what = format_args!("a resource of type \"{}\"", schema.ty);
        let desired = schema.with_secrets(&body::evaluate(&one.block.body, shape, &scope, &what, &one.address));
        self.nothing_ephemeral(one, &desired);
        if let Some(validate) = schema.validate {
            for (attribute, sentence) in validate(&desired) {
                let span = one.block.body.attributes.get(attribute).map_or(one.block.span, |a| a.term.span);
                self.world.report(Diagnostic::error("Invalid argument value", sentence).at(span).on(&one.address));
            }
        }
        let (known, importing) = match known {
            Some(known) => (known, None),
            None => match self.taken(one, schema, &desired) {
                Taken::Yes(known, id) => (*known, Some(id)),
                Taken::Not => (Known::nothing(), None),
                Taken::Awaited => return Value::opaque(schema.object_type()),
            },
        };
        let mut change = self.compare(one, schema, &desired, known, record.as_deref());
        if let Detail::Resource(detail) = &mut change.detail {
            detail.imported = importing.clone().or_else(|| record.as_ref().and_then(|r| r.imported.clone()));
        }
        change.importing = importing;
        self.preview(one, schema, &mut change);
        let value = change.after.clone().unwrap_or_else(|| Value::opaque(schema.object_type()));
        self.decide(one.id, change);
        value
    }

    /// The address under which a node's record stands: another one if it moved.
    pub(super) fn recorded_address<'p>(&'p self, address: &'p Address) -> &'p Address {
        self.moved.get(address).unwrap_or(address)
    }

    /// The provider configuration that a node uses.
    fn configuration(&self, one: &BlockInstance<'_>, schema: &ResourceSchema) -> String {
        self.configuration_of(one.instance, Role::Managed, schema.ty, one.block.provider.as_ref())
    }

    pub(super) fn creates_first(&self, one: &BlockInstance<'_>) -> bool {
        self.create_first.contains(&one.id)
    }

    /// A node that is out of this plan's limits: it stays as it is.
    fn leave_alone(
        &mut self,
        one: &BlockInstance<'_>,
        schema: &ResourceSchema,
        known: Option<Known>,
        record: Option<&Record>,
    ) -> Value {
        let prior = known.and_then(|k| k.prior);
        let value = prior.as_ref().map_or_else(|| Value::opaque(schema.object_type()), |p| p.attributes.clone());
        if record.is_some() {
            let change = self.change(one, schema, ChangeKind::NoOp, Reason::UpToDate, prior.as_ref(), value.clone());
            self.decide(one.id, change);
        }
        value
    }

    fn change(
        &self,
        one: &BlockInstance<'_>,
        schema: &ResourceSchema,
        kind: ChangeKind,
        reason: Reason,
        prior: Option<&Prior>,
        after: Value,
    ) -> Change {
        let versions = self.world.inputs.recorded.versions.get(self.recorded_address(&one.address));
        let leftovers: Vec<Json> = versions.into_iter().flatten().map(|v| v.identity.clone()).collect();
        Change {
            address: one.address.clone(),
            moved_from: self.moved.get(&one.address).cloned(),
            importing: None,
            kind,
            reason,
            before: prior.map(|p| p.attributes.clone()),
            after: Some(after),
            differs: Vec::new(),
            replaces: Vec::new(),
            drift: None,
            detail: Detail::Resource(ResourceDetail {
                provider: self.configuration(one, schema),
                prior: prior.cloned(),
                inputs: Value::object(Map::new()),
                leftovers,
                create_before_destroy: self.creates_first(one),
                imported: None,
                postconditions: Vec::new(),
                preview: None,
            }),
            span: Some(one.block.span),
        }
    }

    fn compare(
        &self,
        one: &BlockInstance<'_>,
        schema: &ResourceSchema,
        desired: &Value,
        known: Known,
        record: Option<&Record>,
    ) -> Change {
        let seal = self.world.inputs.seal;
        let prior = known.prior.as_ref();
        let proposed = propose(schema, desired, prior.map(|p| &p.attributes), &one.block.lifecycle);
        let mut differs = Vec::new();
        if let Some(prior) = prior {
            let aligned = align(&prior.attributes, &proposed);
            differences(&aligned, &normalised(schema, &proposed), &Path::default(), seal, &mut differs);
            differs.retain(|path| path.root().is_some_and(|n| is_settable(schema, n)) && !is_ignored(schema, path));
            // What became a secret must not stay in the ledger in clear. Elsewhere that waits for the next change: acting on the
            // world for the record's sake would be worse.
            if schema.lowering == Lowering::InProcess && differs.is_empty() {
                let settable = schema.attributes.iter().filter(|(_, a)| a.settable() && !a.sensitive && !a.replaces);
                let pairs = settable.filter_map(|(n, _)| Some((n, prior.attributes.get(n)?, proposed.get(n)?)));
                let changed = pairs.filter(|(_, before, after)| marks_differ(before, after));
                differs.extend(changed.map(|(name, ..)| Path::attribute(name.clone())));
            }
        }
        let mut replaces: Vec<Path> = differs.iter().filter(|p| forces_replacement(schema, p)).cloned().collect();
        replaces.sort();
        let must = prior
            .filter(|_| !differs.is_empty() && !self.only_recorded(schema))
            .and_then(|p| schema.must_replace.and_then(|f| f(&p.attributes, &proposed)));
        let (mut kind, reason) = self.judge(one, &known, &differs, &replaces, must, record, desired);
        if kind.is_replace() && self.creates_first(one) {
            kind = ChangeKind::ReplaceCreateFirst;
        }
        if kind.is_replace() && one.block.lifecycle.prevent_destroy {
            let detail = format!(
                "{} has lifecycle {{ prevent_destroy = true }}, but the plan would replace it. Change what forces that, or take \
                 the setting out.",
                one.address
            );
            self.world
                .report(Diagnostic::error("Instance cannot be destroyed", detail).at(one.block.span).on(&one.address));
        }
        let base = if kind.is_replace() { None } else { prior };
        let after = match prior {
            Some(prior) if kind == ChangeKind::NoOp && !differs.is_empty() => prior.attributes.clone(),
            _ => self.planned(one, schema, &proposed, base, kind != ChangeKind::NoOp),
        };
        let mut change = self.change(one, schema, kind, reason, prior, after.clone());
        change.drift = known.drift;
        if let Detail::Resource(detail) = &mut change.detail {
            detail.inputs = inputs(schema, desired);
            detail.postconditions = self.postconditions(one, &after);
            self.postconditions_now(one, &after, kind != ChangeKind::NoOp);
            if change.kind == ChangeKind::NoOp && !detail.leftovers.is_empty() {
                change.kind = ChangeKind::Update;
                change.reason = Reason::LeftOver;
            }
        }
        if !kind.is_replace()
            && let Some(prior) = prior
        {
            differs.extend(computed_differences(schema, &prior.attributes, &after, seal));
        }
        change.differs = differs;
        change.replaces = replaces;
        change
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one decision, named at its only call")]
    fn judge(
        &self,
        one: &BlockInstance<'_>,
        known: &Known,
        differs: &[Path],
        replaces: &[Path],
        must: Option<String>,
        record: Option<&Record>,
        desired: &Value,
    ) -> (ChangeKind, Reason) {
        let options = self.world.inputs.options;
        if known.prior.is_none() {
            return (ChangeKind::Create, if known.vanished { Reason::Vanished } else { Reason::New });
        }
        if options.replace.iter().any(|a| a.covers(&one.address)) {
            return (ChangeKind::ReplaceDeleteFirst, Reason::Requested);
        }
        if let Some(trigger) = self.triggered(one) {
            return (ChangeKind::ReplaceDeleteFirst, Reason::Triggered(trigger));
        }
        if !replaces.is_empty() {
            return (ChangeKind::ReplaceDeleteFirst, Reason::CannotUpdate(replaces.to_vec()));
        }
        if let Some(sentence) = must {
            return (ChangeKind::ReplaceDeleteFirst, Reason::MustReplace(sentence));
        }
        // What the command did last is what there is: its record keeps saying so, and whoever asks for something else next has it
        // run again.
        if !differs.is_empty() && options.going_back && self.only_recorded_by_type(&one.block.ty) {
            return (ChangeKind::NoOp, Reason::UpToDate);
        }
        if !differs.is_empty() {
            let unknown =
                differs.iter().all(|p| p.root().and_then(|n| desired.get(n)).is_some_and(|v| !v.is_wholly_known()));
            let schema = self.world.inputs.catalog.get(Role::Managed, &one.block.ty);
            let asked_before = record.zip(schema).is_some_and(|(r, schema)| {
                let before = schema.encode(desired, Keep::digests(self.world.inputs.seal));
                let recorded = |name: &str| r.inputs.get(name).map(without_seals);
                differs.iter().filter_map(Path::root).all(|n| recorded(n).as_ref() == before.get(n))
            });
            let reason = match (unknown, asked_before) {
                (true, _) => Reason::NotKnownYet,
                (false, true) => Reason::Drifted,
                (false, false) => Reason::ConfigurationChanged,
            };
            return (ChangeKind::Update, reason);
        }
        let schema = self.world.inputs.catalog.get(Role::Managed, &one.block.ty);
        let claims = schema.and_then(|schema| schema.claims).zip(known.prior.as_ref());
        match &known.readiness {
            Readiness::Ready
                if claims.is_some_and(|(claims, prior)| claims(&prior.identity) && !options.going_back) =>
            {
                (ChangeKind::Update, Reason::TakenOver)
            }
            Readiness::Ready => (ChangeKind::NoOp, Reason::UpToDate),
            Readiness::Pending(why) | Readiness::Failed(why) => (ChangeKind::Update, Reason::NotReady(why.clone())),
        }
    }

    /// Whether a change of this type is left alone on a way back, where acting again would undo nothing.
    fn only_recorded(&self, schema: &ResourceSchema) -> bool {
        self.world.inputs.options.going_back && schema.undo == crate::provider::Undo::Stays
    }

    fn only_recorded_by_type(&self, ty: &str) -> bool {
        self.world.inputs.catalog.get(Role::Managed, ty).is_some_and(|schema| self.only_recorded(schema))
    }

    /// The object as it will be: what is asked for, and computed attributes as far as they can be told.
    fn planned(
        &self,
        one: &BlockInstance<'_>,
        schema: &ResourceSchema,
        proposed: &Value,
        prior: Option<&Prior>,
        changed: bool,
    ) -> Value {
        let mut out = proposed.as_map().cloned().unwrap_or_default();
        let before = prior.map(|p| &p.attributes);
        for (name, attribute) in &schema.attributes {
            let given = out.get(name).is_some_and(|v| !v.is_null());
            let open = match attribute.mode {
                Mode::Computed => true,
                Mode::OptionalComputed => !given,
                Mode::Required | Mode::Optional => false,
            };
            if !open {
                continue;
            }
            let old = before.and_then(|b| b.get(name)).filter(|_| attribute.stable || !changed);
            let value = old.cloned().unwrap_or_else(|| result::attribute(&one.address, name, attribute.ty.clone()));
            let value = if attribute.sensitive { value.sensitive() } else { value };
            out.insert(name.clone(), value);
        }
        if let Some(compute) = schema.compute {
            let object = Value::object(out.clone());
            for (name, value) in compute(&ProposedChange { proposed: &object, prior: before, changed }) {
                out.insert(Arc::from(name), value);
            }
        }
        Value::object(out)
    }

    /// A postcondition that is known not to hold is told before anything is done.
    fn postconditions_now(&self, one: &BlockInstance<'_>, after: &Value, changes: bool) {
        let scope = ModuleScope { own: Some(after), ..ModuleScope::new(&self.world, one.instance, &one.repeated) };
        for condition in &one.block.lifecycle.postconditions {
            let summary = "Resource postcondition failed";
            // Of what changes it is judged when the step has its result.
            let failed = match changes {
                true => broken(&scope, condition, "postcondition", summary),
                false => broken_now(&scope, condition, "postcondition", summary, Before::End),
            };
            if let Some(failed) = failed {
                self.world.report(failed.on(&one.address));
            }
        }
    }

    /// `ignore_changes` names attributes that the type has.
    fn ignored_exist(&self, one: &BlockInstance<'_>, schema: &ResourceSchema) {
        for path in &one.block.lifecycle.ignore_changes {
            let Some(Step::Attribute(name)) = path.path.first() else { continue };
            let known = || schema.attributes.keys().chain(schema.blocks.keys()).map(|name| &**name);
            if known().all(|k| k != &**name) {
                let detail = format!(
                    "\"ignore_changes\" names \"{name}\", but a resource of type \"{}\" has no such attribute.",
                    schema.ty
                );
                let diagnostic =
                    Diagnostic::error("Unsupported attribute", detail).hint_opt(did_you_mean(name, known()));
                self.world.report(diagnostic.at(path.span).on(&one.address));
            }
        }
    }

    fn postconditions(&self, one: &BlockInstance<'_>, after: &Value) -> Vec<(Value, Value, crate::diag::Span)> {
        if one.block.lifecycle.postconditions.is_empty() {
            return Vec::new();
        }
        let whole = result::whole(&one.address, after.ty());
        let scope = ModuleScope { own: Some(&whole), ..ModuleScope::new(&self.world, one.instance, &one.repeated) };
        let site = &one.address;
        let all = one.block.lifecycle.postconditions.iter();
        all.map(|c| (scope.evaluate(&c.condition, site), scope.evaluate(&c.message, site), c.condition.span)).collect()
    }
}

/// The computed attributes that an update changes.
fn computed_differences(
    schema: &ResourceSchema,
    before: &Value,
    after: &Value,
    seal: crate::value::Seal<'_>,
) -> Vec<Path> {
    let computed = schema.attributes.iter().filter(|(_, a)| !a.settable()).map(|(name, _)| &**name);
    let differs = |name: &&str| {
        let pair = before.get(name).zip(after.get(name));
        pair.is_some_and(|(a, b)| !super::compare::same(a, b, seal))
    };
    computed.filter(differs).map(Path::attribute).collect()
}

fn is_settable(schema: &ResourceSchema, name: &str) -> bool {
    schema.attributes.get(name).is_some_and(crate::provider::AttributeSchema::settable)
        || schema.blocks.contains_key(name)
}

/// The configured attributes and blocks only.
fn inputs(schema: &ResourceSchema, desired: &Value) -> Value {
    let all = desired.as_map().into_iter().flatten().filter(|(name, _)| is_settable(schema, name));
    Value::object(all.map(|(n, v)| (n.clone(), v.clone())).collect())
}

/// What the configuration asks for, with what it leaves open or is told to ignore taken from what there is.
fn propose(
    schema: &ResourceSchema,
    desired: &Value,
    prior: Option<&Value>,
    lifecycle: &crate::config::desired::Lifecycle,
) -> Value {
    let Some(prior) = prior.filter(|_| desired.as_map().is_some()) else { return desired.clone() };
    let mut out = desired.as_map().cloned().unwrap_or_default();
    for (name, attribute) in &schema.attributes {
        let open = attribute.mode == Mode::OptionalComputed && out.get(name).is_some_and(Value::is_null);
        if (open || (lifecycle.ignore_all_changes && attribute.settable()))
            && let Some(old) = prior.get(name)
        {
            out.insert(name.clone(), old.clone());
        }
    }
    if lifecycle.ignore_all_changes {
        for name in schema.blocks.keys() {
            if let Some(old) = prior.get(name) {
                out.insert(name.clone(), old.clone());
            }
        }
    }
    let mut value = Value::object(out);
    for path in &lifecycle.ignore_changes {
        value = graft(&value, prior, &path.path);
    }
    value
}

/// `value` with the part at `path` as `from` has it.
fn graft(value: &Value, from: &Value, path: &[Step]) -> Value {
    let [first, rest @ ..] = path else { return from.clone() };
    let name: Arc<str> = match first {
        Step::Attribute(name) | Step::Index(crate::addr::Key::Name(name)) => name.clone(),
        Step::Index(crate::addr::Key::Index(n)) => return graft_item(value, from, *n, rest),
    };
    let Some(map) = value.as_map() else { return value.clone() };
    let mut out = map.clone();
    match (map.get(&name), from.get(&name)) {
        (Some(inner), Some(old)) => out.insert(name, graft(inner, old, rest)),
        (None, Some(old)) => out.insert(name, old.clone()),
        (Some(_), None) if rest.is_empty() => out.remove(&name),
        _ => None,
    };
    let kind = match &value.kind {
        crate::value::Kind::Map(t, _) => crate::value::Kind::Map(t.clone(), Arc::new(out)),
        _ => crate::value::Kind::Object(Arc::new(out)),
    };
    Value { kind, marks: value.marks }
}

/// The same for an element of a list or tuple, where both have it.
fn graft_item(value: &Value, from: &Value, index: u64, rest: &[Step]) -> Value {
    use crate::value::Kind;
    let (Some(items), Some(old), Ok(n)) = (value.as_items(), from.as_items(), usize::try_from(index)) else {
        return value.clone();
    };
    let (Some(inner), Some(old)) = (items.get(n), old.get(n)) else { return value.clone() };
    let mut out = items.to_vec();
    out[n] = graft(inner, old, rest);
    let kind = match &value.kind {
        Kind::List(ty, _) => Kind::List(ty.clone(), out.into()),
        Kind::Tuple(_) => Kind::Tuple(out.into()),
        _ => return value.clone(),
    };
    Value { kind, marks: value.marks }
}

/// The object with each attribute in its normal form.
fn normalised(schema: &ResourceSchema, proposed: &Value) -> Value {
    if schema.attributes.values().all(|a| a.normalise.is_none()) {
        return proposed.clone();
    }
    let mut out = proposed.as_map().cloned().unwrap_or_default();
    for (name, attribute) in &schema.attributes {
        if let (Some(normalise), Some(value)) = (attribute.normalise, out.get(name)) {
            let value = normalise(value);
            out.insert(name.clone(), value);
        }
    }
    Value::object(out)
}

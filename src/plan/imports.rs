//! What `import` blocks ask for: objects that stand in a target already and that the ledger takes on.
//!
//! A block of the root module is evaluated when the walk comes to the block of its `to`, so that its `id` may be anything that
//! is known by then. An address that has a record already is left as it is: a block that has done its work does nothing.

use std::sync::Arc;

use super::body::pairs;
use super::fact::{Fact, Imported, Question};
use super::input::Inputs;
use super::outline::{BlockId, Outline};
use super::resource::Known;
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use super::world::Repeated;
use crate::addr::{Address, Key, ModulePath, NodeKind};
use crate::config::desired::{Import, TargetAddress};
use crate::diag::{Diagnostic, Span};
use crate::eval::Term;
use crate::provider::{ImportRequest, Prior, Readiness, ResourceSchema, Role};
use crate::value::{Kind, Type, Value, convert};

/// An object that is to be imported.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// What its target calls it.
    pub(super) id: String,
    /// Where that is said, if it is said in the configuration.
    pub(super) span: Option<Span>,
}

/// What became of a wish.
pub(super) enum Taken {
    /// Nothing is imported.
    Not,
    /// This object is, under this id.
    Yes(Box<Known>, String),
    /// The answer is awaited.
    Awaited,
}

impl Outline {
    /// The block that an import's address means.
    pub(super) fn import_target(&self, to: &TargetAddress) -> Option<BlockId> {
        let mut module = 0;
        for (name, _) in &to.modules {
            module = *self.modules[module].children.get(name)?;
        }
        self.modules[module].block(NodeKind::Resource, &to.ty, &to.name).map(|position| (module, position))
    }
}

impl Planner<'_> {
    /// What the command asks for is imported like what a block asks for, but what is recorded already is refused.
    pub(super) fn asked_for(&mut self) {
        let Inputs { options, recorded, .. } = self.world.inputs;
        for (address, id) in options.imports.iter().filter(|_| !options.older) {
            if recorded.records.contains_key(self.recorded_address(address)) {
                let detail = format!("{address} is in the ledger already, so nothing can be imported there.");
                let diagnostic = Diagnostic::error("Resource already managed by Gantry", detail).on(address);
                self.world.report(diagnostic.hint("To have it forgotten first: gantry state rm"));
                continue;
            }
            let wish = Wish { id: id.clone(), span: None };
            if self.wishes.insert(address.clone(), wish).is_some() {
                let detail = format!("{address} is asked for twice. One object goes to one address.");
                self.world.report(Diagnostic::error("Duplicate import", detail).on(address));
            }
        }
    }

    /// Evaluates the `import` blocks whose address is in this block, once.
    pub(super) fn wishes(&mut self, id: BlockId) {
        let outline = self.world.outline;
        let root = outline.modules[0].module.clone();
        for import in root.imports.iter().filter(|i| outline.import_target(&i.to) == Some(id)) {
            for repeated in self.repeated(import) {
                self.wish(import, &repeated);
            }
        }
    }

    /// `each` for every instance of the block.
    fn repeated(&self, import: &Import) -> Vec<Repeated> {
        let Some(term) = &import.for_each else { return vec![Repeated::default()] };
        let here = Repeated::default();
        let value = ModuleScope::new(&self.world, 0, &here).evaluate(term, &"import");
        let detail = match &value.kind {
            _ if value.marks.is_sensitive() => {
                "\"for_each\" is derived from a sensitive value, and the keys of instances are shown everywhere."
            }
            Kind::Set(..) | Kind::Map(..) | Kind::Object(_) | Kind::List(..) | Kind::Tuple(_) => {
                let one = |(key, value): (Value, Value)| Repeated { each: Some((key, value)), count: None };
                return pairs(&value).unwrap_or_default().into_iter().map(one).collect();
            }
            Kind::Unknown(_) if self.world.inputs.options.hollow || !self.world.needs.borrow().is_empty() => {
                return Vec::new();
            }
            Kind::Unknown(_) => {
                "\"for_each\" depends on values that are known after apply only, so it cannot be told now what is imported."
            }
            _ => "\"for_each\" must be a map, a set or a list.",
        };
        self.world.report(Diagnostic::error("Invalid for_each argument", detail).at(term.span));
        Vec::new()
    }

    fn wish(&mut self, import: &Import, repeated: &Repeated) {
        let (Some(address), Some(id)) = (self.import_address(&import.to, repeated), self.import_id(import, repeated))
        else {
            return;
        };
        let wish = Wish { id, span: Some(import.to.span) };
        let Some(earlier) = self.wishes.insert(address.clone(), wish) else { return };
        let place = earlier.span.and_then(|span| self.world.inputs.desired.sources.place(span));
        let by = place.map_or_else(|| "command".to_owned(), |p| format!("block at {}:{}", p.name, p.line));
        let detail = format!("{address} is imported by the {by} already. An object is imported once only.");
        self.world.report(Diagnostic::error("Duplicate import configuration", detail).at(import.to.span).on(&address));
    }

    fn import_address(&self, to: &TargetAddress, repeated: &Repeated) -> Option<Address> {
        let key = |term: &Option<Arc<Term>>| match term {
            None => Some(None),
            Some(term) => self.import_key(term, repeated).map(Some),
        };
        let mut module = ModulePath::root();
        for (name, term) in &to.modules {
            module = module.child(name.clone(), key(term)?);
        }
        let address = Address::new(module, NodeKind::Resource, to.ty.clone(), to.name.clone());
        Some(address.with_key(key(&to.key)?))
    }

    fn import_key(&self, term: &Arc<Term>, repeated: &Repeated) -> Option<Key> {
        let value = ModuleScope::new(&self.world, 0, repeated).evaluate(term, &"import");
        let key = match (&value.kind, value.marks.is_sensitive()) {
            (Kind::String(name), false) => Some(Key::Name(name.clone())),
            (Kind::Number(n), false) => n.to_u64().map(Key::Index),
            (Kind::Unknown(_), false) if self.world.inputs.options.hollow || !self.world.needs.borrow().is_empty() => {
                return None;
            }
            _ => None,
        };
        if key.is_none() {
            let detail = "The instance key of an import's address must be a text or a whole number that is known now and not \
                          sensitive.";
            self.world.report(Diagnostic::error("Invalid import address", detail).at(term.span));
        }
        key
    }

    fn import_id(&self, import: &Import, repeated: &Repeated) -> Option<String> {
        let value = ModuleScope::new(&self.world, 0, repeated).evaluate(&import.id, &"import");
        let detail = if value.marks_deep().is_sensitive() {
            "The import id is sensitive, but it is shown in the plan and kept in the ledger. nonsensitive() takes the mark off \
             where nothing in it is secret."
        } else if value.is_unknown() {
            if self.world.inputs.options.hollow
                || !self.world.needs.borrow().is_empty()
                || self.world.diagnostics.borrow().has_errors()
            {
                return None;
            }
            "The import id depends on values that are known after apply only, so it cannot be told now what is imported."
        } else if value.is_null() {
            "The import id is null."
        } else {
            match convert(&value, &Type::String).ok().and_then(|v| v.as_str().map(str::to_owned)) {
                Some(id) if !id.is_empty() => return Some(id),
                Some(_) => "The import id is an empty text. Give the name under which the target knows the object.",
                None => "The import id must be a text.",
            }
        };
        self.world.report(Diagnostic::error("Invalid import id argument", detail).at(import.id.span));
        None
    }

    /// The object that a node without a record is to take on.
    pub(super) fn taken(&self, one: &BlockInstance<'_>, schema: &ResourceSchema, wanted: &Value) -> Taken {
        let Some(wish) = self.wishes.get(&one.address) else { return Taken::Not };
        let provider = self.configuration_of(one.instance, Role::Managed, schema.ty, one.block.provider.as_ref());
        let request = ImportRequest {
            provider,
            address: one.address.clone(),
            ty: schema.ty.to_owned(),
            id: wish.id.clone(),
            wanted: wanted.clone(),
        };
        let Some(Fact::Imported(answer)) = self.world.ask(Question::Import(Box::new(request))) else {
            return Taken::Awaited;
        };
        let say = |diagnostic: Diagnostic| {
            self.world.report(diagnostic.at_opt(wish.span).on(&one.address));
            Taken::Not
        };
        let report = |summary: &str, detail: String| say(Diagnostic::error(summary, detail));
        match answer {
            Imported::NotAsked => Taken::Not,
            // What an earlier generation imported may be gone by now: going back makes it again.
            Imported::Absent if self.world.inputs.options.going_back => Taken::Not,
            Imported::Absent => report(
                "Cannot import non-existent remote object",
                format!(
                    "There is no object \"{}\" that {} could take on. Only what is there can be imported: check the id, or take \
                     the import block out to have the object created.",
                    wish.id, one.address
                ),
            ),
            Imported::Failed(why) => report("Cannot import", why.clone()),
            Imported::Present { attributes, identity } => {
                let attributes = convert(attributes, &schema.object_type()).unwrap_or_else(|_| attributes.clone());
                let prior = Prior { attributes, identity: identity.clone() };
                if let Some(other) = self.claimed_by(one, &prior) {
                    let detail = format!(
                        "The object \"{}\" is in the ledger as {other} already. Two addresses for one object would undo what each \
                         other does.",
                        wish.id
                    );
                    let diagnostic = Diagnostic::error("Resource already managed by Gantry", detail);
                    return say(diagnostic.hint(format!(
                        "To give it another address, write a moved block with from = {other} and to = {}.",
                        one.address
                    )));
                }
                let known = Known {
                    prior: Some(prior),
                    readiness: Readiness::Ready,
                    vanished: false,
                    drift: None,
                    readable: true,
                };
                Taken::Yes(Box::new(known), wish.id.clone())
            }
        }
    }

    /// The address under which the ledger has an object already.
    fn claimed_by(&self, one: &BlockInstance<'_>, prior: &Prior) -> Option<&Address> {
        let id = prior.attributes.get_str("id");
        let records = self.world.inputs.recorded.records.iter();
        records
            .filter(|(_, record)| *record.ty == *one.block.ty)
            .find(|(_, record)| {
                let same_id = id.is_some() && record.attributes.get("id").and_then(serde_json::Value::as_str) == id;
                record.identity == prior.identity || same_id
            })
            .map(|(address, _)| address)
    }

    /// Import blocks for what the configuration does not have.
    pub(super) fn wishes_without_blocks(&self) {
        let options = self.world.inputs.options;
        if options.destroy || options.to_nothing {
            return;
        }
        let outline = self.world.outline;
        let missing = |name: &str, span: Option<Span>| {
            let detail = format!(
                "There is no block for {name}. What is imported is managed from then on, and its configuration says how it is to be."
            );
            let hint =
                format!("Write the block, as in resource \"TYPE\" \"NAME\" {{ … }}, so that it declares {name}.");
            self.world.report(
                Diagnostic::error("Configuration for import target does not exist", detail).at_opt(span).hint(hint),
            );
        };
        for import in &outline.modules[0].module.imports {
            if outline.import_target(&import.to).is_none() {
                missing(&import.to.block(), Some(import.to.span));
            }
        }
        for (address, wish) in &self.wishes {
            if !self.claimed.contains(address) {
                missing(&address.to_string(), wish.span);
            }
        }
    }
}

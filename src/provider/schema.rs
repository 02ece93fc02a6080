//! What a type of resource is: attributes, blocks, and the pure functions that the planner calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::value::{Attribute, Keep, Kind, Type, Value, encode_kept, encode_typed_kept};

/// Who sets an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The configuration, always.
    Required,
    /// The configuration, or nobody: then it is its default or null.
    Optional,
    /// The configuration, or else the target.
    OptionalComputed,
    /// The target.
    Computed,
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct AttributeSchema {
    /// Its type; what the configuration gives is converted to it.
    pub ty: Type,
    /// Who sets it.
    pub mode: Mode,
    /// What it is when the configuration leaves it out.
    pub default: Option<Value>,
    /// Whether a change makes a new object.
    pub replaces: bool,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// For a computed one: whether an update in place leaves it as it is. Otherwise an update makes it known after apply.
    pub stable: bool,
    /// Whether the staged version answers it differently (its own URL), so that a check in its prove phase must use that.
    pub staged: bool,
    /// Whether the value is kept out of comparisons: it tells how to act, not what there is (a timeout).
    pub ignored: bool,
    /// How a value is normalised before it is compared.
    pub normalise: Option<fn(&Value) -> Value>,
    /// One line for the reference.
    pub doc: &'static str,
}

impl AttributeSchema {
    fn of(ty: Type, mode: Mode, doc: &'static str) -> Self {
        Self {
            ty,
            mode,
            default: None,
            replaces: false,
            sensitive: false,
            stable: true,
            staged: false,
            ignored: false,
            normalise: None,
            doc,
        }
    }

    /// One that must be given.
    #[must_use]
    pub fn required(ty: Type, doc: &'static str) -> Self {
        Self::of(ty, Mode::Required, doc)
    }

    /// One that may be given.
    #[must_use]
    pub fn optional(ty: Type, doc: &'static str) -> Self {
        Self::of(ty, Mode::Optional, doc)
    }

    /// One that the target answers.
    #[must_use]
    pub fn computed(ty: Type, doc: &'static str) -> Self {
        Self::of(ty, Mode::Computed, doc)
    }

    /// With a default.
    #[must_use]
    pub fn default(mut self, value: Value) -> Self {
        self.default = Some(value);
        self
    }

    /// A change of it makes a new object.
    #[must_use]
    pub fn replaces(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// It is never shown.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// An update may change it.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.stable = false;
        self
    }

    /// The staged version has its own.
    #[must_use]
    pub fn staged(mut self) -> Self {
        self.staged = true;
        self
    }

    /// It takes no part in comparisons.
    #[must_use]
    pub fn ignored(mut self) -> Self {
        self.ignored = true;
        self
    }

    /// Whether the configuration may set it.
    #[must_use]
    pub fn settable(&self) -> bool {
        self.mode != Mode::Computed
    }
}

/// How often a nested block may stand, and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// At most once: an object, or null.
    Single,
    /// Any number of times: a list of objects.
    List,
    /// With one label each: a map of objects.
    Map,
}

/// Attributes or blocks by their names. The names are shared with every object that has them.
#[must_use]
pub fn named<T, const N: usize>(all: [(&str, T); N]) -> BTreeMap<Arc<str>, T> {
    all.into_iter().map(|(name, one)| (Arc::from(name), one)).collect()
}

/// A nested block.
#[derive(Debug, Clone)]
pub struct BlockSchema {
    /// How often it may stand.
    pub nesting: Nesting,
    /// Whether at least one must stand.
    pub required: bool,
    /// Whether a change in it makes a new object.
    pub replaces: bool,
    /// Whether it is kept out of comparisons.
    pub ignored: bool,
    /// Its attributes.
    pub attributes: BTreeMap<Arc<str>, AttributeSchema>,
    /// The blocks in it.
    pub blocks: BTreeMap<Arc<str>, BlockSchema>,
    /// One line for the reference.
    pub doc: &'static str,
}

impl BlockSchema {
    /// The type of one such block's object.
    #[must_use]
    pub fn object_type(&self) -> Type {
        object_type(&self.attributes, &self.blocks)
    }

    /// The type of the attribute that the blocks become.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self.nesting {
            Nesting::Single => self.object_type(),
            Nesting::List => Type::list(self.object_type()),
            Nesting::Map => Type::map(self.object_type()),
        }
    }
}

/// Whether a type makes objects or reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `resource`
    Managed,
    /// `data`
    Data,
}

/// What steps a change becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lowering {
    /// create, update, delete; without leaving the process, so that `--parallelism` does not bound it.
    InProcess,
    /// create, update, delete.
    Direct,
    /// create and delete; an update is stage, switch, retire.
    Workload,
}

/// What the planner hands to [`ResourceSchema::compute`].
#[derive(Debug, Clone, Copy)]
pub struct ProposedChange<'a> {
    /// The object that the configuration asks for: settable attributes set (perhaps known after apply), computed ones null.
    pub proposed: &'a Value,
    /// The object as it was last known; `None` for a create.
    pub prior: Option<&'a Value>,
    /// Whether anything settable changes.
    pub changed: bool,
}

/// Computed attributes that can be told when planning, by name.
pub type Compute = fn(&ProposedChange<'_>) -> Vec<(&'static str, Value)>;

/// What is wrong with the known parts of a configuration: sentences by attribute.
pub type Validate = fn(&Value) -> Vec<(&'static str, String)>;

/// A type of resource or data source.
#[derive(Debug, Clone)]
pub struct ResourceSchema {
    /// Its name in the configuration.
    pub ty: &'static str,
    /// Whether it makes or reads.
    pub role: Role,
    /// The version of its records; a newer one reads older ones.
    pub version: u32,
    /// Its attributes.
    pub attributes: BTreeMap<Arc<str>, AttributeSchema>,
    /// Its blocks.
    pub blocks: BTreeMap<Arc<str>, BlockSchema>,
    /// What its changes become.
    pub lowering: Lowering,
    /// How long a "there is nothing" must not be believed after an act whose outcome is unknown.
    pub settle: Duration,
    /// How long one act may take before its outcome counts as unknown; a type may derive it from the object.
    pub deadline: fn(&Value) -> Duration,
    /// Computed attributes that can be told when planning.
    pub compute: Option<Compute>,
    /// Checks beyond types: sentences about what is wrong with the known parts of a configuration, by attribute.
    pub validate: Option<Validate>,
    /// Whether a change of the object can only be made by a new object, beyond the attributes' own `replaces`; the sentence
    /// says why (a `local_command` without `update`).
    pub must_replace: Option<fn(prior: &Value, proposed: &Value) -> Option<String>>,
    /// Whether a way back carries out the change, or only sets the record back because acting again would undo nothing (a
    /// command that was run).
    pub undo: Undo,
    /// Whether the target is asked, while planning, what it would make of a change.
    pub previews: bool,
    /// Whether a step of its own waits, after a create or an update, until the object does what it is there for.
    pub waits: bool,
    /// Whether an object of this type stays where its record goes: the sentence says why, and how to remove it all the same.
    pub kept: Option<fn(&Value) -> Option<String>>,
    /// Whether an object of this identity was only imported so far, and has to be written once to be Gantry's: nothing of it differs,
    /// and yet there is something to do.
    pub claims: Option<fn(&Json) -> bool>,
    /// Marks what is secret in an object by what else it says (the content of a Kubernetes Secret), beyond the attributes' own marks.
    pub secrets: Option<fn(&Value) -> Value>,
    /// One line for the reference.
    pub doc: &'static str,
}

/// An order among the objects of one provider configuration that nobody has to write down, from what they are: pairs of positions,
/// of which the first has to be there before the second.
pub type Implied = fn(objects: &[(&str, &Value)]) -> Vec<(usize, usize)>;

/// What a way back does about a change of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// It acts: the object gets its old values back.
    Acts,
    /// It leaves the object and its record alone: the effects of what was done stay, and the record goes on saying what was done.
    Stays,
}

impl ResourceSchema {
    /// The type of the whole object.
    #[must_use]
    pub fn object_type(&self) -> Type {
        object_type(&self.attributes, &self.blocks)
    }

    /// An object as a target answered it, with the marks that the schema asks for.
    #[must_use]
    pub fn marked(&self, object: &Value) -> Value {
        self.with_secrets(&marked(object, &self.attributes, &self.blocks))
    }

    /// An object with what is secret in it by what else it says marked so.
    #[must_use]
    pub fn with_secrets(&self, object: &Value) -> Value {
        self.secrets.map_or_else(|| object.clone(), |mark| mark(object))
    }

    /// An object of this type as it is recorded: attributes of any type with the type that they have.
    #[must_use]
    pub fn encode(&self, object: &Value, keep: Keep<'_>) -> Json {
        let Some(all) = object.as_map().filter(|_| !object.marks.is_sensitive()) else {
            return encode_kept(object, keep);
        };
        let one = |(name, value): (&Arc<str>, &Value)| {
            let any = self.attributes.get(&**name).is_some_and(|a| a.ty == Type::Any);
            ((**name).to_owned(), if any { encode_typed_kept(value, keep) } else { encode_kept(value, keep) })
        };
        Json::Object(all.iter().map(one).collect())
    }
}

fn marked(
    value: &Value,
    attributes: &BTreeMap<Arc<str>, AttributeSchema>,
    blocks: &BTreeMap<Arc<str>, BlockSchema>,
) -> Value {
    let each = |items: &[Value]| items.iter().map(|item| marked(item, attributes, blocks)).collect::<Arc<[Value]>>();
    let kind = match &value.kind {
        Kind::Object(m) => {
            let one = |(name, part): (&Arc<str>, &Value)| {
                let secret = attributes.get(&**name).is_some_and(|a| a.sensitive) && !part.is_null();
                let part = match blocks.get(&**name) {
                    Some(block) => marked(part, &block.attributes, &block.blocks),
                    None => part.clone(),
                };
                (name.clone(), if secret { part.sensitive() } else { part })
            };
            Kind::Object(Arc::new(m.iter().map(one).collect()))
        }
        Kind::Map(ty, m) => {
            let all = m.iter().map(|(name, part)| (name.clone(), marked(part, attributes, blocks)));
            Kind::Map(ty.clone(), Arc::new(all.collect()))
        }
        Kind::List(ty, items) => Kind::List(ty.clone(), each(items)),
        Kind::Tuple(items) => Kind::Tuple(each(items)),
        // Which member of a set is which hangs on its parts, so the marks of members are the set's.
        Kind::Set(ty, items) => return Value::set(ty.clone(), each(items).iter().cloned()).mark(value.marks),
        other => other.clone(),
    };
    Value { kind, marks: value.marks }
}

/// The type of an object of attributes and blocks; everything may be null.
fn object_type(attributes: &BTreeMap<Arc<str>, AttributeSchema>, blocks: &BTreeMap<Arc<str>, BlockSchema>) -> Type {
    let mut all = BTreeMap::new();
    for (name, attribute) in attributes {
        all.insert(name.clone(), Attribute { ty: attribute.ty.clone(), optional: true, default: None });
    }
    for (name, block) in blocks {
        all.insert(name.clone(), Attribute { ty: block.ty(), optional: true, default: None });
    }
    Type::Object(Arc::new(all))
}

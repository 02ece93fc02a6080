//! What the configuration asks for: blocks with their terms, module by module, before anything is evaluated.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::addr::NodeKind;
use crate::diag::{SourceMap, Span};
use crate::eval::{Reference, Term};
use crate::value::Map;

/// A whole environment, loaded.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The environment's own directory as a module.
    pub root: Arc<Module>,
    /// The `environment` block, if there is one.
    pub environment: Option<BlockBody>,
    /// The files, for places in messages.
    pub sources: Arc<SourceMap>,
}

/// One module: a directory.
#[derive(Debug, Clone, Default)]
pub struct Module {
    /// Its directory relative to the environment's, `"."` for the root: the value of `path.module`.
    pub directory: String,
    /// `variable` blocks.
    pub variables: BTreeMap<Arc<str>, Variable>,
    /// The names of all `locals` blocks together.
    pub locals: BTreeMap<Arc<str>, Local>,
    /// `output` blocks.
    pub outputs: BTreeMap<Arc<str>, Output>,
    /// Resources, data sources, artifacts, migrations and checks, in the order of their files.
    pub nodes: Vec<Arc<NodeBlock>>,
    /// `module` blocks.
    pub calls: BTreeMap<Arc<str>, ModuleCall>,
    /// `provider` blocks.
    pub providers: Vec<ProviderBlock>,
    /// The provider behind each local name of `required_providers`.
    pub required_providers: BTreeMap<Arc<str>, Arc<str>>,
    /// The configurations that the module's caller has to hand to it, as in `aws.west`.
    pub configuration_aliases: std::collections::BTreeSet<Arc<str>>,
    /// `moved` blocks.
    pub moved: Vec<Moved>,
    /// `removed` blocks.
    pub removed: Vec<Removed>,
    /// `import` blocks.
    pub imports: Vec<Import>,
}

/// A `variable` block.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its type constraint; any where there is none.
    pub ty: crate::value::Type,
    /// Whether it has no type constraint, not even `any`: texts from the command line are then taken as they are.
    pub untyped: bool,
    /// What it is if nobody gives a value; a constant.
    pub default: Option<crate::value::Value>,
    /// For people.
    pub description: Option<String>,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// Whether it is never recorded.
    pub ephemeral: bool,
    /// Whether it may be null; otherwise null means the default.
    pub nullable: bool,
    /// What must hold.
    pub validations: Vec<Condition>,
    /// Where the block's header stands.
    pub span: Span,
}

/// A condition with a message: `validation`, `precondition`, `postcondition`, `assert`.
#[derive(Debug, Clone)]
pub struct Condition {
    /// What must hold.
    pub condition: Arc<Term>,
    /// What is said if it does not.
    pub message: Arc<Term>,
    /// Where the block's header stands.
    pub span: Span,
}

/// A name of a `locals` block.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its value.
    pub term: Arc<Term>,
    /// Where the name stands.
    pub span: Span,
}

/// An `output` block.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its value.
    pub term: Arc<Term>,
    /// For people.
    pub description: Option<String>,
    /// Whether it is never shown.
    pub sensitive: bool,
    /// Whether it is never recorded.
    pub ephemeral: bool,
    /// What must hold.
    pub preconditions: Vec<Condition>,
    /// What must be there before it has its value.
    pub depends_on: Vec<Reference>,
    /// Where the block's header stands.
    pub span: Span,
}

/// The contents of a block.
#[derive(Debug, Clone)]
pub struct Body {
    /// Attributes by name.
    pub attributes: Map<AttributeTerm>,
    /// Nested blocks in their order.
    pub blocks: Vec<BlockBody>,
    /// Where the block's header stands, for messages about what is missing.
    pub span: Span,
}

/// An attribute as written.
#[derive(Debug, Clone)]
pub struct AttributeTerm {
    /// Its value.
    pub term: Arc<Term>,
    /// Where the name stands.
    pub name_span: Span,
}

/// A nested block.
#[derive(Debug, Clone)]
pub struct BlockBody {
    /// Its type: `readiness`, `http`, `expect`.
    pub ty: Arc<str>,
    /// Its labels.
    pub labels: Vec<Arc<str>>,
    /// What is in it.
    pub body: Body,
    /// Set for a `dynamic` block: one block for each element.
    pub dynamic: Option<Dynamic>,
    /// Where its header stands.
    pub span: Span,
}

/// How a `dynamic` block is repeated. [`BlockBody::ty`] is the type of the blocks made, the body that of `content`.
#[derive(Debug, Clone)]
pub struct Dynamic {
    /// What is walked over.
    pub for_each: Arc<Term>,
    /// The name of the iterator in the content.
    pub iterator: Arc<str>,
    /// The labels of each block, where given.
    pub labels: Option<Arc<Term>>,
}

/// How a block is repeated.
#[derive(Debug, Clone)]
pub enum Repetition {
    /// Not.
    Single,
    /// `count`
    Count(Arc<Term>),
    /// `for_each`
    ForEach(Arc<Term>),
}

/// A resource, data source, artifact, migration or check.
#[derive(Debug, Clone)]
pub struct NodeBlock {
    /// What it is.
    pub kind: NodeKind,
    /// The resource type, for resources and data sources; empty otherwise.
    pub ty: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// How it is repeated.
    pub repetition: Repetition,
    /// What must be there first, besides what it refers to.
    pub depends_on: Vec<Reference>,
    /// `lifecycle`
    pub lifecycle: Lifecycle,
    /// `provider`, where given: its name and alias.
    pub provider: Option<Reference>,
    /// For a data source inside of a `check` block: that block's name. Only it may refer to the data source, and what goes
    /// wrong with it is a warning.
    pub check: Option<Arc<str>>,
    /// Everything else in it.
    pub body: Body,
    /// Where its header stands.
    pub span: Span,
}

/// A `lifecycle` block.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// Whether a replacement is made before the old one goes.
    pub create_before_destroy: bool,
    /// Whether a plan that would delete it is refused.
    pub prevent_destroy: bool,
    /// The attributes whose changes are left alone, each as names from the object inwards.
    pub ignore_changes: Vec<Ignored>,
    /// Whether all changes are left alone.
    pub ignore_all_changes: bool,
    /// What makes it be replaced when it changes.
    pub replace_triggered_by: Vec<Trigger>,
    /// What must hold before it is changed.
    pub preconditions: Vec<Condition>,
    /// What must hold after it was changed.
    pub postconditions: Vec<Condition>,
}

/// One entry of `ignore_changes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The way from the object inwards.
    pub path: Vec<Step>,
    /// Where it stands.
    pub span: Span,
}

/// One item of `replace_triggered_by`.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// The resource, without a key.
    pub resource: Reference,
    /// Which instance; may be `each.key` or `count.index`.
    pub key: Option<Arc<Term>>,
    /// The way to a part of it; empty for all of it.
    pub path: Vec<Step>,
}

pub use crate::eval::Step;

/// A `module` block.
#[derive(Debug, Clone)]
pub struct ModuleCall {
    /// Its name.
    pub name: Arc<str>,
    /// The module that it calls.
    pub module: Arc<Module>,
    /// The values of the module's variables.
    pub arguments: Map<AttributeTerm>,
    /// How it is repeated.
    pub repetition: Repetition,
    /// What must be there before anything in it.
    pub depends_on: Vec<Reference>,
    /// `providers`: the module's name for each and ours.
    pub providers: BTreeMap<Arc<str>, Reference>,
    /// Where its header stands.
    pub span: Span,
}

/// A `provider` block.
#[derive(Debug, Clone)]
pub struct ProviderBlock {
    /// Its name.
    pub name: Arc<str>,
    /// Its alias.
    pub alias: Option<Arc<str>>,
    /// Its arguments.
    pub body: Body,
    /// Where its header stands.
    pub span: Span,
}

/// A `moved` block.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The old address, within the module.
    pub from: Reference,
    /// The new one.
    pub to: Reference,
    /// Where its header stands.
    pub span: Span,
}

/// A `removed` block.
#[derive(Debug, Clone)]
pub struct Removed {
    /// The address, within the module.
    pub from: Reference,
    /// Whether the object goes too (`lifecycle { destroy }`), or is only forgotten.
    pub destroy: bool,
    /// Where its header stands.
    pub span: Span,
}

/// An address whose instance keys may be calculated: the `to` of an `import` block.
#[derive(Debug, Clone)]
pub struct TargetAddress {
    /// The modules on the way, each with its key.
    pub modules: Vec<(Arc<str>, Option<Arc<Term>>)>,
    /// The resource's type.
    pub ty: Arc<str>,
    /// The resource's name.
    pub name: Arc<str>,
    /// The resource's key.
    pub key: Option<Arc<Term>>,
    /// Where it stands.
    pub span: Span,
}

impl TargetAddress {
    /// All terms that keys are calculated from.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Term>> {
        self.modules.iter().filter_map(|(_, key)| key.as_ref()).chain(&self.key)
    }

    /// The address without any keys: how the block is named.
    #[must_use]
    pub fn block(&self) -> String {
        let modules: String = self.modules.iter().map(|(name, _)| format!("module.{name}.")).collect();
        format!("{modules}{}.{}", self.ty, self.name)
    }
}

/// An `import` block.
#[derive(Debug, Clone)]
pub struct Import {
    /// The address that it becomes.
    pub to: TargetAddress,
    /// What the target calls it.
    pub id: Arc<Term>,
    /// For each of these.
    pub for_each: Option<Arc<Term>>,
    /// `provider`, where given: its name and alias.
    pub provider: Option<Reference>,
    /// Where its header stands.
    pub span: Span,
}

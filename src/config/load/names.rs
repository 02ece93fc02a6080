//! Names: every reference of every term of a module leads somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::loader::Lost;
use crate::addr::NodeKind;
use crate::config::desired::{
    AttributeTerm, BlockBody, Body, Condition, Lifecycle, Module, ModuleCall, NodeBlock, Repetition, Step,
};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean, nearest};
use crate::eval::{Reference, Term, TermKind, check_call, references};

/// First names that are not resource types.
pub(super) const ROOTS: [&str; 14] = [
    "var",
    "local",
    "module",
    "data",
    "path",
    "each",
    "count",
    "self",
    "terraform",
    "artifact",
    "migration",
    "health_check",
    "smoke_test",
    "check",
];
/// How the summaries begin of what is wrong with a name that nothing has.
const UNDECLARED: &str = "Reference to undeclared";
const PATHS: [&str; 4] = ["module", "root", "cwd", "project"];

/// Checks every term of a module.
pub(super) fn check(module: &Module, environment: Option<&BlockBody>, lost: &Lost, errors: &mut Diagnostics) {
    let mut by_type: BTreeMap<(NodeKind, &str), Vec<&str>> = BTreeMap::new();
    for node in &module.nodes {
        by_type.entry((node.kind, &*node.ty)).or_default().push(&*node.name);
    }
    let nodes = by_type.into_iter().map(|(ty, names)| (ty, names.into_iter().collect())).collect();
    let mut names = Names { module, nodes, lost, errors };
    names.module();
    if let Some(environment) = environment {
        names.body(&environment.body, &Around { alone: true, ..Around::default() });
    }
}

/// What stands around a term.
#[derive(Debug, Clone, Default)]
struct Around<'a> {
    each: bool,
    count: bool,
    this: bool,
    /// The `check` block that it is in.
    check: Option<&'a str>,
    /// Whether it is in the `environment` block, which is evaluated before everything else.
    alone: bool,
    /// The iterators of `dynamic` blocks around.
    bound: Vec<&'a str>,
    /// The block that it is in, which cannot be had before it is there.
    own: Option<&'a NodeBlock>,
}

struct Names<'a> {
    module: &'a Module,
    nodes: BTreeMap<(NodeKind, &'a str), BTreeSet<&'a str>>,
    /// What could not be read: its names are not missing.
    lost: &'a Lost,
    errors: &'a mut Diagnostics,
}

impl<'a> Names<'a> {
    fn module(&mut self) {
        let module = self.module;
        let plain = Around::default();
        for variable in module.variables.values() {
            self.conditions(&variable.validations, &plain);
        }
        for (name, variable) in &module.variables {
            for validation in &variable.validations {
                self.looks_at(name, &validation.condition);
            }
        }
        for local in module.locals.values() {
            self.term(&local.term, &plain);
        }
        for output in module.outputs.values() {
            self.term(&output.term, &plain);
            self.conditions(&output.preconditions, &plain);
            self.depends_on(&output.depends_on, &plain);
        }
        for node in &module.nodes {
            self.node(node);
        }
        for call in module.calls.values() {
            self.call(call);
        }
        for provider in &module.providers {
            self.body(&provider.body, &plain);
        }
        for import in &module.imports {
            let around = Around { each: import.for_each.is_some(), ..Around::default() };
            self.term(&import.id, &around);
            for key in import.to.keys() {
                self.term(key, &around);
            }
            if let Some(term) = &import.for_each {
                self.term(term, &plain);
            }
        }
    }

    /// A validation that does not look at its variable says nothing about it.
    fn looks_at(&mut self, name: &str, condition: &Term) {
        let mut found = Vec::new();
        references(condition, &mut found);
        // A name that nothing has was told already, and may be the variable's, misspelt.
        let missing = |r: &&Reference| {
            &*r.root == "var" && r.attribute(0).is_some_and(|n| !self.module.variables.contains_key(&**n))
        };
        if found.iter().any(missing) {
            return;
        }
        if !found.iter().any(|r| &*r.root == "var" && r.attribute(0).is_some_and(|n| &**n == name)) {
            let detail = format!(
                "The condition for the variable \"{name}\" has to look at var.{name}: it says which values are taken."
            );
            self.errors.push(Diagnostic::error("Invalid variable validation condition", detail).at(condition.span));
        }
    }

    fn node(&mut self, node: &'a NodeBlock) {
        let mut around = self.repetition(&node.repetition);
        around.check = if node.kind == NodeKind::Check { Some(&node.name) } else { node.check.as_deref() };
        self.depends_on(&node.depends_on, &around);
        self.lifecycle(&node.lifecycle, &around);
        self.body(&node.body, &Around { own: Some(node), ..around });
    }

    /// What must be there first is a whole thing, not a part of it.
    fn depends_on(&mut self, references: &[Reference], around: &Around<'_>) {
        for reference in references {
            let whole = match &*reference.root {
                "data" => 2,
                "module" => match &reference.steps[..] {
                    [_, Step::Index(_), ..] => 3,
                    _ => 2,
                },
                _ => 1,
            };
            let keyed = usize::from(matches!(reference.steps.get(whole), Some(Step::Index(_))));
            if reference.steps.len() > whole + keyed {
                let detail =
                    format!("{reference} is a part of something. What must be there first is named as a whole.");
                self.errors.push(Diagnostic::error("Invalid depends_on reference", detail).at(reference.span));
            } else {
                self.reference(reference, around);
            }
        }
    }

    fn call(&mut self, call: &'a ModuleCall) {
        let around = self.repetition(&call.repetition);
        self.depends_on(&call.depends_on, &around);
        for AttributeTerm { term, .. } in call.arguments.values() {
            self.term(term, &around);
        }
    }

    fn repetition(&mut self, repetition: &'a Repetition) -> Around<'a> {
        let plain = Around::default();
        match repetition {
            Repetition::Single => plain,
            Repetition::Count(term) => {
                self.term(term, &plain);
                Around { count: true, ..plain }
            }
            Repetition::ForEach(term) => {
                self.term(term, &plain);
                Around { each: true, ..plain }
            }
        }
    }

    fn lifecycle(&mut self, lifecycle: &'a Lifecycle, around: &Around<'a>) {
        for trigger in &lifecycle.replace_triggered_by {
            self.reference(&trigger.resource, around);
            if let Some(key) = &trigger.key {
                self.term(key, around);
            }
        }
        self.conditions(&lifecycle.preconditions, around);
        self.conditions(&lifecycle.postconditions, &Around { this: true, ..around.clone() });
    }

    fn conditions(&mut self, conditions: &'a [Condition], around: &Around<'a>) {
        for condition in conditions {
            self.term(&condition.condition, around);
            self.term(&condition.message, around);
        }
    }

    fn body(&mut self, body: &'a Body, around: &Around<'a>) {
        for AttributeTerm { term, .. } in body.attributes.values() {
            self.term(term, around);
        }
        for block in &body.blocks {
            match &block.dynamic {
                None => self.body(&block.body, around),
                Some(dynamic) => {
                    self.term(&dynamic.for_each, around);
                    let mut inner = around.clone();
                    inner.bound.push(&dynamic.iterator);
                    if let Some(labels) = &dynamic.labels {
                        self.term(labels, &inner);
                    }
                    self.body(&block.body, &inner);
                }
            }
        }
    }

    fn term(&mut self, term: &Term, around: &Around<'_>) {
        let mut found = Vec::new();
        references(term, &mut found);
        for reference in found {
            self.reference(reference, around);
        }
        self.calls(term);
    }

    /// Every function that is called is there, and takes as many arguments. What `try` and `can` attempt may fail.
    fn calls(&mut self, term: &Term) {
        if let TermKind::Call { name, .. } = &term.kind {
            if matches!(&**name, "try" | "can" | "core::try" | "core::can") {
                return;
            }
            let wrong = super::provided::check(self.module, term);
            self.errors.extend(wrong.or_else(|| check_call(term).err().map(|wrong| *wrong)));
        }
        term.children(true, &mut |inner| self.calls(inner));
    }

    fn reference(&mut self, reference: &Reference, around: &Around<'_>) {
        if around.bound.contains(&&*reference.root) {
            return;
        }
        if let Err(diagnostic) = self.resolve(reference, around)
            && !(diagnostic.summary.starts_with(UNDECLARED) && self.may_be_lost(reference))
        {
            self.errors.push(diagnostic.at(reference.span));
        }
    }

    /// Whether a name may stand in what could not be read.
    fn may_be_lost(&self, reference: &Reference) -> bool {
        let names = (0..2).filter_map(|n| reference.attribute(n));
        self.lost.everything || names.into_iter().any(|name| self.lost.names.contains(name))
    }

    fn resolve(&self, reference: &Reference, around: &Around<'_>) -> Result<(), Diagnostic> {
        let root = &*reference.root;
        if around.alone && !matches!(root, "var" | "path" | "terraform") {
            let detail = format!(
                "The environment block is evaluated before everything else, so it cannot use \"{reference}\": only \
                 variables, path.* and functions."
            );
            return Err(Diagnostic::error("Invalid reference", detail));
        }
        if let Some(own) = around.own.filter(|own| is_own(reference, own)) {
            let detail = format!(
                "{} \"{}\" refers to itself, and it is not there before its own arguments are known.",
                own.kind.keyword().unwrap_or(&own.ty),
                own.name
            );
            return Err(Diagnostic::error("Self-referential block", detail));
        }
        let module = self.module;
        match root {
            "var" => {
                let names = module.variables.keys();
                declared(reference, "input variable", names, |n| module.variables.contains_key(n), "a variable block")
            }
            "local" => declared(
                reference,
                "local value",
                module.locals.keys(),
                |n| module.locals.contains_key(n),
                "a locals block",
            ),
            "module" => self.output(reference),
            "path" => one_of(reference, &PATHS),
            "terraform" => one_of(reference, &["workspace"]),
            "each" if !around.each => Err(Diagnostic::error(
                "Reference to \"each\" in context without for_each",
                "The \"each\" object can be used only in blocks that have the \"for_each\" argument.",
            )),
            "each" => one_of(reference, &["key", "value"]),
            "count" if !around.count => Err(Diagnostic::error(
                "Reference to \"count\" in non-counted context",
                "The \"count\" object can be used only in blocks that have the \"count\" argument.",
            )),
            "count" => one_of(reference, &["index"]),
            "self" if !around.this => Err(Diagnostic::error(
                "Invalid \"self\" reference",
                "The \"self\" object can be used only in postcondition blocks.",
            )),
            "self" => Ok(()),
            "data" => self.data(reference, around),
            word => match NodeKind::of_keyword(word) {
                Some(kind) => {
                    let known = self.nodes.get(&(kind, ""));
                    let has = |name: &str| known.is_some_and(|names| names.contains(name));
                    let names = known.into_iter().flatten();
                    declared(reference, &word.replace('_', " "), names, has, &format!("a block {word} \"NAME\""))
                }
                None => self.resource(reference, around),
            },
        }
    }

    fn output(&self, reference: &Reference) -> Result<(), Diagnostic> {
        let calls = &self.module.calls;
        declared(reference, "module call", calls.keys(), |n| calls.contains_key(n), "a module block")?;
        let Some(call) = reference.attribute(0).and_then(|name| self.module.calls.get(name)) else { return Ok(()) };
        let position = if matches!(reference.steps.get(1), Some(Step::Index(_))) { 2 } else { 1 };
        let Some(name) = reference.attribute(position) else { return Ok(()) };
        if call.module.outputs.contains_key(name) || (position == 1 && !matches!(call.repetition, Repetition::Single)) {
            return Ok(());
        }
        let detail = format!("The module \"{}\" has no output named \"{name}\".", call.name);
        let hint = did_you_mean(name, call.module.outputs.keys().map(|n| &**n));
        Err(Diagnostic::error("Unsupported attribute", detail).hint_opt(hint))
    }

    fn data(&self, reference: &Reference, around: &Around<'_>) -> Result<(), Diagnostic> {
        let (Some(ty), Some(name)) = (reference.attribute(0), reference.attribute(1)) else {
            let detail = "A reference to a data source has its type and its name: data.TYPE.NAME.";
            return Err(Diagnostic::error("Invalid reference", detail));
        };
        let mut nodes = self.module.nodes.iter();
        let meant = nodes.find(|n| n.kind == NodeKind::Data && n.ty == *ty && n.name == *name);
        if let Some(check) = meant.and_then(|n| n.check.as_deref()).filter(|check| around.check != Some(*check)) {
            let detail = format!(
                "The data source \"{ty}\" \"{name}\" stands in the check block \"{check}\", and only that block can refer to it."
            );
            let diagnostic = Diagnostic::error("Reference to scoped resource", detail);
            return Err(diagnostic.hint("Move the data source out of the check block."));
        }
        self.node_of(NodeKind::Data, "data.", ty, name).map_err(|hint| {
            let detail = format!("A data source \"{ty}\" \"{name}\" has not been declared in this module.");
            Diagnostic::error("Reference to undeclared resource", detail).hint_opt(hint)
        })
    }

    fn resource(&self, reference: &Reference, around: &Around<'_>) -> Result<(), Diagnostic> {
        let ty = &reference.root;
        let types = self.nodes.keys().filter(|(kind, _)| *kind == NodeKind::Resource).map(|(_, ty)| *ty);
        let root_hint = || did_you_mean(ty, ROOTS.into_iter().chain(types).chain(around.bound.iter().copied()));
        let Some(name) = reference.attribute(0) else {
            let detail = format!(
                "\"{ty}\" alone names nothing. A reference has a first word and a name, as in var.NAME, local.NAME or \
                 RESOURCE_TYPE.NAME."
            );
            let hint = root_hint().or_else(|| Some(format!("For the text itself write \"{ty}\" in quotation marks.")));
            return Err(Diagnostic::error("Invalid reference", detail).hint_opt(hint));
        };
        self.node_of(NodeKind::Resource, "", ty, name).map_err(|hint| {
            let detail = format!("A resource \"{ty}\" \"{name}\" has not been declared in this module.");
            Diagnostic::error("Reference to undeclared resource", detail).hint_opt(hint.or_else(root_hint))
        })
    }

    /// Whether a node with a type is there; otherwise a suggestion.
    fn node_of(&self, kind: NodeKind, prefix: &str, ty: &str, name: &str) -> Result<(), Option<String>> {
        if self.nodes.get(&(kind, ty)).is_some_and(|names| names.contains(name)) {
            return Ok(());
        }
        let of_kind = self.nodes.iter().filter(|((k, _), _)| *k == kind);
        let same_type = self.nodes.get(&(kind, ty)).into_iter().flatten().copied();
        let same_name = of_kind.filter(|(_, names)| names.contains(name)).map(|((_, ty), _)| *ty);
        let nearest_name = nearest(name, same_type).map(|name| (ty, name));
        let meant = nearest_name.or_else(|| nearest(ty, same_name).map(|ty| (ty, name)));
        Err(meant.map(|(ty, name)| format!("Did you mean \"{prefix}{ty}.{name}\"?")))
    }
}

/// Whether a reference means the very block that it stands in.
fn is_own(reference: &Reference, own: &NodeBlock) -> bool {
    let (word, ty, name) = match &*reference.root {
        "data" => (NodeKind::Data, reference.attribute(0), reference.attribute(1)),
        word => match NodeKind::of_keyword(word) {
            Some(kind) => (kind, None, reference.attribute(0)),
            None => (NodeKind::Resource, Some(&reference.root), reference.attribute(0)),
        },
    };
    word == own.kind && ty.is_none_or(|ty| *ty == own.ty) && name == Some(&own.name)
}

/// Whether the name behind the first word is one of those declared.
fn declared<N: AsRef<str>>(
    reference: &Reference,
    what: &str,
    names: impl Iterator<Item = N>,
    has: impl Fn(&str) -> bool,
    how: &str,
) -> Result<(), Diagnostic> {
    let Some(name) = reference.attribute(0) else {
        let root = &reference.root;
        let detail = format!("\"{root}\" alone names nothing; a name follows it, as in {root}.NAME.");
        return Err(Diagnostic::error("Invalid reference", detail));
    };
    if has(name) {
        return Ok(());
    }
    let article = if what.starts_with(['a', 'i', 'o', 'e']) { "An" } else { "A" };
    let detail = format!("{article} {what} with the name \"{name}\" has not been declared in this module.");
    let names: Vec<N> = names.collect();
    let hint = did_you_mean(name, names.iter().map(AsRef::as_ref))
        .unwrap_or_else(|| format!("It can be declared with {how}."));
    Err(Diagnostic::error(format!("Reference to undeclared {what}"), detail).hint(hint))
}

/// Whether the name behind the first word is one of a few fixed ones.
fn one_of(reference: &Reference, names: &[&str]) -> Result<(), Diagnostic> {
    let root = &reference.root;
    let all: Vec<String> = names.iter().map(|n| format!("{root}.{n}")).collect();
    match reference.attribute(0) {
        Some(name) if names.contains(&&**name) => Ok(()),
        Some(name) => {
            let detail = format!("\"{root}\" has no attribute \"{name}\". There is {}.", all.join(", "));
            let hint = did_you_mean(name, names.iter().copied());
            Err(Diagnostic::error(format!("Invalid \"{root}\" attribute"), detail).hint_opt(hint))
        }
        None => {
            let detail = format!("\"{root}\" alone names nothing. There is {}.", all.join(", "));
            Err(Diagnostic::error("Invalid reference", detail))
        }
    }
}

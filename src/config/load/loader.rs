//! The walk over modules: each directory is loaded once, however often it is called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::callers::Callers;
use super::{blocks, call, check, files, names, node, providers, settings};
use crate::addr::NodeKind;
use crate::config::desired::{BlockBody, Module, NodeBlock};
use crate::config::error::ConfigError;
use crate::config::path::normalise;
use crate::config::schema;
use crate::config::source::Bundle;
use crate::config::{Desired, syntax};
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};

/// How deep modules call each other: beyond it a person has lost the overview, and the loader's stack has an end.
const MODULE_DEPTH_MAX: usize = 32;

/// Where files come from: a bundle that has all, or one that is being read.
pub(in crate::config) trait Sources: Send {
    /// The bundle, after the files of this module's directory were added if they can be.
    fn module(&mut self, directory: &str) -> &Bundle;

    /// The bundle as it is.
    fn bundle(&self) -> &Bundle;
}

struct Recorded<'a>(&'a Bundle);

impl Sources for Recorded<'_> {
    fn module(&mut self, _: &str) -> &Bundle {
        self.0
    }

    fn bundle(&self) -> &Bundle {
        self.0
    }
}

/// Loads an environment from its bundle.
///
/// # Errors
/// Everything that is wrong with it, together.
pub fn load(bundle: &Bundle) -> Result<Desired, ConfigError> {
    run(&mut Recorded(bundle))
}

/// Loads an environment, asking for the files of each module as its call is met.
pub(in crate::config) fn run(sources: &mut dyn Sources) -> Result<Desired, ConfigError> {
    let Attempt { desired, errors, sources } = attempt(sources);
    match desired {
        Some(desired) if !errors.has_errors() => Ok(Desired { sources, ..desired }),
        _ => Err(ConfigError { diagnostics: errors, sources }),
    }
}

/// Loads as much of an environment as can be: what is wrong, and the rest.
pub(in crate::config) fn attempt(sources: &mut dyn Sources) -> Attempt {
    syntax::deep(move || {
        let mut loader = Loader {
            sources,
            map: SourceMap::default(),
            errors: Diagnostics::default(),
            done: BTreeMap::new(),
            chain: Vec::new(),
            environment: None,
            callers: Callers::default(),
        };
        let root = loader.module(".", None);
        let errors = loader.callers.told(loader.errors, loader.sources.bundle(), &loader.map);
        let desired = root.map(|root| Desired { root, environment: loader.environment, sources: Arc::default() });
        Attempt { desired, errors, sources: Arc::new(loader.map) }
    })
}

/// What a load came to.
pub(in crate::config) struct Attempt {
    /// What was read; `None` where a file of the environment itself could not be.
    pub(in crate::config) desired: Option<Desired>,
    /// What is wrong.
    pub(in crate::config) errors: Diagnostics,
    /// The files.
    pub(in crate::config) sources: Arc<SourceMap>,
}

/// The state of one load.
pub(super) struct Loader<'s> {
    sources: &'s mut dyn Sources,
    pub(super) map: SourceMap,
    pub(super) errors: Diagnostics,
    /// Directories that were loaded; `None` where that failed, after it was said why.
    done: BTreeMap<String, Option<Arc<Module>>>,
    /// The directories from the root to the one that is being loaded.
    chain: Vec<String>,
    environment: Option<BlockBody>,
    /// Who calls which directory, for messages about what is wrong in it.
    pub(super) callers: Callers,
}

/// A module while its blocks are read.
pub(super) struct Building {
    pub(super) module: Module,
    /// What in it could not be read, so that its names are not missing.
    lost: Lost,
    declared: BTreeMap<(&'static str, String), Span>,
}

/// What in a module could not be read. A name from there is declared, though nobody knows as what.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// A whole file: any name may be declared in it.
    pub(super) everything: bool,
    /// Names and labels of blocks.
    pub(super) names: BTreeSet<Arc<str>>,
}

impl Lost {
    fn block(&mut self, block: &BlockBody) {
        self.names.extend(block.labels.iter().cloned());
        if block.labels.is_empty() {
            self.names.extend(block.body.attributes.keys().cloned());
        }
    }
}

impl Loader<'_> {
    /// Loads the module in a directory; `caller` is the place of its `source`.
    pub(super) fn module(&mut self, directory: &str, caller: Option<Span>) -> Option<Arc<Module>> {
        let directory = normalise(directory);
        if let Some(done) = self.done.get(&directory) {
            return done.clone();
        }
        if self.chain.contains(&directory) {
            let chain: Vec<&str> = self.chain.iter().map(String::as_str).chain([directory.as_str()]).collect();
            let detail = format!(
                "This module calls itself, by way of {}. Modules cannot call each other in a circle.",
                chain.join(" → ")
            );
            self.errors.push(Diagnostic::error("Module cycle", detail).at_opt(caller));
            return None;
        }
        if self.chain.len() >= MODULE_DEPTH_MAX {
            let detail = format!("Modules are nested more than {MODULE_DEPTH_MAX} levels deep here.");
            self.errors.push(Diagnostic::error("Modules nested too deep", detail).at_opt(caller));
            return None;
        }
        self.chain.push(directory.clone());
        let loaded = self.directory(&directory, caller);
        self.chain.pop();
        self.done.insert(directory, loaded.clone());
        loaded
    }

    fn directory(&mut self, directory: &str, caller: Option<Span>) -> Option<Arc<Module>> {
        let bundle = self.sources.module(directory);
        let names = bundle.modules.get(directory);
        if names.is_none_or(Vec::is_empty) {
            let why = bundle.missing.get(directory).cloned();
            let shown = bundle.shown(directory);
            self.errors.push(no_module(&shown, why, caller));
            return None;
        }
        let (blocks, whole) = files::parse(bundle, directory, &mut self.map, &mut self.errors);
        let module = Module { directory: directory.to_owned(), ..Module::default() };
        let mut building =
            Building { module, lost: Lost { everything: !whole, ..Lost::default() }, declared: BTreeMap::new() };
        for block in blocks {
            self.block(block, &mut building, caller);
        }
        let environment = self.environment.as_ref().filter(|_| caller.is_none());
        names::check(&building.module, environment, &building.lost, &mut self.errors);
        providers::check(&building.module, &mut self.errors);
        whole.then(|| Arc::new(building.module))
    }

    fn block(&mut self, block: BlockBody, building: &mut Building, caller: Option<Span>) {
        let Some(known) = check::top(&block, &schema::TOP, &mut self.errors) else {
            building.lost.block(&block);
            return;
        };
        if !check::labels(&block, known, &mut self.errors) {
            building.lost.block(&block);
            return;
        }
        let Some(name) = block.labels.last().cloned().or_else(|| Some(known.name.into())) else { return };
        let kind = match known.name {
            "resource" => Some(NodeKind::Resource),
            "data" => Some(NodeKind::Data),
            word => NodeKind::of_keyword(word),
        };
        if let Some(kind) = kind {
            let mut block = block;
            let scoped = if kind == NodeKind::Check { node::scoped_data(&mut block, &mut self.errors) } else { None };
            if let Some(data) = scoped {
                self.scoped(data, &name, building);
            }
            let full = if block.labels.len() == 2 { block.labels.join(".") } else { (*name).to_owned() };
            if self.declare(known.name, full, block.span, building) {
                let node = node::node(kind, block, known.shape, &mut self.errors);
                building.module.nodes.push(Arc::new(node));
            }
            return;
        }
        match known.name {
            "module" => {
                building.lost.names.insert(name.clone());
                if self.declare(known.name, (*name).to_owned(), block.span, building)
                    && let Some(call) = call::call(self, block, &building.module.directory)
                {
                    building.lost.names.remove(&name);
                    building.module.calls.insert(name, call);
                }
            }
            "environment" => {
                check::body(&block.body, known.shape, &[], &mut self.errors);
                blocks::environment(&block, &mut self.errors);
                if caller.is_some() {
                    let detail =
                        "Only the environment itself may have an \"environment\" block, not a module that it calls.";
                    self.errors.push(Diagnostic::error("Misplaced environment block", detail).at(block.span));
                } else if self.declare("environment", String::new(), block.span, building) {
                    self.environment = Some(block);
                }
            }
            "import" if caller.is_some() => {
                let shown = self.shown(&building.module.directory);
                let detail = format!(
                    "The module in \"{shown}\" has an import block. What is imported is said once for the environment, so only \
                     the environment itself may have import blocks."
                );
                let diagnostic = Diagnostic::error("Invalid import configuration", detail).at(block.span);
                self.errors.push(diagnostic.hint("Move it to the environment; its \"to\" may start with module.NAME."));
            }
            _ => self.plain(&block, known, building),
        }
    }

    /// The data source of a `check` block. It has its name in the module, like any other.
    fn scoped(&mut self, data: BlockBody, check: &Arc<str>, building: &mut Building) {
        let known = schema::TOP.iter().find(|b| b.name == "data").expect("invariant: the table has data sources");
        if check::labels(&data, known, &mut self.errors)
            && self.declare(known.name, data.labels.join("."), data.span, building)
        {
            let node = node::node(NodeKind::Data, data, known.shape, &mut self.errors);
            building.module.nodes.push(Arc::new(NodeBlock { check: Some(check.clone()), ..node }));
        }
    }

    /// Blocks that neither are nodes nor call modules.
    fn plain(&mut self, block: &BlockBody, known: &schema::Block, building: &mut Building) {
        let name = block.labels.last().cloned().unwrap_or_default();
        if known.name == "terraform" {
            settings::terraform(block, known.shape, &mut building.module, &mut self.errors);
            return;
        }
        check::body(&block.body, known.shape, &[], &mut self.errors);
        match known.name {
            "variable" if self.declare(known.name, (*name).to_owned(), block.span, building) => {
                let variable = blocks::variable(block, &mut self.errors);
                building.module.variables.insert(name, variable);
            }
            "output" if self.declare(known.name, (*name).to_owned(), block.span, building) => {
                building.module.outputs.insert(name, blocks::output(block, &mut self.errors));
            }
            "locals" => {
                blocks::no_blocks(&block.body, "locals", &mut self.errors);
                for (name, attribute) in &block.body.attributes {
                    if self.declare("local value", (**name).to_owned(), attribute.name_span, building) {
                        building.module.locals.insert(name.clone(), blocks::local(attribute));
                    }
                }
            }
            "provider" => {
                let provider = blocks::provider(block, &mut self.errors);
                let alias = provider.alias.as_ref().map(|alias| format!(".{alias}")).unwrap_or_default();
                if self.declare(known.name, format!("{name}{alias}"), block.span, building) {
                    building.module.providers.push(provider);
                }
            }
            "moved" => building.module.moved.extend(blocks::moved(block, &mut self.errors)),
            "removed" => building.module.removed.extend(blocks::removed(block, &mut self.errors)),
            "import" => building.module.imports.extend(blocks::import(block, &mut self.errors)),
            _ => {}
        }
    }

    /// Notes a name; false, and an error, if the module has it already.
    fn declare(&mut self, kind: &'static str, name: String, span: Span, building: &mut Building) -> bool {
        let shown = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let Some(first) = building.declared.insert((kind, name), span) else { return true };
        let at = self.map.place(first).map(|p| format!(" at {}:{}", p.name, p.line)).unwrap_or_default();
        let detail = format!("The {kind}{shown} was already declared{at}. A name is declared once in a module.");
        self.errors.push(Diagnostic::error(format!("Duplicate {kind} declaration"), detail).at(span));
        false
    }

    /// The environment's bundle, for names in messages.
    pub(super) fn shown(&self, path: &str) -> String {
        self.sources.bundle().shown(path)
    }
}

fn no_module(shown: &str, why: Option<String>, caller: Option<Span>) -> Diagnostic {
    match (why, caller) {
        (Some(why), Some(_)) => Diagnostic::error(
            "Unreadable module directory",
            format!("The module's directory \"{shown}\" cannot be read: {why}."),
        ),
        (Some(why), None) => {
            Diagnostic::error("Not an environment", format!("The directory \"{shown}\" cannot be read: {why}."))
        }
        (None, Some(_)) => Diagnostic::error(
            "Module has no configuration",
            format!("The directory \"{shown}\" holds no .hcl or .tf files."),
        ),
        (None, None) => Diagnostic::error(
            "Not an environment",
            format!("The directory \"{shown}\" holds no .hcl or .tf files, so there is nothing to deploy."),
        )
        .hint("An environment is a directory environments/NAME/ with .hcl files; \"gantry init\" writes a small one."),
    }
    .at_opt(caller)
}

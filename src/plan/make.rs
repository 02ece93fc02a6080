//! The way in: one round of planning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::change::{Change, ChangeKind};
use super::fact::Question;
use super::input::{Inputs, Options};
use super::lower;
use super::outline::{BlockId, Item, Outline};
use super::plan::{OnFailure, OutputChange, Plan};
use super::settings::Settings;
use super::walk::Planner;
use super::world::World;
use crate::addr::ModulePath;
use crate::diag::{Diagnostic, Diagnostics};
use crate::ledger::State;
use crate::ledger::record::Gates;
use crate::provider::Role;
use crate::value::{encode, encode_typed, without_seals};

/// What a round of planning gives.
#[derive(Debug)]
pub enum Planned {
    /// The plan.
    Ready(Box<Plan>),
    /// Questions; plan again with their answers.
    Need(Vec<Question>),
}

/// Plans.
///
/// # Errors
/// When the configuration cannot be planned; everything that is wrong.
pub fn plan(inputs: Inputs<'_>) -> Result<Planned, Diagnostics> {
    let settings = Settings::read(&inputs);
    // Records follow what is there, whatever the configuration asks for.
    let nothing = inputs.options.destroy || inputs.options.refresh_only;
    let root = if nothing { Arc::default() } else { inputs.desired.root.clone() };
    let outline = Outline::draw(&root, &inputs.desired.sources).map_err(|e| Diagnostics::from(*e))?;
    let world = World::new(inputs, &outline);
    let mut planner = Planner::new(world);
    planner.create_first = outline.create_first();
    planner.asked_for();
    planner.wished = root.imports.iter().filter_map(|import| outline.import_target(&import.to)).collect();
    let settings = settings.unwrap_or_else(|wrong| {
        planner.world.report(wrong);
        Settings::default()
    });
    planner.by_promotion = super::promotion::source(&settings, inputs.recorded);
    let approval = super::approval::read(&planner.world).unwrap_or_else(|wrong| {
        planner.world.report(wrong);
        None
    });
    replaceable(&outline, inputs.options, &planner.world);
    planner.targeted = targeted(&outline, inputs.options, &planner.world);
    planner.moves();
    planner.walk();
    planner.wishes_without_blocks();
    planner.moves_hold();
    planner.removals_hold();
    planner.overrides_hold();
    planner.schemas_hold();
    planner.orphans();
    let gates = Gates { approval, promotion: settings.promotion.clone(), protected: settings.protected };
    planner.finish(&settings, gates)
}

impl Planner<'_> {
    fn finish(self, settings: &Settings, gates: Gates) -> Result<Planned, Diagnostics> {
        let needs: Vec<Question> = self.world.needs.borrow_mut().split_off("").into_values().collect();
        if !needs.is_empty() {
            return Ok(Planned::Need(needs));
        }
        if self.world.diagnostics.borrow().has_errors() {
            return Err(self.world.diagnostics.take());
        }
        let warnings = self.world.diagnostics.take();
        let inputs = self.world.inputs;
        // Steps over values that nobody has given would say nothing.
        let hollow = self.world.inputs.options.hollow;
        let refresh_only = inputs.options.refresh_only;
        let outputs = if hollow || refresh_only { BTreeMap::new() } else { outputs(&self.world) };
        let only_checks = inputs.options.kind == crate::ledger::event::RunKind::Verify;
        let cause = only_checks || self.changes.iter().any(Change::is_cause);
        let mut changes = if hollow { Vec::new() } else { self.changes };
        only_looking(&mut changes, only_checks, cause);
        let nothing = BTreeMap::new();
        let context = lower::Context {
            outline: self.world.outline,
            of_block: if hollow { &nothing } else { &self.of_block },
            recorded: inputs.recorded,
            catalog: inputs.catalog,
            inside_run: inputs.options.limit.is_some(),
            with_checks: cause,
            pins: &inputs.options.pins,
            schemas: &self.schemas,
            committed: &self.committed,
        };
        let steps = lower::sorted(lower::lower(&changes, context));
        let verified = steps.iter().any(|s| matches!(s.work, super::step::Work::Check(_)));
        let effect = super::effect::digest(super::effect::text(&steps, &gates, inputs.seal).as_bytes());
        let way_back = super::way_back::way_back(&changes, inputs.catalog, verified);
        let schemas = schemas(&changes, &inputs);
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        let base = inputs.recorded.current().map(|g| g.number);
        let mut plan = Plan {
            environment: inputs.environment.to_owned(),
            kind: inputs.options.kind,
            generation: inputs.recorded.generation() + 1,
            base,
            changes,
            steps,
            outputs,
            // A check that fails now says something about what serves; nothing was changed that could be taken back.
            on_failure: if only_checks || refresh_only {
                OnFailure::Hold
            } else {
                on_failure(settings, inputs.recorded)
            },
            way_back,
            warnings,
            basis: basis(inputs.recorded),
            effect,
            asked: if hollow { String::new() } else { asked(&inputs) },
            partial: !inputs.options.targets.is_empty() || !inputs.options.replace.is_empty(),
            gates,
            promoted: inputs.options.promoted.clone(),
            overrides: inputs.options.artifacts.clone(),
            schemas,
            conditions: self.world.conditions.take(),
            unreadable: self.unreadable,
            unopened: Vec::new(),
        };
        super::unopened::tell(&mut plan, &inputs);
        Ok(Planned::Ready(Box::new(plan)))
    }
}

/// Takes the acts out of what only looks, and the looks out of what does nothing.
fn only_looking(changes: &mut [Change], only_checks: bool, cause: bool) {
    if only_checks {
        // `verify` asks what is, whatever an apply would make of it.
        for change in changes.iter_mut().filter(|c| !c.address.kind.looks_only()) {
            change.kind = ChangeKind::NoOp;
            change.moved_from = None;
            change.importing = None;
        }
    }
    if !cause {
        // Nothing changes, so no check runs: when each last passed is shown instead.
        for change in changes.iter_mut().filter(|c| c.address.kind.looks_only()) {
            change.kind = ChangeKind::NoOp;
        }
    }
}

/// `on_failure`, where the configuration does not say: back if there is something verified to go back to or nothing at all.
fn on_failure(settings: &Settings, recorded: &State) -> OnFailure {
    let last = recorded.generations.last().and_then(|g| g.outcome);
    let sound = recorded.is_bare()
        || matches!(
            last,
            Some(crate::ledger::event::RunOutcome::Verified | crate::ledger::event::RunOutcome::RolledBack)
        );
    settings.on_failure.unwrap_or(if sound { OnFailure::Rollback } else { OnFailure::Hold })
}

fn schemas(changes: &[Change], inputs: &Inputs<'_>) -> BTreeMap<String, Arc<crate::provider::ResourceSchema>> {
    let mut found = BTreeMap::new();
    for change in changes {
        let ty = &*change.address.ty;
        if !ty.is_empty() && !found.contains_key(ty) {
            let schema = inputs.catalog.get(Role::Managed, ty).or_else(|| inputs.catalog.get(Role::Data, ty));
            if let Some(schema) = schema {
                found.insert(ty.to_owned(), Arc::new(schema.clone()));
            }
        }
    }
    found
}

fn outputs(world: &World<'_>) -> BTreeMap<Arc<str>, OutputChange> {
    let inputs = world.inputs;
    let declared = &world.outline.modules[0].module.outputs;
    let mut all = BTreeMap::new();
    for (name, value) in &world.instances[0].outputs {
        if value.marks.has(crate::value::Marks::EPHEMERAL) {
            continue;
        }
        let before = inputs.recorded.outputs.get(&**name).cloned();
        // One that is null and was not there is no news.
        let new = !(before.is_none() && value.is_null());
        let changes = new && before.as_ref().map(without_seals) != Some(encode_typed(value, inputs.seal));
        let output = declared.get(name);
        all.insert(
            name.clone(),
            OutputChange {
                before,
                after: Some(value.clone()),
                changes,
                sensitive: value.marks_deep().is_sensitive(),
                description: output.and_then(|o| o.description.clone()),
            },
        );
    }
    for (name, before) in &inputs.recorded.outputs {
        let name: Arc<str> = name.as_str().into();
        all.entry(name).or_insert_with(|| OutputChange {
            before: Some(before.clone()),
            after: None,
            changes: true,
            sensitive: false,
            description: None,
        });
    }
    all
}

/// The digest of what planning read from the ledger: records, versions, pins, migrations and the generation. What does not
/// move it (a lease, a check's verdict, a run that changed nothing) does not make a saved plan stale.
#[must_use]
pub fn basis(recorded: &State) -> String {
    let records: BTreeMap<String, &crate::ledger::record::Record> =
        recorded.records.iter().map(|(a, r)| (a.to_string(), &**r)).collect();
    let versions: BTreeMap<String, Vec<&Json>> =
        recorded.versions.iter().map(|(a, v)| (a.to_string(), v.iter().map(|v| &v.identity).collect())).collect();
    let text = json!({
        "records": records,
        "versions": versions,
        "pins": recorded.pins,
        "migrations": recorded.migrations,
        "generation": recorded.generation(),
        "gates": recorded.gates(),
        "quarantine": recorded.quarantine,
        "open": recorded.open.as_ref().map(|o| &o.run),
    });
    super::effect::digest(text.to_string().as_bytes())
}

/// The digest of what is asked for: the configuration's files and the variables.
fn asked(inputs: &Inputs<'_>) -> String {
    let variables: BTreeMap<&str, Json> =
        inputs.variables.iter().map(|(n, v)| (&**n, encode(v, inputs.seal))).collect();
    let options = inputs.options;
    let text = json!({
        "bundle": inputs.files.digest(),
        "variables": variables,
        "targets": options.targets,
        "replace": options.replace,
        "destroy": options.destroy,
        "refresh_only": options.refresh_only,
        "to": options.to_generation,
        "promoted": options.promoted,
        "artifacts": options.artifacts,
    });
    super::effect::digest(text.to_string().as_bytes())
}

/// Notes what `--replace` names and nothing is.
fn replaceable(outline: &Outline, options: &Options, world: &World<'_>) {
    for wanted in &options.replace {
        let declared = outline.modules.iter().enumerate().any(|(index, module)| {
            same_module(outline, index, &wanted.module) && module.block(wanted.kind, &wanted.ty, &wanted.name).is_some()
        });
        if !declared {
            let names = all_addresses(outline);
            let hint = crate::diag::did_you_mean(&wanted.to_string(), names.iter().map(String::as_str));
            let detail =
                format!("--replace={wanted} is not in the configuration, so there is nothing to replace it by.");
            world.report(Diagnostic::error("Unknown address", detail).hint_opt(hint));
        }
    }
}

/// The blocks that `--target` means, and all that they need.
fn targeted(outline: &Outline, options: &Options, world: &World<'_>) -> Option<BTreeSet<BlockId>> {
    if options.targets.is_empty() {
        return None;
    }
    let mut found = BTreeSet::new();
    for target in &options.targets {
        let mut declared = false;
        for (index, module) in outline.modules.iter().enumerate() {
            if !same_module(outline, index, &target.module) {
                continue;
            }
            if let Some(position) = module.block(target.kind, &target.ty, &target.name) {
                found.insert((index, position));
                declared = true;
            }
        }
        // Of an object that is to be taken on it is said that there is no block for it.
        let imported = options.imports.iter().any(|(address, _)| address == target);
        if !declared && !imported && !world.inputs.recorded.records.keys().any(|a| target.covers(a)) {
            let names: Vec<String> = all_addresses(outline);
            let hint = crate::diag::did_you_mean(&target.to_string(), names.iter().map(String::as_str));
            let detail = format!("--target={target} is neither in the configuration nor in the ledger.");
            world.report(Diagnostic::error("Unknown target", detail).hint_opt(hint));
        }
    }
    let mut open: Vec<BlockId> = found.iter().copied().collect();
    while let Some(at) = open.pop() {
        open.extend(outline.needs(at).filter(|need| found.insert(*need)));
    }
    // A check of what is targeted belongs to it.
    for id in outline.all().filter(|id| outline.block(*id).kind.is_probe()) {
        let mut needs = outline.needs(id).peekable();
        if needs.peek().is_some() && needs.all(|need| found.contains(&need)) {
            found.insert(id);
        }
    }
    Some(found)
}

fn same_module(outline: &Outline, index: usize, path: &ModulePath) -> bool {
    outline.names(index).iter().eq(path.0.iter().map(|s| &s.name))
}

fn all_addresses(outline: &Outline) -> Vec<String> {
    let ids = outline.order.iter().filter(|(_, item)| matches!(item, Item::Node(_)));
    ids.map(|id| outline.describe(id)).collect()
}

/// The nodes that a configuration has and which of them each needs, for `gantry graph`.
///
/// # Errors
/// When something needs itself.
pub fn graph(desired: &crate::config::Desired) -> Result<Vec<(String, Vec<String>)>, Box<Diagnostic>> {
    let outline = Outline::draw(&desired.root, &desired.sources)?;
    let name = |(module, position): BlockId| outline.describe(&(module, Item::Node(position)));
    Ok(outline.all().map(|id| (name(id), outline.needs(id).map(name).collect())).collect())
}

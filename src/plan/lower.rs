//! Lowering: changes become steps, in an order that follows from what needs what.
//!
//! ```text
//! what a node needs ─► create / update / pin / migrations ─► what needs it
//! what a workload needs ─► stage ─► prove… ─► switch ─► what needs it
//! everything ─► verify… ─► COMMIT ─► retire, and every delete that nothing waits for
//! ```
//!
//! Deletes go in the reverse order of what depended on what when it was recorded. The delete of a replacement that cannot
//! stand beside its successor comes before that one is made, and with it whatever has to go before it; all other deletes come
//! after the commit. In the way back inside a run there is no commit: what is taken away there was made by the same run.

mod implied;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use implied::implied;

use super::change::{Change, ChangeKind, Detail, Reason, ResourceDetail};
use super::outline::{BlockId, Outline};
use super::step::{ActStep, CheckStep, PinStep, Step, Work};
use crate::addr::Address;
use crate::ledger::State;
use crate::ledger::event::Phase;
use crate::provider::catalog::Catalog;
use crate::provider::{Action, Lowering, Prior, ResourceSchema, Role};
use crate::value::{Type, Value, decode};

/// What lowering needs beside the changes.
pub(super) struct Context<'a> {
    /// Who needs whom.
    pub(super) outline: &'a Outline,
    /// The changes of each block.
    pub(super) of_block: &'a BTreeMap<BlockId, Vec<usize>>,
    /// The records, for the order of deletes.
    pub(super) recorded: &'a State,
    /// The types.
    pub(super) catalog: &'a Catalog,
    /// Whether this is the way back inside a run.
    pub(super) inside_run: bool,
    /// Whether checks run.
    pub(super) with_checks: bool,
    /// Pins of the generation that is gone back to.
    pub(super) pins: &'a BTreeMap<Address, crate::ledger::record::Pin>,
    pub(super) schemas: &'a [super::schema_gate::Asked],
    pub(super) committed: &'a BTreeMap<Address, String>,
}

/// The steps of a plan in the making.
struct Lowerer<'a> {
    context: Context<'a>,
    changes: &'a [Change],
    steps: Vec<Step>,
    /// The step after which a change's node has its new value.
    done: BTreeMap<usize, usize>,
    /// The first step of a change.
    first: BTreeMap<usize, usize>,
    /// The stage step of a change.
    staged: BTreeMap<usize, usize>,
    /// The switch or update step of a change whose old version stays until the commit.
    switched: BTreeMap<usize, usize>,
    /// The prove steps, by check and workload.
    proven: BTreeMap<(usize, usize), usize>,
    /// The delete steps of changes.
    deletes: BTreeMap<usize, usize>,
    /// For each change those that have to be there before it without anybody having said so.
    implied: BTreeMap<usize, Vec<usize>>,
    /// The steps that take away what changes' switches leave.
    retired: BTreeMap<usize, usize>,
    /// What stands for all that a block does.
    barriers: BTreeMap<BlockId, Vec<usize>>,
    /// The block of each change.
    block_of: BTreeMap<usize, BlockId>,
    /// Steps that come after the commit.
    late: BTreeSet<usize>,
}

/// Makes the steps.
pub(super) fn lower(changes: &[Change], context: Context<'_>) -> Vec<Step> {
    let block_of = context.of_block.iter().flat_map(|(id, all)| all.iter().map(|n| (*n, *id))).collect();
    let implied = implied(changes, context.catalog);
    let mut lowerer = Lowerer {
        context,
        changes,
        steps: Vec::new(),
        done: BTreeMap::new(),
        first: BTreeMap::new(),
        staged: BTreeMap::new(),
        switched: BTreeMap::new(),
        proven: BTreeMap::new(),
        deletes: BTreeMap::new(),
        implied,
        retired: BTreeMap::new(),
        barriers: BTreeMap::new(),
        block_of,
        late: BTreeSet::new(),
    };
    lowerer.moves();
    lowerer.imports();
    for position in 0..changes.len() {
        lowerer.forward(position);
    }
    lowerer.order_implied();
    for position in 0..changes.len() {
        lowerer.prove(position);
    }
    lowerer.deletions();
    lowerer.order_deletes();
    lowerer.commit();
    lowerer.moves_first();
    lowerer.steps
}

impl Lowerer<'_> {
    fn add(&mut self, address: &Address, word: &str, work: Work, after: Vec<usize>) -> usize {
        let name = if word.is_empty() { address.to_string() } else { format!("{address} {word}") };
        self.steps.push(Step { name, address: address.clone(), work, after });
        self.steps.len() - 1
    }

    /// Every change's position comes after those of what it needs, for the walk is in that order.
    fn forward(&mut self, position: usize) {
        let change = &self.changes[position];
        match (&change.detail, change.kind) {
            (_, ChangeKind::NoOp) => {}
            (Detail::Resource(detail), _) => self.resource(position, change, detail),
            (Detail::Data { provider, lenient }, ChangeKind::Read) => {
                let arguments = change.after.clone().unwrap_or_else(|| Value::null(Type::Any));
                let work = Work::Read { provider: provider.clone(), arguments, lenient: *lenient };
                let after = self.needs(position);
                let step = self.add(&change.address, "read", work, after);
                self.finished(position, step, step);
            }
            (Detail::Artifact, ChangeKind::Run) => {
                let after = self.needs(position);
                let step = self.add(&change.address, "pin", Work::Pin(pin_step(change, &self.context)), after);
                self.finished(position, step, step);
            }
            (Detail::Migration(detail), ChangeKind::Run) => {
                let mut after = self.needs(position);
                for migration in &detail.pending {
                    let (url, how) = (detail.url.clone(), Arc::clone(&detail.how));
                    let work = Work::Migrate { url, migration: migration.clone(), how };
                    let step = self.add(&change.address, &format!("migrate {}", migration.version), work, after);
                    self.first.entry(position).or_insert(step);
                    self.done.insert(position, step);
                    after = vec![step];
                }
            }
            // Here and not at the end: whoever names a check in `depends_on` waits for its verdict, another check or not.
            (Detail::Check(detail), ChangeKind::Run) if self.context.with_checks && detail.verify => {
                let configuration = change.after.clone().unwrap_or_else(|| Value::null(Type::Any));
                let work = Work::Check(CheckStep { phase: Phase::Verify, workload: None, configuration });
                let after = self.needs(position);
                let step = self.add(&change.address, "verify", work, after);
                self.finished(position, step, step);
            }
            (Detail::Assertions(all), ChangeKind::Run) if self.context.with_checks => {
                let after = self.needs(position);
                let step = self.add(&change.address, "verify", Work::Assert(all.clone()), after);
                self.finished(position, step, step);
            }
            _ => {}
        }
    }

    fn finished(&mut self, position: usize, first: usize, done: usize) {
        self.first.insert(position, first);
        self.done.insert(position, done);
    }

    fn resource(&mut self, position: usize, change: &Change, detail: &ResourceDetail) {
        let Some(schema) = self.context.catalog.get(Role::Managed, &change.address.ty).cloned() else { return };
        let after = self.needs(position);
        match change.kind {
            ChangeKind::Update if change.reason == Reason::LeftOver => {}
            ChangeKind::Create | ChangeKind::ReplaceDeleteFirst => {
                let step = self.act(position, detail, &schema, Action::Create, None, after);
                self.until_ready(position, step, &schema);
            }
            ChangeKind::ReplaceCreateFirst => {
                let step = self.act(position, detail, &schema, Action::Create, None, after);
                // The prior tells exec that the old object still stands beside the new one.
                if let Work::Act(act) = &mut self.steps[step].work {
                    act.prior.clone_from(&detail.prior);
                }
                self.until_ready(position, step, &schema);
                self.switched.insert(position, step);
            }
            ChangeKind::Update if schema.lowering == Lowering::Workload => {
                let stage = self.act(position, detail, &schema, Action::Stage, detail.prior.clone(), after);
                let switch = self.act(position, detail, &schema, Action::Switch, detail.prior.clone(), vec![stage]);
                if let Work::Act(act) = &mut self.steps[switch].work {
                    act.follows = Some(stage);
                }
                self.staged.insert(position, stage);
                self.switched.insert(position, switch);
                self.finished(position, stage, switch);
            }
            ChangeKind::Update => {
                let step = self.act(position, detail, &schema, Action::Update, detail.prior.clone(), after);
                self.until_ready(position, step, &schema);
            }
            _ => {}
        }
    }

    fn act(
        &mut self,
        position: usize,
        detail: &ResourceDetail,
        schema: &ResourceSchema,
        action: Action,
        prior: Option<Prior>,
        after: Vec<usize>,
    ) -> usize {
        let change = &self.changes[position];
        let gone = matches!(action, Action::Delete | Action::Retire);
        let planned = change.after.clone().filter(|_| !gone).unwrap_or_else(|| Value::null(schema.object_type()));
        let for_deadline =
            if gone { change.before.clone().unwrap_or_else(|| planned.clone()) } else { planned.clone() };
        let step = ActStep {
            provider: detail.provider.clone(),
            action,
            takes_over: action == Action::Update && change.reason == Reason::TakenOver,
            planned,
            inputs: detail.inputs.clone(),
            prior,
            version: None,
            follows: None,
            dependencies: self.dependencies(position),
            schema: schema.version,
            create_before_destroy: detail.create_before_destroy,
            imported: detail.imported.clone().filter(|_| !gone && action != Action::Create),
            deadline: (schema.deadline)(&for_deadline),
            settle: schema.settle,
            in_process: schema.lowering == Lowering::InProcess,
            postconditions: if gone { Vec::new() } else { detail.postconditions.clone() },
        };
        self.add(&change.address, step.word(), Work::Act(Box::new(step)), after)
    }

    /// The addresses of the blocks that a node depends on, for its record.
    fn dependencies(&self, position: usize) -> Vec<Address> {
        let Some(id) = self.block_of.get(&position) else {
            let recorded = self.context.recorded.records.get(recorded_at(&self.changes[position]));
            return recorded.map_or_else(Vec::new, |r| r.dependencies.clone());
        };
        let mut found = BTreeSet::new();
        let mut open = vec![*id];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            for need in self.context.outline.needs(at).filter(|n| seen.insert(*n)) {
                let positions = self.context.of_block.get(&need).into_iter().flatten();
                found.extend(positions.map(|n| self.changes[*n].address.clone()));
                // What has no record of its own (an artifact, a migration) hands on what it depends on.
                if self.context.outline.block(need).kind != crate::addr::NodeKind::Resource {
                    open.push(need);
                }
            }
        }
        let implied = self.implied.get(&position).into_iter().flatten();
        found.extend(implied.map(|before| self.changes[*before].address.clone()));
        found.into_iter().collect()
    }

    /// The steps that have to be done before a change's first one: those of the blocks that it needs.
    fn needs(&mut self, position: usize) -> Vec<usize> {
        let Some(id) = self.block_of.get(&position).copied() else { return Vec::new() };
        let mut after: BTreeSet<usize> = BTreeSet::new();
        for need in self.context.outline.needs(id) {
            after.extend(self.barrier(need));
        }
        after.into_iter().collect()
    }

    /// What stands for all that a block does in this plan, or, where it does nothing, for what it needs.
    fn barrier(&mut self, id: BlockId) -> Vec<usize> {
        if let Some(known) = self.barriers.get(&id) {
            return known.clone();
        }
        let mut stack = vec![id];
        while let Some(at) = stack.last().copied() {
            let below: Vec<BlockId> = self.context.outline.needs(at).collect();
            let open: Vec<BlockId> = below.iter().copied().filter(|b| !self.barriers.contains_key(b)).collect();
            if !open.is_empty() {
                stack.extend(open);
                continue;
            }
            stack.pop();
            if self.barriers.contains_key(&at) {
                continue;
            }
            let positions = self.context.of_block.get(&at).cloned().unwrap_or_default();
            let own: BTreeSet<usize> = positions.iter().filter_map(|p| self.done.get(p)).copied().collect();
            let mut steps: BTreeSet<usize> = own.clone();
            if own.is_empty() {
                steps.extend(below.iter().flat_map(|b| self.barriers[b].iter().copied()));
            }
            let steps: Vec<usize> = steps.into_iter().collect();
            let stands_for = match steps.len() {
                0 | 1 => steps,
                _ => {
                    let address = self.block_address(at, &positions);
                    vec![self.add(&address, "", Work::Barrier, steps)]
                }
            };
            self.barriers.insert(at, stands_for);
        }
        self.barriers[&id].clone()
    }

    fn block_address(&self, id: BlockId, positions: &[usize]) -> Address {
        positions.first().map_or_else(
            || {
                let block = self.context.outline.block(id);
                Address::new(crate::addr::ModulePath::root(), block.kind, block.ty.clone(), block.name.clone())
            },
            |p| self.changes[*p].address.block(),
        )
    }

    /// A check's prove steps: after the staged version stands, before it gets traffic.
    fn prove(&mut self, position: usize) {
        let change = &self.changes[position];
        let Detail::Check(detail) = &change.detail else { return };
        if !self.context.with_checks {
            return;
        }
        for (workload, configuration) in &detail.prove {
            let Some(of) = self.changes.iter().position(|c| c.address == *workload) else { continue };
            let (Some(stage), Some(switch)) = (self.staged.get(&of).copied(), self.done.get(&of).copied()) else {
                continue;
            };
            let work = Work::Check(CheckStep {
                phase: Phase::Prove,
                workload: Some(workload.clone()),
                configuration: configuration.clone(),
            });
            // A check that depends on another one is proven when that one has been, on the same staged version.
            let mut after = vec![stage];
            let needs = self.block_of.get(&position).map(|id| self.context.outline.needs(*id));
            for need in needs.into_iter().flatten() {
                let checks = self.context.of_block.get(&need).into_iter().flatten();
                after.extend(checks.filter_map(|n| self.proven.get(&(*n, of))));
            }
            let step = self.add(&change.address, &format!("prove {workload}"), work, after);
            self.proven.insert((position, of), step);
            self.steps[switch].after.push(step);
        }
    }

    /// The deletes of replacements and of what is not wanted any more; what retires; what is only forgotten.
    fn deletions(&mut self) {
        for position in 0..self.changes.len() {
            let change = &self.changes[position];
            let Detail::Resource(detail) = &change.detail else { continue };
            let Some(schema) = self.context.catalog.get(Role::Managed, &change.address.ty).cloned() else { continue };
            match change.kind {
                ChangeKind::Delete | ChangeKind::ReplaceDeleteFirst => {
                    let step = self.act(position, detail, &schema, Action::Delete, detail.prior.clone(), Vec::new());
                    self.deletes.insert(position, step);
                    match self.first.get(&position) {
                        Some(first) => self.steps[*first].after.push(step),
                        None => {
                            self.late.insert(step);
                        }
                    }
                }
                // What is forgotten is not known any more to whoever would go back, so it is kept until the commit as well.
                ChangeKind::Record => {
                    let observed = change.after.as_ref().map(|after| schema.marked(after));
                    let work = Work::Record(observed.unwrap_or_else(|| Value::null(Type::Any)));
                    self.add(&change.address, "record", work, Vec::new());
                }
                ChangeKind::Forget => {
                    let step = self.add(&change.address, "forget", Work::Forget, Vec::new());
                    self.deletes.insert(position, step);
                    self.late.insert(step);
                }
                _ => {}
            }
            self.retire(position, change, detail, &schema);
        }
        self.reverts();
    }

    /// Versions without traffic go: what was left over before, and what this run's switch leaves.
    fn retire(&mut self, position: usize, change: &Change, detail: &ResourceDetail, schema: &ResourceSchema) {
        if matches!(
            change.kind,
            ChangeKind::Delete | ChangeKind::ReplaceDeleteFirst | ChangeKind::NoOp | ChangeKind::Record
        ) {
            return;
        }
        let action = if schema.lowering == Lowering::Workload { Action::Retire } else { Action::Delete };
        let mut going: Vec<(Option<serde_json::Value>, Option<usize>)> =
            detail.leftovers.iter().map(|v| (Some(v.clone()), None)).collect();
        if let Some(switch) = self.switched.get(&position) {
            going.push((detail.prior.as_ref().map(|p| p.identity.clone()), Some(*switch)));
        }
        for (n, (version, follows)) in going.into_iter().enumerate() {
            let attributes = version
                .as_ref()
                .and_then(|v| {
                    self.context.recorded.versions.get(recorded_at(change))?.iter().find(|x| x.identity == *v)
                })
                .and_then(|v| decode(&v.attributes, &schema.object_type()).ok())
                .or_else(|| change.before.clone())
                .unwrap_or_else(|| Value::null(schema.object_type()));
            let prior = version.clone().map(|identity| Prior { attributes, identity });
            let word = if n == 0 { "retire".to_owned() } else { format!("retire {}", n + 1) };
            let step = self.act(position, detail, schema, action, prior, Vec::new());
            self.steps[step].name = format!("{} {word}", change.address);
            if let Work::Act(act) = &mut self.steps[step].work {
                act.version = version;
                act.follows = follows;
            }
            if follows.is_some() {
                self.retired.insert(position, step);
            }
            // A leftover may be the very version that is staged again, so nothing of a workload goes before its switch.
            if let Some(done) = self.done.get(&position) {
                self.steps[step].after.push(*done);
            }
            self.late.insert(step);
        }
    }

    /// Migrations are taken back when nothing runs any more that needs the newer schema.
    fn reverts(&mut self) {
        for position in 0..self.changes.len() {
            let change = &self.changes[position];
            let Detail::Migration(detail) = &change.detail else { continue };
            let mut after: Vec<usize> = (0..self.steps.len())
                .filter(|s| {
                    let of = self.changes.iter().position(|c| c.address == self.steps[*s].address);
                    of.is_some_and(|of| self.depends(of, position)) && !matches!(self.steps[*s].work, Work::Check(_))
                })
                .collect();
            for migration in &detail.reverting {
                let (url, how) = (detail.url.clone(), Arc::clone(&detail.how));
                let work = Work::Revert { url, migration: migration.clone(), how };
                let step = self.add(&change.address, &format!("revert {}", migration.version), work, after);
                self.late.insert(step);
                after = vec![step];
            }
        }
    }

    /// Whether a change's node depends on another's, by configuration or by record.
    fn depends(&self, of: usize, on: usize) -> bool {
        let by_configuration = self
            .block_of
            .get(&of)
            .zip(self.block_of.get(&on))
            .is_some_and(|(a, b)| self.context.outline.needs_block(*a, *b));
        let on = recorded_at(&self.changes[on]);
        let record = self.context.recorded.records.get(recorded_at(&self.changes[of]));
        by_configuration || record.is_some_and(|r| r.dependencies.iter().any(|d| d.covers(on) || d == on))
    }

    /// What depended on something goes, or lets go of it, before that does.
    fn order_deletes(&mut self) {
        let by_address: BTreeMap<Address, usize> =
            self.changes.iter().enumerate().map(|(n, c)| (recorded_at(c).clone(), n)).collect();
        let mut wants: Vec<(usize, usize)> = Vec::new();
        for (position, change) in self.changes.iter().enumerate() {
            let Some(record) = self.context.recorded.records.get(recorded_at(change)) else { continue };
            for dependency in &record.dependencies {
                let Some(on) = by_address.get(dependency) else { continue };
                // The old object of a replacement that came first goes like any other: after what stood on it.
                if let (Some(retire), Some(old)) = (self.retired.get(&position), self.retired.get(on)) {
                    wants.push((*retire, *old));
                }
                let Some(delete) = self.deletes.get(on) else { continue };
                if let Some(own) = self.deletes.get(&position) {
                    wants.push((*own, *delete));
                } else if let Some(done) = self.done.get(&position)
                    && !self.first.contains_key(on)
                {
                    wants.push((*done, *delete));
                    // The old version is kept until the commit, and it still needs what it was made with.
                    wants.extend(self.retired.get(&position).map(|retire| (*retire, *delete)));
                }
            }
        }
        for (before, then) in wants {
            if !self.reaches(then, before) {
                self.steps[then].after.push(before);
            }
        }
        // What an early step waits for is early itself.
        let mut open: Vec<usize> = (0..self.steps.len()).filter(|s| !self.late.contains(s)).collect();
        while let Some(step) = open.pop() {
            for before in self.steps[step].after.clone() {
                if self.late.remove(&before) {
                    open.push(before);
                }
            }
        }
    }

    /// Whether `from` comes after `to`, directly or not: an order that would close a circle is left out. Only replacements that
    /// go first can ask for one, and for those the configuration's order wins.
    fn reaches(&self, to: usize, from: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                open.extend(&self.steps[at].after);
            }
        }
        false
    }

    /// Everything that can be taken back, then the commit, then everything that cannot.
    fn commit(&mut self) {
        let last: Vec<usize> = (0..self.steps.len()).filter(|s| !self.late.contains(s)).collect();
        if self.late.is_empty() {
            return;
        }
        let address = self.steps.first().map(|s| s.address.clone());
        let Some(address) = address else { return };
        let work = if self.context.inside_run { Work::Barrier } else { Work::Commit };
        let commit = self.add(&address, "", work, last);
        self.steps[commit].name = "commit".into();
        for step in self.late.clone() {
            self.steps[step].after.push(commit);
        }
    }
}

/// The address under which the ledger has a change's node now.
fn recorded_at(change: &Change) -> &Address {
    change.moved_from.as_ref().unwrap_or(&change.address)
}

fn pin_step(change: &Change, context: &Context<'_>) -> PinStep {
    let asked = context.schemas.iter().find(|asked| asked.artifact == change.address);
    let after = change.after.as_ref();
    let known = |name: &str| after.and_then(|a| a.get(name)).filter(|v| !v.is_null()).cloned();
    let (kind, source) = match (known("file"), known("image")) {
        (Some(file), _) => ("file", file),
        (None, Some(image)) => ("image", image),
        (None, None) => ("file", Value::null(Type::String)),
    };
    let source = known("source").unwrap_or(source);
    PinStep {
        kind: kind.to_owned(),
        source,
        digest: after.and_then(|a| a.get_str("digest")).map(str::to_owned),
        recorded: context.pins.get(&change.address).cloned(),
        schema: asked.map(|asked| asked.ranges.clone()).unwrap_or_default(),
        committed: context.committed.get(&change.address).cloned(),
    }
}

/// Steps in an order in which each comes after those that it waits for, renumbered; by name among those that may come next.
pub(super) fn sorted(steps: Vec<Step>) -> Vec<Step> {
    let mut dag = crate::graph::Dag::default();
    for (n, step) in steps.iter().enumerate() {
        dag.add((step.name.clone(), n), ());
    }
    let id = |n: usize| (steps[n].name.clone(), n);
    for (n, step) in steps.iter().enumerate() {
        let mut after = step.after.clone();
        after.sort_unstable();
        after.dedup();
        for before in after {
            dag.order_new(&id(before), &id(n));
        }
    }
    let order = dag.sorted().unwrap_or_else(|_| (0..steps.len()).map(id).collect());
    let mut place = vec![0; steps.len()];
    for (new, (_, old)) in order.iter().enumerate() {
        place[*old] = new;
    }
    let mut out: Vec<Option<Step>> = (0..steps.len()).map(|_| None).collect();
    for (old, mut step) in steps.into_iter().enumerate() {
        let mut after: Vec<usize> = step.after.iter().map(|n| place[*n]).collect();
        after.sort_unstable();
        after.dedup();
        step.after = after;
        match &mut step.work {
            Work::Act(act) => act.follows = act.follows.map(|n| place[n]),
            Work::Await { follows, .. } => *follows = place[*follows],
            _ => {}
        }
        out[place[old]] = Some(step);
    }
    out.into_iter().flatten().collect()
}

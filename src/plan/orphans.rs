//! What the ledger has and the configuration does not ask for: it is deleted or forgotten.

use std::collections::BTreeMap;

use super::change::{Change, ChangeKind, Detail, MigrationDetail, Reason, ResourceDetail};
use super::fact::{Fact, Question};
use super::resource::known;
use super::walk::Planner;
use crate::addr::{Address, Key};
use crate::config::desired::Repetition;
use crate::diag::Diagnostic;
use crate::ledger::record::Record;
use crate::provider::{Preview, PreviewRequest, Prior, ResourceSchema, Role};
use crate::value::{Map, Value};

impl Planner<'_> {
    /// Decides about every record that nothing in the configuration claims.
    pub(super) fn orphans(&mut self) {
        let recorded = self.world.inputs.recorded;
        let moved: BTreeMap<Address, Address> =
            self.moved.iter().map(|(to, from)| (from.clone(), to.clone())).collect();
        for (recorded_at, record) in &recorded.records {
            let address = moved.get(recorded_at).unwrap_or(recorded_at);
            let limit = self.world.inputs.options.limit.as_ref();
            let limited = limit.is_some_and(|l| !l.contains(address) && !l.contains(recorded_at));
            let targets = &self.world.inputs.options.targets;
            let untargeted = !targets.is_empty() && !targets.iter().any(|t| t.covers(address));
            if self.claimed.contains(address) || limited || untargeted {
                continue;
            }
            self.orphan(address, recorded_at, record);
        }
        self.keep_what_is_needed();
        self.strange_migrations();
    }

    /// Takes back what a run migrated whose node this configuration does not have: it came with that run.
    fn strange_migrations(&mut self) {
        let options = self.world.inputs.options;
        for (address, versions) in &options.revert {
            let known = self.changes.iter().any(|change| change.address == *address);
            let Some(planned) = options.migrated.get(address).filter(|m| !known && m.url.is_wholly_known()) else {
                continue;
            };
            let of = |version: &u64| planned.pending.iter().find(|m| m.version == *version).cloned();
            let reverting: Vec<_> = versions.iter().filter_map(of).collect();
            let mut applied = planned.applied.clone();
            applied.extend(versions.iter().rev());
            let detail = MigrationDetail { pending: Vec::new(), reverting, applied, ..(**planned).clone() };
            self.changes.push(Change {
                address: address.clone(),
                moved_from: None,
                importing: None,
                kind: ChangeKind::Run,
                reason: Reason::TakenBack,
                before: None,
                after: None,
                differs: Vec::new(),
                replaces: Vec::new(),
                drift: None,
                detail: Detail::Migration(Box::new(detail)),
                span: None,
            });
        }
    }

    /// What something that is kept stands in, or is one of, is kept as well: a claim does not outlive its namespace.
    fn keep_what_is_needed(&mut self) {
        if !self.changes.iter().any(|change| matches!(change.reason, Reason::Kept(_))) {
            return;
        }
        let needs = super::lower::implied(&self.changes, self.world.inputs.catalog);
        let mut open: Vec<usize> =
            (0..self.changes.len()).filter(|at| matches!(self.changes[*at].reason, Reason::Kept(_))).collect();
        while let Some(at) = open.pop() {
            let kept = self.changes[at].address.to_string();
            for before in needs.get(&at).into_iter().flatten() {
                let change = &mut self.changes[*before];
                if change.kind == ChangeKind::Delete {
                    change.kind = ChangeKind::Forget;
                    change.reason = Reason::Kept(format!("kept: {kept} is, and needs it"));
                    open.push(*before);
                }
            }
        }
    }

    fn orphan(&mut self, address: &Address, recorded_at: &Address, record: &Record) {
        let Some(schema) = self.world.inputs.catalog.get(Role::Managed, &record.ty).cloned() else {
            let detail = format!(
                "The ledger has a resource of type \"{}\" that this Gantry does not know, so it can neither be looked at nor deleted.",
                record.ty
            );
            self.world.report(Diagnostic::error("Unknown resource type", detail).on(address));
            return;
        };
        let Some(known) = known(self, address, (record, record.provider.clone()), &schema) else { return };
        // It was there before Gantry knew of it, so a way back to that time leaves it there.
        let imported = self.world.inputs.options.going_back && record.imported.is_some();
        let forget = imported || self.removed(address).is_some_and(|destroy| !destroy) || known.vanished;
        // What a run made and takes back was nothing to anybody yet.
        let takes_back = self.world.inputs.options.limit.is_some();
        let kept =
            known.prior.as_ref().filter(|_| !takes_back).and_then(|p| schema.kept.and_then(|f| f(&p.attributes)));
        let versions = self.world.inputs.recorded.versions.get(recorded_at);
        let refreshing = self.world.inputs.options.refresh_only;
        let kind = match () {
            () if !known.readable => ChangeKind::NoOp,
            // What stands beside what is gone would be forgotten with it, and nobody would take it away any more.
            () if refreshing && known.vanished && versions.is_some_and(|all| !all.is_empty()) => ChangeKind::NoOp,
            () if refreshing && known.drift.is_some() => ChangeKind::Record,
            () if refreshing && !known.vanished => ChangeKind::NoOp,
            () if forget || kept.is_some() => ChangeKind::Forget,
            () => ChangeKind::Delete,
        };
        let reason = match () {
            () if known.vanished => Reason::Vanished,
            () if kind == ChangeKind::Record => Reason::Drifted,
            () if refreshing => Reason::UpToDate,
            () if imported => Reason::ImportedLater,
            () if forget && kind == ChangeKind::Forget => Reason::ToForget,
            () if kind == ChangeKind::Forget => Reason::Kept(kept.unwrap_or_default()),
            () if self.world.inputs.options.destroy => Reason::Destroyed,
            () => self.why_gone(address),
        };
        if kind == ChangeKind::Delete {
            self.may_go(address, &schema, &record.provider, known.prior.as_ref());
        }
        self.changes.push(Change {
            address: address.clone(),
            moved_from: (address != recorded_at).then(|| recorded_at.clone()),
            importing: None,
            kind,
            reason,
            before: known.prior.as_ref().map(|p| p.attributes.clone()),
            after: matches!(kind, ChangeKind::NoOp | ChangeKind::Record)
                .then(|| known.prior.as_ref().map_or(Value::object(Map::new()), |p| p.attributes.clone())),
            differs: Vec::new(),
            replaces: Vec::new(),
            drift: known.drift,
            detail: Detail::Resource(ResourceDetail {
                provider: record.provider.clone(),
                prior: known.prior,
                inputs: Value::object(Map::new()),
                leftovers: versions.into_iter().flatten().map(|v| v.identity.clone()).collect(),
                create_before_destroy: record.create_before_destroy,
                imported: record.imported.clone(),
                postconditions: Vec::new(),
                preview: None,
            }),
            span: None,
        });
    }

    /// Asks the target whether an object may be deleted, where it can be asked.
    fn may_go(&self, address: &Address, schema: &ResourceSchema, provider: &str, prior: Option<&Prior>) {
        let options = self.world.inputs.options;
        let Some(prior) = prior.filter(|_| schema.previews && options.refresh && options.limit.is_none()) else {
            return;
        };
        let request = PreviewRequest {
            provider: provider.to_owned(),
            address: address.clone(),
            ty: schema.ty.to_owned(),
            planned: Value::null(schema.object_type()),
            prior: Some(prior.clone()),
        };
        if let Some(Fact::Previewed(Preview::Refused(all))) = self.world.ask(Question::Preview(Box::new(request))) {
            for (_, sentence) in all {
                let diagnostic = Diagnostic::error("Target refuses the deletion", sentence.clone()).on(address);
                self.world
                    .report(diagnostic.hint("Nothing was changed: the target was asked before anything is done."));
            }
        }
    }

    fn why_gone(&self, address: &Address) -> Reason {
        let outline = self.world.outline;
        let mut at = 0;
        for step in address.module.0.iter() {
            match outline.modules[at].children.get(&step.name) {
                Some(child) => at = *child,
                None => return Reason::NotInConfiguration,
            }
        }
        if !self.world.instances.iter().any(|i| i.path == address.module) {
            return Reason::NoModule;
        }
        let module = &outline.modules[at];
        let block = module.block(address.kind, &address.ty, &address.name);
        let Some(block) = block.map(|position| &module.module.nodes[position]) else {
            return Reason::NotInConfiguration;
        };
        match (&block.repetition, &address.key) {
            (Repetition::Count(_), Some(Key::Index(n))) => Reason::CountIndex(*n),
            (Repetition::ForEach(_), Some(key @ Key::Name(_))) => Reason::EachKey(key.clone()),
            _ => Reason::OtherRepetition,
        }
    }
}

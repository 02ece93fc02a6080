//! The schema gate: an artifact says on which versions of a database's schema it runs, and nothing is touched that would put it on another.
//!
//! What counts is the version that the database really has, as its journal says, after what this plan applies and takes back.

use std::collections::BTreeMap;

use super::change::{Change, Detail, MigrationDetail};
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use crate::addr::{Address, NodeKind};
use crate::config::desired::{BlockBody, Body};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::ledger::State;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::record::{Pin, SchemaRange};
use crate::ledger::release::short;
use crate::value::{Type, convert};

/// What is wrong where an artifact would meet a schema that it does not run on.
pub const SCHEMA_GATE: &str = "Artifact does not run on this schema";

/// What is wrong where a way down is missing.
pub const NO_WAY_DOWN: &str = "Migration without a way back";

/// The ranges of an artifact's pin, by migration.
pub(super) type Ranges = BTreeMap<Address, SchemaRange>;

/// What an artifact asks of schemas, with the place that says so.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) artifact: Address,
    pub(super) span: Span,
    pub(super) ranges: Ranges,
}

/// An artifact's body without its `schema` blocks, and those.
pub(super) fn apart(body: &Body) -> (Body, Vec<&BlockBody>) {
    let bare = Body { blocks: body.blocks.iter().filter(|b| &*b.ty != "schema").cloned().collect(), ..body.clone() };
    (bare, body.blocks.iter().filter(|b| &*b.ty == "schema").collect())
}

impl Planner<'_> {
    /// Reads the `schema` blocks of an artifact.
    pub(super) fn schema_ranges(
        &self,
        one: &BlockInstance<'_>,
        blocks: &[&BlockBody],
        scope: &ModuleScope<'_>,
    ) -> Ranges {
        let mut ranges = Ranges::new();
        for block in blocks {
            let Some(label) = block.labels.first() else { continue };
            let module = &one.address.module;
            let text =
                if module.is_root() { format!("migration.{label}") } else { format!("{module}.migration.{label}") };
            let wrong = |detail: String| {
                self.world.report(Diagnostic::error("Invalid schema range", detail).at(block.span).on(&one.address));
            };
            let Ok(address) = text.parse::<Address>() else {
                wrong(format!("\"{label}\" is no name of a migration."));
                continue;
            };
            let bound = |name: &str| -> Option<u64> {
                let attribute = block.body.attributes.get(name)?;
                let value = match scope.try_evaluate(&attribute.term, &one.address) {
                    Ok(value) => value,
                    Err(diagnostic) => {
                        self.world.report(*diagnostic);
                        return None;
                    }
                };
                if value.is_null() {
                    return None;
                }
                let number = convert(&value, &Type::Number).ok().and_then(|v| v.as_number()?.to_u64());
                if number.is_none() {
                    wrong(format!("\"{name}\" is a schema version: a whole number that is known when planning."));
                }
                number
            };
            let range = SchemaRange { min: bound("min"), max: bound("max") };
            match range {
                SchemaRange { min: Some(min), max: Some(max) } if min > max => {
                    wrong(format!("The range from {min} to {max} holds no version."));
                }
                SchemaRange { min: None, max: None } if !self.world.diagnostics.borrow().has_errors() => {
                    wrong("A range has \"min\", \"max\" or both.".to_owned());
                }
                range => drop(ranges.insert(address, range)),
            }
        }
        ranges
    }

    /// Whether every artifact runs on the schema that it meets.
    pub(super) fn schemas_hold(&self) {
        let options = self.world.inputs.options;
        let inside_run = options.limit.is_some();
        if inside_run || options.hollow || options.validating || options.to_nothing || options.kind == RunKind::Destroy
        {
            return;
        }
        let details: BTreeMap<&Address, &MigrationDetail> = self.changes.iter().filter_map(detail).collect();
        for asked in &self.schemas {
            for (migration, range) in &asked.ranges {
                match details.get(migration) {
                    Some(detail) => self.schema_holds(asked, migration, *range, detail),
                    None => self.no_migration(asked, migration),
                }
            }
        }
        if options.kind == RunKind::Rollback {
            details.iter().for_each(|(address, detail)| self.way_down(address, detail));
        }
    }

    fn no_migration(&self, asked: &Asked, migration: &Address) {
        let of_migrations = self.changes.iter().filter(|c| c.address.kind == NodeKind::Migration);
        let known: Vec<String> = of_migrations.map(|c| c.address.to_string()).collect();
        let detail = format!("{} says on which schema it runs, and there is no {migration}.", asked.artifact);
        let hint = did_you_mean(&migration.to_string(), known.iter().map(String::as_str));
        let wrong = Diagnostic::error("Unknown migration", detail).at(asked.span).on(&asked.artifact);
        self.world.report(wrong.hint_opt(hint));
    }

    fn schema_holds(&self, asked: &Asked, migration: &Address, range: SchemaRange, detail: &MigrationDetail) {
        let recorded = self.world.inputs.recorded;
        let (now, after) = versions(detail);
        if !range.holds(after) {
            let from = if now == after { String::new() } else { format!(" after this ({now} now)") };
            let mut text = format!(
                "{} runs on {migration} {range}, and the database has version {after}{from}. Nothing was touched.",
                asked.artifact
            );
            if let Some(fits) = newest_that_fits(recorded, &asked.artifact, migration, after) {
                text.push_str(&format!(" The newest release here that runs on {after} is {fits}."));
            }
            let wrong = Diagnostic::error(SCHEMA_GATE, text).at(asked.span).on(&asked.artifact);
            self.world.report(wrong.hint(remedy(range, (now, after), migration, self.world.inputs.options.kind)));
            return;
        }
        // What serves now meets the new schema as well, until traffic has moved.
        let serving = recorded.pins.get(&asked.artifact).and_then(|pin| pin.schema.get(migration));
        if let Some(serving) = serving.filter(|serving| now != after && !serving.holds(after)) {
            let text = format!(
                "{} that serves now runs on {migration} {serving}, and meets version {after} from the migration until traffic has moved.",
                asked.artifact
            );
            let warning = Diagnostic::warning("What serves does not run on the new schema", text).at(asked.span);
            let hint = "Bring the change in two releases: one that runs on both schemas first.";
            self.world.report(warning.on(&asked.artifact).hint(hint));
        }
    }

    /// A rollback that takes a schema back needs every way down, before anything is touched.
    fn way_down(&self, address: &Address, detail: &MigrationDetail) {
        let Some(stuck) = detail.reverting.iter().find(|m| m.down.is_none()) else { return };
        let target = stuck.version.saturating_sub(1);
        let text = format!(
            "Going back would take {address} from version {} down to what it was, and migration {} ({}) has no way back. Nothing was \
             touched.",
            versions(detail).0,
            stuck.version,
            stuck.name
        );
        let wrong = Diagnostic::error(NO_WAY_DOWN, text).on(address);
        self.world.report(wrong.hint(format!(
            "Leave the schema where it is, if the older release runs on it: --keep-schema; or take the database to version {target} by hand."
        )));
    }
}

fn detail(change: &Change) -> Option<(&Address, &MigrationDetail)> {
    match &change.detail {
        Detail::Migration(detail) => Some((&change.address, detail)),
        _ => None,
    }
}

/// The newest version that is applied now, and after this; 0 where none is.
fn versions(detail: &MigrationDetail) -> (u64, u64) {
    let now = detail.applied.iter().max().copied().unwrap_or(0);
    let left = detail.applied.iter().filter(|v| !detail.reverting.iter().any(|m| m.version == **v));
    let after = left.copied().chain(detail.pending.iter().map(|m| m.version)).max().unwrap_or(0);
    (now, after)
}

/// The newest generation here whose artifact runs on a version of a schema, in words.
fn newest_that_fits(recorded: &State, artifact: &Address, migration: &Address, version: u64) -> Option<String> {
    let fits = |pin: &Pin| pin.schema.get(migration).is_some_and(|range| range.holds(version));
    recorded.generations.iter().rev().find_map(|generation| {
        let verified = generation.outcome == Some(RunOutcome::Verified) && !generation.partial;
        generation.pins.get(artifact).filter(|pin| verified && fits(pin))?;
        Some(match &generation.release {
            Some(release) => format!("{} (generation {})", short(&release.id()), generation.number),
            None => format!("generation {}", generation.number),
        })
    })
}

/// What would make it fit.
fn remedy(range: SchemaRange, (now, version): (u64, u64), migration: &Address, kind: RunKind) -> String {
    let back = if kind == RunKind::Rollback { "go back to another generation" } else { "take another release" };
    match (range.min, range.max) {
        (Some(min), _) if version < min => {
            format!("It fits once {migration} is at {min} or above: bring the migrations up to {min} along; or {back}.")
        }
        (_, Some(max)) if now <= max => {
            format!("Leave the migrations above {max} out until there is a release that runs on {version}; or {back}.")
        }
        (_, Some(max)) => format!(
            "It fits once {migration} is at {max} or below: give the migrations above {max} a way back and on_rollback = \"down\"; or {back}."
        ),
        _ => format!("Or {back}."),
    }
}

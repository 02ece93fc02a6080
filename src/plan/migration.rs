//! Deciding about migrations: the files against what the database's journal says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::{self, Shape};
use super::change::{Change, ChangeKind, Detail, MigrationDetail, PlannedMigration, Reason};
use super::data::bare;
use super::fact::{Fact, JournalEntry, Question};
use super::runner::{Runner, shapes};
use super::scope::ModuleScope;
use super::walk::{BlockInstance, Planner};
use crate::diag::{Diagnostic, did_you_mean};
use crate::eval::{Answer, Host as _};
use crate::value::{Type, Value};

/// The type of a migration's object.
fn object_type() -> Type {
    Type::object([
        ("url", Type::String),
        ("version", Type::Number),
        ("target_version", Type::Number),
        ("checksum", Type::String),
    ])
}

impl Planner<'_> {
    /// A migration node: what is pending, what is taken back, what stands.
    pub(super) fn migration(&mut self, one: &BlockInstance<'_>) -> Value {
        let runner = self.runner(one);
        let (attributes, blocks) = shapes(runner.as_ref());
        let scope = ModuleScope::new(&self.world, one.instance, &one.repeated);
        let shape = Shape { attributes: &attributes, blocks: &blocks };
        let object = body::evaluate(&one.block.body, shape, &scope, &"a migration", &one.address);
        let url = object.get("database").cloned().unwrap_or_else(|| Value::opaque(Type::String));
        let Some((files, journal)) = self.files_and_journal(one, &object, &url, runner.as_ref()) else {
            return Value::opaque(object_type());
        };
        let applied: Vec<u64> = journal.iter().filter(|e| !e.partial).map(|e| e.version).collect();
        let limited = self.left_alone(one) || self.world.inputs.options.going_back;
        let pending: Vec<PlannedMigration> = match limited {
            true => Vec::new(),
            false => files.iter().filter(|m| !applied.contains(&m.version)).cloned().collect(),
        };
        let how = Arc::new(self.migrate_how(one, &object, runner.as_ref()));
        let down_on_rollback = object.get_str("on_rollback") == Some("down");
        // Inside a run the caller knows whether traffic has moved; a rollback comes after that, so the schema stays unless the
        // configuration says otherwise.
        let inside_run = self.world.inputs.options.limit.is_some();
        let revert = self.world.inputs.options.revert.get(&one.address).cloned();
        let revert = revert.filter(|_| inside_run || down_on_rollback).unwrap_or_default();
        let reverting: Vec<PlannedMigration> =
            revert.iter().filter_map(|v| journal.iter().find(|e| e.version == *v)).map(stored).collect();
        if !matches!(object.get_str("on_rollback"), Some("down" | "keep") | None) {
            let detail = "\"on_rollback\" is \"keep\" (the schema stays when a run is taken back after traffic moved) or \"down\".";
            let span = one.block.body.attributes.get("on_rollback").map_or(one.block.span, |a| a.term.span);
            let hint = did_you_mean(object.get_str("on_rollback").unwrap_or_default(), ["keep", "down"]);
            let wrong = Diagnostic::error("Invalid argument value", detail).at(span).on(&one.address);
            self.world.report(wrong.hint_opt(hint));
        }
        let value = value_of(&url, &files, &applied);
        let (kind, reason) = match (pending.is_empty(), reverting.is_empty()) {
            (_, false) => (ChangeKind::Run, Reason::TakenBack),
            (false, true) => (ChangeKind::Run, Reason::Pending),
            (true, true) => (ChangeKind::NoOp, Reason::UpToDate),
        };
        let detail = MigrationDetail { url: url.sensitive(), pending, reverting, applied, down_on_rollback, how };
        let change = Change {
            after: Some(value.clone()),
            detail: Detail::Migration(Box::new(detail)),
            ..bare(one, kind, reason)
        };
        self.decide(one.id, change);
        value
    }

    /// What there is to apply, and what stands applied; `None` while something is awaited or after noting what is wrong.
    fn files_and_journal(
        &self,
        one: &BlockInstance<'_>,
        object: &Value,
        url: &Value,
        runner: Option<&Runner<'_>>,
    ) -> Option<(Vec<PlannedMigration>, Vec<JournalEntry>)> {
        if let Some(runner) = runner.filter(|runner| runner.is_command()) {
            let journal = self.recorded_journal(one, &[]);
            let settings = object.get("runner")?;
            let file = self.command_migration(one, runner, settings, &journal)?;
            return Some((vec![file], journal));
        }
        let files = self.migration_files(one, object)?;
        let journal = match runner {
            Some(_) => self.recorded_journal(one, &files),
            None => self.journal(one, url)?,
        };
        self.history_holds(one, &files, &journal).then_some((files, journal))
    }

    /// The migrations of the directory, or `None` while they are awaited or after noting what is wrong.
    fn migration_files(&self, one: &BlockInstance<'_>, object: &Value) -> Option<Vec<PlannedMigration>> {
        let span = one.block.body.attributes.get("source").map_or(one.block.span, |a| a.term.span);
        let fail = |summary: &str, detail: String| {
            self.world.report(Diagnostic::error(summary, detail).at(span).on(&one.address));
        };
        let Some(source) = object.get_str("source") else {
            let unknown = object.get("source").is_some_and(|v| v.is_unknown() && v.marks.is_empty());
            if unknown && !self.world.inputs.options.hollow {
                fail("Invalid migration source", "The directory of a migration must be known when planning.".into());
            }
            return None;
        };
        let names = match self.world.file_tree(source) {
            Answer::Known(names) => names,
            Answer::Pending => return None,
            Answer::Missing(why) => {
                fail("Unreadable migration directory", format!("The migrations in {source} cannot be read: {why}."));
                return None;
            }
        };
        let mut files = Vec::new();
        let mut pending = false;
        for name in names.iter().filter(|n| n.ends_with(".sql") && !n.contains('/')) {
            match self.world.file(&format!("{source}/{name}")) {
                Answer::Known(bytes) => files.push((name.clone(), bytes)),
                Answer::Pending => pending = true,
                Answer::Missing(why) => fail("Unreadable migration", format!("{source}/{name} cannot be read: {why}.")),
            }
        }
        if pending {
            return None;
        }
        let dialect = object.get_str("database").unwrap_or_default();
        match (self.world.inputs.migrations)(&files, dialect) {
            Ok(migrations) => Some(migrations),
            Err(problems) => {
                for (file, why) in problems {
                    fail(
                        "Invalid migration",
                        format!("{source}/{file}: {why}{}", if why.ends_with('.') { "" } else { "." }),
                    );
                }
                None
            }
        }
    }

    /// What the database says was applied, or `None` while that is awaited or after noting that it cannot be read.
    fn journal(&self, one: &BlockInstance<'_>, url: &Value) -> Option<Vec<JournalEntry>> {
        if !url.is_wholly_known() {
            // A database that this run makes has no history; the step itself looks again.
            return Some(Vec::new());
        }
        match self.world.ask(Question::Journal { address: one.address.clone(), url: url.clone() })? {
            Fact::Journal(Ok(entries)) => Some(entries.clone()),
            Fact::Journal(Err(why)) => {
                let span = one.block.body.attributes.get("database").map_or(one.block.span, |a| a.term.span);
                let diagnostic = Diagnostic::error("Unusable database", why.clone());
                self.world.report(diagnostic.at(span).on(&one.address));
                None
            }
            _ => None,
        }
    }

    /// Whether the files continue what was applied.
    fn history_holds(&self, one: &BlockInstance<'_>, files: &[PlannedMigration], journal: &[JournalEntry]) -> bool {
        let by_version: BTreeMap<u64, &PlannedMigration> = files.iter().map(|m| (m.version, m)).collect();
        let mut holds = true;
        let mut fail = |summary: &str, detail: String, hint: &str| {
            holds = false;
            self.world.report(Diagnostic::error(summary, detail).at(one.block.span).on(&one.address).hint(hint));
        };
        for entry in journal {
            match by_version.get(&entry.version) {
                Some(file) if file.checksum != entry.checksum && !entry.partial => fail(
                    "Migration was changed after it was applied",
                    format!(
                        "{} has the checksum\n    {}\nbut what was applied to this database as version {} had\n    {}\nThe database does \
                         not have what the file says now.",
                        file.file, file.checksum, entry.version, entry.checksum
                    ),
                    "Put the old text back, and write the change as a new migration.",
                ),
                None if !self.world.inputs.options.older && !self.world.inputs.options.going_back => fail(
                    "Applied migration is missing",
                    format!(
                        "Version {} ({}) was applied to this database, but there is no file of it.",
                        entry.version, entry.name
                    ),
                    "Bring the file back; the database's journal has its text.",
                ),
                _ => {}
            }
        }
        let newest = journal.iter().filter(|e| !e.partial).max_by_key(|e| e.version);
        let late = |newest: &JournalEntry| {
            files
                .iter()
                .find(|m| m.version < newest.version && !journal.iter().any(|e| e.version == m.version))
                .cloned()
        };
        if let Some(newest) = newest
            && let Some(file) = late(newest)
        {
            fail(
                "Migration out of order",
                format!(
                    "{} is pending, but version {} ({}) was applied already.",
                    file.file, newest.version, newest.name
                ),
                "Give it a number above the newest one that was applied.",
            );
        }
        holds
    }
}

fn value_of(url: &Value, files: &[PlannedMigration], applied: &[u64]) -> Value {
    let number = |n: Option<u64>| {
        let n = n.and_then(|n| i64::try_from(n).ok());
        n.map_or_else(|| Value::null(Type::Number), Value::number)
    };
    let newest = files.iter().map(|m| m.version).max();
    let sums: Vec<&str> = files.iter().map(|m| &*m.checksum).collect();
    Value::object_of([
        ("url", url.clone().sensitive()),
        ("version", number(newest.max(applied.iter().max().copied()))),
        ("target_version", number(newest)),
        ("checksum", Value::string(super::effect::digest(sums.join(" ").as_bytes()))),
    ])
}

/// A migration with the text that was stored when it was applied.
fn stored(entry: &JournalEntry) -> PlannedMigration {
    PlannedMigration {
        version: entry.version,
        name: entry.name.clone(),
        checksum: entry.checksum.clone(),
        up: entry.up.as_str().into(),
        down: entry.down.as_deref().map(Into::into),
        file: format!("version {} as it was applied", entry.version),
        down_file: None,
        effects: Vec::new(),
    }
}

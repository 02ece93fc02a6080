//! `runner` blocks of migrations: who carries them out where only a target reaches the database.
//!
//! What such a database says of itself cannot be asked while planning without running something in the target. So the plan goes by
//! what the ledger has recorded, and the step, which runs where the database is, by the database's own journal: a migration that
//! turns out to be applied already is left alone.

use serde_json::json;

use super::body;
use super::change::{MigrateHow, MigrationRunner, PlannedMigration};
use super::duration;
use super::effect::digest;
use super::fact::JournalEntry;
use super::walk::{BlockInstance, Planner};
use crate::config::desired::BlockBody;
use crate::diag::{Diagnostic, did_you_mean};
use crate::provider::BlockSchema;
use crate::value::Value;

/// A `runner` block that its provider knows.
pub(super) struct Runner<'b> {
    pub(super) block: &'b BlockBody,
    pub(super) provider: &'static str,
    pub(super) schema: &'b BlockSchema,
}

impl Runner<'_> {
    /// Whether the image's own tool is run, and no SQL of ours.
    pub(super) fn is_command(&self) -> bool {
        self.block.body.attributes.contains_key("command")
    }
}

impl<'i> Planner<'i> {
    /// The runner of a migration; `None` without one, or after noting what is wrong with it.
    pub(super) fn runner<'b>(&self, one: &'b BlockInstance<'_>) -> Option<Runner<'b>>
    where
        'i: 'b,
    {
        let block = one.block.body.blocks.iter().find(|block| &*block.ty == "runner")?;
        let catalog = self.world.inputs.catalog;
        let label = block.labels.first().map_or("", |label| label);
        let Some((provider, schema)) = catalog.runner(label) else {
            let known: Vec<&str> = catalog.runners().collect();
            let detail = format!(
                "No provider that this Gantry has knows the runner \"{label}\". There is: {}.",
                known.join(", ")
            );
            let hint = did_you_mean(label, known);
            self.world.report(Diagnostic::error("Unknown runner", detail).at(block.span).hint_opt(hint));
            return None;
        };
        let runner = Runner { block, provider, schema };
        let both = one.block.body.attributes.get("source").filter(|_| runner.is_command());
        if let Some(source) = both {
            let detail = "With \"command\" the image's own tool migrates, so there is no \"source\" of SQL. Take one of them out.";
            self.world.report(Diagnostic::error("Invalid runner", detail).at(source.name_span).on(&one.address));
        }
        Some(runner)
    }

    /// How a migration's steps are carried out.
    pub(super) fn migrate_how(
        &self,
        one: &BlockInstance<'_>,
        object: &Value,
        runner: Option<&Runner<'_>>,
    ) -> MigrateHow {
        let standard = MigrateHow::default();
        let time = |name: &str, otherwise| {
            let Some(text) = object.get_str(name) else { return otherwise };
            duration::parse(text).unwrap_or_else(|why| {
                let span = one.block.body.attributes.get(name).map_or(one.block.span, |a| a.term.span);
                let detail = format!("\"{name}\" is a duration: {why}.");
                self.world.report(Diagnostic::error("Invalid argument value", detail).at(span).on(&one.address));
                otherwise
            })
        };
        let made = |runner: &Runner<'_>| MigrationRunner {
            name: runner.block.labels.first().map(ToString::to_string).unwrap_or_default(),
            provider: self.configuration_for(one.instance, runner.provider, one.block.provider.as_ref()),
            settings: object.get("runner").cloned().unwrap_or_else(|| Value::null(crate::value::Type::Any)),
            is_command: runner.is_command(),
        };
        MigrateHow {
            runner: runner.map(made),
            statement_timeout: time("statement_timeout", standard.statement_timeout),
            lock_timeout: time("lock_timeout", standard.lock_timeout),
        }
    }

    /// What the ledger says was applied.
    pub(super) fn recorded_journal(&self, one: &BlockInstance<'_>, files: &[PlannedMigration]) -> Vec<JournalEntry> {
        let recorded = &self.world.inputs.recorded.migrations;
        let all = recorded.get(self.recorded_address(&one.address)).into_iter().flatten();
        let entry = |applied: &crate::ledger::event::AppliedMigration| {
            // The texts are in the ledger's blobs; to be shown, those of the files will do where they are the same.
            let file = files.iter().find(|file| file.checksum == applied.checksum);
            let down = file.and_then(|file| file.down.as_deref()).unwrap_or("-- as it was recorded");
            JournalEntry {
                version: applied.version,
                name: applied.name.clone(),
                checksum: applied.checksum.clone(),
                up: file.map_or_else(String::new, |file| file.up.to_string()),
                down: applied.down.as_ref().map(|_| down.to_owned()),
                partial: false,
            }
        };
        all.map(entry).collect()
    }

    /// The one migration that an image's own tool makes: keyed by the image and the command. `None` while the image is not known, or
    /// after noting what is wrong.
    pub(super) fn command_migration(
        &self,
        one: &BlockInstance<'_>,
        runner: &Runner<'_>,
        settings: &Value,
        journal: &[JournalEntry],
    ) -> Option<PlannedMigration> {
        let attribute = |name: &str| runner.block.body.attributes.get(name).map(|a| a.term.span);
        let fail = |name: &str, detail: &str| {
            let wrong = Diagnostic::error("Invalid runner", detail).at_opt(attribute(name).or(Some(runner.block.span)));
            self.world.report(wrong.on(&one.address));
            None
        };
        let hollow = self.world.inputs.options.hollow || !self.world.needs.borrow().is_empty();
        let Some(image) = settings.get_str("image") else {
            return if hollow {
                None
            } else {
                fail("image", "The image of a runner with a command must be known when planning.")
            };
        };
        let words = |name: &str| -> Option<Vec<String>> {
            settings.get(name)?.as_items()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let Some(command) = words("command").filter(|command| !command.is_empty()) else {
            return if hollow {
                None
            } else {
                fail("command", "The command must be known when planning, and not empty.")
            };
        };
        let text = |command: &[String]| json!({ "image": image, "command": command }).to_string();
        let up = text(&command);
        let checksum = digest(up.as_bytes());
        let known = journal.iter().find(|entry| entry.checksum == checksum);
        let next = journal.iter().map(|entry| entry.version).max().unwrap_or(0) + 1;
        Some(PlannedMigration {
            version: known.map_or(next, |entry| entry.version),
            name: runner.block.labels.first().map(ToString::to_string).unwrap_or_default(),
            checksum,
            up: up.as_str().into(),
            down: words("down").filter(|down| !down.is_empty()).map(|down| text(&down).as_str().into()),
            file: command.join(" "),
            down_file: words("down").filter(|down| !down.is_empty()).map(|down| down.join(" ")),
            effects: Vec::new(),
        })
    }
}

/// The shapes that a migration's body has with this runner.
pub(super) fn shapes(runner: Option<&Runner<'_>>) -> (body::Attributes, body::Blocks) {
    let command = runner.is_some_and(Runner::is_command);
    super::builtin::migration(!command, !command, runner.map(|runner| runner.schema))
}

//! What a migration does to the data and to those who use it, said before it runs. Pure: read off the statements'
//! words, without a database.
//!
//! It names what is known to hurt (the rules are those that PostgreSQL's and SQLite's manuals give for each command)
//! and stays silent about the rest: a table that the same migration creates is nobody's yet.

use super::class::{self, Class, Words};
use super::journal;
use super::source::{Migration, NO_TRANSACTION};
use super::sql::{self, Dialect};

/// What kind of harm a statement can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Data is gone afterwards, and no way back brings it back.
    Destroys,
    /// Others wait while it runs.
    Locks,
    /// Every row is written again, which takes as long as the table is large.
    Rewrites,
    /// It is refused by the database if there is data that does not fit.
    MayFail,
    /// The version that still serves no longer finds what it knew.
    Breaks,
}

/// One thing that a migration does to others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Effect {
    /// The line of the statement in the up file.
    pub line: usize,
    /// What kind it is.
    pub kind: EffectKind,
    /// One sentence for people, without a full stop.
    pub sentence: String,
}

/// A statement that cannot work where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct StatementError {
    /// The file's name.
    pub file: String,
    /// The line of the statement, the first being 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What the up text of a migration destroys, locks or rewrites, in order of its lines.
#[must_use]
pub fn effects(migration: &Migration, dialect: Dialect) -> Vec<Effect> {
    let mut reader = Reader { dialect, line: 0, created: Vec::new(), found: Vec::new() };
    for statement in sql::split(&migration.up, dialect) {
        reader.line = statement.line;
        reader.statement(&Words::new(statement.text, dialect));
    }
    reader.found
}

/// All statements of a migration, up and down, that cannot work where they stand.
#[must_use]
pub fn check(migration: &Migration, dialect: Dialect) -> Vec<StatementError> {
    let mut errors = Vec::new();
    check_text(&migration.up_file, &migration.up, migration.no_transaction, dialect, &mut errors);
    if let (Some(file), Some(text)) = (&migration.down_file, &migration.down) {
        check_text(file, text, false, dialect, &mut errors);
    }
    errors
}

fn check_text(file: &str, text: &str, alone: bool, dialect: Dialect, errors: &mut Vec<StatementError>) {
    let statements = sql::split(text, dialect);
    // In a file without a transaction of its own: the line of the BEGIN that is open.
    let mut open: Option<usize> = None;
    for statement in &statements {
        let mut add = |message: String, hint: &str| {
            errors.push(StatementError { file: file.into(), line: statement.line, message, hint: hint.into() });
        };
        match class::class(statement, dialect) {
            Class::Client(what) => add(
                format!("{what} works only in a shell, not in a migration"),
                "Write plain SQL: `INSERT` statements instead of `COPY … FROM STDIN`.",
            ),
            Class::Begin | Class::Commit | Class::Rollback if !alone => add(
                "a migration runs in one transaction, which this statement would open or end".into(),
                "Remove the statement: what fails is taken back by itself.",
            ),
            Class::Alone(what) | Class::Late(what) if !alone => add(
                format!("{what} cannot run inside of a transaction, and a migration runs in one"),
                &format!("Put it into a migration file of its own that opens with the line `{NO_TRANSACTION}`."),
            ),
            Class::Begin if open.is_some() => {
                add("a transaction is open here already".into(), "End it with `COMMIT` first.");
            }
            Class::Begin => open = Some(statement.line),
            Class::Commit if open.take().is_none() => {
                add("there is no transaction to commit here".into(), "Remove the statement.");
            }
            Class::Rollback => add(
                "a migration that takes itself back does nothing".into(),
                "Remove the statements from `BEGIN` to here, or end them with `COMMIT`.",
            ),
            Class::Alone(what) if open.is_some() => {
                add(format!("{what} cannot run inside of a transaction"), "Move it behind the `COMMIT`.");
            }
            _ if Words::new(statement.text, dialect).mentions(journal::TABLE) => add(
                format!("the table {} is Gantry's own journal", journal::TABLE),
                "Remove the statement: a journal that others write to can no longer be believed.",
            ),
            _ => {}
        }
    }
    if let Some(line) = open {
        errors.push(StatementError {
            file: file.into(),
            line,
            message: "the transaction that is opened here is never committed".into(),
            hint: "Add `COMMIT;`.".into(),
        });
    }
}

struct Reader {
    dialect: Dialect,
    line: usize,
    /// Tables that this migration creates, in [`folded`] form.
    created: Vec<String>,
    found: Vec<Effect>,
}

/// A name as the database compares it, near enough: quotes off, lower case.
fn folded(name: &str) -> String {
    name.replace(['"', '`', '[', ']'], "").to_lowercase()
}

impl Reader {
    fn add(&mut self, kind: EffectKind, sentence: String) {
        self.found.push(Effect { line: self.line, kind, sentence });
    }

    fn is_new(&self, table: &str) -> bool {
        self.created.contains(&folded(table))
    }

    /// The name at `at`, unless this migration created it.
    fn old(&self, w: &Words<'_>, at: usize) -> Option<(String, usize)> {
        w.name(at).filter(|(name, _)| !self.is_new(name))
    }

    fn statement(&mut self, w: &Words<'_>) {
        match () {
            () if w.is(0, "DROP") => self.drop(w),
            () if w.is(0, "TRUNCATE") => self.truncate(w),
            () if w.are(0, &["DELETE", "FROM"]) => self.delete(w),
            () if w.is(0, "UPDATE") => self.update(w),
            () if w.are(0, &["ALTER", "TABLE"]) => self.alter_table(w),
            () if w.is(0, "CREATE") => self.create(w),
            () if self.dialect == Dialect::Postgres => self.maintenance(w),
            () => {}
        }
    }

    fn drop(&mut self, w: &Words<'_>) {
        let mut at = 2;
        let what = match () {
            () if w.is(1, "TABLE") => "table",
            () if w.is(1, "SCHEMA") => "schema",
            () if w.is(1, "DATABASE") => "database",
            () if w.are(1, &["MATERIALIZED", "VIEW"]) => "materialized view",
            () if w.is(1, "INDEX") => return self.drop_index(w),
            () => return,
        };
        at += usize::from(what == "materialized view");
        at += if w.are(at, &["IF", "EXISTS"]) { 2 } else { 0 };
        for (from, _) in w.list(at) {
            if let Some((name, _)) = self.old(w, from) {
                self.add(EffectKind::Destroys, format!("drops the {what} {name} and all that is in it"));
            }
        }
    }

    fn drop_index(&mut self, w: &Words<'_>) {
        if self.dialect == Dialect::Postgres && !w.has(&["CONCURRENTLY"]) {
            let at = if w.are(2, &["IF", "EXISTS"]) { 4 } else { 2 };
            if let Some((name, _)) = w.name(at) {
                self.add(EffectKind::Locks, format!("blocks reads and writes of the table of {name} for a moment"));
            }
        }
    }

    fn truncate(&mut self, w: &Words<'_>) {
        let at = 1 + usize::from(w.is(1, "TABLE"));
        for (from, _) in w.list(at) {
            if let Some((name, _)) = self.old(w, from + usize::from(w.is(from, "ONLY"))) {
                self.add(EffectKind::Destroys, format!("deletes every row of {name}"));
            }
        }
    }

    fn delete(&mut self, w: &Words<'_>) {
        if let Some((name, _)) = self.old(w, 2 + usize::from(w.is(2, "ONLY"))) {
            let which = if w.has(&["WHERE"]) { "rows" } else { "every row" };
            self.add(EffectKind::Destroys, format!("deletes {which} of {name}"));
        }
    }

    fn update(&mut self, w: &Words<'_>) {
        if let Some((name, _)) = self.old(w, 1 + usize::from(w.is(1, "ONLY")))
            && !w.has(&["WHERE"])
        {
            self.add(EffectKind::Rewrites, format!("changes every row of {name}"));
        }
    }

    fn create(&mut self, w: &Words<'_>) {
        if let Some(index) = w.find(0, 3, &["INDEX"]) {
            let Some(on) = w.find(index, w.len(), &["ON"]) else { return };
            if let Some((table, _)) = self.old(w, on + 1 + usize::from(w.is(on + 1, "ONLY")))
                && self.dialect == Dialect::Postgres
                && !w.is(index + 1, "CONCURRENTLY")
            {
                self.add(EffectKind::Locks, format!("blocks writes to {table} until the index is built"));
            }
            return;
        }
        // CREATE [GLOBAL|LOCAL] [TEMPORARY|UNLOGGED|VIRTUAL|FOREIGN] TABLE [IF NOT EXISTS] name
        if let Some(table) = w.find(0, 4, &["TABLE"]) {
            // With IF NOT EXISTS it may be an old one.
            if let Some((name, _)) = w.name(table + 1).filter(|_| !w.is(table + 1, "IF")) {
                self.created.push(folded(&name));
            }
        }
    }

    fn maintenance(&mut self, w: &Words<'_>) {
        let whole = |name: Option<(String, usize)>| name.map_or_else(|| "the whole database".to_owned(), |n| n.0);
        match () {
            () if w.is(0, "LOCK") => {
                if let Some((name, _)) = self.old(w, 1 + usize::from(w.is(1, "TABLE"))) {
                    self.add(EffectKind::Locks, format!("locks {name} until the migration ends"));
                }
            }
            () if w.is(0, "REINDEX") && !w.has(&["CONCURRENTLY"]) => {
                let name = whole(w.name(w.len().saturating_sub(1)));
                self.add(EffectKind::Locks, format!("blocks writes while the indexes of {name} are built again"));
            }
            () if w.is(0, "CLUSTER") => {
                let name = whole(w.name(1));
                self.add(EffectKind::Rewrites, format!("writes {name} again and blocks reads and writes meanwhile"));
            }
            () if w.is(0, "VACUUM") && w.mentions("FULL") => {
                let last = w.name(w.len().saturating_sub(1)).filter(|(n, _)| !n.eq_ignore_ascii_case("full"));
                let name = whole(last);
                self.add(EffectKind::Rewrites, format!("writes {name} again and blocks reads and writes meanwhile"));
            }
            () => {}
        }
    }

    fn alter_table(&mut self, w: &Words<'_>) {
        let mut at = 2;
        at += if w.are(at, &["IF", "EXISTS"]) { 2 } else { 0 };
        at += usize::from(w.is(at, "ONLY"));
        let Some((table, actions)) = self.old(w, at) else { return };
        for (from, to) in w.list(actions) {
            match () {
                () if w.is(from, "DROP") => self.alter_drop(w, &table, from),
                () if w.is(from, "RENAME") => self.alter_rename(w, &table, from, to),
                () if w.is(from, "ADD") => self.alter_add(w, &table, from, to),
                () if w.is(from, "ALTER") => self.alter_column(w, &table, from, to),
                () if w.are(from, &["SET", "TABLESPACE"])
                    || w.are(from, &["SET", "LOGGED"])
                    || w.are(from, &["SET", "UNLOGGED"]) =>
                {
                    self.add(
                        EffectKind::Rewrites,
                        format!("writes {table} again and blocks reads and writes meanwhile"),
                    );
                }
                () => {}
            }
        }
    }

    fn alter_drop(&mut self, w: &Words<'_>, table: &str, from: usize) {
        if w.is(from + 1, "CONSTRAINT") {
            return;
        }
        let mut at = from + 1 + usize::from(w.is(from + 1, "COLUMN"));
        at += if w.are(at, &["IF", "EXISTS"]) { 2 } else { 0 };
        if let Some((column, _)) = w.name(at) {
            self.add(EffectKind::Destroys, format!("drops the column {column} of {table} with its values"));
        }
    }

    fn alter_rename(&mut self, w: &Words<'_>, table: &str, from: usize, to: usize) {
        let Some((new, _)) = w.find(from, to, &["TO"]).and_then(|to| w.name(to + 1)) else { return };
        if w.is(from + 1, "CONSTRAINT") {
            return;
        }
        let old = if w.is(from + 1, "TO") {
            table.to_owned()
        } else {
            let at = from + 1 + usize::from(w.is(from + 1, "COLUMN"));
            w.name(at).map_or_else(String::new, |(c, _)| format!("{table}.{c}"))
        };
        self.add(EffectKind::Breaks, format!("renames {old} to {new}: what still asks for the old name fails"));
    }

    fn alter_add(&mut self, w: &Words<'_>, table: &str, from: usize, to: usize) {
        let has = |words: &[&str]| w.find(from, to, words).is_some();
        let postgres = self.dialect == Dialect::Postgres;
        let constraint = w.is_any(from + 1, &["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE"]);
        if constraint {
            if !postgres || has(&["NOT", "VALID"]) || has(&["USING", "INDEX"]) {
                return;
            }
            if has(&["FOREIGN", "KEY"]) {
                let sentence =
                    format!("blocks writes to {table} and to the table it refers to while all rows are checked");
                self.add(EffectKind::Locks, sentence);
            } else {
                self.add(EffectKind::Locks, format!("blocks reads and writes of {table} while all rows are checked"));
            }
            return;
        }
        let mut at = from + 1 + usize::from(w.is(from + 1, "COLUMN"));
        at += if w.are(at, &["IF", "NOT", "EXISTS"]) { 3 } else { 0 };
        let Some((column, kind)) = w.name(at) else { return };
        let filled =
            has(&["DEFAULT"]) || has(&["GENERATED"]) || w.is_any(kind, &["serial", "bigserial", "smallserial"]);
        if has(&["NOT", "NULL"]) && !filled {
            let sentence = format!("adds {table}.{column} without a default but not null: fails if {table} has a row");
            self.add(EffectKind::MayFail, sentence);
        }
        // A default that differs from row to row cannot be kept in the catalogue.
        const VOLATILE: [&str; 5] = ["random", "gen_random_uuid", "uuid_generate_v4", "clock_timestamp", "nextval"];
        let volatile = w.find(from, to, &["DEFAULT"]).is_some_and(|at| w.is_any(at + 1, &VOLATILE));
        let serial = w.is_any(kind, &["serial", "bigserial", "smallserial"]);
        if postgres && (volatile || serial || has(&["GENERATED"])) {
            let sentence =
                format!("fills {table}.{column} in every row and blocks reads and writes of {table} meanwhile");
            self.add(EffectKind::Rewrites, sentence);
        }
    }

    fn alter_column(&mut self, w: &Words<'_>, table: &str, from: usize, to: usize) {
        let at = from + 1 + usize::from(w.is(from + 1, "COLUMN"));
        let Some((column, action)) = w.name(at) else { return };
        if w.is(action, "TYPE") || w.are(action, &["SET", "DATA", "TYPE"]) {
            let sentence =
                format!("may write {table} again for the new type of {column} and blocks reads and writes meanwhile");
            self.add(EffectKind::Rewrites, sentence);
        } else if w.find(action, to, &["SET", "NOT", "NULL"]).is_some() {
            let sentence = format!(
                "blocks reads and writes of {table} while all rows are checked; fails if {column} is null in one"
            );
            self.add(EffectKind::Locks, sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::source;

    fn migration(up: &str) -> Migration {
        source::parse(&[("0001_a.sql".into(), up.as_bytes().to_vec())]).unwrap().remove(0)
    }

    fn seen(up: &str, dialect: Dialect) -> Vec<String> {
        let all = effects(&migration(up), dialect);
        all.into_iter().map(|e| format!("{} {:?} {}", e.line, e.kind, e.sentence)).collect()
    }

    #[test]
    fn what_hurts_is_said_with_its_line() {
        let table = [
            (
                "DROP TABLE IF EXISTS a, public.\"B\" CASCADE",
                vec![
                    "1 Destroys drops the table a and all that is in it",
                    "1 Destroys drops the table public.\"B\" and all that is in it",
                ],
            ),
            (
                "TRUNCATE TABLE a, ONLY b",
                vec!["1 Destroys deletes every row of a", "1 Destroys deletes every row of b"],
            ),
            ("\n\nDELETE FROM a", vec!["3 Destroys deletes every row of a"]),
            ("DELETE FROM a WHERE x = 1", vec!["1 Destroys deletes rows of a"]),
            ("UPDATE a SET x = 1", vec!["1 Rewrites changes every row of a"]),
            ("UPDATE a SET x = (SELECT 1 WHERE true)", vec!["1 Rewrites changes every row of a"]),
            ("UPDATE a SET x = 1 WHERE y", vec![]),
            (
                "ALTER TABLE a DROP COLUMN b, DROP c, DROP CONSTRAINT d",
                vec![
                    "1 Destroys drops the column b of a with its values",
                    "1 Destroys drops the column c of a with its values",
                ],
            ),
            ("ALTER TABLE a RENAME TO b", vec!["1 Breaks renames a to b: what still asks for the old name fails"]),
            (
                "ALTER TABLE a RENAME COLUMN c TO d",
                vec!["1 Breaks renames a.c to d: what still asks for the old name fails"],
            ),
            (
                "ALTER TABLE a ADD COLUMN b int NOT NULL",
                vec!["1 MayFail adds a.b without a default but not null: fails if a has a row"],
            ),
            ("ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0", vec![]),
            ("ALTER TABLE a ADD COLUMN b text", vec![]),
            ("CREATE TABLE n (x int); CREATE INDEX i ON n (x); ALTER TABLE n ADD y int NOT NULL; DROP TABLE N", vec![]),
            ("SELECT 'DROP TABLE a' -- DROP TABLE b", vec![]),
        ];
        for (up, expected) in table {
            assert_eq!(seen(up, Dialect::Postgres), expected, "{up}");
            assert_eq!(seen(up, Dialect::Sqlite), expected, "{up}");
        }
    }

    #[test]
    fn locks_and_rewrites_are_postgres_own() {
        let table = [
            ("CREATE UNIQUE INDEX i ON a (b)", "1 Locks blocks writes to a until the index is built"),
            ("DROP INDEX i", "1 Locks blocks reads and writes of the table of i for a moment"),
            (
                "ALTER TABLE a ALTER COLUMN b TYPE bigint",
                "1 Rewrites may write a again for the new type of b and blocks reads and writes meanwhile",
            ),
            (
                "ALTER TABLE a ALTER b SET NOT NULL",
                "1 Locks blocks reads and writes of a while all rows are checked; fails if b is null in one",
            ),
            (
                "ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (d)",
                "1 Locks blocks writes to a and to the table it refers to while all rows are checked",
            ),
            (
                "ALTER TABLE a ADD u uuid DEFAULT gen_random_uuid()",
                "1 Rewrites fills a.u in every row and blocks reads and writes of a meanwhile",
            ),
            ("VACUUM FULL a", "1 Rewrites writes a again and blocks reads and writes meanwhile"),
        ];
        for (up, expected) in table {
            assert_eq!(seen(up, Dialect::Postgres), vec![expected], "{up}");
        }
        for up in ["CREATE INDEX CONCURRENTLY i ON a (b)", "ALTER TABLE a ADD CONSTRAINT f CHECK (b > 0) NOT VALID"] {
            assert_eq!(seen(up, Dialect::Postgres), Vec::<String>::new(), "{up}");
        }
        assert_eq!(seen("CREATE INDEX i ON a (b)", Dialect::Sqlite), Vec::<String>::new());
    }

    fn refused(up: &str, dialect: Dialect) -> Vec<String> {
        check(&migration(up), dialect).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_migration_opens_and_ends_no_transaction() {
        let expected = "0001_a.sql:2: a migration runs in one transaction, which this statement would open or end";
        for word in ["BEGIN", "COMMIT", "END TRANSACTION", "ROLLBACK"] {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                assert_eq!(refused(&format!("SELECT 1;\n{word};"), dialect), vec![expected]);
            }
        }
        assert_eq!(refused("SAVEPOINT a; ROLLBACK TO a;", Dialect::Sqlite), Vec::<String>::new());
        assert_eq!(refused("DO $$ BEGIN PERFORM 1; END $$", Dialect::Postgres), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_run_in_a_transaction_needs_the_header() {
        let index = "CREATE INDEX CONCURRENTLY i ON a (b);";
        assert_eq!(
            refused(index, Dialect::Postgres),
            vec![
                "0001_a.sql:1: CREATE INDEX CONCURRENTLY cannot run inside of a transaction, and a migration runs in one"
            ]
        );
        assert_eq!(refused(&format!("{NO_TRANSACTION}\n{index}"), Dialect::Postgres), Vec::<String>::new());
        let open = format!("{NO_TRANSACTION}\nBEGIN;\n{index}\nCOMMIT;\nCOMMIT;\nBEGIN;");
        assert_eq!(
            refused(&open, Dialect::Postgres),
            vec![
                "0001_a.sql:3: CREATE INDEX CONCURRENTLY cannot run inside of a transaction",
                "0001_a.sql:5: there is no transaction to commit here",
                "0001_a.sql:6: the transaction that is opened here is never committed",
            ]
        );
    }

    #[test]
    fn the_journal_and_shell_commands_are_refused() {
        assert_eq!(
            refused("DELETE FROM \"gantry_migrations\"", Dialect::Postgres),
            vec!["0001_a.sql:1: the table gantry_migrations is Gantry's own journal"]
        );
        assert_eq!(refused("COPY a FROM STDIN", Dialect::Postgres).len(), 1);
    }
}

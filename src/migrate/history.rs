//! What is still to be applied, and whether the past is what the directory says. Pure.

use super::journal::{Applied, Journal, State};
use super::source::Migration;

/// A migration that is to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending<'a> {
    /// Which.
    pub migration: &'a Migration,
    /// For one that is half applied: how many of its statements took effect already.
    pub resumes_after: Option<usize>,
}

/// What to make of a migration that was applied and is not in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// An error: a file got lost, or this is an older checkout.
    Refuse,
    /// Fine: an older configuration is being gone back to.
    Allow,
}

/// A directory that does not fit what was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HistoryError {
    /// The version it is about.
    pub version: u64,
    /// The file, where there is one.
    pub file: Option<String>,
    /// What does not fit.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// The migrations that are to be applied, in order.
///
/// # Errors
/// Every way in which the directory and the journal do not fit, sorted by version.
pub fn pending<'a>(
    migrations: &'a [Migration],
    journal: &Journal,
    missing: Missing,
) -> Result<Vec<Pending<'a>>, Vec<HistoryError>> {
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for migration in migrations {
        match journal.get(migration.version) {
            Some(applied) => match compare(migration, applied, journal) {
                Ok(Some(committed)) => found.push(Pending { migration, resumes_after: Some(committed) }),
                Ok(None) => {}
                Err(error) => errors.push(error),
            },
            None => match newer(migration, journal) {
                Some(error) => errors.push(error),
                None => found.push(Pending { migration, resumes_after: None }),
            },
        }
    }
    let lost = journal.applied.iter().filter(|a| !migrations.iter().any(|m| m.version == a.version));
    errors.extend(lost.filter(|_| missing == Missing::Refuse).map(lost_error));
    errors.sort_by_key(|e| e.version);
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Whether a recorded migration is as it was; the number of statements that took effect where it is half applied.
pub(crate) fn compare(
    migration: &Migration,
    applied: &Applied,
    journal: &Journal,
) -> Result<Option<usize>, HistoryError> {
    let error = |message: String, hint: &str| {
        Err(HistoryError {
            version: migration.version,
            file: Some(migration.up_file.clone()),
            message,
            hint: hint.into(),
        })
    };
    let State::InProgress { committed, .. } = applied.state else {
        if migration.checksum == applied.checksum {
            return Ok(None);
        }
        return error(
            format!(
                "{} was changed after it had been applied on {}: applied was {}, the file is {} now",
                migration.up_file, applied.applied_at, applied.checksum, migration.checksum
            ),
            "Put the file back as it was and write the change as a new migration with a higher number.",
        );
    };
    if !migration.no_transaction {
        return error(
            format!("{} is half applied, statement by statement, and no longer says so", migration.up_file),
            &format!("Put the line `{}` back to the file's top.", super::source::NO_TRANSACTION),
        );
    }
    let hashes = migration.statement_hashes(journal.dialect);
    let kept = hashes.iter().zip(&applied.statements).take(committed).take_while(|(a, b)| a == b).count();
    if kept < committed {
        return error(
            format!(
                "statement {} of {} was changed, but it took effect already: applied was {}, the file has {} now",
                kept + 1,
                migration.up_file,
                applied.statements.get(kept).map_or("nothing", String::as_str),
                hashes.get(kept).map_or("nothing", String::as_str),
            ),
            &format!("Put the first {committed} statements back as they were; those behind them may be changed."),
        );
    }
    Ok(Some(committed))
}

/// The error of a migration that is new and older than one that was applied.
pub(crate) fn newer(migration: &Migration, journal: &Journal) -> Option<HistoryError> {
    let newest = journal.applied.last().filter(|a| a.version > migration.version)?;
    Some(HistoryError {
        version: migration.version,
        file: Some(migration.up_file.clone()),
        message: format!(
            "{} is new, but the later {} was applied already: on another database they would run in another order",
            migration.up_file, newest.up_file
        ),
        hint: format!("Give {} a number above {}.", migration.up_file, newest.version),
    })
}

fn lost_error(applied: &Applied) -> HistoryError {
    HistoryError {
        version: applied.version,
        file: None,
        message: format!(
            "{} was applied by run {} on {} and is not in the directory",
            applied.up_file, applied.run, applied.applied_at
        ),
        hint: "Look whether the checkout is complete and up to date. To take the migration back, roll back to a generation \
               before it."
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::record_of;
    use super::super::source::parse;
    use super::super::sql::Dialect;
    use super::*;

    fn migrations(list: &[(&str, &str)]) -> Vec<Migration> {
        parse(&list.iter().map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec())).collect::<Vec<_>>()).unwrap()
    }

    fn journal(list: &[(&Migration, State)]) -> Journal {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let record = |(m, s): &(&Migration, State)| record_of(m, Dialect::Sqlite, *s, "r1", now);
        Journal { dialect: Dialect::Sqlite, applied: list.iter().map(record).collect() }
    }

    fn messages(result: Result<Vec<Pending<'_>>, Vec<HistoryError>>) -> Vec<String> {
        result.unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_not_recorded_is_pending() {
        let all = migrations(&[("1_a.sql", "SELECT 1"), ("2_b.sql", "SELECT 2"), ("3_c.sql", "SELECT 3")]);
        let journal = journal(&[(&all[0], State::Applied)]);
        let found = pending(&all, &journal, Missing::Refuse).unwrap();
        assert_eq!(found.iter().map(|p| p.migration.version).collect::<Vec<_>>(), vec![2, 3]);
        assert_eq!(journal.version(), Some(1));
    }

    #[test]
    fn a_changed_file_shows_both_hashes() {
        let old = migrations(&[("1_a.sql", "SELECT 1")]);
        let new = migrations(&[("1_a.sql", "SELECT 2")]);
        let all = messages(pending(&new, &journal(&[(&old[0], State::Applied)]), Missing::Refuse));
        assert_eq!(all.len(), 1);
        assert!(all[0].contains(&old[0].checksum) && all[0].contains(&new[0].checksum), "{all:?}");
    }

    #[test]
    fn a_lost_file_is_an_error_unless_the_way_leads_back() {
        let all = migrations(&[("1_a.sql", "SELECT 1"), ("2_b.sql", "SELECT 2")]);
        let journal = journal(&[(&all[0], State::Applied), (&all[1], State::Applied)]);
        assert_eq!(
            messages(pending(&all[..1], &journal, Missing::Refuse)),
            vec!["2_b.sql was applied by run r1 on 1970-01-01T00:00:00Z and is not in the directory"]
        );
        assert_eq!(pending(&all[..1], &journal, Missing::Allow), Ok(vec![]));
    }

    #[test]
    fn a_new_migration_below_an_applied_one_is_refused() {
        let all = migrations(&[("1_a.sql", "SELECT 1"), ("2_b.sql", "SELECT 2")]);
        let found = messages(pending(&all, &journal(&[(&all[1], State::Applied)]), Missing::Refuse));
        assert_eq!(
            found,
            vec![
                "1_a.sql is new, but the later 2_b.sql was applied already: on another database they would run in another order"
            ]
        );
    }

    #[test]
    fn a_half_applied_one_goes_on_if_what_took_effect_is_unchanged() {
        let text = |third: &str| format!("-- gantry:no-transaction\nSELECT 1; SELECT 2; SELECT {third};");
        let old = migrations(&[("1_a.sql", &text("3"))]);
        let journal = journal(&[(&old[0], State::InProgress { started: 3, committed: 2 })]);
        let new = migrations(&[("1_a.sql", &text("4"))]);
        assert_eq!(pending(&new, &journal, Missing::Refuse).unwrap()[0].resumes_after, Some(2));
        let bad = migrations(&[("1_a.sql", "-- gantry:no-transaction\nSELECT 1; SELECT 0; SELECT 3;")]);
        assert!(
            messages(pending(&bad, &journal, Missing::Refuse))[0].starts_with("statement 2 of 1_a.sql was changed")
        );
        let headless = migrations(&[("1_a.sql", "SELECT 1; SELECT 2; SELECT 3;")]);
        assert_eq!(messages(pending(&headless, &journal, Missing::Refuse)).len(), 1);
    }
}

//! A directory of versioned SQL, read into migrations. Pure: files come in as names and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::sql::{self, Dialect};

/// Opens a file whose statements run one by one, each for itself, instead of in one transaction.
pub const NO_TRANSACTION: &str = "-- gantry:no-transaction";

/// The largest migration file, in bytes. It is held in memory, in the journal and in the ledger.
pub const MAX_FILE: usize = 16 * 1024 * 1024;

/// Versions are stored as signed 64-bit integers.
const MAX_VERSION: u64 = i64::MAX.unsigned_abs();

/// One step of a database's schema.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Migration {
    /// Its number; migrations are applied in this order.
    pub version: u64,
    /// Its name, from the file name.
    pub name: String,
    /// The SQL that applies it.
    pub up: Arc<str>,
    /// The SQL that takes it back, if there is a way back.
    pub down: Option<Arc<str>>,
    /// SHA-256 of the up text's bytes, in hexadecimal digits.
    pub checksum: String,
    /// Whether the up file opens with [`NO_TRANSACTION`].
    pub no_transaction: bool,
    /// The file that `up` was read from.
    pub up_file: String,
    /// The file that `down` was read from.
    pub down_file: Option<String>,
}

impl Migration {
    /// A hash per statement of the up text: SHA-256 in hexadecimal digits, comments and spaces around left out.
    #[must_use]
    pub fn statement_hashes(&self, dialect: Dialect) -> Vec<String> {
        sql::split(&self.up, dialect).iter().map(|s| sha256(s.text.as_bytes())).collect()
    }

    /// As people name it: `0001_create_orders`, from the file's name.
    #[must_use]
    pub fn title(&self) -> &str {
        let stem = self.up_file.strip_suffix(".sql").unwrap_or(&self.up_file);
        stem.strip_suffix(".up").unwrap_or(stem)
    }
}

/// A file that is no migration although it should be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct SourceError {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

struct Found<'a> {
    file: &'a str,
    name: &'a str,
    text: &'a str,
}

#[derive(Default)]
struct Version<'a> {
    up: Option<Found<'a>>,
    down: Option<Found<'a>>,
}

/// Reads the migrations of a directory, given as (file name, content), sorted by version.
///
/// `NNNN_name.up.sql` applies and `NNNN_name.down.sql` takes back; `NNNN_name.sql` applies and has no way back. Files
/// that do not end in `.sql`, and hidden ones, are none of ours.
///
/// # Errors
/// All that is wrong, each with its file, sorted by file name.
pub fn parse(files: &[(String, Vec<u8>)]) -> Result<Vec<Migration>, Vec<SourceError>> {
    let mut errors = Vec::new();
    let mut versions: BTreeMap<u64, Version<'_>> = BTreeMap::new();
    let mut sorted: Vec<&(String, Vec<u8>)> = files.iter().collect();
    sorted.sort();
    for (file, bytes) in sorted {
        if file.starts_with('.') || !file.to_ascii_lowercase().ends_with(".sql") {
            continue;
        }
        match read(file, bytes) {
            Ok((version, way, found)) => place(versions.entry(version).or_default(), way, found, &mut errors),
            Err(error) => errors.push(error),
        }
    }
    // A version of which one file is already reported may look incomplete only because of that.
    let known_bad = !errors.is_empty();
    let migrations = versions.into_iter().filter_map(|(number, found)| {
        complete(number, found).map_err(|error| errors.extend((!known_bad).then_some(error))).ok().flatten()
    });
    let migrations: Vec<Migration> = migrations.collect();
    if errors.is_empty() {
        Ok(migrations)
    } else {
        errors.sort_by(|a, b| a.file.cmp(&b.file));
        Err(errors)
    }
}

fn read<'a>(file: &'a str, bytes: &'a [u8]) -> Result<(u64, Way, Found<'a>), SourceError> {
    let error =
        |message: &str, hint: &str| SourceError { file: file.into(), message: message.into(), hint: hint.into() };
    let (version, name, way) = name_parts(file).map_err(|message| {
        error(
            &message,
            "Name it like `0001_create_orders.up.sql` and, for the way back, `0001_create_orders.down.sql`.",
        )
    })?;
    if bytes.len() > MAX_FILE {
        return Err(error(
            &format!("it is larger than the limit of {MAX_FILE} bytes"),
            "Load data of this size outside of migrations, or split the file.",
        ));
    }
    let text = str::from_utf8(bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        error(&format!("line {line} is not valid UTF-8"), "Save the file in UTF-8.")
    })?;
    if text.contains('\0') {
        return Err(error("it holds a NUL character", "Remove it: no database takes one in SQL."));
    }
    if text.starts_with('\u{feff}') {
        return Err(error("it opens with a byte order mark", "Save the file as UTF-8 without a byte order mark."));
    }
    if sql::split(text, Dialect::Postgres).is_empty() {
        return Err(error("it holds no statement", "Write the statement, `SELECT 1;` for none, or remove the file."));
    }
    if way == Way::Down && opens_with_header(text) {
        return Err(error(
            &format!("a way back always runs in one transaction, so `{NO_TRANSACTION}` has no place here"),
            "Remove that line, and write statements that run in a transaction: `DROP INDEX` without `CONCURRENTLY`.",
        ));
    }
    Ok((version, way, Found { file, name, text }))
}

fn name_parts(file: &str) -> Result<(u64, &str, Way), String> {
    let Some(stem) = file.strip_suffix(".sql") else {
        return Err("the file name has to end in `.sql`, in small letters".into());
    };
    let (stem, way) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(stem), _) => (stem, Way::Up),
        (_, Some(stem)) => (stem, Way::Down),
        _ => (stem, Way::Up),
    };
    let digits = stem.len() - stem.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = stem.split_at(digits);
    if number.is_empty() {
        return Err("the file name does not start with a version number".into());
    }
    let version = number.parse().ok().filter(|v| *v <= MAX_VERSION);
    let Some(version) = version else { return Err(format!("the version number {number} is too large")) };
    let name = rest.strip_prefix('_').unwrap_or_default();
    if name.is_empty() {
        return Err("the version number has to be followed by `_` and a name".into());
    }
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
        return Err(format!("the name may hold letters, digits, `_` and `-`, not {c:?}"));
    }
    Ok((version, name, way))
}

fn place<'a>(version: &mut Version<'a>, way: Way, found: Found<'a>, errors: &mut Vec<SourceError>) {
    let slot = if way == Way::Up { &mut version.up } else { &mut version.down };
    if let Some(first) = slot {
        errors.push(SourceError {
            file: found.file.into(),
            message: format!("it has the same version number as {}", first.file),
            hint: "Give each migration a number of its own; the one that is applied nowhere yet is the one to rename."
                .into(),
        });
    } else {
        *slot = Some(found);
    }
}

fn complete(version: u64, found: Version<'_>) -> Result<Option<Migration>, SourceError> {
    let (up, down) = match (found.up, found.down) {
        (Some(up), down) => (up, down),
        (None, Some(down)) => {
            return Err(SourceError {
                file: down.file.into(),
                message: "there is a way back but nothing that applies".into(),
                hint: format!("Add the file {}.", down.file.replace(".down.sql", ".up.sql")),
            });
        }
        (None, None) => return Ok(None),
    };
    if let Some(down) = &down
        && down.name != up.name
    {
        return Err(SourceError {
            file: down.file.into(),
            message: format!("its name differs from that of {}, which has the same version number", up.file),
            hint: "Both files of a migration carry the same number and the same name.".into(),
        });
    }
    Ok(Some(Migration {
        version,
        name: up.name.into(),
        up: up.text.into(),
        down: down.as_ref().map(|d| d.text.into()),
        checksum: sha256(up.text.as_bytes()),
        no_transaction: opens_with_header(up.text),
        up_file: up.file.into(),
        down_file: down.map(|d| d.file.into()),
    }))
}

/// Whether the first line that is not blank is the header [`NO_TRANSACTION`].
fn opens_with_header(text: &str) -> bool {
    text.trim_start().lines().next().is_some_and(|line| line.trim_end() == NO_TRANSACTION)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        list.iter().map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec())).collect()
    }

    fn errors(list: &[(&str, &str)]) -> Vec<String> {
        parse(&files(list)).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_directory_becomes_migrations_in_order_of_their_numbers() {
        let all = parse(&files(&[
            ("10_later.sql", "SELECT 10;"),
            ("README.md", "not ours"),
            (".0001_hidden.sql", ""),
            ("0002_b.up.sql", "SELECT 2;"),
            ("0002_b.down.sql", "SELECT -2;"),
            ("20240131120000_time-stamped.sql", "\n-- gantry:no-transaction\nSELECT 3;"),
        ]))
        .unwrap();
        let seen: Vec<_> = all.iter().map(|m| (m.version, m.name.as_str(), m.title(), m.down.as_deref())).collect();
        assert_eq!(
            seen,
            vec![
                (2, "b", "0002_b", Some("SELECT -2;")),
                (10, "later", "10_later", None),
                (20_240_131_120_000, "time-stamped", "20240131120000_time-stamped", None),
            ]
        );
        assert_eq!(all.iter().map(|m| m.no_transaction).collect::<Vec<_>>(), vec![false, false, true]);
        // `printf 'SELECT 2;' | sha256sum`
        assert_eq!(all[0].checksum, "8e7003d62f9d8cbd28da2f243bb0d215bfd4622c716be09be89a8764d9f4c7cb");
    }

    #[test]
    fn every_bad_file_is_named_with_the_reason() {
        let list = [
            ("0001.sql", "SELECT 1;"),
            ("create.sql", "SELECT 1;"),
            ("0002_b.SQL", "SELECT 1;"),
            ("0003_a b.sql", "SELECT 1;"),
            ("99999999999999999999_x.sql", "SELECT 1;"),
            ("0004_empty.up.sql", "-- nothing; here\n"),
            ("0005_a.up.sql", "SELECT 1;"),
            ("5_b.sql", "SELECT 1;"),
            ("0006_nul.sql", "SELECT '\0';"),
            ("0007_bom.sql", "\u{feff}SELECT 1;"),
        ];
        assert_eq!(
            errors(&list),
            vec![
                "0001.sql: the version number has to be followed by `_` and a name",
                "0002_b.SQL: the file name has to end in `.sql`, in small letters",
                "0003_a b.sql: the name may hold letters, digits, `_` and `-`, not ' '",
                "0004_empty.up.sql: it holds no statement",
                "0006_nul.sql: it holds a NUL character",
                "0007_bom.sql: it opens with a byte order mark",
                "5_b.sql: it has the same version number as 0005_a.up.sql",
                "99999999999999999999_x.sql: the version number 99999999999999999999 is too large",
                "create.sql: the file name does not start with a version number",
            ]
        );
    }

    #[test]
    fn a_way_back_needs_its_migration() {
        assert_eq!(
            errors(&[("0001_a.down.sql", "SELECT 1;")]),
            vec!["0001_a.down.sql: there is a way back but nothing that applies"]
        );
        assert_eq!(
            errors(&[("0001_a.up.sql", "SELECT 1;"), ("0001_b.down.sql", "SELECT 1;")]),
            vec!["0001_b.down.sql: its name differs from that of 0001_a.up.sql, which has the same version number"]
        );
        assert_eq!(
            errors(&[("0001_a.sql", "SELECT 1;"), ("0001_a.down.sql", "-- gantry:no-transaction\nSELECT 1;")]).len(),
            1
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_placed_by_line() {
        let bad = vec![("0001_a.sql".to_owned(), b"SELECT\n '\xff';".to_vec())];
        assert_eq!(parse(&bad).unwrap_err()[0].to_string(), "0001_a.sql: line 2 is not valid UTF-8");
    }

    #[test]
    fn statement_hashes_ignore_what_stands_between_statements() {
        let one = parse(&files(&[("1_a.sql", "SELECT 1; -- x\nSELECT 2;")])).unwrap().remove(0);
        let two = parse(&files(&[("1_a.sql", "/* y */ SELECT 1;\n\nSELECT 2")])).unwrap().remove(0);
        assert_ne!(one.checksum, two.checksum);
        assert_eq!(one.statement_hashes(Dialect::Sqlite), two.statement_hashes(Dialect::Sqlite));
        assert_eq!(one.statement_hashes(Dialect::Sqlite).len(), 2);
    }
}

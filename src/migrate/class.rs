//! What a statement does to transactions, read off its words.

use super::sql::{self, Dialect, Kind, Statement};

/// A statement's tokens without spaces and comments, to be asked for words.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    tokens: Vec<(Kind, &'a str)>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        let tokens = sql::tokens(text, dialect).into_iter().filter(|t| t.kind != Kind::Space);
        Self { tokens: tokens.map(|t| (t.kind, &text[t.range])).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether the token at `at` is this word (upper case) or mark.
    pub(crate) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|(kind, text)| matches!(kind, Kind::Word | Kind::Mark(_)) && text.eq_ignore_ascii_case(word))
    }

    pub(crate) fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|w| self.is(at, w))
    }

    /// Whether these words stand at `at`, one behind the other.
    pub(crate) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, w)| self.is(at + n, w))
    }

    /// Where these words first stand between `from` and `to`, outside of parentheses.
    pub(crate) fn find(&self, from: usize, to: usize, words: &[&str]) -> Option<usize> {
        let mut depth = 0_usize;
        for at in from..to.min(self.len()) {
            if self.is(at, "(") {
                depth += 1;
            } else if self.is(at, ")") {
                depth = depth.saturating_sub(1);
            } else if depth == 0 && self.are(at, words) {
                return Some(at);
            }
        }
        None
    }

    pub(crate) fn has(&self, words: &[&str]) -> bool {
        self.find(0, self.len(), words).is_some()
    }

    /// Whether any token, quoted ones included and at any depth, is this name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.tokens.iter().any(|(kind, text)| match kind {
            Kind::Word => text.eq_ignore_ascii_case(name),
            Kind::Quoted => text.get(1..text.len().saturating_sub(1)).is_some_and(|t| t.eq_ignore_ascii_case(name)),
            _ => false,
        })
    }

    /// The name at `at`, as written and possibly qualified, and the position behind it.
    pub(crate) fn name(&self, at: usize) -> Option<(String, usize)> {
        let part = |at: usize| self.tokens.get(at).filter(|(k, _)| matches!(k, Kind::Word | Kind::Quoted)).map(|t| t.1);
        let mut name = part(at)?.to_owned();
        let mut next = at + 1;
        while self.is(next, ".")
            && let Some(more) = part(next + 1)
        {
            name.push('.');
            name.push_str(more);
            next += 2;
        }
        Some((name, next))
    }

    /// The positions that follow commas outside of parentheses between `from` and the end, `from` first.
    pub(crate) fn list(&self, from: usize) -> Vec<(usize, usize)> {
        let mut items = Vec::new();
        let mut start = from;
        while let Some(comma) = self.find(start, self.len(), &[","]) {
            items.push((start, comma));
            start = comma + 1;
        }
        items.push((start, self.len()));
        items
    }
}

/// How a statement stands to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Opens a transaction.
    Begin,
    /// Ends one for good.
    Commit,
    /// Ends one for nothing.
    Rollback,
    /// Sets something that lasts as long as the connection.
    Session,
    /// Cannot run inside of a transaction; the words say what it is.
    Alone(&'static str),
    /// Can run inside of a transaction, but works only after its end; the words say what it is.
    Late(&'static str),
    /// Needs a client that sends data along; the words say what it is.
    Client(&'static str),
    /// Anything else.
    Plain,
}

/// Reads off what a statement is.
pub(crate) fn class(statement: &Statement<'_>, dialect: Dialect) -> Class {
    if statement.text.starts_with('\\') {
        return Class::Client("a command of the psql shell");
    }
    let w = Words::new(statement.text, dialect);
    match dialect {
        _ if w.is(0, "BEGIN") || w.are(0, &["START", "TRANSACTION"]) => Class::Begin,
        _ if w.is_any(0, &["COMMIT", "END"]) || w.are(0, &["PREPARE", "TRANSACTION"]) => Class::Commit,
        _ if w.is_any(0, &["ROLLBACK", "ABORT"]) && w.find(1, w.len(), &["TO"]).is_none() => Class::Rollback,
        Dialect::Sqlite => sqlite(&w),
        Dialect::Postgres => postgres(&w),
    }
}

fn sqlite(w: &Words<'_>) -> Class {
    match () {
        () if w.is(0, "PRAGMA") => Class::Session,
        () if w.is(0, "VACUUM") => Class::Alone("VACUUM"),
        () if w.is(0, "ATTACH") => Class::Session,
        () if w.is(0, "DETACH") => Class::Alone("DETACH"),
        () => Class::Plain,
    }
}

/// The list is that of `PreventInTransactionBlock` in PostgreSQL's source, and `ALTER TYPE … ADD VALUE`, whose value
/// cannot be used before the transaction is committed.
fn postgres(w: &Words<'_>) -> Class {
    let concurrently = w.has(&["CONCURRENTLY"]);
    match () {
        () if w.is(0, "COPY") && (w.has(&["FROM", "STDIN"]) || w.has(&["TO", "STDOUT"])) => {
            Class::Client("COPY with STDIN or STDOUT")
        }
        () if w.is(0, "VACUUM") => Class::Alone("VACUUM"),
        () if w.is(0, "CREATE") && concurrently && w.has(&["INDEX"]) => Class::Alone("CREATE INDEX CONCURRENTLY"),
        () if w.are(0, &["DROP", "INDEX"]) && concurrently => Class::Alone("DROP INDEX CONCURRENTLY"),
        () if w.is(0, "REINDEX") && concurrently => Class::Alone("REINDEX CONCURRENTLY"),
        () if w.is(0, "REINDEX") && (w.has(&["DATABASE"]) || w.has(&["SYSTEM"]) || w.has(&["SCHEMA"])) => {
            Class::Alone("REINDEX of a database, system or schema")
        }
        () if w.are(0, &["ALTER", "TABLE"]) && w.has(&["DETACH", "PARTITION"]) && concurrently => {
            Class::Alone("DETACH PARTITION CONCURRENTLY")
        }
        () if w.are(0, &["CREATE", "DATABASE"]) => Class::Alone("CREATE DATABASE"),
        () if w.are(0, &["DROP", "DATABASE"]) => Class::Alone("DROP DATABASE"),
        () if w.are(0, &["CREATE", "TABLESPACE"]) => Class::Alone("CREATE TABLESPACE"),
        () if w.are(0, &["DROP", "TABLESPACE"]) => Class::Alone("DROP TABLESPACE"),
        () if w.are(0, &["ALTER", "SYSTEM"]) => Class::Alone("ALTER SYSTEM"),
        () if w.are(0, &["CREATE", "SUBSCRIPTION"]) => Class::Alone("CREATE SUBSCRIPTION"),
        () if w.are(0, &["DROP", "SUBSCRIPTION"]) => Class::Alone("DROP SUBSCRIPTION"),
        () if w.is(0, "CLUSTER") && w.len() == 1 => Class::Alone("CLUSTER of all tables"),
        () if w.are(0, &["ALTER", "TYPE"]) && w.has(&["ADD", "VALUE"]) => Class::Late("ALTER TYPE … ADD VALUE"),
        () if w.is_any(0, &["SET", "RESET", "DISCARD"]) && !w.is(1, "LOCAL") && !w.is(1, "CONSTRAINTS") => {
            Class::Session
        }
        () => Class::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, dialect: Dialect) -> Class {
        class(&Statement { text, line: 1 }, dialect)
    }

    #[test]
    fn statements_are_told_apart_by_their_words() {
        use Class::{Alone, Begin, Client, Commit, Late, Plain, Rollback, Session};
        for (text, class) in [
            ("begin", Begin),
            ("START /* */ TRANSACTION ISOLATION LEVEL SERIALIZABLE", Begin),
            ("commit and chain", Commit),
            ("END", Commit),
            ("ROLLBACK", Rollback),
            ("ROLLBACK TO SAVEPOINT a", Plain),
            ("SAVEPOINT a", Plain),
            ("create unique index concurrently a on b (c)", Alone("CREATE INDEX CONCURRENTLY")),
            ("CREATE INDEX a ON b (c)", Plain),
            ("CREATE INDEX a ON b (concurrently)", Plain),
            ("SELECT 'CREATE DATABASE'", Plain),
            ("CREATE TABLE concurrently (x int)", Plain),
            ("ALTER TYPE mood ADD VALUE 'x'", Late("ALTER TYPE … ADD VALUE")),
            ("ALTER TYPE mood ADD ATTRIBUTE x int", Plain),
            ("REINDEX TABLE a", Plain),
            ("REINDEX (VERBOSE) TABLE CONCURRENTLY a", Alone("REINDEX CONCURRENTLY")),
            ("COPY a (b) FROM STDIN", Client("COPY with STDIN or STDOUT")),
            ("COPY a FROM '/file'", Plain),
            ("\\connect other", Client("a command of the psql shell")),
            ("SET search_path = x", Session),
            ("SET LOCAL lock_timeout = 1", Plain),
        ] {
            assert_eq!(of(text, Dialect::Postgres), class, "{text}");
        }
        assert_eq!(of("PRAGMA foreign_keys = off", Dialect::Sqlite), Session);
        assert_eq!(of("VACUUM", Dialect::Sqlite), Alone("VACUUM"));
        assert_eq!(of("SET x = 1", Dialect::Sqlite), Plain);
    }
}

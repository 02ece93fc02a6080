//! SQL text into statements, without understanding it.
//!
//! The lexer knows what may hide a semicolon and nothing else: strings, quoted identifiers, comments, PostgreSQL's
//! dollar quotes, parentheses and `BEGIN ATOMIC … END` bodies, SQLite's trigger bodies. The rules are those of the
//! databases' own shells, whose files people bring: for PostgreSQL `psqlscan.l` (a semicolon counts outside of
//! parentheses and outside of the body of a `CREATE FUNCTION`), for SQLite `sqlite3_complete()` (a `CREATE TRIGGER`
//! ends at `; END ;`).
//!
//! Nothing is lost and nothing invented: the pieces of a text, joined, are that text.

use std::ops::Range;

/// The database whose SQL is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// One statement of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The statement, from its first word to its last character, without the semicolon and the comments before it.
    pub text: &'a str,
    /// The line on which it starts, the first line being 1.
    pub line: usize,
}

/// What the lexer tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space and comments.
    Space,
    /// A word or a number.
    Word,
    /// A quoted identifier.
    Quoted,
    /// A string of any form.
    Text,
    /// Any other single character.
    Mark(char),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// A stretch of a file that ends behind a statement's semicolon, or at the file's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// With all that stands before the statement and its semicolon.
    pub(crate) whole: Range<usize>,
    /// The statement alone; empty where only comments and spaces are.
    pub(crate) text: Range<usize>,
}

/// The statements of `sql` in order. Stretches of comments and spaces alone are no statement.
#[must_use]
pub fn split(sql: &str, dialect: Dialect) -> Vec<Statement<'_>> {
    let mut line = 1;
    let mut counted = 0;
    let mut statements = Vec::new();
    for piece in pieces(sql, dialect) {
        if piece.text.is_empty() {
            continue;
        }
        line += newlines(&sql[counted..piece.text.start]);
        counted = piece.text.start;
        statements.push(Statement { text: &sql[piece.text], line });
    }
    statements
}

/// How many line ends are in `text`.
pub(crate) fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

/// Cuts `sql` into pieces that, joined, are `sql`.
pub(crate) fn pieces(sql: &str, dialect: Dialect) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut state = Nesting::new(dialect);
    let mut whole = 0;
    let mut text: Option<Range<usize>> = None;
    for token in tokens(sql, dialect) {
        match token.kind {
            Kind::Space => {}
            Kind::Mark(';') if state.ends_here() => {
                out.push(Piece { whole: whole..token.range.end, text: text.take().unwrap_or(whole..whole) });
                whole = token.range.end;
                state = Nesting::new(dialect);
            }
            kind => {
                state.pass(kind, &sql[token.range.clone()]);
                text = Some(text.map_or(token.range.start, |t| t.start)..token.range.end);
            }
        }
    }
    if whole < sql.len() {
        out.push(Piece { whole: whole..sql.len(), text: text.unwrap_or(whole..whole) });
    }
    out
}

/// Whether a semicolon ends the statement that has been read so far.
struct Nesting {
    dialect: Dialect,
    /// The statement's first words, upper case, as many as tell what it creates.
    head: Vec<String>,
    parentheses: usize,
    /// Open `BEGIN` and `CASE` of a PostgreSQL function body.
    blocks: usize,
    /// In a SQLite trigger: how much of `; END` was read last.
    trigger_end: TriggerEnd,
}

#[derive(PartialEq, Eq)]
enum TriggerEnd {
    Inside,
    Semicolon,
    End,
}

/// As many words as `CREATE OR REPLACE TEMPORARY TRIGGER` has, and `EXPLAIN QUERY PLAN` before it.
const HEAD_WORDS: usize = 6;

impl Nesting {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, head: Vec::new(), parentheses: 0, blocks: 0, trigger_end: TriggerEnd::Inside }
    }

    fn is_trigger(&self) -> bool {
        let mut head = self.head.iter().map(String::as_str).skip_while(|w| matches!(*w, "EXPLAIN" | "QUERY" | "PLAN"));
        head.next() == Some("CREATE") && head.find(|w| !matches!(*w, "TEMP" | "TEMPORARY")) == Some("TRIGGER")
    }

    fn is_routine(&self) -> bool {
        let mut head = self.head.iter().map(String::as_str);
        head.next() == Some("CREATE")
            && matches!(head.find(|w| !matches!(*w, "OR" | "REPLACE")), Some("FUNCTION" | "PROCEDURE"))
    }

    fn ends_here(&self) -> bool {
        match self.dialect {
            Dialect::Postgres => self.parentheses == 0 && self.blocks == 0,
            Dialect::Sqlite => !self.is_trigger() || self.trigger_end == TriggerEnd::End,
        }
    }

    fn pass(&mut self, kind: Kind, text: &str) {
        let word = (kind == Kind::Word).then(|| text.to_ascii_uppercase());
        match (kind, word.as_deref()) {
            (Kind::Mark('('), _) => self.parentheses += 1,
            (Kind::Mark(')'), _) => self.parentheses = self.parentheses.saturating_sub(1),
            (_, Some("BEGIN")) if self.parentheses == 0 && self.is_routine() => self.blocks += 1,
            (_, Some("CASE")) if self.blocks > 0 => self.blocks += 1,
            (_, Some("END")) => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        self.trigger_end = match (&self.trigger_end, word.as_deref()) {
            (TriggerEnd::Semicolon, Some("END")) => TriggerEnd::End,
            _ if kind == Kind::Mark(';') => TriggerEnd::Semicolon,
            _ => TriggerEnd::Inside,
        };
        if let Some(word) = word
            && self.head.len() < HEAD_WORDS
        {
            self.head.push(word);
        }
    }
}

/// Cuts `sql` into tokens that, joined, are `sql`.
pub(crate) fn tokens(sql: &str, dialect: Dialect) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let (kind, len) = token(&sql[at..], dialect);
        match out.last_mut() {
            Some(last) if kind == Kind::Space && last.kind == Kind::Space => last.range.end = at + len,
            _ => out.push(Token { kind, range: at..at + len }),
        }
        at += len;
    }
    out
}

/// The first token of `rest`, which is not empty, and its length in bytes.
fn token(rest: &str, dialect: Dialect) -> (Kind, usize) {
    let Some(first) = rest.chars().next() else { return (Kind::Space, 0) };
    let postgres = dialect == Dialect::Postgres;
    match first {
        c if c.is_whitespace() || c == '\u{feff}' => (Kind::Space, c.len_utf8()),
        '-' if rest.starts_with("--") => (Kind::Space, rest.find('\n').map_or(rest.len(), |n| n + 1)),
        '/' if rest.starts_with("/*") => (Kind::Space, block_comment(rest, postgres)),
        '\'' => (Kind::Text, quoted(rest, '\'', false)),
        'e' | 'E' if postgres && rest[1..].starts_with('\'') => (Kind::Text, 1 + quoted(&rest[1..], '\'', true)),
        '"' => (Kind::Quoted, quoted(rest, '"', false)),
        '`' if !postgres => (Kind::Quoted, quoted(rest, '`', false)),
        '[' if !postgres => (Kind::Quoted, rest.find(']').map_or(rest.len(), |n| n + 1)),
        '$' if postgres => match dollar_quoted(rest) {
            Some(len) => (Kind::Text, len),
            None => (Kind::Mark('$'), 1),
        },
        c if is_word(c) => {
            let inside = |c: char| is_word(c) || c == '$';
            (Kind::Word, rest.find(|c| !inside(c)).unwrap_or(rest.len()))
        }
        c => (Kind::Mark(c), c.len_utf8()),
    }
}

/// Whether a word may start with `c`; digits too, a number being no different to a splitter.
fn is_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || (!c.is_ascii() && !c.is_whitespace() && c != '\u{feff}')
}

/// The length of a quoted text; a doubled quote inside stands for one. One that is never closed goes to the end.
fn quoted(rest: &str, quote: char, backslash: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if backslash && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

/// The length of a block comment; PostgreSQL's nest, SQLite's do not.
fn block_comment(rest: &str, nests: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut depth = 1;
    let mut at = 2;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            Some(b"/*") if nests => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `$tag$ … $tag$`, or `None` where the dollar opens no quote (as in `$1`).
fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag_len = rest[1..].find('$')? + 2;
    let tag = &rest[..tag_len];
    let name = &tag[1..tag_len - 1];
    if name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_word) {
        return None;
    }
    Some(rest[tag_len..].find(tag).map_or(rest.len(), |n| tag_len + n + tag_len))
}

#[cfg(test)]
mod tests {
    use super::Dialect::{Postgres, Sqlite};
    use super::*;
    use proptest::prelude::*;

    fn texts(sql: &str, dialect: Dialect) -> Vec<(&str, usize)> {
        split(sql, dialect).into_iter().map(|s| (s.text, s.line)).collect()
    }

    #[test]
    fn statements_carry_their_line_and_no_comment_before_them() {
        let sql = "-- a; comment\n/* b; */\nCREATE TABLE a (x int);\n\n  INSERT INTO a\n  VALUES (1) ; ;\n-- end";
        let expected = vec![("CREATE TABLE a (x int)", 3), ("INSERT INTO a\n  VALUES (1)", 5)];
        assert_eq!(texts(sql, Sqlite), expected);
        assert_eq!(texts(sql, Postgres), expected);
    }

    #[test]
    fn semicolons_inside_of_quotes_end_nothing() {
        for (dialect, one) in [
            (Sqlite, "SELECT 'a;''b;' , \"c;\"\"d\", `e;`, [f;]"),
            (Postgres, "SELECT 'a;''b;' , \"c;\"\"d\""),
            (Postgres, "SELECT E'a\\';b', e'\\\\'"),
            (Postgres, "SELECT 'a\\'"),
            (Sqlite, "SELECT 'a\\'"),
            (Postgres, "DO $$ BEGIN PERFORM 1; END; $$"),
            (Postgres, "DO $body$ BEGIN PERFORM $q$;$q$; $x$;$$ END $body$"),
            (Postgres, "SELECT $1, a$b$c, 2"),
            (Postgres, "SELECT /* a /* b; */ c; */ 1"),
            (Postgres, "SELECT arr[1], 'é;'"),
            (Postgres, "CREATE RULE r AS ON UPDATE TO a DO (DELETE FROM b; DELETE FROM c)"),
            (
                Postgres,
                "create or replace function f() returns int language sql begin atomic select case when true then 1 \
                 else 2 end; select 2; end",
            ),
        ] {
            let sql = format!("{one}; SELECT 2");
            assert_eq!(texts(&sql, dialect), vec![(one, 1), ("SELECT 2", 1)], "{dialect:?}: {one}");
        }
    }

    #[test]
    fn sqlite_comments_do_not_nest() {
        assert_eq!(texts("SELECT 1 /* a /* b */; SELECT 2", Sqlite).len(), 2);
    }

    #[test]
    fn a_trigger_ends_at_its_own_end() {
        let trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a WHEN CASE WHEN NEW.x THEN 1 ELSE 0 END\nBEGIN\n  UPDATE a \
                       SET x = CASE WHEN x > 1 THEN 0 ELSE NEW.end END;\n  SELECT 1;\nEND";
        let sql = format!("{trigger};\nSELECT 3;");
        assert_eq!(texts(&sql, Sqlite), vec![(trigger, 1), ("SELECT 3", 6)]);
        let open = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END";
        assert_eq!(texts(open, Sqlite), vec![(open, 1)]);
    }

    #[test]
    fn begin_is_a_statement_of_its_own() {
        assert_eq!(texts("BEGIN; SELECT 1; END;", Postgres).len(), 3);
        assert_eq!(texts("BEGIN; SELECT 1; END;", Sqlite).len(), 3);
    }

    #[test]
    fn what_is_never_closed_goes_to_the_end() {
        for sql in
            ["SELECT 'a; b", "SELECT \"a; b", "SELECT 1 /* a; b", "SELECT $x$ ; $y$", "SELECT (1; 2", "SELECT 1 -- ;"]
        {
            assert_eq!(split(sql, Postgres).len(), 1, "{sql}");
        }
    }

    /// Fragments that matter to the lexer, in any order.
    fn soup() -> impl Strategy<Value = String> {
        let fragment = prop::sample::select(vec![
            "'",
            "''",
            "\"",
            "`",
            "[",
            "]",
            "$",
            "$$",
            "$a$",
            "$1",
            ";",
            "--",
            "\n",
            "/*",
            "*/",
            "(",
            ")",
            "\\",
            "E'",
            " ",
            "CREATE ",
            "TRIGGER ",
            "FUNCTION ",
            "BEGIN ",
            "END",
            "CASE ",
            "é",
            "\u{a0}",
            "\u{feff}",
            "x",
            "0",
        ]);
        prop_oneof![prop::collection::vec(fragment, 0..40).prop_map(|v| v.concat()), any::<String>()]
    }

    proptest! {
        #[test]
        fn the_pieces_joined_are_the_text(sql in soup()) {
            for dialect in [Sqlite, Postgres] {
                let joined: String = pieces(&sql, dialect).iter().map(|p| &sql[p.whole.clone()]).collect();
                prop_assert_eq!(&joined, &sql);
                for piece in pieces(&sql, dialect) {
                    prop_assert!(piece.whole.start <= piece.text.start && piece.text.end <= piece.whole.end);
                }
            }
        }

        #[test]
        fn statements_joined_by_semicolons_split_into_themselves(
            parts in prop::collection::vec(prop::sample::select(vec![
                "SELECT 1", "INSERT INTO a VALUES (';')", "UPDATE \"a;b\" SET x = 2", "SELECT 'a''b' -- c\n || 'd'",
                "SELECT /* ; */ 1",
            ]), 0..12),
        ) {
            let sql = parts.iter().map(|p| format!("{p};\n")).collect::<String>();
            let mut line = 1;
            for dialect in [Sqlite, Postgres] {
                let expected: Vec<(&str, usize)> = parts.iter().map(|p| { let at = line; line += 1 + newlines(p); (*p, at) }).collect();
                prop_assert_eq!(texts(&sql, dialect), expected);
                line = 1;
            }
        }

        #[test]
        fn a_statement_stands_on_its_line(sql in soup()) {
            for dialect in [Sqlite, Postgres] {
                for statement in split(&sql, dialect) {
                    let start = statement.text.as_ptr() as usize - sql.as_ptr() as usize;
                    prop_assert_eq!(statement.line, 1 + newlines(&sql[..start]));
                }
            }
        }
    }
}

//! Regular expressions as Terraform has them (RE2, by Go's `regexp/syntax`: <https://github.com/google/re2/wiki/Syntax>),
//! rewritten for the `regex` crate, which has the same guarantee (time linear in the text) and almost the same syntax.
//!
//! What differs and is rewritten: `\d \s \w \b` are ASCII there; a class has no operators, and `[` in it is a character;
//! `{,n}` is text; `\Q…\E`; groups' names may begin with a digit. What RE2 refuses is refused with its words.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// The most repetitions that one operator may ask for, as in RE2.
const REPEAT_MAX: u32 = 1_000;

/// The most bytes that a compiled pattern may take; repetition in repetition reaches it at once.
const COMPILED_MAX: usize = 4 << 20;

/// How deep groups may nest: the compiler walks them on the stack, and refuses more than 250 levels of its own accord.
const DEPTH_MAX: usize = 200;

/// A pattern that was understood.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The compiled pattern; its groups have no names.
    pub(super) regex: Regex,
    /// The groups' names, from the first group on.
    pub(super) names: Vec<Option<String>>,
}

/// Why a pattern is none: what is wrong and in which part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    pub(super) what: &'static str,
    pub(super) part: String,
}

impl Pattern {
    /// Understands a pattern.
    pub(super) fn new(pattern: &str) -> Result<Self, PatternError> {
        let mut rewrite = Rewrite {
            all: pattern,
            rest: pattern,
            out: String::with_capacity(pattern.len() + 16),
            names: Vec::new(),
            depth: 0,
            repeatable: false,
            repeated: None,
        };
        rewrite.run()?;
        let regex = RegexBuilder::new(&rewrite.out).size_limit(COMPILED_MAX).build().map_err(|e| {
            let what = match e {
                regex::Error::CompiledTooBig(_) => "expression too large",
                _ => "invalid or unsupported Perl syntax",
            };
            PatternError { what, part: pattern.to_owned() }
        })?;
        Ok(Self { regex, names: rewrite.names })
    }
}

struct Rewrite<'p> {
    all: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<Option<String>>,
    depth: usize,
    /// Whether there is something before this that may be repeated.
    repeatable: bool,
    /// Where the repetition operator directly before this began.
    repeated: Option<&'p str>,
}

type Rewritten = Result<(), PatternError>;

fn fail(what: &'static str, part: &str) -> PatternError {
    PatternError { what, part: part.to_owned() }
}

/// The text from where `from` begins to where `to` begins; both are tails of one text.
fn between<'t>(from: &'t str, to: &str) -> &'t str {
    &from[..from.len() - to.len()]
}

impl<'p> Rewrite<'p> {
    fn run(&mut self) -> Rewritten {
        while let Some(c) = self.rest.chars().next() {
            let repeated = self.repeated.take();
            match c {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.copy(1);
                    self.repeatable = false;
                }
                '*' | '+' | '?' => self.repeat(1, repeated)?,
                '{' => match self.count()? {
                    Some(length) => self.repeat(length, repeated)?,
                    None => self.literal('{', 1),
                },
                '[' => self.class()?,
                '\\' => self.escape()?,
                '^' | '$' | '.' => {
                    self.copy(1);
                    self.repeatable = true;
                }
                c => self.literal(c, c.len_utf8()),
            }
        }
        if self.depth > 0 { Err(fail("missing closing )", self.all)) } else { Ok(()) }
    }

    fn skip(&mut self, bytes: usize) -> &'p str {
        let (head, tail) = self.rest.split_at(bytes);
        self.rest = tail;
        head
    }

    fn copy(&mut self, bytes: usize) {
        let head = self.skip(bytes);
        self.out.push_str(head);
    }

    fn literal(&mut self, c: char, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.push_char(c);
        self.repeatable = true;
    }

    fn push_char(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn open(&mut self) -> Rewritten {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(fail("expression nests too deeply", self.all));
        }
        self.repeatable = false;
        let Some(perl) = self.rest.strip_prefix("(?") else {
            self.names.push(None);
            self.copy(1);
            return Ok(());
        };
        if let Some(named) = perl.strip_prefix("P<").or_else(|| perl.strip_prefix('<')) {
            let whole = between(self.rest, named);
            let Some((name, after)) = named.split_once('>') else {
                return Err(fail("invalid named capture", self.rest));
            };
            let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !valid || self.names.iter().flatten().any(|n| n == name) {
                return Err(fail("invalid named capture", if valid { name } else { between(self.rest, after) }));
            }
            debug_assert!(!whole.is_empty());
            self.names.push(Some(name.to_owned()));
            self.out.push('(');
            self.rest = after;
            return Ok(());
        }
        self.flags(perl)
    }

    /// `(?flags)` and `(?flags:`
    fn flags(&mut self, flags: &'p str) -> Rewritten {
        let mut minus = false;
        let mut any = false;
        for (i, c) in flags.char_indices() {
            match c {
                'i' | 'm' | 's' | 'U' => any = true,
                '-' if !minus => {
                    minus = true;
                    any = false;
                }
                ':' | ')' if !minus || any => {
                    self.copy(2 + i + 1);
                    if c == ')' {
                        self.depth -= 1;
                        // Flags alone are nothing to repeat, nor is what stood before them.
                        self.repeatable = false;
                    }
                    if self.out.ends_with("(?)") {
                        self.out.truncate(self.out.len() - 3);
                    }
                    return Ok(());
                }
                c => return Err(fail("invalid or unsupported Perl syntax", &self.rest[..2 + i + c.len_utf8()])),
            }
        }
        Err(fail("missing argument to repetition operator", "?"))
    }

    fn close(&mut self) -> Rewritten {
        if self.depth == 0 {
            return Err(fail("unexpected )", self.all));
        }
        self.depth -= 1;
        self.copy(1);
        self.repeatable = true;
        Ok(())
    }

    /// The length of `{n}`, `{n,}` or `{n,m}` here; `None` where the brace is only text.
    fn count(&self) -> Result<Option<usize>, PatternError> {
        let Some((inside, _)) = self.rest[1..].split_once('}') else { return Ok(None) };
        let plain =
            |n: &str| n.bytes().all(|b| b.is_ascii_digit()) && !n.is_empty() && (n == "0" || !n.starts_with('0'));
        let (low, high) =
            inside.split_once(',').map_or((inside, Some(inside)), |(l, h)| (l, Some(h).filter(|h| !h.is_empty())));
        if !plain(low) || !high.is_none_or(plain) {
            return Ok(None);
        }
        let whole = &self.rest[..inside.len() + 2];
        let number = |n: &str| n.parse::<u32>().ok().filter(|n| *n <= REPEAT_MAX);
        let refused = || fail("invalid repeat count", whole);
        let low = number(low).ok_or_else(refused)?;
        if let Some(high) = high
            && number(high).ok_or_else(refused)? < low
        {
            return Err(refused());
        }
        Ok(Some(whole.len()))
    }

    fn repeat(&mut self, length: usize, before: Option<&'p str>) -> Rewritten {
        let start = self.rest;
        let lazy = usize::from(start[length..].starts_with('?'));
        if !self.repeatable {
            return Err(fail("missing argument to repetition operator", &start[..length + lazy]));
        }
        self.copy(length + lazy);
        if let Some(before) = before {
            return Err(fail("invalid nested repetition operator", between(before, self.rest)));
        }
        self.repeated = Some(start);
        Ok(())
    }

    fn escape(&mut self) -> Rewritten {
        let mut chars = self.rest.chars();
        chars.next();
        let Some(c) = chars.next() else { return Err(fail("trailing backslash at end of expression", "")) };
        self.repeatable = true;
        match c {
            'A' | 'z' => self.copy(2),
            'b' | 'B' => {
                let _ = write!(self.out, r"(?-u:\{c})");
                self.rest = &self.rest[2..];
            }
            'Q' => {
                let quoted = &self.rest[2..];
                let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                self.out.push_str(&regex::escape(text));
                self.rest = after;
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.perl_class(c),
            'p' | 'P' => self.unicode_class(c)?,
            _ => {
                let c = self.escaped_char()?;
                self.push_char(c);
            }
        }
        Ok(())
    }

    /// The character that an escape sequence stands for.
    fn escaped_char(&mut self) -> Result<char, PatternError> {
        let start = self.rest;
        let mut chars = start.char_indices();
        chars.next();
        let Some((_, c)) = chars.next() else { return Err(fail("trailing backslash at end of expression", "")) };
        let mut length = 1 + c.len_utf8();
        let digits = |from: usize, radix: u32, most: usize| {
            start[from..].chars().take(most).take_while(|c| c.is_digit(radix)).count()
        };
        let value = match c {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            // One octal digit other than zero would be a reference back to a group, which there is none of.
            '0'..='7' if c == '0' || digits(2, 8, 1) == 1 => {
                length = 1 + digits(1, 8, 3);
                u32::from_str_radix(&start[1..length], 8).ok().and_then(char::from_u32)
            }
            'x' => {
                let (from, count, close) = match start[2..].strip_prefix('{') {
                    Some(braced) => (3, braced.find('}').unwrap_or(0), 1),
                    None => (2, if digits(2, 16, 2) == 2 { 2 } else { 0 }, 0),
                };
                length = from + count + close;
                start.get(from..from + count).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32)
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        let value = value.ok_or_else(|| fail("invalid escape sequence", start.get(..length).unwrap_or(start)))?;
        self.rest = &start[length..];
        Ok(value)
    }

    /// `\d` and its like, ASCII only. As a class of its own it may stand in another class, too.
    fn perl_class(&mut self, c: char) {
        let set = match c.to_ascii_lowercase() {
            'd' => "0-9",
            's' => r"\t\n\f\r ",
            _ => "0-9A-Za-z_",
        };
        let not = if c.is_ascii_uppercase() { "^" } else { "" };
        let _ = write!(self.out, "[{not}{set}]");
        self.rest = &self.rest[2..];
    }

    fn unicode_class(&mut self, c: char) -> Rewritten {
        let start = self.rest;
        let after = &start[2..];
        let (name, length) = match after.strip_prefix('{') {
            Some(braced) => match braced.find('}') {
                Some(end) => (&braced[..end], 4 + end),
                None => return Err(fail("invalid character class range", start)),
            },
            None => match after.chars().next() {
                Some(one) => (&after[..one.len_utf8()], 2 + one.len_utf8()),
                None => return Err(fail("invalid escape sequence", start)),
            },
        };
        let (name, negated) = name.strip_prefix('^').map_or((name, false), |n| (n, true));
        let letter = if (c == 'P') ^ negated { 'P' } else { 'p' };
        let class = format!(r"\{letter}{{{name}}}");
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || Regex::new(&class).is_err() {
            return Err(fail("invalid character class range", &start[..length]));
        }
        self.out.push_str(&class);
        self.rest = &start[length..];
        Ok(())
    }

    fn class(&mut self) -> Rewritten {
        let start = self.rest;
        self.copy(1);
        self.repeatable = true;
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        loop {
            let unclosed = || fail("missing closing ]", start);
            let Some(c) = self.rest.chars().next() else { return Err(unclosed()) };
            if c == ']' && !first {
                self.copy(1);
                return Ok(());
            }
            first = false;
            if self.rest.starts_with("[:") && self.posix_class()? {
                continue;
            }
            let escaped = self.rest.strip_prefix('\\').and_then(|r| r.chars().next());
            match escaped {
                Some(c @ ('d' | 'D' | 's' | 'S' | 'w' | 'W')) => self.perl_class(c),
                Some(c @ ('p' | 'P')) => self.unicode_class(c)?,
                _ => self.range().map_err(|e| if e.part.is_empty() && e.what.is_empty() { unclosed() } else { e })?,
            }
        }
    }

    /// `[:name:]`; false where it is only a bracket.
    fn posix_class(&mut self) -> Result<bool, PatternError> {
        let Some(end) = self.rest[2..].find(":]") else { return Ok(false) };
        let name = &self.rest[2..2 + end];
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        if !known.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(fail("invalid character class range", &self.rest[..end + 4]));
        }
        self.copy(end + 4);
        Ok(true)
    }

    /// One character or a range of them.
    fn range(&mut self) -> Rewritten {
        let start = self.rest;
        let low = self.class_char()?;
        let mut high = low;
        if let Some(after) = self.rest.strip_prefix('-')
            && !after.starts_with(']')
            && !after.is_empty()
        {
            self.rest = after;
            high = self.class_char()?;
            if high < low {
                return Err(fail("invalid character class range", between(start, self.rest)));
            }
        }
        self.push_char(low);
        if high != low {
            self.out.push('-');
            self.push_char(high);
        }
        Ok(())
    }

    fn class_char(&mut self) -> Result<char, PatternError> {
        match self.rest.chars().next() {
            Some('\\') => self.escaped_char(),
            Some(c) => {
                self.rest = &self.rest[c.len_utf8()..];
                Ok(c)
            }
            None => Err(fail("", "")),
        }
    }
}

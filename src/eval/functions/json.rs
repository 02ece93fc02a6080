//! JSON: a reader that keeps numbers exact, and a writer that escapes as Go does.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::CharIndices;

use super::argument::string;
use crate::value::{Kind, Map, Number, Type, Value, normal};

/// The deepest nesting that is read: each level takes stack.
const DEPTH_MAX: usize = 256;

/// A wholly known value as JSON text.
pub(super) fn encode(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write(&mut out, value)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value) -> Result<(), String> {
    match &value.kind {
        Kind::Null(_) => out.push_str("null"),
        Kind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Kind::Number(n) => {
            let _ = write!(out, "{n}");
        }
        Kind::String(s) => out.push_str(&quoted(s)),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(out, item)?;
            }
            out.push(']');
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            out.push('{');
            for (i, (name, item)) in m.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&quoted(name));
                out.push(':');
                write(out, item)?;
            }
            out.push('}');
        }
        Kind::Unknown(_) => return Err("a value that is known after apply has no JSON yet".into()),
    }
    Ok(())
}

/// A text in quotes, escaped as Go's `encoding/json` does: also what would mean something in HTML or JavaScript.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The value of a JSON text: objects and tuples, with exact numbers; of equal names the last one counts.
pub(super) fn decode(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, chars: text.char_indices().peekable() };
    let value = reader.value(0)?;
    reader.space();
    match reader.chars.peek() {
        Some(_) => Err("extraneous data after JSON object".into()),
        None => Ok(value),
    }
}

struct Reader<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested more than {DEPTH_MAX} levels deep"));
        }
        self.space();
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => Ok(string(self.string()?)),
            Some('-' | '0'..='9') => self.number(),
            Some('t') => self.word("true", Value::bool(true)),
            Some('f') => self.word("false", Value::bool(false)),
            Some('n') => self.word("null", Value::null(Type::Any)),
            Some(c) => Err(unexpected(c, "looking for beginning of value")),
            None => Err("EOF".into()),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for wanted in word.chars() {
            match self.chars.next() {
                Some((_, c)) if c == wanted => {}
                Some((_, c)) => return Err(unexpected(c, &format!("in literal {word} (expecting '{wanted}')"))),
                None => return Err("unexpected EOF".into()),
            }
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.chars.next();
        let mut out = Vec::new();
        self.space();
        if self.chars.next_if(|(_, c)| *c == '}').is_some() {
            return Ok(Value::object(Map::new()));
        }
        loop {
            self.space();
            match self.peek() {
                Some('"') => {}
                Some(c) => return Err(format!("invalid character '{c}'")),
                None => return Err("EOF".into()),
            }
            let name = self.string()?;
            self.space();
            match self.chars.next() {
                Some((_, ':')) => {}
                Some((_, c)) => return Err(unexpected(c, "after object key")),
                None => return Err("EOF".into()),
            }
            let value = self.value(depth + 1)?;
            out.push((normal(&name).into(), value));
            self.space();
            match self.chars.next() {
                Some((_, ',')) => {}
                Some((_, '}')) => return Ok(Value::object(out.into_iter().collect())),
                Some((_, c)) => return Err(unexpected(c, "after object key:value pair")),
                None => return Err("EOF".into()),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.chars.next();
        let mut out = Vec::new();
        self.space();
        if self.chars.next_if(|(_, c)| *c == ']').is_some() {
            return Ok(Value::tuple(out));
        }
        loop {
            out.push(self.value(depth + 1)?);
            self.space();
            match self.chars.next() {
                Some((_, ',')) => {}
                Some((_, ']')) => return Ok(Value::tuple(out)),
                Some((_, c)) => return Err(unexpected(c, "after array element")),
                None => return Err("EOF".into()),
            }
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.chars.peek().map_or(0, |(at, _)| *at);
        self.chars.next_if(|(_, c)| *c == '-');
        // A zero stands alone; what follows it is not part of the number.
        if self.chars.next_if(|(_, c)| *c == '0').is_none() {
            self.digits("in numeric literal")?;
        }
        if self.chars.next_if(|(_, c)| *c == '.').is_some() {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.chars.next_if(|(_, c)| matches!(c, 'e' | 'E')).is_some() {
            self.chars.next_if(|(_, c)| matches!(c, '+' | '-'));
            self.digits("in exponent of numeric literal")?;
        }
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        let text = &self.text[start..end];
        text.parse::<Number>().map(Value::number).map_err(|_| format!("cannot parse number {text:?}: out of range"))
    }

    fn digits(&mut self, place: &str) -> Result<(), String> {
        match self.peek() {
            Some('0'..='9') => {}
            Some(c) => return Err(unexpected(c, place)),
            None => return Err("unexpected EOF".into()),
        }
        while self.chars.next_if(|(_, c)| c.is_ascii_digit()).is_some() {}
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.chars.next();
        let mut out = String::new();
        loop {
            match self.chars.next() {
                Some((_, '"')) => return Ok(out),
                Some((_, '\\')) => out.push(self.escape()?),
                Some((_, c)) if c < ' ' => return Err(format!("invalid character {c:?} in string literal")),
                Some((_, c)) => out.push(c),
                None => return Err("unexpected EOF".into()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.chars.next() {
            Some((_, c @ ('"' | '\\' | '/'))) => c,
            Some((_, 'b')) => '\u{8}',
            Some((_, 'f')) => '\u{c}',
            Some((_, 'n')) => '\n',
            Some((_, 'r')) => '\r',
            Some((_, 't')) => '\t',
            Some((_, 'u')) => {
                let high = self.unit()?;
                if let Some(c) = char::from_u32(high) {
                    return Ok(c);
                }
                self.low_half(high)
            }
            Some((_, c)) => return Err(unexpected(c, "in string escape code")),
            None => return Err("unexpected EOF".into()),
        })
    }

    /// The character of a surrogate pair whose first half was read; one that stands alone is no character.
    fn low_half(&mut self, high: u32) -> char {
        let at = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        let low = self.text[at..].strip_prefix("\\u").and_then(|rest| rest.get(..4));
        let low = low.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let pair = low.and_then(|low| char::decode_utf16([u16::try_from(high).unwrap_or(0), low]).next());
        match pair {
            Some(Ok(c)) => {
                self.chars.nth(5);
                c
            }
            _ => char::REPLACEMENT_CHARACTER,
        }
    }

    fn unit(&mut self) -> Result<u32, String> {
        (0..4).try_fold(0, |unit, _| match self.chars.next() {
            Some((_, c)) => c
                .to_digit(16)
                .map(|digit| unit * 16 + digit)
                .ok_or_else(|| unexpected(c, "in \\u hexadecimal character escape")),
            None => Err("unexpected EOF".into()),
        })
    }
}

fn unexpected(c: char, place: &str) -> String {
    let shown = if c == '\'' { "'\\''".to_owned() } else { format!("'{c}'") };
    format!("invalid character {shown} {place}")
}

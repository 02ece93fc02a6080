//! `yamlencode`: the layout of libyaml's emitter (<https://pyyaml.org/wiki/LibYAML>), which is what Terraform's text looks
//! like: block style, strings in double quotes or, over several lines, as literal blocks.
//!
//! Where a line begins and how far it is indented follows from a little state, kept as there: the column, whether the last
//! character was a space, and whether only indentation and indicators stand on the line so far.

use std::fmt::Write as _;

use super::FunctionError;
use crate::value::{Kind, Value};

/// Columns of one level.
const INDENT: usize = 2;

/// The column behind which text in quotes is folded at a space.
const WIDTH: usize = 80;

/// The longest key, in bytes, that may stand before its colon without a question mark.
const SIMPLE_KEY_MAX: usize = 128;

/// What surrounds a node.
#[derive(Clone, Copy)]
struct Place {
    in_mapping: bool,
    simple_key: bool,
}

struct Emitter {
    out: String,
    column: usize,
    whitespace: bool,
    indention: bool,
    /// `None` before the outermost collection.
    indent: Option<usize>,
}

/// A wholly known value as a YAML document.
pub(super) fn encode(value: &Value) -> Result<String, FunctionError> {
    let mut emitter = Emitter { out: String::new(), column: 0, whitespace: true, indention: true, indent: None };
    emitter.node(value, Place { in_mapping: false, simple_key: false })?;
    if !matches!(value.kind, Kind::String(_)) && plain(value).is_some() {
        // A plain text could go on, so the document has to be ended.
        emitter.write_indent();
        emitter.out.push_str("...");
        emitter.column = 3;
        emitter.indention = false;
        emitter.whitespace = false;
    }
    emitter.indent = None;
    emitter.write_indent();
    Ok(emitter.out)
}

/// The text of what needs no quotes.
fn plain(value: &Value) -> Option<String> {
    match &value.kind {
        Kind::Null(_) => Some("null".into()),
        Kind::Bool(b) => Some(b.to_string()),
        Kind::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a text of several lines may be a literal block: nothing in it would be lost or changed on reading.
fn may_be_literal(text: &str) -> bool {
    let mut before = 'x';
    for c in text.chars() {
        if !is_printable(c) || (before == ' ' && is_break(c)) {
            return false;
        }
        before = c;
    }
    before != ' '
}

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, after_space: bool, is_space: bool, is_indention: bool) {
        if after_space && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = is_space;
        self.indention &= is_indention;
    }

    /// One level deeper for as long as `inside` writes.
    fn deeper(
        &mut self,
        by: usize,
        inside: impl FnOnce(&mut Self) -> Result<(), FunctionError>,
    ) -> Result<(), FunctionError> {
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| indent + by));
        let done = inside(self);
        self.indent = outer;
        done
    }

    fn node(&mut self, value: &Value, place: Place) -> Result<(), FunctionError> {
        match &value.kind {
            Kind::String(s) => self.string(s, place),
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) if items.is_empty() => self.empty("[", "]"),
            Kind::Map(_, m) | Kind::Object(m) if m.is_empty() => self.empty("{", "}"),
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
                // As a mapping's value, a sequence stands as far left as its key.
                let by = if place.in_mapping && !self.indention { 0 } else { INDENT };
                return self.deeper(by, |emitter| {
                    items.iter().try_for_each(|item| {
                        emitter.write_indent();
                        emitter.indicator("-", true, false, true);
                        emitter.node(item, Place { in_mapping: false, simple_key: false })
                    })
                });
            }
            Kind::Map(_, m) | Kind::Object(m) => {
                return self.deeper(INDENT, |emitter| m.iter().try_for_each(|(key, item)| emitter.entry(key, item)));
            }
            Kind::Unknown(_) => return Err(FunctionError::new("a value that is known after apply has no YAML yet")),
            _ => {
                let text = plain(value).unwrap_or_default();
                self.indicator(&text, true, false, false);
            }
        }
        Ok(())
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    fn entry(&mut self, key: &str, value: &Value) -> Result<(), FunctionError> {
        self.write_indent();
        if key.len() <= SIMPLE_KEY_MAX && !key.contains(is_break) {
            self.string(key, Place { in_mapping: true, simple_key: true });
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.string(key, Place { in_mapping: true, simple_key: false });
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        self.node(value, Place { in_mapping: true, simple_key: false })
    }

    fn string(&mut self, text: &str, place: Place) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        if text.contains('\n') && may_be_literal(text) && !place.simple_key {
            self.literal(text);
        } else {
            self.quoted(text, place);
        }
        self.indent = outer;
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let mut ending = text.chars().rev();
        match (ending.next().is_some_and(is_break), ending.next().is_none_or(is_break)) {
            (false, _) => self.indicator("-", false, false, false),
            (true, true) => self.indicator("+", false, false, false),
            (true, false) => {}
        }
        self.put_break('\n');
        self.indention = true;
        self.whitespace = true;
        let mut at_start = true;
        for c in text.chars() {
            if is_break(c) {
                self.put_break(c);
                self.indention = true;
                at_start = true;
                continue;
            }
            if at_start {
                self.write_indent();
            }
            self.put(c);
            self.indention = false;
            at_start = false;
        }
    }

    fn quoted(&mut self, text: &str, place: Place) {
        self.indicator("\"", true, false, false);
        let mut after_space = false;
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            if !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                escape(c).chars().for_each(|c| self.put(c));
                after_space = false;
            } else if c == ' ' {
                let inside = !first && chars.peek().is_some();
                if inside && !place.simple_key && !after_space && self.column > WIDTH {
                    self.write_indent();
                    if chars.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }
}

fn escape(c: char) -> String {
    let mut out = String::from("\\");
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            let _ = match code {
                0..=0xff => write!(out, "x{code:02X}"),
                0x100..=0xffff => write!(out, "u{code:04X}"),
                _ => write!(out, "U{code:08X}"),
            };
            return out;
        }
    };
    out.push(short);
    out
}

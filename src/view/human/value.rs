//! Values and types as `terraform console` prints them, character by character: `tests/language` has what it printed.
//!
//! This is the language's own syntax with conversion functions where a type would be lost otherwise: `tolist([…])`,
//! `tostring(null)`. Control characters never reach the terminal, for strings are quoted as Go quotes them.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use crate::value::{Attribute, Kind, Map, Marks, Type, Value, show};

/// How many spaces a level of a value is indented by.
const STEP: usize = 2;

/// How many spaces a level of a type is indented by.
const TYPE_STEP: usize = 4;

/// A value.
#[must_use]
pub fn value(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}

fn write(out: &mut String, value: &Value, indent: usize) {
    match &value.kind {
        // A recorded secret is known to somebody, if not here; what only apply will know is named as that, as Terraform does.
        Kind::Unknown(_) if value.sealed_digest().is_none() => out.push_str("(known after apply)"),
        _ if value.marks.is_sensitive() => out.push_str("(sensitive value)"),
        Kind::Unknown(_) => out.push_str("(known after apply)"),
        _ if value.marks.has(Marks::EPHEMERAL) => out.push_str("(ephemeral value)"),
        Kind::Null(ty) => out.push_str(&null(ty)),
        Kind::String(text) => write_text(out, text, indent),
        Kind::List(_, items) => wrapped(out, "tolist", |out| sequence(out, items, indent)),
        Kind::Set(_, items) => wrapped(out, "toset", |out| sequence(out, items, indent)),
        Kind::Tuple(items) => sequence(out, items, indent),
        Kind::Map(_, all) => wrapped(out, "tomap", |out| mapping(out, all, indent)),
        Kind::Object(all) => mapping(out, all, indent),
        Kind::Bool(_) | Kind::Number(_) => out.push_str(&show(value)),
    }
}

fn wrapped(out: &mut String, function: &str, inside: impl FnOnce(&mut String)) {
    out.push_str(function);
    out.push('(');
    inside(out);
    out.push(')');
}

fn line(out: &mut String, indent: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

fn sequence(out: &mut String, items: &[Value], indent: usize) {
    out.push('[');
    for item in items {
        line(out, indent + STEP);
        write(out, item, indent + STEP);
        out.push(',');
    }
    if !items.is_empty() {
        line(out, indent);
    }
    out.push(']');
}

fn mapping(out: &mut String, all: &Map, indent: usize) {
    out.push('{');
    for (name, item) in all {
        line(out, indent + STEP);
        write_text(out, name, indent + STEP);
        out.push_str(" = ");
        write(out, item, indent + STEP);
    }
    if !all.is_empty() {
        line(out, indent);
    }
    out.push('}');
}

fn null(ty: &Type) -> String {
    match ty {
        Type::Any => "null".into(),
        Type::String => "tostring(null)".into(),
        Type::Number => "tonumber(null)".into(),
        Type::Bool => "tobool(null)".into(),
        Type::List(t) => format!("tolist(null) /* of {} */", friendly(t)),
        Type::Set(t) => format!("toset(null) /* of {} */", friendly(t)),
        Type::Map(t) => format!("tomap(null) /* of {} */", friendly(t)),
        Type::Tuple(_) | Type::Object(_) => format!("null /* {} */", friendly(ty)),
    }
}

/// A type in one or a few words, as the comment behind a typed null has it.
fn friendly(ty: &Type) -> String {
    match ty {
        Type::Any => "dynamic".into(),
        Type::List(t) => format!("list of {}", friendly(t)),
        Type::Set(t) => format!("set of {}", friendly(t)),
        Type::Map(t) => format!("map of {}", friendly(t)),
        other => other.friendly(),
    }
}

/// A string: quoted, or as a heredoc if it has several lines.
fn write_text(out: &mut String, text: &str, indent: usize) {
    if !text.contains('\n') {
        quote(out, text);
        return;
    }
    let mut marker = "EOT".to_owned();
    while text.split('\n').any(|line| line.trim() == marker) {
        marker.push('_');
    }
    out.push_str(if indent > 0 { "<<-" } else { "<<" });
    out.push_str(&marker);
    for one in text.split('\n') {
        line(out, indent);
        out.push_str(one);
    }
    line(out, indent);
    out.push_str(&marker);
}

/// What Go's `strconv.IsPrint` takes for printable.
static PRINTABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$").expect("invariant: the pattern is written here and compiles")
});

/// A string as Go's `strconv.Quote` gives it, which is what Terraform's console prints.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            c if PRINTABLE.is_match(c.encode_utf8(&mut [0; 4])) => out.push(c),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if u32::from(c) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
}

/// A type, as the console's `type()` prints it.
#[must_use]
pub fn type_of(ty: &Type) -> String {
    let mut out = String::new();
    write_type(&mut out, ty, 0);
    out
}

fn write_type(out: &mut String, ty: &Type, indent: usize) {
    match ty {
        Type::Tuple(all) if !all.is_empty() => {
            out.push_str("tuple([");
            for item in all.iter() {
                line(out, indent + TYPE_STEP);
                write_type(out, item, indent + TYPE_STEP);
                out.push(',');
            }
            line(out, indent);
            out.push_str("])");
        }
        Type::Tuple(_) => out.push_str("tuple([])"),
        Type::Object(all) if !all.is_empty() => {
            out.push_str("object({");
            for (name, attribute) in all.iter() {
                let (name, attribute): (&Arc<str>, &Attribute) = (name, attribute);
                line(out, indent + TYPE_STEP);
                let _ = write!(out, "{name}: ");
                write_type(out, &attribute.ty, indent + TYPE_STEP);
                out.push(',');
            }
            line(out, indent);
            out.push_str("})");
        }
        Type::Object(_) => out.push_str("object({})"),
        Type::List(t) => write_collection(out, "list", t, indent),
        Type::Set(t) => write_collection(out, "set", t, indent),
        Type::Map(t) => write_collection(out, "map", t, indent),
        simple => out.push_str(&friendly(simple)),
    }
}

/// A collection of tuples or objects gets a level of its own, so that it is seen.
fn write_collection(out: &mut String, word: &str, element: &Type, indent: usize) {
    out.push_str(word);
    out.push('(');
    if matches!(element, Type::Tuple(_) | Type::Object(_)) {
        line(out, indent + TYPE_STEP);
        write_type(out, element, indent + TYPE_STEP);
        out.push(',');
        line(out, indent);
    } else {
        write_type(out, element, indent);
    }
    out.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        value(&Value::string(text))
    }

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (text, wanted) in [
            ("a\"b\\c\td\r", r#""a\"b\\c\td\r""#),
            ("\u{7}\u{8}\u{b}\u{c}\u{1b}\u{0}\u{7f}", r#""\a\b\v\f\x1b\x00\x7f""#),
            ("\u{85}\u{a0}\u{ad}\u{200b}\u{202e}\u{feff}", r#""\u0085\u00a0\u00ad\u200b\u202e\ufeff""#),
            ("é漢😀", "\"é漢😀\""),
            ("\u{e0001}", r#""\U000e0001""#),
            ("${a} %{b}", r#""${a} %{b}""#),
        ] {
            assert_eq!(quoted(text), wanted);
        }
    }

    #[test]
    fn a_heredoc_s_marker_is_none_of_its_lines() {
        assert_eq!(quoted("a\n EOT \nEOT_"), "<<EOT__\na\n EOT \nEOT_\nEOT__");
        let inside = value(&Value::tuple([Value::string("a\nb")]));
        assert_eq!(inside, "[\n  <<-EOT\n  a\n  b\n  EOT,\n]");
    }

    #[test]
    fn what_may_not_be_seen_is_not_printed() {
        let secret = Value::string("x").sensitive();
        let passing = Value::string("x").mark(Marks::EPHEMERAL);
        let whole = Value::tuple([secret, passing, Value::opaque(Type::Any), Value::opaque(Type::String).sensitive()]);
        let wanted = "[\n  (sensitive value),\n  (ephemeral value),\n  (known after apply),\n  (known after apply),\n]";
        assert_eq!(value(&whole), wanted);
    }
}

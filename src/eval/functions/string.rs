//! String functions, except those with patterns (`regexp`) and the layout of `format` (`printf`).

use unicode_segmentation::UnicodeSegmentation;

use super::argument::{items, spend_bytes, spend_items, string, text, whole};
use super::build::{Called, function};
use super::printf;
use super::{CallContext, Function, FunctionError};
use crate::value::{Type, Value};

fn a_string(_: &[Type]) -> Type {
    Type::String
}

fn a_bool(_: &[Type]) -> Type {
    Type::Bool
}

fn strings(_: &[Type]) -> Type {
    Type::list(Type::String)
}

pub(super) fn functions() -> Vec<Function> {
    let mut all = plain();
    all.extend(cutting());
    all.extend(composing());
    all
}

fn plain() -> Vec<Function> {
    vec![
        function("endswith", "Whether a string ends with a suffix.", a_bool, |_, a| {
            Ok(Value::bool(text(&a[0])?.ends_with(text(&a[1])?)))
        })
        .takes("str", Type::String)
        .takes("suffix", Type::String),
        function("startswith", "Whether a string starts with a prefix.", a_bool, |_, a| {
            Ok(Value::bool(text(&a[0])?.starts_with(text(&a[1])?)))
        })
        .takes("str", Type::String)
        .takes("prefix", Type::String),
        function("strcontains", "Whether a string contains another.", a_bool, |_, a| {
            Ok(Value::bool(text(&a[0])?.contains(text(&a[1])?)))
        })
        .takes("str", Type::String)
        .takes("substr", Type::String),
        function("lower", "All letters in lower case.", a_string, |_, a| mapped(&a[0], lower))
            .takes("str", Type::String),
        function("upper", "All letters in upper case.", a_string, |_, a| mapped(&a[0], upper))
            .takes("str", Type::String),
        function("title", "The first letter of each word in upper case.", a_string, title).takes("str", Type::String),
        function("strrev", "The characters in reverse order.", a_string, |_, a| {
            Ok(string(text(&a[0])?.graphemes(true).rev().collect::<String>()))
        })
        .takes("str", Type::String),
    ]
}

fn cutting() -> Vec<Function> {
    vec![
        function("chomp", "Without line ends at the end.", a_string, |_, a| {
            Ok(string(text(&a[0])?.trim_end_matches(['\r', '\n'])))
        })
        .takes("str", Type::String),
        function("substr", "The characters from an offset on, up to a length.", a_string, substr)
            .takes("str", Type::String)
            .takes("offset", Type::Number)
            .takes("length", Type::Number),
        function("trim", "Without any of the given characters at both ends.", a_string, |_, a| {
            let cut: Vec<char> = text(&a[1])?.chars().collect();
            Ok(string(text(&a[0])?.trim_matches(&cut[..])))
        })
        .takes("str", Type::String)
        .takes("cutset", Type::String),
        function("trimprefix", "Without a prefix.", a_string, |_, a| {
            let all = text(&a[0])?;
            Ok(string(all.strip_prefix(text(&a[1])?).unwrap_or(all)))
        })
        .takes("str", Type::String)
        .takes("prefix", Type::String),
        function("trimsuffix", "Without a suffix.", a_string, |_, a| {
            let all = text(&a[0])?;
            Ok(string(all.strip_suffix(text(&a[1])?).unwrap_or(all)))
        })
        .takes("str", Type::String)
        .takes("suffix", Type::String),
        function("trimspace", "Without space characters at both ends.", a_string, |_, a| {
            Ok(string(text(&a[0])?.trim()))
        })
        .takes("str", Type::String),
        function("split", "The parts of a string between separators.", strings, split)
            .takes("separator", Type::String)
            .takes("str", Type::String),
    ]
}

fn composing() -> Vec<Function> {
    vec![
        function("format", "A string laid out by a format with verbs such as %s and %d.", a_string, printf::format)
            .takes("format", Type::String)
            .rest("args", Type::Any)
            .null(),
        function(
            "formatlist",
            "A list of strings, laid out by a format for each element.",
            strings,
            printf::formatlist,
        )
        .takes("format", Type::String)
        .rest("args", Type::Any)
        .null()
        .unknown(),
        function("indent", "With spaces before every line but the first.", a_string, indent)
            .takes("spaces", Type::Number)
            .takes("str", Type::String),
        function("join", "The strings of lists with a separator between them.", a_string, join)
            .takes("separator", Type::String)
            .rest("lists", Type::list(Type::String)),
    ]
}

fn mapped(value: &Value, map: fn(char) -> char) -> Called {
    Ok(string(text(value)?.chars().map(map).collect::<String>()))
}

/// The one character that is this one's upper case: Go, and so Terraform, never turns one into several.
fn upper(c: char) -> char {
    match c {
        // Greek letters with iota below: their one-character form is the title case.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => offset(c, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => offset(c, 9),
        _ => single(c, c.to_uppercase()),
    }
}

fn offset(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

fn lower(c: char) -> char {
    if c == 'İ' { 'i' } else { single(c, c.to_lowercase()) }
}

fn single(c: char, mut mapped: impl ExactSizeIterator<Item = char>) -> char {
    if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
}

// Digraphs such as dz have a form of their own at the start of a word.
fn title_case(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        _ => upper(c),
    }
}

/// A word ends where Go's `strings.Title` sees a separator: ASCII that is no letter, digit or underscore, or other space.
fn is_separator(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_alphanumeric() && c != '_' } else { c.is_whitespace() }
}

fn title(_: &CallContext<'_>, args: &[Value]) -> Called {
    let mut before = ' ';
    let word_start = |c: char| {
        let start = is_separator(before);
        before = c;
        if start { title_case(c) } else { c }
    };
    Ok(string(text(&args[0])?.chars().map(word_start).collect::<String>()))
}

fn substr(_: &CallContext<'_>, args: &[Value]) -> Called {
    let all: Vec<&str> = text(&args[0])?.graphemes(true).collect();
    let (offset, length) = (whole(&args[1])?, whole(&args[2])?);
    let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { (count + offset.max(-count)).max(0) } else { offset.min(count) };
    let end = if length < 0 { count } else { start.saturating_add(length).min(count) };
    let place = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(string(all[place(start)..place(end)].concat()))
}

fn split(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (separator, all) = (text(&args[0])?, text(&args[1])?);
    spend_items(context, all.len())?;
    let parts: Vec<Value> = if separator.is_empty() {
        all.chars().map(|c| string(c.encode_utf8(&mut [0; 4]))).collect()
    } else {
        all.split(separator).map(string).collect()
    };
    Ok(Value::list(Type::String, parts))
}

fn indent(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (spaces, all) = (whole(&args[0])?, text(&args[1])?);
    let spaces =
        usize::try_from(spaces).map_err(|_| FunctionError::at(0, "the number of spaces must not be negative"))?;
    let lines = all.matches('\n').count();
    spend_bytes(context, lines.saturating_mul(spaces).saturating_add(all.len()))?;
    if lines == 0 {
        return Ok(args[1].clone());
    }
    Ok(string(all.replace('\n', &format!("\n{}", " ".repeat(spaces)))))
}

fn join(context: &CallContext<'_>, args: &[Value]) -> Called {
    let separator = text(&args[0])?;
    let lists = &args[1..];
    if lists.is_empty() {
        return Err(FunctionError::new("at least one list is required"));
    }
    let mut out = String::new();
    let mut first = true;
    for (n, list) in lists.iter().enumerate() {
        for (i, item) in items(list)?.iter().enumerate() {
            let Some(part) = item.as_str() else {
                let which =
                    if lists.len() > 1 { format!("element {i} of list {}", n + 1) } else { format!("element {i}") };
                return Err(FunctionError::at(n + 1, format!("{which} is null; cannot concatenate null values")));
            };
            spend_bytes(context, part.len() + separator.len())?;
            if !first {
                out.push_str(separator);
            }
            first = false;
            out.push_str(part);
        }
    }
    Ok(string(out))
}

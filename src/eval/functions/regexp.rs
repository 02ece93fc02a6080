//! String functions with patterns: `regex`, `regexall`, `replace`.

use std::sync::Arc;

use regex::Captures;

use super::argument::{spend_bytes, spend_items, string, text};
use super::build::{Called, function};
use super::pattern::Pattern;
use super::{CallContext, Function, FunctionError};
use crate::value::{Map, Type, Value, normal};

pub(super) fn functions() -> Vec<Function> {
    vec![
        function("regex", "The first match of a pattern: its text, or its groups as a tuple or object.", anything, one)
            .takes("pattern", Type::String)
            .unknown()
            .takes("string", Type::String)
            .unknown(),
        function("regexall", "All matches of a pattern, each as for regex.", |_| Type::list(Type::Any), every)
            .takes("pattern", Type::String)
            .unknown()
            .takes("string", Type::String)
            .unknown(),
        function(
            "replace",
            "With one text, or what matches a /pattern/, replaced by another.",
            |_| Type::String,
            replace,
        )
        .takes("str", Type::String)
        .takes("substr", Type::String)
        .takes("replace", Type::String),
    ]
}

fn anything(_: &[Type]) -> Type {
    Type::Any
}

fn pattern(value: &Value) -> Result<Pattern, FunctionError> {
    let pattern = Pattern::new(text(value)?)
        .map_err(|e| FunctionError::at(0, format!("invalid regexp pattern: {} in {}", e.what, e.part)))
        .map_err(|e| e.discreetly("it is no valid regular expression"))?;
    if pattern.names.iter().any(Option::is_some) && pattern.names.iter().any(Option::is_none) {
        let message = "invalid regexp pattern: cannot mix both named and unnamed capture groups";
        return Err(FunctionError::at(0, message));
    }
    Ok(pattern)
}

/// The type of a match: it depends on the pattern alone, so it is known before the text is.
fn match_type(pattern: &Pattern) -> Type {
    let names: Option<Vec<&String>> = pattern.names.iter().map(Option::as_ref).collect();
    match names {
        _ if pattern.names.is_empty() => Type::String,
        Some(names) => Type::object(names.into_iter().map(|n| (n.as_str(), Type::String))),
        None => Type::Tuple(pattern.names.iter().map(|_| Type::String).collect()),
    }
}

fn match_value(pattern: &Pattern, captures: &Captures<'_>) -> Value {
    let group = |n: usize| captures.get(n).map_or_else(|| Value::null(Type::String), |m| string(m.as_str()));
    let names: Option<Vec<&String>> = pattern.names.iter().map(Option::as_ref).collect();
    match names {
        _ if pattern.names.is_empty() => group(0),
        Some(names) => {
            let named = |(i, name): (usize, &&String)| (Arc::from(name.as_str()), group(i + 1));
            Value::object(names.iter().enumerate().map(named).collect::<Map>())
        }
        None => Value::tuple((1..=pattern.names.len()).map(group).collect::<Vec<_>>()),
    }
}

fn one(context: &CallContext<'_>, args: &[Value]) -> Called {
    if args[0].is_unknown() {
        return Ok(Value::opaque(Type::Any));
    }
    let pattern = pattern(&args[0])?;
    if args[1].is_unknown() {
        return Ok(Value::opaque(match_type(&pattern)));
    }
    let text = text(&args[1])?;
    spend_bytes(context, text.len())?;
    let captures = pattern.regex.captures(text);
    let captures = captures.ok_or_else(|| FunctionError::new("pattern did not match any part of the given string"))?;
    Ok(match_value(&pattern, &captures))
}

fn every(context: &CallContext<'_>, args: &[Value]) -> Called {
    if args[0].is_unknown() {
        return Ok(Value::opaque(Type::list(Type::Any)));
    }
    let pattern = pattern(&args[0])?;
    let ty = match_type(&pattern);
    if args[1].is_unknown() {
        return Ok(Value::opaque(Type::list(ty)));
    }
    let text = text(&args[1])?;
    spend_bytes(context, text.len())?;
    let mut all = Vec::new();
    for captures in pattern.regex.captures_iter(text) {
        spend_items(context, 1 + pattern.names.len())?;
        all.push(match_value(&pattern, &captures));
    }
    Ok(Value::list(ty, all))
}

fn replace(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (text, search, with) = (text(&args[0])?, text(&args[1])?, text(&args[2])?);
    if search.len() > 1
        && let Some(pattern) = search.strip_prefix('/').and_then(|s| s.strip_suffix('/'))
    {
        return replace_pattern(context, text, pattern, with);
    }
    let places = text.matches(search).count();
    spend_bytes(context, places.saturating_mul(with.len()).saturating_add(text.len()))?;
    Ok(string(text.replace(search, with)))
}

fn replace_pattern(context: &CallContext<'_>, text: &str, pattern: &str, with: &str) -> Called {
    let pattern = Pattern::new(pattern)
        .map_err(|e| FunctionError::new(format!("error parsing regexp: {}: `{}`", e.what, e.part)))?;
    let mut out = String::new();
    let mut last = 0;
    for captures in pattern.regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        last = whole.end();
        let before = out.len();
        expand(&mut out, with, &pattern, &captures);
        spend_bytes(context, out.len() - before)?;
    }
    out.push_str(&text[last..]);
    spend_bytes(context, text.len())?;
    Ok(string(normal(&out)))
}

/// Appends a replacement: `$1`, `$name`, `${name}` stand for groups, and for nothing where there is no such group; `$$`
/// is a dollar sign, and so is one that begins no name.
fn expand(out: &mut String, mut with: &str, pattern: &Pattern, captures: &Captures<'_>) {
    while let Some((before, after)) = with.split_once('$') {
        out.push_str(before);
        if let Some(rest) = after.strip_prefix('$') {
            out.push('$');
            with = rest;
            continue;
        }
        let braced = after.strip_prefix('{');
        let named = braced.unwrap_or(after);
        let length = named.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(named.len());
        let (name, rest) = named.split_at(length);
        let rest = if braced.is_some() { rest.strip_prefix('}') } else { Some(rest) };
        let (false, Some(rest)) = (name.is_empty(), rest) else {
            out.push('$');
            with = after;
            continue;
        };
        let number = name.parse::<usize>().ok();
        let number = number.or_else(|| pattern.names.iter().position(|n| n.as_deref() == Some(name)).map(|i| i + 1));
        if let Some(group) = number.and_then(|n| captures.get(n)) {
            out.push_str(group.as_str());
        }
        with = rest;
    }
    out.push_str(with);
}

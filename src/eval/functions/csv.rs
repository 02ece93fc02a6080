//! CSV by RFC 4180, as strict about quotes as Go's `encoding/csv`.

use std::sync::Arc;

use super::argument::{spend_bytes, spend_items, string, text};
use super::build::Called;
use super::{CallContext, FunctionError};
use crate::value::{Map, Type, Value, normal};

/// `csvdecode`: the first line has the names.
pub(super) fn csvdecode(context: &CallContext<'_>, args: &[Value]) -> Called {
    let source = text(&args[0])?;
    spend_bytes(context, source.len())?;
    let mut lines = Lines { rest: source, line: 0 };
    let header = lines.record()?.ok_or_else(|| FunctionError::new("missing header line"))?;
    let names: Vec<Arc<str>> = header.iter().map(|n| normal(n).into()).collect();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(FunctionError::new(format!("duplicate column name \"{name}\"")));
        }
    }
    let mut rows = Vec::new();
    loop {
        let line = lines.line + 1;
        let Some(fields) = lines.record()? else { break };
        if fields.len() != names.len() {
            return Err(FunctionError::new(format!("CSV parse error on line {line}: wrong number of fields")));
        }
        spend_items(context, fields.len())?;
        let row: Map = names.iter().cloned().zip(fields.iter().map(string)).collect();
        rows.push(Value::object(row));
    }
    let ty = Type::object(names.into_iter().map(|n| (n, Type::String)));
    Ok(Value::list(ty, rows))
}

struct Lines<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Lines<'t> {
    /// The next line with its end, which is a line feed alone.
    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = self.rest.find('\n').map_or(self.rest.len(), |i| i + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(line)
    }

    fn refuse(&self, what: &str) -> FunctionError {
        FunctionError::new(format!("CSV parse error on line {}: {what}", self.line))
    }

    /// The next line's fields; empty lines are none.
    fn record(&mut self) -> Result<Option<Vec<String>>, FunctionError> {
        let mut line = loop {
            let Some(line) = self.next() else { return Ok(None) };
            if !content(line).is_empty() {
                break line;
            }
        };
        let mut fields = Vec::new();
        loop {
            if let Some(quoted) = line.strip_prefix('"') {
                let (field, rest) = self.quoted(quoted)?;
                fields.push(field);
                match rest.strip_prefix(',') {
                    Some(rest) => line = rest,
                    None if content(rest).is_empty() => return Ok(Some(fields)),
                    None => return Err(self.refuse("extraneous or missing \" in quoted-field")),
                }
                continue;
            }
            let (field, rest) = line.split_once(',').map_or((content(line), None), |(f, r)| (f, Some(r)));
            if field.contains('"') {
                return Err(self.refuse("bare \" in non-quoted-field"));
            }
            fields.push(field.to_owned());
            match rest {
                Some(rest) => line = rest,
                None => return Ok(Some(fields)),
            }
        }
    }

    /// The rest of a field in quotes, over line ends, and what follows it on its last line.
    fn quoted(&mut self, mut line: &'t str) -> Result<(String, &'t str), FunctionError> {
        let mut field = String::new();
        loop {
            let Some((text, rest)) = line.split_once('"') else {
                field.push_str(content(line));
                if content(line).len() < line.len() {
                    field.push('\n');
                }
                line = self.next().ok_or_else(|| self.refuse("extraneous or missing \" in quoted-field"))?;
                continue;
            };
            field.push_str(text);
            match rest.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    line = after;
                }
                None => return Ok((field, rest)),
            }
        }
    }
}

/// A line without its end.
fn content(line: &str) -> &str {
    line.strip_suffix('\n').map_or(line, |l| l.strip_suffix('\r').unwrap_or(l))
}

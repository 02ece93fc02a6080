//! Values as Terraform writes them into a configuration (hcl's `hclwrite`), byte for byte.
//!
//! hcl-rs writes objects in another layout (one key a line, no alignment, its own escapes), so this is written by hand. A
//! value becomes lines first, then the layout is that of `terraform fmt`: a line is indented by the brackets open before
//! it, however many one line opens, and equals signs of lines that follow each other directly stand in one column where
//! their values end on the line.

use unicode_segmentation::UnicodeSegmentation as _;

use super::template::is_identifier;
use crate::value::{Kind, Value, escape};

/// Columns of one level.
const INDENT: usize = 2;

/// A line: what stands before an equals sign, what from there on, and the brackets that each part leaves open.
#[derive(Default)]
struct Line {
    lead: String,
    assigned: Option<String>,
    lead_open: isize,
    assigned_open: isize,
}

impl Line {
    fn push(&mut self, text: &str, open: isize) {
        match &mut self.assigned {
            Some(assigned) => {
                assigned.push_str(text);
                self.assigned_open += open;
            }
            None => {
                self.lead.push_str(text);
                self.lead_open += open;
            }
        }
    }
}

/// One value, wholly known and without marks, as an expression.
pub(super) fn expression(value: &Value) -> String {
    let mut lines = vec![Line::default()];
    write(value, &mut lines);
    laid_out(lines).trim().to_owned()
}

/// Arguments with their values, one behind the other, each on lines of its own.
pub(super) fn arguments<'v>(arguments: impl Iterator<Item = (&'v str, &'v Value)>) -> String {
    let mut lines = vec![Line::default()];
    for (name, value) in arguments {
        assignment(name, value, &mut lines);
    }
    lines.pop();
    laid_out(lines)
}

fn assignment(name: &str, value: &Value, lines: &mut Vec<Line>) {
    push(lines, name, 0);
    if let Some(line) = lines.last_mut() {
        line.assigned = Some(String::new());
    }
    push(lines, "= ", 0);
    write(value, lines);
    lines.push(Line::default());
}

fn push(lines: &mut [Line], text: &str, open: isize) {
    if let Some(line) = lines.last_mut() {
        line.push(text, open);
    }
}

fn write(value: &Value, lines: &mut Vec<Line>) {
    match &value.kind {
        Kind::Null(_) | Kind::Unknown(_) => push(lines, "null", 0),
        Kind::Bool(b) => push(lines, if *b { "true" } else { "false" }, 0),
        Kind::Number(n) => push(lines, &n.to_string(), 0),
        Kind::String(s) => push(lines, &quoted(s), 0),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            push(lines, "[", 1);
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    push(lines, ", ", 0);
                }
                write(item, lines);
            }
            push(lines, "]", -1);
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            push(lines, "{", 1);
            if !m.is_empty() {
                lines.push(Line::default());
            }
            for (name, item) in m.iter() {
                let name = if is_identifier(name) { name.to_string() } else { quoted(name) };
                assignment(&name, item, lines);
            }
            push(lines, "}", -1);
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

fn laid_out(mut lines: Vec<Line>) -> String {
    for line in &mut lines {
        // A value that goes on in further lines is no cell.
        if line.assigned_open != 0
            && let Some(assigned) = line.assigned.take()
        {
            line.lead = format!("{} {assigned}", line.lead);
            line.lead_open += line.assigned_open;
        }
    }
    indent(&mut lines);
    let mut out = String::new();
    let mut rest = &lines[..];
    while let Some(first) = rest.first() {
        let chain = if first.assigned.is_some() { rest.iter().take_while(|l| l.assigned.is_some()).count() } else { 1 };
        let (aligned, behind) = rest.split_at(chain);
        rest = behind;
        let width = |line: &Line| line.lead.graphemes(true).count();
        let widest = aligned.iter().map(width).max().unwrap_or(0);
        for line in aligned {
            out.push_str(&line.lead);
            if let Some(assigned) = &line.assigned {
                out.push_str(&" ".repeat(widest - width(line) + 1));
                out.push_str(assigned);
            }
            out.push('\n');
        }
    }
    out
}

/// Each line that opens brackets is a level, however many it opens; closing them ends as many levels as they make up.
fn indent(lines: &mut [Line]) {
    let mut levels: Vec<isize> = Vec::new();
    for line in lines {
        let open = line.lead_open + if line.assigned.is_some() { line.assigned_open } else { 0 };
        let mut closed = -open;
        while closed > 0
            && let Some(level) = levels.pop()
        {
            if closed < level {
                levels.push(level - closed);
            }
            closed -= level;
        }
        line.lead.insert_str(0, &" ".repeat(INDENT * levels.len()));
        if open > 0 {
            levels.push(open);
        }
    }
}

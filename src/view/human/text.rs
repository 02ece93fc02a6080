//! Long texts inside values: shown and compared line by line, JSON after it was laid out the same way on both sides.

use similar::{ChangeTag, TextDiff};

use super::page::{Mark, Page};
use crate::view::words::{clean, count};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;
/// How many lines of one text are shown: more is not read, and `show --json` has all.
const LINES_MAX: usize = 400;
/// The most lines that are compared: the time for it grows with their square where everything differs.
const COMPARED_MAX: usize = 5_000;

/// How a text is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    open: &'static str,
    close: &'static str,
}

const HEREDOC: Frame = Frame { open: "<<-EOT", close: "EOT" };
const JSON: Frame = Frame { open: "jsonencode(", close: ")" };

/// How a text that is better shown as lines is framed, and its lines; `None` for one that fits on a line.
pub(super) fn lines_of(text: &str) -> Option<(Frame, String)> {
    if let Some(pretty) = pretty_json(text) {
        return Some((JSON, pretty));
    }
    text.trim_end_matches('\n').contains('\n').then(|| (HEREDOC, text.to_owned()))
}

/// JSON text of an object or array with something in it, laid out with its names sorted.
fn pretty_json(text: &str) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let empty = match &json {
        serde_json::Value::Object(o) => o.is_empty(),
        serde_json::Value::Array(a) => a.is_empty(),
        _ => true,
    };
    if empty { None } else { serde_json::to_string_pretty(&json).ok() }
}

/// Writes a text that comes, goes or stays as a whole.
pub(super) fn write_whole(page: &mut Page, depth: usize, mark: Mark, lead: &str, text: &(Frame, String), tail: &str) {
    let (frame, lines) = text;
    page.line(depth, mark, &format!("{lead}{}", frame.open));
    let total = lines.lines().count();
    for line in lines.lines().take(LINES_MAX) {
        page.line(depth + 1, Mark::Keep, &clean(line));
    }
    if total > LINES_MAX {
        page.comment(depth + 1, &format!("({} not shown)", count(total - LINES_MAX, "more line")));
    }
    page.line(depth, Mark::Keep, &format!("{}{tail}", frame.close));
}

/// Writes the lines in which two texts differ, if at least one of them is better shown as lines. Gives whether it did.
pub(super) fn write_difference(
    page: &mut Page,
    depth: usize,
    lead: &str,
    (before, after): (&str, &str),
    tail: &str,
) -> bool {
    let (old, new) = (lines_of(before), lines_of(after));
    let frame = match (&old, &new) {
        (None, None) => return false,
        (Some((JSON, _)), Some((JSON, _))) => JSON,
        _ => HEREDOC,
    };
    let text = |side: Option<(Frame, String)>, raw: &str| match side {
        Some((f, lines)) if f == frame => lines,
        _ => raw.to_owned(),
    };
    let (old, new) = (text(old, before), text(new, after));
    page.line(depth, Mark::Change, &format!("{lead}{}", frame.open));
    if old == new {
        page.comment(depth + 1, "(only the layout of the text changes)");
    } else if old.lines().count().max(new.lines().count()) > COMPARED_MAX {
        let (a, b) = (old.lines().count(), new.lines().count());
        page.comment(depth + 1, &format!("({} before, {} after: too many to compare here)", count(a, "line"), b));
    } else {
        write_lines(page, depth + 1, &old, &new);
    }
    page.line(depth, Mark::Keep, &format!("{}{tail}", frame.close));
    true
}

/// Writes the lines in which two texts differ, with some of those around them.
pub(super) fn write_lines(page: &mut Page, depth: usize, old: &str, new: &str) {
    let diff = TextDiff::from_lines(old, new);
    let mut shown = 0;
    let mut at = 0;
    let hidden = |page: &mut Page, n: usize| {
        if n > 0 {
            page.comment(depth, &format!("({} hidden)", count(n, "unchanged line")));
        }
    };
    for group in diff.grouped_ops(CONTEXT) {
        let from = group.first().map_or(at, |op| op.old_range().start);
        hidden(page, from.saturating_sub(at));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            shown += 1;
            if shown > LINES_MAX {
                page.comment(depth, "(more lines change than are shown)");
                return;
            }
            let mark = match change.tag() {
                ChangeTag::Equal => Mark::Keep,
                ChangeTag::Delete => Mark::Remove,
                ChangeTag::Insert => Mark::Add,
            };
            let line = change.value();
            let bare = line.trim_end_matches(['\n', '\r']);
            let ending = if line.ends_with('\n') || !old.ends_with('\n') && !new.ends_with('\n') {
                String::new()
            } else {
                "  # no line end".to_owned()
            };
            page.line(depth, mark, &format!("{}{ending}", clean(bare)));
        }
        at = group.last().map_or(at, |op| op.old_range().end);
    }
    hidden(page, diff.old_len().saturating_sub(at));
}

//! Diagnostics as plain text, with the line and a caret. Colour, where wanted, is the view's.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;

use super::span::Place;
use super::{Caller, Diagnostic, Severity, SourceMap, ValueNote};

/// How wide details are wrapped, in characters: a terminal's usual width less the frame.
const WIDTH: usize = 100;

/// How many further calls of a module are named, in which the same is wrong.
const ALSO_MAX: usize = 3;

/// Renders a diagnostic as a block of lines ending in a newline.
#[must_use]
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let mut out = String::new();
    let label = match diagnostic.severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    };
    let _ = writeln!(out, "{label}: {}", escape_controls(&diagnostic.summary));
    if let Some(place) = diagnostic.span.and_then(|s| sources.place(s)) {
        let _ = writeln!(out, "  at {}:{}:{}", escape_controls(place.name), place.line, place.column);
        let number = place.line.to_string();
        let pad = " ".repeat(number.len());
        let (text, lead, carets) = excerpt(&place);
        let _ = writeln!(out, "  {pad} |");
        let _ = writeln!(out, "  {number} | {text}");
        let _ = writeln!(out, "  {pad} | {lead}{}", "^".repeat(carets));
        for note in diagnostic.values() {
            let _ = writeln!(out, "  {pad} | {}", value_line(note));
        }
    } else {
        for note in diagnostic.values() {
            let _ = writeln!(out, "  {}", value_line(note));
        }
    }
    if let Some(address) = &diagnostic.address {
        let _ = writeln!(out, "  on {}", escape_controls(address));
    }
    calls(&mut out, diagnostic, sources);
    if !diagnostic.detail.is_empty() {
        out.push('\n');
        for line in diagnostic.detail.lines() {
            wrap(&mut out, &escape_controls(line), "  ");
        }
    }
    for hint in &diagnostic.hints {
        out.push('\n');
        wrap(&mut out, &format!("hint: {}", escape_controls(hint)), "  ");
    }
    out
}

fn value_line(note: &ValueNote) -> String {
    escape_controls(&format!("{} {}", note.traversal, note.statement)).into_owned()
}

/// The calls that lead to the module that a diagnostic is in, innermost first, and how many more there are.
fn calls(out: &mut String, diagnostic: &Diagnostic, sources: &SourceMap) {
    let place = |caller: &Caller| {
        let place = caller.at.and_then(|span| sources.place(span));
        place.map(|p| format!(", called at {}:{}:{}", p.name, p.line, p.column)).unwrap_or_default()
    };
    for caller in diagnostic.chain() {
        let _ = writeln!(out, "  in {}", escape_controls(&format!("{}{}", caller.module, place(caller))));
    }
    let also = diagnostic.also();
    let word = if diagnostic.address.is_some() { "on" } else { "in" };
    // One that is left over takes no more room than the line that counts it.
    let shown = if also.len() <= ALSO_MAX + 1 { also.len() } else { ALSO_MAX };
    let known = diagnostic.chain().first().and_then(|c| c.at);
    for caller in &also[..shown] {
        let place = if caller.at == known { String::new() } else { place(caller) };
        let _ = writeln!(out, "  also {word} {}", escape_controls(&format!("{}{place}", caller.module)));
    }
    if shown < also.len() {
        let _ = writeln!(out, "  also {word} {} more", also.len() - shown);
    }
}

/// The line, what stands in front of the carets, and how many there are. Of a long line only the part around the place is
/// shown.
fn excerpt(place: &Place<'_>) -> (String, String, usize) {
    let masked = place.masked();
    let (before, rest) = masked.split_at(place.start);
    let (marked, after) = rest.split_at(place.end - place.start);
    let cut = before.chars().count().saturating_sub(WIDTH / 2);
    let cut = if masked.chars().count() > 2 * WIDTH { cut } else { 0 };
    let short: String = before.chars().skip(cut).collect();
    let before = format!("{}{}", if cut > 0 { "…" } else { "" }, escape_controls(&short));
    let marked: String = marked.chars().take(2 * WIDTH).collect();
    let carets = escape_controls(&marked).graphemes(true).count().max(1);
    let left: String = after.chars().take(2 * WIDTH).collect();
    let dots = if left.len() < after.len() { "…" } else { "" };
    let lead = before.graphemes(true).map(|c| if c == "\t" { '\t' } else { ' ' }).collect();
    (format!("{before}{}{}{dots}", escape_controls(&marked), escape_controls(&left)), lead, carets)
}

/// Appends `line` wrapped at words; a line that starts with a space (a command, an excerpt) is left as it is.
fn wrap(out: &mut String, line: &str, indent: &str) {
    if line.is_empty() {
        out.push('\n');
        return;
    }
    if line.starts_with(' ') {
        let _ = writeln!(out, "{indent}{line}");
        return;
    }
    let mut width = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            width = 0;
        }
        if width == 0 {
            out.push_str(indent);
        } else {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}

/// So many of something, as people say it: `1 entry`, `2 entries`.
#[must_use]
pub fn count<N: Copy + PartialEq + From<u8> + std::fmt::Display>(n: N, one: &str) -> String {
    match one.strip_suffix("ry") {
        _ if n == N::from(1) => format!("1 {one}"),
        Some(stem) => format!("{n} {stem}ries"),
        None => format!("{n} {one}s"),
    }
}

/// The text with a capital letter in front: a sentence, where it has no address or name there.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The text with control characters, terminal escapes and bidirectional overrides made visible, so that a name or an
/// answer from outside can neither move the cursor nor reorder what is read (Trojan Source, CVE-2021-42574). Tabs stay.
#[must_use]
pub fn escape_controls(text: &str) -> std::borrow::Cow<'_, str> {
    let hostile = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if !text.chars().any(hostile) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hostile(c) {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    #[test]
    fn shows_the_line_and_a_caret() {
        let mut sources = SourceMap::default();
        let file = sources.add("environments/local/main.hcl", "a = 1\nport = vra.port\n");
        let diagnostic = Diagnostic::error("Unknown reference", "There is no \"vra\" here.")
            .at(Span::new(file, 13..16))
            .hint("Did you mean \"var\"?");
        assert_eq!(
            render(&diagnostic, &sources),
            "Error: Unknown reference\n  at environments/local/main.hcl:2:8\n    |\n  2 | port = vra.port\n    |        ^^^\n\n  \
             There is no \"vra\" here.\n\n  hint: Did you mean \"var\"?\n"
        );
    }

    #[test]
    fn hostile_text_stays_on_its_line() {
        assert_eq!(escape_controls("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
    }
}

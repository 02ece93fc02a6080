//! Places in texts that are no files of the configuration: templates and variable files that functions are given. Their
//! errors become part of a function's sentence, each with the text's name, line and columns, as Terraform writes them.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::diag::{Diagnostic, Diagnostics, FileId, Span};

/// The file that such a text's spans name: none of a source map.
pub(super) const FILE: FileId = FileId(u32::MAX);

/// `name:LINE,COLUMN-COLUMN`, with the line of the end where it is another one. Columns count what people call characters.
pub(super) fn range(span: Span, name: &str, text: &str) -> String {
    let (start, end) = (position(span.start, text), position(span.end.max(span.start), text));
    if start.0 == end.0 {
        return format!("{name}:{},{}-{}", start.0, start.1, end.1);
    }
    format!("{name}:{},{}-{},{}", start.0, start.1, end.0, end.1)
}

fn position(byte: u32, text: &str) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(byte as usize)];
    let line = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line..].graphemes(true).count() + 1)
}

/// A diagnostic as part of a sentence.
pub(super) fn one(diagnostic: &Diagnostic, name: &str, text: &str) -> String {
    let said = format!("{}; {}", diagnostic.summary, diagnostic.detail.trim_end_matches('.'));
    match diagnostic.span.filter(|span| span.file == FILE) {
        Some(span) => format!("{}: {said}", range(span, name, text)),
        None => format!("{name}: {said}"),
    }
}

/// Several, by the first of them.
pub(super) fn all(diagnostics: &Diagnostics, name: &str, text: &str) -> String {
    let sorted = diagnostics.sorted();
    let first = sorted.first().map_or_else(String::new, |d| one(d, name, text));
    match sorted.len() {
        0 | 1 => first,
        n => format!("{first}, and {} other diagnostic(s)", n - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_terraform_writes_them() {
        let at = |range_: std::ops::Range<usize>| range(Span::new(FILE, range_), "a.tmpl", "ab\né\u{301}x y\n");
        assert_eq!(at(0..2), "a.tmpl:1,1-3");
        assert_eq!(at(0..4), "a.tmpl:1,1-2,1", "a place within a character is its start");
        assert_eq!(at(7..8), "a.tmpl:2,2-3");
        assert_eq!(at(0..99), "a.tmpl:1,1-3,1");
    }
}

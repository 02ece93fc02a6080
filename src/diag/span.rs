//! Places in source files.

use std::sync::Arc;

/// The number of a file in a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A range of bytes in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// The byte behind the last one.
    pub end: u32,
}

impl Span {
    /// A span over a range of bytes. Files are limited to sizes far below 4 GiB, so the numbers fit.
    #[must_use]
    pub fn new(file: FileId, range: std::ops::Range<usize>) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file, start: clamp(range.start), end: clamp(range.end) }
    }

    /// The smallest span over both; of `self` alone if they stand in different files.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// The names and texts of the files that spans point into.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<(Arc<str>, Arc<str>)>,
}

/// A place as people say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// File name.
    pub name: &'a str,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The whole line, without its end.
    pub text: &'a str,
    /// Where in `text` the span starts, in bytes.
    pub start: usize,
    /// Where in `text` the span ends, in bytes; at the line's end if it goes on.
    pub end: usize,
}

impl Place<'_> {
    /// The line with stars, byte for byte, in the place of passwords in URLs: a message must not show what the file gives away.
    #[must_use]
    pub fn masked(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((before, after)) = rest.split_once("://") {
            out.push_str(before);
            out.push_str("://");
            let end =
                after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '/' | '?' | '#')).unwrap_or(after.len());
            let (authority, behind) = after.split_at(end);
            match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?, host))) {
                Some(((user, password), host)) => {
                    let stars = "*".repeat(password.len());
                    out.extend([user, ":", &stars, "@", host]);
                }
                None => out.push_str(authority),
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }
}

impl SourceMap {
    /// Adds a file and gives its number.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        self.files.push((name.into(), text.into()));
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// The name of a file.
    #[must_use]
    pub fn name(&self, file: FileId) -> Option<&Arc<str>> {
        self.files.get(file.0 as usize).map(|(name, _)| name)
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, file: FileId) -> Option<&Arc<str>> {
        self.files.get(file.0 as usize).map(|(_, text)| text)
    }

    /// Where a span starts, as people say it.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<Place<'_>> {
        let (name, text) = self.files.get(span.file.0 as usize)?;
        let mut at = (span.start as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let line_end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let line_text = text[line_start..line_end].trim_end_matches('\r');
        let start = (at - line_start).min(line_text.len());
        let mut end = (span.end as usize).saturating_sub(line_start).clamp(start, line_text.len());
        while !line_text.is_char_boundary(end) {
            end -= 1;
        }
        Some(Place {
            name,
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..at].chars().count() + 1,
            text: line_text,
            start,
            end,
        })
    }
}

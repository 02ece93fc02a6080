//! Places in source files.

use std::sync::{Arc, OnceLock};

use unicode_segmentation::UnicodeSegmentation as _;

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
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    name: Arc<str>,
    text: Arc<str>,
    /// Where each line starts, once somebody asks for it: most files have nothing to be told about.
    starts: OnceLock<Arc<[usize]>>,
}

/// A position as Terraform's documents have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters as people count them (grapheme clusters), from 1.
    pub column: usize,
    /// Bytes from the start of the file.
    pub byte: usize,
}

/// A span with all the lines that it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent<'a> {
    /// File name.
    pub name: &'a str,
    /// Where it starts.
    pub start: Position,
    /// Where it ends; behind `start`, even if the span is empty.
    pub end: Position,
    /// The lines, without the last one's end, and with stars in the place of passwords in URLs.
    pub code: String,
    /// Where in `code` it starts, in bytes.
    pub highlight_start: usize,
    /// Where in `code` it ends, in bytes.
    pub highlight_end: usize,
    /// The header of the block at the top of the file that it is in: `resource "local_file" "a"`.
    pub context: Option<String>,
}

/// A place as people say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// File name.
    pub name: &'a str,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters as people count them, from 1.
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
        masked(self.text)
    }
}

fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '/' | '?' | '#')).unwrap_or(after.len());
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

impl SourceMap {
    /// Adds a file and gives its number.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        let (name, text) = (name.into(), text.into());
        self.files.push(File { name, text, starts: OnceLock::new() });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// The number that the next file is going to get.
    #[must_use]
    pub fn next_id(&self) -> FileId {
        FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX))
    }

    /// How many bytes all files have together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.text.len()).sum()
    }

    /// The name of a file.
    #[must_use]
    pub fn name(&self, file: FileId) -> Option<&Arc<str>> {
        self.files.get(file.0 as usize).map(|f| &f.name)
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, file: FileId) -> Option<&Arc<str>> {
        self.files.get(file.0 as usize).map(|f| &f.text)
    }

    /// Where a span starts, as people say it.
    #[must_use]
    pub fn place(&self, span: Span) -> Option<Place<'_>> {
        let file = self.files.get(span.file.0 as usize)?;
        let at = file.boundary(span.start as usize);
        let line = file.line(at);
        let text = file.line_text(line);
        let line_start = file.starts()[line];
        let start = (at - line_start).min(text.len());
        let mut end = (span.end as usize).saturating_sub(line_start).clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Some(Place { name: &file.name, line: line + 1, column: file.position(at).column, text, start, end })
    }

    /// A span with all the lines that it touches.
    #[must_use]
    pub fn extent(&self, span: Span) -> Option<Extent<'_>> {
        let file = self.files.get(span.file.0 as usize)?;
        let from = file.boundary(span.start as usize);
        let to = file.boundary(span.end as usize).max(from);
        let (first, last) = (file.line(from), file.line(to.saturating_sub(1).max(from)));
        let lines: Vec<&str> = (first..=last).map(|line| file.line_text(line)).collect();
        let code = masked(&lines.join("\n"));
        let start = file.position(from);
        let end = match file.position(to) {
            end if end.byte > start.byte => end,
            // An empty range is widened, so that there is something to point at.
            end => Position { column: end.column + 1, byte: end.byte + 1, ..end },
        };
        let within = |byte: usize| (byte - file.starts()[first]).min(code.len());
        Some(Extent {
            name: &file.name,
            start,
            end,
            highlight_start: within(start.byte),
            highlight_end: within(end.byte),
            context: from.checked_sub(1).and_then(|at| file.context(at)),
            code,
        })
    }
}

impl File {
    /// The last place at or before a byte where a character starts.
    fn boundary(&self, byte: usize) -> usize {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn starts(&self) -> &[usize] {
        let found = || std::iter::once(0).chain(self.text.match_indices('\n').map(|(n, _)| n + 1)).collect();
        self.starts.get_or_init(found)
    }

    /// The number of the line that a byte is in, from 0.
    fn line(&self, byte: usize) -> usize {
        self.starts().partition_point(|start| *start <= byte).saturating_sub(1)
    }

    fn line_text(&self, line: usize) -> &str {
        let end = self.starts().get(line + 1).map_or(self.text.len(), |next| next - 1);
        self.text[self.starts()[line]..end].trim_end_matches('\r')
    }

    fn position(&self, byte: usize) -> Position {
        let line = self.line(byte);
        let column = self.text[self.starts()[line]..byte].graphemes(true).count() + 1;
        Position { line: line + 1, column, byte }
    }

    /// The header of the block around a byte, as far as the layout tells: the last line above that begins, at its first column,
    /// with a word and opens a brace, unless a brace at the first column has closed it. There is no syntax tree here, and there
    /// may never have been one.
    fn context(&self, byte: usize) -> Option<String> {
        for line in (0..=self.line(byte)).rev() {
            let text = self.line_text(line);
            if text.starts_with('}') && self.starts()[line] < byte {
                return None;
            }
            if text.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && let Some((header, _)) = text.split_once('{')
                && !header.contains('=')
            {
                if text.trim_end().ends_with('}') && byte >= self.starts()[line] + text.trim_end().len() {
                    return None;
                }
                let words: Vec<&str> = header.split_whitespace().collect();
                let labels = words.iter().skip(1).map(|label| format!(" \"{}\"", label.trim_matches('"')));
                return Some(words.first().map(|ty| (*ty).to_owned())? + &labels.collect::<String>());
            }
        }
        None
    }
}

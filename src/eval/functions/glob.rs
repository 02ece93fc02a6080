//! File patterns of `fileset`: `*`, `?`, `[class]`, `{a,b}`, `\` before a plain character, and `**` for any number of
//! directories.

use regex::Regex;

/// A pattern over paths with `/`.
pub(super) struct Glob(Regex);

/// A clean path pattern cut in front of its first part with a wildcard: the directory and the pattern below it.
pub(super) fn split(pattern: &str) -> (&str, &str) {
    let wild = pattern.find(['*', '?', '[', '{', '\\']).unwrap_or(pattern.len());
    match pattern[..wild].rfind('/') {
        Some(0) => ("/", &pattern[1..]),
        Some(cut) => (&pattern[..cut], &pattern[cut + 1..]),
        None => (".", pattern),
    }
}

impl Glob {
    /// Understands a pattern; `None` where a bracket or brace is not closed, or the like.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let mut out = String::from("^");
        let parts: Vec<&str> = pattern.split('/').collect();
        for (i, part) in parts.iter().enumerate() {
            let last = i + 1 == parts.len();
            match (*part, last) {
                ("**", true) => out.push_str(".*"),
                ("**", false) => out.push_str("(?:[^/]+/)*"),
                _ => {
                    translate(&mut out, part)?;
                    if !last {
                        out.push('/');
                    }
                }
            }
        }
        out.push('$');
        regex::RegexBuilder::new(&out).dot_matches_new_line(true).build().ok().map(Self)
    }

    /// Whether a path matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

fn literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

fn translate(out: &mut String, part: &str) -> Option<()> {
    let mut braces = 0usize;
    let mut chars = part.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '\\' => literal(out, chars.next()?),
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '[' => {
                out.push('[');
                if chars.next_if(|c| matches!(c, '^' | '!')).is_some() {
                    out.push_str("^/");
                }
                let mut any = false;
                loop {
                    match chars.next()? {
                        ']' if any => break,
                        '\\' => literal(out, chars.next()?),
                        '-' if any && chars.peek() != Some(&']') => out.push('-'),
                        c => literal(out, c),
                    }
                    any = true;
                }
                out.push(']');
            }
            c => literal(out, c),
        }
    }
    (braces == 0).then_some(())
}

//! The text of literals: escapes and markers, read from the source as Terraform reads them.

use std::ops::Range;

/// What is wrong with a literal, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct BadLiteral {
    /// Short, for the summary.
    pub(super) summary: &'static str,
    /// A sentence.
    pub(super) detail: String,
    /// Where, in bytes from the literal's start.
    pub(super) at: Range<usize>,
}

/// The text without its doubled markers: `$${` is `${`, `%%{` is `%{`.
pub(super) fn unmark(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['$', '%']) {
        let (before, marker) = rest.split_at(at);
        out.push_str(before);
        let escaped = marker.starts_with("$${") || marker.starts_with("%%{");
        out.push_str(&marker[..1]);
        rest = &marker[if escaped { 2 } else { 1 }..];
    }
    out.push_str(rest);
    out
}

/// The text of a literal of a quoted template: escapes resolved, no line break, no bare quote.
pub(in crate::config) fn unquote(source: &str) -> Result<String, BadLiteral> {
    if let Some(at) = source.find(['\n', '\r']) {
        return Err(BadLiteral {
            summary: "Invalid multi-line string",
            detail:
                "Quoted strings may not be split over several lines. Write \"\\n\" for a line break, or use a heredoc \
                     (<<EOT … EOT) for a text of several lines."
                    .into(),
            at: at..at + 1,
        });
    }
    let mut out = String::with_capacity(source.len());
    let mut chars = source.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let (c, length) = escape(&source[at + 1..]).map_err(|detail| BadLiteral {
                    summary: "Invalid escape sequence",
                    detail,
                    at: at..at + 1 + source[at + 1..].chars().next().map_or(0, char::len_utf8),
                })?;
                out.push(c);
                while chars.next_if(|(i, _)| *i < at + 1 + length).is_some() {}
            }
            '"' => {
                return Err(BadLiteral {
                    summary: "Invalid template",
                    detail:
                        "A quotation mark stands inside a quoted template before the template ends. Write it as \\\"."
                            .into(),
                    at: at..at + 1,
                });
            }
            '$' | '%' if source[at + 1..].starts_with(c) && source[at + 2..].starts_with('{') => {
                out.push(c);
                chars.next();
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The character that an escape stands for and the escape's length in bytes, without the backslash.
fn escape(rest: &str) -> Result<(char, usize), String> {
    let c = rest.chars().next().ok_or("A backslash stands at the end of the string.")?;
    let hex = |digits: usize| {
        let text = rest.get(1..=digits).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = text.and_then(|t| u32::from_str_radix(t, 16).ok()).and_then(char::from_u32);
        code.map(|c| (c, 1 + digits)).ok_or_else(|| {
            format!("\\{c} is followed by {digits} hexadecimal digits of a Unicode character, as in \\u00e9.")
        })
    };
    match c {
        'n' => Ok(('\n', 1)),
        'r' => Ok(('\r', 1)),
        't' => Ok(('\t', 1)),
        '"' => Ok(('"', 1)),
        '\\' => Ok(('\\', 1)),
        'u' => hex(4),
        'U' => hex(8),
        other => Err(format!(
            "\"\\{other}\" is not an escape sequence. There are \\n, \\r, \\t, \\\", \\\\, \\uNNNN and \\UNNNNNNNN; for a \
             backslash write \\\\."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_halved() {
        for (source, text) in [("$$${x", "$${x"), ("a$b$${c}", "a$b${c}"), ("%%{x", "%{x"), ("$", "$"), ("é$$", "é$$")]
        {
            assert_eq!(unmark(source), text);
            assert_eq!(unquote(source).unwrap(), text);
        }
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(unquote(r#"a\n\t\"\\\u00e9\U0001F600z"#).unwrap(), "a\n\t\"\\é😀z");
        for bad in [r"\x", r"\u00", r"\u00g0", r"\ud800", "\\", "a\nb", "a\"b", "\\é"] {
            assert!(unquote(bad).is_err(), "{bad:?}");
        }
    }
}

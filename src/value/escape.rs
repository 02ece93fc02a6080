//! A text as the language writes it between quotation marks.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

/// What Go's `unicode.IsPrint` takes for printable, as Terraform asks it: letters, marks, numbers, punctuation, symbols and the
/// space.
static PRINTABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$").expect("invariant: the pattern is a constant"));

/// A text without quotation marks around it, each character written plainly or escaped where it has to be, or where a screen
/// would not show it (a text that turns what follows it around, say). Read again it is the same text.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' if rest.peek() == Some(&'{') => out.extend([c, c]),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = if code < 0x1_0000 { write!(out, "\\u{code:04x}") } else { write!(out, "\\U{code:08x}") };
            }
        }
    }
    out
}

fn is_printable(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_control() } else { PRINTABLE.is_match(c.encode_utf8(&mut [0; 4])) }
}

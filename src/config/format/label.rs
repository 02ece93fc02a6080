//! The canonical form of a block's label.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use crate::config::syntax::unquote;

/// What Go's `unicode.IsPrint` takes for printable, as Terraform asks it.
static PRINTABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$").expect("invariant: the pattern is a constant"));

/// What stands between the quotation marks of a label: its text with each character written plainly, or escaped where it has
/// to be. One that is wrong stays as it is. Terraform composes letters and their marks as well, and so renames what
/// references elsewhere still have under its old name; here the text stays.
pub(super) fn canonical(written: &str) -> Cow<'_, str> {
    if written.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ' | b'/' | b':')) {
        return Cow::Borrowed(written);
    }
    let Ok(text) = unquote(written) else { return Cow::Borrowed(written) };
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' => {
                out.push(c);
                if chars.peek() == Some(&'{') {
                    out.push(c);
                }
            }
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    PRINTABLE.is_match(c.encode_utf8(&mut [0; 4]))
}

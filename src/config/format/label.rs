//! The canonical form of a block's label.

use std::borrow::Cow;

use crate::config::syntax::unquote;
use crate::value::escape;

/// What stands between the quotation marks of a label: its text with each character written plainly, or escaped where it has
/// to be. One that is wrong stays as it is. Terraform composes letters and their marks as well, and so renames what
/// references elsewhere still have under its old name; here the text stays.
pub(super) fn canonical(written: &str) -> Cow<'_, str> {
    if written.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ' | b'/' | b':')) {
        return Cow::Borrowed(written);
    }
    let Ok(text) = unquote(written) else { return Cow::Borrowed(written) };
    Cow::Owned(escape(&text))
}

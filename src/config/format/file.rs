//! The way of a whole file: parsed, so that nothing is touched that is not understood, then through the three steps.

use super::{layout, rewrite};
use crate::config::syntax;
use crate::config::token::scan;
use crate::diag::{Diagnostics, FileId};

/// The text of a file in the canonical format. A byte order mark is left out.
///
/// # Errors
/// The syntax errors of a file that has some: what is not understood is not touched.
pub fn format(text: &str, file: FileId) -> Result<String, Diagnostics> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    syntax::deep(|| syntax::parse(bare, file))?;
    Ok(layout::set(rewrite::rewritten(bare, &scan(bare))))
}

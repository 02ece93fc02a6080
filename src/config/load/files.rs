//! The files of one module: read from the bundle, decoded, parsed.

use std::sync::Arc;

use crate::config::desired::BlockBody;
use crate::config::path::join;
use crate::config::source::Bundle;
use crate::config::syntax;
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};

/// Parses every configuration file of a module's directory: the blocks of those that can be read, and whether all can.
pub(super) fn parse(
    bundle: &Bundle,
    directory: &str,
    sources: &mut SourceMap,
    errors: &mut Diagnostics,
) -> (Vec<BlockBody>, bool) {
    let mut blocks = Vec::new();
    let mut whole = true;
    for name in bundle.modules.get(directory).into_iter().flatten() {
        let path = join(directory, name);
        let shown = bundle.shown(&path);
        if let Some(refusal) = refuse(name, &shown) {
            errors.push(refusal);
            whole = false;
            continue;
        }
        let content = match bundle.file(&path) {
            Some(Ok(content)) => content,
            Some(Err(why)) => {
                errors.push(unreadable(&shown, why));
                whole = false;
                continue;
            }
            None => {
                errors.push(unreadable(&shown, "it is not in the bundle"));
                whole = false;
                continue;
            }
        };
        match file(content, &shown, sources) {
            Ok(found) => blocks.extend(found),
            Err(found) => {
                errors.extend(found);
                whole = false;
            }
        }
    }
    (blocks, whole)
}

fn unreadable(shown: &str, why: &str) -> Diagnostic {
    Diagnostic::error("Unreadable file", format!("The file \"{shown}\" cannot be read: {why}."))
}

/// Files that Terraform would read and this version does not: skipping them would plan something else than was meant.
fn refuse(name: &str, shown: &str) -> Option<Diagnostic> {
    if name.ends_with(".tf.json") {
        let detail = format!("\"{shown}\" is configuration in JSON, which is not read. Nothing was skipped silently.");
        return Some(
            Diagnostic::error("JSON configuration is not supported", detail)
                .hint("Write it in HCL, as a .hcl or .tf file, or remove it."),
        );
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem == "override" || stem.ends_with("_override") {
        let detail = format!("\"{shown}\" is an override file, which is not merged in this version.");
        return Some(
            Diagnostic::error("Override files are not supported", detail)
                .hint("Put its arguments into the blocks that it overrides."),
        );
    }
    None
}

/// Decodes and parses one file. The map holds the text without a byte order mark, and spans count from there.
fn file(content: &[u8], shown: &str, sources: &mut SourceMap) -> Result<Vec<BlockBody>, Diagnostics> {
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        Err(e) => {
            let id = sources.add(shown, String::from_utf8_lossy(content));
            let at = Span::new(id, e.valid_up_to()..e.valid_up_to() + 1);
            let detail = "The file is not UTF-8 at this place. Configuration is written in UTF-8.";
            return Err(Diagnostic::error("Invalid character encoding", detail).at(at).into());
        }
    };
    let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(text).into();
    let id = sources.add(shown, Arc::clone(&text));
    let body = syntax::parse(&text, id)?;
    let stray = body.attributes.iter().map(|(name, attribute)| {
        let detail =
            format!("An argument named \"{name}\" is not expected here: at the top of a file there are only blocks.");
        Diagnostic::error("Unsupported argument", detail).at(attribute.name_span).hint(
            "To name a value put it into a locals block; to set a variable's value use a .auto.gantryvars.hcl file.",
        )
    });
    let stray: Diagnostics = stray.collect();
    if stray.is_empty() { Ok(body.blocks) } else { Err(stray) }
}

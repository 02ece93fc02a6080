//! The files of one module: read from the bundle, decoded, parsed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::desired::BlockBody;
use crate::config::path::join;
use crate::config::source::Bundle;
use crate::config::syntax;
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};

/// How many bytes a module's files have together from which on they are parsed by several threads. Starting a thread costs
/// about what parsing some tens of kilobytes does.
const LARGE: usize = 256 << 10;

/// How many threads parse at most; a module with more files gives each thread several.
const THREADS_MAX: usize = 8;

/// A file whose text is known, in its place in the map of sources.
struct Text {
    text: Arc<str>,
    id: FileId,
}

/// Parses every configuration file of a module's directory: the blocks of those that can be read, and whether all can. Blocks
/// and errors come in the order of the files, whoever parsed them.
pub(super) fn parse(
    bundle: &Bundle,
    directory: &str,
    sources: &mut SourceMap,
    errors: &mut Diagnostics,
) -> (Vec<BlockBody>, bool) {
    let names = bundle.modules.get(directory).into_iter().flatten();
    let texts: Vec<Result<Text, Diagnostic>> = names.map(|name| text(bundle, directory, name, sources)).collect();
    let mut blocks = Vec::new();
    let mut whole = true;
    for result in parse_all(texts) {
        match result {
            Ok(found) => blocks.extend(found),
            Err(found) => {
                errors.extend(found);
                whole = false;
            }
        }
    }
    (blocks, whole)
}

/// What each file gives, in order.
fn parse_all(texts: Vec<Result<Text, Diagnostic>>) -> Vec<Result<Vec<BlockBody>, Diagnostics>> {
    let one = |text: Result<Text, Diagnostic>| text.map_err(Diagnostics::from).and_then(|text| file(&text));
    let bytes: usize = texts.iter().flatten().map(|text| text.text.len()).sum();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(texts.len()).min(THREADS_MAX);
    if bytes < LARGE || threads < 2 {
        return texts.into_iter().map(one).collect();
    }
    // Each thread takes the next file that nobody has, so that one large file does not wait behind others.
    let results: Vec<Mutex<Option<_>>> = texts.iter().map(|_| Mutex::new(None)).collect();
    let waiting = Mutex::new(texts.into_iter().enumerate());
    let unpoisoned = PoisonError::into_inner;
    let work = || {
        loop {
            let next = waiting.lock().unwrap_or_else(unpoisoned).next();
            let Some((at, text)) = next else { return };
            *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(one(text));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| syntax::deep(work));
        }
        work();
    });
    let parsed = |slot: Mutex<Option<_>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    results
        .into_iter()
        .map(|slot| parsed(slot).expect("invariant: every file was taken, and parsed before the end"))
        .collect()
}

/// The text of one file, decoded and entered into the map of sources.
fn text(bundle: &Bundle, directory: &str, name: &str, sources: &mut SourceMap) -> Result<Text, Diagnostic> {
    let path = join(directory, name);
    let shown = bundle.shown(&path);
    if let Some(refusal) = refuse(name, &shown) {
        return Err(refusal);
    }
    match bundle.file(&path) {
        Some(Ok(content)) => decode(content, &shown, sources),
        Some(Err(why)) => Err(unreadable(&shown, why)),
        None => Err(unreadable(&shown, "it is not in the bundle")),
    }
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

/// Decodes one file. The map holds the text without a byte order mark, and spans count from there.
fn decode(content: &[u8], shown: &str, sources: &mut SourceMap) -> Result<Text, Diagnostic> {
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        Err(e) => {
            let id = sources.add(shown, String::from_utf8_lossy(content));
            let at = Span::new(id, e.valid_up_to()..e.valid_up_to() + 1);
            let detail = "The file is not UTF-8 at this place. Configuration is written in UTF-8.";
            return Err(Diagnostic::error("Invalid character encoding", detail).at(at));
        }
    };
    let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(text).into();
    let id = sources.add(shown, Arc::clone(&text));
    Ok(Text { text, id })
}

/// Parses one file.
fn file(text: &Text) -> Result<Vec<BlockBody>, Diagnostics> {
    let body = syntax::parse(&text.text, text.id)?;
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

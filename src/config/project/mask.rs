//! The project file as messages may show it: the same text, byte for byte as long, with stars in the place of what may be
//! an address or a secret of a webhook.

use crate::config::desired::Body;
use crate::diag::{Diagnostic, Diagnostics};
use crate::eval::{Term, TermKind};

/// Arguments of a webhook that are no credentials.
const OPEN: [&str; 2] = ["format", "events"];

/// A file that could be parsed: everything is shown that is known to be no credential. A misspelt `secret` is still one.
pub(super) fn of_body(text: &str, body: &Body) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (name, attribute) in &body.attributes {
        if &**name != "environments" {
            hide(&attribute.term, &mut bytes);
        }
    }
    for block in body.blocks.iter().filter(|block| &*block.ty != "variables") {
        of_block(&block.body, &mut bytes);
    }
    into_text(bytes)
}

fn of_block(body: &Body, bytes: &mut [u8]) {
    for (name, attribute) in &body.attributes {
        if !OPEN.contains(&&**name) {
            hide(&attribute.term, bytes);
        }
    }
    body.blocks.iter().for_each(|block| of_block(&block.body, bytes));
}

fn hide(term: &Term, bytes: &mut [u8]) {
    // The name of a variable says where the secret is, and that is what people have to see.
    if let TermKind::Call { name, arguments, .. } = &term.kind
        && &**name == "env"
        && arguments.iter().all(|a| a.as_literal_str().is_some())
    {
        return;
    }
    let end = (term.span.end as usize).min(bytes.len());
    stars(&mut bytes[(term.span.start as usize).min(end)..end]);
}

fn stars(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = b'*';
    }
}

/// A file that could not be parsed, where nobody knows what belongs to what: from the first word `webhook` on, only names and
/// headers are shown.
pub(super) fn of_lines(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut from = text.find("webhook").map_or(text.len(), |at| text[..at].rfind('\n').map_or(0, |n| n + 1));
    for line in text[from..].split_inclusive('\n') {
        let hidden = match line.find('=') {
            Some(equals) if is_plain(&line[..equals]) => equals + 1..line.len(),
            None if is_plain(line) => 0..0,
            _ => 0..line.len(),
        };
        stars(&mut bytes[from + hidden.start..from + hidden.end]);
        from += line.len();
    }
    into_text(bytes)
}

/// Whether a text is the start of an argument, the header of a block, or a brace: words, labels of letters, braces. A secret has
/// the form of a word too, so that a line that is nothing but a word is none of these.
fn is_plain(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [] | ["{" | "}"] => true,
        ["webhook" | "variables" | "environments" | "url" | "secret" | "format" | "events", rest @ ..] => rest
            .iter()
            .all(|word| matches!(*word, "{" | "}" | "url" | "secret" | "format" | "events") || is_label(word)),
        _ => false,
    }
}

/// A label in quotation marks, as short as names are.
fn is_label(word: &str) -> bool {
    let inner = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
    inner.is_some_and(|w| w.len() <= 20 && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
}

/// What is said of a line that is not shown may not quote it either.
pub(super) fn errors(errors: Diagnostics, text: &str, masked: &str) -> Diagnostics {
    let hidden = |diagnostic: &Diagnostic| {
        let Some(span) = diagnostic.span else { return true };
        let at = text.floor_char_boundary(span.start as usize);
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let end = text.floor_char_boundary((span.end as usize).max(at));
        let line_end = text[end..].find('\n').map_or(text.len(), |n| end + n);
        text.as_bytes()[line_start..line_end] != masked.as_bytes()[line_start..line_end]
    };
    let said = |diagnostic: Diagnostic| match (hidden(&diagnostic), diagnostic.span) {
        (false, _) => diagnostic,
        (true, span) => {
            let detail = "Here the project file cannot be read. What stands there is not shown, as it may be the address or the secret of \
                          a webhook.";
            Diagnostic::error(diagnostic.summary, detail).at_opt(span)
        }
    };
    errors.into_iter().map(said).collect()
}

/// Stars have replaced whole terms and lines, never a part of a character.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| "*".repeat(e.as_bytes().len()))
}

//! hcl-edit's syntax errors in the words of the house.

use hcl_edit::parser::Error;

use crate::diag::{Diagnostic, Diagnostics, FileId, Span};

/// What hcl-edit misses where a heredoc is not closed.
const HEREDOC: &str = "heredoc end delimiter";

/// What a message of hcl-edit's says, how we say it, and why.
const KNOWN: [(&str, &str, &str); 7] = [
    (
        "found redefined attribute",
        "Attribute redefined",
        "This argument is set twice in the same block. Each argument is set once.",
    ),
    (
        "found redefined object key",
        "Duplicate object key",
        "This key stands twice in the same object. Each key is given once.",
    ),
    (
        "invalid nesting depth",
        "Nesting too deep",
        "Expressions, templates and blocks may be nested up to 64 levels deep. Name parts of it in a locals block.",
    ),
    (
        "at most 128 chained binary operators",
        "Expression too long",
        "An expression may have up to 128 operators in a chain. Name parts of it in a locals block.",
    ),
    (
        HEREDOC,
        "Unterminated template string",
        "No line that holds only the closing marker was found before the end of the file. A heredoc ends at a line with \
         its marker alone.",
    ),
    (
        "invalid escape sequence",
        "Invalid escape sequence",
        "A backslash in a quoted string starts an escape sequence: \\n, \\r, \\t, \\\", \\\\, \\uNNNN or \\UNNNNNNNN. For a \
         backslash write \\\\.",
    ),
    (
        "digit hex code",
        "Invalid escape sequence",
        "\\u is followed by four and \\U by eight hexadecimal digits of a Unicode character, as in \\u00e9.",
    ),
];

/// hcl-edit's error as a diagnostic.
pub(super) fn syntax_error(error: &Error, text: &str, file: FileId) -> Diagnostics {
    let at = place(error, text);
    let message = error.message();
    let known = KNOWN.iter().find(|(part, ..)| message.contains(part));
    let at = if message.contains(HEREDOC) { text[..at].rfind("<<").unwrap_or(at) } else { at };
    let (summary, detail, range) = match known {
        Some((_, summary, detail)) => (*summary, (*detail).to_owned(), word(text, at)),
        None => unknown(message, text, at),
    };
    Diagnostic::error(summary, detail).at(Span::new(file, range)).into()
}

/// Where the error is. hcl-edit gives the last byte for the end of the text, and tells the two apart by the column only.
fn place(error: &Error, text: &str) -> usize {
    let at = text.floor_char_boundary(error.location().offset());
    let line = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let column = text[line..at].chars().count() + 1;
    if error.location().column() > column { text.len() } else { at }
}

/// The word, the opening of a heredoc, or the one character, at a place.
fn word(text: &str, at: usize) -> std::ops::Range<usize> {
    let Some(rest) = text.get(at..) else { return at..at };
    if rest.starts_with("<<") {
        return at..at + rest.lines().next().map_or(0, |line| line.trim_end().len());
    }
    let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
    if length > 0 {
        return at..at + length;
    }
    let one = rest.chars().next().filter(|c| *c != '\n' && *c != '\r');
    at..at + one.map_or(0, char::len_utf8)
}

/// What is said where hcl-edit's message names no cause of its own: judged by what stands there.
fn unknown(message: &str, text: &str, at: usize) -> (&'static str, String, std::ops::Range<usize>) {
    let here = text.get(at..).unwrap_or("");
    let line_start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |n| n + 1);
    let line = text.get(line_start..).unwrap_or("").lines().next().unwrap_or("");
    if let Some(quote) = open_quote(line) {
        let start = line_start + quote;
        let detail = "This string has no closing quotation mark on its line. A string ends on the line on which it starts; \
                      for a text of several lines use a heredoc (<<EOT … EOT).";
        return ("Unclosed string", detail.into(), start..line_start + line.len());
    }
    if here.trim().is_empty() {
        let (summary, detail) = if message.contains("block body") || message.contains("newline") {
            ("Unclosed configuration block", "The file ends inside a block. A closing brace \"}\" is missing.")
        } else {
            (
                "Unexpected end of file",
                "The file ends in the middle of an expression or block. A closing bracket is missing.",
            )
        };
        // The end of a file is an empty place: the last thing that stands there shows where to look.
        let last = text.trim_end().len();
        let start = text[..last].char_indices().next_back().map_or(0, |(i, _)| i);
        return (summary, detail.into(), start..last);
    }
    let at = at + here.len() - here.trim_start_matches([' ', '\t']).len();
    let here = &text[at..];
    let range = word(text, at);
    let what = &text[range.clone()];
    let found = if what.is_empty() { "the end of the line".to_owned() } else { format!("\"{what}\"") };
    let ended = message.contains("newline") || message.contains("eof");
    let (summary, detail) = if ended && text[line_start..at].trim().is_empty() {
        // Nothing stands before it on its line, so it is the start of something that could not be read to its end.
        ("Invalid argument or block", incomplete(line).to_owned())
    } else if ended {
        let detail = format!("Found {found} behind a complete argument or block. The next one starts on a new line.");
        ("Missing newline", detail)
    } else if message.contains("invalid structure") {
        let detail = format!(
            "Found {found} where \"=\", a label or \"{{\" was expected. An argument is NAME = VALUE, a block is TYPE \
             \"LABEL\" {{ … }}."
        );
        ("Argument or block definition required", detail)
    } else if message.contains("invalid expression") {
        let detail =
            format!("Found {found} where a value was expected: a string, number, list, object, reference or call.");
        ("Invalid expression", detail)
    } else if here.starts_with("\"${") || here.starts_with("\"%{") {
        ("Invalid block definition", "A block's label is a plain string or word, without templates.".to_owned())
    } else {
        ("Invalid syntax", format!("Found {found}, which cannot stand here.{}", expected(message)))
    };
    (summary, detail, range)
}

/// What may be wrong with a line whose start is all that hcl-edit names.
fn incomplete(line: &str) -> &'static str {
    if line.contains("%{") {
        return "A template directive in this line is not known, or has no end. There are %{ if … }, %{ else }, %{ endif }, \
                %{ for … in … } and %{ endfor }.";
    }
    let single = |c: char| line.contains(c) && !line.contains(&format!("{c}{c}"));
    if single('&') || single('|') {
        return "There is no operator \"&\" or \"|\". For conditions there are \"&&\" and \"||\".";
    }
    "What starts here cannot be read to its end: an operator has no operand, or a quotation mark, a bracket or ${ … } is \
     not closed."
}

/// What hcl-edit expected instead, as a sentence.
fn expected(message: &str) -> String {
    let Some((_, expected)) = message.rsplit_once("expected ") else { return String::new() };
    match expected {
        "`]`" => " Expected a comma or \"]\": elements are separated by commas.".into(),
        "`)` or expression" => " Expected a comma or \")\": arguments are separated by commas.".into(),
        "token" => String::new(),
        other => format!(" Expected {}.", other.replace('`', "\"")),
    }
}

/// Where a string starts on a line that does not end on it, if one does. Escapes are counted, nested templates are not
/// followed: this only words a message.
fn open_quote(line: &str) -> Option<usize> {
    let mut open = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if open.is_some() => {
                chars.next();
            }
            '"' => open = if open.is_some() { None } else { Some(at) },
            '#' if open.is_none() => return None,
            _ => {}
        }
    }
    open
}

//! Diagnostics: as plain text, or in colour behind a bar.

use crate::diag::{Diagnostic, Diagnostics, Severity, SourceMap, render};
use crate::view::{Ink, Style};

/// One diagnostic. In colour it stands behind a bar, as Terraform's do, so that one ends where the next begins; without
/// colour it is [`render`]'s plain block.
#[must_use]
pub fn diagnostic(diagnostic: &Diagnostic, sources: &SourceMap, style: Style) -> String {
    let text = render(diagnostic, sources);
    if style == Style::Plain {
        return text;
    }
    let ink = match diagnostic.severity {
        Severity::Error => Ink::Red,
        Severity::Warning => Ink::Yellow,
    };
    let mut out = format!("{}\n", style.paint(ink, "╷"));
    for (i, line) in text.lines().enumerate() {
        let line = match line.split_once(": ") {
            Some((label, summary)) if i == 0 => {
                format!("{} {}", style.paint(ink, &style.bold(&format!("{label}:"))), style.bold(summary))
            }
            _ if is_caret(line) => style.paint(ink, line),
            _ if line.starts_with("  at ") || line.starts_with("  on ") => style.paint(Ink::Dim, line),
            _ => line.to_owned(),
        };
        out.push_str(format!("{} {line}", style.paint(ink, "│")).trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{}\n", style.paint(ink, "╵")));
    out
}

/// The line with the carets below an excerpt: a bar, then nothing but them.
fn is_caret(line: &str) -> bool {
    line.trim_start().strip_prefix('|').is_some_and(|rest| {
        let rest = rest.trim();
        !rest.is_empty() && rest.chars().all(|c| c == '^')
    })
}

/// How many diagnostics are shown: nobody reads more before mending some. Documents for programs have them all.
const SHOWN_MAX: usize = 100;

/// All diagnostics of a phase, sorted by place, with a line between them; of very many the first, errors before warnings, and
/// how many more there are. Empty if there is none.
#[must_use]
pub fn diagnostics(all: &Diagnostics, sources: &SourceMap, style: Style) -> String {
    let mut groups = all.grouped();
    let hidden = groups.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 {
        groups.sort_by_key(|d| d.severity);
        groups.truncate(SHOWN_MAX);
    }
    let mut blocks: Vec<String> = groups.iter().map(|d| diagnostic(d, sources, style)).collect();
    if hidden > 0 {
        blocks.push(format!("… and {} more. All of them: gantry validate --json\n", grouped_digits(hidden)));
    }
    blocks.join(if style == Style::Plain { "\n" } else { "" })
}

/// 9950 as 9,950.
fn grouped_digits(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    #[test]
    fn colour_only_adds_a_bar() {
        let mut sources = SourceMap::default();
        let file = sources.add("main.hcl", "port = vra.port\n");
        let one = Diagnostic::error("Unknown reference", "There is no \"vra\".").at(Span::new(file, 7..10));
        let plain = diagnostic(&one, &sources, Style::Plain);
        assert_eq!(plain, render(&one, &sources));
        let coloured = diagnostic(&one, &sources, Style::Ansi);
        let stripped: String = strip(&coloured);
        let behind: String = plain.lines().map(|l| format!("│ {l}").trim_end().to_owned() + "\n").collect();
        assert_eq!(stripped, format!("╷\n{behind}╵\n"));
        assert!(coloured.contains("\u{1b}[31m    |        ^^^\u{1b}[0m") || coloured.contains("^^^\u{1b}[0m"));
    }

    fn strip(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '\u{1b}' {
                chars.by_ref().find(|c| *c == 'm');
            } else {
                out.push(c);
            }
        }
        out
    }
}

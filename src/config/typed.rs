//! What a person has typed so far, in a console: whether more must follow, and which name the cursor stands in.

use super::token::{Kind, Token, scan};

/// What an unfinished text is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// A bracket or a template's interpolation that is not closed.
    Bracket,
    /// A heredoc whose closing marker has not come.
    Heredoc,
}

/// Whether lines that were typed so far are the beginning of an expression: some bracket or heredoc is open, and nothing in them
/// is wrong already. This is the rule of `terraform console`.
#[must_use]
pub fn unfinished(text: &str) -> Option<Unfinished> {
    let whole = format!("{text}\n");
    let mut open = Vec::new();
    for token in scan(&whole) {
        let opener = match token.kind {
            Kind::OpenBrace
            | Kind::OpenBracket
            | Kind::OpenParen
            | Kind::OpenHeredoc
            | Kind::OpenInterpolation
            | Kind::OpenDirective => {
                open.push(token.kind);
                continue;
            }
            Kind::CloseBrace => &[Kind::OpenBrace][..],
            Kind::CloseBracket => &[Kind::OpenBracket],
            Kind::CloseParen => &[Kind::OpenParen],
            Kind::CloseHeredoc => &[Kind::OpenHeredoc],
            Kind::CloseTemplate => &[Kind::OpenInterpolation, Kind::OpenDirective],
            Kind::Stray | Kind::QuotedNewline | Kind::UnclosedQuote | Kind::UnclosedComment => return None,
            _ => continue,
        };
        if !open.pop().is_some_and(|last| opener.contains(&last)) {
            return None;
        }
    }
    open.last().map(|last| if *last == Kind::OpenHeredoc { Unfinished::Heredoc } else { Unfinished::Bracket })
}

/// The name that a text ends in, with what stands in front of its last dot: `local.a["x"].b` of `1 + local.a["x"].b`. Empty
/// where a name could begin; `None` inside of a string or comment, where names mean nothing.
#[must_use]
pub fn name_at_end(text: &str) -> Option<&str> {
    let mut tokens = scan(text);
    tokens.pop();
    let inside_text = |t: &Token| {
        matches!(
            t.kind,
            Kind::OpenQuote | Kind::QuotedText | Kind::OpenHeredoc | Kind::Text | Kind::UnclosedComment | Kind::Number
        ) || (t.kind == Kind::Comment && !t.text(text).ends_with('\n') && !t.text(text).starts_with("/*"))
    };
    if tokens.last().is_some_and(inside_text) {
        return None;
    }
    let mut start = text.len();
    let mut rest = &tokens[..];
    loop {
        rest = match rest {
            [before @ .., last] if last.end as usize == start && matches!(last.kind, Kind::Identifier | Kind::Dot) => {
                start = last.start as usize;
                before
            }
            [before @ .., open, number, close]
                if close.end as usize == start
                    && [open.kind, number.kind, close.kind]
                        == [Kind::OpenBracket, Kind::Number, Kind::CloseBracket] =>
            {
                start = open.start as usize;
                before
            }
            [before @ .., open, quote, name, end, close]
                if close.end as usize == start
                    && [open.kind, quote.kind, name.kind, end.kind, close.kind]
                        == [
                            Kind::OpenBracket,
                            Kind::OpenQuote,
                            Kind::QuotedText,
                            Kind::CloseQuote,
                            Kind::CloseBracket,
                        ] =>
            {
                start = open.start as usize;
                before
            }
            _ => return Some(&text[start..]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_brackets_and_heredocs_want_more() {
        use Unfinished::{Bracket, Heredoc};
        for (text, wanted) in [
            ("1 + 1", None),
            ("[", Some(Bracket)),
            ("[1,\n", Some(Bracket)),
            ("[1,\n2]", None),
            ("f(", Some(Bracket)),
            ("{ a = [", Some(Bracket)),
            ("\"${", Some(Bracket)),
            ("\"${ [1,", Some(Bracket)),
            ("\"${1}\"", None),
            ("<<EOT", Some(Heredoc)),
            ("<<EOT\na\n", Some(Heredoc)),
            ("<<EOT\n${ [", Some(Bracket)),
            ("<<EOT\na\nEOT", None),
            ("upper(<<EOT\na\nEOT\n", Some(Bracket)),
            // What is wrong already is not waited for.
            ("]", None),
            ("[)", None),
            ("[\"a", None),
            ("\"a", None),
            ("[ ;", None),
            ("[ /* a", None),
            ("1 +", None),
            ("", None),
        ] {
            assert_eq!(unfinished(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn the_name_at_the_cursor_is_found() {
        for (text, wanted) in [
            ("", Some("")),
            ("sub", Some("sub")),
            ("1 + local.a", Some("local.a")),
            ("upper(var.", Some("var.")),
            ("a b", Some("b")),
            ("a ", Some("")),
            ("module.m[\"k\"].o", Some("module.m[\"k\"].o")),
            ("x.y[0].", Some("x.y[0].")),
            ("[1].", Some("[1].")),
            ("\"${var.a", Some("var.a")),
            ("\"var.a", None),
            ("\"", None),
            ("# var.a", None),
            ("12", None),
            ("é.ü", Some("é.ü")),
        ] {
            assert_eq!(name_at_end(text), wanted, "{text:?}");
        }
    }
}

//! The scanner: what each text is cut into, and that nothing is lost.

use proptest::prelude::*;

use crate::config::token::{Kind, Token, scan, scan_template};

fn cut(text: &str) -> Vec<(Kind, &str)> {
    scan(text).into_iter().map(|t| (t.kind, t.text(text))).collect()
}

fn kinds(text: &str) -> Vec<Kind> {
    scan(text).into_iter().map(|t| t.kind).collect()
}

#[test]
fn an_argument() {
    use Kind::{Assign, Comment, End, Identifier, Minus, Number};
    assert_eq!(
        cut("port-1 = -80 # web\n"),
        [(Identifier, "port-1"), (Assign, "="), (Minus, "-"), (Number, "80"), (Comment, "# web\n"), (End, "")]
    );
}

#[test]
fn dots_and_exponents_belong_to_a_number_but_not_at_its_end() {
    for (text, first) in [("1.5e-3", "1.5e-3"), ("1..2", "1..2"), ("1...", "1"), ("1e", "1"), ("0.1.a", "0.1")] {
        assert_eq!(cut(text)[0], (Kind::Number, first), "{text}");
    }
}

#[test]
fn a_doubled_sign_makes_text_of_a_sequence() {
    use Kind::{CloseQuote, CloseTemplate, End, Number, OpenInterpolation, OpenQuote, QuotedText};
    assert_eq!(kinds(r#""$${1}""#), [OpenQuote, QuotedText, CloseQuote, End]);
    assert_eq!(kinds(r#""$$${1}""#), [OpenQuote, QuotedText, CloseQuote, End]);
    assert_eq!(
        kinds(r#""%${~1~}""#),
        [OpenQuote, QuotedText, OpenInterpolation, Number, CloseTemplate, CloseQuote, End]
    );
    assert_eq!(kinds(r#""a\"b""#), [OpenQuote, QuotedText, CloseQuote, End]);
}

#[test]
fn braces_inside_an_interpolation_do_not_end_it() {
    let text = r#""${ {a = "}"} }x""#;
    let last: Vec<_> = cut(text).into_iter().rev().take(4).collect();
    assert_eq!(last, [(Kind::End, ""), (Kind::CloseQuote, "\""), (Kind::QuotedText, "x"), (Kind::CloseTemplate, "}")]);
}

#[test]
fn a_heredoc_ends_at_a_line_of_its_marker_alone() {
    let text = "<<-EOT\n  EOT b\n ${1} EOT\n  EOT\n";
    use Kind::{CloseHeredoc, CloseTemplate, End, Newline, Number, OpenHeredoc, OpenInterpolation, Text};
    assert_eq!(
        cut(text),
        [
            (OpenHeredoc, "<<-EOT\n"),
            (Text, "  EOT b\n"),
            (Text, " "),
            (OpenInterpolation, "${"),
            (Number, "1"),
            (CloseTemplate, "}"),
            (Text, " EOT\n"),
            (CloseHeredoc, "  EOT"),
            (Newline, "\n"),
            (End, "")
        ]
    );
    assert_eq!(cut("<<A\r\nx\r\nA\r\n")[2..4], [(CloseHeredoc, "A"), (Newline, "\r\n")]);
    assert_eq!(kinds("<<A\n${1}\nA"), [OpenHeredoc, OpenInterpolation, Number, CloseTemplate, Text, CloseHeredoc, End]);
    assert_eq!(kinds("1 << 2")[1..3], [Kind::Less, Kind::Less]);
}

#[test]
fn a_bare_template_starts_with_text() {
    let text = "a \" $${ ${x} %{~ if y }\n";
    let all: Vec<_> = scan_template(text).into_iter().map(|t| (t.kind, t.text(text))).collect();
    assert_eq!(all[0], (Kind::Text, "a \" $${ "));
    assert_eq!(all[4].1, " ");
    assert_eq!(all[5], (Kind::OpenDirective, "%{~"));
}

#[test]
fn what_cannot_be_there_is_a_token_too() {
    assert_eq!(kinds("a; 'b' & ` ~ ^ \u{a0} \r \u{201c}").iter().filter(|k| **k == Kind::Stray).count(), 10);
    assert_eq!(kinds("/* x"), [Kind::UnclosedComment, Kind::End]);
}

#[test]
fn a_line_break_ends_a_string_unless_a_later_mark_does() {
    use Kind::{CloseQuote, End, Identifier, Newline, OpenQuote, QuotedNewline, QuotedText, UnclosedQuote};
    assert_eq!(kinds("\"a\n\nb\""), [OpenQuote, QuotedText, QuotedNewline, QuotedText, CloseQuote, End]);
    assert_eq!(kinds("\"a\nb"), [OpenQuote, QuotedText, UnclosedQuote, Newline, Identifier, End]);
    assert_eq!(
        kinds("\"${a\"\n\"\""),
        [OpenQuote, Kind::OpenInterpolation, Identifier, OpenQuote, UnclosedQuote, Newline, OpenQuote, CloseQuote, End]
    );
}

fn rebuilt(text: &str, tokens: &[Token]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    for token in tokens {
        let gap = &text[at..token.start as usize];
        assert!(gap.bytes().all(|b| matches!(b, b' ' | b'\t')), "{gap:?} between tokens of {text:?}");
        out.push_str(gap);
        out.push_str(token.text(text));
        at = token.end as usize;
    }
    out
}

proptest! {
    #[test]
    fn nothing_is_lost(text in r#"([a-z1.{}\[\]()"$%~<\n\r\\ =#/*é-]|\$\{|%\{|<<A\n|\nA\n|"){0,60}"#) {
        prop_assert_eq!(rebuilt(&text, &scan(&text)), text.clone());
        prop_assert_eq!(rebuilt(&text, &scan_template(&text)), text);
    }
}

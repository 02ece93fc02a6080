//! A token on its way into the formatted text.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::config::token::Kind;

/// A token, and how many spaces stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    pub(super) kind: Kind,
    pub(super) text: Cow<'t, str>,
    pub(super) spaces: usize,
}

impl<'t> Piece<'t> {
    pub(super) fn new(kind: Kind, text: impl Into<Cow<'t, str>>) -> Self {
        Self { kind, text: text.into(), spaces: 0 }
    }

    /// Whether a line ends with it: a line end, or a comment that takes its line end in.
    pub(super) fn ends_line(&self) -> bool {
        self.kind == Kind::Newline || (self.kind == Kind::Comment && self.text.ends_with('\n'))
    }

    /// How many columns it takes, its spaces included.
    pub(super) fn width(&self) -> usize {
        self.spaces + columns(&self.text)
    }
}

/// How many brackets a token opens, or closes if negative.
pub(super) fn bracket(kind: Kind) -> isize {
    match kind {
        Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenInterpolation | Kind::OpenDirective => 1,
        Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate => -1,
        _ => 0,
    }
}

/// The columns of a text: its grapheme clusters, wide or not, as Terraform counts them. It does so by the rules of Unicode
/// 15.0, in which a conjunct of Indic consonants is several clusters still.
fn columns(text: &str) -> usize {
    if text.is_ascii() {
        let returns = text.bytes().filter(|b| *b == b'\r').count();
        // Only few texts have one, and then two bytes may be one cluster.
        return text.len() - if returns > 0 { text.matches("\r\n").count() } else { 0 };
    }
    text.graphemes(true).map(|cluster| 1 + conjoined(cluster)).sum()
}

/// How many consonants of a cluster stand in it only because of Unicode's newer rule (UAX 29, GB9c).
fn conjoined(cluster: &str) -> usize {
    let joins = |c: char| ['a', c].iter().collect::<String>().graphemes(true).count() == 1;
    let indic = |c: char| matches!(c, '\u{900}'..='\u{1cff}' | '\u{a800}'..='\u{abff}' | '\u{11000}'..='\u{11fff}');
    let pairs = cluster.chars().zip(cluster.chars().skip(1));
    pairs.filter(|(before, c)| indic(*c) && c.is_alphabetic() && joins(*before) && !joins(*c)).count()
}

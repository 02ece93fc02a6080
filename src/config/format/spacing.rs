//! Which tokens of a line are set apart.

use super::piece::{Piece, bracket};
use crate::config::token::Kind;

/// Whether a space stands between `this` and `next`. `before` is what stands before `this` in the same cell of the line.
pub(super) fn apart(before: Option<Kind>, this: &Piece<'_>, next: &Piece<'_>) -> bool {
    use Kind::{
        CloseBrace, CloseTemplate, Comma, Dot, DoubleColon, Ellipsis, Identifier, Newline, OpenBrace, OpenBracket,
        OpenDirective, OpenInterpolation, OpenParen,
    };
    match (this.kind, next.kind) {
        // A call's name, a namespace, a step of a path, and what ends a line or an element hold fast to what is before them.
        (_, Newline)
        | (Identifier, OpenParen | DoubleColon)
        | (DoubleColon, Identifier)
        | (_, Dot | Comma | Ellipsis) => false,
        (Dot, _) => before == Some(Kind::Number) && continues_number(&next.text),
        (Comma, _) => true,
        // The text of a template is not ours to change.
        (this, next) if is_template(this, next) => false,
        // `in` is an operator of `for`, unless nothing stands before it that could be its variable: `for x in [1]`.
        (Identifier, _) if this.text == "in" && before == Some(Identifier) => true,
        // An index, an empty pair of braces, and two sequences of a template side by side.
        (Identifier | Kind::Number, OpenBracket)
        | (OpenBrace, CloseBrace)
        | (CloseTemplate, OpenInterpolation | OpenDirective) => false,
        (this, OpenBracket) if bracket(this) < 0 => false,
        (Kind::Not, _) => false,
        (Kind::Minus, _) => !is_negation(before),
        // Braces are set apart from what is in them, an object alone in a sequence also from the sequence's own.
        (OpenBrace, _)
        | (_, CloseBrace)
        | (OpenInterpolation | OpenDirective, OpenBrace)
        | (CloseBrace, CloseTemplate) => true,
        (this, next) => bracket(this) <= 0 && bracket(next) >= 0,
    }
}

/// Whether a number and a dot would take in what follows: `1 .5`, an index into a number, is not 1.5. Terraform makes that of it.
fn continues_number(text: &str) -> bool {
    let exponent = text.trim_start_matches(['e', 'E']).trim_start_matches('-');
    exponent.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether one of the two is a delimiter or the text of a template, seen from its inside.
fn is_template(this: Kind, next: Kind) -> bool {
    matches!(this, Kind::QuotedText | Kind::Text | Kind::OpenQuote | Kind::OpenHeredoc)
        || matches!(next, Kind::QuotedText | Kind::Text | Kind::CloseQuote | Kind::CloseHeredoc)
}

/// Whether a minus behind this one is the sign of a number: behind what cannot end an expression.
fn is_negation(before: Option<Kind>) -> bool {
    use Kind::{
        And, Assign, Colon, Comma, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Minus, Not, NotEqual, OpenBrace,
        OpenBracket, OpenParen, Or, Percent, Plus, Question, Slash, Star,
    };
    let Some(before) = before else { return true };
    matches!(
        before,
        OpenParen | OpenBrace | OpenBracket | Assign | Colon | Comma | Question // behind an opening or a separator
            | Plus | Minus | Star | Slash | Percent
            | Equal | NotEqual | Greater | GreaterOrEqual | Less | LessOrEqual
            | And | Or | Not
    )
}

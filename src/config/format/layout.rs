//! Lines: their indentation, and the columns of equals signs and comments.

use std::ops::Range;

use super::piece::{Piece, bracket};
use super::spacing::apart;
use crate::config::token::Kind;

/// How far one level is indented.
const STEP: usize = 2;

/// A line in up to three cells, as indices of pieces: what leads it, an assignment from its equals sign on, and a comment at its
/// end. The latter two are empty where there are none.
struct Line {
    lead: Range<usize>,
    assign: Range<usize>,
    comment: Range<usize>,
    /// How wide the lead is, indentation included, where something stands behind it.
    width: usize,
}

/// The pieces as text, each with the spaces that belong before it. The last piece is [`Kind::End`], and keeps its own.
pub(super) fn set(mut pieces: Vec<Piece<'_>>) -> String {
    let mut lines = lines(&pieces);
    let mut levels = Vec::new();
    for line in &mut lines {
        indent(line, &mut pieces, &mut levels);
        space(&line.lead, &mut pieces);
        space(&line.assign, &mut pieces);
        if !(line.assign.is_empty() && line.comment.is_empty()) {
            line.width = width(&pieces[line.lead.clone()]);
        }
    }
    align(&lines, &mut pieces, |line, _| (line.assign.clone(), line.width));
    align(&lines, &mut pieces, |line, pieces| {
        let aside = if line.comment.is_empty() { 0 } else { width(&pieces[line.assign.clone()]) };
        (line.comment.clone(), line.width + aside)
    });
    text(&pieces)
}

/// Cuts the pieces, all but the end, into lines.
fn lines(pieces: &[Piece<'_>]) -> Vec<Line> {
    let end = pieces.len() - usize::from(pieces.last().is_some_and(|p| p.kind == Kind::End));
    let (mut lines, mut start) = (Vec::new(), 0);
    for (at, piece) in pieces[..end].iter().enumerate() {
        if piece.ends_line() || at + 1 == end {
            lines.push(line(start..at + 1, pieces));
            start = at + 1;
        }
    }
    lines
}

fn line(all: Range<usize>, pieces: &[Piece<'_>]) -> Line {
    let commented = all.len() > 1 && pieces[all.end - 1].kind == Kind::Comment;
    let comment = all.end - usize::from(commented)..all.end;
    let mut lead = all.start..comment.start;
    let mut assign = comment.start..comment.start;
    let equals = (lead.start + 1..lead.end).find(|at| pieces[*at].kind == Kind::Assign);
    // What opens more brackets than it closes goes on in the next lines, and takes part in no column.
    if let Some(equals) = equals.filter(|at| pieces[*at..lead.end].iter().map(|p| bracket(p.kind)).sum::<isize>() == 0)
    {
        assign.start = equals;
        lead.end = equals;
    }
    Line { lead, assign, comment, width: 0 }
}

/// Sets the spaces before a line by the brackets that are open. A level is what one line opened, be it several brackets; a line
/// that closes brackets leaves the levels that it closes whole.
fn indent(line: &Line, pieces: &mut [Piece<'_>], levels: &mut Vec<usize>) {
    let lead = &mut pieces[line.lead.clone()];
    if lead.first().is_none_or(|first| first.kind == Kind::Newline) {
        lead.iter_mut().take(1).for_each(|newline| newline.spaces = 0);
        return;
    }
    let heredoc = lead.iter().position(|p| p.kind == Kind::OpenHeredoc).unwrap_or(lead.len());
    let net: isize = lead[..heredoc].iter().map(|p| bracket(p.kind)).sum();
    if net < 0 {
        close(levels, net.unsigned_abs());
    }
    lead[0].spaces = STEP * levels.len();
    if net > 0 {
        levels.push(net.unsigned_abs());
    }
}

fn close(levels: &mut Vec<usize>, mut closed: usize) {
    while closed > 0
        && let Some(level) = levels.last_mut()
    {
        if *level > closed {
            *level -= closed;
            return;
        }
        closed -= *level;
        levels.pop();
    }
}

/// Sets the spaces between the pieces of a cell.
fn space(cell: &Range<usize>, pieces: &mut [Piece<'_>]) {
    let cell = &mut pieces[cell.clone()];
    for at in 1..cell.len() {
        let before = at.checked_sub(2).map(|before| cell[before].kind);
        cell[at].spaces = usize::from(apart(before, &cell[at - 1], &cell[at]));
    }
}

/// Puts a cell of consecutive lines that all have it into one column: behind the widest of what stands before it. `of` gives
/// the cell, and the width of what stands before it.
fn align(lines: &[Line], pieces: &mut [Piece<'_>], of: impl Fn(&Line, &[Piece<'_>]) -> (Range<usize>, usize)) {
    let (mut cells, mut widest) = (Vec::new(), 0);
    for line in lines {
        let (cell, width) = of(line, pieces);
        if cell.is_empty() {
            settle(&mut cells, pieces, widest);
            widest = 0;
        } else {
            cells.push((cell.start, width));
            widest = widest.max(width);
        }
    }
    settle(&mut cells, pieces, widest);
}

fn settle(cells: &mut Vec<(usize, usize)>, pieces: &mut [Piece<'_>], widest: usize) {
    for (cell, width) in cells.drain(..) {
        pieces[cell].spaces = widest - width + 1;
    }
}

fn width(pieces: &[Piece<'_>]) -> usize {
    pieces.iter().map(Piece::width).sum()
}

fn text(pieces: &[Piece<'_>]) -> String {
    let mut out = String::with_capacity(pieces.iter().map(|p| p.spaces + p.text.len()).sum());
    for piece in pieces {
        (0..piece.spaces).for_each(|_| out.push(' '));
        out.push_str(&piece.text);
    }
    out
}

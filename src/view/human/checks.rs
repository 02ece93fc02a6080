//! Verdicts of checks.

use std::collections::BTreeMap;

use crate::addr::Address;
use crate::ledger::event::CheckJudged;
use crate::view::words::{clean, sentence, table, time};
use crate::view::{Ink, Style};

/// The last verdict of each check, a line each: `passed`, the check, when, and the sentence. Empty if there is none.
#[must_use]
pub fn verdicts(checks: &BTreeMap<Address, (CheckJudged, String)>, style: Style) -> String {
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|(address, (judged, at))| {
            vec![verdict(judged).to_owned(), clean(&address.to_string()), time(at), sentence(&judged.sentence)]
        })
        .collect();
    let lines = table(&rows);
    let paint = |line: &str| match line.split_once(' ') {
        Some((word, rest)) => {
            format!("  {} {rest}\n", style.paint(if word == "passed" { Ink::Green } else { Ink::Red }, word))
        }
        None => format!("  {line}\n"),
    };
    lines.lines().map(paint).collect()
}

/// `passed` or `failed`.
pub(in crate::view) fn verdict(judged: &CheckJudged) -> &'static str {
    if judged.passed { "passed" } else { "failed" }
}

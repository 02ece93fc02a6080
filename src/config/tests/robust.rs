//! No input panics: random bytes, random pieces of the language, and valid files with something changed in them.

use proptest::prelude::*;

use super::bundle;
use crate::config::{Bundle, load, parse_expression, parse_template};
use crate::diag::{FileId, render};

/// Loads what may be anything and renders what is said of it, so that spans are looked at too.
fn try_load(bytes: &[u8]) {
    let mut bundle = bundle(&[("main.hcl".into(), String::new())]);
    bundle.files.insert("main.hcl".into(), bytes.into());
    if let Err(error) = load(&bundle) {
        for diagnostic in error.diagnostics.sorted() {
            assert!(!render(diagnostic, &error.sources).is_empty());
        }
    }
}

/// Every valid and every mistaken file that the other tests have.
fn seeds() -> Vec<String> {
    let mistakes = include_str!("mistakes.txt").split("=== ").skip(1);
    let mistakes = mistakes.filter_map(|case| Some(case.split_once('\n')?.1.split_once("---\n")?.0.to_owned()));
    let templates: Vec<serde_json::Value> = serde_json::from_str(include_str!("templates.json")).unwrap();
    let templates = templates.iter().map(|case| format!("locals {{\n  x = {}}}\n", case["source"].as_str().unwrap()));
    mistakes.chain(templates).chain([super::loading::MAIN.to_owned()]).collect()
}

/// Tokens that make the parser turn corners.
const PIECES: [&str; 36] = [
    "locals",
    "variable",
    "resource",
    "dynamic",
    "\"a\"",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "=",
    "=>",
    "?",
    ":",
    ",",
    "\n",
    " ",
    "${",
    "%{",
    "~}",
    "<<EOT\n",
    "<<-EOT\n",
    "\nEOT\n",
    "for",
    "in",
    "if",
    "endif",
    "endfor",
    "...",
    ".*",
    "[*]",
    "\\",
    "é\u{301}",
    "a.0",
    "1e9",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        try_load(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse_expression(&text, FileId(0));
        let _ = parse_template(&text, FileId(0));
        let _ = Bundle::from_bytes(&bytes);
    }

    #[test]
    fn random_pieces(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        let text = pieces.concat();
        try_load(text.as_bytes());
        try_load(format!("locals {{\n  a = {text}\n}}\n").as_bytes());
        let _ = parse_expression(&text, FileId(0));
        let _ = parse_template(&text, FileId(0));
    }

    #[test]
    fn mutated_files(
        seed in proptest::sample::select(seeds()),
        at in any::<proptest::sample::Index>(),
        length in 0_usize..12,
        piece in proptest::sample::select(&PIECES[..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut text = seed.into_bytes();
        let start = at.index(text.len() + 1);
        let end = (start + length).min(text.len());
        text.splice(start..end, piece.bytes());
        try_load(&text);
        let start = at.index(text.len() + 1);
        text.splice(start..start, bytes);
        try_load(&text);
    }
}

#[test]
fn what_is_nested_without_end_is_refused_at_once() {
    for open in
        ["(", "[", "{a=", "!", "-", "f(", "a[", "[for x in ", "\"${", "\"%{if ", "b {\n", "1?", "1+", "<<E\n${", "a."]
    {
        let nested = open.repeat(100_000);
        try_load(format!("locals {{\n  a = {nested}1\n}}\n").as_bytes());
        try_load(nested.as_bytes());
        let _ = parse_expression(&nested, FileId(0));
        let _ = parse_template(&nested, FileId(0));
    }
}

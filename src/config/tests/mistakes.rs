//! What people are told: every mistake of `mistakes.txt` with the messages below it, places and carets included.
//!
//! A case is `=== name`, the text of `environments/test/main.hcl` (further files behind `>>> path`), `---`, and the messages.
//! `GANTRY_BLESS=1 cargo test --lib config::tests::mistakes` writes the messages anew; the difference is then read by a person.

use std::fmt::Write as _;

use super::bundle;
use crate::config::{ConfigError, load};
use crate::diag::render;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/mistakes.txt");

pub(super) fn rendered(error: &ConfigError) -> String {
    let all: Vec<String> = error.diagnostics.sorted().into_iter().map(|d| render(d, &error.sources)).collect();
    all.join("\n")
}

/// The files of a case: the first has no name line.
fn files(text: &str) -> Vec<(String, String)> {
    let mut files = vec![("main.hcl".to_owned(), String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix(">>> ") {
            Some(path) => files.push((path.trim().to_owned(), String::new())),
            None => files.last_mut().unwrap().1.push_str(line),
        }
    }
    files.retain(|(_, text)| !text.is_empty());
    files
}

#[test]
fn every_mistake_is_told_as_pinned() {
    let pinned = include_str!("mistakes.txt");
    let mut blessed = String::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in pinned.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (source, expected) = rest.split_once("---\n").unwrap();
        let told = match load(&bundle(&files(source))) {
            Ok(_) => "nothing is wrong\n".to_owned(),
            Err(error) => rendered(&error),
        };
        count += 1;
        let _ = write!(blessed, "=== {name}\n{source}---\n{told}");
        if told != expected {
            wrong.push(format!("{name}\n{told}\ninstead of\n{expected}"));
        }
        assert_ne!(told, "nothing is wrong\n", "{name}");
    }
    assert!(count >= 60, "{count}");
    if crate::ports::env::var("GANTRY_BLESS").is_some() {
        std::fs::write(FILE, blessed).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

//! The parser against Terraform's (what it accepts, recorded by `tests/language/record-syntax.sh`) and against hcl-edit (what
//! that one accepts has the same structure here), how it goes on behind errors, and where it says that things stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::config::desired::Body;
use crate::config::syntax::{deep, parse};
use crate::diag::{Diagnostics, FileId};

const RECORDED: &str = include_str!("../../../tests/language/syntax.txt");

/// What is meant to differ from Terraform, with the reason.
const DIFFERENCES: [(&str, &str); 1] =
    [("a = {b.c = 1}\n", "Terraform refuses it as well, but only when it evaluates the object; we know it at once")];

fn read(text: &str) -> Result<Body, Diagnostics> {
    // The byte order mark is the caller's.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    deep(|| parse(text, FileId(0)))
}

/// A text with its escapes resolved.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('\\') => out.push('\\'),
                other => panic!("unknown escape {other:?} in {text}"),
            },
            (c, _) => out.push(c),
        }
    }
    out
}

fn cases() -> Vec<(String, bool)> {
    let lines = RECORDED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &str| {
        let (text, answer) = line.split_once('\t').unwrap();
        (unescaped(text), answer == "accept")
    };
    lines.map(case).collect()
}

#[test]
fn what_terraform_accepts_is_accepted_and_nothing_else() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut wrong = Vec::new();
    for (text, accepted) in &cases {
        let differs = DIFFERENCES.iter().any(|(known, _)| *known == text);
        let ours = read(text);
        if (ours.is_ok() == *accepted) == differs {
            wrong.push(format!("{text:?}: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names of a body's attributes, and its blocks with their labels, on lines.
fn outline(body: &Body, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    for name in body.attributes.keys() {
        out.push_str(&format!("{pad}{name}\n"));
    }
    for block in &body.blocks {
        out.push_str(&format!("{pad}{} {:?}\n", block.ty, block.labels));
        outline(&block.body, depth + 1, out);
    }
}

/// The same of hcl-edit's tree.
fn outline_of_other(body: &hcl_edit::structure::Body, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    for name in body.attributes().map(|a| a.key.as_str()).collect::<BTreeSet<_>>() {
        out.push_str(&format!("{pad}{name}\n"));
    }
    for block in body.blocks() {
        let labels: Vec<&str> = block.labels.iter().map(hcl_edit::structure::BlockLabel::as_str).collect();
        out.push_str(&format!("{pad}{} {labels:?}\n", block.ident.as_str()));
        outline_of_other(&block.body, depth + 1, out);
    }
}

/// What hcl-edit accepts and we refuse, as Terraform does.
const REFUSED: [&str; 4] = [
    "Invalid multi-line string",
    "Unterminated template string",
    "Ambiguous attribute key",
    "Invalid legacy index syntax",
];

fn compare(text: &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (Ok(theirs), ours) = (hcl_edit::parser::parse_body(text), read(text)) else { return };
    match ours {
        Ok(ours) => {
            let (mut a, mut b) = (String::new(), String::new());
            outline(&ours, 0, &mut a);
            outline_of_other(&theirs, 0, &mut b);
            assert_eq!(a, b, "{text}");
        }
        Err(errors) => {
            let known = |summary: &str| REFUSED.contains(&summary);
            assert!(errors.iter().any(|d| known(&d.summary)), "hcl-edit accepts, we refuse: {text}\n{errors:?}");
        }
    }
}

/// Every file of configuration in this repository.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "hcl" || e == "tf") {
            found.push(path);
        }
    }
}

fn corpus() -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["tests", "environments", "modules"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut found);
    }
    found.into_iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[test]
fn what_hcl_edit_reads_is_read_alike() {
    let corpus = corpus();
    assert!(corpus.len() >= 20, "{}", corpus.len());
    corpus.iter().for_each(|text| compare(text));
    cases().iter().filter(|(_, accepted)| *accepted).for_each(|(text, _)| compare(text));
}

/// Every place that is told lies in the text, between characters.
fn places_are_in(text: &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err(errors) = read(text) {
        for diagnostic in errors.iter() {
            let span = diagnostic.span.expect("a syntax error has a place");
            let range = span.start as usize..span.end as usize;
            assert!(text.get(range.clone()).is_some(), "{range:?} in {text:?}: {diagnostic:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_files_are_read_alike(
        text in r#"(([a-z]{1,3} = ([a-z]{1,3}(\.[a-z]|\[0\]|\[\*\])?|"[a-z $%é\\n]{0,3}(\$\{[a-z]+\})?"|[0-9]{1,2}|\[[a-z0-9, ]{0,6}\]|\{[a-z] = [0-9]\}|f\([a-z]\)|<<E\n x\nE)|[a-z]{1,3}( "[a-z]")?( \{\}| \{\n\}))\n){0,6}"#
    ) {
        compare(&text);
        places_are_in(&text);
    }

    #[test]
    fn places_of_broken_files_are_in_them(
        seed in proptest::sample::select(corpus()),
        at in any::<proptest::sample::Index>(),
        length in 0_usize..9,
        piece in r#"["\\'{}()\[\]\n;é<EOT$%~=.*,:?/#a ]{0,4}"#,
    ) {
        let start = seed.floor_char_boundary(at.index(seed.len() + 1));
        let end = seed.floor_char_boundary((start + length).min(seed.len())).max(start);
        places_are_in(&format!("{}{piece}{}", &seed[..start], &seed[end..]));
        places_are_in(&seed[..start]);
    }
}

fn summaries(text: &str) -> Vec<(usize, String)> {
    let errors = read(text).err().unwrap_or_default();
    let line = |at: u32| text[..at as usize].matches('\n').count() + 1;
    let told = |d: &&crate::diag::Diagnostic| (line(d.span.map_or(0, |s| s.start)), d.summary.clone());
    errors.sorted().iter().map(told).collect()
}

#[test]
fn every_broken_item_is_told_once_and_nothing_else() {
    let told = |text: &str, lines: &[usize]| {
        let found = summaries(text);
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), lines, "{text}\n{found:?}");
    };
    told("a {\n  b = 1 2\n  c = [1, 2\n  d = 3\n  e = \"x\n  f = 'y'\n  g = 1\n}\nh = \n", &[2, 4, 5, 6, 9]);
    told("a {\n  b = f(1,\n  c = 2\n}\nd {\n  e = }\n}\n", &[3, 6]);
    told("a = \"${b\nc = 1\nd = ;\n", &[2, 3]);
    told("a = \"${b\"\nc = 1\nd = ;\n", &[1, 3]);
    told("a = {\n  b = 1\n  c 2\n  d = 3\n}\ne = \n", &[3, 6]);
    told("a {\n  b = <<E\n  x\n}\n", &[2]);
    told("a = 1 /* b\nc = 1 2\n", &[1]);
    told("a {\n  b {\n    c = 1\n}\nd {\n}\n", &[1]);
    told("a = 1)\nb = ]\n}\nc = 1\nd e f\n", &[1, 2, 3, 5]);
    told("a \"${x}\" {\n  b = 1\n}\nc = \n", &[1, 4]);
}

#[test]
fn errors_have_an_end() {
    let found = summaries(&"a = ;\n".repeat(1_000));
    assert_eq!(found.len(), 51);
    assert_eq!(found[50].1, "Too many syntax errors");
    for open in ["(", "[", "{a=", "f(", "\"${", "\"%{if "] {
        assert_eq!(summaries(&format!("x = {}", open.repeat(100_000))).len(), 1, "{open}");
    }
    assert_eq!(summaries(&"b {\n".repeat(100_000)).len(), 1);
}

#[test]
fn length_alone_is_no_problem() {
    let attributes: String = (0..100_000).map(|n| format!("a{n} = {n}\n")).collect();
    assert_eq!(read(&attributes).unwrap().attributes.len(), 100_000);
    let keys: String = (0..100_000).map(|n| format!("a{n} = {n}\n")).collect();
    assert!(read(&format!("x = {{\n{keys}}}\n")).is_ok());
    assert!(read(&format!("x = \"{}\"\n", "é \\n".repeat(1_000_000))).is_ok());
    assert!(read(&format!("x = 1{}\n", " + 1".repeat(1_000))).is_ok());
}

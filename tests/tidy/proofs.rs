//! Each rule seen to fire on a small source that breaks it, and to keep still on one that does not.

use super::layers::{cycles, outside_crates, who_may_use_whom};
use super::scan::{Function, Source};
use super::*;

fn found(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}:{}", f.line, f.rule)).collect()
}

/// What the rules for one source find, as `LINE:RULE`.
fn check(path: &str, text: &str) -> Vec<String> {
    found(&per_source(&Source::new(path, text)))
}

const NOTHING: [&str; 0] = [];

#[test]
fn comments_and_strings_are_no_code() {
    let text = "//! x\n// a.unwrap() in a comment /* b */\nconst A: &str = \"a \\\" .unwrap() todo!\";\n\
                const B: &str = r#\"\"todo!\"#;\nconst C: [char; 2] = ['\"', '\\''];\n/* /* todo! */ todo! */\n";
    assert_eq!(check("src/addr.rs", text), NOTHING);
    let source = Source::new("src/addr.rs", text);
    assert_eq!(source.code.len(), source.text.len());
    assert_eq!(source.code.lines().count(), source.text.lines().count());
}

#[test]
fn code_after_a_char_or_a_lifetime_is_seen() {
    let text =
        "//! x\nfn a<'a>(x: &'a str) -> char { '\"' }\nfn b() { todo!() }\nconst Ä: char = 'ä';\nfn c() { todo!() }\n";
    assert_eq!(check("src/addr.rs", text), ["3:banned", "5:banned"]);
}

#[test]
fn a_file_opens_with_its_essay() {
    assert_eq!(check("src/addr.rs", "use std::fmt;\n"), ["1:essay"]);
    assert_eq!(check("tests/it/x.rs", "//!\n"), ["1:essay"]);
}

#[test]
fn banned_words_are_found_with_their_lines() {
    assert_eq!(check("src/addr.rs", "//! x\n#[allow(dead_code)]\nfn a() {}\n"), ["2:banned"]);
    assert_eq!(check("tests/it/x.rs", "//! x\n#![allow(dead_code)]\n"), ["2:banned"]);
    assert_eq!(check("src/addr.rs", "//! x\nfn a() {\n    unsafe { b() }\n}\n"), ["3:banned"]);
    assert_eq!(check("src/lib.rs", "//! x\n#![forbid(unsafe_code)]\n"), NOTHING);
    assert_eq!(check("src/addr.rs", "//! x\nfn a() { b().unwrap() }\n"), ["2:banned"]);
    assert_eq!(check("tests/it/x.rs", "//! x\nfn a() { b().unwrap() }\n"), NOTHING);
    assert_eq!(check("examples/x.rs", "//! x\nfn a() { b().unwrap() }\n"), ["2:banned"]);
    assert_eq!(check("src/ledger/x.rs", "//! x\nfn a() { path.exists() }\n"), ["2:banned"]);
}

#[test]
fn only_view_and_cli_print() {
    let text = "//! x\nfn a() { eprintln!(\"x\") }\n";
    assert_eq!(check("src/exec/x.rs", text), ["2:banned"]);
    for place in ["src/view/x.rs", "src/cli/x.rs", "src/main.rs", "examples/x.rs"] {
        assert_eq!(check(place, text), NOTHING, "{place}");
    }
}

#[test]
fn tests_inside_a_source_are_apart() {
    let text = "//! x\n#[cfg(test)]\nmod tests {\n    use crate::cli::X;\n    fn a() { b().unwrap() }\n}\nfn c() { d().unwrap() }\n";
    assert_eq!(check("src/addr.rs", text), ["7:banned"]);
    assert_eq!(Source::new("src/addr.rs", text).production_lines(), 2);
    assert_eq!(check("src/addr.rs", "//! x\n#[cfg(test)]\nmod tests;\nfn c() { d().unwrap() }\n"), ["4:banned"]);
}

#[test]
fn a_file_that_is_declared_as_a_test_is_one() {
    let source = |path: &str, text: &str| Source::new(path, &format!("//! x\n{text}\nfn c() {{ d().unwrap() }}\n"));
    let mut sources = [
        source("src/plan/mod.rs", "mod step;\n#[cfg(test)]\nmod suite;"),
        source("src/plan/suite.rs", "use crate::cli::X;"),
        source("src/plan/suite/inner.rs", ""),
        source("src/plan/step.rs", "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod inline {}"),
        source("src/plan/step/tests.rs", ""),
        source("src/plan/step/inline.rs", ""),
    ];
    mark_tests(&mut sources);
    let broken: Vec<&str> = sources.iter().filter(|s| !per_source(s).is_empty()).map(|s| s.path.as_str()).collect();
    assert_eq!(broken, ["src/plan/mod.rs", "src/plan/step.rs", "src/plan/step/inline.rs"]);
    assert_eq!(sources[1].production_lines(), 0);
}

#[test]
fn the_machine_is_asked_in_ports_alone() {
    let text = "//! x\nuse std::{fmt, fs::File, process};\nuse std::time::{Instant, SystemTime};\n\
                fn a() {\n    std::env::var(\"A\");\n    Instant::now();\n    tokio::process::Command::new(\"a\");\n}\n";
    assert_eq!(
        found(&banned_paths(&Source::new("src/exec/x.rs", text))),
        ["2:ports", "2:ports", "5:ports", "6:ports", "7:ports"]
    );
    assert_eq!(found(&banned_paths(&Source::new("src/ports/x.rs", text))), NOTHING);
    let exit = "//! x\nuse std::process::ExitCode;\n";
    assert_eq!(check("src/cli/x.rs", exit), NOTHING);
    assert_eq!(check("src/plan/x.rs", exit), ["2:ports"]);
    assert_eq!(check("src/plan/x.rs", "//! x\nfn a() { jiff::Timestamp::now() }\n"), ["2:ports"]);
}

#[test]
fn what_reaches_output_is_ordered() {
    let text = "//! x\nuse std::collections::{BTreeMap, HashMap};\n";
    assert_eq!(check("src/ledger/x.rs", text), ["2:banned"]);
    assert_eq!(check("src/graph.rs", text), NOTHING);
}

#[test]
fn an_expectation_states_an_invariant() {
    assert_eq!(check("src/addr.rs", "//! x\nfn a() {\n    b()\n        .expect(\"it works\");\n}\n"), ["4:invariant"]);
    assert_eq!(
        check("src/addr.rs", "//! x\nfn a() {\n    b().expect(\n        \"invariant: a has b\",\n    );\n}\n"),
        NOTHING
    );
}

#[test]
fn mod_rs_has_no_logic() {
    let text = "//! x\nmod a;\npub use a::B;\n\npub fn c() {\n    d();\n}\n";
    assert_eq!(check("src/plan/mod.rs", text), ["5:mod.rs"]);
    assert_eq!(check("src/plan/step.rs", text), NOTHING);
}

#[test]
fn the_table_is_obeyed() {
    let uses = |path: &str, line: &str| found(&who_may_use_whom(&Source::new(path, &format!("//! x\n{line}\n"))));
    assert_eq!(uses("src/plan/x.rs", "use crate::{addr::Address, exec::Machine};"), ["2:layers"]);
    assert_eq!(uses("src/plan/x.rs", "fn a(b: &crate::view::Human) {}"), ["2:layers"]);
    assert_eq!(uses("src/plan/x.rs", "use crate::ledger::Record;"), NOTHING);
    assert_eq!(uses("src/plan/x.rs", "use super::super::exec::Machine;"), ["2:layers"]);
    assert_eq!(uses("src/plan/x.rs", "use super::step::Step;"), NOTHING);
    assert_eq!(uses("src/ports/x.rs", "use crate::diag::Diagnostic;"), ["2:layers"]);
    assert_eq!(uses("src/cli/x.rs", "use crate::{diag, addr, ops, view};"), NOTHING);
    assert_eq!(uses("src/cli/x.rs", "use crate::plan::Plan;"), ["2:layers"]);
    assert_eq!(uses("src/config/load.rs", "use crate::ports::fs;"), ["2:layers"]);
    assert_eq!(uses("src/config/load.rs", "use crate::ports::env;"), NOTHING);
    assert_eq!(uses("src/config/source.rs", "use crate::ports::fs;"), NOTHING);
    assert_eq!(uses("src/novel/x.rs", ""), ["1:layers"]);
}

#[test]
fn words_use_only_the_words_before_them() {
    let uses = |path: &str, line: &str| found(&who_may_use_whom(&Source::new(path, &format!("//! x\n{line}\n"))));
    assert_eq!(uses("src/eval/x.rs", "use crate::value::Value;"), NOTHING);
    assert_eq!(uses("src/value/x.rs", "use crate::eval::Scope;"), ["2:layers"]);
    assert_eq!(uses("src/addr.rs", "use crate::ports::fs;"), ["2:layers"]);
}

#[test]
fn concrete_parts_are_closed() {
    let uses = |path: &str, line: &str| found(&who_may_use_whom(&Source::new(path, &format!("//! x\n{line}\n"))));
    assert_eq!(uses("src/exec/x.rs", "use crate::provider::local::Local;"), ["2:layers"]);
    assert_eq!(uses("src/exec/x.rs", "use crate::provider::{Provider, local};"), ["2:layers"]);
    assert_eq!(uses("src/exec/x.rs", "use crate::provider::Provider;"), NOTHING);
    assert_eq!(uses("src/ops/x.rs", "use crate::provider::local::Local;"), NOTHING);
    assert_eq!(uses("src/provider/aws/x.rs", "use crate::provider::local::Local;"), ["2:layers"]);
    assert_eq!(uses("src/provider/aws/x.rs", "use crate::provider::{Provider, aws};"), NOTHING);
    assert_eq!(uses("src/provider/catalog.rs", "use crate::provider::local::Local;"), NOTHING);
}

#[test]
fn outside_crates_stay_where_they_belong() {
    let uses = |path: &str, line: &str| found(&outside_crates(&Source::new(path, &format!("//! x\n{line}\n"))));
    assert_eq!(uses("src/plan/x.rs", "use tokio::sync::Mutex;"), ["2:crates"]);
    assert_eq!(uses("src/plan/x.rs", "fn a() { ::sqlx::query() }"), ["2:crates"]);
    assert_eq!(uses("src/exec/x.rs", "use tokio::sync::Mutex;"), NOTHING);
    assert_eq!(uses("src/ops/x.rs", "use clap::Parser;"), ["2:crates"]);
    assert_eq!(uses("src/main.rs", "use clap::Parser;"), NOTHING);
    assert_eq!(uses("src/plan/x.rs", "use crate::plan::tokio::X; fn a() { self.tokio::<u8>() }"), NOTHING);
}

#[test]
fn a_cycle_is_named_link_by_link() {
    let source = |path: &str, line: &str| Source::new(path, &format!("//! x\n{line}\n"));
    let ring = [
        source("src/plan/x.rs", "use crate::exec::A;"),
        source("src/exec/y.rs", "use crate::ledger::B;"),
        source("src/ledger/z.rs", "use crate::plan::C;"),
    ];
    let findings = cycles(&ring);
    assert_eq!(
        findings[0].message,
        "exec uses ledger at src/exec/y.rs:2, ledger uses plan at src/ledger/z.rs:2, plan uses exec at src/plan/x.rs:2"
    );
    assert_eq!(cycles(&ring[..2]), []);
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let text = "//! x\nimpl A {\n    pub(crate) async fn b(\n        c: u8,\n    ) -> u8\n    where\n        u8: Copy,\n    {\n        \
                if c == 0 {\n            1\n        } else {\n            2\n        }\n    }\n\n    fn one() {}\n}\n\
                trait T {\n    fn declared(&self);\n    const fn given() -> u8 {\n        0\n    }\n}\n";
    let expected = [("b", 3, 12), ("given", 20, 3)];
    let functions = Source::new("src/addr.rs", text).functions();
    let expected: Vec<Function> =
        expected.into_iter().map(|(name, line, lines)| Function { name: name.to_owned(), line, lines }).collect();
    assert_eq!(functions, expected);
}

fn function_of(lines: usize) -> String {
    format!("//! x\nfn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
}

#[test]
fn long_functions_and_files_are_found() {
    let source = |lines| [Source::new("src/addr.rs", &function_of(lines))];
    assert_eq!(lengths(&source(MAX_FUNCTION_LINES), ""), []);
    assert_eq!(found(&lengths(&source(MAX_FUNCTION_LINES + 1), "")), ["2:length"]);
    let file = |lines| [Source::new("src/addr.rs", &format!("//! x\n{}", "const A: u8 = 0;\n".repeat(lines - 1)))];
    assert_eq!(lengths(&file(MAX_FILE_LINES), ""), []);
    assert_eq!(found(&lengths(&file(MAX_FILE_LINES + 1), "")), ["1:length"]);
    let test = [Source::new("tests/it/x.rs", &function_of(MAX_FUNCTION_LINES + 1))];
    assert_eq!(lengths(&test, ""), [], "tests are apart");
}

#[test]
fn the_ratchet_may_only_shrink() {
    let source = [Source::new("src/addr.rs", &function_of(80))];
    let rules = |ratchet: &str| found(&lengths(&source, ratchet));
    assert_eq!(rules("# a remark\n\nfunction src/addr.rs long 80\n"), NOTHING);
    assert_eq!(rules("function src/addr.rs long 81\n"), ["1:ratchet"], "it shrank and the entry has to follow");
    assert_eq!(rules("function src/addr.rs long 79\n"), ["1:ratchet"], "it grew");
    assert_eq!(rules("function src/addr.rs long 80\nfile src/addr.rs 700\n"), ["2:ratchet"], "not too long at all");
    assert_eq!(rules("function src/addr.rs long\n")[0], "1:ratchet", "no entry");
}

#[test]
fn a_test_that_is_not_declared_is_found() {
    let source = |path: &str, text: &str| Source::new(path, text);
    let sources = [
        source("tests/it/main.rs", "//! x\nmod walk;\n// mod lost;\n"),
        source("tests/it/walk.rs", "//! x\n"),
        source("tests/it/lost.rs", "//! x\n"),
        source("tests/it/support/mod.rs", "//! x\n"),
        source("tests/it/support/inner.rs", "//! x\n"),
    ];
    let paths: Vec<String> = undeclared_tests(&sources).into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["tests/it/lost.rs", "tests/it/support/mod.rs"]);
}

#[test]
fn transcripts_stay_readable() {
    assert_eq!(transcript("a.txt", &"x\n".repeat(MAX_TRANSCRIPT_LINES)), []);
    assert_eq!(found(&transcript("a.txt", &"x\n".repeat(MAX_TRANSCRIPT_LINES + 1))), ["1:transcript"]);
}

#[test]
fn a_decision_has_date_and_status() {
    let rules = |name: &str, text: &str| decision(&format!("docs/decisions/{name}"), text).len();
    assert_eq!(rules("2026-11-20-one-crate.md", "# One crate\n\nDate: 2026-11-20\nStatus: accepted\n"), 0);
    assert_eq!(rules("2026-11-20-one-crate.md", "# One crate\n"), 2);
    assert_eq!(rules("one-crate.md", "Date: 2026-11-20\nStatus: superseded by 2026-11-21-two.md\n"), 1);
    assert_eq!(rules("2026-11-20-x.md", "Date: 20.11.2026\nStatus: maybe\n"), 2);
    assert_eq!(rules("README.md", "how it is done"), 0);
}

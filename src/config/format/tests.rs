//! Formatting never changes what a file means, whatever the file: generated ones, and changed ones of `tests/fmt`.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;

use super::{format, rewrite};
use crate::config::syntax;
use crate::config::token::{Kind, scan};
use crate::diag::FileId;

fn formatted(text: &str) -> Option<String> {
    format(text, FileId(0)).ok()
}

/// The tree of a file as text, without places.
fn tree(text: &str) -> String {
    let body = syntax::deep(|| syntax::parse(text, FileId(0))).expect("what was formatted parses");
    let shown = syntax::deep(|| format!("{body:?}"));
    let mut out = String::new();
    let mut rest = shown.as_str();
    while let Some((before, span)) = rest.split_once("Span {") {
        out.push_str(before);
        rest = span.split_once('}').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// The tokens of a text, white space apart.
fn tokens(text: &str) -> Vec<(Kind, String)> {
    scan(text).into_iter().map(|t| (t.kind, t.text(text).to_owned())).collect()
}

/// What holds for every file that parses.
fn holds(text: &str) {
    let Some(first) = formatted(text) else { return };
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let wanted: Vec<_> = rewrite::rewritten(bare, &scan(bare))
        .into_iter()
        .filter(|p| !(p.kind == Kind::QuotedText && p.text.is_empty()))
        .map(|p| (p.kind, p.text.into_owned()))
        .collect();
    assert_eq!(tokens(&first), wanted, "the layout changed tokens of {text:?}");
    // A type in quotation marks and one without an element type become other trees, and mean the same.
    if !first.contains("type") {
        assert_eq!(tree(&first), tree(bare), "{text:?} became {first:?}");
    }
    // Each pass takes one interpolation off an expression, as Terraform's does: `"${"${x}"}"` takes two.
    let mut last = first;
    for _ in 0..16 {
        let Some(next) = formatted(&last) else { panic!("{last:?}, made of {text:?}, is not formatted again") };
        if next == last {
            return;
        }
        assert!(last.contains("\"${"), "{last:?} became {next:?}");
        last = next;
    }
    panic!("{text:?} never comes to rest");
}

/// White space and comments, as they may stand between tokens of an expression in brackets.
fn gap() -> BoxedStrategy<&'static str> {
    select(vec!["", "", "", " ", " ", "  ", "\t", "\n", " \n\n", "# c\n", "// d  \n", "/* e */", "/* f\n g */"]).boxed()
}

fn literal() -> impl Strategy<Value = String> {
    let all = [
        "1",
        "-1.5",
        "1e3",
        "true",
        "null",
        "\"\"",
        "\"a b\"",
        "\"é日本👩‍👩‍👧\"",
        "\"$${x} %%{y} $ %\"",
        "\"\\\"\\\\\"",
        "a",
        "var.x",
        "a.b[0].c",
        "a.*.b",
        "a[*].b",
        "in",
        "été",
        "a.0.b",
        "m[\"k\"]",
    ];
    select(all.to_vec()).prop_map(str::to_owned)
}

fn expression() -> BoxedStrategy<String> {
    literal()
        .prop_recursive(5, 40, 4, |inner| {
            let operators = ["+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "&&", "||"];
            let list = prop::collection::vec((gap(), inner.clone(), gap()), 0..4);
            prop_oneof![
                (inner.clone(), select(operators.to_vec()), inner.clone(), gap(), gap())
                    .prop_map(|(a, o, b, g, h)| format!("({a}{g} {o}{h} {b})")),
                (inner.clone(), inner.clone(), inner.clone(), gap())
                    .prop_map(|(a, b, c, g)| format!("({a} ?{g}{b}{g} : {c})")),
                (select(vec!["-", "!", "- ", "!! "]), inner.clone()).prop_map(|(o, a)| format!("{o}{a}")),
                (list.clone(), gap()).prop_map(|(all, g)| format!("[{g}{}]", joined(&all))),
                (list, gap()).prop_map(|(all, g)| format!("foo({g}{})", joined(&all))),
                prop::collection::vec(
                    (inner.clone(), select(vec!["\n", ",", ", # c\n", " # c\n", " /* d */\n"])),
                    0..4
                )
                .prop_map(|all| object(&all)),
                (inner.clone(), inner.clone(), gap()).prop_map(|(a, b, g)| format!("[for x in {g}{a} :{g}{b}{g}]")),
                (inner.clone(), inner.clone(), gap())
                    .prop_map(|(a, b, g)| format!("{{for k,v in {a}:{g}k=>{b}{g} if v}}")),
                (gap(), inner.clone(), gap()).prop_map(|(g, a, h)| format!("\"${{{g}{a}{h}}}\"")),
                (gap(), inner.clone(), gap())
                    .prop_map(|(g, a, h)| format!("\" x${{{g}{a}{h}}}%{{ if b }} y%{{endif}}\"")),
                (inner, gap()).prop_map(|(a, g)| format!("[<<-EOT\n  a ${{{g}{a}}}  b\n  EOT\n]")),
            ]
        })
        .boxed()
}

fn joined(all: &[(&str, String, &str)]) -> String {
    let parts: Vec<String> = all.iter().map(|(g, a, h)| format!("{g}{a}{h}")).collect();
    parts.join(",")
}

fn object(all: &[(String, &str)]) -> String {
    let items = all.iter().enumerate().map(|(n, (a, end))| format!("{}{n}={a}{end}", "k".repeat(n + 1)));
    format!("{{{}}}", items.collect::<String>())
}

fn file() -> impl Strategy<Value = String> {
    let end = select(vec!["\n", "\n", "\n\n", " # c\n", "  // d é\n", "/* e */\n", "\r\n"]);
    let argument = (expression(), end.clone(), select(vec!["", "  ", "\t", "/* c */"]));
    let block = (
        prop::collection::vec(argument.clone(), 0..4),
        select(vec!["b", "b \"c\"", "b é /* d */ x-y", "b \"\\u00e9\""]),
        end,
    );
    (prop::collection::vec(argument, 0..5), prop::collection::vec(block, 0..3)).prop_map(|(arguments, blocks)| {
        let mut out = written(&arguments);
        for (inner, header, end) in blocks {
            out.push_str(&format!("{header}{{{end}{}}}{end}", written(&inner)));
        }
        out
    })
}

fn written(arguments: &[(String, &str, &str)]) -> String {
    let all = arguments
        .iter()
        .enumerate()
        .map(|(n, (a, end, before))| format!("{before}{}{n}={a}{end}", "n".repeat(n % 3 + 1)));
    all.collect()
}

/// The files of `tests/fmt`.
fn corpus() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fmt/untidy");
    let mut all: Vec<_> =
        std::fs::read_dir(folder).expect("the folder is there").map(|e| e.expect("readable").path()).collect();
    all.sort();
    all.iter().map(|path| std::fs::read_to_string(path).expect("a file of the corpus is text")).collect()
}

#[test]
fn what_holds_for_every_file_holds_for_the_corpus() {
    let all = corpus();
    assert!(all.len() >= 70, "{} files", all.len());
    for text in &all {
        assert!(formatted(text).is_some(), "{text:?} is refused");
        holds(text);
    }
}

#[test]
fn most_generated_files_parse() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut text = || file().new_tree(&mut runner).expect("a file can be generated").current();
    let accepted = (0..200).filter(|_| formatted(&text()).is_some()).count();
    assert!(accepted >= 120, "the properties are looked at for {accepted} of 200 files only");
}

#[test]
fn a_number_does_not_take_in_what_was_apart_from_it() {
    for (text, wanted) in [("a = 1 . 5", "a = 1. 5"), ("a = b.0 .e5", "a = b.0. e5"), ("a = b.0 . c", "a = b.0.c")] {
        let pieces = rewrite::rewritten(text, &scan(text));
        assert_eq!(super::layout::set(pieces), wanted);
    }
}

#[test]
fn text_that_is_no_configuration_never_panics() {
    for text in [
        "}",
        "{",
        "a = ",
        "a = \"",
        "\"${",
        "a \"",
        "a = <<E\n",
        "]])",
        "a = \"${}\"",
        "variable x { type =",
        "\u{feff}",
    ] {
        let _ = formatted(text);
        let _ = super::layout::set(rewrite::rewritten(text, &scan(text)));
    }
}

proptest! {
    #[test]
    fn generated_files_keep_their_meaning(text in file()) {
        holds(&text);
    }

    #[test]
    fn changed_files_keep_their_meaning(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), select(vec![" ", "\n", "\t", "# c\n", "/* c */", "x", ",", "(", ")", "-", ".", "1", "\"", "{", "}"])), 0..6),
    ) {
        let all = corpus();
        let mut text = which.get(&all).clone();
        for (place, piece) in changes {
            let at = text.floor_char_boundary(place.index(text.len() + 1));
            text.insert_str(at, piece);
        }
        holds(&text);
    }

    #[test]
    fn any_tokens_are_laid_out(text in r#"([a-z1.{}\[\]()"$%~<\n\r\\ =#/*é,:?-]|\$\{|%\{|<<A\n|\nA\n|"|variable|type){0,80}"#) {
        let _ = super::layout::set(rewrite::rewritten(&text, &scan(&text)));
        holds(&text);
    }
}

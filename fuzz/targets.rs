//! What each fuzz target does with its bytes. Shared by the coverage-guided targets (`fuzz/fuzz_targets/`, a long run by
//! hand) and the bounded run among the tests (`tests/it/fuzz.rs`).
//!
//! A target panics where a promise is broken: no input panics, every place in a message lies in its text, evaluation ends
//! within its budget, what is formatted means the same and is formatted.

use std::path::Path;
use std::sync::Arc;

use gantry::config::{self, Bundle, format, parse_expression, parse_template};
use gantry::diag::{Diagnostic, Diagnostics, FileId};
use gantry::eval::{Budget, Evaluator, NoHost, Reference, Scope, Term};
use gantry::ops::console::{Asked, with};
use gantry::value::{Type, Value};

/// Work that one input may do: enough for whatever a person would write in one expression.
const BUDGET: u64 = 200_000;

/// Longer inputs find nothing that shorter ones do not, and take their time.
const LONGEST: usize = 16 * 1024;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned()
}

/// The places of messages lie in the text and between characters.
fn sound(diagnostics: &Diagnostics, text: &str) {
    assert!(diagnostics.has_errors(), "a refusal has a reason: {text:?}");
    for one in diagnostics.iter() {
        assert!(!one.summary.is_empty() && !one.detail.is_empty(), "{one:?}");
        if let Some(span) = one.span {
            let range = span.start as usize..span.end as usize;
            assert!(text.get(range).is_some(), "{one:?} points outside of {text:?}");
        }
    }
}

/// A file, an expression and a template.
pub fn parse(bytes: &[u8]) {
    let text = text(bytes);
    let bare = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if let Err(wrong) = parse_expression(&text, FileId(0)) {
        sound(&wrong, &text);
    }
    if let Err(wrong) = parse_template(&text, FileId(0)) {
        sound(&wrong, &text);
    }
    let mut bundle = Bundle { directory: ".".into(), name: "x".into(), project: "..".into(), ..Bundle::default() };
    bundle.files.insert("main.tf".into(), text.as_bytes().into());
    bundle.modules.insert(".".into(), vec!["main.tf".into()]);
    if let Err(wrong) = config::load(&bundle) {
        sound(&wrong.diagnostics, bare);
    }
}

/// A place with values of every sort.
struct Place;

impl Scope for Place {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let items = || ["b", "a", "ä"].map(Value::string);
        let value = match &*reference.root {
            "n" => Value::number(7_usize),
            "s" => Value::string("text"),
            "l" => Value::list(Type::String, items()),
            "t" => Value::tuple([Value::number(1_usize), Value::string("x"), Value::null(Type::Any)]),
            "o" => Value::object([("a".into(), Value::bool(true)), ("b".into(), Value::tuple(items()))].into()),
            "e" => Value::set(Type::String, items()),
            "null1" => Value::null(Type::String),
            "u" => Value::opaque(Type::String),
            "ul" => Value::opaque(Type::list(Type::Number)),
            "any" => Value::opaque(Type::Any),
            "p" => Value::string("secret").sensitive(),
            _ => return Err(Box::new(Diagnostic::error("Undeclared", "There is no such name.").at(reference.span))),
        };
        Ok((value, 0))
    }
}

fn value_of(term: Term) {
    let budget = Budget::new(BUDGET);
    let evaluator = Evaluator { scope: &Place, host: &NoHost, budget: &budget, site: &"here" };
    drop(evaluator.evaluate(&Arc::new(term)));
}

/// An expression and a template are evaluated.
pub fn evaluate(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(term) = parse_expression(&text, FileId(0)) {
        value_of(term);
    }
    if let Ok(term) = parse_template(&text, FileId(0)) {
        value_of(term);
    }
}

/// A file is formatted twice.
pub fn format_file(bytes: &[u8]) {
    let text = text(bytes);
    match format(&text, FileId(0)) {
        Err(wrong) => sound(&wrong, text.strip_prefix('\u{feff}').unwrap_or(&text)),
        Ok(once) => match format(&once, FileId(0)) {
            Ok(_) => {}
            Err(wrong) => panic!("{text:?} became {once:?}, which is no configuration: {wrong:?}"),
        },
    }
}

/// A line is typed into a console outside of any project, and completed at its end.
pub fn console(bytes: &[u8]) {
    let text = text(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let answered = runtime.block_on(with(Path::new("/"), None, &Asked::default(), |session| {
        drop(session.evaluate(&text));
        drop(session.complete(&text, text.len()));
    }));
    assert!(answered.is_ok(), "a console opens anywhere");
}

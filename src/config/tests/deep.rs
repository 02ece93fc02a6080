//! What is nested or chained as far as it may be goes through everything that later walks over terms, on a stack as the
//! threads of a command have it (64 MiB), in a debug build as well.

use std::sync::Arc;

use crate::config::parse_expression;
use crate::diag::{Diagnostic, FileId};
use crate::eval::{Budget, Evaluator, NoHost, Reference, Scope, references};
use crate::value::{Type, Value};

struct Unknown;

impl Scope for Unknown {
    fn resolve(&self, _: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        Ok((Value::opaque(Type::Any), 0))
    }
}

/// Parses, looks for references, evaluates with unknown values, writes the canonical text, and drops.
fn walked(text: &str) {
    let term = Arc::new(parse_expression(text, FileId(0)).unwrap_or_else(|e| panic!("{text}: {e:?}")));
    let budget = Budget::new(Budget::PLAN);
    let evaluator = Evaluator { scope: &Unknown, host: &NoHost, budget: &budget, site: &"" };
    let mut found = Vec::new();
    references(&term, &mut found);
    if let Ok(value) = evaluator.evaluate(&term) {
        let _ = format!("{value:?}");
    }
}

#[test]
fn what_may_be_deep_goes_through() {
    let shapes: [(&str, &str, usize); 14] = [
        ("(", ")", 199),
        ("", " + 1", 1_990),
        ("[", "]", 199),
        ("{ a = ", "}", 199),
        ("f(", ")", 199),
        ("!", "", 1_990),
        ("x ? 1 : ", "", 1_990),
        ("x ? ", " : 1", 199),
        ("\"a${", "}\"", 99),
        ("[for y in [1] : ", "]", 199),
        ("", "[*]", 199),
        ("f(x)[", "]", 199),
        ("f", ".a", 1_990),
        ("[1 + !-f(x ? 1 : ", ")]", 99),
    ];
    let all = move || {
        for (open, close, times) in shapes {
            walked(&format!("{}x{}", open.repeat(times), close.repeat(times)));
        }
    };
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(all);
    thread.unwrap().join().unwrap();
}

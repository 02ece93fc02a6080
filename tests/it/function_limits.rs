//! No call runs away and none panics: what is meant to explode is refused within the budget with a sentence that names the
//! limit, and arguments of any kind, however odd, give a value or an error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry::diag::{Diagnostic, FileId, Span};
use gantry::eval::functions::{Function, all};
use gantry::eval::{Budget, Evaluator, Reference, Scope, Term, TermKind};
use gantry::value::{Kind, Map, Marks, Type, Value};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::functions::Files;

/// What a call may take. The budget of a whole plan is used up in about that time by a release; tests run unoptimised.
const LONGEST: Duration = Duration::from_secs(10);

/// The names of one call's arguments.
struct Given<'a>(&'a [(&'a str, Value)]);

impl Scope for Given<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let found = self.0.iter().find(|(name, _)| *name == &*reference.root);
        Ok((found.map_or_else(|| Value::null(Type::Any), |(_, value)| value.clone()), 0))
    }
}

fn evaluate(expression: &str, given: &[(&str, Value)]) -> Result<Value, Box<Diagnostic>> {
    let term =
        gantry::config::parse_expression(expression, FileId(0)).unwrap_or_else(|e| panic!("{expression}: {e:?}"));
    evaluate_term(term, given)
}

#[expect(clippy::disallowed_methods, reason = "the real time that a call takes is what is tested")]
fn evaluate_term(term: Term, given: &[(&str, Value)]) -> Result<Value, Box<Diagnostic>> {
    let (host, budget) = (Files::new(), Budget::new(2_000_000));
    let evaluator = Evaluator { scope: &Given(given), host: &host, budget: &budget, site: &"here" };
    let before = Instant::now();
    let value = evaluator.evaluate(&Arc::new(term));
    let took = before.elapsed();
    assert!(took < LONGEST, "{took:?}");
    value
}

fn text(of: impl Into<String>) -> Value {
    Value::string(of.into())
}

/// A tuple in a tuple in a tuple.
fn deep(levels: usize) -> Value {
    (0..levels).fold(Value::number(1_i64), |inner, _| Value::tuple(vec![inner]))
}

#[test]
fn what_is_meant_to_explode_is_refused_with_the_limit() {
    let limit = "Evaluating this configuration takes more work than the limit of 2000000 steps";
    let digits = || text("9".repeat(1_000_000));
    let large = "more than 1,000,000 elements or 64 MB of text";
    let many = || text("x".repeat(1_000_000));
    let mut wrong = Vec::new();
    for (expression, given, wanted) in [
        ("range(0, 1000000000)", vec![], "more than 1024 values were generated"),
        ("join(a, range(1000))", vec![("a", many())], limit),
        ("format(\"%1000001d\", 1)", vec![], "is greater than 1000000"),
        ("format(\"%.1000001f\", 1)", vec![], "is greater than 1000000"),
        ("format(a, 1)", vec![("a", text("%1000000[1]d".repeat(1000)))], limit),
        ("formatlist(\"%1000000s\", range(1000))", vec![], limit),
        ("replace(a, \"x\", a)", vec![("a", many())], large),
        ("replace(a, \"/x/\", a)", vec![("a", many())], limit),
        ("setproduct(a, a, a, a)", vec![("a", numbers(1000))], large),
        ("cidrsubnets(\"10.0.0.0/8\", a...)", vec![("a", numbers(1000))], ""),
        ("regexall(\"((a{1000}){1000}){1000}\", \"a\")", vec![], "invalid"),
        ("regexall(a, \"a\")", vec![("a", text("(".repeat(100_000)))], "invalid regexp pattern"),
        ("yamldecode(a)", vec![("a", text(bomb()))], "with its aliases the document has more than"),
        ("jsondecode(a)", vec![("a", text("[".repeat(100_000)))], "nested more than 256 levels deep"),
        ("jsondecode(a)", vec![("a", text("{\"a\":".repeat(100_000)))], "nested more than 256 levels deep"),
        ("yamldecode(a)", vec![("a", text("[".repeat(100_000)))], ""),
        ("yamldecode(a)", vec![("a", text("- ".repeat(100_000)))], ""),
        ("yamldecode(a)", vec![("a", text("{a: ".repeat(100_000)))], ""),
        ("manifest_decode_multi(a)", vec![("a", text("- ".repeat(100_000)))], ""),
        ("pow(10, 1000000)", vec![], ""),
        ("pow(10, a)", vec![("a", digits())], ""),
        ("parseint(a, 10)", vec![("a", digits())], "cannot parse"),
        ("tonumber(a)", vec![("a", digits())], ""),
        ("indent(1000000000, \"a\\nb\")", vec![], large),
        ("indent(1000000, a)", vec![("a", text("\n".repeat(1000)))], large),
        ("bcrypt(\"x\", 31)", vec![], "the limit here is 15"),
        ("bcrypt(\"x\", 32)", vec![], "cost 32 is outside allowed range (4,31)"),
        ("bcrypt(a)", vec![("a", many())], "password length exceeds 72 bytes"),
        ("rsadecrypt(\"\", a)", vec![("a", many())], "no key found"),
        ("base64decode(a)", vec![("a", text("!".repeat(1_000_000)))], "failed to decode"),
        ("provider::terraform::decode_tfvars(a)", vec![("a", text(format!("a = {}", "[".repeat(100_000))))], ""),
        ("templatestring(a, {})", vec![("a", text("${".repeat(100_000)))], ""),
        ("templatestring(a, {})", vec![("a", text(format!("${{{}", "(".repeat(100_000))))], ""),
        ("templatestring(a, {})", vec![("a", text("%{ if true }".repeat(100_000)))], ""),
        (
            "templatestring(a, {xs = range(1000)})",
            vec![("a", text("%{ for x in xs }%{ for y in xs }%{ for z in xs }${x}%{ endfor }%{ endfor }%{ endfor }"))],
            limit,
        ),
        ("cidrsubnet(\"10.0.0.0/8\", a, a)", vec![("a", digits())], ""),
        ("formatdate(a, \"x\")", vec![("a", many())], ""),
        ("textdecodebase64(a, \"UTF-16LE\")", vec![("a", text("!".repeat(1_000_000)))], ""),
        ("csvdecode(a)", vec![("a", text(format!("{}\n1\n", "a,".repeat(500_000))))], ""),
    ] {
        let said = match evaluate(expression, &given) {
            Ok(value) => format!("{value:?}"),
            Err(e) if e.detail.contains(wanted) => continue,
            Err(e) => e.detail,
        };
        wrong.push(format!("{expression}: {}", said.chars().take(300).collect::<String>()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_merely_large_has_its_value() {
    let million = || text("ab".repeat(500_000));
    for (expression, given) in [
        ("length(split(\"a\", a))", vec![("a", million())]),
        ("length(base64gzip(a)) > 1", vec![("a", million())]),
        ("length(strrev(a))", vec![("a", million())]),
        ("length(jsonencode(a))", vec![("a", million())]),
        ("length(urlencode(a))", vec![("a", million())]),
        ("length(regexall(\"a\", a))", vec![("a", text("ab".repeat(50_000)))]),
        ("length(csvdecode(a))", vec![("a", text(format!("a\n{}\n", "x".repeat(1_000_000))))]),
        ("length(substr(a, 5, 900000))", vec![("a", million())]),
        ("length(jsonencode(a))", vec![("a", deep(200))]),
        ("length(yamlencode(a))", vec![("a", deep(100))]),
        ("length(provider::terraform::encode_expr(a))", vec![("a", deep(200))]),
        ("length(flatten(a))", vec![("a", deep(200))]),
        ("length(format(\"%999999d\", 1))", vec![]),
        ("length(sha512(a))", vec![("a", million())]),
        ("length(title(a))", vec![("a", million())]),
    ] {
        let value = evaluate(expression, &given).unwrap_or_else(|e| panic!("{expression}: {}", e.detail));
        assert!(value.is_wholly_known(), "{expression}");
    }
}

fn numbers(count: i64) -> Value {
    Value::tuple((0..count).map(Value::number).collect::<Vec<_>>())
}

fn bomb() -> String {
    let line = |(a, b): (char, char)| format!("{b}: &{b} [{}]\n", vec![format!("*{a}"); 9].join(","));
    let lines: String = ('a'..'j').zip('b'..='j').map(line).collect();
    format!("a: &a [x,x,x,x,x,x,x,x,x]\n{lines}")
}

/// Arguments of every kind, with odd ones among them.
fn argument() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        "[a-z0-9 ]{0,8}",
        ".{0,6}",
        Just("%s %d %v %[2]q".to_owned()),
        Just("(a)|b+".to_owned()),
        Just("/(?P<x>.)/".to_owned()),
        Just("10.0.0.0/8".to_owned()),
        Just("2020-01-01T00:00:00Z".to_owned()),
        Just("-1h30m".to_owned()),
        Just("{\"a\": [1]}".to_owned()),
        Just("a: [1, {b: c}]".to_owned()),
        Just("a,b\n1,2\n".to_owned()),
        Just("${x} %{ if true }y%{ endif }".to_owned()),
        Just("hello.txt".to_owned()),
        Just("tmpl/one.tmpl".to_owned()),
        Just("**/*.{txt,[a-z]}".to_owned()),
        Just("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n".to_owned()),
        Just("UTF-16".to_owned()),
        Just("é\u{301}😀\u{200d}\0".to_owned()),
        Just("x".repeat(5000)),
    ];
    let leaf = prop_oneof![
        texts.prop_map(Value::string),
        any::<i64>().prop_map(Value::number),
        (-3_i64..40).prop_map(Value::number),
        Just("1e300").prop_map(|n| Value::number(n.parse::<gantry::value::Number>().expect("a number"))),
        Just("-0.1").prop_map(|n| Value::number(n.parse::<gantry::value::Number>().expect("a number"))),
        any::<bool>().prop_map(Value::bool),
        Just(Value::null(Type::Any)),
        Just(Value::null(Type::String)),
        Just(Value::null(Type::list(Type::Any))),
        Just(Value::opaque(Type::String)),
        Just(Value::opaque(Type::Any)),
        Just(Value::opaque(Type::map(Type::Number))),
    ];
    let marked = (leaf, any::<u8>()).prop_map(|(value, n)| match n % 8 {
        0 => value.sensitive(),
        1 => value.mark(Marks::EPHEMERAL),
        _ => value,
    });
    marked.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::tuple),
            prop::collection::vec("[a-z]{0,3}", 0..4).prop_map(Value::strings),
            prop::collection::vec(-5_i64..5, 0..4)
                .prop_map(|all| Value::set(Type::Number, all.into_iter().map(Value::number))),
            prop::collection::vec(("[a-z]{1,2}", inner.clone()), 0..4).prop_map(Value::object_of),
            prop::collection::vec(("[a-z]{1,2}", -5_i64..5), 0..4).prop_map(|all| {
                Value::map(Type::Number, all.into_iter().map(|(k, n)| (k.into(), Value::number(n))).collect::<Map>())
            }),
            inner.prop_map(Value::sensitive),
        ]
    })
}

fn call(function: &Function, arguments: &[Value]) -> Term {
    let span = Span::new(FileId(0), 0..0);
    let shared = |kind| Arc::new(Term { kind, span });
    let reference =
        |i: usize| shared(TermKind::Reference(Reference { root: format!("a{i}").into(), steps: Vec::new(), span }));
    let arguments = (0..arguments.len()).map(reference).collect();
    Term { kind: TermKind::Call { name: function.name.into(), name_span: span, arguments, expand: false }, span }
}

/// The functions whose results say less of their arguments than those hold, on purpose: they take marks off, look at a part
/// of what they are given, or say only how it is built.
const DROPS_MARKS: [&str; 14] = [
    "nonsensitive",
    "issensitive",
    "length",
    "keys",
    "lookup",
    "element",
    "slice",
    "merge",
    "coalesce",
    "coalescelist",
    "matchkeys",
    "ephemeralasnull",
    "zipmap",
    "contains",
];

#[test]
fn no_call_panics_and_no_mark_is_lost() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = argument();
    let mut values = 0;
    for function in all() {
        for round in 0..40 {
            let wanted = function.parameters.len() + if function.variadic.is_some() { round % 4 } else { 0 };
            let arguments: Vec<Value> = (0..wanted)
                .map(|i| {
                    let parameter = function.parameters.get(i).or(function.variadic.as_ref());
                    // Half of the arguments have a type that is taken, so that the function itself is reached.
                    let mut drawn = || strategy.new_tree(&mut runner).expect("a strategy gives values").current();
                    let fits = |v: &Value| {
                        parameter.is_none_or(|p| gantry::value::convert(v, &p.ty).is_ok() && (p.null || !v.is_null()))
                    };
                    let first = drawn();
                    if round % 2 == 0 { first } else { (0..8).map(|_| drawn()).find(fits).unwrap_or(first) }
                })
                .collect();
            let names: Vec<String> = (0..wanted).map(|i| format!("a{i}")).collect();
            let given: Vec<(&str, Value)> = names.iter().map(String::as_str).zip(arguments.iter().cloned()).collect();
            // Whether it panics or takes long is what is tested; an error is as good as a value.
            let Ok(value) = evaluate_term(call(function, &arguments), &given) else { continue };
            values += 1;
            let wholly = arguments.iter().all(Value::is_wholly_known);
            let drawn = matches!(function.name, "timestamp" | "uuid" | "bcrypt");
            assert!(!wholly || drawn || value.is_wholly_known(), "{} {arguments:?} gives {value:?}", function.name);
            if !DROPS_MARKS.contains(&function.name) {
                let marks = arguments.iter().fold(Marks::NONE, |marks, v| marks.union(v.marks_deep()));
                let empty = matches!(value.as_items(), Some([])) || value.as_map().is_some_and(Map::is_empty);
                assert!(
                    value.marks_deep().has(marks) || empty || matches!(value.kind, Kind::Null(_)),
                    "{} {arguments:?} gives {value:?}",
                    function.name
                );
            }
        }
    }
    assert!(values > 1000, "most functions gave values: {values}");
}

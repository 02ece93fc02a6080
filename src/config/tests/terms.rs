//! What expressions are lowered to, their places, and types read from terms.

use crate::config::parse_expression;
use crate::diag::{FileId, SourceMap};
use crate::eval::constraint::constraint;
use crate::eval::{Part, SplatKind, Term, TermKind, Unary};
use crate::value::encode_shape;

/// A term in brackets, short enough to compare.
fn brackets(term: &Term) -> String {
    let all = |terms: &[std::sync::Arc<Term>]| terms.iter().map(|t| brackets(t)).collect::<Vec<_>>().join(" ");
    match &term.kind {
        TermKind::Literal(v) => encode_shape(v).to_string(),
        TermKind::Reference(r) => format!("<{r}>"),
        TermKind::SplatItem => "_".into(),
        TermKind::Attribute(of, name) => format!("({}.{name})", brackets(of)),
        TermKind::Index(of, index) => format!("({}[{}])", brackets(of), brackets(index)),
        TermKind::Splat { source, each, kind } => {
            format!(
                "(splat{} {} {})",
                if *kind == SplatKind::Full { "" } else { "." },
                brackets(source),
                brackets(each)
            )
        }
        TermKind::Unary(Unary::Not, a) => format!("(! {})", brackets(a)),
        TermKind::Unary(Unary::Negate, a) => format!("(- {})", brackets(a)),
        TermKind::Binary(op, a, b) => format!("({} {} {})", op.symbol(), brackets(a), brackets(b)),
        TermKind::Conditional(a, b, c) => format!("(? {} {} {})", brackets(a), brackets(b), brackets(c)),
        TermKind::Call { name, arguments, expand, .. } => {
            format!("({name}{} {})", if *expand { "..." } else { "" }, all(arguments))
        }
        TermKind::Tuple(items) => format!("[{}]", all(items)),
        TermKind::Object(items) => {
            let items: Vec<String> =
                items.iter().map(|i| format!("{}:{}", brackets(&i.key), brackets(&i.value))).collect();
            format!("{{{}}}", items.join(" "))
        }
        TermKind::For(f) => format!(
            "(for {:?} {} in {} {}{}{}{})",
            f.key_name.as_deref().unwrap_or(""),
            f.value_name,
            brackets(&f.collection),
            f.key.as_ref().map(|k| format!("{} => ", brackets(k))).unwrap_or_default(),
            brackets(&f.value),
            if f.group { "..." } else { "" },
            f.condition.as_ref().map(|c| format!(" if {}", brackets(c))).unwrap_or_default(),
        ),
        TermKind::Template(parts) => format!("(\" {})", parts.len()),
    }
}

fn lowered(source: &str) -> String {
    brackets(&parse_expression(source, FileId(0)).unwrap())
}

#[test]
fn traversals() {
    for (source, term) in [
        ("a", "<a>"),
        ("a.b.c", "<a.b.c>"),
        ("a.b[\"c\"][0].d", "<a.b[\"c\"][0].d>"),
        ("a.0.b", "<a[0].b>"),
        ("a[-1]", "(<a>[-1])"),
        ("a[1.5]", "(<a>[1.5])"),
        ("a[b].c[0]", "(((<a>[<b>]).c)[0])"),
        ("a[\"${b}\"].c", "((<a>[<b>]).c)"),
        ("(a).b", "<a.b>"),
        ("f(x).y[0]", "(((f <x>).y)[0])"),
        ("a[*].b[0]", "(splat <a> ((_.b)[0]))"),
        ("a[*].b[*].c", "(splat <a> (splat (_.b) (_.c)))"),
        ("a[*]", "(splat <a> _)"),
        ("a.*.b[0]", "((splat. <a> (_.b))[0])"),
        ("a.*.b.0.c", "(splat. <a> (((_.b)[0]).c))"),
        ("a.*", "(splat. <a> _)"),
        ("[for x in a.b : x]", "(for \"\" x in <a.b> <x>)"),
    ] {
        assert_eq!(lowered(source), term, "{source}");
    }
}

#[test]
fn operators_and_forms() {
    for (source, term) in [
        ("1 + 2 * 3 - 4", "(- (+ 1 (* 2 3)) 4)"),
        ("a || b && c == d", "(|| <a> (&& <b> (== <c> <d>)))"),
        ("!a == b", "(== (! <a>) <b>)"),
        ("-a * b", "(* (- <a>) <b>)"),
        ("a ? b : c ? d : e", "(? <a> <b> (? <c> <d> <e>))"),
        ("max(a...)", "(max... <a>)"),
        ("provider::terraform::encode_expr(1)", "(provider::terraform::encode_expr 1)"),
        ("{ a = 1, \"b\" = 2, (c) = 3, null : 4 }", "{\"a\":1 \"b\":2 <c>:3 \"null\":4}"),
        ("{ for k, v in a : k => v... if v != null }", "(for \"k\" v in <a> <k> => <v>... if (!= <v> null))"),
        ("\"${a.b}\"", "<a.b>"),
        ("\"\"", "\"\""),
        ("\"a${b}\"", "(\" 2)"),
        ("[]", "[]"),
        ("format(\"x\",)", "(format \"x\")"),
    ] {
        assert_eq!(lowered(source), term, "{source}");
    }
}

#[test]
fn every_reference_has_its_place() {
    let source = "x + aé.b[0].c + f(\n  var.size[ \"k\" ])[*].id + \"t ${local.n ~} u\"";
    let mut sources = SourceMap::default();
    let file = sources.add("x", source);
    let term = parse_expression(source, file).unwrap();
    let mut found = Vec::new();
    crate::eval::references(&term, &mut found);
    let texts: Vec<&str> = found.iter().map(|r| &source[r.span.start as usize..r.span.end as usize]).collect();
    assert_eq!(texts, ["x", "aé.b[0].c", "var.size[ \"k\" ]", "local.n"]);
    assert_eq!((term.span.start as usize, term.span.end as usize), (0, source.len()));
}

#[test]
fn directives_bind_their_names() {
    let term = parse_expression("\"%{ for i, x in var.all }${i}${x}${y.z}%{ endfor }\"", FileId(0)).unwrap();
    let TermKind::Template(parts) = &term.kind else { panic!("{term:?}") };
    let Part::For { key_name, value_name, body, .. } = &parts[0] else { panic!("{parts:?}") };
    assert_eq!((key_name.as_deref(), &**value_name, body.len()), (Some("i"), "x", 3));
    let mut found = Vec::new();
    crate::eval::references(&term, &mut found);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["var.all", "y.z"]);
}

#[test]
fn types_are_read_as_they_are_written() {
    for ty in [
        "any",
        "list(any)",
        "map(set(number))",
        "tuple([string, bool])",
        "object({a = string, b = optional(number), c = optional(list(string), [])})",
        "map(object({x = optional(object({y = bool}))}))",
    ] {
        let read = constraint(&parse_expression(ty, FileId(0)).unwrap()).unwrap();
        let again = constraint(&parse_expression(&read.to_string(), FileId(0)).unwrap());
        assert_eq!(again.unwrap(), read, "{ty}");
    }
    for bad in [
        "list",
        "lists(string)",
        "string()",
        "object(string)",
        "tuple(string)",
        "1",
        "[string]",
        "a.b",
        "list(string)...",
    ] {
        let term = parse_expression(bad, FileId(0));
        assert!(term.is_err() || constraint(&term.unwrap()).is_err(), "{bad}");
    }
}

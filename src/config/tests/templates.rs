//! Templates, literals and keys against what Terraform 1.11.4 made of them (`record.py` wrote `templates.json`).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::config::parse_expression;
use crate::diag::FileId;
use crate::eval::constraint::constant;
use crate::eval::{Part, Term, TermKind};
use crate::value::encode_shape;

type Bound = BTreeMap<String, Json>;

/// As much of an evaluator as the recorded cases need; the real one has tests of its own.
fn value(term: &Term, bound: &Bound) -> Json {
    match &term.kind {
        TermKind::Literal(v) => encode_shape(v),
        TermKind::Reference(r) => bound[&*r.root].clone(),
        TermKind::Tuple(items) => items.iter().map(|t| value(t, bound)).collect(),
        TermKind::Object(items) => {
            let one = |item: &crate::eval::ObjectItem| (text(&value(&item.key, bound)), value(&item.value, bound));
            Json::Object(items.iter().map(one).collect::<Map<_, _>>())
        }
        TermKind::Template(parts) => Json::String(parts.iter().map(|p| part(p, bound)).collect()),
        TermKind::Conditional(c, a, b) => value(if value(c, bound) == json!(true) { a } else { b }, bound),
        TermKind::Call { name, arguments, .. } if &**name == "upper" => {
            json!(text(&value(&arguments[0], bound)).to_uppercase())
        }
        _ => encode_shape(&constant(term).unwrap()),
    }
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

fn part(part: &Part, bound: &Bound) -> String {
    let all = |parts: &[Part], bound: &Bound| parts.iter().map(|p| self::part(p, bound)).collect::<String>();
    match part {
        Part::Literal(literal) => literal.to_string(),
        Part::Interpolation(term) => text(&value(term, bound)),
        Part::If { condition, then, otherwise } => {
            all(if value(condition, bound) == json!(true) { then } else { otherwise }, bound)
        }
        Part::For { key_name, value_name, collection, body } => {
            let items = value(collection, bound);
            let with = |(i, item): (usize, &Json)| {
                let mut bound = bound.clone();
                bound.extend(key_name.as_ref().map(|k| (k.to_string(), json!(i))));
                bound.insert(value_name.to_string(), item.clone());
                all(body, &bound)
            };
            items.as_array().unwrap().iter().enumerate().map(with).collect()
        }
    }
}

#[test]
fn as_terraform_has_them() {
    let cases: Vec<Json> = serde_json::from_str(include_str!("templates.json")).unwrap();
    assert!(cases.len() >= 70);
    let mut wrong = Vec::new();
    for case in &cases {
        let source = case["source"].as_str().unwrap();
        // A heredoc's closing line has to end, so the source has a line break that an expression does not.
        let ours = parse_expression(source.trim_end_matches('\n'), FileId(0));
        let refused = case.get("error").is_some();
        match ours {
            Ok(term) if !refused && value(&term, &Bound::new()) == case["result"] => {}
            Err(_) if refused => {}
            Ok(term) if !refused => {
                wrong.push(format!("{}: {} instead of {}", case["name"], value(&term, &Bound::new()), case["result"]));
            }
            Ok(_) => wrong.push(format!("{}: accepted", case["name"])),
            Err(e) => wrong.push(format!("{}: refused: {e:?}", case["name"])),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_are_exact() {
    for (source, printed) in [
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-18446744073709551617", "-18446744073709551617"),
        ("- 0.1", "-0.1"),
        ("- /* 3 */ 5", "-5"),
        ("0.30000000000000004", "0.30000000000000004"),
    ] {
        let term = parse_expression(source, FileId(0)).unwrap();
        assert_eq!(constant(&term).unwrap().as_number().unwrap().to_string(), printed);
    }
}

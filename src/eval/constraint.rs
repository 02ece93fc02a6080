//! Type constraints and constants, read from terms without evaluating them.
//!
//! `type = map(object({ a = optional(string, "x") }))` is an expression to the parser and a type to its reader. A default
//! is a constant: literals, lists, objects and arithmetic over them, without references and calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Binary, Part, Term, TermKind, Unary};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::value::{Attribute, Type, Value, convert, normal};

/// The words of constraints, for suggestions.
const WORDS: [&str; 9] = ["any", "bool", "number", "string", "list", "set", "map", "tuple", "object"];
const INVALID: &str = "Invalid type specification";

type Outcome<T> = Result<T, Box<Diagnostic>>;

fn refuse<T>(term: &Term, summary: &str, detail: impl Into<String>) -> Outcome<T> {
    refuse_at(term.span, summary, detail)
}

fn refuse_at<T>(span: Span, summary: &str, detail: impl Into<String>) -> Outcome<T> {
    Err(Box::new(Diagnostic::error(summary, detail).at(span)))
}

/// The type that a term names: `string`, `list(number)`, `object({ a = optional(string, "x") })`.
///
/// # Errors
/// When it names none.
pub fn constraint(term: &Term) -> Outcome<Type> {
    match &term.kind {
        TermKind::Reference(reference) if reference.steps.is_empty() => word(term.span, &reference.root),
        TermKind::Call { name, name_span, arguments, expand: false } => {
            let known = WORDS.contains(&&**name) || &**name == "optional";
            if known { call(term, name, arguments) } else { word(*name_span, name) }
        }
        TermKind::Literal(value) if value.as_str().is_some() => {
            let text = value.as_str().unwrap_or_default();
            let detail = format!("A type is written without quotes: type = {text}.");
            refuse(term, "Invalid quoted type constraints", detail)
        }
        _ => refuse(
            term,
            INVALID,
            "A type constraint is a type keyword (string, number, bool, any) or a call of a type constructor \
             (list, set, map, tuple, object).",
        ),
    }
}

fn word(span: Span, word: &str) -> Outcome<Type> {
    let needs = |argument: &str| format!("The \"{word}\" type constructor needs {argument}.");
    match word {
        "any" => Ok(Type::Any),
        "bool" => Ok(Type::Bool),
        "number" => Ok(Type::Number),
        "string" => Ok(Type::String),
        "list" | "set" | "map" => {
            refuse_at(span, INVALID, needs(&format!("one argument, the type of its elements, as in {word}(string)")))
        }
        "tuple" => refuse_at(span, INVALID, needs("a list of types, as in tuple([string, number])")),
        "object" => refuse_at(span, INVALID, needs("an object of types, as in object({ name = string })")),
        "optional" => {
            refuse_at(span, INVALID, "\"optional\" stands only around the type of an attribute of an object type.")
        }
        other => {
            let detail = format!("The keyword \"{other}\" is not a type.");
            Err(Box::new(
                Diagnostic::error(INVALID, detail)
                    .at(span)
                    .hint_opt(did_you_mean(other, WORDS.into_iter().chain(["optional"]))),
            ))
        }
    }
}

fn call(term: &Term, name: &str, arguments: &[Arc<Term>]) -> Outcome<Type> {
    match (name, arguments) {
        ("list", [element]) => Ok(Type::list(constraint(element)?)),
        ("set", [element]) => Ok(Type::set(constraint(element)?)),
        ("map", [element]) => Ok(Type::map(constraint(element)?)),
        ("tuple", [items]) => {
            let TermKind::Tuple(items) = &items.kind else {
                return refuse(items, INVALID, "A tuple type takes a list of types, as in tuple([string, number]).");
            };
            Ok(Type::Tuple(items.iter().map(|item| constraint(item)).collect::<Outcome<Vec<_>>>()?.into()))
        }
        ("object", [attributes]) => object(attributes),
        ("list" | "set" | "map" | "tuple" | "object", _) => {
            let detail = format!("The \"{name}\" type constructor takes one argument; {} are given.", arguments.len());
            refuse(term, INVALID, detail)
        }
        ("any" | "bool" | "number" | "string", _) => {
            refuse(term, INVALID, format!("The primitive type \"{name}\" takes no arguments."))
        }
        (name, _) => word(term.span, name),
    }
}

fn object(attributes: &Term) -> Outcome<Type> {
    let TermKind::Object(items) = &attributes.kind else {
        return refuse(
            attributes,
            INVALID,
            "An object type takes an object of types, as in object({ name = string }).",
        );
    };
    let mut types = BTreeMap::new();
    for item in items {
        let Some(name) = item.key.as_literal_str() else {
            return refuse(&item.key, INVALID, "An attribute's name in an object type is a plain name.");
        };
        if types.insert(Arc::from(name), attribute(&item.value)?).is_some() {
            return refuse(
                &item.key,
                INVALID,
                format!("The attribute \"{name}\" is declared twice in this object type."),
            );
        }
    }
    Ok(Type::Object(Arc::new(types)))
}

fn attribute(term: &Term) -> Outcome<Attribute> {
    let TermKind::Call { name, arguments, expand: false, .. } = &term.kind else {
        return Ok(Attribute::required(constraint(term)?));
    };
    if &**name != "optional" {
        return Ok(Attribute::required(constraint(term)?));
    }
    let (ty, default) = match &arguments[..] {
        [ty] => (ty, None),
        [ty, default] => (ty, Some(default)),
        _ => return refuse(term, INVALID, "\"optional\" takes a type and, where wanted, a default for it."),
    };
    let ty = constraint(ty)?;
    let default = default.map(|term| {
        convert(&constant(term)?, &ty).or_else(|e| {
            let detail = format!("This default does not fit the attribute's type {ty}: {e}.");
            refuse(term, "Invalid default value for optional attribute", detail)
        })
    });
    Ok(Attribute { ty, optional: true, default: default.transpose()? })
}

/// The value of a term that needs nothing from anywhere.
///
/// # Errors
/// When it has a reference or a call, or has no value.
pub fn constant(term: &Term) -> Outcome<Value> {
    match &term.kind {
        TermKind::Literal(value) => Ok(value.clone()),
        TermKind::Tuple(items) => {
            Ok(Value::tuple(items.iter().map(|item| constant(item)).collect::<Outcome<Vec<_>>>()?))
        }
        TermKind::Object(items) => {
            let mut map = Vec::with_capacity(items.len());
            for item in items {
                let key = convert(&constant(&item.key)?, &Type::String).ok().filter(|key| !key.is_null());
                let Some(key) = key.as_ref().and_then(Value::as_str).map(Arc::from) else {
                    return refuse(&item.key, "Incorrect key type", "An object's key must be a string.");
                };
                map.push((key, constant(&item.value)?));
            }
            Ok(Value::object(map.into_iter().collect()))
        }
        TermKind::Template(parts) => template(term, parts),
        TermKind::Unary(operator, operand) => unary(term, *operator, &constant(operand)?),
        TermKind::Binary(operator, a, b) => binary(term, *operator, &constant(a)?, &constant(b)?),
        TermKind::Reference(reference) => refuse(
            term,
            "Variables not allowed",
            format!("\"{reference}\" is a reference; only a constant can stand here."),
        ),
        TermKind::Call { name, .. } => refuse(
            term,
            "Function calls not allowed",
            format!("Functions may not be called here, not even {name}; only a constant can stand here."),
        ),
        _ => refuse(
            term,
            "Constant value required",
            "Only a constant can stand here: strings, numbers, booleans, null, and lists and objects of them.",
        ),
    }
}

fn template(term: &Term, parts: &[Part]) -> Outcome<Value> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Interpolation(inner) => {
                let value = convert(&constant(inner)?, &Type::String).ok();
                match value.as_ref().and_then(Value::as_str) {
                    Some(more) => text.push_str(more),
                    None => {
                        return refuse(inner, "Invalid template interpolation value", "A string is required here.");
                    }
                }
            }
            Part::If { .. } | Part::For { .. } => {
                return refuse(term, "Constant value required", "Only a constant can stand here, without directives.");
            }
        }
    }
    Ok(Value::string(normal(text)))
}

fn unary(term: &Term, operator: Unary, value: &Value) -> Outcome<Value> {
    let operand = match operator {
        Unary::Negate => convert(value, &Type::Number),
        Unary::Not => convert(value, &Type::Bool),
    };
    let result = operand.ok().and_then(|v| match operator {
        Unary::Negate => v.as_number().map(|n| Value::number(n.neg())),
        Unary::Not => v.as_bool().map(|b| Value::bool(!b)),
    });
    result.map_or_else(
        || refuse(term, "Invalid operand", "The operand of \"-\" is a number and that of \"!\" is a boolean."),
        Ok,
    )
}

fn binary(term: &Term, operator: Binary, a: &Value, b: &Value) -> Outcome<Value> {
    let numbers = (convert(a, &Type::Number).ok(), convert(b, &Type::Number).ok());
    let (Some(a), Some(b)) = &numbers else {
        return refuse(term, "Invalid operand", format!("The operands of \"{}\" are numbers here.", operator.symbol()));
    };
    let (Some(a), Some(b)) = (a.as_number(), b.as_number()) else {
        return refuse(term, "Invalid operand", "An operand is null.");
    };
    let result = match operator {
        Binary::Add => Ok(a.add(b)),
        Binary::Subtract => Ok(a.sub(b)),
        Binary::Multiply => a.mul(b),
        Binary::Divide => a.div(b),
        Binary::Remainder => a.rem(b),
        other => {
            let detail = format!("\"{}\" cannot stand in a constant; name the result instead.", other.symbol());
            return refuse(term, "Constant value required", detail);
        }
    };
    result.map(Value::number).or_else(|e| refuse(term, "Invalid operation", format!("There is no result: {e}.")))
}

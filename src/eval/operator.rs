//! Operators.

use std::sync::Arc;

use super::evaluate::{Evaluated, Evaluator, Locals, shown};
use super::{Binary, Term, Unary};
use crate::diag::{Diagnostic, Span};
use crate::value::{Kind, Number, Type, Value, convert};

fn operand(value: &Value, ty: &Type, symbol: &str, span: Span) -> Evaluated {
    let fail = |why: String| {
        let summary = "Invalid operand";
        let detail = format!("Unsuitable value for an operand of \"{symbol}\": {why}.");
        Box::new(Diagnostic::error(summary, detail).at(span).hint_opt(shown(value)))
    };
    if value.is_null() {
        return Err(fail("it is null".into()));
    }
    convert(value, ty).map_err(|e| fail(e.to_string()))
}

/// `!a`, `-a`
pub(super) fn unary(operator: Unary, value: &Value, span: Span) -> Evaluated {
    let (ty, symbol) = match operator {
        Unary::Not => (Type::Bool, "!"),
        Unary::Negate => (Type::Number, "-"),
    };
    let value = operand(value, &ty, symbol, span)?;
    let result = match &value.kind {
        Kind::Bool(b) => Value::bool(!b),
        Kind::Number(n) => Value::number(n.neg()),
        _ => Value::opaque(ty),
    };
    Ok(result.mark(value.marks))
}

/// `a + b` and the others.
pub(super) fn binary(
    evaluator: &Evaluator<'_>,
    operator: Binary,
    a: &Arc<Term>,
    b: &Arc<Term>,
    locals: Option<&Locals<'_>>,
) -> Evaluated {
    let left = evaluator.eval(a, locals)?;
    match operator {
        Binary::And | Binary::Or => logical(evaluator, operator, &left, a.span, b, locals),
        Binary::Equal | Binary::NotEqual => {
            let right = evaluator.eval(b, locals)?;
            let (x, m) = left.unmark_deep();
            let (y, n) = right.unmark_deep();
            let result = match equal(&x, &y) {
                Some(same) => Value::bool(same == (operator == Binary::Equal)),
                None => Value::opaque(Type::Bool),
            };
            Ok(result.mark(m.union(n)))
        }
        _ => {
            let right = evaluator.eval(b, locals)?;
            let left = operand(&left, &Type::Number, operator.symbol(), a.span)?;
            let right = operand(&right, &Type::Number, operator.symbol(), b.span)?;
            let marks = left.marks.union(right.marks);
            let result = match (left.as_number(), right.as_number()) {
                (Some(x), Some(y)) => numeric(operator, x, y, a.span.to(b.span))?,
                _ if matches!(
                    operator,
                    Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual
                ) =>
                {
                    Value::opaque(Type::Bool)
                }
                _ => Value::opaque(Type::Number),
            };
            Ok(result.mark(marks))
        }
    }
}

/// `&&` and `||` stop at the left side where that decides, as Terraform does since 1.12.
fn logical(
    evaluator: &Evaluator<'_>,
    operator: Binary,
    left: &Value,
    span: Span,
    b: &Arc<Term>,
    locals: Option<&Locals<'_>>,
) -> Evaluated {
    let left = operand(left, &Type::Bool, operator.symbol(), span)?;
    let deciding = operator == Binary::Or;
    if left.as_bool() == Some(deciding) {
        return Ok(left);
    }
    let right = evaluator.eval(b, locals)?;
    let right = operand(&right, &Type::Bool, operator.symbol(), b.span)?;
    let marks = left.marks.union(right.marks);
    let result = match (left.as_bool(), right.as_bool()) {
        (_, Some(r)) if r == deciding => Value::bool(deciding),
        (Some(_), Some(r)) => Value::bool(r),
        _ => Value::opaque(Type::Bool),
    };
    Ok(result.mark(marks))
}

fn numeric(operator: Binary, x: &Number, y: &Number, span: Span) -> Evaluated {
    let failed = |e: crate::value::ArithmeticError| {
        let detail = format!("This calculation has no result: {e}.");
        Box::new(Diagnostic::error("Invalid calculation", detail).at(span))
    };
    Ok(match operator {
        Binary::Add => Value::number(x.add(y)),
        Binary::Subtract => Value::number(x.sub(y)),
        Binary::Multiply => Value::number(x.mul(y).map_err(failed)?),
        Binary::Divide => Value::number(x.div(y).map_err(failed)?),
        Binary::Remainder => Value::number(x.rem(y).map_err(failed)?),
        Binary::Less => Value::bool(x < y),
        Binary::LessOrEqual => Value::bool(x <= y),
        Binary::Greater => Value::bool(x > y),
        Binary::GreaterOrEqual => Value::bool(x >= y),
        Binary::Or | Binary::And | Binary::Equal | Binary::NotEqual => {
            return Err(super::evaluate::bug("a logical operator on numbers", span));
        }
    })
}

/// Whether two values without marks are equal; `None` while what is not known yet decides.
pub(super) fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (&a.kind, &b.kind) {
        (Kind::Null(_), Kind::Null(_)) => Some(true),
        (Kind::Unknown(_), _) | (_, Kind::Unknown(_)) => None,
        (Kind::Null(_), _) | (_, Kind::Null(_)) => Some(false),
        (Kind::List(_, x), Kind::List(_, y))
        | (Kind::Tuple(x), Kind::Tuple(y))
        | (Kind::Set(_, x), Kind::Set(_, y)) => {
            if x.len() != y.len() {
                return Some(false);
            }
            all_equal(x.iter().zip(y.iter()))
        }
        (Kind::Map(_, x), Kind::Map(_, y)) | (Kind::Object(x), Kind::Object(y)) => {
            if !x.keys().eq(y.keys()) {
                return Some(false);
            }
            all_equal(x.values().zip(y.values()))
        }
        _ => Some(a == b),
    }
}

fn all_equal<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Option<bool> {
    let mut known = true;
    for (x, y) in pairs {
        match equal(x, y) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = false,
        }
    }
    known.then_some(true)
}

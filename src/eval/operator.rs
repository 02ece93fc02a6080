//! Operators.

use std::sync::Arc;

use super::evaluate::{Evaluated, Evaluator, Locals, shown};
use super::{Binary, Term, Unary};
use crate::diag::{Diagnostic, Span};
use crate::value::{Kind, Marks, Number, Refinement, Type, Unknown, Value, convert};

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
        _ => Value::opaque(ty).refined(&Refinement::not_null()),
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
    let left = evaluator.eval(a, locals);
    match operator {
        Binary::And | Binary::Or => logical(operator, (left, a.span), (evaluator.eval(b, locals), b.span)),
        Binary::Equal | Binary::NotEqual => {
            let (left, right) = (left?, evaluator.eval(b, locals)?);
            let (x, m) = compared(&left, &right);
            let (y, n) = compared(&right, &left);
            let result = match equal(&x, &y) {
                Some(same) => Value::bool(same == (operator == Binary::Equal)),
                None => Value::opaque(Type::Bool).refined(&Refinement::not_null()),
            };
            Ok(result.mark(m.union(n)))
        }
        _ => {
            let left = left?;
            let right = evaluator.eval(b, locals)?;
            let left = operand(&left, &Type::Number, operator.symbol(), a.span)?;
            let right = operand(&right, &Type::Number, operator.symbol(), b.span)?;
            let marks = left.marks.union(right.marks);
            let result = match (left.as_number(), right.as_number()) {
                (Some(x), Some(y)) => numeric(operator, x, y, a.span.to(b.span))?,
                _ => bounded(operator, &left.range(), &right.range()),
            };
            Ok(result.mark(marks))
        }
    }
}

/// What is compared of a value, and the marks that decide. Against null only the value as a whole counts, not what is in it.
fn compared(value: &Value, other: &Value) -> (Value, Marks) {
    let (plain, deep) = value.unmark_deep();
    let marks = if value.is_null() != other.is_null() { value.marks } else { deep };
    (plain, marks)
}

/// `&&` and `||`: a side that decides alone does so whatever becomes of the other, also if that fails. Terraform stops at the
/// first side since 1.12 and does not mind a mistake on the first one where the second decides.
fn logical(operator: Binary, left: (Evaluated, Span), right: (Evaluated, Span)) -> Evaluated {
    let prepared = |(side, span): (Evaluated, Span)| -> Result<Evaluated, Box<Diagnostic>> {
        match side {
            // A null fails only if it counts.
            Ok(value) if value.is_null() => Ok(operand(&value, &Type::Bool, operator.symbol(), span)),
            Ok(value) => Ok(Ok(operand(&value, &Type::Bool, operator.symbol(), span)?)),
            Err(e) => Ok(Err(e)),
        }
    };
    let (left, right) = (prepared(left)?, prepared(right)?);
    let deciding = operator == Binary::Or;
    let marks = [&left, &right].into_iter().flatten().fold(Marks::NONE, |m, v| m.union(v.marks));
    let decides = |side: &Evaluated| side.as_ref().is_ok_and(|v| v.as_bool() == Some(deciding));
    if decides(&left) || decides(&right) {
        return Ok(Value::bool(deciding).mark(marks));
    }
    let (left, right) = (left?, right?);
    let result = match (left.as_bool(), right.as_bool()) {
        (Some(_), Some(_)) => Value::bool(!deciding),
        _ => Value::opaque(Type::Bool).refined(&Refinement::not_null()),
    };
    Ok(result.mark(marks))
}

/// What is certain of a calculation or comparison of numbers of which at least one is not known, by their bounds.
fn bounded(operator: Binary, x: &Refinement, y: &Refinement) -> Value {
    let below = |a: &Option<Number>, b: &Option<Number>| matches!((a, b), (Some(a), Some(b)) if a < b);
    let not_above = |a: &Option<Number>, b: &Option<Number>| matches!((a, b), (Some(a), Some(b)) if a <= b);
    // What `a < b` and `a <= b` are, if that is certain.
    let less = |a: &Refinement, b: &Refinement| {
        let never = not_above(&b.most, &a.least);
        (below(&a.most, &b.least) || never).then_some(!never)
    };
    let at_most = |a: &Refinement, b: &Refinement| less(b, a).map(|greater| !greater);
    let decided = match operator {
        Binary::Less => less(x, y),
        Binary::Greater => less(y, x),
        Binary::LessOrEqual => at_most(x, y),
        Binary::GreaterOrEqual => at_most(y, x),
        Binary::Add => return calculated(x, y, &|a, b| Some(a.add(b))),
        Binary::Subtract => {
            let negated = Refinement::between(y.most.as_ref().map(Number::neg), y.least.as_ref().map(Number::neg));
            return calculated(x, &negated, &|a, b| Some(a.add(b)));
        }
        Binary::Multiply => return multiplied(x, y),
        _ => return Value::opaque(Type::Number).refined(&Refinement::not_null()),
    };
    match decided {
        Some(holds) => Value::bool(holds),
        None => Value::opaque(Type::Bool).refined(&Refinement::not_null()),
    }
}

/// A number between the results of an operation that grows with both operands.
fn calculated(x: &Refinement, y: &Refinement, of: &dyn Fn(&Number, &Number) -> Option<Number>) -> Value {
    let bound = |a: &Option<Number>, b: &Option<Number>| of(a.as_ref()?, b.as_ref()?);
    Value::opaque(Type::Number).refined(&Refinement::between(bound(&x.least, &y.least), bound(&x.most, &y.most)))
}

/// A product lies between the products of the bounds, where there are all four.
fn multiplied(x: &Refinement, y: &Refinement) -> Value {
    let corners = || -> Option<Vec<Number>> {
        let ends = [(&x.least, &y.least), (&x.least, &y.most), (&x.most, &y.least), (&x.most, &y.most)];
        ends.into_iter().map(|(a, b)| a.as_ref()?.mul(b.as_ref()?).ok()).collect()
    };
    let refinement = match corners() {
        Some(all) => Refinement::between(all.iter().min().cloned(), all.iter().max().cloned()),
        None => Refinement::not_null(),
    };
    Value::opaque(Type::Number).refined(&refinement)
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

/// Whether two values without marks are equal; `None` while what is not known yet decides. Values of different types are
/// never equal, nulls of any type always.
pub(super) fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (&a.kind, &b.kind) {
        (Kind::Null(_), Kind::Null(_)) => Some(true),
        (Kind::Null(_), _) => b.is_never_null().then_some(false),
        (_, Kind::Null(_)) => a.is_never_null().then_some(false),
        (Kind::Unknown(_), Kind::Unknown(_)) => None,
        (Kind::Unknown(unknown), _) => may_be(unknown, b),
        (_, Kind::Unknown(unknown)) => may_be(unknown, a),
        (Kind::List(..), Kind::List(..)) | (Kind::Set(..), Kind::Set(..)) | (Kind::Map(..), Kind::Map(..))
            if !same_element_type(a, b) =>
        {
            Some(false)
        }
        (Kind::List(_, x), Kind::List(_, y)) if x.len() == y.len() => parts(x.iter().zip(y.iter())),
        (Kind::Tuple(x), Kind::Tuple(y)) if x.len() == y.len() => parts(x.iter().zip(y.iter())),
        (Kind::Set(_, x), Kind::Set(_, y)) => same_set(a, b, x, y),
        (Kind::Map(_, x), Kind::Map(_, y)) | (Kind::Object(x), Kind::Object(y)) if x.keys().eq(y.keys()) => {
            parts(x.values().zip(y.values()))
        }
        (Kind::Bool(_), Kind::Bool(_)) | (Kind::Number(_), Kind::Number(_)) | (Kind::String(_), Kind::String(_)) => {
            Some(a == b)
        }
        _ => Some(false),
    }
}

/// Whether a value that is not known may turn out to be a known one that is not null: `None` if it may.
fn may_be(unknown: &Unknown, known: &Value) -> Option<bool> {
    let refuses = unknown.refinement.as_ref().is_some_and(|r| !r.admits(known));
    (refuses || !comparable((&unknown.ty, true), (&known.ty(), !known.is_wholly_known()))).then_some(false)
}

/// Whether values of two types can be equal: only those of one type are. `true` beside a type says that *any* in it is yet
/// to become some type; in a known value it is a type of its own, that of an empty list's elements.
fn comparable((a, a_open): (&Type, bool), (b, b_open): (&Type, bool)) -> bool {
    let both = |a: &Type, b: &Type| comparable((a, a_open), (b, b_open));
    match (a, b) {
        (Type::Any, _) if a_open => true,
        (_, Type::Any) if b_open => true,
        (Type::List(a), Type::List(b)) | (Type::Set(a), Type::Set(b)) | (Type::Map(a), Type::Map(b)) => both(a, b),
        (Type::Tuple(a), Type::Tuple(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| both(a, b)),
        (Type::Object(a), Type::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| both(&a.ty, &b.ty))
        }
        (a, b) => a == b,
    }
}

fn same_element_type(a: &Value, b: &Value) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::List(s, _), Kind::List(t, _))
        | (Kind::Set(s, _), Kind::Set(t, _))
        | (Kind::Map(s, _), Kind::Map(t, _)) => {
            s == t || comparable((s, !a.is_wholly_known()), (t, !b.is_wholly_known()))
        }
        _ => false,
    }
}

fn parts<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Option<bool> {
    let mut known = true;
    for (x, y) in pairs {
        match equal_parts(x, y) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = false,
        }
    }
    known.then_some(true)
}

/// Parts are equal only if their types are, also of nulls: the wholes would be of different types.
fn equal_parts(x: &Value, y: &Value) -> Option<bool> {
    match (&x.kind, &y.kind) {
        (Kind::Null(s), Kind::Null(t)) => Some(s == t),
        (Kind::Null(t), Kind::Unknown(unknown)) | (Kind::Unknown(unknown), Kind::Null(t))
            if unknown.ty != *t && !unknown.ty.has_any() =>
        {
            Some(false)
        }
        _ => equal(x, y),
    }
}

/// Sets with unknown elements differ for certain only if their numbers of elements cannot be the same.
fn same_set(a: &Value, b: &Value, x: &[Value], y: &[Value]) -> Option<bool> {
    if a.is_wholly_known() && b.is_wholly_known() {
        return if x.len() == y.len() { parts(x.iter().zip(y.iter())) } else { Some(false) };
    }
    let ((a_least, a_most), (b_least, b_most)) = (a.length_bounds(), b.length_bounds());
    let apart = a_most.is_some_and(|most| most < b_least) || b_most.is_some_and(|most| most < a_least);
    // A known element that the other side, wholly known, does not have.
    let missing = |these: &[Value], those: &[Value]| {
        those.iter().all(Value::is_wholly_known) && these.iter().any(|v| v.is_wholly_known() && !those.contains(v))
    };
    (apart || missing(x, y) || missing(y, x)).then_some(false)
}

//! Numeric functions.

use super::argument::{number, whole};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError};
use crate::value::{Number, Type, Value, convert};

/// The digits of `parseint`, up to base 62.
const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The longest text that `parseint` reads: beyond the digits that any number here can carry.
const PARSEINT_MAX: usize = 1_000;

fn numeric(_: &[Type]) -> Type {
    Type::Number
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        function("abs", "The absolute value of a number.", numeric, abs).takes("num", Type::Number),
        function("ceil", "The closest whole number that is greater than or equal.", numeric, |_, a| {
            Ok(Value::number(number(&a[0])?.ceil()))
        })
        .takes("num", Type::Number),
        function("floor", "The closest whole number that is less than or equal.", numeric, |_, a| {
            Ok(Value::number(number(&a[0])?.floor()))
        })
        .takes("num", Type::Number),
        function("log", "The logarithm of a number in a base.", numeric, |_, a| {
            from_double(number(&a[0])?.to_f64().ln() / number(&a[1])?.to_f64().ln())
        })
        .takes("num", Type::Number)
        .takes("base", Type::Number),
        function("max", "The greatest of the numbers.", numeric, |_, a| extreme(a, |new, old| new > old))
            .rest("numbers", Type::Number),
        function("min", "The smallest of the numbers.", numeric, |_, a| extreme(a, |new, old| new < old))
            .rest("numbers", Type::Number),
        function("parseint", "The whole number that a text stands for in a base from 2 to 62.", numeric, parseint)
            .takes("number", Type::Any)
            .takes("base", Type::Number),
        function("pow", "A number raised to a power.", numeric, |_, a| {
            from_double(number(&a[0])?.to_f64().powf(number(&a[1])?.to_f64()))
        })
        .takes("num", Type::Number)
        .takes("power", Type::Number),
        function("signum", "-1, 0 or 1 by the sign of a whole number.", numeric, |_, a| {
            Ok(Value::number(whole(&a[0])?.signum()))
        })
        .takes("num", Type::Number),
        function("sum", "The sum of the numbers in a list, set or tuple.", numeric, sum).takes("list", Type::Any),
    ]
}

fn abs(_: &CallContext<'_>, args: &[Value]) -> Called {
    let n = number(&args[0])?;
    Ok(Value::number(if n.is_negative() { n.neg() } else { n.clone() }))
}

/// A double's shortest text as a number: that is what Terraform prints of it, too.
fn from_double(n: f64) -> Called {
    if !n.is_finite() {
        return Err(FunctionError::new("the result is not a finite number"));
    }
    let n: Number = n.to_string().parse().map_err(|_| FunctionError::new("the result is not a finite number"))?;
    Ok(Value::number(n))
}

fn extreme(args: &[Value], better: fn(&Number, &Number) -> bool) -> Called {
    let mut best: Option<&Number> = None;
    for arg in args {
        let n = number(arg)?;
        if best.is_none_or(|old| better(n, old)) {
            best = Some(n);
        }
    }
    best.map(|n| Value::number(n.clone())).ok_or_else(|| FunctionError::new("must pass at least one number"))
}

fn parseint(_: &CallContext<'_>, args: &[Value]) -> Called {
    let Some(digits) = args[0].as_str() else {
        let message = format!("first argument must be a string, not {}", args[0].ty().friendly());
        return Err(FunctionError::at(0, message));
    };
    let base = number(&args[1])?.to_i64().filter(|b| (2..=62).contains(b));
    let base = base.ok_or_else(|| FunctionError::at(1, "base must be a whole number between 2 and 62 inclusive"))?;
    let fail = || {
        FunctionError::at(0, format!("cannot parse \"{digits}\" as a base {base} integer"))
            .discreetly("it is no integer in that base")
    };
    let (negative, rest) = match digits.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if rest.is_empty() || rest.len() > PARSEINT_MAX {
        return Err(fail());
    }
    let mut n = Number::ZERO;
    for byte in rest {
        // Up to base 36 the case of a letter does not matter.
        let byte = if base <= 36 { byte.to_ascii_lowercase() } else { *byte };
        let digit = DIGITS.iter().position(|d| *d == byte).and_then(|d| i64::try_from(d).ok());
        let digit = digit.filter(|d| *d < base).ok_or_else(fail)?;
        n = n.mul(&base.into())?.add(&digit.into());
    }
    Ok(Value::number(if negative { n.neg() } else { n }))
}

fn sum(_: &CallContext<'_>, args: &[Value]) -> Called {
    let list = &args[0];
    if list.as_map().is_some() {
        let message = format!("argument must be list, set, or tuple. Received {}", list.ty().friendly());
        return Err(FunctionError::at(0, message));
    }
    let all = list.as_items().ok_or_else(|| FunctionError::at(0, "cannot sum noniterable"))?;
    if all.is_empty() {
        return Err(FunctionError::at(0, "cannot sum an empty list"));
    }
    let fail = || FunctionError::at(0, "argument must be list, set, or tuple of number values");
    let mut total = Number::ZERO;
    for item in all {
        let n = convert(item, &Type::Number).map_err(|_| fail())?;
        total = total.add(n.as_number().ok_or_else(fail)?);
    }
    Ok(Value::number(total))
}

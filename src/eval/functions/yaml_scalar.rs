//! What plain texts in YAML stand for. Terraform reads them by YAML 1.1 where that differs from 1.2: `yes`, `on` and `y`
//! are true. Numbers are 1.2's.

use super::argument::string;
use super::moment::Moment;
use crate::value::{Number, Type, Value};

/// The value of a plain text; an error for a number that there is none of here.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::null(Type::Any)),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::bool(false));
        }
        ".nan" | ".NaN" | ".NAN" => return Err("floating point NaN is not supported".into()),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" => {
            return Err("floating point infinity is not supported".into());
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Ok(string(text));
    }
    if let Some(n) = number(text) {
        return n.map(Value::number).ok_or_else(|| format!("the number {text} is too large"));
    }
    Ok(string(timestamp(text).map_or_else(|| text.to_owned(), |moment| moment.to_string())))
}

/// `None` where the text is no number; `Some(None)` where it is one beyond all bounds.
fn number(text: &str) -> Option<Option<Number>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return None;
            }
            let step = |n: Number, c: char| {
                Some(n.mul(&i64::from(radix).into()).ok()?.add(&i64::from(c.to_digit(radix)?).into()))
            };
            return Some(digits.chars().try_fold(Number::ZERO, step));
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let exponent_digits = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
    if !digits(whole)
        || !digits(fraction)
        || (whole.is_empty() && fraction.is_empty())
        || exponent_digits.is_some_and(|e| e.is_empty() || !digits(e))
    {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let exponent = exponent.map_or(String::new(), |e| format!("e{e}"));
    Some(format!("{sign}{whole}{fraction}{exponent}").parse().ok())
}

/// A date, a date and time without zone, or a whole timestamp; fields of two digits may have one.
fn timestamp(text: &str) -> Option<Moment> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((text.as_bytes()[at] == b' ', &text[at + 1..]))),
        None => (text, None),
    };
    let two =
        |t: &str| (!t.is_empty() && t.len() <= 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{t:0>2}"));
    let mut fields = date.split('-');
    let year = fields.next().filter(|y| y.len() == 4)?;
    let (month, day) = (two(fields.next()?)?, two(fields.next()?)?);
    if fields.next().is_some() {
        return None;
    }
    let (clock, zone) = match time {
        None => ("0:0:0", "Z"),
        Some((true, clock)) => (clock, "Z"),
        Some((false, rest)) => rest.split_at(rest.find(['Z', '+', '-'])?),
    };
    let mut fields = clock.split(':');
    let (hour, minute) = (two(fields.next()?)?, two(fields.next()?)?);
    let second = fields.next()?;
    let (second, fraction) = second.split_once('.').map_or((second, String::new()), |(s, f)| (s, format!(".{f}")));
    let second = two(second)?;
    if fields.next().is_some() {
        return None;
    }
    Moment::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}{zone}")).ok()
}

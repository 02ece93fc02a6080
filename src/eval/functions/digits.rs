//! Numbers as text in the layouts of `format`: exact, from a number's significand and power of two, as Go lays out its big
//! integers and big floats.

use dashu_int::IBig;
use dashu_int::ops::{Abs as _, DivRem as _};

use crate::value::Number;

/// A number's decimal digits without sign: `0.DIGITS` times ten to the power of `point`, as far as they were asked for.
struct Decimal {
    digits: String,
    point: i64,
}

impl Decimal {
    /// The shortest digits that tell the number from all others.
    fn shortest(n: &Number) -> Self {
        let text = n.to_string();
        let text = text.trim_start_matches('-');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all = format!("{whole}{fraction}");
        let zeros = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        let point = if digits.is_empty() { 0 } else { length(whole) - i64::try_from(zeros).unwrap_or(0) };
        Self { digits, point }
    }

    /// The digits up to a number of places behind the point, half to even.
    fn places(n: &Number, places: usize) -> Self {
        let digits = scaled(n, places).to_string();
        let point = length(&digits) - i64::try_from(places).unwrap_or(i64::MAX);
        if digits == "0" { Self { digits: String::new(), point: 0 } } else { Self { digits, point } }
    }

    /// So many significant digits, at least one, half to even.
    fn significant(n: &Number, count: usize) -> Self {
        let count = i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        let point = Self::shortest(n).point;
        // Rounding up may make one digit more (9.99 to 10.0): its last is a zero then, and the point is right.
        let (digits, scale) = match usize::try_from(count - point) {
            Ok(places) => (scaled(n, places).to_string(), count - point),
            Err(_) => {
                let over = usize::try_from(point - count).unwrap_or(0);
                (rounded(&scaled(n, 0), &IBig::from(10).pow(over)).to_string(), count - point)
            }
        };
        if digits == "0" {
            return Self { digits: String::new(), point: 0 };
        }
        Self { point: length(&digits) - scale, digits }
    }

    /// The digit at a place behind the first.
    fn at(&self, place: i64) -> char {
        usize::try_from(place).ok().and_then(|i| self.digits.as_bytes().get(i)).map_or('0', |b| char::from(*b))
    }

    /// `123.45` with so many places.
    fn fixed(&self, places: usize) -> String {
        let mut out = String::new();
        if self.point <= 0 {
            out.push('0');
        }
        out.extend((0..self.point).map(|i| self.at(i)));
        if places > 0 {
            out.push('.');
            let places = i64::try_from(places).unwrap_or(i64::MAX);
            out.extend((self.point..self.point + places).map(|i| self.at(i)));
        }
        out
    }

    /// `1.2345e+02` with so many places.
    fn exponent(&self, places: usize, letter: char) -> String {
        let mut out = String::new();
        out.push(self.at(0));
        if places > 0 {
            out.push('.');
            out.extend((1..=i64::try_from(places).unwrap_or(i64::MAX)).map(|i| self.at(i)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        out + &format!("{letter}{sign}{:02}", exponent.unsigned_abs())
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// The absolute value times ten to the power of `places`, as a whole number, half to even.
fn scaled(n: &Number, places: usize) -> IBig {
    let (significand, exponent) = n.parts();
    let value = significand.abs() * IBig::from(10).pow(places);
    let shift = exponent.unsigned_abs();
    if exponent >= 0 { value << shift } else { rounded(&value, &(IBig::ONE << shift)) }
}

fn rounded(value: &IBig, by: &IBig) -> IBig {
    let (quotient, rest) = value.div_rem(by);
    let twice: IBig = rest << 1usize;
    let odd = (&quotient & IBig::ONE) == IBig::ONE;
    if twice > *by || (twice == *by && odd) { quotient + IBig::ONE } else { quotient }
}

/// `%f`, `%e`, `%g` and their capitals, without sign; `places` is the precision, if one is given.
pub(super) fn float(n: &Number, verb: char, places: Option<usize>) -> String {
    match verb {
        'f' | 'F' => {
            let places = places.unwrap_or(6);
            Decimal::places(n, places).fixed(places)
        }
        'e' | 'E' => {
            let places = places.unwrap_or(6);
            Decimal::significant(n, places + 1).exponent(places, verb)
        }
        _ => general(n, if verb == 'G' { 'E' } else { 'e' }, places),
    }
}

fn general(n: &Number, letter: char, precision: Option<usize>) -> String {
    let mut decimal = match precision {
        Some(precision) => Decimal::significant(n, precision),
        None => Decimal::shortest(n),
    };
    decimal.digits.truncate(decimal.digits.trim_end_matches('0').len());
    let count = decimal.digits.len();
    // The exponent form begins at the precision, at six digits where none is given, and where the digits are exact only at
    // as many as there are.
    let mut limit = precision.map_or(6, |p| i64::try_from(p.max(1)).unwrap_or(i64::MAX));
    if precision.is_some() && limit > length(&decimal.digits) && length(&decimal.digits) >= decimal.point {
        limit = length(&decimal.digits);
    }
    let exponent = if decimal.digits.is_empty() { 0 } else { decimal.point - 1 };
    if exponent < -4 || exponent >= limit.max(1) {
        return decimal.exponent(count.saturating_sub(1), letter);
    }
    let places = i64::try_from(count).unwrap_or(i64::MAX) - decimal.point;
    if decimal.digits.is_empty() {
        return "0".into();
    }
    decimal.fixed(usize::try_from(places).unwrap_or(0))
}

/// A whole number's digits in a base, without sign.
pub(super) fn whole(n: &Number, base: u8) -> String {
    let (significand, exponent) = n.parts();
    let value = significand.abs() << exponent.unsigned_abs();
    value.in_radix(base).to_string()
}

//! Numbers as Terraform has them: binary floating point with a 512-bit mantissa, held as machine integers where that
//! is exact.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use dashu_int::IBig;

type Big = FBig<HalfEven, 2>;
type Decimal = FBig<HalfEven, 10>;

/// The mantissa's size in bits, as in Terraform (`cty` uses Go's `big.Float` with this precision).
const BITS: usize = 512;

/// The decimal digits that 512 bits surely carry.
const DIGITS_SURE: usize = 153;

/// The decimal digits that tell any two 512-bit numbers apart.
const DIGITS_ALL: usize = 156;

/// The most characters of a number's text, and with it the largest exponent that is taken: more is a mistake or an attack.
const TEXT_MAX: usize = 1_000;

/// A number of the language. Never a NaN, never infinite.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    Int(i64),
    Big(Arc<Big>),
}

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number is needed")]
pub struct NotANumber;

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// A division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The result would be beyond what a number may hold.
    #[error("the result is too large")]
    TooLarge,
}

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(Repr::Int(0));

    fn big(&self) -> Big {
        match &self.0 {
            Repr::Int(n) => Big::from(IBig::from(*n)).with_precision(BITS).value(),
            Repr::Big(b) => (**b).clone(),
        }
    }

    /// From a floating-point result, brought to 512 bits and to a machine integer where exact.
    fn from_big(big: Big) -> Self {
        let big = big.with_precision(BITS).value();
        // Only numbers below 2^63 can be machine integers; asking the exponent first keeps huge ones from being expanded.
        let exponent = big.repr().exponent();
        if (0..64).contains(&exponent)
            && big.digits() <= 64
            && let Ok(n) = i64::try_from(big.to_int().value())
        {
            return Self(Repr::Int(n));
        }
        Self(Repr::Big(Arc::new(big)))
    }

    /// From a double, exactly. `None` for NaN and infinities.
    #[must_use]
    pub fn from_f64(n: f64) -> Option<Self> {
        Big::try_from(n).ok().filter(|_| n.is_finite()).map(Self::from_big)
    }

    /// As the nearest double.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(n) => *n as f64,
            Repr::Big(b) => b.to_f64().value(),
        }
    }

    /// As a machine integer, if it is a whole number in that range.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(n) => Some(*n),
            Repr::Big(_) => None,
        }
    }

    /// As an unsigned machine integer, if it is a whole number in that range.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        self.to_i64().and_then(|n| u64::try_from(n).ok())
    }

    /// The significand and the power of two that it is multiplied by: the number exactly, for whoever lays out its digits.
    #[must_use]
    pub fn parts(&self) -> (IBig, isize) {
        match &self.0 {
            Repr::Int(n) => (IBig::from(*n), 0),
            Repr::Big(b) => (b.repr().significand().clone(), b.repr().exponent()),
        }
    }

    /// Whether it has no fraction.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(b) => b.repr().exponent() >= 0,
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        *self < Self::ZERO
    }

    /// The sum.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(n) = a.checked_add(*b)
        {
            return Self(Repr::Int(n));
        }
        Self::from_big(self.big() + other.big())
    }

    /// The difference.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        self.add(&other.neg())
    }

    /// The negative.
    #[must_use]
    pub fn neg(&self) -> Self {
        match &self.0 {
            Repr::Int(n) if *n != i64::MIN => Self(Repr::Int(-n)),
            _ => Self::from_big(-self.big()),
        }
    }

    /// The product.
    ///
    /// # Errors
    /// When its exponent is beyond what is taken from a text as well.
    pub fn mul(&self, other: &Self) -> Result<Self, ArithmeticError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(n) = a.checked_mul(*b)
        {
            return Ok(Self(Repr::Int(n)));
        }
        bounded(self.big() * other.big())
    }

    /// The quotient.
    ///
    /// # Errors
    /// When `other` is zero. (Terraform gives infinity, which then breaks its state file.)
    pub fn div(&self, other: &Self) -> Result<Self, ArithmeticError> {
        if *other == Self::ZERO {
            return Err(ArithmeticError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let (Some(n), Some(0)) = (a.checked_div(*b), a.checked_rem(*b))
        {
            return Ok(Self(Repr::Int(n)));
        }
        bounded(self.big() / other.big())
    }

    /// The remainder with the sign of `self`.
    ///
    /// # Errors
    /// When `other` is zero.
    pub fn rem(&self, other: &Self) -> Result<Self, ArithmeticError> {
        if *other == Self::ZERO {
            return Err(ArithmeticError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(n) = a.checked_rem(*b)
        {
            return Ok(Self(Repr::Int(n)));
        }
        let quotient = self.div(other)?.trunc();
        Ok(self.sub(&quotient.mul(other)?))
    }

    /// The whole part, towards zero.
    #[must_use]
    pub fn trunc(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(b) => Self::from_big(b.trunc()),
        }
    }

    /// The next whole number below or equal.
    #[must_use]
    pub fn floor(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(b) => Self::from_big(b.floor()),
        }
    }

    /// The next whole number above or equal.
    #[must_use]
    pub fn ceil(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(b) => Self::from_big(b.ceil()),
        }
    }

    /// The exact-enough decimal text, as Terraform prints it: without exponent, the shortest that reads back the same.
    fn decimal(b: &Big) -> String {
        let mut text = String::new();
        for digits in [DIGITS_SURE, DIGITS_SURE + 1, DIGITS_SURE + 2, DIGITS_ALL] {
            let decimal: Decimal = b.clone().with_base_and_precision::<10>(digits).value();
            text = plain(&decimal);
            if text.parse::<Number>().is_ok_and(|n| n.big() == *b) {
                break;
            }
        }
        text
    }
}

fn bounded(big: Big) -> Result<Number, ArithmeticError> {
    let limit = isize::try_from(4 * TEXT_MAX).unwrap_or(isize::MAX);
    if big.repr().exponent().abs() > limit { Err(ArithmeticError::TooLarge) } else { Ok(Number::from_big(big)) }
}

/// A decimal number without exponent and without zeros behind the last digit of a fraction.
fn plain(decimal: &Decimal) -> String {
    let repr = decimal.repr();
    let digits = repr.significand().to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &digits[..]), |d| ("-", d));
    let exponent = repr.exponent();
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent.unsigned_abs()));
    }
    let fraction = exponent.unsigned_abs();
    let padded = format!("{digits:0>width$}", width = fraction + 1);
    let (whole, rest) = padded.split_at(padded.len() - fraction);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

impl From<i64> for Number {
    fn from(n: i64) -> Self {
        Self(Repr::Int(n))
    }
}

impl From<usize> for Number {
    fn from(n: usize) -> Self {
        i64::try_from(n).map_or_else(|_| Self::from_big(Big::from(IBig::from(n))), Self::from)
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        if let Ok(n) = text.parse::<i64>() {
            return Ok(n.into());
        }
        let shape = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let fraction = digits.strip_prefix('.');
        let begins = fraction.unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit());
        if text.len() > TEXT_MAX || !text.chars().all(shape) || !begins {
            return Err(NotANumber);
        }
        if let Some(fraction) = fraction {
            let sign = if text.starts_with('-') { "-" } else { "" };
            return format!("{sign}0.{fraction}").parse();
        }
        if let Some(exponent) = text.split(['e', 'E']).nth(1)
            && exponent.parse::<i32>().map_or(true, |e| e.unsigned_abs() as usize > TEXT_MAX)
        {
            return Err(NotANumber);
        }
        let decimal = Decimal::from_str(text).map_err(|_| NotANumber)?;
        let decimal = decimal.with_precision(2 * TEXT_MAX).value();
        Ok(Self::from_big(decimal.with_base_and_precision::<2>(BITS).value()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(n) => write!(f, "{n}"),
            Repr::Big(b) => f.write_str(&Self::decimal(b)),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            _ => self.big().cmp(&other.big()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn prints_as_terraform_does() {
        for (text, printed) in [
            ("0.1", "0.1"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("-0.001", "-0.001"),
            ("1e-5", "0.00001"),
            ("1e400", &format!("1{}", "0".repeat(400))[..]),
        ] {
            assert_eq!(n(text).to_string(), printed, "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact_where_terraform_is() {
        assert_eq!(n("0.1").add(&n("0.2")).to_string(), "0.3");
        assert_eq!(n("18446744073709551615").add(&n("1")).to_string(), "18446744073709551616");
        assert_eq!(n("99999999999").mul(&n("99999999999")).unwrap().to_string(), "9999999999800000000001");
        assert_eq!(n("7").div(&n("2")).unwrap().to_string(), "3.5");
        assert_eq!(n("-7").rem(&n("3")).unwrap().to_string(), "-1");
        assert_eq!(n("7").div(&n("0")), Err(ArithmeticError::DivisionByZero));
        assert_eq!(n("9223372036854775807").add(&n("1")).sub(&n("1")).to_i64(), Some(i64::MAX));
    }

    #[test]
    fn nonsense_is_no_number() {
        for text in ["", "x", "1x", "++1", "+-1", "+", "-", ".", "+.", "1e999999", "--1", "0x10", "NaN", "inf", " 1"] {
            assert!(text.parse::<Number>().is_err(), "{text:?}");
        }
    }
}

//! Points in time as RFC 3339 has them, and Go's durations: read, added, compared.

use std::fmt;

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// A point in time with its offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    nanosecond: i64,
    /// Seconds east of UTC.
    pub(super) offset: i64,
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970-01-01: the inverse of [`days`], from the same source.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn month_length(year: i64, month: i64) -> i64 {
    if month == 12 { 31 } else { days(year, month + 1, 1) - days(year, month, 1) }
}

/// Reads one part of a timestamp after the other.
struct Reader<'t>(&'t str);

impl Reader<'_> {
    fn number(&mut self, width: usize, name: &str) -> Result<i64, String> {
        if self.0.is_empty() {
            return Err(format!("end of string before {name}"));
        }
        let digits = self.0.get(..width).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|d| d.parse().ok()).ok_or_else(|| format!("cannot use {:?} as {name}", self.0))?;
        self.0 = &self.0[width..];
        Ok(number)
    }

    fn mark(&mut self, wanted: char) -> Result<(), String> {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                Ok(())
            }
            None if wanted == 'T' => Err("missing required time introducer 'T'".into()),
            None if self.0.is_empty() => {
                Err(format!("end of string where {wanted:?} is expected", wanted = wanted.to_string()))
            }
            None => Err(format!("found {:?} where {:?} is expected", self.0, wanted.to_string())),
        }
    }

    fn in_range(&mut self, name: &str, most: i64) -> Result<i64, String> {
        let n = self.number(2, name)?;
        if n > most { Err(format!("{name} must be between 0 and {most} inclusive")) } else { Ok(n) }
    }

    fn fraction(&mut self) -> i64 {
        let Some(rest) = self.0.strip_prefix(['.', ',']) else { return 0 };
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if length == 0 {
            return 0;
        }
        let (digits, rest) = rest.split_at(length);
        self.0 = rest;
        format!("{:0<9}", &digits[..length.min(9)]).parse().unwrap_or(0)
    }

    fn offset(&mut self) -> Result<i64, String> {
        if self.0.is_empty() {
            return Err("end of string before UTC offset".into());
        }
        let whole = self.0;
        let fail = || format!("cannot use {whole:?} as UTC offset");
        if let Some(rest) = self.0.strip_prefix('Z') {
            self.0 = rest;
            return Ok(0);
        }
        let sign = match self.0.as_bytes()[0] {
            b'+' => 1,
            b'-' => -1,
            _ => return Err(fail()),
        };
        self.0 = &self.0[1..];
        let hours = self.number(2, "UTC offset").map_err(|_| fail())?;
        self.mark(':').map_err(|_| fail())?;
        let minutes = self.number(2, "UTC offset").map_err(|_| fail())?;
        if hours > 24 || minutes > 59 {
            return Err(fail());
        }
        Ok(sign * (hours * 3_600 + minutes * 60))
    }
}

impl Moment {
    /// From an RFC 3339 timestamp; else what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|why| format!("not a valid RFC3339 timestamp: {why}"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader(text);
        let year = reader.number(4, "year")?;
        reader.mark('-')?;
        let month = reader.number(2, "month")?;
        if !(1..=12).contains(&month) {
            return Err(format!("cannot use {:?} as month", reader.0));
        }
        reader.mark('-')?;
        let day = reader.number(2, "day of month")?;
        reader.mark('T')?;
        let hour = reader.in_range("hour", 23)?;
        reader.mark(':')?;
        let minute = reader.in_range("minute", 59)?;
        reader.mark(':')?;
        let second = reader.in_range("second", 59)?;
        let nanosecond = reader.fraction();
        let offset = reader.offset()?;
        if !reader.0.is_empty() {
            return Err("extra characters at the end".into());
        }
        if day < 1 || day > month_length(year, month) {
            return Err("day out of range".into());
        }
        Ok(Self { year, month, day, hour, minute, second, nanosecond, offset })
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub(super) fn instant(&self) -> i128 {
        let seconds = days(self.year, self.month, self.day) * DAY + self.hour * 3_600 + self.minute * 60 + self.second;
        i128::from(seconds - self.offset) * SECOND + i128::from(self.nanosecond)
    }

    /// So many nanoseconds later, with the same offset.
    pub(super) fn plus(&self, nanoseconds: i64) -> Self {
        let local = self.instant() + i128::from(nanoseconds) + i128::from(self.offset) * SECOND;
        let whole = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
        let seconds = whole(local.div_euclid(SECOND));
        let of_day = seconds.rem_euclid(DAY);
        let (year, month, day) = date(seconds.div_euclid(DAY));
        Self {
            year,
            month,
            day,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            nanosecond: whole(local.rem_euclid(SECOND)),
            offset: self.offset,
        }
    }

    /// The day of the week, 0 for Sunday.
    pub(super) fn weekday(&self) -> usize {
        usize::try_from((days(self.year, self.month, self.day) + 4).rem_euclid(7)).unwrap_or(0)
    }

    /// The offset from UTC as `+hh:mm`, with this between hours and minutes.
    pub(super) fn offset_text(&self, between: &str) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
    }
}

/// RFC 3339 in whole seconds.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, .. } = self;
        let offset = if self.offset == 0 { "Z".to_owned() } else { self.offset_text(":") };
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{offset}")
    }
}

/// The nanoseconds of a duration such as `1h30m` or `-1.5s` (<https://pkg.go.dev/time#ParseDuration>).
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = |t: &str| t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
        let (whole, after) = rest.split_at(digits(rest));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let (unit, after) = after.split_at(after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len()));
        let nanoseconds: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // Digits beyond these are less than a nanosecond of an hour.
        let fraction = &fraction[..fraction.len().min(15)];
        let parts: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
        let scale = 10i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        let part = whole.checked_mul(nanoseconds).ok_or_else(invalid)? + parts * nanoseconds / scale;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

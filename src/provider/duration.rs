//! Times in attributes: `500ms`, `20s`, `1h30m`.

use std::time::Duration;

use crate::value::Value;

/// The longest duration that is taken: a day. Whoever waits longer than that made a typing error.
pub(super) const LONGEST: Duration = Duration::from_hours(24);

/// A duration as people write it: `500ms`, `1.5s`, `10m`, `1h30m`. `None` for anything else, zero and less, and more than a day.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    let duration = Duration::try_from_secs_f64(total).ok()?;
    (duration > Duration::ZERO && duration <= LONGEST).then_some(duration)
}

/// What is wrong with a duration's text, if anything is.
pub(super) fn fault(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    parse(text).is_none().then(|| {
        format!("\"{text}\" is not a duration. Write a number and a unit, as in \"500ms\", \"20s\", \"10m\" or \"1h30m\"; at most 24h.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse("1.5s"), Some(Duration::from_millis(1500)));
        for wrong in ["", "5", "s", "-1s", "1x", "0s", "25h", "1..2s", "é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}

//! Durations as people write them in checks and timeouts.

use std::time::Duration;

/// The longest duration that is taken: more is surely a mistake, and everything has to end.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A duration such as `500ms`, `1.5s`, `10m`, `1h30m`.
///
/// # Errors
/// When it is none, or longer than a week; a sentence's end.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not one; write it like \"500ms\", \"2s\", \"10m\" or \"1h30m\"");
    let mut rest = text.trim();
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        total += number * unit;
        rest = &rest[letters..];
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(format!("{text:?} is longer than a week")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        for text in ["", "5", "s", "-1s", "1x", "9999h", "1s2", "1..2s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

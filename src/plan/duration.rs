//! Durations as people write them in checks and timeouts.

use std::time::Duration;

/// The longest duration that is taken: more is surely a mistake, and everything has to end.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A duration such as `500ms`, `1.5s`, `10m`, `1h30m`.
///
/// # Errors
/// When it is none, or longer than a week; a sentence's end.
pub fn parse(text: &str) -> Result<Duration, String> {
    parse_up_to(text, LONGEST, "a week")
}

/// A duration for which longer ones are taken, as `90d`.
///
/// # Errors
/// When it is none, or longer than `longest`, which is called `called`; a sentence's end.
pub fn parse_up_to(text: &str, longest: Duration, called: &str) -> Result<Duration, String> {
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
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        total += number * unit;
        rest = &rest[letters..];
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if duration <= longest => Ok(duration),
        _ => Err(format!("{text:?} is longer than {called}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert!(parse("8d").is_err() && parse_up_to("8d", Duration::from_secs(9 * 86_400), "nine days").is_ok());
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        for text in ["", "5", "s", "-1s", "1x", "9999h", "1s2", "1..2s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

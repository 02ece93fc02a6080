//! Small pieces of text that several views share: counts, durations, times, digests, bounded and harmless lines.

use std::time::Duration;

pub(super) use crate::diag::count;
use crate::diag::escape_controls;

/// How long a line of somebody else's text may get, in characters: a few lines of a terminal.
const LINE_MAX: usize = 400;

/// A duration as people read it: `320ms`, `2.4s`, `12s`, `1m05s`, `2h05m`.
pub(super) fn duration(d: Duration) -> String {
    match d.as_secs() {
        0 => format!("{}ms", d.subsec_millis()),
        s @ 1..10 => format!("{s}.{}s", d.subsec_millis() / 100),
        s @ 10..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        s => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

/// A recorded time to the second: `2026-11-21 00:16:30Z`. What does not look like one is shown as it is.
#[must_use]
pub fn time(recorded: &str) -> String {
    let to_seconds = |text: &str| format!("{}Z", text.replacen('T', " ", 1));
    match recorded.split_once('.') {
        Some((seconds, _)) if recorded.ends_with('Z') => to_seconds(seconds),
        _ => recorded.strip_suffix('Z').map_or_else(|| clean(recorded), to_seconds),
    }
}

/// The first digits of a digest, enough to tell two apart by eye.
pub(super) fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    clean(&hex.chars().take(12).collect::<String>())
}

/// One line of somebody else's text: harmless and bounded.
pub(super) fn clean(text: &str) -> String {
    let safe = escape_controls(text);
    match safe.char_indices().nth(LINE_MAX) {
        Some((at, _)) => format!("{}…", &safe[..at]),
        None => safe.into_owned(),
    }
}

/// A sentence of somebody else's on one line.
pub(super) fn sentence(text: &str) -> String {
    clean(text.trim().lines().map(str::trim).collect::<Vec<_>>().join(" ").as_str())
}

/// At most `most` lines of a text, each harmless and bounded: from its beginning and, where lines had to be left out, mostly
/// from its end, because that is where a log says what went wrong.
pub(super) fn excerpt(text: &str, most: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= most {
        return lines.into_iter().map(clean).collect();
    }
    let head = most / 4;
    let tail = most.saturating_sub(head + 1);
    let mut out: Vec<String> = lines[..head].iter().copied().map(clean).collect();
    out.push(format!("… ({} not shown)", count(lines.len() - head - tail, "line")));
    out.extend(lines[lines.len() - tail..].iter().copied().map(clean));
    out
}

/// A table: columns padded to their widest cell, two spaces between them, nothing behind the last.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let of = |ms| duration(Duration::from_millis(ms));
        assert_eq!(
            [of(320), of(2_450), of(12_999), of(65_000), of(7_500_000)],
            ["320ms", "2.4s", "12s", "1m05s", "2h05m"]
        );
    }

    #[test]
    fn an_excerpt_keeps_the_end() {
        let text: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let lines = excerpt(&text, 8);
        assert_eq!(
            lines,
            ["line 1", "line 2", "… (93 lines not shown)", "line 96", "line 97", "line 98", "line 99", "line 100"]
        );
        assert_eq!(excerpt("a\u{1b}[2J\nb", 8), ["a\\u{1b}[2J", "b"]);
    }

    #[test]
    fn times_lose_their_fractions() {
        assert_eq!(time("2026-11-21T00:16:30.123456789Z"), "2026-11-21 00:16:30Z");
        assert_eq!(time("2026-11-21T00:16:30Z"), "2026-11-21 00:16:30Z");
        assert_eq!(time("yesterday"), "yesterday");
    }
}

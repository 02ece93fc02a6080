//! What is news in an environment that is watched, one line each.

use jiff::Timestamp;

use super::drift::counted;
use crate::plan::drift::Drift;
use crate::plan::watch::{News, Notice};
use crate::view::words::{clean, sentence};
use crate::view::{Ink, Style};

/// `2026-11-21T10:00:00Z staging: local_file.a has changed: content`
#[must_use]
pub fn notice(now: Timestamp, environment: &str, notice: &Notice, style: Style) -> String {
    let ink = match notice.news {
        News::Drifted | News::Changed | News::Unreadable => Ink::Yellow,
        News::Settled | News::Acknowledged | News::Readable => Ink::Green,
    };
    let words = style.paint(ink, &sentence(&notice.words()));
    format!("{} {}: {} {words}\n", stamp(now), clean(environment), style.bold(&clean(&notice.address)))
}

/// What the first look found, in numbers.
#[must_use]
pub fn watching(now: Timestamp, drift: &Drift) -> String {
    format!("{} {}: {}\n", stamp(now), clean(&drift.environment), counted(drift))
}

/// That an environment can or cannot be looked at.
#[must_use]
pub fn watching_state(now: Timestamp, environment: &str, words: &str) -> String {
    format!("{} {}: {}\n", stamp(now), clean(environment), sentence(words))
}

fn stamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

//! What is news in an environment that is watched, for programs: one event a line.

use jiff::Timestamp;
use serde_json::json;

use super::line::line;
use crate::plan::drift::Drift;
use crate::plan::watch::{News, Notice};

/// `drift_news`: about one object.
#[must_use]
pub fn notice(now: Timestamp, environment: &str, notice: &Notice) -> String {
    let level = match notice.news {
        News::Drifted | News::Changed | News::Unreadable => "warn",
        News::Settled | News::Acknowledged | News::Readable => "info",
    };
    let rest = vec![
        ("environment", json!(environment)),
        ("news", json!(notice.news.word())),
        ("address", json!(notice.address)),
        ("standing", json!(notice.standing)),
        ("fields", json!(notice.fields)),
        ("sentence", json!(notice.sentence)),
    ];
    line(now, level, &format!("{}: {}", notice.address, notice.words()), "drift_news", rest) + "\n"
}

/// `drift_watch`: what the first look found, in numbers.
#[must_use]
pub fn watching(now: Timestamp, drift: &Drift) -> String {
    let rest = vec![
        ("environment", json!(drift.environment)),
        ("generation", json!(drift.generation)),
        ("objects", json!(drift.findings.len())),
        ("drifted", json!(drift.drifted().count())),
        ("unreadable", json!(drift.unreadable().count())),
    ];
    line(now, "info", &format!("Watching {}", drift.environment), "drift_watch", rest) + "\n"
}

/// `drift_look`: that an environment can or cannot be looked at.
#[must_use]
pub fn watching_state(now: Timestamp, environment: &str, words: &str, failed: bool) -> String {
    let rest = vec![("environment", json!(environment)), ("failed", json!(failed)), ("reason", json!(words))];
    line(now, if failed { "error" } else { "info" }, &format!("{environment}: {words}"), "drift_look", rest) + "\n"
}

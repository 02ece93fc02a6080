//! What messages say: JSON of Gantry's own, and the text that Slack's incoming webhooks take.

use std::fmt::Write as _;

use serde_json::json;

/// How many objects a message names. Whoever gets more reads them with `gantry drift`.
const ITEMS_MAX: usize = 50;

/// How long a sentence or a name in a message may get, in characters.
const TEXT_MAX: usize = 400;

/// How many fields of one object are named.
const FIELDS_MAX: usize = 20;

/// The same message in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Gantry's own JSON.
    pub plain: String,
    /// What Slack takes.
    pub slack: String,
}

/// What is news about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `drifted`, `changed`, `settled`, `unreadable`, `readable`
    pub news: &'static str,
    /// Its address.
    pub address: String,
    /// `changed`, `gone`, `not_ready`, `unreadable`
    pub standing: Option<&'static str>,
    /// The parts that differ.
    pub fields: Vec<String>,
    /// What is missing, or why it could not be looked at.
    pub sentence: Option<String>,
    /// All of that for people, as it stands behind the address.
    pub words: String,
}

/// What a look found that is news.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriftNews {
    /// The environment.
    pub environment: String,
    /// Its newest verified generation.
    pub generation: Option<u64>,
    /// How many objects are recorded.
    pub objects: usize,
    /// How many of them drifted.
    pub drifted: usize,
    /// How many could not be looked at.
    pub unreadable: usize,
    /// What is news.
    pub items: Vec<Item>,
    /// Set where the environment as a whole can no longer be looked at, with a short reason.
    pub failed: Option<String>,
    /// Set where it can be again.
    pub recovered: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNews {
    /// The environment.
    pub environment: String,
    /// The run's identity.
    pub run: String,
    /// `apply`, `destroy`, `rollback`
    pub kind: String,
    /// `verified`, `rolled_back`, `held`, `stuck`
    pub outcome: String,
    /// The generation that it made.
    pub generation: u64,
    /// Who started it.
    pub actor: String,
    /// How long it took, in milliseconds, where that is known.
    pub milliseconds: Option<i64>,
    /// One sentence.
    pub sentence: String,
}

impl DriftNews {
    /// The message. `time` is RFC 3339.
    #[must_use]
    pub fn text(&self, time: &str) -> Text {
        let shown = &self.items[..self.items.len().min(ITEMS_MAX)];
        let item = |item: &Item| {
            json!({
                "news": item.news,
                "address": short(&item.address),
                "standing": item.standing,
                "fields": item.fields.iter().take(FIELDS_MAX).map(|f| short(f)).collect::<Vec<_>>(),
                "sentence": item.sentence.as_deref().map(short),
            })
        };
        let plain = json!({
            "type": "gantry.drift",
            "timestamp": time,
            "data": {
                "environment": self.environment,
                "generation": self.generation,
                "objects": self.objects,
                "drifted": self.drifted,
                "unreadable": self.unreadable,
                "news": shown.iter().map(item).collect::<Vec<_>>(),
                "more": self.items.len() - shown.len(),
                "failed": self.failed,
                "recovered": self.recovered,
            },
        });
        Text { plain: plain.to_string(), slack: json!({ "text": self.slack(shown) }).to_string() }
    }

    fn slack(&self, shown: &[Item]) -> String {
        let environment = escaped(&self.environment);
        let mut text = match (&self.failed, self.recovered) {
            (Some(why), _) => format!(":warning: *{environment}* cannot be looked at: {}", escaped(why)),
            (None, true) => format!("*{environment}* can be looked at again: {}", self.counted()),
            (None, false) => format!("Drift of *{environment}*: {}", self.counted()),
        };
        for item in shown {
            let _ = write!(text, "\n• `{}` {}", escaped(&item.address), escaped(&short(&item.words)));
        }
        if self.items.len() > shown.len() {
            let _ = write!(text, "\n… and {} more: `gantry drift {environment}`", self.items.len() - shown.len());
        }
        text
    }

    fn counted(&self) -> String {
        let unreadable = match self.unreadable {
            0 => String::new(),
            n => format!("; {n} could not be looked at"),
        };
        match self.drifted {
            0 => format!("no drift in {} objects{unreadable}", self.objects.saturating_sub(self.unreadable)),
            n => format!("{n} of {} objects are not as they were recorded{unreadable}", self.objects),
        }
    }
}

impl RunNews {
    /// The message. `time` is RFC 3339.
    #[must_use]
    pub fn text(&self, time: &str) -> Text {
        let plain = json!({
            "type": "gantry.run",
            "timestamp": time,
            "data": {
                "environment": self.environment,
                "run": self.run,
                "kind": self.kind,
                "outcome": self.outcome,
                "generation": self.generation,
                "actor": self.actor,
                "milliseconds": self.milliseconds,
                "sentence": short(&self.sentence),
            },
        });
        let mark = match self.outcome.as_str() {
            "verified" => ":white_check_mark:",
            "stuck" => ":rotating_light:",
            _ => ":warning:",
        };
        let took = self.milliseconds.map(|ms| format!(" in {}.{}s", ms / 1000, ms % 1000 / 100)).unwrap_or_default();
        let slack = format!(
            "{mark} *{}*: {} of {} ended {} as generation {}{took}. {}",
            escaped(&self.environment),
            escaped(&self.kind),
            escaped(&self.actor),
            escaped(&self.outcome.replace('_', " ")),
            self.generation,
            escaped(&short(&self.sentence)),
        );
        Text { plain: plain.to_string(), slack: json!({ "text": slack }).to_string() }
    }
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Somebody else's text, bounded.
fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_says_what_was_left_out() {
        let item = |n: usize| Item {
            news: "drifted",
            address: format!("local_file.a[{n}]"),
            standing: Some("changed"),
            fields: vec!["content".into()],
            sentence: None,
            words: "has changed: content".into(),
        };
        let news = DriftNews {
            environment: "a<b".into(),
            generation: Some(3),
            objects: 80,
            drifted: 70,
            unreadable: 0,
            items: (0..70).map(item).collect(),
            failed: None,
            recovered: false,
        };
        let text = news.text("2026-11-21T00:00:00Z");
        let plain: serde_json::Value = serde_json::from_str(&text.plain).unwrap();
        assert_eq!((plain["data"]["news"].as_array().unwrap().len(), &plain["data"]["more"]), (50, &20.into()));
        let slack: serde_json::Value = serde_json::from_str(&text.slack).unwrap();
        let words = slack["text"].as_str().unwrap();
        assert!(words.starts_with("Drift of *a&lt;b*: 70 of 80 objects"), "{words}");
        assert!(
            words.contains("\n• `local_file.a[0]` has changed: content") && words.contains("and 20 more"),
            "{words}"
        );
    }
}

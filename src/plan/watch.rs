//! What is news in a look at an environment, for those who looked before: each drift is told once, and once more when it has
//! changed or is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::drift::{Drift, Finding, Standing};

/// How many fields of one object are named.
const FIELDS_MAX: usize = 20;

/// What was seen, as far as it decides about what is news later. Digests are keyed, so that it may be kept anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Objects about which there was something to tell, by address.
    objects: BTreeMap<String, Mark>,
}

/// What was seen of one object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Mark {
    /// The drift that was seen last: in which parts, with their digests.
    drift: BTreeMap<String, String>,
    /// Whether it could not be looked at.
    unreadable: bool,
}

/// What is news about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It drifted.
    Drifted,
    /// It had drifted, and drifted further.
    Changed,
    /// It is as it was recorded again.
    Settled,
    /// It is as it was, and somebody acknowledged that.
    Acknowledged,
    /// It cannot be looked at any more.
    Unreadable,
    /// It can be looked at again.
    Readable,
}

impl News {
    /// As programs see it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Drifted => "drifted",
            Self::Changed => "changed",
            Self::Settled => "settled",
            Self::Acknowledged => "acknowledged",
            Self::Unreadable => "unreadable",
            Self::Readable => "readable",
        }
    }
}

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub news: News,
    /// About which object.
    pub address: String,
    /// How it stands now, in a word: `changed`, `gone`, `not_ready`, `unreadable`; nothing where it is as recorded.
    pub standing: Option<&'static str>,
    /// The parts that differ.
    pub fields: Vec<String>,
    /// What is missing, or why it could not be looked at.
    pub sentence: Option<String>,
}

impl Notice {
    /// All of it for people, as it stands behind the address. The sentence is somebody else's, and shown as it is.
    #[must_use]
    pub fn words(&self) -> String {
        let more = self.fields.len().saturating_sub(FIELDS_MAX);
        let mut fields = self.fields.iter().take(FIELDS_MAX).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            fields.push_str(&format!(" and {more} more"));
        }
        let because = self.sentence.as_deref().map(|s| format!(": {}", s.trim())).unwrap_or_default();
        let stands = match self.standing {
            Some("changed") => format!("has changed: {fields}"),
            Some("gone") => "is gone".to_owned(),
            Some("not_ready") => format!("is not ready{because}"),
            _ => String::new(),
        };
        match self.news {
            News::Drifted => stands,
            News::Changed => format!("{stands} (not as at the last look)"),
            News::Settled => "is as it was recorded again".to_owned(),
            News::Acknowledged => format!("{stands}, which was acknowledged"),
            News::Unreadable => format!("cannot be looked at{because}"),
            News::Readable => "can be looked at again".to_owned(),
        }
    }
}

impl Seen {
    /// What is news in a look, and what was seen by now.
    #[must_use]
    pub fn news(&self, drift: &Drift) -> (Vec<Notice>, Self) {
        let mut notices = Vec::new();
        let mut now = Self::default();
        for finding in &drift.findings {
            let address = finding.address.to_string();
            let before = self.objects.get(&address).cloned().unwrap_or_default();
            let mark = if finding.is_unreadable() {
                Mark { unreadable: true, ..before.clone() }
            } else {
                let alarming = finding.parts.iter().filter(|part| !part.known);
                let parts = alarming.map(|part| (part.path.clone(), part.digest.clone()));
                Mark { drift: parts.collect(), unreadable: false }
            };
            let mut say = |news| notices.push(notice(news, finding, &address));
            match (before.unreadable, mark.unreadable) {
                (false, true) => say(News::Unreadable),
                (true, false) => say(News::Readable),
                _ => {}
            }
            match (before.drift.is_empty(), mark.drift.is_empty()) {
                (true, false) => say(News::Drifted),
                (false, true) if finding.is_acknowledged() => say(News::Acknowledged),
                (false, true) => say(News::Settled),
                (false, false) if before.drift != mark.drift => say(News::Changed),
                _ => {}
            }
            if mark != Mark::default() {
                now.objects.insert(address, mark);
            }
        }
        for address in self.objects.keys() {
            if !drift.findings.iter().any(|finding| finding.address.to_string() == *address) {
                // Nobody records it any more, so that it cannot differ from its record.
                let address = address.clone();
                notices.push(Notice {
                    news: News::Settled,
                    address,
                    standing: None,
                    fields: Vec::new(),
                    sentence: None,
                });
            }
        }
        (notices, now)
    }
}

fn notice(news: News, finding: &Finding, address: &str) -> Notice {
    let (standing, sentence) = match &finding.standing {
        Standing::AsRecorded => (None, None),
        Standing::Changed { .. } => (Some("changed"), None),
        Standing::Gone => (Some("gone"), None),
        Standing::NotReady(why) => (Some("not_ready"), Some(why.clone())),
        Standing::Unreadable(why) => (Some("unreadable"), Some(why.clone())),
    };
    let told = finding.parts.iter().filter(|part| !part.known || news == News::Acknowledged);
    let fields = told.map(|part| part.path.clone()).filter(|path| !path.is_empty()).collect();
    Notice { news, address: address.to_owned(), standing, fields, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::drift::parts;
    use crate::value::{Path, Type, Value};

    fn look(objects: &[(&str, Standing)]) -> Drift {
        let seal = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let finding = |(name, standing): &(&str, Standing)| Finding {
            address: format!("terraform_data.{name}").parse().unwrap(),
            provider: "builtin".into(),
            recorded: Value::null(Type::Any),
            standing: standing.clone(),
            parts: parts(standing, &seal),
            known: Vec::new(),
            changed_by: Vec::new(),
        };
        let findings = objects.iter().map(finding).collect();
        Drift { environment: "test".into(), generation: None, open: None, findings }
    }

    fn changed(to: &str) -> Standing {
        let observed = Value::object_of([("input", Value::string(to))]);
        Standing::Changed { observed, differs: vec![Path::attribute("input")] }
    }

    #[test]
    fn each_drift_is_news_once() {
        let mut seen = Seen::default();
        let mut told = |objects: &[(&str, Standing)]| {
            let (notices, now) = seen.news(&look(objects));
            // As if it had been kept in a file in between.
            seen = serde_json::from_str(&serde_json::to_string(&now).unwrap()).unwrap();
            notices.iter().map(|n| format!("{} {}", n.address, n.news.word())).collect::<Vec<_>>()
        };
        let unreadable = || Standing::Unreadable("no answer".into());
        assert_eq!(told(&[("a", Standing::AsRecorded)]), [""; 0]);
        assert_eq!(told(&[("a", changed("x"))]), ["terraform_data.a drifted"]);
        assert_eq!(told(&[("a", changed("x"))]), [""; 0]);
        assert_eq!(told(&[("a", changed("y"))]), ["terraform_data.a changed"]);
        assert_eq!(told(&[("a", unreadable())]), ["terraform_data.a unreadable"]);
        assert_eq!(told(&[("a", unreadable())]), [""; 0]);
        assert_eq!(told(&[("a", changed("y"))]), ["terraform_data.a readable"], "the same drift as before is no news");
        assert_eq!(told(&[("a", Standing::Gone)]), ["terraform_data.a changed"]);
        assert_eq!(told(&[("a", Standing::AsRecorded)]), ["terraform_data.a settled"]);
        assert_eq!(told(&[("a", Standing::NotReady("1 of 2".into()))]), ["terraform_data.a drifted"]);
        assert_eq!(told(&[("a", Standing::NotReady("0 of 2".into()))]), [""; 0]);
        assert_eq!(told(&[]), ["terraform_data.a settled"], "what nobody records any more cannot differ");
        assert_eq!(told(&[]), [""; 0]);
    }
}

//! Taking the secrets of a run out of every text that comes back from outside: what a provider, a database or a check says may
//! hold any of them, whoever it was handed to.
//!
//! What is recorded as a value is sealed by its mark. This is for sentences and evidence, which have none, at the places that they
//! all pass: the recorder, the watcher, and where evidence is kept.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::runner::{Runner, StepFailure};
use crate::event::{RunEvent, Watcher};
use crate::ledger::event::Event;
use crate::plan::{Plan, Work};
use crate::postgres::passwords;
use crate::probe::Secrets;
use crate::value::{Kind, Value};

/// Shorter texts stand anywhere by chance, and taking them out would leave nothing readable. (What a check or a command was handed
/// is taken out of its own words however short it is.)
const SHORTEST: usize = 6;

/// A line of a secret of several lines that is as long as this is looked for by itself.
const LINE: usize = 16;

/// How the URLs of databases begin.
const DATABASES: [&str; 3] = ["postgres://", "postgresql://", "sqlite://"];

/// How many secrets are looked for at most: each is looked for in every sentence, in many forms.
const MOST: usize = 512;

/// The secrets of a run, as far as they have become known.
#[derive(Debug, Default)]
pub struct Scrub(RwLock<Known>);

#[derive(Default)]
struct Known {
    texts: BTreeSet<String>,
    /// The forms of all texts; `None` after one was added.
    forms: Option<Arc<Secrets>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({})", self.texts.len())
    }
}

impl Scrub {
    /// Learns everything sensitive in a value.
    pub fn learn(&self, value: &Value) {
        let mut found = Vec::new();
        gather(value, false, &mut found);
        found.into_iter().for_each(|text| self.learn_text(text));
    }

    /// Learns a text that is a secret as it stands. Of a database's URL that is its password: the rest names the place that is out of
    /// order, and is shown.
    pub fn learn_text(&self, text: &str) {
        let text = text.trim();
        match DATABASES.iter().any(|scheme| text.starts_with(scheme)) {
            true => passwords(text).iter().for_each(|password| self.add(password)),
            false => {
                self.add(text);
                // A key of several lines is said line by line, or indented in another file.
                let lines = text.lines().map(str::trim).filter(|line| line.len() < text.len());
                lines.filter(|line| line.len() >= LINE && !line.starts_with("-----")).for_each(|line| self.add(line));
            }
        }
    }

    fn add(&self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.texts.len() < MOST && known.texts.insert(text.to_owned()) {
            known.forms = None;
        }
    }

    /// Whether a file, as it is, as JSON or in base64, holds any of them. (Files may be large, so fewer forms are looked for than in
    /// what somebody says.)
    #[must_use]
    pub fn stands_in(&self, bytes: &[u8]) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.texts.is_empty() {
            return false;
        }
        let (text, encoded) = (String::from_utf8_lossy(bytes), STANDARD.encode(bytes));
        known.texts.iter().any(|secret| {
            let json = serde_json::Value::from(secret.as_str()).to_string();
            text.contains(secret.as_str())
                || text.contains(&json[1..json.len() - 1])
                || encoded.contains(secret.as_str())
        })
    }

    /// Learns everything sensitive in a plan.
    pub fn learn_plan(&self, plan: &Plan) {
        for change in &plan.changes {
            change.before.iter().chain(&change.after).for_each(|value| self.learn(value));
        }
        for step in &plan.steps {
            match &step.work {
                Work::Act(act) => {
                    self.learn(&act.planned);
                    act.prior.iter().for_each(|prior| self.learn(&prior.attributes));
                }
                Work::Read { arguments, .. } => self.learn(arguments),
                Work::Pin(pin) => self.learn(&pin.source),
                Work::Migrate { url, how, .. } | Work::Revert { url, how, .. } => {
                    self.learn(&url.clone().sensitive());
                    how.values().for_each(|value| self.learn(value));
                }
                Work::Check(check) => self.learn(&check.configuration),
                Work::Record(observed) => self.learn(observed),
                Work::Await { .. }
                | Work::Assert(_)
                | Work::Barrier
                | Work::Forget
                | Work::Move { .. }
                | Work::Import(_)
                | Work::Commit => {}
            }
        }
        plan.outputs.values().filter_map(|o| o.after.as_ref()).for_each(|value| self.learn(value));
    }

    fn forms(&self) -> Arc<Secrets> {
        if let Some(forms) = &self.0.read().unwrap_or_else(PoisonError::into_inner).forms {
            return Arc::clone(forms);
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let forms = Arc::new(Secrets::new(known.texts.iter().map(String::as_str)));
        known.forms = Some(Arc::clone(&forms));
        forms
    }

    /// A text without them.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.forms().hide(text)
    }

    /// Bytes without them.
    #[must_use]
    pub(crate) fn hide_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.forms().hide_bytes(bytes)
    }
}

fn gather<'v>(value: &'v Value, inside: bool, found: &mut Vec<&'v str>) {
    let inside = inside || value.marks.is_sensitive();
    if let (true, Kind::String(text)) = (inside, &value.kind) {
        found.push(text);
    }
    value.children().for_each(|child| gather(child, inside, found));
}

/// A watcher that is told no secrets.
pub(crate) struct ScrubbedWatcher {
    pub(crate) inner: Arc<dyn Watcher>,
    pub(crate) scrub: Arc<Scrub>,
}

impl Watcher for ScrubbedWatcher {
    fn event(&self, mut event: RunEvent) {
        let hide = |text: &mut String| *text = self.scrub.hide(text);
        match &mut event {
            RunEvent::StepFailed { sentence, evidence, .. } => {
                hide(sentence);
                evidence.iter_mut().for_each(|(_, text)| hide(text));
            }
            RunEvent::StepSucceeded { sentence: Some(sentence), .. }
            | RunEvent::StepProgress { sentence, .. }
            | RunEvent::StepRetried { sentence, .. }
            | RunEvent::Warned { sentence, .. }
            | RunEvent::Reconciled { sentence, .. }
            | RunEvent::Unwinding { sentence, .. }
            | RunEvent::Untold { sentence }
            | RunEvent::Finished { sentence, .. } => hide(sentence),
            RunEvent::Started { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepSucceeded { sentence: None, .. }
            | RunEvent::Committed
            | RunEvent::Interrupted { .. } => {}
        }
        self.inner.event(event);
    }
}

impl Scrub {
    /// A failure without secrets.
    pub(crate) fn failure(&self, failure: StepFailure) -> StepFailure {
        let evidence = failure.evidence.into_iter().map(|(name, text)| (name, self.hide(&text))).collect();
        StepFailure { sentence: self.hide(&failure.sentence), evidence, ..failure }
    }

    /// An entry without secrets in what it says in words.
    pub(crate) fn entry(&self, mut event: Event) -> Event {
        let said = match &mut event {
            Event::StepFailed(failed) => Some(&mut failed.sentence),
            Event::CheckJudged(judged) => Some(&mut judged.sentence),
            Event::UnwindingStarted { sentence } | Event::RunFinished { sentence, .. } => Some(sentence),
            _ => None,
        };
        if let Some(sentence) = said {
            *sentence = self.hide(sentence);
        }
        event
    }
}

impl Runner {
    /// The same runner, that knows the secrets of a plan and tells nobody.
    pub(super) fn scrubbed(&self, plan: &Plan) -> Self {
        self.scrub.learn_plan(plan);
        let watcher = ScrubbedWatcher { inner: Arc::clone(&self.watcher), scrub: Arc::clone(&self.scrub) };
        Self { watcher: Arc::new(watcher), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_hidden() {
        let scrub = Scrub::default();
        scrub.learn(&Value::object_of([
            ("a", Value::tuple(vec![Value::string("s3cret-word")]).sensitive()),
            ("b", Value::string("not secret")),
            ("c", Value::string("short").sensitive()),
        ]));
        assert_eq!(scrub.hide("a s3cret-word, not secret, short"), "a (sensitive), not secret, short");
        scrub.learn_text("postgres://user-name:p%40ss-w0rd@host-name/d?password=another-one");
        let said = scrub.hide("postgres://user-name:p%40ss-w0rd@host-name: p@ss-w0rd, another-one");
        assert_eq!(said, "postgres://user-name:(sensitive)@host-name: (sensitive), (sensitive)");
        scrub.learn_text("-----BEGIN KEY-----\nabcdefghijklmnopqrst\nuvwxyz\n-----END KEY-----\n");
        assert_eq!(scrub.hide("line 2 is abcdefghijklmnopqrst"), "line 2 is (sensitive)");
        assert!(scrub.stands_in(b"key: |\n  abcdefghijklmnopqrst\n") && !scrub.stands_in(b"-----BEGIN KEY-----"));
        let utf16: Vec<u8> = "x s3cret-word".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!scrub.hide_bytes(&utf16).windows(8).any(|w| utf16[6..].windows(8).any(|u| u == w)));
        assert!(!format!("{scrub:?}").contains("s3cret"));
    }
}

//! `webhook` blocks: who is told of what, and how.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{WEBHOOKS_MAX, texts};
use crate::config::desired::{BlockBody, Body};
use crate::diag::{Diagnostic, Diagnostics, Span, did_you_mean};
use crate::eval::constraint::constant;
use crate::eval::{Answer, Budget, Evaluator, Host, Reference, Scope, Term};
use crate::value::Value;

/// Standard Webhooks asks for keys of 24 to 64 bytes. A shorter one can be guessed.
const KEY_MIN: usize = 24;
/// A longer key is digested by HMAC before it is used and adds nothing; this leaves room for any text.
const KEY_MAX: usize = 256;
/// The longest address: what is longer is refused by most servers.
const URL_MAX: usize = 2048;
/// How a key is written that is not its own text: behind it stands base64.
const KEY_PREFIX: &str = "whsec_";

/// What a webhook is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// What a look found that is not as it was recorded.
    Drift,
    /// How a run ended.
    Run,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Drift, Self::Run];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Run => "run",
        }
    }
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON of Gantry's own: `docs/drift.md` has it.
    Plain,
    /// JSON that Slack's incoming webhooks take, and what imitates them.
    Slack,
}

impl Format {
    const ALL: [(&'static str, Self); 2] = [("plain", Self::Plain), ("slack", Self::Slack)];
}

/// A `webhook` block.
#[derive(Clone)]
pub struct Webhook {
    /// Its label. The only thing of it that is ever shown.
    pub name: String,
    /// How messages are written.
    pub format: Format,
    /// What it is told of, sorted.
    pub topics: Vec<Topic>,
    /// Where its header stands.
    pub span: Span,
    url: Arc<Term>,
    secret: Option<Arc<Term>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({:?}, {:?}, {:?})", self.name, self.format, self.topics)
    }
}

/// Something that may not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Vec<u8>);

impl Credential {
    /// What it is, for using it.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Where a webhook's messages go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The address, as text: `http://` or `https://` and something behind it.
    pub url: Credential,
    /// What messages are signed with; `None` where they are not.
    pub key: Option<Credential>,
}

/// Why a webhook has no destination here.
#[derive(Debug, Clone)]
pub enum Undeliverable {
    /// It names an environment variable that is not set.
    Unset(Box<Diagnostic>),
    /// It is wrong, wherever it is used.
    Wrong(Box<Diagnostic>),
}

impl Undeliverable {
    /// What is told.
    #[must_use]
    pub fn diagnostic(self) -> Diagnostic {
        match self {
            Self::Unset(diagnostic) | Self::Wrong(diagnostic) => *diagnostic,
        }
    }
}

impl Webhook {
    /// Where its messages go, with the environment's variables as `variable` gives them.
    ///
    /// # Errors
    /// When its address or its secret is none, or comes from a variable that is not set.
    pub fn destination(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Destination, Undeliverable> {
        let url = self.text("url", &self.url, variable)?;
        let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let spaced = |c: char| c.is_whitespace() || c.is_control();
        if address.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) || url.contains(spaced) {
            return Err(self.wrong("url", "it has to start with https:// or http:// and a host, without white space"));
        }
        if url.len() > URL_MAX {
            return Err(self.wrong("url", &format!("it is longer than {URL_MAX} bytes")));
        }
        let key = match &self.secret {
            None => None,
            Some(term) => Some(Credential(self.key(&self.text("secret", term, variable)?)?)),
        };
        Ok(Destination { url: Credential(url.into_bytes()), key })
    }

    fn key(&self, text: &str) -> Result<Vec<u8>, Undeliverable> {
        let bytes = match text.strip_prefix(KEY_PREFIX) {
            None => text.as_bytes().to_vec(),
            Some(encoded) => STANDARD
                .decode(encoded)
                .map_err(|_| self.wrong("secret", &format!("what stands behind {KEY_PREFIX} is no base64")))?,
        };
        if !(KEY_MIN..=KEY_MAX).contains(&bytes.len()) {
            let why = format!(
                "a key has {KEY_MIN} to {KEY_MAX} bytes, and this one has {}. Make one with: echo \"whsec_$(openssl rand -base64 32)\"",
                bytes.len()
            );
            return Err(self.wrong("secret", &why));
        }
        Ok(bytes)
    }

    /// The text that a term comes to.
    fn text(
        &self,
        name: &str,
        term: &Arc<Term>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, Undeliverable> {
        let outside = Outside { variable, unset: std::cell::RefCell::default() };
        let budget = Budget::new(Budget::PLAN);
        let evaluator = Evaluator { scope: &NoNames, host: &outside, budget: &budget, site: &"webhook" };
        let value = evaluator.evaluate(term);
        if let Some(missing) = outside.unset.into_inner() {
            let detail = format!(
                "\"{name}\" of the webhook \"{}\" comes from the environment variable {missing}, which is not set here.",
                self.name
            );
            let told = Diagnostic::error("Environment variable not set", detail).at(self.span);
            return Err(Undeliverable::Unset(Box::new(told.hint(format!("Set {missing} where this command runs.")))));
        }
        // What evaluation says of it may quote it.
        let value = value.map_err(|_| {
            let why = "it is an expression of constants, env(\"…\") and functions that read no file, and this one has no value";
            self.wrong(name, why)
        })?;
        match value.unmark_deep().0.as_str() {
            Some("") => Err(self.wrong(name, "it is empty")),
            Some(text) => Ok(text.to_owned()),
            None => Err(self.wrong(name, "it is no text")),
        }
    }

    fn wrong(&self, name: &str, why: &str) -> Undeliverable {
        let detail = format!("\"{name}\" of the webhook \"{}\" cannot be used: {why}.", self.name);
        let told = Diagnostic::error("Invalid webhook", detail).at(self.span);
        Undeliverable::Wrong(Box::new(told.hint("What it is now is not shown, as it is a secret.")))
    }
}

/// The environment's variables, and nothing else outside.
struct Outside<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// The first that was asked for and is not set.
    unset: std::cell::RefCell<Option<String>>,
}

impl Host for Outside<'_> {
    fn file(&self, _: &str) -> Answer<Arc<[u8]>> {
        Answer::Missing("no file is read for a webhook".into())
    }

    fn file_kind(&self, _: &str) -> Answer<&'static str> {
        Answer::Missing("no file is looked at for a webhook".into())
    }

    fn file_tree(&self, _: &str) -> Answer<Arc<[String]>> {
        Answer::Missing("no directory is read for a webhook".into())
    }

    fn variable(&self, name: &str) -> Answer<String> {
        match (self.variable)(name).filter(|text| !text.is_empty()) {
            Some(text) => Answer::Known(text),
            None => {
                self.unset.borrow_mut().get_or_insert_with(|| name.to_owned());
                Answer::Missing("it is not set".into())
            }
        }
    }

    fn plan_time(&self) -> Answer<String> {
        Answer::Missing("there is no plan here".into())
    }

    fn draw(&self, _: &str) -> Option<Value> {
        None
    }

    fn directory(&self) -> String {
        ".".into()
    }

    fn syntax(&self) -> Option<crate::eval::Syntax> {
        None
    }
}

/// A scope without names.
struct NoNames;

impl Scope for NoNames {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let told = Diagnostic::error("Invalid reference", "Nothing can be referred to in the project file.");
        Err(Box::new(told.at(reference.span)))
    }
}

/// The webhooks of the file, whose blocks the table has checked.
pub(super) fn read_all(body: &Body, errors: &mut Diagnostics) -> Vec<Webhook> {
    let mut all: Vec<Webhook> = Vec::new();
    for block in body.blocks.iter().filter(|block| &*block.ty == "webhook") {
        let Some(webhook) = read(block, errors) else { continue };
        if all.iter().any(|other| other.name == webhook.name) {
            let detail = format!(
                "There is a webhook \"{}\" already. What was delivered and what was not is remembered by name.",
                webhook.name
            );
            errors.push(Diagnostic::error("Duplicate webhook", detail).at(block.span));
        }
        all.push(webhook);
    }
    if let Some(beyond) = all.get(WEBHOOKS_MAX) {
        let detail = format!("There are {} webhooks, and the limit is {WEBHOOKS_MAX}.", all.len());
        errors.push(Diagnostic::error("Too many webhooks", detail).at(beyond.span));
    }
    all
}

fn read(block: &BlockBody, errors: &mut Diagnostics) -> Option<Webhook> {
    let attributes = &block.body.attributes;
    let format = match attributes.get("format") {
        None => Format::Plain,
        Some(attribute) => format(&attribute.term, errors)?,
    };
    let topics = match attributes.get("events") {
        None => Topic::ALL.to_vec(),
        Some(attribute) => topics(&attribute.term, errors),
    };
    let secret = attributes.get("secret").map(|a| Arc::clone(&a.term));
    if secret.is_none() && format == Format::Plain {
        let detail = "\"secret\" is what messages are signed with, so that whoever gets one can tell it from a forged one. Only with format = \
                      \"slack\", where nobody looks at signatures, it may be left out.";
        errors.push(Diagnostic::error("Missing required argument", detail).at(block.span));
    }
    let webhook = Webhook {
        name: block.labels.first()?.to_string(),
        format,
        topics,
        span: block.span,
        url: Arc::clone(&attributes.get("url")?.term),
        secret,
    };
    // What does not depend on the machine is wrong on every machine.
    if let Err(Undeliverable::Wrong(wrong)) = webhook.destination(&|_| None) {
        errors.push(*wrong);
    }
    Some(webhook)
}

fn format(term: &Arc<Term>, errors: &mut Diagnostics) -> Option<Format> {
    let value = constant(term).map_err(|e| errors.push(*e)).ok()?;
    let known = Format::ALL.iter().find(|(name, _)| value.as_str() == Some(name));
    if known.is_none() {
        let detail = "\"format\" is \"plain\" (JSON of Gantry's own, the default) or \"slack\" (what Slack's incoming webhooks take).";
        let hint = value.as_str().and_then(|text| did_you_mean(text, Format::ALL.map(|(name, _)| name)));
        errors.push(Diagnostic::error("Invalid argument value", detail).at(term.span).hint_opt(hint));
    }
    known.map(|(_, format)| *format)
}

fn topics(term: &Arc<Term>, errors: &mut Diagnostics) -> Vec<Topic> {
    let before = errors.errors();
    let mut found = Vec::new();
    for (text, span) in texts("events", term, errors) {
        match Topic::ALL.into_iter().find(|topic| topic.name() == text) {
            Some(topic) => found.push(topic),
            None => {
                let detail = "\"events\" names what a webhook is told of: \"drift\" (what a look found), \"run\" (how a run ended).";
                let hint = did_you_mean(&text, Topic::ALL.map(Topic::name));
                errors.push(Diagnostic::error("Invalid argument value", detail).at(span).hint_opt(hint));
            }
        }
    }
    if found.is_empty() && errors.errors() == before {
        let detail = "\"events\" is empty, so the webhook would never be told anything. Leave it out for all events.";
        errors.push(Diagnostic::error("Invalid argument value", detail).at(term.span));
    }
    found.sort();
    found.dedup();
    found
}

//! Reading what the API server answered: small looks into objects as JSON, which never fail.
//!
//! A field that is absent, null or of another type than expected is simply not there: objects come from servers of many
//! versions and from controllers of anybody's making, and what waits for a rollout must not stumble over either. Numbers
//! that are absent are 0, since Kubernetes leaves out what is zero (`omitempty`).

use serde_json::Value as Json;

/// The longest piece of somebody else's message that goes into a sentence; the rest is in the evidence.
const QUOTE_MAX: usize = 300;

/// A condition of `status.conditions`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Condition<'a> {
    entry: &'a Json,
}

impl<'a> Condition<'a> {
    /// `True`, `False` or `Unknown`.
    pub(crate) fn status(self) -> &'a str {
        text(self.entry, "/status")
    }

    /// Whether its status is `True`.
    pub(crate) fn is_true(self) -> bool {
        self.status() == "True"
    }

    /// Whether its status is `False`.
    pub(crate) fn is_false(self) -> bool {
        self.status() == "False"
    }

    /// Its reason, a word.
    pub(crate) fn reason(self) -> &'a str {
        text(self.entry, "/reason")
    }

    /// Its message, for people.
    pub(crate) fn message(self) -> &'a str {
        text(self.entry, "/message")
    }

    /// When it was last changed or confirmed, as text.
    pub(crate) fn updated(self) -> &'a str {
        let updated = text(self.entry, "/lastUpdateTime");
        if updated.is_empty() { text(self.entry, "/lastTransitionTime") } else { updated }
    }

    /// Whether it speaks of an earlier generation than the object has now.
    pub(crate) fn is_stale(self, generation: Option<i64>) -> bool {
        let seen = self.entry.pointer("/observedGeneration").and_then(Json::as_i64);
        matches!((seen, generation), (Some(seen), Some(now)) if seen < now)
    }

    /// What it says, to be put after a colon: its message, else its reason, else that it says nothing.
    pub(crate) fn says(self) -> String {
        let said = if self.message().is_empty() { self.reason() } else { self.message() };
        if said.is_empty() { "it gives no reason".to_owned() } else { quote(said) }
    }
}

/// The condition of that type in `status.conditions`.
pub(crate) fn condition<'a>(object: &'a Json, ty: &str) -> Option<Condition<'a>> {
    condition_in(list(object, "/status/conditions"), ty)
}

/// The condition of that type in a list.
pub(crate) fn condition_in<'a>(conditions: &'a [Json], ty: &str) -> Option<Condition<'a>> {
    conditions.iter().find(|entry| text(entry, "/type") == ty).map(|entry| Condition { entry })
}

/// The text at a JSON pointer, empty if there is none.
pub(crate) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer, if there is one.
pub(crate) fn number(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Json::as_i64)
}

/// The whole number at a JSON pointer, 0 if there is none.
pub(crate) fn count(object: &Json, pointer: &str) -> i64 {
    number(object, pointer).unwrap_or_default()
}

/// Whether there is `true` at a JSON pointer.
pub(crate) fn flag(object: &Json, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Json::as_bool).unwrap_or_default()
}

/// The list at a JSON pointer, empty if there is none.
pub(crate) fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The label of that name, empty if there is none. Looked up by key, since names of labels contain slashes.
pub(crate) fn label<'a>(object: &'a Json, name: &str) -> &'a str {
    object.pointer("/metadata/labels").and_then(|all| all.get(name)).and_then(Json::as_str).unwrap_or_default()
}

/// The annotation of that name, empty if there is none.
pub(crate) fn annotation<'a>(object: &'a Json, name: &str) -> &'a str {
    object.pointer("/metadata/annotations").and_then(|all| all.get(name)).and_then(Json::as_str).unwrap_or_default()
}

/// The object's kind.
pub(crate) fn kind(object: &Json) -> &str {
    text(object, "/kind")
}

/// The object's name.
pub(crate) fn name(object: &Json) -> &str {
    text(object, "/metadata/name")
}

/// The API group, empty for the core group.
pub(crate) fn group(object: &Json) -> &str {
    text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group)
}

/// Whether the object is controlled by the one with that uid.
pub(crate) fn is_owned_by(object: &Json, uid: &str) -> bool {
    !uid.is_empty()
        && list(object, "/metadata/ownerReferences")
            .iter()
            .any(|owner| text(owner, "/uid") == uid && flag(owner, "/controller"))
}

/// Whether somebody has asked for the object's deletion.
pub(crate) fn is_going(object: &Json) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// "1 replica", "2 replicas".
pub(crate) fn counted(n: i64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// "1 of 3 replicas is", "2 of 3 replicas are", "0 of 1 replica is".
pub(crate) fn of(n: i64, all: i64, what: &str) -> String {
    let verb = if n == 1 || all == 1 { "is" } else { "are" };
    format!("{n} of {} {verb}", counted(all, what))
}

/// Somebody else's message on one line, bounded and without its own full stop, to stand inside a sentence.
pub(crate) fn quote(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    match line.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

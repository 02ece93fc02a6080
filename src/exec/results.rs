//! What the steps of a run have answered so far, for the steps that need it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::request::sha256;
use super::runner::Seal;
use crate::addr::Address;
use crate::value::{Results, Value};

/// How much of a value a sentence shows, in characters.
const SHOWN: usize = 120;

/// A value's text, short enough for a sentence.
pub(crate) fn describe(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// What drawn values (`timestamp()`, `uuid()`) are derived from: the run, so that they are the same after a crash and no
/// others' in any other run.
#[derive(Clone)]
pub(crate) struct Draws {
    /// When the run began, RFC 3339.
    pub(crate) time: String,
    /// The run's identity, random.
    pub(crate) run: String,
    /// The ledger's keyed digest, so that who sees the run's identity cannot tell them.
    pub(crate) seal: Seal,
}

impl Draws {
    fn draw(&self, what: &str) -> Value {
        let text = match what.split(':').next() {
            Some("timestamp") => return Value::string(self.time.as_str()),
            _ => sha256((self.seal)(format!("draw|{}|{what}", self.run).as_bytes()).as_bytes()),
        };
        if !what.starts_with("uuid") {
            return Value::string(text);
        }
        // RFC 9562, version 8: bits of one's own making; the variant's two bits are 10.
        let variant = match text.as_bytes()[16] {
            b'0'..=b'3' => '8',
            b'4'..=b'7' => '9',
            b'8' | b'9' | b'a' | b'b' => 'a',
            _ => 'b',
        };
        let uuid =
            format!("{}-{}-8{}-{variant}{}-{}", &text[..8], &text[8..12], &text[13..16], &text[17..20], &text[20..32]);
        Value::string(uuid)
    }
}

/// The answers.
#[derive(Clone)]
pub(crate) struct RunResults {
    objects: BTreeMap<Address, Value>,
    staged: BTreeMap<Address, (Json, Value)>,
    leftovers: BTreeMap<usize, Option<Json>>,
    identities: BTreeMap<Address, Json>,
    draws: Draws,
}

impl RunResults {
    pub(crate) fn new(draws: Draws) -> Self {
        Self {
            objects: BTreeMap::new(),
            staged: BTreeMap::new(),
            leftovers: BTreeMap::new(),
            identities: BTreeMap::new(),
            draws,
        }
    }

    /// What finds a node's object, as this run left it.
    pub(crate) fn identity(&self, node: &Address) -> Option<&Json> {
        self.identities.get(node)
    }

    /// A node's object is found by this now.
    pub(crate) fn set_identity(&mut self, node: &Address, identity: Json) {
        self.identities.insert(node.clone(), identity);
    }

    /// A node's object is this now.
    pub(crate) fn set(&mut self, node: &Address, object: Value) {
        self.objects.insert(node.clone(), object);
    }

    /// A version of a workload stands beside it.
    pub(crate) fn set_staged(&mut self, node: &Address, identity: Json, object: Value) {
        self.staged.insert(node.clone(), (identity, object));
    }

    /// The version of a workload that stands beside it.
    pub(crate) fn staged(&self, node: &Address) -> Option<&(Json, Value)> {
        self.staged.get(node)
    }

    /// A step moved the traffic; what it left, if anything.
    pub(crate) fn set_leftover(&mut self, step: usize, leftover: Option<Json>) {
        self.leftovers.insert(step, leftover);
    }

    /// What a step left that moved the traffic.
    pub(crate) fn leftover(&self, step: usize) -> Option<&Json> {
        self.leftovers.get(&step).and_then(Option::as_ref)
    }
}

impl Results for RunResults {
    fn result(&self, node: &Address) -> Option<Value> {
        self.objects.get(node).cloned()
    }

    fn draw(&self, what: &str) -> Option<Value> {
        Some(self.draws.draw(what))
    }
}

/// Answers in which one node's is another: the staged version where a check proves it, a step's own in its postconditions.
pub(crate) struct With<'a> {
    pub(crate) results: &'a RunResults,
    pub(crate) node: &'a Address,
    pub(crate) object: &'a Value,
}

impl Results for With<'_> {
    fn result(&self, node: &Address) -> Option<Value> {
        if node == self.node { Some(self.object.clone()) } else { self.results.result(node) }
    }

    fn draw(&self, what: &str) -> Option<Value> {
        self.results.draw(what)
    }
}

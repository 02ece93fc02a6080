//! Who calls a module: what is wrong in its files is said once, with the calls that lead there.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::path::{join, normalise};
use crate::config::source::Bundle;
use crate::diag::{Caller, Diagnostics, SourceMap, Span};

/// One `module` block.
#[derive(Debug)]
struct Call {
    /// The directory that it stands in.
    from: String,
    name: String,
    at: Span,
}

/// The calls of each directory, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Callers(BTreeMap<String, Vec<Call>>);

impl Callers {
    /// Notes a call.
    pub(super) fn note(&mut self, called: &str, from: &str, name: &str, at: Span) {
        let call = Call { from: from.to_owned(), name: name.to_owned(), at };
        self.0.entry(normalise(called)).or_default().push(call);
    }

    /// The diagnostics, those in modules with the calls of these.
    pub(super) fn told(&self, diagnostics: Diagnostics, bundle: &Bundle, sources: &SourceMap) -> Diagnostics {
        let mut homes: BTreeMap<String, &str> = BTreeMap::new();
        for (directory, names) in &bundle.modules {
            for name in names {
                homes.insert(bundle.shown(&join(directory, name)), directory);
            }
        }
        let told = diagnostics.into_iter().map(|mut diagnostic| {
            let file = diagnostic.span.and_then(|span| sources.name(span.file));
            if let Some(directory) = file.and_then(|name| homes.get(&**name)) {
                let (chain, also) = self.of(directory);
                diagnostic = diagnostic.called_by(chain);
                if let Some(circumstances) = &mut diagnostic.circumstances {
                    circumstances.also = also;
                }
            }
            diagnostic
        });
        told.collect()
    }

    /// The calls from a directory up to the root, innermost first, and the other calls of that directory.
    fn of(&self, directory: &str) -> (Vec<Caller>, Vec<Caller>) {
        let Some((first, others)) = self.0.get(directory).and_then(|calls| calls.split_first()) else {
            return (Vec::new(), Vec::new());
        };
        let caller = |call: &Call| {
            let way = self.way(&call.from);
            let names: Vec<&str> = way.iter().rev().map(|c| &*c.name).chain([&*call.name]).collect();
            Caller { module: format!("module.{}", names.join(".module.")), at: Some(call.at) }
        };
        let mut chain = vec![caller(first)];
        chain.extend(self.way(&first.from).into_iter().map(caller));
        // A call from within is no other way in: it is the circle that may be the mistake.
        let within = |call: &&Call| call.from == directory || self.way(&call.from).iter().any(|c| c.from == directory);
        (chain, others.iter().filter(|call| !within(call)).map(caller).collect())
    }

    /// The first calls that lead to a directory, innermost first. A circle ends where it closes.
    fn way(&self, directory: &str) -> Vec<&Call> {
        let mut seen = BTreeSet::new();
        let mut way = Vec::new();
        let mut at = directory;
        while at != "."
            && seen.insert(at)
            && let Some(call) = self.0.get(at).and_then(|calls| calls.first())
        {
            way.push(call);
            at = &call.from;
        }
        way
    }
}

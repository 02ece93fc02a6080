//! A host that remembers what it was asked: the facts that a closure takes along, so that apply asks nobody.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Calls, Host, Syntax};
use crate::value::Value;

/// Answers from outside that one expression was given.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) files: BTreeMap<String, Answer<Arc<[u8]>>>,
    pub(super) kinds: BTreeMap<String, Answer<&'static str>>,
    pub(super) trees: BTreeMap<String, Answer<Arc<[String]>>>,
    pub(super) variables: BTreeMap<String, Answer<String>>,
    pub(super) plan_time: Option<Answer<String>>,
    pub(super) directory: String,
    pub(super) syntax: Option<Syntax>,
}

/// A host around another.
pub(super) struct Memory<'a> {
    host: &'a dyn Host,
    facts: RefCell<Facts>,
}

impl<'a> Memory<'a> {
    /// Around a host.
    pub(super) fn around(host: &'a dyn Host) -> Self {
        Self { host, facts: RefCell::default() }
    }

    /// What was answered.
    pub(super) fn facts(&self) -> Facts {
        let facts = self.facts.borrow().clone();
        Facts { directory: self.host.directory(), syntax: self.host.syntax(), ..facts }
    }
}

impl Host for Memory<'_> {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        let answer = self.host.file(path);
        self.facts.borrow_mut().files.insert(path.to_owned(), answer.clone());
        answer
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        let answer = self.host.file_kind(path);
        self.facts.borrow_mut().kinds.insert(path.to_owned(), answer.clone());
        answer
    }

    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>> {
        let answer = self.host.file_tree(directory);
        self.facts.borrow_mut().trees.insert(directory.to_owned(), answer.clone());
        answer
    }

    fn variable(&self, name: &str) -> Answer<String> {
        let answer = self.host.variable(name);
        self.facts.borrow_mut().variables.insert(name.to_owned(), answer.clone());
        answer
    }

    fn plan_time(&self) -> Answer<String> {
        let answer = self.host.plan_time();
        self.facts.borrow_mut().plan_time = Some(answer.clone());
        answer
    }

    fn draw(&self, what: &str) -> Option<Value> {
        self.host.draw(what)
    }

    fn directory(&self) -> String {
        self.host.directory()
    }

    fn syntax(&self) -> Option<Syntax> {
        self.host.syntax()
    }

    fn calls(&self) -> Calls {
        self.host.calls()
    }
}

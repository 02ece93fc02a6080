//! What evaluation may ask of the outside. The answers are facts that planning has gathered; nothing here does I/O.

use std::sync::Arc;

use super::Term;
use crate::diag::{Diagnostics, FileId};
use crate::value::Value;

/// An answer from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<T> {
    /// Here it is.
    Known(T),
    /// It has been asked for; planning will come again with the answer. Evaluation goes on with an unknown value.
    Pending,
    /// There is none; the sentence says why.
    Missing(String),
}

/// How a text becomes terms. The evaluator itself knows no syntax, but `templatefile`, `templatestring` and `decode_tfvars`
/// are given texts that only evaluation comes upon. They are plain functions, so that a closure takes them along to apply.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    /// A template without quotes around it.
    pub template: fn(&str, FileId) -> Result<Term, Diagnostics>,
    /// A file of arguments only: their names and terms.
    pub arguments: fn(&str, FileId) -> Result<Arguments, Diagnostics>,
}

/// The arguments of a file, by name.
pub type Arguments = Vec<(Arc<str>, Arc<Term>)>;

/// Which functions may be called at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// All.
    All,
    /// All but those that render templates and those of providers: in a file that `templatefile` renders.
    InTemplateFile,
    /// As in a file, and none that asks for files: in a text that `templatestring` renders, which may be anybody's.
    InTemplateString,
    /// None: in constants.
    None,
}

/// Who answers.
pub trait Host {
    /// The bytes of a file. `path` is as the user wrote it, relative to the environment's directory or absolute.
    fn file(&self, path: &str) -> Answer<Arc<[u8]>>;

    /// Whether something stands at a path, and what: `"file"`, `"directory"`, or `""` for nothing.
    fn file_kind(&self, path: &str) -> Answer<&'static str>;

    /// The paths of all regular files below a directory, relative to it, with `/`, sorted.
    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>>;

    /// An environment variable.
    fn variable(&self, name: &str) -> Answer<String>;

    /// The time at which the plan was made, RFC 3339.
    fn plan_time(&self) -> Answer<String>;

    /// What a function that is drawn once at apply gives (`timestamp`, `uuid`, `bcrypt`); `None` while planning.
    fn draw(&self, what: &str) -> Option<Value>;

    /// The absolute path of the working directory that relative names start from, for `abspath` and `path.cwd`.
    fn directory(&self) -> String;

    /// How a text becomes terms; `None` where no text may.
    fn syntax(&self) -> Option<Syntax>;

    /// Which functions may be called.
    fn calls(&self) -> Calls {
        Calls::All
    }
}

/// A host that stands around another where fewer functions may be called.
pub(super) struct Within<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) calls: Calls,
}

impl Host for Within<'_> {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        self.host.file(path)
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        self.host.file_kind(path)
    }

    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>> {
        self.host.file_tree(directory)
    }

    fn variable(&self, name: &str) -> Answer<String> {
        self.host.variable(name)
    }

    fn plan_time(&self) -> Answer<String> {
        self.host.plan_time()
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
        self.calls
    }
}

/// A host without an outside: for terms that may not ask for any.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        Answer::Missing(format!("no file can be read here, not even {path:?}"))
    }

    fn file_kind(&self, _: &str) -> Answer<&'static str> {
        Answer::Missing("no file can be looked at here".into())
    }

    fn file_tree(&self, _: &str) -> Answer<Arc<[String]>> {
        Answer::Missing("no directory can be read here".into())
    }

    fn variable(&self, name: &str) -> Answer<String> {
        Answer::Missing(format!("the environment variable {name:?} cannot be read here"))
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

    fn syntax(&self) -> Option<Syntax> {
        None
    }
}

//! What evaluation may ask of the outside. The answers are facts that planning has gathered; nothing here does I/O.

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

/// Who answers.
pub trait Host {
    /// The bytes of a file. `path` is as the user wrote it, relative to the environment's directory or absolute.
    fn file(&self, path: &str) -> Answer<std::sync::Arc<[u8]>>;

    /// Whether something stands at a path, and what: `"file"`, `"directory"`, or `""` for nothing.
    fn file_kind(&self, path: &str) -> Answer<&'static str>;

    /// The paths of all regular files below a directory, relative to it, with `/`, sorted.
    fn file_tree(&self, directory: &str) -> Answer<std::sync::Arc<[String]>>;

    /// An environment variable.
    fn variable(&self, name: &str) -> Answer<String>;

    /// The time at which the plan was made, RFC 3339.
    fn plan_time(&self) -> Answer<String>;

    /// What a function that is drawn once at apply gives (`timestamp`, `uuid`, `bcrypt`); `None` while planning.
    fn draw(&self, what: &str) -> Option<Value>;

    /// The absolute path of the working directory that relative names start from, for `abspath` and `path.cwd`.
    fn directory(&self) -> String;
}

/// A host without an outside: for terms that may not ask for any.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn file(&self, path: &str) -> Answer<std::sync::Arc<[u8]>> {
        Answer::Missing(format!("no file can be read here, not even {path:?}"))
    }

    fn file_kind(&self, _: &str) -> Answer<&'static str> {
        Answer::Missing("no file can be looked at here".into())
    }

    fn file_tree(&self, _: &str) -> Answer<std::sync::Arc<[String]>> {
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
}

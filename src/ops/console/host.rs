//! What expressions in a console ask of the machine.

use std::cell::RefCell;
use std::sync::Arc;

use crate::config::{Bundle, Reader};
use crate::eval::{Answer, Host, Syntax};
use crate::ops::workspace::Workspace;
use crate::ports::{env, id};
use crate::value::Value;

/// Answers as things are now.
pub(in crate::ops) struct Live {
    reader: Reader,
    bundle: RefCell<Bundle>,
    directory: String,
    now: jiff::Timestamp,
    planned: bool,
    /// Whether the environment's variables are left open, as another machine may have others.
    unasked: bool,
}

impl Live {
    /// For one text, at a time; `planned` where names have the values of a plan.
    pub(in crate::ops) fn new(workspace: &Workspace, planned: bool, now: jiff::Timestamp) -> Self {
        Self {
            reader: Reader::new(&workspace.environment),
            bundle: RefCell::default(),
            directory: workspace.environment.to_string_lossy().into_owned(),
            now,
            planned,
            unasked: false,
        }
    }

    /// The same, with the variables of this machine's environment left open.
    pub(in crate::ops) fn unasked(self) -> Self {
        Self { unasked: true, ..self }
    }
}

fn told<T>(answer: Option<Result<T, &str>>) -> Answer<T> {
    match answer {
        Some(Ok(found)) => Answer::Known(found),
        Some(Err(why)) => Answer::Missing(why.to_owned()),
        None => Answer::Missing("it cannot be read".into()),
    }
}

impl Host for Live {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        let mut bundle = self.bundle.borrow_mut();
        self.reader.add_file(&mut bundle, path);
        told(bundle.file(path).map(Result::<&_, &str>::cloned))
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        let mut bundle = self.bundle.borrow_mut();
        self.reader.add_kind(&mut bundle, path);
        Answer::Known(bundle.kind(path).map_or("", crate::config::source::Kind::as_str))
    }

    fn file_tree(&self, directory: &str) -> Answer<Arc<[String]>> {
        let mut bundle = self.bundle.borrow_mut();
        self.reader.add_tree(&mut bundle, directory);
        told(bundle.tree(directory).map(Result::<&_, &str>::cloned))
    }

    fn variable(&self, name: &str) -> Answer<String> {
        match env::var(name) {
            _ if self.unasked => Answer::Pending,
            Some(text) => Answer::Known(text),
            None => Answer::Missing(format!("the environment variable {name} is not set")),
        }
    }

    fn plan_time(&self) -> Answer<String> {
        match self.planned {
            true => Answer::Known(time(self.now)),
            false => Answer::Missing("there is no plan here; the console makes one with --plan".into()),
        }
    }

    fn draw(&self, what: &str) -> Option<Value> {
        // A plan draws nothing: its apply will.
        if self.planned { None } else { drawn(what, self.now) }
    }

    fn directory(&self) -> String {
        self.directory.clone()
    }

    fn syntax(&self) -> Option<Syntax> {
        Some(crate::config::SYNTAX)
    }
}

/// How functions that are drawn at apply get their values in a configuration that is only looked at.
pub(in crate::ops) fn draw(now: jiff::Timestamp) -> impl Fn(&str) -> Option<Value> {
    move |what| drawn(what, now)
}

fn drawn(what: &str, now: jiff::Timestamp) -> Option<Value> {
    match what.split(':').next() {
        Some("timestamp") => Some(Value::string(time(now))),
        Some("uuid") => Some(Value::string(uuid(id::random()))),
        _ => Some(Value::string(id::random_hex::<32>())),
    }
}

/// RFC 3339 in whole seconds, as Terraform's `timestamp` has it.
fn time(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 9562, version 4.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_values_have_their_usual_form() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(drawn("timestamp:x@1", now), Some(Value::string("2026-01-02T03:04:05Z")));
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}

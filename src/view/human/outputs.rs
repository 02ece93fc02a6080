//! Outputs in the language's syntax.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::diag::escape_controls;
use crate::value::{Kind, Type, Value, decode, show};
use crate::view::words::clean;

/// Why a value is not given raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRaw {
    /// It is a collection or object.
    #[error("--raw gives strings, numbers and booleans only; take --json for a collection or an object")]
    Collection,
    /// It is null.
    #[error("the value is null, which has no raw form; take --json")]
    Null,
    /// Only its keyed digest is recorded.
    #[error("the value is sensitive: the ledger holds a digest of it, not the value; take it from its source")]
    Sensitive,
    /// It cannot be read.
    #[error("the recorded value cannot be read")]
    Unreadable,
}

/// A recorded value; `None` if it cannot be read.
pub(in crate::view) fn recorded(json: &Json) -> Option<Value> {
    decode(json, &Type::Any).ok()
}

/// Recorded outputs ([`crate::ledger::State::outputs`]), a line `name = value` each; sensitive ones are not shown.
#[must_use]
pub fn outputs(all: &BTreeMap<String, Json>) -> String {
    all.iter().map(|(name, json)| format!("{} = {}", clean(name), output(json))).collect()
}

/// One recorded output's value, with a line end.
#[must_use]
pub fn output(json: &Json) -> String {
    match recorded(json) {
        None => "(cannot be read)\n".into(),
        Some(value) if value.marks.is_sensitive() => "<sensitive>\n".into(),
        Some(value) => show(&value).lines().map(|line| format!("{}\n", escape_controls(line))).collect(),
    }
}

/// One recorded output's bare text, for scripts: nothing is escaped and no line end added.
///
/// # Errors
/// When the value has no such form.
pub fn output_raw(json: &Json) -> Result<String, NotRaw> {
    let value = recorded(json).ok_or(NotRaw::Unreadable)?;
    if value.marks_deep().is_sensitive() {
        return Err(NotRaw::Sensitive);
    }
    match &value.kind {
        Kind::String(s) => Ok((**s).to_owned()),
        Kind::Number(n) => Ok(n.to_string()),
        Kind::Bool(b) => Ok(b.to_string()),
        Kind::Null(_) => Err(NotRaw::Null),
        Kind::Unknown(_) => Err(NotRaw::Unreadable),
        Kind::List(..) | Kind::Set(..) | Kind::Map(..) | Kind::Tuple(_) | Kind::Object(_) => Err(NotRaw::Collection),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_read_like_the_language() {
        let all = BTreeMap::from([
            ("list".to_owned(), json!(["a", { "$number": "1.5" }])),
            ("secret".to_owned(), json!({ "$hmac": "digest" })),
            ("url".to_owned(), json!("http://127.0.0.1:8080\u{1b}[2J")),
        ]);
        assert_eq!(
            outputs(&all),
            "list = [\n  \"a\",\n  1.5,\n]\nsecret = <sensitive>\nurl = \"http://127.0.0.1:8080\\u001b[2J\"\n"
        );
        assert_eq!(output_raw(&all["url"]).unwrap(), "http://127.0.0.1:8080\u{1b}[2J");
        assert_eq!(output_raw(&all["list"]), Err(NotRaw::Collection));
        assert_eq!(output_raw(&all["secret"]), Err(NotRaw::Sensitive));
    }
}

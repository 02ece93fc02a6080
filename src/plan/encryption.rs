//! `encryption` in the `environment` block: for whom secrets are sealed, and where the identities are that open them.

use std::sync::Arc;

use crate::config::desired::BlockBody;
use crate::diag::{Diagnostic, Span};
use crate::eval::{Evaluator, Term, TermKind};
use crate::ledger::encryption::{KeyError, Recipient};
use crate::value::{Type, Value, convert};

/// The most recipients that a secret is sealed for: each makes every secret of the ledger longer.
const RECIPIENTS_MAX: usize = 64;

/// What the block says.
#[derive(Clone, Default)]
pub struct Encryption {
    /// For whom secrets are sealed; none where that is not known yet.
    pub recipients: Vec<Recipient>,
    /// The files with identities, as they are named, with their places.
    pub identities: Vec<(String, Span)>,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encryption({} recipients, {:?})", self.recipients.len(), self.identities)
    }
}

/// Reads the block.
pub(super) fn read(block: &BlockBody, evaluator: &Evaluator<'_>) -> Result<Encryption, Diagnostic> {
    if let Some(key) = block.body.attributes.get("key") {
        return Err(super::settings::not_yet("encryption with a \"key\"", key.term.span));
    }
    let Some(recipients) = block.body.attributes.get("recipients") else {
        let detail = "\"encryption\" needs \"recipients\", the public keys of age (\"age1…\") of all who may open the secrets of this \
                      environment.";
        return Err(Diagnostic::error("Missing required argument", detail)
            .at(block.span)
            .hint("Make a pair of keys with: age-keygen -o key.txt"));
    };
    let mut encryption = Encryption::default();
    let (texts, known) = texts("recipients", &recipients.term, evaluator)?;
    if known && texts.is_empty() {
        let detail = "\"recipients\" is empty, so nobody could open what is sealed. Name at least one, or take the block out: then only \
                      digests of secrets are kept.";
        return Err(Diagnostic::error("Invalid argument value", detail).at(recipients.term.span));
    }
    if texts.len() > RECIPIENTS_MAX {
        let detail = format!("\"recipients\" names {}, and the limit is {RECIPIENTS_MAX}.", texts.len());
        return Err(Diagnostic::error("Invalid argument value", detail).at(recipients.term.span));
    }
    for (text, span) in texts {
        encryption.recipients.push(Recipient::parse(&text).map_err(|why| bad_recipient(&text, why, span))?);
    }
    if let Some(identities) = block.body.attributes.get("identities") {
        for (path, span) in self::texts("identities", &identities.term, evaluator)?.0 {
            if path.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
                return Err(key_itself("\"identities\" names files"));
            }
            encryption.identities.push((path, span));
        }
    }
    Ok(encryption)
}

fn bad_recipient(text: &str, why: KeyError, span: Span) -> Diagnostic {
    if why == KeyError::Secret {
        return key_itself("\"recipients\" names public keys");
    }
    let shown = crate::diag::escape_controls(text);
    let detail = format!("\"{shown}\" is not taken as a recipient: {why}. A recipient of age begins with \"age1\".");
    Diagnostic::error("Invalid recipient", detail)
        .at(span)
        .hint("age-keygen -y KEY-FILE prints the recipient of an identity.")
}

/// A secret key in the configuration. The place is told in words: its line would be shown, and the key with it.
fn key_itself(what: &str) -> Diagnostic {
    let detail = format!(
        "In environment {{ encryption {{ … }} }} {what}, and a secret key itself stands there (AGE-SECRET-KEY-…). It is in the \
         configuration, and would be in the ledger and in every plan file, for anybody to open what is sealed."
    );
    Diagnostic::error("Secret key in the configuration", detail).hint(
        "Make a new key, for this one is known now: keep it in a file of mode 0600 and name that in \"identities\", or put it into \
         GANTRY_AGE_IDENTITY; its recipient is what age-keygen -y KEY-FILE prints.",
    )
}

/// A list of texts with the place of each, and whether all of it is known.
pub(super) fn texts(
    name: &str,
    term: &Arc<Term>,
    evaluator: &Evaluator<'_>,
) -> Result<(Vec<(String, Span)>, bool), Diagnostic> {
    let value = evaluator.evaluate(term).map_err(|e| *e)?;
    if value.marks_deep().is_sensitive() {
        let detail =
            format!("\"{name}\" is sensitive, but it is no secret and is shown where something is wrong with it.");
        return Err(Diagnostic::error("Invalid argument value", detail)
            .at(term.span)
            .hint("nonsensitive(…) says that it may be shown."));
    }
    let wrong = |why: String| {
        Diagnostic::error("Incorrect argument value type", format!("\"{name}\" is a list of texts: {why}."))
            .at(term.span)
    };
    if value.is_null() {
        return Err(wrong("it is null".into()));
    }
    let list = convert(&value, &Type::list(Type::String)).map_err(|e| wrong(e.to_string()))?;
    let Some(items) = list.as_items() else { return Ok((Vec::new(), false)) };
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let span = match &term.kind {
            TermKind::Tuple(terms) if terms.len() == items.len() => terms[at].span,
            _ => term.span,
        };
        if Value::is_null(item) {
            return Err(wrong("one of them is null".into()).at(span));
        }
        if let Some(text) = item.as_str() {
            found.push((text.to_owned(), span));
        }
    }
    Ok((found, list.is_wholly_known()))
}

//! `terraform` blocks: accepted for the sake of modules that have one.
//!
//! A `required_version` is about Terraform, which Gantry is not; that no Terraform of the versions whose language this is
//! would do is worth an error, for then the module was written for something else.

use std::sync::Arc;

use super::{check, read};
use crate::config::desired::BlockBody;
use crate::config::schema::Shape;
use crate::diag::{Diagnostic, Diagnostics, Span, did_you_mean};
use crate::eval::{Term, TermKind};

/// The providers that are built in.
pub(super) const PROVIDERS: [&str; 4] = ["aws", "kubernetes", "local", "terraform"];

/// The Terraform versions whose language Gantry speaks: from the first 1.x to below this one.
const NEWEST: Version = [2, 0, 0];

/// A version of three numbers.
type Version = [u64; 3];

/// Reads a `terraform` block. What comes back is the module's names for the providers that it requires, with those that they
/// are.
pub(super) fn terraform(block: &BlockBody, shape: &Shape, errors: &mut Diagnostics) -> Vec<(Arc<str>, Arc<str>)> {
    let mut providers = Vec::new();
    let mut body = block.body.clone();
    body.blocks.retain(|inner| {
        let Some(refusal) = refuse(&inner.ty, inner.span) else { return true };
        errors.push(refusal);
        false
    });
    if let Some(experiments) = body.attributes.remove("experiments") {
        let detail = "Experiments change what the language means in one version of Terraform. Gantry speaks the language as it \
                      is released.";
        let diagnostic = Diagnostic::error("Experiments are not supported", detail).at(experiments.name_span);
        errors.push(diagnostic.hint("Take the argument out, and what needs it."));
    }
    check::body(&body, shape, &["backend"], errors);
    if let Some(required) = body.attributes.get("required_version")
        && let Some(text) = read::checked_text(&body, "required_version")
    {
        required_version(&text, required.term.span, errors);
    }
    for required in body.blocks.iter().filter(|b| &*b.ty == "required_providers") {
        for (name, attribute) in &required.body.attributes {
            let source = source_of(&attribute.term);
            let provider = source.as_deref().and_then(|s| s.rsplit('/').next()).unwrap_or(name);
            providers.push((Arc::clone(name), Arc::from(provider)));
            if !PROVIDERS.contains(&provider) {
                let detail =
                    format!("The provider \"{provider}\" is not built in. There are {}.", PROVIDERS.join(", "));
                let diagnostic = Diagnostic::error("Unknown provider", detail).at(attribute.name_span);
                errors.push(diagnostic.hint_opt(did_you_mean(provider, PROVIDERS)));
            }
        }
    }
    providers
}

fn refuse(ty: &str, span: Span) -> Option<Diagnostic> {
    match ty {
        "backend" | "cloud" => {
            let detail = format!(
                "A \"{ty}\" block says where Terraform keeps its state. Gantry keeps a ledger, and where is said in the \
                 environment block."
            );
            let diagnostic = Diagnostic::error("State is configured elsewhere", detail).at(span);
            Some(diagnostic.hint("Write environment { state \"s3\" { … } }, or nothing for the local ledger."))
        }
        "provider_meta" => {
            let detail = "A \"provider_meta\" block hands data about a module to a provider of Terraform's. Gantry's providers \
                          take none.";
            let diagnostic = Diagnostic::error("Provider metadata is not supported", detail).at(span);
            Some(diagnostic.hint("Take the block out."))
        }
        _ => None,
    }
}

/// The `source` of an entry of `required_providers`.
fn source_of(term: &Term) -> Option<String> {
    let TermKind::Object(items) = &term.kind else { return None };
    let source = items.iter().find(|item| item.key.as_literal_str() == Some("source"))?;
    source.value.as_literal_str().map(str::to_owned)
}

/// Whether the constraint is one, and some Terraform 1.x would do.
fn required_version(text: &str, span: Span, errors: &mut Diagnostics) {
    let Some(constraints) = text.split(',').map(constraint).collect::<Option<Vec<_>>>() else {
        let detail = format!(
            "\"{text}\" is no version constraint. A constraint is an operator (=, !=, >, >=, <, <=, ~>) and a version; several \
             are separated by commas."
        );
        let diagnostic = Diagnostic::error("Invalid version constraint", detail).at(span);
        errors.push(diagnostic.hint("Write it as in \">= 1.5, < 2.0\"."));
        return;
    };
    let all = |version: &Version| constraints.iter().all(|c| c.holds(version));
    // Only at and right beside the versions that are named can the answer change.
    let mut candidates: Vec<Version> = vec![[1, 0, 0]];
    for Constraint { version: [a, b, c], .. } in &constraints {
        candidates.extend([[*a, *b, *c], [*a, *b, c.saturating_add(1)], [*a, b.saturating_add(1), 0]]);
        candidates.extend(c.checked_sub(1).map(|c| [*a, *b, c]));
        candidates.extend(b.checked_sub(1).map(|b| [*a, b, u64::MAX]));
    }
    candidates.push([1, u64::MAX, u64::MAX]);
    if !candidates.iter().any(|v| *v >= [1, 0, 0] && *v < NEWEST && all(v)) {
        let detail = format!(
            "No Terraform 1.x satisfies \"{text}\", and Gantry speaks the language of Terraform 1.x. What this module was written \
             for may mean something else here."
        );
        let diagnostic = Diagnostic::error("Unsupported Terraform version", detail).at(span);
        errors.push(diagnostic.hint("Change the constraint if the module uses the language of Terraform 1.x."));
    }
}

/// One operator with its version.
struct Constraint {
    operator: &'static str,
    version: Version,
    /// How many numbers were written.
    parts: usize,
}

const OPERATORS: [&str; 7] = ["!=", ">=", "<=", "~>", "=", ">", "<"];

fn constraint(text: &str) -> Option<Constraint> {
    let text = text.trim();
    let operator = OPERATORS.into_iter().find(|o| text.starts_with(o));
    let version = operator.map_or(text, |o| text[o.len()..].trim_start());
    // What stands behind a dash or plus does not say which language it is.
    let numbers = version.split(['-', '+']).next()?.strip_prefix('v').unwrap_or(version);
    let numbers = numbers.split(['-', '+']).next()?;
    let parts: Vec<u64> = numbers.split('.').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let mut all = [0; 3];
    if parts.len() > all.len() {
        return None;
    }
    all[..parts.len()].copy_from_slice(&parts);
    Some(Constraint { operator: operator.unwrap_or("="), version: all, parts: parts.len() })
}

impl Constraint {
    fn holds(&self, version: &Version) -> bool {
        match self.operator {
            "=" => *version == self.version,
            "!=" => *version != self.version,
            ">" => *version > self.version,
            ">=" => *version >= self.version,
            "<" => *version < self.version,
            "<=" => *version <= self.version,
            _ => {
                // `~> 1.2.3` stays below 1.3, `~> 1.2` below 2: all but the last number that is written are kept.
                let kept = self.parts.saturating_sub(1).max(1);
                *version >= self.version && version[..kept] == self.version[..kept]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::FileId;

    fn errors(text: &str) -> Vec<String> {
        let mut errors = Diagnostics::default();
        required_version(text, Span::new(FileId(0), 0..1), &mut errors);
        errors.iter().map(|d| d.summary.clone()).collect()
    }

    #[test]
    fn a_constraint_that_some_terraform_1_satisfies_is_fine() {
        for text in [
            ">= 1.5, < 2.0", ">= 0.12", "~> 1.3", "~> 1.3.0", "1.5.7", "= 1.5.7", "!= 1.5.0", "> 0.13.0, < 1.0.1", "v1.2.3",
            ">= 1.6.0-alpha", "~>1", "<= 1", "< 1.1",
        ] {
            assert_eq!(errors(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn others_are_refused() {
        for text in [">= 2.0", "< 1.0", "~> 0.14", "= 0.13.1", "> 1.5, < 1.5", "~> 2.0", "1.5, 1.6"] {
            assert_eq!(errors(text), ["Unsupported Terraform version"], "{text}");
        }
        for text in ["foo", "", "1.2.3.4", ">= ", "1.x", "=> 1.2", "1.5,"] {
            assert_eq!(errors(text), ["Invalid version constraint"], "{text}");
        }
    }
}

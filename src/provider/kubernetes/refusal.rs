//! A server's refusals in words, and what each means for an act.

use super::connect::chain;
use super::wire::{Failure, Refusal};
use crate::provider::{Outcome, Problem, ProblemClass};

/// A discovery that failed.
pub(super) fn unserved(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => Failure::Refused(Refusal {
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
            causes: Vec::new(),
        }),
        other => Failure::NotSent(format!("The server cannot be reached: {}.", chain(other))),
    }
}

impl Failure {
    /// Whether the server says that there is no such thing.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404)
    }

    /// What it means where something was only asked for.
    pub(super) fn problem(&self, what: &str) -> Problem {
        match self {
            Self::NotSent(why) | Self::Lost(why) => Problem::new(ProblemClass::Transient, format!("{what}: {why}")),
            Self::Refused(refusal) => Problem::new(refusal.class(), format!("{what}: {}", refusal.sentence())),
        }
    }

    /// What it means for an act.
    pub(super) fn outcome(&self, what: &str) -> Outcome {
        let problem = self.problem(what);
        match self {
            Self::NotSent(_) => Outcome::NotSent(problem),
            Self::Lost(_) => Outcome::Unknown(problem),
            // Whether a server that broke down did it before or after is not known, except where it says what is wrong.
            Self::Refused(refusal) if refusal.code >= 500 && problem.class == ProblemClass::Transient => {
                Outcome::Unknown(problem)
            }
            Self::Refused(_) => Outcome::Rejected(problem),
        }
    }
}

impl Refusal {
    fn has_cause(&self, reason: &str) -> bool {
        self.causes.iter().any(|(cause, ..)| cause == reason)
    }

    /// What can be done about it.
    pub(super) fn class(&self) -> ProblemClass {
        match self.code {
            403 if self.has_cause("NamespaceTerminating") || self.message.contains("exceeded quota") => {
                ProblemClass::Invalid
            }
            401 | 403 => ProblemClass::Denied,
            409 => ProblemClass::Conflict,
            429 => ProblemClass::Throttled,
            // A manifest that does not fit the kind's schema is answered with 500, for no webhook was asked yet.
            500 if self.untyped().is_some() => ProblemClass::Invalid,
            408 | 500..=599 => ProblemClass::Transient,
            _ => ProblemClass::Invalid,
        }
    }

    /// Whether it was refused because the object is not the one with the uid that was asked for: another has its name by now (422), or
    /// none (409).
    pub(super) fn is_another_object(&self) -> bool {
        match self.code {
            409 => self.conflicts().is_empty(),
            422 => self.causes.iter().any(|(_, field, _)| field == "metadata.uid"),
            _ => false,
        }
    }

    /// The fields that somebody else owns, with who that is.
    pub(super) fn conflicts(&self) -> Vec<(String, String)> {
        let owned = self.causes.iter().filter(|(reason, ..)| reason == "FieldManagerConflict");
        owned.map(|(_, field, message)| (field.clone(), message.clone())).collect()
    }

    /// What it says, for people.
    pub(super) fn sentence(&self) -> String {
        let conflicts = self.conflicts();
        if !conflicts.is_empty() {
            let all: Vec<String> = conflicts
                .iter()
                .map(|(field, message)| format!("{} ({})", field.trim_start_matches('.'), owner(message)))
                .collect();
            return format!(
                "Somebody else owns {}: {}. Take the field out of the manifest, have its owner let go of it, or take it over \
                 with field_manager {{ force_conflicts = true }}.",
                if all.len() == 1 { "a field that the manifest sets" } else { "fields that the manifest sets" },
                all.join("; ")
            );
        }
        match self.code {
            401 => format!(
                "The cluster does not accept the credentials (HTTP 401: {}). They are wrong or have expired: log in again.",
                self.message
            ),
            403 if self.has_cause("NamespaceTerminating") => {
                format!(
                    "The namespace is being deleted, and nothing can be made in it until it is gone: {}.",
                    self.said()
                )
            }
            404 if self.reason.is_empty() => "The cluster does not serve this kind.".into(),
            429 => "The cluster asks to go slower (HTTP 429).".into(),
            500..=599 if self.class() == ProblemClass::Transient => {
                format!("The cluster failed (HTTP {}): {}.", self.code, self.said())
            }
            _ => format!("{}.", self.said()),
        }
    }

    /// The field that does not fit the schema of its kind, and why: `failed to create typed patch object (shop/web; apps/v1,
    /// Kind=Deployment): .spec.replics: field not declared in schema`.
    fn untyped(&self) -> Option<(&str, &str)> {
        let (_, after) = self.message.split_once("failed to create typed patch object (")?;
        let (_, told) = after.split_once("): ")?;
        let (field, why) = told.split_once(": ")?;
        Some((field.trim_start_matches('.'), why.trim_end_matches('.')))
    }

    fn said(&self) -> &str {
        self.message.trim_end_matches('.')
    }

    /// The sentences of a refusal, each with the field that it is about.
    pub(super) fn parts(&self) -> Vec<(Option<String>, String)> {
        let told: Vec<(Option<String>, String)> = self
            .causes
            .iter()
            .filter(|(reason, field, _)| reason != "FieldManagerConflict" && !field.is_empty())
            .map(|(_, field, message)| (Some(field.clone()), format!("{field}: {}.", message.trim_end_matches('.'))))
            .collect();
        match told.is_empty() {
            true => {
                if let Some((field, why)) = self.untyped() {
                    let sentence = match why {
                        "field not declared in schema" => format!("{field}: The cluster's schema has no such field."),
                        why => format!("{field}: {why}."),
                    };
                    return vec![(Some(field.to_owned()), sentence)];
                }
                let field =
                    self.conflicts().into_iter().next().map(|(field, _)| field.trim_start_matches('.').to_owned());
                vec![(field, self.sentence())]
            }
            false => told,
        }
    }
}

/// The owner in the server's words: `conflict with "kubectl-edit" using apps/v1`.
fn owner(message: &str) -> String {
    message.strip_prefix("conflict with ").unwrap_or(message).to_owned()
}

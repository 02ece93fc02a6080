//! Failures in the shape of the real API server: a `Status` object with its reason, code, details and causes.

use serde_json::{Value, json};

use super::schema::Kind;

/// One cause of an `Invalid` answer or of a conflict.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".into() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// `value` is printed as JSON, as Kubernetes does since 1.34.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|one| format!("\"{one}\"")).collect();
        let message = format!("Unsupported value: \"{value}\": supported values: {}", list.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {detail}"), field: field.into() }
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self { reason: "FieldValueDuplicate", message: format!("Duplicate value: {value}"), field: field.into() }
    }

    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self { reason: "FieldValueNotFound", message: format!("Not found: {value}"), field: field.into() }
    }

    fn json(&self) -> Value {
        let mut cause = json!({"reason": self.reason, "message": self.message});
        if !self.field.is_empty() {
            cause["field"] = json!(self.field);
        }
        cause
    }
}

/// An answer that is no success.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

/// Boxed, so that a `Result` stays small.
pub(crate) type Answer<T> = Result<T, Box<Failure>>;

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, reason, message: message.into(), details: None })
    }

    pub(crate) fn with(mut self: Box<Self>, details: Value) -> Box<Self> {
        self.details = Some(details);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Box<Self> {
        Self::new(400, "BadRequest", message)
    }

    /// What the real one says of an error nobody gave a reason: code 500 and no reason at all.
    pub(crate) fn plain(message: impl Into<String>) -> Box<Self> {
        Self::new(500, "", message)
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Box<Self> {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.qualified())).with(details(kind, name))
    }

    pub(crate) fn no_such_resource() -> Box<Self> {
        Self::new(404, "NotFound", "the server could not find the requested resource").with(json!({}))
    }

    pub(crate) fn method_not_allowed() -> Box<Self> {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with(json!({}))
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Box<Self> {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).with(details(kind, name))
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Box<Self> {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::new(409, "Conflict", message).with(details(kind, name))
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Box<Self> {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// A precondition of a deletion failed: the real one names the kind here, not the resource.
    pub(crate) fn precondition(kind: &Kind, name: &str, why: &str) -> Box<Self> {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified_kind());
        let mut details = details(kind, name);
        details["kind"] = json!(kind.kind);
        Self::new(409, "Conflict", message).with(details)
    }

    pub(crate) fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Box<Self> {
        let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let message = match name {
            "" => format!("{qualified} is forbidden: {why}"),
            _ => format!("{qualified} \"{name}\" is forbidden: {why}"),
        };
        Self::new(403, "Forbidden", message).with(reference(group, resource, name))
    }

    pub(crate) fn unauthorized() -> Box<Self> {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn expired(message: &str) -> Box<Self> {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Box<Self> {
        Self::invalid_as(&kind.group, &kind.kind, name, causes)
    }

    pub(crate) fn invalid_as(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Box<Self> {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut lines: Vec<String> = Vec::new();
        for cause in causes {
            let line = format!("{}: {}", cause.field, cause.message);
            // The real one aggregates: the same line is said once, though all its causes are listed.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let said = if lines.len() == 1 { lines.remove(0) } else { format!("[{}]", lines.join(", ")) };
        let mut details = reference(group, kind, name);
        details["causes"] = causes.iter().map(Cause::json).collect();
        Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {said}")).with(details)
    }

    pub(crate) fn apply_conflict(message: String, causes: &[Cause]) -> Box<Self> {
        let causes: Vec<Value> = causes.iter().map(Cause::json).collect();
        Self::new(409, "Conflict", message).with(json!({"causes": causes}))
    }

    pub(crate) fn with_causes(mut self: Box<Self>, causes: &[Cause]) -> Box<Self> {
        let mut details = self.details.take().unwrap_or_else(|| json!({}));
        details["causes"] = causes.iter().map(Cause::json).collect();
        self.with(details)
    }

    /// The `Status` object.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}

/// `details` of an answer about an object.
pub(crate) fn details(kind: &Kind, name: &str) -> Value {
    reference(&kind.group, &kind.plural, name)
}

fn reference(group: &str, kind: &str, name: &str) -> Value {
    let mut details = json!({"kind": kind});
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    details
}

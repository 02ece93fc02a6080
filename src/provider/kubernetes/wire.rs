//! Requests to an API server, and what came of them.

use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value as Json;

/// How long one request may take: an API server gives up on its own after a minute.
const REQUEST: Duration = Duration::from_secs(65);
/// The largest answer that is read: a LIST is paged, and an object has 1.5 MB at most.
const ANSWER_MAX: usize = 256 * 1024 * 1024;

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) code: u16,
    /// The body.
    pub(super) body: Json,
}

/// Why there is no good answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// It never reached the server.
    NotSent(String),
    /// It was sent, and what became of it is not known.
    Lost(String),
    /// The server refused it; its Status object.
    Refused(Refusal),
}

/// A Status that says no.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) code: u16,
    /// In a word: `NotFound`, `Conflict`, `Invalid`.
    pub(super) reason: String,
    /// In a sentence.
    pub(super) message: String,
    /// In detail: reason, field, message.
    pub(super) causes: Vec<(String, String, String)>,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) path: String,
    pub(super) content_type: &'a str,
    pub(super) body: Option<&'a Json>,
}

/// The type of a server-side apply. JSON is YAML.
pub(super) const APPLY: &str = "application/apply-patch+yaml";
/// The type of a patch by operations (RFC 6902).
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
/// The type of everything else.
pub(super) const JSON: &str = "application/json";

impl<'a> Request<'a> {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), content_type: JSON, body: None }
    }

    pub(super) fn with(method: &'a str, path: impl Into<String>, content_type: &'a str, body: &'a Json) -> Self {
        Self { method, path: path.into(), content_type, body: Some(body) }
    }
}

/// Sends a request.
///
/// # Errors
/// When there is no answer, or it is a refusal.
pub(super) async fn send(client: &kube::Client, request: Request<'_>) -> Result<Answer, Failure> {
    let body = request.body.map(|json| json.to_string().into_bytes()).unwrap_or_default();
    let built = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header(http::header::CONTENT_TYPE, request.content_type)
        .header(http::header::ACCEPT, JSON)
        .body(Body::from(body))
        .map_err(|e| Failure::NotSent(format!("The request cannot be made: {e}.")))?;
    let answered = tokio::time::timeout(REQUEST, whole(client, built)).await;
    answered
        .unwrap_or_else(|_| Err(Failure::Lost(format!("The server gave no answer within {} s.", REQUEST.as_secs()))))
}

async fn whole(client: &kube::Client, request: http::Request<Body>) -> Result<Answer, Failure> {
    let response = client.send(request).await.map_err(|e| unsent(&e))?;
    let code = response.status().as_u16();
    let limited = http_body_util::Limited::new(response.into_body(), ANSWER_MAX);
    let bytes = limited.collect().await.map_err(|e| Failure::Lost(format!("The answer broke off: {e}.")))?.to_bytes();
    let body: Json = match serde_json::from_slice(&bytes) {
        Ok(body) => body,
        Err(_) if (400..500).contains(&code) => Json::Null,
        Err(e) => return Err(Failure::Lost(format!("The answer (HTTP {code}) is no JSON: {e}."))),
    };
    match code {
        200..=299 => Ok(Answer { code, body }),
        _ => Err(Failure::Refused(Refusal::of(code, &body, &bytes))),
    }
}

impl Refusal {
    fn of(code: u16, body: &Json, bytes: &[u8]) -> Self {
        let text = |json: &Json, name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let causes = body.pointer("/details/causes").and_then(Json::as_array);
        let cause = |one: &Json| (text(one, "reason"), text(one, "field"), text(one, "message"));
        let mut message = text(body, "message");
        if message.is_empty() {
            message = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).trim().to_owned();
        }
        Self { code, reason: text(body, "reason"), message, causes: causes.into_iter().flatten().map(cause).collect() }
    }
}

/// Whether a request reached the server at all.
pub(super) fn unsent(error: &kube::Error) -> Failure {
    let mut why = String::new();
    let mut connected = true;
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = at {
        if let Some(legacy) = one.downcast_ref::<hyper_util::client::legacy::Error>() {
            connected &= !legacy.is_connect();
        }
        why = one.to_string();
        at = one.source();
    }
    let early = matches!(
        error,
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) | kube::Error::InferConfig(_) | kube::Error::Auth(_)
    );
    match connected && !early {
        true => Failure::Lost(format!("The connection broke: {why}.")),
        false => Failure::NotSent(format!("The server cannot be reached: {why}.")),
    }
}

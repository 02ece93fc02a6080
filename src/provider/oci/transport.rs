//! One request and its answer: redirects, retries, limits, and what a failure means.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};

use super::error::shown;
use super::reference::is_local_host;
use super::secret::Secret;
use super::{Options, ResolveError};
use crate::ports::id;

/// The specification lets a registry refuse manifests above this size, so no real one is larger.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// From a registry to its storage is one redirect; more than these are a loop.
const MAX_REDIRECTS: usize = 4;
/// Connecting takes milliseconds; a filtered port shall not use up the whole time of a request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: &'static str,
    /// The whole `Authorization` header.
    pub(super) authorization: Option<&'a Secret>,
    /// An encoded form for a POST.
    pub(super) form: Option<Secret>,
}

/// What was answered, whatever its status, unless that asks to try again later.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether it is from another origin than was asked, so that its challenge must not see credentials.
    pub(super) foreign: bool,
}

/// The network, with its limits.
pub(super) struct Transport<'a> {
    options: &'a Options,
    /// For other machines, by the proxy of the environment.
    remote: OnceLock<Client>,
    /// For this machine, where a proxy could reach nothing of it.
    local: OnceLock<Client>,
}

enum Failure {
    /// Worth another try, and how it would be reported.
    Passing(ResolveError),
    Final(ResolveError),
}

impl<'a> Transport<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options, remote: OnceLock::new(), local: OnceLock::new() }
    }

    /// Asks, and asks again after what passes.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Answer, ResolveError> {
        let who = origin(&ask.url);
        let attempts = self.options.attempts.max(1);
        let mut attempt = 1;
        loop {
            let (error, asked_for) = match self.once(ask).await {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => {
                    let retry_after = retry_after(&answer.headers);
                    let status = answer.status.as_u16();
                    (ResolveError::Busy { registry: who.clone(), status, attempts: attempt, retry_after }, retry_after)
                }
                Err(Failure::Passing(error)) => (error, None),
                Err(Failure::Final(error)) => return Err(error),
            };
            // It would answer the same before that time, and a plan does not sleep for minutes.
            if attempt >= attempts || asked_for.is_some_and(|wait| wait > self.options.longest_wait) {
                return Err(error);
            }
            tokio::time::sleep(asked_for.unwrap_or_else(|| self.backoff(attempt))).await;
            attempt += 1;
        }
    }

    /// Twice as long each time, and up to half of it more, so that those who were refused together come back apart.
    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.options.first_wait.saturating_mul(1 << (attempt - 1).min(16)).min(self.options.longest_wait);
        doubled + doubled.mul_f64(f64::from(id::random::<1>()[0]) / 512.0)
    }

    /// Asks once, along redirects.
    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let mut url = ask.url.clone();
        let mut foreign = false;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.request(ask, &url, foreign).await?;
            let status = response.status();
            let location = response.headers().get(LOCATION).filter(|_| is_redirect(status));
            let Some(location) = location else {
                let headers = response.headers().clone();
                let body = read(response, &origin(&url)).await?;
                return Ok(Answer { status, headers, body, foreign });
            };
            let next = next(&url, location, ask.form.is_some()).map_err(Failure::Final)?;
            foreign |= next.origin() != url.origin();
            url = next;
        }
        let reason = "it was redirected too often. Check the registry's name in the reference";
        Err(Failure::Final(ResolveError::Redirect { registry: origin(&ask.url), to: origin(&url), reason }))
    }

    async fn request(&self, ask: &Ask<'_>, url: &Url, foreign: bool) -> Result<reqwest::Response, Failure> {
        let who = origin(url);
        let mut request = self
            .client(url)
            .map_err(Failure::Final)?
            .request(ask.method.clone(), url.clone())
            .timeout(self.options.request_timeout)
            .header(ACCEPT, ask.accept);
        if let Some(secret) = ask.authorization.filter(|_| !foreign) {
            let Ok(mut value) = HeaderValue::from_str(secret.expose()) else {
                let reason = "the credentials or the token hold characters that no header may have".to_owned();
                return Err(Failure::Final(ResolveError::Answer { registry: who, reason }));
            };
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(form) = &ask.form {
            let encoded = "application/x-www-form-urlencoded";
            request = request.header(CONTENT_TYPE, encoded).body(form.expose().to_owned());
        }
        request.send().await.map_err(|e| failure(e, who, self.options.request_timeout))
    }

    fn client(&self, url: &Url) -> Result<&Client, ResolveError> {
        let local = url.host_str().is_some_and(is_local_host);
        let cell = if local { &self.local } else { &self.remote };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT);
        let builder = if local { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|source| ResolveError::Tls { source })?;
        Ok(cell.get_or_init(|| client))
    }
}

/// Scheme, host and port, the part of an address that is never secret; without the usual scheme, as people write it.
pub(super) fn origin(url: &Url) -> String {
    let text = url.origin().ascii_serialization();
    text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text).to_owned()
}

/// Whether credentials may go there: by TLS, or to this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_local_host))
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, if it may be followed.
fn next(from: &Url, location: &HeaderValue, has_form: bool) -> Result<Url, ResolveError> {
    let registry = origin(from);
    let to = location.to_str().ok().and_then(|text| from.join(text).ok());
    let Some(to) = to.filter(|to| matches!(to.scheme(), "http" | "https")) else {
        let reason = "it redirects to an address that cannot be read".to_owned();
        return Err(ResolveError::Answer { registry, reason });
    };
    let refused = if has_form {
        Some("the request carries a login token, which goes to nobody else")
    } else if from.scheme() == "https" && to.scheme() != "https" {
        Some("that way is without TLS. Repair the registry's configuration")
    } else if !is_safe(&to) {
        Some("that way is without TLS, and not on this machine. Repair the registry's configuration")
    } else if !to.username().is_empty() || to.password().is_some() {
        Some("the address holds a user name or a password. Repair the registry's configuration")
    } else {
        None
    };
    match refused {
        Some(reason) => Err(ResolveError::Redirect { registry, to: origin(&to), reason }),
        None => Ok(to),
    }
}

async fn read(mut response: reqwest::Response, who: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                let reason = format!("its answer is larger than {} MiB", MAX_BODY / 1024 / 1024);
                return Err(Failure::Final(ResolveError::Answer { registry: who.to_owned(), reason }));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(e) => {
                let reason = "its answer broke off in the middle. Try again".to_owned();
                let source = Some(e.without_url());
                return Err(Failure::Passing(ResolveError::Unreachable { registry: who.to_owned(), reason, source }));
            }
        }
    }
}

/// How long the server wants to be left alone: seconds, or a date, which is measured by the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp());
    let until = date(text)?.duration_since(date(headers.get(DATE)?.to_str().ok()?)?);
    Some(Duration::try_from(until).unwrap_or_default())
}

fn failure(error: reqwest::Error, registry: String, timeout: Duration) -> Failure {
    let error = error.without_url();
    let mut kind = None;
    let mut last = String::new();
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(e) = source {
        kind = e.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or(kind);
        last = e.to_string();
        source = e.source();
    }
    let all = format!("{error:?}");
    let (reason, passing) = if kind == Some(std::io::ErrorKind::ConnectionRefused) {
        (
            "the connection is refused. Start the registry, or correct its name and port in the reference".to_owned(),
            false,
        )
    } else if all.contains("dns error") {
        ("its name cannot be looked up. Correct it in the reference, or check the network".to_owned(), false)
    } else if all.contains("InvalidCertificate") {
        let advice = "add its certificate authority to the system's, or name the file in SSL_CERT_FILE";
        (format!("its TLS certificate is not accepted ({}): {advice}", shown(&last)), false)
    } else if all.contains("CorruptMessage") || all.contains("InvalidContentType") {
        ("it does not speak TLS on this port. Without TLS only registries on this machine are asked".to_owned(), false)
    } else if error.is_timeout() {
        (
            format!("it did not answer within {} seconds. Check the network and the registry", timeout.as_secs_f64()),
            true,
        )
    } else {
        (format!("the connection broke ({}). Check the network and the registry", shown(&last)), true)
    };
    let error = ResolveError::Unreachable { registry, reason, source: Some(error) };
    if passing { Failure::Passing(error) } else { Failure::Final(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let read = |after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
            date.map(|date| headers.insert(DATE, HeaderValue::from_static(date)));
            retry_after(&headers)
        };
        let (then, now) = ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(read("7", None), Some(Duration::from_secs(7)));
        assert_eq!(read(then, Some(now)), Some(Duration::from_secs(30)));
        assert_eq!(read(now, Some(then)), Some(Duration::ZERO));
        assert_eq!(read(then, None), None);
        assert_eq!(read("soon", Some(now)), None);
        assert_eq!(read("-1", None), None);
    }

    #[test]
    fn redirects_lose_neither_tls_nor_secrets() {
        let follow = |from: &str, to: &'static str| {
            next(&Url::parse(from).unwrap(), &HeaderValue::from_static(to), false).map(|url| url.to_string())
        };
        assert_eq!(follow("https://r.io/v2/", "/x").unwrap(), "https://r.io/x");
        assert_eq!(follow("https://r.io/v2/", "https://s.io/x").unwrap(), "https://s.io/x");
        assert_eq!(follow("http://localhost:1/v2/", "http://127.0.0.1:2/x").unwrap(), "http://127.0.0.1:2/x");
        for (from, to) in [
            ("https://r.io/", "http://r.io/"),
            ("https://r.io/", "http://localhost/"),
            ("http://localhost/", "http://r.io/"),
            ("https://r.io/", "https://ann:hunter2@s.io/?sig=hunter2"),
            ("https://r.io/", "file:///etc/passwd"),
        ] {
            let error = follow(from, to).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(next(&Url::parse("https://r.io/").unwrap(), &HeaderValue::from_static("/x"), true).is_err());
    }
}

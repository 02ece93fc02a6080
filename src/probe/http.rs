//! HTTP probes: one request on a connection of its own.
//!
//! Redirects are not followed (a redirect to a login page is no health), no proxy of the environment stands between,
//! and nothing is kept alive between attempts: each asks whoever serves *now*.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use super::expect::{self, Answer};
use super::judge::Seen;
use super::spec::{Context, HttpProbe};
use crate::ports::clock::{Clock as _, SystemClock};

/// How much of a body is read, in bytes; assertions look at no more.
const MAX_BODY: usize = 1 << 20;

/// How many headers of an answer an attempt keeps.
const MAX_HEADERS: usize = 64;

/// How much of a header's value an attempt keeps, in characters.
const MAX_HEADER: usize = 256;

/// Headers of an answer whose values are nobody's business.
const HIDDEN_HEADERS: [&str; 3] = ["set-cookie", "authorization", "proxy-authenticate"];

/// The header by which a server can tell checks from its customers.
const MARK: &str = "gantry-check";

/// The client of this process. It holds no connection, only what is known about certificates, which takes time to read.
fn client() -> Result<&'static Client, String> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let built = CLIENT.get_or_init(|| {
        Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| deepest(&e))
    });
    built.as_ref().map_err(Clone::clone)
}

/// Makes one request and compares the answer.
pub(crate) async fn attempt(probe: &HttpProbe, context: &Context) -> Seen {
    let subject = subject(probe);
    let request = match request(probe, context) {
        Ok(request) => request,
        Err(reason) => return Seen::failed(format!("{subject} cannot be sent: {reason}")),
    };
    let client = match client() {
        Ok(client) => client,
        Err(reason) => return Seen::failed(format!("{subject} cannot be sent: {reason}")),
    };
    let peer = authority(request.url());
    let start = SystemClock.elapsed();
    let answer = match client.execute(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(error),
    };
    let latency = SystemClock.elapsed().saturating_sub(start);
    match answer {
        Ok(answer) => judged(&subject, probe, Answer { latency, ..answer }),
        Err(error) => Seen::failed(format!("{subject}: {}", reason(&error, &peer))),
    }
}

fn judged(subject: &str, probe: &HttpProbe, answer: Answer) -> Seen {
    let differences = expect::differences(&probe.expect, &answer);
    let took = expect::time(answer.latency);
    let sentence = match differences.as_slice() {
        [] => format!("{subject} answered {} in {took}", answer.status),
        all => format!("{subject} {}", all.join("; ")),
    };
    let hide = |(name, value): (String, String)| {
        let hidden = HIDDEN_HEADERS.contains(&name.as_str());
        let value = if hidden { "(sensitive)".to_owned() } else { value.chars().take(MAX_HEADER).collect() };
        (name, value)
    };
    Seen {
        ok: differences.is_empty(),
        sentence,
        status: Some(i32::from(answer.status)),
        headers: answer.headers.into_iter().take(MAX_HEADERS).map(hide).collect(),
        body: Some(String::from_utf8_lossy(&answer.body).into_owned()),
        stderr: None,
        timed_out: false,
    }
}

fn request(probe: &HttpProbe, context: &Context) -> Result<reqwest::Request, String> {
    let method = Method::from_bytes(probe.method.to_ascii_uppercase().as_bytes())
        .map_err(|_| format!("{:?} is no HTTP method", probe.method))?;
    let mut request = reqwest::Request::new(method, url(&probe.url)?);
    let mut headers = HeaderMap::new();
    if let Ok(mark) = HeaderValue::from_bytes(context.mark().as_bytes()) {
        headers.insert(MARK, mark);
    }
    for (name, value) in &probe.headers {
        headers.insert(header_name(name)?, header_value(name, value)?);
    }
    // reqwest takes credentials out of a URL only in its builder.
    if let (Some(password), false) = (request.url().password(), headers.contains_key("authorization")) {
        use base64::Engine as _;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pair = format!("{}:{}", decoded(request.url().username()), decoded(password));
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        headers.insert("authorization", header_value("authorization", &basic)?);
    }
    if let Some(body) = &probe.body {
        let json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
        if json && !headers.contains_key("content-type") {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        *request.body_mut() = Some(body.clone().into());
    }
    *request.headers_mut() = headers;
    let _ = request.url_mut().set_username("");
    let _ = request.url_mut().set_password(None);
    Ok(request)
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("its URL cannot be read ({error})"))?;
    match url.scheme() {
        "http" | "https" if url.host().is_some() => Ok(url),
        other => Err(format!("its URL starts with {other:?} instead of http:// or https://")),
    }
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| format!("the header {name} has a value that cannot be sent"))
}

/// What is wrong with a probe, before it is ever sent.
pub(crate) fn check(probe: &HttpProbe) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(
        Method::from_bytes(probe.method.as_bytes()).err().map(|_| format!("{:?} is no HTTP method", probe.method)),
    );
    wrong.extend(url(&probe.url).err());
    for (name, value) in &probe.headers {
        wrong.extend(header_name(name).err());
        wrong.extend(header_value(name, value).err());
    }
    let status = probe.expect.status.iter().filter(|s| !(100..600).contains(*s));
    wrong.extend(status.map(|s| format!("{s} is no HTTP status")));
    wrong.extend(probe.expect.body_matches.iter().filter_map(|p| expect::regex(p).err()));
    wrong.extend(probe.expect.json.iter().filter_map(|(query, _)| expect::path(query).err()));
    wrong
}

async fn read(mut response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let headers = response.headers().iter();
    let headers = headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let mut answer = Answer { status: response.status().as_u16(), headers: headers.collect(), ..Answer::default() };
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_BODY - answer.body.len();
        answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            answer.cut = true;
            break;
        }
    }
    Ok(answer)
}

/// What a sentence about this probe starts with.
pub(crate) fn subject(probe: &HttpProbe) -> String {
    let url = Url::parse(&probe.url).map_or_else(
        |_| expect::shorten(&probe.url),
        |mut url| {
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.to_string()
        },
    );
    format!("{} {url}", probe.method.to_ascii_uppercase())
}

/// Scheme, host and port of a URL: what is no secret in it.
pub(crate) fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "(no URL)".to_owned(), |url| format!("{}://{}", url.scheme(), authority(&url)))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Why there is no answer, in words.
fn reason(error: &reqwest::Error, peer: &str) -> String {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>()
            && let Some(reason) = super::tcp::io_reason(io, peer)
        {
            return reason;
        }
        if let Some(hyper) = inner.downcast_ref::<hyper::Error>()
            && hyper.is_incomplete_message()
        {
            return format!("{peer} closed the connection without a whole answer");
        }
        source = inner.source();
    }
    let text = deepest(error);
    if text.contains("dns error")
        || text.contains("failed to lookup address")
        || text.contains("Name or service not known")
    {
        return format!("the name of {peer} cannot be resolved ({text})");
    }
    format!("no answer from {peer} ({text})")
}

/// The innermost cause: the outer ones repeat the URL, or say only that something failed.
fn deepest(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

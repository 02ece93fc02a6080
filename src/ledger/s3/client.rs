//! Requests to one bucket: signed, timed, tried again where that does no harm.
//!
//! Two kinds of calls. Reading, and writing what may be written twice, is tried again after a failure that passes. A
//! conditional write ([`Client::put_if`]) is made once: what a failed one came to is `settle.rs`' business.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use reqwest::{Method, Response};
use tokio::sync::OnceCell;

use super::S3Settings;
use super::account::Account;
use super::failed::{Failed, Why};
use super::url::Place;
use super::xml::{self, Listed};
use crate::ledger::format::digest;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::id;

/// How long and how often something is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a connection.
    pub(super) connect: Duration,
    /// For the answer to one request; large bodies get more.
    pub(super) attempt: Duration,
    /// After so long no further attempt is made.
    pub(super) total: Duration,
    /// How many attempts a call has.
    pub(super) tries: u32,
    /// The pause before the second attempt, which doubles with each; a random part of it is left out.
    pub(super) pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            attempt: Duration::from_secs(20),
            total: Duration::from_secs(60),
            tries: 8,
            pause: Duration::from_millis(200),
        }
    }
}

impl Patience {
    /// When it ends, on the clock that [`is_over`] reads.
    pub(super) fn end(&self) -> Duration {
        SystemClock.elapsed() + self.total
    }
}

/// Whether a patience has ended.
pub(super) fn is_over(end: Duration) -> bool {
    SystemClock.elapsed() >= end
}

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often a store is tried that has never answered.
const FIRST_TRIES: u32 = 4;
/// The slowest line that a large body is meant to get through, in bytes a second.
const SLOWEST: u64 = 100_000;
/// The largest error body that is read.
const MAX_ERROR: usize = 64 * 1024;
/// How many objects one page of a listing may have, as S3 itself limits it.
const PAGE: &str = "1000";
/// How many pages a listing may have: a store that never ends must not keep us forever.
const MAX_PAGES: usize = 1_000_000;

/// Under what condition a write is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing stands there.
    Absent,
    /// What stands there has this tag.
    Tag(String),
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    pub(super) tag: String,
}

/// What a request is made of.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// The name of the permission that it takes.
    pub(super) action: &'static str,
    pub(super) method: Method,
    /// Relative to the prefix; `None` for the bucket itself.
    pub(super) name: Option<&'a str>,
    pub(super) query: Vec<(&'a str, &'a str)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: bytes::Bytes,
}

impl<'a> Ask<'a> {
    pub(super) fn new(action: &'static str, method: Method, name: &'a str) -> Self {
        let name = Some(name);
        Self { action, method, name, query: Vec::new(), headers: Vec::new(), body: bytes::Bytes::new() }
    }
}

/// One bucket, or the part of it below a prefix.
#[derive(Debug)]
pub(super) struct Client {
    settings: Arc<S3Settings>,
    /// Credentials that need not be looked for.
    given: Option<Credentials>,
    pub(super) patience: Patience,
    reached: Arc<OnceCell<Reached>>,
}

/// What is needed to ask.
#[derive(Debug)]
struct Reached {
    http: reqwest::Client,
    account: Account,
    place: Place,
    /// Whether anybody has ever answered there.
    answered: AtomicBool,
}

impl Client {
    pub(super) fn new(settings: S3Settings, given: Option<Credentials>, patience: Patience) -> Self {
        Self { settings: Arc::new(settings), given, patience, reached: Arc::default() }
    }

    /// The same with another patience.
    pub(super) fn with(&self, patience: Patience) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            given: self.given.clone(),
            patience,
            reached: Arc::clone(&self.reached),
        }
    }

    /// The whole key of an object.
    pub(super) fn key(&self, name: &str) -> String {
        let prefix = &self.settings.prefix;
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    async fn reached(&self) -> Result<&Reached, Failed> {
        let reach = || async {
            let http = reqwest::Client::builder()
                .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .http1_only()
                .connect_timeout(self.patience.connect);
            let local = self.settings.endpoint.as_deref().and_then(|e| super::url::checked(e).ok());
            let local = local.as_ref().and_then(reqwest::Url::host_str).is_some_and(is_this_machine);
            let http = if local { http.no_proxy() } else { http };
            let http = http.build().map_err(|e| Failed::new(Why::Unreachable, &shown(e)))?;
            let account = Account::find(&self.settings, self.given.clone(), &http).await?;
            let place = Place::new(&self.settings, account.endpoint.as_deref(), &account.region);
            let place = place.map_err(|bad| Failed::new(Why::BadEndpoint, &bad.0))?;
            tracing::debug!(origin = place.origin(), region = account.region, "s3: the bucket's place");
            Ok(Reached { http, account, place, answered: AtomicBool::new(false) })
        };
        self.reached.get_or_try_init(reach).await
    }

    /// Asks once, and gives the answer if it is a success.
    pub(super) async fn once(&self, ask: &Ask<'_>) -> Result<Response, Failed> {
        let named = |failed: Failed| {
            let key = ask.name.map(|name| format!("/{}", self.key(name))).unwrap_or_default();
            Failed { action: Some((ask.action, format!("{}{key}", self.settings.bucket))), ..failed }
        };
        let done = self.send(ask).await.map_err(named);
        match &done {
            Ok(answer) => {
                tracing::debug!(action = ask.action, name = ask.name, status = answer.status().as_u16(), "s3");
            }
            Err(failed) => tracing::debug!(action = ask.action, name = ask.name, failed = failed.text, "s3"),
        }
        done
    }

    async fn send(&self, ask: &Ask<'_>) -> Result<Response, Failed> {
        let reached = self.reached().await?;
        let key = ask.name.map(|name| self.key(name));
        let url = reached.place.url(key.as_deref(), &ask.query);
        let signed = sign_request(&reached.account, ask, &url).await?;
        let more = Duration::from_secs(ask.body.len() as u64 / SLOWEST);
        let mut request = reached.http.request(ask.method.clone(), &url).body(ask.body.clone());
        for (name, value) in signed.iter().chain(&ask.headers) {
            request = request.header(*name, value);
        }
        let answer = tokio::time::timeout(self.patience.attempt + more, request.send()).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) if e.is_connect() => return Err(Failed::new(Why::Unreachable, &shown(e))),
            Ok(Err(e)) => return Err(Failed::new(Why::Broken, &shown(e))),
            Err(_) => return Err(Failed::new(Why::Broken, &self.too_long())),
        };
        reached.answered.store(true, Ordering::Relaxed);
        if answer.status().is_success() {
            return Ok(answer);
        }
        let failed = self.refused(answer).await;
        if failed.why == Why::Expired {
            reached.account.forget().await;
        }
        Err(failed)
    }

    async fn refused(&self, mut answer: Response) -> Failed {
        let status = answer.status().as_u16();
        let region = answer.headers().get("x-amz-bucket-region").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Ok(Ok(Some(piece))) = tokio::time::timeout(self.patience.attempt, answer.chunk()).await {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        Failed::answered(status, &xml::said(&body), region)
    }

    fn too_long(&self) -> String {
        format!("no answer within {:?}", self.patience.attempt)
    }

    /// The next piece of an answer's body.
    pub(super) async fn piece(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, Failed> {
        match tokio::time::timeout(self.patience.attempt, answer.chunk()).await {
            Ok(piece) => piece.map_err(|e| Failed::new(Why::Broken, &shown(e))),
            Err(_) => Err(Failed::new(Why::Broken, &self.too_long())),
        }
    }

    /// The whole body of an answer, if it is not longer than `limit`, and comes as fast as a bad line brings it.
    pub(super) async fn body(&self, mut answer: Response, limit: u64) -> Result<Vec<u8>, Failed> {
        let time =
            self.patience.attempt + Duration::from_secs(answer.content_length().unwrap_or(0).min(limit) / SLOWEST);
        let whole = async {
            let mut bytes = Vec::new();
            while let Some(piece) = self.piece(&mut answer).await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > limit {
                    return Err(Failed::new(Why::Other, &format!("more than {limit} bytes")));
                }
            }
            Ok(bytes)
        };
        match tokio::time::timeout(time, whole).await {
            Ok(done) => done,
            Err(_) => Err(Failed::new(Why::Broken, &format!("not the whole answer within {time:?}"))),
        }
    }

    /// Waits before another attempt, the longer the more there were, and never exactly as long as anybody else.
    pub(super) async fn pause(&self, attempt: u32) {
        let longest = (self.patience.pause * 2_u32.saturating_pow(attempt)).min(MAX_PAUSE);
        let part = 0.5 + f64::from(id::random::<1>()[0]) / 512.0;
        tokio::time::sleep(longest.mul_f64(part)).await;
    }

    /// Does something that may be done again until it works, fails for good, or has been tried for long enough.
    pub(super) async fn again<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        act: impl Fn() -> F,
    ) -> Result<T, Failed> {
        let end = self.patience.end();
        let mut attempt = 0;
        loop {
            let failed = match act().await {
                Err(failed) if failed.is_passing() => failed,
                // Credentials that ran out while the command was at work: the next attempt fetches new ones.
                Err(failed) if failed.why == Why::Expired && attempt == 0 => failed,
                done => return done,
            };
            attempt += 1;
            let tries = if self.is_wrong_number(&failed) { FIRST_TRIES } else { self.patience.tries };
            if attempt >= tries || is_over(end) {
                return Err(failed);
            }
            self.pause(attempt - 1).await;
        }
    }

    /// Whether nobody is there who has ever been: an address that is wrong is likelier then than a store that is away.
    fn is_wrong_number(&self, failed: &Failed) -> bool {
        let answered = self.reached.get().is_some_and(|reached| reached.answered.load(Ordering::Relaxed));
        failed.why == Why::Unreachable && !answered
    }

    /// An object of at most `limit` bytes. `None` if there is none of that name.
    pub(super) async fn get(&self, name: &str, limit: u64) -> Result<Option<Found>, Failed> {
        let get = || async {
            let answer = match self.once(&Ask::new("s3:GetObject", Method::GET, name)).await {
                Ok(answer) => answer,
                Err(failed) if failed.why == Why::Missing => return Ok(None),
                Err(failed) => return Err(failed),
            };
            let tag = tag(&answer);
            let bytes = self.body(answer, limit).await?;
            Ok(Some(Found { bytes, tag }))
        };
        self.again(get).await
    }

    /// Writes an object, once, if the condition holds, and gives its new tag.
    pub(super) async fn put_if(
        &self,
        name: &str,
        bytes: &bytes::Bytes,
        condition: &Condition,
    ) -> Result<String, Failed> {
        let mut ask = Ask { body: bytes.clone(), ..Ask::new("s3:PutObject", Method::PUT, name) };
        ask.headers.push(match condition {
            Condition::Absent => ("if-none-match", "*".to_owned()),
            Condition::Tag(tag) => ("if-match", tag.clone()),
        });
        Ok(tag(&self.once(&ask).await?))
    }

    /// The objects whose names start with `start` and come after `after`, by their names, in order.
    pub(super) async fn list(&self, start: &str, after: Option<&str>) -> Result<Vec<Listed>, Failed> {
        let (prefix, after) = (self.key(start), after.map(|name| self.key(name)));
        let own = self.key("").len();
        let (mut all, mut next) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query =
                vec![("encoding-type", "url"), ("list-type", "2"), ("max-keys", PAGE), ("prefix", prefix.as_str())];
            match (&next, &after) {
                (Some(token), _) => query.push(("continuation-token", token)),
                (None, Some(after)) => query.push(("start-after", after)),
                (None, None) => {}
            }
            query.sort_unstable();
            let page = self.again(|| self.page(&query)).await?;
            for listed in page.objects {
                let Some(name) = listed.key.get(own..).filter(|_| listed.key.starts_with(&prefix)) else {
                    return Err(Failed::new(Why::Other, "the listing has objects that were not asked for"));
                };
                all.push(Listed { key: name.to_owned(), size: listed.size });
            }
            next = page.next;
            if next.is_none() {
                all.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                return Ok(all);
            }
        }
        Err(Failed::new(Why::Other, "the listing does not end"))
    }

    async fn page(&self, query: &[(&str, &str)]) -> Result<xml::Page, Failed> {
        let ask = Ask { name: None, query: query.to_vec(), ..Ask::new("s3:ListBucket", Method::GET, "") };
        let answer = self.once(&ask).await.map_err(|failed| match failed.why {
            // What is missing is the bucket: a listing of nothing is an empty one.
            Why::Missing => Failed { why: Why::NoBucket, ..failed },
            _ => failed,
        })?;
        let body = self.body(answer, 64 * 1024 * 1024).await?;
        xml::page(&body).map_err(|e| Failed::new(Why::Broken, &format!("the listing cannot be read: {e}")))
    }

    /// Removes an object. One that is not there is no failure.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Failed> {
        let delete = || async { self.once(&Ask::new("s3:DeleteObject", Method::DELETE, name)).await.map(drop) };
        match self.again(delete).await {
            Err(failed) if failed.why == Why::Missing => Ok(()),
            done => done,
        }
    }
}

/// The entity tag of an answer, as it stands in it.
pub(super) fn tag(answer: &Response) -> String {
    answer.headers().get("etag").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

fn is_this_machine(host: &str) -> bool {
    let plain = host.trim_matches(['[', ']']);
    host == "localhost" || plain.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A failure of the HTTP client, without the address, with its causes.
fn shown(e: reqwest::Error) -> String {
    let e = e.without_url();
    let mut text = e.to_string();
    let mut source = std::error::Error::source(&e);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

/// The headers that sign a request.
async fn sign_request(account: &Account, ask: &Ask<'_>, url: &str) -> Result<Vec<(&'static str, String)>, Failed> {
    let other = |e: &dyn std::fmt::Display| Failed::new(Why::Other, &format!("the request cannot be signed: {e}"));
    let identity = account.credentials().await?.into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&account.region)
        .name("s3")
        .time(SystemTime::from(SystemClock.now()))
        .settings(settings)
        .build()
        .map_err(|e| other(&e))?
        .into();
    let headers = ask.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Precomputed(digest(&ask.body).to_string());
    let request = SignableRequest::new(ask.method.as_str(), url, headers, body).map_err(|e| other(&e))?;
    let (signed, _) = sign(request, &params).map_err(|e| other(&e))?.into_parts();
    let (headers, _) = signed.into_parts();
    Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
}

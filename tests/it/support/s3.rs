//! A store that speaks S3 as strictly as Amazon's, inside this process, and that can be told to misbehave.
//!
//! Signatures, body digests, regions and conditions are checked; entity tags are no digests; listings come in pages.
//! (moto, the other peer of the tests, checks none of the first three, and its conditions are not one act with the write.)

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};

/// The only credentials that it knows.
pub(crate) const ACCESS_KEY: &str = "AKIATESTSTORE";
/// Their secret: nothing may ever show it.
pub(crate) const SECRET_KEY: &str = "canary-s3-secret-8f1c";
/// Its one bucket.
pub(crate) const BUCKET: &str = "ledgers";
/// Its region.
pub(crate) const REGION: &str = "eu-test-1";

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status with this code, and nothing is done.
    Answer(u16, &'static str),
    /// The request is done, and this is answered all the same.
    DoneAnd(u16, &'static str),
    /// Nothing is done and nothing is ever answered.
    Hang,
    /// The connection is closed before anything is done.
    Reset,
    /// The request is done, and the connection is closed without an answer.
    Lost,
    /// As [`Self::Reset`], and nothing is answered any more until [`Server::mend`].
    Down,
    /// As [`Self::Lost`], and nothing is answered any more until [`Server::mend`].
    LostAndDown,
    /// The connection is closed, and the request is done when so many further requests have come.
    Late(usize),
    /// Half of the answer's body comes, then the connection is closed.
    Cut,
}

/// When to misbehave.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The method, or any.
    pub(crate) method: &'static str,
    /// What the object's key has in it.
    pub(crate) key: String,
    /// How many such requests pass before.
    pub(crate) skip: usize,
    /// How many are hit.
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) key: String,
    pub(crate) query: String,
    pub(crate) conditional: bool,
    /// What was answered, 0 for nothing.
    pub(crate) status: u16,
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) tag: String,
    meta: Vec<(String, String)>,
}

/// A blob that comes in parts: its key, its metadata, and what has come.
type Upload = (String, Vec<(String, String)>, BTreeMap<u32, Object>);

/// What it holds and how it behaves.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) seen: Vec<Seen>,
    late: Vec<(usize, Ask)>,
    tags: u64,
    /// How many objects a page of a listing has.
    pub(crate) page: usize,
    /// Whether `If-None-Match` and `If-Match` count.
    pub(crate) honours: (bool, bool),
    /// Permissions that nobody has, as methods.
    pub(crate) denied: Vec<&'static str>,
    /// Whether every connection is closed without an answer.
    pub(crate) down: bool,
    /// The code that answers every request, if any.
    pub(crate) refuses: Option<(u16, &'static str)>,
}

/// A running store. Dropped, it closes.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) endpoint: String,
    /// Where the same store can be reached without any misbehaviour.
    pub(crate) beside: String,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request, taken apart.
#[derive(Debug, Clone)]
struct Ask {
    method: String,
    path: String,
    bucket: String,
    key: String,
    query: BTreeMap<String, String>,
    raw_query: String,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

/// An answer in the making.
#[derive(Debug, Clone, Default)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Server {
    /// A new, empty store on a port of its own.
    pub(crate) async fn start() -> Self {
        let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
        let (line, beside) = (bind().await.expect("a port is free"), bind().await.expect("a port is free"));
        let address =
            |listener: &tokio::net::TcpListener| format!("http://{}", listener.local_addr().expect("it is bound"));
        let endpoints = (address(&line), address(&beside));
        let state = Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            rules: Vec::new(),
            seen: Vec::new(),
            late: Vec::new(),
            tags: 0,
            page: 1000,
            honours: (true, true),
            denied: Vec::new(),
            down: false,
            refuses: None,
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            tokio::join!(listen(line, Arc::clone(&shared), true), listen(beside, shared, false));
        });
        let (endpoint, beside) = endpoints;
        Self { endpoint, beside, state, task }
    }

    /// Ends every misbehaviour.
    pub(crate) fn mend(&self) {
        let mut state = self.state();
        state.down = false;
        state.rules.clear();
    }

    /// Closes it, with every connection.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Misbehaves at the next such request.
    pub(crate) fn next(&self, method: &'static str, key: &str, fault: Fault) {
        self.rule(method, key, 0, 1, fault);
    }

    pub(crate) fn rule(&self, method: &'static str, key: &str, skip: usize, times: usize, fault: Fault) {
        self.state().rules.push(Rule { method, key: key.to_owned(), skip, times, fault });
    }

    /// Whether every misbehaviour that was asked for came about.
    pub(crate) fn spent(&self) -> bool {
        self.state().rules.is_empty()
    }

    /// The keys of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Changes an object behind everybody's back.
    pub(crate) fn tamper(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        state.tags += 1;
        let tag = format!("\"{:032x}\"", state.tags);
        let object = state.objects.get_mut(key).unwrap_or_else(|| panic!("there is no object {key}"));
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        (object.bytes, object.tag) = (bytes.into(), tag);
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed")
    }
}

impl std::error::Error for Closed {}

type Body = http_body_util::combinators::BoxBody<Bytes, Closed>;

async fn listen(listener: tokio::net::TcpListener, state: Arc<Mutex<State>>, faulty: bool) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        drop(stream.set_nodelay(true));
        let state = Arc::clone(&state);
        let service = hyper::service::service_fn(move |request| serve(Arc::clone(&state), request, faulty));
        connections.spawn(async move {
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Incoming>, faulty: bool) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let ask = Ask::new(&head, body);
    let (fault, reply) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer(ask, faulty)
    };
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset | Fault::Down | Fault::Lost | Fault::LostAndDown | Fault::Late(_)) => return Err(Closed),
        _ => {}
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let whole = |bytes| Full::new(bytes).map_err(|never: Infallible| match never {}).boxed();
    let body = if fault == Some(Fault::Cut) {
        response = response.header("content-length", reply.body.len());
        Half(Some(reply.body.slice(..reply.body.len() / 2))).boxed()
    } else {
        whole(reply.body)
    };
    Ok(response.body(body).expect("the reply has a form"))
}

/// A body that breaks off.
struct Half(Option<Bytes>);

impl hyper::body::Body for Half {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Closed>>> {
        std::task::Poll::Ready(Some(self.0.take().map(hyper::body::Frame::data).ok_or(Closed)))
    }
}

impl Ask {
    fn new(head: &hyper::http::request::Parts, body: Bytes) -> Self {
        let path = head.uri.path().to_owned();
        let plain = decode(path.trim_start_matches('/'));
        let (bucket, key) = plain.split_once('/').map_or((plain.as_str(), ""), |pair| pair);
        let raw_query = head.uri.query().unwrap_or_default().to_owned();
        let query = raw_query.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        });
        let headers =
            head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Self {
            method: head.method.to_string(),
            path,
            bucket,
            key,
            query: query.collect(),
            raw_query,
            headers: headers.collect(),
            body,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn asks(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            let digits = String::from_utf8(digits).expect("digits are ASCII");
            bytes.push(u8::from_str_radix(&digits, 16).expect("a client encodes what it sends"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("keys are UTF-8")
}

impl Reply {
    fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>said by the test's store</Message></Error>"
        );
        Self { status, headers: vec![("content-type".to_owned(), "application/xml".to_owned())], body: body.into() }
    }

    fn xml(body: String) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    fn empty(status: u16, tag: Option<&str>) -> Self {
        let headers = tag.map(|tag| ("etag".to_owned(), tag.to_owned())).into_iter().collect();
        Self { status, headers, body: Bytes::new() }
    }
}

impl State {
    fn answer(&mut self, ask: Ask, faulty: bool) -> (Option<Fault>, Reply) {
        self.arrive_late();
        let fault = if faulty { self.fault(&ask) } else { None };
        let mut seen = Seen {
            method: ask.method.clone(),
            key: ask.key.clone(),
            query: ask.raw_query.clone(),
            conditional: ask.header("if-match").or(ask.header("if-none-match")).is_some(),
            status: 0,
        };
        let reply = match fault {
            Some(Fault::Answer(status, code)) => Reply::error(status, code),
            Some(Fault::DoneAnd(status, code)) => {
                self.act(&ask);
                Reply::error(status, code)
            }
            Some(Fault::Hang | Fault::Reset) => Reply::default(),
            Some(Fault::Down) => {
                self.down = true;
                Reply::default()
            }
            Some(Fault::Late(count)) => {
                self.late.push((count, ask));
                Reply::default()
            }
            Some(Fault::Lost | Fault::LostAndDown) => {
                self.act(&ask);
                self.down |= fault == Some(Fault::LostAndDown);
                Reply::default()
            }
            Some(Fault::Cut) | None => self.act(&ask),
        };
        seen.status = reply.status;
        self.seen.push(seen);
        (fault, reply)
    }

    /// Requests of which the connection is long closed, and that come through now.
    fn arrive_late(&mut self) {
        for (left, _) in &mut self.late {
            *left = left.saturating_sub(1);
        }
        let (now, later) = std::mem::take(&mut self.late).into_iter().partition(|(left, _)| *left == 0);
        self.late = later;
        for (_, ask) in Vec::<(usize, Ask)>::into_iter(now) {
            self.act(&ask);
        }
    }

    fn fault(&mut self, ask: &Ask) -> Option<Fault> {
        if self.down {
            return Some(Fault::Reset);
        }
        let hits = |rule: &Rule| (rule.method.is_empty() || rule.method == ask.method) && ask.key.contains(&rule.key);
        let at = self.rules.iter().position(hits)?;
        let rule = &mut self.rules[at];
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        let fault = rule.fault;
        rule.times -= 1;
        if rule.times == 0 {
            self.rules.remove(at);
        }
        Some(fault)
    }

    fn act(&mut self, ask: &Ask) -> Reply {
        if let Some((status, code)) = self.refuses {
            return Reply::error(status, code);
        }
        if let Some(refused) = not_signed(ask) {
            return refused;
        }
        if ask.bucket != BUCKET {
            return Reply::error(404, "NoSuchBucket");
        }
        if self.denied.contains(&ask.method.as_str()) {
            return Reply::error(403, "AccessDenied");
        }
        match ask.method.as_str() {
            "GET" if ask.key.is_empty() => self.list(ask),
            "GET" | "HEAD" => self.get(ask),
            "PUT" if ask.asks("partNumber").is_some() => self.part(ask),
            "PUT" => self.put(ask),
            "POST" if ask.asks("uploads").is_some() => self.begin(ask),
            "POST" => self.complete(ask),
            "DELETE" if ask.asks("uploadId").is_some() => {
                self.uploads.remove(ask.asks("uploadId").unwrap_or_default());
                Reply::empty(204, None)
            }
            "DELETE" => {
                self.objects.remove(&ask.key);
                Reply::empty(204, None)
            }
            _ => Reply::error(405, "MethodNotAllowed"),
        }
    }

    /// How many uploads in parts are neither complete nor given up.
    pub(crate) fn open_uploads(&self) -> usize {
        self.uploads.len()
    }

    fn tag(&mut self) -> String {
        self.tags += 1;
        format!("\"{:032x}\"", self.tags)
    }

    fn put(&mut self, ask: &Ask) -> Reply {
        let there = self.objects.get(&ask.key);
        if self.honours.0 && ask.header("if-none-match") == Some("*") && there.is_some() {
            return Reply::error(412, "PreconditionFailed");
        }
        if let (true, Some(wanted)) = (self.honours.1, ask.header("if-match")) {
            match there {
                None => return Reply::error(404, "NoSuchKey"),
                Some(object) if object.tag != wanted => return Reply::error(412, "PreconditionFailed"),
                Some(_) => {}
            }
        }
        let tag = self.tag();
        let object = Object { bytes: ask.body.clone(), tag: tag.clone(), meta: meta(ask) };
        self.objects.insert(ask.key.clone(), object);
        Reply::empty(200, Some(&tag))
    }

    fn get(&self, ask: &Ask) -> Reply {
        let Some(object) = self.objects.get(&ask.key) else { return Reply::error(404, "NoSuchKey") };
        if ask.header("if-match").is_some_and(|wanted| object.tag != wanted) {
            return Reply::error(412, "PreconditionFailed");
        }
        let mut reply = Reply::empty(200, Some(&object.tag));
        reply.headers.extend(object.meta.clone());
        if ask.method == "HEAD" {
            reply.headers.push(("content-length".to_owned(), object.bytes.len().to_string()));
            return reply;
        }
        reply.body = object.bytes.clone();
        if let Some(range) = ask.header("range") {
            let from: usize =
                range.trim_start_matches("bytes=").trim_end_matches('-').parse().expect("a range has a start");
            (reply.status, reply.body) = (206, object.bytes.slice(from..));
        }
        reply
    }

    fn list(&self, ask: &Ask) -> Reply {
        assert_eq!((ask.asks("list-type"), ask.asks("encoding-type")), (Some("2"), Some("url")));
        let prefix = ask.asks("prefix").unwrap_or_default();
        let after = ask.asks("continuation-token").or(ask.asks("start-after")).unwrap_or_default();
        let mut rest =
            self.objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after).peekable();
        let (mut body, mut last) = (String::new(), String::new());
        for (key, object) in rest.by_ref().take(self.page) {
            let (size, tag) = (object.bytes.len(), object.tag.replace('"', "&quot;"));
            body.push_str(&format!(
                "<Contents><Key>{}</Key><Size>{size}</Size><ETag>{tag}</ETag></Contents>",
                encode(key)
            ));
            last.clone_from(key);
        }
        let more = rest.peek().is_some();
        let token = if more { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
        Reply::xml(format!(
            "<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>{more}</IsTruncated>{token}{body}</ListBucketResult>"
        ))
    }

    fn begin(&mut self, ask: &Ask) -> Reply {
        let id = self.tag().replace('"', "");
        self.uploads.insert(id.clone(), (ask.key.clone(), meta(ask), BTreeMap::new()));
        Reply::xml(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
    }

    fn part(&mut self, ask: &Ask) -> Reply {
        let tag = self.tag();
        let number = ask.asks("partNumber").and_then(|n| n.parse().ok()).expect("a part has a number");
        let id = ask.asks("uploadId").unwrap_or_default();
        let Some((_, _, parts)) = self.uploads.get_mut(id) else { return Reply::error(404, "NoSuchUpload") };
        parts.insert(number, Object { bytes: ask.body.clone(), tag: tag.clone(), meta: Vec::new() });
        Reply::empty(200, Some(&tag))
    }

    fn complete(&mut self, ask: &Ask) -> Reply {
        let Some((key, meta, parts)) = self.uploads.remove(ask.asks("uploadId").unwrap_or_default()) else {
            return Reply::error(404, "NoSuchUpload");
        };
        let body = String::from_utf8_lossy(&ask.body).replace("&quot;", "\"");
        let mut bytes = Vec::new();
        for (number, part) in &parts {
            let named = format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", part.tag);
            if !body.contains(&named) {
                return Reply::error(400, "InvalidPart");
            }
            bytes.extend_from_slice(&part.bytes);
        }
        let tag = self.tag();
        self.objects.insert(key, Object { bytes: bytes.into(), tag, meta });
        Reply::xml("<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>".to_owned())
    }
}

fn meta(ask: &Ask) -> Vec<(String, String)> {
    let own = ask.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-"));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// What is answered to a request that is not signed as AWS' Signature Version 4 says.
fn not_signed(ask: &Ask) -> Option<Reply> {
    let authorization = ask.header("authorization").unwrap_or_default();
    let field = |name: &str| {
        let start = authorization.find(&format!("{name}="))? + name.len() + 1;
        authorization[start..].split(',').next().map(str::trim)
    };
    let (Some(credential), Some(signed), Some(signature)) =
        (field("Credential"), field("SignedHeaders"), field("Signature"))
    else {
        return Some(Reply::error(403, "AccessDenied"));
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, day, region, "s3", "aws4_request"] = scope.as_slice() else {
        return Some(Reply::error(400, "AuthorizationHeaderMalformed"));
    };
    if *key != ACCESS_KEY {
        return Some(Reply::error(403, "InvalidAccessKeyId"));
    }
    if *region != REGION {
        let mut reply = Reply::error(400, "AuthorizationHeaderMalformed");
        let with_region = format!("<Region>{REGION}</Region></Error>");
        reply.body = String::from_utf8_lossy(&reply.body).replace("</Error>", &with_region).into();
        return Some(reply);
    }
    let digest = hex(&Sha256::digest(&ask.body));
    if ask.header("x-amz-content-sha256") != Some(&digest) {
        return Some(Reply::error(400, "XAmzContentSHA256Mismatch"));
    }
    let conditional = ["if-match", "if-none-match", "host", "x-amz-date"];
    let names: Vec<&str> = signed.split(';').collect();
    if conditional.iter().any(|name| ask.header(name).is_some() && !names.contains(name)) {
        return Some(Reply::error(403, "AccessDenied"));
    }
    let headers: String =
        names.iter().map(|name| format!("{name}:{}\n", ask.header(name).unwrap_or_default().trim())).collect();
    let mut query: Vec<String> = ask
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value).replace('/', "%2F")))
        .collect();
    query.sort();
    let canonical = format!("{}\n{}\n{}\n{headers}\n{signed}\n{digest}", ask.method, ask.path, query.join("&"));
    let time = ask.header("x-amz-date").unwrap_or_default();
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{day}/{region}/s3/aws4_request\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut secret = format!("AWS4{SECRET_KEY}").into_bytes();
    for part in [*day, *region, "s3", "aws4_request", &text] {
        secret = hmac(&secret, part);
    }
    (hex(&secret) != signature).then(|| Reply::error(403, "SignatureDoesNotMatch"))
}

//! The server itself: sockets, the order in which a request is dealt with, faults, and the loop of the controllers.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::watch;

use super::control::{Control, Fault, Seen};
use super::read::{self, Watch};
use super::route::{Asked, Target, query};
use super::status::{Answer, Failure};
use super::store::State;
use super::{discovery, lifecycle, write};

/// The largest body that the real server takes.
const MOST_BODY: usize = 3 * 1024 * 1024;
/// How often a watch that asked for them gets a bookmark; a real one gets them about once a minute.
const BOOKMARK_EVERY: Duration = Duration::from_secs(1);

/// The state, and who waits for it to change.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Shared {
    fn new() -> Self {
        Self { state: Mutex::new(State::new()), changed: watch::channel(0).0 }
    }

    /// Does something to the state, and lets the controllers follow.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (out, version) = {
            // A test that failed in the middle of an act must not hide why behind a poisoned lock.
            let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let before = state.version;
            let out = act(&mut state);
            if state.version != before {
                for _ in 0..100 {
                    if !lifecycle::settle(&mut state) {
                        break;
                    }
                }
            }
            (out, state.version)
        };
        self.changed.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        out
    }
}

/// A Kubernetes API server in this process, on a free port, with all its state in memory. It ends when dropped.
pub(crate) struct Cluster {
    url: String,
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Cluster {
    /// Starts one: the namespaces of a new cluster are there, and `admin-token` may do everything.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::new());
        let tasks = vec![
            tokio::spawn(accept(listener, Arc::clone(&shared))),
            tokio::spawn(control_namespaces(Arc::clone(&shared))),
            tokio::spawn(control_definitions(Arc::clone(&shared))),
        ];
        Self { url, shared, tasks }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The text of a kubeconfig of the administrator, with one context.
    pub(crate) fn kubeconfig(&self, context: &str) -> String {
        self.kubeconfig_of(context, "admin-token")
    }

    /// The same with the token of somebody else.
    pub(crate) fn kubeconfig_of(&self, context: &str, token: &str) -> String {
        kubeconfig(&self.url, context, token, "")
    }

    /// The test's hand in it.
    pub(crate) fn control(&self) -> Control {
        Control { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The text of a kubeconfig; `more` are further lines of the cluster.
pub(crate) fn kubeconfig(url: &str, context: &str, token: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {context}\nclusters:\n- name: {context}\n  cluster:\n    \
         server: {url}\n{more}users:\n- name: {context}\n  user:\n    token: {token}\ncontexts:\n- name: {context}\n  \
         context:\n    cluster: {context}\n    user: {context}\n"
    )
}

/// Connections end with the server: they live in its task.
async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let _ = socket.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&shared), request));
        connections.spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            // A connection that a fault closes ends in an error; so does one whose client goes.
            let _ = connection.await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Content of deleted namespaces is deleted after their delay.
async fn control_namespaces(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    loop {
        let (names, delay) = shared.with(|state| (lifecycle::terminating(state), state.namespace_delay));
        if !names.is_empty() {
            tokio::time::sleep(delay).await;
            for name in names {
                shared.with(|state| lifecycle::empty_namespace(state, &name));
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// New definitions are served after their delay.
async fn control_definitions(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    loop {
        let (keys, delay) = shared.with(|state| (lifecycle::unserved(state), state.definition_delay));
        if !keys.is_empty() {
            tokio::time::sleep(delay).await;
            for key in keys {
                shared.with(|state| lifecycle::establish(state, &key));
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// What is answered, before it is put into words.
enum Reply {
    Json(u16, Value, &'static str),
    Text(u16, String),
    Watch(Box<Watch>),
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "a fault closes the connection")
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
    };
    let target = Target::of(&asked);
    let fault = shared.with(|state| {
        let mut seen = Seen::of(&asked, target.as_ref());
        seen.user = state.access.user(asked.header("authorization")).map(|user| user.name).unwrap_or_default();
        state.faults.take(seen)
    });
    let mut stale = 0;
    match &fault {
        Some(Fault::CloseBefore) => return Err(closed()),
        Some(Fault::LateEffect(delay)) => {
            let delay = *delay;
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                drop(process(&shared, &asked, target.as_ref(), 0));
            });
            return Err(closed());
        }
        Some(Fault::DelayBefore(delay)) => tokio::time::sleep(*delay).await,
        Some(Fault::TooManyRequests { retry_after }) => {
            let message = "The server has received too many requests and has asked us to try again later";
            let details = serde_json::json!({"retryAfterSeconds": retry_after});
            let failure = Failure::new(429, "TooManyRequests", message).with(details);
            let mut response = json_response(429, &failure.body(), "application/json");
            response.headers_mut().insert("retry-after", retry_after.to_string().parse().unwrap());
            return Ok(response);
        }
        Some(Fault::Status(code)) => return Ok(json_response(*code, &broken(*code).body(), "application/json")),
        Some(Fault::Unauthorized) => {
            return Ok(json_response(401, &Failure::unauthorized().body(), "application/json"));
        }
        Some(Fault::Stale { changes }) => stale = *changes,
        _ => {}
    }
    let reply = process(&shared, &asked, target.as_ref(), stale);
    match &fault {
        Some(Fault::CloseAfter) => return Err(closed()),
        Some(Fault::DelayAnswer(delay)) => tokio::time::sleep(*delay).await,
        _ => {}
    }
    let response = match reply {
        Ok(Reply::Json(code, value, content)) => json_response(code, &value, content),
        Ok(Reply::Text(code, text)) => text_response(code, text),
        Ok(Reply::Watch(watch)) => watch_response(shared, *watch, fault.clone()),
        Err(failure) => json_response(failure.code, &failure.body(), "application/json"),
    };
    if matches!(fault, Some(Fault::Truncate)) { Ok(truncated(response).await) } else { Ok(response) }
}

fn broken(code: u16) -> Box<Failure> {
    match code {
        500 => Failure::new(500, "InternalError", "Internal error occurred: a fault of the test"),
        503 => Failure::new(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => Failure::new(504, "Timeout", "Timeout: request did not complete within requested timeout"),
        409 => Failure::new(
            409,
            "Conflict",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
        _ => Failure::new(code, "", "a fault of the test"),
    }
}

/// From the parsed request to what is answered.
fn process(shared: &Shared, asked: &Asked, target: Option<&Target>, stale: u64) -> Answer<Reply> {
    if asked.body.len() > MOST_BODY {
        let message = format!("Request entity too large: limit is {MOST_BODY}");
        return Err(Failure::new(413, "RequestEntityTooLarge", message));
    }
    shared.with(|state| {
        let user = state.access.user(asked.header("authorization"))?;
        let user = state.access.impersonate(user, asked.header("impersonate-user"), target)?;
        if ["/readyz", "/livez", "/healthz"].contains(&asked.path.as_str()) {
            return Ok(Reply::Text(200, "ok".into()));
        }
        if asked.method == "GET"
            && let Some((value, content)) = discovery::answer(state, asked)
        {
            return Ok(Reply::Json(200, value, content));
        }
        let not_found = || Ok(Reply::Text(404, "404 page not found\n".into()));
        let Some(target) = target else { return not_found() };
        let in_group = |kind: &&Arc<super::schema::Kind>| kind.group == target.group && kind.version == target.version;
        let is_group_known = state.kinds.iter().any(|kind| in_group(&kind));
        if !is_group_known {
            return not_found();
        }
        state.access.check(&user, target)?;
        let is_custom = state.kinds.iter().find(in_group).is_some_and(|kind| kind.custom);
        let Some(kind) = state.kind(&target.group, &target.version, &target.resource) else {
            return if is_custom { not_found() } else { Err(Failure::no_such_resource()) };
        };
        if kind.plural == "selfsubjectaccessreviews" && target.verb == "create" {
            let review = serde_json::from_slice(&asked.body).map_err(|why| Failure::bad_request(why.to_string()))?;
            return Ok(Reply::Json(201, state.access.review(&user, &review), "application/json"));
        }
        if !target.subresource.is_empty() && !kind.has_sub(&target.subresource) {
            return Err(Failure::no_such_resource());
        }
        let version = if stale == 0 { u64::MAX } else { state.version.saturating_sub(stale) };
        match (target.verb.as_str(), target.subresource.as_str()) {
            ("get", "log") => {
                let pod = read::get(state, &kind, target, u64::MAX)?;
                let log = read::log(state, target, asked, &pod)?;
                let runs = pod["spec"]["nodeName"].is_string();
                Ok(Reply::Text(if log.is_empty() && !runs { 204 } else { 200 }, log))
            }
            ("get", "scale") => {
                let object = read::get(state, &kind, target, version)?;
                Ok(Reply::Json(200, read::scale(&object), "application/json"))
            }
            ("get", _) => Ok(Reply::Json(200, read::get(state, &kind, target, version)?, "application/json")),
            ("list", _) if kind.verbs.iter().any(|verb| verb == "list") => {
                Ok(Reply::Json(200, read::list(state, &kind, target, asked, version)?, "application/json"))
            }
            ("watch", _) => Ok(Reply::Watch(Box::new(read::watch(state, &kind, target, asked)?))),
            ("list", _) => Err(Failure::method_not_allowed()),
            _ => {
                let (code, value) = write::process(state, &kind, target, asked)?;
                let is_object = value["kind"] == kind.kind.as_str();
                let value = if is_object { read::present(&kind, &value) } else { value };
                Ok(Reply::Json(code, value, "application/json"))
            }
        }
    })
}

fn json_response(code: u16, value: &Value, content: &str) -> Response<Body> {
    let body = format!("{value}\n");
    let response = Response::builder().status(code).header("content-type", content);
    response.header("content-length", body.len()).body(Body::from(body)).unwrap()
}

fn text_response(code: u16, text: String) -> Response<Body> {
    let response = Response::builder().status(code).header("content-type", "text/plain; charset=utf-8");
    response.body(Body::from(text)).unwrap()
}

/// Half of a body, and then the end of the connection.
async fn truncated(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    let parts_of_body = futures_util::stream::iter([Ok(half), Err(closed())]);
    // The error must not overtake what was written before it.
    let slowly = parts_of_body.then(|part| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        part
    });
    Response::from_parts(parts, Body::from_stream(slowly))
}

/// A watch that is being sent.
struct Sending {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    watch: Watch,
    waiting: std::collections::VecDeque<Value>,
    fault: Option<Fault>,
    sent: usize,
    until: tokio::time::Instant,
    is_over: bool,
}

fn watch_response(shared: Arc<Shared>, mut watch: Watch, fault: Option<Fault>) -> Response<Body> {
    let mut changed = shared.changed.subscribe();
    changed.mark_changed();
    let until = tokio::time::Instant::now() + watch.timeout;
    let waiting = std::mem::take(&mut watch.first).into();
    let sending = Sending { shared, changed, watch, waiting, fault, sent: 0, until, is_over: false };
    let lines = futures_util::stream::unfold(sending, |mut sending| async move {
        let event = sending.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))), sending))
    });
    let response = Response::builder().status(StatusCode::OK).header("content-type", "application/json");
    response.body(Body::from_stream(lines)).unwrap()
}

impl Sending {
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.fault {
                _ if self.is_over => return None,
                Some(Fault::WatchClosed { after }) if self.sent >= after => return None,
                Some(Fault::WatchExpired { after }) if self.sent >= after => {
                    self.is_over = true;
                    return Some(read::too_old(self.watch.version, self.watch.version + 1));
                }
                _ => {}
            }
            if let Some(event) = self.waiting.pop_front() {
                self.sent += 1;
                return Some(event);
            }
            if tokio::time::Instant::now() >= self.until {
                return None;
            }
            tokio::select! {
                changed = self.changed.changed() => {
                    changed.ok()?;
                    let watch = &mut self.watch;
                    self.waiting.extend(self.shared.with(|state| watch.next(state)));
                }
                () = tokio::time::sleep_until(self.until) => return None,
                () = tokio::time::sleep(BOOKMARK_EVERY), if self.watch.bookmarks => {
                    return Some(self.watch.bookmark(self.watch.version));
                }
            }
        }
    }
}

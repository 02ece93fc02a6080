//! The front for HTTP/1.1: a reverse proxy that decides for every request anew where it goes.
//!
//! RFC 9110 section 7.6 says what an intermediary has to do to headers, section 9.2.2 which requests it may send again by
//! itself. A request that no byte of was sent goes to another replica; one without a body whose method is safe does so also
//! when its replica dies before it answers. Each request has a connection of its own to the replica: on this machine that
//! costs some 50 microseconds, and no request can meet a connection that its replica is about to close.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::{Method, StatusCode, Uri, Version};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::deployment::Ticket;
use super::front::Target;
use super::tcp::{ATTEMPTS, CONNECT_TIMEOUT};

/// How much of a probe's answer is read before its connection is dropped.
const PROBE_BODY_MAX: usize = 64 * 1024;

/// Headers that belong to one connection (RFC 9110 section 7.6.1), in addition to those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// A body that is on its way through: a request with it is under way until the last byte has gone.
pub(super) struct Passing {
    body: Incoming,
    _ticket: Ticket,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type Outgoing = Either<Passing, Full<Bytes>>;

/// Serves one client's connection.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, target: Target) {
    let service = hyper::service::service_fn(move |request| {
        let target = target.clone();
        async move { Ok::<_, std::convert::Infallible>(handle(request, peer, &target).await) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn handle(mut request: Request<Incoming>, peer: SocketAddr, target: &Target) -> Response<Outgoing> {
    let upgrade = upgrade_of(request.headers());
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let forwarded = forward(request, peer, upgrade);
    let (mut response, ticket) = match send(forwarded, target).await {
        Ok(answered) => answered,
        Err(refusal) => return refusal,
    };
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = upgrade_of(response.headers());
    strip(response.headers_mut());
    if upgraded && let Some(client) = client {
        put_upgrade(response.headers_mut(), protocol);
        let replica = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let _ticket = ticket;
            if let (Ok(client), Ok(replica)) = tokio::join!(client, replica) {
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(replica)).await;
            }
        });
        return response.map(|_| Either::Right(Full::default()));
    }
    response.map(|body| Either::Left(Passing { body, _ticket: ticket }))
}

/// The protocol that a message wants to change to.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| named).cloned()
}

fn put_upgrade(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// Takes out what belongs to one connection.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The request as the replica gets it.
fn forward(request: Request<Incoming>, peer: SocketAddr, upgrade: Option<HeaderValue>) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    put_upgrade(&mut parts.headers, upgrade);
    let mut clients: Vec<String> =
        parts.headers.get_all("x-forwarded-for").iter().filter_map(|v| Some(v.to_str().ok()?.to_owned())).collect();
    clients.push(peer.ip().to_string());
    if let Ok(value) = HeaderValue::from_str(&clients.join(", ")) {
        parts.headers.insert("x-forwarded-for", value);
    }
    parts.headers.entry("x-forwarded-proto").or_insert(HeaderValue::from_static("http"));
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
    if let Some(path) = parts.uri.path_and_query().cloned() {
        parts.uri = Uri::from(path);
    }
    parts.version = Version::HTTP_11;
    Request::from_parts(parts, body)
}

/// The request's head once more, if it may be sent again by itself: safe, and without a body.
fn repeatable(request: &Request<Incoming>) -> Option<Request<()>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let upgrades = request.headers().contains_key(header::UPGRADE);
    if !safe || upgrades || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(());
    again.method_mut().clone_from(request.method());
    again.uri_mut().clone_from(request.uri());
    again.headers_mut().clone_from(request.headers());
    Some(again)
}

type ToReplica = Either<Incoming, Full<Bytes>>;

/// Sends a request to a replica that takes it.
async fn send(request: Request<Incoming>, target: &Target) -> Result<(Response<Incoming>, Ticket), Response<Outgoing>> {
    let again = repeatable(&request);
    let mut request: Request<ToReplica> = request.map(Either::Left);
    let mut tried = Vec::new();
    for _ in 0..ATTEMPTS {
        let Some(route) = target.route(&mut tried).await else {
            return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "no replica of this service is ready\n"));
        };
        tried.push(route.port);
        let Some(mut replica) = connect(route.port).await else { continue };
        match replica.try_send_request(request).await {
            Ok(response) => return Ok((response, route.ticket)),
            Err(mut failed) => match (failed.take_message(), &again) {
                (Some(unsent), _) => request = unsent,
                (None, Some(head)) => request = head.clone().map(|()| Either::Right(Full::default())),
                (None, None) => {
                    return Err(refuse(StatusCode::BAD_GATEWAY, "the replica ended before it answered\n"));
                }
            },
        }
    }
    Err(refuse(StatusCode::BAD_GATEWAY, "no replica of this service took the request\n"))
}

fn refuse(status: StatusCode, text: &'static str) -> Response<Outgoing> {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert("gantry-proxy", HeaderValue::from_static("1"));
    response
}

type Sender<B> = hyper::client::conn::http1::SendRequest<B>;

/// A connection to a replica, driven in the background until both sides are done with it.
async fn connect<B>(port: u16) -> Option<Sender<B>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(("127.0.0.1", port))).await.ok()?.ok()?;
    let _ = stream.set_nodelay(true);
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection.with_upgrades());
    Some(sender)
}

/// Asks a replica whether it is ready: a GET that answers 2xx or 3xx.
pub(super) async fn probe(port: u16, path: &str) -> Result<(), String> {
    let mut replica = connect::<Full<Bytes>>(port).await.ok_or_else(|| "its port is not open".to_owned())?;
    let request = Request::get(path)
        .header(header::HOST, format!("127.0.0.1:{port}"))
        .header(header::USER_AGENT, "gantry-readiness")
        .header(header::CONNECTION, "close")
        .body(Full::default())
        .map_err(|_| format!("\"{path}\" is not a path"))?;
    let response = replica.send_request(request).await.map_err(|_| format!("GET {path} got no answer"))?;
    let status = response.status();
    let mut body = http_body_util::Limited::new(response.into_body(), PROBE_BODY_MAX);
    // Read to its end, so that a simple server does not meet a closed connection.
    let _ =
        tokio::time::timeout(Duration::from_millis(500), async { while let Some(Ok(_)) = body.frame().await {} }).await;
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("GET {path} answered {status}")) }
}

//! Sending what waits in an outbox, with a bounded number of attempts, each after a longer and jittered wait.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};

use super::outbox::{Message, Outbox, OutboxError};
use super::sign::signature;
use crate::ports::clock::{Clock, SystemClock};
use crate::ports::id;

/// How often it is looked whether another process has stopped delivering.
const LOOK: Duration = Duration::from_millis(50);

/// Where the messages of a webhook go.
#[derive(Clone)]
pub struct Receiver {
    /// The address. It is a credential.
    pub url: String,
    /// What messages are signed with.
    pub key: Option<Vec<u8>>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver(…)")
    }
}

/// How long is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often a message is sent, at most.
    pub attempts: u32,
    /// The wait after the first attempt; each further one is twice as long, and up to half of it longer.
    pub first: Duration,
    /// The longest wait, also where a receiver asks for a longer one.
    pub longest: Duration,
    /// How long one attempt may take.
    pub each: Duration,
    /// How long all of it may take before no further attempt is begun.
    pub all: Duration,
}

impl Patience {
    /// For a command whose work is telling.
    pub const DRIFT: Self = Self {
        attempts: 4,
        first: Duration::from_millis(500),
        longest: Duration::from_secs(5),
        each: Duration::from_secs(10),
        all: Duration::from_secs(30),
    };

    /// For a command whose work is done: it shall end soon, and the next one goes on.
    pub const RUN: Self = Self {
        attempts: 2,
        first: Duration::from_millis(250),
        longest: Duration::from_secs(1),
        each: Duration::from_secs(5),
        all: Duration::from_secs(10),
    };
}

/// What still waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// For which webhook; nothing where the outbox itself is the reason.
    pub webhook: Option<String>,
    /// How many messages.
    pub messages: usize,
    /// Why, as a sentence's end.
    pub why: String,
}

/// What became of what waited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// How many messages were delivered.
    pub sent: usize,
    /// What still waits.
    pub left: Vec<Left>,
}

/// Why a message was not taken.
struct Refused {
    why: String,
    /// Whether the same message may be taken later in this command.
    passing: bool,
    /// Whether other messages to the same receiver fare no better.
    down: bool,
    wait: Option<Duration>,
}

/// Delivers what waits for a project's webhooks. Of two processes that do so at once the second waits for the first, and then
/// sends what that has left.
///
/// # Errors
/// When the outbox cannot be read.
pub async fn deliver(
    outbox: &Outbox,
    project: &str,
    receivers: &BTreeMap<String, Result<Receiver, String>>,
    patience: Patience,
) -> Result<Delivered, OutboxError> {
    let clock = SystemClock;
    let until = clock.elapsed() + patience.all;
    let lock = loop {
        if let Some(lock) = outbox.lock(&["deliver", project])? {
            break lock;
        }
        if clock.elapsed() >= until {
            let messages = outbox.waiting(project)?.0.len();
            let why = "another process is delivering, and has not ended".to_owned();
            let left = if messages > 0 { vec![Left { webhook: None, messages, why }] } else { Vec::new() };
            return Ok(Delivered { sent: 0, left });
        }
        clock.sleep(LOOK).await;
    };
    let (waiting, damaged) = outbox.waiting(project)?;
    let mut all = Delivered::default();
    for e in damaged {
        all.left.push(Left { webhook: None, messages: 1, why: e.to_string() });
    }
    let mut by_webhook: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for message in waiting {
        by_webhook.entry(message.webhook.clone()).or_default().push(message);
    }
    let work = by_webhook.into_iter().map(|(name, messages)| async move {
        let receiver = match receivers.get(&name) {
            Some(Ok(receiver)) => receiver,
            Some(Err(why)) => return one_left(&name, messages.len(), why.clone()),
            None => {
                let why = format!(
                    "the project file has no webhook of this name any more. Remove them where nobody is to get them: {}",
                    outbox.directory().join("messages").display()
                );
                return one_left(&name, messages.len(), why);
            }
        };
        to_one(outbox, &name, receiver, messages, patience, until).await
    });
    for one in futures_util::future::join_all(work).await {
        all.sent += one.sent;
        all.left.extend(one.left);
    }
    drop(lock);
    Ok(all)
}

fn one_left(webhook: &str, messages: usize, why: String) -> Delivered {
    Delivered { sent: 0, left: vec![Left { webhook: Some(webhook.to_owned()), messages, why }] }
}

async fn to_one(
    outbox: &Outbox,
    name: &str,
    receiver: &Receiver,
    messages: Vec<Message>,
    patience: Patience,
    until: Duration,
) -> Delivered {
    let (mut sent, mut left, mut why) = (0, 0, None);
    let mut down = false;
    for mut message in messages {
        if down {
            left += 1;
            continue;
        }
        let refused = match insist(receiver, &mut message, patience, until).await {
            Ok(()) => match outbox.remove(&message.id) {
                Ok(()) => {
                    sent += 1;
                    continue;
                }
                // It will be sent again, under the same identity.
                Err(e) => Refused { why: e.to_string(), passing: false, down: false, wait: None },
            },
            Err(refused) => refused,
        };
        message.last = Some(refused.why.clone());
        if let Err(e) = outbox.tried(&message) {
            tracing::warn!(error = %e, "an attempt was not noted");
        }
        left += 1;
        down = refused.down;
        why = Some(refused.why);
    }
    let left = why.map(|why| Left { webhook: Some(name.to_owned()), messages: left, why });
    Delivered { sent, left: left.into_iter().collect() }
}

/// Sends a message until it is taken, or no further attempt is due.
async fn insist(
    receiver: &Receiver,
    message: &mut Message,
    patience: Patience,
    until: Duration,
) -> Result<(), Refused> {
    let clock = SystemClock;
    let mut attempt = 1;
    loop {
        message.attempts += 1;
        let refused = match once(receiver, message, patience.each).await {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let wait = refused.wait.unwrap_or_default().max(backoff(patience, attempt)).min(patience.longest);
        if !refused.passing || attempt >= patience.attempts || clock.elapsed() + wait >= until {
            return Err(refused);
        }
        clock.sleep(wait).await;
        attempt += 1;
    }
}

fn backoff(patience: Patience, attempt: u32) -> Duration {
    let doubled = patience.first.saturating_mul(1 << (attempt - 1).min(16)).min(patience.longest);
    doubled + doubled.mul_f64(f64::from(id::random::<1>()[0]) / 512.0)
}

async fn once(receiver: &Receiver, message: &Message, limit: Duration) -> Result<(), Refused> {
    let unfit = |why: &str| Refused { why: why.to_owned(), passing: false, down: true, wait: None };
    let url = Url::parse(&receiver.url).map_err(|_| unfit("its address is no URL"))?;
    let client = client(&url).ok_or_else(|| unfit("no HTTP client could be made"))?;
    let timestamp = SystemClock.now().as_second();
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(unfit("the message cannot be sent as it is")),
    };
    put("content-type", "application/json")?;
    put("webhook-id", &message.id)?;
    put("webhook-timestamp", &timestamp.to_string())?;
    if let Some(key) = &receiver.key {
        put("webhook-signature", &signature(key, &message.id, timestamp, &message.body))?;
    }
    let sent = client.post(url).headers(headers).timeout(limit).body(message.body.clone()).send().await;
    let response = sent.map_err(|e| Refused { why: reason(&e, limit), passing: true, down: true, wait: None })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let passing = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    let asked = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    // What is wrong with one message need not be wrong with the next; who does not know us knows no message of ours.
    let about_message = matches!(status.as_u16(), 400 | 413 | 422);
    let why = match status.is_redirection() {
        true => format!("it answered {}, and redirects are not followed", status.as_u16()),
        false => format!("it answered {}", status.as_u16()),
    };
    Err(Refused { why, passing, down: !about_message, wait: asked.map(Duration::from_secs) })
}

/// The client: for this machine without the proxy of the environment, which could reach nothing of it.
fn client(url: &Url) -> Option<&'static Client> {
    static CLIENTS: [OnceLock<Option<Client>>; 2] = [OnceLock::new(), OnceLock::new()];
    let local = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    };
    let make = || {
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")));
        let builder = if local { builder.no_proxy() } else { builder };
        builder.build().ok()
    };
    CLIENTS[usize::from(local)].get_or_init(make).as_ref()
}

/// Why there is no answer, in words that do not name the address.
fn reason(error: &reqwest::Error, limit: Duration) -> String {
    if error.is_timeout() {
        return format!("it did not answer within {} s", limit.as_secs());
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return "it refuses connections".to_owned(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => {
                    return "it closed the connection".to_owned();
                }
                _ => {}
            }
        }
        let text = inner.to_string();
        if text.contains("dns error") || text.contains("failed to lookup") {
            return "its name cannot be resolved".to_owned();
        }
        if text.contains("certificate") {
            return "its certificate is not accepted".to_owned();
        }
        source = inner.source();
    }
    if error.is_connect() { "it cannot be reached".to_owned() } else { "the request failed".to_owned() }
}

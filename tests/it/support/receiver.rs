//! A server that takes webhooks, remembers what it got and answers what it is told to.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use super::eventually;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{:?} is no JSON: {e}", self.body))
    }

    /// Whether it is signed as Standard Webhooks have it.
    pub(crate) fn is_signed_with(&self, key: &[u8]) -> bool {
        let (Some(id), Some(time)) = (self.header("webhook-id"), self.header("webhook-timestamp")) else {
            return false;
        };
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(format!("{id}.{time}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature") == Some(&expected)
    }
}

/// The server.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    /// Answers with these statuses, one after the other, and from then on with 200.
    pub(crate) fn new(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let statuses = Arc::new(Mutex::new(statuses.to_vec()));
        let (kept, script) = (Arc::clone(&got), Arc::clone(&statuses));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else { continue };
                let status = {
                    let mut script = script.lock().expect("no test panics with it");
                    if script.is_empty() { 200 } else { script.remove(0) }
                };
                kept.lock().expect("no test panics with it").push(request);
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                let _ = (&stream).write_all(head.as_bytes());
            }
        });
        Self { port, got, statuses }
    }

    /// What it answers next.
    pub(crate) fn answers(&self, statuses: &[u16]) {
        *self.statuses.lock().expect("no test panics with it") = statuses.to_vec();
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("no test panics with it").clone()
    }

    /// Waits until it got so many.
    pub(crate) fn waits_for(&self, count: usize) -> Vec<Got> {
        let there = eventually(Duration::from_secs(20), || self.got().len() >= count);
        assert!(there, "only {} of {count} came", self.got().len());
        self.got()
    }
}

fn read(mut stream: &TcpStream) -> Option<Got> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let got = Got { head: head.to_owned(), body: body.to_owned() };
            if got.header("content-length")?.parse::<usize>().ok()? <= body.len() {
                return Some(got);
            }
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}

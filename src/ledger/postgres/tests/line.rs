//! A line to the server that can be cut: a socket in a directory of its own, whose connections are passed on.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::{Place, Postgres};
use crate::ledger::Backend;
use crate::ledger::conformance::{Cut, Line};

/// What only an append sends: a part of every test entry.
const NEEDLE: &[u8] = b"\"text\":\"gr";

/// What the server says when it is done with one.
const DONE: &[u8] = b"INSERT 0 1\0";

pub(super) struct Cuttable {
    place: Place,
    url: String,
    state: Arc<State>,
    listening: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

struct State {
    cut: Mutex<Option<Cut>>,
    /// Whether nothing passes.
    dead: watch::Sender<bool>,
}

impl Cuttable {
    pub(super) fn new(place: Place) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let state = Arc::new(State { cut: Mutex::new(None), dead: watch::Sender::new(false) });
        let passing = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&passing)));
            }
        });
        let url = Postgres::url_at(directory.path(), &place.database);
        Self { place, url, state, listening, _directory: directory }
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Line for Cuttable {
    fn open(&self) -> Arc<dyn Backend> {
        self.place.open_at(&self.url)
    }

    fn beside(&self) -> Arc<dyn Backend> {
        self.place.open()
    }

    fn cut(&self, cut: Cut) {
        match cut {
            Cut::All => drop(self.state.dead.send_replace(true)),
            other => *self.state.cut.lock().unwrap() = Some(other),
        }
    }

    fn mend(&self) {
        *self.state.cut.lock().unwrap() = None;
        self.state.dead.send_replace(false);
    }
}

/// Passes a connection on until it ends or is cut.
async fn pass(mut client: UnixStream, state: Arc<State>) {
    let mut dead = state.dead.subscribe();
    if *dead.borrow() {
        return;
    }
    let socket = Postgres::shared().directory().join(".s.PGSQL.5432");
    let mut server = UnixStream::connect(socket).await.unwrap();
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            () = async { drop(dead.wait_for(|dead| *dead).await) } => return,
            count = client.read(&mut up) => {
                let Ok(count @ 1..) = count else { return };
                let sent = &up[..count];
                let cut = if contains(sent, NEEDLE) { state.cut.lock().unwrap().take() } else { None };
                if cut == Some(Cut::Request) {
                    return;
                }
                server.write_all(sent).await.unwrap();
                if cut.is_some() {
                    swallow_answer(&mut server).await;
                    if cut == Some(Cut::AnswerAndAll) {
                        state.dead.send_replace(true);
                    }
                    return;
                }
            }
            count = server.read(&mut down) => {
                let Ok(count @ 1..) = count else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits until the server has said that it is done.
async fn swallow_answer(server: &mut UnixStream) {
    let mut answer = Vec::new();
    while !contains(&answer, DONE) {
        let count = server.read_buf(&mut answer).await.unwrap();
        assert!(count > 0, "the server hung up: {}", String::from_utf8_lossy(&answer));
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

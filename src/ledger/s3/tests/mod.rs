//! The S3 backend: the conformance suite against moto and against a strict store of our own, and what only a store
//! across a network can do to a writer.

mod blobs;
mod contention;
mod errors;
mod faults;
mod integrity;
mod removal;

#[path = "../../../../tests/it/support/http.rs"]
#[expect(dead_code, reason = "shared with the integration tests")]
mod http;
#[path = "../../../../tests/it/support/moto.rs"]
mod moto;
#[path = "../../../../tests/it/support/s3.rs"]
#[expect(dead_code, reason = "shared with the integration tests")]
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use tempfile::TempDir;

use super::*;
use crate::ledger::Writer;
use crate::ledger::conformance::{self, Cut, Line, draft, numbers};
use moto::Moto;
use server::{BUCKET, Fault, Server};

/// Quick to give up, so that a test of giving up is quick.
const QUICK: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_millis(700),
    total: Duration::from_secs(20),
    tries: 4,
    pause: Duration::from_millis(4),
};

/// The part size of these tests: small enough that a small blob has several.
const PART: usize = 50_000;

fn keys() -> Credentials {
    Credentials::new(server::ACCESS_KEY, server::SECRET_KEY, None, None, "test")
}

fn settings(endpoint: &str, prefix: &str) -> S3Settings {
    S3Settings {
        bucket: BUCKET.to_owned(),
        prefix: prefix.to_owned(),
        region: Some(server::REGION.to_owned()),
        endpoint: Some(endpoint.to_owned()),
        ..S3Settings::default()
    }
}

/// One ledger in a store, seen from as many machines as one likes.
struct Place {
    first: S3Backend,
    caches: TempDir,
    machines: AtomicUsize,
}

impl Place {
    fn new(server: &Server) -> Self {
        let caches = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(&caches.path().join("first"));
        let first = S3Backend::with(settings(&server.endpoint, "team/prod"), cache, QUICK, PART, Some(keys()));
        Self { first, caches, machines: AtomicUsize::new(0) }
    }

    /// As another machine sees it.
    fn open(&self) -> Arc<dyn Backend> {
        let number = self.machines.fetch_add(1, Ordering::SeqCst);
        Arc::new(self.first.elsewhere(BlobCache::new(&self.caches.path().join(number.to_string()))))
    }

    /// A ledger with one entry, and its writer.
    async fn begun(&self) -> Writer {
        let (mut writer, _) = Writer::open(self.open()).await.unwrap();
        writer.append(vec![draft(1)]).await.unwrap();
        writer
    }

    async fn numbers(&self) -> Vec<u64> {
        numbers(&self.open().read(1).await.unwrap().unwrap().entries)
    }
}

/// What makes new empty places in a store, as the conformance suite wants it.
fn places(endpoint: &str, part: usize) -> impl Fn() -> Box<dyn Fn() -> Arc<dyn Backend> + Send + Sync> {
    let (endpoint, count) = (endpoint.to_owned(), AtomicUsize::new(0));
    let caches = Arc::new(tempfile::tempdir().unwrap());
    move || {
        let place = count.fetch_add(1, Ordering::SeqCst);
        let settings = settings(&endpoint, &format!("place/{place}"));
        let (caches, machines) = (Arc::clone(&caches), AtomicUsize::new(0));
        let cache = move |machine: &str| BlobCache::new(&caches.path().join(format!("{place}-{machine}")));
        let first = S3Backend::with(settings, cache("first"), Patience::default(), part, Some(keys()));
        Box::new(move || {
            let machine = machines.fetch_add(1, Ordering::SeqCst).to_string();
            Arc::new(first.elsewhere(cache(&machine)))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_on_a_strict_store() {
    let server = Server::start().await;
    server.state().page = 60;
    conformance::all(places(&server.endpoint, PART)).await;
    assert!(server.keys().iter().all(|key| !key.contains(object::PROBE)), "the probes left something behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_on_moto() {
    let Some(moto) = Moto::start() else { return };
    moto.bucket(BUCKET);
    conformance::all(places(&moto.endpoint, super::blobs::PART)).await;
}

#[tokio::test]
async fn a_ledger_is_these_objects_and_a_fence_gives_way_to_its_writer() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let mut writer = place.begun().await;
    writer.append(vec![draft(2), draft(3)]).await.unwrap();
    let names = |more: &[&str]| {
        let mut names = vec!["key", "ledger/00000000000000000001", "ledger/00000000000000000002", "marker.json"];
        names.extend(more);
        names.sort_unstable();
        names.iter().map(|name| format!("team/prod/{name}")).collect::<Vec<_>>()
    };
    assert_eq!(server.keys(), names(&[]));
    let (mut next, _) = Writer::open_fenced(place.open()).await.unwrap();
    assert_eq!(server.keys(), names(&["ledger/00000000000000000004"]));
    assert_eq!(place.numbers().await, [1, 2, 3], "a fence is nothing to a reader");
    next.append(vec![draft(4)]).await.unwrap();
    assert_eq!(server.keys(), names(&["ledger/00000000000000000004"]), "the batch took the place of the fence");
    assert_eq!(place.numbers().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_listing_of_many_pages_is_read_whole() {
    let server = Server::start().await;
    let place = Place::new(&server);
    let mut writer = place.begun().await;
    for n in 2..=1205 {
        writer.append(vec![draft(n)]).await.unwrap();
    }
    server.state().seen.clear();
    assert_eq!(place.numbers().await, (1..=1205).collect::<Vec<_>>());
    let seen = server.state().seen.clone();
    assert_eq!(seen.iter().filter(|seen| seen.query.contains("list-type")).count(), 2, "pages of 1,000");
    let verified = place.open().verify(&BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!((verified.head.seq, verified.findings), (1205, vec![]));
}

/// A store behind a line that can be cut.
struct Wire {
    server: Server,
    over: S3Backend,
    beside: S3Backend,
    caches: TempDir,
    machines: AtomicUsize,
}

impl Wire {
    async fn new() -> Self {
        let (server, caches) = (Server::start().await, tempfile::tempdir().unwrap());
        let backend = |endpoint: &str, name: &str| {
            let cache = BlobCache::new(&caches.path().join(name));
            // Long enough for another machine to take over in the meantime.
            let patience = Patience { tries: 8, pause: Duration::from_millis(30), ..QUICK };
            S3Backend::with(settings(endpoint, "p"), cache, patience, PART, Some(keys()))
        };
        let (over, beside) = (backend(&server.endpoint, "over"), backend(&server.beside, "beside"));
        Self { over, beside, server, caches, machines: AtomicUsize::new(0) }
    }

    fn machine(&self, of: &S3Backend) -> Arc<dyn Backend> {
        let number = self.machines.fetch_add(1, Ordering::SeqCst).to_string();
        Arc::new(of.elsewhere(BlobCache::new(&self.caches.path().join(number))))
    }
}

impl Line for Wire {
    fn open(&self) -> Arc<dyn Backend> {
        self.machine(&self.over)
    }

    fn beside(&self) -> Arc<dyn Backend> {
        self.machine(&self.beside)
    }

    fn cut(&self, cut: Cut) {
        match cut {
            Cut::Request => self.server.next("PUT", "ledger/", Fault::Reset),
            Cut::Answer => self.server.next("PUT", "ledger/", Fault::Lost),
            Cut::AnswerAndAll => self.server.next("PUT", "ledger/", Fault::LostAndDown),
            Cut::All => self.server.state().down = true,
        }
    }

    fn mend(&self) {
        self.server.mend();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_over_a_line_that_is_cut() {
    let mut wires = Vec::new();
    for _ in 0..9 {
        wires.push(Wire::new().await);
    }
    let wires = std::sync::Mutex::new(wires);
    conformance::over_a_line(|| wires.lock().unwrap().pop().expect("invariant: one for each law")).await;
}

//! Customers who never stop asking: what they see while a new release is deployed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::http;

/// A hang shows as this, not as a test that never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests without end from several threads: products and, every fourth, an order.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
    report: Mutex<Report>,
    changed: Condvar,
}

/// What the customers saw.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Report {
    /// How many requests were sent.
    pub(crate) sent: u64,
    /// One sentence for each request that got no answer or one that is no success.
    pub(crate) failures: Vec<String>,
    /// The `Shop-Version` of the answers.
    pub(crate) versions: BTreeSet<String>,
    /// The same for each customer, in the order in which he saw them, without repetitions.
    pub(crate) seen: BTreeMap<usize, Vec<String>>,
}

impl Report {
    /// Requires that nothing failed, and that each customer saw these versions, one after the other.
    #[track_caller]
    pub(crate) fn saw(&self, versions: &[&str]) {
        assert!(self.failures.is_empty(), "of {} requests failed: {:#?}", self.sent, self.failures);
        for (customer, seen) in &self.seen {
            assert_eq!(seen, versions, "customer {customer} of {}", self.seen.len());
        }
        assert!(self.sent > 100, "that was no load: {} requests", self.sent);
    }
}

impl Load {
    /// Waits until so many more requests were answered.
    pub(crate) fn wait_for(&self, requests: u64) {
        let report = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = report.sent + requests;
        let waited = self.shared.changed.wait_timeout_while(report, PATIENCE, |report| report.sent < wanted);
        assert!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "{requests} requests took too long");
    }

    /// Starts so many customers, each request with a connection of its own.
    pub(crate) fn start(port: u16, customers: usize) -> Self {
        Self::start_both(port, customers, 0)
    }

    /// Starts so many customers with a fresh connection for each request, and so many more who keep theirs.
    pub(crate) fn start_both(port: u16, fresh: usize, keeping: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (0..fresh + keeping).map(|customer| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut kept = (customer >= fresh).then(|| http::Kept::new(port));
                while !shared.stop.load(Ordering::SeqCst) {
                    shared.ask(port, customer, kept.as_mut());
                }
            })
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Ends after the requests that run.
    pub(crate) fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a customer does not panic");
        }
        let report = std::mem::take(&mut *self.shared.report.lock().unwrap_or_else(PoisonError::into_inner));
        Report { sent: self.shared.sent.load(Ordering::SeqCst), ..report }
    }

    /// Ends as soon as so many requests were answered, counted from the start.
    pub(crate) fn stop_after(self, requests: u64) -> Report {
        let report = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(report, PATIENCE, |report| report.sent < requests);
        assert!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "{requests} requests took too long");
        self.stop()
    }
}

impl Shared {
    fn ask(&self, port: u16, customer: usize, kept: Option<&mut http::Kept>) {
        let number = self.sent.fetch_add(1, Ordering::SeqCst);
        let (method, path, body) = match number % 4 {
            3 => ("POST", "/orders", r#"{"sku":"A1","quantity":1}"#),
            _ => ("GET", "/products", ""),
        };
        let how = if kept.is_some() { "on a kept connection" } else { "on a fresh connection" };
        let what = format!("{method} {path} {how}");
        let answer = match kept {
            Some(kept) => kept.request(method, path, body),
            None => http::request(method, port, path, body),
        };
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.sent += 1;
        match answer {
            Ok(answer) => {
                if let Some(version) = answer.header("shop-version") {
                    report.versions.insert(version.to_owned());
                    let seen = report.seen.entry(customer).or_default();
                    if seen.last().is_none_or(|last| last != version) {
                        seen.push(version.to_owned());
                    }
                }
                if !(200..300).contains(&answer.status) {
                    report.failures.push(format!("request {number}, {what}: {} {}", answer.status, answer.body));
                }
            }
            Err(e) => report.failures.push(format!("request {number}, {what}: {e}")),
        }
        self.changed.notify_all();
    }
}

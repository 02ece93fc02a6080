//! Customers who never stop asking: what they see while a new release is deployed.

use std::collections::BTreeSet;
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
}

impl Load {
    /// Starts so many customers.
    pub(crate) fn start(port: u16, customers: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (0..customers).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                while !shared.stop.load(Ordering::SeqCst) {
                    shared.ask(port);
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
    fn ask(&self, port: u16) {
        let number = self.sent.fetch_add(1, Ordering::SeqCst);
        let (what, answer) = match number % 4 {
            3 => ("POST /orders", http::post(port, "/orders", r#"{"sku":"A1","quantity":1}"#)),
            _ => ("GET /products", http::get(port, "/products")),
        };
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.sent += 1;
        match answer {
            Ok(answer) => {
                report.versions.extend(answer.header("shop-version").map(str::to_owned));
                if !(200..300).contains(&answer.status) {
                    report.failures.push(format!("request {number}, {what}: {} {}", answer.status, answer.body));
                }
            }
            Err(e) => report.failures.push(format!("request {number}, {what}: {e}")),
        }
        self.changed.notify_all();
    }
}

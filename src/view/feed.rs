//! From a run to a slow writer without ever holding the run up.
//!
//! Whoever watches a run must not block it. A [`Feed`] is a queue with a thread behind it: the run puts things in and goes on;
//! the thread takes all that has gathered and writes it. What only tells how something is getting on is dropped when the writer
//! lags; starts and good ends are dropped when it lags hopelessly; what tells of a failure or an end never is. How much was
//! dropped is handed on, so that a reader knows.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How many things may wait before progress is dropped: more than a screen shows, so nobody could have read it.
const PROGRESS_MAX: usize = 1_024;
/// How many things may wait before starts and good ends are dropped: a few megabytes of memory.
const USUAL_MAX: usize = 65_536;

/// What may be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// At the first lag.
    Progress,
    /// When there is no hope.
    Usual,
    /// Never.
    Must,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    dropped: u64,
    closed: bool,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    filled: Condvar,
}

/// A queue with a writing thread behind it.
pub(super) struct Feed<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static> Feed<T> {
    /// A feed whose thread hands everything that has gathered, and how much was dropped since the last time, to `write`.
    pub(super) fn new(mut write: impl FnMut(VecDeque<T>, u64) + Send + 'static) -> Self {
        let queue = Queue { waiting: VecDeque::new(), dropped: 0, closed: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), filled: Condvar::new() });
        let behind = shared.clone();
        let work = move || {
            loop {
                let mut queue = behind.queue.lock().unwrap_or_else(PoisonError::into_inner);
                while queue.waiting.is_empty() && !queue.closed {
                    queue = behind.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                if queue.waiting.is_empty() {
                    return;
                }
                let batch = std::mem::take(&mut queue.waiting);
                let dropped = std::mem::take(&mut queue.dropped);
                drop(queue);
                write(batch, dropped);
            }
        };
        // On a machine that has no thread left nothing is shown; the run goes on and is recorded all the same.
        let thread = std::thread::Builder::new().name("view".into()).spawn(work).ok();
        Self { shared, thread: Mutex::new(thread) }
    }

    /// Puts something in; never waits for the writer.
    pub(super) fn push(&self, weight: Weight, item: T) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let full = match weight {
            Weight::Progress => queue.waiting.len() >= PROGRESS_MAX,
            Weight::Usual => queue.waiting.len() >= USUAL_MAX,
            Weight::Must => false,
        };
        if full {
            queue.dropped += 1;
        } else {
            queue.waiting.push_back(item);
            self.shared.filled.notify_one();
        }
    }

    /// Waits until all that was put in is written, and ends the thread. What is put in later is lost.
    pub(super) fn finish(&self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.filled.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A writer that panicked has nothing more to write; the run's outcome does not hang on it.
            let _ = thread.join();
        }
    }
}

impl<T: Send + 'static> Drop for Feed<T> {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_stuck_writer_never_blocks_and_loses_no_end() {
        let (go, wait) = mpsc::channel::<()>();
        let (seen, all) = mpsc::channel();
        let feed = Feed::new(move |batch: VecDeque<u32>, dropped| {
            let _ = wait.recv();
            seen.send((batch, dropped)).unwrap();
        });
        for n in 0..100_000 {
            feed.push(Weight::Progress, n);
        }
        feed.push(Weight::Must, 7_000_000);
        drop(go);
        feed.finish();
        let batches: Vec<(VecDeque<u32>, u64)> = all.iter().collect();
        let written: Vec<u32> = batches.iter().flat_map(|(b, _)| b.iter().copied()).collect();
        let dropped: u64 = batches.iter().map(|(_, d)| d).sum();
        assert_eq!(written.last(), Some(&7_000_000));
        assert_eq!(written.len() as u64 + dropped, 100_001);
        assert!(dropped > 90_000 && written.is_sorted());
    }
}

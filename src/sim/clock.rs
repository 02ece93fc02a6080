//! Virtual time: it stands still while anything can run, and jumps to the next timer when nothing can.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::ports::clock::Clock;

#[derive(Default)]
struct Timers {
    now: Duration,
    next: u64,
    waiting: BTreeMap<(Duration, u64), Waker>,
    /// Woken when nothing can run and nothing waits for time: the process hangs.
    stalled: Option<Waker>,
    has_stalled: bool,
}

/// The clock of a world.
#[derive(Default)]
pub(super) struct SimClock(Mutex<Timers>);

impl SimClock {
    pub(super) fn set(&self, now: Duration) {
        let mut timers = self.0.lock().unwrap();
        *timers = Timers { now, next: timers.next, ..Timers::default() };
    }

    /// Whoever is woken when the process hangs.
    pub(super) fn tell_stall(&self, waker: Waker) {
        self.0.lock().unwrap().stalled = Some(waker);
    }

    pub(super) fn has_stalled(&self) -> bool {
        self.0.lock().unwrap().has_stalled
    }

    fn advance(&self) {
        let mut timers = self.0.lock().unwrap();
        let Some((&(at, _), _)) = timers.waiting.first_key_value() else {
            timers.has_stalled = true;
            if let Some(waker) = timers.stalled.take() {
                waker.wake();
            }
            return;
        };
        timers.now = timers.now.max(at);
        while let Some(entry) = timers.waiting.first_entry().filter(|e| e.key().0 <= at) {
            entry.remove().wake();
        }
    }
}

#[async_trait::async_trait]
impl Clock for SimClock {
    fn now(&self) -> jiff::Timestamp {
        let start = jiff::Timestamp::from_second(1_767_225_600).unwrap();
        start + jiff::SignedDuration::try_from(self.elapsed()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    async fn sleep(&self, wait: Duration) {
        let until = self.elapsed().saturating_add(wait);
        Sleep { clock: self, until, key: None }.await;
    }
}

struct Sleep<'a> {
    clock: &'a SimClock,
    until: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.clock.0.lock().unwrap();
        if timers.now >= self.until {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            timers.next += 1;
            (self.until, timers.next)
        });
        timers.waiting.insert(key, context.waker().clone());
        drop(timers);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.0.lock().unwrap().waiting.remove(&key);
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<SimClock>>> = const { RefCell::new(None) };
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(|| {
            let clock = CURRENT.with(|c| c.borrow().clone());
            if let Some(clock) = clock {
                clock.advance();
            }
        })
        .build()
        .unwrap();
}

/// Runs something in a world's time, on this thread alone. Nothing in it may wait for real time: there is no timer.
pub(super) fn run<T>(clock: &Arc<SimClock>, work: impl Future<Output = T>) -> T {
    CURRENT.with(|c| *c.borrow_mut() = Some(Arc::clone(clock)));
    let result = RUNTIME.with(|runtime| runtime.block_on(work));
    CURRENT.with(|c| *c.borrow_mut() = None);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_jumps_to_the_next_timer_and_stands_still_otherwise() {
        let clock = Arc::new(SimClock::default());
        let started = std::time::Duration::from_secs(3600);
        let other = Arc::clone(&clock);
        let order = run(&clock, async move {
            let slow = tokio::spawn({
                let clock = Arc::clone(&other);
                async move {
                    clock.sleep(started).await;
                    clock.elapsed()
                }
            });
            other.sleep(Duration::from_secs(1)).await;
            let first = other.elapsed();
            (first, slow.await.unwrap())
        });
        assert_eq!(order, (Duration::from_secs(1), started));
    }
}

//! Time of day and elapsed time.

use std::time::Duration;

/// Where time is read, and waited for. Order in the ledger never rests on it: a time is for people and for deadlines.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// The time of day, UTC.
    fn now(&self) -> jiff::Timestamp;
    /// Time since some fixed moment of this boot, never going back, counted through suspends.
    fn elapsed(&self) -> Duration;
    /// Waits so long.
    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}

/// What work gives, unless it takes longer than `limit`: then it is dropped.
pub async fn within<T: Send>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limit) => None,
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        // CLOCK_BOOTTIME where there is one: a lease must run out while a laptop sleeps.
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(id);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
        Duration::new(seconds, nanos)
    }
}

/// The time that the processors have worked for this process, on all its threads: a figure that other processes do not change.
#[cfg(test)]
pub(crate) fn processors() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

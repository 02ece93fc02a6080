//! The lease: how people who want to change one environment wait for each other politely.
//!
//! It is a record that its holder renews; the backend can only load it and put another in its place if it is still
//! the expected one. Who finds a lease waits until it is released, or until its holder is known to be dead, or until
//! it has watched for a whole [`Terms::ttl`], by its own clock, that nobody renewed it; times in the record are for
//! people and never compared. Safety does not rest on any of this: a holder that only slept is fenced by the next
//! writer and stops.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ports::clock::Clock;
use crate::ports::{env, id};

use super::backend::Backend;
use super::error::{LedgerError, Result};
use super::format::time_text;

/// The lengths of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long an unrenewed lease is respected.
    pub ttl: Duration,
    /// How often it is renewed. Two renewals may fail before anybody else takes it.
    pub renew: Duration,
    /// How often one who waits looks; up to half of it is added at random, so that many do not look in step.
    pub poll: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30), renew: Duration::from_secs(10), poll: Duration::from_millis(250) }
    }
}

/// Who holds a lease, as it stands in the ledger's place. Fields of a newer Gantry are passed over: manners do not
/// depend on the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Random; tells this lease from any other of the same process.
    pub id: String,
    /// The person or account.
    pub user: String,
    /// The machine's name.
    pub host: String,
    /// The boot of the machine, where it has such a thing.
    pub boot: Option<String>,
    /// The space in which the pid means something, where there is such a thing.
    pub space: Option<String>,
    /// The process.
    pub pid: u32,
    /// When the process started, in ticks since boot.
    pub started: Option<u64>,
    /// The command, as its user would know it: `apply staging`.
    pub command: String,
    /// The step that it is at.
    pub step: Option<String>,
    /// When it was taken. For people.
    pub since: String,
    /// How often it was renewed.
    pub renewals: u64,
}

impl LeaseRecord {
    /// A lease for this process.
    #[must_use]
    pub fn of_this_process(command: &str, clock: &dyn Clock) -> Self {
        let pid = env::pid();
        Self {
            id: id::random_hex::<8>(),
            user: env::user(),
            host: env::host(),
            boot: env::boot_id(),
            space: env::pid_space(),
            pid,
            started: env::process_start(pid).ok().flatten(),
            command: command.to_owned(),
            step: None,
            since: time_text(clock.now()),
            renewals: 0,
        }
    }

    /// Whether the holder is known to be gone: a process of this machine that does not exist any more, or a process
    /// from before this machine's restart. What cannot be known is `false`.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let (Some(boot), Some(my_boot)) = (&self.boot, env::boot_id()) else { return false };
        if *boot != my_boot {
            // Another boot of a machine of this name. (A machine with the same name elsewhere is mistaken for it; its
            // run is then fenced, which is rude, not unsafe.)
            return self.host == env::host();
        }
        if self.space != env::pid_space() {
            return false;
        }
        match env::process_start(self.pid) {
            Ok(None) => true,
            Ok(Some(start)) => self.started.is_some_and(|started| started != start),
            Err(_) => false,
        }
    }
}

impl fmt::Display for LeaseRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, pid, command, since, .. } = self;
        // To the second, as everywhere where people read times.
        let since =
            since.split_once('.').map_or_else(|| since.clone(), |(s, _)| format!("{}Z", s.replacen('T', " ", 1)));
        write!(f, "{user} on {host} (`gantry {command}`, pid {pid}, since {since}")?;
        match &self.step {
            Some(step) => write!(f, ", at {step})"),
            None => f.write_str(")"),
        }
    }
}

/// A lease that is held and renewed in the background until it is released.
///
/// Dropped without [`Lease::release`], it runs out, at once for waiters on this machine when the process ends.
#[derive(Debug)]
pub struct Lease {
    backend: Arc<dyn Backend>,
    record: Arc<Mutex<LeaseRecord>>,
    step: Arc<Mutex<Option<String>>>,
    lost: tokio::sync::watch::Receiver<bool>,
    renewal: tokio::task::JoinHandle<()>,
}

/// Takes the lease, waiting at most `timeout` for its holder; `waiting` is told of each holder that is waited for.
/// Has to run within a tokio runtime, which also renews it.
///
/// # Errors
/// `LeaseHeld` when the time is up; when the lease cannot be read or written.
pub async fn acquire(
    backend: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    command: &str,
    terms: Terms,
    timeout: Duration,
    waiting: &mut (dyn FnMut(&LeaseRecord) + Send),
) -> Result<Lease> {
    let mine = LeaseRecord::of_this_process(command, clock.as_ref());
    let began = clock.elapsed();
    let mut watched: Option<(LeaseRecord, Duration)> = None;
    let mut told: Option<String> = None;
    loop {
        let found = backend.lease_load().await?;
        let now = clock.elapsed();
        let free = match &found {
            None => true,
            Some(holder) => {
                let since = match &watched {
                    Some((record, since)) if record == holder => *since,
                    _ => now,
                };
                watched = Some((holder.clone(), since));
                holder.is_dead() || now.saturating_sub(since) >= terms.ttl
            }
        };
        if free && backend.lease_swap(found.as_ref(), Some(&mine)).await? {
            return Ok(Lease::keep(backend, mine, terms));
        }
        let waited = now.saturating_sub(began);
        // Free and lost to another: look again at once, who has it now is worth naming.
        let Some(holder) = found.filter(|_| !free) else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        if waited >= timeout {
            return Err(LedgerError::LeaseHeld { place: backend.place(), holder: Box::new(holder), waited });
        }
        if told.as_ref() != Some(&holder.id) {
            waiting(&holder);
            told = Some(holder.id);
        }
        let jitter = terms.poll.mul_f64(f64::from(id::random::<1>()[0]) / 512.0);
        tokio::time::sleep((terms.poll + jitter).min(timeout - waited)).await;
    }
}

impl Lease {
    fn keep(backend: Arc<dyn Backend>, record: LeaseRecord, terms: Terms) -> Self {
        let (tell, lost) = tokio::sync::watch::channel(false);
        let record = Arc::new(Mutex::new(record));
        let step = Arc::new(Mutex::new(None));
        let renewal = tokio::spawn(renew(Arc::clone(&backend), Arc::clone(&record), Arc::clone(&step), terms, tell));
        Self { backend, record, step, lost, renewal }
    }

    /// Says, from the next renewal on, at which step the holder is.
    pub fn set_step(&self, step: &str) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = Some(step.to_owned());
    }

    /// Whether somebody else has taken the lease. The writer finds out by itself, when it is fenced.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// The record as it was written last.
    #[must_use]
    pub fn record(&self) -> LeaseRecord {
        current(&self.record)
    }

    /// Gives the lease back. Somebody else's is left alone.
    ///
    /// # Errors
    /// When it cannot be read or written; it then runs out by itself.
    pub async fn release(mut self) -> Result<()> {
        self.renewal.abort();
        // A renewal may have been written of which this side was not told any more.
        let _ = (&mut self.renewal).await;
        let mine = current(&self.record);
        for _ in 0..3 {
            match self.backend.lease_load().await? {
                Some(found) if found.id == mine.id => {
                    if self.backend.lease_swap(Some(&found), None).await? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

fn current(record: &Mutex<LeaseRecord>) -> LeaseRecord {
    record.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Renews a lease until it is somebody else's. A renewal that fails is tried again at the next turn.
async fn renew(
    backend: Arc<dyn Backend>,
    record: Arc<Mutex<LeaseRecord>>,
    step: Arc<Mutex<Option<String>>>,
    terms: Terms,
    lost: tokio::sync::watch::Sender<bool>,
) {
    loop {
        tokio::time::sleep(terms.renew).await;
        let old = current(&record);
        let step = step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let new = LeaseRecord { renewals: old.renewals + 1, step, ..old.clone() };
        match backend.lease_swap(Some(&old), Some(&new)).await {
            Ok(true) => *record.lock().unwrap_or_else(PoisonError::into_inner) = new,
            // Not swapped: it is another's, or a swap took longer than the backend's patience. Look before giving up.
            Ok(false) => match backend.lease_load().await {
                Ok(Some(found)) if found.id == old.id => {
                    *record.lock().unwrap_or_else(PoisonError::into_inner) = found;
                }
                Ok(_) => {
                    let _ = lost.send(true);
                    return;
                }
                Err(_) => {}
            },
            Err(_) => {}
        }
    }
}

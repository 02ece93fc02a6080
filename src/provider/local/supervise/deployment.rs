//! One version of a service: its replicas, and the requests that are under way in them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::protocol::{Failure, ReplicaStatus, Spec};
use super::replica::{self, Replica};
use super::state::Directory;
use crate::ports::fs;
use crate::ports::process::{self, Ended, ProcessId};
use crate::provider::ProblemClass;
use crate::provider::local::words::redact;
use crate::provider::local::{EVIDENCE_MAX, tail};

/// How often a replica may end before it is ready for the version to count as failed. One may have lost the race for its port.
const STRIKES: u32 = 2;

/// One version.
pub(super) struct Deployment {
    pub(super) id: String,
    /// The service's name.
    service: String,
    pub(super) spec: Spec,
    directory: Directory,
    logs: PathBuf,
    replicas: Mutex<Vec<Replica>>,
    /// Counts changes of the replicas.
    changes: watch::Sender<u64>,
    again: Notify,
    next: AtomicUsize,
    under_way: Arc<UnderWay>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Counts what is under way.
#[derive(Default)]
struct UnderWay {
    count: AtomicUsize,
    none: Notify,
}

/// One request or connection that is under way, until it is dropped.
pub(super) struct Ticket(Arc<UnderWay>);

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deployment {
    /// Starts a version's replicas.
    pub(super) fn start(service: &str, id: &str, spec: Spec, directory: Directory, logs: PathBuf) -> Arc<Self> {
        let (stop, _) = watch::channel(false);
        let count = spec.replicas;
        let this = Arc::new(Self {
            id: id.to_owned(),
            service: service.to_owned(),
            spec,
            directory,
            logs,
            replicas: Mutex::new(vec![Replica::default(); count]),
            changes: watch::channel(0).0,
            again: Notify::new(),
            next: AtomicUsize::new(0),
            under_way: Arc::default(),
            stop,
            tasks: Mutex::default(),
        });
        let start = |index| tokio::spawn(replica::keep(this.clone(), index, this.stop.subscribe()));
        *held(&this.tasks) = (0..count).map(start).collect();
        this
    }

    /// The log of a replica.
    pub(super) fn log_path(&self, index: usize) -> PathBuf {
        self.logs.join(format!("{}.{index}.log", self.id))
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Replica)) {
        if let Some(replica) = held(&self.replicas).get_mut(index) {
            change(replica);
        }
        self.changes.send_modify(|n| *n += 1);
    }

    pub(super) fn started(&self, index: usize, port: u16, process: ProcessId) {
        self.change(index, |r| {
            *r = Replica {
                port: Some(port),
                process: Some(process),
                strikes: r.strikes,
                trouble: r.trouble.take(),
                ..Replica::default()
            };
        });
    }

    /// Records the processes that run, for whoever comes after a supervisor that was killed. Off this thread: it may wait for the
    /// disk while requests go through.
    pub(super) async fn record_processes(&self) {
        let (directory, id, processes) = (self.directory.clone(), self.id.clone(), self.processes());
        let _ = tokio::task::spawn_blocking(move || directory.set_replicas(&id, &processes)).await;
    }

    pub(super) fn cannot_start(&self, index: usize, why: String) {
        self.change(index, |r| r.fatal = Some(why));
    }

    /// A process ended. Whether it had been ready.
    pub(super) fn ended(&self, index: usize, ended: &Ended) -> bool {
        let mut was_ready = false;
        self.change(index, |r| {
            was_ready = r.was_ready;
            let strikes = r.strikes + u32::from(!was_ready);
            *r = Replica { strikes, trouble: Some(ended.to_string()), ..Replica::default() };
        });
        was_ready
    }

    pub(super) fn stopping(&self, index: usize) {
        self.change(index, |r| (r.ready, r.was_ready) = (false, false));
    }

    pub(super) fn stopped(&self, index: usize) {
        self.change(index, |r| *r = Replica::default());
    }

    pub(super) fn was_ready(&self, index: usize) -> bool {
        held(&self.replicas).get(index).is_some_and(|r| r.was_ready)
    }

    pub(super) fn set_ready(&self, index: usize, ready: bool, why: Option<String>) {
        let replicas = held(&self.replicas);
        let same = replicas.get(index).is_some_and(|r| r.ready == ready && (r.trouble == why || r.strikes > 0));
        drop(replicas);
        if !same {
            self.change(index, |r| {
                r.ready = ready;
                r.was_ready |= ready;
                if ready {
                    r.strikes = 0;
                }
                // A crash says more than that the port is not open yet.
                if ready || r.strikes == 0 {
                    r.trouble = why;
                }
            });
        }
    }

    /// Completes when somebody asks for the version again: no pause is too short then.
    pub(super) async fn asked_again(&self) {
        self.again.notified().await;
    }

    /// The processes that run.
    pub(super) fn processes(&self) -> Vec<ProcessId> {
        held(&self.replicas).iter().filter_map(|r| r.process.clone()).collect()
    }

    pub(super) fn status(&self) -> Vec<ReplicaStatus> {
        let one = |r: &Replica| ReplicaStatus {
            ready: r.ready,
            running: r.process.is_some(),
            trouble: r.fatal.clone().or_else(|| r.trouble.clone()),
        };
        held(&self.replicas).iter().map(one).collect()
    }

    /// A port to send a request to, not one of `tried`: of the ready replicas in turn, or, where none is, of one that has been.
    pub(super) fn pick(&self, tried: &[u16]) -> Option<u16> {
        let replicas = held(&self.replicas);
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = || (0..replicas.len()).map(|n| &replicas[(start + n) % replicas.len()]);
        let port = |r: &Replica| r.port.filter(|port| !tried.contains(port));
        turn().filter(|r| r.ready).find_map(port).or_else(|| turn().filter(|r| r.was_ready).find_map(port))
    }

    /// Counts a request or connection.
    pub(super) fn ticket(&self) -> Ticket {
        self.under_way.count.fetch_add(1, Ordering::SeqCst);
        Ticket(self.under_way.clone())
    }

    /// Completes at the next change of a replica.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until all replicas are ready.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        for index in 0..self.spec.replicas {
            self.change(index, |r| {
                r.strikes = 0;
                r.fatal = None;
            });
        }
        self.again.notify_waiters();
        let mut changes = self.changes.subscribe();
        let clock = crate::ports::clock::SystemClock;
        let start = crate::ports::clock::Clock::elapsed(&clock);
        let judged = tokio::time::timeout(self.spec.ready_timeout, async {
            loop {
                if let Some(verdict) = self.verdict(crate::ports::clock::Clock::elapsed(&clock).saturating_sub(start)) {
                    return verdict;
                }
                if changes.changed().await.is_err() {
                    return Err("was stopped".to_owned());
                }
            }
        });
        let why = match judged.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => format!("is not ready after {}: {}", seconds(self.spec.ready_timeout), self.summary()),
        };
        Err(self.failure(&why))
    }

    /// Whether the version is ready (all replicas are) or failed (one cannot be started, or ended too often).
    fn verdict(&self, since: Duration) -> Option<Result<(), String>> {
        let replicas = held(&self.replicas);
        for (index, r) in replicas.iter().enumerate() {
            if let Some(fatal) = &r.fatal {
                return Some(Err(format!("cannot be started: {fatal}")));
            }
            if r.strikes >= STRIKES {
                let how = r.trouble.as_deref().unwrap_or("ended");
                return Some(Err(format!(
                    "does not start: replica {index} {how} {} within {}, before it was ready",
                    if r.strikes == 2 { "twice".to_owned() } else { format!("{} times", r.strikes) },
                    seconds(since)
                )));
            }
        }
        replicas.iter().all(|r| r.ready).then_some(Ok(()))
    }

    /// "1 of 2 replicas is ready: replica 1 exited with code 3".
    pub(super) fn summary(&self) -> String {
        summary(&self.status())
    }

    /// A failure of this version, with the last lines that its replicas wrote.
    pub(super) fn failure(&self, why: &str) -> Failure {
        let mut failure =
            Failure::new(ProblemClass::Invalid, format!("The new version of {} {why}.", self.spec.address));
        failure.sentence = redact(&failure.sentence, &self.spec.hidden);
        for index in 0..self.spec.replicas {
            if let Some(text) = last_lines(&self.log_path(index), &self.spec.hidden) {
                failure.evidence.push((format!("last lines of replica {index}'s log"), text));
            }
        }
        failure
    }

    /// Waits until nothing is under way, or the drain time is over.
    pub(super) async fn drain(&self) {
        let empty = async {
            loop {
                let none = self.under_way.none.notified();
                if self.under_way.count.load(Ordering::SeqCst) == 0 {
                    return;
                }
                none.await;
            }
        };
        let _ = tokio::time::timeout(self.spec.drain, empty).await;
    }

    /// Ends all replicas and whatever they left behind.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *held(&self.tasks));
        futures_util::future::join_all(tasks).await;
        let name = self.mark();
        let _ = tokio::task::spawn_blocking(move || process::kill_with_variable("GANTRY_DEPLOYMENT", &name)).await;
        self.record_processes().await;
    }

    fn mark(&self) -> String {
        mark(&self.service, &self.id)
    }
}

/// The value of `GANTRY_DEPLOYMENT` in a version's processes.
pub(in super::super) fn mark(service: &str, deployment: &str) -> String {
    format!("{service}/{deployment}")
}

/// The last lines of a log, without what is hidden.
pub(in super::super) fn last_lines(path: &std::path::Path, hidden: &[String]) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read_tail(path, 4 * EVIDENCE_MAX as u64).ok()?).into_owned();
    let text = redact(&text, hidden);
    (!text.is_empty()).then(|| tail(&text, EVIDENCE_MAX).to_owned())
}

/// How replicas do, as a sentence without its end.
pub(in super::super) fn summary(replicas: &[ReplicaStatus]) -> String {
    let ready = replicas.iter().filter(|r| r.ready).count();
    let verb = if ready == 1 { "is" } else { "are" };
    let mut text = format!("{ready} of {} replicas {verb} ready", replicas.len());
    let troubles =
        replicas.iter().enumerate().filter(|(_, r)| !r.ready).filter_map(|(n, r)| Some((n, r.trouble.as_ref()?)));
    for (n, (index, trouble)) in troubles.take(3).enumerate() {
        text.push_str(if n == 0 { ": " } else { ", " });
        text.push_str(&format!("replica {index}: {trouble}"));
    }
    text
}

fn seconds(duration: Duration) -> String {
    if duration.as_millis().is_multiple_of(1000) {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

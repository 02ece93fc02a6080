//! A service as its supervisor has it: the deployments, which of them has the traffic, and the operations on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::deployment::Deployment;
use super::front::{self, Target};
use super::protocol::{Answer, Failure, Request, Spec, Status};
use super::state::{self, Directory, OPERATIONS_MAX, Operation, State};
use crate::ports::process::{self, Signal};
use crate::provider::ProblemClass;

/// How often the supervisor looks after itself: zombies that it inherited, a front that could not be opened, a directory that
/// somebody removed.
const TEND: Duration = Duration::from_secs(2);

/// How many times in a row there may be nothing to do: whoever started this died before it said what to run.
const IDLE_MAX: u32 = 5;

/// A service that runs.
pub(super) struct Service {
    config: state::Service,
    directory: Directory,
    inner: Mutex<Inner>,
    /// One operation at a time.
    turn: tokio::sync::Mutex<()>,
    over: Notify,
}

#[derive(Default)]
struct Inner {
    state: State,
    running: BTreeMap<String, Arc<Deployment>>,
    front: Option<JoinHandle<()>>,
    front_fault: Option<String>,
    /// The fronts of single versions.
    staged: BTreeMap<String, (u16, JoinHandle<()>)>,
    under_way: BTreeMap<String, watch::Receiver<Option<Answer>>>,
    /// Whether there was anything to do yet.
    worked: bool,
}

impl Inner {
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.under_way.is_empty()
    }
}

fn done() -> Answer {
    Answer::Done { staged_port: None }
}

impl Service {
    /// Goes on from what is on disk: ends what an earlier supervisor left, starts every recorded version, opens the fronts.
    pub(super) async fn restore(config: state::Service, directory: Directory, state: State) -> Arc<Self> {
        let (id, left) = (config.id.clone(), directory.replicas());
        let _ = tokio::task::spawn_blocking(move || {
            for replica in left {
                replica.signal_group(Signal::Kill);
                replica.signal(Signal::Kill);
            }
            process::kill_with_variable("GANTRY_SERVICE", &id);
        })
        .await;
        let recorded = state.deployments.clone();
        let inner = Mutex::new(Inner { state, ..Inner::default() });
        let this =
            Arc::new(Self { config, directory, inner, turn: tokio::sync::Mutex::default(), over: Notify::new() });
        for (id, deployment) in recorded {
            let running = this.start(&id, deployment.spec);
            if let Some(port) = deployment.staged_port {
                let _ = this.open_staged(&running, port);
            }
        }
        if this.held().state.active.is_some() {
            this.try_front();
        }
        this
    }

    fn held(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, id: &str, spec: Spec) -> Arc<Deployment> {
        let logs = self.config.logs.clone();
        let deployment = Deployment::start(&self.config.id, id, spec, self.directory.clone(), logs);
        self.held().running.insert(id.to_owned(), deployment.clone());
        deployment
    }

    /// The version that has the traffic.
    pub(super) fn active(&self) -> Option<Arc<Deployment>> {
        let inner = self.held();
        inner.running.get(inner.state.active.as_ref()?).cloned()
    }

    fn try_front(self: &Arc<Self>) {
        let opened = front::reserve(self.config.port).and_then(|socket| self.open_front(socket));
        self.held().front_fault = opened.err().map(|failure| failure.sentence);
    }

    fn open_front(self: &Arc<Self>, socket: tokio::net::TcpSocket) -> Result<(), Failure> {
        let listener = front::open(socket, self.config.port)?;
        let mut inner = self.held();
        inner.front = Some(front::serve(listener, Target::Active(self.clone()), self.config.http));
        inner.front_fault = None;
        Ok(())
    }

    /// Opens a version's own front, on a port that is free or on the one that it had.
    fn open_staged(&self, deployment: &Arc<Deployment>, port: u16) -> Result<u16, Failure> {
        if let Some((port, _)) = self.held().staged.get(&deployment.id) {
            return Ok(*port);
        }
        let listener = front::open(front::reserve(port)?, port)?;
        let port = listener.local_addr().map_or(port, |a| a.port());
        let task = front::serve(listener, Target::Fixed(deployment.clone()), self.config.http);
        self.held().staged.insert(deployment.id.clone(), (port, task));
        Ok(port)
    }

    pub(super) fn status(&self) -> Status {
        let inner = self.held();
        Status {
            active: inner.state.active.clone(),
            front_fault: inner.front_fault.clone(),
            deployments: inner.running.iter().map(|(id, d)| (id.clone(), d.status())).collect(),
        }
    }

    /// Answers a request. An operation that was done before is not done again.
    pub(super) async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        let op = match (&request, request.op()) {
            (Request::Await { op }, _) => {
                let known = self.held().under_way.get(op).cloned();
                return match known {
                    Some(under_way) => outcome(under_way).await,
                    None => self.held().state.answer(op).cloned().unwrap_or(Answer::NoSuchOperation),
                };
            }
            (_, None) => return Answer::Status(self.status()),
            (_, Some(op)) => op.to_owned(),
        };
        let under_way = {
            let mut inner = self.held();
            match (inner.state.answer(&op), inner.under_way.get(&op)) {
                (Some(before @ Answer::Done { .. }), _) => return before.clone(),
                (_, Some(under_way)) => under_way.clone(),
                _ => {
                    let (send, receive) = watch::channel(None);
                    inner.under_way.insert(op.clone(), receive.clone());
                    let this = self.clone();
                    tokio::spawn(async move {
                        // One operation at a time, until it is recorded: an older state never replaces a newer one.
                        let turn = this.turn.lock().await;
                        let answer = this.perform(request).await;
                        let answer = this.record(&op, answer).await;
                        drop(turn);
                        this.held().under_way.remove(&op);
                        send.send_replace(Some(answer));
                    });
                    receive
                }
            }
        };
        outcome(under_way).await
    }

    async fn perform(self: &Arc<Self>, request: Request) -> Answer {
        let performed = match request {
            Request::Ensure { deployment, spec, serve, .. } => self.ensure(&deployment, *spec, serve).await,
            Request::Switch { deployment, .. } => self.switch(&deployment),
            Request::Retire { deployment, .. } => Ok(self.retire(&deployment).await),
            Request::Stop { .. } => Ok(self.stop().await),
            Request::Status | Request::Await { .. } => Ok(done()),
        };
        performed.unwrap_or_else(Answer::Failed)
    }

    /// Records an operation durably, with the state that it led to.
    async fn record(&self, op: &str, answer: Answer) -> Answer {
        let state = {
            let mut inner = self.held();
            inner.worked = true;
            let operations = &mut inner.state.operations;
            operations.retain(|o| o.op != op);
            operations.push_back(Operation { op: op.to_owned(), answer: answer.clone() });
            while operations.len() > OPERATIONS_MAX {
                operations.pop_front();
            }
            inner.state.clone()
        };
        let directory = self.directory.clone();
        match tokio::task::spawn_blocking(move || directory.set_state(&state)).await {
            Ok(Ok(())) => answer,
            Ok(Err(e)) => Answer::Unsaved { sentence: e.to_string() },
            Err(_) => Answer::Unsaved { sentence: "The supervisor could not record what it did.".into() },
        }
    }

    async fn ensure(self: &Arc<Self>, id: &str, spec: Spec, serve: bool) -> Result<Answer, Failure> {
        let reserved =
            if serve && self.held().front.is_none() { Some(front::reserve(self.config.port)?) } else { None };
        let known = self.held().running.get(id).cloned();
        let fresh = known.is_none();
        let deployment = known.unwrap_or_else(|| self.start(id, spec.clone()));
        let opened = match deployment.ready().await {
            Err(failure) => Err(failure),
            Ok(()) if serve => reserved.map_or(Ok(None), |socket| self.open_front(socket).map(|()| None)),
            Ok(()) => self.open_staged(&deployment, 0).map(Some),
        };
        let staged_port = match opened {
            Ok(port) => port,
            Err(failure) => {
                if fresh {
                    self.held().running.remove(id);
                    deployment.stop().await;
                }
                return Err(failure);
            }
        };
        let mut inner = self.held();
        if serve {
            inner.state.active = Some(id.to_owned());
        }
        let spec = deployment.spec.clone();
        inner.state.deployments.insert(id.to_owned(), state::Deployment { spec, staged_port });
        Ok(Answer::Done { staged_port })
    }

    fn switch(self: &Arc<Self>, id: &str) -> Result<Answer, Failure> {
        let Some(deployment) = self.held().running.get(id).cloned() else {
            return Err(Failure::new(
                ProblemClass::Conflict,
                format!("The version {id} of {} is not there any more. Plan again.", self.config.address),
            ));
        };
        if deployment.spec.replicas > 0 && deployment.pick(&[]).is_none() {
            return Err(deployment.failure(&format!("cannot get the traffic: {}", deployment.summary())));
        }
        if self.held().front.is_none() {
            self.open_front(front::reserve(self.config.port)?)?;
        }
        self.held().state.active = Some(id.to_owned());
        Ok(done())
    }

    async fn retire(&self, id: &str) -> Answer {
        let deployment = {
            let mut inner = self.held();
            if inner.state.active.as_deref() == Some(id) {
                // The new version is the old one (only its processes were renewed): there is none without traffic.
                return done();
            }
            inner.state.deployments.remove(id);
            if let Some((_, front)) = inner.staged.remove(id) {
                front.abort();
            }
            inner.running.remove(id)
        };
        if let Some(deployment) = deployment {
            deployment.drain().await;
            deployment.stop().await;
        }
        done()
    }

    async fn stop(&self) -> Answer {
        let running = {
            let mut inner = self.held();
            inner.front.take().into_iter().for_each(|front| front.abort());
            std::mem::take(&mut inner.staged).into_values().for_each(|(_, front)| front.abort());
            std::mem::take(&mut inner.running)
        };
        futures_util::future::join_all(running.values().map(|d| async {
            d.drain().await;
            d.stop().await;
        }))
        .await;
        let id = self.config.id.clone();
        let _ = tokio::task::spawn_blocking(move || process::kill_with_variable("GANTRY_SERVICE", &id)).await;
        let mut inner = self.held();
        inner.state =
            State { stopped: true, operations: std::mem::take(&mut inner.state.operations), ..State::default() };
        done()
    }

    /// Whether there is nothing left to supervise: to be asked when an answer has been sent.
    pub(super) fn end_if_over(&self) {
        let inner = self.held();
        if inner.worked && inner.is_idle() {
            self.over.notify_one();
        }
    }

    /// Completes when there is nothing left to supervise.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }

    /// Ends all processes and leaves the record as it is: the next supervisor starts them again.
    pub(super) async fn shut_down(&self) {
        let running: Vec<Arc<Deployment>> = self.held().running.values().cloned().collect();
        futures_util::future::join_all(running.iter().map(|d| d.stop())).await;
    }

    /// Looks after the supervisor itself; completes when its directory is gone or nobody ever told it what to run.
    pub(super) async fn tend(self: &Arc<Self>) {
        let mut idle = 0;
        loop {
            tokio::time::sleep(TEND).await;
            idle = if self.held().is_idle() { idle + 1 } else { 0 };
            if !self.directory.is_there() || idle > IDLE_MAX {
                return;
            }
            let (known, closed) = {
                let inner = self.held();
                let known: Vec<u32> = inner.running.values().flat_map(|d| d.processes()).map(|p| p.pid).collect();
                (known, inner.front.is_none() && inner.state.active.is_some())
            };
            let _ = tokio::task::spawn_blocking(move || process::reap_orphans(&known)).await;
            if closed {
                self.try_front();
            }
        }
    }
}

async fn outcome(mut under_way: watch::Receiver<Option<Answer>>) -> Answer {
    match under_way.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or(Answer::NoSuchOperation),
        Err(_) => Answer::Unsaved { sentence: "The supervisor gave the operation up.".into() },
    }
}

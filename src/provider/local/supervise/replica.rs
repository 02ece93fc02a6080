//! One process of a deployment: started, asked whether it is ready, started again when it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::deployment::Deployment;
use super::http;
use super::log::Log;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::process::{Ended, Launch, Piped, ProcessId, start_piped};

/// How long a replica has between the polite signal and the other one.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);
/// The pause before the first restart; it doubles with every crash.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// The longest pause before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long a replica must have been ready for its next crash to count as the first.
const SETTLED: Duration = Duration::from_secs(30);
/// How long one readiness probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a ready replica is asked again, at most.
const PROBE_READY: Duration = Duration::from_secs(1);
/// How many failed probes in a row take a ready replica out of the traffic: one may be lost under load.
const PROBE_FAILURES: u32 = 3;

/// How long the last output of an ended replica is waited for.
const OUTPUT_DRAIN: Duration = Duration::from_millis(200);

/// How a replica does.
#[derive(Clone, Debug, Default)]
pub(super) struct Replica {
    /// The port that it was told to listen on, while it runs.
    pub(super) port: Option<u16>,
    /// Whether it is to get traffic.
    pub(super) ready: bool,
    /// Whether this process has been ready.
    pub(super) was_ready: bool,
    /// How often one ended before it was ready, since somebody last asked for it.
    pub(super) strikes: u32,
    /// Its last misfortune.
    pub(super) trouble: Option<String>,
    /// Why no process can be started.
    pub(super) fatal: Option<String>,
    /// The process.
    pub(super) process: Option<ProcessId>,
}

/// A free port of this machine, as far as anybody can know: another process may take it before the replica does. Then the replica
/// ends and is started again with another.
async fn free_port() -> std::io::Result<u16> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(listener.local_addr()?.port())
}

/// Keeps replica `index` of a deployment running until `stop` says otherwise.
pub(super) async fn keep(deployment: Arc<Deployment>, index: usize, mut stop: watch::Receiver<bool>) {
    let spec = &deployment.spec;
    let mut log = Log::open(deployment.log_path(index), spec.log_max, spec.log_keep);
    let mut backoff = BACKOFF_MIN;
    loop {
        if *stop.borrow() {
            return;
        }
        match start(&deployment, index, &mut log).await {
            Ok((mut child, port)) => {
                let since = SystemClock.elapsed();
                let ended = live(&deployment, index, port, &mut child, &mut stop).await;
                log = Log::open(deployment.log_path(index), spec.log_max, spec.log_keep);
                let Some(ended) = ended else { return };
                log.note(&format!("replica {index} {ended}"));
                let lived = SystemClock.elapsed().saturating_sub(since);
                if deployment.ended(index, &ended) && lived >= SETTLED {
                    backoff = BACKOFF_MIN;
                }
            }
            Err(why) => {
                log.note(&format!("replica {index} could not be started: {why}"));
                deployment.cannot_start(index, why);
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = deployment.asked_again() => backoff = BACKOFF_MIN,
            () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
        }
    }
}

async fn start(deployment: &Deployment, index: usize, log: &mut Log) -> Result<(Piped, u16), String> {
    let port = free_port().await.map_err(|e| format!("there is no free port: {e}"))?;
    let spec = &deployment.spec;
    let mut environment = spec.environment.clone();
    environment.push(("PORT".into(), port.to_string()));
    environment.push(("GANTRY_REPLICA".into(), index.to_string()));
    let launch = Launch {
        argv: spec.argv.clone(),
        base: spec.base.clone(),
        directory: spec.directory.clone(),
        environment,
        only: true,
        program: std::path::PathBuf::new(),
    };
    let launch = launch.through_self().map_err(|e| e.to_string())?;
    let child = start_piped(&launch).map_err(|e| {
        let reason = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
        format!("{e}{reason}")
    })?;
    log.note(&format!("replica {index} of {} started as process {} with PORT {port}", deployment.id, child.id.pid));
    deployment.started(index, port, child.id.clone());
    deployment.record_processes().await;
    Ok((child, port))
}

/// Lives through one process's life: its output goes to the log, probes go to its port. `None` if it was stopped.
async fn live(
    deployment: &Arc<Deployment>,
    index: usize,
    port: u16,
    child: &mut Piped,
    stop: &mut watch::Receiver<bool>,
) -> Option<Ended> {
    let spec = &deployment.spec;
    let log = Log::open(deployment.log_path(index), spec.log_max, spec.log_keep);
    let copied = tokio::spawn(copy(child.output.take(), log));
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        _ = stop.wait_for(|stop| *stop) => None,
        () = watch_readiness(deployment, index, port) => None,
    };
    if ended.is_none() {
        deployment.stopping(index);
        child.stop(STOP_GRACE).await;
        deployment.stopped(index);
    }
    // What it said last is still in the pipe; something that it left behind may hold the pipe open.
    let _ = tokio::time::timeout(OUTPUT_DRAIN, copied).await;
    ended
}

async fn copy(output: Option<pipe::Receiver>, mut log: Log) {
    let Some(mut output) = output else { return };
    let mut buffer = vec![0_u8; 16 * 1024];
    while let Ok(n @ 1..) = output.read(&mut buffer).await {
        log.write(&buffer[..n]);
    }
}

/// Asks for ever whether the replica is ready.
async fn watch_readiness(deployment: &Deployment, index: usize, port: u16) {
    let interval = deployment.spec.interval;
    let mut failures = 0;
    loop {
        let is = probe(port, deployment.spec.http_path.as_deref()).await;
        failures = if is.is_ok() { 0 } else { failures + 1 };
        let was = deployment.was_ready(index);
        match is {
            Ok(()) => deployment.set_ready(index, true, None),
            Err(why) if !was || failures >= PROBE_FAILURES => deployment.set_ready(index, false, Some(why)),
            Err(_) => {}
        }
        tokio::time::sleep(if failures == 0 { interval.max(PROBE_READY) } else { interval }).await;
    }
}

async fn probe(port: u16, path: Option<&str>) -> Result<(), String> {
    let ask = async {
        match path {
            Some(path) => http::probe(port, path).await,
            None => {
                TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|_| "its port is not open".to_owned())
            }
        }
    };
    tokio::time::timeout(PROBE_TIMEOUT, ask)
        .await
        .unwrap_or_else(|_| Err("its readiness probe got no answer".to_owned()))
}

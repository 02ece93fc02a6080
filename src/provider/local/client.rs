//! A command's side of the control socket: asking a supervisor, and having one run.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::supervise::protocol::{Answer, LINE_MAX, Question, Request, SOCKET, Status, VERSION};
use super::supervise::state::{Directory, Service};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::process::{self, Lock, ProcessId, Signal};
use crate::ports::{crash, fs, id};
use crate::provider::Context;

/// How long a supervisor has to come up: it reads a file and opens a socket.
const START: Duration = Duration::from_secs(20);
/// How long a supervisor has to say how it goes.
pub(super) const STATUS: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Nobody listens: the request did not reach anybody.
    #[error("the supervisor is not running")]
    NotRunning,
    /// The conversation broke off.
    #[error("the supervisor did not answer: {0}")]
    Broken(String),
    /// It took too long.
    #[error("the supervisor did not answer in time")]
    Late,
}

/// Asks a supervisor.
pub(super) async fn ask(directory: &Directory, request: Request, deadline: Duration) -> Result<Answer, NoAnswer> {
    let Ok(mut stream) = process::connect_in(&directory.0, SOCKET).await else { return Err(NoAnswer::NotRunning) };
    let mut line =
        serde_json::to_string(&Question { v: VERSION, request }).expect("invariant: a request is plain data");
    line.push('\n');
    if line.len() > LINE_MAX {
        return Err(NoAnswer::Broken(format!("the request is larger than {LINE_MAX} bytes")));
    }
    let converse = async {
        crash::point("service request");
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        (&mut stream).take(LINE_MAX as u64).read_to_string(&mut answer).await?;
        Ok::<String, std::io::Error>(answer)
    };
    let answer = match tokio::time::timeout(deadline, converse).await {
        Err(_) => return Err(NoAnswer::Late),
        Ok(Err(e)) => return Err(NoAnswer::Broken(e.to_string())),
        Ok(Ok(text)) if text.is_empty() => return Err(NoAnswer::Broken("it ended".into())),
        Ok(Ok(text)) => text,
    };
    crash::point("service answer");
    serde_json::from_str(&answer).map_err(|_| NoAnswer::Broken("it speaks another version".into()))
}

/// Asks what became of an operation and waits for its end. `NotRunning` means that no supervisor runs, and that none which was
/// started will come late.
pub(super) async fn outcome(directory: &Directory, op: &str, deadline: Duration) -> Result<Answer, NoAnswer> {
    let clock = SystemClock;
    let start = clock.elapsed();
    loop {
        match ask(directory, Request::Await { op: op.to_owned() }, deadline).await {
            Err(NoAnswer::NotRunning) => {}
            other => return other,
        }
        if directory.supervisor().is_none() && fence(directory).await {
            return Err(NoAnswer::NotRunning);
        }
        // One holds the lock and has not opened its socket yet, or has closed it and not gone yet.
        if clock.elapsed().saturating_sub(start) > START {
            return Err(NoAnswer::Late);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How a service does.
pub(super) async fn status(directory: &Directory) -> Result<Status, NoAnswer> {
    match ask(directory, Request::Status, STATUS).await {
        Ok(Answer::Status(status)) => Ok(status),
        // It died while it was asked.
        Err(NoAnswer::Broken(_)) if directory.supervisor().is_none() => Err(NoAnswer::NotRunning),
        Err(e) => Err(e),
        Ok(_) => Err(NoAnswer::Broken("it speaks another version".into())),
    }
}

/// Has a supervisor run for a service; starts one if none does.
pub(super) async fn ensure(context: &Context, directory: &Directory, service: &Service) -> Result<(), String> {
    let clock = SystemClock;
    let start = clock.elapsed();
    let mut pause = Duration::from_millis(2);
    let mut started: Option<process::Detached> = None;
    loop {
        if process::connect_in(&directory.0, SOCKET).await.is_ok() {
            return Ok(());
        }
        let ended = started.as_mut().is_none_or(process::Detached::has_ended);
        if ended && directory.supervisor().is_none() {
            if started.is_some() {
                return Err(format!(
                    "The supervisor of {} ended at once. Its log is {}.",
                    service.address,
                    service.logs.join("supervisor.log").display()
                ));
            }
            started = Some(launch(context, directory, service)?);
        }
        if clock.elapsed().saturating_sub(start) > START {
            return Err(format!("The supervisor of {} did not come up within {} s.", service.address, START.as_secs()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn launch(context: &Context, directory: &Directory, service: &Service) -> Result<process::Detached, String> {
    fs::create_private_dir(&service.logs).map_err(|e| format!("Gantry {e}: {}.", e.source))?;
    let token = id::random_hex::<16>();
    directory.set_token(&token).map_err(|e| e.to_string())?;
    let arguments = ["__supervise".to_owned(), directory.0.to_string_lossy().into_owned(), token];
    let log = service.logs.join("supervisor.log");
    crash::point("service start");
    process::start_detached(&context.program, &arguments, &log)
        .map_err(|e| format!("The supervisor {} could not be started: {e}.", context.program.display()))
}

/// Keeps a supervisor that was started and has not come up from ever doing so. `false` if one runs.
pub(super) async fn fence(directory: &Directory) -> bool {
    let clock = SystemClock;
    let start = clock.elapsed();
    loop {
        match Lock::try_take(&directory.lock()) {
            Ok(Some(_lock)) => return directory.set_token("fenced").is_ok(),
            Ok(None) if clock.elapsed().saturating_sub(start) < Duration::from_secs(1) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            _ => return false,
        }
    }
}

/// Ends a supervisor that does not answer, and all that it left. Only for a service that is to go.
pub(super) async fn end_by_force(directory: &Directory, service: &str) {
    if let Some(supervisor) = directory.supervisor() {
        supervisor.signal(Signal::Kill);
        wait_gone(&supervisor, Duration::from_secs(5)).await;
    }
    for replica in directory.replicas() {
        replica.signal_group(Signal::Kill);
        replica.signal(Signal::Kill);
    }
    process::kill_with_variable("GANTRY_SERVICE", service);
}

/// Waits until a process has ended.
pub(super) async fn wait_gone(process: &ProcessId, most: Duration) {
    let clock = SystemClock;
    let start = clock.elapsed();
    while process.is_alive() && clock.elapsed().saturating_sub(start) < most {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

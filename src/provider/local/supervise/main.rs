//! What `gantry __supervise DIR TOKEN` does.

use std::path::PathBuf;
use std::time::Duration;

use super::control;
use super::protocol::SOCKET;
use super::service::Service;
use super::state::Directory;
use crate::ports::process::{self, Lock, ProcessId};

/// How long the lock is waited for: somebody who only looks holds it for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Supervises a service until it is stopped. The exit code is for nobody: whoever started this asks on the socket.
pub(in super::super) fn main(arguments: &[String]) -> u8 {
    let [directory, token] = arguments else { return 2 };
    if process::new_session().is_err() {
        return 1;
    }
    process::adopt_orphans();
    // One thread: what it starts ends with it.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(supervise(Directory(PathBuf::from(directory)), token)),
        Err(_) => 1,
    }
}

async fn supervise(directory: Directory, token: &str) -> u8 {
    let Ok(terminate) = process::terminate_signal() else { return 1 };
    let lock = tokio::time::timeout(LOCK_WAIT, async {
        loop {
            match Lock::try_take(&directory.lock()) {
                Ok(Some(lock)) => return Some(lock),
                Ok(None) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(_) => return None,
            }
        }
    });
    let Ok(Some(_lock)) = lock.await else { return 1 };
    if directory.token().ok().flatten().as_deref() != Some(token) {
        return 0;
    }
    let (Some(me), Ok(Some(config)), Ok(state)) = (ProcessId::me(), directory.service(), directory.state()) else {
        return 1;
    };
    if state.stopped || directory.set_supervisor(&me).is_err() {
        return 1;
    }
    let Ok(listener) = process::bind_in(&directory.0, SOCKET) else { return 1 };
    let service = Service::restore(config, directory, state).await;
    tokio::select! {
        () = control::serve(listener, service.clone()) => {}
        () = service.over() => {}
        () = terminate => {}
        () = service.tend() => {}
    }
    service.shut_down().await;
    0
}

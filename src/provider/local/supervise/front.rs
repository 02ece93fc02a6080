//! The ports that clients connect to.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::deployment::{Deployment, Ticket};
use super::protocol::Failure;
use super::service::Service;
use super::{http, tcp};
use crate::ports::process::port_owner;
use crate::provider::ProblemClass;

/// How many connections one front has at once: more wait in the system's queue. Well below the usual limit on descriptors, of
/// which each needs two.
const CONNECTIONS_MAX: usize = 400;
/// How many connections wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long a request waits for a replica where none is ready: as long as a quick restart takes.
const HOLD: Duration = Duration::from_secs(3);

/// Where a front sends what comes.
#[derive(Clone)]
pub(super) enum Target {
    /// To the version that has the traffic.
    Active(Arc<Service>),
    /// To one version.
    Fixed(Arc<Deployment>),
}

/// A replica that a request goes to, and the proof that it is under way.
pub(super) struct Route {
    pub(super) port: u16,
    pub(super) ticket: Ticket,
}

impl Target {
    fn deployment(&self) -> Option<Arc<Deployment>> {
        match self {
            Self::Active(service) => service.active(),
            Self::Fixed(deployment) => Some(deployment.clone()),
        }
    }

    /// Where to send a request that was tried at the replicas `tried`. Waits a little where no replica is ready.
    pub(super) async fn route(&self, tried: &mut Vec<u16>) -> Option<Route> {
        let find = async {
            loop {
                let deployment = self.deployment()?;
                let mut changes = deployment.watch();
                // Between the look and the count nothing is awaited: a version that is drained knows of this request.
                if let Some(port) = deployment.pick(tried) {
                    return Some(Route { port, ticket: deployment.ticket() });
                }
                // A replica that comes up again on a port that was tried is another one.
                if tokio::time::timeout(Duration::from_millis(100), changes.changed()).await.is_err() {
                    tried.clear();
                }
            }
        };
        tokio::time::timeout(HOLD, find).await.ok().flatten()
    }
}

/// A port of 127.0.0.1 that is ours and not open yet.
pub(super) fn reserve(port: u16) -> Result<TcpSocket, Failure> {
    let bound = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(std::net::SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok::<_, std::io::Error>(socket)
    };
    bound().map_err(|e| in_use(port, &e))
}

/// Opens a reserved port.
pub(super) fn open(socket: TcpSocket, port: u16) -> Result<TcpListener, Failure> {
    socket.listen(BACKLOG).map_err(|e| in_use(port, &e))
}

fn in_use(port: u16, error: &std::io::Error) -> Failure {
    let sentence = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let owner = port_owner(port).unwrap_or_else(|| "another process".to_owned());
            format!("Port {port} of 127.0.0.1 is in use by {owner}. End it, or give this service another \"port\".")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "Port {port} of 127.0.0.1 may not be opened: ports below 1024 need a privilege. Take a higher \"port\"."
            )
        }
        _ => format!("Port {port} of 127.0.0.1 cannot be opened: {error}."),
    };
    let class = match error.kind() {
        std::io::ErrorKind::AddrInUse => ProblemClass::Conflict,
        std::io::ErrorKind::PermissionDenied => ProblemClass::Denied,
        _ => ProblemClass::Invalid,
    };
    Failure::new(class, sentence)
}

/// Serves a listener until the task is aborted; connections that are under way then go on.
pub(super) fn serve(listener: TcpListener, target: Target, http: bool) -> JoinHandle<()> {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(async move {
        loop {
            let Ok(permit) = free.clone().acquire_owned().await else { return };
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors, most likely: let some connections end.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let target = target.clone();
            tokio::spawn(async move {
                let _permit = permit;
                let _ = stream.set_nodelay(true);
                if http {
                    http::serve(stream, peer, target).await;
                } else {
                    tcp::serve(stream, target).await;
                }
            });
        }
    })
}

//! The front for anything but HTTP: bytes go through, connection by connection.

use std::time::Duration;

use tokio::net::TcpStream;

use super::front::Target;

/// How long a replica may take to accept.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How many replicas are tried for one connection or request.
pub(super) const ATTEMPTS: usize = 8;

/// Connects a client with a replica; one that does not accept is left for another.
pub(super) async fn serve(mut client: TcpStream, target: Target) {
    let mut tried = Vec::new();
    for _ in 0..ATTEMPTS {
        let Some(route) = target.route(&mut tried).await else { return };
        let _ticket = route.ticket;
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(("127.0.0.1", route.port))).await {
            Ok(Ok(mut replica)) => {
                let _ = replica.set_nodelay(true);
                let _ = tokio::io::copy_bidirectional(&mut client, &mut replica).await;
                return;
            }
            _ => tried.push(route.port),
        }
    }
}

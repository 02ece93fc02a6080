//! TCP probes: whether somebody takes a connection.

use std::io;

use super::judge::Seen;

/// Opens a connection and closes it.
pub(crate) async fn attempt(address: &str) -> Seen {
    match tokio::net::TcpStream::connect(address).await {
        Ok(_) => Seen::passed(format!("{address} takes connections")),
        Err(error) => {
            let reason = io_reason(&error, address).unwrap_or_else(|| format!("{address} cannot be reached: {error}"));
            Seen::failed(reason)
        }
    }
}

/// What is wrong with an address.
pub(crate) fn check(address: &str) -> Option<String> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let good = parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|p| p > 0));
    (!good).then(|| format!("{address:?} is no address of the form host:port"))
}

/// A failure of the network in words, where it is one of the usual ones.
pub(crate) fn io_reason(error: &io::Error, peer: &str) -> Option<String> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {peer}"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            format!("connection reset by {peer}")
        }
        io::ErrorKind::TimedOut => format!("no answer from {peer}"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("there is no way to {peer}"),
        io::ErrorKind::UnexpectedEof => format!("{peer} closed the connection without a whole answer"),
        _ if error.to_string().contains("failed to lookup address") => {
            format!("the name of {peer} cannot be resolved ({error})")
        }
        _ => return None,
    })
}

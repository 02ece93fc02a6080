//! gRPC probes: the standard health service, `grpc.health.v1`
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).

use std::error::Error as _;

use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::judge::Seen;
use super::spec::Context;

/// Asks for the health of a service, on a connection of its own.
pub(crate) async fn attempt(address: &str, service: &str, context: &Context) -> Seen {
    let subject = subject(address, service);
    let endpoint = match endpoint(address) {
        Ok(endpoint) => endpoint,
        Err(reason) => return Seen::failed(format!("{subject} cannot be asked: {reason}")),
    };
    let peer = address.split_once("://").map_or(address, |(_, peer)| peer);
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return Seen::failed(format!("{subject}: {}", reason(&error, peer))),
    };
    let mut request = Request::new(HealthCheckRequest { service: service.to_owned() });
    if let Ok(mark) = context.mark().parse() {
        request.metadata_mut().insert("gantry-check", mark);
    }
    match HealthClient::new(channel).check(request).await {
        Ok(answer) => match answer.into_inner().status() {
            ServingStatus::Serving => Seen::passed(format!("{subject} is SERVING")),
            other => Seen::failed(format!("{subject} is {} instead of SERVING", other.as_str_name())),
        },
        Err(status) => Seen::failed(match status.code() {
            Code::NotFound => format!("{subject} is not known there"),
            Code::Unimplemented => format!("{subject} cannot be asked: {peer} does not serve grpc.health.v1"),
            code => format!("{subject}: {peer} answered {code:?} ({})", status.message()),
        }),
    }
}

/// What a sentence about this probe starts with.
pub(crate) fn subject(address: &str, service: &str) -> String {
    if service.is_empty() {
        format!("the gRPC server {address}")
    } else {
        format!("the gRPC service {service} of {address}")
    }
}

/// What is wrong with an address.
pub(crate) fn check(address: &str) -> Option<String> {
    endpoint(address).err()
}

fn endpoint(address: &str) -> Result<Endpoint, String> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint =
        Endpoint::from_shared(url.clone()).map_err(|_| format!("{address:?} is no address of the form host:port"))?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err(format!("{address:?} is no address of the form host:port"));
    }
    match endpoint.uri().scheme_str() {
        Some("http") => Ok(endpoint),
        Some("https") => {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint.tls_config(tls).map_err(|error| format!("TLS cannot be set up ({error})"))
        }
        _ => Err(format!("{address:?} starts with neither http:// nor https://")),
    }
}

fn reason(error: &tonic::transport::Error, peer: &str) -> String {
    let mut deepest = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(reason) = inner.downcast_ref::<std::io::Error>().and_then(|io| super::tcp::io_reason(io, peer)) {
            return reason;
        }
        deepest = inner.to_string();
        source = inner.source();
    }
    format!("no answer from {peer} ({deepest})")
}

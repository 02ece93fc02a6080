//! What a version of a service is: an object checked, named, and turned into what a supervisor needs to run it.

use std::time::Duration;

use hmac::{KeyInit as _, Mac as _};
use serde_json::json;

use super::supervise::mark;
use super::supervise::protocol::Spec;
use super::supervise::state::Service;
use super::words::{hex, keep, secrets, sha256, string_map, strings, with};
use crate::diag::did_you_mean;
use crate::ports::env;
use crate::provider::{Act, Context, ProposedChange};
use crate::value::{Type, Value};

/// What an act may take beyond readiness and draining: starting a supervisor, ending processes that do not want to.
const MARGIN: Duration = Duration::from_secs(40);
/// The most replicas: each is a process, a port and a log.
pub(super) const REPLICAS_MAX: i64 = 64;
/// The variables that a service has of whoever made it.
const INHERITED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SSL_CERT_FILE",
];
pub(super) fn url(object: &Value, port: u16) -> String {
    let scheme = if object.get_str("protocol") == Some("tcp") { "tcp" } else { "http" };
    format!("{scheme}://127.0.0.1:{port}")
}

/// The address is known as soon as the port is.
pub(super) fn compute(change: &ProposedChange<'_>) -> Vec<(&'static str, Value)> {
    let known = change.proposed.get("protocol").is_none_or(|p| !p.is_unknown());
    match port(change.proposed).filter(|_| known) {
        Some(port) => vec![("url", Value::string(url(change.proposed, port)))],
        None => Vec::new(),
    }
}

pub(super) fn port(object: &Value) -> Option<u16> {
    object.get("port")?.as_number()?.to_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
}

fn duration(object: Option<&Value>, name: &str, default: Duration) -> Duration {
    object.and_then(|o| o.get_str(name)).and_then(crate::provider::duration::parse).unwrap_or(default)
}

fn ready_timeout(object: &Value) -> Duration {
    duration(object.get("readiness"), "timeout", Duration::from_secs(30))
}

fn drain(object: &Value) -> Duration {
    duration(Some(object), "drain_timeout", Duration::from_secs(5))
}

pub(super) fn deadline(object: &Value) -> Duration {
    ready_timeout(object) + drain(object) + MARGIN
}

pub(super) fn validate(object: &Value) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if let Some(argv) = object.get("command").and_then(Value::as_items)
        && (argv.is_empty() || argv.first().and_then(Value::as_str) == Some(""))
    {
        faults.push(("command", "The command is empty: its first item is the program.".to_owned()));
    }
    if let Some(n) = object.get("port").and_then(Value::as_number)
        && port(object).is_none()
    {
        faults.push(("port", format!("{n} is no port. A port is a whole number from 1 to 65535.")));
    }
    if let Some(n) = object.get("replicas").and_then(Value::as_number)
        && !n.to_i64().is_some_and(|n| (0..=REPLICAS_MAX).contains(&n))
    {
        faults.push((
            "replicas",
            format!("{n} replicas are not possible. Write a whole number from 0 to {REPLICAS_MAX}."),
        ));
    }
    let protocol = object.get_str("protocol").unwrap_or("http");
    if !["http", "tcp"].contains(&protocol) {
        let meant = did_you_mean(protocol, ["http", "tcp"]).map(|hint| format!(" {hint}")).unwrap_or_default();
        faults.push(("protocol", format!("\"{protocol}\" is neither \"http\" nor \"tcp\".{meant}")));
    }
    faults.extend(crate::provider::duration::fault(object.get("drain_timeout")).map(|fault| ("drain_timeout", fault)));
    if let Some(readiness) = object.get("readiness") {
        let named = |name: &str| {
            crate::provider::duration::fault(readiness.get(name)).map(|fault| ("readiness", format!("{name}: {fault}")))
        };
        faults.extend(["interval", "timeout"].into_iter().filter_map(named));
        if let Some(path) = readiness.get_str("http_path")
            && (!path.starts_with('/') || path.parse::<hyper::http::uri::PathAndQuery>().is_err())
        {
            faults.push(("readiness", format!("http_path: \"{path}\" is no path. It starts with \"/\".")));
        }
    }
    if let Some(log) = object.get("log") {
        let whole = |name: &str, least: u64| {
            let number = log.get(name)?.as_number()?;
            let fits = number.to_u64().is_some_and(|n| n >= least && n <= 1 << 40);
            (!fits).then(|| ("log", format!("{name}: {number} is not a whole number of at least {least}.")))
        };
        faults.extend(whole("max_bytes", 4096));
        faults.extend(whole("keep", 0));
    }
    faults.extend(super::environment_faults(object));
    faults
}

/// The name of the service that an act makes: that of its block, and a digest of the act.
pub(super) fn service_name(act: &Act) -> String {
    let name: String = act.address.name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(24).collect();
    format!("{name}-{}", &sha256(act.op.as_bytes())[..10])
}

/// A version of a service as an object asks for it.
pub(super) fn spec(context: &Context, act: &Act, service: &str) -> Spec {
    let object = &act.planned;
    let number = |object: Option<&Value>, name: &str, default: u64| {
        object
            .and_then(|o| o.get(name))
            .and_then(Value::as_number)
            .and_then(crate::value::Number::to_u64)
            .unwrap_or(default)
    };
    let (readiness, log) = (object.get("readiness"), object.get("log"));
    let mut environment: Vec<(String, String)> =
        INHERITED.into_iter().filter_map(|name| Some((name.to_owned(), env::var(name)?))).collect();
    environment.extend(string_map(object.get("environment")));
    environment.push(("GANTRY_OP".into(), act.op.clone()));
    environment.push(("GANTRY_ADDRESS".into(), act.address.to_string()));
    environment.push(("GANTRY_SERVICE".into(), service.to_owned()));
    Spec {
        op: act.op.clone(),
        address: act.address.to_string(),
        argv: strings(object.get("command")),
        base: context.environment.clone(),
        directory: context.environment.join(object.get_str("working_directory").unwrap_or(".")),
        environment,
        replicas: usize::try_from(number(Some(object), "replicas", 1)).unwrap_or(1),
        http_path: readiness.and_then(|r| r.get_str("http_path")).map(str::to_owned),
        interval: duration(readiness, "interval", Duration::from_millis(200)),
        ready_timeout: ready_timeout(object),
        drain: drain(object),
        log_max: number(log, "max_bytes", 10 * 1024 * 1024),
        log_keep: u32::try_from(number(log, "keep", 3)).unwrap_or(3),
        hidden: secrets(object),
        object: keep(&with(object, [("id", Value::null(Type::String)), ("url", Value::null(Type::String))])),
    }
}

/// The name of a version: a digest of what it is, under a key of the service's own, for there may be a password in it.
fn deployment_name(spec: &Spec, salt: &str) -> String {
    let content = json!([spec.object, spec.base, spec.directory]).to_string();
    let mut mac =
        hmac::Hmac::<sha2::Sha256>::new_from_slice(salt.as_bytes()).expect("invariant: HMAC takes a key of any length");
    mac.update(content.as_bytes());
    hex(&mac.finalize().into_bytes())[..12].to_owned()
}

/// The version with its mark in the environment of its processes.
pub(super) fn named(mut spec: Spec, service: &Service) -> (String, Box<Spec>) {
    let name = deployment_name(&spec, &service.salt);
    spec.environment.push(("GANTRY_DEPLOYMENT".into(), mark(&service.id, &name)));
    (name, Box::new(spec))
}

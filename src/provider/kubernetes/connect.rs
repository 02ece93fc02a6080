//! From a provider block to a client: what is said there, else what kubectl would take.

use kube::config::{
    AuthInfo, Cluster, Context as Named, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};
use kube::{Client, Config};

use crate::provider::{Problem, ProblemClass};
use crate::value::Value;

/// How long a connection may take to stand: a cluster that is gone is told soon.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// A cluster with somebody's credentials.
pub(super) struct Connection {
    pub(super) client: Client,
    /// Where an object goes that names no namespace.
    pub(super) namespace: String,
    /// Its address, for messages.
    pub(super) url: String,
}

/// The text of an argument, under the first of its names that has one.
fn text<'v>(arguments: &'v Value, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| arguments.get_str(name).filter(|text| !text.is_empty()))
}

/// Connects. Nothing is sent yet.
///
/// # Errors
/// When the configuration cannot be read or names what is not there; a sentence.
pub(super) async fn connect(arguments: &Value, directory: &std::path::Path) -> Result<Connection, Problem> {
    let mut config = configuration(arguments, directory).await?;
    if let Some(namespace) = text(arguments, &["namespace"]) {
        config.default_namespace = namespace.to_owned();
    }
    if let Some(user) = text(arguments, &["impersonate"]) {
        config.auth_info.impersonate = Some(user.to_owned());
    }
    if let Some(groups) = arguments.get("impersonate_groups").and_then(Value::as_items).filter(|all| !all.is_empty()) {
        config.auth_info.impersonate_groups =
            Some(groups.iter().filter_map(|group| group.as_str().map(str::to_owned)).collect());
    }
    if let Some(proxy) = text(arguments, &["proxy_url"]) {
        let url = proxy.parse().map_err(|e| wrong(format!("\"proxy_url\" is no URL: {e}.")))?;
        config.proxy_url = Some(url);
    }
    config.connect_timeout = Some(CONNECT);
    // A passing fault is the caller's to judge: it has its own budget, and tells who watches.
    config.default_retry = false;
    let (url, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    let client = Client::try_from(config)
        .map_err(|e| wrong(format!("The credentials for {url} cannot be used: {}.", chain(&e))))?;
    Ok(Connection { client, namespace, url })
}

async fn configuration(arguments: &Value, directory: &std::path::Path) -> Result<Config, Problem> {
    let context = text(arguments, &["context", "config_context"]).map(str::to_owned);
    let options = KubeConfigOptions { context: context.clone(), cluster: None, user: None };
    if let Some(host) = text(arguments, &["host"]) {
        return said(host, arguments).await;
    }
    let file = match text(arguments, &["kubeconfig", "config_path"]) {
        Some(path) => {
            let path = expanded(path, directory);
            Some(
                Kubeconfig::read_from(&path)
                    .map_err(|e| wrong(format!("The kubeconfig {} cannot be read: {}.", path.display(), chain(&e))))?,
            )
        }
        None => None,
    };
    match file {
        Some(file) => of_file(file, &options).await,
        // In a pod there is no kubeconfig, and a context would mean nothing.
        None => match Kubeconfig::read() {
            Ok(file) => of_file(file, &options).await,
            Err(error) => match Config::incluster() {
                Ok(config) if context.is_none() => Ok(config),
                _ => Err(wrong(format!(
                    "No cluster is configured: {}. Set KUBECONFIG, write ~/.kube/config, or give the provider \"kubernetes\" \
                     a kubeconfig or a host.",
                    chain(&error)
                ))),
            },
        },
    }
}

async fn of_file(file: Kubeconfig, options: &KubeConfigOptions) -> Result<Config, Problem> {
    let contexts: Vec<String> = file.contexts.iter().map(|one| one.name.clone()).collect();
    let wanted = options.context.clone().or_else(|| file.current_context.clone()).unwrap_or_default();
    if !contexts.contains(&wanted) {
        let there =
            if contexts.is_empty() { "It has none.".to_owned() } else { format!("There is: {}.", contexts.join(", ")) };
        return Err(wrong(match wanted.is_empty() {
            true => format!("The kubeconfig has no current context. Name one with \"context\". {there}"),
            false => format!("The kubeconfig has no context \"{wanted}\". {there}"),
        }));
    }
    Config::from_custom_kubeconfig(file, options)
        .await
        .map_err(|e| wrong(format!("The context \"{wanted}\" of the kubeconfig cannot be used: {}.", chain(&e))))
}

/// A cluster that the block itself describes.
async fn said(host: &str, arguments: &Value) -> Result<Config, Problem> {
    use base64::Engine as _;
    let given = |name: &str| text(arguments, &[name]).map(str::to_owned);
    let encoded = |name: &str| given(name).map(|pem| base64::prelude::BASE64_STANDARD.encode(pem));
    let cluster = Cluster {
        server: Some(if host.contains("://") { host.to_owned() } else { format!("https://{host}") }),
        insecure_skip_tls_verify: arguments.get("insecure").and_then(Value::as_bool),
        certificate_authority_data: encoded("cluster_ca_certificate"),
        tls_server_name: given("tls_server_name"),
        ..Cluster::default()
    };
    let user = AuthInfo {
        token: given("token").map(Into::into),
        client_certificate_data: encoded("client_certificate"),
        client_key_data: encoded("client_key").map(Into::into),
        ..AuthInfo::default()
    };
    let name = || "gantry".to_owned();
    let file = Kubeconfig {
        clusters: vec![NamedCluster { name: name(), cluster: Some(cluster), ..Default::default() }],
        auth_infos: vec![NamedAuthInfo { name: name(), auth_info: Some(user), ..Default::default() }],
        contexts: vec![NamedContext {
            name: name(),
            context: Some(Named { cluster: name(), user: Some(name()), ..Named::default() }),
            ..Default::default()
        }],
        current_context: Some(name()),
        ..Kubeconfig::default()
    };
    of_file(file, &KubeConfigOptions::default()).await
}

/// A name as a shell would have it: from home for `~/`, else from the environment's directory.
fn expanded(path: &str, directory: &std::path::Path) -> std::path::PathBuf {
    match path.strip_prefix("~/").zip(crate::ports::env::var("HOME")) {
        Some((rest, home)) => std::path::PathBuf::from(home).join(rest),
        None => directory.join(path),
    }
}

fn wrong(sentence: String) -> Problem {
    Problem::new(ProblemClass::Denied, sentence)
}

/// An error with what is behind it, once each.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut at = error.source();
    while let Some(one) = at {
        let text = one.to_string();
        if !all.contains(&text) {
            all = format!("{all}: {text}");
        }
        at = one.source();
    }
    all.trim_end_matches('.').to_owned()
}

//! Either cluster, and the plain requests that contract tests make to it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::{Cluster, Control, RealCluster};

/// A cluster of one or the other sort.
pub(crate) struct AnyCluster {
    sort: Sort,
    /// One for each token: to make one takes longer than to use it.
    clients: Mutex<BTreeMap<String, Client>>,
}

enum Sort {
    InProcess(Cluster),
    Real(RealCluster),
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
    /// Null if it is no JSON.
    pub(crate) body: Value,
}

impl AnyCluster {
    /// One in this process.
    pub(crate) async fn in_process() -> Self {
        Self { sort: Sort::InProcess(Cluster::start().await), clients: Mutex::default() }
    }

    /// A real one, where there are programs for it.
    pub(crate) async fn real(assets: &std::path::Path) -> Self {
        Self { sort: Sort::Real(RealCluster::start(assets).await), clients: Mutex::default() }
    }

    /// The text of a kubeconfig with somebody's token.
    pub(crate) fn kubeconfig(&self, context: &str, token: &str) -> String {
        match &self.sort {
            Sort::InProcess(cluster) => cluster.kubeconfig_of(context, token),
            Sort::Real(cluster) => cluster.kubeconfig_of(context, token),
        }
    }

    /// The test's hand in it, if it is the one in this process.
    pub(crate) fn control(&self) -> Option<Control> {
        match &self.sort {
            Sort::InProcess(cluster) => Some(cluster.control()),
            Sort::Real(_) => None,
        }
    }

    /// A client of kube that repeats nothing by itself.
    pub(crate) async fn client(&self, token: &str) -> Client {
        if let Some(client) = self.clients.lock().unwrap().get(token) {
            return client.clone();
        }
        let client = client(&self.kubeconfig("test", token)).await;
        self.clients.lock().unwrap().insert(token.into(), client.clone());
        client
    }

    /// What a watch sends within so many seconds.
    pub(crate) async fn watch(&self, path: &str, seconds: u64) -> Vec<Value> {
        let path = format!("{path}&watch=true&timeoutSeconds={seconds}");
        let reply = self.ask("GET", &path, "application/json", &Value::Null).await;
        let lines = reply.text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// A namespace of the test's own.
    pub(crate) async fn namespace(&self, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let reply = self.ask("POST", "/api/v1/namespaces", "application/json", &body).await;
        assert_eq!(reply.code, 201, "{}", reply.text);
    }

    /// Asks until the answer is as wanted, or panics after two minutes: a real namespace takes its time.
    pub(crate) async fn until(&self, path: &str, what: &str, is_it: impl Fn(&Reply) -> bool) -> Reply {
        let mut last = None;
        for _ in 0..1200 {
            let reply = self.ask("GET", path, "application/json", &Value::Null).await;
            if is_it(&reply) {
                return reply;
            }
            last = Some(reply.text);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never was {what}: {last:?}");
    }

    /// One request as the administrator.
    pub(crate) async fn ask(&self, method: &str, path: &str, content: &str, body: &Value) -> Reply {
        let headers = [("content-type", content), ("user-agent", "tester/1")];
        self.ask_as("admin-token", method, path, &headers, body).await
    }

    /// One request with a token and headers of one's own.
    pub(crate) async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let client = self.client(token).await;
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = async {
            let response = client.send(request.body(Body::from(bytes)).unwrap()).await.unwrap();
            let code = response.status().as_u16();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            (code, String::from_utf8_lossy(&bytes).into_owned())
        };
        let (code, text) = tokio::time::timeout(Duration::from_secs(30), answer).await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Reply { code, text, body }
    }
}

/// A client by the text of a kubeconfig, which repeats nothing by itself.
pub(crate) async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

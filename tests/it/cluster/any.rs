//! Either cluster, and the plain requests that contract tests make to it.

use std::time::Duration;

use axum::http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use super::{Cluster, RealCluster};

/// A cluster of one or the other sort.
pub(crate) enum AnyCluster {
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
    /// The text of a kubeconfig with somebody's token.
    pub(crate) fn kubeconfig(&self, context: &str, token: &str) -> String {
        match self {
            Self::InProcess(cluster) => cluster.kubeconfig_of(context, token),
            Self::Real(cluster) => cluster.kubeconfig_of(context, token),
        }
    }

    /// Whether it is the real one.
    pub(crate) fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }

    /// A client of kube that repeats nothing by itself.
    pub(crate) async fn client(&self, token: &str) -> Client {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig("test", token)).unwrap();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        Client::try_from(config).unwrap()
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

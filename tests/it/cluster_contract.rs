//! What a Kubernetes API server does, held against the one in this process and against a real one.

use crate::cluster::{AnyCluster, Cluster};

#[tokio::test]
async fn starts() {
    let any = AnyCluster::InProcess(Cluster::start().await);
    let reply = any.ask("GET", "/version", "application/json", &serde_json::Value::Null).await;
    assert_eq!(reply.code, 200);
}

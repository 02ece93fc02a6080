//! The Kubernetes target passes the suite that every provider passes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use gantry::provider::Context;
use gantry::provider::conformance::{Fixture, check};
use gantry::provider::kubernetes::Kubernetes;
use gantry::value::{Value, from_json};
use serde_json::{Value as Json, json};

use crate::cluster::AnyCluster;
use crate::cluster::controllers::{Controllers, Fates};
use crate::kubernetes::both;

both!(config_maps_conform, secrets_conform, deployments_conform);

const SECRET: &str = "swordfish-4711";

fn object(manifest: &Json) -> Value {
    Value::object_of([("manifest", from_json(manifest))])
}

/// An object in a namespace that is not there, with a secret in it.
fn failing() -> Option<Value> {
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "nowhere"},
        "stringData": {"password": SECRET}});
    Some(object(&manifest))
}

async fn conforms(cluster: &AnyCluster, space: &str, create: &Json, update: &Json) {
    cluster.namespace(space).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig("test", "admin-token")).unwrap();
    let context = Context {
        project: folder.path().into(),
        environment: folder.path().into(),
        state: folder.path().join("state"),
        lineage: "0123456789abcdef".into(),
        name: "test".into(),
        program: env!("CARGO_BIN_EXE_gantry").into(),
    };
    let arguments = Value::object_of([
        ("kubeconfig", Value::string(kubeconfig.display().to_string())),
        ("namespace", Value::string(space.to_owned())),
    ]);
    let _controllers = Controllers::start(cluster.client("admin-token").await, Fates::default());
    let provider = Kubernetes::new(context, &arguments);
    let fixture = Fixture {
        ty: "kubernetes_manifest",
        create: object(create),
        update: object(update),
        failing: failing(),
        secret: SECRET,
        seen_gone: true,
    };
    let wrong = check(&provider, &[fixture]).await;
    let lines: Vec<String> = wrong.iter().map(|v| format!("{}: {}: {}", v.ty, v.rule, v.seen)).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

async fn config_maps_conform(cluster: &AnyCluster) {
    let with = |data: Json| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}, "data": data});
    conforms(cluster, "conform-a", &with(json!({"a": "1", "b": "2"})), &with(json!({"a": "3"}))).await;
}

async fn secrets_conform(cluster: &AnyCluster) {
    let with =
        |name: &str, data: Json| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}, name: data});
    let create = with("stringData", json!({"password": SECRET, "user": "me"}));
    conforms(cluster, "conform-b", &create, &with("data", json!({"other": "c3dvcmRmaXNoLTQ3MTEtMg=="}))).await;
}

async fn deployments_conform(cluster: &AnyCluster) {
    let with = |image: &str, replicas: u32| {
        let container = json!({"name": "api", "image": image, "resources": {"limits": {"cpu": "1000m"}}, "ports": [{"containerPort": 80}]});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "c"}},
            "template": {"metadata": {"labels": {"app": "c"}}, "spec": {"containers": [container]}}}})
    };
    conforms(cluster, "conform-c", &with("shop/api:1", 1), &with("shop/api:2", 2)).await;
}

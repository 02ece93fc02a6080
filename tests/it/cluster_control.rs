//! What a test can do to the cluster in this process, seen from a client: faults, counts, logs, webhooks, other managers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use axum::http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use crate::cluster::{AnyCluster, Cluster, Control, Fault, On, Reply, Rule};

const PATH: &str = "/api/v1/namespaces/default/configmaps";

async fn start() -> (AnyCluster, Control) {
    let cluster = AnyCluster::in_process().await;
    let control = cluster.control().unwrap();
    (cluster, control)
}

fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"k": value},
    })
}

async fn get(cluster: &AnyCluster, path: &str) -> Reply {
    cluster.ask("GET", path, "application/json", &Value::Null).await
}

/// A request whose answer may fail to come.
async fn tried(cluster: &AnyCluster, method: &str, path: &str, body: &Value) -> Result<u16, String> {
    let client = cluster.client("admin-token").await;
    let content = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", content);
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let response = client.send(request.body(Body::from(bytes)).unwrap()).await.map_err(|why| why.to_string())?;
    let code = response.status().as_u16();
    response.into_body().collect().await.map_err(|why| why.to_string())?;
    Ok(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_come_when_they_are_told_to() {
    let (cluster, control) = start().await;
    control.fault(On::verb("list").resource("configmaps").nth(2), Fault::TooManyRequests { retry_after: 1 });
    control.fault(On::verb("get").name("a").times(2), Fault::Status(503));
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(get(&cluster, PATH).await.code);
    }
    assert_eq!(codes, [200, 429, 200]);
    for expected in [503, 503, 404] {
        assert_eq!(get(&cluster, &format!("{PATH}/a")).await.code, expected);
    }
    assert_eq!(control.count(&On::verb("list").resource("configmaps")), 3);
    control.forget();
    assert_eq!(control.count(&On::any()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_late_and_tokens_refused() {
    let (cluster, control) = start().await;
    control.fault(On::verb("list").namespace("default").always(), Fault::DelayAnswer(Duration::from_millis(30)));
    control.fault(On::verb("create").resource("configmaps"), Fault::DelayBefore(Duration::from_millis(30)));
    control.fault(On::verb("get"), Fault::Unauthorized);
    let reply = cluster.ask("POST", &format!("{PATH}?dryRun=All"), "application/json", &config_map("a", "1")).await;
    assert_eq!(reply.code, 201);
    assert_eq!(get(&cluster, PATH).await.body["items"], json!([]));
    assert_eq!(get(&cluster, &format!("{PATH}/a")).await.code, 401);
    let seen = control.requests();
    let first = &seen[0];
    assert_eq!((first.method.as_str(), first.path.as_str(), first.user.as_str()), ("POST", PATH, "admin"));
    assert!(first.is_dry_run && !first.is_apply && first.query["dryRun"] == "All" && first.body.contains("\"k\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_close_before_and_after_the_act() {
    let (cluster, control) = start().await;
    let apply = format!("{PATH}/a?fieldManager=m");
    // An idle connection that the server closes is opened anew by the client itself.
    control.fault(On::verb("apply").name("a").times(2), Fault::CloseBefore);
    assert!(tried(&cluster, "PATCH", &apply, &config_map("a", "1")).await.is_err());
    assert!(control.object("configmaps", "default", "a").is_none());
    control.clear_faults();
    control.fault(On::verb("apply").name("a"), Fault::CloseAfter);
    assert!(tried(&cluster, "PATCH", &apply, &config_map("a", "1")).await.is_err());
    assert_eq!(control.object("configmaps", "default", "a").unwrap()["data"]["k"], "1");
    control.fault(On::verb("apply").name("b"), Fault::LateEffect(Duration::from_millis(200)));
    let late = format!("{PATH}/b?fieldManager=m");
    assert!(tried(&cluster, "PATCH", &late, &config_map("b", "1")).await.is_err());
    assert_eq!(get(&cluster, &format!("{PATH}/b")).await.code, 404);
    cluster.until(&format!("{PATH}/b"), "there", |reply| reply.code == 200).await;
    control.fault(On::verb("list").resource("configmaps"), Fault::Truncate);
    assert!(tried(&cluster, "GET", PATH, &Value::Null).await.is_err());
    assert_eq!(tried(&cluster, "GET", PATH, &Value::Null).await, Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_stale() {
    let (cluster, control) = start().await;
    for value in ["1", "2", "3"] {
        control.put("m", &config_map("a", value));
    }
    control.fault(On::verb("get").name("a").times(2), Fault::Stale { changes: 1 });
    let path = format!("{PATH}/a");
    for expected in ["2", "2", "3"] {
        assert_eq!(get(&cluster, &path).await.body["data"]["k"], expected);
    }
    control.fault(On::verb("list").resource("configmaps"), Fault::Stale { changes: 3 });
    assert_eq!(get(&cluster, PATH).await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_end_early() {
    let (cluster, control) = start().await;
    for name in ["a", "b", "c"] {
        control.put("m", &config_map(name, "1"));
    }
    control.fault(On::verb("watch"), Fault::WatchClosed { after: 1 });
    control.fault(On::verb("watch"), Fault::WatchExpired { after: 2 });
    let path = format!("{PATH}?resourceVersion=0");
    let types =
        |events: &[Value]| events.iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(types(&cluster.watch(&path, 1).await), ["ADDED"]);
    let events = cluster.watch(&path, 1).await;
    assert_eq!(types(&events), ["ADDED", "ADDED", "ERROR"]);
    assert_eq!(events[2]["object"]["code"], 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_change_things_and_own_them() {
    let (cluster, control) = start().await;
    control.put("m", &config_map("a", "1"));
    control.patch("somebody", "configmaps", "default", "a", &json!({"data": {"k": "2"}}));
    let path = format!("{PATH}/a?fieldManager=m");
    let reply = cluster.ask("PATCH", &path, "application/apply-patch+yaml", &config_map("a", "1")).await;
    let said = "Apply failed with 1 conflict: conflict with \"somebody\" using v1: .data.k";
    assert_eq!((reply.code, &reply.body["message"]), (409, &json!(said)));
    control.delete("configmaps", "default", "a");
    assert!(control.objects("configmaps").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_change_and_deny() {
    let (cluster, control) = start().await;
    control.webhook("labels.example.com", "configmaps", |object| {
        object["metadata"]["labels"] = json!({"seen": "yes"});
        if object["data"]["k"] == "bad" { Err("bad is not allowed".into()) } else { Ok(()) }
    });
    let reply = cluster.ask("POST", PATH, "application/json", &config_map("a", "1")).await;
    assert_eq!(reply.body["metadata"]["labels"], json!({"seen": "yes"}));
    let reply = cluster.ask("POST", PATH, "application/json", &config_map("b", "bad")).await;
    let said = "admission webhook \"labels.example.com\" denied the request: bad is not allowed";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_have_logs_and_statuses() {
    let (cluster, control) = start().await;
    let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]});
    let metadata = json!({"name": "p", "namespace": "default"});
    control.put("m", &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}));
    control.log("default", "p", "c", "one\ntwo\nthree\n");
    control.previous_log("default", "p", "c", "before\n");
    let log = "/api/v1/namespaces/default/pods/p/log";
    assert_eq!(get(&cluster, &format!("{log}?container=c&tailLines=2")).await.text, "two\nthree\n");
    assert_eq!(get(&cluster, &format!("{log}?container=c&previous=true")).await.text, "before\n");
    let reply = get(&cluster, log).await;
    let said = "a container name must be specified for pod p, choose one of: [c d]";
    assert_eq!((reply.code, &reply.body["message"]), (400, &json!(said)));
    control.update_status("pods", "default", "p", &json!({"phase": "Running"}));
    let pod = get(&cluster, "/api/v1/namespaces/default/pods/p").await.body;
    assert_eq!(pod["status"]["phase"], "Running");
    control.pods_linger(true);
    control.delete("pods", "default", "p");
    let pod = get(&cluster, "/api/v1/namespaces/default/pods/p").await.body;
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 30);
    control.vanish("pods", "default", "p");
    assert!(control.objects("pods").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_rules_and_tokens_run_out() {
    let (cluster, control) = start().await;
    control.user("shop-token", "shop", vec![Rule::new(&["get", "list"], "", &["configmaps"]).within("default")]);
    let ask = async |path: &str| cluster.ask_as("shop-token", "GET", path, &[], &Value::Null).await.code;
    assert_eq!(ask(PATH).await, 200);
    assert_eq!(ask("/api/v1/namespaces/kube-system/configmaps").await, 403);
    assert_eq!(ask("/api/v1/namespaces/default/secrets").await, 403);
    control.expire_token("shop-token");
    assert_eq!(ask(PATH).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_waits_as_long_as_it_is_told() {
    let (cluster, control) = start().await;
    control.namespace_delay(Duration::from_secs(60));
    control.definition_delay(Duration::from_secs(60));
    cluster.namespace("slow").await;
    cluster.ask("DELETE", "/api/v1/namespaces/slow", "application/json", &Value::Null).await;
    assert_eq!(get(&cluster, "/api/v1/namespaces/slow").await.body["status"]["phase"], "Terminating");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_kubeconfig_is_one_for_kube() {
    let cluster = Cluster::start().await;
    assert!(cluster.url().starts_with("http://127.0.0.1:"));
    let text = cluster.kubeconfig("test");
    let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
    assert_eq!(config.current_context.as_deref(), Some("test"));
    assert!(text.contains(cluster.url()));
}
